# mypy: disable-error-code="no-any-return"
"""Events and measures of a drone in flight (compiled)."""

from __future__ import annotations

from math import acos, inf, sqrt
from typing import TYPE_CHECKING

from mischance.api.kernels import kernel

from .layout import (
    BREACHED,
    CLEARANCE,
    DEVIATED,
    DEVIATION,
    DRIVEN,
    E_BREACH,
    E_DEVIATION,
    E_UPSET,
    FENCE,
    FENCED,
    GROUND,
    INSIDE,
    LEG,
    MAX_DEVIATION,
    MAX_SPEED,
    MAX_TILT,
    MIN_VOLTS,
    NEAREST,
    POINTS,
    RADIUS,
    T_CLEARANCE,
    T_INSIDE,
    TARGET,
    TOUCHDOWN,
    UPSET,
    UPSET_TILT,
    VOLTS,
)
from .shapes import clearance

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray, IntArray


@kernel
def tell(events: FloatArray, count: IntArray, r: int, t: float, kind: int, drone: float, other: float) -> FloatArray:
    """Add a row of events and return it."""
    row = events[r, count[r]]
    count[r] += 1
    row[:] = 0.0
    row[0], row[1], row[2], row[3] = t, kind, drone, other
    return row


@kernel
def observe(y: FloatArray, p: FloatArray, g: FloatArray, m: FloatArray, o: FloatArray, points: FloatArray,
            obstacles: int, t: float, r: int, d: int, events: FloatArray, count: IntArray,
            n: FloatArray) -> None:  # fmt: skip
    """Update the measures of a flying drone by its state at t, and record events."""
    goal = int(y[TARGET])
    m[MIN_VOLTS] = min(m[MIN_VOLTS], y[VOLTS])
    tilt = acos(min(max(1.0 - 2.0 * (y[6] * y[6] + y[7] * y[7]), -1.0), 1.0))
    m[MAX_TILT] = max(m[MAX_TILT], tilt)
    if tilt > g[UPSET_TILT] and y[UPSET] == 0.0:
        y[UPSET] = 1.0
        tell(events, count, r, t, E_UPSET, d, GROUND)[4] = tilt
    m[MAX_SPEED] = max(m[MAX_SPEED], sqrt(y[3] * y[3] + y[4] * y[4] + y[5] * y[5]))
    leg = min(goal, int(p[POINTS]) - 1)  # it may believe that it is there already
    lands = leg >= 0 and points[leg, 2] < p[RADIUS] + 0.1
    m[TOUCHDOWN] = y[2] - p[RADIUS] if lands else inf
    for which in range(-1, obstacles):
        if which < 0 and lands:
            continue
        free = clearance(y[0], y[1], y[2], p[RADIUS], o, which, n)
        if free < m[CLEARANCE]:
            m[CLEARANCE], m[T_CLEARANCE], m[NEAREST] = max(free, 0.0), t, which
    if g[FENCED] > 0.0:
        inside = inf
        for i in range(3):
            inside = min(inside, y[i] - g[FENCE + 2 * i], g[FENCE + 2 * i + 1] - y[i])
        if inside < m[INSIDE]:
            m[INSIDE], m[T_INSIDE] = inside, t
        if inside < 0.0 and y[BREACHED] == 0.0:
            y[BREACHED] = 1.0
            row = tell(events, count, r, t, E_BREACH, d, GROUND)
            for i in range(3):
                row[6 + i] = y[i]
    if y[DRIVEN] > 0.0:
        return
    last = goal < int(p[POINTS])  # its distance from the straight line between the last waypoint and the next
    off, along, way = 0.0, 0.0, 0.0
    for i in range(3):
        leg = (points[goal, i] if last else y[LEG + i]) - y[LEG + i]
        along += leg * (y[i] - y[LEG + i])
        way += leg * leg
    share = min(max(along / way, 0.0), 1.0) if way > 0.0 else 0.0
    for i in range(3):
        leg = (points[goal, i] if last else y[LEG + i]) - y[LEG + i]
        off += (y[i] - y[LEG + i] - share * leg) ** 2
    off = sqrt(off)
    m[MAX_DEVIATION] = max(m[MAX_DEVIATION], off)
    if off > g[DEVIATION] and y[DEVIATED] == 0.0:
        y[DEVIATED] = 1.0
        tell(events, count, r, t, E_DEVIATION, d, GROUND)[4] = off
