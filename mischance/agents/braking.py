"""A driver who keeps lane and distance, and brakes hard when a collision is imminent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from mischance.units import Acceleration, Length, Time

from ._driver import Driver, DriverSettings

if TYPE_CHECKING:
    from mischance.api.tables import BoolArray, FloatArray

    from ._traffic import Traffic


class Settings(DriverSettings, frozen=True):
    """Settings of the braking driver."""

    ttc: Time = Field(2.0, gt=0, description="time to collision below which it brakes hard [s]")
    required: Acceleration = Field(3.0, gt=0, description="deceleration needed (DRAC) above which it does too [m/s2]")
    deceleration: Acceleration = Field(8.0, gt=0, description="deceleration that it then asks for [m/s2]")
    reaction: Time = Field(0.3, ge=0, description="how long the danger lasts before it brakes [s]")
    headway: Time = Field(1.5, ge=0, description="time gap that it follows at [s]")
    margin: Length = Field(0.3, ge=0, description="room on either side that belongs to its path [m]")


class Braking(Driver):
    """Lane keeping, distance keeping up to 3 m/s2, and emergency braking after a reaction time.

    Another vehicle counts once it is in the ego's path or will enter it before the two meet.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.settings = settings

    def _begin(self, runs: int) -> None:
        self._since = np.full(runs, np.inf)  # time at which the danger was first seen
        self._braking = np.zeros(runs, np.bool_)

    def _accelerate(self, traffic: Traffic, t: float) -> FloatArray:
        s = self.settings
        lead = traffic.nearest(self._in_the_way(traffic))
        somebody = lead.any(axis=1)
        gap, closing = traffic.value(traffic.gap, lead, np.inf), traffic.value(traffic.closing, lead, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            soon = (closing > 0.0) & (gap / closing < s.ttc)
        hard = (closing > 0.0) & (np.square(closing) > 2.0 * s.required * np.maximum(gap, 0.1))
        danger = somebody & (soon | hard)
        self._since = np.where(danger, np.minimum(self._since, t), np.inf)
        over = ~somebody | (closing < -0.5)
        acting = danger & (t - self._since >= s.reaction)
        self._braking = acting | (self._braking & ~over)
        cruise = self.hold_speed(traffic)
        distance = np.where(somebody, gap, 0.0) - np.maximum(2.0, s.headway * traffic.speed)
        follow = np.maximum(0.3 * distance - 0.8 * closing, -3.0)
        keeps = np.where(somebody, np.minimum(cruise, follow), cruise)
        return np.where(self._braking, -s.deceleration, keeps)

    def _in_the_way(self, traffic: Traffic) -> BoolArray:
        """Return the actors that are in the path or will enter it before a meeting; (runs, n)."""
        room = traffic.side - self.settings.margin
        with np.errstate(divide="ignore", invalid="ignore"):
            meet = np.where(traffic.closing > 0.0, np.maximum(traffic.gap, 0.0) / traffic.closing, np.inf)
            entering = (traffic.inward > 0.3) & (room / traffic.inward < np.minimum(np.maximum(meet, 0.5), 1.5))
        return np.asarray(traffic.there & ((room <= 0.0) | entering))
