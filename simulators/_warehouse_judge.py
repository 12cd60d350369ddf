"""What a run of the warehouse is judged by: separations, the contact, orders; its verdict and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf, nan
from typing import TYPE_CHECKING, Any

from mischance.truth import LABELS

from ._warehouse_dispatch import Agv
from ._warehouse_motion import nearest
from ._warehouse_tables import columns, label

if TYPE_CHECKING:
    from mischance.truth import Fault

    from ._warehouse_motion import Body

FAR = 10.0  # largest margin [m]


@dataclass(frozen=True, slots=True)
class Contact:
    """The contact that ended the run. `ahead`: how far before the AGV a person had stepped out [m]."""

    t: float
    a: str
    b: str
    impact: float
    event_id: str
    causes: tuple[Fault, ...]
    ahead: float


@dataclass(slots=True)
class Judge:
    """Keeps the books of one run. `pairs`: least separation of each encounter, an AGV's trips told apart."""

    pairs: dict[tuple[str, str], float] = field(default_factory=dict)
    contact: Contact | None = None
    arrived: int = 0
    done: int = 0
    stops: int = 0
    crossed: int = 0
    delay: float = 0.0

    def settle(self, agv: Agv, other: Body, until: float) -> None:
        """Take in the separation of two since one of them last changed its plan."""
        names = [f"{one.name}/{one.trips}" if isinstance(one, Agv) else one.name for one in (agv, other)]
        key = (min(names), max(names))
        least = self.pairs.get(key, inf)
        if agv.pieces and other.pieces:
            found = nearest(agv, other, max(agv.since, other.since), until, least)
            if found < least:
                self.pairs[key] = found

    def outcome(self, end: float, near: float) -> dict[str, Any]:
        """Return measures and verdict of a run that ended then; `near` [m] is what a near miss is."""
        contact = self.contact
        least = 0.0 if contact else min(self.pairs.values(), default=inf)
        misses = sum(distance < near for distance in self.pairs.values()) - (contact is not None)
        impact = contact.impact if contact else 0.0
        if contact:
            verdict = "AGVs touched" if contact.b.startswith("agv") else "a person was touched"
        else:
            verdict = "near miss" if misses > 0 else "no contact"
        return {
            "contacts": int(contact is not None),
            "contact_time": contact.t if contact else nan,
            "impact_speed": impact,
            "min_separation": least,
            "near_misses": max(misses, 0),
            "orders_arrived": self.arrived,
            "orders_done": self.done,
            "delay_mean": self.delay / self.done if self.done else nan,
            "throughput": 3600.0 * self.done / end if end > 0 else 0.0,
            "stops": self.stops,
            "people": self.crossed,
            "event": contact is not None,
            "margin": -impact if contact else min(least, FAR),
            "verdict": verdict,
            "reason": self._reason(least),
        }

    def _reason(self, least: float) -> str:
        contact = self.contact
        if contact is None:
            if least == inf:
                return "nobody came near"
            close = min(self.pairs, key=lambda pair: (self.pairs[pair], pair))
            return " and ".join(name.partition("/")[0] for name in close) + f" came within {least:.2f} m"
        text = f"{contact.a} touched {contact.b} at {contact.t:.2f} s, closing at {contact.impact:.2f} m/s"
        if contact.causes:
            return f"{text}: " + " and ".join(f"{fault.kind} of {fault.target}" for fault in contact.causes)
        return f"{text}: {contact.b} stepped out {contact.ahead:.2f} m ahead of it" if contact.ahead < inf else text

    def labels(self, faults: Sequence[Fault], end: float) -> dict[str, Any]:
        """Return a label for each fault that began before the end, and for a contact."""
        rows: list[tuple[Any, ...]] = []
        numbers: dict[str, int] = {}
        for fault in faults:
            number = numbers.setdefault(fault.target, 0)
            numbers[fault.target] += 1
            if fault.onset <= end:
                path = f"fault/{fault.target.split('.')[-1]}/{fault.kind}"
                name, causes = f"{fault.target}:{number}", [fault.fault_id]
                rows.append(label(name, path, fault.target, fault.onset, fault.end, fault.severity, causes, "fault"))
        if self.contact:
            it = self.contact
            causes = [it.event_id, *(fault.fault_id for fault in it.causes)]
            rows.append(label("contact:0", "event/contact", it.a, it.t, it.t, it.impact, causes, "event"))
        rows.sort(key=lambda row: (row[3], row[0]))
        return columns(LABELS, rows)
