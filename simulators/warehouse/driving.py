"""Driving of the AGVs: trips between bays, the protective field of the scanner, emergency stops and restarts."""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import cos, hypot, inf, isfinite, sin
from typing import TYPE_CHECKING, Any

import simpy

from .contacts import Contacts
from .dispatch import Agv, Crossings, Job
from .motion import Drive, Piece, plan, time_at
from .state import State

if TYPE_CHECKING:
    from .dispatch import Node
    from .people import Person

Process = Generator[simpy.Event, Any, None]


class Driving:
    """Moves the AGVs. `departed` is called with an AGV that has just begun a trip.

    Plans are numbered (`Agv.stamp`), and so are checks of the field (`Agv.watch`) and waits for a clear field
    (`Agv.clearing`): a scheduled step does nothing if its number is out of date.
    """

    def __init__(self, state: State, contacts: Contacts, departed: Callable[[Agv], None]) -> None:
        self._state, self._env, self._settings = state, state.env, state.settings
        self._faults, self._log, self._measures = state.faults, state.log, state.measures
        self._contacts, self._departed = contacts, departed
        self._crossings = Crossings(state.env)
        fleet = state.settings.fleet
        self._drive = Drive(fleet.speed, fleet.acceleration, fleet.deceleration, fleet.turn)

    def trip(self, agv: Agv, job: Job, goal: Node, leg: int) -> Process:
        """Drive an AGV from its bay to another: reserve the crossings, plan, and wait for the arrival."""
        if agv.node == goal:
            return
        route = self._state.floor.route(agv.node, goal)
        chance = self._state.loss(self._env.now)
        agv.lost = ()
        if float(self._state.streams.uniform("reservation", [2 * job.key + leg])[0]) < chance:
            acting = self._faults.acting(self._env.now, ["dispatch"])
            agv.lost = tuple(fault.fault_id for fault in acting if fault.kind == "message_loss")
            self._log.event("reservation_lost", agv.name, agv.lost[0], {"order": job.number})
        else:
            yield self._crossings.claim(agv, route.nodes)
        agv.trips += 1
        agv.route, agv.arrived, agv.out = route, self._env.event(), True
        agv.stop_event, agv.asked = "", -1.0
        details = {"order": job.number, "start": list(agv.node), "goal": list(goal)}
        agv.trip_event = self._log.event("trip", agv.name, job.event_id, details)
        # in the bay it was off the floor: earlier separations do not count
        agv.since = self._env.now
        agv.pieces = []
        self._follow(agv, plan(self._env.now, agv.yaw, route.stops, route.aisles, self._drive), arrives=True)
        self._departed(agv)
        yield agv.arrived

    def _arrive(self, agv: Agv, stamp: int) -> None:
        """End a trip in the bay, unless the plan has changed since."""
        if agv.stamp != stamp or agv.route is None or agv.arrived is None:
            return
        self._contacts.update(agv)
        agv.yaw = agv.pieces[-1].yaw
        agv.node = agv.route.goal
        agv.out = agv.pending = agv.stopped = False
        agv.stamp += 1
        agv.watch += 1
        for node in sorted(agv.held):
            self._crossings.release(agv, node)
        agv.arrived.succeed()

    def _follow(self, agv: Agv, pieces: list[Piece], *, arrives: bool) -> None:
        """Set a new plan from now on, and schedule its contacts, releases of crossings and arrival."""
        now = self._env.now
        self._contacts.update(agv)
        agv.pieces, agv.since = pieces, now
        agv.stamp += 1
        for other in self._contacts.others(agv):
            self._contacts.predict(agv, other)
        skew = self._state.early(now)
        if agv.route is not None:
            for node, way in agv.route.passes:
                leaves = min(time_at(pieces, way), pieces[-1].t if arrives else inf)
                if node in agv.held and isfinite(leaves):
                    self._state.at(max(leaves - skew, now), self._release, agv, node, agv.stamp)
        if arrives:
            self._state.at(pieces[-1].t, self._arrive, agv, agv.stamp)
        self.check_field(agv)

    def _release(self, agv: Agv, node: Node, stamp: int) -> None:
        """Release a crossing, unless the plan has changed since."""
        if agv.stamp == stamp:
            self._crossings.release(agv, node)

    def check_field(self, agv: Agv) -> None:
        """Schedule the scanner's next stop request on the present plan; a halted AGV waits until its field is clear."""
        agv.watch += 1
        if not agv.out or agv.pending:
            return
        if agv.stopped:
            self._wait_until_clear(agv)
            return
        found = min(((self._sees(agv, person), k) for k, person in enumerate(self._state.people)), default=(inf, 0))
        if found[0] < inf:
            self._state.at(found[0], self._request_stop, agv, self._state.people[found[1]], agv.watch)

    def check_fields(self) -> None:
        """Check the protective fields of all AGVs anew."""
        for agv in self._state.agvs:
            self.check_field(agv)

    def _sees(self, agv: Agv, person: Person) -> float:
        """Return the time at which a person enters the protective field; inf if never on this plan."""
        field = self._state.field(agv, self._env.now)
        if field <= 0.0 or person.low:
            return inf
        for piece in agv.pieces:
            start = max(piece.t, self._env.now)
            if piece.aisle != person.aisle or not piece.moves or start >= piece.end:
                continue
            axis = person.aisle[0]
            ahead = piece.u[axis] * (person.line - (piece.x, piece.y)[axis])
            t = max(piece.after(ahead - agv.radius - person.radius - field), start)
            if t < min(piece.end, person.pieces[-1].end) and ahead - piece.way(t) > 0.0:
                return t
        return inf

    def _request_stop(self, agv: Agv, person: Person, watch: int) -> None:
        """Request an emergency stop by the scanner; the brakes follow after reaction and latency."""
        if agv.watch != watch or not agv.out:
            return
        now = self._env.now
        agv.pending, agv.asked = True, now
        self._measures.stops += 1
        wait = self._state.reaction(agv, now)
        speed = agv.piece(now).speed(now)
        details = {"person": person.name, "ahead": self.gap(agv, person), "speed": speed, "brakes_at": now + wait}
        agv.stop_event = self._log.event("stop", agv.name, agv.trip_event, details)
        self._state.at(now + wait, self._brake, agv, agv.trips)

    def gap(self, agv: Agv, person: Person) -> float:
        """Return the distance along the aisle from an AGV's front to a person's side [m]; inf in other aisles."""
        piece = agv.piece(self._env.now)
        if piece.aisle != person.aisle:
            return inf
        axis = person.aisle[0]
        return abs(person.line - piece.at(self._env.now)[axis]) - agv.radius - person.radius

    def _brake(self, agv: Agv, trip: int) -> None:
        """Begin the emergency stop: decelerate as brake and friction allow, then stand."""
        if not agv.out or agv.trips != trip or agv.route is None:
            return
        now = self._env.now
        piece = agv.piece(now)
        (x, y), v, s = piece.at(now), piece.speed(now), piece.s + piece.way(now)
        left = min((mark - s for mark in agv.route.marks if mark > s), default=0.0)
        if v <= 1e-9 or left <= 1e-9:
            yaw = piece.heading(now)
            rest = Piece(now, inf, x, y, yaw, s=s, aisle=piece.aisle)
            self._follow(agv, [rest], arrives=False)
            self._halt(agv, agv.stamp)
            return
        # faults do not change the planned stop at the end of the straight: no AGV overruns it
        a = max(self._state.deceleration(agv, now), v * v / (2.0 * left))
        end, way = now + v / a, v * v / (2.0 * a)
        rest = Piece(end, inf, x + piece.u[0] * way, y + piece.u[1] * way, piece.yaw, s=s + way, aisle=piece.aisle)
        brake = Piece(now, end, x, y, piece.yaw, piece.u, s, v, -a, kind="brake", aisle=piece.aisle)
        self._follow(agv, [brake, rest], arrives=False)
        self._state.at(end, self._halt, agv, agv.stamp)

    def _halt(self, agv: Agv, stamp: int) -> None:
        """Note the end of an emergency stop."""
        if agv.stamp == stamp:
            agv.pending, agv.stopped, agv.waits = False, True, False
            self._log.event("halted", agv.name, agv.stop_event, {"way": agv.pieces[-1].s})
            self.check_field(agv)

    def _wait_until_clear(self, agv: Agv) -> None:
        """Schedule the restart once the field is clear, and cancel it when somebody enters."""
        if not self._clear(agv):
            agv.clearing += 1
            agv.waits = False
        elif not agv.waits:
            agv.clearing += 1
            agv.waits = True
            self._state.at(self._env.now + self._settings.safety.restart, self._restart, agv, agv.clearing)

    def _clear(self, agv: Agv) -> bool:
        """Return whether no person is in the protective field or touches the AGV."""
        piece = agv.pieces[-1]
        field = self._state.field(agv, self._env.now)
        toward = (cos(piece.yaw), sin(piece.yaw))
        for person in self._state.people:
            if person.low:
                continue
            reach = agv.radius + person.radius
            x, y = person.piece(self._env.now).at(self._env.now)
            if hypot(x - piece.x, y - piece.y) <= reach:
                return False
            axis = person.aisle[0]
            ahead = toward[axis] * (person.line - (piece.x, piece.y)[axis])
            if piece.aisle == person.aisle and field > 0.0 and -reach < ahead <= reach + field:
                return False
        return True

    def _restart(self, agv: Agv, clearing: int) -> None:
        """Continue the trip from the present position, if the field is still clear."""
        if agv.clearing != clearing or not agv.stopped or agv.route is None:
            return
        if not self._clear(agv):
            self._wait_until_clear(agv)
            return
        agv.stopped = agv.waits = False
        self._log.event("resumed", agv.name, agv.stop_event)
        piece, route = agv.pieces[-1], agv.route
        k = next((k for k, mark in enumerate(route.marks) if mark > piece.s + 1e-9), len(route.marks))
        stops = ((piece.x, piece.y), *route.stops[k:])
        pieces = plan(self._env.now, piece.yaw, stops, route.aisles[k - 1 :][: len(stops) - 1], self._drive, piece.s)
        self._follow(agv, pieces, arrives=True)
