"""The event's probability over several datasets: pooled where they are samples of one population, else not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mischance.dataset.manifest import read_manifest
from mischance.dataset.merging import scenario_tree
from mischance.dataset.origins import is_merged
from mischance.errors import MischanceError
from mischance.estimate.dataset import sample_of_dataset
from mischance.estimate.probability import Probability, Sample, event_probability
from mischance.language.loading import load
from mischance.language.scenario import Plan

if TYPE_CHECKING:
    from mischance.language.scenario import Scenario

_SCENARIO = "scenario.yaml"
_APART = 1 << 40  # between the runs of two datasets, so that blocks of a plan stay apart


@dataclass(frozen=True, slots=True)
class NotPooled:
    """Why the runs of several datasets say nothing together of one probability."""

    reason: str


def pooled_probability(datasets: Sequence[Path]) -> Probability | NotPooled:
    """Return the probability of the event over all runs of several finished datasets.

    They are pooled where their scenarios differ in the seed alone, so that their runs are independent draws from one
    population by one plan, and one version of mischance made them. Nothing that a scenario names is loaded unless
    mischance brings it.
    """
    if any(is_merged(one) for one in datasets):
        return NotPooled("one of them is a merged dataset itself; merge its origins")
    manifests = [read_manifest(one) for one in datasets]
    trees = [scenario_tree(one / _SCENARIO) for one in datasets]
    for tree, manifest in zip(trees[1:], manifests[1:], strict=True):
        other = _difference(trees[0], tree)
        if other:
            names = f"{trees[0].get('name')} and {tree.get('name')}"
            return NotPooled(f"the scenarios {names} differ in {other}: each has a probability of its own")
        if manifest["versions"] != manifests[0]["versions"]:
            return NotPooled("they were made by different versions of mischance")
    samples = []
    for one, tree, manifest in zip(datasets, trees, manifests, strict=True):
        scenario = _scenario(one, tree)
        if isinstance(scenario, NotPooled):
            return scenario
        samples.append(sample_of_dataset(one, scenario, [int(run) for run in manifest["missing"]]))
    return event_probability(pooled(samples))


def pooled(samples: Sequence[Sample]) -> Sample:
    """Return samples of one population, drawn by one plan with different seeds, as one."""
    first = samples[0]
    size = first.plan.size if first.plan else 1
    run = [one.run + k * (_APART - _APART % size) for k, one in enumerate(samples)]

    def joined(name: str) -> Any:
        return np.concatenate([getattr(one, name) for one in samples])

    strata = all(one.stratum is not None and one.share is not None for one in samples)
    kept = None
    if all(one.kept is not None for one in samples):
        counts = [one.kept for one in samples if one.kept is not None]
        kept = sum(k for k, _ in counts), sum(n for _, n in counts)
    return Sample(
        np.concatenate(run), joined("event"), joined("weight"), joined("undecided"),
        joined("stratum") if strata else None, first.share if strata else None, kept, first.plan,
    )  # fmt: skip


def _difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Return the keys by which two scenarios differ, the seed left aside; '' = none."""
    keys = sorted(key for key in one.keys() | other.keys() if key != "seed" and one.get(key) != other.get(key))
    keys = [key for key in keys if key != "name"] or keys
    return ", ".join(keys[:3]) + (" …" if len(keys) > 3 else "")


def _scenario(dataset: Path, tree: dict[str, Any]) -> Scenario | NotPooled:
    if not _names_code(tree):
        try:
            return load(dataset / _SCENARIO)
        except MischanceError as error:
            return NotPooled(f"the scenario cannot be read: {error.message.splitlines()[0]}")
    forced = any(isinstance(fault, dict) and "forced" in fault for fault in tree.get("faults") or ())
    if tree.get("constraints") or forced or tree.get("plan"):
        return NotPooled(
            "the scenario names code of yours, which is not run here, and its weights cannot be read without"
        )
    return cast("Scenario", _Plain())


def _names_code(tree: Any) -> bool:
    """Say whether a scenario names a plug-in that mischance does not bring."""
    if isinstance(tree, dict):
        if any(":" in str(one) for one in tree.get("write") or () if isinstance(one, str)):
            return True
        return any((key == "kind" and ":" in str(value)) or _names_code(value) for key, value in tree.items())
    return isinstance(tree, list) and any(_names_code(value) for value in tree)


@dataclass(frozen=True, slots=True)
class _Plain:
    """What a sample needs to know of a scenario without constraints, forced faults and plan."""

    constraints: tuple[()] = ()
    faults: tuple[()] = ()
    plan: Plan | None = None
    seed: int = 0


__all__ = ["NotPooled", "pooled", "pooled_probability"]
