"""A user's agent, sensor or world remembers its own run and nothing else, wherever it keeps what it remembers.

Every kind here counts its own turns and never resets the counter. What it tells is known without playing: the number
of its turn (agents), of its reading (sensors) or of its step (worlds), for each run from zero.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import mischance
from mischance.api.runs import Record
from mischance.language.scenario import Scenario
from tests.support import rows_of, wander

PLUGINS = Path(__file__).parents[1] / "plugins"
RUNS = 5
PULL = 1e-6  # of the signal back to zero: next to nothing

# Each counts in another place. All say the number of the turn as the command `push`; `rate` is 5 Hz.
CLASS = """
{before}
class Counting:
    rate = 5.0
    {inside}
    def start(self, draws, streams):
        pass

    def act(self, readings, t, live):
        {count}
        return {answer}
"""
FUNCTION = """
{before}
def counting(observation, t):
    {count}
    return {answer}

counting.rate = 5.0
"""
ROW = '{"push": float(n - 1)}'
COLUMNS = 'Commands(Table.of({"push": Column(unit="V/s")}, [{"push": [float(n - 1)]}]), live)'
API = "from mischance.api.runs import Commands\nfrom mischance.api.tables import Column, Table\n"
KINDS = {
    "function, global": ("counting", FUNCTION, "n = 0", "", "global n; n += 1", ROW),
    "function, default argument": (
        "counting", FUNCTION, "def more(kept=[]):\n    kept.append(1)\n    return len(kept)", "", "n = more()", ROW,
    ),
    "function, attribute": (
        "counting", FUNCTION, "", "", "n = counting.n = getattr(counting, 'n', 0) + 1", ROW,
    ),
    "function, module": ("counting", FUNCTION, "from parts import counter", "", "n = counter.up()", ROW),
    "function, module imported late": (
        "counting", FUNCTION, "", "", "from parts import counter; n = counter.up()", ROW,
    ),
    "function, module of a module": ("counting", FUNCTION, "import outer", "", "n = outer.counter.up()", ROW),
    "class, instance": ("Counting", CLASS, "", "n = 0", "self.n += 1; n = self.n", ROW),
    "class, class": ("Counting", CLASS, "", "n = 0", "Counting.n += 1; n = self.n", ROW),
    "class, global": ("Counting", CLASS, "n = 0", "", "global n; n += 1", ROW),
    "class, module": ("Counting", CLASS, "from parts import counter", "", "n = counter.up()", ROW),
    "class, columns": ("Counting", CLASS, API + "n = 0", "", "global n; n += 1", COLUMNS),
}  # fmt: skip


def written(folder: Path, name: str) -> str:
    """Write the agent of a kind and the modules that it imports; return its name for a scenario."""
    attribute, text, before, inside, count, answer = KINDS[name]
    (folder / "parts").mkdir()
    (folder / "parts" / "__init__.py").write_text("")
    (folder / "parts" / "counter.py").write_text("n = 0\n\n\ndef up():\n    global n\n    n += 1\n    return n\n")
    (folder / "outer.py").write_text("import parts.counter as counter\n")
    source = text.replace("{before}", before).replace("{inside}", inside)
    source = source.replace("{count}", count).replace("{answer}", answer)
    (folder / "agent.py").write_text(source)
    return f"{folder / 'agent.py'}:{attribute}"


def driven_by(agent: str, **changes: str) -> Scenario:
    """Return two seconds of the tests' signal without noise, pushed by that agent."""
    return wander(
        agent=f'{{kind: "{agent}"}}', sensors="{}", faults="[]", vary__noise="0", simulator__pull=str(PULL),
        simulator__limit="1e9", duration="2 s", **changes,
    )  # fmt: skip


def pushes(records: list[Record]) -> dict[int, list[int]]:
    """Return run -> the numbers that were pushed, in order, without repeats."""
    found = {}
    for i, run in enumerate(records[0].runs):
        x = rows_of(records, "truth/signal", i)["x"]
        steps = np.rint((x[1:] - x[:-1]) * 100.0 + PULL * x[:-1]).astype(int)
        found[int(run)] = [
            int(steps[0]),
            *(int(now) for last, now in itertools.pairwise(steps) if now != last),
        ]
    return found


@pytest.mark.parametrize("name", KINDS)
def test_the_memory_of_an_agent_is_that_of_its_run(name, tmp_path):
    counted = driven_by(written(tmp_path, name))
    draws = mischance.draw(counted, range(RUNS))
    together = pushes(list(mischance.play(counted, draws)))
    expected = list(range(10))  # at 0, 0.2 … 1.8 s
    assert together == dict.fromkeys(range(RUNS), expected)
    assert pushes(list(mischance.play(counted, [draws[3]]))) == {3: expected}
    assert pushes(list(mischance.play(counted, list(reversed(draws))))) == together


def test_modules_of_an_agent_leave_no_trace_in_the_process(tmp_path):
    counted = driven_by(written(tmp_path, "function, module imported late"))
    paths = list(sys.path)
    list(mischance.play(counted, mischance.draw(counted, range(2))))
    assert not any(name == "parts" or name.startswith("parts.") for name in sys.modules)
    assert sys.path == paths


SENSOR = """
import numpy as np

n = 0

class Counter:
    def start(self, name, draws, streams):
        self.runs = len(draws)

    def read(self, chunk, renderer):
        global n
        n += len(chunk.events)
        from mischance.api.runs import Reading
        k = chunk.ticks(10.0)
        counted = [n + np.arange(len(k), dtype=float).reshape(-1, 1)] * self.runs
        return Reading.of(k / 10.0, counted, names=("x",))

    def labels(self):
        from mischance.api.tables import LABELS, Table
        return Table.empty(LABELS, self.runs)
"""


def test_the_memory_of_a_sensor_is_that_of_its_run(tmp_path):
    (tmp_path / "sensor.py").write_text(SENSOR.replace("len(chunk.events)", "1"))
    counted = wander(sensors=f'{{count: {{kind: "{tmp_path}/sensor.py:Counter"}}}}', agent="null", faults="[]")
    draws = mischance.draw(counted, range(RUNS))
    together = list(mischance.play(counted, draws))
    alone = list(mischance.play(counted, [draws[3]]))
    first = rows_of(alone, "sensors/count")["x"]
    assert len(first) > 10
    assert first[0] == 1.0  # its first reading: nobody had counted before
    np.testing.assert_array_equal(rows_of(together, "sensors/count", 3)["x"], first)
    np.testing.assert_array_equal(rows_of(together, "sensors/count", 0)["x"][:11], first[:11])


def counting_world(folder: Path) -> str:
    """Write the tests' world, one run at a time; what its class counts in each start raises the limit."""
    text = (
        (PLUGINS / "drift.py").read_text().replace("    batch: ClassVar[int] = 16\n", "    starts: ClassVar[int] = 0\n")
    )
    text = text.replace(
        "        self._k = 0\n", "        Drift.starts += 1\n        self._limit += self.starts\n        self._k = 0\n"
    )
    (folder / "counting.py").write_text(text)
    return str(folder / "counting.py")


def test_the_memory_of_a_world_is_that_of_its_run(tmp_path):
    counting = counting_world(tmp_path)

    def peaks(kind: str, limit: float, runs: list[int]) -> list[float]:
        """Return the highest value of each run, whose signal rises to the limit and ends there."""
        rising = wander(
            simulator=f'{{kind: "{kind}:Drift", limit: {limit}, noise: $noise}}', sensors="{}", agent="null",
            faults="[{target: plant, kind: drift, severity: 20}]",
        )  # fmt: skip
        records = [record for record in mischance.play(rising, mischance.draw(rising, runs)) if record.last]
        return [float(peak) for record in records for peak in record.tables["runs"].columns["peak"]]

    expected = peaks(str(PLUGINS / "drift.py"), 2.0, list(range(RUNS)))
    assert all(2.0 < peak < 3.0 for peak in expected)
    assert peaks(counting, 1.0, list(range(RUNS))) == expected
    assert peaks(counting, 1.0, [3]) == [expected[3]]


def test_the_memory_of_one_of_several_worlds_is_that_of_its_run(tmp_path):
    counting = counting_world(tmp_path)

    def peaks(kind: str, limit: float, runs: list[int]) -> list[float]:
        """Return the highest value of the first of two worlds in each run; it rises to the limit and ends there."""
        text = (
            f"mischance: 1\nname: tests/two\nduration: 4 s\nseed: 3\nvary: {{noise: {{uniform: [0.01, 0.1]}}}}\n"
            f"worlds:\n  a: {{kind: '{kind}:Drift', limit: {limit}, noise: $noise}}\n"
            f"  b: {{kind: '{PLUGINS / 'drift.py'}:Drift', limit: 1.5}}\n"
            "faults: [{target: a.plant, kind: drift, severity: 20}]\n"
        )
        (tmp_path / "two.yaml").write_text(text)
        two = mischance.load(tmp_path / "two.yaml")
        records = [record for record in mischance.play(two, mischance.draw(two, runs)) if record.last]
        return [float(peak) for record in records for peak in record.tables["runs"].columns["a_peak"]]

    expected = peaks(str(PLUGINS / "drift.py"), 2.0, list(range(RUNS)))
    assert all(2.0 < peak < 3.0 for peak in expected)
    assert len(set(expected)) == RUNS
    assert peaks(counting, 1.0, list(range(RUNS))) == expected
    assert peaks(counting, 1.0, [3]) == [expected[3]]


@pytest.mark.parametrize("number", ["random.random()", "np.random.rand()"])
def test_what_runs_draw_from_the_standard_generators_is_their_own(number, tmp_path):
    (tmp_path / "agent.py").write_text(
        f"import random\nimport numpy as np\n\n\ndef drive(observation, t):\n    return {{'push': 1000 * {number}}}\n"
    )
    drawn = driven_by(f"{tmp_path / 'agent.py'}:drive")
    draws = mischance.draw(drawn, range(RUNS))
    outside = np.random.get_state()[1].sum()  # noqa: NPY002
    together = pushes(list(mischance.play(drawn, draws)))
    assert np.random.get_state()[1].sum() == outside  # noqa: NPY002  # ours is left alone
    assert len({tuple(own) for own in together.values()}) == RUNS
    assert pushes(list(mischance.play(drawn, [draws[2]]))) == {2: together[2]}
