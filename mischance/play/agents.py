"""The agents of a batch of runs: one that takes all of them, or one a run, each with a memory of its own.

An agent that declares how many runs it takes at once (`batch`) keeps them apart itself. Every other one is built anew
for each run, from a copy of the code that it came from, so that what it keeps in itself, in its module or in a module
that it imports belongs to that run alone: the run tells the same story in any company, and when it is replayed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np

from mischance.api.observations import FunctionAgent
from mischance.api.protocols import AgentFailure
from mischance.api.randomness import Streams
from mischance.api.runs import Commands, Draw, Reading
from mischance.api.tables import BoolArray, Table, tables_side_by_side
from mischance.errors import RunError
from mischance.language.scenario import PlugIn
from mischance.play.anew import built_anew, copy_for
from mischance.play.constructing import construct
from mischance.play.own_runs import reading_of_run


@dataclass(slots=True)
class _Seat:
    """One agent, and the context in which it is called."""

    agent: Any
    inside: AbstractContextManager[Any]


class Agents:
    """All agents of a batch, as one.

    Args:
        plugin: how the scenario names the agent.
        settings: its settings.
        built: where each one that is built is counted.
    """

    def __init__(self, plugin: PlugIn, settings: Any, built: Counter[str]) -> None:
        self._declared, self._plugin, self._settings, self._count = plugin.declared, plugin, settings, built
        self._seats: list[_Seat] = []
        self._draws: Sequence[Draw] = ()
        if not self.alone:
            self._seats = [_Seat(self._built(plugin.cls), nullcontext())]

    @property
    def alone(self) -> bool:
        """Whether each run has an agent of its own."""
        return built_anew(self._plugin)

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Make the agents ready for these runs; one that takes a single run is built for each."""
        self._draws = draws
        if not self.alone:
            with redirect_stdout(sys.stderr):  # what an agent prints is for people: stdout is ours alone
                self._seats[0].agent.start(draws, streams)
            return
        self.close()
        for draw, own in zip(draws, streams, strict=True):
            inside = copy_for(self._plugin, draw)
            with inside, redirect_stdout(sys.stderr):
                agent = self._built(inside.plugin)
                self._seats.append(_Seat(agent, inside))
                agent.start([draw], [own])

    def _built(self, cls: type[Any]) -> Any:
        self._count["agent"] += 1
        return construct(cls, self._settings)

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> Any:
        """Return what all agents answer: columns of commands, or one answer a run."""
        if not self.alone:
            with redirect_stdout(sys.stderr):
                return self._seats[0].agent.act(readings, t, live)
        answers: list[Any] = [None] * len(self._draws)
        lone = np.ones(1, np.bool_)
        lone.flags.writeable = False
        with redirect_stdout(sys.stderr):
            for run, seat in enumerate(self._seats):
                if live[run]:
                    with seat.inside:
                        if isinstance(seat.agent, FunctionAgent):  # it is asked for plain values of one run anyway
                            answers[run] = seat.agent.ask(readings, run, t)
                        else:
                            answers[run] = seat.agent.act(readings_of_run(readings, run), t, lone)
        return self._together(answers, t, live)

    def _together(self, answers: Sequence[Any], t: float, live: BoolArray) -> Any:
        """Return one answer for the batch, from what the agent of each run said in a batch of one."""
        tables = [answer for answer in answers if isinstance(answer, Commands)]
        if not tables:
            return [one[0] if isinstance(one, (list, tuple)) and len(one) == 1 else one for one in answers]
        for draw, answer in zip(self._draws, answers, strict=True):
            runs = getattr(getattr(answer, "table", None), "runs", 0)
            if answer is not None and runs != 1:
                got = (
                    f"{runs} runs"
                    if isinstance(answer, Commands)
                    else f"{type(answer).__name__}, elsewhere with Commands"
                )
                raise RunError(
                    f"run {draw.run}: the agent '{self._plugin.kind}' answered at t = {t:g} s with {got}",
                    "each run has an agent of its own here, which answers for that run alone; see `batch` in the docs",
                )
        nothing = Table.empty(tables[0].table.schema, 1)
        return Commands(tables_side_by_side([nothing if one is None else one.table for one in answers]), live)

    def finish(self, readings: Callable[[], Mapping[str, Reading]], t: float) -> None:
        """Give the agents, where they want that, what came after their last turn."""
        finish = self._declared.finish
        if finish is None:
            return
        last = readings()
        with redirect_stdout(sys.stderr):
            for run, seat in enumerate(self._seats):
                with seat.inside:
                    own = type(seat.agent).finish
                    own(seat.agent, readings_of_run(last, run) if self.alone else last, t)

    def failures(self) -> list[AgentFailure | None]:
        """Return what stopped the agent of each run, or None; shape (runs,)."""
        if self._declared.failures is None:
            return [None] * len(self._draws)
        found: list[AgentFailure | None] = []
        for seat in self._seats:
            with seat.inside:
                found += type(seat.agent).failures(seat.agent)
        return found

    def close(self) -> None:
        """Give back what the agents hold."""
        seats, self._seats = self._seats, []
        if self._declared.close is not None:
            for seat in seats:
                with seat.inside:
                    type(seat.agent).close(seat.agent)


def readings_of_run(readings: Mapping[str, Reading], run: int) -> dict[str, Reading]:
    """Return the readings of one run alone, as of a batch of one."""
    return {name: reading_of_run(reading, run) for name, reading in readings.items()}
