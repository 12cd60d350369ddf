"""Worlds of worlds: what several worlds on one clock declare together, each part under its world's name.

Names of a world's tables, targets, labels, events and random streams get the world's name and a dot before them,
names of its measures the world's name and an underscore, so that they can stand in expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mischance.api.protocols import MANY, Declared
from mischance.api.requirements import DefaultRequirement
from mischance.api.tables import Column, Schema
from mischance.language.link import Link
from mischance.language.scenario import PlugIn, WorldsSettings
from mischance.language.temporal.requirement import renamed

LINK_EVENTS = ("threshold", "driven")
"""Kinds of event of the links themselves: a signal is beyond a threshold, or has begun to drive a fault."""


WORLD = "world"
"""Column of commands that says for which of several worlds a row is."""


def measure_name(world: str, measure: str) -> str:
    """Return the name of a world's measure in a scenario of several worlds."""
    return f"{world}_{measure}"


def join_worlds(parts: Mapping[str, PlugIn]) -> PlugIn:
    """Return the plug-in that several worlds are together; `parts` by name, at least one."""
    settings = WorldsSettings(of={name: part.settings for name, part in parts.items()})
    kind = "+".join(sorted({part.kind for part in parts.values()}))
    drawn = frozenset[str]().union(*(part.drawn for part in parts.values()))
    tree = {name: part.tree for name, part in parts.items()}
    return PlugIn("worlds", kind, Together, _declared(parts), tree, settings, drawn, parts=parts)


class Together:
    """Stands for the class of several worlds or agents, which the player makes of its parts."""


def join_agents(members: Mapping[str, PlugIn]) -> PlugIn:
    """Return the plug-in that the agents of several worlds are together; `members` by name, '' for a single one."""

    def reads(settings: Any) -> Sequence[str]:
        return [key for name, one in members.items() for key in one.declared.reads_with(settings.of[name])]

    def rate(settings: Any) -> float:
        return max(one.declared.rate_with(settings.of[name]) for name, one in members.items())

    def check(settings: Any) -> None:
        for name, one in members.items():
            if one.declared.check is not None:
                one.declared.check(settings.of[name])

    own = [one.declared for one in members.values()]
    declared = Declared(
        settings=WorldsSettings,
        needs=tuple(dict.fromkeys(need for one in own for need in one.needs)),
        batch=min(one.batch_with(part.settings, MANY) for one, part in zip(own, members.values(), strict=True)),
        reads=reads,
        rate=rate,
        check=check,
        finish=lambda crew, readings, t: crew.finish(readings, t) if any(one.finish for one in own) else None,
        failures=lambda crew: crew.failures(),
    )
    drawn = frozenset[str]().union(*(part.drawn for part in members.values()))
    kind = "+".join(sorted({part.kind for part in members.values()}))
    settings = WorldsSettings(of={name: part.settings for name, part in members.items()})
    tree = {name: part.tree for name, part in members.items()}
    return PlugIn("agents", kind, Together, declared, tree, settings, drawn, parts=members)


def commanded(parts: Mapping[str, PlugIn]) -> list[str]:
    """Return the names of the worlds that take commands."""
    return [name for name, part in parts.items() if part.declared.commands]


def play_order(worlds: Iterable[str], links: Sequence[Link]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the order in which worlds are advanced, and the worlds on a circle of links that take no time.

    A world comes after all that lead to it, in the order of the scenario where links leave that open; in a circle of
    links, after those alone that lead to it without time.
    """
    left, order = list(worlds), list[str]()
    instant = [link for link in links if link.after == 0]
    while left:
        for some in (links, instant):
            led = {link.world for link in some if link.source in left and link.source != link.world}
            free = next((name for name in left if name not in led), None)
            if free is not None:
                break
        else:
            circle = set(left)
            while ends := circle - {link.source for link in instant if link.world in circle}:
                circle -= ends  # what leads to nothing is not on a circle
            return (*order, *left), frozenset(circle)
        left.remove(free)
        order.append(free)
    return tuple(order), frozenset()


def _declared(parts: Mapping[str, PlugIn]) -> Declared:
    own = {name: part.declared for name, part in parts.items()}
    measures: Schema = {
        measure_name(name, measure): column for name, one in own.items() for measure, column in one.measures.items()
    }
    takes = commanded(parts)
    driven = own[takes[0]] if len(takes) == 1 else None
    commands, complete = _commands({name: own[name] for name in takes})
    random = [f"{name}.{component}" for name, one in own.items() for component in one.randomness or ()]

    def max_batch(settings: Any) -> int:
        return min(one.batch_with(settings.of[name], 1) for name, one in own.items())

    def batch_key(settings: Any) -> Hashable:
        return tuple(one.batch_key(settings.of[name]) if one.batch_key else None for name, one in own.items())

    def default_actor(settings: Any) -> str:
        return driven.default_actor_with(settings.of[takes[0]]) if driven else ""

    return Declared(
        settings=WorldsSettings,
        needs=tuple(dict.fromkeys(need for one in own.values() for need in one.needs)),
        batch=min(one.batch or 1 for one in own.values()),
        max_batch=max_batch,
        batch_key=batch_key if any(one.batch_key for one in own.values()) else None,
        max_chunk_seconds=min(one.max_chunk_seconds for one in own.values()),
        measures=measures,
        faults={kind: what for one in own.values() for kind, what in one.faults.items()},
        events=_events(own),
        targets=_targets(own),
        signals=_signals(own),
        requirements=_requirements(own),
        commands=driven.commands if driven else commands,
        complete=driven.complete if driven else complete,
        default_actor=default_actor,
        randomness=None if any(one.randomness is None for one in own.values()) else tuple(random),
    )


def _commands(own: Mapping[str, Declared]) -> tuple[Schema, Callable[[Mapping[str, Any]], Mapping[str, Any]]]:
    """Return the columns of commands to several worlds, each with the name of its world, and what completes a row."""
    if not own:
        return {}, dict
    columns: dict[str, Column] = {WORLD: Column("text", about=f"for whom: {', '.join(own)}")}
    for one in own.values():
        for name, column in one.commands.items():
            columns.setdefault(name, replace(column, null=True, role=""))

    def complete(row: Mapping[str, Any]) -> Mapping[str, Any]:
        one = own.get(str(row.get(WORLD)))
        return row if one is None else one.complete(row)

    return columns, complete


def _events(own: Mapping[str, Declared]) -> tuple[str, ...]:
    """Return the kinds of all worlds and those of links; () where a world does not say its own."""
    if not all(one.events for one in own.values()):
        return ()
    return (*dict.fromkeys(kind for one in own.values() for kind in one.events), *LINK_EVENTS)


def _targets(own: Mapping[str, Declared]) -> Callable[[Any], Sequence[str]] | None:
    if any(one.targets is None for one in own.values()):
        return None

    def targets(settings: Any) -> Sequence[str]:
        return [
            f"{name}.{target}"
            for name, one in own.items()
            if one.targets is not None
            for target in one.targets(settings.of[name])
        ]

    return targets


def _requirements(own: Mapping[str, Declared]) -> dict[str, DefaultRequirement]:
    """Return the default requirements of all worlds, `<world>_<name>`, over the names that they have together."""

    return {
        measure_name(world, name): DefaultRequirement(
            renamed(what.formula, partial(_name_in, world, one)), what.about, partial(_applies, world, what)
        )
        for world, one in own.items()
        for name, what in one.requirements.items()
    }


def _applies(world: str, what: DefaultRequirement, settings: Any) -> bool:
    return what.applies_to(settings.of[world])


def _name_in(world: str, one: Declared, name: str) -> str:
    """Return what a world's measure or signal is called in a scenario of several worlds."""
    return measure_name(world, name) if name in one.measures else f"{world}.{name}"


def _signals(own: Mapping[str, Declared]) -> Callable[[Any], Collection[str]] | None:
    """Return the function that names all signals, as a schema so that their units are checked where they are known."""
    if any(one.signals is None for one in own.values()):
        return None

    def signals(settings: Any) -> Collection[str]:
        found: dict[str, Column] = {}
        for name, one in own.items():
            known = one.signals(settings.of[name]) if one.signals is not None else ()
            for signal in known:
                found[f"{name}.{signal}"] = known[signal] if isinstance(known, Mapping) else Column("category")
        return found

    return signals


__all__ = ["LINK_EVENTS", "WORLD", "commanded", "join_agents", "join_worlds", "measure_name", "play_order"]
