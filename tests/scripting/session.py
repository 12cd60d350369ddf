"""Stands for a notebook: runs text as a cell, whose source Python keeps as a notebook's kernel does."""

from __future__ import annotations

import itertools
import linecache
from typing import Any

_CELLS = itertools.count()


def cell(text: str, **values: object) -> dict[str, Any]:
    """Run a cell in the namespace of a session with these values, and return all names of it."""
    name = f"<cell {next(_CELLS)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space: dict[str, Any] = {"__name__": "__main__", **values}
    exec(compile(text, name, "exec", dont_inherit=True), space)
    return space


def forget(function: Any) -> None:
    """Forget the source of what a cell has defined."""
    linecache.cache.pop(function.__code__.co_filename, None)
