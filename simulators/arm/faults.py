"""Faults of the arm: each changes one parameter for control steps that start at or after its onset."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

from mischance.api.protocols import FaultKind
from mischance.errors import RunError

from .model import JOINTS

if TYPE_CHECKING:
    from mischance.api.runs import Draw, Fault

KINDS: Mapping[str, FaultKind] = {
    "stuck": FaultKind(
        "a joint's brake holds it where it is, with three times its motor's torque", "ratio", 1.0, effect="switches"
    ),
    "backlash": FaultKind(
        "play in a joint's gear: no correction within +- half the severity", "rad", 0.03, effect="adds"
    ),
    "torque_loss": FaultKind(
        "a joint's motor gives 1 - severity of the torque it is asked for", "ratio", 0.6, effect="scales"
    ),
    "encoder_offset": FaultKind("a joint's encoder reads too much by the severity", "rad", 0.05, effect="adds"),
    "slip": FaultKind(
        "friction of the gripper's pads is multiplied by 1 - severity (oil, dust)", "ratio", 0.9, effect="scales"
    ),
    "delay": FaultKind("the monitor's answer comes later by the severity", "s", 0.3, effect="adds"),
    "off": FaultKind("the monitor does not answer", "ratio", 1.0, effect="switches"),
    "latency": FaultKind("the brake answers later by the severity", "s", 0.3, effect="adds"),
}
OF: Mapping[str, tuple[str, ...]] = {
    **{f"joint{k}": ("stuck", "backlash", "torque_loss", "encoder_offset") for k in range(1, JOINTS + 1)},
    "gripper": ("slip",),
    "monitor": ("delay", "off"),
    "brake": ("latency",),
}


class Faults:
    """The world's faults of one run.

    Raises:
        RunError: a target has no fault of that kind.
    """

    def __init__(self, draw: Draw) -> None:
        self.all = sorted(draw.of_world().faults, key=lambda fault: (fault.onset, fault.fault_id))
        for fault in self.all:
            known = OF.get(fault.target, ())
            if fault.kind not in known:
                raise RunError(
                    f"run {draw.run}: '{fault.target}' has no fault '{fault.kind}'",
                    "; ".join(f"{target}: {', '.join(kinds)}" for target, kinds in OF.items()),
                )
        self._by: dict[tuple[str, str], list[Fault]] = {}
        for fault in self.all:
            self._by.setdefault((fault.target, fault.kind), []).append(fault)

    def of(self, target: str, kind: str, t: float) -> float:
        """Return the summed severity of a kind of fault of a target, for a step that starts at t."""
        found = self._by.get((target, kind))
        return sum(fault.severity * fault.share_at(t) for fault in found) if found else 0.0

    def left(self, target: str, kind: str, t: float) -> float:
        """Return the remaining share of a parameter in a step that starts at t: the product of 1 - severity, 0-1."""
        found = self._by.get((target, kind))
        return prod(1.0 - min(max(f.severity * f.share_at(t), 0.0), 1.0) for f in found) if found else 1.0

    def on(self, target: str, kind: str, t: float) -> bool:
        """Return whether the severity of one such fault is 0.5 or more in a step that starts at t."""
        return any(fault.severity * fault.share_at(t) >= 0.5 for fault in self._by.get((target, kind), ()))

    def acting(self, t: float) -> list[Fault]:
        """Return the faults that began before t and are still active."""
        return [fault for fault in self.all if fault.onset < t and fault.share_at(t) * fault.severity != 0.0]

    def begun(self, t: float) -> list[Fault]:
        """Return the faults that have had an effect by t."""
        return [fault for fault in self.all if fault.onset < t and fault.severity != 0.0]
