"""Images of an export: which are wanted, by part of the dataset, copied under names that are unique over datasets."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mischance.errors import DatasetError, suggest

if TYPE_CHECKING:
    from mischance.api.exporting import LabelledImage, Stored


def images_of(dataset: Stored, sensors: Sequence[str], folder: Path) -> Iterator[LabelledImage]:
    """Yield the images of the sensors that are in a part of the dataset, each copied to `<folder>/<part>/<name>.png`.

    Raises:
        DatasetError: the dataset has no images with labels, or none of such a sensor.
    """
    known = dataset.cameras()
    odd = [name for name in sensors if name not in known]
    if odd or not known:
        what = f"images of a sensor {odd[0]!r}" if odd else "images with labels"
        hint = suggest(odd[0], known) if odd and known else "a camera and `write: [parquet, coco]` make them"
        raise DatasetError(f"the dataset has no {what}", hint or f"it has: {', '.join(known)}")
    for part in dataset.parts:
        (folder / part).mkdir(parents=True, exist_ok=True)
    for sensor in sensors or known:
        for image in dataset.images(sensor):
            if image.part:
                shutil.copyfile(image.file, folder / image.part / f"{image.name}{image.file.suffix}")
                yield image
