"""Shards: fixed ranges of runs. Sealing turns the parts of a shard into Parquet, whatever parts there were.

Rows go out in the order of their runs and, within a run, of their time, in row groups of a fixed size:
the same bytes for any number of workers and any size of jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mischance.api.arrow import STREAM, stream_paths
from mischance.api.names import padded
from mischance.dataset.disk import FileFacts, disk, file_hash, move_tree, remove_tree, sync_file, sync_tree
from mischance.dataset.parts import (
    CONTENTS,
    TABLES,
    RunRow,
    commit,
    contents,
    final_tables,
    temporary,
    write_contents,
)
from mischance.dataset.table_files import PARQUET, write_parquet
from mischance.errors import DatasetError, TruthError

MERGE = "_merge"  # what merging formats keep of each run, below a part and below the dataset
SMALLEST, LARGEST = 256, 4096


def shard_size(runs: int) -> int:
    """Return how many runs a shard holds where nobody says otherwise: about 64 shards, of 256 to 4,096 runs."""
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

    @property
    def folder(self) -> str:
        """The name of the folder of its parts: the same if a longer sweep gives the last shard more runs."""
        return padded(self.first)

    @staticmethod
    def all(runs: int, size: int) -> list[Shard]:
        """Return the shards of a dataset."""
        return [Shard(first, min(first + size, runs) - 1) for first in range(0, runs, size)]


def range_name(first: int, last: int) -> str:
    """Return the name of a range of runs."""
    return f"{padded(first)}-{padded(last)}"


def seal(out: Path, shard: Shard, parts: Sequence[Path]) -> dict[str, FileFacts]:
    """Make the final files of a shard from its parts, which stay until the ledger knows.

    It may be stopped at any point and called again.

    Returns:
        what was made, by path in the dataset: all tables, and the files of writers that no earlier call has moved.

    Raises:
        DatasetError: the disk does not take it, or parts disagree on a table's columns.
    """
    found: dict[str, FileFacts] = {}
    for part in parts:
        for path, facts in final_tables(part).items():
            target = out / path / f"{shard.name}{PARQUET}"
            source = part / TABLES / f"{path}{PARQUET}"
            with disk(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                if source.exists() or not target.exists():  # else an earlier call has moved it
                    source.replace(target)
                sync_file(target.parent)
            found[str(target.relative_to(out))] = facts
    folders = [part / TABLES for part in parts]
    for path in sorted({path for folder in folders for path in stream_paths(folder)}):
        target = out / path / f"{shard.name}{PARQUET}"
        with disk(target, sum(_stream_size(folder, path) for folder in folders)):
            scratch = temporary(out / "parts", "seal")
            try:
                facts = write_parquet(scratch, path, [folder for folder in folders if path in stream_paths(folder)])
            except TruthError as error:
                raise DatasetError(error.message, "the columns of a table must not depend on the run") from error
            sync_file(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch.replace(target)
            sync_file(target.parent)
        found[str(target.relative_to(out))] = facts
    for part in parts:
        with disk(out):
            found |= _facts_of_files(part)
            move_tree(part, out, leave=frozenset((TABLES, CONTENTS)))
    return found


def _facts_of_files(part: Path) -> dict[str, FileFacts]:
    """Return facts of the files that writers put into a part, without what is only there to be merged."""
    left = (TABLES, CONTENTS, MERGE)
    files = [(file, file.relative_to(part)) for file in part.rglob("*") if file.is_file()]
    return {
        str(path): FileFacts(file_hash(file), file.stat().st_size) for file, path in files if path.parts[0] not in left
    }


def _stream_size(folder: Path, path: str) -> int:
    file = folder / f"{path}.arrows"
    return file.stat().st_size if file.exists() else 0


def unseal(out: Path, shard: Shard, rows: Sequence[RunRow]) -> Path:
    """Turn the final tables of a shard back into one part, so that further runs can join it.

    Images and other files stay where they are, and so do the final tables until the shard is sealed anew.
    """
    made = temporary(out / "parts", "unseal")
    final = out / "parts" / shard.folder / shard.name
    with disk(made):
        remove_tree(made)
        made.mkdir(parents=True)
        for file in table_files(out, shard.name):
            path = str(file.parent.relative_to(out))
            _to_stream(file, made / TABLES / f"{path}{STREAM}")
        write_contents(made, rows)
    commit(made, final)
    return final


def loosen(out: Path, shard: Shard, part: Path) -> None:
    """Turn the final tables of a part that holds a whole shard into streams, so that further runs can join them.

    It may be stopped at any point and called again. Tables that a stopped `seal` has moved are found in their place.
    """
    rows = contents(part)
    if rows is None:
        return
    with disk(part):
        made = list(final_tables(part))
        for path in made:
            own, moved = part / TABLES / f"{path}{PARQUET}", out / path / f"{shard.name}{PARQUET}"
            scratch = temporary(out / "parts", "loosen")
            _to_stream(own if own.exists() else moved, scratch)
            sync_file(scratch)
            scratch.replace(part / TABLES / f"{path}{STREAM}")
        if made:
            sync_tree(part / TABLES)
            write_contents(part, rows)
            sync_file(part / CONTENTS)
            sync_file(part)
        for path in made:
            (part / TABLES / f"{path}{PARQUET}").unlink(missing_ok=True)


def _to_stream(file: Path, stream: Path) -> None:
    """Copy the rows of a Parquet file into an Arrow stream, a row group at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetFile(file) as source, pa.OSFile(str(stream), "wb") as sink:
        schema = source.schema_arrow
        with pa.ipc.new_stream(sink, schema) as writer:
            for group in range(source.num_row_groups):
                writer.write_table(source.read_row_group(group).cast(schema))


def table_files(out: Path, name: str) -> list[Path]:
    """Return the Parquet files of the shard of that name."""
    return sorted(file for file in out.rglob(f"{name}.parquet") if file.relative_to(out).parts[0] != "parts")
