"""What a run begins with: records from settings, places of actors, and who is near behind whom when somebody acts.

Every value is worked out here from the settings' descriptions, on a straight road where nothing else is said.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault, join_chunks
from mischance.errors import RunError, StartError
from mischance.simulators.road import Road
from mischance.simulators.road.actors import build_batch

INF = math.inf


def begun(tree: dict[str, Any], *faults: Fault) -> Road:
    world = Road(Road.Settings.model_validate({"motion": False, **tree}))
    world.start([Draw(7, 0, faults=faults)], [Streams(7, 0)])
    return world


def chunk(tree: dict[str, Any], until: float = 0.0) -> Chunk:
    world = Road(Road.Settings.model_validate({"motion": False, **tree}))
    chunks = [world.start([Draw(7, 0)], [Streams(7, 0)])]
    return join_chunks([*chunks, world.advance(until, None)]) if until else chunks[0]


def record(records: Any, names: str) -> dict[str, float]:
    return {name: float(records[name]) for name in names.split()}


# -- actors ------------------------------------------------------------------------------------------------------------

CAR = {
    "half_l": 2.25,
    "half_w": 0.9,
    "height": 1.5,
    "wheelbase": 2.7,
    "lf": 1.35,
    "lr": 1.35,
    "mass": 1500.0,
    "inv_mass": 1 / 1500,
    "inertia": 1500 * (4.5**2 + 1.8**2) / 12,
    "brakes": 10.0,
    "drive": 4.0,
    "jerk": 12.65,
    "most_steer": 0.6,
    "steer_rate": 0.8,
    "delay": 0.0,
    "late": 0.0,
    "cornering": 20.9,
    "high": 0.55,
    "face": 1.0,
    "model": 0.0,
    "way": 1.0,
    "mode": 0.0,
    "cruise": 12.0,
    "speed": 12.0,
    "vlon": 12.0,
    "mu": 0.7,
    "brake_left": 1.0,
    "follow": -1.0,
    "pedal_move": -1.0,
    "d_home": 1.75,
    "pieces": 1.0,
    "z": 0.75,
    "stop": INF,
    "ground": 0.7,
}
CAR["inv_inertia"], CAR["yaw_inertia"] = 1 / CAR["inertia"], CAR["inertia"]
OWN = {
    "length": 5.0,
    "width": 2.0,
    "height": 1.2,
    "wheelbase": 3.0,
    "balance": 0.4,
    "mass": 2000.0,
    "inertia": 3000.0,
    "brakes": 8.0,
    "drive": 3.0,
    "jerk": 0.0,
    "delay": 0.2,
    "steer_rate": 0.5,
    "cornering": 30.0,
    "mass_height": 0.4,
}
OF_OWN = {
    "half_l": 2.5,
    "half_w": 1.0,
    "height": 1.2,
    "wheelbase": 3.0,
    "lf": 1.2,
    "lr": 1.8,
    "mass": 2000.0,
    "inv_mass": 1 / 2000,
    "inertia": 2000 * 29 / 12,
    "inv_inertia": 12 / (2000 * 29),
    "yaw_inertia": 3000.0,
    "brakes": 8.0,
    "drive": 3.0,
    "jerk": 0.0,
    "delay": 0.2,
    "late": 0.2,
    "steer_rate": 0.5,
    "cornering": 30.0,
    "high": 0.4,
    "z": 0.6,
}
WALL = {"length": 4.5, "body": "occluder", "speed": 0.0}
ACTORS: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "a car": ({}, {}),
    "with numbers of its own": (OWN, OF_OWN),
    "backwards": ({"reverse": True, "balance": 0.4}, {"face": -1.0, "lr": -1.62, "lf": 4.32, "model": 1.0}),
    "always kinematic": ({"model": "kinematic"}, {"model": 1.0}),
    "always dynamic": ({"model": "dynamic"}, {"model": 2.0}),
    "oncoming": ({"oncoming": True, "lane": 2, "offset": 0.3}, {"d_home": -5.55}),
    "fixed": (WALL, {"inv_mass": 0.0, "inv_inertia": 0.0, "mode": 4.0, "way": 4.0, "drive": 1.0, "jerk": 0.0,
                     "most_steer": 0.0, "cruise": 0.0, "speed": 0.0, "vlon": 0.0}),
    "a cyclist": ({"body": "cyclist"}, {
        "half_l": 0.9, "half_w": 0.3, "height": 1.75, "wheelbase": 1.1, "lf": 0.55, "lr": 0.55, "mass": 90.0,
        "inv_mass": 1 / 90, "inertia": 90 * 3.6 / 12, "inv_inertia": 12 / (90 * 3.6), "yaw_inertia": 90 * 3.6 / 12,
        "brakes": 5.0, "drive": 1.5, "jerk": 0.0, "high": 1.0, "way": 5.0, "z": 0.875}),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTORS)
def test_the_record_of_an_actor_says_what_its_settings_say(name: str):
    own, changes = ACTORS[name]
    actors = {"ego": {"speed": 0.0, "lane": 3}, "it": {"speed": 12.0, "heading": 0.3, "station": 40.0, **own}}
    world = begun({"friction": 0.7, "actors": actors})
    car, wanted = world._batch.cars[0, 1], {**CAR, **changes}
    yaw = 0.3 + (math.pi if own.get("oncoming") else 0.0)
    y = 5.55 if own.get("oncoming") else 1.75
    wanted |= {"x": 40.0, "y": y, "yaw": yaw, "cosine": math.cos(yaw), "sine": math.sin(yaw),
               "qz": math.sin(0.5 * yaw), "qw": math.cos(0.5 * yaw)}  # fmt: skip
    if name != "fixed":
        wanted |= {"vx": 12.0 * math.cos(yaw), "vy": 12.0 * math.sin(yaw)}
    assert record(car, " ".join(wanted)) == pytest.approx(wanted, rel=1e-12, abs=1e-12)


MOVES: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "change_lane": ({"to": 3, "takes": 2.5, "offset": 0.4}, {"kind": 0, "takes": 2.5, "d_to": 9.15, "lane": 3}),
    "brake": ({"deceleration": 7.0, "to": 3.0}, {"kind": 1, "a": -7.0, "to": 3.0}),
    "accelerate": ({"acceleration": 1.5, "to": 30.0}, {"kind": 2, "a": 1.5, "to": 30.0}),
    "follow": ({"headway": 1.1, "gap": 3.0, "acceleration": 1.2, "comfort": 2.2},
               {"kind": 3, "headway": 1.1, "gap": 3.0, "a": 1.2, "comfort": 2.2}),
    "turn": ({"angle": -1.0, "radius": 12.0, "speed": 6.0}, {"kind": 5, "angle": -1.0, "radius": 12.0, "speed": 6.0}),
    "run_red_light": ({}, {"kind": 6}),
}  # fmt: skip


@pytest.mark.parametrize("kind", MOVES)
def test_the_record_of_a_manoeuvre_says_what_its_settings_say(kind: str):
    keys, wanted = MOVES[kind]
    first = {"kind": "brake", "at": 1.0}
    actors = {
        "ego": {"speed": 10.0, "behaviour": [first, first]},
        "it": {"speed": 10.0, "lane": 2, "behaviour": [{"kind": kind, "at": 2.0, **keys}]},
    }  # fmt: skip
    moves = begun({"actors": actors})._batch.moves[0]
    assert len(moves) == 3
    wanted = {**wanted, "at": 2.0, "actor": 1, "who": -1, "after": -1, "trigger": 0, "started": 0, "delay": 0.0}
    assert record(moves[2], " ".join(wanted)) == pytest.approx(wanted, rel=1e-12)
    assert math.isnan(moves[2]["armed"])


@pytest.mark.parametrize(("lane", "side"), [(1, 1.0), (3, -1.0)])
def test_who_crosses_heads_for_the_side_of_the_ego(lane: int, side: float):
    cross = {"kind": "cross", "angle": 1.0, "speed": 2.0, "acceleration": 0.5, "stop_after": 4.0, "at": 9.0}
    walks = {"body": "pedestrian", "speed": 0.0, "station": 30.0, "lane": lane, "behaviour": [cross]}
    world = begun({"actors": {"ego": {"speed": 10.0, "lane": 2}, "walks": walks}})
    wanted = {"kind": 4, "a": 0.5, "to": 2.0, "heading": side * 1.0, "stop_after": 4.0}
    assert record(world._batch.moves[0, 0], " ".join(wanted)) == pytest.approx(wanted)
    assert float(world._batch.cars[0, 1]["yaw"]) == pytest.approx(side * 1.0), "it looks where it is to go"
    later = begun({"actors": {"ego": {"speed": 10.0, "lane": 2}, "walks": {**walks, "speed": 0.1}}})
    assert float(later._batch.cars[0, 1]["yaw"]) == 0.0, "it walks along the road until then"


WHENS: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    "distance": ({"distance": 7.0, "delay": 0.3}, {"trigger": 1, "value": 7.0, "who": 0, "delay": 0.3}),
    "ttc": ({"ttc": 2.0, "to": "third"}, {"trigger": 2, "value": 2.0, "who": 2}),
    "headway": ({"headway": 1.5}, {"trigger": 3, "value": 1.5, "who": 0}),
    "station": ({"station": 70.0}, {"trigger": 4, "value": 70.0}),
    "after": ({"after": "third", "number": 1, "delay": 0.4}, {"trigger": 6, "after": 4, "delay": 0.4}),
    "after the first": ({"after": "ego"}, {"trigger": 6, "after": 0}),
}  # fmt: skip


@pytest.mark.parametrize("name", WHENS)
def test_the_record_of_a_condition_says_what_its_settings_say(name: str):
    when, wanted = WHENS[name]
    first = {"kind": "brake", "at": 1.0}
    actors = {
        "ego": {"speed": 10.0, "behaviour": [first, first]},
        "it": {"speed": 10.0, "lane": 2, "behaviour": [{"kind": "brake", "when": when}]},
        "third": {"speed": 10.0, "lane": 3, "behaviour": [first, first]},
    }  # fmt: skip
    assert record(begun({"actors": actors})._batch.moves[0, 2], " ".join(wanted)) == pytest.approx(wanted)


def test_a_station_of_oncoming_traffic_is_a_place_of_the_road_all_the_same():
    """It starts at 90 m, drives back, and brakes where it has come to 60 m of the road."""
    brake = {"kind": "brake", "deceleration": 5.0, "when": {"station": 60.0}}
    comes = {"speed": 10.0, "oncoming": True, "lane": 2, "station": 90.0, "behaviour": [brake]}
    for line in ([], [{"length": 40.0}]):
        got = chunk({"road": {"line": line}, "actors": {"ego": {"speed": 0.0}, "comes": comes}}, 4.0)
        assert got.events.columns["t"][0] == pytest.approx(3.0, abs=1e-6)
        assert got.events.columns["kind"][0] == "brake_start"


def test_the_record_of_a_run_and_of_its_road():
    tree = {
        "friction": 0.6, "settle": 1.5, "impact": {"restitution": [[2.0, 0.4], [6.0, 0.2]], "friction": 0.35},
        "road": {"lanes": 2, "lane_width": 3.0, "patches": [
            {"start": 5, "end": 9, "friction": 0.1, "right": 1, "left": 4}, {"start": 50, "end": 60, "friction": 0.3}]},
        "actors": {"other": {"speed": 9.0, "lane": 2}, "ego": {"speed": 10.0}},
    }  # fmt: skip
    faults = (
        Fault("fault:2", "road", "friction", 2.0, 3.0, 0.2, 0.5), Fault("fault:0", "ego.brakes", "fade", 2.0, INF, 0.7),
        Fault("fault:1", "other.actuator", "delay", 1.0, 4.0, 0.3),
    )  # fmt: skip
    batch = begun(tree, *faults)._batch
    assert (batch.names, batch.ego, batch.pieces) == (("other", "ego"), 1, 1)
    wanted = {"friction": 0.6, "settle": 1.5, "impact_friction": 0.35, "lanes": 2, "lane_width": 3.0, "bullet": 0,
              "window": 0, "worst": -1, "first_contact": INF, "over": 0}  # fmt: skip
    assert record(batch.runs[0], " ".join(wanted)) == wanted
    assert batch.patches[0].tolist() == [(5.0, 9.0, 1.0, 4.0, 0.1), (50.0, 60.0, -100.0, 100.0, 0.3)]
    assert batch.spots[0].tolist() == [(2.0, 0.4), (6.0, 0.2)]
    names = ("onset", "end", "severity", "ramp", "actor", "kind")
    assert [tuple(float(f[name]) for name in names) for f in batch.faults[0]] == [
        (1.0, 4.0, 0.3, 0.0, 0, 5), (2.0, INF, 0.7, 0.0, 1, 0), (2.0, 3.0, 0.2, 0.5, -1, 1),
    ]  # fmt: skip
    for model, bullet, window in (("bullet", 1, 0), ("window", 1, 1)):
        run = begun({**tree, "impact": {"model": model}})._batch.runs[0]
        assert (run["bullet"], run["window"]) == (bullet, window)


def test_runs_of_one_batch_keep_numbers_of_their_own():
    """Another number of manoeuvres, faults and rows of restitution: the shorter ones are filled with what never is."""
    one = {"actors": {"ego": {"speed": 10.0}}, "impact": {"restitution": 0.3}}
    two = {"actors": {"ego": {"speed": 10.0, "behaviour": [{"kind": "brake", "at": 1.0}]}},
           "impact": {"restitution": [[1.0, 0.4], [2.0, 0.2]]}, "friction": 0.5}  # fmt: skip
    settings = [Road.Settings.model_validate(tree) for tree in (one, two)]
    fault = Fault("fault:0", "ego.brakes", "fade", 1.0, 2.0, 0.5)
    world = Road(settings[0])
    draws = [Draw(7, 0, settings=settings[0], faults=(fault,)), Draw(7, 1, settings=settings[1])]
    world.start(draws, [Streams(7, n) for n in range(2)])
    batch = world._batch
    assert batch.spots.tolist() == [[(0.0, 0.3), (INF, 0.3)], [(1.0, 0.4), (2.0, 0.2)]]
    assert batch.moves["at"].tolist() == [[INF], [1.0]]
    assert batch.moves["kind"].tolist() == [[-1], [1]]
    assert batch.faults["onset"].tolist() == [[1.0], [INF]]
    assert batch.faults["kind"].tolist() == [[0], [-1]]
    assert batch.runs["friction"].tolist() == [0.8, 0.5]


@pytest.mark.parametrize("change", [{"rate": 200}, {"motion": False}, {"actors": {"ego": {"speed": 1.0}, "b": {
    "speed": 1.0}}}, {"road": {"line": [{"length": 9.0}]}}, {"road": {"patches": [
        {"start": 0, "end": 1, "friction": 1}]}}, {"impact": {"model": "bullet"}}])  # fmt: skip
def test_runs_that_differ_in_more_than_numbers_cannot_share_a_batch(change: dict[str, Any]):
    one = {"actors": {"ego": {"speed": 1.0}}}
    settings = [Road.Settings.model_validate(tree) for tree in (one, {**one, **change})]
    draws = [Draw(7, n, settings=setting) for n, setting in enumerate(settings)]
    with pytest.raises(RunError, match="run 1: its actors, rate, road pieces or impact model differ"):
        Road(settings[0]).start(draws, [Streams(7, n) for n in range(2)])
    assert Road.batch_key(settings[0]) != Road.batch_key(settings[1])


def test_a_batch_has_as_many_settings_as_draws():
    settings = Road.Settings.model_validate({"actors": {"ego": {"speed": 1.0}}})
    for draws in ([], [Draw(7, 0), Draw(7, 1)]):
        with pytest.raises(ValueError, match=r"zip|empty"):
            build_batch(draws, [settings])


# -- places ------------------------------------------------------------------------------------------------------------

PLACES: dict[str, tuple[dict[str, Any], float, float]] = {  # what is said; x and y wanted; the ego is at 5 m, 10 m/s
    "ahead": ({"gap": 20.0, "lane": 2}, 5 + 4.5 + 20, 5.25),
    "ahead by default": ({}, 5 + 4.5 + 30, 1.75),
    "bumper to bumper": ({"gap": 0.0, "lane": 2}, 5 + 4.5, 5.25),
    "behind": ({"gap": -20.0, "offset": -0.5}, 5 - 4.5 - 20, 1.25),
    "later": ({"gap": 20.0, "gap_at": 2.0, "speed": 7.0}, 5 + 20 + 4.5 + 20 - 14, 1.75),
    "behind later": ({"gap": -20.0, "gap_at": 2.0, "speed": 7.0}, 5 + 20 - 4.5 - 20 - 14, 1.75),
    "oncoming later": ({"gap": 20.0, "gap_at": 2.0, "speed": 7.0, "oncoming": True}, 5 + 20 + 4.5 + 20 + 14, 1.75),
    "across": ({"gap": 20.0, "heading": math.pi / 2}, 5 + 2.25 + 0.9 + 20, 1.75),
    "askew": ({"gap": 20.0, "heading": 0.5, "length": 6.0, "width": 1.0},
              5 + 2.25 + 3 * math.cos(0.5) + 0.5 * math.sin(0.5) + 20, 1.75),
    "askew to the right": ({"gap": 20.0, "heading": -0.5, "length": 6.0, "width": 1.0},
                           5 + 2.25 + 3 * math.cos(0.5) + 0.5 * math.sin(0.5) + 20, 1.75),
    "at a station": ({"station": -70.0, "gap": 3.0, "lane": 3}, -70.0, 8.75),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES)
def test_where_an_actor_starts(name: str):
    said, x, y = PLACES[name]
    rows = chunk({"actors": {"ego": {"speed": 10.0, "station": 5.0}, "it": {"speed": 10.0, **said}}})
    columns = rows.tables["actors"].columns
    assert (columns["x"][1], columns["y"][1]) == pytest.approx((x, y), abs=1e-9)
    assert (columns["x"][0], columns["y"][0]) == pytest.approx((5.0, 1.75), abs=1e-12)


def test_where_an_actor_of_a_crossing_starts_and_goes():
    """The side road crosses at 40 m at 1.2 rad through the middle of the main one; 2 lanes of 3 m."""
    road = {"lanes": 2, "crossings": {"side": {"at": 40.0, "angle": 1.2, "lanes": 2, "lane_width": 3.0}}}
    side = {"speed": 8.0, "road": "side", "station": -30.0, "lane": 2, "offset": 0.2}
    c, s = math.cos(1.2), math.sin(1.2)
    for oncoming, to in ((False, 1.0), (True, -1.0)):
        it = {**side, "oncoming": oncoming}
        columns = chunk({"road": road, "actors": {"ego": {"speed": 0.0}, "it": it}}, 1.0).tables["actors"].columns
        for t, way in ((0, -30.0), (20, -30.0 + to * 8.0)):
            x, y = 40.0 + way * c - 1.7 * s, 3.5 + way * s + 1.7 * c  # 1.7 m to the left of the middle
            assert (columns["x"][2 * t + 1], columns["y"][2 * t + 1]) == pytest.approx((x, y), abs=1e-6)


@pytest.mark.parametrize(("gap", "fits"), [(0.01, True), (-0.0001, False)])
def test_two_that_overlap_at_the_start_are_refused_with_their_names_and_the_run(gap: float, fits: bool):
    actors = {
        "far": {"speed": 1.0, "station": 300.0},
        "ego": {"speed": 1.0}, "it": {"speed": 1.0, "station": 4.5 + gap}, "last": {"speed": 1.0, "lane": 3},
    }  # fmt: skip
    world = Road(Road.Settings.model_validate({"actors": actors}))
    if fits:
        world.start([Draw(7, 5)], [Streams(7, 5)])
        return
    with pytest.raises(StartError, match="run 5: ego and it overlap at the start, t = 0 s"):
        world.start([Draw(7, 5)], [Streams(7, 5)])


def test_oncoming_traffic_keeps_to_its_lane_through_bends():
    line = [{"length": 20.0}, {"length": 50.0, "radius": 60.0}, {"length": 40.0, "radius": -50.0}, {"length": 10.0}]
    comes = {"speed": 12.0, "oncoming": True, "lane": 2, "station": 150.0, "model": "kinematic"}
    tree = {"road": {"lanes": 2, "line": line}, "actors": {"ego": {"speed": 0.0, "station": -40.0}, "comes": comes}}
    rows = chunk(tree, 12.0).tables["actors"].columns
    assert np.asarray(rows["d"][1::2]) == pytest.approx(5.25, abs=0.12)  # where the curvature jumps
    assert set(np.asarray(rows["lane"][1::2]).tolist()) == {2}
    assert rows["x"][-1] == pytest.approx(150.0 - 12.0 * 12.0, abs=1.0)  # its lane is as long as the road, nearly


# -- who is near behind whom -------------------------------------------------------------------------------------------


def scene_of(rng: np.random.Generator) -> dict[str, Any]:
    """Return six actors on three lanes, at any heading, of whom the second begins something at once."""
    act = [
        {"kind": "brake", "at": 0.0}, {"kind": "change_lane", "at": 0.0, "to": int(rng.integers(1, 4))},
        {"kind": "turn", "at": 0.0}, {"kind": "run_red_light", "at": 0.0},
    ][rng.integers(4)]  # fmt: skip
    actors = {}
    for n in range(6):
        actors["ego" if n == 0 else f"car{n}"] = {
            "body": str(rng.choice(["car", "truck", "motorcycle"])), "speed": float(rng.uniform(0.5, 12.0)),
            "lane": int(rng.integers(1, 4)), "offset": float(rng.uniform(-1.5, 1.5)),
            "station": 18.0 * float(rng.permutation(9)[0]) + 0.1 * n + 20.0 * n,
            "heading": float(rng.choice([0.0, rng.uniform(-1.5, 1.5)])), "behaviour": [act] if n == 1 else [],
        }  # fmt: skip
    return {"road": {"lanes": 3}, "actors": actors}


def test_who_is_behind_when_somebody_acts_and_what_its_event_tells():
    """Within ten seconds of its own speed: in its path already, or where the other goes; gap, speeds, lanes."""
    rng = np.random.default_rng(83)
    counts = np.zeros(2, int)
    for _ in range(110):
        tree = scene_of(rng)
        world = Road(Road.Settings.model_validate({"motion": False, **tree}))
        try:
            start = world.start([Draw(7, 0)], [Streams(7, 0)])
        except StartError:
            continue
        rows = {k: np.asarray(v) for k, v in start.tables["actors"].columns.items()}
        x, y, yaw, long, wide = (rows[name] for name in ("x", "y", "yaw", "length", "width"))
        speed = rows["speed"]
        move = tree["actors"]["car1"]["behaviour"][0]
        cause = world._logs[0].causes[1][0]
        reach = 0.5 * (np.abs(np.cos(yaw)) * long + np.abs(np.sin(yaw)) * wide)[1]
        across = 0.5 * (np.abs(np.sin(yaw)) * long + np.abs(np.cos(yaw)) * wide)[1]
        before = within = 0
        for j in (0, 2, 3, 4, 5):
            gap = x[1] - x[j] - 0.5 * long[j] - reach
            if x[1] <= x[j] or gap > 10.0 * speed[j]:
                continue
            beside = abs(y[1] - y[j]) < 0.5 * wide[j] + across
            goes = move["kind"] == "change_lane" and (abs((move["to"] - 0.5) * 3.5 - y[j]) < 0.5 * (wide[j] + wide[1]))
            within |= beside << j
            before |= (beside or goes or move["kind"] in ("turn", "run_red_light")) << j
        assert (cause.before, cause.within) == (before, within)
        assert (cause.x, cause.y, cause.yaw) == pytest.approx((x[1], y[1], yaw[1]))
        counts += (before != 0, within not in (0, before))
        details = json.loads(start.events.columns["details"][0])
        apart = x[1] - x[0]
        bumpers = abs(apart) - 0.5 * long[0] - 0.5 * (abs(np.cos(yaw[1])) * long[1] + abs(np.sin(yaw[1])) * wide[1])
        assert details["gap"] == pytest.approx(bumpers * math.copysign(1.0, apart), abs=1e-6)
        closing = (speed[0] - speed[1] * math.cos(yaw[1])) * (1 if details["gap"] >= 0.0 else -1)
        if bumpers > 0.0:
            assert details["closing_speed"] == pytest.approx(closing, abs=1e-6)
        if move["kind"] == "change_lane":
            assert details["from"] == rows["lane"][1]
    assert (counts > 8).all()


def test_somebody_who_was_hit_follows_nobody():
    """Two have met when the third, far ahead, brakes; a fourth drives on behind it and has it ahead."""
    actors = {
        "ego": {"speed": 30.0}, "stood": {"speed": 0.0, "gap": 3.0},
        "ahead": {"speed": 10.0, "gap": 60.0, "lane": 1, "behaviour": [{"kind": "brake", "at": 0.5}]},
        "drives": {"speed": 12.0, "lane": 1, "gap": 40.0},
    }  # fmt: skip
    world = begun({"actors": actors, "friction": 0.2})
    world.advance(1.0, None)
    cause = world._logs[0].causes[2][0]
    assert (cause.before, cause.within) == (1 << 3, 1 << 3)
