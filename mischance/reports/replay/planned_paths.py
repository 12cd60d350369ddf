"""Where bodies mean to go, from a table `truth/paths` of straight pieces and arcs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf

import numpy as np

from mischance.api.geometry import Piece, project
from mischance.api.line_arrays import line_array, place_all
from mischance.api.tables import AnyArray, FloatArray
from mischance.reports.replay.model import Contact, PlannedPath
from mischance.reports.replay.tracks import Track

_STEP = 1.5  # between the points of a path [m]
_ON = 40.0  # how far a path is drawn beyond where its body came to [m]
_NEEDED = {"t", "actor", "path", "piece", "x", "y", "heading", "way", "length", "curvature", "offset"}


def planned_paths(
    table: Mapping[str, AnyArray], placed: Sequence[Track], contacts: Sequence[Contact]
) -> tuple[PlannedPath, ...]:
    """Return the planned paths of some bodies, none where the table does not have what it takes.

    A path holds until another replaces it, or until its body is first touched: from then on nobody drives it.
    """
    if not set(table) >= _NEEDED:
        return ()
    found: list[PlannedPath] = []
    names = table["actor"].astype(str)
    for track in placed:
        touched = min((contact.t for contact in contacts if track.name in contact.bodies), default=inf)
        mine = {name: table[name][names == track.name] for name in _NEEDED - {"actor"}}
        numbers = np.unique(mine["path"]).tolist()
        starts = [float(mine["t"][mine["path"] == number][0]) for number in numbers]
        for number, start, end in zip(numbers, starts, [*starts, inf][1:], strict=True):
            rows = mine["path"] == number
            order = np.argsort(mine["piece"][rows], kind="stable")
            columns = [mine[name][rows][order].tolist() for name in ("x", "y", "heading", "way", "length", "curvature")]
            line = [Piece.at(*piece) for piece in zip(*columns, strict=True)]
            points = _points(line, float(mine["offset"][rows][0]), track, start, min(end, touched))
            if start < touched and len(points) > 1:
                found.append(PlannedPath(track.name, start, min(end, touched), points))
    return tuple(found)


def _points(line: Sequence[Piece], offset: float, track: Track, start: float, end: float) -> FloatArray:
    """Return points from where the body is at the start to somewhat beyond where it comes to by the end."""
    there = np.isfinite(track.x) & (track.t >= start - 1e-6) & (track.t <= end + 1e-6)
    if not there.any():
        return np.zeros((0, 2))
    i, j = np.flatnonzero(there)[[0, -1]].tolist()
    first = project(line, float(track.x[i]), float(track.y[i]))[0]
    last = max(project(line, float(track.x[j]), float(track.y[j]))[0], first)
    planned = line[-1].s if len(line) > 1 else first  # a turn is shown whole, even if nobody came that far
    s = np.arange(first, max(last, planned) + _ON + _STEP, _STEP)
    x, y, _ = place_all(line_array(line), s, offset)
    return np.stack([x, y], axis=1)


def ahead(points: FloatArray, at: tuple[float, float], room: float) -> Iterator[tuple[float, float]]:
    """Yield a place and the points of a path from some room beyond it on: a body joins its path smoothly."""
    nearest = int(np.argmin((points[:, 0] - at[0]) ** 2 + (points[:, 1] - at[1]) ** 2))
    yield at
    yield from ((x, y) for x, y in points[nearest + 1 + round(room / _STEP) :].tolist())
