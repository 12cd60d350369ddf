"""Shared state of one run of the warehouse: clock, floor plan, AGVs, people, faults, log and measures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import simpy

from mischance.api.appearance import BODIES
from mischance.api.tables import EVENTS

from .dispatch import Agv, Floor
from .faults import Faults
from .outcome import FleetMeasures
from .outline import AGV, LOAD, PERSON, body
from .tables import STAGES, STATES, TABLES, columns

if TYPE_CHECKING:
    from mischance.api.randomness import Streams
    from mischance.api.runs import Draw

    from .dispatch import Job, Node
    from .people import Person
    from .settings import Settings

G = 9.80665  # standard gravity [m/s2]


class Log:
    """Rows of `events`, `actors`, `orders` and `bodies` that wait for the next chunk."""

    def __init__(self, env: simpy.Environment, floor: Floor, settings: Settings) -> None:
        self._env, self._floor, self._settings = env, floor, settings
        self._known: set[str] = set()
        self._bodies: list[tuple[Any, ...]] = []
        self._count = 0
        self._events: list[tuple[Any, ...]] = []
        self._actors: list[tuple[Any, ...]] = []
        self._orders: list[tuple[Any, ...]] = []

    def event(self, kind: str, subject: str, parent: str = "", details: Mapping[str, Any] | None = None) -> str:
        """Add an event at the current time and return its id."""
        event_id = f"event:{self._count}"
        self._count += 1
        self._events.append((self._env.now, event_id, parent, kind, subject, json.dumps(details or {})))
        return event_id

    def order(self, job: Job, stage: str, agv: int, node: Node) -> None:
        """Add a row of `orders`: an order reaches a stage at a node; `agv` is 0 where none has it."""
        self._orders.append((self._env.now, job.number, STAGES.index(stage), agv, *self._floor.point(node)))

    def actors(self, t: float, agvs: Sequence[Agv], people: Sequence[Person]) -> None:
        """Add the rows of `actors` at t: position, yaw, speed and state of everyone; of `bodies`, those who are new."""
        for agv in agvs:
            if agv.out:
                piece = agv.piece(t)
                row = (*piece.at(t), piece.heading(t), piece.speed(t), STATES.index(piece.kind))
            else:
                row = (*self._floor.bay(agv.node), agv.yaw, 0.0, STATES.index("bay"))
            self._actors.append((t, agv.name, AGV, *row, not agv.out, agv.load))
            self._body(t, agv.name, AGV)
        for person in people:
            piece = person.piece(t)
            row = (*piece.at(t), piece.yaw, piece.speed(t), STATES.index(piece.kind))
            kind = LOAD if person.load else PERSON
            self._actors.append((t, person.name, kind, *row, False, 0))
            self._body(t, person.name, kind)

    def _body(self, t: float, name: str, kind: int) -> None:
        """Add a row of `bodies` for somebody who has none yet."""
        if name not in self._known:
            self._known.add(name)
            self._bodies.append(body(self._settings, name, kind, t))

    def take(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Return and clear the events and the tables' rows since the last call."""
        events = columns(EVENTS, self._events)
        rows = (("actors", self._actors), ("orders", self._orders), (BODIES, self._bodies))
        tables = {name: columns(TABLES[name], found) for name, found in rows}
        self._events, self._actors, self._orders, self._bodies = [], [], [], []
        return events, tables


class State:
    """The parts of one run that its components share. `over`: the run has ended, at `end`."""

    def __init__(self, settings: Settings, draw: Draw, streams: Streams) -> None:
        self.settings, self.streams = settings, streams
        self.env = simpy.Environment()
        self.floor = Floor(settings)
        self.faults = Faults(draw, settings.fleet.count)
        self.log = Log(self.env, self.floor, settings)
        self.agvs = [self._parked(k) for k in range(1, settings.fleet.count + 1)]
        self.people: list[Person] = []
        self.measures = FleetMeasures(self.deceleration, self.faults.breaks, settings.orders.due)
        self.over = False
        self.end = 0.0

    def _parked(self, k: int) -> Agv:
        fleet, nodes = self.settings.fleet, self.floor.nodes
        node = fleet.homes[k - 1] if fleet.homes else nodes[(k - 1) * len(nodes) // fleet.count % len(nodes)]
        return Agv(f"agv{k}", fleet.radius, vehicle=True, number=k, node=node)

    def at(self, t: float, act: Callable[..., None], *given: Any) -> None:
        """Schedule act(*given) at t, or at the current time if t has passed."""
        event = self.env.timeout(max(t - self.env.now, 0.0))
        event.callbacks.append(lambda _: act(*given))

    def stop(self) -> None:
        """End the run at the current time."""
        self.over, self.end = True, self.env.now

    def brake(self, agv: Agv, t: float) -> float:
        """Return the deceleration that an AGV's emergency brake gives at t where the floor holds [m/s2]."""
        return self.settings.fleet.brake * self.faults.left(f"{agv.name}.brakes", "fade", t)

    def friction(self, t: float) -> float:
        """Return the friction of the floor at t."""
        return self.settings.grid.friction * self.faults.left("floor", "friction", t)

    def deceleration(self, agv: Agv, t: float) -> float:
        """Return the deceleration of an emergency stop that begins at t [m/s2]."""
        return min(self.brake(agv, t), self.friction(t) * G)

    def field(self, agv: Agv, t: float) -> float:
        """Return the length of an AGV's protective field at t [m]."""
        return self.settings.safety.range * self.faults.left(f"{agv.name}.scanner", "blind", t)

    def reaction(self, agv: Agv, t: float) -> float:
        """Return the time from a stop request at t to the brakes [s]."""
        safety, faults = self.settings.safety, self.faults
        wait = safety.reaction + safety.latency
        return wait + (faults.of(f"{agv.name}.scanner", "late", t) + faults.of("estop", "latency", t))

    def early(self, t: float) -> float:
        """Return how much earlier than they are left crossings are released by a plan that is made at t [s]."""
        return self.faults.of("dispatch", "clock_skew", t)

    def loss(self, t: float) -> float:
        """Return the chance that a reservation at t is lost."""
        return 1.0 - self.faults.left("dispatch", "message_loss", t)

    def in_force(self, target: str, kind: str) -> float:
        """Return the present value of the parameter that faults of a kind change on a target."""
        t = self.env.now if self.over else self.end
        agv = next((one for one in self.agvs if target.startswith(f"{one.name}.")), self.agvs[0])
        read: dict[str, Callable[[], float]] = {
            "fade": lambda: self.brake(agv, t),
            "friction": lambda: self.friction(t),
            "blind": lambda: self.field(agv, t),
            "late": lambda: self.reaction(agv, t),
            "latency": lambda: self.reaction(agv, t),
            "clock_skew": lambda: self.early(t),
            "message_loss": lambda: self.loss(t),
            "jam": lambda: float(self.faults.jammed(t) > t),
            "drop": lambda: float(self.faults.on(target, "drop", t)),
        }
        return read[kind]()
