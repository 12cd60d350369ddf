"""Decorator for element-wise formulas: broadcasting, NaN propagation, no warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, cast

import numpy as np

from mischance.api.tables import BoolArray, FloatArray

Floats = FloatArray | float
P = ParamSpec("P")


def elementwise(formula: Callable[P, Any]) -> Callable[P, FloatArray]:
    """Return a formula that takes arrays and numbers of any shapes that broadcast.

    The result is a float64 array of the common shape (0-dimensional for numbers). It is NaN where any input is NaN.
    No warnings are issued. An element's bits depend on that element's inputs alone; for this reason formulas use
    `np.square(x)`, not `x**2`: NumPy computes powers of scalars and of arrays by different routines.
    """

    @wraps(formula)
    def apply(*args: P.args, **kwargs: P.kwargs) -> FloatArray:
        columns: Any = [_columns(value) for value in args]
        named: Any = {name: _columns(value) for name, value in kwargs.items()}
        with np.errstate(all="ignore"):
            result = np.asarray(cast(Any, formula)(*columns, **named), dtype=np.float64)
        absent = _missing((*columns, *named.values()))
        return np.where(absent, np.nan, result) if absent.any() else result

    return apply


def _missing(inputs: Any) -> BoolArray:
    """Return where any of the inputs, or of the fields of a tuple, is NaN."""
    absent: BoolArray = np.zeros((), dtype=np.bool_)
    for column in _leaves(inputs):
        absent = absent | np.isnan(column)
    return absent


def _columns(value: Any) -> Any:
    if isinstance(value, tuple):
        columns = [_columns(part) for part in value]
        return type(value)(*columns) if hasattr(value, "_fields") else tuple(columns)
    return np.asarray(value, dtype=np.float64)


def _leaves(value: Any) -> Iterator[FloatArray]:
    if isinstance(value, tuple):
        for part in value:
            yield from _leaves(part)
    else:
        yield value
