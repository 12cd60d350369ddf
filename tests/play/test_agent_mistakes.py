"""A user's agent that prints, fails, hangs or is misspelt: what is said of it, and where."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from mischance.api.phases import Phase
from mischance.api.tables import Column
from mischance.cli import console as face
from mischance.errors import CatalogError
from mischance.language import catalog
from mischance.play.twins import _differ
from mischance.sweep.progress import Progress
from tests.shell import mischance, refused

WANDER = Path(__file__).parents[1] / "plugins" / "wander.yaml"
AGENTS = """\
import os
from pathlib import Path
import time

print("said at import")


def chatty(observation, t):
    print("said by a function")


def nan(observation, t):
    return {"push": float("nan")}


def moody(observation, t):
    raise ValueError("a bad day" if Path("bad").exists() else "a good day")


def stuck(observation, t):
    time.sleep(60)


class Chatty:
    reads = ("meter",)
    rate = 10.0

    def __init__(self):
        print("said by a class")

    def start(self, draws, streams):
        print("said at the start")

    def act(self, readings, t, live):
        print("said by a class in a turn")
        return [None] * len(live)


class _Hidden:
    pass


chatty.reads = nan.reads = moody.reads = stuck.reads = ("meter",)
"""


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(AGENTS)
    return path


def run(folder: Path, name: str, out: str = "out"):
    agent = f"agent={{kind: mine.py:{name}}}"
    return mischance("run", WANDER, "--set", agent, "--out", out, "--no-preview", cwd=folder)


@pytest.mark.parametrize("name", ["chatty", "Chatty"])
def test_what_an_agent_prints_goes_to_stderr(name: str, agents: Path):
    done = mischance(
        "test", WANDER, "--agent", f"mine.py:{name}", "--runs", "2", "--reference", "", "--set",
        "require={ok: always x < 1 kV}", "--json", cwd=agents.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["passed"] == 2
    words = ["said at import", "said by a function"] if name == "chatty" else ["by a class in a turn", "at the start"]
    assert all(word in done.stderr for word in words)


def test_replay_of_a_run_that_failed_says_that_it_fails_as_before(agents: Path):
    assert run(agents.parent, "nan").returncode == 1
    done = mischance("replay", "out", "0", cwd=agents.parent)
    assert "fails as before: run 0: the agent" in done.stdout
    assert "nan" in done.stdout
    told = done.stderr.splitlines()[-2:]
    assert "fails as before" in told[0]
    assert "same story" not in done.stderr
    assert "agent or the scenario" in told[1]
    assert done.returncode == 1
    found = json.loads(mischance("replay", "out", "0", "--json", cwd=agents.parent).stdout)
    assert (found["verdict"], found["as_before"]) == ("failed", True)


def test_replay_of_a_run_that_fails_otherwise_says_both(agents: Path):
    assert run(agents.parent, "moody").returncode == 1
    (agents.parent / "bad").touch()
    done = mischance("replay", "out", "0", cwd=agents.parent)
    assert done.returncode == 1
    assert "as before" not in done.stdout + done.stderr
    assert "a bad day" in done.stdout
    assert "a good day" in done.stdout


def test_a_function_that_never_returns_has_the_time_limit_of_a_run(agents: Path):
    done = mischance(
        "test", WANDER, "--agent", "mine.py:stuck", "--runs", "1", "--reference", "", "--limit", "1", "--json",
        cwd=agents.parent,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    (case,) = json.loads(done.stdout)["cases"]
    assert "over its time limit: 1 s" in case["reason"]
    assert "in stuck" in case["reason"]
    again = mischance(*case["replay"].split()[1:], "--limit", "2", cwd=agents.parent)
    assert "fails as before: over its time limit: 2 s" in again.stdout
    assert again.returncode == 1


def test_a_long_wait_is_said_once_and_then_ever_more_rarely(capsys: pytest.CaptureFixture[str]):
    look = face.waiting_notes("mine/one", 600.0)
    for second in range(170):
        done = 3 if second >= 5 else 2
        look(Progress(done, 1, 9, 0, float(second), 0.0, None, waiting=(4, 6)))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(";")[0].rpartition("for ")[2] for line in lines] == ["20 s", "40 s", "1 min 20 s", "2 min 40 s"]
    assert lines[0] == (
        "note: mine/one: no run has ended for 20 s; waiting for runs 4 to 6; "
        "the time limit of one run is 600 s (--limit)"
    )
    look(Progress(9, 0, 9, 0, 900.0, 0.0, None, "finishing"))
    look(Progress(9, 0, 9, 0, 990.0, 0.0, None, "finishing"))
    assert not capsys.readouterr().err


def test_what_a_worker_is_busy_with_is_said_once_and_with_what_it_took_the_last_time(
    capsys: pytest.CaptureFixture[str],
):
    look = face.waiting_notes("mine/one", 600.0)
    for second in range(95):
        busy = Phase("compiling the kernels of mine, once", 14.2) if 3 <= second < 60 else None
        look(Progress(0, 0, 9, 0, float(second), 0.0, None, waiting=(0, 0), busy=busy))
    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        "note: mine/one: compiling the kernels of mine, once (about 14 s, as on this machine the last time)"
    )
    assert [line.split(";")[0].rpartition("for ")[2] for line in said[1:]] == ["20 s"]  # since the compile ended
    for second in range(100, 103):  # over before it is worth a word
        look(Progress(1, 0, 9, 0, second, 0.0, None, busy=Phase("loading") if second == 101 else None))
    assert not capsys.readouterr().err


def test_a_name_that_a_file_does_not_have_is_answered_with_those_it_has(agents: Path):
    with pytest.raises(CatalogError, match="no function or class 'nosuch'") as error:
        catalog.find("agents", f"{agents}:nosuch")
    assert error.value.hint == "known: Chatty, chatty, moody, nan, stuck"  # what it imports is not its own
    with pytest.raises(CatalogError, match="no class 'chatty'"):
        catalog.find("sensors", f"{agents}:chatty")


def test_a_program_that_is_not_there_is_one_error_and_no_dataset(tmp_path: Path):
    agent = "agent={kind: program, command: [./nobody]}"
    told = refused(mischance("run", WANDER, "--set", agent, "--out", "out", cwd=tmp_path))
    assert "'./nobody' is not there" in told
    assert not list(tmp_path.iterdir())


def test_infinity_beside_infinity_is_no_difference_and_no_warning():
    mine, its = np.array([np.inf, np.inf, 1.0, np.nan]), np.array([np.inf, 1.0, 1.0005, np.nan])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _differ(mine, its, Column(floor=1e-3)).tolist() == [False, True, False, False]
