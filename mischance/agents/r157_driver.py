"""The competent and careful driver of UN Regulation No. 157 (model 1): perceives, assesses risk, brakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from mischance.driving.criticality import BRAKING_JERK, FULL_BRAKING, GRAVITY
from mischance.units import Acceleration, Jerk, Length, Ratio, Speed, Time

from ._driver import Brakes, Driver, DriverSettings, Reaction
from ._traffic import Notes, some

if TYPE_CHECKING:
    from mischance.api.tables import BoolArray, FloatArray

    from ._traffic import Traffic


class Settings(DriverSettings, frozen=True):
    """Parameters of the regulation, and the points in which published implementations differ."""

    deviation: Length = Field(
        0.375, ge=0, description="distance from the middle of its lane from which another one's risk is perceived [m]"
    )
    evaluation: Literal["time", "distance", "none"] = Field(
        "time", description="what risk evaluation takes: a time, a sideways distance of the other one, or nothing"
    )
    evaluation_time: Time = Field(0.4, ge=0, description="risk evaluation as a time [s]")
    evaluation_distance: Length = Field(0.72, ge=0, description="risk evaluation as a distance, 1.8 m/s x 0.4 s [m]")
    horizon: Time = Field(
        4.0,
        ge=0,
        description="time to meeting below which somebody in plain view is perceived who crosses the road, however far"
        " aside, or who stands or is slow ahead; the regulation leaves it open, unverified [s]",
    )
    margin: Length = Field(0.3, ge=0, description="room on either side that belongs to its path, for who crosses [m]")
    evaluate_people: bool = Field(default=True, description="whether risk evaluation also comes before people on foot")
    delay: Time = Field(0.75, ge=0, description="time from the end of risk evaluation to the beginning of braking [s]")
    coast: Acceleration = Field(
        0.0, ge=0, description="deceleration while the foot changes pedals; some use 0.4, unverified [m/s2]"
    )
    deceleration: Acceleration = Field(FULL_BRAKING, gt=0, description="full deceleration, 0.774 g [m/s2]")
    jerk: Jerk = Field(BRAKING_JERK, gt=0, description="build-up: 0.6 s to full deceleration [m/s3]")
    ttc: Time = Field(2.0, gt=0, description="time to collision below which a risk is a danger; unverified [s]")
    headway: Time = Field(2.0, ge=0, description="time gap below which somebody ahead in the lane is a risk [s]")
    headway_trigger: bool = Field(
        default=False, description="whether that time gap makes a slower one ahead a danger as well"
    )
    lead_braking: Acceleration = Field(
        5.0, gt=0, description="braking of the vehicle ahead above which it is a danger; unverified [m/s2]"
    )
    revealed_ttc: Time | None = Field(
        None, gt=0, description="TTC below which somebody revealed by a cut-out is a danger; any where not given [s]"
    )
    emergency: Literal["overlap", "ttc", "none"] = Field(
        "overlap", description="what raises braking that has begun: full overlap of a cut-in, a short TTC, or nothing"
    )
    emergency_deceleration: Acceleration = Field(
        0.85 * GRAVITY, gt=0, description="what it is raised to, 0.85 g [m/s2]"
    )
    emergency_ttc: Time = Field(1.5, gt=0, description="the short time to collision [s]")
    emergency_build_up: Time = Field(0.6, gt=0, description="time from nothing to that deceleration [s]")
    overlap: Ratio = Field(0.95, gt=0, le=1, description="share of the narrower one's width that is full overlap")
    moving: Speed = Field(0.05, ge=0, description="speed sideways from which another one is coming over [m/s]")


class R157Driver(Driver):
    """Keeps speed and lane, and brakes as the regulation's competent and careful human driver does.

    Four cases. Cut-in: an entering vehicle is perceived once it is `deviation` off the centre of its lane, assessed,
    and a danger if TTC < 2 s. Deceleration: a vehicle ahead is perceived below 2 s time gap, or below `horizon` while
    the gap closes, and a danger if it brakes above 5 m/s2 or TTC < 2 s. Cut-out: a vehicle hidden behind the one
    ahead is perceived when the latter is `deviation` off the lane's centre. Crossing: an actor that crosses the road
    is perceived as soon as it is on a collision course within `horizon`, and a danger if TTC < 2 s, until it has left
    the path. Then follow `delay` and a ramp to full deceleration, held until the gap no longer closes; the remaining
    speed is kept. The driver does not evade by steering.

    Lane widths are the world's, counted from the centre line that the ego keeps.

    Source:
        UN Regulation No. 157, Annex on traffic critical scenarios (competent and careful driver performance model);
        numbers marked unverified come from published implementations.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.settings = settings

    def _begin(self, runs: int) -> None:
        self._brakes = Brakes(runs, self.tick)
        self._reaction = Reaction(runs, self.tick)
        self._noticed, self._noticed_aside = Notes(np.inf), Notes(np.nan)
        self._came_in, self._crossed, self._hidden, self._faced = (Notes(0.0) for _ in range(4))

    def _accelerate(self, traffic: Traffic, t: float) -> FloatArray:
        s, key, ttc = self.settings, traffic.key, traffic.time_to_collision()
        crossing = self._crossing(traffic)
        entering = self._entering(traffic) | crossing
        # while the ego changes lanes itself, actors that overlap its target lane are in its way
        heading_for = traffic.there & (traffic.aside < 0.5 * (traffic.width[:, None] + traffic.widths))
        lane = traffic.in_path | heading_for
        hidden, lead = self._behind_the_lead(traffic, lane)
        revealed = (self._hidden.recall(key) > 0.0) & ~hidden & lane
        self._hidden.keep(key, np.maximum(self._hidden.recall(key), hidden))
        came = np.maximum(self._came_in.recall(key), entering & ~crossing & ~lane)
        self._came_in.keep(key, came)

        with np.errstate(divide="ignore", invalid="ignore"):
            headway = np.maximum(traffic.gap, 0.0) / traffic.speed[:, None]
        hard = lead & (traffic.along > 0.0) & (traffic.braking < -s.lead_braking) & (headway < s.headway)
        close = lead & ((headway < s.headway) | (ttc < s.horizon))
        crossed = np.maximum(self._crossed.recall(key), crossing)
        self._crossed.keep(key, crossed)
        inside = lane & ((came > 0.0) | (crossed > 0.0)) & ~hidden
        evaluated = self._evaluate(traffic, entering | close | revealed | inside, t)
        danger = evaluated & ((ttc < s.ttc) | hard | (revealed & (ttc < (s.revealed_ttc or np.inf))))
        if s.headway_trigger:
            danger |= evaluated & close & (traffic.closing > 0.0)
        nearing = traffic.there & traffic.crossing & (traffic.side > 0.0) & (traffic.toward > s.moving)
        still = (self._faced.recall(key) > 0.0) & (traffic.closing > 0.0) & (lane | entering | nearing)
        faced = danger | still
        self._faced.keep(key, faced.astype(np.float64))

        begin = self._reaction.feel(some(danger), ~some(faced), t, s.delay)
        active = self._reaction.active
        more = active & (self._brakes.built > 0.0)
        if more.any():
            more &= self._emergency(traffic, faced, came, ttc)
        wanted = np.where(active, np.where(more, max(s.emergency_deceleration, s.deceleration), s.deceleration), 0.0)
        jerk = np.where(more, max(s.emergency_deceleration / s.emergency_build_up, s.jerk), s.jerk)
        braking = self._brakes.press(traffic, wanted, begin, t, jerk)
        lifting = ~active & np.isfinite(self._reaction.since)
        return self.brake(traffic, np.where(lifting, np.maximum(braking, s.coast), braking), active)

    def _entering(self, traffic: Traffic) -> BoolArray:
        """Return the actors that enter from the next lane and have left its centre; (runs, n)."""
        left = traffic.aside < traffic.lane_width[:, None] - self.settings.deviation
        coming = (traffic.toward > self.settings.moving) & (traffic.side > 0.0)
        return np.asarray(traffic.there & left & coming)

    def _crossing(self, traffic: Traffic) -> BoolArray:
        """Return the actors that cross the road and are on a collision course at constant velocity; (runs, n)."""
        comes = np.asarray(traffic.there & traffic.crossing & (traffic.side > 0.0) & (traffic.toward > 0.0))
        if not comes.any():
            return comes
        return np.asarray(comes & (traffic.time_to_meet(self.settings.margin, on_path=True) < self.settings.horizon))

    def _behind_the_lead(self, traffic: Traffic, lane: BoolArray) -> tuple[BoolArray, BoolArray]:
        """Return the hidden actors in the lane, and the vehicle ahead that hides them; (runs, n)."""
        lead = traffic.nearest(lane & (traffic.gap > 0.0))
        hides = lead & (traffic.aside < self.settings.deviation)
        edge = traffic.value(traffic.gap, hides, np.inf)
        return np.asarray(lane & (traffic.gap > edge[:, None])), lead

    def _evaluate(self, traffic: Traffic, perceived: BoolArray, t: float) -> BoolArray:
        """Return the actors whose risk has been assessed by now; (runs, n)."""
        s, key = self.settings, traffic.key
        noticed = np.where(perceived, np.minimum(self._noticed.recall(key), t), np.inf)
        before = self._noticed_aside.recall(key)
        aside = np.where(perceived, np.where(np.isnan(before), traffic.aside, before), np.nan)
        self._noticed.keep(key, noticed)
        self._noticed_aside.keep(key, aside)
        by_time = t - noticed >= s.evaluation_time - 1e-9
        if s.evaluation == "none":
            done = perceived
        elif s.evaluation == "time":
            done = by_time
        else:  # an actor that does not enter covers no distance
            done = np.where(traffic.side > 0.0, aside - traffic.aside >= s.evaluation_distance, by_time)
        return np.asarray(perceived & (done | (traffic.person & (not s.evaluate_people))))

    def _emergency(self, traffic: Traffic, faced: BoolArray, came: FloatArray, ttc: FloatArray) -> BoolArray:
        """Return the runs in which braking is increased; (runs,)."""
        s = self.settings
        if s.emergency == "none":
            return np.zeros(len(faced), np.bool_)
        if s.emergency == "ttc":
            return some(faced & (ttc < s.emergency_ttc))
        narrow = np.minimum(traffic.widths, traffic.width[:, None])
        return some(faced & (came > 0.0) & (-traffic.side >= s.overlap * narrow))
