"""Requirements such as `always ego.gap > 0 m`: a small signal temporal logic, with a margin for an answer.

    always A                    at every sample from here to the run's end
    eventually A                at some sample from here to the run's end
    always within 3 s A         at every sample of the next 3 s      (also: eventually within 3 s A)
    always after 1 s A          at every sample from 1 s on          (also: after 1 s within 3 s)
    for 2 s A                   at every sample of the next 2 s, and the run lasts that long
    A until B                   B holds at some sample, A at all before it      (also: until within 3 s B)
    A implies B, A and B, A or B, not A, (A)

A is a comparison of expressions (`abs(ego.jerk) < 15 m/s3`), a name that is true or false, or a formula. `always`,
`eventually` and `for` reach as far right as they can: `always A or B` is `always (A or B)`. `not` binds tightest,
then `and`, `or`, `until`, `implies`. A requirement is judged at a run's first sample.

**Robustness** is by how much it holds: `a > b` gives a - b, `and` and `always` the least, `or` and `eventually` the
greatest, `not` the opposite. What is only true or false gives +inf or -inf. Margins are SI numbers without their
units: one requirement a quantity keeps them readable. Above zero it holds, below zero it does not; at zero `a >= b`
holds and `a > b` does not, which is why `satisfied` is worked out by itself.

**Samples.** A formula speaks of samples and says nothing about what lies between them. A window's edges belong to it,
a nanosecond counts as nothing, and where it reaches beyond the run's end it stops there: `always` asks what there is,
`eventually` must have come true by then, and a window without any sample satisfies `always` alone. `for` is stricter:
`for T A` is `(always within T A) and eventually after T true`, so that the last sample of a run cannot pass for two
seconds of it. What has no value (NaN) makes every comparison false except `!=`.

Source:
    A. Donzé, O. Maler, Robust satisfaction of temporal logic over real-valued signals, FORMATS 2010.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mischance.errors import TruthError
from mischance.language.temporal.grammar import WORDS, Node, parse

if TYPE_CHECKING:
    from mischance.api.tables import BoolArray, FloatArray, IntArray, Schema, Table


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one run stands to one requirement; `t_violation` [s] is NaN and `reason` empty where it is satisfied."""

    satisfied: bool
    robustness: float
    t_violation: float = math.nan
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A compiled requirement.

    `signals` of its methods: name -> one value a sample, shape (n,), numbers or booleans; a single number counts for
    every sample. `t`: times of the samples, finite and increasing, not necessarily even, shape (n,) [s].

    Its methods raise TruthError where there is no sample or shapes and times do not fit, and ExpressionError where a
    name has no value.
    """

    text: str
    names: tuple[str, ...]
    _tree: Node = field(repr=False, compare=False)

    def judge(self, signals: Mapping[str, Any], t: FloatArray) -> Verdict:
        """Return the verdict of one run."""
        from mischance.language.temporal.explanation import Reasons
        from mischance.language.temporal.robustness import robustness, trace

        samples = trace(signals, self.names, t)
        margin = float(robustness(self._tree, samples)[0])
        reasons = Reasons(samples)
        if margin > 0.0 or (margin == 0.0 and reasons.holds(self._tree)[0]):
            return Verdict(True, margin)
        return Verdict(False, margin, *reasons.why_not(self._tree, 0))

    def robustness(self, signals: Mapping[str, Any], t: FloatArray) -> float:
        """Return by how much one run satisfies it (> 0) or breaks it (< 0); SI, or ±inf."""
        return float(self.robustness_of(signals, t)[0])

    def satisfied(self, signals: Mapping[str, Any], t: FloatArray) -> bool:
        """Return whether one run satisfies it."""
        return bool(self.satisfied_of(signals, t)[0])

    def first_violation(self, signals: Mapping[str, Any], t: FloatArray) -> float:
        """Return when one run first broke it [s]: a condition failed, a deadline passed, the run ended; else NaN."""
        return self.judge(signals, t).t_violation

    def robustness_of(self, signals: Mapping[str, Any], t: FloatArray, offsets: IntArray | None = None) -> FloatArray:
        """Return the robustness of many runs, shape (runs,).

        Args:
            signals: name -> the columns of all runs, one after the other, shape (rows,).
            t: times, increasing within each run, shape (rows,) [s].
            offsets: rows of run i are offsets[i]:offsets[i + 1], shape (runs + 1,); one run where not given.
        """
        from mischance.language.temporal.robustness import robustness, trace

        samples = trace(signals, self.names, t, offsets)
        return robustness(self._tree, samples)[samples.offsets[:-1]]

    def satisfied_of(self, signals: Mapping[str, Any], t: FloatArray, offsets: IntArray | None = None) -> BoolArray:
        """Return which of many runs satisfy it, shape (runs,); arguments as of `robustness_of`."""
        from mischance.language.temporal.robustness import robustness, trace, truth

        samples = trace(signals, self.names, t, offsets)
        holds: BoolArray = robustness(self._tree, samples, truth)[samples.offsets[:-1]] > 0.0
        return holds

    def __reduce__(self) -> tuple[Callable[[str], Requirement], tuple[str]]:
        return compile_requirement, (self.text,)  # text travels between processes, trees need not


def compile_requirement(
    text: str, names: Collection[str] | None = None, dimensions: Mapping[str, str] | None = None
) -> Requirement:
    """Return the requirement that a text means.

    Args:
        text: what the scenario says.
        names: the declared names, dotted ones included; None takes any name.
        dimensions: those of names, as far as they are known; None checks no dimension.

    Raises:
        ExpressionError: what cannot be read, is not declared, has two readings or compares a length with a time,
            with its column in `text`.
    """
    tree, found = parse(text, names, dimensions)
    return Requirement(text, found, tree)


# -- signals of a run -------------------------------------------------------------------------------------------------


def signal_names(schema: Schema, by: str = "actor") -> tuple[str, ...]:
    """Return the names under which `signals_of` finds the columns of a table with that schema."""
    columns = [name for name, column in schema.items() if name != "t" and column.dtype not in ("category", "text")]
    if by not in schema:
        return tuple(columns)
    return tuple(f"{who}.{name}" for who in schema[by].names for name in columns)


def signals_of(
    table: Table, run: int, by: str = "actor", names: Iterable[str] | None = None
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return the times and signals of one run of a table: column `speed` of the rows of `ego` is `ego.speed`.

    The times are those of all rows. A row holds until the next one of the same subject; before its first row, a
    subject has no value (NaN). Of two rows at one time the later counts.

    Args:
        table: numeric columns, times `t`, and perhaps a category column that says whose row it is.
        run: which of the table's runs.
        by: that category column; without it, columns keep their names.
        names: the signals wanted; all where not given.

    Raises:
        TruthError: the table has no such run, or no times.
    """
    import numpy as np

    if not 0 <= run < table.runs or "t" not in table.schema:
        raise TruthError(f"no signals: the table has {table.runs} runs and the columns {', '.join(table.schema)}")
    rows = table.run(run)
    known = signal_names(table.schema, by)
    wanted = known if names is None else [name for name in known if name in set(names)]
    t = np.unique(rows["t"].astype(np.float64))
    found: dict[str, FloatArray] = {}
    places: dict[str, tuple[IntArray, IntArray]] = {}
    for name in wanted:
        who, _, column = name.rpartition(".")
        if who not in places:
            mine = np.arange(len(rows["t"]))
            if by in table.schema:
                mine = np.flatnonzero(rows[by] == table.schema[by].names.index(who))
            places[who] = mine, np.searchsorted(rows["t"][mine], t, side="right") - 1
        mine, last = places[who]
        signal = np.full(len(t), math.nan)
        signal[last >= 0] = rows[column][mine[last[last >= 0]]]
        found[name] = signal
    return t, found


__all__ = ["WORDS", "Requirement", "Verdict", "compile_requirement", "signal_names", "signals_of"]
