"""Runs whose agent stands outside: a player plays in a thread of its own and waits for each answer.

Both sides take turns, so nothing runs at the same time: `play` is called as it is, and a run driven from
outside has the bytes that it has with an agent inside which says the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from mischance.api.protocols import declares
from mischance.api.runs import Chunk, Commands, Draw, Reading
from mischance.api.tables import Column, Table
from mischance.errors import RunError
from mischance.language.scenario import PlugIn, Scenario
from mischance.play.composite import world_class
from mischance.play.player import Player

if TYPE_CHECKING:
    from mischance.api.observations import Answer
    from mischance.api.randomness import Streams
    from mischance.api.tables import BoolArray


@dataclass(frozen=True, slots=True)
class Turn:
    """The agent's turn: what was seen since the last one. At the end of the run there is an `outcome` too."""

    t: float
    readings: Mapping[str, Reading]
    outcome: Mapping[str, Any] | None = None
    over: bool = False
    events: tuple[dict[str, Any], ...] = ()


class _Stop(BaseException):
    """Unwinds the pipe when nobody wants the rest of a run; no `except Exception` may keep it."""


@dataclass(slots=True)
class _Line:
    """What the two threads share; only the one whose turn it is touches it."""

    reads: tuple[str, ...]
    rate: float
    draws: SimpleQueue[Draw | None] = field(default_factory=SimpleQueue)
    to_caller: SimpleQueue[Turn | BaseException] = field(default_factory=SimpleQueue)
    to_world: SimpleQueue[Any] = field(default_factory=SimpleQueue)
    last: tuple[Mapping[str, Reading], float] = field(default_factory=lambda: ({}, 0.0))
    over: bool = False


class Loop:
    """Plays runs in lock-step, one after the other: `begin`, then `answer` until a turn has an outcome.

    World, sensors and renderers are built for the first run and kept until `close`, in one thread.

    Args:
        scenario: what to play; its own agent is left out, and so are sensors that nobody reads.
        reads: the sensors that are looked at; 'truth' is the world's own tables.
        rate: turns per second [Hz].
    """

    def __init__(self, scenario: Scenario, reads: Sequence[str], rate: float) -> None:
        known = [*scenario.sensors, "truth"]
        odd = sorted(set(reads) - set(known))
        if odd:
            raise RunError(f"there is no sensor {odd[0]!r} to read", f"known: {', '.join(known)}")
        self._line = _Line(tuple(reads), rate)
        cls = _outside(self._line)
        agent = PlugIn("agents", "gymnasium", cls, declares(cls), {}, declares(cls).settings())
        world = replace(scenario.simulator, cls=_watched(world_class(scenario.simulator), self._line))
        sensors = {name: plugin for name, plugin in scenario.sensors.items() if name in reads}
        self._played = replace(scenario, simulator=world, agent=agent, sensors=sensors)
        self._running = False
        self._thread: threading.Thread | None = None

    def begin(self, draw: Draw) -> Turn:
        """Start a run, after giving up what is left of another; return the turn at t = 0.

        Raises:
            MischanceError: whatever playing it raises; all is closed then.
        """
        self.stop()
        if self._thread is None:
            # A daemon: an environment that nobody closed must not keep the interpreter alive.
            self._thread = threading.Thread(target=_serve, args=(self._played, self._line), daemon=True)
            self._thread.start()
        self._line.draws.put(draw)
        self._running = True
        return self._wait()

    def answer(self, answer: Answer) -> Turn:
        """Say what to do until the next turn; return that turn.

        Raises:
            MischanceError: whatever playing on raises; the run is over then.
        """
        if not self._running:
            raise RunError("the run is over", "call reset() first")
        self._line.to_world.put(answer)
        return self._wait()

    def stop(self) -> None:
        """Give up what is left of the run; world, sensors and renderers wait for the next one."""
        if self._running:
            self._running = False
            self._line.to_world.put(_Stop())
            while not isinstance(self._line.to_caller.get(), _Stop):
                pass

    def close(self) -> None:
        """Give up what is left of the run, and close world, sensors and renderers."""
        self.stop()
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        self._line.draws.put(None)
        if thread is not threading.current_thread():  # a forgotten environment may be collected in any thread
            thread.join()

    def _wait(self) -> Turn:
        said = self._line.to_caller.get()
        if isinstance(said, Turn):
            self._running = said.outcome is None
            return said
        self._running = False
        self.close()
        raise said


def _outside(line: _Line) -> type[Any]:
    """Return the class of the agent that hands each turn to the caller's thread."""

    class Outside:
        """Says what somebody outside wants."""

        batch = 1
        reads = line.reads
        rate = line.rate

        def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
            """Remember nothing."""

        def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> list[Answer]:
            """Hand over what was seen; wait for the answer."""
            line.to_caller.put(Turn(t, readings))
            answer = line.to_world.get()
            if isinstance(answer, _Stop):
                raise answer
            return [answer]

        def finish(self, readings: Mapping[str, Reading], t: float) -> None:
            """Keep what came after the last turn: it belongs to the turn at the end."""
            line.last = readings, t

    return Outside


def _watched(world: type[Any], line: _Line) -> type[Any]:
    """Return the world's class, saying also whether it ended by itself: records do not tell."""
    base: Any = world

    class Watched(base):  # type: ignore[misc]
        def advance(self, until: float, commands: Commands | None) -> Chunk:
            chunk: Chunk = super().advance(until, commands)
            line.over = bool(chunk.over.all())
            return chunk

    Watched.__name__, Watched.__module__, Watched.__qualname__ = world.__name__, world.__module__, world.__qualname__
    return Watched


def _serve(scenario: Scenario, line: _Line) -> None:
    """Play in this thread the runs that are asked for, on one player."""
    player: Player | None = None
    try:
        while (draw := line.draws.get()) is not None:
            said: Turn | BaseException
            try:
                player = player or Player(scenario)
                said = _run(player, draw, line)
            except BaseException as error:  # the caller's thread raises it, or waits for its own stop
                said = error
            line.to_caller.put(said)
    finally:
        if player is not None:
            player.close()


def _run(player: Player, draw: Draw, line: _Line) -> Turn:
    """Play one run to its end, and return the turn with its outcome."""
    events: list[dict[str, Any]] = []
    said: Turn | None = None
    for record in player.play([draw]):
        events += _rows(record.tables["events"]) if "events" in record.tables else []
        if record.last:
            readings, t = line.last
            said = Turn(t, readings, _row(record.tables["runs"]), line.over, tuple(events))
    if said is None:
        raise RunError("the world stopped without a last record")
    return said


def _rows(table: Table) -> list[dict[str, Any]]:
    """Return rows as plain values; categories are words."""
    plain = {name: _words(table.schema[name]) for name in table.schema}
    return [
        {name: plain[name](values[i]) for name, values in table.columns.items() if name in plain}
        for i in range(len(table))
    ]


def _row(table: Table) -> dict[str, Any]:
    return _rows(table)[0]


def _words(column: Column) -> Callable[[Any], Any]:
    if column.dtype == "category":
        return lambda code: column.names[int(code)] if code >= 0 else None
    return lambda value: value.item() if hasattr(value, "item") else value
