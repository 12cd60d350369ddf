"""The table `paths`: planned path of every actor, at the start and after each manoeuvre that changes it."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, sin
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.appearance import paths_schema
from mischance.api.tables import Table

from .state import CHANGE_LANE, CROSS, FIXED, MOVE_START, TURN

if TYPE_CHECKING:
    from mischance.api.tables import AnyArray

    from .actors import Batch, Records

Piece = tuple[float, ...]  # x, y, heading, way, length, curvature
PIECE = ("x", "y", "heading", "way", "length", "curvature")
FIELDS: tuple[str, ...] = ("x", "y", "heading", "s", "length", "curvature")  # what the records call them


class Paths:
    """Stores the paths of all actors and returns their rows. A change depends on its event only, not on later ones."""

    def __init__(self, batch: Batch) -> None:
        self._schema = paths_schema(batch.names)
        self._batch = batch
        self._none = Table.empty(self._schema, len(batch.runs))  # most chunks change no path
        self._lines: dict[tuple[int, int], list[Piece]] = {}
        self._numbers: dict[tuple[int, int], int] = {}
        # as they are at the start: the kernels change the records
        self._first = batch.paths[[*FIELDS]].copy()
        self._pieces = batch.cars["pieces"].copy()

    def first(self) -> Table:
        """Return the rows at t = 0 of every actor that can move, in order of actors and pieces."""
        cars = self._batch.cars
        shown = (np.arange(self._first.shape[2]) < self._pieces[..., None]) & (cars["mode"] != FIXED)[..., None]
        run, actor, piece = np.nonzero(shown)
        chosen = self._first[run, actor, piece]
        columns: dict[str, AnyArray] = {
            "t": np.zeros(len(run)),
            "actor": actor.astype(np.int32),
            "path": np.zeros(len(run), np.int64),
            "piece": piece.astype(np.int64),
            **{name: np.ascontiguousarray(chosen[field]) for name, field in zip(PIECE, FIELDS, strict=True)},
            "offset": np.ascontiguousarray(cars["d_home"][run, actor]),
        }
        counts = np.bincount(run, minlength=len(cars))
        return Table(self._schema, columns, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))

    def table(self, events: Mapping[int, Records]) -> Table:
        """Return the rows of paths that changed by the new events of some runs."""
        found: list[tuple[float, ...]] = []
        counts = np.zeros(len(self._batch.runs), np.int64)
        for r, told in events.items():
            for event in told[told["kind"] == MOVE_START]:
                rows = self._changed(r, event)
                found += rows
                counts[r] += len(rows)
        if not found:
            return self._none
        columns = {
            name: np.array(values, self._schema[name].storage)
            for name, values in zip(self._schema, zip(*found, strict=True), strict=True)
        }
        return Table(self._schema, columns, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))

    def _changed(self, r: int, event: np.void) -> list[tuple[float, ...]]:
        """Return the rows of a path after the start of a manoeuvre; none if it does not change the path."""
        move = self._batch.moves[r, event["move"]]
        i = int(event["actor"])
        car = self._batch.cars[r, i]
        kind, key = int(move["kind"]), (r, i)
        line = self._lines.get(key) or [tuple(map(float, p)) for p in self._first[r, i, : self._pieces[r, i]].tolist()]
        offset = 0.0
        x, y, yaw = float(event["x"]), float(event["y"]), float(event["yaw"])
        if kind == CHANGE_LANE:
            offset = float(move["d_to"])
        elif kind == CROSS:
            line = [(x, y, float(move["heading"]), 0.0, 1e9, 0.0)]
        elif kind == TURN and not move["planned"]:
            line = _arc(
                x - car["lr"] * cos(yaw), y - car["lr"] * sin(yaw), yaw, float(move["angle"]), float(move["radius"])
            )
        else:
            return []
        self._lines[key] = line
        number = self._numbers[key] = self._numbers.get(key, 0) + 1
        return [(float(event["t"]), i, number, n, *piece, offset) for n, piece in enumerate(line)]


def _arc(x: float, y: float, yaw: float, angle: float, radius: float) -> list[Piece]:
    """Return the path of a turn of the unsteered axle: an arc, then a straight line."""
    bend = (1.0 if angle >= 0.0 else -1.0) / radius
    long, end = abs(angle) * radius, yaw + angle
    x1, y1 = x + (sin(end) - sin(yaw)) / bend, y - (cos(end) - cos(yaw)) / bend
    return [(x, y, yaw, 0.0, long, bend), (x1, y1, end, long, 1e9, 0.0)]
