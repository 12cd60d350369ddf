"""Oriented rectangles in columns: how far apart two are, and when they meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mischance.api.tables import BoolArray, FloatArray
from mischance.driving.elementwise import Floats, elementwise


class Rectangle(NamedTuple):
    """Rectangles seen from above; each field is an array, or a number for all.

    Fields: centre x, y [m]; yaw, counter-clockwise from the x axis to the long side [rad]; length, width [m].
    """

    x: Floats
    y: Floats
    yaw: Floats
    length: Floats
    width: Floats


@elementwise
def oriented_gap(a: Rectangle, b: Rectangle) -> FloatArray:
    """Return the signed distance between two oriented rectangles [m].

    Apart: the smallest distance of any two points. 0: they touch. Negative: they overlap, and this far must one be
    shifted, in the best direction, until they only touch (penetration depth).

    Shape: common shape of the rectangles' fields.
    NaN, inf: NaN or infinite coordinates or sizes give NaN.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = smallest.
    Source: separating axes (Gottschalk, Lin, Manocha, OBBTree, SIGGRAPH 1996) for the depth; the distance of
        disjoint convex polygons is taken at a corner of one of them (Ericson, Real-time collision detection, ch. 5).
    """
    dx, dy = b.x - a.x, b.y - a.y
    depth: FloatArray = np.full((), -np.inf)
    for ux, uy, reach in _axes(a, b):
        depth = np.maximum(depth, np.abs(dx * ux + dy * uy) - reach)
    nearest = np.minimum(_corners_to(a, b), _corners_to(b, a))
    return np.where(_finite(a, b), np.where(depth > 0.0, nearest, depth), np.nan)


@elementwise
def time_to_collision_2d(
    a: Rectangle, b: Rectangle, velocity_a: tuple[Floats, Floats], velocity_b: tuple[Floats, Floats]
) -> FloatArray:
    """Return the earliest t >= 0 at which two rectangles meet if both move on with constant velocity [s].

    Velocities are (x, y) of the world frame [m/s]; neither turns. Exact: two moving convex bodies overlap at a time
    when their shadows on all four face normals do, and each shadow does so during one interval. Touching is meeting.

    Shape: common shape of all fields and velocities.
    NaN, inf: +inf if they never meet, 0 if they touch or overlap now; NaN or infinite coordinates give NaN.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = smallest. A column of its own: the
        one-lane time to collision looks only along the lane.
    Source: Hayward, Near-miss determination through use of a scale of danger, HRR 384, 1972 (the quantity);
        Gottschalk, Lin, Manocha, OBBTree, SIGGRAPH 1996 (separating axes).
    """
    dx, dy = b.x - a.x, b.y - a.y
    vx, vy = velocity_b[0] - velocity_a[0], velocity_b[1] - velocity_a[1]
    enter: FloatArray = np.zeros(())
    leave: FloatArray = np.full((), np.inf)
    for ux, uy, reach in _axes(a, b):
        along, rate = dx * ux + dy * uy, vx * ux + vy * uy
        one, two = (-reach - along) / rate, (reach - along) / rate
        at_rest, together = rate == 0.0, np.abs(along) <= reach
        first = np.where(at_rest, np.where(together, -np.inf, np.inf), np.minimum(one, two))
        enter = np.maximum(enter, first)
        leave = np.minimum(leave, np.where(at_rest, np.inf, np.maximum(one, two)))
    finite = _finite(a, b) & np.isfinite(vx) & np.isfinite(vy)
    return np.where(finite, np.where(enter <= leave, enter, np.inf), np.nan)


def _axes(a: Rectangle, b: Rectangle) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Yield the four face normals and, along each, half of both rectangles' extents together."""
    ca, sa, cb, sb = np.cos(a.yaw), np.sin(a.yaw), np.cos(b.yaw), np.sin(b.yaw)
    c, s = np.abs(ca * cb + sa * sb), np.abs(ca * sb - sa * cb)
    yield ca, sa, 0.5 * (a.length + b.length * c + b.width * s)
    yield -sa, ca, 0.5 * (a.width + b.length * s + b.width * c)
    yield cb, sb, 0.5 * (b.length + a.length * c + a.width * s)
    yield -sb, cb, 0.5 * (b.width + a.length * s + a.width * c)


def _corners_to(a: Rectangle, b: Rectangle) -> FloatArray:
    """Return the smallest distance from a corner of a to rectangle b, 0 inside [m]."""
    ca, sa, cb, sb = np.cos(a.yaw), np.sin(a.yaw), np.cos(b.yaw), np.sin(b.yaw)
    nearest: FloatArray = np.full((), np.inf)
    for i, j in ((0.5, 0.5), (0.5, -0.5), (-0.5, 0.5), (-0.5, -0.5)):
        px = a.x + i * a.length * ca - j * a.width * sa - b.x
        py = a.y + i * a.length * sa + j * a.width * ca - b.y
        out_x = np.maximum(np.abs(px * cb + py * sb) - 0.5 * b.length, 0.0)
        out_y = np.maximum(np.abs(py * cb - px * sb) - 0.5 * b.width, 0.0)
        nearest = np.minimum(nearest, np.sqrt(out_x * out_x + out_y * out_y))
    return nearest


def _finite(a: Rectangle, b: Rectangle) -> BoolArray:
    finite: BoolArray = np.ones((), dtype=np.bool_)
    for field in (*a, *b):
        finite = finite & np.isfinite(field)
    return finite
