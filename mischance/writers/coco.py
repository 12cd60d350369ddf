"""COCO annotations of every camera: tight boxes, RLE masks and occlusion, one file per sensor."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from mischance.api.appearance import BODIES
from mischance.api.arrow import read_parquet
from mischance.api.coco_format import INFO, annotation_entry, category_entries, compact_json
from mischance.api.names import padded
from mischance.errors import DatasetError

if TYPE_CHECKING:
    from mischance.api.runs import Record
    from mischance.api.tables import Table

_MERGE = "_merge/coco"
_PER_RUN = 10**6  # image id = run * 10^6 + index


class Settings(BaseModel, extra="forbid", frozen=True):
    """The COCO writer has no settings."""


class Coco:
    """Collects `labels/<sensor>/images` and `objects` of each run, and joins the runs at the end.

    A run's part of the file depends on that run alone, and the parts are joined in the order of the runs, so the
    bytes do not depend on the distribution of runs to workers or on cuts in time.

    A category has one number in all files of a dataset: its place in the world's list of kinds of bodies (`kind` of
    `truth/bodies`), which is the same in all runs. A category that stands in no such list is an error of its world.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self._folder = Path(folder)
        self._images: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
        self._objects: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
        self._kinds: dict[str, None] = {}  # of bodies of the world, or of one world after the other

    def write(self, record: Record) -> None:
        """Add the camera labels of one record; with the last record of a batch, write one file per sensor and run.

        Raises:
            DatasetError: an object's category is no kind of body in the world's list.
        """
        for path, table in record.tables.items():
            room, _, rest = path.partition("/")
            if room == "truth" and rest.rpartition(".")[2] == BODIES:
                self._kinds |= dict.fromkeys(table.schema["kind"].names)
            sensor, _, kind = rest.rpartition("/")
            if room != "labels" or not sensor or kind not in ("images", "objects"):
                continue
            store = self._images if kind == "images" else self._objects
            for i, run in enumerate(record.runs.tolist()):
                store[sensor, run] += _rows(table, i)
        if record.last:
            for run in record.runs.tolist():
                for sensor in sorted({name for name, number in self._images if number == run}):
                    self._save(sensor, run)

    def close(self) -> None:
        """Discard runs that did not end."""
        self._images.clear()
        self._objects.clear()

    @staticmethod
    def merge(dataset: Path) -> None:
        """Join the runs' files into `labels/<sensor>/coco.json`, one run in memory at a time.

        Where the dataset is divided by run, each image says its part as `split`.

        Raises:
            DatasetError: a run's file is damaged.
        """
        parts: dict[str, list[tuple[int, Path]]] = defaultdict(list)
        for path in (dataset / _MERGE).glob("*.json"):
            sensor, _, run = path.stem.rpartition("-")
            parts[sensor].append((int(run), path))
        names: dict[str, None] = {}  # in the order of their numbers, the same for all sensors
        for path in (path for _, found in sorted(parts.items()) for _, path in sorted(found)):
            names |= dict.fromkeys(_load(path)["kinds"])
        for sensor, found in sorted(parts.items()):
            paths = [path for _, path in sorted(found)]
            target = dataset / "labels" / sensor / "coco.json"
            target.parent.mkdir(parents=True, exist_ok=True)
            draft = target.with_suffix(".tmp")
            with draft.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(_document(paths, list(names), parts_of(dataset)))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)

    def _save(self, sensor: str, run: int) -> None:
        images = [_image(row, sensor, run) for row in self._images.pop((sensor, run))]
        marks = [
            annotation_entry(row, image_id) for row, image_id in _numbered(self._objects.pop((sensor, run), []), run)
        ]
        strange = next((mark["category"] for mark in marks if mark["category"] not in self._kinds), None)
        if strange is not None:
            raise DatasetError(
                f"run {run}: sensor {sensor!r} labels an object {strange!r}, which is no kind of body of the world",
                f"kinds in its table `bodies`: {', '.join(self._kinds) or 'none'}; a category's number in COCO is its"
                " place in that list, so the world's author has to add it there",
            )
        part = {"kinds": list(self._kinds), "images": images, "annotations": marks}
        target = self._folder / _MERGE / f"{sensor}-{padded(run)}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(compact_json(part), encoding="utf-8", newline="\n")


def _rows(table: Table, i: int) -> list[dict[str, Any]]:
    columns = {name: values.tolist() for name, values in table.run(i).items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _numbered(rows: list[dict[str, Any]], run: int) -> Iterator[tuple[dict[str, Any], int]]:
    for row in rows:
        yield row, run * _PER_RUN + row["index"]


def _image(row: dict[str, Any], sensor: str, run: int) -> dict[str, Any]:
    return {
        "id": run * _PER_RUN + row["index"],
        "file_name": f"sensors/{sensor}/frames/{padded(run)}/{padded(row['index'])}.png",
        "width": row["width"],
        "height": row["height"],
        "run": run,
        "t": round(row["t"], 9),
        "t_shown": round(row["t_shown"], 9),
    }


def parts_of(dataset: Path) -> dict[int, str]:
    """Return the part of the dataset that each run is in: train, val or test; {} where it is not divided by run."""
    found: dict[int, str] = {}
    for file in sorted((dataset / "splits").glob("*.parquet")):
        table = read_parquet(file)
        if set(table.column_names) != {"run", "split"}:
            return {}
        found |= dict(zip(table["run"].to_pylist(), table["split"].to_pylist(), strict=True))
    return found


def _document(paths: list[Path], names: list[str], parts: dict[int, str]) -> Iterator[str]:
    """Yield the text of the joined file in parts."""
    numbers = {name: i + 1 for i, name in enumerate(names)}
    categories = category_entries(numbers)
    sizes: dict[int, list[int]] = {}
    mark_id = 0
    yield '{"annotations":['
    comma = "\n"
    for path in paths:
        part = _load(path)
        sizes = {image["id"]: [image["height"], image["width"]] for image in part["images"]}
        for mark in part["annotations"]:
            mark_id += 1  # from 1: COCOeval reads an id of 0 as "not matched"
            mask = {"counts": mark.pop("segmentation"), "size": sizes[mark["image_id"]]}
            yield comma + compact_json(
                mark | {"id": mark_id, "category_id": numbers[mark.pop("category")], "segmentation": mask}
            )
            comma = ",\n"
    yield f'],\n"categories":{compact_json(categories)},\n"images":['
    comma = "\n"
    for path in paths:
        for image in _load(path)["images"]:
            name = parts.get(image.get("run", -1))
            yield comma + compact_json(image | {"split": name} if name else image)
            comma = ",\n"
    yield f'],\n"info":{compact_json(INFO)},\n"licenses":[]}}\n'


def _load(path: Path) -> dict[str, Any]:
    try:
        part: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read back: {error}", "run the same command again") from error
    return part
