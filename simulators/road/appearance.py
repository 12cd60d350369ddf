"""Appearance of the actors: a few boxes and cylinders each. The road itself is drawn by `surface`."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

from mischance.api.scene import Body, Scene, Shape

from .kinds import KINDS
from .settings import Actor, Settings
from .surface import road

Color = tuple[float, float, float]

HALF = sqrt(0.5)
WOOD: Color = (0.55, 0.40, 0.24)
PAINTS: tuple[Color, ...] = ((0.75, 0.76, 0.78), (0.72, 0.08, 0.08), (0.10, 0.25, 0.60), (0.85, 0.60, 0.10))
GLASS: Color = (0.12, 0.16, 0.20)
RUBBER: Color = (0.06, 0.06, 0.06)
RED: Color = (0.55, 0.02, 0.03)
LAMP: Color = (0.95, 0.95, 0.85)
SKIN: Color = (0.80, 0.62, 0.50)
FUR: Color = (0.42, 0.27, 0.15)
HAIR: Color = (0.20, 0.13, 0.08)
HELMET: Color = (0.90, 0.90, 0.30)
RIDER: Color = (0.10, 0.10, 0.12)
TROUSERS: Color = (0.16, 0.18, 0.28)
WHITE: Color = (0.92, 0.92, 0.90)
HEDGE: Color = (0.13, 0.27, 0.10)
CONCRETE: Color = (0.58, 0.57, 0.54)
PROUD = 0.015  # distance of lamps and wheels from the body: coplanar faces would flicker


def scene(settings: Settings) -> Scene:
    """Return the moving bodies in the order of the settings, then the static ones in world coordinates."""
    moving = [_body(name, actor, PAINTS[i % len(PAINTS)]) for i, (name, actor) in enumerate(settings.actors.items())]
    return Scene((*moving, Body("road", "", tuple(road(settings)), moving=False)))


def scenes(settings: Sequence[Settings]) -> tuple[Scene, ...]:
    """Return a scene for each run; consecutive equal ones are the same object."""
    found: list[Scene] = []
    last: tuple[Any, Any] | None = None
    for one in settings:
        key = (one.road, [(actor.body, actor.sizes()[:4]) for actor in one.actors.values()])
        if last is None or key != last:
            found.append(scene(one))
            last = key
        else:
            found.append(found[-1])
    return tuple(found)


def _body(name: str, actor: Actor, paint: Color) -> Body:
    """Return an actor; its frame is the centre of its box, x forward, z up; it stands on z = -height / 2."""
    if KINDS[actor.body].way == "wheels":
        return _vehicle(name, actor, paint)
    length, width, height, wheelbase, _ = actor.sizes()
    if actor.body in ("motorcycle", "cyclist"):
        shapes = _cycle(length, width, height, wheelbase, paint, motor=actor.body == "motorcycle")
    elif actor.body in ("pedestrian", "child"):
        shapes = _person(length, width, height, paint)
    elif actor.body == "animal":
        shapes = _animal(length, width, height)
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
    """An object that hides others: a parked car if it has the size of one, else a hedge or a wall."""
    if 3.0 <= length <= 6.0 and 1.4 <= width <= 2.3 and 1.2 <= height <= 2.3:
        return _car(length, width, height, paint) + _wheels(width, height, 0.6 * length, min(0.33, 0.25 * height))
    tone = HEDGE if width < 1.6 and height < 3.0 else CONCRETE
    return [_box((length, width, height), (0.0, 0.0, 0.0), tone)]


def _animal(length: float, width: float, height: float) -> list[Shape]:
    """A deer: trunk on four legs, neck, head, ears, rump."""
    low = -0.5 * height
    legs, trunk = 0.48 * height, 0.32 * height
    back = low + legs + 0.5 * trunk
    shapes = [
        _box((0.68 * length, 0.8 * width, trunk), (-0.12 * length, 0.0, back), FUR),
        _box((0.04 * length, 0.5 * width, 0.6 * trunk), (-0.48 * length, 0.0, back), WHITE),
        _box((0.14 * length, 0.4 * width, 0.34 * height), (0.27 * length, 0.0, 0.22 * height), FUR),
        _box((0.26 * length, 0.36 * width, 0.14 * height), (0.37 * length, 0.0, 0.36 * height), FUR),
        _box((0.03 * length, 0.2 * width, 0.06 * height), (0.485 * length, 0.0, 0.34 * height), RUBBER),
    ]
    for side in (1.0, -1.0):
        shapes.append(
            _box((0.04 * length, 0.12 * width, 0.10 * height), (0.27 * length, 0.25 * side * width, 0.45 * height), FUR)
        )
        for x in (0.16, -0.40):
            shapes.append(
                _box((0.07 * length, 0.2 * width, legs), (x * length, 0.4 * side * width, low + 0.5 * legs), FUR)
            )
    return shapes


def _load(length: float, width: float, height: float) -> list[Shape]:
    """A dropped crate with straps, and its lid beside it."""
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
    """A person: two legs in a step, shoes, a trunk, two arms, a head with hair; it looks along x."""
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
    """A bicycle or motorcycle with its rider: two wheels, a frame, handlebars."""
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
    """A bus: one box with a row of windows, a windscreen, a rear window, a sill."""
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
    """A car: a body, a cabin of glass, a roof."""
    ground = -0.5 * height
    return [
        _box((length, width, 0.42 * height), (0.0, 0.0, ground + 0.37 * height), paint),
        _box((0.50 * length, 0.88 * width, 0.32 * height), (-0.06 * length, 0.0, ground + 0.74 * height), GLASS),
        _box((0.40 * length, 0.86 * width, 0.10 * height), (-0.06 * length, 0.0, ground + 0.95 * height), paint),
        _box((0.02, 0.50, 0.11), (-0.5 * length, 0.0, ground + 0.42 * height), WHITE),
    ]


def _truck(length: float, width: float, height: float, paint: Color) -> list[Shape]:
    """A truck: a cab with a window, a box, a chassis."""
    ground = -0.5 * height
    cab = 2.2
    return [
        _box((cab, width, 0.75 * height), (0.5 * (length - cab), 0.0, ground + 0.5 * height), paint),
        _box((0.04, 0.85 * width, 0.25 * height), (0.5 * length - 0.01, 0.0, ground + 0.68 * height), GLASS),
        _box((length - cab - 0.4, width, 0.70 * height), (-0.5 * (cab + 0.4), 0.0, ground + 0.65 * height), WHITE),
        _box((length - 0.2, 0.5 * width, 0.12 * height), (0.0, 0.0, ground + 0.22 * height), RUBBER),
    ]


def _box(size: tuple[float, float, float], place: tuple[float, float, float], color: Color) -> Shape:
    return Shape("box", size, _at(*place), color)


def _at(x: float, y: float, z: float) -> tuple[float, ...]:
    return (x, y, z, 0.0, 0.0, 0.0, 1.0)
