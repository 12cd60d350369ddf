"""The ways that bodies mean to go, from a table `truth/paths` of straight pieces and arcs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import cos, hypot, inf, pi, sin

import numpy as np

from mischance.api.tables import AnyArray, FloatArray
from mischance.reports.replay.model import Contact, Way
from mischance.reports.replay.tracks import Track

_STEP = 1.5  # between the points of a way [m]
_ON = 40.0  # how far a way is drawn beyond where its body came to [m]
_NEEDED = {"t", "actor", "path", "piece", "x", "y", "heading", "way", "length", "curvature", "offset"}

_Piece = tuple[float, float, float, float, float, float]  # x, y, heading, way, length, curvature


def ways(table: Mapping[str, AnyArray], placed: Sequence[Track], contacts: Sequence[Contact]) -> tuple[Way, ...]:
    """Return the planned ways of some bodies, none where the table does not have what it takes.

    A way holds until another replaces it, or until its body is first touched: from then on nobody drives it.
    """
    if not set(table) >= _NEEDED:
        return ()
    found: list[Way] = []
    who = table["actor"].astype(str)
    for track in placed:
        touched = min((contact.t for contact in contacts if track.name in contact.who), default=inf)
        mine = {name: table[name][who == track.name] for name in _NEEDED - {"actor"}}
        numbers = np.unique(mine["path"]).tolist()
        starts = [float(mine["t"][mine["path"] == number][0]) for number in numbers]
        for number, start, end in zip(numbers, starts, [*starts, inf][1:], strict=True):
            rows = mine["path"] == number
            order = np.argsort(mine["piece"][rows], kind="stable")
            columns = [mine[name][rows][order].tolist() for name in ("x", "y", "heading", "way", "length", "curvature")]
            pieces: list[_Piece] = list(zip(*columns, strict=True))
            points = _points(pieces, float(mine["offset"][rows][0]), track, start, min(end, touched))
            if start < touched and len(points) > 1:
                found.append(Way(track.name, start, min(end, touched), points))
    return tuple(found)


def _points(pieces: Sequence[_Piece], offset: float, track: Track, start: float, end: float) -> FloatArray:
    """Return points from where the body is at the start to somewhat beyond where it comes to by the end."""
    there = np.isfinite(track.x) & (track.t >= start - 1e-6) & (track.t <= end + 1e-6)
    if not there.any():
        return np.zeros((0, 2))
    i, j = np.flatnonzero(there)[[0, -1]].tolist()
    first = _project(pieces, float(track.x[i]), float(track.y[i]))
    last = max(_project(pieces, float(track.x[j]), float(track.y[j])), first)
    planned = pieces[-1][3] if len(pieces) > 1 else first  # a turn is shown whole, even if nobody came that far
    s = np.arange(first, max(last, planned) + _ON + _STEP, _STEP)
    return np.array([_place(pieces, value, offset) for value in s.tolist()])


def _project(pieces: Sequence[_Piece], x: float, y: float) -> float:
    """Return the way along the pieces to the point that is nearest."""
    best, found = inf, 0.0
    for n, (px, py, heading, way, length, curvature) in enumerate(pieces):
        dx, dy = x - px, y - py
        low, high = (-inf if n == 0 else 0.0), (inf if n == len(pieces) - 1 else length)
        if curvature == 0.0:
            ds = dx * cos(heading) + dy * sin(heading)
        else:
            sign = 1.0 if curvature > 0.0 else -1.0
            rx, ry = dx + sin(heading) / curvature, dy - cos(heading) / curvature  # from the arc's centre
            turned = float(np.arctan2(sign * rx, -sign * ry)) - heading
            ds = (turned - 2.0 * pi * round(turned / (2.0 * pi))) / curvature
        ds = min(max(ds, low), high)
        at = _place([(px, py, heading, 0.0, inf, curvature)], ds, 0.0)
        far = hypot(at[0] - x, at[1] - y)
        if far < best - 1e-9:
            best, found = far, way + ds
    return found


def _place(pieces: Sequence[_Piece], s: float, left: float) -> tuple[float, float]:
    x, y, heading, way, _, curvature = next((piece for piece in reversed(pieces) if piece[3] <= s), pieces[0])
    ds = s - way
    half = 0.5 * curvature * ds
    chord, turned = ds * float(np.sinc(half / pi)), heading + 2.0 * half
    return x + chord * cos(heading + half) - left * sin(turned), y + chord * sin(heading + half) + left * cos(turned)


def ahead(points: FloatArray, at: tuple[float, float], room: float) -> Iterator[tuple[float, float]]:
    """Yield a place and the points of a way from some room beyond it on: a body joins its way smoothly."""
    nearest = int(np.argmin((points[:, 0] - at[0]) ** 2 + (points[:, 1] - at[1]) ** 2))
    yield at
    yield from ((x, y) for x, y in points[nearest + 1 + round(room / _STEP) :].tolist())
