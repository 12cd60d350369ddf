"""Worlds of worlds: each plays as it would alone, links carry events across, and how time is cut changes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Draw, Record, join_chunks
from mischance.api.tables import Table
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.composite import StreamsOf, world_class
from mischance.play.constructing import construct
from mischance.play.player import Player, play
from mischance.play.sampling import draw, twin
from mischance.play.twins import play_with_twins
from tests.support import PLUGINS, digests, rows_of

pytest.importorskip("simpy")

NAME = "robots/warehouse_lost_messages"
CUTS = [0.05, 1.0 / 3.0, 1.2345678, 7.0, 7.1, 41.7]


def lost_messages(variant: str = "crash", **overrides: str) -> Scenario:
    return load(f"{NAME}:{variant}", {key.replace("__", "."): value for key, value in overrides.items()})


def text_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "worlds.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def links(*entries: Mapping[str, Any]) -> str:
    return json.dumps(list(entries))


LOST = {"from": "dispatch.lost", "to": "hall.dispatch", "kind": "message_loss"}


def events_of(records: Sequence[Record], i: int = 0) -> dict[str, dict[str, Any]]:
    """Return a run's events by their ids."""
    rows = rows_of(records, "events", i)
    return {row["event_id"]: row for row in (dict(zip(rows, v, strict=True)) for v in zip(*rows.values(), strict=True))}


def without_name(world: str, table: Table, i: int) -> dict[str, list[Any]]:
    """Return a run's rows that belong to a world, with its name taken away from ids and subjects."""
    rows = table.run(i)
    key = "event_id" if "event_id" in rows else "label_id"
    mine = [k for k, text in enumerate(rows[key]) if text.startswith(f"{world}.")]
    own = {name: [values[k] for k in mine] for name, values in rows.items()}
    for name in ("event_id", "parent_id", "subject", "label_id", "target", "causes"):
        if name in own:
            own[name] = [text.replace(f"{world}.", "") for text in own[name]]
    return own


# -- each world plays as it would alone --------------------------------------------------------------------------------


@pytest.mark.parametrize("world", ["dispatch", "hall"])
def test_without_links_a_world_plays_as_it_does_alone(world: str):
    scenario = lost_messages(links="[]", vary__lost="0.5")
    draws = draw(scenario, np.arange(3))
    together = construct(world_class(scenario.simulator), scenario.simulator.settings)
    streams = [Streams(one.seed, one.run) for one in draws]
    told = [together.start(draws, streams), *(together.advance(t, None) for t in (11.3, 90.0))]

    part = scenario.simulator.parts[world]
    alone = construct(part.cls, part.settings)
    own = [
        Draw(
            one.seed, one.run, one.values, settings=one.settings.of[world],
            faults=tuple(f for f in planned(one, world)),
        )
        for one in draws
    ]  # fmt: skip
    fresh = [StreamsOf(Streams(one.seed, one.run), world) for one in draws]
    first = [alone.start(own, fresh), alone.advance(90.0, None)]
    got, wanted = join_chunks(told[1:]), first[1]
    for mine, its in ((told[0], first[0]), (got, wanted)):
        assert {name for name in mine.tables if name.startswith(f"{world}.")} == {f"{world}.{n}" for n in its.tables}
        for name, table in its.tables.items():
            other = mine.tables[f"{world}.{name}"]
            np.testing.assert_array_equal(other.offsets, table.offsets)
            for column, values in table.columns.items():
                np.testing.assert_array_equal(other.columns[column], values)
        for i in range(3):
            assert without_name(world, mine.events, i) == {n: list(v) for n, v in its.events.run(i).items()}
    assert any(len(told[k].tables[f"{world}.{name}"]) for k in (0, 1) for name in wanted.tables)
    (measures, labels), (its_measures, its_labels) = together.outcome(), alone.outcome()
    for name in part.declared.measures:
        np.testing.assert_array_equal(measures.columns[f"{world}_{name}"], its_measures.columns[name])
    for i in range(3):
        mine, other = without_name(world, labels, i), its_labels.run(i)
        for name in ("label_id", "class", "target", "causes"):
            assert mine[name] == list(other[name])
        np.testing.assert_array_equal(mine["t_cause"], other["t_cause"])


def planned(one: Draw, world: str) -> list[Any]:
    from dataclasses import replace

    own = [fault for fault in one.faults if fault.target.startswith(f"{world}.")]
    return [replace(fault, target=fault.target.removeprefix(f"{world}.")) for fault in own]


def test_worlds_of_one_kind_draw_different_numbers():
    both = json.dumps({name: {"kind": "fleet_dispatch", "loss": 0.5} for name in ("north", "south")})
    text = {"worlds": both, "links": "[]", "faults": "[]", "event": "null"}
    scenario = load(NAME, text)
    records = list(play(scenario, draw(scenario, np.arange(1))))
    north, south = (rows_of(records, f"truth/{name}.messages") for name in ("north", "south"))
    np.testing.assert_array_equal(north["t"], south["t"])
    assert north["lost"].tolist() != south["lost"].tolist()
    assert 0.35 < north["lost"].mean() < 0.65  # 182 messages


# -- time and batches --------------------------------------------------------------------------------------------------


def test_cuts_and_batches_change_nothing():
    scenario = lost_messages(vary__lost="0.5")
    draws = draw(scenario, np.arange(7))
    alone = {run: digest for one in draws for run, digest in digests(scenario, [one]).items()}
    assert digests(scenario, draws, CUTS) == alone
    assert digests(scenario, draws[:2], CUTS[2:]) == {run: alone[run] for run in (0, 1)}
    assert len(set(alone.values())) == 7


def test_a_fault_begins_the_link_s_time_after_its_event_whatever_other_links_take():
    found = []
    for other in ([], [{**LOST, "to": "hall.floor", "kind": "friction", "after": 0.03, "severity": 0}]):
        scenario = lost_messages(links=links({**LOST, "after": 0.7, "lasts": 1.5}, *other))
        records = list(play(scenario, draw(scenario, np.arange(1))))
        lost = {key: row["t"] for key, row in events_of(records).items() if row["kind"] == "lost"}
        labels = rows_of(records[-1:], "labels")
        kept = [k for k, target in enumerate(labels["target"]) if target == "hall.dispatch"]
        assert kept
        for k in kept:
            (cause,) = json.loads(labels["causes"][k])
            assert labels["t_cause"][k] == lost[cause] + 0.7
            assert labels["t_end"][k] == pytest.approx(lost[cause] + 2.2, abs=1e-9)
        contact = [key for key, row in events_of(records).items() if row["kind"] == "contact"]
        found.append(([labels["t_cause"][k] for k in kept], contact))
    assert found[0] == found[1]


def test_a_run_ends_when_it_has_ended_in_every_world():
    records = list(play(scenario := lost_messages(), draw(scenario, np.arange(1))))
    messages, actors = (rows_of(records, f"truth/{name}") for name in ("dispatch.messages", "hall.actors"))
    contact = records[-1].tables["runs"].columns["hall_contact_time"][0]
    assert actors["t"][-1] <= contact < messages["t"][-1] == 90.0


# -- causes that cross -------------------------------------------------------------------------------------------------


def test_the_contact_leads_back_across_the_worlds_to_the_radio():
    scenario = lost_messages()
    draws = draw(scenario, np.arange(4))
    for one in draws:
        records = list(play(scenario, [one]))
        events, labels = events_of(records), rows_of(records[-1:], "labels")
        place = list(labels["label_id"]).index("hall.contact:0")
        causes = json.loads(labels["causes"][place])
        crossed = [events[cause] for cause in causes if cause.startswith("dispatch.")]
        assert crossed, causes
        assert {row["kind"] for row in crossed} == {"lost"}
        assert {row["parent_id"] for row in crossed} == {one.faults[0].fault_id}
        unreserved = [row for row in events.values() if row["kind"] == "reservation_lost"]
        assert unreserved
        assert all(events[row["parent_id"]]["kind"] == "lost" for row in unreserved)
        assert all(events[row["parent_id"]]["t"] < row["t"] for row in unreserved)


def test_the_twin_without_the_radio_s_fault_has_no_consequence():
    scenario = lost_messages()
    draws = draw(scenario, np.arange(4))
    with Player(scenario) as player:
        assert player.outcomes(draws).columns["event"].all()
        healthy = player.outcomes([twin(one) for one in draws])
    assert not healthy.columns["event"].any()
    assert not healthy.columns["dispatch_lost"].any()
    (last,) = [record for record in play_with_twins(scenario, draws[:1]) if record.last]
    labels = last.tables["labels"].run(0)
    radio = list(labels["label_id"]).index("dispatch.radio:0")
    assert labels["twin"][radio] == f"run:{draws[0].run}-{draws[0].faults[0].fault_id}"
    assert labels["t_cause"][radio] <= labels["t_effect"][radio] < labels["t_cause"][radio] + 2.0


def test_a_subject_narrows_a_link_to_its_own_events():
    scenario = lost_messages(links=links({**LOST, "subject": "agv2", "lasts": 1.5}))
    records = list(play(scenario, draw(scenario, np.arange(1))))
    events, labels = events_of(records), rows_of(records[-1:], "labels")
    causes = [json.loads(c)[0] for c, t in zip(labels["causes"], labels["target"], strict=True) if t == "hall.dispatch"]
    assert causes
    assert {events[cause]["subject"] for cause in causes} == {"dispatch.agv2"}


# -- requirements, measures --------------------------------------------------------------------------------------------


def test_requirements_speak_of_the_signals_of_each_world(tmp_path: Path):
    drift = f"{PLUGINS}/drift.py:Drift"
    text = f"""
mischance: 1
name: tests/two
duration: 2 s
worlds: {{a: {{kind: '{drift}', noise: 0.2}}, b: {{kind: '{drift}', noise: 0.4}}}}
require: {{low: always(a.x < 0.1), both: always(a.x - b.x < 0.2)}}
"""
    scenario = load(text_of(tmp_path, text))
    records = list(play(scenario, draw(scenario, np.arange(5))))
    runs = records[-1].tables["runs"].columns
    for i in range(5):
        a, b = (rows_of(records, f"truth/{name}.signal", i)["x"] for name in "ab")
        assert runs["require.low.margin"][i] == pytest.approx(0.1 - a.max(), abs=1e-12)
        assert runs["require.both.margin"][i] == pytest.approx(0.2 - (a - b).max(), abs=1e-12)
    assert set(runs) >= {"a_peak", "b_peak"}


def test_bodies_of_several_worlds_move_as_they_do_alone(tmp_path: Path):
    pytest.importorskip("pybullet")
    worlds = {
        "left": {"kind": "arm"},
        "right": {"kind": "arm"},
        "dispatch": {"kind": "fleet_dispatch", "period": "0.35 s"},
    }
    head = "mischance: 1\nname: tests/arms\nduration: 1.3 s\n"
    scenario = load(text_of(tmp_path, f"{head}worlds: {json.dumps(worlds)}\n"))
    records = list(play(scenario, draw(scenario, np.arange(1)), CUTS[:3]))
    alone = load(text_of(tmp_path, f"{head}simulator: {{kind: arm}}\n"))
    wanted = list(play(alone, draw(alone, np.arange(1))))
    for name in ("left", "right"):
        for path in ("motion", "joints", "bodies"):
            got, own = rows_of(records, f"truth/{name}.{path}"), rows_of(wanted, f"truth/{path}")
            assert len(own["t"])
            for column, values in own.items():
                np.testing.assert_array_equal(got[column], values, err_msg=f"{name}.{path}.{column}")
    assert "truth/motion" not in records[0].tables
    sent = rows_of(records, "truth/dispatch.messages")
    assert sent["t"].tolist() == [k * 0.35 for k in range(4) for _ in range(2)]


def test_the_resolved_text_loads_as_the_same_scenario(tmp_path: Path):
    scenario = lost_messages()
    again = load(text_of(tmp_path, scenario.text()))
    assert again.identity() == scenario.identity()
    assert again.simulator.links == scenario.simulator.links
