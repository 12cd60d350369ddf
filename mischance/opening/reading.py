"""A finished dataset, opened: `mischance.open(path).table("transactions", labels=True, as_of=T)`.

pandas and pyarrow are imported when a table is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.arrow import read_parquet, readable, units
from mischance.api.names import padded
from mischance.dataset.draft import SCENARIO
from mischance.dataset.manifest import MERGE, PARTS, read_manifest
from mischance.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_PLACES = ("", "truth/", "sensors/", "labels/")
REPORTED = "t_reported"
KEY = "event_id"


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

    def tables(self) -> list[str]:
        """Return the paths of all tables, sorted."""
        folders = {file.parent.relative_to(self.path) for file in self.path.rglob("*.parquet")}
        return sorted(str(folder) for folder in folders if folder.parts and folder.parts[0] not in (PARTS, MERGE))

    def table(
        self, name: str, labels: bool = False, as_of: float | None = None, runs: int | Sequence[int] | None = None
    ) -> pd.DataFrame:
        """Return a table as a pandas DataFrame; `attrs["units"]` maps columns to units.

        Args:
            name: path in the dataset, or its last word ('transactions' for 'truth/transactions').
            labels: join the labels of its rows (`labels/transactions` for `truth/transactions`) by run and
                event_id. A row that is in two campaigns comes twice. A row without a label has null there,
                and False where the label is yes or no.
            as_of: join only labels with t_reported <= as_of [s]: what an analyst knew by then. A row whose
                label is reported later, or never, looks like a row without a label.
            runs: run, or runs, to read; all where not given.

        Raises:
            DatasetError: there is no such table, or it has no label table.
        """
        path = self._find(name)
        wanted = None if runs is None else np.atleast_1d(np.asarray(runs, np.int64))
        rows = self._read(path, wanted)
        frame: pd.DataFrame = rows.to_pandas()
        facts = units(rows.schema)
        if labels:
            side = self._read(self._labels_of(path), wanted)
            facts.update({key: value for key, value in units(side.schema).items() if key not in facts})
            frame = _join(frame, side.to_pandas(), as_of, path)
        elif as_of is not None:
            raise DatasetError("as_of says which labels are known by then", "ask for labels=True with it")
        frame.attrs["units"] = {column: unit for column, (unit, _) in facts.items() if unit}
        return frame

    def arrow(self, name: str, runs: int | Sequence[int] | None = None) -> pa.Table:
        """Return a table as Arrow, with units in its field metadata."""
        return self._read(self._find(name), None if runs is None else np.atleast_1d(np.asarray(runs, np.int64)))

    def frames(self, name: str, run: int) -> list[Path]:
        """Return the images of one run, in order of time: `frames('sensors/front/frames', 3)`.

        Raises:
            DatasetError: the run has none of that name.
        """
        folder = self.path / name / padded(run)
        if not folder.is_dir():
            raise DatasetError(f"{self.path} has no images {name!r} of run {run}")
        return sorted(folder.iterdir())

    def _find(self, name: str) -> str:
        for place in _PLACES:
            if self._shards(place + name):
                return place + name
        known = self.tables()
        raise DatasetError(f"{self.path} has no table {name!r}", f"it has: {', '.join(known) or 'none yet'}")

    def _shards(self, path: str) -> list[Path]:
        # An explicit list of files: a table's folder may hold the folders of other tables (labels/front).
        return sorted((self.path / path).glob("*.parquet"))

    def _labels_of(self, path: str) -> str:
        place = f"labels/{path.removeprefix('truth/')}"
        if path.startswith("truth/") and self._shards(place):
            return place
        having = [table for table in self.tables() if self._shards(f"labels/{table.removeprefix('truth/')}")]
        raise DatasetError(
            f"table {path!r} has no label table",
            f"these have one: {', '.join(having)}" if having else "see the table 'labels', by run and target",
        )

    def _read(self, path: str, runs: Any) -> pa.Table:
        import pyarrow as pa
        import pyarrow.parquet as pq

        shards = self._shards(path)
        if runs is None:
            return pa.concat_tables([read_parquet(file) for file in shards])
        near = [file for file in shards if _overlaps(file, runs)]
        if not near:
            with readable(shards[0]):
                return pq.read_schema(shards[0]).empty_table()
        return pa.concat_tables([read_parquet(file, runs.tolist()) for file in near])


def _overlaps(file: Path, runs: Any) -> bool:
    first, last = (int(part) for part in file.stem.split("-"))
    return bool(((runs >= first) & (runs <= last)).any())


def _join(frame: pd.DataFrame, labels: pd.DataFrame, as_of: float | None, path: str) -> pd.DataFrame:
    if KEY not in frame or KEY not in labels:
        raise DatasetError(f"table {path!r} and its labels share no column {KEY!r}")
    if as_of is not None:
        if REPORTED not in labels:
            raise DatasetError(f"the labels of {path!r} do not say when they were reported")
        labels = labels[labels[REPORTED] <= as_of]
    flags = [name for name in labels.columns if labels[name].dtype == bool]
    both = [name for name in labels.columns if name in frame.columns and name not in ("run", KEY)]
    joined = frame.merge(labels.drop(columns=both), on=["run", KEY], how="left", validate="1:m")
    for name in flags:
        if name in joined:
            joined[name] = joined[name].eq(True)
    return joined


def open(path: Path | str) -> Dataset:  # noqa: A001
    """Open a dataset folder.

    Raises:
        DatasetError: it is none.
    """
    return Dataset(path)
