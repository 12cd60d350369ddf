"""One run of the warehouse: starts its processes, advances SimPy's clock, samples the actors."""

from __future__ import annotations

from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from .contacts import Contacts
from .dispatch import Job
from .orders import Orders
from .pedestrians import Pedestrians
from .state import State

if TYPE_CHECKING:
    from mischance.api.labels import Row
    from mischance.api.randomness import Streams
    from mischance.api.runs import Draw, Fault

    from .settings import Settings

PLANNED = 2**40  # first key of planned orders; orders that arrive at random count from 1


class Run:
    """One run. SimPy orders the events in time; positions and contact times follow in closed form."""

    def __init__(self, settings: Settings, draw: Draw, streams: Streams) -> None:
        self._state = state = State(settings, draw, streams)
        self._contacts = Contacts(state)
        pedestrians = Pedestrians(state, self._contacts)
        driving = pedestrians.driving
        orders = Orders(state, driving)
        self._tick = 0
        self._rowed = -1.0  # time of the last row of actors [s]
        self._duration = draw.duration
        if settings.orders.rate > 0:
            state.env.process(orders.arrivals())
        for k, order in enumerate(settings.orders.planned):
            job = Job(0, PLANNED + k, order.at, order.origin, order.destination)
            state.at(order.at, orders.arrive, job)
        if settings.people.rate > 0:
            state.env.process(pedestrians.arrivals())
        self._pedestrians = pedestrians
        for fault in state.faults.all:
            self._watch(fault)
        for fault in state.faults.all:
            self._drop(fault)

    def inject(self, fault: Fault) -> None:
        """Take one more fault, whose onset is later than the present time, or an earlier end of one."""
        known = any(one.begins_like(fault) for one in self._state.faults.all)
        self._state.faults.add(fault)
        self._watch(fault)
        if not known:
            self._drop(fault)

    def _watch(self, fault: Fault) -> None:
        """Have protective fields evaluated where a fault changes them."""
        for t in self._state.faults.changes(fault):
            if isfinite(t) and t >= self._state.env.now:
                self._state.at(t, self._pedestrians.driving.check_fields)

    def _drop(self, fault: Fault) -> None:
        """Have a load fall off when the severity of a fault that says so reaches 0.5."""
        if fault.kind == "drop" and fault.severity >= 0.5:
            agv = next(one for one in self._state.agvs if fault.target == f"{one.name}.load")
            grown = max(fault.ramp, 0.0) * (0.5 / fault.severity)
            if fault.onset + grown < fault.end:
                self._state.at(fault.onset + grown, self._pedestrians.drop, agv, fault)

    @property
    def end(self) -> float:
        """The time up to which the run has been played [s]."""
        return self._state.end

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self._state.over

    def advance(self, until: float) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Advance to `until`, inclusive; return events and tables since the last call."""
        state = self._state
        while not state.over:
            t = state.env.peek()
            tick = self._tick / state.settings.rate
            if tick < t and tick <= until:
                self._add_rows(tick)
                self._tick += 1
            elif t <= until:  # not run(until): it stops before events at `until` itself
                state.env.step()
            else:
                break
        if not state.over:
            state.end = until
        if (state.over or until >= self._duration) and self._rowed < state.end:  # the state at a run's end is a row
            self._add_rows(state.end)
        return state.log.take()

    def in_force(self, target: str, kind: str) -> float:
        """Return the present value of the parameter that faults of a kind change on a target."""
        return self._state.in_force(target, kind)

    def _add_rows(self, t: float) -> None:
        self._state.log.actors(t, self._state.agvs, self._state.people)
        self._rowed = t

    def outcome(self) -> dict[str, Any]:
        """Return the run's measures and verdict, one value per column."""
        state = self._state
        for agv in state.agvs:
            for other in self._contacts.others(agv):
                state.measures.update_separation(agv, other, state.end)
            state.measures.blocked += max(state.end - agv.blocked, 0.0)
            agv.blocked = inf
        return state.measures.outcome(state.end, state.settings.near)

    def labels(self) -> list[Row]:
        """Return a label for each fault that began during the run, for a contact and for late orders."""
        return self._state.measures.labels(self._state.faults.all, self._state.end)
