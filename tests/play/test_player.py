"""A player: plug-ins built once, the bytes of `play`; any draws in any batch; outcomes alone; levels over time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw
from mischance.api.tables import Table
from mischance.dataset.digest import RunDigests
from mischance.errors import RunError, ScenarioError
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.player import Level, Player, play
from mischance.play.plugins import batch_size, batches
from mischance.play.sampling import draw, twin
from tests.plugins.drift import Drift
from tests.support import rows_of, wander

LEVEL = "{name: crossing, when: peak > 2.0, margin: 2.0 - peak, level: x}"


def digests(records: Any) -> list[tuple[int, str]]:
    """Return (run, digest) in the order in which runs end: the same run may come twice."""
    found, hashes = [], None
    for record in records:
        hashes = hashes or RunDigests(len(record.runs))
        hashes.add(record)
        if record.last:
            found += list(zip(record.runs.tolist(), hashes.finish(), strict=True))
            hashes = None
    return found


def equal(a: Table, b: Table) -> bool:
    return list(a.schema) == list(b.schema) and all(
        np.array_equal(a.columns[name], b.columns[name], equal_nan=a.columns[name].dtype.kind == "f")
        for name in a.schema
    )


# -- any draws in any batch -------------------------------------------------------------------------------------------


def mixed(scenario: Scenario) -> list[Draw]:
    """Return draws of all sorts: plain, twins, branched, one run twice, in no order."""
    plain = draw(scenario, np.arange(6))
    half = 0.5 * scenario.duration
    return [
        plain[4], twin(plain[0]), plain[0], replace(plain[3], branch=((half, "a"),)), plain[3], plain[1],
        replace(plain[1], branch=((half, "b"), (0.75 * scenario.duration, "c"))), plain[5], plain[4], plain[2],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param("wander", {}, marks=pytest.mark.slow),
        ("wander", {"sensors.slow.noise": "$noise"}),
        ("driving/cut_in", {"duration": "3 s", "sensors": "{}"}),
        ("robots/warehouse_head_on", {"sensors": "{}"}),
        ("robots/drone_bird_strike", {"sensors": "{}", "duration": "3 s"}),
        ("payments/card_testing", {"duration": "6 h", "simulator.cards": "200", "simulator.merchants": "20"}),
    ],
)
def test_any_draws_play_in_any_batch(name: str, changes: dict[str, str]) -> None:
    if "sensors" in changes:
        planned = [f for f in load(name).tree["faults"] if not f["target"].startswith("sensors.")]
        changes = {**changes, "faults": json.dumps(planned)}
    scenario = (
        wander(**{k.replace(".", "__"): v for k, v in changes.items()}) if name == "wander" else load(name, changes)
    )
    draws = mixed(scenario)
    played = [list(play(scenario, [one])) for one in draws]
    assert sorted(digests(play(scenario, draws))) == sorted(digests(records)[0] for records in played)
    with Player(scenario) as player:
        outcomes = player.outcomes(draws)
        for i, own in enumerate(records[-1].tables["runs"] for records in played):
            assert equal(Table.of(outcomes.schema, [outcomes.run(i)]), own), "in the order of the draws"


def test_runs_with_different_impacts_play_in_groups() -> None:
    scenario = load(
        "driving/cut_in:crash",
        {"duration": "2 s", "sensors": "{}", "faults": "[]", "simulator.impact.model": "$impact",
         "vary.impact": "{choice: {analytic: 0.5, bullet: 0.5}}"},
    )  # fmt: skip
    draws = draw(scenario, np.arange(10))
    models = [d.values["impact"] for d in draws]
    assert set(models) == {"analytic", "bullet"}
    groups = list(batches(scenario, draws))
    assert sorted(groups) == sorted([[i for i, m in enumerate(models) if m == kind] for kind in ("analytic", "bullet")])
    assert groups[0][0] == 0
    pytest.importorskip("pybullet")
    together = digests(play(scenario, draws))
    assert sorted(together) == sorted(digests(record for d in draws for record in play(scenario, [d])))


# -- built once -------------------------------------------------------------------------------------------------------


def test_a_player_builds_its_plug_ins_once_and_plays_what_play_plays() -> None:
    scenario = wander()
    draws = draw(scenario, np.arange(40))
    with Player(scenario) as player:
        assert player.built == {}
        for part in (draws[:3], draws[20:], draws[:3]):
            assert digests(player.play(part)) == digests(play(scenario, part))
        for one in draws[:10]:
            player.outcomes([one])
        assert player.built == {"simulator": 1, "agent": 1, "sensors.meter": 1, "sensors.slow": 1}
    before = player.built
    assert digests(player.play(draws[:1])) == digests(play(scenario, draws[:1])), "a closed one builds anew"
    assert player.built["simulator"] == before["simulator"] + 1
    player.close()


def test_outcomes_are_those_of_play_without_reading_sensors_that_nobody_looks_at() -> None:
    scenario = wander(require="{low: always x < 1.2 V}")
    draws = draw(scenario, np.arange(20))
    records = [record for record in play(scenario, draws) if record.last]
    with Player(scenario) as player:
        found = player.outcomes(draws)
        assert player.built == {"simulator": 1, "agent": 1, "sensors.meter": 1}
    for i in range(20):
        batch, place = divmod(i, batch_size(scenario))
        own, wanted = found.run(i), records[batch].tables["runs"].run(place)
        assert all(np.array_equal(own[name], wanted[name]) for name in wanted)
    with pytest.raises(RunError, match="no draws"), Player(scenario) as player:
        player.outcomes([])


def test_an_iterator_that_others_have_overtaken_does_not_go_on() -> None:
    scenario = wander()
    draws = draw(scenario, [0, 1])
    with Player(scenario) as player:
        first = player.play(draws)
        next(first)
        assert digests(player.play(draws)) == digests(play(scenario, draws))
        with pytest.raises(RunError, match="other runs were begun"):
            list(first)
        assert digests(player.play(draws)) == digests(play(scenario, draws))


class Breaks(Drift):
    """A world that breaks in run 2."""

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Begin."""
        if any(d.run == 2 for d in draws):
            raise RunError("the wire is cut")
        return super().start(draws, streams)


def test_what_has_failed_is_not_used_again() -> None:
    plain = wander()
    scenario = replace(plain, simulator=replace(plain.simulator, cls=Breaks))
    draws = draw(scenario, np.arange(3))
    with Player(scenario) as player:
        player.outcomes(draws[:2])
        with pytest.raises(RunError, match="the wire is cut"):
            player.outcomes(draws)
        assert equal(player.outcomes(draws[:2]), Player(plain).outcomes(draws[:2]))
        assert player.built["simulator"] == 2


# -- levels -----------------------------------------------------------------------------------------------------------


def test_the_level_is_the_signal_and_crosses_when_the_rows_say_so() -> None:
    scenario = wander(event=LEVEL)
    draws = draw(scenario, np.arange(12))
    with Player(scenario) as player:
        runs, levels = player.levels(draws)
    crossed = 0
    for i, (d, level) in enumerate(zip(draws, levels, strict=True)):
        rows = rows_of(list(play(scenario, [d]))[:-1], "truth/signal")
        np.testing.assert_array_equal(level.t, rows["t"])
        np.testing.assert_array_equal(level.value, rows["x"])
        above = np.flatnonzero(rows["x"] >= 0.8)
        crossing = level.crossing(0.8)
        crossed += len(above) > 0
        assert crossing == rows["t"][above[0]] if len(above) else np.isnan(crossing)
        assert level.running_maximum()[-1] == runs.run(i)["peak"][0]
    assert 0 < crossed < 12


def test_a_branch_at_the_crossing_redraws_the_future_alone() -> None:
    scenario = wander(event=LEVEL, faults="[]", agent="null", vary__noise="0.9")
    draws = draw(scenario, np.arange(8))
    with Player(scenario) as player:
        _, levels = player.levels(draws)
        i = next(i for i, level in enumerate(levels) if 0.5 < level.crossing(0.5) < 5.0)
        t = levels[i].crossing(0.5)
        _, other = player.levels([replace(draws[i], branch=((t, key),)) for key in "ab"])
    past = levels[i].t <= t
    for level in other:
        np.testing.assert_array_equal(level.value[: past.sum()], levels[i].value[past])
        assert level.crossing(0.5) == t, "the crossing itself is of the past"
        # the world draws its noise in blocks of 64 steps: the block of the crossing is of the past too
        assert not np.array_equal(level.value[-100:], levels[i].value[-100:])
    assert not np.array_equal(other[0].value[-100:], other[1].value[-100:])


def test_a_level_may_combine_signals_with_drawn_values_and_none_is_no_height() -> None:
    scenario = wander(event="{name: crossing, when: peak > 2.0, level: abs(x) / noise}")
    draws = draw(scenario, np.arange(3))
    with Player(scenario) as player:
        for d, level in zip(draws, player.levels(draws)[1], strict=True):
            rows = rows_of(list(play(scenario, [d]))[:-1], "truth/signal")
            np.testing.assert_array_equal(level.value, np.abs(rows["x"]) / d.values["noise"])
    gaps = Level(np.arange(4.0), np.array([np.nan, 1.0, np.nan, 0.5]))
    assert gaps.running_maximum().tolist() == [-np.inf, 1.0, 1.0, 1.0]
    assert gaps.crossing(1.0) == 1.0
    assert np.isnan(gaps.crossing(1.5))


def test_a_level_that_speaks_of_nothing_known_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"event\.level.*'ego\.gapp'"):
        load("driving/cut_in", {"event.level": "-ego.gapp"})
    declared = load("driving/cut_in").simulator.declared
    with pytest.raises(ScenarioError, match="that is a measure"):
        load("driving/cut_in", {"event.level": f"-{next(iter(declared.measures))}"})
    with Player(wander()) as player, pytest.raises(RunError, match="no level"):
        player.levels(draw(wander(), [0]))
    unknown = wander(event="{name: crossing, when: peak > 2.0, level: wav}")
    with Player(unknown) as player, pytest.raises(RunError, match="'wav'"):
        player.levels(draw(unknown, [0]))


def test_a_resolved_scenario_keeps_its_level(tmp_path: Any) -> None:
    scenario = load("driving/cut_in", {"event.level": "-ego.gap"})
    (tmp_path / "again.yaml").write_text(scenario.text())
    again = load(tmp_path / "again.yaml")
    assert again.event is not None
    assert again.event.level is not None
    assert again.event.level.text == "-ego.gap"
    assert again.identity() == scenario.identity()
