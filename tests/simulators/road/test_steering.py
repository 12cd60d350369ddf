"""Lane keeping: the response to an error, the angle in a steady bend, the time and the way of a lane change."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, join_chunks
from mischance.simulators.road import Road

G = 9.81


def played(tree: dict[str, Any], until: float) -> Chunk:
    world = Road(Road.Settings.model_validate({"motion": False, **tree}))
    return join_chunks([world.start([Draw(7, 0)], [Streams(7, 0)]), world.advance(until, None)])


def column(chunk: Chunk, name: str) -> np.ndarray:
    return np.asarray(chunk.tables["actors"].columns[name])


CAR = {"lane": 2, "model": "kinematic", "steer_rate": 20.0}


@pytest.mark.parametrize("heading", [0.01, -0.01])
def test_a_small_error_dies_out_as_that_of_a_critically_damped_oscillator(heading: float):
    """y'' = -4 y - 4 y' of the unsteered axle, from y = 0 and y' = v sin(heading): y = y' t exp(-2 t)."""
    chunk = played({"rate": 1000, "actors": {"ego": {"speed": 20.0, "heading": heading, **CAR}}}, 4.0)
    t, yaw = column(chunk, "t"), column(chunk, "yaw")
    y = column(chunk, "y") - 1.35 * np.sin(yaw)
    y = y - y[0]
    start = -1.35 * math.sin(heading)  # the axle begins beside the line
    wanted = (start + (20.0 * math.sin(heading) + 2.0 * start) * t) * np.exp(-2.0 * t) - start
    assert y == pytest.approx(wanted, abs=0.01 * np.abs(wanted).max())


@pytest.mark.parametrize(("radius", "lane"), [(60.0, 1), (60.0, 2), (-50.0, 2)])
def test_in_a_steady_bend_the_wheels_stand_at_the_angle_of_the_lanes_radius(radius: float, lane: int):
    """Kinematic: tan(steer) = wheelbase / radius of the unsteered axle, which keeps to the middle of its lane."""
    road = {"lanes": 2, "line": [{"length": 150.0, "radius": radius}]}
    chunk = played({"road": road, "actors": {"ego": {"speed": 9.0, **CAR, "lane": lane}}}, 9.0)
    own = radius - (lane - 0.5) * 3.5
    assert column(chunk, "steer")[-20:] == pytest.approx(math.atan(2.7 / own), rel=2e-3)
    assert column(chunk, "yaw_rate")[-20:] == pytest.approx(9.0 / own, rel=2e-3)
    x, y, yaw = (column(chunk, name)[-20:] for name in ("x", "y", "yaw"))
    axle = np.hypot(x - 1.35 * np.cos(yaw), y - 1.35 * np.sin(yaw) - radius)
    assert axle == pytest.approx(abs(own), abs=5e-3)


@pytest.mark.parametrize(("v", "takes"), [(20.0, 4.0), (3.0, 4.0)])
def test_a_lane_change_of_a_slow_car_takes_longer_in_proportion(v: float, takes: float):
    """Below 5 m/s it goes by the way: at 3 m/s it takes 5/3 of the time. It ends at the offset that is asked for."""
    change = {"kind": "change_lane", "to": 3, "offset": -0.5, "takes": takes, "at": 1.0}
    chunk = played({"actors": {"ego": {"speed": v, **CAR, "behaviour": [change]}}}, 14.0)
    events = chunk.events.columns
    assert list(events["kind"]) == ["lane_change_start", "lane_change_end"]
    lasts = takes * max(5.0 / v, 1.0)
    assert events["t"][1] - events["t"][0] == pytest.approx(lasts, abs=0.0101)
    assert column(chunk, "y")[-1] == pytest.approx(8.75 - 0.5, abs=0.01)
    s = np.clip((column(chunk, "t") - 1.0) / lasts, 0.0, 1.0)
    wanted = 5.25 + 3.0 * s**3 * (10 - 15 * s + 6 * s * s)
    axle = column(chunk, "y") - 1.35 * np.sin(column(chunk, "yaw"))
    assert axle == pytest.approx(wanted, abs=0.03)


def test_a_large_error_is_closed_no_faster_than_the_grip_can_stop():
    """At most sqrt(2 mu g / 4 · error) sideways: the way back to the lane is a parabola and ends without overshoot."""
    heading = 0.25
    tree = {"friction": 0.3, "rate": 1000, "road": {"lanes": 8},
            "actors": {"ego": {"speed": 12.0, "heading": heading, **CAR, "lane": 4}}}  # fmt: skip
    chunk = played(tree, 14.0)
    yaw, y = column(chunk, "yaw"), column(chunk, "y") - 12.25
    axle = y - 1.35 * np.sin(yaw)
    assert axle.max() > 1.0
    after = np.flatnonzero(axle > 1.0)[-1] + 1
    sideways = column(chunk, "speed") * np.sin(yaw)
    limit = np.sqrt(2.0 * 0.25 * 0.3 * G * np.abs(axle))
    peak = int(np.argmax(axle))
    assert (-sideways[peak:after] <= limit[peak:after] + 0.05).all()
    assert axle[after:].min() > -0.1
    assert axle[-1] == pytest.approx(0.0, abs=0.01)
