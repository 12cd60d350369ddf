"""Exact limits of sums and products of proportions: Clopper-Pearson limits, combined by melding.

The upper limit of a proportion with k events in n runs is a quantile of Beta(k + 1, n - k), the lower one of
Beta(k, n - k + 1) (Clopper, Pearson, Biometrika 26, 1934). Independent proportions are melded by giving each its Beta
variable and taking the quantile of what they come to: here `kept * sum(share_j * p_j)`. For one proportion this is
Clopper-Pearson itself. There is no normal approximation, and coverage is at least nominal wherever it was computed;
a proof exists for special cases only.

Source:
    Fay, Proschan, Brittain, Combining one-sample confidence procedures for inference in the two-sample case,
    Biometrics 71, 2015.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import betainc, betaincinv

from mischance.api.tables import FloatArray, IntArray

NODES = 96  # Gauss-Legendre nodes of an integral over one variable's quantiles
NEGLIGIBLE = 1e-12
LEAST_SHARE = 1e-9  # below it a proportion is lost to rounding: it is bounded by its share instead
GRID = 161  # points of the table by which the quantiles of a sum or product are found


def melded_limits(
    share: FloatArray,
    runs: IntArray,
    events: IntArray,
    kept: tuple[int, int] | None = None,
    level: float = 0.95,
) -> tuple[float, float]:
    """Return the exact limits of `a * sum(share * p)`, each with (1 - level) / 2 beyond it.

    Args:
        share: weights of the proportions p, at most 1 in all; shape (s,).
        runs: trials of each proportion, 0 where there are none; shape (s,).
        events: successes of each; shape (s,).
        kept: successes and trials of the common factor a; None if a = 1.
        level: confidence level.
    """
    tail = (1 - level) / 2
    share = np.asarray(share, np.float64)
    there = share > LEAST_SHARE  # what is left out can add its share to the upper limit, and does
    rest = float(share[~there].sum())
    if not there.any():
        return 0.0, min(rest, 1.0)
    share = share[there]
    k, n = np.asarray(events, np.float64)[there], np.asarray(runs, np.float64)[there]
    lower, upper = _law(share, k, n - k + 1), _law(share, k + 1, n - k)
    if kept is not None:
        m, rejected = float(kept[0]), float(kept[1] - kept[0])
        lower, upper = _times(lower, _beta(1.0, m, rejected + 1)), _times(upper, _beta(1.0, m + 1, rejected))
    return max(lower.ppf(tail), 0.0), min(upper.ppf(1 - tail) + rest, 1.0)


@dataclass(frozen=True)
class _Law:
    """A random variable in [low, top]: its distribution function, and a scaled Beta variable of its mean and variance.

    For a scaled Beta variable itself, `cdf` is that of the fit.
    """

    low: float
    top: float
    mean: float
    variance: float
    raw: Callable[[FloatArray], FloatArray] | None = None

    @cached_property
    def fit(self) -> tuple[float, float]:
        """The two parameters of the Beta variable."""
        width = self.top - self.low
        mean = (self.mean - self.low) / width
        size = mean * (1 - mean) * width**2 / self.variance - 1
        return mean * size, (1 - mean) * size

    def cdf(self, x: FloatArray) -> FloatArray:
        """Return P(X <= x); any shape."""
        if self.variance == 0:
            return (x >= self.low).astype(np.float64)
        if self.raw is not None:
            return self.raw(x)
        found: FloatArray = betainc(*self.fit, np.clip((x - self.low) / (self.top - self.low), 0.0, 1.0))
        return found

    def quantiles(self, u: FloatArray) -> FloatArray:
        """Return quantiles, by a table where there is no formula; shape (n,)."""
        if self.variance == 0:
            return np.full_like(u, self.low)
        if self.raw is not None:
            u = np.interp(u, *self._table)
        found: FloatArray = self.low + (self.top - self.low) * betaincinv(*self.fit, u)
        return found

    @cached_property
    def _table(self) -> tuple[FloatArray, FloatArray]:
        """P(X <= x) at quantiles of the fit, and their probabilities by the fit."""
        u = (1 - np.cos(np.linspace(0, np.pi, GRID))) / 2
        inner = self.low + (self.top - self.low) * betaincinv(*self.fit, u[1:-1])
        probability = np.concatenate(([0.0], np.maximum.accumulate(self.cdf(inner)), [1.0]))
        return probability, u

    def ppf(self, q: float) -> float:
        """Return one quantile (false position, Illinois rule).

        Its probability is within 1e-5 for one sum or product, and within 5e-5 for sums of more than two of a few runs.
        """
        if self.variance == 0 or self.raw is None:
            return float(self.quantiles(np.array([q]))[0])

        def excess(u: float) -> float:
            x = self.low + (self.top - self.low) * betaincinv(*self.fit, u)
            return float(self.cdf(np.array([x]))[0]) - q

        u, a, b, fa, fb = q, 0.0, 1.0, -q, 1 - q
        for _ in range(100):
            u = b - fb * (b - a) / (fb - fa)
            fu = excess(u)
            if abs(fu) < 1e-12 or b - a < 1e-15:
                break
            if (fu > 0) == (fb > 0):
                b, fb, fa = u, fu, fa / 2
            else:
                a, fa, fb = u, fu, fb / 2
            if a > b:
                a, b, fa, fb = b, a, fb, fa
        return float(self.low + (self.top - self.low) * betaincinv(*self.fit, u))


@lru_cache(maxsize=1)
def _nodes() -> tuple[FloatArray, FloatArray]:
    x, weight = np.polynomial.legendre.leggauss(NODES)
    return (x + 1) / 2, weight / 2


def _beta(scale: float, a: float, b: float) -> _Law:
    """Return scale * Beta(a, b); a = 0 is the constant 0, b = 0 the constant `scale`."""
    if a == 0 or b == 0 or scale == 0:
        value = scale if a else 0.0
        return _Law(value, value, value, 0.0)
    mean = a / (a + b)
    return _Law(0.0, scale, scale * mean, scale**2 * mean * (1 - mean) / (a + b + 1))


def _law(share: FloatArray, a: FloatArray, b: FloatArray) -> _Law:
    """Return the sum of share * Beta(a, b) over independent variables, those that vary least taken first."""
    parts = [_beta(float(s), float(x), float(y)) for s, x, y in zip(share, a, b, strict=True)]
    parts.sort(key=lambda part: (part.variance, part.top))
    total = parts[0]
    for part in parts[1:]:
        total = _plus(total, part)
    return total


def _plus(first: _Law, second: _Law) -> _Law:
    """Return the sum of two independent variables."""
    low, top, mean = first.low + second.low, first.top + second.top, first.mean + second.mean
    variance = first.variance + second.variance
    for constant, other in ((first, second), (second, first)):
        if constant.variance == 0:
            shift = constant.low
            if other.top - other.low <= NEGLIGIBLE * shift:  # it would be lost to rounding
                return _Law(mean, mean, mean, 0.0)
            raw = None if other.raw is None else (lambda x, other=other, shift=shift: other.cdf(x - shift))
            return _Law(low, top, mean, variance, raw)
    return _Law(
        low, top, mean, variance,
        lambda x: _mixed(first, lambda at: second.cdf(x - at), x - second.top, x - second.low),
    )  # fmt: skip


def _times(first: _Law, second: _Law) -> _Law:
    """Return the product of two independent variables, neither below 0."""
    low, top, mean = first.low * second.low, first.top * second.top, first.mean * second.mean
    square = (first.variance + first.mean**2) * (second.variance + second.mean**2)
    for constant, other in ((first, second), (second, first)):
        if constant.variance == 0:
            value = constant.low
            if value == 0:
                return _Law(0.0, 0.0, 0.0, 0.0)
            raw = None if other.raw is None else (lambda x, other=other, value=value: other.cdf(x / value))
            return _Law(low, top, mean, other.variance * value**2, raw)
    # The nodes lie in the variable that varies less, so that the integrand is smooth.
    small, large = sorted((first, second), key=lambda law: law.variance / law.mean**2)
    if large.raw is not None and small.raw is None:
        small, large = large, small  # unless two integrals would stand in each other
    return _Law(
        low, top, mean, square - mean**2,
        lambda x: _mixed(small, lambda at: large.cdf(x / at), x / large.top, np.full_like(x, small.top)),
    )  # fmt: skip


def _mixed(law: _Law, given: Callable[[FloatArray], FloatArray], certain: FloatArray, never: FloatArray) -> FloatArray:
    """Return the integral of a probability, given the value of a variable, over its law; shape of `certain`.

    Up to `certain` the probability is 1, from `never` on 0, and smooth in between: for a single number, which may be a
    limit, the nodes stand there alone. Many numbers are a table, which is no better than its interpolation.
    """
    u, weight = _nodes()
    if certain.size > 1:
        at = _along(law.quantiles(u), certain)
        found: FloatArray = np.einsum("i,i...->...", weight, given(at))
        return found
    below = law.cdf(certain)
    width = np.maximum(law.cdf(never) - below, 0.0)
    at = law.quantiles((below + np.multiply.outer(u, width)).reshape(-1)).reshape(-1, *certain.shape)
    found = below + width * np.einsum("i,i...->...", weight, given(at))
    return found


def _along(nodes: FloatArray, x: FloatArray) -> FloatArray:
    return nodes.reshape(-1, *[1] * np.ndim(x))


__all__ = ["melded_limits"]
