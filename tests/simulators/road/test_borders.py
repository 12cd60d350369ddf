"""Where something begins or ends to be so: speeds of rest and of contact, severities, stops, starts of manoeuvres."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, join_chunks
from mischance.api.tables import Table
from mischance.simulators.road import Road

G, INF = 9.81, math.inf


def opened(tree: dict[str, Any], *faults: Fault) -> tuple[Road, Chunk]:
    world = Road(Road.Settings.model_validate({"motion": False, **tree}))
    return world, world.start([Draw(7, 0, faults=faults)], [Streams(7, 0)])


def played(tree: dict[str, Any], until: float, *faults: Fault) -> tuple[Road, Chunk]:
    world, first = opened(tree, *faults)
    return world, join_chunks([first, world.advance(until, None)])


def commanded(world: Road, acceleration: float = 0.0, steer: float = 0.0, actor: str = "ego") -> Commands:
    values = {"actor": actor, "acceleration": acceleration, "steer": steer, "keep_path": False}
    kinds: dict[str, Any] = {"actor": object, "keep_path": bool}
    columns = {name: np.array([values[name]], kinds.get(name, float)) for name in world.commands}
    return Commands(Table(world.commands, columns, np.array([0, 1], np.int64)), np.ones(1, np.bool_))


def column(chunk: Chunk, name: str, actor: int = 0, actors: int = 1) -> np.ndarray:
    return np.asarray(chunk.tables["actors"].columns[name])[actor::actors]


# -- rest and contact --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("v", "t"), [(0.3, 0.1 / 0.3), (0.11, 0.1 / 0.11), (0.09, 0.115 / 0.09), (0.03, 0.115 / 0.03), (0.018, None)]
)
def test_a_slow_touch_is_an_impact_from_10_cm_s_on_or_once_they_overlap_by_15_mm(v: float, t: float | None):
    """Slower than 2 cm/s there is none. The overlap is looked at every 10 ms."""
    wall = {"body": "occluder", "speed": 0.0, "gap": 0.1}
    _, chunk = played({"actors": {"ego": {"speed": v}, "wall": wall}}, 8.0)
    hits = chunk.tables["contacts"].columns
    if t is None:
        assert len(hits["t"]) == 0
        return
    assert hits["t"][0] == pytest.approx(t, abs=1e-6 if v > 0.1 else 0.0101)
    assert hits["closing_speed"][0] == pytest.approx(v, rel=1e-6)


def test_a_run_in_a_window_is_at_rest_at_the_first_step_below_2_cm_s():
    """On ice bodies slow down by 5 mm/s a step, so that the steps before the last one are above it."""
    for offset in (0.0, 0.9):
        tree = {
            "friction": 0.05, "settle": 60.0, "impact": {"model": "window", "restitution": 0.0}, "motion": True,
            "actors": {"ego": {"speed": 5.0, "mass_height": 0.2},
                       "other": {"speed": 0.0, "gap": 1.0, "mass_height": 0.2, "offset": offset}},
        }  # fmt: skip
        _, chunk = played(tree, 20.0)
        assert chunk.over[0]
        assert chunk.motion is not None
        v = chunk.motion.velocity[0]
        fastest = [np.hypot(v[..., 0], v[..., 1]), np.hypot(v[..., 3], v[..., 4]), np.abs(v[..., 5])]
        most = np.max(fastest, axis=(0, 2))
        assert most[-1] < 0.02
        assert (most[-8:-1] >= 0.02).all()


def test_a_heap_in_a_window_stays_on_a_ground_whose_friction_changes():
    """The third one is hit by the second, when PyBullet already moves the first two; then the road freezes."""
    actors = {
        "ego": {"speed": 25.0}, "second": {"speed": 0.0, "gap": 6.0}, "third": {"speed": 0.0, "gap": 14.0},
        "fourth": {"speed": 0.0, "gap": 120.0},
    }  # fmt: skip
    tree = {"impact": {"model": "window"}, "settle": 9.0, "friction": 0.5, "motion": True, "actors": actors}
    world, chunk = played(tree, 2.5, Fault("fault:0", "road", "friction", 1.2, 9.0, 0.1))
    assert chunk.motion is not None
    z = chunk.motion.pose[0, :, :, 2]
    assert np.abs(z - 0.75).max() < 0.15
    hit = column(chunk, "hit", 2, 4)
    assert hit[-1]
    assert not column(chunk, "hit", 3, 4)[-1]
    assert world._windows[0].grip() == pytest.approx(0.1, rel=1e-6)
    v = np.hypot(*np.moveaxis(chunk.motion.velocity[0, :, 2, :2], -1, 0))
    assert v[125] > 1.0
    assert (v[125] - v[160]) / 0.35 == pytest.approx(0.1 * G, rel=0.4)  # the others push it on


@pytest.mark.parametrize("model", ["kinematic", "dynamic"])
def test_a_car_stops_after_v2_over_2a_on_any_heading_and_stands(model: str):
    for v, a in ((11.0, 3.7), (6.3, 2.9)):
        ego = {"speed": v, "jerk": 0.0, "model": model, "heading": 0.7, "lane": 4}
        world, first = opened({"road": {"lanes": 8}, "actors": {"ego": ego}})
        chunk = join_chunks([first, world.advance(6.0, commanded(world, -a))])
        way = v * v / (2 * a)
        end = column(chunk, "x")[-1], column(chunk, "y")[-1]
        assert end == pytest.approx((way * math.cos(0.7), 12.25 + way * math.sin(0.7)), abs=2e-6)
        t = column(chunk, "t")
        assert column(chunk, "speed") == pytest.approx(np.maximum(v - a * t, 0.0), abs=1e-9)
        for name in ("vx", "vy", "yaw_rate", "acceleration", "jerk"):
            assert column(chunk, name)[t > v / a + 0.06] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("rate", [100, 20])
@pytest.mark.parametrize(("v", "jerk"), [(0.5, 2.0), (0.3, 4.0), (1.7, 3.0), (0.037, 1.0)])
def test_a_car_that_stops_while_its_brakes_still_build_up_stops_where_the_cubic_does(v: float, jerk: float, rate: int):
    """v - j t^2 / 2 = 0 at t = sqrt(2 v / j), after v t - j t^3 / 6 = 2 v t / 3."""
    for body in ("car", "animal"):
        ego = {"body": body, "speed": v, "jerk": jerk, "brakes": 9.0, "model": "kinematic"}
        world, first = opened({"rate": rate, "friction": 1.0, "actors": {"ego": ego}})
        chunk = join_chunks([first, world.advance(3.0, commanded(world, -9.0))])
        t = math.sqrt(2.0 * v / jerk)
        assert column(chunk, "x")[-1] == pytest.approx(2.0 * v * t / 3.0, abs=1e-9)
        assert column(chunk, "speed") == pytest.approx(
            np.maximum(v - 0.5 * jerk * np.square(column(chunk, "t")), 0.0), abs=1e-9
        )


def test_brakes_that_are_released_before_a_stop_let_the_car_roll_on():
    """From 2 m/s: 0.5 m/s go in the ramp to -2 m/s2 and 0.5 m/s in the ramp back, and 2 m/s2 in between."""
    ego = {"speed": 2.0, "jerk": 4.0, "brakes": 9.0, "model": "kinematic"}
    for late, end in ((0.75, 0.5), (0.87, 0.26), (1.12, 0.0)):
        world, first = opened({"friction": 1.0, "actors": {"ego": ego}})
        chunks = [first, world.advance(late, commanded(world, -2.0)), world.advance(3.0, commanded(world, 0.0))]
        assert column(join_chunks(chunks), "speed")[-1] == pytest.approx(end, abs=1e-9)


@pytest.mark.parametrize("jerk", [0.0, 4.0])
@pytest.mark.parametrize("model", ["kinematic", "dynamic"])
def test_who_stands_stays_while_it_brakes_and_pulls_away_at_once(jerk: float, model: str):
    ego = {"speed": 0.0, "jerk": jerk, "model": model}
    world, first = opened({"actors": {"ego": ego}})
    chunks = [first, world.advance(1.0, commanded(world, -5.0)), world.advance(3.0, commanded(world, 2.0))]
    whole = join_chunks(chunks)
    t, x = column(whole, "t"), column(whole, "x")
    assert x[t <= 1.0] == pytest.approx(0.0, abs=1e-12)
    begin = 1.0 + (min(5.0, jerk * 1.0) / jerk if jerk else 0.0)  # the brakes have to be released first
    late = max(t[-1] - begin, 0.0)
    ramp = 2.0 / jerk if jerk else 0.0
    speed = 0.5 * jerk * late**2 if late < ramp else 2.0 * late - ramp
    assert column(whole, "speed")[-1] == pytest.approx(speed, abs=1e-6)


def test_who_walks_and_stops_has_no_velocity_left():
    cross = {"kind": "cross", "speed": 1.5, "acceleration": 1.0, "stop_after": 3.0, "at": 0.2}
    walks = {"body": "pedestrian", "speed": 0.0, "gap": 30.0, "behaviour": [cross]}
    _, chunk = played({"actors": {"ego": {"speed": 0.0}, "walks": walks}}, 6.0)
    assert column(chunk, "y", 1, 2)[-1] == pytest.approx(1.75 - 3.0, abs=2e-3)
    for name in ("speed", "vx", "vy", "yaw_rate"):
        assert column(chunk, name, 1, 2)[-1] == 0.0


def test_an_ego_on_foot_that_crosses_does_not_leave_its_path():
    cross = {"kind": "cross", "speed": 1.5, "at": 0.2}
    ego = {"body": "pedestrian", "speed": 0.0, "lane": 2, "behaviour": [cross]}
    world, _ = played({"actors": {"ego": ego, "car": {"speed": 0.0, "lane": 3, "gap": 40.0}}}, 5.0)
    assert "left its path" not in world.outcome()[0].columns["reason"][0]


def test_an_actor_reacts_while_it_brakes_with_1_m_s2_or_more_until_it_is_hit():
    """The last such step; a slide after a contact is no reaction, nor is steering that keeps within half a metre."""
    for size, last in ((3.0, 2.0), (1.0, 2.0), (0.99, 0.0)):
        brake = {"kind": "brake", "at": 0.5, "deceleration": size, "to": 20.0 - 1.5 * size}
        world, _ = played({"actors": {"ego": {"speed": 20.0, "jerk": 0.0, "behaviour": [brake]}}}, 3.0)
        assert float(world._batch.cars[0, 0]["t_react"]) == pytest.approx(last, abs=0.011)
    brake = {"kind": "brake", "at": 0.2, "deceleration": 3.0, "to": 19.0}
    actors = {"ego": {"speed": 20.0, "jerk": 0.0, "behaviour": [brake]}, "wall": {"speed": 0.0, "gap": 20.0}}
    world, _ = played({"friction": 0.3, "settle": 9.0, "actors": actors}, 3.0)
    assert float(world._batch.cars[0, 0]["t_react"]) == pytest.approx(0.2 + 1 / 3.0, abs=0.011)


@pytest.mark.parametrize(("steer", "until"), [(0.02, 0.5), (0.02, 0.9), (None, 2.0)])
def test_an_ego_whose_agent_steers_it_half_a_metre_off_reacts(steer: float | None, until: float):
    """20 m/s on a curvature of 0.02 / 2.7: half a metre after 0.6 s; without a steering angle it keeps its lane."""
    ego, far = {"speed": 20.0, "lane": 4, "steer_rate": 20.0}, {"speed": 0.0, "gap": 300.0, "lane": 8}
    world, _ = opened({"road": {"lanes": 8}, "actors": {"ego": ego, "far": far}})
    command = commanded(world, 0.0, steer or 0.0)
    if steer is None:
        command = Commands(Table(world.commands, {**command.table.columns, "keep_path": np.array([True])},
                                 np.array([0, 1], np.int64)), command.live)  # fmt: skip
    chunk = world.advance(until, command)
    off = abs(float(chunk.tables["actors"].columns["d"][-2]) - 12.25)
    assert (off > 0.5) == (steer is not None and until > 0.7)
    assert (float(world._batch.cars[0, 0]["t_react"]) > 0.0) == (off > 0.5)
    way = ("braking", "steering", "passing ahead", "rule", "none")[int(world.outcome()[0].columns["avoided_by"][0])]
    assert way == ("steering" if off > 0.5 else "rule")


# -- severities and the actuators --------------------------------------------------------------------------------------

SEVERITIES = [
    ("ego.brakes", "fade", "brake_left", {-0.5: 1.0, 0.0: 1.0, 0.25: 0.75, 1.0: 0.0, 1.5: 0.0}),
    ("ego.steering", "stuck", "stuck", {-1.0: 0.0, 0.0: 0.0, 0.49: 0.0, 0.5: 1.0, 2.0: 1.0}),
    ("ego.steering", "offset", "offset", {-0.1: -0.1, 0.0: 0.0, 0.2: 0.2}),
    ("ego.tyre", "blow_out", "blown", {-0.5: 0.0, 0.25: 0.25, 1.5: 1.0}),
    ("ego.actuator", "delay", "late", {-0.5: 0.1, 0.0: 0.1, 0.3: 0.4}),
    ("road", "friction", "mu", {-0.5: 1e-3, 0.0: 1e-3, 0.3: 0.3, 1.2: 1.2}),
]


@pytest.mark.parametrize(("target", "kind", "field", "values"), SEVERITIES)
def test_a_severity_beyond_what_there_is_counts_as_its_end(target: str, kind: str, field: str, values: Any):
    for severity, wanted in values.items():
        tree = {"friction": 0.7, "actors": {"ego": {"speed": 9.0, "delay": 0.1}}}
        world, _ = opened(tree, Fault("fault:0", target, kind, 0.0, INF, severity))
        world.advance(0.05, None)
        assert float(world._batch.cars[0, 0][field]) == pytest.approx(wanted, abs=1e-12), severity


@pytest.mark.parametrize(
    ("actor", "severity", "ramp", "late"),
    [("ego", 0.3, 0.0, 0.4), ("other", 0.3, 0.0, 0.1), ("ego", -0.3, 0.0, 0.1), ("ego", 0.4, 2.0, 0.2)],
)
def test_a_command_is_late_by_the_delay_at_its_own_time(actor: str, severity: float, ramp: float, late: float):
    """Given at 0.5 s; a ramp of 2 s has brought a quarter of the severity by then."""
    actors = {"ego": {"speed": 20.0, "jerk": 0.0, "delay": 0.1}, "other": {"speed": 20.0, "lane": 3}}
    tree = {"rate": 1000, "motion": True, "actors": actors}
    world, first = opened(tree, Fault("fault:0", f"{actor}.actuator", "delay", 0.0, INF, severity, ramp))
    chunks = [first, world.advance(0.5, None), world.advance(1.5, commanded(world, -4.0))]
    whole = join_chunks(chunks)
    assert whole.motion is not None
    slows = np.flatnonzero(np.diff(whole.motion.velocity[0, :, 0, 0]) < -1e-6)
    assert whole.motion.t[slows[0]] == pytest.approx(0.5 + late, abs=1.1e-3)


@pytest.mark.parametrize(("offset", "wheel"), [(0.1, 0.3), (0.5, 0.6), (-0.9, -0.6)])
def test_wheels_that_stand_off_do_not_turn_beyond_their_stop(offset: float, wheel: float):
    """0.2 rad are asked for; the car turns with the wheels' angle, the column tells that of the steering."""
    car = {"speed": 2.0, "model": "kinematic", "steer_rate": 20.0}
    world, first = opened({"actors": {"ego": car}}, Fault("fault:0", "ego.steering", "offset", 0.0, INF, offset))
    chunk = join_chunks([first, world.advance(2.0, commanded(world, 0.0, 0.2))])
    assert column(chunk, "yaw_rate")[-1] == pytest.approx(2.0 * math.tan(wheel) / 2.7, rel=1e-4)
    if abs(offset) < 0.4:
        assert column(chunk, "steer")[-1] == pytest.approx(0.2, abs=1e-3)


def test_a_driver_whose_car_slips_asks_for_four_fifths_of_the_lateral_grip():
    """In a bend too tight for its speed: curvature 0.8 mu g / v^2, and ahead of it: 0.25 s of the missing yaw rate."""
    road = {"lanes": 2, "line": [{"length": 150.0, "radius": -30.0}]}
    car = {"speed": 16.0, "jerk": 0.0, "model": "dynamic", "steer_rate": 20.0}
    tree = {"friction": 0.5, "rate": 1000, "motion": True, "road": road, "actors": {"ego": car}}
    _, chunk = played(tree, 2.5)
    assert chunk.motion is not None
    at = np.round(column(chunk, "t") * 1000).astype(int)[10:]
    pose, v = chunk.motion.pose[0, at - 1, 0], chunk.motion.velocity[0, at - 1, 0]
    yaw = 2.0 * np.arctan2(pose[:, 5], pose[:, 6])
    u = v[:, 0] * np.cos(yaw) + v[:, 1] * np.sin(yaw)
    most = 0.8 * 0.5 * G / np.square(u)
    wanted = -np.arctan(most * 2.7) + 0.25 * (-most * u - v[:, 5])
    assert column(chunk, "steer")[10:] == pytest.approx(np.clip(wanted, -0.6, 0.6), abs=2e-3)


# -- starts of manoeuvres ----------------------------------------------------------------------------------------------


def test_manoeuvres_begin_at_their_own_time_wherever_a_step_ends():
    """Conditions, delays, and what waits for another one: each at the time that the plan says, in one order."""
    brake = {"kind": "brake", "deceleration": 1.0, "to": 19.0}
    red = {"kind": "run_red_light"}
    actors = {
        "ego": {"speed": 20.0, "behaviour": [{**red, "at": 0.3337}, {**red, "when": {"station": 33.0}},
                                             {**red, "when": {"station": 20.0, "delay": 0.25}},
                                             {**red, "at": 1.2345, "when": {"station": 1.0}}]},
        "other": {"speed": 20.0, "lane": 2, "gap": 30.0, "behaviour": [
            {**brake, "when": {"after": "ego", "number": 1, "delay": 0.125}}, {**red, "when": {"after": "other"}},
            {**red, "at": 1.9, "when": {"after": "ego"}}]},
    }  # fmt: skip
    for rate in (20, 100, 1000):
        _, chunk = played({"rate": rate, "actors": actors}, 2.5)
        events = chunk.events.columns
        found = [(round(float(t), 6), who, kind) for t, who, kind in
                 zip(events["t"], events["subject"], events["kind"], strict=True)]  # fmt: skip
        assert found == [
            (0.3337, "ego", "red_light_run"), (1.2345, "ego", "red_light_run"), (1.25, "ego", "red_light_run"),
            (1.65, "ego", "red_light_run"), (1.775, "other", "brake_start"), (1.775, "other", "red_light_run"),
            (1.9, "other", "red_light_run"),
        ]  # fmt: skip


def test_a_step_may_be_cut_150_times_before_plans_are_no_longer_followed_to_the_moment():
    """150 things begin in the first 20 ms; the ego's speed is then still exactly the one that it brakes down to."""
    red = [{"kind": "run_red_light", "at": 1e-4 * (n + 1)} for n in range(150)]
    actors: dict[str, Any] = {f"walks{n}": {"body": "pedestrian", "speed": 0.0, "station": 30.0 + 3 * n, "lane": 3,
                                            "behaviour": red[12 * n : 12 * n + 12]} for n in range(13)}  # fmt: skip
    actors["ego"] = {"speed": 20.0, "jerk": 0.0, "behaviour": [{"kind": "brake", "deceleration": 6.0, "to": 19.86}]}
    _, chunk = played({"rate": 20, "actors": actors}, 0.05)
    assert len(chunk.events) == 151
    assert column(chunk, "speed", 13, 14)[-1] == pytest.approx(19.86, abs=1e-9)


def test_one_who_was_hit_begins_nothing_and_its_lane_change_does_not_end():
    change = {"kind": "change_lane", "to": 2, "at": 0.1, "takes": 2.0}
    actors = {
        "ego": {"speed": 20.0, "behaviour": [change, {"kind": "brake", "at": 1.0},
                                             {"kind": "brake", "when": {"station": 12.0}}]},
        "wall": {"body": "occluder", "speed": 0.0, "gap": 4.0, "width": 5.0},
    }  # fmt: skip
    _, chunk = played({"settle": 9.0, "friction": 0.05, "actors": actors}, 5.0)
    assert list(chunk.events.columns["kind"])[:2] == ["lane_change_start", "contact"]
    assert not {"lane_change_end", "brake_start"} & set(chunk.events.columns["kind"])


@pytest.mark.parametrize(("when", "t"), [({"distance": 12.0}, 1.8), ({"ttc": 2.0}, 1.0), ({"headway": 1.0}, 1.0)])
def test_a_condition_holds_from_its_very_value_on(when: dict[str, float], t: float):
    """The ego closes 30 m at 10 m/s behind who drives at 10 m/s; the one ahead speeds up then, in its own lane."""
    go = {"kind": "accelerate", "acceleration": 2.0, "to": 30.0, "when": when}
    lead = {"speed": 10.0, "gap": 30.0, "behaviour": [go]}
    _, chunk = played({"actors": {"ego": {"speed": 20.0}, "lead": lead}}, 2.5)
    assert chunk.events.columns["t"][0] == pytest.approx(t, abs=1.5e-7)  # a segment is not shorter than that
    _, never = played({"actors": {"ego": {"speed": 9.0}, "lead": lead}}, 2.0)
    assert len(never.events.columns["t"]) == 0


def test_what_holds_at_the_start_begins_at_the_start():
    go = {"kind": "accelerate", "acceleration": 2.0, "to": 30.0, "when": {"distance": 30.0}}
    _, chunk = played({"actors": {"ego": {"speed": 20.0}, "it": {"speed": 20.0, "gap": 30.0, "behaviour": [go]}}}, 0.5)
    assert chunk.events.columns["t"][0] == 0.0
