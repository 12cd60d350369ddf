"""A driver without perception: keeps its initial speed and lane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel

from ._driver import Driver, DriverSettings

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray

    from ._traffic import Traffic


class Settings(BaseModel, extra="forbid", frozen=True):
    """There are none: it perceives nobody."""


class Constant(Driver):
    """The baseline without any reaction."""

    @staticmethod
    def reads(settings: object) -> Sequence[str]:
        """Return what it looks at: the truth about itself."""
        return ("truth",)

    @staticmethod
    def rate(settings: object) -> float:
        """Return its turns per second [Hz]."""
        return DriverSettings.model_validate({}).rate

    def __init__(self, settings: Settings) -> None:
        super().__init__(DriverSettings.model_validate({}))
        self.settings = settings

    def _accelerate(self, traffic: Traffic, t: float) -> FloatArray:
        return self.hold_speed(traffic)
