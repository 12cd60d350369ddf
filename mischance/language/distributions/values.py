"""Values of distributions as a scenario writes them: numbers, quantities, expressions, choices, observed figures."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mischance import units
from mischance.errors import ExpressionError, MischanceError, UnitError, shorten, suggest
from mischance.language.distributions import samples as _samples
from mischance.language.distributions.kinds import Choice, Empirical
from mischance.language.distributions.specs import Constant, Expr, Spec, compiled

PURE = ("", "number", "ratio")
_WORD = re.compile(r"[^\W\d][\w .:/-]{0,99}")
_QUANTITY = re.compile(rf"\s*[-+]?{units.NUMBER}\s*[^-+*/\s(]*\s*")
_REFERENCE = re.compile(r"\$(?=[^\W\d])")  # `$gap` is `gap`

Path_ = tuple[Any, ...]


class TreeProblem(NamedTuple):
    """One problem: path in the tree, message, hint, and whether it concerns the key at that path.

    `column`: 1-based position in an expression at that path; 0 for the whole value.
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


class ValueReader:
    """Reads the values of one tree and collects problems; a method returns None if it found one."""

    def __init__(self, base: Path | None) -> None:
        self.base = base
        self.problems: list[TreeProblem] = []

    def note(self, path: Path_, message: str, hint: str = "", *, at_key: bool = False, column: int = 0) -> None:
        """Note one problem."""
        self.problems.append(TreeProblem(path, message, hint, at_key, column))

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

    def weight(self, value: object, path: Path_) -> float:
        """Read a weight; 1 where it is wrong."""
        number = self.number(value, path)
        if number is not None and number.dimension not in PURE:
            self.note(path, f"a weight has no unit (got {called(number.dimension)})")
        elif number is not None and number <= 0:
            self.note(path, f"a weight must be > 0 (got {number:g})", "leave out what never happens")
        return 1.0 if number is None else float(number)

    def agree(self, found: Mapping[str, str], places: Mapping[str, Path_]) -> str:
        """Return the common dimension; note the first one that differs."""
        names = list(found)
        for name in names[1:]:
            if found[name] != found[names[0]]:
                first, other = called(found[names[0]]), called(found[name])
                message = f"{name} is {other} where {names[0]} is {first}"
                self.note(places[name], message, "all need the same dimension")
                return ""
        return found[names[0]] if names else ""

    def constant(self, value: object, path: Path_, source: str) -> Spec | None:
        """Read the value of `constant`: a number, a quantity or a word."""
        if isinstance(value, str) and _WORD.fullmatch(value):
            return Constant(value, source=source)
        if isinstance(value, str) and not is_quantity(value):
            message = f"a constant is a number, a quantity or a word (got {shorten(value)})"
            self.note(path, message, "{expr: …} calculates")
            return None
        number = self.number(value, path)
        return None if number is None else Constant(float(number), source=source, dimension=dimension_of(number))

    def expr(self, value: object, path: Path_, source: str) -> Spec | None:
        """Read an expression."""
        if not isinstance(value, str):
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                value = repr(value)
            else:
                self.note(path, f"must be an expression such as 2 * speed - gap (got {shorten(value)})")
                return None
        text = _REFERENCE.sub("", value).strip()
        try:
            compiled(text)
        except ExpressionError as error:
            self.note(path, error.message, error.hint, column=_column(value, error.column))
            return None
        return Expr(text, source=source)

    def choice(self, tree: object, path: Path_, source: str) -> Spec | None:
        """Read the options of `choice` and their weights."""
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
                    dimensions[f"value {i}"], places[f"value {i}"] = dimension_of(value), place
                value = float(value) + 0.0
            if value in seen:
                self.note(place, f"{shorten(option)} occurs twice in this choice", at_key=True)
            if options and isinstance(value, str) != isinstance(options[0], str):
                self.note(place, "a choice is between numbers or between words, not both", at_key=True)
                return None
            options.append(value)
            seen.add(value)
        dimension = self.agree(dimensions, places)
        if len(self.problems) > before:
            return None
        return Choice(tuple(options), tuple(weights), source=source, dimension=dimension)

    def empirical(self, tree: object, path: Path_, source: str) -> Spec | None:
        """Read observed figures: a list, or a column of a file."""
        usage = "empirical takes file and column, or values; and how: linear or steps"
        if not isinstance(tree, Mapping):
            self.note(path, f"must be a mapping (got {shorten(tree)})", usage)
            return None
        before = len(self.problems)
        known = ("values", "how") if "values" in tree else ("file", "column", "unit", "how", "sha256")
        for key in tree:
            if key not in known:
                hint = "  ".join(filter(None, (suggestion(key, known), usage)))
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
        """Read a list of observed figures."""
        if not isinstance(tree, list | tuple) or not tree:
            self.note(path, f"must be a list of figures (got {shorten(tree)})")
            return None
        numbers = [self.number(value, (*path, i)) for i, value in enumerate(tree)]
        found = {f"figure {i}": n.dimension for i, n in enumerate(numbers) if n is not None and n.dimension}
        dimension = self.agree(found, {f"figure {i}": (*path, i) for i in range(len(numbers))})
        samples = tuple(float(number) for number in numbers if number is not None)
        return Empirical(samples, how, source=source, dimension=dimension)

    def file(self, tree: Mapping[Any, Any], path: Path_, how: Any, source: str, usage: str) -> Spec | None:
        """Read the reference to a column of a file; a CSV file is checked now, a Parquet file when drawn from."""
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
            if file.suffix.lower() == ".csv":
                _samples.column(file, texts["column"], sha256)
        except MischanceError as error:
            self.note((*path, place), error.message, error.hint)
            return None
        return Empirical(
            how=how, file=texts["file"], column=texts["column"], unit=texts["unit"], sha256=sha256,
            scale=scale.factor, shift=scale.offset, path=file, source=source, dimension=scale.dimension,
        )  # fmt: skip


def is_quantity(text: str) -> bool:
    """Return whether a text is a quantity: a number with an optional, perhaps misspelt, unit."""
    if _QUANTITY.fullmatch(text):
        return True
    try:
        units.parse(text)
    except UnitError:
        return False
    return True


def _column(written: str, column: int) -> int:
    """Return the column in the written text of a column in the stripped text without `$`."""
    skipped = {found.start() for found in _REFERENCE.finditer(written)}
    kept = [i for i in range(len(written) - len(written.lstrip()), len(written)) if i not in skipped]
    return kept[column - 1] + 1 if column <= len(kept) else len(written) + 1


def dimension_of(number: units.Quantity) -> str:
    """Return the dimension of a quantity; that of a plain number is unknown."""
    return "" if number.dimension == "number" else number.dimension


def called(dimension: str) -> str:
    """Return the name of a dimension with its article, for error messages."""
    return units.wanted(dimension).removeprefix("expected ").partition(" such as")[0] if dimension else "a bare number"


def suggestion(key: object, known: Sequence[str]) -> str:
    """Return "did you mean …?" for a key; an empty text if it is no text or nothing is close."""
    return suggest(key, known) if isinstance(key, str) else ""
