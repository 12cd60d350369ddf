"""What the reference drivers share: keeping lane and speed, a foot on the brake, and the time it takes to get there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, Field

from mischance.api.runs import Commands
from mischance.api.tables import Column, Table
from mischance.units import Frequency, Time

from ._traffic import Eyes, Traffic

if TYPE_CHECKING:
    from mischance.api.randomness import Streams
    from mischance.api.runs import Draw, Reading
    from mischance.api.tables import BoolArray, FloatArray, Schema

COMMANDS: Schema = {
    "actor": Column("text"),
    "acceleration": Column(unit="m/s2"),
    "steer": Column(unit="rad"),
    "keep_path": Column("bool", null=True),
}


class DriverSettings(BaseModel, extra="forbid", frozen=True):
    """What every reference driver may be told."""

    sensor: str = Field(
        "truth", description="what it sees others with: truth, or the name of a sensor that reports objects"
    )
    memory: Time = Field(0.5, gt=0, description="how long an object that is not reported again is carried on [s]")
    rate: Frequency = Field(20.0, gt=0, description="turns per second of simulated time [Hz]")


class Driver:
    """Leaves steering along the ego's path to the world, and the pedals to `_begin` and `_accelerate` of a model."""

    @staticmethod
    def reads(settings: DriverSettings) -> Sequence[str]:
        """Return the sensor that it sees others with, and the truth about itself."""
        return ("truth",) if settings.sensor == "truth" else ("truth", settings.sensor)

    @staticmethod
    def rate(settings: DriverSettings) -> float:
        """Return the turns per second that the settings ask for [Hz]."""
        return settings.rate

    def __init__(self, settings: DriverSettings) -> None:
        self.tick = 1.0 / settings.rate
        self._eyes = Eyes(settings.sensor, settings.memory)

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Forget the last runs."""
        self._eyes.start(draws)
        self._cruise = np.full(len(draws), np.nan)
        self._slowed = np.zeros(len(draws), np.bool_)
        self.slow = np.array([_slow_actuator(draw) for draw in draws], np.bool_)
        self._begin(len(draws))

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> Commands:
        """Return the acceleration of every live run.

        Raises:
            RunError: there is no table of actors, or no list of objects.
        """
        traffic = self._eyes.look(readings, t)
        fresh = np.isnan(self._cruise) & traffic.known
        self._cruise = np.where(fresh, traffic.speed, self._cruise)
        wanted = self._accelerate(traffic, t)
        driven = np.asarray(live & traffic.known)
        n = int(driven.sum())
        who = np.empty(n, object)
        who[:] = "ego"
        columns = {
            "actor": who, "acceleration": wanted[driven], "steer": np.zeros(n), "keep_path": np.ones(n, np.bool_),
        }  # fmt: skip
        offsets = np.concatenate([[0], np.cumsum(driven)]).astype(np.int64)
        return Commands(Table(COMMANDS, columns, offsets), np.asarray(live, np.bool_))

    def hold_speed(self, traffic: Traffic) -> FloatArray:
        """Return the acceleration that gently brings the ego back to the speed it keeps [m/s2]; (runs,)."""
        cruise = np.where(traffic.known, self._cruise, 0.0)
        return np.clip(0.5 * (cruise - traffic.speed), -2.0, 2.0)

    def brake(self, traffic: Traffic, deceleration: FloatArray, pressed: BoolArray) -> FloatArray:
        """Return that deceleration where the pedal is pressed; afterwards the speed that is left is kept [m/s2]."""
        slows = pressed | (deceleration > 0.0)
        lower = slows | self._slowed  # the speed that is left shows at the turn after the last
        self._cruise = np.where(lower, np.minimum(self._cruise, traffic.speed), self._cruise)
        self._slowed = slows
        return np.where(deceleration > 0.0, -deceleration, self.hold_speed(traffic))

    def _begin(self, runs: int) -> None:
        """Forget what the model remembers of the last runs."""

    def _accelerate(self, traffic: Traffic, t: float) -> FloatArray:
        """Return the acceleration that the model wants until its next turn [m/s2]; (runs,)."""
        raise NotImplementedError


class Brakes:
    """A deceleration that builds up at a limited jerk, one a run.

    What is commanded holds for a whole turn. Where the world's actuator has a build-up of its own, that is the
    ramp's end, which the actuator then reaches along the ramp; where it follows at once, it is the ramp's mean, which
    takes off the same speed. So the reaction is right to the moment, not to the turn, as long as it begins at one.
    """

    def __init__(self, runs: int, tick: float, slow: BoolArray) -> None:
        self.built = np.zeros(runs)
        self._tick, self._slow = tick, slow

    def press(self, wanted: FloatArray, begin: FloatArray, t: float, jerk: FloatArray | float) -> FloatArray:
        """Return the deceleration to command for the turn from t [m/s2]; (runs,).

        Args:
            wanted: what the foot asks for [m/s2].
            begin: when it comes to ask for more [s]; it lets go at once.
            t: now [s].
            jerk: of build-up and release; inf = at once [m/s3].
        """
        room = np.where(wanted > self.built, np.clip(t + self._tick - begin, 0.0, self._tick), self._tick)
        away = wanted - self.built
        rise = np.minimum(np.abs(away) / jerk, room)  # how long it changes within this turn
        ramp = np.where(np.isinf(jerk), 0.0, jerk)
        end = np.where(rise < room, wanted, self.built + np.sign(away) * ramp * rise)
        # shares of the turn, so that a level that is held comes out to the last bit
        waits, ramps, holds = 1.0 - room / self._tick, rise / self._tick, (room - rise) / self._tick
        mean = self.built * waits + 0.5 * (self.built + end) * ramps + end * holds
        self.built = end
        return np.where(self._slow, end, mean)


class Reaction:
    """From danger to the foot on the brake, one a run: danger that lasts for the delay is acted on until it is over."""

    def __init__(self, runs: int, tick: float) -> None:
        self.active = np.zeros(runs, np.bool_)
        self.since = np.full(runs, np.inf)
        self._tick = tick

    def feel(self, danger: BoolArray, over: BoolArray, t: float, delay: float) -> FloatArray:
        """Return when braking begins [s]; inf where it does not. `active` says where it does before the next turn."""
        self.active = self.active & ~over
        self.since = np.where(danger, np.minimum(self.since, t), np.where(self.active, self.since, np.inf))
        begin = self.since + delay
        # a moment that falls on the next turn is that turn's: 1e-9 s is more than clocks differ by
        self.active = self.active | (danger & (begin < t + self._tick - 1e-9))
        acting: FloatArray = np.where(self.active, begin, np.inf)
        return acting


def _slow_actuator(draw: Draw) -> bool:
    """Say whether the world's own pedals build up: where it does not say, they are taken to follow at once."""
    ego = getattr(getattr(draw.settings, "actors", None), "get", lambda _: None)("ego")
    jerk = getattr(ego, "jerk", 0.0) if ego is not None else 0.0
    return jerk is None or jerk > 0.0
