"""Events per hour: exposure times probability, by hand; in a sweep's summary, in `--json` and in the card."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mischance.errors import ScenarioError
from mischance.estimate.exposure import event_rate
from mischance.estimate.probability import Sample, event_probability
from mischance.language.loading import load
from mischance.language.scenario import ExposureEntry
from tests.shell import mischance
from tests.support import PLUGINS

CENSUS = ExposureEntry(rate=0.3 / 3600.0, source="a census")


def sample(events: int, runs: int) -> Sample:
    """Return plain Monte Carlo runs: one stratum, which has all the probability."""
    every = np.arange(runs)
    return Sample(every, every < events, np.ones(runs), np.zeros(runs, np.bool_), np.zeros(runs, np.int64), np.ones(1))


def test_three_events_in_ten_runs_at_three_situations_in_ten_hours():
    """0.3 /h x 3 / 10 = 0.09 /h; Clopper-Pearson's limits for 3 of 10 are 0.06674 and 0.65245 (by tables)."""
    found = event_rate(CENSUS, event_probability(sample(3, 10)))
    assert found is not None
    assert found.situations == pytest.approx(0.3)
    assert found.events == pytest.approx(0.09)
    assert (found.low, found.high) == pytest.approx((0.3 * 0.06674, 0.3 * 0.65245), abs=2e-5)
    assert str(found) == ("the situation comes up 0.3 times an hour (a census): 0.09 events/h [0.02002, 0.1957] (95 %)")


def test_without_exposure_or_probability_nothing_is_said():
    assert event_rate(None, event_probability(sample(3, 10))) is None
    grid = load(PLUGINS / "wander.yaml", {"plan": "{grid: {noise: [0.2, 0.4]}}"}).plan
    points = Sample(np.arange(2), np.ones(2, np.bool_), np.ones(2), np.zeros(2, np.bool_), plan=grid)
    assert event_rate(CENSUS, event_probability(points)) is None


def test_a_sweep_says_it_in_its_summary_in_json_and_in_the_card(tmp_path: Path):
    asked = "exposure={rate: 0.3 /h, source: a census}"
    changes = ("--set", asked, "--set", "event.when=peak > 0.6", "--runs", "6", "--no-preview", "--out", tmp_path)
    done = mischance("sweep", "wander.yaml", *changes, "--json", cwd=PLUGINS)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    rate, event = facts["per_hour"], facts["event"]
    assert event["count"] >= 1, "events that are there to be counted"
    assert rate["events"] == pytest.approx(0.3 * event["count"] / 6)
    assert (rate["low"], rate["high"]) == pytest.approx((0.3 * event["low"], 0.3 * event["high"]))
    again = mischance("sweep", "wander.yaml", *changes, cwd=PLUGINS)
    assert rate["text"] in again.stderr
    assert rate["text"][1:] in (tmp_path / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("rate", ["0 /h", "{uniform: [0.1 /h, 0.5 /h]}", "$noise"])
def test_how_often_it_comes_up_is_one_number_above_zero(rate: str):
    with pytest.raises(ScenarioError, match=r"exposure\.rate"):
        load(PLUGINS / "wander.yaml", {"exposure.rate": rate})
