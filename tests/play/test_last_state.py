"""A run's last state is a row: what is judged by rows is judged at the run's end too, in every world."""

from __future__ import annotations

import numpy as np
import pytest

from mischance.api.runs import last_tick
from mischance.language import catalog
from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw, twin
from mischance.play.twins import play_with_twins
from tests.support import PLUGINS, library
from tests.test_contracts import built, chunks, names, scenario_named, worlds_available

STATES = {"road", "arm", "quadrotor", "warehouse"}  # worlds that tell states; the others tell what happens alone
LIBRARY = {entry.name for entry in catalog.entries("scenarios")}
WORLDS = {library(name).simulator.kind: name for name in reversed(names()) if name in LIBRARY}
ENDED = {  # by itself, at no time of its tables
    "road": ("driving/cut_in:crash", {"duration": "14 s", "simulator.settle": "1.337 s"}),
    "arm": ("robots/arm_gripper_slip", {"duration": "30 s", "faults": "[]"}),
    "warehouse": ("robots/warehouse_head_on:crash", {}),
}
EGO = """\
mischance: 1
name: roll
seed: 1
duration: {duration}
simulator:
  kind: road
  motion: false
  actors:
    ego: {{speed: {speed}}}
    car: {{speed: 0, gap: {gap}}}
event: {{name: collision, when: ego.contacts > 0, margin: min_gap}}
require: {{no_contact: always ego.gap > 0 m, in_time: eventually ego.gap <= 0 m, long: for {long} ego.gap >= 0 m}}
"""


def states(scenario, own):
    """Return the end of one run and, by table of states, its times.

    A table of states has rows at equal distances from t = 0 on, but for the last.
    """
    world = built(scenario.simulator, [own])
    told = chunks(world, scenario, [own], [0.5, 1.7])
    world.close()
    found = {}
    for name, table in told[0].tables.items():
        if "t" in table.schema:
            t = np.unique(np.concatenate([chunk.tables[name].run(0)["t"] for chunk in told]))
            if len(t) > 4 and t[0] == 0.0 and np.ptp(np.diff(t)[:-1]) < 1e-9:
                found[name] = t
    assert bool(found) == bool(STATES & {plugin.kind for plugin in scenario.plugins()}), "a new world: has it states?"
    return float(told[-1].ends[0]), found


@pytest.mark.parametrize("kind", sorted(WORLDS))
def test_a_run_that_is_cut_off_between_two_rows_has_one_at_its_end(kind):
    scenario = scenario_named(WORLDS[kind], duration="2.3718 s", agent="null", faults="[]", require="{}")
    worlds_available(scenario)
    end, found = states(scenario, draw(scenario, [0])[0])
    assert 2.3718 - 1 / 100 <= end <= 2.3718
    for path, t in found.items():
        # of several worlds, each ends at its own last step, and the run with the latest of them
        assert t[-1] == end or (scenario.simulator.parts and end - 1 / 100 <= t[-1] < end), path
        assert 0.0 < t[-1] - t[-2] < t[1] + 1e-9, path


@pytest.mark.parametrize("kind", sorted(ENDED))
def test_a_run_that_ends_by_itself_has_a_row_at_its_end(kind):
    name, changes = ENDED[kind]
    scenario = load(name, {**changes, "sensors": "{}", "agent": "null", "require": "{}"})
    worlds_available(scenario)
    ended = 0
    for own in draw(scenario, np.arange(6)):
        end, found = states(scenario, own)
        assert all(t[-1] == end for t in found.values())
        ended += end < scenario.duration
        if ended:
            return
    pytest.fail("none of them ends by itself")


def roll(tmp_path, speed, gap, duration, long="0.01 s"):
    """Return an ego that rolls towards a standing car without brakes."""
    path = tmp_path / "roll.yaml"
    path.write_text(EGO.format(speed=f"{speed} m/s", gap=f"{gap} m", duration=f"{duration} s", long=long))
    return load(path)


@pytest.mark.parametrize("speed", [0.1389, 3.0, 31.0])
@pytest.mark.parametrize("late", [0.004, 0.011, 0.019, 0.026, 0.034, 0.049])
def test_event_and_requirement_agree_on_a_contact_just_before_the_end(tmp_path, speed, late):
    """The contact is at gap / speed; the run ends at its last step of 10 ms up to `late` after it."""
    gap = max(speed * 1.213, 1.0)
    contact = gap / speed
    scenario = roll(tmp_path, speed, gap, contact + late)
    own = draw(scenario, [0])
    *_, last = play(scenario, own)
    happened = last_tick(100.0, contact + late) / 100.0 >= contact
    row = last.tables["runs"].run(0)
    assert row["event"][0] == happened
    assert row["require.no_contact"][0] != happened
    assert row["require.in_time"][0] == happened
    *_, beside = play_with_twins(scenario, [twin(own[0])])
    assert beside.tables["runs"].run(0)["event"][0] == happened
    assert beside.tables["runs"].run(0)["require.no_contact"][0] != happened


def test_a_requirement_on_time_counts_the_last_sample(tmp_path):
    """A run of 1.23 s lasts 1.23 s, and not 1.2: `for 1.22 s` can be kept, `for 1.24 s` cannot."""
    for long, kept in (("1.22 s", True), ("1.23 s", True), ("1.24 s", False)):
        scenario = roll(tmp_path, 1.0, 100.0, 1.2345, long)
        *_, last = play(scenario, draw(scenario, [0]))
        assert last.tables["runs"].run(0)["require.long"][0] == kept, long


def test_the_last_row_has_the_jerk_of_the_time_since_the_row_before(tmp_path):
    """The ego brakes with a jerk that its pedal limits: what the last row says is a change over 30 ms, not over 50."""
    path = tmp_path / "brake.yaml"
    text = EGO.format(speed="20 m/s", gap="90 m", duration="1.28 s", long="1 s")
    brake = "behaviour: [{kind: brake, deceleration: 8, at: 1.1 s}]"
    path.write_text(text.replace("ego: {speed: 20 m/s}", f"ego: {{speed: 20 m/s, {brake}}}"))
    scenario = load(path)
    records = list(play(scenario, draw(scenario, [0])))
    rows = records[0].tables["truth/actors"].run(0)
    for record in records[1:-1]:
        rows = {name: np.concatenate([own, record.tables["truth/actors"].run(0)[name]]) for name, own in rows.items()}
    ego = rows["actor"] == 0
    t, a, jerk = (rows[name][ego] for name in ("t", "acceleration", "jerk"))
    assert t[-2:] == pytest.approx([1.25, 1.28])
    np.testing.assert_allclose(jerk[1:], np.diff(a) / np.diff(t), atol=1e-9)
    assert np.abs(jerk).max() == pytest.approx(records[-1].tables["runs"].run(0)["ego.max_jerk"][0])


@pytest.mark.parametrize(
    ("rate", "until"), [(100.0, 0.29), (120.0, 0.7), (10.0, 0.3), (1e-3, 5.0), (7.0, 3.0), (50.0, 0.0)]
)
def test_the_last_tick_is_the_last_one_that_a_clock_tells(rate, until):
    k = last_tick(rate, until)
    assert k / rate <= until < (k + 1) / rate
    assert last_tick(rate, np.inf) == -1


def test_a_sampled_world_of_the_tests_is_judged_at_its_end():
    """Its rows are its steps: the last one is a row anyway."""
    scenario = load(PLUGINS / "wander.yaml", {"duration": "2.3718 s", "agent": "null", "require": "{}"})
    records = list(play(scenario, draw(scenario, [0])))
    assert records[-2].tables["truth/signal"].run(0)["t"][-1] == records[-2].end == 2.37
