"""Laws of `play`: a run is the same alone, in a batch, and however time is cut; agents, branches, errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mischance.errors import RunError
from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.plugins import batch_size
from mischance.play.sampling import draw, twin
from tests.support import PLUGINS, digests, rows_of, wander

RUNS = np.arange(8)


def test_a_run_is_the_same_alone_in_any_batch_and_however_time_is_cut():
    scenario = wander()
    draws = draw(scenario, RUNS)
    together = digests(scenario, draws)
    assert len(set(together.values())) == len(RUNS)
    alone = {run: digest for d in draws for run, digest in digests(scenario, [d]).items()}
    assert alone == together
    for size in (2, 7):
        parts = [digests(scenario, draws[k : k + size]) for k in range(0, len(draws), size)]
        assert {run: digest for part in parts for run, digest in part.items()} == together
    rng = np.random.default_rng(5)
    for cuts in ([3.0], np.sort(rng.uniform(0, 6, 23)), np.arange(1, 601) / 100.0):
        assert digests(scenario, draws, list(cuts)) == together


def test_without_an_agent_the_bytes_do_not_depend_on_cuts_either():
    scenario = wander(agent="null")
    draws = draw(scenario, RUNS)
    assert digests(scenario, draws) == digests(scenario, draws, [0.333, 1.0, 4.4444])


def test_the_order_and_number_of_runs_do_not_matter():
    scenario = wander()
    many, few = draw(scenario, np.arange(40)), draw(scenario, np.array([39, 3]))
    assert few == [many[39], many[3]]
    assert digests(scenario, few)[3] == digests(scenario, many[:5])[3]


def test_a_run_that_ends_early_has_no_row_after_its_end():
    scenario = wander(vary__strength="30", faults__0__chance="1")
    records = list(play(scenario, draw(scenario, RUNS)))
    last = records[-1].tables["runs"]
    assert last.columns["event"].all()
    for i in range(len(RUNS)):
        end = last.run(i)["lived"][0]
        assert end < 6.0
        for path in ("truth/signal", "sensors/meter", "sensors/slow"):
            assert rows_of(records[:-1], path, i)["t"].max() <= end


def test_every_tick_of_every_clock_is_there_once():
    records = list(play(wander(faults="[]"), draw(wander(faults="[]"), [0])))
    for path, rate in (("sensors/meter", 33.3), ("sensors/slow", 7.77)):
        t = rows_of(records, path)["t"]
        k = np.arange(int(6.0 * rate) + 1)
        np.testing.assert_array_equal(t, k / rate)


def test_the_agent_closes_the_loop():
    free, held = wander(agent="null", faults="[]"), wander(faults="[]")

    def spread(scenario):
        records = list(play(scenario, draw(scenario, np.arange(16))))
        return np.mean([rows_of(records, "truth/signal", i)["x"].std() for i in range(16)])

    # Ornstein-Uhlenbeck: variance = noise**2 / (2 * pull); the push of 2 x makes the pull 3 instead of 1
    assert spread(held) < 0.85 * spread(free)


def test_a_branch_changes_what_comes_after_it_and_nothing_before():
    scenario = wander(faults="[]")
    plain = draw(scenario, [4])
    branched = [replace(plain[0], branch=((2.0, "a"),)), replace(plain[0], branch=((2.0, "b"),))]
    played = [list(play(scenario, [d])) for d in (*plain, *branched)]
    rows = [rows_of(records, "truth/signal") for records in played]
    before = rows[0]["t"] <= 2.0
    for other in rows[1:]:
        np.testing.assert_array_equal(rows[0]["x"][before], other["x"][: before.sum()])
    assert not np.array_equal(rows[1]["x"][-100:], rows[2]["x"][-100:])
    assert not np.array_equal(rows[0]["x"][-100:], rows[1]["x"][-100:])
    # different branches inside one batch do not touch each other
    both = digests(scenario, [branched[0], draw(scenario, [5])[0]])
    assert both[4] == digests(scenario, [branched[0]])[4]
    assert both[5] == digests(scenario, draw(scenario, [5]))[5]


def test_a_twin_differs_in_nothing_before_the_cause():
    scenario = wander(faults__0__chance="1", faults__1__chance="1")
    for d in draw(scenario, RUNS):
        mine, its = list(play(scenario, [d])), list(play(scenario, [twin(d)]))
        cause = min(f.onset for f in d.faults)
        for path in ("truth/signal", "sensors/meter", "sensors/slow"):
            a, b = rows_of(mine, path), rows_of(its, path)
            k = int(np.searchsorted(a["t"], cause))
            for name in a:
                np.testing.assert_array_equal(a[name][:k], b[name][:k])


@pytest.mark.parametrize(
    ("batch", "body", "words"),
    [
        (8, "rows = [{'push': [float('nan')]} for _ in live]", ["run 3", "push = nan", "t = 0 s"]),
        (8, "rows = [{'push': [1.0]}]", ["run 3", "1 runs"]),
        (8, "return [1.0, 2.0]", ["run 3", "1.0"]),
        (8, "return 'faster'", ["run 3", "str"]),
        (None, "rows = [{'push': [float('nan')]} for _ in live]", ["run 3", "push = nan", "t = 0 s"]),
        (None, "rows = [{'push': [1.0]}] * 2", ["run 3", "2 runs"]),
        (None, "return 'faster'", ["run 3", "'faster'"]),
    ],
)
def test_a_command_that_the_world_cannot_take_is_named(tmp_path, batch, body, words):
    (tmp_path / "bad.py").write_text(
        "import numpy as np\n"
        "from mischance.api.runs import Commands\nfrom mischance.api.tables import Column, Table\n"
        "class Bad:\n"
        f"    batch = {batch}\n"
        "    reads = ('meter',)\n"
        "    def start(self, draws, streams): pass\n"
        "    def act(self, readings, t, live):\n"
        f"        {body}\n"
        "        return Commands(Table.of({'push': Column(unit='V/s')}, rows), live)\n"
    )
    scenario = load(PLUGINS / "wander.yaml", {"agent": f'{{kind: "{tmp_path / "bad.py"}:Bad"}}'})
    with pytest.raises(RunError) as error:
        list(play(scenario, draw(scenario, [3, 4])))
    for word in words:
        assert word in str(error.value)


def test_an_agent_that_reads_an_unknown_sensor_is_told_which_there_are(tmp_path):
    scenario = wander(sensors="{}", faults="[]")
    with pytest.raises(RunError, match="'meter'") as error:
        list(play(scenario, draw(scenario, [0])))
    assert "truth" in error.value.hint


def test_a_drawn_value_in_a_sensor_makes_batches_of_one():
    assert batch_size(wander()) == 16
    scenario = wander(sensors__slow__noise="$noise")
    assert batch_size(scenario) == 1
    digests(scenario, draw(scenario, [0, 1]))
