"""Tables as Parquet: truth, sensors' readings and twins, typed, with units, in shards by ranges of runs."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, Field

from mischance.api.runs import Record


class Settings(BaseModel, extra="forbid", frozen=True):
    """What a scenario may say about Parquet."""

    leave_out: tuple[str, ...] = Field((), description="tables not to write, as patterns: truth/motion, sensors/imu*")


class Parquet:
    """Says which tables and signals a dataset stores; the dataset writes them, since a file holds many jobs' runs."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings

    def keeps(self, path: str) -> bool:
        """Return whether the table or the signals at that path of the dataset are stored."""
        return not any(fnmatchcase(path, pattern) for pattern in self.settings.leave_out)

    def write(self, record: Record) -> None:
        """Nothing: see `keeps`."""

    def close(self) -> None:
        """Nothing stays open."""
