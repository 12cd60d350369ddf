"""Where a sweep stands, what it came to, and that it was stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mischance.api.phases import Phase
from mischance.dataset.ledger import RunTotals


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a sweep stands.

    `rate` is runs per second of this call, `left` the seconds to go where known, `extends` the runs that the dataset
    had before this call asked for more (0: it asked for no more).
    """

    done: int
    failed: int
    total: int
    events: int
    seconds: float
    rate: float
    left: float | None
    phase: str = "playing"
    extends: int = 0
    waiting: tuple[int, int] | None = None  # first and last run of the job that has been under way the longest
    busy: Phase | None = None  # what a worker does before it can play
    anew: int | None = None  # failed runs of another scenario that the folder held, and nothing else: they are gone


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep came to.

    `fresh` runs were played by this call; `failures` maps runs to reasons; `extends`: see `Progress`. `opened`:
    files that the user's code has read and that the dataset does not keep.
    """

    path: Path
    totals: RunTotals
    fresh: int
    seconds: float
    failures: dict[int, str]
    extends: int = 0
    opened: tuple[Path, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every run is done."""
        return not self.failures


class Interrupted(KeyboardInterrupt):
    """A sweep was stopped by the user; what is done is kept."""

    def __init__(self, path: Path, done: int, total: int, what: str = "runs") -> None:
        self.path = path
        self.done = done
        self.total = total
        super().__init__(f"stopped after {done} of {total} {what} in {path}; the same command resumes")
