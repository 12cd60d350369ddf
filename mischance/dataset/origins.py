"""Where the runs of a merged dataset come from: `merge.json`, and the scenario and inputs of each origin in `origins/`.

Run r of an origin is run `first + r` of the merged dataset. An origin's folder holds its scenario, its inputs and its
manifest, so that a run can be played again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mischance.dataset.manifest import Recipe
from mischance.errors import DatasetError

MERGED = "merge.json"
ORIGINS = "origins"


@dataclass(frozen=True, slots=True)
class Origin:
    """A dataset whose runs stand in a merged one.

    `dataset`: its id; `first`: number of its run 0 in the merged dataset; `runs`: how many it was made for; `kept`: how
    many are here; `missing`: those that had failed, by their numbers in the origin.
    """

    dataset: str
    name: str
    identity: str
    seed: int
    folder: str
    first: int
    runs: int
    kept: int
    missing: tuple[int, ...] = field(default=())

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def is_merged(out: Path) -> bool:
    """Say whether a folder is a merged dataset."""
    return (out / MERGED).is_file()


def read_merge(out: Path) -> dict[str, Any]:
    """Return what `merge.json` says.

    Raises:
        DatasetError: it is damaged.
    """
    try:
        found: dict[str, Any] = json.loads((out / MERGED).read_bytes())
    except (OSError, ValueError) as error:
        raise DatasetError(f"{out / MERGED} is damaged", f"`mischance verify {out}` names what was changed") from error
    return found


def origins_of(out: Path) -> list[Origin]:
    """Return the origins of a merged dataset, in order of their runs."""
    return [Origin(**{**one, "missing": tuple(one["missing"])}) for one in read_merge(out)["origins"]]


def origin_of_run(out: Path, run: int) -> tuple[Origin, int]:
    """Return the origin of a run of a merged dataset, and its number there.

    Raises:
        DatasetError: there is no such run.
    """
    for origin in origins_of(out):
        if origin.first <= run < origin.first + origin.runs:
            return origin, run - origin.first
    raise DatasetError(f"{out} has no run {run}")


def home_of_run(out: Path, run: int) -> tuple[Path, int]:
    """Return the folder that holds the scenario of a run, and its number there: the dataset, or the run's origin in it.

    Raises:
        DatasetError: it is a merged dataset without such a run.
    """
    if not is_merged(out):
        return out, run
    origin, number = origin_of_run(out, run)
    return out / origin.folder, number


def recipe_of_manifest(manifest: Mapping[str, Any]) -> Recipe:
    """Return what a finished dataset was made by, as its manifest has it."""
    plan = manifest["plan"]
    return Recipe(
        name=manifest["scenario"]["name"],
        identity=manifest["scenario"]["identity"],
        seed=manifest["seed"],
        runs=plan["runs"],
        shard=manifest["shard"],
        twin=manifest["twin"],
        keep_twins=manifest["keep_twins"],
        versions=manifest["versions"],
        plan=plan["kind"],
        points=plan.get("points", 0),
        inputs={name: entry["sha256"] for name, entry in manifest["files"].items() if name.startswith("inputs/")},
        begins=manifest.get("begins", ""),
    )
