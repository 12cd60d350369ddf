"""Requirements, from the scenario to the runs table."""

from __future__ import annotations

import numpy as np
import pytest

from mischance.errors import RunError, ScenarioError
from mischance.play.player import play
from mischance.play.sampling import draw
from tests.support import digests, rows_of, wander

REQUIRE = "{low: always x < 1.2 V, calm: always abs(x) < 1.5 V or lived < 6 s, weak: noise < 0.5}"


def test_the_margin_of_always_is_the_least_distance_and_the_reason_says_when():
    scenario = wander(require=REQUIRE)
    draws = draw(scenario, np.arange(12))
    records = list(play(scenario, draws))
    runs = records[-1].tables["runs"]
    for i, d in enumerate(draws):
        x = rows_of(records[:-1], "truth/signal", i)["x"]
        row = runs.run(i)
        assert row["require.low.margin"][0] == 1.2 - x.max()
        assert row["require.low"][0] == (x.max() < 1.2)
        assert row["require.weak"][0] == (d.values["noise"] < 0.5)
        if x.max() >= 1.2:
            t = rows_of(records[:-1], "truth/signal", i)["t"][np.argmax(x >= 1.2)]
            assert "broken" in row["reason"][0]
            assert f"{t:.4g} s" in row["reason"][0]
    kept = runs.columns["require.low"]
    assert kept.any()
    assert not kept.all()


def test_requirements_depend_neither_on_batches_nor_on_cuts():
    scenario = wander(require=REQUIRE)
    draws = draw(scenario, np.arange(6))
    together = digests(scenario, draws)
    assert together == {run: v for d in draws for run, v in digests(scenario, [d], [0.5, 1.234, 5.0]).items()}


def test_a_name_that_the_world_does_not_have_is_said_with_the_nearest():
    scenario = wander(require="{a: always wav < 3 V}")
    with pytest.raises(RunError, match="'wav'") as error:
        list(play(scenario, draw(scenario, [0])))
    assert "wave" in error.value.hint


def test_a_requirement_that_cannot_be_read_points_into_the_file():
    with pytest.raises(ScenarioError, match=r"require\.a"):
        wander(require="{a: always x <}")
