"""What reference drivers know of the others depends on the rows alone, not on the turns at which they came."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from mischance.agents._traffic import Eyes
from mischance.api.runs import Reading
from mischance.api.tables import Column, Schema, Table

NAMES = ("ego", "a", "b", "c")
STATE = ("x", "y", "yaw", "vx", "vy", "acceleration", "length", "width")
ACTORS: Schema = {"t": Column(unit="s"), "actor": Column("category", names=NAMES), **{name: Column() for name in STATE}}
# the ticks at which each actor of each run has a row: some come later, some are seen no more, one run ends early
SEEN = ({0: range(6), 1: range(6), 2: range(2, 6)}, {0: range(3), 1: range(3)}, {0: range(6), 3: range(4), 1: (0, 5)})


def row(run: int, k: int, who: int) -> Any:
    """Return the state of an actor at a tick: any place, nearly along the road."""
    return np.random.default_rng([run, k, who]).uniform(1.0, 5.0, len(STATE)) * [1, 1, 0.02, 1, 1, 1, 1, 1]


def rows(ticks: range) -> Table:
    found: list[dict[str, Any]] = []
    for run, actors in enumerate(SEEN):
        places = [(k, who) for k in ticks for who, seen in actors.items() if k in seen]
        places.sort()
        numbers = [row(run, k, who) for k, who in places]
        state = np.array(numbers).reshape(-1, len(STATE))
        own = {"t": [k / 20 for k, _ in places], "actor": [who for _, who in places]}
        columns = {name: np.asarray(values, ACTORS[name].storage) for name, values in own.items()}
        found.append({**columns, **{name: state[:, i] for i, name in enumerate(STATE)}} if places else {})
    return Table.of(ACTORS, found)


def seen(turns: list[range]) -> Any:
    eyes = Eyes("truth", 0.5)
    eyes.start(len(SEEN))
    for ticks in turns:
        traffic = eyes.look({"truth": Reading({"actors": rows(ticks)})}, (ticks.stop - 1) / 20)
    return traffic


@pytest.mark.parametrize("cuts", [[1, 2, 3, 4, 5], [1, 3], [1, 5], [1, 4, 5]])
def test_the_others_are_where_they_were_seen_last(cuts: list[int]):
    edges = [0, *cuts, 6]
    got, wanted = seen([range(a, b) for a, b in pairwise(edges)]), seen([range(1), range(1, 6)])
    assert wanted.key.tolist() == [[1, 2], [1, -1], [1, 3]]
    for field in fields(wanted):
        assert np.array_equal(getattr(got, field.name), getattr(wanted, field.name)), field.name
    # who is seen no more goes on at constant velocity from its last row, on a straight road along x
    last = row(2, 3, 3)
    assert got.along[2, 1] == last[STATE.index("vx")]
    mine = row(2, 5, 0)
    ahead = last[0] + last[3] * (5 / 20 - 3 / 20) - mine[0]
    assert got.gap[2, 1] + 0.5 * (got.length[2] + got.lengths[2, 1]) == pytest.approx(ahead, rel=1e-12)
