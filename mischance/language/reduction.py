"""Leaves sensors out of a scenario that no agent reads, so that it plays faster and is about the same thing.

A sensor that the agent reads stays, with its faults: a scenario that is about a frozen camera is still about it. Each
fault that stays keeps its stream of random numbers: run k has the same story with and without the sensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mischance.errors import MischanceError, suggest
from mischance.language import catalog
from mischance.language.checks.unused import agent_reads
from mischance.language.scenario import Scenario

ALL = "sensors"


def left_out(scenario: Scenario, words: Sequence[str]) -> list[str]:
    """Return the sensors that words such as 'cameras' mean, without those that the agent reads.

    Args:
        scenario: the scenario.
        words: a kind of sensor, in the singular or plural; the name of a sensor; or 'sensors' for all.

    Raises:
        MischanceError: there is no such kind, and this scenario has no sensor of that name.
    """
    kinds = {entry.name for entry in catalog.entries("sensors")} | {one.kind for one in scenario.sensors.values()}
    plural = {f"{kind}es" if kind.endswith(("ch", "ss", "x")) else f"{kind}s": kind for kind in kinds}
    found: set[str] = set()
    for word in words:
        kind = plural.get(word, word)
        own = {name for name, one in scenario.sensors.items() if word in (name, ALL) or one.kind == kind}
        if not own and kind not in kinds and word != ALL:
            known = [ALL, *sorted(plural), *scenario.sensors]
            hint = suggest(word, known) or "known: " + ", ".join(known)
            raise MischanceError(f"--without {word}: there is no kind of sensor and no sensor of that name", hint)
        found |= own
    reads = agent_reads(scenario)
    return [name for name in scenario.sensors if name in found and name not in reads]


def without_sensors(tree: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return a scenario's tree without those sensors and without their faults."""
    gone = {f"sensors.{name}" for name in names}
    faults = []
    for place, entry in enumerate(tree.get("faults") or ()):
        if entry["target"] not in gone:
            faults.append(entry if entry.get("number") is not None else {**entry, "number": place})
    if len(faults) == len(tree.get("faults") or ()):
        faults = list(tree.get("faults") or ())
    sensors = {name: one for name, one in (tree.get("sensors") or {}).items() if name not in names}
    return {**tree, "sensors": sensors, "faults": faults}
