"""Expressions of a scenario, such as `gap > 3 m and not braking`, over floats and whole columns.

The language is an allow-list: numbers (with a unit if they like), true and false,
declared names, `+ - * / % **`, unary minus, `and or not`, one comparison at a time,
and ten functions. A scanner of our own reads every character, turns quantities into
SI and stands in one neutral letter for each operand; what is left, a skeleton such as
`x > y and not z`, goes to Python's parser for its precedence alone. Nothing is ever
evaluated as Python: the tree becomes closures. Where the dimensions of names are
given, what compares a length with a time is refused.

Scalars are worked out with `math`, columns with NumPy, which is imported when the
first column comes. Both follow IEEE 754: `1 / 0` is inf and `sqrt(-1)` is nan, never
an exception. Their last bits may differ, so one quantity is either always a scalar
or always a column.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from mischance import units
from mischance.errors import ExpressionError, UnitError, shorten, suggest
from mischance.language.expressions.arithmetic import (
    BARE,
    BINARY,
    CALLS,
    COMPARE,
    Dimensions,
    larger_of,
    logical_and,
    logical_not,
    logical_or,
    negative,
    smaller_of,
    where,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Value: TypeAlias = "float | NDArray[np.float64] | NDArray[np.bool_]"

MAX_LENGTH = 400  # characters
MAX_NODES = 120
MAX_DEPTH = 32  # parentheses

_Closure: TypeAlias = Callable[[Mapping[str, Any]], Any]

_NUMBER = re.compile(units.NUMBER)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_OPERATOR = re.compile(r"\*\*|//|<<|>>|<=|>=|==|!=|[-+*/%<>(),]")
_PERCENT = re.compile(r"\s*(?:$|[),<>=!*/]|and\b|or\b)")  # what may follow a percent sign, but not a modulo

_FUNCTIONS = {"min": 2, "max": 2, "abs": 1, "sqrt": 1, "exp": 1, "log": 1, "sin": 1, "cos": 1, "clip": 3, "where": 3}
_WORDS = {"and", "or", "not"}
_CONSTANTS = {"true": True, "false": False}

_REFUSED = {
    "//": "use `/`",
    "<<": "there are no shifts; multiply instead",
    ">>": "there are no shifts; divide instead",
    "[": "there is no indexing; a dotted name such as ego.gap is one name",
    "'": "there is no text in expressions, only numbers",
    '"': "there is no text in expressions, only numbers",
    "^": "a power is written `**`",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or `!=`",
    "~": "write `not`",
    "=": "equality is written `==`",
    "$": "names take no `$` inside an expression",
    ".": "only a declared name has dots; there are no attributes",
    "True": "write `true`",
    "False": "write `false`",
    "if": "write where(condition, a, b)",
    "else": "write where(condition, a, b)",
}


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression: call it with the values of its names.

    `dimension` is that of its value, '' where it is not known or none were given.
    """

    text: str
    names: tuple[str, ...]
    _run: _Closure = field(repr=False, compare=False)
    dimension: str = field(default="", repr=False, compare=False)

    def __call__(self, values: Mapping[str, Any]) -> Value:
        """Return the value: a float or bool for scalars, a column where any name is a column.

        Args:
            values: name -> number, or a column of numbers or booleans; columns have one common shape.

        Raises:
            ExpressionError: a name has no value, or none that is a number.
        """
        inputs: dict[str, Any] = {}
        columns = False
        for name in self.names:
            try:
                value = values[name]
            except KeyError:
                raise ExpressionError(f"'{name}' has no value here") from None
            if isinstance(value, bool):
                inputs[name] = value
            elif isinstance(value, float | int):
                inputs[name] = float(value)
            else:
                inputs[name] = _column(name, value)
                columns = True
        if not columns:
            result: Value = self._run(inputs)
            return result
        import numpy as np

        with np.errstate(all="ignore"):
            result = self._run(inputs)
        return result

    def __reduce__(self) -> tuple[Callable[[str], Expression], tuple[str]]:
        return compile_expression, (self.text,)  # closures do not travel between processes; text does


def compile_expression(
    text: str, names: Collection[str] | None = None, dimensions: Mapping[str, str] | None = None
) -> Expression:
    """Return the expression that a text means.

    A number may carry a unit (`gap > 3 m`, `15 m/s3`), the longest that fits; `60 %` is a ratio where nothing
    follows that `%` could divide, and `2 /h` is a rate unless `h` is a declared name. Temperatures in degC may be
    compared but not added, for 20 degC - 5 degC is not 15 degC.

    Args:
        text: what the scenario says.
        names: the declared names, dotted ones included; None takes any name.
        dimensions: those of names, as far as they are known; None checks no dimension.

    Raises:
        ExpressionError: what is not allowed, not declared or of another dimension, with its column in `text`.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters", "split it into drawn values", MAX_LENGTH + 1)
    scanner = _Scanner(text, names)
    scanner.scan()
    try:
        tree = ast.parse(scanner.skeleton, mode="eval").body
    except SyntaxError as error:
        raise scanner.explain(error) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("cannot be read", "use fewer parentheses") from None
    compiler = _Compiler(scanner)
    run = compiler.compile(tree)
    dimension = "" if dimensions is None else compiler.dimension(tree, dimensions)
    return Expression(text, tuple(dict.fromkeys(scanner.names)), run, dimension)


def _column(name: str, value: object) -> Any:
    import numpy as np

    column = np.asarray(value)
    if column.dtype.kind not in "bfiu":
        raise ExpressionError(f"'{name}' is not a number")
    return column if column.dtype.kind == "b" else column.astype(np.float64)


class _Scanner:
    """Reads the text once, from left to right, and leaves a skeleton of equal length, so that columns stay true."""

    def __init__(self, text: str, declared: Collection[str] | None) -> None:
        self.text = text
        self.declared = declared
        self.names: list[str] = []
        self.operands: dict[str, float | bool | str] = {}  # stand-in -> constant or name
        self.units: dict[str, str] = {}  # stand-in of a number -> its dimension
        self.ends: dict[str, int] = {}  # stand-in -> where its text ends
        self.skeleton = ""
        self._nodes = 0
        self._depth = 0

    def scan(self) -> None:
        """Fill the skeleton, the operands and the names."""
        at, before = 0, ""
        while at < len(self.text):
            if self.text[at] in " \t\r\n":
                end = at + 1
                self.skeleton += " "
            elif self.text[at].isdigit() or (self.text[at] == "." and self.text[at + 1 : at + 2].isdigit()):
                end = self._number(at, before)
            elif found := _NAME.match(self.text, at):
                end = found.end()
                self._name(found[0], at, end)
            elif found := _OPERATOR.match(self.text, at):
                end = found.end()
                self._operator(found[0], at, before)
            else:
                raise self._refuse(self.text[at], at)
            before = self.text[at:end].strip() or before
            at = end

    def explain(self, error: SyntaxError) -> ExpressionError:
        """Return our words for what Python's parser did not like about the skeleton."""
        text, joins = self.skeleton.rstrip(), "operands are joined by + - * / % ** < <= > >= == != and or"
        if not text:
            return self._error("the expression is empty", "write a comparison such as gap > 3 m", 0)
        at = min(max(error.offset or 1, 1), len(text)) - 1
        if "never closed" in error.msg or "unmatched" in error.msg:
            return self._error("the parentheses do not match", "", at)
        if not (text[-1] in self.operands or text[-1] == ")"):
            return self._error("the expression ends too early", "", len(text) - 1)
        return self._error("cannot be read from here on", joins, at)

    def _error(self, message: str, hint: str, at: int) -> ExpressionError:
        return ExpressionError(message, hint, at + 1)

    def _refuse(self, what: str, at: int) -> ExpressionError:
        return self._error(f"{shorten(what)} is not allowed", _REFUSED.get(what, ""), at)

    def _count(self, at: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._error(f"more than {MAX_NODES} numbers, names and operators", "split it into drawn values", at)

    def _operand(self, value: float | bool | str, at: int, end: int) -> None:
        # One CJK letter an operand: a Python identifier of one character, unlike anything that the text may hold.
        self._count(at)
        letter = chr(0x4E00 + len(self.operands))
        self.operands[letter], self.ends[letter] = value, end
        self.skeleton += letter.ljust(end - at)

    def _operator(self, sign: str, at: int, before: str) -> None:
        if sign in _REFUSED:
            raise self._refuse(sign, at)
        if sign == "(":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._error(f"more than {MAX_DEPTH} parentheses inside each other", "", at)
        elif sign == ")":
            if before == ",":  # Python would let it pass
                raise self._error("a value is missing here", "", at)
            self._depth -= 1
        elif sign != ",":
            self._count(at)
        self.skeleton += sign

    def _name(self, name: str, at: int, end: int) -> None:
        called = self.text[end:].lstrip()[:1] == "("
        if name in _WORDS or (name in _FUNCTIONS and called):
            self._count(at)
            self.skeleton += name
        elif called:
            hint = suggest(name, _FUNCTIONS) or "known: " + ", ".join(_FUNCTIONS)
            raise self._error(f"there is no function {shorten(name)}", hint, at)
        elif name in _CONSTANTS:
            self._operand(_CONSTANTS[name], at, end)
        elif name in _FUNCTIONS and (self.declared is None or name not in self.declared):
            raise self._error(f"'{name}' is a function", f"write {_usage(name)}", at)
        elif self.declared is not None and name not in self.declared:
            hint = _REFUSED.get(name) or suggest(name, [*self.declared, *_CONSTANTS]) or self._known()
            raise self._error(f"nothing is called {shorten(name)} here", hint, at)
        elif name in _REFUSED:
            raise self._refuse(name, at)
        else:
            self.names.append(name)
            self._operand(name, at, end)

    def _known(self) -> str:
        known = sorted(self.declared or ())
        return "known: " + ", ".join(known[:12]) + (" …" if len(known) > 12 else "") if known else ""

    def _number(self, at: int, before: str) -> int:
        found = _NUMBER.match(self.text, at)
        if found is None or len(found[0]) > 40:
            raise self._error("not a number that can be read", "write at most 40 plain digits", at)
        end, unit = self._unit(found.end())
        number = float(found[0])
        if unit:
            scale = units.UNITS[unit]
            if scale.offset and before in {"+", "-", "*", "/", "%", "**"}:
                raise self._error(f"{unit} has an offset and cannot follow '{before}'", "write kelvin (K)", at)
            number = scale.si(number)
        if not math.isfinite(number):
            raise self._error("the number is too large", "", at)
        self.units[chr(0x4E00 + len(self.operands))] = units.UNITS[unit].dimension if unit else BARE
        self._operand(number, at, end)
        return end

    def _unit(self, end: int) -> tuple[int, str]:
        """Return where a number with its unit ends, and the unit; (end, '') where it has none."""
        start = end
        while self.text[start : start + 1] in {" ", "\t"}:
            start += 1
        for size in range(min(units.LONGEST_NAME, len(self.text) - start), 0, -1):
            name = self.text[start : start + size]
            if name in units.UNITS and self._is_unit(name, start + size):
                return start + size, name
        word = _NAME.match(self.text, start)
        if word is None or word[0] in _WORDS:
            return end, ""
        hint = _REFUSED.get(word[0], "")
        if word[0][0] == "_" and start == end:
            hint = "write numbers without `_`"
        try:
            raise units.unknown_unit(word[0])
        except UnitError as error:
            raise self._error(error.message, hint or error.hint, start) from None

    def _is_unit(self, name: str, end: int) -> bool:
        rest = self.text[end:]
        if name == "%":
            return _PERCENT.match(rest) is not None
        if (name[-1].isalnum() and re.match(r"[A-Za-z0-9_]|\.[A-Za-z_]", rest)) or rest.lstrip()[:1] == "(":
            return False
        return name[0] != "/" or self.declared is None or name[1:] not in self.declared


def _usage(function: str) -> str:
    return {1: f"{function}(x)", 2: f"{function}(a, b)"}.get(
        _FUNCTIONS[function], "clip(x, lo, hi)" if function == "clip" else "where(condition, a, b)"
    )


class _Compiler:
    """Turns the skeleton's tree into closures."""

    def __init__(self, scanner: _Scanner) -> None:
        self.scanner = scanner

    def compile(self, node: ast.AST) -> _Closure:
        """Return the closure of one node.

        Raises:
            ExpressionError: the node is not on the allow-list.
        """
        match node:
            case ast.Name(id=letter) if letter in self.scanner.operands:
                return _leaf(self.scanner.operands[letter])
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _apply1(negative, self.compile(operand))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _apply1(logical_not, self.compile(operand))
            case ast.UnaryOp():
                raise self._error(node, "a sign `+` is not allowed", "leave it out")
            case ast.BinOp(op=op, left=left, right=right) if type(op) in BINARY:
                return _apply2(BINARY[type(op)], self.compile(left), self.compile(right))
            case ast.BoolOp(op=op, values=values):
                join = logical_and if isinstance(op, ast.And) else logical_or
                run = self.compile(values[0])
                for value in values[1:]:
                    run = _apply2(join, run, self.compile(value))
                return run
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARE:
                return _apply2(COMPARE[type(op)], self.compile(left), self.compile(right))
            case ast.Compare(comparators=comparators, ops=ops) if len(ops) > 1:
                raise self._error(comparators[1], "comparisons cannot be chained", "write a < b and b < c")
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                if len(args) != _FUNCTIONS[name]:
                    message = f"{name} takes {_FUNCTIONS[name]} values (got {len(args)})"
                    raise self._error(node, message, f"write {_usage(name)}")
                return self._call(name, [self.compile(arg) for arg in args])
        raise self._error(node, "this is not allowed in an expression", "")

    def _call(self, name: str, args: list[_Closure]) -> _Closure:
        if name == "clip":
            return _apply2(smaller_of, _apply2(larger_of, args[0], args[1]), args[2])
        if name == "where":
            return _apply3(where, *args)
        function = CALLS[name]
        return _apply1(function, *args) if len(args) == 1 else _apply2(function, *args)

    def dimension(self, tree: ast.expr, named: Mapping[str, str]) -> str:
        """Return the dimension of the value, '' where it is not known.

        Raises:
            ExpressionError: two known dimensions that differ are compared or added.
        """
        known = {
            letter: _checked(named.get(value, "") if isinstance(value, str) else self.scanner.units.get(letter, ""))
            for letter, value in self.scanner.operands.items()
        }
        found = Dimensions(known, self._clash).of(tree)
        return "" if found == BARE else found

    def _clash(self, what: str, nodes: tuple[ast.expr, ast.expr], found: tuple[str, str]) -> ExpressionError:
        a, b = (f"{units.called(one)} ({self._text(node)})" for one, node in zip(found, nodes, strict=True))
        said = {"compare": f"compares {a} with {b}", "add": f"adds {b} to {a}", "subtract": f"subtracts {b} from {a}"}
        written = [self._is_number(node) for node in nodes]  # the number is more likely wrong than the name
        odd = 0 if written == [True, False] else 1
        hint = units.wanted(found[1 - odd]).replace("expected", "write") if written[odd] else ""
        return self._error(nodes[odd], said.get(what, f"{what} mixes {a} with {b}"), hint)

    def _is_number(self, node: ast.expr) -> bool:
        inner = node.operand if isinstance(node, ast.UnaryOp) else node
        return isinstance(inner, ast.Name) and inner.id in self.scanner.units

    def _text(self, node: ast.expr) -> str:
        """Return what was written where a node stands, at most 40 characters of it."""
        end = self._characters(node.end_col_offset or 0)
        end = self.scanner.ends.get(self.scanner.skeleton[end - 1], end)
        text = " ".join(self.scanner.text[self._characters(node.col_offset) : end].split())
        return text if len(text) <= 40 else text[:39] + "…"

    def _characters(self, offset: int) -> int:
        return len(self.scanner.skeleton.encode()[:offset].decode(errors="ignore"))

    def _error(self, node: ast.AST, message: str, hint: str) -> ExpressionError:
        return ExpressionError(message, hint, self._characters(getattr(node, "col_offset", 0)) + 1)


def _checked(dimension: str) -> str:
    """Return a dimension as it is compared; '' for money and others that no unit can name."""
    alike = {"temperature difference": "temperature", "level": "ratio"}
    return alike.get(dimension, dimension if dimension in (*units.SI, "ratio", BARE) else "")


# -- closures ---------------------------------------------------------------------------------------------------------


def _leaf(operand: float | bool | str) -> _Closure:
    if isinstance(operand, str):
        return lambda values: values[operand]
    return lambda values: operand


def _apply1(function: Callable[[Any], Any], x: _Closure) -> _Closure:
    return lambda values: function(x(values))


def _apply2(function: Callable[[Any, Any], Any], a: _Closure, b: _Closure) -> _Closure:
    return lambda values: function(a(values), b(values))


def _apply3(function: Callable[[Any, Any, Any], Any], a: _Closure, b: _Closure, c: _Closure) -> _Closure:
    return lambda values: function(a(values), b(values), c(values))
