"""Laws of `event_probability`: what is claimed of a sample, what is refused, and what the error of a weight does."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mischance.estimate.dataset import sample_of_dataset
from mischance.estimate.probability import FEWEST, Probability, Sample, event_probability
from mischance.language.scenario import Plan
from mischance.play import sampling
from mischance.play.sampling import acceptance, draw, forced_strata
from tests.support import wander

FORCED = {"faults__0__chance": "0.01", "faults__0__forced": "0.5", "faults__1__chance": "0"}
DRAWN = {**FORCED, "faults__0__chance": "{uniform: [0, 0.02]}"}


def sample(event, weight=None, undecided=(), **of) -> Sample:
    """Return a sample; plain, if neither weights nor strata are given."""
    n = len(event)
    if weight is None:
        of = {"stratum": np.zeros(n, int), "share": np.ones(1)} | of
    lost = np.isin(np.arange(n), undecided)
    return Sample(
        np.arange(n), np.asarray(event, bool), np.ones(n) if weight is None else np.asarray(weight), lost, **of
    )


def claims(found: Probability) -> tuple[float, float]:
    """Return the interval, which there is."""
    assert found.low is not None
    assert found.high is not None
    assert found.probability is not None
    assert 0 <= found.low <= found.probability <= found.high <= 1
    return found.low, found.high


def first(k: int, n: int):
    return np.arange(n) < k


def test_equal_runs_are_a_binomial_sample():
    found = event_probability(sample(first(3, 40)))
    assert claims(found) == pytest.approx(tuple(stats.binomtest(3, 40).proportion_ci()))
    assert found.interval == "exact, Clopper-Pearson"
    assert (found.count, found.runs, found.probability, found.effective_events) == (3, 40, 0.075, 3.0)


def test_weighted_runs_without_an_event_are_bounded_and_no_interval():
    """They were [0, 0]. The bound is the rule of three for the heaviest run."""
    weight = np.where(first(500, 1000), 0.02, 1.98)
    found = event_probability(sample(np.zeros(1000), weight))
    assert (found.low, found.high, found.probability) == (None, None, 0.0)
    assert found.at_most == pytest.approx(-math.log(0.05) * 1.98 / 1000)
    assert "fewer than 10 runs with the event; it takes more than 10,000 runs" in found.interval


def test_three_forced_runs_say_little_and_stay_in_bounds():
    """They were [0, 1.387], exact: none had the fault, so that all weights were equal."""
    found = event_probability(
        sample(np.zeros(3), np.full(3, 1.98), stratum=np.zeros(3, int), share=np.array([0.99, 0.01]))
    )
    low, high = claims(found)
    assert low == 0
    assert high == pytest.approx(0.99 * (1 - 0.025 ** (1 / 3)) + 0.01)  # nothing is known of runs with the fault


def test_few_weighted_events_are_refused_with_the_number_of_runs_that_it_takes():
    """Two of 60 had a symmetric interval."""
    found = event_probability(sample(first(2, 60), np.where(first(30, 60), 0.02, 1.98)))
    assert (found.low, found.kind) == (None, "none")
    assert found.reason == "fewer than 10 runs with the event; it takes about 450 runs"
    assert found.at_most is not None
    assert found.at_most > 2 * 0.02 / 60


def test_one_heavy_run_among_many_is_no_basis():
    weight = np.where(first(1, 100), 40.0, 0.1)
    found = event_probability(sample(first(20, 100), weight))
    assert found.effective_events == pytest.approx(41.9**2 / (1600 + 0.19))
    assert "a few heavy runs outweigh the others" in found.reason
    claims(event_probability(sample(first(20, 100), np.full(100, 0.1))))


def test_the_bound_carries_the_error_of_the_acceptance():
    """At most 95 % by the runs, times the acceptance and 1.645 of its standard errors (here 10 %)."""
    bounds = [
        event_probability(sample(np.zeros(50), np.ones(50), kept=kept)).at_most
        for kept in ((100, 10_000), (10**8, 10**10))
    ]
    assert bounds[0] / bounds[1] == pytest.approx(1 + 1.645 * math.sqrt(0.99 / 100), rel=1e-3)


def test_a_weighted_interval_is_skewed_as_a_count_is():
    weight = 0.02 + 0.01 * (np.arange(400) % 7)
    found = event_probability(sample(np.arange(400) % 29 == 0, weight))
    low, high = claims(found)
    assert found.kind == "approximate"
    assert high - found.probability > 1.2 * (found.probability - low)
    assert found.probability == pytest.approx(float((weight * (np.arange(400) % 29 == 0)).mean()))


def test_an_estimated_acceptance_is_in_the_interval():
    """Five kept of 20,000 draws have a relative error of 45 %, whatever the runs say."""
    sure, unsure = (
        event_probability(sample(first(300, 600), kept=kept)) for kept in ((500_000, 2 * 10**9), (5, 20_000))
    )
    assert sure.probability == unsure.probability == 0.5 * 0.00025
    narrow, wide = claims(sure), claims(unsure)
    assert (narrow[1] - narrow[0]) / sure.probability == pytest.approx(2 * 1.96 * math.sqrt(0.5 / 300), rel=0.05)
    five = stats.binomtest(5, 20_000).proportion_ci()
    assert wide[1] > 0.48 * five.high
    assert wide[0] < 0.52 * five.low
    assert unsure.interval == "exact, melded Clopper-Pearson"


def test_an_acceptance_error_widens_every_kind_of_interval():
    weight = 0.02 + 0.01 * (np.arange(400) % 7)
    event = np.arange(400) % 13 == 0
    makes = (
        lambda kept: sample(event, weight, kept=kept),
        lambda kept: sample(event, kept=kept),
        lambda kept: sample(event, kept=kept, plan=Plan("lhs", 20)),
    )
    for make in makes:
        exact, rough = claims(event_probability(make((10**6, 10**7)))), claims(event_probability(make((100, 1000))))
        assert rough[0] < exact[0]
        assert rough[1] > exact[1]


def test_blocks_have_the_width_of_student_and_their_own_variance():
    size, counts = 10_000, [4010, 3950, 4030, 3990, 4060, 3960]
    found = event_probability(sample(np.concatenate([first(k, size) for k in counts]), plan=Plan("sobol", size)))
    low, high = claims(found)
    error = np.std(counts, ddof=1) / size / math.sqrt(6)
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, 5) * error, rel=0.01)
    assert found.interval == "approximate, mid-p from 6 independent blocks of 10000"


def test_undecided_runs_are_counted_both_ways():
    found = event_probability(sample(first(2, 20), undecided=(10, 11, 12)))
    assert claims(found) == pytest.approx(
        (stats.binomtest(2, 20).proportion_ci().low, stats.binomtest(5, 20).proportion_ci().high)
    )
    assert (found.count, found.runs, found.undecided, found.probability) == (2, 17, 3, 2 / 17)
    assert found.interval.endswith("undecided runs counted both ways")


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_bounds_hold_and_order_does_not_matter(data: st.DataObject):
    n = data.draw(st.integers(1, 60))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    event = rng.random(n) < data.draw(st.sampled_from([0.0, 0.05, 0.5, 1.0]))
    weight = rng.exponential(size=n) ** data.draw(st.sampled_from([0, 1, 3]))
    strata = data.draw(st.sampled_from([0, 1, 3]))
    of = {"stratum": rng.integers(0, strata, n), "share": np.full(strata, 1 / strata)} if strata else {}
    given_ = sample(
        event, weight, data.draw(st.sampled_from([(), (0,)])), kept=data.draw(st.sampled_from([None, (3, 9)])), **of
    )
    found = event_probability(given_)
    if found.low is not None:
        claims(found)
    if found.at_most is not None:
        assert found.probability is None or found.probability <= found.at_most <= 1
    order = rng.permutation(n)
    shuffled = Sample(
        given_.run[order], event[order], weight[order], given_.undecided[order],
        None if given_.stratum is None else given_.stratum[order], given_.share, given_.kept,
    )  # fmt: skip
    again = event_probability(shuffled)
    assert (again.kind, again.count) == (found.kind, found.count)
    if found.low is not None:
        assert (again.low, again.high) == pytest.approx((found.low, found.high), rel=1e-9, abs=1e-12)


# -- what is known of the draws ---------------------------------------------------------------------------------------


def test_strata_of_forced_faults_are_those_that_were_drawn():
    scenario = wander(**FORCED)
    draws = draw(scenario, range(300))
    stratum, share = forced_strata(scenario, range(300))
    assert [len(d.faults) for d in draws] == stratum.tolist()
    assert share.tolist() == pytest.approx([0.99, 0.01])
    weight = np.exp([d.log_weight for d in draws])
    assert weight == pytest.approx(share[stratum] / 0.5)  # force of one half: either stratum has half of the runs


def test_two_forced_faults_make_four_strata():
    scenario = wander(**{**FORCED, "faults__1__chance": "0.3", "faults__1__forced": "0.25"})
    stratum, share = forced_strata(scenario, range(400))
    assert share.tolist() == pytest.approx([0.99 * 0.7, 0.99 * 0.3, 0.01 * 0.7, 0.01 * 0.3])
    weight = np.exp([d.log_weight for d in draw(scenario, range(400))])
    drawn_with = np.array([0.5 * 0.75, 0.5 * 0.25, 0.5 * 0.75, 0.5 * 0.25])
    assert weight == pytest.approx((share / drawn_with)[stratum])


def test_a_drawn_chance_makes_no_strata():
    assert forced_strata(wander(**DRAWN), range(9)) is None
    assert forced_strata(wander(), range(9))[1].tolist() == [1.0]


def test_few_kept_draws_are_measured_by_more():
    """Of 1 in 1,000, 20,000 draws would keep some 20."""
    found = acceptance(wander(constraints="[noise > 0.8993]"), 3)
    assert found.kept >= sampling.ENOUGH_KEPT
    assert found.draws >= 32 * sampling.MEASURED
    assert abs(found.rate - 0.001) < 4 * found.standard_error
    plain = acceptance(wander(constraints="[noise > 0.55]"), 3)
    assert plain.draws == sampling.MEASURED


def test_draws_that_are_measured_further_are_new_ones():
    """The first 20,000 are not counted again: the same share twice would be no better known."""
    scenario = wander(constraints="[noise > 0.87]")
    found = acceptance(scenario, 3)
    assert found.draws == 2 * sampling.MEASURED
    noise = sampling._columns(scenario, np.arange(found.draws), 3, "acceptance", 0)["noise"]
    assert found.kept == (noise > 0.87).sum()
    assert len(np.unique(noise)) == found.draws


def test_an_acceptance_of_which_nothing_is_known_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampling, "MOST_MEASURED", 40_000)
    with pytest.raises(sampling.RunError, match="no draw in 40,000 keeps 'noise > 2': the weight of a run is unknown"):
        acceptance(wander(constraints="[noise > 2]"), 3)


def write(folder, scenario, runs, event):
    """Write a dataset's table of runs, with the weights of its draws."""
    weight = np.exp([d.log_weight for d in draw(scenario, runs)])
    (folder / "runs").mkdir()
    for part in np.array_split(np.arange(len(runs)), 2):
        table = pa.table({"run": np.asarray(runs)[part], "event": event[part], "weight": weight[part]})
        pq.write_table(table, folder / "runs" / f"{part[0]}.parquet")
    return folder


@pytest.mark.parametrize("changes", [{}, FORCED, DRAWN, {**FORCED, "constraints": "[noise > 0.55]"}])
def test_a_dataset_is_the_sample_that_was_drawn(changes: dict[str, str], tmp_path):
    scenario = wander(**changes)
    runs = np.arange(200)
    event = runs % 3 == 0
    found = sample_of_dataset(write(tmp_path, scenario, runs, event), scenario, undecided={201, 200})
    assert found.run.tolist() == [*runs, 200, 201]
    assert found.event.tolist() == [*event, False, False]
    assert found.undecided.tolist() == [False] * 200 + [True] * 2
    weight = np.exp([d.log_weight for d in draw(scenario, runs)])
    if "constraints" in changes:
        kept, drawn = found.kept
        assert abs(kept / drawn - 0.5) < 4 * math.sqrt(0.25 / drawn)
        weight *= drawn / kept
    else:
        assert found.kept is None
    assert found.weight[:200] == pytest.approx(weight)
    assert found.weight[200:] == pytest.approx(weight.max())
    assert (found.share is None) == (changes is DRAWN)
    estimate = event_probability(found)
    assert estimate.share == pytest.approx(float((np.exp([d.log_weight for d in draw(scenario, runs)]) * event).mean()))
    assert estimate.kind == ("approximate" if changes is DRAWN else "exact")
    claims(estimate)


def test_fewest_events_is_where_an_approximate_interval_begins():
    weight = np.full(100, 0.5)
    assert event_probability(sample(first(FEWEST - 1, 100), weight)).low is None
    assert event_probability(sample(first(FEWEST, 100), weight)).low is not None
