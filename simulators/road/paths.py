"""Compiled functions of a place on a path: `mischance.api.geometry` for rows of PIECE records."""

from __future__ import annotations

from math import cos, sin
from typing import Any

from mischance.api.geometry import line_functions
from mischance.api.kernels import kernel

along_piece, project, heading_at, piece_at, place = line_functions(kernel)


@kernel
def set_piece(p: Any, x: float, y: float, heading: float, s: float, length: float, curvature: float) -> None:
    """Write a piece of a path."""
    p.x, p.y, p.heading, p.s, p.length, p.curvature = x, y, heading, s, length, curvature
    p.cosine, p.sine = cos(heading), sin(heading)
