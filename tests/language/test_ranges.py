"""Ranges of expressions: no value lies outside of one, and simple ones are as narrow as they can be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mischance.language.expressions.parsing import compile_expression
from mischance.language.expressions.ranges import ANY, MAYBE, NO, YES, Range, compared, negation, value_range

RANGES: dict[str, Range] = {"a": (-2.0, 3.0), "b": (0.5, 4.0), "c": (-1.0, -0.25), "on": (0.0, 1.0)}
TEXTS = [
    "a + b * c", "a - b - c", "a * c", "a * a", "a / b", "b / c", "a ** 2", "a ** 3", "b ** 0.5", "b ** a", "-a",
    "a % b",
    "abs(a)", "abs(c)", "min(a, c)", "max(a, b)", "clip(a, c, b)", "where(a > b, a, c)", "where(on, a, b)", "sqrt(b)",
    "sqrt(a)", "exp(a)", "log(b)", "sin(a)", "cos(b * 3)", "a > b", "a >= c and b > 0", "not (a < b)", "a == b",
    "a != b",
    "c < 0 or a > 2", "2 * (a + 1) - 3 * b", "abs(a - b) / (1 + b)",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_no_value_lies_outside_its_range(text: str):
    rng = np.random.default_rng(5)
    expression = compile_expression(text)
    low, high = value_range(expression, RANGES)
    ends = np.array(np.meshgrid(*RANGES.values())).reshape(len(RANGES), -1)
    drawn = np.array([rng.uniform(*ends_, 4000) for ends_ in RANGES.values()])
    drawn[-1] = np.round(drawn[-1])
    columns = dict(zip(RANGES, np.concatenate([ends, drawn], axis=1), strict=True))
    values = np.asarray(expression({name: columns[name] for name in expression.names}), float)
    values = values[~np.isnan(values)]
    assert (values >= low - 1e-12).all()
    assert (values <= high + 1e-12).all()


@pytest.mark.parametrize(
    ("text", "range_"),
    [
        ("a + b", (-1.5, 7.0)), ("a - b", (-6.0, 2.5)), ("a * c", (-3.0, 2.0)), ("b / c", (-16.0, -0.5)),
        ("a ** 2", (0.0, 9.0)), ("a ** 3", (-8.0, 27.0)), ("abs(a)", (0.0, 3.0)), ("abs(c)", (0.25, 1.0)),
        ("min(a, c)", (-2.0, -0.25)), ("clip(a, 0, 1)", (0.0, 1.0)), ("where(b > 0, c, a)", (-1.0, -0.25)),
        ("x", ANY), ("x + 1", ANY), ("abs(x)", (0.0, math.inf)), ("1 / a", ANY), ("0 * x", (0.0, 0.0)),
        ("b > 0", YES), ("c >= 0", NO), ("a > 0", MAYBE), ("a > 3", NO), ("a >= -2", YES), ("c < b and b > 0", YES),
        ("c > b or a > 5", NO), ("not c > 0", YES), ("x > 0 or b > 0", YES), ("3 m > 2 m", YES), ("2 == 2", YES),
    ],
)  # fmt: skip
def test_a_range_is_as_narrow_as_its_names_allow(text: str, range_: Range):
    assert value_range(compile_expression(text), RANGES) == pytest.approx(range_)


@pytest.mark.parametrize(
    ("left", "sign", "right", "found"),
    [
        ((1, 2), ">", (0, 1), MAYBE), ((1, 2), ">=", (0, 1), YES), ((1, 2), "<", (2, 3), MAYBE),
        ((1, 2), "<=", (2, 3), YES), ((1, 2), "<", (0, 1), NO), ((1, 2), "<=", (0, 1), MAYBE),
        ((1, 1), "==", (1, 1), YES),
        ((1, 2), "==", (1, 2), MAYBE), ((1, 2), "!=", (3, 4), YES), (ANY, ">=", ANY, MAYBE), (ANY, ">", ANY, MAYBE),
        ((-math.inf, 0), ">", (0, math.inf), NO),
    ],
)  # fmt: skip
def test_comparisons_at_their_borders(left: Range, sign: str, right: Range, found: Range):
    assert compared(left, sign, right) == found
    opposite = {">": "<=", "<=": ">", "<": ">=", ">=": "<", "==": "!=", "!=": "=="}[sign]
    assert compared(left, opposite, right) == negation(found)
