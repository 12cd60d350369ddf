"""Default requirements over the library: good systems keep them, broken ones break them, and each is seen both ways."""

from __future__ import annotations

import importlib.util
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mischance.api.protocols import declares
from mischance.language import catalog
from mischance.language.loading import load
from mischance.play.player import Player
from mischance.play.requirements import PREFIX
from mischance.play.sampling import draw
from tests.simulators.library import driving, robots
from tests.simulators.test_library import NEEDS, tags_of

TABLE = Path(__file__).resolve().parents[2] / "benchmarks" / "default_requirements.py"
BAR = 62  # of 66


def table_of_drivers() -> Any:
    """Return the script that plays drivers over the library."""
    spec = importlib.util.spec_from_file_location("default_requirements", TABLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def verdicts(name: str, variant: str, draws: int = 1) -> dict[str, list[bool]]:
    """Return default requirement -> whether each draw of a variant kept it."""
    scenario = load(f"{name}:{variant}", without=["sensors"])
    for needs in {NEEDS[tag] for tag in tags_of(name) if tag in NEEDS}:
        if find_spec(needs) is None:
            pytest.skip(f"{needs} is not installed")
    with Player(scenario) as player:
        found = player.outcomes(draw(scenario, range(draws)))
    return {name: found.columns[f"{PREFIX}{name}"].tolist() for name in sorted(scenario.by_default)}


# -- robots ------------------------------------------------------------------------------------------------------------

ROBOTS = {
    "robots/drone_geofence": {"stays_in_fence", "finishes"},
    "robots/arm_gripper_slip": {"task_done"},
    "robots/warehouse_head_on": {"orders_get_done"},
    "robots/warehouse_conveyor_jam": {"orders_get_done", "orders_in_time"},
}


@pytest.mark.parametrize("name", ROBOTS)
def test_what_a_world_of_robots_requires_is_kept_in_its_nominal_variant_and_broken_in_the_crash(name: str):
    good, bad = verdicts(name, "nominal"), verdicts(name, "crash")
    assert set(good) == ROBOTS[name]
    assert good == {requirement: [True] for requirement in ROBOTS[name]}
    assert [False] in bad.values()


def test_each_requirement_of_a_world_of_robots_is_seen_broken():
    worlds = {entry.name for entry in catalog.entries("simulators")} - {"road"}
    declared = {name for world in worlds for name in declares(catalog.find("simulators", world)).requirements}
    assert declared == set().union(*ROBOTS.values())
    assert verdicts("robots/warehouse_conveyor_jam", "crash")["orders_in_time"] == [False]
    assert verdicts("robots/drone_geofence", "crash") == {"stays_in_fence": [False], "finishes": [False]}


@pytest.mark.slow
@pytest.mark.parametrize("name", robots())
def test_every_nominal_variant_of_the_robots_keeps_what_its_world_requires(name: str):
    assert all(all(kept) for kept in verdicts(name, "nominal", 4).values())


# -- driving -----------------------------------------------------------------------------------------------------------

BOUND = {
    "steers off at 1 s": "stays_on_carriageway",
    "stands still": "gets_on",
    "brakes for ever": "no_needless_emergency_braking",
    "goes the wrong way": "no_wrong_way",
}  # what each broken driver is bound to break


def test_a_broken_driver_breaks_what_it_is_bound_to_and_a_reference_keeps_all():
    table = table_of_drivers()
    some = ["driving/u_turn"]
    good = table.row_of("r157_driver", some, draws=1)
    assert good.passed == some
    for driver, requirement in BOUND.items():
        row = table.row_of(driver, some, draws=1)
        assert row.failed == some, driver
        assert row.broke[requirement] == some
        assert good.kept[requirement] == some


@pytest.mark.slow
def test_broken_drivers_fail_the_library_and_a_reference_driver_passes_it():
    table, names = table_of_drivers(), driving()
    assert len(names) == 66
    best = table.row_of("r157_driver", names, draws=2)
    assert len(best.passed) >= BAR, sorted(set(names) - set(best.passed))
    for driver, requirement in BOUND.items():
        row = table.row_of(driver, names, draws=2)
        assert len(row.failed) >= BAR, (driver, sorted(set(names) - set(row.failed)))
        assert row.broke[requirement], driver
        assert not row.undecided


@pytest.mark.parametrize("name", driving())
def test_every_driving_scenario_is_held_to_all_of_them(name: str):
    scenario = load(f"{name}:nominal", without=["sensors"])
    assert scenario.by_default == set(BOUND.values())
