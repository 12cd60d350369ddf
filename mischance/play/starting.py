"""How runs begin: what their world shows at t = 0, and whether an error came before that."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mischance.api.runs import Chunk, Draw
from mischance.errors import MischanceError, StartError
from mischance.language.scenario import Scenario
from mischance.play import sampling
from mischance.play.episode import Episode
from mischance.play.plugins import Plugins, check_needs


@dataclass(frozen=True, slots=True)
class Start:
    """How one run begins: its truth at t = 0 (None where its world cannot show any), and why it cannot go on."""

    run: int
    truth: Chunk | None
    error: str = ""
    hint: str = ""


def starts(scenario: Scenario, draws: Sequence[Draw]) -> list[Start]:
    """Begin each of those runs alone, and return what came of it; nothing is played.

    Raises:
        CatalogError: a module that a plug-in needs is not installed.
    """
    check_needs(scenario)
    found = []
    plugins = Plugins(replace(scenario, sensors={}, agent=None))
    try:
        for draw in draws:
            try:
                found.append(Start(draw.run, Episode(plugins, [draw]).truth_at_start()))
            except StartError as error:
                truth = error.truth if isinstance(error.truth, Chunk) else None
                found.append(Start(draw.run, truth, error.message, error.hint))
            except MischanceError as error:
                found.append(Start(draw.run, None, error.message, error.hint))
    finally:
        plugins.close()
    return found


def failed_at_start(error: BaseException) -> bool:
    """Say whether an error came as runs were drawn or begun: before any of them had played."""
    begins = {Episode.begin.__code__, sampling.draw.__code__}
    return any(frame.f_code in begins for frame, _ in traceback.walk_tb(error.__traceback__))
