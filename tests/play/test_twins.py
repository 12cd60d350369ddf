"""Laws of twins: what a label says of its effect is what the twin shows."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault, Reading, Record
from mischance.api.scene import Frames
from mischance.api.tables import Column, Signals, Table
from mischance.play.player import play
from mischance.play.sampling import draw, twin
from mischance.play.twins import MOST_TWINS, _Difference, fault_groups, play_with_twins
from tests.plugins.probe import Probe
from tests.support import rows_of, wander

RUNS = np.arange(12)


def labels_of(scenario, draws):
    found = {}
    for record in play_with_twins(scenario, draws):
        if record.last:
            for i, run in enumerate(record.runs):
                found[int(run)] = record.tables["labels"].run(i)
    return found


def test_the_effect_begins_where_the_twin_without_that_fault_alone_first_differs():
    scenario = wander(faults__0__chance="1", faults__1__chance="1")
    draws = draw(scenario, RUNS)
    labels = labels_of(scenario, draws)
    seen = set()
    for d in draws:
        mine = list(play(scenario, [d]))
        for row, target in enumerate(labels[d.run]["target"]):
            fault = next(f for f in d.faults if f.target == target)
            its = list(play(scenario, [twin(d, fault.fault_id)]))
            paths = ["sensors/slow"] if target == "sensors.slow" else ["truth/signal", "sensors/meter", "sensors/slow"]
            firsts = [first_apart(rows_of(mine, path), rows_of(its, path)) for path in paths]
            firsts = [t for t in firsts if t is not None]
            effect = labels[d.run]["t_effect"][row]
            assert effect == min(firsts) if firsts else np.isnan(effect)
            seen.update([bool(firsts)])
            assert not effect < labels[d.run]["t_cause"][row]
            assert not labels[d.run]["t_observable"][row] < effect
            assert labels[d.run]["twin"][row] == f"run:{d.run}-{fault.fault_id}"
    assert True in seen, "no fault had an effect: nothing was compared"


def first_apart(a, b):
    """Return the time of the earliest row that only one of two tables has; None where they are the same."""
    rows = [set(zip(*(side[name].tolist() for name in side), strict=True)) for side in (a, b)]
    place = list(a).index("t")
    return min((row[place] for row in rows[0] ^ rows[1]), default=None)


def test_a_huge_fault_is_observable_at_once_and_a_tiny_one_never():
    for severity, seen in (("50 V", True), ("1e-9 V", False)):
        scenario = wander(faults__0__chance="0", faults__1__chance="1", faults__1__severity=severity)
        for label in labels_of(scenario, draw(scenario, RUNS)).values():
            assert np.isfinite(label["t_observable"][0]) == seen
            assert np.isfinite(label["t_effect"][0])


def test_playing_beside_twins_changes_nothing_but_the_labels():
    scenario = wander()
    draws = draw(scenario, RUNS)
    plain, beside = list(play(scenario, draws)), list(play_with_twins(scenario, draws))
    for path in ("truth/signal", "sensors/meter", "events"):
        for i in range(len(RUNS)):
            a, b = rows_of(plain, path, i), rows_of(beside, path, i)
            assert all(np.array_equal(a[name], b[name]) for name in a)


def test_kept_twins_are_the_runs_without_any_fault():
    scenario = wander(faults__0__chance="1", faults__1__chance="1")
    draws = draw(scenario, RUNS)
    kept = list(play_with_twins(scenario, draws, keep=True))
    clean = list(play(scenario, [twin(d) for d in draws]))
    for i in range(len(RUNS)):
        for path in ("truth/signal", "sensors/slow"):
            a, b = rows_of(kept, f"twins/{path}", i), rows_of(clean, path, i)
            assert all(np.array_equal(a[name], b[name]) for name in a)


# -- many faults in one run --------------------------------------------------------------------------------------------


def many_faults(count: int, kinds: int = 1) -> list[Fault]:
    """Return that many short faults, one after the other, of so many kinds in turn."""
    return [
        Fault(f"fault:{i}", "plant", f"kind{i % kinds}", 0.1 * (i + 1), 0.1 * (i + 1) + 0.05, 2.0) for i in range(count)
    ]


@pytest.mark.parametrize(("count", "kinds"), [(1, 1), (8, 3), (9, 1), (50, 1), (50, 3), (50, 8), (50, 12), (11, 10)])
def test_faults_stand_in_few_groups_of_one_kind_each(count: int, kinds: int):
    faults = many_faults(count, kinds)
    groups = fault_groups(faults[::-1])
    assert sorted(f.fault_id for group in groups for f in group) == sorted(f.fault_id for f in faults)
    assert len(groups) == min(count, MOST_TWINS)
    assert [group[0].onset for group in groups] == sorted(group[0].onset for group in groups)
    if count <= MOST_TWINS:
        assert all(len(group) == 1 for group in groups)
    elif kinds <= MOST_TWINS:
        for group in groups:
            assert len({f.kind for f in group}) == 1
            own = [f for f in faults if f.kind == group[0].kind]
            first = own.index(group[0])
            assert list(group) == own[first : first + len(group)], "they follow each other"
        assert max(map(len, groups)) <= 2 * -(-count // MOST_TWINS), "the longest are split"


def test_fifty_faults_have_eight_twins_and_their_labels_say_which_they_share():
    scenario = wander(faults="[]", agent="null", vary__noise="0.2")
    plain = draw(scenario, [0])[0]
    faults = tuple(replace(fault, kind="drift") for fault in many_faults(50))
    run = replace(plain, faults=faults)
    played: list[str] = []
    base: Any = scenario.simulator.cls

    class Counting(base):  # type: ignore[misc]
        def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
            played.extend(str(len(d.faults)) for d in draws if d.run == 0 and d.seed == plain.seed)
            return super().start(draws, streams)  # type: ignore[no-any-return]

    watched = replace(scenario, simulator=replace(scenario.simulator, cls=Counting))
    last = list(play_with_twins(watched, [run]))[-1]
    labels = last.tables["labels"].run(0)
    assert sorted(played) == sorted(["50", *(str(50 - len(group)) for group in fault_groups(faults))])
    assert len(played) == 1 + MOST_TWINS
    lived = float(last.tables["runs"].run(0)["lived"][0])
    begun = [fault for fault in faults if fault.onset <= lived]
    assert len(labels["twin"]) == len(begun) > MOST_TWINS
    shared: dict[str, list[str]] = {}
    for twin_id, causes in zip(labels["twin"], labels["causes"], strict=True):
        shared.setdefault(twin_id, []).extend(json.loads(causes))
    a = rows_of(list(play(scenario, [run])), "truth/signal")
    compared = 0
    for group in fault_groups(faults):
        name = f"run:0-{group[0].fault_id}+{len(group) - 1}"
        assert shared.get(name, []) == [f.fault_id for f in group if f in begun]
        (other,) = [
            list(play(scenario, [replace(run, faults=tuple(f for f in faults if f not in group))]))
        ]  # the twin, played by itself
        b = rows_of(other, "truth/signal")
        first = first_apart(a, b)
        mine = [i for i, t in enumerate(labels["twin"]) if t == name]
        if mine and first is not None:
            compared += 1
            assert labels["t_effect"][mine[0]] == first
            assert all(np.isnan(labels["t_effect"][i]) for i in mine[1:]), "the effect of the first in the group"
    assert compared > 1


# -- where the two streams part ---------------------------------------------------------------------------------------

ROW = st.tuples(st.integers(0, 12), st.integers(0, 1))
STORY = st.lists(ROW, unique_by=lambda row: row[0], max_size=8).map(sorted)
CUTS = st.lists(st.integers(0, 12), max_size=4).map(sorted)


def told(rows, cuts, schema, path="truth/x"):
    """Return a story as records, cut at those times."""
    edges = [-1, *cuts, 99]
    for low, high in itertools.pairwise(edges):
        piece = [row for row in rows if low < row[0] <= high]
        columns = {"t": [row[0] for row in piece], "v": [row[1] for row in piece]} if piece else {}
        yield Record(np.array([0]), low, high, {path: Table.of(schema, [columns])})


@given(STORY, STORY, CUTS, CUTS, st.booleans())
@settings(max_examples=80, deadline=None)
def test_streams_part_at_the_earliest_row_that_only_one_of_them_has(mine, its, my_cuts, its_cuts, twin_first):
    """Whichever side that row stands on, however the two were cut, and whoever is fed first."""
    schema = {"t": Column("int64", unit="ms"), "v": Column()}
    fed = (
        [(0, record) for record in told(mine, my_cuts, schema)],
        [(1, record) for record in told(its, its_cuts, schema)],
    )
    order = (
        [*fed[1], *fed[0]] if twin_first else [pair for both in itertools.zip_longest(*fed) for pair in both if pair]
    )
    difference = _Difference()
    for side, record in order:
        difference.feed(record, 0, side)
    only = set(mine) ^ set(its)
    found = difference.finish()
    assert found == ({"truth/x": pytest.approx(min(only)[0] * 1e-3)} if only else {})


@pytest.mark.parametrize(
    ("apart", "floor", "counts"), [(0.5, 0.5, False), (0.5, 0.25, True), (0.0, 0.0, False), (1e-9, 0.0, True)]
)
def test_a_difference_counts_above_its_floor_and_no_value_is_like_no_value(apart, floor, counts):
    schema = {"t": Column(unit="s"), "v": Column(floor=floor)}
    difference = _Difference()
    for side, value in ((0, 1.0), (1, 1.0 + apart)):
        columns = {"t": [1.0, 2.0, 3.0], "v": [np.nan, np.inf, value]}
        difference.feed(Record(np.array([0]), 0.0, 9.0, {"sensors/x": Table.of(schema, [columns])}), 0, side)
    assert difference.finish() == ({"sensors/x": 3.0} if counts else {})
    one = _Difference()
    for side, value in ((0, np.nan), (1, 1.0)):
        columns = {"t": [1.0], "v": [value]}
        one.feed(Record(np.array([0]), 0.0, 9.0, {"sensors/x": Table.of(schema, [columns])}), 0, side)
    assert one.finish() == {"sensors/x": 1.0}


def test_images_samples_and_truth_part_each_on_its_own_and_labels_and_events_do_not_count():
    def record(apart):
        frames = Frames(
            np.array([0.5, 1.0]), {"rgb": np.stack([np.zeros((2, 2)), np.full((2, 2), apart)])}, np.arange(2)
        )
        signals = Signals.of(4.0, 1, np.array([[[0.0], [0.0], [apart]]]), {"u": Column()})
        x = Table.of({"t": Column(), "v": Column()}, [{"t": [2.0], "v": [apart]}])
        tables = dict.fromkeys(("truth/x", "sensors/y", "labels/x", "events", "runs", "twins/x"), x)
        return Record(
            np.array([0]), 0.0, 9.0, tables, {"sensors/front/rgb": (frames,)}, (), False, {"truth/s": signals}
        )

    difference = _Difference()
    difference.feed(record(0.0), 0, 0)
    difference.feed(record(1.0), 0, 1)
    assert difference.finish() == {"truth/x": 2.0, "sensors/y": 2.0, "sensors/front/rgb": 1.0, "truth/s": 0.75}


class Silent(Probe):
    """A voltmeter that says nothing while its fault is active."""

    def read(self, chunk, renderer):
        table = super().read(chunk, renderer).tables[""]
        rows = []
        for i, drawn in enumerate(self._draws):
            own = table.run(i)
            active = np.zeros(len(own["t"]), bool)
            for fault in drawn.faults_of(f"sensors.{self._name}"):
                active |= fault.severity_at(own["t"]) > 0
            rows.append({name: values[~active] for name, values in own.items()})
        return Reading({"": Table.of(table.schema, rows)})


def test_a_sensor_that_goes_silent_has_its_effect_at_the_first_row_that_only_its_twin_has():
    """Its rows become fewer, never other: the earliest one that is missing stands in the twin alone."""
    scenario = wander(
        faults="[{target: sensors.meter, kind: offset, at: 0.35 s, lasts: 0.4 s, severity: 1 V}]", agent="null"
    )
    scenario = replace(scenario, sensors={"meter": replace(scenario.sensors["meter"], cls=Silent)})
    (d,) = draw(scenario, [0])
    mine, its = (rows_of(list(play(scenario, [run])), "sensors/meter") for run in (d, twin(d)))
    missing = sorted(set(its["t"].tolist()) - set(mine["t"].tolist()))
    assert 10 < len(missing) < 15  # 0.4 s at 33.3 Hz
    assert set(mine["t"].tolist()) < set(its["t"].tolist())
    (effect,) = labels_of(scenario, [d])[0]["t_effect"]
    assert effect == missing[0]
