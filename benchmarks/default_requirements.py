"""Which drivers pass the driving library under the default requirements: the reference drivers, and broken ones.

    python benchmarks/default_requirements.py [--draws 4] [--driver r157_driver ...] [--variant nominal]

Each driver drives every scenario of the library in one variant, the same draws for all. A row a driver: in how many
variants it kept everything in every draw, in how many it broke something in every draw, and in how many it broke each
requirement in every draw.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mischance.language import catalog
from mischance.language.loading import load
from mischance.play.player import Player
from mischance.play.requirements import PREFIX
from mischance.play.sampling import draw

BROKEN = Path(__file__).resolve().parents[1] / "tests" / "plugins" / "broken_drivers.py"
DRIVERS = {
    **{name: name for name in ("r157_driver", "fuzzy_safety", "r157_performance", "rss", "idm", "constant")},
    "steers off at 1 s": f"{BROKEN}:SteersOff",
    "stands still": f"{BROKEN}:StandsStill",
    "brakes for ever": f"{BROKEN}:BrakesForEver",
    "goes the wrong way": f"{BROKEN}:WrongWay",
}


@dataclass(slots=True)
class Row:
    """What came of one driver: scenarios whose every draw passed, or failed, and by what."""

    driver: str
    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    broke: dict[str, list[str]] = field(default_factory=dict)
    kept: dict[str, list[str]] = field(default_factory=dict)
    undecided: list[str] = field(default_factory=list)
    some: dict[str, list[str]] = field(default_factory=dict)  # scenario -> reasons of the draws that failed


def names() -> list[str]:
    """Return the driving scenarios of the library."""
    return [entry.name for entry in catalog.entries("scenarios") if entry.name.startswith("driving/")]


def row_of(driver: str, scenarios: Sequence[str], variant: str = "nominal", draws: int = 4) -> Row:
    """Play one variant of each scenario with a driver."""
    found = Row(driver)
    for name in scenarios:
        scenario = load(
            f"{name}:{variant}" if variant else name,
            {"agent": json.dumps({"kind": DRIVERS[driver]})},
            without=["sensors"],
        )
        with Player(scenario) as player:
            table = player.outcomes(draw(scenario, range(draws)))
        bad = table.columns["undecided"].copy()
        if bad.any():
            found.undecided.append(name)
        for requirement in scenario.require:
            kept = table.columns[f"{PREFIX}{requirement}"]
            bad |= ~kept
            if not kept.any():
                found.broke.setdefault(requirement, []).append(name)
            if kept.all():
                found.kept.setdefault(requirement, []).append(name)
        if not bad.any():
            found.passed.append(name)
        else:
            found.some[name] = [str(reason) for reason, one in zip(table.columns["reason"], bad, strict=True) if one]
        if bad.all():
            found.failed.append(name)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--driver", action="append", choices=[*DRIVERS])
    parser.add_argument("--variant", default="nominal", help="'' = the scenarios as they stand")
    parser.add_argument("--scenario", action="append")
    parser.add_argument("--why", action="store_true", help="say what the driver broke, and where it passed in part")
    given = parser.parse_args()
    scenarios = given.scenario or names()
    rows = []
    for driver in given.driver or DRIVERS:
        rows.append(row_of(driver, scenarios, given.variant, given.draws))
        if given.why:
            for name, reasons in rows[-1].some.items():
                print(f"{driver}: {name}: {len(reasons)} of {given.draws}: …{reasons[0].partition('; broken')[2]}")
            print(f"{driver}: passes some draw of {sorted(set(scenarios) - set(rows[-1].failed))}")
    asked = list(dict.fromkeys(name for row in rows for name in (*row.kept, *row.broke)))
    width = max(map(len, DRIVERS))
    print(f"{len(scenarios)} scenarios, variant {given.variant}, {given.draws} draws of each")
    print(f"{'':{width}}  passes  fails  " + "  ".join(asked))
    for row in rows:
        broke = "  ".join(f"{len(row.broke.get(name, [])):{len(name)}d}" for name in asked)
        print(f"{row.driver:{width}}  {len(row.passed):6d}  {len(row.failed):5d}  {broke}")


if __name__ == "__main__":
    main()
