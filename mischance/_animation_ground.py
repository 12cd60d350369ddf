"""What lies on the ground of an animation: lanes, stretches of ice, obstacles, fences, as the scenario has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import cos, pi, sin
from typing import Any

import numpy as np

from mischance._animation_parts import Line
from mischance._animation_tables import Track, rows
from mischance.opening import Dataset
from mischance.truth import FloatArray

_BEYOND = 60.0  # road that is drawn behind and ahead of everybody [m]
_STEP = 4.0  # between the points of a bend [m]


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
    for part, key in ((_road, "road"), (_obstacles, "obstacles"), (_fence, "fence")):
        settings = _solved(world.get(key), facts)
        if isinstance(settings, Mapping):
            try:
                found += part(settings, placed)
            except (KeyError, TypeError, ValueError, AttributeError):
                continue  # another world's words for something else
    order = {"area": 0, "patch": 1, "obstacle": 2}
    return tuple(sorted(found, key=lambda line: order.get(line.kind, 3)))


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
    s = np.array([start, end]) if not pieces else np.arange(start, end + _STEP, _STEP)
    across = lanes * width
    yield Line("area", np.concatenate([_along(pieces, s, 0.0), _along(pieces, s, across)[::-1]]))
    for patch in road.get("patches") or ():
        inside = np.linspace(float(patch["start"]), float(patch["end"]), 2 if not pieces else 40)
        right, left = max(float(patch["right"]), 0.0), min(float(patch["left"]), across)
        yield Line("patch", np.concatenate([_along(pieces, inside, right), _along(pieces, inside, left)[::-1]]))
    for crossing in (road.get("crossings") or {}).values():
        yield from _crossing(crossing, pieces, across)
    for i in range(lanes + 1):
        yield Line("edge" if i in (0, lanes) else "dashed", _along(pieces, s, i * width))


def _crossing(crossing: Mapping[str, Any], pieces: Sequence[tuple[float, float]], across: float) -> Iterator[Line]:
    """Return another road; way 0 is where the middles of the two roads cross."""
    at = np.array([float(crossing["at"])])
    middle = _along(pieces, at, 0.5 * across)[0]
    ahead = _along(pieces, at + 0.1, 0.5 * across)[0] - middle
    heading = float(np.arctan2(ahead[1], ahead[0])) + float(crossing["angle"])
    lanes, width, reach = int(crossing["lanes"]), float(crossing["lane_width"]), float(crossing["reach"])
    along, left = np.array([cos(heading), sin(heading)]), np.array([-sin(heading), cos(heading)])
    edges = [middle + (i - 0.5 * lanes) * width * left for i in range(lanes + 1)]
    ends = [np.stack([edge - reach * along, edge + reach * along]) for edge in edges]
    yield Line("area", np.concatenate([ends[0], ends[-1][::-1]]))
    for i, line in enumerate(ends):
        yield Line("edge" if i in (0, lanes) else "dashed", line)


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
