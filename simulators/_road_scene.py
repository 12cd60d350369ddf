"""What the road looks like: a few boxes and cylinders a car, lines, posts and rails."""

from __future__ import annotations

from math import sqrt

from mischance.truth import Body, Scene, Shape

from ._road_settings import Lanes
from ._road_vehicle import Vehicle

Color = tuple[float, float, float]

HALF = sqrt(0.5)
PAINTS: tuple[Color, ...] = ((0.75, 0.76, 0.78), (0.72, 0.08, 0.08), (0.10, 0.25, 0.60), (0.85, 0.60, 0.10))
GLASS: Color = (0.12, 0.16, 0.20)
RUBBER: Color = (0.06, 0.06, 0.06)
RED: Color = (0.55, 0.02, 0.03)
LAMP: Color = (0.95, 0.95, 0.85)
WHITE: Color = (0.92, 0.92, 0.90)
ASPHALT: Color = (0.25, 0.25, 0.27)
GRASS: Color = (0.25, 0.40, 0.16)
STEEL: Color = (0.62, 0.64, 0.66)
BEHIND = 60.0  # metres of road drawn behind the start
PROUD = 0.015  # how far lamps and wheels stand out of the body: two faces in one plane flicker
DASH, PERIOD = 6.0, 18.0  # broken line of a motorway: 6 m painted, 12 m free


def scene(vehicles: list[Vehicle], lanes: Lanes) -> Scene:
    """Return the moving bodies in the order of the settings, then the static ones in world coordinates."""
    moving = [_vehicle(vehicle, PAINTS[i % len(PAINTS)]) for i, vehicle in enumerate(vehicles)]
    return Scene((*moving, Body("road", "", tuple(_road(lanes)), moving=False)))


def _vehicle(vehicle: Vehicle, paint: Color) -> Body:
    """Return a vehicle; its frame is the middle of its box, x forward, z up; it stands on z = -height / 2."""
    length, width, height = vehicle.size
    build = _truck if vehicle.actor.body == "truck" else _car
    ground = -0.5 * height
    radius = min(0.33, 0.25 * height) if vehicle.actor.body == "car" else 0.5
    shapes = build(length - 2.0 * PROUD, width - 2.0 * PROUD, height, paint)
    for i in (0.5, -0.5):
        for j in (1.0, -1.0):
            place = (i * vehicle.wheelbase, j * (0.5 * width - 0.11), ground + radius)
            shapes.append(Shape("cylinder", (radius, 0.22, 0.0), (*place, HALF, 0.0, 0.0, HALF), RUBBER))
    for side in (1.0, -1.0):
        y = side * (0.5 * width - 0.25)
        z = ground + 0.45 * min(height, 1.6)
        shapes.append(_box((0.06, 0.3, 0.14), (0.5 * length - 0.03, y, z), LAMP))
        shapes.append(_box((0.06, 0.3, 0.14), (-0.5 * length + 0.03, y, z), RED))
    tall = vehicle.actor.body == "truck"
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
    return Body(vehicle.name, vehicle.actor.body, tuple(shapes), mounts)


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
