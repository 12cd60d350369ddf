"""One run of the warehouse: SimPy says when, closed forms say where.

It is one file above 400 lines because its handlers call each other in a circle: whoever changes a plan asks anew who
is seen, who is touched and which crossings are let go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from math import cos, hypot, inf, isfinite, sin
from typing import TYPE_CHECKING, Any

import simpy

from mischance.api.tables import EVENTS

from .conveyors import Lines
from .dispatch import Agv, Crossings, Floor, Job
from .faults import Faults
from .motion import NOWHERE, Body, Drive, Piece, first_contact, plan, time_at
from .outcome import Contact, Judge
from .people import Person, crossing, fallen, meeting
from .tables import ACTORS, ORDERS, STAGES, STATES, columns

if TYPE_CHECKING:
    from mischance.api.randomness import Streams
    from mischance.api.runs import Draw, Fault

    from .dispatch import Node
    from .settings import Settings, Walker

G = 9.80665  # standard gravity [m/s2]
RETRY = 0.5  # how often somebody who lets an AGV pass looks again, and a load about to fall [s]
PLANNED = 2**40  # keys of orders known beforehand; those that come by chance count from 1

Process = Generator[simpy.Event, Any, None]


class Run:
    """A run in the making; everything random is keyed by the order or person that it belongs to."""

    def __init__(self, settings: Settings, draw: Draw, streams: Streams) -> None:
        self.settings = settings
        self.env = simpy.Environment()
        self.floor = Floor(settings)
        self.faults = Faults(draw, settings.fleet.count)
        self.over = False
        self.end = 0.0
        self._streams = streams
        self._segments = self.floor.segments()
        self._crossings = Crossings(self.env)
        fleet = settings.fleet
        self._drive = Drive(fleet.speed, fleet.acceleration, fleet.deceleration, fleet.turn)
        self.agvs = [self._parked(k) for k in range(1, fleet.count + 1)]
        self.people: list[Person] = []
        self._waiting: list[Job] = []
        self._walkers = list(enumerate(settings.people.walkers, start=1))
        self.judge = Judge(self.deceleration, self.faults.breaks, settings.orders.due)
        self._lines = Lines(self.env, settings.conveyor, self.faults)
        self._tick = self._ids = 0
        self._events: list[tuple[Any, ...]] = []
        self._actors: list[tuple[Any, ...]] = []
        self._orders: list[tuple[Any, ...]] = []
        if settings.orders.rate > 0:
            self.env.process(self._order_source())
        for k, order in enumerate(settings.orders.planned):
            job = Job(0, PLANNED + k, order.at, order.origin, order.destination)
            self._at(order.at, self._order, job)
        if settings.people.rate > 0:
            self.env.process(self._people_source())
        for t in self.faults.changes():
            if isfinite(t):
                self._at(t, self._look_again)
        for fault in self.faults.all:
            if fault.kind == "drop" and fault.severity >= 0.5:
                agv = next(one for one in self.agvs if fault.target == f"{one.name}.load")
                self._at(fault.onset, self._drop, agv, fault)

    def _parked(self, k: int) -> Agv:
        fleet, nodes = self.settings.fleet, self.floor.nodes
        node = fleet.homes[k - 1] if fleet.homes else nodes[(k - 1) * len(nodes) // fleet.count % len(nodes)]
        return Agv(f"agv{k}", fleet.radius, vehicle=True, number=k, node=node)

    # -- the world's side -----------------------------------------------------------------------------------------

    def advance(self, until: float) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Let everything up to and including `until` happen; return events and tables since the last call."""
        while not self.over:
            t = self.env.peek()
            tick = self._tick / self.settings.rate
            if tick < t and tick <= until:
                self._look_at(tick)
                self._tick += 1
            elif t <= until:  # SimPy's own run(until) would stop before what happens AT the cut
                self.env.step()
            else:
                break
        if not self.over:
            self.end = until
        told = columns(EVENTS, self._events)
        tables = {"actors": columns(ACTORS, self._actors), "orders": columns(ORDERS, self._orders)}
        self._events, self._actors, self._orders = [], [], []
        return told, tables

    def outcome(self) -> dict[str, Any]:
        """Return the run's measures and its verdict, one value a column."""
        for agv in self.agvs:
            for other in self._others(agv):
                self.judge.settle(agv, other, self.end)
            self.judge.blocked += max(self.end - agv.blocked, 0.0)
            agv.blocked = inf
        return self.judge.outcome(self.end, self.settings.near)

    def labels(self) -> dict[str, Any]:
        """Return a label for each fault that began while the run went on, and for a contact."""
        return self.judge.labels(self.faults.all, self.end)

    # -- time -----------------------------------------------------------------------------------------------------

    def _at(self, t: float, act: Callable[..., None], *given: Any) -> None:
        """Call something at a time, or now where that has passed."""
        event = self.env.timeout(max(t - self.env.now, 0.0))
        event.callbacks.append(lambda _: act(*given))

    def _tell(self, kind: str, subject: str, parent: str = "", details: Mapping[str, Any] | None = None) -> str:
        event_id = f"event:{self._ids}"
        self._ids += 1
        self._events.append((self.env.now, event_id, parent, kind, subject, json.dumps(details or {})))
        return event_id

    def _look_at(self, t: float) -> None:
        """Add the rows of `actors` at t."""
        for agv in self.agvs:
            if agv.out:
                piece = agv.piece(t)
                row = (*piece.at(t), piece.heading(t), piece.speed(t), STATES.index(piece.kind))
            else:
                row = (*self.floor.bay(agv.node), agv.yaw, 0.0, STATES.index("bay"))
            self._actors.append((t, agv.name, 0, *row, agv.load))
        for person in self.people:
            piece = person.piece(t)
            row = (*piece.at(t), piece.yaw, piece.speed(t), STATES.index(piece.kind))
            self._actors.append((t, person.name, 2 if person.load else 1, *row, 0))

    # -- orders ---------------------------------------------------------------------------------------------------

    def _order_source(self) -> Process:
        gaps = self._streams("orders")
        nodes = self.floor.nodes
        key = 0
        while True:
            yield self.env.timeout(float(gaps.exponential(1.0 / self.settings.orders.rate)))
            key += 1
            u, v = (float(self._streams.uniform("order", [key], k)[0]) for k in range(2))
            origin = int(u * len(nodes))
            destination = int(v * (len(nodes) - 1))
            destination += destination >= origin
            self._order(Job(0, key, float(self.env.now), nodes[origin], nodes[destination]))

    def _order(self, job: Job) -> None:
        self.judge.arrived += 1
        job.number = self.judge.arrived
        details = {"origin": list(job.origin), "destination": list(job.destination)}
        job.event_id = self._tell("order", f"order{job.number}", details=details)
        self._stage(job, "arrived", 0, job.origin)
        self.judge.waiting[job.number] = job.t
        if self.settings.orders.due is not None:
            self._at(job.t + self.settings.orders.due, self._late, job)
        self._waiting.append(job)
        self._dispatch()

    def _stage(self, job: Job, stage: str, agv: int, node: Node) -> None:
        self._orders.append((self.env.now, job.number, STAGES.index(stage), agv, *self.floor.point(node)))

    def _late(self, job: Job) -> None:
        """An order is due: note it if it is not done."""
        now = self.env.now
        if job.number in self.judge.waiting:
            causes = tuple(fault for fault in self.faults.all if fault.kind in ("jam", "drop") and fault.onset < now)
            event_id = self._tell("late", f"order{job.number}", job.event_id, {"faults": [f.fault_id for f in causes]})
            self.judge.late.append((now, job.number, event_id, causes))

    def _dispatch(self) -> None:
        """Give the oldest orders to the nearest AGVs that are free."""
        free = [agv for agv in self.agvs if agv.job is None]
        while self._waiting and free:
            job = self._waiting.pop(0)
            i, j = job.origin
            agv = min(free, key=lambda one: (abs(one.node[0] - i) + abs(one.node[1] - j), one.number))
            free.remove(agv)
            agv.job = job
            self._stage(job, "assigned", agv.number, agv.node)
            self.env.process(self._carry(agv, job))

    def _carry(self, agv: Agv, job: Job) -> Process:
        handling = self.settings.fleet.handling
        yield from self._trip(agv, job, job.origin, 0)
        yield self.env.timeout(handling)
        agv.load = job.number
        self._stage(job, "picked", agv.number, job.origin)
        yield from self._trip(agv, job, job.destination, 1)
        if job.lost:
            agv.job = None
            self._dispatch()
            return
        place = self._lines.place(job.destination)
        if place is not None:
            agv.blocked = self.env.now
            yield place
            self.judge.blocked += self.env.now - agv.blocked
            agv.blocked = inf
        yield self.env.timeout(handling)
        self._lines.give(job.destination)
        agv.load = 0
        self._stage(job, "delivered", agv.number, job.destination)
        self._tell("delivered", f"order{job.number}", agv.trip_event, {"agv": agv.name})
        self.judge.done += 1
        self.judge.delay += self.env.now - job.t
        self.judge.slowest = max(self.judge.slowest, self.env.now - self.judge.waiting.pop(job.number))
        agv.job = None
        self._dispatch()

    def _trip(self, agv: Agv, job: Job, goal: Node, leg: int) -> Process:
        """Drive from bay to bay."""
        if agv.node == goal:
            return
        route = self.floor.route(agv.node, goal)
        chance = self.faults.of("dispatch", "message_loss", self.env.now)
        agv.lost = ()
        if float(self._streams.uniform("reservation", [2 * job.key + leg])[0]) < chance:
            acting = self.faults.acting(self.env.now, ["dispatch"])
            agv.lost = tuple(fault.fault_id for fault in acting if fault.kind == "message_loss")
            self._tell("reservation_lost", agv.name, agv.lost[0], {"order": job.number})
        else:
            yield self._crossings.claim(agv, route.nodes)
        agv.trips += 1
        agv.route, agv.arrived, agv.out = route, self.env.event(), True
        agv.stop_event, agv.asked = "", -1.0
        details = {"order": job.number, "start": list(agv.node), "goal": list(goal)}
        agv.trip_event = self._tell("trip", agv.name, job.event_id, details)
        # the bay was left off the floor: nothing happened to anyone in the time before
        agv.since = self.env.now
        agv.pieces = []
        self._follow(agv, plan(self.env.now, agv.yaw, route.stops, route.aisles, self._drive), arrives=True)
        self._await_walkers(agv)
        yield agv.arrived

    def _arrive(self, agv: Agv, stamp: int) -> None:
        if agv.stamp != stamp or agv.route is None or agv.arrived is None:
            return
        self._settle_all(agv)
        agv.yaw = agv.pieces[-1].yaw
        agv.node = agv.route.goal
        agv.out = agv.pending = agv.stopped = False
        agv.stamp += 1
        agv.watch += 1
        for node in sorted(agv.held):
            self._crossings.release(agv, node)
        agv.arrived.succeed()

    # -- driving --------------------------------------------------------------------------------------------------

    def _follow(self, agv: Agv, pieces: list[Piece], *, arrives: bool) -> None:
        """Give an AGV a new plan from now on."""
        now = self.env.now
        self._settle_all(agv)
        agv.pieces, agv.since = pieces, now
        agv.stamp += 1
        for other in self._others(agv):
            self._foresee(agv, other)
        skew = self.faults.of("dispatch", "clock_skew", now)
        if agv.route is not None:
            for node, way in agv.route.passes:
                leaves = min(time_at(pieces, way), pieces[-1].t if arrives else inf)
                if node in agv.held and isfinite(leaves):
                    self._at(max(leaves - skew, now), self._let_go, agv, node, agv.stamp)
        if arrives:
            self._at(pieces[-1].t, self._arrive, agv, agv.stamp)
        self._reconsider(agv)

    def _let_go(self, agv: Agv, node: Node, stamp: int) -> None:
        if agv.stamp == stamp:
            self._crossings.release(agv, node)

    def _reconsider(self, agv: Agv) -> None:
        """Look who is in the way, now or later on this plan."""
        agv.watch += 1
        if not agv.out or agv.pending:
            return
        if agv.stopped:
            self._wait_until_clear(agv)
            return
        found = min(((self._sees(agv, person), k) for k, person in enumerate(self.people)), default=(inf, 0))
        if found[0] < inf:
            self._at(found[0], self._ask, agv, self.people[found[1]], agv.watch)

    def _look_again(self) -> None:
        for agv in self.agvs:
            self._reconsider(agv)

    def _range(self, agv: Agv) -> float:
        return self.settings.safety.range * self.faults.left(f"{agv.name}.scanner", "blind", self.env.now)

    def _sees(self, agv: Agv, person: Person) -> float:
        """Return when a person comes into the protective field; inf = never on this plan."""
        field = self._range(agv)
        if field <= 0.0 or person.low:
            return inf
        for piece in agv.pieces:
            start = max(piece.t, self.env.now)
            if piece.aisle != person.aisle or not piece.moves or start >= piece.end:
                continue
            axis = person.aisle[0]
            ahead = piece.u[axis] * (person.line - (piece.x, piece.y)[axis])
            t = max(piece.after(ahead - agv.radius - person.radius - field), start)
            if t < min(piece.end, person.pieces[-1].end) and ahead - piece.way(t) > 0.0:
                return t
        return inf

    def _ask(self, agv: Agv, person: Person, watch: int) -> None:
        """The scanner asks for an emergency stop."""
        if agv.watch != watch or not agv.out:
            return
        now, safety = self.env.now, self.settings.safety
        agv.pending, agv.asked = True, now
        self.judge.stops += 1
        wait = safety.reaction + safety.latency
        wait += self.faults.of(f"{agv.name}.scanner", "late", now) + self.faults.of("estop", "latency", now)
        speed = agv.piece(now).speed(now)
        details = {"person": person.name, "ahead": self._gap(agv, person), "speed": speed, "brakes_at": now + wait}
        agv.stop_event = self._tell("stop", agv.name, agv.trip_event, details)
        self._at(now + wait, self._brake, agv, agv.trips)

    def _gap(self, agv: Agv, person: Person) -> float:
        """Return the way along the aisle from an AGV's front to a person's side [m]; inf in other aisles."""
        piece = agv.piece(self.env.now)
        if piece.aisle != person.aisle:
            return inf
        axis = person.aisle[0]
        return abs(person.line - piece.at(self.env.now)[axis]) - agv.radius - person.radius

    def deceleration(self, agv: Agv, t: float) -> float:
        """Return what an emergency stop that begins at t reaches [m/s2]."""
        brake = self.settings.fleet.brake * self.faults.left(f"{agv.name}.brakes", "fade", t)
        return min(brake, self.settings.grid.friction * self.faults.left("floor", "friction", t) * G)

    def _brake(self, agv: Agv, trip: int) -> None:
        """The brakes close."""
        if not agv.out or agv.trips != trip or agv.route is None:
            return
        now = self.env.now
        piece = agv.piece(now)
        (x, y), v, s = piece.at(now), piece.speed(now), piece.s + piece.way(now)
        left = min((mark - s for mark in agv.route.marks if mark > s), default=0.0)
        if v <= 1e-9 or left <= 1e-9:
            yaw = piece.heading(now)
            rest = Piece(now, inf, x, y, yaw, s=s, aisle=piece.aisle)
            self._follow(agv, [rest], arrives=False)
            self._halt(agv, agv.stamp)
            return
        # the motors' planned halt at the end of the straight is not touched by faults: nobody runs past it
        a = max(self.deceleration(agv, now), v * v / (2.0 * left))
        end, way = now + v / a, v * v / (2.0 * a)
        rest = Piece(end, inf, x + piece.u[0] * way, y + piece.u[1] * way, piece.yaw, s=s + way, aisle=piece.aisle)
        brake = Piece(now, end, x, y, piece.yaw, piece.u, s, v, -a, kind="brake", aisle=piece.aisle)
        self._follow(agv, [brake, rest], arrives=False)
        self._at(end, self._halt, agv, agv.stamp)

    def _halt(self, agv: Agv, stamp: int) -> None:
        if agv.stamp == stamp:
            agv.pending, agv.stopped, agv.waits = False, True, False
            self._tell("halted", agv.name, agv.stop_event, {"way": agv.pieces[-1].s})
            self._reconsider(agv)

    def _wait_until_clear(self, agv: Agv) -> None:
        if not self._clear(agv):
            agv.clearing += 1
            agv.waits = False
        elif not agv.waits:
            agv.clearing += 1
            agv.waits = True
            self._at(self.env.now + self.settings.safety.restart, self._restart, agv, agv.clearing)

    def _clear(self, agv: Agv) -> bool:
        """Say whether nobody stands in the field or touches the bumper."""
        piece = agv.pieces[-1]
        field = self._range(agv)
        toward = (cos(piece.yaw), sin(piece.yaw))
        for person in self.people:
            if person.low:
                continue
            reach = agv.radius + person.radius
            x, y = person.piece(self.env.now).at(self.env.now)
            if hypot(x - piece.x, y - piece.y) <= reach:
                return False
            axis = person.aisle[0]
            ahead = toward[axis] * (person.line - (piece.x, piece.y)[axis])
            if piece.aisle == person.aisle and field > 0.0 and -reach < ahead <= reach + field:
                return False
        return True

    def _restart(self, agv: Agv, clearing: int) -> None:
        if agv.clearing != clearing or not agv.stopped or agv.route is None:
            return
        if not self._clear(agv):
            self._wait_until_clear(agv)
            return
        agv.stopped = agv.waits = False
        self._tell("resumed", agv.name, agv.stop_event)
        piece, route = agv.pieces[-1], agv.route
        k = next((k for k, mark in enumerate(route.marks) if mark > piece.s + 1e-9), len(route.marks))
        stops = ((piece.x, piece.y), *route.stops[k:])
        pieces = plan(self.env.now, piece.yaw, stops, route.aisles[k - 1 :][: len(stops) - 1], self._drive, piece.s)
        self._follow(agv, pieces, arrives=True)

    # -- people ---------------------------------------------------------------------------------------------------

    def _people_source(self) -> Process:
        gaps = self._streams("people")
        key = 0
        while True:
            yield self.env.timeout(float(gaps.exponential(1.0 / self.settings.people.rate)))
            key += 1
            self.env.process(self._passer_by(key))

    def _passer_by(self, key: int) -> Process:
        u = [float(self._streams.uniform("person", [key], k)[0]) for k in range(4)]
        aisle, begin = self._segments[int(u[0] * len(self._segments))]
        line = begin + (0.3 + 0.4 * u[1]) * self.settings.grid.spacing
        slow, fast = self.settings.people.speed
        while self._lets_pass(aisle, line):
            yield self.env.timeout(RETRY)
        self._step_out(f"person{key}", aisle, line, 1 if u[2] < 0.5 else -1, slow + (fast - slow) * u[3])

    def _lets_pass(self, aisle: tuple[int, int], line: float) -> bool:
        """Say whether an AGV is so near that somebody who looks waits."""
        people, now = self.settings.people, self.env.now
        for agv in self.agvs:
            piece = agv.piece(now) if agv.out else None
            if piece is not None and piece.aisle == aisle:
                ahead = (cos(piece.yaw), sin(piece.yaw))[aisle[0]] * (line - piece.at(now)[aisle[0]])
                reach = agv.radius + people.radius
                if -reach - self.settings.near < ahead < reach + people.look:
                    return True
        return False

    def _step_out(
        self, name: str, aisle: tuple[int, int], line: float, side: int, speed: float, stands: float = 0.0
    ) -> None:
        """Let somebody walk across an aisle from its right (-1) or left (1) edge as seen along the axis."""
        now, grid = self.env.now, self.settings.grid
        pieces = crossing(now, grid, aisle, line, side, speed, stands)
        person = Person(name, self.settings.people.radius, pieces, now, out=True, aisle=aisle, line=line)
        self._tell("step_out", name, details={"x": pieces[0].x, "y": pieces[0].y, "speed": speed})
        self.judge.crossed += 1
        self._come(person)

    def _come(self, person: Person) -> None:
        """Let AGVs take note of a person or load that is now on the floor, until it has gone."""
        self.people.append(person)
        for agv in self.agvs:
            if agv.out:
                person.ahead[agv.name] = self._gap(agv, person)
                self._foresee(agv, person)
                self._reconsider(agv)
        if isfinite(person.pieces[-1].end):
            self._at(person.pieces[-1].end, self._step_off, person)

    def _drop(self, agv: Agv, fault: Fault) -> None:
        """Let an AGV's load fall, once it carries one along an aisle and well between two crossings."""
        now, spacing = self.env.now, self.settings.grid.spacing
        if now >= fault.end:
            return
        piece = agv.piece(now) if agv.out else None
        if piece is None or agv.job is None or not agv.load or piece.aisle == NOWHERE or piece.speed(now) <= 0.0:
            self._at(now + RETRY, self._drop, agv, fault)
            return
        if not 0.25 < piece.at(now)[piece.aisle[0]] / spacing % 1.0 < 0.75:
            self._at(now + RETRY, self._drop, agv, fault)
            return
        self.judge.dropped += 1
        name, plane = f"load{self.judge.dropped}", self.settings.safety.plane
        load = fallen(now, name, self.settings.loads, plane, agv, fault.fault_id)
        details = {"order": agv.load, "x": load.pieces[0].x, "y": load.pieces[0].y, "fault": fault.fault_id}
        self._tell("load_dropped", agv.name, agv.trip_event, details)
        agv.job.lost, agv.load = True, 0
        self._come(load)

    def _step_off(self, person: Person) -> None:
        for agv in self.agvs:
            if agv.out:
                self.judge.settle(agv, person, self.env.now)
        person.out = False
        self.people.remove(person)
        self._look_again()

    def _await_walkers(self, agv: Agv) -> None:
        """Find out when those who step before this AGV have to do so on the plan that it has just begun."""
        for number, walker in list(self._walkers):
            if agv.route is None or walker.before != agv.number or walker.after > self.env.now:
                continue
            front = agv.radius + self.settings.people.radius + walker.ahead
            aisle, line, way = meeting(agv.route, self.settings.grid.spacing, front)
            self._walkers.remove((number, walker))
            self._at(time_at(agv.pieces, way), self._walk, number, walker, agv, agv.stamp, aisle, line)

    def _walk(self, number: int, walker: Walker, agv: Agv, stamp: int, aisle: tuple[int, int], line: float) -> None:
        if agv.stamp != stamp:  # it was stopped on the way: wait for its next trip
            self._walkers.append((number, walker))
            return
        self._step_out(f"walker{number}", aisle, line, -1, walker.speed, walker.stands)

    # -- who comes near whom --------------------------------------------------------------------------------------

    def _others(self, agv: Agv) -> list[Body]:
        """Return all who are on the floor with an AGV that is there."""
        if not agv.out:
            return []
        return [*(other for other in self.agvs if other is not agv and other.out), *self.people]

    def _settle_all(self, agv: Agv) -> None:
        for other in self._others(agv):
            self.judge.settle(agv, other, self.env.now)

    def _foresee(self, agv: Agv, other: Body) -> None:
        """Find out whether two touch on their present plans."""
        t, impact = first_contact(agv, other, self.env.now, inf)
        if t < inf:
            self._at(t, self._touch, agv, other, (agv.stamp, other.stamp), impact)

    def _touch(self, agv: Agv, other: Body, stamps: tuple[int, int], impact: float) -> None:
        if (agv.stamp, other.stamp) != stamps or not (agv.out and other.out):
            return
        now = self.env.now
        self.judge.settle(agv, other, now)
        if isinstance(other, Agv):
            wanted = {*agv.lost, *other.lost}
            causes = [f for f in self.faults.all if f.fault_id in wanted or (f.kind == "clock_skew" and f.onset < now)]
        else:
            causes = self._to_blame(agv)
            if isinstance(other, Person):
                causes = [fault for fault in self.faults.all if fault in causes or fault.fault_id in other.faults]
        stopping = agv.pending or agv.piece(now).kind == "brake"
        details = {"with": other.name, "impact_speed": impact, "faults": [fault.fault_id for fault in causes]}
        parent = agv.stop_event if stopping else agv.trip_event
        event_id = self._tell("contact", agv.name, parent, details)
        ahead = other.ahead.get(agv.name, inf) if isinstance(other, Person) else inf
        self.judge.contact = Contact(now, agv.name, other.name, impact, event_id, tuple(causes), ahead)
        self.over, self.end = True, now

    def _to_blame(self, agv: Agv) -> list[Fault]:
        """Return the faults that had a part in an AGV's way to a person: of seeing, of answering, of braking."""
        now, fleet = self.env.now, self.settings.fleet
        kinds = {"blind"} | ({"late", "latency"} if agv.pending else set())
        if agv.piece(now).kind == "brake":
            kinds |= {"fade"}
            slips = self.settings.grid.friction * self.faults.left("floor", "friction", agv.pieces[0].t) * G
            kinds |= {"friction"} if slips < fleet.brake else set()
        own = [f"{agv.name}.brakes", f"{agv.name}.scanner", "estop", "floor"]
        times = [now, *([agv.asked, agv.pieces[0].t] if agv.pending else [])]
        acting = {fault.fault_id for t in times for fault in self.faults.acting(t, own)}
        return [fault for fault in self.faults.all if fault.fault_id in acting and fault.kind in kinds]
