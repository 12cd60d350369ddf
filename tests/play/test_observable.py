"""When a sensor's fault can be seen: at a row of its own time, found here another way than by the band."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mischance.api.tables import AnyArray
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.healthy import BINS
from mischance.play.player import play
from mischance.play.sampling import draw, twin
from mischance.play.twins import play_with_twins
from tests.support import PLUGINS, rows_of

SCENE = """
mischance: 1
name: tests/observable
seed: 3
duration: 5 s
vary:
  speed: {{uniform: [50 km/h, 130 km/h]}}
  gap: {{uniform: [40 m, 90 m]}}
simulator:
  kind: road
  motion: {motion}
  road: {{lanes: 2}}
  actors:
    ego: {{speed: $speed, lane: 1}}
    lead: {{speed: $speed, lane: 1, gap: $gap, behaviour: [{{kind: brake, at: 1 s, deceleration: 2 m/s2, to: 12 m/s}}]}}
    other: {{speed: 60 km/h, lane: 2, gap: 30 m}}
sensors:
  it: {sensor}
faults:
  - {{target: sensors.it, kind: {kind}, at: 1.52 s, lasts: 1 s{severity}}}
"""
OBJECTS = "{kind: objects, rate: 20 Hz, latency: 100 ms}"
CAMERA = "{kind: camera, mount: ego.windscreen, size: [32, 24], rate: 10 Hz, passes: [rgb]}"
IMU = "{kind: imu, mount: ego.imu, rate: 100 Hz}"
ONSET, END = 1.52, 2.52


def scene(folder: Path, sensor: str, kind: str, severity: float | None = None) -> Scenario:
    file = folder / "observable.yaml"
    strength = f", severity: {severity}" if severity is not None else ""
    file.write_text(SCENE.format(sensor=sensor, kind=kind, severity=strength, motion=str(sensor != OBJECTS).lower()))
    return load(file)


def label_of(scenario: Scenario) -> dict[str, Any]:
    *_, record = play_with_twins(scenario, draw(scenario, [0]))
    labels = record.tables["labels"].run(0)
    (row,) = np.flatnonzero(labels["target"] == "sensors.it")
    return {name: values[row] for name, values in labels.items()}


def readings(scenario: Scenario, *, healthy: bool) -> dict[str, AnyArray]:
    (run,) = draw(scenario, [0])
    return rows_of(list(play(scenario, [twin(run) if healthy else run]))[:-1], "sensors/it")


def in_order(label: dict[str, Any], lag: float) -> None:
    assert label["t_cause"] == ONSET
    assert label["t_cause"] <= label["t_effect"] <= label["t_observable"]
    assert label["t_observable"] <= END + lag


LAG = 0.05 + 0.1 + 5.0 / BINS  # of the list: interval, latency, a piece of time


@pytest.mark.parametrize(
    ("kind", "severity", "most"),
    [
        ("dropout", 1.0, 0.1), ("late", 0.5, 0.7), ("false_objects", 20.0, 0.6), ("freeze", None, 0.051),
        ("clock_skew", 0.2, 0.1), ("message_loss", 1.0, 0.1),
    ],
)  # fmt: skip
def test_each_fault_of_a_list_of_objects_is_seen_in_its_own_time(tmp_path, kind, severity, most):
    """At the latest `most` after its effect: what changes everything shows at once, a random fault when it strikes."""
    scenario = scene(tmp_path, OBJECTS, kind, severity)
    label = label_of(scenario)
    in_order(label, LAG + (0.5 if kind == "late" else 0.0))
    assert label["t_observable"] - label["t_effect"] <= most
    mine, its = (readings(scenario, healthy=healthy) for healthy in (False, True))
    same = min(len(mine["t"]), len(its["t"]))
    differ = np.zeros(same, np.bool_)
    for name in mine:
        differ |= mine[name][:same] != its[name][:same]
    assert label["t_effect"] == min(mine["t"][np.argmax(differ)], its["t"][np.argmax(differ)])


def test_a_frozen_list_is_seen_at_the_first_list_that_repeats_the_one_before(tmp_path):
    scenario = scene(tmp_path, OBJECTS, "freeze")
    rows = readings(scenario, healthy=False)
    lists = {t: sorted(zip(*(rows[name][rows["t"] == t] for name in ("track", "x", "y", "vx")), strict=True))
             for t in np.unique(rows["t"])}  # fmt: skip
    times = sorted(lists)
    first = next(t for before, t in pairwise(times) if lists[t] == lists[before] != [])
    label = label_of(scenario)
    assert label["t_observable"] == pytest.approx(first, abs=1e-9)
    assert ONSET + 0.1 <= first <= ONSET + 0.1 + 0.05, "the first list that is measured in its time"


def test_a_frozen_camera_is_seen_at_the_first_image_that_repeats_the_one_before(tmp_path):
    scenario = scene(tmp_path, CAMERA, "freeze")
    label = label_of(scenario)
    (run,) = draw(scenario, [0])
    t, images = [], []
    for record in play(scenario, [run]):
        for frames in record.frames.get("sensors/it/frames", ()):
            t += frames.t.tolist()
            images += list(frames.passes["rgb"])
    repeats = [k for k in range(1, len(t)) if np.array_equal(images[k], images[k - 1])]
    assert label["t_observable"] == t[repeats[0]]
    assert t[repeats[0]] == pytest.approx(1.6), "the first image in its time"
    in_order(label, 0.1 + 5.0 / BINS)


def test_a_bias_of_an_imu_is_seen_at_its_first_sample(tmp_path):
    """0.5 m/s2 at 100 Hz: the step is 0.5, the noise of a step is sqrt(2) * 0.0039 * 10 = 0.055."""
    scenario = scene(tmp_path, IMU, "bias", 0.5)
    label = label_of(scenario)
    rows = readings(scenario, healthy=False)
    assert label["t_effect"] == label["t_observable"] == rows["t"][np.argmax(rows["t"] >= ONSET)]
    in_order(label, 0.01 + 5.0 / BINS)


def test_a_bias_below_the_noise_is_never_seen(tmp_path):
    label = label_of(scene(tmp_path, IMU, "bias", 1e-6))
    assert label["t_effect"] >= ONSET
    assert np.isnan(label["t_observable"])


@pytest.mark.parametrize("kind", ["gain", "freeze"])
def test_a_fault_of_a_speedometer_is_seen_though_each_run_has_a_speed_of_its_own(tmp_path, kind):
    """Speeds are drawn from 50 to 130 km/h: a gain of 15 % stays among them, its step of 2 to 5 m/s does not."""
    scenario = scene(tmp_path, f'{{kind: "{PLUGINS}/speedometer.py:Speedometer"}}', kind, 0.15 if kind == "gain" else 1)
    label = label_of(scenario)
    rows = readings(scenario, healthy=False)
    first = rows["t"][np.argmax(rows["t"] >= ONSET)]  # the rows are 0.05 s apart, and the first frozen one repeats
    assert label["t_effect"] == label["t_observable"] == first
    in_order(label, 0.05 + 5.0 / BINS)
