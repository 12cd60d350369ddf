"""Cuts the rows of a table into windows of equal length, a piece of the table at a time, in flat memory.

Windows are cut within one run and, where rows are about several entities, within one entity. Window k of them begins at
their row k * step. The order of windows is that of their last rows in the table, whatever the size of the pieces.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from mischance.api.tables import AnyArray, BoolArray, FloatArray, IntArray

EVEN = 0.02  # how far the distance of two rows may be from the usual one, as a part of it


@dataclass(frozen=True, slots=True)
class Cut:
    """How rows are cut.

    Attributes:
        length: rows of a window.
        step: rows from the beginning of one window to that of the next.
        rate: rows a second where they are to be evenly spaced in time, else 0: windows over a gap are left out.
        time: name of the column of times.
        by: name of the column that says whom a row is about; '' = all rows of a run belong together.
        channels: columns whose values are wanted; () = none.
        codes: name of a column of whole numbers, one a row, that is handed on; '' = none.
    """

    length: int
    step: int
    rate: float
    time: str
    by: str = ""
    channels: tuple[str, ...] = ()
    codes: str = ""


@dataclass(frozen=True, slots=True)
class Slices:
    """Windows that end in one piece of a table; arrays of n windows.

    `first`, `last`: times of their first and last rows [s]; `values` (n, length, channels) float32, None where none are
    wanted; `codes` (n, length), None likewise; `who`: their entity, None where rows belong together.
    """

    run: IntArray
    first: FloatArray
    last: FloatArray
    whole: BoolArray
    values: AnyArray | None
    codes: IntArray | None
    who: AnyArray | None

    def take(self, rows: AnyArray) -> Slices:
        """Return some of the windows, by number or where a mask is true."""
        columns: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        taken: dict[str, Any] = {name: None if one is None else one[rows] for name, one in columns.items()}
        return Slices(**taken)


@dataclass(slots=True)
class _Rest:
    """Rows of one run and entity that later windows need; the first is row `at`, the next window `window`."""

    at: int
    window: int
    t: FloatArray
    values: AnyArray
    codes: IntArray


def slices(pieces: Iterator[pd.DataFrame], cut: Cut) -> Iterator[Slices]:
    """Yield the windows that end in each piece of a table, whose runs ascend."""
    rests: dict[Any, _Rest] = {}
    for piece in pieces:
        run = piece["run"].to_numpy()
        found: list[tuple[IntArray, Slices]] = []
        for key, rows in _groups(piece, run, cut.by):
            rest = rests.get(key)
            part, rests[key] = _cut_one(piece, rows, key, rest, cut)
            found += [part] if len(part[0]) else []
        rests = {key: rest for key, rest in rests.items() if key[0] == run[-1]}
        if found:
            yield _in_order(found)


def _groups(piece: pd.DataFrame, run: IntArray, by: str) -> Iterator[tuple[tuple[int, Any], IntArray]]:
    """Yield (run, entity) and the numbers of its rows."""
    if not by:
        starts = np.concatenate([[0], np.flatnonzero(np.diff(run)) + 1])
        for low, high in zip(starts, np.append(starts[1:], len(run)), strict=True):
            yield (int(run[low]), None), np.arange(low, high)
        return
    groups: Any = piece.groupby(["run", by], sort=False, observed=True).indices
    for (number, who), rows in groups.items():
        yield (int(number), who), np.asarray(rows, np.int64)


def _cut_one(
    piece: pd.DataFrame, rows: IntArray, key: tuple[int, Any], rest: _Rest | None, cut: Cut
) -> tuple[tuple[IntArray, Slices], _Rest]:
    """Return the windows of one run and entity that end in these rows, where each ends, and what is left for later."""
    t = piece[cut.time].to_numpy(np.float64)[rows]
    values = np.stack(
        [piece[name].to_numpy(np.float32)[rows] for name in cut.channels] or [np.zeros(len(rows), np.float32)], axis=1
    )
    codes = piece[cut.codes].to_numpy(np.int64)[rows] if cut.codes else np.zeros(len(rows), np.int64)
    at, window = (rest.at, rest.window) if rest else (0, 0)
    if rest:
        t = np.concatenate([rest.t, t])
        values, codes = np.concatenate([rest.values, values]), np.concatenate([rest.codes, codes])
    count = max((at + len(t) - cut.length) // cut.step + 1 - window, 0) if at + len(t) >= cut.length else 0
    begin = (window + np.arange(count)) * cut.step - at
    end = begin + cut.length - 1
    # rows of this piece are the last ones of `t`
    places = rows[end - (len(t) - len(rows))] if count else np.zeros(0, np.int64)
    whole = np.ones(count, np.bool_)
    if cut.rate and count:
        odd = np.abs(np.diff(t) * cut.rate - 1.0) > EVEN
        gaps = np.concatenate([[0], np.cumsum(odd)])
        whole = gaps[end] == gaps[begin]
    view = np.lib.stride_tricks.sliding_window_view
    taken = np.swapaxes(view(values, cut.length, axis=0)[begin], 1, 2) if count else values[:0, None]
    coded = view(codes, cut.length)[begin] if count else codes[:0, None]
    part = Slices(
        np.full(count, key[0], np.int64), t[begin], t[end], whole,
        taken if cut.channels else None, coded if cut.codes else None,
        np.full(count, key[1], object) if cut.by else None,
    )  # fmt: skip
    keep = min(max((window + count) * cut.step - at, 0), len(t))
    return (places, part), _Rest(at + keep, window + count, t[keep:], values[keep:], codes[keep:])


def _in_order(found: list[tuple[IntArray, Slices]]) -> Slices:
    order = np.argsort(np.concatenate([places for places, _ in found]), kind="stable")
    columns: dict[str, Any] = {each.name: [getattr(part, each.name) for _, part in found] for each in fields(Slices)}
    return Slices(**{name: joined(arrays) for name, arrays in columns.items()}).take(order)


def joined(arrays: Sequence[Any]) -> Any:
    """Return arrays as one, or None where they are None."""
    return None if arrays[0] is None else np.concatenate(arrays)
