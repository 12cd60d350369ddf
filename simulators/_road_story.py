"""What happens on the road, told as events: planned manoeuvres, hard braking, contacts, each with its parent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ._road_settings import Brake, ChangeLane
from ._road_vehicle import Vehicle

HARD = 4.0  # deceleration that is an event [m/s2]


class Story:
    """The events of one run. `rows` are those of the present chunk, in the columns of EVENTS.

    `cause` holds everybody's last manoeuvre: (t, event id, what it was in words).
    """

    def __init__(self, vehicles: Sequence[Vehicle], ego: Vehicle) -> None:
        self.vehicles, self.ego = vehicles, ego
        self.rows: list[tuple[Any, ...]] = []
        self.ids = 0
        self.cause: dict[str, tuple[float, str, str]] = {}
        self._started: set[tuple[str, int]] = set()
        self._ending: list[tuple[float, Vehicle, str]] = []
        self._hard: dict[str, bool] = {vehicle.name: False for vehicle in vehicles}

    def triggers(self, t: float) -> None:
        """Start what is planned for the step that starts at t, end what has ended."""
        for when, vehicle, parent in sorted(self._ending, key=lambda entry: entry[0]):
            if when <= t:
                self._ending.remove((when, vehicle, parent))
                if not vehicle.hit:
                    self.add(t, "lane_change_end", vehicle.name, parent, {"lane": vehicle.lane()})
        for vehicle in self.vehicles:
            for i, move in enumerate(vehicle.actor.behaviour):
                if move.at > t or (vehicle.name, i) in self._started or vehicle.hit:
                    continue
                self._started.add((vehicle.name, i))
                vehicle.begin(move, t)
                self._begun(t, vehicle, move)

    def _begun(self, t: float, vehicle: Vehicle, move: ChangeLane | Brake) -> None:
        """Write a manoeuvre down, and how near the ego it begins."""
        details: dict[str, Any] = {}
        words = ""
        if vehicle is not self.ego:
            apart = 0.5 * (vehicle.size[0] + self.ego.size[0])
            along = vehicle.x - self.ego.x
            gap = along - apart if along >= 0.0 else along + apart
            closing = self.ego.speed - vehicle.speed
            details = {"gap": gap, "closing_speed": closing}
            words = f" {gap:.1f} m {'ahead' if gap >= 0.0 else 'behind'}"
            if self.ego.speed > 0.0 and gap >= 0.0:
                details["thw"] = gap / self.ego.speed
                words += f" ({details['thw']:.2f} s headway)"
            if abs(closing) < 0.05:
                words += ", at the ego's speed"
            else:
                words += f", {'closing' if closing > 0.0 else 'opening'} at {abs(closing):.1f} m/s"
        if isinstance(move, ChangeLane):
            details |= {"from": vehicle.lane(), "to": move.to, "takes": move.takes}
            event_id = self.add(t, "lane_change_start", vehicle.name, details=details)
            self._ending.append((t + move.takes, vehicle, event_id))
            into = vehicle is not self.ego and move.to == self.ego.lane()
            words = f"{vehicle.name} {'cut in' if into else f'changed to lane {move.to}'} at {t:.2f} s" + words
        else:
            details |= {"deceleration": move.deceleration, "to": move.to}
            event_id = self.add(t, "brake_start", vehicle.name, details=details)
            words = f"{vehicle.name} braked with {move.deceleration:.1f} m/s2 at {t:.2f} s" + words
        self.cause[vehicle.name] = (t, event_id, words)

    def watch(self, t: float) -> None:
        """Report hard braking, seen at the end of the step that did it."""
        for vehicle in self.vehicles:
            hard = not vehicle.hit and vehicle.acceleration < -HARD
            if hard and not self._hard[vehicle.name]:
                others = [self.cause[v.name] for v in self.vehicles if v is not vehicle and v.name in self.cause]
                cause = self.cause.get(vehicle.name) if vehicle.braking else max(others, default=None)
                details = {"acceleration": vehicle.acceleration, "speed": vehicle.speed}
                self.add(t, "hard_braking", vehicle.name, cause[1] if cause else "", details)
            self._hard[vehicle.name] = hard or (
                self._hard[vehicle.name] and not vehicle.hit and vehicle.acceleration < -0.5 * HARD
            )

    def add(self, t: float, kind: str, subject: str, parent: str = "", details: Mapping[str, Any] | None = None) -> str:
        """Write an event down and return its id."""
        text = json.dumps(details or {}, allow_nan=False)
        event_id = f"event:{self.ids}"
        self.rows.append((t, event_id, parent, kind, subject, text))
        self.ids += 1
        return event_id
