"""Three-dimensional contact phase in PyBullet, from a run's first contact on.

The first impact happens at the exact time of contact and takes no time; then gravity, the ground and all later
contacts are computed by PyBullet. Actors without a contact so far are moved by the road's models, and by PyBullet
from the time of their contact on. Boxes are rigid and their wheels locked: no deformation, no suspension, no
statement about injury.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from math import acos, asin, atan2, ceil, cos, hypot, sin, sqrt
from typing import Any, NamedTuple

import numpy as np

from mischance.api.engines import engine
from mischance.errors import RunError

from .bullet import LONGEST, LOWEST, STEP, TAIL, RigidBox, pressed_on
from .state import FIXED, HELD

GRAVITY = 9.81  # [m/s2]
TOPPLED = 1.2217304763960306  # 70 degrees: beyond it a car does not return by itself [rad]
LEAST = 0.01  # smallest change of velocity that counts as a push [m/s]

_clients: list[int] = []  # unused clients of this process
_owner = 0


class Push(NamedTuple):
    """Exchange of a pair within a step: time of its start, normal from a to b, point, impulse on b."""

    t: float
    a: int
    b: int
    normal: tuple[float, float]
    point: tuple[float, float]
    impulse: tuple[float, float]


def _client() -> int:
    """Return a client of the engine; clients are reused, since connecting costs 33 ms and 28 MB."""
    global _clients, _owner  # a forked worker must not use its parent's clients
    if _owner != os.getpid():
        _clients, _owner = [], os.getpid()
    return _clients.pop() if _clients else int(engine().connect(engine().DIRECT))


class Window:
    """The bodies of one run in PyBullet, in the order of its actors; coordinates start at the first contact."""

    def __init__(self, cars: Any, a: int, b: int, restitution: float, friction: float, grip: float) -> None:
        """Create the bodies as they are at the time of contact.

        Args:
            cars: records of CAR of the run's actors.
            a, b: indices of the two touching actors.
            restitution, friction: of a pair of car bodies.
            grip: friction of tyre and road.
        """
        self._bullet, self._c = engine(), _client()
        self._cars = cars
        self._origin = (float(cars[a]["x"]), float(cars[a]["y"]))
        self._friction, self._restitution = friction, restitution
        bullet, c = self._bullet, self._c
        bullet.resetSimulation(physicsClientId=c)
        bullet.setPhysicsEngineParameter(
            fixedTimeStep=STEP, numSubSteps=0, numSolverIterations=200, deterministicOverlappingPairs=1,
            erp=0.0, contactERP=0.0, frictionERP=0.0, restitutionVelocityThreshold=0.0, physicsClientId=c,
        )  # fmt: skip
        self._bodies = [self._body(car) for car in cars]
        self._a, self._b = a, b
        self._grip = grip
        self.answer = self._first_push()
        bullet.setPhysicsEngineParameter(
            numSolverIterations=100, erp=0.2, contactERP=0.2, frictionERP=0.2, restitutionVelocityThreshold=0.3,
            physicsClientId=c,
        )  # fmt: skip
        bullet.setGravity(0.0, 0.0, -GRAVITY, physicsClientId=c)
        self._ground()

    def close(self) -> None:
        """Return the client for another run."""
        _clients.append(self._c)

    # -- bodies -------------------------------------------------------------------------------------------------------

    def _body(self, car: Any) -> int:
        """Create a box on the ground whose frame is its centre of mass."""
        bullet, c = self._bullet, self._c
        long, wide, tall = float(car["half_l"]), float(car["half_w"]), 0.5 * float(car["height"])
        high = self._high(car)
        mass = float(car["mass"]) if car["inv_mass"] > 0.0 else 0.0
        shape = bullet.createCollisionShape(
            bullet.GEOM_BOX,
            halfExtents=[long, wide, tall],
            collisionFramePosition=[0.0, 0.0, tall - high],
            physicsClientId=c,
        )
        yaw = float(car["yaw"])
        body = int(
            bullet.createMultiBody(
                baseMass=mass, baseCollisionShapeIndex=shape,
                basePosition=[float(car["x"]) - self._origin[0], float(car["y"]) - self._origin[1], high],
                baseOrientation=[0.0, 0.0, sin(0.5 * yaw), cos(0.5 * yaw)], physicsClientId=c,
            )
        )  # fmt: skip
        roll, pitch = mass / 3.0 * (wide * wide + tall * tall), mass / 3.0 * (long * long + tall * tall)
        inertia = [roll, pitch, float(car["inertia"]) if mass else 0.0]
        bullet.changeDynamics(
            body, -1, localInertiaDiagonal=inertia,
            lateralFriction=sqrt(max(self._friction, LOWEST)), restitution=sqrt(max(self._restitution, 0.0)),
            rollingFriction=0.0, spinningFriction=0.0, linearDamping=0.0, angularDamping=0.0,
            activationState=bullet.ACTIVATION_STATE_DISABLE_SLEEPING, physicsClientId=c,
        )  # fmt: skip
        velocity = [float(car["vx"]), float(car["vy"]), 0.0]
        bullet.resetBaseVelocity(body, velocity, [0.0, 0.0, float(car["rate"])], physicsClientId=c)
        return body

    @staticmethod
    def _high(car: Any) -> float:
        """Return the height of the centre of mass; at most that of the box."""
        return min(float(car["high"]), 0.95 * float(car["height"]))

    def _ground(self) -> None:
        """Create the ground; it has no contact with actors that the road's models move, which include its friction."""
        bullet, c = self._bullet, self._c
        plane = int(
            bullet.createMultiBody(
                0.0, bullet.createCollisionShape(bullet.GEOM_PLANE, physicsClientId=c), physicsClientId=c
            )
        )
        bullet.changeDynamics(plane, -1, restitution=0.0, physicsClientId=c)
        self._plane = plane
        self._held = {self._a, self._b}
        self._set_grip(self._grip)

    def _set_grip(self, grip: float) -> None:
        """Set the friction of tyre and road; contacts that the engine keeps would go on with the old one."""
        bullet, c = self._bullet, self._c
        self._grip = grip
        # the friction of a pair is a product: the ground's value turns that of the body into that of the tyre
        value = grip / sqrt(max(self._friction, LOWEST))
        bullet.changeDynamics(self._plane, -1, lateralFriction=value, physicsClientId=c)
        for i, body in enumerate(self._bodies):
            bullet.setCollisionFilterPair(body, self._plane, -1, -1, 0, physicsClientId=c)
            if i in self._held:
                bullet.setCollisionFilterPair(body, self._plane, -1, -1, 1, physicsClientId=c)

    def grip(self) -> float:
        """Return the friction of tyre and road that is in force in PyBullet."""
        info = [
            self._bullet.getDynamicsInfo(body, -1, physicsClientId=self._c)
            for body in (self._plane, self._bodies[self._a])
        ]
        return float(info[0][1] * info[1][1])

    # -- time ---------------------------------------------------------------------------------------------------------

    def _first_push(self) -> tuple[float, ...]:
        """Let the two bodies push each other until they separate; return velocities, impulse and point for the kernels.

        As in the plane: positions are unchanged, no other body is touched, gravity is off.
        """
        bullet, c = self._bullet, self._c
        pair = (self._bodies[self._a], self._bodies[self._b])
        for i, body in enumerate(self._bodies):
            for other in self._bodies[i + 1 :]:
                bullet.setCollisionFilterPair(
                    body, other, -1, -1, int((body, other) == tuple(sorted(pair))), physicsClientId=c
                )
        places = [bullet.getBasePositionAndOrientation(body, physicsClientId=c) for body in pair]
        boxes = [_box(self._cars[i]) for i in (self._a, self._b)]
        moved = [at - was for at, was in zip(pressed_on(*boxes), boxes[1].position, strict=True)]
        pressed = [x + dx for x, dx in zip(places[1][0], moved, strict=True)]
        speed = bullet.getBaseVelocity(pair[1], physicsClientId=c)  # first: a position reset zeroes velocities
        bullet.resetBasePositionAndOrientation(pair[1], pressed, places[1][1], physicsClientId=c)
        bullet.resetBaseVelocity(pair[1], *speed, physicsClientId=c)
        jx = jy = weight = mx = my = strongest = 0.0
        for _ in range(LONGEST):
            bullet.stepSimulation(physicsClientId=c)
            points = bullet.getContactPoints(*pair, physicsClientId=c)
            force = sum(point[9] for point in points)
            if strongest > 0.0 and force <= TAIL * strongest:
                break
            strongest = max(strongest, force)
            for point in points:
                px, py = _pushed(point)
                jx, jy, weight = jx - px * STEP, jy - py * STEP, weight + point[9]
                mx, my = mx + point[9] * point[5][0], my + point[9] * point[5][1]
        speeds = [bullet.getBaseVelocity(body, physicsClientId=c) for body in pair]
        for body, (place, turn), (linear, angular) in zip(pair, places, speeds, strict=True):
            bullet.resetBasePositionAndOrientation(body, place, turn, physicsClientId=c)
            bullet.resetBaseVelocity(body, linear, angular, physicsClientId=c)
        self._let_touch(lambda body, other: True)
        values = [jx, jy, *speeds[0][0], *speeds[1][0]]
        if not all(abs(value) < 1e12 for value in values):
            raise RunError(
                "PyBullet's numbers diverged in an impact", "look at the masses and speeds of the run's actors"
            )
        point = (mx / weight, my / weight) if weight else (0.0, 0.0)
        (la, wa), (lb, wb) = speeds
        return (
            la[0], la[1], wa[2], lb[0], lb[1], wb[2], jx, jy, point[0] + self._origin[0], point[1] + self._origin[1],
        )  # fmt: skip

    def _let_touch(self, who: Callable[[int, int], bool]) -> None:
        """Set for each pair whether its contacts count."""
        for i, body in enumerate(self._bodies):
            for other in self._bodies[i + 1 :]:
                self._bullet.setCollisionFilterPair(
                    body, other, -1, -1, int(who(body, other)), physicsClientId=self._c
                )  # fmt: skip

    def step(self, t: float, span: float) -> list[Push]:
        """Advance from t by `span` [s] and write the states of the bodies; return the pushes of each pair.

        An actor that the road's models moved and that is touched is moved by PyBullet from then on. The ground has
        the present friction of the two actors that touched first, faults included.
        """
        bullet, c, cars = self._bullet, self._c, self._cars
        grip = 0.5 * float(cars[self._a]["mu"] + cars[self._b]["mu"])
        if grip != self._grip:
            self._set_grip(grip)
        for car, body in zip(cars, self._bodies, strict=True):
            if car["mode"] not in (HELD, FIXED):
                yaw = float(car["yaw"])
                place = [float(car["x"]) - self._origin[0], float(car["y"]) - self._origin[1], self._high(car)]
                turn = [0.0, 0.0, sin(0.5 * yaw), cos(0.5 * yaw)]
                bullet.resetBasePositionAndOrientation(body, place, turn, physicsClientId=c)
                velocity = [float(car["vx"]), float(car["vy"]), 0.0]
                bullet.resetBaseVelocity(body, velocity, [0.0, 0.0, float(car["rate"])], physicsClientId=c)
        n = max(ceil(span / STEP - 1e-6), 1)
        h = span / n
        bullet.setPhysicsEngineParameter(fixedTimeStep=h, physicsClientId=c)
        number = {body: i for i, body in enumerate(self._bodies)}
        found: dict[tuple[int, int], list[float]] = {}
        for i in range(n):
            bullet.stepSimulation(physicsClientId=c)
            for point in bullet.getContactPoints(physicsClientId=c):
                if point[1] in number and point[2] in number and point[9] > 0.0:
                    self._note(found, number[point[1]], number[point[2]], point, t + i * h, h)
        pushes = []
        for (a, b), (when, weight, nx, ny, px, py, jx, jy) in sorted(found.items(), key=lambda item: item[1][0]):
            least = min(float(cars[i]["mass"]) for i in (a, b) if cars[i]["inv_mass"] > 0.0) * LEAST
            if hypot(jx, jy) < least:
                continue
            size = max(hypot(nx, ny), 1e-12)
            where = (px / weight + self._origin[0], py / weight + self._origin[1])
            pushes.append(Push(when, a, b, (nx / size, ny / size), where, (jx, jy)))
        for i in {i for push in pushes for i in (push.a, push.b)}:
            cars[i]["hit"] = cars[i]["touched"] = 1  # a record of one is a view; of several it would be a copy
            self._hold(i)
        for i, car in enumerate(cars):
            if car["mode"] == HELD:
                self._write(car, self._bodies[i])
        return pushes

    def _hold(self, i: int) -> None:
        """Let PyBullet move an actor that the road's models moved so far."""
        car = self._cars[i]
        if car["mode"] in (HELD, FIXED):
            return
        car["mode"], car["commanded"], car["queued"], car["pedal_move"], car["follow"] = HELD, 0, 0, -1, -1
        car["asked"] = car["pedal"] = car["j"] = car["a"] = 0.0
        self._held.add(i)
        self._bullet.setCollisionFilterPair(self._bodies[i], self._plane, -1, -1, 1, physicsClientId=self._c)

    @staticmethod
    def _note(
        found: dict[tuple[int, int], list[float]], first: int, second: int, point: Sequence[Any], t: float, h: float
    ) -> None:
        """Add a contact point to the push of a pair since the step began."""
        a, b = min(first, second), max(first, second)
        sign = -1.0 if first == a else 1.0  # the engine's normal goes from its second body to its first
        sums = found.setdefault((a, b), [t, *[0.0] * 7])
        px, py = _pushed(point)
        force = point[9]
        for k, value in enumerate((
            force, sign * force * point[7][0], sign * force * point[7][1], force * point[5][0], force * point[5][1],
            sign * px * h, sign * py * h,
        ), 1):  # fmt: skip
            sums[k] += value

    def _write(self, car: Any, body: int) -> None:
        """Write a body's state into its record: the centre of the box, not of mass."""
        bullet, c = self._bullet, self._c
        place, turn = bullet.getBasePositionAndOrientation(body, physicsClientId=c)
        linear, angular = bullet.getBaseVelocity(body, physicsClientId=c)
        m = bullet.getMatrixFromQuaternion(turn)
        up = 0.5 * float(car["height"]) - self._high(car)
        r = (m[2] * up, m[5] * up, m[8] * up)
        x, y = place[0] + r[0] + self._origin[0], place[1] + r[1] + self._origin[1]
        vx = linear[0] + angular[1] * r[2] - angular[2] * r[1]
        vy = linear[1] + angular[2] * r[0] - angular[0] * r[2]
        vz = linear[2] + angular[0] * r[1] - angular[1] * r[0]
        if not all(abs(value) < 1e9 for value in (x, y, place[2], vx, vy, vz)):
            raise RunError("PyBullet's numbers diverged after an impact", "look at the masses and speeds of the actors")
        yaw = atan2(m[3], m[0])
        car["x"], car["y"], car["z"] = x, y, place[2] + r[2]
        car["qx"], car["qy"], car["qz"], car["qw"] = turn
        car["yaw"], car["cosine"], car["sine"] = yaw, cos(yaw), sin(yaw)
        car["vx"], car["vy"], car["vz"] = vx, vy, vz
        car["wx"], car["wy"], car["rate"] = angular
        car["speed"] = hypot(vx, vy)
        car["vlon"] = vx * cos(yaw) + vy * sin(yaw)
        car["vlat"] = vy * cos(yaw) - vx * sin(yaw)
        car["roll"], car["pitch"] = atan2(m[7], m[8]), asin(min(max(-m[6], -1.0), 1.0))

    def tilt(self, i: int) -> float:
        """Return the tilt of a body against the vertical [rad]."""
        car = self._cars[i]
        if car["mode"] != HELD:
            return 0.0
        qx, qy = float(car["qx"]), float(car["qy"])
        return acos(min(max(1.0 - 2.0 * (qx * qx + qy * qy), -1.0), 1.0))


def _box(car: Any) -> RigidBox:
    """Return an actor as a rectangle in the plane."""
    size = (2.0 * float(car["half_l"]), 2.0 * float(car["half_w"]), float(car["height"]))
    return RigidBox(size, 1.0, (float(car["x"]), float(car["y"]), 0.0), float(car["yaw"]), (0.0, 0.0, 0.0), 0.0)


def _pushed(point: Sequence[Any]) -> tuple[float, float]:
    """Return the force of a contact point in x and y, on its first body."""
    return (
        point[9] * point[7][0] + point[10] * point[11][0] + point[12] * point[13][0],
        point[9] * point[7][1] + point[10] * point[11][1] + point[12] * point[13][1],
    )


def energies(cars: Any) -> Any:
    """Return the kinetic energy of every actor, as that of a box in the plane [J]."""
    moving = cars["inv_mass"] > 0.0
    own = cars["mass"] * (cars["vx"] ** 2 + cars["vy"] ** 2) + cars["inertia"] * cars["rate"] ** 2
    return np.where(moving, 0.5 * own, 0.0)
