"""A driver who sees nobody: keeps the speed and the lane it started with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel

from ._lane import Car, cars, commands, hold_speed, keep_lane

if TYPE_CHECKING:
    from mischance.randomness import Streams
    from mischance.truth import BoolArray, Commands, Draw, Reading


class Settings(BaseModel, extra="forbid", frozen=True):
    """It takes no settings."""


class Constant:
    """The baseline: what happens when nobody reacts."""

    reads: tuple[str, ...] = ("truth",)
    rate: float = 20.0

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Forget the last runs."""
        self._first: list[Car | None] = [None] * len(draws)

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> Commands:
        """Return the commands that bring the ego back to its first speed and place across the road."""
        wanted: list[tuple[float, float] | None] = []
        for run, first in enumerate(self._first):
            ego = cars(readings, run).get("ego") if live[run] else None
            if ego is None:
                wanted.append(None)
                continue
            first = first or ego  # noqa: PLW2901
            self._first[run] = first
            wanted.append((hold_speed(ego, first.speed), keep_lane(ego, first.y)))
        return commands(wanted, live)
