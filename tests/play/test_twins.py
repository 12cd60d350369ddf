"""Laws of twins: what a label says of its effect is what the twin shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault
from mischance.play.player import play
from mischance.play.sampling import draw, twin
from mischance.play.twins import MOST_TWINS, fault_groups, play_with_twins
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
    for d in draws:
        mine = list(play(scenario, [d]))
        for row, target in enumerate(labels[d.run]["target"]):
            fault = next(f for f in d.faults if f.target == target)
            its = list(play(scenario, [twin(d, fault.fault_id)]))
            paths = ["sensors/slow"] if target == "sensors.slow" else ["truth/signal", "sensors/meter", "sensors/slow"]
            firsts = []
            for path in paths:
                a, b = rows_of(mine, path), rows_of(its, path)
                n = min(len(a["t"]), len(b["t"]))
                differ = np.any([a[name][:n] != b[name][:n] for name in a], axis=0)
                if differ.any():
                    firsts.append(a["t"][int(np.argmax(differ))])
                elif len(a["t"]) != len(b["t"]):
                    firsts.append(max(a, b, key=lambda rows: len(rows["t"]))["t"][n])
            effect = labels[d.run]["t_effect"][row]
            assert effect == min(firsts) if firsts else np.isnan(effect)
            assert not effect < labels[d.run]["t_cause"][row]
            assert not labels[d.run]["t_observable"][row] < effect
            assert labels[d.run]["twin"][row] == f"run:{d.run}-{fault.fault_id}"


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
    for group in fault_groups(faults):
        name = f"run:0-{group[0].fault_id}+{len(group) - 1}"
        assert shared.get(name, []) == [f.fault_id for f in group if f in begun]
        (other,) = [
            list(play(scenario, [replace(run, faults=tuple(f for f in faults if f not in group))]))
        ]  # the twin, played by itself
        b = rows_of(other, "truth/signal")
        n = min(len(a["t"]), len(b["t"]))
        differ = np.flatnonzero(a["x"][:n] != b["x"][:n])
        mine = [i for i, t in enumerate(labels["twin"]) if t == name]
        if mine and len(differ):
            assert labels["t_effect"][mine[0]] == a["t"][differ[0]]
            assert all(np.isnan(labels["t_effect"][i]) for i in mine[1:]), "the effect of the first in the group"
