"""Builds a scenario from its tree: validates keys, plug-ins, names and expressions, and collects all problems.

The pydantic model validates the whole tree first; all other checks follow on the plain tree, whatever the model
reports, so that one pass shows all problems.

Long because worlds, agents and sensors are found and checked by one builder, whose results each needs of the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mischance import units
from mischance.api.protocols import declares
from mischance.errors import CatalogError, ScenarioError, shorten, suggest
from mischance.language import catalog
from mischance.language.checks.links import check_links, check_worlds
from mischance.language.checks.plans import PlanChecks
from mischance.language.distributions import parsing as distributions
from mischance.language.origin import Origin, Path_
from mischance.language.scenario import REFERENCE, PlugIn, Scenario, ScenarioModel, Split, fill, validate
from mischance.language.temporal.requirement import Requirement
from mischance.language.worlds import join_agents, join_worlds
from mischance.language.yaml.findings import Finding, problems_of


def build(tree: dict[str, Any], origin: Origin) -> Scenario:
    """Check a merged tree and return the scenario.

    Args:
        tree: plain values, as `document.read` gives them.
        origin: positions of the values, and the problems found so far.

    Raises:
        ScenarioError: all problems, sorted by position.
    """
    model: ScenarioModel | None = None
    try:
        checked = validate(ScenarioModel, tree)
        assert isinstance(checked, ScenarioModel)
        model = checked
    except ValidationError as error:
        for finding in problems_of(error, tree, ScenarioModel):
            path, message, hint, at_key = _for_whole(finding, tree)
            origin.add(path, message, hint, at_key=at_key)
    builder = _Builder(tree, origin)
    vary = builder.vary()
    builder.plugins()
    builder.variants()
    faults = builder.faults()
    event = builder.event()
    constraints = builder.constraints()
    require = builder.require()
    builder.names()
    correlation = builder.correlate()
    plan = builder.plan(constraints)
    split = builder.split(model)
    origin.raise_if_any()
    if model is None or builder.simulator is None:
        raise ScenarioError([origin.problem((), "not a scenario")])
    resolved, files = builder.resolved(model)
    return Scenario(
        name=model.name,
        about=model.about,
        tags=tuple(model.tags),
        seed=model.seed,
        duration=model.duration,
        vary=vary,
        simulator=builder.simulator,
        agent=builder.agent,
        sensors=builder.sensors,
        faults=faults,
        event=event,
        constraints=constraints,
        require=require,
        by_default=frozenset(name for name, text in builder.defaults().items() if _text_of(require, name) == text),
        measure=tuple(model.measure) if model.measure is not None else None,
        split=Split(split.by, split.train, split.val, split.test),
        writers=tuple(builder.writers.values()),
        tree=resolved,
        correlation=correlation,
        plan=plan,
        files=files,
        begins=model.begins or "",
        exposure=model.exposure,
    )


def _text_of(require: Mapping[str, Requirement], name: str) -> str:
    return require[name].text if name in require else ""


def _for_whole(finding: Finding, tree: Mapping[str, Any]) -> Finding:
    """Add a hint to a finding about a top-level key."""
    path, message, hint, at_key = finding
    value: Any = tree
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return finding
    if isinstance(value, str) and not hint and not at_key:
        if REFERENCE.fullmatch(value):
            hint = "a drawn value can stand in plug-ins and faults, and in other distributions"
        elif path[0] in ("simulator", "agent") or (path[0] in ("sensors", "worlds") and len(path) == 2):
            hint = f"write {{kind: {value}}}" if len(value) <= 40 and value.isprintable() else ""
    return Finding(path, message, hint, at_key)


class _Builder(PlanChecks):
    """Checks drawn values and plug-ins before the checks of its base class, and writes the resolved tree after them."""

    # -- drawn values ---------------------------------------------------------------------------------------------

    def vary(self) -> dict[str, distributions.Spec]:
        """Parse `vary` and return it in order of dependence."""
        self.specs = {}
        for name, tree in self.mapping("vary").items():
            spec = self.law(tree, ("vary", name))
            if spec is not None:
                self.specs[name] = spec
            self.drawn_name(name)
        ordered: dict[str, distributions.Spec] = {}
        waiting = dict(self.specs)
        while waiting:
            ready = [name for name, spec in waiting.items() if not (spec.depends & waiting.keys())]
            if not ready:
                cycle = _cycle({name: spec.depends & waiting.keys() for name, spec in waiting.items()})
                self.origin.add(("vary", cycle[0]), "these values depend on each other: " + " -> ".join(cycle))
                break
            for name in ready:
                ordered[name] = waiting.pop(name)
        self.specs = {**ordered, **waiting}
        self._typical(ordered)
        return ordered

    def _typical(self, ordered: dict[str, distributions.Spec]) -> None:
        """Find a typical value of every drawn value that settings use, to check the settings before sampling.

        `middling` has the unit of a value with a dimension, so that a setting of another dimension refuses it.
        """
        used = {name for _, name in _references(self.tree)}
        for name in reversed(ordered):
            used |= ordered[name].depends if name in used else frozenset()
        plain: dict[str, Any] = {}
        for name in (name for name in ordered if name in used):
            try:
                plain[name] = ordered[name].typical(plain)
            except Exception:  # typical values may be invalid together: sampling reports what is wrong
                plain[name] = 1.0
        self.plain = plain
        self.middling = {
            name: f"{value!r} {units.SI[dimension]}" if (dimension := self.dimension(name)) in units.SI else value
            for name, value in plain.items()
        }

    # -- plug-ins -------------------------------------------------------------------------------------------------

    def plugins(self) -> None:
        """Find every plug-in and check its settings."""
        if self.tree.get("worlds"):
            self.simulator = self.worlds()
        else:
            self.simulator = self.plugin("simulators", self.tree.get("simulator"), ("simulator",))
            if self.tree.get("simulator") is None:
                self.origin.add(("simulator",), "is missing")
            if self.entries("links"):
                self.origin.add(("links",), "links go between `worlds`, and there are none", at_key=True)
        self.agent = self._agents() if self.tree.get("agents") else self._agent()
        for name, tree in self.mapping("sensors").items():
            sensor = self.plugin("sensors", tree, ("sensors", name))
            if sensor is not None:
                self.sensors[name] = sensor
        given = self.tree.get("write", ["parquet"])
        for i, tree in enumerate(given if isinstance(given, list) else ()):
            path: Path_ = ("write", i)
            writer = self.plugin("writers", {"kind": tree} if isinstance(tree, str) else tree, path)
            if writer is not None and writer.kind in self.writers:
                self.origin.add(path, f"{shorten(writer.kind)} occurs twice", "keep one of them")
            elif writer is not None:
                self.writers[writer.kind] = writer

    def _agent(self) -> PlugIn | None:
        """Find the agent; one that names its world is alone in a crew."""
        agent = self.plugin("agents", self.tree.get("agent"), ("agent",))
        return join_agents({"": agent}) if agent is not None and agent.world else agent

    def _agents(self) -> PlugIn | None:
        """Find the agents of several worlds."""
        if self.tree.get("agent") is not None:
            self.origin.add(("agents",), "a scenario has either `agent` or `agents`", at_key=True)
        found = {n: self.plugin("agents", tree, ("agents", n)) for n, tree in self.mapping("agents").items()}
        if not self.mapping("worlds"):
            self.origin.add(("agents",), "agents of several worlds need `worlds`", "write `agent`", at_key=True)
            return None
        members = {name: one for name, one in found.items() if one is not None}
        if len(members) < len(found) or any(not one.world for one in members.values()):
            return None
        rates = {name: one.declared.rate_with(one.settings) for name, one in members.items()}
        most = max(rates.values())
        for name, rate in rates.items():
            if abs(most / rate - round(most / rate)) > 1e-9:
                message = f"acts at {rate:g} Hz, which does not divide the {most:g} Hz of another agent"
                self.origin.add(("agents", name), message, at_key=True)
        return join_agents(members)

    def _world_of(self, room: str, tree: Mapping[str, Any], path: Path_) -> str:
        """Return in which of several worlds an agent or a sensor stands; note a problem."""
        worlds, name = self.mapping("worlds"), tree.get("world")
        if not worlds or room not in ("agents", "sensors"):
            return ""
        if name is None:
            if room == "sensors" or path[0] == "agents":
                hint = f"`world:` is one of {', '.join(worlds)}"
                self.origin.add(path, "does not say in which of the worlds it stands", hint, at_key=True)
        elif name not in worlds:
            hint = suggest(str(name), worlds) or f"known: {', '.join(worlds)}"
            self.origin.add((*path, "world"), f"no world is called {shorten(name)}", hint)
        elif room == "agents" and name in self.parts and not self.parts[name].commands:
            takes = [key for key, part in self.parts.items() if part.commands]
            hint = f"those that do: {', '.join(takes)}" if takes else ""
            self.origin.add((*path, "world"), f"{shorten(name)} takes no commands", hint)
        else:
            return str(name)
        return ""

    def worlds(self) -> PlugIn | None:
        """Find the worlds of a scenario of several, and check them and their links."""
        if self.tree.get("simulator") is not None:
            hint = "move the world of `simulator` into `worlds`, under a name"
            self.origin.add(("worlds",), "a scenario has either `simulator` or `worlds`", hint, at_key=True)
        found = {
            name: self.plugin("simulators", tree, ("worlds", name)) for name, tree in self.mapping("worlds").items()
        }
        parts = {name: part for name, part in found.items() if part is not None}
        self.world = None
        if not parts or len(parts) < len(found):
            return None
        check_worlds(self, parts)
        joined = self.simulator = join_worlds(parts)
        self.world, self.parts = joined.declared, {name: part.declared for name, part in parts.items()}
        return replace(joined, links=check_links(self, parts))

    def plugin(self, room: str, tree: object, path: Path_) -> PlugIn | None:
        """Find one plug-in and check its settings with typical drawn values."""
        if not isinstance(tree, dict):
            return None  # reported by the model
        kind = tree.get("kind")
        if not isinstance(kind, str):
            got = f" (got {shorten(kind)})" if "kind" in tree else ""
            message = f"`kind` must be text{got}" if got else "`kind` is missing: it names the plug-in"
            self.origin.add((*path, "kind") if got else path, message, f"`mischance list {room}` shows them")
            return None
        try:
            cls = catalog.find(room, kind, self.origin.folder((*path, "kind")))
        except CatalogError as error:
            default = " (`parquet` is written where `write` does not stand)" if path[0] not in self.tree else ""
            named = isinstance(self.at(path), dict)
            self.origin.add((*path, "kind") if named else path, error.message + default, error.hint)
            return None
        declared = declares(cls)
        code = catalog.user_code(room, kind, self.origin.folder((*path, "kind")))
        if room == "simulators":
            self.world = declared
        elif room == "sensors":
            self.instruments[str(path[-1])] = declared
        world = self._world_of(room, tree, path)
        apart = ("kind", "world") if self.mapping("worlds") and room in ("agents", "sensors") else ("kind",)
        settings = {key: value for key, value in tree.items() if key not in apart}
        renderer, drawer = None, settings.get(declared.renderer)
        if isinstance(drawer, dict):  # the sensor's own settings have the renderer's name alone
            renderer = self.plugin("renderers", drawer, (*path, declared.renderer))
            settings[declared.renderer] = renderer.kind if renderer is not None else ""
        references = dict(_references(settings))
        unknown = {inside for inside, name in references.items() if self.unknown({name}, (*path, *inside))}
        filled = fill(settings, self.middling)
        try:
            checked = validate(declared.settings, filled)
            if references:  # as in a run: a number with a unit could pass as a text
                filled = fill(settings, self.plain)
                checked = validate(declared.settings, filled)
        except ValidationError as error:
            for finding in problems_of(error, filled, declared.settings):
                name = references.get(finding.path)
                if name is None or name in self.middling:  # other names have been reported
                    message = self._as_drawn(finding.message, name)
                    self.origin.add((*path, *finding.path), message, finding.hint, at_key=finding.at_key)
            return None
        plain = _with_references(checked.model_dump(mode="json", by_alias=True), settings)
        lost = references.keys() - dict(_references(plain)).keys()
        for inside in sorted(lost, key=str):
            self.origin.add((*path, *inside), "a drawn value cannot stand here")
        if declared.renderer and plain[declared.renderer] and renderer is None:
            renderer = self.plugin("renderers", {"kind": plain[declared.renderer]}, (*path, declared.renderer))
        if lost or unknown:
            return None
        drawn = frozenset(references.values()) | (renderer.drawn if renderer is not None else frozenset())
        return PlugIn(room, kind, cls, declared, plain, checked, drawn, renderer, code=code, world=world)

    def _as_drawn(self, message: str, name: str | None) -> str:
        """Name the drawn value in a message about its typical value."""
        if name is None or name not in self.middling:
            return message
        value = self.middling[name]
        number = f"about {float(value):.4g}" if isinstance(value, float) else f"about {value}"
        about = f"a word such as '{value}'" if self.specs[name].words else number
        if isinstance(value, str) and not self.specs[name].words:
            digits, _, unit = value.partition(" ")
            about = f"about {float(digits):.4g} {unit}"
        return f"{message.partition(' (got ')[0]} (got '${name}', which is {about})"

    # -- the resolved tree ----------------------------------------------------------------------------------------

    def resolved(self, model: ScenarioModel) -> tuple[dict[str, Any], dict[str, Path]]:
        """Return the tree with every default written out, and the user's files that it refers to."""
        files: dict[str, Path] = {}
        tree: dict[str, Any] = {
            "mischance": model.mischance,
            "name": model.name,
            "about": model.about,
            "tags": list(model.tags),
            "seed": model.seed,
            **({"begins": model.begins} if model.begins else {}),
            "duration": model.duration,
            "vary": {name: _dump(spec, files) for name, spec in self.specs.items()},
            **self._worlds(files),
        }
        if self.agent and self.agent.parts.keys() - {""}:
            members = self.agent.parts.items()
            tree["agents"] = {name: self._dump(one, ("agents", name), files) for name, one in members}
        elif self.agent:
            tree["agent"] = self._dump(self.agent.parts.get("", self.agent), ("agent",), files)
        tree["sensors"] = {name: self._dump(s, ("sensors", name), files) for name, s in self.sensors.items()}
        tree["faults"] = [
            {key: _dump(part, files) if isinstance(part, distributions.Spec) else part for key, part in fault.items()}
            for fault in self.planned
        ]
        require = {**self.defaults(), **model.require}
        asked = {"require": require, "constraints": model.constraints, "measure": model.measure}
        tree.update((key, value) for key, value in asked.items() if value)
        if model.event:
            given = {"margin": model.event.margin, "level": model.event.level}
            given = {key: value for key, value in given.items() if value is not None}
            tree["event"] = {"name": model.event.name, "when": model.event.when, **given}
        if model.correlate:
            tree["correlate"] = {"gaussian": [list(pair) for pair in model.correlate.gaussian]}
        if model.exposure:
            tree["exposure"] = model.exposure.model_dump(exclude_defaults=True)
        if model.plan:
            points = {"grid": self.grid or None, "lhs": model.plan.lhs, "sobol": model.plan.sobol}
            tree["plan"] = {key: value for key, value in points.items() if value is not None}
        split = model.split
        tree["split"] = {"by": split.by, "train": split.train, "val": split.val, "test": split.test}
        tree["write"] = [self._dump(writer, ("write", i), files) for i, writer in enumerate(self.writers.values())]
        return tree, files

    def _worlds(self, files: dict[str, Path]) -> dict[str, Any]:
        """Return the tree of the world, or of several with their links."""
        assert self.simulator is not None
        if not self.simulator.parts:
            return {"simulator": self._dump(self.simulator, ("simulator",), files)}
        parts = {name: self._dump(part, ("worlds", name), files) for name, part in self.simulator.parts.items()}
        return {"worlds": parts, "links": [link.tree() for link in self.simulator.links]}

    def _dump(self, plugin: PlugIn | None, path: Path_, files: dict[str, Path]) -> dict[str, Any]:
        """Return a plug-in's tree; paths of its file and its renderer's are those of the copies in a dataset."""
        assert plugin is not None
        tree = {"kind": plugin.kind, **({"world": plugin.world} if plugin.world else {}), **plugin.tree}
        file = catalog.reference_file(plugin.kind, self.origin.folder((*path, "kind")))
        if file is not None:
            tree["kind"] = f"{_kept(file, files)}:{plugin.kind.rpartition(':')[2]}"
        if plugin.renderer is not None:
            key = plugin.declared.renderer
            tree[key] = self._dump(plugin.renderer, (*path, key), files)
        return tree


def _dump(spec: distributions.Spec, files: dict[str, Path]) -> Any:
    """Return a distribution's tree; paths of data files are those of the copies in a dataset."""
    names = {name: _kept(path, files) for name, path in spec.files().items()}

    def renamed(tree: Any) -> Any:
        if isinstance(tree, list):
            return [renamed(value) for value in tree]
        if not isinstance(tree, dict):
            return tree
        result = {key: renamed(value) for key, value in tree.items()}
        data = result.get("empirical")
        if isinstance(data, dict) and data.get("file") in names:
            result["empirical"] = {**data, "file": names[data["file"]]}
        return result

    return renamed(spec.dump()) if names else spec.dump()


def _kept(path: Path, files: dict[str, Path]) -> str:
    name, n = f"inputs/{path.name}", 1
    while name in files and files[name].resolve() != path.resolve():
        n += 1
        name = f"inputs/{path.stem}_{n}{path.suffix}"
    files[name] = path
    return name


def _cycle(edges: Mapping[str, frozenset[str]]) -> list[str]:
    """Return one cycle of a graph in which every node is on a cycle or leads to one."""
    walk = [next(iter(edges))]
    while True:
        after = min(edges[walk[-1]])
        if after in walk:
            return [*walk[walk.index(after) :], after]
        walk.append(after)


def _references(tree: Any, path: Path_ = ()) -> Iterator[tuple[Path_, str]]:
    """Yield (path, name) of every `$name` in a tree."""
    if isinstance(tree, str):
        if REFERENCE.fullmatch(tree):
            yield path, tree[1:]
        return
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        if isinstance(value, str | dict | list):
            yield from _references(value, (*path, key))


def _with_references(plain: Any, written: Any) -> Any:
    """Put the `$name`s of the written settings back into the dumped ones."""
    if isinstance(written, str) and REFERENCE.fullmatch(written):
        return written
    if isinstance(plain, dict) and isinstance(written, dict):
        return {key: _with_references(value, written.get(key)) for key, value in plain.items()}
    if isinstance(plain, list) and isinstance(written, list) and len(plain) == len(written):
        return [_with_references(value, given) for value, given in zip(plain, written, strict=True)]
    return plain


__all__ = ["build"]
