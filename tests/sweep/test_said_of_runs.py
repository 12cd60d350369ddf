"""Suites and judgements in their parts: what fails, which words are said, what is left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import BaseModel

import mischance.sweep.judging as judging
import mischance.sweep.otherwise as otherwise
import mischance.sweep.suite as suite_module
import mischance.sweep.suite_report as report_module
import mischance.sweep.testing as testing
from mischance.api.protocols import Trigger
from mischance.api.runs import Draw, Fault
from mischance.errors import DatasetError, MischanceError, RunError, StartError
from mischance.sweep.judging import Tested
from mischance.sweep.otherwise import outcome_of
from mischance.sweep.setups import Answer
from mischance.sweep.suite import run_suite, suite
from mischance.sweep.suite_report import Case, SuiteReport, junit, text
from tests.support import PLUGINS

WANDER = str(PLUGINS / "wander.yaml")

# -- judgements -------------------------------------------------------------------------------------------------------


def test_a_run_fails_by_its_requirements_or_else_by_its_event_and_passes_only_to_its_end():
    asks, asks_nothing = (SimpleNamespace(require=own, promised=own) for own in (("low",), ()))
    for scenario, broken, event, undecided, verdict, wanted in (
        (asks, [], True, False, "crash", "passed"),
        (asks, ["low"], False, False, "", "failed"),
        (asks, ["low"], False, True, "", "failed"),
        (asks_nothing, [], True, False, "", "failed"),
        (asks_nothing, [], False, False, "", "passed"),
        (asks_nothing, [], False, True, "", "undecided"),
        (asks, [], False, False, "agent ended", "undecided"),
        (asks, [], False, False, "agentless", "passed"),
    ):
        row = {"event": event, "undecided": undecided, "verdict": verdict}
        assert outcome_of(scenario, broken, row) == wanted  # type: ignore[arg-type]


def test_what_is_left_out_is_a_fault_or_a_place_in_the_settings():
    class Actor(BaseModel):
        speed: float = 1.0
        behaviour: list[dict[str, Any]] = []

    class World(BaseModel):
        actors: dict[str, Actor]

    settings = World.model_validate({"actors": {"a": {"behaviour": [{"k": 1}, {"k": 2}, {"k": 3}]}, "b": {"speed": 2}}})
    faults = tuple(Fault(f"fault:{i}", "x", "y", 0.0, 1.0, 1.0) for i in range(2))
    own = Draw(1, 2, faults=faults, settings=settings)
    assert [f.fault_id for f in otherwise._without(own, "fault:0").faults] == ["fault:1"]
    kept = otherwise._without(own, "actors.a.behaviour[1]")
    assert [one["k"] for one in kept.settings.actors["a"].behaviour] == [1, 3]
    assert kept.faults == faults
    assert list(otherwise._without(own, "actors.b").settings.actors) == ["a"]
    assert [one["k"] for one in settings.actors["a"].behaviour] == [1, 2, 3], "the draw itself stays"
    with pytest.raises(RunError, match="cannot be played without actors"):
        otherwise._without(own, "actors")


def test_candidates_are_what_began_in_order_of_time_at_most_twelve(monkeypatch: pytest.MonkeyPatch):
    triggers = [Trigger(f"a[{k}]", "", "lane_change", "van") for k in range(3)] + [Trigger("b[0]", "", "brake", "bus")]
    faults = tuple(Fault(f"fault:{i}", "agent", "latency", 0.5 + i, 9.0, 1.0) for i in range(2))
    draw = Draw(1, 0, faults=faults, settings=object())
    monkeypatch.setattr(judging, "draw", lambda scenario, runs: [draw])
    declared = SimpleNamespace(triggers=lambda settings: triggers)
    scenario: Any = SimpleNamespace(simulator=SimpleNamespace(declared=declared))
    begun = [(2.0, "lane_change", "van"), (1.0, "brake", "van"), (3.0, "lane_change", "van"), (0.25, "brake", "bus")]
    assert judging.candidates(scenario, 0, begun) == [
        ("brake of bus at 0.25 s", "b[0]"),
        ("latency of agent from 0.50 s", "fault:0"),
        ("latency of agent from 1.50 s", "fault:1"),
        ("lane change of van at 2.00 s", "a[0]"),
        ("lane change of van at 3.00 s", "a[1]"),
    ]
    many = replace(draw, faults=tuple(replace(faults[0], fault_id=f"fault:{i}", onset=float(i)) for i in range(20)))
    monkeypatch.setattr(judging, "draw", lambda scenario, runs: [many])
    assert [left_out for _, left_out in judging.candidates(scenario, 0, [])] == [f"fault:{i}" for i in range(12)]
    scenario.simulator.declared.triggers = None
    assert len(judging.candidates(scenario, 0, begun)) == 12


def test_causes_are_what_takes_the_failure_away():
    answers = [
        Answer(4, "a", "played", "avoided", passed=True),
        Answer(4, "b", "played", "not avoided"),
        Answer(7, "a", "timeout", "took longer than 3 s"),
    ]
    found = judging.tested({(4, "a"): "A", (4, "b"): "B", (7, "a"): "A7"}, answers)
    assert {run: [one.text() for one in own] for run, own in found.items()} == {
        4: ["A: a cause (passes without it)", "B: no cause (fails without it too)"],
        7: ["A7: not known (took longer than 3 s)"],
    }


# -- suites -----------------------------------------------------------------------------------------------------------


def test_a_suite_that_is_none_gets_the_nearest_name_or_what_a_suite_is(tmp_path: Path):
    with pytest.raises(MischanceError) as near:
        suite("drivin")
    assert "driving" in near.value.hint
    assert "a suite is" not in near.value.hint
    with pytest.raises(MischanceError) as far:
        suite("qqqqqqqqqq")
    assert far.value.hint.startswith("a suite is a folder, a file, a tag or a scenario")
    assert suite(WANDER) == [WANDER]
    for name in ("b.yaml", "a.yaml", "deep/c.yaml", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert suite(str(tmp_path)) == [str(tmp_path / name) for name in ("a.yaml", "b.yaml", "deep/c.yaml")]


def test_an_agent_that_is_not_there_ends_the_suite_and_a_scenarios_own_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        suite_module,
        "check_agent",
        lambda scenario: (_ for _ in ()).throw(MischanceError("no program x", "install it")),
    )
    with pytest.raises(MischanceError, match="no program x") as ended:
        run_suite([WANDER, WANDER], tmp_path / "out", agent=f"{PLUGINS / 'damper.py'}:Damper", references=[], runs=1)
    assert ended.value.hint == "install it"
    assert run_suite([WANDER], tmp_path / "out", references=[], runs=1).errors == {WANDER: "no program x"}


def test_a_full_disk_ends_the_suite_and_runs_that_cannot_begin_do_where_nothing_else_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for error, alone, of_two in (
        (DatasetError("disk full"), DatasetError, DatasetError),
        (StartError("in a wall"), StartError, None),
        (MischanceError("odd"), None, None),
    ):
        monkeypatch.setattr(testing, "opened", lambda *_, error=error, **__: (_ for _ in ()).throw(error))
        for names, wanted in (([WANDER], alone), ([WANDER, WANDER], of_two)):
            if wanted is None:
                report = run_suite(names, tmp_path / "out", references=[], runs=1)
                assert report.errors == {WANDER: error.message}
                assert not report.ok
            else:
                with pytest.raises(wanted, match=error.message):
                    run_suite(names, tmp_path / "out", references=[], runs=1)


def test_what_was_set_aside_before_gives_way(tmp_path: Path):
    for text_ in ("first", "second"):
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "x").write_text(text_)
        assert testing.set_aside(tmp_path / "d") == str(tmp_path / "d.previous")
    assert (tmp_path / "d.previous" / "x").read_text() == "second"
    assert not (tmp_path / "d").exists()


def case(run: int, passed: bool = False, **more: Any) -> Case:
    return Case("a/b", run, passed, "crash", f"reason {run}", -1.0, **{"replay": f"mischance replay out {run}", **more})


CASES = (
    case(0, passed=True),
    case(1, broken=("low", "calm"), references={"idm": "braking", "r157": "not avoided"}),
    case(2, references={"idm": "not avoided"}, unknown={"r157": "timeout: slow"}),
    case(3, undecided=True),
    case(4, tested=(Tested("fade", "f", True, "passes without it"),)),
)
REPORT = SuiteReport("me", ("idm", "r157"), CASES)


def test_a_report_counts_each_case_once():
    assert [one.run for one in REPORT.failed] == [1, 2, 4]
    assert [one.run for one in REPORT.undecided] == [3]
    assert REPORT.passed == 1
    assert [one.avoidable for one in CASES] == [None, True, False, None, None]
    facts = json.loads(json.dumps(REPORT.facts()))
    assert (facts["passed"], facts["failed"], facts["undecided"], facts["avoidable"]) == (1, 3, 1, 1)
    assert facts["avoided"] == {"idm": 1, "r157": 0}
    assert facts["cases"][1]["broken"] == ["low", "calm"]
    assert [report_module._plain(number) for number in (1.5, float("inf"), float("-inf"), float("nan"))] == [
        1.5,
        None,
        None,
        None,
    ]


def test_a_report_is_good_where_all_passed_or_may_be_undecided():
    good, cut = (
        replace(REPORT, cases=(case(0, passed=True),)),
        replace(REPORT, cases=(case(0, passed=True), case(3, undecided=True))),
    )
    assert [good.ok, cut.ok, replace(cut, allow_undecided=True).ok, REPORT.ok] == [True, False, True, False]
    assert not replace(good, errors={"x": "y"}).ok
    assert not replace(REPORT, allow_undecided=True).ok


def test_the_report_in_words():
    said = text(
        replace(REPORT, errors={"c/d": "no such file"}, reused=2, replaced=("x", "y"), explained="testing took 1 s")
    ).splitlines()
    assert said[0] == "agent me"
    assert said[2:4] == [
        "FAIL a/b 1/5   3 failed; avoided 1 by idm and 0 by r157   1 undecided",
        "ERR  c/d: no such file",
    ]
    first = said.index("a/b#1: broken: low, calm")
    assert said[first + 1 : first + 4] == [
        "  reason 1",
        "  idm: avoided (braking); r157: not avoided",
        "  mischance replay out 1",
    ]
    second = said.index("a/b#2: crash")
    assert said[second + 1 : second + 5] == [
        "  reason 2",
        "  idm: not avoided",
        "  r157 gave no answer: timeout: slow",
        "  mischance replay out 2",
    ]
    assert "a/b#3: undecided: crash" in said
    assert "  fade: a cause (passes without it)" in said
    assert "testing took 1 s" in said
    assert any(line.startswith("2 of 5 results were there already") for line in said)
    assert "results of other code or settings were set aside: x, y" in said
    assert said[-1] == "1 passed, 3 failed, 1 undecided"
    plain = text(SuiteReport("me", (), (case(0, passed=True),)))
    assert plain.splitlines() == ["agent me", "", "ok   a/b 1/1", "", "1 passed, 0 failed"]
    cut = text(SuiteReport("me", (), (case(0, undecided=True),)))
    assert cut.splitlines()[2] == "??   a/b 0/1   1 undecided"


@pytest.mark.parametrize("allow", [False, True])
def test_junit_has_a_suite_a_scenario_and_skips_what_may_be_undecided(allow: bool):
    root = ElementTree.fromstring(junit(replace(REPORT, allow_undecided=allow, errors={"c/d": "no\x00 such file"})))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("5", "3" if allow else "4", "1")
    first, second = root.findall("testsuite")
    assert (first.get("name"), first.get("tests"), first.get("failures"), first.get("skipped")) == (
        "a/b",
        "5",
        "3" if allow else "4",
        "1" if allow else "0",
    )
    assert len(first.findall(".//skipped")) == int(allow)
    assert len(first.findall(".//failure")) == 4 - allow
    assert first.find(".//failure").get("type") == "broken: low, calm"  # type: ignore[union-attr]
    assert second.find(".//error").get("message") == "no such file"  # type: ignore[union-attr]
    assert report_module._clean("a\tb\nc\x01d\x1fe f") == "a\tb\ncde f"


def test_the_exit_code_may_speak_of_errors_alone():
    good = replace(REPORT, cases=(case(0, passed=True),))
    lost = replace(REPORT, cases=(replace(case(1), verdict="not played"),))
    assert [one.ok_at("error") for one in (good, REPORT, lost, replace(good, errors={"x": "y"}))] == [
        True,
        True,
        False,
        False,
    ]
    assert [one.ok_at("any") for one in (good, REPORT)] == [one.ok_at("regression") for one in (good, REPORT)]
    assert [good.ok_at("any"), REPORT.ok_at("any")] == [True, False]
