"""The robot cell in PyBullet at 960 Hz: motors, path control of the limbs, contacts and forces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mischance.errors import RunError

from .building import CONTROL, OPEN, POSTURE, STEP, STUCK, SUBSTEPS, Furniture, box_inertia
from .model import (
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
from .model import G as GRAVITY

NEAR = 2e-3  # distance below which a point of contact may press in the next step of physics [m]


@dataclass(slots=True)
class Push:
    """Contact of a body of the cell during one control step."""

    by: str = ""
    peak: float = 0.0  # largest force in one step of physics [N]
    impulse: Vector = (0.0, 0.0, 0.0)
    moment: Vector = (0.0, 0.0, 0.0)
    weight: float = 0.0
    energy: float = 0.0  # work done on the body [J]


@dataclass(slots=True)
class Cell(Furniture):
    """A moving cell. `q`, `v`: positions and velocities of the joints (8,): arm and two fingers; `torque` (6,)."""

    q: list[float] = field(default_factory=list)
    v: list[float] = field(default_factory=list)
    torque: list[float] = field(default_factory=list)
    wrench: tuple[float, ...] = (0.0,) * 6  # mean of the last control step
    holding: bool = False  # both fingers pressed on the box in the last step of physics
    pushes: dict[str, Push] = field(default_factory=dict)
    bench: float = 0.0  # largest force of arm or gripper on table and bin so far [N]
    locked: tuple[bool, ...] = (False,) * JOINTS
    _before: list[tuple[Vector, Vector]] = field(default_factory=list)

    def build(self, joints: Sequence[float]) -> None:
        """Build the cell anew, the arm at rest at these joint angles (6,)."""
        self.furnish(joints)
        self.locked = (False,) * JOINTS
        self.pushes, self._before = {}, []
        self.holding, self.bench = False, 0.0
        self.torque = [0.0] * JOINTS
        self.look()
        self._feel([])

    # -- a control step -------------------------------------------------------------------------------------------

    def pads(self, friction: float) -> None:
        """Set the friction of the gripper's pads, also in contacts that exist already.

        A contact point of the engine keeps the friction that it was made with for as long as it lasts. A pair that is
        filtered out loses its points; the next step makes new ones.
        """
        for finger in (LEFT, RIGHT):
            self.surface(self.arm, finger, friction)
            for touches in (0, 1):
                self.bullet.setCollisionFilterPair(self.arm, self.box, finger, -1, touches, physicsClientId=self.client)

    def lock(self, locked: tuple[bool, ...]) -> None:
        """Close or release the joints' brakes; `locked` has shape (6,)."""
        p = self.bullet
        for i, (now, before) in enumerate(zip(locked, self.locked, strict=True)):
            if now != before:
                force = STUCK[i] if now else 0.0
                p.setJointMotorControl2(
                    self.arm, i, p.VELOCITY_CONTROL, targetVelocity=0.0, force=force, physicsClientId=self.client
                )
        self.locked = locked

    def grip(self) -> float:
        """Return the mean friction of the two pairs of pad and box, as the engine has it."""
        p, c = self.bullet, self.client
        pads = [p.getDynamicsInfo(self.arm, finger, physicsClientId=c)[1] for finger in (LEFT, RIGHT)]
        return float(0.5 * sum(pads) * p.getDynamicsInfo(self.box, -1, physicsClientId=c)[1])

    def fingers(self, force: float | None) -> None:
        """Close with a force [N], or open if None: one finger is driven, the other mirrors its position."""
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
        """Return the torques (6,) for these accelerations at joint angles q, by the controller's model."""
        wanted = [*acceleration, 0.0, 0.0]
        where = [*q, *self.q[JOINTS:]]
        found = self.bullet.calculateInverseDynamics(self.arm, where, self.v, wanted, physicsClientId=self.client)
        return list(found[:JOINTS])

    def steer(self, t: float) -> None:
        """Compute the forces that keep hand and forearm on their paths in the control step that starts at t."""
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
        """Advance by one control step (four steps of physics) with these joint torques (6,) [N m]."""
        p, c, arm = self.bullet, self.client, self.arm
        free = [i for i in range(JOINTS) if not self.locked[i]]
        given = [torques[i] for i in free]
        limbs = tuple(self.limbs.values())
        touches: list[tuple[Vector, Vector]] = []
        pressed: set[int] = set()
        for limb in limbs:
            limb.before = limb.velocity
        self.pushes = {}
        for _ in range(SUBSTEPS):
            if free:
                p.setJointMotorControlArray(arm, free, p.TORQUE_CONTROL, forces=given, physicsClientId=c)
            for limb in limbs:
                p.applyExternalForce(limb.body, -1, limb.force, limb.at, p.WORLD_FRAME, physicsClientId=c)
                p.applyExternalTorque(limb.body, -1, limb.torque, p.WORLD_FRAME, physicsClientId=c)
            p.stepSimulation(physicsClientId=c)
            for limb in limbs:
                limb.at = p.getBasePositionAndOrientation(limb.body, physicsClientId=c)[0]
                limb.velocity, limb.moved = p.getBaseVelocity(limb.body, physicsClientId=c)[0], limb.velocity
            pressed = self._contacts(touches)
        self.holding = LEFT in pressed and RIGHT in pressed
        self.torque = list(torques)
        self.look()
        self._feel(touches)

    def look(self) -> None:
        """Read the states of joints and limbs from the engine."""
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
            limb.at, limb.turn = p.getBasePositionAndOrientation(limb.body, physicsClientId=c)
            limb.velocity, limb.spin = p.getBaseVelocity(limb.body, physicsClientId=c)

    def _feel(self, touches: Sequence[tuple[Vector, Vector]]) -> None:
        """Compute the wrench of flange on gripper: its change of momentum, less weight and contact forces.

        The engine's joint reactions leave out part of the finger motors' forces, so this applies Newton and Euler
        to the three bodies behind the sensor. `touches`: (position, force) of every step of physics.
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
            inertia = box_inertia(link.size, link.mass)
            spin = apply(back, state[7])  # the axes of the three bodies are parallel
            swing = apply(turn, (inertia[0] * spin[0], inertia[1] * spin[1], inertia[2] * spin[2]))
            now.append((state[6], swing))
            before = self._before[i] if self._before else now[i]
            gain = scale(subtract(state[6], before[0]), link.mass * CONTROL)
            push = add(gain, (0.0, 0.0, link.mass * GRAVITY))
            force = add(force, push)
            moment = add(moment, cross(subtract(state[0], origin), push))
            moment = add(moment, scale(subtract(swing, before[1]), CONTROL))
        part = 1.0 / SUBSTEPS
        for place, touch in touches:  # written out for speed: there may be forty
            tx, ty, tz = touch[0] * part, touch[1] * part, touch[2] * part
            px, py, pz = place[0] - origin[0], place[1] - origin[1], place[2] - origin[2]
            force = (force[0] - tx, force[1] - ty, force[2] - tz)
            moment = (
                moment[0] - (py * tz - pz * ty),
                moment[1] - (pz * tx - px * tz),
                moment[2] - (px * ty - py * tx),
            )
        self._before = now
        self.wrench = (*apply(back, force), *apply(back, moment))

    def _contacts(self, touches: list[tuple[Vector, Vector]]) -> set[int]:
        """Sum up the contact forces of one step of physics; return the fingers that press on the box.

        All contacts are requested at once: for a single body, the engine reverses some of them, and with them the
        sign of the normal but not of the friction directions. Fields: 1, 2 bodies; 3, 4 their links; 5, 6 positions;
        7 normal on the second body, 9 its force; 10-13 two friction forces with directions.
        """
        arm, box = self.arm, self.box
        names = {body: name for name, body in self.watched.items()}
        pressed: set[int] = set()
        rest: Vector = (0.0, 0.0, 0.0)
        totals: dict[str, Vector] = {}
        near, pressing = dict.fromkeys(self.springs, 0), dict.fromkeys(self.springs, 0)
        for point in self.bullet.getContactPoints(physicsClientId=self.client):
            a, b = point[1], point[2]
            part = names.get(a) or names.get(b)
            if part in near:
                near[part] += point[8] < NEAR
                pressing[part] += point[9] > 0.0
            if point[9] <= 0.0 or not (arm in (a, b) or (box in (a, b) and (a in names or b in names))):
                continue
            force = _force(point)
            first = a == arm or (a == box and b != arm)
            link, other = (point[3], b) if first else (point[4], a)
            if not first:
                force = scale(force, -1.0)  # force on arm or box
            moved = arm in (a, b)
            if moved and link >= 0 and other in self.ground:
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
        for name in near:
            self.share(name, self.watched[name], pressing[name] or near[name] or 1)
        self.bench = max(self.bench, length(rest))
        for name, total in totals.items():
            push = self.pushes[name]
            push.peak = max(push.peak, length(total))
            push.impulse = add(push.impulse, scale(total, STEP))
            if name in self.limbs:
                limb = self.limbs[name]  # an impulse does the work of its force at the mean of the two velocities
                push.energy += dot(total, add(limb.velocity, limb.moved)) * (0.5 * STEP)
        return pressed

    # -- looking --------------------------------------------------------------------------------------------------

    def links(self) -> list[tuple[Vector, tuple[float, ...], Vector, Vector]]:
        """Return for every link the position of its joint, orientation, velocity there [m/s] and angular velocity."""
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
        """Return the position of the box from the tool centre point, in the tool's frame [m]."""
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
        """Return position, orientation, velocity and angular velocity of a free body."""
        p, c = self.bullet, self.client
        at, turn = p.getBasePositionAndOrientation(number, physicsClientId=c)
        velocity, spin = p.getBaseVelocity(number, physicsClientId=c)
        return at, turn, velocity, spin

    def distance(self, name: str, most: float, *, load: bool) -> float:
        """Return the distance of a watched body to the moving links, with `load` also to the box, up to `most` [m]."""
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
    (x, y, z), push = point[7], point[9]
    (a, b, c), drag = point[11], point[10]
    (d, e, f), other = point[13], point[12]
    return (
        x * push + (a * drag + d * other),
        y * push + (b * drag + e * other),
        z * push + (c * drag + f * other),
    )


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
