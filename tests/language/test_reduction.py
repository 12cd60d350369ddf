"""Scenarios without the sensors that no agent reads, and scenarios that extend a variant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mischance.errors import MischanceError, ScenarioError
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.sampling import draw

CUT_IN = "driving/cut_in"


def story(scenario: Scenario, runs: int = 60) -> list[tuple[Any, list[Any]]]:
    """Return what each run got, without the faults of the front camera."""
    return [
        (one.values, [(f.target, f.kind, f.onset, f.severity) for f in one.faults if f.target != "sensors.front"])
        for one in draw(scenario, range(runs))
    ]


def test_without_cameras_every_run_keeps_its_story(tmp_path: Path):
    whole, less = load(CUT_IN), load(CUT_IN, without=("cameras",))
    assert list(whole.sensors) == ["front", "imu"]
    assert list(less.sensors) == ["imu"]
    assert story(less) == story(whole)
    assert any(faults for _, faults in story(less)), "other faults are left"
    (tmp_path / "scenario.yaml").write_text(less.text())
    assert story(load(tmp_path / "scenario.yaml")) == story(whole), "and so from the resolved scenario of a dataset"


@pytest.mark.parametrize("word", ["cameras", "camera", "front"])
def test_a_kind_in_singular_or_plural_and_a_name_mean_the_same_here(word: str):
    assert load(CUT_IN, without=(word,)).identity() == load(CUT_IN, without=("cameras",)).identity()


def test_sensors_means_all_that_no_agent_reads():
    assert list(load(CUT_IN, without=("sensors",)).sensors) == []
    name = "driving/dropout_following"
    whole = load(name)
    assert whole.agent is not None
    reads = set(whole.agent.declared.reads_with(whole.agent.settings))
    less = load(name, without=("sensors",))
    assert reads & set(whole.sensors), "the scenario is about a sensor that its agent reads"
    assert set(less.sensors) == reads & set(whole.sensors)
    assert [fault.target for fault in less.faults] == [fault.target for fault in whole.faults]


def test_a_kind_that_a_scenario_lacks_changes_nothing_and_an_unknown_word_is_refused():
    assert load(CUT_IN, without=("wrenches",)).identity() == load(CUT_IN).identity()
    with pytest.raises(MischanceError, match="there is no kind of sensor") as told:
        load(CUT_IN, without=("camras",))
    assert told.value.hint == "did you mean 'cameras'?"


def test_two_faults_never_share_a_stream():
    faults = "[{target: road, kind: friction, number: 1}, {target: ego.brakes, kind: fade}]"
    with pytest.raises(ScenarioError, match="two faults have the stream of random numbers 1"):
        load(CUT_IN, {"faults": faults})
    assert [one.number for one in load(CUT_IN, {"faults": faults.replace("1}", "7}")}).faults] == [7, 1]


# -- extends -----------------------------------------------------------------------------------------------------------


def extending(folder: Path, parent: str, more: str = "") -> Path:
    path = folder / "own.yaml"
    path.write_text(f"mischance: 1\nname: my/own\nextends: {parent}\n{more}")
    return path


def test_a_scenario_may_extend_a_variant(tmp_path: Path):
    own, crash = load(extending(tmp_path, f"{CUT_IN}:crash", "duration: 4 s\n")), load(f"{CUT_IN}:crash")
    assert (own.name, own.duration) == ("my/own", 4.0)
    assert own.tree["vary"] == crash.tree["vary"] != load(CUT_IN).tree["vary"]
    assert {**own.tree, "name": "", "duration": 0} == {**crash.tree, "name": "", "duration": 0}
    with pytest.raises(MischanceError, match="there is no variant 'nominal'"):
        load(f"{tmp_path / 'own.yaml'}:nominal")


def test_a_variant_of_a_file_beside_it_and_its_positions(tmp_path: Path):
    (tmp_path / "base.yaml").write_text(
        f"mischance: 1\nname: my/base\nextends: {CUT_IN}\nvariants: {{short: {{gap: {{uniform: [4 m]}}}}}}\n"
    )
    with pytest.raises(ScenarioError) as told:
        load(extending(tmp_path, "base:short"))
    (problem,) = {(Path(one.file).name, one.line) for one in told.value.problems}
    assert problem == ("base.yaml", 4)


@pytest.mark.parametrize(
    ("parent", "message"),
    [
        (f"{CUT_IN}:crsh", "there is no variant 'crsh'; did you mean 'crash'?"),
        ("driving/cut_im:crash", "there is no scenario or file 'driving/cut_im:crash'; did you mean 'driving/cut_in'?"),
        ("own.yaml:loop", "the scenarios extend each other: own.yaml -> own.yaml"),
    ],
)
def test_what_cannot_be_extended_is_said_at_its_place(parent: str, message: str, tmp_path: Path):
    with pytest.raises(ScenarioError) as told:
        load(extending(tmp_path, parent))
    (problem,) = told.value.problems
    assert message in str(problem)
    assert (problem.line, problem.path) == (3, "extends")
