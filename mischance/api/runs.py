"""Runs: what is drawn for them, the chunks of truth they yield, readings, commands and records.

Every array has one entry, or one range of rows, a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from types import MappingProxyType
from typing import Any

import numpy as np

from mischance.api.read_only import read_only
from mischance.api.scene import Frames, Motion, Scene
from mischance.api.tables import (
    BoolArray,
    Column,
    FloatArray,
    IntArray,
    Signals,
    Table,
    join_signals,
    join_tables,
)


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Truth in (start, end], for every run of a batch; the first chunk is truth AT t = 0.

    `ends`: when each run's rows stop (its end, or `end`); `over`: whether the run has ended; both (runs,).
    `signals` are uniformly sampled channels. `labels` are truth about single rows of `tables`, by the name of the
    table; they go to `labels/<table>/` and never to agents or sensors. `continues` is set by the player on a chunk of
    `advance` that ends at t = 0, before the world's first own step: it has no rows, and tick 0 is not read again.
    `parts`: of several worlds on one clock, the chunk of each as it tells it alone, by the world's name.
    """

    start: float
    end: float
    ends: FloatArray
    over: BoolArray
    events: Table
    tables: Mapping[str, Table] = field(default_factory=dict)
    motion: Motion | None = None
    scenes: tuple[Scene, ...] = ()
    signals: Mapping[str, Signals] = field(default_factory=dict)
    labels: Mapping[str, Table] = field(default_factory=dict)
    continues: bool = False
    parts: Mapping[str, Chunk] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ends", read_only(self.ends))
        object.__setattr__(self, "over", read_only(self.over))

    @property
    def first(self) -> bool:
        """Whether this is the chunk AT t = 0."""
        return self.start == self.end == 0.0 and not self.continues

    @property
    def runs(self) -> int:
        """How many runs it holds."""
        return len(self.ends)

    def ticks(self, rate: float) -> IntArray:
        """Return the ticks k of a clock with t = k / rate in (start, end]; tick 0 belongs to the first chunk."""
        return ticks(rate, self.start, self.end, first=self.first)


def ticks(rate: float, start: float, end: float, *, first: bool = False) -> IntArray:
    """Return every integer k with start < k / rate <= end, exactly as floating point says; plus 0 if `first`."""
    low = int(np.floor(start * rate)) - 1
    k: IntArray = np.arange(max(low, 0), int(np.ceil(end * rate)) + 2, dtype=np.int64)
    t = k / rate
    chosen: IntArray = k[((t > start) | (first & (k == 0))) & (t <= end)]
    return chosen


def last_tick(rate: float, until: float) -> int:
    """Return the largest k >= 0 with k / rate <= until, exactly as floating point says; -1 where `until` is infinite.

    A world that steps at `rate` ends there: its last state is a row, whatever the rate of its tables.
    """
    if until == inf:
        return -1
    k = int(until * rate) + 1
    while k > 0 and k / rate > until:
        k -= 1
    return k


def join_chunks(chunks: Sequence[Chunk], *, with_motion: bool = True) -> Chunk:
    """Join chunks that follow each other; a first chunk (t = 0) must not be joined with later ones.

    Without motion the joined chunk has none, which saves copying what nobody looks at.
    """
    head, tail = chunks[0], chunks[-1]
    if len(chunks) == 1:
        return head
    motion = None
    if head.motion is not None and with_motion:
        parts = [chunk.motion for chunk in chunks if chunk.motion is not None]
        motion = Motion(
            head.motion.bodies,
            np.concatenate([parts[0].t, *(p.t[1:] for p in parts[1:])]),
            np.concatenate([parts[0].pose, *(p.pose[:, 1:] for p in parts[1:])], axis=1),
            np.concatenate([parts[0].velocity, *(p.velocity[:, 1:] for p in parts[1:])], axis=1),
        )
    return Chunk(
        start=head.start,
        end=tail.end,
        ends=tail.ends,
        over=tail.over,
        events=join_tables([chunk.events for chunk in chunks]),
        tables={name: join_tables([chunk.tables[name] for chunk in chunks]) for name in head.tables},
        motion=motion,
        scenes=tail.scenes,
        signals={name: join_signals([chunk.signals[name] for chunk in chunks]) for name in head.signals},
        labels={name: join_tables([chunk.labels[name] for chunk in chunks]) for name in head.labels},
        continues=head.continues,
        parts={name: join_chunks([chunk.parts[name] for chunk in chunks]) for name in head.parts},
    )


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """What a sensor reported. `t` in tables and frames is when the value became available.

    `frames`: one entry a run, or nothing. `labels`: truth about this reading that only the sensor
    knows (a camera's boxes and ids); it is written under labels/<sensor>/, never under sensors/.
    """

    tables: Mapping[str, Table] = field(default_factory=dict)
    frames: tuple[Frames, ...] = ()
    labels: Mapping[str, Table] = field(default_factory=dict)
    label_frames: tuple[Frames, ...] = ()
    signals: Mapping[str, Signals] = field(default_factory=dict)

    @staticmethod
    def of(
        t: FloatArray, values: Sequence[FloatArray], unit: str = "", names: Sequence[str] = ("x", "y", "z")
    ) -> Reading:
        """Return a reading of one table: times (n,) shared by all runs and one array (n, k) a run."""
        schema = {"t": Column(unit="s", role="time"), **{name: Column(unit=unit, role="value") for name in names}}
        rows = [{"t": t[: len(v)], **{name: v[:, i] for i, name in enumerate(names)}} for v in values]
        return Reading({"": Table.of(schema, rows)})


@dataclass(frozen=True, slots=True, eq=False)
class Commands:
    """What agents want: a ragged table (any number of rows a run) and which runs still go on; `live` (runs,)."""

    table: Table
    live: BoolArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "live", read_only(self.live))


def active_share(onset: float, end: float, ramp: float, t: float) -> float:
    """Return the share of a fault's severity that is active in a step that starts at t, 0-1: linear over its ramp.

    Numbers only, so that a compiler takes it; `active_shares` is the same for arrays.
    """
    if not onset <= t < end:
        return 0.0
    return 1.0 if ramp <= 0.0 else min((t - onset) / ramp, 1.0)


def active_shares(
    onset: FloatArray | float, end: FloatArray | float, ramp: FloatArray | float, t: FloatArray | float
) -> FloatArray:
    """Return `active_share` of every fault and time; common shape of all arguments."""
    time, slope = np.asarray(t, np.float64), np.asarray(ramp, np.float64)
    grown = np.clip((time - onset) / np.where(slope <= 0.0, 1.0, slope), 0.0, 1.0)
    return np.where((time >= onset) & (time < end), np.where(slope <= 0.0, 1.0, grown), 0.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """A planned change of one parameter: nothing is ever painted on an output.

    It acts on steps that start in [onset, end); severity grows from 0 to `severity` over `ramp` seconds.
    """

    fault_id: str
    target: str
    kind: str
    onset: float
    end: float
    severity: float
    ramp: float = 0.0

    def begins_like(self, other: Fault) -> bool:
        """Whether the other is the same fault, perhaps with another end."""
        mine = (self.fault_id, self.target, self.kind, self.onset)
        return mine == (other.fault_id, other.target, other.kind, other.onset)

    def severity_at(self, t: FloatArray | float) -> FloatArray:
        """Return the severity for steps or samples that start at `t`; same shape as `t`."""
        return self.severity * active_shares(self.onset, self.end, self.ramp, t)

    def share_at(self, t: float) -> float:
        """Return the share of the severity that is active in a step that starts at `t`, 0-1."""
        return active_share(self.onset, self.end, self.ramp, t)


@dataclass(frozen=True, slots=True)
class Draw:
    """What run k got. `settings` are the simulator's own settings with the drawn values filled in.

    `twin` is '' for a run itself, a fault id for the twin without that fault, '*' for the twin without any.
    `branch`: (time, key) pairs; after each time every stream is re-keyed. `duration` is when the run is cut off [s], at
    the latest: the state at a run's end is a row of every table of states.
    """

    seed: int
    run: int
    values: Mapping[str, float | str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    log_weight: float = 0.0
    branch: tuple[tuple[float, str], ...] = ()
    twin: str = ""
    settings: Any = None
    duration: float = inf

    def faults_of(self, target: str) -> tuple[Fault, ...]:
        """Return the faults planned for that target, in order of onset."""
        return tuple(fault for fault in self.faults if fault.target == target)

    def without_channel(self) -> Draw:
        """Return the draw without the faults of the agent's channel."""
        return replace(self, faults=tuple(fault for fault in self.faults if fault.target != "agent"))

    def as_seen(self, target: str = "") -> Draw:
        """Return the draw as an agent (or, with a target, the sensor of that target) may see it.

        No planned fault but its own, no weight of having been drawn so, no branch, and nothing that tells a twin.
        """
        own = self.faults_of(target) if target else ()
        return replace(self, values=dict(self.values), faults=own, log_weight=0.0, branch=(), twin="")

    def of_world(self) -> Draw:
        """Return the draw as a world gets it: the faults of sensors and of the agent's channel are not its own."""
        own = tuple(f for f in self.faults if f.target != "agent" and not f.target.startswith("sensors."))
        return self if len(own) == len(self.faults) else replace(self, faults=own)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """What `play` hands on: one piece of time of a batch of runs.

    `tables`: path in the dataset ('truth/bodies', 'sensors/imu', 'events', 'labels/front/images' …) -> rows.
    `frames`: path ('sensors/front/frames', 'sensors/front/depth', 'labels/front/instance' …) -> one Frames a
    run, each with exactly one pass.
    `signals`: path ('truth/vibration', 'sensors/accelerometer') -> uniformly sampled channels.
    `last` marks the last record of the batch; it alone has the tables 'runs' and 'labels'.
    """

    runs: IntArray
    start: float
    end: float
    tables: Mapping[str, Table]
    frames: Mapping[str, tuple[Frames, ...]] = field(default_factory=dict)
    scenes: tuple[Scene, ...] = ()
    last: bool = False
    signals: Mapping[str, Signals] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "runs", read_only(self.runs))
        for name in ("tables", "frames", "signals"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
