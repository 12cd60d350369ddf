"""Formulas of confidence limits against published figures, SciPy, quadrature and simulation."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from mischance.estimate.effective import effective_limits, gamma_limit
from mischance.estimate.melding import _beta, _plus, _times, melded_limits

ONE = np.ones(1)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 60), (1, 1), (4, 8), (10, 100), (60, 60), (1234, 1_000_000)])
def test_one_proportion_has_the_limits_of_clopper_and_pearson(k: int, n: int):
    expected = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    assert melded_limits(ONE, np.array([n]), np.array([k])) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-15)


def test_the_published_example_of_clopper_and_pearson():
    """10 of 100: 4.90 % to 17.62 %, as in the tables of most textbooks."""
    low, high = melded_limits(ONE, np.array([100]), np.array([10]))
    assert (round(low, 4), round(high, 4)) == (0.0490, 0.1762)


@pytest.mark.parametrize(("k", "n", "kept"), [(10, 1000, (5000, 20000)), (3, 50, (20, 400)), (900, 1000, (5, 20000))])
def test_a_product_of_two_proportions_by_quadrature(k: int, n: int, kept: tuple[int, int]):
    """P(A B <= limit) is the integral of P(A <= limit / b) over the density of B."""
    m, drawn = kept
    limits = melded_limits(ONE, np.array([n]), np.array([k]), kept)
    cases = (
        (limits[0], stats.beta(k, n - k + 1), stats.beta(m, drawn - m + 1), 0.025),
        (limits[1], stats.beta(k + 1, n - k), stats.beta(m + 1, drawn - m), 0.975),
    )
    for limit, a, b, wanted in cases:
        ends = b.ppf([1e-10, 1 - 1e-10])
        found, _ = integrate.quad(lambda y: b.pdf(y) * a.cdf(limit / y), *ends, limit=400, points=[b.mean()])  # noqa: B023
        assert found == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("share", "runs", "events"), [([0.02, 0.98], [900, 1100], [11, 1]), ([0.5, 0.5], [7, 9], [2, 3])]
)
def test_a_sum_of_two_proportions_by_quadrature(share: list[float], runs: list[int], events: list[int]):
    limits = melded_limits(np.array(share), np.array(runs), np.array(events))
    for side, wanted in ((0, 0.025), (1, 0.975)):
        a, b = (stats.beta(k + side, n - k + 1 - side) for k, n in zip(events, runs, strict=True))
        found, _ = integrate.quad(
            lambda y: b.pdf(y) * a.cdf((limits[side] - share[1] * y) / share[0]),  # noqa: B023
            0, min(1.0, limits[side] / share[1]), limit=400, points=[min(b.mean(), limits[side] / share[1] / 2)],
        )  # fmt: skip
        assert found == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("share", "runs", "events", "kept"),
    [
        ([0.4, 0.3, 0.2, 0.1], [250, 250, 250, 250], [3, 0, 7, 1], None),
        ([0.2] * 5, [3] * 5, [0, 1, 2, 3, 0], (900, 1000)),
        ([0.3, 0.7], [100, 100], [30, 20], (1000, 60000)),
        ([0.001, 0.009, 0.99], [500, 0, 500], [40, 0, 2], None),
    ],
)
def test_many_proportions_by_simulation(share, runs, events, kept):
    n = 200_000
    rng = np.random.default_rng(3)
    limits = melded_limits(np.array(share), np.array(runs), np.array(events), kept)
    for side, wanted in ((0, 0.025), (1, 0.975)):
        total = np.zeros(n)
        for weight, trials, k in zip(share, runs, events, strict=True):
            a, b = k + side, trials - k + 1 - side
            total += weight * (rng.beta(a, b, n) if a and b else float(b == 0))
        if kept:
            total *= rng.beta(kept[0] + side, kept[1] - kept[0] + 1 - side, n)
        assert abs((total <= limits[side]).mean() - wanted) < 4 * math.sqrt(0.025 * 0.975 / n)


def test_melded_limits_cover_wherever_it_is_computed():
    """Every pair of probabilities of a lattice, all outcomes summed: two strata, one of them thirty times as heavy."""
    runs, share = (9, 5), (0.05, 0.95)
    outcomes = list(product(range(runs[0] + 1), range(runs[1] + 1)))
    limits = np.array([melded_limits(np.array(share), np.array(runs), np.array(k)) for k in outcomes])
    lattice = [0.0, 0.003, 0.02, 0.1, 0.3, 0.5, 0.8, 0.97, 1.0]
    events = np.array(outcomes)
    for p in product(lattice, lattice):
        probability = stats.binom.pmf(events, runs, p).prod(axis=1)
        truth = share[0] * p[0] + share[1] * p[1]
        below, above = probability[limits[:, 1] < truth - 1e-12].sum(), probability[limits[:, 0] > truth + 1e-12].sum()
        assert max(below, above) <= 0.025 + 1e-9, p


@pytest.mark.parametrize("examples", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_melded_limits_keep_their_laws(examples: int):
    settings(max_examples=examples, deadline=None)(given(st.data())(melded_limits_keep_their_laws))()


def melded_limits_keep_their_laws(data: st.DataObject):
    """0 <= low <= estimate <= high <= 1; the order of strata does not matter; one more event raises both limits."""
    strata = data.draw(st.integers(1, 4))
    sizes = st.integers(0, 40)
    share = np.array(data.draw(st.lists(st.floats(0, 1), min_size=strata, max_size=strata)))
    share = share / max(share.sum(), 1.0)
    runs = np.array(data.draw(st.lists(sizes, min_size=strata, max_size=strata)))
    events = np.array([data.draw(st.integers(0, n)) for n in runs.tolist()])
    drawn = data.draw(st.integers(1, 1000))
    kept = data.draw(st.none() | st.tuples(st.integers(1, drawn), st.just(drawn)))
    low, high = melded_limits(share, runs, events, kept)
    rate = kept[0] / kept[1] if kept else 1.0
    estimate = rate * (share * events / np.maximum(runs, 1)).sum()
    assert 0 <= low <= estimate + 1e-9
    assert estimate - 1e-9 <= high <= 1
    order = data.draw(st.permutations(range(strata)))
    assert melded_limits(share[order], runs[order], events[order], kept) == pytest.approx((low, high), abs=1e-6)
    for i in np.flatnonzero(events < runs):
        more = events + (np.arange(strata) == i)
        raised = melded_limits(share, runs, more, kept)
        assert raised[0] >= low - 1e-6
        assert raised[1] >= high - 1e-6


@pytest.mark.parametrize("tiny", [1e-44, 1e-12, 1e-7])
def test_a_stratum_of_next_to_no_share_moves_the_limits_by_its_share_at_most(tiny: float):
    """Whatever came of its runs; the rest is one proportion, whose limits SciPy gives."""
    low, high = stats.beta.ppf(0.025, 3, 28), stats.beta.ppf(0.975, 4, 27)
    for events in (0, 1):
        found = melded_limits(np.array([1.0 - tiny, tiny]), np.array([30, 1]), np.array([3, events]))
        assert found == pytest.approx((low, high), abs=tiny + 1e-12)


DOWN = {  # births and cases of Down syndrome by the mother's age, fifth child and later; births in all
    "cases": [0, 8, 63, 112, 262, 295], "births": [327, 30666, 123419, 149919, 104088, 34392],
    "all": [319933, 931318, 786511, 488235, 237863, 61313],
}  # fmt: skip


def test_the_published_gamma_limits_of_a_weighted_sum():
    """Fay, Feuer 1997: 67.7 to 188.3 per 100,000; mid-p by Fay, Kim 2017: 59.71632 to 173.08170 (R package dsrTest)."""
    cases, births, population = (np.array(DOWN[name], float) for name in ("cases", "births", "all"))
    weight = population / population.sum() / births
    y, v, heaviest = (weight * cases).sum(), (weight**2 * cases).sum(), weight.max()
    assert gamma_limit(y, v, heaviest, 0.975) * 1e5 == pytest.approx(188.30017, abs=1e-5)
    small = 1e-4  # Beta becomes Gamma
    found = np.array(effective_limits(y * small, v * small**2, heaviest * small)) / small * 1e5
    assert found == pytest.approx([59.71632, 173.08170], rel=1e-6)


def test_without_an_event_the_gamma_limit_is_the_rule_of_three():
    assert gamma_limit(0.0, 0.0, 1 / 3000) == pytest.approx(-math.log(0.05) / 3000, rel=1e-12)


def test_equal_weights_give_the_mid_p_limits_of_a_poisson_count():
    """Half of P(X = k) and all beyond it is 2.5 %."""
    k, n = 12, 1e9
    low, high = np.array(effective_limits(k / n, k / n**2, 1 / n)) * n
    assert stats.poisson.sf(k, low) + stats.poisson.pmf(k, low) / 2 == pytest.approx(0.025, rel=1e-6)
    assert stats.poisson.cdf(k, high) - stats.poisson.pmf(k, high) / 2 == pytest.approx(0.025, rel=1e-6)


@pytest.mark.parametrize(("k", "n"), [(12, 30), (20, 200), (15, 18)])
def test_equal_weights_give_the_mid_p_limits_of_a_binomial_share(k: int, n: int):
    """The limits are quantiles of the mean of both Clopper-Pearson distributions."""
    low, high = effective_limits(k / n, k / n * (1 - k / n) / n, 1 / n)
    sides = [stats.beta(k, n - k + 1), stats.beta(k + 1, n - k)]
    exact = [optimize.brentq(lambda p: sum(b.cdf(p) for b in sides) / 2 - q, 0, 1) for q in (0.025, 0.975)]  # noqa: B023
    assert (low, high) == pytest.approx(tuple(exact), rel=1e-9)


@pytest.mark.parametrize("degrees", [3, 7, 40])
def test_few_degrees_of_freedom_widen_as_student_says(degrees: int):
    """With a small error every interval is symmetric: the estimate and t standard errors."""
    estimate, error = 0.4, 1e-4
    low, high = effective_limits(estimate, error**2, 1e-9, degrees)
    reach = stats.t.ppf(0.975, degrees) * error
    assert (low, high) == pytest.approx((estimate - reach, estimate + reach), abs=5e-3 * reach)


@given(st.floats(1e-9, 0.999), st.floats(1e-4, 0.3), st.floats(0, 1))
def test_effective_limits_stay_in_bounds_and_are_skewed_away_from_the_border(y: float, relative: float, heavy: float):
    variance = (relative * y) ** 2
    if variance >= y * (1 - y):
        return
    heaviest = heavy * math.sqrt(variance)
    low, high = effective_limits(y, variance, heaviest)
    assert 0 <= low <= y <= high <= 1
    if y < 0.2 and relative > 0.05:
        assert high - y > y - low


@pytest.mark.parametrize(
    ("first", "second", "product"),
    [
        ((1.0, 1, 1), (1.0, 2, 1), True),  # of one run and two draws: the density does not vanish at the ends
        ((1.0, 3, 28), (1.0, 50, 951), True),
        ((1.0, 2, 5), (1.0, 20, 1), True),
        ((0.5, 1, 1), (0.5, 1, 1), False),
        ((0.9, 1, 2), (0.1, 2, 1), False),
        ((0.7, 3, 28), (0.3, 1, 5), False),
    ],
)
def test_the_law_of_two_proportions_is_that_of_their_joint_density(first, second, product: bool):
    """P(X * Y <= z) and P(X + Y <= z) by adaptive quadrature over the density of Y; quantiles within 1e-5 of it."""
    (s, a, b), (t, c, d) = first, second

    def probability(z: float) -> float:
        def given(y: float) -> float:
            return stats.beta.pdf(y, c, d) * stats.beta.cdf(z / (s * t * y) if product else (z - t * y) / s, a, b)

        corners = [z / (s * t)] if product else [z / t, (z - s) / t]
        inside = sorted({float(np.clip(corner, 0, 1)) for corner in corners})
        return float(integrate.quad(given, 0, 1, points=inside, epsabs=1e-12, limit=400)[0])

    law = (_times if product else _plus)(_beta(*first), _beta(*second))
    for q in (0.025, 0.5, 0.975):
        assert probability(law.ppf(q)) == pytest.approx(q, abs=1e-5)


def test_the_limits_of_one_run_and_two_kept_draws_have_a_closed_form():
    """X uniform and Y ~ Beta(2, 1): P(X Y <= z) = 2 z - z^2, so that the lower limit is 1 - sqrt(0.975)."""
    for more in ([1, 0, 0, 0], [1, 0, 1, 0]):
        low, _ = melded_limits(np.array([1.0, 0.0, 3.3e-44, 0.0]), np.array([1, 0, 1, 0]), np.array(more), (2, 2))
        assert low == pytest.approx(1 - math.sqrt(0.975), abs=5e-6)
