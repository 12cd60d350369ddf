"""What drivers of a car on the world `road` share: reading the table `actors`, keeping a lane, commanding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import atan, inf, sin
from typing import TYPE_CHECKING

import numpy as np

from mischance.errors import RunError
from mischance.truth import Column, Commands, Table

if TYPE_CHECKING:
    from mischance.truth import BoolArray, Reading, Schema

COMMANDS: Schema = {"actor": Column("text"), "acceleration": Column(unit="m/s2"), "steer": Column(unit="rad")}
WHEELBASE = 2.7  # [m]
STIFFNESS, DAMPING = 1.0, 2.0  # [1/s2], [1/s]: critically damped at 1 rad/s, slow enough for 20 looks a second


@dataclass(frozen=True, slots=True)
class Car:
    """One vehicle as the table `actors` shows it, SI units."""

    x: float
    y: float
    yaw: float
    speed: float
    length: float
    width: float


def cars(readings: Mapping[str, Reading], run: int) -> dict[str, Car]:
    """Return the last row of every actor of one run; empty where nothing new was seen.

    Raises:
        RunError: the world has no table `actors`.
    """
    truth = readings.get("truth")
    if truth is None or "actors" not in truth.tables:
        raise RunError("this agent drives a car and needs the table 'actors'", "use it with a world such as 'road'")
    table = truth.tables["actors"]
    rows = table.run(run)
    names = table.schema["actor"].names
    fields = ("x", "y", "yaw", "speed", "length", "width")
    return {names[int(code)]: Car(*(float(rows[field][i]) for field in fields)) for i, code in enumerate(rows["actor"])}


def keep_lane(ego: Car, y: float) -> float:
    """Return the steering angle [rad] that brings the rear axle to `y` [m] across the road."""
    rear = ego.y - 0.5 * WHEELBASE * sin(ego.yaw)
    lateral = STIFFNESS * (y - rear) - DAMPING * ego.speed * sin(ego.yaw)
    speed = max(ego.speed, 5.0)  # below that the law would ask for any angle at all
    return min(max(atan(WHEELBASE * lateral / (speed * speed)), -0.3), 0.3)


def hold_speed(ego: Car, speed: float) -> float:
    """Return the acceleration [m/s2] that brings the car gently to a speed."""
    return min(max(0.5 * (speed - ego.speed), -2.0), 2.0)


def commands(wanted: Sequence[tuple[float, float] | None], live: BoolArray, actor: str = "ego") -> Commands:
    """Return commands (acceleration, steer), one or none a run."""
    rows = [
        {"actor": [actor], "acceleration": [one[0]], "steer": [one[1]]} if one is not None else {} for one in wanted
    ]
    return Commands(Table.of(COMMANDS, rows), np.asarray(live, np.bool_))


def time_to(gap: float, closing: float) -> float:
    """Return gap / closing speed [s]; inf when it opens."""
    return gap / closing if closing > 0.0 else inf
