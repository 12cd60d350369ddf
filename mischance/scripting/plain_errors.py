"""Errors of users reach them with a message and without the frames of our own code."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from mischance.errors import MischanceError

P = ParamSpec("P")
R = TypeVar("R")


def plain_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function with errors that the user can mend raised from here: the traceback ends in the user's call.

    `MISCHANCE_DEBUG=1` in the environment keeps the whole traceback.
    """

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        import os

        try:
            return function(*args, **kwargs)
        except MischanceError as error:
            if os.environ.get("MISCHANCE_DEBUG"):
                raise
            mended = error
        raise mended.with_traceback(None) from None

    return called
