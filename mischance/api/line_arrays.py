"""Many places on lines of straight pieces and arcs at once; `mischance.api.geometry` has the functions of one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mischance.api.elementwise import Floats
from mischance.api.geometry import LONG_ARC, TIGHTEST, Piece
from mischance.api.tables import AnyArray, FloatArray


def line_array(line: Sequence[Piece]) -> FloatArray:
    """Return a line as rows (x, y, heading, s, length, curvature); shape (pieces, 6)."""
    return np.array([piece[:6] for piece in line])


class Projection(NamedTuple):
    """Way s along a line and offset d to its left [m], heading [rad] and curvature [1/m] there, of many places."""

    s: FloatArray
    d: FloatArray
    heading: FloatArray
    curvature: FloatArray


def project_all(lines: FloatArray, x: FloatArray, y: FloatArray) -> Projection:
    """Return the nearest points of lines to places, as `project` does for one.

    Args:
        lines: rows (x, y, heading, s, length, curvature); shape (..., pieces, 6). NaN = no such piece.
        x, y: places [m]; shape (..., n), their leading axes broadcast with those of `lines`.
    """
    pieces = lines.shape[-2]
    found: tuple[FloatArray, ...] = ()
    for i in range(pieces):
        more = ~np.isnan(lines[..., i + 1, 0, None]) if i + 1 < pieces else np.zeros((1,), np.bool_)
        other = _on_piece(lines[..., i, :], x, y, first=i == 0, more=more)
        nearer = other[0] < found[0] - 1e-9 if found else np.ones((1,), np.bool_)  # False for one that is not there
        found = tuple(np.where(nearer, b, a) for a, b in zip(found or other, other, strict=True))
    return Projection(*found[1:])


def lengths_between(lines: FloatArray, s: FloatArray, s1: FloatArray, d: FloatArray) -> FloatArray:
    """Return lengths of lines' parallels at offsets d from ways s to s1 [m], as `length_between` does for one.

    Args:
        lines: rows (x, y, heading, s, length, curvature); shape (..., pieces, 6). NaN = no such piece.
        s, s1, d: ways and offsets [m]; shapes (..., n) that broadcast, their leading axes with those of `lines`.
    """
    low, high = np.minimum(s, s1), np.maximum(s, s1)
    total: FloatArray = np.zeros(np.broadcast_shapes(low.shape, d.shape))
    pieces = lines.shape[-2]
    for i in range(pieces):
        begin = lines[..., i, 3, None] if i else -np.inf
        end = lines[..., i + 1, 3, None] if i + 1 < pieces else np.inf
        part = np.minimum(high, np.where(np.isnan(end), np.inf, end)) - np.maximum(low, begin)
        part = np.where(part > 0.0, part, 0.0)  # 0 for a piece that is not there
        total = total + np.where(part > 0.0, part * np.maximum(1.0 - lines[..., i, 5, None] * d, TIGHTEST), 0.0)
    return np.where(s1 >= s, total, -total)


def _on_piece(
    piece: FloatArray, x: FloatArray, y: FloatArray, *, first: bool, more: AnyArray
) -> tuple[FloatArray, ...]:
    """Return how far from a piece places are, and their way, offset, heading and curvature on it."""
    x0, y0, heading, s0, length, curvature = (piece[..., i, None] for i in range(6))
    c, s = np.cos(heading), np.sin(heading)
    dx, dy = x - x0, y - y0
    along, offset = dx * c + dy * s, dy * c - dx * s
    if (curvature != 0.0).any():
        radius = 1.0 / np.where(curvature == 0.0, 1.0, curvature)
        sign = np.where(radius > 0.0, 1.0, -1.0)
        rx, ry = dx + radius * s, dy - radius * c  # from the arc's centre
        turned = np.arctan2(sign * rx, -sign * ry) - heading
        middle = np.where(length * np.abs(curvature) > LONG_ARC, 0.5 * length * curvature, 0.0)
        turned -= 2.0 * np.pi * np.rint((turned - middle) / (2.0 * np.pi))
        along = np.where(curvature == 0.0, along, turned * radius)
        offset = np.where(curvature == 0.0, offset, sign * (np.abs(radius) - np.hypot(rx, ry)))
    low, high = -np.inf if first else 0.0, np.where(more, length, np.inf)
    # beyond an end the offset understates how far away the piece is
    far = np.abs(offset) + np.maximum(low - along, 0.0) + np.maximum(along - high, 0.0)
    along = np.minimum(np.maximum(along, low), high)
    return far, s0 + along, offset, heading + curvature * along, curvature + 0.0 * far


def place_all(line: FloatArray, s: Floats, d: Floats) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return x, y [m] and heading [rad] at many ways along a line and offsets to its left, as `place` does for one.

    Args:
        line: rows (x, y, heading, s, length, curvature); shape (pieces, 6).
        s, d: ways and offsets [m]; any shapes that broadcast.
    """
    ways_, left = np.broadcast_arrays(np.asarray(s, np.float64), np.asarray(d, np.float64))
    piece = line[np.searchsorted(line[1:, 3], ways_, side="right")]
    x, y, heading, s0, _, curvature = np.moveaxis(piece, -1, 0)
    ds = ways_ - s0
    half = 0.5 * curvature * ds
    chord = ds * np.sinc(half / np.pi)
    turned = heading + 2.0 * half
    return (
        x + chord * np.cos(heading + half) - left * np.sin(turned),
        y + chord * np.sin(heading + half) + left * np.cos(turned),
        turned,
    )
