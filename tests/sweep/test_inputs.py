"""What a dataset is includes the user's code: all that can change what comes out."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

import mischance
from mischance.errors import DatasetError
from mischance.language.scenario import Scenario
from tests.support import wander

PLANNER = """
import json
from pathlib import Path

from core import gains


def drive(observation, t):
    {late}
    return {{"push": gains.PUSH}}
"""
# What is changed -> the statement that makes the planner depend on it.
PARTS = {
    "core/gains.py": "pass",  # imported by the file
    "core/deeper.py": "pass",  # imported by what it imports
    "core/late.py": "from core import late",  # imported in a function
    "core/computed.py": "import importlib; importlib.import_module('core.' + 'computed')",
    "dynamic.py": "import importlib; importlib.import_module('dyna' + 'mic')",  # no source speaks of it
    "planner.py": "pass",
}


def planner(folder: Path, late: str = "pass") -> str:
    """Write a planner in several files and return its name."""
    (folder / "core").mkdir(parents=True)
    (folder / "planner.py").write_text(PLANNER.format(late=late))
    (folder / "core/__init__.py").write_text("")
    (folder / "core/gains.py").write_text("from core.deeper import PUSH\n")
    (folder / "core/deeper.py").write_text("PUSH = 1.0\n")
    for name in ("core/late.py", "core/computed.py", "dynamic.py"):
        (folder / name).write_text("X = 1\n")
    return f"{folder / 'planner.py'}:drive"


def driven(agent: str) -> Scenario:
    return wander(agent=f'{{kind: "{agent}"}}', sensors="{}", faults="[]", duration="1 s")


@pytest.mark.parametrize("part", PARTS)
def test_a_changed_module_of_the_agent_is_another_dataset(part, tmp_path):
    agent = planner(tmp_path / "code", PARTS[part])
    first = mischance.sweep(driven(agent), 3, tmp_path / "out", workers=0)
    assert first.ok
    assert mischance.sweep(driven(agent), 3, tmp_path / "out", workers=0).fresh == 0
    kept = tmp_path / "out/inputs" / part
    assert kept.read_bytes() == (tmp_path / "code" / part).read_bytes()
    with (tmp_path / "code" / part).open("a") as file:
        file.write("\n# another line\n")
    with pytest.raises(DatasetError, match=f"have changed: {part}"):
        mischance.sweep(driven(agent), 3, tmp_path / "out", workers=0)
    assert part in "".join((tmp_path / "out/manifest.json").read_text())


@pytest.mark.parametrize("late", ["from core import late", PARTS["core/computed.py"], PARTS["dynamic.py"]])
def test_a_dataset_replays_without_the_code_that_it_was_made_by(late, tmp_path):
    agent = planner(tmp_path / "code", late)
    mischance.sweep(driven(agent), 3, tmp_path / "out", workers=0)
    shutil.rmtree(tmp_path / "code")
    (tmp_path / "out").rename(tmp_path / "moved")
    assert mischance.replay(tmp_path / "moved", 1).identical


def test_an_extension_and_a_resumed_sweep_know_modules_that_came_late(tmp_path):
    agent = planner(tmp_path / "code", PARTS["dynamic.py"])
    mischance.sweep(driven(agent), 2, tmp_path / "out", workers=1, shard=2)  # a worker of its own tells of them
    assert mischance.sweep(driven(agent), 4, tmp_path / "out", workers=0).fresh == 2
    whole = tmp_path / "whole"
    mischance.sweep(driven(agent), 4, whole, workers=0, shard=2)
    assert (whole / "manifest.json").read_bytes() == (tmp_path / "out/manifest.json").read_bytes()


def test_a_file_that_the_agent_reads_is_named_and_kept_where_it_is_handed_over(tmp_path):
    gains = tmp_path / "code/gains.json"
    agent = planner(tmp_path / "code", f"json.loads(Path({str(gains)!r}).read_text())")
    gains.write_text("{}")
    found = mischance.sweep(driven(agent), 2, tmp_path / "out", workers=0)
    assert found.opened == (gains,)
    handed = mischance.sweep(driven(agent), 2, tmp_path / "kept", workers=0, inputs=[gains])
    assert handed.opened == ()
    assert (tmp_path / "kept/inputs/gains.json").read_text() == "{}"
    assert "inputs/gains.json" in json.loads((tmp_path / "kept/manifest.json").read_text())["files"]
    gains.write_text('{"a": 1}')
    with pytest.raises(DatasetError, match=r"have changed: gains.json"):
        mischance.sweep(driven(agent), 2, tmp_path / "kept", workers=0, inputs=[gains])


def test_a_file_beside_the_agent_is_found_in_the_dataset(tmp_path):
    agent = planner(tmp_path / "code", "json.loads((Path(__file__).parent / 'data/gains.json').read_text())")
    (tmp_path / "code/data").mkdir()
    (tmp_path / "code/data/gains.json").write_text("{}")
    assert mischance.sweep(driven(agent), 2, tmp_path / "out", workers=0, inputs=[tmp_path / "code/data/gains.json"]).ok
    shutil.rmtree(tmp_path / "code")
    assert mischance.replay(tmp_path / "out", 0).identical


def test_another_program_is_another_dataset(tmp_path):
    program = tmp_path / "driver.sh"
    program.write_text('#!/bin/sh\nread start\nwhile read line; do echo \'{"frame": 0, "commands": null}\'; done\n')
    os.chmod(program, 0o755)
    (tmp_path / "table.txt").write_text("1")
    agent = f'{{kind: program, command: ["{program}", "{tmp_path / "table.txt"}", --fast]}}'
    scenario = wander(agent=agent, sensors="{}", faults="[]", duration="0.05 s")
    mischance.sweep(scenario, 1, tmp_path / "out", workers=0)
    assert {path.name for path in (tmp_path / "out/inputs").iterdir()} >= {"driver.sh", "table.txt"}
    assert mischance.sweep(scenario, 1, tmp_path / "out", workers=0).fresh == 0
    for file in (program, tmp_path / "table.txt"):
        before = file.read_bytes()
        file.write_bytes(before + b"\n")
        with pytest.raises(DatasetError, match=f"have changed: {file.name}"):
            mischance.sweep(scenario, 1, tmp_path / "out", workers=0)
        file.write_bytes(before)


def test_two_modules_of_one_place_are_refused(tmp_path):
    one, other = planner(tmp_path / "one"), planner(tmp_path / "other")
    (tmp_path / "other/core/gains.py").write_text("PUSH = 2.0\n")
    (tmp_path / "other/sensor.py").write_text(
        "from core import gains\nfrom mischance.api.runs import Reading\n"
        "from mischance.api.tables import LABELS, Table\n"
        "class Nothing:\n"
        "    def start(self, name, draws, streams): pass\n"
        "    def read(self, chunk, renderer): return Reading({})\n"
        "    def labels(self): return Table.empty(LABELS, 1)\n"
    )
    del other
    scenario = wander(agent=f'{{kind: "{one}"}}', faults="[]", duration="1 s",
                      sensors=f'{{x: {{kind: "{tmp_path}/other/sensor.py:Nothing"}}}}')  # fmt: skip
    with pytest.raises(mischance.MischanceError, match="would both stand at inputs/core"):
        mischance.sweep(scenario, 1, tmp_path / "out", workers=0)
