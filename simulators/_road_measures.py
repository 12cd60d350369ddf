"""What a run is judged by: gaps and times between the ego and the others, contacts, and the verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot, inf, nan

from mischance.truth import Column, Schema

from ._road_boxes import distance, time_to_collision
from ._road_vehicle import Vehicle

MEASURES: Schema = {
    "ego.contacts": Column("int64", about="how many times the ego touched another vehicle"),
    "ego.max_brake": Column(unit="m/s2", about="hardest deceleration of the ego before any contact"),
    "min_ttc": Column(
        unit="s", about="shortest time to collision of the boxes, 2-D, constant velocities; inf = never on course"
    ),
    "min_gap": Column(
        unit="m", about="smallest distance of the boxes; after a contact minus the closing speed times 1 s"
    ),
    "min_thw": Column(unit="s", about="shortest headway, bumper gap / ego speed, behind a vehicle in the ego's path"),
    "max_drac": Column(unit="m/s2", about="largest deceleration needed behind a vehicle in the ego's path"),
    "contact_time": Column(unit="s", null=True, about="when the ego was first touched"),
    "contact_speed": Column(unit="m/s", about="closing speed along the normal at the ego's first contact; 0 = none"),
    "delta_v": Column(unit="m/s", about="change of the ego's velocity in its first contact"),
    "other.delta_v": Column(unit="m/s", about="change of the other vehicle's velocity in that contact"),
    "impulse": Column(unit="N s", about="impulse exchanged in that contact"),
    "energy_lost": Column(unit="J", about="kinetic energy lost in that contact"),
}

OUTCOME: Schema = {
    **MEASURES,
    "event": Column("bool"),
    "margin": Column(unit="m"),
    "verdict": Column("text"),
    "reason": Column("text"),
}


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact of vehicles a and b, as the impact left it."""

    t: float
    a: str
    b: str
    closing: float
    normal: tuple[float, float]
    point: tuple[float, float, float]
    impulse: tuple[float, float, float]
    delta_v: tuple[float, float]
    energy_lost: float
    side_a: str
    side_b: str
    event_id: str
    again: bool  # the pair still leans on each other: not a contact of its own

    @property
    def size(self) -> float:
        """Return the impulse's size [N s]."""
        return hypot(*self.impulse)


@dataclass(slots=True)
class Judge:
    """Looks at every step before the ego's first contact."""

    min_gap: float = inf
    t_gap: float = 0.0
    nearest: str = ""
    min_ttc: float = inf
    t_ttc: float = 0.0
    min_thw: float = inf
    max_drac: float = 0.0
    max_brake: float = 0.0
    t_brake: float = nan
    contacts: list[Contact] = field(default_factory=list)

    def look(self, t: float, ego: Vehicle, others: Sequence[Vehicle]) -> None:
        """Take the state at time t into account."""
        if -ego.acceleration > self.max_brake:
            if self.max_brake < 1.0 <= -ego.acceleration:
                self.t_brake = t
            self.max_brake = -ego.acceleration
        own = ego.rectangle()
        for other in others:
            box = other.rectangle()
            dx, dy = box[0] - own[0], box[1] - own[1]
            reach = hypot(own[3], own[4]) + hypot(box[3], box[4])
            vx, vy = other.twist[0] - ego.twist[0], other.twist[1] - ego.twist[1]
            if hypot(dx, dy) - reach < self.min_gap:
                gap = distance(own, box)
                if gap < self.min_gap:
                    self.min_gap, self.t_gap, self.nearest = gap, t, other.name
            if dx * vx + dy * vy < reach * hypot(vx, vy):  # else they drift apart
                ttc = time_to_collision(own, box, vx, vy)
                if ttc < self.min_ttc:
                    self.min_ttc, self.t_ttc = ttc, t
            bumper = dx - own[3] - box[3]
            if bumper > 0.0 and abs(dy) < own[4] + box[4]:
                if ego.speed > 0.0:
                    self.min_thw = min(self.min_thw, bumper / ego.speed)
                if vx < 0.0:
                    self.max_drac = max(self.max_drac, vx * vx / (2.0 * bumper))

    def row(self, ego: str, why: str) -> dict[str, list[float | int | bool | str]]:
        """Return the outcome's one row. `why` is what brought the situation about, in words."""
        mine = [contact for contact in self.contacts if ego in (contact.a, contact.b)]
        first = mine[0] if mine else None
        values: dict[str, float | int | bool | str] = {
            "ego.contacts": sum(not contact.again for contact in mine),
            "ego.max_brake": self.max_brake,
            "min_ttc": self.min_ttc if first is None else 0.0,
            "min_gap": self.min_gap if first is None else -first.closing,
            "min_thw": self.min_thw,
            "max_drac": self.max_drac,
            "contact_time": nan if first is None else first.t,
            "contact_speed": 0.0 if first is None else first.closing,
            "delta_v": 0.0,
            "other.delta_v": 0.0,
            "impulse": 0.0,
            "energy_lost": 0.0,
        }
        if first is not None:
            own, other = first.delta_v if first.a == ego else first.delta_v[::-1]
            values |= {
                "delta_v": own,
                "other.delta_v": other,
                "impulse": first.size,
                "energy_lost": first.energy_lost,
            }
        values |= {
            "event": first is not None,
            "margin": values["min_gap"],
            "verdict": "no contact" if first is None else "contact",
            "reason": self._no_contact(ego, why) if first is None else self._contact(ego, first, why),
        }
        return {name: [value] for name, value in values.items()}

    def _braked(self, ego: str) -> str:
        if self.max_brake < 1.0:
            return f"{ego} did not brake"
        return f"{ego} braked from {self.t_brake:.2f} s with up to {self.max_brake:.1f} m/s2"

    def _contact(self, ego: str, contact: Contact, why: str) -> str:
        swap = contact.b == ego
        other = contact.a if swap else contact.b
        sides = (contact.side_b, contact.side_a) if swap else (contact.side_a, contact.side_b)
        own = contact.delta_v[1] if swap else contact.delta_v[0]
        how = f"closing at {contact.closing:.1f} m/s, delta-v {own:.1f} m/s"
        where = f"{sides[0]} of {ego} met {sides[1]} of {other} at {contact.t:.3f} s"
        return f"collision: {why}; {self._braked(ego)}; {where}, {how}"

    def _no_contact(self, ego: str, why: str) -> str:
        if not self.nearest:
            return "no contact: nobody else was there"
        ttc = "never on a collision course"
        if self.min_ttc < inf:
            ttc = f"shortest time to collision {self.min_ttc:.2f} s at {self.t_ttc:.2f} s"
        return (
            f"no contact: {why}; {self._braked(ego)}; closest {self.min_gap:.2f} m to {self.nearest}"
            f" at {self.t_gap:.2f} s, {ttc}"
        )
