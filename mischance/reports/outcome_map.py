"""A map of outcomes as a picture: which share of the runs fails over two parameters, and by what margin."""

from __future__ import annotations

from pathlib import Path

from mischance.dataset.disk import disk
from mischance.opening.reading import Dataset
from mischance.reports.canvas import Canvas
from mischance.reports.outcome_cells import margins, shares
from mischance.reports.preview.sheet import title

MAP, TABLE = "map.png", "map.csv"
_WIDTH, _HEIGHT = 1500, 720
_TOP, _PANEL, _LEFT, _APART = 150.0, (600.0, 460.0), 92.0, 120.0


def draw_map(dataset: Path | str, across: str, up: str, cells: int = 10) -> tuple[Path, Path]:
    """Draw where the runs of a dataset fail, over two parameters, as map.png and map.csv in its folder.

    Returns:
        Both paths.

    Raises:
        DatasetError: a parameter cannot be mapped, or a file cannot be written.
    """
    opened = Dataset(dataset)
    found = opened.outcome_map(across, up, cells)
    canvas = Canvas(_WIDTH, _HEIGHT)
    note = f"{int(found.runs.sum() + found.undecided.sum())} runs in {found.runs.size} cells"
    scenario = title(canvas, opened.path, note)
    total, failed, cut = (int(each.sum()) for each in (found.runs, found.failed, found.undecided))
    said = f"{failed} of {total} runs{f', {cut} more undecided' * (cut > 0)}"
    said += "; a share of the points, no probability" if "grid" in (scenario.get("plan") or {}) else ""
    shares(canvas, found, (_LEFT, _TOP, *_PANEL), note=said)
    margins(canvas, found, (_LEFT + _PANEL[0] + _APART, _TOP, *_PANEL))
    table = opened.path / TABLE
    temporary = table.with_name(f".{TABLE}.tmp")
    with disk(table):
        found.frame().to_csv(temporary, index=False)
        temporary.replace(table)
    return canvas.save(opened.path / MAP), table
