"""Checks of `worlds` and `links`: the worlds' names, and what a link leads from and to, with units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mischance import units
from mischance.api.tables import Column, entity_column
from mischance.errors import UnitError, shorten, suggest
from mischance.language.distributions.specs import Constant
from mischance.language.link import Link
from mischance.language.scenario import PlugIn
from mischance.language.worlds import measure_name, play_order

if TYPE_CHECKING:
    from mischance.api.protocols import FaultKind
    from mischance.language.checks.faults import FaultChecks
    from mischance.language.origin import Path_

TAKEN = ("agent", "agents", "sensors", "link")  # first words of targets and of ids

# Which keys a link may have beside from, to, kind and after, by what it begins with and what it leads to.
KEYS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("event", "fault"): ("subject", "severity", "lasts"),
    ("event", "command"): ("subject", "value"),
    ("threshold", "fault"): ("above", "below", "clear", "hold", "severity", "lasts"),
    ("threshold", "command"): ("above", "below", "clear", "hold", "value"),
    ("signal", "fault"): ("map", "every"),
    ("signal", "command"): ("map", "every"),
}


def check_worlds(checks: FaultChecks, parts: Mapping[str, PlugIn]) -> None:
    """Note names of worlds that mean something else, measures of two worlds with one name."""
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


def check_links(checks: FaultChecks, parts: Mapping[str, PlugIn]) -> tuple[Link, ...]:
    """Return the links that are sound; note the problems of the others."""
    found = []
    for i, entry in enumerate(checks.entries("links")):
        if isinstance(entry, dict):
            link = _Entry(checks, parts, entry, ("links", i)).link()
            if link is not None:
                found.append((i, link))
    links = tuple(link for _, link in found)
    circle = play_order(parts, links)[1]
    if circle:
        i = next(i for i, link in reversed(found) if link.after == 0 and {link.source, link.world} <= circle)
        path: Path_ = ("links", i, "after")
        message = f"links that take no time form a circle through {' and '.join(sorted(circle))}"
        checks.origin.add(path, message, "give one of them an `after` of more than 0 s")
    return links


class _Beginning(NamedTuple):
    """What a link begins with: an event, or a signal with its column, None where its unit is not known."""

    form: str  # event, threshold or signal
    name: str
    column: Column | None = None


class _Entry:
    """One entry of `links`; `link` checks it."""

    def __init__(self, checks: FaultChecks, parts: Mapping[str, PlugIn], entry: Mapping[str, Any], path: Path_) -> None:
        self.checks, self.parts, self.entry, self.path = checks, parts, entry, path

    def problem(self, key: str, message: str, hint: str = "", *, at_key: bool = False) -> None:
        self.checks.origin.add((*self.path, key), message, hint, at_key=at_key)

    def given(self, key: str) -> bool:
        return self.entry.get(key) is not None

    def link(self) -> Link | None:
        """Return the link, or None where something of it is wrong."""
        before = len(self.checks.origin.problems)
        source, name = _world(self.checks, self.parts, self.entry.get("from"), (*self.path, "from"), "an event")
        world, inside = _world(self.checks, self.parts, self.entry.get("to"), (*self.path, "to"), "a target")
        kind = self.entry.get("kind")
        begins = self._begins(source, name) if source else None
        if not world or begins is None or not (kind is None or isinstance(kind, str)):
            return None
        leads = "command" if kind is None else "fault"
        allowed = KEYS[begins.form, leads]
        for key in sorted(set().union(*KEYS.values()) - set(allowed)):
            if self.given(key):
                what = {"event": "an event", "threshold": "a threshold", "signal": "a signal"}[begins.form]
                hint = f"it takes {', '.join(allowed)}"
                self.problem(key, f"a link from {what} to a {leads} has no `{key}`", hint, at_key=True)
        own: dict[str, Any] = {
            "source": source, "world": world, "subject": self.entry.get("subject") or "",
            "event" if begins.form == "event" else "signal": begins.name,
            **self._times(),
        }  # fmt: skip
        own |= (
            self._fault(world, inside, str(kind), begins) if leads == "fault" else self._command(world, inside, begins)
        )
        if begins.form == "threshold":
            own |= self._threshold(begins.column)
        if own["after"] == 0 and source == world:
            self.problem("after", "a link of a world to itself takes time", "give an `after` of more than 0 s")
        return Link(**own) if len(self.checks.origin.problems) == before and None not in own.values() else None

    def _begins(self, source: str, name: str) -> _Beginning | None:
        """Return what the link begins with."""
        told = self.parts[source].declared
        known = told.signals(self.parts[source].settings) if told.signals is not None else ()
        beyond = self.given("above") or self.given("below")
        if name in told.events:
            return _Beginning("event", name)
        if name in known:
            column = known[name] if isinstance(known, Mapping) else None
            if column is not None and column.dtype in ("category", "text", "utf8"):
                self.problem("from", f"{shorten(name)} is no number")
                return None
            return _Beginning("threshold" if beyond else "signal", name, column)
        message = f"{shorten(source)} tells no event and has no signal {shorten(name)}"
        if not told.events and not known:
            message = f"{shorten(source)} declares neither the events that it tells nor signals"
        both = [*told.events, *known]
        self.problem("from", message, suggest(name, both) or (f"known: {_some(both)}" if both else ""))
        return None

    def _times(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, default in (("after", 0.1), ("every", 0.1), ("hold", 0.0), ("lasts", None)):
            try:
                given = self.entry.get(key)
                found[key] = default if given is None else float(units.Unit("time").read(given))
            except UnitError:
                found[key] = default  # reported by the model
        if found["lasts"] is None:
            del found["lasts"]
        return found

    def _threshold(self, column: Column | None) -> dict[str, Any]:
        if self.given("above") and self.given("below"):
            self.problem("below", "a threshold is either `above` or `below`", at_key=True)
        key = "above" if self.given("above") else "below"
        dimension = column_dimension(column)
        limit = self._number(key, self.entry[key], dimension)
        clear = self._number("clear", self.entry["clear"], dimension) if self.given("clear") else limit
        rising = key == "above"
        if limit is not None and clear is not None and (clear > limit if rising else clear < limit):
            side = "above" if rising else "below"
            self.problem("clear", f"the signal would end what begins {side} {limit:g} while it is still there")
        return {"threshold": limit, "clear": clear, "rising": rising}

    def _fault(self, world: str, target: str, kind: str, begins: _Beginning) -> dict[str, Any]:
        if self.parts[world].declared.inject is None:
            self.problem("to", f"{shorten(world)} takes no fault while it runs", "its class has no `inject`")
        known = self.checks.fault_kind(f"{world}.{target}", kind, self.path, key="to")
        own: dict[str, Any] = {"target": target, "kind": kind}
        dimension = severity_dimension(known)
        if begins.form == "signal":
            return {**own, "map": self._map(begins.column, dimension, "severity")}
        default = None if known is None else float(known.default)
        given = self.given("severity")
        return {**own, "value": self._number("severity", self.entry["severity"], dimension) if given else default}

    def _command(self, world: str, inside: str, begins: _Beginning) -> dict[str, Any]:
        declared = self.parts[world].declared
        columns = declared.commands
        if not columns:
            self.problem("to", f"{shorten(world)} takes no commands", "a fault needs its `kind`")
            return {"target": None}
        actor, _, name = inside.rpartition(".")
        entity = entity_column(columns)
        settable = [key for key, column in columns.items() if key != entity]
        if name not in settable:
            hint = suggest(name, settable) or f"known: {_some(settable)}"
            self.problem("to", f"{shorten(world)} has no command {shorten(name)}", hint)
            return {"target": None}
        own: dict[str, Any] = {"target": self._actor(world, actor, entity), "column": name}
        column = columns[name]
        number = column.dtype not in ("category", "text", "utf8")
        if begins.form == "signal":
            if not number or column.dtype == "bool":
                self.problem("to", f"a signal cannot drive {shorten(name)}, which is no number")
            return {**own, "map": self._map(begins.column, column_dimension(column), "command")}
        if not self.given("value"):
            self.problem("to", f"a command needs a `value` for {shorten(name)}", "a fault needs its `kind`")
            return {**own, "value": None}
        value = self.entry["value"]
        if not number and not isinstance(value, str):
            self.problem("value", f"must be a word (got {shorten(value)})")
        elif column.dtype == "category" and value not in column.names:
            hint = suggest(value, column.names) or f"known: {_some(column.names)}"
            self.problem("value", f"{shorten(name)} is never {shorten(value)}", hint)
        if not number:
            return {**own, "value": value if isinstance(value, str) else None}
        if isinstance(value, bool) and column.dtype == "bool":
            return {**own, "value": float(value)}
        return {**own, "value": self._number("value", value, column_dimension(column))}

    def _actor(self, world: str, actor: str, entity: str) -> str | None:
        """Return whom a command is for, '' = nobody, None where that is wrong."""
        part = self.parts[world]
        if not entity:
            if actor:
                self.problem("to", f"commands of {shorten(world)} name nobody (got {shorten(actor)})")
            return None if actor else ""
        default = part.declared.default_actor_with(part.settings)
        known = part.declared.signals(part.settings) if part.declared.signals is not None else ()
        actors = sorted({signal.rpartition(".")[0] for signal in known} - {""})
        if not actor and not default:
            hint = f"known: {_some(actors)}" if actors else "write it as <world>.<actor>.<column>"
            self.problem("to", "a command of this world says for whom it is", hint)
            return None
        if actor and actors and actor not in actors:
            hint = suggest(actor, actors) or f"known: {_some(actors)}"
            self.problem("to", f"nobody in {shorten(world)} is called {shorten(actor)}", hint)
            return None
        return actor or default

    def _map(self, column: Column | None, out: str | None, what: str) -> tuple[tuple[float, float], ...] | None:
        """Return the points by which a signal drives something, or () where it does so as it is."""
        inside = column_dimension(column)
        if not self.given("map"):
            if inside is not None and out is not None and inside != out:
                has = units.called(inside) if inside else "a plain number"
                wants = units.called(out) if out in units.SI else "a plain number"
                hint = "`map: [[<signal>, <value>], …]` says what leads to what"
                self.problem("from", f"the signal is {has} and the {what} {wants}", hint)
            return ()
        given = self.entry["map"]
        points = []
        for i, pair in enumerate(given if isinstance(given, list) else ()):
            if not isinstance(pair, list) or len(pair) != 2:
                return None  # reported by the model
            x, y = (
                self._number("map", value, dimension, i, j)
                for j, (value, dimension) in enumerate(zip(pair, (inside, out), strict=True))
            )
            if x is None or y is None:
                return None
            points.append((x, y))
        for i in range(1, len(points)):
            if not points[i][0] > points[i - 1][0]:
                path = (*self.path, "map", i, 0)
                self.checks.origin.add(path, f"must be more than {points[i - 1][0]:g}, the one before it")
                return None
        return tuple(points)

    def _number(self, key: str, tree: object, dimension: str | None, *inside: int) -> float | None:
        """Return one number, the same in all runs, in SI units."""
        place: Path_ = (*self.path, key, *inside)
        spec = self.checks.law(tree, place, dimension)
        if spec is None:
            return None
        if not isinstance(spec, Constant) or isinstance(spec.value, str):
            message = f"a link has one {key if not inside else 'map'} for all runs"
            self.checks.origin.add(place, message, "draw that of the fault at its beginning")
            return None
        return float(spec.value)


def column_dimension(column: Column | None) -> str | None:
    """Return the dimension of a column; '' = a plain number, None = nobody says."""
    if column is None:
        return None
    if not column.unit:
        return ""
    scale = units.UNITS.get(column.unit)
    return scale.dimension if scale is not None else None


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:12]) + (" …" if len(listed) > 12 else "")


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
