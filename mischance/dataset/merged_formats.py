"""Formats of one file for all runs (COCO), made again for a merged dataset from its tables, run after run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.arrow import declared_columns, read_parquet
from mischance.api.protocols import declares
from mischance.api.runs import Record
from mischance.api.tables import AnyArray, Column, Table
from mischance.language import catalog
from mischance.language.yaml.document import read

if TYPE_CHECKING:
    import pyarrow as pa


def rebuild_formats(out: Path, scenarios: Sequence[Path]) -> None:
    """Have every format that the origins were written in, and that merges files, make its files of the merged dataset.

    Args:
        out: the merged dataset, with its tables.
        scenarios: files of the origins' scenarios.
    """
    for kind, settings in _formats(scenarios).items():
        if ":" in kind:
            continue  # it names code, which merging does not run
        cls = catalog.find("writers", kind)
        declared = declares(cls)
        if declared.merge is None:
            continue
        writer = cls(declared.settings.model_validate(settings), out)
        for record in _records(out):
            writer.write(record)
        writer.close()
        declared.merge(out)


def _formats(scenarios: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """Return the writers that any of the scenarios names, with the settings that the first one gives them."""
    found: dict[str, dict[str, Any]] = {}
    for file in scenarios:
        for one in read(file.read_bytes(), str(file)).tree.get("write") or ():
            kind, settings = (
                (one, {}) if isinstance(one, str) else (one["kind"], {k: v for k, v in one.items() if k != "kind"})
            )
            found.setdefault(str(kind), settings)
    return found


def _records(out: Path) -> Iterator[Record]:
    """Yield the labels of sensors and the bodies of each run, as a sweep would hand them to a writer."""
    files = sorted((out / "runs").glob("*.parquet"))
    for file in files:
        tables = {
            path: read_parquet(out / path / file.name) for path in _wanted(out) if (out / path / file.name).is_file()
        }
        for run in read_parquet(file)["run"].to_pylist():
            own = {path: _table_of(rows, run) for path, rows in tables.items()}
            yield Record(np.array([run]), 0.0, 0.0, own, last=True)


def _wanted(out: Path) -> list[str]:
    labels = [str(folder.relative_to(out)) for folder in (out / "labels").glob("*/*") if folder.is_dir()]
    bodies = [str(folder.relative_to(out)) for folder in (out / "truth").glob("*bodies") if folder.is_dir()]
    return sorted(labels) + sorted(bodies)


def _table_of(rows: pa.Table, run: int) -> Table:
    """Return the stored rows of one run as a table."""
    mine = np.flatnonzero(rows["run"].to_numpy() == run)
    part = rows.slice(int(mine[0]), len(mine)) if len(mine) else rows.slice(0, 0)
    schema: dict[str, Column] = {}
    columns: dict[str, AnyArray] = {}
    for name, column in declared_columns(rows.schema).items():
        if name == "run":
            continue
        values = part[name]
        if column.dtype == "category":
            names = tuple(rows[name].chunk(0).dictionary.to_pylist()) if rows[name].num_chunks else ()
            schema[name] = Column("category", unit=column.unit, names=names, about=column.about, role=column.role)
            place = {word: code for code, word in enumerate(names)}
            columns[name] = np.array([place.get(word, -1) for word in values.to_pylist()], np.int32)
        else:
            schema[name] = column
            text = column.dtype == "text"
            found = np.array(values.to_pylist(), object) if text else values.to_numpy()
            columns[name] = found.astype(column.storage)
    return Table(schema, columns, np.array([0, len(mine)]))


__all__ = ["rebuild_formats"]
