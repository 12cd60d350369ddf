"""A runner that plays in this process, and starts others only for what takes long."""

from __future__ import annotations

import time

from mischance.api.phases import Phase
from mischance.sweep.messages import Done, Failed, Job
from mischance.sweep.runners import Processes, Serial


class Growing:
    """Does jobs in this process at first, and in processes once it has taken longer than `patience` seconds.

    A small sweep needs no worker, and is over before one would have loaded anything.

    Args:
        width: how many processes; below 2, none is ever started.
        patience: seconds of work in this process.
    """

    def __init__(self, width: int, patience: float = 5.0) -> None:
        self._most = width
        self._left = patience
        self._now: Serial | Processes = Serial()

    @property
    def width(self) -> int:
        """How many jobs can be under way at once, now."""
        return self._now.width

    def submit(self, job: Job) -> None:
        """Take a job."""
        self._now.submit(job)

    def collect(self, timeout: float) -> list[tuple[Job, Done | Failed]]:
        """Return what is finished."""
        begun = time.monotonic()
        found = self._now.collect(timeout)
        if isinstance(self._now, Serial) and self._most > 1:
            self._left -= time.monotonic() - begun
            if self._left < 0:
                waiting = self._now.cancel()
                self._now.close()
                self._now = Processes(self._most)
                for job in waiting:
                    self._now.submit(job)
        return found

    def phase(self) -> Phase | None:
        """Return what a worker is busy with before it can play."""
        return self._now.phase()

    def cancel(self) -> list[Job]:
        """Give back the jobs that nobody has begun."""
        return self._now.cancel()

    def close(self) -> None:
        """Stop everything now."""
        self._now.close()
