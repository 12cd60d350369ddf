"""The messages between a sweep and its workers: jobs, and what became of them.

All of them are small, immutable and picklable, and hold everything by value but the dataset itself: a worker needs
this package, the dataset's folder at the same path, and nothing else. So it may be this process, another one, or one
on another machine that shares the folder.

`trace` is a file below that folder, or '': where a runner names one, the worker keeps in it which process does the
job and, if that process dies or is late, where it stood; `runners.read_trace` makes a `Failed` of it. Time limits
(`limit`, seconds that one batch of runs may take) are kept where there is a trace.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mischance.dataset.disk import FileFacts
from mischance.dataset.manifest import Recipe
from mischance.dataset.parts import RunRow
from mischance.dataset.shards import Shard
from mischance.errors import MischanceError
from mischance.sweep.setups import Answer, Setup


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """Where a job belongs: the dataset's absolute path, what it is made by, what makes its work (`module:function`)."""

    out: str
    recipe: Recipe
    source: str
    roots: tuple[str, ...] = ()  # folders that the user's plug-ins came from


@dataclass(frozen=True, slots=True)
class _OfDataset:
    """A job for a dataset."""

    dataset: DatasetRef

    @property
    def owner(self) -> str:
        """Whose job it is: the dataset's folder."""
        return self.dataset.out


@dataclass(frozen=True, slots=True)
class PlayJob(_OfDataset):
    """Play runs `first` to `last` (inside one shard), each batch within `limit` seconds."""

    shard: Shard
    first: int
    last: int
    limit: float
    trace: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class SealJob(_OfDataset):
    """Make the final files of a shard from its parts, which are named by their paths below the folder of parts."""

    shard: Shard
    parts: tuple[str, ...]
    trace: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class MergeJob(_OfDataset):
    """Merge what writers left of each run into the files of their formats, once every run is in place."""

    trace: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class ReplayJob(_OfDataset):
    """Play one run alone into a folder of its own; the dataset is only read."""

    run: int
    folder: str
    limit: float = 0.0
    trace: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class JudgeJob:
    """Play runs of a scenario otherwise than they were, and say what each comes to; nothing is written.

    `tasks`: number of each run, and what is left out of it; see `judging`. `limit`: seconds that one run may take.
    """

    owner: str  # the dataset's folder
    setup: Setup
    tasks: tuple[tuple[int, str], ...]
    limit: float
    trace: str = ""
    attempt: int = 1


Job = PlayJob | SealJob | MergeJob | ReplayJob | JudgeJob


@dataclass(frozen=True, slots=True)
class Done:
    """A job that went well: the runs that were played and in how many seconds, the files that sealing made, by path.

    `spent`: what it was done with -> seconds, as far as a phase was told (see `mischance.api.phases`).
    """

    rows: tuple[RunRow, ...] = ()
    seconds: float = 0.0
    batch: int = 1
    files: Mapping[str, FileFacts] = field(default_factory=dict)
    sources: Mapping[str, bytes] = field(default_factory=dict)  # modules of the user's that the dataset lacks
    opened: tuple[str, ...] = ()  # files that the user's code has read
    answers: tuple[Answer, ...] = ()
    spent: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """A job that did not: the reason, and 'failed' (it raised), 'crashed' (its process is gone) or 'timeout'.

    `stop` holds the hint where nothing else can go on either (a full disk). `at_start`: it came before a run had begun.
    """

    reason: str
    status: str = "failed"
    stop: str | None = None
    at_start: bool = False


def explain(error: BaseException) -> str:
    """Return one line for people, and below it the traceback where the error is not ours."""
    if isinstance(error, MischanceError):
        return f"{error.message}; {error.hint}" if error.hint else error.message
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}{place}\n{''.join(traceback.format_exception(error))}"
