"""What several tests need: scenarios of the tests' own plug-ins, and digests of played runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mischance.api.runs import Draw, Record
from mischance.api.tables import AnyArray
from mischance.dataset.digest import RunDigests
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.player import play

PLUGINS = Path(__file__).parent / "plugins"
TANK = f"{PLUGINS}/tank.py:Tank"


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


def tanks(tmp_path: Path, links: Sequence[Mapping[str, Any]], *, faults: Sequence[Any] = (), **worlds: Any) -> Scenario:
    """Return a scenario of tanks a, b …, each with the settings given, else those by default."""
    parts = {name: {"kind": TANK, **(worlds.get(name) or {})} for name in worlds or ("a", "b")}
    text = {"worlds": parts, "links": list(links), "faults": list(faults)}
    path = tmp_path / "tanks.yaml"
    lines = "\n".join(f"{key}: {json.dumps(value)}" for key, value in text.items())
    path.write_text(f"mischance: 1\nname: tests/tanks\nduration: 4 s\n{lines}\n", encoding="utf-8")
    return load(path)
