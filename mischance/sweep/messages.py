"""The messages between a sweep and its workers: jobs, and what became of them.

All of them are small, immutable and picklable, and hold everything by value but the dataset itself: a worker needs
this package, the dataset's folder at the same path, and nothing else. So it may be this process, another one, or one
on another machine that shares the folder.

`trace` is a file below that folder, or '': where a runner names one, the worker keeps in it which process does the
job and, if that process dies or is late, where it stood; `runners.read_trace` makes a `Failed` of it. Time limits
(`limit`, seconds that one batch of runs may take) are kept where there is a trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mischance.dataset.disk import FileFacts
from mischance.dataset.manifest import Recipe
from mischance.dataset.parts import RunRow
from mischance.dataset.shards import Shard


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """Where a job belongs: the dataset's absolute path, what it is made by, what makes its work (`module:function`)."""

    out: str
    recipe: Recipe
    source: str
    roots: tuple[str, ...] = ()  # folders that the user's plug-ins came from


@dataclass(frozen=True, slots=True)
class PlayJob:
    """Play runs `first` to `last` (inside one shard), each batch within `limit` seconds."""

    dataset: DatasetRef
    shard: Shard
    first: int
    last: int
    limit: float
    trace: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class SealJob:
    """Make the final files of a shard from its parts, which are named by their paths below the folder of parts."""

    dataset: DatasetRef
    shard: Shard
    parts: tuple[str, ...]
    trace: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class MergeJob:
    """Merge what writers left of each run into the files of their formats, once every run is in place."""

    dataset: DatasetRef
    trace: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class ReplayJob:
    """Play one run alone into a folder of its own; the dataset is only read."""

    dataset: DatasetRef
    run: int
    folder: str
    limit: float = 0.0
    trace: str = ""
    attempt: int = 1


Job = PlayJob | SealJob | MergeJob | ReplayJob


@dataclass(frozen=True, slots=True)
class Done:
    """A job that went well: the runs that were played and in how many seconds, the files that sealing made, by path."""

    rows: tuple[RunRow, ...] = ()
    seconds: float = 0.0
    batch: int = 1
    files: Mapping[str, FileFacts] = field(default_factory=dict)
    sources: Mapping[str, bytes] = field(default_factory=dict)  # modules of the user's that the dataset lacks
    opened: tuple[str, ...] = ()  # files that the user's code has read


@dataclass(frozen=True, slots=True)
class Failed:
    """A job that did not: the reason, and 'failed' (it raised), 'crashed' (its process is gone) or 'timeout'.

    `stop` holds the hint where nothing else can go on either (a full disk). `at_start`: it came before a run had begun.
    """

    reason: str
    status: str = "failed"
    stop: str | None = None
    at_start: bool = False
