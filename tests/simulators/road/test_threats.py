"""What the kernels derive of a pair of actors, against independent formulas over random pairs."""

from __future__ import annotations

import numpy as np
import pytest

from mischance.driving.criticality import required_deceleration
from mischance.simulators.road.criticality import needed_deceleration


def test_the_deceleration_that_a_braking_lead_demands_by_hand():
    """20 and 20 m/s, gap 20 m, the lead brakes with 5: it stands after 40 m; 400 / (2 · 60)."""
    assert needed_deceleration(20.0, 20.0, 20.0, 5.0, 0.0, False) == pytest.approx(10.0 / 3.0, rel=1e-12)
    # 30 and 20 m/s: both speeds are equal at the very moment when the lead stands: both formulas say 7.5
    assert needed_deceleration(20.0, 30.0, 20.0, 5.0, 10.0, False) == pytest.approx(7.5, rel=1e-12)


def test_the_kernels_deceleration_is_that_of_the_domain_library():
    rng = np.random.default_rng(41)
    n = 3000
    gap, v, w = rng.uniform(0.5, 80, n), rng.uniform(0, 40, n), rng.uniform(0, 40, n)
    slows = np.where(rng.random(n) < 0.3, 0.0, rng.uniform(0, 10, n))
    w[: n // 10] = rng.uniform(0, 0.1, n // 10)
    got = [needed_deceleration(*case, False) for case in zip(gap, v, w, slows, v - w, strict=True)]
    assert got == pytest.approx(required_deceleration(gap, v, w, -slows), rel=1e-9, abs=1e-12)


def test_the_kernels_deceleration_just_avoids_contact():
    """Independent of both: step the two in time. A little more keeps them apart, a little less does not."""
    rng = np.random.default_rng(42)
    cases = [(rng.uniform(2, 60), rng.uniform(5, 40), rng.uniform(1, 40), rng.uniform(0, 10)) for _ in range(60)]
    for gap, v, w, slows in cases:
        need = needed_deceleration(gap, v, w, slows, v - w, False)
        if need < 0.05:
            continue
        t = np.linspace(0.0, 1.1 * max(v / need, w / max(slows, 1e-3) if slows > 0.1 else 0.0), 20001)

        def way(speed: float, a: float, t: np.ndarray = t) -> np.ndarray:
            moving = np.minimum(t, speed / a) if a > 0.0 else t
            return speed * moving - 0.5 * a * moving**2

        for factor, avoids in ((1.002, True), (0.995, False)):
            least = float((gap + way(w, slows) - way(v, factor * need)).min())
            assert (least > 0.0) is avoids, (gap, v, w, slows, need)
