"""Routes from bay to bay, and reservations of crossings."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import hypot, inf, sqrt
from typing import TYPE_CHECKING

from .motion import NO_AISLE, Body, Point
from .settings import BAY

if TYPE_CHECKING:
    import simpy

    from .settings import Settings

Node = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Route:
    """A route from bay to bay. `marks`: distance to each stop [m]; `passes`: (crossing, distance at which it is free).

    The last crossing is released on arrival in the bay.
    """

    stops: tuple[Point, ...]
    aisles: tuple[tuple[int, int], ...]
    marks: tuple[float, ...]
    passes: tuple[tuple[Node, float], ...]
    goal: Node

    @property
    def nodes(self) -> frozenset[Node]:
        """The crossings on the route."""
        return frozenset(node for node, _ in self.passes)


@dataclass(slots=True, eq=False)
class Job:
    """One order. `key` is its key for random numbers; `number` counts arrivals."""

    number: int
    key: int
    t: float
    origin: Node
    destination: Node
    event_id: str = ""
    lost: bool = False


@dataclass(slots=True, eq=False)
class Agv(Body):
    """One AGV: bay, load, present trip, and state of its emergency stop."""

    number: int = 0
    node: Node = (0, 0)
    yaw: float = 0.0
    job: Job | None = None
    load: int = 0
    route: Route | None = None
    trips: int = 0
    arrived: simpy.Event | None = None
    trip_event: str = ""
    stop_event: str = ""
    lost: tuple[str, ...] = ()
    watch: int = 0
    pending: bool = False
    stopped: bool = False
    asked: float = -1.0
    clearing: int = 0
    waits: bool = False
    blocked: float = inf
    held: set[Node] = field(default_factory=set)

    @property
    def called(self) -> str:
        """Name and number of the trip."""
        return f"{self.name}/{self.trips}"


class Floor:
    """Floor plan: crossings, bays and routes."""

    def __init__(self, settings: Settings) -> None:
        self.grid = settings.grid
        self.nodes = [(i, j) for j in range(settings.grid.rows) for i in range(settings.grid.columns)]
        # Bays lie at 45 degrees to the aisles: an AGV that leaves one comes within d / sqrt(2) of an AGV d beyond it.
        self.clear = sqrt(2.0) * (2.0 * settings.fleet.radius + settings.fleet.clearance)

    def point(self, node: Node) -> Point:
        """Return the centre of a crossing [m]."""
        return node[0] * self.grid.spacing, node[1] * self.grid.spacing

    def bay(self, node: Node) -> Point:
        """Return the centre of a crossing's bay [m]."""
        return (node[0] + BAY) * self.grid.spacing, (node[1] + BAY) * self.grid.spacing

    def segments(self) -> list[tuple[tuple[int, int], float]]:
        """Return (aisle, start coordinate) of every segment between two crossings."""
        grid = self.grid
        along_x = [((0, j), i * grid.spacing) for j in range(grid.rows) for i in range(grid.columns - 1)]
        return along_x + [((1, i), j * grid.spacing) for i in range(grid.columns) for j in range(grid.rows - 1)]

    def route(self, start: Node, goal: Node) -> Route:
        """Return the route from bay to bay: along x first, then along y."""
        corner = (goal[0], start[1])
        stops = [self.bay(start), self.point(start)]
        aisles: list[tuple[int, int]] = [NO_AISLE]
        for a, b, aisle in ((start, corner, (0, start[1])), (corner, goal, (1, goal[0]))):
            if a != b:
                stops.append(self.point(b))
                aisles.append(aisle)
        stops.append(self.bay(goal))
        aisles.append(NO_AISLE)
        marks = [0.0]
        for p, q in pairwise(stops):
            marks.append(marks[-1] + hypot(q[0] - p[0], q[1] - p[1]))
        i, j = start
        nodes = [start]
        while (i, j) != goal:
            if i != goal[0]:
                i += 1 if goal[0] > i else -1
            else:
                j += 1 if goal[1] > j else -1
            nodes.append((i, j))
        passes = [(node, marks[1] + k * self.grid.spacing + self.clear) for k, node in enumerate(nodes[:-1])]
        passes.append((goal, inf))
        return Route(tuple(stops), tuple(aisles), tuple(marks), tuple(passes), goal)


class Crossings:
    """Reservations of crossings. A trip gets all of its crossings at once or none, and holds none while it waits.

    No trip holds one crossing and waits for another, so there is no deadlock. Waiting trips have priority for their
    crossings in the order of their requests, so there is no starvation.

    Source:
        Coffman, Elphick, Shoshani, System deadlocks, ACM Computing Surveys 3 (2), 1971 ("hold and wait").
    """

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env
        self._held: set[Node] = set()
        self._waiting: list[tuple[Agv, frozenset[Node], simpy.Event]] = []

    def claim(self, agv: Agv, nodes: frozenset[Node]) -> simpy.Event:
        """Request crossings; return an event that fires when the AGV holds all of them."""
        granted = self._env.event()
        self._waiting.append((agv, nodes, granted))
        self._grant()
        return granted

    def release(self, agv: Agv, node: Node) -> None:
        """Release a crossing, if it is held."""
        if node in agv.held:
            agv.held.remove(node)
            self._held.remove(node)
            self._grant()

    def _grant(self) -> None:
        wanted: set[Node] = set()
        rest = []
        for agv, nodes, granted in self._waiting:
            if nodes & (self._held | wanted):
                wanted |= nodes
                rest.append((agv, nodes, granted))
            else:
                self._held |= nodes
                agv.held |= nodes
                granted.succeed()
        self._waiting = rest
