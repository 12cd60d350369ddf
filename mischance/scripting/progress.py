"""Progress of a sweep in a notebook: one line below the cell that is written anew."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mischance.sweep.progress import Progress

EVERY = 0.3  # seconds


def notebook_progress(name: str) -> Callable[[Progress], None] | None:
    """Return what shows progress below the cell that is being run; None outside of a notebook."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    display: Any = import_module("IPython.display").display  # it is loaded: this is a notebook

    handle: Any = None
    last = 0.0

    def show(now: Progress) -> None:
        nonlocal handle, last
        over = now.done + now.failed >= now.total
        if handle is not None and not over and time.monotonic() - last < EVERY:
            return
        last = time.monotonic()
        line = _Line(progress_line(name, now))
        if handle is None:
            handle = display(line, display_id=True)
        else:
            handle.update(line)

    return show


def progress_line(name: str, now: Progress) -> str:
    """Return where a sweep stands, in one line."""
    failed = f", {now.failed} failed" if now.failed else ""
    left = f", {now.left:.0f} s left" if now.left is not None and now.left >= 0.5 else ""
    busy = f" ({now.busy.name})" if now.busy else f" ({now.phase})" if now.phase != "playing" and left else ""
    return f"{name}: {now.done:,} of {now.total:,} runs{failed}, {now.rate:.3g} runs/s{left}{busy}"


class _Line:
    """A text that a notebook shows without quotation marks."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


__all__ = ["notebook_progress", "progress_line"]
