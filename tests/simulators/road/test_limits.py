"""Limits where they bind, the order of the integrators, the controller's gain; each against a closed form or SciPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, join_chunks
from mischance.api.tables import Table
from mischance.simulators.road import Road
from mischance.simulators.road.motion import dugoff, integrate
from mischance.simulators.road.state import CAR, DYNAMIC

G = 9.81


def played(
    tree: dict[str, Any], until: float, command: dict[str, float] | None = None, faults: tuple[Fault, ...] = ()
) -> tuple[Road, Chunk]:
    """Play one run, with one command for the ego at t = 0."""
    world = Road(Road.Settings.model_validate(tree))
    chunks = [world.start([Draw(7, 0, faults=faults)], [Streams(7, 0)])]
    commands = None
    if command is not None:
        values = {
            "actor": "ego",
            **world.complete(command),
            **{k: 0.0 for k in ("acceleration", "steer") if k not in command},
        }
        columns = {
            name: np.array([values[name]], object if name == "actor" else bool if name == "keep_path" else float)
            for name in world.commands
        }
        commands = Commands(Table(world.commands, columns, np.array([0, 1], np.int64)), np.ones(1, np.bool_))
    chunks.append(world.advance(until, commands))
    return world, join_chunks(chunks)


def column(chunk: Chunk, name: str, actor: int = 0, actors: int = 1) -> np.ndarray:
    return np.asarray(chunk.tables["actors"].columns[name])[actor::actors]


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("friction", "wanted"), [(0.1, 0.981), (0.8, 3.0)])
def test_acceleration_is_limited_by_grip_as_braking_is(friction: float, wanted: float):
    """3 m/s2 are asked for; on ice there are 0.98."""
    go = {"kind": "accelerate", "acceleration": 3.0, "to": 30.0}
    tree = {"friction": friction, "actors": {"ego": {"speed": 5.0, "jerk": 0.0, "behaviour": [go]}}}
    _, chunk = played(tree, 3.0)
    assert column(chunk, "acceleration")[1:] == pytest.approx(np.full(60, wanted), rel=1e-9)
    assert column(chunk, "speed")[-1] == pytest.approx(5.0 + 3.0 * wanted, rel=1e-9)


@pytest.mark.parametrize(("asked", "wanted"), [(-20.0, -6.0), (20.0, 2.5)])
def test_brakes_and_drive_have_limits_of_their_own(asked: float, wanted: float):
    tree = {"friction": 1.5, "actors": {"ego": {"speed": 30.0, "jerk": 0.0, "brakes": 6.0, "drive": 2.5}}}
    _, chunk = played(tree, 1.0, {"acceleration": asked})
    assert column(chunk, "acceleration")[1:] == pytest.approx(np.full(20, wanted), rel=1e-9)


def test_braking_and_turning_share_the_friction_circle():
    """Kinematic: a_x^2 + (v yaw_rate)^2 = (mu g)^2 where more is asked for; the wheels stand where they were turned."""
    car = {"speed": 12.0, "jerk": 0.0, "model": "kinematic", "steer_rate": 20.0}
    tree = {"friction": 0.5, "road": {"lanes": 8}, "actors": {"ego": {**car, "lane": 4}}}
    _, chunk = played(tree, 1.0, {"acceleration": -3.0, "steer": 0.4})
    v, rate = column(chunk, "speed")[6:], column(chunk, "yaw_rate")[6:]
    # the curvature is that of a segment's begin, 0.03 m/s earlier
    assert np.hypot(3.0, v * rate) == pytest.approx(np.full(len(v), 0.5 * G), rel=0.01)
    assert column(chunk, "steer")[-1] == pytest.approx(0.4, abs=1e-3)


def test_a_driver_in_too_tight_a_bend_turns_the_wheels_as_far_as_the_grip_allows():
    """15 m/s on 30 m ask for 7.5 m/s2 of 4.9: the wheels' angle is that of the curvature that the grip allows."""
    line = [{"length": 80.0, "radius": 30.0}]
    car = {"speed": 15.0, "jerk": 0.0, "model": "kinematic"}
    _, chunk = played({"friction": 0.5, "road": {"lanes": 2, "line": line}, "actors": {"ego": car}}, 2.0)
    v, steer, rate = (column(chunk, name)[4:] for name in ("speed", "steer", "yaw_rate"))
    assert v * np.tan(steer) / 2.7 == pytest.approx(rate, rel=1e-9)
    assert v * rate == pytest.approx(np.full(len(v), 0.5 * G), rel=1e-6)


def test_full_braking_leaves_nothing_for_steering():
    car = {"speed": 12.0, "jerk": 0.0, "model": "kinematic"}
    tree = {"friction": 0.5, "actors": {"ego": car}}
    _, chunk = played(tree, 1.0, {"acceleration": -9.0, "steer": 0.4})
    assert np.abs(column(chunk, "yaw")[1:]).max() == 0.0
    assert column(chunk, "acceleration")[1:] == pytest.approx(np.full(20, -0.5 * G), rel=1e-9)


def test_the_front_wheels_have_a_largest_angle_a_rate_and_a_lag():
    """First order with 0.1 s towards the angle asked for, 0.8 rad/s at most, 0.6 rad at most."""
    tree = {"actors": {"ego": {"speed": 1.0, "model": "kinematic", "steer_rate": 0.8}}, "rate": 1000}
    _, chunk = played(tree, 2.0, {"steer": 2.0})
    t, steer = column(chunk, "t"), column(chunk, "steer")
    # rate-limited until the lag's own rate, (0.6 - steer) / 0.1 s, falls to 0.8 rad/s
    knee = (0.6 - 0.08) / 0.8
    wanted = np.where(t < knee, 0.8 * t, 0.6 - 0.08 * np.exp(-(t - knee) / 0.1))
    assert steer == pytest.approx(wanted, abs=2e-3)
    assert steer.max() <= 0.6


def test_a_speed_is_approached_with_the_controllers_gain():
    """dv/dt = 0.5 (v0 - v), at most 2 m/s2: from 5 to 6 m/s an exponential, from 5 to 12 m/s a ramp until 8 m/s."""
    for goal in (6.0, 12.0):
        turn = {"kind": "turn", "angle": 0.01, "radius": 500.0, "speed": goal}
        ego = {"body": "car", "drive": 5.0, "speed": 5.0, "jerk": 0.0, "behaviour": [turn]}
        _, chunk = played({"actors": {"ego": ego}, "rate": 1000}, 5.0)
        t = column(chunk, "t")
        ramp = max(goal - 5.0 - 4.0, 0.0) / 2.0
        wanted = np.where(t < ramp, 5.0 + 2.0 * t, goal - min(goal - 5.0, 4.0) * np.exp(-0.5 * (t - ramp)))
        assert column(chunk, "speed") == pytest.approx(wanted, abs=2e-3)


@pytest.mark.parametrize("lead", [6.0, 15.0])
def test_car_following_is_the_equation_of_the_intelligent_driver_model(lead: float):
    """a (1 - (v / v0)^4 - (s* / s)^2), s* = s0 + max(v T + v (v - w) / (2 sqrt(a b)), 0): against SciPy."""
    follow = {"kind": "follow", "headway": 1.3, "gap": 2.5, "acceleration": 1.2, "comfort": 1.8}
    cars = {"ego": {"speed": 14.0, "jerk": 0.0, "behaviour": [follow]}, "lead": {"speed": lead, "gap": 40.0}}
    _, chunk = played({"actors": cars}, 12.0)
    t = column(chunk, "t", 0, 2)

    def rate(_: float, y: np.ndarray) -> list[float]:
        gap, v = y
        want = 2.5 + max(1.3 * v + v * (v - lead) / (2 * math.sqrt(1.2 * 1.8)), 0.0)
        return [lead - v, 1.2 * (1 - (v / 14.0) ** 4 - (want / gap) ** 2)]

    exact = solve_ivp(rate, (0.0, 12.0), [40.0, 14.0], t_eval=t, rtol=1e-10, atol=1e-12).y
    gap = column(chunk, "x", 1, 2) - column(chunk, "x", 0, 2) - 4.5

    assert gap == pytest.approx(exact[0], abs=2e-4)
    assert column(chunk, "speed", 0, 2) == pytest.approx(exact[1], abs=2e-4)


# -- integrators -------------------------------------------------------------------------------------------------------


def dynamic_car() -> Any:
    car = np.zeros(1, CAR)
    values = {
        "yaw": 0.3, "vlon": 22.0, "vlat": 0.4, "rate": 0.3, "a": -2.0, "j": 1.5, "wheel": 0.08, "mu": 0.7, "lf": 1.2,
        "lr": 1.5, "mass": 1500.0, "yaw_inertia": 2400.0, "high": 0.55, "cornering": 20.9,
        "half_w": 0.9, "wheelbase": 2.7,
    }  # fmt: skip
    for name, value in values.items():
        car[name] = value
    car["mode"] = DYNAMIC
    return car


def single_track(t: float, y: np.ndarray, c: Any) -> list[float]:
    """Right-hand side of the dynamic single-track model, from the model's description."""
    _, _, yaw, u, v, r = y
    lf, lr, m, mu, h = (float(c[name][0]) for name in ("lf", "lr", "mass", "mu", "high"))
    a, wheel = float(c["a"][0] + c["j"][0] * t), float(c["wheel"][0])
    weight_f, weight_r = m * (G * lr - h * a) / (lf + lr), m * (G * lf + h * a) / (lf + lr)
    left = math.sqrt(1.0 - (a / (mu * G)) ** 2)

    def force(weight: float, slip: float) -> float:
        linear, most = 20.9 * mu * weight * math.tan(slip), mu * weight * left
        return linear if abs(linear) <= most / 2 else math.copysign(most - most**2 / (4 * abs(linear)), linear)

    front = force(weight_f, wheel - math.atan2(v + lf * r, u))
    rear = force(weight_r, -math.atan2(v - lr * r, u))
    return [
        u * math.cos(yaw) - v * math.sin(yaw), u * math.sin(yaw) + v * math.cos(yaw), r,
        a + v * r - front * math.sin(wheel) / m, (front * math.cos(wheel) + rear) / m - u * r,
        (lf * front * math.cos(wheel) - lr * rear) / float(c["yaw_inertia"][0]),
    ]  # fmt: skip


def test_the_dynamic_single_track_is_its_own_equation_integrated_to_fourth_order():
    """Against SciPy at 1e-12; a half of the step has a sixteenth of the error."""
    car = dynamic_car()
    start = [0.0, 0.0, 0.3, 22.0, 0.4, 0.3]
    exact = solve_ivp(single_track, (0.0, 0.005), start, args=(car,), rtol=1e-13, atol=1e-14, method="DOP853").y[:, -1]
    integrate(car[0], 0.005)
    c = car[0]
    cy, sy = math.cos(c["yaw1"]), math.sin(c["yaw1"])
    got = [c["x1"], c["y1"], c["yaw1"], c["vx1"] * cy + c["vy1"] * sy, c["vy1"] * cy - c["vx1"] * sy, c["rate1"]]
    assert got == pytest.approx(exact, rel=1e-7, abs=1e-9)
    errors = []
    for n in (1, 2, 4):
        car = dynamic_car()
        for _ in range(2 * n):  # 10 ms in steps of 5 / n ms
            integrate(car[0], 0.005 / n)
            c = car[0]
            cy, sy = math.cos(c["yaw1"]), math.sin(c["yaw1"])
            for name, end in (("x", "x1"), ("y", "y1"), ("yaw", "yaw1"), ("rate", "rate1")):
                c[name] = c[end]
            c["vlon"], c["vlat"] = c["vx1"] * cy + c["vy1"] * sy, c["vy1"] * cy - c["vx1"] * sy
            c["a"] += c["j"] * 0.005 / n
        whole = solve_ivp(
            single_track, (0.0, 0.01), start, args=(dynamic_car(),), rtol=1e-13, atol=1e-15, method="DOP853"
        ).y[:, -1]
        errors.append(abs(float(car[0]["rate"]) - whole[5]))
    assert errors[0] / errors[1] == pytest.approx(16.0, rel=0.25)


def test_the_tyre_is_linear_then_approaches_its_limit():
    """Dugoff: continuous with its slope at half of the limit; never above it; odd."""
    most, stiff = 3000.0, 60000.0
    knee = math.atan(0.5 * most / stiff)
    assert dugoff(stiff, 0.5 * knee, most) == pytest.approx(stiff * math.tan(0.5 * knee), rel=1e-12)
    slope = [(dugoff(stiff, knee + s * 1e-6, most) - dugoff(stiff, knee, most)) / (s * 1e-6) for s in (-1, 1)]
    assert slope[0] == pytest.approx(slope[1], rel=1e-3)
    forces = [dugoff(stiff, slip, most) for slip in np.linspace(0.0, 1.4, 50)]
    assert all(np.diff(forces) > 0.0)
    assert 0.99 * most < forces[-1] < most
    assert dugoff(stiff, -0.3, most) == -dugoff(stiff, 0.3, most)
    assert dugoff(stiff, 0.3, most) == pytest.approx(most * (1 - most / (4 * stiff * math.tan(0.3))), rel=1e-12)


def test_a_sliding_body_is_integrated_to_second_order():
    """A spinning car on locked wheels: a half of the step has a quarter of the error; four wheels, each a quarter."""
    ends = []
    for rate in (100, 200, 400, 1600):
        tree = {
            "rate": rate, "friction": 0.3, "settle": 1.0,
            "actors": {
                "ego": {"speed": 20.0, "jerk": 0.0}, "van": {"body": "van", "speed": 0.0, "gap": 1.0, "offset": 1.2},
            },
        }  # fmt: skip
        _, chunk = played(tree, 0.5)
        assert chunk.motion is not None
        ends.append(chunk.motion.pose[0, -1, 0, :2].copy())
    errors = [float(np.linalg.norm(end - ends[-1])) for end in ends[:3]]
    assert 3.0 < errors[0] / errors[1] < 6.0
