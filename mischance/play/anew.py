"""Worlds and sensors of users, built anew from a copy of their code for each run; agents are in `agents.py`.

One that declares how many runs it takes at once (`batch`) is built once and reused: it forgets everything in `start`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

from mischance.api.protocols import Renderer
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, Reading
from mischance.api.tables import Table, tables_side_by_side
from mischance.language.scenario import PlugIn
from mischance.language.user_code import Copy
from mischance.play.constructing import construct
from mischance.play.own_runs import chunk_of_run, readings_side_by_side

SIDE_BY_SIDE = 32  # copies of one plug-in's code at a time: what a module loads may be large


def built_anew(plugin: PlugIn) -> bool:
    """Say whether each run has a plug-in of its own: the user's, where it does not declare how many runs it takes."""
    return plugin.code is not None and plugin.declared.batch is None


def copy_for(plugin: PlugIn, draw: Draw) -> Copy:
    """Return a copy of a plug-in's code for one run."""
    assert plugin.code is not None
    copy = plugin.code.load()
    copy.seed(draw.seed, draw.run)
    return copy


class World:
    """A simulator of one run at a time, built anew in each `start`."""

    def __init__(self, plugin: PlugIn, settings: Any) -> None:
        self._plugin, self._settings = plugin, settings
        self._copy: Copy | None = None
        self._world: Any = None

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Build the world and return truth AT t = 0."""
        self.close()
        self._copy = copy_for(self._plugin, draws[0])
        with self._copy, redirect_stdout(sys.stderr):
            self._world = construct(self._copy.plugin, self._settings)
            chunk: Chunk = self._world.start(draws, streams)
            return chunk

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Return truth in (last end, end]."""
        assert self._copy is not None
        with self._copy:
            chunk: Chunk = self._world.advance(until, commands)
            return chunk

    def inject(self, run: int, fault: Fault) -> None:
        """Plan a fault, where the world can take one."""
        assert self._copy is not None
        with self._copy:
            self._world.inject(run, fault)

    def outcome(self) -> tuple[Table, Table]:
        """Return one row of measures a run, and the labels."""
        assert self._copy is not None
        with self._copy:
            found: tuple[Table, Table] = self._world.outcome()
            return found

    def close(self) -> None:
        """Give back what the world holds."""
        world, self._world = self._world, None
        if world is not None and self._copy is not None:
            with self._copy:
                world.close()


def built_world(plugin: PlugIn, settings: Any) -> Any:
    """Return a simulator, alone or one of several worlds: a user's with a copy of its code for each run."""
    return World(plugin, settings) if built_anew(plugin) else construct(plugin.cls, settings)


class Sensors:
    """One sensor of the scenario as an instrument of its own for each run of a batch."""

    def __init__(self, plugin: PlugIn, settings: Any) -> None:
        self._plugin, self._settings = plugin, settings
        self._own: list[tuple[Copy, Any]] = []

    def start(self, name: str, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Build a sensor for each run."""
        self.close()
        for draw, own in zip(draws, streams, strict=True):
            copy = copy_for(self._plugin, draw)
            with copy, redirect_stdout(sys.stderr):
                sensor = construct(copy.plugin, self._settings)
                self._own.append((copy, sensor))
                sensor.start(name, [draw], [own])

    def read(self, chunk: Chunk, renderer: Renderer | None) -> Reading:
        """Return what each run's sensor reports of its own truth."""
        readings = []
        for run, (copy, sensor) in enumerate(self._own):
            with copy:
                readings.append(sensor.read(chunk_of_run(chunk, run), renderer))
        return readings_side_by_side(readings)

    def labels(self) -> Table:
        """Return the labels of the sensors' own faults."""
        found = []
        for copy, sensor in self._own:
            with copy:
                found.append(sensor.labels())
        return tables_side_by_side(found)

    def close(self) -> None:
        """Give back what the sensors hold."""
        own, self._own = self._own, []
        if self._plugin.declared.close is not None:
            for copy, sensor in own:
                with copy:
                    sensor.close()
