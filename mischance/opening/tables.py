"""The tables of a dataset folder, found by name and read whole or a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from mischance.api.names import padded
from mischance.api.tables import Column
from mischance.dataset.draft import SCENARIO
from mischance.dataset.manifest import PARTS, read_manifest
from mischance.dataset.shards import MERGE
from mischance.errors import DatasetError
from mischance.opening.files import batch_of, file_batches, overlaps, schema_of
from mischance.opening.frames import as_columns, in_seconds, read_columns, to_frame

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


_PLACES = ("", "truth/", "sensors/", "labels/")
BATCH = 131_072  # rows
_WHOLE = 1 << 20  # rows of a batch where everything is read anyway


class Tables:
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

    def has(self, path: str) -> bool:
        """Say whether there is a table at that path of the dataset."""
        return bool(self._shards(path))

    def files(self, path: str) -> list[Path]:
        """Return the Parquet files of the table at that path, in order of runs."""
        return self._shards(path)

    def columns(self, name: str) -> dict[str, Column]:
        """Return what the columns of a table are, as `table` gives them: type, unit, meaning and role.

        Raises:
            DatasetError: there is no such table.
        """
        return in_seconds(self._columns(self._find(name)))

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
        return read_columns(schema_of(self._shards(path)[0]))

    def _read(self, path: str, columns: str | Sequence[str] | None, runs: int | Sequence[int] | None) -> pa.Table:
        import pyarrow as pa

        found = list(self._stream(path, columns, runs, _WHOLE))
        if found:
            return pa.Table.from_batches(found)
        return pa.Table.from_batches([batch_of(self._shards(path)[0], columns)])

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
        files = [file for file in self._shards(path) if wanted is None or overlaps(file, wanted)]
        return (batch for file in files for batch in file_batches(file, names, wanted, rows))
