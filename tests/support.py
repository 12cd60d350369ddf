"""What several tests need: scenarios of the tests' own plug-ins, and digests of played runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from mischance.api.runs import Draw, Record
from mischance.api.tables import AnyArray
from mischance.dataset.digest import RunDigests
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.player import play

PLUGINS = Path(__file__).parent / "plugins"


def wander(**overrides: str) -> Scenario:
    """Return the tests' vectorised scenario: a signal, two voltmeters, a controller."""
    return load(PLUGINS / "wander.yaml", {key.replace("__", "."): value for key, value in overrides.items()})


@cache
def library(name: str) -> Scenario:
    """Return a scenario of the library, or one of the tests' own, as it is; loaded once for all tests of a process."""
    own = PLUGINS / f"{name}.yaml"
    return load(own if "/" not in name and own.is_file() else name)


def digests(scenario: Scenario, draws: Sequence[Draw], cuts: Sequence[float] = ()) -> dict[int, str]:
    """Play draws and return run -> digest of everything that came out."""
    found: dict[int, str] = {}
    collected = None
    for record in play(scenario, draws, cuts):
        collected = collected or RunDigests(len(record.runs))
        collected.add(record)
        if record.last:
            found.update(zip(map(int, record.runs), collected.finish(), strict=True))
            collected = None
    return found


def rows_of(records: Sequence[Record], path: str, i: int = 0) -> dict[str, AnyArray]:
    """Return all rows of the i-th run of one table, over all records."""
    parts = [record.tables[path].run(i) for record in records if path in record.tables]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
