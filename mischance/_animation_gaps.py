"""How near two boxes are, and when they would meet: computed from stored poses, for the strip below an animation."""

from __future__ import annotations

import numpy as np

from mischance.truth import BoolArray, FloatArray


def distance(a: FloatArray, size_a: tuple[float, float], b: FloatArray, size_b: tuple[float, float]) -> FloatArray:
    """Return the distance of two oriented boxes at each time; 0 where they overlap.

    Between two rectangles apart, the nearest point of one is a corner: so the least distance of all corners
    to the other rectangle is exact.

    Args:
        a: centre x, y [m] and yaw [rad] of the one; shape (n, 3).
        size_a: its length and width [m].
        b: the same of the other; shape (n, 3).
        size_b: its length and width [m].

    Returns:
        Distances, shape (n,) [m]; NaN where a pose is.
    """
    apart = np.minimum(_corners_to_box(a, size_a, b, size_b), _corners_to_box(b, size_b, a, size_a))
    begin, _, known = _intervals(a, size_a, b, size_b, np.zeros((len(a), 2)))
    return np.where(known & (begin <= 0.0), 0.0, apart)


def time_to_collision(
    a: FloatArray, size_a: tuple[float, float], b: FloatArray, size_b: tuple[float, float], relative: FloatArray
) -> FloatArray:
    """Return the time until two oriented boxes meet if both keep velocity and heading (2-D TTC).

    Args:
        a: centre x, y [m] and yaw [rad] of the one; shape (n, 3).
        size_a: its length and width [m].
        b: the same of the other; shape (n, 3).
        size_b: its length and width [m].
        relative: velocity of b less that of a; shape (n, 2) [m/s].

    Returns:
        Times, shape (n,) [s]; 0 where they overlap, inf where they never meet, NaN where a pose is.

    Source:
        Separating axes of moving convex bodies: Ericson, Real-Time Collision Detection, ch. 5.5.
    """
    first, last, known = _intervals(a, size_a, b, size_b, relative)
    meet = (first <= last) & (last >= 0.0)
    return np.where(known, np.where(meet, np.maximum(first, 0.0), np.inf), np.nan)


def _corners_to_box(
    a: FloatArray, size_a: tuple[float, float], b: FloatArray, size_b: tuple[float, float]
) -> FloatArray:
    forward, left = _axes(a)
    nearest = np.full(len(a), np.inf)
    along, across = _axes(b)
    for i, j in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        corner = a[:, :2] + 0.5 * (i * size_a[0] * forward + j * size_a[1] * left) - b[:, :2]
        dx = np.maximum(np.abs(_dot(corner, along)) - 0.5 * size_b[0], 0.0)
        dy = np.maximum(np.abs(_dot(corner, across)) - 0.5 * size_b[1], 0.0)
        nearest = np.minimum(nearest, np.hypot(dx, dy))  # keeps NaN
    return nearest


def _intervals(
    a: FloatArray, size_a: tuple[float, float], b: FloatArray, size_b: tuple[float, float], relative: FloatArray
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return when the boxes' shadows begin and cease to overlap on all four axes, and where the poses are known.

    With no relative velocity: -inf to inf where they overlap, else an empty interval that begins at inf.
    """
    first, last = np.full(len(a), -np.inf), np.full(len(a), np.inf)
    between = b[:, :2] - a[:, :2]
    sides = [(_axes(a), size_a), (_axes(b), size_b)]
    for axis in (axis for axes, _ in sides for axis in axes):
        reach = sum(0.5 * (s[0] * np.abs(_dot(ax[0], axis)) + s[1] * np.abs(_dot(ax[1], axis))) for ax, s in sides)
        centre, speed = _dot(between, axis), _dot(relative, axis)
        with np.errstate(divide="ignore", invalid="ignore"):
            one, two = (-reach - centre) / speed, (reach - centre) / speed
        inside = np.abs(centre) <= reach
        still = speed == 0.0
        begin = np.where(still, np.where(inside, -np.inf, np.inf), np.minimum(one, two))
        end = np.where(still, np.where(inside, np.inf, -np.inf), np.maximum(one, two))
        first, last = np.maximum(first, begin), np.minimum(last, end)
    known = np.asarray(np.isfinite(np.concatenate([a, b], axis=1)).all(axis=1), np.bool_)
    return first, last, known


def _axes(pose: FloatArray) -> tuple[FloatArray, FloatArray]:
    cos, sin = np.cos(pose[:, 2]), np.sin(pose[:, 2])
    return np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)


def _dot(u: FloatArray, v: FloatArray) -> FloatArray:
    product: FloatArray = u[:, 0] * v[:, 0] + u[:, 1] * v[:, 1]
    return product
