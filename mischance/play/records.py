"""Records: what a batch yields of one stretch of time, from chunks of truth and readings of sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mischance.api.runs import Chunk, Reading, Record
from mischance.api.scene import Frames, Motion, join_frames
from mischance.api.tables import Column, FloatArray, IntArray, Schema, Signals, Table, join_signals, join_tables

MOTION = ("x", "y", "z", "qx", "qy", "qz", "qw", "vx", "vy", "vz", "wx", "wy", "wz")
MOTION_UNITS = ("m",) * 3 + ("",) * 4 + ("m/s",) * 3 + ("rad/s",) * 3


def record_of(runs: IntArray, chunk: Chunk, readings: Mapping[str, Reading]) -> Record:
    """Return the record of one stretch of time.

    Args:
        runs: numbers of the runs; shape (runs,).
        chunk: their truth.
        readings: what each sensor reported in the same time.
    """
    tables: dict[str, Table] = {"events": chunk.events}
    frames: dict[str, tuple[Frames, ...]] = {}
    tables |= {f"truth/{name}": table for name, table in chunk.tables.items()}
    tables |= {f"labels/{name}": table for name, table in chunk.labels.items()}
    signals: dict[str, Signals] = {f"truth/{name}": part for name, part in chunk.signals.items()}
    if chunk.motion is not None and chunk.motion.bodies:
        tables["truth/motion"] = motion_table(chunk.motion, chunk.ends, first=chunk.first)
    for name, own in chunk.parts.items():
        if own.motion is not None and own.motion.bodies:
            tables[f"truth/{name}.motion"] = motion_table(own.motion, own.ends, first=own.first)
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
