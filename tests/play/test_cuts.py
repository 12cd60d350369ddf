"""The merge of clocks: what a set of all times gives, without ever holding them."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

from mischance.api.randomness import Streams
from mischance.api.runs import Draw, Fault
from mischance.play import channel as channels
from mischance.play.channel import Channel
from mischance.play.cuts import Cut, cuts


def listed(duration: float, rate: float, piece: float, flushes: list[float], arrivals: set[float]) -> list[Cut]:
    """Return the union of all clocks, listed: the definition."""
    acts = {k / rate for k in range(1, int(duration * rate) + 2) if k / rate < duration} if rate > 0 else set[float]()
    pieces = {k * piece for k in range(1, int(duration / piece) + 2) if k * piece < duration} | {duration}
    asked = {t for t in flushes if 0 < t < duration}
    return [Cut(t, t in acts, t in pieces | asked) for t in sorted(acts | arrivals | pieces | asked)]


@pytest.mark.parametrize("seed", range(40))
def test_a_merge_of_clocks_is_their_union(seed: int) -> None:
    rng = np.random.default_rng(seed)
    duration = float(rng.choice([1.0, 2.5, 7.3, 0.05]))
    rate = float(rng.choice([0.0, 1.0, 20.0, 33.3, 77.7, 100.0]))
    piece = float(rng.choice([0.1, 0.3, 1.0, 10.0]))
    own = [k / rate for k in (1, 2, 5)] if rate else []
    flushes = [*rng.uniform(-0.1, 1.1 * duration, rng.integers(0, 5)).tolist(), *own, duration, 0.0, 0.3]
    arrivals = {t for t in [*rng.uniform(0, duration, 4).tolist(), *own] if 0 < t < duration}
    found = list(cuts(duration, rate=rate, piece=piece, flushes=flushes, arrivals=sorted(arrivals)))
    assert found == listed(duration, rate, piece, flushes, arrivals)


def test_two_days_at_20_hz_take_no_memory() -> None:
    def steps() -> None:
        clocks = cuts(172_800.0, rate=20.0, piece=10.0, flushes=[5.0])
        seen = sum(1 for _ in itertools.islice(clocks, 100_000))
        assert seen == 100_000

    steps()
    tracemalloc.start()
    steps()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000, "bytes: a list of them all would be hundreds of megabytes"


@pytest.mark.parametrize("seed", range(6))
def test_late_commands_arrive_in_order_whatever_block_of_turns_they_are_worked_out_in(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    faults = tuple(
        Fault(f"fault:{i}", "agent", "latency", float(rng.uniform(0, 8)), float(rng.uniform(2, 10)),
              float(rng.uniform(0, 2.0)), float(rng.uniform(0, 1)))
        for i in range(3)
    )  # fmt: skip
    draws = [Draw(1, 0, faults=faults), Draw(1, 1, faults=faults[:1])]

    def arrivals() -> list[float]:
        return list(Channel(draws, [Streams(1, 0), Streams(1, 1)], 33.3, 10.0).cuts())

    whole = arrivals()
    assert whole == sorted(set(whole))
    assert len(whole) > 100
    monkeypatch.setattr(channels, "BLOCK", 7)
    assert arrivals() == whole
