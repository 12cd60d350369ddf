"""Engines that several rooms use, imported when needed and without a word on the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mischance.errors import RunError


def bullet() -> Any:
    """Return the module `pybullet`.

    Raises:
        ImportError: it is not installed; who asks knows what cannot be done without it.
    """
    if "pybullet" not in sys.modules:
        with silenced():
            import pybullet  # pyright: ignore[reportMissingImports]  # it brings no stubs
    else:
        import pybullet  # pyright: ignore[reportMissingImports]
    return pybullet


def engine() -> Any:
    """Return the module `pybullet`.

    Raises:
        RunError: it is not installed.
    """
    try:
        return bullet()
    except ImportError as error:
        raise RunError(
            "`impact: {model: bullet}` and `{model: window}` need PyBullet, which is not installed",
            "pip install 'mischance[physics]' (on Python 3.12 or newer it is built from source: a C++ compiler),"
            " or take the analytic model",
        ) from error


@contextmanager
def silenced() -> Iterator[None]:
    """Keep what C code prints to stderr off the terminal, such as the greeting that PyBullet prints when imported."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no stderr at all
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
