"""What happened, in columns: the nouns that travel down the pipe.

Everything is an array with one entry, or one range of rows, a run. Rows of run
i of a table are `offsets[i]:offsets[i + 1]`, sorted by `t`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mischance.errors import TruthError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
UIntArray = NDArray[np.uint64]
BoolArray = NDArray[np.bool_]
AnyArray = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """The declared type of one column.

    `dtype` is a NumPy name ('float64', 'int64', 'int32', 'bool' …), 'category' (codes int32 into
    `names`, -1 is null) or 'text' (Python strings). `floor` is the smallest difference that counts
    when a run is compared with its twin. `null` says that NaN means "no value". `encoding` is a
    wish for the file: 'plain' (ids), 'delta' (times, money), or '' (let the writer choose).
    """

    dtype: str = "float64"
    unit: str = ""
    names: tuple[str, ...] = ()
    floor: float = 0.0
    null: bool = False
    encoding: str = ""
    about: str = ""

    @property
    def storage(self) -> np.dtype[Any]:
        """The NumPy type that holds it."""
        if self.dtype == "category":
            return np.dtype(np.int32)
        return np.dtype(object) if self.dtype == "text" else np.dtype(self.dtype)


Schema = Mapping[str, Column]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows of several runs, one run after the other: `offsets` has shape (runs + 1,)."""

    schema: Schema
    columns: Mapping[str, AnyArray]
    offsets: IntArray

    def __post_init__(self) -> None:
        if set(self.columns) != set(self.schema):
            odd = sorted(set(self.columns) ^ set(self.schema))
            raise TruthError(f"a table's columns differ from its schema: {', '.join(odd)}")
        rows = int(self.offsets[-1])
        for name, values in self.columns.items():
            if len(values) != rows:
                raise TruthError(f"column {name!r} has {len(values)} rows where the table has {rows}")
            if values.dtype != self.schema[name].storage:
                raise TruthError(f"column {name!r} is {values.dtype} where {self.schema[name].dtype} was declared")

    @staticmethod
    def empty(schema: Schema, runs: int) -> Table:
        """Return a table without rows for that many runs."""
        return Table.of(schema, [{} for _ in range(runs)])

    @staticmethod
    def of(schema: Schema, runs: Sequence[Mapping[str, Any]]) -> Table:
        """Build a table from one mapping (column -> values) a run; a missing or empty mapping is no rows.

        A column with `null` may be missing from all mappings: then it is NaN, -1, False, 0 or ''.
        """
        filled = {"f": np.nan, "i": -1}
        sizes = [len(next(iter(rows.values()))) if rows else 0 for rows in runs]
        offsets = np.zeros(len(runs) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        columns = {
            name: np.concatenate(
                [np.zeros(0, column.storage)]
                + [
                    np.full(n, filled.get(column.storage.kind, 0), column.storage)
                    if column.null and name not in rows
                    else np.asarray(rows[name], column.storage)
                    for rows, n in zip(runs, sizes, strict=True)
                    if rows
                ]
            )
            for name, column in schema.items()
        }
        return Table(schema, columns, offsets)

    def __len__(self) -> int:
        return int(self.offsets[-1])

    @property
    def runs(self) -> int:
        """How many runs it holds."""
        return len(self.offsets) - 1

    def run(self, i: int) -> dict[str, AnyArray]:
        """Return the rows of the i-th run, as views."""
        rows = slice(int(self.offsets[i]), int(self.offsets[i + 1]))
        return {name: values[rows] for name, values in self.columns.items()}

    def take(self, keep: BoolArray) -> Table:
        """Return the rows where `keep` is true; shape (rows,)."""
        counts = np.concatenate([[0], np.cumsum(keep)])
        return Table(self.schema, {n: v[keep] for n, v in self.columns.items()}, counts[self.offsets])

    def pick(self, runs: Sequence[int]) -> Table:
        """Return the table of those runs alone, in that order."""
        return Table.of(self.schema, [self.run(i) for i in runs])

    def run_index(self) -> IntArray:
        """Return for every row the index of its run; shape (rows,)."""
        return np.repeat(np.arange(self.runs, dtype=np.int64), np.diff(self.offsets))


def join_tables(tables: Sequence[Table]) -> Table:
    """Join tables of the same runs that follow each other in time."""
    first = tables[0]
    if len(tables) == 1:
        return first
    if first.runs == 1:
        columns = {name: np.concatenate([t.columns[name] for t in tables]) for name in first.schema}
        return Table(first.schema, columns, np.array([0, sum(map(len, tables))], np.int64))
    index = np.concatenate([table.run_index() for table in tables])
    order = np.argsort(index, kind="stable")
    columns = {name: np.concatenate([t.columns[name] for t in tables])[order] for name in first.schema}
    offsets = np.sum([table.offsets for table in tables], axis=0)
    return Table(first.schema, columns, offsets)


def seconds(t: AnyArray, schema: Schema) -> FloatArray:
    """Return a time column in seconds, whatever its unit."""
    scale = {"us": 1e-6, "ms": 1e-3, "ns": 1e-9}.get(schema["t"].unit, 1.0)
    return np.asarray(t, np.float64) * scale


@dataclass(frozen=True, slots=True)
class Shape:
    """A box, sphere, cylinder or plane, in its body's frame.

    `size`: box (length, width, height), sphere (radius, 0, 0), cylinder along z (radius, height, 0),
    plane (0, 0, 0) [m]. `pose`: position xyz [m] and quaternion xyzw. `color`: red, green, blue in 0-1.
    """

    kind: str
    size: tuple[float, float, float]
    pose: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    color: tuple[float, float, float] = (0.6, 0.6, 0.6)


@dataclass(frozen=True, slots=True)
class Body:
    """One rigid thing of a scene. `category` is empty for scenery, which gets no labels.

    `mounts` are places where a sensor may sit: name -> pose in the body's frame, x forward, z up.
    """

    name: str
    category: str
    shapes: tuple[Shape, ...]
    mounts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    moving: bool = True


@dataclass(frozen=True, slots=True)
class Scene:
    """What a renderer needs to draw. Instance id of bodies[i] in an image is i + 1; 0 is background."""

    bodies: tuple[Body, ...]

    def index(self, name: str) -> int:
        """Return the place of a body.

        Raises:
            TruthError: no body has that name.
        """
        names = [body.name for body in self.bodies]
        if name not in names:
            raise TruthError(f"the scene has no body {name!r}", f"it has: {', '.join(names)}")
        return names.index(name)


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Where bodies were: `t` (n,) [s]; `pose` (runs, n, bodies, 7) xyz [m] and quaternion xyzw;
    `velocity` (runs, n, bodies, 6) linear [m/s] and angular [rad/s], world frame.

    `t[0]` is the chunk's start, so that no sensor carries state over a border. A run that is over
    keeps its last pose; `Chunk.ends` says from where its rows no longer count.
    """

    bodies: tuple[str, ...]
    t: FloatArray
    pose: FloatArray
    velocity: FloatArray


EVENTS: Schema = {
    "t": Column(unit="s"),
    "event_id": Column("text"),
    "parent_id": Column("text"),
    "kind": Column("text"),
    "subject": Column("text"),
    "details": Column("text", about="JSON object"),
}

LABELS: Schema = {
    "label_id": Column("text"),
    "class": Column("text"),
    "target": Column("text"),
    "t_cause": Column(unit="s", about="the parameter moved"),
    "t_effect": Column(unit="s", null=True, about="the stream leaves its twin"),
    "t_observable": Column(unit="s", null=True, about="it leaves the band of healthy runs; null = never"),
    "t_end": Column(unit="s", null=True),
    "t_reported": Column(unit="s", null=True, about="when an analyst would know; null = never"),
    "severity": Column(),
    "causes": Column("text", about="JSON list of ids of faults, events and labels"),
    "role": Column("text"),
    "twin": Column("text", about="id of the twin run's cause that was left out; empty = no twin"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Truth in (start, end], for every run of a batch; the first chunk is truth AT t = 0.

    `ends`: when each run's rows stop (its end, or `end`); `over`: whether the run has ended; both (runs,).
    """

    start: float
    end: float
    ends: FloatArray
    over: BoolArray
    events: Table
    tables: Mapping[str, Table] = field(default_factory=dict)
    motion: Motion | None = None
    scenes: tuple[Scene, ...] = ()

    @property
    def first(self) -> bool:
        """Whether this is the chunk AT t = 0."""
        return self.start == self.end == 0.0

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


def join_chunks(chunks: Sequence[Chunk]) -> Chunk:
    """Join chunks that follow each other; a first chunk (t = 0) must not be joined with later ones."""
    head, tail = chunks[0], chunks[-1]
    if len(chunks) == 1:
        return head
    motion = None
    if head.motion is not None:
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
    )


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """What a renderer must know of a camera.

    `pose` (n, 7): world position and quaternion xyzw of a frame that looks along +x with z up.
    `fov`: horizontal opening [rad]. `near`, `far` [m].
    """

    size: tuple[int, int]
    fov: float
    pose: FloatArray
    passes: tuple[str, ...] = ("rgb",)
    near: float = 0.1
    far: float = 300.0


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Images of one run at times `t` (n,): pass name -> (n, height, width[, channels]).

    `rgb` uint8 (…, 3); `depth` float32 along the view axis [m], +inf where nothing is; `instance` uint16.
    `index`: the tick of the sensor's clock that each image belongs to; it names the file. Shape (n,).
    """

    t: FloatArray
    passes: Mapping[str, AnyArray]
    index: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))


def join_frames(parts: Sequence[tuple[Frames, ...]]) -> tuple[Frames, ...]:
    """Join images of the same runs that follow each other in time; an empty piece may come without a shape."""
    joined = []
    for run in zip(*parts, strict=True):
        full = [frames for frames in run if len(frames.t)] or [run[0]]
        passes = {name: np.concatenate([frames.passes[name] for frames in full]) for name in full[0].passes}
        joined.append(Frames(np.concatenate([f.t for f in full]), passes, np.concatenate([f.index for f in full])))
    return tuple(joined)


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

    @staticmethod
    def of(
        t: FloatArray, values: Sequence[FloatArray], unit: str = "", names: Sequence[str] = ("x", "y", "z")
    ) -> Reading:
        """Return a reading of one table: times (n,) shared by all runs and one array (n, k) a run."""
        schema = {"t": Column(unit="s"), **{name: Column(unit=unit) for name in names}}
        rows = [{"t": t[: len(v)], **{name: v[:, i] for i, name in enumerate(names)}} for v in values]
        return Reading({"": Table.of(schema, rows)})


@dataclass(frozen=True, slots=True, eq=False)
class Commands:
    """What agents want: a ragged table (any number of rows a run) and which runs still go on; `live` (runs,)."""

    table: Table
    live: BoolArray


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

    def severity_at(self, t: FloatArray | float) -> FloatArray:
        """Return the severity for steps or samples that start at `t`; same shape as `t`."""
        time = np.asarray(t, np.float64)
        grown = np.ones_like(time) if self.ramp <= 0 else np.clip((time - self.onset) / self.ramp, 0.0, 1.0)
        return np.where((time >= self.onset) & (time < self.end), self.severity * grown, 0.0)


@dataclass(frozen=True, slots=True)
class Draw:
    """What run k got. `settings` are the simulator's own settings with the drawn values filled in.

    `twin` is '' for a run itself, a fault id for the twin without that fault, '*' for the twin without any.
    `branch`: (time, key) pairs; after each time every stream is re-keyed.
    """

    seed: int
    run: int
    values: Mapping[str, float | str] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    log_weight: float = 0.0
    branch: tuple[tuple[float, str], ...] = ()
    twin: str = ""
    settings: Any = None

    def faults_of(self, target: str) -> tuple[Fault, ...]:
        """Return the faults planned for that target, in order of onset."""
        return tuple(fault for fault in self.faults if fault.target == target)

    def without_channel(self) -> Draw:
        """Return the draw without the faults of the agent's channel."""
        return replace(self, faults=tuple(fault for fault in self.faults if fault.target != "agent"))

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
    `last` marks the last record of the batch; it alone has the tables 'runs' and 'labels'.
    """

    runs: IntArray
    start: float
    end: float
    tables: Mapping[str, Table]
    frames: Mapping[str, tuple[Frames, ...]] = field(default_factory=dict)
    scenes: tuple[Scene, ...] = ()
    last: bool = False
