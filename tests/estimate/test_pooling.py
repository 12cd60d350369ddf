"""Samples of one population as one: nothing is lost, blocks of a plan stay whole and apart, strata and draws add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mischance.estimate.pooling import _difference, _names_code, pooled
from mischance.estimate.probability import Sample, event_probability
from mischance.language.scenario import Plan


def sample(seed: int, n: int = 60, plan: Plan | None = None) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample(np.arange(n), rng.random(n) < 0.2, rng.random(n), rng.random(n) < 0.05, plan=plan)


@pytest.mark.parametrize("size", [3, 7, 10, 64, 1000])
def test_blocks_of_a_plan_stay_whole_and_those_of_two_datasets_apart(size: int):
    parts = [sample(seed, 2 * size, Plan("lhs", size)) for seed in range(4)]
    whole = pooled(parts)
    assert whole.plan == Plan("lhs", size)
    blocks, counts = np.unique(whole.run // size, return_counts=True)
    assert len(blocks) == 4 * 2
    assert set(counts.tolist()) == {size}, "a block is as long as it was: no dataset begins in the middle of one"
    assert len(np.unique(whole.run)) == 4 * 2 * size
    for k, part in enumerate(parts):
        own = slice(2 * size * k, 2 * size * (k + 1))
        assert (whole.run[own] % size == part.run % size).all()
        assert (whole.event[own] == part.event).all()
        assert (whole.weight[own] == part.weight).all()
        assert (whole.undecided[own] == part.undecided).all()


def test_strata_are_kept_where_all_have_them_and_draws_of_constraints_add_up():
    share = np.array([0.25, 0.75])
    parts = [replace(sample(seed), stratum=np.arange(60) % 2, share=share, kept=(30 + seed, 60)) for seed in (1, 2)]
    whole = pooled(parts)
    assert whole.stratum is not None
    assert whole.stratum.tolist() == (np.arange(120) % 2).tolist()
    assert whole.share is share
    assert whole.kept == (63, 120)
    mixed = pooled([parts[0], replace(parts[1], stratum=None, share=None, kept=None)])
    assert (mixed.stratum, mixed.share, mixed.kept) == (None, None, None)


def test_two_samples_say_what_one_of_all_their_runs_would():
    parts = [replace(sample(seed, 200), weight=np.ones(200), undecided=np.zeros(200, bool)) for seed in (3, 4)]
    both = event_probability(pooled(parts))
    at_once = event_probability(
        Sample(
            np.arange(400),
            *(np.concatenate([getattr(one, name) for one in parts]) for name in ("event", "weight", "undecided")),
        )
    )
    assert both == at_once
    assert pooled(parts[:1]).run.tolist() == list(range(200))


def test_what_differs_between_scenarios_is_named_three_at_most_and_a_name_alone_only_if_nothing_else():
    base = {"seed": 1, "name": "a", "x": 1, "y": 2, "z": 3, "w": 4}
    assert _difference(base, {**base, "seed": 2}) == ""
    assert _difference(base, {**base, "name": "b"}) == "name"
    assert _difference(base, {**base, "name": "b", "x": 2}) == "x"
    assert _difference(base, {**base, "x": 2, "y": 3, "z": 4}) == "x, y, z"
    assert _difference(base, {**base, "x": 2, "y": 3, "z": 4, "w": 5}) == "w, x, y …"
    assert _difference(base, {key: value for key, value in base.items() if key != "x"}) == "x"


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        ({"simulator": {"kind": "road"}}, False),
        ({"agent": {"kind": "a.py:Driver"}}, True),
        ({"write": ["parquet", "w.py:W"]}, True),
        ({"write": ["parquet"], "about": "a: b"}, False),
        ({"sensors": {"x": {"list": [{"kind": "m:C"}]}}}, True),
        ({"write": None}, False),
    ],
)
def test_code_of_the_users_is_seen_wherever_it_is_named(tree: dict[str, object], names: bool):
    assert _names_code(tree) is names
