"""A sweep's bytes do not depend on how it was done, and a run that misbehaves costs itself alone."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mischance.sweep.jobs as jobs
from mischance.api.phases import Phase
from mischance.dataset.ledger import Ledger
from mischance.dataset.manifest import files, verify
from mischance.dataset.shards import Shard
from mischance.errors import DatasetError
from mischance.sweep.jobs import replay, sweep
from mischance.sweep.messages import DatasetRef, SealJob
from mischance.sweep.progress import Interrupted, Progress, SweepResult
from mischance.sweep.runners import last_phase, read_trace
from tests.dataset.small_world import HERE, HONEST, FakeScenario

RUNS, SHARD = 30, 8


def world(name: str) -> str:
    return f"{HERE}:{name}"


def make(out: Path, work: str = "honest", workers: int = 0, **more: object) -> SweepResult:
    return sweep(FakeScenario(), RUNS, out, workers=workers, shard=SHARD, work=world(work), **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "data"
    make(out)
    return out


def same(out: Path, undisturbed: Path) -> bool:
    return (out / "manifest.json").read_bytes() == (undisturbed / "manifest.json").read_bytes()


def clean(out: Path) -> bool:
    expected = {"README.md", "events", "labels", "ledger.sqlite", "lines.txt", "manifest.json", "runs", "scenario.yaml",
                "sensors", "splits", "truth", "_merge"}  # fmt: skip
    return {entry.name for entry in out.iterdir()} == expected and not verify(out)


@pytest.mark.parametrize(
    ("workers", "work", "target"), [(1, "honest", 2.0), (2, "one_by_one", 2.0), (2, "honest", 0.0)]
)
def test_the_manifest_depends_neither_on_workers_nor_on_jobs_nor_on_batches_and_cuts(
    tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch, workers: int, work: str, target: float
) -> None:
    monkeypatch.setattr(jobs, "TARGET", target)
    result = make(tmp_path / "data", work, workers)
    assert result.ok
    assert result.totals.done == RUNS
    assert same(tmp_path / "data", undisturbed)
    assert clean(tmp_path / "data")


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_manifest_does_not_depend_on_the_size_of_jobs(
    tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(jobs.Sweep, "_job_size", lambda self: size)
    make(tmp_path / "data")
    assert same(tmp_path / "data", undisturbed)


def test_the_same_call_on_a_finished_dataset_does_nothing(tmp_path: Path) -> None:
    out = tmp_path / "data"
    make(out)
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*") if file.is_file()}
    result = make(out)
    assert result.fresh == 0
    assert result.totals.done == RUNS
    assert {
        file: file.stat().st_mtime_ns for file in out.rglob("*") if file.name != "ledger.sqlite" and file.is_file()
    } == {file: time_ for file, time_ in before.items() if file.name != "ledger.sqlite"}
    assert clean(out)


def test_a_phase_of_a_worker_is_reported_and_is_not_the_time_of_a_run(tmp_path: Path, undisturbed: Path) -> None:
    seen: list[Progress] = []
    result = make(tmp_path / "data", "compiles", workers=1, limit=1.0, progress=seen.append)
    assert result.ok  # the phase took longer than a run may
    assert Phase("compiling what this world needs", 3.5) in [now.busy for now in seen]
    assert seen[-1].busy is None
    assert same(tmp_path / "data", undisturbed)


def test_what_a_worker_left_holds_its_phase_apart_from_where_it_died(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    dump = 'Fatal Python error: Aborted\n\nCurrent thread (most recent call first):\n  File "a.py", line 7 in run\n'
    trace.write_text(f"pid 12\nphase - loading\nphase - -\nphase 2.5 compiling\n{dump}")
    assert last_phase(trace.read_text()) == Phase("compiling", 2.5)
    assert last_phase("pid 12\nphase 2.5 compiling\nphase - -\n") is None
    assert last_phase("pid 12\nphase 2.5 comp") is None  # half a line
    job = SealJob(DatasetRef("", None, ""), Shard(0, 1), ())  # type: ignore[arg-type]
    reason = read_trace(trace, job, 0).reason
    assert reason.startswith("its process died: Aborted in run (a.py:7)")
    assert "phase" not in reason


@pytest.mark.parametrize(
    ("work", "workers", "status", "reason"),
    [
        ("raises", 0, "failed", "ValueError: this world is broken at run 5"),
        pytest.param("raises", 1, "failed", "ValueError: this world is broken at run 5", marks=pytest.mark.slow),
        ("dies", 1, "crashed", "exit code 3"),
        pytest.param("leaves", 1, "crashed", "exit code 0", marks=pytest.mark.slow),
        pytest.param("aborts", 1, "crashed", "Aborted", marks=pytest.mark.slow),
        ("hangs", 1, "timeout", "over its time limit"),
        pytest.param("spins", 1, "timeout", "over its time limit", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_misbehaves_costs_itself_alone(
    tmp_path: Path, work: str, workers: int, status: str, reason: str
) -> None:
    out = tmp_path / "data"
    result = make(out, work, workers, limit=2.0)  # a worker that is started anew loads OpenCV within it
    assert list(result.failures) == [5]
    assert not result.ok
    assert result.totals.done == RUNS - 1
    assert getattr(result.totals, status) == 1
    with Ledger(out, read_only=True) as ledger:
        entry = ledger.run(5)
        digests = {row.run: row.digest for row in ledger.done(0, RUNS)}
    assert entry is not None
    assert entry.status == status
    assert reason in str(entry.error)
    assert entry.replay == f"mischance replay {out} 5"
    assert clean(out)
    (tmp_path / "cured").touch()
    whole = make(out, work, workers=0, retry_failed=True)
    assert whole.ok
    assert whole.fresh == 1
    with Ledger(out, read_only=True) as ledger:
        assert {row.run: row.digest for row in ledger.done(0, RUNS) if row.run != 5} == digests


def test_a_dataset_with_a_late_cure_is_the_undisturbed_one(tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "data"
    make(out, "raises")
    assert not same(out, undisturbed)
    (tmp_path / "cured").touch()
    make(out, "raises", retry_failed=True)
    assert same(out, undisturbed)
    assert clean(out)


def test_a_worker_that_dies_once_costs_nothing(tmp_path: Path, undisturbed: Path) -> None:
    assert make(tmp_path / "data", "dies_once", workers=1).ok
    assert same(tmp_path / "data", undisturbed)


def test_a_full_disk_stops_the_sweep_and_the_same_call_goes_on(tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "data"
    with pytest.raises(DatasetError, match=r"no space left while writing .*bytes needed, [\d,]+ free") as refused:
        make(out, "full_disk")
    assert "same command" in refused.value.hint
    assert not (out / "manifest.json").exists()
    (tmp_path / "cured").touch()
    assert make(out).ok
    assert same(out, undisturbed)


def test_progress_is_told_and_the_ledger_can_be_read_meanwhile(tmp_path: Path) -> None:
    out = tmp_path / "data"
    seen: list[tuple[int, int]] = []

    def tell(progress: Progress) -> None:
        with Ledger(out, read_only=True) as ledger:
            seen.append((progress.done, ledger.totals().done))

    make(out, progress=tell)
    assert seen[-1] == (RUNS, RUNS)
    assert all(told == stored for told, stored in seen)


def test_ctrl_c_finishes_what_runs_and_the_same_call_goes_on(tmp_path: Path, undisturbed: Path) -> None:
    out = tmp_path / "data"

    def interrupt(progress: Progress) -> None:
        if progress.done >= 4 and progress.phase == "playing":
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="the same command resumes") as stopped:
        make(out, progress=interrupt)
    assert 4 <= stopped.value.done < RUNS
    assert signal.getsignal(signal.SIGINT) is before
    make(out)
    assert same(out, undisturbed)


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from tests.dataset.small_world import FakeScenario
from mischance.sweep.jobs import sweep
if __name__ == "__main__":
    sweep(FakeScenario(), {runs}, Path({out!r}), workers=2, shard={shard}, work={work!r})
"""


def killed_sweep(out: Path, script: Path, seconds: float) -> bool:
    """Start the sweep in a process group of its own and kill the whole group; say whether it had finished before."""
    text = SCRIPT.format(tests=str(Path(__file__).parents[2]), runs=RUNS, out=str(out), shard=SHARD, work=world("slow"))
    script.write_text(text)
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        process.wait(timeout=seconds)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def kill_often(tmp_path: Path, undisturbed: Path, kills: int, seed: int) -> None:
    rng = random.Random(seed)
    killed = sweeps = 0
    while killed < kills:
        out = tmp_path / f"data{sweeps}"
        while killed < kills and not killed_sweep(out, tmp_path / "script.py", rng.uniform(0.4, 2.6)):
            killed += 1
        assert make(out, "slow").totals.done == RUNS
        assert same(out, undisturbed)
        assert clean(out)
        sweeps += 1


def test_kill_9_of_the_whole_group_loses_nothing_and_doubles_nothing(tmp_path: Path, undisturbed: Path) -> None:
    kill_often(tmp_path, undisturbed, kills=4, seed=11)


@pytest.mark.slow
def test_25_kills_lose_nothing(tmp_path: Path, undisturbed: Path) -> None:
    kill_often(tmp_path, undisturbed, kills=25, seed=5)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    out = tmp_path / "data"
    text = SCRIPT.format(tests=str(Path(__file__).parents[2]), runs=3000, out=str(out), shard=64, work=world("slow"))
    (tmp_path / "script.py").write_text(text)
    process = subprocess.Popen([sys.executable, str(tmp_path / "script.py")], start_new_session=True)
    deadline = time.monotonic() + 30
    while not list(out.glob("parts/.trace-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while group_lives(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not group_lives(process.pid)


def group_lives(group: int) -> bool:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


def test_replay_says_identical_close_or_where_it_differs(undisturbed: Path) -> None:
    before = {path: (undisturbed / path).read_bytes() for path in files(undisturbed)}
    run = 3
    assert replay(undisturbed, run, work=HONEST).verdict == "identical"
    assert replay(undisturbed, run, work=world("one_by_one")).identical
    close = replay(undisturbed, run, work=world("last_bit"))
    assert close.same
    assert not close.identical
    assert "same events, labels and verdict; floats within 1e-9" in close.text()
    assert 0 < close.largest < 1e-9
    other = replay(undisturbed, run, work=world("other_story"))
    assert not other.same
    assert "events.kind, row 0 of the run: 'payment' stored, 'refund' replayed" in other.text()
    assert {path: (undisturbed / path).read_bytes() for path in files(undisturbed)} == before


def test_replay_of_a_crash_crashes_in_a_process_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "data"
    make(out, "dies", workers=1)
    again = replay(out, 5, work=world("dies"))
    assert again.verdict == "failed"
    assert again.as_before
    assert "fails as before: its process ended with exit code 3" in again.text()
    assert replay(out, 6, work=world("dies")).identical
    with pytest.raises(DatasetError, match="runs 0 to 29"):
        replay(out, RUNS, work=HONEST)
