"""What belongs to one run of a batch, cut out and put together again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mischance.api.runs import Chunk, Reading
from mischance.api.scene import Motion
from mischance.api.tables import Signals, Table, tables_side_by_side


def chunk_of_run(chunk: Chunk, run: int) -> Chunk:
    """Return the truth of one run, as of a batch of one."""
    one, motion = slice(run, run + 1), chunk.motion
    return replace(
        chunk,
        ends=chunk.ends[one],
        over=chunk.over[one],
        events=chunk.events.pick([run]),
        tables=tables_of_run(chunk.tables, run),
        motion=motion and Motion(motion.bodies, motion.t, motion.pose[one], motion.velocity[one]),
        scenes=chunk.scenes if len(chunk.scenes) <= 1 else chunk.scenes[one],
        signals=signals_of_run(chunk.signals, run),
        labels=tables_of_run(chunk.labels, run),
    )


def reading_of_run(reading: Reading, run: int) -> Reading:
    """Return what was reported in one run, as of a batch of one."""
    one = slice(run, run + 1)
    return Reading(
        tables_of_run(reading.tables, run),
        reading.frames[one],
        tables_of_run(reading.labels, run),
        reading.label_frames[one],
        signals_of_run(reading.signals, run),
    )


def tables_of_run(tables: Mapping[str, Table], run: int) -> dict[str, Table]:
    """Return the rows of one run of every table."""
    return {name: table.pick([run]) for name, table in tables.items()}


def signals_of_run(signals: Mapping[str, Signals], run: int) -> dict[str, Signals]:
    """Return the samples of one run of every signal."""
    one = slice(run, run + 1)
    return {
        name: Signals(part.rate, part.first, part.values[one], part.channels, part.counts[one])
        for name, part in signals.items()
    }


def readings_side_by_side(readings: Sequence[Reading]) -> Reading:
    """Return the readings of one run each as one of a batch, in their order."""
    first = readings[0]
    return Reading(
        {name: tables_side_by_side([one.tables[name] for one in readings]) for name in first.tables},
        tuple(frames for one in readings for frames in one.frames),
        {name: tables_side_by_side([one.labels[name] for one in readings]) for name in first.labels},
        tuple(frames for one in readings for frames in one.label_frames),
        {name: _signals_side_by_side([one.signals[name] for one in readings]) for name in first.signals},
    )


def _signals_side_by_side(parts: Sequence[Signals]) -> Signals:
    first, most = parts[0], max(part.values.shape[1] for part in parts)
    values = np.zeros((len(parts), most, len(first.channels)), first.values.dtype)
    for run, part in enumerate(parts):
        values[run, : part.values.shape[1]] = part.values[0]
    return Signals(first.rate, first.first, values, first.channels, np.concatenate([part.counts for part in parts]))
