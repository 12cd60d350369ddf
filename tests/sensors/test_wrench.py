"""The force/torque sensor against an analytic wrench."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault
from mischance.api.tables import EVENTS, Column, Table
from mischance.errors import RunError
from mischance.sensors.wrench import AXES, Settings, Wrench

SILENT = {"force_noise": 0, "torque_noise": 0, "force_bias": 0, "torque_bias": 0}
SCHEMA = {"t": Column(), **{name: Column() for name in AXES}}
RATE = 240


def chunks(moves, end=1.0, cuts=(), ends=None):
    """Play `move(t) -> (n, 6)` of each run as a table at 240 Hz, cut at multiples of its step."""
    ends = np.full(len(moves), end) if ends is None else np.array(ends)
    marks = [0, *(round(cut * RATE) for cut in cuts), round(end * RATE)]
    for low, high in [(-1, 0), *pairwise(marks)]:
        rows = []
        for move, stop in zip(moves, ends, strict=True):
            t = np.arange(low + 1, high + 1) / RATE
            values = move(t[t <= stop])
            rows.append({"t": t[t <= stop], **{name: values[:, i] for i, name in enumerate(AXES)}})
        stop = np.minimum(ends, high / RATE)
        tables = {"wrench": Table.of(SCHEMA, rows)}
        yield Chunk(max(low, 0) / RATE, high / RATE, stop, stop < high / RATE, Table.empty(EVENTS, len(moves)), tables)


def play(moves, faults=(), seed=3, cuts=(), ends=None, runs=None, end=1.0, **settings):
    runs = range(len(moves)) if runs is None else runs
    sensor = Wrench(Settings(**settings))
    sensor.start("wrist", [Draw(seed, run, faults=tuple(faults)) for run in runs], [Streams(seed, run) for run in runs])
    tables = [sensor.read(chunk).tables[""] for chunk in chunks(moves, end, cuts, ends)]
    names = ("t", *AXES)
    rows = [{n: np.concatenate([table.run(i)[n] for table in tables]) for n in names} for i in range(len(moves))]
    return rows, sensor.labels()


def ramp(t):
    return np.stack([(i + 1.0) * t for i in range(6)], axis=1)


def jump(t):
    return np.repeat((t >= 0.5)[:, None] * 10.0, 6, axis=1)


def test_without_imperfections_it_shows_the_last_row_at_each_of_its_ticks():
    (rows,), labels = play([ramp], rate=100, lag=0, **SILENT)
    assert len(rows["t"]) == 101
    held = np.floor(rows["t"] * RATE + 1e-9) / RATE
    for i, name in enumerate(AXES):
        np.testing.assert_allclose(rows[name], (i + 1.0) * held, atol=1e-12)
    assert len(labels) == 0


def test_the_lag_is_a_first_order_low_pass():
    (rows,), _ = play([jump], rate=240, lag=0.05, **SILENT)
    after = rows["t"] >= 0.5
    gone = rows["t"][after] - 0.5 + 1 / RATE  # the row of the jump has already had its step
    np.testing.assert_allclose(rows["fx"][after], 10.0 * (1.0 - np.exp(-gone / 0.05)), rtol=1e-9)
    assert (rows["fx"][~after] == 0).all()


def test_noise_and_offset_have_the_spread_that_was_asked_for():
    runs = 200
    rows, _ = play([ramp] * runs, rate=100, lag=0, force_noise=2, force_bias=5, torque_noise=0.1, torque_bias=0.3)
    true = np.floor(rows[0]["t"] * RATE + 1e-9) / RATE
    for name, slope, noise, bias in (("fy", 2.0, 2.0, 5.0), ("mz", 6.0, 0.1, 0.3)):
        errors = np.stack([row[name] - slope * true for row in rows])
        white = errors - errors.mean(axis=1, keepdims=True)
        assert abs(white.std() / noise - 1) < 4 / np.sqrt(2 * errors.size) + 0.01  # the mean took a hundredth of it
        assert abs(errors.mean(axis=1).std() / bias - 1) < 4 / np.sqrt(2 * runs)


@pytest.mark.parametrize("rate", [33.3, 77.7, 240.0, 1000.0])
def test_neither_cuts_nor_neighbours_change_a_byte(rate):
    moves = [ramp, jump, ramp]
    ends = [1.0, 0.55, 1.0]
    whole, _ = play(moves, rate=rate, ends=ends)
    cut, _ = play(moves, rate=rate, ends=ends, cuts=(1 / RATE, 2 / RATE, 0.4, 0.5, 0.75))
    alone = [
        play([move], rate=rate, ends=[end], runs=[i])[0][0]
        for i, (move, end) in enumerate(zip(moves, ends, strict=True))
    ]
    for i in range(3):
        for name in whole[i]:
            assert whole[i][name].tobytes() == cut[i][name].tobytes() == alone[i][name].tobytes()
    assert whole[1]["t"][-1] <= 0.55


def test_a_bias_is_exactly_its_severity_while_it_lasts():
    fault = Fault("fault:0", "sensors.wrist", "bias", 0.305, 0.7, 4.0, ramp=0.2)
    (bad,), labels = play([ramp], [fault])
    (good,), _ = play([ramp])
    np.testing.assert_allclose(bad["fx"] - good["fx"], fault.severity_at(good["t"]), atol=1e-12)
    for name in AXES[1:]:
        assert bad[name].tobytes() == good[name].tobytes()
    row = {name: values[0] for name, values in labels.run(0).items()}
    assert (row["label_id"], row["class"], row["target"]) == ("wrist:0", "fault/sensor/bias", "sensors.wrist")
    assert (row["t_cause"], row["t_end"], json.loads(row["causes"])) == (0.305, 0.7, ["fault:0"])


def test_a_saturated_sensor_shows_no_more_than_its_limit():
    fault = Fault("fault:0", "sensors.wrist", "saturation", 0.2, 0.8, 1.5)
    (bad,), labels = play([ramp], [fault], lag=0, **SILENT)
    (good,), _ = play([ramp], lag=0, **SILENT)
    acts = (good["t"] >= 0.2) & (good["t"] < 0.8)
    for name in AXES[:3]:
        np.testing.assert_array_equal(bad[name], np.where(acts, np.minimum(good[name], 1.5), good[name]))
    assert bad["mz"].tobytes() == good["mz"].tobytes()
    assert labels.columns["class"][0] == "fault/sensor/saturation"


def test_range_and_resolution():
    (rows,), _ = play([ramp], force_range=0.5, torque_resolution=0.25, lag=0, **SILENT)
    assert rows["fz"].max() == 0.5
    np.testing.assert_array_equal(rows["mx"], np.rint(rows["mx"] / 0.25) * 0.25)


def test_a_world_without_the_table_is_refused_in_one_line():
    sensor = Wrench(Settings(source="force"))
    sensor.start("wrist", [Draw(0, 0)], [Streams(0, 0)])
    with pytest.raises(RunError, match="no table 'force'") as caught:
        sensor.read(next(chunks([ramp])))
    assert "wrench" in caught.value.hint
