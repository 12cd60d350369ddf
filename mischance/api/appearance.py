"""What a world looks like from above: the tables `lanes`, `bodies`, `paths` and `contacts` that any world may write.

Previews and replays are drawn from these tables, from positions and from events alone; they know no world by name.
A world writes `lanes` and `bodies` once a run, in the chunk at t = 0; what appears later gets its rows at its time.

Positions over time come from the motion of the bodies, and from any other table that has `t`, `x`, `y` and a column of
the role `entity`, which names the body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import atan2, hypot, nan
from typing import Any

from mischance.api.geometry import Piece
from mischance.api.labels import table_of_rows
from mischance.api.tables import Column, Schema, Table

LANES, BODIES, PATHS, CONTACTS = TABLES = ("lanes", "bodies", "paths", "contacts")
"""Names of the tables. Their columns: `LANE_ROWS`, `bodies_schema`, `paths_schema`, `CONTACT_ROWS`."""

LINE_KINDS = ("lane", "aisle", "area", "patch", "zone", "edge", "divider", "stop", "wall", "fence")
"""Kinds of lines. The first five have a surface as wide as `width`: lanes and aisles are driven on, an area is any
other floor, a patch is a stretch with another friction, a zone is a space that counts for something. An edge is a
painted line, a divider a broken one, a stop a broad one across; a wall stands, a fence must not be crossed."""
LANE, AISLE, AREA, PATCH, ZONE, EDGE, DIVIDER, STOP, WALL, FENCE = range(len(LINE_KINDS))
SURFACES = LINE_KINDS[:PATCH]

BODY_ROLES = ("subject", "other", "scenery")
"""Roles of bodies: whom the run is about (the first such row), anybody else, what stands there for good."""
SUBJECT, OTHER, SCENERY = range(len(BODY_ROLES))

BODY_KINDS = (
    "car", "van", "bus", "truck", "motorcycle", "cyclist", "pedestrian", "child", "person", "animal", "debris",
    "occluder", "agv", "drone",
)  # fmt: skip
"""Kinds of bodies that have a drawing of their own; any other word is a kind too, drawn by its shape alone."""

SHAPES = ("box", "cylinder", "sphere")
"""Shapes of bodies: a box of length, width and height; an upright cylinder; a sphere, which moves in 3-D."""
BOX, CYLINDER, SPHERE = range(len(SHAPES))

# A stretch [begin, end] of one piece of a line: straight, or an arc. The line may have an offset to its left, so that
# all lanes of a road share one line of reference, as in ASAM OpenDRIVE.
LANE_ROWS: Schema = {
    "t": Column(unit="s", role="time"),
    "line": Column("int32", role="key", about="number of the line; its pieces have the same number"),
    "piece": Column("int32", about="which piece of the line of reference, counted along it"),
    "group": Column("int32", about="lines that share a line of reference, as lanes side by side; 0 = the main one"),
    "kind": Column("category", names=LINE_KINDS),
    "x": Column(unit="m", about="where the piece of the line of reference begins"),
    "y": Column(unit="m"),
    "heading": Column(unit="rad", about="its direction there"),
    "way": Column(unit="m", about="way along the line of reference there"),
    "length": Column(unit="m", about="of the piece; a last piece that goes on is 1e9 m long"),
    "curvature": Column(unit="1/m", about="positive turns left"),
    "begin": Column(
        unit="m", about="way at which this line begins on the piece; -inf = it goes on backwards, straight"
    ),
    "end": Column(unit="m", about="way at which it ends; inf = it goes on"),
    "offset": Column(unit="m", about="of this line to the left of the line of reference: its middle"),
    "width": Column(unit="m", about="across the line"),
    "z": Column("float32", unit="m", about="height above the ground"),
    "friction": Column(null=True, about="of what moves on it; NaN = nobody says"),
}

# Columns that replays read where a world's table of contacts has them; only the first five are needed.
CONTACT_ROWS: Schema = {
    "t": Column(unit="s"),
    "a": Column("text", about="one of the two bodies"),
    "b": Column("text", about="the other one; a body of `bodies`, or 'ground'"),
    "x": Column(unit="m", about="point of contact"),
    "y": Column(unit="m"),
    "closing_speed": Column(unit="m/s", about="along the normal"),
    "normal_x": Column(about="unit normal from a to b"),
    "normal_y": Column(),
    "impulse": Column(unit="N s"),
    "impulse_x": Column(unit="N s", about="received by b"),
    "impulse_y": Column(unit="N s"),
    **{f"delta_v_{one}": Column(unit="m/s", about="change of its velocity") for one in "ab"},
    **{f"delta_v_{one}_{axis}": Column(unit="m/s") for one in "ab" for axis in "xy"},
    **{f"delta_yaw_rate_{one}": Column(unit="rad/s") for one in "ab"},
    "event_id": Column(
        "text", about="the event that it belongs to; several rows may be one contact that goes on", role="cause"
    ),
}


def bodies_schema(kinds: tuple[str, ...], names: tuple[str, ...] = ()) -> Schema:
    """Return the columns of `bodies`: one row a body.

    Args:
        kinds: every kind of body that the world knows, in an order that is always the same.
        names: names of all bodies of all runs; text where they are not known beforehand.
    """
    name = Column("category", names=names) if names else Column("text")
    return {
        "t": Column(unit="s", role="time", about="since when it is there"),
        "body": Column(name.dtype, names=names, role="entity"),
        "kind": Column("category", names=kinds, about="what it is"),
        "role": Column("category", names=BODY_ROLES, about="subject = what the run is about", role="label"),
        "shape": Column("category", names=SHAPES),
        "length": Column("float32", unit="m", about="along its own x axis; diameter of what is round"),
        "width": Column("float32", unit="m"),
        "height": Column("float32", unit="m"),
        "x": Column("float32", unit="m", null=True, about="where it stands; NaN = it moves: see its positions"),
        "y": Column("float32", unit="m", null=True),
        "z": Column("float32", unit="m", null=True, about="of its middle"),
        "yaw": Column("float32", unit="rad", null=True),
        "color": Column("int32", about="red, green, blue as 0xRRGGBB; -1 = nobody says"),
        "parent": Column(name.dtype, names=names, null=True, about="the body that it hangs on by a joint; null = none"),
        "braking": Column("float32", unit="m/s2", null=True, about="strongest deceleration that it has by itself"),
        "build_up": Column("float32", unit="m/s3", null=True, about="jerk at which that builds up; NaN = at once"),
    }


def paths_schema(names: tuple[str, ...]) -> Schema:
    """Return the columns of `paths`, where bodies mean to go: one row a piece; a path's rows have the same number."""
    return {
        "t": Column(unit="s", role="time", about="since when"),
        "actor": Column("category", names=names, role="entity"),
        "path": Column("int64", about="number of the path of that actor; a higher one replaces those before"),
        "piece": Column("int64", about="which piece, in the direction of travel"),
        "x": Column(unit="m", about="where the piece begins"),
        "y": Column(unit="m"),
        "heading": Column(unit="rad", about="its direction there"),
        "way": Column(unit="m", about="way along the path there; the first piece goes on backwards"),
        "length": Column(unit="m", about="the last piece goes on forwards"),
        "curvature": Column(unit="1/m", about="positive turns left"),
        "offset": Column(unit="m", about="to the left of that line: where it goes"),
    }


def packed_color(color: Sequence[float]) -> int:
    """Return red, green and blue, each 0-1, as 0xRRGGBB."""
    red, green, blue = (round(255.0 * min(max(part, 0.0), 1.0)) for part in color)
    return (red << 16) | (green << 8) | blue


def lane_rows(
    kind: int, line: int, pieces: Sequence[Piece], *, begin: float, end: float, offset: float = 0.0,
    width: float, group: int = 0, z: float = 0.0, friction: float = float("nan"), t: float = 0.0,
) -> list[tuple[float, ...]]:  # fmt: skip
    """Return the rows of one line in the order of `LANE_ROWS`: a row for each piece that [begin, end] covers.

    Args:
        kind: one of LANE, AISLE …
        line: its number.
        pieces: of the line of reference; the first goes on backwards, the last forwards.
        begin, end: ways between which the line lies [m].
        offset, width, z: to the left of the line of reference, across, and up [m].
        group: number of the line of reference.
        friction: of what moves on it; NaN where nobody says.
        t: when it appears [s].
    """
    rows: list[tuple[float, ...]] = []
    for n, piece in enumerate(pieces):
        low = begin if n == 0 else max(begin, piece.s)
        high = end if n == len(pieces) - 1 else min(end, pieces[n + 1].s)
        if low < high:
            rows.append((t, line, n, group, kind, *piece[:6], low, high, offset, width, z, friction))
    return rows


def segment(x: float, y: float, to_x: float, to_y: float) -> Piece:
    """Return a straight piece from one place to another."""
    return Piece.at(x, y, atan2(to_y - y, to_x - x), 0.0, hypot(to_x - x, to_y - y))


def rectangle(x: float, y: float, to_x: float, to_y: float) -> list[Piece]:
    """Return the outline of a rectangle with sides along x and y, counter-clockwise from its corner (x, y)."""
    corners = [(x, y), (to_x, y), (to_x, to_y), (x, to_y), (x, y)]
    line: list[Piece] = []
    for (x0, y0), (x1, y1) in pairwise(corners):
        s = line[-1].s + line[-1].length if line else 0.0
        line.append(segment(x0, y0, x1, y1)._replace(s=s))
    return line


def body_row(
    schema: Schema, body: str, kind: str, role: int, shape: int, size: Sequence[float], *,
    pose: Sequence[float] = (nan, nan, nan, nan), color: Sequence[float] = (), parent: str = "", braking: float = nan,
    build_up: float = nan, t: float = 0.0,
) -> tuple[Any, ...]:  # fmt: skip
    """Return one row in the order of `bodies_schema`.

    Args:
        schema: the table's columns, where names and kinds get their codes.
        body, kind: its name, and what it is.
        role, shape: one of SUBJECT, OTHER, SCENERY, and one of BOX, CYLINDER, SPHERE.
        size: length, width and height [m]; of what is round, its diameter twice.
        pose: x, y, z [m] and yaw [rad] of what stands there for good.
        color: red, green, blue, each 0-1; none where nobody says.
        parent: name of the body that it hangs on by a joint.
        braking: strongest deceleration that it has by itself [m/s2].
        build_up: jerk at which that builds up; NaN = at once [m/s3].
        t: since when it is there [s].
    """
    names = schema["body"].names
    known = (names.index(body), names.index(parent) if parent else -1) if names else (body, parent)
    code = schema["kind"].names.index(kind)
    paint = packed_color(color) if len(color) else -1
    return (t, known[0], code, role, shape, *size, *pose, paint, known[1], braking, build_up)


def table_per_run(schema: Schema, keys: Sequence[Any], rows: Callable[[int], Sequence[Sequence[Any]]]) -> Table:
    """Return a table of which run i has `rows(i)`; runs that follow each other with equal keys share one call."""
    distinct: list[Sequence[Any]] = []
    which: list[int] = []
    for i, key in enumerate(keys):
        if not i or key != keys[i - 1]:
            distinct.append(rows(i))
        which.append(len(distinct) - 1)
    return table_of_rows(schema, [[tuple(row) for row in rows_] for rows_ in distinct]).pick(which)
