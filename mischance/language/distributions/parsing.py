"""Parses distributions: a plain tree becomes a `Spec`, or a list of all problems.

    gap: {lognormal: {median: 18 m, sigma: 0.5}}        one key names the distribution; arguments by name …
    closing: {normal: [20 km/h, {uniform: [4, 8]}]}     … or in order, and may be distributions themselves
    cut_speed: {expr: speed - closing}              or just: speed - closing
    friction: {choice: {0.8: 0.90, 0.4: 0.08}}          value: weight
    load: {empirical: {file: load.csv, column: kN}, source: Smith 2019}

Parsing needs neither NumPy nor SciPy. The classes of `Spec` are in `specs.py` and `kinds.py`, the parametric
distributions in `laws.py`, their formulas in `formulas.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mischance import units
from mischance.errors import UnitError, shorten, suggest
from mischance.language.distributions.json_schema import schema
from mischance.language.distributions.kinds import Mixture, Parametric
from mischance.language.distributions.laws import ALIASES, LAWS, Arg, Form
from mischance.language.distributions.specs import Constant, Spec
from mischance.language.distributions.values import (
    PURE,
    Path_,
    TreeError,
    TreeProblem,
    ValueReader,
    called,
    dimension_of,
    is_quantity,
    suggestion,
)  # fmt: skip

KINDS = (*LAWS, *ALIASES, "constant", "choice", "mixture", "empirical", "expr")
"""All keys that name a distribution."""

MAX_DEPTH = 16


def parse(tree: object, base: Path | None = None) -> Spec:
    """Return the distribution of a plain tree.

    Args:
        tree: a number, a quantity ('18 m'), an expression ('speed - closing', '$gap'), or a mapping whose
            one key names a distribution, with an optional `source` beside it.
        base: folder of data files; None if there is none.

    Raises:
        TreeError: all problems; their paths are relative to the tree.
    """
    reader = _Reader(base)
    spec = reader.spec(tree, ())
    if spec is None or reader.problems:
        raise TreeError(reader.problems)
    return spec


class _Reader(ValueReader):
    """Reads one tree and collects problems; a method returns None if it found one."""

    def __init__(self, base: Path | None) -> None:
        super().__init__(base)
        self.depth = 0

    def spec(self, tree: object, path: Path_) -> Spec | None:
        """Read a distribution, or a value in the place of one."""
        if not isinstance(tree, Mapping):
            return self.plain(tree, path)
        if self.depth >= MAX_DEPTH:
            self.note(
                path, f"distributions stand more than {MAX_DEPTH} deep in each other", "give the inner ones names"
            )
            return None
        self.depth += 1
        spec = self.named(tree, path)
        self.depth -= 1
        return spec

    def named(self, tree: Mapping[Any, Any], path: Path_) -> Spec | None:
        """Read a mapping whose one key names a distribution."""
        source = tree.get("source", "")
        if not isinstance(source, str):
            self.note((*path, "source"), f"must be a text (got {shorten(source)})")
            source = ""
        keys = [key for key in tree if key != "source"]
        if len(keys) != 1:
            many = f"one key names the distribution (got {', '.join(map(shorten, keys[:4]))})"
            hint = f"such as {{uniform: [1, 2]}}  known: {_known()}"
            self.note(path, many if keys else "names no distribution", hint)
            return None
        key = keys[0]
        if key not in KINDS:
            near = suggest(key, KINDS) if isinstance(key, str) else "numbers with weights are {choice: {…}}"
            hint = "  ".join(filter(None, (near, f"known: {_known()}")))
            self.note((*path, key), f"no distribution is called {shorten(key)}", hint, at_key=True)
            return None
        kind = ALIASES.get(key, key)
        inside = (*path, key)
        special: dict[str, Callable[[Any, Path_, str], Spec | None]] = {
            "constant": self.constant,
            "expr": self.expr,
            "choice": self.choice,
            "mixture": self.mixture,
            "empirical": self.empirical,
        }
        if kind in special:
            return special[kind](tree[key], inside, source)
        return self.parametric(kind, tree[key], inside, source)

    def plain(self, value: object, path: Path_) -> Spec | None:
        """Read a bare number, quantity or expression."""
        if isinstance(value, str):
            if is_quantity(value):
                number = self.number(value, path)
                return None if number is None else Constant(float(number), dimension=dimension_of(number))
            return self.expr(value, path, "")
        if isinstance(value, bool) or value is None or isinstance(value, list | tuple):
            hint = "several values are {choice: [1, 2]}" if isinstance(value, list | tuple) else ""
            hint = "write 1 or 0" if isinstance(value, bool) else hint
            wanted = "must be a number, a quantity, an expression or a distribution"
            self.note(path, f"{wanted} (got {shorten(value)})", hint)
            return None
        number = self.number(value, path)
        return None if number is None else Constant(float(number), dimension=dimension_of(number))

    # -- laws with arguments --------------------------------------------------------------------------------------

    def parametric(self, kind: str, tree: object, path: Path_, source: str) -> Spec | None:
        form, given = self.arguments(kind, tree, path)
        if form is None:
            return None
        before = len(self.problems)
        specs: dict[str, Spec] = {}
        places: dict[str, Path_] = {}
        for arg in form.args:
            value, place = given.get(arg.name, (arg.default, path))
            spec = self.spec(value, place)
            if spec is not None:
                specs[arg.name], places[arg.name] = spec, place
                self.measure(kind, arg, spec, value, place)
        if len(self.problems) > before:
            return None
        self.rules(form, specs, places)
        dimension = "" if LAWS[kind].pure else self.common(form, specs, places)
        return Parametric(kind, form.names, tuple(specs.values()), source=source, dimension=dimension)

    def arguments(self, kind: str, tree: object, path: Path_) -> tuple[Form | None, dict[str, tuple[object, Path_]]]:
        """Return the form of the arguments, and each argument with its path."""
        forms = LAWS[kind].forms
        usage = f"{kind} takes {' or '.join(', '.join(form.names) for form in forms)}"
        first = forms[0]
        if isinstance(tree, Mapping):
            known = list(dict.fromkeys(name for form in forms for name in form.names))
            odd = [key for key in tree if key not in known]
            for key in odd:
                hint = "  ".join(filter(None, (suggestion(key, known), usage)))
                self.note((*path, key), f"{kind} has no argument {shorten(key)}", hint, at_key=True)
            given = {key: (value, (*path, key)) for key, value in tree.items()}
            form = next((f for f in forms if set(f.needed) <= tree.keys() <= set(f.names)), None)
            if form is None and not odd:
                nearest = next((f for f in forms if tree.keys() <= set(f.names)), None)
                if nearest is None:
                    self.note(path, f"{kind} does not take {' and '.join(map(str, tree))} together", usage)
                else:
                    missing = [name for name in nearest.needed if name not in tree]
                    self.note(path, f"{kind} lacks {' and '.join(missing)}", usage)
            return form, given
        if not isinstance(tree, list | tuple):
            if len(first.names) == 1 and tree is not None:
                return first, {first.names[0]: (tree, path)}
            self.note(path, f"{kind} takes a list or a mapping of arguments (got {shorten(tree)})", usage)
            return None, {}
        if not len(first.needed) <= len(tree) <= len(first.names):
            least, most = len(first.needed), len(first.names)
            count = f"{least}" if least == most else f"{least} to {most}"
            noun = "argument" if count == "1" else "arguments"
            self.note(path, f"{kind} takes {count} {noun} (got {len(tree)})", usage)
            return None, {}
        return first, {first.names[i]: (value, (*path, i)) for i, value in enumerate(tree)}

    def measure(self, kind: str, arg: Arg, spec: Spec, value: object, place: Path_) -> None:
        """Note an argument with a wrong unit."""
        if spec.words:
            self.note(place, f"{arg.name} of {kind} must be a number (got words)")
        elif arg.measure == "pure" and spec.dimension not in PURE:
            self.note(place, f"{arg.name} of {kind} is a number without a unit (got {called(spec.dimension)})")
        elif arg.measure == "per" and spec.dimension not in (*PURE, "frequency"):
            self.note(place, f"{arg.name} of {kind} is how often, such as '3 /h' (got {called(spec.dimension)})")
        elif arg.measure == "spread" and spec.dimension == "temperature" and isinstance(value, str):
            try:
                units.parse(value, "temperature difference")
            except UnitError as error:
                self.note(place, error.message, error.hint)

    def rules(self, form: Form, specs: Mapping[str, Spec], places: Mapping[str, Path_]) -> None:
        """Note constant arguments that violate a rule."""
        fixed = {name: spec.value for name, spec in specs.items() if isinstance(spec, Constant)}
        for rule in form.rules:
            known = rule.left in fixed and (not isinstance(rule.right, str) or rule.right in fixed)
            if known and not rule.holds(fixed):
                other = f" and {rule.other(fixed):.6g}" if isinstance(rule.right, str) else ""
                self.note(places[rule.left], f"{rule} (got {fixed[rule.left]:.6g}{other})")

    def common(self, form: Form, specs: Mapping[str, Spec], places: Mapping[str, Path_]) -> str:
        """Return the common dimension of the arguments; note one that differs."""
        found: dict[str, str] = {}
        for arg in form.args:
            dimension = specs[arg.name].dimension
            if arg.measure == "per" and dimension == "frequency":
                return "time"
            if arg.measure in ("value", "spread") and dimension:
                found[arg.name] = dimension
        return self.agree(found, places)

    def mixture(self, tree: object, path: Path_, source: str) -> Spec | None:
        if not isinstance(tree, list | tuple) or not tree:
            self.note(path, f"mixture takes a list of [weight, distribution] (got {shorten(tree)})")
            return None
        before = len(self.problems)
        weights: list[float] = []
        parts: list[Spec] = []
        dimensions: dict[str, str] = {}
        places: dict[str, Path_] = {}
        for i, pair in enumerate(tree):
            place = (*path, i)
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                self.note(place, f"must be [weight, distribution] (got {shorten(pair)})")
                continue
            weights.append(self.weight(pair[0], (*place, 0)))
            part = self.spec(pair[1], (*place, 1))
            if part is None:
                continue
            if part.words:
                self.note((*place, 1), "a mixture draws numbers, not words", "{choice: {…}} draws words")
            parts.append(part)
            if part.dimension:
                dimensions[f"component {i}"], places[f"component {i}"] = part.dimension, (*place, 1)
        dimension = self.agree(dimensions, places)
        if len(self.problems) > before:
            return None
        return Mixture(tuple(weights), tuple(parts), source=source, dimension=dimension)


def _known() -> str:
    return ", ".join(sorted(KINDS))


__all__ = ["KINDS", "Spec", "TreeError", "TreeProblem", "parse", "schema"]
