"""`mischance check`: what a rehearsal sees of draws, beginnings and runs, and the picture of a beginning."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mischance.api.protocols import Trigger
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.rehearsal import rehearse
from mischance.play.sampling import draw
from mischance.play.starting import starts
from mischance.reports.beginning import draw_start, off_surface, scene_at_start
from tests.shell import mischance
from tests.support import wander

LESS = {"sensors": "{}", "faults": "[]", "duration": "2 s"}


def cut_in(**changes: str) -> Scenario:
    return load("driving/cut_in", LESS | {key.replace("__", "."): value for key, value in changes.items()})


def van(where: str, lane: int = 1) -> dict[str, str]:
    return {"simulator.actors.van": f"{{body: van, speed: 0, station: {where}, lane: {lane}}}"}


# -- what is drawn -----------------------------------------------------------------------------------------------------


def test_what_varies_is_that_of_the_draws_themselves():
    scenario = cut_in()
    seen = rehearse(scenario, draws=50, begin=1, runs=1)
    values = {name: [one.values[name] for one in draw(scenario, range(50))] for name in scenario.vary}
    for one in seen.values:
        own = np.array(values[one.name], float)
        assert (one.low, one.high) == (own.min(), own.max())
        assert np.sum(own <= one.median) >= 25 <= np.sum(own >= one.median)
    assert {one.name: one.unit for one in seen.values} == {
        "ego_speed": "m/s", "gap": "m", "closing": "m/s", "cut_speed": "m/s", "friction": "",
    }  # fmt: skip
    assert seen.acceptance is not None
    assert 0.99 < seen.acceptance.rate <= 1.0


def test_faults_are_counted_in_runs_and_words_as_shares():
    scenario = cut_in(
        vary__paint="{choice: {red: 3, blue: 1}}",
        faults="[{target: road, kind: friction, at: {uniform: [1 s, 2 s]}, chance: 0.25}]",
    )
    seen = rehearse(scenario, draws=200, begin=1, runs=1)
    (fault,) = seen.faults
    assert abs(fault.share - 0.25) < 4 * (0.25 * 0.75 / 200) ** 0.5
    assert 1.0 <= fault.low <= fault.median <= fault.high <= 2.0
    (paint,) = (one for one in seen.values if one.name == "paint")
    assert list(paint.words) == ["red", "blue"]
    assert sum(paint.words.values()) == pytest.approx(1.0)


# -- what never begins -------------------------------------------------------------------------------------------------


def behaviour(*moves: str) -> Scenario:
    return cut_in(**{"simulator.actors.intruder.behaviour": f"[{', '.join(moves)}]"})


@pytest.mark.parametrize(
    ("moves", "unfired"),
    [
        (["{kind: brake, at: 0.5 s}"], []),
        (["{kind: brake, when: {distance: 500 m}}"], []),
        (["{kind: brake, when: {ttc: 0.01 s}}"], [("actors.intruder.behaviour[0]", "when ttc: 0.01", 1)]),
        (["{kind: brake, at: 1 s, when: {station: 9000 m}}"],
         [("actors.intruder.behaviour[0]", "from 1 s on, when station: 9000.0", 1)]),
        (["{kind: brake, at: 50 s}"], [("actors.intruder.behaviour[0]", "at 50 s", 1)]),
        (["{kind: brake, at: 0.5 s, to: 15 m/s}", "{kind: brake, at: 50 s}"],
         [("actors.intruder.behaviour[1]", "at 50 s", 1)]),
        (["{kind: change_lane, to: 1, at: 0.2 s}", "{kind: brake, at: 50 s}"],
         [("actors.intruder.behaviour[1]", "at 50 s", 1)]),
    ],
)  # fmt: skip
def test_a_manoeuvre_that_never_begins_is_told(moves: list[str], unfired: list[tuple[str, str, int]]):
    seen = rehearse(behaviour(*moves), draws=3, begin=1, runs=1)
    assert seen.played == 1
    assert [(one.path, one.when, missing) for one, missing in seen.unfired] == unfired


def test_every_trigger_of_the_library_names_an_event_that_its_world_tells():
    scenario = load("driving/dooring", LESS | {"duration": "12 s"})
    seen = rehearse(scenario, draws=4, begin=1, runs=2)
    assert seen.unfired == ()
    triggers = scenario.simulator.declared.triggers
    assert triggers is not None
    assert triggers(scenario.simulator.settings) == [
        Trigger("actors.door.behaviour[0]", triggers(scenario.simulator.settings)[0].when, "dart_out", "door")
    ]


# -- how runs begin ----------------------------------------------------------------------------------------------------


def test_runs_that_cannot_begin_are_not_played_and_the_others_are():
    some = cut_in(vary__where="{choice: {0 m: 0.5, 200 m: 0.5}}", **van("$where"))
    seen = rehearse(some, draws=12, begin=12, runs=3)
    blocked = [one.run for one in draw(some, range(12)) if one.values["where"] == 0.0]
    assert [start.run for start in seen.stuck] == blocked
    assert 0 < len(blocked) < 12
    assert (seen.played, seen.failures) == (3, {})


def test_who_begins_off_the_road_is_told():
    def astray(scenario: Scenario) -> list[str]:
        (start,) = starts(scenario, draw(scenario, [0]))
        scene = scene_at_start(scenario, start)
        assert scene is not None
        return off_surface(scene)

    assert astray(cut_in()) == []
    assert astray(cut_in(simulator__actors__ego__offset="-8 m")) == ["ego"]
    assert astray(cut_in(simulator__actors__intruder__offset="9 m")) == ["intruder"]
    standing = "{body: car, speed: 0, station: 90 m, lane: 1, offset: -8 m}"
    assert astray(cut_in(simulator__actors__parked=standing)) == [], "what is parked beside the road stands there"


def test_a_run_that_cannot_be_played_is_told_and_takes_no_other_with_it(tmp_path: Path):
    path = tmp_path / "agents.py"
    path.write_text("def odd(readings, t):\n    raise ValueError('no idea')\n")
    seen = rehearse(cut_in(agent=f"{{kind: '{path}:odd'}}"), draws=2, begin=2, runs=2)
    assert (seen.played, sorted(seen.failures)) == (0, [0, 1])
    assert all("no idea" in reason for reason in seen.failures.values())


# -- the picture -------------------------------------------------------------------------------------------------------


def test_the_picture_shows_who_stands_where(tmp_path: Path):
    scenario = cut_in(**van("60 m", 3))
    (start,) = starts(scenario, draw(scenario, [0]))
    scene = scene_at_start(scenario, start)
    assert scene is not None
    assert [body.name for body in scene.bodies] == ["ego", "intruder", "van"]
    assert scene.bodies[2].x[0] == pytest.approx(60.0)
    assert scene.bodies[2].y[0] == pytest.approx(2.5 * 3.5)
    image = cv2.imread(str(draw_start(scene, tmp_path / "start.png")))
    assert image is not None
    assert image.shape[1] == 1500
    blue = (image[..., 0] > 200) & (image[..., 2] < 60)
    assert blue.sum() > 500, "the subject is drawn in its colour"


@pytest.mark.parametrize("name", ["robots/drone_crossing", "robots/warehouse_head_on"])
def test_all_bodies_of_a_world_without_lanes_are_in_the_picture(name: str, tmp_path: Path):
    from mischance.reports.beginning import _view

    scenario = load(name)
    (start,) = starts(scenario, draw(scenario, [0]))
    scene = scene_at_start(scenario, start)
    assert scene is not None
    seen = _view(scene, 1444, 460)
    for body in scene.bodies:
        x, y = seen.place(float(body.x[0]), float(body.y[0]))
        assert 0 < x < 1444, body.name
        assert 0 < y < 460, body.name


def test_a_world_without_positions_has_no_picture():
    scenario = wander()
    (start,) = starts(scenario, draw(scenario, [0]))
    assert scene_at_start(scenario, start) is None


# -- the command -------------------------------------------------------------------------------------------------------


def test_check_answers_with_tables_a_picture_and_its_exit_code(tmp_path: Path):
    some = ("--without", "sensors", "--set", "duration=2s", "--runs", "1", "--draws", "20")
    done = mischance("check", "driving/cut_in", *some, "--picture", "a.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for text in ("ego_speed", "uniform", "constraints keep", "fade", "ok    20 of 20 runs begin", "picture: a.png"):
        assert text in done.stdout, text
    assert (tmp_path / "a.png").is_file()
    block = ("--set", "simulator.actors.van={body: van, speed: 0, station: 0 m, lane: 1}")
    stuck = mischance("check", "driving/cut_in", *some, *block, "--picture", "b.png", cwd=tmp_path)
    assert stuck.returncode == 1
    assert "bad   20 of 20 runs cannot begin" in stuck.stdout
    assert "ego and van overlap at the start" in stuck.stdout
    assert (tmp_path / "b.png").is_file(), "a beginning that is refused can be looked at"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"], "nothing else is left"


def test_check_tells_what_nothing_uses_and_speaks_json(tmp_path: Path):
    some = ("--without", "sensors", "--set", "duration=2s", "--runs", "1", "--draws", "5", "--set", "vary.gapp=3m")
    found = json.loads(mischance("check", "driving/cut_in", *some, "--json").stdout)
    assert [one["message"] for one in found["warnings"]] == ["nothing refers to 'gapp'"]
    assert (found["played"], found["begun"], found["cannot_begin"], found["draws"]) == (1, 20, {}, 5)
    assert {one["name"] for one in found["vary"]} >= {"gap", "gapp"}
    assert mischance("check", "driving/cut_in", *some, "--strict").returncode == 2
