"""Poses, velocities, rows and contacts are one motion, in every mode: each is the derivative or the value of another.

Modes: on rails, kinematic and dynamic single-track, sliding on locked wheels, held by PyBullet; forwards, backwards
and oncoming; on straight roads and in bends. Nothing here knows how a mode computes its motion.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mischance.api.geometry import Rectangle, oriented_gap
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault, join_chunks
from mischance.simulators.road import Road

G = 9.81


def run(tree: dict[str, Any], until: float, *faults: Fault) -> tuple[Road, Chunk]:
    world = Road(Road.Settings.model_validate(tree))
    chunks = [world.start([Draw(7, 0, faults=faults)], [Streams(7, 0)]), world.advance(until, None)]
    return world, join_chunks(chunks)


def brake(at: float, size: float = 6.0, **more: float) -> dict[str, Any]:
    return {"kind": "brake", "at": at, "deceleration": size, **more}


def change(at: float, to: int, takes: float = 2.0) -> dict[str, Any]:
    return {"kind": "change_lane", "at": at, "to": to, "takes": takes}


BEND = {"lanes": 3, "line": [{"length": 30.0}, {"length": 60.0, "radius": 60.0}, {"length": 40.0, "radius": -70.0}]}
CROSSES = {"kind": "cross", "at": 0.3, "angle": 1.1, "speed": 2.0, "acceleration": 1.5, "stop_after": 2.5}
TREES: dict[str, dict[str, Any]] = {
    "single-tracks": {
        "road": BEND,
        "actors": {
            "ego": {"speed": 14.0, "lane": 2, "model": "kinematic", "behaviour": [change(0.5, 3), brake(1.5, 5.0)]},
            "slips": {"speed": 16.0, "gap": 12.0, "model": "dynamic", "heading": 0.05, "behaviour": [change(0.4, 2)]},
            "comes": {"body": "bus", "speed": 12.0, "oncoming": True, "lane": 1, "offset": -4.0, "gap": 80.0},
            "backs": {"speed": 3.0, "reverse": True, "lane": 3, "gap": -30.0, "balance": 0.4},
            "rides": {"body": "cyclist", "speed": 5.0, "lane": 1, "offset": -8.0, "gap": 1.0},
        },
    },
    "on rails": {
        "road": BEND,
        "actors": {
            "ego": {"speed": 0.0, "lane": 3},
            "walks": {"body": "pedestrian", "speed": 0.0, "offset": -3.0, "gap": 20.0, "behaviour": [CROSSES]},
            "trots": {"body": "animal", "speed": 6.0, "lane": 2, "gap": 14.0, "behaviour": [brake(1.5, 3.0)]},
            "turns": {"speed": 7.0, "lane": 1, "gap": -30.0, "behaviour": [
                {"kind": "turn", "angle": 0.9, "radius": 12.0, "at": 0.4, "speed": 6.0}]},
        },
    },
    "sliding": {
        "friction": 0.4, "settle": 9.0,
        "actors": {
            "ego": {"speed": 20.0, "lane": 2},
            "van": {"body": "van", "speed": 5.0, "lane": 2, "gap": 6.0, "offset": 1.1, "heading": 0.2},
            "third": {"speed": 0.0, "lane": 2, "gap": 20.0, "offset": -0.9, "heading": 0.7},
        },
    },
    "held": {
        "friction": 0.5, "settle": 9.0, "impact": {"model": "window"},
        "actors": {
            "ego": {"speed": 22.0, "lane": 2},
            "van": {"body": "van", "speed": 5.0, "lane": 2, "gap": 6.0, "offset": 1.1, "heading": 0.2},
            "third": {"speed": 10.0, "lane": 1, "gap": 40.0},
        },
    },
}  # fmt: skip
SMOOTH = {"single-tracks": 4e-3, "on rails": 4e-3, "sliding": 2e-2, "held": 0.1}  # of velocities [m/s], [rad/s]


@pytest.mark.parametrize("name", TREES)
def test_velocities_are_the_change_of_poses_and_rows_are_states(name: str):
    world, chunk = run({"rate": 1000, **TREES[name]}, 3.0)
    names = list(world._batch.names)
    motion = chunk.motion
    assert motion is not None
    pose, velocity, h = motion.pose[0], motion.velocity[0], 1e-3
    quiet = np.ones(pose.shape[:2], bool)
    hits = chunk.tables["contacts"].columns
    for t, a, b in zip(hits["t"], hits["a"], hits["b"], strict=True):
        k = round(float(t) / h)
        quiet[max(k - 2, 0) : k + 3, [int(a), int(b)]] = False
    x, y, z, w = (pose[..., 3 + i] for i in range(4))
    yaw = np.unwrap(2.0 * np.arctan2(z, w), axis=0) if name != "held" else np.zeros_like(x)
    flat = np.stack([pose[..., 0], pose[..., 1], yaw], axis=-1)
    change = (flat[2:] - flat[:-2]) / (2.0 * h)
    own = np.stack([velocity[..., 0], velocity[..., 1], velocity[..., 5]], axis=-1)[1:-1]
    if name == "held":
        change, own = change[..., :2], own[..., :2]
    wrong = np.abs(change - own).max(axis=-1)
    share = (wrong <= SMOOTH[name])[quiet[1:-1]]  # where an acceleration jumps, the difference is half of its step
    assert share.mean() > 0.99, wrong.max()
    assert wrong[quiet[1:-1]].max() < 0.2
    assert np.sum(np.square(pose[..., 3:]), axis=-1) == pytest.approx(1.0, abs=1e-9)
    rows = {key: np.asarray(values).reshape(-1, len(names)) for key, values in chunk.tables["actors"].columns.items()
            if np.asarray(values).dtype.kind in "fbi"}  # fmt: skip
    at = np.round(rows["t"][:, 0] / h).astype(int)
    backwards = np.array([-1.0 if world.settings.actors[one].reverse else 1.0 for one in names])
    for key, values in (("x", pose[..., 0]), ("y", pose[..., 1]), ("vx", velocity[..., 0]), ("vy", velocity[..., 1])):
        assert rows[key] == pytest.approx(values[at], abs=1e-12), key
    assert rows["yaw_rate"] == pytest.approx(velocity[at][..., 5], abs=1e-12)
    m20, m00 = 2.0 * (x * y + z * w)[at], 1.0 - 2.0 * (y * y + z * z)[at]
    assert np.cos(rows["yaw"] - np.arctan2(m20, m00)) == pytest.approx(1.0, abs=1e-9)
    ahead = velocity[at][..., 0] * np.cos(rows["yaw"]) + velocity[at][..., 1] * np.sin(rows["yaw"])
    hit = rows["hit"].astype(bool)
    assert rows["speed"][~hit] == pytest.approx(ahead[~hit], abs=1e-9)
    hypot = np.hypot(velocity[at][..., 0], velocity[at][..., 1]) * backwards
    assert rows["speed"][hit] == pytest.approx(hypot[hit], abs=1e-9)
    if name == "held":
        return
    assert not rows["roll"].any()
    assert not rows["pitch"].any()
    # a wheel that turns changes the centre's speed too: only rails and slides have the acceleration of their speed
    rails = np.array([world.settings.actors[one].body in ("pedestrian", "animal") for one in names])
    pace = np.hypot(velocity[..., 0], velocity[..., 1])
    last = np.maximum(at - 1, 0)
    free = quiet[at] & (pace[at] > 0.05) & (at > 0)[:, None] & (hit | rails)
    off = np.abs((pace[at] - pace[last]) / h - rows["acceleration"])[free]
    assert name == "single-tracks" or (len(off) > 20 and np.quantile(off, 0.9) < 0.02), off


@pytest.mark.parametrize("name", ["single-tracks", "on rails", "sliding"])
def test_a_step_of_any_length_is_the_integral_of_its_velocities(name: str):
    """Trapezoidal rule: exact where accelerations are constant, as on locked wheels; else with an error of h^2 / 12."""
    for rate in (100, 20):
        world, chunk = run({"rate": rate, **TREES[name]}, 3.0)
        motion, h = chunk.motion, 1.0 / rate
        assert motion is not None
        pose, velocity = motion.pose[0], motion.velocity[0]
        hits = chunk.tables["contacts"].columns
        quiet = np.ones((len(pose) - 1, pose.shape[1]), bool)
        for t, a, b in zip(hits["t"], hits["a"], hits["b"], strict=True):
            quiet[max(int(float(t) / h) - 1, 0) : int(float(t) / h) + 2, [int(a), int(b)]] = False
        yaw = np.unwrap(2.0 * np.arctan2(pose[..., 5], pose[..., 6]), axis=0)
        flat = np.stack([pose[..., 0], pose[..., 1], yaw], axis=-1)
        own = np.stack([velocity[..., 0], velocity[..., 1], velocity[..., 5]], axis=-1)
        wrong = np.abs((flat[1:] - flat[:-1]) / h - 0.5 * (own[1:] + own[:-1])).max(axis=-1)
        if name == "sliding" and rate == 100:  # one segment a step; the last one may end within it
            since = np.array([min((float(t) for t, a, b in zip(hits["t"], hits["a"], hits["b"], strict=True)
                                   if i in (a, b)), default=math.inf) for i in range(pose.shape[1])])  # fmt: skip
            moves = np.hypot(own[..., 0], own[..., 1]) > 0.1
            slides = quiet & (motion.t[:-1, None] > since) & moves[1:]
            assert slides.sum() > 100
            assert np.quantile(wrong[slides], 0.98) < 1e-9
            assert wrong[slides].max() < 1e-4
        # a driver's wheels jump at every segment, and the yaw rate with them
        assert np.quantile(wrong[quiet], 0.98) < {100: 0.04, 20: 0.2}[rate]
        assert world.settings.rate == rate


def test_a_contact_inside_a_step_lies_on_the_motion_before_it():
    """Pose and velocity at the contact, carried on from the steps before it: the boxes touch, and the speeds agree."""
    seen = set()
    rng = np.random.default_rng(17)
    for n in range(24):
        mode = ("kinematic", "dynamic", "sliding", "rails")[n % 4]
        v, mu = float(rng.uniform(14, 24)), 0.1 if mode == "sliding" else 0.8
        wall = {"body": "occluder", "speed": 0.0, "width": 4.0, "length": 0.5, "heading": float(rng.uniform(-0.4, 0.4)),
                "lane": 2, "station": float(rng.uniform(24.0, 40.0))}  # fmt: skip
        ego = {"speed": v, "lane": 2, "heading": 0.1, "model": "dynamic" if mode == "dynamic" else "kinematic",
               "behaviour": [brake(0.2, 5.0)]}  # fmt: skip
        tree: dict[str, Any] = {"rate": 2000, "friction": mu, "settle": 9.0, "actors": {"ego": ego, "wall": wall}}
        pair = (0, 1)
        if mode == "sliding":
            tree["actors"] = {
                "ego": {**ego, "behaviour": []}, "wall": {**wall, "station": 27.0, "width": 5.0, "length": 8.0},
                "van": {"body": "van", "speed": 1.0, "gap": 6.0, "lane": 2, "offset": float(rng.uniform(-1, 1)) * 1.2},
            }  # fmt: skip
            pair = (1, 2)
        elif mode == "rails":
            tree["actors"] = {
                "ego": {"speed": 0.0, "lane": 3}, "wall": {**wall, "lane": 1, "heading": 1.2, "station": 12.0},
                "deer": {"body": "animal", "speed": 9.0, "lane": 1, "station": 1.0, "behaviour": [brake(0.2, 2.0)]},
            }  # fmt: skip
            pair = (1, 2)
        world, fine = run(tree, 4.0)
        found = [
            {key: values[i] for key, values in fine.tables["contacts"].columns.items()}
            for i in range(len(fine.tables["contacts"]))
        ]
        found = [hit for hit in found if (hit["a"], hit["b"]) == pair][:1]
        if not found:
            continue
        hit = found[0]
        assert fine.motion is not None
        k, h = int(hit["t"] * 2000), 1 / 2000
        tau = hit["t"] - k * h
        boxes = []
        for one in pair:
            p, v0, v1 = (
                fine.motion.pose[0, k, one],
                fine.motion.velocity[0, k - 1, one],
                fine.motion.velocity[0, k, one],
            )
            a = (v1 - v0) / h
            yaw = 2.0 * math.atan2(p[5], p[6]) + v1[5] * tau + 0.5 * a[5] * tau**2
            x, y = (p[i] + v1[i] * tau + 0.5 * a[i] * tau**2 for i in range(2))
            car = world._batch.cars[0, one]
            boxes.append(Rectangle(x, y, yaw, 2.0 * car["half_l"], 2.0 * car["half_w"]))
            name = "ab"[pair.index(one)]
            speed = np.hypot(v1[0] + a[0] * tau, v1[1] + a[1] * tau)
            assert hit[f"speed_{name}"] == pytest.approx(speed, abs=2e-4)
        assert float(oriented_gap(*boxes)) == pytest.approx(0.0, abs=2e-6)
        seen.add(mode)
        if mode != "sliding":  # the step is of no account, but for the controller, which acts at every step
            _, coarse = run({**tree, "rate": 20}, 4.0)
            columns = coarse.tables["contacts"].columns
            assert columns["t"][0] == pytest.approx(hit["t"], abs=2e-3)
            assert columns["speed_a"][0] == pytest.approx(hit["speed_a"], abs=0.02)
    assert seen == {"kinematic", "dynamic", "sliding", "rails"}
