"""A run that is cut short before its fate is known is undecided: no event, no sign of none, and bounded both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mischance
from mischance.estimate.dataset import sample_of_dataset
from mischance.estimate.probability import event_probability
from mischance.language.scenario import Scenario
from tests.support import wander

RUNS = 12
AGENT = """
from mischance.api.protocols import AgentFailure

class Leaves:
    rate = 1.0

    def start(self, draws, streams):
        self.run, self.gone = draws[0].run, None

    def act(self, readings, t, live):
        if self.run % 4 == 0 and t >= 1.0:
            self.gone = self.gone or AgentFailure(t, "ended", "it had enough")

    def failures(self):
        return [self.gone]
"""


def played(scenario: Scenario) -> dict[str, np.ndarray]:
    records = [one for one in mischance.play(scenario, mischance.draw(scenario, range(RUNS))) if one.last]
    return {
        name: np.concatenate([record.tables["runs"].columns[name] for record in records])
        for name in ("event", "undecided", "verdict")
    }


@pytest.fixture
def leaves(tmp_path: Path) -> Scenario:
    (tmp_path / "leaves.py").write_text(AGENT)
    return wander(
        agent=f'{{kind: "{tmp_path}/leaves.py:Leaves"}}', sensors="{}", vary__noise="0.1",
        faults="[{target: plant, kind: drift, at: 2 s, severity: 3, chance: 0.5}]", write="[parquet]",
    )  # fmt: skip


def test_a_run_whose_agent_is_gone_is_undecided_unless_the_event_has_come(leaves):
    rows = played(leaves)
    gone = np.arange(RUNS) % 4 == 0
    assert rows["event"][gone].any()
    assert not rows["event"][gone].all()
    np.testing.assert_array_equal(rows["undecided"], gone & ~rows["event"])
    np.testing.assert_array_equal(rows["verdict"] == "agent ended", gone)


def test_the_probability_counts_undecided_runs_both_ways(leaves, tmp_path):
    mischance.sweep(leaves, RUNS, tmp_path / "out", workers=0)
    rows = played(leaves)
    found = event_probability(sample_of_dataset(tmp_path / "out", leaves))
    certain, open_ = int(rows["event"].sum()), int(rows["undecided"].sum())
    assert open_ > 0
    assert (found.count, found.undecided) == (certain, open_)
    from scipy.stats import beta

    assert found.low == pytest.approx(beta.ppf(0.025, certain, RUNS - certain + 1), rel=1e-9)
    most = certain + open_
    assert found.high == pytest.approx(beta.ppf(0.975, most + 1, RUNS - most), rel=1e-9)


def test_a_world_may_say_that_it_has_cut_a_run_short(tmp_path):
    text = (Path(__file__).parents[1] / "plugins/drift.py").read_text()
    for before, after in (
        ('    "event": Column("bool"),\n', '    "event": Column("bool"),\n    "undecided": Column("bool"),\n'),
        (
            '            "event": crossed,\n',
            '            "event": crossed,\n            "undecided": np.ones(n, np.bool_),\n',
        ),
    ):
        assert before in text
        text = text.replace(before, after)
    (tmp_path / "short.py").write_text(text)
    rows = played(
        wander(
            agent="null",
            simulator=f'{{kind: "{tmp_path}/short.py:Drift", noise: $noise}}',
            faults="[{target: plant, kind: drift, at: 2 s, severity: 3, chance: 0.5}]",
        )
    )
    assert rows["event"].any()
    np.testing.assert_array_equal(rows["undecided"], ~rows["event"])


def test_runs_that_end_as_they_are_meant_to_are_decided():
    assert not played(wander())["undecided"].any()
