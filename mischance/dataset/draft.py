"""The dataset folder while it is being made: claimed by one process, resumable after any stop, never overwritten.

Order: a job's part is whole on the disk, then the ledger knows it; a shard's final files are in place, then the
ledger knows it, then its parts go; the manifest comes last. A larger number of runs extends a dataset: the range of
its shards stays, and a last shard that was not full is turned back into a part before the ledger knows of more runs.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mischance import __version__
from mischance.api.names import MAX_RUNS
from mischance.dataset.card import event_name, write_card
from mischance.dataset.disk import FileFacts, Lock, disk, file_hash, remove_tree, write_whole
from mischance.dataset.ledger import NAME as LEDGER
from mischance.dataset.ledger import Ledger
from mischance.dataset.machine import facts
from mischance.dataset.manifest import LOCK, MADE_OF_IT, MANIFEST, PARTS, Recipe, verify, write_manifest
from mischance.dataset.parts import contents
from mischance.dataset.shards import MERGE, Shard, loosen, range_name, shard_size, table_files, unseal
from mischance.errors import DatasetError, OtherDatasetError

if TYPE_CHECKING:
    from mischance.language.scenario import Scenario

SCENARIO = "scenario.yaml"
# What a dataset may hold before its ledger knows what it is: a folder with anything else is somebody's.
_UNBORN = {LOCK, LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", f"{LEDGER}-journal"}

_OWN = ("runs", "events", "labels", "splits", "truth", "sensors", "twins", "README.md", "croissant.json")


def recipe_of(
    scenario: Scenario, runs: int, *, twin: bool = False, keep_twins: bool = False, shard: int | None = None
) -> Recipe:
    """Return what fixes every byte of a sweep over a scenario.

    Raises:
        DatasetError: a count that is no count, or an input file that cannot be read.
    """
    if runs < 1:
        raise DatasetError(f"a dataset needs at least one run, not {runs}")
    if runs > MAX_RUNS:
        raise DatasetError(f"a dataset holds at most {MAX_RUNS:,} runs, not {runs:,}")
    if shard is not None and shard < 1:
        raise DatasetError(f"a shard needs at least one run, not {shard}")
    inputs = {}
    for name, path in scenario.files.items():
        try:
            inputs[name] = file_hash(Path(path))
        except OSError as error:
            raise DatasetError(f"cannot read {path}: {error.strerror}", "the scenario needs this file") from error
    return Recipe(
        name=scenario.name,
        identity=scenario.identity(),
        seed=scenario.seed,
        runs=runs,
        shard=shard or shard_size(runs),
        twin=twin or keep_twins,
        keep_twins=keep_twins,
        versions={"mischance": __version__, "language": "1"},
        plan=scenario.plan.kind if scenario.plan else "monte_carlo",
        points=scenario.plan.size if scenario.plan else 0,
        inputs=inputs,
        begins=scenario.begins,
    )


class Draft:
    """A dataset that is being made or finished; use it as a context, which holds the folder's lock.

    Entering creates the folder, resumes what stands there, or extends it, and removes what a killed sweep left behind.
    `recipe` has then the range of shards that the folder was made with; `extends` is the number of runs that it had
    where this call adds some, else 0. A folder that holds no finished run is emptied where it is of another dataset:
    `anew` is then the number of runs that had failed there, else None.

    Args:
        out: the folder.
        recipe: what it is to be made by.
        scenario: what is played.
        any_shard: take over the range of shards of a dataset that is there.

    Raises:
        DatasetError: the folder is foreign, holds another dataset, is being written to, or takes no files.
    """

    def __init__(self, out: Path, recipe: Recipe, scenario: Scenario, *, any_shard: bool = False) -> None:
        self.out = out
        self.recipe = recipe
        self.extends = 0
        self.anew: int | None = None
        self._any_shard = any_shard
        self.parts = out / PARTS
        self.scenario = scenario
        self._lock = Lock(out / LOCK)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Draft:
        with contextlib.ExitStack() as stack, disk(self.out):
            _look(self.out)
            self.out.mkdir(parents=True, exist_ok=True)
            self._lock.take()
            stack.callback(self._lock.leave)
            _look(self.out)
            self._compare()
            self.ledger = stack.enter_context(Ledger(self.out))
            self._settle()
            if self.extends:
                self._extend()
            self._tidy()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        if self.finished:
            self.ledger.finish()
        self._stack.close()

    @property
    def finished(self) -> bool:
        """Whether the manifest is written."""
        return (self.out / MANIFEST).is_file()

    def pending(self) -> dict[Shard, list[int]]:
        """Return for every shard that is not sealed its runs that are not decided yet."""
        statuses = self.ledger.statuses()
        sealed = self.ledger.sealed()
        return {
            shard: [run for run in range(shard.first, shard.last + 1) if run not in statuses]
            for shard in self.recipe.shards()
            if shard.first not in sealed
        }

    def parts_of(self, shard: Shard) -> list[str]:
        """Return the parts that the ledger knows for a shard, as paths below the folder of parts."""
        return [name for first, last, name in self.ledger.parts() if shard.first <= first and last <= shard.last]

    def sealed(self, shard: Shard, files: Mapping[str, FileFacts] | None = None) -> None:
        """Note that a shard's final files are in place, and what they are; remove its parts."""
        self.ledger.add_shard(shard.first, shard.last, files)
        with disk(self.parts):
            remove_tree(self.parts / shard.folder)

    def add_inputs(self, sources: Mapping[str, bytes]) -> None:
        """Keep modules of the user's that were first imported during a run: they belong to what the dataset is."""
        inputs = dict(self.recipe.inputs)
        for place, source in sorted(sources.items()):
            name = f"inputs/{place}"
            if name not in inputs:
                (self.out / name).parent.mkdir(parents=True, exist_ok=True)
                write_whole(self.out / name, source)
                inputs[name] = hashlib.sha256(source).hexdigest()
        if inputs != self.recipe.inputs:
            self.recipe = replace(self.recipe, inputs=dict(sorted(inputs.items())))
            self.ledger.set_meta({"recipe": self.recipe.plain()})

    def missing(self) -> list[int]:
        """Return the runs that were given up."""
        return [entry.run for entry in self.ledger.failures()]

    def reopen(self) -> None:
        """Make the failed runs pending again, in shards that are sealed and in those that are not."""
        failed = self.missing()
        if not failed:
            return
        with disk(self.out):
            (self.out / MANIFEST).unlink(missing_ok=True)
            sealed = self.ledger.sealed()
            for shard in self.recipe.shards():
                if not any(shard.first <= run <= shard.last for run in failed):
                    continue
                done = self.ledger.done(shard.first, shard.last) if shard.first in sealed else []
                part = str(unseal(self.out, shard, done).relative_to(self.parts)) if done else None
                self.ledger.reopen_shard(shard.first, shard.last, part)

    def finish(self, per_hour: str = "") -> None:
        """Write the card and the manifest, and remove what only the making needed.

        What merging formats keep of each run stays: runs that are added later are merged with it. `per_hour`: a
        sentence for the card on how often the event happens in an hour.
        """
        missing = self.missing()
        self.ledger.set_meta({"merges": (self.out / MERGE).is_dir()})
        with disk(self.out):
            write_card(self.out, self.recipe, self.scenario.about, missing, event_name(self.scenario), per_hour)
            write_manifest(self.out, self.recipe, missing, self.ledger.files())
            remove_tree(self.parts)

    def _settle(self) -> None:
        """Write down what the dataset is, once."""
        if "recipe" in self.ledger.meta():
            return
        for name, path in self.scenario.files.items():
            (self.out / name).parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.out / name, Path(path).read_bytes())
        write_whole(self.out / SCENARIO, self.scenario.text().encode())
        self.ledger.set_meta({"recipe": self.recipe.plain(), "facts": facts()})

    def _compare(self) -> None:
        """Compare with what stands there, without touching it."""
        if not is_dataset(self.out):
            return
        with Ledger(self.out, read_only=True) as ledger:
            found = stored_recipe(ledger)
            merges = bool(ledger.meta().get("merges"))
            totals = ledger.totals()
        if self._any_shard:
            self.recipe = replace(self.recipe, shard=found.shard)
        self._recognise(found.inputs)
        if found.plain() == self.recipe.plain():
            return
        if not totals.done and self._empty():
            self.anew = totals.failures
            return
        if replace(found, runs=self.recipe.runs).plain() == self.recipe.plain():
            if self.recipe.runs < found.runs:
                raise OtherDatasetError(
                    f"{self.out} already holds {found.runs:,} runs of this scenario; this call is for"
                    f" {self.recipe.runs:,}",
                    "a dataset is never cut: ask for as many or more, or choose another folder with --out",
                )
            if merges and not (self.out / MERGE).is_dir():
                raise DatasetError(
                    f"{self.out} cannot be extended: its folder {MERGE} is gone, which a merging format needs",
                    "restore it, or make the larger dataset in another folder with --out",
                )
            self.extends = found.runs
            return
        if found.versions != self.recipe.versions and found.identity == self.recipe.identity:
            raise OtherDatasetError(
                f"{self.out} was begun by mischance {found.versions.get('mischance')}, this is {__version__}",
                "finish it with that version, or choose another folder with --out",
            )
        if (found.plan, found.seed) == (self.recipe.plan, self.recipe.seed) and found.points != self.recipe.points:
            raise OtherDatasetError(
                f"{self.out} holds a plan ({found.plan}) of {found.points:,} points, this call has one of"
                f" {self.recipe.points:,}: the points of a plan depend on how many it has, so none would fit the other",
                "keep the plan and ask for more --runs, which go through it in further blocks, or choose another --out",
            )
        raise OtherDatasetError(
            f"{self.out} already holds another dataset: {found}; this call is for {self.recipe}"
            f"{self.recipe.other_inputs(found)}",
            "choose another folder with --out, repeat the first call to resume it, or remove the folder",
        )

    def _recognise(self, stored: Mapping[str, str]) -> None:
        """Take over modules that were first imported during a run, where they are what they were."""
        extra = {}
        for name in stored.keys() - self.recipe.inputs.keys():
            for root in {path.parent for path in self.scenario.files.values() if path.suffix == ".py"}:
                file = root / name.removeprefix("inputs/")
                if file.is_file():
                    extra[name] = file_hash(file)
                    break
        if extra:
            self.recipe = replace(self.recipe, inputs=dict(sorted({**self.recipe.inputs, **extra}.items())))

    def _empty(self) -> bool:
        """Remove all of a dataset without a finished run; say whether there was nothing else in the folder."""
        known = {SCENARIO, "inputs", PARTS, MERGE, MANIFEST, *MADE_OF_IT, *_UNBORN, *_OWN}
        entries = [entry for entry in self.out.iterdir() if entry.name != LOCK]
        if not {entry.name for entry in entries} <= known:
            return False
        for entry in entries:
            remove_tree(entry)
        return True

    def _extend(self) -> None:
        """Turn a dataset into an unfinished one of more runs; whoever stops it leaves the one or the other."""
        before = stored_recipe(self.ledger)
        last = before.shards()[-1]
        grows = last.last - last.first + 1 < before.shard
        unsealed = None
        if grows and last.first in self.ledger.sealed():
            done = self.ledger.done(last.first, last.last)
            self.parts.mkdir(exist_ok=True)
            part = str(unseal(self.out, last, done).relative_to(self.parts)) if done else None
            unsealed = (last.first, last.last, part)
        elif grows and (self.parts / last.folder).is_dir():
            for folder in (self.parts / last.folder).iterdir():
                loosen(self.out, last, folder)
        for name in (MANIFEST, *MADE_OF_IT):
            remove_tree(self.out / name)
        # Files of that shard go even where it was not sealed: sealing may have been stopped half-way.
        self.ledger.extend(self.recipe.plain(), unsealed, last.name if grows else "")

    def _tidy(self) -> None:
        """Remove leftovers; take over parts that are whole but that the ledger missed."""
        stale = self.ledger.meta().get("stale")
        if stale:
            for file in table_files(self.out, stale):
                remove_tree(file)
            self.ledger.set_meta({"stale": ""})
        for file in [*self.out.glob(".*.tmp"), *(self.out / "inputs").rglob(".*.tmp")]:
            remove_tree(file)
        if self.finished:
            remove_tree(self.parts)
            return
        self.parts.mkdir(exist_ok=True)
        sealed = self.ledger.sealed()
        shards = {shard.folder: shard for shard in self.recipe.shards()}
        known = {}
        for first, last, name in self.ledger.parts():
            known[name] = (first, last)
            if contents(self.parts / name) is None:
                self.ledger.drop_part(first, last, self._runs_of_lost_part(first, last))
                del known[name]
        for folder in sorted(self.parts.iterdir()):
            shard = shards.get(folder.name)
            if shard is None or shard.first in sealed:
                remove_tree(folder)
                continue
            for part in sorted(folder.iterdir()):
                if f"{folder.name}/{part.name}" not in known and not self._adopt(shard, part):
                    remove_tree(part)

    def _runs_of_lost_part(self, first: int, last: int) -> list[int]:
        covered = set()
        for a, b, name in self.ledger.parts():
            if (a, b) != (first, last):
                covered |= {row.run for row in contents(self.parts / name) or []}
        return [row.run for row in self.ledger.done(first, last) if row.run not in covered]

    def _adopt(self, shard: Shard, part: Path) -> bool:
        rows = contents(part)
        if not rows or part.name != range_name(rows[0].run, rows[-1].run):
            return False
        statuses = self.ledger.statuses()
        if any(not shard.first <= row.run <= shard.last or row.run in statuses for row in rows):
            return False
        self.ledger.add_part(rows[0].run, rows[-1].run, f"{shard.folder}/{part.name}", rows, None)
        return True


def _look(out: Path) -> None:
    """Refuse a folder that is somebody else's.

    Raises:
        DatasetError: it is a file, or holds files that are no dataset's.
    """
    if out.exists() and not out.is_dir():
        raise DatasetError(f"{out} is a file, not a folder", "choose another folder with --out")
    if not out.exists() or is_dataset(out):
        return
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in _UNBORN and not _remains(out, entry))
    if foreign:
        raise DatasetError(
            f"{out} is not empty and is no dataset: it holds {', '.join(foreign[:3])}",
            "choose a new or empty folder with --out",
        )


def is_dataset(out: Path) -> bool:
    """Say whether a folder holds a dataset, finished or begun."""
    if not (out / LEDGER).is_file() or not (out / LEDGER).stat().st_size:
        return False
    try:
        with Ledger(out, read_only=True) as ledger:
            return "recipe" in ledger.meta()
    except DatasetError:
        return False


def _remains(out: Path, entry: Path) -> bool:
    """Say whether a file is what a sweep leaves that was killed as it began: the ledger comes after the scenario."""
    begun = (out / LEDGER).exists()
    return begun and (
        entry.name in (SCENARIO, "inputs") or (entry.name.startswith(".") and entry.name.endswith(".tmp"))
    )


@contextlib.contextmanager
def looking(out: Path) -> Iterator[Ledger]:
    """Open the ledger of a dataset for reading, also while a sweep writes it.

    Raises:
        DatasetError: the folder is no dataset.
    """
    if not out.is_dir():
        raise DatasetError(f"there is no folder {out}")
    with Ledger(out, read_only=True) as ledger:
        yield ledger


def stored_recipe(ledger: Ledger) -> Recipe:
    """Return what a dataset was made by."""
    stored = ledger.meta().get("recipe")
    if not isinstance(stored, dict):
        raise DatasetError(f"{ledger.path} does not say what the dataset is")
    return Recipe(**stored)


__all__ = ["SCENARIO", "Draft", "is_dataset", "looking", "recipe_of", "stored_recipe", "verify"]
