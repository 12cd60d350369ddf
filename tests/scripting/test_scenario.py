"""Scenarios in Python: changes as on the command line, errors without our frames, sweeps without a riddle."""

from __future__ import annotations

import json
import subprocess
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest

import mischance
from mischance.cli.console import event_line
from mischance.errors import MischanceError, ScenarioError
from mischance.language import loading
from mischance.scripting.progress import progress_line
from mischance.sweep.progress import Progress
from tests.source import ROOT
from tests.support import PLUGINS

WANDER = PLUGINS / "wander.yaml"


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("duration", "2 s", "2 s"),
        ("duration", 2, "2.0"),
        ("vary.noise", {"uniform": [0.1, 0.2]}, "{uniform: [0.1, 0.2]}"),
        ("noise", np.float64(0.25), "0.25"),
        ("faults", [], "[]"),
        ("simulator.noise", "$strength", "$strength"),
        ("measure", ["peak"], "[peak]"),
    ],
)
def test_a_value_is_what_its_text_is_on_the_command_line(path: str, value: object, text: str) -> None:
    assert mischance.load(WANDER).set(path, value).identity() == loading.load(WANDER, {path: text}).identity()  # type: ignore[call-overload]


def test_every_change_returns_another_scenario() -> None:
    first = mischance.load(WANDER)
    before = first.text()
    changed = first.set("duration", "2 s").with_seed(5).without("sensors").with_agent("constant")
    assert first.text() == before
    assert (changed.duration, changed.seed, changed.agent is not None and changed.agent.kind) == (2.0, 5, "constant")
    assert repr(changed) == (
        f"mischance.load({str(WANDER)!r}).set('duration', '2 s').with_seed(5).without('sensors').with_agent('constant')"
    )
    turned = first.with_agent("constant").without("sensors").with_seed(5).set("duration", 2)
    assert changed.text() == turned.text()


def test_changes_that_are_right_only_together_are_made_together() -> None:
    scenario = mischance.load(WANDER)
    with pytest.raises(ScenarioError, match="there is no sensor 'slow'"):
        scenario.set("sensors", {})  # one of them may have a fault
    assert scenario.set({"sensors": {}, "agent": None, "faults": []}).agent is None


def test_an_error_has_place_and_hint_and_none_of_our_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = mischance.load(WANDER)
    with pytest.raises(ScenarioError) as caught:
        scenario.set("simulator.niose", 0.2)
    assert "did you mean 'noise'" in str(caught.value)
    files = [Path(frame.filename).name for frame in traceback.extract_tb(caught.tb)]
    assert files == [Path(__file__).name, "plain_errors.py"]
    with pytest.raises(MischanceError) as missing:
        mischance.load("driving/cut_inn")
    shown = "".join(traceback.format_exception(missing.value))
    assert "did you mean 'driving/cut_in'" in shown  # the hint too
    assert missing.value._render_traceback_() == [
        "MischanceError: there is no scenario or file 'driving/cut_inn'", "    did you mean 'driving/cut_in'?",
    ]  # fmt: skip
    monkeypatch.setenv("MISCHANCE_DEBUG", "1")
    with pytest.raises(MischanceError) as whole:
        mischance.load("driving/cut_inn")
    assert len(whole.traceback) > 3
    with pytest.raises(MischanceError, match="with_agent"):
        scenario.set("agent", print)  # type: ignore[call-overload]


def test_a_sweep_has_a_folder_for_all_that_makes_it_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scenario = mischance.load(WANDER).set("duration", "1 s")
    made = scenario.sweep(3, quiet=True)
    stamp = (made.path / "manifest.json").stat().st_mtime_ns
    assert scenario.sweep(3, quiet=True).path == made.path
    assert (made.path / "manifest.json").stat().st_mtime_ns == stamp
    others = [
        scenario.sweep(4, quiet=True),
        scenario.sweep(3, twin=True, quiet=True),
        scenario.with_seed(3).sweep(3, quiet=True),
        scenario.set("noise", 0.5).sweep(3, quiet=True),
    ]
    assert len({made.path, *(each.path for each in others)}) == 5
    assert all(each.path.parent == Path("outputs") and each.path.name.startswith("tests_wander-") for each in others)


def test_a_name_that_nothing_uses_is_a_warning(tmp_path: Path) -> None:
    scenario = mischance.load(WANDER).set({"duration": "1 s", "vary.nosie": 0.2})
    with pytest.warns(UserWarning, match="nosie"):
        scenario.sweep(2, tmp_path / "out", quiet=True)


def test_failed_runs_are_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        "def agent(observation, t):\n    x = observation['truth']['signal']['x'][-1]\n"
        "    return {'push': float('nan') if x < -0.4 else 0.0}\n"
    )
    scenario = mischance.load(WANDER).set({"duration": "2 s"}).without("sensors").with_agent(f"{tmp_path}/odd.py:agent")
    with pytest.warns(UserWarning, match=r"of 12 runs failed, the first of them run \d+: "):
        data = scenario.sweep(12, tmp_path / "out", workers=0, quiet=True)
    assert 0 < len(data.failures) < 12
    assert len(data.runs) == 12 - len(data.failures)
    assert data.probability().undecided == len(data.failures)


def test_tables_probability_and_pictures(tmp_path: Path) -> None:
    data = mischance.load(WANDER).sweep(8, tmp_path / "out", workers=0, quiet=True)
    assert data.runs["run"].tolist() == list(range(8))
    assert data.events.equals(data.table("events"))
    found = data.probability()
    assert (found.count, found.runs) == (int(data.runs["event"].sum()), 8)
    assert str(found) in event_line({"name": "crossing", **found.facts()}, None)
    assert data.preview()._repr_png_().startswith(b"\x89PNG")
    assert data.verify() == []
    assert str(found) in data._repr_html_()
    with pytest.raises(MischanceError, match="shows no positions as it begins"):
        mischance.load(WANDER).preview()


def test_a_run_is_shown_inline_and_its_file_elsewhere(tmp_path: Path) -> None:
    scenario = mischance.load(PLUGINS / "tow.yaml")
    assert scenario.preview(tmp_path / "start.png")._repr_png_().startswith(b"\x89PNG")
    data = scenario.sweep(2, tmp_path / "out", workers=0, quiet=True)
    shown = data.replay(1)
    assert shown.same
    assert str(shown).splitlines() == [shown.again and shown.again.text(), str(tmp_path / "out.run1.html")]
    page = shown._repr_html_()
    assert page.count("<iframe") == 1
    assert 'sandbox="allow-scripts"' in page  # it may play, and reach nothing of the notebook's
    assert "&lt;script" in page
    assert "<script" not in page
    assert data.verify() == []  # nothing was written into it
    assert data.replay(0, compare=False, out=tmp_path / "zero.html").same is None


def test_progress_is_one_line() -> None:
    now = Progress(done=3, failed=1, total=1000, events=0, seconds=2.0, rate=2.0, left=498.0)
    assert progress_line("x/y", now) == "x/y: 3 of 1,000 runs, 1 failed, 2 runs/s, 498 s left"


SCRIPT = """
import mischance
print("this script runs")
AGENT
scenario = mischance.load(%r).set("duration", "1 s").with_agent(agent)
data = scenario.sweep(6, "out", workers=2, quiet=True)
print(len(data.runs), data.failures)
"""


def test_a_script_needs_no_guard_for_workers(tmp_path: Path) -> None:
    text = SCRIPT % str(WANDER)
    function = "def agent(observation, t):\n    return {'push': 0.1}"
    (tmp_path / "script.py").write_text(text.replace("AGENT", function))
    (tmp_path / "planner.py").write_text(function)
    typed = text.replace("AGENT", "agent = 'planner.py:agent'").replace('"out"', '"typed"')
    for how in (["script.py"], ["-c", typed]):
        done = subprocess.run([sys.executable, *how], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stdout == "this script runs\n6 {}\n", done.stderr


TYPED = """
from collections.abc import Mapping
from typing import Any
import mischance

def drive(observation: Mapping[str, Any], t: float) -> dict[str, float]:
    return {"acceleration": -1.0}

scenario = mischance.load("driving/cut_in").set("vary.gap", "6 m").set({"duration": 3}).with_agent(drive).with_seed(3)
data = scenario.sweep(500, workers=2)
low: float | None = data.probability().low
print(data.runs["event"].mean(), data.replay(17).path, data.preview().path, low, data.failures[3].upper())
reveal_type(scenario)
reveal_type(data.runs)
reveal_type(mischance.open("x").table("y"))
"""


@pytest.mark.slow  # pyright takes 10 s
def test_programs_are_typed(tmp_path: Path) -> None:
    (tmp_path / "typed.py").write_text(TYPED)
    config = {"typeCheckingMode": "strict", "reportUnknownMemberType": False, "extraPaths": [str(ROOT)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "typed.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert 'Type of "scenario" is "Scenario"' in done.stdout
    assert done.stdout.count('is "DataFrame"') == 2
