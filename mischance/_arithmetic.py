"""IEEE 754 arithmetic that works alike on floats and on columns: floats by `math`, columns by NumPy.

Nothing here raises: `1 / 0` is inf, `sqrt(-1)` is nan, `exp(1000)` is inf, in a float as in a column.
NumPy is imported when the first column comes.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any


def _numeric(x: Any) -> Any:
    """Return a boolean as a number: NumPy would join booleans where Python adds them."""
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
    return -_numeric(x)


def _truth(x: Any) -> Any:
    return x if isinstance(x, bool) else x != 0


def logical_not(x: Any) -> Any:
    return not x if isinstance(x, bool | float) else x == 0


def logical_and(a: Any, b: Any) -> Any:
    return _truth(a) & _truth(b)


def logical_or(a: Any, b: Any) -> Any:
    return _truth(a) | _truth(b)


def where(condition: Any, a: Any, b: Any) -> Any:
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
