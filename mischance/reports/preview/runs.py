"""The preview of runs with bodies that move: some of them from above at their worst moment, and how all came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mischance.api.tables import AnyArray, BoolArray, Column
from mischance.errors import DatasetError
from mischance.opening.outcome_map import outcome_map
from mischance.reports.canvas import ALARM, FAINT, GOOD, LINE, SCALE, Axes, Canvas, round_ticks
from mischance.reports.outcome_cells import shares
from mischance.reports.preview.sheet import GAP, MARGIN, WIDTH, Columns, facts, shown_runs, table, title
from mischance.reports.replay.model import RunView
from mischance.reports.replay.run_view import run_view
from mischance.reports.replay.top_view import (
    View,
    bodies,
    contacts,
    endless,
    extent,
    ground,
    names,
    planned_paths,
    scale_bar,
    trails,
)

PANELS, COLUMNS = 6, 2
FRAMES = 600  # of a run that is drawn still
BEFORE, AFTER = 1.6, 0.5  # of a run's way that a panel has room for, around its moment [s]
_TOP, _SUMMARY, _PANEL = 84.0, 268.0, 236  # heights: title, outcomes, one picture
_ALONE = 520  # height of the picture of a run that stands alone
MOST_POINTS = 5000


def runs_from_above(dataset: Path) -> Canvas | None:
    """Return a sheet with outcomes and some runs from above; None where no table of truth has positions."""
    runs = table(dataset / "runs")
    if not runs or not len(runs["run"]):
        return None
    views: list[RunView] = []
    for run in shown_runs(runs, runs["run"].tolist(), PANELS):
        try:
            views.append(run_view(dataset, run, FRAMES))
        except DatasetError:
            return None
    count = len(runs["run"])
    summary = _SUMMARY if count > 1 else 0.0  # of one run there is nothing to sum up
    columns = min(COLUMNS, len(views))
    rows, tall = -(-len(views) // columns), _PANEL if columns > 1 else _ALONE
    canvas = Canvas(WIDTH, round(_TOP + summary + rows * (tall + 46) + 12))
    many = len(list((dataset / "runs").glob("*.parquet"))) > 1
    scenario = title(canvas, dataset, f"{'the first ' * many}{count} run{'s' * (count > 1)}, {len(views)} from above")
    if count > 1:
        _outcomes(canvas, runs, scenario, views[0], facts(dataset / "runs"))
    wide = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) // columns
    for i, shown in enumerate(views):
        x = MARGIN + (i % columns) * (wide + GAP)
        y = _TOP + summary + (i // columns) * (tall + 46)
        _panel(canvas, shown, x, y, (wide, tall))
    return canvas


# -- one run -----------------------------------------------------------------------------------------------------


def _panel(canvas: Canvas, shown: RunView, x: float, y: float, room: tuple[int, int]) -> None:
    """Draw one run at its moment, with the way that everybody came."""
    now, said = _moment(shown)
    wide, tall = room
    end = canvas.text(x, y + 18, f"run {shown.run}", size=15, bold=True) + 12
    end = canvas.tag(
        end, y + 18, shown.event if shown.happened else f"no {shown.event}", ALARM if shown.happened else GOOD
    )
    end = canvas.text(end + 12, y + 18, said, size=13, bold=True) + 12
    reason = _shortened(canvas, _cause(shown), x + wide - end, 12)
    canvas.text(end, y + 18, reason, size=12, ink=FAINT)
    size = (wide * SCALE, tall * SCALE)
    image: AnyArray = np.zeros((size[1], size[0], 3), np.uint8)
    seen = _view(shown, now, *size)
    ground(image, shown, seen, SCALE)
    trails(image, shown, seen, -np.inf, now, SCALE)
    planned_paths(image, shown, seen, now, SCALE)
    covered = bodies(image, shown, seen, now, SCALE)
    taken = contacts(image, shown, seen, now, SCALE, words=False)
    names(image, shown, seen, now, covered, taken, size=12.0 * SCALE)
    scale_bar(image, seen, 10.0 * SCALE)
    canvas.picture(x, y + 28, image, wide)


def _moment(shown: RunView) -> tuple[float, str]:
    """Return the time to show and what it is: the subject's first contact, its nearest pass, or the end."""
    subject = shown.bodies[0].name
    hits = sorted(contact.t for contact in shown.contacts if subject in contact.bodies or not contact.bodies)
    hits = hits or sorted(contact.t for contact in shown.contacts)
    if hits:
        return hits[0], f"contact at {hits[0]:.2f} s"
    gap = next((row.lines[0][2] for row in shown.series if row.name == "gap"), None)
    if gap is not None and np.isfinite(gap).any():
        k = int(np.nanargmin(gap))
        return float(shown.t[k]), f"nearest at {shown.t[k]:.2f} s: {gap[k]:.2f} m"
    return float(shown.t[-1]), f"end at {shown.t[-1]:.1f} s"


def _cause(shown: RunView) -> str:
    """Return the reason without what the panel's head says already."""
    return (shown.reason or shown.verdict).removeprefix(f"{shown.event}: ").removeprefix("no contact: ")


def _shortened(canvas: Canvas, text: str, room: float, size: float) -> str:
    words = text.split()
    line = text
    while words and canvas.text_width(line, size) > room:
        words.pop()
        line = " ".join(words).rstrip(";,:") + " ..."
    return line


def _view(shown: RunView, now: float, wide: int, tall: int) -> View:
    """Return a view of the last seconds of the subject and its partner; of the whole run where there is no lane."""
    low, high = extent(shown)
    paved = endless(shown)
    pair = [body for body in shown.bodies if body.role != "other"]
    close = (shown.t >= now - BEFORE) & (shown.t <= now + AFTER)
    if paved and close.any():
        spots = np.concatenate([np.stack([body.x, body.y], axis=1)[close] for body in pair])
        spots = spots[np.isfinite(spots).all(axis=1)]
        room = 0.8 * shown.bodies[0].length
        if len(spots):
            low, high = spots.min(axis=0) - room, spots.max(axis=0) + room
    size = np.maximum(high - low, 1e-6)
    subject = shown.bodies[0]
    closest = min(wide / (7.0 * subject.length), tall / (3.0 * subject.length))
    most = closest if paved else 60.0 * SCALE / min(subject.width, 1.0)
    margin = 30.0 * SCALE
    scale = min((wide - 2 * margin) / size[0], (tall - 2 * margin) / size[1], most)
    return View(0.5 * (low + high), float(scale), wide, tall)


# -- all runs ----------------------------------------------------------------------------------------------------


def _outcomes(
    canvas: Canvas, runs: Columns, scenario: Mapping[str, Any], first: RunView, declared: Mapping[str, Column]
) -> None:
    """Draw how often the event happened and where: over the values of a grid, or two of the drawn values."""
    measures = [(name, fact.unit) for name, fact in declared.items() if fact.role == "value" and name != "margin"]
    happened = np.asarray(runs["event"], np.bool_) if "event" in runs else np.zeros(len(runs["run"]), np.bool_)
    n, hit = len(happened), int(happened.sum())
    y = _TOP + 22.0
    canvas.text(MARGIN, y, f"{hit} of {n} run{'s' * (n > 1)}: {first.event}", size=17, bold=True)
    full = 360.0
    canvas.fill(MARGIN, y + 12, full * hit / n, 14, ALARM)
    canvas.fill(MARGIN + full * hit / n, y + 12, full * (n - hit) / n, 14, GOOD)
    canvas.text(MARGIN, y + 46, "of the runs that were played, not a probability", size=12, ink=FAINT)
    _facts(canvas, runs, happened, first.event, measures, y + 76)
    gridded = [name for name, values in ((scenario.get("plan") or {}).get("grid") or {}).items() if len(values) > 1]
    if len(gridded) > 1 and n > 1:  # the first two that the sweep is about
        room = (MARGIN + 560.0, _TOP + 34.0, WIDTH - 2 * MARGIN - 560.0, _SUMMARY - 100.0)
        shares(canvas, outcome_map(runs, declared, *gridded[:2]), room, head="")
        return
    picked = _telling(runs, list(scenario.get("vary") or {}), happened)
    if len(picked) < 2 or n < 2:
        return
    across, up = picked[:2]
    xs, ys = (runs[name].astype(np.float64) for name in (across, up))
    place = (MARGIN + 500.0, _TOP + 26.0, WIDTH - 2 * MARGIN - 500.0, _SUMMARY - 86.0)
    axes = Axes(canvas, place, _range(xs), _range(ys))
    axes.draw([(v, f"{v:g}") for v in round_ticks(*axes.xs, 10)], [(v, f"{v:g}") for v in round_ticks(*axes.ys, 4)])
    known = dict(first.drawn)
    right, left = (f"{name} [{unit}]" if (unit := _unit(known.get(name, ""))) else name for name in (across, up))
    end = place[0] + place[2] - canvas.text_width(right, 12)
    canvas.text(end, place[1] + place[3] + 34, right, size=12, ink=FAINT)
    canvas.text(place[0], place[1] - 8, left, size=12, ink=FAINT)
    chosen = np.arange(n)[:: max(1, n // MOST_POINTS)]
    radius = 4.0 if n <= 200 else 2.5
    for ink, part in ((GOOD, ~happened), (ALARM, happened)):
        rows = chosen[part[chosen]]
        canvas.dots(axes.at(xs[rows], ys[rows]), ink, radius)


def _facts(
    canvas: Canvas, runs: Columns, happened: BoolArray, event: str, measures: Sequence[tuple[str, str]], y: float
) -> None:
    """Write a few measures: `min_…` of runs in which the event did not happen, others of those in which it did.

    Args:
        canvas: what to write on.
        runs: columns of the table `runs`.
        happened: whether the event did; shape (runs,).
        event: its name.
        measures: name and unit of those to write.
        y: where the first line goes.
    """
    shown = 0
    for name, unit in measures:
        if runs[name].dtype.kind not in "if" or shown == 4:
            continue
        near = name.startswith("min_")
        values = runs[name].astype(np.float64)[~happened if near else happened]
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        low, middle, high = np.percentile(values, [0, 50, 100]).tolist()
        words = f"{name.replace('_', ' ')}, {'no ' * near}{event}"
        canvas.text(MARGIN, y + 20 * shown, words, size=13, ink=FAINT)
        canvas.text(MARGIN + 220, y + 20 * shown, f"median {middle:.2f} {unit}, {low:.2f} to {high:.2f}", size=13)
        shown += 1
    canvas.line(np.array([[MARGIN, _TOP + _SUMMARY - 10], [WIDTH - MARGIN, _TOP + _SUMMARY - 10]]), LINE, 0.5)


def _telling(runs: Columns, drawn: Sequence[str], happened: BoolArray) -> list[str]:
    """Return the drawn values that differ from run to run, those first in which the two outcomes differ most."""
    scores: dict[str, float] = {}
    for name in drawn:
        values = runs.get(name)
        if values is None or values.dtype.kind not in "if" or not np.isfinite(values).all():
            continue
        spread = float(np.std(values))
        if spread <= 1e-9 * float(np.abs(values).max()):
            continue
        apart = 0.0
        if happened.any() and not happened.all():
            apart = abs(float(values[happened].mean()) - float(values[~happened].mean())) / spread
        # the same number under two names says nothing new
        if all(abs(float(np.corrcoef(values, runs[other])[0, 1])) < 0.999 for other in scores):
            scores[name] = apart
    return sorted(scores, key=lambda name: -scores[name])


def _range(values: AnyArray) -> tuple[float, float]:
    room = 0.06 * float(np.ptp(values))
    return float(values.min()) - room, float(values.max()) + room


def _unit(text: str) -> str:
    """Return the unit of a drawn value as it is written: '11.6 m' -> 'm'."""
    parts = text.partition(" (")[0].split()
    return parts[1] if len(parts) > 1 else ""
