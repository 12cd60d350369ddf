"""The preview of any other dataset: its first signals over time, a few runs on top of each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mischance._canvas import PALETTE, Axes, Canvas, round_ticks
from mischance._sheet import MARGIN, WIDTH, Columns, table, title


def signals(dataset: Path) -> Canvas:
    """Draw the first signals that there are, over time, a few runs on top of each other."""
    for folder in [*sorted((dataset / "truth").glob("*")), *sorted((dataset / "sensors").glob("*"))]:
        columns = table(folder)
        names = [n for n, v in columns.items() if n not in ("t", "run") and v.dtype.kind == "f"][:4]
        if "t" in columns and names:
            return _lines(dataset, folder.name, columns, names)
    canvas = Canvas(WIDTH, 140)
    title(canvas, dataset, f"{len(table(dataset / 'runs').get('run', ()))} runs")
    canvas.text(MARGIN, 110, "There is no image and no signal to show.", size=14)
    return canvas


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
