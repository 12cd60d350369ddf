"""No label, planned fault, weight, branch or twin reaches the system under test, and no label reaches a sensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from mischance.api.protocols import Renderer, declares
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault, Reading, Record
from mischance.api.tables import BoolArray, Column, Table
from mischance.dataset.digest import RunDigests
from mischance.errors import TruthError
from mischance.language.scenario import PlugIn, Scenario
from mischance.play.player import play
from mischance.play.sampling import draw, twin
from tests.support import wander
from tests.test_contracts import available, few, names, with_certain_faults


class Diary:
    """What reached an agent and the sensors: draws, and the digest of all readings and chunks."""

    def __init__(self, runs: int) -> None:
        self.agent: list[Draw] = []
        self.sensors: dict[str, list[Draw]] = {}
        self.digests = RunDigests(runs)
        self.turns = 0

    def take(self, prefix: str, part: Reading | Chunk) -> None:
        tables = {f"{prefix}/{key}": table for key, table in part.tables.items()}
        tables |= {f"{prefix}/labels/{key}": table for key, table in part.labels.items()}
        runs = next(iter(tables.values())).runs if tables else 1
        self.digests.add(Record(np.arange(runs), 0.0, 0.0, tables))


def watched(scenario: Scenario, diary: Diary, labels: Any = None) -> Scenario:
    """Return the scenario with an agent that only looks, sensors that write down, and other labels of rows."""

    class Looker:
        """Looks at everything, does nothing."""

        reads: ClassVar[tuple[str, ...]] = ("truth", *scenario.sensors)
        rate: ClassVar[float] = 5.0 if scenario.duration < 1000 else 1e-3
        batch: ClassVar[int] = 16

        def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
            """Write down the draws."""
            diary.agent += draws

        def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> list[None]:
            """Write down the readings."""
            diary.turns += 1
            for name, reading in readings.items():
                assert not reading.labels
                assert not reading.label_frames
                diary.take(f"agent/{name}", reading)
            return [None] * len(live)

    def spied(plugin: PlugIn) -> PlugIn:
        base: Any = plugin.cls

        class Spied(base):  # type: ignore[misc]
            def start(self, name: str, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
                diary.sensors.setdefault(name, []).extend(draws)
                super().start(name, draws, streams)

            def read(self, chunk: Chunk, renderer: Renderer | None) -> Reading:
                assert not chunk.labels
                return super().read(chunk, renderer)  # type: ignore[no-any-return]

        Spied.__module__ = base.__module__
        return replace(plugin, cls=Spied)

    world: Any = scenario.simulator.cls

    class Told(world):  # type: ignore[misc]
        def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
            chunk: Chunk = super().start(draws, streams)
            return replace(chunk, labels=labels(chunk.labels)) if labels else chunk

        def advance(self, until: float, commands: Any) -> Chunk:
            chunk: Chunk = super().advance(until, commands)
            return replace(chunk, labels=labels(chunk.labels)) if labels else chunk

    Told.__module__ = world.__module__
    agent = PlugIn("agents", "looker", Looker, declares(Looker), {}, declares(Looker).settings())
    sensors = {name: spied(plugin) for name, plugin in scenario.sensors.items()}
    return replace(scenario, agent=agent, sensors=sensors, simulator=replace(scenario.simulator, cls=Told))


def played(scenario: Scenario, draws: Sequence[Draw], labels: Any = None) -> tuple[Diary, list[Record]]:
    diary = Diary(len(draws))
    return diary, list(play(watched(scenario, diary, labels), draws))


@pytest.mark.parametrize("name", few(names()))
def test_no_plan_and_no_label_reaches_an_agent_or_a_sensor(name: str) -> None:
    scenario = with_certain_faults(name)
    available("simulators", scenario.simulator.kind)
    (plain,) = draw(scenario, [1])
    loud = replace(
        twin(plain, "fault:0"), log_weight=1.5, faults=plain.faults, branch=((0.5 * scenario.duration, "b"),)
    )
    diary, records = played(scenario, [loud])
    assert diary.turns > 1
    (seen,) = diary.agent
    assert (seen.faults, seen.log_weight, seen.branch, seen.twin) == ((), 0.0, (), "")
    assert (seen.seed, seen.run, seen.values) == (loud.seed, loud.run, loud.values)
    for sensor, (own,) in diary.sensors.items():
        assert own.faults == loud.faults_of(f"sensors.{sensor}")
        assert (own.log_weight, own.branch, own.twin) == (0.0, (), "")
    assert records[-1].tables["runs"].columns["weight"][0] == np.exp(1.5), "the run itself keeps its weight"


def permuted(labels: Mapping[str, Table]) -> dict[str, Table]:
    """Return tables of labels whose flags are the opposite and whose rows stand in reverse."""
    found = {}
    for name, table in labels.items():
        columns = {
            key: ~values if values.dtype == np.bool_ else values[::-1].copy() if table.runs == 1 else values
            for key, values in table.columns.items()
        }
        found[name] = Table(table.schema, columns, table.offsets)
    return found


@pytest.mark.parametrize("name", [name for name in names() if name.startswith("payments/")])
def test_labels_of_rows_change_nothing_that_an_agent_or_a_sensor_sees(name: str) -> None:
    scenario = with_certain_faults(name)
    draws = draw(scenario, [0])
    diary, records = played(scenario, draws)
    rows = sum(len(record.tables["labels/transactions"]) for record in records if not record.last)
    assert rows > 10, "there are labels that might be seen"
    assert not [path for record in records for path in record.tables if path.startswith("truth/") and "label" in path]
    seen = diary.digests.finish()
    for other in (permuted, lambda labels: {}):
        theirs, changed = played(scenario, draws, other)
        assert theirs.digests.finish() == seen
        assert changed[-1].tables["runs"].columns["margin"][0] == records[-1].tables["runs"].columns["margin"][0]


def test_labels_are_of_rows_of_a_table_that_is_there() -> None:
    scenario = wander()

    def stray(labels: Mapping[str, Table]) -> dict[str, Table]:
        return {"nowhere": Table.empty({"t": Column(unit="s")}, 1)}

    with pytest.raises(TruthError, match="'nowhere'"):
        played(scenario, draw(scenario, [0]), stray)


def test_a_draw_as_seen_keeps_the_faults_of_one_target_alone() -> None:
    faults = tuple(Fault(f"fault:{i}", target, "x", 1.0, 2.0, 1.0) for i, target in enumerate(("a", "b", "agent", "b")))
    own = Draw(1, 2, {"gap": 3.0}, faults, -2.0, ((1.0, "k"),), "*")
    assert own.as_seen() == Draw(1, 2, {"gap": 3.0})
    assert own.as_seen("b") == Draw(1, 2, {"gap": 3.0}, (faults[1], faults[3]))
