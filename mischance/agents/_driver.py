"""Base of the reference drivers: keeping lane and speed, brakes with a limited jerk, and reaction time."""

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
    from mischance.api.tables import AnyArray, BoolArray, FloatArray, Schema

COMMANDS: Schema = {
    "actor": Column("category", names=("ego",)),
    "acceleration": Column(unit="m/s2"),
    "steer": Column(unit="rad"),
    "keep_path": Column("bool", null=True),
}


class DriverSettings(BaseModel, extra="forbid", frozen=True):
    """Settings of every reference driver."""

    sensor: str = Field(
        "truth", description="what it sees others with: truth, or the name of a sensor that reports objects"
    )
    memory: Time = Field(0.5, gt=0, description="how long an object that is not reported again is carried on [s]")
    rate: Frequency = Field(20.0, gt=0, description="turns per second of simulated time [Hz]")


class Driver:
    """A driver: the world steers along the ego's path, `_begin` and `_accelerate` of a model set the acceleration."""

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
        """Reset for a new batch of runs."""
        self._eyes.start(len(draws))
        self._cruise = np.full(len(draws), np.nan)
        self._slowed = np.zeros(len(draws), np.bool_)
        self._begin(len(draws))

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> Commands:
        """Return the acceleration of every live run.

        Raises:
            RunError: there is no table of actors and no list of objects.
        """
        traffic = self._eyes.look(readings, t)
        fresh = np.isnan(self._cruise) & traffic.known
        self._cruise = np.where(fresh, traffic.speed, self._cruise)
        wanted = self._accelerate(traffic, t)
        driven = np.asarray(live & traffic.known)
        n = int(driven.sum())
        columns: dict[str, AnyArray] = {
            "actor": np.zeros(n, np.int32),
            "acceleration": wanted[driven],
            "steer": np.zeros(n),
            "keep_path": np.ones(n, np.bool_),
        }
        offsets = np.concatenate([[0], np.cumsum(driven)]).astype(np.int64)
        return Commands(Table(COMMANDS, columns, offsets), np.asarray(live, np.bool_))

    def hold_speed(self, traffic: Traffic) -> FloatArray:
        """Return the acceleration that gently restores the speed that the ego keeps [m/s2]; (runs,)."""
        cruise = np.where(traffic.known, self._cruise, 0.0)
        return np.clip(0.5 * (cruise - traffic.speed), -2.0, 2.0)

    def brake(self, traffic: Traffic, deceleration: FloatArray, pressed: BoolArray) -> FloatArray:
        """Return the deceleration where the pedal is pressed; afterwards the remaining speed is kept [m/s2]."""
        slows = pressed | (deceleration > 0.0)
        lower = slows | self._slowed  # the remaining speed is known one step after the last braking step
        self._cruise = np.where(lower, np.minimum(self._cruise, traffic.speed), self._cruise)
        self._slowed = slows
        return np.where(deceleration > 0.0, -deceleration, self.hold_speed(traffic))

    def _begin(self, runs: int) -> None:
        """Reset the model's own state."""

    def _accelerate(self, traffic: Traffic, t: float) -> FloatArray:
        """Return the model's acceleration until the next step [m/s2]; (runs,)."""
        raise NotImplementedError


class Brakes:
    """A deceleration that builds up at a limited jerk, for each run.

    A command holds for a whole step of the agent. If the world's actuator has a build-up of its own, the command is
    the end of the ramp, which the actuator then reaches along the ramp; if it follows at once, the command is the
    ramp's mean, which gives the same change of speed. So the reaction time is exact and not rounded to steps.
    """

    def __init__(self, runs: int, tick: float) -> None:
        self.built = np.zeros(runs)
        self._tick = tick

    def press(
        self, traffic: Traffic, wanted: FloatArray, begin: FloatArray, t: float, jerk: FloatArray | float
    ) -> FloatArray:
        """Return the deceleration to command for the step from t [m/s2]; (runs,).

        Args:
            traffic: says where the world's own brakes build up.
            wanted: the demanded deceleration [m/s2].
            begin: time from which a higher deceleration is demanded [s]; a release takes effect at once.
            t: now [s].
            jerk: of build-up and release; inf = at once [m/s3].
        """
        room = np.where(wanted > self.built, np.clip(t + self._tick - begin, 0.0, self._tick), self._tick)
        away = wanted - self.built
        rise = np.minimum(np.abs(away) / jerk, room)  # duration of the change within this step
        ramp = np.where(np.isinf(jerk), 0.0, jerk)
        end = np.where(rise < room, wanted, self.built + np.sign(away) * ramp * rise)
        # shares of the step, so that a constant level is exact to the last bit
        waits, ramps, holds = 1.0 - room / self._tick, rise / self._tick, (room - rise) / self._tick
        mean = self.built * waits + 0.5 * (self.built + end) * ramps + end * holds
        self.built = end
        return np.where(traffic.builds_up, end, mean)


class Reaction:
    """Reaction time: danger that lasts for the delay is acted on until it is over; one state per run."""

    def __init__(self, runs: int, tick: float) -> None:
        self.active = np.zeros(runs, np.bool_)
        self.since = np.full(runs, np.inf)
        self._tick = tick

    def feel(self, danger: BoolArray, over: BoolArray, t: float, delay: float) -> FloatArray:
        """Return the time at which braking begins [s]; inf if it does not. `active`: it does before the next step."""
        self.active = self.active & ~over
        self.since = np.where(danger, np.minimum(self.since, t), np.where(self.active, self.since, np.inf))
        begin = self.since + delay
        # a time that falls on the next step belongs to it: clocks differ by less than 1e-9 s
        self.active = self.active | (danger & (begin < t + self._tick - 1e-9))
        acting: FloatArray = np.where(self.active, begin, np.inf)
        return acting
