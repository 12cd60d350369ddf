"""The label of a window: which fault or event is in force for what part of it, or what most of its rows are labelled.

Classes are numbers: 0 is none, then the classes in their order, and `UNKNOWN` where nothing was reported yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from mischance.api.tables import AnyArray, FloatArray, IntArray

UNKNOWN = -1
NONE = "none"


@dataclass(frozen=True, slots=True)
class Found:
    """Labels of n windows: number of the class, `label_id` of the label that it is from ('' = none), its share."""

    y: IntArray
    label_id: AnyArray
    share: FloatArray


class Intervals:
    """Labels that are in force over stretches of time.

    A window gets the class of the label that is in force for the largest part of it, if that is at least `share`: of
    equal parts, the one that began first. With `share` 0 any label that touches the window counts, also one of an
    event without duration.

    Args:
        labels: rows of the table `labels`, as they are known.
        column: column of the classes.
        classes: their names, `NONE` first; labels of other classes count for nothing.
        begin: column of the time from which a label counts: t_cause, t_effect or t_observable; null = never.
        share: least part of the window.
        complete: whether these are all labels that there are; else a window without one is `UNKNOWN`.
    """

    def __init__(
        self, labels: pd.DataFrame, column: str, classes: tuple[str, ...], begin: str, share: float, *, complete: bool
    ) -> None:
        chosen = labels[labels[begin].notna() & labels[column].isin(classes)]
        chosen = chosen.sort_values(["run", "t_cause", "label_id"], kind="stable")
        self._run = chosen["run"].to_numpy(np.int64)
        self._begin = chosen[begin].to_numpy(np.float64)
        self._end = chosen["t_end"].fillna(np.inf).to_numpy(np.float64)
        self._ids = chosen["label_id"].astype(object).to_numpy()
        self._codes = np.array([classes.index(name) for name in chosen[column]], np.int64)
        self._share = share
        self._none = 0 if complete else UNKNOWN

    def of(self, run: IntArray, first: FloatArray, last: FloatArray) -> Found:
        """Return the labels of windows that go from `first` up to `last` [s]; shapes (n,)."""
        n = len(run)
        y, share = np.full(n, self._none, np.int64), np.zeros(n)
        label_id = np.full(n, "", object)
        best = np.full(n, -1.0)
        span = last - first
        for number in np.unique(run).tolist():
            windows = np.flatnonzero(run == number)
            low, high = first[windows], last[windows]
            for i in range(*np.searchsorted(self._run, [number, number + 1]).tolist()):
                overlap = np.clip(np.minimum(high, self._end[i]) - np.maximum(low, self._begin[i]), 0.0, None)
                touches = (self._begin[i] < high) & (self._end[i] > low) | (self._begin[i] >= low) & (
                    self._begin[i] < high
                )
                touches |= (low == high) & (self._begin[i] <= low) & (self._end[i] > low)
                part = np.divide(overlap, span[windows], out=touches.astype(np.float64), where=span[windows] > 0)
                better = touches & (part >= self._share) & (part > best[windows])
                mine = windows[better]
                best[mine] = share[mine] = part[better]
                y[mine], label_id[mine] = self._codes[i], self._ids[i]
        return Found(y, label_id, share)


def of_rows(codes: IntArray, classes: int, share: float) -> Found:
    """Return the labels of windows from those of their rows: the class, other than none, that most rows have.

    It counts if at least the part `share` of the rows has it, and one row; else, if as large a part is unknown, the
    window is unknown; else it is none.

    Args:
        codes: number of the class of each row; shape (n, length).
        classes: how many classes there are, none included.
        share: least part of the rows.
    """
    n = len(codes)
    y, best = np.zeros(n, np.int64), np.zeros(n)
    for code in range(1, classes):
        part = (codes == code).mean(axis=1)
        better = (part >= share) & (part > best)
        y[better], best[better] = code, part[better]
    unknown = (codes == UNKNOWN).mean(axis=1)
    y[(y == 0) & (unknown > 0) & (unknown >= share)] = UNKNOWN
    return Found(y, np.full(n, "", object), best)


def class_names(values: Any) -> tuple[str, ...]:
    """Return the classes of a column of row labels, `NONE` first: of a category its fixed list, of yes or no 'yes'."""
    dtype = values.dtype
    if str(dtype) in ("bool", "boolean"):
        return NONE, "yes"
    names = values.cat.categories if str(dtype) == "category" else sorted(set(values.dropna()))
    return NONE, *map(str, names)


def row_codes(values: pd.Series, classes: tuple[str, ...], *, complete: bool) -> IntArray:
    """Return the number of each row's class; null is none where the truth is complete, else `UNKNOWN`."""
    empty = 0 if complete else UNKNOWN
    if str(values.dtype) in ("bool", "boolean"):
        return np.array(values.astype("Int64").fillna(empty), np.int64)
    number = {name: code for code, name in enumerate(classes)}
    return np.array(values.astype(object).map(number).astype("Float64").fillna(empty), np.int64)


__all__ = ["NONE", "UNKNOWN", "Found", "Intervals", "class_names", "of_rows", "row_codes"]
