"""From a scenario to draws: what run k gets, had alone or with a million others.

Every uniform is keyed by (seed, name, run), so a value does not depend on which
other runs are drawn with it, on their number, or on what else the scenario varies.
A plan replaces some of the uniforms of `vary`, or the values; it keeps random access.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.randomness import run_uniform
from mischance.api.runs import Draw, Fault
from mischance.api.tables import AnyArray, FloatArray, IntArray
from mischance.errors import RunError
from mischance.play.plans import correlated, spread

if TYPE_CHECKING:
    from mischance.language.distributions.parsing import Spec
    from mischance.language.scenario import PlannedFault, Scenario

ATTEMPTS = 10_000
_AT_ONCE = 2**18
MEASURED = 20_000  # draws by which the acceptance rate is measured at first
ENOUGH_KEPT = 1_000  # with fewer kept, as many again are drawn: 3 % relative standard error at least
MOST_MEASURED = MEASURED * 2**8
MOST_FAULTS = 10_000
MOST_FORCED = 3  # faults whose combinations are strata; more would leave most of them empty


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Which share of draws keeps the constraints, as measured on draws of its own."""

    kept: int
    draws: int

    @property
    def rate(self) -> float:
        """The estimate."""
        return self.kept / self.draws

    @property
    def standard_error(self) -> float:
        """Standard error of the rate."""
        return math.sqrt(self.rate * (1 - self.rate) / self.draws)


def draw(scenario: Scenario, runs: Sequence[int] | IntArray, seed: int | None = None) -> list[Draw]:
    """Return the draws of those runs.

    A run's log-weight is the sum of log(chance / forced) over forced faults (with the complements where
    they did not happen) and, where there are constraints, the log of their acceptance rate: the weighted
    share of an event is then its probability in the population without force and constraints. The runs of a grid
    are no sample of that population: their weights make up for force alone.

    Args:
        scenario: what to draw from.
        runs: run numbers; shape (n,).
        seed: replaces the scenario's.

    Raises:
        RunError: the constraints are hardly ever kept, or a drawn argument is impossible.
    """
    numbers = np.asarray(runs, np.int64)
    root = scenario.seed if seed is None else seed
    values = _values(scenario, numbers, root)
    log_weight = np.zeros(len(numbers))
    if scenario.constraints and not (scenario.plan and scenario.plan.kind == "grid"):
        log_weight += math.log(acceptance(scenario, root).rate)
    faults: list[list[Fault]] = [[] for _ in numbers]
    serial = np.zeros(len(numbers), np.int64)
    for planned in scenario.faults:
        name = f"faults.{planned.number}"
        log_weight += _plan(planned, name, numbers, root, values, scenario.duration, faults, serial)
    draws = []
    settings_for = scenario.simulator.filler()
    columns = {name: column.tolist() for name, column in values.items()}
    for i, run in enumerate(numbers.tolist()):
        own = {name: _plain(column[i]) for name, column in columns.items()}
        try:
            settings = settings_for(own)
        except RunError as error:
            raise RunError(f"run {run}: {error.message}", error.hint) from error
        planned_faults = tuple(sorted(faults[i], key=lambda fault: (fault.onset, fault.fault_id)))
        weight = float(log_weight[i])
        draws.append(Draw(root, run, own, planned_faults, weight, settings=settings, duration=scenario.duration))
    return draws


def twin(draw: Draw, without: str = "*") -> Draw:
    """Return the draw of a run's twin: without one fault, or without any ('*')."""
    left = () if without == "*" else tuple(fault for fault in draw.faults if fault.fault_id != without)
    return replace(draw, faults=left, twin=without)


@lru_cache(maxsize=64)
def acceptance(scenario: Scenario, seed: int) -> Acceptance:
    """Return which share of draws keeps the scenario's constraints.

    It is measured on draws of its own, the same for every run of the seed, so that a run's weight does
    not depend on the sweep it stands in. Where few are kept, the number of draws doubles until there are enough.

    Raises:
        RunError: none of `MOST_MEASURED` draws is kept, so that no run has a known weight.
    """
    kept, drawn = 0, 0
    while kept < ENOUGH_KEPT and drawn < MOST_MEASURED:
        until = max(2 * drawn, MEASURED)
        for first in range(drawn, until, _AT_ONCE):
            runs = np.arange(first, min(first + _AT_ONCE, until), dtype=np.int64)
            kept += int(_kept(scenario, _columns(scenario, runs, seed, "acceptance", 0), len(runs)).sum())
        drawn = until
    if not kept:
        texts = " and ".join(f"'{constraint.text}'" for constraint in scenario.constraints)
        raise RunError(
            f"no draw in {drawn:,} keeps {texts}: the weight of a run is unknown",
            "loosen the constraints, or narrow the distributions in `vary`",
        )
    return Acceptance(kept, drawn)


def forced_strata(scenario: Scenario, runs: IntArray, seed: int | None = None) -> tuple[IntArray, FloatArray] | None:
    """Return which forced faults each run has, and how probable each such combination is without force.

    Returns:
        Each run's stratum, shape (n,), and the probability of each stratum, shape (s,), empty ones included: one
        stratum where nothing is forced. None where a chance is drawn, or more than `MOST_FORCED` faults are forced:
        then weights vary within strata, or most strata are empty.

    Raises:
        RunError: a chance is no probability.
    """
    root = scenario.seed if seed is None else seed
    numbers = np.asarray(runs, np.int64)
    stratum, share = np.zeros(len(numbers), np.int64), np.ones(1)
    forced = [
        (f"faults.{i}", planned.chance, planned.forced)
        for i, planned in enumerate(scenario.faults)
        if planned.forced is not None and planned.chance is not None
    ]
    if len(forced) > MOST_FORCED or any(spec.kind != "constant" for _, spec, _ in forced):
        return None
    for name, spec, drawn_with in forced:
        chance = _probability(f"{name}.chance", np.asarray(spec.quantile({}, {})))
        happens = run_uniform(root, f"{name}.happens", numbers) < drawn_with
        stratum = 2 * stratum + happens
        share = np.stack([share * (1 - chance), share * chance], axis=-1).reshape(-1)
    return stratum, share


def _plain(value: Any) -> float | str:
    return value if isinstance(value, str) else float(value)


def _values(scenario: Scenario, runs: IntArray, seed: int) -> dict[str, AnyArray]:
    """Draw every value of every run; runs that break a constraint are drawn again, each on its own.

    What is drawn again comes by Monte Carlo: it is distributed as what is kept, so that no mean is biased.
    """
    values = _columns(scenario, runs, seed, "vary", 0)
    if not scenario.constraints:
        return values
    waiting = np.flatnonzero(~_kept(scenario, values, len(runs)))
    for attempt in range(1, ATTEMPTS):
        if not len(waiting):
            return values
        fresh = _columns(scenario, runs[waiting], seed, "vary", attempt)
        for name, column in fresh.items():
            values[name][waiting] = column
        waiting = waiting[~_kept(scenario, fresh, len(waiting))]
    if not len(waiting):
        return values
    texts = " and ".join(f"'{constraint.text}'" for constraint in scenario.constraints)
    point = scenario.plan.columns(runs[waiting[:1]]) if scenario.plan else {}
    where = " with " + ", ".join(f"{name} = {_plain(value[0])}" for name, value in point.items()) if point else ""
    raise RunError(
        f"run {runs[waiting[0]]}: no draw in {ATTEMPTS:,} keeps {texts}{where}",
        "loosen the constraints, or narrow the distributions in `vary`",
    )


def _columns(scenario: Scenario, runs: IntArray, seed: int, component: str, attempt: int) -> dict[str, AnyArray]:
    """Draw every value once; a plan speaks at the first attempt of the runs themselves (a grid at every one)."""
    plan = scenario.plan if component == "vary" else None
    fixed = plan.columns(runs) if plan else {}
    uniforms: dict[str, FloatArray] = {}
    if plan and plan.kind != "grid" and not attempt:
        names = [f"{component}.{name}{suffix}" for name, spec in scenario.vary.items() for suffix in spec.uniforms]
        uniforms = spread(plan, names, runs, seed)
    if scenario.correlation:
        # A value that is set (a constant, a grid's) keeps its uniform: the others stay what they are.
        mixed = [f"{component}.{name}" for name in scenario.correlation.names]
        own = [uniforms[name] if name in uniforms else run_uniform(seed, name, runs, attempt) for name in mixed]
        uniforms |= dict(zip(mixed, correlated(scenario.correlation, own), strict=True))
    values: dict[str, AnyArray] = {}
    for name, spec in scenario.vary.items():
        if name in fixed:
            values[name] = fixed[name]
        else:
            values[name] = _quantile(spec, f"{component}.{name}", runs, seed, values, attempt, uniforms)
    return values


def _quantile(
    spec: Spec,
    name: str,
    runs: IntArray,
    seed: int,
    values: Mapping[str, AnyArray],
    attempt: int = 0,
    given: Mapping[str, FloatArray] | None = None,
) -> AnyArray:
    """Return a value for each run; constants come as full columns too. `given` are uniforms that are known."""
    known = given or {}
    uniforms = {
        suffix: known[name + suffix] if name + suffix in known else run_uniform(seed, name + suffix, runs, attempt)
        for suffix in spec.uniforms
    }
    column = np.asarray(spec.quantile(uniforms, values))
    return np.array(np.broadcast_to(column, (len(runs),)))


def _kept(scenario: Scenario, values: Mapping[str, AnyArray], runs: int) -> AnyArray:
    kept = np.ones(runs, np.bool_)
    for constraint in scenario.constraints:
        kept &= np.broadcast_to(np.asarray(constraint(values), np.bool_), (runs,))
    return kept


def _probability(name: str, chance: AnyArray) -> FloatArray:
    """Return chances as numbers between 0 and 1."""
    found: FloatArray = np.asarray(chance, np.float64)
    wrong = found[(found < 0) | (found > 1)]
    if wrong.size:
        raise RunError(f"{name}: a probability is between 0 and 1 (got {wrong[0]:g})")
    return found


def _plan(
    planned: PlannedFault,
    name: str,
    runs: IntArray,
    seed: int,
    values: Mapping[str, AnyArray],
    duration: float,
    faults: list[list[Fault]],
    serial: IntArray,
) -> FloatArray:
    """Plan one entry of `faults` for every run; return what it adds to the log-weights, shape (n,)."""
    log_weight = np.zeros(len(runs))
    if planned.count is not None:
        counts = np.rint(_quantile(planned.count, f"{name}.count", runs, seed, values)).astype(np.int64)
    elif planned.rate is not None:
        from mischance.language.distributions.formulas import QUANTILES

        mean = _quantile(planned.rate, f"{name}.rate", runs, seed, values).astype(np.float64) * duration
        counts = QUANTILES["poisson"](run_uniform(seed, f"{name}.number", runs), mean).astype(np.int64)
    elif planned.chance is not None:
        chance = _probability(f"{name}.chance", _quantile(planned.chance, f"{name}.chance", runs, seed, values))
        drawn_with = np.full_like(chance, planned.forced) if planned.forced is not None else chance
        happens = run_uniform(seed, f"{name}.happens", runs) < drawn_with
        counts = happens.astype(np.int64)
        if planned.forced is not None:
            with np.errstate(divide="ignore"):
                log_weight = np.where(happens, np.log(chance / drawn_with), np.log1p(-chance) - np.log1p(-drawn_with))
    else:
        counts = np.ones(len(runs), np.int64)
    if (counts < 0).any() or (counts > MOST_FAULTS).any():
        raise RunError(f"{name}: a run cannot have {counts.min() if counts.min() < 0 else counts.max()} of them")
    for j in range(int(counts.max(initial=0))):
        own = f"{name}.{j}"
        onset = _quantile(planned.at, f"{own}.at", runs, seed, values).astype(np.float64)
        lasts = _quantile(planned.lasts, f"{own}.lasts", runs, seed, values) if planned.lasts else np.inf
        end = onset + np.asarray(lasts, np.float64)
        severity = _quantile(planned.severity, f"{own}.severity", runs, seed, values)
        ramp = _quantile(planned.ramp, f"{own}.ramp", runs, seed, values)
        for i in np.flatnonzero(counts > j):
            plan = (float(onset[i]), float(end[i]), float(severity[i]), float(ramp[i]))
            faults[i].append(Fault(f"fault:{serial[i]}", planned.target, planned.kind, *plan))
            serial[i] += 1
    return log_weight
