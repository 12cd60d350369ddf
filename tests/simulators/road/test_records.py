"""Contacts and events against rigid-body mechanics and the plan: every column of `contacts`, every parent."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from mischance.api.geometry import Rectangle, oriented_gap
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, join_chunks
from mischance.simulators.road import Road

SIDES = ("front", "rear", "left side", "right side")


def run(tree: dict[str, Any], until: float = 5.0) -> tuple[dict[str, Any], Chunk, Road]:
    world = Road(Road.Settings.model_validate(tree))
    chunks = [world.start([Draw(7, 0)], [Streams(7, 0)]), world.advance(until, None)]
    return {name: values[0] for name, values in world.outcome()[0].columns.items()}, join_chunks(chunks), world


def told(chunk: Chunk) -> list[dict[str, Any]]:
    columns = chunk.events.run(0)
    found = [{name: values[i] for name, values in columns.items()} for i in range(len(columns["t"]))]
    return [{**one, "details": json.loads(one["details"])} for one in found]


def wrapped(angle: float) -> float:
    return math.remainder(angle, 2 * math.pi)


# -- contacts ----------------------------------------------------------------------------------------------------------


def parked(n: int) -> list[dict[str, Any]]:
    """Return runs in which the ego drives straight into one that stands at any angle and offset."""
    rng = np.random.default_rng(61)
    trees = []
    for _ in range(n):
        van = {
            "body": "van", "speed": 0.0, "lane": 2, "station": 20.0, "offset": float(rng.uniform(-1.5, 1.5)),
            "heading": float(rng.uniform(-math.pi, math.pi)), "reverse": bool(rng.random() < 0.3),
        }  # fmt: skip
        ego = {"speed": float(rng.uniform(5, 30)), "lane": 2, "reverse": bool(rng.random() < 0.3)}
        trees.append({"actors": {"ego": ego, "van": van}, "friction": 0.7, "settle": 0.5})
    return trees


def test_every_column_of_a_contact_follows_from_the_impulse_and_the_poses():
    sides = set()
    for tree in parked(40):
        ego, van = tree["actors"]["ego"], tree["actors"]["van"]
        _, chunk, _ = run(tree)
        hit = {name: values[0] for name, values in chunk.tables["contacts"].columns.items()}
        t = hit["t"]
        mass, length, width = (1500.0, 2800.0), (4.5, 5.9), (1.8, 2.0)
        inertia = [m * (a * a + b * b) / 12 for m, a, b in zip(mass, length, width, strict=True)]
        x, y = (ego["speed"] * t, 20.0), (5.25, 5.25 + van["offset"])
        yaw = (0.0, van["heading"])
        boxes = [Rectangle(*values) for values in zip(x, y, yaw, length, width, strict=True)]
        assert oriented_gap(*boxes) == pytest.approx(0.0, abs=1e-6)
        point = Rectangle(hit["x"], hit["y"], 0.0, 1e-9, 1e-9)
        assert [abs(float(oriented_gap(box, point))) for box in boxes] == pytest.approx([0.0, 0.0], abs=1e-6)
        normal, push = (np.array([hit[f"{name}_x"], hit[f"{name}_y"]]) for name in ("normal", "impulse"))
        assert np.hypot(*normal) == pytest.approx(1.0)
        assert hit["impulse"] == pytest.approx(np.hypot(*push))
        assert hit["closing_speed"] == pytest.approx(ego["speed"] * normal[0], rel=1e-9)
        across = normal[0] * push[1] - normal[1] * push[0]
        assert push @ normal > 0.0
        assert abs(across) <= 0.25 * (push @ normal) * (1 + 1e-9)
        lost = 0.0
        for i, one in enumerate("ab"):
            sign = 1.0 if one == "b" else -1.0
            change = sign * push / mass[i]
            assert (hit[f"delta_v_{one}_x"], hit[f"delta_v_{one}_y"]) == pytest.approx(
                tuple(change), rel=1e-9, abs=1e-12
            )
            assert hit[f"delta_v_{one}"] == pytest.approx(np.hypot(*change), rel=1e-9)
            arm = np.array([hit["x"] - x[i], hit["y"] - y[i]])
            turn = sign * (arm[0] * push[1] - arm[1] * push[0]) / inertia[i]
            assert hit[f"delta_yaw_rate_{one}"] == pytest.approx(turn, rel=1e-6, abs=1e-9)
            before = np.array([ego["speed"], 0.0]) if i == 0 else np.zeros(2)
            assert hit[f"speed_{one}"] == pytest.approx(np.hypot(*before), abs=1e-12)
            own = 0.5 * mass[i] * (before @ before - (before + change) @ (before + change)) - 0.5 * inertia[i] * turn**2
            assert hit[f"energy_lost_{one}"] == pytest.approx(own, rel=1e-6, abs=1e-3)
            lost += own
            # front and rear change places for who drives backwards
            ahead = yaw[i] + (math.pi if (ego, van)[i]["reverse"] else 0.0)
            assert wrapped(hit[f"bearing_{one}"] - (math.atan2(arm[1], arm[0]) - ahead)) == pytest.approx(0.0, abs=1e-6)
            force = math.atan2(-sign * push[1], -sign * push[0]) - ahead  # where it came from
            assert wrapped(hit[f"pdof_{one}"] - force) == pytest.approx(0.0, abs=1e-6)
            out = wrapped(math.atan2(-sign * normal[1], -sign * normal[0]) - ahead)
            side = 0 if abs(out) < math.pi / 4 else 1 if abs(out) > 3 * math.pi / 4 else 2 if out > 0 else 3
            if abs(abs(math.remainder(out, math.pi / 2)) - math.pi / 4) > 1e-3:
                assert SIDES[hit[f"side_{one}"]] == SIDES[side]
            sides.add((i, side))
        assert hit["energy_lost"] == pytest.approx(lost, rel=1e-6)
        assert lost > 0.0
    assert len(sides) >= 5


@pytest.mark.parametrize(("speed", "wanted"), [(1.0, 0.4), (2.0, 0.4), (6.0, 0.25), (10.0, 0.1), (25.0, 0.1)])
@pytest.mark.parametrize("model", ["analytic", "bullet"])
def test_restitution_is_linear_between_the_rows_of_its_table_and_constant_outside(speed, wanted, model):
    tree = {
        "actors": {"ego": {"speed": speed}, "other": {"speed": 0.0, "gap": 0.5}},
        "impact": {"model": model, "restitution": [[2.0, 0.4], [6.0, 0.25], [10.0, 0.1]]},
    }
    _, chunk, _ = run(tree, 1.0)
    hit = {name: values[0] for name, values in chunk.tables["contacts"].columns.items()}
    bounce = (hit["delta_v_b_x"] - hit["delta_v_a_x"] - speed) / speed
    assert bounce == pytest.approx(
        wanted, abs=1e-9 if model == "analytic" else 0.002 + 0.01 / speed
    )  # the solver: 9 mm/s


def test_a_run_goes_on_for_the_time_to_settle_after_the_first_contact():
    tree = {"friction": 0.1, "settle": 1.25, "actors": {"ego": {"speed": 20.0}, "other": {"speed": 0.0, "gap": 10.0}}}
    got, chunk, _ = run(tree, 9.0)
    assert got["contact_time"] == pytest.approx(0.5, abs=1e-9)
    assert float(chunk.ends[0]) == pytest.approx(1.75, abs=1e-9)
    assert told(chunk)[-1]["details"] == {"why": "settled"}
    tree = {"friction": 0.9, "settle": 30.0, "actors": {"ego": {"speed": 5.0}, "other": {"speed": 0.0, "gap": 5.0}}}
    got, chunk, _ = run(tree, 9.0)
    assert told(chunk)[-1]["details"] == {"why": "at rest"}
    assert float(chunk.ends[0]) < 3.0


# -- events ------------------------------------------------------------------------------------------------------------


def test_hard_braking_is_told_once_per_braking_from_4_m_s2_on_with_its_manoeuvre_as_parent():
    def plan(*hard: float) -> list[dict[str, Any]]:
        return [
            {"kind": "brake", "at": 0.5 + 1.0 * i, "deceleration": a, "to": 25.0 - 3 * i} for i, a in enumerate(hard)
        ]

    for hard, wanted in (((3.9,), 0), ((4.1,), 1), ((5.0, 5.0), 2)):
        ego = {"speed": 28.0, "jerk": 0.0, "behaviour": plan(*hard)}
        _, chunk, _ = run({"actors": {"ego": ego, "other": {"speed": 28.0, "lane": 3}}}, 4.0)
        events = told(chunk)
        sudden = [event for event in events if event["kind"] == "hard_braking"]
        starts = [event for event in events if event["kind"] == "brake_start"]
        assert len(sudden) == wanted
        for event, start in zip(sudden, starts, strict=False):
            assert event["parent_id"] == start["event_id"]
            assert event["subject"] == "ego"
            assert event["details"]["acceleration"] == pytest.approx(-hard[0])
            assert 0.0 < event["t"] - start["t"] <= 0.0101


def test_a_follower_that_brakes_hard_has_the_lead_s_braking_as_parent():
    follow = {"kind": "follow", "headway": 0.8, "acceleration": 1.5, "comfort": 2.0}
    cars = {
        "ego": {"speed": 25.0, "behaviour": [follow]},
        "lead": {"speed": 25.0, "gap": 22.0, "behaviour": [{"kind": "brake", "at": 1.0, "deceleration": 7.0}]},
    }
    _, chunk, _ = run({"actors": cars}, 6.0)
    events = told(chunk)
    start = next(event for event in events if event["kind"] == "brake_start")
    own = next(event for event in events if event["kind"] == "hard_braking" and event["subject"] == "ego")
    lead = next(event for event in events if event["kind"] == "hard_braking" and event["subject"] == "lead")
    assert own["parent_id"] in (start["event_id"], lead["event_id"])
    assert lead["parent_id"] == start["event_id"]


def test_a_lane_change_ends_after_its_time_in_its_lane():
    change = {"kind": "change_lane", "at": 0.7, "to": 3, "takes": 2.0}
    tree = {"actors": {"ego": {"speed": 25.0}, "car": {"speed": 25.0, "lane": 2, "gap": 30.0, "behaviour": [change]}}}
    _, chunk, _ = run(tree, 4.0)
    start, end = told(chunk)[:2]
    assert (start["kind"], end["kind"]) == ("lane_change_start", "lane_change_end")
    assert (start["t"], end["t"]) == pytest.approx((0.7, 2.7), abs=1e-9)
    assert end["parent_id"] == start["event_id"]
    assert end["details"] == {"lane": 3}
    assert start["details"] == pytest.approx(
        {"gap": 30.0, "closing_speed": 0.0, "thw": 1.2, "from": 2, "to": 3, "takes": 2.0}, abs=1e-9
    )


def test_the_lane_of_a_row_is_where_its_centre_is():
    for lane, offset, wanted in (
        (1, 0.0, 1),
        (2, 1.7, 2),
        (2, 1.8, 3),
        (1, -1.8, 0),
        (3, 1.8, 4),
        (1, -9.0, 0),
        (3, 9.0, 4),
    ):
        other = {"body": "occluder", "speed": 0.0, "lane": lane, "offset": offset, "gap": 40.0}
        _, chunk, _ = run({"road": {"lanes": 3}, "actors": {"ego": {"speed": 1.0}, "other": other}}, 0.1)
        rows = chunk.tables["actors"].columns
        assert rows["lane"][1] == wanted
        assert rows["d"][1] == pytest.approx((lane - 0.5) * 3.5 + offset)
