"""The agent's turns: gathers what it may see since its last one, hands it over, and checks what it commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mischance.api.observations import Answer, commands_of
from mischance.api.protocols import AgentFailure
from mischance.api.read_only import read_only
from mischance.api.runs import Chunk, Commands, Draw, Reading
from mischance.api.tables import BoolArray, Signals, Table, entity_column, join_signals, join_tables
from mischance.errors import RunError
from mischance.language.scenario import PlugIn, Scenario
from mischance.play.agents import Agents
from mischance.play.channel import Channel
from mischance.play.records import join_readings


@dataclass(frozen=True, slots=True)
class _Seen:
    """What happened between two cuts."""

    tables: Mapping[str, Table]
    signals: Mapping[str, Signals]
    readings: Mapping[str, Reading]


class Turns:
    """The agents of one batch of runs.

    Args:
        scenario: what is played.
        agents: one or several, built; `plugin` is how the scenario names them.
        reads: what it looks at.
        channel: between it and the world.
        draws: the runs' draws.
    """

    def __init__(
        self, scenario: Scenario, plugin: PlugIn, agents: Agents, reads: Sequence[str], channel: Channel,
        draws: Sequence[Draw],
    ) -> None:  # fmt: skip
        self._world, self._plugin, self._agents = scenario.simulator, plugin, agents
        self._reads, self._channel, self._draws = reads, channel, draws
        self._seen: list[_Seen] = []

    def see(self, chunk: Chunk, readings: Mapping[str, Reading]) -> None:
        """Keep what happened until the next turn."""
        truth = "truth" in self._reads
        mine = {name: reading for name, reading in readings.items() if name in self._reads}
        self._seen.append(_Seen(chunk.tables if truth else {}, chunk.signals if truth else {}, mine))

    def act(self, t: float, chunk: Chunk) -> None:
        """Let the agent see what has reached it by t, and send what it says.

        Raises:
            RunError: its answer is nothing that the world can take.
        """
        live = read_only(~chunk.over & self._channel.awake(t))
        readings, clock = self._channel.up(self._gathered(), t), self._channel.clock(t)
        answer = self._agents.act(readings, clock, live)
        if isinstance(answer, (list, tuple)) and len(answer) == len(self._draws):
            answer = self._in_columns(answer, t, live)
        self._channel.send(self._checked(answer, t), t)

    def finish(self, t: float) -> None:
        """Give the agent, where it wants that, what came after its last turn."""
        self._agents.finish(lambda: self._channel.up(self._gathered(), t), self._channel.clock(t))

    def failures(self) -> Sequence[AgentFailure | None]:
        """Return what stopped the agent of each run, or None; shape (runs,)."""
        return self._agents.failures()

    def _gathered(self) -> dict[str, Reading]:
        """Return and forget all since the last turn, without the truth that a sensor knows of its readings."""
        seen, self._seen = self._seen, []
        readings: dict[str, Reading] = {}
        for name in self._reads if seen else ():
            if name == "truth":
                tables = {key: join_tables([part.tables[key] for part in seen]) for key in seen[0].tables}
                signals = {key: join_signals([part.signals[key] for part in seen]) for key in seen[0].signals}
                readings[name] = Reading(tables, signals=signals)
            else:
                whole = join_readings([part.readings[name] for part in seen])
                readings[name] = Reading(dict(whole.tables), whole.frames, signals=dict(whole.signals))
        return readings

    def _in_columns(self, answers: Sequence[Answer], t: float, live: BoolArray) -> Commands:
        """Turn one answer a run into columns; a row that names no actor means the world's default."""
        world = self._world.declared
        entity, actor = entity_column(world.commands), world.default_actor_with(self._world.settings)
        defaults = {entity: actor} if entity and actor else {}
        try:
            return commands_of(answers, world.commands, live, defaults, world.complete)
        except RunError as error:
            raise RunError(f"run {self._draws[0].run}, t = {t:g} s: {error.message}", error.hint) from error

    def _checked(self, commands: Any, t: float) -> Commands:
        """Return the commands; refuse what the world cannot take, naming run, actor and time."""
        kind, draws = self._plugin.kind, self._draws
        table = getattr(commands, "table", None)
        if not isinstance(commands, Commands) or not isinstance(table, Table) or table.runs != len(draws):
            got = f"{table.runs} runs" if isinstance(table, Table) else type(commands).__name__
            raise RunError(
                f"run {draws[0].run}: the agent '{kind}' answered at t = {t:g} s with {got}",
                f"it must return Commands with a table of {len(draws)} run(s)",
            )
        wanted = self._world.declared.commands
        may_miss = {name for name, column in wanted.items() if column.null}
        odd = sorted((set(table.schema) ^ set(wanted)) - may_miss) if wanted else []
        if odd:
            raise RunError(
                f"run {draws[0].run}: the agent '{kind}' answered at t = {t:g} s with columns {sorted(table.schema)}",
                f"the world '{self._world.kind}' takes {sorted(wanted)}",
            )
        for name, values in table.columns.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                row = int(np.flatnonzero(~np.isfinite(values))[0])
                run = draws[int(table.run_index()[row])].run
                entity = entity_column(wanted)
                whom = f" for {_word(table, entity, row)}" if entity in table.columns else ""
                raise RunError(f"run {run}: the agent '{kind}' commanded {name} = {values[row]}{whom} at t = {t:g} s")
        return commands


def _word(table: Table, name: str, row: int) -> str:
    value, column = table.columns[name][row], table.schema[name]
    return (
        column.names[int(value)] if column.dtype == "category" and 0 <= int(value) < len(column.names) else str(value)
    )
