"""The grid of a map covers what is drawn: equal steps between outer quantiles, every word, every value of a few."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import lognorm

from mischance.errors import MischanceError
from mischance.language.loading import load
from mischance.play.map_grid import map_grid
from mischance.play.sampling import draw

CUT_IN = {"sensors": "{}", "faults": "[]"}


def test_levels_are_equally_spaced_between_the_outer_quantiles() -> None:
    scenario = load("driving/cut_in", CUT_IN)
    gridded = load("driving/cut_in", {**CUT_IN, "plan": map_grid(scenario, {"gap": 7, "friction": 5})})
    assert gridded.plan is not None
    gap, friction = (np.array(gridded.plan.axes[name]) for name in ("gap", "friction"))
    assert gridded.plan.size == 7 * 3
    assert sorted(friction) == [0.1, 0.4, 0.8]  # all that the choice has
    step = np.diff(gap)
    assert step == pytest.approx(step.mean(), rel=0.01)
    # quantiles of the lognormal that the file states, cut off by its constraint of 3 m; 2000 draws know them to a tenth
    law = lognorm(0.5, scale=18.0)
    assert gap[0] == pytest.approx(law.ppf(0.01), rel=0.1)
    assert gap[-1] == pytest.approx(law.ppf(0.99), rel=0.1)
    cells = {(each.values["gap"], each.values["friction"]) for each in draw(gridded, range(21))}
    assert len(cells) == 21


@pytest.mark.parametrize(
    ("name", "said"),
    [("gapp", "did you mean 'gap'"), ("cut_speed", "computed from other values"), ("weather", "draws no 'weather'")],
)
def test_a_name_that_no_grid_can_set_is_refused(name: str, said: str) -> None:
    with pytest.raises(MischanceError) as caught:
        map_grid(load("driving/cut_in", CUT_IN), {"gap": 5, name: 5})
    assert said in f"{caught.value.message}; {caught.value.hint}"


def test_a_value_that_never_differs_is_refused() -> None:
    scenario = load("driving/cut_in", {**CUT_IN, "vary.friction": "0.8"})
    with pytest.raises(MischanceError, match="in every run"):
        map_grid(scenario, {"gap": 5, "friction": 5})
