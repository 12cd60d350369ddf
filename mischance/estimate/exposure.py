"""Events per hour: the probability of the event in a situation, times how often the situation comes up."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mischance.estimate.dataset import sample_of_dataset
from mischance.estimate.probability import event_probability

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from mischance.estimate.probability import Probability
    from mischance.language.scenario import ExposureEntry, Scenario

HOUR = 3600.0  # [s]


@dataclass(frozen=True, slots=True)
class EventRate:
    """How often the event happens [1/h], with limits where its probability has them; `at_most`: an upper limit alone.

    `situations`: how often the situation comes up [1/h], taken as exact: the interval is that of the probability.
    """

    situations: float
    source: str
    events: float
    low: float | None
    high: float | None
    at_most: float | None

    def facts(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def __str__(self) -> str:
        named = f" ({self.source})" if self.source else ""
        limits = f", at most {self.at_most:.4g}" if self.at_most is not None else ""
        if self.low is not None and self.high is not None:
            limits = f" [{self.low:.4g}, {self.high:.4g}] (95 %)"
        return f"the situation comes up {self.situations:.4g} times an hour{named}: {self.events:.4g} events/h{limits}"


def event_rate(exposure: ExposureEntry | None, found: Probability) -> EventRate | None:
    """Return the events per hour of a situation, None where its exposure or the event's probability is unknown.

    Source:
        The rate of an event among situations that come as a point process of rate r, each independently with
        probability p: r p (thinning; Kingman, Poisson processes, 1993, section 5.1).
    """
    if exposure is None or found.probability is None:
        return None
    per_hour = exposure.rate * HOUR
    low, high, at_most = (None if p is None else per_hour * p for p in (found.low, found.high, found.at_most))
    return EventRate(per_hour, exposure.source, per_hour * found.probability, low, high, at_most)


def rate_of_dataset(dataset: Path, scenario: Scenario, undecided: Collection[int] = ()) -> EventRate | None:
    """Return the events per hour of a finished dataset's situation, None where its exposure is not known."""
    if scenario.exposure is None:
        return None
    return event_rate(scenario.exposure, event_probability(sample_of_dataset(dataset, scenario, undecided)))


__all__ = ["EventRate", "event_rate", "rate_of_dataset"]
