"""What this process is busy with, for whoever waits for it: compiling, loading …

A long step calls `phase`; whoever shows progress calls `listen` first. Without a listener nothing happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phase:
    """A step that takes a while.

    `seconds`: what it took the last time [s]; None where nobody knows. `of_run`: it is a part of a run, such as
    rendering, and so counts in a run's time; compiling does not.
    """

    name: str
    seconds: float | None = None
    of_run: bool = False


Listener = Callable[[Phase | None], None]

_under_way: list[Phase] = []
_listeners: list[Listener] = []


@contextmanager
def phase(name: str, seconds: float | None = None, *, of_run: bool = False) -> Iterator[None]:
    """Tell the listener what is done inside the `with` block; afterwards, the step around it again, or None.

    Args:
        name: what is done, as a person should read it.
        seconds: how long it is expected to take [s].
        of_run: it is a part of a run's own time.
    """
    _under_way.append(Phase(name, seconds, of_run))
    _tell()
    try:
        yield
    finally:
        _under_way.pop()
        _tell()


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Call `listener` with each phase that begins inside the `with` block, and with None when none is left."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def _tell() -> None:
    for listener in tuple(_listeners):
        listener(_under_way[-1] if _under_way else None)
