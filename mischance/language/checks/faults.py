"""Checks of `faults`: what they are aimed at, of which kind they are, how often they come, and their distributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mischance import units
from mischance.api.protocols import AGENT_FAULTS
from mischance.errors import UnitError, shorten, suggest
from mischance.language.checks.links import severity_dimension
from mischance.language.checks.parts import Checks, some
from mischance.language.distributions import parsing as distributions
from mischance.language.origin import Path_
from mischance.language.scenario import PlannedFault

HOW_OFTEN = ("chance", "count", "rate")
# Keys of a fault: dimension of each distribution, and the condition on a constant.
LAWS: dict[str, tuple[str | None, str]] = {
    "at": ("time", "≥ 0"),
    "lasts": ("time", "> 0"),
    "severity": (None, ""),
    "ramp": ("time", "≥ 0"),
    "chance": ("ratio", "a probability"),
    "count": ("", "≥ 0"),
    "rate": ("frequency", "≥ 0"),
}


class FaultChecks(Checks):
    """The checks of `faults`, after those of plug-ins."""

    def faults(self) -> tuple[PlannedFault, ...]:
        """Check the planned faults against the kinds that their targets declare."""
        planned = []
        for i, entry in enumerate(self.entries("faults")):
            if isinstance(entry, dict):
                fault = self.fault(entry, ("faults", i))
                if fault is not None:
                    planned.append(fault)
        self._numbers()
        return tuple(planned)

    def _numbers(self) -> None:
        """Note two faults that would share a stream of random numbers."""
        known: dict[int, int] = {}
        for i, entry in enumerate(self.entries("faults")):
            number = entry.get("number") if isinstance(entry, dict) else None
            own = number if isinstance(number, int) and not isinstance(number, bool) else i
            if known.setdefault(own, i) != i:
                where: Path_ = ("faults", i, "number") if number is not None else ("faults", known[own], "number")
                self.origin.add(where, f"two faults have the stream of random numbers {own}", "leave `number` out")

    def fault(self, entry: Mapping[str, Any], path: Path_) -> PlannedFault | None:
        """Check one entry of `faults`."""
        target, kind = entry.get("target"), entry.get("kind")
        known = self.fault_kind(target, kind, path) if isinstance(target, str) and isinstance(kind, str) else None
        asked = [key for key in HOW_OFTEN if entry.get(key) is not None]
        if len(asked) > 1:
            self.origin.add(path, f"say one of chance, count and rate (got {' and '.join(asked)})")
        forced = entry.get("forced")
        if forced is not None and entry.get("chance") is None:
            self.origin.add((*path, "forced"), "goes with `chance`: it replaces that probability in the draw")
        entry = {"at": 0, "ramp": 0, **entry}
        if entry.get("severity") is None:
            entry["severity"] = known.default if known else 1.0
        laws: dict[str, distributions.Spec | None] = {}
        for key, (dimension, keeps) in LAWS.items():
            own = severity_dimension(known) if key == "severity" else dimension
            wanted = entry.get(key) is not None or key in ("at", "ramp")
            laws[key] = self.law(entry.get(key), (*path, key), own, keeps) if wanted else None
        if not isinstance(target, str) or not isinstance(kind, str) or laws["at"] is None or laws["severity"] is None:
            return None
        if laws["ramp"] is None:
            return None
        try:
            forced = None if forced is None else units.Unit("ratio").read(forced)
        except UnitError:
            return None  # reported by the model
        source = entry.get("source") or ""
        number = entry.get("number")
        number = number if isinstance(number, int) else int(path[-1])
        self.planned.append({
            "target": target, "kind": kind, **{key: law for key, law in laws.items() if law is not None},
            **({"forced": forced} if forced is not None else {}),
            **({"number": number} if number != path[-1] else {}), **({"source": source} if source else {}),
        })  # fmt: skip
        return PlannedFault(
            target, kind, at=laws["at"], lasts=laws["lasts"], severity=laws["severity"], ramp=laws["ramp"],
            chance=laws["chance"], count=laws["count"], rate=laws["rate"], forced=forced, number=number,
        )  # fmt: skip

    def fault_kind(self, target: str, kind: str, path: Path_, key: str = "target") -> Any:
        """Return a target's declared kind of fault by name; `key` of the entry names the target."""
        room, _, name = target.partition(".")
        if room == "sensors":
            if name not in self.instruments:
                if name not in self.mapping("sensors"):
                    known = [f"sensors.{key}" for key in self.mapping("sensors")]
                    hint = suggest(target, known) or ("known: " + some(known) if known else "")
                    self.origin.add((*path, "target"), f"there is no sensor {shorten(name)}", hint)
                return None
            kinds = self.instruments[name].faults
        elif target == "agent":
            if self.tree.get("agent") is None and not self.tree.get("agents"):
                self.origin.add((*path, "target"), "there is no agent that it could befall", "name one under `agent`")
                return None
            kinds = AGENT_FAULTS
        else:
            if self.world is None:
                return None
            kinds = self.parts.get(room, self.world).faults
            targets = None
            if self.world.targets is not None and self.simulator is not None:
                targets = list(self.world.targets(self.simulator.settings))
            if targets is not None and target not in targets:
                known = [*targets, *(f"sensors.{key}" for key in self.sensors)]
                known += ["agent"] if self.tree.get("agent") is not None else []
                hint = suggest(target, known) or ("known: " + some(known) if known else "")
                self.origin.add((*path, key), f"nothing in this world is called {shorten(target)}", hint)
                return None
        if kind not in kinds:
            hint = suggest(kind, kinds) or ("known: " + some(kinds) if kinds else "it has no faults")
            self.origin.add((*path, "kind"), f"{shorten(target)} has no fault {shorten(kind)}", hint)
            return None
        return kinds[kind]
