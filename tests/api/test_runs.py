"""Chunks, ticks, faults and draws: borders at equality, joining, and what each party may see of a draw."""

from __future__ import annotations

import pickle
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import inf

import numpy as np
import pytest

from mischance.api.names import padded, unique_word
from mischance.api.randomness import Streams
from mischance.api.read_only import read_only, read_only_view
from mischance.api.runs import (
    Chunk,
    Draw,
    Fault,
    Record,
    active_share,
    active_shares,
    join_chunks,
    last_tick,
    ticks,
)
from mischance.api.scene import Body, Camera, Frames, Hits, Motion, Rays, Scene, join_frames
from mischance.api.tables import (
    EVENTS,
    Column,
    Signals,
    Table,
    entity_column,
    join_signals,
    seconds,
    tables_side_by_side,
)
from mischance.errors import TruthError

# -- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [1.0, 3.0, 10.0, 12.5, 29.97])
def test_ticks_are_in_the_half_open_interval_and_every_tick_is_in_one_piece(rate: float):
    cuts = [0.0, 0.1, 0.3, 1 / 3, 2 / 3, 1.0, 1.7, 4.0, 4.0 + 1e-12, 5.2]
    pieces = [ticks(rate, a, b).tolist() for a, b in pairwise(cuts)]
    assert [k for piece in pieces for k in piece] == [k for k in range(1, 1000) if k / rate <= 5.2]
    for (a, b), piece in zip(pairwise(cuts), pieces, strict=True):
        assert all(a < k / rate <= b for k in piece)
    assert ticks(rate, 0.0, 0.0).tolist() == []
    assert ticks(rate, 0.0, 0.0, first=True).tolist() == [0]
    assert ticks(rate, 0.0, 1.0 / rate, first=True).tolist() == [0, 1]


@pytest.mark.parametrize("rate", [1.0, 3.0, 10.0, 50.0, 29.97])
def test_the_last_tick_is_the_largest_that_is_not_late(rate: float):
    for until in (0.0, 0.05, 0.1, 0.3, 1 / 3, 1.0, 2.9999999999999996, 3.0, 7.7):
        k = last_tick(rate, until)
        assert k / rate <= until < (k + 1) / rate
        assert k >= 0
    assert last_tick(rate, inf) == -1


def test_only_the_chunk_at_zero_is_the_first():
    made = {
        (start, end, continues): Chunk(
            start, end, np.zeros(1), np.zeros(1, bool), Table.empty(EVENTS, 1), continues=continues
        )
        for start in (0.0, 0.5)
        for end in (0.5, 0.0)
        for continues in (False, True)
    }
    assert [key for key, chunk in made.items() if chunk.first] == [(0.0, 0.0, False)]
    assert made[0.0, 0.0, False].ticks(10.0).tolist() == [0]
    assert made[0.0, 0.0, True].ticks(10.0).tolist() == []
    assert made[0.0, 0.5, False].ticks(10.0).tolist() == [1, 2, 3, 4, 5]
    assert made[0.0, 0.5, False].runs == 1


# -- joining ----------------------------------------------------------------------------------------------------------


def piece(start: float, end: float, rows: list[list[float]], motion: list[float] | None = None) -> Chunk:
    """Return a chunk of two runs: rows of table `x` at those times, two samples a run, bodies at those times."""
    t = np.array(motion or [])
    pose = np.arange(2 * len(t) * 7.0).reshape(2, len(t), 1, 7) + 100 * start
    first = int(start * 4)
    return Chunk(
        start,
        end,
        np.array([end, end]),
        np.array([False, end > 1]),
        Table.empty(EVENTS, 2),
        tables={"x": Table.of({"t": Column(unit="s")}, [{"t": row} for row in rows])},
        labels={"x": Table.of({"t": Column(unit="s")}, [{"t": row[:1]} for row in rows])},
        motion=Motion(("car",), t, pose, pose[..., :6]) if motion else None,
        signals={"s": Signals.of(4.0, first, np.full((2, int((end - start) * 4), 1), start), {"u": Column()})},
    )


def test_joined_chunks_tell_the_same_story_with_each_border_once():
    one, two = piece(0.0, 1.0, [[0.5], [0.5, 1.0]], [0.0, 0.5, 1.0]), piece(1.0, 1.5, [[1.2], [1.5]], [1.0, 1.5])
    whole = join_chunks([one, two])
    assert (whole.start, whole.end, whole.ends.tolist(), whole.over.tolist()) == (0.0, 1.5, [1.5, 1.5], [False, True])
    assert [whole.tables["x"].run(i)["t"].tolist() for i in (0, 1)] == [[0.5, 1.2], [0.5, 1.0, 1.5]]
    assert [whole.labels["x"].run(i)["t"].tolist() for i in (0, 1)] == [[0.5, 1.2], [0.5, 1.5]]
    assert whole.motion is not None
    assert one.motion is not None
    assert two.motion is not None
    assert whole.motion.t.tolist() == [0.0, 0.5, 1.0, 1.5]
    np.testing.assert_array_equal(whole.motion.pose[:, :3], one.motion.pose)
    np.testing.assert_array_equal(whole.motion.pose[:, 3:], two.motion.pose[:, 1:])
    np.testing.assert_array_equal(whole.motion.velocity[:, 3:], two.motion.velocity[:, 1:])
    assert whole.signals["s"].values[0, :, 0].tolist() == [0.0] * 4 + [1.0] * 2
    assert join_chunks([one, two], with_motion=False).motion is None
    assert join_chunks([one]) is one


def test_signals_that_do_not_follow_each_other_are_refused():
    def part(rate: float = 4.0, first: int = 0, unit: str = "V") -> Signals:
        return Signals.of(rate, first, np.zeros((1, 3, 1)), {"u": Column(unit=unit)})

    joined = join_signals([part(), part(first=3), part(first=6)])
    assert (joined.first, joined.values.shape, joined.counts.tolist()) == (0, (1, 9, 1), [9])
    assert joined.t().tolist() == [k / 4 for k in range(9)]
    for other in (part(8.0, 3), part(first=4), part(first=2), part(first=3, unit="A")):
        with pytest.raises(TruthError, match="follow signals at 4 Hz that"):
            join_signals([part(), other])


def test_a_signal_has_as_many_samples_as_its_counts_say():
    channels = {"u": Column(), "v": Column()}
    values = np.arange(12.0).reshape(2, 3, 2)
    made = Signals(10.0, 5, values, channels, np.array([0, 3]))
    assert made.runs == 2
    assert made.run(0).shape == (0, 2)
    assert made.run(1).tolist() == [[6, 7], [8, 9], [10, 11]]
    for counts in ([-1, 3], [0, 4]):
        with pytest.raises(TruthError, match="samples"):
            Signals(10.0, 5, values, channels, np.array(counts))
    for wrong, given in ((values[:, :, :1], [3, 3]), (values, [3]), (values[0], [3, 3])):
        with pytest.raises(TruthError, match=r"shape is|have values of shape"):
            Signals(10.0, 5, wrong, channels, np.array(given))
    with pytest.raises(TruthError, match="float32 or float64"):
        Signals(10.0, 5, values.astype(int), channels, np.array([3, 3]))


def test_images_are_joined_run_by_run_and_a_piece_without_images_decides_nothing():
    def frames(t: list[float], value: int) -> Frames:
        return Frames(np.array(t), {"rgb": np.full((len(t), 2, 3, 3), value, np.uint8)}, np.arange(len(t)) + 10 * value)

    none = Frames(np.zeros(0), {"rgb": np.zeros((0,))}, np.zeros(0, np.int64))
    joined = join_frames([(none, none), (frames([0.5], 1), none), (frames([1.0, 1.5], 2), none)])
    assert joined[0].t.tolist() == [0.5, 1.0, 1.5]
    assert joined[0].index.tolist() == [10, 20, 21]
    assert joined[0].passes["rgb"][:, 0, 0, 0].tolist() == [1, 2, 2]
    assert len(joined[1].t) == 0
    again = pickle.loads(pickle.dumps(joined[0]))
    assert again.passes["rgb"].tolist() == joined[0].passes["rgb"].tolist()


# -- faults and draws -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ramp", [0.0, -1.0, 0.5, 4.0])
def test_a_share_grows_over_its_ramp_in_the_half_open_interval(ramp: float):
    for t in (0.0, 0.999, 1.0, 1.25, 1.5, 1.75, 2.999, 3.0, 9.0):
        wanted = Fraction(0)
        if 1 <= t < 3:
            wanted = min(Fraction(t - 1.0) / Fraction(ramp), Fraction(1)) if ramp > 0 else Fraction(1)
        assert active_share(1.0, 3.0, ramp, t) == pytest.approx(float(wanted))
        assert float(active_shares(1.0, 3.0, ramp, t)) == active_share(1.0, 3.0, ramp, t)
    fault = Fault("fault:0", "plant", "wear", 1.0, 3.0, 8.0, ramp)
    at = np.array([0.5, 1.25, 2.0])
    assert fault.severity_at(at).tolist() == [8.0 * fault.share_at(t) for t in at.tolist()]
    assert fault.share_at(2.0) == (0.25 if ramp == 4.0 else 1.0)


def test_a_fault_begins_like_another_whatever_its_end():
    fault = Fault("fault:0", "plant", "wear", 1.0, 3.0, 8.0)
    assert fault.begins_like(replace(fault, end=5.0, severity=1.0))
    changes = ({"fault_id": "fault:1"}, {"target": "x"}, {"kind": "x"}, {"onset": 2.0})
    assert not any(fault.begins_like(replace(fault, **change)) for change in changes)  # type: ignore[arg-type]


def test_each_party_sees_its_own_faults_alone():
    names = ("plant", "agent", "sensors.a", "sensors.b", "sensorsuite")
    faults = tuple(Fault(f"fault:{i}", name, "wear", float(i), inf, 1.0) for i, name in enumerate(names))
    draw = Draw(1, 2, {"x": 3.0}, faults, 0.5, ((1.0, "k"),), "fault:9", None, 4.0)
    seen = draw.as_seen()
    assert (seen.faults, seen.log_weight, seen.branch, seen.twin) == ((), 0.0, (), "")
    assert (seen.seed, seen.run, seen.values, seen.duration) == (1, 2, {"x": 3.0}, 4.0)
    assert [fault.target for fault in draw.as_seen("sensors.a").faults] == ["sensors.a"]
    assert [fault.target for fault in draw.of_world().faults] == ["plant", "sensorsuite"]
    assert [fault.target for fault in draw.without_channel().faults] == [name for name in names if name != "agent"]
    assert draw.faults_of("plant") == faults[:1]
    own = replace(draw, faults=faults[:1])
    assert own.of_world() is own


# -- tables -----------------------------------------------------------------------------------------------------------


def test_a_time_column_is_told_in_seconds_whatever_its_unit():
    for unit, of_a_second in (("s", 1.0), ("", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
        t = np.array([0, 3 * of_a_second], np.int64)
        np.testing.assert_allclose(seconds(t, {"t": Column("int64", unit=unit)}), [0.0, 3.0], rtol=1e-15)


def test_tables_of_single_runs_stand_side_by_side_with_their_names():
    def one(names: tuple[str, ...], codes: list[int]) -> Table:
        return Table.of(
            {"c": Column("category", names=names), "x": Column()}, [{"c": codes, "x": np.arange(len(codes))}]
        )

    whole = tables_side_by_side([one(("a", "b"), [1, 0]), one(("b",), []), one(("b", "c"), [0, 1, -1])])
    assert whole.runs == 3
    names = whole.schema["c"].names
    words = [[names[code] if code >= 0 else None for code in whole.run(i)["c"].tolist()] for i in range(3)]
    assert words == [["b", "a"], [], ["b", "c", None]]
    assert whole.run_index().tolist() == [0, 0, 2, 2, 2]
    assert entity_column(whole.schema) == ""
    assert entity_column({"x": Column(), "who": Column(role="entity"), "whom": Column(role="entity")}) == "who"


def test_columns_that_are_no_columns_of_their_table_are_named():
    bounds = np.array([0, 2])
    with pytest.raises(TruthError, match="differ from its schema: b, c"):
        Table({"a": Column(), "b": Column()}, {"a": np.zeros(2), "c": np.zeros(2)}, bounds)
    with pytest.raises(TruthError, match="'a' has 3 rows where the table has 2"):
        Table({"a": Column()}, {"a": np.zeros(3)}, bounds)
    with pytest.raises(TruthError, match="'a' is float32 where float64 was declared"):
        Table({"a": Column()}, {"a": np.zeros(2, np.float32)}, bounds)
    with pytest.raises(TruthError, match="no column has the role 'kye'"):
        Column(role="kye")
    table = pickle.loads(pickle.dumps(Table({"a": Column()}, {"a": np.array([1.0, 2.0])}, bounds)))
    assert (len(table), table.runs, table.columns["a"].tolist()) == (2, 1, [1.0, 2.0])


# -- read-only --------------------------------------------------------------------------------------------------------


def test_nothing_that_leaves_the_pipe_can_be_written_to():
    def fresh(*shape: int) -> np.ndarray:
        return np.zeros(shape)

    table = Table.of({"x": Column()}, [{"x": fresh(3)}])
    record = Record(fresh(1).astype(np.int64), 0.0, 1.0, {"x": table}, {"f": ()}, (), False, {})
    frames = Frames(fresh(2), {"rgb": fresh(2, 3)}, fresh(2).astype(np.int64))
    motion, rays = Motion(("a",), fresh(2), fresh(1, 2, 1, 7), fresh(1, 2, 1, 6)), Rays(fresh(1, 2, 3), fresh(1, 2, 3))
    hits = Hits(fresh(1, 2), fresh(1, 2).astype(np.int64), fresh(1, 2, 3), fresh(1, 2).astype(np.int64))
    signals = Signals.of(1.0, 0, fresh(1, 2, 1), {"u": Column()})
    chunk = Chunk(0.0, 1.0, fresh(1), fresh(1).astype(bool), table)
    given = [
        table.columns["x"],
        table.offsets,
        record.runs,
        frames.t,
        frames.index,
        frames.passes["rgb"],
        motion.t,
        motion.pose,
        motion.velocity,
        rays.origin,
        rays.direction,
        hits.distance,
        hits.instance,
        hits.normal,
        hits.shape,
        signals.values,
        signals.counts,
        chunk.ends,
        chunk.over,
        Camera((2, 2), 1.0, fresh(1, 7)).pose,
    ]
    assert not any(array.flags.writeable for array in given)
    for mapping in (table.columns, record.tables, record.frames, record.signals, frames.passes):
        with pytest.raises(TypeError):
            mapping["new"] = 1  # type: ignore[index]


def test_what_others_can_write_to_is_copied_and_what_nobody_can_is_taken_over():
    own = np.arange(6.0)
    assert read_only(own) is own
    kept = np.arange(6.0)
    view = kept[1:4]
    taken = read_only(view)
    kept[2] = 99.0
    assert taken.tolist() == [1.0, 2.0, 3.0]
    assert not taken.flags.writeable
    assert kept.flags.writeable, "whoever keeps it may go on writing to it"
    of_bytes = np.frombuffer(b"\x01\x02", np.uint8)
    assert read_only(of_bytes) is of_bytes
    memory = bytearray(b"\x01\x02")
    copied = read_only(np.frombuffer(memory, np.uint8))
    memory[0] = 9
    assert copied.tolist() == [1, 2]
    reshaped = read_only(np.arange(6.0).reshape(2, 3))
    assert not reshaped.base.flags.writeable  # type: ignore[union-attr]
    shown = np.arange(3.0)
    seen = read_only_view(shown)
    shown[0] = 5.0
    assert (seen[0], seen.flags.writeable, shown.flags.writeable) == (5.0, False, True)


# -- names and streams ------------------------------------------------------------------------------------------------


def test_names_are_padded_and_words_are_unique(monkeypatch: pytest.MonkeyPatch):
    assert (padded(0), padded(18231), padded(10**9 - 1)) == ("000000000", "000018231", "999999999")
    monkeypatch.setattr("socket.gethostname", lambda: "a.b/c-d" + "e" * 60)
    words = {unique_word() for _ in range(50)}
    assert len(words) == 50
    assert {word[:32] for word in words} == {"a_b_c_d" + "e" * 25}
    assert {len(word) for word in words} == {32 + 1 + 16}


def test_bodies_of_a_scene_are_found_by_name():
    scene = Scene((Body("a", "box", ()), Body("b", "box", ())))
    assert (scene.index("a"), scene.index("b")) == (0, 1)
    with pytest.raises(TruthError, match="no body 'c'"):
        scene.index("c")


def test_a_branch_rekeys_streams_that_were_handed_out_and_those_that_were_not():
    def after(*keys: str, early: bool) -> list[float]:
        streams = Streams(7, 3)
        stream = streams("a") if early else None
        if stream is not None:
            stream.random(5)
        for key in keys:
            streams.rekey(key)
        again = streams("a")
        assert stream is None or again is stream
        return [*again.random(3).tolist(), *streams.uniform("a", [1, 2]).tolist()]

    assert after("k", early=True) == after("k", early=False)
    assert after("k", "l", early=True) == after("k", "l", early=False)
    assert len({tuple(after(*keys, early=False)) for keys in ((), ("k",), ("l",), ("k", "l"), ("l", "k"))}) == 5


def test_a_uniform_of_a_row_depends_on_its_key_alone_and_is_uniform():
    streams = Streams(7, 3)
    many = streams.uniform("a", np.arange(20_000))
    assert 0.0 < many.min() < many.max() < 1.0
    assert abs(many.mean() - 0.5) < 4 * (1 / 12 / 20_000) ** 0.5
    assert streams.uniform("a", [17, 5]).tolist() == many[[17, 5]].tolist()
    others = [
        streams.uniform("a", [5], 1),
        streams.uniform("b", [5]),
        Streams(7, 4).uniform("a", [5]),
        Streams(8, 3).uniform("a", [5]),
    ]
    assert len({float(u[0]) for u in others} | {float(many[5])}) == 5
    large = 2**40 + np.array([0, 1])
    assert len(set(streams.uniform("a", [0, 1, *large]).tolist())) == 4, "the upper half of a key counts"
