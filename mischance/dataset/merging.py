"""Merges finished datasets into one: runs numbered anew with their origin, weights kept, splits kept or dealt out anew.

The new folder is made under another name beside its place and renamed when it is whole, so that a merge that is stopped
leaves nothing. It depends on what is merged and in which order alone: equal calls give equal bytes. No code that a
scenario names is run, but that of the formats in `write` that keep one file for all runs.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mischance import __version__
from mischance.api.arrow import canonical_json
from mischance.api.names import padded
from mischance.api.randomness import keyed_uniform
from mischance.api.tables import IntArray
from mischance.dataset.balancing import balanced
from mischance.dataset.disk import FileFacts, write_whole
from mischance.dataset.draft import SCENARIO
from mischance.dataset.ledger import NAME as LEDGER
from mischance.dataset.manifest import LOCK, MADE_OF_IT, MANIFEST, read_manifest, verify, write_body
from mischance.dataset.merged_card import write_merged_card
from mischance.dataset.merged_changes import RUNS, SPLITS, Source, changes, redrawn_parts, with_origins
from mischance.dataset.merged_formats import rebuild_formats
from mischance.dataset.merged_tables import Numbers, table_names, unified, write_merged
from mischance.dataset.new_folder import new_folder
from mischance.dataset.origins import MERGED, ORIGINS, Origin, is_merged, origins_of, read_merge
from mischance.dataset.shards import MERGE
from mischance.errors import DatasetError
from mischance.language.yaml.document import read

if TYPE_CHECKING:
    from mischance.api.tables import BoolArray, FloatArray

_RUN_FOLDER = re.compile(r"\d{6,}")
_TOP = {SCENARIO, MANIFEST, LEDGER, LOCK, MERGED, "README.md", "croissant.json", *MADE_OF_IT}
_FOLDERS = {"inputs", ORIGINS, MERGE}


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge made: its folder, the origins of its runs, and how many runs it has."""

    path: Path
    origins: tuple[Origin, ...]
    runs: int


def merge(
    sources: Sequence[Path],
    out: Path,
    *,
    split: Literal["keep", "redraw"] = "keep",
    balance: float | None = None,
    probability: Mapping[str, Any] | None = None,
) -> Merged:
    """Merge finished datasets into a new one.

    Args:
        sources: their folders, in the order of the runs; two or more, or one that is to be balanced.
        out: the new folder; it must not exist, or be empty.
        split: `keep` the parts that runs are in, or `redraw` them by run.
        balance: share of runs in which the event happened that the new dataset is to have; runs of the other kind are
            left out, and the weights of the rest make up for it.
        probability: what is said of the event's probability, kept in `merge.json`.

    Raises:
        DatasetError: a source is unfinished or damaged, holds runs that another one holds too, or declares a column in
            another way; `out` is there already; no share of that size can be reached.
    """
    _refuse_place(sources, out)
    found, origins = _numbered(sources)
    found = _chosen(found, balance)
    with new_folder(out, "merging") as draft:
        kept = [replace(one, kept=_kept_of(one, found)) for one in origins]
        _write(draft, found, kept, split, balance, probability)
    return Merged(out, tuple(kept), sum(one.kept for one in kept))


# -- what is merged ----------------------------------------------------------------------------------------------------


def _refuse_place(sources: Sequence[Path], out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} is there already", "a merge makes a new folder: choose another with --out")
    for source in sources:
        if out.resolve().is_relative_to(source.resolve()):
            raise DatasetError(f"{out} lies in {source}, which is to be merged", "choose another folder with --out")


def _numbered(sources: Sequence[Path]) -> tuple[list[Source], list[Origin]]:
    """Return the sources and the origins of their runs, numbered one after the other.

    Raises:
        DatasetError: a source is unfinished or damaged, or two hold the same runs.
    """
    found, origins, first = list[Source](), list[Origin](), 0
    held: dict[tuple[str, int], Path] = {}
    for source in sources:
        manifest = read_manifest(source)
        damaged = verify(source)
        if damaged:
            raise DatasetError(f"{source} is damaged: {damaged[0]}", f"`mischance verify {source}` names all of it")
        runs, event = _runs_of(source)
        if is_merged(source):
            own = origins_of(source)
            total = own[-1].first + own[-1].runs
        else:
            scenario, total = manifest["scenario"], int(manifest["plan"]["runs"])
            missing = tuple(int(run) for run in manifest["missing"])
            own = [
                Origin(
                    manifest["dataset"], scenario["name"], scenario["identity"], int(manifest["seed"]), "", 0, total,
                    len(runs), missing,
                )
            ]  # fmt: skip
        for one in own:
            mine = runs[(runs >= one.first) & (runs < one.first + one.runs)] - one.first
            for run in mine.tolist():
                other = held.setdefault((one.identity, run), source)
                if other is not source:
                    raise DatasetError(
                        f"run {run} of {one.name} with seed {one.seed} stands in {other} and in {source}: the same run",
                        "merge the larger one alone, or make one of them with another --seed",
                    )
            origins.append(replace(one, first=first + one.first, folder=f"{ORIGINS}/{len(origins)}"))
        kept = np.zeros(total, np.bool_)
        kept[runs] = True
        found.append(Source(source, manifest, Numbers(first, kept), runs, event, np.ones(len(runs))))
        first += total
    return found, origins


def _runs_of(folder: Path) -> tuple[IntArray, BoolArray]:
    """Return the numbers of the finished runs of a dataset, and in which of them the event happened."""
    import pyarrow.parquet as pq

    runs, events = [np.zeros(0, np.int64)], [np.zeros(0, np.bool_)]
    for file in sorted((folder / RUNS).glob("*.parquet")):
        names = pq.read_schema(file).names
        table = pq.ParquetFile(file).read(columns=["run", *(["event"] if "event" in names else [])])
        runs.append(table["run"].to_numpy())
        events.append(table["event"].to_numpy() if "event" in names else np.zeros(len(table), np.bool_))
    return np.concatenate(runs), np.concatenate(events).astype(np.bool_)


def _chosen(sources: list[Source], share: float | None) -> list[Source]:
    """Return the sources with the runs that are kept, so that the event has that share of them."""
    if share is None:
        return sources
    y = np.concatenate([one.event for one in sources]).astype(np.int64)
    uniform = np.concatenate([_uniform(one) for one in sources])
    kept, weight = balanced(y, uniform, {1: share})
    found, at = [], 0
    for one in sources:
        mine = slice(at, at + len(one.runs))
        at += len(one.runs)
        mask = np.zeros(len(one.numbers.kept), np.bool_)
        mask[one.runs[kept[mine]]] = True
        chosen = replace(one.numbers, kept=mask)
        found.append(
            replace(
                one, numbers=chosen, runs=one.runs[kept[mine]], event=one.event[kept[mine]],
                factor=weight[mine][kept[mine]],
            )
        )  # fmt: skip
    return found


def _uniform(one: Source) -> FloatArray:
    """Return a number in (0, 1) for each run, which depends on the dataset and the run alone."""
    digest = hashlib.blake2b(f"balance/{one.manifest['dataset']}".encode(), digest_size=32).digest()
    return keyed_uniform(digest, one.runs)


def _kept_of(origin: Origin, sources: Sequence[Source]) -> int:
    new = np.concatenate([one.runs + one.numbers.first for one in sources])
    return int(((new >= origin.first) & (new < origin.first + origin.runs)).sum())


# -- writing -----------------------------------------------------------------------------------------------------------


def _write(
    draft: Path,
    sources: Sequence[Source],
    origins: Sequence[Origin],
    split: str,
    balance: float | None,
    probability: Mapping[str, Any] | None,
) -> None:
    _write_origins(draft, sources, origins)
    scenario = _write_scenario(draft, origins)
    known: dict[str, FileFacts] = {}
    paths = sorted(
        {path for one in sources for path in table_names(one.folder)} - ({SPLITS} if split == "redraw" else set())
    )
    datasets = list(dict.fromkeys(one.dataset for one in origins))
    for path in paths:
        having = [one for one in sources if any((one.folder / path).glob("*.parquet"))]
        try:
            what = unified(path, [one.folder for one in having])
        except DatasetError as error:
            hint = "`--split redraw` deals the parts out anew, by run" if path == SPLITS else error.hint
            raise DatasetError(error.message, hint) from error
        if path == SPLITS and len({tuple(what.schema.names), *(_columns(one.folder, path) for one in having)}) > 1:
            raise DatasetError(
                "the datasets are divided by different things (run, entity, time)",
                "`--split redraw` deals the parts out anew, by run",
            )
        what = with_origins(what, datasets) if path == RUNS else what
        for one in having:
            change = changes(path, one, origins, datasets)
            known |= write_merged(path, what, one.folder, one.numbers, draft, change)
    if split == "redraw":
        known |= redrawn_parts(draft, sources, scenario)
    for one in sources:
        _copy_files(draft, one)
    rebuild_formats(draft, [draft / origin.folder / SCENARIO for origin in origins])
    facts = {
        "origins": [one.plain() for one in origins],
        "split": split,
        "balance": balance,
        "runs": sum(one.kept for one in origins),
        "probability": None if probability is None else dict(probability),
    }
    write_whole(draft / MERGED, canonical_json(facts).encode())
    write_merged_card(draft, origins, facts)
    body = {
        "versions": {"mischance": __version__, "language": "1"},
        "merged": [{"dataset": one.dataset, "name": one.name, "first": one.first, "kept": one.kept} for one in origins],
        "plan": {"kind": "merged", "runs": facts["runs"]},
    }
    write_body(draft, body, known)


def _columns(folder: Path, path: str) -> tuple[str, ...]:
    import pyarrow.parquet as pq

    return tuple(pq.read_schema(next(iter(sorted((folder / path).glob("*.parquet"))))).names)


def _write_origins(draft: Path, sources: Sequence[Source], origins: Sequence[Origin]) -> None:
    """Keep the scenario, the inputs and the manifest of each origin."""
    at = 0
    for one in sources:
        homes = [one.folder / own.folder for own in origins_of(one.folder)] if is_merged(one.folder) else [one.folder]
        for home in homes:
            place = draft / origins[at].folder
            place.mkdir(parents=True)
            shutil.copyfile(home / SCENARIO, place / SCENARIO)
            shutil.copyfile(home / MANIFEST, place / MANIFEST)
            if (home / "inputs").is_dir():
                shutil.copytree(home / "inputs", place / "inputs")
            at += 1


def scenario_tree(file: Path) -> dict[str, Any]:
    """Return a stored scenario as a plain tree; nothing that it names is loaded."""
    return dict(read(file.read_bytes(), str(file)).tree)


def _write_scenario(draft: Path, origins: Sequence[Origin]) -> dict[str, Any]:
    """Write the scenario of the whole: that of all origins where they differ in their seed alone, else a name for them.

    Returns:
        the tree of the first origin's scenario.
    """
    trees = [scenario_tree(draft / one.folder / SCENARIO) for one in origins]
    first = trees[0]
    if all({**tree, "seed": 0} == {**first, "seed": 0} for tree in trees):
        shutil.copyfile(draft / origins[0].folder / SCENARIO, draft / SCENARIO)
        return first
    names = list(dict.fromkeys(one.name for one in origins))
    about = f"Runs of {', '.join(names)}, merged; each has its scenario in {ORIGINS}/."
    begins = {tree.get("begins") for tree in trees}
    lines = [
        "mischance: 1",
        f"name: merged/{'_'.join(name.split('/')[-1] for name in names[:3])}",
        f"about: {json.dumps(about)}",
    ]
    lines += [f"begins: {begin}" for begin in begins if isinstance(begin, str) and len(begins) == 1]
    write_whole(draft / SCENARIO, ("\n".join(lines) + "\n").encode())
    return first


def _copy_files(draft: Path, one: Source) -> None:
    """Copy images and other files of single runs, each into the folder of its run's new number."""
    for name in one.manifest["files"]:
        path = Path(name)
        if path.suffix == ".parquet" or path.parts[0] in _TOP | _FOLDERS:
            continue
        at = next((i for i, part in enumerate(path.parts[:-1]) if _RUN_FOLDER.fullmatch(part)), None)
        if at is None:
            continue  # one file for all runs: the formats make it again
        run = int(path.parts[at])
        if not one.numbers.kept[run]:
            continue
        target = draft.joinpath(*path.parts[:at], padded(run + one.numbers.first), *path.parts[at + 1 :])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(one.folder / path, target)


__all__ = ["Merged", "merge", "read_merge", "scenario_tree"]
