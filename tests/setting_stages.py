"""Small scenes in which settings of worlds matter: for each world a few, each with its settings, faults and duration.

A setting that shows in none of its world's stages needs one more here, or a value in tests/test_every_setting.py.
Numbers are SI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mischance.api.runs import Fault

HOUR = 3600.0


class Stage(NamedTuple):
    """Settings of a world as a tree, how long it is played [s], and its planned faults."""

    tree: Mapping[str, Any]
    duration: float
    faults: tuple[Fault, ...] = ()


def fault(number: int, target: str, kind: str, onset: float, lasts: float, severity: float) -> Fault:
    return Fault(f"fault:{number}", target, kind, onset, onset + lasts, severity)


def road(actors: Mapping[str, Any], duration: float = 1.5, **more: Any) -> Stage:
    return Stage({"actors": actors, **more}, duration)


ROAD: Sequence[Stage] = (
    road(  # a skewed impact on a patch of ice, in the ego's lane; behind it somebody follows
        {
            "ego": {"speed": 25.0, "offset": 0.2, "delay": 0.1, "behaviour": [
                {"kind": "brake", "at": 0.1, "deceleration": 4.0, "to": 15.0},
            ]},
            "other": {"gap": 6.0, "speed": 8.0, "mass": 900.0, "inertia": 900.0, "length": 4.0, "width": 1.7,
                      "height": 1.4, "wheelbase": 2.5, "offset": -0.3, "heading": 0.05, "behaviour": [
                {"kind": "brake", "deceleration": 9.0, "when": {"distance": 5.0, "delay": 0.05}},
            ]},
            "tail": {"gap": -12.0, "speed": 25.0, "behaviour": [{"kind": "follow"}]},
        },
        settle=0.6,
        road={"patches": [{"start": 3.0, "end": 12.0, "friction": 0.3, "right": 0.5, "left": 3.0}]},
    ),
    road(  # lane changes, one after the other, on a bend
        {
            "ego": {"speed": 20.0, "behaviour": [
                {"kind": "change_lane", "to": 2, "takes": 1.5, "offset": 0.3, "when": {"headway": 1.6, "to": "lead"}},
                {"kind": "accelerate", "to": 30.0, "when": {"after": "lead", "number": 1, "delay": 0.1}},
            ]},
            "lead": {"gap": 35.0, "speed": 15.0, "behaviour": [
                {"kind": "brake", "to": 12.0, "when": {"ttc": 6.6}},
                {"kind": "turn", "radius": 12.0, "angle": 1.0, "speed": 6.0, "when": {"station": 45.0}},
            ]},
            "tail": {"station": -40.0, "lane": 2, "speed": 20.0, "reverse": True},
            "far": {"gap": 40.0, "gap_at": 0.5, "oncoming": True, "lane": 3, "speed": 15.0},
        },
        road={"line": [{"length": 60.0}, {"length": 60.0, "radius": 80.0}], "lanes": 3},
        duration=2.5,
    ),
    road(  # people and a crossing
        {
            "ego": {"speed": 12.0},
            "walker": {"body": "pedestrian", "speed": 0.0, "gap": 26.0, "offset": -1.8, "behaviour": [
                {"kind": "cross", "angle": 1.4, "stop_after": 1.0, "when": {"arrive": 0.5, "to": "ego"}},
            ]},
            "child": {"body": "child", "speed": 0.0, "gap": 30.0, "offset": -3.0, "behaviour": [
                {"kind": "dart_out", "angle": 1.4, "stop_after": 2.0, "at": 0.2},
            ]},
            "sider": {"speed": 10.0, "road": "side", "station": -30.0, "behaviour": [
                {"kind": "run_red_light", "at": 0.3},
            ]},
        },
        road={"crossings": {"side": {"at": 60.0}}},
    ),
    road(  # along the edge, across the rounded kerb of a crossing
        {"ego": {"speed": 20.0, "offset": -1.2}}, road={"crossings": {"side": {"at": 20.0}}}
    ),
    road(  # near the limit of the tyres, and turned over
        {"ego": {"speed": 25.0, "lane": 2, "behaviour": [{"kind": "turn", "radius": 60.0, "angle": 1.5}]}}, 2.0
    ),
)  # fmt: skip
BURST = {"again": 0.9, "delay": HOUR, "gap": 60.0, "merchants": [2, 3]}
PAYMENTS: Sequence[Stage] = (
    Stage(
        {
            "cards": 60, "merchants": 20, "rate": 8.0 / 86400.0, "mistyped": 0.3, "issuer_declines": 0.1,
            "reissue": 2.0 * HOUR, "loss_limit": 100.0, "buffer": 0.3,
            "card_testing": BURST | {"report": {"delay": HOUR, "probe": 0.5}}, "ticket_sale": BURST,
        },
        24.0 * HOUR,
        (
            fault(0, "cards", "card_testing", HOUR, 9.0 * HOUR, 12.0),
            fault(1, "cards", "ticket_sale", 2.0 * HOUR, 9.0 * HOUR, 12.0),
        ),
    ),
)  # fmt: skip
QUADROTOR: Sequence[Stage] = (
    Stage(  # a gust against a wall, a bird and a second drone on the way, a fence
        {
            "drones": {
                "one": {
                    "at": [0.0, 0.0, 8.0], "velocity": [3.0, 0.0, 0.0], "heading": 0.3,
                    "mission": [{"at": [2.0, 0.0, 8.0], "hold": 0.2}, {"at": [30.0, 0.0, 9.0], "speed": 4.0}],
                    "battery": {"charge": 0.3},
                },
                "two": {"at": [5.0, -6.0, 8.0], "delay": 0.3, "mission": [{"at": [5.0, 20.0, 8.0], "speed": 8.0}]},
            },
            "birds": {"gull": {"at": [3.0, -12.0, 8.0], "velocity": [0.0, 14.0, 0.0]}},
            "obstacles": {
                "wall": {"kind": "box", "at": [8.0, 2.4, 8.0], "size": [20.0, 2.0, 20.0], "yaw": 0.1},
                "mast": {"kind": "cylinder", "at": [5.0, -3.0, 6.0], "radius": 0.4, "height": 4.4},
            },
            "fence": {"x": [-1.0, 2.2], "y": [-20.0, 0.4], "z": [0.0, 8.05]}, "separation": 2.0, "deviation": 0.2,
            "upset": 0.5, "settle": 0.5, "wind": {"speed": 2.0, "gust_direction": 1.5, "gust_climb": 0.2},
        },
        3.0,
        (fault(0, "wind", "gust", 0.5, 2.0, 12.0), fault(1, "one.estimator", "bias", 0.3, 2.0, 3.0)),
    ),
    Stage(  # down onto the ground, sliding
        {"drones": {"one": {"at": [0.0, 0.0, 0.8], "velocity": [2.0, 0.0, -0.5],
                            "mission": [{"at": [1.0, 0.0, 0.2], "speed": 1.0}]}}},
        2.0,
    ),
    Stage(  # a bird strike, to the ground
        {"drones": {"one": {"at": [0.0, 0.0, 3.0], "velocity": [0.0, 0.0, 0.0]}},
         "birds": {"gull": {"at": [0.0, -4.0, 3.05], "velocity": [0.0, 10.0, 0.0]}}},
        2.0,
    ),
)  # fmt: skip
ONE_TRIP = {"rate": 0.0, "planned": [{"origin": [0, 0], "destination": [3, 0]}]}
WAREHOUSE: Sequence[Stage] = (
    Stage(  # people in the aisles, orders by chance
        {"people": {"rate": 0.5, "walkers": [{"before": 1, "after": 5.0, "ahead": 1.8, "stands": 1.0}]},
         "orders": {"rate": 0.05, "planned": [{"origin": [0, 0], "destination": [3, 0]}]}, "fleet": {"count": 3}},
        60.0,
    ),
    Stage(  # a load falls in front of another AGV
        {"people": {"rate": 0.0}, "fleet": {"count": 2, "homes": [[0, 0], [1, 1]]}, "loads": {"lies": 80.0},
         "orders": {**ONE_TRIP, "planned": [
             *ONE_TRIP["planned"], {"at": 20.0, "origin": [0, 0], "destination": [3, 1]},
         ], "due": 30.0}},
        95.0,
        (fault(0, "agv1.load", "drop", 23.5, 10.0, 1.0),),
    ),
    Stage(  # two loads for one bay
        {"people": {"rate": 0.0}, "fleet": {"count": 2, "homes": [[0, 0], [0, 1]]}, "grid": {"columns": 2, "rows": 2},
         "orders": {"rate": 0.0, "planned": [
             {"origin": [0, 0], "destination": [1, 0]}, {"origin": [0, 1], "destination": [1, 0]},
         ]}, "conveyor": {"capacity": 1, "interval": 60.0}},
        100.0,
    ),
    Stage(  # somebody steps in front of an AGV that sees little
        {"people": {"rate": 0.0, "walkers": [{"before": 1, "after": 5.0, "ahead": 1.0, "stands": 2.0}]},
         "orders": ONE_TRIP, "fleet": {"count": 2}, "grid": {"friction": 0.2}},
        60.0,
        (fault(0, "agv1.scanner", "blind", 2.0, 50.0, 0.6),),
    ),
)  # fmt: skip
FREE = {"force": None, "following": None, "separation": None}
ARM: Sequence[Stage] = (
    Stage(  # the arm meets a body at once
        {"task": {"speed": 1.5}, "person": {"stands": [0.7, 0.0], "reaches": False, "to": [0.4, 0.0, 0.05]},
         "fixture": {"at": [0.5, 0.5]}, "monitor": {"separation": None, "following": None}},
        0.35,
    ),
    Stage(  # watched, and a hand comes near
        {"task": {"speed": 1.5}, "person": {"at": 0.2, "takes": 0.3, "holds": 0.1}, "monitor": {"separation": 0.1}},
        1.0,
        (fault(0, "joint1", "torque_loss", 0.1, 0.8, 0.9),),
    ),
    Stage(  # what it carries meets body, hand and forearm, with slippery pads
        {"task": {"speed": 1.5}, "person": {"stands": [0.75, 0.0], "reaches": False, "to": [0.45, 0.0, 0.05]},
         "monitor": FREE},
        2.1,
        (fault(0, "gripper", "slip", 1.6, 0.3, 0.6),),
    ),
)  # fmt: skip
FLEET: Sequence[Stage] = (Stage({"loss": 0.4, "patience": 2.5}, 20.0),)
STAGES: Mapping[str, Sequence[Stage]] = {
    "arm": ARM, "fleet_dispatch": FLEET, "payments": PAYMENTS, "quadrotor": QUADROTOR, "road": ROAD,
    "warehouse": WAREHOUSE,
}  # fmt: skip


# -- what drivers meet: one run each, side by side in one batch --------------------------------------------------------


def meeting(ego: Mapping[str, Any], other: Mapping[str, Any], third: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"actors": {"ego": ego, "other": other, "third": third}, "motion": False}


AWAY = {"speed": 20.0, "lane": 3, "gap": -60.0}
MEETINGS: Sequence[Mapping[str, Any]] = (
    meeting({"speed": 25.0}, {"gap": 22.0, "speed": 25.0, "behaviour": [{"kind": "brake", "at": 0.3}]}, AWAY),
    meeting({"speed": 25.0}, {"gap": 60.0, "speed": 18.0}, AWAY),
    meeting(  # a cut-in, close
        {"speed": 30.0},
        {"gap": 22.0, "speed": 20.0, "lane": 2, "behaviour": [{"kind": "change_lane", "to": 1, "takes": 2.0}]}, AWAY,
    ),
    meeting(  # a cut-in, far and slow
        {"speed": 25.0},
        {"gap": 35.0, "speed": 17.0, "lane": 2, "behaviour": [{"kind": "change_lane", "to": 1, "takes": 4.0}]}, AWAY,
    ),
    meeting(  # a cut-out in front of somebody who stands
        {"speed": 20.0},
        {"gap": 16.0, "speed": 20.0, "behaviour": [{"kind": "change_lane", "to": 2, "takes": 1.5}]},
        {"gap": 75.0, "speed": 0.0},
    ),
    meeting(
        {"speed": 12.0},
        {"body": "pedestrian", "gap": 25.0, "offset": -4.0, "speed": 0.0, "behaviour": [
            {"kind": "cross", "speed": 2.5, "acceleration": 3.0},
        ]}, AWAY,
    ),
    meeting({"speed": 25.0}, {"gap": 1.0, "lane": 2, "offset": -0.9, "speed": 22.0}, AWAY),
    meeting(
        {"speed": 12.0},
        {"body": "cyclist", "gap": 22.0, "offset": -4.5, "speed": 0.0, "behaviour": [
            {"kind": "cross", "speed": 4.0, "acceleration": 3.0, "stop_after": 3.0},
        ]}, AWAY,
    ),
)  # fmt: skip
