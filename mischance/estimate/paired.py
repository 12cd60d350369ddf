"""Differences of two agents on the same draws: of the share that passes, and of the mean margin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from mischance.api.tables import BoolArray, FloatArray
from mischance.errors import RunError

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class PairedShares:
    """How the share that passes differs over `pairs` cases, each played twice.

    `gained` passed the second time alone, `lost` the first time alone. `difference` is (gained - lost) / pairs, in
    [low, high] with 95 % confidence; `p_value` is that of no difference. With no pair all of them are NaN.
    """

    pairs: int
    gained: int
    lost: int
    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True)
class PairedMean:
    """The mean of second minus first over `pairs` cases, in [low, high] with 95 % confidence; NaN where too few."""

    pairs: int
    mean: float
    low: float
    high: float


def paired_shares(first: BoolArray, second: BoolArray) -> PairedShares:
    """Compare the shares of two paired samples.

    The test is McNemar's exact conditional one: of the cases that differ, each is gained with probability 1/2. It holds
    its level whatever the cases are, also where they come from different scenarios. The interval is Tango's score
    interval. It takes the cases for a sample of the suite.

    Args:
        first: whether each case passed the first time; shape (n,).
        second: whether it passed the second time; shape (n,).

    Raises:
        RunError: the shapes differ.

    Source:
        Q. McNemar, Psychometrika 12 (1947) 153-157.
        T. Tango, Statistics in Medicine 17 (1998) 891-908.
    """
    if first.shape != second.shape:
        raise RunError(f"pairs need two values each, not {first.shape} and {second.shape}")
    n = len(first)
    gained, lost = int((~first & second).sum()), int((first & ~second).sum())
    if not n:
        return PairedShares(0, 0, 0, math.nan, math.nan, math.nan, math.nan)
    low, high = tango_interval(gained, lost, n)
    p = float(stats.binomtest(gained, gained + lost, 0.5).pvalue) if gained + lost else 1.0
    return PairedShares(n, gained, lost, (gained - lost) / n, low, high, p)


def tango_interval(b: int, c: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Tango's score interval of p12 - p21, from b and c discordant pairs of n.

    The limits are the differences at which the score statistic, with the other probability at its maximum likelihood
    under that difference, is the normal quantile.
    """
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    estimate = (b - c) / n

    def score(delta: float) -> float:
        a = 2 * n
        linear = (2 * n - b + c) * delta - b - c
        constant = -c * delta * (1 - delta)
        p21 = (math.sqrt(max(linear**2 - 4 * a * constant, 0.0)) - linear) / (2 * a)
        variance = n * max(2 * p21 + delta * (1 - delta), 0.0)
        gap = b - c - n * delta
        return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap) if gap else 0.0

    def limit(end: float, target: float) -> float:
        inside = end * (1 - 1e-12)
        if abs(estimate - end) < 1e-12 or abs(score(inside)) <= abs(target):
            return end
        low, high = min(estimate, inside), max(estimate, inside)
        return float(optimize.brentq(lambda delta: score(float(delta)) - target, low, high, xtol=1e-12))

    return limit(-1.0, z), limit(1.0, -z)


def paired_mean(first: FloatArray, second: FloatArray) -> PairedMean:
    """Return the mean difference of two paired samples with Student's interval; pairs that are not finite are left out.

    Args:
        first: shape (n,).
        second: shape (n,).

    Source:
        Student, Biometrika 6 (1908) 1-25.
    """
    known = np.isfinite(first) & np.isfinite(second)
    apart = second[known] - first[known]
    n = len(apart)
    if n == 0:
        return PairedMean(0, math.nan, math.nan, math.nan)
    mean = float(apart.mean())
    if n == 1:
        return PairedMean(1, mean, math.nan, math.nan)
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * float(apart.std(ddof=1)) / math.sqrt(n)
    return PairedMean(n, mean, mean - half, mean + half)
