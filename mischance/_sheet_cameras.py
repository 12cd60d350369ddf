"""The preview of a dataset with cameras: images of a few runs with boxes, and one moment in every pass."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mischance._canvas import ALARM, FAINT, GOOD, INK, LINE, PALETTE, Canvas
from mischance._sheet import GAP, MARGIN, WIDTH, Columns, of_run, read_image, table, title
from mischance.errors import DatasetError
from mischance.truth import AnyArray

ROWS, COLUMNS = 4, 5
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
    shown = _shown_runs(runs, [run for run, files in found.items() if files])
    if not shown:
        raise DatasetError(f"sensor {sensor!r} has no images in {str(dataset)!r}")
    thumb = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) // COLUMNS
    first = read_image(found[shown[0]][0])
    tall = round(first.shape[0] * thumb / first.shape[1])
    passes = [name for name in ("depth", "instance") if _pass_folder(dataset, sensor, name).is_dir()]
    wide = (WIDTH - 2 * MARGIN - 2 * GAP) // 3
    below = (round(first.shape[0] * wide / first.shape[1]) + 44) if passes else 0
    canvas = Canvas(WIDTH, 84 + len(shown) * (tall + 40) + below + 16)
    title(canvas, dataset, f"{len(found)} runs with camera '{sensor}'")
    y = 84.0
    for run in shown:
        _run_line(canvas, y + 18, run, runs, labels)
        files = found[run]
        chosen = sorted({round(k) for k in np.linspace(0, len(files) - 1, COLUMNS).tolist()})
        for column, k in enumerate(chosen):
            x = MARGIN + column * (thumb + GAP)
            _thumb(canvas, (x, y + 28, thumb), run, files[k], (objects, images))
        y += tall + 40
    if passes:
        run = shown[0]
        file = found[run][_moment(found[run], of_run(objects, run))]
        canvas.text(MARGIN, y + 18, f"run {run}: one moment as colour, {' and '.join(passes)}", size=14, bold=True)
        pictures = [read_image(file)]
        for name in passes:
            raw = read_image(_pass_folder(dataset, sensor, name) / file.parent.name / file.name, raw=True)
            pictures.append(_depth_colors(raw) if name == "depth" else _instance_colors(raw))
        for i, picture in enumerate(pictures):
            canvas.picture(MARGIN + i * (wide + GAP), y + 28, picture, wide)
    return canvas


def _pass_folder(dataset: Path, sensor: str, name: str) -> Path:
    return dataset / ("labels" if name == "instance" else "sensors") / sensor / name


def _run_line(canvas: Canvas, y: float, run: int, runs: Columns, labels: Columns) -> None:
    """Write what is known of a run in one line."""
    x = canvas.text(MARGIN, y, f"run {run}", size=15, bold=True) + 14
    row = {name: values[0] for name, values in of_run(runs, run).items() if len(values)}
    if "event" in row:
        x = canvas.tag(x, y, "event" if row["event"] else "no event", ALARM if row["event"] else GOOD) + 14
    facts = [f"margin {row['margin']:.3g}"] if "margin" in row else []
    facts += [str(row[name]) for name in ("verdict", "reason") if row.get(name)]
    known = of_run(labels, run)
    if known:
        pairs = zip(known["class"].tolist(), known["t_cause"].tolist(), strict=True)
        facts += [f"{kind} at {t:.2f} s" for kind, t in pairs][:3]
    canvas.text(x, y, "   ".join(facts)[:150], size=13, ink=FAINT)


def _thumb(canvas: Canvas, place: Place, run: int, file: Path, truth: tuple[Columns, Columns]) -> None:
    """Put one image with the boxes of its objects and its time."""
    objects, images = truth
    x, y, width = place
    image = read_image(file)
    height = canvas.picture(x, y, image, width)
    ratio, index = width / image.shape[1], int(file.stem)
    actors = sorted(set(objects["actor"].tolist())) if objects else []
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


def _moment(files: list[Path], objects: Columns) -> int:
    """Return which image shows most: the one with the largest visible area of objects, else the middle one."""
    if not objects or not len(objects["index"]):
        return len(files) // 2
    index, area = objects["index"], objects["visible"].astype(np.float64)
    sums = [float(area[index == int(file.stem)].sum()) for file in files]
    return int(np.argmax(sums))


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


def _instance_colors(raw: AnyArray) -> AnyArray:
    palette = np.array([(0, 0, 0), *PALETTE], np.uint8)
    colored: AnyArray = palette[np.where(raw == 0, 0, 1 + (raw.astype(np.int64) - 1) % len(PALETTE))]
    return colored


def _shown_runs(runs: Columns, candidates: list[int]) -> list[int]:
    """Return up to ROWS runs: those with the event first, but leave room for one without."""
    happened = dict(zip(runs["run"].tolist(), runs["event"].tolist(), strict=True)) if "event" in runs else {}
    rare = [run for run in candidates if happened.get(run)]
    usual = [run for run in candidates if not happened.get(run)]
    chosen = rare[: ROWS - 1] if usual else rare[:ROWS]
    return chosen + usual[: ROWS - len(chosen)]
