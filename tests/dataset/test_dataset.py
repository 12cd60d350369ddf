"""The folder of a dataset: rows as they were, one claim at a time, and no change that goes unseen."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mischance.dataset.manifest as manifest_module
import mischance.dataset.table_files as table_files
from mischance.api.arrow import TableStreams, arrow_batch, parquet_options, read_stream, units
from mischance.api.names import MAX_RUNS, padded
from mischance.api.runs import Record
from mischance.api.scene import Frames
from mischance.api.tables import Column, Table
from mischance.dataset.digest import RunDigests
from mischance.dataset.disk import Lock, file_hash, move_tree, write_whole
from mischance.dataset.draft import Draft, recipe_of, verify
from mischance.dataset.ledger import Ledger
from mischance.dataset.manifest import files, read_manifest
from mischance.dataset.parts import PartWriter, join_records, temporary
from mischance.dataset.shards import Shard, shard_size
from mischance.dataset.table_files import write_parquet
from mischance.errors import DatasetError, RunError, TruthError
from mischance.sweep.jobs import sweep
from tests.dataset.small_world import HONEST, FakeScenario, records

RUNS, SHARD = 20, 8


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dataset") / "data"
    sweep(FakeScenario(), RUNS, out, workers=0, shard=SHARD, work=HONEST)  # type: ignore[arg-type]
    return out


NAMES = ("red", "", "é\n\"'")
VALUES = {
    "number": (Column(unit="m/s", about="speed"), st.floats(allow_nan=True)),
    "maybe": (Column(null=True), st.floats(allow_nan=True)),
    "small": (Column("float32"), st.floats(width=32)),
    "count": (Column("int64", encoding="delta"), st.integers(-(2**63), 2**63 - 1)),
    "tiny": (Column("uint8"), st.integers(0, 255)),
    "yes": (Column("bool"), st.booleans()),
    "name": (Column("category", names=NAMES), st.integers(-1, len(NAMES) - 1)),
    "text": (Column("text"), st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"])))),
}
SCHEMA = {name: column for name, (column, _) in VALUES.items()}
ROW = st.tuples(*(values for _, values in VALUES.values()))
RUN_ROWS = st.lists(st.lists(ROW, max_size=5), min_size=1, max_size=5)


def table_of(runs: list[list[tuple[object, ...]]]) -> Table:
    columns = []
    for rows in runs:
        one = {}
        for i, (name, column) in enumerate(SCHEMA.items()):
            one[name] = np.empty(len(rows), column.storage)
            one[name][:] = [row[i] for row in rows]
        columns.append(one)
    return Table.of(SCHEMA, columns)


@given(RUN_ROWS)
@settings(max_examples=60, deadline=None)
def test_every_value_survives_the_way_to_arrow(runs: list[list[tuple[object, ...]]]) -> None:
    table = table_of(runs)
    numbers = np.arange(len(runs), dtype=np.int64) * 3
    batch = arrow_batch(table, numbers)
    assert batch.column("run").to_pylist() == np.repeat(numbers, np.diff(table.offsets)).tolist()
    for i, (name, column) in enumerate(SCHEMA.items()):
        wanted = [row[i] for rows in runs for row in rows]
        found = batch.column(name).to_pylist()
        if column.dtype == "category":
            wanted = [None if code == -1 else NAMES[code] for code in wanted]  # type: ignore[index, call-overload]
        if column.null:
            wanted = [None if value != value else value for value in wanted]
        assert list(map(repr, found)) == list(map(repr, wanted))  # -0.0 is not 0.0, NaN is NaN
    assert units(batch.schema)["number"] == ("m/s", "speed")


@given(RUN_ROWS, st.data())
@settings(max_examples=40, deadline=None)
def test_a_digest_depends_on_the_rows_but_not_on_cuts_in_time(
    runs: list[list[tuple[object, ...]]], data: st.DataObject
) -> None:
    numbers = np.arange(len(runs), dtype=np.int64)
    cuts = [data.draw(st.integers(0, len(rows))) for rows in runs]
    halves = [
        [rows[:cut] for rows, cut in zip(runs, cuts, strict=True)],
        [rows[cut:] for rows, cut in zip(runs, cuts, strict=True)],
    ]
    whole, cut = RunDigests(len(runs)), RunDigests(len(runs))
    whole.add(Record(numbers, 0, 1, {"truth/x": table_of(runs)}))
    for half in halves:
        cut.add(Record(numbers, 0, 1, {"truth/x": table_of(half)}))
    digests = whole.finish()
    assert cut.finish() == digests
    for i, rows in enumerate(runs):
        alone = RunDigests(1)
        alone.add(Record(numbers[:1], 0, 1, {"truth/x": table_of([rows])}))
        assert alone.finish() == [digests[i]]
        if rows:
            changed = RunDigests(1)
            count = rows[0][3]
            first = (*rows[0][:3], count ^ 1, *rows[0][4:])  # type: ignore[operator]
            changed.add(Record(numbers[:1], 0, 1, {"truth/x": table_of([[first, *rows[1:]]])}))
            assert changed.finish() != [digests[i]]


def test_a_digest_sees_pixels_ticks_and_names() -> None:
    def digest(pixel: int = 1, tick: int = 4, name: str = "red") -> str:
        frames = Frames(np.array([0.5]), {"rgb": np.full((1, 2, 2, 3), pixel, np.uint8)}, np.array([tick]))
        table = Table.of({"c": Column("category", names=(name,))}, [{"c": [0]}])
        digests = RunDigests(1)
        digests.add(Record(np.array([0]), 0, 1, {"x": table}, {"sensors/front/frames": (frames,)}))
        return digests.finish()[0]

    assert digest() == digest()
    assert len({digest(), digest(pixel=2), digest(tick=5), digest(name="blue")}) == 4


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (Column("text"), np.array(["fine", 3], object)),
        (Column("text"), np.array(["\ud800"], object)),
        (Column("category", names=("a",)), np.array([1], np.int32)),
        (Column("complex128"), np.array([1j])),
    ],
)
def test_a_value_that_does_not_fit_its_column_is_named(column: Column, values: np.ndarray) -> None:
    table = Table({"odd": column}, {"odd": values}, np.array([0, len(values)], np.int64))
    with pytest.raises(TruthError, match=r"odd|complex"):
        arrow_batch(table, np.array([0]))


def test_parquet_is_encoded_as_the_columns_wish(data: Path) -> None:
    group = pq.ParquetFile(data / "truth/payments/000000000-000000007.parquet").metadata.row_group(0)
    column = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    assert {c.compression for c in column.values()} == {"ZSTD"}
    dictionary = {name for name, c in column.items() if c.has_dictionary_page}
    assert dictionary == {"kind"}
    assert "DELTA_BINARY_PACKED" in column["cents"].encodings
    assert "DELTA_BINARY_PACKED" in column["run"].encodings
    assert "PLAIN" in column["event_id"].encodings


def test_pandas_pyarrow_and_duckdb_read_the_same(data: Path) -> None:
    for name in ("truth/payments", "labels", "runs", "events", "splits"):
        arrow = pa.concat_tables([pq.read_table(f, partitioning=None) for f in sorted((data / name).glob("*.parquet"))])
        rows = arrow.to_pylist()
        cursor = duckdb.sql(f"SELECT * FROM read_parquet('{data / name}/*.parquet') ORDER BY filename, file_row_number")
        duck = [dict(zip(arrow.schema.names, row, strict=False)) for row in cursor.fetchall()]
        frame = pd.concat([pd.read_parquet(f) for f in sorted((data / name).glob("*.parquet"))])
        panda = [
            {key: None if pd.isna(value) else value for key, value in row.items()} for row in frame.to_dict("records")
        ]
        assert rows
        assert duck == rows
        assert panda == rows


def test_rows_are_those_that_the_world_made_in_order_of_run_and_time(data: Path) -> None:
    made = list(records(np.arange(RUNS), 7, batch=RUNS))
    table = join_records(made).tables["truth/payments"]
    stored = pa.concat_tables([pq.read_table(f) for f in sorted((data / "truth/payments").glob("*.parquet"))])
    assert stored["run"].to_pylist() == table.run_index().tolist()
    assert stored["event_id"].to_pylist() == table.columns["event_id"].tolist()
    assert stored["note"].to_pylist() == table.columns["note"].tolist()
    digest = pa.concat_tables([pq.read_table(f) for f in sorted((data / "runs").glob("*.parquet"))])["digest"]
    assert pc.count_distinct(digest).as_py() == RUNS


def test_images_come_back_as_they_were(data: Path) -> None:
    import cv2

    frames = join_records(list(records(np.array([3]), 7, batch=1))).frames
    for k in range(3):
        rgb = cv2.imread(str(data / f"sensors/front/frames/000000003/{k:09d}.png"), cv2.IMREAD_UNCHANGED)
        assert (rgb[..., ::-1] == frames["sensors/front/frames"][0].passes["rgb"][k]).all()
        depth = cv2.imread(str(data / f"sensors/front/depth/000000003/{k:09d}.png"), cv2.IMREAD_UNCHANGED)
        true = frames["sensors/front/depth"][0].passes["depth"][k]
        assert depth.dtype == np.uint16
        assert depth[0, 0] == 65535
        assert np.abs(depth[1:] * 0.005 - true[1:]).max() <= 0.0025 + 1e-9
        with np.load(data / f"sensors/front/flow/000000003/{k:09d}.npz") as flow:
            assert (flow["flow"] == frames["sensors/front/flow"][0].passes["flow"][k]).all()


@given(st.lists(st.lists(st.integers(0, 5), max_size=8), max_size=6), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_parquet_has_the_same_bytes_however_rows_arrived(pieces: list[list[int]], group: int) -> None:
    import tempfile

    def write(folder: Path, batches: list[list[tuple[int, int]]]) -> bytes:
        streams = TableStreams(folder)
        for batch in batches:
            runs = sorted({run for run, _ in batch}) or [0]
            rows = [{"v": [v for run, v in batch if run == r]} for r in runs]
            streams.append("x", arrow_batch(Table.of({"v": Column("int64")}, rows), np.array(runs)))
        streams.close()
        written = write_parquet(folder / "x.parquet", "x", [folder])
        whole = (folder / "x.parquet").read_bytes()
        assert written.rows == sum(map(len, batches))
        assert (written.bytes, written.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
        return (folder / "x.parquet").read_bytes()

    numbered = [[(run, 10 * i + k) for k, run in enumerate(piece)] for i, piece in enumerate(pieces)]
    rows = [row for piece in numbered for row in sorted(piece, key=lambda row: row[0])]
    before = table_files.ROW_GROUP
    table_files.ROW_GROUP = group
    try:
        with tempfile.TemporaryDirectory() as a, tempfile.TemporaryDirectory() as b:
            ordered = sorted(rows, key=lambda row: row[0])
            assert write(Path(a), numbered or [[]]) == write(Path(b), [ordered])
            assert pq.read_table(Path(a) / "x.parquet")["v"].to_pylist() == [v for _, v in ordered]
            groups = pq.ParquetFile(Path(a) / "x.parquet").metadata
            assert all(groups.row_group(i).num_rows == group for i in range(groups.num_row_groups - 1))
    finally:
        table_files.ROW_GROUP = before


def test_names_that_differ_between_runs_are_numbered_anew(tmp_path: Path) -> None:
    folders = []
    for i, names in enumerate([("a", "b"), ("c", "a")]):
        folders.append(tmp_path / str(i))
        streams = TableStreams(folders[-1])
        table = Table.of({"c": Column("category", names=names)}, [{"c": [0, 1, -1]}])
        streams.append("x", arrow_batch(table, np.array([i])))
        streams.close()
    write_parquet(tmp_path / "x.parquet", "x", folders)
    assert pq.read_table(tmp_path / "x.parquet")["c"].to_pylist() == ["a", "b", None, "c", "a", None]


def test_tables_that_change_their_columns_are_refused(tmp_path: Path) -> None:
    streams = TableStreams(tmp_path)
    streams.append("x", arrow_batch(Table.of({"a": Column()}, [{}]), np.array([0])))
    with pytest.raises(TruthError, match="changed its columns"):
        streams.append("x", arrow_batch(Table.of({"b": Column()}, [{}]), np.array([0])))
    streams.close()
    assert read_stream(tmp_path, "x")[1] == []
    assert parquet_options(read_stream(tmp_path, "x")[0])["use_dictionary"] is False


def test_one_flipped_bit_in_any_file_is_found_and_the_file_named(data: Path) -> None:
    assert verify(data) == []
    rng = random.Random(3)
    one_of_a_kind = {path.suffix: [path] for path in files(data)}
    for paths in [*one_of_a_kind.values(), sorted(files(data)), [Path("manifest.json")]]:
        wholes = {data / path: (data / path).read_bytes() for path in paths}
        for file, whole in wholes.items():
            place = rng.randrange(len(whole))
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
        assert sorted(line.split(":")[0] for line in verify(data)) == sorted(map(str, paths))
        for file, whole in wholes.items():
            file.write_bytes(whole)
    assert verify(data) == []


def test_missing_extra_and_cut_files_are_named(data: Path) -> None:
    moved, extra = data / "lines.txt", data / "truth" / "extra.txt"
    text = moved.read_bytes()
    moved.unlink()
    extra.write_text("?")
    assert verify(data) == ["lines.txt: missing", "truth/extra.txt: not in the manifest"]
    extra.unlink()
    moved.write_bytes(text[:-1])
    assert verify(data) == [f"lines.txt: has {len(text) - 1} bytes where {len(text)} were written"]
    moved.write_bytes(text)
    assert verify(data) == []


def test_the_manifest_says_what_the_dataset_is(data: Path) -> None:
    manifest = read_manifest(data)
    assert manifest["plan"] == {"kind": "monte_carlo", "runs": RUNS}
    assert manifest["scenario"] == {"name": "test/small", "identity": FakeScenario().identity()}
    assert sum(entry["rows"] for path, entry in manifest["files"].items() if path.startswith("runs/")) == RUNS
    assert not {"ledger.sqlite", "manifest.json", "report.html"} & set(manifest["files"])
    card = (data / "README.md").read_text()
    assert "| cents | int64 | ct | amount |" in card


def test_files_are_hashed_as_they_are_made_and_not_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "data"
    hashed = []

    def remember(file: Path) -> str:
        hashed.append(str(file.relative_to(out)))
        return file_hash(file)

    monkeypatch.setattr(manifest_module, "file_hash", remember)
    sweep(FakeScenario(), RUNS, out, workers=0, shard=SHARD, work=HONEST)  # type: ignore[arg-type]
    assert sorted(hashed) == ["README.md", "lines.txt", "scenario.yaml"]
    with Ledger(out, read_only=True) as ledger:
        known = ledger.files()
    listed = read_manifest(out)["files"]
    assert set(listed) - set(known) == set(hashed)
    for path, facts in known.items():
        assert (facts.sha256, facts.bytes, facts.rows) == (
            listed[path]["sha256"], listed[path]["bytes"], listed[path].get("rows"),
        )  # fmt: skip
        assert facts.sha256 == file_hash(out / path)
    images = RUNS + 2 * len(range(3, RUNS, 4))  # the small world takes three of every fourth run, one of the others
    assert len([path for path in known if path.endswith(".png")]) == 2 * images


@pytest.mark.parametrize("scenario", [FakeScenario(seed=8), FakeScenario(comment="another")])
def test_another_scenario_is_refused_with_both_hashes_and_nothing_is_touched(
    data: Path, scenario: FakeScenario
) -> None:
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in data.rglob("*") if file.is_file()}
    with pytest.raises(DatasetError, match="already holds another dataset") as refused:
        sweep(scenario, RUNS, data, workers=0, shard=SHARD, work=HONEST)  # type: ignore[arg-type]
    assert scenario.identity()[:16] in refused.value.message
    assert FakeScenario().identity()[:16] in refused.value.message
    assert "--out" in refused.value.hint
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in data.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("more", [{"shard": 4}, {"twin": True}, {"runs": RUNS + 1, "shard": 4}])
def test_another_plan_is_refused(data: Path, more: dict[str, int]) -> None:
    arguments: dict[str, object] = {"runs": RUNS, "shard": SHARD, "workers": 0, "work": HONEST, **more}
    with pytest.raises(DatasetError, match="already holds another dataset"):
        sweep(FakeScenario(), out=data, **arguments)  # type: ignore[arg-type]


def test_a_foreign_folder_a_file_and_an_impossible_place_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("precious")
    file = tmp_path / "file"
    file.write_text("precious")
    for out, words in [
        (foreign, "not empty and is no dataset: it holds thesis.txt"),
        (file, "is a file"),
        (file / "in", "cannot write|is a file"),
    ]:
        with pytest.raises(DatasetError, match=words):
            sweep(FakeScenario(), 2, out, workers=0, work=HONEST)  # type: ignore[arg-type]
    assert [entry.name for entry in foreign.iterdir()] == ["thesis.txt"]
    assert file.read_text() == "precious"
    with pytest.raises(DatasetError, match="at least one run"):
        sweep(FakeScenario(), 0, tmp_path / "none", workers=0, work=HONEST)  # type: ignore[arg-type]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_files_is_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DatasetError, match="cannot write"):
        sweep(FakeScenario(), 2, tmp_path / "data", workers=0, work=HONEST)  # type: ignore[arg-type]
    tmp_path.chmod(0o700)


def test_one_process_at_a_time_may_write(tmp_path: Path) -> None:
    out = tmp_path / "data"
    recipe = recipe_of(FakeScenario(), 4)  # type: ignore[arg-type]
    with Draft(out, recipe, FakeScenario()):  # type: ignore[arg-type]
        script = "from pathlib import Path; from mischance.dataset.disk import Lock; "
        script += f"Lock(Path({str(out / '.lock')!r})).take()"
        told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert f"another process (pid {os.getpid()}) is writing" in told.stderr
        with pytest.raises(DatasetError, match="another process"):
            Lock(out / ".lock").take()
    assert not (out / ".lock").exists()
    Lock(out / ".lock").take()


def test_a_full_disk_names_path_and_bytes(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        with pytest.raises(
            DatasetError, match=r"small/.*: at least [\d,]+ bytes needed, [\d,]+ free|cannot use .*disk is full"
        ):
            sweep(FakeScenario(), 120, small / "data", workers=0, work=HONEST)  # type: ignore[arg-type]
        assert not list((small / "data").glob("parts/.tmp-*"))
        subprocess.run(["mount", "-o", "remount,size=50m", str(small)], check=True)
        assert sweep(FakeScenario(), 120, small / "data", workers=0, work=HONEST).ok  # type: ignore[arg-type]
        assert verify(small / "data") == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_world_that_stops_early_is_refused(tmp_path: Path) -> None:
    writer = PartWriter(tmp_path / "part", {})
    writer.write(next(records(np.array([0]), 7, 1)))
    with pytest.raises(RunError, match="without a last record"):
        writer.close()
    writer.abandon()
    assert not (tmp_path / "part").exists()


def test_moving_may_be_stopped_and_done_again(tmp_path: Path) -> None:
    for name in ("a/b/1/x", "a/b/2/y", "keep/z"):
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_text(name)
    (tmp_path / "to/a/b/1").mkdir(parents=True)
    (tmp_path / "to/a/b/1/w").write_text("w")
    move_tree(tmp_path / "from", tmp_path / "to", leave=frozenset(("keep",)))
    move_tree(tmp_path / "from", tmp_path / "to", leave=frozenset(("keep",)))
    found = sorted(str(file.relative_to(tmp_path / "to")) for file in (tmp_path / "to").rglob("*") if file.is_file())
    assert found == ["a/b/1/w", "a/b/1/x", "a/b/2/y"]
    assert (tmp_path / "from/keep/z").exists()
    write_whole(tmp_path / "to/w.json", json.dumps({}).encode())
    assert not list((tmp_path / "to").glob(".*"))


def test_shards_are_a_fixed_function_of_the_number_of_runs() -> None:
    assert [shard_size(runs) for runs in (1, 40, 4096, 40_000, 10**6)] == [256, 256, 256, 1024, 4096]
    assert Shard.all(20, 8) == [Shard(0, 7), Shard(8, 15), Shard(16, 19)]


def test_names_sort_as_their_numbers_do_up_to_the_most_runs_that_a_dataset_may_hold() -> None:
    numbers = [0, 7, 999_999, 1_000_000, 20_000_000, MAX_RUNS - 1]
    assert sorted(map(padded, numbers)) == [padded(number) for number in numbers]
    assert sorted(shard.name for shard in Shard.all(3_000_000, 4096)[-500:]) == [
        shard.name for shard in Shard.all(3_000_000, 4096)[-500:]
    ]
    with pytest.raises(DatasetError, match="at most 1,000,000,000 runs"):
        recipe_of(FakeScenario(), MAX_RUNS + 1)  # type: ignore[arg-type]


def test_temporary_names_are_unique_without_process_ids(tmp_path: Path) -> None:
    names = {temporary(tmp_path, "seal").name for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith(".tmp-") and name.endswith("-seal") for name in names)
