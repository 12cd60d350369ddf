"""The world `quadrotor` on the ground: margins of planned landings, the battery afterwards, repeated contacts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from tests.simulators.test_quadrotor import drone, fault, fly, outcome

LANDING: dict[str, Any] = {"mission": [{"at": [0, 0, 0.28], "speed": 0.5, "radius": 0.1}], "at": [0.0, 0.0, 2.0]}


def test_every_blow_is_a_row_and_the_measure_counts_them():
    """A drone that loses a rotor bounces: rows, events and the measure tell of the same contacts."""
    world, chunk = fly({"a": drone()}, 12.0, [fault("a.rotor1", "thrust_loss", 1.0, 1.0)])
    rows = len(chunk.tables["contacts"])
    told = list(chunk.events.columns["kind"]).count("contact")
    assert rows > 1
    assert outcome(world)["contacts"] == rows == told


@pytest.mark.parametrize("speed", [0.3, 0.6])
def test_the_margin_of_a_landing_is_how_much_faster_it_might_touch(speed: float):
    """The ground that it lands on is no obstacle; the limit of 1 m/s less the speed of touching is left."""
    landing = {"mission": [{"at": [0, 0, 0.28], "speed": speed, "radius": 0.1}], "at": [0.0, 0.0, 2.0]}
    world, chunk = fly({"a": drone(**landing)}, 15.0)
    rows = chunk.tables["drones"].run(0)
    landed = int(np.argmax(rows["mode"] == 1))
    assert landed > 0
    row = outcome(world)
    assert not row["event"]
    touched = abs(rows["vz"][landed - 1])  # a fiftieth of a second before
    assert row["margin"] == pytest.approx(1.0 - touched, abs=0.06)
    assert np.isfinite(row["margin"])


def test_a_landing_that_is_not_over_has_the_height_as_margin():
    world, chunk = fly({"a": drone(**LANDING)}, 2.0)
    height = chunk.tables["drones"].run(0)["z"][-1] - 0.30  # the sphere's radius
    assert height > 0.3
    assert outcome(world)["margin"] == pytest.approx(height, abs=0.02)


def test_a_believed_arrival_does_not_make_the_ground_an_obstacle():
    """A waypoint counts as reached within its radius: the rest of the way down is a landing still."""
    early = {"mission": [{"at": [0, 0, 0.28], "speed": 0.5, "radius": 0.5}], "at": [0.0, 0.0, 2.0]}
    world, chunk = fly({"a": drone(**early)}, 15.0)
    assert 1 in chunk.tables["drones"].columns["mode"]
    row = outcome(world)
    assert not row["event"]
    assert row["min_clearance"] == np.inf
    assert 0.3 < row["margin"] < 1.0


def test_a_pass_just_above_the_ground_has_the_ground_as_an_obstacle():
    low = {"mission": [{"at": [4, 0, 1.0], "radius": 0.1}, {"at": [4, 0, 3.0]}], "at": [0.0, 0.0, 3.0]}
    world, chunk = fly({"a": drone(**low)}, 15.0)
    lowest = chunk.tables["drones"].columns["z"].min() - 0.30
    assert outcome(world)["margin"] == pytest.approx(lowest, abs=0.01)


def test_after_a_landing_the_avionics_go_on_taking_power():
    """8 W from a source of U0 behind R: the battery loses U0 I with U I = 8 W, and the motors take nothing."""
    world, chunk = fly({"a": drone(**LANDING)}, 15.0, settle=4.0)
    rows = chunk.tables["drones"].run(0)
    still = np.flatnonzero(rows["mode"] == 1)
    first, last = still[5], still[-1]  # a tenth of a second after it, all rotors stand
    seconds = rows["t"][last] - rows["t"][first]
    assert seconds > 2.0
    left = 1.0 - rows["energy"][last] / 216e3
    source = 13.2 + (16.8 - 13.2) * left
    voltage = 0.5 * source + (0.25 * source**2 - 0.03 * 8.0) ** 0.5
    assert (rows["energy"][last] - rows["energy"][first]) / seconds == pytest.approx(8.0 * source / voltage, rel=1e-5)
    assert rows["voltage"][last] == pytest.approx(voltage, rel=1e-6)
    assert outcome(world)["energy"] == pytest.approx(rows["energy"][last], rel=1e-9)
