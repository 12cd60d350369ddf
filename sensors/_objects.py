"""Columns of object lists: states of all actors at a frame, false objects, and lists that are not yet available."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mischance.api.tables import AnyArray, BoolArray, FloatArray, IntArray, Table

STATE = ("t", "x", "y", "vx", "vy", "yaw", "acceleration", "length", "width", "category")
MAX_GHOSTS = 8  # limit of false objects that appear in one frame
Rows = dict[str, "AnyArray"]


class LastRows:
    """The last row of `actors` of each actor, kept from chunk to chunk. Shapes (runs, actors)."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._last: dict[str, FloatArray] = {}
        self._known: BoolArray = np.zeros((runs, 0), np.bool_)

    def at(self, table: Table, t: FloatArray, bodies: tuple[str, ...]) -> tuple[dict[str, FloatArray], BoolArray]:
        """Return each actor's last row at or before each time, and whether there is one; (runs, n, actors)."""
        given = table.columns
        actors = len(table.schema["actor"].names)
        if not self._last:
            self._last = {name: np.zeros((self._runs, actors)) for name in STATE}
            self._known = np.zeros((self._runs, actors), np.bool_)
        rows = {name: np.asarray(values, np.float64) for name, values in _complete(table, bodies).items()}
        group = table.run_index() * actors + given["actor"]
        grid = np.unique(rows["t"])
        order = np.lexsort((rows["t"], group))
        place = (group * (len(grid) + 1) + np.searchsorted(grid, rows["t"]))[order]
        whose = np.arange(self._runs * actors, dtype=np.int64).reshape(self._runs, 1, actors)

        def last_row(when: IntArray) -> tuple[IntArray, BoolArray]:
            wanted = whose * (len(grid) + 1) + when[None, :, None]
            found = np.searchsorted(place, wanted, side="right") - 1
            mine = (found >= 0) & (place[np.maximum(found, 0)] >= whose * (len(grid) + 1)) if len(place) else found >= 0
            return np.maximum(found, 0), np.asarray(mine)

        state, known = self._pick(rows, order, *last_row(np.searchsorted(grid, t, side="right") - 1))
        end, there = self._pick(rows, order, *last_row(np.array([len(grid) - 1])))
        self._last, self._known = {name: values[:, 0] for name, values in end.items()}, there[:, 0]
        return state, known

    def _pick(
        self, rows: Mapping[str, FloatArray], order: IntArray, found: IntArray, mine: BoolArray
    ) -> tuple[dict[str, FloatArray], BoolArray]:
        """Return the rows that were found, otherwise those of an earlier chunk."""
        before = {name: np.broadcast_to(values[:, None], mine.shape) for name, values in self._last.items()}
        known = mine | self._known[:, None]
        if not len(order):
            return before, known
        return {name: np.where(mine, rows[name][order][found], before[name]) for name in STATE}, known


def _complete(table: Table, bodies: tuple[str, ...]) -> Rows:
    """Return the columns of STATE; missing ones are computed, a missing body is the last one."""
    given, n = table.columns, len(table)
    rows = {name: given[name] for name in STATE if name in given and name != "category"}
    if "vx" not in given:
        rows["vx"], rows["vy"] = given["speed"] * np.cos(given["yaw"]), given["speed"] * np.sin(given["yaw"])
    for name, value in (("acceleration", 0.0), ("length", 4.5), ("width", 1.8)):
        rows.setdefault(name, np.full(n, value))
    names = table.schema["category"].names if "category" in given else ()
    code = [bodies.index(name) if name in bodies else len(bodies) - 1 for name in names] + [len(bodies) - 1]
    rows["category"] = np.array(code)[given["category"]] if names else np.full(n, code[-1])
    return rows


def appear(luck: FloatArray, rate: FloatArray, seconds: float) -> IntArray:
    """Return the number of false objects that appear in each frame: Poisson quantiles of uniforms; (n,).

    Args:
        luck: uniforms; (n,).
        rate: mean number per second; (n,) [1/s].
        seconds: time between frames [s].
    """
    mean = rate * seconds
    term = np.exp(-mean)
    below, count = term.copy(), np.zeros(len(luck), np.int64)
    for k in range(1, MAX_GHOSTS + 1):
        count += luck >= below
        term = term * mean / k
        below += term
    return count


def joined(parts: list[Rows]) -> Rows:
    """Return concatenated rows."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def chosen(rows: Rows, keep: AnyArray) -> Rows:
    """Return the selected rows."""
    return {name: values[keep] for name, values in rows.items()}
