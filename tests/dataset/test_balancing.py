"""A balanced choice has the wanted shares, is as large as it can be, and its weights give the base rates back."""

from __future__ import annotations

import numpy as np
import pytest

from mischance.dataset.balancing import balanced
from mischance.errors import DatasetError

RNG = np.random.default_rng(5)
Y = RNG.choice(4, 4000, p=[0.7, 0.2, 0.07, 0.03])
U = RNG.random(4000)


@pytest.mark.parametrize("shares", [{3: 0.5}, {3: 0.25, 1: 0.25}, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}, {2: 1e-4}])
def test_classes_have_their_shares_and_none_is_larger_than_need_be(shares: dict[int, float]):
    kept, weight = balanced(Y, U, shares)
    total = int(kept.sum())
    counts = np.bincount(Y[kept], minlength=4)
    for code, share in shares.items():
        assert abs(counts[code] - share * total) <= 1.0 + share
    groups = [np.array([code]) for code in shares]
    others = np.setdiff1d(np.arange(4), list(shares))
    groups += [others] if len(others) else []
    assert any(np.isin(Y[~kept], group).sum() == 0 for group in groups), "one class is kept whole"
    assert (weight[~kept] == 0).all()
    # Of every group the weighted mean is that of all, exactly.
    for group in groups:
        assert (weight * np.isin(Y, group))[kept].mean() == pytest.approx(np.isin(Y, group).mean())
        own = np.isin(Y, group)
        assert len(set(weight[own & kept].tolist())) == 1
        assert U[own & kept].max() <= U[own & ~kept].min(initial=np.inf), "those of the smallest numbers"
    # Each choice is unbiased for what does not go by class: the numbers are independent of it.
    value = RNG.normal(size=len(Y))
    error = (weight[kept] ** 2).sum() ** 0.5 / total
    assert abs((weight * value)[kept].mean() - value.mean()) < 5 * error + 5 / len(Y) ** 0.5


def test_others_stay_as_they_stand_to_each_other():
    kept, _ = balanced(Y, U, {3: 0.5})
    before, after = np.bincount(Y[Y < 3]), np.bincount(Y[kept & (Y < 3)], minlength=3)
    share = before / before.sum()
    assert (np.abs(after - share * after.sum()) < 4 * (after.sum() * share * (1 - share)) ** 0.5 + 1).all()


@pytest.mark.parametrize("shares", [{}, {0: 0.0}, {0: -0.1, 1: 0.3}, {0: 0.6, 1: 0.5}, {0: 1.1}])
def test_shares_that_are_none_are_refused(shares: dict[int, float]):
    with pytest.raises(DatasetError, match="are above 0 and come to at most 1"):
        balanced(Y, U, shares)


def test_a_class_without_examples_and_shares_without_room_are_refused():
    with pytest.raises(DatasetError, match="has no example"):
        balanced(Y, U, {7: 0.2})
    with pytest.raises(DatasetError, match="leave no room for the other classes"):
        balanced(Y, U, {0: 0.5, 1: 0.5})
    with pytest.raises(DatasetError, match="has no example"):
        balanced(np.zeros(5, np.int64), np.arange(5) / 5, {0: 0.5})


def test_a_share_of_all_keeps_all_and_the_rarest_is_kept_at_least_once():
    y = np.array([0, 0, 1, 1])
    kept, weight = balanced(y, np.array([0.1, 0.2, 0.3, 0.4]), {0: 0.5, 1: 0.5})
    assert (kept.tolist(), weight.tolist()) == ([True] * 4, [1.0] * 4)
    kept, weight = balanced(y, np.array([0.2, 0.1, 0.3, 0.4]), {0: 1e-6})
    assert kept.tolist() == [False, True, True, True]
    assert weight.tolist() == [0.0, 1.5, 0.75, 0.75]
