"""Appearance of the road: asphalt along straight pieces and arcs, crossings, patches, lines, pavements, rails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import atan2, cos, hypot, inf, sin, tan
from typing import NamedTuple

from mischance.api.geometry import Piece, place, ways
from mischance.api.scene import Shape

from .actors import crossing_line, main_line
from .settings import Crossing, Settings

Color = tuple[float, float, float]
Point = tuple[float, float]
Surface = tuple[float, float, float, float, float]  # a rectangle: centre x, y, heading, half length, half width

WHITE: Color = (0.92, 0.92, 0.90)
ICE: Color = (0.66, 0.76, 0.84)
WET: Color = (0.14, 0.15, 0.18)
PAVEMENT: Color = (0.52, 0.51, 0.49)
ASPHALT: Color = (0.25, 0.25, 0.27)
GRASS: Color = (0.25, 0.40, 0.16)
STEEL: Color = (0.62, 0.64, 0.66)
BEHIND = 60.0  # length of road drawn behind the start [m]
VERGE = 10.0  # width of the strip by which a patch is drawn beside a road with bends [m]
SAG = 0.02  # maximum distance of a chord from its arc [m]
WALKERS = frozenset({"pedestrian", "child", "cyclist"})
EDGE_WIDTH, LINE_WIDTH = 0.2, 0.15  # of what is painted [m]
DASH, PERIOD = 6.0, 18.0  # broken line of a motorway: 6 m painted, 12 m free


def road(settings: Settings) -> list[Shape]:
    """Return ground, asphalt, patches, lines and roadside objects; the asphalt's top is z = 0.

    A road with crossings, or with people on foot or bicycles, has a pavement on both sides; others have guard rails.
    """
    lanes = settings.road
    width = lanes.lanes * lanes.lane_width
    line = main_line(settings)
    way = _Way(line)
    others = [_cross(crossing_line(settings, name, line), crossing) for name, crossing in lanes.crossings.items()]
    holes = [other.surface() for other in others]
    start, end = -BEHIND, max(lanes.length, way.length)
    shapes = [
        Shape("plane", (0.0, 0.0, 0.0), (*(0.0, 0.0, -0.05), 0.0, 0.0, 0.0, 1.0), GRASS),
        *way.strip(start, end, 0.5 * width, (width + 2.0, 0.1), -0.05, ASPHALT),
    ]
    for patch in lanes.patches:
        # Boxes around a bend extend beyond both ends by their width: there a patch is drawn beside the road only.
        beside = VERGE if any(piece.radius is not None for piece in lanes.line) else inf
        right, left = max(patch.right, -beside), min(patch.left, width + beside)
        if left > right and patch.end > patch.start:
            tone = ICE if patch.friction < 0.25 else WET
            shapes += way.strip(patch.start, patch.end, 0.5 * (right + left), (left - right, 0.012), 0.0, tone)
    shapes += way.lines(lanes.lanes, lanes.lane_width, start, end, holes)
    town = bool(others) or any(actor.body in WALKERS for actor in settings.actors.values())
    for side in (-1.0, 1.0):
        edge = 0.5 * width + side * 0.5 * width
        if town:
            shapes += way.strip(start, end, edge + side * 2.25, (2.5, 0.04), 0.0, PAVEMENT, holes)
            continue
        rail = edge + side * 1.6
        shapes += way.strip(start, end, rail, (0.1, 0.3), 0.65, STEEL)
        for k in range(int((end - start) / 50.0)):
            x, y, _ = way.place(start + k * 50.0, rail)
            shapes.append(Shape("box", (0.12, 0.12, 1.0), (x, y, 0.5, 0.0, 0.0, 0.0, 1.0), WHITE))
    main = [*way.surfaces(start, end, 0.5 * width, width + 2.0)]
    for other, crossing in zip(others, lanes.crossings.values(), strict=True):
        reach, across = crossing.reach, crossing.lanes * crossing.lane_width
        shapes += other.way.strip(-reach, reach, 0.5 * across, (across + 2.0, 0.1), -0.05, ASPHALT)
        elsewhere = [*main, *(hole for one, hole in zip(others, holes, strict=True) if one is not other)]
        shapes += other.way.lines(crossing.lanes, crossing.lane_width, -reach, reach, elsewhere)
        for side in (-1.0, 1.0):
            edge = 0.5 * across + side * (0.5 * across + 2.25)
            shapes += other.way.strip(-reach, reach, edge, (2.5, 0.04), 0.0, PAVEMENT, elsewhere)
    return shapes


class _Way:
    """The right edge's line of a road: straight pieces and arcs, in the plane."""

    def __init__(self, line: Sequence[Piece]) -> None:
        self.line = line
        self.length = line[-1].s

    def place(self, s: float, left: float) -> tuple[float, float, float]:
        """Return x, y [m] and heading [rad] at a station along the line and an offset to its left."""
        return place(self.line, s, left)

    def strip(
        self, start: float, end: float, left: float, size: tuple[float, float], z: float, color: Color,
        holes: Sequence[Surface] = (),
    ) -> list[Shape]:  # fmt: skip
        """Return boxes of a width and height along the line, except on another road's surface."""
        width, height = size
        shapes = []
        for low, high in pairwise(ways(self.line, start, end, SAG).tolist()):
            (x0, y0, h0), (x1, y1, h1) = self.place(low, left), self.place(high, left)
            # the outer corners of two chords would leave a gap: each is extended by its own turn
            more = width * abs(tan(0.5 * (h1 - h0)))
            for (xa, ya), (xb, yb) in _outside((x0, y0), (x1, y1), holes):
                long, heading = hypot(xb - xa, yb - ya), atan2(yb - ya, xb - xa)
                turn = (0.0, 0.0, sin(0.5 * heading), cos(0.5 * heading))
                place = (0.5 * (xa + xb), 0.5 * (ya + yb), z)
                shapes.append(Shape("box", (long + more, width, height), (*place, *turn), color))
        return shapes

    def lines(self, lanes: int, width: float, start: float, end: float, holes: Sequence[Surface]) -> list[Shape]:
        """Return edge lines, and broken lines between lanes."""
        shapes = []
        for left in (0.0, lanes * width):
            shapes += self.strip(start, end, left, (EDGE_WIDTH, 0.02), 0.0, WHITE, holes)
        for line in range(1, lanes):
            for k in range(int((end - start) / PERIOD)):
                x = start + k * PERIOD
                shapes += self.strip(x, x + DASH, line * width, (LINE_WIDTH, 0.02), 0.0, WHITE, holes)
        return shapes

    def surfaces(self, start: float, end: float, left: float, width: float) -> Iterator[Surface]:
        """Yield the rectangles that the road covers."""
        for low, high in pairwise(ways(self.line, start, end, SAG).tolist()):
            (x0, y0, _), (x1, y1, _) = self.place(low, left), self.place(high, left)
            long, heading = hypot(x1 - x0, y1 - y0), atan2(y1 - y0, x1 - x0)
            yield 0.5 * (x0 + x1), 0.5 * (y0 + y1), heading, 0.5 * long, 0.5 * width


class _Other(NamedTuple):
    """A crossing road, which is straight; station 0 is where the centre lines of the two roads cross."""

    way: _Way
    reach: float
    width: float

    def surface(self) -> Surface:
        """Return the rectangle that it covers."""
        x, y, heading = self.way.place(0.0, 0.5 * self.width)
        return x, y, heading, self.reach, 0.5 * self.width + 1.0


def _cross(line: Sequence[Piece], crossing: Crossing) -> _Other:
    return _Other(_Way(line), crossing.reach, crossing.lanes * crossing.lane_width)


def _outside(a: Point, b: Point, holes: Sequence[Surface]) -> list[tuple[Point, Point]]:
    """Return the parts of the line from a to b that lie on none of the surfaces."""
    kept = [(0.0, 1.0)]
    for x, y, heading, half_l, half_w in holes:
        c, s = cos(heading), sin(heading)
        low, high = 0.0, 1.0
        for u, v, half in ((c, s, half_l), (-s, c, half_w)):  # the interval inside each pair of sides
            from_, step = (a[0] - x) * u + (a[1] - y) * v, (b[0] - a[0]) * u + (b[1] - a[1]) * v
            if abs(step) < 1e-9:
                low, high = (low, high) if abs(from_) < half else (1.0, 0.0)
                continue
            ends = sorted(((-half - from_) / step, (half - from_) / step))
            low, high = max(low, ends[0]), min(high, ends[1])
        if low < high:
            kept = [
                piece for p, q in kept for piece in ((p, min(q, low)), (max(p, high), q)) if piece[1] - piece[0] > 1e-6
            ]
    return [
        ((a[0] + p * (b[0] - a[0]), a[1] + p * (b[1] - a[1])), (a[0] + q * (b[0] - a[0]), a[1] + q * (b[1] - a[1])))
        for p, q in kept
    ]
