"""What all preview sheets share: reading the first file of a table, images, and the title."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import yaml

from mischance.api.arrow import declared_columns, readable
from mischance.api.tables import AnyArray, Column
from mischance.errors import DatasetError
from mischance.reports.canvas import FAINT, Canvas

WIDTH, MARGIN, GAP = 1500, 28, 10
Columns = Mapping[str, AnyArray]


def facts(folder: Path) -> dict[str, Column]:
    """Return what the first file of a table says of its columns; {} where there is no file."""
    files = sorted(folder.glob("*.parquet")) if folder.is_dir() else []
    if not files:
        return {}
    with readable(files[0]):
        return declared_columns(pq.read_schema(files[0]))


def table(folder: Path) -> Columns:
    """Return the columns of a table's first file; none where there is no file."""
    files = sorted(folder.glob("*.parquet")) if folder.is_dir() else []
    if not files:
        return {}
    with readable(files[0]):
        table = pq.ParquetFile(files[0]).read()
    return {name: _values(table.column(name)) for name in table.column_names}


def _values(column: Any) -> AnyArray:
    kind = str(column.type)
    if kind.startswith("dictionary") or kind in {"string", "large_string"}:
        return np.array([value or "" for value in column.to_pylist()], object)
    values: AnyArray = column.to_numpy()
    return values


def of_run(columns: Columns, run: int) -> Columns:
    """Return the rows of one run."""
    rows = columns["run"] == run if columns else np.zeros(0, np.bool_)
    return {name: values[rows] for name, values in columns.items()}


def title(canvas: Canvas, dataset: Path, note: str) -> Mapping[str, Any]:
    """Write the scenario's name, seed and about on top; return the scenario's keys."""
    scenario: Mapping[str, Any] = yaml.safe_load((dataset / "scenario.yaml").read_text(encoding="utf-8"))
    x = canvas.text(MARGIN, 40, str(scenario.get("name", "dataset")), size=24, bold=True)
    canvas.text(x + 16, 40, f"seed {scenario.get('seed', 0)}   {note}", size=13, ink=FAINT)
    canvas.text(MARGIN, 64, str(scenario.get("about", "")), size=14, ink=FAINT)
    return scenario


def read_image(path: Path, *, raw: bool = False) -> AnyArray:
    """Return an image in blue, green, red; or, if `raw`, in the depth and channels of its file.

    Raises:
        DatasetError: it cannot be read.
    """
    image: AnyArray | None = cv2.imread(str(path), cv2.IMREAD_UNCHANGED if raw else cv2.IMREAD_COLOR)
    if image is None:
        raise DatasetError(f"the image {str(path)!r} cannot be read", "`mischance verify` names what is damaged")
    return image


def shown_runs(runs: Columns, candidates: list[int], most: int) -> list[int]:
    """Return up to `most` runs: those with the event first, then the nearest to it; a fourth of the room is for those.

    Of many with the event they are equally far apart: over a grid, neighbours look alike.

    Args:
        runs: columns of the table `runs`, of one file.
        candidates: runs that can be shown.
        most: how many are wanted.
    """
    facts = {name: runs[name].tolist() for name in ("run", "event", "margin") if name in runs}
    happened = dict(zip(facts.get("run", []), facts.get("event", []), strict=False))
    margin = dict(zip(facts.get("run", []), facts.get("margin", []), strict=False))
    rare = [run for run in candidates if happened.get(run)]
    usual = sorted((run for run in candidates if not happened.get(run)), key=lambda run: (margin.get(run, 0.0), run))
    room = min(most - max(1, most // 4) if usual else most, len(rare))
    chosen = [rare[i * len(rare) // room] for i in range(room)]
    return chosen + usual[: most - len(chosen)]
