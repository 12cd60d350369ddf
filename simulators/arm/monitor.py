"""What stops the arm: force at the wrist, following error, and the separation from a person."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .faults import Faults
    from .settings import Monitor as Settings

CLEAR = 0.3  # how long the separation must be enough before the arm goes on [s]


class Monitor:
    """Watches, demands a stop, and after reaction and brake times brings the program's rate down to zero.

    `asked`: when the last demand arose; `begins`: from when the arm decelerates because of it; `cause` in words.
    Stops for force and following error stay; one for separation ends when the person has gone. After a following
    error the controller is not trusted any more: the joints' brakes close instead.
    """

    def __init__(self, settings: Settings, faults: Faults) -> None:
        self.settings, self.faults = settings, faults
        self.asked = self.begins = inf
        self.cause = ""
        self.latched = self._distrust = False
        self._needed = self._since = inf

    def look(self, t: float, force: float, following: float, separation: float, needed: float) -> str:
        """Take what is measured at t into account; return what newly happened: 'asked', 'cleared' or ''."""
        settings = self.settings
        cause, latches = "", True
        if settings.force is not None and force > settings.force:
            cause = f"force at the wrist {force:.0f} N"
        elif settings.following is not None and following > settings.following:
            cause = f"following error {following:.2f} rad"
        elif settings.separation is not None and separation < needed:
            cause, latches = f"separation {separation:.2f} m, {needed:.2f} m needed", False
        if cause and self.faults.of("monitor", "off", t) < 0.5:
            self._since = inf
            if self.asked == inf:
                self.asked = t
                self.begins = t + settings.reaction + settings.brake
                self.begins += max(self.faults.of("monitor", "delay", t), 0.0)
                self.begins += max(self.faults.of("brake", "latency", t), 0.0)
                self.cause, self.latched, self._needed = cause, latches, needed
                self._distrust = cause.startswith("following")
                return "asked"
            self.latched = self.latched or latches
            self._distrust = self._distrust or cause.startswith("following")
        elif self.asked < inf and not self.latched:
            if separation <= 1.1 * self._needed:
                self._since = inf
            elif self._since == inf:
                self._since = t
            elif t - self._since >= CLEAR:
                self.asked = self.begins = self._since = inf
                return "cleared"
        return ""

    def needed(self, tool: float, person: float) -> float:
        """Return the protective separation [m] at speeds of tool and person [m/s].

        Source:
            ISO/TS 15066:2016, 5.5.4: what person and robot can cover during reaction and stopping, plus a constant.
        """
        settings = self.settings
        waits = settings.reaction + settings.brake
        covered = person * (waits + settings.stopping) + tool * (waits + 0.5 * settings.stopping)
        return covered + (settings.separation or 0.0)

    def stops(self, t: float) -> bool:
        """Return whether a step that starts at t has to decelerate."""
        return t >= self.begins

    def brakes(self, t: float) -> bool:
        """Return whether the joints' brakes are closed during a step that starts at t."""
        return self._distrust and t >= self.begins
