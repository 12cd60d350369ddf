"""A driver without perception: keeps its initial speed and lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._driver import Driver, DriverSettings

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray

    from ._traffic import Traffic


class Settings(DriverSettings, frozen=True):
    """Settings of every driver; those of perception have no effect."""


class Constant(Driver):
    """The baseline without any reaction."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.settings = settings

    def _accelerate(self, traffic: Traffic, t: float) -> FloatArray:
        return self.hold_speed(traffic)
