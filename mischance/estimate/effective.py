"""Approximate limits of a probability from its estimate and that estimate's variance.

The estimate y with variance v is taken for a share of n = y (1 - y) / v independent runs, its effective sample size:
n y of them had the event. Limits are those of a binomial share, with neither number an integer: they stay in [0, 1]
and are as skewed as the binomial distribution is. The mid-p rule takes half of the probability of what was seen. A
further event may be as heavy as the heaviest one that was seen: that is in the upper limit.

Source:
    Fay, Feuer, Confidence intervals for directly standardized rates: a method based on the gamma distribution,
    Statistics in Medicine 16, 1997; Fay, Kim, the same using mid-p gamma intervals, Biometrical Journal 59, 2017
    (weighted sums of rare events: for small y the Beta distributions here become their Gamma ones; for equal weights
    they are Clopper's and Pearson's).
    Korn, Graubard, Confidence intervals for proportions with small expected number of positive counts estimated from
    survey data, Survey Methodology 24, 1998 (effective sample size, correction for the variance's own error).
"""

from __future__ import annotations

import math

from scipy.special import betainc, gammaincinv, ndtri, stdtrit


def effective_limits(
    estimate: float, variance: float, heaviest: float, degrees: float = math.inf, level: float = 0.95
) -> tuple[float, float]:
    """Return the approximate limits of a probability.

    Args:
        estimate: of the probability, in (0, 1).
        variance: of the estimate, above 0.
        heaviest: by how much one more event would raise the estimate, at most.
        degrees: of freedom that the variance has; infinite where it is taken for known.
        level: confidence level.
    """
    tail = (1 - level) / 2
    if math.isfinite(degrees):
        factor = (float(stdtrit(degrees, 1 - tail)) / float(ndtri(1 - tail))) ** 2
        variance, heaviest = variance * factor, heaviest * factor
    size = estimate * (1 - estimate) / variance
    lower = (size * estimate, size * (1 - estimate) + 1)
    raised = estimate + heaviest
    size = raised / (variance / (1 - estimate) + heaviest**2)
    upper = (size * raised, size * (1 - estimate))
    return _mid_quantile(lower, upper, tail), _mid_quantile(lower, upper, 1 - tail)


def gamma_limit(estimate: float, variance: float, heaviest: float, level: float = 0.95) -> float:
    """Return the one-sided upper limit of a weighted sum of rare events; it holds without any event, too.

    Args:
        estimate: of the probability.
        variance: sum of the squares of what each event adds to the estimate.
        heaviest: by how much any event would raise the estimate, at most.
        level: confidence level.

    Source:
        Fay, Feuer 1997, as above: Gamma of mean y + w and variance v + w**2.
    """
    mean, spread = estimate + heaviest, variance + heaviest**2
    return float(gammaincinv(mean**2 / spread, level)) * spread / mean


def _mid_quantile(first: tuple[float, float], second: tuple[float, float], q: float) -> float:
    """Return the quantile of a variable that is one of two Beta variables, either as likely, by halving."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high) or high - low < 1e-12 * middle:
            break
        if 0.5 * float(betainc(*first, middle)) + 0.5 * float(betainc(*second, middle)) < q:
            low = middle
        else:
            high = middle
    return (low + high) / 2


__all__ = ["effective_limits", "gamma_limit"]
