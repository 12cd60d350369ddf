"""Records: what a batch yields of one stretch of time, from chunks of truth and readings of sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from mischance.api.runs import Chunk, Reading, Record
from mischance.api.scene import Frames, Motion, join_frames
from mischance.api.tables import (
    AnyArray,
    Column,
    FloatArray,
    IntArray,
    Schema,
    Signals,
    Table,
    join_signals,
    join_tables,
)

MOTION = ("x", "y", "z", "qx", "qy", "qz", "qw", "vx", "vy", "vz", "wx", "wy", "wz")
MOTION_UNITS = ("m",) * 3 + ("",) * 4 + ("m/s",) * 3 + ("rad/s",) * 3


def record_of(runs: IntArray, chunk: Chunk, readings: Mapping[str, Reading], motion: Sequence[Motion] = ()) -> Record:
    """Return the record of one stretch of time.

    Args:
        runs: numbers of the runs; shape (runs,).
        chunk: their truth.
        readings: what each sensor reported in the same time.
        motion: that of the same time in pieces that follow each other, where the chunk has none.
    """
    tables: dict[str, Table] = {"events": chunk.events}
    frames: dict[str, tuple[Frames, ...]] = {}
    tables |= {f"truth/{name}": table for name, table in chunk.tables.items()}
    tables |= {f"labels/{name}": table for name, table in chunk.labels.items()}
    signals: dict[str, Signals] = {f"truth/{name}": part for name, part in chunk.signals.items()}
    pieces = motion if chunk.motion is None else (chunk.motion,)
    if pieces and pieces[0].bodies:
        tables["truth/motion"] = motion_table(pieces, chunk.ends, first=chunk.first)
    for name, own in chunk.parts.items():
        if own.motion is not None and own.motion.bodies:
            tables[f"truth/{name}.motion"] = motion_table((own.motion,), own.ends, first=own.first)
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
    return Record(runs, chunk.start, chunk.end, tables, frames, chunk.scenes, signals=signals)


def _one_pass(frames: Sequence[Frames], name: str) -> tuple[Frames, ...]:
    return tuple(Frames(run.t, {name: run.passes[name]}, run.index) for run in frames)


@lru_cache(maxsize=16)
def _motion_schema(bodies: tuple[str, ...]) -> Schema:
    """Return the columns of `truth/motion`: one object for the same bodies, so that tables are seen to be alike."""
    return {
        "t": Column(unit="s", role="time"),
        "body": Column("category", names=bodies, role="entity"),
        **{
            name: Column(unit=unit, role="position" if name in ("x", "y", "z") else "")
            for name, unit in zip(MOTION, MOTION_UNITS, strict=True)
        },
    }


def motion_table(pieces: Sequence[Motion], ends: FloatArray, *, first: bool) -> Table:
    """Return motion as rows (t, body, pose, velocity); the sample at a piece's start belongs to the one before it.

    Args:
        pieces: motion of the same runs and bodies; each begins where the one before ends.
        ends: up to when a run has rows; shape (runs,) [s].
        first: whether the first piece begins at t = 0, with a sample that is its own.
    """
    head = pieces[0]
    runs, bodies = len(ends), len(head.bodies)
    skips = [0 if first and piece is head else 1 for piece in pieces]
    t: FloatArray = np.concatenate([piece.t[skip:] for piece, skip in zip(pieces, skips, strict=True)])
    state = np.empty((runs, len(t), bodies, len(MOTION)))
    done = 0
    for piece, skip in zip(pieces, skips, strict=True):
        here = slice(done, done := done + len(piece.t) - skip)
        state[:, here, :, :7] = piece.pose[:, skip:]
        state[:, here, :, 7:] = piece.velocity[:, skip:]
    # rows (run, time, body) of every run up to its end; turned into columns run by run, which stays in the cache
    sizes = np.searchsorted(t, ends, side="right") * bodies
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    time, body = np.repeat(t, bodies), np.tile(np.arange(bodies, dtype=np.int32), len(t))
    t_body: tuple[AnyArray, AnyArray] = np.empty(offsets[-1], time.dtype), np.empty(offsets[-1], body.dtype)
    rows = np.empty((len(MOTION), int(offsets[-1])))
    for own, begin, size in zip(state.reshape(runs, -1, len(MOTION)), offsets.tolist(), sizes.tolist(), strict=False):
        here = slice(begin, begin + size)
        t_body[0][here], t_body[1][here], rows[:, here] = time[:size], body[:size], own[:size].T
    rows.flags.writeable = False  # its rows are columns of the table, not copies of them
    schema = _motion_schema(head.bodies)
    return Table(schema, dict(zip(schema, (*t_body, *rows), strict=True)), offsets)


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


def without_labels(chunk: Chunk) -> Chunk:
    """Return the chunk as sensors may see it: without the labels of rows."""
    if not chunk.labels:
        return chunk
    return replace(chunk, labels={}, parts={name: without_labels(part) for name, part in chunk.parts.items()})
