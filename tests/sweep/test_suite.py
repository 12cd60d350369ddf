"""An agent on a suite: what passes, what fails, what a reference would have avoided, what changed since."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from mischance.errors import MischanceError
from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw
from mischance.sweep.suite import run_suite, suite
from mischance.sweep.suite_report import junit
from tests.shell import mischance
from tests.support import PLUGINS

WANDER = str(PLUGINS / "wander.yaml")
CHANGES = {"require": "{low: always x < 1.2 V}", "faults": "[]"}


@pytest.fixture(scope="module")
def pusher(tmp_path_factory):
    """An agent that does nothing."""
    path = tmp_path_factory.mktemp("agents") / "idle.py"
    path.write_text("def idle(observation, t):\n    return None\nidle.reads = ('meter',)\n")
    return f"{path}:idle"


@pytest.fixture(scope="module")
def report(tmp_path_factory, pusher):
    damper = f"{PLUGINS / 'damper.py'}:Damper"
    out = tmp_path_factory.mktemp("suite")
    return run_suite([WANDER], out, agent=pusher, references=[damper], runs=12, overrides=CHANGES)


def outcomes(agent):
    """Return run -> whether the signal stayed low, played by hand."""
    scenario = load(WANDER, {**CHANGES, "agent": json.dumps({"kind": agent})})
    kept = {}
    for record in play(scenario, draw(scenario, np.arange(12))):
        if record.last:
            columns = record.tables["runs"].columns
            kept.update(zip(map(int, record.runs), map(bool, columns["require.low"]), strict=True))
    return kept


def test_a_case_passes_if_every_requirement_was_kept(report, pusher):
    expected = outcomes(pusher)
    assert {case.run: case.passed for case in report.cases} == expected
    assert not all(expected.values())
    assert any(expected.values())
    assert all(case.broken == ("low",) for case in report.failed)
    assert not report.ok


def test_a_failed_case_says_whether_the_reference_avoids_it(report):
    reference = outcomes(f"{PLUGINS / 'damper.py'}:Damper")
    assert {case.run: case.avoidable for case in report.failed} == {c.run: reference[c.run] for c in report.failed}
    assert all(case.avoidable is None for case in report.cases if case.passed)


def test_a_reference_stands_for_a_person_without_the_systems_channel(tmp_path):
    """The same agent under test and as reference: only the one under test hangs."""
    damper = f"{PLUGINS / 'damper.py'}:Damper"
    hangs = {**CHANGES, "faults": "[{target: agent, kind: timeout, at: 0 s}]"}
    found = run_suite([WANDER], tmp_path, agent=damper, references=[damper], runs=12, overrides=hangs)
    well = outcomes(damper)
    assert {case.run: case.avoidable for case in found.failed} == {case.run: well[case.run] for case in found.failed}
    assert any(case.avoidable for case in found.failed)


def test_junit_counts_what_failed(report):
    root = ElementTree.fromstring(junit(report))
    assert root.tag == "testsuites"
    assert int(root.get("tests")) == len(root.findall(".//testcase")) == 12
    assert int(root.get("failures")) == len(root.findall(".//failure")) == len(report.failed)
    assert all("mischance replay" in failure.text for failure in root.iter("failure"))


def test_a_suite_is_a_folder_a_tag_or_a_scenario(tmp_path):
    assert suite("driving/cut_in:crash") == ["driving/cut_in:crash"]
    assert "driving/cut_in" in suite("driving")
    assert "driving/cut_in" in suite("un-r157")
    assert suite(str(PLUGINS)) == [str(PLUGINS / name) for name in ("cascade.yaml", "tow.yaml", "wander.yaml")]
    with pytest.raises(MischanceError, match="drivin") as error:
        suite("drivin")
    assert error.value.hint
    with pytest.raises(MischanceError, match="no scenario"):
        suite(str(tmp_path))


def test_a_scenario_that_cannot_be_played_is_an_error_of_the_report_and_not_of_the_others(tmp_path, pusher):
    bad = tmp_path / "bad.yaml"
    bad.write_text("mischance: 1\nname: bad\n")
    found = run_suite([str(bad), WANDER], tmp_path / "out", agent=pusher, references=[], runs=2, overrides=CHANGES)
    assert list(found.errors) == [str(bad)]
    assert len(found.cases) == 2
    assert ElementTree.fromstring(junit(found)).get("errors") == "1"


def test_the_command_exits_with_1_on_a_failure_and_0_without(tmp_path, pusher):
    def run(*more):
        command = ["test", WANDER, "--agent", pusher, "--runs", "3", "--json"]
        command += ["--reference", "", "--set", "faults=[]", *more]
        return mischance(*command, cwd=tmp_path, timeout=120)

    good = run("--set", "require={any: always x < 100 V}", "--out", "good", "--junit", "j.xml")
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["failed"] == 0
    assert (tmp_path / "j.xml").is_file()
    bad = run("--set", "require={none: always x < -100 V}", "--out", "bad")
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["failed"] == 3
