"""Where runs fail: outcomes and margins over two parameters, a row a cell.

The cells are the points of a grid where the runs have one (or any parameter of few values), and equal parts of the
range of what was drawn elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.tables import AnyArray, BoolArray, Column, FloatArray, IntArray
from mischance.errors import DatasetError, suggest

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

FEW = 40  # values of a parameter up to which each is a column or row of its own
CELLS = 10  # parts of the range of a parameter of more values
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class MapAxis:
    """One parameter: its cells by value (`edges` is empty) or by range.

    Attributes:
        values: the value of each cell, the middle of its range where it has one; shape (cells,).
        edges: borders of the ranges, ascending; shape (cells + 1,), or empty.
    """

    name: str
    unit: str
    values: AnyArray
    edges: FloatArray

    def cell(self, drawn: AnyArray) -> IntArray:
        """Return the cell of each value; shape (n,)."""
        if len(self.edges):
            found: IntArray = np.searchsorted(self.edges, drawn, side="right").astype(np.int64) - 1
            return np.clip(found, 0, len(self.values) - 1)  # the largest value belongs to the last cell
        return np.searchsorted(self.values, drawn).astype(np.int64)


@dataclass(frozen=True, slots=True)
class OutcomeMap:
    """Outcomes over two parameters, cell by cell; arrays have the shape (cells up, cells across).

    Attributes:
        across, up: the parameters.
        question: what a run fails by: 'a requirement is broken', or the name of the event.
        runs: runs with a verdict.
        failed: those of them that failed.
        undecided: runs that were cut short, or failed to play; they are in neither.
        margin: median of the event's margin over the runs with a verdict; NaN where there is none.
        least: the smallest margin.
    """

    across: MapAxis
    up: MapAxis
    question: str
    runs: IntArray
    failed: IntArray
    undecided: IntArray
    margin: FloatArray
    least: FloatArray

    def limits(self) -> tuple[FloatArray, FloatArray]:
        """Return Clopper-Pearson limits (95 %) of the share of runs that fail, undecided ones counted both ways."""
        from scipy.special import betaincinv

        n, k = self.runs + self.undecided, self.failed
        most = k + self.undecided
        tail = (1 - CONFIDENCE) / 2
        with np.errstate(invalid="ignore"):
            low = np.where(k > 0, betaincinv(np.maximum(k, 1), n - k + 1.0, tail), 0.0)
            high = np.where(most < n, betaincinv(most + 1.0, np.maximum(n - most, 1), 1 - tail), 1.0)
        return low, high

    def frame(self) -> pd.DataFrame:
        """Return a row a cell, also for cells without runs: the first parameter slowest, as in a grid.

        Columns: the parameters (with `<name>_from` and `<name>_to` where a cell is a range), runs, failed, undecided,
        share (of the runs that fail) with its limits low and high, margin_median and margin_min.
        """
        import pandas as pd

        low, high = self.limits()
        with np.errstate(invalid="ignore"):
            share = np.where(self.runs > 0, self.failed / np.maximum(self.runs, 1), np.nan)
        columns: dict[str, Any] = {}
        wide, tall = len(self.across.values), len(self.up.values)
        for axis, places in (
            (self.across, np.repeat(np.arange(wide), tall)),
            (self.up, np.tile(np.arange(tall), wide)),
        ):
            columns[axis.name] = axis.values[places]
            if len(axis.edges):
                columns[f"{axis.name}_from"], columns[f"{axis.name}_to"] = axis.edges[places], axis.edges[places + 1]
        cells = {
            "runs": self.runs, "failed": self.failed, "undecided": self.undecided, "share": share, "low": low,
            "high": high, "margin_median": self.margin, "margin_min": self.least,
        }  # fmt: skip
        found = pd.DataFrame(columns | {name: values.T.reshape(-1) for name, values in cells.items()})
        found.attrs["units"] = {axis.name: axis.unit for axis in (self.across, self.up) if axis.unit}
        return found


def outcome_map(
    runs: Mapping[str, AnyArray], columns: Mapping[str, Column], across: str, up: str, cells: int = CELLS
) -> OutcomeMap:
    """Return where runs fail, over two of their columns.

    A run fails where one of its requirements is broken; without requirements, where the event happens.

    Args:
        runs: columns of the table `runs`; shape (n,) each.
        columns: their declarations.
        across: parameter of the map's columns.
        up: parameter of its rows.
        cells: parts into which the range of a parameter of more than `FEW` values is cut.

    Raises:
        DatasetError: a parameter is no column, differs in no run, or is no number or word; or both are the same.
    """
    if across == up:
        raise DatasetError(f"a map over {across!r} and {up!r} has one parameter", "name two")
    axes = [_axis(name, runs, columns, cells) for name in (across, up)]
    verdicts = [name for name in runs if name.startswith("require.") and columns[name].dtype == "bool"]
    if verdicts:
        failed, question = ~np.logical_and.reduce([runs[name] for name in verdicts]), "a requirement is broken"
    elif "event" in runs:
        failed, question = runs["event"].astype(np.bool_), "the event happens"
    else:
        raise DatasetError("these runs have no event and no requirement: nothing fails", "add `event` or `require`")
    n = len(failed)
    undecided: BoolArray = runs["undecided"].astype(np.bool_) if "undecided" in runs else np.zeros(n, np.bool_)
    undecided = undecided & ~failed  # what is broken stays broken, however the run would have gone on
    margin = runs["margin"].astype(np.float64) if "margin" in runs else np.full(n, np.nan)
    shape = (len(axes[1].values), len(axes[0].values))
    place = axes[1].cell(runs[up]) * shape[1] + axes[0].cell(runs[across])

    def count(which: BoolArray) -> IntArray:
        return np.bincount(place[which], minlength=shape[0] * shape[1]).reshape(shape)

    middle, least = (np.full(shape, np.nan) for _ in range(2))
    decided = ~undecided & ~np.isnan(margin)
    order = np.flatnonzero(decided)[np.argsort(place[decided], kind="stable")]
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    for rows in np.split(order, starts[1:]) if len(order) else ():
        cell = np.unravel_index(place[rows[0]], shape)
        middle[cell], least[cell] = np.median(margin[rows]), margin[rows].min()
    return OutcomeMap(
        axes[0], axes[1], question, count(~undecided), count(failed), count(undecided), middle, least
    )  # fmt: skip


def _axis(name: str, runs: Mapping[str, AnyArray], columns: Mapping[str, Column], cells: int) -> MapAxis:
    if name not in runs:
        known = [key for key, column in columns.items() if column.role not in ("key", "label")]
        raise DatasetError(f"the runs have no parameter {name!r}", suggest(name, known))
    drawn = runs[name]
    unit = columns[name].unit
    if drawn.dtype.kind not in "OUSifb":
        raise DatasetError(f"{name!r} is neither a number nor a word")
    if drawn.dtype.kind == "f" and not np.isfinite(drawn).all():
        raise DatasetError(
            f"{name!r} is not finite in every run", "a map needs a value for each run: a drawn one has it"
        )
    values = np.unique(drawn.astype(str) if drawn.dtype.kind in "OUS" else drawn)
    if len(values) < 2:
        raise DatasetError(f"{name!r} is {_plain(values)} in every run", "a map needs parameters that differ")
    if len(values) <= FEW or values.dtype.kind in "US":
        return MapAxis(name, unit, values, np.zeros(0))
    edges = np.linspace(float(values[0]), float(values[-1]), cells + 1)
    return MapAxis(name, unit, 0.5 * (edges[:-1] + edges[1:]), edges)


def _plain(values: AnyArray) -> str:
    return str(values[0]) if len(values) else "absent"
