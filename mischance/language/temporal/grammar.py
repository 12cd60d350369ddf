"""Parser of `require`: a text becomes a tree of temporal operators over comparisons.

Precedence, loosest first: `implies`, `until`, `or`, `and`, `not`. The prefix operators always, eventually and for
extend as far right as possible. Comparisons are compiled by `expressions`; this parser finds their limits. Positions
are kept, so that every error has its column in the written text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from mischance import units
from mischance.errors import ExpressionError, UnitError, shorten, suggest
from mischance.language.expressions.parsing import MAX_LENGTH, Expression, compile_expression
from mischance.language.expressions.scanning import MAX_DEPTH
from mischance.language.temporal.tree import (
    Both,
    Either,
    Hold,
    Implies,
    Leaf,
    Node,
    Until,
    Window,
    negate,
)

PREFIX = ("always", "eventually", "for")
JOINS = ("and", "or", "until", "implies")
BOUNDS = ("within", "after")
WORDS = (*PREFIX, *JOINS, *BOUNDS, "not")

_MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
_TOKEN = re.compile(
    rf"\s*(?:(?P<number>{units.NUMBER})|(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)"
    r"|(?P<compare>[<>]=|[=!]=|<|>)|(?P<open>\()|(?P<close>\))|(?P<other>\S))"
)
_QUANTITY = re.compile(rf"-?\s*{units.NUMBER}\s*(.*)", re.DOTALL)


# -- the parser -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


def parse(
    text: str, names: Collection[str] | None, dimensions: Mapping[str, str] | None = None
) -> tuple[Node, tuple[str, ...]]:
    """Return the tree of a requirement and the names in it, in order of appearance.

    Raises:
        ExpressionError: an element that cannot be parsed, is not declared or has another dimension, with its column.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters", "write two requirements", MAX_LENGTH + 1)
    parser = _Parser(text, names, dimensions)
    node = parser.formula(inside=False)
    parser.end()
    return node, tuple(dict.fromkeys(parser.found))


class _Parser:
    """Recursive descent over the tokens; `inside`: an operator without parentheses extends to here."""

    def __init__(self, text: str, names: Collection[str] | None, dimensions: Mapping[str, str] | None) -> None:
        self.text, self.names, self.dimensions = text, names, dimensions
        self.found: list[str] = []
        self._tokens = _tokens(text)
        self._partner = _partners(self._tokens)
        self._at = 0
        self._depth = 0

    # -- levels ---------------------------------------------------------------------------------------------------

    def formula(self, inside: bool) -> Node:
        """Read `a implies b`."""
        start = self._at
        left = self._until(inside)
        if not self._word("implies"):
            return left
        right = self._until(inside)
        if self._word("implies"):
            raise self._error("`implies` cannot be chained", "write a implies (b implies c)", self._at - 1)
        return Implies(self._span(start), left, right)

    def _until(self, inside: bool) -> Node:
        start = self._at
        left = self._either(inside)
        if not self._word("until"):
            return left
        low, high = self._bounds()
        right = self._either(inside)
        if self._word("until"):
            raise self._error("`until` cannot be chained", "write a until (b until c)", self._at - 1)
        return Until(self._span(start), left, right, low, high)

    def _either(self, inside: bool) -> Node:
        start, parts = self._at, [self._both(inside, first=True)]
        while self._word("or"):
            parts.append(self._both(inside, first=False))
        return parts[0] if len(parts) == 1 else Either(self._span(start), tuple(parts))

    def _both(self, inside: bool, first: bool) -> Node:
        start, parts = self._at, [self._unary(inside and not first)]
        while self._word("and"):
            parts.append(self._unary(inside))
        return parts[0] if len(parts) == 1 else Both(self._span(start), tuple(parts))

    def _unary(self, ambiguous: bool) -> Node:
        odd = False
        while self._word("not"):
            odd = not odd
        token = self._peek()
        if token is not None and token.kind == "name" and token.text in PREFIX:
            if ambiguous:  # `always a and eventually b` is read in two ways: parentheses are required
                raise self._error(
                    f"it is not clear whether '{token.text}' belongs to the operator before it",
                    "put parentheses around the first or the second",
                    self._at,
                )
            node = self._deeper(self._prefix)
        elif token is not None and token.kind == "open" and self._is_group():
            node = self._deeper(self._group)
        else:
            node = self._leaf()
        return negate(node) if odd else node

    def _prefix(self) -> Node:
        start = self._at
        word = self._tokens[start].text
        self._at += 1
        if word == "for":
            duration = self._time()
            body = self.formula(inside=True)
            return Hold(self._span(start), duration, body)
        low, high = self._bounds()
        body = self.formula(inside=True)
        if word == "always" and isinstance(body, Hold) and high == math.inf:
            hint = "write `always within 3 s …` for the next 3 s, or `for 3 s …` if the run must also last that long"
            raise self._error("no run is long enough for 'always for'", hint, start)
        return Window(self._span(start), word == "always", body, low, high)

    def _group(self) -> Node:
        opened = self._at
        self._at += 1
        node = self.formula(inside=False)
        if self._at != self._partner[opened]:
            raise self._stray()
        self._at += 1
        return node

    # -- bounds ---------------------------------------------------------------------------------------------------

    def _bounds(self) -> tuple[float, float]:
        bounds: dict[str, float] = {}
        last = self._at
        while (token := self._peek()) is not None and token.text in BOUNDS:
            if token.text in bounds:
                raise self._error(f"`{token.text}` occurs twice", "keep one of them", self._at)
            self._at += 1
            last = self._at
            bounds[token.text] = self._time()
        low, high = bounds.get("after", 0.0), bounds.get("within", math.inf)
        if low >= high:
            raise self._error("nothing lies between these bounds", "`after` must be less than `within`", last)
        return low, high

    def _time(self) -> float:
        token = self._peek()
        if token is None or token.kind != "number":
            raise self._error("a time such as 3 s is wanted here", "", self._at)
        end = token.end + self._unit(token.end)
        try:
            value = float(units.parse(self.text[token.start : end], "time"))
        except UnitError as error:
            raise ExpressionError(error.message, error.hint, token.start + 1) from None
        if value <= 0.0:
            raise self._error("the time must be > 0", "", self._at)
        while (after := self._peek()) is not None and after.start < end:
            self._at += 1
        return value

    def _unit(self, start: int) -> int:
        """Return the number of characters of a unit, with the space before it, after a number that ends at `start`."""
        rest = self.text[start:]
        name = rest.lstrip()
        for size in range(min(units.LONGEST_NAME, len(name)), 0, -1):
            after = name[size : size + 1]
            whole = not (name[size - 1].isalnum() and (after.isalnum() or after in ("_", ".")))
            if whole and name[:size] in units.UNITS and (name[:size], after) != ("min", "("):
                return len(rest) - len(name) + size
        return 0

    # -- leaves ---------------------------------------------------------------------------------------------------

    def _leaf(self) -> Leaf:
        start, compared = self._at, []
        while (token := self._peek()) is not None and token.kind != "close":
            if token.kind == "name" and token.text in WORDS:
                break
            if token.kind == "compare":
                compared.append(token)
            self._at = self._skip() if token.kind == "open" else self._at + 1
        if self._at == start and token is not None and token.text in BOUNDS:
            raise self._stray()
        if self._at == start:
            raise self._error("a condition is missing here", "write a comparison such as motor.gap > 3 m", start)
        first, last = self._tokens[start], self._tokens[self._at - 1]
        whole = self._compile(first.start, last.end)
        self.found += whole.names
        if len(compared) != 1:  # several: reported by the first compilation
            if last is not first or first.kind != "name":
                raise self._error("a comparison is missing here", "write a comparison such as motor.gap > 3 m", start)
            return Leaf(whole.text, whole)
        sign = compared[0]
        left = self._compile(first.start, sign.start)
        right = self._compile(self._tokens[self._tokens.index(sign) + 1].start, last.end)
        unit, mirrored = _unit_of(right), _unit_of(left)
        if unit is None and mirrored is not None:
            return Leaf(whole.text, right, _MIRRORED[sign.text], left, mirrored)
        return Leaf(whole.text, left, sign.text, right, unit)

    def _skip(self) -> int:
        """Return the token after the arithmetic parentheses that open here."""
        close = self._partner[self._at]
        for i in range(self._at, close):
            if self._tokens[i].text in WORDS and self._tokens[i].text not in ("and", "or", "not"):
                raise self._error(f"'{self._tokens[i].text}' cannot stand inside arithmetic", "", i)
        return close + 1

    def _compile(self, start: int, end: int) -> Expression:
        text = self.text[start:end].rstrip()
        try:
            return compile_expression(text, self.names, self.dimensions)
        except ExpressionError as error:
            column = start + error.column
            raise ExpressionError(error.message, self._misspelt(start, column) or error.hint, column) from None

    def _misspelt(self, start: int, column: int) -> str:
        """Return a hint for a misspelt word at, or right before, the position of a syntax error."""
        near = [token for token in self._tokens if start <= token.start < column][-2:]
        words = [token.text for token in near if token.kind == "name" and token.text not in (self.names or ())]
        return next((hint for word in words if (hint := suggest(word, WORDS, 0.75))), "")

    # -- tokens ---------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Raise an error if there are tokens left."""
        if self._at < len(self._tokens):
            raise self._stray()

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _word(self, word: str) -> bool:
        token = self._peek()
        taken = token is not None and token.kind == "name" and token.text == word
        self._at += taken
        return taken

    def _is_group(self) -> bool:
        after = self._partner[self._at] + 1
        return after == len(self._tokens) or self._tokens[after].kind == "close" or self._tokens[after].text in WORDS

    def _deeper(self, read: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} operators inside each other", "write two requirements", self._at)
        node = read()
        self._depth -= 1
        return node

    def _span(self, start: int) -> str:
        text = self.text[self._tokens[start].start : self._tokens[self._at - 1].end]
        return " ".join(text.split())

    def _stray(self) -> ExpressionError:
        word = self._tokens[self._at].text
        if word in BOUNDS:
            return self._error(
                f"`{word}` stands right after always, eventually or until", f"write eventually {word} 3 s …", self._at
            )
        if word == "for":
            return self._error("`for` stands before what holds", "write for 2 s motor.speed < 0.1 m/s", self._at)
        hint = "conditions are joined by " + ", ".join(JOINS)
        return self._error(f"{shorten(word)} cannot stand here", hint, self._at)

    def _error(self, message: str, hint: str, token: int) -> ExpressionError:
        at = self._tokens[token].start if token < len(self._tokens) else len(self.text.rstrip())
        return ExpressionError(message, hint, at + 1)


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while match := _TOKEN.match(text, at):
        kind = str(match.lastgroup)
        found.append(_Token(kind, match[kind], match.start(kind), match.end(kind)))
        at = match.end()
    return found


def _partners(tokens: list[_Token]) -> dict[int, int]:
    """Return the index of the closing parenthesis of each opening one.

    Raises:
        ExpressionError: a parenthesis is unmatched.
    """
    partner: dict[int, int] = {}
    opened: list[int] = []
    for i, token in enumerate(tokens):
        if token.kind == "open":
            opened.append(i)
        elif token.kind == "close":
            if not opened:
                raise ExpressionError("the parentheses do not match", "", token.start + 1)
            partner[opened.pop()] = i
    if opened:
        raise ExpressionError("the parentheses do not match", "", tokens[opened[-1]].start + 1)
    return partner


def _unit_of(side: Expression) -> str | None:
    """Return the unit of a side that is a quantity; '' for a bare number, None for any other expression."""
    found = _QUANTITY.fullmatch(side.text)
    return found[1] if found and found[1] in ("", *units.UNITS) else None
