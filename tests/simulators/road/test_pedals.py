"""Pedals, dead times, lane changes and a blown tyre against profiles that are integrated or known in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, join_chunks
from mischance.api.tables import Table
from mischance.simulators.road import Road

G = 9.81


def run(tree: dict[str, Any], until: float, *faults: Fault) -> Chunk:
    world = Road(Road.Settings.model_validate(tree))
    chunks = [world.start([Draw(7, 0, faults=faults)], [Streams(7, 0)]), world.advance(until, None)]
    return join_chunks(chunks)


def column(chunk: Chunk, name: str) -> np.ndarray:
    return np.asarray(chunk.tables["actors"].columns[name])


def test_braking_is_the_ramp_that_jerk_brakes_fade_and_grip_allow():
    """Speed and way from the integrated profile min(jerk t, asked, brakes) (1 - fade), cut off at the grip."""
    rng = np.random.default_rng(71)
    for _ in range(40):
        v, asked, jerk, mu, fade = (float(rng.uniform(*b)) for b in ((3, 40), (1, 14), (3, 30), (0.1, 1), (0, 0.7)))
        ego = {
            "speed": v,
            "jerk": jerk,
            "brakes": 9.0,
            "behaviour": [{"kind": "brake", "at": 0.5, "deceleration": asked}],
        }
        chunk = run(
            {"friction": mu, "actors": {"ego": ego}}, 6.0, Fault("fault:0", "ego.brakes", "fade", 0.1, 99.0, fade)
        )
        t = np.linspace(0.0, 6.0, 60_001)
        a = np.minimum(np.minimum(jerk * np.clip(t - 0.5, 0.0, None), min(asked, 9.0)) * (1 - fade), mu * G)
        speed = np.clip(v - np.concatenate([[0.0], np.cumsum(0.5 * (a[1:] + a[:-1]) * 1e-4)]), 0.0, None)
        way = np.concatenate([[0.0], np.cumsum(0.5 * (speed[1:] + speed[:-1]) * 1e-4)])
        at = np.round(column(chunk, "t") * 1e4).astype(int)
        assert column(chunk, "speed") == pytest.approx(speed[at], abs=2e-3)
        assert column(chunk, "x") == pytest.approx(way[at], abs=2e-3)
        moving = speed[at] > 0.0
        assert column(chunk, "acceleration")[moving] == pytest.approx(-a[at][moving], abs=1e-6)
        assert not column(chunk, "acceleration")[~moving][1:].any()


@pytest.mark.parametrize(
    ("kind", "key", "size", "to"), [("brake", "deceleration", 5.0, 12.0), ("accelerate", "acceleration", 3.0, 27.0)]
)
@pytest.mark.parametrize("jerk", [0.0, 6.0])
def test_a_pedal_is_released_so_that_the_speed_asked_for_is_reached_and_kept(kind, key, size, to, jerk):
    """From 20 m/s: the ramps up and down, and what lies between, change the speed by just the difference."""
    ego = {"speed": 20.0, "jerk": jerk, "behaviour": [{"kind": kind, "at": 0.2, key: size, "to": to}]}
    chunk = run({"actors": {"ego": ego}}, 8.0)
    speed, t = column(chunk, "speed"), column(chunk, "t")
    assert speed[-1] == pytest.approx(to, abs=1e-4)
    over = speed - to if kind == "accelerate" else to - speed
    assert over.max() < 0.02
    lasts = abs(to - 20.0) / size + (size / jerk if jerk else 0.0)
    assert np.abs(speed[t > 0.2 + lasts + 0.02] - to).max() < 0.02
    assert np.abs(speed[t < 0.2 + lasts - 0.1] - to).min() > 0.005


def commanded(world: Road, acceleration: float) -> Commands:
    values = {"actor": "ego", "acceleration": acceleration, "steer": 0.0, "keep_path": True}
    columns = {name: np.array([values[name]], object if name == "actor" else None) for name in world.commands}
    return Commands(Table(world.commands, columns, np.array([0, 1], np.int64)), np.ones(1, np.bool_))


def test_commands_act_after_the_dead_time_in_order_and_a_longer_dead_time_lets_nothing_overtake():
    """0.3 s of dead time, 0.2 s more by a fault from 1 to 1.5 s: each command acts at its own time, or not at all
    where a later one has acted before it.
    """
    tree = {"friction": 1.2, "rate": 200, "actors": {"ego": {"speed": 30.0, "jerk": 0.0, "delay": 0.3}}}
    world = Road(Road.Settings.model_validate(tree))
    chunks = [
        world.start([Draw(7, 0, faults=(Fault("fault:0", "ego.actuator", "delay", 1.0, 1.5, 0.2),))], [Streams(7, 0)])
    ]
    given = [(0.1 * k, -0.1 * k - 0.1) for k in range(25)]
    for k, (_, a) in enumerate(given):
        chunks.append(world.advance(0.1 * (k + 1), commanded(world, a)))
    whole = join_chunks(chunks)
    due = [(t + 0.3 + (0.2 if 0.999 < t < 1.499 else 0.0), a) for t, a in given]
    for t, a in zip(column(whole, "t"), column(whole, "acceleration"), strict=True):
        if abs(t / 0.1 - round(t / 0.1)) < 1e-6:  # at the very moment
            continue
        # a command that is due later than a newer one is dropped
        newer = [
            value for i, (when, value) in enumerate(due) if when <= t and not any(w <= when for w, _ in due[i + 1 :])
        ]
        assert a == pytest.approx(newer[-1] if newer else 0.0, abs=1e-9), t


def test_more_commands_wait_than_the_queue_holds_and_the_newest_are_kept():
    tree = {"friction": 1.2, "rate": 1000, "actors": {"ego": {"speed": 30.0, "jerk": 0.0, "delay": 2.0}}}
    world = Road(Road.Settings.model_validate(tree))
    world.start([Draw(7, 0)], [Streams(7, 0)])
    for k in range(100):
        world.advance(0.001 * (k + 1), commanded(world, -0.01 * (k + 1)))
    chunk = world.advance(3.0, None)
    assert column(chunk, "acceleration")[-1] == pytest.approx(-1.0, abs=1e-9)


@pytest.mark.parametrize("takes", [2.0, 4.0])
def test_a_lane_change_is_the_minimum_jerk_quintic(takes: float):
    """3.5 m; the rear axle follows 10 s^3 - 15 s^4 + 6 s^5 within 2 cm, and turns no further than its slope asks."""
    change = {"kind": "change_lane", "at": 0.5, "to": 2, "takes": takes}
    ego = {"speed": 25.0, "steer_rate": 5.0, "model": "kinematic", "behaviour": [change]}
    chunk = run({"actors": {"ego": ego}}, takes + 2.0)
    t, x = column(chunk, "t"), column(chunk, "yaw")
    s = np.clip((t - 0.5) / takes, 0.0, 1.0)
    y = 1.75 + 3.5 * s**3 * (10 - 15 * s + 6 * s**2)
    rear = column(chunk, "y") - 1.35 * np.sin(x)
    assert rear == pytest.approx(y, abs=0.02)
    slope = 3.5 * 30 * s**2 * (1 - s) ** 2 / takes / 25.0
    assert x == pytest.approx(np.arcsin(slope), abs=0.004)


def test_two_lane_changes_that_overlap_blend():
    """The second starts from where the first would be: y = first (1 - share) + second share."""
    moves = [
        {"kind": "change_lane", "at": 0.5, "to": 2, "takes": 4.0},
        {"kind": "change_lane", "at": 2.0, "to": 1, "takes": 3.0},
    ]
    ego = {"speed": 25.0, "steer_rate": 5.0, "model": "kinematic", "behaviour": moves}
    chunk = run({"actors": {"ego": ego}}, 6.0)
    t = column(chunk, "t")
    first, second = (np.clip((t - at) / takes, 0.0, 1.0) for at, takes in ((0.5, 4.0), (2.0, 3.0)))
    one, two = (s**3 * (10 - 15 * s + 6 * s**2) for s in (first, second))
    y = (1.75 + 3.5 * one) * (1 - two) + 1.75 * two
    assert column(chunk, "y") - 1.35 * np.sin(column(chunk, "yaw")) == pytest.approx(y, abs=0.02)


def test_a_blown_tyre_drags_and_pulls_to_the_left():
    """0.3 × a quarter of the weight: 0.736 m/s2; its torque 0.8 half widths off the middle turns the car at once."""
    ego = {"speed": 25.0, "steer_rate": 0.01, "inertia": 2400.0}
    for severity in (0.5, 1.0):
        chunk = run(
            {"rate": 1000, "actors": {"ego": ego}}, 1.5, Fault("fault:0", "ego.tyre", "blow_out", 1.0, 99.0, severity)
        )
        t = column(chunk, "t")
        drag = severity * 0.3 * 0.25 * G
        first = chunk.motion
        assert first is not None
        k = 1010  # 10 ms after it: before the tyres answer
        assert (first.velocity[0, k, 0, 0] - 25.0) / 0.01 == pytest.approx(-drag, rel=0.35)
        assert first.velocity[0, 1002, 0, 5] / 0.002 == pytest.approx(drag * 1500.0 * 0.8 * 0.9 / 2400.0, rel=0.05)
        assert column(chunk, "acceleration")[t > 1.01] == pytest.approx(-drag, abs=0.3)
        assert column(chunk, "y")[-1] > 1.75


@pytest.mark.parametrize("acceleration", [0.5, 3.0])
def test_a_walker_leaves_in_time_whether_it_reaches_its_speed_or_not(acceleration: float):
    """1.5 m/s are reached after 2.25 m at 0.5 m/s2; the middle of the car's front is 2.0 m away."""
    cross = {"kind": "cross", "when": {"arrive": 0.5}, "speed": 1.5, "acceleration": acceleration}
    walker = {"body": "pedestrian", "speed": 0.0, "station": 60.0, "lane": 1, "offset": -2.0, "behaviour": [cross]}
    chunk = run({"actors": {"ego": {"speed": 10.0}, "walker": walker}}, 9.0)
    hit = chunk.tables["contacts"].columns
    # it is hit when the front reaches it: its own half depth, 0.3 m, before its centre
    assert hit["t"][0] == pytest.approx((60.0 - 0.3 - 2.25) / 10.0, abs=1e-6)
    start = float(chunk.events.columns["t"][0])
    since = hit["t"][0] - start
    ramp = min(since, 1.5 / acceleration)
    moved = 0.5 * acceleration * ramp**2 + 1.5 * (since - ramp)
    assert moved == pytest.approx(2.0, abs=0.02)
