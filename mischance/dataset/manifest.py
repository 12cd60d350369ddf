"""The manifest: every file of a dataset with its SHA-256, and nothing that depends on when or where it was made."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mischance.api.arrow import canonical_json
from mischance.dataset.disk import FileFacts, file_hash, write_whole
from mischance.dataset.ledger import NAME as LEDGER
from mischance.dataset.ledger import Ledger
from mischance.dataset.shards import MERGE, Shard
from mischance.errors import DatasetError

MANIFEST = "manifest.json"
LOCK = ".lock"
PARTS = "parts"
MADE_OF_IT = ("report.html", "preview.png", "map.png", "map.csv")
# What the manifest leaves out: itself, the ledger (it holds seconds), and what is made from the rest.
_LEFT_OUT = {
    MANIFEST,
    LEDGER,
    f"{LEDGER}-wal",
    f"{LEDGER}-shm",
    f"{LEDGER}-journal",
    LOCK,
    *MADE_OF_IT,
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """What fixes every byte of a dataset: the scenario, the seed, the plan, the shards, twins or not, the version."""

    name: str
    identity: str
    seed: int
    runs: int
    shard: int
    twin: bool
    keep_twins: bool
    versions: Mapping[str, str]
    plan: str = "monte_carlo"
    points: int = 0  # of the plan; 0 where it is Monte Carlo
    inputs: Mapping[str, str] = field(default_factory=dict)
    begins: str = ""  # calendar time of t = 0

    def shards(self) -> list[Shard]:
        """Return the shards."""
        return Shard.all(self.runs, self.shard)

    def other_inputs(self, other: Recipe) -> str:
        """Say in words which input files differ from those of another recipe; '' = none."""
        both = self.inputs.keys() | other.inputs.keys()
        names = sorted(name for name in both if self.inputs.get(name) != other.inputs.get(name))
        if not names:
            return ""
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f", and these files have changed: {', '.join(name.removeprefix('inputs/') for name in names[:3])}{more}"

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, as the ledger keeps it."""
        return asdict(self)

    def __str__(self) -> str:
        twin = (", with twins" if self.twin else "") + (" kept" if self.keep_twins else "")
        return f"{self.name} {self.identity[:16]} (seed {self.seed}, {self.runs} runs, shards of {self.shard}{twin})"


def write_manifest(out: Path, recipe: Recipe, missing: Sequence[int], known: Mapping[str, FileFacts]) -> None:
    """Write the manifest, last of all files and in one step.

    Args:
        out: the dataset.
        recipe: what it was made by.
        missing: runs that were given up.
        known: facts of files that were hashed as they were made; the others are hashed now.
    """
    body = {
        "versions": dict(recipe.versions),
        "scenario": {"name": recipe.name, "identity": recipe.identity},
        **({"begins": recipe.begins} if recipe.begins else {}),
        "seed": recipe.seed,
        "plan": {"kind": recipe.plan, "runs": recipe.runs, **({"points": recipe.points} if recipe.points else {})},
        "shard": recipe.shard,
        "twin": recipe.twin,
        "keep_twins": recipe.keep_twins,
        "missing": list(missing),
    }
    write_body(out, body, known)


def write_body(out: Path, body: Mapping[str, Any], known: Mapping[str, FileFacts]) -> None:
    """Write a manifest that says `body` of the dataset, and its files.

    Args:
        out: the dataset.
        body: what it is made by, as plain values.
        known: facts of files that were hashed as they were made; the others are hashed now.
    """
    paths = files(out)
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        facts = pool.map(lambda path: known.get(str(path)) or _facts(out / path), paths)
        entries = {str(path): _entry(file) for path, file in zip(paths, facts, strict=True)}
    whole = {**body, "files": entries}
    write_whole(out / MANIFEST, canonical_json({"dataset": _identity(whole), **whole}).encode())


def read_manifest(out: Path) -> dict[str, Any]:
    """Return the manifest of a finished dataset.

    Raises:
        DatasetError: there is none, or it is damaged.
    """
    try:
        text = (out / MANIFEST).read_bytes()
    except FileNotFoundError:
        if (out / LEDGER).is_file():
            raise DatasetError(f"{out} is not finished", "run its sweep again to finish it") from None
        raise DatasetError(f"{out} is no dataset: it has no {MANIFEST}") from None
    except OSError as error:
        raise DatasetError(f"cannot read {out / MANIFEST}: {error.strerror}") from error
    damaged = DatasetError(f"{out / MANIFEST} is damaged", "restore it from a copy, or make the dataset again")
    try:
        manifest = json.loads(text)
    except ValueError:
        raise damaged from None
    if not isinstance(manifest, dict) or canonical_json(manifest).encode() != text:
        raise damaged
    body = {key: value for key, value in manifest.items() if key != "dataset"}
    if manifest.get("dataset") != _identity(body) or not isinstance(manifest.get("files"), dict):
        raise damaged
    return manifest


def verify(out: Path) -> list[str]:
    """Hash every file again; return a line for each that differs, is missing, or does not belong there.

    The ledger is not in the manifest: it is checked to be sound and to hold the digests that stand in `runs/`.

    Raises:
        DatasetError: the folder is no finished dataset.
    """
    try:
        manifest = read_manifest(out)
    except DatasetError as error:
        if error.message.endswith("is damaged"):
            return [f"{MANIFEST}: damaged: it is not what was written"]
        raise
    listed: dict[str, dict[str, Any]] = manifest["files"]
    found = {str(path) for path in files(out)}
    problems = [f"{name}: missing" for name in sorted(set(listed) - found)]
    problems += [f"{name}: not in the manifest" for name in sorted(found - set(listed))]
    present = sorted(found & set(listed))
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for name, problem in zip(present, pool.map(lambda n: _difference(out / n, listed[n]), present), strict=True):
            if problem:
                problems.append(f"{name}: {problem}")
    if not problems:
        problems += _check_ledger(out)
    return sorted(problems)


def files(out: Path) -> list[Path]:
    """Return the files that a manifest lists, sorted, relative to the dataset."""
    found = []
    for root, folders, names in os.walk(out):
        top = Path(root) == out
        if top:
            folders[:] = [name for name in folders if name not in (PARTS, MERGE)]
        here = Path(root).relative_to(out)
        found += [here / name for name in names if not (top and (name in _LEFT_OUT or name.endswith(".tmp")))]
    return sorted(found, key=str)


def _facts(file: Path) -> FileFacts:
    rows = None
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        rows = pq.read_metadata(file).num_rows
    return FileFacts(file_hash(file), file.stat().st_size, rows)


def _entry(file: FileFacts) -> dict[str, Any]:
    entry: dict[str, Any] = {"bytes": file.bytes, "sha256": file.sha256}
    return entry if file.rows is None else {**entry, "rows": file.rows}


def _difference(file: Path, entry: Mapping[str, Any]) -> str:
    try:
        size = file.stat().st_size
        if size != entry["bytes"]:
            return f"has {size:,} bytes where {entry['bytes']:,} were written"
        return "" if file_hash(file) == entry["sha256"] else "its content changed"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _check_ledger(out: Path) -> list[str]:
    if not (out / LEDGER).is_file():
        return []  # a dataset may be handed on without it
    try:
        with Ledger(out, read_only=True) as ledger:
            trouble = ledger.check()
            if trouble:
                return [f"{LEDGER}: {trouble}"]
            known = {row.run: row.digest for row in ledger.done(0, 2**62)}
    except DatasetError as error:
        return [f"{LEDGER}: {error.message}"]
    stored = dict(_stored_digests(out))
    odd = sorted(run for run in known.keys() | stored.keys() if known.get(run) != stored.get(run))
    return [f"{LEDGER}: run {odd[0]} has another digest than in runs/ ({len(odd)} such runs)"] if odd else []


def _stored_digests(out: Path) -> Iterable[tuple[int, str]]:
    import pyarrow.parquet as pq

    for file in sorted((out / "runs").glob("*.parquet")):
        table = pq.ParquetFile(file).read(columns=["run", "digest"])
        yield from zip(table["run"].to_pylist(), table["digest"].to_pylist(), strict=True)


def _identity(body: Mapping[str, Any]) -> str:
    """Return the dataset's id: the hash of all else in the manifest, so that one flipped bit shows there too."""
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()[:32]
