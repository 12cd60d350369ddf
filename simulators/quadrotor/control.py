# mypy: disable-error-code="no-any-return"
"""Controller of a drone (compiled): position loop, attitude, mixer, progress of the mission.

Sources:
    Lee, Leok, McClamroch, Geometric tracking control of a quadrotor UAV on SE(3), CDC 2010 (thrust and tilt from a
    wanted force); Mahony, Kumar, Corke, Multirotor aerial vehicles, IEEE Robotics & Automation Magazine 19(3), 2012
    (mixer).
"""

from __future__ import annotations

from math import atan2, cos, pi, sin, sqrt, tan
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.kernels import kernel

from .layout import (
    ARM,
    CEILING,
    COMMAND,
    DELAY,
    DRIVEN,
    E_FINISHED,
    E_WAYPOINT,
    ERROR,
    FINISHED,
    FLYING,
    GROUND,
    HEADING,
    HELD,
    INTEGRAL,
    IXX,
    IYY,
    IZZ,
    KA,
    KF,
    KI,
    KM,
    KP,
    KR,
    KV,
    KYAW,
    LEG,
    MASS,
    MODE,
    POINTS,
    SATURATED_FOR,
    STEP_RATE,
    TARGET,
    TILT,
    TO_X,
    TO_Y,
    G,
)
from .monitoring import tell

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray, IntArray


@kernel
def guide(y: FloatArray, p: FloatArray, bias: float, points: FloatArray, waits: bool, force: FloatArray) -> None:
    """Write the force that the position loop demands [N], world frame, into `force`."""
    goal = int(y[TARGET])
    ex = p[TO_X] * bias + y[ERROR]
    ey = p[TO_Y] * bias + y[ERROR + 1]
    if waits or goal >= int(p[POINTS]):
        gx, gy, gz, top = y[LEG], y[LEG + 1], y[LEG + 2], 3.0
    else:
        gx, gy, gz, top = points[goal, 0], points[goal, 1], points[goal, 2], points[goal, 3]
    dx, dy, dz = gx - y[0] - ex, gy - y[1] - ey, gz - y[2] - y[ERROR + 2]
    away = sqrt(dx * dx + dy * dy + dz * dz)
    speed = min(top, sqrt(5.0 * away), p[KP] * away) / max(away, 1e-9)  # deceleration of 2.5 m/s2 at most
    vx, vy, vz = speed * dx - y[3], speed * dy - y[4], speed * dz - y[5]
    if vx * vx + vy * vy + vz * vz < 4.0 and y[SATURATED_FOR] == 0.0:
        y[INTEGRAL] = min(max(y[INTEGRAL] + p[KI] * vx / STEP_RATE, -5.0), 5.0)
        y[INTEGRAL + 1] = min(max(y[INTEGRAL + 1] + p[KI] * vy / STEP_RATE, -5.0), 5.0)
        y[INTEGRAL + 2] = min(max(y[INTEGRAL + 2] + p[KI] * vz / STEP_RATE, -5.0), 5.0)
    fz = p[MASS] * (G + min(max(p[KV] * vz + y[INTEGRAL + 2], -6.0), 8.0))
    fx = p[MASS] * (p[KV] * vx + y[INTEGRAL])
    fy = p[MASS] * (p[KV] * vy + y[INTEGRAL + 1])
    flat, most = sqrt(fx * fx + fy * fy), fz * tan(p[TILT])
    shrink = most / flat if flat > most else 1.0
    force[0], force[1], force[2] = fx * shrink, fy * shrink, fz


@kernel
def steer(y: FloatArray, p: FloatArray, force: FloatArray, tilted: float, out: FloatArray) -> bool:
    """Write the rotor speeds [rad/s] for a demanded force, or for an agent's thrust and rates, into `out`.

    When the rotors saturate, tilt has priority over thrust and thrust over yaw. Returns whether they saturate.
    """
    x, yy, z, w = y[6], y[7], y[8], y[9]
    if tilted != 0.0:  # the estimated attitude is tilted in the estimator's direction
        s, c = sin(0.5 * tilted), cos(0.5 * tilted)
        bx, by = -p[TO_Y] * s, p[TO_X] * s
        x, yy, z, w = (
            c * x + bx * w + by * z,
            c * yy + by * w - bx * z,
            c * z + bx * yy - by * x,
            c * w - bx * x - by * yy,
        )
    if y[DRIVEN] > 0.0:
        thrust, ra, rb, rc = y[COMMAND], y[COMMAND + 1], y[COMMAND + 2], y[COMMAND + 3]
    else:
        # the demanded force in the body's frame: e = R^T force
        fx, fy, fz = force[0], force[1], force[2]
        ex = (1.0 - 2.0 * (yy * yy + z * z)) * fx + 2.0 * (x * yy + w * z) * fy + 2.0 * (x * z - w * yy) * fz
        ey = 2.0 * (x * yy - w * z) * fx + (1.0 - 2.0 * (x * x + z * z)) * fy + 2.0 * (yy * z + w * x) * fz
        ez = 2.0 * (x * z + w * yy) * fx + 2.0 * (yy * z - w * x) * fy + (1.0 - 2.0 * (x * x + yy * yy)) * fz
        thrust = max(ez, 0.0)
        flat = sqrt(ex * ex + ey * ey)
        turn = p[KA] * atan2(flat, ez) / flat if flat > 1e-9 else 0.0
        ra, rb = min(max(-turn * ey, -6.0), 6.0), min(max(turn * ex, -6.0), 6.0)
        yaw = p[HEADING] - atan2(2.0 * (w * z + x * yy), 1.0 - 2.0 * (yy * yy + z * z))
        if yaw > pi:
            yaw -= 2.0 * pi
        elif yaw < -pi:
            yaw += 2.0 * pi
        rc = min(max(p[KYAW] * yaw, -2.0), 2.0)
    a, b, c = y[10], y[11], y[12]
    roll = p[IXX] * p[KR] * (ra - a) + (p[IZZ] - p[IYY]) * b * c
    pitch = p[IYY] * p[KR] * (rb - b) + (p[IXX] - p[IZZ]) * c * a
    spin = p[IZZ] * p[KR] * 0.4 * (rc - c) + (p[IYY] - p[IXX]) * a * b
    most = p[KF] * y[CEILING] * y[CEILING]
    mean = 0.25 * thrust
    r, q = 0.25 * roll / p[ARM], 0.25 * pitch / p[ARM]
    s = min(max(0.25 * spin * p[KF] / p[KM], -0.15 * most), 0.15 * most)
    out[0], out[1], out[2], out[3] = r - q - s, -r - q + s, -r + q - s, r + q + s
    high, low = max(out[0], out[1], out[2], out[3]), min(out[0], out[1], out[2], out[3])
    base = min(max(mean, -low), most - high)
    for i in range(4):
        out[i] = sqrt(min(max(base + out[i], 0.0), most) / p[KF])
    return base < 0.98 * mean


@kernel
def arrive(y: FloatArray, p: FloatArray, m: FloatArray, points: FloatArray, bias: float, k: int, r: int, d: int,
           events: FloatArray, count: IntArray) -> None:  # fmt: skip
    """End a step of the world at k: check whether the drone has reached its waypoint, by its own estimate."""
    goal = int(y[TARGET])
    if y[MODE] != FLYING or k <= p[DELAY] or goal >= int(p[POINTS]):
        return
    dx = points[goal, 0] - y[0] - y[ERROR] - p[TO_X] * bias
    dy = points[goal, 1] - y[1] - y[ERROR + 1] - p[TO_Y] * bias
    dz = points[goal, 2] - y[2] - y[ERROR + 2]
    if dx * dx + dy * dy + dz * dz > points[goal, 5] ** 2:
        return
    y[HELD] += 1.0
    if y[HELD] <= points[goal, 4]:
        return
    for i in range(3):
        y[LEG + i] = points[goal, i]
    y[TARGET] += 1.0
    y[HELD] = 0.0
    t = k / STEP_RATE
    tell(events, count, r, t, E_WAYPOINT, d, goal)
    if goal + 1 == int(p[POINTS]) and np.isnan(m[FINISHED]):
        m[FINISHED] = t
        tell(events, count, r, t, E_FINISHED, d, GROUND)
