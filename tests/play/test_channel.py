"""Laws of the channel between agent and world: every fault does what its severity says, to its run alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mischance.api.protocols import AGENT_FAULTS
from mischance.api.randomness import Streams
from mischance.api.runs import Draw, Record
from mischance.api.tables import FloatArray
from mischance.errors import ScenarioError
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.player import play
from mischance.play.plugins import batch_size, batches
from mischance.play.sampling import draw, twin
from mischance.play.twins import play_with_twins
from tests.support import PLUGINS, digests, rows_of, wander

ROOT = Path(__file__).resolve().parents[2]
PULL = 1e-6  # of the signal back to zero: next to nothing
KINDS = ("latency", "message_loss", "observation_latency", "timeout")  # of those, runs are played in batches


def fault(kind: str, **rest: str) -> str:
    settings = "".join(f", {key}: {value}" for key, value in rest.items())
    return f"{{target: agent, kind: {kind}{settings}}}"


def told(*faults: str, **changes: str) -> Scenario:
    """Return the tests' world without noise, with an agent that pushes by the number of its turn."""
    return wander(
        agent=f'{{kind: "{PLUGINS}/teller.py:Teller"}}', faults=f"[{', '.join(faults)}]", vary__noise="0",
        simulator__pull=str(PULL), simulator__limit="1e9", **changes,
    )  # fmt: skip


def heard(records: list[Record], i: int = 0) -> tuple[FloatArray, FloatArray]:
    """Return when each step of the world began and by how much it was pushed there."""
    rows = rows_of(records, "truth/signal", i)
    t, x = rows["t"], rows["x"]
    return t[:-1], (x[1:] - x[:-1]) * 100.0 + PULL * x[:-1]


def turns(until: float = 6.0, rate: float = 20.0) -> FloatArray:
    return np.arange(int(until * rate)) / rate


def in_order(t: FloatArray, said: FloatArray, arrives: FloatArray) -> FloatArray:
    """Return what a world hears at t of a channel that keeps the order; before the first command, nothing."""
    arrives = np.maximum.accumulate(arrives)
    newest = np.searchsorted(arrives, t + 1e-9, side="right") - 1
    return np.where(newest >= 0, said[np.maximum(newest, 0)], 0.0)


def diary(scenario: Scenario) -> list[Any]:
    """Return the agent's diary of one playing of run 0."""
    assert scenario.agent is not None
    scenario.agent.cls.diary.clear()
    list(play(scenario, draw(scenario, [0])))
    return list(scenario.agent.cls.diary)


def events(records: list[Record], i: int = 0) -> list[tuple[float, str, str, str]]:
    rows = rows_of(records, "events", i)
    return list(zip(rows["t"].tolist(), rows["kind"], rows["parent_id"], rows["event_id"], strict=True))


# -- commands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ms", [10, 50, 130, 1700])
def test_a_late_command_acts_the_severity_later(ms: int):
    scenario = told(fault("latency", severity=f"{ms} ms"))
    t, push = heard(list(play(scenario, draw(scenario, [0]))))
    # in whole hundredths, which are the world's steps
    step = np.rint(t * 100).astype(int)
    np.testing.assert_allclose(push, np.maximum((step - ms // 10) // 5, 0), atol=1e-6)


def test_latency_counts_what_is_active_when_the_agent_speaks_and_keeps_the_order():
    scenario = told(fault("latency", at="1.02 s", lasts="2 s", severity="0.32 s", ramp="1 s"))
    t, push = heard(list(play(scenario, draw(scenario, [0]))))
    turn = turns()
    active = (turn >= 1.02) & (turn < 3.02)
    late = np.where(active, 0.32 * np.clip(turn - 1.02, 0.0, 1.0), 0.0)
    late = np.ceil(np.round(late * 1000.0, 6)) / 1000.0  # whole milliseconds, rounded up
    # A command that falls between two steps acts from the step that it falls into, as a turn does that falls there.
    expected = in_order(t + 0.01 - 2e-9, np.arange(len(turn), dtype=float), turn + late)
    np.testing.assert_allclose(push, expected, atol=1e-6)
    assert (np.diff(push) > -1e-6).all()


def test_lost_commands_are_as_many_as_were_asked_for_and_the_last_one_holds():
    ratio, runs = 0.3, np.arange(40)
    scenario = told(fault("message_loss", at="1 s", lasts="4 s", severity=str(ratio)))
    draws = draw(scenario, runs)
    lost, asked = 0, 0
    for first in range(0, len(draws), batch_size(scenario)):
        batch = draws[first : first + batch_size(scenario)]
        records = list(play(scenario, batch))
        for i in range(len(batch)):
            t, push = heard(records, i)
            gone = np.array([when for when, kind, _, _ in events(records, i) if kind == "command_lost"])
            turn = turns()
            came = ~np.isin(turn, gone)
            np.testing.assert_allclose(
                push, in_order(t, np.flatnonzero(came).astype(float), turn[came]), atol=1e-6, err_msg=f"run {i}"
            )
            assert ((gone >= 1.0) & (gone < 5.0)).all()
            lost, asked = lost + len(gone), asked + 80
    assert abs(lost - ratio * asked) < 4.0 * np.sqrt(asked * ratio * (1.0 - ratio))


def test_what_a_smaller_ratio_loses_a_greater_one_loses_too_and_two_faults_add_up():
    def lost(*ratios: float) -> set[float]:
        scenario = told(*(fault("message_loss", severity=str(ratio)) for ratio in ratios))
        found = events(list(play(scenario, draw(scenario, [0]))))
        assert {parent for _, kind, parent, _ in found if kind == "command_lost"} <= {
            f"fault:{i}" for i in range(len(ratios))
        }
        return {t for t, kind, _, _ in found if kind == "command_lost"}

    assert lost(0.2) < lost(0.5) < lost(0.8)
    assert lost(1.0) == set(turns().tolist())
    assert lost(0.5, 0.6) == lost(0.8)  # 1 - 0.5 * 0.4


def test_an_agent_that_hangs_commands_nothing_and_the_last_command_holds():
    scenario = told(fault("timeout", at="2.01 s", lasts="1.5 s"))
    (own,) = draw(scenario, [0])
    records, plain = (list(play(scenario, [d])) for d in (own, twin(own)))
    t, push = heard(records)
    _, healthy = heard(plain)
    hangs = (t >= 2.01) & (t < 3.55)  # its first turn after the end is at 3.55 s
    np.testing.assert_array_equal(push[t < 2.01], healthy[t < 2.01])
    np.testing.assert_allclose(push[hangs], 40.0, atol=1e-6)
    np.testing.assert_allclose(push[t >= 3.55], healthy[t >= 3.55], atol=1e-6)


# -- what the agent sees -----------------------------------------------------------------------------------------------


def test_an_agent_that_hangs_reads_nothing_and_reads_it_all_afterwards():
    plain, hung = diary(told()), diary(told(fault("timeout", at="2.01 s", lasts="1.5 s")))
    assert [bool(live[0]) for _, live, _ in plain] == [True] * 120
    for (t, live, (seen,)), (_, _, (healthy,)) in zip(hung, plain, strict=True):
        assert bool(live[0]) != (2.01 <= t < 3.51)
        if not live[0]:
            assert not len(seen)
        elif t != 3.55:
            np.testing.assert_array_equal(seen, healthy)
    every = [np.concatenate([seen for _, _, (seen,) in pages]) for pages in (plain, hung)]
    np.testing.assert_array_equal(*every)


def test_late_readings_come_the_severity_later_once_each_and_keep_their_stamps():
    scenario = told(fault("observation_latency", at="1 s", lasts="2 s", severity="0.33 s"))
    pages = diary(scenario)
    stamps = np.arange(int(6.0 * 33.3) + 1) / 33.3
    late = np.where((stamps >= 1.0) & (stamps < 3.0), 0.33, 0.0)
    arrives = np.maximum.accumulate(stamps + late)
    before = -np.inf
    for t, _, (seen,) in pages:
        np.testing.assert_array_equal(seen, stamps[(arrives > before) & (arrives <= t)])
        before = t


def test_the_agents_clock_is_ahead_of_the_stamps_by_the_severity():
    scenario = told(fault("clock_skew", at="1 s", severity="0.7 s", ramp="2 s"))
    assert list(batches(scenario, draw(scenario, [0, 1]))) == [[0], [1]], "an agent has one clock"
    turn = turns()
    pages, plain = diary(scenario), diary(told())
    expected = turn + 0.7 * np.clip((turn - 1.0) / 2.0, 0.0, 1.0)
    np.testing.assert_array_equal([t for t, _, _ in pages], expected)
    for (_, _, (seen,)), (_, _, (healthy,)) in zip(pages, plain, strict=True):
        np.testing.assert_array_equal(seen, healthy)
    behind = diary(told(fault("clock_skew", severity="-0.2 s")))
    assert behind[0][0] == -0.2


# -- batches, cuts, twins, randomness ----------------------------------------------------------------------------------


def together(**changes: str) -> Scenario:
    """Return the tests' scenario with every fault of the channel that runs share, begun at times of their own."""
    at = "{uniform: [0.5 s, 4 s]}"
    faults = [
        fault("latency", at=at, lasts="1.5 s", severity="{uniform: [0.01, 0.4]}", ramp="0.2 s", chance="0.6"),
        fault("message_loss", at=at, lasts="2 s", severity="0.5", chance="0.6"),
        fault("observation_latency", at=at, lasts="1 s", severity="{uniform: [0.05, 0.3]}", chance="0.6"),
        fault("timeout", at=at, lasts="0.7 s", chance="0.6"),
        "{target: plant, kind: drift, at: 2 s, lasts: 1.5 s, severity: $strength, chance: 0.7}",
        "{target: sensors.slow, kind: offset, at: 2.5 s, severity: 0.4 V, chance: 0.5}",
    ]
    return wander(faults=f"[{', '.join(faults)}]", **changes)


def test_a_run_is_the_same_alone_in_a_batch_and_however_time_is_cut():
    scenario = together()
    draws = draw(scenario, np.arange(8))
    assert batch_size(scenario) == 16
    assert len({tuple(f.kind for f in d.faults) for d in draws}) > 4
    both = digests(scenario, draws)
    assert {run: digest for d in draws for run, digest in digests(scenario, [d]).items()} == both
    assert digests(scenario, draws[3:7]) == {run: both[run] for run in range(3, 7)}
    rng = np.random.default_rng(5)
    for cuts in (np.sort(rng.uniform(0, 6, 23)), np.arange(1, 601) / 100.0):
        assert digests(scenario, draws, list(cuts)) == both


def test_a_skewed_clock_does_not_care_about_cuts_either():
    scenario = wander(faults=f"[{fault('clock_skew', at='1 s', severity='0.3 s')}]")
    draws = draw(scenario, [0, 1, 2])
    assert digests(scenario, draws) == digests(scenario, draws, [0.333, 1.0, 4.4444])


@pytest.mark.parametrize("kind", KINDS)
def test_a_twin_is_the_same_before_the_cause_and_another_one_after(kind: str):
    severity = {"latency": "0.3 s", "message_loss": "0.8", "observation_latency": "0.3 s", "timeout": "1"}[kind]
    scenario = wander(faults=f"[{fault(kind, at='2 s', severity=severity)}]")
    draws = draw(scenario, [0, 1])
    mine, its = list(play(scenario, draws)), list(play(scenario, [twin(d) for d in draws]))
    for i in range(2):
        for path in ("truth/signal", "sensors/meter", "sensors/slow"):
            a, b = rows_of(mine, path, i), rows_of(its, path, i)
            before = a["t"] <= 2.0
            for name in a:
                np.testing.assert_array_equal(a[name][before], b[name][: before.sum()])
        ends = [rows_of(records, "truth/signal", i)["x"][-1] for records in (mine, its)]
        assert ends[0] != ends[1]


def test_nobody_elses_randomness_moves(tmp_path: Path):
    (tmp_path / "silent.py").write_text(
        "def silent(observation, t):\n    return {'push': 0.0}\nsilent.reads = ('meter',)\n"
    )
    plain = wander(agent=f"{{kind: '{tmp_path / 'silent.py'}:silent'}}", faults="[]")
    every = [fault(kind, at="1 s", severity="0.4") for kind in AGENT_FAULTS]
    faulty = wander(agent=f"{{kind: '{tmp_path / 'silent.py'}:silent'}}", faults=f"[{', '.join(every)}]")
    records = [list(play(scenario, draw(scenario, [5]))) for scenario in (plain, faulty)]
    for path in ("truth/signal", "sensors/meter", "sensors/slow"):
        a, b = (rows_of(part, path) for part in records)
        assert all(a[name].tobytes() == b[name].tobytes() for name in a)


def test_a_branch_loses_other_commands_after_it_and_the_same_before():
    scenario = told(fault("message_loss", severity="0.5"))
    (plain,) = draw(scenario, [3])

    def lost(own: Draw) -> list[float]:
        return [t for t, kind, *_ in events(list(play(scenario, [own]))) if kind == "command_lost"]

    luck = Streams(plain.seed, 3).uniform("agent.message_loss", np.arange(120))
    free, branched = lost(plain), lost(replace(plain, branch=((2.0, "a"),)))
    assert free == turns()[luck < 0.5].tolist()
    assert [t for t in branched if t <= 2.0] == [t for t in free if t <= 2.0]
    assert [t for t in branched if t > 2.0] != [t for t in free if t > 2.0]


# -- labels and events -------------------------------------------------------------------------------------------------


def test_every_fault_is_labelled_with_its_cause_and_its_twin_and_tells_of_itself():
    plans = {"latency": 0.3, "message_loss": 0.9, "observation_latency": 0.4, "clock_skew": 0.1, "timeout": 1.0}
    faults = [fault(kind, at="2 s", lasts="1 s", severity=str(severity)) for kind, severity in plans.items()]
    scenario = wander(faults=f"[{', '.join(faults)}, {fault('timeout', at='9 s')}]")
    records = list(play_with_twins(scenario, draw(scenario, [0])))
    labels = records[-1].tables["labels"].run(0)
    assert labels["class"].tolist() == [f"fault/agent/{kind}" for kind in plans]
    assert labels["label_id"].tolist() == [f"agent:{n}" for n in range(5)]
    assert set(labels["target"]) == {"agent"}
    assert set(labels["role"]) == {"fault"}
    np.testing.assert_array_equal(labels["t_cause"], 2.0)
    np.testing.assert_array_equal(labels["t_end"], 3.0)
    np.testing.assert_array_equal(labels["severity"], list(plans.values()))
    assert [json.loads(text) for text in labels["causes"]] == [[f"fault:{n}"] for n in range(5)]
    assert labels["twin"].tolist() == [f"run:0-fault:{n}" for n in range(5)]
    moved = dict(zip(plans, labels["t_effect"], strict=True))
    assert moved["timeout"] > 2.0
    assert np.isnan(moved["clock_skew"])  # this agent looks at no clock
    found = events(records)
    begun = {(t, kind, parent) for t, kind, parent, _ in found}
    assert {(2.0, f"agent_{kind}", f"fault:{n}") for n, kind in enumerate(plans)} <= begun
    assert {(3.0, f"agent_{kind}_end", f"fault:{n}") for n, kind in enumerate(plans)} <= begun
    assert [name for *_, name in found] == [f"channel:{n}" for n in range(len(found))]
    assert [t for t, *_ in found] == sorted(t for t, *_ in found)


def test_a_run_that_ends_early_tells_nothing_after_its_end():
    push = fault("message_loss", severity="1") + ", " + fault("timeout", at="4 s")
    scenario = wander(faults=f"[{{target: plant, kind: drift, at: 1 s, severity: 30}}, {push}]")
    records = list(play(scenario, draw(scenario, np.arange(4))))
    runs, labels = records[-1].tables["runs"], records[-1].tables["labels"]
    for i in range(4):
        end = runs.run(i)["lived"][0]
        assert end < 4.0
        assert events(records, i)
        assert events(records, i)[-1][0] <= end
        assert "fault/agent/timeout" not in labels.run(i)["class"]


def test_a_program_that_ends_is_labelled_beside_what_was_planned(tmp_path: Path):
    ends = '["sh", "-c", "read a; exit 3"]'
    scenario = wander(
        agent=f"{{kind: program, command: {ends}, reads: [meter]}}", faults=f"[{fault('latency', severity='0.1 s')}]"
    )
    labels = list(play(scenario, draw(scenario, [0])))[-1].tables["labels"].run(0)
    assert dict(zip(labels["label_id"], labels["class"], strict=True)) == {
        "agent:0": "fault/agent/latency", "agent:1": "fault/agent/ended",
    }  # fmt: skip


# -- the language ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"faults": "[{target: agent, kind: latencies}]"}, ["'agent' has no fault 'latencies'", "'latency'"]),
        ({"faults": "[{target: agnt, kind: latency}]"}, ["'agnt'", "did you mean 'agent'"]),
        ({"faults": "[{target: agent, kind: timeout}]", "agent": "null"}, ["there is no agent"]),
        ({"faults": "[{target: agent, kind: latency, severity: 3 m}]"}, ["severity", "time"]),
        ({"faults": "[{target: agent, kind: message_loss, severity: 3 s}]"}, ["severity"]),
    ],
)
def test_what_a_scenario_may_not_say_of_the_agent(changes: dict[str, str], words: list[str]):
    with pytest.raises(ScenarioError) as error:
        wander(**changes)
    for word in words:
        assert word in str(error.value)


def test_the_page_shows_every_kind():
    text = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    section = text.split("\n## Faults of the channel\n")[1].split("\n## ")[0]
    shown = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert shown == list(AGENT_FAULTS)


# -- driving, and a loop outside ---------------------------------------------------------------------------------------


def driving(*faults: str, **changes: str) -> Scenario:
    own = {"sensors": "{}", "duration": "4 s", "vary.friction": "0.8", "faults": f"[{', '.join(faults)}]"}
    return load("driving/cut_in:critical", {**own, **{key.replace("__", "."): v for key, v in changes.items()}})


def test_a_driver_who_hangs_crashes_where_the_twin_does_not():
    scenario = driving(fault("timeout", at="0.5 s"))
    draws = draw(scenario, [0, 1])
    records, plain = list(play(scenario, draws)), list(play(scenario, [twin(d) for d in draws]))
    assert not plain[-1].tables["runs"].columns["event"].any()
    assert records[-1].tables["runs"].columns["event"].all()
    assert records[-1].tables["labels"].run(0)["class"].tolist()[0] == "fault/agent/timeout"
    assert not records[-1].tables["runs"].columns["ego.max_brake"].any()


def test_a_delay_moves_the_braking_of_a_driver_by_itself(tmp_path: Path):
    (tmp_path / "brake.py").write_text(
        "def brake(observation, t):\n    return {'acceleration': -4.0 if t >= 1.0 else 0.0, 'steer': 0.0}\n"
    )
    agent = f"{{kind: '{tmp_path / 'brake.py'}:brake'}}"

    def speed(*faults: str) -> FloatArray:
        scenario = driving(*faults, agent=agent, vary__gap="60 m", vary__closing="0 m/s")
        rows = rows_of(list(play(scenario, draw(scenario, [0])))[:-1], "truth/actors")
        return rows["speed"][rows["actor"] == rows["actor"][0]]

    plain, late = speed(), speed(fault("latency", severity="0.25 s"))
    ahead = speed(fault("clock_skew", severity="0.25 s"))
    shift = round(0.25 * (len(plain) - 1) / 4.0)  # rows in a quarter of a second
    np.testing.assert_allclose(late[shift:], plain[:-shift], rtol=0, atol=1e-9)
    np.testing.assert_allclose(ahead[: -shift - 1], plain[shift:-1], rtol=0, atol=1e-9)


def test_driven_runs_are_the_same_alone_and_in_a_batch():
    at = "{uniform: [0.2 s, 1.5 s]}"
    scenario = driving(
        fault("latency", at=at, severity="{uniform: [0.05, 0.3]}"), fault("message_loss", at=at, severity="0.3"),
        fault("observation_latency", at=at, severity="0.12 s"), fault("timeout", at=at, lasts="0.3 s", chance="0.5"),
    )  # fmt: skip
    draws = draw(scenario, np.arange(5))
    both = digests(scenario, draws)
    assert {run: digest for d in draws for run, digest in digests(scenario, [d], [0.777, 2.345]).items()} == both


def test_a_loop_outside_has_the_faults_of_an_agent_inside(tmp_path: Path):
    pytest.importorskip("gymnasium")
    import mischance.gym
    from mischance.api.observations import function_agent
    from mischance.api.protocols import declares
    from mischance.language.scenario import PlugIn

    scenario = driving(
        fault("latency", at="0.3 s", severity="0.12 s"), fault("message_loss", severity="0.4"),
        fault("observation_latency", at="0.2 s", severity="0.11 s"), fault("clock_skew", severity="0.5 s"),
    )  # fmt: skip
    inside: list[Any] = []
    outside: list[Any] = []

    def note(kept: list[Any], observation: Any) -> None:
        kept.append(np.stack([observation["truth"]["actors"][name] for name in ("t", "x", "speed")]))

    def agent(observation: Any, t: float) -> dict[str, float]:
        note(inside, observation)
        return {"acceleration": -0.1 * len(inside), "steer": 0.0}

    cls = function_agent(agent)
    played = replace(scenario, agent=PlugIn("agents", "inside", cls, declares(cls), {}, declares(cls).settings()))
    runs = list(play(played, draw(played, [0])))[-1].tables["runs"].run(0)

    import gymnasium

    def observe(observation: Any) -> Any:
        note(outside, observation)
        return np.zeros(1, np.float32)

    env = mischance.gym.make(scenario, observe=observe, observation_space=gymnasium.spaces.Box(0, 1, (1,), np.float32))
    outside.clear()
    env.reset(seed=scenario.seed)
    over, info = False, {}
    names = list(env.action_names)
    while not over:
        action = np.zeros(len(names))
        action[names.index("ego.acceleration")] = -0.1 * len(outside)
        _, _, terminated, truncated, info = env.step(action)
        over = terminated or truncated
    assert info["margin"] == runs["margin"][0]
    assert info["t"] == 4.5  # the agent's clock
    assert {"command_lost", "agent_clock_skew"} <= {event["kind"] for event in info["events"]}
    assert len(outside) == len(inside) + 1  # and the turn at the end
    for mine, its in zip(outside, inside, strict=False):
        assert mine.tobytes() == its.tobytes()
    late = outside[-1][0]
    assert late.max() <= 4.0 - 0.11 + 1e-9
