"""What lies on the ground of an animation: lanes, stretches of ice, obstacles, fences, as the scenario has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import ceil, cos, pi, sin, sqrt
from typing import Any

import numpy as np

from mischance.api.tables import AnyArray, BoolArray, FloatArray
from mischance.opening.reading import Dataset
from mischance.reports.replay.model import Chain, Line
from mischance.reports.replay.tracks import Track, rows

_BEYOND = 60.0  # road that is drawn behind and ahead of everybody [m]
_SAG = 0.02  # a bend is drawn as chords that leave it by no more than this [m]
CARRIED = "box"  # what a robot arm carries, and what hangs together there: names of that world
_LINKS = ("shoulder", "upper_arm", "forearm", "wrist_roll", "wrist_pitch", "flange", "gripper")
_LIMBS = ("person_upper_arm", "person_forearm", "person_hand")
_LONG = 2.5  # angle of an arc that is told from its own middle [rad]
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
        outline = _patch(patch, pieces, (start, end))
        if outline is not None:
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


def _patch(
    patch: Mapping[str, Any], pieces: Sequence[tuple[float, float]], drawn: tuple[float, float]
) -> FloatArray | None:
    """Return a patch's outline, its right border and then its left one back; None where nothing of it is drawn.

    Inside a bend a border ends at the bend's centre: no place lies farther to that side.
    """
    low, high = max(float(patch["start"]), drawn[0]), min(float(patch["end"]), drawn[1])
    right, left = float(patch["right"]), float(patch["left"])
    if not (low < high and right < left):
        return None
    borders: list[tuple[FloatArray, FloatArray]] = []
    begun = -np.inf
    for n, (length, bend) in enumerate([*pieces, (np.inf, 0.0)]):
        first, begun = begun, (0.0 if n == 0 else begun) + length
        a, b = max(low, first), min(high, begun)
        if not a < b:
            continue
        radius = 1.0 / bend if bend else 0.0
        r, w = max(right, radius) if bend < 0.0 else right, min(left, radius) if bend > 0.0 else left
        if r < w:
            s = _stations(pieces, a, b)
            s[-1] = min(s[-1], np.nextafter(begun, -np.inf))  # its end belongs to the next piece, and bends as that
            borders.append((_along(pieces, s, r), _along(pieces, s, w)))
    if not borders:
        return None
    return np.concatenate([one for one, _ in borders] + [one[::-1] for _, one in borders[::-1]])


def grip(
    scenario: Mapping[str, Any], facts: Mapping[str, Any], labels: Mapping[str, AnyArray], track: Track
) -> FloatArray | None:
    """Return the friction of tyre and road below a body over its time, as the world has it; None if nobody says.

    The last patch in which the body's place lies, from its start until before its end and between its borders, both
    of them included, stands for the road's own; then each `friction` fault in turn moves it to its severity.
    """
    world = scenario.get("simulator")
    if not isinstance(world, Mapping):
        return None
    candidates = (facts.get("friction"), _solved(world.get("friction"), facts))
    known = next((float(c) for c in candidates if isinstance(c, int | float | np.floating) and np.isfinite(c)), None)
    if known is None:
        return None
    found = np.full(len(track.t), known)
    road = _solved(world.get("road"), facts)
    patches = road.get("patches") if isinstance(road, Mapping) else None
    if patches:
        pieces = [(float(p["length"]), 1.0 / p["radius"] if p.get("radius") else 0.0) for p in road.get("line") or ()]
        s, d = _projected(pieces, track.x, track.y)
        for patch in patches:
            on = (d >= float(patch["right"])) & (d <= float(patch["left"]))
            # Who stands on a border by the last bits stands behind it.
            on &= (s >= float(patch["start"]) - 1e-9) & (s < float(patch["end"]) - 1e-9)
            found[on] = float(patch["friction"])
    planned = scenario.get("faults") or ()
    for i in range(len(labels["t_cause"]) if labels else 0):
        named = str(labels["class"][i]).endswith("/friction") and str(labels["target"][i]) in ("road", "ego.tyre")
        severity, onset, end = (float(labels[name][i]) for name in ("severity", "t_cause", "t_end"))
        if not named or not np.isfinite(severity):
            continue
        ramp = _ramp(str(labels["causes"][i]) if "causes" in labels else "", planned, facts)
        grown = np.clip((track.t - onset) / ramp, 0.0, 1.0) if ramp > 0.0 else np.ones(len(track.t))
        acts = (track.t >= onset) & (track.t < (end if end > onset else np.inf))
        found += np.where(acts, grown, 0.0) * (max(severity, 1e-3) - found)
    return found


def _ramp(causes: str, planned: Sequence[Any], facts: Mapping[str, Any]) -> float:
    """Return the time over which a fault grows [s], from the scenario; 0 where it is drawn and nobody wrote it down."""
    number = re.search(r"fault:(\d+)", causes)
    if number is None or int(number[1]) >= len(planned):
        return 0.0
    said = _solved(planned[int(number[1])].get("ramp"), facts)
    try:
        return float(str(said).removesuffix("s"))
    except ValueError:
        return 0.0


def _projected(
    pieces: Sequence[tuple[float, float]], x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Return the way along the road's line and the offset to its left of places [m], by the piece that is nearest."""
    line = [*pieces, (np.inf, 0.0)]
    best, s, d = np.full(len(x), np.inf), np.zeros(len(x)), np.zeros(len(x))
    x0, y0, heading, begun = 0.0, 0.0, 0.0, 0.0
    for n, (length, bend) in enumerate(line):
        dx, dy = x - x0, y - y0
        if bend:
            sign, rx, ry = float(np.sign(bend)), dx + sin(heading) / bend, dy - cos(heading) / bend
            middle = 0.5 * length * bend if length * abs(bend) > _LONG else 0.0
            turned = np.arctan2(sign * rx, -sign * ry) - heading - middle
            turned = turned - 2.0 * pi * np.round(turned / (2.0 * pi)) + middle
            along, off = turned / bend, sign * (1.0 / abs(bend) - np.hypot(rx, ry))
        else:
            along, off = dx * cos(heading) + dy * sin(heading), dy * cos(heading) - dx * sin(heading)
        low = 0.0 if n else -np.inf
        far = np.abs(off) + np.maximum(low - along, 0.0) + np.maximum(along - length, 0.0)
        nearer = far < best - 1e-9
        best = np.where(nearer, far, best)
        s = np.where(nearer, begun + np.clip(along, low, length), s)
        d = np.where(nearer, off, d)
        if np.isfinite(length):
            half = 0.5 * bend * length
            chord = length * float(np.sinc(half / pi))
            x0, y0 = x0 + chord * cos(heading + half), y0 + chord * sin(heading + half)
            heading, begun = heading + 2.0 * half, begun + length
    return s, d


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
    # Each aisle from crossing to crossing by itself: dashes that went on through would leave every other one bare.
    for i in range(columns):
        for j in range(rows):
            x, y = i * spacing, j * spacing
            if i + 1 < columns:
                yield Line("dashed", np.array([[x + half, y], [x + spacing - half, y]]))
            if j + 1 < rows:
                yield Line("dashed", np.array([[x, y + half], [x, y + spacing - half]]))


def _box(x0: float, x1: float, y0: float, y1: float) -> FloatArray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
