"""Hands two touching boxes to PyBullet and returns their impulse.

One client is kept per process, since connecting costs twenty times as much as a reset. Every impact starts from
`resetSimulation` and creates its bodies in the same order, so the same input gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, sin, sqrt
from typing import Any

from mischance.api.engines import engine
from mischance.errors import RunError

from .boxes import separation

STEP = 1.0 / 1000.0  # at 240 Hz one impact in four has an error above 2 %
LONGEST = 50  # steps: a contact of more than 0.05 s is a push, which the next impact continues
TAIL = 1e-4  # share of the strongest step below which a force is the solver's residual, for a pair that does not bounce
PRESSED = 1e-6  # overlap of the two bodies at the start [m]
LOWEST = 1e-12  # the values of a pair are products of its bodies' roots; exact zero selects other code in Bullet

_client: tuple[int, int] | None = None  # (process, client): a forked worker must not use its parent's client


@dataclass(frozen=True, slots=True)
class RigidBox:
    """A box that stands on the ground: `position` of its centre, `yaw`, velocities; `size` (length, width, height)."""

    size: tuple[float, float, float]
    mass: float
    position: tuple[float, float, float]
    yaw: float
    velocity: tuple[float, float, float]
    yaw_rate: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """Result of an impact: velocities [m/s] and yaw rates [rad/s] after it, and the impulse [N s] that b received.

    `point`: mean contact point, weighted by force [m]; `steps`: duration of the contact in steps of 1 ms.
    """

    velocity: tuple[tuple[float, float, float], tuple[float, float, float]]
    yaw_rate: tuple[float, float]
    impulse: tuple[float, float, float]
    point: tuple[float, float, float]
    steps: int


def client() -> tuple[Any, int]:
    """Return the engine and this process's client."""
    global _client  # noqa: PLW0603  # connecting costs 33 ms, a reset 1.8 ms
    module = engine()
    if _client is None or _client[0] != os.getpid():
        _client = (os.getpid(), int(module.connect(module.DIRECT)))
    return module, _client[1]


def collide(a: RigidBox, b: RigidBox, restitution: float, friction: float) -> Exchange:
    """Return the result of the first phase of contact of two boxes that touch and close in.

    Gravity is off and there are no other bodies, so their momentum is conserved. The phase lasts from the first step
    to the first one without a significant force. `restitution` and `friction` are those of the pair.

    Raises:
        RunError: PyBullet is not installed, or its numbers diverged.

    Source:
        Settings measured against the planar impulse: bodies placed at gap 0, erp = contactERP = frictionERP = 0,
        200 iterations, restitutionVelocityThreshold = 0. A gap of 0.1 mm would raise a restitution of 0.1 to 0.18.
    """
    bullet, c = client()
    bullet.resetSimulation(physicsClientId=c)
    bullet.setPhysicsEngineParameter(
        fixedTimeStep=STEP,
        numSubSteps=0,
        numSolverIterations=200,
        deterministicOverlappingPairs=1,
        erp=0.0,
        contactERP=0.0,
        frictionERP=0.0,
        restitutionVelocityThreshold=0.0,
        physicsClientId=c,
    )
    bullet.setGravity(0.0, 0.0, 0.0, physicsClientId=c)
    pressed = replace(b, position=pressed_on(a, b))
    bodies = [_body(bullet, c, box, a.position, restitution, friction) for box in (a, pressed)]

    impulse = [0.0, 0.0, 0.0]
    moment = [0.0, 0.0, 0.0]
    pushed = steps = 0
    weight = strongest = 0.0
    for _ in range(LONGEST):
        bullet.stepSimulation(physicsClientId=c)
        points = bullet.getContactPoints(bodies[0], bodies[1], physicsClientId=c)
        force = sum(point[9] for point in points)
        if pushed and force <= TAIL * strongest:
            break
        strongest = max(strongest, force)
        steps += 1
        pushed += force > 0.0
        for point in points:
            # fields: 5, 6 positions on a and b; 7 normal from b to a; 9 its force; 10-13 two frictions with directions
            weight += point[9]
            for i in range(3):
                push = point[9] * point[7][i] + point[10] * point[11][i] + point[12] * point[13][i]
                impulse[i] -= push * STEP
                moment[i] += point[9] * 0.5 * (point[5][i] + point[6][i])
    after = [bullet.getBaseVelocity(body, physicsClientId=c) for body in bodies]
    values = [*impulse, *after[0][0], *after[0][1], *after[1][0], *after[1][1]]
    if not all(abs(value) < 1e12 for value in values):
        raise RunError("PyBullet's numbers diverged in an impact", "look at the masses and speeds of the run's actors")
    place = [m / weight if weight else 0.5 * (b.position[i] - a.position[i]) for i, m in enumerate(moment)]
    return Exchange(
        velocity=(_three(after[0][0]), _three(after[1][0])),
        yaw_rate=(float(after[0][1][2]), float(after[1][1][2])),
        impulse=_three(impulse),
        point=_three([place[i] + a.position[i] for i in range(3)]),
        steps=steps,
    )


def pressed_on(a: RigidBox, b: RigidBox) -> tuple[float, float, float]:
    """Return the position of b a micrometre further into a.

    Of two faces that just touch, the engine finds only those corners that are inside by rounding; the force would act
    on one side, and a central impact would rotate both bodies.
    """
    one, two = ((box.position[0], box.position[1], box.yaw, 0.5 * box.size[0], 0.5 * box.size[1]) for box in (a, b))
    _, nx, ny = separation(*one, *two)
    return b.position[0] - PRESSED * nx, b.position[1] - PRESSED * ny, b.position[2]


def _body(bullet: Any, c: int, box: RigidBox, origin: Sequence[float], restitution: float, friction: float) -> int:
    """Create a box; coordinates start at the first body, so that an impact is the same anywhere on the road."""
    half = [0.5 * side for side in box.size]
    shape = bullet.createCollisionShape(bullet.GEOM_BOX, halfExtents=half, physicsClientId=c)
    body = int(
        bullet.createMultiBody(
            baseMass=box.mass,
            baseCollisionShapeIndex=shape,
            basePosition=[place - start for place, start in zip(box.position, origin, strict=True)],
            baseOrientation=[0.0, 0.0, sin(0.5 * box.yaw), cos(0.5 * box.yaw)],
            physicsClientId=c,
        )
    )
    bullet.changeDynamics(
        body,
        -1,
        lateralFriction=sqrt(max(friction, LOWEST)),  # Bullet multiplies the values of the two bodies
        restitution=sqrt(max(restitution, 0.0)),
        rollingFriction=0.0,
        spinningFriction=0.0,
        linearDamping=0.0,
        angularDamping=0.0,
        activationState=bullet.ACTIVATION_STATE_DISABLE_SLEEPING,
        physicsClientId=c,
    )
    bullet.resetBaseVelocity(body, list(box.velocity), [0.0, 0.0, box.yaw_rate], physicsClientId=c)
    return body


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
