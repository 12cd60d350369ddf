"""What lies on the ground of an animation: lanes, stretches of ice, obstacles, fences, as the scenario has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import ceil, cos, pi, sin, sqrt
from typing import Any

import numpy as np

from mischance._animation_parts import Chain, Line
from mischance._animation_tables import Track, rows
from mischance.opening import Dataset
from mischance.truth import BoolArray, FloatArray

_BEYOND = 60.0  # road that is drawn behind and ahead of everybody [m]
_SAG = 0.02  # a bend is drawn as chords that leave it by no more than this [m]
CARRIED = "box"  # what a robot arm carries, and what hangs together there: names of that world
_LINKS = ("shoulder", "upper_arm", "forearm", "wrist_roll", "wrist_pitch", "flange", "gripper")
_LIMBS = ("person_upper_arm", "person_forearm", "person_hand")
_BAY = 0.35  # how far a warehouse's bays lie off their crossing, in spacings of its grid


def ground(
    scenario: Mapping[str, Any], facts: Mapping[str, Any], dataset: Dataset, run: int, placed: Sequence[Track]
) -> tuple[Line, ...]:
    """Return what lies on the ground, what is painted first coming first.

    Lines of a table `truth/lanes` (line, kind, x, y), else those that follow from the settings of the world:
    `road` (lanes, pieces of its line, patches, crossings), `obstacles` (boxes, cylinders), `fence`. What is not
    understood is left out: no road is better than a wrong one.
    """
    table = rows(dataset, "truth/lanes", run)
    if table and {"line", "x", "y"} <= set(table):
        return tuple(_stored(table))
    world = scenario.get("simulator")
    if not isinstance(world, Mapping):
        return ()
    found: list[Line] = []
    for part, key in ((_road, "road"), (_obstacles, "obstacles"), (_fence, "fence"), (_grid, "grid")):
        settings = _solved(world.get(key), facts)
        if isinstance(settings, Mapping):
            try:
                found += part(settings, placed)
            except (KeyError, TypeError, ValueError, AttributeError):
                continue  # another world's words for something else
    order = {"area": 0, "patch": 1, "obstacle": 2}
    return tuple(sorted(found, key=lambda line: order.get(line.kind, 3)))


def chains(scenario: Mapping[str, Any], names: Sequence[str]) -> tuple[Chain, ...]:
    """Return bodies that hang together: the links of a robot arm, and the arm of the person who reaches in."""
    if (scenario.get("simulator") or {}).get("kind") != "arm":
        return ()
    found = []
    for links, width in ((_LINKS, 0.10), (_LIMBS, 0.09)):
        there = tuple(name for name in links if name in names)
        if len(there) > 1:
            found.append(Chain(there, width))
    return tuple(found)


def _stored(table: Mapping[str, Any]) -> Iterator[Line]:
    names = table["line"].astype(str)
    _, first = np.unique(names, return_index=True)
    for name in names[np.sort(first)].tolist():
        mine = names == name
        kind = str(table["kind"][mine][0]) if "kind" in table else "edge"
        yield Line(kind, np.stack([table["x"][mine], table["y"][mine]], axis=1).astype(np.float64))


def _solved(value: Any, facts: Mapping[str, Any]) -> Any:
    """Return settings with `$name` replaced by what the run drew."""
    if isinstance(value, Mapping):
        return {key: _solved(inner, facts) for key, inner in value.items()}
    if isinstance(value, list):
        return [_solved(inner, facts) for inner in value]
    if isinstance(value, str) and value.startswith("$") and value[1:] in facts:
        return float(facts[value[1:]])
    return value


# -- roads: a line of straight pieces and arcs, the right edge, from (0, 0) along +x --------------------


def _road(road: Mapping[str, Any], placed: Sequence[Track]) -> Iterator[Line]:
    lanes, width = int(road["lanes"]), float(road["lane_width"])
    pieces = [(float(p["length"]), 1.0 / p["radius"] if p.get("radius") else 0.0) for p in road.get("line") or ()]
    xs = np.concatenate([track.x[np.isfinite(track.x)] for track in placed])
    start = min(float(xs.min()), 0.0) - _BEYOND
    way = max(float(np.ptp(track.x[np.isfinite(track.x)])) for track in placed)
    end = max(float(road.get("length") or 0.0), float(xs.max()) + _BEYOND, sum(p[0] for p in pieces) + way)
    s = _stations(pieces, start, end)
    across = lanes * width
    own = np.concatenate([_along(pieces, s, 0.0), _along(pieces, s, across)[::-1]])
    yield Line("area", own)
    for patch in road.get("patches") or ():
        inside = _stations(pieces, float(patch["start"]), float(patch["end"]))
        right, left = max(float(patch["right"]), 0.0), min(float(patch["left"]), across)
        outline = np.concatenate([_along(pieces, inside, right), _along(pieces, inside, left)[::-1]])
        yield Line("patch", outline, float(patch["friction"]))
    others = [_crossing(crossing, pieces, across) for crossing in (road.get("crossings") or {}).values()]
    surfaces = [own, *(area for area, _ in others)]
    marked = [[_along(pieces, s, i * width) for i in range(lanes + 1)], *(lines for _, lines in others)]
    for n, (area, lines) in enumerate(zip(surfaces, marked, strict=True)):
        if n:
            yield Line("area", area)
        elsewhere = surfaces[:n] + surfaces[n + 1 :]
        for i, line in enumerate(lines):  # nothing is painted where another road goes through
            for piece in _outside(line, elsewhere):
                yield Line("edge" if i in (0, len(lines) - 1) else "dashed", piece)


def _crossing(
    crossing: Mapping[str, Any], pieces: Sequence[tuple[float, float]], across: float
) -> tuple[FloatArray, list[FloatArray]]:
    """Return another road's outline and lines; way 0 is where the middles of the two roads cross."""
    at = np.array([float(crossing["at"])])
    middle = _along(pieces, at, 0.5 * across)[0]
    ahead = _along(pieces, at + 0.1, 0.5 * across)[0] - middle
    heading = float(np.arctan2(ahead[1], ahead[0])) + float(crossing["angle"])
    lanes, width, reach = int(crossing["lanes"]), float(crossing["lane_width"]), float(crossing["reach"])
    along, left = np.array([cos(heading), sin(heading)]), np.array([-sin(heading), cos(heading)])
    edges = [middle + (i - 0.5 * lanes) * width * left for i in range(lanes + 1)]
    ends = [np.stack([edge - reach * along, edge + reach * along]) for edge in edges]
    return np.concatenate([ends[0], ends[-1][::-1]]), ends


def _stations(pieces: Sequence[tuple[float, float]], start: float, end: float) -> FloatArray:
    """Return ways along the road at which to take points: few where it is straight, many where it bends."""
    found, begun = [np.array([start])], 0.0
    for length, bend in pieces:
        chords = ceil(length / sqrt(8.0 * _SAG / abs(bend))) if bend else 1
        found.append(begun + length * np.linspace(0.0, 1.0, chords + 1))
        begun += length
    s = np.concatenate([*found, np.array([end])])
    return np.unique(s[(s >= start) & (s <= end)])


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


def _along(pieces: Sequence[tuple[float, float]], s: FloatArray, left: float) -> FloatArray:
    """Return places at ways along the road's line and an offset to its left; shape (n, 2)."""
    x, y, heading, begun = 0.0, 0.0, 0.0, 0.0
    found = np.zeros((len(s), 2))
    for n, (length, bend) in enumerate([*pieces, (np.inf, 0.0)]):
        here = (s >= begun if n else np.ones(len(s), np.bool_)) & (s < begun + length)
        ds = s[here] - begun
        ds_bend = np.where(ds < 0.0, 0.0, bend)  # before its start the road is straight
        half = 0.5 * ds_bend * ds
        chord = ds * np.sinc(half / pi)
        turned = heading + 2.0 * half
        found[here, 0] = x + chord * np.cos(heading + half) - left * np.sin(turned)
        found[here, 1] = y + chord * np.sin(heading + half) + left * np.cos(turned)
        if np.isfinite(length):
            turn = 0.5 * bend * length
            reach = length * float(np.sinc(turn / pi))
            x, y, heading = x + reach * cos(heading + turn), y + reach * sin(heading + turn), heading + 2.0 * turn
            begun += length
    return found


# -- what stands there --------------------


def _obstacles(obstacles: Mapping[str, Any], placed: Sequence[Track]) -> Iterator[Line]:
    for one in obstacles.values():
        centre = np.array([float(one["at"][0]), float(one["at"][1])])
        if "size" in one:
            half, yaw = 0.5 * np.array(one["size"][:2], np.float64), float(one.get("yaw") or 0.0)
            corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
        else:
            turn = np.linspace(0.0, 2.0 * pi, 33)[:-1]
            corners, yaw = float(one["radius"]) * np.stack([np.cos(turn), np.sin(turn)], axis=1), 0.0
        across = np.stack([-corners[:, 1], corners[:, 0]], axis=1)
        yield Line("obstacle", centre + corners * cos(yaw) + across * sin(yaw))


def _fence(fence: Mapping[str, Any], placed: Sequence[Track]) -> Iterator[Line]:
    (x0, x1), (y0, y1) = fence["x"], fence["y"]
    yield Line("edge", np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]], np.float64))


def _grid(grid: Mapping[str, Any], placed: Sequence[Track]) -> Iterator[Line]:
    """Return a warehouse's aisles, and the bays beside their crossings."""
    columns, rows = int(grid["columns"]), int(grid["rows"])
    spacing, half = float(grid["spacing"]), 0.5 * float(grid["width"])
    wide, tall = (columns - 1) * spacing + half, (rows - 1) * spacing + half
    for i in range(columns):
        yield Line("area", _box(i * spacing - half, i * spacing + half, -half, tall))
    for j in range(rows):
        yield Line("area", _box(-half, wide, j * spacing - half, j * spacing + half))
    off, side = _BAY * spacing, 0.75 * half
    for i in range(columns):
        for j in range(rows):
            x, y = i * spacing + off, j * spacing + off
            yield Line("area", _box(x - side, x + side, y - side, y + side))
    middles = [np.array([[i * spacing, 0.0], [i * spacing, (rows - 1) * spacing]]) for i in range(columns)]
    middles += [np.array([[0.0, j * spacing], [(columns - 1) * spacing, j * spacing]]) for j in range(rows)]
    for line in middles:
        yield Line("dashed", line)


def _box(x0: float, x1: float, y0: float, y1: float) -> FloatArray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
