"""A part: what one job made of consecutive runs, whole or absent.

A part is a folder: `_tables/<path>.arrows` (rows), `_part.json` (what the ledger must know of each run),
and the files that writers put at their dataset paths. It is made under a temporary name, synced and renamed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.arrow import TableStreams, with_columns
from mischance.api.names import unique_word
from mischance.api.runs import Record
from mischance.api.scene import Frames
from mischance.api.tables import Column, IntArray, Table, join_tables
from mischance.dataset.digest import RunDigests, frame_index
from mischance.dataset.disk import disk, refusal, remove_tree, sync_file, sync_tree
from mischance.errors import RunError

if TYPE_CHECKING:
    from mischance.api.protocols import Writer
    from mischance.dataset.splits import Splits

TABLES = "_tables"
CONTENTS = "_part.json"
CORE = ("runs", "events", "labels")
BUFFER = 4 << 20  # bytes of records that are joined before they are hashed and written
DIGEST = Column("text", encoding="plain", about="SHA-256 of all rows and images of the run")


@dataclass(frozen=True, slots=True)
class RunRow:
    """What the ledger must know of a finished run."""

    run: int
    digest: str
    event: bool
    weight: float


class PartWriter:
    """Takes the records of a job and makes its part.

    Core tables (runs, events, labels, splits, and the labels of sensors) are always written; everything
    else is up to the writers, which get joined records, so that no one pays for small pieces of time.
    """

    def __init__(
        self, folder: Path, writers: Mapping[str, Callable[[Path], Writer]], splits: Splits | None = None
    ) -> None:
        self.folder = folder
        self.rows: list[RunRow] = []
        self._splits = splits
        with disk(folder):
            folder.mkdir(parents=True)
        self._streams = TableStreams(folder / TABLES)
        self._writers = {name: make(folder) for name, make in writers.items()}
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
        if record.last or self._bytes >= BUFFER:
            self._flush()

    def _flush(self) -> None:
        record = join_records(self._buffer)
        self._buffer, size, self._bytes = [], self._bytes, 0
        digests = self._digests = self._digests or RunDigests(len(record.runs))
        digests.add(record)
        if self._splits is not None:
            self._splits.add(record)
        if record.last:
            record = self._finish_batch(record, digests.finish())
            self._digests = None
        try:
            for path, table in record.tables.items():
                if path in CORE or path.startswith("labels/") or path == "splits":
                    self._streams.append(path, table, record.runs)
            for writer in self._writers.values():
                writer.write(record)
        except OSError as error:
            raise refusal(error, self.folder, self._streams.bytes + size) from error

    def _finish_batch(self, record: Record, digests: Sequence[str]) -> Record:
        runs = record.tables.get("runs")
        if runs is None or len(runs) != len(record.runs) or runs.runs != len(record.runs):
            raise RunError("the last record must have one row a run in its table 'runs'")
        events = runs.columns.get("event", np.zeros(len(runs), np.bool_))
        weights = runs.columns.get("weight", np.ones(len(runs)))
        self.rows += [
            RunRow(int(run), digest, bool(event), float(weight))
            for run, digest, event, weight in zip(record.runs, digests, events, weights, strict=True)
        ]
        tables = {**record.tables, "runs": with_columns(runs, digest=(DIGEST, np.array(digests, object)))}
        if self._splits is not None:
            tables["splits"] = self._splits.finish(record.runs)
        return Record(record.runs, record.start, record.end, tables, record.frames, record.scenes, record.last)

    def close(self) -> list[RunRow]:
        """End all files; return what the ledger must know.

        Raises:
            DatasetError: the disk does not take it.
            RunError: a batch of runs had no last record.
        """
        if self._buffer or self._digests is not None:
            raise RunError("the world stopped without a last record")
        with disk(self.folder, self._streams.bytes):
            self._streams.close()
            for writer in self._writers.values():
                writer.close()
            write_contents(self.folder, self.rows)
        return self.rows

    def abandon(self) -> None:
        """Remove what was made; a full disk gets its space back."""
        # Where the disk is full a stream's end may not fit either; the folder goes anyway.
        with contextlib.suppress(OSError):
            self._streams.close()
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


def write_contents(part: Path, rows: Sequence[RunRow]) -> None:
    """Write down what the ledger must know of a part's runs."""
    text = json.dumps([(row.run, row.digest, row.event, row.weight) for row in rows])
    (part / CONTENTS).write_text(text, encoding="utf-8")


def contents(part: Path) -> list[RunRow] | None:
    """Return what a part says of its runs, or None if it is no whole part."""
    try:
        rows: list[list[Any]] = json.loads((part / CONTENTS).read_text(encoding="utf-8"))
        return [RunRow(*row) for row in rows]
    except (OSError, ValueError, TypeError):
        return None


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
    return Record(first.runs, first.start, last.end, tables, frames, last.scenes, last.last)


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
    return rows + sum(v.nbytes for frames in record.frames.values() for f in frames for v in f.passes.values())
