"""Checks of event, constraints, requirements and names of a scenario beyond their types.

The checks read the plain tree and skip values of a wrong type, which the pydantic model has reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mischance import units
from mischance.api.protocols import Declared
from mischance.errors import ExpressionError, shorten, suggest
from mischance.language.distributions import parsing as distributions
from mischance.language.distributions.specs import Constant, Expr
from mischance.language.expressions.parsing import MAX_LENGTH, Expression, compile_expression
from mischance.language.origin import Origin, Path_
from mischance.language.scenario import PlugIn, RareEvent, ScenarioModel, SplitEntry, validate
from mischance.language.temporal.requirement import WORDS, Requirement, compile_requirement
from mischance.language.variants import FIXED, change_path, changeable

OUTCOME = ("undecided", "event", "margin", "verdict", "reason", "run", "weight", "digest")
RESERVED = ("and", "or", "not", "true", "false", *WORDS)


class Checks:
    """The checks of one scenario; they note problems with their positions and return the valid parts."""

    def __init__(self, tree: Mapping[str, Any], origin: Origin) -> None:
        self.tree, self.origin = tree, origin
        self.specs: dict[str, distributions.Spec] = {}
        self.plain: dict[str, float | str] = {}  # a typical value of each drawn value …
        self.middling: dict[str, float | str] = {}  # … and the same with its unit
        self._drawn: dict[str, str] | None = None  # the dimension of each drawn value, also of computed ones
        self.simulator: PlugIn | None = None
        self.agent: PlugIn | None = None
        self.sensors: dict[str, PlugIn] = {}
        # Declarations of world and sensors are known even if their settings are wrong.
        self.world: Declared | None = None
        self.parts: dict[str, Declared] = {}  # of several worlds on one clock
        self.instruments: dict[str, Declared] = {}
        self.writers: dict[str, PlugIn] = {}
        self.planned: list[dict[str, Any]] = []  # the faults of the resolved tree
        self.grid: dict[str, list[float | str]] = {}

    @property
    def called(self) -> object:
        """What the world is called in messages: its kind, or the names of several."""
        return ", ".join(self.parts) if self.parts else self.at(("simulator", "kind"))

    # -- access ---------------------------------------------------------------------------------------------------

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Return a mapping of the tree; empty if there is none."""
        value = self.tree.get(key)
        return value if isinstance(value, dict) else {}

    def entries(self, key: str) -> list[Any]:
        """Return a list of the tree; empty if there is none."""
        value = self.tree.get(key)
        return value if isinstance(value, list) else []

    def at(self, path: Iterable[str | int]) -> Any:
        """Return the value at a path; None if there is none."""
        node: Any = self.tree
        for part in path:
            try:
                node = node[part]
            except (KeyError, IndexError, TypeError):
                return None
        return node

    def dimension(self, name: str) -> str:
        """Return the dimension of a drawn value; an alias has that of its target."""
        for _ in self.specs:
            spec = self.specs.get(name)
            if not isinstance(spec, Expr) or spec.text not in self.specs:
                return spec.dimension if spec else ""
            name = spec.text
        return ""

    def words(self, name: str) -> bool:
        """Return whether a drawn value is a word; an alias is one if its target is."""
        for _ in self.specs:
            spec = self.specs.get(name)
            if not isinstance(spec, Expr) or spec.text not in self.specs:
                return spec.words if spec else False
            name = spec.text
        return False

    # -- distributions and expressions ----------------------------------------------------------------------------

    def law(
        self, tree: object, path: Path_, dimension: str | None = None, keeps: str = ""
    ) -> distributions.Spec | None:
        """Parse one distribution; note its problems. `keeps`: condition on a constant."""
        try:
            spec = distributions.parse(tree, self.origin.folder(path))
        except distributions.TreeError as error:
            for inside, message, hint, at_key, column in error.problems:
                self.origin.add((*path, *inside), message, hint, at_key=at_key, column=column)
            return None
        self.unknown(spec.depends, path)
        passed = spec.text if isinstance(spec, Expr) and spec.text in self.specs else ""
        found, words = (self.dimension(passed), self.words(passed)) if passed else (spec.dimension, spec.words)
        if dimension is None:
            pass
        elif words:
            self.origin.add(path, f"must be a number (got {f'${passed}, which draws words' if passed else 'words'})")
        elif found and found != dimension:
            wanted = units.wanted(dimension) if dimension in units.SI else "expected a plain number"
            self.origin.add(path, f"{wanted} (got {f'${passed}, ' if passed else ''}{units.called(found)})")
        elif keeps and isinstance(spec, Constant):
            value = float(spec.value)
            kept = {"≥ 0": value >= 0, "> 0": value > 0, "a probability": 0 <= value <= 1}[keeps]
            if not kept:
                keeps = "between 0 and 1" if keeps == "a probability" else keeps
                self.origin.add(path, f"must be {keeps} (got {value:g})")
        return spec

    def unknown(self, names: Iterable[str], path: Path_) -> bool:
        """Note names that `vary` does not define, at their first occurrence; return whether there was one."""
        if not isinstance(self.tree.get("vary", {}), dict):
            return True  # one problem is enough
        known = list(self.mapping("vary"))
        missing = sorted(set(names) - set(known))
        for name in missing:
            hint = suggest(name, known) or ("known: " + some(known) if known else "`vary` draws nothing")
            inside, column = next(_mentions(self.at(path), name), ((), 0))
            message = f"no drawn value is called {shorten(name)}"
            self.origin.add((*path, *inside), message, hint, at_key=path[-1:] == (name,), column=column)
        return bool(missing)

    def expression(self, text: object, path: Path_, names: Iterable[str]) -> Expression | None:
        """Compile an expression; note its problem with its column."""
        if not isinstance(text, str) or len(text) > MAX_LENGTH:
            return None
        try:
            judged = isinstance(self.tree.get("vary", {}), dict)
            return compile_expression(text, list(names) if judged else None, self.dimensions())
        except ExpressionError as error:
            self.origin.add(path, error.message, error.hint, column=error.column)
            return None

    def dimensions(self, signals: Iterable[str] = ()) -> dict[str, str]:
        """Return the dimensions of names in expressions, as far as they are known.

        `signals`: the world's signals; if it is a schema, their dimensions follow from its units.
        """
        found: dict[str, str] = {}
        for schema in (signals, self.world.measures if self.world else None):
            for name, column in schema.items() if isinstance(schema, Mapping) else ():
                if column.unit in units.UNITS and column.dtype not in ("bool", "category", "text"):
                    found[name] = units.UNITS[column.unit].dimension
        return {**found, **self.drawn_dimensions()}

    def drawn_dimensions(self) -> dict[str, str]:
        """Return the dimension of every drawn value, '' if unknown; note computed values that mix dimensions."""
        if self._drawn is None:
            self._drawn = {name: self.dimension(name) for name in self.specs}
            for name, spec in self.specs.items():  # in order of dependence
                if isinstance(spec, Expr) and not self._drawn[name]:
                    self._drawn[name] = self._computed(name, spec.text)
        return self._drawn

    def _computed(self, name: str, text: str) -> str:
        try:
            return compile_expression(text, None, self._drawn).dimension
        except ExpressionError as error:
            path: Path_ = ("vary", name)
            path = (*path, "expr") if isinstance(self.at(path), dict) else path
            self.origin.add(path, error.message, error.hint, column=error.column if self.at(path) == text else 0)
            return ""

    def over_time(self, *, measures: bool) -> tuple[set[str] | None, dict[str, str]]:
        """Return the names that have a value at every time (None: any), and the dimensions of names."""
        world = self.simulator
        if world is None or world.declared.signals is None:
            return None, self.dimensions()
        known = world.declared.signals(world.settings)
        return {*known, *(world.declared.measures if measures else ()), *self.specs}, self.dimensions(known)

    def require(self) -> dict[str, Requirement]:
        """Compile what the agent promises, over signals, measures and drawn values: what is written, then defaults."""
        found: dict[str, Requirement] = {}
        given = self.mapping("require")
        for name, text in given.items():
            if text is None:
                self._switched_off(name)
            if not isinstance(text, str) or not text.strip() or len(text) > MAX_LENGTH:
                continue
            try:
                found[name] = compile_requirement(text, *self.over_time(measures=True))
            except ExpressionError as error:
                self.origin.add(("require", name), error.message, error.hint, column=error.column)
        for name, text in self.defaults().items():
            if name not in given:
                found[name] = compile_requirement(text, *self.over_time(measures=True))
        return found

    def defaults(self) -> dict[str, str]:
        """Return the formulas of the world's default requirements with these settings."""
        world = self.simulator
        if world is None:
            return {}
        return {
            name: one.formula for name, one in world.declared.requirements.items() if one.applies_to(world.settings)
        }

    def _switched_off(self, name: str) -> None:
        """Check that a requirement without a formula is one of the world's."""
        known = self.world.requirements if self.world is not None else {}
        if name not in known and self.world is not None:
            hint = suggest(name, known) or (f"known: {', '.join(known)}" if known else "this world has none")
            message = f"no default requirement is called '{name}', so none can be switched off"
            self.origin.add(("require", name), message, hint, at_key=True)

    def drawn_name(self, name: str) -> None:
        """Note a name that a drawn value cannot have."""
        message = ""
        if name in OUTCOME:
            message = "is a column of every dataset"
        elif name in RESERVED:
            message = "is a word of expressions"
        if message:
            self.origin.add(("vary", name), f"'{name}' {message}", "choose another name", at_key=True)

    def variants(self) -> None:
        """Check the changes of every variant, also of those that are not selected."""
        for variant, changes in self.mapping("variants").items():
            for key, value in changes.items() if isinstance(changes, dict) else ():
                if not isinstance(self.tree.get("vary", {}), dict):
                    continue
                path = change_path(self.tree, key)
                where: Path_ = ("variants", variant, key)
                if path is None:
                    first = key.split(".", maxsplit=1)[0]
                    fixed = first in FIXED
                    message = f"{shorten(first)} cannot be changed" if fixed else "nothing of that name to change"
                    hint = "" if fixed else suggest(first, changeable(self.tree))
                    self.origin.add(where, message, hint, at_key=True)
                elif path[0] == "vary" and len(path) == 2 and value != self.at(path):
                    self.law(value, where)

    # -- event, constraints, names --------------------------------------------------------------------------------

    def measures(self) -> set[str]:
        """Return the names of the world's measures."""
        return set(self.world.measures) if self.world else set()

    def event(self) -> RareEvent | None:
        """Compile the rare event; its names are checked against the world's measures."""
        entry = self.mapping("event")
        if self.world is None or not entry:
            return None
        names = [*self.mapping("vary"), *sorted(self.measures())]
        when, margin = (self.expression(entry.get(key), ("event", key), names) for key in ("when", "margin"))
        return RareEvent(str(entry.get("name")), when, margin, self._level(entry.get("level"))) if when else None

    def _level(self, text: object) -> Expression | None:
        """Compile the level over time: over signals, as requirements are, and drawn values."""
        if not isinstance(text, str) or len(text) > MAX_LENGTH or not isinstance(self.tree.get("vary", {}), dict):
            return None
        try:
            return compile_expression(text, *self.over_time(measures=False))
        except ExpressionError as error:
            measure = any(f"'{name}'" in error.message for name in self.measures())
            hint = "that is a measure, known when a run has ended" if measure else error.hint
            self.origin.add(("event", "level"), error.message, hint, column=error.column)
        return None

    def constraints(self) -> tuple[Expression, ...]:
        """Compile the constraints."""
        names = list(self.mapping("vary"))
        found = (self.expression(text, ("constraints", i), names) for i, text in enumerate(self.entries("constraints")))
        return tuple(expression for expression in found if expression)

    def split(self, model: ScenarioModel | None) -> SplitEntry:
        """Check that the shares add up, and that the world has what they are shares of."""
        from pydantic import ValidationError

        try:
            entry = model.split if model else validate(SplitEntry, self.tree.get("split", {}))
            assert isinstance(entry, SplitEntry)
        except ValidationError:
            return SplitEntry.model_construct()
        total = entry.train + entry.val + entry.test
        if abs(total - 1) > 1e-9:
            self.origin.add(("split",), f"the shares must add up to 1 (got {total:g})")
        if entry.by == "entity" and self.world is not None and not self.world.entity:
            self.origin.add(("split", "by"), "this world names no entity to split by", "use `by: run` or `by: time`")
        return entry

    def names(self) -> None:
        """Check the names that `measure` uses, and that no two columns share one."""
        measures = self.measures()
        self.drawn_dimensions()
        given = self.entries("measure")
        for i, name in enumerate(given):
            if isinstance(name, str) and name in given[:i]:
                self.origin.add(("measure", i), f"{shorten(name)} occurs twice", "keep one of them")
            elif isinstance(name, str) and self.world is not None and name not in measures:
                hint = suggest(name, measures) or "known: " + some(sorted(measures))
                self.origin.add(("measure", i), f"{shorten(self.called)} has no measure {shorten(name)}", hint)
        for name in sorted(set(self.specs) & measures):
            self.origin.add(("vary", name), f"'{name}' is a measure of the world", "choose another name", at_key=True)


def some(names: Iterable[str]) -> str:
    """Return the first names of a list, as a text."""
    listed = list(names)
    return ", ".join(listed[:12]) + (" …" if len(listed) > 12 else "")


def _mentions(tree: Any, name: str, path: Path_ = ()) -> Iterator[tuple[Path_, int]]:
    """Yield path and 1-based column of every text in a tree that uses a name."""
    if isinstance(tree, str):
        found = re.search(rf"(?<![\w.])\$?{re.escape(name)}(?![\w.])", tree)
        if found:
            yield path, found.start() + 1
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from _mentions(value, name, (*path, key))
