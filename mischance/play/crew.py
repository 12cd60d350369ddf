"""Agents in several worlds at once, as one agent: each acts at its own rate, on what its own world shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from mischance.api.observations import commands_of
from mischance.api.protocols import AgentFailure
from mischance.api.randomness import Streams
from mischance.api.runs import Commands, Draw, Reading
from mischance.api.tables import BoolArray, Schema, Table, entity_column, join_signals, join_tables
from mischance.errors import RunError
from mischance.language.scenario import PlugIn, WorldsSettings
from mischance.language.worlds import WORLD, commanded
from mischance.play.agents import Agents
from mischance.play.composite import StreamsOf
from mischance.play.records import join_readings

Readings = Mapping[str, Reading]


class Crew:
    """All agents of a scenario of several worlds, with the methods of `Agents`.

    Args:
        plugin: the agents together; `world`: the worlds together.
        settings: those of each agent.
        built: where each one that is built is counted.
    """

    def __init__(self, plugin: PlugIn, world: PlugIn, settings: WorldsSettings, built: Counter[str]) -> None:
        self.members, self.worlds = plugin.parts, world
        self._agents = {name: Agents(one, settings.of[name], built) for name, one in self.members.items()}
        rates = {name: plugin.declared.rate_with(settings.of[name]) for name, plugin in self.members.items()}
        self._every = {name: round(max(rates.values()) / rate) for name, rate in rates.items()}
        self._reads = {name: plugin.declared.reads_with(settings.of[name]) for name, plugin in self.members.items()}
        self._seen: dict[str, list[Readings]] = {}
        self._turn, self._runs = 0, 0

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Start every agent with the settings of its world; one that has a name has random streams of its own."""
        self._turn, self._runs = 0, len(draws)
        self._seen = {name: [] for name in self.members}
        for name, agent in self._agents.items():
            own = [in_world(draw, self.members[name].world) for draw in draws]
            agent.start(own, [StreamsOf(stream, name) for stream in streams] if name else list(streams))

    def act(self, readings: Readings, t: float, live: BoolArray) -> Commands:
        """Return the commands of the agents whose turn it is.

        Raises:
            RunError: an answer is none that the agent's world can take.
        """
        answers = {}
        for name, agent in self._agents.items():
            self._see(name, readings)
            if self._turn % self._every[name] == 0:
                seen, self._seen[name] = self._seen[name], []
                answers[name] = self._commands(name, agent.act(_joined(seen), t, live), t, live)
        self._turn += 1
        return self._together(answers, live)

    def finish(self, readings: Callable[[], Readings], t: float) -> None:
        """Give each agent, where it wants that, what came after its last turn."""
        if any(one.declared.finish is not None for one in self.members.values()):
            last = readings()
            for name, agents in self._agents.items():
                self._see(name, last)
                agents.finish(partial(_joined, self._seen[name]), t)

    def failures(self) -> list[AgentFailure | None]:
        """Return what stopped an agent of each run first, or None; shape (runs,)."""
        every = zip(*(agents.failures() for agents in self._agents.values()), strict=True)
        return [min(filter(None, own), key=lambda what: what.t, default=None) for own in every]

    def close(self) -> None:
        """Close every agent."""
        for agents in self._agents.values():
            agents.close()

    def _see(self, name: str, readings: Readings) -> None:
        """Keep for an agent what it reads: of truth its own world's, under the names that it has alone."""
        prefix = f"{self.members[name].world}."
        own = {}
        for key in self._reads[name]:
            if key != "truth":
                own[key] = readings[key]
                continue
            told = readings[key]
            own[key] = Reading(
                {path.removeprefix(prefix): part for path, part in told.tables.items() if path.startswith(prefix)},
                signals={path.removeprefix(prefix): s for path, s in told.signals.items() if path.startswith(prefix)},
            )
        self._seen[name].append(own)

    def _commands(self, name: str, answer: Any, t: float, live: BoolArray) -> Commands:
        """Return an agent's answer in the columns of its own world."""
        world = self.worlds.parts[self.members[name].world]
        if isinstance(answer, (list, tuple)) and len(answer) == len(live):
            entity = entity_column(world.declared.commands)
            actor = world.declared.default_actor_with(world.settings)
            defaults = {entity: actor} if entity and actor else {}
            return commands_of(answer, world.declared.commands, live, defaults, world.declared.complete)
        if not isinstance(answer, Commands) or answer.table.runs != len(live):
            raise RunError(f"the agent '{name}' answered at t = {t:g} s with {type(answer).__name__}")
        return answer

    def _together(self, answers: Mapping[str, Commands], live: BoolArray) -> Commands:
        """Return the commands of all as the worlds take them together."""
        takes = commanded(self.worlds.parts)
        if len(takes) == len(answers) == 1:
            return next(iter(answers.values()))
        schema = self.worlds.declared.commands
        rows = [
            [row for name, own in answers.items() for row in self._rows(name, own.table, run, schema)]
            for run in range(len(live))
        ]
        return Commands(Table.of(schema, [_columns(own, schema) for own in rows]), live)

    def _rows(self, name: str, table: Table, run: int, schema: Schema) -> list[dict[str, Any]]:
        own = table.run(run)
        for key, column in table.schema.items():
            if column.dtype == "category" and schema[key].dtype == "text":
                own[key] = np.array([*column.names, ""], object)[own[key]]
        world = {WORLD: self.members[name].world} if WORLD in schema else {}
        return [{**world, **dict(zip(own, values, strict=True))} for values in zip(*own.values(), strict=True)]


def _columns(rows: Sequence[Mapping[str, Any]], schema: Schema) -> dict[str, list[Any]]:
    empty = {name: "" if column.dtype == "text" else 0 for name, column in schema.items()}
    return {name: [row.get(name, empty[name]) for row in rows] for name in schema} if rows else {}


def _joined(seen: Sequence[Readings]) -> Readings:
    """Return readings since an agent's last turn as one."""
    found = {}
    for key, first in (seen[0] if seen else {}).items():
        parts = [own[key] for own in seen]
        if key == "truth":
            tables = {path: join_tables([part.tables[path] for part in parts]) for path in first.tables}
            signals = {path: join_signals([part.signals[path] for part in parts]) for path in first.signals}
            found[key] = Reading(tables, signals=signals)
        else:
            found[key] = join_readings(parts)
    return found


def in_world(draw: Draw, world: str) -> Draw:
    """Return a draw as an agent or a sensor of one of several worlds may see it: with that world's settings."""
    return draw if draw.settings is None else replace(draw, settings=draw.settings.of[world])
