"""The preview of a dataset with cameras: images of a few runs with boxes, and one moment in every pass."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from mischance.api.names import padded
from mischance.api.tables import AnyArray
from mischance.errors import DatasetError
from mischance.reports.canvas import ALARM, FAINT, GOOD, INK, LINE, PALETTE, Canvas, Color
from mischance.reports.preview.sheet import GAP, MARGIN, WIDTH, Columns, of_run, read_image, shown_runs, table, title

ROWS, COLUMNS = 4, 5
AFTER = 0.3  # how far images go on after an event [s]
Place = tuple[float, float, int]


def cameras(dataset: Path, sensor: str) -> Canvas:
    """Return a sheet with a line of images for each of a few runs, and one moment in every pass.

    Raises:
        DatasetError: there is no image, or one cannot be read.
    """
    home = dataset / "sensors" / sensor
    runs = table(dataset / "runs")
    objects = table(dataset / "labels" / sensor / "objects")
    images = table(dataset / "labels" / sensor / "images")
    labels = table(dataset / "labels")
    found = {int(path.name): sorted(path.glob("*.png")) for path in sorted((home / "frames").iterdir())}
    shown = shown_runs(runs, [run for run, files in found.items() if files], ROWS)
    if not shown:
        raise DatasetError(f"sensor {sensor!r} has no images in {str(dataset)!r}")
    thumb = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) // COLUMNS
    first = read_image(found[shown[0]][0])
    tall = round(first.shape[0] * thumb / first.shape[1])
    passes = [name for name in ("depth", "instance") if (dataset / _pass_folder(sensor, name)).is_dir()]
    wide = (WIDTH - 2 * MARGIN - 2 * GAP) // 3
    below = (round(first.shape[0] * wide / first.shape[1]) + 44) if passes else 0
    canvas = Canvas(WIDTH, 84 + len(shown) * (tall + 40) + below + 16)
    event = str(
        (
            title(canvas, dataset, f"{len(found)} run{'s' * (len(found) > 1)} with camera '{sensor}'").get("event")
            or {}
        ).get("name", "event")
    )
    y = 84.0
    for run in shown:
        _run_line(canvas, y + 18, of_run(runs, run), of_run(labels, run), event)
        files = found[run]
        for column, k in enumerate(_chosen(files, of_run(images, run), of_run(labels, run))):
            x = MARGIN + column * (thumb + GAP)
            _thumb(canvas, (x, y + 28, thumb), run, files[k], (objects, images))
        y += tall + 40
    if passes:
        file = _fullest(found, shown, objects)
        run = int(file.parent.name)
        canvas.text(MARGIN, y + 18, f"run {run}: one moment as colour, {' and '.join(passes)}", size=14, bold=True)
        pictures = [read_image(file)]
        for name in passes:
            raw = read_image(dataset / _pass_folder(sensor, name) / file.parent.name / file.name, raw=True)
            inks = _inks(of_run(objects, run), _actors(objects))
            pictures.append(_depth_colors(raw) if name == "depth" else _instance_colors(raw, inks))
        for i, picture in enumerate(pictures):
            canvas.picture(MARGIN + i * (wide + GAP), y + 28, picture, wide)
    return canvas


def _chosen(files: list[Path], images: Columns, labels: Columns) -> list[int]:
    """Return which images to show: evenly over the run, or up to just after its event."""
    last = len(files) - 1
    if images and labels:
        when = labels["t_cause"][labels["role"] == "event"]
        if len(when):
            last = min(last, int(np.searchsorted(images["t"], float(when.min()) + AFTER)))
    return sorted({round(k) for k in np.linspace(0, last, COLUMNS).tolist()})


def _pass_folder(sensor: str, name: str) -> str:
    return f"{'labels' if name == 'instance' else 'sensors'}/{sensor}/{name}"


def _actors(objects: Columns) -> list[str]:
    return sorted(set(objects["actor"].tolist())) if objects else []


def _inks(objects: Columns, actors: list[str]) -> dict[int, Color]:
    """Return the colour of each labelled instance: that of its actor's boxes."""
    pairs = zip(objects["instance"].tolist(), objects["actor"].tolist(), strict=True) if objects else ()
    return {instance: PALETTE[actors.index(actor) % len(PALETTE)] for instance, actor in pairs}


def _run_line(canvas: Canvas, y: float, run: Columns, labels: Columns, event: str) -> None:
    """Write what is known of a run in one line: what fits of it."""
    row = {name: values[0] for name, values in run.items() if len(values)}
    x = canvas.text(MARGIN, y, f"run {row.get('run', '')}", size=15, bold=True) + 14
    if "event" in row:
        x = canvas.tag(x, y, event if row["event"] else f"no {event}", ALARM if row["event"] else GOOD) + 14
    words = str(row.get("reason") or row.get("verdict") or "").split()
    if labels:
        faults = (i for i, role in enumerate(labels["role"].tolist()) if role == "fault")
        for i in faults:
            words = [f"{labels['class'][i].removeprefix('fault/')} at {labels['t_cause'][i]:.2f} s;", *words]
    line = " ".join(words)
    while words and x + canvas.text_width(line, 13) > WIDTH - MARGIN:
        words.pop()
        line = " ".join(words) + " ..."
    canvas.text(x, y, line, size=13, ink=FAINT)


def _thumb(canvas: Canvas, place: Place, run: int, file: Path, truth: tuple[Columns, Columns]) -> None:
    """Put one image with the boxes of its objects and its time."""
    objects, images = truth
    x, y, width = place
    image = read_image(file)
    height = canvas.picture(x, y, image, width)
    ratio, index = width / image.shape[1], int(file.stem)
    actors = _actors(objects)
    if objects:
        rows = np.flatnonzero((objects["run"] == run) & (objects["index"] == index))
        for i in rows.tolist():
            ink = PALETTE[actors.index(objects["actor"][i]) % len(PALETTE)]
            bx, by, bw, bh = (float(objects[name][i]) * ratio for name in "xywh")
            canvas.box(x + bx, y + by, bw, bh, ink, 1.5)
            caption = f"{objects['actor'][i]} {objects['distance'][i]:.1f} m"
            end = x + bx + canvas.text_width(caption, 11) + 6
            left = x + bx - max(0.0, end - (x + width))
            top = y + by - 3 if by > 16 else y + by + bh + 13
            if y + 12 < top < y + height - 2:
                canvas.fill(left, top - 11, canvas.text_width(caption, 11) + 4, 14, ink)
                canvas.text(left + 2, top, caption, size=11, ink=INK)
    if images:
        at = np.flatnonzero((images["run"] == run) & (images["index"] == index))
        stamp = f"{images['t'][at[0]]:.2f} s" if len(at) else ""
        canvas.fill(x, y + height - 18, canvas.text_width(stamp, 12) + 10, 18, INK)
        canvas.text(x + 5, y + height - 5, stamp, size=12, ink=LINE)


def _fullest(found: Mapping[int, list[Path]], shown: list[int], objects: Columns) -> Path:
    """Return the image with the largest object that is wholly inside it; else the middle one of the first run."""
    if objects and len(objects["run"]):
        whole = np.isin(objects["run"], shown) & ~objects["truncated"].astype(np.bool_)
        best = int(np.argmax(np.where(whole, objects["visible"], -1)))
        name = f"{padded(int(objects['index'][best]))}.png"
        for file in found.get(int(objects["run"][best]), []) if whole[best] else []:
            if file.name == name:
                return file
    files = found[shown[0]]
    return files[len(files) // 2]


def _depth_colors(raw: AnyArray) -> AnyArray:
    """Return near in warm and far in cold colours, on a logarithmic scale; nothing is black."""
    top = np.iinfo(raw.dtype).max
    seen = (raw > 0) & (raw < top)
    if not seen.any():
        return np.zeros((*raw.shape, 3), np.uint8)
    near = np.log(np.where(seen, raw, 1).astype(np.float64))
    low, high = np.percentile(near[seen], [1, 99])
    level = np.clip((high - near) / max(high - low, 1e-9), 0, 1)
    colored: AnyArray = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_TURBO)
    colored[~seen] = 0
    return colored


def _instance_colors(raw: AnyArray, inks: Mapping[int, Color]) -> AnyArray:
    """Return labelled instances in their actors' colours, scenery in dark grey."""
    palette = np.full((int(raw.max()) + 1, 3), INK, np.uint8)
    palette[0] = 0
    for instance, ink in inks.items():
        if instance < len(palette):
            palette[instance] = ink
    colored: AnyArray = palette[raw]
    return colored
