"""What bodies look like from above: a few polygons for each kind, in the body's own frame, for page, film and sheet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np

from mischance.api.tables import FloatArray

_CORNER = 5  # points of a rounded corner


@dataclass(frozen=True, slots=True)
class Part:
    """A polygon (n, 2) [m], x ahead, y to the left, and what it is painted with.

    `body` takes the colour of its body's role; `roof` is a lighter, `glass` and `dark` a darker tone; `lamp`,
    `tail`, `skin` and `block` have colours of their own. The first part is the outline.
    """

    paint: str
    points: FloatArray


def silhouette(kind: str, length: float, width: float, is_round: bool = False) -> tuple[Part, ...]:
    """Return what a body of that kind and size [m] looks like; a plain box or disc where the kind is not known."""
    draw = _KINDS.get(kind)
    if draw is None:
        return _disc(length) if is_round else _plain(length, width)
    return draw(length, width)


def _car(length: float, width: float) -> tuple[Part, ...]:
    return (
        _part("body", _rounded(length, width, 0.24 * width)),
        _quad("glass", (0.27 * length, 0.42 * width), (0.12 * length, 0.36 * width)),
        _quad("glass", (-0.28 * length, 0.35 * width), (-0.38 * length, 0.39 * width)),
        _quad("roof", (0.10 * length, 0.36 * width), (-0.26 * length, 0.35 * width)),
        *_lamps(length, width),
    )


def _van(length: float, width: float) -> tuple[Part, ...]:
    return (
        _part("body", _rounded(length, width, 0.14 * width)),
        _quad("glass", (0.40 * length, 0.43 * width), (0.29 * length, 0.39 * width)),
        _quad("roof", (0.27 * length, 0.40 * width), (-0.45 * length, 0.40 * width)),
        *_lamps(length, width),
    )


def _bus(length: float, width: float) -> tuple[Part, ...]:
    hatches = [_quad("glass", (x * length, 0.16 * width), ((x - 0.10) * length, 0.16 * width)) for x in (0.22, -0.16)]
    return (
        _part("body", _rounded(length, width, 0.12 * width)),
        _quad("glass", (0.488 * length, 0.44 * width), (0.445 * length, 0.42 * width)),
        _quad("roof", (0.42 * length, 0.40 * width), (-0.46 * length, 0.40 * width)),
        *hatches,
        *_lamps(length, width),
    )


def _truck(length: float, width: float) -> tuple[Part, ...]:
    cab = min(2.3, 0.3 * length)
    front = 0.5 * length
    return (
        _part("body", _rounded(length, width, 0.08 * width)),
        _quad("dark", (front - cab + 0.15, 0.5 * width), (front - cab - 0.25, 0.5 * width)),
        _quad("roof", (front - cab - 0.35, 0.44 * width), (0.12 - front, 0.44 * width)),
        _quad("glass", (front - 0.12, 0.44 * width), (front - 0.55, 0.42 * width)),
        *_lamps(length, width),
    )


def _cycle(length: float, width: float, *, motor: bool) -> tuple[Part, ...]:
    tyre = 0.13 * width if motor else 0.05
    frame = 0.5 * width if motor else 0.10
    bar = 0.24 * length
    outline = np.concatenate(
        [_arc(0.5 * length - tyre, 0.0, tyre, -0.5 * pi, 0.5 * pi), _arc(bar, 0.5 * width - 0.03, 0.03, 0.0, pi),
         _arc(-0.1 * length, 0.36 * width, 0.05, 0.0, pi), _arc(tyre - 0.5 * length, 0.0, tyre, 0.5 * pi, 1.5 * pi),
         _arc(-0.1 * length, -0.36 * width, 0.05, pi, 2.0 * pi), _arc(bar, 0.03 - 0.5 * width, 0.03, pi, 2.0 * pi)]
    )  # fmt: skip
    return (
        _part("body", outline),
        _quad("dark", (0.5 * length, tyre), (0.2 * length, tyre)),
        _quad("dark", (-0.2 * length, tyre), (-0.5 * length, tyre)),
        _quad("roof", (0.2 * length, 0.5 * frame), (-0.34 * length, 0.5 * frame)),
        _quad("dark", (bar, 0.5 * width), (bar - 0.07, 0.5 * width)),
        _part("body", _oval(-0.06 * length, 0.0, 0.11 * length, 0.42 * width)),
        _part("dark" if motor else "skin", _oval(-0.02 * length, 0.0, 0.13, 0.12)),
    )


def _motorcycle(length: float, width: float) -> tuple[Part, ...]:
    return _cycle(length, width, motor=True)


def _cyclist(length: float, width: float) -> tuple[Part, ...]:
    return _cycle(length, width, motor=False)


def _person(length: float, width: float) -> tuple[Part, ...]:
    """Shoulders, two feet in a step, a head whose hair is behind: so one sees which way they face."""
    feet = [
        _part("dark", _oval(side * 0.30 * length, side * 0.18 * width, 0.20 * length, 0.11 * width))
        for side in (1.0, -1.0)
    ]
    return (
        _part("body", _oval(0.0, 0.0, 0.32 * length, 0.5 * width)),
        *feet,
        _part("body", _oval(0.0, 0.0, 0.32 * length, 0.5 * width)),
        _part("skin", _oval(0.05 * length, 0.0, 0.24 * length, 0.19 * width)),
        _part("dark", _oval(-0.04 * length, 0.0, 0.18 * length, 0.17 * width)),
    )


def _animal(length: float, width: float) -> tuple[Part, ...]:
    """A trunk, a neck with a head, ears."""
    ears = [
        _part("dark", np.array([[0.30, side * 0.10], [0.36, side * 0.30], [0.38, side * 0.10]]) * (length, width))
        for side in (1.0, -1.0)
    ]
    return (
        _part("body", _oval(-0.15 * length, 0.0, 0.35 * length, 0.5 * width)),
        _part("body", _oval(0.25 * length, 0.0, 0.18 * length, 0.16 * width)),
        *ears,
        _part("body", _oval(0.40 * length, 0.0, 0.10 * length, 0.18 * width)),
        _part("roof", _oval(-0.15 * length, 0.0, 0.26 * length, 0.14 * width)),
    )


def _debris(length: float, width: float) -> tuple[Part, ...]:
    corners = [(0.5, 0.1), (0.3, 0.5), (-0.2, 0.42), (-0.5, 0.15), (-0.4, -0.45), (0.1, -0.5), (0.42, -0.32)]
    inner = [(0.2, 0.05), (0.05, 0.25), (-0.25, 0.05), (-0.1, -0.25)]
    return tuple(
        _part(paint, np.array(points) * (length, width)) for paint, points in (("body", corners), ("dark", inner))
    )


def _occluder(length: float, width: float) -> tuple[Part, ...]:
    """A parked car where it has the size of one, else a hedge or a wall."""
    if 3.0 <= length <= 6.0 and 1.4 <= width <= 2.3:
        return tuple(Part("block" if part.paint == "body" else part.paint, part.points) for part in _car(length, width))
    return (_part("block", _rounded(length, width, 0.08 * min(length, width))),)


def _agv(length: float, width: float) -> tuple[Part, ...]:
    return (
        _part("body", _rounded(length, width, 0.35 * width)),
        _part("roof", _rounded(0.62 * length, 0.62 * width, 0.1 * width)),
        _part("dark", np.array([[0.46, 0.0], [0.34, 0.16], [0.34, -0.16]]) * (length, width)),
    )


def _drone(length: float, width: float) -> tuple[Part, ...]:
    """Four rotors on a cross, the red one's place left to the role: ahead is where the bright spot is."""
    reach, rotor = 0.32 * length, 0.18 * length
    rotors = [_part("body", _oval(i * reach, j * reach, rotor, rotor)) for i in (1, -1) for j in (1, -1)]
    arms = [
        _part("dark", np.array([[reach, s * reach], [-reach, -s * reach]]).repeat(2, axis=0)
              + 0.03 * length * np.array([[1, -s], [-1, s], [-1, s], [1, -s]]))
        for s in (1.0, -1.0)
    ]  # fmt: skip
    centre = _part("body", _oval(0.0, 0.0, 0.14 * length, 0.14 * length))
    return (*rotors, *arms, centre, _part("lamp", _oval(0.1 * length, 0.0, 0.05 * length, 0.05 * length)))


def _plain(length: float, width: float) -> tuple[Part, ...]:
    """A box with a bright stroke where its front is."""
    box = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]]) * (length, width)
    return _part("body", box), _quad("lamp", (0.31 * length, 0.38 * width), (0.22 * length, 0.38 * width))


def _disc(length: float) -> tuple[Part, ...]:
    return (_part("body", _oval(0.0, 0.0, 0.5 * length, 0.5 * length, 24)),)


_KINDS: dict[str, Callable[[float, float], tuple[Part, ...]]] = {
    "car": _car, "van": _van, "bus": _bus, "truck": _truck, "motorcycle": _motorcycle, "cyclist": _cyclist,
    "pedestrian": _person, "child": _person, "person": _person, "animal": _animal,
    "debris": _debris, "occluder": _occluder,
    "agv": _agv, "drone": _drone,
}  # fmt: skip
# Drawn large enough to see, and on top of all others.
SMALL = frozenset({"pedestrian", "child", "person", "animal", "cyclist", "motorcycle", "debris"})
VEHICLES = frozenset({"car", "truck", "van", "bus"})
BRAKING = 0.7  # deceleration above which brake lamps are drawn lit, UN R13-H for electric braking; unverified [m/s2]


# -- outlines ----------------------------------------------------------------------------------------------------


def _lamps(length: float, width: float) -> list[Part]:
    """Return head lamps and tail lamps, at the corners."""
    found = []
    for paint, end in (("lamp", 0.5), ("tail", -0.5)):
        deep = min(0.028 * length, 0.2)
        x = end * length - np.sign(end) * deep
        for side in (0.34, -0.34):
            y = side * width
            corners = [(x + deep, y + 0.09 * width), (x - deep, y + 0.09 * width), (x - deep, y - 0.09 * width)]
            found.append(_part(paint, np.array([*corners, (x + deep, y - 0.09 * width)]) * (0.985, 1.0)))
    return found


def _part(paint: str, points: FloatArray) -> Part:
    return Part(paint, np.asarray(points, np.float64))


def _quad(paint: str, ahead: tuple[float, float], behind: tuple[float, float]) -> Part:
    """Return a trapezoid across the axis: (x, half its width) at its front and at its back."""
    (x0, w0), (x1, w1) = ahead, behind
    return _part(paint, np.array([[x0, w0], [x1, w1], [x1, -w1], [x0, -w0]]))


def _rounded(length: float, width: float, radius: float) -> FloatArray:
    x, y = 0.5 * length - radius, 0.5 * width - radius
    corners = [(x, y, 0.0), (-x, y, 0.5 * pi), (-x, -y, pi), (x, -y, 1.5 * pi)]
    return np.concatenate([_arc(cx, cy, radius, turn, turn + 0.5 * pi) for cx, cy, turn in corners])


def _arc(x: float, y: float, radius: float, start: float, end: float) -> FloatArray:
    turns = np.linspace(start, end, _CORNER).tolist()
    return np.array([[x + radius * cos(turn), y + radius * sin(turn)] for turn in turns])


def _oval(x: float, y: float, along: float, across: float, points: int = 16) -> FloatArray:
    turns = np.linspace(0.0, 2.0 * pi, points, endpoint=False).tolist()
    return np.array([[x + along * cos(turn), y + across * sin(turn)] for turn in turns])
