"""People on foot and dropped loads: plans of crossings, positions of dropped loads, meeting points with AGVs."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import pi
from typing import TYPE_CHECKING

from .motion import NO_AISLE, Body, Piece

if TYPE_CHECKING:
    from .dispatch import Agv, Route
    from .settings import Grid, Loads


@dataclass(slots=True, eq=False)
class Person(Body):
    """A person who crosses an aisle at `line`, the coordinate along it; or a dropped load.

    `ahead`: name of an AGV in that aisle -> distance from its front when the person stepped out [m].
    `low`: below the scanners' plane; `by`: AGV and trip that dropped it; `faults`: ids of the faults that caused it.
    """

    aisle: tuple[int, int] = NO_AISLE
    line: float = 0.0
    ahead: dict[str, float] = field(default_factory=dict)
    load: bool = False
    low: bool = False
    by: str = ""
    faults: tuple[str, ...] = ()


def crossing(
    t: float, grid: Grid, aisle: tuple[int, int], line: float, side: int, speed: float, stands: float
) -> list[Piece]:
    """Return the pieces of a walk from edge to edge that begins at t, with a pause of `stands` [s] in the middle.

    `side`: -1 begins at the lower edge of an aisle along x or the upper one of an aisle along y, 1 at the other.
    """
    axis, number = aisle
    half, middle = grid.width / 2, number * grid.spacing
    u = (0.0, float(-side)) if axis == 0 else (float(side), 0.0)
    yaw = -side * pi / 2 if axis == 0 else (0.0 if side > 0 else pi)
    pieces = []
    for d, v, lasts in ((-half, speed, half / speed), (0.0, 0.0, stands), (0.0, speed, half / speed)):
        if lasts > 0:
            x, y = (line, middle + u[1] * d) if axis == 0 else (middle + u[0] * d, line)
            pieces.append(Piece(t, t + lasts, x, y, yaw, u, v=v, kind="walk" if v > 0 else "stand", aisle=aisle))
            t += lasts
    return pieces


def fallen(t: float, name: str, loads: Loads, plane: float, agv: Agv, fault: str) -> Person:
    """Return the load that an AGV dropped at t in an aisle; it lies behind the AGV."""
    behind = agv.piece(t)
    (x, y), (ux, uy) = behind.at(t), behind.u
    far = agv.radius + loads.radius + 0.05
    x, y = x - far * ux, y - far * uy
    rest = Piece(t, t + loads.lies, x, y, behind.yaw, kind="stand", aisle=behind.aisle)
    line = (x, y)[behind.aisle[0]]
    return Person(
        name, loads.radius, [rest], t, out=True, aisle=behind.aisle, line=line, load=True, low=loads.height < plane,
        by=agv.called, faults=(fault,),
    )  # fmt: skip


def meeting(route: Route, spacing: float, front: float) -> tuple[tuple[int, int], float, float]:
    """Return the meeting point on a route's longest straight: (aisle, line, distance driven `front` before it) [m]."""
    lengths = [
        route.marks[k + 1] - route.marks[k] if aisle != NO_AISLE else 0.0 for k, aisle in enumerate(route.aisles)
    ]
    k = lengths.index(max(lengths))
    way = (round(lengths[k] / spacing) // 2 + 0.5) * spacing
    axis = route.aisles[k][0]
    begin, goal = route.stops[k][axis], route.stops[k + 1][axis]
    line = begin + (way if goal > begin else -way)
    return route.aisles[k], line, max(route.marks[k] + way - front, route.marks[k])
