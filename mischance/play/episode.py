"""Plays one batch of runs from start to end: the one place where world, sensors and agent meet.

The order is: advance, read, act, write, then branch. Where time is cut (agent ticks, late commands, branch times, the
world's longest chunk, the caller's own cuts) changes no byte of what comes out; neither does the batch that a run is
played in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mischance.api.protocols import Simulator
from mischance.api.randomness import Streams
from mischance.api.read_only import read_only
from mischance.api.runs import Chunk, Commands, Draw, Reading, Record, join_chunks
from mischance.api.scene import Motion
from mischance.errors import RunError, TruthError
from mischance.play.channel import Channel, PlayAloneError
from mischance.play.crew import in_world
from mischance.play.cuts import cuts
from mischance.play.outcome import last_record
from mischance.play.plugins import Plugins
from mischance.play.records import join_readings, record_of, without_labels
from mischance.play.requirements import Monitor
from mischance.play.turns import Turns


class Episode:
    """One batch of runs; `records` plays it, once.

    Args:
        plugins: of the scenario that is played; an episode that began earlier on the same ones cannot go on.
        draws: what each run got; they can share a batch (`plugins.batches`).
        asked: further times to cut at [s].
        outcome_only: yield the last record alone, leave out sensors that the agent does not read (and their
            labels), and make no tables.

    Raises:
        RunError: the agent reads a sensor that is not there.
    """

    def __init__(
        self, plugins: Plugins, draws: Sequence[Draw], asked: Sequence[float] = (), *, outcome_only: bool = False
    ) -> None:
        scenario = plugins.scenario
        self._plugins, self._scenario, self._draws = plugins, scenario, draws
        self._asked, self._outcome_only = asked, outcome_only
        self._numbers = read_only(np.array([draw.run for draw in draws], np.int64))
        self.monitor = Monitor(
            scenario.require, scenario.event.level if scenario.event else None, scenario.simulator.parts
        )
        plugins.holder = self
        self._world = plugins.get("simulator", scenario.simulator, draws)
        self._agent = plugins.get("agent", scenario.agent, draws) if scenario.agent else None
        self._reads: tuple[str, ...] = ()
        self._rate = 0.0
        if scenario.agent:
            own = scenario.agent.settings_for(draws[0].values)
            self._reads = tuple(dict.fromkeys(scenario.agent.declared.reads_with(own)))
            self._rate = scenario.agent.declared.rate_with(own)
        _check_reads(self._reads, scenario.agent.kind if scenario.agent else "", scenario.sensors)
        self._sensors = {
            name: plugins.get(f"sensors.{name}", plugin, draws)
            for name, plugin in scenario.sensors.items()
            if not outcome_only or name in self._reads
        }
        # An agent has streams of its own: what it draws moves nobody else's.
        self._streams = [Streams(draw.seed, draw.run) for draw in draws]
        self._streams_of_agent = [Streams(draw.seed, draw.run) for draw in draws]

    def records(self) -> Iterator[Record]:
        """Yield one record a stretch of time, the last with outcome and labels.

        Raises:
            PlayAloneError: before anything is yielded: the runs cannot be played together.
            RunError: a run cannot go on; the message names the run and the time.
            TruthError: a plug-in breaks its contract.
        """
        draws, scenario = self._draws, self._scenario
        of_world = [draw.of_world() for draw in draws]
        channel = Channel(draws if self._agent else of_world, self._streams, self._rate, scenario.duration)
        chunk, fresh = self.begin(of_world, channel)
        yield from self._record(channel.events(chunk), fresh)
        turns = None
        if self._agent and scenario.agent:
            turns = Turns(scenario, scenario.agent, self._agent, self._reads, channel, draws)
            turns.see(chunk, fresh)
            turns.act(0.0, chunk)
        commands = channel.down(0.0, ~chunk.over)
        early: dict[str, list[Reading]] = {name: [] for name in self._reads if name in self._sensors}
        waiting: list[Chunk] = []
        for cut in self._cuts(channel):
            if self._plugins.holder is not self:
                raise RunError("other runs were begun on the same player before these had ended")
            chunk = advanced(self._world, chunk, cut.t, commands)
            done = bool(chunk.over.all())
            waiting.append(chunk)
            seen = self._read(early, chunk)
            for name, reading in seen.items():
                early[name].append(reading)
            if turns:
                turns.see(chunk, seen)
                if cut.act and not done:
                    turns.act(cut.t, chunk)
            # A command holds until the next one: it is handed over once, whatever the cuts are.
            commands = channel.down(cut.t, ~chunk.over)
            if cut.flush or done:
                late = self._sensors.keys() - early.keys()
                joined = join_chunks(waiting, with_motion=bool(late))
                motion = [part.motion for part in waiting if part.motion is not None]
                read = {name: join_readings(parts) for name, parts in early.items()}
                read |= self._read(late, joined)
                yield from self._record(channel.events(joined), {name: read[name] for name in self._sensors}, motion)
                waiting, early = [], {name: [] for name in early}
            if done:
                break
            self._branch(cut.t)
        if turns:
            turns.finish(chunk.end)
        failures = turns.failures() if turns else [None] * len(draws)
        measures, labels = self._world.outcome()
        parts = [labels, *(sensor.labels() for sensor in self._sensors.values()), channel.labels()]
        yield last_record(scenario, draws, chunk, measures, parts, failures, self.monitor)

    def truth_at_start(self) -> Chunk:
        """Return the truth at t = 0, of a batch that is not played.

        Raises:
            RunError: a run cannot begin.
        """
        draws = [draw.of_world() for draw in self._draws]
        return self.begin(draws, Channel(draws, self._streams, self._rate, self._scenario.duration))[0]

    def begin(self, of_world: Sequence[Draw], channel: Channel) -> tuple[Chunk, dict[str, Reading]]:
        """Start all, and return the truth and the readings at t = 0."""
        draws = self._draws
        for name, sensor in self._sensors.items():
            seen = [draw.as_seen(f"sensors.{name}") for draw in draws]
            world = self._scenario.sensors[name].world
            sensor.start(name, [in_world(draw, world) for draw in seen] if world else seen, self._streams)
        chunk: Chunk = self._world.start(of_world, self._streams)
        _check(chunk, 0.0, len(draws))
        if self._agent:
            self._agent.start([draw.as_seen() for draw in draws], self._streams_of_agent)
        fresh = self._read(self._sensors, chunk)
        sampled = ("truth" in self._reads and chunk.signals) or any(
            fresh[name].signals for name in self._reads if name in fresh
        )
        if len(draws) > 1 and sampled and channel.holds_back:
            raise PlayAloneError
        return chunk, fresh

    def _read(self, names: Collection[str], chunk: Chunk) -> dict[str, Reading]:
        """Return what those sensors report of a chunk, in the order of the scenario."""
        shown = without_labels(chunk)
        plugins = self._scenario.sensors
        return {
            name: sensor.read(shown.parts.get(plugins[name].world, shown), self._plugins.renderer(name, self._draws))
            for name, sensor in self._sensors.items()
            if name in names
        }

    def _record(self, chunk: Chunk, readings: Mapping[str, Reading], motion: Sequence[Motion] = ()) -> Iterator[Record]:
        """Yield the record of a stretch of time, where it is wanted, and keep what requirements speak of."""
        self.monitor.add(chunk)
        if not self._outcome_only:
            yield record_of(self._numbers, chunk, readings, motion)

    def _cuts(self, channel: Channel) -> Iterator[Any]:
        return cuts(
            self._scenario.duration,
            rate=self._rate,
            piece=self._scenario.simulator.declared.max_chunk_seconds,
            flushes={*(t for draw in self._draws for t, _ in draw.branch), *self._asked},
            arrivals=channel.cuts(),
        )

    def _branch(self, t: float) -> None:
        for draw, own, of_agent in zip(self._draws, self._streams, self._streams_of_agent, strict=True):
            for begins, key in draw.branch:
                if begins == t:
                    own.rekey(key)
                    of_agent.rekey(key)


def _check_reads(reads: Sequence[str], agent: str, sensors: Collection[str]) -> None:
    known = {*sensors, "truth"}
    for name in sorted(set(reads) - known):
        raise RunError(
            f"the agent '{agent}' reads a sensor '{name}' that is not there",
            f"add it under `sensors`; known: {', '.join(sorted(known))}",
        )


def _check(chunk: Chunk, start: float, runs: int) -> None:
    """Hold a world to its contract where breaking it would go unnoticed."""
    if chunk.start != start or chunk.end < start:
        raise TruthError(f"a chunk from {chunk.start} to {chunk.end} s follows one that ended at {start} s")
    sizes = {len(chunk.ends), len(chunk.over), chunk.events.runs, *(table.runs for table in chunk.tables.values())}
    sizes |= {table.runs for table in chunk.labels.values()} | {part.runs for part in chunk.signals.values()}
    if chunk.motion is not None:
        sizes.add(len(chunk.motion.pose))
    if sizes != {runs}:
        raise TruthError(f"a chunk of {runs} runs has parts of {sorted(sizes)} runs")
    odd = sorted(chunk.labels.keys() - chunk.tables.keys())
    if odd:
        raise TruthError(f"a chunk has labels of rows of '{odd[0]}', which is none of its tables")


def advanced(world: Simulator, before: Chunk, until: float, commands: Commands | None = None) -> Chunk:
    """Advance a world and hold the chunk to its contract.

    Args:
        world: started, and advanced to the end of `before`.
        before: its last chunk.
        until: time to advance to [s].
        commands: what the agents want; None = the last ones hold.

    Raises:
        TruthError: the chunk does not follow the one before, has parts of other runs, or rows in no time.
    """
    chunk = world.advance(until, commands)
    _check(chunk, before.end, before.runs)
    if chunk.end == chunk.start:
        _check_empty(chunk)
        return replace(chunk, continues=True)
    return chunk


def _check_empty(chunk: Chunk) -> None:
    """Refuse rows in a chunk of no time: they were told before, or belong to the next one."""
    for name, table in {"events": chunk.events, **chunk.tables, **chunk.labels}.items():
        if len(table):
            raise TruthError(f"a chunk of no time at {chunk.end} s has rows in '{name}'")
    for name, part in chunk.signals.items():
        if part.counts.any():
            raise TruthError(f"a chunk of no time at {chunk.end} s has samples in '{name}'")
