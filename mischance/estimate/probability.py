"""Probability of the event from a sample of runs, with an interval, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mischance.estimate.effective import effective_limits, gamma_limit
from mischance.estimate.melding import melded_limits

if TYPE_CHECKING:
    from mischance.api.tables import BoolArray, FloatArray, IntArray
    from mischance.language.scenario import Plan

LEVEL = 0.95
FEWEST = 10  # least runs with and without the event for an approximate interval
DESIGN_EFFECT = 3.0  # events an effective one, at most, where fewer than ENOUGH are effective: else a few runs decide
ENOUGH = 30


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Runs as an estimator sees them; arrays of shape (n,).

    `weight`: probability of a run's draw over the probability that it was drawn with, `kept` left aside. `undecided`:
    runs that failed or were cut short; their `event` counts for nothing. `share` (s,): probability of each stratum,
    which `stratum` numbers; None where weights vary within strata, and the weights alone count. `kept`: how many of how
    many draws kept the constraints; None without constraints. `plan`: None for Monte Carlo.
    """

    run: IntArray
    event: BoolArray
    weight: FloatArray
    undecided: BoolArray
    stratum: IntArray | None = None
    share: FloatArray | None = None
    kept: tuple[int, int] | None = None
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Probability:
    """What a sample says of the event's probability.

    Attributes:
        count: runs with the event.
        runs: runs that were decided.
        undecided: runs that were not; `low` counts none and `high` all of them as events.
        share: weighted share of the decided runs, constraints included; None without any.
        probability: the estimate; None if the runs are no sample of the population.
        low: lower limit of the 95 % interval, or None.
        high: upper limit, or None.
        kind: exact (by the binomial distribution itself), approximate, or none.
        method: name of the method; '' if there is no interval.
        reason: why there is no interval, and what to do.
        effective_events: runs with the event that, equally weighted, would tell as much (Kish).
        at_most: one-sided 95 % upper limit where events are too few or too unequal for an interval, if no event weighs
            more than the heaviest run; or None.
    """

    count: int
    runs: int
    undecided: int
    share: float | None
    probability: float | None
    low: float | None
    high: float | None
    kind: Literal["exact", "approximate", "none"]
    method: str
    reason: str
    effective_events: float
    at_most: float | None = None

    @property
    def interval(self) -> str:
        """What the interval is called, or why there is none."""
        if self.kind == "none":
            return f"none: {self.reason}"
        both = ", undecided runs counted both ways" if self.undecided else ""
        return f"{self.kind}, {self.method}{both}"

    def __str__(self) -> str:
        """Return the estimate with its limits, or why there are none."""
        if self.probability is None:
            return f"unknown ({self.reason})"
        if self.low is None or self.high is None:
            most = "" if self.at_most is None else f", at most {self.at_most:.4g}"
            return f"{self.probability:.4g}{most} (no interval: {self.reason})"
        return f"{self.probability:.4g} [{self.low:.4g}, {self.high:.4g}] (95 %, {self.interval})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show it in a notebook as `print` does."""
        printer.text(str(self))

    def facts(self) -> dict[str, Any]:
        """Return plain values, `interval` among them."""
        return {**asdict(self), "interval": self.interval}


@dataclass(frozen=True, slots=True)
class _Found:
    """An estimate with its limits, or without: then `reason`."""

    probability: float | None
    low: float | None = None
    high: float | None = None
    kind: Literal["exact", "approximate", "none"] = "none"
    method: str = ""
    reason: str = ""
    at_most: float | None = None


def event_probability(sample: Sample) -> Probability:
    """Return the probability of the event with its 95 % interval.

    Strata of known probability (one, if nothing is forced; for each forced fault of a constant chance, with and
    without it): an exact interval, Clopper-Pearson's, melded where there are several proportions. What share of draws
    keeps the constraints is one of these proportions, so its error is in the interval.

    Other weights: an approximate interval that needs `FEWEST` runs with and as many without the event, and no few runs
    that outweigh the rest; it knows nothing of events heavier than those it saw. Latin hypercube and Sobol points:
    runs of one block depend on each other, so the variance is that of the means of whole blocks, which are independent
    (Owen, Monte Carlo theory, methods and examples, ch. 17). A grid is no sample: it has no probability.
    """
    decided = ~sample.undecided
    event = sample.event & decided
    weight, rate = sample.weight[decided], 1.0 if sample.kept is None else sample.kept[0] / sample.kept[1]
    k, n = int(event.sum()), int(decided.sum())
    share = rate * float((weight * event[decided]).mean()) if n else None
    found = _estimate(sample, event, decided)
    if sample.undecided.any():
        # The lower limit takes undecided runs for innocent, the upper one for events.
        everyone = np.ones_like(decided)
        least, most = _estimate(sample, event, everyone), _estimate(sample, event | sample.undecided, everyone)
        refused = next((each for each in (least, most) if each.kind == "none"), None)
        if refused is not None:
            found = _Found(found.probability, reason=refused.reason, at_most=most.at_most)
        elif least.low is not None and most.high is not None:
            middle = least.probability if found.probability is None else found.probability
            low, high = min(least.low, middle or 0.0), max(most.high, middle or 0.0)
            found = _Found(middle, low, high, least.kind, least.method)
    weights = sample.weight[event]
    square = float((weights**2).sum())
    effective = float(weights.sum()) ** 2 / square if square else 0.0
    return Probability(
        k, n, len(decided) - n, share, found.probability, found.low, found.high, found.kind, found.method,
        found.reason, effective, found.at_most,
    )  # fmt: skip


def _estimate(sample: Sample, event: BoolArray, counted: BoolArray) -> _Found:
    """Estimate from the runs that are counted; `event` is False elsewhere."""
    plan = sample.plan
    if plan is not None and plan.kind == "grid":
        return _Found(None, reason="the points of a grid are no sample of the population")
    if plan is not None:
        return _blocks(sample.run[counted], event[counted], sample.weight[counted], sample.kept, plan.size)
    if sample.share is None or sample.stratum is None:
        return _weighted(event[counted], sample.weight[counted], sample.kept)
    strata = len(sample.share)
    runs = np.bincount(sample.stratum[counted], minlength=strata)
    return _strata(sample.share, runs, np.bincount(sample.stratum[event], minlength=strata), sample.kept)


def _strata(share: FloatArray, runs: IntArray, events: IntArray, kept: tuple[int, int] | None) -> _Found:
    """Return the exact interval. A stratum without runs has a probability between 0 and 1, and adds 0 to the estimate.

    Args:
        share: probability of each stratum; shape (s,).
        runs: how many fell into it; shape (s,).
        events: how many of them had the event; shape (s,).
        kept: draws that kept the constraints, of how many.
    """
    rate = 1.0 if kept is None else kept[0] / kept[1]
    estimate = rate * float((share * events / np.maximum(runs, 1)).sum())
    low, high = melded_limits(share, runs, events, kept, LEVEL)
    name = "Clopper-Pearson" if len(share) == 1 and kept is None else "melded Clopper-Pearson"
    return _Found(estimate, min(low, estimate), max(high, estimate), "exact", name)


def _weighted(event: BoolArray, weight: FloatArray, kept: tuple[int, int] | None) -> _Found:
    """Return the approximate interval of a mean of independent weighted runs, or refuse it."""
    n, k = len(event), int(event.sum())
    if not n:
        return _Found(None, reason="no run was decided")
    rate, relative = _rate(kept)
    value = rate * weight * event
    estimate, heaviest = float(value.mean()), float(value.max()) / n
    reason = _too_few(k, n)
    square = float((value**2).sum())
    effective = float(value.sum()) ** 2 / square if square else 0.0
    if not reason and effective < ENOUGH and effective * DESIGN_EFFECT < k:
        reason = (
            f"a few heavy runs outweigh the others ({k} runs with the event tell as much as {effective:.1f} of equal"
            f" weight); it takes more runs, or faults drawn with probabilities nearer to their chances"
        )
    if not reason and estimate >= 1:
        reason = "the weights come to more than 1; it takes more runs"
    if reason:
        most = rate * float(weight.max()) / n
        limit = min(gamma_limit(estimate, square / n**2, most, LEVEL) * (1 + 1.645 * relative), 1.0)
        return _Found(min(estimate, 1.0), reason=reason, at_most=max(limit, min(estimate, 1.0)))
    variance = float(value.var(ddof=1)) / n + (estimate * relative) ** 2
    low, high = effective_limits(estimate, variance, heaviest, level=LEVEL)
    return _Found(estimate, min(low, estimate), max(high, estimate), "approximate", "mid-p of the weighted events")


def _blocks(run: IntArray, event: BoolArray, weight: FloatArray, kept: tuple[int, int] | None, size: int) -> _Found:
    """Estimate from whole blocks if there are two or more, from all runs otherwise."""
    if not len(run):
        return _Found(None, reason="no run was decided")
    rate, relative = _rate(kept)
    value = rate * weight * event
    numbers, index, sizes = np.unique(run // size, return_inverse=True, return_counts=True)
    whole = sizes == size
    blocks = int(whole.sum())
    used = whole[index] if blocks > 1 else np.ones(len(run), np.bool_)
    k, n = int(event[used].sum()), int(used.sum())
    mean = min(float(value[used].mean()), 1.0)
    if blocks < 2:
        reason = f"the runs of one block of {size} depend on each other; two blocks give one (--runs {2 * size})"
        return _Found(mean, reason=reason)
    reason = _too_few(k, n)
    if reason or mean >= 1:
        return _Found(mean, reason=reason or "the weights come to more than 1; it takes more runs")
    means = np.bincount(index, weights=value, minlength=len(numbers))[whole] / size
    variance = float(means.var(ddof=1)) / blocks
    if variance == 0:
        return _Found(mean, reason="the blocks do not differ, which is no measure of the error; it takes more blocks")
    # Points fill their space evenly, so a further event weighs what the blocks' own variance says.
    variance += (mean * relative) ** 2
    low, high = effective_limits(mean, variance, variance / (mean * (1 - mean)), blocks - 1, LEVEL)
    name = f"mid-p from {blocks} independent blocks of {size}"
    return _Found(mean, min(low, mean), max(high, mean), "approximate", name)


def _rate(kept: tuple[int, int] | None) -> tuple[float, float]:
    """Return the share of draws that keep the constraints, and its relative standard error."""
    if kept is None:
        return 1.0, 0.0
    rate = kept[0] / kept[1]
    return rate, math.sqrt((1 - rate) / kept[0])


def _too_few(k: int, n: int) -> str:
    """Say that there are too few runs with or without the event, and how many it takes; '' if there are enough."""
    fewer, which = (k, "with") if k < FEWEST else (n - k, "without")
    if fewer >= FEWEST:
        return ""
    more = f"about {_round(1.5 * FEWEST * n / fewer)}" if fewer else f"more than {_round(FEWEST * n)}"
    return f"fewer than {FEWEST} runs {which} the event; it takes {more} runs"


def _round(runs: float) -> str:
    """Return a number of runs with two digits, rounded up."""
    unit = 10 ** max(math.floor(math.log10(max(runs, 1.0))) - 1, 0)
    return f"{math.ceil(runs / unit) * unit:,}"


__all__ = ["Probability", "Sample", "event_probability"]
