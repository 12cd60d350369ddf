"""The world `warehouse`: laws of queues, braking and contact, reservations, faults with their events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import hypot, inf, pi, sqrt
from typing import Any

import numpy as np
import pytest

pytest.importorskip("simpy")

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault
from mischance.errors import RunError
from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw, twin
from mischance.simulators.warehouse import Warehouse
from mischance.simulators.warehouse.motion import Body, Piece, first_contact, nearest, roots
from tests.support import digests, rows_of

G = 9.80665
SCENARIOS = ("blind_scanner", "late_stop", "lost_reservation", "head_on", "dropped_load", "conveyor_jam")
NOBODY = {"rate": 0.0}
ALONG = {"count": 1, "homes": [[0, 0]]}
STRAIGHT = {"rate": 0.0, "planned": [{"at": 0.5, "origin": [0, 0], "destination": [3, 0]}]}


def run(
    until: float = 90.0, faults: Sequence[Fault] = (), number: int = 0, **settings: Any
) -> tuple[dict[str, Any], Chunk, Warehouse]:
    """Play one run; return its outcome, all rows after t = 0 and the world."""
    world = Warehouse(Warehouse.Settings.model_validate(settings))
    world.start([Draw(7, number, faults=tuple(faults))], [Streams(7, number)])
    chunk = world.advance(until, None)
    return {name: values[0] for name, values in world.outcome()[0].columns.items()}, chunk, world


def fault(target: str, kind: str, severity: float, onset: float = 0.0, end: float = inf, number: int = 0) -> Fault:
    return Fault(f"fault:{number}", target, kind, onset, end, severity)


def walker(**changes: Any) -> dict[str, Any]:
    return {"rate": 0.0, "walkers": [{"ahead": 2.0, "speed": 1.2, "after": 5.0, **changes}]}


def events(chunk: Chunk, kind: str) -> list[dict[str, Any]]:
    rows = chunk.events.run(0)
    found = [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]
    return [{**row, **json.loads(row["details"])} for row in found if row["kind"] == kind]


# -- orders -----------------------------------------------------------------------------------------------------------


def test_orders_come_as_a_poisson_process():
    rate, until = 0.05, 40_000.0
    # an AGV that handles for ever leaves the arrivals alone
    _, chunk, _ = run(until, orders={"rate": rate}, people=NOBODY, fleet={"count": 1, "handling": 1e9})
    t = np.array([row["t"] for row in events(chunk, "order")])
    assert abs(len(t) - rate * until) < 4 * sqrt(rate * until)
    gaps = np.diff(t) * rate
    assert abs(gaps.var() - 1.0) < 4 * sqrt(8.0 / len(gaps)), "exponential: variance of the sample variance is 8 / n"
    origin = np.array([row["origin"][0] for row in events(chunk, "order")])
    counts = np.bincount(origin, minlength=4)
    assert (abs(counts - len(t) / 4) < 4 * np.sqrt(len(t) * 3 / 16)).all()
    assert all(row["origin"] != row["destination"] for row in events(chunk, "order"))


def test_a_lone_agv_takes_the_time_of_its_profile_for_every_order():
    there, back = [0, 0], [2, 0]
    planned = [{"origin": (there, back)[k % 2], "destination": (back, there)[k % 2]} for k in range(6)]
    outcome, chunk, _ = run(900.0, orders={"rate": 0, "planned": planned}, people=NOBODY, fleet=ALONG)
    v, a, b, turn, handling = 1.5, 0.6, 0.8, 0.8, 6.0
    diagonal = 0.35 * 12.0 * sqrt(2.0)
    drives = sum(way / v + v / (2 * a) + v / (2 * b) for way in (diagonal, 24.0, diagonal))
    # a bay is left heading -135 degrees and entered heading 45
    turns = {"out": (pi, 3 * pi / 4, pi / 4), "home": (pi, pi / 4, 3 * pi / 4)}
    time = {key: 2 * handling + drives + sum(angles) / turn for key, angles in turns.items()}
    done = np.array([row["t"] for row in events(chunk, "delivered")])
    first = time["out"] - (pi - 3 * pi / 4) / turn  # at the very first it heads along x
    steps = [time[("home", "out")[k % 2]] for k in range(5)]
    np.testing.assert_allclose(done, first + np.concatenate([[0], np.cumsum(steps)]), rtol=1e-12)
    assert outcome["delay_mean"] == pytest.approx(done.mean(), rel=1e-12)
    assert outcome["throughput"] == 6 * 4


def test_what_comes_in_goes_out_where_the_fleet_is_large_enough():
    rate, until = 0.015, 6000.0
    outcome, chunk, _ = run(until, orders={"rate": rate}, people=NOBODY, fleet={"count": 4})
    assert abs(outcome["orders_done"] - rate * until) < 4 * sqrt(rate * until) + 5
    rows = chunk.tables["orders"].run(0)
    arrived = {int(k): t for t, k, s in zip(rows["t"], rows["order"], rows["stage"], strict=True) if s == 0}
    delays = [t - arrived[int(k)] for t, k, s in zip(rows["t"], rows["order"], rows["stage"], strict=True) if s == 3]
    assert outcome["delay_mean"] == pytest.approx(np.mean(delays))


# -- reservations -----------------------------------------------------------------------------------------------------

BUSY = {"orders": {"rate": 0.1}, "fleet": {"count": 6}, "grid": {"columns": 3, "rows": 3}}


@pytest.mark.parametrize("number", range(10))
def test_agvs_that_reserve_crossings_never_come_nearer_than_the_clearance(number: int):
    people = NOBODY if number % 2 else {"rate": 0.05}
    outcome, _, _ = run(600.0, number=number, people=people, **BUSY)
    assert outcome["contacts"] == 0
    assert outcome["min_separation"] >= 0.3 - 1e-9
    assert outcome["orders_done"] > 3


@pytest.mark.parametrize("kind", ["message_loss", "clock_skew"])
def test_reservations_that_fail_let_agvs_touch(kind: str):
    severity = 1.0 if kind == "message_loss" else 15.0
    hits = 0
    for number in range(6):
        outcome, chunk, world = run(600.0, [fault("dispatch", kind, severity)], number, people=NOBODY, **BUSY)
        if outcome["contacts"]:
            hits += 1
            assert outcome["verdict"] == "AGVs touched"
            assert f"{kind} of dispatch" in outcome["reason"]
            assert outcome["margin"] == -outcome["impact_speed"] < 0
            assert chunk.over.all()
            assert chunk.ends[0] == outcome["contact_time"]
            labels = world.outcome()[1].run(0)
            assert json.loads(labels["causes"][list(labels["class"]).index("event/contact")])[1:] == ["fault:0"]
    assert hits >= 3


def test_nothing_locks_up():
    grid = {"columns": 2, "rows": 2}
    nodes = [[0, 0], [1, 1], [1, 0], [0, 1]]
    planned = [{"origin": nodes[k % 4], "destination": nodes[(k + 1 + k // 4 % 3) % 4]} for k in range(40)]
    outcome, _, _ = run(
        4000.0, grid=grid, fleet={"count": 4}, orders={"rate": 0, "planned": planned}, people={"rate": 0.02}
    )
    assert (outcome["orders_done"], outcome["contacts"]) == (40, 0)


# -- braking and contact ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("faults", "latency", "a"),
    [
        ([], 0.2, 2.5),
        ([fault("agv1.brakes", "fade", 0.6)], 0.2, 1.0),
        ([fault("agv1.scanner", "late", 0.4)], 0.6, 2.5),
        ([fault("estop", "latency", 0.7)], 0.9, 2.5),
        ([fault("floor", "friction", 0.8)], 0.2, 0.1 * G),
        ([fault("floor", "friction", 0.4), fault("estop", "latency", 0.3)], 0.5, 2.5),
        ([fault("agv2.brakes", "fade", 0.9)], 0.2, 2.5),
    ],
)
def test_an_emergency_stop_takes_latency_and_braking_distance(faults: list[Fault], latency: float, a: float):
    outcome, chunk, _ = run(
        60.0, faults, fleet={"count": 2, "homes": [[0, 0], [3, 2]]}, orders=STRAIGHT,
        people=walker(ahead=8.0, stands=20.0), safety={"range": 5.0}, grid={"friction": 0.5},
    )  # fmt: skip
    v = 1.5
    (stop,) = events(chunk, "stop")
    (halted,) = events(chunk, "halted")
    assert stop["ahead"] == pytest.approx(5.0, abs=1e-12)
    assert stop["speed"] == v
    assert halted["t"] - stop["t"] == pytest.approx(latency + v / a, abs=1e-12)
    rows = chunk.tables["actors"].run(0)
    stands = (rows["actor"] == "agv1") & (rows["t"] > halted["t"]) & (rows["t"] < halted["t"] + 0.5)
    walks = rows["actor"] == "walker1"
    gap = rows["x"][walks][0] - rows["x"][stands][0] - 0.6 - 0.25
    assert gap == pytest.approx(5.0 - v * latency - v * v / (2 * a), abs=1e-9)
    assert (rows["speed"][stands] == 0).all()
    assert outcome["stops"] == 1
    assert outcome["min_separation"] == pytest.approx(gap, abs=1e-9)


@pytest.mark.parametrize(("ahead", "walk"), [(0.3, 1.6), (0.6, 1.2), (0.9, 1.0), (1.2, 0.8)])
@pytest.mark.parametrize("cut", [7.3, 90.0])
def test_a_contact_comes_when_the_closed_form_says(ahead: float, walk: float, cut: float):
    """Two discs, one at 1.5 m/s along x, one crossing at constant speed: a quadratic in time."""
    outcome, chunk, _ = run(
        90.0, [fault("agv1.scanner", "blind", 1.0)], fleet=ALONG, orders=STRAIGHT, rate=100.0 / cut,
        people=walker(ahead=ahead, speed=walk, stands=5.0),
    )  # fmt: skip
    v, reach, half = 1.5, 0.85, 1.5
    dx, dy = ahead + reach, -half
    a, b, c = v * v + walk * walk, 2 * (-v * dx + walk * dy), dx * dx + dy * dy - reach * reach
    tau = (-b - sqrt(b * b - 4 * a * c)) / (2 * a)
    assert tau < half / walk, "the person is still walking"
    (step,) = events(chunk, "step_out")
    assert outcome["contact_time"] - step["t"] == pytest.approx(tau, abs=1e-9)
    closing = ((dx - v * tau) * v - (dy + walk * tau) * walk) / reach
    assert outcome["impact_speed"] == pytest.approx(closing, abs=1e-9)
    assert outcome["margin"] == -outcome["impact_speed"]
    assert outcome["verdict"] == "a person was touched"
    assert "blind of agv1.scanner" in outcome["reason"]


def test_only_faults_that_had_a_part_are_blamed():
    late, wet = fault("estop", "latency", 1.5), fault("floor", "friction", 0.8, number=1)
    dry = fault("floor", "friction", 0.3, number=1)  # the brakes are weaker than the floor
    told = {}
    for name, faults in {"before": [late, wet], "wet": [fault("estop", "latency", 0.5), wet],
                         "dry": [fault("estop", "latency", 0.8), dry]}.items():  # fmt: skip
        outcome, _, _ = run(90.0, faults, fleet=ALONG, orders=STRAIGHT, people=walker(ahead=1.8, stands=5.0))
        told[name] = outcome["reason"].partition(": ")[2]
    assert told == {
        "before": "latency of estop",
        "wet": "latency of estop and friction of floor",
        "dry": "latency of estop",
    }


def test_somebody_who_steps_out_too_near_is_touched_without_any_fault():
    outcome, _, _ = run(90.0, fleet=ALONG, orders=STRAIGHT, people=walker(ahead=0.4, speed=1.6, stands=5.0))
    assert outcome["reason"].endswith("walker1 stepped out 0.40 m ahead of it")
    assert outcome["impact_speed"] > 0


def test_the_margin_goes_through_zero_without_a_step():
    found = []
    for latency in np.linspace(0.5, 1.1, 61):
        outcome, _, _ = run(
            60.0, [fault("estop", "latency", latency)], fleet=ALONG, orders=STRAIGHT, people=walker(stands=6.0)
        )
        found.append((outcome["margin"], outcome["contacts"]))
    margin = np.array([m for m, _ in found])
    assert margin[0] > 0 > margin[-1]
    assert (np.diff(margin) <= 1e-12).all(), "the later the stop, the worse"
    assert all((m < 0) == (hit == 1) for m, hit in found)
    # the impact speed is sqrt(2 a x) for x metres too few
    assert margin[margin < 0].max() > -sqrt(2 * 2.5 * 1.5 * 0.01) - 1e-9


def test_a_chain_of_events_leads_from_the_order_to_the_contact():
    _, chunk, _ = run(90.0, [fault("estop", "latency", 1.5)], fleet=ALONG, orders=STRAIGHT, people=walker(stands=5.0))
    rows = chunk.events.run(0)
    parent = dict(zip(rows["event_id"], rows["parent_id"], strict=True))
    kind = dict(zip(rows["event_id"], rows["kind"], strict=True))
    chain = [events(chunk, "contact")[0]["event_id"]]
    while parent[chain[-1]]:
        chain.append(parent[chain[-1]])
    assert [kind[event] for event in chain] == ["contact", "stop", "trip", "order"]


def test_an_agv_goes_on_when_the_field_has_been_free():
    outcome, chunk, _ = run(
        90.0, fleet=ALONG, orders=STRAIGHT, people=walker(ahead=2.2, stands=5.0), safety={"restart": 1.5}
    )
    (step,), (resumed,) = events(chunk, "step_out"), events(chunk, "resumed")
    assert resumed["t"] == pytest.approx(step["t"] + 3.0 / 1.2 + 5.0 + 1.5, abs=1e-9)
    assert (outcome["orders_done"], outcome["contacts"]) == (1, 0)


def moving(rng: np.random.Generator) -> Body:
    pieces, t = [], 0.0
    for _ in range(4):
        angle, end = rng.uniform(0, 2 * pi), t + rng.uniform(0.5, 2.0)
        v = rng.uniform(0.5, 2.0)
        a = rng.uniform(-v / (end - t), 1.0)
        x, y = pieces[-1].at(t) if pieces else rng.uniform(-4, 4, 2)
        pieces.append(Piece(t, end, x, y, angle, (np.cos(angle), np.sin(angle)), v=v, a=a))
        t = end
    return Body("", 0.5, pieces, vehicle=True)


@pytest.mark.parametrize("pairs", [15, pytest.param(60, marks=pytest.mark.slow)])
def test_contact_and_least_distance_agree_with_looking_very_often(pairs: int):
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(pairs):
        a, b = moving(rng), moving(rng)
        end = min(a.pieces[-1].end, b.pieces[-1].end)
        t = np.linspace(0.0, end, 20_001)
        gap = np.array([hypot(*(p - q for p, q in zip(a.piece(x).at(x), b.piece(x).at(x), strict=True))) for x in t])
        gap -= 1.0
        assert abs(nearest(a, b, 0.0, end) - gap.min()) < 2e-3
        when, closing = first_contact(a, b, 0.0, end)
        below = np.flatnonzero(gap < 0)
        if gap[0] > 0 and gap.min() < -1e-3:
            hits += 1
            assert t[below[0] - 1] - 1e-9 <= when <= t[below[0]] + 1e-9
            assert closing == pytest.approx(-(np.diff(gap) / np.diff(t))[below[0] - 1], abs=0.05)
        elif gap.min() > 1e-3:
            assert when == inf
    assert hits > pairs / 12


def test_roots_are_all_found():
    c = np.poly([0.5, 1.0, 2.5, 4.0])[::-1]
    np.testing.assert_allclose(roots(list(c), 0.0, 3.0), [0.5, 1.0, 2.5], rtol=1e-12)
    assert roots([1.0, 0.0, 1.0], 0.0, 9.0) == []


# -- how near it was -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fade", [0.0, 0.5, 0.8])
def test_the_brake_threat_number_is_what_was_needed_over_what_there_was(fade: float):
    """A person stands 5 m ahead of an AGV at 1.5 m/s, which brakes 0.2 s later; then the demand no longer grows."""
    faults = [fault("agv1.brakes", "fade", fade), fault("estop", "latency", 0.3, number=1)]
    outcome, _, _ = run(
        60.0, faults, fleet=ALONG, orders=STRAIGHT, people=walker(ahead=8.0, stands=20.0), safety={"range": 5.0}
    )
    v, a = 1.5, 2.5 * (1.0 - fade)
    assert outcome["max_btn"] == pytest.approx(v * v / (2 * (5.0 - v * 0.5)) / a, abs=1e-9)
    assert (outcome["max_btn"] > 1.0) == (outcome["contacts"] == 1)


def test_a_brake_threat_number_above_one_is_a_contact_where_nobody_steps_aside():
    found = set()
    for latency in np.linspace(0.5, 1.1, 31):
        outcome, _, _ = run(
            60.0, [fault("estop", "latency", latency)], fleet=ALONG, orders=STRAIGHT, people=walker(stands=9.0)
        )
        assert (outcome["max_btn"] >= 1.0) == (outcome["contacts"] == 1), latency
        found.add(outcome["contacts"])
    assert found == {0, 1}


def test_who_is_not_in_the_way_takes_no_brakes():
    outcome, _, _ = run(90.0, fleet=ALONG, orders=STRAIGHT, people=NOBODY)
    assert outcome["max_btn"] == 0.0
    gone, _, _ = run(90.0, fleet=ALONG, orders=STRAIGHT, people=walker(ahead=9.0, speed=3.0))
    near, _, _ = run(90.0, fleet=ALONG, orders=STRAIGHT, people=walker(ahead=4.0, speed=3.0))
    assert 0.0 < gone["max_btn"] < near["max_btn"] < 0.5


# -- loads and conveyors ----------------------------------------------------------------------------------------------

BEHIND = {
    "fleet": {"count": 2, "homes": [[0, 0], [1, 1]]},
    "orders": {"rate": 0.0, "planned": [{"origin": [0, 0], "destination": [3, 0]},
                                        {"at": 20.0, "origin": [0, 0], "destination": [3, 1]}]},
    "people": NOBODY,
}  # fmt: skip


@pytest.mark.parametrize("height", [0.15, 0.4])
def test_a_fallen_load_is_stopped_for_unless_it_lies_below_the_scanners_plane(height: float):
    outcome, chunk, world = run(115.0, [fault("agv1.load", "drop", 1.0, 24.0)], loads={"height": height}, **BEHIND)
    (fell,) = events(chunk, "load_dropped")
    assert (fell["subject"], fell["order"], outcome["loads_dropped"]) == ("agv1", 1, 1)
    rows = chunk.tables["actors"].run(0)
    lies = rows["actor"] == "load1"
    assert set(rows["x"][lies]) == {fell["x"]}
    assert rows["t"][lies].min() >= fell["t"]
    agv = np.argmax((rows["actor"] == "agv1") & (rows["t"] > fell["t"]))
    assert rows["x"][agv] - fell["x"] >= 0.6 + 0.3, "it lies behind"
    assert rows["load"][agv] == 0
    assert not any(row["subject"] == "order1" for row in events(chunk, "delivered"))
    if height < 0.2:
        assert outcome["verdict"] == "a load was run into"
        assert outcome["reason"].endswith(": drop of agv1.load")
        labels = world.outcome()[1].run(0)
        assert "fault:0" in json.loads(labels["causes"][list(labels["class"]).index("event/contact")])
    else:
        assert (outcome["contacts"], outcome["stops"]) == (0, 1)
        stop = 2.5 - 1.5 * 0.2 - 1.5**2 / (2 * 2.5)
        assert outcome["min_separation"] == pytest.approx(stop, abs=1e-9)


def test_a_load_is_taken_away_and_the_next_one_goes_on():
    outcome, chunk, _ = run(
        400.0, [fault("agv1.load", "drop", 1.0, 23.0)], loads={"lies": 150.0}, **BEHIND
    )  # fmt: skip
    (fell,), (resumed,) = events(chunk, "load_dropped"), events(chunk, "resumed")
    assert resumed["t"] == pytest.approx(fell["t"] + 150.0 + 1.0, abs=1e-9)
    assert (outcome["orders_done"], outcome["contacts"]) == (1, 0)


QUEUE = {
    "grid": {"columns": 3, "rows": 2},
    "fleet": {"count": 3},
    "orders": {"rate": 0.0, "due": 200.0,
               "planned": [{"at": 3.0 * k, "origin": [0, 0], "destination": [2, 1]} for k in range(6)]},
    "people": NOBODY,
}  # fmt: skip


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_a_conveyor_that_stands_still_takes_as_many_loads_as_it_holds(capacity: int):
    outcome, chunk, world = run(900.0, [fault("conveyor", "jam", 1.0)], conveyor={"capacity": capacity}, **QUEUE)
    assert outcome["orders_done"] == capacity
    last = 900.0 - 3.0 * capacity  # the first order that never gets through came then
    assert outcome["lateness"] == pytest.approx(last / 200.0, abs=1e-12)
    late = events(chunk, "late")
    done = {row["subject"]: row["t"] for row in events(chunk, "delivered")}
    due = {f"order{k + 1}": 200.0 + 3.0 * k for k in range(6)}
    assert [(row["subject"], row["t"]) for row in late] == [
        (name, t) for name, t in due.items() if done.get(name, inf) > t
    ]
    assert all(row["faults"] == ["fault:0"] for row in late)
    assert outcome["verdict"] == "late order"
    assert outcome["reason"].endswith("jam of conveyor")
    assert outcome["blocked"] > 900.0 - 400.0
    labels = world.outcome()[1].run(0)
    assert list(labels["class"]).count("event/late_order") == len(late) >= 6 - capacity


def test_deliveries_to_one_bay_are_a_conveyors_interval_apart():
    slow, interval = QUEUE | {"orders": QUEUE["orders"] | {"due": None}}, 70.0
    outcome, chunk, _ = run(1500.0, conveyor={"capacity": 1, "interval": interval}, **slow)
    done = np.array([row["t"] for row in events(chunk, "delivered")])
    assert len(done) == 6
    assert np.diff(done).min() >= interval + 6.0 - 1e-9, "the next one is handled when the last has gone"
    assert np.diff(done).min() == pytest.approx(interval + 6.0, abs=1e-9)
    free, _, _ = run(1500.0, **slow)
    assert (free["blocked"], np.isnan(free["lateness"])) == (0.0, True)
    assert outcome["blocked"] > 0.0


def test_a_jam_that_ends_lets_the_queue_move_on():
    outcome, chunk, _ = run(
        900.0, [fault("conveyor", "jam", 1.0, 0.0, 300.0)], conveyor={"capacity": 1, "interval": 5.0}, **QUEUE
    )
    done = [row["t"] for row in events(chunk, "delivered")]
    assert outcome["orders_done"] == 6
    assert done[0] < 300.0
    assert done[1] == pytest.approx(300.0 + 5.0 + 6.0, abs=1e-9)


# -- faults and stories -----------------------------------------------------------------------------------------------

ALL = [
    ("agv1.brakes", "fade"), ("agv1.scanner", "blind"), ("agv1.scanner", "late"), ("estop", "latency"),
    ("floor", "friction"), ("agv1.load", "drop"), ("conveyor", "jam"), ("dispatch", "clock_skew"),
    ("dispatch", "message_loss"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "kind"), ALL)
def test_a_fault_is_labelled_and_moves_nobody_elses_draws(target: str, kind: str):
    settings = {"orders": {"rate": 0.05}, "people": {"rate": 0.1, "look": 0.0}, "fleet": {"count": 4}}
    plain, before, _ = run(400.0, **settings)
    assert plain["stops"] > 0
    outcome, after, world = run(400.0, [fault(target, kind, 0.7, 100.0, 300.0)], **settings)
    labels = world.outcome()[1].run(0)
    assert labels["label_id"][0] == f"{target}:0"
    assert labels["class"][0] == f"fault/{target.rsplit('.', maxsplit=1)[-1]}/{kind}"
    assert (labels["t_cause"][0], labels["t_end"][0], labels["severity"][0]) == (100.0, 300.0, 0.7)
    assert outcome["contacts"] == (len(labels["t_cause"]) - 1)
    orders = [[(row["t"], row["origin"], row["destination"]) for row in events(c, "order")] for c in (before, after)]
    n = min(map(len, orders))  # a contact ends a run
    assert n > 3
    assert orders[0][:n] == orders[1][:n]
    walks = [{row["subject"]: (row["x"], row["y"], row["speed"]) for row in events(c, "step_out")}
             for c in (before, after)]  # fmt: skip
    both = walks[0].keys() & walks[1].keys()
    assert len(both) > 5
    assert all(walks[0][name] == walks[1][name] for name in both)
    early = [[row for k, row in enumerate(zip(*c.events.run(0).values(), strict=True)) if row[0] < 100.0]
             for c in (before, after)]  # fmt: skip
    assert early[0] == early[1]


def test_kinds_and_targets_are_all_there():
    world = Warehouse()
    assert set(world.faults) == {kind for _, kind in ALL}
    assert {"agv1.brakes", "agv4.scanner", "estop", "floor", "dispatch"} <= set(Warehouse.targets(world.settings))
    with pytest.raises(RunError, match="'floor' has no fault 'blind'"):
        run(1.0, [fault("floor", "blind", 1.0)])
    with pytest.raises(RunError, match=r"'agv9\.brakes' has no fault"):
        run(1.0, [fault("agv9.brakes", "fade", 1.0)])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"grid": {"spacing": 5}}, "spacing must be at least"),
        ({"grid": {"width": 1.5}}, "room for a person"),
        ({"fleet": {"count": 2, "homes": [[0, 0]]}}, "1 places for 2 AGVs"),
        ({"orders": {"planned": [{"origin": [0, 0], "destination": [9, 0]}]}}, "no crossing"),
        ({"orders": {"planned": [{"origin": [0, 0], "destination": [0, 0]}]}}, "must differ"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        Warehouse.Settings.model_validate(settings)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_is_the_same_in_any_batch_and_however_it_is_cut(name: str):
    scenario = load(f"robots/warehouse_{name}")
    draws = draw(scenario, np.arange(5))
    whole = digests(scenario, draws)
    assert len(set(whole.values())) == 5
    assert digests(scenario, draws[2:4], cuts=[0.2, 1.0, 25.0, 27.77, 30.000001]).items() <= whole.items()


def test_a_twin_without_the_fault_goes_the_same_way_until_it_begins():
    scenario = load("robots/warehouse_blind_scanner:crash")
    (one,) = draw(scenario, [0])
    mine, its = (list(play(scenario, [d]))[:-1] for d in (one, twin(one)))
    a, b = rows_of(mine, "truth/actors"), rows_of(its, "truth/actors")
    n = len(a["t"])
    differ = (a["x"] != b["x"][:n]) | (a["speed"] != b["speed"][:n])
    assert not differ[a["t"] <= one.faults[0].onset].any()
    assert differ.any(), "an AGV that sees brakes"
