"""Cells of a map of outcomes: which share of the runs fails over two parameters, and by what margin."""

from __future__ import annotations

from typing import Any

import numpy as np

from mischance.api.tables import FloatArray
from mischance.opening.outcome_map import MapAxis, OutcomeMap
from mischance.reports.canvas import ALARM, FAINT, GOOD, INK, LINE, PAPER, WARNING, Axes, Canvas, Color, round_ticks

_EMPTY, _GREY = (246, 243, 241), (226, 218, 211)  # no run; undecided alone (blue, green, red)
_MOST_WORDS = 400  # cells up to which each says its number


def shares(
    canvas: Canvas, found: OutcomeMap, place: tuple[float, float, float, float], head: str | None = None, note: str = ""
) -> None:
    """Draw which share of each cell's runs fails: green none, red all; where some do, how many.

    Args:
        canvas: what to draw on.
        found: the cells.
        place: left, top, width and height of the cells.
        head: what stands above; None = what the runs fail by.
        note: what stands below.
    """
    cells = found.runs + found.undecided
    with np.errstate(invalid="ignore"):
        share = np.where(found.runs > 0, found.failed / np.maximum(found.runs, 1), np.nan)
    fills = [
        [
            _between(GOOD, WARNING, 2 * value) if value < 0.5 else _between(WARNING, ALARM, 2 * value - 1)
            for value in row
        ]
        for row in share
    ]
    words = [
        [f"{k}/{n}" if k and n > 1 else "" for k, n in zip(*row, strict=True)]
        for row in zip(found.failed, found.runs, strict=True)
    ]
    for row, column in zip(*np.nonzero((found.runs == 0) & (cells > 0)), strict=True):
        fills[row][column], words[row][column] = _GREY, "?"
    _panel(canvas, found, place, fills, words, f"runs in which {found.question}" if head is None else head)
    canvas.text(place[0], place[1] + place[3] + 72, note, size=12, ink=FAINT)


def margins(canvas: Canvas, found: OutcomeMap, place: tuple[float, float, float, float]) -> None:
    """Draw each cell's median margin: red below zero, green above; a line where it changes its sign."""
    finite = found.margin[np.isfinite(found.margin)]
    far = [
        max(float(np.percentile(part, 90)), 1e-12) if len(part) else 1.0
        for part in (finite[finite > 0], -finite[finite < 0])
    ]
    fills = [
        [_between(PAPER, GOOD if value > 0 else ALARM, 0.15 + 0.75 * min(abs(value) / far[0 if value > 0 else 1], 1.0))
         if not np.isnan(value) else _EMPTY for value in row]
        for row in found.margin
    ]  # fmt: skip
    words = [[_short(value) for value in row] for row in found.margin]
    axes = _panel(canvas, found, place, fills, words, "margin of the event, median of each cell")
    for begin, end in borders(found.margin):
        canvas.line(axes.at(*zip(begin, end, strict=True)), INK, 1.6)
    canvas.text(
        place[0], place[1] + place[3] + 72, "zero is the border; below it the event has happened", size=12, ink=FAINT
    )


def borders(margin: FloatArray) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the edges between cells on either side of zero, each from (x, y) to (x, y) counted in cells.

    Args:
        margin: NaN where a cell has none, which has no border; shape (cells up, cells across).
    """
    happened, known = margin <= 0, ~np.isnan(margin)
    upright = (happened[:, :-1] != happened[:, 1:]) & known[:, :-1] & known[:, 1:]
    level = (happened[:-1] != happened[1:]) & known[:-1] & known[1:]
    found = [((x + 1, y), (x + 1, y + 1)) for y, x in np.argwhere(upright).tolist()]
    return found + [((x, y + 1), (x + 1, y + 1)) for y, x in np.argwhere(level).tolist()]


def _panel(
    canvas: Canvas, found: OutcomeMap, place: tuple[float, float, float, float], fills: Any, words: Any, head: str
) -> Axes:
    """Draw the cells with their colours and words, and the names of both parameters; return axes in cells."""
    tall, wide = found.runs.shape
    axes = Axes(canvas, place, (0.0, float(wide)), (0.0, float(tall)))
    canvas.text(place[0], place[1] - 34, head, size=15, bold=True)
    canvas.text(place[0], place[1] - 12, _named(found.up), size=12, ink=FAINT)
    small = min(12.0, 0.30 * place[2] / wide, 0.5 * place[3] / tall)
    for row, column in np.ndindex(tall, wide):
        x, y = axes.at(column, row + 1).tolist()
        # a cell ends where its neighbour begins: rounding leaves no gap
        right, low = axes.at(column + 1, row).tolist()
        canvas.fill(x, y, right - x, low - y, fills[row][column])
        text = words[row][column]
        if text and wide * tall <= _MOST_WORDS and small >= 7:
            ink = PAPER if sum(fills[row][column]) < 400 else INK
            canvas.text(
                0.5 * (x + right) - canvas.text_width(text, small) / 2,
                0.5 * (y + low) + 0.35 * small,
                text,
                size=small,
                ink=ink,
            )
    for x in range(wide + 1):
        canvas.line(axes.at([x, x], [0, tall]), PAPER, 0.5)
    for y in range(tall + 1):
        canvas.line(axes.at([0, wide], [y, y]), PAPER, 0.5)
    for value, name in _ticks(found.across):
        x = float(axes.at(value, 0)[0])
        canvas.text(x - canvas.text_width(name, 11) / 2, place[1] + place[3] + 18, name, size=11, ink=FAINT)
    for value, name in _ticks(found.up):
        y = float(axes.at(0, value)[1])
        canvas.text(place[0] - 8 - canvas.text_width(name, 11), y + 4, name, size=11, ink=FAINT)
    canvas.box(*place, LINE, 0.5)
    below = _named(found.across)
    canvas.text(place[0] + place[2] - canvas.text_width(below, 12), place[1] + place[3] + 40, below, size=12, ink=FAINT)
    return axes


def _ticks(axis: MapAxis) -> list[tuple[float, str]]:
    """Return where labels stand, in cells: at the middle of cells of one value, at round numbers in ranges."""
    n = len(axis.values)
    if len(axis.edges):
        low, high = float(axis.edges[0]), float(axis.edges[-1])
        return [((value - low) / (high - low) * n, f"{value:g}") for value in round_ticks(low, high, 6)]
    step = -(-n // 12)
    return [(i + 0.5, _name(axis.values[i])) for i in range(0, n, step)]


def _name(value: Any) -> str:
    return str(value) if isinstance(value, str) else f"{float(value):.4g}"


def _named(axis: MapAxis) -> str:
    return f"{axis.name} [{axis.unit}]" if axis.unit else axis.name


def _short(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2g}" if abs(value) < 100 else f"{value:.0f}"


def _between(none: Color, all_of_it: Color, share: float) -> Color:
    """Return the colour at a share of the way; cells without runs are nearly white."""
    if np.isnan(share):
        return _EMPTY
    one, two = (np.array(each, np.float64) for each in (none, all_of_it))
    blue, green, red = np.round(one + (two - one) * share).astype(int).tolist()
    return blue, green, red
