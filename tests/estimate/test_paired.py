"""Paired differences of shares and means: published numbers, symmetry, and how often the interval covers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from mischance.errors import RunError
from mischance.estimate.paired import paired_mean, paired_shares, tango_interval


def test_the_published_numbers_of_airway_hyper_responsiveness_come_out():
    """Before and after stem cell transplantation: 1, 1, 7 and 12 of 21 children.

    Source:
        M. W. Fagerland, S. Lydersen, P. Laake, Statistics in Medicine 33 (2014) 2850-2875, data of Bentur et al. 2009.
    """
    before = np.array([True] * 2 + [False] * 19)
    after = np.array([True, False] + [True] * 7 + [False] * 12)
    found = paired_shares(before, after)
    assert (found.pairs, found.gained, found.lost) == (21, 7, 1)
    assert (round(found.low, 3), round(found.high, 3)) == (0.026, 0.517)
    assert round(found.difference, 3) == 0.286
    assert round(found.p_value, 4) == 0.0703


def test_swapped_sides_mirror_the_interval_and_keep_the_p_value():
    for b, c, n in ((5, 2, 30), (0, 3, 9), (4, 4, 8), (0, 0, 12), (6, 0, 6)):
        low, high = tango_interval(b, c, n)
        assert (-high, -low) == pytest.approx(tango_interval(c, b, n), abs=1e-9)
        assert -1 <= low <= (b - c) / n <= high <= 1
    first, second = np.array([True, True, False, True]), np.array([False, False, True, False])
    assert paired_shares(first, second).p_value == paired_shares(second, first).p_value


def test_the_limits_are_where_the_score_is_the_quantile():
    """The other probability is found here by searching the likelihood, not by its formula."""
    b, c, n = 9, 3, 40
    z = stats.norm.ppf(0.975)
    for delta in tango_interval(b, c, n):
        p21 = np.linspace(max(0.0, -delta) + 1e-9, (1 - delta) / 2 - 1e-9, 400_001)
        likelihood = b * np.log(p21 + delta) + c * np.log(p21) + (n - b - c) * np.log(1 - 2 * p21 - delta)
        best = p21[np.argmax(likelihood)]
        score = (b - c - n * delta) / math.sqrt(n * (2 * best + delta - delta**2))
        assert abs(score) == pytest.approx(z, abs=1e-3)


def test_the_interval_without_any_change_is_that_of_the_score_of_nothing():
    """With b = c = 0 the score is sqrt(n d / (1 - d)), from which d = z^2 / (n + z^2)."""
    z2 = stats.norm.ppf(0.975) ** 2
    for n in (1, 10, 500):
        assert tango_interval(0, 0, n) == pytest.approx((-z2 / (n + z2), z2 / (n + z2)), abs=1e-9)
        assert paired_shares(np.ones(n, bool), np.ones(n, bool)).p_value == 1.0


def test_the_exact_test_is_the_tail_of_a_fair_coin():
    for gained, lost in itertools.product(range(5), range(5)):
        first = np.array([False] * gained + [True] * lost + [True] * 3)
        second = np.array([True] * gained + [False] * lost + [True] * 3)
        n, k = gained + lost, min(gained, lost)
        tail = 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n
        assert paired_shares(first, second).p_value == pytest.approx(min(tail, 1.0))


def test_no_pair_says_nothing_and_unequal_sides_are_an_error():
    found = paired_shares(np.empty(0, bool), np.empty(0, bool))
    assert found.pairs == 0
    assert math.isnan(found.low)
    with pytest.raises(RunError, match="two values each"):
        paired_shares(np.ones(2, bool), np.ones(3, bool))


def coverage(p12: float, p21: float, n: int) -> float:
    """Return the exact probability that the interval holds the true difference: a sum over all outcomes."""
    total = 0.0
    for b in range(n + 1):
        for c in range(n + 1 - b):
            chance = stats.multinomial.pmf([b, c, n - b - c], n, [p12, p21, 1 - p12 - p21])
            if chance > 1e-12:
                low, high = tango_interval(b, c, n)
                total += chance * (low <= p12 - p21 <= high)
    return float(total)


@pytest.mark.parametrize(("p12", "p21", "n"), [(0.2, 0.1, 20), (0.3, 0.05, 12)])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(p12: float, p21: float, n: int):
    """A score interval is approximate: its exact coverage lies around the nominal level, not always above it."""
    assert 0.93 <= coverage(p12, p21, n) <= 0.985


@pytest.mark.slow
def test_the_mean_coverage_over_the_simplex_is_the_nominal_one():
    rng = np.random.default_rng(5)
    found = [coverage(*rng.dirichlet([1, 1, 4])[:2], 30) for _ in range(25)]
    assert abs(np.mean(found) - 0.95) < 0.015
    assert min(found) > 0.9


def test_the_mean_difference_has_students_interval_and_leaves_out_what_is_no_number():
    before = np.array([1.0, 2.0, np.nan, 4.0, np.inf])
    after = np.array([2.0, 4.5, 1.0, 5.0, np.inf])
    found = paired_mean(before, after)
    interval = stats.ttest_rel(after[[0, 1, 3]], before[[0, 1, 3]]).confidence_interval(0.95)
    assert (found.pairs, found.mean) == (3, 1.5)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert paired_mean(before[2:3], after[2:3]).pairs == 0
    assert math.isnan(paired_mean(before[:1], after[:1]).low)
