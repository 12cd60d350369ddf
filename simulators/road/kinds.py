"""Kinds of actors: default sizes, masses and limits.

Sizes and masses are round figures of common vehicles and people, [unverified] unless a source is named.
"""

from __future__ import annotations

from typing import NamedTuple


class Kind(NamedTuple):
    """Defaults of one kind of actor; SI units.

    `way` is the motion model: 'wheels' (four wheels: kinematic or dynamic single-track), 'cycle' (kinematic
    single-track), 'rails' (follows its path exactly), 'fixed' (never moves, not even by an impact).
    """

    length: float
    width: float
    height: float
    wheelbase: float
    mass: float
    brakes: float
    drive: float
    jerk: float
    steer: float
    gravity_centre: float
    way: str


KINDS: dict[str, Kind] = {
    # length, width, height, wheelbase, mass, brakes, drive, jerk (0 = at once), largest steer, height of mass, way
    "car": Kind(4.5, 1.8, 1.5, 2.7, 1500.0, 10.0, 4.0, 12.65, 0.6, 0.55, "wheels"),
    "van": Kind(5.9, 2.0, 2.6, 3.7, 2800.0, 9.0, 3.0, 12.65, 0.6, 0.9, "wheels"),
    "truck": Kind(10.0, 2.5, 3.5, 5.8, 12000.0, 10.0, 2.0, 12.65, 0.6, 1.4, "wheels"),
    "bus": Kind(12.0, 2.55, 3.2, 6.0, 14000.0, 8.0, 1.5, 12.65, 0.7, 1.2, "wheels"),
    "motorcycle": Kind(2.2, 0.8, 1.5, 1.4, 280.0, 9.0, 5.0, 12.65, 0.5, 0.6, "cycle"),
    "cyclist": Kind(1.8, 0.6, 1.75, 1.1, 90.0, 5.0, 1.5, 0.0, 0.6, 1.0, "cycle"),
    "pedestrian": Kind(0.5, 0.6, 1.75, 0.3, 78.0, 4.0, 3.0, 0.0, 0.0, 1.0, "rails"),
    "child": Kind(0.35, 0.4, 1.15, 0.2, 22.0, 4.0, 3.0, 0.0, 0.0, 0.65, "rails"),
    "animal": Kind(1.5, 0.5, 1.2, 0.8, 80.0, 7.0, 6.0, 0.0, 0.0, 0.8, "rails"),
    "debris": Kind(0.8, 0.6, 0.5, 0.4, 25.0, 6.0, 6.0, 0.0, 0.0, 0.25, "rails"),
    "occluder": Kind(4.5, 1.8, 1.5, 2.7, 1500.0, 10.0, 1.0, 0.0, 0.0, 0.55, "fixed"),
}
