"""Two tests compared: only what is the same case, and nothing that is missing, in error or another case in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from mischance.errors import MischanceError
from mischance.sweep.comparing import Stored, compare, text
from mischance.sweep.suite import run_suite
from tests.shell import mischance
from tests.support import PLUGINS

WANDER = str(PLUGINS / "wander.yaml")
CHANGES = {"require": "{low: always x < 1.2 V}", "faults": "[]"}
AGENTS = """
def idle(observation, t):
    return None
idle.reads = ('meter',)


def up(observation, t):
    return {'push': 5.0}
up.reads = ('meter',)


def down(observation, t):
    return {'push': -5.0}
down.reads = ('meter',)
"""


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("agents") / "agents.py"
    path.write_text(AGENTS)
    return str(path)


def played(out: Path, agent: str | None, *names: str, **options: Any) -> Stored:
    """Play a suite in this process and return its report as it would be read again."""
    options = {"runs": 6, "overrides": CHANGES, **options}
    report = run_suite(names or [WANDER], out, agent=agent, references=[], workers=0, **options)
    return Stored.of(json.loads(json.dumps(report.facts(), allow_nan=False)), out.name)


@pytest.fixture(scope="module")
def idle(agents: str, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    return played(tmp_path_factory.mktemp("idle"), f"{agents}:idle")


def test_another_agent_on_the_same_draws_is_compared_case_by_case(idle: Stored, agents: str, tmp_path: Path):
    down = played(tmp_path / "down", f"{agents}:down")
    found = compare(idle, down)
    failed = {f"tests/wander#{run}" for (_, run), case in idle.cases.items() if not case["passed"]}
    assert 0 < len(failed) < 6
    assert set(found.gained) == failed, "pushed down, no run comes near the limit"
    assert (found.lost, found.missing, found.new, found.differing, found.undecided) == ((), (), (), {}, 0)
    assert found.shares.p_value == pytest.approx(stats.binomtest(len(failed), len(failed), 0.5).pvalue)
    (row,) = found.rows
    assert (row.pairs, row.before, row.after) == (6, 6 - len(failed), 6)
    margins = [down.cases[key]["margin"] - idle.cases[key]["margin"] for key in idle.cases]
    assert row.margin.mean == pytest.approx(sum(margins) / 6)
    assert row.margin.low < row.margin.mean < row.margin.high
    assert found.reasons("any") == found.reasons("regression") == []
    back = compare(down, idle)
    assert set(back.lost) == failed
    assert back.reasons("regression") == [f"{len(failed)} newly failing"]
    assert back.reasons("error") == []


def test_what_fails_as_before_is_no_regression(idle: Stored):
    found = compare(idle, idle)
    assert (found.lost, found.gained, found.shares.difference) == ((), (), 0.0)
    assert found.reasons("regression") == []
    assert found.reasons("any") == [f"{sum(not case['passed'] for case in idle.cases.values())} failed"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": 9}, "seed: 11, now 9"),
        ({"overrides": {**CHANGES, "vary.noise": "0.01"}}, "vary.noise"),
        ({"overrides": {**CHANGES, "duration": "3 s"}}, "duration: 6.0, now 3.0"),
        ({"overrides": {**CHANGES, "require": "{low: always x < 1.3 V}"}}, r"require.*1\.2.*now.*1\.3"),
        ({"overrides": {**CHANGES, "plan": "{grid: {noise: [0.1, 0.2, 0.3]}}"}}, "plan"),
    ],
)
def test_another_seed_setting_requirement_or_plan_is_refused_and_named(
    idle: Stored, agents: str, tmp_path: Path, options: dict[str, Any], words: str
):
    other = played(tmp_path / "other", f"{agents}:idle", **options)
    with pytest.raises(MischanceError, match=words) as error:
        compare(idle, other)
    assert "no case in common" in error.value.message


def test_other_settings_of_the_command_line_are_told(idle: Stored, agents: str, tmp_path: Path):
    other = played(tmp_path / "other", f"{agents}:idle", overrides={**CHANGES, "duration": "3 s"})
    with pytest.raises(MischanceError, match=r"now .*duration=3 s"):
        compare(idle, other)


def test_disjoint_suites_are_refused(idle: Stored, tmp_path: Path):
    other = played(tmp_path / "other", None, "driving/cut_out", overrides={"sensors": "{}", "duration": "1 s"}, runs=1)
    with pytest.raises(MischanceError, match="the first has tests/wander, the second has driving/cut_out"):
        compare(idle, other)


def test_another_world_of_ones_own_is_another_case(agents: str, tmp_path: Path):
    world = (PLUGINS / "drift.py").read_text()
    kept = []
    for name, text_ in (("a", world), ("b", f"{world}\nCHANGED = True\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "drift.py").write_text(text_)
        (tmp_path / name / "own.yaml").write_text(
            f"mischance: 1\nname: own\nextends: {WANDER}\nsimulator.kind: drift.py:Drift\n"
        )
        overrides = {**CHANGES, "simulator.kind": f"{tmp_path / name}/drift.py:Drift"}
        kept.append(played(tmp_path / f"{name}.out", f"{agents}:idle", runs=2, overrides=overrides))
    with pytest.raises(MischanceError, match=r"simulators .*other code"):
        compare(*kept)


def test_missing_and_new_cases_are_listed_and_missing_ones_are_a_regression(idle: Stored, agents: str, tmp_path: Path):
    fewer = played(tmp_path / "fewer", f"{agents}:idle", runs=4)
    found = compare(idle, fewer)
    assert (found.missing, found.new) == (("tests/wander#4", "tests/wander#5"), ())
    assert found.reasons("regression") == ["2 missing"]
    assert found.reasons("error") == []
    assert "missing: tests/wander#4, tests/wander#5" in text(found)
    more = compare(fewer, idle)
    assert (more.missing, more.new) == ((), ("tests/wander#4", "tests/wander#5"))
    assert more.reasons("regression") == []


def changed(report: Stored, **cases: dict[str, Any]) -> Stored:
    """Return a report with some cases of runs r0, r1 … changed."""
    own = {key: {**case, **cases.get(f"r{key[1]}", {})} for key, case in report.cases.items()}
    return Stored(report.place, report.agent, own, report.scenarios, report.errors, report.overrides)


PASSED = {"passed": True, "undecided": False}


def test_undecided_cases_are_counted_apart(idle: Stored):
    before = changed(idle, r0=PASSED, r1=PASSED, r2={"passed": False, "undecided": True})
    after = changed(idle, r0={"passed": False, "undecided": True}, r1=PASSED, r2=PASSED)
    found = compare(before, after)
    assert (found.lost, found.gained, found.opened, found.undecided) == ((), (), ("tests/wander#0",), 2)
    assert found.shares.pairs == 4
    assert found.reasons("regression") == ["1 newly undecided"]
    assert found.reasons("regression", allow_undecided=True) == []
    assert "2 pairs are undecided" in text(found)


def test_runs_that_were_not_played_and_scenarios_in_error_are_a_regression_and_listed(idle: Stored):
    before = changed(idle, r0=PASSED)
    after = changed(idle, r0={"passed": False, "undecided": False, "verdict": "not played", "reason": "it crashed"})
    after = Stored(after.place, after.agent, after.cases, after.scenarios, {"driving/x": "no such file"}, {})
    found = compare(before, after)
    assert found.reasons("error") == ["1 in error", "1 not played"]
    assert found.reasons("regression") == ["1 in error", "1 not played", "1 newly failing"]
    said = text(found)
    assert "in error: driving/x: no such file" in said
    assert "tests/wander#0: it crashed" in said


def test_a_single_case_with_another_draw_is_left_out_and_named(idle: Stored):
    noise = idle.cases["tests/wander", 3]["values"]["noise"]
    found = compare(idle, changed(idle, r3={"draw": "other", "values": {"noise": noise + 1}}))
    assert found.rows[0].pairs == 5
    assert found.differing == {"tests/wander": (f"run 3: noise was {noise}, now {noise + 1}",)}
    assert found.reasons("regression") == ["1 scenarios with other cases"]
    assert f"not compared: tests/wander: run 3: noise was {noise}" in text(found)


def test_another_version_is_told(idle: Stored):
    scenarios = {name: {**own, "version": "9.9"} for name, own in idle.scenarios.items()}
    other = Stored(idle.place, idle.agent, idle.cases, scenarios, {}, {})
    found = compare(idle, other)
    assert len(found.versions) == 1
    assert "9.9 now" in text(found)


def test_a_report_that_does_not_tell_its_cases_is_refused(idle: Stored, tmp_path: Path):
    for wrong in ("{", "{}", "[]", '{"cases": [3]}', '{"cases": [{}]}'):
        (tmp_path / "report.json").write_text(wrong)
        with pytest.raises(MischanceError, match="no stored report"):
            Stored.read(tmp_path)
    with pytest.raises(MischanceError, match="no stored report"):
        Stored.read(tmp_path / "nobody.json")
    old = {"agent": "a", "errors": {}, "cases": list(idle.cases.values())}
    (tmp_path / "report.json").write_text(json.dumps(old))
    with pytest.raises(MischanceError, match="an earlier version"):
        Stored.read(tmp_path)


def test_the_command_compares_folders_reports_and_agents(agents: str, tmp_path: Path):
    own = [f"--set={name}={value}" for name, value in CHANGES.items()]
    common = ["test", WANDER, "--runs", "4", "--workers", "1", "--reference", "", *own]
    first = mischance(*common, "--agent", f"{agents}:down", "--out", tmp_path / "a", "--json")
    assert first.returncode == 0, first.stderr
    (tmp_path / "a.json").write_text(first.stdout)
    # the same failures at each level; the second agent pushes up, and every run fails
    for level, code in (("error", 0), ("regression", 1), ("any", 1)):
        baseline = ["--baseline", tmp_path / "a.json", "--fail-on", level]
        again = mischance(*common, "--agent", f"{agents}:up", "--out", tmp_path / "b", *baseline)
        assert again.returncode == code, (level, again.stdout)
    assert "newly failing: tests/wander#0, tests/wander#1, tests/wander#2, tests/wander#3" in again.stdout
    table = mischance("test", tmp_path / "a", tmp_path / "b", "--json")
    assert table.returncode == 1
    found = json.loads(table.stdout)
    assert found["comparison"]["pass_rate"]["difference"] == -1.0
    assert found["reasons"] == ["4 newly failing"]
    back = mischance("test", tmp_path / "b", tmp_path / "a")
    assert back.returncode == 0
    assert "0 of 4 cases passed before, 4 now: +100.0%" in back.stdout
    two = mischance(*common, "--agent", f"{agents}:up", "--agent", f"{agents}:down", "--out", tmp_path / "c")
    assert two.returncode == 0, two.stderr
    assert "newly passing: tests/wander#0, tests/wander#1, tests/wander#2, tests/wander#3" in two.stdout
    other = mischance(
        *common, "--seed", "99", "--agent", f"{agents}:up", "--out", tmp_path / "d", "--baseline", tmp_path / "a"
    )
    assert other.returncode == 2
    assert "seed: 11, now 99" in other.stderr
    assert mischance("test", tmp_path / "a", tmp_path / "b", "--agent", "idm", "--agent", "aeb").returncode == 2
