# mypy: disable-error-code="no-any-return"
"""Flight of many drones at once (compiled): forces, integrator, controller, contacts, measures.

Every run is computed by itself, number by number, without fast maths: its bytes depend neither on its neighbours nor
on the cuts in time.

World frame: z up. Body frame: x forward, y left, z up. Quaternions xyzw turn body to world. All SI.

Sources:
    Mahony, Kumar, Corke, Multirotor aerial vehicles, IEEE Robotics & Automation Magazine 19(3), 2012 (rigid body,
    k_f and k_m, mixer); Lee, Leok, McClamroch, Geometric tracking control of a quadrotor UAV on SE(3), CDC 2010
    (thrust and tilt from a wanted force).
"""

from __future__ import annotations

from math import acos, atan2, cos, inf, pi, sin, sqrt, tan
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.kernels import kernel
from mischance.api.runs import active_share

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray, IntArray

_share = kernel(active_share)

G = 9.80665
STEP_RATE = 100  # steps of the world per second: faults, wind, position loop, motion
SUB = 5  # integration steps in one of them
H = 1.0 / (STEP_RATE * SUB)
RING = 256  # ring buffer of commands for a delayed controller: longer than MAX_DELAY
MOST_CONTACTS = 20  # contacts of one drone that are recorded

# indices of a drone's state
POS, VEL, QUAT, RATE, SPIN, USED, GUST, ERROR, INTEGRAL = 0, 3, 6, 10, 13, 17, 18, 21, 24
TARGET, HELD, MODE, VOLTS, CEILING, COMMAND, DRIVEN = 27, 28, 29, 30, 31, 32, 36
DEVIATED, UPSET, SATURATED, SATURATED_FOR, BREACHED, CONTACTS, LEG, WIND = 37, 38, 39, 40, 41, 42, 43, 46
STATE = 49
BODY = 17  # the integrator's part of the state: position, velocity, attitude, rates, rotor speeds
FLYING, LANDED, FALLEN, RESTING, GLIDING = 0.0, 1.0, 2.0, 3.0, 4.0  # GLIDING: a bird before its first contact

# indices of a drone's parameters
MASS, IXX, IYY, IZZ, ARM, RADIUS, DRAG, SPIN_DRAG, KF, KM, LAG, FASTEST, EFFICIENCY = range(13)
CAPACITY, FULL, EMPTY, RESISTANCE, AVIONICS = range(13, 18)
KP, KV, KI, KA, KYAW, KR, TILT = range(18, 25)
NOISE, NOISE_KEEP, TO_X, TO_Y, HEADING, DELAY, POINTS = range(25, 32)
PARAMETERS = 32

# indices of a run's parameters; the fence's six limits begin at FENCE
WIND_X, WIND_Y, SIGMA, KEEP, GUST_X, GUST_Y, GUST_Z, SEPARATION, DEVIATION, UPSET_TILT = range(10)
LANDING, RESTITUTION, FRICTION, SETTLE, FENCED, FENCE = range(10, 16)
WORLD = 22

# indices of a drone's and a pair's measures
MAX_TILT, MAX_SPEED, MAX_DEVIATION, CLEARANCE, T_CLEARANCE, NEAREST, INSIDE, T_INSIDE = range(8)
IMPACT, T_IMPACT, FINISHED, MIN_VOLTS = range(8, 12)
MEASURES = 12
APART, T_APART, LOST, MET = range(4)

# indices of a fault, and the kinds of faults
F_KIND, F_DRONE, F_ROTOR, F_ONSET, F_END, F_SEVERITY, F_RAMP = range(7)
THRUST_LOSS, SAG, BIAS, TILTED, LATE, GUSTY = range(6)

# kinds of events, and the columns of one: t, kind, drone, other, and details
E_WAYPOINT, E_FINISHED, E_DEVIATION, E_UPSET, E_SATURATED, E_BREACH, E_SEPARATION, E_HIT, E_MET, E_LANDED = range(10)
EVENT = 13
GROUND = -1.0

# -- rigid body and rotors ---------------------------------------------------------------------------------------------


@kernel
def derivative(
    y: FloatArray, p: FloatArray, command: FloatArray, health: FloatArray, wind: FloatArray, dy: FloatArray
) -> None:
    """Write the time derivative of (position, velocity, attitude, rates, rotor speeds), shape (17,), into `dy`.

    A rotor gives health * k_f * speed^2 along the body's z and the torque health * k_m * speed^2 against its turn
    (rotors 1 and 3 turn left, 2 and 4 right). The body's drag is quadratic in the airspeed and equal in all
    directions. Not modelled: the rotors' own inertia, blade flapping, ground effect, vortex ring state.
    """
    x, yy, z, w = y[6], y[7], y[8], y[9]
    a, b, c = y[10], y[11], y[12]
    t1, t2, t3, t4 = (health[0] * y[13] * y[13], health[1] * y[14] * y[14], health[2] * y[15] * y[15],
                      health[3] * y[16] * y[16])  # fmt: skip
    lift = p[KF] * (t1 + t2 + t3 + t4) / p[MASS]
    ux, uy, uz = y[3] - wind[0], y[4] - wind[1], y[5] - wind[2]
    drag = p[DRAG] * sqrt(ux * ux + uy * uy + uz * uz) / p[MASS]
    for i in range(3):
        dy[i] = y[3 + i]
    dy[3] = lift * 2.0 * (x * z + w * yy) - drag * ux
    dy[4] = lift * 2.0 * (yy * z - w * x) - drag * uy
    dy[5] = lift * (1.0 - 2.0 * (x * x + yy * yy)) - drag * uz - G
    dy[6] = 0.5 * (w * a + yy * c - z * b)
    dy[7] = 0.5 * (w * b + z * a - x * c)
    dy[8] = 0.5 * (w * c + x * b - yy * a)
    dy[9] = -0.5 * (x * a + yy * b + z * c)
    roll = p[ARM] * p[KF] * (t1 - t2 - t3 + t4) - p[SPIN_DRAG] * a
    pitch = p[ARM] * p[KF] * (-t1 - t2 + t3 + t4) - p[SPIN_DRAG] * b
    yaw = -p[KM] * (t1 - t2 + t3 - t4) - p[SPIN_DRAG] * c
    dy[10] = (roll - (p[IZZ] - p[IYY]) * b * c) / p[IXX]
    dy[11] = (pitch - (p[IXX] - p[IZZ]) * c * a) / p[IYY]
    dy[12] = (yaw - (p[IYY] - p[IXX]) * a * b) / p[IZZ]
    for i in range(4):
        dy[13 + i] = (command[i] - y[13 + i]) / p[LAG]


@kernel
def integrate(
    y: FloatArray, p: FloatArray, command: FloatArray, health: FloatArray, wind: FloatArray, h: float, work: FloatArray
) -> None:
    """Integrate y (at least 17 numbers) over h by the classical Runge-Kutta method; `work` has shape (5, 17)."""
    k1, k2, k3, k4, at = work[0], work[1], work[2], work[3], work[4]
    derivative(y, p, command, health, wind, k1)
    for i in range(BODY):
        at[i] = y[i] + 0.5 * h * k1[i]
    derivative(at, p, command, health, wind, k2)
    for i in range(BODY):
        at[i] = y[i] + 0.5 * h * k2[i]
    derivative(at, p, command, health, wind, k3)
    for i in range(BODY):
        at[i] = y[i] + h * k3[i]
    derivative(at, p, command, health, wind, k4)
    for i in range(BODY):
        y[i] += h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i])
    norm = sqrt(y[6] * y[6] + y[7] * y[7] + y[8] * y[8] + y[9] * y[9])
    for i in range(6, 10):
        y[i] /= norm


@kernel
def drain(y: FloatArray, p: FloatArray, health: FloatArray, extra: float, h: float) -> None:
    """Subtract the energy of one integration step from the battery; set its voltage and the maximum rotor speed.

    Power at the terminals: P = U I with U = U0 - R I, so U = U0/2 + sqrt(U0^2/4 - R P); the maximum power is U0^2/4R.
    """
    power = p[AVIONICS]
    for i in range(4):
        power += health[i] * p[KM] * y[SPIN + i] ** 3 / p[EFFICIENCY]
    left = 1.0 - y[USED] / p[CAPACITY]
    if left <= 0.0:
        y[VOLTS], y[CEILING] = 0.0, 0.0
        return
    source = p[EMPTY] + (p[FULL] - p[EMPTY]) * left
    resistance = p[RESISTANCE] + extra
    y[VOLTS] = 0.5 * source + sqrt(max(0.25 * source * source - resistance * power, 0.0))
    y[CEILING] = p[FASTEST] * y[VOLTS] / p[FULL]
    y[USED] += h * source * power / y[VOLTS]


# -- controller --------------------------------------------------------------------------------------------------------


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


# -- contacts ----------------------------------------------------------------------------------------------------------


@kernel
def distance(x: float, y: float, z: float, o: FloatArray, n: FloatArray) -> float:
    """Return the signed distance [m] of a point from an obstacle; write the outward unit normal into `n`.

    An obstacle is (kind, x, y, z, half length or radius, half width, half height, cos yaw, sin yaw); kind 0 is a box,
    1 an upright cylinder.
    """
    dx, dy, dz = x - o[1], y - o[2], z - o[3]
    if o[0] == 0.0:
        lx, ly = o[7] * dx + o[8] * dy, -o[8] * dx + o[7] * dy
        qx, qy, qz = abs(lx) - o[4], abs(ly) - o[5], abs(dz) - o[6]
        ox, oy, oz = max(qx, 0.0), max(qy, 0.0), max(qz, 0.0)
        d = sqrt(ox * ox + oy * oy + oz * oz)
        if d <= 0.0:
            d = max(qx, qy, qz)
            ox, oy, oz = (
                1.0 if qx == d else 0.0,
                1.0 if qy == d and qx != d else 0.0,
                1.0 if d not in (qx, qy) else 0.0,
            )
        length = sqrt(ox * ox + oy * oy + oz * oz)
        nx, ny = (ox if lx >= 0.0 else -ox) / length, (oy if ly >= 0.0 else -oy) / length
        n[0], n[1], n[2] = o[7] * nx - o[8] * ny, o[8] * nx + o[7] * ny, (oz if dz >= 0.0 else -oz) / length
        return d
    far = sqrt(dx * dx + dy * dy)
    qr, qz = far - o[4], abs(dz) - o[6]
    outer, above = max(qr, 0.0), max(qz, 0.0)
    d = sqrt(outer * outer + above * above)
    if d <= 0.0:
        d = max(qr, qz)
        outer, above = (1.0, 0.0) if qr == d else (0.0, 1.0)
    length = sqrt(outer * outer + above * above)
    if far > 0.0:
        n[0], n[1] = outer / length * dx / far, outer / length * dy / far
    else:
        n[0], n[1] = outer / length, 0.0
    n[2] = (above if dz >= 0.0 else -above) / length
    return d


@kernel
def clearance(x: float, y: float, z: float, radius: float, o: FloatArray, which: int, n: FloatArray) -> float:
    """Return the free distance of a sphere from obstacle `which` of `o`, or from the ground (-1)."""
    if which < 0:
        n[0], n[1], n[2] = 0.0, 0.0, 1.0
        return z - radius
    return distance(x, y, z, o[which], n) - radius


@kernel
def swept(a: FloatArray, b: FloatArray, radius: float, o: FloatArray, which: int, n: FloatArray) -> float:
    """Return the time (0-1) at which a sphere that moves straight from a to b first touches; 2 = never.

    Along a straight line the distance from a convex body is convex, so Newton's steps from the near side never pass
    the root: no tunnelling, and no contact where the distance no longer falls.
    """
    dx, dy, dz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    s = 0.0
    for _ in range(100):
        free = clearance(a[0] + s * dx, a[1] + s * dy, a[2] + s * dz, radius, o, which, n)
        slope = dx * n[0] + dy * n[1] + dz * n[2]
        if slope >= 0.0:
            return 2.0
        if free <= 1e-9:
            return s
        s -= free / slope
        if s > 1.0:
            return 2.0
    return 2.0


@kernel
def meeting(a0: FloatArray, a1: FloatArray, b0: FloatArray, b1: FloatArray, reach: float) -> float:
    """Return the time (0-1) at which two spheres in straight motion come within `reach` of each other; 2 = never."""
    aa, ab, ac = 0.0, 0.0, -reach * reach
    for i in range(3):
        r, v = b0[i] - a0[i], (b1[i] - b0[i]) - (a1[i] - a0[i])
        aa += v * v
        ab += r * v
        ac += r * r
    if ab >= 0.0:
        return 2.0
    if ac <= 0.0:
        return 0.0
    root = ab * ab - aa * ac
    if root < 0.0:
        return 2.0
    s = ac / (sqrt(root) - ab)
    return s if s <= 1.0 else 2.0


@kernel
def strike(v: FloatArray, n: FloatArray, restitution: float, friction: float) -> float:
    """Reflect a velocity from a fixed surface with normal n (Coulomb friction, no torque); return the normal impulse
    for each kilogram [m/s]."""
    into = v[0] * n[0] + v[1] * n[1] + v[2] * n[2]
    kick = -(1.0 + restitution) * into
    tx, ty, tz = v[0] - into * n[0], v[1] - into * n[1], v[2] - into * n[2]
    slide = sqrt(tx * tx + ty * ty + tz * tz)
    keep = max(1.0 - friction * kick / slide, 0.0) if slide > 0.0 else 0.0
    back = -restitution * into
    v[0], v[1], v[2] = keep * tx + back * n[0], keep * ty + back * n[1], keep * tz + back * n[2]
    return kick


# -- one run -----------------------------------------------------------------------------------------------------------


@kernel
def severity(f: FloatArray, t: float) -> float:
    """Return a fault's severity for a step that starts at t; it grows linearly over its ramp.

    A gust grows and decays as a half cosine (the discrete gust of MIL-F-8785C), over its ramp and over the same time
    before its end.
    """
    grown = _share(f[F_ONSET], f[F_END], f[F_RAMP], t)
    if f[F_KIND] == GUSTY and f[F_RAMP] > 0.0 and grown > 0.0:
        grown = min(grown, (f[F_END] - t) / f[F_RAMP])
        return f[F_SEVERITY] * 0.5 * (1.0 - cos(pi * grown))
    return f[F_SEVERITY] * grown


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
    lands = goal < int(p[POINTS]) and points[goal, 2] < p[RADIUS] + 0.1
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


@kernel
def plan(y: FloatArray, p: FloatArray, g: FloatArray, faults: FloatArray, planned: int, points: FloatArray,
         noise: FloatArray, k: int, d: int, health: FloatArray, extra: FloatArray, force: FloatArray,
         ) -> None:  # fmt: skip
    """Start a step of the world for one drone: faults, wind, estimate, position loop.

    `extra` becomes (resistance [ohm], bias [m], tilt [rad], delay [steps of the integrator]).
    """
    t = k / STEP_RATE
    health[:] = 1.0
    extra[:] = 0.0
    gust = 0.0
    for i in range(planned):
        f = faults[i]
        now = severity(f, t)
        if now == 0.0 or (f[F_KIND] != GUSTY and int(f[F_DRONE]) != d):
            continue
        if f[F_KIND] == THRUST_LOSS:
            health[int(f[F_ROTOR])] *= 1.0 - min(max(now, 0.0), 1.0)
        elif f[F_KIND] == SAG:
            extra[0] += max(now, 0.0)
        elif f[F_KIND] == BIAS:
            extra[1] += now
        elif f[F_KIND] == TILTED:
            extra[2] += now
        elif f[F_KIND] == LATE:
            extra[3] += min(max(now, 0.0), 0.5) * STEP_RATE * SUB
        else:
            gust += now
    extra[3] = min(np.rint(extra[3]), RING - 1.0)
    for i in range(3):
        sigma = g[SIGMA] if i < 2 else 0.5 * g[SIGMA]
        fresh = 1.0 if k == 0 else sqrt(1.0 - g[KEEP] * g[KEEP])
        y[GUST + i] = g[KEEP] * y[GUST + i] + fresh * sigma * noise[i]
        fresh = 1.0 if k == 0 else sqrt(1.0 - p[NOISE_KEEP] * p[NOISE_KEEP])
        y[ERROR + i] = p[NOISE_KEEP] * y[ERROR + i] + fresh * p[NOISE] * noise[3 + i]
    y[WIND] = g[WIND_X] + y[GUST] + gust * g[GUST_X]
    y[WIND + 1] = g[WIND_Y] + y[GUST + 1] + gust * g[GUST_Y]
    y[WIND + 2] = y[GUST + 2] + gust * g[GUST_Z]
    if y[MODE] != FLYING:
        return
    guide(y, p, extra[1], points, k < p[DELAY], force)


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


@kernel
def keep(to: FloatArray, y: FloatArray) -> None:
    """Copy the drones' states; a slice would do, but takes seconds to compile."""
    for d in range(y.shape[0]):
        for i in range(STATE):
            to[d, i] = y[d, i]


@kernel(allocates=True)
def fly(first: int, last: int, state: FloatArray, p: FloatArray, g: FloatArray, points: FloatArray,
        obstacles: FloatArray, standing: IntArray, faults: FloatArray, planned: IntArray, noise: FloatArray,
        ring: FloatArray, m: FloatArray, pairs: FloatArray, stop: IntArray, motion: FloatArray,
        events: FloatArray, count: IntArray) -> None:  # fmt: skip
    """Advance every run from step `first` to step `last`; shapes have runs first, then drones.

    `stop` (runs,) becomes the step at which a run ends. `motion` (runs, steps + 1, drones, STATE) gets the state at
    every step, the first at `first`.
    """
    runs, drones = state.shape[0], state.shape[1]
    work, n = np.zeros((5, BODY)), np.zeros(3)
    command = np.zeros(4)
    old = np.zeros((drones, 3))
    health, extra, force = np.ones((drones, 4)), np.zeros((drones, 4)), np.zeros((drones, 3))
    for r in range(runs):
        y = state[r]
        keep(motion[r, 0], y)
        for k in range(first, last):
            if stop[r] >= 0:
                keep(motion[r, k - first + 1], y)
                continue
            for d in range(drones):
                plan(y[d], p[r, d], g[r], faults[r], planned[r], points[r, d], noise[r, d, k - first], k, d,
                     health[d], extra[d], force[d])  # fmt: skip
            for sub in range(SUB):
                at = k * SUB + sub
                t = at / (STEP_RATE * SUB)
                for d in range(drones):
                    own, q = y[d], p[r, d]
                    for i in range(3):
                        old[d, i] = own[i]
                    if own[MODE] == LANDED or own[MODE] == RESTING:
                        for i in range(4):
                            own[SPIN + i] -= own[SPIN + i] * H / q[LAG]
                        continue
                    if own[MODE] == GLIDING:
                        for i in range(3):
                            own[i] += H * own[VEL + i]
                        continue
                    if q[CAPACITY] > 0.0:
                        drain(own, q, health[d], extra[d, 0], H)
                    command[:] = 0.0
                    if own[MODE] == FLYING:
                        short = steer(own, q, force[d], extra[d, 2], command)
                        own[SATURATED_FOR] = own[SATURATED_FOR] + 1.0 if short else 0.0
                        if own[SATURATED_FOR] > 100.0 and own[VEL + 2] < -0.5 and own[SATURATED] == 0.0:
                            own[SATURATED] = 1.0
                            tell(events, count, r, t + H, E_SATURATED, d, GROUND)[4] = own[VOLTS]
                        late = int(extra[d, 3])
                        for i in range(4):
                            ring[r, d, at % RING, i] = command[i]
                            command[i] = min(ring[r, d, (at - late) % RING, i], own[CEILING])
                    integrate(own, q, command, health[d], own[WIND : WIND + 3], H, work)
                    touch(own, old[d], q, g[r], m[r, d], obstacles[r], points[r, d], standing[r], t, r, d,
                          events, count, n)  # fmt: skip
                    if own[MODE] == FLYING:
                        observe(own, q, g[r], m[r, d], obstacles[r], points[r, d], standing[r], t + H, r, d,
                                events, count, n)  # fmt: skip
                for a in range(drones):
                    for b in range(a + 1, drones):
                        pair = a * drones - a * (a + 1) // 2 + b - a - 1
                        meet(a, b, pair, y, old, p[r], g[r], m[r], pairs[r], t, r, events, count, n)
            for d in range(drones):
                arrive(y[d], p[r, d], m[r, d], points[r, d], extra[d, 1], k + 1, r, d, events, count)
            keep(motion[r, k - first + 1], y)
            done, ended, since = True, False, inf
            latest = 0.0
            for d in range(drones):
                if m[r, d, T_IMPACT] == m[r, d, T_IMPACT]:
                    ended, since = True, min(since, m[r, d, T_IMPACT])
                if np.isnan(m[r, d, FINISHED]):
                    done = False
                else:
                    latest = max(latest, m[r, d, FINISHED])
            if done:
                ended, since = True, min(since, latest)
            if ended and (k + 1) / STEP_RATE >= since + g[r, SETTLE]:
                stop[r] = k + 1


def blank(runs: int, drones: int) -> tuple[FloatArray, FloatArray]:
    """Return the initial measures of drones and of pairs."""
    m = np.zeros((runs, drones, MEASURES))
    m[..., [CLEARANCE, INSIDE, MIN_VOLTS]] = np.inf
    m[..., [T_CLEARANCE, T_INSIDE, T_IMPACT, FINISHED]] = np.nan
    m[..., NEAREST] = GROUND
    pairs = np.zeros((runs, drones * (drones - 1) // 2, 4))
    pairs[..., APART], pairs[..., T_APART] = np.inf, np.nan
    return m, pairs
