"""From a tree to a Scenario: every key typed, every name looked up, all problems at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mischance import catalog, distributions, units
from mischance._findings import problems_of
from mischance.advice import suggest
from mischance.errors import CatalogError, ExpressionError, ScenarioError
from mischance.expressions import Expression, compile_expression
from mischance.loading import Origin, Path_
from mischance.scenario import (
    EventEntry,
    FaultEntry,
    PlannedFault,
    PlugIn,
    RareEvent,
    Scenario,
    ScenarioModel,
    Split,
    fill,
    validate,
)
from mischance.sockets import declares

UNBUILT = ("require", "correlate", "plan")
OUTCOME = ("event", "margin", "verdict", "reason", "run", "weight", "digest")
REFERENCE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")


def build(tree: dict[str, Any], origin: Origin, base: Path) -> Scenario:
    """Check a merged tree and return the scenario.

    Args:
        tree: plain values, as `document.read` gives them.
        origin: where they were written.
        base: the folder that relative file names start from.

    Raises:
        ScenarioError: everything that is wrong, sorted by place.
    """
    try:
        model = validate(ScenarioModel, tree)
    except ValidationError as error:
        _note(error, origin, (), ScenarioModel, tree)
        model = None
    builder = _Builder(tree, origin, base)
    vary = builder.vary()
    if model is None:
        builder.plugins()
        origin.raise_if_any()
        raise ScenarioError([origin.problem((), "not a scenario")])
    assert isinstance(model, ScenarioModel)
    builder.plugins()
    faults = builder.faults(model.faults)
    event = builder.event(model.event)
    constraints = tuple(
        expression
        for i, text in enumerate(model.constraints)
        if (expression := builder.expression(text, ("constraints", i), set(vary)))
    )
    builder.names(model)
    split = model.split
    if abs(split.train + split.val + split.test - 1) > 1e-9:
        origin.add(("split",), f"the shares must add up to 1 (got {split.train + split.val + split.test:g})")
    origin.raise_if_any()
    assert builder.simulator is not None
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
        measure=tuple(model.measure) if model.measure is not None else None,
        split=Split(split.by, split.train, split.val, split.test),
        writers=builder.writers,
        tree=resolved,
        unbuilt=tuple(key for key in UNBUILT if tree.get(key)),
        files=files,
    )


def _note(error: ValidationError, origin: Origin, prefix: Path_, model: type[BaseModel], tree: object) -> None:
    for path, message, hint, at_key in problems_of(error, tree, model):
        origin.add((*prefix, *path), message, hint, at_key=at_key)


@dataclass(slots=True)
class _Builder:
    tree: Mapping[str, Any]
    origin: Origin
    base: Path
    specs: dict[str, distributions.Spec]
    simulator: PlugIn | None
    agent: PlugIn | None
    sensors: dict[str, PlugIn]
    writers: tuple[PlugIn, ...]

    def __init__(self, tree: Mapping[str, Any], origin: Origin, base: Path) -> None:
        self.tree, self.origin, self.base = tree, origin, base
        self.specs = {}
        self.simulator = self.agent = None
        self.sensors = {}
        self.writers = ()

    # -- drawn values ---------------------------------------------------------------------------------------------

    def law(self, tree: object, path: Path_, dimension: str | None = None) -> distributions.Spec | None:
        """Parse one distribution; note its problems."""
        try:
            spec = distributions.parse(tree, self.base)
        except distributions.TreeError as error:
            for inside, message, hint, at_key in error.problems:
                self.origin.add((*path, *inside), message, hint, at_key=at_key)
            return None
        if dimension is not None and spec.dimension and spec.dimension != dimension:
            wanted = f"a {dimension} [{units.SI[dimension]}]" if dimension in units.SI else "a plain number"
            self.origin.add(path, f"expected {wanted} (got a {spec.dimension})")
        if path[0] != "vary":
            self.unknown(spec.depends, path)
        return spec

    def unknown(self, names: frozenset[str] | set[str], path: Path_) -> None:
        """Note names that nobody draws."""
        known = list(self.tree["vary"]) if isinstance(self.tree.get("vary"), dict) else []
        for name in sorted(names - set(known)):
            hint = suggest(name, known) or ("known: " + ", ".join(known) if known else "`vary` draws nothing")
            self.origin.add(path, f"no drawn value is called '{name}'", hint)

    def vary(self) -> dict[str, distributions.Spec]:
        """Parse `vary` and return it in order of dependence."""
        given = self.tree.get("vary")
        if not isinstance(given, dict):
            return {}
        for name, tree in given.items():
            spec = self.law(tree, ("vary", name))
            if spec is not None:
                self.specs[name] = spec
                self.unknown(spec.depends, ("vary", name))
                if name in OUTCOME:
                    self.origin.add(
                        ("vary", name), f"'{name}' is a column of every dataset", "choose another name", at_key=True
                    )
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
        return ordered

    def typical(self, *, with_units: bool) -> dict[str, float | str]:
        """Return a middling value of every drawn value, to check settings with before anything is drawn."""
        values: dict[str, Any] = {}
        for name, spec in self.specs.items():
            try:
                values[name] = spec.typical(values)
            except Exception:  # a value that only some draws can have: the draw will say so
                values[name] = 1.0
        if not with_units:
            return values
        return {
            name: f"{value!r} {units.SI[dimension]}" if (dimension := self.specs[name].dimension) in units.SI else value
            for name, value in values.items()
        }

    # -- plug-ins -------------------------------------------------------------------------------------------------

    def plugins(self) -> None:
        """Find every plug-in and check its settings."""
        self.simulator = self.plugin("simulators", self.tree.get("simulator"), ("simulator",))
        if self.tree.get("agent") is not None:
            self.agent = self.plugin("agents", self.tree["agent"], ("agent",))
        sensors = self.tree.get("sensors")
        for name, tree in sensors.items() if isinstance(sensors, dict) else ():
            sensor = self.plugin("sensors", tree, ("sensors", name))
            if sensor is not None:
                self.sensors[name] = sensor
        writers: dict[str, PlugIn] = {}
        given = self.tree.get("write", ["parquet"])
        for i, tree in enumerate(given if isinstance(given, list) else ()):
            writer = self.plugin("writers", {"kind": tree} if isinstance(tree, str) else tree, ("write", i))
            if writer is not None:
                writers[writer.kind] = writer
        self.writers = tuple(writers.values())

    def plugin(self, room: str, tree: object, path: Path_) -> PlugIn | None:
        """Find one plug-in and check its settings with middling drawn values."""
        if not isinstance(tree, dict):
            return None  # the model has said so
        kind = tree.get("kind")
        if not isinstance(kind, str):
            self.origin.add(path, "`kind` is missing: it names the plug-in", f"`mischance list {room}` shows them")
            return None
        try:
            cls = catalog.find(room, kind, self.base)
        except CatalogError as error:
            self.origin.add((*path, "kind"), error.message, error.hint)
            return None
        declared = declares(cls)
        settings = {key: value for key, value in tree.items() if key != "kind"}
        drawn = frozenset(name for _, name in _references(settings))
        for inside, name in _references(settings):
            self.unknown({name}, (*path, *inside))
        try:
            checked = validate(declared.settings, fill(settings, self.typical(with_units=True)))
        except ValidationError as error:
            _note(error, self.origin, path, declared.settings, settings)
            return None
        plain = checked.model_dump(mode="json", by_alias=True)
        return PlugIn(room, kind, cls, declared, _with_references(plain, settings), checked, drawn)

    # -- faults, event, names -------------------------------------------------------------------------------------

    def faults(self, entries: list[FaultEntry]) -> tuple[PlannedFault, ...]:
        """Check the planned faults against what their targets know."""
        planned = []
        for i, entry in enumerate(entries):
            kind = self._fault_kind(entry, ("faults", i))
            path: Path_ = ("faults", i)
            asked = [key for key in ("chance", "count", "rate") if getattr(entry, key) is not None]
            if len(asked) > 1:
                self.origin.add(path, f"say one of chance, count and rate (got {' and '.join(asked)})")
            if entry.forced is not None and entry.chance is None:
                self.origin.add((*path, "forced"), "goes with `chance`: it replaces that probability in the draw")
            severity = entry.severity if entry.severity is not None else (kind.default if kind else 1.0)
            laws = {
                "at": self.law(entry.at, (*path, "at"), "time"),
                "lasts": self._maybe(entry.lasts, (*path, "lasts"), "time"),
                "severity": self.law(severity, (*path, "severity"), kind.severity if kind else None),
                "ramp": self.law(entry.ramp, (*path, "ramp"), "time"),
                "chance": self._maybe(entry.chance, (*path, "chance"), "ratio"),
                "count": self._maybe(entry.count, (*path, "count"), ""),
                "rate": self._maybe(entry.rate, (*path, "rate"), "frequency"),
            }
            if laws["at"] and laws["severity"] and laws["ramp"]:
                planned.append(PlannedFault(entry.target, entry.kind, forced=entry.forced, **laws))  # type: ignore[arg-type]
        return tuple(planned)

    def _maybe(self, tree: object, path: Path_, dimension: str) -> distributions.Spec | None:
        return None if tree is None else self.law(tree, path, dimension)

    def _fault_kind(self, entry: FaultEntry, path: Path_) -> Any:
        room, _, name = entry.target.partition(".")
        if room == "sensors":
            if name not in self.sensors:
                if name not in (self.tree.get("sensors") or {}):
                    known = [f"sensors.{key}" for key in self.tree.get("sensors") or {}]
                    self.origin.add((*path, "target"), f"there is no sensor '{name}'", suggest(entry.target, known))
                return None
            kinds = self.sensors[name].declared.faults
        else:
            if self.simulator is None:
                return None
            declared = self.simulator.declared
            kinds = declared.faults
            targets = list(declared.targets(self.simulator.settings)) if declared.targets else None
            if targets is not None and entry.target not in targets:
                known = [*targets, *(f"sensors.{key}" for key in self.sensors)]
                hint = suggest(entry.target, known) or ("known: " + ", ".join(known) if known else "")
                self.origin.add((*path, "target"), f"nothing in this world is called '{entry.target}'", hint)
                return None
        if entry.kind not in kinds:
            hint = suggest(entry.kind, kinds) or ("known: " + ", ".join(kinds) if kinds else "it knows no faults")
            self.origin.add((*path, "kind"), f"'{entry.target}' knows no fault '{entry.kind}'", hint)
            return None
        return kinds[entry.kind]

    def measures(self) -> set[str]:
        """Return the names of the world's measures."""
        return set(self.simulator.declared.measures) if self.simulator else set()

    def event(self, entry: EventEntry | None) -> RareEvent | None:
        """Compile the rare event."""
        if entry is None or self.simulator is None:
            return None
        names = self.measures() | set(self.specs)
        when = self.expression(entry.when, ("event", "when"), names)
        margin = self.expression(entry.margin, ("event", "margin"), names) if entry.margin is not None else None
        return RareEvent(entry.name, when, margin) if when else None

    def expression(self, text: str, path: Path_, names: set[str]) -> Expression | None:
        """Compile an expression; note what is wrong with it and where in it."""
        try:
            return compile_expression(text, names)
        except ExpressionError as error:
            self.origin.add(path, f"column {error.column} of the expression: {error.message}", error.hint)
            return None

    def names(self, model: ScenarioModel) -> None:
        """Check the names that measure, correlate and plan use, and that no two columns share one."""
        measures = self.measures()
        if self.simulator is not None:
            for i, name in enumerate(model.measure or ()):
                if name not in measures:
                    self.origin.add(
                        ("measure", i), f"'{model.simulator['kind']}' has no measure '{name}'", suggest(name, measures)
                    )
            for name in sorted(set(self.specs) & measures):
                self.origin.add(
                    ("vary", name), f"'{name}' is a measure of the world", "choose another name", at_key=True
                )
        for i, (first, second, rho) in enumerate(model.correlate.gaussian if model.correlate else ()):
            self.unknown({first, second}, ("correlate", "gaussian", i))
            if not -1 <= rho <= 1:
                self.origin.add(("correlate", "gaussian", i, 2), f"a correlation is between -1 and 1 (got {rho:g})")
        if model.plan and model.plan.grid:
            for name in model.plan.grid:
                self.unknown({name}, ("plan", "grid", name))
        if model.exposure and model.exposure.rate is not None:
            self.law(model.exposure.rate, ("exposure", "rate"), "frequency")

    # -- the resolved tree ----------------------------------------------------------------------------------------

    def resolved(self, model: ScenarioModel) -> tuple[dict[str, Any], dict[str, Path]]:
        """Return the tree with every default written out, and the user's own files that it needs."""
        files: dict[str, Path] = {}
        tree: dict[str, Any] = {
            "mischance": model.mischance,
            "name": model.name,
            "about": model.about,
            "tags": list(model.tags),
            "seed": model.seed,
            "duration": model.duration,
            "vary": {name: spec.dump() for name, spec in self.specs.items()},
            "simulator": self._dump(self.simulator),
        }
        if self.agent:
            tree["agent"] = self._dump(self.agent)
        tree["sensors"] = {name: self._dump(sensor) for name, sensor in self.sensors.items()}
        tree["faults"] = [self._dump_fault(entry) for entry in model.faults]
        for key in ("require", "event", "exposure", "correlate", "constraints", "plan", "measure"):
            value = getattr(model, key)
            if value:
                tree[key] = value.model_dump(mode="json", exclude_none=True) if isinstance(value, BaseModel) else value
        tree["split"] = model.split.model_dump(mode="json")
        tree["write"] = [self._dump(writer) for writer in self.writers]
        return _own_files(tree, self.base, files), files

    def _dump(self, plugin: PlugIn | None) -> dict[str, Any]:
        assert plugin is not None
        return {"kind": plugin.kind, **plugin.tree}

    def _dump_fault(self, entry: FaultEntry) -> dict[str, Any]:
        plain: dict[str, Any] = {"target": entry.target, "kind": entry.kind}
        for key in ("at", "lasts", "severity", "ramp", "chance", "count", "rate"):
            value = getattr(entry, key)
            if value is not None:
                plain[key] = distributions.parse(value, self.base).dump()
        if entry.forced is not None:
            plain["forced"] = entry.forced
        return {**plain, "source": entry.source} if entry.source else plain


def _cycle(edges: Mapping[str, frozenset[str]]) -> list[str]:
    """Return one cycle of a graph in which every node that is left lies on or leads to one."""
    walk = [next(iter(edges))]
    while True:
        after = min(edges[walk[-1]])
        if after in walk:
            return [*walk[walk.index(after) :], after]
        walk.append(after)


def _references(tree: Any, path: Path_ = ()) -> Iterator[tuple[Path_, str]]:
    """Yield (path, name) of every `$name` in a tree."""
    if isinstance(tree, str) and REFERENCE.fullmatch(tree):
        yield path, tree[1:]
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
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


def _own_files(tree: Any, base: Path, files: dict[str, Path]) -> Any:
    """Rewrite the names of the user's own files to where a dataset keeps its copies."""
    if isinstance(tree, list):
        return [_own_files(value, base, files) for value in tree]
    if not isinstance(tree, dict):
        return tree
    result = {key: _own_files(value, base, files) for key, value in tree.items()}
    kind = result.get("kind")
    if isinstance(kind, str) and (path := catalog.reference_file(kind, base)) is not None:
        result["kind"] = f"{_kept(path, files)}:{kind.rpartition(':')[2]}"
    data = result.get("empirical")
    if isinstance(data, dict) and isinstance(data.get("file"), str):
        result["empirical"] = {**data, "file": _kept(base / data["file"], files)}
    return result


def _kept(path: Path, files: dict[str, Path]) -> str:
    name, n = f"inputs/{path.name}", 1
    while name in files and files[name].resolve() != path.resolve():
        n += 1
        name = f"inputs/{path.stem}_{n}{path.suffix}"
    files[name] = path
    return name
