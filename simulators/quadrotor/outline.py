"""The tables `lanes` and `bodies`: the geofence, and drones, birds and obstacles; see `api/appearance`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mischance.api.appearance import (
    BOX,
    CYLINDER,
    FENCE,
    LANE_ROWS,
    OTHER,
    SCENERY,
    SPHERE,
    SUBJECT,
    bodies_schema,
    body_row,
    lane_rows,
    rectangle,
    table_per_run,
)

from .appearance import CONCRETE, FEATHER, PAINTS
from .settings import Box, Settings

if TYPE_CHECKING:
    from mischance.api.tables import Schema, Table

KINDS = ("drone", "bird", "obstacle")


def lanes_table(settings: Sequence[Settings]) -> Table:
    """Return the rows of `lanes`: the fence, where there is one."""
    return table_per_run(LANE_ROWS, [one.fence for one in settings], lambda i: _fence(settings[i]))


def _fence(settings: Settings) -> list[tuple[float, ...]]:
    fence = settings.fence
    if fence is None:
        return []
    line = rectangle(fence.x[0], fence.y[0], fence.x[1], fence.y[1])
    return lane_rows(FENCE, 0, line, begin=0.0, end=line[-1].s + line[-1].length, width=0.0)


def bodies_table(settings: Sequence[Settings]) -> Table:
    """Return the rows of `bodies`; the first drone is the subject."""
    first = settings[0]
    schema = bodies_schema(KINDS, (*first.drones, *first.birds, *first.obstacles))
    looks = [
        ([drone.airframe.radius for drone in one.drones.values()],
         [bird.radius for bird in one.birds.values()], one.obstacles)
        for one in settings
    ]  # fmt: skip
    return table_per_run(schema, looks, lambda i: _bodies(schema, settings[i]))


def _bodies(schema: Schema, settings: Settings) -> list[tuple[Any, ...]]:
    rows = []
    for i, (name, drone) in enumerate(settings.drones.items()):
        size = [2.0 * drone.airframe.radius] * 3
        role = OTHER if i else SUBJECT
        rows.append(body_row(schema, name, "drone", role, SPHERE, size, color=PAINTS[i % len(PAINTS)]))
    for name, bird in settings.birds.items():
        rows.append(body_row(schema, name, "bird", OTHER, SPHERE, [2.0 * bird.radius] * 3, color=FEATHER))
    for name, it in settings.obstacles.items():
        if isinstance(it, Box):
            shape, extent, yaw = BOX, it.size, it.yaw
        else:
            shape, extent, yaw = CYLINDER, (2.0 * it.radius, 2.0 * it.radius, it.height), 0.0
        rows.append(body_row(schema, name, "obstacle", SCENERY, shape, extent, pose=(*it.at, yaw), color=CONCRETE))
    return rows
