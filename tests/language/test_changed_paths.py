"""Variants and overrides: what a dotted path sets, what stays shared with nobody, and where one is blocked."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from mischance.errors import MischanceError, ScenarioError
from mischance.language.loading import load
from mischance.language.variants import _set, apply_changes, change_path, variant_changes

TREE: dict[str, Any] = {
    "seed": 3,
    "vary": {"gap": 1, "dry.wet": 2},
    "faults": [{"at": 1}, {"at": 2}],
    "simulator": {"kind": "road", "road": {"lanes": 2}},
}


def test_a_name_in_vary_is_that_value_and_anything_else_a_dotted_path():
    assert change_path(TREE, "gap") == ("vary", "gap")
    assert change_path(TREE, "dry.wet") == ("vary", "dry.wet")
    assert change_path(TREE, "simulator.road.lanes") == ("simulator", "road", "lanes")
    assert change_path(TREE, "faults.1.at") == ("faults", 1, "at")
    assert change_path(TREE, "faults.1234567.at") == ("faults", "1234567", "at"), "no number of an entry"
    for key in ("mischance", "nothing", "simulator..kind", "simulator.", ".seed", ""):
        assert change_path(TREE, key) is None
    assert change_path({"vary": 3}, "gap") is None


def test_a_value_is_set_in_copies_of_the_containers_on_its_way():
    tree, before = dict(TREE), deepcopy(TREE)
    assert _set(tree, ("simulator", "road", "lanes"), 4) == ""
    assert _set(tree, ("faults", 1, "at"), 5) == ""
    assert _set(tree, ("agent", "kind"), "idm") == ""
    assert (tree["simulator"]["road"]["lanes"], tree["faults"][1]["at"], tree["agent"]) == (4, 5, {"kind": "idm"})
    assert before == TREE, "the first tree is as it was"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("seed", "deep"), "seed has no parts (it is 3)"),
        (("faults", 2, "at"), "faults is a list of 2 without an entry 2"),
        (("faults", "at"), "faults is a list of 2 without an entry at"),
        (("simulator", 0), "simulator is a mapping without a key 0"),
    ],
)
def test_what_blocks_a_path_is_told(path: tuple[str | int, ...], said: str):
    assert _set(deepcopy(TREE), path, 1) == said


def test_an_entry_of_a_list_is_changed_in_a_whole_list():
    assert apply_changes({}, TREE, {"faults.1.at": 9, "seed": 4, "nothing": 1}) == {
        "faults": [{"at": 1}, {"at": 9}],
        "seed": 4,
    }
    own: dict[str, Any] = {"faults": [{"at": 7}, {"at": 8}]}
    assert apply_changes(own, TREE, {"faults.1.at": 9})["faults"] == [{"at": 7}, {"at": 9}], "one that is there stays"
    assert TREE["faults"] == [{"at": 1}, {"at": 2}]


def test_a_variant_that_is_none_is_told_with_what_there_is():
    tree = {"variants": {"near": {"gap": 3}, "odd": 3}}
    assert variant_changes(tree, "near", "f") == {"gap": 3}
    for variant, hint in (("naer", "near"), ("zzzzzz", "known: near, odd")):
        with pytest.raises(MischanceError, match=f"f: there is no variant '{variant}'") as raised:
            variant_changes(tree, variant, "f")
        assert hint in raised.value.hint
    with pytest.raises(MischanceError, match="'odd' must be a mapping"):
        variant_changes(tree, "odd", "f")
    with pytest.raises(MischanceError) as raised:
        variant_changes({}, "x", "f")
    assert raised.value.hint == "it has no variants"


BASE = """mischance: 1
name: a/b
about: x
duration: 1 s
seed: 3
simulator: {kind: payments}
event: {name: loss, when: loss > 0}
"""


def test_a_variant_that_is_blocked_is_told_at_its_key(tmp_path: Path):
    path = tmp_path / "s.yaml"
    path.write_text(BASE + "variants:\n  odd: {  seed.deep: 3}\n")
    with pytest.raises(ScenarioError) as raised:
        load(f"{path}:odd")
    (problem,) = [one for one in raised.value.problems if "has no parts" in one.message]
    assert (problem.line, problem.column, problem.path) == (9, 11, "variants.odd.seed.deep")
    with pytest.raises(MischanceError, match=r"--set seed.deep: seed has no parts \(it is 3\)"):
        load(path, {"seed.deep": "3"})


ALIASED = """
from pydantic import BaseModel, Field
from tests.plugins.drift import Drift


class Aliased(Drift):
    class Settings(Drift.Settings):
        from_: float = Field(1.0, alias="from", gt=0)
"""


def test_settings_are_written_out_by_the_names_that_a_scenario_uses(tmp_path: Path):
    (tmp_path / "aliased.py").write_text(ALIASED)
    text = BASE.replace("{kind: payments}", "{kind: 'aliased.py:Aliased', from: $start}").replace(
        "loss > 0", "peak > 0"
    )
    (tmp_path / "s.yaml").write_text(text + "vary: {start: {uniform: [1, 2]}}\n")
    scenario = load(tmp_path / "s.yaml")
    assert scenario.simulator.tree["from"] == "$start"
    assert "from_" not in scenario.simulator.tree
    assert scenario.simulator.settings_for({"start": 1.5}).from_ == 1.5  # type: ignore[attr-defined]
    assert "from: $start" in scenario.text()
