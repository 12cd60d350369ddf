"""Runs played again: a time limit for each, whose doing a failure was, and causes tested by leaving them out."""

from __future__ import annotations

import json

import pytest

from mischance.sweep.judging import play_again
from mischance.sweep.setups import Setup
from mischance.sweep.suite import run_suite
from mischance.sweep.suite_report import junit, text
from tests.support import PLUGINS

WANDER = str(PLUGINS / "wander.yaml")
HIGH = {"require": "{low: always x < -100 V}", "faults": "[]"}  # no run keeps it
AGENTS = """\
import time
from mischance.errors import RefusalError, RunError


def _do(what):
    def act(observation, t):
        what()
    act.reads = ("meter",)
    return act


def _raise(error):
    raise error


hangs = _do(lambda: time.sleep(60))
idle = _do(lambda: None)
refuses = _do(lambda: _raise(RefusalError("not my world")))
dies = _do(lambda: __import__("os")._exit(7))
"""
STORY = """\
mischance: 1
name: story
duration: 8 s
simulator:
  kind: road
  motion: false
  road: {lanes: 3}
  actors:
    ego: {speed: 20 m/s}
    intruder: {speed: 8 m/s, lane: 2, gap: 25 m, behaviour: [{kind: change_lane, to: 1, at: 1 s, takes: 2 s}]}
    aside: {speed: 20 m/s, lane: 3, gap: 200 m, behaviour: [{kind: brake, deceleration: 3, at: 1 s}]}
faults: [{target: aside.brakes, kind: fade, at: 0.5 s}]
event: {name: collision, when: ego.contacts > 0}
"""


@pytest.fixture(scope="module")
def agents(tmp_path_factory):
    path = tmp_path_factory.mktemp("agents") / "odd.py"
    path.write_text(AGENTS)
    return path


def test_each_run_has_a_time_limit_and_the_next_one_is_played(agents):
    found = play_again(Setup(WANDER, f"{agents}:hangs", HIGH), [(0, ""), (1, "")], 4.0)
    assert [(one.run, one.kind) for one in found] == [(0, "timeout"), (1, "timeout")]
    assert "4 s" in found[0].word


def test_a_process_that_dies_is_the_failure_of_its_run_alone(agents):
    found = play_again(Setup(WANDER, f"{agents}:dies", HIGH), [(0, ""), (3, "")], 60.0)
    assert [(one.run, one.kind) for one in found] == [(0, "failed"), (3, "failed")]
    assert "exit code 7" in found[0].word


def test_the_agents_own_refusal_is_told_from_an_error(agents, tmp_path):
    references = [f"{agents}:{name}" for name in ("refuses", "idle")] + ["no_such_driver"]
    report = run_suite([WANDER], tmp_path, agent=f"{agents}:idle", references=references, runs=1, overrides=HIGH)
    (case,) = report.failed
    assert case.references == {f"{agents}:idle": "not avoided"}
    assert set(case.unknown) == {f"{agents}:refuses", "no_such_driver"}
    assert case.unknown[f"{agents}:refuses"].startswith("refused: ")
    assert case.unknown["no_such_driver"].startswith("failed: ")
    assert "no_such_driver gave no answer: failed" in text(report)
    assert "no_such_driver gave no answer: failed" in junit(report)


def test_a_cause_is_what_takes_the_failure_away(tmp_path):
    path = tmp_path / "story.yaml"
    path.write_text(STORY)
    report = run_suite([str(path)], tmp_path / "out", references=[], runs=1, explain=True)
    (case,) = report.failed
    causes = {one.left_out: one.cause for one in case.tested}
    assert causes == {
        "actors.intruder.behaviour[0]": True,
        "actors.aside.behaviour[0]": False,
        "fault:0": False,
    }
    # the same by hand: without the manoeuvre nobody is in the ego's lane
    path.write_text(STORY.replace(", behaviour: [{kind: change_lane, to: 1, at: 1 s, takes: 2 s}]", ""))
    assert run_suite([str(path)], tmp_path / "by hand", references=[], runs=1).ok
    said = text(report)
    assert "lane change start of intruder at 1.00 s: a cause (passes without it)" in said
    assert "brake start of aside at 1.00 s: no cause (fails without it too)" in said
    assert "testing causes took 3 replays" in said
    assert "no cause" in junit(report)
    assert len(json.loads(json.dumps(report.facts()))["cases"][0]["tested"]) == 3
