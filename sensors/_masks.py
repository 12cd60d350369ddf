"""Masks of single objects in an instance image: pixels, tight box, run-length code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mischance.api.tables import AnyArray, IntArray


@dataclass(frozen=True, slots=True)
class Region:
    """The pixels of one object: number, tight box (x, y, w, h), and COCO's compressed counts."""

    pixels: int
    box: tuple[int, int, int, int]
    counts: str


def region(instance: AnyArray, identity: int) -> Region | None:
    """Return the region of one instance id in an image (h, w), or None if it has no pixels."""
    mask = instance == identity
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return None
    y, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[y:bottom].any(axis=0))
    x, right = int(columns[0]), int(columns[-1]) + 1
    part = np.flatnonzero(mask[y:bottom, x:right].T)
    height = mask.shape[0]
    places = (part // (bottom - y) + x) * height + part % (bottom - y) + y
    return Region(len(places), (x, y, right - x, bottom - y), compress(run_lengths(places, mask.size)))


def run_lengths(places: IntArray, size: int) -> IntArray:
    """Return lengths of runs of 0, 1, 0, 1 … from the sorted indices of the ones in `size` pixels."""
    if not len(places):
        return np.array([size], np.int64)
    breaks = np.flatnonzero(np.diff(places) != 1)
    starts = places[np.concatenate([[0], breaks + 1])]
    stops = places[np.concatenate([breaks, [len(places) - 1]])] + 1
    edges = np.concatenate([[0], np.stack([starts, stops], axis=1).ravel(), [size]])
    lengths = np.diff(edges)
    return lengths if lengths[-1] else lengths[:-1]


def compress(lengths: IntArray) -> str:
    """Return run lengths in COCO's format.

    From the fourth on as the difference to the last but one, in little-endian groups of five bits; the sixth bit says
    that more follow, and each group is a character from '0' on.

    Source:
        T.-Y. Lin et al., Microsoft COCO, 2014; the format is described in cocoapi, common/maskApi.c.
    """
    values = np.asarray(lengths, np.int64).copy()
    values[3:] -= lengths[1:-2]
    # A signed number uses the smallest number of groups whose top bit is its sign.
    shifts = 5 * np.arange(8)
    groups = 1 + np.sum((values[:, None] < -(16 << shifts)) | (values[:, None] >= (16 << shifts)), axis=1)
    digits = (values[:, None] >> shifts) & 31
    place = np.arange(8)
    codes = digits | np.where(place < groups[:, None] - 1, 32, 0)
    return bytes((codes + 48)[place < groups[:, None]].astype(np.uint8)).decode("ascii")
