"""The preview of payments: amounts over time with the campaigns and the innocent bursts marked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mischance.api.tables import AnyArray, BoolArray
from mischance.reports.canvas import ALARM, FAINT, QUIET, WARNING, Axes, Canvas, Color, round_ticks
from mischance.reports.preview.sheet import MARGIN, WIDTH, Columns, of_run, table, title

MOST_POINTS = 20_000


def payments(dataset: Path) -> Canvas:
    """Return a sheet with the amounts of one run over time, whole and around its campaign."""
    rows, truth = table(dataset / "truth" / "transactions"), table(dataset / "labels" / "transactions")
    run = _telling_run(rows, truth)
    mine, known = of_run(rows, run), of_run(truth, run)
    hours = mine["t"] / 3.6e9
    level = np.log10(np.maximum(mine["amount"], 1) / 100.0)
    fraud = _marked(mine, known, "is_fraud")
    innocent = _marked(mine, known, "hard_negative")
    canvas = Canvas(WIDTH, 860)
    title(canvas, dataset, f"run {run}, {len(hours)} payments")
    declined = ~mine["approved"].astype(np.bool_)
    x = _key(canvas, MARGIN, 98, "payment", QUIET, len(hours) - int(fraud.sum()) - int(innocent.sum()))
    x = _key(canvas, x, 98, "of a campaign", ALARM, int(fraud.sum()))
    x = _key(canvas, x, 98, "of an innocent burst", WARNING, int(innocent.sum()))
    canvas.dots(np.array([[x + 5, 94]]), FAINT, 4, hollow=True)
    canvas.text(x + 16, 98, "declined", size=13)
    parts = (QUIET, ~(fraud | innocent)), (WARNING, innocent), (ALARM, fraud)
    whole = (0.0, float(hours.max()) if len(hours) else 1.0)
    _scatter(canvas, (90.0, 124.0, WIDTH - 90.0 - MARGIN, 300.0), whole, hours, level, declined, parts, 1.6)
    canvas.text(MARGIN, 484, "The campaign from close by", size=15, bold=True)
    close = _around(hours[fraud], whole)
    _scatter(canvas, (90.0, 500.0, WIDTH - 90.0 - MARGIN, 300.0), close, hours, level, declined, parts, 3.4)
    canvas.text(90, 848, "hours since the start of the run; amount on a logarithmic scale", size=12, ink=FAINT)
    return canvas


def _marked(rows: Columns, known: Columns, kind: str) -> BoolArray:
    """Return which payments have a label of that kind; shape (rows,)."""
    if not known:
        return np.zeros(len(rows["t"]), np.bool_)
    marked: BoolArray = np.isin(rows["event_id"], known["event_id"][known[kind].astype(np.bool_)])
    return marked


def _telling_run(rows: Columns, truth: Columns) -> int:
    """Return the first run with fraud and innocent bursts; else with fraud; else the first."""
    runs = np.unique(rows["run"]).tolist() if rows else []
    scores = []
    for run in runs:
        known = of_run(truth, run)
        scores.append(2 * bool(known["is_fraud"].any()) + bool(known["hard_negative"].any()) if known else 0)
    return int(runs[int(np.argmax(scores))]) if runs else 0


def _key(canvas: Canvas, x: float, y: float, name: str, ink: Color, count: int) -> float:
    canvas.dots(np.array([[x + 5, y - 4]]), ink, 4.5)
    return canvas.text(x + 16, y, f"{name} ({count})", size=13) + 26


def _around(hours: AnyArray, whole: tuple[float, float]) -> tuple[float, float]:
    """Return the stretch of time around those hours, with a tenth of it on both sides."""
    if not len(hours):
        return whole
    low, high = float(hours.min()), float(hours.max())
    edge = max(0.1 * (high - low), 0.25)
    return max(low - edge, 0.0), high + edge


def _scatter(
    canvas: Canvas,
    place: tuple[float, float, float, float],
    xs: tuple[float, float],
    hours: AnyArray,
    level: AnyArray,
    declined: BoolArray,
    parts: tuple[tuple[Color, BoolArray], ...],
    radius: float,
) -> None:
    """Draw amounts over time; the later parts lie on top and are drawn larger."""
    inside = (hours >= xs[0]) & (hours <= xs[1])
    low, high = (float(level[inside].min()), float(level[inside].max())) if inside.any() else (0.0, 1.0)
    axes = Axes(canvas, place, xs, (low - 0.1, high + 0.1))
    powers = range(int(np.ceil(low - 0.1)), int(np.floor(high + 0.1)) + 1)
    axes.draw([(h, f"{h:g}") for h in round_ticks(*xs, 12)], [(float(p), f"{10.0**p:g}") for p in powers])
    for rank, (ink, part) in enumerate(parts):
        for hollow in (False, True):
            chosen = np.flatnonzero(inside & part & (declined == hollow))
            chosen = chosen[:: max(1, len(chosen) // MOST_POINTS)]
            canvas.dots(axes.at(hours[chosen], level[chosen]), ink, radius * (1.5 if rank else 1.0), hollow=hollow)
