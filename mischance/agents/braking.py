"""A driver who keeps lane and distance, and brakes hard when a collision is near."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, inf, sin
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from mischance.units import Acceleration, Length, Time

from ._lane import Car, cars, commands, hold_speed, keep_lane, time_to

if TYPE_CHECKING:
    from mischance.randomness import Streams
    from mischance.truth import BoolArray, Commands, Draw, Reading


class Settings(BaseModel, extra="forbid", frozen=True):
    """What a scenario may say about the braking driver."""

    ttc: Time = Field(2.0, gt=0, description="time to collision below which it brakes hard [s]")
    required: Acceleration = Field(3.0, gt=0, description="deceleration needed (DRAC) above which it does too [m/s2]")
    deceleration: Acceleration = Field(8.0, gt=0, description="deceleration that it then asks for [m/s2]")
    reaction: Time = Field(0.3, ge=0, description="how long the danger lasts before it brakes [s]")
    headway: Time = Field(1.5, ge=0, description="time gap that it follows at [s]")
    margin: Length = Field(0.3, ge=0, description="room on either side that belongs to its path [m]")


@dataclass(slots=True)
class _Mind:
    """What it remembers of one run."""

    speed: float  # to cruise at
    y: float  # to keep to
    since: float = inf  # when the danger was first seen
    braking: bool = False


class Braking:
    """Lane keeping, distance keeping up to 3 m/s2, and emergency braking with a reaction time.

    Another vehicle counts once it is in the ego's path or will enter it before the two meet.
    """

    reads: tuple[str, ...] = ("truth",)
    rate: float = 20.0

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Forget the last runs."""
        self._minds: list[_Mind | None] = [None] * len(draws)

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> Commands:
        """Return acceleration and steering of every live run."""
        wanted: list[tuple[float, float] | None] = []
        for run in range(len(self._minds)):
            seen = cars(readings, run) if live[run] else {}
            ego = seen.pop("ego", None)
            if ego is None:
                wanted.append(None)
                continue
            mind = self._minds[run] or _Mind(ego.speed, ego.y)
            self._minds[run] = mind
            wanted.append((self._accelerate(mind, ego, list(seen.values()), t), keep_lane(ego, mind.y)))
        return commands(wanted, live)

    def _accelerate(self, mind: _Mind, ego: Car, others: Sequence[Car], t: float) -> float:
        settings = self.settings
        lead, gap, closing = self._lead(ego, others)
        danger = lead is not None and (
            time_to(gap, closing) < settings.ttc
            or (closing > 0.0 and closing * closing > 2.0 * settings.required * max(gap, 0.1))
        )
        mind.since = min(mind.since, t) if danger else inf
        if danger and t - mind.since >= settings.reaction:
            mind.braking = True
        elif mind.braking and (lead is None or closing < -0.5):
            mind.braking = False
        if mind.braking:
            return -settings.deceleration
        cruise = hold_speed(ego, mind.speed)
        if lead is None:
            return cruise
        follow = 0.3 * (gap - max(2.0, settings.headway * ego.speed)) - 0.8 * closing
        return min(cruise, max(follow, -3.0))

    def _lead(self, ego: Car, others: Sequence[Car]) -> tuple[Car | None, float, float]:
        """Return the nearest vehicle ahead that is or will be in the path, the bumper gap and the closing speed."""
        found: tuple[Car | None, float, float] = (None, inf, 0.0)
        for other in others:
            gap = other.x - ego.x - 0.5 * (ego.length + other.length)
            if other.x <= ego.x or gap >= found[1]:
                continue
            closing = ego.speed * cos(ego.yaw) - other.speed * cos(other.yaw)
            across = other.y - ego.y
            room = abs(across) - 0.5 * (ego.width + other.width) - self.settings.margin
            inward = -other.speed * sin(other.yaw) * (1.0 if across > 0.0 else -1.0)
            entering = inward > 0.3 and room / inward < min(max(time_to(max(gap, 0.0), closing), 0.5), 1.5)
            if room <= 0.0 or entering:
                found = (other, gap, closing)
        return found
