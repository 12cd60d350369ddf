"""The band of healthy runs: what streams look like in runs of other seeds without faults, piece of time by piece.

A stream is observably wrong where one of its features leaves the band while its run's twin stays inside. Features of
each column, of all rows and of each entity by itself: the mean in a piece of time, the largest step from one row of an
entity to its next, the share of values that are missing (NaN or infinite), the share of rows that repeat the one
before, and how many rows there are; of images the mean, the mean change, and whether one repeats the one before. A step
shows what has a wide band from run to run, such as a gain of a speed that each run draws anew; a repeated row shows a
freeze.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mischance.api.randomness import run_uniform
from mischance.api.runs import Record
from mischance.api.tables import AnyArray, Column, FloatArray, IntArray, Schema, Signals, entity_column, seconds
from mischance.language.scenario import Scenario
from mischance.play.player import play
from mischance.play.sampling import draw, twin

HEALTHY = 16  # healthy runs that make the band
SIGMAS = 6.0  # its half width; with 16 runs a narrower one would call chance an effect
BEYOND = 1.25  # the largest step of all healthy runs, at any time, times this: the limit of a step
BINS = 200  # pieces of time that a run is looked at in
ROUNDING = 1e-9  # of a mean of values that are all equal, relative
MEASURED = "t_measured"  # column of a reading: when its row was measured
MOST_ENTITIES = 32  # that have features of their own; those of which there are more are many of a kind


class Feature(NamedTuple):
    """Name of a feature: the stream, the column ('' = of whole rows), what of it, and of which entity ('' = all)."""

    path: str
    column: str
    what: str
    entity: str = ""


def is_stream(path: str) -> bool:
    """Say whether a table or image set tells of the world; labels speak of the fault itself."""
    return path.startswith(("truth/", "sensors/"))


def samples_of(part: Signals, i: int) -> dict[str, AnyArray]:
    """Return the samples of the i-th run as columns."""
    values = part.run(i)
    return {"t": part.t()[: len(values)], **{name: values[:, j] for j, name in enumerate(part.channels)}}


@dataclass(slots=True)
class Profile:
    """One run in a fixed number of pieces of time: features of every stream, and when each was known.

    `interval`: longest time from a row of a stream to its next [s]; `age`: longest from a measurement to its row [s].
    """

    duration: float
    interval: dict[str, float] = field(default_factory=dict)
    age: dict[str, float] = field(default_factory=dict)
    _sums: dict[Feature, FloatArray] = field(default_factory=dict)
    _counts: dict[Feature, FloatArray] = field(default_factory=dict)
    _peaks: dict[Feature, FloatArray] = field(default_factory=dict)
    _known: dict[Feature, FloatArray] = field(default_factory=dict)
    _tails: dict[str, tuple[FloatArray, AnyArray]] = field(default_factory=dict)
    _last: dict[str, float] = field(default_factory=dict)
    _images: dict[str, AnyArray] = field(default_factory=dict)

    def add(self, record: Record, i: int) -> None:
        """Take the next rows and images of run i."""
        for path, table in record.tables.items():
            if is_stream(path):
                rows = table.run(i)
                t = seconds(rows["t"], table.schema)
                self._clock(path, t, rows, table.schema)
                self._mean(Feature(path, "", "rows"), t, np.ones(len(t)))
                self._columns(path, t, rows, table.schema)
        for path, part in record.signals.items():
            if is_stream(path):
                samples = samples_of(part, i)
                t = samples["t"]
                schema = {"t": Column(unit="s", role="time"), **part.channels}
                self._clock(path, t, samples, schema)
                self._columns(path, t, samples, schema)
        for path, images in record.frames.items():
            if is_stream(path):
                frames = images[i]
                self._clock(path, frames.t, {}, {})
                for name, stack in frames.passes.items():
                    self._look(path, name, frames.t, stack)

    def values(self) -> dict[Feature, FloatArray]:
        """Return every feature in every piece of time; NaN where there is none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found = {
                key: total if key.what == "rows" else total / self._counts[key] for key, total in self._sums.items()
            }
        return found | self._peaks

    def known(self, key: Feature) -> FloatArray:
        """Return when a feature was known in every piece of time: at a row, or at its end where it has none [s]."""
        ends = (np.arange(BINS) + 1) / BINS * self.duration
        times = self._known.get(key, np.full(BINS, np.nan))
        return np.where(np.isnan(times), ends, times)

    # -- what is taken of a stream ------------------------------------------------------------------------------------

    def _clock(self, path: str, t: FloatArray, rows: Mapping[str, AnyArray], schema: Schema) -> None:
        if len(t):
            times = np.unique(np.append(t, self._last.get(path, float(t[0]))))
            self.interval[path] = max(self.interval.get(path, 0.0), float(np.diff(times).max(initial=0.0)))
            self._last[path] = float(times[-1])
            if MEASURED in rows:
                ages = t - seconds(rows[MEASURED], {"t": schema[MEASURED]})
                oldest = float(np.max(ages, where=np.isfinite(ages), initial=0.0))
                self.age[path] = max(self.age.get(path, 0.0), oldest)

    def _columns(self, path: str, t: FloatArray, rows: Mapping[str, AnyArray], schema: Schema) -> None:
        """Take the columns of numbers: means, of each entity too, steps of an entity, and rows that are repeated."""
        words = ("category", "text", "utf8")
        names = [
            name
            for name, column in schema.items()
            if name != "t" and column.encoding != "plain" and column.dtype not in words
        ]
        if not len(t) or not names:
            return
        values = np.stack([rows[name].astype(np.float64) for name in names])
        by = entity_column(schema)
        whose = np.asarray(rows[by]) if by else np.zeros(len(t), np.int64)
        entities: Sequence[str] = schema[by].names if by and schema[by].dtype == "category" else ()
        for name, own in zip(names, values, strict=True):
            self._mean(Feature(path, name, "mean"), t, own)
            if rows[name].dtype.kind == "f":
                missing = ~np.isfinite(own)
                self._mean(Feature(path, name, "missing"), t, missing.astype(np.float64), at=missing)
        for code, entity in enumerate(entities if 1 < len(entities) <= MOST_ENTITIES else ()):
            mine = whose == code
            if mine.any():
                for name, own in zip(names, values, strict=True):
                    self._mean(Feature(path, name, "mean", entity), t[mine], own[mine])
        told = [k for k, name in enumerate(names) if schema[name].role != "time" and name not in (by, MEASURED)]
        if told:
            self._steps(path, t, [names[k] for k in told], values[told], whose)

    def _steps(self, path: str, t: FloatArray, names: Sequence[str], values: FloatArray, whose: AnyArray) -> None:
        """Take the steps of each entity from row to row; the last row of each is kept for the next piece of the run."""
        fresh = np.ones(len(t), np.bool_)
        if path in self._tails:
            before, entities = self._tails[path]
            values, whose = np.concatenate([before, values], axis=1), np.concatenate([entities, whose])
            fresh = np.concatenate([np.zeros(len(entities), np.bool_), fresh])
            t = np.concatenate([np.full(len(entities), -math.inf), t])
        _, codes = np.unique(whose, return_inverse=True)
        order = np.argsort(codes, kind="stable")
        follows = codes[order][1:] == codes[order][:-1]
        last = order[np.append(~follows, True)]
        self._tails[path] = values[:, last], whose[last]
        later, earlier = order[1:][follows], order[:-1][follows]
        later, earlier = later[fresh[later]], earlier[fresh[later]]
        if not len(later):
            return
        with np.errstate(invalid="ignore"):  # infinity less itself
            steps = np.abs(values[:, later] - values[:, earlier])
        nothing = np.isnan(values)
        same = ((values[:, later] == values[:, earlier]) | (nothing[:, later] & nothing[:, earlier])).all(axis=0)
        self._mean(Feature(path, "", "repeated"), t[later], same.astype(np.float64), at=same)
        for name, own in zip(names, steps, strict=True):
            self._peak(Feature(path, name, "step"), t[later], own)

    def _look(self, path: str, name: str, t: FloatArray, stack: AnyArray) -> None:
        key = f"{path} {name}"
        for k in range(len(t)):
            when, image = t[k : k + 1], stack[k]
            now = np.nan_to_num(image.astype(np.float64), posinf=0.0, neginf=0.0)
            self._mean(Feature(path, name, "mean"), when, np.array([now.mean()]))
            if key in self._images:
                change = np.array([np.abs(now - self._images[key]).mean()])
                same = change == 0.0
                self._mean(Feature(path, name, "change"), when, change)
                self._mean(Feature(path, name, "repeated"), when, same.astype(np.float64), at=same)
            self._images[key] = now

    def _bins(self, t: FloatArray) -> IntArray:
        return np.clip((t / self.duration * BINS).astype(np.int64), 0, BINS - 1)

    def _mean(self, key: Feature, t: FloatArray, values: FloatArray, at: AnyArray | None = None) -> None:
        """Add rows to a mean, which is known with the last of them, or with the first that is marked `at`."""
        good = np.isfinite(values)
        bins, own = self._bins(t[good]), values[good]
        self._sums[key] = self._sums.get(key, np.zeros(BINS)) + np.bincount(bins, own, BINS)
        self._counts[key] = self._counts.get(key, np.zeros(BINS)) + np.bincount(bins, minlength=BINS)
        known = self._known.setdefault(key, np.full(BINS, np.nan))
        if key.what == "rows":
            return  # of rows that are not there nothing tells before the end
        if at is None:
            np.fmax.at(known, bins, t[good])
        else:
            np.fmin.at(known, self._bins(t[good & at]), t[good & at])

    def _peak(self, key: Feature, t: FloatArray, values: FloatArray) -> None:
        """Add rows to a largest value, which is known with that row."""
        good = np.isfinite(values)
        bins, own, times = self._bins(t[good]), values[good], t[good]
        peaks = self._peaks.setdefault(key, np.full(BINS, np.nan))
        known = self._known.setdefault(key, np.full(BINS, np.nan))
        order = np.lexsort((times, -own, bins))
        first = order[np.append(True, np.diff(bins[order]) > 0)] if len(order) else order
        for k in first.tolist():
            if not own[k] <= peaks[bins[k]]:
                peaks[bins[k]], known[bins[k]] = own[k], times[k]


Band = Mapping[Feature, tuple[FloatArray, FloatArray]]


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
        spread = np.where(seen >= HEALTHY // 2, spread, np.nan)
        if key.what == "step":  # the largest of many is skewed: it counts beyond all that any healthy run ever showed
            largest = float(np.max(stack, where=np.isfinite(stack), initial=0.0))
            mean, spread = np.zeros(BINS), np.where(np.isnan(spread), np.nan, BEYOND * largest / SIGMAS)
        band[key] = (mean, spread)
    return band


def first_seen(
    paths: Sequence[str], mine: Profile, its: Profile, band: Band, start: float, until: float = math.inf
) -> float:
    """Return when a run leaves the band while its twin is inside; NaN = never [s].

    Args:
        paths: the streams that count, and those below them.
        mine: the run.
        its: its twin.
        band: the band of healthy runs.
        start: not before this [s].
        until: not after this [s].
    """
    best = math.nan
    its_values = its.values()
    for key, values in mine.values().items():
        if key not in band or not is_under(key.path, paths):
            continue
        mean, spread = band[key]
        width = SIGMAS * spread + ROUNDING * np.abs(mean)
        twin_values = its_values.get(key, np.full(BINS, np.nan))
        # A twin without a value in some piece of time cannot be outside.
        inside = ~(np.abs(twin_values - mean) > width)
        known = mine.known(key)
        out = (np.abs(values - mean) > width) & inside & (known >= start) & (known <= until)
        if out.any():
            best = float(np.fmin(best, known[out].min()))
    return best


def lag(paths: Sequence[str], mine: Profile, its: Profile) -> float:
    """Return how long after its end a fault of these streams may still be seen: until the next row that is told [s]."""
    interval = [value for path, value in its.interval.items() if is_under(path, paths)]
    age = [value for one in (mine, its) for path, value in one.age.items() if is_under(path, paths)]
    return max(interval, default=0.0) + max(age, default=0.0) + mine.duration / BINS


def is_under(path: str, roots: Sequence[str]) -> bool:
    """Say whether a path is one of these, or below one."""
    return any(path == root or path.startswith(f"{root}/") for root in roots)
