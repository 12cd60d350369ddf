"""Tables of a shard as Parquet files: row groups of a fixed size, written as they fill, hashed as they are written.

The bytes of a file depend on its rows alone: not on the pieces in which they came, nor on whether they came
straight from a job that holds the whole shard or from the parts of many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.arrow import FIRST, RATE, TableStreams, check_columns, parquet_options, read_stream, stream_paths
from mischance.dataset.disk import FileFacts, remove_tree
from mischance.errors import RunError

if TYPE_CHECKING:
    import pyarrow as pa

    from mischance.api.tables import AnyArray, IntArray

PARQUET = ".parquet"
ROW_GROUP = 131_072
SIGNAL_GROUP = 8 * ROW_GROUP  # samples have few channels
SPILL = "_spill"
IN_MEMORY = 256 << 20  # bytes of a batch of runs that wait for the batch's end; what is more waits on the disk


class HashedFile:
    """A new file that is hashed as it is written; it has what Arrow asks of a file object."""

    closed = False

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: Any) -> int:
        """Write all of it; return its bytes."""
        rest = memoryview(data).cast("B")
        self._hash.update(rest)
        self._size += len(rest)
        size = len(rest)
        while len(rest):
            rest = rest[self._file.write(rest) or 0 :]
        return size

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self.closed = True

    def readable(self) -> bool:
        """It is not."""
        return False

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is not."""
        return False

    def facts(self, rows: int) -> FileFacts:
        """Return what was written, which holds so many rows."""
        return FileFacts(self._hash.hexdigest(), self._size, rows)


class ParquetFile:
    """One table of a shard as a Parquet file; rows come in the order in which they shall stand there."""

    def __init__(self, path: str, file: Path, schema: pa.Schema) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._path = path
        self._schema = schema
        self._group = SIGNAL_GROUP if RATE in (schema.metadata or {}) else ROW_GROUP
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0  # that wait
        self._written = 0
        with ExitStack() as stack:
            self._file = HashedFile(file)
            stack.callback(self._file.close)
            sink = stack.enter_context(pa.PythonFile(self._file, mode="w"))
            self._writer = stack.enter_context(pq.ParquetWriter(sink, schema, **parquet_options(schema)))
            self._stack = stack.pop_all()

    def append(self, batch: pa.RecordBatch) -> None:
        """Take rows; row groups that are full are written.

        Raises:
            TruthError: the columns are not those of the table.
        """
        check_columns(self._path, self._schema, batch.schema)
        while self._rows + batch.num_rows >= self._group:
            head = self._group - self._rows
            self._write([*self._waiting, batch.slice(0, head)])
            batch = batch.slice(head)
            self._waiting, self._rows = [], 0
        if batch.num_rows:
            self._waiting.append(batch)
            self._rows += batch.num_rows

    def _write(self, batches: Sequence[pa.RecordBatch]) -> None:
        group = _one_piece(batches, self._schema)
        self._written += group.num_rows
        self._writer.write_table(group, row_group_size=self._group)

    def close(self) -> FileFacts:
        """Write what is left and end the file."""
        with self._stack:
            if self._rows:
                self._write(self._waiting)
            self._waiting = []
        return self._file.facts(self._written)


def _one_piece(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """Return the batches as one table of one chunk a column: where chunks end, Parquet ends pages."""
    import pyarrow as pa

    columns = []
    for i, field in enumerate(schema):
        chunks = [batch.column(i) for batch in batches]
        if pa.types.is_dictionary(field.type) and any(not c.dictionary.equals(chunks[0].dictionary) for c in chunks):
            # Names that differ from batch to batch: number them anew, in order of appearance.
            texts = pa.concat_arrays([chunk.dictionary_decode() for chunk in chunks])
            columns.append(texts.dictionary_encode())
        else:
            columns.append(pa.concat_arrays(chunks) if len(chunks) > 1 else chunks[0])
    return pa.table(columns, schema=schema)


class ShardTables:
    """The tables of a job that holds a whole shard, written straight to their final form: `<folder>/<path>.parquet`.

    Files have their rows in the order of the runs. Rows of a batch of one run whose turn it is are written as they
    come. All others wait, in memory or, where they are many, on the disk: those of a batch of many, which come
    interleaved, a piece of time of all runs after the other, for the batch's end, and those of a batch that comes
    before a batch with earlier runs for that one.

    Args:
        folder: of the files.
        runs: all runs of the shard.
    """

    def __init__(self, folder: Path, runs: range) -> None:
        self.folder = folder
        self.bytes = 0
        self._files: dict[str, ParquetFile] = {}
        self._due = runs  # those that are not in the files yet
        self._ended: list[int] = []  # those of them that have all of their rows
        self._waiting: dict[str, list[pa.RecordBatch]] = {}
        self._held = 0
        self._spilled: TableStreams | None = None

    def append(self, path: str, batch: pa.RecordBatch, runs: IntArray) -> None:
        """Take rows of the current batch of runs; shape (runs,).

        Raises:
            TruthError: the columns are not those that the table had before.
            OSError: the disk does not take it.
        """
        self.bytes += batch.nbytes
        if len(runs) == 1 and int(runs[0]) == self._due.start:
            self._file(path, batch.schema).append(batch)
            return
        waiting = self._waiting.setdefault(path, [])
        if waiting:
            check_columns(path, waiting[0].schema, batch.schema)
        waiting.append(batch)
        self._held += batch.nbytes
        if self._held >= IN_MEMORY:
            self._spill()

    def end_batch(self, runs: IntArray) -> None:
        """Write what waited for the end of these runs, unless a run before one of them is missing."""
        ended = sorted([*self._ended, *runs.tolist()])
        if ended != list(self._due[: len(ended)]):
            self._ended = ended
            return
        self._due, self._ended = self._due[len(ended) :], []
        if self._spilled is not None:
            self._spill()
            self._spilled.close()
            for path in stream_paths(self.folder / SPILL):
                schema, self._waiting[path] = read_stream(self.folder / SPILL, path)
                self._file(path, schema)  # also where it has no rows
        for path, batches in self._waiting.items():
            for batch in in_run_order(batches):
                self._file(path, batch.schema).append(batch)
        self._waiting, self._held = {}, 0
        if self._spilled is not None:
            self._spilled = None
            remove_tree(self.folder / SPILL)

    def _spill(self) -> None:
        self._spilled = self._spilled or TableStreams(self.folder / SPILL)
        for path, batches in self._waiting.items():
            for batch in batches:
                self._spilled.append(path, batch)
        self._waiting, self._held = {}, 0

    def _file(self, path: str, schema: pa.Schema) -> ParquetFile:
        if path not in self._files:
            file = self.folder / f"{path}{PARQUET}"
            file.parent.mkdir(parents=True, exist_ok=True)
            self._files[path] = ParquetFile(path, file, schema)
        return self._files[path]

    def close(self) -> dict[str, FileFacts]:
        """End the files; return what was written, by path of the table.

        Raises:
            RunError: a run of the shard was not played to its end.
        """
        if self._due:
            missing = min(set(self._due) - set(self._ended))
            raise RunError(f"run {missing} of a whole shard is missing")
        return self._close()

    def _close(self) -> dict[str, FileFacts]:
        files, self._files = self._files, {}
        return {path: file.close() for path, file in files.items()}

    def abandon(self) -> None:
        """Let go of the files; they are not to be used."""
        self._waiting = {}
        if self._spilled is not None:
            self._spilled.close()
        self._close()


class PartTables:
    """The tables of a job that holds some runs of a shard, as Arrow streams that wait for the others."""

    def __init__(self, folder: Path) -> None:
        self._streams = TableStreams(folder)

    @property
    def bytes(self) -> int:
        """Bytes that were written."""
        return self._streams.bytes

    def append(self, path: str, batch: pa.RecordBatch, runs: IntArray) -> None:
        """Take rows; see `ShardTables.append`."""
        del runs
        self._streams.append(path, batch)

    def end_batch(self, runs: IntArray) -> None:
        """Nothing waits."""

    def close(self) -> dict[str, FileFacts]:
        """End the streams."""
        self._streams.close()
        return {}

    def abandon(self) -> None:
        """End the streams."""
        self._streams.close()


def table_paths(folder: Path, kind: str = PARQUET) -> list[str]:
    """Return the paths of the tables that have a file of that kind in a part's folder, sorted."""
    if not folder.is_dir():
        return []
    return sorted(str(file.relative_to(folder))[: -len(kind)] for file in folder.rglob(f"*{kind}"))


def write_parquet(file: Path, path: str, folders: Sequence[Path]) -> FileFacts:
    """Merge the streams of one table into a Parquet file; return what was written.

    Raises:
        TruthError: the streams disagree on the columns.
    """
    streams = [read_stream(folder, path) for folder in folders]
    schema = streams[0][0]
    for other, _ in streams[1:]:
        check_columns(path, schema, other)
    target = ParquetFile(path, file, schema)
    for batch in in_run_order([batch for _, found in streams for batch in found]):
        target.append(batch)
    return target.close()


def in_run_order(batches: Sequence[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield slices of the batches so that runs ascend; rows of one run keep their order."""
    segments = []
    for number, batch in enumerate(batches):
        run: AnyArray = batch.column("run").to_numpy(zero_copy_only=False)
        starts = np.concatenate([[0], np.flatnonzero(np.diff(run)) + 1]) if len(run) else np.zeros(0, np.int64)
        stops = np.append(starts[1:], len(run))[: len(starts)]
        segments.append(np.stack([run[starts], np.full_like(starts, number), starts, stops]))
    ordered = np.concatenate(segments, axis=1) if segments else np.zeros((4, 0), np.int64)
    if not ordered.shape[1]:
        yield from batches[:1]  # nothing but columns
        return
    ordered = ordered[:, np.argsort(ordered[0], kind="stable")]
    _, number, start, stop = ordered
    # Neighbours that stood side by side in their batch stay together: most often the whole batch.
    joined = (number[1:] == number[:-1]) & (start[1:] == stop[:-1])
    heads = np.concatenate([[0], np.flatnonzero(~joined) + 1])
    tails = np.append(heads[1:], len(number)) - 1
    for head, tail in zip(heads.tolist(), tails.tolist(), strict=True):
        yield batches[int(number[head])].slice(int(start[head]), int(stop[tail] - start[head]))


__all__ = [
    "FIRST", "PARQUET", "HashedFile", "ParquetFile", "PartTables", "ShardTables", "table_paths",
    "write_parquet",
]  # fmt: skip
