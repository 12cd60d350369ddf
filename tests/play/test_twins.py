"""Laws of twins: what a label says of its effect is what the twin shows."""

from __future__ import annotations

import numpy as np

from mischance.play.episode import play
from mischance.play.sampling import draw, twin
from mischance.play.twins import play_with_twins
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
