"""Faults of the warehouse: each changes one parameter for actions that begin at or after its onset."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING

from mischance.api.protocols import FaultKind
from mischance.errors import RunError

if TYPE_CHECKING:
    from mischance.api.runs import Draw, Fault

STEP = 0.1  # interval at which scanners evaluate a growing severity [s]

KINDS: Mapping[str, FaultKind] = {
    "fade": FaultKind("an AGV's emergency brake gives 1 - severity of its deceleration", "ratio", 0.8, effect="scales"),
    "blind": FaultKind(
        "a scanner's protective field is shortened by the factor 1 - severity", "ratio", 1.0, effect="scales"
    ),
    "late": FaultKind("a scanner's stop signal comes later by the severity", "s", 0.5, effect="adds"),
    "latency": FaultKind("all brakes answer a stop signal later by the severity", "s", 0.5, effect="adds"),
    "friction": FaultKind(
        "friction of the floor is multiplied by 1 - severity (wet, oily)", "ratio", 0.8, effect="scales"
    ),
    "drop": FaultKind(
        "an AGV's load falls off behind it, on an aisle, once, from a severity of 0.5", "ratio", 1.0, effect="switches"
    ),
    "jam": FaultKind("conveyors bring nothing away, from a severity of 0.5 on", "ratio", 1.0, effect="switches"),
    "clock_skew": FaultKind(
        "crossings are let go earlier than they are left, by the severity", "s", 3.0, effect="adds"
    ),
    "message_loss": FaultKind(
        "a trip's reservation is lost: the AGV sets off and its crossings are free for others; severity is the"
        " chance of each", "ratio", 1.0, effect="chance",
    ),
}  # fmt: skip
OF: Mapping[str, tuple[str, ...]] = {
    "brakes": ("fade",),
    "scanner": ("blind", "late"),
    "estop": ("latency",),
    "floor": ("friction",),
    "load": ("drop",),
    "conveyor": ("jam",),
    "dispatch": ("clock_skew", "message_loss"),
}


def targets(count: int) -> Sequence[str]:
    """Return the targets of faults for a fleet of `count` AGVs."""
    own = [f"agv{k}.{part}" for k in range(1, count + 1) for part in ("brakes", "scanner", "load")]
    return (*own, "estop", "floor", "dispatch", "conveyor")


class Faults:
    """The world's faults of one run.

    Raises:
        RunError: the target does not exist, or has no fault of that kind.
    """

    def __init__(self, draw: Draw, count: int) -> None:
        self._known, self._run = targets(count), draw.run
        self.all: list[Fault] = []
        for fault in draw.of_world().faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Add a fault, or an earlier end of one that is known.

        Raises:
            RunError: the target does not exist, or has no fault of that kind.
        """
        if fault.target not in self._known or fault.kind not in OF[fault.target.split(".")[-1]]:
            raise RunError(
                f"run {self._run}: '{fault.target}' has no fault '{fault.kind}'",
                "; ".join(f"{target}: {', '.join(OF[target.split('.')[-1]])}" for target in self._known),
            )
        self.all = [one for one in self.all if not one.begins_like(fault)]
        bisect.insort(self.all, fault, key=lambda one: (one.onset, one.fault_id))

    def of(self, target: str, kind: str, t: float) -> float:
        """Return the summed severity of a kind of fault of a target at t; at least 0."""
        found = (fault for fault in self.all if fault.target == target and fault.kind == kind)
        return max(sum(_severity(fault, t) for fault in found), 0.0)

    def left(self, target: str, kind: str, t: float) -> float:
        """Return the remaining share of a parameter: the product of 1 - severity, each at least 0."""
        found = (fault for fault in self.all if fault.target == target and fault.kind == kind)
        return prod(max(1.0 - max(_severity(fault, t), 0.0), 0.0) for fault in found)

    def on(self, target: str, kind: str, t: float) -> bool:
        """Return whether the severity of one such fault is 0.5 or more at t."""
        found = (fault for fault in self.all if fault.target == target and fault.kind == kind)
        return any(_severity(fault, t) >= 0.5 for fault in found)

    def acting(self, t: float, wanted: Sequence[str]) -> list[Fault]:
        """Return the faults of these targets that are active at t."""
        return [fault for fault in self.all if fault.target in wanted and _severity(fault, t) > 0.0]

    def jammed(self, t: float) -> float:
        """Return the end of the jam that is active at t; t itself if conveyors run."""
        return max([t, *(f.end for f in self.all if f.kind == "jam" and _severity(f, t) >= 0.5)])

    def breaks(self, agv: str) -> list[float]:
        """Return the times at which the available deceleration of an AGV starts or stops changing."""
        own = [fault for fault in self.all if fault.target in (f"{agv}.brakes", "floor")]
        return sorted({t for fault in own for t in (fault.onset, fault.onset + fault.ramp, fault.end)})

    @staticmethod
    def changes(fault: Fault) -> Iterator[float]:
        """Yield the times at which a fault asks for protective fields to be evaluated anew."""
        if fault.kind == "blind":
            yield fault.onset
            k = 1
            while k * STEP < fault.ramp + STEP and fault.onset + k * STEP < fault.end and fault.ramp > 0.0:
                yield fault.onset + k * STEP
                k += 1
            yield fault.end


def _severity(fault: Fault, t: float) -> float:
    return fault.severity * fault.share_at(t)
