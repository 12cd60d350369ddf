"""Faults of plant and road: each moves one parameter, for the steps that start at or after its onset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mischance.errors import RunError

if TYPE_CHECKING:
    from mischance.truth import Draw, Fault


class Faults:
    """The faults of one run that are the world's, not a sensor's.

    Raises:
        RunError: a fault that its target does not know.
    """

    def __init__(self, draw: Draw, targets: Sequence[str]) -> None:
        self.all = sorted(
            (fault for fault in draw.faults if not fault.target.startswith("sensors.")),
            key=lambda fault: (fault.onset, fault.fault_id),
        )
        for fault in self.all:
            fits = fault.kind == ("friction" if fault.target == "road" else "fade")
            if fault.target not in targets or not fits:
                raise RunError(
                    f"run {draw.run}: '{fault.target}' knows no fault '{fault.kind}'",
                    "'fade' goes with <actor>.brakes, 'friction' with road",
                )

    def friction(self, friction: float, t: float) -> float:
        """Return the friction for a step that starts at t, given the healthy one."""
        for fault in self.all:
            if fault.kind == "friction":
                friction += (max(fault.severity, 0.0) - friction) * grown(fault, t)
        return friction

    def brakes(self, name: str, t: float) -> float:
        """Return the part of a vehicle's braking force that is left for a step that starts at t."""
        left = 1.0
        for fault in self.all:
            if fault.target == f"{name}.brakes":
                left *= 1.0 - min(max(fault.severity, 0.0), 1.0) * grown(fault, t)
        return left

    def acting(self, t: float) -> list[Fault]:
        """Return the faults that have made a difference by t and still do."""
        return [fault for fault in self.all if fault.onset < t and grown(fault, t) > 0.0]


def grown(fault: Fault, t: float) -> float:
    """Return the part of a fault's severity that acts on a step that starts at t, 0-1."""
    if not fault.onset <= t < fault.end:
        return 0.0
    return 1.0 if fault.ramp <= 0.0 else min((t - fault.onset) / fault.ramp, 1.0)
