"""Responsibility-sensitive safety: brakes when the longitudinal and the lateral safe distance are both violated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from mischance.driving.criticality import BRAKING_JERK, FULL_BRAKING, rss_lateral_distance, rss_longitudinal_distance
from mischance.units import Acceleration, Jerk, Length, Time

from ._driver import Brakes, Driver, DriverSettings, Reaction
from ._traffic import some

if TYPE_CHECKING:
    from mischance.api.tables import BoolArray, FloatArray

    from ._traffic import Traffic


class Settings(DriverSettings, frozen=True):
    """Parameters of the rule; the defaults are those of published comparisons."""

    response: Time = Field(0.75, ge=0, description="response time rho [s]")
    acceleration: Acceleration = Field(3.0, ge=0, description="largest acceleration during the response time [m/s2]")
    braking: Acceleration = Field(6.0, gt=0, description="braking that the ego promises at least [m/s2]")
    lead_braking: Acceleration = Field(6.0, gt=0, description="braking of the one ahead at most [m/s2]")
    lateral_acceleration: Acceleration = Field(1.0, ge=0, description="largest lateral acceleration [m/s2]")
    lateral_braking: Acceleration = Field(1.0, gt=0, description="lateral braking at least [m/s2]")
    fluctuation: Length = Field(0.3, ge=0, description="lateral distance that stays free [m]")
    deceleration: Acceleration = Field(FULL_BRAKING, gt=0, description="deceleration of the response, 0.774 g [m/s2]")
    jerk: Jerk = Field(BRAKING_JERK, gt=0, description="its build-up [m/s3]")


class Rss(Driver):
    """Keeps speed and lane, and gives the proper response as long as a situation is dangerous.

    Dangerous: both distances to an actor ahead are too short. After the response time it brakes until one of the two
    is kept again. The response is longitudinal only. Oncoming traffic counts with its own stopping distance.

    Source:
        Shalev-Shwartz, Shammah, Shashua, On a formal model of safe and scalable self-driving cars, arXiv 1708.06374.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.settings = settings

    def _begin(self, runs: int) -> None:
        self._brakes = Brakes(runs, self.tick)
        self._reaction = Reaction(runs, self.tick)

    def _accelerate(self, traffic: Traffic, t: float) -> FloatArray:
        s = self.settings
        danger = some(self.dangerous(traffic)) & (traffic.speed > 0.0)
        begin = self._reaction.feel(danger, ~danger, t, s.response)
        active = self._reaction.active
        wanted = np.where(active, s.deceleration, 0.0)
        return self.brake(traffic, self._brakes.press(traffic, wanted, begin, t, s.jerk), active)

    def dangerous(self, traffic: Traffic) -> BoolArray:
        """Return the actors to which both distances are violated; (runs, n)."""
        s = self.settings
        speed = np.broadcast_to(traffic.speed[:, None], traffic.gap.shape)
        own = rss_longitudinal_distance(
            speed, np.maximum(traffic.along, 0.0), response_time=s.response, max_acceleration=s.acceleration,
            min_braking=s.braking, max_lead_braking=s.lead_braking,
        )  # fmt: skip
        theirs = rss_longitudinal_distance(
            np.maximum(-traffic.along, 0.0), 0.0, response_time=s.response, max_acceleration=s.acceleration,
            min_braking=s.braking,
        )  # fmt: skip
        safe = own + np.where(traffic.along < 0.0, theirs, 0.0)
        # The lateral closing speed is attributed to the other actor; the ego keeps its lane.
        aside = rss_lateral_distance(
            0.0, -traffic.inward, response_time=s.response, max_acceleration=s.lateral_acceleration,
            min_braking=s.lateral_braking, fluctuation=s.fluctuation,
        )  # fmt: skip
        return np.asarray(traffic.there & (traffic.gap < safe) & (np.maximum(traffic.side, 0.0) < aside))
