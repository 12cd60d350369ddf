"""Turns, slides on locked wheels, flags of records, sizes of kinds: each against a closed form, SciPy, or a list."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault, join_chunks
from mischance.simulators.road import Road
from mischance.simulators.road.bullet import PRESSED, RigidBox, pressed_on
from mischance.simulators.road.bullet_window import _box
from mischance.simulators.road.kinds import KINDS
from mischance.simulators.road.state import CAR

G = 9.81


def played(tree: dict[str, Any], until: float, *faults: Fault) -> tuple[Road, Chunk]:
    world = Road(Road.Settings.model_validate({"motion": False, **tree}))
    chunks = [world.start([Draw(7, 0, faults=faults)], [Streams(7, 0)]), world.advance(until, None)]
    return world, join_chunks(chunks)


def column(chunk: Chunk, name: str, actor: int = 0, actors: int = 1) -> np.ndarray:
    return np.asarray(chunk.tables["actors"].columns[name])[actor::actors]


# -- turns -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("planned", [True, False])
@pytest.mark.parametrize("angle", [0.5, -0.5, 1.4, -1.4])
def test_a_turn_ends_at_its_angle_on_the_straight_line_behind_its_arc(angle: float, planned: bool):
    """Its unsteered axle leaves the lane at 30 m on an arc of 12 m, and then lies on the tangent at its end."""
    begin = {"when": {"station": 30.0 + 1.35}} if planned else {"when": {"station": 31.35, "delay": 1e-6}}
    turn = {"kind": "turn", "angle": angle, "radius": 12.0, **begin}
    car = {"speed": 5.0, "lane": 2, "model": "kinematic", "steer_rate": 5.0, "behaviour": [turn]}
    _, chunk = played({"actors": {"ego": car}}, 14.0)
    x, y, yaw = (column(chunk, name)[-1] for name in ("x", "y", "yaw"))
    assert yaw == pytest.approx(angle, abs=2e-3)
    side = math.copysign(1.0, angle)
    end = 30.0 + 12.0 * math.sin(abs(angle)), 5.25 + side * 12.0 * (1 - math.cos(angle))
    across = (y - end[1]) * math.cos(angle) - (x - end[0]) * math.sin(angle)
    assert across == pytest.approx(0.0, abs=0.03)
    paths = chunk.tables["paths"].columns
    last = paths["path"] == paths["path"].max()
    pieces = [tuple(float(paths[name][i]) for name in ("x", "y", "heading", "way", "length", "curvature", "offset"))
              for i in np.flatnonzero(last)]  # fmt: skip
    if planned:  # as known from the start: with the lane before it
        assert len(set(paths["path"])) == 1
        assert pieces[0] == pytest.approx((0.0, 5.25, 0.0, 0.0, 30.0, 0.0, 0.0), abs=1e-9)
        pieces = [(*piece[:3], piece[3] - 30.0, *piece[4:]) for piece in pieces[1:]]
    far = 1e-4  # what it drives in a microsecond, and where its wheels are then
    assert pieces[0] == pytest.approx((30.0, 5.25, 0.0, 0.0, 12.0 * abs(angle), side / 12.0, 0.0), abs=far)
    assert pieces[1][:4] == pytest.approx((*end, angle, 12.0 * abs(angle)), abs=far)
    assert pieces[1][5:] == (0.0, 0.0)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_truck_in_its_tightest_turn_steers_to_the_stop_and_no_further(side: float):
    """5.8 m of wheelbase on 4 m ask for 0.97 rad of 0.6."""
    turn = {"kind": "turn", "angle": side * 2.5, "radius": 4.0, "at": 0.2}
    truck = {"body": "truck", "speed": 2.0, "lane": 2, "steer_rate": 5.0, "behaviour": [turn]}
    _, chunk = played({"actors": {"ego": truck}}, 3.0)
    assert (side * column(chunk, "steer")).max() == pytest.approx(0.6, abs=1e-9)
    at = np.argmax(side * column(chunk, "steer"))
    assert column(chunk, "yaw_rate")[at] == pytest.approx(side * 2.0 * math.tan(0.6) / 5.8, rel=1e-3)


# -- pedals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("v", "move"),
    [(20.0, {"kind": "accelerate", "acceleration": 3.0, "to": 5.0}),
     (5.0, {"kind": "brake", "deceleration": 3.0, "to": 20.0})],
)  # fmt: skip
def test_a_pedal_whose_speed_is_already_passed_leaves_the_way_there_to_the_controller(v: float, move: dict[str, Any]):
    """With 2 m/s2, the controller's most; neither the pedal's 3 nor 0.5 / s times the difference of 15 m/s."""
    tree = {"friction": 1.0, "actors": {"ego": {"speed": v, "jerk": 0.0, "drive": 9.0, "behaviour": [move]}}}
    _, chunk = played(tree, 3.0)
    t = column(chunk, "t")
    assert column(chunk, "speed") == pytest.approx(v + math.copysign(2.0, move["to"] - v) * t, abs=1e-9)


def test_pedals_that_can_follow_move_evenly_over_a_step():
    """Car following: the speed changes by the mean of the accelerations at both ends of every step of 10 ms."""
    follow = {"kind": "follow", "headway": 1.2}
    actors = {"ego": {"speed": 20.0, "jerk": 6.0, "behaviour": [follow]}, "lead": {"speed": 17.0, "gap": 45.0}}
    world = Road(Road.Settings.model_validate({"motion": False, "actors": actors}))
    world.start([Draw(7, 0)], [Streams(7, 0)])
    speed, a = [], []
    for k in range(1, 300):
        world.advance(k / 100, None)
        speed.append(float(world._batch.cars[0, 0]["speed"]))
        a.append(float(world._batch.cars[0, 0]["a"]))
    mean = 0.5 * (np.array(a[60:-1]) + np.array(a[61:]))
    assert np.diff(speed[60:]) == pytest.approx(0.01 * mean, abs=1e-12)
    assert np.ptp(a[60:]) > 0.2


@pytest.mark.parametrize(("station", "starts"), [(0.0, True), (0.5, True), (-0.5, False)])
def test_who_waits_to_be_hit_leaves_at_once_beside_the_ego_and_never_behind_its_middle(station: float, starts: bool):
    walks = {"body": "pedestrian", "speed": 0.0, "station": station, "lane": 1, "offset": -3.0,
             "behaviour": [{"kind": "cross", "when": {"arrive": 0.5}}]}  # fmt: skip
    _, chunk = played({"actors": {"ego": {"speed": 10.0}, "walks": walks}}, 1.0)
    assert list(chunk.events.columns["kind"]) == (["cross_start"] if starts else [])


# -- slides ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["car", "truck"])
def test_a_slide_is_that_of_four_locked_wheels(body: str):
    """Friction mu g on a quarter of the mass at each wheel, against its own velocity: SciPy from the contact on.

    Wheels stand half a wheelbase before and behind the middle, 0.8 half widths beside it.
    """
    length, width, wheelbase = {"car": (4.5, 1.8, 2.7), "truck": (10.0, 2.5, 5.8)}[body]
    mu = 0.3
    tree = {
        "rate": 1000, "friction": mu, "settle": 1.0, "motion": True,
        "actors": {"ego": {"speed": 25.0, "offset": -1.3},
                   "it": {"body": body, "speed": 10.0, "mass": 1500.0, "gap": 3.0}},
    }  # fmt: skip
    _, chunk = played(tree, 1.2)
    assert chunk.motion is not None
    assert len(chunk.tables["contacts"]) == 1
    first = int(chunk.tables["contacts"].columns["t"][0] * 1000) + 2
    pose, v = chunk.motion.pose[0, :, 1], chunk.motion.velocity[0, :, 1]
    wheels = np.array([(i * 0.5 * wheelbase, j * 0.4 * width) for i in (1, -1) for j in (1, -1)])
    inertia = (length**2 + width**2) / 12.0

    def rates(_: float, y: np.ndarray) -> list[float]:
        c, s = math.cos(y[2]), math.sin(y[2])
        arms = wheels @ np.array([[c, s], [-s, c]])
        own = y[3:5] + y[5] * np.stack([-arms[:, 1], arms[:, 0]], axis=1)
        push = -0.25 * mu * G * own / np.linalg.norm(own, axis=1)[:, None]
        turn = float(np.sum(arms[:, 0] * push[:, 1] - arms[:, 1] * push[:, 0])) / inertia
        return [y[3], y[4], y[5], *push.sum(axis=0), turn]

    yaw = 2.0 * np.arctan2(pose[:, 5], pose[:, 6])
    start = [pose[first, 0], pose[first, 1], yaw[first], v[first, 0], v[first, 1], v[first, 5]]
    t = chunk.motion.t[first:1000] - chunk.motion.t[first]
    exact = solve_ivp(rates, (0.0, t[-1]), start, t_eval=t, rtol=1e-9, atol=1e-10).y
    got = np.stack([pose[first:1000, 0], pose[first:1000, 1], yaw[first:1000], *v[first:1000][:, [0, 1, 5]].T])
    assert np.abs(start[5]) > 0.1
    assert got == pytest.approx(exact, abs=2e-4)


# -- flags and indices -------------------------------------------------------------------------------------------------

FLAGS = {
    "cars": "hit commanded keeps turns was_ahead touched rolled hard", "moves": "started ended planned",
    "runs": "passed over bullet window held fresh",
}  # fmt: skip


def test_flags_are_zero_or_one():
    change = {"kind": "change_lane", "to": 2, "at": 0.1, "takes": 1.0}
    turn = {"kind": "turn", "radius": 20.0, "when": {"station": 90.0}}
    trees = [
        {"actors": {
            "ego": {"speed": 20.0, "model": "dynamic", "lane": 2, "behaviour": [{"kind": "brake", "at": 0.2, "to": 9}]},
            "other": {"speed": 12.0, "gap": 14.0, "lane": 1, "behaviour": [change]},
            "turns": {"speed": 9.0, "lane": 3, "gap": 60.0, "behaviour": [turn]}}},
        {"impact": {"model": "window"}, "friction": 1.0, "actors": {
            "ego": {"speed": 30.0}, "truck": {"body": "truck", "speed": 0.0, "station": 30.0, "heading": math.pi / 2,
            "mass": 3000.0, "mass_height": 2.2, "height": 3.6, "width": 2.0}}},
        {"impact": {"model": "bullet"}, "actors": {"ego": {"speed": 9.0}, "it": {"speed": 0.0, "gap": 2.0}}},
    ]  # fmt: skip
    seen: dict[str, set[int]] = {}
    for tree in trees:
        world = Road(Road.Settings.model_validate({"motion": False, **tree}))
        world.start([Draw(7, 0)], [Streams(7, 0)])
        for k in range(1, 31):
            world.advance(0.1 * k, None)
            for records, names in FLAGS.items():
                for name in names.split():
                    seen.setdefault(name, set()).update(getattr(world._batch, records)[name].reshape(-1).tolist())
    assert {name: values - {0, 1} for name, values in seen.items()} == {name: set() for name in seen}
    assert {name for name, values in seen.items() if 1 not in values} <= {"passed", "commanded", "keeps", "touched"}


def test_the_friction_in_force_on_the_road_is_what_the_first_actor_has():
    patch = {"start": 0.0, "end": 50.0, "friction": 0.3}
    actors = {"other": {"speed": 0.0, "station": 20.0}, "ego": {"speed": 0.0, "station": 80.0}}
    world, _ = played({"friction": 0.8, "road": {"patches": [patch]}, "actors": actors}, 0.1)
    assert world.in_force(0, "road", "friction") == pytest.approx(0.3)
    fade = Fault("fault:0", "ego.brakes", "fade", 0.0, 9.0, 0.4)
    world, _ = played({"actors": actors}, 0.1, fade)
    assert (world.in_force(0, "ego.brakes", "fade"), world.in_force(0, "other.brakes", "fade")) == (0.6, 1.0)


# -- boxes for the engine ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("long", [True, False])
@pytest.mark.parametrize("other", [True, False])
def test_a_body_is_pressed_on_along_the_normal_of_the_faces_that_touch(long: bool, other: bool):
    """They touch at one pair of faces and overlap by 0.3 m along the other: another size would change the normal."""
    a, b = (4.0, 2.0), (6.0, 3.0)
    place = (5.0, 2.2) if long else (4.7, 2.5)
    boxes = [
        RigidBox((*size, 1.5), 9.0, (*at, 0.75), 0.0, (0.0, 0.0, 0.0), 0.0)
        for size, at in ((a, (0.0, 0.0)), (b, place))
    ]
    one, two = reversed(boxes) if other else boxes
    sign = 1.0 if other else -1.0
    moved = np.array(pressed_on(one, two)) - np.array(two.position)
    assert moved == pytest.approx((sign * PRESSED, 0.0, 0.0) if long else (0.0, sign * PRESSED, 0.0), abs=1e-15)


def test_the_box_of_an_actor_in_the_plane():
    cars = np.zeros(1, CAR)
    for name, value in {"x": 3.0, "y": 4.0, "yaw": 0.5, "half_l": 2.0, "half_w": 0.8, "height": 1.4}.items():
        cars[name] = value
    box = _box(cars[0])
    assert (box.size, box.position, box.yaw) == ((4.0, 1.6, 1.4), (3.0, 4.0, 0.0), 0.5)


# -- kinds -------------------------------------------------------------------------------------------------------------

# length, width, height, wheelbase, mass; brakes, drive, jerk; largest steering angle, height of the mass; how it moves
SIZES = """
car        4.5  1.8  1.5  2.7  1500   10 4   12.65  0.6 0.55 wheels
van        5.9  2    2.6  3.7  2800   9  3   12.65  0.6 0.9  wheels
truck      10   2.5  3.5  5.8  12000  10 2   12.65  0.6 1.4  wheels
bus        12   2.55 3.2  6    14000  8  1.5 12.65  0.7 1.2  wheels
motorcycle 2.2  0.8  1.5  1.4  280    9  5   12.65  0.5 0.6  cycle
cyclist    1.8  0.6  1.75 1.1  90     5  1.5 0      0.6 1    cycle
pedestrian 0.5  0.6  1.75 0.3  78     4  3   0      0   1    rails
child      0.35 0.4  1.15 0.2  22     4  3   0      0   0.65 rails
animal     1.5  0.5  1.2  0.8  80     7  6   0      0   0.8  rails
debris     0.8  0.6  0.5  0.4  25     6  6   0      0   0.25 rails
occluder   4.5  1.8  1.5  2.7  1500   10 1   0      0   0.55 fixed
"""


def test_the_kinds_of_actors_have_the_sizes_masses_and_limits_of_the_list():
    wanted = {}
    for line in SIZES.strip().splitlines():
        name, *numbers, way = line.split()
        wanted[name] = (*map(float, numbers), way)
    assert {name: tuple(kind) for name, kind in KINDS.items()} == wanted
