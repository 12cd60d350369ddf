"""Construction of the robot cell in PyBullet: table, bin, arm, box, post and person, in one fixed order.

A run's state lives in the engine between two chunks, and a run and its twin are played in lockstep, so every
instance of the world has a client of its own. Clients come from a pool, since connecting costs far more than a reset.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mischance.api.engines import engine
from mischance.errors import RunError

from .model import JOINTS, LEFT, LINKS, RIGHT, Vector, quaternion
from .model import G as GRAVITY
from .path import FLOOR, LOWER_ARM, Reach
from .settings import Settings

RATE = 960  # steps of physics per second
SUBSTEPS = 4  # steps of physics per control step
STEP = 1.0 / RATE
CONTROL = RATE / SUBSTEPS  # control steps per second
OPEN = 0.045  # opening of each finger [m]
DAMPING = (1.0, 1.0, 0.8, 0.15, 0.15, 0.15)  # viscous friction of the joints [N m s/rad]
STUCK = (450.0, 450.0, 300.0, 84.0, 84.0, 84.0)  # holding torque of the joints' brakes [N m]
HAND = 0.05  # radius of the fist: a ball touches in one point, so the contact spring acts once [m]
FOREARM = 0.04  # radius of the capsule from elbow to wrist [m]
BIN, WALL, RIM = 0.22, 0.01, 0.05  # inner width, thickness and height of the walls [m]
POSTURE = 40.0  # natural frequency of the control that keeps a limb on its path [rad/s]
TORSO: tuple[tuple[Vector, Vector], ...] = (  # size, position from (stands, table top)
    ((0.22, 0.40, 0.56), (0.0, 0.0, 0.22)),
    ((0.20, 0.18, 0.24), (0.0, 0.0, 0.66)),
)

_free: dict[int, list[int]] = {}  # process -> unused clients


def borrow() -> tuple[Any, int]:
    """Return the engine and a client that no other world of this process uses."""
    bullet = engine()
    mine = _free.setdefault(os.getpid(), [])  # by process: a forked worker must not use its parent's clients
    number = mine.pop() if mine else int(bullet.connect(bullet.DIRECT))
    if number < 0:
        raise RunError("PyBullet gives out no further client", "play fewer arms at once in one process")
    return bullet, number


def give_back(number: int) -> None:
    """Return a client to the pool."""
    _free.setdefault(os.getpid(), []).append(number)


@dataclass(slots=True)
class Limb:
    """A limb of the person: a free body that a bounded force keeps on its path."""

    body: int
    mass: float
    inertia: float
    force: Vector = (0.0, 0.0, 0.0)
    torque: Vector = (0.0, 0.0, 0.0)
    at: Vector = (0.0, 0.0, 0.0)
    turn: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)
    velocity: Vector = (0.0, 0.0, 0.0)
    before: Vector = (0.0, 0.0, 0.0)  # velocity one control step ago
    moved: Vector = (0.0, 0.0, 0.0)  # velocity one step of physics ago
    spin: Vector = (0.0, 0.0, 0.0)


@dataclass(slots=True)
class Furniture:
    """The bodies of a cell by their numbers in the engine; `watched`: bodies whose contacts count, by name."""

    bullet: Any
    client: int
    settings: Settings
    reach: Reach | None
    arm: int = -1
    box: int = -1
    limbs: dict[str, Limb] = field(default_factory=dict)
    watched: dict[str, int] = field(default_factory=dict)
    ground: frozenset[int] = frozenset()
    springs: dict[str, float] = field(default_factory=dict)  # stiffness of each part of the person [N/m]
    points: dict[str, int] = field(default_factory=dict)  # points of contact that share it

    def furnish(self, joints: Sequence[float]) -> None:
        """Reset the engine and build the cell, the arm at these joint angles (6,), the fingers open."""
        p, c = self.bullet, self.client
        p.resetSimulation(physicsClientId=c)
        p.setPhysicsEngineParameter(
            fixedTimeStep=STEP,
            numSubSteps=0,
            numSolverIterations=30,
            deterministicOverlappingPairs=1,
            restitutionVelocityThreshold=10.0,
            physicsClientId=c,
        )
        p.setGravity(0.0, 0.0, -GRAVITY, physicsClientId=c)
        settings = self.settings
        self.arm = self._arm(joints)
        for finger in (LEFT, RIGHT):
            self.surface(self.arm, finger, self.settings.gripper.friction)
        rough = settings.object.friction
        ground = [self._static((1.3, 1.8, 0.06), (0.3, 0.0, -0.03), rough)]
        x, y = settings.task.place
        ground.append(self._static((BIN, BIN, FLOOR), (x, y, 0.5 * FLOOR), rough))
        for side in (-1.0, 1.0):
            middle = 0.5 * side * (BIN + WALL)
            ground.append(self._static((WALL, BIN + 2.0 * WALL, RIM), (x + middle, y, 0.5 * RIM), rough))
            ground.append(self._static((BIN, WALL, RIM), (x, y + middle, 0.5 * RIM), rough))
        self.ground = frozenset(ground)
        box = settings.object
        at = (*settings.task.pick, 0.5 * box.size[2])
        self.box = self._free(box.size, box.mass, at, (0.0, 0.0, 0.0, 1.0))
        self.surface(self.box, -1, 1.0)  # the friction of a pair is a product: pads, table and bin carry its value
        self.limbs, self.watched, self.springs, self.points = {}, {}, {}, {}
        if settings.person is not None and self.reach is not None:
            self._person(self.reach, ground)
        if settings.fixture is not None:
            size, place = settings.fixture.size, settings.fixture.at
            self.watched["fixture"] = self._static(size, (*place, 0.5 * size[2]), 0.5)

    def _shape(self, size: Vector, place: Vector = (0.0, 0.0, 0.0)) -> int:
        half = [0.5 * side for side in size]
        p = self.bullet
        made = p.createCollisionShape(
            p.GEOM_BOX, halfExtents=half, collisionFramePosition=place, physicsClientId=self.client
        )
        return int(made)

    def _static(self, size: Vector, place: Vector, friction: float) -> int:
        shape = self._shape(size)
        body = self.bullet.createMultiBody(0.0, shape, -1, place, physicsClientId=self.client)
        self.surface(body, -1, friction)
        return int(body)

    def _free(self, size: Vector, mass: float, place: Vector, turn: Sequence[float], shape: int | None = None) -> int:
        shape = self._shape(size) if shape is None else shape
        body = int(self.bullet.createMultiBody(mass, shape, -1, place, turn, physicsClientId=self.client))
        inertia = box_inertia(size, mass)
        self._dynamics(body, -1, localInertiaDiagonal=inertia)
        return body

    def _dynamics(self, body: int, link: int, **more: Any) -> None:
        p = self.bullet
        p.changeDynamics(
            body,
            link,
            linearDamping=0.0,
            angularDamping=0.0,
            rollingFriction=0.0,
            spinningFriction=0.0,
            restitution=0.0,
            activationState=p.ACTIVATION_STATE_DISABLE_SLEEPING,
            physicsClientId=self.client,
            **more,
        )

    def surface(self, body: int, link: int, friction: float) -> None:
        """Set the friction of a body; the friction of a pair is the product of both."""
        self.bullet.changeDynamics(body, link, lateralFriction=friction, physicsClientId=self.client)

    def _arm(self, joints: Sequence[float]) -> int:
        p, c = self.bullet, self.client
        kinds = [p.JOINT_PRISMATIC if k.slides else p.JOINT_REVOLUTE if any(k.axis) else p.JOINT_FIXED for k in LINKS]
        arm = int(
            p.createMultiBody(
                baseMass=0.0,
                baseCollisionShapeIndex=self._shape((0.18, 0.18, 0.20), (0.0, 0.0, 0.10)),
                linkMasses=[link.mass for link in LINKS],
                linkCollisionShapeIndices=[self._shape(link.size, link.centre) for link in LINKS],
                linkVisualShapeIndices=[-1] * len(LINKS),
                linkPositions=[link.place for link in LINKS],
                linkOrientations=[(0.0, 0.0, 0.0, 1.0)] * len(LINKS),
                linkInertialFramePositions=[link.centre for link in LINKS],
                linkInertialFrameOrientations=[(0.0, 0.0, 0.0, 1.0)] * len(LINKS),
                linkParentIndices=[link.parent + 1 for link in LINKS],
                linkJointTypes=kinds,
                linkJointAxis=[link.axis for link in LINKS],
                physicsClientId=c,
            )
        )
        for i, link in enumerate(LINKS):
            self._dynamics(
                arm,
                i,
                localInertiaDiagonal=box_inertia(link.size, link.mass),
                jointDamping=DAMPING[i] if i < JOINTS else 0.0,
            )
            if any(link.axis):
                p.setJointMotorControl2(arm, i, p.VELOCITY_CONTROL, force=0.0, physicsClientId=c)
        for i, angle in enumerate(joints):
            p.resetJointState(arm, i, angle, physicsClientId=c)
        for finger in (LEFT, RIGHT):
            p.resetJointState(arm, finger, OPEN, physicsClientId=c)
        return arm

    def _person(self, reach: Reach, ground: Sequence[int]) -> None:
        p, c, person = self.bullet, self.client, reach.person
        hand, _ = reach.hand(0.0)
        middle, along = reach.forearm(hand)
        ball = p.createCollisionShape(p.GEOM_SPHERE, radius=HAND, physicsClientId=c)
        lying = (0.0, 0.5**0.5, 0.0, 0.5**0.5)  # the axis of PyBullet's capsules is z
        tube = p.createCollisionShape(
            p.GEOM_CAPSULE,
            radius=FOREARM,
            height=LOWER_ARM - 2.0 * FOREARM,
            collisionFrameOrientation=lying,
            physicsClientId=c,
        )
        parts = (
            ("hand", ball, 2.0 * HAND, person.hand_mass, hand, reach.ahead, person.hand_stiffness),
            ("forearm", tube, LOWER_ARM, person.forearm_mass, middle, along, person.forearm_stiffness),
        )
        for name, shape, long, mass, at, ahead, stiffness in parts:
            size = (long, min(long, 2.0 * HAND), min(long, 2.0 * HAND))
            body = self._free(size, mass, at, quaternion(ahead), shape)
            self._spring(name, body, stiffness)
            self.limbs[name] = Limb(body, mass, max(box_inertia(size, mass)))
            self.watched[name] = body
        shapes = [[0.5 * side for side in size] for size, _ in TORSO]
        torso = p.createCollisionShapeArray(
            shapeTypes=[p.GEOM_BOX] * len(TORSO),
            halfExtents=shapes,
            collisionFramePositions=[place for _, place in TORSO],
            physicsClientId=c,
        )
        facing = quaternion(reach.facing)
        body = int(p.createMultiBody(0.0, torso, -1, (*person.stands, 0.0), facing, physicsClientId=c))
        self._spring("person", body, person.torso_stiffness)
        self.watched["person"] = body
        bodies = [self.watched[name] for name in ("hand", "forearm", "person")]
        for i, a in enumerate(bodies):
            for b in (*bodies[i + 1 :], *ground):  # no contacts within the person or with the table
                p.setCollisionFilterPair(a, b, -1, -1, 0, physicsClientId=c)

    def _spring(self, name: str, body: int, stiffness: float) -> None:
        """Give a part of the person an elastic contact.

        The engine's spring is implicit and takes energy out by itself, about as a fifth of critical damping would at
        75 kN/m and 0.6 kg: peaks of an impact come out lower than without loss, by a quarter there, less when softer.
        """
        self.bullet.changeDynamics(body, -1, lateralFriction=0.5, physicsClientId=self.client)
        self.springs[name] = stiffness
        self.share(name, body, 1)

    def share(self, name: str, body: int, points: int) -> None:
        """Divide the stiffness of a part of the person among its points of contact: the engine has a spring in each."""
        if self.points.get(name) != points:
            self.points[name] = points
            self.bullet.changeDynamics(
                body,
                -1,
                contactStiffness=self.springs[name] / points,
                contactDamping=0.0,
                physicsClientId=self.client,
            )


def box_inertia(size: Vector, mass: float) -> Vector:
    """Return the moments of inertia of a homogeneous box about its centre [kg m2]."""
    x, y, z = (side * side for side in size)
    return (mass * (y + z) / 12.0, mass * (x + z) / 12.0, mass * (x + y) / 12.0)
