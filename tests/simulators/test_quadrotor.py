"""The world `quadrotor`: laws of flight, contacts, faults with their events, reproducibility."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, join_chunks
from mischance.api.tables import Table
from mischance.errors import RunError
from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw, twin
from mischance.simulators.quadrotor import Quadrotor, disturbances, dynamics, layout, shapes
from mischance.simulators.quadrotor.columns import obstacle, parameters, state
from mischance.simulators.quadrotor.settings import Box, Cylinder, Drone
from tests.support import digests, rows_of

INF, G = float("inf"), layout.G
STILL = {"turbulence": 0.0}
SURE = {"noise": 0.0}
SCENARIOS = (
    "rotor_loss",
    "climb_thrust",
    "battery_sag",
    "gust_wall",
    "crossing",
    "descent",
    "geofence",
    "late_commands",
    "bird_strike",
    "head_on",
    "tilted_landing",
)


def drone(**changes: Any) -> dict[str, Any]:
    return {"at": [0.0, 0.0, 10.0], "estimator": SURE, **changes}


def fly(
    drones: dict[str, Any],
    until: float = 5.0,
    faults: Sequence[Fault] = (),
    runs: int = 1,
    commands: Commands | None = None,
    **settings: Any,
) -> tuple[Quadrotor, Chunk]:
    """Fly without turbulence and return the world and all truth after t = 0."""
    world = Quadrotor(Quadrotor.Settings.model_validate({"drones": drones, "wind": STILL, **settings}))
    world.start([Draw(7, i, faults=tuple(faults)) for i in range(runs)], [Streams(7, i) for i in range(runs)])
    chunks = []
    for t in np.arange(1.0, until + 0.5):
        chunks.append(world.advance(float(t), commands))
        commands = None
        if chunks[-1].over.all():
            break
    return world, join_chunks(chunks)


def outcome(world: Quadrotor, i: int = 0) -> dict[str, Any]:
    return {name: values[i] for name, values in world.outcome()[0].columns.items()}


def fault(target: str, kind: str, onset: float, severity: float, end: float = INF, ramp: float = 0.0) -> Fault:
    return Fault("fault:0", target, kind, onset, end, severity, ramp)


def body(**airframe: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return state and parameters of a drone whose rotors stand still."""
    it = Drone.model_validate(drone(airframe=airframe))
    p = parameters(it)
    y = state(it, p)
    y[layout.SPIN : layout.SPIN + 4] = 0.0
    return y, p


def run(y: np.ndarray, p: np.ndarray, seconds: float, h: float, command: Sequence[float] = (0.0,) * 4) -> np.ndarray:
    """Integrate in still air and return every state."""
    y, work = y.copy(), np.zeros((5, layout.BODY))
    states = [y.copy()]
    for _ in range(round(seconds / h)):
        dynamics.integrate(y, p, np.array(command), np.ones(4), np.zeros(3), h, work)
        states.append(y.copy())
    return np.array(states)


def to_world(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    u, w = q[..., :3], q[..., 3:]
    s = 2.0 * np.cross(u, v)
    return v + w * s + np.cross(u, s)


# -- laws of flight ----------------------------------------------------------------------------------------------------


def test_without_thrust_and_drag_it_falls_freely():
    y, p = body(drag=0.0)
    path = run(y, p, 2.0, layout.H)
    t = np.arange(len(path)) * layout.H
    np.testing.assert_allclose(path[:, 2], 10.0 - 0.5 * G * t**2, atol=1e-11)
    np.testing.assert_allclose(path[:, 5], -G * t, atol=1e-11)


def test_a_free_tumble_keeps_angular_momentum_and_energy():
    y, p = body(drag=0.0, spin_drag=0.0, inertia=[0.01, 0.013, 0.02])
    y[layout.VEL : layout.VEL + 3] = 3.0, -2.0, 4.0
    y[layout.RATE : layout.RATE + 3] = 4.0, 9.0, 0.5
    path = run(y, p, 3.0, layout.H)
    inertia = np.array([0.01, 0.013, 0.02])
    turning = to_world(path[:, layout.QUAT : layout.QUAT + 4], inertia * path[:, layout.RATE : layout.RATE + 3])
    assert np.ptp(path[:, layout.RATE]) > 2.0  # it does tumble
    np.testing.assert_allclose(turning, np.broadcast_to(turning[0], turning.shape), atol=2e-8)
    spin = 0.5 * (inertia * path[:, 10:13] ** 2).sum(axis=1)
    energy = 0.5 * p[layout.MASS] * (path[:, 3:6] ** 2).sum(axis=1) + spin + p[layout.MASS] * G * path[:, 2]
    np.testing.assert_allclose(energy, energy[0], rtol=1e-9)
    np.testing.assert_allclose(path[:, 3], 3.0, atol=1e-12)


def test_drag_only_takes_energy():
    y, p = body()
    y[layout.VEL : layout.VEL + 3] = 15.0, -8.0, 12.0
    y[layout.RATE : layout.RATE + 3] = 4.0, 9.0, 0.5
    path = run(y, p, 3.0, layout.H)
    spin = 0.5 * (p[1:4] * path[:, 10:13] ** 2).sum(axis=1)
    energy = 0.5 * p[layout.MASS] * (path[:, 3:6] ** 2).sum(axis=1) + spin + p[layout.MASS] * G * path[:, 2]
    assert (np.diff(energy) < 0.0).all()


def test_a_fall_ends_at_the_terminal_speed():
    y, p = body()
    path = run(y, p, 30.0, 0.01)
    assert abs(path[-1, 5] + np.sqrt(p[layout.MASS] * G / p[layout.DRAG])) < 1e-6


def test_the_integrator_is_of_fourth_order():
    y, p = body()
    y[layout.RATE : layout.RATE + 3] = 3.0, -2.0, 1.0
    ends = [run(y, p, 0.8, h, (500.0, 620.0, 540.0, 650.0))[-1, : layout.BODY] for h in (0.008, 0.004, 0.002, 0.001)]
    errors = [np.abs(a - b).max() for a, b in pairwise(ends)]
    assert all(13.0 < a / b < 19.0 for a, b in pairwise(errors))
    assert errors[-1] < 1e-7


def test_it_flies_as_a_solver_with_rotation_matrices_says():
    """Another integrator and another formulation of attitude, with forces as vectors, give the same flight."""
    from scipy.integrate import solve_ivp

    y, p = body()
    y[layout.VEL : layout.VEL + 3], y[layout.RATE : layout.RATE + 3] = (4.0, -1.0, 2.0), (1.0, -2.0, 0.5)
    command, wind = np.array([520.0, 640.0, 560.0, 610.0]), np.array([3.0, 1.0, -0.5])
    health = np.array([1.0, 0.7, 1.0, 0.9])
    inertia, d = np.diag(p[1:4]), p[layout.ARM]
    arms = np.array([[d, d, 0.0], [d, -d, 0.0], [-d, -d, 0.0], [-d, d, 0.0]])
    turns = np.array([1.0, -1.0, 1.0, -1.0])

    def slope(_: float, s: np.ndarray) -> np.ndarray:
        v, r, w, speed = s[3:6], s[6:15].reshape(3, 3), s[15:18], s[18:22]
        thrust = np.outer(health * p[layout.KF] * speed**2, [0.0, 0.0, 1.0])
        torque = np.cross(arms, thrust).sum(axis=0) - p[layout.SPIN_DRAG] * w
        torque[2] -= (turns * health * p[layout.KM] * speed**2).sum()
        air = v - wind
        force = (
            r @ thrust.sum(axis=0)
            - p[layout.DRAG] * np.linalg.norm(air) * air
            - p[layout.MASS] * np.array([0.0, 0.0, G])
        )
        skew = np.array([[0.0, -w[2], w[1]], [w[2], 0.0, -w[0]], [-w[1], w[0], 0.0]])
        turning = np.linalg.solve(inertia, torque - np.cross(w, inertia @ w))
        return np.concatenate(
            [v, force / p[layout.MASS], (r @ skew).ravel(), turning, (command - speed) / p[layout.LAG]]
        )

    begin = np.concatenate([y[0:6], np.eye(3).ravel(), y[10:13], y[13:17]])
    exact = solve_ivp(slope, (0.0, 1.0), begin, method="DOP853", rtol=1e-11, atol=1e-11).y[:, -1]
    work = np.zeros((5, layout.BODY))
    for _ in range(500):
        dynamics.integrate(y, p, command, health, wind, layout.H, work)
    axes = np.stack([to_world(y[6:10], axis) for axis in np.eye(3)], axis=1)
    np.testing.assert_allclose(y[0:6], exact[0:6], atol=1e-6)
    np.testing.assert_allclose(axes, exact[6:15].reshape(3, 3), atol=1e-6)
    np.testing.assert_allclose(y[10:17], exact[15:22], atol=1e-5)


def test_reaction_torques_balance_in_pairs():
    """Equal rotors leave no yaw torque; the left-turning pair faster by any amount turns the body right."""
    y, p = body(spin_drag=0.0)
    dy, calm = np.zeros(layout.BODY), np.zeros(3)
    y[layout.SPIN : layout.SPIN + 4] = 600.0
    dynamics.derivative(y, p, np.full(4, 600.0), np.ones(4), calm, dy)
    np.testing.assert_allclose(dy[10:13], 0.0, atol=1e-12)
    y[layout.SPIN : layout.SPIN + 4] = 700.0, 500.0, 700.0, 500.0
    dynamics.derivative(y, p, y[layout.SPIN : layout.SPIN + 4].copy(), np.ones(4), calm, dy)
    np.testing.assert_allclose(dy[12], -2.0 * p[layout.KM] * (700.0**2 - 500.0**2) / p[layout.IZZ], rtol=1e-12)
    np.testing.assert_allclose(dy[10:12], 0.0, atol=1e-12)


def test_hover_thrust_is_the_weight_and_power_is_that_of_the_formula():
    world, chunk = fly({"drone1": drone(mission=[{"at": [0.0, 0.0, 12.0]}])}, 15.0, settle=60.0)
    rows = chunk.tables["drones"].run(0)
    it = Drone.model_validate(drone())
    speeds = np.array([rows[f"rotor{i}"][-1] for i in (1, 2, 3, 4)])
    assert abs(it.rotors.thrust * (speeds**2).sum() - it.airframe.mass * G) < 1e-3 * it.airframe.mass * G
    used = (rows["energy"][-1] - rows["energy"][-51]) / (rows["t"][-1] - rows["t"][-51])
    power = it.battery.avionics + it.rotors.torque * (speeds**3).sum() / it.rotors.efficiency
    source = it.battery.empty + (it.battery.full - it.battery.empty) * (1 - rows["energy"][-1] / it.battery.capacity)
    current = power / rows["voltage"][-1]
    assert abs(source - it.battery.resistance * current - rows["voltage"][-1]) < 1e-3
    assert abs(used - source * current) < 2e-3 * used
    assert outcome(world)["verdict"] == "safe"


def test_quaternions_keep_their_norm_in_a_crash():
    _, chunk = fly({"drone1": drone()}, 6.0, [fault("drone1.rotor2", "thrust_loss", 1.0, 1.0)])
    assert chunk.motion is not None
    np.testing.assert_allclose((chunk.motion.pose[..., 3:] ** 2).sum(axis=-1), 1.0, atol=1e-12)


def test_turbulence_has_the_spread_and_the_memory_that_were_asked_for():
    sigma, tau, runs = 1.5, 0.8, 128
    world = Quadrotor(
        Quadrotor.Settings.model_validate({"drones": {"d": drone()}, "wind": {"turbulence": sigma, "time": tau}})
    )
    world.start([Draw(7, i) for i in range(runs)], [Streams(7, i) for i in range(runs)])
    rows = world.advance(4.0, None).tables["drones"]
    u = rows.columns["wind_x"].reshape(runs, -1)
    free = runs * (1 + 4.0 / (2 * tau))  # about that many independent values
    assert abs(u.std() / sigma - 1) < 4 / np.sqrt(2 * free)
    lag = 20  # rows, 0.4 s
    seen = (u[:, lag:] * u[:, :-lag]).mean() / (u**2).mean()
    assert abs(seen - np.exp(-0.4 / tau)) < 4 / np.sqrt(free)
    assert abs(rows.columns["wind_z"].std() / (0.5 * sigma) - 1) < 4 / np.sqrt(2 * free)


# -- rotors, controller, agents ----------------------------------------------------------------------------------------


def test_one_lost_rotor_is_the_end_and_a_tenth_of_its_thrust_is_not():
    """Three rotors cannot balance roll, pitch and yaw at once: the drone tumbles; a tenth is held by the integral."""
    high = drone(at=[0.0, 0.0, 90.0])
    world, chunk = fly({"drone1": high}, 12.0, [fault("drone1.rotor2", "thrust_loss", 1.0, 1.0)])
    lost, rows = outcome(world), chunk.tables["drones"].run(0)
    assert lost["event"]
    assert lost["max_tilt"] > np.radians(90.0)
    falling = (rows["t"] > 2.0) & (rows["mode"] == 0)
    assert np.sqrt(rows["rate_x"] ** 2 + rows["rate_y"] ** 2 + rows["rate_z"] ** 2)[falling].min() > 2.0
    world, chunk = fly({"drone1": drone()}, 8.0, [fault("drone1.rotor2", "thrust_loss", 1.0, 0.1)])
    kept = outcome(world)
    assert not kept["event"]
    assert kept["max_tilt"] < np.radians(5.0)
    rows = chunk.tables["drones"].run(0)
    late = slice(-20, None)  # thrust is the weight again: the damaged rotor turns faster by 1 / sqrt(0.9)
    it = Drone.model_validate(drone())
    health = np.array([1.0, 0.9, 1.0, 1.0])
    thrust = sum(h * rows[f"rotor{i + 1}"][late] ** 2 for i, h in enumerate(health)) * it.rotors.thrust
    np.testing.assert_allclose(thrust, it.airframe.mass * G, rtol=2e-3)
    assert abs(rows["rotor2"][-1] / rows["rotor4"][-1] - 0.9**-0.5) < 2e-3


def test_the_first_moment_of_a_rotor_loss_is_newton():
    """At hover, rotor2 (front right) gone: roll acceleration d F / Ixx to the right, pitch likewise forward."""
    it = Drone.model_validate(drone())
    p = parameters(it)
    y, dy = state(it, p), np.zeros(layout.BODY)
    dynamics.derivative(y, p, y[layout.SPIN : layout.SPIN + 4].copy(), np.array([1.0, 0.0, 1.0, 1.0]), np.zeros(3), dy)
    force = it.airframe.mass * G / 4.0
    arm = it.airframe.arm * np.sqrt(0.5)
    np.testing.assert_allclose(dy[10], arm * force / it.airframe.inertia[0], rtol=1e-12)
    np.testing.assert_allclose(dy[11], arm * force / it.airframe.inertia[1], rtol=1e-12)
    np.testing.assert_allclose(dy[5], -G / 4.0, rtol=1e-12)


def test_an_agent_flies_with_thrust_and_rates():
    weight = Drone.model_validate(drone()).airframe.mass * G
    rows = {"actor": ["drone1"], "thrust": [weight], "rate_x": [0.0], "rate_y": [0.0], "rate_z": [0.5]}
    commands = Commands(Table.of(Quadrotor.commands, [rows]), np.ones(1, np.bool_))
    _, chunk = fly({"drone1": drone(mission=[{"at": [50.0, 0.0, 10.0]}])}, 3.0, commands=commands)
    end = {name: values[-1] for name, values in chunk.tables["drones"].run(0).items()}
    assert abs(end["rate_z"] - 0.5) < 0.02  # its own drag leaves a proportional controller a little short
    assert abs(end["x"]) < 1e-6
    assert abs(end["z"] - 10.0) < 0.05  # thrust dips a little while the rotors change over to turn it
    rows["actor"] = ["drone7"]
    with pytest.raises(RunError, match="run 0: a command for 'drone7' at t = 0 s"):
        fly({"drone1": drone()}, 1.0, commands=Commands(Table.of(Quadrotor.commands, [rows]), np.ones(1, np.bool_)))


def test_a_wrong_position_is_flown_to_and_a_late_command_comes_late():
    _, chunk = fly({"drone1": drone()}, 12.0, [fault("drone1.estimator", "bias", 1.0, 2.0)])
    rows = chunk.tables["drones"].run(0)
    assert abs(rows["x"][-1] + 2.0) < 0.02  # believed at +2 m, it goes back to -2 m
    weight = Drone.model_validate(drone()).airframe.mass * G
    pull = {"actor": ["drone1"], "thrust": [1.5 * weight], "rate_x": [0.0], "rate_y": [0.0], "rate_z": [0.0]}
    commands = Commands(Table.of(Quadrotor.commands, [pull]), np.ones(1, np.bool_))
    _, prompt = fly({"drone1": drone()}, 1.0, commands=commands)
    _, late = fly({"drone1": drone()}, 1.0, [fault("drone1.controller", "delay", 0.0, 0.1)], commands=commands)
    a, b = (chunk.tables["drones"].run(0)["rotor1"] for chunk in (prompt, late))
    np.testing.assert_allclose(b[5:], a[:-5], rtol=1e-12)  # 0.1 s are five rows
    np.testing.assert_allclose(b[:5], np.sqrt(weight / 4.0 / 8.55e-6), rtol=1e-12)


def test_a_mission_ends_at_its_last_waypoint():
    mission = [{"at": [10.0, 0.0, 10.0]}, {"at": [10.0, 8.0, 14.0], "hold": 1.0}]
    world, chunk = fly({"drone1": drone(mission=mission)}, 20.0)
    done = outcome(world)
    rows = chunk.tables["drones"].run(0)
    assert done["finished"]
    assert abs(chunk.ends[0] - done["mission_time"] - 2.0) < 0.011
    assert np.hypot(rows["x"][-1] - 10.0, np.hypot(rows["y"][-1] - 8.0, rows["z"][-1] - 14.0)) < 0.3


def test_a_gust_is_a_half_cosine_and_a_ramp_a_straight_line():
    row = np.array([layout.GUSTY, -1.0, 0.0, 1.0, 5.0, 8.0, 1.0])
    at = [0.99, 1.0, 1.25, 1.5, 2.0, 4.0, 4.5, 5.0]
    shape = [0.0, 0.0, 4.0 * (1 - np.cos(np.pi / 4)), 4.0, 8.0, 8.0, 4.0, 0.0]
    np.testing.assert_allclose([disturbances.severity(row, t) for t in at], shape, atol=1e-12)
    plan = fault("drone1.battery", "sag", 1.0, 0.3, 5.0, 2.0)
    row = np.array([layout.SAG, 0.0, 0.0, 1.0, 5.0, 0.3, 2.0])
    t = np.linspace(0.0, 6.0, 25)
    np.testing.assert_allclose([disturbances.severity(row, s) for s in t], plan.severity_at(t), atol=1e-15)


# -- contacts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["box", "cylinder"])
def test_the_swept_test_finds_the_first_touch(kind: str):
    """For any step: at the returned time the sphere touches, before it there is no contact, and a miss gives none."""
    rng = np.random.default_rng(3)
    shape = (
        Box(kind="box", at=(0.0, 0.0, 0.0), size=(1.0, 2.0, 3.0), yaw=0.4)
        if kind == "box"
        else Cylinder(kind="cylinder", at=(0.0, 0.0, 0.0), radius=0.7, height=2.0)
    )
    o, n, radius = np.array([obstacle(shape)]), np.zeros(3), 0.3
    hits = 0
    for _ in range(150):
        a, b = rng.normal(size=(2, 3)) * 3.0
        way = np.linspace(0.0, 1.0, 501)
        free = np.array([shapes.distance(*(a + s * (b - a)), o[0], n) - radius for s in way])
        if free[0] <= 0.0:
            continue
        s = shapes.swept(a, b, radius, o, 0, n)
        if s > 1.0:
            assert free.min() > -1e-9
        else:
            hits += 1
            assert abs(shapes.distance(*(a + s * (b - a)), o[0], n) - radius) < 1e-8
            assert (free[way < s] > 0.0).all()
    assert hits > 20


def test_two_spheres_meet_when_the_quadratic_says():
    a0, a1 = np.zeros(3), np.array([10.0, 0.0, 0.0])
    b0, b1 = np.array([8.0, 0.3, 0.0]), np.array([0.0, 0.3, 0.0])
    aside = np.array([0.0, 0.31, 0.0])
    exact = (8.0 - np.sqrt(0.6**2 - 0.3**2)) / 18.0
    assert abs(shapes.meeting(a0, a1, b0, b1, 0.6) - exact) < 1e-14
    assert shapes.meeting(a0, a1, b0 + aside, b1 + aside, 0.6) > 1.0


def test_a_midair_collision_keeps_momentum_and_the_restitution():
    """Two unequal drones in collision: their changes of momentum in the step of the contact equal the impulse."""
    heavy = {"airframe": {"mass": 2.4}}
    a = drone(
        at=[-3.0, 0.0, 10.0], velocity=[6.0, 0.0, 0.0], **heavy, mission=[{"at": [30.0, 0.0, 10.0], "speed": 6.0}]
    )
    b = drone(at=[3.0, 0.2, 10.1], velocity=[-6.0, 0.0, 0.0], mission=[{"at": [-30.0, 0.2, 10.1], "speed": 6.0}])
    world, chunk = fly({"a": a, "b": b}, 2.0, restitution=0.4)
    hit = {name: values[0] for name, values in chunk.tables["contacts"].run(0).items()}
    assert chunk.motion is not None
    k = int(np.searchsorted(chunk.motion.t, hit["t"]))
    v = chunk.motion.velocity[0, k - 1 : k + 1, :, :3]
    normal = np.array([hit[f"normal_{axis}"] for axis in "xyz"])
    change = (v[1] - v[0]) * np.array([[2.4], [1.2]])
    assert abs(np.linalg.norm(normal) - 1.0) < 1e-12
    # thrust, weight and drag of 10 ms are in the difference too: some 0.3 N s on an impulse of 13 N s
    np.testing.assert_allclose(change[1], hit["impulse"] * normal, atol=0.35)
    np.testing.assert_allclose(change[0], -hit["impulse"] * normal, atol=0.6)
    assert abs(hit["impulse"] - 1.4 * hit["closing_speed"] / (1 / 2.4 + 1 / 1.2)) < 1e-9
    assert outcome(world)["verdict"] == "collision"
    assert outcome(world)["min_separation"] == 0.0


def test_a_soft_touch_of_the_ground_is_a_landing_and_a_hard_one_a_crash():
    soft, _ = fly({"d": drone(at=[0.0, 0.0, 2.0], mission=[{"at": [0.0, 0.0, 0.2], "speed": 0.5}])}, 8.0)
    assert outcome(soft)["verdict"] == "safe"
    assert outcome(soft)["finished"]
    hard, chunk = fly({"d": drone(at=[0.0, 0.0, 2.0], mission=[{"at": [0.0, 0.0, -20.0], "speed": 6.0}])}, 8.0)
    assert outcome(hard)["verdict"] == "crash"
    assert outcome(hard)["margin"] == -outcome(hard)["impact_speed"]
    assert chunk.motion is not None
    assert chunk.motion.pose[0, :, 0, 2].min() > 0.3 - 1e-6  # nothing sinks into the ground


def test_a_dead_drone_only_loses_energy():
    _, chunk = fly(
        {"d": drone(velocity=[5.0, 0.0, 0.0])}, 6.0, [fault("d.rotor1", "thrust_loss", 0.5, 1.0)], settle=3.0
    )
    rows = chunk.tables["drones"].run(0)
    after = rows["t"] > chunk.tables["contacts"].run(0)["t"][0] + 0.3  # by then the rotors have run down
    speed = rows["vx"] ** 2 + rows["vy"] ** 2 + rows["vz"] ** 2
    energy = (0.5 * speed + G * rows["z"])[after]
    assert (np.diff(energy) < 1e-3).all()
    assert rows["mode"][-1] == 3


# -- errors ------------------------------------------------------------------------------------------------------------


def test_what_cannot_begin_is_said_with_run_and_name():
    with pytest.raises(RunError, match="run 0: a and b overlap at the start"):
        fly({"a": drone(), "b": drone(at=[0.1, 0.0, 10.0])})
    with pytest.raises(RunError, match="run 0: a begins inside wall"):
        fly({"a": drone()}, obstacles={"wall": {"kind": "box", "at": [0, 0, 10], "size": [1, 1, 1]}})
    with pytest.raises(RunError, match="run 0: a begins on or below the ground"):
        fly({"a": drone(at=[0.0, 0.0, 0.1])})
    with pytest.raises(RunError, match=r"'a\.battery' has no fault 'thrust_loss'"):
        fly({"a": drone()}, faults=[fault("a.battery", "thrust_loss", 1.0, 1.0)])


# -- reproducibility ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["robots/drone_gust_wall", "robots/drone_crossing"])
def test_a_run_depends_neither_on_its_batch_nor_on_cuts(name: str):
    scenario = load(name, {"duration": "6 s"})
    draws = draw(scenario, np.arange(7))
    whole = digests(scenario, draws)
    assert whole == digests(scenario, draws, cuts=(0.013, 0.37, 1.001, 3.3333, 5.99))
    assert whole == {k: v for i in range(7) for k, v in digests(scenario, draws[i : i + 1]).items()}
    assert whole == digests(scenario, draws[::-1], cuts=(2.0,))
    assert len(set(whole.values())) == 7


@pytest.mark.parametrize("name", ["rotor_loss", "battery_sag", "gust_wall", "geofence", "late_commands"])
def test_a_twin_is_equal_until_the_onset_and_no_longer(name: str):
    scenario = load(f"robots/drone_{name}:crash")
    draws = draw(scenario, np.arange(4))
    mine = list(play(scenario, draws))
    its = list(play(scenario, [twin(one) for one in draws]))
    for i, one in enumerate(draws):
        onset = one.faults[0].onset
        for path in ("truth/drones", "truth/motion", "sensors/imu"):
            a, b = rows_of(mine, path, i), rows_of(its, path, i)
            n = min(len(a["t"]), len(b["t"]))
            differ = np.zeros(n, np.bool_)
            for column in a:
                differ |= ~((a[column][:n] == b[column][:n]) | (a[column][:n] != a[column][:n]))
            first = a["t"][:n][differ].min()
            assert onset < first < onset + 0.6


# -- stories -----------------------------------------------------------------------------------------------------------


def test_a_contact_goes_back_to_the_fault_that_began_it():
    scenario = load("robots/drone_rotor_loss:crash")
    records = list(play(scenario, draw(scenario, np.arange(3))))
    runs, labels = records[-1].tables["runs"], records[-1].tables["labels"]
    for i in range(3):
        events = rows_of(records, "events", i)
        assert (np.diff(events["t"]) >= 0).all()
        by_id = {event: k for k, event in enumerate(events["event_id"])}
        assert len(by_id) == len(events["t"])
        at = list(events["kind"]).index("contact")
        way = [events["kind"][at]]
        while events["parent_id"][at]:
            before = by_id[events["parent_id"][at]]
            assert events["t"][before] <= events["t"][at]
            at = before
            way.append(events["kind"][at])
        assert way[-1] == "fault_onset"
        assert json.loads(events["details"][at])["what"] == "thrust_loss"
        assert "rotor2 lost 100 % of its thrust" in runs.columns["reason"][i]
        own = labels.run(i)
        k = list(own["class"]).index("fault/rotor/thrust_loss")
        assert own["t_cause"][k] == events["t"][at]
        k = list(own["class"]).index("event/collision")
        assert "fault:0" in own["causes"][k]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_margin_is_below_zero_exactly_where_something_happened(name: str):
    for variant in ("critical", "crash"):
        scenario = load(f"robots/drone_{name}:{variant}")
        *_, last = play(scenario, draw(scenario, np.arange(8)))
        columns = last.tables["runs"].columns
        assert ((columns["margin"] < 0) == columns["event"]).all()


# -- birds ------------------------------------------------------------------------------------------------------------

BIRD = {"at": [-10.0, 0.0, 10.0], "velocity": [8.0, 0.0, 0.0], "mass": 0.6, "radius": 0.2}


@pytest.mark.parametrize("beside", [0.8, 1.7, 4.0])
def test_a_bird_that_misses_flies_on_as_if_nobody_were_there(beside: float):
    world, chunk = fly({"drone1": drone()}, 4.0, birds={"bird1": {**BIRD, "at": [-10.0, beside, 10.0]}})
    motion = chunk.motion
    assert motion is not None
    assert motion.bodies == ("drone1", "bird1")
    where = motion.pose[0, :, 1, :3]
    np.testing.assert_allclose(where[:, 0], -10.0 + 8.0 * motion.t, atol=1e-9)
    assert (where[:, 1:] == [beside, 10.0]).all()
    apart = np.linalg.norm(motion.pose[0, :, 0, :3] - where, axis=1).min() - 0.5
    row = outcome(world)
    assert row["min_separation"] == pytest.approx(beside - 0.5, abs=1e-3)
    assert row["min_separation"] <= apart + 1e-12
    assert (row["contacts"], bool(row["event"])) == (0, False)


def test_a_bird_strike_keeps_momentum_and_tells_its_story():
    drones = {"drone1": drone(airframe={"drag": 0.0})}
    world, chunk = fly(drones, 4.0, birds={"bird1": {**BIRD, "drag": 0.0}}, restitution=0.3)
    row = outcome(world)
    assert row["contact_time"] == pytest.approx((10.0 - 0.5) / 8.0, abs=1e-3)
    assert row["impact_speed"] == pytest.approx(8.0, abs=1e-3)
    motion = chunk.motion
    assert motion is not None
    k = int(row["contact_time"] * 100)
    before, after = motion.velocity[0, k, :, 0], motion.velocity[0, k + 1, :, 0]
    mass = np.array([Drone.model_validate(drone()).airframe.mass, 0.6])
    assert (mass * after).sum() == pytest.approx((mass * before).sum(), abs=1e-2)  # rotors pull for up to 10 ms more
    assert after[0] - after[1] == pytest.approx(0.3 * 8.0, abs=0.02), "restitution"
    assert (row["verdict"], bool(row["event"])) == ("bird strike", True)
    assert "bird1 flew at 8.0 m/s; drone1 hit bird1 at 8.0 m/s" in row["reason"]
    events = chunk.events.run(0)
    parent = list(events["parent_id"])[list(events["kind"]).index("contact")]
    assert (parent, list(events["t"])) == ("event:0", sorted(events["t"])), "the bird's own event came at t = 0"


def test_a_bird_takes_nothing_from_a_drones_draws():
    wind = {"turbulence": 0.5}
    far = {"bird1": {**BIRD, "at": [-10.0, 40.0, 10.0]}}
    _, plain = fly({"drone1": {"at": [0.0, 0.0, 10.0]}}, 3.0, wind=wind)
    _, crowd = fly({"drone1": {"at": [0.0, 0.0, 10.0]}}, 3.0, wind=wind, birds=far)
    assert plain.motion is not None
    assert crowd.motion is not None
    assert (plain.motion.pose[0, :, 0] == crowd.motion.pose[0, :, 0]).all()


def test_nobody_commands_a_bird_or_puts_it_into_a_drone():
    world, _ = fly({"drone1": drone()}, 1.0, birds={"bird1": BIRD})
    table = Table.of(world.commands, [{"actor": ["bird1"], "thrust": [1.0], "rate_x": [0.0], "rate_y": [0.0],
                                       "rate_z": [0.0]}])  # fmt: skip
    with pytest.raises(RunError, match="a command for 'bird1'"):
        world.advance(2.0, Commands(table, np.array([True])))
    with pytest.raises(RunError, match="drone1 and bird1 overlap"):
        fly({"drone1": drone()}, 1.0, birds={"bird1": {**BIRD, "at": [0.1, 0.0, 10.0]}})
    with pytest.raises(ValueError, match="a name given twice"):
        fly({"drone1": drone()}, 1.0, birds={"drone1": BIRD})


def test_without_a_separation_to_keep_none_is_lost():
    pair = {"drone1": drone(), "drone2": drone(at=[3.0, 0.0, 10.0], mission=[{"at": [-3.0, 0.0, 10.0], "speed": 3.0}])}
    for separation, told in ((0.0, False), (0.4, True)):
        world, chunk = fly(pair, 6.0, separation=separation)
        assert outcome(world)["verdict"] == "collision"
        assert ("separation_loss" in set(chunk.events.run(0)["kind"])) == told
