"""`mischance init --world`, `--sensor` and `--writer` write plug-ins that play, in a folder without our sources.

Their own tests pass at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import mischance
from mischance.reports.canvas import ALARM
from mischance.testing import check_reproducible
from tests.shell import mischance as command
from tests.support import wander


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("world")
    done = command("init", "--world", "car_wash", cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["car_wash.py", "car_wash.yaml", "test_car_wash.py"]
    return place


def test_its_own_test_passes_at_once(folder: Path) -> None:
    assert "3 passed" in own_test(folder)


@pytest.mark.parametrize("kind", ["sensor", "writer"])
def test_a_sensor_or_writer_comes_with_a_scenario_that_uses_it(kind: str, tmp_path: Path) -> None:
    done = command("init", f"--{kind}", "my_own", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["my_own.py", "my_own.yaml", "test_my_own.py"]
    scenario = mischance.load(tmp_path / "my_own.yaml")
    used = scenario.sensors.values() if kind == "sensor" else scenario.writers
    assert "my_own.py:MyOwn" in {plugin.kind for plugin in used}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sensor", "writer"])
def test_the_test_of_a_sensor_or_writer_passes_at_once(kind: str, tmp_path: Path) -> None:
    assert command("init", f"--{kind}", "my_own", cwd=tmp_path).returncode == 0
    assert "2 passed" in own_test(tmp_path)


def own_test(folder: Path) -> str:
    """Run the tests of a folder as its owner would; return what pytest printed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder, capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_weak_pump_makes_the_queue_that_its_scenario_is_about(folder: Path, tmp_path: Path) -> None:
    scenario = mischance.load(folder / "car_wash.yaml").set("duration", "2 h")
    weak = {"target": "pump", "kind": "weak", "at": "5 min", "severity": 0.9}
    healthy = scenario.set("faults", []).sweep(6, tmp_path / "healthy", workers=0, quiet=True)
    ill = scenario.set("faults", [weak]).sweep(6, tmp_path / "ill", workers=0, quiet=True)
    assert ill.runs["event"].mean() > healthy.runs["event"].mean()
    assert (ill.runs["clean"] <= healthy.runs["clean"]).all()  # the same cars: faults move no stream
    assert ill.table("labels")["class"].tolist() == ["fault/pump/weak"] * 6
    cars = ill.table("cars")
    wash = cars["washed"][cars["t"] - cars["washed"] >= 300.0]
    assert len(wash) >= 6
    assert wash.between(2400.0 - 1e-6, 2400.0 + 5.0 + 1e-6).all()  # a tenth of the power, in steps of 5 s
    image = cv2.imread(str(ill.preview().path))
    assert image is not None
    red = int((np.abs(image.astype(int) - ALARM).max(axis=2) <= 30).sum())
    assert red > 1000, "measures, rows and events of runs with the event are red"
    quiet = cv2.imread(str(healthy.preview().path))
    assert quiet is not None
    reds = int((np.abs(quiet.astype(int) - ALARM).max(axis=2) <= 30).sum())
    assert reds < red / 4
    causes = set(ill.events["parent_id"])
    assert causes <= {"fault:0"}


def test_nothing_is_overwritten_and_a_name_is_a_module(folder: Path) -> None:
    before = (folder / "car_wash.py").read_bytes()
    assert command("init", "--world", "car_wash", cwd=folder).returncode == 2
    assert (folder / "car_wash.py").read_bytes() == before
    for name in ("Car", "1st", "class", "a-b", "../x"):
        done = command("init", "--world", name, cwd=folder)
        assert done.returncode == 2
        assert "named as a Python module" in done.stderr


def test_one_thing_is_written_at_a_time(tmp_path: Path) -> None:
    for given in (["--world", "a", "--sensor", "b"], ["--writer", "a", "--from", "driving/cut_in"]):
        done = command("init", *given, cwd=tmp_path)
        assert done.returncode == 2
        assert "give one of them" in done.stderr
    assert list(tmp_path.iterdir()) == []


SHARED = """
turns = []
class Shared:
    rate = 5.0
    batch = 64
    def start(self, draws, streams):
        self.runs = len(draws)
    def act(self, readings, t, live):
        turns.append(t)
        return [{"push": 0.01 * len(turns)} for _ in range(self.runs)]
"""


def test_the_check_finds_a_memory_that_runs_share(tmp_path: Path) -> None:
    (tmp_path / "shared.py").write_text(SHARED)
    kept = {"agent": f"{{kind: '{tmp_path}/shared.py:Shared'}}", "duration": "1 s", "faults": "[]"}
    with pytest.raises(AssertionError, match=r"tests/wander: run 0 comes out differently once more \(4 of 4 runs do\)"):
        check_reproducible(wander(**kept))
    check_reproducible(wander(**{**kept, "agent": "null"}))
