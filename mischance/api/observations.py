"""Between columns and plain values: what one run's agent sees, and what it answers, as users write it.

A plain function, a program in another language and a gymnasium loop all speak of one run at a time, in
words and numbers. Inside, everything stays in columns over runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mischance.api.protocols import declares
from mischance.api.runs import Commands, Reading
from mischance.api.tables import AnyArray, BoolArray, Column, Schema, Table
from mischance.errors import RunError

Observation = dict[str, Any]
Answer = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


def observation(readings: Mapping[str, Reading], run: int) -> Observation:
    """Return what one run's agent sees since its last turn.

    `observation[sensor][table][column]` is an array of that run's rows, oldest first; categories are words. A
    sensor's only table stands without a name: `observation["meter"]["volt"]`. Images stand under their
    pass: `observation["front"]["rgb"]`, shape (n, height, width, 3).
    """
    seen: Observation = {}
    for name, reading in readings.items():
        own: dict[str, Any] = {}
        for key, table in reading.tables.items():
            columns = {column: _plain(table.schema[column], values) for column, values in table.run(run).items()}
            if key:
                own[key] = columns
            else:
                own.update(columns)
        if reading.frames:
            own.update(reading.frames[run].passes)
        seen[name] = own
    return seen


def _plain(column: Column, values: AnyArray) -> AnyArray:
    if column.dtype != "category":
        return values
    words: AnyArray = np.array([*column.names, None], object)[values]
    return words


def commands_of(
    answers: Sequence[Answer],
    schema: Schema,
    live: BoolArray,
    defaults: Mapping[str, Any],
    complete: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> Commands:
    """Return commands in columns from one answer a run: nothing, one row, or several rows.

    Args:
        answers: what each run's agent said; a column left out is taken from `defaults`, else 0 or ''.
        schema: the columns that the world takes.
        live: which runs still go on; (runs,).
        defaults: values of columns that an agent need not say, such as the only actor.
        complete: adds to a row what follows from what it leaves out.

    Raises:
        RunError: an answer is no mapping, names a column that the world does not take, or has no number in it.
    """
    rows: list[dict[str, Any]] = []
    for answer in answers:
        said: list[Any] = [] if answer is None else list(answer) if isinstance(answer, (list, tuple)) else [answer]
        for row in said:
            if not isinstance(row, Mapping):
                raise RunError(f"an agent answered {row!r}", f"it must say a mapping of {', '.join(schema)}")
            odd = sorted(set(map(str, row)) - set(schema))
            if odd:
                raise RunError(f"an agent commands {odd[0]!r}", f"the world takes {', '.join(schema)}")
        said = [complete(row) for row in said]
        rows.append({name: [_value(row, name, column, defaults) for row in said] for name, column in schema.items()})
    return Commands(Table.of(schema, [row if row and next(iter(row.values())) else {} for row in rows]), live)


def _value(row: Mapping[str, Any], name: str, column: Column, defaults: Mapping[str, Any]) -> Any:
    value = row.get(name, defaults.get(name, "" if column.dtype == "text" else 0))
    if column.dtype == "category":
        if value not in column.names:
            raise RunError(f"an agent commands {name} = {value!r}", f"known: {', '.join(column.names)}")
        return column.names.index(value)
    if column.dtype == "text":
        return str(value)
    try:
        return float(np.asarray(value).reshape(())) if column.storage.kind == "f" else column.storage.type(value)
    except (TypeError, ValueError) as error:
        whom = "".join(f" for {row.get(key, value)}" for key, value in defaults.items() if row.get(key, value))
        raise RunError(f"an agent commands {name} = {value!r}{whom}, which is not one number") from error


class FunctionAgent:
    """Asks a plain function what to do; `function_agent` makes a class of each function."""

    function: ClassVar[Callable[[Observation, float], Any]]

    def start(self, draws: Sequence[Any], streams: Sequence[Any]) -> None:
        """Remember nothing: a function has no state of ours."""

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> list[Answer]:
        """Return one answer a run."""
        return [self.ask(readings, run, t) if live[run] else None for run in range(len(live))]

    def ask(self, readings: Mapping[str, Reading], run: int, t: float) -> Answer:
        """Return the answer for one run of a batch."""
        answer: Answer = type(self).function(observation(readings, run), t)
        return answer


def function_agent(function: Any) -> type[Any]:
    """Return the class of an agent that asks a plain function `f(observation, t)` for each run's command.

    The function may carry `reads` (names of sensors, by default the world's own tables), `rate` [Hz] and `batch`
    (most runs at once; without it, each run has a copy of the function's code).
    """
    declared = declares(function)
    own = {"function": staticmethod(function), "reads": declared.reads, "rate": declared.rate}
    if declared.batch is not None:
        own["batch"] = declared.batch
    name = function.__name__
    return type(
        name, (FunctionAgent,), {**own, "__qualname__": name, "__module__": __name__, "__doc__": function.__doc__}
    )
