"""What a scenario may say about the road: the range and the default of every number, and what does not go together.

The ranges are the published contract (the JSON Schema and the pages of options show them); each is tried at its ends.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from mischance.simulators.road import manoeuvres, settings, state
from mischance.simulators.road.settings import Impact, Settings

# model, field, range (a bracket belongs to it, a parenthesis does not), default ("!": it has to be given)
RANGES = """
Piece length (0, 10000] !
Patch friction (0, 2] !
Crossing lanes [1, 8] 2
Crossing lane_width [2, 6] 3.5
Crossing reach [10, 2000] 80
Crossing kerb [0, 50] 4
Lanes lanes [1, 8] 3
Lanes lane_width [2, 6] 3.5
Lanes length [50, 5000] 600
Actor speed [0, 100] !
Actor lane [1, ∞) 1
Actor offset [-100, 100] 0
Actor gap_at [0, ∞) 0
Actor length (0, 30] None
Actor width (0, 5] None
Actor height (0, 5] None
Actor wheelbase (0, 20] None
Actor balance [0.3, 0.7] 0.5
Actor mass [0.1, 80000] None
Actor mass_height (0, 3] None
Actor inertia (0, ∞) None
Actor brakes (0, 15] None
Actor drive (0, 15] None
Actor jerk [0, ∞) None
Actor delay [0, 2] 0
Actor steer_rate (0, 20] 0.8
Actor cornering (1, 100] 20.9
Impact friction [0, 2] 0.25
Settings friction (0, 2] 0.8
Settings settle (0, ∞) 3
Settings rate [20, 2000] 100
When distance [0, ∞) None
When ttc (0, ∞) None
When headway (0, ∞) None
When arrive [0, 1] None
When number [0, ∞) 0
When delay [0, ∞) 0
Brake at [0, ∞) 0
ChangeLane to [1, ∞) !
ChangeLane takes [0.3, 30] 3
ChangeLane offset [-5, 5] 0
Brake deceleration (0, 15] 6
Brake to [0, ∞) 0
Accelerate acceleration (0, 15] 2
Accelerate to [0, 100] !
Follow headway (0, ∞) 1.5
Follow gap (0, ∞) 2
Follow acceleration (0, 10] 1.5
Follow comfort (0, 10] 2
Cross angle [0, 3.2] 1.5707963267948966
Cross stop_after (0, ∞) None
Cross speed (0, 30] 1.3888888888888888
Cross acceleration (0, 15] 1
DartOut angle [0, 3.2] 1.5707963267948966
DartOut speed (0, 30] 2.7777777777777777
DartOut acceleration (0, 15] 3
Turn radius [4, 500] 10
Turn speed (0, 50] None
"""
DEFAULTS = {
    "Piece": {"radius": None}, "Patch": {"right": -100.0, "left": 100.0}, "Crossing": {"angle": math.pi / 2},
    "Lanes": {"line": (), "patches": (), "crossings": {}}, "Impact": {"model": "analytic", "restitution": 0.1},
    "Actor": {"body": "car", "road": None, "oncoming": False, "reverse": False, "heading": 0.0, "gap": 30.0,
              "station": None, "behaviour": (), "model": "auto"},
    "Settings": {"motion": True}, "When": {"station": None, "after": None, "to": "ego"}, "Turn": {"angle": math.pi / 2},
    "Brake": {"when": None},
}  # fmt: skip
COUNTS = {("Lanes", "line"): 6, ("Lanes", "patches"): 8, ("Lanes", "crossings"): 4, ("Actor", "behaviour"): 12}


def model(name: str) -> Any:
    return getattr(settings, name, None) or getattr(manoeuvres, name)


def numbers() -> list[tuple[str, str, str, str]]:
    return [tuple(line.replace(", ", ",").split()) for line in RANGES.strip().splitlines()]  # type: ignore[misc]


def valid(name: str, field: str, value: object) -> bool:
    info = model(name).model_fields[field]
    try:
        TypeAdapter(Annotated[(info.annotation, *info.metadata)]).validate_python(value)
    except ValidationError:
        return False
    return True


def test_every_number_has_its_range_and_its_default():
    for name, field, ends, default in numbers():
        low, high = (float(end.replace("∞", "inf")) for end in ends[1:-1].split(","))
        step = 1 if field in ("lanes", "lane", "number") or (name, field) == ("ChangeLane", "to") else 1e-9
        for end, belongs, out in ((low, ends[0] == "[", -1), (high, ends[-1] == "]", 1)):
            if math.isinf(end):
                assert valid(name, field, 10**6 if step == 1 else 1e6), (name, field)
                continue
            more = step if step == 1 else step * max(abs(end), 1.0)
            number = int if step == 1 else float
            assert valid(name, field, number(end)) == belongs, (name, field, end)
            assert not valid(name, field, number(end + out * more)), (name, field, end)
            assert valid(name, field, number(end - out * more)), (name, field, end)
        info = model(name).model_fields[field]
        if default == "!":
            assert info.is_required(), (name, field)
        else:
            assert info.default == (None if default == "None" else float(default)), (name, field)


def test_every_other_key_has_its_default_and_lists_have_a_longest_length():
    for name, wanted in DEFAULTS.items():
        assert {field: model(name).model_fields[field].default for field in wanted} == wanted
    for (name, field), most in COUNTS.items():
        assert model(name).model_fields[field].metadata[0].max_length == most
    assert Settings.model_validate({"actors": {"ego": {"speed": 1.0}}}).impact == Impact.model_validate({})


def test_no_number_of_the_settings_is_left_out():
    told = {(name, field) for name, field, _, _ in numbers()} | set(COUNTS)
    told |= {(name, field) for name, fields in DEFAULTS.items() for field in fields}
    for name in ("Piece", "Patch", "Crossing", "Lanes", "Actor", "Impact", "When", "Brake", "Accelerate", "Follow"):
        for field, info in model(name).model_fields.items():
            limits = [part for part in info.metadata if type(part).__name__ in ("Ge", "Gt", "Le", "Lt")]
            assert not limits or (name, field) in told or field == "at", (name, field)


BEND = {"length": 60.0, "radius": 20.0}
EGO, CAR = {"speed": 10.0}, {"speed": 10.0, "lane": 2}
WALKER = {"body": "pedestrian", "speed": 0.0, "gap": 40.0}


def of(**more: Any) -> dict[str, Any]:
    return {"actors": {"ego": EGO, "other": {**CAR, **more}}}


def does(**when: Any) -> dict[str, Any]:
    return of(behaviour=[{"kind": "brake", "when": when}])


# what is said; None, or a part of the refusal
TOGETHER: list[tuple[dict[str, Any], str | None]] = [
    ({"actors": {"ego": EGO}, "road": {"lanes": 2, "line": [{"length": 60, "radius": -15}]}}, None),
    ({"actors": {"ego": EGO}, "road": {"lanes": 2, "line": [{"length": 60, "radius": -14.99}]}}, "at least 15 m"),
    ({"actors": {"ego": EGO}, "road": {"lanes": 2, "lane_width": 5, "line": [{"length": 60, "radius": 15}]}}, None),
    ({"actors": {"ego": EGO}, "road": {"lanes": 3, "lane_width": 5, "line": [BEND]}}, None),
    ({"actors": {"ego": EGO}, "road": {"lanes": 3, "lane_width": 5.01, "line": [BEND]}}, "it takes 20.03 m"),
    ({"actors": {"ego": EGO}, "road": {"lanes": 3, "lane_width": 5.01, "line": [{"length": 60, "radius": -20}]}}, None),
    ({"actors": {"ego": EGO}, "road": {"line": [{"length": 120, "radius": 20}]}}, None),
    ({"actors": {"ego": EGO}, "road": {"line": [{"length": 120.1, "radius": -20}]}}, "runs into itself"),
    ({"actors": {"ego": EGO}, "road": {"line": [{"length": 900}, {"length": 120.1, "radius": 20}]}}, "runs into"),
    ({"actors": {"ego": EGO}, "road": {"patches": [{"start": 1, "end": 1.1, "friction": 1}]}}, None),
    ({"actors": {"ego": EGO}, "road": {"patches": [{"start": 1, "end": 1, "friction": 1}]}}, "ends behind its start"),
    ({"actors": {"ego": EGO}, "road": {"patches": [{"start": 1, "end": 2, "friction": 1, "right": 3, "left": 3}]}},
     "lies left"),
    ({"actors": {"ego": EGO}, "road": {"crossings": {"side": {"at": 9, "angle": 0.253}}}}, None),
    ({"actors": {"ego": EGO}, "road": {"crossings": {"side": {"at": 9, "angle": -0.252}}}}, "15 degrees"),
    ({"actors": {"other": EGO}}, "must be called 'ego'"),
    ({"actors": {"ego": EGO}, "rate": 60}, None),
    ({"actors": {"ego": EGO}, "rate": 50}, "multiple of 20 Hz"),
    (of(road="side"), "is not there; crossings: none"),
    ({**of(road="side"), "road": {"crossings": {"side": {"at": 9}}}}, "needs a `station`"),
    ({**of(road="side", station=-9), "road": {"crossings": {"side": {"at": 9}}}}, None),
    ({**of(road="side", station=-9, lane=3), "road": {"crossings": {"side": {"at": 9}}}}, "lane 3 of a road with 2"),
    (of(wheelbase=4.5), None),
    (of(wheelbase=4.51), "4.51 m between its axles"),
    (of(lane=3), None),
    (of(lane=4), "wants lane 4 of a road with 3"),
    (of(behaviour=[{"kind": "change_lane", "to": 3}]), None),
    (of(behaviour=[{"kind": "change_lane", "to": 4}]), "wants lane 4"),
    (of(behaviour=[{"kind": "cross"}]), "cannot cross: use `turn`"),
    (of(behaviour=[{"kind": "dart_out"}]), "cannot dart out"),
    (of(body="cyclist", behaviour=[{"kind": "cross"}]), None),
    (of(body="occluder", speed=0.0), None),
    (of(body="occluder", speed=0.1), "cannot move"),
    (of(body="occluder", speed=0.0, behaviour=[{"kind": "brake"}]), "it does nothing"),
    (does(distance=3.0), None),
    (does(distance=3.0, ttc=1.0), "got 2"),
    (does(), "got 0"),
    (does(distance=3.0, to="nobody"), "waits for 'nobody'"),
    (does(distance=3.0, to="other"), "waits for itself"),
    (does(station=3.0, to="other"), None),
    (does(after="other"), None),
    (does(after="other", number=1), "manoeuvre 1 of other, who has no such one"),
    (does(after="ego"), "manoeuvre 0 of ego"),
    (does(arrive=0.5), "`arrive` goes with `cross` and `dart_out`"),
    ({"actors": {"ego": EGO, "w": {**WALKER, "behaviour": [{"kind": "cross", "when": {"arrive": 0.5}}]}}}, None),
    ({"actors": {"ego": EGO}, "impact": {"restitution": [[n, 0.5] for n in range(8)]}}, None),
    ({"actors": {"ego": EGO}, "impact": {"restitution": [[n, 0.5] for n in range(9)]}}, "1 to 8 rows"),
    ({"actors": {"ego": EGO}, "impact": {"restitution": []}}, "1 to 8 rows"),
    ({"actors": {"ego": EGO}, "impact": {"restitution": [[0, 1.0], [1, 0.0]]}}, None),
    ({"actors": {"ego": EGO}, "impact": {"restitution": [[0, 1.001]]}}, "between 0 and 1"),
    ({"actors": {"ego": EGO}, "impact": {"restitution": -0.001}}, "between 0 and 1"),
    ({"actors": {"ego": EGO}, "impact": {"restitution": [[2, 0.5], [2, 0.4]]}}, "must rise"),
]  # fmt: skip


@pytest.mark.parametrize("n", range(len(TOGETHER)))
def test_what_does_not_go_together_is_refused_in_words_and_the_last_that_does_is_taken(n: int):
    tree, words = TOGETHER[n]
    if words is None:
        Settings.model_validate(tree)
        return
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(tree)
    assert words in str(caught.value)


def test_the_codes_of_a_kind_of_record_are_counted_from_zero():
    """Labels, events and the tables of names use them as indices."""
    for family in (
        "RAILS KINEMATIC DYNAMIC SLIDING FIXED HELD", "AUTO ONLY_KINEMATIC ONLY_DYNAMIC",
        "CHANGE_LANE BRAKE ACCELERATE FOLLOW CROSS TURN RED_LIGHT", "FADE FRICTION STUCK OFFSET BLOW_OUT DELAY",
        "AT_TIME AT_DISTANCE AT_TTC AT_HEADWAY AT_STATION AT_ARRIVE AT_AFTER", "GOING ASKING ANSWERED DUE STEPPED",
        "MOVE_START MOVE_END HARD_BRAKING CONTACT RUN_END ROLLOVER GROUND",
    ):  # fmt: skip
        codes = [getattr(state, name) for name in family.split()]
        assert codes == list(range(len(codes)))
    assert sorted(state.WAYS.values()) == [0, 1, 4, 5]
    assert (state.TABLE_RATE, state.QUEUE, state.AGAIN) == (20, 64, 0.5)
    # the pieces of the road, the straight one after them, and a turn's second piece
    assert COUNTS["Lanes", "line"] + 2 <= state.SEGMENTS
