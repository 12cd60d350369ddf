"""Plays draws: the one place where all five sockets meet.

The order is: advance, read, act, write, then branch. Where time is cut (agent
ticks, late commands, branch times, the world's longest piece, the caller's own
cuts) changes no byte of what comes out; neither does the batch that a run is
played in.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mischance.api.observations import Answer, commands_of
from mischance.api.protocols import MANY, declares, shadowed
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Reading, Record, join_chunks
from mischance.api.scene import Frames, Motion, join_frames
from mischance.api.tables import (
    BoolArray,
    Column,
    FloatArray,
    Schema,
    Signals,
    Table,
    entity_column,
    join_signals,
    join_tables,
)
from mischance.errors import RunError, TruthError
from mischance.language import catalog
from mischance.language.scenario import Scenario
from mischance.play.channel import TARGET, Channel
from mischance.play.outcome import last_record
from mischance.play.requirements import Monitor

MOTION = ("x", "y", "z", "qx", "qy", "qz", "qw", "vx", "vy", "vz", "wx", "wy", "wz")
MOTION_UNITS = ("m",) * 3 + ("",) * 4 + ("m/s",) * 3 + ("rad/s",) * 3


def play(scenario: Scenario, draws: Sequence[Draw], cuts: Sequence[float] = ()) -> Iterator[Record]:
    """Play runs and yield their records: one a piece of time of a batch, the last with outcome and labels.

    Args:
        scenario: what to play.
        draws: what each run got, as `drawing.draw` gives it.
        cuts: further times to cut at [s]; they change nothing but the length of the pieces.

    Raises:
        RunError: a run cannot go on; the message names the run and the time.
        TruthError: a plug-in breaks its contract.
    """
    check_needs(scenario)
    size = batch_size(scenario)
    cast = _Cast(scenario)
    try:
        for first in range(0, len(draws), size):
            yield from _play(cast, draws[first : first + size], cuts)
    finally:
        cast.close()


def check_needs(scenario: Scenario) -> None:
    """Say in one line which library a scenario's plug-ins lack, or which program its agent does.

    Raises:
        CatalogError: a module that one of them needs is not installed, or the agent cannot be started.
    """
    check_agent(scenario)
    for plugin in scenario.plugins():
        catalog.check_needs(plugin.room, plugin.kind, plugin.declared.needs)
        if plugin.renderer is not None:
            kind = str(plugin.tree[plugin.declared.renderer])
            catalog.check_needs("renderers", kind, declares(plugin.renderer).needs)


def check_agent(scenario: Scenario) -> None:
    """Ask the agent's class, where it has a `check` of its settings, whether it can be started at all.

    Raises:
        CatalogError: it cannot.
    """
    agent = scenario.agent
    if agent and agent.declared.check is not None and not agent.drawn:
        agent.declared.check(agent.settings)


def batch_size(scenario: Scenario) -> int:
    """Return how many runs are played together.

    It is 1 where a drawn value sits in a setting of a one-run plug-in, or where a fault skews the agent's clock.
    """
    others = [*scenario.sensors.values(), *([scenario.agent] if scenario.agent else [])]
    if any(plugin.drawn for plugin in others):
        return 1
    if any(fault.target == TARGET and fault.kind == "clock_skew" for fault in scenario.faults):
        return 1  # an agent has one clock for all the runs that it takes at once
    world = scenario.simulator
    limits = [plugin.declared.batch_with(plugin.settings, MANY) for plugin in others]
    return min([world.declared.batch_with(world.settings, 1), *limits])


@dataclass(slots=True)
class _Cast:
    """The plug-ins of a scenario; built anew only where a drawn value sits in their settings."""

    scenario: Scenario
    built: dict[str, Any] = field(default_factory=dict)
    renderers: dict[type[Any], Any] = field(default_factory=dict)

    def get(self, key: str, plugin: Any, draws: Sequence[Draw]) -> Any:
        """Return the plug-in's instance for these draws."""
        if plugin.drawn or key not in self.built:
            self._close(self.built.pop(key, None))
            settings = plugin.settings_for(draws[0].values) if plugin.drawn else plugin.settings
            self.built[key] = _construct(plugin.cls, settings)
        return self.built[key]

    def renderer(self, name: str) -> Any:
        """Return the renderer that a sensor's settings ask for, or None; sensors share one of a kind."""
        cls = self.scenario.sensors[name].renderer
        if cls is None:
            return None
        if cls not in self.renderers:
            self.renderers[cls] = _construct(cls, declares(cls).settings())
        return self.renderers[cls]

    def close(self) -> None:
        """Close worlds, agents and renderers."""
        for plugin in (*self.built.values(), *self.renderers.values()):
            self._close(plugin)
        self.built.clear()
        self.renderers.clear()

    def _close(self, plugin: Any) -> None:
        close = declares(type(plugin)).close
        if close is not None:
            close(plugin)


def _construct(cls: type[Any], settings: Any) -> Any:
    """Build a plug-in; one that has no settings may leave the argument out."""
    import inspect

    with redirect_stdout(sys.stderr):
        built = cls(settings) if inspect.signature(cls).parameters else cls()
    name = shadowed(built)
    if name:
        raise RunError(
            f"{cls.__name__} sets `{name}` in its instance, where nobody looks for it",
            "declare it in the class; as a static method it may depend on the settings",
        )
    return built


@dataclass(frozen=True, slots=True)
class _Cut:
    t: float
    act: bool
    flush: bool


def _timeline(
    scenario: Scenario, draws: Sequence[Draw], cuts: Sequence[float], rate: float, arrivals: set[float]
) -> list[_Cut]:
    """Return the union of all cuts in (0, duration]; clocks are integers k with t = k / rate."""
    end = scenario.duration
    piece = scenario.simulator.declared.max_chunk_seconds
    acts = {k / rate for k in range(1, int(end * rate) + 2) if k / rate < end} if rate > 0 else set()
    pieces = {k * piece for k in range(1, int(end / piece) + 2) if k * piece < end} | {end}
    branches = {t for draw in draws for t, _ in draw.branch if 0 < t < end}
    asked = {float(t) for t in cuts if 0 < t < end}
    times = sorted(acts | arrivals | pieces | branches | asked)
    flush = pieces | branches | asked
    return [_Cut(t, t in acts, t in flush) for t in times]


def _play(cast: _Cast, draws: Sequence[Draw], cuts: Sequence[float]) -> Iterator[Record]:
    scenario = cast.scenario
    streams = [Streams(draw.seed, draw.run) for draw in draws]
    world = cast.get("simulator", scenario.simulator, draws)
    agent = cast.get("agent", scenario.agent, draws) if scenario.agent else None
    sensors = {name: cast.get(f"sensors.{name}", plugin, draws) for name, plugin in scenario.sensors.items()}
    for name, sensor in sensors.items():
        sensor.start(name, [draw.as_seen(f"sensors.{name}") for draw in draws], streams)
    told = scenario.agent.declared if scenario.agent else None
    own = scenario.agent.settings_for(draws[0].values) if scenario.agent else None
    reads = tuple(dict.fromkeys(told.reads_with(own))) if told else ()
    _check_reads(scenario, reads)
    out = _Output(draws)
    monitor = Monitor(scenario.require)
    of_world = [draw.of_world() for draw in draws]
    chunk: Chunk = world.start(of_world, streams)
    _check(chunk, 0.0, len(draws))
    if agent:
        with redirect_stdout(sys.stderr):  # what an agent prints is for people: stdout is ours alone
            agent.start([draw.as_seen() for draw in draws], streams)
    rate = told.rate_with(own) if told else 0.0
    channel = Channel(draws if agent else of_world, streams, rate, scenario.duration)
    shown = without_labels(chunk)
    fresh = _read(cast, sensors, sensors, shown)
    record = out.record(channel.events(chunk), fresh)
    monitor.add(record)
    yield record
    if agent:
        _act(scenario, agent, reads, channel, [_Seen(chunk.tables, chunk.signals, fresh)], 0.0, chunk, draws)
    commands = channel.down(0.0, ~chunk.over)
    waiting: list[Chunk] = []
    read_early: dict[str, list[Reading]] = {name: [] for name in reads if name in sensors}
    seen: list[_Seen] = []
    done = False
    for cut in _timeline(scenario, draws, cuts, rate, channel.cuts()):
        start = chunk.end
        chunk = world.advance(cut.t, commands)
        _check(chunk, start, len(draws))
        done = bool(chunk.over.all())
        waiting.append(chunk)
        early = _read(cast, sensors, read_early, without_labels(chunk))
        for name, reading in early.items():
            read_early[name].append(reading)
        seen.append(_Seen(chunk.tables, chunk.signals, early))
        if cut.act and agent and not done:
            _act(scenario, agent, reads, channel, seen, cut.t, chunk, draws)
            seen = []
        # A command holds until the next one: it is handed over once, whatever the cuts are.
        commands = channel.down(cut.t, ~chunk.over)
        if cut.flush or done:
            joined = join_chunks(waiting)
            late = _read(cast, sensors, sensors.keys() - read_early.keys(), without_labels(joined))
            readings = {**late, **{name: join_readings(parts) for name, parts in read_early.items()}}
            record = out.record(channel.events(joined), {name: readings[name] for name in sensors})
            monitor.add(record)
            yield record
            waiting, read_early = [], {name: [] for name in read_early}
        if done:
            break
        for draw, stream in zip(draws, streams, strict=True):
            for t, key in draw.branch:
                if t == cut.t:
                    stream.rekey(key)
    if told and told.finish is not None:
        with redirect_stdout(sys.stderr):
            told.finish(agent, channel.up(_gathered(reads, seen), chunk.end), channel.clock(chunk.end))
    failures = told.failures(agent) if told and told.failures is not None else [None] * len(draws)
    measures, labels = world.outcome()
    parts = [labels, *(sensor.labels() for sensor in sensors.values()), channel.labels()]
    yield last_record(scenario, draws, chunk, measures, parts, failures, monitor)


@dataclass(slots=True)
class _Seen:
    """What happened since an agent's last turn."""

    tables: Mapping[str, Table]
    signals: Mapping[str, Signals]
    readings: Mapping[str, Reading]


def without_labels(chunk: Chunk) -> Chunk:
    """Return the chunk as sensors may see it: without the labels of rows."""
    return replace(chunk, labels={}) if chunk.labels else chunk


def _check_reads(scenario: Scenario, reads: Sequence[str]) -> None:
    known = {*scenario.sensors, "truth"}
    for name in sorted(set(reads) - known):
        raise RunError(
            f"the agent '{scenario.agent.kind if scenario.agent else ''}' reads a sensor '{name}' that is not there",
            f"add it under `sensors`; known: {', '.join(sorted(known))}",
        )


def _read(cast: _Cast, sensors: Mapping[str, Any], names: Any, chunk: Chunk) -> dict[str, Reading]:
    return {name: sensors[name].read(chunk, cast.renderer(name)) for name in sensors if name in names}


def _gathered(reads: Sequence[str], seen: Sequence[_Seen]) -> dict[str, Reading]:
    """Return all that was read since the agent's last turn, without the truth that a sensor knows of its readings."""
    readings: dict[str, Reading] = {}
    for name in reads:
        if name == "truth":
            tables = {key: join_tables([part.tables[key] for part in seen]) for key in seen[0].tables}
            signals = {key: join_signals([part.signals[key] for part in seen]) for key in seen[0].signals}
            readings[name] = Reading(tables, signals=signals)
        else:
            whole = join_readings([part.readings[name] for part in seen])
            readings[name] = Reading(whole.tables, whole.frames, signals=whole.signals)
    return readings


def _act(
    scenario: Scenario,
    agent: Any,
    reads: Sequence[str],
    channel: Channel,
    seen: Sequence[_Seen],
    t: float,
    chunk: Chunk,
    draws: Sequence[Draw],
) -> None:
    """Let the agent see what has reached it, and send what it says."""
    live = ~chunk.over & channel.awake(t)
    readings, clock = channel.up(_gathered(reads, seen), t), channel.clock(t)
    with redirect_stdout(sys.stderr):
        answer = agent.act(readings, clock, live)
    if isinstance(answer, (list, tuple)) and len(answer) == len(draws):
        answer = _in_columns(scenario, answer, t, live, draws)
    _check_commands(scenario, answer, t, draws)
    assert isinstance(answer, Commands)
    channel.send(answer, t)


def _in_columns(
    scenario: Scenario, answers: Sequence[Answer], t: float, live: BoolArray, draws: Sequence[Draw]
) -> Commands:
    """Turn one answer a run into columns; a row that names no actor means the world's first."""
    world = scenario.simulator.declared
    entity = entity_column(world.commands)
    actor = world.default_actor_with(scenario.simulator.settings)
    defaults = {entity: actor} if entity and actor else {}
    try:
        return commands_of(answers, world.commands, live, defaults, world.complete)
    except RunError as error:
        raise RunError(f"run {draws[0].run}, t = {t:g} s: {error.message}", error.hint) from error


def _check_commands(scenario: Scenario, commands: Any, t: float, draws: Sequence[Draw]) -> None:
    """Refuse a command that the world cannot take, naming run, actor and time."""
    kind = scenario.agent.kind if scenario.agent else ""
    table = getattr(commands, "table", None)
    if not isinstance(commands, Commands) or not isinstance(table, Table) or table.runs != len(draws):
        got = f"{table.runs} runs" if isinstance(table, Table) else type(commands).__name__
        raise RunError(
            f"run {draws[0].run}: the agent '{kind}' answered at t = {t:g} s with {got}",
            f"it must return Commands with a table of {len(draws)} run(s)",
        )
    wanted = scenario.simulator.declared.commands
    may_miss = {name for name, column in wanted.items() if column.null}
    odd = sorted((set(table.schema) ^ set(wanted)) - may_miss) if wanted else []
    if odd:
        raise RunError(
            f"run {draws[0].run}: the agent '{kind}' answered at t = {t:g} s with columns {sorted(table.schema)}",
            f"the world '{scenario.simulator.kind}' takes {sorted(wanted)}",
        )
    for name, values in table.columns.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            run = draws[int(table.run_index()[row])].run
            entity = entity_column(wanted)
            whom = f" for {_word(table, entity, row)}" if entity in table.columns else ""
            raise RunError(f"run {run}: the agent '{kind}' commanded {name} = {values[row]}{whom} at t = {t:g} s")


def _word(table: Table, name: str, row: int) -> str:
    value, column = table.columns[name][row], table.schema[name]
    return (
        column.names[int(value)] if column.dtype == "category" and 0 <= int(value) < len(column.names) else str(value)
    )


def join_readings(readings: Sequence[Reading]) -> Reading:
    """Join readings of one sensor that follow each other in time."""
    first = readings[0]
    if len(readings) == 1:
        return first
    return Reading(
        {key: join_tables([part.tables[key] for part in readings]) for key in first.tables},
        join_frames([part.frames for part in readings]),
        {key: join_tables([part.labels[key] for part in readings]) for key in first.labels},
        join_frames([part.label_frames for part in readings]),
        {key: join_signals([part.signals[key] for part in readings]) for key in first.signals},
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


@dataclass(slots=True)
class _Output:
    """Turns chunks and readings into records."""

    draws: Sequence[Draw]

    def record(self, chunk: Chunk, readings: Mapping[str, Reading]) -> Record:
        """Return the record of one piece of time."""
        tables: dict[str, Table] = {"events": chunk.events}
        frames: dict[str, tuple[Frames, ...]] = {}
        tables |= {f"truth/{name}": table for name, table in chunk.tables.items()}
        tables |= {f"labels/{name}": table for name, table in chunk.labels.items()}
        signals = {f"truth/{name}": part for name, part in chunk.signals.items()}
        if chunk.motion is not None and chunk.motion.bodies:
            tables["truth/motion"] = motion_table(chunk.motion, chunk.ends, first=chunk.first)
        for name, reading in readings.items():
            for key, table in reading.tables.items():
                tables[f"sensors/{name}/{key}" if key else f"sensors/{name}"] = table
            for key, table in reading.labels.items():
                tables[f"labels/{name}/{key}"] = table
            for key, part in reading.signals.items():
                signals[f"sensors/{name}/{key}" if key else f"sensors/{name}"] = part
            for key in reading.frames[0].passes if reading.frames else ():
                frames[f"sensors/{name}/{'frames' if key == 'rgb' else key}"] = _one_pass(reading.frames, key)
            for key in reading.label_frames[0].passes if reading.label_frames else ():
                frames[f"labels/{name}/{key}"] = _one_pass(reading.label_frames, key)
        runs = np.array([draw.run for draw in self.draws], np.int64)
        return Record(runs, chunk.start, chunk.end, tables, frames, chunk.scenes, signals=signals)


def _one_pass(frames: Sequence[Frames], name: str) -> tuple[Frames, ...]:
    return tuple(Frames(run.t, {name: run.passes[name]}, run.index) for run in frames)


def motion_table(motion: Motion, ends: FloatArray, *, first: bool) -> Table:
    """Return motion as rows (t, body, pose, velocity); the sample at a chunk's start belongs to the chunk before."""
    schema: Schema = {
        "t": Column(unit="s", role="time"),
        "body": Column("category", names=motion.bodies, role="entity"),
        **{
            name: Column(unit=unit, role="position" if name in ("x", "y", "z") else "")
            for name, unit in zip(MOTION, MOTION_UNITS, strict=True)
        },
    }
    skip = 0 if first else 1
    bodies = len(motion.bodies)
    # rows (run, time, body) of every run up to its end; most often no run ends, and nothing need be picked
    last = np.maximum(np.searchsorted(motion.t, ends, side="right"), skip)
    kept = np.arange(skip, len(motion.t)) < last[:, None]
    whole = bool(kept.all())
    state = [*np.moveaxis(motion.pose[:, skip:], -1, 0), *np.moveaxis(motion.velocity[:, skip:], -1, 0)]
    t = np.broadcast_to(motion.t[skip:, None], (*kept.shape, bodies))
    body = np.broadcast_to(np.arange(bodies, dtype=np.int32), t.shape)
    columns = {
        name: (values if whole else values[kept]).reshape(-1)
        for name, values in zip(schema, (t, body, *state), strict=True)
    }
    offsets = np.concatenate([[0], np.cumsum((last - skip) * bodies)]).astype(np.int64)
    return Table(schema, columns, offsets)
