"""A simulator, sensor, renderer, writer, agent or scenario is added by one file: in another package, or named by path.

Each plug-in leaves a trace where it is imported, so that the tests see who imported it: listing must not.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.shell import content, mischance, refused

DRIFT = Path(__file__).parent / "plugins" / "drift.py"
TRACE = "import os, pathlib\npathlib.Path(os.environ['TRACE']).touch()\n"

METRONOME = '''"""A metronome: ticks ten times a second."""
import numpy as np
from pydantic import BaseModel, Field
from mischance.api.runs import Chunk
from mischance.api.tables import EVENTS, LABELS, Column, Table
import os, pathlib
pathlib.Path(os.environ["TRACE"]).touch()

OUT = {"beats": Column(), "event": Column("bool"), "margin": Column(), "verdict": Column("text"),
       "reason": Column("text")}

class Metronome:
    class Settings(BaseModel, extra="forbid", frozen=True):
        start: int = Field(0, description="number of the first beat")
    measures = {"beats": OUT["beats"]}
    def __init__(self, settings):
        self.settings = settings
    def start(self, draws, streams):
        self.k, self.runs = 0, len(draws)
        return self._chunk(0.0, [0])
    def advance(self, until, commands):
        start, first = self.k / 10, self.k
        while (self.k + 1) / 10 <= until:
            self.k += 1
        return self._chunk(start, range(first + 1, self.k + 1))
    def _chunk(self, start, ks):
        k = np.array(list(ks), np.int64)
        beat = {"t": Column(unit="s"), "n": Column("int64")}
        rows = [{"t": k / 10, "n": k + self.settings.start} for _ in range(self.runs)]
        return Chunk(start, self.k / 10, np.full(self.runs, self.k / 10), np.zeros(self.runs, bool),
                     Table.empty(EVENTS, self.runs), {"beat": Table.of(beat, rows)})
    def outcome(self):
        row = {"beats": [float(self.k)], "event": [False], "margin": [1.0], "verdict": ["kept"], "reason": ["time"]}
        return Table.of(OUT, [row] * self.runs), Table.empty(LABELS, self.runs)
    def close(self):
        pass
'''

LISTENER = '''"""A listener: hears the signal's sign."""
import numpy as np
from mischance.api.runs import Reading
from mischance.api.tables import LABELS, Column, Table
import os, pathlib
pathlib.Path(os.environ["TRACE"]).touch()

class Listener:
    def start(self, name, draws, streams):
        self.runs = len(draws)
    def read(self, chunk, renderer):
        rows = [{"t": r["t"], "loud": np.abs(r["x"])} for r in map(chunk.tables["signal"].run, range(self.runs))]
        return Reading({"": Table.of({"t": Column(unit="s"), "loud": Column(unit="V")}, rows)})
    def labels(self):
        return Table.empty(LABELS, self.runs)
'''

FLAT = '''"""A flat world: every pixel is grey, at two metres."""
import numpy as np
from mischance.api.scene import Frames
import os, pathlib
pathlib.Path(os.environ["TRACE"]).touch()

class Flat:
    def draw(self, scene, t, pose, camera):
        width, height = camera.size
        made = {"rgb": lambda: np.full((len(t), height, width, 3), 77, np.uint8),
                "depth": lambda: np.full((len(t), height, width), 2.0, np.float32),
                "instance": lambda: np.zeros((len(t), height, width), np.uint16)}
        return Frames(t, {name: made[name]() for name in camera.passes})
    def close(self):
        pass
'''

TALLY = '''"""A tally: writes for each run how many rows it had."""
import json
import os, pathlib
pathlib.Path(os.environ["TRACE"]).touch()

class Tally:
    def __init__(self, settings, folder):
        self.folder, self.rows = folder, {}
    def write(self, record):
        for i, run in enumerate(record.runs.tolist()):
            rows = sum(len(table.run(i)["t"]) for name, table in record.tables.items() if name == "truth/signal")
            self.rows[run] = self.rows.get(run, 0) + rows
    def close(self):
        for run, rows in self.rows.items():
            path = self.folder / "tally" / f"{run:06d}" / "rows.json"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(rows))
'''

PUSHER = '''"""A pusher: asks for five volts a second, whatever it sees."""
from mischance.api.runs import Commands
from mischance.api.tables import Column, Table
import os, pathlib
pathlib.Path(os.environ["TRACE"]).touch()

class Pusher:
    reads = ()
    def start(self, draws, streams):
        pass
    def act(self, readings, t, live):
        rows = [{"push": [5.0]} if alive else {} for alive in live]
        return Commands(Table.of({"push": Column(unit="V/s")}, rows), live)
'''

SCENARIO = f"""mischance: 1
name: signals/steady
about: A signal without noise that nobody pushes.
tags: [tests]
seed: 5
duration: 1 s
simulator: {{kind: "{DRIFT}:Drift", noise: 0, limit: 100}}
"""


@dataclass(frozen=True)
class Part:
    """One plug-in to add: where it belongs, its text, what to change in a scenario to use it, what to see then."""

    room: str
    name: str
    text: str
    change: str
    scenario: str = ""

    @property
    def about(self) -> str:
        """The first line of its text, which `list` shows."""
        return self.text.splitlines()[0].strip('"')

    def changes(self, kind: str) -> list[str]:
        """Return the options that put it to use under that name."""
        return ["--set", self.change.replace("KIND", json.dumps(kind))]


PARTS = [
    Part("simulators", "metronome", METRONOME, "simulator={kind: KIND, start: 40}"),
    Part("sensors", "listener", LISTENER, "sensors={ear: {kind: KIND}}"),
    Part("writers", "tally", TALLY, "write=[parquet, {kind: KIND}]"),
    Part("agents", "pusher", PUSHER, "agent={kind: KIND}"),
    Part("renderers", "flat", FLAT, "sensors.front.renderer=KIND", "driving/cut_in"),
]


def by_room(*quick: str) -> list[Any]:
    """Return the parts as parameters of a test; those of other rooms than `quick` are slow."""
    return [pytest.param(part, id=part.room, marks=[] if part.room in quick else [pytest.mark.slow]) for part in PARTS]


def rows(out: Path, table: str) -> dict[str, list]:
    return pq.read_table(next((out / table).glob("*.parquet"))).to_pydict()


def seen(part: Part, out: Path) -> None:
    """Check that the dataset shows what the plug-in did."""
    if part.room == "simulators":
        assert rows(out, "truth/beat")["n"] == list(range(40, 51))
        assert rows(out, "runs")["beats"] == [10.0]
    elif part.room == "sensors":
        assert rows(out, "sensors/ear")["loud"] == [0.0] * 101
    elif part.room == "writers":
        assert json.loads((out / "tally" / "000000" / "rows.json").read_text()) == 101
    elif part.room == "agents":
        # dx/dt = 5 - x from 0, in Euler steps of 0.01 s: x(1 s) = 5 (1 - 0.99**100); nobody pushed it otherwise
        assert rows(out, "truth/signal")["x"][-1] == pytest.approx(5 * (1 - 0.99**100), abs=1e-9)
    else:
        import cv2

        image = cv2.imread(str(out / "sensors" / "front" / "frames" / "000000000" / "000000000.png"))
        assert image.shape == (48, 64, 3)
        assert (image == 77).all()


def arguments(part: Part, kind: str, scenario: Path, out: Path) -> list[str]:
    small = ["--set", "sensors.front.size=[64,48]", "--set", "duration=0.5 s"] if part.scenario else []
    return ["run", part.scenario or str(scenario), *part.changes(kind), *small, "--no-preview", "--out", str(out)]


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "steady.yaml"
    path.write_text(SCENARIO)
    return path


def distribution(folder: Path, groups: dict[str, str], files: dict[str, str]) -> dict[str, str]:
    """Make a package as an installer leaves it, and return the environment in which it is installed."""
    package, info = folder / "tempo", folder / "tempo-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tempo\nVersion: 1.0\n")
    points = "".join(f"[mischance.{group}]\n{point}\n" for group, point in groups.items())
    (info / "entry_points.txt").write_text(points)
    for name, text in {"__init__.py": TRACE, **files}.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {"PYTHONPATH": str(folder), "TRACE": str(folder / "imported")}


def listed(room: str, env: dict[str, str]) -> dict[str, dict]:
    done = mischance("list", room, "--json", env=env)
    assert done.returncode == 0, done.stderr
    return {entry["name"]: entry for entry in json.loads(done.stdout)}


@pytest.mark.parametrize("part", by_room("simulators", "agents"))
def test_one_file_in_another_package_is_listed_and_usable(part: Part, tmp_path: Path, scenario: Path):
    point = f"{part.name} = tempo.{part.name}:{part.name.title()}"
    env = distribution(tmp_path / "site", {part.room: point}, {f"{part.name}.py": part.text})
    entry = listed(part.room, env)[part.name]
    assert (entry["about"], entry["origin"]) == (part.about, "tempo")
    assert not Path(env["TRACE"]).exists(), "listing reads text and imports nothing"
    out = tmp_path / "out"
    done = mischance(*arguments(part, part.name, scenario, out), env=env)
    assert done.returncode == 0, done.stderr
    assert Path(env["TRACE"]).exists(), "the trace shows an import where there is one"
    seen(part, out)
    assert mischance("replay", out, "0", "--strict", env=env).returncode == 0


@pytest.mark.parametrize("part", by_room("sensors", "writers", "renderers"))
def test_one_file_named_by_its_path_goes_into_the_dataset(part: Part, tmp_path: Path, scenario: Path):
    own = tmp_path / "own"
    own.mkdir()
    file = own / f"{part.name}.py"
    file.write_text(part.text)
    env = {"TRACE": str(tmp_path / "imported")}
    out = tmp_path / "out"
    done = mischance(*arguments(part, f"{file}:{part.name.title()}", scenario, out), env=env)
    assert done.returncode == 0, done.stderr
    seen(part, out)
    assert (out / "inputs" / file.name).read_text() == part.text
    text = (out / "scenario.yaml").read_text()
    assert str(tmp_path) not in text, "a dataset names no folder of the machine that made it"
    shutil.rmtree(own)
    moved = shutil.move(out, tmp_path / "moved")
    again = mischance("replay", moved, "0", "--strict", env=env)
    assert again.returncode == 0, again.stdout + again.stderr
    assert mischance("verify", moved).returncode == 0


def test_a_module_may_stand_for_its_class(tmp_path: Path, scenario: Path):
    env = distribution(tmp_path / "site", {"agents": "pusher = tempo.pusher"}, {"pusher.py": PUSHER})
    out = tmp_path / "out"
    done = mischance(*arguments(PARTS[3], "pusher", scenario, out), env=env)
    assert done.returncode == 0, done.stderr
    seen(PARTS[3], out)


def test_one_scenario_file_in_another_package_is_listed_and_usable(tmp_path: Path):
    files = {"scenes/signals/steady.yaml": SCENARIO.replace("[tests]", "[dull]")}
    env = distribution(tmp_path / "site", {"scenarios": "tempo = tempo.scenes"}, files)
    entry = listed("scenarios", env)["signals/steady"]
    assert (entry["about"], entry["tags"]) == ("A signal without noise that nobody pushes.", ["dull"])
    tagged = json.loads(mischance("list", "--tag", "dull", "--json", env=env).stdout)
    assert [entry["name"] for entry in tagged] == ["signals/steady"]
    assert not Path(env["TRACE"]).exists()
    for source in ("signals/steady", str(tmp_path / "site" / "tempo" / "scenes" / "signals" / "steady.yaml")):
        out = tmp_path / f"out{len(source)}"
        done = mischance("run", source, "--no-preview", "--out", out, env=env)
        assert done.returncode == 0, done.stderr
        assert rows(out, "truth/signal")["x"] == [0.0] * 101
    copied = mischance("init", "--from", "signals/steady", "mine.yaml", env=env, cwd=tmp_path)
    assert copied.returncode == 0, copied.stderr
    assert mischance("validate", "mine.yaml", cwd=tmp_path).returncode == 0
    assert "did you mean 'signals/steady'?" in refused(mischance("run", "signals/stedy", env=env, cwd=tmp_path))


def test_a_scenario_names_files_from_its_own_folder(tmp_path: Path):
    (tmp_path / "world").mkdir()
    shutil.copy(DRIFT, tmp_path / "world" / "drift.py")
    (tmp_path / "world" / "steady.yaml").write_text(SCENARIO.replace(str(DRIFT), "drift.py"))
    done = mischance("run", "world/steady.yaml", "--no-preview", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "inputs" / "drift.py").is_file()


BROKEN = {
    "a syntax error": ("def broken(:\n", "Pusher", "SyntaxError"),
    "an import that fails": ("import no_such_library\n", "Pusher", "no_such_library"),
    "an error when imported": ("1 / 0\n", "Pusher", "ZeroDivisionError"),
    "a missing method": ("class Pusher:\n    def start(self, draws, streams): pass\n", "Pusher", "Pusher has no act"),
    "a missing class": (PUSHER, "Pushr", "did you mean 'Pusher'?"),
    "something else than a class": (f"{PUSHER}\nPushr = 3\n", "Pushr", "has no function or class 'Pushr'"),
    "settings that are no model": (PUSHER.replace("reads = ()", "reads = ()\n    Settings = 3"), "Pusher", "Settings"),
}


@pytest.mark.parametrize("what", list(BROKEN))
def test_a_broken_plug_in_is_one_line(what: str, tmp_path: Path, scenario: Path):
    text, name, words = BROKEN[what]
    (tmp_path / "pusher.py").write_text(text)
    env = {"TRACE": str(tmp_path / "imported")}
    kind = f"{tmp_path / 'pusher.py'}:{name}"
    done = mischance(*arguments(PARTS[3], kind, scenario, tmp_path / "out"), env=env)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert words in done.stderr
    assert "agent.kind" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_broken_package_spoils_nothing_but_itself(tmp_path: Path, scenario: Path):
    points = {"agents": "pusher = tempo.pusher:Pusher\ngone = tempo.gone:Gone", "sensors": "listener = tempo.listener"}
    files = {"pusher.py": "def broken(:\n", "listener.py": LISTENER}
    env = distribution(tmp_path / "site", points, files)
    agents = listed("agents", env)
    assert {"pusher", "gone", "braking"} <= set(agents)
    for name in ("pusher", "gone"):
        done = mischance(*arguments(PARTS[3], name, scenario, tmp_path / "out"), env=env)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1, done.stderr
    done = mischance(*arguments(PARTS[1], "listener", scenario, tmp_path / "heard"), env=env)
    assert done.returncode == 0, done.stderr
    doctor = mischance("doctor", env=env)
    assert doctor.returncode == 1
    assert "agents/pusher" in doctor.stdout
    assert "agents/gone" in doctor.stdout


def test_an_edited_plug_in_is_another_dataset(tmp_path: Path, scenario: Path):
    file = tmp_path / "pusher.py"
    file.write_text(PUSHER)
    env = {"TRACE": str(tmp_path / "imported")}
    call = arguments(PARTS[3], f"{file}:Pusher", scenario, tmp_path / "out")
    assert mischance(*call, env=env).returncode == 0
    before = content(tmp_path / "out")
    file.write_text(PUSHER.replace("5.0", "6.0"))
    assert "have changed: pusher.py" in refused(mischance(*call, env=env))
    assert content(tmp_path / "out") == before


def test_a_plug_in_of_another_package_never_hides_one_of_ours(tmp_path: Path):
    env = distribution(tmp_path / "site", {"agents": "braking = tempo.pusher:Pusher"}, {"pusher.py": PUSHER})
    assert listed("agents", env)["braking"]["origin"] == "mischance"


def test_a_renderer_that_is_not_there_is_told_before_anything_is_played(tmp_path: Path):
    done = mischance("validate", "driving/cut_in", "--set", "sensors.front.renderer=tinny", cwd=tmp_path)
    assert done.returncode == 2
    assert "sensors.front.renderer: " in done.stderr
    assert "did you mean 'tiny'?" in done.stderr
