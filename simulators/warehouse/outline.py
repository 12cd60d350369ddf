"""The tables `lanes` and `bodies`: aisles and bays, and everybody on the floor; see `api/appearance`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mischance.api.appearance import (
    AISLE,
    AREA,
    CYLINDER,
    DIVIDER,
    LANE_ROWS,
    OTHER,
    SUBJECT,
    bodies_schema,
    body_row,
    lane_rows,
    segment,
    table_per_run,
)

from .settings import BAY, Settings

if TYPE_CHECKING:
    from mischance.api.tables import Table

KINDS = ("agv", "person", "load")
AGV, PERSON, LOAD = range(len(KINDS))
BODY_ROWS = bodies_schema(KINDS)
HEIGHTS = {"agv": 0.4, "person": 1.75}  # as they are drawn [m]
LINE_WIDTH = 0.1  # painted along the middle of an aisle [m]


def lanes_table(settings: Sequence[Settings]) -> Table:
    """Return the rows of `lanes`: every aisle with the line along its middle, and the bays beside the crossings."""
    return table_per_run(LANE_ROWS, [one.grid for one in settings], lambda i: _rows(settings[i]))


def _rows(settings: Settings) -> list[tuple[float, ...]]:
    grid = settings.grid
    half, bay = 0.5 * grid.width, BAY * grid.spacing
    wide, tall = (grid.columns - 1) * grid.spacing + half, (grid.rows - 1) * grid.spacing + half
    aisles = [segment(i * grid.spacing, -half, i * grid.spacing, tall) for i in range(grid.columns)]
    aisles += [segment(-half, j * grid.spacing, wide, j * grid.spacing) for j in range(grid.rows)]
    rows: list[tuple[float, ...]] = []
    for n, aisle in enumerate(aisles):
        rows += lane_rows(
            AISLE, 2 * n, [aisle], begin=0.0, end=aisle.length, width=grid.width, group=n, friction=grid.friction
        )
        rows += lane_rows(DIVIDER, 2 * n + 1, [aisle], begin=0.0, end=aisle.length, width=LINE_WIDTH, group=n)
    side = 0.75 * half
    for i in range(grid.columns):
        for j in range(grid.rows):
            x, y = i * grid.spacing + bay, j * grid.spacing + bay
            number = 2 * len(aisles) + i * grid.rows + j
            square = segment(x - side, y, x + side, y)
            group = len(aisles) + i * grid.rows + j
            rows += lane_rows(AREA, number, [square], begin=0.0, end=2.0 * side, width=2.0 * side, group=group)
    return rows


def body(settings: Settings, name: str, kind: int, t: float) -> tuple[Any, ...]:
    """Return the row of somebody who is seen for the first time at t; the first AGV is the subject."""
    radius = (settings.fleet.radius, settings.people.radius, settings.loads.radius)[kind]
    height = HEIGHTS.get(KINDS[kind], settings.loads.height)
    braking = settings.fleet.brake if kind == AGV else float("nan")
    role = SUBJECT if name == "agv1" else OTHER
    size = (2.0 * radius, 2.0 * radius, height)
    return body_row(BODY_ROWS, name, KINDS[kind], role, CYLINDER, size, braking=braking, t=t)
