"""Outcomes of the variants of the library's scenarios, compared with the bands of `bands.yaml`.

python tests/library.py [driving/cut_in robots/drone_crossing ...] [--draws 50]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.stats import binom

from mischance.api.tables import BoolArray
from mischance.language import catalog
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.player import play
from mischance.play.sampling import draw
from mischance.units import parse

BANDS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "bands.yaml").read_text())
REFERENCE = "{kind: r157_driver}"
FOREIGN = "own-agent"  # tag of a scenario that is about its own agent
ENTRIES = {entry.name: entry for entry in catalog.entries("scenarios")}
VARIANTS = ("nominal", "critical", "crash")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Outcomes of one variant's draws, and whether they satisfy its band."""

    name: str
    variant: str
    draws: int
    events: float  # share
    in_band: float  # share of draws without event and with a measure in its range
    worst: dict[str, float]  # measures with a limit for every draw
    near: dict[str, tuple[float, float, float]]  # 10 %, 50 %, 90 %
    ok: bool

    def __str__(self) -> str:
        near = "  ".join(f"{name} " + "/".join(f"{v:.2f}" for v in values) for name, values in self.near.items())
        worst = "  ".join(f"worst {name} {value:.2f}" for name, value in self.worst.items() if np.isfinite(value))
        return (
            f"{self.name + ':' + self.variant:44s} {'ok ' if self.ok else 'NO '} events {self.events:4.0%}"
            f"  in band {self.in_band:4.0%}  {worst}  {near}"
        )


def driving() -> list[str]:
    """Return the names of the library's driving scenarios."""
    return _of("driving/")


def robots() -> list[str]:
    """Return the names of the library's robot scenarios."""
    return _of("robots/")


def _of(folder: str) -> list[str]:
    return [name for name in ENTRIES if name.startswith(folder)]


def runs_of(name: str, draws: int, **overrides: str) -> dict[str, Any]:
    """Play draws of a scenario or variant; return the columns of `runs`."""
    return _played(load(name, {key.replace("__", "."): value for key, value in overrides.items()}), draws)


def _played(scenario: Scenario, draws: int) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for record in play(scenario, draw(scenario, range(draws))):
        if record.last:
            table = record.tables["runs"]
            for column, values in table.columns.items():
                names = table.schema[column].names
                found.setdefault(column, []).extend([names[v] for v in values] if names else values.tolist())
    return {column: np.array(values) for column, values in found.items()}


def tags_of(name: str) -> tuple[str, ...]:
    """Return the tags of a scenario of the library."""
    return ENTRIES[name].tags


def section(name: str, scenario: Scenario) -> str:
    """Return the section of the bands for a scenario."""
    return "driving" if name.startswith("driving/") else scenario.simulator.kind


def judge(name: str, variant: str, draws: int | None = None, *, quick: bool = False) -> Comparison:
    """Play a variant and compare it with its band: all draws, or with `quick` the few of `make test`."""
    own = FOREIGN in tags_of(name)
    reference = {"agent": REFERENCE} if name.startswith("driving/") and not own else {}
    scenario = load(f"{name}:{variant}", reference)
    world = section(name, scenario)
    draws = draws or (BANDS["quick"][world] if quick else BANDS["draws"])
    got = _played(scenario, draws)
    band: Mapping[str, Any] = BANDS[world][variant]
    event = got["event"].astype(bool)
    near = within(got, BANDS[world]["critical"]["near"])
    counts = ~event & near if "near" in band else ~event
    ok = enough(int(counts.sum()), draws, band.get("no_event", 0.0))
    ok &= enough(int(event.sum()), draws, band.get("event", 0.0))
    worst = {}
    for side, limits in ((1.0, band.get("above", {})), (-1.0, band.get("below", {}))):
        for measure, limit in limits.items():
            values = side * got[measure].astype(float)
            values = values[~np.isnan(values)]  # a measure that does not apply
            worst[measure] = side * float(values.min(initial=np.inf))
            ok &= side * worst[measure] > side * _number(limit)
    spread = {}
    for measure in BANDS[world]["critical"]["near"]:
        values = got[measure].astype(float)
        if not np.isnan(values).any() and np.isfinite(values).any():
            low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], method="nearest")
            spread[measure] = (float(low), float(middle), float(high))
    return Comparison(name, variant, draws, float(event.mean()), float((~event & near).mean()), worst, spread, bool(ok))


def within(got: Mapping[str, Any], ranges: Mapping[str, Any]) -> BoolArray:
    """Return for every draw whether one of the measures is in its range."""
    found = np.zeros(len(got["event"]), bool)
    for measure, (low, high) in ranges.items():
        values = got[measure].astype(float)
        found |= (values >= _number(low)) & (values <= _number(high))
    return found


def enough(count: int, draws: int, share: float) -> bool:
    """Return whether the number of draws is sufficient for a share; a reduced number of draws has a tolerance."""
    if share in (0.0, 1.0) or draws >= BANDS["draws"]:
        return count >= share * draws - 1e-9
    return bool(binom.cdf(count, draws, share) >= BANDS["doubt"])


def _number(text: str | float) -> float:
    """Return a limit in SI units."""
    if not isinstance(text, str):
        return float(text)
    return parse(text, {"s": "time", "m": "length", "mm": "length"}[text.split()[-1]])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--draws", type=int, default=BANDS["draws"])
    asked = parser.parse_args()
    for name in asked.names or [*driving(), *robots()]:
        for variant in VARIANTS:
            print(judge(name, variant, asked.draws), flush=True)


if __name__ == "__main__":
    main()
