"""Every fault of the plant, read back: the parameter that is in force during the fault, and after it.

Parameters of the kernels are read from the actors' records, those of PyBullet from the engine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Draw, Fault
from mischance.simulators.road import Road

BEFORE, DURING, AFTER = 0.5, 1.5, 2.5  # of faults from 1 to 2 s


def opened(tree: dict[str, Any], *faults: Fault) -> Road:
    world = Road(Road.Settings.model_validate(tree))
    world.start([Draw(7, 0, faults=faults)], [Streams(7, 0)])
    return world


def car(world: Road, actor: int = 0) -> Any:
    return world._batch.cars[0, actor]


@pytest.mark.parametrize(
    ("target", "kind", "severity", "field", "values"),
    [
        ("ego.brakes", "fade", 0.6, "brake_left", (1.0, 0.4, 1.0)),
        ("ego.steering", "stuck", 1.0, "stuck", (0.0, 1.0, 0.0)),
        ("ego.steering", "offset", 0.03, "offset", (0.0, 0.03, 0.0)),
        ("ego.tyre", "blow_out", 0.7, "blown", (0.0, 0.7, 0.0)),
        ("ego.actuator", "delay", 0.25, "late", (0.1, 0.35, 0.1)),
        ("road", "friction", 0.15, "mu", (0.7, 0.15, 0.7)),
    ],
)
def test_a_fault_of_the_plant_is_in_force_while_it_lasts(target, kind, severity, field, values):
    tree = {"friction": 0.7, "actors": {"ego": {"speed": 20.0, "delay": 0.1}, "other": {"speed": 20.0, "lane": 3}}}
    world = opened(tree, Fault("fault:0", target, kind, 1.0, 2.0, severity))
    for t, wanted in zip((BEFORE, DURING, AFTER), values, strict=True):
        world.advance(t, None)
        assert car(world)[field] == pytest.approx(wanted, abs=1e-12)
        if target != "road":  # nobody else's
            assert car(world, 1)[field] == pytest.approx(0.0 if field == "late" else values[0], abs=1e-12)


@pytest.mark.parametrize(("t", "share"), [(1.0, 0.0), (1.25, 0.5), (1.5, 1.0), (1.9, 1.0)])
def test_a_fault_grows_over_its_ramp(t: float, share: float):
    """Half of the severity after half of the ramp; the value holds for the step that begins then."""
    tree = {"friction": 0.7, "actors": {"ego": {"speed": 20.0}}}
    fades, slips = (
        Fault(f"fault:{i}", *what, 1.0, 2.0, 0.5, 0.5)
        for i, what in enumerate((("ego.brakes", "fade"), ("road", "friction")))
    )
    world = opened(tree, fades, slips)
    world.advance(t + 0.01, None)
    assert car(world)["brake_left"] == pytest.approx(1.0 - 0.5 * share, abs=1e-9)
    assert car(world)["mu"] == pytest.approx(0.7 + (0.5 - 0.7) * share, abs=1e-9)


def test_two_faults_of_one_kind_add_up():
    tree = {"actors": {"ego": {"speed": 20.0}}}
    world = opened(tree, *(Fault(f"fault:{i}", "ego.brakes", "fade", 1.0, 2.0, 0.5) for i in range(2)))
    world.advance(DURING, None)
    assert car(world)["brake_left"] == pytest.approx(0.25)
    world = opened(tree, *(Fault(f"fault:{i}", "ego.steering", "offset", 1.0, 2.0, 0.02) for i in range(2)))
    world.advance(DURING, None)
    assert car(world)["offset"] == pytest.approx(0.04)
    world = opened(tree, *(Fault(f"fault:{i}", "ego.tyre", "blow_out", 1.0, 2.0, 0.3 + 0.4 * i) for i in range(2)))
    world.advance(DURING, None)
    assert car(world)["blown"] == pytest.approx(0.7)


def test_friction_in_a_window_is_that_of_the_fault_while_it_lasts():
    """Two cars slide on 0.8, from 0.6 to 0.9 s on 0.1, and then on 0.8 again: in the engine and in what they do."""
    tree = {
        "friction": 0.8, "impact": {"model": "window", "restitution": 0.0},
        "actors": {"ego": {"speed": 25.0, "mass_height": 0.3}, "other": {"speed": 0.0, "gap": 5.0, "mass_height": 0.3}},
    }  # fmt: skip
    world = opened(tree, Fault("fault:0", "road", "friction", 0.6, 0.9, 0.1))
    speeds, grips = [], []
    for k in range(1, 121):
        world.advance(k / 100, None)
        speeds.append(float(car(world)["vx"]))
        window = world._windows.get(0)
        grips.append(window.grip() if window is not None else np.nan)
    grip = dict(zip(range(1, 121), grips, strict=True))
    assert [grip[k] for k in (55, 60, 62, 75, 90, 92, 115)] == pytest.approx(
        [0.8, 0.8, 0.1, 0.1, 0.1, 0.8, 0.8], rel=1e-6
    )
    slows = -np.diff(speeds) * 100 / 9.81
    assert np.mean(slows[45:58]) == pytest.approx(0.8, rel=0.05)
    assert np.mean(slows[61:88]) == pytest.approx(0.1, rel=0.1)
    assert np.mean(slows[92:110]) == pytest.approx(0.8, rel=0.1)


def test_a_window_that_slides_onto_ice_feels_it():
    """The border of a patch counts for bodies that PyBullet moves."""
    tree = {
        "friction": 0.8, "impact": {"model": "window", "restitution": 0.0},
        "road": {"patches": [{"start": 14.0, "end": 200.0, "friction": 0.1}]},
        "actors": {"ego": {"speed": 25.0, "mass_height": 0.3}, "other": {"speed": 0.0, "gap": 5.0, "mass_height": 0.3}},
    }  # fmt: skip
    world = opened(tree)
    world.advance(1.2, None)
    assert car(world)["x"] > 14.0
    assert world._windows[0].grip() == pytest.approx(0.1, rel=1e-6)
