"""Agents that are objects of a Python program play as the same text does in a file, and are recorded honestly.

Every agent here counts its turns and pushes by their number, so one that remembered another run would push harder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import mischance
from mischance.errors import MischanceError
from tests.scripting.session import cell
from tests.shell import mischance as command
from tests.support import PLUGINS

RUNS = 4
FILE = """
n = 0
def counting(observation, t):
    global n
    n += 1
    return {"push": 0.1 * n}
counting.rate = 5.0
"""
OBJECTS = {
    "function": FILE.replace("def counting", "def agent").replace("counting.rate", "agent.rate"),
    "closure": """
def make(gain, turns):
    def agent(observation, t):
        turns.append(t)
        return {"push": gain * len(turns)}
    agent.rate = 5.0
    return agent
agent = make(0.1, [])
""",
    "lambda": "turns = []\nagent = lambda o, t: turns.append(t) or {'push': 0.1 * len(turns)}\nagent.rate = 5.0\n",
    "class": """
class agent:
    rate = 5.0
    def start(self, draws, streams):
        self.n = 0
    def act(self, readings, t, live):
        self.n += 1
        return [{"push": 0.1 * self.n}]
""",
    "object": """
class Counter:
    rate = 5.0
    def __init__(self):
        self.n = 0
    def __call__(self, observation, t):
        self.n += 1
        return {"push": 0.1 * self.n}
agent = Counter()
""",
    "closure over an object": """
class Memory:
    n = 0
def make(memory):
    def agent(observation, t):
        memory.n += 1
        return {"push": 0.1 * memory.n}
    agent.rate = 5.0
    return agent
agent = make(Memory())
""",
}  # fmt: skip
KEPT = ("function", "closure", "lambda", "class")


def wander() -> mischance.Scenario:
    return mischance.load(PLUGINS / "wander.yaml").set({"duration": "3 s", "faults": [], "write": ["parquet"]})


@pytest.fixture(scope="module")
def by_file(tmp_path_factory: pytest.TempPathFactory) -> mischance.Dataset:
    folder = tmp_path_factory.mktemp("file")
    (folder / "counting.py").write_text(FILE)
    return wander().with_agent(f"{folder}/counting.py:counting").sweep(RUNS, folder / "out", workers=0, quiet=True)


def swept(kind: str, out: Path) -> mischance.Dataset:
    agent = cell(OBJECTS[kind])["agent"]
    if kind not in KEPT:
        with pytest.warns(UserWarning, match="cannot be kept in a dataset"):
            scenario = wander().with_agent(agent)
    else:
        scenario = wander().with_agent(agent)
    return scenario.sweep(RUNS, out, workers=0, quiet=True)


@pytest.mark.parametrize("kind", OBJECTS)
def test_it_plays_as_the_same_text_in_a_file(kind: str, by_file: mischance.Dataset, tmp_path: Path) -> None:
    data = swept(kind, tmp_path / "out")
    assert data.table("signal").equals(by_file.table("signal"))
    assert mischance.replay(data.path, RUNS - 1).identical
    assert float(data.table("signal")["x"].abs().max()) > 1.0  # it is pushed


@pytest.mark.parametrize("kind", ["lambda", "class"])
def test_what_has_a_source_replays_elsewhere(kind: str, tmp_path: Path) -> None:
    data = swept(kind, tmp_path / "out")
    shutil.move(data.path, tmp_path / "moved")
    done = command("replay", "moved", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "run 1: identical" in done.stdout
    card = (tmp_path / "moved" / "README.md").read_text()
    assert "`inputs/agent.py`: Agent of a Python session, written down by mischance" in card


def test_what_has_none_says_so_in_the_dataset_and_elsewhere(tmp_path: Path) -> None:
    data = swept("closure over an object", tmp_path / "out")
    card = (data.path / "README.md").read_text()
    why = "it refers to 'memory', a __main__.Memory, which has no source text"
    assert f"`inputs/agent.py`: Stands for an agent of a Python session that cannot be kept: {why}." in card
    done = command("replay", "out", "1", cwd=tmp_path)
    assert done.returncode == 1
    assert "belongs to the Python session that made this dataset" in done.stdout
    assert why in done.stdout
    script = "import mischance; d = mischance.open('out'); print(len(d.runs), d.probability().runs)"
    read = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert read.stdout == f"{RUNS} {RUNS}\n", read.stderr


def test_what_cannot_leave_the_process_asks_for_no_workers(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="cannot be kept"):
        scenario = wander().with_agent(cell(OBJECTS["object"])["agent"])
    with pytest.raises(MischanceError, match="cannot leave this process") as caught:
        scenario.sweep(RUNS, tmp_path / "out", workers=2)
    assert "leave `workers` out" in caught.value.hint


def test_what_is_no_agent_is_refused() -> None:
    lock = threading.Lock()
    text = "def agent(observation, t):\n    with lock:\n        return None\n"
    with pytest.raises(MischanceError, match=r"neither written down nor copied: it refers to 'lock', a _thread.lock"):
        wander().with_agent(cell(text, lock=lock)["agent"])
    with pytest.raises(MischanceError, match="an agent is a function, a class or a name, not 3"):
        wander().with_agent(3)  # type: ignore[arg-type]
    with pytest.raises(MischanceError, match="asked as f"):
        wander().with_agent(cell("def agent(observation):\n    return None\n")["agent"])
    with pytest.raises(MischanceError, match="has no start"):
        wander().with_agent(cell("class agent:\n    def act(self, r, t, live):\n        return [None]\n")["agent"])


def test_a_function_of_a_module_is_named_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_planner.py").write_text(FILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import a_planner  # type: ignore[import-not-found]

    scenario = wander().with_agent(a_planner.counting)
    assert "a_planner.py" in [path.name for path in scenario.files.values()]
    assert scenario.agent is not None
    assert scenario.agent.kind.endswith("a_planner.py:counting")


def test_settings_are_checked() -> None:
    text = """
from pydantic import BaseModel
class agent:
    class Settings(BaseModel, extra="forbid"):
        gain: float = 1.0
    def __init__(self, settings):
        self.settings = settings
    def start(self, draws, streams):
        pass
    def act(self, readings, t, live):
        return [{"push": self.settings.gain}]
"""
    agent = cell(text)["agent"]
    scenario = wander().with_agent(agent, gain=2)
    assert scenario.agent is not None
    assert scenario.agent.settings.gain == 2.0  # type: ignore[attr-defined]
    with pytest.raises(MischanceError, match=r"agent.gian.*did you mean 'gain'"):
        wander().with_agent(agent, gian=2)
