"""Engines that several rooms use, imported when needed and without a word on the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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
