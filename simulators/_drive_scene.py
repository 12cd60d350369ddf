"""What the road looks like: a few boxes and cylinders a car, lines, posts and rails."""

from __future__ import annotations

from math import sqrt

from mischance.truth import Body, Scene, Shape

from ._drive_kinds import KINDS
from ._drive_settings import Actor, Lanes, Settings

Color = tuple[float, float, float]

HALF = sqrt(0.5)
PAINTS: tuple[Color, ...] = ((0.75, 0.76, 0.78), (0.72, 0.08, 0.08), (0.10, 0.25, 0.60), (0.85, 0.60, 0.10))
GLASS: Color = (0.12, 0.16, 0.20)
RUBBER: Color = (0.06, 0.06, 0.06)
RED: Color = (0.55, 0.02, 0.03)
LAMP: Color = (0.95, 0.95, 0.85)
SKIN: Color = (0.80, 0.62, 0.50)
TROUSERS: Color = (0.16, 0.18, 0.28)
WHITE: Color = (0.92, 0.92, 0.90)
ASPHALT: Color = (0.25, 0.25, 0.27)
GRASS: Color = (0.25, 0.40, 0.16)
STEEL: Color = (0.62, 0.64, 0.66)
BEHIND = 60.0  # metres of road drawn behind the start
PROUD = 0.015  # how far lamps and wheels stand out of the body: two faces in one plane flicker
DASH, PERIOD = 6.0, 18.0  # broken line of a motorway: 6 m painted, 12 m free


def scene(settings: Settings) -> Scene:
    """Return the moving bodies in the order of the settings, then the static ones in world coordinates."""
    moving = [_body(name, actor, PAINTS[i % len(PAINTS)]) for i, (name, actor) in enumerate(settings.actors.items())]
    return Scene((*moving, Body("road", "", tuple(_road(settings.road)), moving=False)))


def _body(name: str, actor: Actor, paint: Color) -> Body:
    """Return an actor; its frame is the middle of its box, x forward, z up; it stands on z = -height / 2."""
    if KINDS[actor.body].way == "wheels":
        return _vehicle(name, actor, paint)
    length, width, height, wheelbase, _ = actor.sizes()
    if actor.body in ("motorcycle", "cyclist"):
        shapes = _cycle(length, width, height, wheelbase, paint)
    elif actor.body in ("pedestrian", "child"):
        shapes = _person(length, width, height, paint)
    elif actor.body == "occluder":
        shapes = _car(length, width, height, paint)
    else:
        shapes = [_box((length, width, height), (0.0, 0.0, 0.0), paint)]
    mounts = {
        "center": _at(0.0, 0.0, 0.0),
        "imu": _at(0.0, 0.0, 0.0),
        "roof": _at(0.0, 0.0, 0.5 * height + 0.1),
        "bumper": _at(0.5 * length + 0.02, 0.0, 0.0),
        "windscreen": _at(0.5 * length, 0.0, 0.3 * height),
        "rear": _at(-0.5 * length - 0.02, 0.0, 0.0),
    }
    return Body(name, actor.body, tuple(shapes), mounts)


def _person(length: float, width: float, height: float, paint: Color) -> list[Shape]:
    """Legs, a trunk with arms, a head."""
    radius = min(0.07 * height, 0.5 * width, 0.5 * length)
    legs, trunk = 0.48 * height, height * 0.5 - 2.0 * radius
    low = -0.5 * height
    return [
        _box((0.5 * length, 0.3 * width, legs), (0.0, 0.22 * width, low + 0.5 * legs), TROUSERS),
        _box((0.5 * length, 0.3 * width, legs), (0.0, -0.22 * width, low + 0.5 * legs), TROUSERS),
        _box((0.7 * length, width, trunk), (0.0, 0.0, low + legs + 0.5 * trunk), paint),
        Shape("sphere", (radius, 0.0, 0.0), _at(0.0, 0.0, 0.5 * height - radius), SKIN),
    ]


def _cycle(length: float, width: float, height: float, wheelbase: float, paint: Color) -> list[Shape]:
    """Two wheels, a frame, a rider."""
    low = -0.5 * height
    radius = min(0.34, 0.5 * (length - wheelbase))
    shapes = [
        Shape("cylinder", (radius, 0.06, 0.0), (i * wheelbase, 0.0, low + radius, HALF, 0.0, 0.0, HALF), RUBBER)
        for i in (0.5, -0.5)
    ]
    seat = low + 0.5 * height
    trunk = 0.30 * height
    return [
        *shapes,
        _box((0.8 * wheelbase, 0.08, 0.12), (0.0, 0.0, low + 0.9 * radius + 0.1), paint),
        _box((0.05, width, 0.05), (0.42 * wheelbase, 0.0, seat + 0.12), RUBBER),
        _box((0.14 * length, 0.4 * width, 0.4 * height), (0.0, 0.0, low + 0.32 * height), TROUSERS),
        _box((0.16 * length, 0.75 * width, trunk), (-0.05 * length, 0.0, seat + 0.5 * trunk), paint),
        Shape("sphere", (0.1 * height, 0.0, 0.0), _at(0.0, 0.0, 0.4 * height), SKIN),
    ]


def _vehicle(name: str, actor: Actor, paint: Color) -> Body:
    """Return a vehicle on four wheels."""
    length, width, height, wheelbase, _ = actor.sizes()
    tall = actor.body in ("truck", "bus")
    build = {"truck": _truck, "bus": _bus, "van": _bus}.get(actor.body, _car)
    ground = -0.5 * height
    radius = 0.5 if tall else min(0.33, 0.25 * height)
    shapes = build(length - 2.0 * PROUD, width - 2.0 * PROUD, height, paint)
    for i in (0.5, -0.5):
        for j in (1.0, -1.0):
            place = (i * wheelbase, j * (0.5 * width - 0.11), ground + radius)
            shapes.append(Shape("cylinder", (radius, 0.22, 0.0), (*place, HALF, 0.0, 0.0, HALF), RUBBER))
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
    """One box with a band of windows."""
    ground = -0.5 * height
    return [
        _box((length, width, 0.88 * height), (0.0, 0.0, ground + 0.56 * height), paint),
        _box((0.9 * length, width + 0.01, 0.28 * height), (0.0, 0.0, ground + 0.68 * height), GLASS),
        _box((0.02, 0.85 * width, 0.32 * height), (0.5 * length, 0.0, ground + 0.66 * height), GLASS),
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


def _road(lanes: Lanes) -> list[Shape]:
    """Return ground, asphalt, lines, guard rails and posts; the asphalt's top is z = 0."""
    width = lanes.lanes * lanes.lane_width
    length, middle = lanes.length + BEHIND, 0.5 * (lanes.length - BEHIND)
    shapes = [
        Shape("plane", (0.0, 0.0, 0.0), (*(0.0, 0.0, -0.05), 0.0, 0.0, 0.0, 1.0), GRASS),
        _box((length, width + 2.0, 0.1), (middle, 0.5 * width, -0.05), ASPHALT),
    ]
    for y in (0.0, width):
        shapes.append(_box((length, 0.2, 0.02), (middle, y, 0.0), WHITE))
    for line in range(1, lanes.lanes):
        for k in range(int(length / PERIOD)):
            x = -BEHIND + k * PERIOD + 0.5 * DASH
            shapes.append(_box((DASH, 0.15, 0.02), (x, line * lanes.lane_width, 0.0), WHITE))
    for y in (-1.6, width + 1.6):
        shapes.append(_box((length, 0.1, 0.3), (middle, y, 0.65), STEEL))
        for k in range(int(length / 50.0)):
            shapes.append(_box((0.12, 0.12, 1.0), (-BEHIND + k * 50.0, y, 0.5), WHITE))
    return shapes


def _box(size: tuple[float, float, float], place: tuple[float, float, float], color: Color) -> Shape:
    return Shape("box", size, _at(*place), color)


def _at(x: float, y: float, z: float) -> tuple[float, ...]:
    return (x, y, z, 0.0, 0.0, 0.0, 1.0)
