"""Compiled functions of a place on a path: `mischance.api.geometry` for rows of PIECE records."""

from __future__ import annotations

from math import cos, sin
from typing import Any

from mischance.api.geometry import line_functions
from mischance.api.kernels import kernel

along_piece, project, heading_at, piece_at, place, stretch, length_between, advanced = line_functions(kernel)


@kernel
def set_piece(p: Any, x: float, y: float, heading: float, s: float, length: float, curvature: float) -> None:
    """Write a piece of a path."""
    p.x, p.y, p.heading, p.s, p.length, p.curvature = x, y, heading, s, length, curvature
    p.cosine, p.sine = cos(heading), sin(heading)


@kernel
def gap_along(path: Any, pieces: int, s: float, d: float, s1: float, d1: float) -> float:
    """Return the length from station s to s1 along the lane of the rear one of two places [m]; negative if s1 < s.

    d, d1: offsets of the two, which the parallel of the path goes through.
    """
    return float(length_between(path, pieces, s, s1, d if s1 >= s else d1))
