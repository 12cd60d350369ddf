"""The IMU against analytic motion, and its noise against the data sheet."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault
from mischance.api.scene import Body, Motion, Scene
from mischance.api.tables import EVENTS, Table
from mischance.errors import RunError
from mischance.sensors.imu import G, Imu, Settings

SILENT = {"accelerometer_noise": 0, "accelerometer_bias": 0, "gyro_noise": 0, "gyro_bias": 0}
AXES = ("ax", "ay", "az", "gx", "gy", "gz")
DT = 0.01


def chunks(move, end=1.0, cuts=(), ends=None, mount=(0.0,) * 6 + (1.0,), rate=100):
    """Play `move(t) -> pose (n, 7), velocity (n, 6)` of each run, cut at multiples of the step."""
    moves = move if isinstance(move, list) else [move]
    ends = np.full(len(moves), end) if ends is None else np.array(ends)
    scene = Scene((Body("ego", "car", (), {"imu": mount}), Body("post", "", (), {"top": mount}, False)))
    k = np.arange(round(end * rate) + 1)
    marks = [0, *(round(cut * rate) for cut in cuts), len(k) - 1]
    for low, high in [(0, 0), *pairwise(marks)]:
        t = k[low : high + 1] / rate
        both = [one(np.minimum(t, stop)) for one, stop in zip(moves, ends, strict=True)]
        pose = np.stack([p for p, _ in both])[:, :, None]
        velocity = np.stack([v for _, v in both])[:, :, None]
        stop = np.minimum(ends, t[-1])
        yield Chunk(
            t[0],
            t[-1],
            stop,
            stop < t[-1],
            Table.empty(EVENTS, len(moves)),
            {},
            Motion(("ego",), t, pose, velocity),
            (scene,) * len(moves),
        )


def play(move, faults=(), runs=(0,), seed=3, **settings):
    more = {name: settings.pop(name) for name in ("end", "cuts", "ends", "mount") if name in settings}
    imu = Imu(Settings(**settings))
    moves = move if isinstance(move, list) else [move] * len(runs)
    imu.start("imu", [Draw(seed, run, faults=tuple(faults)) for run in runs], [Streams(seed, run) for run in runs])
    tables = [imu.read(chunk, None).tables[""] for chunk in chunks(moves, **more)]
    rows = [{n: np.concatenate([table.run(i)[n] for table in tables]) for n in ("t", *AXES)} for i in range(len(runs))]
    return rows, imu.labels()


def still(t):
    pose = np.zeros((len(t), 7))
    pose[:, 6] = 1
    return pose, np.zeros((len(t), 6))


def circle(radius=20.0, turn=0.5):
    def move(t):
        pose, velocity = still(t)
        pose[:, 0], pose[:, 1] = radius * np.sin(turn * t), radius * (1 - np.cos(turn * t))
        pose[:, 5], pose[:, 6] = np.sin(turn * t / 2), np.cos(turn * t / 2)
        velocity[:, 0], velocity[:, 1] = radius * turn * np.cos(turn * t), radius * turn * np.sin(turn * t)
        velocity[:, 5] = turn
        return pose, velocity

    return move


def test_at_rest_it_feels_gravity_upwards():
    (rows,), _ = play(still, **SILENT)
    assert len(rows["t"]) == 101
    for name in AXES:
        np.testing.assert_allclose(rows[name], G if name == "az" else 0.0, atol=1e-12)


def test_a_tilted_mount_feels_gravity_along_its_own_axes():
    s = np.sqrt(0.5)
    (rows,), _ = play(still, mount=(0, 0, 0, s, 0, 0, s), **SILENT)  # y up
    np.testing.assert_allclose(rows["ay"], G, atol=1e-12)
    np.testing.assert_allclose(rows["az"], 0.0, atol=1e-12)


def test_constant_acceleration_is_felt_exactly_after_the_first_sample():
    def move(t):
        pose, velocity = still(t)
        pose[:, 0], velocity[:, 0] = -1.5 * t * t, -3.0 * t
        return pose, velocity

    (rows,), _ = play(move, **SILENT)
    assert rows["ax"][0] == 0.0
    np.testing.assert_allclose(rows["ax"][1:], -3.0, rtol=1e-12)


def test_on_a_circle_it_feels_the_centripetal_force_and_the_turn():
    (rows,), _ = play(circle(20.0, 0.5), **SILENT)
    chord = np.sinc(0.5 * DT / 2 / np.pi)  # the mean of an acceleration that turns during one step
    np.testing.assert_allclose(rows["ay"][1:], 20.0 * 0.5**2 * chord, rtol=1e-9)
    np.testing.assert_allclose(rows["ax"][1:], 0.0, atol=1e-9)
    np.testing.assert_allclose(rows["gz"], 0.5, rtol=1e-12)


def test_the_lever_arm_of_the_mount_counts():
    (rows,), _ = play(circle(20.0, 0.5), mount=(2.0, 0, 0, 0, 0, 0, 1.0), **SILENT)
    np.testing.assert_allclose(rows["ax"][1:], -2.0 * 0.25, rtol=1e-6)


@pytest.mark.parametrize("rate", [33.3, 77.7, 100.0, 250.0])
def test_neither_cuts_nor_neighbours_change_a_byte(rate):
    moves = [circle(20, 0.5), still, circle(5, -1.0)]
    whole, _ = play(moves, runs=(4, 5, 6), rate=rate, ends=[1.0, 0.53, 1.0])
    cut, _ = play(moves, runs=(4, 5, 6), rate=rate, ends=[1.0, 0.53, 1.0], cuts=(0.01, 0.02, 0.37, 0.38, 0.77))
    for i, run in enumerate((4, 5, 6)):
        alone, _ = play([moves[i]], runs=(run,), rate=rate, ends=[1.0 if i != 1 else 0.53], cuts=(0.5,))
        for name in whole[i]:
            assert whole[i][name].tobytes() == cut[i][name].tobytes() == alone[0][name].tobytes()
    assert whole[1]["t"][-1] <= 0.53


def test_white_noise_has_the_density_of_the_data_sheet():
    (rows,), _ = play(still, end=100.0, accelerometer_bias=0, gyro_bias=0)
    n = len(rows["t"])
    for name, density in (("ax", 400e-6 * 9.80665), ("az", 400e-6 * 9.80665), ("gy", 0.005 * np.pi / 180)):
        sigma = density * np.sqrt(100.0)
        values = rows[name] - (G if name == "az" else 0.0)
        assert abs(values.std() / sigma - 1) < 4 / np.sqrt(2 * n)
        # Allan deviation at 1 s of white noise is its density; its relative error is about sqrt(3 / (4 m)).
        means = values[1:].reshape(-1, 100).mean(axis=1)
        allan = np.sqrt(0.5 * np.mean(np.diff(means) ** 2))
        assert abs(allan / density - 1) < 4 * np.sqrt(3 / (4 * len(means)))


def test_the_bias_keeps_its_spread_and_forgets_at_its_own_pace():
    runs = tuple(range(300))
    rows, _ = play(
        still,
        runs=runs,
        end=2.0,
        accelerometer_noise=0,
        gyro_noise=0,
        accelerometer_bias=0.1,
        accelerometer_bias_time=2.0,
    )
    first, last = (np.concatenate([[row[name][at] for name in ("ax", "ay")] for row in rows]) for at in (0, -1))
    n = len(first)
    for values in (first, last):
        assert abs(values.std() / 0.1 - 1) < 4 / np.sqrt(2 * n)
    expected = np.exp(-1.0)
    assert abs(np.corrcoef(first, last)[0, 1] - expected) < 4 * (1 - expected**2) / np.sqrt(n)


def test_a_bias_fault_is_exactly_its_severity_between_onset_and_end():
    fault = Fault("fault:0", "sensors.imu", "bias", 0.305, 0.7, 0.8, ramp=0.2)
    (bad,), labels = play(circle(), faults=[fault])
    (good,), none = play(circle())
    t = good["t"]
    np.testing.assert_allclose(bad["ax"] - good["ax"], fault.severity_at(t), atol=1e-12)
    outside = (t < 0.305) | (t >= 0.7)
    for name in AXES:
        same = outside if name == "ax" else np.ones_like(outside)
        assert good[name][same].tobytes() == bad[name][same].tobytes()
    assert len(none) == 0
    row = {name: values[0] for name, values in labels.run(0).items()}
    assert row["label_id"] == "imu:0"
    assert row["class"] == "fault/sensor/bias"
    assert (row["target"], row["role"], row["t_cause"], row["t_end"]) == ("sensors.imu", "fault", 0.305, 0.7)
    assert json.loads(row["causes"]) == ["fault:0"]


def test_a_fault_planned_after_the_end_never_was():
    late = Fault("fault:0", "sensors.imu", "bias", 0.9, np.inf, 1.0)
    _, labels = play([still, still], faults=[late], runs=(0, 1), ends=[0.6, 1.0])
    assert np.array_equal(labels.offsets, [0, 0, 1])
    assert labels.columns["t_end"][0] == 1.0


def test_range_and_resolution():
    (rows,), _ = play(still, accelerometer_range="8 m/s2", accelerometer_resolution=0.25, gyro_resolution=1e-3)
    assert np.all(rows["az"] == 8.0)
    np.testing.assert_array_equal(rows["gx"], np.rint(rows["gx"] / 1e-3) * 1e-3)


def test_a_mount_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(RunError) as caught:
        play_mount("ego.nose")
    assert "no mount 'nose'" in caught.value.message
    assert "ego.imu" in caught.value.hint
    with pytest.raises(RunError) as caught:
        play_mount("bike.imu")
    assert "ego, post" in caught.value.hint


def play_mount(mount):
    imu = Imu(Settings(mount=mount))
    imu.start("imu", [Draw(0, 0)], [Streams(0, 0)])
    return imu.read(next(chunks(still)), None)


def test_on_a_body_that_never_moves_it_is_at_rest():
    reading = play_mount("post.top")
    assert abs(reading.tables[""].columns["az"][0] - G) < 0.2


def test_a_world_without_bodies_is_refused_in_one_line():
    imu = Imu(Settings())
    imu.start("imu", [Draw(0, 0)], [Streams(0, 0)])
    bare = Chunk(0.0, 0.0, np.zeros(1), np.zeros(1, bool), Table.empty(EVENTS, 1))
    with pytest.raises(RunError, match="needs moving bodies"):
        imu.read(bare, None)
