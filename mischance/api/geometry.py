"""Plane geometry: distance and time to contact of oriented rectangles; lines of straight pieces and arcs.

A line is a sequence of pieces, each of constant curvature; its coordinates are the way s along it and the offset d to
its left (Frenet coordinates, as in ASAM OpenDRIVE). The first piece goes on backwards, the last one forwards, whatever
their lengths. The functions of one place are written once, by `line_functions`, for Python and for a compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import atan2, ceil, cos, hypot, inf, pi, sin, sqrt
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from mischance.api.elementwise import Floats, elementwise
from mischance.api.tables import BoolArray, FloatArray

LONG_ARC = 2.5  # angle from which an arc is measured from its own middle [rad]
GOES_ON = 1e9  # length of a last piece that has no end [m]
TIGHTEST = 0.01  # least length of a parallel / length of its line: at an arc's centre it would vanish

Function = TypeVar("Function", bound=Callable[..., Any])


class Decorator(Protocol):
    """Returns a function of the same kind: compiled, or as it is."""

    def __call__(self, function: Function, /) -> Function:
        """Return it."""
        ...


# -- oriented rectangles -----------------------------------------------------------------------------------------------


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


# -- lines of straight pieces and arcs ---------------------------------------------------------------------------------


class Piece(NamedTuple):
    """A piece of a line: straight, or an arc.

    Fields: where it begins x, y [m] and its heading there [rad]; way s along the line there [m]; length [m]; curvature,
    positive to the left [1/m]; cosine and sine of the heading.
    """

    x: float
    y: float
    heading: float
    s: float
    length: float
    curvature: float
    cosine: float
    sine: float

    @staticmethod
    def at(
        x: float, y: float, heading: float, s: float = 0.0, length: float = GOES_ON, curvature: float = 0.0
    ) -> Piece:
        """Return a piece that begins there."""
        return Piece(x, y, heading, s, length, curvature, cos(heading), sin(heading))


class LineFunctions(NamedTuple):
    """Functions of one place on a line; a line is an indexable of pieces, and n how many of them count.

    along_piece(piece, x, y) -> (way from the piece's beginning [m], offset to its left [m])
    project(line, n, x, y) -> (s, d, number of the piece) of the nearest point
    heading_at(line, number, s) -> direction of that piece at s [rad]
    piece_at(line, n, s) -> number of the piece that s lies on
    place(line, n, s, d) -> (x, y, heading)
    stretch(piece, d) -> length of the piece's parallel at offset d / its own
    length_between(line, n, s, s1, d) -> length of the parallel at offset d from s to s1 [m]; negative if s1 < s
    advanced(line, n, s, d, length) -> way s1 that lies `length` along that parallel from s [m]
    """

    along_piece: Callable[[Any, float, float], tuple[float, float]]
    project: Callable[[Any, int, float, float], tuple[float, float, int]]
    heading_at: Callable[[Any, int, float], float]
    piece_at: Callable[[Any, int, float], int]
    place: Callable[[Any, int, float, float], tuple[float, float, float]]
    stretch: Callable[[Any, float], float]
    length_between: Callable[[Any, int, float, float, float], float]
    advanced: Callable[[Any, int, float, float, float], float]


def line_functions(compiled: Decorator) -> LineFunctions:
    """Return the functions of one place, each passed through a decorator: a compiler's, or one that changes nothing.

    They work on any record with the fields of `Piece`.
    """

    @compiled
    def along_piece(p: Any, x: float, y: float) -> tuple[float, float]:
        c, s = p.cosine, p.sine
        dx, dy = x - p.x, y - p.y
        if p.curvature == 0.0:
            return dx * c + dy * s, dy * c - dx * s
        radius = 1.0 / p.curvature
        sign = 1.0 if radius > 0.0 else -1.0
        rx, ry = dx + radius * s, dy - radius * c  # from the arc's centre
        turned = atan2(sign * rx, -sign * ry) - p.heading
        # a long arc is unwrapped against its own middle: behind a half circle the way would jump back to its beginning
        middle = 0.5 * p.length * p.curvature if p.length * abs(p.curvature) > LONG_ARC else 0.0
        if abs(turned - middle) > pi:
            turned -= 2.0 * pi * round((turned - middle) / (2.0 * pi))
        return turned * radius, sign * (abs(radius) - hypot(rx, ry))

    @compiled
    def project(line: Any, n: int, x: float, y: float) -> tuple[float, float, int]:
        if n == 1:
            ds, d = along_piece(line[0], x, y)
            return line[0].s + ds, d, 0
        best, found_s, found_d, found = inf, 0.0, 0.0, 0
        for i in range(n):
            ds, d = along_piece(line[i], x, y)
            low = -inf if i == 0 else 0.0
            high = inf if i == n - 1 else line[i].length
            # beyond an end the offset understates how far away the piece is
            far = abs(d) + max(low - ds, 0.0) + max(ds - high, 0.0)
            if far < best - 1e-9:
                best, found_s, found_d, found = far, line[i].s + min(max(ds, low), high), d, i
        return found_s, found_d, found

    @compiled
    def heading_at(line: Any, number: int, s: float) -> float:
        p = line[number]
        return float(p.heading + p.curvature * (s - p.s))

    @compiled
    def piece_at(line: Any, n: int, s: float) -> int:
        i = n - 1
        while i > 0 and line[i].s > s:
            i -= 1
        return i

    @compiled
    def place(line: Any, n: int, s: float, d: float) -> tuple[float, float, float]:
        p = line[piece_at(line, n, s)]
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

    @compiled
    def stretch(p: Any, d: float) -> float:
        return float(max(1.0 - p.curvature * d, TIGHTEST))

    @compiled
    def length_between(line: Any, n: int, s: float, s1: float, d: float) -> float:
        if n == 1:
            return (s1 - s) * stretch(line[0], d)
        low, high = min(s, s1), max(s, s1)
        total = 0.0
        for i in range(n):
            begin = -inf if i == 0 else line[i].s
            end = inf if i == n - 1 else line[i + 1].s
            part = min(high, end) - max(low, begin)
            if part > 0.0:
                total += part * stretch(line[i], d)
        return total if s1 >= s else -total

    @compiled
    def advanced(line: Any, n: int, s: float, d: float, length: float) -> float:
        i = piece_at(line, n, s)
        while length > 0.0 and i < n - 1:
            room = (line[i + 1].s - s) * stretch(line[i], d)
            if length <= room:
                break
            i += 1
            s, length = float(line[i].s), length - room
        while length < 0.0 and i > 0:
            room = (s - line[i].s) * stretch(line[i], d)
            if -length <= room:
                break
            s, length = float(line[i].s), length + room
            i -= 1
        return s + length / stretch(line[i], d)

    return LineFunctions(
        along_piece, project, heading_at, piece_at, place, stretch, length_between, advanced
    )  # fmt: skip


_PLAIN = line_functions(lambda function: function)


def place(line: Sequence[Piece], s: float, d: float) -> tuple[float, float, float]:
    """Return x, y [m] and heading [rad] at a way along a line and an offset to its left [m]."""
    return _PLAIN.place(line, len(line), s, d)


def project(line: Sequence[Piece], x: float, y: float) -> tuple[float, float, int]:
    """Return way s and offset d of the nearest point of a line [m], and the number of its piece."""
    return _PLAIN.project(line, len(line), x, y)


def length_between(line: Sequence[Piece], s: float, s1: float, d: float) -> float:
    """Return the length of a line's parallel at offset d from way s to s1 [m]; negative if s1 < s."""
    return _PLAIN.length_between(line, len(line), s, s1, d)


def advanced(line: Sequence[Piece], s: float, d: float, length: float) -> float:
    """Return the way that lies a length along a line's parallel at offset d from way s [m]; the length is signed."""
    return _PLAIN.advanced(line, len(line), s, d, length)


def chained(pieces: Iterable[tuple[float, float]], x: float = 0.0, y: float = 0.0, heading: float = 0.0) -> list[Piece]:
    """Return a line of pieces (length [m], curvature [1/m]) from a place on, each where the one before ends."""
    line: list[Piece] = []
    s = 0.0
    for length, curvature in pieces:
        line.append(Piece.at(x, y, heading, s, length, curvature))
        x, y, heading = _PLAIN.place(line[-1:], 1, s + length, 0.0)
        s += length
    return line


def ways(line: Sequence[Piece], begin: float, end: float, sag: float = 0.02) -> FloatArray:
    """Return ways at which to sample [begin, end]: chords leave an arc by no more than `sag` [m]; shape (n,) [m]."""
    found = [begin]
    for i, p in enumerate(line):
        low = begin if i == 0 else max(p.s, begin)
        high = end if i == len(line) - 1 else min(line[i + 1].s, end)
        if low < high:
            chords = max(1, ceil((high - low) * sqrt(abs(p.curvature) / (8.0 * sag))))
            found += [low + (high - low) * k / chords for k in range(1, chords + 1)]
    return np.array(found)
