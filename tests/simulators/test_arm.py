"""The world `arm`: mechanics against formulas, monitor against its settings, reproducibility."""

from __future__ import annotations

import hashlib
import json
import math
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, join_chunks
from mischance.api.tables import LABELS, Column, Table
from mischance.errors import RunError

pytest.importorskip("pybullet")

from mischance.simulators.arm import Arm
from mischance.simulators.arm.building import CONTROL, DAMPING, GRAVITY, borrow, give_back
from mischance.simulators.arm.bullet import Cell
from mischance.simulators.arm.faults import KINDS, OF
from mischance.simulators.arm.model import (
    HAND_MASS,
    JOINTS,
    LINKS,
    add,
    apply,
    downward,
    force_torque,
    forward,
    gravity_torque,
    inverse,
    length,
    matrix,
    product,
    scale,
    subtract,
    turned,
)
from mischance.simulators.arm.path import Reach

INF = math.inf
PERSON = {"at": 2.2, "takes": 0.5}
POST = {"at": (0.55, 0.45), "size": (0.06, 0.06, 0.4)}


def play(
    tree: dict[str, Any], faults: Sequence[Fault] = (), until: float = 6.0, cuts: Sequence[float] = ()
) -> tuple[Arm, Chunk]:
    """Play one run; return the world, and the joined chunks after t = 0."""
    world = Arm(Arm.Settings.model_validate(tree))
    world.start([Draw(7, 0, faults=tuple(faults))], [Streams(7, 0)])
    chunks: list[Chunk] = []
    for cut in (*cuts, until):
        if not chunks or not chunks[-1].over[0]:
            chunks.append(world.advance(cut, None))
    return world, join_chunks(chunks)


def outcome(world: Arm) -> dict[str, Any]:
    return {name: values[0] for name, values in world.outcome()[0].columns.items()}


def fault(target: str, kind: str, onset: float, severity: float, end: float = INF, ramp: float = 0.0) -> Fault:
    return Fault("fault:0", target, kind, onset, end, severity, ramp)


def digest(world: Arm, chunk: Chunk) -> str:
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


@pytest.fixture
def cell() -> Iterator[Cell]:
    """Return a cell without a person, to be built by the test."""
    bullet, client = borrow()
    yield Cell(bullet, client, Arm.Settings(), None)
    give_back(client)


@pytest.fixture(scope="module")
def healthy() -> tuple[Arm, Chunk]:
    world, chunk = play({"person": PERSON | {"reaches": False}, "fixture": POST})
    outcome_now = world.outcome()
    world.outcome = lambda: outcome_now  # type: ignore[method-assign]
    world.close()
    return world, chunk


# -- mechanics ---------------------------------------------------------------------------------------------------------


def test_inverse_kinematics_undoes_forward_kinematics():
    rng = random.Random(5)
    for _ in range(200):
        q = [rng.uniform(-2, 2), rng.uniform(-0.5, 1.2), rng.uniform(-1, 1.2), rng.uniform(-1.5, 1.5),
             rng.uniform(0.1, 2), rng.uniform(-3, 3)]  # fmt: skip
        pose = forward(q)
        again = forward(inverse(pose.tool, pose.rotation))
        assert length(subtract(again.tool, pose.tool)) < 1e-9
        assert np.allclose(again.rotation, pose.rotation, atol=1e-9)


def test_a_place_out_of_reach_is_refused_in_one_line():
    with pytest.raises(RunError, match="does not reach"):
        play({"task": {"pick": (1.2, 0.0)}}, until=0.1)


@pytest.mark.parametrize("q", [(0.3, 0.5, -0.2, 0.4, 0.9, -0.3), (-1.0, 0.9, 0.1, 0.0, 0.6, 1.0)])
def test_standing_still_takes_the_torque_of_gravity(cell: Cell, q: tuple[float, ...]):
    """Holding torques and frames of the engine agree with the analytic model."""
    cell.build(q)
    for k, link in enumerate(cell.links()[:JOINTS]):
        assert length(subtract(link[0], forward(q).origins[k])) < 1e-6
    hold(cell, q, 60)
    np.testing.assert_allclose(cell.torque, gravity_torque(cell.q[:JOINTS]), atol=1e-4)
    # and the force sensor carries the gripper: its weight, and no force across
    down = apply(matrix(cell.links()[5][1]), (cell.wrench[0], cell.wrench[1], cell.wrench[2]))
    np.testing.assert_allclose(down, (0.0, 0.0, HAND_MASS * GRAVITY), atol=1e-4)


def hold(cell: Cell, q: Sequence[float], steps: int) -> None:
    """Hold the arm with computed torque."""
    for _ in range(steps):
        cell.fingers(None)
        wanted = [900.0 * (a - b) - 60.0 * v for a, b, v in zip(q, cell.q, cell.v, strict=False)]
        cell.step(cell.inverse_dynamics(cell.q[:JOINTS], wanted))


def energy(cell: Cell) -> float:
    mass = np.array(cell.bullet.calculateMassMatrix(cell.arm, cell.q, physicsClientId=cell.client))
    v = np.array(cell.v)
    kinetic = 0.5 * float(np.einsum("i,ij,j", v, mass, v))
    places = [
        add(at, apply(matrix(turn), link.centre)) for (at, turn, _, _), link in zip(cell.links(), LINKS, strict=True)
    ]
    return kinetic + sum(link.mass * GRAVITY * place[2] for place, link in zip(places, LINKS, strict=True))


def test_with_motors_off_energy_only_goes_down(cell: Cell):
    cell.build((0.5, 0.6, -0.9, 0.3, 0.8, 0.2))
    begun = before = energy(cell)
    for _ in range(70):  # 0.29 s of free fall, short of the table
        cell.fingers(None)
        cell.step([0.0] * JOINTS)
        now = energy(cell)
        assert now < before + 2e-4 * begun  # half a step's worth of an explicit integrator
        before = now
    assert now < begun
    assert max(abs(v) for v in cell.v) > 1.0  # it did fall
    assert cell.bench == 0.0


@pytest.mark.parametrize(("speed", "stiffness"), [(0.3, 75e3), (1.0, 75e3), (0.6, 20e3)])
def test_a_knock_exchanges_momentum_like_two_masses_and_a_spring(speed: float, stiffness: float):
    """A swinging gripper meets a free hand: reflected mass, impulse and peak force of the two-mass model."""
    person = {"to": (0.68, 0.0, 0.3), "at": 100.0, "strength": 0.0, "hand_stiffness": stiffness}
    settings = Arm.Settings.model_validate({"person": person})
    bullet, client = borrow()
    assert settings.person is not None
    cell = Cell(bullet, client, settings, Reach(settings.person))
    q = inverse((0.6, -0.05, 0.3), downward())
    cell.build(q)
    hand = cell.limbs["hand"]
    bullet.resetBasePositionAndOrientation(hand.body, (0.6, 0.064, 0.39), (0, 0, 0, 1), physicsClientId=client)
    bullet.resetBasePositionAndOrientation(cell.limbs["forearm"].body, (2, 1, 0), (0, 0, 0, 1), physicsClientId=client)
    bullet.resetJointState(cell.arm, 0, q[0], speed / 0.62, physicsClientId=client)
    cell.look()
    impulse, peak, begun = (0.0, 0.0, 0.0), 0.0, False
    for _ in range(60):
        torques = cell.inverse_dynamics(cell.q[:JOINTS], [0.0] * JOINTS)
        torques = [torque + d * v for torque, d, v in zip(torques, DAMPING, cell.v, strict=False)]
        for limb in cell.limbs.values():
            limb.force, limb.torque = (0.0, 0.0, limb.mass * GRAVITY), (0.0, 0.0, 0.0)
        if not begun:
            mass = np.array(bullet.calculateMassMatrix(cell.arm, cell.q, physicsClientId=client))
            joints, speeds = list(cell.q), np.array(cell.v)
        cell.step(torques)
        push = cell.pushes.get("hand")
        if push is None and begun:
            break
        if push is not None:
            if not begun:
                begun, point = True, scale(push.moment, 1.0 / push.weight)
            impulse, peak = add(impulse, push.impulse), max(peak, push.peak)
    give_back(client)
    assert begun
    normal = scale(impulse, 1.0 / length(impulse))
    lever = np.array([*force_torque(forward(joints[:JOINTS]), point, normal), 0.0, 0.0])
    reflected = 1.0 / float(np.einsum("i,i", lever, np.linalg.solve(mass, lever)))
    closing = float(np.einsum("i,i", lever, speeds))
    reduced = 1.0 / (1.0 / reflected + 1.0 / hand.mass)
    # what the hand got is what the contact gave; between a plastic and an elastic knock
    assert length(subtract(scale(hand.velocity, hand.mass), impulse)) < 1e-3 * length(impulse) + 1e-9
    assert reduced * closing < length(impulse) < 2.0 * reduced * closing
    # the engine's implicit spring takes energy out: the peak comes from below, closer the softer the spring
    lossless = closing * (stiffness * reduced) ** 0.5
    assert 0.65 * lossless < peak < 1.02 * lossless


def test_the_program_takes_the_tool_to_its_places_within_a_millimetre(healthy: tuple[Arm, Chunk]):
    _, chunk = healthy
    rows = chunk.tables["joints"].run(0)
    events = dict(zip(chunk.events.columns["kind"], chunk.events.columns["t"], strict=True))
    for name, place in (("grasp", (0.55, -0.3, 0.03)), ("release", (0.55, 0.3, 0.03 + 0.008 + 0.004))):
        late = events[name] + 0.15  # half-way through the dwell
        t = rows["t"][np.searchsorted(rows["t"], late)]
        at = forward(rows["position"][rows["t"] == t]).tool
        assert length(subtract(at, place)) < 1e-3, (name, at)


def test_at_rest_the_wrist_carries_the_weight_of_the_box():
    """Stopped by a command half-way, the sensor shows gripper and box: m g more than empty."""
    world = Arm(Arm.Settings.model_validate({"object": {"mass": 1.3}}))
    world.start([Draw(7, 0)], [Streams(7, 0)])
    world.advance(2.0, None)
    slow = Commands(Table.of({"speed": Column()}, [{"speed": [0.0]}]), np.array([True]))
    chunk = world.advance(3.5, slow)
    wrench = {name: values[-48:].mean() for name, values in chunk.tables["wrench"].run(0).items()}
    joints = chunk.tables["joints"].run(0)
    turn = forward(joints["position"][-JOINTS:]).rotation
    force = apply(turn, (wrench["fx"], wrench["fy"], wrench["fz"]))
    np.testing.assert_allclose(force, (0.0, 0.0, (HAND_MASS + 1.3) * GRAVITY), atol=0.05)
    assert np.abs(joints["velocity"][-JOINTS:]).max() < 1e-3
    assert chunk.tables["cell"].columns["holding"][-1]
    assert chunk.tables["cell"].columns["rate"][-1] == 0.0
    world.close()


def test_the_sum_of_small_turns_is_the_product():
    m = downward(0.3)
    for axis in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
        from mischance.simulators.arm.model import about

        np.testing.assert_allclose(turned(m, axis, 0.7), product(m, about(axis, 0.7)), atol=1e-15)


# -- events ------------------------------------------------------------------------------------------------------------


def test_undisturbed_it_places_the_box(healthy: tuple[Arm, Chunk]):
    world, chunk = healthy
    row = outcome(world)
    assert (row["verdict"], row["event"], row["object.placed"], row["stops"]) == ("placed", False, 1, 0)
    cell = chunk.tables["cell"].columns
    last = int(np.flatnonzero(cell["holding"])[-1])  # the last row in which it holds the box
    assert cell["t"][last] - 0.02 <= row["object.released"] <= cell["t"][last + 1] + 0.02
    assert row["place_error"] < 0.005
    assert row["person.contacts"] == row["fixture.force"] == row["bench.force"] == row["saturation"] == 0
    assert 0.0 < row["margin"] <= 1.0
    assert chunk.over[0]


def test_bodies_move_where_the_joints_say(healthy: tuple[Arm, Chunk]):
    _, chunk = healthy
    motion, scene = chunk.motion, chunk.scenes[0]
    assert motion is not None
    assert tuple(body.name for body in scene.bodies if body.moving) == motion.bodies
    assert {body.category for body in scene.bodies} == {"robot", "box", "person", "fixture", ""}
    assert {"imu", "camera"} <= set(scene.bodies[scene.index("flange")].mounts)
    rows = chunk.tables["joints"].run(0)
    for t in (0.5, 2.0, 3.0):
        q = rows["position"][np.isclose(rows["t"], t)]
        pose = motion.pose[0, np.searchsorted(motion.t, t - 1e-9), motion.bodies.index("flange")]
        assert length(subtract(forward(q).origins[5], tuple(pose[:3]))) < 1e-5
    # velocities are those of the poses
    step = np.diff(motion.pose[0, :, :, :3], axis=0) * 120.0
    middle = 0.5 * (motion.velocity[0, 1:, :, :3] + motion.velocity[0, :-1, :, :3])
    flange = motion.bodies.index("flange")
    assert np.abs(step - middle)[:, flange].max() < 0.02


def test_a_stop_takes_reaction_brake_and_deceleration_and_faults_add_to_it():
    tree = {"person": PERSON, "monitor": {"reaction": 0.05, "brake": 0.03, "stopping": 0.15, "separation": 0.1}}
    plain = outcome(play(tree)[0])
    assert plain["stops"] == 1
    assert plain["verdict"] == "stopped"
    assert plain["min_separation"] > 0.0
    assert abs(plain["stop_time"] - 0.23) < 3 / CONTROL
    late = play(tree, [fault("monitor", "delay", 1.0, 0.2), fault("brake", "latency", 1.0, 0.1)])[0]
    row = outcome(late)
    assert abs(row["stop_time"] - 0.53) < 3 / CONTROL
    assert row["stop_distance"] > plain["stop_distance"]
    assert "delay of monitor and latency of brake" in row["reason"] or "delay of monitor" in row["reason"]


def test_without_a_monitor_the_box_knocks_the_hand():
    world, chunk = play({"person": PERSON | {"limit": 50.0}}, [fault("monitor", "off", 0.0, 1.0)])
    row = outcome(world)
    assert row["event"]
    assert row["verdict"] == "contact above the limit"
    assert row["margin"] == row["person.margin"] == 1.0 - row["person.force"] / 50.0 < 0.0
    contacts = chunk.tables["contacts"].run(0)
    assert contacts["force"].max() == row["person.force"]
    assert row["person.pressure"] == pytest.approx(row["person.force"] / 4e-4)
    assert row["person.energy"] > 0.0
    assert "off of monitor" in row["reason"]
    assert "hand" in row["reason"]
    labels = world.outcome()[1].run(0)
    assert list(labels["class"]) == ["fault/monitor/off", "event/contact"]
    kinds = list(chunk.events.columns["kind"])
    parent = chunk.events.columns["parent_id"][kinds.index("contact")]
    assert chunk.events.columns["kind"][list(chunk.events.columns["event_id"]).index(parent)] == "reach"


def test_the_margin_crosses_zero_with_the_force():
    """A stricter limit moves the margin of the same run continuously, through zero where force equals limit."""
    tree = {"monitor": {"separation": None}}
    force = outcome(play(tree | {"person": PERSON})[0])["person.force"]
    for factor in (0.99, 1.01):
        row = outcome(play(tree | {"person": PERSON | {"limit": force * factor}})[0])
        assert row["event"] == (factor < 1.0)
        assert row["margin"] == pytest.approx(1.0 - 1.0 / factor)


def test_a_slippery_gripper_drops_the_box():
    world, chunk = play({}, [fault("gripper", "slip", 2.4, 0.95)])
    row = outcome(world)
    assert (row["verdict"], row["object.dropped"], row["event"]) == ("dropped", 1, True)
    assert row["object.margin"] < 0.0
    assert list(world.outcome()[1].run(0)["class"]) == ["fault/gripper/slip", "event/drop"]
    # it falls no sooner than freely
    dropped = chunk.events.columns["t"][list(chunk.events.columns["kind"]).index("dropped")]
    assert dropped - 2.4 >= (2 * 0.04 / GRAVITY) ** 0.5


def test_brakes_close_when_the_controller_loses_the_arm():
    world, chunk = play({}, [fault("joint2", "torque_loss", 2.5, 0.6)])
    row = outcome(world)
    assert row["verdict"] == "stopped"
    assert "following error" in row["reason"]
    assert np.abs(chunk.tables["joints"].columns["velocity"][-JOINTS:]).max() < 0.01


EFFECT = {"stuck": 1.0, "backlash": 0.05, "torque_loss": 0.5, "encoder_offset": 0.03, "slip": 0.5, "delay": 0.3,
          "off": 1.0, "latency": 0.2}  # fmt: skip


CELL = {"person": PERSON, "gripper": {"force": 40.0}}
STEPS = range(12, 5 * 120 + 1, 12)


@cache
def twin_of_every_fault() -> list[Any]:
    """Return the poses of a run without faults, one array a step."""
    world = Arm(Arm.Settings.model_validate(CELL))
    world.start([Draw(7, 0)], [Streams(7, 0)])
    motions = [world.advance(step / 120, None).motion for step in STEPS]
    world.close()
    return [motion.pose for motion in motions if motion is not None]


@pytest.mark.parametrize(("target", "kind"), [
    ("joint1", "stuck"), ("joint3", "backlash"), ("joint5", "torque_loss"), ("joint6", "encoder_offset"),
    ("gripper", "slip"), ("monitor", "delay"), ("monitor", "off"), ("brake", "latency"),
])  # fmt: skip
def test_every_fault_acts_from_its_onset_and_is_labelled(target: str, kind: str):
    """Compared step by step with its twin: equal bytes until the onset, different after it, one label."""
    onset = 2.3
    world = Arm(Arm.Settings.model_validate(CELL))
    world.start([Draw(7, 0, faults=(fault(target, kind, onset, EFFECT[kind]),))], [Streams(7, 0)])
    differs = None
    for step, twin in zip(STEPS, twin_of_every_fault(), strict=True):
        mine = world.advance(step / 120, None)
        assert mine.motion is not None
        same = (mine.motion.pose == twin).all(axis=(0, 2, 3))
        if not same.all():
            differs = float(mine.motion.t[np.argmin(same)])
        if differs is not None or mine.over[0]:
            break
    assert differs is not None, "it made no difference"
    assert differs > onset
    labels = world.outcome()[1].run(0)
    first = {name: values[0] for name, values in labels.items()}
    part = target.rstrip("0123456789")
    assert first["label_id"] == f"{target}:0"
    assert first["class"] == f"fault/{part}/{kind}"
    assert (first["target"], first["t_cause"], first["role"]) == (target, onset, "fault")
    assert json.loads(first["causes"]) == ["fault:0"]
    assert set(labels) == set(LABELS)
    world.close()


def test_every_kind_of_fault_has_a_target_and_an_effect_in_these_tests():
    assert {kind for kinds in OF.values() for kind in kinds} == set(KINDS) == set(EFFECT)
    assert tuple(Arm.targets(Arm.Settings())) == tuple(OF)


def test_a_fault_on_the_wrong_part_is_refused():
    with pytest.raises(RunError, match="'gripper' has no fault 'stuck'"):
        play({}, [fault("gripper", "stuck", 1.0, 1.0)], until=0.1)


def test_a_hand_that_cannot_get_there_is_refused():
    with pytest.raises(ValueError, match="from the shoulder"):
        Arm.Settings.model_validate({"person": {"to": (0.1, 0.0, 0.1)}})


# -- reproducibility ---------------------------------------------------------------------------------------------------

STORY = {"person": PERSON, "fixture": POST}
CRASH = [fault("monitor", "delay", 1.0, 0.4)]


def story(cuts: Sequence[float] = ()) -> str:
    world, chunk = play(STORY, CRASH, until=3.6, cuts=cuts)
    found = digest(world, chunk)
    world.close()
    return found


def test_a_run_is_the_same_again_cut_anywhere_and_in_another_process():
    once = story()
    world, _ = play({"object": {"mass": 2.0}}, [fault("joint2", "stuck", 0.3, 1.0)], until=0.6)  # another run between
    world.close()
    assert story(cuts=(0.004, 0.3333, 0.35, 1.111, 2.7182)) == once
    here = str(Path(__file__).parents[2])
    code = f"import sys; sys.path.insert(0, {here!r}); from tests.simulators import test_arm; print(test_arm.story())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip().splitlines()[-1] == once, done.stderr


def test_a_stop_is_timed_from_the_demand_that_led_to_it():
    """An early demand that a slow monitor drops again, for the hand was not coming, is not part of the stop."""
    person = {"stands": (1.25, 0.0), "at": 2.25, "takes": 0.45, "to": (0.665, 0.0, 0.2)}
    world, chunk = play({"person": person, "monitor": {"separation": 0.0, "reaction": 0.6}})
    told = [(t, kind) for t, kind in zip(*(chunk.events.run(0)[name] for name in ("t", "kind")), strict=True)
            if kind in ("stop_demanded", "resumed", "standstill")]  # fmt: skip
    assert [kind for _, kind in told] == ["stop_demanded", "resumed", "stop_demanded", "standstill"]
    row = outcome(world)
    assert row["stop_time"] == told[3][0] - told[2][0]
    assert row["stop_distance"] < 1.0
    assert f"stop demanded at {told[2][0]:.2f} s" in row["reason"]
