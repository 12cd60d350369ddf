"""The road as a driver knows it: its line of straight pieces and arcs, and the width of a lane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.appearance import LANE
from mischance.api.geometry import GOES_ON
from mischance.api.line_arrays import lengths_between, project_all

if TYPE_CHECKING:
    from mischance.api.line_arrays import Projection
    from mischance.api.tables import AnyArray, BoolArray, FloatArray, IntArray, Table

LANE_WIDTH = 3.5  # where the world says nothing [m]
PIECE = ("x", "y", "heading", "way", "length", "curvature")  # columns of `lanes` and `paths`


@dataclass(frozen=True, slots=True)
class RoadMap:
    """One line a run, as rows (x, y, heading, way, length, curvature); (runs, pieces, 6). NaN = no such piece.

    The first piece extends backwards, the last forwards. `lane_width` (runs,) [m].
    """

    pieces: FloatArray
    lane_width: FloatArray

    @staticmethod
    def straight(runs: int) -> RoadMap:
        """Return maps of a straight road along x: what is known of a world that tells of no road."""
        pieces = np.zeros((runs, 1, 6))
        pieces[:, 0, 4] = GOES_ON
        return RoadMap(pieces, np.full(runs, LANE_WIDTH))

    def with_lanes(self, lanes: Table) -> RoadMap:
        """Return maps that, in the runs with rows, are the main road's line of reference.

        Args:
            lanes: the table `lanes`; of the lanes of group 0, the first one in each run counts.
        """
        given, run = lanes.columns, lanes.run_index()
        main = np.flatnonzero((given["group"] == 0) & (given["kind"] == LANE))
        if not len(main):
            return self
        runs, first = np.unique(run[main], return_index=True)
        line = np.full(len(self.pieces), -1, np.int64)
        line[runs] = given["line"][main[first]]
        mine = main[given["line"][main] == line[run[main]]]
        known = self.along(run[mine], {name: values[mine] for name, values in given.items()})
        width = self.lane_width.copy()
        width[run[mine]] = given["width"][mine]
        return RoadMap(known.pieces, width)

    def straight_where(self, where: BoolArray, x: FloatArray, y: FloatArray, heading: FloatArray) -> RoadMap:
        """Return maps that, in some runs, are one straight line through a place instead."""
        pieces = self.pieces.copy()
        pieces[where] = np.nan
        line = np.stack([x, y, heading, np.zeros_like(x), np.full_like(x, GOES_ON), np.zeros_like(x)], axis=-1)
        pieces[where, 0] = line[where]
        return RoadMap(pieces, self.lane_width)

    def along(self, run: IntArray, rows: Mapping[str, AnyArray]) -> RoadMap:
        """Return maps that, in some runs, are the way that was told: rows of `paths` or `lanes`, with their runs."""
        wide = max(self.pieces.shape[1], int(rows["piece"].max(initial=0)) + 1)
        pieces = np.full((len(self.pieces), wide, 6), np.nan)
        pieces[:, : self.pieces.shape[1]] = self.pieces
        pieces[run] = np.nan
        for i, name in enumerate(PIECE):
            pieces[run, rows["piece"], i] = rows[name]
        return RoadMap(pieces, self.lane_width)

    def project(self, x: FloatArray, y: FloatArray) -> Projection:
        """Return way along the line [m], offset to its left [m], heading [rad] and curvature [1/m]; (runs, n)."""
        return project_all(self.pieces, x, y)

    def length_between(self, s: FloatArray, s1: FloatArray, offset: FloatArray) -> FloatArray:
        """Return the length from way s to s1 along the line's parallel at an offset [m]; (runs, n)."""
        return lengths_between(self.pieces, s, s1, offset)
