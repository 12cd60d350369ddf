"""What a case of a suite is, whoever is tested: the scenario's settings, seed and requirements, and the run's draw."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from mischance import __version__
from mischance.language.scenario import Scenario
from mischance.language.user_code import content_of
from mischance.play.sampling import draw
from mischance.sweep.suite_report import Case

# What is not of the case: who is tested, what is said of the scenario, and what is written.
APART = ("about", "agent", "mischance", "name", "split", "tags", "write")


def played_by(scenario: Scenario) -> dict[str, Any]:
    """Return what fixes the cases of a scenario but for the agent, as plain values.

    `settings`: the resolved scenario, path -> value; `code`: hashes of the user's own worlds and sensors; `version`: of
    mischance.
    """
    settings = dict(_flat({name: value for name, value in scenario.tree.items() if name not in APART}))
    code = {
        f"{plugin.room} {plugin.kind}": _hash(*(content_of(file) for _, file in sorted(plugin.code.files.items())))
        for plugin in scenario.plugins()
        if plugin.code is not None and plugin.room not in ("agents", "writers")
    }
    return {"settings": settings, "code": code, "version": __version__}


def with_draws(scenario: Scenario, cases: Sequence[Case]) -> list[Case]:
    """Return the cases of a scenario with what was drawn for each."""
    draws = draw(scenario, [case.run for case in cases]) if cases else []
    return [
        replace(case, values=dict(own.values), draw=_hash(repr((sorted(own.values.items()), own.faults)).encode()))
        for case, own in zip(cases, draws, strict=True)
    ]


def _flat(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path of each plain value; what JSON has no number for is text."""
    items = tree.items() if isinstance(tree, Mapping) else enumerate(tree) if isinstance(tree, list | tuple) else ()
    if not items:
        simple = tree is None or isinstance(tree, bool | int | str) or (isinstance(tree, float) and isfinite(tree))
        yield path, tree if simple else str(tree)
    for name, value in items:
        below = f"{path}[{name}]" if isinstance(name, int) else f"{path}.{name}" if path else str(name)
        yield from _flat(value, below)


def _hash(*parts: bytes) -> str:
    found = hashlib.blake2b(digest_size=16)
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()
