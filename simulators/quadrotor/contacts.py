# mypy: disable-error-code="no-any-return"
"""Contacts of drones with ground, obstacles, birds and each other (compiled)."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.kernels import kernel

from .layout import (
    APART,
    CLEARANCE,
    CONTACTS,
    E_HIT,
    E_LANDED,
    E_MET,
    E_SEPARATION,
    FALLEN,
    FINISHED,
    FLYING,
    FRICTION,
    GLIDING,
    GROUND,
    IMPACT,
    LANDED,
    LANDING,
    LOST,
    MASS,
    MET,
    MODE,
    MOST_CONTACTS,
    NEAREST,
    POINTS,
    RADIUS,
    RATE,
    RESTING,
    RESTITUTION,
    SEPARATION,
    T_APART,
    T_CLEARANCE,
    T_IMPACT,
    TARGET,
    TOUCHDOWN,
    VEL,
    H,
)
from .monitoring import tell
from .shapes import clearance, meeting, strike, swept

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray, IntArray


@kernel
def touch(y: FloatArray, old: FloatArray, p: FloatArray, g: FloatArray, m: FloatArray, o: FloatArray,
          points: FloatArray, obstacles: int, t: float, r: int, d: int, events: FloatArray, count: IntArray,
          n: FloatArray) -> None:  # fmt: skip
    """Find the first contact with ground and obstacles in the step that began at t, and apply it."""
    first, what = 2.0, -2
    reach = 1e-9
    for i in range(3):
        reach += (y[i] - old[i]) ** 2
    reach = sqrt(reach)
    for which in range(-1, obstacles):
        if clearance(old[0], old[1], old[2], p[RADIUS], o, which, n) > reach:
            continue
        s = swept(old, y, p[RADIUS], o, which, n)
        if s < first:
            first, what = s, which
    if what < -1:
        return
    for i in range(3):
        y[i] = old[i] + first * (y[i] - old[i])
    clearance(y[0], y[1], y[2], p[RADIUS], o, what, n)
    v = y[VEL : VEL + 3]
    into = -(v[0] * n[0] + v[1] * n[1] + v[2] * n[2])
    speed = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    upright = 1.0 - 2.0 * (y[6] * y[6] + y[7] * y[7]) > 0.85
    when = t + max(first, 1e-6) * H  # never at the very start, which belongs to the step before
    if y[MODE] == FLYING and what < 0 and speed <= g[LANDING] and upright:
        y[MODE] = LANDED
        tell(events, count, r, when, E_LANDED, d, GROUND)[4] = speed
        m[TOUCHDOWN] = g[LANDING] - speed
        if np.isnan(m[FINISHED]) and int(y[TARGET]) == int(p[POINTS]) - 1:
            y[TARGET] += 1.0
            m[FINISHED] = when
        for i in range(3):
            y[VEL + i], y[RATE + i] = 0.0, 0.0
        return
    flew = y[MODE] == FLYING
    kick = strike(v, n, g[RESTITUTION] if into > 0.3 else 0.0, g[FRICTION])
    if flew:
        y[MODE] = FALLEN
        m[IMPACT], m[T_IMPACT] = speed, when
        m[CLEARANCE], m[T_CLEARANCE], m[NEAREST] = 0.0, when, what
    if (flew or into > 0.3) and y[CONTACTS] < MOST_CONTACTS:
        y[CONTACTS] += 1.0
        row = tell(events, count, r, when, E_HIT, d, what)
        row[4], row[5], row[12] = into, speed, p[MASS] * kick
        for i in range(3):
            row[6 + i], row[9 + i] = y[i] - p[RADIUS] * n[i], n[i]
    for i in range(3):
        y[i] += (1.0 - first) * H * v[i]
        y[RATE + i] *= 0.98  # the effect of a contact on the rotation is not modelled: it decays
    if what < 0 and speed < 0.3:
        y[MODE] = RESTING
        for i in range(3):
            y[VEL + i], y[RATE + i] = 0.0, 0.0


@kernel
def meet(a: int, b: int, pair: int, y: FloatArray, old: FloatArray, p: FloatArray, g: FloatArray, m: FloatArray,
         pairs: FloatArray, t: float, r: int, events: FloatArray, count: IntArray, n: FloatArray) -> None:  # fmt: skip
    """Update two drones, or a drone and a bird: separation, contact of their spheres, and the central impulse."""
    if y[a, MODE] == GLIDING and y[b, MODE] == GLIDING:
        return
    q = pairs[pair]
    reach = p[a, RADIUS] + p[b, RADIUS]
    if y[a, MODE] == FLYING and (y[b, MODE] == FLYING or y[b, MODE] == GLIDING):
        apart = -reach + sqrt((y[a, 0] - y[b, 0]) ** 2 + (y[a, 1] - y[b, 1]) ** 2 + (y[a, 2] - y[b, 2]) ** 2)
        if apart < q[APART]:
            q[APART], q[T_APART] = max(apart, 0.0), t + H
        if g[SEPARATION] > 0.0 and apart < g[SEPARATION] and q[LOST] == 0.0:
            q[LOST] = 1.0
            tell(events, count, r, t + H, E_SEPARATION, a, b)[4] = apart
    s = meeting(old[a], y[a], old[b], y[b], reach)
    if s > 1.0:
        return
    length, into = 0.0, 0.0
    for i in range(3):
        y[a, i] = old[a, i] + s * (y[a, i] - old[a, i])
        y[b, i] = old[b, i] + s * (y[b, i] - old[b, i])
        n[i] = y[b, i] - y[a, i]
        length += n[i] * n[i]
    length, speed = sqrt(length), 0.0
    for i in range(3):
        n[i] /= length
        into -= n[i] * (y[b, VEL + i] - y[a, VEL + i])
        speed += (y[b, VEL + i] - y[a, VEL + i]) ** 2
    if into <= 0.0:
        return
    impulse = (1.0 + g[RESTITUTION]) * into / (1.0 / p[a, MASS] + 1.0 / p[b, MASS])
    for i in range(3):
        y[a, VEL + i] -= impulse / p[a, MASS] * n[i]
        y[b, VEL + i] += impulse / p[b, MASS] * n[i]
        y[a, i] += (1.0 - s) * H * y[a, VEL + i]
        y[b, i] += (1.0 - s) * H * y[b, VEL + i]
    when = t + max(s, 1e-6) * H
    if q[MET] == 0.0:
        q[MET] = 1.0
        q[APART], q[T_APART] = 0.0, when
        row = tell(events, count, r, when, E_MET, a, b)
        row[4], row[5], row[12] = into, sqrt(speed), impulse
        for i in range(3):
            row[6 + i], row[9 + i] = y[a, i] + p[a, RADIUS] * n[i], n[i]
    for d in (a, b):
        if np.isnan(m[d, T_IMPACT]):
            m[d, IMPACT], m[d, T_IMPACT] = sqrt(speed), when
        y[d, MODE] = FALLEN
