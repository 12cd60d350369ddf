"""YOLO detection: one text file of normalised boxes an image, in folders for train, val and test, and data.yaml."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from ._images import images_of

if TYPE_CHECKING:
    from mischance.api.exporting import LabelledImage, Stored


class Settings(BaseModel, extra="forbid", frozen=True):
    """What may be said of a YOLO export."""

    sensors: tuple[str, ...] = Field((), description="cameras to take; all where none is named")
    min_visible: int = Field(1, ge=1, description="objects with fewer visible pixels are left out [px]")


class Yolo:
    """Writes `images/<part>/<name>.png`, `labels/<part>/<name>.txt` and `data.yaml`.

    A line is `class x y w h`: the number of the category in the world's fixed list, from 0, and the middle and the size
    of the tight box of its visible pixels, as parts of the image's width and height. An image without objects has an
    empty file.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder

    def export(self, dataset: Stored) -> Mapping[str, int]:
        """Write all files; return how many images there are in each part, and how many objects."""
        counts: Counter[str] = Counter({f"images in {part}": 0 for part in dataset.parts})
        numbers = {name: number for number, name in enumerate(dataset.categories)}
        for part in dataset.parts:
            (self.folder / "labels" / part).mkdir(parents=True, exist_ok=True)
        for image in images_of(dataset, self.settings.sensors, self.folder / "images"):
            lines = self._lines(image, numbers)
            file = self.folder / "labels" / image.part / f"{image.name}.txt"
            file.write_text("".join(lines), encoding="utf-8", newline="\n")
            counts[f"images in {image.part}"] += 1
            counts["objects"] += len(lines)
        self._write_data(dataset)
        return counts

    def _lines(self, image: LabelledImage, numbers: Mapping[str, int]) -> list[str]:
        found = []
        for one in image.objects:
            if one["visible"] >= self.settings.min_visible:
                middle = (one["x"] + one["w"] / 2) / image.width, (one["y"] + one["h"] / 2) / image.height
                size = one["w"] / image.width, one["h"] / image.height
                found.append(" ".join([str(numbers[one["category"]]), *(f"{v:.8f}" for v in (*middle, *size))]) + "\n")
        return found

    def _write_data(self, dataset: Stored) -> None:
        """Write data.yaml; a path in it is relative to the file's own folder."""
        lines = [f"# Exported from the mischance dataset {dataset.identity}.", "path: ."]
        lines += [f"{part}: images/{part}" for part in dataset.parts]
        lines += [f"nc: {len(dataset.categories)}", "names:"]
        lines += [f"  {number}: {json.dumps(name)}" for number, name in enumerate(dataset.categories)]
        (self.folder / "data.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
