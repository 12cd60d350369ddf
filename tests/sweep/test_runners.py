"""Any runner makes the same dataset: messages go by value, a lost worker costs one run, no runner stays open."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pickle
import signal
import subprocess
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

from mischance.dataset.draft import recipe_of
from mischance.dataset.shards import Shard
from mischance.errors import DatasetError
from mischance.sweep.growing import Growing
from mischance.sweep.jobs import sweep
from mischance.sweep.messages import DatasetRef, Done, Failed, Job, MergeJob, PlayJob, ReplayJob, SealJob
from mischance.sweep.progress import SweepResult
from mischance.sweep.runners import PRELOADED, Processes, Runner, Serial, forks
from mischance.sweep.workers import perform
from tests.dataset.small_world import HERE, FakeScenario
from tests.shell import MISCHANCE
from tests.support import PLUGINS

RUNS, SHARD = 30, 8


def make(out: Path, work: str = "honest", **more: Any) -> SweepResult:
    return sweep(FakeScenario(), RUNS, out, shard=SHARD, work=f"{HERE}:{work}", **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    out = tmp_path_factory.mktemp("expected") / "data"
    make(out, workers=0)
    return (out / "manifest.json").read_bytes()


def done_by_bytes(message: bytes) -> bytes:
    """Do a job as a worker on another machine would: from bytes to bytes."""
    return pickle.dumps(perform(pickle.loads(message)))


class Pool:
    """A runner over the standard library's pool; each message goes as bytes.

    That pool breaks as a whole where one of its processes dies, and does not say which job was under way: so it gets
    no more jobs than it has processes, and one that may die is of one process.
    """

    def __init__(self, width: int = 2, context: BaseContext | None = None) -> None:
        self.width = width
        self._context = context or get_context("spawn")  # nothing is inherited
        self.closed = 0
        self._waiting: list[Job] = []
        self.largest = 0
        self._jobs: dict[Future[bytes], Job] = {}
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self.width, mp_context=self._context)

    def submit(self, job: Job) -> None:
        self._waiting.append(job)

    def collect(self, timeout: float) -> list[tuple[Job, Done | Failed]]:
        while self._waiting and len(self._jobs) < self.width:
            job = self._waiting.pop(0)
            message = pickle.dumps(job)
            self.largest = max(self.largest, len(message))
            self._jobs[self._pool.submit(done_by_bytes, message)] = job
        ended, _ = wait(self._jobs, timeout, FIRST_COMPLETED)
        found: list[tuple[Job, Done | Failed]] = []
        for future in ended:
            job = self._jobs.pop(future)
            try:
                found.append((job, pickle.loads(future.result())))
            except BrokenProcessPool:
                found.append((job, Failed("its worker was lost", "crashed")))
        if any(isinstance(result, Failed) for _, result in found):
            self._pool = self._start()
        return found

    def phase(self) -> None:
        return None

    def cancel(self) -> list[Job]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def close(self) -> None:
        self.closed += 1
        self._pool.shutdown(cancel_futures=True)


def test_a_runner_of_ones_own_makes_the_same_dataset(tmp_path: Path, expected: bytes) -> None:
    runner = Pool()
    result = make(tmp_path / "data", runner=runner)
    assert result.totals.done == RUNS
    assert (tmp_path / "data/manifest.json").read_bytes() == expected
    assert runner.closed == 1
    assert runner.largest < 4096, "a job is a small message"


def test_a_lost_worker_is_the_runners_to_tell_and_costs_one_run(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    result = make(theirs / "data", "dies", runner=Pool(1, forks()))  # several are lost: forks start for less
    assert dict(result.failures) == {5: "its worker was lost"}
    make(ours / "data", "dies", workers=1)
    assert (theirs / "data/manifest.json").read_bytes() == (ours / "data/manifest.json").read_bytes()


@pytest.mark.parametrize("runner", [Serial(), Processes(1)], ids=["serial", "processes"])
def test_our_own_runners_can_be_given_too(tmp_path: Path, expected: bytes, runner: Runner) -> None:
    make(tmp_path / "data", runner=runner)
    assert (tmp_path / "data/manifest.json").read_bytes() == expected


def test_workers_are_forks_of_one_process_and_have_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = set()
    for word in ("first", "second"):
        monkeypatch.setenv("MISCHANCE_WORD", word)
        with contextlib.closing(Processes(1)) as runner:
            asked = runner._pool.schedule(os.getenv, args=("MISCHANCE_WORD",))
            assert asked.result(timeout=60) == word
            parents.add(runner._pool.schedule(os.getppid).result(timeout=60))
            blocked = runner._pool.schedule(signal.pthread_sigmask, args=(signal.SIG_BLOCK, ())).result(timeout=60)
            assert signal.SIGINT in blocked, "a worker has no moment at which Ctrl-C ends it"
    assert len(parents) == 1
    assert parents != {os.getpid()}
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.slow
def test_ctrl_c_while_the_workers_server_starts_stops_the_sweep_as_ever(tmp_path: Path) -> None:
    command = [*MISCHANCE, "sweep", str(PLUGINS / "wander.yaml"), "--runs", "4000", "--workers", "2"]
    with subprocess.Popen(
        [*command, "--no-preview", "--out", str(tmp_path / "out")],
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 60
        while not serves(process.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "error: stopped after" in said


def serves(parent: int) -> bool:
    """Say whether a process has started the server of which its workers are to be forks."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with contextlib.suppress(OSError):
            if b"multiprocessing.forkserver" in Path(f"/proc/{child}/cmdline").read_bytes():
                return True
    return False


@pytest.mark.parametrize("name", PRELOADED)
def test_what_workers_are_to_find_loaded_exists(name: str) -> None:
    assert importlib.util.find_spec(name) is not None, "the server passes over what it cannot import"


def test_a_runner_is_closed_whichever_way_a_sweep_ends(tmp_path: Path) -> None:
    class Stub(Serial):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    (tmp_path / "file").write_text("precious")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("precious")
    for place, runs in ((tmp_path / "file", 3), (tmp_path / "foreign", 3), (tmp_path / "none", 0)):
        runner = Stub()
        with pytest.raises(DatasetError):
            sweep(FakeScenario(), runs, place, runner=runner)  # type: ignore[arg-type]
        assert runner.closed == 1


def test_jobs_hold_everything_by_value(tmp_path: Path) -> None:
    dataset = DatasetRef(str(tmp_path), recipe_of(FakeScenario(), RUNS), f"{HERE}:honest")  # type: ignore[arg-type]
    shard = Shard(0, 7)
    jobs: list[Job] = [
        PlayJob(dataset, shard, 0, 3, 60.0),
        SealJob(dataset, shard, ("a", "b")),
        MergeJob(dataset),
        ReplayJob(dataset, 3, "there"),
    ]
    for job in jobs:
        assert pickle.loads(pickle.dumps(job)) == job
        assert Path(job.dataset.out).is_absolute()


def test_a_sweep_into_a_relative_folder_names_it_absolutely_to_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: bytes
) -> None:
    class Elsewhere(Serial):
        """Does jobs in another working directory, as another machine's worker would."""

        def collect(self, timeout: float) -> list[tuple[Job, Done | Failed]]:
            here = Path.cwd()
            os.chdir("/")
            try:
                return super().collect(timeout)
            finally:
                os.chdir(here)

    monkeypatch.chdir(tmp_path)
    make(Path("data"), runner=Elsewhere())
    assert Path("data/manifest.json").read_bytes() == expected


class Cluster:
    """A runner over dask.distributed, as small as it can be: what a cluster asks of the protocol."""

    def __init__(self, address: str) -> None:
        from distributed import Client

        self._client = Client(address, set_as_default=False)
        self._jobs: dict[Any, Job] = {}

    @property
    def width(self) -> int:
        return max(len(self._client.nthreads()), 1)

    def submit(self, job: Job) -> None:
        # Not pure: the same job may be asked for twice, and is then to be done twice.
        self._jobs[self._client.submit(perform, job, pure=False, retries=0)] = job

    def collect(self, timeout: float) -> list[tuple[Job, Done | Failed]]:
        deadline = time.monotonic() + timeout
        while not any(future.done() for future in self._jobs) and time.monotonic() < deadline:
            time.sleep(0.01)
        ended = [future for future in self._jobs if future.done()]
        return [(self._jobs.pop(future), self._result(future)) for future in ended]

    def _result(self, future: Any) -> Done | Failed:
        from distributed import KilledWorker

        try:
            result: Done | Failed = future.result()
            return result
        except KilledWorker:
            return Failed("its worker was lost", "crashed")

    def phase(self) -> None:
        return None

    def cancel(self) -> list[Job]:
        return []

    def close(self) -> None:
        self._client.close()


@pytest.mark.slow
def test_a_cluster_of_processes_makes_the_same_dataset_and_survives_a_death(tmp_path: Path, expected: bytes) -> None:
    import dask
    from distributed import LocalCluster

    make(tmp_path / "ours" / "data", "dies", workers=1)
    quiet = {"distributed.scheduler.allowed-failures": 0, "distributed.logging.distributed": "critical"}
    with (
        dask.config.set(quiet),
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
    ):
        make(tmp_path / "data", runner=Cluster(cluster.scheduler_address))
        assert (tmp_path / "data/manifest.json").read_bytes() == expected
        result = make(tmp_path / "theirs" / "data", "dies", runner=Cluster(cluster.scheduler_address))
    assert dict(result.failures) == {5: "its worker was lost"}
    ours, theirs = (tmp_path / side / "data/manifest.json" for side in ("ours", "theirs"))
    assert theirs.read_bytes() == ours.read_bytes()


def test_a_sweep_grows_into_processes_and_its_bytes_do_not_change(expected: bytes, tmp_path: Path) -> None:
    sizes = []

    class Watched(Growing):
        def collect(self, timeout: float) -> list[tuple[Job, Done | Failed]]:
            found = super().collect(timeout)
            sizes.append(self.width)
            return found

    for name, width, patience, seen in (("grown", 2, 1e-6, {2}), ("patient", 2, 1e6, {1}), ("alone", 1, 0.0, {1})):
        sizes.clear()
        make(tmp_path / name, runner=Watched(width, patience))
        assert (tmp_path / name / "manifest.json").read_bytes() == expected
        assert set(sizes) == seen
