"""One picture of a dataset, to see at a glance what came out: camera images, payments, runs from above, or signals.

A sheet is made from the finished files alone and is the same for the same files.
"""

from __future__ import annotations

from pathlib import Path

from mischance.errors import DatasetError
from mischance.reports.preview.cameras import cameras
from mischance.reports.preview.payments import payments
from mischance.reports.preview.signals import signals
from mischance.reports.preview.tracks import tracks


def contact_sheet(dataset: Path, out: Path) -> Path:
    """Write a PNG that shows what a dataset holds, and return its path.

    Camera images with their boxes where there are cameras, else payments with the campaigns marked, else how all
    runs came out and some of them from above, else the first table of signals. Only the first file of each table is
    read.

    Raises:
        DatasetError: the folder is no dataset, an image is damaged, or the picture cannot be written.
    """
    if not (dataset / "scenario.yaml").is_file():
        raise DatasetError(f"{str(dataset)!r} is no dataset: it has no scenario.yaml")
    seeing = sorted(path.parent.name for path in dataset.glob("sensors/*/frames") if any(path.iterdir()))
    if seeing:
        canvas = cameras(dataset, seeing[0])
    elif (dataset / "truth" / "transactions").is_dir():
        canvas = payments(dataset)
    else:
        canvas = tracks(dataset) or signals(dataset)
    return canvas.save(out)
