"""The sensor that docs/architecture.md shows is a sensor, and its table of protocols is true."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from mischance.api.protocols import Agent, Declared, Renderer, Sensor, Simulator, Writer
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault
from mischance.api.scene import Motion
from mischance.api.tables import EVENTS, Table
from mischance.language import catalog

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"


@pytest.fixture
def plugin(tmp_path: Path) -> type:
    """Return the class of the page's one long Python block, found as a user's own file is."""
    (source,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "speedometer.py").write_text(source, encoding="utf-8")
    return catalog.find("sensors", "speedometer.py:Speedometer", tmp_path)


def chunk(start: float, end: float, speeds: tuple[float, ...]) -> Chunk:
    """Return truth of bodies that go straight on at constant speed, in steps of 0.01 s."""
    k = np.arange(round(start * 100), round(end * 100) + 1)
    velocity = np.zeros((len(speeds), len(k), 1, 6))
    velocity[:, :, 0, 0] = np.array(speeds)[:, None]
    runs = len(speeds)
    motion = Motion(("ego",), k / 100, np.zeros((runs, len(k), 1, 7)), velocity)
    return Chunk(start, end, np.full(runs, end), np.zeros(runs, bool), Table.empty(EVENTS, runs), motion=motion)


def readings(plugin: type, cuts: list[float], draws: list[Draw], speeds: tuple[float, ...]) -> list[np.ndarray]:
    sensor = plugin(plugin.Settings(body="ego", rate=33.3, noise=0.2))
    sensor.start("dashboard", draws, [Streams(draw.seed, draw.run) for draw in draws])
    pieces = [sensor.read(chunk(a, b, speeds), None).tables[""] for a, b in zip([0.0, *cuts[:-1]], cuts, strict=True)]
    return [np.concatenate([piece.run(i)["speed"] for piece in pieces]) for i in range(len(draws))]


def test_it_reads_the_speed_on_average(plugin: type):
    (speed,) = readings(plugin, [0.0, 60.0], [Draw(7, 0)], (20.0,))
    assert len(speed) == 1 + int(60 * 33.3)
    assert abs(speed.mean() - 20.0) < 4 * 0.2 / len(speed) ** 0.5


def test_neighbours_and_cuts_change_nothing(plugin: type):
    both = readings(plugin, [0.0, 0.37, 1.01, 5.0], [Draw(7, 3), Draw(7, 4)], (20.0, 30.0))
    (alone,) = readings(plugin, [0.0, 5.0], [Draw(7, 4)], (30.0,))
    assert np.array_equal(both[1], alone)


def test_the_fault_acts_from_its_onset_and_is_labelled(plugin: type):
    fault = Fault("fault:0", "sensors.dashboard", "gain", 2.0, 4.0, 0.15)
    (healthy,) = readings(plugin, [0.0, 5.0], [Draw(7, 0)], (20.0,))
    (faulty,) = readings(plugin, [0.0, 5.0], [Draw(7, 0, faults=(fault,))], (20.0,))
    t = np.arange(len(healthy)) / 33.3
    inside = (t >= 2.0) & (t < 4.0)
    assert np.array_equal(healthy[~inside], faulty[~inside])
    assert np.allclose(faulty[inside] - healthy[inside], 20.0 * 0.15)
    sensor = plugin(plugin.Settings(body="ego"))
    sensor.start("dashboard", [Draw(7, 0, faults=(fault,))], [Streams(7, 0)])
    assert sensor.labels().run(0)["causes"].tolist() == ['["fault:0"]']


@pytest.mark.parametrize("protocol", [Simulator, Sensor, Renderer, Agent, Writer])
def test_the_table_of_protocols_names_their_methods(protocol: type):
    rows = dict(re.findall(r"^\| `(\w+)` \| (`.*?) \| .* \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    shown = set(re.findall(r"`(\w+)`", rows[protocol.__name__]))
    methods = {name for name in vars(protocol) if not name.startswith("_")} - {"Settings"}
    declared = {field.name for field in fields(Declared)}
    assert methods <= shown, f"the page lacks {methods - shown}"
    assert shown <= methods | declared, f"the page has {shown - methods - declared}"
