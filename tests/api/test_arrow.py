"""Tables and signals as Arrow: what is written comes back, what does not fit is named, streams and files are found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mischance.api import arrow
from mischance.api.arrow import (
    TableStreams,
    arrow_batch,
    arrow_schema,
    canonical_json,
    check_columns,
    declared_columns,
    one_value_table,
    parquet_options,
    read_parquet,
    read_stream,
    rows_of,
    sample_times,
    signal_batch,
    stream_paths,
    units,
    with_arrow_strings,
    with_columns,
)
from mischance.api.tables import Column, Signals, Table
from mischance.errors import DatasetError, TruthError

SCHEMA = {
    "t": Column(unit="s", encoding="delta", role="time", about="when"),
    "id": Column("int64", role="key", encoding="plain"),
    "maybe": Column(null=True),
    "kind": Column("category", names=("a", "b")),
    "note": Column("text"),
    "small": Column("uint8"),
}
ROWS = [
    {"t": [0.5, 1.0], "id": [7, 8], "maybe": [np.nan, 2.0], "kind": [1, -1], "note": ["é", None], "small": [0, 255]},
    {},
    {"t": [np.nan], "id": [-9], "maybe": [-0.0], "kind": [0], "note": [""], "small": [3]},
]
RUNS = np.array([4, 5, 11])


def batch() -> pa.RecordBatch:
    return arrow_batch(Table.of(SCHEMA, ROWS), RUNS)


def test_a_table_goes_to_arrow_with_its_runs_types_units_and_nulls():
    found = batch()
    assert found.to_pydict() | {"t": None} == {
        "run": [4, 4, 11], "t": None, "id": [7, 8, -9], "maybe": [None, 2.0, 0.0], "kind": ["b", None, "a"],
        "note": ["é", None, ""], "small": [0, 255, 3],
    }  # fmt: skip
    t = found.column("t").to_pylist()
    assert t[:2] == [0.5, 1.0]
    assert np.isnan(t[2]), "NaN is a number where the column does not say that it means none"
    assert found.column("t").null_count == 0
    kinds = {field.name: str(field.type) for field in found.schema}
    assert (kinds["run"], kinds["note"], kinds["small"]) == ("int64", "string", "uint8")
    assert kinds["kind"].startswith("dictionary<values=string, indices=int32")
    assert units(found.schema) == {
        **dict.fromkeys(SCHEMA, ("", "")), "t": ("s", "when"), "run": ("", "number of the run"),
    }  # fmt: skip


def test_a_file_says_how_its_columns_were_declared():
    declared = declared_columns(batch().schema)
    assert declared["run"] == Column("int64", encoding="delta", about="number of the run", role="key")
    assert declared["t"] == SCHEMA["t"]
    assert declared["id"] == SCHEMA["id"]
    assert (declared["kind"].dtype, declared["note"].dtype, declared["small"].dtype) == ("category", "text", "uint8")
    assert declared_columns(pa.schema([("x", pa.large_string())]))["x"].dtype == "text"
    assert arrow_schema({"run": Column("int32")}).names == ["run"], "a table of runs has its own"


@pytest.mark.parametrize("code", [-2, 2, 9])
def test_a_code_that_has_no_name_is_refused(code: int):
    column = {"kind": Column("category", names=("a", "b"))}
    with pytest.raises(TruthError, match="'kind' holds what is no category"):
        arrow_batch(Table.of(column, [{"kind": [0, code]}]), np.array([0]))
    empty = {"kind": Column("category", names=())}
    assert arrow_batch(Table.of(empty, [{"kind": [-1]}]), np.array([0])).column("kind").to_pylist() == [None]


def test_strings_are_encoded_once_and_what_is_none_is_named():
    table = Table.of(SCHEMA, ROWS)
    coded = with_arrow_strings(table)
    assert coded.schema["note"].dtype == "utf8"
    assert coded.columns["note"].to_pylist() == ["é", None, ""]
    assert str(arrow_batch(coded, RUNS).to_pydict()) == str(batch().to_pydict())
    plain = Table.of({"x": Column()}, [{"x": [1.0]}])
    assert with_arrow_strings(plain) is plain
    with pytest.raises(TruthError, match="column 'note': a column of strings holds"):
        with_arrow_strings(Table.of({"note": Column("text")}, [{"note": ["x", 3]}]))


SIGNALS = Signals(
    200.0, 3, np.arange(24.0).reshape(2, 6, 2), {"u": Column(unit="V"), "i": Column(unit="A")}, np.array([6, 4])
)


def test_signals_go_as_rows_of_their_runs_own_samples():
    found = signal_batch(SIGNALS, np.array([8, 9]))
    assert found.column("run").to_pylist() == [8] * 6 + [9] * 4
    assert found.column("u").to_pylist() == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert found.column("i").to_pylist() == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]
    assert found.schema.metadata == {b"rate": b"200.0", b"first": b"3"}
    assert not any(field.nullable for field in found.schema)
    whole = signal_batch(Signals.of(200.0, 3, SIGNALS.values[:1], SIGNALS.channels), np.array([8]))
    assert whole.equals(found.slice(0, 6))


def test_samples_have_the_times_of_their_clock_however_the_rows_are_cut():
    schema = signal_batch(SIGNALS, np.array([8, 9])).schema
    run = np.array([8, 8, 8, 9, 9])
    np.testing.assert_array_equal(sample_times(schema, run), np.array([3, 4, 5, 3, 4]) / 200.0)
    np.testing.assert_array_equal(sample_times(schema, run, (8, 10)), np.array([13, 14, 15, 3, 4]) / 200.0)
    np.testing.assert_array_equal(sample_times(schema, run, (7, 10)), np.array([3, 4, 5, 3, 4]) / 200.0)
    assert len(sample_times(schema, np.zeros(0, np.int64))) == 0  # type: ignore[arg-type]
    assert sample_times(batch().schema, run) is None


def test_streams_grow_and_come_back_in_folders_of_their_paths(tmp_path: Path):
    streams = TableStreams(tmp_path)
    for part in (batch(), batch().slice(0, 0), batch().slice(1)):
        streams.append("truth/deep/x", part)
    streams.append("y", batch().slice(0, 0))
    assert streams.bytes == batch().nbytes + batch().slice(1).nbytes
    with pytest.raises(TruthError, match="'y' changed its columns from"):
        streams.append("y", batch().select(["run", "t"]))
    streams.close()
    assert stream_paths(tmp_path) == ["truth/deep/x", "y"]
    assert stream_paths(tmp_path / "nowhere") == []
    schema, found = read_stream(tmp_path, "truth/deep/x")
    assert schema.equals(batch().schema, check_metadata=True)
    assert [part.num_rows for part in found] == [3, 2]
    assert str(found[1].to_pydict()) == str(batch().slice(1).to_pydict())
    assert read_stream(tmp_path, "y")[1] == []
    streams = TableStreams(tmp_path / "again")  # what was closed is forgotten
    streams.append("y", batch())
    streams.close()
    streams.append("y", batch().select(["run"]))
    streams.close()
    assert read_stream(tmp_path / "again", "y")[0].names == ["run"]


def test_columns_are_compared_with_their_units_and_signals_with_their_rate():
    known = batch().schema
    check_columns("x", known, batch().schema)
    unit = known.set(1, known.field(1).with_metadata({b"unit": b"ms"}))
    for other in (unit, known.remove(1), known.set(2, known.field(2).with_type(pa.int32()))):
        with pytest.raises(TruthError, match="changed its columns"):
            check_columns("x", known, other)
    signals = signal_batch(SIGNALS, np.array([8, 9])).schema
    check_columns("x", signals, signals.with_metadata({b"rate": b"200.0", b"first": b"9"}))
    for rate in ({b"rate": b"100.0"}, None):
        with pytest.raises(TruthError, match="changed their rate"):
            check_columns("x", signals, signals.with_metadata(rate))


def test_files_of_some_runs_alone_and_files_that_are_none(tmp_path: Path):
    file = tmp_path / "a=b" / "x.parquet"
    file.parent.mkdir()
    pq.write_table(pa.Table.from_batches([batch()]), file)
    assert read_parquet(file).column_names == batch().schema.names, "a folder called a=b is no column"
    assert read_parquet(file, [11, 12])["id"].to_pylist() == [-9]
    assert read_parquet(file, [])["id"].to_pylist() == []
    file.write_bytes(b"no parquet")
    for wrong in (file, tmp_path / "missing.parquet"):
        with pytest.raises(DatasetError, match=r"parquet' cannot be read: it is damaged or no Parquet file"):
            read_parquet(wrong)


def test_columns_are_packed_as_they_wish():
    options = parquet_options(
        arrow_schema(
            {
                "t": Column(encoding="delta"),
                "f": Column("float32", encoding="delta"),
                "x": Column(),
                "n": Column("int64", encoding="delta"),
                "m": Column("int64"),
                "s": Column("int16", encoding="delta"),
                "i": Column("int32", encoding="delta"),
                "k": Column("category", names=("a",)),
                "w": Column("text", encoding="delta"),
            }
        )
    )
    assert options["column_encoding"] == {
        "run": "DELTA_BINARY_PACKED",
        "t": "BYTE_STREAM_SPLIT",
        "f": "BYTE_STREAM_SPLIT",
        "n": "DELTA_BINARY_PACKED",
        "i": "DELTA_BINARY_PACKED",
    }
    assert options["use_dictionary"] == ["k"]
    assert (options["compression"], options["compression_level"]) == ("zstd", -1)
    # by these a reader can leave row groups out; every group has all values of a float, but for times
    assert options["write_statistics"] == ["run", "n", "m", "s", "i", "k", "w"]
    assert options["write_page_checksum"] is True
    timed = parquet_options(arrow_schema({"t": Column(unit="s", role="time"), "x": Column()}))
    assert timed["write_statistics"] == ["run", "t"]
    signals = parquet_options(signal_batch(SIGNALS, np.array([8, 9])).schema)
    assert signals["column_encoding"] == {"u": "BYTE_STREAM_SPLIT", "i": "BYTE_STREAM_SPLIT"}
    assert (signals["compression"], signals["use_dictionary"]) == ("lz4", False)
    assert signals["write_statistics"] == ["run"]
    assert signals["write_page_checksum"] is True


def test_columns_are_added_and_rows_of_a_run_found():
    table = one_value_table(3, n=(Column("int32"), [1, 2, 3]))  # type: ignore[arg-type]
    assert (table.columns["n"].dtype, table.offsets.tolist()) == (np.int32, [0, 1, 2, 3])
    more = with_columns(table, x=(Column(), np.array([5, 6, 7])))
    assert (list(more.schema), more.columns["x"].dtype) == (["n", "x"], np.float64)
    parts = [arrow_batch(Table.of({"v": Column("int64")}, rows), RUNS) for rows in (
        [{"v": [1]}, {"v": [2, 3]}, {"v": [4]}], [{"v": [5]}, {}, {"v": [6, 7, 8]}],
    )]  # fmt: skip
    wanted = {4: [1, 5], 5: [2, 3], 11: [4, 6, 7, 8], 6: []}
    assert {run: [v for part in rows_of(parts, run) for v in part.column("v").to_pylist()] for run in wanted} == wanted


def test_equal_values_are_equal_text():
    text = canonical_json({"b": [1, 2], "a": "é"})
    assert text == '{\n  "a": "é",\n  "b": [\n    1,\n    2\n  ]\n}\n'
    assert json.loads(text) == {"a": "é", "b": [1, 2]}


def test_a_type_that_arrow_lacks_is_named():
    with pytest.raises(TruthError, match="'complex128' cannot be stored"):
        arrow.arrow_type(Column("complex128"))
