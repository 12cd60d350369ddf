"""Requirements such as `always ego.gap > 0 m`: a small signal temporal logic with robustness.

    always A                    at every sample from now to the run's end
    eventually A                at some sample from now to the run's end
    always within 3 s A         at every sample of the next 3 s      (also: eventually within 3 s A)
    always after 1 s A          at every sample from 1 s on          (also: after 1 s within 3 s)
    for 2 s A                   at every sample of the next 2 s, and the run lasts that long
    A until B                   B holds at some sample, A at all before it      (also: until within 3 s B)
    A implies B, A and B, A or B, not A, (A)

A is a comparison of expressions (`abs(ego.jerk) < 15 m/s3`), a name that is true or false, or a formula. `always`,
`eventually` and `for` extend as far right as possible: `always A or B` is `always (A or B)`. `not` binds tightest,
then `and`, `or`, `until`, `implies`. A requirement is evaluated at a run's first sample.

**Robustness** is the margin by which it holds: `a > b` gives a - b, `and` and `always` the minimum, `or` and
`eventually` the maximum, `not` the negative. Booleans give +inf or -inf. Margins are SI numbers without units: write
one requirement per quantity. Above zero it holds, below zero it does not; at zero `a >= b` holds and `a > b` does
not, so `satisfied` is computed separately.

**Samples.** A formula is about samples only, not about the time between them. A window includes its edges, with a
tolerance of a nanosecond, and ends at the run's end: `always` applies to the existing samples, `eventually` must be
true at one of them, and a window without samples satisfies `always` only. `for` is stricter: `for T A` is
`(always within T A) and eventually after T true`, so that the last sample of a run does not count as two seconds. A
missing value (NaN) makes every comparison false except `!=`.

Source:
    A. Donzé, O. Maler, Robust satisfaction of temporal logic over real-valued signals, FORMATS 2010.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mischance import units
from mischance.errors import TruthError
from mischance.language.temporal.grammar import WORDS, parse
from mischance.language.temporal.tree import Node

if TYPE_CHECKING:
    from mischance.api.tables import BoolArray, FloatArray, IntArray, Schema, Table


_QUANTITY = rf"{units.NUMBER}\s*[A-Za-z%][A-Za-z0-9_]*(?:/[A-Za-z0-9_]+)*"  # or a number before a word such as `and`
_NAME = re.compile(rf"(?:{_QUANTITY})|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of one requirement in one run; `t_violation` [s] is NaN and `reason` empty if it is satisfied."""

    satisfied: bool
    robustness: float
    t_violation: float = math.nan
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Requirement:
    """A compiled requirement.

    `signals` of its methods: name -> one value per sample, shape (n,), numbers or booleans; a single number applies to
    every sample. `t`: times of the samples, finite and increasing, any spacing, shape (n,) [s].

    Its methods raise TruthError if there are no samples or shapes and times do not fit, and ExpressionError if a
    name has no value.
    """

    text: str
    names: tuple[str, ...]
    _tree: Node = field(repr=False, compare=False)

    @property
    def tree(self) -> Node:
        """The formula."""
        return self._tree

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
        """Return the margin by which one run satisfies (> 0) or violates (< 0) it; SI, or ±inf."""
        return float(self.robustness_of(signals, t)[0])

    def satisfied(self, signals: Mapping[str, Any], t: FloatArray) -> bool:
        """Return whether one run satisfies it."""
        return bool(self.satisfied_of(signals, t)[0])

    def first_violation(self, signals: Mapping[str, Any], t: FloatArray) -> float:
        """Return when one run first violated it [s]: a condition fails, a deadline passes, the run ends; or NaN."""
        return self.judge(signals, t).t_violation

    def robustness_of(self, signals: Mapping[str, Any], t: FloatArray, offsets: IntArray | None = None) -> FloatArray:
        """Return the robustness of many runs, shape (runs,).

        Args:
            signals: name -> concatenated values of all runs, shape (rows,).
            t: times, increasing within each run, shape (rows,) [s].
            offsets: rows of run i are offsets[i]:offsets[i + 1], shape (runs + 1,); one run by default.
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
        return compile_requirement, (self.text,)  # pickled as text


def compile_requirement(
    text: str, names: Collection[str] | None = None, dimensions: Mapping[str, str] | None = None
) -> Requirement:
    """Return the compiled requirement of a text.

    Args:
        text: the requirement.
        names: the declared names, dotted ones included; None allows any name.
        dimensions: dimensions of names, as far as known; None = no check of dimensions.

    Raises:
        ExpressionError: an element that cannot be parsed, is not declared, is ambiguous or has another
            dimension, with its column in `text`.
    """
    tree, found = parse(text, names, dimensions)
    return Requirement(text, found, tree)


def renamed(text: str, name_of: Callable[[str], str]) -> str:
    """Return a requirement's text with other names: `name_of` gives the new one of each.

    Raises:
        ExpressionError: the text cannot be parsed.
    """
    own = compile_requirement(text).names
    return _NAME.sub(lambda found: name_of(found[0]) if found[0] in own else found[0], text)


# -- signals of a run -------------------------------------------------------------------------------------------------


def signal_names(schema: Schema) -> tuple[str, ...]:
    """Return the signal names that `signals_of` derives from the columns of a table."""
    by = _subject(schema)
    columns = [name for name, column in schema.items() if name != "t" and column.dtype not in ("category", "text")]
    if not by:
        return tuple(columns)
    return tuple(f"{who}.{name}" for who in schema[by].names for name in columns)


def _subject(schema: Schema) -> str:
    """Return the column whose words are the first parts of signal names; '' = signals are called as columns are."""
    from mischance.api.tables import entity_column

    by = entity_column(schema)
    return by if by and schema[by].dtype in ("category", "text") else ""


def signals_of(table: Table, run: int, names: Iterable[str] | None = None) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return the times and signals of one run of a table: column `speed` of the rows of `ego` is `ego.speed`.

    The times are those of all rows. A row holds until the next one of the same subject; before its first row, a
    subject has no value (NaN). Of two rows at one time the later one counts.

    Args:
        table: numeric columns, times `t`, and optionally a category column of the role `entity` with the subject of
            each row; without it, columns keep their names.
        run: index of the run in the table.
        names: the signals to return; all by default.

    Raises:
        TruthError: the table has no such run, or no times.
    """
    import numpy as np

    if not 0 <= run < table.runs or "t" not in table.schema:
        raise TruthError(f"no signals: the table has {table.runs} runs and the columns {', '.join(table.schema)}")
    rows = table.run(run)
    by, known = _subject(table.schema), signal_names(table.schema)
    wanted = known if names is None else [name for name in known if name in set(names)]
    t = np.unique(rows["t"].astype(np.float64))
    found: dict[str, FloatArray] = {}
    places: dict[str, tuple[IntArray, IntArray]] = {}
    for name in wanted:
        who, _, column = name.rpartition(".")
        if who not in places:
            mine = np.arange(len(rows["t"]))
            if by:
                mine = np.flatnonzero(rows[by] == table.schema[by].names.index(who))
            places[who] = mine, np.searchsorted(rows["t"][mine], t, side="right") - 1
        mine, last = places[who]
        signal = np.full(len(t), math.nan)
        signal[last >= 0] = rows[column][mine[last[last >= 0]]]
        found[name] = signal
    return t, found


__all__ = ["WORDS", "Requirement", "Verdict", "compile_requirement", "renamed", "signal_names", "signals_of"]
