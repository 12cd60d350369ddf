"""The band of healthy runs: what streams look like in runs of other seeds without faults, piece of time by piece.

A stream is observably wrong where it leaves the band while its run's twin stays inside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from mischance.api.randomness import run_uniform
from mischance.api.runs import Record
from mischance.api.tables import AnyArray, FloatArray, IntArray, Signals, seconds
from mischance.language.scenario import Scenario
from mischance.play.player import play
from mischance.play.sampling import draw, twin

HEALTHY = 16  # healthy runs that make the band
SIGMAS = 6.0  # its half width; with 16 runs a narrower one would call chance an effect
BINS = 200  # pieces of time that a run is looked at in


def is_stream(path: str) -> bool:
    """Say whether a table or image set tells of the world; labels speak of the fault itself."""
    return path.startswith(("truth/", "sensors/"))


def samples_of(part: Signals, i: int) -> dict[str, AnyArray]:
    """Return the samples of the i-th run as columns."""
    values = part.run(i)
    return {"t": part.t()[: len(values)], **{name: values[:, j] for j, name in enumerate(part.channels)}}


@dataclass(slots=True)
class Profile:
    """One run in a fixed number of pieces of time: rows, mean values and changes of every stream."""

    duration: float
    sums: dict[str, FloatArray] = field(default_factory=dict)
    counts: dict[str, FloatArray] = field(default_factory=dict)
    _last: dict[str, AnyArray] = field(default_factory=dict)

    def add(self, record: Record, i: int) -> None:
        """Take the next rows and images of run i."""
        for path, table in record.tables.items():
            if is_stream(path):
                rows = table.run(i)
                bins = self._bins(seconds(rows["t"], table.schema))
                self._put(f"{path}#rows", bins, np.ones(len(bins)), rows=True)
                for name, column in table.schema.items():
                    values = rows[name]
                    if name != "t" and column.encoding != "plain" and column.dtype not in ("category", "text"):
                        self._put(f"{path}.{name}", bins, values.astype(np.float64))
        for path, part in record.signals.items():
            if is_stream(path):
                samples = samples_of(part, i)
                bins = self._bins(samples.pop("t"))
                for name, values in samples.items():
                    self._put(f"{path}.{name}", bins, values.astype(np.float64))
        for path, images in record.frames.items():
            if is_stream(path):
                frames = images[i]
                bins = self._bins(frames.t)
                for name, stack in frames.passes.items():
                    self._images(f"{path}.{name}", bins, stack)

    def _images(self, key: str, bins: AnyArray, stack: AnyArray) -> None:
        for k, image in zip(bins, stack, strict=True):
            now = np.nan_to_num(image.astype(np.float64), posinf=0.0)
            self._put(f"{key}.mean", k[None], np.array([now.mean()]))
            if key in self._last:
                self._put(f"{key}.change", k[None], np.array([np.abs(now - self._last[key]).mean()]))
            self._last[key] = now

    def _bins(self, t: FloatArray) -> AnyArray:
        return np.clip((t / self.duration * BINS).astype(np.int64), 0, BINS - 1)

    def _put(self, key: str, bins: AnyArray, values: FloatArray, *, rows: bool = False) -> None:
        good = np.isfinite(values)
        total = np.bincount(bins[good], values[good], BINS)
        count = np.bincount(bins[good], minlength=BINS).astype(np.float64)
        self.sums[key] = self.sums.get(key, np.zeros(BINS)) + total
        # every piece of time has a number of rows, but a mean only where there are any
        self.counts[key] = np.ones(BINS) if rows else self.counts.get(key, np.zeros(BINS)) + count

    def values(self) -> dict[str, FloatArray]:
        """Return the mean of every feature in every piece of time; NaN where there is none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return {key: total / self.counts[key] for key, total in self.sums.items()}


Band = Mapping[str, tuple[FloatArray, FloatArray]]


def _spread_out(scenario: Scenario) -> IntArray:
    """Return the numbers of the healthy runs; under a grid they step through all of it, not its first corner alone."""
    step = 1
    if scenario.plan is not None and scenario.plan.kind == "grid":
        size = scenario.plan.size
        step = next(n for n in range(max(1, round(0.618 * size)), 2 * size + 1) if math.gcd(n, size) == 1)
    return np.arange(HEALTHY, dtype=np.int64) * step


@lru_cache(maxsize=8)
def healthy_band(scenario: Scenario) -> Band:
    """Return feature -> (mean, standard deviation) over healthy runs of other seeds; shapes (BINS,)."""
    other = int(run_uniform(scenario.seed, "healthy", [0])[0] * 2**62)
    draws = [twin(draw) for draw in draw(scenario, _spread_out(scenario), seed=other)]
    profiles = {draw.run: Profile(scenario.duration) for draw in draws}
    for record in play(scenario, draws):
        for i, run in enumerate(record.runs.tolist() if not record.last else []):
            profiles[run].add(record, i)
    runs = [profile.values() for profile in profiles.values()]
    band = {}
    for key in sorted({key for run in runs for key in run}):
        stack = np.array([run.get(key, np.full(BINS, np.nan)) for run in runs])
        seen = np.isfinite(stack).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(seen, np.nansum(stack, axis=0) / seen, np.nan)
            spread = np.sqrt(np.nansum((stack - mean) ** 2, axis=0) / (seen - 1))
        band[key] = (mean, np.where(seen >= HEALTHY // 2, spread, np.nan))
    return band


def first_seen(paths: Sequence[str], mine: Profile, its: Profile, band: Band, start: float) -> float:
    """Return when a run leaves the band while its twin is inside, not before `start`; NaN = never."""
    best = np.nan
    edges = (np.arange(BINS) + 1) / BINS * mine.duration
    its_values = its.values()
    for key, values in mine.values().items():
        if key not in band or not is_under(key.partition("#")[0].partition(".")[0], paths):
            continue
        mean, spread = band[key]
        width = SIGMAS * spread
        twin_values = its_values.get(key, np.full(BINS, np.nan))
        # A twin without a value in some piece of time cannot be outside.
        inside = ~(np.abs(twin_values - mean) > width)
        out = (np.abs(values - mean) > width) & inside & (edges >= start)
        if out.any():
            best = np.fmin(best, max(float(edges[np.argmax(out)]), start))
    return float(best)


def is_under(path: str, roots: Sequence[str]) -> bool:
    """Say whether a path is one of these, or below one."""
    return any(path == root or path.startswith(f"{root}/") for root in roots)
