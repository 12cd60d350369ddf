"""Merging: every run is there once with its origin, categories mean the same, nothing half is left, runs play again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mischance
from mischance.api.arrow import arrow_schema
from mischance.api.names import padded
from mischance.api.tables import LABELS, Column
from mischance.dataset import merging
from mischance.dataset.manifest import read_manifest, verify, write_body
from mischance.dataset.merging import merge
from mischance.dataset.origins import origins_of, read_merge
from mischance.errors import DatasetError
from mischance.estimate.pooling import NotPooled, pooled_probability
from mischance.reports.replay.run_view import run_view
from mischance.sweep.jobs import replay, sweep
from mischance.sweep.judging import causes_in
from mischance.sweep.reproducing import reproduce

DAY = {"duration": "1 d", "simulator.cards": "200", "simulator.merchants": "20"}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return two datasets of one scenario with different seeds, in small shards, and one of another world."""
    folder = tmp_path_factory.mktemp("three")
    sweep(mischance.load("payments/card_testing", DAY), 5, folder / "a", workers=0, shard=2)
    sweep(mischance.load("payments/card_testing", DAY, seed=12), 4, folder / "b", workers=0, twin=True)
    robots = mischance.load("robots/drone_gust_wall", {"duration": "4 s"})
    sweep(robots, 3, folder / "c", workers=0, twin=True)
    return {name: folder / name for name in "abc"}


@pytest.fixture(scope="module")
def whole(three: dict[str, Path]) -> Path:
    out = three["a"].parent / "whole"
    merge([three["a"], three["c"], three["b"]], out)
    return out


def rows_of(folder: Path, table: str, run: int) -> pd.DataFrame:
    return mischance.open(folder).table(table, runs=run)


def test_every_run_is_there_once_with_its_origin_and_its_rows(three: dict[str, Path], whole: Path) -> None:
    assert verify(whole) == []
    data = mischance.open(whole)
    runs = data.table("runs").set_index("run")
    assert runs.index.tolist() == list(range(12))
    wanted = [("a", k) for k in range(5)] + [("c", k) for k in range(3)] + [("b", k) for k in range(4)]
    ids = {name: read_manifest(folder)["dataset"] for name, folder in three.items()}
    assert list(zip(runs["origin"], runs["origin_run"], strict=True)) == [(ids[name], run) for name, run in wanted]
    tables = {name: set(mischance.open(folder).tables()) for name, folder in three.items()}
    assert set(data.tables()) == set().union(*tables.values())
    for new, (name, run) in enumerate(wanted):
        for table in sorted(tables[name]):
            mine, before = rows_of(whole, table, new), rows_of(three[name], table, run)
            for column in before:
                if column == "run":
                    assert (mine["run"] == new).all()
                    continue
                stored = before[column].astype(object).where(before[column].notna(), None)
                found = mine[column].astype(object).where(mine[column].notna(), None)
                if (table, column) == ("labels", "twin"):
                    stored = stored.str.replace(f"run:{run}-", f"run:{new}-")
                assert found.tolist() == stored.tolist(), f"{table}.{column} of run {new}"
            other = [column for column in mine if column not in before and column not in ("origin", "origin_run")]
            assert not mine[other].notna().any().any(), "what a world does not have is null"


def test_categories_mean_the_same_in_every_file_and_keep_the_worlds_order(three: dict[str, Path], whole: Path) -> None:
    seen = 0
    for table in mischance.open(whole).tables():
        files = sorted((whole / table).glob("*.parquet"))
        for column, fact in mischance.open(whole).columns(table).items():
            if fact.dtype != "category":
                continue
            lists = [pq.read_table(file)[column].chunk(0).dictionary.to_pylist() for file in files]
            assert all(names == lists[0] for names in lists)
            first = next(three[n] for n in "acb" if list((three[n] / table).glob("*.parquet")))
            own = pq.read_table(sorted((first / table).glob("*.parquet"))[0])
            if column in own.column_names:
                names = own[column].chunk(0).dictionary.to_pylist()
                assert lists[0][: len(names)] == names
                seen += 1
    assert seen > 3


def test_it_depends_on_what_is_merged_alone(three: dict[str, Path], whole: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    merge([three["a"], three["c"], three["b"]], again)
    assert (again / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()
    merge([three["b"], three["c"], three["a"]], tmp_path / "other")
    assert (tmp_path / "other" / "manifest.json").read_bytes() != (whole / "manifest.json").read_bytes()


def test_a_run_plays_again_from_its_origins_scenario(whole: Path, tmp_path: Path) -> None:
    for run in (4, 6, 9):
        found = replay(whole, run)
        assert (found.run, found.verdict) == (run, "identical"), found.text()
    with pytest.raises(DatasetError, match="has no run 12"):
        replay(whole, 12)
    with pytest.raises(DatasetError, match="merged from other datasets") as refused:
        reproduce(whole)
    assert "replay" in refused.value.hint


def test_a_run_is_drawn_with_its_origins_scenario(whole: Path) -> None:
    shown = run_view(whole, 6, 20)
    assert (shown.name, shown.event) == ("robots/drone_gust_wall", "crash")


@pytest.mark.slow
def test_causes_of_a_run_are_those_that_its_origin_finds(three: dict[str, Path], whole: Path) -> None:
    assert causes_in(whole, 9, 60.0) == causes_in(three["b"], 1, 60.0) != []


def test_a_changed_row_shows_in_the_replay(three: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    merge([three["a"], three["b"]], out)
    (file,) = sorted((out / "truth/cards").glob("*4.parquet"))
    table = pq.read_table(file)
    place = table.schema.get_field_index("balance")
    table = table.set_column(place, table.schema.field(place), pa.array(table["balance"].to_numpy() + 1))
    pq.write_table(table, file)
    assert any("truth/cards" in line for line in verify(out))
    found = replay(out, 4)
    assert found.verdict == "differs"
    assert "truth/cards.balance" in found.difference


def test_a_merged_dataset_is_merged_again_with_the_origins_of_its_runs(three: dict[str, Path], tmp_path: Path) -> None:
    merge([three["a"], three["c"]], tmp_path / "one")
    merge([three["b"], tmp_path / "one"], tmp_path / "two")
    assert verify(tmp_path / "two") == []
    ids = [read_manifest(three[name])["dataset"] for name in "bac"]
    assert [(one.dataset, one.first, one.kept) for one in origins_of(tmp_path / "two")] == [
        (ids[0], 0, 4), (ids[1], 4, 5), (ids[2], 9, 3),
    ]  # fmt: skip
    assert replay(tmp_path / "two", 10).identical
    twins = mischance.open(tmp_path / "two").table("labels")
    named = twins[twins["twin"] != ""]
    assert len(named)
    assert (named["twin"].str.extract(r"run:(\d+)-")[0].astype(int) == named["run"]).all()


def test_the_same_run_is_not_merged_twice(three: dict[str, Path], tmp_path: Path) -> None:
    sweep(mischance.load("payments/card_testing", DAY), 2, tmp_path / "again", workers=0)
    with pytest.raises(DatasetError, match="run 0 of payments/card_testing with seed 11 stands in"):
        merge([three["a"], tmp_path / "again"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def small(folder: Path, column: Column, values: list[object], rate: float = 10.0, by: str = "run") -> Path:
    """Write a finished dataset of two runs with one table, one signal and parts."""
    folder.mkdir()
    (folder / "scenario.yaml").write_text(f"mischance: 1\nname: test/{folder.name}\nseed: 1\n")
    signals = arrow_schema({"x": Column("float32")}).with_metadata({"rate": repr(rate), "first": "0"})
    splits = {"run": [0, 1], **({"shop": ["a", "b"]} if by == "shop" else {}), "split": ["train", "test"]}
    labels = {"run": pa.array([], pa.int64()), **{name: [] for name in LABELS}}
    tables = {
        "runs": pa.table({"run": [0, 1], "weight": [1.0, 0.5], "event": [True, False], "digest": ["x", "y"]}),
        "truth/shop": pa.table([pa.array([0, 1]), pa.array(values)], schema=arrow_schema({"v": column})),
        "sensors/s": pa.table([pa.array([0, 0, 1]), np.zeros(3, np.float32)], schema=signals),
        "splits": pa.table(splits),
        "labels": pa.table(labels, schema=arrow_schema(LABELS)),
    }
    for path, table in tables.items():
        (folder / path).mkdir(parents=True)
        pq.write_table(table, folder / path / f"{padded(0)}-{padded(1)}.parquet")
    (folder / "ledger.sqlite").touch()
    identity = hashlib.sha256((folder / "scenario.yaml").read_bytes()).hexdigest()
    write_body(
        folder,
        {"scenario": {"name": f"test/{folder.name}", "identity": identity}, "seed": 1, "versions": {}, "missing": [],
         "plan": {"kind": "monte_carlo", "runs": 2}},
        {},
    )  # fmt: skip
    (folder / "ledger.sqlite").unlink()
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"column": Column(unit="s")}, r"table 'truth/shop', column 'v': unit is 's' in .*two and 'm' in .*one"),
        ({"column": Column("int64", unit="m"), "values": [1, 2]}, "column 'v': dtype is 'int64'"),
        ({"column": Column(unit="m", role="label")}, "column 'v': role is 'label'"),
        ({"rate": 20.0}, "table 'sensors/s': .* signals of another rate"),
        ({"by": "shop"}, "divided by different things"),
    ],
)
def test_what_cannot_be_one_table_is_refused_and_nothing_is_left(tmp_path: Path, change: dict, said: str) -> None:
    plain = {"column": Column(unit="m"), "values": [1.0, 2.0]}
    one = small(tmp_path / "one", **plain)
    two = small(tmp_path / "two", **{**plain, **change})
    with pytest.raises(DatasetError, match=said):
        merge([one, two], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    if "by" in change:
        merge([one, two], tmp_path / "out", split="redraw")
        assert len(mischance.open(tmp_path / "out").table("splits")) == 4


def test_parts_are_kept_or_dealt_out_anew(tmp_path: Path) -> None:
    plain = {"column": Column(unit="m"), "values": [1.0, 2.0]}
    sources = [small(tmp_path / name, **plain) for name in ("one", "two")]
    merge(sources, tmp_path / "kept")
    assert mischance.open(tmp_path / "kept").table("splits")["split"].tolist() == ["train", "test"] * 2
    merge(sources, tmp_path / "anew", split="redraw")
    table = mischance.open(tmp_path / "anew").table("splits")
    assert table["run"].tolist() == [0, 1, 2, 3]
    assert set(table["split"].cat.categories) == {"train", "val", "test"}
    weights = mischance.open(tmp_path / "kept").table("runs")["weight"]
    assert weights.tolist() == [1.0, 0.5] * 2


def test_what_is_there_or_damaged_is_not_merged(three: dict[str, Path], tmp_path: Path) -> None:
    one = small(tmp_path / "one", Column(unit="m"), [1.0, 2.0])
    with pytest.raises(DatasetError, match="is there already"):
        merge([three["a"], three["b"]], one)
    with pytest.raises(DatasetError, match="lies in"):
        merge([three["a"], one], one / "out")
    (one / "README.md").write_text("changed")
    with pytest.raises(DatasetError, match="is damaged: README"):
        merge([three["a"], one], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_balanced_merge_keeps_the_mean_of_weight_times_value(three: dict[str, Path], tmp_path: Path) -> None:
    """Runs without the event go; the weighted share of the event is what it was over all."""
    plain = {"column": Column(unit="m"), "values": [1.0, 2.0]}
    sources = [small(tmp_path / f"s{k}", **plain) for k in range(6)]
    for k, source in enumerate(sources):  # the event in one of twelve runs
        for file in (source / "runs").glob("*.parquet"):
            table = pq.read_table(file).set_column(2, "event", pa.array([k == 2, False]))
            pq.write_table(table.set_column(1, "weight", pa.array([1.0, 1.0])), file)
        body = {key: value for key, value in json.loads((source / "manifest.json").read_text()).items()
                if key not in ("files", "dataset")}  # fmt: skip
        (source / "manifest.json").unlink()
        write_body(source, body, {})
    merge(sources, tmp_path / "out", balance=0.25)
    runs = mischance.open(tmp_path / "out").table("runs")
    assert (len(runs), int(runs["event"].sum())) == (4, 1)
    assert (runs["weight"] * runs["event"]).mean() == pytest.approx(1 / 12)
    assert runs["weight"].mean() == pytest.approx(1.0)
    rows = mischance.open(tmp_path / "out").table("shop")
    assert rows["run"].tolist() == runs["run"].tolist()
    assert read_merge(tmp_path / "out")["balance"] == 0.25
    left = next(run for run in range(12) if run not in runs["run"].tolist())
    with pytest.raises(DatasetError, match="was left out when the dataset was merged"):
        replay(tmp_path / "out", left)


KILLED = """
import os, signal, sys, time
from pathlib import Path
from mischance.dataset import merging
def stop(*_): print("writing", flush=True); time.sleep(60)
merging.rebuild_formats = stop
merging.merge([Path(sys.argv[1]), Path(sys.argv[2])], Path(sys.argv[3]))
"""


def test_a_merge_that_is_killed_leaves_no_dataset_and_is_done_anew(three: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(three["a"]), str(three["b"]), str(out)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    with pytest.raises(DatasetError, match=r"another process .* is writing"):
        merge([three["a"], three["b"]], out)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    merge([three["a"], three["b"]], out)
    assert verify(out) == []
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_merge_that_fails_leaves_nothing(
    three: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(merging, "write_merged_card", full)
    with pytest.raises(DatasetError, match="no space left"):
        merge([three["a"], three["b"]], tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_probabilities_are_pooled_over_one_population_alone(three: dict[str, Path]) -> None:
    pooled = pooled_probability([three["a"], three["b"]])
    assert not isinstance(pooled, NotPooled)
    events = [int(mischance.open(three[name]).table("runs")["event"].sum()) for name in "ab"]
    assert (pooled.runs, pooled.count) == (9, sum(events))
    assert pooled.probability == pytest.approx(sum(events) / 9)
    assert pooled.kind == "exact"
    other = pooled_probability([three["a"], three["c"]])
    assert isinstance(other, NotPooled)
    assert re.search(r"card_testing and .*gust_wall differ in", other.reason)


def test_no_time_of_day_is_in_it(whole: Path) -> None:
    assert time.strftime("%Y") not in (whole / "merge.json").read_text()
    assert str(whole.parent) not in (whole / "README.md").read_text() + (whole / "merge.json").read_text()
