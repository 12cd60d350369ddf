"""Reading in batches, in seconds, by the calendar: the same rows whichever way they are read, in flat memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mischance.api.arrow import arrow_schema
from mischance.api.names import padded
from mischance.api.tables import Column
from mischance.errors import DatasetError
from mischance.opening.files import _groups, overlaps
from mischance.opening.reading import Dataset, open  # noqa: A004

BEGINS = "2026-03-29T01:59:59.5+01:00"
SALES = {
    "t": Column("int64", unit="us", role="time"),
    "sale_id": Column("int64", role="key"),
    "wait": Column(unit="ms"),
    "amount": Column("int64", unit="ct", role="value", about="price"),
    "desk": Column("category", names=("a", "b"), role="entity"),
}
SALE_LABELS = {
    "t": Column("int64", unit="us", role="time"),
    "sale_id": Column("int64", role="key"),
    "late": Column("bool", role="label"),
}
ROWS = [4, 0, 3, 7, 1]  # of each run; three runs in the first file, two in the second


def sales() -> dict[str, np.ndarray]:
    run = np.repeat(np.arange(len(ROWS)), ROWS)
    number = np.concatenate([np.arange(n) for n in ROWS])
    return {
        "run": run, "t": 1_500_000 * number + run, "sale_id": number, "wait": number * 250.0,
        "amount": 100 * run + number, "desk": number % 2,
    }  # fmt: skip


def write(folder: Path, schema: pa.Schema, columns: dict[str, Any], group: int = 3) -> None:
    """Write runs 0 to 2 and 3 to 4 into a file each, in small row groups."""
    folder.mkdir(parents=True)
    for first, last in ((0, 2), (3, 4)):
        mine = (columns["run"] >= first) & (columns["run"] <= last)
        arrays = [
            pa.DictionaryArray.from_arrays(pa.array(columns[field.name][mine], pa.int32()), pa.array(["a", "b"]))
            if pa.types.is_dictionary(field.type)
            else pa.array(columns[field.name][mine], field.type)
            for field in schema
        ]
        name = f"{padded(first)}-{padded(last)}.parquet"
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), folder / name, row_group_size=group)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("batches")
    (out / "scenario.yaml").write_text(f"mischance: 1\nname: test/sales\nbegins: {BEGINS}\n")
    columns = sales()
    write(out / "truth/sales", arrow_schema(SALES), columns)
    odd = columns["sale_id"] % 2 == 1
    labels = {name: values[odd] for name, values in columns.items()} | {"late": np.ones(int(odd.sum()), np.bool_)}
    write(out / "labels/sales", arrow_schema(SALE_LABELS), labels)
    sampled = arrow_schema({"x": Column("float32", unit="m/s2", role="value")})
    sampled = sampled.with_metadata({"rate": "8.0", "first": "2"})
    write(out / "sensors/shaker", sampled, {"run": columns["run"], "x": columns["amount"] / 8})
    return open(out)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("runs", [None, 3, [0, 3], [1], []])
@pytest.mark.parametrize("columns", [None, ["amount", "t"], "desk"])
def test_batches_are_the_table_in_pieces(data: Dataset, rows: int, runs: Any, columns: Any) -> None:
    whole = data.table("sales", runs=runs, columns=columns)
    pieces = list(data.batches("sales", columns, runs, rows))
    assert all(0 < len(piece) <= rows for piece in pieces)
    assert list(whole) == ([columns] if isinstance(columns, str) else columns or ["run", *SALES])
    if pieces:
        joined = pd.concat([piece.astype({"desk": str}) if "desk" in piece else piece for piece in pieces])
        expected = whole.astype({"desk": str}) if "desk" in whole else whole
        assert joined.reset_index(drop=True).equals(expected)
        assert pieces[0].attrs["units"] == whole.attrs["units"]
    assert (
        sum(map(len, pieces))
        == len(whole)
        == sum(ROWS[run] for run in np.atleast_1d(range(5) if runs is None else runs))
    )


def test_arrow_batches_are_as_stored(data: Dataset) -> None:
    batches = list(data.batches("sales", rows=4, arrow=True))
    assert all(isinstance(batch, pa.RecordBatch) for batch in batches)
    assert pa.Table.from_batches(batches)["t"].to_pylist() == sales()["t"].tolist()
    assert data.arrow("sales", runs=3)["t"].to_pylist() == sales()["t"][sales()["run"] == 3].tolist()


def test_every_time_is_in_seconds_where_a_person_sees_it(data: Dataset) -> None:
    frame = data.table("sales")
    assert frame["t"].tolist() == [t / 1e6 for t in sales()["t"].tolist()]
    assert frame["wait"].tolist() == [wait / 1e3 for wait in sales()["wait"].tolist()]
    assert frame.attrs["units"] == {"t": "s", "wait": "s", "amount": "ct"}
    labelled = data.table("sales", labels=True)
    assert labelled["t"].tolist() == frame["t"].tolist()
    assert labelled["late"].tolist() == (frame["sale_id"] % 2 == 1).tolist()
    assert labelled.attrs["units"] == frame.attrs["units"]
    columns = data.columns("sales")
    assert (columns["t"].unit, columns["t"].role, columns["t"].dtype) == ("s", "time", "float64")
    assert (columns["amount"].about, columns["amount"].role) == ("price", "value")
    assert [name for name, column in columns.items() if column.role == "key"] == ["run", "sale_id"]
    assert columns["desk"].dtype == "category"


def test_the_calendar_counts_from_begins_and_knows_its_offset(data: Dataset) -> None:
    frame = data.table("sales", calendar=True)
    assert list(frame)[:3] == ["run", "t", "time"]
    start = pd.Timestamp(BEGINS)
    expected = [start + pd.Timedelta(int(t), "us") for t in sales()["t"].tolist()]
    assert frame["time"].tolist() == expected
    assert frame["time"].iloc[0].utcoffset() == pd.Timedelta(hours=1)
    pieces = data.batches("sales", ["t"], rows=4, calendar=True)
    assert pd.concat(list(pieces))["time"].tolist() == expected
    sampled = data.table("shaker", calendar=True)
    assert sampled["time"].tolist() == [start + pd.Timedelta(t, "s") for t in sampled["t"].tolist()]


def test_samples_get_their_times_from_the_rate(data: Dataset) -> None:
    expected = np.concatenate([(2 + np.arange(n)) / 8.0 for n in ROWS])
    frame = data.table("shaker")
    assert list(frame) == ["run", "t", "x"]
    assert frame["t"].tolist() == expected.tolist()
    for rows in (1, 2, 5):
        pieces = list(data.batches("shaker", ["t"], rows=rows))
        assert np.concatenate([piece["t"] for piece in pieces]).tolist() == expected.tolist()
    run = sales()["run"]
    assert data.table("shaker", runs=[2, 4])["t"].tolist() == expected[np.isin(run, [2, 4])].tolist()
    assert list(data.table("shaker", columns="x")) == ["x"]
    assert data.columns("shaker")["t"].role == "time"
    assert list(data.table("shaker", runs=[])) == ["run", "t", "x"]


def test_what_cannot_be_read_is_said_before_the_first_batch(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no column 'price'"):
        data.batches("sales", ["price"])
    with pytest.raises(DatasetError, match="no table 'sails'"):
        data.batches("sails")
    with pytest.raises(DatasetError, match="at least one row"):
        data.batches("sales", rows=0)
    with pytest.raises(DatasetError, match="no column of times"):
        data.table("sales", columns="amount", calendar=True)
    (tmp_path / "scenario.yaml").write_text("mischance: 1\nname: test/sales\n")
    write(tmp_path / "truth/sales", arrow_schema(SALES), sales())
    with pytest.raises(DatasetError, match="does not say when") as refused:
        open(tmp_path).table("sales", calendar=True)
    assert "begins:" in refused.value.hint
    assert open(tmp_path).begins is None


SCRIPT = """
import resource, sys
import mischance.opening.reading as reading
rows = 0
for batch in reading.open(sys.argv[1]).batches("long"):
    rows += len(batch)
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def long_table(out: Path, rows: int, shards: int) -> None:
    """Write a table whose columns take 24 bytes a row in memory."""
    folder = out / "truth/long"
    folder.mkdir(parents=True)
    (out / "scenario.yaml").write_text("mischance: 1\nname: test/long\n")
    schema = arrow_schema({"t": Column(unit="s", role="time"), "value": Column()})
    each = rows // shards
    for shard in range(shards):
        values = np.sin(np.arange(each) * 0.01)
        table = pa.table([np.full(each, shard), np.arange(each) / 100, values], schema=schema)
        pq.write_table(table, folder / f"{padded(shard)}-{padded(shard)}.parquet", row_group_size=131_072)


def peak_of(out: Path) -> tuple[int, int]:
    """Return the rows that a process of its own read in batches, and its peak memory [bytes]."""
    told = subprocess.run([sys.executable, "-c", SCRIPT, str(out)], capture_output=True, text=True, check=True)
    rows, kilobytes = map(int, told.stdout.split())
    return rows, kilobytes * 1024


@pytest.mark.parametrize("rows", [4_000_000, pytest.param(10_000_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_table(tmp_path: Path, rows: int) -> None:
    long_table(tmp_path / "short", 400_000, 1)
    long_table(tmp_path / "long", rows, 2)
    few, base = peak_of(tmp_path / "short")
    many, peak = peak_of(tmp_path / "long")
    assert (few, many) == (400_000, rows)
    # Whole, it would take 24 bytes a row more; a fifth of that is far above what an allocator's moods come to.
    assert peak - base < 24 * (rows - few) / 5


def test_only_row_groups_that_may_hold_a_run_are_read(data: Dataset) -> None:
    """Rows 0000 222 of the first file stand in groups 000, 022 and 2; those of runs 3 and 4 in 333, 333 and 34."""
    one, two = (pq.ParquetFile(file).metadata for file in sorted((data.path / "truth/sales").glob("*.parquet")))
    for runs, groups in (([0], [0, 1]), ([2], [1, 2]), ([1], [1]), ([0, 2], [0, 1, 2]), ([3], []), ([], [])):
        assert _groups(one, np.array(runs, np.int64)) == groups
    assert [_groups(two, np.array(runs)) for runs in ([3], [4], [5], [2])] == [[0, 1, 2], [2], [], []]
    assert _groups(one, None) == [0, 1, 2]


def test_a_file_without_statistics_or_runs_is_read_whole(tmp_path: Path) -> None:
    for name, table, more in (
        ("plain", pa.table({"run": [0, 0, 1], "x": [1, 2, 3]}), {"write_statistics": False}),
        ("other", pa.table({"x": [1, 2, 3]}), {}),
    ):
        pq.write_table(table, tmp_path / name, row_group_size=1, **more)
        assert _groups(pq.read_metadata(tmp_path / name), np.array([1])) == [0, 1, 2]
    pq.write_table(pa.table({"run": pa.array([], pa.int64())}), tmp_path / "empty")
    assert _groups(pq.read_metadata(tmp_path / "empty"), np.array([1])) in ([], [0])


def test_files_are_chosen_by_the_runs_in_their_names() -> None:
    file = Path("000000004-000000007.parquet")
    assert [overlaps(file, np.array([run])) for run in (3, 4, 7, 8)] == [False, True, True, False]
    assert overlaps(file, np.array([0, 5, 99]))
    assert not overlaps(file, np.array([0, 99]))


def test_a_dataset_says_how_it_was_opened(data: Dataset) -> None:
    assert repr(data) == f"mischance.open({str(data.path)!r})"
