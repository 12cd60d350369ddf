"""Motion becomes the same table from whatever pieces of time it comes, up to the end of each run."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from mischance.api.scene import Motion
from mischance.play.records import MOTION, motion_table

BODIES = ("one", "two")
RATE, STEPS = 10.0, 7


def piece(low: int, high: int) -> Motion:
    """Return motion at the steps low … high: each number is made of its run, step, body and column."""
    run, step, body, column = np.ogrid[0:3, low : high + 1, 0:2, 0:13]
    state = 1000.0 * run + 100.0 * step + 20.0 * body + column
    return Motion(BODIES, np.arange(low, high + 1) / RATE, state[..., :7].copy(), state[..., 7:].copy())


@pytest.mark.parametrize("edges", [[0, STEPS], [0, 3, 4, STEPS], [0, 3, 3, STEPS]])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("ends", [[7, 7, 7], [7, 4, 0]])
def test_motion_is_the_same_table_in_any_pieces(edges: list[int], first: bool, ends: list[int]):
    pieces = [piece(a, b) for a, b in pairwise(edges)]
    table = motion_table(pieces, np.array(ends) / RATE, first=first)
    wanted = [
        (k / RATE, body, *(1000.0 * run + 100.0 * k + 20.0 * body + np.arange(13)))
        for run, end in enumerate(ends)
        for k in range(0 if first else 1, end + 1)
        for body in range(2)
    ]
    assert list(table.schema) == ["t", "body", *MOTION]
    assert np.column_stack(list(table.columns.values())).tolist() == [list(row) for row in wanted]
    assert np.diff(table.offsets).tolist() == [2 * (end + first) for end in ends]
    assert not any(values.flags.writeable for values in table.columns.values())
