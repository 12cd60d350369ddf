"""Arrays that are handed over: taken over or copied, never shared, and not writeable any more."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

AnyArray = NDArray[Any]


def _holders(array: AnyArray) -> int:
    return sys.getrefcount(array.base)


_SOLE = _holders(np.zeros(4).reshape(2, 2))  # what is counted where nobody but the view holds its base


def read_only(array: AnyArray) -> AnyArray:
    """Return the array, not writeable: taken over where it owns its memory, copied where others can write to it.

    Whoever made it and keeps it gets an error at its next write, or, where it kept what the array is a view of, has
    changed its own memory alone. Arrow arrays come back as they are.
    """
    if not isinstance(array, np.ndarray):
        return array
    base = array.base
    if isinstance(base, np.ndarray) and base.base is None:
        del base
        if _holders(array) == _SOLE:  # such as a reshaped result: nobody else can reach its memory
            array.base.flags.writeable = False  # type: ignore[union-attr]
        if array.base.flags.writeable:  # type: ignore[union-attr]
            array = array.copy()
        elif array.flags.writeable:  # made before its owner was handed over
            array = array.view()
    elif base is not None and (array.flags.writeable or isinstance(base, np.ndarray)):
        array = array.copy()  # else: bytes, a mapped file, memory of Arrow
    if array.flags.writeable:
        array.flags.writeable = False
    return array


def read_only_view(array: AnyArray) -> AnyArray:
    """Return a view that cannot be written to; the array itself stays as it is."""
    view = array.view()
    view.flags.writeable = False
    return view
