"""Coverage of the intervals on analytic worlds, by the function that sweeps call: benchmarks/interval_coverage.py."""

from __future__ import annotations

import math

import pytest

from benchmarks.interval_coverage import EXPECTED, PLANS, simulate


@pytest.mark.parametrize(
    ("plan", "repeats"), [("plain", 300), ("weighted", 300), ("constrained", 100), ("stratified", 300)]
)
def test_intervals_cover_in_a_thin_sample(plan: str, repeats: int):
    """No bar is missed by more than four standard errors."""
    row = simulate(plan, 10, repeats, compute=plan == "plain")
    assert row.given >= 0.4 * repeats
    assert row.coverage > 0.93 - 4 * math.sqrt(0.93 * 0.07 / row.given)
    assert row.coverage < 0.975 + 4 * math.sqrt(0.975 * 0.025 / row.given)
    assert row.refused <= 0.01 * row.answerable
    if row.computed is not None:
        assert row.computed >= 0.95
        assert abs(row.coverage - row.computed) < 4 * math.sqrt(row.computed * (1 - row.computed) / row.given)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("plan", PLANS)
def test_intervals_cover(plan: str):
    """2,000 repeats at each probability: 93 % to 97.5 %; exact ones what was computed, and never below 95 %."""
    for expected in EXPECTED:
        row = simulate(plan, expected, 2000, seed=1)
        assert not row.bad(), row
