"""Shards: fixed ranges of runs. Sealing turns the parts of a shard into Parquet, whatever parts there were.

Rows go out in the order of their runs and, within a run, of their time, in row groups of a fixed size:
the same bytes for any number of workers and any size of jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.arrow import parquet_options, read_stream, stream_paths
from mischance.api.names import padded
from mischance.dataset.disk import disk, move_tree, remove_tree, sync_file
from mischance.dataset.parts import CONTENTS, TABLES, RunRow, commit, temporary, write_contents
from mischance.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow as pa

    from mischance.api.tables import AnyArray

ROW_GROUP = 131_072
SMALLEST, LARGEST = 64, 4096


def shard_size(runs: int) -> int:
    """Return how many runs a shard holds where nobody says otherwise: about 64 shards, of 64 to 4,096 runs."""
    size = SMALLEST
    while size < LARGEST and size * 64 < runs:
        size *= 2
    return size


@dataclass(frozen=True, slots=True)
class Shard:
    """Runs `first` to `last`, both included."""

    first: int
    last: int

    @property
    def name(self) -> str:
        """The name of its files."""
        return range_name(self.first, self.last)

    @staticmethod
    def all(runs: int, size: int) -> list[Shard]:
        """Return the shards of a dataset."""
        return [Shard(first, min(first + size, runs) - 1) for first in range(0, runs, size)]


def range_name(first: int, last: int) -> str:
    """Return the name of a range of runs."""
    return f"{padded(first)}-{padded(last)}"


def seal(out: Path, shard: Shard, parts: Sequence[Path]) -> None:
    """Make the final files of a shard from its parts, which stay until the ledger knows.

    It may be stopped at any point and called again.

    Raises:
        DatasetError: the disk does not take it, or parts disagree on a table's columns.
    """
    folders = [part / TABLES for part in parts]
    for path in sorted({path for folder in folders for path in stream_paths(folder)}):
        target = out / path / f"{shard.name}.parquet"
        with disk(target, sum(_stream_size(folder, path) for folder in folders)):
            scratch = temporary(out / "parts", "seal")
            write_parquet(scratch, path, [folder for folder in folders if path in stream_paths(folder)])
            sync_file(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch.replace(target)
            sync_file(target.parent)
    for part in parts:
        with disk(out):
            move_tree(part, out, leave=frozenset((TABLES, CONTENTS)))


def write_parquet(file: Path, path: str, folders: Sequence[Path]) -> int:
    """Merge the streams of one table into a Parquet file; return its rows.

    Raises:
        DatasetError: the streams disagree on the columns.
    """
    import pyarrow.parquet as pq

    streams = [read_stream(folder, path) for folder in folders]
    schema = streams[0][0]
    for other, _ in streams[1:]:
        if not schema.equals(other, check_metadata=True):
            raise DatasetError(
                f"table {path!r} has columns {schema.names} in some runs and {other.names} in others",
                "the columns of a table must not depend on the run",
            )
    batches = [batch for _, found in streams for batch in found]
    rows = 0
    with pq.ParquetWriter(file, schema, **parquet_options(schema)) as writer:
        for group in _row_groups(batches, schema):
            rows += group.num_rows
            writer.write_table(group, row_group_size=ROW_GROUP)
    return rows


def _row_groups(batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield tables of ROW_GROUP rows (the last one fewer), in one piece each."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in _in_run_order(batches):
        piece = batch
        while rows + piece.num_rows >= ROW_GROUP:
            head = ROW_GROUP - rows
            yield _one_piece([*waiting, piece.slice(0, head)], schema)
            piece = piece.slice(head)
            waiting, rows = [], 0
        if piece.num_rows:
            waiting.append(piece)
            rows += piece.num_rows
    if rows:
        yield _one_piece(waiting, schema)


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
            columns.append(pa.concat_arrays(chunks))
    return pa.table(columns, schema=schema)


def _in_run_order(batches: Sequence[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield slices of the batches so that runs ascend; rows of one run keep their order."""
    segments = []
    for number, batch in enumerate(batches):
        run: AnyArray = batch.column("run").to_numpy(zero_copy_only=False)
        starts = np.concatenate([[0], np.flatnonzero(np.diff(run)) + 1])
        stops = np.append(starts[1:], len(run))
        segments.append(np.stack([run[starts], np.full_like(starts, number), starts, stops]))
    if not segments:
        return
    ordered = np.concatenate(segments, axis=1)
    ordered = ordered[:, np.argsort(ordered[0], kind="stable")]
    _, number, start, stop = ordered
    # Neighbours that stood side by side in their batch stay together: most often the whole batch.
    joined = (number[1:] == number[:-1]) & (start[1:] == stop[:-1])
    heads = np.concatenate([[0], np.flatnonzero(~joined) + 1])
    tails = np.append(heads[1:], len(number)) - 1
    for head, tail in zip(heads.tolist(), tails.tolist(), strict=True):
        yield batches[int(number[head])].slice(int(start[head]), int(stop[tail] - start[head]))


def _stream_size(folder: Path, path: str) -> int:
    file = folder / f"{path}.arrows"
    return file.stat().st_size if file.exists() else 0


def unseal(out: Path, shard: Shard, rows: Sequence[RunRow]) -> Path:
    """Turn the final tables of a shard back into one part, so that further runs can join it.

    Images and other files stay where they are, and so do the final tables until the shard is sealed anew.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = temporary(out / "parts", "unseal")
    final = out / "parts" / shard.name / f"{shard.name}"
    with disk(made):
        remove_tree(made)
        made.mkdir(parents=True)
        for file in table_files(out, shard):
            path = str(file.parent.relative_to(out))
            stream = made / TABLES / f"{path}.arrows"
            stream.parent.mkdir(parents=True, exist_ok=True)
            with pq.ParquetFile(file) as source, pa.OSFile(str(stream), "wb") as sink:
                schema = source.schema_arrow
                with pa.ipc.new_stream(sink, schema) as writer:
                    for group in range(source.num_row_groups):
                        writer.write_table(source.read_row_group(group).cast(schema))
        write_contents(made, rows)
    commit(made, final)
    return final


def table_files(out: Path, shard: Shard) -> list[Path]:
    """Return the Parquet files of a shard."""
    return sorted(file for file in out.rglob(f"{shard.name}.parquet") if file.relative_to(out).parts[0] != "parts")
