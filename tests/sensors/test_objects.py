"""The object list: sizes of all imperfections, and effects of faults on nothing else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault, Reading
from mischance.api.tables import EVENTS, AnyArray, Column, Table, join_tables
from mischance.errors import RunError
from mischance.sensors.objects import BODIES, Objects, Settings

PERFECT = {
    "latency": 0.0, "misses": 0.0, "confirm": 0.0, "position_noise": 0.0, "velocity_noise": 0.0, "yaw_noise": 0.0,
    "acceleration_noise": 0.0, "size_noise": 0.0,
}  # fmt: skip
NAMES = ("ego", "ahead", "behind", "far")
SCHEMA = {
    "t": Column(unit="s"), "actor": Column("category", names=NAMES),
    **{name: Column() for name in ("x", "y", "yaw", "speed", "length", "width")},
    "category": Column("category", names=("car", "pedestrian")),
}  # fmt: skip
TIMES = np.arange(0, 401) / 20


def truth(runs: int) -> Table:
    """Return 20 s of four actors on a straight road; 'far' comes into 150 m at t = 10 s."""
    n, count = len(NAMES), len(TIMES)
    speed = np.tile([20.0, 20.0, 20.0, 15.0], count)
    t = np.repeat(TIMES, n)
    one = {
        "t": t, "actor": np.tile(np.arange(n, dtype=np.int32), count), "speed": speed,
        "x": np.tile([0.0, 40.0, -30.0, 200.0], count) + speed * t, "y": np.tile([1.75, 1.75, 5.25, 1.75], count),
        "yaw": np.zeros(n * count), "length": np.full(n * count, 4.5), "width": np.full(n * count, 1.8),
        "category": np.tile(np.array([0, 0, 0, 1], np.int32), count),
    }  # fmt: skip
    return Table.of(SCHEMA, [one] * runs)


def chunks(runs: int, cuts: tuple[float, ...] = (), until: float = 20.0) -> list[Chunk]:
    table = truth(runs)
    found, start = [], 0.0
    for end in (0.0, *cuts, until):
        t = table.columns["t"]
        rows = table.take((t == 0.0) if end == 0.0 else (t > start) & (t <= end))
        over = np.full(runs, end == until)
        found.append(Chunk(start, end, np.full(runs, end), over, Table.empty(EVENTS, runs), {"actors": rows}))
        start = end
    return found


def read(runs: int = 1, faults: tuple[Fault, ...] = (), cuts: tuple[float, ...] = (), **changes: Any) -> Table:
    sensor = Objects(Settings.model_validate({**PERFECT, **changes}))
    sensor.start("stack", [Draw(7, k, faults=faults) for k in range(runs)], [Streams(7, k) for k in range(runs)])
    return join_tables([sensor.read(chunk).tables[""] for chunk in chunks(runs, cuts)])


def fault(kind: str, severity: float = 1.0, onset: float = 6.0, end: float = 9.0) -> Fault:
    return Fault("fault:0", "sensors.stack", kind, onset, end, severity)


def truly(rows: dict[str, AnyArray]) -> AnyArray:
    """Return the actor of each row, by its position at the time of measurement."""
    t = rows["t_measured"]
    places = np.array([[40.0], [-30.0], [200.0]]) + np.array([[20.0], [20.0], [15.0]]) * t
    return np.argmin(np.abs(places - rows["x"]), axis=0)


def test_a_perfect_list_is_the_truth_in_range_without_its_carrier():
    rows = read().run(0)
    who = truly(rows)
    assert (np.bincount(who)[:2] == len(TIMES)).all()
    assert rows["t_measured"][who == 2].min() == 10.0
    np.testing.assert_array_equal(rows["t"], rows["t_measured"])
    np.testing.assert_allclose(rows["x"][who == 0], 40.0 + 20.0 * TIMES)
    assert set(rows["category"][who == 2]) == {BODIES.index("pedestrian")}
    assert [len(set(rows["track"][who == k])) for k in range(3)] == [1, 1, 1]
    assert (np.diff(rows["t"]) >= 0).all()
    ahead = read(view=np.pi / 2).run(0)
    assert set(truly(ahead)) == {0, 2}, "who is behind is out of view"


def test_a_rate_of_its_own_moves_rows_on_at_constant_velocity():
    rows = read(rate=33.0).run(0)
    who = truly(rows)
    np.testing.assert_allclose(rows["x"][who == 0], 40.0 + 20.0 * np.arange(len(who[who == 0])) / 33.0)


def test_latency_is_exact_and_what_is_under_way_at_the_end_never_comes():
    rows = read(latency=0.3).run(0)
    np.testing.assert_allclose(rows["t"] - rows["t_measured"], 0.3, atol=1e-9)
    assert rows["t_measured"].max() == pytest.approx(19.7)
    assert set(np.round(rows["t"] * 20)) <= set(range(401))


def test_first_detection_is_late_by_the_time_asked_for():
    rows = read(confirm=0.5).run(0)
    who = truly(rows)
    assert rows["t_measured"][who == 0].min() == 0.5
    assert rows["t_measured"][who == 2].min() == 10.5


def test_noise_has_the_sigma_asked_for():
    asked = {"position_noise": 0.5, "velocity_noise": 0.3, "yaw_noise": 0.02, "acceleration_noise": 0.4}
    rows = [read(20, **asked).run(k) for k in range(20)]
    all_rows = {name: np.concatenate([one[name] for one in rows]) for name in rows[0]}
    who = truly(all_rows)
    mine = {name: values[who == 0] for name, values in all_rows.items()}
    n = len(mine["t"])
    errors = {
        "position_noise": mine["x"] - 40.0 - 20.0 * mine["t"], "velocity_noise": mine["vx"] - 20.0,
        "yaw_noise": mine["yaw"], "acceleration_noise": mine["acceleration"],
    }  # fmt: skip
    for name, error in errors.items():
        sigma = asked[name]
        assert abs(error.mean()) < 4 * sigma / n**0.5
        assert abs(error.std() - sigma) < 4 * sigma / (2 * n) ** 0.5
        assert abs(np.corrcoef(error[1:], error[:-1])[0, 1]) < 4 / n**0.5


def test_misses_come_at_the_rate_asked_for():
    table = read(20, misses=0.1)
    total = 20 * (2 * len(TIMES) + 201)
    assert abs(total - len(table) - 0.1 * total) < 4 * (0.09 * total) ** 0.5


def test_ghosts_are_poisson_and_last_as_long_as_asked():
    runs, rate = 30, 2.0
    plain, haunted = read(runs), read(runs, ghosts=rate)
    tracks = []
    for run in range(runs):
        rows, real = haunted.run(run), set(plain.run(run)["track"])
        false = ~np.isin(rows["track"], list(real))
        ids, first, frames = np.unique(rows["track"][false], return_index=True, return_counts=True)
        assert (frames[rows["t"][false][first] < 19.5] == 10).all()
        tracks.append(len(ids))
        for name in plain.schema:
            np.testing.assert_array_equal(rows[name][~false], plain.run(run)[name])
    mean = rate * 401 / 20
    assert abs(np.sum(tracks) - runs * mean) < 4 * (runs * mean) ** 0.5
    assert 0.35 < np.var(tracks) / mean < 2.2, "4 sigma about 1 for 30 runs"


# -- faults -----------------------------------------------------------------------------------------------------------

NOISY = {"position_noise": 0.3, "velocity_noise": 0.2, "misses": 0.1, "ghosts": 1.0, "latency": 0.1}


def same(a: dict[str, AnyArray], b: dict[str, AnyArray], of_a: AnyArray, of_b: AnyArray) -> None:
    for name in a:
        np.testing.assert_array_equal(a[name][of_a], b[name][of_b], err_msg=name)


@pytest.mark.parametrize("kind", list(Objects.faults))
def test_outside_a_fault_a_run_equals_its_twin(kind: str):
    for run in range(3):
        twin = read(3, **NOISY).run(run)
        rows = read(3, faults=(fault(kind, Objects.faults[kind].default),), **NOISY).run(run)
        last = 9.0 + (0.5 if kind == "false_objects" else 0.0)
        before, before_twin = rows["t_measured"] < 6.0, twin["t_measured"] < 6.0
        after = (rows["t_measured"] >= last) & (rows["t"] - rows["t_measured"] < 0.11)
        same(rows, twin, before, before_twin)
        same(rows, twin, after & (rows["t"] > last + 0.7), (twin["t"] > last + 0.7))
        inside = (rows["t"] > 6.0) & (rows["t"] <= 9.0)
        assert not inside.all()
        differs = len(rows["t"]) != len(twin["t"]) or any(not np.array_equal(rows[c], twin[c]) for c in rows)
        assert differs, "it does something"


def test_dropout_and_message_loss_leave_their_interval_empty():
    for kind in ("dropout", "message_loss"):
        t = read(2, faults=(fault(kind),), **NOISY).run(1)["t_measured"]
        assert not ((t >= 6.0) & (t < 9.0)).any()
    n = 3 * 20 * 30
    counts = [
        len({*(t := read(30, faults=(fault("message_loss", 0.4),)).run(k)["t"])[(t >= 6.0) & (t < 9.0)]})
        for k in range(30)
    ]
    assert abs(sum(counts) - 0.6 * n) < 4 * (0.24 * n) ** 0.5


def test_a_late_list_comes_later_and_a_skewed_clock_says_another_time():
    plain = read(latency=0.1).run(0)
    late = read(faults=(fault("late", 0.25),), latency=0.1).run(0)
    delay = late["t"] - late["t_measured"]
    hit = (late["t_measured"] >= 6.0) & (late["t_measured"] < 9.0)
    np.testing.assert_allclose(delay[hit], 0.35, atol=1e-9)
    np.testing.assert_allclose(delay[~hit], 0.1, atol=1e-9)
    assert (np.diff(late["t"]) >= 0).all()
    skewed = read(faults=(fault("clock_skew", -0.2),), latency=0.1).run(0)
    np.testing.assert_array_equal(skewed["t"], plain["t"])
    hit = (plain["t_measured"] >= 6.0) & (plain["t_measured"] < 9.0)
    shift = skewed["t_measured"] - plain["t_measured"]
    np.testing.assert_allclose(shift[hit], -0.2, atol=1e-9)
    assert not shift[~hit].any()


def test_a_frozen_list_repeats_the_last_one_with_new_times():
    rows = read(faults=(fault("freeze"),), position_noise=0.3).run(0)
    last = rows["x"][rows["t"] == 119 / 20]
    for t in (6.0, 7.5, 179 / 20):
        np.testing.assert_array_equal(rows["x"][rows["t"] == t], last)
    assert (rows["x"][rows["t"] == 9.0] != last).all()


def test_false_objects_come_at_the_rate_of_the_fault():
    runs = 40
    plain, rows = read(runs), read(runs, faults=(fault("false_objects", 4.0),))
    found = [len(set(rows.run(k)["track"]) - set(plain.run(k)["track"])) for k in range(runs)]
    mean = 4.0 * 3.0 * runs
    assert abs(sum(found) - mean) < 4 * mean**0.5
    for k in range(runs):
        t = rows.run(k)["t"][~np.isin(rows.run(k)["track"], plain.run(k)["track"])]
        assert t.min() >= 6.0
        assert t.max() < 9.5


def test_a_run_is_the_same_alone_in_a_batch_and_however_time_is_cut():
    faults = tuple(
        Fault(f"fault:{i}", "sensors.stack", kind, 2.0 * i + 1.0, 2.0 * i + 2.5, about.default)
        for i, (kind, about) in enumerate(Objects.faults.items())
    )
    together = read(4, faults=faults, **NOISY)
    cut = read(4, faults=faults, cuts=(0.01, 1.0, 1.03, 5.55, 7.999, 12.0, 19.98), **NOISY)
    for name in together.schema:
        np.testing.assert_array_equal(together.columns[name], cut.columns[name])
    alone = read(1, faults=faults, **NOISY).run(0)
    for name, values in alone.items():
        np.testing.assert_array_equal(together.run(0)[name], values)
    assert len(alone["t"]) != len(together.run(1)["t"])


def test_faults_are_labelled_and_a_world_without_actors_is_refused():
    sensor = Objects(Settings())
    sensor.start("stack", [Draw(7, 0, faults=(fault("late"), fault("freeze", onset=30.0)))], [Streams(7, 0)])
    for chunk in chunks(1):
        sensor.read(chunk)
    labels = sensor.labels().run(0)
    assert list(labels["class"]) == ["fault/sensor/late"]
    assert json.loads(labels["causes"][0]) == ["fault:0"]
    empty = Chunk(0.0, 0.0, np.zeros(1), np.zeros(1, np.bool_), Table.empty(EVENTS, 1), {})
    with pytest.raises(RunError, match="needs the world's table 'actors'"):
        sensor.read(empty)
    other = Objects(Settings(carrier="nobody"))
    other.start("stack", [Draw(7, 0)], [Streams(7, 0)])
    with pytest.raises(RunError, match="no actor is called 'nobody'"):
        other.read(chunks(1)[0])


def test_a_driver_can_look_through_it_and_carries_objects_over_lost_lists():
    from mischance.agents._traffic import Eyes

    eyes = Eyes("stack", 0.5)
    sensor = Objects(Settings.model_validate({**PERFECT, "latency": 0.2}))
    draws = [Draw(7, 0, faults=(fault("message_loss", onset=0.3, end=2.0),))]
    sensor.start("stack", draws, [Streams(7, 0)])
    eyes.start(len(draws))
    cuts = tuple(k / 20 for k in range(1, 40))
    for chunk in chunks(1, cuts, until=2.0):
        readings = {"truth": Reading(chunk.tables), "stack": sensor.read(chunk)}
        traffic = eyes.look(readings, chunk.end)
        carried = 0.2 <= chunk.end <= 0.75
        assert bool(traffic.there.any()) == carried, chunk.end
        if carried:
            lead = traffic.nearest(traffic.there)
            assert traffic.value(traffic.gap, lead, np.nan)[0] == pytest.approx(35.5), "moved on by its age"
