"""Links of worlds: when they act, against faults planned by hand, samples found by hand and commands given by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Commands, Fault, Record
from mischance.api.tables import Column, Table
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.composite import Composite, StreamsOf, draw_of
from mischance.play.constructing import construct
from mischance.play.player import Player, play
from mischance.play.sampling import draw, twin
from mischance.sweep import jobs
from tests.shell import content
from tests.support import PLUGINS, TANK, digests, rows_of, tanks

CASCADE = PLUGINS / "cascade.yaml"
LEVEL, LEAK = "levels", {"to": "b.wall", "kind": "leak"}
CUTS = [0.003, 1.0 / 3.0, 1.2345678, 2.5, 2.71]


def played(scenario: Scenario, cuts: Sequence[float] = ()) -> list[Record]:
    return list(play(scenario, draw(scenario, np.arange(1)), cuts))


def level(records: Sequence[Record], world: str) -> dict[str, np.ndarray]:
    return rows_of(records, f"truth/{world}.{LEVEL}")


def events(records: Sequence[Record], kind: str) -> list[dict[str, Any]]:
    rows = rows_of(records, "events")
    found = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
    return [row for row in found if row["kind"] == kind]


# -- an event leads to a fault -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["ab", "ba"])
@pytest.mark.parametrize("after", [0.0, 0.37])
def test_a_link_is_a_fault_that_is_planned_at_its_event_s_time(tmp_path: Path, after: float, order: str):
    worlds = {name: {"inflow": 0.21, "noise": 0.05} for name in order}
    link = {"from": "a.full", **LEAK, "severity": "0.3 m/s", "after": after, "lasts": "0.7 s"}
    records = played(tanks(tmp_path, [link], **worlds), CUTS)
    (full,) = events(records, "full")[:1]
    assert full["subject"] == "a.tank"
    planned = {"target": "b.wall", "kind": "leak", "severity": "0.3 m/s", "at": full["t"] + after, "lasts": "0.7 s"}
    wanted = played(tanks(tmp_path, [], faults=[planned], **worlds))
    for world in "ab":
        for column, values in level(wanted, world).items():
            np.testing.assert_array_equal(level(records, world)[column], values, err_msg=f"{world}.{column}")
    assert level(records, "b")["leak"].max() == 0.3
    labels, own = (rows_of(found[-1:], "labels") for found in (records, wanted))
    assert labels["causes"].tolist() == [json.dumps([full["event_id"]])]
    for column in ("label_id", "target", "severity", "t_cause"):
        assert labels[column].tolist() == own[column].tolist()


def test_an_event_at_the_very_beginning_of_another_world_s_time_acts_at_once(tmp_path: Path):
    link = {"from": "a.x", "below": "0.1 m", **LEAK, "severity": "0.3 m/s", "after": 0}
    records = played(tanks(tmp_path, [link]))
    wanted = played(tanks(tmp_path, [], faults=[{"target": "b.wall", "kind": "leak", "severity": "0.3 m/s", "at": 0}]))
    until = level(records, "a")["t"][level(records, "a")["x"] < 0.1][-1]
    rows = level(wanted, "b")["t"] < until
    np.testing.assert_array_equal(level(records, "b")["x"][rows], level(wanted, "b")["x"][rows])
    assert level(records, "b")["leak"][0] == 0.3


def test_without_links_tanks_fill_as_they_do_alone(tmp_path: Path):
    records = played(tanks(tmp_path, [], a={"inflow": 0.3}, b={"inflow": 0.1}), CUTS)
    for world, inflow in (("a", 0.3), ("b", 0.1)):
        path = tmp_path / "alone.yaml"
        path.write_text(
            f"mischance: 1\nname: a/b\nduration: 4 s\nsimulator: {{kind: '{TANK}', inflow: {inflow}}}\n", "utf-8"
        )
        alone = played(load(path))
        for column, values in rows_of(alone, f"truth/{LEVEL}").items():
            np.testing.assert_array_equal(level(records, world)[column], values)
        mine, its = (
            np.concatenate([record.signals[key].run(0) for record in found if key in record.signals])
            for found, key in ((records, f"truth/{world}.sound"), (alone, "truth/sound"))
        )
        np.testing.assert_array_equal(mine, its)
        own = alone[-1].tables["runs"].columns
        for measure in ("peak", "lost"):
            assert records[-1].tables["runs"].columns[f"{world}_{measure}"] == own[measure]


# -- a signal leads to a fault -----------------------------------------------------------------------------------------


def beyond(t: np.ndarray, x: np.ndarray, high: float, low: float, hold: float) -> list[tuple[float, float]]:
    """Return from when to when a signal is beyond a threshold, sample by sample; inf = it still is."""
    found: list[tuple[float, float]] = []
    since = None
    for now, value in zip(t.tolist(), x.tolist(), strict=True):
        if since is None and value > high:
            since = now
        elif since is not None and value <= low:
            if now >= since + hold:
                found.append((since + hold, now))
            since = None
    return [*found, (since + hold, np.inf)] if since is not None and since + hold <= t[-1] else found


def test_a_fault_lasts_while_a_sampled_channel_is_beyond_its_threshold(tmp_path: Path):
    link = {"from": "a.hum", "above": 0.8, "clear": -0.2, "hold": "0.01 s", **LEAK, "after": "0.05 s"}
    records = played(tanks(tmp_path, [link]), CUTS)
    t = np.arange(4001) / 1000.0
    wanted = beyond(t, np.sin(2.0 * np.pi * 1.3 * t), 0.8, -0.2, 0.01)
    told = events(records, "threshold")
    assert [row["t"] for row in told] == [begin for begin, _ in wanted]
    assert len(told) == 6
    labels = rows_of(records[-1:], "labels")
    assert labels["causes"].tolist() == [json.dumps([row["event_id"]]) for row in told if row["t"] + 0.05 <= 4.0]
    del wanted[5:]  # it would begin after the end
    np.testing.assert_allclose(labels["t_cause"], [begin + 0.05 for begin, _ in wanted], rtol=0, atol=1e-12)
    np.testing.assert_allclose(labels["t_end"], [end + 0.05 for _, end in wanted], rtol=0, atol=1e-12)
    rows = level(records, "b")
    acts = [any(f < now <= u for f, u in zip(labels["t_cause"] - 1e-9, labels["t_end"] - 1e-9, strict=True))
            for now in rows["t"]]  # fmt: skip
    np.testing.assert_array_equal(rows["leak"] > 0.0, acts)


def test_hysteresis_and_hold_keep_a_noisy_signal_from_chattering(tmp_path: Path):
    noisy = {"inflow": 0.1, "noise": 3.0}
    found = {}
    for name, own in {
        "bare": {}, "clear": {"clear": "0.1 m"}, "hold": {"hold": "0.2 s"}, "low": {"below": "0.2 m"},
    }.items():  # fmt: skip
        limit = {} if "below" in own else {"above": "0.2 m"}
        link = {"from": "a.x", **limit, **own, **LEAK, "after": 0}
        records = played(tanks(tmp_path, [link], a=noisy, b={}), CUTS)
        x = level(records, "a")
        sign = -1.0 if "below" in own else 1.0
        low = float(str(own.get("clear", "0.2 m")).split()[0])
        hold = float(str(own.get("hold", "0 s")).split()[0])
        wanted = beyond(x["t"], sign * x["x"], sign * 0.2, sign * low, hold)
        assert [row["t"] for row in events(records, "threshold")] == [begin for begin, _ in wanted]
        ends = rows_of(records[-1:], "labels")["t_end"]
        np.testing.assert_array_equal(np.where(np.isnan(ends), np.inf, ends), [end for _, end in wanted])
        found[name] = len(wanted)
    assert found["bare"] > found["clear"] > 0
    assert found["bare"] > found["hold"] > 0
    assert found["low"] > 1


@pytest.mark.parametrize("after", [0.0, 0.13])
def test_a_signal_drives_a_severity_from_sample_to_sample(tmp_path: Path, after: float):
    link = {
        "from": "a.x", "map": [["0.1 m", "0 m/s"], ["0.4 m", "0.2 m/s"]], **LEAK, "every": "0.25 s", "after": after,
    }  # fmt: skip
    records = played(tanks(tmp_path, [link], a={"inflow": 0.15, "noise": 0.02}, b={}), CUTS)
    a, b = level(records, "a"), level(records, "b")
    k = np.arange(17)
    sampled = a["x"][np.searchsorted(a["t"], 0.25 * k, side="right") - 1]
    severity = np.interp(sampled, [0.1, 0.4], [0.0, 0.2])
    place = np.searchsorted(0.25 * k + after, b["t"], side="right") - 1
    wanted = np.where(place >= 0, severity[np.maximum(place, 0)], 0.0)
    np.testing.assert_array_equal(b["leak"], wanted)
    assert len(set(wanted.tolist())) > 5
    (driven,) = events(records, "driven")
    assert driven["t"] == 0.25 * np.flatnonzero(severity)[0]
    labels = rows_of(records[-1:], "labels")
    assert labels["causes"].tolist() == [json.dumps([driven["event_id"]])], "one label for all that it drove"
    assert labels["t_cause"][0] == driven["t"] + after
    assert labels["severity"][0] == severity[: -1 if after else None].max()


# -- a signal, and an event, lead to a command -------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0.0, 0.11])
def test_a_signal_commands_what_somebody_would_who_reads_it(tmp_path: Path, after: float):
    link = {"from": "a.x", "map": [["0 m", 0.3], ["0.5 m", -0.1]], "to": "b.inflow", "every": "0.2 s", "after": after}
    scenario = tanks(tmp_path, [link], a={"inflow": 0.15, "noise": 0.02}, b={"noise": 0.02})
    records = played(scenario, CUTS)
    a = level(records, "a")
    (one,) = draw(scenario, np.arange(1))
    part = scenario.simulator.parts["b"]
    alone = construct(part.cls, part.settings)
    alone.start([draw_of(one, "b")], [StreamsOf(Streams(one.seed, one.run), "b")])
    found = []
    commands = None
    for k in range(21):
        found.append(alone.advance(0.2 * k + after, commands).tables[LEVEL].run(0)["x"])
        read = a["x"][np.searchsorted(a["t"], 0.2 * k, side="right") - 1]
        value = float(np.interp(read, [0.0, 0.5], [0.3, -0.1]))
        table = Table.of({"inflow": Column(unit="m/s")}, [{"inflow": [value]}])
        commands = Commands(table, np.ones(1, np.bool_))
    if after == 0.0:
        found.append(alone.advance(4.0, commands).tables[LEVEL].run(0)["x"])
    x = np.concatenate(found)
    np.testing.assert_array_equal(level(records, "b")["x"][1:], x[:200])


def test_an_event_and_a_threshold_command_a_value(tmp_path: Path):
    links = [
        {"from": "a.full", "to": "b.inflow", "value": "0.7 m/s", "after": "0.1 s"},
        {"from": "a.x", "above": "0.2 m", "to": "b.inflow", "value": 0.4, "after": 0},
    ]
    records = played(tanks(tmp_path, links, a={"inflow": 0.2}, b={"inflow": 0}), CUTS)
    full = next(row for row in events(records, "full") if row["subject"] == "a.tank")
    (crossed,) = events(records, "threshold")
    b = level(records, "b")
    slope = np.diff(b["x"]) * 50.0
    start = b["t"][:-1]
    # a command acts on the steps from the last row on, as an agent's does
    wanted = np.where(start > full["t"] + 0.1 - 0.02 + 1e-9, 0.7, np.where(start > crossed["t"] - 1e-9, 0.4, 0.0))
    np.testing.assert_allclose(slope, wanted, rtol=0, atol=1e-9)
    assert {0.0, 0.4, 0.7} == set(wanted.tolist())


# -- order -------------------------------------------------------------------------------------------------------------


def test_two_sources_in_one_interval_are_told_in_order_of_time_then_of_the_scenario(tmp_path: Path):
    same = {"inflow": 0.25}  # both are full at the very same time
    links = [{"from": f"{name}.full", "to": "c.wall", "kind": "leak", "after": 0} for name in "ba"]
    found = {}
    for order in ("abc", "bca", "cab"):
        worlds = {name: same if name in "ab" else {"inflow": 0.3} for name in order}
        records = played(tanks(tmp_path, links, **worlds))
        rows = rows_of(records, "events")
        assert (np.diff(rows["t"]) >= 0).all()
        full = [event for event in rows["event_id"] if event[0] in "ab"]
        assert full == [f"{name}.event:0" for name in order if name in "ab"]
        labels = rows_of(records[-1:], "labels")
        assert labels["causes"].tolist() == ['["a.event:0"]', '["b.event:0"]']
        found[order] = {name: level(records, name)["x"].tolist() for name in "abc"}
    assert found["abc"] == found["bca"] == found["cab"], "the order of worlds is the order of what is told alone"


def test_causes_are_told_before_what_they_lead_to_at_the_same_time():
    chain = [
        {"from": "b.x", "above": 0.001, "to": "a.wall", "kind": "leak", "severity": -100.0, "after": 0, "lasts": 0.02},
    ]
    text = {
        "worlds": json.dumps({name: {"kind": TANK, "limit": 0.5} for name in "ab"}), "links": json.dumps(chain),
        "vary": "{}", "faults": "[]", "event": "null",
    }  # fmt: skip
    records = played(load(CASCADE, text))
    rows = rows_of(records, "events")
    known = {""}
    for event, parent in zip(rows["event_id"], rows["parent_id"], strict=True):
        assert parent in known
        known.add(event)
    assert len(known) > 1


def test_permuting_worlds_changes_nothing_but_the_order_of_what_is_told():
    plain = load(CASCADE)
    worlds = {name: {**tree, "kind": TANK} for name, tree in reversed(plain.tree["worlds"].items())}
    turned = load(CASCADE, {"worlds": json.dumps(worlds)})
    assert list(turned.simulator.parts) == ["third", "second", "first"]
    draws = draw(plain, np.arange(2))
    assert [one.values for one in draw(turned, np.arange(2))] == [one.values for one in draws]
    for one, other in zip(draws, draw(turned, np.arange(2)), strict=True):
        mine, its = list(play(plain, [one])), list(play(turned, [other], CUTS))
        assert {path for record in mine for path in record.tables} == {p for record in its for p in record.tables}
        for path in ("events", "labels", *(f"truth/{world}.{LEVEL}" for world in plain.simulator.parts)):
            a, b = (rows_of(found[-1:] if path == "labels" else found, path) for found in (mine, its))
            for rows in (a, b):
                rows.pop("twin", None)
            these, those = (sorted(map(repr, zip(*rows.values(), strict=True))) for rows in (a, b))
            assert these == those, path
        assert len(rows_of(mine, "events")["t"]) > 5


# -- any cut, any batch, any worker ------------------------------------------------------------------------------------


def test_a_link_of_every_kind_is_the_same_in_any_batch_and_however_time_is_cut():
    scenario = load(CASCADE)
    draws = draw(scenario, np.arange(3))
    alone = {run: digest for one in draws for run, digest in digests(scenario, [one]).items()}
    assert digests(scenario, draws, CUTS) == alone
    assert len(set(alone.values())) == 3


def swept(scenario: Scenario, out: Path, workers: int = 0) -> dict[str, Any]:
    jobs.sweep(scenario, 5, out, workers=workers)
    found = content(out)
    del found["ledger.sqlite"]
    return found


@pytest.mark.slow
def test_a_sweep_of_several_worlds_is_the_same_with_any_workers(tmp_path: Path):
    scenario = load(CASCADE, {"duration": "1.5 s"})
    found = [swept(scenario, tmp_path / str(workers), workers) for workers in (0, 1, 2)]
    assert found[0] == found[1] == found[2]


def test_a_sweep_of_several_worlds_that_was_killed_goes_on_and_its_runs_play_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Killed(BaseException):
        pass

    scenario = load(CASCADE, {"duration": "1.5 s"})
    outcome, calls = Composite.outcome, []

    def dies(self: Composite) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise Killed
        return outcome(self)

    monkeypatch.setattr(jobs, "FIRST", 1)
    monkeypatch.setattr(Composite, "outcome", dies)
    with pytest.raises(Killed):
        jobs.sweep(scenario, 5, tmp_path / "killed", workers=0)
    monkeypatch.setattr(Composite, "outcome", outcome)
    assert swept(scenario, tmp_path / "killed") == swept(scenario, tmp_path / "whole")
    for run in (0, 4):
        assert jobs.replay(tmp_path / "killed", run).identical


# -- twins -------------------------------------------------------------------------------------------------------------


def test_a_twin_without_the_fault_has_none_of_what_it_led_to(tmp_path: Path):
    links = [
        {"from": "a.leak", "above": "0.05 m/s", "to": "b.wall", "kind": "leak", "after": "0.1 s"},
        {"from": "b.leak", "map": [["0 m/s", 0], ["1 m/s", 1]], "to": "c.inflow", "every": "0.1 s", "after": 0},
    ]
    fault = {"target": "a.wall", "kind": "leak", "at": "1 s", "lasts": "1 s", "severity": "0.2 m/s"}
    worlds = {"a": {"noise": 0.02}, "b": {"noise": 0.02}, "c": {}}
    scenario = tanks(tmp_path, links, faults=[fault], **worlds)
    (one,) = draw(scenario, np.arange(1))
    mine, healthy = list(play(scenario, [one])), list(play(scenario, [twin(one)]))
    unlinked = played(tanks(tmp_path, [], **worlds))
    for world in "ab":
        np.testing.assert_array_equal(level(healthy, world)["x"], level(unlinked, world)["x"])
    first = {w: level(mine, w)["t"][np.argmax(level(mine, w)["x"] != level(healthy, w)["x"])] for w in "abc"}
    assert first == {"a": 1.02, "b": 1.12, "c": 1.12}
    assert not events(healthy, "threshold")
    with Player(scenario) as player:
        lost = player.outcomes([one, twin(one)]).columns["b_lost"]
    assert lost[0] > 0.0 == lost[1]


def test_a_fault_begins_like_another_whatever_their_ends():
    one = Fault("link0:0", "wall", "leak", 1.0, np.inf, 0.1)
    assert one.begins_like(Fault("link0:0", "wall", "leak", 1.0, 2.0, 0.1))
    assert not one.begins_like(Fault("link0:0", "wall", "leak", 1.5, np.inf, 0.1))
    assert not one.begins_like(Fault("link0:0", "roof", "leak", 1.0, np.inf, 0.1))
