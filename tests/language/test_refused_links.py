"""Links and worlds that cannot be: each is refused where it is written, with what was meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mischance.errors import ScenarioError
from mischance.language.loading import load
from tests.support import PLUGINS, TANK, tanks

pytest.importorskip("simpy")

CASCADE = PLUGINS / "cascade.yaml"
LEAK = {"to": "b.wall", "kind": "leak"}
NAME = "robots/warehouse_lost_messages"
LOST = {"from": "dispatch.lost", "to": "hall.dispatch", "kind": "message_loss"}


def text_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "worlds.yaml"
    path.write_text(text, encoding="utf-8")
    return path


WRONG: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "signal": ({"from": "a.hun"}, "from", "tells no event and has no signal 'hun'", "hum"),
    "unit of the threshold": ({"above": "3 s"}, "above", "expected a length", ""),
    "unit of the severity": ({"severity": "3 m"}, "severity", "got a length", ""),
    "unit in a map": ({"above": None, "map": [["1 m", 0], ["2 s", 1]]}, "map[1][0]", "expected a length", ""),
    "order of a map": ({"above": None, "map": [["1 m", 0], ["1 m", 1]]}, "map[1][0]", "must be more than 1", ""),
    "units without a map": ({"above": None}, "from", "the signal is a length and the severity a speed", "map"),
    "both sides": ({"below": "1 m"}, "below", "either `above` or `below`", ""),
    "hysteresis the wrong way": ({"clear": "2 m"}, "clear", "while it is still there", ""),
    "a key of another link": ({"map": [["1 m", 0], ["2 m", 1]]}, "map", "has no `map`", "above, below"),
    "subject of a signal": ({"subject": "tank"}, "subject", "has no `subject`", ""),
    "command": ({"kind": None, "to": "b.inflo", "value": 1}, "to", "has no command 'inflo'", "inflow"),
    "commanded actor": ({"kind": None, "to": "b.me.inflow", "value": 1}, "to", "name nobody", ""),
    "command without a value": ({"kind": None, "to": "b.inflow"}, "to", "needs a `value` for 'inflow'", "kind"),
    "unit of a command": ({"kind": None, "to": "b.inflow", "value": "3 s"}, "value", "expected a speed", ""),
    "to itself at once": ({"to": "a.wall", "after": 0}, "after", "takes time", "more than 0 s"),
}


@pytest.mark.parametrize("change", WRONG)
def test_a_link_that_cannot_be_is_refused_with_its_place(change: str, tmp_path: Path):
    own, path, message, hint = WRONG[change]
    entry = {"from": "a.x", "above": "1 m", **LEAK, **own}
    with pytest.raises(ScenarioError) as raised:
        tanks(tmp_path, [{key: value for key, value in entry.items() if value is not None}])
    (problem,) = raised.value.problems
    assert (problem.line, problem.path) == (5, f"links[0].{path}")
    assert problem.column > 1
    assert message in problem.message
    assert hint in problem.hint


def test_links_that_take_no_time_in_a_circle_are_refused(tmp_path: Path):
    ring = [
        {"from": f"{one}.full", "to": f"{other}.wall", "kind": "leak", "after": 0} for one, other in ("ab", "bc", "ca")
    ]
    with pytest.raises(ScenarioError) as raised:
        tanks(tmp_path, ring, a={}, b={}, c={})
    (problem,) = raised.value.problems
    assert problem.path == "links[2].after"
    assert "form a circle through a and b and c" in problem.message
    tanks(tmp_path, [*ring[:2], {**ring[2], "after": "0.1 s"}], a={}, b={}, c={})


def test_the_resolved_text_says_every_link_in_full(tmp_path: Path):
    scenario = load(CASCADE)
    path = tmp_path / "resolved.yaml"
    path.write_text(scenario.text().replace("inputs/tank.py:Tank", TANK), encoding="utf-8")
    again = load(path)
    assert again.simulator.links == scenario.simulator.links
    assert {(bool(link.event), link.driven, bool(link.kind)) for link in again.simulator.links} == {
        (True, False, True), (True, False, False), (False, True, True), (False, True, False), (False, False, True),
        (False, False, False),
    }  # fmt: skip


NAMELESS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "world": ({"from": "dispach.lost"}, "links[0].from", "no world is called 'dispach'", "dispatch"),
    "event": ({"from": "dispatch.lots"}, "links[0].from", "tells no event and has no signal 'lots'", "lost"),
    "bare": ({"from": "lost"}, "links[0].from", "names an event of a world", "<world>.<name>"),
    "target": ({"to": "hall.dispach"}, "links[0].to", "nothing in this world is called", "hall.dispatch"),
    "kind": ({"kind": "mesage_loss"}, "links[0].kind", "has no fault 'mesage_loss'", "message_loss"),
    "unit": ({"severity": "3 m"}, "links[0].severity", "got a length", ""),
    "drawn": ({"severity": {"uniform": [0, 1]}}, "links[0].severity", "one severity for all runs", ""),
    "time": ({"after": "-1 s"}, "links[0].after", "≥ 0", ""),
    "key": ({"form": "dispatch.lost"}, "links[0].form", "unknown key", "from"),
}


@pytest.mark.parametrize("change", NAMELESS)
def test_a_link_that_names_nothing_is_refused_with_its_place(change: str, tmp_path: Path):
    own, path, message, hint = NAMELESS[change]
    entry = ", ".join(f"{key}: {json.dumps(value)}" for key, value in {**LOST, **own}.items())
    text = f"mischance: 1\nname: tests/links\nextends: {NAME}\nlinks:\n  - {{{entry}}}\n"
    with pytest.raises(ScenarioError) as raised:
        load(text_of(tmp_path, text))
    (problem,) = raised.value.problems
    assert (problem.line, problem.path) == (5, path)
    assert problem.column > 1
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("simulator: {kind: warehouse}", "worlds", "either `simulator` or `worlds`"),
        ("worlds: {sensors: {kind: fleet_dispatch}}", "worlds.sensors", "target of other faults"),
    ],
)
def test_worlds_that_cannot_stand_together_are_refused(text: str, path: str, message: str, tmp_path: Path):
    with pytest.raises(ScenarioError) as raised:
        load(text_of(tmp_path, f"mischance: 1\nname: tests/worlds\nextends: {NAME}\n{text}\n"))
    assert [p for p in raised.value.problems if p.path == path and message in p.message]


def test_links_without_worlds_are_refused(tmp_path: Path):
    text = "mischance: 1\nname: a/b\nduration: 1 s\nsimulator: {kind: fleet_dispatch}\n"
    text += "links: [{from: a.b, to: c.d, kind: e}]\n"
    with pytest.raises(ScenarioError) as raised:
        load(text_of(tmp_path, text))
    (problem,) = raised.value.problems
    assert (problem.line, problem.column, problem.path) == (5, 1, "links")
    assert "links go between `worlds`" in problem.message


def test_a_world_that_takes_no_fault_while_it_runs_cannot_be_led_to(tmp_path: Path):
    drift = f"{PLUGINS}/drift.py:Drift"
    text = f"""mischance: 1
name: tests/no_inject
duration: 2 s
worlds: {{dispatch: {{kind: fleet_dispatch}}, plant: {{kind: '{drift}'}}}}
links: [{{from: dispatch.lost, to: plant.plant, kind: drift}}]
"""
    with pytest.raises(ScenarioError) as raised:
        load(text_of(tmp_path, text))
    (problem,) = raised.value.problems
    assert problem.path == "links[0].to"
    assert "takes no fault while it runs" in problem.message
