"""Every measure of a run against formulas over its rows: at 20 steps a second the rows are what the kernels see.

The formulas use world coordinates of a straight road, NumPy, and the domain library, none of the kernels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mischance.api.geometry import Rectangle, oriented_gap, time_to_collision_2d
from mischance.api.randomness import Streams
from mischance.api.runs import Draw, join_chunks
from mischance.driving.criticality import required_deceleration, required_lateral_acceleration
from mischance.simulators.road import Road

G, MU, BRAKES = 9.81, 0.7, 10.0
RUNS = 120


def trees() -> list[dict[str, Any]]:
    """Return random pairs: following, overtaking, oncoming, crossing, changing lanes, reversing, all of one batch."""
    rng = np.random.default_rng(51)
    found = []
    for _ in range(RUNS):
        v = float(rng.uniform(5, 30))
        other: dict[str, Any] = {
            "speed": float(rng.uniform(0, 30)), "lane": int(rng.integers(1, 4)), "gap": float(rng.uniform(3, 60)),
            "oncoming": bool(rng.random() < 0.25), "offset": float(rng.uniform(-0.5, 0.5)), "behaviour": [],
        }  # fmt: skip
        if rng.random() < 0.4:
            other["gap"] = -float(rng.uniform(5, 40))
        if rng.random() < 0.4 and not other["oncoming"]:
            other["behaviour"].append(
                {"kind": "change_lane", "at": float(rng.uniform(0, 1)), "to": int(rng.integers(1, 4)), "takes": 2.0}
            )
        if rng.random() < 0.5:
            other["behaviour"].append(
                {"kind": "brake", "at": float(rng.uniform(0, 2)), "deceleration": float(rng.uniform(1, 8))}
            )
        ego: dict[str, Any] = {"speed": v, "lane": 2, "behaviour": []}
        if rng.random() < 0.5:
            ego["behaviour"].append(
                {"kind": "brake", "at": float(rng.uniform(0, 2)), "deceleration": float(rng.uniform(1, 9))}
            )
        walker = {
            "body": "pedestrian", "speed": 0.0, "lane": 1, "offset": -float(rng.uniform(2, 6)),
            "gap": float(rng.uniform(10, 90)),
            "behaviour": [{"kind": "cross", "at": float(rng.uniform(0, 2)), "angle": float(rng.uniform(0.6, 2.4))}],
        }  # fmt: skip
        found.append({"ego": ego, "other": other, "walker": walker})
    return [{"rate": 20, "friction": MU, "motion": False, "road": {"lanes": 3}, "actors": actors} for actors in found]


@pytest.fixture(scope="module")
def played() -> list[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Return of every run its outcome, and its rows until the ego's first contact as (times, actors) arrays."""
    settings = []
    for tree in trees():
        try:
            settings.append(Road.Settings.model_validate(tree))
        except ValueError:
            continue
    found = []
    for one in settings:
        world = Road(one)
        draw = Draw(7, 0, settings=one)
        try:
            chunks = [world.start([draw], [Streams(7, 0)]), world.advance(5.0, None)]
        except Exception as error:
            assert "overlap at the start" in str(error)
            continue
        whole = join_chunks(chunks)
        columns = whole.tables["actors"].run(0)
        table = {
            name: np.asarray(values).reshape(-1, 3)
            for name, values in columns.items()
            if np.asarray(values).dtype.kind in "fbi"
        }
        alive = ~table["hit"][:, 0].astype(bool)
        found.append((
            {name: values[0] for name, values in world.outcome()[0].columns.items()},
            {name: values[alive] for name, values in table.items()},
        ))  # fmt: skip
    assert len(found) >= 0.8 * RUNS
    return found


def look(rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the measures of every row against the other two; shapes (times, 2)."""
    e = {name: values[:, :1] for name, values in rows.items()}
    o = {name: values[:, 1:] for name, values in rows.items()}
    boxes = [Rectangle(q["x"], q["y"], q["yaw"], q["length"], q["width"]) for q in (e, o)]
    ttc = time_to_collision_2d(*boxes, (e["vx"], e["vy"]), (o["vx"], o["vy"]))
    long = 0.5 * (np.abs(np.cos(o["yaw"])) * o["length"] + np.abs(np.sin(o["yaw"])) * o["width"])
    wide = 0.5 * (np.abs(np.sin(o["yaw"])) * o["length"] + np.abs(np.cos(o["yaw"])) * o["width"])
    ahead = o["x"] > e["x"]
    gap = o["x"] - e["x"] - 0.5 * e["length"] - long
    beside = np.abs(o["y"] - e["y"]) - 0.5 * e["width"] - wide
    closing = e["vx"] - o["vx"]
    comes = o["vx"] < -np.abs(o["vy"])
    then = np.abs(o["y"] - e["y"] + o["vy"] * gap / np.where(closing > 0, closing, np.nan)) - 0.5 * e["width"] - wide
    path = (gap > 1e-6) & (beside < 0) & (~comes | (then < 0))
    slows = np.minimum(o["acceleration"] * np.cos(o["yaw"]), 0.0)
    free = np.where(path, gap, np.where(np.isfinite(ttc), ttc, 0.0) * np.maximum(closing, 0.0))
    # braking does not change the small speed at which a crosser comes nearer; before an oncoming one the ego stops
    same = required_deceleration(free, e["speed"], np.maximum(o["vx"], 0.0), slows)
    crossing = np.square(closing + np.minimum(o["vx"], 0.0)) / (2 * np.where(free > 0, free, np.inf))
    same = np.where((o["vx"] <= 0.0) & (closing + np.minimum(o["vx"], 0.0) > 0), crossing, same)
    oncoming = e["speed"] * np.maximum(closing, 0.0) / (2 * np.where(free > 0, free, np.inf))
    need = np.where(comes, oncoming, np.where(free > 0, same, 0.0))
    need = np.where(ahead & (path | ((ttc > 1e-6) & np.isfinite(ttc))), need, 0.0)
    c, s = np.cos(e["yaw"]), np.sin(e["yaw"])
    across = (o["y"] - e["y"]) * c - (o["x"] - e["x"]) * s
    drift = (o["vy"] - e["vy"]) * c - (o["vx"] - e["vx"]) * s
    turned = o["yaw"] - e["yaw"]
    width = e["width"] + np.abs(np.sin(turned)) * o["length"] + np.abs(np.cos(turned)) * o["width"]
    course = ahead & np.isfinite(ttc) & (ttc > 1e-6)
    lateral = np.where(course, required_lateral_acceleration(np.where(course, ttc, np.inf), across, width, drift), 0.0)
    after = e["x"] - o["x"] - 0.5 * e["length"] - long
    follows = (after > 1e-6) & (o["vx"] > 0) & (beside < 0)
    led = np.minimum(e["acceleration"] * np.cos(e["yaw"]), 0.0)
    behind = np.where(follows, required_deceleration(np.where(follows, after, 1.0), o["vx"], e["vx"], led), 0.0)
    brakes = np.minimum(np.where(o["length"] > 2, BRAKES, 4.0), MU * G)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "min_gap": oriented_gap(*boxes), "min_ttc": ttc,
            "min_thw": np.where(path & (e["speed"] > 0), gap / e["speed"], np.inf),
            "max_drac": np.where(path & (closing > 0), closing**2 / (2 * gap), 0.0),
            "max_btn": need / min(BRAKES, MU * G), "max_stn": lateral / (MU * G), "max_btn_behind": behind / brakes,
        }  # fmt: skip


@pytest.mark.parametrize("name", ["min_gap", "min_ttc", "min_thw", "max_drac", "max_btn", "max_stn", "max_btn_behind"])
def test_the_worst_of_a_run_is_the_worst_of_its_rows(name: str, played):
    nonzero = 0
    for got, rows in played:
        values = look(rows)[name]
        worst = float(values.min() if name.startswith("min") else values.max())
        if got["event"] and name in ("min_gap", "min_ttc"):
            assert got[name] == (0.0 if name == "min_ttc" else pytest.approx(-got["contact_speed"]))
            continue
        assert got[name] == pytest.approx(worst, rel=1e-9, abs=1e-9)
        nonzero += np.isfinite(worst) and worst != 0.0
        if f"t_{name}" in got:
            t = got[f"t_{name}"]
            if not np.isfinite(worst) or (name.startswith("max") and worst == 0.0):
                assert math.isnan(t)
            else:
                k = round(t * 20)
                assert t == pytest.approx(k / 20, abs=1e-12)
                now = float(values[k].min() if name.startswith("min") else values[k].max())
                assert now == pytest.approx(worst, rel=1e-9, abs=1e-9)
    assert nonzero >= 10


def test_the_hardest_braking_and_the_largest_jerk_are_those_of_the_rows(played):
    for got, rows in played:
        a, v = rows["acceleration"][:, 0], rows["speed"][:, 0]
        assert got["ego.max_brake"] == pytest.approx(max(-a.min(), 0.0), rel=1e-9, abs=1e-12)
        jerk = np.abs(np.diff(a) * 20.0)[(v[1:] > 0.0) | (a[1:] != 0.0)]
        assert got["ego.max_jerk"] == pytest.approx(jerk.max(initial=0.0), rel=1e-9, abs=1e-9)
        shown = rows["jerk"][1:, 0]
        moving = (v[1:] > 0.0) | (a[1:] != 0.0)
        assert shown == pytest.approx(np.where(moving, np.diff(a) * 20.0, 0.0), abs=1e-9)


def test_gap_and_ttc_of_the_rows_are_those_of_the_boxes(played):
    for _, rows in played[:40]:
        measures = look(rows)
        assert rows["gap"][:, 0] == pytest.approx(measures["min_gap"].min(axis=1), abs=1e-9)
        ttc = measures["min_ttc"].min(axis=1)
        still = (np.abs(rows["vx"] - rows["vx"][:, :1]) + np.abs(rows["vy"] - rows["vy"][:, :1])).max(axis=1) > 0.0
        assert rows["ttc"][still, 0] == pytest.approx(ttc[still], rel=1e-9)


def test_emergency_braking_is_shown_from_6_m_s2_on(played):
    for _, rows in played:
        assert (rows["braking_emergency"] == (rows["acceleration"] <= -6.0))[:, 0].all()
