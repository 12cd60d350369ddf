"""The band of healthy runs: means and spreads by hand, and when a run is outside of it while its twin is not."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import mischance.play.healthy as healthy
from mischance.api.runs import Record
from mischance.api.scene import Frames
from mischance.api.tables import Column, Signals, Table
from mischance.play.healthy import BINS, HEALTHY, SIGMAS, Profile, first_seen, is_under

DURATION = 20.0  # a piece of time lasts 0.1 s


def record(rows: dict[str, Any], path: str = "truth/x", schema: dict[str, Column] | None = None, **more: Any) -> Record:
    table = Table.of(schema or {"t": Column(unit="s"), "v": Column()}, [rows])
    return Record(np.array([0]), 0.0, DURATION, {path: table}, **more)


def profile(*records: Record) -> dict[str, np.ndarray]:
    made = Profile(DURATION)
    for one in records:
        made.add(one, 0)
    return made.values()


def test_a_piece_of_time_has_the_mean_of_its_values_and_the_number_of_its_rows():
    values = profile(
        record({"t": [0.0, 0.05, 0.1], "v": [1.0, 3.0, 7.0]}), record({"t": [0.15, 20.0], "v": [9.0, np.nan]})
    )
    assert values["truth/x.v"][:2].tolist() == [2.0, 8.0]
    assert np.isnan(values["truth/x.v"][2:]).all(), "no value is no zero"
    assert values["truth/x#rows"][[0, 1, 2, BINS - 1]].tolist() == [2.0, 2.0, 0.0, 1.0]
    assert len(values["truth/x#rows"]) == BINS


def test_what_is_no_measured_number_of_a_stream_is_left_out():
    schema = {
        "t": Column("int64", unit="ms"),
        "id": Column("int64", encoding="plain"),
        "kind": Column("category", names=("a",)),
        "note": Column("text"),
        "v": Column("int64"),
    }
    rows = {"t": [150], "id": [7], "kind": [0], "note": ["x"], "v": [4]}
    values = profile(
        record(rows, "sensors/y", schema), record(rows, "labels/y", schema), record(rows, "events", schema)
    )
    assert set(values) == {"sensors/y#rows", "sensors/y.v"}
    assert np.flatnonzero(values["sensors/y#rows"]).tolist() == [1]


def test_signals_and_images_have_their_means_and_changes():
    samples = Signals(20.0, 2, np.array([[[1.0], [3.0], [5.0], [99.0]]]), {"u": Column()}, np.array([3]))
    rgb = np.stack([np.full((2, 2), 1.0), np.full((2, 2), 4.0), np.array([[np.inf, 4.0], [4.0, 4.0]])])
    frames = Frames(np.array([0.12, 0.14, 0.31]), {"depth": rgb}, np.arange(3))
    values = profile(record({}, signals={"truth/s": samples}, frames={"sensors/f": (frames,), "labels/f": (frames,)}))
    # samples at 0.10, 0.15 and 0.20 s: the fourth is past the run's end
    assert values["truth/s.u"][1:3].tolist() == [2.0, 5.0]
    assert np.isnan(values["truth/s.u"][3:]).all()
    assert values["sensors/f.depth.mean"][[1, 3]].tolist() == [2.5, 3.0]  # infinity counts as nothing
    assert values["sensors/f.depth.change"][[1, 3]].tolist() == [3.0, 1.0]
    assert not any(name.startswith("labels") for name in values)


BAND = {"truth/x.v": (np.zeros(BINS), np.ones(BINS)), "sensors/a.v": (np.zeros(BINS), np.ones(BINS))}


def run_with(path: str, values: dict[float, float]) -> Profile:
    made = Profile(DURATION)
    made.add(record({"t": list(values), "v": list(values.values())}, path), 0)
    return made


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_run_is_seen_at_the_end_of_the_first_piece_in_which_it_alone_is_outside(sign: float):
    inside, outside = sign * SIGMAS, sign * (SIGMAS + 0.01)
    mine = run_with("truth/x", {1.05: inside, 2.05: outside, 3.05: outside})
    calm = run_with("truth/x", {2.05: 0.0, 3.05: 0.0})
    assert first_seen(["truth"], mine, calm, BAND, 0.0) == pytest.approx(2.1)
    assert first_seen(["truth/x"], mine, calm, BAND, 2.1) == pytest.approx(2.1)
    assert first_seen(["truth"], mine, calm, BAND, 2.15) == pytest.approx(3.1), "not before the effect"
    assert first_seen(["truth"], mine, calm, BAND, 3.02) == pytest.approx(3.1)
    wild = run_with("truth/x", {2.05: outside, 3.05: 0.0})
    assert first_seen(["truth"], mine, wild, BAND, 0.0) == pytest.approx(3.1), "chance is no effect"
    silent = run_with("truth/x", {9.0: 0.0})
    assert first_seen(["truth"], mine, silent, BAND, 0.0) == pytest.approx(2.1), "a twin without a value is not outside"
    for paths, band in ((["sensors"], BAND), (["truth/xy"], BAND), (["truth"], {})):
        assert math.isnan(first_seen(paths, mine, calm, band, 0.0))
    assert math.isnan(first_seen(["truth"], mine, calm, BAND, 3.2))


def test_the_earliest_of_several_streams_counts():
    mine = run_with("truth/x", {5.0: 50.0})
    mine.add(record({"t": [4.0], "v": [50.0]}, "sensors/a"), 0)
    calm = Profile(DURATION)
    assert first_seen(["truth", "sensors"], mine, calm, BAND, 0.0) == pytest.approx(4.1)
    assert first_seen(["truth"], mine, calm, BAND, 0.0) == pytest.approx(5.1)
    paths = ("sensors/a", "sensors/ab", "sensors/a/b", "truth/q", "truths")
    assert [is_under(path, ["sensors/a", "truth"]) for path in paths] == [
        True,
        False,
        True,
        True,
        False,
    ]


def test_the_band_is_mean_and_spread_of_runs_of_another_seed_without_faults(monkeypatch: pytest.MonkeyPatch):
    """Each healthy run says its own number; half of them at least must say one for a spread."""
    from tests.support import wander

    asked: list[Any] = []

    def played(scenario: Any, draws: Any) -> Any:
        asked.extend(draws)
        for k, one in enumerate(draws):
            rows = {"t": [0.05] + [0.15] * (k < HEALTHY // 2) + [0.25] * (k < HEALTHY // 2 - 1)}
            rows["v"] = [float(k * k) for _ in rows["t"]]
            yield replace(record(rows), runs=np.array([one.run]))

    monkeypatch.setattr(healthy, "play", played)
    scenario = wander(faults="[{target: plant, kind: drift, at: 1 s, chance: 1}]", duration="20 s")
    band = healthy.healthy_band(scenario)
    mean, spread = band["truth/x.v"]
    numbers = np.arange(HEALTHY) ** 2.0
    assert mean[0] == pytest.approx(numbers.mean())
    assert spread[0] == pytest.approx(numbers.std(ddof=1))
    assert mean[1] == pytest.approx(numbers[: HEALTHY // 2].mean())
    assert spread[1] == pytest.approx(numbers[: HEALTHY // 2].std(ddof=1))
    assert np.isnan(spread[2:]).all(), "too few runs have a value there"
    assert [len(one.faults) for one in asked] == [0] * HEALTHY
    assert all(one.seed != scenario.seed for one in asked)
    assert [one.run for one in asked] == list(range(HEALTHY))


@pytest.mark.parametrize("size", [1, 2, 3, 6, 10, 30, 97, 5000])
def test_under_a_grid_healthy_runs_step_through_all_of_it(size: int):
    runs = healthy._spread_out(SimpleNamespace(plan=SimpleNamespace(kind="grid", size=size)))  # type: ignore[arg-type]
    assert len(runs) == HEALTHY
    assert len(set((runs % size).tolist())) == min(size, HEALTHY), "no point twice before all had their turn"
    if size > HEALTHY:
        steps = np.diff(np.sort(runs % size))
        assert steps.max() < 4 * size / HEALTHY, "and they are spread"
    for plan in (None, SimpleNamespace(kind="lhs", size=size)):
        assert healthy._spread_out(SimpleNamespace(plan=plan)).tolist() == list(range(HEALTHY))  # type: ignore[arg-type]
