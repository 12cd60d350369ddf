"""A finished dataset, opened: `mischance.open(path).table("transactions", labels=True, as_of=T)`.

pandas and pyarrow are imported when a table is asked for. What does not fit in memory is read with `batches`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from mischance.api.arrow import readable
from mischance.api.names import padded
from mischance.api.tables import Column, IntArray
from mischance.dataset.draft import SCENARIO
from mischance.dataset.manifest import PARTS, read_manifest
from mischance.dataset.shards import MERGE
from mischance.errors import DatasetError
from mischance.opening.frames import (
    SampleTimes,
    T,
    as_columns,
    in_seconds,
    is_sampled,
    join_labels,
    label_keys,
    read_columns,
    to_frame,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


_PLACES = ("", "truth/", "sensors/", "labels/")
BATCH = 131_072  # rows
_WHOLE = 1 << 20  # rows of a batch where everything is read anyway


class Dataset:
    """The tables of a dataset folder, read when asked for. One that is still being made shows its sealed shards."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not (self.path / SCENARIO).is_file():
            raise DatasetError(f"{self.path} is no dataset: it has no {SCENARIO}")

    def __repr__(self) -> str:
        return f"mischance.open({str(self.path)!r})"

    @property
    def manifest(self) -> dict[str, Any]:
        """What the dataset is made by, and its files with their hashes."""
        return read_manifest(self.path)

    @property
    def begins(self) -> datetime | None:
        """Calendar time of t = 0; None where the scenario does not say it."""
        from mischance.language.calendar import calendar_time
        from mischance.language.yaml.document import read

        text = read((self.path / SCENARIO).read_bytes(), str(self.path / SCENARIO)).tree.get("begins")
        return calendar_time(text) if isinstance(text, str) else None

    def tables(self) -> list[str]:
        """Return the paths of all tables, sorted."""
        folders = {file.parent.relative_to(self.path) for file in self.path.rglob("*.parquet")}
        return sorted(str(folder) for folder in folders if folder.parts and folder.parts[0] not in (PARTS, MERGE))

    def columns(self, name: str) -> dict[str, Column]:
        """Return what the columns of a table are, as `table` gives them: type, unit, meaning and role.

        Raises:
            DatasetError: there is no such table.
        """
        return in_seconds(self._columns(self._find(name)))

    def table(
        self,
        name: str,
        labels: bool = False,
        as_of: float | None = None,
        runs: int | Sequence[int] | None = None,
        *,
        columns: str | Sequence[str] | None = None,
        calendar: bool = False,
    ) -> pd.DataFrame:
        """Return a table as a pandas DataFrame, times in seconds; `attrs["units"]` maps columns to units.

        Args:
            name: path in the dataset, or its last word ('transactions' for 'truth/transactions').
            labels: join the labels of its rows (`labels/transactions` for `truth/transactions`) by the key columns
                of both. A row that is in two campaigns comes twice. A row without a label has null there, and False
                where the label is yes or no.
            as_of: join only labels with t_reported <= as_of [s]: what an analyst knew by then. A row whose
                label is reported later, or never, looks like a row without a label.
            runs: run, or runs, to read; all where not given.
            columns: columns to read; all where not given.
            calendar: add the calendar time of each row as the column `time`, with its offset from UTC.

        Raises:
            DatasetError: there is no such table or column, it has no label table, or the scenario no `begins`.
        """
        path = self._find(name)
        begins = self._calendar(calendar)
        if not labels and as_of is not None:
            raise DatasetError("as_of says which labels are known by then", "ask for labels=True with it")
        declared = self._columns(path)
        frame = to_frame(self._read(path, columns, runs), declared, begins)
        if labels:
            side = self._labels_of(path)
            about = self._columns(side)
            keys = label_keys(declared, about, path)
            frame = join_labels(frame, to_frame(self._read(side, None, runs), about), keys, as_of, path)
            shown = in_seconds({**about, **declared})
            frame.attrs["units"] = {key: column.unit for key, column in shown.items() if column.unit and key in frame}
        return frame

    def arrow(
        self, name: str, runs: int | Sequence[int] | None = None, *, columns: str | Sequence[str] | None = None
    ) -> pa.Table:
        """Return a table as Arrow, as it is stored, with units in its field metadata; times are in those units."""
        return self._read(self._find(name), columns, runs)

    @overload
    def batches(
        self,
        name: str,
        columns: str | Sequence[str] | None = None,
        runs: int | Sequence[int] | None = None,
        rows: int = BATCH,
        *,
        calendar: bool = False,
        arrow: Literal[False] = False,
    ) -> Iterator[pd.DataFrame]: ...

    @overload
    def batches(
        self,
        name: str,
        columns: str | Sequence[str] | None = None,
        runs: int | Sequence[int] | None = None,
        rows: int = BATCH,
        *,
        arrow: Literal[True],
    ) -> Iterator[pa.RecordBatch]: ...

    def batches(
        self,
        name: str,
        columns: str | Sequence[str] | None = None,
        runs: int | Sequence[int] | None = None,
        rows: int = BATCH,
        *,
        calendar: bool = False,
        arrow: bool = False,
    ) -> Iterator[Any]:
        """Yield a table a piece at a time, in order of runs and time, in memory that its size does not change.

        Args:
            name: path in the dataset, or its last word.
            columns: columns to read; all where not given.
            runs: run, or runs, to read; all where not given.
            rows: a piece has at most so many; a file's last piece has fewer.
            calendar: add the calendar time of each row as the column `time`.
            arrow: yield Arrow record batches as they are stored, instead of DataFrames with times in seconds.

        Raises:
            DatasetError: there is no such table or column, or the scenario has no `begins`.
        """
        if rows < 1:
            raise DatasetError(f"a batch has at least one row, not {rows}")
        path = self._find(name)
        begins = self._calendar(calendar)
        # Checked here and not in the first step of the loop that reads it.
        found = self._stream(path, columns, runs, rows)
        return found if arrow else self._frames_of(found, path, begins)

    def frames(self, name: str, run: int) -> list[Path]:
        """Return the images of one run, in order of time: `frames('sensors/front/frames', 3)`.

        Raises:
            DatasetError: the run has none of that name.
        """
        folder = self.path / name / padded(run)
        if not folder.is_dir():
            raise DatasetError(f"{self.path} has no images {name!r} of run {run}")
        return sorted(folder.iterdir())

    def _calendar(self, wanted: bool) -> datetime | None:
        begins = self.begins if wanted else None
        if wanted and begins is None:
            raise DatasetError(
                "calendar=True: the scenario does not say when t = 0 is",
                "add begins: to the scenario, as begins: 2026-03-02T06:00:00+01:00",
            )
        return begins

    def _frames_of(self, found: Iterator[pa.RecordBatch], path: str, begins: datetime | None) -> Iterator[pd.DataFrame]:
        import pyarrow as pa

        declared = self._columns(path)
        for batch in found:
            yield to_frame(pa.Table.from_batches([batch]), declared, begins)

    def _find(self, name: str) -> str:
        for place in _PLACES:
            if self._shards(place + name):
                return place + name
        known = self.tables()
        raise DatasetError(f"{self.path} has no table {name!r}", f"it has: {', '.join(known) or 'none yet'}")

    def _shards(self, path: str) -> list[Path]:
        # An explicit list of files: a table's folder may hold the folders of other tables (labels/front).
        return sorted((self.path / path).glob("*.parquet"))

    def _columns(self, path: str) -> dict[str, Column]:
        return read_columns(_schema(self._shards(path)[0]))

    def _labels_of(self, path: str) -> str:
        place = f"labels/{path.removeprefix('truth/')}"
        if path.startswith("truth/") and self._shards(place):
            return place
        having = [table for table in self.tables() if self._shards(f"labels/{table.removeprefix('truth/')}")]
        raise DatasetError(
            f"table {path!r} has no label table",
            f"these have one: {', '.join(having)}" if having else "see the table 'labels', by run and target",
        )

    def _read(self, path: str, columns: str | Sequence[str] | None, runs: int | Sequence[int] | None) -> pa.Table:
        import pyarrow as pa

        found = list(self._stream(path, columns, runs, _WHOLE))
        if found:
            return pa.Table.from_batches(found)
        return pa.Table.from_batches([_batch_of(self._shards(path)[0], columns)])

    def _stream(
        self, path: str, columns: str | Sequence[str] | None, runs: int | Sequence[int] | None, rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Return the rows of a table, file by file; names of columns are checked before the first."""
        names = as_columns(columns)
        known = self._columns(path)
        odd = [name for name in names or () if name not in known]
        if odd:
            raise DatasetError(f"table {path!r} has no column {odd[0]!r}", f"it has: {', '.join(known)}")
        wanted = None if runs is None else np.unique(np.atleast_1d(np.asarray(runs, np.int64)))
        files = [file for file in self._shards(path) if wanted is None or _overlaps(file, wanted)]
        return (batch for file in files for batch in _file_batches(file, names, wanted, rows))


def _file_batches(file: Path, names: list[str] | None, runs: IntArray | None, rows: int) -> Iterator[pa.RecordBatch]:
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


def _batch_of(file: Path, columns: str | Sequence[str] | None) -> pa.RecordBatch:
    """Return a batch without rows, in the columns that are wanted."""
    import pyarrow as pa

    schema = _schema(file)
    empty = pa.RecordBatch.from_pylist([], schema=schema)
    if is_sampled(schema):
        empty = _with_times(empty, SampleTimes(schema))
    names = as_columns(columns)
    return empty if names is None else empty.select(names)


def _schema(file: Path) -> pa.Schema:
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


def _overlaps(file: Path, runs: IntArray) -> bool:
    first, last = (int(part) for part in file.stem.split("-"))
    return bool(((runs >= first) & (runs <= last)).any())


def open(path: Path | str) -> Dataset:  # noqa: A001
    """Open a dataset folder.

    Raises:
        DatasetError: it is none.
    """
    return Dataset(path)
