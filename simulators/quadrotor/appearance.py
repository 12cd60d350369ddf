"""Appearance of drones, birds and obstacles: a hub, four arms, four rotor discs; boxes and cylinders."""

from __future__ import annotations

from math import cos, pi, sin, sqrt

from mischance.api.scene import Body, Scene, Shape

from .settings import Airframe, Box, Obstacle, Settings

Color = tuple[float, float, float]

PAINTS: tuple[Color, ...] = ((0.85, 0.45, 0.05), (0.10, 0.35, 0.75), (0.20, 0.60, 0.25), (0.65, 0.15, 0.45))
CARBON: Color = (0.12, 0.12, 0.13)
BLADE: Color = (0.55, 0.57, 0.60)
FEATHER: Color = (0.25, 0.22, 0.20)
NOSE: Color = (0.90, 0.10, 0.10)
GRASS: Color = (0.30, 0.42, 0.20)
CONCRETE: Color = (0.62, 0.60, 0.57)
PADS: Color = (0.80, 0.80, 0.78)


def scene(settings: Settings) -> Scene:
    """Return drones and birds in the order of the settings, then ground and obstacles, which are static."""
    moving = [
        _drone(name, drone.airframe, PAINTS[i % len(PAINTS)]) for i, (name, drone) in enumerate(settings.drones.items())
    ]
    moving += [_bird(name, bird.radius) for name, bird in settings.birds.items()]
    pads = [
        Shape("cylinder", (1.0, 0.04, 0.0), (drone.at[0], drone.at[1], 0.0, 0.0, 0.0, 0.0, 1.0), PADS)
        for drone in settings.drones.values()
    ]
    ground = Shape("plane", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0), GRASS)
    standing = [Body(name, "obstacle", (_obstacle(it),), moving=False) for name, it in settings.obstacles.items()]
    return Scene((*moving, Body("ground", "", (ground, *pads), moving=False), *standing))


def _drone(name: str, frame: Airframe, paint: Color) -> Body:
    """Return a drone; its frame is its centre of mass, x forward, z up."""
    arm = frame.arm
    disc = 0.9 * min(arm * sqrt(0.5), max(frame.radius - arm, 0.3 * arm))
    shapes = [
        _box((0.9 * arm, 0.6 * arm, 0.4 * arm), (0.0, 0.0, 0.0), paint),
        _box((0.2 * arm, 0.4 * arm, 0.2 * arm), (0.5 * arm, 0.0, 0.0), NOSE),
    ]
    for k in range(4):
        angle = pi / 4 - k * pi / 2  # rotor1 front left, then clockwise
        x, y = arm * cos(angle), arm * sin(angle)
        turn = (0.0, 0.0, sin(0.5 * angle), cos(0.5 * angle))
        shapes.append(Shape("box", (arm, 0.12 * arm, 0.1 * arm), (0.5 * x, 0.5 * y, 0.0, *turn), CARBON))
        shapes.append(Shape("cylinder", (disc, 0.06 * arm, 0.0), (x, y, 0.18 * arm, 0.0, 0.0, 0.0, 1.0), BLADE))
    half = sqrt(0.5)
    mounts = {
        "imu": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        "camera": (0.65 * arm, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        "belly": (0.0, 0.0, -0.25 * arm, 0.0, half, 0.0, half),
        "center": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    }
    return Body(name, "drone", tuple(shapes), mounts)


def _bird(name: str, radius: float) -> Body:
    """Return a bird with spread wings; x forward."""
    body = Shape("sphere", (0.5 * radius, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0), FEATHER)
    wings = _box((0.5 * radius, 2.0 * radius, 0.1 * radius), (0.0, 0.0, 0.1 * radius), FEATHER)
    tail = _box((0.6 * radius, 0.4 * radius, 0.1 * radius), (-0.7 * radius, 0.0, 0.0), FEATHER)
    return Body(name, "bird", (body, wings, tail))


def _obstacle(it: Obstacle) -> Shape:
    if isinstance(it, Box):
        return Shape("box", it.size, (*it.at, 0.0, 0.0, sin(0.5 * it.yaw), cos(0.5 * it.yaw)), CONCRETE)
    return Shape("cylinder", (it.radius, it.height, 0.0), (*it.at, 0.0, 0.0, 0.0, 1.0), CONCRETE)


def _box(size: tuple[float, float, float], place: tuple[float, float, float], color: Color) -> Shape:
    return Shape("box", size, (*place, 0.0, 0.0, 0.0, 1.0), color)
