"""Conveyors of the bays: capacity, throughput and jams."""

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
    """One conveyor per bay, first in, first out; a load occupies its place until it has been transported away."""

    def __init__(self, env: simpy.Environment, settings: Conveyor, faults: Faults) -> None:
        self._env, self._settings, self._faults = env, settings, faults
        self._lines: dict[Node, tuple[simpy.Container, simpy.Container]] = {}

    def place(self, node: Node) -> simpy.Event | None:
        """Return an event that fires when a bay's conveyor has a free place; None if its capacity is unlimited."""
        if self._settings.capacity is None:
            return None
        if node not in self._lines:
            free = simpy.Container(self._env, init=self._settings.capacity)
            self._lines[node] = free, simpy.Container(self._env)
            self._env.process(self._run(*self._lines[node]))
        return self._lines[node][0].get(1)

    def give(self, node: Node) -> None:
        """Put a load into the place that `place` reserved."""
        if node in self._lines:
            self._lines[node][1].put(1)

    def _run(self, free: simpy.Container, loads: simpy.Container) -> Generator[simpy.Event, Any, None]:
        while True:
            yield loads.get(1)
            while (until := self._faults.jammed(self._env.now)) > self._env.now:
                yield self._env.event() if isinf(until) else self._env.timeout(until - self._env.now)
            yield self._env.timeout(self._settings.interval)
            free.put(1)
