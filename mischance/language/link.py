"""A link between two worlds of a scenario, as it is played."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Link:
    """A link between two worlds: `after` seconds after something in `source`, something happens in `world`.

    It begins with events of the kind `event` (of `subject` alone, '' = everybody's), or else with the signal `signal`:
    where `threshold` is given, while the signal is beyond it (`rising`: above) and until it is back at `clear`, after
    it has been there for `hold` [s]; else at every multiple of `every` [s], by the points of `map` (() = as it is).
    It leads to faults of `target` and `kind` that last at most `lasts` [s]; or, where `kind` is '', to commands that
    set `column` of the actor `target` ('' = the world names none).
    `value` is the severity, or what an event commands.
    """

    source: str
    world: str
    target: str
    event: str = ""
    subject: str = ""
    signal: str = ""
    threshold: float | None = None
    rising: bool = True
    clear: float = 0.0
    hold: float = 0.0
    map: tuple[tuple[float, float], ...] = ()
    every: float = 0.1
    kind: str = ""
    column: str = ""
    value: float | str = 1.0
    after: float = 0.1
    lasts: float | None = None

    @property
    def driven(self) -> bool:
        """Whether a signal drives a severity or a command at every sample."""
        return bool(self.signal) and self.threshold is None

    def tree(self) -> dict[str, Any]:
        """Return the link as a scenario file has it, with every default written out."""
        own: dict[str, Any] = {"from": f"{self.source}.{self.event or self.signal}"}
        if self.event and self.subject:
            own["subject"] = self.subject
        if self.threshold is not None:
            own |= {"above" if self.rising else "below": self.threshold, "clear": self.clear, "hold": self.hold}
        own["to"] = ".".join(word for word in (self.world, self.target, self.column) if word)
        if self.kind:
            own["kind"] = self.kind
        if self.driven:
            own |= {"map": [list(pair) for pair in self.map]} if self.map else {}
            own["every"] = self.every
        else:
            own["severity" if self.kind else "value"] = self.value
        own["after"] = self.after
        return own if self.lasts is None else {**own, "lasts": self.lasts}
