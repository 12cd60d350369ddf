"""Settings that a scenario draws: runs that differ in any of them are the same side by side as each alone.

The settings of each world are generated: a few of them, numbers and words, moved within what they may be. What cannot
be played alone is no sample; what can be played alone must play in any batch (in batches of its own, where the world's
key says so), to the same bytes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from mischance.api.runs import Draw
from mischance.errors import MischanceError
from mischance.language.scenario import Scenario, WorldsSettings
from mischance.play.plugins import batch_size
from mischance.play.sampling import draw
from tests.plugin_settings import Value, bounds, changed, spots, words
from tests.support import digests
from tests.test_contracts import names, scenario_named, worlds_available

TRIES = 12  # settings that one run moves; those that the model refuses are left


def drawn(settings: BaseModel, rng: np.random.Generator) -> BaseModel:
    """Return the settings with some of them moved: numbers by up to a quarter, words to any of those listed."""
    found = list(spots(settings))
    for place in rng.permutation(len(found))[:TRIES]:
        spot = found[place]
        low, high = bounds(spot.info)
        known = words(spot.info.annotation)
        value: Value
        if isinstance(spot.value, bool) or spot.value is None or (isinstance(spot.value, str) and not known):
            continue  # not drawn, or the name of something
        if isinstance(spot.value, str):
            value = known[rng.integers(len(known))]
        elif isinstance(spot.value, int):
            value = spot.value + int(rng.integers(-1, 2))
        else:
            value = float(np.clip(spot.value * rng.uniform(0.8, 1.25) + rng.choice([0.0, 0.01]), low, high))
        try:
            settings = changed(settings, spot.path, value)
        except ValidationError:
            continue
    return settings


def of_worlds(settings: BaseModel, rng: np.random.Generator) -> BaseModel:
    """Return `drawn` settings; where a scenario has several worlds, of each of them."""
    if isinstance(settings, WorldsSettings):
        return WorldsSettings(of={name: drawn(one, rng) for name, one in settings.of.items()})
    return drawn(settings, rng)


def sample(scenario: Scenario, runs: int, seed: int) -> list[Draw]:
    rng = np.random.default_rng(seed)
    return [
        replace(one, settings=of_worlds(one.settings or scenario.simulator.settings, rng))
        for one in draw(scenario, np.arange(runs))
    ]


def check(name: str, runs: int, seed: int) -> None:
    agent = {"agent": "null"} if scenario_named(name).agent else {}
    scenario = scenario_named(name, sensors="{}", faults="[]", **agent)
    worlds_available(scenario)
    alone: dict[int, str] = {}
    draws = []
    for one in sample(scenario, runs, seed):
        try:
            alone |= digests(scenario, [one])
        except MischanceError:
            continue  # two actors in one place, for one
        draws.append(one)
    assert len(draws) >= 2
    assert len(set(alone.values())) == len(draws), "no two runs are alike"
    assert digests(scenario, draws) == alone
    assert digests(scenario, draws[::-1]) == alone


def first_of_each_world() -> list[str]:
    """Return the first scenario of each world, of those that hold many runs at once."""
    found: dict[str, str] = {}
    for name in names():
        scenario = scenario_named(name)
        if batch_size(scenario) > 1 and "+" not in scenario.simulator.kind:  # two worlds of the library take long
            found.setdefault(scenario.simulator.kind, name)
    return [*found.values()]


@pytest.mark.parametrize("name", first_of_each_world())
def test_runs_whose_settings_differ_are_the_same_side_by_side_as_alone(name: str) -> None:
    check(name, 5, 3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", names(variants=True))
def test_many_more_are(name: str, seed: int) -> None:
    check(name, 10, 40 + seed)
