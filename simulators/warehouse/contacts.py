"""Contacts of AGVs with other AGVs, people and loads: prediction from closed-form plans, and their faults."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from .dispatch import Agv
from .motion import Body, first_contact
from .outcome import Contact
from .people import Person
from .state import G, State

if TYPE_CHECKING:
    from mischance.api.runs import Fault


class Contacts:
    """Separations and contacts of the bodies on the floor."""

    def __init__(self, state: State) -> None:
        self._state, self._env, self._settings = state, state.env, state.settings
        self._faults, self._log, self._measures = state.faults, state.log, state.measures

    def others(self, agv: Agv) -> list[Body]:
        """Return the other bodies on the floor; empty while the AGV itself is in its bay."""
        if not agv.out:
            return []
        return [*(other for other in self._state.agvs if other is not agv and other.out), *self._state.people]

    def update(self, agv: Agv) -> None:
        """Update the separations of an AGV from all other bodies up to now."""
        for other in self.others(agv):
            self._measures.update_separation(agv, other, self._env.now)

    def predict(self, agv: Agv, other: Body) -> None:
        """Schedule the contact of two bodies if their present plans lead to one."""
        t, impact = first_contact(agv, other, self._env.now, inf)
        if t < inf:
            self._state.at(t, self._contact, agv, other, (agv.stamp, other.stamp), impact)

    def _contact(self, agv: Agv, other: Body, stamps: tuple[int, int], impact: float) -> None:
        """End the run by a contact, unless one of the two has changed its plan since it was predicted."""
        if (agv.stamp, other.stamp) != stamps or not (agv.out and other.out):
            return
        now = self._env.now
        self._measures.update_separation(agv, other, now)
        if isinstance(other, Agv):
            wanted = {*agv.lost, *other.lost}
            causes = [f for f in self._faults.all if f.fault_id in wanted or (f.kind == "clock_skew" and f.onset < now)]
        else:
            causes = self._contributing(agv)
            if isinstance(other, Person):
                causes = [fault for fault in self._faults.all if fault in causes or fault.fault_id in other.faults]
        stopping = agv.pending or agv.piece(now).kind == "brake"
        details = {"with": other.name, "impact_speed": impact, "faults": [fault.fault_id for fault in causes]}
        parent = agv.stop_event if stopping else agv.trip_event
        event_id = self._log.event("contact", agv.name, parent, details)
        ahead = other.ahead.get(agv.name, inf) if isinstance(other, Person) else inf
        self._measures.contact = Contact(now, agv.name, other.name, impact, event_id, tuple(causes), ahead)
        self._state.stop()

    def _contributing(self, agv: Agv) -> list[Fault]:
        """Return the faults that contributed to a contact with a person: of scanner, stop signal and brakes."""
        now, fleet = self._env.now, self._settings.fleet
        kinds = {"blind"} | ({"late", "latency"} if agv.pending else set())
        if agv.piece(now).kind == "brake":
            kinds |= {"fade"}
            slips = self._settings.grid.friction * self._faults.left("floor", "friction", agv.pieces[0].t) * G
            kinds |= {"friction"} if slips < fleet.brake else set()
        own = [f"{agv.name}.brakes", f"{agv.name}.scanner", "estop", "floor"]
        times = [now, *([agv.asked, agv.pieces[0].t] if agv.pending else [])]
        acting = {fault.fault_id for t in times for fault in self._faults.acting(t, own)}
        return [fault for fault in self._faults.all if fault.fault_id in acting and fault.kind in kinds]
