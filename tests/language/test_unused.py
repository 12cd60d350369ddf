"""What a scenario names and nothing uses: one slip of each kind is found, its sound sibling is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mischance.language import catalog
from mischance.language.checks.unused import drawn_ranges
from mischance.language.loading import load, load_with_warnings
from tests.shell import mischance

CUT_IN = "driving/cut_in"


def found(source: str | Path, **overrides: str) -> list[str]:
    """Return the warnings as `path: message; hint`."""
    _, problems = load_with_warnings(source, {key.replace("__", "."): value for key, value in overrides.items()})
    return [f"{one.path}: {one.message}; {one.hint}" for one in problems]


def test_the_library_names_nothing_that_nothing_uses():
    names = [f"{e.name}{end}" for e in catalog.entries("scenarios") for end in ("", *(f":{v}" for v in e.variants))]
    assert len(names) > 200
    assert {name: lines for name in names if (lines := found(name))} == {}


# -- drawn values ------------------------------------------------------------------------------------------------------


def test_a_misspelt_drawn_value_is_told_with_the_nearest_name():
    assert found(CUT_IN, vary__gapp="3 m") == ["vary.gapp: nothing refers to 'gapp'; did you mean 'gap'?"]
    assert found(CUT_IN, vary__gap="3.5 m") == []


def test_a_value_that_leads_nowhere_is_as_unused_as_where_it_leads():
    lines = found(CUT_IN, vary__speed_up="shove + 1", vary__shove="{uniform: [1, 2]}")
    assert sorted(line.partition(";")[0] for line in lines) == [
        "vary.shove: only 'speed_up' refers to 'shove', and nothing refers to that",
        "vary.speed_up: nothing refers to 'speed_up'",
    ]
    assert found(CUT_IN, vary__shove="{uniform: [1, 2]}", vary__closing="shove * 20 km/h") == []


@pytest.mark.parametrize(
    "use",
    [
        {"constraints": "[extra > 0]"},
        {"require.own": "always ego.gap > extra"},
        {"event.when": "min_gap < extra", "event.margin": "min_gap - extra"},
        {"event.level": "extra - ego.gap"},
        {"faults": "[{target: road, kind: friction, at: 1 s, severity: {expr: extra}}]"},
        {"sensors.imu.rate": "$extra"},
        {"simulator.actors.ego.gap": "$extra"},
    ],
)
def test_every_place_that_can_name_a_drawn_value_counts_as_a_use(use: dict[str, str]):
    _, without = load_with_warnings(CUT_IN, {"vary.extra": "{uniform: [1, 2]}"})
    _, used = load_with_warnings(CUT_IN, {"vary.extra": "{uniform: [1, 2]}", **use})
    assert ["vary.extra" in one.path for one in without] == [True]
    assert used == ()


def test_a_plan_or_a_correlation_is_no_use():
    grid = found(CUT_IN, vary__extra="1", plan="{grid: {extra: [1, 2]}}")
    assert [line.partition(":")[0] for line in grid] == ["vary.extra"]


def test_a_value_that_a_variant_does_without_is_used_all_the_same(tmp_path: Path):
    path = tmp_path / "own.yaml"
    faults = "faults: [{target: road, kind: friction, at: 1 s, severity: $slip}]"
    variants = "variants: {calm: {faults: []}, odd: {vary.typo: 3}}"
    path.write_text(f"mischance: 1\nname: my/own\nextends: {CUT_IN}\nvary: {{slip: 0.2}}\n{faults}\n{variants}\n")
    assert found(f"{path}:calm") == found(path)
    assert [line.partition(";")[0] for line in found(path)] == ["variants.odd.vary.typo: nothing refers to 'typo'"]


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("at: 6 s", "it begins at 6 s or later"),
        ("at: {uniform: [7 s, 9 s]}", "it begins at 7 s or later"),
        ("at: {expr: late}", "it begins at 8 s or later"),
        ("at: 1 s, severity: 0", "its severity is always 0"),
        ("at: 1 s, chance: 0", "its chance is always 0"),
        ("at: 1 s, count: 0", "its count is always 0"),
        ("at: 1 s, rate: 0", "its rate is always 0"),
    ],
)
def test_a_fault_that_can_never_act_is_told(fault: str, reason: str):
    lines = found(CUT_IN, vary__late="{uniform: [8, 9]}", faults=f"[{{target: ego.brakes, kind: fade, {fault}}}]")
    own = [line for line in lines if line.startswith("faults")]
    assert [reason in line for line in own] == [True]


@pytest.mark.parametrize("off", ["severity: 0", "chance: 0", "count: 0", "rate: 0"])
def test_a_fault_that_is_switched_off_in_the_file_is_told_unless_a_variant_switches_it_on(off: str, tmp_path: Path):
    path = tmp_path / "own.yaml"
    fault = f"faults:\n  - {{target: ego.brakes, kind: fade, at: 1 s, {off}}}\n"
    head = "mischance: 1\nname: my/own\nextends: driving/lead_brake\n"
    path.write_text(head + fault)
    key = off.partition(":")[0]
    assert [f"its {key} is always 0" in line for line in found(path)] == [True]
    path.write_text(head + fault + f"variants: {{on: {{faults.0.{key}: 1}}}}\n")
    assert found(path) == []


def test_a_fault_that_may_act_is_not_told():
    for fault in ("at: {uniform: [5.9 s, 9 s]}", "at: {normal: [9 s, 1 s]}", "at: 1 s, chance: 0.001"):
        assert found(CUT_IN, faults=f"[{{target: ego.brakes, kind: fade, {fault}}}]") == []


# -- sensors -----------------------------------------------------------------------------------------------------------


def test_a_sensor_is_read_by_an_agent_or_by_a_dataset():
    assert [line.partition(":")[0] for line in found(CUT_IN, write="[coco]")] == ["sensors.imu"]
    assert [line.partition(":")[0] for line in found(CUT_IN, write="[{kind: parquet, leave_out: [sensors/im*]}]")] == [
        "sensors.imu"
    ]
    assert found(CUT_IN, write="[parquet]") == []
    perceived = {"write": "[coco]", "sensors": "{seen: {kind: objects}}", "faults": "[]"}
    assert found(CUT_IN, agent="{kind: aeb, sensor: seen}", **perceived) == []
    assert [line.partition(":")[0] for line in found(CUT_IN, agent="{kind: aeb}", **perceived)] == ["sensors.seen"]


# -- requirements ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("true", "it holds in every run"),
        ("always 3 > 2", "it holds in every run"),
        ("eventually 3 < 2", "it can hold in no run"),
        ("always abs(ego.jerk) >= 0", "it holds in every run"),
        ("always ego.gap >= ego.gap", "it holds in every run"),
        ("always (ego.gap > 0 or not ego.gap > 0)", "it holds in every run"),
        ("always (ego.gap > 3 and not ego.gap > 3)", "it can hold in no run"),
        ("always (gap < 0 m implies ego.gap > 0)", "its premise can never hold: gap < 0 m"),
        ("always (friction > 0.8 implies ego.gap > 0)", "its premise can never hold: friction > 0.8"),
        ("always after 7 s ego.gap > 0", "begins after the 6 s that a run lasts"),
        ("eventually after 7 s ego.gap > 0", "it can hold in no run"),
        ("for 7 s ego.gap > 0", "is longer than the 6 s that a run lasts"),
        ("ego.gap > 0 until 2 < 1", "it can hold in no run"),
        ("gap > 18 m", "it speaks of drawn values alone"),
    ],
)
def test_a_requirement_that_says_nothing_is_told(text: str, reason: str):
    (line,) = found(CUT_IN, require__own=f"'{text}'")
    assert line.startswith("require.own: ")
    assert reason in line


@pytest.mark.parametrize(
    "text",
    [
        "always abs(ego.jerk) > 0",
        "always ego.gap > -1",
        "always (ego.gap > 0 or not ego.gap > 1)",
        "always (gap < 18 m implies ego.gap > 0)",
        "always (friction > 0.7 implies ego.gap > 0)",
        "always after 5 s ego.gap > 0",
        "for 6 s ego.gap > 0",
        "ego.gap > 0 until ego.speed < 1",
        "always ego.gap > gap - 10 m",
        "eventually ego.speed <= ego.gap * 1 /s",
    ],
)
def test_a_requirement_that_can_hold_and_can_be_broken_is_not_told(text: str):
    assert found(CUT_IN, require__own=f"'{text}'") == []


def test_ranges_of_drawn_values_contain_what_is_drawn_and_are_not_wider_than_asked():
    from mischance.play.sampling import draw

    scenario = load(CUT_IN, {"vary.two": "{mixture: [[1, {uniform: [0, 1]}], [1, {uniform: [3, 4]}]]}"})
    ranges = drawn_ranges(scenario.vary)
    for one in draw(scenario, range(200)):
        for name, value in one.values.items():
            assert isinstance(value, float)
            assert ranges[name][0] <= value <= ranges[name][1], name
    assert ranges["two"] == (0.0, 4.0)
    assert ranges["friction"] == (0.1, 0.8)
    assert ranges["ego_speed"] == pytest.approx((60 / 3.6, 130 / 3.6))
    assert ranges["gap"] == (0.0, float("inf"))


# -- on the command line -----------------------------------------------------------------------------------------------


def test_strict_makes_an_error_of_a_warning(tmp_path: Path):
    slip = ("--set", "vary.gapp=3m")
    mild = mischance("validate", CUT_IN, *slip)
    assert (mild.returncode, mild.stdout) == (0, "driving/cut_in: valid\n")
    assert mild.stderr == "warning: --set vary.gapp:1:1: vary.gapp: nothing refers to 'gapp'; did you mean 'gap'?\n"
    hard = mischance("validate", CUT_IN, *slip, "--strict")
    assert (hard.returncode, hard.stdout) == (2, "")
    assert hard.stderr == mild.stderr.removeprefix("warning: ")
    (told,) = json.loads(mischance("validate", CUT_IN, *slip, "--json").stdout)["warnings"]
    assert (told["path"], told["hint"]) == ("vary.gapp", "did you mean 'gap'?")
    for verb in ("run", "sweep", "test"):
        done = mischance(verb, CUT_IN, *slip, "--strict", "--out", tmp_path / verb)
        assert done.returncode == (1 if verb == "test" else 2)
        assert "nothing refers to 'gapp'" in done.stdout + done.stderr
        assert not (tmp_path / verb / "ledger.sqlite").exists()
