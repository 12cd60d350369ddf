"""Verdicts of a suite: stale ones, undecided ones, references that give no answer, and causes that are tested."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from mischance.sweep.suite import run_suite
from mischance.sweep.suite_report import junit, text
from tests.shell import mischance
from tests.support import PLUGINS

WANDER = str(PLUGINS / "wander.yaml")
# Without noise, a run crosses 1.2 V if and only if its drift comes: the agent pushes by what its module says.
CHANGES = {
    "require": "{low: always x < 1.2 V}", "vary.noise": "0.01", "sensors": "{}",
    "faults": "[{target: plant, kind: drift, at: 2 s, severity: 3, chance: 0.5}]",
}  # fmt: skip


def planner(folder: Path, push: float) -> str:
    (folder / "core").mkdir(parents=True, exist_ok=True)
    (folder / "core/__init__.py").write_text("")
    (folder / "core/gains.py").write_text(f"PUSH = {push}\n")
    (folder / "planner.py").write_text(
        "from core import gains\n\n\ndef drive(observation, t):\n    return {'push': gains.PUSH}\n"
    )
    return f"{folder / 'planner.py'}:drive"


def test_a_changed_module_of_the_planner_is_judged_anew(tmp_path):
    """It pushes up, and all fail; its module is changed to push down, and all pass: nothing old is taken for new."""
    agent = planner(tmp_path / "code", 5.0)
    changes = {**CHANGES, "faults": "[]"}
    first = run_suite([WANDER], tmp_path / "out", agent=agent, references=[], runs=4, overrides=changes)
    assert (first.passed, len(first.failed), first.reused) == (0, 4, 0)
    again = run_suite([WANDER], tmp_path / "out", agent=agent, references=[], runs=4, overrides=changes)
    assert (len(again.failed), again.reused, again.replaced) == (4, 4, ())
    assert "4 of 4 results were there already" in text(again)
    planner(tmp_path / "code", -5.0)
    mended = run_suite([WANDER], tmp_path / "out", agent=agent, references=[], runs=4, overrides=changes)
    assert (mended.passed, len(mended.failed), mended.reused) == (4, 0, 0)
    assert len(mended.replaced) == 1
    assert (Path(mended.replaced[0]) / "manifest.json").is_file()
    fresh = run_suite([WANDER], tmp_path / "out", agent=agent, references=[], runs=4, overrides=changes, fresh=True)
    assert (fresh.passed, fresh.reused) == (4, 0)


LEAVES = """
from mischance.api.protocols import AgentFailure

class Leaves:
    rate = 1.0

    def start(self, draws, streams):
        self.gone = None

    def act(self, readings, t, live):
        if t >= 1.0:
            self.gone = self.gone or AgentFailure(t, "ended", "it had enough")

    def failures(self):
        return [self.gone]
"""


@pytest.fixture(scope="module")
def leaves(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("agent") / "leaves.py"
    path.write_text(LEAVES)
    return f"{path}:Leaves"


def test_a_run_whose_agent_has_gone_is_no_pass(leaves, tmp_path):
    """The requirement is broken where the drift comes; all others are undecided, for the agent was not there."""
    report = run_suite([WANDER], tmp_path, agent=leaves, references=[], runs=12, overrides=CHANGES)
    assert report.passed == 0
    assert len(report.failed) + len(report.undecided) == 12
    assert 0 < len(report.undecided) < 12
    assert not report.ok
    assert all(case.broken == ("low",) for case in report.failed)
    root = ElementTree.fromstring(junit(report))
    assert int(root.get("failures", "")) == len(root.findall(".//failure")) == 12
    assert f"0 passed, {len(report.failed)} failed, {len(report.undecided)} undecided" in text(report)


def test_the_exit_code_says_whether_undecided_runs_are_allowed(leaves, tmp_path):
    still = [f"--set={key}={value}" for key, value in {**CHANGES, "faults": "[]"}.items()]
    options = ["test", WANDER, "--agent", leaves, "--runs", "3", "--workers", "1", "--out", tmp_path / "out", *still]
    assert mischance(*options).returncode == 1
    done = mischance(*options, "--allow-undecided", "--json", "--junit", tmp_path / "junit.xml")
    assert done.returncode == 0
    facts = json.loads(done.stdout)
    assert (facts["passed"], facts["failed"], facts["undecided"], facts["reused"]) == (0, 0, 3, 3)
    root = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (root.get("failures"), len(root.findall(".//skipped"))) == ("0", 3)


REFERENCES = """
import time
from mischance.errors import RefusalError, RunError


def sleeps(observation, t):
    time.sleep(30)


def refuses(observation, t):
    raise RefusalError("this is no road")


def breaks(observation, t):
    raise ValueError("a mistake in the driver")


def pushes(observation, t):
    return {"push": -20.0}
"""


def test_a_reference_that_hangs_breaks_or_refuses_is_said_apart(tmp_path):
    (tmp_path / "references.py").write_text(REFERENCES)
    idle = tmp_path / "idle.py"
    idle.write_text("def idle(observation, t):\n    return None\n")
    names = [f"{tmp_path / 'references.py'}:{name}" for name in ("sleeps", "refuses", "breaks", "pushes")]
    always = {**CHANGES, "faults": "[{target: plant, kind: drift, at: 2 s, severity: 3}]"}
    report = run_suite([WANDER], tmp_path / "out", agent=f"{idle}:idle", references=names, runs=1, overrides=always,
                       limit=2.0)  # fmt: skip
    (case,) = report.failed
    assert case.references == {names[3]: "avoided"}
    assert {name: why.partition(":")[0] for name, why in case.unknown.items()} == {
        names[0]: "timeout", names[1]: "refused", names[2]: "failed"
    }  # fmt: skip
    assert "a mistake in the driver" in case.unknown[names[2]]
    assert "gave no answer: timeout" in text(report)


def test_causes_are_tested_by_replaying_without_them(tmp_path):
    """Two drifts, of which one alone takes the signal over the limit: it is a cause, and the other none."""
    idle = tmp_path / "idle.py"
    idle.write_text("def idle(observation, t):\n    return None\n")
    both = (
        "[{target: plant, kind: drift, at: 1 s, lasts: 1 s, severity: 0.05},"
        " {target: plant, kind: drift, at: 2 s, severity: 3}]"
    )
    report = run_suite([WANDER], tmp_path / "out", agent=f"{idle}:idle", references=[], runs=2,
                       overrides={**CHANGES, "faults": both}, explain=True)  # fmt: skip
    assert len(report.failed) == 2
    for case in report.failed:
        assert [(one.left_out, one.cause) for one in case.tested] == [("fault:0", False), ("fault:1", True)]
    said = text(report)
    assert "drift of plant from 2.00 s: a cause (passes without it)" in said
    assert "drift of plant from 1.00 s: no cause (fails without it too)" in said
    assert "testing causes took 4 replays" in said
    assert report.facts()["cases"][0]["tested"][1]["cause"] is True


def test_a_manoeuvre_on_the_road_is_tested_as_a_cause(tmp_path):
    """The lead brakes and is hit; a pedestrian far away begins to cross: without the braking nothing happens."""
    (tmp_path / "scene.yaml").write_text(
        """
mischance: 1
name: scene
duration: 8 s
simulator:
  kind: road
  motion: false
  actors:
    ego: {speed: 20 m/s, lane: 1}
    lead: {speed: 20 m/s, lane: 1, gap: 15 m, behaviour: [{kind: brake, at: 1 s, deceleration: 8 m/s2}]}
    person: {body: pedestrian, speed: 0, lane: 1, offset: 8 m, station: 900 m, behaviour: [{kind: cross, at: 0.5 s}]}
event: {name: collision, when: ego.contacts > 0, margin: min_gap}
"""
    )
    report = run_suite([str(tmp_path / "scene.yaml")], tmp_path / "out", agent="constant", references=[],
                       runs=1, explain=True)  # fmt: skip
    (case,) = report.failed
    found = {one.what.split(" of ")[1].split(" ")[0]: one.cause for one in case.tested}
    assert found["lead"] is True
    assert found["person"] is False


def test_replay_explains_a_run_and_its_page_shows_it(tmp_path):
    done = mischance("run", "driving/cut_in:crash", "--out", tmp_path / "out", "--no-preview", "--without", "cameras")
    assert done.returncode == 0
    done = mischance("replay", tmp_path / "out", "0", "--explain", "--html", tmp_path / "run.html", "--json")
    facts = json.loads(done.stdout)
    (one,) = facts["causes"]
    assert (one["cause"], one["left_out"]) == (True, "actors.intruder.behaviour[0]")
    assert f"{one['what']}: a cause" in (tmp_path / "run.html").read_text()
