"""IEEE 754 arithmetic on floats (by `math`) and on arrays (by NumPy), and dimensions of results.

No operation raises: `1 / 0` is inf, `sqrt(-1)` is nan, `exp(1000)` is inf, for floats as for arrays. NumPy is
imported at the first array.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

BARE = "number"  # dimension of a number without a unit


def _numeric(x: Any) -> Any:
    """Return a boolean as a number: Python adds booleans, NumPy would combine them by `or`."""
    if isinstance(x, float):
        return x
    return float(x) if isinstance(x, bool) else x.astype("f8", copy=False)


def _arithmetic(scalar: Callable[[float, float], float], ufunc: str) -> Callable[[Any, Any], Any]:
    def apply(a: Any, b: Any) -> Any:
        a, b = _numeric(a), _numeric(b)
        if type(a) is float and type(b) is float:
            return scalar(a, b)
        import numpy as np

        return getattr(np, ufunc)(a, b)

    return apply


def _function(scalar: Callable[[float], float], ufunc: str) -> Callable[[Any], Any]:
    def apply(x: Any) -> Any:
        x = _numeric(x)
        if type(x) is float:
            return scalar(x)
        import numpy as np

        return getattr(np, ufunc)(x)

    return apply


def _comparison(scalar: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda a, b: scalar(_numeric(a), _numeric(b))


def _divide(a: float, b: float) -> float:
    if b:
        return a / b
    if a == 0.0 or math.isnan(a) or math.isnan(b):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _modulo(a: float, b: float) -> float:
    return a % b if b and not math.isinf(a) else math.nan


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:  # 0 ** -1, or a root of a negative number
        return (math.copysign(math.inf, a) if b % 2 == 1 else math.inf) if a == 0.0 else math.nan


def _sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0.0 else math.nan


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _log(x: float) -> float:
    if x > 0.0:
        return math.log(x)
    return -math.inf if x == 0.0 else math.nan


def _sin(x: float) -> float:
    return math.nan if math.isinf(x) else math.sin(x)


def _cos(x: float) -> float:
    return math.nan if math.isinf(x) else math.cos(x)


def _smaller(a: float, b: float) -> float:
    return a if math.isnan(a) or a <= b else b


def _larger(a: float, b: float) -> float:
    return a if math.isnan(a) or a >= b else b


def negative(x: Any) -> Any:
    """Return -x."""
    return -_numeric(x)


def _truth(x: Any) -> Any:
    return x if isinstance(x, bool) else x != 0


def logical_not(x: Any) -> Any:
    """Return not x, element by element."""
    return not x if isinstance(x, bool | float) else x == 0


def logical_and(a: Any, b: Any) -> Any:
    """Return a and b, element by element; both are evaluated."""
    return _truth(a) & _truth(b)


def logical_or(a: Any, b: Any) -> Any:
    """Return a or b, element by element; both are evaluated."""
    return _truth(a) | _truth(b)


def where(condition: Any, a: Any, b: Any) -> Any:
    """Return a where the condition holds, else b."""
    if all(isinstance(x, bool | float) for x in (condition, a, b)):
        return a if condition else b
    import numpy as np

    return np.where(_truth(condition), a, b)


smaller_of = _arithmetic(_smaller, "minimum")
larger_of = _arithmetic(_larger, "maximum")

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: _arithmetic(operator.add, "add"),
    ast.Sub: _arithmetic(operator.sub, "subtract"),
    ast.Mult: _arithmetic(operator.mul, "multiply"),
    ast.Div: _arithmetic(_divide, "divide"),
    ast.Mod: _arithmetic(_modulo, "mod"),
    ast.Pow: _arithmetic(_power, "power"),
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: _comparison(operator.lt),
    ast.LtE: _comparison(operator.le),
    ast.Gt: _comparison(operator.gt),
    ast.GtE: _comparison(operator.ge),
    ast.Eq: _comparison(operator.eq),
    ast.NotEq: _comparison(operator.ne),
}
CALLS: dict[str, Callable[..., Any]] = {
    "min": smaller_of,
    "max": larger_of,
    "abs": _function(abs, "abs"),
    "sqrt": _function(_sqrt, "sqrt"),
    "exp": _function(_exp, "exp"),
    "log": _function(_log, "log"),
    "sin": _function(_sin, "sin"),
    "cos": _function(_cos, "cos"),
}


# -- dimensions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Finds the dimension of a tree, '' if unknown, and refuses sums and comparisons of two different dimensions.

    A bare number is SI and fits every dimension, and so do unknown dimensions: products and quotients of two
    quantities, powers, roots. A bare number or a ratio as a factor keeps the dimension of the other operand.

    `known`: name in the tree -> dimension. `clash`: creates the error from the operation (compare, add, subtract or a
    function's name), both operands and their dimensions.
    """

    known: Mapping[str, str]
    clash: Callable[[str, tuple[ast.expr, ast.expr], tuple[str, str]], Exception]

    def of(self, node: ast.expr) -> str:
        """Return the dimension of a node; all nodes inside it are checked."""
        match node:
            case ast.Name(id=name):
                return self.known.get(name, "")
            case ast.UnaryOp(op=ast.USub(), operand=x) | ast.Call(func=ast.Name(id="abs"), args=[x]):
                return self.of(x)
            case ast.BinOp(op=ast.Add() | ast.Sub() as op, left=left, right=right):
                return self._alike("add" if isinstance(op, ast.Add) else "subtract", left, right)
            case ast.BinOp(op=ast.Mult(), left=left, right=right):
                a, b = self.of(left), self.of(right)
                return b if a in (BARE, "ratio") else a if b in (BARE, "ratio") else ""
            case ast.BinOp(op=ast.Div(), left=left, right=right):
                a, b = self.of(left), self.of(right)
                return a if b in (BARE, "ratio") else ""
            case ast.Compare(left=left, comparators=[right]):
                self._alike("compare", left, right)
            case ast.Call(func=ast.Name(id="min" | "max" | "clip" as name), args=[first, *others]):
                return self._alike(name, first, *others)
            case ast.Call(func=ast.Name(id="where"), args=[condition, a, b]):
                self.of(condition)
                return _joined(self.of(a), self.of(b)) or ""
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self.of(child)
        return ""

    def _alike(self, what: str, first: ast.expr, *others: ast.expr) -> str:
        known, common = first, self.of(first)
        for other in others:
            dimension = self.of(other)
            joined = _joined(common, dimension)
            if joined is None:
                raise self.clash(what, (known, other), (common, dimension))
            if common in ("", BARE) and dimension not in ("", BARE):
                known = other
            common = joined
        return common


def _joined(a: str, b: str) -> str | None:
    """Return the common dimension of two: '' (unknown) and BARE fit any; None if they differ."""
    if a in ("", BARE):
        return b if b != BARE else a
    return a if b in ("", BARE, a) else None
