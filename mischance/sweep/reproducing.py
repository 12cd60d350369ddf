"""Reproduce: make a whole dataset again from what it holds itself, and say whether the same comes out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mischance import __version__
from mischance.api.arrow import read_parquet
from mischance.dataset.draft import SCENARIO
from mischance.dataset.ledger import NAME as LEDGER
from mischance.dataset.ledger import Ledger
from mischance.dataset.machine import differing_facts
from mischance.dataset.manifest import read_manifest, verify
from mischance.dataset.origins import is_merged
from mischance.dataset.table_files import PARQUET
from mischance.errors import DatasetError
from mischance.language.loading import load
from mischance.sweep.jobs import sweep
from mischance.sweep.progress import Progress
from mischance.sweep.replaying import alike, compare_tables

if TYPE_CHECKING:
    from mischance.sweep.runners import Runner

_RETOLD = ("README.md",)  # follows from the other files


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came of making a dataset again.

    `differences`: a line for each file that tells another story; `close`: files whose floats differ within 1e-9;
    `largest`: the largest such difference. `why`: what is different on this machine, or of our version.
    """

    dataset: Path
    runs: int
    files: int
    differences: tuple[str, ...]
    close: tuple[str, ...] = ()
    largest: float = 0.0
    why: tuple[str, ...] = field(default=())

    @property
    def identical(self) -> bool:
        """Whether every file is the same to the last byte."""
        return not self.differences and not self.close

    @property
    def same(self) -> bool:
        """Whether all runs tell the same story, up to last bits of floats."""
        return not self.differences

    def text(self) -> str:
        """Return it in lines for people."""
        why = f"; {'; '.join(self.why)}" if self.why and not self.identical else ""
        head = f"{self.dataset}: {self.runs:,} run{'s' * (self.runs > 1)} played again: "
        if self.identical:
            return f"{head}all {self.files:,} files are identical"
        if self.same:
            return f"{head}same events, labels and verdicts; floats within 1e-9 (largest {self.largest:.1e}){why}"
        shown = [*self.differences[:5], *(["…"] if len(self.differences) > 5 else [])]
        count = "1 difference" if len(self.differences) == 1 else f"{len(self.differences)} differences"
        return "\n".join([f"{head}{count}{why}", *(f"  {line}" for line in shown)])

    def facts(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "dataset": str(self.dataset), "runs": self.runs, "files": self.files, "identical": self.identical,
            "same": self.same, "differences": list(self.differences), "close": list(self.close),
            "largest_difference": self.largest, "why": list(self.why),
        }  # fmt: skip


def reproduce(
    dataset: Path | str,
    out: Path | str | None = None,
    *,
    workers: int = 1,
    limit: float = 600.0,
    runner: Runner | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Reproduction:
    """Play all runs of a finished dataset again, from its own scenario, plan, seeds and inputs, and compare.

    Nothing of the dataset is changed. It loads what its scenario names, as `replay` does.

    Args:
        dataset: the folder.
        out: where the new dataset goes, and stays; a folder that is removed again where not given.
        workers: processes; 0 plays in this one, without time limits.
        limit: time that one run may take [s].
        runner: has the jobs done instead of `workers` processes.
        progress: called now and then.

    Raises:
        DatasetError: the folder is no finished dataset, its scenario is not the one that it was made with, or `out`
            cannot be written.
    """
    folder = Path(dataset)
    if is_merged(folder):
        raise DatasetError(
            f"{folder} was merged from other datasets: there is no one scenario that makes it",
            f"`mischance reproduce` takes each of them; `mischance replay {folder} RUN` plays a run of it again",
        )
    manifest = read_manifest(folder)
    scenario = load(folder / SCENARIO)
    if scenario.identity() != manifest["scenario"]["identity"]:
        raise DatasetError(
            f"{folder / SCENARIO} is not the scenario that this dataset was made with",
            f"`mischance verify {folder}` names what was changed",
        )
    if out is not None and Path(out).resolve() == folder.resolve():
        raise DatasetError(f"{folder} is the dataset itself", "choose another folder with --out")
    with tempfile.TemporaryDirectory(prefix="mischance-reproduce-") as scratch:
        again = Path(out) if out is not None else Path(scratch) / "dataset"
        sweep(
            scenario, int(manifest["plan"]["runs"]), again, workers=workers, runner=runner, limit=limit,
            twin=manifest["twin"], keep_twins=manifest["keep_twins"], shard=int(manifest["shard"]), progress=progress,
        )  # fmt: skip
        return _compared(folder, manifest, again, read_manifest(again))


def _compared(before: Path, then: dict[str, Any], again: Path, now: dict[str, Any]) -> Reproduction:
    # The manifest says what was made then; what was changed in the files since must show too.
    differences, close, largest = [f"stored {line}" for line in verify(before)], list[str](), 0.0
    for path in sorted(set(then["files"]) | set(now["files"])):
        stored, made = then["files"].get(path), now["files"].get(path)
        if path in _RETOLD or stored == made:
            continue
        if stored is None or made is None:
            differences.append(f"{path} is only {'made again' if stored is None else 'stored'}")
            continue
        found, size = _difference(path, before / path, again / path)
        largest = max(largest, size)
        if found:
            differences.append(found)
        else:
            close.append(path)
    if then["missing"] != now["missing"]:
        differences.insert(0, f"runs that failed: {then['missing']} then, {now['missing']} now")
    why = tuple(_why(before, then))
    runs, files = int(then["plan"]["runs"]), len(then["files"])
    return Reproduction(before, runs, files, tuple(differences), tuple(close), largest, why)


def _difference(path: str, before: Path, again: Path) -> tuple[str, float]:
    """Return the first difference of a file that matters ('' for none), and the largest one of floats."""
    if before.suffix == PARQUET:
        return compare_tables(str(Path(path).parent), read_parquet(before), read_parquet(again))
    return ("" if alike(before, again) else f"{path}: another content"), 0.0


def _why(folder: Path, manifest: dict[str, Any]) -> Iterator[str]:
    made = manifest["versions"].get("mischance")
    if made != __version__:
        yield f"it was made by mischance {made}, this is {__version__}"
    if (folder / LEDGER).is_file():
        with Ledger(folder, read_only=True) as ledger:
            yield from differing_facts(ledger.meta().get("facts", {}))


__all__ = ["Reproduction", "reproduce"]
