"""What belongs to one run, cut out of a batch: its own values in every field, and the batch again when put together."""

from __future__ import annotations

import numpy as np
import pytest

from mischance.api.runs import Chunk, Reading
from mischance.api.scene import Frames, Motion, Scene
from mischance.api.tables import EVENTS, Column, Signals, Table
from mischance.play.own_runs import chunk_of_run, reading_of_run, readings_side_by_side

RUNS = 3
SCHEMA = {"v": Column()}


def table(base: float) -> Table:
    """Return run + 1 rows for each run: base + run."""
    return Table.of(SCHEMA, [{"v": np.full(run + 1, base + run)} for run in range(RUNS)])


def signals(base: float) -> Signals:
    values = base + np.arange(RUNS)[:, None, None] + np.zeros((RUNS, 4, 1))
    return Signals(10.0, 0, values, SCHEMA, np.arange(2, 2 + RUNS))


def frames(base: int) -> tuple[Frames, ...]:
    return tuple(
        Frames(np.array([0.1]), {"rgb": np.full((1, 2, 2, 3), base + run, np.uint8)}, np.array([run]))
        for run in range(RUNS)
    )


@pytest.mark.parametrize("run", range(RUNS))
def test_a_chunk_of_one_run_holds_that_run_alone(run: int):
    pose = np.zeros((RUNS, 2, 1, 7)) + np.arange(RUNS)[:, None, None, None]
    scenes = tuple(Scene(()) for _ in range(RUNS))
    chunk = Chunk(
        0.0, 1.0, np.arange(RUNS) / 10, np.arange(RUNS) == 1, Table.empty(EVENTS, RUNS), {"t": table(10.0)},
        Motion(("ego",), np.array([0.0, 1.0]), pose, np.full((RUNS, 2, 1, 6), 0.5) + pose[..., :6]), scenes,
        {"s": signals(20.0)}, {"t": table(30.0)},
    )  # fmt: skip
    own = chunk_of_run(chunk, run)
    assert own.runs == own.events.runs == 1
    assert (own.ends[0], own.over[0]) == (run / 10, run == 1)
    assert own.motion is not None
    assert (own.motion.pose == run).all()
    assert (own.motion.velocity == run + 0.5).all()
    assert own.scenes == (scenes[run],)
    for part, base in ((own.tables["t"], 10.0), (own.labels["t"], 30.0)):
        assert part.columns["v"].tolist() == [base + run] * (run + 1)
    assert own.signals["s"].run(0).tolist() == [[20.0 + run]] * (2 + run)


def test_readings_of_single_runs_make_the_reading_of_the_batch():
    whole = Reading({"": table(1.0)}, frames(10), {"boxes": table(2.0)}, frames(20), {"s": signals(3.0)})
    parts = [reading_of_run(whole, run) for run in range(RUNS)]
    for run, part in enumerate(parts):
        assert part.tables[""].columns["v"].tolist() == [1.0 + run] * (run + 1)
        assert part.labels["boxes"].columns["v"].tolist() == [2.0 + run] * (run + 1)
        assert [(one.passes["rgb"] == 10 + run).all() for one in part.frames] == [True]
        assert [(one.passes["rgb"] == 20 + run).all() for one in part.label_frames] == [True]
        assert part.signals["s"].run(0).tolist() == [[3.0 + run]] * (2 + run)
    again = readings_side_by_side(parts)
    for mine, wanted in ((again.tables[""], whole.tables[""]), (again.labels["boxes"], whole.labels["boxes"])):
        np.testing.assert_array_equal(mine.offsets, wanted.offsets)
        np.testing.assert_array_equal(mine.columns["v"], wanted.columns["v"])
    for run in range(RUNS):
        np.testing.assert_array_equal(again.signals["s"].run(run), whole.signals["s"].run(run))
        assert again.frames[run] is whole.frames[run]
        assert again.label_frames[run] is whole.label_frames[run]
