"""A driver who sees nobody: keeps the speed and the lane it started with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._driver import Driver, DriverSettings

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray

    from ._traffic import Traffic


class Settings(DriverSettings, frozen=True):
    """It takes what every driver takes; what it sees makes no difference."""


class Constant(Driver):
    """The baseline: what happens when nobody reacts."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.settings = settings

    def _accelerate(self, traffic: Traffic, t: float) -> FloatArray:
        return self.hold_speed(traffic)
