"""The share of a fault's severity that is active: nothing outside its time, linear over its ramp, then all of it."""

from __future__ import annotations

import numpy as np
import pytest

from mischance.api.kernels import kernel
from mischance.api.runs import Fault, active_share, active_shares

compiled = kernel(active_share)


@pytest.mark.parametrize(
    ("t", "share"), [(0.99, 0.0), (1.0, 0.0), (1.5, 0.25), (2.0, 0.5), (3.0, 1.0), (4.999, 1.0), (5.0, 0.0), (9.0, 0.0)]
)
def test_it_grows_over_the_ramp_and_ends(t: float, share: float):
    fault = Fault("f", "plant", "kind", 1.0, 5.0, -3.0, 2.0)
    assert fault.share_at(t) == share
    assert float(fault.severity_at(t)) == -3.0 * share


@pytest.mark.parametrize("ramp", [0.0, -1.0])
def test_without_a_ramp_it_is_all_there_from_the_onset_on(ramp: float):
    assert [active_share(1.0, 2.0, ramp, t) for t in (0.999, 1.0, 1.999, 2.0)] == [0.0, 1.0, 1.0, 0.0]


def test_numbers_arrays_and_machine_code_agree_to_the_last_bit():
    rng = np.random.default_rng(7)
    onset, ramp, t = rng.uniform(0.0, 5.0, 500), rng.choice([0.0, 0.3, 2.0], 500), rng.uniform(-1.0, 12.0, 500)
    end = np.where(rng.random(500) < 0.3, np.inf, onset + rng.uniform(0.0, 4.0, 500))
    each = [active_share(*row) for row in zip(*map(np.ndarray.tolist, (onset, end, ramp, t)), strict=True)]
    np.testing.assert_array_equal(active_shares(onset, end, ramp, t), each)
    np.testing.assert_array_equal([compiled(*row) for row in zip(onset, end, ramp, t, strict=True)], each)
    assert min(share for share in each if share) > 0.0
    assert {0.0, 1.0} < set(each), "all three: before, on and after the ramp"
