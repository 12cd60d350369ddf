"""The preview of any other dataset: its first signals over time, a few runs on top of each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mischance.reports.canvas import PALETTE, Axes, Canvas, round_ticks
from mischance.reports.preview.sheet import MARGIN, WIDTH, Columns, facts, table, title

LEAST = 20  # rows a run below which a table is a list of events and no signal


def signals(dataset: Path) -> Canvas | None:
    """Draw the signals of the fullest table of truth, else of a sensor, a few runs on top of each other.

    Where rows belong to several entities, those of the first are drawn. Columns that tell runs apart come first. None
    where no table has a signal.
    """
    for room in ("truth", "sensors"):
        tables = {folder.name: _first_entity(folder) for folder in sorted((dataset / room).glob("*"))}
        sizes = {
            name: len(columns["t"]) / len(np.unique(columns["run"]))
            for name, columns in tables.items()
            if name != "motion" and "t" in columns and len(columns["t"])
        }
        for name in sorted(sizes, key=lambda name: -sizes[name]):
            telling = _telling(tables[name])[:4]
            if sizes[name] >= LEAST and telling:
                return _lines(dataset, name, tables[name], telling)
    return None


def _first_entity(folder: Path) -> Columns:
    """Return the rows of the entity that comes first, where a column of that role says whose they are."""
    columns = table(folder)
    key = next((name for name, fact in facts(folder).items() if fact.role == "entity"), None)
    owner = columns.get(key) if key else None
    if owner is None or not len(owner):
        return columns
    return {name: values[owner == owner[0]] for name, values in columns.items()}


def _telling(columns: Columns) -> list[str]:
    """Return the numeric columns that change, those in which runs differ most first."""
    found: dict[str, float] = {}
    runs = np.unique(columns["run"])
    for name, values in columns.items():
        if name in ("t", "run") or values.dtype.kind != "f" or not np.isfinite(values).any():
            continue
        spread = float(np.nanstd(values))
        if spread > 0:
            within = float(np.mean([np.nanstd(values[columns["run"] == run]) for run in runs]))
            found[name] = within / spread
    # what moves within a run tells more than what is only set differently from run to run
    return sorted(found, key=lambda name: -found[name])


def _lines(dataset: Path, table: str, columns: Columns, names: list[str]) -> Canvas:
    canvas = Canvas(WIDTH, 100 + 190 * len(names))
    runs = np.unique(columns["run"]).tolist()[: len(PALETTE)]
    title(canvas, dataset, f"table '{table}', {len(runs)} runs")
    t = columns["t"].astype(np.float64)
    for i, name in enumerate(names):
        values = columns[name]
        finite = values[np.isfinite(values)]
        ys = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        place = (90.0, 104.0 + 190 * i, WIDTH - 90.0 - MARGIN, 140.0)
        axes = Axes(canvas, place, (0.0, float(t.max()) or 1.0), ys if ys[1] > ys[0] else (ys[0] - 1, ys[0] + 1))
        axes.draw(
            [(x, f"{x:g}") for x in round_ticks(*axes.xs, 12)], [(y, f"{y:.3g}") for y in round_ticks(*axes.ys, 4)]
        )
        canvas.text(MARGIN, 98 + 190 * i, name, size=13, bold=True)
        for color_, run in zip(PALETTE, runs, strict=False):
            rows = np.flatnonzero((columns["run"] == run) & np.isfinite(values))
            rows = rows[:: max(1, len(rows) // 3000)]
            if len(rows):
                canvas.line(axes.at(t[rows], values[rows]), color_, 1.2)
    return canvas
