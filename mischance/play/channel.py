"""The channel between an agent and its world, and its faults: latency, lost commands, late readings, skew, timeout.

Readings go up to the agent, commands come down to the world, and neither end need know of the faults of the target
`agent`. A command is a message: all rows that an agent says for one run at one turn. Messages keep their order: what
was said later never arrives earlier. A turn is the step that a fault acts on: it counts what is active when it starts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mischance.api.labels import Row, label_row, table_of_rows
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, Reading, active_shares
from mischance.api.scene import Frames, join_frames
from mischance.api.tables import (
    EVENTS,
    LABELS,
    AnyArray,
    BoolArray,
    FloatArray,
    IntArray,
    Schema,
    Signals,
    Table,
    join_signals,
    join_tables,
    seconds,
)
from mischance.errors import RunError, TruthError

TARGET = "agent"
SLACK = 1e-9  # a nanosecond: a sum of floats must not fall short of the step or the turn that it means
TICKS = 1000.0  # latency counts in whole milliseconds, rounded up: else every run would cut time at moments of its own

BLOCK = 4096  # turns that are worked out together: a long run has millions of them
ALONE = ("clock_skew",)  # an agent has one clock for all the runs that it takes at once
LATE = ("observation_latency", "timeout")  # what holds readings back

# What has happened: time, place among what happens at that time, kind of event, fault, details.
_New = tuple[float, int, str, Fault, dict[str, Any]]


def plays_alone(draw: Draw) -> bool:
    """Say whether a run cannot share its agent with others."""
    return any(fault.kind in ALONE for fault in draw.faults_of(TARGET))


class PlayAloneError(Exception):
    """These runs cannot be played together; nothing has been yielded of them yet."""


class _Plan:
    """The faults of one kind in columns, in order of onset; shape (runs, most), nothing where a run has fewer."""

    def __init__(self, kind: str, faults: Sequence[Sequence[Fault]]) -> None:
        self.faults = [[fault for fault in own if fault.kind == kind] for own in faults]
        self.most = max(map(len, self.faults))
        shape = (len(faults), self.most)
        self._onset, self._end, self._severity, self._ramp = np.full(shape, np.inf), *np.zeros((3, *shape))
        for i, own in enumerate(self.faults):
            for j, f in enumerate(own):
                self._onset[i, j], self._end[i, j] = f.onset, f.end
                self._severity[i, j], self._ramp[i, j] = f.severity, f.ramp

    def nth(self, j: int, run: IntArray, t: FloatArray | float) -> FloatArray:
        """Return the severity of the j-th fault of each of those runs at t, as `Fault.severity_at` has it; (n,)."""
        severity: FloatArray = self._severity[run, j]
        return severity * active_shares(self._onset[run, j], self._end[run, j], self._ramp[run, j], t)

    def at(self, run: IntArray, t: FloatArray | float) -> FloatArray:
        """Return the severity of all of them together; (n,)."""
        total = np.zeros(len(run))
        for j in range(self.most):
            total += self.nth(j, run, t)
        return total


@dataclass(frozen=True, slots=True)
class _Message:
    due: float
    schema: Schema
    rows: Mapping[str, AnyArray]


class Channel:
    """What one batch of runs and their agent say to each other.

    Args:
        draws: the runs' draws.
        streams: their random streams; whether a command is lost is keyed by the number of its turn.
        rate: turns of the agent per second [Hz].
        duration: length of a run [s].

    Raises:
        TruthError: clocks of several runs are skewed at once: an agent has one clock for its batch.
    """

    def __init__(self, draws: Sequence[Draw], streams: Sequence[Streams], rate: float, duration: float) -> None:
        self._draws, self._streams, self._rate, self._duration = draws, streams, rate, duration
        self._faults = [sorted(draw.faults_of(TARGET), key=lambda f: (f.onset, f.fault_id)) for draw in draws]
        self._plans = {kind: _Plan(kind, self._faults) for kind in {f.kind for own in self._faults for f in own}}
        if len(draws) > 1 and any(map(plays_alone, draws)):
            raise TruthError("runs whose agent's clock is skewed are played one at a time")
        self._run = np.arange(len(draws), dtype=np.int64)
        self._turns = int(duration * rate) + 2 if rate > 0 else 1
        self._due: tuple[int, FloatArray] = -1, np.zeros((len(draws), 0))
        self._last = np.zeros(len(draws))  # when the last message arrives that was sent
        self._queues: dict[int, list[_Message]] = {}
        self._direct: Commands | None = None
        self._luck: dict[int, tuple[int, int, FloatArray]] = {}
        self._tables: dict[tuple[str, str], Table] = {}  # rows that have not reached the agent
        self._signals: dict[tuple[str, str], Signals] = {}
        self._frames: dict[str, tuple[Frames, ...]] = {}
        self._told = [0] * len(draws)
        self._news = [[new for fault in own for new in _begin_and_end(fault)] for own in self._faults]

    @property
    def holds_back(self) -> bool:
        """Whether readings reach some run's agent late."""
        return bool(self._plans.keys() & set(LATE))

    def cuts(self) -> Iterator[float]:
        """Yield in order the times at which delayed commands arrive: time must be cut there."""
        if "latency" not in self._plans:
            return
        waiting: set[float] = set()
        for block in range(-(-self._turns // BLOCK)):
            waiting.update(np.unique(self._dues(block)).tolist())
            # What is said later arrives later than it is said: nothing can come between these any more.
            sure = (block + 1) * BLOCK / self._rate if self._rate > 0 else np.inf
            due = sorted(t for t in waiting if t < sure)
            waiting.difference_update(due)
            yield from (t for t in due if 0.0 < t < self._duration)
        yield from (t for t in sorted(waiting) if 0.0 < t < self._duration)

    def _dues(self, block: int) -> FloatArray:
        """Return when what is said at each turn of a block arrives, if nothing said before is late; (runs, turns)."""
        k = np.arange(block * BLOCK, min((block + 1) * BLOCK, self._turns))
        turns = k / self._rate if self._rate > 0 else np.zeros(1)
        rows = []
        for run in self._run:
            late = self._plans["latency"].at(np.full(len(turns), run), turns)
            delay = np.ceil(np.maximum(late, 0.0) * TICKS - 1e-6) / TICKS
            due = turns + delay
            turn = np.rint(due * self._rate) / self._rate if self._rate > 0 else due
            due = np.where(np.abs(turn - due) < SLACK, turn, due + SLACK)
            rows.append(np.where(delay > 0.0, due, turns))
        return np.array(rows)

    def _due_at(self, k: int) -> FloatArray:
        """Return when what is said at turn k arrives, if nothing that was said before is late; (runs,)."""
        block, place = divmod(k, BLOCK)
        if self._due[0] != block:
            self._due = block, self._dues(block)
        due: FloatArray = self._due[1][:, place]
        return due

    # -- up: what the agent sees ----------------------------------------------------------------------------------

    def awake(self, t: float) -> BoolArray:
        """Return whose agent does not hang at t; shape (runs,)."""
        if "timeout" not in self._plans:
            return np.ones(len(self._run), np.bool_)
        return np.asarray(self._plans["timeout"].at(self._run, t) <= 0.0)

    def _for_good(self, t: float) -> BoolArray:
        """Return whose agent hangs at t and never comes back; shape (runs,)."""
        own = self._plans["timeout"].faults if "timeout" in self._plans else [[] for _ in self._run]
        lasting = [
            any(f.end > self._duration and f.severity > 0.0 and f.severity_at(t) > 0.0 for f in fs) for fs in own
        ]
        return np.array(lasting, np.bool_)

    def clock(self, t: float) -> float:
        """Return what the agent's clock shows at t [s]. Its turns come when they do, whatever it shows."""
        skew = self._plans.get("clock_skew")
        return t + float(skew.at(self._run, t)[0]) if skew else t

    def up(self, readings: Mapping[str, Reading], t: float) -> Mapping[str, Reading]:
        """Return what reaches the agent by t of what was read since its last turn, and before.

        Time stamps stay as they are: how late a reading is shows in them. What comes while an agent hangs waits.

        Raises:
            TruthError: signals of several runs are late: they reach each run up to another sample.
        """
        if not self.holds_back:
            return readings
        found = {}
        for name, reading in readings.items():
            tables = {key: self._arrived(name, key, table, t) for key, table in reading.tables.items()}
            frames = self._images(name, reading.frames, t) if reading.frames else ()
            signals = {key: self._samples(name, key, part, t) for key, part in reading.signals.items()}
            found[name] = Reading(tables, frames, reading.labels, reading.label_frames, signals)
        return found

    def _arrived(self, name: str, key: str, table: Table, t: float) -> Table:
        waiting = self._tables.pop((name, key), None)
        if waiting is not None:
            table = join_tables([waiting, table])
        times = seconds(table.columns["t"], table.schema) if "t" in table.schema else np.full(len(table), -np.inf)
        ready = self._ready(table.run_index(), table.offsets, times, t)
        if ready.all():
            return table
        # What comes to an agent that hangs to the end is not kept: a long run has a lot of it.
        self._tables[name, key] = table.take(~ready & ~self._for_good(t)[table.run_index()])
        return table.take(ready)

    def _samples(self, name: str, key: str, part: Signals, t: float) -> Signals:
        if part.runs > 1:
            raise TruthError("runs whose signals reach the agent late are played one at a time")
        waiting = self._signals.pop((name, key), None)
        if waiting is not None:
            part = join_signals([waiting, part])
        times = part.t()[: int(part.counts[0])]
        ready = self._ready(np.zeros(len(times), np.int64), np.array([0, len(times)]), times, t)
        n = int(ready.sum())  # one that is not there yet keeps back all that follow it
        if not self._for_good(t)[0]:
            rest = part.values[:, n:], part.channels, part.counts - n
            self._signals[name, key] = Signals(part.rate, part.first + n, *rest)
        return Signals(part.rate, part.first, part.values[:, :n], part.channels, np.array([n], np.int64))

    def _images(self, name: str, frames: tuple[Frames, ...], t: float) -> tuple[Frames, ...]:
        waiting = self._frames.pop(name, None)
        if waiting is not None:
            frames = join_frames([waiting, frames])
        sizes = [len(own.t) for own in frames]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        ready = self._ready(np.repeat(self._run, sizes), offsets, np.concatenate([own.t for own in frames]), t)
        parts = np.split(ready, offsets[1:-1])
        kept = [np.asarray(~there & ~gone) for there, gone in zip(parts, self._for_good(t), strict=True)]
        self._frames[name] = tuple(_chosen(own, keep) for own, keep in zip(frames, kept, strict=True))
        return tuple(_chosen(own, there) for own, there in zip(frames, parts, strict=True))

    def _ready(self, run: IntArray, offsets: IntArray, times: FloatArray, t: float) -> BoolArray:
        """Return which readings of those times, in order in each run, have reached the agent by t; (rows,)."""
        late = self._plans.get("observation_latency")
        delay = np.maximum(late.at(run, times), 0.0) if late else np.zeros(len(run))
        missing = np.concatenate([[0], np.cumsum(times + delay > t + SLACK)])
        # One that is not there yet keeps back all that follow it.
        return np.asarray((missing[1:] == missing[offsets[run]]) & self.awake(t)[run])

    # -- down: what the world hears -------------------------------------------------------------------------------

    def send(self, commands: Commands, t: float) -> None:
        """Take what the agent says at its turn at t; an answer of an agent that hangs is nobody's.

        Raises:
            TruthError: it is not a turn of the agent's.
        """
        self._direct = commands
        if not self._plans.keys() & {"latency", "message_loss", "timeout"}:
            return
        k = round(t * self._rate)
        if not 0 <= k < self._turns or (k / self._rate if self._rate > 0 else 0.0) != t:
            raise TruthError(f"t = {t} s is no turn of an agent at {self._rate} Hz")
        table = commands.table
        sent = (np.diff(table.offsets) > 0) & self.awake(t)
        if "message_loss" in self._plans:
            sent &= ~self._lost(k, t, sent)
        if "latency" in self._plans:
            self._last = np.where(sent, np.maximum(self._due_at(k), self._last), self._last)
            for i in np.flatnonzero(sent & (self._last > t)).tolist():
                message = _Message(float(self._last[i]), table.schema, table.run(i))
                self._queues.setdefault(i, []).append(message)
                sent[i] = False
        self._direct = Commands(table.take(sent[table.run_index()]), commands.live)

    def _lost(self, k: int, t: float, sent: BoolArray) -> BoolArray:
        """Return whose message of turn k is lost; (runs,). What a small probability loses, a greater one loses too."""
        plan = self._plans["message_loss"]
        luck = np.array([self._uniform(i, k, t) if sent[i] and plan.faults[i] else 1.0 for i in range(len(sent))])
        through, lost = np.ones(len(sent)), np.zeros(len(sent), np.bool_)
        for j in range(plan.most):
            through *= 1.0 - np.clip(plan.nth(j, self._run, t), 0.0, 1.0)
            for i in np.flatnonzero(~lost & (luck < 1.0 - through)).tolist():
                lost[i] = True
                self._news[i].append((t, 1, "command_lost", plan.faults[i][j], {}))
        return lost

    def _uniform(self, run: int, k: int, t: float) -> float:
        """Return the luck of a run's turn k; a branch re-keys all turns after it."""
        branch = sum(begins < t for begins, _ in self._draws[run].branch)
        block, place = divmod(k, BLOCK)
        known = self._luck.get(run)
        if known is None or known[:2] != (branch, block):
            turns = np.arange(block * BLOCK, (block + 1) * BLOCK, dtype=np.int64)
            known = self._luck[run] = branch, block, self._streams[run].uniform("agent.message_loss", turns)
        return float(known[2][place])

    def down(self, t: float, live: BoolArray) -> Commands | None:
        """Return the commands that arrive at t, to be handed to the world once; `live` (runs,): who goes on.

        Raises:
            RunError: an agent has said commands in several sets of columns.
        """
        direct, self._direct = self._direct, None
        if not self._plans:
            return direct
        found: dict[int, list[_Message]] = {}
        for i, queue in list(self._queues.items()):
            n = sum(message.due <= t for message in queue)
            if n:
                found[i], self._queues[i] = queue[:n], queue[n:]
        if not found:
            return Commands(direct.table, live) if direct else None
        schemas = [message.schema for messages in found.values() for message in messages]
        schemas += [direct.table.schema] if direct else []
        if any(schema != schemas[0] for schema in schemas):
            raise RunError(f"t = {t:g} s: an agent whose channel has faults says its commands in changing columns")
        rows = []
        for i in range(len(self._run)):
            parts = [message.rows for message in found.get(i, ())] + ([direct.table.run(i)] if direct else [])
            rows.append({name: np.concatenate([part[name] for part in parts]) for name in schemas[0]} if parts else {})
        return Commands(Table.of(schemas[0], rows), live)

    # -- what is told of it ---------------------------------------------------------------------------------------

    def events(self, chunk: Chunk) -> Chunk:
        """Return the chunk with the channel's own events among those of the world, in order of time."""
        fresh = [any(new[0] <= chunk.end for new in news) for news in self._news]
        if not any(fresh):
            return chunk
        runs = []
        for i in range(chunk.runs):
            rows = chunk.events.run(i)
            own = self._since(i, chunk.end, float(chunk.ends[i])) if fresh[i] else []
            if own:
                columns = zip(EVENTS, zip(*own, strict=True), strict=True)
                extra = {name: np.array(values, EVENTS[name].storage) for name, values in columns}
                rows = {name: np.concatenate([rows[name], extra[name]]) for name in EVENTS}
                order = np.argsort(rows["t"], kind="stable")
                rows = {name: values[order] for name, values in rows.items()}
            runs.append(rows)
        return replace(chunk, events=Table.of(EVENTS, runs))

    def _since(self, run: int, until: float, end: float) -> list[tuple[Any, ...]]:
        """Return rows of EVENTS for what happened up to `until`, in a run that ends at `end`."""
        due = sorted((new for new in self._news[run] if new[0] <= until), key=lambda n: (n[0], n[1], n[3].fault_id))
        self._news[run] = [new for new in self._news[run] if new[0] > until]
        rows = []
        for t, _, kind, fault, details in due:
            if t <= end:
                rows.append((t, f"channel:{self._told[run]}", fault.fault_id, kind, TARGET, json.dumps(details)))
                self._told[run] += 1
        return rows

    def labels(self) -> Table:
        """Return a label for each fault; its effect is found by comparison with the twin."""
        return table_of_rows(LABELS, [_labels(own) for own in self._faults])


def _begin_and_end(fault: Fault) -> list[_New]:
    kind = f"{TARGET}_{fault.kind}"
    begin: _New = (max(fault.onset, 0.0), 0, kind, fault, {"severity": fault.severity})
    return [begin, (fault.end, 2, f"{kind}_end", fault, {})] if np.isfinite(fault.end) else [begin]


def _chosen(frames: Frames, keep: BoolArray) -> Frames:
    index = frames.index[keep] if len(frames.index) else frames.index
    return Frames(frames.t[keep], {name: stack[keep] for name, stack in frames.passes.items()}, index)


def _labels(faults: Sequence[Fault]) -> list[Row]:
    return [
        label_row(
            f"{TARGET}:{n}", f"fault/{TARGET}/{fault.kind}", TARGET, cause=fault.onset, end=fault.end,
            severity=fault.severity, causes=[fault.fault_id], role="fault",
        )
        for n, fault in enumerate(faults)
    ]  # fmt: skip
