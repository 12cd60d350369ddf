"""The robot cell in PyBullet: built from nothing for every run, stepped 960 times a second.

A run's state lives in the engine between two chunks, and a run and its twin are played side by side, so every
world has a client of its own; clients are lent from a pool, since connecting costs far more than a reset.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mischance.errors import RunError

from ._arm_model import (
    FLANGE,
    GRIPPER,
    JOINTS,
    LEFT,
    LINKS,
    RIGHT,
    TOOL,
    Matrix,
    Vector,
    add,
    apply,
    cross,
    dot,
    length,
    matrix,
    quaternion,
    scale,
    subtract,
    transpose,
)
from ._arm_model import G as GRAVITY
from ._arm_path import FLOOR, LOWER_ARM, Reach
from ._arm_settings import Settings
from ._bullet import engine

RATE = 960  # steps of physics per second
SUBSTEPS = 4  # of a control step
STEP = 1.0 / RATE
CONTROL = RATE / SUBSTEPS  # control steps per second
OPEN = 0.045  # how far each finger opens [m]
DAMPING = (1.0, 1.0, 0.8, 0.15, 0.15, 0.15)  # viscous friction of the joints [N m s/rad]
STUCK = (450.0, 450.0, 300.0, 84.0, 84.0, 84.0)  # what a brake holds [N m]
HAND = 0.05  # radius of the fist: a ball touches in one point, so that its spring acts once [m]
FOREARM = 0.04  # radius of the capsule from elbow to wrist [m]
BIN, WALL, RIM = 0.22, 0.01, 0.05  # inner width, thickness and height of the walls [m]
POSTURE = 40.0  # how stiffly a limb keeps its course: natural frequency [rad/s]
TORSO: tuple[tuple[Vector, Vector], ...] = (  # size and place from (stands, table top); x is where the person looks
    ((0.22, 0.40, 0.56), (0.0, 0.0, 0.22)),
    ((0.20, 0.18, 0.24), (0.0, 0.0, 0.66)),
)

_free: dict[int, list[int]] = {}  # process -> clients that nobody uses


def borrow() -> tuple[Any, int]:
    """Return the engine and a client that nobody else of this process uses."""
    bullet = engine()
    mine = _free.setdefault(os.getpid(), [])  # a forked worker must not share its parent's
    number = mine.pop() if mine else int(bullet.connect(bullet.DIRECT))
    if number < 0:
        raise RunError("PyBullet gives out no further client", "play fewer arms at once in one process")
    return bullet, number


def give_back(number: int) -> None:
    """Take a client back."""
    _free.setdefault(os.getpid(), []).append(number)


@dataclass(slots=True)
class Push:
    """What touched a body of the cell during one control step."""

    by: str = ""
    peak: float = 0.0  # largest force in one step of physics [N]
    impulse: Vector = (0.0, 0.0, 0.0)
    moment: Vector = (0.0, 0.0, 0.0)
    weight: float = 0.0
    energy: float = 0.0  # work done on the body [J]
    speed: float = 0.0  # largest closing speed of the surfaces at the first touch [m/s]


@dataclass(slots=True)
class Limb:
    """A part of the reaching arm: a free body that a bounded force keeps on course."""

    body: int
    mass: float
    inertia: float
    force: Vector = (0.0, 0.0, 0.0)
    torque: Vector = (0.0, 0.0, 0.0)
    at: Vector = (0.0, 0.0, 0.0)
    turn: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0)
    velocity: Vector = (0.0, 0.0, 0.0)
    before: Vector = (0.0, 0.0, 0.0)  # velocity one control step ago
    spin: Vector = (0.0, 0.0, 0.0)


@dataclass(slots=True)
class Cell:
    """Table, bin, arm, box, and whoever stands there. `q`, `v` are the joints' (8,): six of the arm, two fingers."""

    bullet: Any
    client: int
    settings: Settings
    reach: Reach | None
    arm: int = -1
    box: int = -1
    limbs: dict[str, Limb] = field(default_factory=dict)
    watched: dict[str, int] = field(default_factory=dict)
    q: list[float] = field(default_factory=list)
    v: list[float] = field(default_factory=list)
    torque: list[float] = field(default_factory=list)
    wrench: tuple[float, ...] = (0.0,) * 6  # mean of the last control step
    holding: bool = False  # both fingers pressed on the box in the last step of physics
    pushes: dict[str, Push] = field(default_factory=dict)
    bench: float = 0.0  # largest force of arm or gripper on table and bin so far [N]
    locked: tuple[bool, ...] = (False,) * JOINTS
    _ground: frozenset[int] = frozenset()
    _before: list[tuple[Vector, Vector]] = field(default_factory=list)

    # -- building -------------------------------------------------------------------------------------------------

    def build(self, joints: Sequence[float]) -> None:
        """Build everything, the arm at those joint angles (6,), the fingers open."""
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
        rough = settings.object.friction
        ground = [self._static((1.3, 1.8, 0.06), (0.3, 0.0, -0.03), rough)]
        x, y = settings.task.place
        ground.append(self._static((BIN, BIN, FLOOR), (x, y, 0.5 * FLOOR), rough))
        for side in (-1.0, 1.0):
            middle = 0.5 * side * (BIN + WALL)
            ground.append(self._static((WALL, BIN + 2.0 * WALL, RIM), (x + middle, y, 0.5 * RIM), rough))
            ground.append(self._static((BIN, WALL, RIM), (x, y + middle, 0.5 * RIM), rough))
        self._ground, self.bench = frozenset(ground), 0.0
        box = settings.object
        at = (*settings.task.pick, 0.5 * box.size[2])
        self.box = self._free(box.size, box.mass, at, (0.0, 0.0, 0.0, 1.0))
        self._surface(self.box, -1, 1.0)  # the pair's value is a product: pads, table and bin bring theirs
        self.limbs, self.watched = {}, {}
        if settings.person is not None and self.reach is not None:
            self._person(self.reach, ground)
        if settings.fixture is not None:
            size, place = settings.fixture.size, settings.fixture.at
            self.watched["fixture"] = self._static(size, (*place, 0.5 * size[2]), 0.5)
        self.locked = (False,) * JOINTS
        self.pushes, self._before = {}, []
        self.holding = False
        self.torque = [0.0] * JOINTS
        self.look()
        self._feel([])

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
        self._surface(body, -1, friction)
        return int(body)

    def _free(self, size: Vector, mass: float, place: Vector, turn: Sequence[float], shape: int | None = None) -> int:
        shape = self._shape(size) if shape is None else shape
        body = int(self.bullet.createMultiBody(mass, shape, -1, place, turn, physicsClientId=self.client))
        inertia = _box_inertia(size, mass)
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

    def _surface(self, body: int, link: int, friction: float) -> None:
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
                localInertiaDiagonal=_box_inertia(link.size, link.mass),
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
        lying = (0.0, 0.5**0.5, 0.0, 0.5**0.5)  # the engine's capsules stand upright
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
            self._spring(body, stiffness, mass)
            self.limbs[name] = Limb(body, mass, max(_box_inertia(size, mass)))
            self.watched[name] = body
        shapes = [[0.5 * side for side in size] for size, _ in TORSO]
        torso = p.createCollisionShapeArray(
            shapeTypes=[p.GEOM_BOX] * len(TORSO),
            halfExtents=shapes,
            collisionFramePositions=[place for _, place in TORSO],
            physicsClientId=c,
        )
        facing = quaternion((reach.ahead[0], reach.ahead[1], 0.0))
        body = int(p.createMultiBody(0.0, torso, -1, (*person.stands, 0.0), facing, physicsClientId=c))
        self._spring(body, person.torso_stiffness, 40.0)
        self.watched["person"] = body
        bodies = [self.watched[name] for name in ("hand", "forearm", "person")]
        for i, a in enumerate(bodies):
            for b in (*bodies[i + 1 :], *ground):  # nobody hurts himself, and an elbow may rest on the table
                p.setCollisionFilterPair(a, b, -1, -1, 0, physicsClientId=c)

    def _spring(self, body: int, stiffness: float, mass: float) -> None:
        """Make a body springy where it is touched; a tenth of critical damping against its own mass."""
        self.bullet.changeDynamics(
            body,
            -1,
            contactStiffness=stiffness,
            contactDamping=0.0,
            lateralFriction=0.5,
            physicsClientId=self.client,
        )

    # -- a control step -------------------------------------------------------------------------------------------

    def pads(self, friction: float) -> None:
        """Set the friction of the gripper's pads."""
        for finger in (LEFT, RIGHT):
            self._surface(self.arm, finger, friction)

    def lock(self, locked: tuple[bool, ...]) -> None:
        """Close or open the joints' brakes; (6,)."""
        p = self.bullet
        for i, (now, before) in enumerate(zip(locked, self.locked, strict=True)):
            if now != before:
                force = STUCK[i] if now else 0.0
                p.setJointMotorControl2(
                    self.arm, i, p.VELOCITY_CONTROL, targetVelocity=0.0, force=force, physicsClientId=self.client
                )
        self.locked = locked

    def fingers(self, force: float | None) -> None:
        """Close with a force [N], or open: one finger pushes, the other mirrors its place."""
        p, c = self.bullet, self.client
        if force is None:
            for finger in (LEFT, RIGHT):
                p.setJointMotorControl2(
                    self.arm, finger, p.POSITION_CONTROL, targetPosition=OPEN, force=200.0, maxVelocity=0.25,
                    physicsClientId=c,
                )  # fmt: skip
            return
        p.setJointMotorControl2(
            self.arm, LEFT, p.VELOCITY_CONTROL, targetVelocity=-0.15, force=force, physicsClientId=c
        )
        p.setJointMotorControl2(
            self.arm, RIGHT, p.POSITION_CONTROL, targetPosition=self.q[JOINTS], force=20.0 * force, maxVelocity=0.3,
            physicsClientId=c,
        )  # fmt: skip

    def inverse_dynamics(self, q: Sequence[float], acceleration: Sequence[float]) -> list[float]:
        """Return the torques (6,) that would give those accelerations at joint angles q, in the controller's model."""
        wanted = [*acceleration, 0.0, 0.0]
        where = [*q, *self.q[JOINTS:]]
        found = self.bullet.calculateInverseDynamics(self.arm, where, self.v, wanted, physicsClientId=self.client)
        return list(found[:JOINTS])

    def steer(self, t: float) -> None:
        """Work out the forces that keep hand and forearm on course, for the control step that starts at t."""
        if self.reach is None or not self.limbs:
            return
        hand, velocity = self.reach.hand(t)
        middle, along = self.reach.forearm(hand)
        later, _ = self.reach.hand(t + 1e-3)
        ahead, _ = self.reach.forearm(later)
        speeds = {"hand": velocity, "forearm": scale(subtract(ahead, middle), 1e3)}
        wants = {"hand": (hand, self.reach.ahead), "forearm": (middle, along)}
        strength = self.reach.person.strength
        for name, limb in self.limbs.items():
            at, direction = wants[name]
            pull = add(
                scale(subtract(at, limb.at), limb.mass * POSTURE * POSTURE),
                scale(subtract(speeds[name], limb.velocity), 2.0 * limb.mass * POSTURE),
            )
            size = length(pull)
            limb.force = scale(pull, min(1.0, strength / size) if size > 0.0 else 0.0)
            limb.force = add(limb.force, (0.0, 0.0, limb.mass * GRAVITY))
            error = _turn(quaternion(direction), limb.turn)
            limb.torque = add(
                scale(error, limb.inertia * POSTURE * POSTURE), scale(limb.spin, -2.0 * limb.inertia * POSTURE)
            )

    def step(self, torques: Sequence[float]) -> None:
        """Do one control step of four steps of physics with those joint torques (6,) [N m]."""
        p, c, arm = self.bullet, self.client, self.arm
        free = [i for i in range(JOINTS) if not self.locked[i]]
        given = [torques[i] for i in free]
        limbs = tuple(self.limbs.values())
        touches: list[tuple[Vector, Vector]] = []
        pressed: set[int] = set()
        self.pushes = {}
        for _ in range(SUBSTEPS):
            if free:
                p.setJointMotorControlArray(arm, free, p.TORQUE_CONTROL, forces=given, physicsClientId=c)
            for limb in limbs:
                p.applyExternalForce(limb.body, -1, limb.force, limb.at, p.WORLD_FRAME, physicsClientId=c)
                p.applyExternalTorque(limb.body, -1, limb.torque, p.WORLD_FRAME, physicsClientId=c)
            p.stepSimulation(physicsClientId=c)
            pressed = self._contacts(touches)
            for limb in limbs:
                limb.at = p.getBasePositionAndOrientation(limb.body, physicsClientId=c)[0]
        self.holding = LEFT in pressed and RIGHT in pressed
        self.torque = list(torques)
        self.look()
        self._feel(touches)

    def look(self) -> None:
        """Read joints and limbs."""
        p, c = self.bullet, self.client
        states = p.getJointStates(self.arm, [*range(JOINTS), LEFT, RIGHT], physicsClientId=c)
        self.q = [state[0] for state in states]
        self.v = [state[1] for state in states]
        if any(self.locked) and self.torque:
            for i in range(JOINTS):
                if self.locked[i]:
                    self.torque[i] = states[i][3]
        if not all(abs(value) < 1e6 for value in (*self.q, *self.v)):
            raise RunError("PyBullet's numbers diverged", "look at the masses and forces of the run")
        for limb in self.limbs.values():
            limb.before = limb.velocity
            limb.at, limb.turn = p.getBasePositionAndOrientation(limb.body, physicsClientId=c)
            limb.velocity, limb.spin = p.getBaseVelocity(limb.body, physicsClientId=c)

    def _feel(self, touches: Sequence[tuple[Vector, Vector]]) -> None:
        """Work out what the flange does to the gripper: its change of momentum, less weight and contact forces.

        The engine's own joint reactions leave out part of what the finger motors do, so this is Newton and Euler
        for the three bodies behind the sensor. `touches` are (place, force) of every step of physics.
        """
        p, c = self.bullet, self.client
        states = p.getLinkStates(self.arm, [GRIPPER, LEFT, RIGHT], computeLinkVelocity=1, physicsClientId=c)
        turn = matrix(states[0][5])
        back = transpose(turn)
        origin = states[0][4]
        force: Vector = (0.0, 0.0, 0.0)
        moment: Vector = (0.0, 0.0, 0.0)
        now = []
        for i, (state, number) in enumerate(zip(states, (GRIPPER, LEFT, RIGHT), strict=True)):
            link = LINKS[number]
            inertia = _box_inertia(link.size, link.mass)
            spin = apply(back, state[7])  # the three are parallel
            swing = apply(turn, (inertia[0] * spin[0], inertia[1] * spin[1], inertia[2] * spin[2]))
            now.append((state[6], swing))
            before = self._before[i] if self._before else now[i]
            gain = scale(subtract(state[6], before[0]), link.mass * CONTROL)
            push = add(gain, (0.0, 0.0, link.mass * GRAVITY))
            force = add(force, push)
            moment = add(moment, cross(subtract(state[0], origin), push))
            moment = add(moment, scale(subtract(swing, before[1]), CONTROL))
        for place, touch in touches:
            share = scale(touch, 1.0 / SUBSTEPS)
            force = subtract(force, share)
            moment = subtract(moment, cross(subtract(place, origin), share))
        self._before = now
        self.wrench = (*apply(back, force), *apply(back, moment))

    def _contacts(self, touches: list[tuple[Vector, Vector]]) -> set[int]:
        """Add up who pushes whom in one step of physics; return the fingers that press on the box.

        All contacts are asked for at once: asked for one body's, the engine turns some of them about, and then the
        normal's sign with them, but not that of the friction directions. Fields: 1, 2 bodies; 3, 4 their links;
        5, 6 places; 7 normal on the second body, 9 its force; 10-13 two friction forces with directions.
        """
        arm, box = self.arm, self.box
        names = {body: name for name, body in self.watched.items()}
        pressed: set[int] = set()
        rest: Vector = (0.0, 0.0, 0.0)
        totals: dict[str, Vector] = {}
        for point in self.bullet.getContactPoints(physicsClientId=self.client):
            a, b = point[1], point[2]
            if point[9] <= 0.0 or not (arm in (a, b) or (box in (a, b) and (a in names or b in names))):
                continue
            force = _force(point)
            first = a == arm or (a == box and b != arm)
            link, other = (point[3], b) if first else (point[4], a)
            if not first:
                force = scale(force, -1.0)  # now on arm or box
            moved = arm in (a, b)
            if moved and link >= 0 and other in self._ground:
                rest = add(rest, force)
            if moved and link >= GRIPPER:
                touches.append((point[5], force))
                if other == box:
                    pressed.add(link)
            name = names.get(other)
            if name is not None:
                push = self.pushes.setdefault(name, Push())
                totals[name] = subtract(totals.get(name, (0.0, 0.0, 0.0)), force)
                push.weight += point[9]
                push.moment = add(push.moment, scale(point[5], point[9]))
                push.by = push.by or ((LINKS[link].name if link >= 0 else "base") if moved else "box")
        self.bench = max(self.bench, length(rest))
        for name, total in totals.items():
            push = self.pushes[name]
            push.peak = max(push.peak, length(total))
            push.impulse = add(push.impulse, scale(total, STEP))
            if name in self.limbs:
                velocity = self.bullet.getBaseVelocity(self.watched[name], physicsClientId=self.client)[0]
                push.energy += dot(total, velocity) * STEP
        return pressed

    # -- looking --------------------------------------------------------------------------------------------------

    def links(self) -> list[tuple[Vector, tuple[float, ...], Vector, Vector]]:
        """Return of every link the place of its joint, orientation, velocity there [m/s] and angular velocity."""
        found = self.bullet.getLinkStates(
            self.arm,
            list(range(len(LINKS))),
            computeLinkVelocity=1,
            computeForwardKinematics=1,
            physicsClientId=self.client,
        )
        return [
            (state[4], state[5], add(state[6], cross(state[7], subtract(state[4], state[0]))), state[7])
            for state in found
        ]

    def load(self) -> Vector:
        """Return where the box is from the tool centre point, in the tool's frame [m]."""
        p, c = self.bullet, self.client
        tool, turn, _ = self.tool()
        at = p.getBasePositionAndOrientation(self.box, physicsClientId=c)[0]
        return apply(transpose(turn), subtract(at, tool))

    def tool(self) -> tuple[Vector, Matrix, Vector]:
        """Return the tool centre point, the tool's orientation, and the velocity of that point [m/s]."""
        state = self.bullet.getLinkState(
            self.arm, GRIPPER, computeLinkVelocity=1, computeForwardKinematics=1, physicsClientId=self.client
        )
        turn = matrix(state[5])
        place = add(state[4], apply(turn, (TOOL - FLANGE, 0.0, 0.0)))
        return place, turn, add(state[6], cross(state[7], subtract(place, state[0])))

    def body(self, number: int) -> tuple[Vector, tuple[float, ...], Vector, Vector]:
        """Return place, orientation, velocity and angular velocity of a free body."""
        p, c = self.bullet, self.client
        at, turn = p.getBasePositionAndOrientation(number, physicsClientId=c)
        velocity, spin = p.getBaseVelocity(number, physicsClientId=c)
        return at, turn, velocity, spin

    def distance(self, name: str, most: float, *, load: bool) -> float:
        """Return the distance from a watched body to the moving links, and to the box if it is `load`."""
        p, c, body = self.bullet, self.client, self.watched[name]
        # field 3 is the link (-1: the base, which does not move), field 8 the distance
        found = [
            point[8] for point in p.getClosestPoints(self.arm, body, most, physicsClientId=c) if point[3] >= 0
        ]  # fmt: skip
        if load:
            found += [point[8] for point in p.getClosestPoints(self.box, body, most, physicsClientId=c)]
        return float(min(found, default=most))


def _force(point: Sequence[Any]) -> Vector:
    """Return the force of a contact on its first body."""
    normal = scale(point[7], point[9])
    return add(normal, add(scale(point[11], point[10]), scale(point[13], point[12])))


def _box_inertia(size: Vector, mass: float) -> Vector:
    x, y, z = (side * side for side in size)
    return (mass * (y + z) / 12.0, mass * (x + z) / 12.0, mass * (x + y) / 12.0)


def _turn(wanted: Sequence[float], now: Sequence[float]) -> Vector:
    """Return the rotation vector, for small angles, that turns `now` into `wanted`; quaternions xyzw, world frame."""
    ax, ay, az, aw = wanted
    bx, by, bz, bw = (-now[0], -now[1], -now[2], now[3])
    w = aw * bw - ax * bx - ay * by - az * bz
    sign = 2.0 if w >= 0.0 else -2.0
    return (
        sign * (aw * bx + ax * bw + ay * bz - az * by),
        sign * (aw * by - ax * bz + ay * bw + az * bx),
        sign * (aw * bz + ax * by - ay * bx + az * bw),
    )
