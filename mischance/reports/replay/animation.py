"""One run of a dataset as a moving picture: a page to scrub through, or a film.

Both are drawn from the finished files alone and are the same for the same files. A page is one HTML file that
asks nothing of any network; a film is an MP4 of the same picture.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from mischance.api.tables import AnyArray, FloatArray
from mischance.dataset.disk import disk, write_whole
from mischance.errors import DatasetError
from mischance.reports.replay.film import film
from mischance.reports.replay.model import RunView
from mischance.reports.replay.outlines import BRAKING, SMALL, VEHICLES
from mischance.reports.replay.run_view import run_view

LARGEST = 1_000_000  # bytes of a page
_PAGE_FRAMES, _FILM_FRAMES = 2400, 200_000
_ROUGH = 60  # below so many frames a smaller page would show too little


def replay_page(dataset: Path, run: int, out: Path, causes: Sequence[str] = ()) -> Path:
    """Write a self-contained HTML page that plays one run, and return its path.

    It shows the bodies from above, distances and speeds over time, events, labels, drawn values and the verdict.
    Samples are thinned until the page is no larger than 1 MB; the page says so.

    Args:
        dataset: folder of a dataset.
        run: number of the run.
        out: file to write, `.html`; one that is there is replaced.
        causes: lines below the reason: the possible causes that were tested.

    Raises:
        DatasetError: there is no such dataset or run, the run has no positions, or the file cannot be written.
    """
    _check_out(dataset, out, (".html", ".htm"))
    frames = _PAGE_FRAMES
    while True:
        page = _page(replace(run_view(dataset, run, frames), causes=tuple(causes))).encode()
        if len(page) <= LARGEST or frames <= _ROUGH:
            break
        frames = max(_ROUGH, int(0.9 * frames * LARGEST / len(page)))
    with disk(out, len(page)):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, page)
    return out


def replay_video(dataset: Path, run: int, out: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write an MP4 film of one run (1280 x 720, 25 frames a second, MPEG-4 part 2), and return its path.

    A run that would last longer than two minutes is shown faster; the picture says how much.

    Args:
        dataset: folder of a dataset.
        run: number of the run.
        out: file to write, `.mp4`; one that is there is replaced.
        progress: called with frames drawn and frames in all.

    Raises:
        DatasetError: as `replay_page`, or OpenCV on this machine cannot write such a film.
    """
    _check_out(dataset, out, (".mp4",))
    return film(run_view(dataset, run, _FILM_FRAMES), out, progress)


def _check_out(dataset: Path, out: Path, suffixes: tuple[str, ...]) -> None:
    if out.suffix.lower() not in suffixes:
        raise DatasetError(f"{str(out)!r} should end in {suffixes[0]}", f"for example {out.with_suffix(suffixes[0])}")
    if out.is_dir():
        raise DatasetError(f"{out} is a folder", "name a file")
    if dataset.resolve() in out.resolve().parents:
        raise DatasetError(f"{out} lies inside the dataset, whose manifest would not know it", "name a file elsewhere")


def _page(run: RunView) -> str:
    here = Path(__file__).parent
    script, style = ((here / f"animation.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    environment = jinja2.Environment(
        autoescape=True, loader=jinja2.FileSystemLoader(here), undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("animation.html.j2").render(
        run=run, script=script, style=style, script_hash=_hash(script), style_hash=_hash(style), data=_data(run)
    )


def _hash(text: str) -> str:
    """Return a Content-Security-Policy source that allows this very text and nothing else."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data(run: RunView) -> str:
    """Return what the page's script draws, as JSON that cannot end the element it stands in."""
    spots = np.concatenate([np.concatenate([body.x, body.y]) for body in run.bodies])
    spots = spots[np.isfinite(spots)]
    places = 2 if not len(spots) or np.ptp(spots) > 8.0 else 4  # centimetres, less where everything is small
    looks: dict[Any, int] = {}  # equal bodies share their outlines
    shapes: list[Any] = []
    for body in run.bodies:
        key = (body.kind, body.length, body.width, body.round)
        if key not in looks:
            looks[key] = len(shapes)
            shapes.append([[part.paint, np.round(part.points, 3).ravel().tolist()] for part in body.parts])
    document: dict[str, Any] = {
        "t": _numbers(run.t, 3),
        "event": run.event,
        "shapes": shapes,
        "bodies": [
            {
                "name": body.name, "role": body.role, "kind": body.kind, "round": body.round,
                "shape": looks[body.kind, body.length, body.width, body.round], "small": body.kind in SMALL,
                "named": body.named,
                "length": round(body.length, 3), "width": round(body.width, 3),
                "x": _numbers(body.x, places), "y": _numbers(body.y, places), "yaw": _numbers(body.yaw, 3),
                "speed": _numbers(body.speed, 2),
                "brakes": _spans(run.t, body.acceleration) if body.kind in VEHICLES else [],
            }
            for body in run.bodies
        ],
        "contacts": [
            {"t": round(c.t, 4), "x": round(c.x, 3), "y": round(c.y, 3), "bodies": c.bodies, "words": c.words,
             "normal": c.normal, "impulse": c.impulse}
            for c in run.contacts
        ],
        "moments": [
            {"t": round(m.t, 4), "kind": m.kind, "title": m.title, "words": m.words, "end": _number(m.end, 4),
             "cause": m.cause}
            for m in run.moments
        ],
        "ground": [
            {"kind": line.kind, "points": np.round(line.points, places).tolist(), "friction": _number(line.friction, 3),
             "width": round(line.width, 3)}
            for line in run.ground
        ],
        "paths": [
            {"body": path.body, "start": round(path.start, 4), "end": _number(path.end, 4),
             "points": np.round(path.points, 2).tolist()}
            for path in run.paths
        ],
        "links": [{"bodies": link.bodies, "width": round(link.width, 3)} for link in run.links],
        "series": [
            {
                "name": row.name, "unit": row.unit, "about": row.about, "low": round(row.low, 3),
                "high": round(row.high, 3), "limits": row.limits,
                "lines": [{"whose": w, "role": role, "values": _numbers(v, 2)} for w, role, v in row.lines],
            }
            for row in run.series
        ],
    }  # fmt: skip
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # `<` begins every tag and comment; the other three are escaped as jinja2's tojson does.
    for character in "<>&'":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _spans(t: FloatArray, acceleration: FloatArray) -> list[tuple[float, float]]:
    """Return from when to when somebody brakes so that brake lamps would be lit."""
    lit = np.concatenate([[False], acceleration < -BRAKING, [False]])
    starts = np.flatnonzero(~lit[:-1] & lit[1:])
    ends = np.minimum(np.flatnonzero(lit[:-1] & ~lit[1:]), len(t) - 1)
    return list(zip(np.round(t[starts], 3).tolist(), np.round(t[ends], 3).tolist(), strict=True))


def _numbers(values: AnyArray, digits: int) -> list[float | None]:
    return [_number(value, digits) for value in values.tolist()]


def _number(value: float, digits: int) -> float | None:
    return round(value, digits) if np.isfinite(value) else None
