"""From records to files: digests of strings and samples, and the same bytes whatever way the rows took."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mischance.dataset.digest as digest
import mischance.dataset.table_files as table_files
from mischance.api.arrow import arrow_batch, with_arrow_strings
from mischance.api.runs import Record
from mischance.api.tables import EVENTS, LABELS, Column, IntArray, Signals, Table
from mischance.dataset.digest import RunDigests
from mischance.dataset.disk import remove_tree
from mischance.dataset.parts import BUFFER, PartWriter, commit, final_tables
from mischance.dataset.shards import Shard, range_name, seal
from mischance.errors import RunError, TruthError

LOG = {"t": Column(unit="s"), "n": Column("int64"), "line": Column("utf8"), "host": Column("utf8")}
SHAKE = {"x": Column("float32", unit="m/s2"), "y": Column("float32", unit="m/s2")}
RUNS = {"weight": Column(), "event": Column("bool")}
RATE, SAMPLES, END = 50.0, 40, 1.0


class All:
    """Keeps every table and signal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keeps(self, path: str) -> bool:
        return path != "truth/left_out"

    def write(self, record: Record) -> None:
        pass

    def close(self) -> None:
        pass


def played(runs: IntArray, batch: int, cuts: Sequence[float]) -> Iterator[Record]:
    """Play runs whose rows and samples depend on the number of the run alone."""
    for first in range(0, len(runs), batch):
        yield from one_batch(runs[first : first + batch], cuts)


def one_batch(runs: IntArray, cuts: Sequence[float]) -> Iterator[Record]:
    edges = [0.0, *cuts, END]
    for low, high in pairwise(edges):
        rows, counts = [], []
        first, last = (round(edge * SAMPLES) for edge in (low, high))
        values = np.zeros((len(runs), last - first, 2), np.float32)
        for i, run in enumerate(runs.tolist()):
            rng = np.random.default_rng([run, 1])
            t = np.sort(rng.random(int(rng.integers(0, 30))))
            words = [None if n % 7 == 3 else f"run {run} line {n} é" * (n % 3) for n in range(len(t))]
            keep = (t > low) & (t <= high)
            kept = [word for word, k in zip(words, keep, strict=True) if k]
            n = np.arange(len(t))[keep]
            rows.append({"t": t[keep], "n": n, "line": kept, "host": [f"h{k % 2}" for k in n]} if kept else {})
            lasts = 25 if run % 3 == 0 else SAMPLES
            values[i] = np.random.default_rng([run, 2]).normal(size=(SAMPLES, 2)).astype(np.float32)[first:last]
            counts.append(max(min(lasts, last) - first, 0))
        shake = Signals(RATE, 5 + first, values, SHAKE, np.array(counts))
        tables = {"truth/log": Table.of(LOG, rows), "events": Table.empty(EVENTS, len(runs))}
        yield Record(runs, low, high, {**tables, "truth/left_out": tables["truth/log"]}, signals={"truth/shake": shake})
    n = len(runs)
    last_tables = {
        "runs": Table(RUNS, {"weight": np.ones(n), "event": runs % 2 == 0}, np.arange(n + 1)),
        "labels": Table.empty(LABELS, n),
    }
    yield Record(runs, END, END, last_tables, last=True)


def digests_of(records: Iterator[Record], runs: int) -> list[str]:
    collected = RunDigests(runs)
    for record in records:
        collected.add(record)
    return collected.finish()


# -- digests -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 100, 1 << 18])
def test_a_digest_depends_on_the_run_alone(monkeypatch: pytest.MonkeyPatch, block: int):
    runs = np.arange(9)
    alone = [digests_of(one_batch(runs[i : i + 1], []), 1)[0] for i in range(9)]
    assert len(set(alone)) == 9
    monkeypatch.setattr(digest, "BLOCK", block)
    for cuts in ([], [0.25], [0.1, 0.5, 0.525, 0.9]):
        assert digests_of(one_batch(runs, cuts), 9) == alone


def one(**columns: object) -> str:
    kinds = {"utf8": Column("utf8"), "text": Column("text")}
    schema = {name: kinds[name.split("_")[0]] for name in columns}
    plain = {name.split("_")[1]: column for name, column in zip(schema, columns.values(), strict=True)}
    made = Table.of({name.split("_")[1]: column for name, column in schema.items()}, [plain])
    collected = RunDigests(1)
    collected.add(Record(np.array([0]), 0, 1, {"x": made}))
    return collected.finish()[0]


def test_strings_count_by_their_letters_and_where_they_are_cut():
    assert one(utf8_a=["ab", "c"]) == one(text_a=["ab", "c"])
    different = [
        one(utf8_a=["ab", "c"]),
        one(utf8_a=["a", "bc"]),
        one(utf8_a=["abc", ""]),
        one(utf8_a=["abc", None]),
        one(utf8_a=["abc"]),
        one(utf8_b=["ab", "c"]),
        one(utf8_a=["ab", "c"], utf8_b=["", ""]),
        one(utf8_a=["a", "c"], utf8_b=["b", ""]),
        one(utf8_a=["", "c"], utf8_b=["ab", ""]),
        one(utf8_a=["", "c"], utf8_b=["ab", None]),
    ]
    assert len(set(different)) == len(different)


def test_a_digest_does_not_see_where_an_arrow_array_begins():
    whole = pa.array(["no", "yes", None, "é", "end"])
    sliced, copied = whole.slice(1, 3), pa.array(["yes", None, "é"])
    large = copied.cast(pa.large_string())
    found = set()
    for values in (sliced, copied, large):
        collected = RunDigests(1)
        made = Table({"a": Column("utf8")}, {"a": values}, np.array([0, 3]))
        collected.add(Record(np.array([0]), 0, 1, {"x": made}))
        found.update(collected.finish())
    assert len(found) == 1


def test_a_digest_sees_rate_first_sample_and_values():
    def digest_of(rate: float = 10.0, first: int = 0, value: float = 1.0, kind: type = np.float32) -> str:
        values = np.full((1, 3, 1), value, kind)
        collected = RunDigests(1)
        made = Signals.of(rate, first, values, {"x": Column(np.dtype(kind).name)})
        collected.add(Record(np.array([0]), 0, 1, {}, signals={"truth/x": made}))
        return collected.finish()[0]

    found = [digest_of(), digest_of(rate=11.0), digest_of(first=1), digest_of(value=2.0), digest_of(kind=np.float64)]
    assert len({*found, digest_of(value=-0.0), digest_of(value=0.0)}) == 7
    assert digest_of() == found[0]


def test_a_missing_sample_is_refused():
    collected = RunDigests(1)
    for first in (0, 4):
        part = Signals.of(1.0, first, np.zeros((1, 3, 1)), {"x": Column()})
        record = Record(np.array([0]), 0, 1, {}, signals={"s": part})
        if first:
            with pytest.raises(TruthError, match="sample 4 where 3"):
                collected.add(record)
        else:
            collected.add(record)


# -- files -------------------------------------------------------------------------------------------------------------


def made(
    out: Path, jobs: Sequence[tuple[int, int]], batch: int, cuts: Sequence[float], shard: Shard, apart: int = 1
) -> dict[str, bytes]:
    """Play a shard in these jobs; return its files, and check what sealing says of them.

    Only every `apart`-th run shares a batch with the one before, so that batches come out of order.
    """
    parts = []
    for first, last in jobs:
        whole = (first, last) == (shard.first, shard.last)
        numbers = range(first, last + 1)
        writer = PartWriter(out / "parts" / f".{first}", {"all": All}, shard=numbers if whole else None)
        for record in played(np.array(sorted(numbers, key=lambda run: run % apart), np.int64), batch, cuts):
            writer.write(record)
        writer.close()
        parts.append(out / "parts" / shard.name / range_name(first, last))
        commit(out / "parts" / f".{first}", parts[-1])
        assert bool(final_tables(parts[-1])) == whole
    facts = seal(out, shard, parts)
    assert seal(out, shard, parts) == facts  # stopped and called again
    remove_tree(out / "parts")
    found = {str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}
    for path, data in found.items():
        assert (facts[path].sha256, facts[path].bytes) == (hashlib.sha256(data).hexdigest(), len(data))
        assert facts[path].rows == pq.read_metadata(out / path).num_rows
    assert facts.keys() == found.keys()
    return found


def test_a_whole_shard_written_straight_has_the_bytes_of_one_that_was_put_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(table_files, "ROW_GROUP", 16)
    monkeypatch.setattr(table_files, "SIGNAL_GROUP", 64)
    shard = Shard(10, 21)
    ways = {
        "parts": ([(10, 14), (15, 15), (16, 21)], 4, [0.5]),
        "one by one": ([(run, run) for run in range(10, 22)], 1, []),
        "straight": ([(10, 21)], 12, []),
        "straight, cut": ([(10, 21)], 5, [0.2, 0.25, 0.7]),
        "straight, alone": ([(10, 21)], 1, [0.2, 0.7]),
    }
    found = {name: made(tmp_path / name, *way, shard) for name, way in ways.items()}
    for apart, batch in ((2, 4), (3, 3), (4, 1), (12, 5)):
        found[f"{apart} apart by {batch}"] = made(tmp_path / f"{apart}", [(10, 21)], batch, [0.2, 0.7], shard, apart)
    wanted = found["parts"]
    assert set(wanted) == {
        f"{path}/{shard.name}.parquet" for path in ("events", "labels", "runs", "truth/log", "truth/shake")
    }
    assert all(files == wanted for files in found.values())
    # rows that wait on the disk, and records that are not joined, change nothing
    monkeypatch.setattr(table_files, "IN_MEMORY", 1)
    monkeypatch.setattr("mischance.dataset.parts.BUFFER", 1)
    assert made(tmp_path / "spilled", [(10, 21)], 12, [0.2, 0.7], shard) == wanted
    assert made(tmp_path / "spilled apart", [(10, 21)], 4, [0.2, 0.7], shard, 3) == wanted
    assert BUFFER > 1


def test_files_hold_the_rows_and_samples_that_were_played(tmp_path: Path):
    shard = Shard(0, 5)
    made(tmp_path, [(0, 5)], 3, [0.5], shard)
    log = pq.read_table(tmp_path / "truth/log" / f"{shard.name}.parquet", partitioning=None)
    shake = pq.read_table(tmp_path / "truth/shake" / f"{shard.name}.parquet", partitioning=None)
    records = [next(iter(one_batch(np.array([run]), []))) for run in range(6)]
    lines = [line for record in records for line in record.tables["truth/log"].columns["line"].to_pylist()]
    assert log["line"].to_pylist() == lines
    assert shake.column_names == ["run", "x", "y"]
    samples = [record.signals["truth/shake"].run(0) for record in records]
    assert shake["run"].to_pylist() == [run for run, part in enumerate(samples) for _ in part]
    assert np.array_equal(np.stack([shake["x"], shake["y"]], axis=1), np.concatenate(samples))
    assert shake.schema.metadata[b"rate"] == b"50.0"
    assert shake.schema.metadata[b"first"] == b"5"


def test_pages_have_checksums(tmp_path: Path):
    shard = Shard(0, 5)
    made(tmp_path, [(0, 5)], 6, [], shard)
    file = tmp_path / "truth/shake" / f"{shard.name}.parquet"
    column = pq.read_metadata(file).row_group(0).column(1)
    data = bytearray(file.read_bytes())
    data[column.data_page_offset + column.total_compressed_size - 5] ^= 1
    file.write_bytes(data)
    with pytest.raises(OSError, match=r"CRC|checksum"):
        pq.read_table(file, partitioning=None, page_checksum_verification=True)


def test_strings_are_encoded_once_and_mean_the_same():
    table = Table.of({"a": Column("text", unit="", about="words")}, [{"a": ["x", None]}])
    encoded = with_arrow_strings(table)
    assert encoded.columns["a"].to_pylist() == ["x", None]
    assert with_arrow_strings(encoded) is encoded
    with pytest.raises(TruthError, match="'a'"):
        with_arrow_strings(Table.of({"a": Column("text")}, [{"a": ["x", 1]}]))


def test_a_part_says_what_it_holds(tmp_path: Path):
    writer = PartWriter(tmp_path / "part", {}, shard=range(2))
    for record in played(np.arange(2), 2, []):
        writer.write(record)
    writer.close()
    said = json.loads((tmp_path / "part/_part.json").read_text())
    assert [row[0] for row in said["runs"]] == [0, 1]
    assert set(said["files"]) == {"runs", "events", "labels"}  # nobody asked for truth


@pytest.mark.parametrize("alone", [True, False])
def test_a_table_that_changes_its_columns_is_refused(tmp_path: Path, alone: bool):
    tables = table_files.ShardTables(tmp_path, range(1 if alone else 2))
    runs = np.arange(1 if alone else 2)
    batches = [
        arrow_batch(Table.of({"a": Column(unit=unit)}, [{"a": [1.0]}] * len(runs)), runs) for unit in ("m", "m", "km")
    ]
    for batch in batches[:2]:
        tables.append("x", batch, runs)
    with pytest.raises(TruthError, match="changed its columns"):
        tables.append("x", batches[2], runs)
    tables.end_batch(runs)
    assert tables.close()["x"].rows == 2 * len(runs)


def test_a_whole_shard_of_which_a_run_is_missing_is_refused(tmp_path: Path):
    tables = table_files.ShardTables(tmp_path, range(3))
    for run in (2, 0):
        tables.append("x", arrow_batch(Table.of({"a": Column()}, [{"a": [1.0]}]), np.array([run])), np.array([run]))
        tables.end_batch(np.array([run]))
    with pytest.raises(RunError, match="run 1 "):
        tables.close()
    tables.abandon()
