"""Rows of one Parquet file of a dataset, a piece at a time: those of some runs, in some columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.arrow import readable
from mischance.api.tables import IntArray
from mischance.opening.frames import SampleTimes, T, as_columns, is_sampled

if TYPE_CHECKING:
    import pyarrow as pa


def file_batches(file: Path, names: list[str] | None, runs: IntArray | None, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one file that belong to the runs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with readable(file), pq.ParquetFile(file) as source:
        wants_times = is_sampled(source.schema_arrow) and (names is None or T in names)
        timed = SampleTimes(source.schema_arrow) if wants_times else None
        needed = None
        if names is not None:
            needed = [name for name in names if name in source.schema_arrow.names]
            needed += ["run"] if "run" not in needed and (timed or runs is not None) else []
        groups = _groups(source.metadata, runs)
        if not groups:
            return
        for batch in source.iter_batches(batch_size=rows, row_groups=groups, columns=needed):
            if runs is not None:
                mine = np.isin(batch.column("run").to_numpy(zero_copy_only=False), runs)
                batch = batch if mine.all() else batch.filter(pa.array(mine))  # noqa: PLW2901
            if not batch.num_rows:
                continue
            if timed is not None:
                batch = _with_times(batch, timed)  # noqa: PLW2901
            yield batch if names is None else batch.select(names)


def _with_times(batch: pa.RecordBatch, timed: SampleTimes) -> pa.RecordBatch:
    import pyarrow as pa

    run = batch.column("run").to_numpy(zero_copy_only=False)
    field = pa.field(T, pa.float64(), metadata={"unit": "s", "role": "time", "about": "time of the sample"})
    return batch.add_column(batch.schema.get_field_index("run") + 1, field, pa.array(timed.of(run)))


def batch_of(file: Path, columns: str | Sequence[str] | None) -> pa.RecordBatch:
    """Return a batch without rows, in the columns that are wanted."""
    import pyarrow as pa

    schema = schema_of(file)
    empty = pa.RecordBatch.from_pylist([], schema=schema)
    if is_sampled(schema):
        empty = _with_times(empty, SampleTimes(schema))
    names = as_columns(columns)
    return empty if names is None else empty.select(names)


def schema_of(file: Path) -> pa.Schema:
    """Return the schema of one file."""
    import pyarrow.parquet as pq

    with readable(file):
        return pq.read_schema(file)


def _groups(metadata: Any, runs: IntArray | None) -> list[int]:
    """Return the row groups that may hold rows of these runs, by the statistics of the column `run`."""
    every = list(range(metadata.num_row_groups))
    if runs is None or not every:
        return every
    names = [metadata.schema.column(i).name for i in range(metadata.num_columns)]
    place = names.index("run") if "run" in names else -1
    found = []
    for group in every:
        statistics = metadata.row_group(group).column(place).statistics if place >= 0 else None
        if statistics is not None and statistics.has_min_max:
            near = (runs >= statistics.min) & (runs <= statistics.max)
            if not near.any():
                continue
        found.append(group)
    return found


def overlaps(file: Path, runs: IntArray) -> bool:
    """Say whether a file may hold one of these runs, by its name."""
    first, last = (int(part) for part in file.stem.split("-"))
    return bool(((runs >= first) & (runs <= last)).any())
