"""What the events of a run tell, and its reason: every detail and every sentence from records made by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault, join_chunks
from mischance.simulators.road import Road
from mischance.simulators.road.events import Cause, EventLog, motion, words
from mischance.simulators.road.manoeuvres import Manoeuvre
from mischance.simulators.road.measures import WAYS_OUT, _astray, _way_out
from mischance.simulators.road.state import (
    CONTACT,
    EVENT,
    GROUND,
    HARD_BRAKING,
    IMPACT,
    MOVE_END,
    MOVE_START,
    ROLLOVER,
    RUN,
    RUN_END,
)

EGO, OTHER, THIRD = 0, 1, 2
NAMES = ("ego", "other", "third")


def move(kind: str, **keys: Any) -> Any:
    return TypeAdapter(Manoeuvre).validate_python({"kind": kind, **keys})


def event(t: float, kind: int, actor: int, number: int = -1, **fields: float) -> tuple[Any, ...]:
    given = {"t": t, "kind": kind, "actor": actor, "move": number, "hit": -1, "still": math.nan, **fields}
    return tuple(given.get(name, 0) for name in EVENT.names or ())


def impact(t: float, a: int, b: int, **fields: Any) -> tuple[Any, ...]:
    return tuple({"t": t, "a": a, "b": b, **fields}.get(name, 0) for name in IMPACT.names or ())


def log(*plans: Any, faults: tuple[Fault, ...] = (), ego: int = EGO) -> EventLog:
    return EventLog(NAMES, ego, plans, faults)


# -- manoeuvres --------------------------------------------------------------------------------------------------------

GAP = {"v0": 12.0, "v1": 20.0, "v2": 15.0, "v3": 2, "v4": 1}  # the ego has 20 m/s in lane 1, the other 15 in lane 2
CLOSING = " 12.0 m ahead (0.60 s headway), closing at 5.0 m/s"
SEEN = {"gap": 12.0, "closing_speed": 5.0, "thw": 0.6}
MOVES = {
    "cut in": (move("change_lane", to=1), OTHER, {}, "lane_change_start", SEEN | {"from": 2, "to": 1, "takes": 3.0},
               f"other cut in at 1.25 s{CLOSING}"),
    "other lane": (move("change_lane", to=3, takes=2), OTHER, {}, "lane_change_start",
                   SEEN | {"from": 2, "to": 3, "takes": 2.0}, f"other changed to lane 3 at 1.25 s{CLOSING}"),
    "own lane": (move("change_lane", to=2), OTHER, {}, "lane_change_start",
                 SEEN | {"from": 2, "to": 2, "takes": 3.0}, f"other moved over within lane 2 at 1.25 s{CLOSING}"),
    "own lane, that of the ego": (move("change_lane", to=2), OTHER, {"v4": 2}, "lane_change_start",
                                  SEEN | {"from": 2, "to": 2, "takes": 3.0},
                                  f"other moved over within lane 2 at 1.25 s{CLOSING}"),
    "the ego's": (move("change_lane", to=1), EGO, {"v3": 2, "v4": 2}, "lane_change_start",
                  {"from": 2, "to": 1, "takes": 3.0}, "ego changed to lane 1 at 1.25 s"),
    "the ego's within its lane": (move("change_lane", to=2), EGO, {"v3": 2, "v4": 2}, "lane_change_start",
                                  {"from": 2, "to": 2, "takes": 3.0}, "ego changed to lane 2 at 1.25 s"),
    "behind, closing": (move("change_lane", to=1), OTHER, {"v0": -8.0, "v2": 26.0}, "lane_change_start",
                        {"gap": -8.0, "closing_speed": 6.0, "from": 2, "to": 1, "takes": 3.0},
                        "other cut in at 1.25 s 8.0 m behind, closing at 6.0 m/s"),
    "behind, opening": (move("change_lane", to=1), OTHER, {"v0": -8.0}, "lane_change_start",
                        {"gap": -8.0, "closing_speed": -5.0, "from": 2, "to": 1, "takes": 3.0},
                        "other cut in at 1.25 s 8.0 m behind, opening at 5.0 m/s"),
    "ahead, opening": (move("change_lane", to=1), OTHER, {"v2": 22.0}, "lane_change_start",
                       {"gap": 12.0, "closing_speed": -2.0, "thw": 0.6, "from": 2, "to": 1, "takes": 3.0},
                       "other cut in at 1.25 s 12.0 m ahead (0.60 s headway), opening at 2.0 m/s"),
    "bumper to bumper": (move("change_lane", to=1), OTHER, {"v0": 0.0}, "lane_change_start",
                         {"gap": 0.0, "closing_speed": 5.0, "thw": 0.0, "from": 2, "to": 1, "takes": 3.0},
                         "other cut in at 1.25 s 0.0 m ahead (0.00 s headway), closing at 5.0 m/s"),
    "before an ego that stands": (move("brake", deceleration=7, to=2), OTHER, {"v1": 0.0, "v2": -0.0625},
                                  "brake_start",
                                  {"gap": 12.0, "closing_speed": 0.0625, "deceleration": 7.0, "to": 2.0},
                                  "other braked with 7.0 m/s2 at 1.25 s 12.0 m ahead, closing at 0.1 m/s"),
    "at 5 cm/s": (move("brake", deceleration=7), OTHER, {"v1": 0.05, "v2": 0.0}, "brake_start",
                  {"gap": 12.0, "closing_speed": 0.05, "thw": 240.0, "deceleration": 7.0, "to": 0.0},
                  "other braked with 7.0 m/s2 at 1.25 s 12.0 m ahead (240.00 s headway), closing at 0.1 m/s"),
    "at the ego's speed": (move("accelerate", acceleration=1.5, to=30), OTHER, {"v2": 20.03}, "accelerate_start",
                           {"gap": 12.0, "closing_speed": -0.03, "thw": 0.6, "acceleration": 1.5, "to": 30.0},
                           "other accelerated with 1.5 m/s2 at 1.25 s 12.0 m ahead (0.60 s headway), at the ego's"
                           " speed"),
    "crossing": (move("cross", speed=2, angle=1.0), OTHER, {}, "cross_start", SEEN | {"speed": 2.0, "angle": 1.0},
                 f"other began to cross at 1.25 s{CLOSING}"),
    "darting out": (move("dart_out", speed=4, angle=1.0), OTHER, {}, "dart_out", SEEN | {"speed": 4.0, "angle": 1.0},
                    f"other darted out at 1.25 s{CLOSING}"),
    "left": (move("turn", angle=1.0, radius=9), OTHER, {}, "turn_start", SEEN | {"angle": 1.0, "radius": 9.0},
             f"other turned left at 1.25 s{CLOSING}"),
    "right": (move("turn", angle=-1.0, radius=9), OTHER, {}, "turn_start", SEEN | {"angle": -1.0, "radius": 9.0},
              f"other turned right at 1.25 s{CLOSING}"),
    "red": (move("run_red_light"), OTHER, {}, "red_light_run", SEEN, f"other ran a red light at 1.25 s{CLOSING}"),
    "following": (move("follow"), OTHER, {}, "follow_start", SEEN, None),
}  # fmt: skip


@pytest.mark.parametrize("case", MOVES)
def test_the_start_of_a_manoeuvre_in_details_and_in_words(case: str):
    plan, actor, changes, kind, details, text = MOVES[case]
    told = log(plan)
    fields = {"x": 3.0, "y": 4.0, "yaw": 0.5, "before": 5, "within": 4}
    t, event_id, parent, said, subject, found = told.tell(
        [event(1.25, MOVE_START, actor, 0, **(GAP | changes | fields))], []
    )[0]
    assert (t, event_id, parent, said, subject) == (1.25, "event:0", "", kind, NAMES[actor])
    assert json.loads(found) == pytest.approx(details)
    clears = kind in ("lane_change_start", "turn_start", "cross_start", "dart_out")
    own = [Cause(1.25, "event:0", text, 5, 4, 3.0, 4.0, 0.5, clears)] if text else []
    assert told.causes.get(actor, []) == own


def test_speeding_up_after_another_manoeuvre_is_not_what_led_to_it():
    told = log(move("accelerate", to=30), move("change_lane", to=1), move("accelerate", to=40))
    told.tell([event(float(n), MOVE_START, OTHER, n, **GAP) for n in range(3)], [])
    assert [cause.event_id for cause in told.causes[OTHER]] == ["event:0", "event:1"]


def test_events_after_a_start_have_it_as_their_parent():
    told = log(move("brake"), move("change_lane", to=1))
    rows = told.tell(
        [
            event(0.5, MOVE_START, OTHER, 1, **GAP), event(1.0, MOVE_START, THIRD, 0, before=1 << OTHER, **GAP),
            event(2.0, MOVE_END, OTHER, 1, v0=1), event(2.5, HARD_BRAKING, THIRD, 0, v0=-6.0, v1=14.0),
            event(3.0, HARD_BRAKING, OTHER, v0=-5.0, v1=15.0, before=1 << EGO),
            event(3.5, HARD_BRAKING, EGO, v0=-7.0, v1=18.0), event(4.0, GROUND, EGO, v0=0.2, v1=9.0),
            event(5.0, RUN_END, EGO, 1), event(5.0, RUN_END, EGO, 0),
        ],
        [],
    )  # fmt: skip
    assert [(kind, subject, parent) for _, _, parent, kind, subject, _ in rows] == [
        ("lane_change_start", "other", ""), ("brake_start", "third", ""), ("lane_change_end", "other", "event:0"),
        ("hard_braking", "third", "event:1"), ("hard_braking", "other", "event:1"), ("hard_braking", "ego", "event:4"),
        ("friction_change", "ego", ""), ("run_end", "ego", ""), ("run_end", "ego", ""),
    ]  # fmt: skip
    assert [json.loads(row[5]) for row in rows[2:]] == [
        {"lane": 1}, {"acceleration": -6.0, "speed": 14.0}, {"acceleration": -5.0, "speed": 15.0},
        {"acceleration": -7.0, "speed": 18.0}, {"friction": 0.2, "speed": 9.0}, {"why": "at rest"}, {"why": "settled"},
    ]  # fmt: skip
    # car following makes a cause of its own, but not the ego's, nor braking that its manoeuvre already is
    assert [cause.text for own in told.causes.values() for cause in own if "hard" in cause.text] == [
        "other braked hard at 3.00 s"
    ]
    assert EGO not in told.causes


def test_contacts_have_their_cause_as_parent_and_later_ones_the_first_contact():
    fade = Fault("fault:0", "ego.brakes", "fade", 0.5, 2.0, 1.0)
    told = log(move("change_lane", to=1), faults=(fade, Fault("fault:1", "third.brakes", "fade", 0.5, 9.0, 1.0)))
    first = impact(2.0, EGO, OTHER, closing=6.0, jx=-3.0, jy=4.0, dvax=0.3, dvay=0.4, dvbx=0.8, dvby=-0.6, lost=77.0,
                   side_a=0, side_b=1, event=0)  # fmt: skip
    again = impact(2.1, EGO, OTHER, again=1, event=0)
    last = impact(3.0, OTHER, THIRD, closing=1.0, side_a=3, side_b=2, event=2)
    rows = told.tell(
        [
            event(1.0, MOVE_START, OTHER, 0, **GAP), event(2.0, CONTACT, EGO, hit=0),
            event(2.5, ROLLOVER, OTHER, v0=1.3), event(3.0, CONTACT, OTHER, hit=2),
        ],
        [first, again, last],
    )  # fmt: skip
    assert [row[2] for row in rows] == ["", "event:0", "event:1", "event:1"]
    assert json.loads(rows[1][5]) == {
        "with": "other", "closing_speed": 6.0, "impulse": 5.0, "delta_v": {"ego": 0.5, "other": 1.0},
        "energy_lost": 77.0, "sides": {"ego": "front", "other": "rear"}, "faults": ["fault:0"],
    }  # fmt: skip
    assert json.loads(rows[2][5]) == {"tilt": 1.3}
    assert json.loads(rows[3][5])["sides"] == {"other": "right side", "third": "left side"}
    assert json.loads(rows[3][5])["faults"] == ["fault:1"]
    assert told.contact_ids == ["event:1", "event:1", "event:3"]
    assert told.rolled == [OTHER]
    bare = log(faults=())
    assert bare.tell([event(2.0, CONTACT, EGO, hit=0)], [first])[0][2] == ""


# -- causes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("t", "acts"), [(0.9, False), (1.0, False), (1.01, True), (4.99, True), (5.0, False)])
def test_a_fault_may_be_a_cause_from_its_onset_until_three_seconds_after_its_end(t: float, acts: bool):
    own, road, others = (Fault(f"fault:{i}", target, "fade", 1.0, 2.0, 1.0)
                         for i, target in enumerate(("ego.brakes", "road", "third.brakes")))  # fmt: skip
    assert log(faults=(own, road, others)).acting(t, (EGO, OTHER)) == ([own, road] if acts else [])


def of(t: float, **more: Any) -> Cause:
    return Cause(t, f"event:{t}", f"at {t}", **more)


def test_the_order_in_which_a_cause_is_looked_for():
    """The other's own; a third one's, to which one of the two reacted; a fault; the ego's."""
    fault = Fault("fault:0", "road", "friction", 0.5, 9.0, 0.1)
    told = log(faults=(fault,))
    told.causes = {
        OTHER: [of(1.0), of(2.0), of(6.0)], THIRD: [of(3.0, before=1 << EGO), of(3.5, before=1 << OTHER)],
        EGO: [of(2.5, before=1 << OTHER)],
    }  # fmt: skip
    pair = (EGO, OTHER)
    assert told.chain(pair, 5.0, {}) == of(2.0)
    assert told.chain(pair, 2.0, {}) == of(2.0)
    assert told.chain(pair, 6.0, {}) == of(6.0)
    of_fault = Cause(0.5, "fault:0", "friction of road", 0, 0, 0.0, 0.0, 0.0, False)
    assert told.chain((OTHER, EGO), 0.9, {}) == of_fault
    third, later = told.causes[THIRD]
    assert told.chain(pair, 5.0, {EGO: 3.1}, behind=True) == third
    assert told.chain(pair, 5.0, {EGO: 3.1, OTHER: 3.6}, behind=True) == later
    assert told.chain(pair, 5.0, {EGO: 3.0, OTHER: 3.5}, behind=True) == of_fault  # before it began
    assert told.chain(pair, 3.2, {EGO: 3.1, OTHER: 3.6}, behind=True) == third
    assert told.chain(pair, 3.0, {EGO: 3.1}, behind=True) == third
    told.faults = []
    assert told.chain(pair, 5.0, {}, behind=True) == told.causes[EGO][0]
    assert told.chain((OTHER, EGO), 5.0, {}, behind=True) == told.causes[EGO][0]
    told.causes[EGO] = [of(2.5, before=1 << THIRD)]
    assert told.chain(pair, 5.0, {}, behind=True) is None, "the ego did it before somebody else"
    assert told.chain((EGO, THIRD), 2.6, {}) == told.causes[EGO][0]
    assert told.chain((OTHER, THIRD), 0.1, {}) is None


def test_the_cause_of_a_contact_counts_when_each_of_the_two_reacted():
    """The third one's braking, ahead of the ego alone, leads to it if the ego reacted after it; whoever is `a`."""
    for a, b in ((EGO, OTHER), (OTHER, EGO)):
        for reacted, leads in (({EGO: 1.5, OTHER: 0.0}, True), ({EGO: 0.5, OTHER: 1.5}, False)):
            told = log(move("brake"))
            start = event(1.0, MOVE_START, THIRD, 0, before=1 << EGO, **GAP)
            side = impact(2.0, a, b, side_a=2, side_b=0, event=0)
            rows = told.tell([start, event(2.0, CONTACT, a, hit=0, v0=reacted[a], v1=reacted[b])], [side])
            assert rows[1][2] == ("event:0" if leads else "")


def test_a_contact_of_two_others_has_what_one_of_them_did_as_its_cause():
    told = log(move("change_lane", to=1))
    hit = impact(2.0, OTHER, THIRD, side_a=0, side_b=1, event=0)
    rows = told.tell([event(1.0, MOVE_START, OTHER, 0, **GAP), event(2.0, CONTACT, OTHER, hit=0)], [hit])
    assert rows[1][2] == "event:0"
    assert told.cause(hit) == told.causes[OTHER][0]
    ahead = told.tell([event(3.0, CONTACT, OTHER, hit=1)], [impact(3.0, EGO, OTHER, side_a=1, side_b=0, event=1)])
    assert ahead[0][2] == "event:1"
    assert told.cause(told.hits[1]) is None, "the ego was hit from behind: for that the other need do nothing"


@pytest.mark.parametrize(("place", "leads"), [(None, True), ((4.0, 7.0), True), ((4.0, 3.0), False)])
@pytest.mark.parametrize(("clears", "within"), [(True, 1), (False, 1), (True, 2), (True, 0)])
def test_who_leaves_a_path_leads_to_what_stood_beyond(place, leads: bool, clears: bool, within: int):
    """It stood at (3, 5), heading along +y: what is met further along y stood beyond it."""
    left = Cause(1.0, "event:0", "it left", 0, within, 3.0, 5.0, math.pi / 2, clears)
    told = log()
    told.causes = {THIRD: [left]}
    found = told.chain((EGO, OTHER), 2.0, {}, place)
    assert found == (left if clears and within and leads else None)


def test_the_motion_of_the_other_one_in_words():
    """Relative to a body that heads along +y: its left is -x."""
    yaw = math.pi / 2
    assert motion("it", (0.05, 0.05), 0.0) == "it stood in the way"
    assert motion("it", (0.1, 0.0), 0.0) == "it went ahead at 0.1 m/s"
    assert motion("it", (0.5, 7.0), yaw) == "it went ahead at 7.0 m/s"
    assert motion("it", (0.5, -7.0), yaw) == "it came towards it at 7.0 m/s"
    assert motion("it", (-8.0, 7.0), yaw) == "it crossed from the right at 8.0 m/s"
    assert motion("it", (8.0, 7.0), yaw) == "it crossed from the left at 8.0 m/s"
    assert motion("it", (5.0, 5.0), 0.0) == "it went ahead at 5.0 m/s"


def test_a_fault_in_words_says_when_it_ended_if_it_has():
    fault = Fault("fault:0", "ego.brakes", "fade", 1.0, 2.0, 1.0)
    assert [words(fault, t) for t in (1.5, 2.0, 2.5)] == [
        "fade of ego.brakes", "fade of ego.brakes", "fade of ego.brakes until 2.00 s",
    ]  # fmt: skip


@pytest.mark.parametrize("ego", [EGO, OTHER])
def test_how_the_other_one_came(ego: int):
    """`a` ran with its front into the rear of `b`: for b as the ego it came from behind."""
    told = log(ego=ego)
    hit = impact(1.0, EGO, OTHER, side_a=0, side_b=1, vax=20.0, vbx=6.0, yaw_a=0.0, yaw_b=0.0)
    assert told.came(hit) == ("other went ahead at 6.0 m/s" if ego == EGO else "ego ran into other from behind")
    side = impact(1.0, EGO, OTHER, side_a=0, side_b=2, vax=0.0, vay=-9.0, vbx=0.0, vby=4.0, yaw_a=0.1, yaw_b=0.1)
    assert told.came(side) == (
        "other crossed from the right at 4.0 m/s" if ego == EGO else "ego crossed from the left at 9.0 m/s"
    )
    assert told.came(None) == ""
    assert told.came(impact(1.0, 1 - ego, THIRD)) == ""


def test_the_sentence_of_a_cause_and_the_faults_that_were_active():
    fault, other = (Fault(f"fault:{i}", f"{who}.brakes", "fade", 1.0, 9.0, 1.0) for i, who in enumerate(NAMES[:2]))
    told = log(faults=(fault, other))
    both = "fade of ego.brakes and fade of other.brakes"
    assert told.why(None, (EGO, OTHER), 0.5, "", "") == "nobody did anything out of the ordinary"
    assert told.why(None, (EGO, OTHER), 0.5, "it came", ", stood") == "it came"
    assert told.why(None, (EGO, OTHER), 2.0, "it came", "") == f"it came with {both}"
    assert told.why(of(1.0), (EGO, THIRD), 2.0, "it came", ", stood") == "at 1.0 with fade of ego.brakes"
    named = Cause(1.0, "fault:0", "fade of ego.brakes")
    assert told.why(named, (EGO, THIRD), 2.0, "", "") == "fade of ego.brakes"
    told.causes = {OTHER: [of(1.0)], EGO: [of(1.5)]}
    assert told.why(of(1.0), (OTHER, EGO), 0.5, "it came", ", stood") == "at 1.0, stood"
    assert told.why(of(1.5), (OTHER, EGO), 0.5, "it came", ", stood") == "at 1.5", "not of what the ego did"


@pytest.mark.parametrize("pair", [(EGO, OTHER), (OTHER, EGO)])
def test_who_had_stood_in_the_way_for_a_second_is_an_obstacle_whatever_it_begins_then(pair: tuple[int, int]):
    """It had stood since 1 s in the path of the ego, and begins something at 2 s: that brought it nowhere."""
    for still, within, stands in ((1.0, 1 << EGO, True), (1.01, 1 << EGO, False), (0.5, 1 << THIRD, False),
                                  (math.nan, 1 << EGO, False)):  # fmt: skip
        told = log()
        late = Cause(2.0, "event:1", "late", within=within, still=still)
        told.causes = {OTHER: [of(0.5), late]}
        assert told.chain(pair, 3.0, {}) == (told.causes[OTHER][0] if stands else late)
        assert told.stood(pair, 3.0, {OTHER: 2.5}) == (", and had stood for 2.0 s since 1.00 s" if stands else "")
    told.causes = {OTHER: [of(0.5)], EGO: [Cause(2.0, "event:1", "own", within=1 << OTHER, still=0.5)]}
    for moved, said in ((1.0, "2.0 s since 1.00 s"), (2.0, "1.0 s since 2.00 s"), (2.01, "")):
        assert told.stood(pair, 3.0, {OTHER: moved, EGO: 0.0}) == (f", and had stood for {said}" if said else "")
    assert told.stood(pair, 3.0, {}) == ""
    assert told.stood((OTHER, THIRD), 3.0, {OTHER: 0.0}) == "", "an encounter of others"


def test_a_contact_tells_when_each_of_the_two_had_last_moved():
    told = log()
    told.tell([event(2.0, CONTACT, OTHER, hit=0, v2=1.5, v3=0.25)], [impact(2.0, OTHER, EGO, event=0)])
    assert told.moved(told.hits[0]) == {OTHER: 1.5, EGO: 0.25}
    assert told.moved(impact(2.0, OTHER, EGO, event=7)) == {}


def test_what_is_to_begin_says_what_sets_it_off():
    ego = {"speed": 20.0, "behaviour": [{"kind": "brake", "at": 1.5}]}
    other = {
        "speed": 20.0,
        "behaviour": [
            {"kind": "change_lane", "to": 1, "when": {"distance": 7.0, "delay": 0.5}},
            {"kind": "follow", "at": 2.0, "when": {"ttc": 3.0}},
        ],
    }
    found = Road.triggers(Road.Settings.model_validate({"actors": {"ego": ego, "other": other}}))
    assert [tuple(one) for one in found] == [
        ("actors.ego.behaviour[0]", "at 1.5 s", "brake_start", "ego"),
        ("actors.other.behaviour[0]", "when distance: 7.0, delay: 0.5", "lane_change_start", "other"),
        ("actors.other.behaviour[1]", "from 2 s on, when ttc: 3.0", "follow_start", "other"),
    ]


WAYS = [
    ({"passed": 1, "max_brake": 9.0, "max_aside": 9.0}, "passing ahead"),
    ({"max_brake": 1.0, "max_aside": 9.0}, "braking"),
    ({"max_brake": 0.99, "max_aside": 0.5}, "steering"), ({"max_brake": 0.99, "max_aside": 0.49}, "rule"), ({}, "rule"),
]  # fmt: skip


def test_what_kept_the_ego_out_of_a_contact_from_its_records():
    runs = np.zeros(len(WAYS), RUN)
    for run, (values, _) in zip(runs, WAYS, strict=True):
        for name, value in values.items():
            run[name] = value
    assert [WAYS_OUT[code] for code in _way_out(runs, np.zeros(len(WAYS), bool))] == [way for _, way in WAYS]
    assert [WAYS_OUT[code] for code in _way_out(runs, np.ones(len(WAYS), bool))] == ["none"] * len(WAYS)


ASTRAY = [
    ({}, ""), ({"max_off": 0.5}, ""), ({"max_off": 0.51}, "ego left its path by 0.5 m"),
    ({"max_off": 0.8, "max_aside": 0.5}, "ego left its path by 0.8 m"), ({"max_off": 0.8, "max_aside": 0.51}, ""),
    ({"slick": 0.75}, "ego came onto friction 0.75 at 1.00 s"), ({"slick": 0.76}, ""),
    ({"slick": 0.3, "max_off": 0.9}, "ego came onto friction 0.30 at 1.00 s and left its path by 0.9 m"),
    ({"slick": 0.3, "t_slick": 2.0}, ""), ({"slick": 0.3, "t_slick": 1.99}, "ego came onto friction 0.30 at 1.99 s"),
    ({"side_need": 9.0, "side_had": 7.8}, ""),
    ({"side_need": 9.0, "side_had": 7.8, "max_off": 0.6, "max_aside": 0.6},
     "ego was too fast for the bend at 1.00 s (9.0 m/s2 sideways of 7.8) and left its path by 0.6 m"),
    ({"side_need": 9.0, "side_had": 7.8, "max_off": 0.6, "t_side": 2.0},
     "ego was too fast for the bend at 2.00 s (9.0 m/s2 sideways of 7.8) and left its path by 0.6 m"),
    ({"side_need": 9.0, "side_had": 7.8, "max_off": 0.6, "t_side": 2.1}, "ego left its path by 0.6 m"),
]  # fmt: skip


@pytest.mark.parametrize("n", range(len(ASTRAY)))
def test_why_the_ego_had_left_its_path_from_its_record(n: int):
    """By 2 s, on a road of friction 0.8: ice counts below 0.95 of that, and half a metre is no path any more."""
    values, said = ASTRAY[n]
    run = np.zeros(1, RUN)
    for name, value in {"friction": 0.8, "slick": 0.8, "t_slick": 1.0, "t_side": 1.0, **values}.items():
        run[name] = value
    assert _astray(run[0], "ego", 2.0) == said


# -- the reason --------------------------------------------------------------------------------------------------------


def played(tree: dict[str, Any], until: float = 6.0, *faults: Fault) -> tuple[dict[str, Any], Chunk]:
    world = Road(Road.Settings.model_validate({"motion": False, **tree}))
    chunks = [world.start([Draw(7, 0, faults=faults)], [Streams(7, 0)]), world.advance(until, None)]
    return {name: values[0] for name, values in world.outcome()[0].columns.items()}, join_chunks(chunks)


@pytest.mark.parametrize("first", ["ego", "truck"])
def test_the_reason_of_a_collision_names_both_sides_and_the_egos_own_change_of_velocity(first: str):
    """A truck of eight times the mass runs into the ego: whichever of the two is listed first."""
    actors = {"ego": {"speed": 5.0, "lane": 1}, "truck": {"body": "truck", "speed": 20.0, "gap": -15.0, "lane": 1}}
    got, _ = played({"actors": {name: actors[name] for name in sorted(actors, key=lambda name: name != first)}})
    impulse = 1.1 * 15.0 / (1 / 1500 + 1 / 12000)
    assert got["reason"] == (
        "collision: truck ran into ego from behind; ego did not brake; rear of ego met front of truck at 1.000 s,"
        f" closing at 15.0 m/s, delta-v {impulse / 1500:.1f} m/s"
    )
    assert got["delta_v"] == pytest.approx(impulse / 1500, rel=1e-9)
    assert got["other.delta_v"] == pytest.approx(impulse / 12000, rel=1e-9)
    assert got["impulse"] == pytest.approx(impulse, rel=1e-9)
    assert got["energy_lost"] == pytest.approx(0.5 * (1 - 0.1**2) * 15.0**2 / (1 / 1500 + 1 / 12000), rel=1e-9)
    assert abs(got["pdof"]) == pytest.approx(math.pi)
    assert got["impact_side"] == 1  # rear
    assert (got["contact_speed"], got["contact_time"]) == pytest.approx((15.0, 1.0), abs=1e-9)
    assert (got["min_ttc"], got["t_min_ttc"], got["min_gap"], got["t_min_gap"]) == pytest.approx((0.0, 1.0, -15.0, 1.0))


def test_the_reason_of_a_near_miss_gives_the_least_gap_the_shortest_time_and_the_braking():
    brake = {"kind": "brake", "at": 0.5, "deceleration": 5.0, "to": 0.0}
    ego = {"speed": 20.0, "jerk": 0.0, "behaviour": [brake]}
    got, chunk = played({"actors": {"ego": ego, "stands": {"speed": 0.0, "gap": 52.0}}})
    gap = 52.0 - 10.0 - 40.0
    assert chunk.tables["actors"].columns["gap"][-1] == pytest.approx(gap, abs=1e-6)
    # ttc (42 - 20 s + 2.5 s^2) / (20 - 5 s) is least where 12.5 s^2 - 100 s + 190 = 0
    s = (100.0 - math.sqrt(100.0**2 - 4 * 12.5 * 190.0)) / 25.0
    ttc = (42.0 - 20.0 * s + 2.5 * s * s) / (20.0 - 5.0 * s)
    assert got["min_ttc"] == pytest.approx(ttc, abs=1e-4)
    assert got["t_min_ttc"] == pytest.approx(0.5 + s, abs=0.011)
    assert got["reason"] == (
        "no contact: ego braked with 5.0 m/s2 at 0.50 s; ego braked from 0.51 s with up to 5.0 m/s2; closest 2.00 m to"
        f" stands at {got['t_min_gap']:.2f} s, shortest time to collision {ttc:.2f} s at {got['t_min_ttc']:.2f} s"
    )
    assert got["t_min_gap"] == pytest.approx(4.5, abs=0.011)


def test_reasons_without_anybody_and_without_any_danger():
    got, _ = played({"actors": {"ego": {"speed": 10.0}}}, 1.0)
    assert got["reason"] == "no contact: nobody else was there"
    got, _ = played({"actors": {"ego": {"speed": 10.0}, "beside": {"speed": 10.0, "lane": 2, "gap": 20.0}}}, 1.0)
    assert got["reason"] == (
        "no contact: nobody did anything out of the ordinary; ego did not brake; closest 20.07 m to beside at 0.00 s,"
        " never on a collision course"
    )


@pytest.mark.parametrize(("mu", "what"), [(0.3, "friction 0.30"), (2.0, "its brakes")])
def test_the_reason_says_what_the_brakes_lacked(mu: float, what: str):
    """From 20 m/s on within 20 m: 10 m/s2 are needed at once; there are 0.3 g, or the 8 of its brakes."""
    ego = {"speed": 20.0, "brakes": 8.0}
    got, _ = played({"friction": mu, "actors": {"ego": ego, "stands": {"speed": 0.0, "gap": 20.0}}})
    had = min(8.0, mu * 9.81)
    assert got["reason"].endswith(f"; brake demand 10.0 m/s2 exceeded the {had:.1f} of {what} from 0.00 s on")
    got, _ = played({"friction": 2.0, "actors": {"ego": {**ego, "brakes": 12.0}, "stands": {"speed": 0.0, "gap": 20}}})
    # 12 m/s2 are needed within 16.67 m, from 0.167 s on: the step after it
    assert got["reason"].endswith("; brake demand 12.0 m/s2 exceeded the 12.0 of its brakes from 0.17 s on")
