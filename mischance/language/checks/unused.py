"""What a scenario names and nothing uses: drawn values, faults that cannot act, sensors, requirements that say nothing.

They are no errors: a scenario with them plays. Most often they are slips, such as a name that is misspelt.

- A drawn value is used where a plug-in's setting, a fault, a constraint, a requirement, the event or a
  link names it, or another drawn value that is used; in the file as it stands, in one of its variants, or in what it
  extends. `correlate` and `plan` are no uses.
- A fault can act if its window begins before the run's end, and it is planned and has a severity in some run. A fault
  that a variant or an override switches off (no chance, no severity) is meant so.
- A sensor is read by an agent, or by a dataset: its images are always stored, its tables where a format keeps them.
- A requirement says something if it can hold and can be broken, and speaks of something that is not drawn.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from mischance.errors import MischanceError, Problem, suggest
from mischance.language.checks.vacuous import vacuous
from mischance.language.distributions.kinds import Choice, Empirical, Mixture, Parametric
from mischance.language.distributions.specs import Constant, Expr, Spec, compiled
from mischance.language.expressions.ranges import ANY, MAYBE, Range, value_range
from mischance.language.origin import Origin, Path_
from mischance.language.scenario import PlannedFault, Scenario

_WORD = re.compile(r"(?<![\w.])\$?([A-Za-z_]\w*)(?![\w.])")
_TEXTS = ("about", "name", "tags", "source", "extends", "correlate", "plan")  # keys whose texts name no drawn value


@dataclass(frozen=True, slots=True)
class Written:
    """A scenario's tree before its variant and overrides were set, and what those changed, by path or name."""

    tree: Mapping[str, Any]
    changed: frozenset[str]


def unused(scenario: Scenario, tree: Mapping[str, Any], written: Written, origin: Origin) -> tuple[Problem, ...]:
    """Return what nothing uses, by position.

    Args:
        scenario: the checked scenario.
        tree: its tree, as it was built from.
        written: the same before a variant and overrides.
        origin: positions of the tree's values.
    """
    ranges = drawn_ranges(scenario.vary)
    found = [
        *_values(tree, written, origin),
        *_faults(scenario, written, ranges, origin),
        *_sensors(scenario, origin),
    ]
    for name, requirement in scenario.require.items():
        message, hint = vacuous(requirement, ranges | _flags(scenario), scenario.vary, scenario.duration)
        if message:
            found.append(origin.problem(("require", name), message, hint))
    return tuple(sorted(set(found)))


# -- drawn values ------------------------------------------------------------------------------------------------------


def _values(tree: Mapping[str, Any], written: Written, origin: Origin) -> Iterator[Problem]:
    vary = tree.get("vary") or {}
    used: set[str] = set()
    edges: dict[str, set[str]] = {}
    for one in (tree, written.tree):
        used |= _mentioned({key: value for key, value in one.items() if key not in ("vary", "variants")})
        for name, law in (one.get("vary") or {}).items():
            edges.setdefault(name, set()).update(_mentioned(law))
    new: dict[str, Path_] = {}
    for variant, changes in (tree.get("variants") or {}).items():
        for key, value in (changes or {}).items():
            name = key.removeprefix("vary.").partition(".")[0]
            if name in vary or key.startswith("vary."):
                edges.setdefault(name, set()).update(_mentioned(value))
                if name not in vary:
                    new.setdefault(name, ("variants", variant, key))
            else:
                used |= _mentioned(value)
    waiting = [name for name in edges if name in used]
    while waiting:
        fresh = edges.get(waiting.pop(), set()) - used
        used |= fresh
        waiting += [name for name in fresh if name in edges]
    for name, path in {**{name: ("vary", name) for name in vary}, **new}.items():
        if name not in used:
            near = suggest(name, [other for other in edges if other != name and other in used])
            from_ = sorted(other for other, names in edges.items() if name in names)
            message = f"nothing refers to '{name}'"
            if from_:
                message = f"only '{from_[0]}' refers to '{name}', and nothing refers to that"
            yield origin.problem(path, message, near or "name it where it is to count, or leave it out", at_key=True)


def _mentioned(tree: Any) -> set[str]:
    """Return the words in a tree's texts that could name a drawn value."""
    if isinstance(tree, str):
        return set(_WORD.findall(tree))
    if isinstance(tree, Mapping):
        return set().union(*(_mentioned(value) for key, value in tree.items() if key not in _TEXTS))
    return set().union(*map(_mentioned, tree)) if isinstance(tree, list | tuple) else set()


# -- faults ------------------------------------------------------------------------------------------------------------


def _faults(
    scenario: Scenario, written: Written, ranges: Mapping[str, Range], origin: Origin
) -> Iterator[Problem]:  # fmt: skip
    variants: Mapping[str, Any] = written.tree.get("variants") or {}
    changed = set(written.changed).union(*((changes or {}).keys() for changes in variants.values()))
    for i, fault in enumerate(scenario.faults):
        found = _idle(fault, scenario, ranges)
        if found is None:
            continue
        key, message, hint, meant = found
        depends = _depends([spec for spec in _laws(fault).values() if spec is not None], scenario.vary)
        switched = any(
            f"{name}.".startswith(f"faults.{i}.") or name.removeprefix("vary.") in depends for name in changed
        )
        if not (meant and switched):
            yield origin.problem(("faults", i, key) if key else ("faults", i), message, hint)


def _laws(fault: PlannedFault) -> dict[str, Spec | None]:
    return {name: getattr(fault, name) for name in ("at", "lasts", "severity", "chance", "count", "rate")}


def _idle(fault: PlannedFault, scenario: Scenario, ranges: Mapping[str, Range]) -> tuple[str, str, str, bool] | None:
    """Return why a fault can never act: key, message, hint, and whether it may be switched off on purpose."""
    least = {name: spec_range(spec, ranges) for name, spec in _laws(fault).items() if spec is not None}
    what = f"{fault.kind} of {fault.target}"
    if least["at"][0] >= scenario.duration:
        return (
            "at",
            f"{what} never acts: it begins at {least['at'][0]:g} s or later",
            (f"a run ends at {scenario.duration:g} s"),
            False,
        )
    if "lasts" in least and least["lasts"][1] <= 0.0:
        return "lasts", f"{what} never acts: it lasts no time", "", True
    if least["severity"] == (0.0, 0.0):
        return "severity", f"{what} never acts: its severity is always 0", "leave the fault out", True
    for name, top in (("chance", 0.0), ("count", 0.5), ("rate", 0.0)):
        if name in least and least[name][1] <= top:
            return name, f"{what} never acts: its {name} is always 0", "leave the fault out", True
    agent = scenario.agent
    blind = agent is not None and not agent.declared.reads_with(agent.settings)
    if blind and (fault.target, fault.kind) == ("agent", "observation_latency"):
        return "", f"{what} never acts: the agent reads nothing", "", False
    return None


def _depends(specs: Iterable[Spec], vary: Mapping[str, Spec]) -> set[str]:
    found: set[str] = set()
    waiting = [name for spec in specs for name in spec.depends]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += list(vary[name].depends) if name in vary else []
    return found


# -- ranges of drawn values --------------------------------------------------------------------------------------------


def drawn_ranges(vary: Mapping[str, Spec]) -> dict[str, Range]:
    """Return the least and largest value that each drawn number can have; `vary` is in order of dependence."""
    found: dict[str, Range] = {}
    for name, spec in vary.items():
        found[name] = spec_range(spec, found)
    return found


def spec_range(spec: Spec, ranges: Mapping[str, Range]) -> Range:
    """Return the least and largest value of a distribution; ±inf where it has none or it is not known."""
    match spec:
        case Constant(value=value):
            return ANY if isinstance(value, str) else (float(value), float(value))
        case Expr(text=text):
            return value_range(compiled(text), ranges)
        case Choice(options=options) if not spec.words:
            pairs: Iterable[tuple[Any, float]] = zip(options, spec.weights, strict=True)
            numbers = [float(one) for one, weight in pairs if weight > 0.0]
            return min(numbers), max(numbers)
        case Mixture(components=components):
            parts = [spec_range(part, ranges) for part in components]
            return min(low for low, _ in parts), max(high for _, high in parts)
        case Empirical():
            try:
                figures = spec.figures()
            except MischanceError:
                return ANY
            ends = sorted((figures[0] * spec.scale + spec.shift, figures[-1] * spec.scale + spec.shift))
            return ends[0], ends[1]
        case Parametric(given=given):
            return _support(spec, [spec_range(part, ranges) for part in given])
    return ANY


def _support(spec: Parametric, args: Sequence[Range]) -> Range:
    convert: Callable[..., Sequence[Any]] | None = spec.form.convert
    found: list[float] = []
    for corner in set(product(*args)):
        try:
            plain = tuple(convert(math, *corner)) if convert else corner
            found += map(float, spec.law.support(*plain))
        except (ArithmeticError, ValueError):
            return ANY
    return ANY if any(map(math.isnan, found)) else (min(found), max(found))


def _flags(scenario: Scenario) -> dict[str, Range]:
    """Return the range of the world's signals and measures that are true or false."""
    found: dict[str, Range] = {}
    world = scenario.simulator
    signals = world.declared.signals(world.settings) if world.declared.signals is not None else {}
    for schema in (signals, world.declared.measures):
        if isinstance(schema, Mapping):
            found |= {name: MAYBE for name, column in schema.items() if column.dtype == "bool"}
    return found


# -- sensors -----------------------------------------------------------------------------------------------------------


def _sensors(scenario: Scenario, origin: Origin) -> Iterator[Problem]:
    reads = agent_reads(scenario)
    unread = [name for name, one in scenario.sensors.items() if name not in reads and not one.declared.images]
    if not unread:
        return
    with tempfile.TemporaryDirectory(prefix="mischance-") as folder:
        writers = [
            (one.declared.keeps, one.cls(one.settings, Path(folder)))
            for one in scenario.writers
            if one.declared.keeps is not None
        ]
        for name in unread:
            if not any(keeps(writer, f"sensors/{name}") for keeps, writer in writers):
                yield origin.problem(
                    ("sensors", name), f"nothing reads '{name}': no agent does, and no format of `write` stores it",
                    "leave it out, or store it with `write: [parquet]`", at_key=True,
                )  # fmt: skip


def agent_reads(scenario: Scenario) -> frozenset[str]:
    """Return the sensors that the scenario's agent looks at."""
    agent = scenario.agent
    return frozenset() if agent is None else frozenset(agent.declared.reads_with(agent.settings))


__all__ = ["Written", "agent_reads", "drawn_ranges", "spec_range", "unused"]
