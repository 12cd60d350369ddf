"""Automatic emergency braking in stages: warning, partial braking, full braking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from mischance.driving.criticality import required_deceleration
from mischance.units import Acceleration, Jerk, Length, Time

from ._driver import Brakes, Driver, DriverSettings, Reaction

if TYPE_CHECKING:
    from mischance.api.tables import BoolArray, FloatArray

    from ._traffic import Traffic


class Settings(DriverSettings, frozen=True):
    """Stages of the system. The defaults are of the order of magnitude of published systems (not verified)."""

    range: Length = Field(150.0, gt=0, description="how far ahead it sees, bumper to bumper [m]")
    latency: Time = Field(0.2, ge=0, description="how long a danger lasts before a stage acts [s]")
    warning_ttc: Time = Field(2.6, ge=0, description="time to collision below which the driver is warned [s]")
    reaction: Time = Field(1.2, ge=0, description="time from the warning to the driver's foot on the brake [s]")
    driver: Acceleration = Field(0.0, ge=0, description="deceleration of the warned driver; 0 = does not react [m/s2]")
    partial_ttc: Time = Field(1.6, ge=0, description="time to collision below which it brakes partially [s]")
    partial: Acceleration = Field(4.0, gt=0, description="deceleration of partial braking [m/s2]")
    full_ttc: Time = Field(1.0, ge=0, description="time to collision below which it brakes fully [s]")
    required: Acceleration = Field(
        5.0, gt=0, description="deceleration needed for somebody in the path from which it brakes fully too [m/s2]"
    )
    full: Acceleration = Field(9.0, gt=0, description="deceleration of full braking [m/s2]")
    jerk: Jerk = Field(25.0, gt=0, description="build-up of its braking [m/s3]")
    margin: Length = Field(0.1, ge=0, description="room on either side that belongs to its path [m]")


class Aeb(Driver):
    """Keeps speed and lane without reacting, and brakes when two outlines are about to meet.

    Time to collision is that of the outlines at constant velocity: crossing people and vehicles count once they are
    on a collision course. Braking ends when no object in the path approaches any more.

    Source:
        The stages are those of UN Regulation No. 152 (warning, emergency braking); the thresholds are ours.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.settings = settings

    def _begin(self, runs: int) -> None:
        self._brakes = Brakes(runs, self.tick)
        self._stages = [Reaction(runs, self.tick) for _ in range(3)]

    def _accelerate(self, traffic: Traffic, t: float) -> FloatArray:
        s = self.settings
        seen = traffic.there & (traffic.gap <= s.range)
        ttc = np.where(seen, traffic.time_to_meet(s.margin), np.inf).min(axis=1)
        faced = seen & (traffic.side <= s.margin) & (traffic.closing > 0.0)
        speed = np.where(faced, traffic.speed[:, None], 0.0)
        needed = required_deceleration(np.maximum(traffic.gap, 0.0), speed, traffic.along, traffic.braking)
        needed = np.where(faced, needed, 0.0).max(axis=1)
        over = ~np.isfinite(ttc)
        moving = traffic.speed > 0.0
        dangers: tuple[BoolArray, ...] = (
            moving & (ttc < s.warning_ttc),
            moving & (ttc < s.partial_ttc),
            moving & ((ttc < s.full_ttc) | (needed >= s.required)),
        )
        delays = (s.latency + s.reaction, s.latency, s.latency)
        wanted, begin = np.zeros(len(ttc)), np.full(len(ttc), np.inf)
        for stage, danger, delay, level in zip(
            self._stages, dangers, delays, (s.driver, s.partial, s.full), strict=True
        ):
            from_then = stage.feel(danger, over, t, delay)
            stronger = stage.active & (level > wanted)
            wanted, begin = np.where(stronger, level, wanted), np.where(stronger, from_then, begin)
        pressed = wanted > 0.0
        return self.brake(traffic, self._brakes.press(traffic, wanted, begin, t, s.jerk), pressed)
