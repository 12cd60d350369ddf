"""Orders: arrival, assignment to AGVs, transport from bay to bay, and lateness."""

from __future__ import annotations

from collections.abc import Generator
from math import inf
from typing import Any

import simpy

from .conveyors import Lines
from .dispatch import Agv, Job
from .driving import Driving
from .state import State

Process = Generator[simpy.Event, Any, None]


class Orders:
    """Takes orders and has the AGVs carry them; everything random of an order is keyed by its number."""

    def __init__(self, state: State, driving: Driving) -> None:
        self._state, self._env, self._settings = state, state.env, state.settings
        self._faults, self._log, self._measures = state.faults, state.log, state.measures
        self._driving = driving
        self._waiting: list[Job] = []
        self._lines = Lines(state.env, state.settings.conveyor, state.faults)

    def arrivals(self) -> Process:
        """Let orders arrive as a Poisson process."""
        gaps = self._state.streams("orders")
        nodes = self._state.floor.nodes
        key = 0
        while True:
            yield self._env.timeout(float(gaps.exponential(1.0 / self._settings.orders.rate)))
            key += 1
            u, v = (float(self._state.streams.uniform("order", [key], k)[0]) for k in range(2))
            origin = int(u * len(nodes))
            destination = int(v * (len(nodes) - 1))
            destination += destination >= origin
            self.arrive(Job(0, key, float(self._env.now), nodes[origin], nodes[destination]))

    def arrive(self, job: Job) -> None:
        """Take an order that arrives now, and dispatch it when an AGV is free."""
        self._measures.arrived += 1
        job.number = self._measures.arrived
        details = {"origin": list(job.origin), "destination": list(job.destination)}
        job.event_id = self._log.event("order", f"order{job.number}", details=details)
        self._log.order(job, "arrived", 0, job.origin)
        self._measures.waiting[job.number] = job.t
        if self._settings.orders.due is not None:
            self._state.at(job.t + self._settings.orders.due, self._late, job)
        self._waiting.append(job)
        self._dispatch()

    def _late(self, job: Job) -> None:
        """Note an order that is due now and not done."""
        now = self._env.now
        if job.number in self._measures.waiting:
            causes = tuple(fault for fault in self._faults.all if fault.kind in ("jam", "drop") and fault.onset < now)
            event_id = self._log.event(
                "late", f"order{job.number}", job.event_id, {"faults": [f.fault_id for f in causes]}
            )
            self._measures.late.append((now, job.number, event_id, causes))

    def _dispatch(self) -> None:
        """Assign waiting orders, oldest first, to the nearest free AGVs."""
        free = [agv for agv in self._state.agvs if agv.job is None]
        while self._waiting and free:
            job = self._waiting.pop(0)
            i, j = job.origin
            agv = min(free, key=lambda one: (abs(one.node[0] - i) + abs(one.node[1] - j), one.number))
            free.remove(agv)
            agv.job = job
            self._log.order(job, "assigned", agv.number, agv.node)
            self._env.process(self._carry(agv, job))

    def _carry(self, agv: Agv, job: Job) -> Process:
        """Carry one order: drive to its origin, pick, drive to its destination, wait for the conveyor, deliver."""
        handling = self._settings.fleet.handling
        yield from self._driving.trip(agv, job, job.origin, 0)
        yield self._env.timeout(handling)
        agv.load = job.number
        self._log.order(job, "picked", agv.number, job.origin)
        yield from self._driving.trip(agv, job, job.destination, 1)
        if job.lost:
            agv.job = None
            self._dispatch()
            return
        place = self._lines.place(job.destination)
        if place is not None:
            agv.blocked = self._env.now
            yield place
            self._measures.blocked += self._env.now - agv.blocked
            agv.blocked = inf
        yield self._env.timeout(handling)
        self._lines.give(job.destination)
        agv.load = 0
        self._log.order(job, "delivered", agv.number, job.destination)
        self._log.event("delivered", f"order{job.number}", agv.trip_event, {"agv": agv.name})
        self._measures.done += 1
        self._measures.delay += self._env.now - job.t
        self._measures.slowest = max(self._measures.slowest, self._env.now - self._measures.waiting.pop(job.number))
        agv.job = None
        self._dispatch()
