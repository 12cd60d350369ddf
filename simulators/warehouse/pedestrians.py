"""People on foot and dropped loads in the aisles: arrivals, planned walkers, crossing, dropping and leaving."""

from __future__ import annotations

from collections.abc import Generator
from math import cos, isfinite, sin
from typing import TYPE_CHECKING, Any

import simpy

from .contacts import Contacts
from .dispatch import Agv
from .driving import Driving
from .motion import NO_AISLE, time_at
from .people import Person, crossing, fallen, meeting
from .state import State

if TYPE_CHECKING:
    from mischance.api.runs import Fault

    from .settings import Walker

RETRY = 0.5  # interval at which a waiting person looks again, and at which a drop is tried again [s]

Process = Generator[simpy.Event, Any, None]


class Pedestrians:
    """Puts people and dropped loads into the aisles."""

    def __init__(self, state: State, contacts: Contacts) -> None:
        self._state, self._env, self._settings = state, state.env, state.settings
        self._log, self._measures = state.log, state.measures
        self._contacts = contacts
        self.driving = Driving(state, contacts, self.agv_departed)
        self._segments = state.floor.segments()
        self._walkers = list(enumerate(state.settings.people.walkers, start=1))

    def arrivals(self) -> Process:
        """Let people arrive as a Poisson process."""
        gaps = self._state.streams("people")
        key = 0
        while True:
            yield self._env.timeout(float(gaps.exponential(1.0 / self._settings.people.rate)))
            key += 1
            self._env.process(self._passer_by(key))

    def _passer_by(self, key: int) -> Process:
        """Choose the place and speed of one person by its own key, wait for AGVs nearby, and cross."""
        u = [float(self._state.streams.uniform("person", [key], k)[0]) for k in range(4)]
        aisle, begin = self._segments[int(u[0] * len(self._segments))]
        line = begin + (0.3 + 0.4 * u[1]) * self._settings.grid.spacing
        slow, fast = self._settings.people.speed
        while self._lets_pass(aisle, line):
            yield self._env.timeout(RETRY)
        self._step_out(f"person{key}", aisle, line, 1 if u[2] < 0.5 else -1, slow + (fast - slow) * u[3])

    def _lets_pass(self, aisle: tuple[int, int], line: float) -> bool:
        """Return whether an AGV is so near that a person who looks lets it pass."""
        people, now = self._settings.people, self._env.now
        for agv in self._state.agvs:
            piece = agv.piece(now) if agv.out else None
            if piece is not None and piece.aisle == aisle:
                ahead = (cos(piece.yaw), sin(piece.yaw))[aisle[0]] * (line - piece.at(now)[aisle[0]])
                reach = agv.radius + people.radius
                if -reach - self._settings.near < ahead < reach + people.look:
                    return True
        return False

    def _step_out(
        self, name: str, aisle: tuple[int, int], line: float, side: int, speed: float, stands: float = 0.0
    ) -> None:
        """Let a person cross an aisle from its right (-1) or left (1) edge as seen along the axis."""
        now, grid = self._env.now, self._settings.grid
        pieces = crossing(now, grid, aisle, line, side, speed, stands)
        person = Person(name, self._settings.people.radius, pieces, now, out=True, aisle=aisle, line=line)
        self._log.event("step_out", name, details={"x": pieces[0].x, "y": pieces[0].y, "speed": speed})
        self._measures.crossed += 1
        self._enter(person)

    def _enter(self, person: Person) -> None:
        """Add a person or load to the floor until its last piece ends; all AGVs check it."""
        self._state.people.append(person)
        for agv in self._state.agvs:
            if agv.out:
                person.ahead[agv.name] = self.driving.gap(agv, person)
                self._contacts.predict(agv, person)
                self.driving.check_field(agv)
        if isfinite(person.pieces[-1].end):
            self._state.at(person.pieces[-1].end, self._leave, person)

    def drop(self, agv: Agv, fault: Fault) -> None:
        """Drop an AGV's load as soon as it carries one along an aisle, away from crossings."""
        now, spacing = self._env.now, self._settings.grid.spacing
        if now >= fault.end:
            return
        piece = agv.piece(now) if agv.out else None
        if piece is None or agv.job is None or not agv.load or piece.aisle == NO_AISLE or piece.speed(now) <= 0.0:
            self._state.at(now + RETRY, self.drop, agv, fault)
            return
        if not 0.25 < piece.at(now)[piece.aisle[0]] / spacing % 1.0 < 0.75:
            self._state.at(now + RETRY, self.drop, agv, fault)
            return
        self._measures.dropped += 1
        name, plane = f"load{self._measures.dropped}", self._settings.safety.plane
        load = fallen(now, name, self._settings.loads, plane, agv, fault.fault_id)
        details = {"order": agv.load, "x": load.pieces[0].x, "y": load.pieces[0].y, "fault": fault.fault_id}
        self._log.event("load_dropped", agv.name, agv.trip_event, details)
        agv.job.lost, agv.load = True, 0
        self._enter(load)

    def _leave(self, person: Person) -> None:
        """Remove a person or load from the floor."""
        for agv in self._state.agvs:
            if agv.out:
                self._measures.update_separation(agv, person, self._env.now)
        person.out = False
        self._state.people.remove(person)
        self.driving.check_fields()

    def agv_departed(self, agv: Agv) -> None:
        """Schedule the planned walkers who step in front of this AGV, on the plan that it has just begun."""
        for number, walker in list(self._walkers):
            if agv.route is None or walker.before != agv.number or walker.after > self._env.now:
                continue
            front = agv.radius + self._settings.people.radius + walker.ahead
            aisle, line, way = meeting(agv.route, self._settings.grid.spacing, front)
            self._walkers.remove((number, walker))
            self._state.at(time_at(agv.pieces, way), self._walk, number, walker, agv, agv.stamp, aisle, line)

    def _walk(self, number: int, walker: Walker, agv: Agv, stamp: int, aisle: tuple[int, int], line: float) -> None:
        """Let a planned walker step out, unless the AGV has changed its plan."""
        if agv.stamp != stamp:  # it was stopped on the way: the walker waits for its next trip
            self._walkers.append((number, walker))
            return
        self._step_out(f"walker{number}", aisle, line, -1, walker.speed, walker.stands)
