"""Scanner of expressions: replaces operands by stand-ins and checks every character against the allow-list."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from mischance import units
from mischance.errors import ExpressionError, UnitError, shorten, suggest
from mischance.language.expressions.arithmetic import BARE

MAX_NODES = 120
MAX_DEPTH = 32  # parentheses

_NUMBER = re.compile(units.NUMBER)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_OPERATOR = re.compile(r"\*\*|//|<<|>>|<=|>=|==|!=|[-+*/%<>(),]")
_PERCENT = re.compile(r"\s*(?:$|[),<>=!*/]|and\b|or\b)")  # may follow a percent sign, but not a modulo operator

FUNCTIONS = {"min": 2, "max": 2, "abs": 1, "sqrt": 1, "exp": 1, "log": 1, "sin": 1, "cos": 1, "clip": 3, "where": 3}
_WORDS = {"and", "or", "not"}
_CONSTANTS = {"true": True, "false": False}

_REFUSED = {
    "//": "use `/`",
    "<<": "there are no shifts; multiply instead",
    ">>": "there are no shifts; divide instead",
    "[": "there is no indexing; a dotted name such as motor.speed is one name",
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


class Scanner:
    """Scans the text once, from left to right; its skeleton has the same length, so columns are the same in both."""

    def __init__(self, text: str, declared: Collection[str] | None) -> None:
        self.text = text
        self.declared = declared
        self.names: list[str] = []
        self.operands: dict[str, float | bool | str] = {}  # stand-in -> constant or name
        self.units: dict[str, str] = {}  # stand-in of a number -> dimension
        self.ends: dict[str, int] = {}  # stand-in -> end of its text
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
        """Return an error for a syntax error of Python's parser in the skeleton."""
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
        # Stand-ins are CJK letters: identifiers of one character that the text itself cannot contain.
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
            if before == ",":  # Python would accept it
                raise self._error("a value is missing here", "", at)
            self._depth -= 1
        elif sign != ",":
            self._count(at)
        self.skeleton += sign

    def _name(self, name: str, at: int, end: int) -> None:
        called = self.text[end:].lstrip()[:1] == "("
        if name in _WORDS or (name in FUNCTIONS and called):
            self._count(at)
            self.skeleton += name
        elif called:
            hint = suggest(name, FUNCTIONS) or "known: " + ", ".join(FUNCTIONS)
            raise self._error(f"there is no function {shorten(name)}", hint, at)
        elif name in _CONSTANTS:
            self._operand(_CONSTANTS[name], at, end)
        elif name in FUNCTIONS and (self.declared is None or name not in self.declared):
            raise self._error(f"'{name}' is a function", f"write {usage(name)}", at)
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
        """Return the end of a number with its unit, and the unit; (end, '') if it has none."""
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


def usage(function: str) -> str:
    """Return how a function is called, for error messages."""
    return {1: f"{function}(x)", 2: f"{function}(a, b)"}.get(
        FUNCTIONS[function], "clip(x, lo, hi)" if function == "clip" else "where(condition, a, b)"
    )
