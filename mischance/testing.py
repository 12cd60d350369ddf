"""Checks for the tests of plug-ins: what mischance asks of every world, sensor and agent, also of yours.

A run depends on its seed and number alone: not on the runs beside it, not on how time is cut into chunks, not on what
was played before. Whatever breaks this (a shared list, a generator that is not the run's own, a clock that adds up
steps) shows in the digest of everything that the run told.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mischance.dataset.digest import RunDigests
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.player import play
from mischance.play.sampling import draw

_CUTS = (0.0371, 0.2503, 0.5, 0.7313, 0.9179)  # odd places, as shares of the duration


def run_digests(scenario: Scenario, runs: Sequence[int], cuts: Sequence[float] = ()) -> dict[int, str]:
    """Play runs side by side, as far as the world can, and return run -> digest of everything that came out.

    Args:
        scenario: what to play.
        runs: numbers of the runs.
        cuts: further times at which a chunk ends [s].
    """
    found: dict[int, str] = {}
    digests: RunDigests | None = None
    for record in play(scenario, draw(scenario, list(runs)), cuts):
        digests = digests or RunDigests(len(record.runs))
        digests.add(record)
        if record.last:
            found.update(zip(map(int, record.runs), digests.finish(), strict=True))
            digests = None
    return found


def check_reproducible(scenario: Scenario | str | Path, runs: int = 4) -> None:
    """Play runs together, alone, in reverse and cut at odd times, and compare everything that came out.

    Args:
        scenario: a scenario, its file or its name, in which the plug-in takes part.
        runs: how many; two or more, so that one can disturb another.

    Raises:
        AssertionError: a run came out differently; the message says which one and how it was played.
        MischanceError: the scenario is wrong, or a run cannot be played.
    """
    loaded = load(scenario) if isinstance(scenario, (str, Path)) else scenario
    together = run_digests(loaded, range(runs))
    cuts = [share * loaded.duration for share in _CUTS]
    ways = {
        "once more": run_digests(loaded, range(runs)),
        "in reverse": run_digests(loaded, range(runs - 1, -1, -1)),
        "cut at odd times": run_digests(loaded, range(runs), cuts),
        "alone": {run: run_digests(loaded, [run])[run] for run in range(runs)},
    }
    for how, found in ways.items():
        odd = [run for run in range(runs) if found[run] != together[run]]
        if odd:
            raise AssertionError(
                f"{loaded.name}: run {odd[0]} comes out differently {how} ({len(odd)} of {runs} runs do): it must"
                " depend on its own seed and number alone"
            )


__all__ = ["check_reproducible", "run_digests"]
