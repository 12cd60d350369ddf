"""The conveyors of the bays: how many loads they hold, how fast they bring them away, and what a jam does."""

from __future__ import annotations

from collections.abc import Generator
from math import isinf
from typing import TYPE_CHECKING, Any

import simpy

if TYPE_CHECKING:
    from .dispatch import Node
    from .faults import Faults
    from .settings import Conveyor


class Lines:
    """One conveyor a bay, first come, first served; a load keeps its place until it has been brought away."""

    def __init__(self, env: simpy.Environment, settings: Conveyor, faults: Faults) -> None:
        self._env, self._settings, self._faults = env, settings, faults
        self._lines: dict[Node, tuple[simpy.Container, simpy.Container]] = {}

    def place(self, node: Node) -> simpy.Event | None:
        """Return the event that comes when a bay's conveyor has room for one more; None where it always has."""
        if self._settings.capacity is None:
            return None
        if node not in self._lines:
            room = simpy.Container(self._env, init=self._settings.capacity)
            self._lines[node] = room, simpy.Container(self._env)
            self._env.process(self._run(*self._lines[node]))
        return self._lines[node][0].get(1)

    def give(self, node: Node) -> None:
        """Put a load on a bay's conveyor, into the place that was waited for."""
        if node in self._lines:
            self._lines[node][1].put(1)

    def _run(self, room: simpy.Container, loads: simpy.Container) -> Generator[simpy.Event, Any, None]:
        while True:
            yield loads.get(1)
            while (until := self._faults.jammed(self._env.now)) > self._env.now:
                yield self._env.event() if isinf(until) else self._env.timeout(until - self._env.now)
            yield self._env.timeout(self._settings.interval)
            room.put(1)
