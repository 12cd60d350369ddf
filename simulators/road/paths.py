"""Paths of straight pieces and arcs: from a place to (way along, offset to the left) and back.

A path is a row of PIECE records; the first goes on backwards, the last forwards.
"""

from __future__ import annotations

from math import atan2, cos, hypot, inf, pi, sin
from typing import Any

from .compilation import inner

LONG = 2.5  # angle of an arc that is a long one [rad]


@inner
def along_piece(p: Any, x: float, y: float) -> tuple[float, float]:
    """Return how far along a piece a place is [m], from its beginning, and its offset to the left [m]."""
    c, s = p.cosine, p.sine
    dx, dy = x - p.x, y - p.y
    if p.curvature == 0.0:
        return dx * c + dy * s, dy * c - dx * s
    radius = 1.0 / p.curvature
    sign = 1.0 if radius > 0.0 else -1.0
    rx, ry = dx + radius * s, dy - radius * c  # from the arc's centre
    turned = atan2(sign * rx, -sign * ry) - p.heading
    # a long arc is unwrapped against its own middle: behind a half circle the way would jump back to its beginning
    middle = 0.5 * p.length * p.curvature if p.length * abs(p.curvature) > LONG else 0.0
    if abs(turned - middle) > pi:
        turned -= 2.0 * pi * round((turned - middle) / (2.0 * pi))
    return turned * radius, sign * (abs(radius) - hypot(rx, ry))


@inner
def set_piece(p: Any, x: float, y: float, heading: float, s: float, length: float, curvature: float) -> None:
    """Write a piece of a path."""
    p.x, p.y, p.heading, p.s, p.length, p.curvature = x, y, heading, s, length, curvature
    p.cosine, p.sine = cos(heading), sin(heading)


@inner
def project(path: Any, n: int, x: float, y: float) -> tuple[float, float, int]:
    """Return the way along a path [m], the offset to the left [m], and the piece, of the nearest point."""
    if n == 1:
        ds, d = along_piece(path[0], x, y)
        return path[0].s + ds, d, 0
    best, found_s, found_d, found = inf, 0.0, 0.0, 0
    for i in range(n):
        ds, d = along_piece(path[i], x, y)
        low = -inf if i == 0 else 0.0
        high = inf if i == n - 1 else path[i].length
        # beyond an end the offset understates how far away the piece is
        far = abs(d) + max(low - ds, 0.0) + max(ds - high, 0.0)
        if far < best - 1e-9:
            best, found_s, found_d, found = far, path[i].s + min(max(ds, low), high), d, i
    return found_s, found_d, found


@inner
def heading_at(path: Any, piece: int, s: float) -> float:
    """Return the direction of a path at a way along it [rad]."""
    p = path[piece]
    return float(p.heading + p.curvature * (s - p.s))


@inner
def piece_at(path: Any, n: int, s: float) -> int:
    """Return the piece that a way along the path lies on."""
    i = n - 1
    while i > 0 and path[i].s > s:
        i -= 1
    return i


@inner
def place(path: Any, n: int, s: float, d: float) -> tuple[float, float, float]:
    """Return x, y [m] and heading [rad] at a way along a path and an offset to its left."""
    p = path[piece_at(path, n, s)]
    ds = s - p.s
    if p.curvature == 0.0:
        return p.x + ds * p.cosine - d * p.sine, p.y + ds * p.sine + d * p.cosine, p.heading
    turned = p.curvature * ds
    half = 0.5 * turned
    chord = ds * (sin(half) / half if abs(half) > 1e-6 else 1.0 - half * half / 6.0)
    heading = p.heading + turned
    x = p.x + chord * cos(p.heading + half) - d * sin(heading)
    y = p.y + chord * sin(p.heading + half) + d * cos(heading)
    return x, y, heading
