"""The agents that docs/agents.md shows are agents: the function, the class, and the class that answers in columns."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from mischance.language import catalog
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.player import play
from mischance.play.sampling import draw
from tests.support import digests, rows_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "agents.md"
RUNS = np.arange(2)


@pytest.fixture
def driven(tmp_path: Path) -> dict[str, Scenario]:
    """Return agent -> a scenario that it drives; each is found as a user's own file is."""
    blocks = re.findall(r"^```\{code-block\} python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    function, plain, columns = blocks
    head, line = plain.rstrip().rsplit("\n", 1)
    assert line.lstrip().startswith("return ")
    texts = {"brake": function, "Brake": plain, "Brake in columns": f"{head}\n{columns}"}
    found = {}
    for name, text in texts.items():
        path = tmp_path / f"{name.replace(' ', '_')}.py"
        path.write_text(text, encoding="utf-8")
        kind = f"{path}:{name.split()[0]}"
        assert catalog.find("agents", kind)
        found[name] = load("driving/cut_in:critical", {"agent": json.dumps({"kind": kind}), "sensors": "{}"})
    return found


def test_function_and_class_drive_the_same_runs_and_brake(driven: dict[str, Scenario]):
    draws = draw(driven["brake"], RUNS)
    first = digests(driven["brake"], draws)
    assert digests(driven["Brake"], draws) == first
    assert digests(driven["Brake in columns"], draws) == first
    records = list(play(driven["Brake"], draws))[:-1]
    for i in RUNS:
        rows = rows_of(records, "truth/actors", int(i))
        codes = records[0].tables["truth/actors"].schema["actor"].names
        speed = rows["speed"][rows["actor"] == codes.index("ego")]
        assert speed[0] - speed.min() > 3.0  # m/s; the scenario's own driver may do otherwise, this one brakes


def test_a_run_of_the_class_does_not_depend_on_its_neighbours(driven: dict[str, Scenario]):
    scenario = driven["Brake"]
    assert digests(scenario, draw(scenario, [1]))[1] == digests(scenario, draw(scenario, RUNS))[1]
