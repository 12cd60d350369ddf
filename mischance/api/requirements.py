"""What a world requires of every system under test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class DefaultRequirement:
    """What a world requires of every system under test, unless a scenario switches it off by name.

    `formula`: in the language of `require`, over the world's signals and measures. `applies`: function of the settings;
    False where the formula could say nothing of such a world.
    """

    formula: str
    about: str
    applies: Callable[[Any], bool] | None = None

    def applies_to(self, settings: Any) -> bool:
        """Say whether a world with those settings has it."""
        return self.applies is None or self.applies(settings)
