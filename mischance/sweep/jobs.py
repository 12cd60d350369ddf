"""Sweeps: many runs of one scenario into one dataset, dealt out to workers, resumable at any moment.

Jobs are stretches of runs sized by time, so that messages are few; the dataset's bytes do not depend on
them. When a job fails its runs are played one by one, the culprit is tried once more, then recorded.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mischance.api.phases import Phase
from mischance.dataset.draft import Draft, recipe_of
from mischance.dataset.shards import Shard, range_name
from mischance.errors import DatasetError, StartError
from mischance.language.inputs import roots_of, unkept, with_inputs
from mischance.sweep.messages import DatasetRef, Done, Failed, Job, MergeJob, PlayJob, SealJob
from mischance.sweep.progress import Interrupted, Progress, SweepResult
from mischance.sweep.replaying import Replay, replay
from mischance.sweep.runners import Processes, Runner, Serial
from mischance.sweep.scheduling import drive
from mischance.sweep.workers import SCENARIO_WORK

if TYPE_CHECKING:
    from mischance.language.scenario import Scenario

TARGET = 2.0  # seconds that a job should take
GROWTH = 4  # at most so many times the last size
BEGINNERS = 8  # where so many runs cannot begin, and none can, a sweep is stopped
FIRST = 256  # most runs of a job before anything was measured


def sweep(
    scenario: Scenario,
    runs: int,
    out: Path | str,
    *,
    workers: int = 1,
    runner: Runner | None = None,
    twin: bool = False,
    keep_twins: bool = False,
    limit: float = 600.0,
    retry_failed: bool = False,
    shard: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    inputs: Sequence[Path] = (),
    work: str = SCENARIO_WORK,
) -> SweepResult:
    """Play runs 0 … runs - 1 of a scenario into a dataset; the same call resumes a stopped one.

    A call for more runs than a dataset has extends it: only the missing ones are played, and the bytes are those of
    a fresh sweep of that many runs with the same range of shards.

    Args:
        scenario: what to play.
        runs: how many.
        out: the dataset's folder.
        workers: processes; 0 plays in this one, without time limits.
        runner: has the jobs done instead of `workers` processes; it is closed at the end.
        twin: play each run beside its twins and fill their labels in.
        keep_twins: store the twin's rows too.
        limit: time that one run may take [s].
        retry_failed: try again what was given up.
        shard: runs a file holds; where not given, as the dataset was begun, or a fixed function of `runs`.
        progress: called now and then.
        inputs: further files that what is played reads; the dataset keeps them, and another content is another dataset.
        work: `module:function` that makes the work from the folder and the recipe.

    Raises:
        DatasetError: the folder is foreign, busy, full or holds another dataset; nothing is overwritten.
        StartError: the first runs cannot begin; the rest is not tried.
        Interrupted: Ctrl-C or SIGTERM; running jobs were finished (a second one stops at once).
    """
    begun = time.monotonic()
    with contextlib.ExitStack() as given:
        if runner is not None:
            given.callback(runner.close)
        todo = opened(
            scenario, runs, Path(out), twin=twin, keep_twins=keep_twins, limit=limit, retry_failed=retry_failed,
            shard=shard, inputs=inputs, work=work,
        )  # fmt: skip
        # The runner is closed before the folder is given free.
        with todo as under_way, given.pop_all() as open_runners:
            if not under_way.ended:
                if runner is None:
                    runner = Processes(workers, under_way.draft.parts.absolute()) if workers > 0 else Serial()
                    open_runners.callback(runner.close)
                _finish(under_way, runner, progress)
            return replace(under_way.result(), seconds=time.monotonic() - begun)


@contextlib.contextmanager
def opened(
    scenario: Scenario,
    runs: int,
    folder: Path,
    *,
    twin: bool = False,
    keep_twins: bool = False,
    limit: float = 600.0,
    retry_failed: bool = False,
    shard: int | None = None,
    inputs: Sequence[Path] = (),
    work: str = SCENARIO_WORK,
) -> Iterator[Sweep]:
    """Open a dataset and yield what is left to do of it; for the arguments, and what is raised, see `sweep`."""
    if work == SCENARIO_WORK:
        scenario = with_inputs(scenario, inputs)
    recipe = recipe_of(scenario, runs, twin=twin, keep_twins=keep_twins, shard=shard)
    with Draft(folder, recipe, scenario, any_shard=shard is None) as draft:
        if retry_failed:
            draft.reopen()
        if not draft.finished:
            draft.parts.mkdir(exist_ok=True)
        dataset = DatasetRef(str(folder.absolute()), draft.recipe, work, roots_of(scenario.files))
        merges = not draft.finished and _merges(scenario, work)
        yield Sweep(draft, dataset, limit, _batch(scenario, work), merges=merges)


def _per_hour(draft: Draft) -> str:
    """Say how often the event happens in an hour, where the scenario says how often the situation comes up."""
    if draft.scenario.exposure is None:
        return ""
    from mischance.estimate.exposure import rate_of_dataset

    return str(rate_of_dataset(draft.out, draft.scenario, draft.missing()) or "")


def _batch(scenario: Scenario, work: str) -> int:
    """Return how many runs are played together, as far as that is known before the first job is done."""
    if work != SCENARIO_WORK:
        return 1
    from mischance.play.plugins import batch_size

    return batch_size(scenario)


def _merges(scenario: Scenario, work: str) -> bool:
    """Say whether files are merged at the end, as far as that is known here."""
    return work != SCENARIO_WORK or any(plugin.declared.merge is not None for plugin in scenario.writers)


def _finish(under_way: Sweep, runner: Runner, progress: Callable[[Progress], None] | None) -> None:
    """Do everything that is left to do.

    Raises:
        Interrupted: the user has stopped it.
    """
    look = (lambda stopping: progress(under_way.progress(runner.phase(), stopping=stopping))) if progress else None
    try:
        whole = drive([lambda: under_way], runner, look or (lambda _: None))
    except KeyboardInterrupt as error:
        raise under_way.interrupted() from error
    if not whole:
        raise under_way.interrupted()


class Sweep:
    """The state of one sweep: runs to play, jobs under way, results so far. See `scheduling.Source`."""

    def __init__(self, draft: Draft, dataset: DatasetRef, limit: float, batch: int = 1, *, merges: bool = True) -> None:
        self.draft = draft
        self.dataset = dataset
        self.limit = limit
        self._begun = time.monotonic()
        self._fresh = 0
        totals = draft.ledger.totals()
        self._begun_well = totals.decided > 0  # some run has begun, or was given up before
        self._unbegun: dict[int, str] = {}
        self._done, self._failed, self._events = totals.done, totals.failures, totals.events
        self._open = {shard: deque(runs) for shard, runs in draft.pending().items()}
        self._left = {shard: len(runs) for shard, runs in self._open.items()}
        self._urgent: deque[Job] = deque()
        self._under_way = 0
        self._playing: dict[tuple[int, int], None] = {}  # first and last runs of jobs under way, the oldest first
        self._cost: float | None = None  # seconds a run
        self._size = 0
        self._batch = batch
        self._share = 1  # workers that its jobs are dealt out to
        self._merges = merges
        self.opened: set[str] = set()
        self.spent: dict[str, float] = {}
        for shard in [shard for shard, left in self._left.items() if not left]:
            self._seal(shard)

    @property
    def owner(self) -> str:
        """The dataset's folder, as its jobs name it."""
        return self.dataset.out

    @property
    def ended(self) -> bool:
        """Whether every run is decided, sealed and merged."""
        return not self._left and not self._merges and not self._under_way

    def result(self) -> SweepResult:
        """Finish the dataset, once all has ended, and return what came of it."""
        draft = self.draft
        if not draft.finished:
            draft.finish(_per_hour(draft))
        failures = {entry.run: (entry.error or entry.status).split("\n")[0] for entry in draft.ledger.failures()}
        kept = unkept(self.opened, draft.scenario.files)
        seconds = time.monotonic() - self._begun
        return SweepResult(draft.out, draft.ledger.totals(), self._fresh, seconds, failures, draft.extends, kept)

    def interrupted(self) -> Interrupted:
        """Return the error that says how far it was when it was stopped."""
        return Interrupted(self.draft.out, self._done, self.draft.recipe.runs)

    def next(self, share: int) -> Job | None:
        """Return the next job, if there is one that can be done now."""
        self._share = share
        job = self._urgent.popleft() if self._urgent else self._next()
        if job is not None:
            self._under_way += 1
        if isinstance(job, PlayJob):
            self._playing[job.first, job.last] = None
        return job

    def _next(self) -> Job | None:
        for shard, runs in self._open.items():
            if runs:
                return self._deal(shard, runs)
        if self._merges and not self._under_way and not self._left:
            return MergeJob(self.dataset)
        return None

    def _deal(self, shard: Shard, runs: deque[int]) -> PlayJob:
        first = last = runs.popleft()
        size = self._job_size()
        while runs and runs[0] == last + 1 and last - first + 1 < size:
            last = runs.popleft()
        count = last - first + 1
        # One run is held to the limit exactly; many, played side by side, may take what they usually take on top.
        # It need not be exact: what is late in company is played alone, where the limit is.
        extra = (count - 1) * (self.limit if self._cost is None else 4 * self._cost)
        return PlayJob(self.dataset, shard, first, last, self.limit + min(extra, 2 * self.limit))

    def _job_size(self) -> int:
        """Return how many runs the next job should have: about TARGET seconds, and enough jobs for everybody.

        Runs that are played together cost hardly more than one alone, so a job is no smaller than it need be to give
        every worker of its share one.
        """
        waiting = sum(map(len, self._open.values())) + 1
        fair = -(-waiting // self._share)
        least = min(self._batch, FIRST, fair)
        if self._cost is None:
            return least
        share = -(-waiting // (2 * self._share))
        # few runs together cost more each, so what the last job took must not make the next one smaller and smaller
        size = max(least, min(int(TARGET / max(self._cost, 1e-7)), GROWTH * self._size, share))
        return size - size % self._batch if size > self._batch else size

    def take(self, job: Job, result: Done | Failed) -> None:
        """Take what became of a job.

        Raises:
            DatasetError: nothing else can go on either.
            StartError: none of the first runs can begin.
        """
        self._under_way -= 1
        if isinstance(job, PlayJob):
            self._playing.pop((job.first, job.last), None)
        if isinstance(result, Failed) and result.stop is not None:
            raise DatasetError(result.reason, result.stop)
        if isinstance(job, PlayJob):
            if isinstance(result, Done):
                self._begun_well = True
                self._keep(job, result)
            else:
                self._look_at_start(job, result)
                self._blame(job, result)
        elif isinstance(result, Failed):
            if job.attempt > 1:
                what = (
                    f"sealing runs {job.shard.name}" if isinstance(job, SealJob) else "merging the files of its formats"
                )
                raise DatasetError(f"{what} failed: {result.reason}", "run the same command again to go on from here")
            self._urgent.append(replace(job, attempt=2))
        elif isinstance(job, SealJob):
            self.draft.sealed(job.shard, result.files)
            del self._left[job.shard]
        else:
            self._merges = False

    def _keep(self, job: PlayJob, done: Done) -> None:
        self.opened |= set(done.opened)
        for name, seconds in done.spent.items():
            self.spent[name] = self.spent.get(name, 0.0) + seconds
        self.draft.add_inputs(done.sources)
        name = f"{job.shard.folder}/{range_name(job.first, job.last)}"
        self.draft.ledger.add_part(job.first, job.last, name, done.rows, done.seconds)
        cost = done.seconds / len(done.rows)
        self._cost = cost if self._cost is None else (self._cost + cost) / 2
        self._size = len(done.rows)
        self._batch = done.batch
        self._done += len(done.rows)
        self._events += sum(row.event for row in done.rows)
        self._decided(job.shard, len(done.rows))

    def _look_at_start(self, job: PlayJob, failed: Failed) -> None:
        """Stop a sweep none of whose first runs can begin: every other one would fail alike.

        Raises:
            RunError: so it is.
        """
        if not failed.at_start:
            self._begun_well = True
        if self._begun_well or job.last > job.first:
            return
        self._unbegun[job.first] = failed.reason.split("\n")[0]
        tried = min(BEGINNERS, self.draft.recipe.runs)
        if len(self._unbegun) >= tried:
            what = "the run cannot begin" if tried == 1 else f"none of the first {tried} runs can begin"
            raise StartError(
                f"{self.draft.recipe.name}: {what}: {self._unbegun[min(self._unbegun)]}",
                "mend the scenario, and ask for it again with the same --out; `mischance check` shows how runs begin",
            )

    def _blame(self, job: PlayJob, failed: Failed) -> None:
        if job.last > job.first:
            alone = [replace(job, first=run, last=run, limit=self.limit) for run in range(job.first, job.last + 1)]
            self._urgent.extend(alone)
        elif job.attempt == 1:
            self._urgent.append(replace(job, attempt=2, limit=self.limit))
        else:
            command = f"mischance replay {self.draft.out} {job.first}"
            self.draft.ledger.add_failure(job.first, failed.status, failed.reason, command)
            self._failed += 1
            self._decided(job.shard, 1)

    def _decided(self, shard: Shard, runs: int) -> None:
        self._fresh += runs
        self._left[shard] -= runs
        if not self._left[shard]:
            self._seal(shard)

    def _seal(self, shard: Shard) -> None:
        parts = self.draft.parts_of(shard)
        if parts:
            # It holds its place in `_left` until it is sealed, so that the end waits for it.
            self._left[shard] = 1
            self._urgent.append(SealJob(self.dataset, shard, tuple(parts)))
        else:
            self.draft.sealed(shard)
            del self._left[shard]

    def progress(self, busy: Phase | None = None, *, stopping: bool = False) -> Progress:
        """Return where it stands.

        Args:
            busy: what a worker is busy with.
            stopping: the user has asked for an end.
        """
        seconds = time.monotonic() - self._begun
        rate = self._fresh / seconds if seconds > 0 else 0.0
        total = self.draft.recipe.runs
        waiting = total - self._done - self._failed
        phase = "stopping" if stopping else ("playing" if waiting else "finishing")
        left = waiting / rate if rate > 0 else None
        oldest = next(iter(self._playing), None)
        done, failed, events = self._done, self._failed, self._events
        draft = self.draft
        return Progress(
            done, failed, total, events, seconds, rate, left, phase, draft.extends, oldest, busy, draft.anew
        )


__all__ = ["Replay", "Sweep", "opened", "replay", "sweep"]
