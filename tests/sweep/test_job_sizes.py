"""How a sweep deals out its runs, what it tells meanwhile, how it ends: one process, no workers."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mischance.sweep.jobs as jobs
from mischance.api.phases import Phase
from mischance.dataset.draft import Draft, looking, recipe_of
from mischance.dataset.parts import RunRow
from mischance.dataset.shards import Shard
from mischance.errors import DatasetError, StartError
from mischance.sweep.jobs import sweep
from mischance.sweep.messages import DatasetRef, Done, Failed, MergeJob, PlayJob, SealJob
from mischance.sweep.progress import Interrupted, Progress
from mischance.sweep.runners import Serial
from tests.dataset.small_world import HONEST, FakeScenario

RUNS, SHARD = 20, 8


class Scripted:
    """A runner that answers each job as it is told; it keeps what it was asked."""

    def __init__(self, width: int, answer: Any) -> None:
        self.width, self.answer = width, answer
        self.asked: list[Any] = []
        self.most = 0
        self._jobs: list[Any] = []

    def submit(self, job: Any) -> None:
        self.asked.append(job)
        self._jobs.append(job)
        self.most = max(self.most, len(self._jobs))

    def collect(self, timeout: float) -> list[tuple[Any, Any]]:
        job = self._jobs.pop(0)
        return [(job, self.answer(job))]

    def phase(self) -> Phase | None:
        return Phase("compiling", 2.0)

    def cancel(self) -> list[Any]:
        waiting, self._jobs = self._jobs[1:], self._jobs[:1]
        return waiting

    def close(self) -> None:
        pass


class UnderWay(jobs.Sweep):
    """A sweep with its runner and what it tells."""

    runner: Any
    look: Any

    def finish(self) -> None:
        jobs._finish(self, self.runner, self.look)


def well(job: Any, seconds: float = 1.0, batch: int = 1) -> Done:
    if isinstance(job, PlayJob):
        rows = tuple(RunRow(run, f"digest {run}", run % 3 == 0, 1.0) for run in range(job.first, job.last + 1))
        return Done(rows, seconds, batch)
    return Done()


@pytest.fixture
def under_way(tmp_path: Path) -> Any:
    """Return a function that does a sweep with such a runner, and what it told."""
    stack = []

    def make(runner: Any, batch: int = 1, runs: int = RUNS, shard: int = SHARD) -> tuple[Any, list[Progress]]:
        scenario: Any = FakeScenario()
        folder = tmp_path / str(len(stack))
        draft = Draft(folder, recipe_of(scenario, runs, shard=shard), scenario)
        draft.__enter__()
        stack.append(draft)
        told: list[Progress] = []
        made = UnderWay(draft, DatasetRef(str(folder), draft.recipe, ""), 10.0, batch)
        made.runner, made.look = runner, told.append
        return made, told

    yield make
    for draft in stack:
        draft.__exit__()


def test_every_run_is_dealt_out_once_inside_its_shard_then_each_shard_is_sealed_and_all_merged_last(under_way: Any):
    runner = Scripted(2, lambda job: well(job, 0.1))
    made, told = under_way(runner)
    made.finish()
    played = [job for job in runner.asked if isinstance(job, PlayJob)]
    assert sorted(run for job in played for run in range(job.first, job.last + 1)) == list(range(RUNS))
    assert all(job.shard.first <= job.first <= job.last <= job.shard.last for job in played)
    sealed = [job.shard for job in runner.asked if isinstance(job, SealJob)]
    assert sorted(shard.first for shard in sealed) == [0, 8, 16]
    assert [isinstance(job, MergeJob) for job in runner.asked] == [False] * (len(runner.asked) - 1) + [True]
    assert runner.most <= 4, "twice as many as can be under way"
    last = told[-1]
    assert (last.done, last.failed, last.total, last.events) == (RUNS, 0, RUNS, 7)
    assert last.phase == "finishing"
    assert last.left == 0.0
    assert last.busy == Phase("compiling", 2.0)


def test_progress_counts_what_was_done_and_looks_ahead_at_the_rate_so_far(
    under_way: Any, monkeypatch: pytest.MonkeyPatch
):
    clock = itertools.count(100.0, 2.0)
    monkeypatch.setattr(jobs.time, "monotonic", lambda: next(clock))
    runner = Scripted(1, lambda job: well(job, 8.0))
    made, told = under_way(runner)
    made.finish()
    for k, now in enumerate(told, start=1):
        assert now.seconds == 2.0 * k
        assert now.rate == now.done / now.seconds
        assert now.left == pytest.approx((RUNS - now.done) * now.seconds / now.done)
        assert now.events == sum(run % 3 == 0 for run in range(now.done))
        assert now.phase == ("playing" if now.done < RUNS else "finishing")
    assert [now.done for now in told][:3] == [1, 2, 3], "jobs that take too long are single runs"
    waiting = [now.waiting for now in told]
    assert waiting[0] == (1, 1), "the oldest that is under way"
    assert waiting[-1] is None


@pytest.mark.parametrize(
    ("seconds", "batch", "width"), [(0.01, 1, 1), (0.5, 1, 2), (1.0, 4, 1), (30.0, 4, 2), (0.1, 16, 1)]
)
def test_jobs_grow_to_what_takes_two_seconds_and_stay_whole_batches(
    under_way: Any, seconds: float, batch: int, width: int
):
    """`seconds` is what one run takes."""
    runner = Scripted(
        width, lambda job: well(job, seconds * (job.last - job.first + 1) if isinstance(job, PlayJob) else 0.0, batch)
    )
    made, _ = under_way(runner, batch, runs=2000, shard=1000)
    made.finish()
    sizes = [job.last - job.first + 1 for job in runner.asked if isinstance(job, PlayJob)]
    assert sizes[0] == batch
    usual = sizes[: len(sizes) // 2]
    if seconds * batch > jobs.TARGET:
        assert set(usual) == {batch}, "one batch costs hardly more than one run"
    else:
        best = jobs.TARGET / seconds
        assert max(usual) <= max(best, batch)
        assert max(usual) > min(best, 2000 / (2 * width)) / 2 - batch
    assert all(size % batch == 0 for size in usual if size > batch)
    assert all(b <= jobs.GROWTH * max(a, batch) for a, b in itertools.pairwise(usual[:4]))


def test_a_job_has_the_limit_of_one_run_and_a_little_more_for_company(under_way: Any):
    made, _ = under_way(Scripted(1, well))
    shard = Shard(0, 7)
    from collections import deque

    made._batch = 3
    assert made._deal(shard, deque([0])).limit == 10.0
    assert made._deal(shard, deque([0, 1])).limit == 20.0
    assert made._deal(shard, deque([0, 1, 2])).limit == 30.0, "nothing was measured: as long for each"
    made._cost, made._size = 1.0, 8
    job = made._deal(shard, deque([0, 1, 5, 6]))
    assert (job.first, job.last, job.limit) == (0, 1, 14.0), "runs of a job follow each other"
    made._cost = 1000.0
    assert made._deal(shard, deque([0, 1, 2])).limit == 30.0, "and never more than three limits"


def test_a_failed_job_is_played_run_by_run_and_the_culprit_twice(under_way: Any):
    def answer(job: Any) -> Any:
        if isinstance(job, PlayJob) and job.first <= 5 <= job.last:
            return Failed("it broke\nat length", "crashed")
        return well(job, 0.01)

    runner = Scripted(1, answer)
    made, told = under_way(runner)
    made._begun_well = True
    made._batch = 8
    made.finish()
    tries = [job for job in runner.asked if isinstance(job, PlayJob) and job.first <= 5 <= job.last]
    assert [(job.first, job.last, job.attempt) for job in tries] == [(0, 7, 1), (5, 5, 1), (5, 5, 2)]
    assert [job.limit for job in tries[1:]] == [10.0, 10.0]
    assert (told[-1].done, told[-1].failed) == (RUNS - 1, 1)
    with looking(made.draft.out) as ledger:
        (entry,) = ledger.failures()
    assert (entry.run, entry.status, entry.error) == (5, "crashed", "it broke\nat length")
    assert entry.replay == f"mischance replay {made.draft.out} 5"


@pytest.mark.parametrize("kind", [SealJob, MergeJob])
def test_what_fails_to_be_sealed_or_merged_is_tried_once_more(under_way: Any, kind: type):
    failures = iter([True, False, False, False, False])
    runner = Scripted(1, lambda job: Failed("disk away") if isinstance(job, kind) and next(failures) else well(job))
    under_way(runner)[0].finish()
    assert [job.attempt for job in runner.asked if isinstance(job, kind)][:3] in ([1, 2], [1, 2, 1])
    broken = Scripted(1, lambda job: Failed("disk away") if isinstance(job, kind) else well(job))
    words = "sealing runs 000000000-000000007" if kind is SealJob else "merging the files of its formats"
    with pytest.raises(DatasetError, match=f"{words} failed: disk away"):
        under_way(broken)[0].finish()


def test_a_full_disk_ends_it_at_once(under_way: Any):
    runner = Scripted(1, lambda job: Failed("no space left", stop="free some space"))
    with pytest.raises(DatasetError, match="no space left") as stopped:
        under_way(runner)[0].finish()
    assert stopped.value.hint == "free some space"
    assert len(runner.asked) == 2


@pytest.mark.parametrize(("runs", "tried"), [(20, 8), (8, 8), (3, 3), (1, 1)])
def test_a_sweep_none_of_whose_first_runs_can_begin_is_stopped(under_way: Any, runs: int, tried: int):
    runner = Scripted(1, lambda job: Failed(f"stands in a wall {job.first}\nlong", at_start=True))
    what = "the run cannot begin" if tried == 1 else f"none of the first {tried} runs can begin"
    with pytest.raises(StartError, match=f"test/small: {what}: stands in a wall 0"):
        under_way(runner, runs=runs)[0].finish()


def test_a_sweep_goes_on_where_one_run_has_begun(under_way: Any):
    for good in ({3}, {7}):
        runner = Scripted(
            1,
            lambda job, good=good: (
                Failed("in a wall", at_start=job.first not in good) if isinstance(job, PlayJob) else well(job)
            ),
        )
        made, told = under_way(runner)
        made.finish()
        assert told[-1].failed == RUNS


def test_an_interruption_says_where_and_how_far_and_what_resumes(tmp_path: Path, under_way: Any):
    made, told = under_way(Scripted(2, well))

    def stop(now: Progress) -> None:
        told.append(now)
        if now.done >= 2 and now.phase != "stopping":
            signal.raise_signal(signal.SIGINT)

    made.look = stop
    with pytest.raises(Interrupted, match=r"stopped after \d+ of 20 runs in .*; the same command resumes") as stopped:
        made.finish()
    assert stopped.value.path == made.draft.out
    assert stopped.value.total == RUNS
    assert 2 <= stopped.value.done < RUNS
    assert stopped.value.done == made.draft.ledger.totals().done
    assert told[-1].phase == "stopping"


def test_a_result_counts_what_this_call_played(tmp_path: Path):
    scenario: Any = FakeScenario()
    first = sweep(scenario, 6, tmp_path / "data", workers=0, shard=SHARD, work=HONEST)
    assert (first.path, first.fresh, first.extends, first.ok, first.opened) == (tmp_path / "data", 6, 0, True, ())
    more = sweep(scenario, 9, tmp_path / "data", runner=Serial(), work=HONEST)
    assert (more.fresh, more.extends, more.totals.done, more.failures) == (3, 6, 9, {})
    assert first.seconds >= 0


def test_a_batch_is_known_before_the_first_job_where_the_scenario_says_it():
    from tests.support import wander

    assert jobs._batch(wander(), jobs.SCENARIO_WORK) == 16
    assert jobs._batch(SimpleNamespace(), HONEST) == 1  # type: ignore[arg-type]
