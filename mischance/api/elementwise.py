"""Lets a formula be written for columns: one rule for shapes, plain numbers, NaN and warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec, cast

import numpy as np

from mischance.api.tables import BoolArray, FloatArray

Floats = FloatArray | float
P = ParamSpec("P")


def elementwise(formula: Callable[P, Any]) -> Callable[P, FloatArray]:
    """Return a formula that takes arrays and plain numbers of any shapes that broadcast.

    The answer is a float64 array of the common shape (no axis for plain numbers). Where any input is NaN, it is
    NaN. Nothing warns. An element's bits depend on that element's inputs alone; for that a formula says
    `np.square(x)`, not `x**2`: NumPy takes powers of a lone number and of a column by different routines.
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
