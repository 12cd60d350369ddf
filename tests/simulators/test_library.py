"""Library scenarios: outcomes of all variants within their bands, and required contents of every file."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from mischance.language.loading import load
from mischance.play.sampling import draw
from tests.shell import mischance
from tests.simulators.library import BANDS, ENTRIES, VARIANTS, driving, enough, judge, robots, tags_of, within

NAMES = [*driving(), *robots()]
NEEDS = {"drone": "numba", "driving": "numba", "arm": "pybullet", "warehouse": "simpy"}  # which engine a world needs


def held(name: str, variant: str, *, quick: bool) -> None:
    for needs in {NEEDS[tag] for tag in tags_of(name) if tag in NEEDS}:
        if find_spec(needs) is None:
            pytest.skip(f"{needs} is not installed")
    judged = judge(name, variant, quick=quick)
    assert judged.ok, str(judged)


def few() -> list[Any]:
    """Return scenarios and variants; of every world, all but one variant of every third scenario are slow.

    Within a world, scenarios take turns with the three variants. Few draws cost nearly as much as many: an agent
    drives tick by tick.
    """
    counts: dict[str, int] = defaultdict(int)
    found: list[Any] = []
    for name in NAMES:
        world = "+".join(sorted(tag for tag in tags_of(name) if tag in NEEDS))
        i, counts[world] = counts[world], counts[world] + 1
        kept = VARIANTS[i // 3 % 3] if i % 3 == 0 else None
        found += [pytest.param(name, v, marks=[] if v == kept else [pytest.mark.slow]) for v in VARIANTS]
    return found


@pytest.mark.parametrize(("name", "variant"), few())
def test_a_variant_keeps_its_band_over_a_few_draws(name: str, variant: str):
    held(name, variant, quick=True)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", NAMES)
def test_a_variant_keeps_its_band_over_all_draws(name: str, variant: str):
    held(name, variant, quick=False)


# -- how a band is held ------------------------------------------------------------------------------------------------


def test_few_draws_refuse_a_good_variant_seldom_and_a_bad_one_mostly():
    draws, share = 12, 0.8
    passes = [count for count in range(draws + 1) if enough(count, draws, share)]
    least = passes[0]
    assert passes == list(range(least, draws + 1))
    assert binom.cdf(least - 1, draws, share) < BANDS["doubt"], "a variant at its very border"
    assert binom.cdf(least - 1, draws, 0.3) > 0.85, "one that is far from it"
    assert not enough(draws - 1, draws, 1.0), "'none' and 'all' know no tolerance"
    full = BANDS["draws"]
    assert next(count for count in range(full + 1) if enough(count, full, share)) == share * full


def test_near_means_within_the_range_of_one_measure():
    got = {"event": np.zeros(4), "btn": np.array([0.4, 0.5, 1.0, 1.1]), "stn": np.array([0.6, np.nan, np.nan, np.inf])}
    assert within(got, {"btn": [0.5, 1.0], "stn": [0.5, 1.0]}).tolist() == [True, True, True, False]


@pytest.mark.parametrize("name", ["robots/warehouse_late_stop", "driving/cut_in"])
def test_a_variant_under_another_ones_name_is_refused(name: str, monkeypatch: pytest.MonkeyPatch):
    from tests.simulators import library

    def swapped(name: str, overrides: Any) -> Any:
        return load(name.replace(":nominal", ":crash").replace(":critical", ":nominal"), overrides)

    monkeypatch.setattr(library, "load", swapped)
    assert not judge(name, "nominal", quick=True).ok
    assert not judge(name, "critical", quick=True).ok


# -- what every file has -----------------------------------------------------------------------------------------------


def shape(tree: Any) -> Any:
    """Return a scenario's tree without its numbers: who is there and what they do."""
    if isinstance(tree, dict):
        return {key: shape(value) for key, value in sorted(tree.items())}
    if isinstance(tree, list):
        return [shape(value) for value in tree]
    return tree if isinstance(tree, str) and not re.match(r"[-+.\d$]", tree) else "#"


def test_thirty_scenarios_and_more_differ_in_more_than_numbers():
    alike = defaultdict(list)
    for name in NAMES:
        tree = load(name).tree
        faults = [(fault["target"], fault["kind"]) for fault in tree.get("faults", [])]
        alike[json.dumps([shape(tree.get("simulator") or [tree["worlds"], tree["links"]]), faults])].append(name)
    assert len(alike) >= 30
    assert len([names for names in alike.values() if names[0] in robots()]) >= 15


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_has_the_variants_and_draws_that_differ(name: str):
    assert set(VARIANTS) <= set(ENTRIES[name].variants)
    assert name.startswith("robots/") or load(name).promised, "a promise of the system under test"
    for variant in VARIANTS:
        draws = draw(load(f"{name}:{variant}"), range(4))
        assert len({repr(sorted(one.values.items())) for one in draws}) == 4


def test_tags_find_the_scenarios_of_a_reference():
    found = json.loads(mischance("list", "scenarios", "--tag", "un-r157", "--json").stdout)
    assert {entry["name"] for entry in found} == {name for name in NAMES if "un-r157" in tags_of(name)}
    assert {"driving/cut_in", "driving/cut_out"} <= {entry["name"] for entry in found}
    assert len(found) >= 5
    for name in NAMES:
        tags = tags_of(name)
        assert tags[0] == name.partition("/")[0]
        assert len(set(tags)) == len(tags)
        if any(tag.startswith("un-r157-") for tag in tags):
            assert "un-r157" in tags, "a paragraph's tag comes with that of its regulation"
