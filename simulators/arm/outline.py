"""The tables `lanes` and `bodies`: table and bin as lines, links of the arm, box and person; see `api/appearance`."""

from __future__ import annotations

from math import atan2
from typing import TYPE_CHECKING, Any

from mischance.api.appearance import (
    AREA,
    BOX,
    CYLINDER,
    LANE_ROWS,
    OTHER,
    SCENERY,
    SPHERE,
    SUBJECT,
    WALL,
    bodies_schema,
    body_row,
    lane_rows,
    rectangle,
    segment,
)
from mischance.api.labels import table_of_rows

from .appearance import BLUE, CARD, DARK, GREY, ORANGE, SKIN, YELLOW, moving
from .building import BIN, FOREARM, HAND, TORSO
from .building import WALL as THICK
from .model import JOINTS, LINKS
from .path import LOWER_ARM, UPPER_ARM

if TYPE_CHECKING:
    from mischance.api.tables import Table

    from .path import Reach
    from .settings import Settings

KINDS = ("box", "robot", "person", "fixture")
UPPER_ARM_WIDTH = 0.09  # as it is drawn [m]


def lanes_table(settings: Settings) -> Table:
    """Return the rows of `lanes`: the table's top and the walls of the bin."""
    x, y = settings.task.place
    half = 0.5 * (BIN + THICK)
    rim = rectangle(x - half, y - half, x + half, y + half)
    rows = lane_rows(AREA, 0, [segment(-0.35, 0.0, 0.95, 0.0)], begin=0.0, end=1.3, width=1.8)
    rows += lane_rows(WALL, 1, rim, begin=0.0, end=8.0 * half, width=THICK, group=1)
    return table_of_rows(LANE_ROWS, [rows])


def bodies_table(settings: Settings, reach: Reach | None) -> Table:
    """Return the rows of `bodies`: the box is the subject; links hang on the link before, limbs on the person."""
    names = (*moving(settings), *(("person",) if reach else ()), *(("fixture",) if settings.fixture else ()))
    schema = bodies_schema(KINDS, names)
    rows: list[tuple[Any, ...]] = [
        body_row(schema, "box", "box", SUBJECT, BOX, settings.object.size, color=CARD),
    ]
    for i, link in enumerate(LINKS):
        color = ORANGE if i < JOINTS - 1 else GREY if i == JOINTS - 1 else DARK
        parent = LINKS[link.parent].name if link.parent >= 0 else ""
        rows.append(body_row(schema, link.name, "robot", OTHER, BOX, link.size, color=color, parent=parent))
    if reach is not None:
        at, (size, _) = reach.person.stands, TORSO[0]
        pose = (*at, 0.0, atan2(reach.facing[1], reach.facing[0]))
        rows.append(body_row(schema, "person", "person", SCENERY, BOX, size, pose=pose, color=BLUE))
        limbs = (
            ("person_upper_arm", CYLINDER, (UPPER_ARM, UPPER_ARM_WIDTH, UPPER_ARM_WIDTH), BLUE, "person"),
            ("person_forearm", CYLINDER, (LOWER_ARM, 2.0 * FOREARM, 2.0 * FOREARM), BLUE, "person_upper_arm"),
            ("person_hand", SPHERE, (2.0 * HAND, 2.0 * HAND, 2.0 * HAND), SKIN, "person_forearm"),
        )
        for name, shape, extent, color, parent in limbs:
            rows.append(body_row(schema, name, "person", OTHER, shape, extent, color=color, parent=parent))
    if settings.fixture is not None:
        extent, foot = settings.fixture.size, settings.fixture.at
        place = (*foot, 0.5 * extent[2], 0.0)
        rows.append(body_row(schema, "fixture", "fixture", SCENERY, BOX, extent, pose=place, color=YELLOW))
    return table_of_rows(schema, [rows])
