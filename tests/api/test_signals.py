"""Uniformly sampled channels: times, joining, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mischance.api.runs import Chunk, join_chunks
from mischance.api.tables import EVENTS, Column, Signals, Table, join_signals
from mischance.errors import TruthError

CHANNELS = {"x": Column("float32", unit="m/s2"), "y": Column("float32", unit="m/s2")}


def sampled(first: int, n: int, runs: int = 3, rate: float = 48_000.0) -> Signals:
    """Return channels whose value says run, sample and channel: 1000 run + sample + channel / 10."""
    run, sample, channel = np.meshgrid(np.arange(runs), np.arange(first, first + n), np.arange(2), indexing="ij")
    return Signals.of(rate, first, (1000.0 * run + sample + channel / 10).astype(np.float32), CHANNELS)


def test_the_time_of_a_sample_is_its_number_over_the_rate():
    # 48 kHz after an hour: an accumulated step of 1/48000 would be off by many samples' rounding; a quotient is exact
    late = sampled(48_000 * 3600, 4)
    assert late.t().tolist() == [(48_000 * 3600 + j) / 48_000 for j in range(4)]


def test_joined_signals_are_what_one_piece_would_be():
    whole = sampled(0, 10)
    joined = join_signals([sampled(0, 3), sampled(3, 0), sampled(3, 7)])
    assert joined.first == 0
    assert np.array_equal(joined.values, whole.values)
    assert joined.t().tolist() == whole.t().tolist()
    assert joined.counts.tolist() == [10, 10, 10]


def test_a_run_that_has_ended_has_no_later_sample():
    head, tail = sampled(0, 4), sampled(4, 4)
    ended = Signals(tail.rate, tail.first, tail.values, CHANNELS, np.array([4, 0, 2]))
    joined = join_signals([head, ended])
    assert [len(joined.run(i)) for i in range(3)] == [8, 4, 6]
    assert joined.run(1)[:, 0].tolist() == [1000.0, 1001.0, 1002.0, 1003.0]


@pytest.mark.parametrize(
    "second",
    [sampled(5, 2), sampled(3, 2), sampled(4, 2, rate=44_100.0)],
    ids=["a gap", "an overlap", "another rate"],
)
def test_signals_that_do_not_follow_each_other_are_refused(second: Signals):
    with pytest.raises(TruthError):
        join_signals([sampled(0, 4), second])


def test_shapes_and_types_are_checked():
    with pytest.raises(TruthError, match="shape"):
        Signals.of(10.0, 0, np.zeros((2, 5, 3)), CHANNELS)
    with pytest.raises(TruthError, match="int64"):
        Signals.of(10.0, 0, np.zeros((2, 5, 2), np.int64), CHANNELS)
    with pytest.raises(TruthError, match="6 of 5"):
        Signals(10.0, 0, np.zeros((1, 5, 2)), CHANNELS, np.array([6]))


def test_chunks_join_their_signals_and_labels():
    flag = {"t": Column(unit="s"), "fraud": Column("bool")}

    def chunk(start: float, end: float, first: int, n: int) -> Chunk:
        labels = Table.of(flag, [{"t": [end], "fraud": [True]}] * 3)
        over = np.zeros(3, np.bool_)
        events = Table.empty(EVENTS, 3)
        return Chunk(
            start, end, np.full(3, end), over, events, signals={"a": sampled(first, n)}, labels={"sales": labels}
        )

    joined = join_chunks([chunk(0.0, 1.0, 1, 4), chunk(1.0, 2.0, 5, 4)])
    assert joined.signals["a"].values.shape == (3, 8, 2)
    assert joined.labels["sales"].run(2)["t"].tolist() == [1.0, 2.0]


def test_chunks_of_no_time_joined_are_no_first_chunk():
    """Two cuts before a world's first step: joined, they read tick 0 no second time; with what follows, neither."""
    over = np.zeros(1, np.bool_)

    def chunk(end: float, continues: bool = False) -> Chunk:
        return Chunk(0.0, end, np.full(1, end), over, Table.empty(EVENTS, 1), continues=continues)

    assert chunk(0.0).ticks(10.0).tolist() == [0]
    waiting = [chunk(0.0, continues=True), chunk(0.0, continues=True)]
    assert join_chunks(waiting).ticks(10.0).tolist() == []
    assert join_chunks([*waiting, chunk(0.25)]).ticks(10.0).tolist() == [1, 2]
