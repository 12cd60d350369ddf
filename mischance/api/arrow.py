"""Tables and signals as Arrow: types, units as field metadata, nulls, and streams on disk that grow chunk by chunk.

A category is a dictionary of strings, text is UTF-8, everything else keeps its NumPy type. NaN is null
where the column says so and a number elsewhere. Signals are rows of their channels, without a time column: the
schema's metadata has their rate [Hz] and the number of a run's first sample. pyarrow is imported when first used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.strings import strings
from mischance.api.tables import AnyArray, Column, FloatArray, IntArray, Schema, Signals, Table
from mischance.errors import DatasetError, TruthError

if TYPE_CHECKING:
    import pyarrow as pa

STREAM = ".arrows"
RUN = Column("int64", encoding="delta", about="number of the run", role="key")
RATE, FIRST = b"rate", b"first"  # metadata of the schema of signals


def arrow_type(column: Column) -> pa.DataType:
    """Return the Arrow type of a column.

    Raises:
        TruthError: Arrow has no such type.
    """
    import pyarrow as pa

    if column.dtype == "category":
        return pa.dictionary(pa.int32(), pa.string())
    if column.dtype in ("text", "utf8"):
        return pa.string()
    try:
        return pa.from_numpy_dtype(np.dtype(column.dtype))
    except (pa.ArrowNotImplementedError, TypeError) as error:
        raise TruthError(f"a column of type {column.dtype!r} cannot be stored") from error


def arrow_schema(schema: Schema) -> pa.Schema:
    """Return the Arrow schema of a table: first `run`, then its columns, each with unit, about, encoding and role."""
    import pyarrow as pa

    fields = []
    for name, column in _with_run(schema).items():
        facts = {"unit": column.unit, "about": column.about, "encoding": column.encoding, "role": column.role}
        metadata = {key: value for key, value in facts.items() if value}
        fields.append(pa.field(name, arrow_type(column), metadata=metadata or None))
    return pa.schema(fields)


def arrow_batch(table: Table, runs: IntArray) -> pa.RecordBatch:
    """Return the rows of a table, each with the number of its run.

    Args:
        table: rows of several runs.
        runs: number of each run; shape (table.runs,).

    Raises:
        TruthError: a value does not fit its column.
    """
    import pyarrow as pa

    schema = arrow_schema(table.schema)
    arrays = []
    for name, column in _with_run(table.schema).items():
        values = table.columns[name] if name in table.columns else np.repeat(runs, np.diff(table.offsets))
        try:
            arrays.append(_array(column, values))
        except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeError, TypeError, TruthError) as error:
            raise TruthError(f"column {name!r} holds what is no {column.dtype}: {error}") from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def with_arrow_strings(table: Table) -> Table:
    """Return the table with its text columns as Arrow strings, so that they are encoded once for all who need them.

    Raises:
        TruthError: a value is no string.
    """
    text = [name for name, column in table.schema.items() if column.dtype == "text"]
    if not text:
        return table
    schema = {**table.schema, **{name: replace(table.schema[name], dtype="utf8") for name in text}}
    columns = dict(table.columns)
    for name in text:
        try:
            columns[name] = strings(table.columns[name])
        except TruthError as error:
            raise TruthError(f"column {name!r}: {error.message}") from error
    return Table(schema, columns, table.offsets)


def signal_batch(signals: Signals, runs: IntArray) -> pa.RecordBatch:
    """Return the samples of signals as rows: the number of the run, then a column for each channel.

    Args:
        signals: samples of several runs.
        runs: number of each run; shape (signals.runs,).
    """
    import pyarrow as pa

    rate = {RATE: repr(float(signals.rate)).encode(), FIRST: str(signals.first).encode()}
    schema = pa.schema([field.with_nullable(False) for field in arrow_schema(signals.channels)], metadata=rate)
    whole = bool((signals.counts == signals.values.shape[1]).all())
    kept = None if whole else np.arange(signals.values.shape[1]) < signals.counts[:, None]
    arrays = [pa.array(np.repeat(runs, signals.counts))]
    for i in range(signals.values.shape[2]):
        channel = signals.values[:, :, i]
        arrays.append(pa.array(channel.reshape(-1) if kept is None else channel[kept]))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def sample_times(schema: pa.Schema, run: IntArray, before: tuple[int, int] = (-1, 0)) -> FloatArray | None:
    """Return the times of rows that are samples of signals, or None where the schema is that of another table.

    Args:
        schema: as it stands in the file.
        run: number of each row's run, the rows of a run together and in order; shape (n,).
        before: the run of the row before these, and how many of its samples came before.

    Returns:
        t = (first + j) / rate of the j-th sample of each run; shape (n,) [s].
    """
    facts = schema.metadata or {}
    if RATE not in facts:
        return None
    starts = np.concatenate([[0], np.flatnonzero(np.diff(run)) + 1]) if len(run) else np.zeros(0, np.int64)
    sizes = np.diff(np.append(starts, len(run)))
    number = np.arange(len(run)) - np.repeat(starts, sizes)
    if len(run) and run[0] == before[0]:
        number[: sizes[0]] += before[1]
    return (int(facts[FIRST]) + number) / float(facts[RATE])


def _with_run(schema: Schema) -> dict[str, Column]:
    return dict(schema) if "run" in schema else {"run": RUN, **schema}


def _array(column: Column, values: AnyArray) -> pa.Array:
    import pyarrow as pa

    if column.dtype == "category":
        if len(values) and not -1 <= int(values.min()) <= int(values.max()) < len(column.names):
            raise TypeError(f"a code outside -1 … {len(column.names) - 1}")
        codes = pa.array(values, pa.int32(), mask=values < 0)
        return pa.DictionaryArray.from_arrays(codes, pa.array(column.names, pa.string()))
    if column.dtype in ("text", "utf8"):
        array: pa.Array = strings(values)
        return array if pa.types.is_string(array.type) else array.cast(pa.string())
    mask = np.isnan(values) if column.null and values.dtype.kind == "f" else None
    return pa.array(np.ascontiguousarray(values), mask=mask, from_pandas=False)


def units(schema: pa.Schema) -> dict[str, tuple[str, str]]:
    """Return for every column its unit and what it is about, '' where nothing is said."""
    found = {}
    for field in schema:
        facts = field.metadata or {}
        found[field.name] = (facts.get(b"unit", b"").decode(), facts.get(b"about", b"").decode())
    return found


def declared_columns(schema: pa.Schema) -> dict[str, Column]:
    """Return what a file says of its columns, as they were declared; the names of a category are not in the schema."""
    import pyarrow as pa

    found = {}
    for field in schema:
        facts = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        if pa.types.is_dictionary(field.type):
            dtype = "category"
        elif pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            dtype = "text"
        else:
            dtype = np.dtype(field.type.to_pandas_dtype()).name
        known = {key: facts.get(key, "") for key in ("unit", "encoding", "about", "role")}
        found[field.name] = Column(dtype, **known)
    return found


class TableStreams:
    """Arrow IPC streams in a folder, one a table: `<folder>/<path>.arrows`, uncompressed, so that they map."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bytes = 0
        self._stack = ExitStack()
        self._streams: dict[str, tuple[Any, pa.Schema]] = {}

    def append(self, path: str, batch: pa.RecordBatch) -> None:
        """Add rows at a path of the dataset; the first ones fix the columns.

        Raises:
            TruthError: the columns are not those that the table had before.
            OSError: the disk does not take it.
        """
        if path not in self._streams:
            self._streams[path] = (self._open(path, batch.schema), batch.schema)
        writer, schema = self._streams[path]
        check_columns(path, schema, batch.schema)
        if batch.num_rows:
            self.bytes += batch.nbytes
            writer.write_batch(batch)

    def _open(self, path: str, schema: pa.Schema) -> Any:
        import pyarrow as pa

        file = self.folder / f"{path}{STREAM}"
        file.parent.mkdir(parents=True, exist_ok=True)
        sink = self._stack.enter_context(pa.OSFile(str(file), "wb"))
        return self._stack.enter_context(pa.ipc.new_stream(sink, schema))

    def close(self) -> None:
        """End the streams."""
        self._stack.close()
        self._streams.clear()


def check_columns(path: str, known: pa.Schema, found: pa.Schema) -> None:
    """Refuse rows whose columns are not those that their table had before.

    Raises:
        TruthError: they differ in name, type, unit or in what they are about.
    """
    if known.names != found.names or not all(
        a.equals(b, check_metadata=True) for a, b in zip(known, found, strict=True)
    ):
        raise TruthError(f"table {path!r} changed its columns from {known.names} to {found.names}")
    rate = [(schema.metadata or {}).get(RATE) for schema in (known, found)]
    if rate[0] != rate[1]:
        raise TruthError(f"signals {path!r} changed their rate")


def stream_paths(folder: Path) -> list[str]:
    """Return the paths of the tables that have a stream in that folder, sorted."""
    if not folder.is_dir():
        return []
    return sorted(str(file.relative_to(folder))[: -len(STREAM)] for file in folder.rglob(f"*{STREAM}"))


def read_stream(folder: Path, path: str) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """Return a stream's schema and its batches, mapped from the file, not copied."""
    import pyarrow as pa

    with pa.ipc.open_stream(pa.memory_map(str(folder / f"{path}{STREAM}"))) as reader:
        return reader.schema, list(reader)


@contextmanager
def readable(file: Path) -> Iterator[None]:
    """Turn what Arrow says of a damaged file of a dataset into one line that names the file.

    Raises:
        DatasetError: the file cannot be read.
    """
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(
            f"the file {str(file)!r} cannot be read: it is damaged or no Parquet file",
            "`mischance verify DIR` names what is damaged in a dataset",
        ) from error


def read_parquet(file: Path, runs: Sequence[int] | None = None) -> pa.Table:
    """Return the rows of one Parquet file, of those runs alone where given; row groups without them are not read.

    Raises:
        DatasetError: the file cannot be read.
    """
    import pyarrow.parquet as pq

    chosen = None if runs is None else [("run", "in", list(runs))]
    # Without partitioning: a folder called 'a=b' above the file is no column.
    with readable(file):
        return pq.read_table(file, partitioning=None, filters=chosen)  # pyright: ignore[reportArgumentType]


def parquet_options(schema: pa.Schema) -> dict[str, Any]:
    """Return how a table goes to Parquet: fast zstd, dictionaries on categories alone, deltas where wished for.

    Level -1 of zstd takes a fifth less time than level 1 for 2 to 4 % more bytes. Statistics are those by which a
    reader can leave out row groups: of floats none but times, since a group holds many runs and so every other value.
    A wish for deltas becomes DELTA_BINARY_PACKED for integers and BYTE_STREAM_SPLIT for floats, whose
    deltas Parquet does not know. Signals go as BYTE_STREAM_SPLIT with LZ4, within a few percent of the size that zstd
    makes of them in two thirds of the time, with statistics of the run alone. Every page has a checksum.
    """
    import pyarrow as pa

    signals = RATE in (schema.metadata or {})
    encoding = {}
    for field in schema:
        wish = (field.metadata or {}).get(b"encoding") == b"delta"
        wide = pa.types.is_primitive(field.type) and field.type.bit_width >= 32
        if pa.types.is_floating(field.type) and wide and (wish or signals):
            encoding[field.name] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_integer(field.type) and wide and wish and not signals:
            encoding[field.name] = "DELTA_BINARY_PACKED"
    pruning = [
        field.name
        for field in schema
        if not pa.types.is_floating(field.type) or (field.metadata or {}).get(b"role") == b"time"
    ]
    dictionary = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    return {
        "compression": "lz4" if signals else "zstd",
        "compression_level": None if signals else -1,
        "use_dictionary": dictionary or False,
        "column_encoding": encoding or None,
        "write_statistics": ["run"] if signals else pruning,
        "write_page_checksum": True,
    }


def one_value_table(runs: int, **columns: tuple[Column, AnyArray]) -> Table:
    """Return a table with one row a run; each column is its declaration and its values (runs,)."""
    schema = {name: column for name, (column, _) in columns.items()}
    values = {name: np.asarray(array, schema[name].storage) for name, (_, array) in columns.items()}
    return Table(schema, values, np.arange(runs + 1, dtype=np.int64))


def with_columns(table: Table, **columns: tuple[Column, AnyArray]) -> Table:
    """Return a table with further columns, each its declaration and its values (rows,)."""
    schema = {**table.schema, **{name: column for name, (column, _) in columns.items()}}
    values = {**table.columns, **{n: np.asarray(array, schema[n].storage) for n, (_, array) in columns.items()}}
    return Table(schema, values, table.offsets)


def rows_of(batches: Iterator[pa.RecordBatch] | list[pa.RecordBatch], run: int) -> list[pa.RecordBatch]:
    """Return the slices that hold the rows of one run, in order."""
    found = []
    for batch in batches:
        place = np.flatnonzero(batch.column("run").to_numpy(zero_copy_only=False) == run)
        if len(place):
            found.append(batch.slice(int(place[0]), int(place[-1] - place[0]) + 1))
    return found


def canonical_json(value: Mapping[str, Any]) -> str:
    """Return JSON with sorted keys, two spaces and a last newline: the same text for the same value."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
