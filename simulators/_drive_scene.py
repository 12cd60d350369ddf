"""What the road looks like: a few boxes and cylinders a car, lines, posts and rails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import atan2, ceil, cos, hypot, sin, sqrt, tan
from typing import NamedTuple

from mischance.truth import Body, Scene, Shape

from ._drive_kinds import KINDS
from ._drive_settings import Actor, Crossing, Lanes, Settings

Color = tuple[float, float, float]
Point = tuple[float, float]
Surface = tuple[float, float, float, float, float]  # a rectangle: middle x, y, heading, half its length and width

HALF = sqrt(0.5)
WOOD: Color = (0.55, 0.40, 0.24)
PAINTS: tuple[Color, ...] = ((0.75, 0.76, 0.78), (0.72, 0.08, 0.08), (0.10, 0.25, 0.60), (0.85, 0.60, 0.10))
GLASS: Color = (0.12, 0.16, 0.20)
RUBBER: Color = (0.06, 0.06, 0.06)
RED: Color = (0.55, 0.02, 0.03)
LAMP: Color = (0.95, 0.95, 0.85)
SKIN: Color = (0.80, 0.62, 0.50)
HAIR: Color = (0.20, 0.13, 0.08)
HELMET: Color = (0.90, 0.90, 0.30)
RIDER: Color = (0.10, 0.10, 0.12)
TROUSERS: Color = (0.16, 0.18, 0.28)
WHITE: Color = (0.92, 0.92, 0.90)
ASPHALT: Color = (0.25, 0.25, 0.27)
GRASS: Color = (0.25, 0.40, 0.16)
ICE: Color = (0.66, 0.76, 0.84)
WET: Color = (0.14, 0.15, 0.18)
PAVEMENT: Color = (0.52, 0.51, 0.49)
HEDGE: Color = (0.13, 0.27, 0.10)
CONCRETE: Color = (0.58, 0.57, 0.54)
STEEL: Color = (0.62, 0.64, 0.66)
BEHIND = 60.0  # metres of road drawn behind the start
PROUD = 0.015  # how far lamps and wheels stand out of the body: two faces in one plane flicker
SAG = 0.02  # how far a chord may leave its arc [m]
WALKERS = frozenset({"pedestrian", "child", "cyclist"})
DASH, PERIOD = 6.0, 18.0  # broken line of a motorway: 6 m painted, 12 m free


def scene(settings: Settings) -> Scene:
    """Return the moving bodies in the order of the settings, then the static ones in world coordinates."""
    moving = [_body(name, actor, PAINTS[i % len(PAINTS)]) for i, (name, actor) in enumerate(settings.actors.items())]
    return Scene((*moving, Body("road", "", tuple(_road(settings)), moving=False)))


def _body(name: str, actor: Actor, paint: Color) -> Body:
    """Return an actor; its frame is the middle of its box, x forward, z up; it stands on z = -height / 2."""
    if KINDS[actor.body].way == "wheels":
        return _vehicle(name, actor, paint)
    length, width, height, wheelbase, _ = actor.sizes()
    if actor.body in ("motorcycle", "cyclist"):
        shapes = _cycle(length, width, height, wheelbase, paint, motor=actor.body == "motorcycle")
    elif actor.body in ("pedestrian", "child"):
        shapes = _person(length, width, height, paint)
    elif actor.body == "occluder":
        shapes = _hidden_by(length, width, height, paint)
    else:
        shapes = _load(length, width, height)
    mounts = {
        "center": _at(0.0, 0.0, 0.0),
        "imu": _at(0.0, 0.0, 0.0),
        "roof": _at(0.0, 0.0, 0.5 * height + 0.1),
        "bumper": _at(0.5 * length + 0.02, 0.0, 0.0),
        "windscreen": _at(0.5 * length, 0.0, 0.3 * height),
        "rear": _at(-0.5 * length - 0.02, 0.0, 0.0),
    }
    return Body(name, actor.body, tuple(shapes), mounts)


def _hidden_by(length: float, width: float, height: float, paint: Color) -> list[Shape]:
    """A parked car where it has the size of one, else a hedge or a wall."""
    if 3.0 <= length <= 6.0 and 1.4 <= width <= 2.3 and 1.2 <= height <= 2.3:
        return _car(length, width, height, paint) + _wheels(width, height, 0.6 * length, min(0.33, 0.25 * height))
    tone = HEDGE if width < 1.6 and height < 3.0 else CONCRETE
    return [_box((length, width, height), (0.0, 0.0, 0.0), tone)]


def _load(length: float, width: float, height: float) -> list[Shape]:
    """A crate that fell off, strapped, with its lid beside it."""
    return [
        _box((0.8 * length, width, 0.8 * height), (-0.1 * length, 0.0, -0.1 * height), WOOD),
        _box((0.10 * length, width + 0.01, 0.8 * height + 0.01), (-0.1 * length, 0.0, -0.1 * height), RUBBER),
        _box((0.2 * length, 0.9 * width, 0.15 * height), (0.4 * length, 0.0, -0.42 * height), WOOD),
        _box((0.3 * length, 0.5 * width, 0.2 * height), (-0.15 * length, 0.1 * width, 0.4 * height), CONCRETE),
    ]


def _wheels(width: float, height: float, wheelbase: float, radius: float) -> list[Shape]:
    shapes = []
    for i in (0.5, -0.5):
        for j in (1.0, -1.0):
            place = (i * wheelbase, j * (0.5 * width - 0.11), -0.5 * height + radius)
            shapes.append(Shape("cylinder", (radius, 0.22, 0.0), (*place, HALF, 0.0, 0.0, HALF), RUBBER))
    return shapes


def _person(length: float, width: float, height: float, paint: Color) -> list[Shape]:
    """Two legs in a step, shoes, a trunk, two arms, a head with hair; it looks along x."""
    low, head = -0.5 * height, min(0.075 * height, 0.3 * width)
    legs, trunk = 0.47 * height, 0.53 * height - 2.0 * head
    chest = low + legs + 0.5 * trunk
    shapes = [
        _box((0.5 * length, 0.62 * width, trunk), (0.0, 0.0, chest), paint),
        Shape("sphere", (head, 0.0, 0.0), _at(0.02 * length, 0.0, 0.5 * height - head), SKIN),
        _box((1.3 * head, 1.5 * head, 0.5 * head), (-0.25 * head, 0.0, 0.5 * height - 0.24 * head), HAIR),
    ]
    for side in (1.0, -1.0):
        ahead = 0.18 * length * side
        shapes += [
            _box((0.34 * length, 0.26 * width, legs), (0.5 * ahead, 0.17 * side * width, low + 0.5 * legs), TROUSERS),
            _box((0.5 * length, 0.24 * width, 0.06 * height),
                 (ahead + 0.05 * length, 0.17 * side * width, low + 0.03 * height), RUBBER),
            _box((0.3 * length, 0.16 * width, 0.9 * trunk),
                 (-ahead, 0.40 * side * width, chest - 0.03 * height), paint),
            _box((0.22 * length, 0.13 * width, 0.06 * height),
                 (-ahead, 0.40 * side * width, chest - 0.5 * trunk - 0.03 * height), SKIN),
        ]  # fmt: skip
    return shapes


def _cycle(length: float, width: float, height: float, wheelbase: float, paint: Color, *, motor: bool) -> list[Shape]:
    """Two wheels, a frame, handlebars, and a rider; a motor cycle has a tank and its rider a helmet."""
    low = -0.5 * height
    radius = min(0.34, 0.5 * (length - wheelbase))
    wide, axle = (0.14, 0.55 * radius) if motor else (0.05, 0.0)
    wheels = [
        Shape("cylinder", (radius, wide, 0.0), (i * wheelbase, 0.0, low + radius, HALF, 0.0, 0.0, HALF), RUBBER)
        for i in (0.5, -0.5)
    ]
    seat, head, jacket = low + 0.50 * height, 0.08 * height, RIDER if motor else paint
    trunk = 0.5 * height - seat - 1.8 * head
    frame = _box((0.75 * wheelbase, 0.30 * width, 0.28 * height), (0.0, 0.0, low + radius + axle), paint)
    tubes = [
        _box((0.70 * wheelbase, 0.05, 0.05), (0.0, 0.0, low + 1.6 * radius), paint),
        _box((0.05, 0.05, 0.32 * height), (-0.10 * wheelbase, 0.0, low + 0.34 * height), paint),
        _box((0.05, 0.05, 0.40 * height), (0.42 * wheelbase, 0.0, low + 0.36 * height), paint),
        _box((0.45 * wheelbase, 0.05, 0.05), (-0.28 * wheelbase, 0.0, low + radius), paint),
    ]
    lamps = [_box((0.05, 0.12, 0.1), (0.5 * wheelbase, 0.0, low + 2.2 * radius), LAMP),
             _box((0.05, 0.12, 0.06), (-0.5 * wheelbase - 0.5 * radius, 0.0, low + 2.1 * radius), RED)]  # fmt: skip
    rider = [
        _box((0.12 * length, 0.75 * width, trunk), (-0.04 * length, 0.0, seat + 0.5 * trunk), jacket),
        _box((0.05, width, 0.05), (0.40 * wheelbase, 0.0, low + 0.57 * height), RUBBER),
        Shape("sphere", (head, 0.0, 0.0), _at(0.0, 0.0, 0.5 * height - head), paint if motor else SKIN),
        _box((2.0 * head, 1.7 * head, 0.8 * head), (-0.2 * head, 0.0, 0.5 * height - 0.4 * head),
             RUBBER if motor else HELMET),
    ]  # fmt: skip
    for side in (1.0, -1.0):
        y, foot = side * 0.24 * width, 0.08 * wheelbase * side
        rider += [
            _box((0.30 * length, 0.20 * width, 0.08 * height), (0.05 * length, y, seat - 0.04 * height), TROUSERS),
            _box((0.07 * length, 0.18 * width, 0.34 * height),
                 (0.17 * length + foot, y, seat - 0.21 * height), TROUSERS),
            _box((0.26 * length, 0.10, 0.08), (0.10 * length, side * 0.40 * width, low + 0.66 * height),
                 jacket),
        ]  # fmt: skip
    return [*wheels, *([frame] if motor else tubes), *lamps, *rider]


def _vehicle(name: str, actor: Actor, paint: Color) -> Body:
    """Return a vehicle on four wheels."""
    length, width, height, wheelbase, _ = actor.sizes()
    tall = actor.body in ("truck", "bus")
    build = {"truck": _truck, "bus": _bus, "van": _bus}.get(actor.body, _car)
    ground = -0.5 * height
    radius = 0.5 if tall else min(0.33, 0.25 * height)
    shapes = build(length - 2.0 * PROUD, width - 2.0 * PROUD, height, paint)
    shapes += _wheels(width, height, wheelbase, radius)
    for side in (1.0, -1.0):
        y = side * (0.5 * width - 0.25)
        z = ground + 0.45 * min(height, 1.6)
        shapes.append(_box((0.06, 0.3, 0.14), (0.5 * length - 0.03, y, z), LAMP))
        shapes.append(_box((0.06, 0.3, 0.14), (-0.5 * length + 0.03, y, z), RED))
    eye = ground + (2.4 if tall else 0.82 * height)
    front = 0.5 * length
    mounts = {
        "windscreen": _at(front - 0.15 if tall else front - 0.32 * length, 0.0, eye),
        "roof": _at(front - 1.0 if tall else -0.05 * length, 0.0, 0.5 * height + 0.1),
        "bumper": _at(front + 0.02, 0.0, ground + 0.5),
        "rear": _at(-front - 0.02, 0.0, ground + 0.5),
        "center": _at(0.0, 0.0, 0.0),
        "imu": _at(0.0, 0.0, 0.0),
    }
    return Body(name, actor.body, tuple(shapes), mounts)


def _bus(length: float, width: float, height: float, paint: Color) -> list[Shape]:
    """One box with a row of windows, a windscreen, a rear window, a sill."""
    ground = -0.5 * height
    middle = ground + 0.56 * height
    panes = max(2, round(0.9 * length / 1.6))
    pitch = 0.92 * length / panes
    glass = [
        _box(
            (pitch - 0.14, width + 0.02, 0.28 * height),
            (-0.46 * length + (k + 0.5) * pitch, 0.0, ground + 0.70 * height),
            GLASS,
        )
        for k in range(panes)
    ]
    return [
        _box((length, width, 0.88 * height), (0.0, 0.0, middle), paint),
        *glass,
        _box((0.02, 0.88 * width, 0.42 * height), (0.5 * length, 0.0, ground + 0.66 * height), GLASS),
        _box((0.02, 0.80 * width, 0.26 * height), (-0.5 * length, 0.0, ground + 0.72 * height), GLASS),
        _box((length - 0.1, width + 0.02, 0.06 * height), (0.0, 0.0, ground + 0.17 * height), RUBBER),
    ]


def _car(length: float, width: float, height: float, paint: Color) -> list[Shape]:
    """A body, a cabin of glass, a roof."""
    ground = -0.5 * height
    return [
        _box((length, width, 0.42 * height), (0.0, 0.0, ground + 0.37 * height), paint),
        _box((0.50 * length, 0.88 * width, 0.32 * height), (-0.06 * length, 0.0, ground + 0.74 * height), GLASS),
        _box((0.40 * length, 0.86 * width, 0.10 * height), (-0.06 * length, 0.0, ground + 0.95 * height), paint),
        _box((0.02, 0.50, 0.11), (-0.5 * length, 0.0, ground + 0.42 * height), WHITE),
    ]


def _truck(length: float, width: float, height: float, paint: Color) -> list[Shape]:
    """A cab with a window, a box, a chassis."""
    ground = -0.5 * height
    cab = 2.2
    return [
        _box((cab, width, 0.75 * height), (0.5 * (length - cab), 0.0, ground + 0.5 * height), paint),
        _box((0.04, 0.85 * width, 0.25 * height), (0.5 * length - 0.01, 0.0, ground + 0.68 * height), GLASS),
        _box((length - cab - 0.4, width, 0.70 * height), (-0.5 * (cab + 0.4), 0.0, ground + 0.65 * height), WHITE),
        _box((length - 0.2, 0.5 * width, 0.12 * height), (0.0, 0.0, ground + 0.22 * height), RUBBER),
    ]


# -- the road ----------------------------------------------------------------------------------------------------


def _road(settings: Settings) -> list[Shape]:
    """Return ground, asphalt, patches, lines, and what stands beside; the asphalt's top is z = 0.

    A road with crossings, or with people on foot or bicycles, has a pavement on both sides; others have guard rails.
    """
    lanes = settings.road
    width = lanes.lanes * lanes.lane_width
    way = _Way(lanes)
    others = [_cross(way, crossing, width) for crossing in lanes.crossings.values()]
    holes = [other.surface() for other in others]
    start, end = -BEHIND, max(lanes.length, way.length)
    shapes = [
        Shape("plane", (0.0, 0.0, 0.0), (*(0.0, 0.0, -0.05), 0.0, 0.0, 0.0, 1.0), GRASS),
        *way.strip(start, end, 0.5 * width, (width + 2.0, 0.1), -0.05, ASPHALT),
    ]
    for patch in lanes.patches:
        right, left = max(patch.right, 0.0), min(patch.left, width)
        if left > right:
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
            shapes.append(_box((0.12, 0.12, 1.0), (x, y, 0.5), WHITE))
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
    """The right edge's line of a road: straight pieces and arcs, in the plane; straight before and after them."""

    def __init__(self, lanes: Lanes | None = None, x: float = 0.0, y: float = 0.0, heading: float = 0.0) -> None:
        self.pieces = [(x, y, heading, 0.0, 0.0)]  # x, y, heading, way, curvature
        self.length = 0.0
        for piece in lanes.line if lanes is not None else ():
            bend = 1.0 / piece.radius if piece.radius else 0.0
            x, y, heading, _, _ = self.pieces[-1]
            self.pieces[-1] = (x, y, heading, self.length, bend)
            self.length += piece.length
            self.pieces.append((*self.place(self.length, 0.0), self.length, 0.0))

    def place(self, s: float, left: float) -> tuple[float, float, float]:
        """Return x, y [m] and heading [rad] at a way along the line and an offset to its left."""
        x, y, heading, begun, bend = next((p for p in reversed(self.pieces) if p[3] <= s), self.pieces[0])
        ds = s - begun
        half = 0.5 * bend * ds if ds > 0.0 else 0.0
        chord, turned = ds * (sin(half) / half if abs(half) > 1e-6 else 1.0), heading + 2.0 * half
        return (
            x + chord * cos(heading + half) - left * sin(turned),
            y + chord * sin(heading + half) + left * cos(turned),
            turned,
        )

    def cuts(self, start: float, end: float) -> list[float]:
        """Return ways between which the line is as good as straight: chords that leave an arc by 2 cm."""
        found = [start]
        for n, (_, _, _, begun, bend) in enumerate(self.pieces):
            after = self.pieces[n + 1][3] if n + 1 < len(self.pieces) else end
            low, high = max(begun if n else start, start), min(after, end)
            if high <= low:
                continue
            chords = max(1, ceil((high - low) * sqrt(abs(bend) / (8.0 * SAG)))) if bend and low >= begun else 1
            found += [low + (high - low) * k / chords for k in range(1, chords + 1)]
        return found

    def strip(
        self, start: float, end: float, left: float, size: tuple[float, float], z: float, color: Color,
        holes: Sequence[Surface] = (),
    ) -> list[Shape]:  # fmt: skip
        """Return boxes of a width and height along the line, left out where another road's surface is."""
        width, height = size
        shapes = []
        for low, high in pairwise(self.cuts(start, end)):
            (x0, y0, h0), (x1, y1, h1) = self.place(low, left), self.place(high, left)
            # the outer corners of two chords would gape: each is longer by what its own turn opens
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
            shapes += self.strip(start, end, left, (0.2, 0.02), 0.0, WHITE, holes)
        for line in range(1, lanes):
            for k in range(int((end - start) / PERIOD)):
                x = start + k * PERIOD
                shapes += self.strip(x, x + DASH, line * width, (0.15, 0.02), 0.0, WHITE, holes)
        return shapes

    def surfaces(self, start: float, end: float, left: float, width: float) -> Iterator[Surface]:
        """Yield the rectangles that the road covers."""
        for low, high in pairwise(self.cuts(start, end)):
            (x0, y0, _), (x1, y1, _) = self.place(low, left), self.place(high, left)
            long, heading = hypot(x1 - x0, y1 - y0), atan2(y1 - y0, x1 - x0)
            yield 0.5 * (x0 + x1), 0.5 * (y0 + y1), heading, 0.5 * long, 0.5 * width


class _Other(NamedTuple):
    """A crossing road, which is straight; way 0 is where the middles of the two roads cross."""

    way: _Way
    reach: float
    width: float

    def surface(self) -> Surface:
        """Return the rectangle that it covers."""
        x, y, heading = self.way.place(0.0, 0.5 * self.width)
        return x, y, heading, self.reach, 0.5 * self.width + 1.0


def _cross(way: _Way, crossing: Crossing, width: float) -> _Other:
    x, y, heading = way.place(crossing.at, 0.5 * width)
    heading += crossing.angle
    across = crossing.lanes * crossing.lane_width
    x, y = x + 0.5 * across * sin(heading), y - 0.5 * across * cos(heading)
    return _Other(_Way(None, x, y, heading), crossing.reach, across)


def _outside(a: Point, b: Point, holes: Sequence[Surface]) -> list[tuple[Point, Point]]:
    """Return the pieces of the way from a to b that lie on none of the surfaces."""
    kept = [(0.0, 1.0)]
    for x, y, heading, half_l, half_w in holes:
        c, s = cos(heading), sin(heading)
        low, high = 0.0, 1.0
        for u, v, half in ((c, s, half_l), (-s, c, half_w)):  # the slab of each side: where the way is inside it
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


def _box(size: tuple[float, float, float], place: tuple[float, float, float], color: Color) -> Shape:
    return Shape("box", size, _at(*place), color)


def _at(x: float, y: float, z: float) -> tuple[float, ...]:
    return (x, y, z, 0.0, 0.0, 0.0, 1.0)
