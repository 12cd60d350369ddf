"""The intelligent driver model: follows the vehicle ahead in its lane at a time gap, smoothly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from mischance.units import Acceleration, Length, Speed, Time

from ._driver import Driver, DriverSettings

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray

    from ._traffic import Traffic


class Settings(DriverSettings, frozen=True):
    """Parameters of the model; the defaults are those of its first publication."""

    speed: Speed | None = Field(None, gt=0, description="desired speed; the speed at the start where not given [m/s]")
    headway: Time = Field(1.6, ge=0, description="desired time gap T [s]")
    acceleration: Acceleration = Field(0.73, gt=0, description="largest acceleration a [m/s2]")
    comfort: Acceleration = Field(1.67, gt=0, description="comfortable deceleration b [m/s2]")
    gap: Length = Field(2.0, gt=0, description="gap at standstill s0 [m]")
    braking: Acceleration = Field(8.0, gt=0, description="deceleration that it does not ask more than [m/s2]")
    margin: Length = Field(0.3, ge=0, description="room on either side that belongs to its path [m]")


class Idm(Driver):
    """Follows by the intelligent driver model and keeps its lane. It reacts to actors in its path only.

    Source:
        Treiber, Hennecke, Helbing, Congested traffic states in empirical observations and microscopic simulations,
        Phys. Rev. E 62 (2000): delta 4, T 1.6 s, a 0.73 m/s2, b 1.67 m/s2, s0 2 m.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.settings = settings

    def _accelerate(self, traffic: Traffic, t: float) -> FloatArray:
        s = self.settings
        lead = traffic.nearest(traffic.there & (traffic.side <= s.margin))
        gap = np.maximum(traffic.value(traffic.gap, lead, np.inf), 0.01)
        closing = traffic.value(traffic.closing, lead, 0.0)
        desired = self._cruise if s.speed is None else np.full(len(gap), s.speed)
        share = np.where(desired > 0.0, traffic.speed / np.where(desired > 0.0, desired, 1.0), 1.0)
        brake = traffic.speed * closing / (2.0 * (s.acceleration * s.comfort) ** 0.5)
        wanted = s.gap + np.maximum(s.headway * traffic.speed + brake, 0.0)
        free = 1.0 - np.square(np.square(share))
        known = np.where(traffic.known, s.acceleration * (free - np.square(wanted / gap)), 0.0)
        return np.maximum(known, -s.braking)
