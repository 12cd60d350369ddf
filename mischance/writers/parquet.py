"""Tables as Parquet: truth, sensors' readings and twins, typed, with units, in shards by ranges of runs."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, Field

from mischance.api.arrow import TableStreams
from mischance.api.runs import Record

# runs, events and labels are the dataset's own: it writes them whatever the formats are.
_OWN = ("runs", "events", "labels", "splits")


class Settings(BaseModel, extra="forbid", frozen=True):
    """What a scenario may say about Parquet."""

    leave_out: tuple[str, ...] = Field((), description="tables not to write, as patterns: truth/motion, sensors/imu*")


class Parquet:
    """Writes Arrow streams into the part; the dataset turns those of a shard into one Parquet file a table."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self._streams = TableStreams(folder / "_tables")

    def write(self, record: Record) -> None:
        """Take the rows of a record."""
        for path, table in record.tables.items():
            own = path in _OWN or path.startswith("labels/")
            if not own and not any(fnmatchcase(path, pattern) for pattern in self.settings.leave_out):
                self._streams.append(path, table, record.runs)

    def close(self) -> None:
        """End the streams."""
        self._streams.close()
