"""Events of one run with their parents, its labels, and the outcome with verdict and reason."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import degrees, inf
from typing import TYPE_CHECKING, Any

from mischance.api.labels import Row, label_row
from mischance.api.tables import EVENTS, Column

if TYPE_CHECKING:
    from mischance.api.runs import Draw, Fault
    from mischance.api.tables import FloatArray, Schema

KINDS = ("waypoint", "mission_complete", "deviation", "upset", "thrust_saturated", "geofence_breach",
         "separation_loss", "contact", "contact", "landing")  # fmt: skip
WAYPOINT, FINISHED, DEVIATION, UPSET, SATURATED, BREACH, SEPARATION, IMPACT, DRONE_IMPACT, LANDED = range(10)
LINGERS = 3.0  # time after its end for which a fault may still be a cause [s]
INNOCENT = ("breeze",)

MEASURES: Schema = {
    "contacts": Column(
        "int64", about="rows of `contacts`: every blow on ground, obstacles and each other; a landing is none"
    ),
    "min_separation": Column(
        unit="m", role="value", about="smallest free distance of a drone from others and birds; inf = none"
    ),
    "min_clearance": Column(
        unit="m",
        role="value",
        about="smallest free distance in flight: from obstacles and, unless it lands, the ground",
    ),
    "fence_margin": Column(unit="m", about="smallest distance inside the geofence; negative = outside; inf = no fence"),
    "max_tilt": Column(unit="rad", about="largest tilt before any contact"),
    "max_speed": Column(unit="m/s", about="largest speed before any contact"),
    "max_deviation": Column(unit="m", about="largest distance from the planned path before any contact"),
    "impact_speed": Column(
        unit="m/s", role="value", about="speed relative to what was hit, at the first contact; 0 = none"
    ),
    "contact_time": Column(unit="s", null=True, about="when the first contact was"),
    "min_voltage": Column(unit="V", about="lowest voltage of any battery before any contact"),
    "energy": Column(unit="J", about="energy taken from all batteries"),
    "finished": Column("bool", about="whether every drone did all of its mission"),
    "mission_time": Column(unit="s", null=True, about="when the last of them had"),
}
OUTCOME: Schema = {
    **MEASURES,
    "event": Column("bool"),
    "margin": Column(unit="m"),
    "verdict": Column("text"),
    "reason": Column("text"),
}


class FlightLog:
    """The events of one run, in the columns of EVENTS; `rows` holds those of the present chunk."""

    def __init__(
        self,
        draw: Draw,
        faults: Sequence[Fault],
        drones: Sequence[str],
        obstacles: Sequence[str],
        birds: Mapping[str, float],
    ) -> None:
        """`drones`: names of drones and birds; `birds`: name -> speed [m/s]."""
        self.run = draw.run
        self.faults, self.drones, self.obstacles, self.birds = faults, drones, obstacles, birds
        self.rows: list[tuple[Any, ...]] = []
        self.contacts: list[tuple[Any, ...]] = []
        self.incidents: list[tuple[float, str, str, tuple[str, ...], str]] = []  # t, id, kind, drones, text
        self.met = 0  # rows of `contacts` so far
        self._ids = 0
        self._onset: dict[str, str] = {}  # fault -> its event
        self._came: dict[str, str] = {}  # bird -> its event
        self._last: dict[str, str] = {}  # drone -> its last waypoint's event
        self._incident_of: dict[str, str] = {}  # drone -> its last incident
        self._touched: dict[str, str] = {}  # drone -> its first contact

    def add(self, t: float, kind: str, subject: str, parent: str = "", **details: Any) -> str:
        """Add an event and return its id."""
        event_id = f"event:{self._ids}"
        self._ids += 1
        self.rows.append((t, event_id, parent, kind, subject, json.dumps(details, allow_nan=False)))
        return event_id

    def record(self, seen: FloatArray, start: float, end: float, *, first: bool) -> None:
        """Add the events that the kernels recorded in (start, end], shape (n, 13), and the onsets of faults there."""
        if first:
            self._came = {name: self.add(0.0, "bird", name, speed=speed) for name, speed in self.birds.items()}
        order = seen[:, 0].argsort(kind="stable")
        queue = [(float(seen[i, 0]), 1, i) for i in order]
        queue += [
            (f.onset, 0, j) for j, f in enumerate(self.faults) if start < f.onset <= end or (first and f.onset <= 0)
        ]
        for t, what, i in sorted(queue):
            if what == 0:
                fault = self.faults[i]
                kind = fault.kind if fault.target == "wind" else "fault_onset"
                details = {"fault": fault.fault_id, "what": fault.kind, "severity": fault.severity}
                self._onset[fault.fault_id] = self.add(t, kind, fault.target, **details)
            else:
                self._one(t, seen[i])

    def _one(self, t: float, row: FloatArray) -> None:
        kind, who, other = int(row[1]), self.drones[int(row[2])], int(row[3])
        if kind == WAYPOINT:
            self._last[who] = self.add(t, KINDS[kind], who, self._last.get(who, ""), index=other)
        elif kind in (FINISHED, LANDED):
            self.add(t, KINDS[kind], who, self._last.get(who, ""), **({"speed": row[4]} if kind == LANDED else {}))
        elif kind in (DEVIATION, UPSET, SATURATED, BREACH):
            name = {DEVIATION: "distance", UPSET: "tilt", SATURATED: "voltage"}.get(kind)
            details = {name: float(row[4])} if name else {"at": [float(v) for v in row[6:9]]}
            parent = self._cause(t, (who,))
            words = {
                DEVIATION: f"{who} left its path by {row[4]:.1f} m",
                UPSET: f"{who} tilted beyond {degrees(row[4]):.0f} deg",
                SATURATED: f"{who} lacked thrust (battery {row[4]:.1f} V)",
                BREACH: f"{who} left the geofence",
            }[kind]
            event = self.add(t, KINDS[kind], who, parent, **details)
            self._incident_of[who] = self._note(t, event, KINDS[kind], (who,), words)
        elif kind == SEPARATION:
            pair = (who, self.drones[other])
            parent = self._cause(t, pair)
            event = self.add(t, KINDS[kind], who, parent, **{"with": pair[1], "distance": float(row[4])})
            words = f"{pair[0]} and {pair[1]} came within {max(row[4], 0.0):.2f} m"
            self._incident_of[pair[0]] = self._incident_of[pair[1]] = self._note(t, event, KINDS[kind], pair, words)
        else:
            self._contact(t, row, kind, who, other)

    def _contact(self, t: float, row: FloatArray, kind: int, who: str, other: int) -> None:
        met = self.drones[other] if kind == DRONE_IMPACT else "ground" if other < 0 else self.obstacles[other]
        both = (who, met) if kind == DRONE_IMPACT else (who,)
        again = [self._touched[name] for name in both if name in self._touched]
        parent = again[0] if again else self._came.get(met) or self._cause(t, both)
        numbers = [float(v) for v in row[4:13]]
        acting = [fault.fault_id for fault in self._possible(t, both)]
        details = {"with": met, "closing_speed": numbers[0], "speed": numbers[1], "impulse": numbers[8]}
        event = self.add(t, "contact", who, parent, **details, faults=acting)
        if not all(name in self._touched for name in both):
            self._note(t, event, "contact", (who, met), f"{who} hit {met} at {numbers[1]:.1f} m/s")
        for name in both:
            self._touched.setdefault(name, event)
        self.met += 1
        self.contacts.append((t, who, met, *numbers, event))

    def end(self, t: float) -> None:
        """Add the end of the run."""
        crashed = next((event for _, event, kind, _, _ in self.incidents if kind == "contact"), "")
        self.add(t, "run_end", self.drones[0], crashed, why="settled after a crash" if crashed else "missions complete")

    def _note(self, t: float, event: str, kind: str, who: tuple[str, ...], words: str) -> str:
        self.incidents.append((t, event, kind, who, words))
        return event

    def _possible(self, t: float, who: Sequence[str]) -> list[Fault]:
        """Return the faults of these drones or of the wind that may be a cause at t; the most likely one last."""
        near = [
            fault
            for fault in self.faults
            if fault.onset < t < fault.end + LINGERS
            and (fault.target == "wind" or fault.target.partition(".")[0] in who)
            and fault.severity != 0.0
        ]
        return sorted(near, key=lambda fault: (fault.kind not in INNOCENT, fault.onset))

    def _cause(self, t: float, who: Sequence[str]) -> str:
        """Return the parent of an event of these drones at t: their last incident, or a fault's onset."""
        last = [self._incident_of[name] for name in who if name in self._incident_of]
        if last:
            return max(last, key=lambda event: int(event.partition(":")[2]))
        found = self._possible(t, who)
        return self._onset.get(found[-1].fault_id, "") if found else ""

    def why(self, t: float, who: Sequence[str]) -> str:
        """Return the cause of an event of these drones at t as text; empty if there is none."""
        found = self._possible(t, who)
        return describe(found[-1]) if found else ""

    def labels(self, role_of: Mapping[str, str]) -> list[Row]:
        """Return the labels of the run's faults and incidents."""
        rows: list[Row] = []
        numbers: dict[str, int] = {}
        for fault in self.faults:
            number = numbers[fault.target] = numbers.get(fault.target, -1) + 1
            part = fault.target.rpartition(".")[2].rstrip("0123456789")
            role = role_of.get(fault.kind, "fault")
            path = f"fault/{part}/{fault.kind}" if role == "fault" else f"innocent/{part}/{fault.kind}"
            rows.append(
                label_row(
                    f"{fault.target}:{number}", path, fault.target, cause=fault.onset, end=fault.end,
                    severity=fault.severity, causes=[fault.fault_id], role=role,
                )
            )  # fmt: skip
        count: dict[str, int] = {}
        for t, event, kind, who, _ in self.incidents:
            if kind not in ("contact", "geofence_breach", "separation_loss"):
                continue
            number = count[kind] = count.get(kind, -1) + 1
            causes = [event, *(fault.fault_id for fault in self._possible(t, who) if fault.kind not in INNOCENT)]
            path = {"contact": "event/collision"}.get(kind, f"event/{kind}")
            name = f"{kind}:{number}"
            rows.append(label_row(name, path, who[0], cause=t, end=t, severity=1.0, causes=causes, role="event"))
        rows.sort(key=lambda row: (row[3], row[0]))
        return rows

    def columns(self) -> dict[str, list[Any]]:
        """Return the present chunk's events as columns, in order of time."""
        self.rows.sort(key=lambda row: row[0])
        return dict(zip(EVENTS, map(list, zip(*self.rows, strict=True)), strict=True)) if self.rows else {}


def describe(fault: Fault) -> str:
    """Return the description of a fault as text."""
    s = fault.severity
    what = {
        "thrust_loss": f"{fault.target} lost {100.0 * min(s, 1.0):.0f} % of its thrust",
        "sag": f"{fault.target} got {s:.2f} ohm more resistance",
        "bias": f"{fault.target} was off by {s:.1f} m",
        "tilt": f"{fault.target} was tilted by {degrees(s):.1f} deg",
        "delay": f"{fault.target} was late by {s * 1e3:.0f} ms",
        "gust": f"a gust of {s:.1f} m/s set in",
        "breeze": f"a breeze of {s:.1f} m/s set in",
    }[fault.kind]
    return f"{what} at {fault.onset:.2f} s"


def outcome_row(log: FlightLog, measures: Mapping[str, Any], separation: float, landed: bool) -> dict[str, list[Any]]:
    """Return the outcome's one row: measures, event, margin, verdict and reason."""
    hits = [row for row in log.incidents if row[2] == "contact"]
    worst = [row for row in log.incidents if row[2] in ("geofence_breach", "separation_loss")]
    near = min(measures["min_separation"] - separation, measures["fence_margin"], measures["min_clearance"])
    tight = min(near, measures["touchdown"])  # of a landing: how far it still was; then, how much faster it might be
    if hits:
        t, _, _, who, words = hits[0]
        verdict = "bird strike" if who[1] in log.birds else "collision" if who[1] in log.drones else "crash"
        margin = min(-measures["impact_speed"], measures["fence_margin"])
    elif worst:
        t, _, kind, who, words = worst[0]
        verdict, margin = kind.replace("_", " ").replace("separation loss", "loss of separation"), min(tight, 0.0)
    else:
        t, who, words, verdict, margin = inf, tuple(log.drones), "", "safe", tight
    why = log.why(t, who)
    came = [f"{name} flew at {log.birds[name]:.1f} m/s" for name in who if name in log.birds]
    if words:
        way = [row for row in log.incidents if row[0] < t and set(row[3]) & set(who) and row[4] != words]
        steps = [
            *came,
            *([why] if why else [] if came else ["no fault had set in"]),
            *(f"{row[4]} at {row[0]:.2f} s" for row in way),
        ]
        reason = f"{verdict}: {'; '.join(steps)}; {words} at {t:.3f} s"
    else:
        names = [describe(fault) for fault in log.faults if fault.severity != 0.0 and fault.onset <= measures["end"]]
        reason = f"safe: {'; '.join(names) or 'no fault had set in'}; "
        reason += f"closest {near:.2f} m" if near < inf else "nothing else was near"
        if not measures["finished"] and not landed:
            reason += "; a mission was not finished"
    values = {**{name: measures[name] for name in MEASURES}, "event": bool(hits or worst), "margin": margin,
              "verdict": verdict, "reason": reason}  # fmt: skip
    return {name: [value] for name, value in values.items()}
