"""What lies and stands on the ground: lines and surfaces of `truth/lanes`, and the scenery of `truth/bodies`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import cos, pi, sin
from typing import Any, NamedTuple

import numpy as np

from mischance.api.appearance import LANES, LINE_KINDS, PATCH, SURFACES
from mischance.api.geometry import Piece, ways
from mischance.api.line_arrays import line_array, place_all, project_all
from mischance.api.tables import AnyArray, BoolArray, FloatArray
from mischance.opening.reading import Dataset
from mischance.reports.replay.model import GroundLine
from mischance.reports.replay.tracks import Appearance, Track, rows

_BEYOND = 150.0  # of what goes on without end, drawn beyond everybody [m]
_SAG = 0.02  # a bend is drawn as chords that leave it by no more than this [m]
_PATCHES = (LINE_KINDS[PATCH], "zone")
_PAINTED = ("edge", "divider", "stop")
OBSTACLE = "obstacle"
_ORDER = (*SURFACES, *_PATCHES, OBSTACLE)


class _Stretch(NamedTuple):
    """A row of `truth/lanes`: a stretch of one piece, and on what line of which group it lies."""

    piece: Piece
    line: int
    group: int
    kind: str
    begin: float
    end: float
    offset: float
    width: float
    friction: float


def ground(dataset: Dataset, run: int, looks: Iterable[Appearance], placed: Sequence[Track]) -> tuple[GroundLine, ...]:
    """Return what lies and stands on the ground, what is painted first coming first.

    Lines that go on without end are drawn until some way beyond everybody. Nothing is painted where a surface of
    another group goes through.
    """
    stretches = _stretches(dataset, run)
    found: list[GroundLine] = []
    surfaces: list[tuple[int, FloatArray]] = []
    for stretch in _merged([one for one in stretches if one.kind in SURFACES]):
        outline = _outline(stretch, _range(stretch, placed))
        surfaces.append((stretch.group, outline))
        found.append(GroundLine(stretch.kind, outline))
    for stretch in stretches:
        if stretch.kind in SURFACES:
            continue
        ends = _range(stretch, placed)
        if stretch.kind in _PATCHES:
            found += [
                GroundLine(stretch.kind, outline, stretch.friction)
                for outline in [_outline(stretch, ends)]
                if len(outline)
            ]
            continue
        line = _along(stretch, _stations(stretch, ends), stretch.offset)
        elsewhere = [area for group, area in surfaces if group != stretch.group] if stretch.kind in _PAINTED else []
        found += [GroundLine(stretch.kind, part, width=stretch.width) for part in _outside(line, elsewhere)]
    found += [GroundLine(OBSTACLE, _footprint(look)) for look in looks if look.pose is not None and look.length]
    return tuple(sorted(found, key=lambda one: _ORDER.index(one.kind) if one.kind in _ORDER else len(_ORDER)))


def _stretches(dataset: Dataset, run: int) -> list[_Stretch]:
    table = rows(dataset, f"truth/{LANES}", run)
    needed = ("x", "y", "heading", "way", "length", "curvature", "line", "kind", "begin", "end", "offset", "width")
    if not table or not set(needed) <= set(table):
        return []
    count = len(table["line"])
    group = table.get("group", np.zeros(count, np.int64)).tolist()
    friction = table.get("friction", np.full(count, np.nan)).astype(np.float64).tolist()
    numbers = zip(*(table[name].tolist() for name in needed), group, friction, strict=True)
    found = [
        _Stretch(Piece.at(*piece), int(line), int(own), str(kind), begin, end, offset, width, slip)
        for *piece, line, kind, begin, end, offset, width, own, slip in numbers
    ]
    return [one for one in found if one.begin < one.end]


def _merged(stretches: Sequence[_Stretch]) -> Iterator[_Stretch]:
    """Yield surfaces, those that lie side by side on one piece as one: between two lanes there is no seam."""
    alike: dict[tuple[Any, ...], list[_Stretch]] = {}
    for one in stretches:
        alike.setdefault((one.group, one.kind, one.piece, one.begin, one.end), []).append(one)
    for found in alike.values():
        right = None
        for one in sorted(found, key=lambda one: one.offset):
            if right is not None and one.offset - 0.5 * one.width <= right.offset + 0.5 * right.width + 1e-6:
                low, high = right.offset - 0.5 * right.width, one.offset + 0.5 * one.width
                right = right._replace(offset=0.5 * (low + high), width=high - low)
                continue
            if right is not None:
                yield right
            right = one
        if right is not None:
            yield right


def _range(stretch: _Stretch, placed: Sequence[Track]) -> tuple[float, float]:
    """Return the ways between which a stretch is drawn; what has no end is drawn until some way beyond everybody."""
    if np.isfinite(stretch.begin + stretch.end):
        return stretch.begin, stretch.end
    line = line_array([stretch.piece])
    s = np.concatenate([project_all(line, track.x, track.y).s for track in placed])
    s = s[np.isfinite(s)] if len(s) else s
    low, high = (float(s.min()), float(s.max())) if len(s) else (0.0, 0.0)
    begin = stretch.begin if np.isfinite(stretch.begin) else min(low, stretch.piece.s, stretch.end) - _BEYOND
    end = stretch.end if np.isfinite(stretch.end) else max(high, begin) + _BEYOND
    return begin, end


def _stations(stretch: _Stretch, ends: tuple[float, float]) -> FloatArray:
    return ways([stretch.piece], *ends, _SAG)


def _along(stretch: _Stretch, s: FloatArray, left: float) -> FloatArray:
    x, y, _ = place_all(line_array([stretch.piece]), s, left)
    return np.stack([x, y], axis=1)


def _outline(stretch: _Stretch, ends: tuple[float, float]) -> FloatArray:
    """Return a surface's right border and then its left one back; (0, 2) where nothing of it is left.

    Inside a bend a border ends at the bend's centre: no place lies farther to that side.
    """
    right, left = stretch.offset - 0.5 * stretch.width, stretch.offset + 0.5 * stretch.width
    bend = stretch.piece.curvature
    if bend < 0.0:
        right = max(right, 1.0 / bend)
    elif bend > 0.0:
        left = min(left, 1.0 / bend)
    if not right < left:
        return np.zeros((0, 2))
    s = _stations(stretch, ends)
    return np.concatenate([_along(stretch, s, right), _along(stretch, s, left)[::-1]])


def _outside(line: FloatArray, areas: Sequence[FloatArray]) -> Iterator[FloatArray]:
    """Yield the pieces of a line that lie in none of the areas."""
    kept: list[FloatArray] = []
    for a, b in pairwise(line):
        cuts = [0.0, 1.0]
        for area in areas:
            p, q = area, np.roll(area, -1, axis=0)
            u, v, w = b - a, q - p, p - a
            cross = u[0] * v[:, 1] - u[1] * v[:, 0]
            hit = np.abs(cross) > 1e-12
            safe = np.where(hit, cross, 1.0)
            k = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / safe
            m = (w[:, 0] * u[1] - w[:, 1] * u[0]) / safe
            cuts += k[hit & (k > 0.0) & (k < 1.0) & (m >= 0.0) & (m <= 1.0)].tolist()
        for low, high in pairwise(sorted(cuts)):
            middle = a + 0.5 * (low + high) * (b - a)
            if high - low < 1e-9 or any(inside(area, middle[0], middle[1]) for area in areas):
                continue
            first, last = a + low * (b - a), a + high * (b - a)
            if kept and np.abs(kept[-1] - first).max() < 1e-9:
                kept.append(last)
            else:
                if len(kept) > 1:
                    yield np.array(kept)
                kept = [first, last]
    if len(kept) > 1:
        yield np.array(kept)


def inside(area: FloatArray, x: FloatArray | float, y: FloatArray | float) -> BoolArray:
    """Return whether places lie inside an outline (n, 2), by counting the edges that a ray crosses."""
    x, y = np.asarray(x, np.float64)[..., None], np.asarray(y, np.float64)[..., None]
    (px, py), (qx, qy) = area.T, np.roll(area, -1, axis=0).T
    between = (py > y) != (qy > y)
    at = px + (y - py) / np.where(qy == py, 1.0, qy - py) * (qx - px)
    return np.asarray(np.count_nonzero(between & (x < at), axis=-1) % 2 == 1)


def _footprint(look: Appearance) -> FloatArray:
    """Return the outline of what stands there for good."""
    x, y, _, yaw = look.pose or (0.0, 0.0, 0.0, 0.0)
    if look.shape == "box":
        corners = 0.5 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (look.length, look.width)
    else:
        turn = np.linspace(0.0, 2.0 * pi, 33)[:-1]
        corners = 0.5 * look.length * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    across = np.stack([-corners[:, 1], corners[:, 0]], axis=1)
    return np.array([x, y]) + corners * cos(yaw) + across * sin(yaw)


# -- grip ----------------------------------------------------------------------------------------------------------


def grip(dataset: Dataset, run: int, labels: Mapping[str, AnyArray], track: Track) -> FloatArray | None:
    """Return the friction below a body over its time; None where no line says any.

    The last stretch in which the body's place lies (its first border included) counts; off all of them, the first
    one that says a friction. NaN while a fault of the kind `friction` acts: what it does is the world's own affair.

    Args:
        dataset, run: whose `truth/lanes` are asked.
        labels: columns of the run's labels.
        track: the body.
    """
    known = [one for one in _stretches(dataset, run) if np.isfinite(one.friction)]
    if not known:
        return None
    found = np.full(len(track.t), known[0].friction)
    for one in known:
        place = project_all(line_array([one.piece]), track.x, track.y)
        on = np.abs(place.d - one.offset) <= 0.5 * one.width + 1e-9
        # Who stands on a border by the last bits stands behind it.
        on &= (place.s >= one.begin - 1e-9) & (place.s < one.end - 1e-9)
        found[on] = one.friction
    for i in range(len(labels["t_cause"]) if labels else 0):
        if str(labels["role"][i]) == "fault" and str(labels["class"][i]).endswith("/friction"):
            onset, end = float(labels["t_cause"][i]), float(labels["t_end"][i])
            found[(track.t >= onset) & (track.t < (end if end > onset else np.inf))] = np.nan
    return found
