"""Sweeps whose first runs cannot begin: one error before the rest is tried, and a folder that is free again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mischance.dataset.ledger import Ledger
from mischance.errors import DatasetError, StartError
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.sampling import draw
from mischance.play.starting import starts
from mischance.sweep.jobs import sweep
from mischance.sweep.progress import Progress
from mischance.sweep.suite import run_suite
from tests.shell import content, mischance
from tests.support import PLUGINS, wander


def blocked(where: str, **overrides: str) -> Scenario:
    """Return a scenario with a van that stands `where` along the ego's lane."""
    van = "{body: van, speed: 0, station: $where, lane: 1}"
    changes = {"vary.where": where, "simulator.actors.van": van, "sensors": "{}", "faults": "[]", "duration": "1 s"}
    return load("driving/cut_in", changes | overrides)


NEVER, ALWAYS, SOMETIMES = "{uniform: [-2 m, 2 m]}", "200 m", "{choice: {0 m: 0.5, 200 m: 0.5}}"


def test_a_sweep_whose_runs_cannot_begin_is_one_error(tmp_path: Path):
    with pytest.raises(StartError, match=r"none of the first 8 runs can begin: run 0: ego and van overlap") as told:
        sweep(blocked(NEVER), 40, tmp_path / "out", workers=0)
    assert "mischance check" in told.value.hint
    with Ledger(tmp_path / "out", read_only=True) as ledger:
        assert ledger.totals().decided <= 8, "the rest was not tried"
    with pytest.raises(StartError, match="the run cannot begin: run 0"):
        sweep(blocked(NEVER), 1, tmp_path / "one", workers=0)


def test_where_some_runs_can_begin_the_others_are_told_apart(tmp_path: Path):
    begins = [one.values["where"] == 200.0 for one in draw(blocked(SOMETIMES), range(12))]
    assert 0 < sum(begins) < 12
    result = sweep(blocked(SOMETIMES), 12, tmp_path / "out", workers=0)
    assert sorted(result.failures) == [run for run, good in enumerate(begins) if not good]


def test_a_mended_scenario_takes_over_a_folder_without_a_finished_run(tmp_path: Path):
    out, seen = tmp_path / "out", []
    with pytest.raises(StartError):
        sweep(blocked(NEVER), 9, out, workers=0)

    def show(now: Progress) -> None:
        seen.append(now.anew)

    result = sweep(blocked(ALWAYS), 3, out, workers=0, progress=show)
    assert (result.totals.done, result.failures) == (3, {})
    assert set(seen) != {None}
    fresh = sweep(blocked(ALWAYS), 3, tmp_path / "fresh", workers=0).path
    assert (out / "manifest.json").read_bytes() == (fresh / "manifest.json").read_bytes(), "nothing of the old is left"


@pytest.mark.parametrize("kept", ["a finished run", "somebody's file"])
def test_a_folder_with_anything_else_is_refused_as_before(kept: str, tmp_path: Path):
    out = tmp_path / "out"
    if kept == "a finished run":
        sweep(blocked(SOMETIMES), 12, out, workers=0)
    else:
        with pytest.raises(StartError):
            sweep(blocked(NEVER), 9, out, workers=0)
        (out / "notes.txt").write_text("mine")
    before = content(out)
    with pytest.raises(DatasetError, match="already holds another dataset"):
        sweep(blocked(ALWAYS), 3, out, workers=0)
    assert content(out) == before


def test_a_world_that_raises_anything_as_it_begins_is_told_too(tmp_path: Path):
    path = tmp_path / "broken.py"
    base = f"import sys\nsys.path.insert(0, {str(PLUGINS)!r})\nfrom drift import Drift as Sound\n"
    path.write_text(
        f"{base}class Drift(Sound):\n    def start(self, draws, streams):\n        raise KeyError('valve')\n"
    )
    broken = wander(**{"simulator.kind": f"{path}:Drift"})
    with pytest.raises(StartError, match=r"runs can begin: KeyError: 'valve' \(broken.py:\d+ in start\)"):
        sweep(broken, 20, tmp_path / "out", workers=0)


def test_a_suite_of_one_says_so_at_once_and_one_of_several_plays_the_others(tmp_path: Path):
    path = tmp_path / "own.yaml"
    path.write_text(blocked(NEVER).text())
    done = mischance("test", path, "--runs", "9", "--workers", "1", "--out", tmp_path / "one")
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: driving/cut_in: none of the first 8 runs can begin: run 0: ego and van overlap" in done.stderr
    whole = {"sensors": "{}", "faults": "[]", "duration": "1 s"}
    report = run_suite([str(path), "driving/cut_out"], tmp_path / "two", runs=2, workers=0, overrides=whole)
    assert set(report.errors) == {str(path)}
    assert {case.scenario for case in report.cases} == {"driving/cut_out"}


# -- how runs begin ----------------------------------------------------------------------------------------------------


def test_starts_show_the_truth_at_the_beginning_of_runs_that_cannot_begin_too():
    found = starts(blocked(NEVER), draw(blocked(NEVER), range(3)))
    assert [one.error.partition(":")[2] for one in found] == [" ego and van overlap at the start, t = 0 s"] * 3
    for one in found:
        assert one.truth is not None
        assert one.truth.motion is not None
        x = dict(zip(one.truth.motion.bodies, one.truth.motion.pose[0, 0, :, 0], strict=True))
        assert abs(x["van"] - x["ego"]) < 2.0
    good: Any = starts(blocked(ALWAYS), draw(blocked(ALWAYS), range(2)))
    assert [(one.run, one.error, one.truth.end) for one in good] == [(0, "", 0.0), (1, "", 0.0)]


def test_a_drone_that_cannot_begin_can_be_looked_at_too():
    drone = "{at: [0 m, 0 m, 5 m]}"
    scenario = load("robots/drone_crossing", {"simulator.drones.twin": drone, "simulator.drones.other": drone})
    (start,) = starts(scenario, draw(scenario, [0]))
    assert "overlap at the start" in start.error
    assert start.truth is not None
    assert start.truth.motion is not None
    assert {"twin", "other"} <= set(start.truth.motion.bodies)
