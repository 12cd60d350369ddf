"""The road as a driver knows it: its line of straight pieces and arcs, and the width of a lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.geometry import GOES_ON, chained, line_array, project_all

if TYPE_CHECKING:
    from mischance.api.runs import Draw
    from mischance.api.tables import AnyArray, BoolArray, FloatArray, IntArray

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
        return project_all(self.pieces, x, y)


def _line(road: object) -> FloatArray:
    """Return the rows of one road's line; it begins at the origin, along x."""
    pieces = [
        (float(piece.length), 1.0 / piece.radius if piece.radius is not None else 0.0)
        for piece in getattr(road, "line", ())
    ]
    return line_array(chained([*pieces, (GOES_ON, 0.0)]))
