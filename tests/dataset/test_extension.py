"""More runs on a dataset that is there: only the missing ones are played, and it ends as a fresh sweep would."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import mischance.dataset.draft as draft_module
import mischance.sweep.jobs as jobs
from mischance.dataset.draft import Draft, looking, stored_recipe
from mischance.dataset.ledger import Ledger
from mischance.dataset.manifest import files, verify
from mischance.dataset.shards import Shard
from mischance.errors import DatasetError
from mischance.sweep.jobs import replay, sweep
from mischance.sweep.progress import Progress, SweepResult
from tests.dataset.small_world import HERE, FakeScenario

SHARD = 8
FEW, MANY = 19, 37  # neither fills its last shard


def make(out: Path, runs: int, work: str = "honest", workers: int = 0, **more: object) -> SweepResult:
    source = f"{HERE}:{work}"
    return sweep(FakeScenario(), runs, out, workers=workers, work=source, **more)  # type: ignore[arg-type]


def manifest(out: Path) -> bytes:
    return (out / "manifest.json").read_bytes()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fresh") / "data"
    make(out, MANY, shard=SHARD)
    return out


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("short") / "data"
    make(out, FEW, shard=SHARD)
    return out


@pytest.fixture
def out(short: Path, tmp_path: Path) -> Path:
    return shutil.copytree(short, tmp_path / "data")


def seconds_of(out: Path) -> dict[int, float | None]:
    """Return how long each run took, as the ledger has it."""
    with looking(out) as ledger:
        entries = [ledger.run(run) for run in sorted(ledger.statuses())]
    return {entry.run: entry.seconds for entry in entries if entry is not None}


def test_an_extended_dataset_is_the_fresh_one_and_no_run_is_played_twice(out: Path, fresh: Path) -> None:
    seconds = seconds_of(out)
    (out / "preview.png").write_bytes(b"of the short one")
    told: list[Progress] = []
    result = make(out, MANY, progress=told.append)
    assert (result.extends, result.fresh, result.totals.done) == (FEW, MANY - FEW, MANY)
    assert {progress.extends for progress in told} == {FEW}
    assert manifest(out) == manifest(fresh)
    assert verify(out) == []
    assert not (out / "preview.png").exists()
    assert not (out / "parts").exists()
    assert {run: seconds_of(out)[run] for run in range(FEW)} == seconds
    with looking(out) as ledger:
        assert stored_recipe(ledger).runs == MANY
    again = make(out, MANY)
    assert (again.extends, again.fresh) == (0, 0)


@pytest.mark.parametrize("steps", [(8, MANY), (16, 17, 24, MANY), (1, 2, 3, MANY)])
def test_in_steps_over_full_and_started_shards(tmp_path: Path, fresh: Path, steps: tuple[int, ...]) -> None:
    for runs in steps:
        make(tmp_path / "data", runs, shard=SHARD)
    assert manifest(tmp_path / "data") == manifest(fresh)


def test_the_range_of_the_shards_stays_as_it_was_begun(tmp_path: Path) -> None:
    out = tmp_path / "data"
    make(out, 3)
    with looking(out) as ledger:
        begun = stored_recipe(ledger).shard
    make(out, begun + 1)
    assert sorted(file.stem for file in (out / "runs").iterdir()) == [
        f"{0:09d}-{begun - 1:09d}", f"{begun:09d}-{begun:09d}",
    ]  # fmt: skip
    fresh = tmp_path / "fresh"
    make(fresh, begun + 1)
    assert manifest(out) == manifest(fresh)


def test_an_unfinished_dataset_is_extended_too(tmp_path: Path, fresh: Path) -> None:
    out = tmp_path / "data"
    make(out, FEW, "raises", shard=SHARD)  # run 5 is given up
    (tmp_path / "cured").touch()
    result = make(out, MANY, "raises", retry_failed=True)
    assert result.fresh == MANY - FEW + 1
    assert manifest(out) == manifest(fresh)


def test_runs_given_up_stay_given_up(tmp_path: Path) -> None:
    out, whole = tmp_path / "data", tmp_path / "whole"
    make(out, 7, "raises", shard=SHARD)
    assert list(make(out, MANY, "raises").failures) == [5]
    make(whole, MANY, "raises", shard=SHARD)
    assert manifest(out) == manifest(whole)


def test_fewer_runs_and_another_range_are_refused_and_nothing_is_touched(out: Path) -> None:
    before = {path: (out / path).read_bytes() for path in [*files(out), Path("manifest.json")]}
    with pytest.raises(DatasetError, match=f"already holds {FEW} runs of this scenario; this call is for {FEW - 1}"):
        make(out, FEW - 1)
    with pytest.raises(DatasetError, match="already holds another dataset"):
        make(out, MANY, shard=SHARD + 1)
    shutil.rmtree(out / "_merge")
    with pytest.raises(DatasetError, match="_merge is gone"):
        make(out, MANY)
    assert {path: (out / path).read_bytes() for path in [*files(out), Path("manifest.json")]} == before
    assert make(out, FEW).fresh == 0


@dataclass(frozen=True)
class FakePlan:
    kind: str
    size: int


@dataclass(frozen=True)
class Planned(FakeScenario):
    plan: FakePlan | None = None  # type: ignore[assignment]


@pytest.mark.parametrize("kind", ["lhs", "sobol", "grid"])
def test_points_of_another_number_are_refused_with_the_reason(tmp_path: Path, kind: str) -> None:
    """A plan's size is part of the scenario; more runs go through the same plan in further blocks."""

    def play(runs: int, size: int) -> SweepResult:
        scenario = Planned(comment=str(size), plan=FakePlan(kind, size))
        work = f"{HERE}:honest"
        return sweep(scenario, runs, tmp_path / kind, workers=0, shard=SHARD, work=work)  # type: ignore[arg-type]

    play(8, 8)
    assert play(16, 8).extends == 8
    with pytest.raises(DatasetError, match=f"a plan \\({kind}\\) of 8 points, this call has one of 16.*depend on how"):
        play(16, 16)


class StopError(Exception):
    """Stands for the moment at which a process ends."""


@contextlib.contextmanager
def stopping(monkeypatch: pytest.MonkeyPatch, place: object, name: str, *, after: bool) -> Iterator[None]:
    """End everything before or after the first call of a function."""
    real = getattr(place, name)

    def stop(*args: object, **more: object) -> object:
        if after:
            real(*args, **more)
        raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(place, name, stop)
        with contextlib.suppress(StopError):
            yield
            pytest.fail(f"{name} was not called")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("place", "name"),
    [(draft_module, "unseal"), (Ledger, "extend"), (draft_module, "table_files"), (draft_module, "write_manifest")],
)
def test_whoever_stops_the_step_from_few_to_many_leaves_the_one_or_the_other(
    out: Path, short: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch, place: object, name: str, after: bool
) -> None:
    with stopping(monkeypatch, place, name, after=after):
        make(out, MANY)
    with looking(out) as ledger:
        runs = stored_recipe(ledger).runs
        assert len(ledger.done(0, MANY)) >= FEW
    if runs == FEW:  # nothing was decided yet: the short one is to be had as before
        make(out, FEW)
        assert manifest(out) == manifest(short)
        assert verify(out) == []
    make(out, MANY)
    assert manifest(out) == manifest(fresh)
    assert verify(out) == []


@pytest.mark.parametrize("place", ["before sealing", "in the middle of it", "after it"])
def test_a_whole_shard_that_was_not_sealed_is_extended_and_no_run_is_played_again(
    tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A job that holds a whole shard writes its tables in their final form; sealing moves them one by one."""
    out = tmp_path / "data"
    last = FEW - FEW % SHARD
    moved: list[Path] = []

    def stop(shard: Shard) -> None:
        if shard.first == last:
            raise StopError

    with monkeypatch.context() as patch:
        patch.setattr(jobs.Sweep, "_job_size", lambda self: SHARD)
        if place == "before sealing":
            patch.setattr(jobs.Sweep, "_seal", lambda self, shard: stop(shard))
        else:
            patch.setattr(Draft, "sealed", lambda self, shard, files: stop(shard))
        with pytest.raises(StopError):
            make(out, FEW, shard=SHARD)
        parts = out / "parts" / f"{last:09d}"
        if place == "in the middle of it":  # the half of what was moved is back where it was
            moved = sorted(out.glob(f"*/{last:09d}-*.parquet"))[::2]
            for file in moved:
                goal = parts / f"{last:09d}-{FEW - 1:09d}" / "_tables" / f"{file.parent.name}.parquet"
                file.rename(goal)
            assert moved
        assert list(parts.rglob("*.parquet")) or place == "after it"
    if place == "before sealing":
        assert replay(out, FEW - 1, work=f"{HERE}:honest").identical
    result = make(out, MANY)
    assert (result.fresh, result.totals.done) == (MANY - FEW, MANY)
    assert manifest(out) == manifest(fresh)
    assert verify(out) == []


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from tests.dataset.small_world import FakeScenario
from mischance.sweep.jobs import sweep
if __name__ == "__main__":
    sweep(FakeScenario(), {runs}, Path({out!r}), workers=2, work={work!r})
"""


def test_kill_9_in_the_middle_of_an_extension_loses_nothing(out: Path, fresh: Path, tmp_path: Path) -> None:
    rng = random.Random(3)
    tests = str(Path(__file__).parents[2])
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tests=tests, runs=MANY, out=str(out), work=f"{HERE}:slow"))
    most = FEW
    for _ in range(4):
        process = subprocess.Popen([sys.executable, str(script)], start_new_session=True, stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=rng.uniform(0.8, 3.0))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with looking(out) as ledger:
            done = len(ledger.done(0, MANY))
        assert done >= most, "a run that was recorded is never lost"
        most = done
    make(out, MANY)
    assert manifest(out) == manifest(fresh)
    assert verify(out) == []
