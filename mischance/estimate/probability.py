"""Frequency of the event in a dataset, and its probability with an interval, if the plan allows one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from mischance.api.tables import FloatArray
    from mischance.language.scenario import Plan

LEVEL = 0.95
FEWEST = 10  # least runs with and without the event; with fewer, block means are too skewed for Student's t


def event_probability(dataset: Path, plan: Plan | None = None) -> dict[str, Any]:
    """Return the frequency of the event, and its probability with a 95 % interval if there is one.

    Monte Carlo with equal weights: the exact interval (Clopper and Pearson, Biometrika 26, 1934). With unequal
    weights: the normal approximation of the weighted mean, reported as approximate. Latin hypercube and Sobol points:
    runs of one block depend on each other, so the interval is Student's t over the means of whole blocks, which are
    independent (Owen, Monte Carlo theory, methods and examples, ch. 17); there is none with fewer than two blocks,
    too few runs with or without the event, or equal blocks. A grid is not a sample: it has a share of runs and no
    probability.

    Args:
        dataset: folder of a finished dataset.
        plan: the scenario's plan.

    Returns:
        `count` of `runs`, `share` (weighted, of all runs), `probability`, `low`, `high` (None if there is none) and
        `interval`: the method, or the reason why there is none.
    """
    import numpy as np
    import pyarrow.parquet as pq

    files = sorted((dataset / "runs").glob("*.parquet"))
    columns = [pq.read_table(file, columns=["run", "event", "weight"]) for file in files]
    run = np.concatenate([table["run"].to_numpy() for table in columns])
    hit = np.concatenate([table["event"].to_numpy() for table in columns]).astype(np.bool_)
    weight = np.concatenate([table["weight"].to_numpy() for table in columns])
    n, k = len(hit), int(hit.sum())
    found: dict[str, Any] = {"count": k, "runs": n, "share": float((weight * hit).mean()) if n else None}
    if plan is None:
        return found | _monte_carlo(hit, weight)
    if plan.kind == "grid":
        nothing = {"probability": None, "low": None, "high": None}
        return found | nothing | {"interval": "none: the points of a grid are no sample of the population"}
    return found | _blocks(run, hit, weight * hit, plan.size)


def _monte_carlo(hit: np.ndarray[Any, Any], weight: FloatArray) -> dict[str, Any]:
    import numpy as np
    from scipy.special import betaincinv

    n, k = len(hit), int(hit.sum())
    if n and np.ptp(weight) == 0:
        share = float(weight[0])
        low = float(betaincinv(k, n - k + 1, (1 - LEVEL) / 2)) if k else 0.0
        high = float(betaincinv(k + 1, n - k, (1 + LEVEL) / 2)) if k < n else 1.0
        return {"probability": share * k / n, "low": share * low, "high": share * high, "interval": "exact"}
    value = weight * hit
    error = float(value.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    mean = float(value.mean())
    return {"probability": mean, "low": max(mean - 1.96 * error, 0.0) if n > 1 else None,
            "high": mean + 1.96 * error if n > 1 else None, "interval": "approximate (weighted)"}  # fmt: skip


def _blocks(run: np.ndarray[Any, Any], hit: np.ndarray[Any, Any], value: FloatArray, size: int) -> dict[str, Any]:
    """Estimate from whole blocks if there are two or more, from all runs otherwise."""
    import numpy as np
    from scipy.special import stdtrit

    numbers, index, sizes = np.unique(run // size, return_inverse=True, return_counts=True)
    whole = sizes == size
    blocks = int(whole.sum())
    used = whole[index] if blocks > 1 else np.ones(len(run), np.bool_)
    k, n = int(hit[used].sum()), int(used.sum())
    none = {"probability": float(value[used].mean()), "low": None, "high": None}
    if blocks < 2:
        return none | {"interval": f"none: the runs of one block of {size} depend on each other; two blocks give one"}
    if min(k, n - k) < FEWEST:
        few = "with" if k < FEWEST else "without"
        return none | {"interval": f"none: fewer than {FEWEST} runs {few} the event"}
    means = np.bincount(index, weights=value, minlength=len(numbers))[whole] / size
    error = float(means.std(ddof=1) / np.sqrt(blocks))
    if error == 0:
        return none | {"interval": "none: the blocks do not differ, which is no measure of the error"}
    mean, reach = float(means.mean()), float(stdtrit(blocks - 1, (1 + LEVEL) / 2)) * error
    return {"probability": mean, "low": max(mean - reach, 0.0), "high": min(mean + reach, 1.0),
            "interval": f"from {blocks} independent blocks of {size}"}  # fmt: skip


__all__ = ["event_probability"]
