"""Safety monitor: stops the arm by wrist force, following error, or separation from a person."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .faults import Faults
    from .settings import Monitor as Settings

CLEAR = 0.3  # time for which the separation must be sufficient before the arm resumes [s]


class Monitor:
    """Demands stops, and after reaction and brake times reduces the program's rate to zero.

    `asked`: time of the last demand; `begins`: start of the deceleration; `cause`: the cause as text.
    Stops by force and following error are final; a stop by separation ends when the person has left. After a
    following error the controller is not trusted: the joints' brakes close instead.
    """

    def __init__(self, settings: Settings, faults: Faults) -> None:
        self.settings, self.faults = settings, faults
        self.asked = self.begins = inf
        self.cause = ""
        self.latched = self._distrust = False
        self._needed = self._since = inf

    def look(self, t: float, force: float, following: float, separation: float, needed: float) -> str:
        """Evaluate the measurements at t; return 'asked' or 'cleared' if a stop was demanded or ended at t, else ''."""
        settings = self.settings
        cause, latches = "", True
        if settings.force is not None and force > settings.force:
            cause = f"force at the wrist {force:.0f} N"
        elif settings.following is not None and following > settings.following:
            cause = f"following error {following:.2f} rad"
        elif settings.separation is not None and separation < needed:
            cause, latches = f"separation {separation:.2f} m, {needed:.2f} m needed", False
        if cause and not self.off(t):
            self._since = inf
            if self.asked == inf:
                self.asked = t
                self.begins = t + self.reaction(t) + self.brake(t)
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

    def off(self, t: float) -> bool:
        """Return whether the monitor gives no answer at t."""
        return self.faults.on("monitor", "off", t)

    def reaction(self, t: float) -> float:
        """Return the time from a measurement at t to the demand [s]."""
        return self.settings.reaction + max(self.faults.of("monitor", "delay", t), 0.0)

    def brake(self, t: float) -> float:
        """Return the time from a demand to the deceleration [s], for a measurement at t."""
        return self.settings.brake + max(self.faults.of("brake", "latency", t), 0.0)

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
