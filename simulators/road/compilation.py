"""How the kernels are compiled: strict floating point, one thread, no wrappers for what only kernels call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

njit: Any = numba.njit

# Kernels allocate nothing. Without reference counts a slice of an array is free; they took three quarters of the time.
LEAN: Any = {"error_model": "numpy", "_nrt": False}

Function = TypeVar("Function", bound=Callable[..., object])


def inner(function: Function) -> Function:
    """Compile a function that only kernels call."""
    compiled = njit(**LEAN, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return cast("Function", compiled)


def shared(function: Function) -> Function:
    """Compile a function that Python calls too."""
    compiled = njit(**LEAN)(function)
    return cast("Function", compiled)


def entry(function: Function) -> Function:
    """Compile a function that Python calls with a whole batch, and keep it on disk."""
    compiled = njit(**LEAN, nogil=True, cache=True)(function)
    return cast("Function", compiled)
