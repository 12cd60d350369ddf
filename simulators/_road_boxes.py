"""Geometry of oriented rectangles: how far apart they are, when they meet.

A rectangle is (x, y, yaw, half length, half width). All of it is plain floats: the world has two or three cars,
and a NumPy call costs more than the whole formula.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, hypot, inf, sin

Rectangle = tuple[float, float, float, float, float]
Twist = tuple[float, float, float]  # velocity of the centre [m/s] and yaw rate [rad/s]


def separation(a: Rectangle, b: Rectangle) -> tuple[float, float, float]:
    """Return the widest gap [m] along the four face normals, and that normal from a to b.

    Negative when they overlap (then the shallowest depth); never more than the true distance.

    Source:
        Gottschalk, Lin, Manocha, OBBTree, SIGGRAPH 1996 (separating axes).
    """
    dx, dy = b[0] - a[0], b[1] - a[1]
    best, nx, ny = -inf, 1.0, 0.0
    ca, sa, cb, sb = cos(a[2]), sin(a[2]), cos(b[2]), sin(b[2])
    c, s = abs(ca * cb + sa * sb), abs(ca * sb - sa * cb)
    for ux, uy, reach in (
        (ca, sa, a[3] + b[3] * c + b[4] * s),
        (-sa, ca, a[4] + b[3] * s + b[4] * c),
        (cb, sb, b[3] + a[3] * c + a[4] * s),
        (-sb, cb, b[4] + a[3] * s + a[4] * c),
    ):
        along = dx * ux + dy * uy
        gap = abs(along) - reach
        if gap > best:
            sign = 1.0 if along >= 0.0 else -1.0
            best, nx, ny = gap, ux * sign, uy * sign
    return best, nx, ny


def distance(a: Rectangle, b: Rectangle) -> float:
    """Return the distance between two rectangles [m]: 0 when they touch or overlap."""
    if separation(a, b)[0] <= 0.0:
        return 0.0
    return min(_corners_to(a, b), _corners_to(b, a))


def _corners_to(a: Rectangle, b: Rectangle) -> float:
    """Return the smallest distance from a corner of a to rectangle b."""
    ca, sa, cb, sb = cos(a[2]), sin(a[2]), cos(b[2]), sin(b[2])
    least = inf
    for i, j in ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)):
        px = a[0] + i * a[3] * ca - j * a[4] * sa - b[0]
        py = a[1] + i * a[3] * sa + j * a[4] * ca - b[1]
        out_x = max(abs(px * cb + py * sb) - b[3], 0.0)
        out_y = max(abs(py * cb - px * sb) - b[4], 0.0)
        least = min(least, hypot(out_x, out_y))
    return least


def time_to_collision(a: Rectangle, b: Rectangle, vx: float, vy: float) -> float:
    """Return when two rectangles meet if b moves with (vx, vy) [m/s] against a and neither turns [s]; inf if never.

    Exact: moving convex bodies overlap at a time when their projections on all four face normals do.
    """
    dx, dy = b[0] - a[0], b[1] - a[1]
    ca, sa, cb, sb = cos(a[2]), sin(a[2]), cos(b[2]), sin(b[2])
    c, s = abs(ca * cb + sa * sb), abs(ca * sb - sa * cb)
    enter, leave = 0.0, inf
    for ux, uy, reach in (
        (ca, sa, a[3] + b[3] * c + b[4] * s),
        (-sa, ca, a[4] + b[3] * s + b[4] * c),
        (cb, sb, b[3] + a[3] * c + a[4] * s),
        (-sb, cb, b[4] + a[3] * s + a[4] * c),
    ):
        along, rate = dx * ux + dy * uy, vx * ux + vy * uy
        if rate == 0.0:
            if abs(along) > reach:
                return inf
            continue
        first, last = (-reach - along) / rate, (reach - along) / rate
        if rate < 0.0:
            first, last = last, first
        enter, leave = max(enter, first), min(leave, last)
        if enter > leave:
            return inf
    return enter


def first_contact(
    a: Callable[[float], Rectangle], b: Callable[[float], Rectangle], duration: float, fastest: float
) -> float:
    """Return when two moving rectangles first touch in (0, duration] [s]; inf if they do not.

    Args:
        a, b: the rectangle at a time since the step's start; apart at time 0.
        duration: of the step [s].
        fastest: a bound on the speed at which any two of their points can close in [m/s].

    The search advances by (gap / fastest), which cannot jump over a contact, but never by less than ten
    microseconds (a shallower graze is none); once they overlap it bisects to the last bit, so the answer does not
    depend on how time was cut into steps.

    Source:
        Mirtich, Impulse-based dynamic simulation of rigid body systems, PhD thesis, Berkeley 1996 (conservative
        advancement).
    """
    before = time = 0.0
    gap = separation(a(0.0), b(0.0))[0]
    while gap > 0.0:
        if time >= duration or fastest <= 0.0:
            return inf
        before, time = time, min(duration, time + max(gap / fastest, 1e-5))
        gap = separation(a(time), b(time))[0]
    while True:
        middle = 0.5 * (before + time)
        if not before < middle < time:
            return time
        if separation(a(middle), b(middle))[0] > 0.0:
            before = middle
        else:
            time = middle


def closing_speed(
    a: Rectangle, b: Rectangle, va: Twist, vb: Twist, normal: tuple[float, float], point: tuple[float, float]
) -> float:
    """Return how fast the two bodies close in along `normal` (from a to b) at a point [m/s]."""
    ax = va[0] - va[2] * (point[1] - a[1])
    ay = va[1] + va[2] * (point[0] - a[0])
    bx = vb[0] - vb[2] * (point[1] - b[1])
    by = vb[1] + vb[2] * (point[0] - b[0])
    return (ax - bx) * normal[0] + (ay - by) * normal[1]


def touching_point(a: Rectangle, b: Rectangle, normal: tuple[float, float]) -> tuple[float, float]:
    """Return where two touching rectangles touch: the corner, or the middle of the shared piece of face.

    `normal` goes from a to b. Each body's support in that direction is an edge or a corner; the answer is the
    middle of the overlap of the two along the tangent.
    """
    tx, ty = -normal[1], normal[0]
    low_a, high_a = _support(a, normal, 1.0)
    low_b, high_b = _support(b, normal, -1.0)
    along = 0.5 * (max(low_a[0], low_b[0]) + min(high_a[0], high_b[0]))
    depth = low_a[1] if abs(low_a[1] - high_a[1]) <= abs(low_b[1] - high_b[1]) else low_b[1]
    return along * tx + depth * normal[0], along * ty + depth * normal[1]


def _support(
    box: Rectangle, normal: tuple[float, float], sign: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the ends (along the tangent, along the normal) of the part of a box that is farthest out."""
    c, s = cos(box[2]), sin(box[2])
    ends = []
    for i, j in ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)):
        x, y = box[0] + i * box[3] * c - j * box[4] * s, box[1] + i * box[3] * s + j * box[4] * c
        ends.append((y * normal[0] - x * normal[1], x * normal[0] + y * normal[1]))
    farthest = max(sign * depth for _, depth in ends)
    chosen = sorted(end for end in ends if sign * end[1] > farthest - 1e-6)
    return chosen[0], chosen[-1]
