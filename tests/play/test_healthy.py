"""The band of healthy runs: features by hand, and when a run is outside of the band while its twin is not.

Figures stand here as numbers, also those that `healthy.py` has as constants: 200 pieces of time, 16 healthy runs, a
half width of 6 standard deviations, steps up to 1.25 times the largest.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import mischance.play.healthy as healthy
from mischance.api.runs import Record
from mischance.api.scene import Frames
from mischance.api.tables import Column, Schema, Signals, Table
from mischance.play.healthy import Feature, Profile, first_seen, is_under, lag

DURATION = 20.0  # a piece of time lasts 0.1 s
PIECES = 200


def record(rows: dict[str, Any], path: str = "truth/x", schema: Schema | None = None, **more: Any) -> Record:
    table = Table.of(schema or {"t": Column(unit="s"), "v": Column()}, [rows])
    return Record(np.array([0]), 0.0, DURATION, {path: table}, **more)


def profile(*records: Record) -> Profile:
    made = Profile(DURATION)
    for one in records:
        made.add(one, 0)
    return made


def found(made: Profile, path: str, column: str, what: str, entity: str = "") -> dict[int, Any]:
    """Return piece of time -> (value, when it was known) of a feature, where it has a value."""
    key = Feature(path, column, what, entity)
    values, known = made.values()[key], made.known(key)
    assert values.shape == known.shape == (PIECES,)
    return {k: (values[k], pytest.approx(known[k], abs=1e-12)) for k in np.flatnonzero(np.isfinite(values)).tolist()}


def test_a_piece_of_time_has_the_mean_of_its_values_the_largest_step_and_the_number_of_its_rows():
    made = profile(
        record({"t": [0.0, 0.05, 0.1], "v": [1.0, 3.0, 7.0]}), record({"t": [0.15, 20.0], "v": [5.0, np.nan]})
    )
    assert found(made, "truth/x", "v", "mean") == {0: (2.0, 0.05), 1: (6.0, 0.15)}, "known with its last row"
    assert found(made, "truth/x", "v", "step") == {0: (2.0, 0.05), 1: (4.0, 0.1)}, "known with its own row"
    assert found(made, "truth/x", "v", "missing") == {0: (0.0, 0.1), 1: (0.0, 0.2), 199: (1.0, 20.0)}
    assert found(made, "truth/x", "", "repeated") == {0: (0.0, 0.1), 1: (0.0, 0.2), 199: (0.0, 20.0)}
    rows = found(made, "truth/x", "", "rows")
    assert {k: rows[k] for k in (0, 1, 2, 199)} == {0: (2.0, 0.1), 1: (2.0, 0.2), 2: (0.0, 0.3), 199: (1.0, 20.0)}
    assert len(rows) == PIECES, "where no row is, there are none"


def test_what_is_no_number_of_a_stream_is_left_out_and_times_have_no_steps():
    schema = {
        "t": Column("int64", unit="ms", role="time"),
        "t_measured": Column("int64", unit="ms"),
        "sent": Column("int64", unit="ms", role="time"),
        "id": Column("int64", encoding="plain"),
        "kind": Column("category", names=("a", "b")),
        "note": Column("text"),
        "v": Column("int64"),
    }
    rows = {"t": [150, 190], "t_measured": [140, 180], "sent": [150, 190], "id": [7, 8], "kind": [0, 1],
            "note": ["x", "y"], "v": [4, 4]}  # fmt: skip
    made = profile(record(rows, "sensors/y", schema), record(rows, "labels/y", schema), record(rows, "events", schema))
    assert set(made.values()) == {
        ("sensors/y", "", "rows", ""),
        ("sensors/y", "", "repeated", ""),
        ("sensors/y", "v", "mean", ""),
        ("sensors/y", "v", "step", ""),
        ("sensors/y", "sent", "mean", ""),
        ("sensors/y", "t_measured", "mean", ""),
    }
    assert found(made, "sensors/y", "", "repeated") == {1: (1.0, 0.19)}, "times go on in a frozen row too"
    assert found(made, "sensors/y", "t_measured", "mean") == {1: (160.0, 0.19)}


WHO = {"t": Column(unit="s"), "who": Column("category", names=("a", "b"), role="entity"), "v": Column()}
STORY = [(0.0, 0, 1.0), (0.0, 1, 10.0), (0.05, 0, 1.0), (0.05, 1, 14.0), (0.1, 0, 4.0), (0.3, 1, 14.0), (0.3, 0, 9.0)]


@pytest.mark.parametrize("cuts", [[], [1], [3], [4], [5], [2, 4, 6], [1, 2, 3, 4, 5, 6]])
def test_each_entity_has_its_own_mean_and_steps_from_its_own_row_before(cuts: list[int]):
    """However the run was cut into chunks: b has no row in that of 0.1 s, and goes on from the one before."""
    edges = [0, *cuts, len(STORY)]
    made = Profile(DURATION)
    for low, high in pairwise(edges):
        columns = zip(*STORY[low:high], strict=True)
        made.add(record(dict(zip(WHO, columns, strict=True)), schema=WHO), 0)
    assert found(made, "truth/x", "v", "mean") == {0: (6.5, 0.05), 1: (4.0, 0.1), 3: (11.5, 0.3)}
    assert found(made, "truth/x", "v", "mean", "a") == {0: (1.0, 0.05), 1: (4.0, 0.1), 3: (9.0, 0.3)}
    assert found(made, "truth/x", "v", "mean", "b") == {0: (12.0, 0.05), 3: (14.0, 0.3)}
    assert found(made, "truth/x", "v", "step") == {0: (4.0, 0.05), 1: (3.0, 0.1), 3: (5.0, 0.3)}
    assert found(made, "truth/x", "", "repeated") == {0: (0.5, 0.05), 1: (0.0, 0.2), 3: (0.5, 0.3)}


def test_an_entity_may_be_a_number_that_itself_has_no_steps():
    schema = {**WHO, "who": Column("int64", role="entity")}
    made = profile(record({"t": [0.0, 0.0, 0.05, 0.05], "who": [7, 9, 9, 7], "v": [1.0, 5.0, 5.0, 3.0]}, schema=schema))
    assert {key.column for key in made.values() if key.what == "step"} == {"v"}
    assert found(made, "truth/x", "v", "step") == {0: (2.0, 0.05)}
    assert found(made, "truth/x", "", "repeated") == {0: (0.5, 0.05)}


@pytest.mark.parametrize(("entities", "own"), [(1, 0), (2, 2), (32, 32), (33, 0)])
def test_one_entity_is_all_and_more_than_32_have_no_means_of_their_own(entities: int, own: int):
    names = tuple(f"n{k}" for k in range(entities))
    schema = {**WHO, "who": Column("category", names=names, role="entity")}
    rows = {"t": [0.0] * (entities + 1), "who": [-1, *range(entities)], "v": [50.0, *range(entities)]}
    values = profile(record(rows, schema=schema)).values()
    means = {key.entity: value[0] for key, value in values.items() if key.what == "mean" and key.entity}
    assert means == {f"n{k}": float(k) for k in range(own)}, "null is nobody"


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        ((1.0, 2.0), (1.0, 2.0), 1.0),
        ((1.0, 2.0), (1.0, 3.0), 0.0),
        ((np.nan, 2.0), (np.nan, 2.0), 1.0),
        ((np.inf, 2.0), (np.inf, 2.0), 1.0),
        ((1.0, 2.0), (np.nan, 2.0), 0.0),
        ((np.nan, 2.0), (1.0, 2.0), 0.0),
        ((np.inf, 2.0), (-np.inf, 2.0), 0.0),
    ],
)
def test_a_row_repeats_the_one_before_where_all_of_it_is_the_same(before, after, share: float):
    """A value that comes or goes is no repetition."""
    schema = {"t": Column(unit="s"), "v": Column(), "w": Column()}
    rows = {"t": [0.0, 0.04], **{name: [before[k], after[k]] for k, name in enumerate("vw")}}
    made = profile(record(rows, schema=schema))
    assert found(made, "truth/x", "", "repeated") == {0: (share, 0.04 if share else 0.1)}
    missing = [float(not np.isfinite(value)) for value in (before[0], after[0])]
    known = {(0.0, 0.0): 0.1, (0.0, 1.0): 0.04}.get((missing[0], missing[1]), 0.0)
    assert found(made, "truth/x", "v", "missing") == {0: (sum(missing) / 2, known)}


def test_a_freeze_is_known_at_the_first_repetition_in_a_piece_of_time_and_the_largest_step_at_its_first_row():
    t = [0.0, 0.02, 0.04, 0.06, 0.08]
    frozen = record({"t": t, "v": [1.0, 2.0, 2.0, 2.0, 2.0]})
    frames = Frames(np.array(t), {"rgb": np.array([1.0, 2.0, 2.0, 2.0, 2.0]).reshape(5, 1, 1)}, np.arange(5))
    made = profile(frozen, record({}, "truth/q", frames={"sensors/f": (frames,)}))
    assert found(made, "truth/x", "", "repeated") == {0: (0.75, 0.04)}
    assert found(made, "sensors/f", "rgb", "repeated") == {0: (0.75, 0.04)}
    for cut in (2, 3, 4):
        v = [1.0, 3.0, 2.0, 0.0, 1.0]  # steps of 2, 1, 2, 1
        parts = [record({"t": t[part], "v": v[part]}) for part in (slice(cut), slice(cut, None))]
        assert found(profile(*parts), "truth/x", "v", "step") == {0: (2.0, 0.02)}
    rising = [record({"t": [t[k]], "v": [v]}) for k, v in enumerate([0.0, 1.0, 3.0, 6.0, 7.0])]  # 1, 2, 3, 1
    assert found(profile(*rising), "truth/x", "v", "step") == {0: (3.0, 0.06)}


def test_signals_and_images_have_their_means_and_changes():
    samples = Signals(20.0, 2, np.array([[[1.0], [3.0], [6.0], [99.0]]]), {"u": Column()}, np.array([3]))
    images = np.stack(
        [np.full((2, 2), 1.0), np.full((2, 2), 4.0), [[np.inf, 4.0], [4.0, 4.0]], [[-np.inf, 4.0], [4.0, np.nan]]]
    )
    frames = Frames(np.array([0.12, 0.14, 0.31, 0.52]), {"depth": images}, np.arange(4))
    made = profile(record({}, signals={"truth/s": samples}, frames={"sensors/f": (frames,), "labels/f": (frames,)}))
    # samples at 0.10, 0.15 and 0.20 s: the fourth is past the run's end
    assert found(made, "truth/s", "u", "mean") == {1: (2.0, 0.15), 2: (6.0, 0.2)}
    assert found(made, "truth/s", "u", "step") == {1: (2.0, 0.15), 2: (3.0, 0.2)}
    # what is no number counts as nothing
    assert found(made, "sensors/f", "depth", "mean") == {1: (2.5, 0.14), 3: (3.0, 0.31), 5: (2.0, 0.52)}
    assert found(made, "sensors/f", "depth", "change") == {1: (3.0, 0.14), 3: (1.0, 0.31), 5: (1.0, 0.52)}
    assert found(made, "sensors/f", "depth", "repeated") == {1: (0.0, 0.2), 3: (0.0, 0.4), 5: (0.0, 0.6)}
    assert not any(key.path.startswith("labels") for key in made.values())


def mean_of(path: str, column: str = "v", what: str = "mean") -> Feature:
    return Feature(path, column, what)


BAND = {mean_of(path): (np.zeros(PIECES), np.ones(PIECES)) for path in ("truth/x", "sensors/a")}


def run_with(path: str, values: dict[float, float]) -> Profile:
    return profile(record({"t": list(values), "v": list(values.values())}, path))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_run_is_seen_at_the_first_row_with_which_it_alone_is_outside(sign: float):
    inside, outside = sign * 5.99, sign * 6.01
    mine = run_with("truth/x", {1.05: inside, 2.02: outside, 2.05: outside, 3.05: outside})
    calm = run_with("truth/x", {2.05: 0.0, 3.05: 0.0})
    assert first_seen(["truth"], mine, calm, BAND, 0.0) == 2.05, "a mean is known with its last row"
    assert first_seen(["truth/x"], mine, calm, BAND, 2.05) == 2.05
    assert first_seen(["truth"], mine, calm, BAND, 2.06) == 3.05, "not before the effect"
    assert first_seen(["truth"], mine, calm, BAND, 0.0, 2.05) == 2.05
    assert first_seen(["truth"], mine, calm, BAND, 3.05, 3.05) == 3.05
    assert math.isnan(first_seen(["truth"], mine, calm, BAND, 0.0, 2.04)), "not after the fault"
    assert math.isnan(first_seen(["truth"], mine, calm, BAND, 3.06))
    wild = run_with("truth/x", {2.05: outside, 3.05: 0.0})
    assert first_seen(["truth"], mine, wild, BAND, 0.0) == 3.05, "chance is no effect"
    silent = run_with("truth/x", {9.0: 0.0})
    assert first_seen(["truth"], mine, silent, BAND, 0.0) == 2.05, "a twin without a value is not outside"
    assert first_seen(["truth"], mine, Profile(DURATION), BAND, 0.0) == 2.05, "nor one without the stream"
    for paths, band in ((["sensors"], BAND), (["truth/xy"], BAND), (["truth"], {})):
        assert math.isnan(first_seen(paths, mine, calm, band, 0.0))


def test_the_rounding_of_a_mean_is_no_effect():
    """Healthy runs that all say 1000: a mean of them is exact to 1e-9 of that, on both sides."""
    band = {mean_of("truth/x"): (np.full(PIECES, -1000.0), np.zeros(PIECES))}
    calm = run_with("truth/x", {1.0: -1000.0})
    for off, seen in ((0.5e-6, False), (-0.5e-6, False), (2e-6, True), (-2e-6, True)):
        mine = run_with("truth/x", {1.0: -1000.0 + off})
        assert (first_seen(["truth"], mine, calm, band, 0.0) == 1.0) is seen
    never = {mean_of("truth/x", "v", "missing"): (np.zeros(PIECES), np.zeros(PIECES))}
    assert math.isnan(first_seen(["truth"], calm, calm, never, 0.0)), "what equals a band of no width is inside"
    assert first_seen(["truth"], run_with("truth/x", {1.0: -1000.0, 1.02: np.nan}), calm, never, 0.0) == 1.02


def test_rows_that_are_lacking_or_too_many_are_seen_at_the_end_of_their_piece_of_time():
    band = {mean_of("truth/x", "", "rows"): (np.ones(PIECES), np.zeros(PIECES))}
    regular = {0.05 + 0.1 * k: 0.0 for k in range(PIECES)}
    calm = run_with("truth/x", regular)
    lacking = run_with("truth/x", {t: v for k, (t, v) in enumerate(regular.items()) if k != 20})
    many = run_with("truth/x", dict(sorted((regular | {3.01: 0.0}).items())))
    assert first_seen(["truth"], lacking, calm, band, 0.0) == pytest.approx(2.1)
    assert first_seen(["truth"], many, calm, band, 0.0) == pytest.approx(3.1)
    assert math.isnan(first_seen(["truth"], calm, calm, band, 0.0))


def test_the_earliest_of_several_streams_counts():
    mine = run_with("truth/x", {5.0: 50.0})
    mine.add(record({"t": [4.0], "v": [50.0]}, "sensors/a"), 0)
    calm = Profile(DURATION)
    assert first_seen(["truth", "sensors"], mine, calm, BAND, 0.0) == 4.0
    assert first_seen(["sensors", "truth"], mine, calm, dict(reversed(BAND.items())), 0.0) == 4.0
    assert first_seen(["truth"], mine, calm, BAND, 0.0) == 5.0
    paths = ("sensors/a", "sensors/ab", "sensors/a/b", "truth/q", "truths")
    assert [is_under(path, ["sensors/a", "truth"]) for path in paths] == [
        True,
        False,
        True,
        True,
        False,
    ]


AGED = {"t": Column(unit="s"), "t_measured": Column(unit="s"), "v": Column()}
AGED_MS = {"t": Column("int64", unit="ms"), "t_measured": Column("int64", unit="ms"), "v": Column()}


def test_a_fault_may_be_seen_until_the_next_row_and_as_long_as_its_measurement_took():
    """The longest interval of the twin, the longest age of either, and one piece of time; of those streams alone."""

    def aged(rows: list[tuple[float, float]], path: str = "sensors/a") -> Record:
        t, measured = zip(*rows, strict=True)
        return record({"t": t, "t_measured": measured, "v": [0.0] * len(t)}, path, AGED)

    mine = profile(aged([(1.0, 0.3), (1.0, np.nan), (9.0, 8.9)]))  # ages 0.7 and 0.1; its gaps do not count
    its = profile(
        aged([(1.0, 0.8), (1.0, np.nan), (1.5, 1.4)]),
        aged([(3.5, 3.4), (4.0, 3.9)]),  # 2 s after the row in the record before
        aged([(9.0, 2.0)], "sensors/b"),
    )
    assert lag(["sensors/a"], mine, its) == pytest.approx(2.0 + 0.7 + 0.1)
    assert lag(["sensors/a"], its, mine) == pytest.approx(8.0 + 0.7 + 0.1)
    assert lag(["sensors"], mine, its) == pytest.approx(2.0 + 7.0 + 0.1)
    assert lag(["sensors/c"], mine, its) == pytest.approx(0.1)
    early = profile(aged([(1.0, 1.5)]))
    assert lag(["sensors"], early, early) == pytest.approx(0.1), "a clock that is ahead makes no row older"
    frames = Frames(np.array([1.0, 1.25]), {"rgb": np.zeros((2, 1, 1))}, np.arange(2))
    samples = Signals.of(2.0, 0, np.zeros((1, 3, 1)), {"u": Column()})
    other = profile(record({}, signals={"sensors/s": samples}, frames={"sensors/f": (frames,)}))
    assert lag(["sensors/f"], other, other) == pytest.approx(0.25 + 0.1)
    assert lag(["sensors/s"], other, other) == pytest.approx(0.5 + 0.1)


def test_ages_are_told_in_the_unit_of_their_column():
    made = profile(record({"t": [1000, 1400], "t_measured": [800, 1350], "v": [0.0, 0.0]}, "sensors/a", AGED_MS))
    assert lag(["sensors/a"], made, made) == pytest.approx(0.4 + 0.2 + 0.1)


def test_the_band_is_mean_and_spread_of_runs_of_another_seed_without_faults(monkeypatch: pytest.MonkeyPatch):
    """Each healthy run says its own numbers; eight of 16 at least must say one for a spread."""
    from tests.support import wander

    asked: list[Any] = []

    def played(scenario: Any, draws: Any) -> Any:
        asked.extend(draws)
        for k, one in enumerate(draws):
            values = {0.05: k * k, 0.15: k * k + 0.1 * k, 0.25: k * k - 0.1 * k}  # steps of 0.1 k and 0.2 k
            said = dict(list(values.items())[: 1 + (k < 8) + (k < 7)])
            rows = {"t": list(said), "v": [float(v) for v in said.values()]}
            yield replace(record(rows), runs=np.array([one.run]))
            yield replace(record({"t": [0.15], "v": [1e6]}), runs=np.array([one.run]), last=True)

    monkeypatch.setattr(healthy, "play", played)
    scenario = wander(faults="[{target: plant, kind: drift, at: 1 s, chance: 1}]", duration="20 s")
    band = healthy.healthy_band(scenario)
    mean, spread = band[mean_of("truth/x")]
    first, second = [float(k * k) for k in range(16)], [k * k + 0.1 * k for k in range(8)]
    assert mean[0] == pytest.approx(np.mean(first))
    assert spread[0] == pytest.approx(np.std(first, ddof=1))
    assert mean[1] == pytest.approx(np.mean(second))
    assert spread[1] == pytest.approx(np.std(second, ddof=1))
    assert np.isnan(spread[2:]).all(), "too few runs have a value there"
    middle, spread = band[mean_of("truth/x", "v", "step")]
    assert middle.tolist() == [0.0] * PIECES
    assert 6.0 * spread[1] == pytest.approx(1.25 * 0.2 * 6), "beyond the largest of all, at any time, of any run"
    assert np.isnan(spread[[0, *range(2, PIECES)]]).all()
    rows, spread = band[mean_of("truth/x", "", "rows")]
    assert rows[:4].tolist() == [1.0, 8 / 16, 7 / 16, 0.0]
    assert spread[3] == 0.0
    assert [len(one.faults) for one in asked] == [0] * 16
    assert all(one.seed != scenario.seed for one in asked)
    assert [one.run for one in asked] == list(range(16))


@pytest.mark.parametrize("size", [1, 2, 3, 6, 10, 30, 97, 5000])
def test_under_a_grid_healthy_runs_step_through_all_of_it(size: int):
    runs = healthy._spread_out(SimpleNamespace(plan=SimpleNamespace(kind="grid", size=size)))  # type: ignore[arg-type]
    assert len(runs) == 16
    assert len(set((runs % size).tolist())) == min(size, 16), "no point twice before all had their turn"
    if size > 16:
        places = np.sort(runs % size)
        steps = np.diff(places, append=places[0] + size)  # the way round too
        assert steps.max() < 4 * size / 16, "and they are spread"
    for plan in (None, SimpleNamespace(kind="lhs", size=size)):
        assert healthy._spread_out(SimpleNamespace(plan=plan)).tolist() == list(range(16))  # type: ignore[arg-type]
