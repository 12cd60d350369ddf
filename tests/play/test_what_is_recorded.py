"""What a record holds: each table, sample and image of a chunk and of its sensors, under its own path."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from mischance.api.runs import Chunk, Reading
from mischance.api.scene import Frames, Motion
from mischance.api.tables import EVENTS, Column, Signals, Table
from mischance.errors import RunError
from mischance.play import plans
from mischance.play.records import join_readings, record_of, without_labels


def rows(value: float) -> Table:
    return Table.of({"t": Column(unit="s")}, [{"t": [value]}])


def images(*names: str) -> tuple[Frames, ...]:
    return (Frames(np.array([0.5]), {name: np.full((1, 2, 2), 7, np.uint8) for name in names}, np.array([3])),)


def motion(*bodies: str) -> Motion:
    n = len(bodies)
    return Motion(bodies, np.array([0.0, 1.0]), np.ones((1, 2, n, 7)), np.zeros((1, 2, n, 6)))


def chunk(**more: object) -> Chunk:
    return Chunk(0.0, 1.0, np.ones(1), np.zeros(1, bool), Table.empty(EVENTS, 1), **more)  # type: ignore[arg-type]


def test_each_part_stands_under_its_own_path():
    signals = Signals.of(2.0, 1, np.zeros((1, 2, 1)), {"u": Column()})
    truth = chunk(tables={"x": rows(1)}, labels={"x": rows(2)}, signals={"s": signals}, motion=motion("car"))
    readings = {
        "imu": Reading({"": rows(3)}, signals={"": signals, "deep": signals}),
        "front": Reading({"boxes": rows(4)}, images("rgb", "depth"), {"boxes": rows(5)}, images("instance")),
    }
    made = record_of(np.array([9]), truth, readings)
    values = {path: own.columns["t"].tolist() for path, own in made.tables.items() if len(own.schema) == 1}
    assert values == {
        "truth/x": [1],
        "labels/x": [2],
        "sensors/imu": [3],
        "sensors/front/boxes": [4],
        "labels/front/boxes": [5],
    }
    assert set(made.signals) == {"truth/s", "sensors/imu", "sensors/imu/deep"}
    assert {path: list(own[0].passes) for path, own in made.frames.items()} == {
        "sensors/front/frames": ["rgb"],
        "sensors/front/depth": ["depth"],
        "labels/front/instance": ["instance"],
    }
    assert made.frames["sensors/front/depth"][0].index.tolist() == [3]
    moved = made.tables["truth/motion"].columns["t"].tolist()
    assert moved == [1.0], "the sample at a chunk's start is of the one before"
    assert (made.start, made.end, made.runs.tolist(), made.last) == (0.0, 1.0, [9], False)


def test_bodies_of_several_worlds_stand_under_their_names_and_nothing_where_there_is_none():
    parts = {"a": chunk(motion=motion("car", "van")), "b": chunk(), "c": chunk(motion=motion())}
    made = record_of(np.array([0]), chunk(parts=parts, motion=motion()), {})
    assert set(made.tables) == {"events", "truth/a.motion"}
    assert made.tables["truth/a.motion"].columns["body"].tolist() == [0, 1]
    pieces = record_of(np.array([0]), chunk(), {}, [motion("car")])
    assert pieces.tables["truth/motion"].columns["t"].tolist() == [1.0]


def test_readings_that_follow_each_other_are_joined_part_by_part():
    def reading(k: int) -> Reading:
        signals = Signals.of(2.0, 2 * k, np.full((1, 2, 1), float(k)), {"u": Column()})
        return Reading({"": rows(k)}, images("rgb"), {"l": rows(10 + k)}, images("instance"), {"s": signals})

    whole = join_readings([reading(0), reading(1)])
    assert whole.tables[""].columns["t"].tolist() == [0.0, 1.0]
    assert whole.labels["l"].columns["t"].tolist() == [10.0, 11.0]
    assert (len(whole.frames[0].t), len(whole.label_frames[0].t)) == (2, 2)
    assert list(whole.label_frames[0].passes) == ["instance"]
    assert whole.signals["s"].values[0, :, 0].tolist() == [0.0, 0.0, 1.0, 1.0]
    one = reading(0)
    assert join_readings([one]) is one


def test_sensors_see_no_label_of_any_world():
    part = chunk(labels={"x": rows(1)}, tables={"x": rows(2)})
    seen = without_labels(chunk(labels={"y": rows(3)}, parts={"a": part}))
    assert (dict(seen.labels), dict(seen.parts["a"].labels)) == ({}, {})
    assert set(seen.parts["a"].tables) == {"x"}
    plain = chunk()
    assert without_labels(plain) is plain


def test_sobol_points_have_as_many_dimensions_as_scipy_has_numbers_for():
    assert plans.MOST_DIMENSIONS == qmc.Sobol.MAXDIM
    with pytest.raises(RunError, match="at most 21,201 dimensions"):
        plans._directions(plans.MOST_DIMENSIONS + 1, 2)
