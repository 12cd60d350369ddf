"""The performance model of UN Regulation No. 157, paragraph 5.2.5.2: full braking below a TTC at lane intrusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mischance.driving.criticality import r157_cut_in_avoidable_ttc
from mischance.units import Acceleration, Jerk, Length, Time

from ._driver import Brakes, Driver, DriverSettings, Reaction
from ._traffic import Notes, some

if TYPE_CHECKING:
    from mischance.api.tables import BoolArray, FloatArray

    from ._traffic import Traffic


class Settings(DriverSettings, frozen=True):
    """Parameters of the paragraph, and their interpretation."""

    deceleration: Acceleration = Field(6.0, gt=0, description="deceleration [m/s2]")
    formula_delay: Time = Field(
        0.35, ge=0, description="the delay inside the formula v / (2 x deceleration) + delay [s]"
    )
    delay: Time = Field(
        0.0, ge=0, description="a further delay from that moment to braking; the formula's own is room, not waiting [s]"
    )
    jerk: Jerk | None = Field(None, gt=0, description="build-up of braking; at once where not given [m/s3]")
    intrusion: Literal["marking", "gap"] = Field(
        "marking", description="what intrusion is: a side over the lane marking, or a short gap between the flanks"
    )
    over_marking: Length = Field(0.3, description="how far it is over the marking [m]")
    lateral_gap: Length = Field(0.5, ge=0, description="the short gap between the flanks [m]")
    visible: Time = Field(
        0.0, ge=0, description="how long somebody has come over before the intrusion counts; 0.72 is published [s]"
    )


class R157Performance(Driver):
    """Keeps speed and lane, and brakes once an intruder's TTC falls below v_rel / (2 x 6 m/s2) + 0.35 s.

    Its braking is a step of 6 m/s2. Braking ends when the gap to the intruder no longer closes; the remaining speed
    is kept.

    Source:
        UN Regulation No. 157, paragraph 5.2.5.2. The side over the marking stands for the tyre's outer edge.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.settings = settings

    def _begin(self, runs: int) -> None:
        self._brakes = Brakes(runs, self.tick)
        self._reaction = Reaction(runs, self.tick)
        self._coming, self._faced = Notes(np.inf), Notes(0.0)

    def _accelerate(self, traffic: Traffic, t: float) -> FloatArray:
        s, key = self.settings, traffic.key
        inside = traffic.there & (self._intruded(traffic) | (traffic.side <= 0.0))
        inside &= self._seen_coming(traffic, inside, t)
        limit = r157_cut_in_avoidable_ttc(traffic.closing, deceleration=s.deceleration, delay=s.formula_delay)
        danger = inside & (traffic.closing > 0.0) & (traffic.time_to_collision() < limit)
        faced = danger | ((self._faced.recall(key) > 0.0) & inside & (traffic.closing > 0.0))
        self._faced.keep(key, faced.astype(np.float64))
        begin = self._reaction.feel(some(danger), ~some(faced), t, s.delay)
        active = self._reaction.active
        wanted = np.where(active, s.deceleration, 0.0)
        jerk = np.inf if s.jerk is None else s.jerk
        return self.brake(traffic, self._brakes.press(traffic, wanted, begin, t, jerk), active)

    def _intruded(self, traffic: Traffic) -> BoolArray:
        if self.settings.intrusion == "gap":
            return np.asarray(traffic.side < self.settings.lateral_gap)
        inner = traffic.aside - 0.5 * traffic.widths
        return np.asarray(inner <= 0.5 * traffic.lane_width[:, None] - self.settings.over_marking)

    def _seen_coming(self, traffic: Traffic, inside: BoolArray, t: float) -> BoolArray:
        """Return the actors that have entered for long enough, or were in the lane from the start; (runs, n)."""
        if self.settings.visible <= 0.0:
            return np.ones(inside.shape, np.bool_)
        known = self._coming.recall(traffic.key)
        coming = (traffic.inward > 0.05) | inside
        first = np.isinf(known) & inside  # no time has passed in which it was elsewhere
        since = np.where(coming, np.minimum(known, np.where(first, -np.inf, t)), np.inf)
        self._coming.keep(traffic.key, since)
        return np.asarray(t - since >= self.settings.visible - 1e-9)
