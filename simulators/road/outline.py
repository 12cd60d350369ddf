"""The tables `lanes` and `bodies`: lines of the road, and the kinds of actors; see `api/appearance`."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.appearance import (
    BOX,
    DIVIDER,
    EDGE,
    LANE,
    LANE_ROWS,
    OTHER,
    PATCH,
    SCENERY,
    SUBJECT,
    bodies_schema,
    lane_rows,
    packed_color,
    table_per_run,
)
from mischance.api.tables import Table

from .actors import crossing_line, main_line
from .appearance import PAINTS
from .kinds import KINDS
from .surface import EDGE_WIDTH, LINE_WIDTH

if TYPE_CHECKING:
    from mischance.api.tables import AnyArray

    from .actors import Batch, Line
    from .settings import Settings

Row = tuple[float, ...]


def lanes_table(settings: Sequence[Settings]) -> Table:
    """Return the rows of `lanes`: lanes, edges and dividers of the main road and its crossings, and patches.

    Runs whose roads are equal share their rows; the friction of lanes is each run's own.
    """
    table = table_per_run(LANE_ROWS, [one.road for one in settings], lambda i: _rows(settings[i]))
    own = np.repeat([one.friction for one in settings], np.diff(table.offsets))
    friction = np.where(table.columns["kind"] == LANE, own, table.columns["friction"])
    return Table(table.schema, {**table.columns, "friction": friction}, table.offsets)


def _rows(settings: Settings) -> list[Row]:
    road = settings.road
    line = main_line(settings)
    rows = _one_road(line, 0, 0, road.lanes, road.lane_width, (-inf, inf))
    for group, (name, crossing) in enumerate(road.crossings.items(), 1):
        own = crossing_line(settings, name, line)
        ends = (-crossing.reach, crossing.reach)
        rows += _one_road(own, group, _next(rows), crossing.lanes, crossing.lane_width, ends)
    for patch in road.patches:
        rows += lane_rows(
            PATCH, _next(rows), line, begin=patch.start, end=patch.end, offset=0.5 * (patch.right + patch.left),
            width=patch.left - patch.right, friction=patch.friction,
        )  # fmt: skip
    return rows


def _next(rows: Sequence[Row]) -> int:
    return int(rows[-1][1]) + 1


def _one_road(line: Line, group: int, first: int, lanes: int, width: float, ends: tuple[float, float]) -> list[Row]:
    """Return the rows of one road: its lanes from the right, then its edges and the dividers."""
    begin, end = ends
    rows: list[Row] = []
    for n in range(lanes):
        rows += lane_rows(
            LANE, first + n, line, begin=begin, end=end, offset=(n + 0.5) * width, width=width, group=group
        )
    for n in range(lanes + 1):
        kind, wide = (EDGE, EDGE_WIDTH) if n in (0, lanes) else (DIVIDER, LINE_WIDTH)
        rows += lane_rows(
            kind, first + lanes + n, line, begin=begin, end=end, offset=n * width, width=wide, group=group
        )
    return rows


def bodies_table(batch: Batch, category: AnyArray) -> Table:
    """Return the rows of `bodies`: all actors; the ego is the subject.

    Args:
        batch: the records at t = 0.
        category: code of each actor's kind; shape (runs, actors).
    """
    cars, names = batch.cars, batch.names
    kinds = tuple(KINDS)
    runs, actors = cars.shape
    rows = runs * actors
    fixed = np.array([KINDS[kind].way == "fixed" for kind in kinds])[category]
    role = np.where(fixed, SCENERY, OTHER)
    role[:, batch.ego] = SUBJECT

    def column(name: str, factor: float = 1.0) -> AnyArray:
        return (factor * cars[name]).reshape(-1).astype(np.float32)

    still = {name: column(name) for name in ("x", "y", "yaw")} | {"z": column("height", 0.5)}
    columns: dict[str, AnyArray] = {
        "t": np.zeros(rows),
        "body": np.tile(np.arange(actors, dtype=np.int32), runs),
        "kind": category.reshape(-1).astype(np.int32),
        "role": role.reshape(-1).astype(np.int32),
        "shape": np.full(rows, BOX, np.int32),
        "length": column("half_l", 2.0),
        "width": column("half_w", 2.0),
        "height": column("height"),
        **{name: np.where(fixed.reshape(-1), values, np.float32(nan)) for name, values in still.items()},
        "color": np.tile(np.array([packed_color(PAINTS[i % len(PAINTS)]) for i in range(actors)], np.int32), runs),
        "parent": np.full(rows, -1, np.int32),
        "braking": np.where(fixed.reshape(-1), np.float32(nan), column("brakes")),
        "build_up": np.where(cars["jerk"].reshape(-1) > 0.0, column("jerk"), np.float32(nan)),
    }
    schema = bodies_schema(kinds, names)
    return Table(schema, {name: columns[name] for name in schema}, np.arange(runs + 1, dtype=np.int64) * actors)
