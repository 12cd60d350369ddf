"""The fuzzy safety model of UN Regulation No. 157, 01 series (model 2): deceleration in proportion to risk."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mischance.driving.criticality import (
    BRAKING_JERK,
    FULL_BRAKING,
    critical_fuzzy_safety,
    fsm_deceleration,
    fsm_lateral_check,
    proactive_fuzzy_safety,
)
from mischance.units import Acceleration, Jerk, Length, Time

from ._driver import Brakes, Driver, DriverSettings, Reaction

if TYPE_CHECKING:
    from mischance.api.tables import BoolArray, FloatArray

    from ._traffic import Traffic


class Settings(DriverSettings, frozen=True):
    """Parameters of the model; the defaults are those of published comparisons."""

    delay: Time = Field(0.75, ge=0, description="reaction time tau [s]")
    comfort: Acceleration = Field(4.0, gt=0, description="comfortable deceleration [m/s2]")
    braking: Acceleration = Field(6.0, gt=0, description="largest deceleration that it plans with [m/s2]")
    lead_braking: Acceleration = Field(7.0, gt=0, description="largest deceleration of the one ahead [m/s2]")
    margin: Length = Field(2.0, ge=0, description="gap that is left at the end, d1 [m]")
    time_margin: Time = Field(0.1, ge=0, description="margin of the lateral check [s]")
    deceleration: Acceleration = Field(FULL_BRAKING, gt=0, description="cap of its deceleration, 0.774 g [m/s2]")
    jerk: Jerk = Field(BRAKING_JERK, gt=0, description="build-up of its deceleration [m/s3]")
    delayed: Literal["reaction", "signal"] = Field(
        "reaction",
        description="what tau delays: the first reaction to a risk that lasts, or every change of the deceleration",
    )


class FuzzySafety(Driver):
    """Keeps speed and lane, and brakes by the proactive and the critical fuzzy surrogate safety metrics (PFS, CFS).

    Actors count whose sides overlap the ego's across the road, and actors that approach laterally and would be there
    before the ego has passed. The largest demanded deceleration is applied.

    Source:
        Mattas, Albano, Donà, Galassi, Suarez-Bertoa, Vass, Ciuffo, Fuzzy models for the safety assessment of
        automated vehicles, Accid. Anal. Prev. 148 (2020) 105794; UN Regulation No. 157, 01 series, performance model 2.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.settings = settings

    def _begin(self, runs: int) -> None:
        self._brakes = Brakes(runs, self.tick)
        self._reaction = Reaction(runs, self.tick)
        turns = ceil(self.settings.delay / self.tick - 1e-9)
        self._past = [np.zeros(runs) for _ in range(turns + 1)]  # demands of the last steps, oldest first

    def _accelerate(self, traffic: Traffic, t: float) -> FloatArray:
        s = self.settings
        asked = self.deceleration(traffic)
        if s.delayed == "signal":
            self._past = [*self._past[1:], asked]
            wanted, begin = self._past[0], np.full(len(asked), t)
        else:
            risk = asked > 0.0
            begin = self._reaction.feel(risk, ~risk, t, s.delay)
            wanted = np.where(self._reaction.active, asked, 0.0)
        return self.brake(traffic, self._brakes.press(traffic, wanted, begin, t, s.jerk), wanted > 0.0)

    def deceleration(self, traffic: Traffic) -> FloatArray:
        """Return the deceleration that the model demands now, before reaction time and build-up [m/s2]; (runs,)."""
        s = self.settings
        risk = traffic.in_path | self._coming_over(traffic)
        speed, now = (np.broadcast_to(v[:, None], risk.shape) for v in (traffic.speed, traffic.acceleration))
        lead = np.maximum(traffic.along, 0.0)
        cfs = critical_fuzzy_safety(
            traffic.gap, speed, lead, now, delay=s.delay, comfort_braking=s.comfort, max_braking=s.braking
        )
        pfs = proactive_fuzzy_safety(
            traffic.gap, speed, lead, delay=s.delay, comfort_braking=s.comfort, max_braking=s.braking,
            max_lead_braking=s.lead_braking, margin=s.margin,
        )  # fmt: skip
        each = fsm_deceleration(cfs, pfs, comfort_braking=s.comfort, max_braking=s.braking)
        most = np.where(risk & (speed > 0.0), each, 0.0).max(axis=1)
        return np.asarray(np.minimum(most, s.deceleration), np.float64)

    def _coming_over(self, traffic: Traffic) -> BoolArray:
        speed = np.broadcast_to(traffic.speed[:, None], traffic.gap.shape)
        lengths = traffic.length[:, None] + traffic.lengths
        risk = fsm_lateral_check(
            traffic.side, traffic.inward, traffic.gap, speed, traffic.along, lengths, margin=self.settings.time_margin
        )
        return np.asarray(traffic.there & risk)
