"""The road's tables `lanes` and `bodies` say where its lanes lie and what everybody is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mischance.api.appearance import LANE_ROWS, LINE_KINDS
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw
from mischance.api.tables import AnyArray
from mischance.simulators.road import Road
from mischance.simulators.road.settings import Settings

BEND = 100.0  # radius [m], after 50 m straight on, for a quarter turn to the left
ROAD: dict[str, Any] = {
    "lanes": 2,
    "lane_width": 3.65,
    "line": [{"length": 50.0}, {"length": 0.5 * np.pi * BEND, "radius": BEND}],
    "patches": [{"start": 40.0, "end": 60.0, "friction": 0.1, "right": 1.0, "left": 3.0}],
    "crossings": {"side": {"at": 20.0, "lanes": 1, "lane_width": 3.0, "reach": 30.0}},
}
ACTORS: dict[str, Any] = {
    "ego": {"speed": 20.0, "lane": 1},
    "wall": {"body": "occluder", "speed": 0.0, "lane": 2, "gap": 10.0, "length": 2.0, "width": 0.5, "height": 1.0},
}


def begun(*settings: dict[str, Any]) -> Chunk:
    world = Road(Settings.model_validate(settings[0]))
    draws = [Draw(7, run, settings=Settings.model_validate(one)) for run, one in enumerate(settings)]
    return world.start(draws, [Streams(7, run) for run in range(len(draws))])


def kind(rows: dict[str, AnyArray], name: str) -> dict[str, AnyArray]:
    chosen = rows["kind"] == LINE_KINDS.index(name)
    return {column: values[chosen] for column, values in rows.items()}


def places(rows: dict[str, AnyArray], s: float) -> AnyArray:
    """Return where the lines are at a way along their line of reference: its heading integrated in small steps."""
    found = []
    for i in np.flatnonzero((rows["begin"] <= s) & (s <= rows["end"])):
        step = (s - rows["way"][i]) / 20_000
        heading = rows["heading"][i] + rows["curvature"][i] * step * (np.arange(20_000) + 0.5)
        end = rows["heading"][i] + rows["curvature"][i] * (s - rows["way"][i])
        left = rows["offset"][i] * np.array([-np.sin(end), np.cos(end)])
        place = np.array([rows["x"][i], rows["y"][i]])
        found.append(place + step * np.array([np.cos(heading).sum(), np.sin(heading).sum()]) + left)
    return np.array(found)


def test_lanes_lie_beside_each_other_around_the_bend():
    rows = begun({"road": ROAD, "actors": ACTORS}).tables["lanes"].run(0)
    main = {name: values[rows["group"] == 0] for name, values in rows.items()}
    lanes = kind(main, "lane")
    np.testing.assert_allclose(places(lanes, -30.0), [[-30.0, 1.825], [-30.0, 5.475]])
    middle, turn = np.array([50.0, BEND]), np.radians(60.0)
    along = np.array([np.sin(turn), -np.cos(turn)])
    expected = [middle + (BEND - offset) * along for offset in (1.825, 5.475)]
    np.testing.assert_allclose(places(lanes, 50.0 + turn * BEND), expected, atol=1e-5)
    beyond = 50.0 + 0.5 * np.pi * BEND + 40.0  # straight on behind the bend, along y
    np.testing.assert_allclose(places(lanes, beyond), [[148.175, 140.0], [144.525, 140.0]], atol=1e-5)
    borders = np.concatenate([places(kind(main, name), -10.0) for name in ("edge", "divider")])
    assert sorted(borders[:, 1]) == pytest.approx([0.0, 3.65, 7.3])


def test_a_crossing_and_a_patch_have_ends():
    rows = begun({"road": ROAD, "actors": ACTORS}).tables["lanes"].run(0)
    side = kind({name: values[rows["group"] == 1] for name, values in rows.items()}, "lane")
    assert (side["begin"], side["end"]) == (-30.0, 30.0)
    np.testing.assert_allclose(places(side, 10.0), [[20.0, 3.65 + 10.0]], atol=1e-5)
    patch = kind(rows, "patch")
    assert list(zip(patch["begin"], patch["end"], strict=True)) == [(40.0, 50.0), (50.0, 60.0)]
    assert set(patch["friction"]) == {0.1}
    np.testing.assert_allclose(patch["offset"] - 0.5 * patch["width"], 1.0)


def test_runs_of_one_road_share_its_rows_but_not_its_friction():
    dry = {"road": ROAD, "actors": ACTORS, "friction": 0.8}
    wide = {**dry, "road": {**ROAD, "lane_width": 4.0}}
    table = begun(dry, {**dry, "friction": 0.4}, wide).tables["lanes"]
    one, wet, other = (table.run(i) for i in range(3))
    surfaces = kind(wet, "lane")
    assert set(surfaces["friction"]) == {0.4}
    for name in LANE_ROWS:
        if name != "friction":
            np.testing.assert_array_equal(one[name], wet[name])
    assert set(kind(other, "lane")["width"]) == {4.0, 3.0}
    np.testing.assert_array_equal(begun(wide).tables["lanes"].run(0)["offset"], other["offset"])


def test_bodies_say_who_the_run_is_about_and_what_stands_still():
    chunk = begun({"road": ROAD, "actors": ACTORS})
    table = chunk.tables["bodies"]
    rows = {
        name: [table.schema[name].names[code] if code >= 0 else None for code in values.tolist()]
        for name, values in table.run(0).items()
        if table.schema[name].dtype == "category"
    }
    assert rows["body"] == ["ego", "wall"]
    assert rows["kind"] == ["car", "occluder"]
    assert rows["role"] == ["subject", "scenery"]
    numbers = table.run(0)
    np.testing.assert_allclose(numbers["length"], [4.5, 2.0])
    np.testing.assert_allclose(numbers["height"], [1.5, 1.0])
    assert chunk.motion is not None
    ego, wall = (np.array([numbers[axis][i] for axis in "xyz"]) for i in range(2))
    assert np.isnan(ego).all()
    np.testing.assert_allclose(wall, chunk.motion.pose[0, 0, 1, :3], rtol=1e-6)


def test_what_is_seen_is_told_once():
    world = Road(Settings.model_validate({"road": ROAD, "actors": ACTORS}))
    first = world.start([Draw(7, 0, settings=world.settings)], [Streams(7, 0)])
    later = world.advance(1.0, None)
    for name in ("lanes", "bodies"):
        assert len(first.tables[name])
        assert not len(later.tables[name])
        assert later.tables[name].schema == first.tables[name].schema
    assert later.tables.keys() == first.tables.keys()
