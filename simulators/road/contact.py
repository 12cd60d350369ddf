"""Finds the next contact of two actors in a segment, and applies its impact (compiled)."""

from __future__ import annotations

from math import atan2, hypot, inf
from typing import Any

from mischance.api.kernels import kernel

from .boxes import axes, separation, touching_point
from .impact import planar_impulse
from .motion import ahead
from .recording import tell
from .state import AGAIN, ANSWERED, CONTACT, DUE, FIXED, GOING, HELD, SLIDING

CREEP = 0.1  # closing speed below which two bodies are in resting contact without an impact [m/s]
DEEP = 0.015  # overlap above which a resting contact is checked in shorter segments [m]
TREMBLE = 0.02  # speed below which a body is at rest [m/s] and [rad/s]
SLACK = 1.0  # upper limit of the change of a closing speed by accelerations within a segment [m/s]


@kernel
def _touch(a: Any, b: Any, pa: Any, pb: Any, duration: float, fastest: float) -> float:
    """Return the time of the first contact of two actors in (0, duration] [s]; inf = none. They are apart at 0.

    The search advances by gap / fastest, which cannot skip a contact, but by at least ten microseconds (a shorter
    overlap is ignored); once they overlap it bisects to the last bit, so the result does not depend on the cuts in
    time.

    Source:
        Mirtich, Impulse-based dynamic simulation of rigid body systems, PhD thesis, Berkeley 1996 (conservative
        advancement).
    """
    before = time = 0.0
    gap = _gap(a, b, pa, pb, 0.0)
    while gap > 0.0:
        if time >= duration or fastest <= 0.0:
            return inf
        before, time = time, min(duration, time + max(gap / fastest, 1e-5))
        gap = _gap(a, b, pa, pb, time)
    while True:
        middle = 0.5 * (before + time)
        if not before < middle < time:
            return time
        if _gap(a, b, pa, pb, middle) > 0.0:
            before = middle
        else:
            time = middle


@kernel
def _gap(a: Any, b: Any, pa: Any, pb: Any, tau: float) -> float:
    ax, ay, ah, _, _, _, _ = ahead(a, pa, tau)
    bx, by, bh, _, _, _, _ = ahead(b, pb, tau)
    return separation(ax, ay, ah, a.half_l, a.half_w, bx, by, bh, b.half_l, b.half_w)[0]


@kernel
def _closing(a: Any, b: Any, pa: Any, pb: Any, tau: float) -> tuple[float, float, float]:
    """Return closing speed along the normal, and the normal from a to b, at a contact `tau` into the segment."""
    ax, ay, ah, avx, avy, aw, _ = ahead(a, pa, tau)
    bx, by, bh, bvx, bvy, bw, _ = ahead(b, pb, tau)
    _, nx, ny = separation(ax, ay, ah, a.half_l, a.half_w, bx, by, bh, b.half_l, b.half_w)
    px, py = touching_point(ax, ay, ah, a.half_l, a.half_w, bx, by, bh, b.half_l, b.half_w, nx, ny)
    ux = (avx - aw * (py - ay)) - (bvx - bw * (py - by))
    uy = (avy + aw * (px - ax)) - (bvy + bw * (px - bx))
    return ux * nx + uy * ny, nx, ny


@kernel
def resting(c: Any) -> bool:
    """Return whether a body that had a contact is at rest."""
    if c.mode == HELD:  # bodies at rest in PyBullet have small residual velocities
        return hypot(c.vx, c.vy) < TREMBLE and hypot(c.wx, c.wy) < TREMBLE and abs(c.rate) < TREMBLE
    return c.hit == 1 and hypot(c.vx, c.vy) < 1e-3 and abs(c.rate) < 1e-3


@kernel
def next_contact(cars: Any, paths: Any, span: float) -> tuple[float, int, int, float, float, float]:
    """Return the next impact of the segment: time, pair, closing speed and normal; inf if there is none."""
    soonest, found_a, found_b, found_v, found_x, found_y = inf, -1, -1, 0.0, 1.0, 0.0
    n = len(cars)
    for i in range(n):
        a = cars[i]
        radius = hypot(a.half_l, a.half_w)
        for k in range(i + 1, n):
            b = cars[k]
            if a.mode == FIXED and b.mode == FIXED:
                continue
            other = hypot(b.half_l, b.half_w)
            turning = abs(a.rate) * radius + abs(b.rate) * other
            fastest = hypot(a.vx - b.vx, a.vy - b.vy) + turning + SLACK
            if hypot(b.x - a.x, b.y - a.y) > radius + other + fastest * span:
                continue
            if resting(a) and resting(b):
                continue
            gap = axes(
                b.x - a.x, b.y - a.y, a.cosine, a.sine, a.half_l, a.half_w, b.cosine, b.sine, b.half_l, b.half_w
            )[0]
            creep = CREEP
            if gap <= 1e-9:
                when = 0.0  # still touching since the last impact: only a pair that closes in again has another one
                creep = CREEP if gap > -DEEP else 0.2 * CREEP
            else:
                when = _touch(a, b, paths[i], paths[k], span, fastest)
            if when < soonest:
                v, x, y = _closing(a, b, paths[i], paths[k], when)
                if v > creep:
                    soonest, found_a, found_b, found_v, found_x, found_y = when, i, k, v, x, y
    return soonest, found_a, found_b, found_v, found_x, found_y


@kernel
def _restitution(spots: Any, closing: float) -> float:
    """Return the restitution at a closing speed: linear between the rows of a table."""
    n = len(spots)
    if closing <= spots[0].speed:
        return float(spots[0].value)
    for i in range(1, n):
        low, high = spots[i - 1], spots[i]
        if closing <= high.speed:
            return float(low.value + (high.value - low.value) * (closing - low.speed) / (high.speed - low.speed))
    return float(spots[n - 1].value)


@kernel
def _side(c: Any, nx: float, ny: float) -> int:
    """Return the side of a body that a direction points to: 0 front, 1 rear, 2 left, 3 right."""
    along, across = c.face * (nx * c.cosine + ny * c.sine), c.face * (ny * c.cosine - nx * c.sine)
    if abs(along) >= abs(across):
        return 0 if along >= 0.0 else 1
    return 2 if across >= 0.0 else 3


@kernel
def energy(c: Any) -> float:
    """Return kinetic energy in the plane, as that of a box [J]; 0 for fixed objects."""
    if c.inv_mass == 0.0:
        return 0.0
    return float(0.5 * (c.mass * (c.vx * c.vx + c.vy * c.vy) + c.rate * c.rate * c.inertia))


@kernel
def _bearing(c: Any, x: float, y: float) -> float:
    """Return a direction in a body's own frame: 0 = ahead, positive = to its left [rad]."""
    return atan2(c.face * (y * c.cosine - x * c.sine), c.face * (x * c.cosine + y * c.sine))


@kernel
def apply_impact(w: Any, cars: Any, spots: Any, events: Any, hits: Any, t: float, answer: Any) -> None:
    """Apply the impact of the two bodies of `w`: by the analytic formula, or with PyBullet's answer.

    `answer`: vx, vy, rate of a and of b afterwards, impulse x and y, point x and y.
    """
    a, b = cars[w.a], cars[w.b]
    nx, ny = w.nx, w.ny
    h = hits[w.hits]
    h.speed_a, h.speed_b = hypot(a.vx, a.vy), hypot(b.vx, b.vy)
    energy_a, energy_b = energy(a), energy(b)
    avx, avy, aw, bvx, bvy, bw = a.vx, a.vy, a.rate, b.vx, b.vy, b.rate
    if w.state == ANSWERED:
        h.jx, h.jy, h.px, h.py = answer[6], answer[7], answer[8], answer[9]
        a.vx, a.vy, a.rate, b.vx, b.vy, b.rate = answer[0], answer[1], answer[2], answer[3], answer[4], answer[5]
        w.state = GOING
    else:
        h.px, h.py = touching_point(a.x, a.y, a.yaw, a.half_l, a.half_w, b.x, b.y, b.yaw, b.half_l, b.half_w, nx, ny)
        rax, ray, rbx, rby = h.px - a.x, h.py - a.y, h.px - b.x, h.py - b.y
        ux = (bvx - bw * rby) - (avx - aw * ray)
        uy = (bvy + bw * rbx) - (avy + aw * rax)
        h.jx, h.jy = planar_impulse(
            nx, ny, ux, uy, rax, ray, rbx, rby,
            a.inv_mass, a.inv_inertia, b.inv_mass, b.inv_inertia,
            _restitution(spots, w.closing), w.impact_friction,
        )  # fmt: skip
        a.vx -= h.jx * a.inv_mass
        a.vy -= h.jy * a.inv_mass
        a.rate -= (rax * h.jy - ray * h.jx) * a.inv_inertia
        b.vx += h.jx * b.inv_mass
        b.vy += h.jy * b.inv_mass
        b.rate += (rbx * h.jy - rby * h.jx) * b.inv_inertia
    h.t, h.a, h.b, h.closing, h.nx, h.ny = t, w.a, w.b, w.closing, nx, ny
    h.vax, h.vay, h.vbx, h.vby, h.yaw_a, h.yaw_b = avx, avy, bvx, bvy, a.yaw, b.yaw
    h.dvax, h.dvay, h.dwa = a.vx - avx, a.vy - avy, a.rate - aw
    h.dvbx, h.dvby, h.dwb = b.vx - bvx, b.vy - bvy, b.rate - bw
    h.lost_a, h.lost_b = energy_a - energy(a), energy_b - energy(b)
    h.lost = h.lost_a + h.lost_b
    h.side_a, h.side_b = _side(a, nx, ny), _side(b, -nx, -ny)
    h.bearing_a, h.bearing_b = _bearing(a, h.px - a.x, h.py - a.y), _bearing(b, h.px - b.x, h.py - b.y)
    h.force_a, h.force_b = _bearing(a, h.jx, h.jy), _bearing(b, -h.jx, -h.jy)
    h.again, h.event = 0, w.hits
    for n in range(w.hits - 1, -1, -1):
        if hits[n].a == w.a and hits[n].b == w.b:
            if t - hits[n].t < AGAIN:
                h.again, h.event = 1, hits[n].event
            break
    for c in (a, b):
        c.hit = c.touched = 1
        c.commanded, c.queued, c.pedal_move, c.follow = 0, 0, -1, -1
        c.speed = hypot(c.vx, c.vy)
        c.asked = c.pedal = c.j = 0.0
        if c.mode != FIXED:
            c.mode = HELD if w.window == 1 else SLIDING
    if w.window == 1:
        w.held, w.state = 1, DUE
    if h.again == 0:
        event = tell(w, events, t, CONTACT, w.a, -1, w.hits)
        event.v0, event.v1, event.v2, event.v3 = a.t_react, b.t_react, a.t_moved, b.t_moved
    w.hits += 1
