"""Measures of a run of the arm: contact forces, load, fixture, stopping; its verdict, reason and labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, nan
from typing import TYPE_CHECKING, Any

from mischance.api.labels import label_row, table_of_rows
from mischance.api.tables import LABELS, Column, Schema, Table

if TYPE_CHECKING:
    from .bullet import Push
    from .faults import Faults

SLIP = 0.04  # displacement of the box in the gripper beyond which it counts as lost [m]
PLACED = 0.05  # distance from the bin's centre within which it counts as placed [m]
APART = 0.1  # time without force after which the next force is another contact [s]

MEASURES: Schema = {
    "person.contacts": Column("int64", about="how many times arm or load touched the person"),
    "person.force": Column(unit="N", role="value", about="largest contact force on the person; no injury is claimed"),
    "person.pressure": Column(unit="Pa", about="that force over the contact area of the settings: a proxy"),
    "person.energy": Column(unit="J", about="most work that one contact did on hand or forearm"),
    "person.contact_time": Column(unit="s", null=True, about="first touch of the person"),
    "person.contact_speed": Column(unit="m/s", about="tool against the touched part, just before the first touch"),
    "person.margin": Column(about="1 + separation / 1 m without contact, else 1 - force / limit"),
    "min_separation": Column(
        unit="m", role="value", about="smallest distance from the person to arm or load; inf = nobody there"
    ),
    "object.dropped": Column("int64", about="1 = the box was lost from the gripper"),
    "object.slip": Column(unit="m", about="farthest way of the box in the closed gripper"),
    "object.margin": Column(about="1 - slip / 0.04 m; negative = dropped"),
    "object.released": Column(unit="s", null=True, about="when it was let go at the bin"),
    "object.placed": Column("int64", about="1 = let go within 0.05 m of the bin's middle"),
    "place_error": Column(unit="m", about="level distance of the box from the bin's middle at the end"),
    "fixture.force": Column(unit="N", about="largest contact force on the fixture"),
    "fixture.margin": Column(unit="m", about="smallest distance to the fixture; after a touch minus force / 1 kN/m"),
    "bench.force": Column(unit="N", about="largest force of arm or gripper on table or bin"),
    "stops": Column("int64", about="how many stops the monitor demanded"),
    "stop_time": Column(
        unit="s", null=True, about="from the demand that brought it to a standstill, the first such, to that"
    ),
    "stop_distance": Column(unit="m", null=True, about="way of the tool in that time"),
    "saturation": Column(about="part of the time in which a motor asked for more than it can give"),
    "max_torque": Column(about="largest torque asked of a motor over what it can give"),
    "max_following": Column(unit="rad", about="largest following error that the controller saw"),
}

OUTCOME: Schema = {
    **MEASURES,
    "event": Column("bool"),
    "margin": Column(),
    "verdict": Column("text"),
    "reason": Column("text"),
}


@dataclass(slots=True)
class Contact:
    """A contact of arm or box with the person or the fixture, from its first to its last force."""

    t: float
    name: str
    by: str
    event_id: str
    parent: str
    last: float
    faults: tuple[str, ...]
    peak: float = 0.0
    energy: float = 0.0
    max_energy: float = 0.0


@dataclass(slots=True)
class CellMeasures:
    """The measures of one run, updated at every control step. Units: see MEASURES; `limit` [N], `area` [m2]."""

    limit: float
    area: float
    contacts: list[Contact] = field(default_factory=list)
    separation: float = inf
    t_separation: float = 0.0
    clearance: float = inf
    contact_speed: float = 0.0
    bench: float = 0.0
    slip: float = 0.0
    t_dropped: float = inf
    error: float = inf
    released: bool = False
    t_released: float = nan
    stops: int = 0
    asked: float = inf
    stop_cause: str = ""
    stop_time: float = nan
    stop_distance: float = 0.0
    steps: int = 0
    saturated: int = 0
    max_torque: float = 0.0
    max_following: float = 0.0

    def open(self, name: str, t: float) -> Contact | None:
        """Return the contact with a body that is not over at t."""
        mine = [contact for contact in self.contacts if contact.name == name and t - contact.last <= APART]
        return mine[-1] if mine else None

    @staticmethod
    def press(contact: Contact, t: float, push: Push) -> None:
        """Add a control step to a contact."""
        contact.last = t
        contact.peak = max(contact.peak, push.peak)
        contact.energy += push.energy
        contact.max_energy = max(contact.max_energy, contact.energy)

    def worst(self, *, person: bool) -> Contact | None:
        """Return the contact with the largest force, with the person or with the fixture."""
        mine = [contact for contact in self.contacts if (contact.name != "fixture") is person]
        return max(mine, key=lambda contact: contact.peak, default=None)

    def row(self, why: str) -> dict[str, list[Any]]:
        """Return the outcome's one row. `why`: the cause as text."""
        hit, crash = self.worst(person=True), self.worst(person=False)
        mine = [contact for contact in self.contacts if contact.name != "fixture"]
        force = hit.peak if hit else 0.0
        dropped = self.t_dropped < inf
        placed = self.released and not dropped and self.error < PLACED
        person = 1.0 - force / self.limit if hit else 1.0 + min(self.separation, 10.0)
        fixture = min(self.clearance, 10.0) if crash is None else -crash.peak / 1000.0
        load = 1.0 - self.slip / SLIP
        over = force > self.limit
        values: dict[str, Any] = {
            "person.contacts": len(mine),
            "person.force": force,
            "person.pressure": force / self.area,
            "person.energy": max((contact.max_energy for contact in mine), default=0.0),
            "person.contact_time": mine[0].t if mine else nan,
            "person.contact_speed": self.contact_speed,
            "person.margin": person,
            "min_separation": 0.0 if mine else self.separation,
            "object.dropped": int(dropped),
            "object.slip": self.slip,
            "object.margin": load,
            "object.released": self.t_released,
            "object.placed": int(placed),
            "place_error": self.error,
            "fixture.force": crash.peak if crash else 0.0,
            "fixture.margin": fixture,
            "bench.force": self.bench,
            "stops": self.stops,
            "stop_time": self.stop_time,
            "stop_distance": self.stop_distance if self.stop_time == self.stop_time else nan,
            "saturation": self.saturated / max(self.steps, 1),
            "max_torque": self.max_torque,
            "max_following": self.max_following,
            "event": over or dropped or crash is not None,
            "margin": min(person, load, fixture),
            "verdict": self._verdict(over=over, dropped=dropped, placed=placed),
            "reason": self._reason(why),
        }
        return {name: [value] for name, value in values.items()}

    def _verdict(self, *, over: bool, dropped: bool, placed: bool) -> str:
        if over:
            return "contact above the limit"
        if self.worst(person=False):
            return "collision"
        if dropped:
            return "dropped"
        if self.worst(person=True):
            return "contact"
        if placed:
            return "placed"
        return "misplaced" if self.released else "stopped" if self.stops else "unfinished"

    def _reason(self, why: str) -> str:
        text = []
        hit, crash = self.worst(person=True), self.worst(person=False)
        if hit:
            share = "above" if hit.peak > self.limit else "below"
            text.append(
                f"{hit.by} touched the {hit.name.replace('person', 'body')} at {hit.t:.2f} s"
                f" with up to {hit.peak:.0f} N,"
                f" {share} the limit of {self.limit:.0f} N"
            )
        elif self.separation < inf:
            text.append(f"no contact with the person: {self.separation:.2f} m at {self.t_separation:.2f} s")
        if crash:
            text.append(f"{crash.by} hit the fixture at {crash.t:.2f} s with up to {crash.peak:.0f} N")
        if self.t_dropped < inf:
            text.append(f"the box slipped out of the gripper at {self.t_dropped:.2f} s")
        elif self.released:
            text.append(f"the box was set down {self.error * 1000.0:.0f} mm from the bin's middle")
        if self.asked < inf:
            how = f"standstill after {self.stop_time:.2f} s" if self.stop_time == self.stop_time else "no standstill"
            text.append(f"stop demanded at {self.asked:.2f} s ({self.stop_cause}), {how}")
        return f"{why}: " + "; ".join(text) if text else why


def labels(measures: CellMeasures, faults: Faults) -> Table:
    """Return a label for each fault that became active, each contact, and a dropped box."""
    rows = []
    numbers: dict[str, int] = {}
    for fault in faults.all:
        number = numbers.setdefault(fault.target, 0)
        numbers[fault.target] += 1
        part = "joint" if fault.target.startswith("joint") else fault.target
        rows.append(
            label_row(
                f"{fault.target}:{number}", f"fault/{part}/{fault.kind}", fault.target, cause=fault.onset,
                end=fault.end, severity=fault.severity, causes=[fault.fault_id], role="fault",
            )
        )  # fmt: skip
    for number, contact in enumerate(measures.contacts):
        kind = "collision" if contact.name == "fixture" else "contact"
        causes = [cause for cause in (contact.event_id, contact.parent, *contact.faults) if cause]
        rows.append(
            label_row(
                f"{kind}:{number}", f"event/{kind}", contact.name, cause=contact.t, end=contact.last,
                severity=contact.peak, causes=causes, role="event",
            )
        )  # fmt: skip
    if measures.t_dropped < inf:
        t = measures.t_dropped
        causes = [fault.fault_id for fault in faults.acting(t)]
        slip = measures.slip
        rows.append(
            label_row("drop:0", "event/drop", "box", cause=t, end=t, severity=slip, causes=causes, role="event")
        )
    rows.sort(key=lambda row: (row[3], row[0]))
    return table_of_rows(LABELS, [rows])
