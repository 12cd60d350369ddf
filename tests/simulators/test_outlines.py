"""What every world with bodies tells of its looks: contract tables that agree with where its bodies are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

from mischance.api.appearance import (
    BODIES,
    BODY_ROLES,
    FENCE,
    LANE_ROWS,
    LANES,
    LINE_KINDS,
    SURFACES,
    bodies_schema,
    rectangle,
)
from mischance.api.line_arrays import line_array, place_all, project_all
from mischance.api.runs import Record
from mischance.api.tables import AnyArray, Table
from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw
from tests.support import rows_of

WORLDS = {  # a scenario each, and how long it is played
    "road": ("driving/red_light_runner", "1 s"),
    "arm": ("robots/arm_reach_in", "0.3 s"),
    "quadrotor": ("robots/drone_geofence", "1 s"),
    "warehouse": ("robots/warehouse_dropped_load", "120 s"),
}


@cache
def played(name: str) -> tuple[Record, ...]:
    """Return the records of a run, without sensors and agent."""
    path, duration = WORLDS[name]
    scenario = load(path, {"sensors": "{}", "agent": "null", "write": "[]", "require": "{}", "duration": duration})
    return tuple(play(scenario, draw(scenario, [0])))


def table(name: str, which: str) -> Table:
    return played(name)[0].tables[f"truth/{which}"]


def words(one: Table, column: str, run: int = 0) -> list[str]:
    """Return a column of one run as words; '' where it has none."""
    values, names = one.run(run)[column], one.schema[column].names
    return [(names[code] if code >= 0 else "") for code in values.tolist()] if names else [str(v) for v in values]


def stretches(rows: Mapping[str, AnyArray], kinds: tuple[str, ...]) -> list[int]:
    return [i for i, code in enumerate(rows["kind"].tolist()) if LINE_KINDS[code] in kinds]


def on(rows: Mapping[str, AnyArray], i: int, x: AnyArray, y: AnyArray) -> AnyArray:
    """Return which places lie on the surface of a row of `lanes`."""
    piece = np.array([[rows[name][i] for name in ("x", "y", "heading", "way", "length", "curvature")]], np.float64)
    place = project_all(piece, x, y)
    inside = (place.s >= rows["begin"][i]) & (place.s <= rows["end"][i])
    return np.asarray(inside & (np.abs(place.d - rows["offset"][i]) <= 0.5 * rows["width"][i] + 1e-9))


@pytest.mark.parametrize("name", WORLDS)
def test_the_tables_have_the_columns_of_the_contract(name: str):
    lanes, bodies = table(name, LANES), table(name, BODIES)
    assert lanes.schema == LANE_ROWS
    own = bodies_schema(bodies.schema["kind"].names, bodies.schema["body"].names)
    assert bodies.schema == own
    for record in played(name)[1:]:  # told once; who comes later has a row of its own
        known = record.tables.get(f"truth/{LANES}")
        assert known is None or not len(known)


@pytest.mark.parametrize("name", WORLDS)
def test_everybody_who_moves_is_told_and_one_is_the_subject(name: str):
    seen = rows_of(played(name), f"truth/{BODIES}")
    names = table(name, BODIES).schema["body"].names
    known = [names[body] if names else str(body) for body in seen["body"].tolist()]
    assert len(known) == len(set(known))
    roles = [BODY_ROLES[code] for code in seen["role"].tolist()]
    assert roles.count("subject") == 1
    assert (seen["length"] > 0.0).all()
    assert (seen["width"] > 0.0).all()
    for path in ("truth/motion", "truth/actors", "truth/drones"):
        first = played(name)[0].tables.get(path)
        if first is not None:
            key = "body" if path == "truth/motion" else "actor"
            values, own = rows_of(played(name), path)[key], first.schema[key].names
            moving = {own[code] for code in values.tolist()} if own else set(map(str, values))
            assert moving <= set(known)
    assert (seen["t"] > 0.0).any() == (name == "warehouse")  # people and fallen loads come later
    standing = np.isfinite(seen["x"])
    assert all(role == "scenery" for role, still in zip(roles, standing.tolist(), strict=True) if still)


def test_links_of_the_arm_lead_to_its_foot_and_limbs_to_the_person():
    bodies = table("arm", BODIES)
    parent = dict(zip(words(bodies, "body"), words(bodies, "parent"), strict=True))

    def root(body: str) -> str:
        seen = [body]
        while parent[seen[-1]]:
            seen.append(parent[seen[-1]])
            assert len(seen) <= len(parent)
        return seen[-1]

    assert root("left_finger") == root("right_finger") == "shoulder"
    assert root("person_hand") == "person"
    assert parent["box"] == ""


def test_agvs_on_the_floor_are_on_aisles_bays_or_the_way_between():
    lanes, actors = table("warehouse", LANES).run(0), rows_of(played("warehouse"), "truth/actors")
    agvs = np.array([str(name).startswith("agv") for name in actors["actor"]])
    driving = agvs & ~actors["away"]
    straight = np.abs(np.sin(2.0 * actors["yaw"])) < 1e-6  # not aslant, into a bay
    x, y = actors["x"][driving & straight], actors["y"][driving & straight]
    assert len(x) > 50
    aisles = [on(lanes, i, x, y) for i in stretches(lanes, ("aisle",))]
    assert np.any(aisles, axis=0).mean() > 0.9
    parked = agvs & actors["away"]
    assert parked.any()
    radius = 0.5 * rows_of(played("warehouse"), f"truth/{BODIES}")["length"][0]
    for side in (-radius, radius):  # all of it
        x, y = actors["x"][parked] + side, actors["y"][parked] - side
        bays = [on(lanes, i, x, y) for i in stretches(lanes, ("area",))]
        assert np.any(bays, axis=0).all()


def test_the_fence_is_where_leaving_it_is_an_event():
    scenario = load(WORLDS["quadrotor"][0], {"agent": "null"})
    fence = scenario.simulator.settings.fence
    lanes = table("quadrotor", LANES).run(0)
    rows = stretches(lanes, (LINE_KINDS[FENCE],))
    corners = np.array([[lanes["x"][i], lanes["y"][i]] for i in rows])
    assert sorted(set(corners[:, 0].tolist())) == pytest.approx(sorted(fence.x))
    assert sorted(set(corners[:, 1].tolist())) == pytest.approx(sorted(fence.y))
    assert float((lanes["end"] - lanes["begin"])[rows].sum()) == pytest.approx(
        2.0 * (fence.x[1] - fence.x[0] + fence.y[1] - fence.y[0])
    )


def test_actors_of_the_road_begin_in_a_lane():
    lanes, actors = table("road", LANES).run(0), table("road", "actors").run(0)
    surfaces = [on(lanes, i, actors["x"], actors["y"]) for i in stretches(lanes, SURFACES)]
    assert np.any(surfaces, axis=0).all()


def test_the_outline_of_a_rectangle_is_closed_and_counter_clockwise():
    line = rectangle(-1.0, 2.0, 3.0, 5.0)
    ends = [place_all(line_array([piece]), piece.s + piece.length, 0.0)[:2] for piece in line]
    starts = [(piece.x, piece.y) for piece in line]
    np.testing.assert_allclose(np.array(ends).reshape(-1, 2), [*starts[1:], starts[0]], atol=1e-12)
    assert [piece.s for piece in line] == [0.0, 4.0, 7.0, 11.0]
    area = 0.5 * sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(starts, [*starts[1:], starts[0]], strict=True))
    assert area == pytest.approx(12.0)
