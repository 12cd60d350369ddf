"""The picture of how a run begins: its scene from above at t = 0, from the truth of a world that has played nothing."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from mischance.api.appearance import SURFACES
from mischance.api.arrow import arrow_batch
from mischance.api.runs import Chunk
from mischance.api.tables import AnyArray
from mischance.dataset.shards import range_name
from mischance.errors import DatasetError
from mischance.language.scenario import Scenario
from mischance.opening.reading import Dataset
from mischance.play.records import record_of
from mischance.play.starting import Start
from mischance.reports.canvas import ALARM, FAINT, GOOD, SCALE, Canvas
from mischance.reports.preview.sheet import MARGIN, WIDTH
from mischance.reports.replay.ground import ground as ground_of
from mischance.reports.replay.ground import inside
from mischance.reports.replay.model import Body, RunView
from mischance.reports.replay.outlines import VEHICLES, silhouette
from mischance.reports.replay.run_view import links_of, unnamed_in
from mischance.reports.replay.top_view import (
    View,
    bodies,
    endless,
    ground,
    names,
    scale_bar,
)
from mischance.reports.replay.tracks import Track, appearances, tracks

MOVING = 1.0  # a vehicle that goes faster at t = 0 is meant to be on a surface [m/s]
_TOP, _TALL = 74.0, 460


def scene_at_start(scenario: Scenario, start: Start) -> RunView | None:
    """Return what of a run is drawn at t = 0; None where its world shows no positions, or cannot begin at all."""
    if start.truth is None:
        return None
    with tempfile.TemporaryDirectory(prefix="mischance-") as folder:
        dataset = _stored(scenario, start.truth, start.run, Path(folder))
        looks = appearances(dataset, start.run)
        try:
            placed, _ = tracks(dataset, start.run, looks)
        except DatasetError:
            return None
        surface = ground_of(dataset, start.run, looks.values(), placed)
    links = links_of(placed)
    hidden = unnamed_in(links, placed)
    shown = tuple(
        replace(_body(track, "subject" if i == 0 else "other"), named=track.name not in hidden)
        for i, track in enumerate(placed)
    )
    name = scenario.event.name if scenario.event else "event"
    return RunView(
        scenario.name, scenario.about, scenario.seed, start.run, name, False, "", start.error, (), (), np.zeros(1),
        shown, (), (), surface, (), links, (), (),
    )  # fmt: skip


def off_surface(shown: RunView) -> list[str]:
    """Return the names of the subject and of moving vehicles that are on no lane, aisle or other floor at t = 0."""
    surfaces = [one.points for one in shown.ground if one.kind in SURFACES and len(one.points)]
    if not surfaces:
        return []
    found = []
    for body in shown.bodies:
        driven = body.role == "subject" or (body.kind in VEHICLES and body.speed[0] > MOVING)
        x, y = float(body.x[0]), float(body.y[0])
        if driven and np.isfinite(x + y) and not any(bool(inside(area, x, y)) for area in surfaces):
            found.append(body.name)
    return found


def draw_start(shown: RunView, out: Path) -> Path:
    """Write the scene of `scene_at_start` as a PNG, with who is who, how fast, and what is wrong; return its path.

    Raises:
        DatasetError: the picture cannot be written.
    """
    canvas = Canvas(WIDTH, round(_TOP + _TALL + 20))
    x = canvas.text(MARGIN, 36, shown.name, size=22, bold=True)
    x = canvas.text(x + 16, 36, f"run {shown.run}, seed {shown.seed}, t = 0 s", size=13, ink=FAINT)
    wrong = shown.reason or ", ".join(f"{name} is on no surface" for name in off_surface(shown))
    canvas.tag(x + 16, 36, "cannot begin" if shown.reason else "look" if wrong else "begins", ALARM if wrong else GOOD)
    canvas.text(MARGIN, 60, wrong or shown.about, size=13, ink=ALARM if wrong else FAINT)
    wide = WIDTH - 2 * MARGIN
    size = (wide * SCALE, _TALL * SCALE)
    image: AnyArray = np.zeros((size[1], size[0], 3), np.uint8)
    seen = _view(shown, *size)
    ground(image, shown, seen, SCALE)
    covered = bodies(image, shown, seen, 0.0, SCALE, arrows=False)
    names(image, shown, seen, 0.0, covered, [], size=12.0 * SCALE)
    scale_bar(image, seen, 10.0 * SCALE)
    canvas.picture(MARGIN, _TOP, image, wide)
    return canvas.save(out)


def _stored(scenario: Scenario, truth: Chunk, run: int, folder: Path) -> Dataset:
    """Store the tables of the beginning as a dataset does, so that they are read as a dataset's are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "scenario.yaml").write_text(scenario.text(), encoding="utf-8")
    for path, table in record_of(np.array([run]), truth, {}).tables.items():
        if len(table):
            (folder / path).mkdir(parents=True)
            batch = arrow_batch(table, np.array([run]))
            pq.write_table(pa.Table.from_batches([batch]), folder / path / f"{range_name(run, run)}.parquet")
    return Dataset(folder)


def _body(track: Track, role: str) -> Body:
    look = track.look
    parts = silhouette(look.kind, look.length, look.width, look.shape != "box")
    ends = slice(-1, None)
    return Body(
        track.name, look.kind, role, look.length, look.width, look.shape != "box", parts, track.x[ends], track.y[ends],
        track.yaw[ends], track.speed[ends], track.acceleration[ends],
    )  # fmt: skip


def _view(shown: RunView, wide: int, tall: int) -> View:
    """Return a view of all bodies; on lanes, where they are far apart, of the subject and those nearest to it."""
    places = np.array([[body.x[0], body.y[0]] for body in shown.bodies])
    reach = np.array([0.5 * np.hypot(body.length, body.width) for body in shown.bodies])
    known = np.isfinite(places).all(axis=1)
    places, reach = places[known], reach[known, None]
    if not len(places):
        return View(np.zeros(2), 10.0, wide, tall)
    subject = shown.bodies[0]
    most = wide / (7.0 * max(subject.length, 0.5))
    least = 22.0 * SCALE / max(subject.length, 0.5)  # below it nobody is to be seen
    low, high = (places - reach).min(axis=0), (places + reach).max(axis=0)
    margin = 40.0 * SCALE
    size = np.maximum(high - low, 1e-6)
    scale = min((wide - 2.0 * margin) / size[0], (tall - 2.0 * margin) / size[1], most)
    centre = 0.5 * (low + high)
    if scale < least and endless(shown):
        scale, centre = least, places[0]
    return View(centre, float(scale), wide, tall)
