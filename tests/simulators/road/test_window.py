"""Contacts in a window of PyBullet: records of pushes by hand, bodies that lean, roll over and come to rest."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault, join_chunks
from mischance.simulators.road import Road
from mischance.simulators.road.bullet_window import LEAST, TOPPLED, Push, Window, _pushed, energies
from mischance.simulators.road.state import CAR, HELD
from mischance.simulators.road.tables import entry

G = 9.81


def played(tree: dict[str, Any], until: float) -> tuple[Road, Chunk]:
    world = Road(Road.Settings.model_validate({"impact": {"model": "window"}, **tree}))
    chunks = [world.start([Draw(7, 0)], [Streams(7, 0)]), world.advance(until, None)]
    return world, join_chunks(chunks)


def cars() -> Any:
    """Return a car, a van that drives backwards, and a wall; masses 1500, 2800 and none."""
    found = np.zeros(3, CAR)
    for n, (x, y, yaw, mass, face) in enumerate(
        ((1.0, 2.0, 0.3, 1500.0, 1), (5.0, 3.0, -0.4, 2800.0, -1), (0, 9, 0, 99, 1))
    ):
        values = {"x": x, "y": y, "yaw": yaw, "cosine": math.cos(yaw), "sine": math.sin(yaw), "mass": mass,
                  "inv_mass": 1 / mass if n < 2 else 0.0, "inertia": 2.0 * mass, "face": face, "vx": 3.0 + n,
                  "vy": -1.0, "rate": 0.5 * n}  # fmt: skip
        for name, value in values.items():
            found[n][name] = value
    return found


def test_the_kinetic_energies_of_actors_in_the_plane():
    """m v^2 / 2 + I w^2 / 2; a wall has none, however it is said to move. A mass of less than 1 kg counts too."""
    some = cars()
    some["mass"][1], some["inv_mass"][1], some["inertia"][1] = 0.5, 2.0, 1.0
    assert energies(some) == pytest.approx([0.5 * 1500 * 10, 0.5 * 0.5 * 17 + 0.5 * 0.25, 0.0])


def test_the_record_of_a_push_follows_from_its_impulse_and_the_poses():
    some = cars()
    push = Push(1.5, 0, 1, (0.6, 0.8), (3.0, 2.5), (900.0, 1200.0))
    before, after = np.array([900.0, 500.0, 7.0]), np.array([300.0, 700.0, 7.0])
    speeds = np.array([[9.0, 2.0], [1.0, -1.0], [0.0, 0.0]])
    got = entry(some, push, (before, after), speeds, np.array([0.2, -0.7, 0.0]))

    def bearing(x: float, y: float, yaw: float) -> float:
        return math.remainder(math.atan2(y, x) - yaw, 2 * math.pi)

    yaws = (0.3, -0.4 + math.pi)  # the van's rear is ahead
    wanted = {
        "t": 1.5, "a": 0, "b": 1, "nx": 0.6, "ny": 0.8, "px": 3.0, "py": 2.5, "jx": 900.0, "jy": 1200.0,
        "dvax": -0.6, "dvay": -0.8, "dvbx": 900 / 2800, "dvby": 1200 / 2800, "dwa": 0.2, "dwb": -0.7,
        "vax": 9.0, "vay": 2.0, "vbx": 1.0, "vby": -1.0, "yaw_a": 0.3, "yaw_b": -0.4,
        "lost_a": 600.0, "lost_b": -200.0, "lost": 400.0, "speed_a": math.hypot(9, 2), "speed_b": math.sqrt(2),
        "closing": 8.0 * 0.6 + 3.0 * 0.8, "bearing_a": bearing(2.0, 0.5, yaws[0]),
        "bearing_b": bearing(-2.0, -0.5, yaws[1]), "force_a": bearing(900, 1200, yaws[0]),
        "force_b": bearing(-900, -1200, yaws[1]), "side_a": 0, "side_b": 2,
    }  # fmt: skip
    assert {name: float(got[name]) for name in wanted} == pytest.approx(wanted, rel=1e-12)
    apart = entry(some, push._replace(normal=(-0.6, -0.8)), (before, after), speeds, np.zeros(3))
    assert float(apart["closing"]) == 0.0


@pytest.mark.parametrize(("angle", "side"), [(0.0, 0), (0.78, 0), (0.79, 2), (2.35, 2), (2.36, 1), (3.1, 1),
                                             (-0.78, 0), (-0.79, 3), (-2.35, 3), (-2.36, 1)])  # fmt: skip
def test_the_side_of_a_push_is_where_its_normal_comes_from(angle: float, side: int):
    """Front and rear within 45 degrees of the axis, else left or right; of `a` the normal points there."""
    some = cars()
    normal = (math.cos(0.3 + angle), math.sin(0.3 + angle))
    none = np.zeros(3)
    got = entry(some, Push(0.0, 0, 1, normal, (3, 2), normal), (none, none), np.zeros((3, 2)), none)
    assert got["side_a"] == side


def test_the_force_of_a_contact_point_is_that_of_its_normal_and_of_both_frictions():
    point: list[Any] = [None] * 14
    point[7], point[9] = (0.6, 0.8, 0.0), 10.0
    point[10], point[11], point[12], point[13] = 3.0, (0.8, -0.6, 0.0), 5.0, (0.0, 0.2, 1.0)
    assert _pushed(point) == pytest.approx((6.0 + 2.4, 8.0 - 1.8 + 1.0))


def test_the_contact_points_of_a_pair_add_up_to_one_push():
    """Two points, the bodies the other way round in the second: force-weighted normal and place, impulse on b."""

    def point(force: float, normal: tuple[float, float], place: tuple[float, float], friction: float) -> list[Any]:
        found: list[Any] = [0.0] * 14
        found[5], found[7], found[9] = (*place, 0.0), (*normal, 0.0), force
        found[10], found[11], found[12], found[13] = friction, (0.0, 1.0, 0.0), 0.0, (1.0, 0.0, 0.0)
        return found

    found: dict[tuple[int, int], list[float]] = {}
    Window._note(found, 0, 2, point(10.0, (-1.0, 0.0), (3.0, 4.0), 2.0), 1.5, 0.001)
    Window._note(found, 2, 0, point(30.0, (0.6, 0.8), (5.0, 6.0), 1.0), 1.6, 0.002)
    Window._note(found, 1, 2, point(7.0, (-1.0, 0.0), (0.0, 0.0), 0.0), 1.7, 0.001)
    assert list(found) == [(0, 2), (1, 2)]
    # from a to b: against the engine's normal, which points to the first of its two
    normal = 10.0 + 30.0 * 0.6, 30.0 * 0.8
    place = 10.0 * 3 + 30.0 * 5, 10.0 * 4 + 30.0 * 6
    impulse = 10.0 * 0.001 + 18.0 * 0.002, -2.0 * 0.001 + 25.0 * 0.002
    assert found[0, 2] == pytest.approx([1.5, 40.0, *normal, *place, *impulse])
    assert found[1, 2] == pytest.approx([1.7, 7.0, 7.0, 0.0, 0.0, 0.0, 0.007, 0.0])


def test_friction_is_set_in_the_engine_when_it_changes_and_not_at_every_step(monkeypatch):
    calls = []
    real = Window._set_grip
    monkeypatch.setattr(Window, "_set_grip", lambda self, grip: (calls.append(grip), real(self, grip))[1])
    tree = {"friction": 0.8, "actors": {"ego": {"speed": 25.0}, "other": {"speed": 0.0, "gap": 5.0}}}
    world = Road(Road.Settings.model_validate({"impact": {"model": "window"}, **tree}))
    world.start([Draw(7, 0, faults=(Fault("fault:0", "road", "friction", 0.6, 0.9, 0.1),))], [Streams(7, 0)])
    world.advance(1.2, None)
    assert calls == pytest.approx([0.8, 0.1, 0.8])


def test_a_body_is_written_with_the_middle_of_its_box_whatever_its_centre_of_mass():
    """It lies on its left side and turns about its centre of mass, which is 0.3 m below the middle of the box."""
    some = np.zeros(2, CAR)
    for n, car in enumerate(some):
        values = {"x": 10.0 + 30 * n, "half_l": 2.0, "half_w": 1.0, "height": 1.6, "high": 0.5, "mass": 1000.0,
                  "inv_mass": 1e-3, "inertia": 2000.0, "cosine": 1.0}  # fmt: skip
        for name, value in values.items():
            car[name] = value
    window = Window(some, 0, 1, 0.1, 0.3, 0.8)
    bullet, c, body = window._bullet, window._c, window._bodies[0]
    half = math.sqrt(0.5)
    for turn, up in (((half, 0.0, 0.0, half), (0.0, -1.0, 0.0)), ((0.0, half, 0.0, half), (1.0, 0.0, 0.0))):
        bullet.resetBasePositionAndOrientation(body, [1.0, 2.0, 3.0], turn, physicsClientId=c)
        bullet.resetBaseVelocity(body, [4.0, 5.0, 6.0], [0.7, 0.8, 0.9], physicsClientId=c)
        some[0]["mode"] = HELD
        window._write(some[0], body)
        arm = 0.3 * np.array(up)
        place = np.array([11.0, 2.0, 3.0]) + arm
        speed = np.array([4.0, 5.0, 6.0]) + np.cross([0.7, 0.8, 0.9], arm)
        assert [float(some[0][name]) for name in ("x", "y", "z")] == pytest.approx(place)
        assert [float(some[0][name]) for name in ("vx", "vy", "vz")] == pytest.approx(speed)
        assert [float(some[0][name]) for name in ("wx", "wy", "rate")] == pytest.approx([0.7, 0.8, 0.9])
        assert float(some[0]["speed"]) == pytest.approx(math.hypot(*speed[:2]))
        assert window.tilt(0) == pytest.approx(math.pi / 2)
        yaw = float(some[0]["yaw"])
        assert float(some[0]["vlon"]) == pytest.approx(speed[0] * math.cos(yaw) + speed[1] * math.sin(yaw))
        assert float(some[0]["vlat"]) == pytest.approx(speed[1] * math.cos(yaw) - speed[0] * math.sin(yaw))
        assert (float(some[0]["cosine"]), float(some[0]["sine"])) == pytest.approx((math.cos(yaw), math.sin(yaw)))
    assert float(some[0]["pitch"]) == pytest.approx(math.pi / 2, abs=1e-6)
    assert window.tilt(1) == 0.0, "the road's models hold it upright"
    for roll, pitch, yaw in ((0.4, 0.0, 0.0), (-0.4, 0.0, 2.0), (0.0, 0.3, -1.0), (0.0, -0.3, 0.5)):
        turn = bullet.getQuaternionFromEuler([roll, pitch, yaw])
        bullet.resetBasePositionAndOrientation(body, [0.0, 0.0, 1.0], turn, physicsClientId=c)
        window._write(some[0], body)
        angles = [float(some[0][name]) for name in ("roll", "pitch", "yaw")]
        assert angles == pytest.approx([roll, pitch, yaw], abs=1e-6)
        assert window.tilt(0) == pytest.approx(abs(roll + pitch), abs=1e-6)
    window.close()


def test_the_bodies_of_a_window_have_the_masses_inertias_and_frictions_of_the_actors():
    world, _ = played(
        {"friction": 0.6, "impact": {"model": "window", "friction": 0.36, "restitution": 0.25}, "actors": {
            "ego": {"speed": 15.0, "mass_height": 1.9}, "wall": {"body": "occluder", "speed": 0.0, "gap": 3.0},
            "far": {"speed": 0.0, "lane": 3, "gap": 60.0}}}, 0.3)  # fmt: skip
    window = world._windows[0]
    infos = [window._bullet.getDynamicsInfo(body, -1, physicsClientId=window._c) for body in window._bodies]
    assert [info[0] for info in infos] == [1500.0, 0.0, 1500.0]
    inertia = [500 * (0.81 + 0.5625), 500 * (2.25**2 + 0.5625), 125 * (4.5**2 + 1.8**2)]
    assert infos[0][2] == pytest.approx(inertia)
    assert [info[1] for info in infos] == pytest.approx([0.6] * 3)  # the pair's is their product
    assert [info[5] for info in infos] == pytest.approx([0.5] * 3)
    assert window.grip() == pytest.approx(0.6)
    # the centre of mass is at most at 95 % of the height
    place = window._bullet.getBasePositionAndOrientation(window._bodies[2], physicsClientId=window._c)[0]
    assert place[2] == pytest.approx(0.55, abs=2e-3)
    # the ground carries those that PyBullet moves; what the road's models move includes it
    on_ground = [window._bullet.getContactPoints(window._plane, body, physicsClientId=window._c)
                 for body in window._bodies]  # fmt: skip
    assert [bool(points) for points in on_ground] == [True, True, False]
    assert window._high(world._batch.cars[0, 0]) == pytest.approx(0.95 * 1.5)
    engine = window._bullet.getPhysicsEngineParameters(window._c)
    assert (engine["gravityAccelerationX"], engine["gravityAccelerationY"]) == (0.0, 0.0)
    assert engine["gravityAccelerationZ"] == -G
    assert engine["numSolverIterations"] == 100


TRUCK = {"body": "truck", "speed": 0.0, "station": 30.0, "heading": math.pi / 2, "mass": 3000.0, "mass_height": 2.2,
         "height": 3.6, "width": 2.0}  # fmt: skip


def corners(pose: np.ndarray, size: tuple[float, float, float]) -> np.ndarray:
    """Return the corners of a box at poses; (n, 8, 3)."""
    x, y, z, w = (pose[:, 3 + i] for i in range(4))
    turn = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    own = 0.5 * np.array(size) * np.array([[i, j, k] for i in (1, -1) for j in (1, -1) for k in (1, -1)])
    return pose[:, None, :3] + np.einsum("ijn,kj->nki", turn, own)


def test_a_truck_that_rolls_over_turns_at_its_rates_stays_above_the_ground_and_is_told_once():
    world, chunk = played({"actors": {"ego": {"speed": 30.0}, "truck": TRUCK}, "friction": 1.0}, 4.0)
    motion = chunk.motion
    assert motion is not None
    pose, velocity, h = motion.pose[0, :, 1], motion.velocity[0, :, 1], 0.01
    lowest = corners(pose, (10.0, 2.0, 3.6))[..., 2].min(axis=1)
    assert lowest.min() > -0.06
    up = 1 - 2 * (pose[:, 3] ** 2 + pose[:, 4] ** 2)
    tilt = np.arccos(np.clip(up, -1.0, 1.0))
    toppled = np.flatnonzero(tilt > TOPPLED)
    events = chunk.events.columns
    rolled = [i for i, kind in enumerate(events["kind"]) if kind == "rollover"]
    assert len(rolled) == 1
    assert events["t"][rolled[0]] == pytest.approx(motion.t[toppled[0]], abs=1e-9)
    assert f'"tilt": {tilt[toppled[0]]:.4f}'[:12] in events["details"][rolled[0]]
    assert events["subject"][rolled[0]] == "truck"
    assert world.outcome()[0].columns["max_tilt"][0] == pytest.approx(tilt.max(), abs=1e-6)
    # while it turns freely, poses change at the velocities: half a step apart, for the engine moves a body with the
    # velocity at the end of a step
    k = np.arange(toppled[0] - 25, toppled[0])
    for axis in range(3):
        mean = 0.5 * (velocity[k + 1, axis] + velocity[k, axis])
        assert (pose[k + 1, axis] - pose[k, axis]) / h == pytest.approx(mean, abs=0.25)
    q0, q1 = pose[k, 3:], pose[k + 1, 3:]
    vector = q0[:, 3:] * q1[:, :3] - q1[:, 3:] * q0[:, :3] + np.cross(q0[:, :3], q1[:, :3])
    turned = 2.0 * vector * np.sign(np.sum(q0 * q1, axis=1))[:, None] / h
    assert np.abs(turned - 0.5 * (velocity[k, 3:] + velocity[k + 1, 3:])).max() < 0.2
    assert np.abs(velocity[k, 3:]).max() > 1.0
    rows = {name: np.asarray(values)[1::2] for name, values in chunk.tables["actors"].columns.items()}
    at = np.round(rows["t"] / h).astype(int)
    x, y, z, w = pose[at, 3:].T
    assert np.sin(rows["roll"]) * np.cos(rows["pitch"]) == pytest.approx(2 * (y * z + x * w), abs=1e-6)
    assert np.sin(rows["pitch"]) == pytest.approx(2 * (y * w - x * z), abs=1e-6)


def test_pushes_too_small_to_move_anybody_are_no_contacts():
    """Three leave the window in one heap: each push of the table changes the lighter one's velocity by a cm/s."""
    actors = {
        "ego": {"speed": 20.0}, "van": {"body": "van", "speed": 2.0, "gap": 6.0, "offset": 0.7},
        "last": {"speed": 0.0, "gap": 18.0, "offset": -0.4}, "comes": {"speed": 16.0, "gap": -12.0, "offset": 0.3},
    }  # fmt: skip
    world, chunk = played({"actors": actors, "friction": 0.5, "settle": 9.0}, 6.0)
    hits = chunk.tables["contacts"].columns
    masses = np.array([1500.0, 2800.0, 1500.0, 1500.0])
    lighter = np.minimum(masses[hits["a"]], masses[hits["b"]])
    assert len(lighter) > 4
    assert (hits["impulse"] / lighter).min() >= LEAST
    assert (hits["a"] < hits["b"]).all()
    assert np.hypot(hits["normal_x"], hits["normal_y"]) == pytest.approx(1.0)
    normal = hits["impulse_x"] * hits["normal_x"] + hits["impulse_y"] * hits["normal_y"]
    assert (normal > 0.0).all(), "nobody pulls"
    for one, sign in (("a", -1.0), ("b", 1.0)):
        own = masses[hits[one]]
        assert hits[f"delta_v_{one}_x"] == pytest.approx(sign * hits["impulse_x"] / own, abs=0.06)
        assert hits[f"delta_v_{one}_y"] == pytest.approx(sign * hits["impulse_y"] / own, abs=0.06)
    # the table's t is inside its step, in order; a contact goes on for as long as its pushes are half a second apart
    assert (np.diff(hits["t"]) >= -1e-9).all()
    told = dict(zip(chunk.events.columns["event_id"], chunk.events.columns["kind"], strict=True))
    for pair in {(int(a), int(b)) for a, b in zip(hits["a"], hits["b"], strict=True)}:
        mine = [i for i in range(len(hits["t"])) if (hits["a"][i], hits["b"][i]) == pair]
        for i, k in itertools.pairwise(mine):
            assert (hits["event_id"][i] == hits["event_id"][k]) == (hits["t"][k] - hits["t"][i] < 0.5)
    assert {told[event] for event in hits["event_id"]} == {"contact"}
    # nobody lies in the other: at rest they touch
    assert chunk.motion is not None
    assert world._windows == {}
    assert np.abs(chunk.motion.velocity[0, -1]).max() < 0.05
