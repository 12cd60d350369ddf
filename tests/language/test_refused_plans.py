"""Plans and correlations that cannot be: each is refused where it is written; what a triangle is found for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mischance.errors import ScenarioError
from mischance.language.checks.plans import cholesky
from tests.support import wander

MIXED = "{noise: {uniform: [0.2, 0.9]}, strength: {lognormal: {median: 3.0, sigma: 0.3}}, other: {normal: [0, 1]}}"
correlations = st.lists(st.floats(-1, 1), min_size=6, max_size=6)


@given(correlations)
@settings(deadline=None)
def test_a_triangle_is_found_exactly_where_the_matrix_is_positive_definite(rho: list[float]):
    names = "abcd"
    pairs = {frozenset(pair): r for pair, r in zip([(p, q) for p in names for q in names if p < q], rho, strict=True)}
    matrix = np.array([[1.0 if p == q else pairs[frozenset((p, q))] for q in names] for p in names])
    rows = cholesky(names, pairs)
    smallest = np.linalg.eigvalsh(matrix).min()
    if abs(smallest) > 1e-6:
        assert (len(rows) == 4) == (smallest > 0)
    if len(rows) == 4:
        lower = np.array([[*row, *[0.0] * (3 - i)] for i, row in enumerate(rows)])
        np.testing.assert_allclose(lower @ lower.T, matrix, atol=1e-9)


REFUSED = {
    "no power of two": ({"plan": "{sobol: 100}"}, "plan.sobol: must be a power of two (got 100); write 64 or 128"),
    "too many": ({"plan": "{lhs: 2000000}"}, "plan.lhs: must be ≤ 1048576"),
    "too many together": (
        {"plan": f"{{grid: {{noise: {[i / 2000 for i in range(1100)]}, strength: {list(range(1, 1001))}}}}}"},
        "plan.grid: has 1,100,000 points; at most 1,048,576",
    ),
    "nothing": ({"plan": "{grid: {}}"}, "plan.grid: names no value"),
    "no values": ({"plan": "{grid: {noise: []}}"}, "plan.grid.noise: needs at least one value"),
    "twice": ({"plan": "{grid: {noise: [0.3, 30 %]}}"}, "plan.grid.noise[1]: '30 %' occurs twice"),
    "unknown word": (
        {"vary__mood": "{choice: [calm, wild]}", "plan": "{grid: {mood: [calm, wilt]}}"},
        "plan.grid.mood[1]: 'mood' is never 'wilt'; did you mean 'wild'?",
    ),
    "two kinds": ({"plan": "{lhs: 4, sobol: 4}"}, "plan: say one of grid, lhs and sobol"),
    "division by zero": (
        {"vary__inverse": "1 / (noise - 0.3)", "plan": "{grid: {noise: [0.3]}}", "constraints": "[inverse > 0]"},
        "plan.grid: a point cannot be worked out",
    ),
    "correlated wholly": (
        {"correlate": "{gaussian: [[noise, strength, 1]]}"},
        "correlate.gaussian: no numbers can be correlated like this: noise ~ strength 1;",
    ),
    "impossible matrix": (
        {
            "vary": MIXED[:-1] + ", lone: {normal: [0, 1]}, far: {normal: [0, 1]}}",
            "correlate": "{gaussian: [[lone, far, 0.5], [noise, strength, 0.9], [strength, other, 0.9],"
            " [noise, other, -0.9]]}",
        },
        "like this: noise ~ strength 0.9, strength ~ other 0.9, noise ~ other -0.9; their matrix is not positive",
    ),
    "expression": (
        {"vary__twice": "2 * noise", "correlate": "{gaussian: [[twice, strength, 0.1]]}"},
        "correlate.gaussian[0][0]: 'twice' follows from '2 * noise' and is not drawn",
    ),
    "mixture": (
        {
            "vary__either": "{mixture: [[0.5, {normal: [0, 1]}], [0.5, {normal: [5, 1]}]]}",
            "correlate": "{gaussian: [[noise, either, 0.1]]}",
        },
        "correlate.gaussian[0][1]: 'either' is a mixture",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_said_when_the_scenario_is_read(case: str):
    changes, words = REFUSED[case]
    with pytest.raises(ScenarioError) as error:
        wander(**changes)
    assert words in str(error.value)
    assert len(error.value.problems) == 1
