"""Distances on bends are lengths of arcs along the lane: measures, triggers, starts, paths on rails, drivers.

The truth of every test is an arc: angle about the bend's centre × radius of the lane, from poses alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mischance.api.geometry import advanced, chained, length_between, place
from mischance.api.line_arrays import lengths_between, line_array
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, join_chunks
from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw
from mischance.simulators.road import Road

RADIUS, LANE = 30.0, 2
LEFT, RIGHT = RADIUS, -RADIUS


def tree(radius: float | None, **actors: Any) -> dict[str, Any]:
    line = [] if radius is None else [{"length": 120.0, "radius": radius}]
    return {"road": {"lanes": 2, "line": line}, "actors": actors, "rate": 100}


def run(settings: dict[str, Any], until: float = 3.0) -> tuple[dict[str, Any], Chunk]:
    world = Road(Road.Settings.model_validate(settings))
    chunks = [world.start([Draw(1, 0)], [Streams(1, 0)]), world.advance(until, None)]
    return {name: values[0] for name, values in world.outcome()[0].columns.items()}, join_chunks(chunks)


def angles(chunk: Chunk, radius: float) -> np.ndarray:
    """Return the angle of every body about the bend's centre, from where the bend begins; (n, bodies) [rad]."""
    assert chunk.motion is not None
    x, y = chunk.motion.pose[0, :, :, 0], chunk.motion.pose[0, :, :, 1]
    return np.unwrap(np.arctan2(x, abs(radius) - math.copysign(1, radius) * y), axis=0)


def lane_radius(radius: float, lane: int = LANE) -> float:
    return abs(radius) - math.copysign(1, radius) * (lane - 0.5) * 3.5


# -- geometry ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[(1e9, 0.0)], [(40.0, 1 / 30), (25.0, 0.0), (30.0, -1 / 50), (1e9, 0.0)]])
def test_the_length_of_a_parallel_is_that_of_its_chords(pieces: list[tuple[float, float]]):
    line = chained(pieces, 3.0, -2.0, 0.4)
    rng = np.random.default_rng(3)
    for _ in range(40):
        (s, s1), d = rng.uniform(-30, 130, 2), rng.uniform(-8, 8)
        points = np.array([place(line, way, d)[:2] for way in np.linspace(s, s1, 4001)])
        steps = np.hypot(*np.diff(points, axis=0).T)
        steps = steps[steps < 10 * np.median(steps)]  # none: lines are smooth
        length = math.copysign(steps.sum(), s1 - s)
        assert length_between(line, s, s1, d) == pytest.approx(length, rel=2e-4, abs=1e-6)
        assert advanced(line, s, d, length_between(line, s, s1, d)) == pytest.approx(s1, abs=1e-9)
        many = lengths_between(line_array(line)[None], np.array([[s]]), np.array([[s1]]), np.array([[d]]))
        assert many[0, 0] == pytest.approx(length_between(line, s, s1, d), rel=1e-12, abs=1e-12)


def test_a_line_that_is_shorter_than_others_of_its_batch_has_the_same_lengths():
    line = line_array(chained([(40.0, 1 / 30), (1e9, 0.0)]))
    padded = np.concatenate([line, np.full((3, 6), np.nan)])
    s, s1, d = np.array([5.0]), np.array([90.0]), np.array([4.0])
    assert lengths_between(padded, s, s1, d) == lengths_between(line, s, s1, d)
    assert lengths_between(line, s1, s, d) == -lengths_between(line, s, s1, d)
    assert lengths_between(line, s, s1, d)[0] == pytest.approx(35.0 * (1 - 4 / 30) + 50.0, rel=1e-12)


# -- starts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [LEFT, RIGHT])
@pytest.mark.parametrize("gap", [20.0, -12.0])
def test_a_planned_gap_lies_along_the_lane(radius: float, gap: float):
    _, chunk = run(
        tree(radius, ego={"speed": 5.0, "lane": 2, "station": 30.0}, car={"speed": 5.0, "lane": 2, "gap": gap}), 0.1
    )
    apart = float(np.diff(angles(chunk, radius)[0])[0]) * lane_radius(radius)
    assert abs(apart) - 4.5 == pytest.approx(abs(gap), rel=1e-9)
    assert np.sign(apart) == np.sign(gap)


@pytest.mark.parametrize("oncoming", [False, True])
def test_a_gap_at_a_later_time_holds_then_on_a_bend(oncoming: bool):
    """The ego drives 10 m along its lane, the other 16 m along its own, and then they are 15 m apart."""
    car = {"speed": 8.0, "lane": 1, "gap": 15.0, "gap_at": 2.0, "oncoming": oncoming, "model": "kinematic"}
    _, chunk = run(tree(LEFT, ego={"speed": 5.0, "lane": 2, "model": "kinematic"}, car=car), 2.0)
    ego, other = angles(chunk, LEFT)[-1]
    assert (other - ego) * lane_radius(LEFT, 2) - 4.5 == pytest.approx(
        15.0, abs=0.1
    )  # rear axles keep the lane, not centres


# -- measures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [LEFT, RIGHT])
def test_headway_and_required_deceleration_on_a_bend(radius: float):
    """Behind a slower car in the same lane. Bodies turned against the lane reach 7 cm farther than along it."""
    got, chunk = run(tree(radius, ego={"speed": 7.0, "lane": 2}, lead={"speed": 5.0, "lane": 2, "gap": 20.0}), 3.0)
    gap = np.diff(angles(chunk, radius), axis=1)[:, 0] * lane_radius(radius) - 4.5
    assert got["min_thw"] == pytest.approx(gap.min() / 7.0, rel=0.01)
    assert got["max_drac"] == pytest.approx(2.0**2 / (2 * gap.min()), rel=0.03)
    assert got["max_btn"] == pytest.approx(2.0**2 / (2 * gap.min()) / (0.8 * 9.81), rel=0.03)


def test_who_follows_on_a_bend_needs_what_it_needs_along_its_lane():
    got, chunk = run(tree(LEFT, ego={"speed": 5.0, "lane": 2}, tail={"speed": 7.0, "lane": 2, "gap": -20.0}), 3.0)
    gap = -np.diff(angles(chunk, LEFT), axis=1)[:, 0] * lane_radius(LEFT) - 4.5
    assert got["max_btn_behind"] == pytest.approx(2.0**2 / (2 * gap.min()) / (0.8 * 9.81), rel=0.03)


def test_events_tell_the_gap_along_the_lane():
    lead = {"speed": 5.0, "lane": 2, "gap": 20.0, "behaviour": [{"kind": "brake", "at": 0.5, "deceleration": 1.0}]}
    _, chunk = run(tree(LEFT, ego={"speed": 5.0, "lane": 2}, lead=lead), 1.0)
    details = json.loads(chunk.events.columns["details"][0])
    assert details["gap"] == pytest.approx(20.0, rel=0.01)
    assert details["thw"] == pytest.approx(4.0, rel=0.01)


def test_the_lateral_demand_of_a_bend_is_that_of_the_lane():
    """12 m/s on 24.75 m need 5.82 m/s2; on the right edge's 30 m they would need 4.80: friction 0.55 gives 5.40."""
    settings = tree(LEFT, ego={"speed": 12.0, "lane": 2})
    settings["friction"] = 0.55
    settings["actors"]["parked"] = {"body": "occluder", "speed": 0.0, "station": -100.0}
    got, _ = run(settings, 5.0)
    assert "too fast for the bend" in got["reason"]
    need = float(got["reason"].split("too fast for the bend")[1].split("(")[1].split(" ")[0])
    assert need == pytest.approx(12.0**2 / lane_radius(LEFT), rel=0.03)


# -- triggers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("when", "wanted"), [({"headway": 2.0}, 14.0), ({"ttc": 6.0}, 12.0)])
def test_triggers_fire_at_the_gap_along_the_lane(when: dict[str, float], wanted: float):
    lead = {"speed": 5.0, "lane": 2, "gap": 20.0, "behaviour": [{"kind": "brake", "when": when, "deceleration": 1.0}]}
    settings = tree(LEFT, ego={"speed": 7.0, "lane": 2}, lead=lead)
    settings["rate"] = 1000
    _, chunk = run(settings, 6.0)
    t = float(
        next(
            t
            for t, k in zip(chunk.events.columns["t"], chunk.events.columns["kind"], strict=True)
            if k == "brake_start"
        )
    )
    gap = np.diff(angles(chunk, LEFT), axis=1)[:, 0] * lane_radius(LEFT) - 4.5
    assert chunk.motion is not None
    assert np.interp(t, chunk.motion.t, gap) == pytest.approx(wanted, rel=0.01)


def test_a_walker_arrives_with_the_ego_on_a_bend():
    """It leaves in time to be hit at the middle of the car's front."""
    walker = {
        "body": "pedestrian", "speed": 0.0, "station": 40.0, "lane": 1, "offset": -4.0,
        "behaviour": [{"kind": "cross", "when": {"arrive": 0.5}, "speed": 1.5, "acceleration": 3.0}],
    }  # fmt: skip
    _, chunk = run(tree(LEFT, ego={"speed": 6.0, "lane": 2}, walker=walker), 10.0)
    hit = chunk.tables["contacts"].columns
    bearing = hit["bearing_a"][0]
    assert 2.25 * math.tan(bearing) == pytest.approx(
        0.0, abs=0.25
    )  # of 0.9: without the arcs it is missed or hit at a corner


def test_an_actor_on_rails_keeps_its_speed_around_a_bend():
    """Velocity is the derivative of the pose, yaw rate that of the yaw."""
    animal = {"body": "animal", "speed": 6.0, "lane": 2, "station": -10.0}
    _, chunk = run(tree(LEFT, ego={"speed": 0.0, "station": -60.0}, animal=animal), 6.0)
    assert chunk.motion is not None
    xy, v = chunk.motion.pose[0, :, 1, :2], chunk.motion.velocity[0, :, 1]
    moved = np.hypot(*np.diff(xy, axis=0).T) * 100.0
    assert moved == pytest.approx(np.full(len(moved), 6.0), rel=1e-4)
    yaw = np.unwrap(2.0 * np.arctan2(chunk.motion.pose[0, :, 1, 5], chunk.motion.pose[0, :, 1, 6]))
    rate = np.diff(yaw) * 100.0
    inside = (np.arange(len(rate)) > 200) & (np.arange(len(rate)) < 550)
    assert rate[inside] == pytest.approx(6.0 / lane_radius(LEFT), rel=1e-3)
    assert v[:-1, 5][inside] == pytest.approx(rate[inside], rel=1e-3)


def test_a_patch_on_a_bend_begins_where_it_is_laid():
    """Braking over its border: 7 m/s2 for 1.5 m of the road's edge, 1.2375 m of the lane, then the grip of ice."""
    stop = {"kind": "brake", "deceleration": 7.0}
    animal = {"body": "animal", "speed": 6.0, "lane": 2, "station": 5.0, "behaviour": [stop]}
    settings = tree(LEFT, ego={"speed": 0.0, "station": -60.0}, animal=animal)
    settings["road"]["patches"] = [{"start": 6.5, "end": 90.0, "friction": 0.1}]
    _, chunk = run(settings, 10.0)
    angle = angles(chunk, LEFT)[:, 1]
    first = 1.5 / RADIUS * lane_radius(LEFT)
    slide = (6.0**2 - 2 * 7.0 * first) / (2 * 0.1 * 9.81)
    assert (angle[-1] - angle[0]) * lane_radius(LEFT) == pytest.approx(first + slide, rel=1e-6)


# -- drivers -----------------------------------------------------------------------------------------------------------


def test_car_following_settles_at_the_gap_that_it_is_asked_for_on_a_bend():
    """The model's equilibrium: (gap + headway × speed) / sqrt(1 - (v / v0)^4)."""
    follow = {"kind": "follow", "headway": 1.5, "gap": 2.0}
    cars = {
        "ego": {"speed": 8.0, "lane": 2, "behaviour": [follow]},
        "lead": {"speed": 4.0, "lane": 2, "gap": 15.0},
    }  # fmt: skip
    settings = tree(LEFT, **cars)
    settings["road"]["line"] = [{"length": 175.0, "radius": LEFT}]
    _, chunk = run(settings, 30.0)
    gap = np.diff(angles(chunk, LEFT), axis=1)[:, 0] * lane_radius(LEFT) - 4.5
    wanted = (2.0 + 1.5 * 4.0) / math.sqrt(1.0 - (4.0 / 8.0) ** 4)
    assert gap[2500] == pytest.approx(wanted, abs=0.12)


AGENTS = ("r157_driver", "fuzzy_safety", "rss", "idm", "r157_performance", "aeb")
SCENARIO = """
mischance: 1
name: test/standing_car
about: A standing car in the lane.
seed: 1
duration: 12 s
vary: {gap: {uniform: [5 m, 6 m]}}
simulator:
  kind: road
  motion: false
  road: {lanes: 2, line: LINE}
  actors: {ego: {speed: 8 m/s, lane: 2, model: kinematic}, car: {speed: 0 m/s, lane: 2, gap: $gap}}
event: {name: collision, when: ego.contacts > 0, margin: min_gap}
"""


def margins(folder: Path, agent: str, line: str, gaps: Sequence[float]) -> list[float]:
    """Return the margin that is left when the agent has stopped, for each gap; negative after a contact [m]."""
    file = folder / "standing_car.yaml"
    file.write_text(SCENARIO.replace("LINE", line))
    scenario = load(file, {"agent": f"{{kind: {agent}}}", "plan": f"{{grid: {{gap: {[f'{gap} m' for gap in gaps]}}}}}"})
    found: list[float] = []
    for record in play(scenario, draw(scenario, range(len(gaps)))):
        if record.last:
            found += record.tables["runs"].columns["margin"].tolist()
    return found


@pytest.mark.parametrize("agent", AGENTS)
def test_a_driver_that_stops_on_a_straight_road_stops_on_the_bend(agent: str, tmp_path: Path):
    """With 0.3 m to spare: at a radius of 40 m the corners of two cars are 0.15 m nearer than the middles of their
    bumpers, and a tick of 0.05 s is 0.4 m.
    """
    gaps = [6.0 + i for i in range(23)]
    straight = margins(tmp_path, agent, "[]", gaps)
    bend = margins(tmp_path, agent, "[{length: 150 m, radius: 40 m}]", gaps)
    spare = [i for i, margin in enumerate(straight) if margin > 0.3]
    assert len(spare) >= 5
    assert min(bend[i] for i in spare) > 0.0
    assert [bend[i] for i in spare] == pytest.approx([straight[i] for i in spare], abs=0.6)
