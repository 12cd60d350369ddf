"""Contacts of the arm against mechanics: friction of the pads, stiffness and energy of the person's parts, brakes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pybullet")

from mischance.api.randomness import Streams
from mischance.api.runs import Draw, Fault
from mischance.simulators.arm import Arm
from mischance.simulators.arm.building import DAMPING, GRAVITY, STUCK, TORSO, borrow, give_back
from mischance.simulators.arm.bullet import Cell
from mischance.simulators.arm.model import JOINTS, LEFT, RIGHT, downward, inverse
from mischance.simulators.arm.outline import bodies_table
from mischance.simulators.arm.path import Reach

HEAVY: dict[str, Any] = {"object": {"mass": 1.4}, "monitor": {"force": None}}


def started(tree: dict[str, Any], faults: Sequence[Fault] = ()) -> Arm:
    world = Arm(Arm.Settings.model_validate(tree))
    world.start([Draw(7, 0, faults=tuple(faults))], [Streams(7, 0)])
    return world


def cell_of(world: Arm) -> Cell:
    assert world._run is not None
    return world._run._cell


def friction_of_pads(cell: Cell) -> dict[int, float]:
    """Return the largest friction over normal force in the engine's contacts of each pad with the box."""
    found = {LEFT: 0.0, RIGHT: 0.0}
    for point in cell.bullet.getContactPoints(cell.arm, cell.box, physicsClientId=cell.client):
        if point[3] in found and point[9] > 0.0:
            found[point[3]] = max(found[point[3]], math.hypot(point[10], point[12]) / point[9])
    return found


# -- friction of the pads ----------------------------------------------------------------------------------------------

ONSETS = [2.78 + 0.02 * k for k in range(20)]


@pytest.mark.parametrize(
    "onset", [pytest.param(at, marks=() if k % 7 == 0 else pytest.mark.slow) for k, at in enumerate(ONSETS)]
)
def test_pads_without_friction_hold_nothing_whatever_the_engine_remembers(onset: float):
    """No contact point keeps its old friction, so that the box falls; afterwards the pads have theirs again."""
    world = started(HEAVY, [Fault("fault:0", "gripper", "slip", onset, onset + 0.2, 1.0)])
    world.advance(onset + 1 / 120, None)
    for step in range(2, 7):
        world.advance(onset + step / 120, None)
        assert max(friction_of_pads(cell_of(world)).values()) == 0.0
    world.advance(onset + 0.25, None)
    assert world.outcome()[0].columns["object.dropped"][0] == 1
    assert world.in_force(0, "gripper", "slip") == 0.7
    world.close()


def test_pads_that_grow_slippery_and_recover_carry_what_friction_allows():
    """1.4 kg needs 0.11 of friction at two pads of 60 N: 0.35 in force slides nowhere, and no contact exceeds it."""
    world = started(HEAVY, [Fault("fault:0", "gripper", "slip", 2.8, 3.1, 0.5, 0.2)])
    world.advance(2.79, None)
    begun = world._run._slip if world._run else 0.0
    for step in range(36):
        world.advance(2.8 + step / 120, None)
        in_force = world.in_force(0, "gripper", "slip")
        assert in_force == pytest.approx(0.7 * (1.0 - 0.5 * min(max((step - 1) / 120 / 0.2, 0.0), 1.0)), abs=0.02)
        # the two friction directions of the engine are limited one by one
        assert max(friction_of_pads(cell_of(world)).values()) <= math.sqrt(2.0) * 0.7 + 1e-6
    assert world._run is not None
    assert abs(world._run._slip - begun) < 2e-3
    world.advance(3.2, None)
    assert world.in_force(0, "gripper", "slip") == 0.7
    assert world.outcome()[0].columns["object.dropped"][0] == 0
    world.close()


# -- the person --------------------------------------------------------------------------------------------------------


@pytest.fixture
def beside_a_person() -> Iterator[Cell]:
    """Return a cell with a person who faces the arm, hand and forearm out of the way, and a box of 5 kg."""
    tree = {"person": {"reaches": False, "to": (0.68, 0.0, 0.3)}, "object": {"mass": 5.0}}
    settings = Arm.Settings.model_validate(tree)
    assert settings.person is not None
    bullet, client = borrow()
    cell = Cell(bullet, client, settings, Reach(settings.person))
    cell.build(inverse((0.5, 0.0, 0.42), downward()))
    for limb in cell.limbs.values():
        bullet.resetBasePositionAndOrientation(limb.body, (3, 3, 3), (0, 0, 0, 1), physicsClientId=client)
    yield cell
    give_back(client)


@pytest.mark.parametrize(("yaw", "points"), [(0.0, 4), (math.pi / 4, 2)], ids=["a face", "an edge"])
def test_the_chest_is_as_stiff_as_the_settings_say_whatever_touches_it(beside_a_person: Cell, yaw: float, points: int):
    """A box pressed on the chest by 100 N of weight: force over penetration, by geometry, is 25 kN/m."""
    cell, push, mass = beside_a_person, 100.0, 5.0
    p, c = cell.bullet, cell.client
    front = 1.25 - 0.5 * TORSO[0][0][0]
    turn = (0.0, 0.0, math.sin(0.5 * yaw), math.cos(0.5 * yaw))
    reach = 0.025 * (abs(math.cos(yaw)) + abs(math.sin(yaw)))
    sunk = push / 25e3  # begun where it will rest, so that it does not bounce
    p.resetBasePositionAndOrientation(cell.box, (front - reach + sunk, 0.0, 0.3), turn, physicsClientId=c)
    p.setGravity(push / mass, 0.0, 0.0, physicsClientId=c)
    forces, depths = [], []
    for _ in range(120):
        for limb in cell.limbs.values():
            limb.force = limb.torque = (0.0, 0.0, 0.0)
        cell.step([0.0] * JOINTS)
        (x, _, _), q = p.getBasePositionAndOrientation(cell.box, physicsClientId=c)
        r = np.array(p.getMatrixFromQuaternion(q)).reshape(3, 3)
        corners = np.array([[i, j, k] for i in (-0.025, 0.025) for j in (-0.025, 0.025) for k in (-0.03, 0.03)])
        depths.append(x + (corners @ r.T)[:, 0].max() - front)
        found = p.getContactPoints(cell.box, cell.watched["person"], physicsClientId=c)
        forces.append(sum(point[9] for point in found))
        assert len(found) == points
    assert np.mean(forces[60:]) == pytest.approx(push, rel=0.02)
    assert np.mean(forces[60:]) / np.mean(depths[60:]) == pytest.approx(25e3, rel=0.02)


def test_a_contact_does_the_work_that_the_hand_has_as_motion():
    """A swinging gripper knocks a free hand at rest: the contact's work is m v^2 / 2, whatever the time step."""
    tree = {"person": {"to": (0.68, 0.0, 0.3), "at": 100.0, "strength": 0.0}}
    settings = Arm.Settings.model_validate(tree)
    assert settings.person is not None
    bullet, client = borrow()
    cell = Cell(bullet, client, settings, Reach(settings.person))
    q = inverse((0.6, -0.05, 0.3), downward())
    cell.build(q)
    hand = cell.limbs["hand"]
    for body, place in ((hand.body, (0.6, 0.064, 0.39)), (cell.limbs["forearm"].body, (2.0, 1.0, 0.0))):
        bullet.resetBasePositionAndOrientation(body, place, (0, 0, 0, 1), physicsClientId=client)
    bullet.resetJointState(cell.arm, 0, q[0], 1.2, physicsClientId=client)
    cell.look()
    work, touched = 0.0, False
    while not touched or "hand" in cell.pushes:
        touched = touched or "hand" in cell.pushes
        torques = cell.inverse_dynamics(cell.q[:JOINTS], [0.0] * JOINTS)
        torques = [torque + d * v for torque, d, v in zip(torques, DAMPING, cell.v, strict=False)]
        for limb in cell.limbs.values():
            limb.force, limb.torque = (0.0, 0.0, limb.mass * GRAVITY), (0.0, 0.0, 0.0)
        cell.step(torques)
        work += cell.pushes["hand"].energy if "hand" in cell.pushes else 0.0
    give_back(client)
    motion = 0.5 * hand.mass * sum(v * v for v in hand.velocity)
    assert 0.1 < motion < 0.3  # 0.6 kg at 0.7 to 1 m/s
    assert work == pytest.approx(motion, rel=1e-3)


@pytest.mark.parametrize("to", [(0.68, 0.0, 0.22), (0.9, 0.35, 0.2)])
def test_the_body_faces_the_target_and_not_the_hand(to: tuple[float, float, float]):
    """The shoulder is 0.12 m beside the middle: from there the target lies in another direction."""
    settings = Arm.Settings.model_validate({"person": {"to": to}})
    assert settings.person is not None
    reach = Reach(settings.person)
    x, y = to[0] - 1.25, to[1]
    table = bodies_table(settings, reach)
    person = list(table.schema["subject" if "subject" in table.schema else "body"].names).index("person")
    name = "subject" if "subject" in table.schema else "body"
    row = {key: values[list(table.columns[name]).index(person)] for key, values in table.columns.items()}
    assert row["yaw"] == pytest.approx(math.atan2(y, x), abs=1e-12)
    bullet, client = borrow()
    cell = Cell(bullet, client, settings, reach)
    cell.build(inverse((0.5, 0.0, 0.42), downward()))
    turn = bullet.getBasePositionAndOrientation(cell.watched["person"], physicsClientId=client)[1]
    front = np.array(bullet.getMatrixFromQuaternion(turn)).reshape(3, 3)[:, 0]
    give_back(client)
    np.testing.assert_allclose(front[:2], np.array([x, y]) / math.hypot(x, y), atol=1e-6)


# -- brakes ------------------------------------------------------------------------------------------------------------


def test_a_stuck_joint_stands_within_its_brakes_torque_and_moves_again():
    """Joint 1 carries the box across: a brake that closes there stops it at once, and lets it go at the end."""
    free = {"monitor": {"force": None, "following": None, "separation": None}}
    world = started(free, [Fault("fault:0", "joint1", "stuck", 2.6, 2.7, 1.0)])
    world.advance(2.6, None)
    assert abs(cell_of(world).v[0]) > 0.3
    world.advance(2.6 + 4 / 120, None)
    at = cell_of(world).q[0]
    world.advance(2.7, None)
    assert abs(cell_of(world).q[0] - at) < 1e-4
    assert abs(cell_of(world).v[0]) < 1e-3
    assert 0.0 < abs(cell_of(world).torque[0]) <= STUCK[0]
    world.advance(2.75, None)
    assert abs(cell_of(world).v[0]) > 0.3
    world.close()
