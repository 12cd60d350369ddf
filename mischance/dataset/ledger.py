"""The ledger: one row a run, in SQLite. One process writes, anyone may read while it does.

Tables: `meta` (what the dataset is, and facts on where it was made), `runs` (status, digest, seconds,
error, replay command), `parts` (which parts hold which runs), `shards` (which are
sealed), `files` (hash, bytes and rows of what sealing made, so that no file is hashed twice).
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from mischance.dataset.disk import FileFacts
from mischance.dataset.parts import RunRow
from mischance.errors import DatasetError

NAME = "ledger.sqlite"
FAILURES = ("failed", "crashed", "timeout")
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    run INTEGER PRIMARY KEY, status TEXT NOT NULL, digest TEXT, event INTEGER, weight REAL, seconds REAL,
    error TEXT, replay TEXT);
CREATE TABLE IF NOT EXISTS parts (first INTEGER, last INTEGER, name TEXT, PRIMARY KEY (first, last)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shards (first INTEGER PRIMARY KEY, last INTEGER);
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, shard INTEGER, sha256 TEXT, bytes INTEGER, rows INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_of_shard ON files (shard);
"""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """What the ledger says of a run. `status`: done, failed (an exception), crashed (its process died), timeout."""

    run: int
    status: str
    digest: str | None
    event: bool | None
    weight: float | None
    seconds: float | None
    error: str | None
    replay: str | None


@dataclass(frozen=True, slots=True)
class RunTotals:
    """Counts over the ledger: runs by status, and events among the finished."""

    done: int = 0
    failed: int = 0
    crashed: int = 0
    timeout: int = 0
    events: int = 0

    @property
    def decided(self) -> int:
        """Runs that are done or given up."""
        return self.done + self.failures

    @property
    def failures(self) -> int:
        """Runs that are given up."""
        return self.failed + self.crashed + self.timeout


class Ledger:
    """The ledger of a dataset, open for writing or (`read_only`) for looking."""

    def __init__(self, out: Path, *, read_only: bool = False) -> None:
        self.path = out / NAME
        with _speaking(self.path):
            if read_only:
                if not self.path.is_file():
                    raise DatasetError(f"{out} has no ledger", "is it a dataset of `mischance sweep` or `run`?")
                self._db = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)
            else:
                self._db = sqlite3.connect(self.path, isolation_level=None, timeout=30)
                # A commit in WAL mode is durable against a killed process; what a power cut takes, parts give back.
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                self._db.executescript(_TABLES)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        with _speaking(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def meta(self) -> dict[str, Any]:
        """Return what the dataset is."""
        return {key: json.loads(value) for key, value in self._rows("SELECT key, value FROM meta")}

    def set_meta(self, values: Mapping[str, Any]) -> None:
        """Write what the dataset is."""
        rows = [(key, json.dumps(value, sort_keys=True)) for key, value in values.items()]
        with self.transaction():
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def add_part(self, first: int, last: int, name: str, rows: Sequence[RunRow], seconds: float | None) -> None:
        """Take over a part that is whole on the disk, and its runs."""
        each = seconds / max(len(rows), 1) if seconds is not None else None
        values = [(row.run, "done", row.digest, row.event, row.weight, each, None, None) for row in rows]
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", (first, last, name))
            self._db.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def add_failure(self, run: int, status: str, error: str, replay: str, seconds: float | None = None) -> None:
        """Give a run up."""
        with self.transaction():
            row = (run, status, None, None, None, seconds, error, replay)
            self._db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def add_shard(self, first: int, last: int, files: Mapping[str, FileFacts] | None = None) -> None:
        """Note that the final files of a shard are in place, and what they are; forget its parts."""
        rows = [(path, first, file.sha256, file.bytes, file.rows) for path, file in (files or {}).items()]
        with self.transaction():
            self._db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)
            self._db.execute("INSERT OR REPLACE INTO shards VALUES (?, ?)", (first, last))
            self._db.execute("DELETE FROM parts WHERE first >= ? AND last <= ?", (first, last))

    def reopen_shard(self, first: int, last: int, part: str | None) -> None:
        """Let the failed runs of a shard be tried again; `part` holds its finished ones where it was sealed."""
        with self.transaction():
            marks = ", ".join("?" for _ in FAILURES)
            between = "run BETWEEN ? AND ?"
            self._db.execute(f"DELETE FROM runs WHERE {between} AND status IN ({marks})", (first, last, *FAILURES))
            self._unseal(first, last, part)

    def extend(self, recipe: Mapping[str, Any], unsealed: tuple[int, int, str | None] | None, stale: str) -> None:
        """Make it the ledger of more runs, in one step.

        Args:
            recipe: what the dataset is made by from now on.
            unsealed: first and last run of the sealed shard that was not full, and the part that now holds its rows.
            stale: name of that shard's files, to be removed; '' where there is none.
        """
        values = [("recipe", json.dumps(recipe, sort_keys=True)), ("stale", json.dumps(stale))]
        with self.transaction():
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values)
            if unsealed is not None:
                self._unseal(*unsealed)

    def _unseal(self, first: int, last: int, part: str | None) -> None:
        self._db.execute("DELETE FROM shards WHERE first = ?", (first,))
        # Files that stay, images, are as they were; tables are written anew.
        self._db.execute("DELETE FROM files WHERE shard = ? AND rows IS NOT NULL", (first,))
        if part is not None:
            self._db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", (first, last, part))

    def files(self) -> dict[str, FileFacts]:
        """Return what is known of the files of sealed shards, by path."""
        rows = self._rows("SELECT path, sha256, bytes, rows FROM files")
        return {str(path): FileFacts(str(sha), int(size), rows) for path, sha, size, rows in rows}

    def drop_part(self, first: int, last: int, runs: Iterable[int]) -> None:
        """Forget a part whose folder is gone; its runs are to be done again."""
        with self.transaction():
            self._db.execute("DELETE FROM parts WHERE first = ? AND last = ?", (first, last))
            self._db.executemany("DELETE FROM runs WHERE run = ?", [(run,) for run in runs])

    def parts(self) -> list[tuple[int, int, str]]:
        """Return (first run, last run, path below `parts`) of parts that are not yet sealed, in order of runs."""
        return [(int(a), int(b), str(name)) for a, b, name in self._rows("SELECT * FROM parts ORDER BY first, last")]

    def sealed(self) -> set[int]:
        """Return the first runs of the sealed shards."""
        return {int(first) for (first,) in self._rows("SELECT first FROM shards")}

    def statuses(self) -> dict[int, str]:
        """Return the status of every run that has one."""
        return {int(run): str(status) for run, status in self._rows("SELECT run, status FROM runs")}

    def run(self, run: int) -> RunEntry | None:
        """Return what is known of one run, or None if it was not tried yet."""
        return next(iter(self._entries("WHERE run = ?", (run,))), None)

    def failures(self) -> list[RunEntry]:
        """Return the runs that were given up."""
        return self._entries(f"WHERE status IN ({', '.join('?' for _ in FAILURES)})", FAILURES)

    def done(self, first: int, last: int) -> list[RunRow]:
        """Return the finished runs of a range."""
        query = "SELECT run, digest, event, weight FROM runs WHERE status = 'done' AND run BETWEEN ? AND ? ORDER BY run"
        return [RunRow(int(r), str(d), bool(e), float(w)) for r, d, e, w in self._rows(query, (first, last))]

    def totals(self) -> RunTotals:
        """Return the counts."""
        counts = dict(self._rows("SELECT status, count(*) FROM runs GROUP BY status"))
        (events,) = next(iter(self._rows("SELECT sum(event) FROM runs WHERE status = 'done'")))
        known = {status: int(counts.get(status, 0)) for status in ("done", *FAILURES)}
        return RunTotals(**known, events=int(events or 0))

    def finish(self) -> None:
        """Fold the log into the one file, so that the dataset can be read from a medium that takes no writes."""
        # Somebody who looks at it just now keeps it as it is, which does no harm.
        with contextlib.suppress(sqlite3.OperationalError):
            self._db.execute("PRAGMA journal_mode=DELETE")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def check(self) -> str:
        """Return what is wrong with the file, or ''."""
        try:
            found = "; ".join(str(line) for (line,) in self._db.execute("PRAGMA integrity_check"))
        except sqlite3.Error as error:
            return str(error)
        return "" if found == "ok" else found

    def _entries(self, where: str, values: Sequence[Any]) -> list[RunEntry]:
        query = f"SELECT run, status, digest, event, weight, seconds, error, replay FROM runs {where} ORDER BY run"
        found = []
        for run, status, digest, event, weight, seconds, error, replay in self._rows(query, values):
            happened = None if event is None else bool(event)
            found.append(RunEntry(run, status, digest, happened, weight, seconds, error, replay))
        return found

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with _speaking(self.path):
            return self._db.execute(query, values).fetchall()


@contextlib.contextmanager
def _speaking(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into one clear line."""
    try:
        yield
    except sqlite3.Error as error:
        raise DatasetError(
            f"cannot use {path}: {error}", "check the disk's space and the file's permissions"
        ) from error
