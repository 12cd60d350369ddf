"""A rehearsal tells what the draws hold, what begins and what is played: each figure is counted another way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import mischance.play.rehearsal as module
from mischance.api.protocols import Trigger
from mischance.api.tables import EVENTS, Column, Table
from mischance.errors import RunError
from mischance.language.scenario import Scenario
from mischance.play.player import Player, play
from mischance.play.rehearsal import rehearse
from mischance.play.requirements import PREFIX
from mischance.play.sampling import draw
from tests.support import wander

SHORT = {
    "agent": "null", "duration": "0.3 s",
    "faults": "[{target: plant, kind: drift, at: {uniform: [0.1 s, 0.2 s]}, severity: 300, chance: 0.4}]",
}  # fmt: skip


def short(**more: str) -> Scenario:
    return wander(**(SHORT | more))


def test_as_many_runs_are_drawn_begun_and_played_as_asked_and_no_more(monkeypatch: pytest.MonkeyPatch):
    scenario = short()
    for draws, begin, runs in ((30, 3, 2), (2, 5, 3), (1, 2, 2)):
        seen = rehearse(scenario, draws=draws, begin=begin, runs=runs)
        assert (seen.draws, len(seen.starts), seen.played) == (draws, begin, min(runs, begin))
        assert [start.run for start in seen.starts] == list(range(begin))
        values = [one.values["strength"] for one in draw(scenario, range(draws))]
        (strength,) = (value for value in seen.values if value.name == "strength")
        assert (strength.low, strength.high) == (min(values), max(values))
    assert seen.stuck == ()
    assert seen.acceptance is None
    assert rehearse(short(constraints="[noise > 0.3]"), draws=1, begin=1, runs=1).acceptance is not None


def test_faults_are_told_by_the_runs_that_have_one_and_their_onsets():
    scenario = short()
    seen = rehearse(scenario, draws=80, begin=1, runs=1)
    (told,) = seen.faults
    onsets = [[fault.onset for fault in one.faults] for one in draw(scenario, range(80))]
    every = sorted(onset for own in onsets for onset in own)
    assert 10 < len(every) < 60
    assert (told.target, told.kind, told.share) == ("plant", "drift", sum(map(bool, onsets)) / 80)
    assert (told.low, told.high) == (every[0], every[-1])
    assert told.median in (every[(len(every) - 1) // 2], every[len(every) // 2])
    (never,) = rehearse(
        short(faults="[{target: plant, kind: drift, at: 1 s, chance: 0}]"), draws=9, begin=1, runs=1
    ).faults
    assert (never.share, np.isnan([never.low, never.median, never.high]).all()) == (0.0, True)


def test_two_entries_of_one_target_and_kind_are_one_line():
    twice = (
        "[{target: plant, kind: drift, at: 0.1 s, chance: 0.5}, {target: plant, kind: drift, at: 0.2 s, chance: 0.5}]"
    )
    (told,) = rehearse(short(faults=twice), draws=200, begin=1, runs=1).faults
    assert abs(told.share - 0.75) < 4 * (0.75 * 0.25 / 200) ** 0.5, "either of two independent halves"
    assert (told.low, told.high) == (0.1, 0.2)


def test_words_are_told_with_their_shares_the_most_frequent_first():
    scenario = short(vary__paint="{choice: {red: 1, blue: 3}}", vary__noise="0.2")
    (paint,) = (value for value in rehearse(scenario, draws=40, begin=1, runs=1).values if value.name == "paint")
    drawn = [one.values["paint"] for one in draw(scenario, range(40))]
    assert paint.words == {word: drawn.count(word) / 40 for word in ("blue", "red")}
    assert list(paint.words) == ["blue", "red"]
    assert (paint.unit, np.isnan(paint.low)) == ("", True)


def test_events_and_requirements_are_those_of_the_runs_themselves():
    scenario = short(require="{calm: always x < 0.1 V, wild: always x > 100 V}", vary__noise="{uniform: [0.05, 0.9]}")
    seen = rehearse(scenario, draws=12, begin=12, runs=12)
    events, kept = 0, {"calm": 0, "wild": 0}
    for record in play(scenario, draw(scenario, range(12))):
        if record.last:
            columns = record.tables["runs"].columns
            events += int(columns["event"].sum())
            for name in kept:
                kept[name] += int(columns[f"{PREFIX}{name}"].sum())
    assert (seen.played, seen.events, seen.kept) == (12, events, kept)
    assert 0 < events < 12
    assert 0 < kept["calm"] < 12
    assert kept["wild"] == 0
    assert seen.seconds > 0


def test_a_run_that_fails_costs_itself_alone_and_says_why(monkeypatch: pytest.MonkeyPatch):
    real = Player.play

    def broken(self: Player, draws: Any) -> Any:
        if draws[0].run == 1:
            raise RunError("the tank is empty", "fill it")
        if draws[0].run == 2:
            raise RunError("no hint")
        if draws[0].run == 3:
            raise ValueError("of\n two lines")
        yield from real(self, draws)

    monkeypatch.setattr(Player, "play", broken)
    seen = rehearse(short(), draws=5, begin=5, runs=5)
    assert seen.played == 2
    assert seen.failures == {1: "the tank is empty; fill it", 2: "no hint", 3: "ValueError: of two lines"}
    monkeypatch.setattr(Player, "play", lambda self, draws: (_ for _ in ()).throw(RunError("all")))
    none = rehearse(short(), draws=2, begin=2, runs=2)
    assert (none.played, none.events, len(none.failures), none.unfired) == (0, 0, 2, ())
    assert np.isnan(none.seconds)


def test_runs_that_cannot_begin_are_not_played(monkeypatch: pytest.MonkeyPatch):
    real = module.starts

    def half(scenario: Scenario, drawn: Any) -> Any:
        return [replace(start, error="stands in a wall") if start.run % 2 else start for start in real(scenario, drawn)]

    monkeypatch.setattr(module, "starts", half)
    seen = rehearse(short(), draws=6, begin=6, runs=6)
    assert [start.run for start in seen.stuck] == [1, 3, 5]
    assert seen.played == 3


def test_triggers_that_fired_in_no_run_are_counted_by_event_and_subject():
    scenario = short()
    triggers = (
        Trigger("a[0]", "at 1 s", "braked", "van"), Trigger("a[1]", "at 2 s", "braked", "van"),
        Trigger("b[0]", "at 1 s", "braked", "bus"), Trigger("c[0]", "at 1 s", "turned", "van"),
    )  # fmt: skip
    plugin = scenario.simulator
    told = replace(scenario, simulator=replace(plugin, declared=replace(plugin.declared, triggers=lambda _: triggers)))
    unfired = module._unfired(told, {("braked", "van"): 1, ("braked", "bus"): 2})
    assert unfired == [(triggers[1], 1), (triggers[3], 1)]
    assert module._unfired(told, {}) == [(triggers[1], 2), (triggers[2], 1), (triggers[3], 1)]
    assert module._unfired(scenario, {}) == []
    schema = EVENTS | {"kind": Column("category", names=("braked", "turned"))}
    row = {"t": [0.0], "event_id": ["e"], "parent_id": [""], "subject": ["van"], "details": ["{}"]}
    assert module._kinds(Table.of(schema, [{**row, "kind": [1]}])) == [("turned", "van")]
    assert module._kinds(Table.of(EVENTS, [{**row, "kind": ["turned"]}])) == [("turned", "van")]
