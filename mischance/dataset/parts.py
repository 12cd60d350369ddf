"""A part: what one job made of consecutive runs, whole or absent.

A part is a folder: `_tables/` with its rows, `_part.json` (what the ledger must know of each run), and the files
that writers put at their dataset paths. It is made under a temporary name, synced and renamed. Rows are Arrow
streams, `<path>.arrows`, that wait for the other parts of their shard; a job that holds a whole shard writes
`<path>.parquet` straight, as it will stand in the dataset.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.arrow import arrow_batch, signal_batch, with_arrow_strings, with_columns
from mischance.api.names import unique_word
from mischance.api.protocols import declares
from mischance.api.runs import Record
from mischance.api.scene import Frames
from mischance.api.tables import Column, IntArray, Table, join_signals, join_tables
from mischance.dataset.digest import RunDigests, frame_index
from mischance.dataset.disk import FileFacts, disk, refusal, remove_tree, sync_file, sync_tree
from mischance.dataset.table_files import PartTables, ShardTables
from mischance.errors import RunError

if TYPE_CHECKING:
    from mischance.api.protocols import Writer
    from mischance.dataset.splits import Splits

TABLES = "_tables"
CONTENTS = "_part.json"
CORE = ("runs", "events", "labels", "splits")
# Bytes of records that are joined before they are hashed and written. Those of many runs are joined whole where they
# fit, since each run costs some time a piece; those of one run are kept where they are still in the cache.
BUFFER, BUFFER_OF_ONE = 64 << 20, 4 << 20
DIGEST = Column("text", encoding="plain", about="SHA-256 of all rows, samples and images of the run")


@dataclass(frozen=True, slots=True)
class RunRow:
    """What the ledger must know of a finished run."""

    run: int
    digest: str
    event: bool
    weight: float


class PartWriter:
    """Takes the records of a job and makes its part.

    Core tables (runs, events, labels, splits, and the labels of rows and sensors) are always stored, other tables and
    signals where one of the writers says so. Writers get joined records, so that no one pays for small pieces of time.

    Args:
        folder: of the part; it must not exist.
        writers: name -> maker of a writer for that folder.
        splits: deals the runs out.
        shard: all runs of the shard, where the job holds them: then its tables take their final form at once.
    """

    def __init__(
        self,
        folder: Path,
        writers: Mapping[str, Callable[[Path], Writer]],
        splits: Splits | None = None,
        *,
        shard: range | None = None,
    ) -> None:
        import pyarrow.compute
        import pyarrow.parquet  # noqa: F401  # here, and not within the time that the first run has

        self.folder = folder
        self.rows: list[RunRow] = []
        self._splits = splits
        with disk(folder):
            folder.mkdir(parents=True)
        rows = folder / TABLES
        self._tables: ShardTables | PartTables = PartTables(rows) if shard is None else ShardTables(rows, shard)
        self._writers = {name: make(folder) for name, make in writers.items()}
        self._keep: dict[str, bool] = {}
        self._digests: RunDigests | None = None
        self._buffer: list[Record] = []
        self._bytes = 0

    def write(self, record: Record) -> None:
        """Take one record.

        Raises:
            DatasetError: the disk does not take it.
            TruthError: rows break the contract of their table.
        """
        if self._buffer and not _same_tables(self._buffer[-1], record):
            self._flush()
        self._buffer.append(record)
        self._bytes += _size(record)
        if record.last or self._bytes >= (BUFFER_OF_ONE if len(record.runs) == 1 else BUFFER):
            self._flush()

    def _flush(self) -> None:
        record = join_records(self._buffer)
        self._buffer, size, self._bytes = [], self._bytes, 0
        if self._splits is not None:
            self._splits.add(record)
        # Strings are encoded once, for the digest and for the files; writers get the record as it came.
        stored = replace(record, tables={path: with_arrow_strings(table) for path, table in record.tables.items()})
        digests = self._digests = self._digests or RunDigests(len(record.runs))
        digests.add(stored)
        if record.last:
            own = self._finish_batch(record, digests.finish())
            self._digests = None
            record = replace(record, tables={**record.tables, **own})
            stored = replace(stored, tables={**stored.tables, **own})
        try:
            self._store(stored)
            for writer in self._writers.values():
                writer.write(record)
        except OSError as error:
            raise refusal(error, self.folder, self._tables.bytes + size) from error

    def _store(self, record: Record) -> None:
        """Write the tables and signals that are kept."""
        for path, table in record.tables.items():
            if self._keeps(path):
                self._tables.append(path, arrow_batch(table, record.runs), record.runs)
        for path, signals in record.signals.items():
            if self._keeps(path):
                self._tables.append(path, signal_batch(signals, record.runs), record.runs)
        if record.last:
            self._tables.end_batch(record.runs)

    def _keeps(self, path: str) -> bool:
        """Return whether a table is stored; asked once a path."""
        if path not in self._keep:
            asked = [(declares(type(writer)).keeps, writer) for writer in self._writers.values()]
            own = path in CORE or path.startswith("labels/")
            self._keep[path] = own or any(keeps(writer, path) for keeps, writer in asked if keeps is not None)
        return self._keep[path]

    def _finish_batch(self, record: Record, digests: Sequence[str]) -> dict[str, Table]:
        """Note what the ledger must know; return the tables `runs`, with digests, and `splits`."""
        runs = record.tables.get("runs")
        if runs is None or len(runs) != len(record.runs) or runs.runs != len(record.runs):
            raise RunError("the last record must have one row a run in its table 'runs'")
        events = runs.columns.get("event", np.zeros(len(runs), np.bool_)).tolist()
        weights = runs.columns.get("weight", np.ones(len(runs))).tolist()
        rows = zip(record.runs.tolist(), digests, events, weights, strict=True)
        self.rows += [RunRow(run, digest, bool(event), float(weight)) for run, digest, event, weight in rows]
        tables = {"runs": with_columns(runs, digest=(DIGEST, np.array(digests, object)))}
        if self._splits is not None:
            tables["splits"] = self._splits.finish(record.runs)
        return tables

    def close(self) -> list[RunRow]:
        """End all files; return what the ledger must know.

        Raises:
            DatasetError: the disk does not take it.
            RunError: a batch of runs had no last record.
        """
        if self._buffer or self._digests is not None:
            raise RunError("the world stopped without a last record")
        self.rows.sort(key=lambda row: row.run)  # runs that cannot share a batch come in batches of their own
        with disk(self.folder, self._tables.bytes):
            files = self._tables.close()
            for writer in self._writers.values():
                writer.close()
            write_contents(self.folder, self.rows, files)
        return self.rows

    def abandon(self) -> None:
        """Remove what was made; a full disk gets its space back."""
        # Where the disk is full a file's end may not fit either; the folder goes anyway.
        with contextlib.suppress(OSError):
            self._tables.abandon()
        remove_tree(self.folder)


def commit(temporary: Path, final: Path) -> int:
    """Give a finished part its name; return its bytes. A part of that name gives way: it holds the same.

    Raises:
        DatasetError: the disk does not take it.
    """
    with disk(final):
        size = sync_tree(temporary)
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists():
            remove_tree(final)
        temporary.rename(final)
        sync_file(final.parent)
        sync_file(final.parent.parent)
    return size


def write_contents(part: Path, rows: Sequence[RunRow], files: Mapping[str, FileFacts] | None = None) -> None:
    """Write down what the ledger must know of a part's runs, and of the tables that are final already, by path."""
    runs = [(row.run, row.digest, row.event, row.weight) for row in rows]
    facts = {path: (found.sha256, found.bytes, found.rows) for path, found in (files or {}).items()}
    temporary = part / f".{CONTENTS}.tmp"
    temporary.write_text(json.dumps({"runs": runs, "files": facts}), encoding="utf-8")
    temporary.replace(part / CONTENTS)  # one that is there is whole at any moment


def contents(part: Path) -> list[RunRow] | None:
    """Return what a part says of its runs, or None if it is no whole part."""
    try:
        rows: list[list[Any]] = json.loads((part / CONTENTS).read_text(encoding="utf-8"))["runs"]
        return [RunRow(*row) for row in rows]
    except (OSError, ValueError, TypeError, KeyError):
        return None


def final_tables(part: Path) -> dict[str, FileFacts]:
    """Return what a part says of the tables that it holds in their final form, by path."""
    facts = json.loads((part / CONTENTS).read_text(encoding="utf-8"))["files"]
    return {path: FileFacts(*found) for path, found in facts.items()}


def temporary(parts: Path, purpose: str) -> Path:
    """Return a name in `parts` that no other process and no final part has."""
    return parts / f".tmp-{unique_word()}-{purpose}"


def join_records(records: Sequence[Record]) -> Record:
    """Join records of the same batch that follow each other in time."""
    first, last = records[0], records[-1]
    if len(records) == 1:
        return first
    paths = list(dict.fromkeys(path for record in records for path in record.tables))
    tables = {path: join_tables([r.tables[path] for r in records if path in r.tables]) for path in paths}
    passes = list(dict.fromkeys(path for record in records for path in record.frames))
    frames = {path: _join_frames([r.frames[path] for r in records if path in r.frames]) for path in passes}
    sampled = list(dict.fromkeys(path for record in records for path in record.signals))
    signals = {path: join_signals([r.signals[path] for r in records if path in r.signals]) for path in sampled}
    return Record(first.runs, first.start, last.end, tables, frames, last.scenes, last.last, signals)


def _join_frames(pieces: Sequence[tuple[Frames, ...]]) -> tuple[Frames, ...]:
    joined = []
    for run in zip(*pieces, strict=True):
        # A piece without images may come without a shape: it must not decide how the others look.
        full = [frames for frames in run if len(frames.t)] or [run[0]]
        index: IntArray = np.concatenate([frame_index(frames) for frames in full])
        passes = {name: np.concatenate([frames.passes[name] for frames in full]) for name in full[0].passes}
        joined.append(Frames(np.concatenate([frames.t for frames in full]), passes, index))
    return tuple(joined)


def _same_tables(a: Record, b: Record) -> bool:
    """Say whether tables that both have are declared alike, so that their codes mean the same."""
    shared: set[str] = set(a.tables) & set(b.tables)
    return all(_declared_alike(a.tables[path], b.tables[path]) for path in shared)


def _declared_alike(a: Table, b: Table) -> bool:
    return a.schema is b.schema or a.schema == b.schema


def _size(record: Record) -> int:
    rows = sum(values.nbytes for table in record.tables.values() for values in table.columns.values())
    rows += sum(signals.values.nbytes for signals in record.signals.values())
    return rows + sum(v.nbytes for frames in record.frames.values() for f in frames for v in f.passes.values())
