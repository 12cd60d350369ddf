"""Measures of a run of the warehouse: separations, contact, brake threat, orders; its verdict and labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf, nan
from typing import TYPE_CHECKING, Any

from mischance.api.labels import Row, label_row

from .dispatch import Agv
from .motion import demands, nearest
from .people import Person

if TYPE_CHECKING:
    from mischance.api.runs import Fault

    from .motion import Body

MAX_MARGIN = 10.0  # upper limit of the margin [m]
MAX_THREAT = 10.0  # upper limit of the brake threat number


@dataclass(frozen=True, slots=True)
class Contact:
    """The contact that ended the run. `ahead`: distance between AGV and person when the person stepped out [m]."""

    t: float
    a: str
    b: str
    impact: float
    event_id: str
    causes: tuple[Fault, ...]
    ahead: float


@dataclass(slots=True)
class FleetMeasures:
    """The measures of one run, updated while it is played.

    `available`: deceleration of an emergency stop of an AGV at a time [m/s2]; `breaks`: times at which it changes.
    `pairs`: least separation of each encounter, separate for each trip of an AGV. `waiting`: number of an order that
    is not done -> time of arrival. `late`: (time, number, event, faults) of orders that were not done when due.
    """

    available: Callable[[Agv, float], float]
    breaks: Callable[[str], Sequence[float]]
    due: float | None
    pairs: dict[tuple[str, str], float] = field(default_factory=dict)
    contact: Contact | None = None
    arrived: int = 0
    done: int = 0
    stops: int = 0
    crossed: int = 0
    delay: float = 0.0
    threat: float = 0.0
    waiting: dict[int, float] = field(default_factory=dict)
    slowest: float = 0.0
    blocked: float = 0.0
    dropped: int = 0
    late: list[tuple[float, int, str, tuple[Fault, ...]]] = field(default_factory=list)

    def update_separation(self, agv: Agv, other: Body, until: float) -> None:
        """Update the least separation and the brake threat of two bodies since the last change of a plan."""
        if isinstance(other, Person) and other.by == agv.called:
            return  # its own load, dropped on this trip
        names = [one.called if isinstance(one, Agv) else one.name for one in (agv, other)]
        key = (min(names), max(names))
        least = self.pairs.get(key, inf)
        if agv.pieces and other.pieces:
            start = max(agv.since, other.since)
            found = nearest(agv, other, start, until, least)
            if found < least:
                self.pairs[key] = found
            if not other.vehicle:
                for t, need in demands(agv, other, start, until, self.breaks(agv.name)):
                    self.threat = max(self.threat, min(need / max(self.available(agv, t), 1e-9), MAX_THREAT))

    def outcome(self, end: float, near: float) -> dict[str, Any]:
        """Return measures and verdict of a run that ended at `end`; a separation below `near` [m] is a near miss."""
        contact = self.contact
        least = 0.0 if contact else min(self.pairs.values(), default=inf)
        misses = sum(distance < near for distance in self.pairs.values()) - (contact is not None)
        impact = contact.impact if contact else 0.0
        if contact:
            kind = contact.b.rstrip("0123456789")
            verdict = {"agv": "AGVs touched", "load": "a load was run into"}.get(kind, "a person was touched")
        elif self.late:
            verdict = "late order"
        else:
            verdict = "near miss" if misses > 0 else "no contact"
        return {
            "contacts": int(contact is not None),
            "contact_time": contact.t if contact else nan,
            "impact_speed": impact,
            "min_separation": least,
            "near_misses": max(misses, 0),
            "max_btn": self.threat,
            "orders_arrived": self.arrived,
            "orders_done": self.done,
            "delay_mean": self.delay / self.done if self.done else nan,
            "throughput": 3600.0 * self.done / end if end > 0 else 0.0,
            "lateness": self._lateness(end),
            "blocked": self.blocked,
            "loads_dropped": self.dropped,
            "stops": self.stops,
            "people": self.crossed,
            "event": contact is not None,
            "margin": -impact if contact else min(least, MAX_MARGIN),
            "verdict": verdict,
            "reason": self._reason(least, end),
        }

    def _lateness(self, end: float) -> float:
        if self.due is None:
            return nan
        return max([self.slowest, *(end - t for t in self.waiting.values())]) / self.due

    def _hurry(self, end: float) -> str:
        if self.due is None:
            return ""
        return f"; the slowest order took {100.0 * self._lateness(end):.0f} % of the time that it had"

    def _reason(self, least: float, end: float) -> str:
        contact = self.contact
        if contact is None:
            if self.late:
                t, number, _, causes = self.late[0]
                text = f"order{number} was not done when it was due at {t:.2f} s"
                return f"{text}: " + " and ".join(f"{f.kind} of {f.target}" for f in causes) if causes else text
            if least == inf:
                return "nobody came near" + self._hurry(end)
            close = min(self.pairs, key=lambda pair: (self.pairs[pair], pair))
            text = " and ".join(name.partition("/")[0] for name in close) + f" came within {least:.2f} m"
            if self.threat > 0.0:
                text += f"; somebody in the way took {100.0 * self.threat:.0f} % of the brakes"
            return text + self._hurry(end)
        text = f"{contact.a} touched {contact.b} at {contact.t:.2f} s, closing at {contact.impact:.2f} m/s"
        if contact.causes:
            return f"{text}: " + " and ".join(f"{fault.kind} of {fault.target}" for fault in contact.causes)
        return f"{text}: {contact.b} stepped out {contact.ahead:.2f} m ahead of it" if contact.ahead < inf else text

    def labels(self, faults: Sequence[Fault], end: float) -> list[Row]:
        """Return a label for each fault that began before the end, and for a contact."""
        rows: list[Row] = []
        numbers: dict[str, int] = {}
        for fault in faults:
            number = numbers.setdefault(fault.target, 0)
            numbers[fault.target] += 1
            if fault.onset <= end:
                path = f"fault/{fault.target.split('.')[-1]}/{fault.kind}"
                name, causes = f"{fault.target}:{number}", [fault.fault_id]
                rows.append(
                    label_row(
                        name, path, fault.target, cause=fault.onset, end=fault.end, severity=fault.severity,
                        causes=causes, role="fault",
                    )
                )  # fmt: skip
        if self.contact:
            it = self.contact
            causes = [it.event_id, *(fault.fault_id for fault in it.causes)]
            rows.append(
                label_row(
                    "contact:0", "event/contact", it.a, cause=it.t, end=it.t, severity=it.impact, causes=causes,
                    role="event",
                )
            )  # fmt: skip
        for k, (t, number, event_id, faulty) in enumerate(self.late):
            causes = [event_id, *(fault.fault_id for fault in faulty)]
            rows.append(
                label_row(
                    f"late_order:{k}", "event/late_order", f"order{number}", cause=t, end=t, severity=1.0,
                    causes=causes, role="event",
                )
            )  # fmt: skip
        rows.sort(key=lambda row: (row[3], row[0]))
        return rows
