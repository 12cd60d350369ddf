"""Events of one run with their parents, labels' causes, and the cause of the outcome as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import cos, hypot, inf, sin
from typing import TYPE_CHECKING, Any

from mischance.api.protocols import Trigger

from .manoeuvres import Accelerate, Brake, ChangeLane, Cross, DartOut, Follow, Manoeuvre, RunRedLight, Turn
from .state import CONTACT, EVENT, GROUND, HARD_BRAKING, IMPACT, MOVE_END, MOVE_START, ROLLOVER

if TYPE_CHECKING:
    from mischance.api.runs import Fault

    from .settings import Settings

LINGERS = 3.0  # time after its end for which a fault may be a cause: until a car rests or is back in its lane [s]
SIDES = ("front", "rear", "left side", "right side")
NAMES = {
    ChangeLane: "lane_change_start", Brake: "brake_start", Accelerate: "accelerate_start", Follow: "follow_start",
    Turn: "turn_start", Cross: "cross_start", DartOut: "dart_out", RunRedLight: "red_light_run",
}  # fmt: skip
E = {name: i for i, name in enumerate(EVENT.names or ())}
H = {name: i for i, name in enumerate(IMPACT.names or ())}
Row = tuple[Any, ...]


def triggers(settings: Settings) -> list[Trigger]:
    """Return the manoeuvres of all actors, with what sets each off."""
    found = []
    for name, actor in settings.actors.items():
        for i, move in enumerate(actor.behaviour):
            when = f"at {move.at:g} s"
            if move.when is not None:
                asked = move.when.model_dump(exclude_defaults=True).items()
                since = f"from {move.at:g} s on, " if move.at else ""
                when = f"{since}when {', '.join(f'{key}: {value}' for key, value in asked)}"
            found.append(Trigger(f"actors.{name}.behaviour[{i}]", when, NAMES[type(move)], name))
    return found


class EventLog:
    """The events of one run, in order of time.

    `causes`: the manoeuvres of each actor, as (t, event id, text). `hits`: the contacts as tuples of IMPACT;
    `contact_ids`: the event of each.
    """

    def __init__(self, names: Sequence[str], ego: int, plans: Sequence[Manoeuvre], faults: Sequence[Fault]) -> None:
        self.names, self.ego, self.plans = names, ego, plans
        self.faults = sorted(faults, key=lambda f: (f.onset, f.fault_id))
        self.ids = 0
        self.causes: dict[int, list[tuple[float, str, str]]] = {}
        self.hits: list[Row] = []
        self.contact_ids: list[str] = []
        self.rolled: list[int] = []
        self._starts: dict[int, str] = {}
        self._by_hit: dict[int, str] = {}

    def tell(self, events: Sequence[Row], hits: Sequence[Row]) -> list[Row]:
        """Return rows of EVENTS for the records of the kernels since the last call."""
        self.hits += hits
        rows = []
        for event in events:
            kind, actor, move = event[E["kind"]], event[E["actor"]], event[E["move"]]
            t, values = event[0], event[1:6]
            if kind == MOVE_START:
                row = self._begun(t, actor, move, values)
            elif kind == MOVE_END:
                row = self._row(t, "lane_change_end", actor, self._starts[move], {"lane": int(values[0])})
            elif kind == HARD_BRAKING:
                others = [causes[-1] for who, causes in self.causes.items() if who != actor]
                cause = self._last(actor, t) if move >= 0 else max(others, default=None)
                details = {"acceleration": values[0], "speed": values[1]}
                row = self._row(t, "hard_braking", actor, cause[1] if cause else "", details)
                if move < 0 and actor != self.ego:  # car following: not caused by a manoeuvre of its own
                    said = f"{self.names[actor]} braked hard at {t:.2f} s"
                    self.causes.setdefault(actor, []).append((t, row[1], said))
            elif kind == CONTACT:
                row = self._contact(t, event[E["hit"]])
            elif kind == GROUND:
                row = self._row(t, "friction_change", actor, "", {"friction": values[0], "speed": values[1]})
            elif kind == ROLLOVER:
                self.rolled.append(actor)
                row = self._row(t, "rollover", actor, next(iter(self._by_hit.values()), ""), {"tilt": values[0]})
            else:
                row = self._row(t, "run_end", actor, "", {"why": "at rest" if move == 1 else "settled"})
            rows.append(row)
        for hit in self.hits[len(self.contact_ids) :]:
            self.contact_ids.append(self._by_hit[hit[H["event"]]])
        return rows

    def _row(self, t: float, kind: str, actor: int, parent: str, details: dict[str, Any]) -> Row:
        event_id = f"event:{self.ids}"
        self.ids += 1
        return (t, event_id, parent, kind, self.names[actor], json.dumps(details, allow_nan=False))

    def _begun(self, t: float, actor: int, number: int, values: Sequence[float]) -> Row:
        """Return the event of a manoeuvre's start, with the gap and closing speed to the ego."""
        move = self.plans[number]
        gap, pace, own, lane, ego_lane = values
        details: dict[str, Any] = {}
        words = ""
        if actor != self.ego:
            closing = pace - own if gap >= 0.0 else own - pace
            details = {"gap": gap, "closing_speed": closing}
            words = f" {abs(gap):.1f} m {'ahead' if gap >= 0.0 else 'behind'}"
            if pace > 0.0 and gap >= 0.0:
                details["thw"] = gap / pace
                words += f" ({details['thw']:.2f} s headway)"
            if abs(closing) < 0.05:
                words += ", at the ego's speed"
            else:
                words += f", {'closing' if closing > 0.0 else 'opening'} at {abs(closing):.1f} m/s"
        name, when = self.names[actor], f"at {t:.2f} s"
        if isinstance(move, ChangeLane):
            details |= {"from": int(lane), "to": move.to, "takes": move.takes}
            into = actor != self.ego and move.to == int(ego_lane)
            within = move.to == int(lane) and actor != self.ego
            did = f"moved over within lane {move.to}" if within else "cut in" if into else f"changed to lane {move.to}"
        elif isinstance(move, Brake):
            details |= {"deceleration": move.deceleration, "to": move.to}
            did = f"braked with {move.deceleration:.1f} m/s2"
        elif isinstance(move, Accelerate):
            details |= {"acceleration": move.acceleration, "to": move.to}
            did = f"accelerated with {move.acceleration:.1f} m/s2"
        elif isinstance(move, Follow):
            did = "began to follow"
        elif isinstance(move, Cross | DartOut):
            details |= {"speed": move.speed, "angle": move.angle}
            did = "darted out" if isinstance(move, DartOut) else "began to cross"
        elif isinstance(move, Turn):
            details |= {"angle": move.angle, "radius": move.radius}
            did = f"turned {'left' if move.angle >= 0 else 'right'}"
        else:
            did = "ran a red light"
        row = self._row(t, NAMES[type(move)], actor, "", details)
        self._starts[number] = row[1]
        # car following, and acceleration after another manoeuvre, cause no contact
        later = isinstance(move, Accelerate) and actor in self.causes
        if not isinstance(move, Follow) and not later:
            self.causes.setdefault(actor, []).append((t, row[1], f"{name} {did} {when}{words}"))
        return row

    def _contact(self, t: float, number: int) -> Row:
        hit = self.hits[number]
        a, b = hit[H["a"]], hit[H["b"]]
        blame = self.cause(hit)
        first = self.contact_ids[0] if self.contact_ids else next(iter(self._by_hit.values()), "")
        details = {
            "with": self.names[b],
            "closing_speed": hit[H["closing"]],
            "impulse": hypot(hit[H["jx"]], hit[H["jy"]]),
            "delta_v": {
                self.names[a]: hypot(hit[H["dvax"]], hit[H["dvay"]]),
                self.names[b]: hypot(hit[H["dvbx"]], hit[H["dvby"]]),
            },
            "energy_lost": hit[H["lost"]],
            "sides": {self.names[a]: SIDES[hit[H["side_a"]]], self.names[b]: SIDES[hit[H["side_b"]]]},
            "faults": [fault.fault_id for fault in self.acting(t)],
        }
        row = self._row(t, "contact", a, first or (blame[1] if blame else ""), details)
        self._by_hit[number] = row[1]
        return row

    # -- causes -------------------------------------------------------------------------------------------------------

    def acting(self, t: float) -> list[Fault]:
        """Return the faults that are active at t, or were until shortly before."""
        return [fault for fault in self.faults if fault.onset < t < fault.end + LINGERS]

    def cause(self, hit: Row | None, when: float = inf) -> tuple[float, str, str] | None:
        """Return the cause: a manoeuvre of the other actor, of a third one, a fault, or a manoeuvre of the ego.

        As (t, id, text). It follows from the order of events alone; the effect of a fault is measured by its twin.
        """
        who: Sequence[int] = range(len(self.names)) if hit is None else (hit[H["a"]], hit[H["b"]])
        t = when if hit is None else hit[H["t"]]
        if hit is not None and self._from_behind(hit):  # braking is no cause of running into the ego
            who = ()
        found = [cause for i in who if i != self.ego and (cause := self._last(i, t))]
        if not found:  # it stood or followed: an actor that cleared the view, or braked ahead of it
            behind = set() if hit is None or not self._from_behind(hit) else {hit[H["a"]], hit[H["b"]]}
            found = [c for i in self.causes if i != self.ego and i not in behind and (c := self._last(i, t))]
        if not found:
            found = [(fault.onset, fault.fault_id, words(fault, t)) for fault in self.acting(t)]
        return max(found, default=self._last(self.ego, t))

    def _from_behind(self, hit: Row) -> bool:
        """Return whether the ego was hit in its rear by another actor's front."""
        own, other = ("a", "b") if hit[H["a"]] == self.ego else ("b", "a")
        if hit[H[own]] != self.ego:
            return False
        return SIDES[hit[H[f"side_{own}"]]] == "rear" and SIDES[hit[H[f"side_{other}"]]] == "front"

    def _last(self, actor: int, t: float) -> tuple[float, str, str] | None:
        """Return an actor's last manoeuvre up to t."""
        return next((cause for cause in reversed(self.causes.get(actor, ())) if cause[0] <= t), None)

    def came(self, hit: Row | None) -> str:
        """Return the motion of the other actor of a contact as text, for one without a manoeuvre."""
        if hit is None or self.ego not in (hit[H["a"]], hit[H["b"]]):
            return ""
        own, other = ("a", "b") if hit[H["a"]] == self.ego else ("b", "a")
        if self._from_behind(hit):
            return f"{self.names[hit[H[other]]]} ran into {self.names[self.ego]} from behind"
        velocity = hit[H[f"v{other}x"]], hit[H[f"v{other}y"]]
        return motion(self.names[int(hit[H[other]])], velocity, hit[H[f"yaw_{own}"]])

    def why(self, hit: Row | None, when: float, came: str) -> str:
        """Return the cause of the outcome as text: the causing manoeuvre, and the active faults.

        `came`: the text if there is no cause.
        """
        blame = self.cause(hit, when)
        text = blame[2] if blame is not None else came or "nobody did anything out of the ordinary"
        active = [words(fault, when) for fault in self.acting(when)]
        if active and text not in active:
            text += f" with {' and '.join(active)}"
        return text


def motion(name: str, velocity: tuple[float, float], yaw: float) -> str:
    """Return the motion of an actor relative to a body of the given yaw as text [m/s], [rad]."""
    vx, vy = velocity
    along, across = vx * cos(yaw) + vy * sin(yaw), vy * cos(yaw) - vx * sin(yaw)
    if hypot(vx, vy) < 0.1:
        return f"{name} stood in the way"
    if abs(across) > abs(along):
        return f"{name} crossed from the {'right' if across > 0.0 else 'left'} at {abs(across):.1f} m/s"
    return f"{name} went ahead at {along:.1f} m/s" if along > 0.0 else f"{name} came towards it at {-along:.1f} m/s"


def words(fault: Fault, t: float) -> str:
    """Return the description of a fault in a reason at t [s]."""
    over = f" until {fault.end:.2f} s" if fault.end < t else ""
    return f"{fault.kind} of {fault.target}{over}"
