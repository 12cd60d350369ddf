"""Replay: play one run of a dataset again, alone, and say whether the same comes out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mischance.api.arrow import read_parquet, read_stream, rows_of, stream_paths
from mischance.api.names import padded
from mischance.dataset.draft import SCENARIO, looking, stored_recipe
from mischance.dataset.ledger import Ledger, RunEntry
from mischance.dataset.machine import differing_facts
from mischance.dataset.manifest import PARTS, read_manifest
from mischance.dataset.origins import is_merged, origin_of_run, read_merge, recipe_of_manifest
from mischance.dataset.parts import CONTENTS, TABLES, contents
from mischance.dataset.shards import MERGE
from mischance.dataset.table_files import PARQUET, table_paths
from mischance.errors import DatasetError
from mischance.sweep.messages import DatasetRef, Done, Failed, ReplayJob
from mischance.sweep.runners import Processes, Runner, Serial
from mischance.sweep.workers import SCENARIO_WORK

if TYPE_CHECKING:
    import pyarrow as pa

    from mischance.api.tables import AnyArray

TOLERANCE = 1e-9  # relative and absolute: other CPUs differ in the last bits of exp, log, power (numpy #23523)
_PIXEL = 1  # levels by which an image may differ where floats do in their last bits

Verdict = Literal["identical", "close", "differs", "failed"]


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay came to.

    identical: same digest. close: same events, labels and verdict, floats within 1e-9. differs: `difference`
    says where first. failed: the run did not finish, now or then; `difference` says why. `why`: what is different
    on this machine. `as_before`: it failed now just as it did then.
    """

    run: int
    verdict: Verdict
    stored: str | None
    replayed: str | None
    difference: str = ""
    largest: float = 0.0
    why: tuple[str, ...] = field(default=())
    as_before: bool = False

    @property
    def identical(self) -> bool:
        """Whether every byte is the same."""
        return self.verdict == "identical"

    @property
    def same(self) -> bool:
        """Whether the run tells the same story, up to last bits of floats."""
        return self.verdict in ("identical", "close")

    def text(self) -> str:
        """Return one line for people."""
        head = f"run {self.run}: "
        why = f"; {'; '.join(self.why)}" if self.why else ""
        if self.verdict == "identical":
            return f"{head}identical (digest {str(self.stored)[:16]})"
        if self.verdict == "close":
            return f"{head}same events, labels and verdict; floats within 1e-9 (largest {self.largest:.1e}){why}"
        return f"{head}{self.difference}{why}" if self.verdict == "failed" else f"{head}differs: {self.difference}{why}"

    def facts(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "run": self.run, "verdict": self.verdict, "identical": self.identical, "same": self.same,
            "stored_digest": self.stored, "replayed_digest": self.replayed, "difference": self.difference,
            "largest_difference": self.largest, "why": list(self.why), "as_before": self.as_before,
        }  # fmt: skip


def replay(out: Path | str, run: int, *, limit: float = 600.0, work: str = SCENARIO_WORK) -> Replay:
    """Play one run of a dataset alone and compare it with what is stored.

    A run that crashed or hung is played in a process of its own, where it has `limit` seconds.

    Raises:
        DatasetError: the folder is no dataset, or has no such run.
    """
    folder = Path(out)
    if is_merged(folder):
        return _replay_of_origin(folder, run, limit, work)
    with looking(folder) as ledger, tempfile.TemporaryDirectory(prefix="mischance-replay-") as scratch:
        recipe = stored_recipe(ledger)
        if not 0 <= run < recipe.runs:
            raise DatasetError(f"{folder} has runs 0 to {recipe.runs - 1}, not {run}")
        entry = ledger.run(run)
        if entry is None:
            raise DatasetError(f"run {run} was not played yet", "finish the dataset by running its sweep again")
        job = ReplayJob(DatasetRef(str(folder.absolute()), recipe, work), run, f"{scratch}/part", limit)
        result = _played(job, Serial() if entry.status in ("done", "failed") else Processes(1, Path(scratch)))
        why = tuple(differing_facts(ledger.meta().get("facts", {})))
        if isinstance(result, Failed):
            if result.stop is not None:
                raise DatasetError(result.reason, result.stop)
            return _failed(entry, result, why)
        digest = result.rows[0].digest
        if entry.status != "done":
            return Replay(run, "failed", None, digest, f"finished now; the ledger has it as {entry.status}", why=why)
        # The files are read even where the digests agree: what was changed in them afterwards must show.
        difference, largest = _compare(_Stored(folder, ledger, run), Path(scratch) / "part", run)
        return _judged(run, entry.digest, digest, difference, largest, why)


def _played(job: ReplayJob, runner: Runner) -> Done | Failed:
    try:
        runner.submit(job)
        while True:
            for _, found in runner.collect(timeout=0.5):
                return found
    finally:
        runner.close()


def _judged(run: int, stored: str | None, digest: str, difference: str, largest: float, why: tuple[str, ...]) -> Replay:
    if digest == stored:
        if not difference and largest == 0.0:
            return Replay(run, "identical", stored, digest)
        difference = difference or f"a stored number is off by {largest:.1e}: the files were changed"
    verdict: Verdict = "differs" if difference else "close"
    return Replay(run, verdict, stored, digest, difference, largest, why)


def _replay_of_origin(folder: Path, run: int, limit: float, work: str) -> Replay:
    """Play a run of a merged dataset from its origin's scenario, which stands in the dataset, and compare."""
    origin, number = origin_of_run(folder, run)
    home = folder / origin.folder
    stored = _Merged(folder, run, number)
    if stored.digest is None:
        what = "had failed there" if number in origin.missing else "was left out when the dataset was merged"
        raise DatasetError(
            f"{folder} has no run {run}: run {number} of {origin.name} (dataset {origin.dataset[:8]}) {what}",
            f"`mischance sweep {home / SCENARIO} --runs {origin.runs} --out DIR` plays all of its runs again",
        )
    with tempfile.TemporaryDirectory(prefix="mischance-replay-") as scratch:
        recipe = recipe_of_manifest(read_manifest(home))
        job = ReplayJob(DatasetRef(str(home.absolute()), recipe, work), number, f"{scratch}/part", limit)
        result = _played(job, Serial())
        if isinstance(result, Failed):
            if result.stop is not None:
                raise DatasetError(result.reason, result.stop)
            return Replay(run, "failed", stored.digest, None, f"{result.status} now ({result.reason})")
        difference, largest = _compare(stored, Path(scratch) / "part", number)
        return _judged(run, stored.digest, result.rows[0].digest, difference, largest, ())


def _failed(entry: RunEntry, result: Failed, why: tuple[str, ...]) -> Replay:
    reason, before = (text.split("\n")[0] for text in (result.reason, entry.error or ""))
    # Where a process was ended from outside, the place that it had got to differs from time to time.
    if entry.status == result.status and (reason == before or result.status != "failed"):
        return Replay(entry.run, "failed", entry.digest, None, f"fails as before: {reason}", as_before=True)
    then = f"; then it was {entry.status}" + (f" ({before})" if before else "")
    return Replay(entry.run, "failed", entry.digest, None, f"{result.status} now ({reason}){then}", why=why)


class _Merged:
    """What a merged dataset holds of one run, as its origin had it: with its number there, and without what is new."""

    def __init__(self, out: Path, run: int, number: int) -> None:
        self.files = out
        self._run, self._number = run, number
        facts = read_merge(out)
        self._added = {"origin", "origin_run", *(["weight"] if facts["balance"] is not None else [])}
        self._left = {"splits"} if facts["split"] == "redraw" else set[str]()
        found = self._read("runs")["digest"].to_pylist()
        self.digest: str | None = found[0] if found else None

    def _read(self, path: str) -> pa.Table:
        import pyarrow as pa

        for file in sorted((self.files / path).glob(f"*{PARQUET}")):
            low, high = (int(part) for part in file.stem.split("-"))
            if low <= self._run <= high:
                return read_parquet(file, [self._run])
        return pa.table({"digest": pa.array([], pa.string())})

    def tables(self) -> dict[str, Any]:
        """Return path -> reader of the rows of the run."""
        paths = {str(file.parent.relative_to(self.files)) for file in self.files.rglob(f"*{PARQUET}")}
        return {path: lambda path=path: self._read(path) for path in sorted(paths - self._left)}

    def alike(self, path: str, before: pa.Table, again: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Return the stored and the replayed rows of a table in what both can have, the run's number left aside."""
        import pyarrow as pa

        added = {"run", *(self._added if path == "runs" else ())}
        nothing = {
            name
            for name in set(before.column_names) - set(again.column_names)
            if before[name].null_count == len(before)
        }
        if path == "labels" and "twin" in before.column_names:
            twins = [
                f"run:{self._number}{name.removeprefix(f'run:{self._run}')}" if name else name
                for name in before["twin"].to_pylist()
            ]
            before = before.set_column(before.schema.get_field_index("twin"), "twin", pa.array(twins, pa.string()))
        kept = [name for name in before.column_names if name not in added | nothing]
        mine = [name for name in again.column_names if name not in added]
        return before.select(sorted(kept)), again.select(sorted(mine))

    def place(self, path: Path) -> Path:
        """Return where a file of the run stands that its replay has put at that path."""
        own, new = padded(self._number), padded(self._run)
        return Path(*(new if part == own else part for part in path.parts))

    def skips(self, path: str) -> bool:
        """Say whether a table is not to be compared."""
        return path in self._left


class _Stored:
    """What a dataset holds of one run: in its final files, or in a part where its shard is not sealed."""

    def alike(self, path: str, before: pa.Table, again: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Return the stored and the replayed rows of a table, as they are compared."""
        del path
        return before, again

    def place(self, path: Path) -> Path:
        """Return where a file of the run stands that its replay has put at that path."""
        return path

    def skips(self, path: str) -> bool:
        """Say whether a table is not to be compared."""
        del path
        return False

    def __init__(self, out: Path, ledger: Ledger, run: int) -> None:
        self.run = run
        recipe = stored_recipe(ledger)
        self._shard = next(shard for shard in recipe.shards() if shard.first <= run <= shard.last)
        self._sealed = self._shard.first in ledger.sealed()
        self.files = out
        if not self._sealed:
            for first, last, name in ledger.parts():
                if first <= run <= last and any(row.run == run for row in contents(out / PARTS / name) or ()):
                    self.files = out / PARTS / name

    def tables(self) -> dict[str, Any]:
        """Return path -> reader of the rows of the run."""
        if not self._sealed:
            folder = self.files / TABLES
            streams: dict[str, Any] = {
                path: lambda path=path: _table(read_stream(folder, path), self.run) for path in stream_paths(folder)
            }
            whole = {  # of a job that holds its whole shard
                path: lambda path=path: read_parquet(folder / f"{path}{PARQUET}", [self.run])
                for path in table_paths(folder)
            }
            return whole | streams
        name = f"{self._shard.name}.parquet"
        found = {}
        for file in self.files.rglob(name):
            path = str(file.parent.relative_to(self.files))
            if not path.startswith(PARTS):
                found[path] = lambda file=file: read_parquet(file, [self.run])
        return found


def _rows(stream: tuple[pa.Schema, list[pa.RecordBatch]], run: int) -> list[pa.RecordBatch]:
    return rows_of(stream[1], run)


def _table(stream: tuple[pa.Schema, list[pa.RecordBatch]], run: int) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_batches(_rows(stream, run), schema=stream[0])


def _compare(stored: _Stored | _Merged, part: Path, run: int) -> tuple[str, float]:
    """Return the first difference that matters ('' for none) and the largest difference of floats."""
    mine = stored.tables()
    largest = 0.0
    paths = set(stream_paths(part / TABLES))
    for path in sorted(paths | set(mine), key=lambda path: (path not in ("events", "labels", "runs"), path)):
        if stored.skips(path):
            continue
        again = _table(read_stream(part / TABLES, path), run) if path in paths else None
        before = mine[path]() if path in mine else None
        if before is None or again is None:
            if (again if before is None else before).num_rows:  # type: ignore[union-attr]
                return f"table {path} is only {'replayed' if before is None else 'stored'}", largest
            continue
        difference, size = compare_tables(path, *stored.alike(path, before, again))
        largest = max(largest, size)
        if difference:
            return difference, largest
    return next(_file_differences(stored, part), ""), largest


def compare_tables(path: str, before: pa.Table, again: pa.Table) -> tuple[str, float]:
    """Return the first difference of two tables that matters ('' for none), and the largest difference of floats."""
    if before.schema.names != again.schema.names:
        return f"table {path} has columns {before.schema.names} stored, {again.schema.names} replayed", 0.0
    if before.num_rows != again.num_rows:
        return f"table {path} has {before.num_rows} rows stored, {again.num_rows} replayed", 0.0
    largest = 0.0
    for name in before.schema.names:
        if (path, name) == ("runs", "digest"):
            continue
        wrong, size = _compare_columns(before[name], again[name])
        largest = max(largest, size)
        if len(wrong):
            row = int(wrong[0])
            values = f"{before[name][row].as_py()!r} stored, {again[name][row].as_py()!r} replayed"
            return f"{path}.{name}, row {row} of the run: {values}", largest
    return "", largest


def _compare_columns(before: pa.ChunkedArray, again: pa.ChunkedArray) -> tuple[AnyArray, float]:
    """Return the rows that differ, and by how much floats do."""
    import pyarrow as pa

    if pa.types.is_floating(before.type) and pa.types.is_floating(again.type):
        a, b = (column.to_numpy(zero_copy_only=False).astype(np.float64) for column in (before, again))
        nulls = before.is_null().to_numpy() != again.is_null().to_numpy()
        with np.errstate(invalid="ignore"):
            apart = np.where(np.isfinite(a) & np.isfinite(b), np.abs(a - b), 0.0)
        wrong = nulls | ~np.isclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        return np.flatnonzero(wrong), float(apart.max(initial=0.0))
    pairs = zip(before.to_pylist(), again.to_pylist(), strict=True)
    return np.array([row for row, (x, y) in enumerate(pairs) if x != y], np.int64), 0.0


def _file_differences(stored: _Stored | _Merged, part: Path) -> Iterator[str]:
    for file in sorted(part.rglob("*")):
        path = file.relative_to(part)
        if path.parts[0] in (TABLES, CONTENTS, MERGE):
            continue
        twin = stored.files / stored.place(path)
        if file.is_dir():
            if twin.is_dir() and file.name.isdigit() and _names(file) != _names(twin):
                yield f"{path} holds {len(_names(twin))} files stored, {len(_names(file))} replayed"
        elif not twin.is_file():
            yield f"{path} is only replayed"
        elif file.read_bytes() != twin.read_bytes() and not alike(twin, file):
            yield f"{path}: another content"


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def alike(before: Path, again: Path) -> bool:
    """Say whether two images or arrays differ in last bits alone."""
    pairs: Mapping[str, tuple[AnyArray, AnyArray]]
    if before.suffix == ".png":
        import cv2

        a, b = (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in (before, again))
        if a is None or b is None or a.shape != b.shape:
            return False
        return bool(np.abs(a.astype(np.int64) - b.astype(np.int64)).max(initial=0) <= _PIXEL)
    if before.suffix == ".npz":
        with np.load(before) as x, np.load(again) as y:
            if set(x.files) != set(y.files):
                return False
            pairs = {name: (x[name], y[name]) for name in x.files}
        return all(
            a.shape == b.shape and bool(np.allclose(a, b, 1e-6, 1e-6, equal_nan=True)) for a, b in pairs.values()
        )
    return False
