"""Leaves out of a scenario what it can do without: sensors that no agent reads, and default requirements.

Without the sensors it plays faster and is about the same thing.

A sensor that the agent reads stays, with its faults: a scenario that is about a frozen camera is still about it. Each
fault that stays keeps its stream of random numbers: run k has the same story with and without the sensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mischance.errors import MischanceError, suggest
from mischance.language import catalog
from mischance.language.checks.unused import agent_reads
from mischance.language.scenario import Scenario

ALL = "sensors"
REQUIREMENTS = "requirements"


class LeftOut(NamedTuple):
    """What is left out of a scenario: sensors, and default requirements of its world."""

    sensors: tuple[str, ...]
    requirements: tuple[str, ...]


def left_out(scenario: Scenario, words: Sequence[str]) -> LeftOut:
    """Return what words such as 'cameras' or 'gets_on' mean, without the sensors that the agent reads.

    Args:
        scenario: the scenario.
        words: a kind of sensor, in the singular or plural; the name of a sensor; 'sensors' for all; the name of a
            default requirement of the world; or 'requirements' for all of these.

    Raises:
        MischanceError: there is no such kind, and this scenario has neither a sensor nor a default requirement of that
            name.
    """
    kinds = {entry.name for entry in catalog.entries("sensors")} | {one.kind for one in scenario.sensors.values()}
    plural = {f"{kind}es" if kind.endswith(("ch", "ss", "x")) else f"{kind}s": kind for kind in kinds}
    defaults = scenario.simulator.declared.requirements
    found, off = set[str](), set[str]()
    for word in words:
        if word in defaults or word == REQUIREMENTS:
            off |= {name for name in defaults if word in (name, REQUIREMENTS)}
            continue
        kind = plural.get(word, word)
        own = {name for name, one in scenario.sensors.items() if word in (name, ALL) or one.kind == kind}
        if not own and kind not in kinds and word != ALL:
            known = [ALL, *sorted(plural), *scenario.sensors, REQUIREMENTS, *defaults]
            hint = suggest(word, known) or "known: " + ", ".join(known)
            message = "there is no kind of sensor, no sensor and no default requirement of that name"
            raise MischanceError(f"--without {word}: {message}", hint)
        found |= own
    reads = agent_reads(scenario)
    sensors = tuple(name for name in scenario.sensors if name in found and name not in reads)
    return LeftOut(sensors, tuple(name for name in scenario.by_default if name in off))


def without(tree: Mapping[str, Any], what: LeftOut) -> dict[str, Any]:
    """Return a scenario's tree without that."""
    found = without_sensors(tree, what.sensors) if what.sensors else dict(tree)
    if what.requirements:
        found["require"] = {**(tree.get("require") or {}), **dict.fromkeys(sorted(what.requirements))}
    return found


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
