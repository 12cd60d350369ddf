"""What the variants of the library's scenarios come to, held against the bands of `bands.yaml`.

    python tests/library.py [driving/cut_in ...] [--draws 50]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mischance import catalog
from mischance.drawing import draw
from mischance.episode import play
from mischance.loading import load
from mischance.units import parse

BANDS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "bands.yaml").read_text())
REFERENCE = "{kind: r157_driver}"
FOREIGN = "own-agent"  # tag of a scenario that is about its own agent


@dataclass(frozen=True, slots=True)
class Judged:
    """One variant: what its draws came to, and whether that is what the variant promises."""

    name: str
    variant: str
    draws: int
    events: float  # share
    in_band: float  # share without event and with a threat number within its band
    min_ttc: float
    btn: tuple[float, float, float]  # 10 %, 50 %, 90 %
    ok: bool

    def __str__(self) -> str:
        btn = "/".join(f"{value:.2f}" for value in self.btn)
        return (
            f"{self.name + ':' + self.variant:44s} {'ok ' if self.ok else 'NO '} events {self.events:4.0%}"
            f"  in band {self.in_band:4.0%}  worst TTC {self.min_ttc:6.2f} s  BTN {btn}"
        )


def driving() -> list[str]:
    """Return the names of the library's driving scenarios."""
    return [entry.name for entry in catalog.entries("scenarios") if entry.name.startswith("driving/")]


def runs_of(name: str, draws: int, **overrides: str) -> dict[str, Any]:
    """Play draws of a scenario or variant; return the columns of `runs`."""
    scenario = load(name, {key.replace("__", "."): value for key, value in overrides.items()})
    found: dict[str, list[Any]] = {}
    for record in play(scenario, draw(scenario, range(draws))):
        if record.last:
            table = record.tables["runs"]
            for column, values in table.columns.items():
                names = table.schema[column].names
                found.setdefault(column, []).extend([names[v] for v in values] if names else values.tolist())
    return {column: np.array(values) for column, values in found.items()}


def tags_of(name: str) -> tuple[str, ...]:
    return next(entry.tags for entry in catalog.entries("scenarios") if entry.name == name)


def judge(name: str, variant: str, draws: int = BANDS["draws"]) -> Judged:
    """Play a variant of a driving scenario and hold it against its band."""
    own = FOREIGN in tags_of(name)
    got = runs_of(f"{name}:{variant}", draws, **({} if own else {"agent": REFERENCE}))
    band: Mapping[str, Any] = BANDS["driving"][variant]
    event = got["event"].astype(bool)
    low_b, high_b = BANDS["driving"]["critical"]["max_btn"]
    low_s, high_s = BANDS["driving"]["critical"]["max_stn"]
    btn, stn = got["max_btn"], got["max_stn"]
    within = ((btn >= low_b) & (btn <= high_b)) | ((stn >= low_s) & (stn <= high_s))
    worst = float(got["min_ttc"].min())
    near = float((~event & within).mean())
    if variant == "nominal":
        ok = (~event).mean() >= band["no_event"] and worst > parse(band["min_ttc"], "time")
    elif variant == "critical":
        ok = near >= band["no_event"]
    else:
        ok = event.mean() >= band["event"]
    spread = tuple(float(value) for value in np.quantile(btn, [0.1, 0.5, 0.9]))
    return Judged(name, variant, draws, float(event.mean()), near, worst, spread, bool(ok))  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--draws", type=int, default=BANDS["draws"])
    asked = parser.parse_args()
    for name in asked.names or driving():
        for variant in ("nominal", "critical", "crash"):
            print(judge(name, variant, asked.draws), flush=True)


if __name__ == "__main__":
    main()
