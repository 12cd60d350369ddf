"""Has the jobs of one sweep, or of many at a time, done by one runner; Ctrl-C ends it in good order."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Protocol

from mischance.sweep.messages import Done, Failed, Job
from mischance.sweep.runners import Runner


class Source(Protocol):
    """What has jobs to be done: a sweep, or a scenario of a suite.

    `owner` stands in all of its jobs, and no other source has the same: that says whose a job is.
    """

    @property
    def owner(self) -> str:
        """The folder of its dataset."""
        ...

    @property
    def ended(self) -> bool:
        """Whether everything is done, or was given up."""
        ...

    def next(self, share: int) -> Job | None:
        """Return a job that can be done now, if there is one.

        Args:
            share: how many workers its jobs may be dealt out to.
        """
        ...

    def take(self, job: Job, result: Done | Failed) -> None:
        """Take what became of a job."""
        ...


class Stop:
    """Whether the user has asked for an end: the first Ctrl-C or SIGTERM asks, the second raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.asked = False

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Listen inside the `with` block, in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: FrameType | None) -> None:
            del number, frame
            if self.asked:
                raise KeyboardInterrupt
            self.asked = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Open:
    """The sources that were begun and have not ended, and those that are to come, in their order."""

    def __init__(self, openers: Sequence[Callable[[], Source | None]]) -> None:
        self._waiting = list(reversed(openers))
        self._begun: dict[str, Source] = {}

    def owner(self, job: Job) -> Source | None:
        """Return whose a job is; None where that one has been given up."""
        return self._begun.get(job.owner)

    def drop_ended(self) -> None:
        """Forget the sources that have ended."""
        self._begun = {out: source for out, source in self._begun.items() if not source.ended}

    def next(self, width: int) -> Job | None:
        """Return the next job: of the first source that has one, else of a new one."""
        while True:
            share = max(1, width // (len(self._begun) + len(self._waiting))) if self._begun else width
            for source in tuple(self._begun.values()):
                job = source.next(share)
                if job is not None:
                    return job
            self.drop_ended()
            if not self._waiting:
                return None
            fresh = self._waiting.pop()()
            if fresh is not None:
                self._begun[fresh.owner] = fresh


def drive(openers: Sequence[Callable[[], Source | None]], runner: Runner, look: Callable[[bool], None]) -> bool:
    """Have all jobs of all sources done; return whether that came to its end.

    A source is opened where those before it have no job to give and a worker would be idle. So few are open at a time,
    and no worker waits for the last job of another source.

    Args:
        openers: each opens a source; None where there is nothing to do.
        runner: does the jobs.
        look: called now and then, with whether the user has asked for an end.

    Raises:
        KeyboardInterrupt: the user has asked a second time.
    """
    sources, stop, under_way = _Open(openers), Stop(), 0
    with stop.signals():
        while True:
            if stop.asked:
                under_way -= len(runner.cancel())
            while not stop.asked and under_way < 2 * runner.width:
                job = sources.next(runner.width)
                if job is None:
                    break
                runner.submit(job)
                under_way += 1
            if not under_way:
                return not stop.asked
            for job, result in runner.collect(timeout=0.25):
                under_way -= 1
                owner = sources.owner(job)
                if owner is not None:
                    owner.take(job, result)
            sources.drop_ended()
            look(stop.asked)


__all__ = ["Source", "Stop", "drive"]
