"""Geometry of oriented rectangles: distance, time to collision, contact point.

A rectangle is (x, y, yaw, half length, half width).
"""

from __future__ import annotations

from math import cos, inf, sin, sqrt

from mischance.api.kernels import kernel

Rectangle = tuple[float, float, float, float, float]


@kernel
def axes(
    dx: float, dy: float, ca: float, sa: float, al: float, aw: float, cb: float, sb: float, bl: float, bw: float
) -> tuple[float, float, float]:
    """`separation` for a rectangle b at (dx, dy) from a; yaws as cosines and sines."""
    c, s = abs(ca * cb + sa * sb), abs(ca * sb - sa * cb)
    best, nx, ny = -inf, 1.0, 0.0
    for axis in range(4):
        if axis == 0:
            ux, uy, reach = ca, sa, al + bl * c + bw * s
        elif axis == 1:
            ux, uy, reach = -sa, ca, aw + bl * s + bw * c
        elif axis == 2:
            ux, uy, reach = cb, sb, bl + al * c + aw * s
        else:
            ux, uy, reach = -sb, cb, bw + al * s + aw * c
        along = dx * ux + dy * uy
        gap = abs(along) - reach
        if gap > best:
            sign = 1.0 if along >= 0.0 else -1.0
            best, nx, ny = gap, ux * sign, uy * sign
    return best, nx, ny


@kernel
def separation(
    ax: float, ay: float, ah: float, al: float, aw: float, bx: float, by: float, bh: float, bl: float, bw: float
) -> tuple[float, float, float]:
    """Return the largest gap [m] along the four face normals of two rectangles, and that normal from a to b.

    Negative when they overlap (the smallest penetration depth); never larger than the true distance.

    Source:
        Gottschalk, Lin, Manocha, OBBTree, SIGGRAPH 1996 (separating axes).
    """
    return axes(bx - ax, by - ay, cos(ah), sin(ah), al, aw, cos(bh), sin(bh), bl, bw)


@kernel
def _corners_to(
    dx: float, dy: float, ca: float, sa: float, al: float, aw: float, cb: float, sb: float, bl: float, bw: float
) -> float:
    """Return the smallest distance from a corner of a to rectangle b, which is (dx, dy) from it."""
    least = inf
    for corner in range(4):
        i = al if corner < 2 else -al
        j = aw if corner % 2 == 0 else -aw
        px = i * ca - j * sa - dx
        py = i * sa + j * ca - dy
        out_x = max(abs(px * cb + py * sb) - bl, 0.0)
        out_y = max(abs(py * cb - px * sb) - bw, 0.0)
        least = min(least, out_x * out_x + out_y * out_y)
    return sqrt(least)


@kernel
def clearance(
    dx: float, dy: float, ca: float, sa: float, al: float, aw: float, cb: float, sb: float, bl: float, bw: float
) -> float:
    """`distance` for a rectangle b at (dx, dy) from a; yaws as cosines and sines."""
    if axes(dx, dy, ca, sa, al, aw, cb, sb, bl, bw)[0] <= 0.0:
        return 0.0
    return min(
        _corners_to(dx, dy, ca, sa, al, aw, cb, sb, bl, bw), _corners_to(-dx, -dy, cb, sb, bl, bw, ca, sa, al, aw)
    )


@kernel
def distance(
    ax: float, ay: float, ah: float, al: float, aw: float, bx: float, by: float, bh: float, bl: float, bw: float
) -> float:
    """Return the distance between two rectangles [m]: 0 when they touch or overlap."""
    return clearance(bx - ax, by - ay, cos(ah), sin(ah), al, aw, cos(bh), sin(bh), bl, bw)


@kernel
def meeting(
    dx: float, dy: float, ca: float, sa: float, al: float, aw: float, cb: float, sb: float, bl: float, bw: float,
    vx: float, vy: float,
) -> float:  # fmt: skip
    """`time_to_collision` for a rectangle b at (dx, dy) from a; yaws as cosines and sines."""
    c, s = abs(ca * cb + sa * sb), abs(ca * sb - sa * cb)
    enter, leave = 0.0, inf
    for axis in range(4):
        if axis == 0:
            ux, uy, reach = ca, sa, al + bl * c + bw * s
        elif axis == 1:
            ux, uy, reach = -sa, ca, aw + bl * s + bw * c
        elif axis == 2:
            ux, uy, reach = cb, sb, bl + al * c + aw * s
        else:
            ux, uy, reach = -sb, cb, bw + al * s + aw * c
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


@kernel
def time_to_collision(
    ax: float, ay: float, ah: float, al: float, aw: float,
    bx: float, by: float, bh: float, bl: float, bw: float,
    vx: float, vy: float,
) -> float:  # fmt: skip
    """Return the time of contact of two rectangles if b moves at (vx, vy) [m/s] relative to a [s]; inf = never.

    Exact: moving convex bodies overlap at a time when their projections on all four face normals do.
    """
    return meeting(bx - ax, by - ay, cos(ah), sin(ah), al, aw, cos(bh), sin(bh), bl, bw, vx, vy)


@kernel
def _support(
    x: float, y: float, yaw: float, half_l: float, half_w: float, nx: float, ny: float, sign: float
) -> tuple[float, float, float, float]:
    """Return the edge or corner of a box that is farthest along a direction.

    As (lower end along the tangent, its depth along the normal, upper end, its depth).
    """
    c, s = cos(yaw), sin(yaw)
    farthest = -inf
    for corner in range(4):
        i = half_l if corner < 2 else -half_l
        j = half_w if corner % 2 == 0 else -half_w
        farthest = max(farthest, sign * ((x + i * c - j * s) * nx + (y + i * s + j * c) * ny))
    low, low_depth, high, high_depth = inf, 0.0, -inf, 0.0
    for corner in range(4):
        i = half_l if corner < 2 else -half_l
        j = half_w if corner % 2 == 0 else -half_w
        px, py = x + i * c - j * s, y + i * s + j * c
        along, depth = py * nx - px * ny, px * nx + py * ny
        if sign * depth > farthest - 1e-6:
            if along < low:
                low, low_depth = along, depth
            if along > high:
                high, high_depth = along, depth
    return low, low_depth, high, high_depth


@kernel
def touching_point(
    ax: float, ay: float, ah: float, al: float, aw: float,
    bx: float, by: float, bh: float, bl: float, bw: float,
    nx: float, ny: float,
) -> tuple[float, float]:  # fmt: skip
    """Return the contact point of two touching rectangles: a corner, or the centre of the common part of two faces.

    The normal goes from a to b. Each body's support in that direction is an edge or a corner; the point is the centre
    of the overlap of the two along the tangent.
    """
    # positions are relative to a's centre, so that an impact is the same anywhere on the road
    low_a, deep_low_a, high_a, deep_high_a = _support(0.0, 0.0, ah, al, aw, nx, ny, 1.0)
    low_b, deep_low_b, high_b, deep_high_b = _support(bx - ax, by - ay, bh, bl, bw, nx, ny, -1.0)
    along = 0.5 * (max(low_a, low_b) + min(high_a, high_b))
    depth = deep_low_a if abs(deep_low_a - deep_high_a) <= abs(deep_low_b - deep_high_b) else deep_low_b
    return ax - along * ny + depth * nx, ay + along * nx + depth * ny
