"""The language of distributions: a plain tree to a `Spec`, with every problem at once, and its JSON Schema.

    gap: {lognormal: {median: 18 m, sigma: 0.5}}        one key names it; arguments by name …
    closing: {normal: [20 km/h, {uniform: [4, 8]}]}     … or in order, and may be distributions themselves
    cut_speed: {expr: ego_speed - closing}              or just: ego_speed - closing
    friction: {choice: {0.8: 0.90, 0.4: 0.08}}          value: weight
    load: {empirical: {file: load.csv, column: kN}, source: Smith 2019}

Reading needs neither NumPy nor SciPy. The classes behind `Spec` are in `_specs.py`
and `_kinds.py`, the laws in `_laws.py`, their formulas in `_formulas.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mischance import units
from mischance.errors import ExpressionError, MischanceError, UnitError, shorten, suggest
from mischance.language.distributions import samples as _samples
from mischance.language.distributions.json_schema import schema
from mischance.language.distributions.kinds import Choice, Empirical, Mixture, Parametric
from mischance.language.distributions.laws import ALIASES, LAWS, Arg, Form
from mischance.language.distributions.specs import Constant, Expr, Spec, compiled

KINDS = (*LAWS, *ALIASES, "constant", "choice", "mixture", "empirical", "expr")
"""Every word that may name a distribution."""

DEEPEST = 16
_WORD = re.compile(r"[^\W\d][\w .:/-]{0,99}")
_QUANTITY = re.compile(rf"\s*[-+]?{units.NUMBER}\s*[^-+*/\s(]*\s*")
_REFERENCE = re.compile(r"\$(?=[^\W\d])")  # `$gap` is `gap`
_PURE = ("", "number", "ratio")

Path_ = tuple[Any, ...]


class TreeProblem(NamedTuple):
    """One thing wrong: the path inside the tree, what, what to try, and whether the key there is meant.

    `column` is the 1-based place inside an expression that stands there, 0 for all of it.
    """

    path: Path_
    message: str
    hint: str = ""
    at_key: bool = False
    column: int = 0


class TreeError(MischanceError):
    """All problems of one tree."""

    def __init__(self, problems: Sequence[TreeProblem]) -> None:
        self.problems = [TreeProblem(*problem) for problem in problems]
        super().__init__("\n".join(problem.message for problem in self.problems), self.problems[0].hint)

    def __reduce__(self) -> tuple[type[TreeError], tuple[list[TreeProblem]]]:  # type: ignore[override]
        return type(self), (self.problems,)


def parse(tree: object, base: Path | None = None) -> Spec:
    """Return the distribution that a plain tree says.

    Args:
        tree: a number, a quantity ('18 m'), an expression ('ego_speed - closing', '$gap'), or a mapping whose
            one key names a distribution, with an optional `source` beside it.
        base: the folder that files of figures may lie in; None where there is none.

    Raises:
        TreeError: with all problems; their paths begin at the tree.
    """
    reader = _Reader(base)
    spec = reader.spec(tree, ())
    if spec is None or reader.problems:
        raise TreeError(reader.problems)
    return spec


class _Reader:
    """Walks one tree and notes problems; a method returns None where it noted one."""

    def __init__(self, base: Path | None) -> None:
        self.base = base
        self.depth = 0
        self.problems: list[TreeProblem] = []

    def note(self, path: Path_, message: str, hint: str = "", *, at_key: bool = False, column: int = 0) -> None:
        """Note one problem."""
        self.problems.append(TreeProblem(path, message, hint, at_key, column))

    def spec(self, tree: object, path: Path_) -> Spec | None:
        """Read a distribution, or a value that stands for one."""
        if not isinstance(tree, Mapping):
            return self.plain(tree, path)
        if self.depth >= DEEPEST:
            self.note(path, f"distributions stand more than {DEEPEST} deep in each other", "give the inner ones names")
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
            if _is_quantity(value):
                number = self.number(value, path)
                return None if number is None else Constant(float(number), dimension=_dimension(number))
            return self.expr(value, path, "")
        if isinstance(value, bool) or value is None or isinstance(value, list | tuple):
            hint = "several values are {choice: [1, 2]}" if isinstance(value, list | tuple) else ""
            hint = "write 1 or 0" if isinstance(value, bool) else hint
            wanted = "must be a number, a quantity, an expression or a distribution"
            self.note(path, f"{wanted} (got {shorten(value)})", hint)
            return None
        number = self.number(value, path)
        return None if number is None else Constant(float(number), dimension=_dimension(number))

    def number(self, value: object, path: Path_) -> units.Quantity | None:
        """Read a finite number or a quantity."""
        try:
            if isinstance(value, str):
                return units.parse(value)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UnitError(f"must be a number or a quantity (got {shorten(value)})")
            number = float(value)
            if not math.isfinite(number):
                raise UnitError(f"must be a finite number (got {number})")
            return units.Quantity(number, getattr(value, "dimension", ""))
        except UnitError as error:
            self.note(path, error.message, error.hint)
        except OverflowError:
            self.note(path, "the number is too large")
        return None

    def constant(self, value: object, path: Path_, source: str) -> Spec | None:
        if isinstance(value, str) and _WORD.fullmatch(value):
            return Constant(value, source=source)
        if isinstance(value, str) and not _is_quantity(value):
            message = f"a constant is a number, a quantity or a word (got {shorten(value)})"
            self.note(path, message, "{expr: …} calculates")
            return None
        number = self.number(value, path)
        return None if number is None else Constant(float(number), source=source, dimension=_dimension(number))

    def expr(self, value: object, path: Path_, source: str) -> Spec | None:
        if not isinstance(value, str):
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                value = repr(value)
            else:
                self.note(path, f"must be an expression such as ego_speed - closing (got {shorten(value)})")
                return None
        text = _REFERENCE.sub("", value).strip()
        try:
            compiled(text)
        except ExpressionError as error:
            self.note(path, error.message, error.hint, column=_column(value, error.column))
            return None
        return Expr(text, source=source)

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
        """Find the form that the arguments are written in, and each argument with its place."""
        forms = LAWS[kind].forms
        usage = f"{kind} takes {' or '.join(', '.join(form.names) for form in forms)}"
        first = forms[0]
        if isinstance(tree, Mapping):
            known = list(dict.fromkeys(name for form in forms for name in form.names))
            odd = [key for key in tree if key not in known]
            for key in odd:
                hint = "  ".join(filter(None, (_near(key, known), usage)))
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
        """Note an argument whose unit cannot be right whatever the others are."""
        if spec.words:
            self.note(place, f"{arg.name} of {kind} must be a number (got words)")
        elif arg.measure == "pure" and spec.dimension not in _PURE:
            self.note(place, f"{arg.name} of {kind} is a number without a unit (got {_article(spec.dimension)})")
        elif arg.measure == "per" and spec.dimension not in (*_PURE, "frequency"):
            self.note(place, f"{arg.name} of {kind} is how often, such as '3 /h' (got {_article(spec.dimension)})")
        elif arg.measure == "spread" and spec.dimension == "temperature" and isinstance(value, str):
            try:
                units.parse(value, "temperature difference")
            except UnitError as error:
                self.note(place, error.message, error.hint)

    def rules(self, form: Form, specs: Mapping[str, Spec], places: Mapping[str, Path_]) -> None:
        """Note constant arguments that are out of their range."""
        fixed = {name: spec.value for name, spec in specs.items() if isinstance(spec, Constant)}
        for rule in form.rules:
            known = rule.left in fixed and (not isinstance(rule.right, str) or rule.right in fixed)
            if known and not rule.holds(fixed):
                other = f" and {rule.other(fixed):.6g}" if isinstance(rule.right, str) else ""
                self.note(places[rule.left], f"{rule} (got {fixed[rule.left]:.6g}{other})")

    def common(self, form: Form, specs: Mapping[str, Spec], places: Mapping[str, Path_]) -> str:
        """Return the dimension that the arguments share; note one that differs."""
        found: dict[str, str] = {}
        for arg in form.args:
            dimension = specs[arg.name].dimension
            if arg.measure == "per" and dimension == "frequency":
                return "time"
            if arg.measure in ("value", "spread") and dimension:
                found[arg.name] = dimension
        return self.agree(found, places)

    def agree(self, found: Mapping[str, str], places: Mapping[str, Path_]) -> str:
        """Return the one dimension; note the first of another one."""
        names = list(found)
        for name in names[1:]:
            if found[name] != found[names[0]]:
                first, other = _article(found[names[0]]), _article(found[name])
                message = f"{name} is {other} where {names[0]} is {first}"
                self.note(places[name], message, "all need the same dimension")
                return ""
        return found[names[0]] if names else ""

    # -- choice, mixture, figures ---------------------------------------------------------------------------------

    def choice(self, tree: object, path: Path_, source: str) -> Spec | None:
        if isinstance(tree, Mapping):
            pairs = [(option, weight, (*path, option)) for option, weight in tree.items()]
        elif isinstance(tree, list | tuple):
            pairs = [(option, 1.0, (*path, i)) for i, option in enumerate(tree)]
        else:
            pairs = []
        if not pairs:
            self.note(path, f"choice takes {{value: weight, …}} or a list of values (got {shorten(tree)})")
            return None
        before = len(self.problems)
        options: list[Any] = []
        seen: set[float | str] = set()
        weights: list[float] = []
        dimensions: dict[str, str] = {}
        places: dict[str, Path_] = {}
        for i, (option, weight, place) in enumerate(pairs):
            word = isinstance(option, str) and _WORD.fullmatch(option) is not None
            value = option if word else self.number(option, place)
            weights.append(self.weight(weight, place))
            if value is None:
                continue
            if isinstance(value, units.Quantity):
                if value.dimension:
                    dimensions[f"value {i}"], places[f"value {i}"] = _dimension(value), place
                value = float(value) + 0.0
            if value in seen:
                self.note(place, f"{shorten(option)} stands twice in this choice", at_key=True)
            if options and isinstance(value, str) != isinstance(options[0], str):
                self.note(place, "a choice is between numbers or between words, not both", at_key=True)
                return None
            options.append(value)
            seen.add(value)
        dimension = self.agree(dimensions, places)
        if len(self.problems) > before:
            return None
        return Choice(tuple(options), tuple(weights), source=source, dimension=dimension)

    def weight(self, value: object, path: Path_) -> float:
        number = self.number(value, path)
        if number is not None and number.dimension not in _PURE:
            self.note(path, f"a weight has no unit (got {_article(number.dimension)})")
        elif number is not None and number <= 0:
            self.note(path, f"a weight must be > 0 (got {number:g})", "leave out what never happens")
        return 1.0 if number is None else float(number)

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

    def empirical(self, tree: object, path: Path_, source: str) -> Spec | None:
        usage = "empirical takes file and column, or values; and how: linear or steps"
        if not isinstance(tree, Mapping):
            self.note(path, f"must be a mapping (got {shorten(tree)})", usage)
            return None
        before = len(self.problems)
        known = ("values", "how") if "values" in tree else ("file", "column", "unit", "how", "sha256")
        for key in tree:
            if key not in known:
                hint = "  ".join(filter(None, (_near(key, known), usage)))
                self.note((*path, key), f"empirical has no argument {shorten(key)} here", hint, at_key=True)
        how = tree.get("how", "linear")
        if how not in ("linear", "steps"):
            self.note((*path, "how"), f"must be linear (between figures) or steps (one of them) (got {shorten(how)})")
        if "values" in tree:
            spec = self.figures(tree["values"], (*path, "values"), how, source)
        else:
            spec = self.file(tree, path, how, source, usage)
        return None if len(self.problems) > before else spec

    def figures(self, tree: object, path: Path_, how: Any, source: str) -> Spec | None:
        if not isinstance(tree, list | tuple) or not tree:
            self.note(path, f"must be a list of figures (got {shorten(tree)})")
            return None
        numbers = [self.number(value, (*path, i)) for i, value in enumerate(tree)]
        found = {f"figure {i}": n.dimension for i, n in enumerate(numbers) if n is not None and n.dimension}
        dimension = self.agree(found, {f"figure {i}": (*path, i) for i in range(len(numbers))})
        samples = tuple(float(number) for number in numbers if number is not None)
        return Empirical(samples, how, source=source, dimension=dimension)

    def file(self, tree: Mapping[Any, Any], path: Path_, how: Any, source: str, usage: str) -> Spec | None:
        texts = {key: tree.get(key, "") for key in ("file", "column", "unit", "sha256")}
        for key, text in texts.items():
            if not isinstance(text, str):
                self.note((*path, key), f"must be a text (got {shorten(text)})")
            elif not text and key in ("file", "column"):
                self.note(path, f"empirical lacks {key}", usage)
        if any(problem.path[: len(path)] == path for problem in self.problems):
            return None
        scale = units.UNITS.get(texts["unit"], units.Scale("", 1.0))
        if texts["unit"] and (not scale.dimension or scale.decibel):
            error = units.unknown_unit(texts["unit"])
            self.note((*path, "unit"), error.message, error.hint)
            return None
        place = "file"
        try:
            file = _samples.locate(texts["file"], self.base)
            sha256 = _samples.digest(file)
            if texts["sha256"] not in ("", sha256):
                message = f"{texts['file']!r} is not the file it was"
                self.note((*path, "sha256"), message, "leave sha256 out to accept it")
                return None
            place = "column"
            # A Parquet file is opened when first drawn from: the library that reads it takes long to import.
            if file.suffix.lower() == ".csv":
                _samples.column(file, texts["column"], sha256)
        except MischanceError as error:
            self.note((*path, place), error.message, error.hint)
            return None
        return Empirical(
            how=how, file=texts["file"], column=texts["column"], unit=texts["unit"], sha256=sha256,
            scale=scale.factor, shift=scale.offset, path=file, source=source, dimension=scale.dimension,
        )  # fmt: skip


def _is_quantity(text: str) -> bool:
    """Whether a text is meant as a quantity: a number, perhaps with a (misspelt) unit, or one that units know."""
    if _QUANTITY.fullmatch(text):
        return True
    try:
        units.parse(text)
    except UnitError:
        return False
    return True


def _column(written: str, column: int) -> int:
    """Return where in a text as written the character stands that is at `column` once stripped and without `$`."""
    skipped = {found.start() for found in _REFERENCE.finditer(written)}
    kept = [i for i in range(len(written) - len(written.lstrip()), len(written)) if i not in skipped]
    return kept[column - 1] + 1 if column <= len(kept) else len(written) + 1


def _dimension(number: units.Quantity) -> str:
    return "" if number.dimension == "number" else number.dimension


def _article(dimension: str) -> str:
    return units.wanted(dimension).removeprefix("expected ").partition(" such as")[0] if dimension else "a bare number"


def _near(key: object, known: Sequence[str]) -> str:
    return suggest(key, known) if isinstance(key, str) else ""


def _known() -> str:
    return ", ".join(sorted(KINDS))


__all__ = ["KINDS", "Spec", "TreeError", "TreeProblem", "parse", "schema"]
