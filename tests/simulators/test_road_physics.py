"""Physical laws of the road world: stopping, build-up, impulse, step size, energy, tyres, batches of runs."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, join_chunks
from mischance.api.tables import Table
from mischance.errors import RunError
from mischance.simulators.road import Road, boxes
from mischance.simulators.road.bullet import RigidBox, collide
from mischance.simulators.road.impact import planar_impulse

INF = math.inf
G = 9.81


def drive(
    tree: dict[str, Any], until: float = 6.0, cuts: Sequence[float] = (), faults: Sequence[Fault] = ()
) -> tuple[Road, Chunk]:
    """Play one run; return the world and its joined chunks after t = 0."""
    world = Road(Road.Settings.model_validate(tree))
    chunks = [world.start([Draw(7, 0, faults=tuple(faults))], [Streams(7, 0)])]
    for cut in (*cuts, until):
        if not chunks[-1].over[0]:
            chunks.append(world.advance(cut, None))
    return world, join_chunks(chunks[1:])


def outcome(world: Road, run: int = 0) -> dict[str, Any]:
    return {name: values[run] for name, values in world.outcome()[0].columns.items()}


def rows(table: Table, run: int = 0) -> list[dict[str, Any]]:
    columns = table.run(run)
    return [{name: values[i] for name, values in columns.items()} for i in range(len(columns["t"]))]


def brake(at: float = 0.0, deceleration: float = 15.0, **more: Any) -> dict[str, Any]:
    return {"kind": "brake", "at": at, "deceleration": deceleration, **more}


# -- stage 1: until contact --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("friction", [0.1, 0.4, 0.8])
def test_stopping_distance(friction: float):
    """v**2 / (2 mu g), with actuator lag off."""
    ego = {"speed": 20.0, "jerk": 0.0, "brakes": 15.0, "behaviour": [brake(0.013)]}
    _, chunk = drive({"actors": {"ego": ego}, "friction": friction, "rate": 20}, until=30.0)
    assert chunk.motion is not None
    exact = 20.0 * 0.013 + 20.0**2 / (2 * friction * G)
    assert abs(chunk.motion.pose[0, -1, 0, 0] - exact) < 1e-6 * exact


@pytest.mark.parametrize("rate", [20, 100, 1000])
@pytest.mark.parametrize("closing", [5.0, 10.0, 15.0, 20.0])
def test_the_smallest_gap_that_braking_can_keep(rate: int, closing: float):
    """Delay 0.75 s, build-up 12.65 m/s3 to 0.774 g, behind a lead at constant speed: the closed form."""
    full, jerk, delay = 0.774 * G, 12.65, 0.75
    t_j = full / jerk
    gap = closing * (delay + t_j) - jerk * t_j**3 / 6 + (closing - jerk * t_j**2 / 2) ** 2 / (2 * full)
    lead_speed = 10.0
    ego = {
        "speed": lead_speed + closing, "jerk": jerk, "delay": delay, "brakes": 15.0,
        "behaviour": [brake(0.0, full)],
    }  # fmt: skip
    for more, hit in ((-1e-3, True), (1e-3, False)):  # 1 mm less and they touch at 0.12 m/s, 1 mm more and they do not
        lead = {"speed": lead_speed, "gap": gap + more}
        world, _ = drive({"actors": {"ego": ego, "lead": lead}, "friction": 1.5, "rate": rate}, until=6.0)
        assert bool(outcome(world)["event"]) is hit


def test_a_dead_time_is_a_dead_time():
    ego = {"speed": 20.0, "jerk": 0.0, "behaviour": [brake(0.0, 5.0)]}
    fault = Fault("fault:0", "ego.actuator", "delay", 0.0, INF, 0.4)
    for tree, faults in (({**ego, "delay": 0.4}, ()), (ego, (fault,))):
        _, chunk = drive({"actors": {"ego": tree}}, until=2.0, faults=faults)
        assert chunk.motion is not None
        assert chunk.motion.velocity[0, -1, 0, 0] == pytest.approx(20.0 - 5.0 * 1.6, abs=1e-9)


def test_a_circle_is_a_circle():
    """With the wheels held, the kinematic single-track turns on wheelbase / tan(angle) of its rear axle."""
    world = Road(Road.Settings.model_validate({"actors": {"ego": {"speed": 8.0, "model": "kinematic"}}}))
    world.start([Draw(7, 0)], [Streams(7, 0)])
    order = {"actor": ["ego"], "acceleration": [0.0], "steer": [0.1]}
    chunk = world.advance(20.0, Commands(Table.of(Road.commands, [order]), np.array([True])))
    assert chunk.motion is not None
    pose = chunk.motion.pose[0, 1000:, 0]
    yaw = 2 * np.arctan2(pose[:, 5], pose[:, 6])
    rear = pose[:, :2] - 1.35 * np.stack([np.cos(yaw), np.sin(yaw)], -1)
    radius = 2.7 / math.tan(0.1)
    centre = rear + radius * np.stack([-np.sin(yaw), np.cos(yaw)], -1)
    assert np.ptp(centre, axis=0).max() < 1e-6


def test_curved_roads_are_followed_and_lanes_counted_along_them():
    line = [{"length": 40.0}, {"length": 150.0, "radius": 120.0}, {"length": 50.0, "radius": -80.0}]
    tree = {"road": {"line": line}, "actors": {"ego": {"speed": 15.0, "lane": 2, "model": "kinematic"}}}
    _, chunk = drive(tree, until=20.0)
    table = chunk.tables["actors"].run(0)
    assert (table["lane"] == 2).all()
    assert np.abs(table["d"] - 1.5 * 3.5).max() < 0.1
    turned = 150 / 120 - 50 / 80
    assert table["yaw"][-1] == pytest.approx(turned, abs=1e-3)


def test_friction_belongs_to_a_place():
    """Half of a stop on dry road, half on ice: the distance is the sum of two closed forms."""
    patch = {"start": 10.0, "end": 500.0, "friction": 0.1}
    ego = {"speed": 20.0, "jerk": 0.0, "brakes": 15.0, "behaviour": [brake()]}
    _, chunk = drive({"road": {"patches": [patch]}, "actors": {"ego": ego}, "friction": 0.8}, until=40.0)
    assert chunk.motion is not None
    left = 400.0 - 2 * 0.8 * G * 10.0
    assert chunk.motion.pose[0, -1, 0, 0] == pytest.approx(10.0 + left / (2 * 0.1 * G), rel=1e-4)


def test_dynamic_single_track_keeps_to_the_friction_circle_and_spins_no_energy_up():
    changes = [{"kind": "change_lane", "at": 0.5, "to": 1, "takes": 1.0}, brake(1.2, 6.0)]
    actors = {"ego": {"speed": 30.0, "lane": 3, "model": "dynamic", "behaviour": changes}}
    for friction in (0.8, 0.3, 0.1):
        _, chunk = drive({"actors": actors, "friction": friction}, until=8.0)
        assert chunk.motion is not None
        velocity = chunk.motion.velocity[0, :, 0]
        felt = np.linalg.norm(np.diff(velocity[:, :2], axis=0) * 100, axis=1)
        assert felt.max() < friction * G * 1.02
        energy = 0.5 * 1500 * (velocity[:, :2] ** 2).sum(1) + 0.5 * 2935 * velocity[:, 5] ** 2
        braking = chunk.motion.t[1:] > 1.4
        assert np.diff(energy)[braking].max() < 1e-3 * energy[0]


def test_dynamic_single_track_agrees_with_commonroad_where_tyres_are_linear():
    """Random manoeuvres below 0.3 g: yaw rate, slip and place within 1 % of their largest values."""
    models = pytest.importorskip("vehiclemodels.vehicle_dynamics_st")
    from vehiclemodels.parameters_vehicle2 import parameters_vehicle2

    p = parameters_vehicle2()
    base = p.a + p.b
    ego = {
        "model": "dynamic", "mass": p.m, "inertia": p.I_z, "wheelbase": base, "balance": p.a / base,
        "mass_height": p.h_s, "length": p.l, "width": p.w, "cornering": -p.tire.p_ky1 / p.tire.p_dy1, "jerk": 0.0,
        "steer_rate": 20.0,
    }  # fmt: skip
    rng = np.random.default_rng(2)
    for _ in range(12):
        speed = float(rng.uniform(12, 30))
        most = 0.2 * G * base / speed**2  # a step overshoots: a fifth of g stays below 0.3
        angles, pedals = rng.uniform(-most, most, 8), rng.uniform(-1.0, 1.0, 8)
        tree = {"actors": {"ego": {**ego, "speed": speed}}, "friction": p.tire.p_dy1, "rate": 500}
        world = Road(Road.Settings.model_validate(tree))
        chunks = [world.start([Draw(7, 0)], [Streams(7, 0)])]
        for k in range(80):
            order = {"actor": ["ego"], "acceleration": [pedals[k // 10]], "steer": [angles[k // 10]]}
            commands = Commands(Table.of(Road.commands, [order]), np.array([True]))
            chunks.append(world.advance((k + 1) / 20, commands))
        motion = join_chunks(chunks[1:]).motion
        assert motion is not None
        theirs = _commonroad(models.vehicle_dynamics_st, p, speed, angles, pedals)
        yaw = 2 * np.arctan2(motion.pose[0, :, 0, 5], motion.pose[0, :, 0, 6])
        vx, vy = motion.velocity[0, :, 0, 0], motion.velocity[0, :, 0, 1]
        ours = {
            "rate": motion.velocity[0, :, 0, 5],
            "slip": np.arctan2(vy, vx) - yaw,
            "yaw": yaw,
            "x": motion.pose[0, :, 0, 0],
            "y": motion.pose[0, :, 0, 1] - motion.pose[0, 0, 0, 1],
        }
        for name, column in {"rate": 5, "slip": 6, "yaw": 4, "x": 0, "y": 1}.items():
            assert np.abs(ours[name] - theirs[:, column]).max() < 0.01 * np.abs(theirs[:, column]).max(), name


def _commonroad(rhs: Any, p: Any, speed: float, angles: Any, pedals: Any) -> Any:
    """Integrate CommonRoad's single-track at 1000 Hz with a steering lag of 0.1 s; a row each 2 ms."""
    state = np.array([0.0, 0.0, 0.0, speed, 0.0, 0.0, 0.0])
    found = [state.copy()]

    def rates(x: Any, k: int) -> Any:
        steering = (angles[k] - x[2]) / 0.1
        p.steering.v_min, p.steering.v_max = -20.0, 20.0
        return np.array(rhs(list(x), [steering, pedals[k]], p))

    h = 0.001
    for n in range(4000):
        k = n // 500
        k1 = rates(state, k)
        k2 = rates(state + 0.5 * h * k1, k)
        k3 = rates(state + 0.5 * h * k2, k)
        k4 = rates(state + h * k3, k)
        state = state + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        if n % 2:
            found.append(state.copy())
    return np.array(found)


def test_above_the_linear_range_tyres_give_less_and_never_more_than_the_grip():
    """The same steering: beyond half of the grip the car turns wider than linear tyres would, below it does not."""
    turned = {}
    for friction in (0.9, 0.35, 0.2):
        tree = {"actors": {"ego": {"speed": 20.0, "model": "dynamic"}}, "friction": friction}
        world = Road(Road.Settings.model_validate(tree))
        world.start([Draw(7, 0)], [Streams(7, 0)])
        order = {"actor": ["ego"], "acceleration": [0.0], "steer": [0.02]}
        chunk = world.advance(3.0, Commands(Table.of(Road.commands, [order]), np.array([True])))
        assert chunk.motion is not None
        sideways = np.diff(chunk.motion.velocity[0, :, 0, :2], axis=0) * 100
        turned[friction] = float(np.linalg.norm(sideways, axis=1).max())
    linear = 20.0**2 * math.tan(0.02) / 2.7  # a balanced car with linear tyres does not understeer
    assert turned[0.9] == pytest.approx(linear, rel=0.05)  # it overshoots a little before it settles
    assert turned[0.35] < linear
    assert turned[0.35] < 0.35 * G * 1.001
    assert turned[0.2] < 0.2 * G * 1.001


# -- stage 2: contact --------------------------------------------------------------------------------------------------


def test_contact_time_does_not_depend_on_the_step():
    """A braked cut-in with an agent's commands at 20 Hz: the same moment from 20, 100 and 1000 steps a second."""
    for gap, model in ((9.0, "auto"), (6.0, "kinematic"), (12.0, "dynamic")):
        times = []
        for rate in (20, 100, 1000):
            change = {"kind": "change_lane", "at": 0.43, "to": 1, "takes": 2.0}
            intruder = {"speed": 18.0, "lane": 2, "gap": gap, "model": model, "behaviour": [change, brake(2.5, 6.0)]}
            tree = {"actors": {"ego": {"speed": 27.0}, "intruder": intruder}, "rate": rate}
            world = Road(Road.Settings.model_validate(tree))
            chunk = world.start([Draw(7, 0)], [Streams(7, 0)])
            for k in range(1, 121):
                wanted = -3.0 if k > 24 else 0.3 * math.sin(k)
                order = {"actor": ["ego"], "acceleration": [wanted], "steer": [0.004 * math.sin(0.3 * k)]}
                chunk = world.advance(k / 20, Commands(Table.of(Road.commands, [order]), ~chunk.over))
            times.append(outcome(world)["contact_time"])
        assert max(times) - min(times) < 1e-3, (gap, model, times)


def test_conditions_are_met_at_their_own_moment():
    """Whatever the step: a child runs when the ego is 20 m away, a lead brakes at a TTC of 2 s."""
    for rate in (20, 100):
        child = {"body": "child", "speed": 0.0, "gap": 45.0, "offset": -4.0, "behaviour": [
            {"kind": "dart_out", "when": {"station": -1.0}, "at": 50.0}]}  # fmt: skip
        lead = {"speed": 10.0, "gap": 50.0, "behaviour": [brake(when={"ttc": 2.0})]}
        tree = {"actors": {"ego": {"speed": 20.0}, "lead": lead, "child": child}, "rate": rate}
        _, chunk = drive(tree, until=6.0)
        start = next(event for event in rows(chunk.events) if event["kind"] == "brake_start")
        assert start["t"] == pytest.approx(3.0, abs=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("side", [-4.0, 6.0])
def test_who_crosses_arrives_with_the_ego(share: float, side: float):
    """The impact point is that share of the ego's width, counted from the side they come from."""
    walk = {"kind": "cross", "speed": 5 / 3.6, "acceleration": 1.0, "when": {"arrive": share}}
    person = {"body": "pedestrian", "speed": 0.0, "gap": 60.0, "offset": side, "behaviour": [walk]}
    world, chunk = drive({"actors": {"ego": {"speed": 10.0}, "person": person}}, until=8.0)
    got = outcome(world)
    assert got["event"]
    hit = rows(chunk.tables["contacts"])[0]
    where = np.interp(hit["t"], *_lateral(chunk, "person"))
    from_side = 0.5 + (where - 1.75) / 1.8 if side < 0 else 0.5 - (where - 1.75) / 1.8
    assert from_side == pytest.approx(share, abs=0.01)


def _lateral(chunk: Chunk, name: str) -> tuple[Any, Any]:
    assert chunk.motion is not None
    before = chunk.motion.t <= chunk.tables["contacts"].columns["t"][0]
    i = chunk.motion.bodies.index(name)
    t, y = chunk.motion.t[before], chunk.motion.pose[0, before, i, 1]
    rate = chunk.motion.velocity[0, before, i, 1][-1]
    return np.append(t, t[-1] + 0.01), np.append(y, y[-1] + 0.01 * rate)


def story(tree: dict[str, Any], until: float = 8.0) -> tuple[dict[str, Any], list[dict[str, Any]], Chunk]:
    world, chunk = drive(tree, until=until)
    return outcome(world), rows(chunk.events), chunk


def test_who_runs_a_red_light_is_to_blame():
    runner = {"speed": 12.0, "road": "side", "lane": 1, "station": -45.0,
              "behaviour": [{"kind": "run_red_light", "when": {"station": -8.0}}]}  # fmt: skip
    tree = {
        "road": {"crossings": {"side": {"at": 60.0}}},
        "actors": {"ego": {"speed": 15.0, "lane": 2}, "runner": runner},
    }
    got, events, chunk = story(tree)
    assert events[0]["t"] == pytest.approx(37.0 / 12.0, abs=1e-9)
    assert [event["kind"] for event in events[:2]] == ["red_light_run", "contact"]
    assert events[1]["parent_id"] == events[0]["event_id"]
    assert got["reason"].startswith("collision: runner ran a red light at 3.08 s")
    table = chunk.tables["actors"].run(0)
    assert table["yaw"][table["actor"] == 1][0] == pytest.approx(math.pi / 2)


def test_a_left_turn_crosses_the_path_of_oncoming_traffic():
    turn = {"kind": "turn", "angle": math.pi / 2, "radius": 8.0, "when": {"ttc": 1.9}}
    turner = {"speed": 6.0, "lane": 2, "oncoming": True, "station": 70.0, "behaviour": [turn]}
    tree = {"road": {"lanes": 2}, "actors": {"ego": {"speed": 15.0, "lane": 1}, "turner": turner}}
    _, events, chunk = story(tree)
    gap = 70.0 - 4.5
    assert events[0]["t"] == pytest.approx(gap / 21.0 - 1.9, abs=1e-9)
    table = chunk.tables["actors"].run(0)
    mine = table["actor"] == 1
    assert abs(math.remainder(table["yaw"][mine][-1] - 1.5 * math.pi, 2 * math.pi)) < 0.05
    assert table["y"][mine][-1] < 0.0


def test_one_manoeuvre_sets_off_another_and_who_crosses_may_stop():
    lead = {"speed": 20.0, "gap": 60.0, "behaviour": [brake(1.013, 7.0)]}
    ego = {"speed": 20.0, "behaviour": [brake(0.0, 5.0, when={"after": "lead", "delay": 0.4321})]}
    person = {"body": "pedestrian", "speed": 0.0, "gap": 150.0, "offset": -3.0, "behaviour": [
        {"kind": "cross", "stop_after": 2.0}]}  # fmt: skip
    _, events, chunk = story({"actors": {"ego": ego, "lead": lead, "person": person}})
    starts = {event["subject"]: event["t"] for event in events if event["kind"] == "brake_start"}
    assert starts["lead"] == pytest.approx(1.013, abs=1e-12)
    assert starts["ego"] == pytest.approx(1.013 + 0.4321, abs=1e-12)
    table = chunk.tables["actors"].run(0)
    assert table["d"][table["actor"] == 2][-1] == pytest.approx(1.75 - 3.0 + 2.0, abs=1e-6)


def test_following_keeps_the_gap_that_it_is_asked_for():
    """The equilibrium of the intelligent driver model: (gap + v T) / sqrt(1 - (v / v0)**4)."""
    follow = {"kind": "follow", "headway": 1.5, "gap": 2.0}
    actors = {"ego": {"speed": 25.0, "behaviour": [follow]}, "lead": {"speed": 15.0, "gap": 50.0}}
    _, chunk = drive({"actors": actors}, until=80.0)
    table = chunk.tables["actors"].run(0)
    want = (2.0 + 15.0 * 1.5) / math.sqrt(1 - (15.0 / 25.0) ** 4)
    assert table["gap"][-1] == pytest.approx(want, rel=0.01)


@pytest.mark.parametrize("body", ["van", "truck", "bus", "motorcycle", "cyclist", "pedestrian", "child", "debris"])
def test_every_kind_of_actor_is_hit_where_algebra_says(body: str):
    speed = 0.0 if body == "debris" else 2.0
    tree = {"actors": {"ego": {"speed": 20.0}, "other": {"body": body, "speed": speed, "gap": 30.0}}}
    got, _, chunk = story(tree)
    assert got["contact_time"] == pytest.approx(30.0 / (20.0 - speed), abs=1e-9)
    assert rows(chunk.tables["contacts"])[0]["delta_v_a_x"] < 0
    assert chunk.tables["actors"].schema["category"].names[chunk.tables["actors"].run(0)["category"][1]] == body


# -- stage 3: impact ---------------------------------------------------------------------------------------------------


def analytic(
    a: Sequence[float], b: Sequence[float], masses: tuple[float, float], restitution: float, friction: float,
    size: tuple[float, float] = (4.3, 1.9),
) -> dict[str, Any]:  # fmt: skip
    """Return the analytic impulse of two touching boxes (x, y, yaw, vx, vy, rate)."""
    half = 0.5 * size[0], 0.5 * size[1]
    box_a, box_b = (*a[:3], *half), (*b[:3], *half)
    _, nx, ny = boxes.separation(*box_a, *box_b)
    px, py = boxes.touching_point(*box_a, *box_b, nx, ny)
    ra, rb = (px - a[0], py - a[1]), (px - b[0], py - b[1])
    u = (b[3] - b[5] * rb[1]) - (a[3] - a[5] * ra[1]), (b[4] + b[5] * rb[0]) - (a[4] + a[5] * ra[0])
    inertia = [m * (size[0] ** 2 + size[1] ** 2) / 12 for m in masses]
    jx, jy = planar_impulse(
        nx, ny, *u, *ra, *rb, 1 / masses[0], 1 / inertia[0], 1 / masses[1], 1 / inertia[1], restitution, friction
    )
    va = np.array([a[3] - jx / masses[0], a[4] - jy / masses[0], a[5] - (ra[0] * jy - ra[1] * jx) / inertia[0]])
    vb = np.array([b[3] + jx / masses[1], b[4] + jy / masses[1], b[5] + (rb[0] * jy - rb[1] * jx) / inertia[1]])
    return {"j": np.array([jx, jy]), "a": va, "b": vb, "inertia": inertia, "n": (nx, ny), "u": u}


@pytest.mark.parametrize(
    ("a", "b", "friction", "normal", "tangential", "rates"),
    [
        ((0, 0, 0, 30, 0), (4.3, 1.33, 0, 15, -1.5), 0.0, 9978.9, 0.0, (2.402, 2.402)),
        ((0, 0, 0, 30, 0), (4.3, 1.33, 0, 15, -1.5), 0.25, 11815.5, 2933.9, (0.5609, 0.5609)),
        ((0, 0, 0, 15, 0), (4.49226, 0.49706, 0.5, 0, 0), 0.0, 11956.8, 0.0, (1.2985, 0.8529)),
        ((0, 0, 0, 15, 0), (4.49226, 0.49706, 0.5, 0, 0), 0.25, 12241.9, 982.2, (0.5650, 0.0405)),
    ],
)
def test_worked_impacts(a, b, friction, normal, tangential, rates):
    done = analytic((*a, 0), (*b, 0), (1500.0, 1500.0), 0.1, friction)
    assert done["j"][0] == pytest.approx(normal, abs=0.1)
    assert abs(done["j"][1]) == pytest.approx(tangential, abs=0.1)
    assert (done["a"][2], done["b"][2]) == pytest.approx(rates, abs=2e-4)


@pytest.mark.parametrize(
    ("masses", "restitution", "impulse", "delta_v", "lost"),
    [
        ((1500.0, 1500.0), 0.0, 11250.0, (7.5, 7.5), 84375.0),
        ((1500.0, 1500.0), 0.1, 12375.0, (8.25, 8.25), 83531.25),
        ((1500.0, 7500.0), 0.1, 20625.0, (13.75, 2.75), 139218.75),
    ],
)
@pytest.mark.parametrize("model", ["analytic", "bullet"])
def test_central_impacts_in_the_world(masses, restitution, impulse, delta_v, lost, model):
    actors = {
        "ego": {"speed": 15.0, "mass": masses[0]},
        "other": {"speed": 0.0, "mass": masses[1], "gap": 5.0},
    }
    tree = {"actors": actors, "impact": {"restitution": restitution, "model": model}, "rate": 20}
    world, chunk = drive(tree, until=2.0)
    hit = rows(chunk.tables["contacts"])[0]
    exact = 1e-9 if model == "analytic" else 0.002
    assert hit["impulse"] == pytest.approx(impulse, rel=exact)
    assert (hit["delta_v_a"], hit["delta_v_b"]) == pytest.approx(delta_v, rel=exact)
    assert hit["energy_lost"] == pytest.approx(lost, rel=2 * exact)
    bounced = (0 + hit["delta_v_b_x"]) - (15 + hit["delta_v_a_x"])
    assert bounced / 15.0 == pytest.approx(restitution, abs=0.002)
    assert hit["pdof_a"] == pytest.approx(0.0, abs=1e-4)
    assert abs(hit["pdof_b"]) == pytest.approx(math.pi, abs=1e-4)
    assert outcome(world)["impact_side"] == 0


def oblique(rng: np.random.Generator) -> tuple[list[float], list[float]]:
    """Return two boxes that touch and close in, at any angle."""
    while True:
        a = [0.0, 0.0, rng.uniform(-math.pi, math.pi)]
        b = [rng.uniform(-4, 4), rng.uniform(-4, 4), rng.uniform(-math.pi, math.pi)]
        far = 12.0 / math.hypot(*b[:2])
        b[:2] = [b[0] * far, b[1] * far]
        speed = rng.uniform(5, 30)
        aim = math.atan2(b[1], b[0]) + rng.uniform(-0.15, 0.15)
        va = [speed * math.cos(aim), speed * math.sin(aim)]
        low, high = 0.0, 20.0 / speed
        for tau in np.linspace(0, high, 400):
            if boxes.separation(*a, 2.15, 0.95, b[0] - va[0] * tau, b[1] - va[1] * tau, b[2], 2.15, 0.95)[0] <= 0:
                high = float(tau)
                break
            low = float(tau)
        else:
            continue
        for _ in range(60):
            middle = 0.5 * (low + high)
            apart = boxes.separation(*a, 2.15, 0.95, b[0] - va[0] * middle, b[1] - va[1] * middle, b[2], 2.15, 0.95)[0]
            low, high = (middle, high) if apart > 0 else (low, middle)
        return [*a, *va, 0.0], [b[0] - va[0] * high, b[1] - va[1] * high, b[2], 0.0, 0.0, 0.0]


def test_formula_and_engine_agree_on_oblique_impacts():
    """200 random oblique impacts over the first phase of contact: 2 % on 95 %, median 0.3 %."""
    rng = np.random.default_rng(11)
    errors = []
    for _ in range(200):
        a, b = oblique(rng)
        ours = analytic(a, b, (1500.0, 1500.0), 0.1, 0.5)
        pair = [RigidBox((4.3, 1.9, 1.5), 1500.0, (v[0], v[1], 0.75), v[2], (v[3], v[4], 0.0), v[5]) for v in (a, b)]
        theirs = np.array(collide(*pair, 0.1, 0.5).impulse[:2])
        errors.append(float(np.linalg.norm(ours["j"] - theirs) / np.linalg.norm(ours["j"])))
    assert np.median(errors) < 0.003
    assert np.mean(np.array(errors) < 0.02) >= 0.95


def test_momentum_is_kept_and_energy_never_grows_in_an_impact():
    rng = np.random.default_rng(5)
    for _ in range(2000):
        a, b = oblique_fast(rng)
        masses = (float(rng.uniform(50, 12000)), float(rng.uniform(50, 12000)))
        e, mu = float(rng.uniform(0, 1)), float(rng.uniform(0, 1.5))
        done = analytic(a, b, masses, e, mu)
        before = masses[0] * np.array(a[3:5]) + masses[1] * np.array(b[3:5])
        after = masses[0] * done["a"][:2] + masses[1] * done["b"][:2]
        scale = max(np.abs(before).max(), masses[0], masses[1])
        assert np.abs(after - before).max() < 1e-9 * scale

        def energy(va: Any, vb: Any, masses: Any = masses, done: Any = done) -> float:
            return 0.5 * sum(
                m * (v[0] ** 2 + v[1] ** 2) + i * v[2] ** 2
                for m, i, v in zip(masses, done["inertia"], (va, vb), strict=True)
            )

        assert energy(done["a"], done["b"]) <= energy(a[3:], b[3:]) * (1 + 1e-12)


def oblique_fast(rng: np.random.Generator) -> tuple[list[float], list[float]]:
    """Return two boxes near each other with any velocities; they need not touch exactly."""
    angle = rng.uniform(-math.pi, math.pi)
    a = [0.0, 0.0, rng.uniform(-3, 3), *rng.uniform(-30, 30, 2), rng.uniform(-5, 5)]
    b = [3.5 * math.cos(angle), 3.5 * math.sin(angle), rng.uniform(-3, 3), *rng.uniform(-30, 30, 2), rng.uniform(-5, 5)]
    return a, b


def test_restitution_follows_its_table():
    for speed, wanted in ((1.0, 0.4), (6.0, 0.25), (20.0, 0.1)):
        table = [[2.0, 0.4], [10.0, 0.1]]
        actors = {"ego": {"speed": speed}, "other": {"speed": 0.0, "gap": 1.0}}
        _, chunk = drive({"actors": actors, "impact": {"restitution": table}, "friction": 0.01}, until=2.0)
        hit = rows(chunk.tables["contacts"])[0]
        assert (hit["delta_v_b_x"] - speed - hit["delta_v_a_x"]) / speed == pytest.approx(wanted, abs=0.002)


# -- stage 4: afterwards -----------------------------------------------------------------------------------------------


def test_a_pile_up_loses_energy_and_keeps_momentum():
    stop = {"kind": "brake", "at": 0.2, "deceleration": 8.0}
    actors: dict[str, Any] = {"ego": {"speed": 25.0, "lane": 2}}
    for i in range(5):
        actors[f"car{i}"] = {"speed": 25.0, "lane": 2, "gap": 5.0 + 12.0 * i, "behaviour": [stop] if i == 4 else []}
    world, chunk = drive({"actors": actors, "settle": 15.0, "rate": 100}, until=20.0)
    hits = rows(chunk.tables["contacts"])
    assert len({(hit["a"], hit["b"]) for hit in hits}) >= 5
    assert all(hit["energy_lost"] >= -1e-6 for hit in hits)
    for hit in hits:
        assert hit["delta_v_a_x"] == pytest.approx(-hit["delta_v_b_x"], abs=1e-9)
    assert chunk.over[0]
    assert outcome(world)["event"]


def test_what_is_fixed_stays():
    actors = {"ego": {"speed": 15.0}, "wall": {"body": "occluder", "speed": 0.0, "gap": 5.0}}
    _, chunk = drive({"actors": actors, "settle": 10.0}, until=10.0)
    assert chunk.motion is not None
    assert np.ptp(chunk.motion.pose[0, :, 1], axis=0).max() == 0.0
    hit = rows(chunk.tables["contacts"])[0]
    assert hit["delta_v_a"] == pytest.approx(1.1 * 15.0, rel=1e-9)
    assert hit["impulse"] == pytest.approx(1500 * 1.1 * 15.0, rel=1e-9)


# -- faults ------------------------------------------------------------------------------------------------------------


def test_faults_of_the_plant_do_what_they_say():
    straight = {"actors": {"ego": {"speed": 25.0, "lane": 2}}}

    def end(fault: Fault, tree: dict[str, Any] = straight) -> Any:
        _, chunk = drive(tree, until=3.0, faults=[fault])
        table = chunk.tables["actors"].run(0)
        return {name: values[-1] for name, values in table.items()}

    off = end(Fault("fault:0", "ego.steering", "offset", 0.5, INF, 0.01))
    assert 5.25 < off["d"] < 9.0  # pulled to the left, and the driver answers
    change = {"kind": "change_lane", "at": 0.5, "to": 1, "takes": 2.0}
    turning = {"actors": {"ego": {"speed": 25.0, "lane": 2, "behaviour": [change]}}}
    stuck = end(Fault("fault:0", "ego.steering", "stuck", 0.9, INF, 1.0), turning)
    assert stuck["d"] < 0.0
    blown = end(Fault("fault:0", "ego.tyre", "blow_out", 0.5, INF, 1.0))
    assert blown["speed"] < 25.0 - 0.5
    assert blown["d"] > 5.25


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_commands_that_cannot_be_are_refused_with_run_actor_and_time():
    world = Road(Road.Settings.model_validate({"actors": {"ego": {"speed": 20.0}}}))
    world.start([Draw(7, 41), Draw(7, 42)], [Streams(7, 41), Streams(7, 42)])
    world.advance(0.5, None)
    fine = {"actor": ["ego"], "acceleration": [0.0], "steer": [0.0]}
    for change, words in (
        ({"acceleration": [math.nan]}, "run 42: a command at t = 0.5 s for ego that is not a number"),
        ({"actor": ["me"]}, "run 42: a command at t = 0.5 s for 'me', which is missing"),
    ):
        table = Table.of(Road.commands, [fine, {**fine, **change}])
        with pytest.raises(RunError, match=words):
            world.advance(1.0, Commands(table, np.array([True, True])))
    tree = {"actors": {"ego": {"speed": 20.0}, "other": {"speed": 0.0, "gap": 1.0, "station": 3.0}}}
    with pytest.raises(RunError, match="run 9: ego and other overlap at the start"):
        Road(Road.Settings.model_validate(tree)).start([Draw(7, 9)], [Streams(7, 9)])


@pytest.mark.parametrize(
    ("actor", "words"),
    [
        ({"behaviour": [{"kind": "brake", "when": {"ttc": 2.0, "distance": 3.0}}]}, "exactly one of"),
        ({"behaviour": [{"kind": "brake", "when": {"after": "nobody"}}]}, "waits for 'nobody', which is missing"),
        ({"behaviour": [{"kind": "cross"}]}, "cannot cross: use `turn`"),
        ({"road": "side"}, "a road 'side' that is not there"),
        ({"body": "occluder"}, "cannot move"),
        ({"behaviour": [{"kind": "brake", "when": {"arrive": 0.5}}]}, "`arrive` goes with `cross`"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_words(actor: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        Road.Settings.model_validate({"actors": {"ego": {"speed": 1.0}, "other": {"speed": 1.0, **actor}}})


# -- columns of runs ---------------------------------------------------------------------------------------------------


def many(n: int) -> tuple[list[Draw], dict[str, Any]]:
    """Return different runs: cut-ins, crashes, faults, a person."""
    draws = []
    for i in range(n):
        rng = np.random.default_rng(i)
        person = {"body": "pedestrian", "speed": 0.0, "gap": 80.0, "offset": -5.0, "behaviour": [
            {"kind": "cross", "when": {"distance": float(rng.uniform(10, 40))}}]}  # fmt: skip
        change = {"kind": "change_lane", "at": float(rng.uniform(0, 2)), "to": 1, "takes": 2.0}
        speed, gap = float(rng.uniform(12, 22)), float(rng.uniform(2, 30))
        intruder = {"speed": speed, "lane": 2, "gap": gap, "behaviour": [change]}
        tree = {
            "actors": {"ego": {"speed": float(rng.uniform(15, 30))}, "intruder": intruder, "person": person},
            "friction": float(rng.choice([0.1, 0.4, 0.8])),
        }
        faults = (Fault("fault:0", "ego.tyre", "blow_out", 1.0, INF, 1.0),) if i % 3 == 0 else ()
        draws.append(Draw(7, i, faults=faults, settings=Road.Settings.model_validate(tree)))
    return draws, tree


def content(world: Road, chunks: Sequence[Chunk], run: int) -> bytes:
    """Return every byte of one run."""
    joined = join_chunks(chunks[1:]) if len(chunks) > 2 else chunks[1]
    parts = []
    for table in (joined.events, *(joined.tables[name] for name in sorted(joined.tables)), *world.outcome()):
        for name, values in table.run(run).items():
            parts.append(f"{name}{values.tolist()!r}".encode())
    assert joined.motion is not None
    kept = joined.motion.t <= joined.ends[run]
    parts += [joined.motion.pose[run, kept].tobytes(), joined.motion.velocity[run, kept].tobytes()]
    return b"".join(parts)


@pytest.mark.parametrize("cuts", [(), (0.3337, 1.0, 1.003, 1.2345, 4.71828)])
def test_a_run_is_the_same_alone_and_among_others(cuts: tuple[float, ...]):
    draws, tree = many(12)
    world = Road(Road.Settings.model_validate(tree))

    def play(batch: Sequence[Draw], cuts: Sequence[float]) -> list[bytes]:
        chunks = [world.start(batch, [Streams(7, draw.run) for draw in batch])]
        for cut in (*cuts, 8.0):
            chunks.append(world.advance(cut, None))
        return [content(world, chunks, i) for i in range(len(batch))]

    alone = [play([draw], ())[0] for draw in draws]
    assert play(draws, cuts) == alone
    assert play(draws[::-1], cuts) == alone[::-1]


@pytest.mark.parametrize("pieces", [0, pytest.param(160, marks=pytest.mark.slow)])
def test_no_kernel_reads_or_writes_out_of_bounds(pieces, tmp_path):
    """Runs that end at different times, in short pieces, with motion: every index is checked by the compiler.

    That compiles all kernels anew; without pieces, those alone that begin a run.
    """
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.simulators import test_road_physics as t
draws, tree = t.many(24)
world = t.Road(t.Road.Settings.model_validate(tree))
world.start(draws, [None] * len(draws))
for k in range(1, {pieces} + 1):
    world.advance(k / 20, None)
print("fine")
"""
    env = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "MISCHANCE_KERNELS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.stdout.strip() == "fine", done.stderr[-2000:]


# -- directions, routes, ways out --------------------------------------------------------------------------------------


def test_who_reverses_leads_with_its_rear():
    """A car that backs into a standing one: rear to rear, with its yaw against its way and a negative speed."""
    tree = {
        "actors": {
            "ego": {"speed": 0.0, "heading": math.pi},
            "backs": {"speed": 3.0, "gap": -10.0, "reverse": True, "heading": 0.0},
        }
    }  # it comes from behind, and the ego shows it its front turned round
    _, chunk = drive(tree, until=6.0)
    row = rows(chunk.tables["actors"])[1]
    assert row["speed"] == -3.0
    assert abs(abs(row["yaw"]) - math.pi) < 1e-12
    assert row["vx"] == 3.0
    contact = rows(chunk.tables["contacts"])[0]
    names = chunk.tables["contacts"].schema["side_a"].names
    assert names[contact["side_b"]] == "rear"
    assert abs(contact["t"] - 10.0 / 3.0) < 1e-9
    assert abs(abs(contact["pdof_b"]) - math.pi) < 1e-9
    assert chunk.motion is not None
    yaw = 2 * np.arctan2(chunk.motion.pose[0, 10, 1, 5], chunk.motion.pose[0, 10, 1, 6])
    assert abs(abs(yaw) - math.pi) < 1e-12


def test_a_station_is_a_place_of_the_road_whichever_way_one_drives():
    turn = {"kind": "turn", "angle": -1.2, "radius": 8.0, "when": {"station": 40.0}}
    other = {"speed": 10.0, "oncoming": True, "lane": 2, "station": 100.0, "behaviour": [turn]}
    _, chunk = drive({"actors": {"ego": {"speed": 0.0}, "other": other}}, until=9.0)
    event = next(row for row in rows(chunk.events) if row["kind"] == "turn_start")
    assert abs(event["t"] - 6.0) < 1e-6
    path = [row for row in rows(chunk.tables["paths"]) if row["actor"] == 1]
    assert [row["piece"] for row in path] == [0, 1]
    assert abs(path[0]["curvature"] + 1 / 8.0) < 1e-12
    assert abs(path[0]["length"] - 1.2 * 8.0) < 1e-12


def test_paths_are_told_at_the_start_and_followed():
    """A turning actor is on its published path, wherever time is cut."""
    line = [{"length": 30.0}, {"length": 60.0, "radius": 60.0}]
    ego = {
        "speed": 10.0,
        "model": "kinematic",
        "behaviour": [{"kind": "change_lane", "to": 2, "at": 2.0, "takes": 4.0}],
    }
    world = Road(Road.Settings.model_validate({"road": {"line": line}, "actors": {"ego": ego}}))
    told = rows(world.start([Draw(7, 0)], [Streams(7, 0)]).tables["paths"])
    assert [row["length"] for row in told] == [30.0, 60.0, 1e9]
    assert [row["offset"] for row in told] == [1.75] * 3
    chunk = world.advance(8.0, None)
    later = rows(chunk.tables["paths"])
    assert [(row["t"], row["path"], row["offset"]) for row in later] == [(2.0, 1, 5.25)] * 3
    assert abs(chunk.tables["actors"].columns["d"][-1] - 5.25) < 0.02


WAY_OUT = {
    "braking": {"behaviour": [brake(0.5, 8.0)], "speed": 15.0},
    "passing ahead": {"speed": 25.0},
    "rule": {"speed": 9.0},
    "none": {"speed": 15.0},
}


@pytest.mark.parametrize("way", WAY_OUT)
def test_what_kept_the_ego_out_of_a_contact(way: str):
    """A pedestrian crosses its lane: the ego brakes, passes first, arrives too late for a danger, or is hit."""
    walks = {
        "body": "pedestrian", "speed": 0.0, "station": 40.0, "lane": 1, "offset": -4.0,
        "behaviour": [{"kind": "cross", "at": 0.0, "speed": 1.6, "acceleration": 10.0}],
    }  # fmt: skip
    world, _ = drive({"actors": {"ego": WAY_OUT[way], "walks": walks}}, until=8.0)
    names = world.outcome()[0].schema["avoided_by"].names
    assert names[outcome(world)["avoided_by"]] == way


def test_passing_ahead_of_a_cut_in_is_not_braking():
    """The intruder comes over behind the ego, which had braked in vain."""
    change = {"kind": "change_lane", "at": 2.0, "to": 1, "takes": 2.0}
    intruder = {"speed": 10.0, "lane": 2, "gap": 8.0, "behaviour": [change]}
    ego = {"speed": 25.0, "behaviour": [brake(0.5, 2.0, to=23.0)]}
    world, _ = drive({"actors": {"ego": ego, "intruder": intruder}}, until=5.0)
    got = outcome(world)
    names = world.outcome()[0].schema["avoided_by"].names
    assert (got["ego.max_brake"] > 1.0, names[got["avoided_by"]]) == (True, "passing ahead")


def test_a_contact_between_two_rows_shows_in_the_gap():
    """The heavier ego pushes somebody ahead: at the rows they are apart, but the gap says that they touched."""
    walks = {"body": "pedestrian", "speed": 0.0, "station": 20.0}
    _, chunk = drive({"actors": {"ego": {"speed": 10.0}, "walks": walks}}, until=3.0)
    gaps = np.array([row["gap"] for row in rows(chunk.tables["actors"]) if row["actor"] == 0])
    assert (gaps == 0.0).sum() >= 1
    assert gaps[-1] > 0.0


def test_who_stops_while_crossing_does_not_brake_along_the_road():
    walks = {
        "body": "pedestrian", "speed": 0.0, "station": 60.0, "offset": -6.0,
        "behaviour": [{"kind": "cross", "speed": 2.0, "acceleration": 10.0, "stop_after": 3.0}],
    }  # fmt: skip
    world, _ = drive({"actors": {"ego": {"speed": 10.0}, "walks": walks}}, until=4.0)
    assert outcome(world)["max_btn"] < 0.5


def test_a_u_turn_ends_behind_a_half_circle():
    turn = {"kind": "turn", "angle": math.pi, "radius": 6.0, "at": 0.5}
    _, chunk = drive({"actors": {"ego": {"speed": 4.0, "behaviour": [turn]}}}, until=12.0)
    last = rows(chunk.tables["actors"])[-1]
    assert abs(abs(last["yaw"]) - math.pi) < 0.01
    assert last["y"] == pytest.approx(1.75 + 12.0, abs=0.1)
    assert last["x"] < -10.0


def test_who_hardly_rolls_does_not_change_lanes_sideways():
    """From standstill a change goes by the way, so that the car ends in its lane and never stands across the road."""
    pulls = [
        {"kind": "accelerate", "acceleration": 2.0, "to": 10.0, "at": 1.0},
        {"kind": "change_lane", "to": 2, "takes": 2.5, "at": 1.0},
    ]
    _, chunk = drive({"actors": {"ego": {"speed": 0.0, "behaviour": pulls}}}, until=12.0)
    told = rows(chunk.tables["actors"])
    assert max(row["y"] for row in told) < 5.25 + 0.3
    assert max(abs(row["yaw"]) for row in told) < 0.6
    assert told[-1]["y"] == pytest.approx(5.25, abs=0.02)
    end = next(row["t"] for row in rows(chunk.events) if row["kind"] == "lane_change_end")
    # 5 m/s are reached after 2.5 s of a linear rise (and a short build-up): 1.25 s are lost
    assert end == pytest.approx(1.0 + 2.5 + 1.25, abs=0.2)


def test_a_standing_ego_needs_no_brakes_before_who_passes_its_nose():
    turns = {"speed": 8.0, "oncoming": True, "lane": 1, "station": 40.0}
    world, _ = drive({"actors": {"ego": {"speed": 0.0, "lane": 1}, "comes": turns}}, until=4.0)
    assert outcome(world)["max_btn"] == 0.0


def test_who_follows_has_a_threat_number_of_its_own():
    """It closes at 6 m/s behind an ego at constant speed: what keeps it off is closing**2 / (2 gap), of 0.8 g."""
    behind = {"speed": 21.0, "gap": -20.0}
    world, _ = drive({"actors": {"ego": {"speed": 15.0}, "behind": behind}}, until=1.0)
    got = outcome(world)
    assert got["max_btn_behind"] == pytest.approx(6.0**2 / (2 * 14.0) / (0.8 * G), rel=1e-9)
    assert got["max_btn"] == 0.0


def test_a_fault_that_is_over_can_still_be_to_blame():
    tree = {"actors": {"ego": {"speed": 20.0}, "stands": {"speed": 0.0, "station": 40.0}}}
    world, _ = drive(tree, faults=[Fault("fault:0", "ego.brakes", "fade", 0.2, 1.0, 1.0)])
    assert "fade of ego.brakes until 1.00 s" in outcome(world)["reason"]


# -- a window in three dimensions --------------------------------------------------------------------------------------


def window(tree: dict[str, Any], until: float = 6.0, cuts: Sequence[float] = ()) -> tuple[Road, Chunk]:
    return drive({"impact": {"model": "window", "restitution": 0.1, "friction": 0.25}, **tree}, until, cuts)


def test_the_first_push_of_a_window_is_the_planar_impulse_where_nothing_leaves_the_plane():
    """Two equal cars, central, 15 m/s, e = 0.1: J 12,375 N s, 8.25 m/s each; at the moment that algebra gives."""
    cars = {"ego": {"speed": 15.0, "mass_height": 0.75}, "other": {"speed": 0.0, "gap": 20.0, "mass_height": 0.75}}
    world, chunk = window({"actors": cars})
    got = outcome(world)
    assert got["contact_time"] == pytest.approx(20.0 / 15.0, abs=1e-9)
    assert got["impulse"] == pytest.approx(12375.0, rel=0.005)
    assert got["delta_v"] == pytest.approx(8.25, rel=0.005)
    assert got["max_tilt"] < 0.05
    kinds = [row["kind"] for row in rows(chunk.events)]
    assert kinds == ["contact", "run_end"]


def test_in_a_window_pushes_are_what_changed_the_momentum_and_energy_never_grows():
    """Oblique, with a third one that is pushed on: the pushes add up to the changes, but for the ground's part."""
    cars = {
        "ego": {"speed": 25.0}, "van": {"body": "van", "speed": 0.0, "gap": 15.0, "offset": 0.6},
        "last": {"speed": 0.0, "gap": 23.0, "offset": 0.3},
    }  # fmt: skip
    world, chunk = window({"actors": cars, "friction": 0.01}, until=1.6)
    masses = {0: 1500.0, 1: 2800.0, 2: 1500.0}
    gained = {i: np.zeros(2) for i in masses}
    for hit in rows(chunk.tables["contacts"]):
        push = np.array([hit["impulse_x"], hit["impulse_y"]])
        gained[int(hit["a"])] -= push
        gained[int(hit["b"])] += push
    assert chunk.motion is not None
    for i, mass in masses.items():
        change = mass * (chunk.motion.velocity[0, -1, i, :2] - chunk.motion.velocity[0, 0, i, :2])
        # friction 0.01 for a second is 0.1 m/s; the body's middle is not its centre of mass when it pitches
        assert change == pytest.approx(gained[i], abs=mass * 0.5)
    sizes = {0: (4.5, 1.8, 1.5), 1: (5.9, 2.0, 2.6), 2: (4.5, 1.8, 1.5)}
    energy = np.zeros(len(chunk.motion.t))
    for i, (long, wide, high) in sizes.items():
        v, z = chunk.motion.velocity[0, :, i], chunk.motion.pose[0, :, i, 2]
        inertia = np.array([wide**2 + high**2, long**2 + high**2, long**2 + wide**2]) / 12
        energy += masses[i] * (
            0.5 * (v[:, :3] ** 2).sum(axis=-1) + 0.5 * (v[:, 3:] ** 2 * inertia).sum(axis=-1) + G * z
        )
    # what the engine gives back in a step when it pushes bodies apart that sank into each other: 0.2 % measured
    assert (np.diff(energy) < 4e-3 * energy[0]).all()
    assert energy[-1] < 0.5 * energy[0]
    assert outcome(world)["ego.contacts"] >= 1
    assert {(int(h["a"]), int(h["b"])) for h in rows(chunk.tables["contacts"])} >= {(0, 1), (1, 2)}


def test_a_tall_truck_that_is_hit_low_in_its_side_rolls_over():
    """It slides sideways on a grip above half its width over the height of its mass; a low car does not tip."""
    truck = {
        "body": "truck", "speed": 0.0, "station": 30.0, "heading": math.pi / 2, "mass": 3000.0, "mass_height": 2.2,
        "height": 3.6, "width": 2.0,
    }  # fmt: skip
    low = {**truck, "mass_height": 0.5, "height": 1.4}
    for other, rolls in ((truck, True), (low, False)):
        world, chunk = window({"actors": {"ego": {"speed": 30.0}, "truck": other}, "friction": 1.0})
        got = outcome(world)
        assert bool(got["max_tilt"] > 1.2) is rolls
        assert ("rollover" in [row["kind"] for row in rows(chunk.events)]) is rolls
        assert ("truck rolled over" in got["reason"]) is rolls


def test_a_window_is_the_same_alone_among_others_and_however_time_is_cut():
    cars = {
        "ego": {"speed": 20.0}, "van": {"body": "van", "speed": 0.0, "gap": 12.0, "offset": 0.7},
        "tail": {"speed": 20.0, "gap": -12.0},
    }  # fmt: skip
    tree = {"impact": {"model": "window"}, "actors": cars}
    _, whole = drive(tree, until=4.0)
    _, cut = drive(tree, until=4.0, cuts=(0.5, 0.601, 0.777, 1.03, 2.5, 2.505))
    assert whole.motion is not None
    assert cut.motion is not None
    assert (whole.motion.pose == cut.motion.pose).all()
    world = Road(Road.Settings.model_validate(tree))
    world.start([Draw(7, 0), Draw(7, 1)], [Streams(7, 0), Streams(7, 1)])
    both = world.advance(4.0, None)
    assert both.motion is not None
    for i in range(2):
        assert (
            both.motion.pose[i, : len(whole.motion.t) + 1] == whole.motion.pose[0, : both.motion.pose.shape[1]]
        ).all()
    assert rows(both.tables["contacts"], 1) == rows(whole.tables["contacts"])
    assert {row["actor"] for row in rows(whole.tables["actors"]) if row["hit"]} == {0, 1, 2}


# -- the story in words ------------------------------------------------------------------------------------------------


def test_the_reason_names_what_the_ego_slid_on_and_who_ran_into_it():
    patch = {"start": 30.0, "end": 90.0, "friction": 0.1}
    tree = {"road": {"patches": [patch]}, "actors": {"ego": {"speed": 20.0, "behaviour": [brake(1.0, 6.0)]}, "stands": {
        "speed": 0.0, "station": 70.0}}}  # fmt: skip
    world, chunk = drive(tree)
    assert "ego came onto friction 0.10 at 1.5" in outcome(world)["reason"]
    change = next(row for row in rows(chunk.events) if row["kind"] == "friction_change")
    assert (change["subject"], change["t"]) == ("ego", pytest.approx(1.52, abs=0.03))
    tail = {"speed": 20.0, "gap": -15.0, "behaviour": [brake(2.0, 4.0)]}
    world, _ = drive({"actors": {"ego": {"speed": 20.0, "behaviour": [brake(1.0, 8.0)]}, "tail": tail}})
    assert outcome(world)["reason"].startswith("collision: ego braked with 8.0 m/s2 at 1.00 s")
    world, _ = drive({"actors": {"ego": {"speed": 10.0}, "tail": {**tail, "speed": 25.0}}})
    assert outcome(world)["reason"].startswith("collision: tail ran into ego from behind")


@pytest.mark.parametrize("model", ["bullet", "window"])
def test_a_square_hit_pushes_nobody_sideways_at_any_speed(model: str):
    """Faces that just touch: rounding must not decide on which side the engine applies the force."""
    impulses = []
    for speed in (8.0, 12.0, 20.0, 24.0, 28.0, 100 / 3):
        truck = {"body": "truck", "speed": 0.0, "gap": 40.0, "heading": math.pi / 2}
        tree = {"impact": {"model": model}, "actors": {"ego": {"speed": speed}, "truck": truck}}
        _, chunk = drive(tree, until=8.0)
        hit = rows(chunk.tables["contacts"])[0]
        assert abs(hit["impulse_y"]) < 1e-3 * hit["impulse_x"]
        assert hit["y"] == pytest.approx(1.75, abs=0.01)
        impulses.append(hit["impulse_x"] / speed)
    assert np.ptp(impulses) < 0.002 * np.mean(impulses)


def test_the_reason_says_that_the_bend_was_too_fast():
    line = [{"length": 20.0}, {"length": 100.0, "radius": 30.0}]
    parked = {"speed": 0.0, "lane": 1, "offset": -6.0, "station": 45.0}
    world, _ = drive({"road": {"line": line}, "actors": {"ego": {"speed": 80 / 3.6}, "parked": parked}})
    assert "ego was too fast for the bend at" in outcome(world)["reason"]
    assert "and left its path by" in outcome(world)["reason"]


def test_a_follower_that_brakes_hard_is_named():
    first = {"speed": 25.0, "gap": 50.0, "behaviour": [brake(1.0, 8.0)]}
    second = {"speed": 25.0, "gap": 20.0, "behaviour": [{"kind": "follow"}]}
    world, _ = drive({"actors": {"ego": {"speed": 25.0}, "second": second, "first": first}}, until=8.0)
    assert outcome(world)["reason"].startswith("collision: second braked hard at")


def test_coming_to_rest_is_no_jerk():
    world, chunk = drive({"actors": {"ego": {"speed": 10.0, "jerk": 10.0, "behaviour": [brake(0.0, 6.0)]}}}, until=4.0)
    told = rows(chunk.tables["actors"])
    assert told[-1]["speed"] == 0.0
    assert max(abs(row["jerk"]) for row in told) < 10.0 + 1e-6
    assert outcome(world)["ego.max_jerk"] < 10.0 + 1e-6


@pytest.mark.parametrize(
    ("road", "words"),
    [
        ({"patches": [{"start": 50.0, "end": 20.0, "friction": 0.05}]}, "ends behind its start"),
        ({"lanes": 8, "line": [{"length": 100.0, "radius": 16.0}]}, "do not fit inside a bend"),
        ({"line": [{"length": 500.0, "radius": -60.0}]}, "runs into itself"),
        ({"crossings": {"side": {"at": 50.0, "angle": 0.0}}}, "goes across the main one"),
    ],
)
def test_roads_that_cannot_be_are_refused_in_words(road: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        Road.Settings.model_validate({"road": road, "actors": {"ego": {"speed": 10.0}}})
