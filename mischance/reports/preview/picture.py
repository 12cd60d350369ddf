"""One picture of a dataset: camera images, values of events, runs from above, or signals.

A sheet is made from the finished files alone and is the same for the same files.
"""

from __future__ import annotations

from pathlib import Path

from mischance.dataset.origins import is_merged
from mischance.errors import DatasetError
from mischance.reports.preview.cameras import cameras
from mischance.reports.preview.classes import merged_sheet, with_classes
from mischance.reports.preview.event_table import event_table, events
from mischance.reports.preview.happenings import happenings
from mischance.reports.preview.runs import runs_from_above
from mischance.reports.preview.signals import signals


def contact_sheet(dataset: Path, out: Path) -> Path:
    """Write a PNG that shows what a dataset holds, and return its path.

    Camera images with their boxes where there are cameras; else a table of events with a value each, its labelled rows
    marked; else how all runs came out and some of them from above; else the first table of signals; else measures by
    run, rows over time, and when what happened. Only the first file of each table is read.
    Below stands how many of each class there are, in each part. Of a merged dataset: its
    origins, and the counts of each.

    Raises:
        DatasetError: the folder is no dataset, an image is damaged, or the picture cannot be written.
    """
    if not (dataset / "scenario.yaml").is_file():
        raise DatasetError(f"{str(dataset)!r} is no dataset: it has no scenario.yaml")
    if is_merged(dataset):
        return merged_sheet(dataset).save(out)
    seeing = sorted(path.parent.name for path in dataset.glob("sensors/*/frames") if any(path.iterdir()))
    if seeing:
        canvas = cameras(dataset, seeing[0])
    elif (found := event_table(dataset)) is not None:
        canvas = events(dataset, found)
    else:
        canvas = runs_from_above(dataset) or signals(dataset) or happenings(dataset)
    return with_classes(canvas, dataset).save(out)
