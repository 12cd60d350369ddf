"""Checks of `worlds` and `links`: the worlds' names, and what a link leads from and to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mischance import units
from mischance.errors import UnitError, shorten, suggest
from mischance.language.distributions.specs import Constant
from mischance.language.scenario import Link, PlugIn
from mischance.language.worlds import commanded, measure_name

if TYPE_CHECKING:
    from mischance.api.protocols import FaultKind
    from mischance.language.checks.faults import FaultChecks
    from mischance.language.origin import Path_

TAKEN = ("agent", "sensors")  # first words of targets


def check_worlds(checks: FaultChecks, parts: Mapping[str, PlugIn]) -> None:
    """Note names of worlds that mean something else, measures of two worlds with one name, and two who obey."""
    for name in parts:
        if name in TAKEN:
            checks.origin.add(
                ("worlds", name), f"'{name}' is the target of other faults", "choose another name", at_key=True
            )
    owners: dict[str, str] = {}
    for name, part in parts.items():
        for measure in part.declared.measures:
            own = measure_name(name, measure)
            if owners.setdefault(own, name) != name:
                message = f"'{own}' would be a measure of '{owners[own]}' too"
                checks.origin.add(("worlds", name), message, "choose another name", at_key=True)
    if checks.tree.get("agent") is not None and len(commanded(parts)) > 1:
        both = " and ".join(f"'{name}'" for name in commanded(parts))
        checks.origin.add(("agent",), f"{both} take commands; an agent can serve one world", at_key=True)


def check_links(checks: FaultChecks, parts: Mapping[str, PlugIn]) -> tuple[Link, ...]:
    """Return the links that are sound; note the problems of the others."""
    found = []
    for i, entry in enumerate(checks.entries("links")):
        if isinstance(entry, dict):
            link = _link(checks, parts, entry, ("links", i))
            if link is not None:
                found.append(link)
    return tuple(found)


def _link(checks: FaultChecks, parts: Mapping[str, PlugIn], entry: Mapping[str, Any], path: Path_) -> Link | None:
    source, event = _world(checks, parts, entry.get("from"), (*path, "from"), "an event")
    world, target = _world(checks, parts, entry.get("to"), (*path, "to"), "a target")
    kind = entry.get("kind")
    if not source or not world or not isinstance(kind, str):
        return None
    told, took = parts[source].declared, parts[world].declared
    if event not in told.events:
        hint = suggest(event, told.events) or ("known: " + ", ".join(told.events) if told.events else "")
        message = (
            f"{shorten(source)} tells no event {shorten(event)}"
            if told.events
            else (f"{shorten(source)} does not declare which events it tells")
        )
        checks.origin.add((*path, "from"), message, hint)
    if took.inject is None:
        checks.origin.add((*path, "to"), f"{shorten(world)} takes no fault while it runs", "its class has no `inject`")
        return None
    known = checks.fault_kind(f"{world}.{target}", kind, path, key="to")
    severity = _severity(checks, entry, known, path)
    try:
        after = units.Unit("time").read(entry.get("after", "0.1 s"))
        lasts = None if entry.get("lasts") is None else units.Unit("time").read(entry["lasts"])
    except UnitError:
        return None  # reported by the model
    if known is None or severity is None:
        return None
    subject = entry.get("subject")
    return Link(
        source, event, subject if isinstance(subject, str) else "", world, target, kind, severity, float(after),
        None if lasts is None else float(lasts),
    )  # fmt: skip


def _world(checks: FaultChecks, parts: Mapping[str, PlugIn], text: Any, path: Path_, what: str) -> tuple[str, str]:
    """Return a world and what is named in it; ('', '') where the text names no world."""
    if not isinstance(text, str):
        return "", ""
    world, dot, inside = text.partition(".")
    if not dot or not inside:
        checks.origin.add(path, f"names {what} of a world (got {shorten(text)})", "write it as <world>.<name>")
    elif world not in parts:
        hint = suggest(world, parts) or "known: " + ", ".join(parts)
        checks.origin.add(path, f"no world is called {shorten(world)}", hint)
    else:
        return world, inside
    return "", ""


def severity_dimension(known: FaultKind | None) -> str | None:
    """Return the dimension of a fault's severity, which is declared by name or by unit; '' = plain, None = any."""
    if known is None:
        return None
    if known.severity in units.UNITS:
        return units.UNITS[known.severity].dimension
    return known.severity if known.severity in ("ratio", *units.SI) else ""


def _severity(checks: FaultChecks, entry: Mapping[str, Any], known: Any, path: Path_) -> float | None:
    if entry.get("severity") is None:
        return float(known.default) if known is not None else None
    place = (*path, "severity")
    spec = checks.law(entry["severity"], place, severity_dimension(known))
    if spec is None:
        return None
    if not isinstance(spec, Constant) or isinstance(spec.value, str):
        checks.origin.add(place, "a link has one severity for all runs", "draw that of the fault at its beginning")
        return None
    return float(spec.value)
