"""A finished dataset, opened: `mischance.open(path).features("transactions")`, and its labels apart.

pandas and pyarrow are imported when a table is asked for. What does not fit in memory is read with `batches`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
from mischance.opening.frames import (
    as_columns,
    in_seconds,
    label_keys,
    read_columns,
    to_frame,
)
from mischance.opening.roles import (
    EVENTS,
    LABELS,
    RUNS,
    about_table,
    feature_columns,
    key_columns,
    known_labels,
    label_columns,
    labels_of_rows,
    labels_over_time,
    nullable,
    past,
    time_column,
)
from mischance.opening.splits import SplitOf, rows_in

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

        This is for looking: what a model may be given comes from `features`, what it is to find from `labels`.

        Args:
            name: path in the dataset, or its last word ('transactions' for 'truth/transactions').
            labels: add what the labels of its rows say (`labels/transactions` for `truth/transactions`), their causes
                left aside; one row stays one row. Without a label it has null there, and False where a label is yes
                or no.
            as_of: only rows with t <= as_of [s], and labels that were reported by then: what an analyst knew. What
                is not known yet is null, also where a label is yes or no.
            runs: run, or runs, to read; all where not given.
            columns: columns to read; all where not given.
            calendar: add the calendar time of each row as the column `time`, with its offset from UTC.

        Raises:
            DatasetError: there is no such table or column, it has no label table, or the scenario no `begins`.
        """
        path = self._find(name)
        begins = self._calendar(calendar)
        declared = self._columns(path)
        if as_of is None and not labels:
            return to_frame(self._read(path, columns, runs), declared, begins)
        frame = past(to_frame(self._read(path, None, runs), declared, begins), declared, as_of, path)
        names = as_columns(columns) or [str(each) for each in frame]
        shown = dict(declared)
        if labels:
            side = self._labels_of(path)
            about = self._columns(side)
            said = [name for name in label_columns(side, about) if about[name].role != "cause" and name not in frame]
            keys = label_keys(declared, about, path)
            found = known_labels(to_frame(self._read(side, None, runs), about), about, as_of, path)
            added = labels_of_rows(frame, found, keys, said, complete=as_of is None)[said]
            if as_of is None:
                added = added.astype({name: bool for name in said if added[name].dtype == "boolean"})
            frame[said] = added
            names, shown = [*names, *said], {**about, **declared}
        frame = frame[names]
        units = in_seconds(shown)
        frame.attrs["units"] = {key: column.unit for key, column in units.items() if column.unit and key in frame}
        return frame

    def features(
        self,
        name: str,
        as_of: float | None = None,
        runs: int | Sequence[int] | None = None,
        *,
        columns: str | Sequence[str] | None = None,
        split: str | None = None,
    ) -> pd.DataFrame:
        """Return what a model may be given of a table: no label, no cause, nothing of the future.

        The index holds the key columns, `run` first; `features.join(labels)` joins by it, and `labels` with the same
        arguments has the same rows in the same order. Of `runs` the features are the drawn values.

        Args:
            name: path in the dataset, or its last word; a table under `truth/` or `sensors/`, or `runs`.
            as_of: only rows with t <= as_of [s].
            runs: run, or runs, to read; all where not given.
            columns: features wanted; all where not given.
            split: only rows of `train`, `val` or `test`.

        Raises:
            DatasetError: there is no such table or column, the column is no feature, or the table is truth itself.
        """
        path = self._find(name)
        declared = self._columns(path)
        known = feature_columns(path, declared)
        names = as_columns(columns) or known
        odd = [one for one in names if one not in known]
        if odd:
            why = "is no feature" if odd[0] in declared else "does not exist"
            raise DatasetError(f"column {odd[0]!r} of table {path!r} {why}", f"features: {', '.join(known)}")
        frame = self._rows(path, declared, [*known] if split else names, as_of, runs, split)
        found = frame.set_index(key_columns(declared))[names]
        seen = in_seconds(declared)
        found.attrs["units"] = {one: seen[one].unit for one in names if seen[one].unit}
        return found

    def labels(
        self,
        name: str = LABELS,
        as_of: float | None = None,
        runs: int | Sequence[int] | None = None,
        *,
        split: str | None = None,
    ) -> pd.DataFrame:
        """Return the truth about the rows of a table, in types that can hold a null: null is unknown, or none.

        Where the rows have labels of their own (`labels/transactions`): these, joined by key. Else, of rows with a
        time: `class`, `label_id`, `target`, `severity` and `t_reported` of the label of the table `labels` that is in
        force then (from t_cause up to t_end; the last one to begin), labels of other sensors left aside. Of `runs`:
        measures, event and verdict. Of `labels`: its rows, one each.

        Args:
            name: path of the table in the dataset, or its last word.
            as_of: only rows with t <= as_of [s], and only labels that were reported by then: all others are null, and
                yes-or-no columns are null too where nothing was reported. Without it, the whole truth: a row without
                a label has False in yes-or-no columns.
            runs: run, or runs, to read; all where not given.
            split: only rows of `train`, `val` or `test`.

        Raises:
            DatasetError: there is no such table, or its labels do not say when they were reported.
        """
        path = self._find(name)
        declared = self._columns(path)
        keys = key_columns(declared)
        if path == RUNS or path.startswith((f"{LABELS}/", EVENTS)):
            frame = self._rows(path, declared, label_columns(path, declared), as_of, runs, split)
            return nullable(frame.set_index(keys)[label_columns(path, declared)])
        if path == LABELS:
            whole = known_labels(to_frame(self._read(path, None, runs), declared), declared, as_of, path)
            if split:
                whole = whole[rows_in(self._splits, split, whole, "t_cause")]
            return nullable(whole.set_index(keys))
        rows = self._rows(path, declared, feature_columns(path, declared) if split else [], as_of, runs, split)
        own = f"labels/{path.removeprefix('truth/')}"
        if path.startswith("truth/") and self._shards(own):
            about = self._columns(own)
            said = label_columns(own, about)
            found = known_labels(to_frame(self._read(own, None, runs), about), about, as_of, path)
            by = label_keys(declared, about, path)
            own_labels = labels_of_rows(rows, found, by, said, complete=as_of is None)[said]
            return own_labels.set_axis(rows.set_index(keys).index)
        time = time_column(declared)
        if not time:
            raise DatasetError(f"table {path!r} has neither labels of its own nor times", "see labels('labels')")
        about = self._columns(LABELS)
        found = known_labels(to_frame(self._read(LABELS, None, runs), about), about, as_of, path)
        said = ["class", "label_id", "target", "severity", "t_reported"]
        over = labels_over_time(rows, found, said, time, about_table(found, path))
        return over[said].set_axis(rows.set_index(keys).index)

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

    def _rows(
        self,
        path: str,
        declared: Mapping[str, Column],
        names: list[str],
        as_of: float | None,
        runs: int | Sequence[int] | None,
        split: str | None,
    ) -> pd.DataFrame:
        """Return the rows of a table in those columns, its keys and its time."""
        time = time_column(declared)
        wanted = list(dict.fromkeys([*key_columns(declared), *([time] if time else []), *names]))
        frame = past(to_frame(self._read(path, wanted, runs), declared), declared, as_of, path)
        return frame if split is None else frame[rows_in(self._splits, split, frame, time)].reset_index(drop=True)

    def _splits(self) -> SplitOf:
        return SplitOf(self.table("splits") if self._shards("splits") else None)

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


def open(path: Path | str) -> Dataset:  # noqa: A001
    """Open a dataset folder.

    Raises:
        DatasetError: it is none.
    """
    return Dataset(path)
