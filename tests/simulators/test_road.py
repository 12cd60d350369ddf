"""The world `road`: motion, contact, impact, faults, reproducibility."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, join_chunks
from mischance.api.tables import EVENTS, LABELS, Table
from mischance.errors import RunError
from mischance.simulators.road import Road, boxes
from mischance.simulators.road.bullet import RigidBox, collide

INF = math.inf
RATE = 100  # steps a second where nothing is said
SIZE = (4.3, 1.9, 1.5)


def separation(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    return boxes.separation(*a, *b)


def settings(**changes: Any) -> dict[str, Any]:
    """Return the settings of a cut-in 15 m ahead, closing at 5 m/s, with no agent."""
    intruder = {
        "speed": 20.0, "lane": 2, "gap": 15.0, "gap_at": 1.0,
        "behaviour": [{"kind": "change_lane", "at": 1.0, "to": 1, "takes": 2.0}],
    }  # fmt: skip
    tree: dict[str, Any] = {"actors": {"ego": {"speed": 25.0, "lane": 1}, "intruder": intruder}}
    for path, value in changes.items():
        *way, last = path.split("__")
        at = tree
        for key in way:
            at = at.setdefault(key, {})
        at[last] = value
    return tree


def drive(
    tree: dict[str, Any],
    until: float = 6.0,
    cuts: Sequence[float] = (),
    faults: Sequence[Fault] = (),
    agent: Any = None,
) -> tuple[Road, Chunk, list[Chunk]]:
    """Play one run; return the world, the joined chunks after t = 0, and all chunks."""
    world = Road(Road.Settings.model_validate(tree))
    chunks = [world.start([Draw(7, 0, faults=tuple(faults))], [Streams(7, 0)])]
    for cut in (*cuts, until):
        if not chunks[-1].over[0]:
            chunks.append(world.advance(cut, None))
    return world, join_chunks(chunks[1:]), chunks


def outcome(world: Road) -> dict[str, Any]:
    return {name: values[0] for name, values in world.outcome()[0].columns.items()}


def rows(table: Table) -> list[dict[str, Any]]:
    columns = table.run(0)
    return [{name: values[i] for name, values in columns.items()} for i in range(len(table))]


def digest(world: Road, chunk: Chunk) -> str:
    """Return a hash of every byte of a run."""
    sha = hashlib.sha256()
    assert chunk.motion is not None
    for array in (chunk.motion.t, chunk.motion.pose, chunk.motion.velocity, chunk.ends):
        sha.update(array.tobytes())
    for table in (chunk.events, *(chunk.tables[name] for name in sorted(chunk.tables)), *world.outcome()):
        for name in table.schema:
            values = table.columns[name]
            sha.update(repr(values.tolist()).encode() if values.dtype == object else values.tobytes())
    return sha.hexdigest()


def impact(
    a: tuple[float, ...], b: tuple[float, ...], masses: tuple[float, float] = (1500.0, 1500.0),
    restitution: float = 0.1, friction: float = 0.0,
):  # fmt: skip
    """Collide two boxes given as (x, y, yaw, vx, vy)."""
    boxes = [
        RigidBox(SIZE, mass, (x, y, 0.75), yaw, (vx, vy, 0.0), 0.0)
        for (x, y, yaw, vx, vy), mass in zip((a, b), masses, strict=True)
    ]
    return collide(boxes[0], boxes[1], restitution, friction)


# -- motion ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("friction", [0.8, 0.4, 0.1])
def test_stopping_distance_is_v_squared_over_two_mu_g(friction: float):
    move = {"kind": "brake", "at": 0.0, "deceleration": 15.0}
    tree = {
        "actors": {"ego": {"speed": 20.0, "jerk": 0.0, "brakes": 15.0, "behaviour": [move]}},
        "friction": friction,
    }
    _, chunk, _ = drive(tree, until=25.0)
    assert chunk.motion is not None
    exact = 20.0**2 / (2 * friction * 9.81)
    assert abs(chunk.motion.pose[0, -1, 0, 0] - exact) < 1e-6 * exact
    assert (chunk.motion.velocity[0, -1] == 0).all()


def test_a_limited_jerk_adds_the_closed_form_distance():
    """With build-up in t_j = b / J the stop is longer by v * t_j / 2 - b * t_j**2 / 24."""
    v, b, jerk = 20.0, 6.0, 12.65
    move = {"kind": "brake", "at": 0.0, "deceleration": b}
    _, chunk, _ = drive({"actors": {"ego": {"speed": v, "jerk": jerk, "behaviour": [move]}}}, until=8.0)
    t_j = b / jerk
    ramp = v * t_j - jerk * t_j**3 / 6
    exact = ramp + (v - jerk * t_j**2 / 2) ** 2 / (2 * b)
    assert chunk.motion is not None
    assert abs(chunk.motion.pose[0, -1, 0, 0] - exact) < 1e-9 * exact


def test_nobody_exceeds_the_friction_circle_and_everybody_keeps_the_lane():
    _, chunk, _ = drive(
        settings(friction=0.3, actors__intruder__gap=60.0, actors__intruder__model="kinematic"), until=6.0
    )
    assert chunk.motion is not None
    step = np.diff(chunk.motion.velocity[0, :, :, :2], axis=0) * RATE
    yaw = 2 * np.arctan2(chunk.motion.pose[0, :, :, 5], chunk.motion.pose[0, :, :, 6])
    lever = 1.35
    rate = chunk.motion.velocity[0, :, :, 5]
    rear = chunk.motion.velocity[0, :, :, :2] - (rate * lever)[..., None] * np.stack([-np.sin(yaw), np.cos(yaw)], -1)
    rear_acceleration = np.linalg.norm(np.diff(rear, axis=0) * RATE, axis=-1)
    assert rear_acceleration.max() < 0.3 * 9.81 * 1.001
    assert step.shape == (len(chunk.motion.t) - 1, 2, 2)
    ego, intruder = (chunk.motion.pose[0, -1, i, 1] for i in (0, 1))
    assert ego == 0.5 * 3.5
    assert abs(intruder - 0.5 * 3.5) < 0.02


def test_the_planned_gap_holds_when_it_was_planned_for():
    _, chunk, _ = drive(settings(actors__intruder__gap=12.5), until=1.0)
    assert chunk.motion is not None
    ego, intruder = chunk.motion.pose[0, -1, :, 0]
    assert abs((intruder - ego - 4.5) - 12.5) < 1e-9


# -- contact -----------------------------------------------------------------------------------------------------------


def test_the_world_finds_the_moment_that_algebra_gives():
    tree = settings(actors__intruder={"speed": 20.0, "lane": 1, "gap": 7.0})
    world, _, _ = drive(tree)
    assert abs(outcome(world)["contact_time"] - 7.0 / 5.0) < 1e-9


def test_thin_things_are_not_jumped_over():
    wall = {"body": "occluder", "speed": 0.0, "length": 0.02, "width": 2.0, "gap": 20.0}
    for speed in np.linspace(30, 100, 15):
        tree = {"actors": {"ego": {"speed": float(speed), "length": 0.1, "width": 0.1}, "wall": wall}, "rate": 20}
        assert abs(outcome(drive(tree, until=1.0)[0])["contact_time"] - 20.0 / speed) < 1e-9


def test_distances_of_rectangles():
    a = (0.0, 0.0, 0.0, 2.0, 1.0)
    assert boxes.distance(*a, *(7.0, 0.0, 0.0, 2.0, 1.0)) == 3.0
    assert abs(boxes.distance(*a, *(7.0, 6.0, 0.0, 2.0, 1.0)) - 5.0) < 1e-12  # corner to corner: 3, 4, 5
    assert boxes.distance(*a, *(3.0, 0.5, 0.4, 2.0, 1.0)) == 0.0
    assert separation(a, (3.0, 0.0, 0.0, 2.0, 1.0))[0] == -1.0
    assert boxes.touching_point(*a, 4.0, 1.2, 0.0, 2.0, 1.0, 1.0, 0.0) == pytest.approx((2.0, 0.6))


def test_time_to_collision_of_the_reference_case():
    """Gap 30 m, 20 and 10 m/s, one lane: 3 s; beside each other: never."""
    ego, lead = (0.0, 0.0, 0.0, 2.25, 0.95), (34.5, 0.0, 0.0, 2.25, 0.95)
    assert abs(boxes.time_to_collision(*ego, *lead, -10.0, 0.0) - 3.0) < 1e-12
    assert boxes.time_to_collision(*ego, 34.5, 3.5, 0.0, 2.25, 0.95, -10.0, 0.0) == INF
    assert boxes.time_to_collision(*ego, *lead, 10.0, 0.0) == INF


def test_metrics_of_the_reference_case():
    lead = {"speed": 10.0, "lane": 1, "gap": 30.0}
    world, _, _ = drive({"actors": {"ego": {"speed": 20.0}, "lead": lead}}, until=0.001)
    got = outcome(world)
    assert got["min_ttc"] == pytest.approx(3.0, abs=1e-9)
    assert got["min_thw"] == pytest.approx(1.5, abs=1e-9)
    assert got["max_drac"] == pytest.approx(10**2 / 60, abs=1e-9)
    assert got["min_gap"] == pytest.approx(30.0, abs=1e-9)


# -- impact ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("restitution", "impulse", "delta_v"), [(0.0, 11250.0, 7.5), (0.1, 12375.0, 8.25)])
def test_central_impact(restitution: float, impulse: float, delta_v: float):
    done = impact((0, 0, 0, 15, 0), (4.3, 0, 0, 0, 0), restitution=restitution)
    assert abs(done.impulse[0] - impulse) < 0.005 * impulse
    assert abs(done.velocity[1][0] - delta_v) < 0.005 * delta_v
    measured = (done.velocity[1][0] - done.velocity[0][0]) / 15
    assert abs(measured - restitution) < 0.002


def test_unequal_masses():
    done = impact((0, 0, 0, 15, 0), (4.3, 0, 0, 0, 0), masses=(1500.0, 7500.0))
    assert done.impulse[0] == pytest.approx(20625, rel=0.005)
    assert 15 - done.velocity[0][0] == pytest.approx(13.75, rel=0.005)
    assert done.velocity[1][0] == pytest.approx(2.75, rel=0.005)


@pytest.mark.parametrize(
    ("a", "b", "friction", "normal", "tangential", "rates"),
    [
        ((0, 0, 0, 30, 0), (4.3, 1.33, 0, 15, -1.5), 0.0, 9978.9, 0.0, (2.402, 2.402)),
        ((0, 0, 0, 30, 0), (4.3, 1.33, 0, 15, -1.5), 0.25, 11815.5, 2933.9, (0.5609, 0.5609)),
        ((0, 0, 0, 15, 0), (4.49226, 0.49706, 0.5, 0, 0), 0.0, 11956.8, 0.0, (1.2985, 0.8529)),
        ((0, 0, 0, 15, 0), (4.49226, 0.49706, 0.5, 0, 0), 0.25, 12241.9, 982.2, (0.5650, 0.0405)),
    ],
)
def test_oblique_impacts_agree_with_the_planar_impulse(a, b, friction, normal, tangential, rates):
    """Worked cases of the analytic planar impulse with stick, offset faces and a corner on a face."""
    done = impact(a, b, friction=friction)
    assert done.impulse[0] == pytest.approx(normal, rel=0.001)
    assert abs(done.impulse[1]) == pytest.approx(tangential, rel=0.001, abs=1.0)
    # 0.1 % as for the impulse: friction and steps of the engine leave 0.06 %
    assert done.yaw_rate == pytest.approx(rates, rel=0.001, abs=0.001)


def test_an_impact_keeps_momentum_and_its_impulse_is_what_changed_it():
    a, b, masses = (0, 0, 0.1, 22, 1), (4.35, 0.8, -0.2, 9, -2), (1300.0, 2100.0)
    gap, nx, ny = separation((*a[:3], 2.15, 0.95), (*b[:3], 2.15, 0.95))
    b = (b[0] - gap * nx, b[1] - gap * ny, *b[2:])  # touching
    done = impact(a, b, masses=masses, friction=0.3)
    before = np.array([masses[0] * a[3 + i] + masses[1] * b[3 + i] for i in range(2)])
    after = np.array([masses[0] * done.velocity[0][i] + masses[1] * done.velocity[1][i] for i in range(2)])
    assert np.abs(after - before).max() < 1e-9 * np.abs(before).max()
    gained = masses[1] * (np.array(done.velocity[1][:2]) - b[3:5])
    assert np.abs(gained - done.impulse[:2]).max() < 1e-6 * np.abs(gained).max()
    assert done.impulse[0] > 0


def test_an_impact_is_the_same_wherever_it_happens():
    here = impact((0, 0, 0, 15, 0), (4.3, 0.5, 0, 0, 0))
    there = impact((512, 8, 0, 15, 0), (516.3, 8.5, 0, 0, 0))
    assert there.impulse == pytest.approx(here.impulse, rel=1e-5, abs=1e-3)


def test_a_rear_end_crash_ends_in_the_books():
    """A collision with a standing car: impulse, energy, and sliding distances v**2 / (2 mu g) after the impact."""
    tree = {"actors": {"ego": {"speed": 15.0}, "other": {"speed": 0.0, "gap": 5.0}}, "friction": 0.5, "settle": 20.0}
    world, chunk, _ = drive(tree, until=20.0)
    got = outcome(world)
    assert got["impulse"] == pytest.approx(12375, rel=0.005)
    assert (got["delta_v"], got["other.delta_v"]) == pytest.approx((8.25, 8.25), rel=0.005)
    assert got["energy_lost"] == pytest.approx(83531, rel=0.005)
    assert chunk.motion is not None
    slid = chunk.motion.pose[0, -1, :, 0] - np.array([5.0, 9.5])
    left = np.array([15.0 - got["delta_v"], got["other.delta_v"]])
    assert slid == pytest.approx(left**2 / (2 * 0.5 * 9.81), rel=1e-4)
    assert chunk.over[0]
    assert chunk.ends[0] == chunk.end < 20.0


def test_a_blow_to_the_side_spins_the_car_and_it_comes_to_rest():
    tree = settings(actors__intruder__gap=2.0, actors__intruder__speed=22.0)
    world, chunk, _ = drive(tree, until=10.0)
    assert outcome(world)["event"]
    assert chunk.motion is not None
    boxes = [[(*chunk.motion.pose[0, k, i, :2], 2 * math.atan2(*chunk.motion.pose[0, k, i, 5:7]), 2.25, 0.9)
              for i in (0, 1)] for k in range(len(chunk.motion.t))]  # fmt: skip
    assert min(separation(a, b)[0] for a, b in boxes) > -0.05  # they may lean, not melt into each other
    energy = 0.5 * 1500 * (chunk.motion.velocity[0, :, :, :2] ** 2).sum(axis=(1, 2))
    after = chunk.motion.t > outcome(world)["contact_time"] + 0.01
    assert energy[-1] < energy[after][0]


# -- story -------------------------------------------------------------------------------------------------------------


def test_events_labels_and_reason_tell_one_story():
    world, chunk, _ = drive(settings())
    events = rows(chunk.events)
    assert [event["kind"] for event in events] == ["lane_change_start", "lane_change_end", "contact"]
    contact = events[2]
    assert contact["parent_id"] == events[0]["event_id"]
    assert 0 < json.loads(contact["details"])["delta_v"]["ego"] < 5
    got = outcome(world)
    assert got["verdict"] == "contact"
    assert got["reason"].startswith("collision: intruder cut in at 1.00 s 15.0 m ahead (0.60 s headway)")
    assert got["margin"] == got["min_gap"] == -got["contact_speed"] < 0
    hit = rows(chunk.tables["contacts"])
    assert {row["event_id"] for row in hit} == {contact["event_id"]}  # what leans on each other is one contact
    assert hit[0]["t"] == contact["t"] == got["contact_time"]
    labels = rows(world.outcome()[1])
    assert set(chunk.events.schema) == set(EVENTS)
    assert set(world.outcome()[1].schema) == set(LABELS)
    assert [label["label_id"] for label in labels] == ["contact:0"]
    assert json.loads(labels[0]["causes"]) == [contact["event_id"], events[0]["event_id"]]


def test_far_away_nothing_happens():
    world, chunk, _ = drive(settings(actors__intruder__gap=300.0))
    got = outcome(world)
    assert (got["event"], got["verdict"], got["ego.contacts"], got["impulse"]) == (False, "no contact", 0, 0.0)
    assert got["margin"] == got["min_gap"] > 250
    assert len(chunk.tables["contacts"]) == 0
    assert not chunk.over[0]


def test_the_margin_is_continuous_across_the_border():
    """Near the border the margin grows with the gap, its sign is the verdict, and it is continuous at zero."""
    lead = {"speed": 25.0, "lane": 1, "behaviour": [{"kind": "brake", "at": 0.5, "deceleration": 7.0, "to": 20.0}]}
    brake = [{"kind": "brake", "at": 1.0, "deceleration": 7.0, "to": 20.0}]
    margins = []
    for gap in np.linspace(2.0, 3.0, 21):
        tree = {"actors": {"ego": {"speed": 25.0, "behaviour": brake}, "lead": {**lead, "gap": gap}}}
        world, _, _ = drive(tree, until=3.0)
        got = outcome(world)
        assert got["event"] == (got["margin"] < 0)
        margins.append(got["margin"])
    assert all(a < b for a, b in pairwise(margins))
    assert margins[0] < 0 < margins[-1]
    assert np.diff(margins).max() < math.sqrt(2 * 7.0 * 0.05) + 0.05  # what 5 cm more can do at 7 m/s2


def test_the_first_chunk_is_truth_at_zero_and_rows_belong_to_their_chunk():
    _, _, chunks = drive(settings(), cuts=[0.5, 1.0, 1.003, 1.004, 2.0, 4.0])
    assert chunks[0].first
    assert len(chunks[0].tables["actors"]) == 2
    for chunk in chunks[1:]:
        for table in (chunk.events, *chunk.tables.values()):
            t = table.columns["t"]
            assert ((t > chunk.start) & (t <= chunk.end)).all()
            assert (np.diff(t) >= 0).all()
        assert chunk.motion is not None
        assert chunk.motion.t[0] == chunk.start
        assert chunk.motion.t[-1] == chunk.end
    t = join_chunks(chunks[1:]).tables["actors"].columns["t"]
    assert (t[::2] == np.arange(1, len(t) // 2 + 1) / 20).all()


def test_equal_seeds_give_equal_bytes():
    """Bit-equal over repeats in shuffled order, odd cuts in time, and a fresh process."""
    cases = [settings(), settings(actors__intruder__gap=2.0), settings(actors__intruder__gap=80.0)]
    first = [digest(*drive(tree)[:2]) for tree in cases]
    assert [digest(*drive(tree)[:2]) for tree in reversed(cases)] == first[::-1]
    rng = np.random.default_rng(3)
    for tree, wanted in zip(cases, first, strict=True):
        cuts = [*sorted(rng.uniform(0, 6, 40)), 5.9999]
        assert digest(*drive(tree, cuts=cuts)[:2]) == wanted
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); "
    code += "from tests.simulators import test_road as t; "
    code += "print(t.digest(*t.drive(t.settings(actors__intruder__gap=2.0))[:2]))"
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert fresh.stdout.strip() == first[1]


def test_a_run_that_is_over_stays_over():
    world, chunk, _ = drive(settings(settle=0.5))
    assert chunk.over[0]
    more = world.advance(7.0, None)
    assert more.over[0]
    assert more.start == more.end == chunk.end
    assert len(more.events) == len(more.tables["actors"]) == 0


# -- faults ------------------------------------------------------------------------------------------------------------

BRAKE = {"kind": "brake", "at": 0.5, "deceleration": 8.0}


@pytest.mark.parametrize(
    "fault",
    [
        Fault("fault:0", "ego.brakes", "fade", 1.0, INF, 0.6),
        Fault("fault:0", "ego.brakes", "fade", 1.0021, 1.5, 1.0, ramp=0.2),
        Fault("fault:0", "road", "friction", 1.0, INF, 0.1),
    ],
)
def test_a_twin_differs_in_nothing_before_the_cause(fault: Fault):
    tree = {"actors": {"ego": {"speed": 30.0, "behaviour": [BRAKE]}}}
    world, ill, _ = drive(tree, until=3.0, faults=[fault])
    _, well, _ = drive(tree, until=3.0)
    assert ill.motion is not None
    assert well.motion is not None
    differs = (ill.motion.pose != well.motion.pose).any(axis=(0, 2, 3))
    first = ill.motion.t[differs].min()
    assert fault.onset < first <= fault.onset + fault.ramp + 2 / RATE
    assert ill.motion.pose[0, -1, 0, 0] > well.motion.pose[0, -1, 0, 0]
    labels = rows(world.outcome()[1])
    assert labels[0]["label_id"] == f"{fault.target}:0"
    assert labels[0]["t_cause"] == fault.onset
    assert json.loads(labels[0]["causes"]) == ["fault:0"]


def test_faded_brakes_give_the_part_that_is_left():
    tree = {"actors": {"ego": {"speed": 30.0, "jerk": 0.0, "behaviour": [{**BRAKE, "at": 0.0}]}}, "friction": 1.0}
    _, chunk, _ = drive(tree, until=1.0, faults=[Fault("fault:0", "ego.brakes", "fade", 0.0, INF, 0.25)])
    assert chunk.motion is not None
    assert 30.0 - chunk.motion.velocity[0, -1, 0, 0] == pytest.approx(6.0, rel=1e-9)


def test_a_collision_that_only_a_fault_explains_names_it():
    ego = {"speed": 25.0, "behaviour": [{"kind": "brake", "at": 0.2, "deceleration": 8.0}]}
    tree = {"actors": {"ego": ego, "wall": {"speed": 0.0, "gap": 60.0}}}
    fault = Fault("fault:0", "ego.brakes", "fade", 0.0, INF, 0.9)
    assert not outcome(drive(tree, until=8.0)[0])["event"]
    got = outcome(drive(tree, until=8.0, faults=[fault])[0])
    assert got["event"]
    assert "fade of ego.brakes" in got["reason"]


# -- bad input ---------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_in_words():
    with pytest.raises(RunError, match="ego and intruder overlap"):
        drive(settings(actors__intruder={"speed": 20.0, "lane": 1, "gap": 0.0, "gap_at": 0.0}))
    with pytest.raises(RunError, match="'road' has no fault 'fade'"):
        drive(settings(), faults=[Fault("fault:0", "road", "fade", 0.0, INF, 1.0)])
    with pytest.raises(ValueError, match="must be called 'ego'"):
        Road.Settings.model_validate({"actors": {"me": {"speed": 1.0}}})
    with pytest.raises(ValueError, match="wants lane 9 of a road with 3"):
        Road.Settings.model_validate({"actors": {"ego": {"speed": 1.0, "lane": 9}}})
    world = Road(Road.Settings.model_validate(settings()))
    world.start([Draw(7, 0)], [Streams(7, 0)])
    order = {"actor": ["nobody"], "acceleration": [0.0], "steer": [0.0]}
    with pytest.raises(RunError, match="'nobody', which is missing"):
        world.advance(1.0, Commands(Table.of(Road.commands, [order]), np.array([True])))


def test_without_pybullet_the_world_loads_and_says_what_is_missing():
    code = (
        "import sys; sys.modules['pybullet'] = None\n"
        "from mischance.simulators.road import Road; from mischance.api.runs import Draw\n"
        "from mischance.errors import RunError\n"
        "tree = {'actors': {'ego': {'speed': 1.0}}, 'impact': {'model': 'bullet'}}\n"
        "world = Road(Road.Settings.model_validate(tree))\n"
        "try:\n    world.start([Draw(1, 0)], [None])\n"
        "except RunError as error:\n    print(error.message, '|', error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "PyBullet, which is not installed | pip install 'mischance[physics]'" in done.stdout
    assert "\n" not in done.stdout.strip()


def test_the_scene_has_what_sensors_look_for():
    _, chunk, _ = drive(settings(), until=0.1)
    scene = chunk.scenes[0]
    assert [body.name for body in scene.bodies if body.moving] == ["ego", "intruder"]
    assert chunk.motion is not None
    assert chunk.motion.bodies == ("ego", "intruder")
    assert {"windscreen", "roof", "bumper", "imu", "center"} <= set(scene.bodies[0].mounts)
    assert [body.category for body in scene.bodies] == ["car", "car", ""]
    for body in scene.bodies[:2]:
        for shape in body.shapes:
            if shape.kind == "box":  # nothing sticks out of the box that collides
                for i, half in enumerate((2.25, 0.9, 0.75)):
                    assert abs(shape.pose[i]) + shape.size[i] / 2 <= half + 1e-9


def test_three_cars_can_pile_up():
    brake = [{"kind": "brake", "at": 0.2, "deceleration": 8.0}]
    actors = {
        "ego": {"speed": 25.0},
        "first": {"speed": 25.0, "gap": 8.0, "behaviour": brake},
        "last": {"speed": 25.0, "gap": -6.0},
    }
    world, chunk, _ = drive({"actors": actors, "settle": 10.0}, until=10.0)
    hits = rows(chunk.tables["contacts"])
    pairs = {frozenset((hit["a"], hit["b"])) for hit in hits}
    assert len(pairs) == 2  # nobody reaches over the car between
    assert outcome(world)["ego.contacts"] >= 2
    assert chunk.over[0]
    assert all(hit["energy_lost"] >= 0 for hit in hits)
