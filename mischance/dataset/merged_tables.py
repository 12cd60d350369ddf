"""Tables of several datasets as one: columns and categories unified, runs numbered anew, in flat memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.arrow import FIRST, RATE, arrow_schema, declared_columns, readable
from mischance.api.tables import Column, IntArray
from mischance.dataset.disk import FileFacts
from mischance.dataset.shards import range_name
from mischance.dataset.table_files import PARQUET, ParquetFile
from mischance.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow as pa

    from mischance.api.tables import BoolArray


@dataclass(frozen=True, slots=True)
class Unified:
    """What a table is in the merged dataset: its Arrow schema, and the names of each category, in order."""

    schema: pa.Schema
    names: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Numbers:
    """How the runs of one dataset are numbered: run r becomes `first + r`; `kept` (runs,) says which stay."""

    first: int
    kept: BoolArray


def table_names(folder: Path) -> list[str]:
    """Return the paths of the tables of a finished dataset."""
    found = {str(file.parent.relative_to(folder)) for file in folder.rglob(f"*{PARQUET}")}
    return sorted(found)


def unified(path: str, folders: Sequence[Path]) -> Unified:
    """Return the columns that a table has in the merged dataset: those of the first, then what others have beside.

    Names of a category are those of the first dataset, then new ones in the order in which they come: a world's fixed
    list stays as it is.

    Raises:
        DatasetError: a column has another type, unit, meaning or role in one dataset than in another; signals differ
            in their rate or their channels.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Column] = {}
    names: dict[str, dict[str, None]] = {}
    rate: tuple[bytes | None, bytes | None] | None = None
    where: dict[str, Path] = {}
    head = folders[0]
    for folder in folders:
        for file in sorted((folder / path).glob(f"*{PARQUET}")):
            with readable(file):
                schema = pq.read_schema(file)
            facts = schema.metadata or {}
            own = facts.get(RATE), facts.get(FIRST)
            declared = declared_columns(schema)
            if rate is None:
                rate = own
            elif own != rate or (rate[0] and declared.keys() != columns.keys()):
                raise DatasetError(
                    f"table {path!r}: {folder} has signals of another rate or other channels than {head}",
                    "make both with the same sensor, or merge them without it",
                )
            for name, column in declared.items():
                known = columns.setdefault(name, column)
                where.setdefault(name, folder)
                odd = next((key for key in ("dtype", "unit", "role", "about") if _other(key, known, column)), "")
                if odd:
                    raise DatasetError(
                        f"table {path!r}, column {name!r}: {odd} is {getattr(column, odd)!r} in {folder} and"
                        f" {getattr(known, odd)!r} in {where[name]}",
                        "give one of them another name in its scenario, and make it again",
                    )
            for name, found in _categories(file, [n for n, c in declared.items() if c.dtype == "category"]).items():
                names.setdefault(name, {}).update(dict.fromkeys(found))
    schema = arrow_schema(columns)
    if rate and rate[0]:
        fields = [field.with_nullable(False) for field in schema]
        schema = pa.schema(fields, metadata={RATE: rate[0], FIRST: rate[1] or b"0"})
    return Unified(schema, {name: tuple(found) for name, found in names.items()})


def _other(key: str, known: Column, column: Column) -> bool:
    return bool(getattr(known, key) != getattr(column, key))


def _categories(file: Path, columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the names of the categories of a file: those of its first row group, which holds the whole list."""
    import pyarrow.parquet as pq

    if not columns:
        return {}
    found: dict[str, dict[str, None]] = {name: {} for name in columns}
    with readable(file), pq.ParquetFile(file) as source:
        for group in range(source.num_row_groups):
            rows = source.read_row_group(group, columns=list(columns))
            for name in columns:
                for chunk in rows[name].chunks:
                    found[name].update(dict.fromkeys(chunk.dictionary.to_pylist()))
    return {name: tuple(names) for name, names in found.items()}


def write_merged(
    path: str,
    what: Unified,
    folder: Path,
    numbers: Numbers,
    out: Path,
    change: Callable[[pa.Table, IntArray], pa.Table] | None = None,
) -> dict[str, FileFacts]:
    """Write one table of one dataset into the merged one, a file for each of its files; return what was written.

    Args:
        path: of the table in the dataset.
        what: its columns in the merged dataset.
        folder: of the dataset that it comes from.
        numbers: how its runs are numbered.
        out: the merged dataset.
        change: last change of a piece of rows, which is also given their runs as they were; shape (rows,).
    """
    written = {}
    for file in sorted((folder / path).glob(f"*{PARQUET}")):
        low, high = (int(part) + numbers.first for part in file.stem.split("-"))
        target = out / path / f"{range_name(low, high)}{PARQUET}"
        target.parent.mkdir(parents=True, exist_ok=True)
        made = ParquetFile(path, target, what.schema)
        for rows in _rows(file):
            run: IntArray = rows["run"].to_numpy()
            kept = numbers.kept[run]
            chosen = rows if kept.all() else rows.filter(kept)
            was = run[kept]
            piece = _fitted(chosen, what, was + numbers.first)
            piece = piece if change is None else change(piece, was)
            for batch in piece.combine_chunks().to_batches():
                made.append(batch)
        written[str(target.relative_to(out))] = made.close()
    return written


def _rows(file: Path) -> Iterator[pa.Table]:
    import pyarrow.parquet as pq

    with readable(file), pq.ParquetFile(file) as source:
        for group in range(source.num_row_groups):
            yield source.read_row_group(group)


def _fitted(rows: pa.Table, what: Unified, run: IntArray) -> pa.Table:
    """Return rows in the columns of the merged table: null where they lack one, categories numbered by its names."""
    import pyarrow as pa

    arrays = []
    for field in what.schema:
        if field.name == "run":
            arrays.append(pa.array(run))
        elif field.name not in rows.column_names:
            arrays.append(_nothing(field, len(rows), what))
        elif pa.types.is_dictionary(field.type):
            names = pa.array(what.names.get(field.name, ()), pa.string())
            codes = [_codes(chunk, what.names.get(field.name, ())) for chunk in rows[field.name].chunks]
            arrays.append(pa.DictionaryArray.from_arrays(pa.concat_arrays([pa.nulls(0, pa.int32()), *codes]), names))
        else:
            arrays.append(rows[field.name])
    return pa.table(arrays, schema=what.schema)


def _codes(chunk: pa.DictionaryArray, names: tuple[str, ...]) -> pa.Array:
    """Return the number of each value in a list of names that holds them all; null stays null."""
    import pyarrow as pa

    place = {name: code for code, name in enumerate(names)}
    own = np.array([place[name] for name in chunk.dictionary.to_pylist()] or [0], np.int32)
    codes = chunk.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return pa.array(own[codes], pa.int32(), mask=chunk.is_null().to_numpy(zero_copy_only=False))


def _nothing(field: pa.Field, rows: int, what: Unified) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(field.type):
        names = pa.array(what.names.get(field.name, ()), pa.string())
        return pa.DictionaryArray.from_arrays(pa.nulls(rows, pa.int32()), names)
    return pa.nulls(rows, field.type)


__all__ = ["Numbers", "Unified", "table_names", "unified", "write_merged"]
