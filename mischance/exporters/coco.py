"""COCO detection and segmentation: images in folders for train, val and test, and an annotation file for each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pydantic import BaseModel, Field

from mischance.api.coco_format import INFO, annotation_entry, category_entries, compact_json

from ._images import images_of

if TYPE_CHECKING:
    from mischance.api.exporting import LabelledImage, Stored


class Settings(BaseModel, extra="forbid", frozen=True):
    """What may be said of a COCO export."""

    sensors: tuple[str, ...] = Field((), description="cameras to take; all where none is named")


class Coco:
    """Writes `images/<part>/<name>.png` and `annotations/instances_<part>.json`.

    `file_name` is relative to `images/<part>`. Ids are unique over all parts; a category has the number that it has in
    the dataset's own `coco.json`: its place in the world's fixed list, from 1.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder

    def export(self, dataset: Stored) -> Mapping[str, int]:
        """Write all files; return how many images there are in each part, and how many objects."""
        counts: Counter[str] = Counter({f"images in {part}": 0 for part in dataset.parts})
        numbers = {name: number for number, name in enumerate(dataset.categories, start=1)}
        images: dict[str, list[str]] = defaultdict(list)
        place = self.folder / "annotations"
        place.mkdir(parents=True)
        paths = {part: place / f"instances_{part}.json" for part in dataset.parts}
        files = {part: path.open("w", encoding="utf-8", newline="\n") for part, path in paths.items()}
        try:
            for file in files.values():
                file.write('{"annotations":[')
            written: Counter[str] = Counter()
            wanted = images_of(dataset, self.settings.sensors, self.folder / "images")
            for image_id, image in enumerate(wanted, start=1):
                images[image.part].append(compact_json(_image_entry(image, image_id)))
                for row in image.objects:
                    counts["objects"] += 1
                    self._write_mark(files[image.part], row, image, image_id, counts["objects"], numbers, written)
                counts[f"images in {image.part}"] += 1
            for part, file in files.items():
                file.write(f'],\n"categories":{compact_json(category_entries(numbers))},\n"images":[')
                file.write(",\n".join(images[part]))
                file.write(f'],\n"info":{compact_json(INFO)},\n"licenses":[]}}\n')
        finally:
            for file in files.values():
                file.close()
        return counts

    def _write_mark(
        self,
        file: IO[str],
        row: Mapping[str, object],
        image: LabelledImage,
        image_id: int,
        mark_id: int,
        numbers: Mapping[str, int],
        written: Counter[str],
    ) -> None:
        mark = annotation_entry(row, image_id)
        mask = {"counts": mark.pop("segmentation"), "size": [image.height, image.width]}
        whole = mark | {"id": mark_id, "category_id": numbers[mark.pop("category")], "segmentation": mask}
        file.write((",\n" if written[image.part] else "\n") + compact_json(whole))
        written[image.part] += 1


def _image_entry(image: LabelledImage, image_id: int) -> dict[str, object]:
    return {
        "id": image_id, "file_name": f"{image.name}{image.file.suffix}", "width": image.width, "height": image.height,
        "sensor": image.sensor, "run": image.run, "index": image.index, "t": round(image.t, 9),
        "t_shown": round(image.t_shown, 9),
    }  # fmt: skip
