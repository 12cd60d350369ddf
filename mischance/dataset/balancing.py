"""Chooses a part of some examples so that classes have wanted shares, with weights that keep the base rates.

Examples are only left out, never repeated. Of class c, m of its N examples are kept, chosen by a number that depends on
the example alone; each gets the weight N / m, scaled so that the mean over what is kept of weight * value estimates the
mean over all examples, without bias, and is exact for the shares of the classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mischance.errors import DatasetError

if TYPE_CHECKING:
    from mischance.api.tables import BoolArray, FloatArray, IntArray


def balanced(y: IntArray, uniform: FloatArray, shares: Mapping[int, float]) -> tuple[BoolArray, FloatArray]:
    """Return which examples are kept, and the weight of each, 0 where it is not; shapes (n,).

    Args:
        y: class of each example; shape (n,).
        uniform: a number in (0, 1) for each, by which it is chosen; shape (n,).
        shares: wanted share of some classes, in (0, 1); the others share the rest as they stand to each other.

    Raises:
        DatasetError: a class of a wanted share has no example, or the shares are none.
    """
    rest = 1.0 - sum(shares.values())
    if not shares or min(shares.values()) <= 0 or rest < -1e-9:
        raise DatasetError(f"shares of classes are above 0 and come to at most 1, not {list(shares.values())}")
    groups = [(y == code, share) for code, share in shares.items()]
    others = ~np.logical_or.reduce([mask for mask, _ in groups])
    if rest > 1e-9:
        groups.append((others, rest))
    elif others.any():
        raise DatasetError("the shares come to 1 and leave no room for the other classes", "make them smaller")
    sizes = [int(mask.sum()) for mask, _ in groups]
    if not all(sizes):
        raise DatasetError("a class that is to have a share has no example", "leave it out, or make more of it")
    total = min(size / share for size, (_, share) in zip(sizes, groups, strict=True))
    kept, weight = np.zeros(len(y), np.bool_), np.zeros(len(y))
    counted = sum(sizes)
    for size, (mask, share) in zip(sizes, groups, strict=True):
        many = min(max(round(share * total), 1), size)
        mine = np.flatnonzero(mask)
        chosen = mine[np.argsort(uniform[mine], kind="stable")[:many]]
        kept[chosen] = True
        weight[chosen] = size / many
    weight *= kept.sum() / counted
    return kept, weight
