"""The preview of a table of events with a value each: values over time, labelled rows marked.

The table has a column of the role `key` and one of the role `value`; its row labels stand in a table with the same
key and yes-or-no columns of the role `label`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mischance.api.tables import AnyArray, BoolArray, seconds
from mischance.reports.canvas import ALARM, FAINT, QUIET, WARNING, Axes, Canvas, Color, round_ticks
from mischance.reports.preview.sheet import MARGIN, WIDTH, Columns, facts, of_run, table, title

MOST_POINTS = 20_000
MARKS = (ALARM, WARNING)  # of the first label and the second
_MINOR = 100.0  # minor units of a currency in one
_SPANS = (
    (2 * 86400.0, 86400.0, "days"),
    (2 * 3600.0, 3600.0, "hours"),
    (120.0, 60.0, "minutes"),
    (0.0, 1.0, "seconds"),
)


@dataclass(frozen=True, slots=True)
class EventTable:
    """A table of events: where it is, and the names of its columns.

    `labels` is the folder of its row labels, `marks` the yes-or-no columns there; '' and () where it has none.
    `state` is a yes-or-no column of its own, drawn hollow where it is no.
    """

    folder: Path
    key: str
    value: str
    unit: str
    labels: Path | None
    marks: tuple[str, ...]
    state: str


def event_table(dataset: Path) -> EventTable | None:
    """Return the first table of truth whose rows have a key and a value; None where there is none."""
    for folder in sorted((dataset / "truth").glob("*")):
        known = facts(folder)
        key = next((name for name, fact in known.items() if fact.role == "key" and name != "run"), None)
        value = next((name for name, fact in known.items() if fact.role == "value"), None)
        if key is None or value is None or "t" not in known:
            continue
        state = next((name for name, fact in known.items() if fact.dtype == "bool" and not fact.role), "")
        labels, marks = _labels(dataset, folder, key)
        return EventTable(folder, key, value, known[value].unit, labels, marks, state)
    return None


def _labels(dataset: Path, table_: Path, key: str) -> tuple[Path | None, tuple[str, ...]]:
    """Return where the row labels of a table are, and which of their columns say yes or no."""
    for folder in (*sorted((dataset / "labels").glob("*")), *sorted((dataset / "truth").glob("*"))):
        if folder == table_ or not folder.is_dir():
            continue
        known = facts(folder)
        marks = tuple(name for name, fact in known.items() if fact.role == "label" and fact.dtype == "bool")
        if marks and key in known and known[key].role == "key":
            return folder, marks[: len(MARKS)]
    return None, ()


def events(dataset: Path, found: EventTable) -> Canvas:
    """Return a sheet with the values of one run over time, whole and around its first labelled rows."""
    rows, truth = table(found.folder), table(found.labels) if found.labels else {}
    run = _telling_run(rows, truth, found.marks)
    mine, known = of_run(rows, run), of_run(truth, run)
    since = seconds(mine["t"], facts(found.folder))
    span = float(since.max()) if len(since) else 1.0
    _, unit, words = next(one for one in _SPANS if span >= one[0])
    t = since / unit
    value = mine[found.value].astype(np.float64) / (_MINOR if found.unit == "minor" else 1.0)
    least = float(value[value > 0.0].min()) if (value > 0.0).any() else 1.0
    level = np.log10(np.maximum(value, least))
    marked = [_marked(mine, known, found.key, name) for name in found.marks]
    plain = ~np.logical_or.reduce([np.zeros(len(t), np.bool_), *marked])
    hollow = ~mine[found.state].astype(np.bool_) if found.state else np.zeros(len(t), np.bool_)
    canvas = Canvas(WIDTH, 860)
    name = found.folder.name
    title(canvas, dataset, f"run {run}, table '{name}', {len(t)} rows")
    x = _key(canvas, MARGIN, 98, "no label" if marked else name, QUIET, int(plain.sum()))
    for words_, ink, rows_ in zip(found.marks, MARKS, marked, strict=False):
        x = _key(canvas, x, 98, _said(words_), ink, int(rows_.sum()))
    if found.state:
        canvas.dots(np.array([[x + 5, 94]]), FAINT, 4, hollow=True)
        canvas.text(x + 16, 98, f"not {found.state.replace('_', ' ')} ({int(hollow.sum())})", size=13)
    parts = ((QUIET, plain), *reversed(list(zip(MARKS, marked, strict=False))))
    whole = (0.0, span / unit or 1.0)
    _scatter(canvas, (90.0, 124.0, WIDTH - 90.0 - MARGIN, 300.0), whole, t, level, hollow, parts, 1.6)
    focus = next((n for n, rows_ in enumerate(marked) if rows_.any()), -1)
    words_ = f"Around the rows labelled '{_said(found.marks[focus])}'" if focus >= 0 else "The whole run"
    canvas.text(MARGIN, 484, words_, size=15, bold=True)
    close = _around(t[marked[focus]] if focus >= 0 else t[:0], whole)
    _scatter(canvas, (90.0, 500.0, WIDTH - 90.0 - MARGIN, 300.0), close, t, level, hollow, parts, 3.4)
    shown = f"{found.value} [{found.unit}]" if found.unit and found.unit != "minor" else found.value
    note = f"{words} since the start of the run; {shown} on a logarithmic scale"
    canvas.text(90, 848, note, size=12, ink=FAINT)
    return canvas


def _said(name: str) -> str:
    """Return the name of a label as words: 'is_fraud' -> 'fraud'."""
    return name.removeprefix("is_").replace("_", " ")


def _marked(rows: Columns, known: Columns, key: str, name: str) -> BoolArray:
    """Return which rows have a label that says yes; shape (rows,)."""
    if not known:
        return np.zeros(len(rows["t"]), np.bool_)
    marked: BoolArray = np.isin(rows[key], known[key][known[name].astype(np.bool_)])
    return marked


def _telling_run(rows: Columns, truth: Columns, marks: tuple[str, ...]) -> int:
    """Return the first run with rows of every label; else with rows of the first label; else the first."""
    runs = np.unique(rows["run"]).tolist() if rows else []
    scores = []
    for run in runs:
        known = of_run(truth, run)
        weights: Mapping[str, int] = {name: 2 ** (len(marks) - i) for i, name in enumerate(marks)}
        scores.append(sum(weight * bool(known[name].any()) for name, weight in weights.items()) if known else 0)
    return int(runs[int(np.argmax(scores))]) if runs else 0


def _key(canvas: Canvas, x: float, y: float, name: str, ink: Color, count: int) -> float:
    canvas.dots(np.array([[x + 5, y - 4]]), ink, 4.5)
    return canvas.text(x + 16, y, f"{name} ({count})", size=13) + 26


def _around(t: AnyArray, whole: tuple[float, float]) -> tuple[float, float]:
    """Return the stretch of time around those times, with a tenth of it on both sides."""
    if not len(t):
        return whole
    low, high = float(t.min()), float(t.max())
    edge = max(0.1 * (high - low), 0.005 * (whole[1] - whole[0]))
    return max(low - edge, whole[0]), min(high + edge, whole[1])


def _scatter(
    canvas: Canvas,
    place: tuple[float, float, float, float],
    xs: tuple[float, float],
    t: AnyArray,
    level: AnyArray,
    hollow: BoolArray,
    parts: tuple[tuple[Color, BoolArray], ...],
    radius: float,
) -> None:
    """Draw values over time; the later parts lie on top and are drawn larger."""
    inside = (t >= xs[0]) & (t <= xs[1])
    low, high = (float(level[inside].min()), float(level[inside].max())) if inside.any() else (0.0, 1.0)
    axes = Axes(canvas, place, xs, (low - 0.1, high + 0.1))
    powers = range(int(np.ceil(low - 0.1)), int(np.floor(high + 0.1)) + 1)
    axes.draw([(h, f"{h:g}") for h in round_ticks(*xs, 12)], [(float(p), f"{10.0**p:g}") for p in powers])
    for rank, (ink, part) in enumerate(parts):
        for empty in (False, True):
            chosen = np.flatnonzero(inside & part & (hollow == empty))
            chosen = chosen[:: max(1, len(chosen) // MOST_POINTS)]
            canvas.dots(axes.at(t[chosen], level[chosen]), ink, radius * (1.5 if rank else 1.0), hollow=empty)
