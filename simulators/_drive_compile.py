"""How the kernels are compiled: strict floating point, one thread, no wrappers for what only kernels call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def inner(function: Function) -> Function:
    """Compile a function that only kernels call."""
    options: Any = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled: Any = njit(**options)(function)
    return cast("Function", compiled)


def shared(function: Function) -> Function:
    """Compile a function that Python calls too."""
    compiled: Any = njit(error_model="numpy")(function)
    return cast("Function", compiled)
