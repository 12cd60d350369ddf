"""Job runners: in-process, and a process pool that survives the death of a worker.

Any other (a cluster's) is a class with the methods of `Runner`: `sweep(scenario, runs, out, runner=Mine())`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from dataclasses import replace
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Protocol

from mischance.api.names import unique_word
from mischance.api.phases import Phase
from mischance.errors import RunError
from mischance.sweep.messages import Done, Failed, Job, JudgeJob, PlayJob, ReplayJob
from mischance.sweep.own_processes import context as workers_context
from mischance.sweep.workers import begin, perform, release

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_PATIENCE = 60.0  # seconds by which the pool's own time limit is later than the worker's
_REBUILDS = 3
# What every worker needs, whatever it plays; the libraries only where this process has found a use for them.
PRELOADED = (
    "mischance.sweep.workers", "mischance.dataset.splits", "mischance.language.loading", "mischance.play.healthy",
    "mischance.play.player", "mischance.play.sampling", "mischance.play.twins", "pyarrow.parquet", "scipy.special",
)  # fmt: skip
FROZEN = "mischance.sweep.frozen"  # after all others
_LIBRARIES = ("cv2", "numba", "pandas", "scipy.stats", "simpy")


class Runner(Protocol):
    """Has jobs done, wherever, and hands back what became of them, in any order.

    A job is done by `workers.perform(job)` in a process that does one at a time, has this package, and sees the
    dataset's folder at the same path. Jobs and results are messages that pickle (see `messages`). The runner is the
    only one who notices that a worker is gone: it hands such a job back as `Failed(reason, "crashed")`, and the sweep
    plays the job's runs again one by one until it knows the culprit. A job that nobody had begun is not lost: the
    runner gives it to another worker. Jobs may be done twice, for example by a worker that was taken for lost: both
    make the same bytes under the same names.

    A sweep calls all methods from one thread, and `close` at its end, whichever way it ends; a runner serves one sweep.
    """

    @property
    def width(self) -> int:
        """How many jobs can be under way at once, now; at least 1. The sweep keeps twice as many submitted."""
        ...

    def submit(self, job: Job) -> None:
        """Take a job; called while fewer than twice `width` are in the runner's hands."""
        ...

    def collect(self, timeout: float) -> list[tuple[Job, Done | Failed]]:
        """Return each job that has ended since the last call, as it was submitted, with what became of it.

        Wait for the first one, at most `timeout` seconds, as progress is shown and Ctrl-C is heeded in between.
        """
        ...

    def phase(self) -> Phase | None:
        """Return what a worker is busy with before it can play, such as compiling; None: nothing, or not known."""
        ...

    def cancel(self) -> list[Job]:
        """Return the jobs that nobody has begun, and forget them; called when a sweep is to stop."""
        ...

    def close(self) -> None:
        """Stop everything now: jobs under way are lost, which loses no run that was handed back."""
        ...


class Serial:
    """Does jobs one after the other in this process: for tests and debuggers, without time limits."""

    width = 1

    def __init__(self) -> None:
        self._waiting: list[Job] = []

    def submit(self, job: Job) -> None:
        """Take a job."""
        self._waiting.append(replace(job, trace=""))

    def collect(self, timeout: float) -> list[tuple[Job, Done | Failed]]:
        """Do the first job."""
        del timeout
        job = self._waiting.pop(0)
        return [(job, perform(job))]

    def phase(self) -> Phase | None:
        """Return None: nobody looks while this process works."""
        return None

    def cancel(self) -> list[Job]:
        """Give all jobs back."""
        jobs, self._waiting = self._waiting, []
        return jobs

    def close(self) -> None:
        """Forget the jobs, and close what playing them held."""
        self._waiting.clear()
        release()


class Processes:
    """Does jobs in `width` processes, each ending when this one does.

    They are forks of a server process (see `forks`): a worker starts in milliseconds instead of a second, also in
    place of one that was lost.

    A worker's time limit is its own (see `workers`); the pool's, which is later, is for one that no longer
    runs even that.

    Args:
        width: how many.
        traces: folder for the files in which workers keep where they stand; one of its own where not given.
    """

    def __init__(self, width: int, traces: Path | None = None) -> None:
        self.width = width
        self._own = None if traces is not None else tempfile.TemporaryDirectory(prefix="mischance-traces-")
        traces = traces if traces is not None else Path(self._own.name if self._own else "")
        self._traces = traces
        self._word = unique_word()
        self._count = 0
        self._rebuilt = 0
        self._jobs: dict[Future[Done | Failed], Job] = {}
        # One thread a worker: more would fight for the cores that the other workers use.
        self._environment = {name: "1" for name in _THREADS if name not in os.environ}
        os.environ.update(self._environment)
        self._start()

    def _start(self) -> None:
        from pebble import ProcessPool

        context = forks()
        # The server keeps the environment that this process had at its first sweep: each worker is told today's.
        self._pool = ProcessPool(self.width, initializer=begin, initargs=(dict(os.environ),), context=context)

    def submit(self, job: Job) -> None:
        """Take a job."""
        self._count += 1
        job = replace(job, trace=str(self._traces / f".trace-{self._word}-{self._count}"))
        timeout = None
        if isinstance(job, PlayJob | ReplayJob | JudgeJob) and job.limit > 0:
            batches = 1
            if isinstance(job, PlayJob):
                batches = job.last - job.first + 1
            elif isinstance(job, JudgeJob):
                batches = len(job.tasks) + 3  # together first, then one by one
            timeout = job.limit * batches + _PATIENCE
        future: Future[Done | Failed] = self._pool.schedule(perform, args=(job,), timeout=timeout)
        self._jobs[future] = job

    def collect(self, timeout: float) -> list[tuple[Job, Done | Failed]]:
        """Return what is finished."""
        wait(self._jobs, timeout=timeout, return_when=FIRST_COMPLETED)
        found = []
        broken: list[Job] = []
        for future in [future for future in self._jobs if future.done() or self._is_orphan(future)]:
            job = self._jobs.pop(future)
            try:
                result = self._result(future, job)
            except BrokenExecutor:
                broken.append(job)
                continue
            self._rebuilt = 0
            found.append((job, result))
        if broken:
            self._rebuild([*broken, *self._jobs.values()])
        return found

    def _result(self, future: Future[Done | Failed], job: Job) -> Done | Failed:
        from pebble import ProcessExpired

        try:
            return future.result(timeout=0)
        except ProcessExpired as error:
            return read_trace(Path(job.trace), job, int(error.exitcode or 0))
        except CancelledError:
            return read_trace(Path(job.trace), job, 0)
        except TimeoutError:
            Path(job.trace).unlink(missing_ok=True)
            return Failed(f"over its time limit: {_limit_text(job)}, and did not answer", "timeout")

    def _is_orphan(self, future: Future[Done | Failed]) -> bool:
        """Say whether a job's worker left with exit code 0, which the pool takes for a good end and waits on."""
        if not future.running():
            return False
        try:
            words = Path(self._jobs[future].trace).read_text(encoding="utf-8", errors="replace").split(maxsplit=2)
        except OSError:
            return False
        if len(words) < 2 or words[0] != "pid":
            return False
        if any(child.pid == int(words[1]) for child in multiprocessing.active_children()):
            return False
        time.sleep(0.3)  # its last answer may still be on the way
        if not future.done():
            future.cancel()
        return True

    def _rebuild(self, jobs: Iterable[Job]) -> None:
        """Start over after the pool as a whole broke; nobody is blamed.

        Raises:
            RunError: it breaks again and again.
        """
        again = list(jobs)
        self._jobs.clear()
        self._rebuilt += 1
        if self._rebuilt > _REBUILDS:
            raise RunError(
                "worker processes end as soon as they are started",
                "workers=0 plays in this process, where a debugger sees why",
            )
        self._stop()
        self._start()
        for job in again:
            Path(job.trace).unlink(missing_ok=True)
            self.submit(job)

    def phase(self) -> Phase | None:
        """Return the phase of the first worker that has one."""
        for future, job in self._jobs.items():
            if future.running():
                with contextlib.suppress(OSError):
                    found = last_phase(Path(job.trace).read_text(encoding="utf-8", errors="replace"))
                    if found is not None:
                        return found
        return None

    def cancel(self) -> list[Job]:
        """Give back the jobs that nobody has begun."""
        waiting = [future for future in self._jobs if not future.running() and not future.done()]
        for future in waiting:
            future.cancel()
        return [self._jobs.pop(future) for future in waiting]

    def _stop(self) -> None:
        self._pool.stop()  # type: ignore[no-untyped-call]
        with contextlib.suppress(TimeoutError):
            self._pool.join(timeout=10)

    def close(self) -> None:
        """Stop everything now."""
        self._stop()
        for name in self._environment:
            os.environ.pop(name, None)
        if self._own is not None:
            self._own.cleanup()


def forks() -> ForkServerContext:
    """Return the context of processes that are forks of a server, and start that server if it does not run.

    The server (`multiprocessing`'s fork server) holds no data, only the modules that each worker would import. It has
    SIGINT blocked, and ends with this process. Its one thread beside the main one is jemalloc's, which is made for
    forks.
    """
    context = workers_context()
    context.set_forkserver_preload([*PRELOADED, *(name for name in _LIBRARIES if name in sys.modules), FROZEN])
    with _ctrl_c_held_back():
        forkserver.ensure_running()
    return context


@contextlib.contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Block SIGINT: a process that is started here has it blocked for good, and so have its forks.

    Ctrl-C reaches every process of a terminal, and only the sweep is to heed it. Without this the server would end
    while it imports, and a worker before the pool takes care of it.
    """
    resource_tracker.ensure_running()  # it unblocks SIGINT where it has to start a process
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def last_phase(trace: str) -> Phase | None:
    """Return the phase that a worker has written down last; None where that is over."""
    lines = re.findall(r"^phase (\S+) (.+)\n", trace, re.MULTILINE)
    if not lines or lines[-1][1] == "-":
        return None
    seconds, name = lines[-1]
    return Phase(name, None if seconds == "-" else float(seconds))


def read_trace(trace: Path, job: Job, exit_code: int) -> Failed:
    """Return why a worker died, from what it left and from its exit code."""
    text = ""
    with contextlib.suppress(OSError):
        text = trace.read_text(encoding="utf-8", errors="replace")
        trace.unlink()
    stack = re.sub(r"^phase .*\n", "", text.split("\n", 1)[-1], flags=re.MULTILINE).strip()
    # The main thread comes last; the others only watch.
    frames = re.findall(r'most recent call first\):\n\s*File "(.*?)", line (\d+) in (\S+)', stack)
    frame = frames[-1] if frames else None
    place = f" in {frame[2]} ({Path(frame[0]).name}:{frame[1]})" if frame else ""
    below = f"\n{stack}" if stack else ""
    if stack.startswith("Timeout"):
        return Failed(f"over its time limit: {_limit_text(job)}{place}{below}", "timeout")
    fatal = re.search(r"Fatal Python error: (.*)", stack)
    if fatal:
        return Failed(f"its process died: {fatal[1]}{place}{below}", "crashed")
    if exit_code < 0:
        with contextlib.suppress(ValueError):
            return Failed(f"its process was ended by {signal.Signals(-exit_code).name}", "crashed")
    return Failed(f"its process ended with exit code {exit_code}", "crashed")


def _limit_text(job: Job) -> str:
    return f"{job.limit:g} s" if isinstance(job, PlayJob | ReplayJob | JudgeJob) else "none"
