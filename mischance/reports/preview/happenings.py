"""The preview of a world without positions and signals: measures of its runs, rows and events over time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mischance.api.tables import AnyArray, Column
from mischance.reports.canvas import ALARM, FAINT, QUIET, Axes, Canvas, Color, round_ticks
from mischance.reports.preview.sheet import GAP, MARGIN, WIDTH, Columns, facts, table, title

_LEFT, _TALL, _STEP = 170, 130, 24  # pixels: of the names, of a panel, of a line of events
_MEASURES, _ROWS, _KINDS = 4, 2, 12  # most that are shown
_USUAL = {"run", "t", "weight", "event", "seed", "digest", "branch"}


def happenings(dataset: Path) -> Canvas:
    """Draw what every run came to, the rows of the fullest table over time, and when what happened.

    Runs with the event are red.
    """
    runs = table(dataset / "runs")
    happened = set(runs["run"][runs["event"].astype(bool)].tolist()) if "event" in runs else set()
    measures = _telling(runs, facts(dataset / "runs"), _MEASURES)
    name, rows = max(
        ((folder.name, table(folder)) for folder in sorted((dataset / "truth").glob("*"))),
        key=lambda one: len(one[1].get("t", ())), default=("", {}),
    )  # fmt: skip
    told = _telling(rows, facts(dataset / "truth" / name), _ROWS) if "t" in rows else []
    kinds = _moments(dataset)
    height = 120 + (_TALL + 60) * (-(-len(measures) // 2) + len(told)) + (60 + _STEP * len(kinds)) * bool(kinds)
    canvas = Canvas(WIDTH, height)
    count = len(runs.get("run", ()))
    title(canvas, dataset, f"{count} runs, {len(happened)} with the event (red)")
    if not (measures or told or kinds):
        canvas.text(MARGIN, 104, "All runs are alike, and nothing happened in them.", size=14)
    top = 104.0
    units = {key: fact.unit for key, fact in facts(dataset / "runs").items()}
    wide = (WIDTH - 2 * MARGIN - GAP) / 2
    for i, measure in enumerate(measures):
        x, y = MARGIN + (i % 2) * (wide + GAP), top + (i // 2) * (_TALL + 60)
        _dots(canvas, (x + 60, y, wide - 70, _TALL), runs["run"], runs[measure], runs["run"], happened)
        canvas.text(x, y - 10, _named(measure, units.get(measure, "")) + " by run", size=13, bold=True)
    top += -(-len(measures) // 2) * (_TALL + 60)
    units = {key: fact.unit for key, fact in facts(dataset / "truth" / name).items()}
    times = [*(t for t, _ in kinds.values()), *([rows["t"]] if told else [])]
    end = float(np.max([1.0, *(np.max(t) for t in times)]))
    for column in told:
        place = (MARGIN + 60.0, top, WIDTH - 2 * MARGIN - 70.0, float(_TALL))
        _dots(canvas, place, rows["t"], rows[column], rows["run"], happened, end)
        shown = f"{name}: {_named(column, units.get(column, ''))} over time [s]"
        canvas.text(MARGIN, top - 10, shown, size=13, bold=True)
        top += _TALL + 60
    if kinds:
        canvas.text(MARGIN, top - 10, "what happened over time [s]", size=13, bold=True)
        lines = (MARGIN + _LEFT, top, WIDTH - 2 * MARGIN - _LEFT - 10.0, float(_STEP * len(kinds)))
        axes = Axes(canvas, lines, (0.0, end), (0.0, 1.0))
        axes.draw([(x, f"{x:g}") for x in round_ticks(0.0, end, 12)], [])
        for i, (kind, (t, run)) in enumerate(kinds.items()):
            y = top + _STEP * (i + 0.5)
            canvas.text(MARGIN, y + 4, f"{kind[:22]}  {len(t)}", size=12, ink=FAINT)
            for ink, rare in ((QUIET, False), (ALARM, True)):
                own = t[[(each in happened) is rare for each in run.tolist()]]
                places = axes.at(own, np.zeros(len(own)))
                places[:, 1] = y
                canvas.dots(places[:3000], ink, 3.0)
    return canvas


def _named(name: str, unit: str) -> str:
    return f"{name} [{unit}]" if unit else name


def _telling(columns: Columns, declared: Mapping[str, Column], most: int) -> list[str]:
    """Return numeric columns that are no keys, not the same everywhere, and no two of which say the same."""
    found: list[str] = []
    for name, values in columns.items():
        if (
            name in _USUAL
            or declared[name].role in ("key", "entity")
            or values.dtype.kind not in "if"
            or len(found) == most
        ):
            continue
        numbers = values.astype(np.float64)
        if not np.isfinite(numbers).all() or np.ptp(numbers) == 0:
            continue
        if not any(abs(np.corrcoef(numbers, columns[one].astype(np.float64))[0, 1]) > 0.9999 for one in found):
            found.append(name)
    return found


def _moments(dataset: Path) -> dict[str, tuple[AnyArray, AnyArray]]:
    """Return kind of event, or class of label -> times and runs, the most frequent first."""
    found = {}
    for folder, key, when in (("labels", "class", "t_cause"), ("events", "kind", "t")):
        columns = table(dataset / folder)
        if key not in columns or when not in columns:
            continue
        for kind in sorted(set(columns[key].tolist())):
            rows = (columns[key] == kind) & np.isfinite(columns[when])
            if rows.any():
                found[str(kind)] = (columns[when][rows], columns["run"][rows])
    return dict(sorted(found.items(), key=lambda one: -len(one[1][0]))[:_KINDS])


def _dots(
    canvas: Canvas, place: tuple[float, float, float, float], x: AnyArray, y: AnyArray, run: AnyArray,
    happened: set[int], end: float | None = None,
) -> None:  # fmt: skip
    """Draw values as dots, those of runs with the event on top."""
    y = y.astype(np.float64)
    low, high = float(y.min()), float(y.max())
    axes = Axes(canvas, place, (0.0, end or max(float(x.max()), 1.0)), (low, high))
    axes.draw(
        [(at, f"{at:g}") for at in round_ticks(*axes.xs, 10)], [(at, f"{at:.4g}") for at in round_ticks(low, high, 4)]
    )
    rare = np.array([each in happened for each in run.tolist()], np.bool_)
    step = max(1, len(y) // 6000)
    inks: tuple[tuple[Color, AnyArray], ...] = ((QUIET, ~rare), (ALARM, rare))
    for ink, rows in inks:
        canvas.dots(axes.at(x[rows], y[rows])[::step], ink, 2.5)
