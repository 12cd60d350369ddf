"""Evaluates `require` and `event.level`: keeps the signals that they name, and evaluates them at a run's end."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mischance.api.appearance import TABLES as APPEARANCE
from mischance.api.runs import Chunk
from mischance.api.tables import (
    AnyArray,
    BoolArray,
    Column,
    FloatArray,
    IntArray,
    Schema,
    Signals,
    Table,
    entity_column,
    join_tables,
    seconds,
)
from mischance.errors import RunError, suggest
from mischance.language.expressions.parsing import Expression
from mischance.language.temporal.requirement import Requirement, Verdict, signal_names, signals_of

PREFIX = "require."


@dataclass(frozen=True, slots=True)
class Judged:
    """What the requirements say of a batch: name -> one verdict a run."""

    verdicts: Mapping[str, Sequence[Verdict]]

    def columns(self) -> dict[str, AnyArray]:
        """Return `require.<name>` -> whether each run kept it, and `.margin` -> its robustness; shape (runs,)."""
        found: dict[str, AnyArray] = {}
        for name, verdicts in self.verdicts.items():
            found[f"{PREFIX}{name}"] = np.array([verdict.satisfied for verdict in verdicts], np.bool_)
            found[f"{PREFIX}{name}.margin"] = np.array([verdict.robustness for verdict in verdicts], np.float64)
        return found

    def broken(self, run: int) -> list[tuple[str, Verdict]]:
        """Return the requirements that a run broke, the first broken first."""
        found = [(name, verdicts[run]) for name, verdicts in self.verdicts.items() if not verdicts[run].satisfied]
        return sorted(found, key=lambda entry: (not entry[1].t_violation >= 0.0, entry[1].t_violation, entry[0]))


class Monitor:
    """Collects the columns of truth tables and the channels that requirements and a level name, for one batch.

    Only what is named is kept, so memory grows with the length of a run by a few bytes a sample.
    """

    def __init__(
        self, requirements: Mapping[str, Requirement], level: Expression | None = None, worlds: Collection[str] = ()
    ) -> None:
        self._requirements, self._level, self._worlds = requirements, level, worlds
        self._of_level = set(level.names) if level else set[str]()
        self._wanted = {name for requirement in requirements.values() for name in requirement.names}
        self._kept: dict[str, list[Table]] = {}
        self._known: set[str] = set()

    def add(self, chunk: Chunk) -> None:
        """Keep what is needed of a chunk."""
        if not self._requirements and self._level is None:
            return
        wanted = self._wanted | self._of_level
        for key, own in chunk.tables.items():
            if "t" in own.schema:
                table = _under_name(_coded(own, key, self._world(key), wanted), self._world(key))
                names = signal_names(table.schema)
                self._known.update(names)
                if wanted & set(names):
                    self._kept.setdefault(f"tables/{key}", []).append(_needed(table, wanted))
        for key, part in chunk.signals.items():
            world = self._world(key)
            channels = {f"{world}.{name}" if world else name: name for name in part.channels}
            self._known.update(channels)
            if wanted & channels.keys():
                sampled = _sampled(part, {channels[name] for name in wanted & channels.keys()})
                self._kept.setdefault(f"signals/{key}", []).append(_under_name(sampled, world))

    def _world(self, key: str) -> str:
        """Return which of several worlds a table or signals of that name are from; '' where there is one."""
        world = key.partition(".")[0]
        return world if world in self._worlds else ""

    def _tables(self, wanted: set[str]) -> list[Table]:
        """Return what was kept of the tables that have a wanted name: the others' times are none of its samples."""
        return [join_tables(parts) for parts in self._kept.values() if wanted & set(signal_names(parts[0].schema))]

    def judge(self, constants: Mapping[str, AnyArray], runs: int) -> Judged:
        """Return the verdicts of all runs.

        Args:
            constants: measures and drawn values; a name that no signal has takes them for every sample.
            runs: how many runs the batch has.

        Raises:
            RunError: a name is neither a signal nor a measure nor a drawn value.
        """
        tables = self._tables(self._wanted)
        signals = {name for table in tables for name in signal_names(table.schema)}
        for name in sorted(self._wanted - signals - set(constants)):
            known = [*sorted(self._known), *constants]
            raise RunError(f"`require` speaks of '{name}', which this world does not have", suggest(name, known))
        if not self._requirements:
            return Judged({})
        verdicts: dict[str, list[Verdict]] = {name: [] for name in self._requirements}
        margins = self._margins(tables, constants, signals)
        for run in range(runs):
            if margins is not None and all(margin[run] > 0.0 for margin in margins.values()):
                for name, margin in margins.items():
                    verdicts[name].append(Verdict(True, float(margin[run])))
                continue
            t, values = _of_run(tables, run, self._wanted & signals)
            for name in self._wanted - signals:
                values[name] = constants[name][run]
            for name, requirement in self._requirements.items():
                verdicts[name].append(requirement.judge({own: values[own] for own in requirement.names}, t))
        return Judged(verdicts)

    def _margins(
        self, tables: Sequence[Table], constants: Mapping[str, AnyArray], signals: set[str]
    ) -> dict[str, FloatArray] | None:
        """Return the robustness of every run in one pass, where all signals have a sample at each of the same times.

        What is kept needs no more than that; why something was broken is asked run by run.
        """
        if not tables or not self._requirements:
            return None
        values: dict[str, AnyArray] = {}
        t, offsets = np.zeros(0), np.zeros(0, np.int64)
        for table in tables:
            found = _side_by_side(table, self._wanted & set(signal_names(table.schema)))
            if found is None or (values and not (np.array_equal(t, found[0]) and np.array_equal(offsets, found[2]))):
                return None
            t, offsets = found[0], found[2]
            values |= found[1]
        for name in self._wanted - signals:
            values[name] = np.repeat(constants[name], np.diff(offsets))
        return {
            name: requirement.robustness_of({own: values[own] for own in requirement.names}, t, offsets)
            for name, requirement in self._requirements.items()
        }

    def levels(self, constants: Sequence[Mapping[str, Any]]) -> list[tuple[FloatArray, FloatArray]]:
        """Return the level of each run over time: times (n,) [s] and values (n,), NaN where it has none.

        Args:
            constants: the drawn values of each run; a signal of the same name goes before them.

        Raises:
            RunError: there is no level, or it names what is neither a signal nor a drawn value.
        """
        if self._level is None:
            raise RunError("the scenario's event has no level", "add `level:` to `event`")
        tables = self._tables(self._of_level)
        signals = self._of_level & {name for table in tables for name in signal_names(table.schema)}
        found = []
        for run, own in enumerate(constants):
            for name in sorted(self._of_level - signals - set(own)):
                known = [*sorted(self._known), *own]
                raise RunError(
                    f"`event.level` speaks of '{name}', which this world does not have", suggest(name, known)
                )
            t, values = _of_run(tables, run, signals)
            columns = {name: values[name] if name in signals else np.full(len(t), own[name]) for name in self._of_level}
            value = np.broadcast_to(np.asarray(self._level(columns), np.float64), t.shape).copy()
            # The world has no level before its signals begin: a comparison with NaN is no "far away".
            value[np.any([np.isnan(columns[name]) for name in columns], axis=0)] = np.nan
            found.append((t, value))
        return found


def _coded(table: Table, key: str, world: str, wanted: set[str]) -> Table:
    """Return the table with the wanted entities as categories, where they are text; rows of others are left out."""
    by = entity_column(table.schema)
    if not by or table.schema[by].dtype != "text" or key.rpartition(".")[2] in APPEARANCE:
        return table
    own = {name.removeprefix(f"{world}.") for name in wanted} if world else wanted
    names = tuple(sorted({who for who, dot, name in (n.rpartition(".") for n in own) if dot and name in table.schema}))
    if not names:
        return table
    words = table.columns[by]
    rows = table.take(np.isin(words.astype(str), names) if len(words) else np.zeros(0, np.bool_))
    codes = np.searchsorted(names, rows.columns[by].astype(str)).astype(np.int32)
    named = replace(rows.schema[by], dtype="category", names=names)
    return Table({**rows.schema, by: named}, {**rows.columns, by: codes}, rows.offsets)


def _under_name(table: Table, world: str) -> Table:
    """Return the table such that its signals carry the name of one of several worlds: `floor.level`, `floor.ego.x`."""
    if not world:
        return table
    by = entity_column(table.schema)
    if by and table.schema[by].dtype in ("category", "text"):
        column = table.schema[by]
        named = replace(column, names=tuple(f"{world}.{name}" for name in column.names))
        return Table({**table.schema, by: named}, table.columns, table.offsets)
    alone = Column("category", names=(world,), role="entity")
    columns = {_WORLD: np.zeros(len(table), np.int32), **table.columns}
    return Table({_WORLD: alone, **table.schema}, columns, table.offsets)


_WORLD = "of which world"  # no column of a world has blanks in its name


def _sampled(part: Signals, wanted: set[str]) -> Table:
    """Return the wanted channels as a table."""
    places = [i for i, name in enumerate(part.channels) if name in wanted]
    names = [name for name in part.channels if name in wanted]
    t = part.t()
    rows = [
        {"t": t[: int(part.counts[run])], **{name: part.run(run)[:, i] for name, i in zip(names, places, strict=True)}}
        for run in range(part.runs)
    ]
    return Table.of({"t": Column(unit="s"), **{name: Column() for name in names}}, rows)


def _needed(table: Table, wanted: set[str]) -> Table:
    """Return the table with those columns alone that a wanted name ends in."""
    ends = {name.rpartition(".")[2] for name in wanted}
    kept: Schema = {
        name: column for name, column in table.schema.items() if name in (*ends, "t", entity_column(table.schema))
    }
    columns = {name: table.columns[name] for name in kept}
    t = seconds(columns["t"], table.schema)
    return Table({**kept, "t": Column(unit="s")}, {**columns, "t": t}, table.offsets)


def _side_by_side(table: Table, wanted: set[str]) -> tuple[FloatArray, dict[str, AnyArray], IntArray] | None:
    """Return times, signals and offsets of all runs of a table, or None where a signal misses or repeats a time.

    What is returned is what `signals_of` finds of each run, one after the other.
    """
    t = table.columns["t"].astype(np.float64)
    run = table.run_index()
    first = np.ones(len(t), np.bool_)  # of the rows of one time of a run
    first[1:] = (t[1:] != t[:-1]) | (run[1:] != run[:-1])
    times = t[first]
    by = entity_column(table.schema)
    values: dict[str, AnyArray] = {}
    rows: dict[str, BoolArray] = {}
    for name in wanted:
        who, _, column = name.rpartition(".")
        if who not in rows:
            mine = np.ones(len(t), np.bool_)
            if by and table.schema[by].dtype == "category":
                mine = table.columns[by] == table.schema[by].names.index(who)
            if mine.sum() != len(times) or (t[mine] != times).any() or (run[mine] != run[first]).any():
                return None
            rows[who] = mine
        values[name] = table.columns[column][rows[who]].astype(np.float64)
    offsets = np.concatenate([[0], np.cumsum(first)])[table.offsets]
    return (times, values, offsets) if (np.diff(offsets) > 0).all() else None


def _of_run(tables: Sequence[Table], run: int, wanted: set[str]) -> tuple[FloatArray, dict[str, Any]]:
    """Return one time axis and the wanted signals of a run on it; a table's last row holds until its next."""
    parts = [signals_of(table, run, names=wanted & set(signal_names(table.schema))) for table in tables]
    if not parts:
        return np.zeros(1), {}
    if len(parts) == 1:
        return parts[0]
    t = np.unique(np.concatenate([times for times, _ in parts]))
    values: dict[str, Any] = {}
    for times, signals in parts:
        place = np.searchsorted(times, t, side="right") - 1
        for name, signal in signals.items():
            values[name] = np.where(place >= 0, np.asarray(signal, np.float64)[np.maximum(place, 0)], np.nan)
    return t, values
