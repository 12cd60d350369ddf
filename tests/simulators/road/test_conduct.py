"""What the road requires of every driver: each signal against a value found another way, each requirement both ways."""

from __future__ import annotations

import json
from math import cos, hypot, sin
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mischance.api.tables import AnyArray
from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw
from tests.support import PLUGINS, rows_of

BROKEN = PLUGINS / "broken_drivers.py"
SCENE = """
mischance: 1
name: tests/conduct
duration: {duration} s
simulator:
  kind: road
  motion: false
  road: {road}
  actors:
    ego: {ego}
{others}
agent: {agent}
"""


def played(
    folder: Path,
    *,
    ego: str,
    others: str = "",
    road: str = "{lanes: 2}",
    duration: float = 12.0,
    agent: str = "constant",
) -> tuple[dict[str, AnyArray], dict[str, AnyArray], dict[str, Any]]:
    """Return the rows of the ego, of its conduct, and its row of `runs`."""
    kind = json.dumps({"kind": f"{BROKEN}:{agent}" if agent[0].isupper() else agent})
    file = folder / "conduct.yaml"
    lines = "\n".join(f"    {line}" for line in others.splitlines())
    file.write_text(SCENE.format(ego=ego, others=lines, road=road, duration=duration, agent=kind))
    records = list(play(load(file), draw(load(file), [0])))
    actors = rows_of(records[:-1], "truth/actors")
    mine = actors["actor"] == 0
    row = {name: values[0] for name, values in records[-1].tables["runs"].run(0).items()}
    return {name: values[mine] for name, values in actors.items()}, rows_of(records[:-1], "truth/conduct"), row


def corners(ego: dict[str, AnyArray], k: int) -> list[tuple[float, float]]:
    """Return the corners of a car of 4.5 m by 1.8 m."""
    x, y, yaw = (float(ego[name][k]) for name in ("x", "y", "yaw"))
    return [
        (x + a * cos(yaw) - b * sin(yaw), y + a * sin(yaw) + b * cos(yaw))
        for a in (-2.25, 2.25)
        for b in (-0.9, 0.9)
    ]  # fmt: skip


def test_the_margin_is_that_of_the_outermost_corner(tmp_path):
    ego, conduct, row = played(tmp_path, ego="{speed: 15 m/s, lane: 1}", agent="SteersOff", duration=6)
    expected = [min(min(y, 7.0 - y) for _, y in corners(ego, k)) for k in range(len(ego["t"]))]
    assert conduct["t"].tolist() == ego["t"].tolist()
    assert conduct["road_margin"] == pytest.approx(expected, abs=1e-9)
    assert conduct["road_margin"][0] == pytest.approx(0.85)  # (3.5 - 1.8) / 2
    assert row["require.stays_on_carriageway.margin"] == conduct["road_margin"].min()
    first = conduct["t"][np.argmax(conduct["road_margin"] < 0)]
    assert not row["require.stays_on_carriageway"]
    assert f"at {first:g} s" in row["reason"]


@pytest.mark.parametrize(("lane", "heading"), [(1, 0.3), (1, -0.3), (2, 0.3), (2, -0.3)])
def test_each_corner_can_be_the_outermost_one(tmp_path, lane: int, heading: float):
    """Rear right, front right, front left and rear left: whichever is nearest to an edge."""
    ego, conduct, _ = played(tmp_path, ego=f"{{speed: 5 m/s, lane: {lane}, heading: {heading}}}", duration=2)
    nearest = [min(enumerate(corners(ego, k)), key=lambda each: min(each[1][1], 7.0 - each[1][1])) for k in (0, 1)]
    assert {i for i, _ in nearest} == {{(1, 0.3): 0, (1, -0.3): 2, (2, 0.3): 3, (2, -0.3): 1}[lane, heading]}
    expected = [min(min(y, 7.0 - y) for _, y in corners(ego, k)) for k in range(len(ego["t"]))]
    assert conduct["road_margin"] == pytest.approx(expected, abs=1e-9)


def test_a_crossing_road_is_carriageway_as_far_as_it_reaches_and_its_kerb_is_round(tmp_path):
    """A car turns right with 9 m of radius: distance to the union of two strips and a kerb's corner, by sampling."""
    road = "{lanes: 2, crossings: {side: {at: 40 m, lanes: 2, reach: 30 m}}}"
    turn = "behaviour: [{kind: turn, angle: -90 deg, radius: 9 m, speed: 5 m/s, when: {station: 31 m}}]"
    ego, conduct, row = played(
        tmp_path, ego=f"{{speed: 5 m/s, lane: 1, station: 20 m, {turn}}}", road=road, duration=14
    )

    def inside(x: float, y: float) -> bool:
        if 0.0 <= y <= 7.0 or (abs(x - 40.0) <= 3.5 and abs(y - 3.5) <= 30.0):
            return True
        beside, beyond = abs(x - 40.0) - 3.5, abs(y - 3.5) - 3.5  # from the corner's two edges
        return 0.0 < beside < 4.0 and 0.0 < beyond < 4.0 and hypot(4.0 - beside, 4.0 - beyond) >= 4.0

    for k in range(0, len(ego["t"]), 3):
        outside = [point for point in corners(ego, k) if not inside(*point)]
        assert (conduct["road_margin"][k] < 0) == bool(outside), (ego["t"][k], outside)
    late = ego["y"] < 3.5 - 30.0 - 2.3  # the whole of it is beyond the end of the side road
    assert late.any()
    assert (conduct["road_margin"][late] < 0).all()
    rounded = [
        k
        for k in range(len(ego["t"]))
        if all(inside(*point) for point in corners(ego, k))
        and any(y < 0.0 and abs(x - 40.0) > 3.5 for x, y in corners(ego, k))
    ]
    assert rounded, "a corner passes over the rounded kerb"
    assert (conduct["road_margin"][rounded] >= 0).all()
    assert not row["require.stays_on_carriageway"]


@pytest.mark.parametrize(("agent", "kept"), [("constant", True), ("StandsStill", False), ("BrakesForEver", False)])
def test_an_ego_with_a_free_way_gets_on(tmp_path, agent, kept):
    ego, conduct, row = played(tmp_path, ego="{speed: 15 m/s}", agent=agent)
    assert row["require.gets_on"] == kept
    if kept:
        assert (conduct["idle"] == 0).all()
        return
    slow = ego["speed"] < 0.9 * 15.0
    slow &= (ego["acceleration"] < -0.5) | (ego["speed"] < 0.5 * 15.0)
    # each row tells of the time since the row before, from the first slow one on
    expected = np.maximum.accumulate(np.cumsum(slow) * 0.05)
    assert conduct["idle"] == pytest.approx(expected, abs=1e-9)
    assert row["require.gets_on.margin"] == pytest.approx(3.0 - expected[-1])


@pytest.mark.parametrize(("gap", "excused"), [(10.0, True), (90.0, False)])
def test_who_stands_behind_an_obstacle_has_a_reason_and_who_stands_far_from_it_has_none(tmp_path, gap, excused):
    """At 3 m/s2 the ego comes to rest after 15^2 / 6 = 37.5 m and a little for the pedals: near the obstacle or far."""
    wall = f"wall: {{body: occluder, speed: 0, lane: 1, gap: {38.0 + gap} m}}"
    _, conduct, row = played(tmp_path, ego="{speed: 15 m/s}", others=wall, agent="StandsStill", duration=16)
    assert row["event"] == 0
    assert row["require.gets_on"] == excused
    assert (conduct["idle"][-1] == 0) == excused


def test_a_lead_that_stands_is_a_reason_and_one_that_follows_is_none(tmp_path):
    ahead = "lead: {speed: 15 m/s, gap: 9 m, behaviour: [{kind: brake, at: 0 s, deceleration: 3 m/s2}]}"
    behind = "tail: {speed: 15 m/s, gap: -25 m, behaviour: [{kind: follow}]}"
    *_, row = played(tmp_path, ego="{speed: 15 m/s}", others=ahead, agent="StandsStill")
    assert row["require.gets_on"]
    *_, row = played(tmp_path, ego="{speed: 15 m/s}", others=behind, agent="StandsStill")
    assert not row["require.gets_on"]


@pytest.mark.parametrize(
    ("road", "usual"),
    [
        ("{lanes: 2}", lambda x: 20.0),
        # 3 m/s2 sideways in the bend and 2 m/s2 before it
        ("{lanes: 2, line: [{length: 60 m}, {length: 90 m, radius: 60 m}]}",
         lambda x: min(20.0, (3.0 * 60.0 + 2.0 * 2.0 * (60.0 - x)) ** 0.5)),
        # the same braking distance as on 0.7: v^2 / friction
        ("{lanes: 2, patches: [{start: -50 m, end: 900 m, friction: 0.35}]}", lambda x: 20.0 * 0.5**0.5),
    ],
)  # fmt: skip
def test_a_bend_and_ice_are_reasons_to_be_slower(tmp_path, road, usual):
    ego, conduct, _ = played(tmp_path, ego="{speed: 20 m/s, station: 0 m}", road=road, agent="StandsStill", duration=3)
    reference = np.array([usual(x) for x in ego["x"]])
    slow = (ego["speed"] < 0.9 * reference) & (ego["acceleration"] < -0.5)
    assert 2 < slow.sum() < len(slow) - 2
    assert np.all(np.diff(slow.astype(int)) >= 0)
    assert conduct["idle"] == pytest.approx(np.cumsum(slow) * 0.05, abs=1e-9)


def test_a_scenario_whose_ego_begins_at_rest_has_no_reference_speed(tmp_path):
    *_, row = played(tmp_path, ego="{speed: 0 m/s}", duration=2)
    assert "require.gets_on" not in row
    assert row["require.no_wrong_way"]


def test_the_wrong_way_is_against_the_direction_of_the_path(tmp_path):
    ego, conduct, row = played(
        tmp_path, ego="{speed: 8 m/s, lane: 3}", road="{lanes: 6}", agent="WrongWay", duration=16
    )
    assert conduct["along"] == pytest.approx(ego["vx"], abs=1e-9)  # the road goes along x
    assert ego["vx"].min() < -1.0
    assert not row["require.no_wrong_way"]
    assert row["require.no_wrong_way.margin"] == pytest.approx(1.0 + ego["vx"].min())
    # around a bend of 180 degrees the velocity turns with the road
    bend = "{lanes: 2, line: [{length: 20 m}, {length: 188 m, radius: 60 m}]}"
    ego, conduct, row = played(tmp_path, ego="{speed: 15 m/s}", road=bend, duration=16)
    assert ego["vx"].min() < -10.0
    assert row["require.no_wrong_way"]
    assert conduct["along"].min() > 14.5


@pytest.mark.parametrize("agent", ["r157_driver", "BrakesForEver"])
def test_hard_braking_is_needless_where_nothing_calls_for_it(tmp_path, agent):
    free = played(tmp_path, ego="{speed: 20 m/s}", agent=agent)
    lead = "lead: {speed: 20 m/s, gap: 18 m, behaviour: [{kind: brake, at: 0.5 s, deceleration: 7 m/s2}]}"
    called = played(tmp_path, ego="{speed: 20 m/s}", others=lead, agent=agent)
    assert free[2]["require.no_needless_emergency_braking"] == (agent == "r157_driver")
    if agent == "r157_driver":
        assert called[0]["acceleration"].min() < -5.0, "it brakes hard"
        assert called[2]["require.no_needless_emergency_braking"]
    else:
        first = free[1]["needless_braking"] > 0
        assert free[1]["t"][np.argmax(first)] <= 0.1
        assert free[1]["needless_braking"].max() == pytest.approx(10.0)
        assert free[2]["require.no_needless_emergency_braking.margin"] == pytest.approx(-5.0)


def test_what_called_for_the_braking_may_be_gone_for_a_moment_and_no_longer(tmp_path):
    """A pedestrian runs across 45 m ahead and is gone; who goes on braking hard for ever brakes for nothing."""
    runner = (
        "runner: {body: pedestrian, speed: 0, lane: 1, offset: -3 m, gap: 45 m,"
        " behaviour: [{kind: dart_out, speed: 5 m/s, acceleration: 3 m/s2, at: 0 s}]}"
    )
    _, conduct, row = played(tmp_path, ego="{speed: 25 m/s}", others=runner, agent="BrakesForEver", duration=4)
    assert not row["event"]
    needless = conduct["needless_braking"] > 5
    first = conduct["t"][np.argmax(needless)]
    assert needless.any()
    assert first > 1.5, "not while there was somebody"
    assert row["require.no_needless_emergency_braking"] is not True


def test_from_the_first_contact_on_nothing_is_required_of_the_driver(tmp_path):
    wall = "wall: {body: occluder, speed: 0, lane: 1, gap: 20 m}"
    ego, conduct, row = played(tmp_path, ego="{speed: 20 m/s}", others=wall, duration=4)
    assert row["event"]
    hit = ego["hit"]
    assert hit.any()
    assert np.isinf(conduct["road_margin"][hit]).all()
    for name in ("along", "idle", "needless_braking"):
        assert (conduct[name][hit] == 0).all()
    assert all(row[f"require.{name}"] for name in load(tmp_path / "conduct.yaml").by_default)
