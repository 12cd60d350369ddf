"""One pool for a whole suite: same bytes as sweeps alone, jobs interleaved, a crash costs its scenario, resumable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mischance.api.phases import phase
from mischance.language.loading import load
from mischance.sweep.jobs import sweep
from mischance.sweep.runners import Serial
from mischance.sweep.scheduling import drive
from mischance.sweep.suite import SuiteProgress, run_suite
from tests.support import PLUGINS

PLAIN = {"require": "{low: always x < 1.2 V}", "faults": "[]"}


def scenarios(folder: Path, *names: str, **changes: str) -> list[str]:
    """Write scenarios that differ in their seeds; return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for seed, name in enumerate(names):
        lines = {**PLAIN, **changes, "mischance": "1", "name": name, "extends": str(PLUGINS / "wander.yaml")}
        lines["seed"] = str(seed)
        (folder / f"{name}.yaml").write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
        files.append(str(folder / f"{name}.yaml"))
    return files


def content(folder: Path) -> dict[str, bytes]:
    """Return the files of finished datasets; the ledger tells when and by whom they were made."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "ledger" not in file.name and not file.name.startswith(".")
    }


def test_a_suite_makes_the_datasets_that_sweeps_alone_make(tmp_path: Path):
    files = scenarios(tmp_path, "a", "b", "c")
    run_suite(files, tmp_path / "suite", references=[], runs=5, workers=2)
    for file in files:
        scenario = load(file)
        sweep(scenario, 5, tmp_path / "alone" / scenario.name, workers=0)
    assert content(tmp_path / "suite") == content(tmp_path / "alone")
    assert len(content(tmp_path / "alone")) > 9


class Counted(Serial):
    """Counts itself and the jobs, and hands the newest back first."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        Counted.made += 1
        self.order: list[str] = []
        self.most = 0

    def submit(self, job):
        self.order.append(Path(job.owner).name)
        super().submit(job)

    def collect(self, timeout):
        self.most = max(self.most, len({job.owner for job in self._waiting}))
        self._waiting.reverse()
        return super().collect(timeout)


def test_one_runner_plays_all_scenarios_and_their_jobs_are_interleaved(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("mischance.sweep.suite.Serial", Counted)
    before, runners = Counted.made, []
    monkeypatch.setattr(
        "mischance.sweep.suite.drive",
        lambda openers, runner, look: runners.append(runner) or drive(openers, runner, look),
    )
    report = run_suite(scenarios(tmp_path, "a", "b", "c"), tmp_path / "out", references=[], runs=3, workers=0)
    assert len(report.cases) == 9
    assert [case.scenario for case in report.cases] == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert Counted.made == before + 1
    (runner,) = runners
    assert runner.most > 1, "a second scenario begins before the first has ended"


CRASHES = """
import os

class Crashes:
    def start(self, draws, streams):
        pass

    def act(self, readings, t, live):
        os._exit(7)
"""


def test_a_scenario_that_takes_its_worker_along_costs_itself_alone(tmp_path: Path):
    (tmp_path / "crashes.py").write_text(CRASHES)
    (bad,) = scenarios(tmp_path, "bad", agent=f"{{kind: '{tmp_path}/crashes.py:Crashes'}}")
    good = scenarios(tmp_path / "good", "a", "b")
    report = run_suite([good[0], bad, good[1]], tmp_path / "out", references=[], runs=2, workers=2)
    assert not report.errors
    ends = {name: [case.verdict for case in report.cases if case.scenario == name] for name in ("a", "bad", "b")}
    assert ends["bad"] == ["not played"] * 2
    assert all("exit code 7" in case.reason for case in report.cases if case.scenario == "bad")
    for file in good:
        scenario = load(file)
        alone = sweep(scenario, 2, tmp_path / "alone" / scenario.name, workers=0).path
        assert content(tmp_path / "out" / scenario.name) == content(alone)


def test_two_scenarios_of_one_name_are_an_error_of_the_second(tmp_path: Path):
    files = [*scenarios(tmp_path / "one", "same"), *scenarios(tmp_path / "two", "same", duration="1 s")]
    report = run_suite(files, tmp_path / "out", references=[], runs=2, workers=0)
    assert list(report.errors) == [files[1]]
    assert "called same too" in report.errors[files[1]]
    assert len(report.cases) == 2


def test_progress_tells_each_scenario_once_and_what_took_it_long(tmp_path: Path, monkeypatch):
    seen: list[SuiteProgress] = []
    files = scenarios(tmp_path, "a", "b")
    run_suite(files, tmp_path / "out", references=[], runs=2, workers=0, progress=seen.append)
    ended = [one for now in seen for one in now.ended]
    assert sorted((one.name, one.cases, one.fresh) for one in ended) == [(file, 2, 2) for file in files]
    assert seen[-1].done == seen[-1].total == 2
    seen.clear()
    run_suite(files, tmp_path / "out", references=[], runs=2, workers=0, progress=seen.append)
    assert [one.fresh for now in seen for one in now.ended] == [0, 0], "they were there already"


def test_what_a_worker_was_busy_with_comes_back_with_its_job():
    from mischance.sweep import workers

    with workers._timed() as spent:
        with phase("outer"):
            time.sleep(0.02)
            with phase("inner", of_run=True):
                time.sleep(0.05)
        time.sleep(0.05)
    assert set(spent) == {"outer", "inner"}
    assert 0.02 <= spent["outer"] < 0.045, "the inner phase's time is its own, and what is in no phase is nobody's"
    assert spent["inner"] >= 0.05


@pytest.mark.slow
def test_a_suite_that_was_stopped_or_killed_goes_on_and_ends_in_the_same_bytes(tmp_path: Path):
    slow = "import time\n\n\ndef slow(observation, t):\n    time.sleep(0.01)\nslow.reads = ('meter',)\n"
    (tmp_path / "slow.py").write_text(slow)
    scenarios(tmp_path / "suite", "a", "b", "c")
    command = [sys.executable, "-m", "mischance", "test", str(tmp_path / "suite"), "--runs", "3", "--workers", "2",
               "--reference", "", "--agent", f"{tmp_path / 'slow.py'}:slow"]  # fmt: skip
    whole = subprocess.run([*command, "--out", str(tmp_path / "whole")], capture_output=True, text=True, check=False)
    assert whole.returncode in (0, 1), whole.stderr
    for number in (signal.SIGINT, signal.SIGKILL):
        out = tmp_path / number.name
        process = subprocess.Popen([*command, "--out", str(out)], start_new_session=True, stderr=subprocess.PIPE)
        until = time.monotonic() + 60
        while not list(out.glob("*/manifest.json")) and time.monotonic() < until:
            time.sleep(0.02)
        os.killpg(process.pid, number) if number == signal.SIGKILL else process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read().decode()
        assert process.wait(60) != 0
        if number == signal.SIGINT:
            assert process.returncode == 130
            assert "of 3 scenarios" in said
        again = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, check=False)
        assert again.stdout.splitlines()[-1] == whole.stdout.splitlines()[-1]
        assert content(out) == content(tmp_path / "whole")
