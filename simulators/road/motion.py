"""Motion of one actor within a segment: closed formulas of time, so that contact times are exact.

On rails and as a kinematic single-track the distance is a cubic of time (acceleration of constant slope) along a path
or an exact arc. A dynamic single-track is integrated over the segment and evaluated by a cubic Hermite polynomial.
After a contact a body slides on four locked wheels: a parabola.
"""

from __future__ import annotations

from math import atan2, cos, hypot, inf, sin, sqrt, tan
from typing import Any

from mischance.api.kernels import kernel

from .paths import advanced, piece_at, place, project, stretch
from .state import DYNAMIC, FIXED, HELD, KINEMATIC, RAILS, SLIDING

GRAVITY = 9.81  # [m/s2]
FINEST = 0.005  # step of the dynamic single-track [s]
SLOW, FAST = 1.0, 2.0  # between these speeds the dynamic single-track is blended into the kinematic one [m/s]
SETTLING = 0.05  # time in which its slip then vanishes [s]


@kernel
def rolled(c: Any, tau: float) -> tuple[float, float]:
    """Return distance [m] and speed [m/s] `tau` seconds into the segment; a stopped actor does not reverse."""
    moving = min(tau, c.stop)
    way = moving * (c.speed + moving * (0.5 * c.a + c.j * moving / 6.0))
    speed = 0.0 if tau >= c.stop else max(c.speed + tau * (c.a + 0.5 * c.j * tau), 0.0)
    return way, speed


@kernel
def arc(c: Any, tau: float) -> tuple[float, float, float, float, float, float, float, float]:
    """Kinematic single-track: x, y, yaw, vx, vy, rate, speed, distance; speed and curvature are the rear axle's."""
    way, speed = rolled(c, tau)
    if c.bend == 0.0:
        x, y = c.x + way * c.cosine, c.y + way * c.sine
        return x, y, c.yaw, speed * c.cosine, speed * c.sine, 0.0, speed, way
    curvature = c.bend
    yaw = c.yaw + curvature * way
    # the chord of an arc: exact, and smooth at zero curvature
    half = 0.5 * curvature * way
    chord = way * (sin(half) / half if abs(half) > 1e-6 else 1.0 - half * half / 6.0)
    cy, sy = cos(yaw), sin(yaw)
    x = c.x + chord * cos(c.yaw + half) + c.lr * (cy - c.cosine)
    y = c.y + chord * sin(c.yaw + half) + c.lr * (sy - c.sine)
    rate = curvature * speed
    return x, y, yaw, speed * cy - rate * c.lr * sy, speed * sy + rate * c.lr * cy, rate, speed, way


@kernel
def ahead(c: Any, path: Any, tau: float) -> tuple[float, float, float, float, float, float, float]:
    """Return x, y, yaw, vx, vy, rate and speed of an actor `tau` seconds into the segment."""
    if c.mode == KINEMATIC:
        x, y, yaw, vx, vy, rate, speed, _ = arc(c, tau)
        return x, y, yaw, vx, vy, rate, speed
    if c.mode == SLIDING:
        x = c.x + tau * (c.vx + 0.5 * c.fx * tau)
        y = c.y + tau * (c.vy + 0.5 * c.fy * tau)
        yaw = c.yaw + tau * (c.rate + 0.5 * c.fw * tau)
        vx, vy, rate = c.vx + c.fx * tau, c.vy + c.fy * tau, c.rate + c.fw * tau
        if tau >= c.stop:
            vx, vy, rate = 0.0, 0.0, 0.0
        return x, y, yaw, vx, vy, rate, hypot(vx, vy)
    if c.mode == DYNAMIC:
        u = tau / c.span
        h = c.span
        b0, b1, b2, b3 = (1 + 2 * u) * (1 - u) ** 2, u * (1 - u) ** 2 * h, u * u * (3 - 2 * u), u * u * (u - 1) * h
        d0, d1, d2, d3 = 6 * u * (u - 1) / h, (1 - u) * (1 - 3 * u), 6 * u * (1 - u) / h, u * (3 * u - 2)
        x = b0 * c.x + b1 * c.vx + b2 * c.x1 + b3 * c.vx1
        y = b0 * c.y + b1 * c.vy + b2 * c.y1 + b3 * c.vy1
        yaw = b0 * c.yaw + b1 * c.rate + b2 * c.yaw1 + b3 * c.rate1
        vx = d0 * c.x + d1 * c.vx + d2 * c.x1 + d3 * c.vx1
        vy = d0 * c.y + d1 * c.vy + d2 * c.y1 + d3 * c.vy1
        rate = d0 * c.yaw + d1 * c.rate + d2 * c.yaw1 + d3 * c.rate1
        return x, y, yaw, vx, vy, rate, max(vx * cos(yaw) + vy * sin(yaw), 0.0)
    if c.mode == RAILS and c.speed + abs(c.a) + abs(c.j) > 0.0:
        way, speed = rolled(c, tau)
        s, d, _ = project(path, c.pieces, c.x, c.y)
        s = advanced(path, c.pieces, s, d, way)
        x, y, heading = place(path, c.pieces, s, d)
        piece = path[piece_at(path, c.pieces, s)]
        rate = speed * piece.curvature / stretch(piece, d)
        return x, y, heading, speed * cos(heading), speed * sin(heading), rate, speed
    if c.mode == HELD:
        return c.x + tau * c.vx, c.y + tau * c.vy, c.yaw + tau * c.rate, c.vx, c.vy, c.rate, c.speed
    return c.x, c.y, c.yaw, 0.0, 0.0, 0.0, 0.0


@kernel
def longitudinal(c: Any, wanted: float, grip: float, drag: float, smooth: float) -> float:
    """Plan acceleration and its slope for the segment; return the time until they change by themselves [s].

    The pedals follow the demand with limited jerk, fading reduces the brakes, and the tyres are limited by `grip`.
    All of it is piecewise linear in time, and the segment ends at the end of a piece. `drag` (of a blown tyre) is
    added. `smooth`: the demand varies continuously; pedals that can follow reach it at the end of the segment, after
    that time [s]; 0 = a constant demand.
    """
    target = min(max(wanted, -c.brakes), c.drive)
    if c.jerk <= 0.0 or abs(target - c.asked) < 1e-9:
        c.asked = target
    slope, cut = 0.0, inf
    if c.asked != target:
        slope = c.jerk if c.asked < target else -c.jerk
        cut = (target - c.asked) / slope
        if cut < smooth:
            slope, cut = (target - c.asked) / smooth, inf
        if c.asked * slope < 0.0:
            cut = min(cut, -c.asked / slope)  # from one pedal to the other
    left = c.brake_left if c.asked < 0.0 or (c.asked == 0.0 and slope < 0.0) else 1.0
    force, rise = left * c.asked, left * slope
    c.pedal = slope
    c.a = min(max(force, -grip), grip)
    c.j = 0.0
    if rise != 0.0:
        if force < -grip or (force == -grip and rise < 0.0):
            if rise > 0.0:
                cut = min(cut, (-grip - force) / rise)
        elif force > grip or (force == grip and rise > 0.0):
            if rise < 0.0:
                cut = min(cut, (grip - force) / rise)
        else:
            c.j = rise
            cut = min(cut, ((grip if rise > 0.0 else -grip) - force) / rise)
    if drag > 0.0 and c.speed > 0.0:
        c.a = max(c.a - drag, -grip)
    _stop(c)
    if cut == inf:
        return cut
    return max(cut, 1e-7)  # rounding may leave a tiny piece after a border


@kernel
def _stop(c: Any) -> None:
    """Compute the time at which the speed reaches zero: the first root of speed + a t + j t**2 / 2."""
    c.stop = inf
    if c.speed <= 0.0:
        if c.a < 0.0 or (c.a == 0.0 and c.j <= 0.0):
            c.speed, c.a, c.j, c.stop = 0.0, 0.0, 0.0, 0.0
        return
    if c.j == 0.0:
        if c.a < 0.0:
            c.stop = -c.speed / c.a
        return
    inside = c.a * c.a - 2.0 * c.j * c.speed
    if inside < 0.0:
        return
    root = sqrt(inside)
    # the numerically stable form of the smallest positive root
    q = -(c.a + (root if c.a >= 0.0 else -root))
    for t in (q / c.j, 2.0 * c.speed / q if q != 0.0 else inf):
        if 0.0 < t < c.stop:
            c.stop = t


@kernel
def plan_slide(c: Any, grip: float, h: float) -> float:
    """Plan a segment on four locked wheels, each with a quarter of the weight; return the time until it stops [s].

    The accelerations are those half-way through the segment (the midpoint rule); a wheel that would stop inside it
    stops at its end instead of reversing.
    """
    speed = hypot(c.vx, c.vy)
    c.stop, c.pedal, c.j = inf, 0.0, 0.0
    if c.inv_mass == 0.0 or (speed < 1e-9 and abs(c.rate) < 1e-9):
        c.vx = c.vy = c.rate = c.fx = c.fy = c.fw = c.a = 0.0
        return inf
    if abs(c.rate) < 1e-12:  # a slide without rotation ends exactly
        c.fx, c.fy, c.fw = -grip * c.vx / speed, -grip * c.vy / speed, 0.0
        c.a = -grip
        if speed <= grip * h:
            c.stop = speed / grip
            return float(max(c.stop, 1e-7))
        return inf
    fx, fy, fw = _locked(c, c.vx, c.vy, c.rate, c.yaw, grip, h)
    half = 0.5 * h
    c.fx, c.fy, c.fw = _locked(
        c, c.vx + fx * half, c.vy + fy * half, c.rate + fw * half, c.yaw + c.rate * half, grip, h
    )
    c.a = (c.fx * c.vx + c.fy * c.vy) / speed if speed > 0.0 else 0.0
    return inf


@kernel
def _locked(c: Any, vx: float, vy: float, rate: float, yaw: float, grip: float, h: float) -> tuple[float, float, float]:
    fx = fy = torque = 0.0
    most = grip * h
    cy, sy = cos(yaw), sin(yaw)
    for wheel in range(4):
        i = 0.5 * c.wheelbase if wheel < 2 else -0.5 * c.wheelbase
        j = 0.8 * c.half_w if wheel % 2 == 0 else -0.8 * c.half_w
        rx, ry = i * cy - j * sy, i * sy + j * cy
        ux, uy = vx - rate * ry, vy + rate * rx
        share = -0.25 * grip / max(hypot(ux, uy), most)
        fx += share * ux
        fy += share * uy
        torque += share * (rx * uy - ry * ux)
    return fx, fy, torque * c.mass * c.inv_inertia


@kernel
def dugoff(stiffness: float, slip: float, most: float) -> float:
    """Return a tyre's lateral force [N]: linear up to half of its limit `most`, then asymptotic to it.

    Source:
        Dugoff, Fancher, Segel, An analysis of tire traction properties and their influence on vehicle dynamic
        performance, SAE 700377 (1970), without longitudinal slip.
    """
    force = stiffness * tan(slip)
    size = abs(force)
    if size <= 0.5 * most:
        return force
    limited = most * (1.0 - 0.25 * most / size)
    return limited if force > 0.0 else -limited


@kernel
def _rates(
    c: Any, yaw: float, vlon: float, vlat: float, rate: float, a: float, wheel: float
) -> tuple[float, float, float, float, float, float]:
    """Right-hand side of the dynamic single-track: rates of x, y, yaw, vlon, vlat, rate.

    Lateral forces are limited by a friction ellipse with braking and driving forces. Load transfer follows the
    longitudinal acceleration. Below FAST it is blended into the kinematic model, whose slip is zero.
    """
    mu = c.mu
    base = c.lf + c.lr
    load_f = c.mass * max(GRAVITY * c.lr - a * c.high, 0.0) / base
    load_r = c.mass * max(GRAVITY * c.lf + a * c.high, 0.0) / base
    used = c.mass * abs(a)
    whole = mu * c.mass * GRAVITY
    share = sqrt(max(1.0 - (used / whole) ** 2, 0.0))
    pace = max(vlon, 0.5)
    slip_f = wheel - atan2(vlat + c.lf * rate, pace)
    slip_r = -atan2(vlat - c.lr * rate, pace)
    weak = 1.0 - 0.35 * c.blown  # one of two front tyres has little force; [unverified]
    force_f = dugoff(c.cornering * mu * load_f * weak, slip_f, mu * load_f * share * weak)
    force_r = dugoff(c.cornering * mu * load_r, slip_r, mu * load_r * share)
    pull = c.blown * blown_drag(c) * c.mass * 0.8 * c.half_w  # the blown tyre is the left front one
    dlon = a + vlat * rate - force_f * sin(wheel) / c.mass
    dlat = (force_f * cos(wheel) + force_r) / c.mass - vlon * rate
    drate = (c.lf * force_f * cos(wheel) - c.lr * force_r + pull) / c.yaw_inertia
    if vlon < FAST:
        w = max((vlon - SLOW) / (FAST - SLOW), 0.0)
        rolls = vlon * tan(wheel) / base
        dlat = w * dlat + (1.0 - w) * (rolls * c.lr - vlat) / SETTLING
        drate = w * drate + (1.0 - w) * (rolls - rate) / SETTLING
        dlon = w * dlon + (1.0 - w) * a
    cy, sy = cos(yaw), sin(yaw)
    return vlon * cy - vlat * sy, vlon * sy + vlat * cy, rate, dlon, dlat, drate


@kernel
def blown_drag(c: Any) -> float:
    """Return the deceleration by a blown tyre [m/s2]: rolling resistance 0.3 (unverified) on its wheel."""
    return 0.3 * 0.25 * GRAVITY


@kernel
def integrate(c: Any, span: float) -> None:
    """Integrate the dynamic single-track over a segment (Runge-Kutta, 4th order) and store its end state."""
    n = int(max(span / FINEST - 1e-9, 0.0)) + 1
    h = span / n
    x, y, yaw, vlon, vlat, rate = c.x, c.y, c.yaw, c.vlon, c.vlat, c.rate
    c.vx, c.vy = vlon * cos(yaw) - vlat * sin(yaw), vlon * sin(yaw) + vlat * cos(yaw)
    for i in range(n):
        t = i * h
        a0 = c.a + c.j * t
        a1 = a0 + 0.5 * c.j * h
        a2 = a0 + c.j * h
        if vlon + a2 * h <= 0.0 and a0 < 0.0:  # it stops before the step ends
            stop = min(vlon / -a0, h)
            x += 0.5 * stop * (vlon * cos(yaw) - vlat * sin(yaw))
            y += 0.5 * stop * (vlon * sin(yaw) + vlat * cos(yaw))
            vlon = vlat = rate = 0.0
            break
        k1 = _rates(c, yaw, vlon, vlat, rate, a0, c.wheel)
        g = 0.5 * h
        k2 = _rates(c, yaw + g * k1[2], vlon + g * k1[3], vlat + g * k1[4], rate + g * k1[5], a1, c.wheel)
        k3 = _rates(c, yaw + g * k2[2], vlon + g * k2[3], vlat + g * k2[4], rate + g * k2[5], a1, c.wheel)
        k4 = _rates(c, yaw + h * k3[2], vlon + h * k3[3], vlat + h * k3[4], rate + h * k3[5], a2, c.wheel)
        w = h / 6.0
        x += w * (k1[0] + 2.0 * (k2[0] + k3[0]) + k4[0])
        y += w * (k1[1] + 2.0 * (k2[1] + k3[1]) + k4[1])
        yaw += w * (k1[2] + 2.0 * (k2[2] + k3[2]) + k4[2])
        vlon += w * (k1[3] + 2.0 * (k2[3] + k3[3]) + k4[3])
        vlat += w * (k1[4] + 2.0 * (k2[4] + k3[4]) + k4[4])
        rate += w * (k1[5] + 2.0 * (k2[5] + k3[5]) + k4[5])
    c.span = span
    c.x1, c.y1, c.yaw1, c.rate1 = x, y, yaw, rate
    c.vx1, c.vy1 = vlon * cos(yaw) - vlat * sin(yaw), vlon * sin(yaw) + vlat * cos(yaw)


@kernel
def move(c: Any, path: Any, tau: float, t: float) -> None:
    """Move an actor by `tau` seconds along the segment that began at t."""
    if c.mode in (FIXED, HELD):
        return
    x, y, yaw, vx, vy, rate, speed = ahead(c, path, tau)
    if c.mode == RAILS and c.speed == 0.0 and speed == 0.0:
        vx = vy = rate = 0.0
    if yaw != c.yaw:
        c.cosine, c.sine = cos(yaw), sin(yaw)
    c.x, c.y, c.yaw, c.vx, c.vy, c.rate, c.speed = x, y, yaw, vx, vy, rate, speed
    if c.mode == SLIDING:
        return
    c.vlon = vx * c.cosine + vy * c.sine
    c.vlat = vy * c.cosine - vx * c.sine
    if c.mode == DYNAMIC and c.vlon < 1e-6:
        c.vx = c.vy = c.rate = c.vlon = c.vlat = c.speed = 0.0
    c.asked += c.pedal * tau
    c.a += c.j * tau
    if c.speed == 0.0 and c.a < 0.0:
        c.a = c.j = 0.0
