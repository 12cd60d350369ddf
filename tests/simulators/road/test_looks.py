"""What actors and roads look like: laws of every drawing, and the drawings themselves, part by part, in looks.txt.

`python -m tests.simulators.road.test_looks` writes that file anew: a change of a drawing is then seen in the review.
"""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mischance.api.scene import Shape
from mischance.simulators.road.appearance import PAINTS, _body, scene, scenes
from mischance.simulators.road.kinds import KINDS
from mischance.simulators.road.settings import Actor, Settings
from mischance.simulators.road.surface import ASPHALT, BEHIND, DASH, PERIOD, SAG, STEEL, road

KNOWN = Path(__file__).with_name("looks.txt")
MORE = {"hedge": {"body": "occluder", "width": 1.5, "height": 2.9, "length": 8.0},
        "wall": {"body": "occluder", "width": 1.6, "height": 2.9, "length": 8.0},
        "small car": {"body": "car", "length": 3.4, "height": 1.1, "width": 1.5, "wheelbase": 2.2},
        "long bicycle": {"body": "cyclist", "wheelbase": 1.4}, "short bus": {"body": "bus", "length": 8.0}}  # fmt: skip
ACTORS = {**{body: {"body": body} for body in KINDS}, **MORE}
TOWN = {
    "road": {
        "lanes": 2, "length": 60.0, "line": [{"length": 30.0}, {"length": 20.0, "radius": 40.0}],
        "crossings": {"side": {"at": 10.0, "angle": 1.2, "lanes": 3, "reach": 30.0}},
        "patches": [{"start": 5.0, "end": 12.0, "friction": 0.24}, {"start": 31.0, "end": 36.0, "friction": 0.25,
                    "right": 1.0, "left": 3.0}],
    },
    "actors": {"ego": {"speed": 10.0}},
}  # fmt: skip
MOTORWAY = {"road": {"lanes": 3, "length": 62.0, "patches": [{"start": 5, "end": 9, "friction": 0.1, "left": 4.0}]},
            "actors": {"ego": {"speed": 30.0}}}  # fmt: skip
VILLAGE = {"road": {"lanes": 1, "length": 50.0}, "actors": {"ego": {"speed": 30.0}, "walks": {
    "body": "child", "speed": 0.0, "offset": 4.0}}}  # fmt: skip
WIDE = {"road": {"lanes": 8, "lane_width": 4.9, "length": 60.0, "crossings": {"side": {"at": 20.0, "reach": 10.0}}},
        "actors": {"ego": {"speed": 30.0}}}  # fmt: skip
ROADS: dict[str, dict[str, Any]] = {"town": TOWN, "motorway": MOTORWAY, "village": VILLAGE, "wide": WIDE}


def drawn(name: str) -> Any:
    return _body(name, Actor.model_validate({"speed": 0.0, **ACTORS[name]}), PAINTS[1])


def half(shape: Shape) -> tuple[float, float, float]:
    """Return half the extent along the axes; a cylinder is a wheel, which stands across."""
    if shape.kind == "sphere":
        return (shape.size[0],) * 3
    if shape.kind == "cylinder":
        assert shape.pose[3:] == pytest.approx((math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)))
        return shape.size[0], 0.5 * shape.size[1], shape.size[0]
    return 0.5 * shape.size[0], 0.5 * shape.size[1], 0.5 * shape.size[2]


def ends(shape: Shape) -> np.ndarray:
    """Return the lowest and the highest x, y, z; shape (2, 3)."""
    middle, reach = np.array(shape.pose[:3]), np.array(half(shape))
    return np.stack([middle - reach, middle + reach])


def line_of(shape: Shape) -> str:
    numbers = [f"{round(value, 4) + 0.0:g}" for value in (*shape.size, *shape.pose)]
    color = "".join(f"{round(255 * c):02x}" for c in shape.color)
    return f"{shape.kind} {' '.join(numbers[:3])} @ {' '.join(numbers[3:])} #{color}"


def of_actor(name: str) -> list[str]:
    body = drawn(name)
    mounts = [f"{key} @ {' '.join(f'{value:g}' for value in at)}" for key, at in sorted(body.mounts.items())]
    return [*map(line_of, body.shapes), *mounts]


def of_road(name: str) -> list[str]:
    """Return the shapes of a road in groups: number, whole length, mean place weighed by it, mean size of the turn."""
    groups = defaultdict(list)
    for shape in road(Settings.model_validate(ROADS[name])):
        color = "".join(f"{round(255 * c):02x}" for c in shape.color)
        groups[shape.kind, *(round(value, 4) for value in (*shape.size[1:], shape.pose[2])), color].append(shape)
    lines = []
    for key, some in groups.items():
        length = np.array([shape.size[0] for shape in some])
        share = length / length.sum() if length.sum() else np.full(len(some), 1 / len(some))
        at = np.array([shape.pose for shape in some])
        turn = 2.0 * np.arctan2(at[:, 5], at[:, 6])
        means = [float(share @ values) for values in (at[:, 0], at[:, 1], turn, np.abs(turn), np.abs(at[:, 1]))]
        numbers = [f"{round(value, 3) + 0.0:g}" for value in (length.sum(), *means)]
        lines.append(f"{' '.join(map(str, key))}: {len(some)} {' '.join(numbers)}")
    return lines


def everything() -> str:
    parts = [(f"actor {name}", of_actor(name)) for name in ACTORS] + [(f"road {name}", of_road(name)) for name in ROADS]
    return "\n".join(f"{title}\n" + "".join(f"  {line}\n" for line in lines) for title, lines in parts)


def known() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for block in KNOWN.read_text(encoding="utf-8").strip().split("\n\n"):
        title, *lines = block.splitlines()
        found[title] = [line.strip() for line in lines]
    return found


@pytest.mark.parametrize("name", ACTORS)
def test_an_actor_is_drawn_as_it_is_known(name: str):
    assert of_actor(name) == known()[f"actor {name}"]


@pytest.mark.parametrize("name", ROADS)
def test_a_road_is_drawn_as_it_is_known(name: str):
    assert of_road(name) == known()[f"road {name}"]


# -- laws of actors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ACTORS)
def test_an_actor_fills_its_box_stands_on_the_ground_and_hangs_together(name: str):
    actor = Actor.model_validate({"speed": 0.0, **ACTORS[name]})
    box = np.array(actor.sizes()[:3])
    shapes = drawn(name).shapes
    all_ends = np.array([ends(shape) for shape in shapes])
    low, high = all_ends[:, 0].min(axis=0), all_ends[:, 1].max(axis=0)
    assert low[2] == pytest.approx(-0.5 * box[2], abs=0.021 * box[2])
    assert high[2] == pytest.approx(0.5 * box[2], abs=0.03 * box[2])
    assert (high - low)[:2] == pytest.approx(box[:2], rel=0.2)
    assert (low[:2] >= -0.5 * box[:2] - 0.03).all()
    assert (high[:2] <= 0.5 * box[:2] + 0.03).all()
    # from each part one comes to every other without a gap; a truck's rear lamps hang below its box
    gap = {"truck": 0.3, "motorcycle": 0.08}.get(name, 0.03)
    near = np.all(
        (all_ends[:, None, 0] <= all_ends[None, :, 1] + gap) & (all_ends[None, :, 0] <= all_ends[:, None, 1] + gap),
        axis=-1,
    )
    reached = {0}
    for _ in shapes:
        reached |= {j for i in reached for j in np.flatnonzero(near[i]).tolist()}
    assert len(reached) == len(shapes), [line_of(shapes[i]) for i in set(range(len(shapes))) - reached]


@pytest.mark.parametrize("name", [name for name in ACTORS if name not in ("debris", "pedestrian", "child", "cyclist")])
def test_left_and_right_are_mirror_images(name: str):
    if name in ("motorcycle", "long bicycle"):  # a foot ahead of the other
        return
    parts = {(*np.round([*shape.size, *shape.pose[:3]], 9).tolist(), shape.color) for shape in drawn(name).shapes}
    assert {(*one[:4], -one[4] + 0.0, *one[5:]) for one in parts} == {
        (*one[:4], one[4] + 0.0, *one[5:]) for one in parts
    }


@pytest.mark.parametrize("name", ["car", "van", "truck", "bus", "motorcycle", "cyclist", "small car"])
def test_wheels_touch_the_ground_at_both_ends_of_the_wheelbase(name: str):
    actor = Actor.model_validate({"speed": 0.0, **ACTORS[name]})
    wheels = [shape for shape in drawn(name).shapes if shape.kind == "cylinder"]
    assert len(wheels) == (4 if KINDS[actor.body].way == "wheels" else 2)
    for wheel in wheels:
        assert ends(wheel)[0, 2] == pytest.approx(-0.5 * actor.sizes()[2])
        assert abs(wheel.pose[0]) == pytest.approx(0.5 * actor.sizes()[3])


def test_a_parked_car_as_an_obstacle_is_a_car_and_a_narrow_low_one_a_hedge():
    colors = {name: {shape.color for shape in drawn(name).shapes} for name in ("occluder", "car", "hedge", "wall")}
    assert len(colors["occluder"]) > 3
    assert len(colors["hedge"]) == len(colors["wall"]) == 1
    assert colors["hedge"] != colors["wall"]
    for key, inside, outside in (("length", 3.0, 2.99), ("length", 6.0, 6.01), ("width", 1.4, 1.39),
                                 ("width", 2.3, 2.31), ("height", 1.2, 1.19), ("height", 2.3, 2.31)):  # fmt: skip
        size = {"length": 4.5, "width": 1.8, "height": 1.5}
        parts = [
            len(
                _body(
                    "it", Actor.model_validate({"body": "occluder", "speed": 0, **size, key: value}), PAINTS[0]
                ).shapes
            )
            for value in (inside, outside)
        ]
        assert parts[0] > 5
        assert parts[1] == 1


def test_runs_share_a_scene_while_road_and_bodies_are_the_same():
    one, other = (Settings.model_validate({"actors": {"ego": {"speed": v}}}) for v in (10.0, 12.0))
    wide = Settings.model_validate({"actors": {"ego": {"speed": 10.0, "width": 2.0}}})
    found = scenes([one, other, wide, one])
    assert found[0] is found[1]
    assert found[2] is not found[1]
    assert found[3] == found[0]
    bodies = scene(Settings.model_validate(TOWN)).bodies
    assert [(body.name, body.moving) for body in bodies] == [("ego", True), ("road", False)]


# -- laws of roads -----------------------------------------------------------------------------------------------------


def painted(name: str, color: Any, width: float | None = None) -> list[Shape]:
    shapes = road(Settings.model_validate(ROADS[name]))
    return [s for s in shapes if s.kind == "box" and s.color == color and width in (None, s.size[1])]


def test_a_straight_road_is_covered_from_behind_the_start_to_its_end_and_lies_at_z_0():
    asphalt = painted("motorway", ASPHALT)
    assert len(asphalt) == 1
    low, high = ends(asphalt[0])
    assert (low[0], high[0]) == pytest.approx((-BEHIND, 62.0))
    assert (low[1], high[1]) == pytest.approx((-1.0, 3 * 3.5 + 1.0))
    assert high[2] == pytest.approx(0.0)


def test_lines_between_lanes_are_broken_and_edges_are_not():
    white = (0.92, 0.92, 0.90)
    dashes, edges = painted("motorway", white, 0.15), painted("motorway", white, 0.2)
    assert sorted({round(float(dash.pose[1]), 9) for dash in dashes}) == [3.5, 7.0]
    assert {round(float(dash.size[0]), 9) for dash in dashes} == {DASH}
    starts = sorted(dash.pose[0] - 0.5 * DASH for dash in dashes if dash.pose[1] == 3.5)
    assert starts[0] == pytest.approx(-BEHIND)
    assert np.diff(starts) == pytest.approx(PERIOD)
    assert starts[-1] + PERIOD <= 62.0 < starts[-1] + 2 * PERIOD
    assert sorted(float(edge.pose[1]) for edge in edges) == pytest.approx([0.0, 10.5])
    assert all(ends(edge)[:, 0] == pytest.approx((-BEHIND, 62.0)) for edge in edges)


def test_rails_stand_beside_a_motorway_and_pavements_beside_a_road_with_people():
    rails = painted("motorway", STEEL)
    assert sorted(float(rail.pose[1]) for rail in rails) == pytest.approx([-1.6, 10.5 + 1.6])
    assert not painted("village", STEEL)
    assert not painted("town", STEEL)


def test_chords_of_a_bend_stay_within_their_sag():
    """Inside of the left bend of radius 40 m: a chord of length l lies l^2 / (8 r) off its arc."""
    edge = [s for s in painted("town", (0.92, 0.92, 0.90), 0.2) if math.hypot(s.pose[0] - 30, s.pose[1] - 40) < 41]
    inside = [s for s in edge if abs(math.hypot(s.pose[0] - 30.0, s.pose[1] - 40.0) - 40.0) < 0.2 and s.pose[0] > 30.1]
    assert inside
    for chord in inside:
        far = 40.0 - math.hypot(chord.pose[0] - 30.0, chord.pose[1] - 40.0)
        assert -1e-9 <= far <= SAG + 1e-9


def test_no_line_and_no_pavement_runs_across_the_other_road():
    """The crossing: 1.2 rad, through (10, 3.5), 3 lanes and a metre on both sides wide."""
    c, s = math.cos(1.2), math.sin(1.2)
    for shape in [*painted("town", (0.92, 0.92, 0.90)), *painted("town", (0.52, 0.51, 0.49))]:
        turn = 2.0 * math.atan2(shape.pose[5], shape.pose[6])
        if abs(turn) > 0.6:  # the other road's own
            continue
        for share in np.linspace(-0.49, 0.49, 9):
            x, y = (shape.pose[i] + share * shape.size[0] * f(turn) for i, f in enumerate((math.cos, math.sin)))
            across = (y - 3.5) * c - (x - 10.0) * s
            along = (x - 10.0) * c + (y - 3.5) * s
            assert abs(across) > 1.5 * 3.5 + 1.0 - 0.02 or abs(along) > 30.0, line_of(shape)


def test_a_crossing_interrupts_the_lines_within_its_reach_alone():
    """It reaches 10 m to both sides of the middle of eight lanes: of the dividers 4.9 and 9.8 m from it."""
    for divider in range(1, 8):
        y = 4.9 * divider
        own = [s for s in painted("wide", (0.92, 0.92, 0.90), 0.15) if s.pose[1] == pytest.approx(y)]
        crossed = [s for s in own if abs(s.pose[0] - 20.0) < 4.5 + 0.5 * s.size[0] - 1e-6]
        assert bool(crossed) == (abs(y - 19.6) > 10.0)


if __name__ == "__main__":
    KNOWN.write_text(everything(), encoding="utf-8")
