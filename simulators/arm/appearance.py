"""Appearance of the robot cell: links, box and limbs as moving bodies, the rest as scenery."""

from __future__ import annotations

from math import sqrt

from mischance.api.scene import Body, Scene, Shape

from .building import BIN, FOREARM, HAND, RIM, TORSO, WALL
from .model import JOINTS, LINKS, Link, Vector, quaternion
from .path import FLOOR, LOWER_ARM, UPPER_ARM, Reach
from .settings import Settings

Color = tuple[float, float, float]

HALF = sqrt(0.5)
STILL = (0.0, 0.0, 0.0, 1.0)
ORANGE: Color = (0.90, 0.42, 0.08)
GREY: Color = (0.35, 0.36, 0.38)
DARK: Color = (0.14, 0.14, 0.16)
WOOD: Color = (0.66, 0.55, 0.42)
FLOOR_GREY: Color = (0.48, 0.50, 0.50)
BLUE: Color = (0.16, 0.30, 0.55)
SKIN: Color = (0.80, 0.60, 0.48)
CARD: Color = (0.78, 0.62, 0.36)
GREEN: Color = (0.10, 0.45, 0.30)
YELLOW: Color = (0.90, 0.78, 0.10)
TABLE_HEIGHT = 0.75
LIMBS = ("person_hand", "person_forearm", "person_upper_arm")


def moving(settings: Settings) -> tuple[str, ...]:
    """Return the names of the moving bodies, in the scene's order."""
    return (*(link.name for link in LINKS), "box", *(LIMBS if settings.person is not None else ()))


def scene(settings: Settings, reach: Reach | None) -> Scene:
    """Return the moving bodies in the engine's frames, then the static scenery in world coordinates."""
    bodies = [_link(i, link) for i, link in enumerate(LINKS)]
    box = settings.object.size
    bodies.append(Body("box", "box", (_box(box, (0.0, 0.0, 0.0), CARD),)))
    if reach is not None:
        bodies.append(Body("person_hand", "person", (Shape("sphere", (HAND, 0.0, 0.0), _at(0.0, 0.0, 0.0), SKIN),)))
        lying = (0.0, 0.0, 0.0, 0.0, HALF, 0.0, HALF)
        bodies.append(Body("person_forearm", "person", (Shape("cylinder", (FOREARM, LOWER_ARM, 0.0), lying, BLUE),)))
        tube = Shape("cylinder", (0.045, UPPER_ARM, 0.0), lying, BLUE)
        bodies.append(Body("person_upper_arm", "person", (tube,)))
        bodies.append(_person(settings, reach))
    if settings.fixture is not None:
        size, at = settings.fixture.size, settings.fixture.at
        bodies.append(Body("fixture", "fixture", (_box(size, (*at, 0.5 * size[2]), YELLOW),), moving=False))
    bodies.append(Body("cell", "", tuple(_cell(settings)), moving=False))
    # the camera stands are a body of their own without shapes: a camera does not see the body that carries it
    bodies.append(Body("stand", "", (), _views(), moving=False))
    return Scene(tuple(bodies))


def _link(i: int, link: Link) -> Body:
    color = ORANGE if i < JOINTS - 1 else GREY if i == JOINTS - 1 else DARK
    shapes = [_box(link.size, link.centre, color)]
    if any(link.axis) and not link.slides and i in (1, 2, 4):  # the housing of a joint that bends
        radius, wide = (0.075, 0.15) if i < 4 else (0.045, 0.09)
        shapes.append(Shape("cylinder", (radius, wide, 0.0), (0.0, 0.0, 0.0, HALF, 0.0, 0.0, HALF), GREY))
    mounts = {}
    if link.name == "flange":
        mounts = {"imu": _at(0.05, 0.0, 0.0), "wrench": _at(0.05, 0.0, 0.0), "camera": _at(0.05, 0.0, 0.09)}
    return Body(link.name, "robot", tuple(shapes), mounts)


def _person(settings: Settings, reach: Reach) -> Body:
    """Return body, head and legs of a person who faces the target of the hand."""
    turn = quaternion(reach.facing)
    at = reach.person.stands
    shapes = []
    parts = [*TORSO, ((0.18, 0.34, 0.70), (0.0, 0.0, -0.40))]
    for (size, place), color in zip(parts, (BLUE, SKIN, DARK), strict=True):
        # all parts are centred on one vertical axis, so rotation about it leaves them in place
        shapes.append(Shape("box", size, (at[0], at[1], place[2], *turn), color))
    return Body("person", "person", tuple(shapes), moving=False)


def _cell(settings: Settings) -> list[Shape]:
    """Return floor, table, bin and the arm's base; the table's top is z = 0."""
    x, y = settings.task.place
    shapes = [
        Shape("plane", (0.0, 0.0, 0.0), _at(0.0, 0.0, -TABLE_HEIGHT), FLOOR_GREY),
        _box((1.3, 1.8, 0.06), (0.3, 0.0, -0.03), WOOD),
        _box((0.18, 0.18, 0.20), (0.0, 0.0, 0.10), GREY),
        _box((BIN, BIN, FLOOR), (x, y, 0.5 * FLOOR), GREEN),
    ]
    for i in (-0.25, 0.85):
        for j in (-0.8, 0.8):
            shapes.append(_box((0.06, 0.06, TABLE_HEIGHT - 0.06), (i, j, -0.5 * TABLE_HEIGHT - 0.03), GREY))
    for side in (-1.0, 1.0):
        middle = 0.5 * side * (BIN + WALL)
        shapes.append(_box((WALL, BIN + 2.0 * WALL, RIM), (x + middle, y, 0.5 * RIM), GREEN))
        shapes.append(_box((BIN, WALL, RIM), (x, y + middle, 0.5 * RIM), GREEN))
    return shapes


def _views() -> dict[str, tuple[float, ...]]:
    """Return camera mounts around the cell, with the x axes of their frames towards the table's centre."""
    places: dict[str, Vector] = {"front": (2.3, 0.0, 0.9), "corner": (1.7, -1.5, 1.2), "top": (0.5, 0.0, 2.2)}
    views: dict[str, tuple[float, ...]] = {}
    for name, at in places.items():
        to = (0.5 - at[0] - (1e-3 if name == "top" else 0.0), -at[1], 0.15 - at[2])
        views[name] = (*at, *quaternion(to))
    return views


def _box(size: Vector, place: Vector, color: Color) -> Shape:
    return Shape("box", size, _at(*place), color)


def _at(x: float, y: float, z: float) -> tuple[float, ...]:
    return (x, y, z, *STILL)
