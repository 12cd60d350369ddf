"""The road as a driver knows it: its line of straight pieces and arcs, and the width of a lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mischance.api.runs import Draw
    from mischance.api.tables import AnyArray, BoolArray, FloatArray, IntArray

LONG = 2.5  # angle of an arc that is a long one [rad]
LANE_WIDTH = 3.5  # where the world says nothing [m]


@dataclass(frozen=True, slots=True)
class RoadMap:
    """One line a run, as rows (x, y, heading, way, length, curvature); (runs, pieces, 6). NaN = no such piece.

    The first piece goes on backwards, the last forwards. `lane_width` (runs,) [m].
    """

    pieces: FloatArray
    lane_width: FloatArray

    @staticmethod
    def of(draws: Sequence[Draw]) -> RoadMap:
        """Return the maps of some runs; a world that tells of no road has a straight one along x."""
        roads = [getattr(draw.settings, "road", None) for draw in draws]
        lines = [_line(road) for road in roads]
        pieces = np.full((len(draws), max(map(len, lines), default=1), 6), np.nan)
        for run, line in enumerate(lines):
            pieces[run, : len(line)] = line
        return RoadMap(pieces, np.array([float(getattr(road, "lane_width", LANE_WIDTH)) for road in roads]))

    def straight_where(self, where: BoolArray, x: FloatArray, y: FloatArray, heading: FloatArray) -> RoadMap:
        """Return maps that, in some runs, are one straight line through a place instead."""
        pieces = self.pieces.copy()
        pieces[where] = np.nan
        line = np.stack([x, y, heading, np.zeros_like(x), np.full_like(x, 1e9), np.zeros_like(x)], axis=-1)
        pieces[where, 0] = line[where]
        return RoadMap(pieces, self.lane_width)

    def along(self, run: IntArray, rows: Mapping[str, AnyArray]) -> RoadMap:
        """Return maps that, in some runs, are the way that was told: rows of the table `paths`, with their runs."""
        wide = max(self.pieces.shape[1], int(rows["piece"].max(initial=0)) + 1)
        pieces = np.full((len(self.pieces), wide, 6), np.nan)
        pieces[:, : self.pieces.shape[1]] = self.pieces
        pieces[run] = np.nan
        for i, name in enumerate(("x", "y", "heading", "way", "length", "curvature")):
            pieces[run, rows["piece"], i] = rows[name]
        return RoadMap(pieces, self.lane_width)

    def project(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return way along the line [m], offset to its left [m], heading [rad] and curvature [1/m]; (runs, n)."""
        found = self._on_piece(0, x, y)
        for piece in range(1, self.pieces.shape[1]):
            other = self._on_piece(piece, x, y)
            nearer = other[0] < found[0] - 1e-9  # False for a piece that is not there
            found = tuple(np.where(nearer, b, a) for a, b in zip(found, other, strict=True))
        return found[1], found[2], found[3], found[4]

    def _on_piece(self, piece: int, x: FloatArray, y: FloatArray) -> tuple[FloatArray, ...]:
        """Return how far from a piece each place is, and its way, offset, heading and curvature there."""
        x0, y0, heading, way, length, bend = (self.pieces[:, piece, i, None] for i in range(6))
        c, s = np.cos(heading), np.sin(heading)
        dx, dy = x - x0, y - y0
        along, offset = dx * c + dy * s, dy * c - dx * s
        if (bend != 0.0).any():
            radius = 1.0 / np.where(bend == 0.0, 1.0, bend)
            sign = np.where(radius > 0.0, 1.0, -1.0)
            rx, ry = dx + radius * s, dy - radius * c  # from the arc's centre
            turned = np.arctan2(sign * rx, -sign * ry) - heading
            # a long arc is unwrapped against its own middle: behind a half circle the way would jump back
            middle = np.where(length * np.abs(bend) > LONG, 0.5 * length * bend, 0.0)
            turned -= 2.0 * np.pi * np.rint((turned - middle) / (2.0 * np.pi))
            along = np.where(bend == 0.0, along, turned * radius)
            offset = np.where(bend == 0.0, offset, sign * (np.abs(radius) - np.hypot(rx, ry)))
        last = self.pieces.shape[1] - 1
        more = ~np.isnan(self.pieces[:, piece + 1, 0, None]) if piece < last else np.zeros_like(x0, np.bool_)
        low, high = -np.inf if piece == 0 else 0.0, np.where(more, length, np.inf)
        # beyond an end the offset understates how far away the piece is
        far = np.abs(offset) + np.maximum(low - along, 0.0) + np.maximum(along - high, 0.0)
        along = np.minimum(np.maximum(along, low), high)
        return far, way + along, offset, heading + bend * along, bend + 0.0 * far


def _line(road: object) -> list[tuple[float, float, float, float, float, float]]:
    """Return the rows of one road's line; it begins at the origin, along x."""
    rows = []
    x = y = heading = way = 0.0
    for piece in getattr(road, "line", ()):
        bend = 1.0 / piece.radius if piece.radius is not None else 0.0
        rows.append((x, y, heading, way, float(piece.length), bend))
        half = 0.5 * bend * piece.length
        chord = piece.length * float(np.sinc(half / np.pi))
        x, y = x + chord * float(np.cos(heading + half)), y + chord * float(np.sin(heading + half))
        heading, way = heading + 2.0 * half, way + piece.length
    rows.append((x, y, heading, way, 1e9, 0.0))
    return rows
