"""Ranges of expressions: the least and largest value that one can have where its names lie in known ranges.

Interval arithmetic, which never leaves out a possible value, and may add some: `x - x` is not known to be 0. So what
it proves is so, and what it cannot prove is not known.

Source:
    R. E. Moore, R. B. Kearfott, M. J. Cloud, Introduction to interval analysis, SIAM 2009, ch. 2.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from itertools import product

from mischance.errors import ExpressionError
from mischance.language.expressions.parsing import Expression
from mischance.language.expressions.scanning import Scanner

Range = tuple[float, float]
ANY: Range = (-math.inf, math.inf)
YES: Range = (1.0, 1.0)
NO: Range = (0.0, 0.0)
MAYBE: Range = (0.0, 1.0)


def value_range(expression: Expression, ranges: Mapping[str, Range]) -> Range:
    """Return the range of an expression's value; what is true or false has values from 0 to 1.

    Args:
        expression: compiled, so that it is known to be sound.
        ranges: least and largest value of names; a name that is not there can have any.
    """
    scanner = Scanner(expression.text, expression.names)
    try:
        scanner.scan()
        tree = ast.parse(scanner.skeleton, mode="eval").body
    except (ExpressionError, SyntaxError):  # a part of a longer text that means something there alone
        return ANY
    return _Ranges(scanner, ranges).of(tree)


def compared(left: Range, sign: str, right: Range) -> Range:
    """Return the range of a comparison: YES, NO or MAYBE."""
    if sign in ("==", "!="):
        equal = MAYBE
        if left == right and left[0] == left[1] and math.isfinite(left[0]):
            equal = YES
        elif left[1] < right[0] or right[1] < left[0]:
            equal = NO
        return equal if sign == "==" else negation(equal)
    if sign in ("<", "<="):
        left, right = right, left
    strict = sign in (">", "<")
    if left[0] > right[1] or (not strict and left[0] >= right[1] > -math.inf and left[0] < math.inf):
        return YES
    if left[1] < right[0] or (strict and left[1] <= right[0] < math.inf and left[1] > -math.inf):
        return NO
    return MAYBE


def negation(one: Range) -> Range:
    """Return the range of `not one`."""
    if one[0] > 0.0 or one[1] < 0.0:
        return NO
    return YES if one == NO else MAYBE


class _Ranges:
    def __init__(self, scanner: Scanner, ranges: Mapping[str, Range]) -> None:
        self.operands, self.ranges = scanner.operands, ranges

    def of(self, node: ast.expr) -> Range:
        """Return the range of one node."""
        match node:
            case ast.Name(id=letter):
                operand = self.operands[letter]
                return self.ranges.get(operand, ANY) if isinstance(operand, str) else (float(operand), float(operand))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                low, high = self.of(operand)
                return -high, -low
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return negation(self.of(operand))
            case ast.BinOp(op=op, left=left, right=right):
                return _arithmetic(op, self.of(left), self.of(right))
            case ast.BoolOp(op=op, values=values):
                parts = [_truth(self.of(value)) for value in values]
                pick = min if isinstance(op, ast.And) else max
                return pick(low for low, _ in parts), pick(high for _, high in parts)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return compared(self.of(left), _SIGNS[type(op)], self.of(right))
            case ast.Call(func=ast.Name(id=name), args=args):
                return _call(name, [self.of(arg) for arg in args])
        return ANY


_SIGNS: Mapping[type[ast.cmpop], str] = {
    ast.Gt: ">", ast.GtE: ">=", ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip


def _truth(one: Range) -> Range:
    return negation(negation(one))


def _hull(values: list[float]) -> Range:
    return ANY if any(map(math.isnan, values)) else (min(values), max(values))


def _corners(a: Range, b: Range, compute: Callable[[float, float], float]) -> Range:
    try:
        return _hull([compute(x, y) for x, y in product(a, b)])
    except (OverflowError, ValueError, ZeroDivisionError):
        return ANY


def _times(x: float, y: float) -> float:
    return 0.0 if x == 0.0 or y == 0.0 else x * y  # a bound of 0 times one that is never reached


def _arithmetic(op: ast.operator, a: Range, b: Range) -> Range:
    match op:
        case ast.Add():
            return _hull([a[0] + b[0], a[1] + b[1]])
        case ast.Sub():
            return _hull([a[0] - b[1], a[1] - b[0]])
        case ast.Mult():
            return _corners(a, b, _times)
        case ast.Div() if b[0] > 0.0 or b[1] < 0.0:
            return _corners(a, b, lambda x, y: 0.0 if math.isinf(y) else x / y)
        case ast.Pow() if b[0] == b[1] and b[0] > 0.0 and b[0].is_integer():
            low, high = sorted([a[0] ** int(b[0]), a[1] ** int(b[0])])
            return (0.0, high) if int(b[0]) % 2 == 0 and a[0] < 0.0 < a[1] else (low, high)
        case ast.Pow() if a[0] > 0.0:
            return 0.0, math.inf
    return ANY


def _call(name: str, args: list[Range]) -> Range:
    first = args[0]
    match name:
        case "min" | "max":
            pick = min if name == "min" else max
            return pick(first[0], args[1][0]), pick(first[1], args[1][1])
        case "abs":
            size = max(abs(first[0]), abs(first[1]))
            return (0.0 if first[0] <= 0.0 <= first[1] else min(abs(first[0]), abs(first[1]))), size
        case "clip":
            lows = max(first[0], args[1][0]), max(first[1], args[1][1])
            return min(lows[0], args[2][0]), min(lows[1], args[2][1])
        case "where":
            known = negation(first)
            chosen = args[1:] if known == MAYBE else [args[1] if known == NO else args[2]]
            return min(low for low, _ in chosen), max(high for _, high in chosen)
        case "sin" | "cos":
            return -1.0, 1.0
        case "sqrt":
            return math.sqrt(max(first[0], 0.0)), math.sqrt(max(first[1], 0.0))
        case "exp":
            return _exp(first[0]), _exp(first[1])
    return ANY


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf
