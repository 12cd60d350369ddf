"""Events of one run with their parents, labels' causes, and the cause of the outcome as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import cos, hypot, nan, sin
from typing import TYPE_CHECKING, Any, NamedTuple

from mischance.api.protocols import Trigger

from .manoeuvres import Accelerate, Brake, ChangeLane, Cross, DartOut, Follow, Manoeuvre, RunRedLight, Turn
from .state import CONTACT, EVENT, GROUND, HARD_BRAKING, IMPACT, MOVE_END, MOVE_START, ROLLOVER

if TYPE_CHECKING:
    from mischance.api.runs import Fault

    from .settings import Settings

STOOD = 1.0  # who stood that long is an obstacle, whatever brought it there, or moved it in the end [s]
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


class Cause(NamedTuple):
    """What somebody did: a manoeuvre, hard braking behind somebody, or a fault.

    `before`, `within`: bits of the actors near behind, in whose path it went, and of those in whose path it was then.
    `x`, `y`, `yaw`: where it was then [m], [rad]. `clears`: it left the path of those behind it. `still`: since
    when it had stood there; NaN = it moved [s].
    """

    t: float
    event_id: str
    text: str
    before: int = 0
    within: int = 0
    x: float = 0.0
    y: float = 0.0
    yaw: float = 0.0
    clears: bool = False
    still: float = nan


def _cause(event: Row, event_id: str, text: str, clears: bool = False) -> Cause:
    before, within, x, y, yaw, still = (event[E[name]] for name in ("before", "within", "x", "y", "yaw", "still"))
    return Cause(event[0], event_id, text, before, within, x, y, yaw, clears, still)


class EventLog:
    """The events of one run, in order of time.

    `causes`: the manoeuvres of each actor. `hits`: the contacts as tuples of IMPACT;
    `contact_ids`: the event of each.
    """

    def __init__(self, names: Sequence[str], ego: int, plans: Sequence[Manoeuvre], faults: Sequence[Fault]) -> None:
        self.names, self.ego, self.plans = names, ego, plans
        self.faults = sorted(faults, key=lambda f: (f.onset, f.fault_id))
        self.ids = 0
        self.causes: dict[int, list[Cause]] = {}
        self.hits: list[Row] = []
        self.contact_ids: list[str] = []
        self.rolled: list[int] = []
        self._starts: dict[int, str] = {}
        self._by_hit: dict[int, str] = {}
        self._reacted: dict[int, dict[int, float]] = {}
        self._moved: dict[int, dict[int, float]] = {}

    def tell(self, events: Sequence[Row], hits: Sequence[Row]) -> list[Row]:
        """Return rows of EVENTS for the records of the kernels since the last call."""
        self.hits += hits
        rows = []
        for event in events:
            kind, actor, move = event[E["kind"]], event[E["actor"]], event[E["move"]]
            t, values = event[0], event[1:6]
            if kind == MOVE_START:
                row = self._begun(event)
            elif kind == MOVE_END:
                row = self._row(t, "lane_change_end", actor, self._starts[move], {"lane": int(values[0])})
            elif kind == HARD_BRAKING:
                ahead = [c for who, own in self.causes.items() if who != actor for c in own if c.before >> actor & 1]
                cause = self._last(actor, t) if move >= 0 else max(ahead, default=None)
                details = {"acceleration": values[0], "speed": values[1]}
                row = self._row(t, "hard_braking", actor, cause.event_id if cause else "", details)
                if move < 0 and actor != self.ego:  # car following: not caused by a manoeuvre of its own
                    said = f"{self.names[actor]} braked hard at {t:.2f} s"
                    self.causes.setdefault(actor, []).append(_cause(event, row[1], said))
            elif kind == CONTACT:
                row = self._contact(t, event[E["hit"]], values[:2], values[2:4])
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

    def _begun(self, event: Row) -> Row:
        """Return the event of a manoeuvre's start, with the gap and closing speed to the ego."""
        t, actor, number = event[0], event[E["actor"]], event[E["move"]]
        move = self.plans[number]
        gap, pace, own, lane, ego_lane = event[1:6]
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
            clears = isinstance(move, ChangeLane | Turn | Cross | DartOut)
            self.causes.setdefault(actor, []).append(_cause(event, row[1], f"{name} {did} {when}{words}", clears))
        return row

    def _contact(self, t: float, number: int, reacted: Sequence[float], moved: Sequence[float]) -> Row:
        hit = self.hits[number]
        a, b = hit[H["a"]], hit[H["b"]]
        self._reacted[number] = {a: reacted[0], b: reacted[1]}
        self._moved[number] = {a: moved[0], b: moved[1]}
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
            "faults": [fault.fault_id for fault in self.acting(t, (a, b))],
        }
        row = self._row(t, "contact", a, first or (blame.event_id if blame else ""), details)
        self._by_hit[number] = row[1]
        return row

    # -- causes -------------------------------------------------------------------------------------------------------

    def acting(self, t: float, who: Sequence[int]) -> list[Fault]:
        """Return the faults of these actors and of the road that are active at t, or were until shortly before."""
        targets = {"road", *(self.names[i] for i in who)}
        return [
            fault
            for fault in self.faults
            if fault.onset < t < fault.end + LINGERS and fault.target.partition(".")[0] in targets
        ]

    def cause(self, hit: Row) -> Cause | None:
        """Return the cause of a contact by the model's own chain; None where nobody did anything."""
        reacted = self._reacted.get(hit[H["event"]], {})
        behind = self._from_behind(hit)
        return self.chain((hit[H["a"]], hit[H["b"]]), hit[H["t"]], reacted, (hit[H["px"]], hit[H["py"]]), behind)

    def chain(
        self, pair: tuple[int, int], t: float, reacted: Mapping[int, float], place: tuple[float, float] | None = None,
        behind: bool = False,
    ) -> Cause | None:  # fmt: skip
        """Return what led to the encounter of two actors, by who moved into whose path.

        In this order: what the other one of the two did (but for running into the ego from behind, for which it need
        do nothing); what a third actor did ahead of one of the two, who reacted to it, or who lost in it the cover of
        what stood behind it; a fault of one of the two or of the road; what the ego did. Of several the last.

        Args:
            pair: the two actors.
            t: when they met, or were nearest to it [s].
            reacted: actor -> when it last braked or steered away [s].
            place: where they met [m]; None = they did not.
            behind: the ego was hit in its rear.
        """
        found = [] if behind else [
            c for i, met in (pair, pair[::-1]) if i != self.ego and (c := self._last(i, t, met))
        ]  # fmt: skip
        if not found:
            third = [c for i, own in self.causes.items() if i not in pair for c in own if c.t <= t]
            found = [c for c in third if any(self._leads(c, i, reacted.get(i, 0.0), place) for i in pair)]
        if not found:
            found = [Cause(fault.onset, fault.fault_id, words(fault, t)) for fault in self.acting(t, pair)]
        if not found and self.ego in pair:
            other = pair[1] if pair[0] == self.ego else pair[0]
            own = self._last(self.ego, t)
            found = [own] if own and (not behind or own.before >> other & 1) else []
        return max(found, default=None)

    @staticmethod
    def _leads(cause: Cause, actor: int, reacted: float, place: tuple[float, float] | None) -> bool:
        """Return whether an actor reacted to what another one did ahead of it, or was left to what stood beyond it."""
        if cause.before >> actor & 1 and reacted > cause.t:
            return True
        if not (cause.clears and cause.within >> actor & 1):
            return False
        return place is None or (place[0] - cause.x) * cos(cause.yaw) + (place[1] - cause.y) * sin(cause.yaw) > 0.0

    def _from_behind(self, hit: Row) -> bool:
        """Return whether the ego was hit in its rear by another actor's front."""
        own, other = ("a", "b") if hit[H["a"]] == self.ego else ("b", "a")
        if hit[H[own]] != self.ego:
            return False
        return SIDES[hit[H[f"side_{own}"]]] == "rear" and SIDES[hit[H[f"side_{other}"]]] == "front"

    def _last(self, actor: int, t: float, met: int = -1) -> Cause | None:
        """Return an actor's last manoeuvre up to t; not what it began where it stood in the path of `met` already."""
        own = (cause for cause in reversed(self.causes.get(actor, ())) if cause.t <= t)
        return next((cause for cause in own if not self._stood_in_path(cause, met)), None)

    @staticmethod
    def _stood_in_path(cause: Cause, met: int) -> bool:
        """Return whether an actor that began something had stood in the path of `met`: that had brought it there."""
        return met >= 0 and bool(cause.within >> met & 1) and cause.t - cause.still >= STOOD

    def stood(self, pair: tuple[int, int], t: float, moved: Mapping[int, float]) -> str:
        """Return as text how long the other actor of an encounter with the ego had stood before it; '' = it had not.

        Args:
            pair: the two actors.
            t: time of the encounter [s].
            moved: actor -> when it last moved [s].
        """
        for i, met in (pair, pair[::-1]):
            if i != self.ego and met == self.ego:
                late = [c for c in self.causes.get(i, ()) if c.t <= t and self._stood_in_path(c, met)]
                since = late[0].still if late else moved.get(i, t)
                return f", and had stood for {t - since:.1f} s since {since:.2f} s" if t - since >= STOOD else ""
        return ""

    def moved(self, hit: Row) -> Mapping[int, float]:
        """Return when each of the two actors of a contact had last moved before it [s]."""
        return self._moved.get(hit[H["event"]], {})

    def came(self, hit: Row | None) -> str:
        """Return the motion of the other actor of a contact as text, for one without a manoeuvre."""
        if hit is None or self.ego not in (hit[H["a"]], hit[H["b"]]):
            return ""
        own, other = ("a", "b") if hit[H["a"]] == self.ego else ("b", "a")
        if self._from_behind(hit):
            return f"{self.names[hit[H[other]]]} ran into {self.names[self.ego]} from behind"
        velocity = hit[H[f"v{other}x"]], hit[H[f"v{other}y"]]
        return motion(self.names[int(hit[H[other]])], velocity, hit[H[f"yaw_{own}"]])

    def why(self, blame: Cause | None, pair: Sequence[int], when: float, came: str, stood: str) -> str:
        """Return the cause of the outcome as text: the causing manoeuvre, and the active faults of the two actors.

        `came`: the text if there is no cause. `stood`: how long the other one had stood, as text.
        """
        text = blame.text if blame is not None else came or "nobody did anything out of the ordinary"
        other = next((i for i in pair if i != self.ego), -1)
        if blame in self.causes.get(other, ()):
            text += stood
        active = [words(fault, when) for fault in self.acting(when, pair)]
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
