"""Agents and sensors in one of several worlds: they see, say and read what they do where that world is alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from mischance.api.observations import observation
from mischance.api.randomness import Streams
from mischance.api.runs import Draw, Reading
from mischance.api.tables import BoolArray
from mischance.errors import RunError, ScenarioError
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.player import play
from mischance.play.sampling import draw
from tests.support import PLUGINS, digests, rows_of

HERE = Path(__file__)
TANK = f"{PLUGINS}/tank.py:Tank"
DRIFT = f"{PLUGINS}/drift.py:Drift"
CUTS = [0.003, 1.0 / 3.0, 1.2345678]


class Filler:
    """Fills the more, the lower the level is that it read last."""

    reads: ClassVar[tuple[str, ...]] = ("truth",)
    rate: ClassVar[float] = 10.0
    gain: ClassVar[float] = 1.0

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Check that it is shown the settings of one tank, and no planned fault."""
        assert all(draw.settings.limit > 0 and not draw.faults for draw in draws)
        self._x = np.zeros(len(draws))

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> list[Any]:
        """Say how much flows in."""
        for i in range(len(live)):
            seen = observation(readings, i)["truth"]
            assert set(seen) == {"levels"}
            self._x[i] = seen["levels"]["x"][-1] if len(seen["levels"]["x"]) else self._x[i]
        return [{"inflow": self.gain * (0.5 - x)} if on else None for x, on in zip(self._x, live, strict=True)]


class Slow(Filler):
    """The same at a lower rate and with less gain."""

    rate: ClassVar[float] = 5.0
    gain: ClassVar[float] = 0.5


class Both(Filler):
    """Commands both tanks, each by the name of its world."""

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Remember nothing."""

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> list[Any]:
        """Say how much flows into each."""
        return [[{"world": "b", "inflow": 0.4}, {"world": "a", "inflow": 0.2 + t / 10.0}] for _ in live]


class Lost(Both):
    """Commands a world that is not there."""

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> list[Any]:
        """Say how much flows into nothing."""
        return [{"inflow": 0.1} for _ in live]


def scenario(tmp_path: Path, **keys: Any) -> Scenario:
    text = {"duration": "2 s", **keys}
    path = tmp_path / "crew.yaml"
    lines = "\n".join(f"{key}: {json.dumps(value)}" for key, value in text.items())
    path.write_text(f"mischance: 1\nname: tests/crew\nseed: 3\n{lines}\n", encoding="utf-8")
    return load(path)


def two(tmp_path: Path, **keys: Any) -> Scenario:
    worlds = {name: {"kind": TANK, "inflow": 0.2} for name in "ab"}
    return scenario(tmp_path, worlds=worlds, **keys)


def agent(name: str, world: str = "") -> dict[str, str]:
    return {"kind": f"{HERE}:{name}", **({"world": world} if world else {})}


def levels(found: Scenario, path: str) -> list[float]:
    return rows_of(list(play(found, draw(found, np.arange(1)), CUTS)), path)["x"].tolist()


def alone(tmp_path: Path, name: str) -> list[float]:
    return levels(scenario(tmp_path, simulator={"kind": TANK, "inflow": 0.2}, agent=agent(name)), "truth/levels")


def test_an_agent_in_one_of_several_worlds_drives_it_as_it_does_alone(tmp_path: Path):
    found = two(tmp_path, agent=agent("Filler", "b"))
    assert levels(found, "truth/b.levels") == alone(tmp_path, "Filler")
    idle = levels(scenario(tmp_path, simulator={"kind": TANK, "inflow": 0.2}), "truth/levels")
    assert levels(found, "truth/a.levels") == idle


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_agents_of_several_worlds_act_side_by_side_each_at_its_own_rate(tmp_path: Path, order: str):
    of = {"a": agent("Filler", "a"), "b": agent("Slow", "b")}
    found = two(tmp_path, agents={f"in_{name}": of[name] for name in order})
    assert levels(found, "truth/a.levels") == alone(tmp_path, "Filler")
    assert levels(found, "truth/b.levels") == alone(tmp_path, "Slow")
    draws = draw(found, np.arange(3))
    each = {run: digest for one in draws for run, digest in digests(found, [one]).items()}
    assert digests(found, draws, CUTS) == each
    again = tmp_path / "again.yaml"
    again.write_text(
        found.text().replace("inputs/tank.py", f"{PLUGINS}/tank.py").replace("inputs/test_crew.py", str(HERE))
    )
    assert load(again).identity() == found.identity()


def test_an_agent_without_a_world_names_that_of_each_command(tmp_path: Path):
    records = list(play(found := two(tmp_path, agent=agent("Both")), draw(found, np.arange(1))))
    a, b = (rows_of(records, f"truth/{name}.levels") for name in "ab")
    np.testing.assert_allclose(np.diff(b["x"]) * 50.0, 0.4, rtol=0, atol=1e-9)
    turn = np.floor(a["t"][:-1] * 10.0 + 1e-9) / 10.0
    np.testing.assert_allclose(np.diff(a["x"]) * 50.0, 0.2 + turn / 10.0, rtol=0, atol=1e-9)
    lost = two(tmp_path, agent=agent("Lost"))
    with pytest.raises(RunError, match="commands the world ''"):
        list(play(lost, draw(lost, np.arange(1))))


def test_a_sensor_in_one_of_several_worlds_reads_what_it_reads_there_alone(tmp_path: Path):
    own = {"kind": f"{PLUGINS}/probe.py:Probe"}
    drift = {"kind": DRIFT, "noise": 0.0}
    fault = {"kind": "drift", "at": "0.5 s", "severity": 1}
    single = scenario(tmp_path, simulator=drift, sensors={"meter": own}, faults=[{**fault, "target": "plant"}])
    wanted = rows_of(list(play(single, draw(single, np.arange(1)))), "sensors/meter")
    found = scenario(
        tmp_path, worlds={"tank": {"kind": TANK}, "wire": drift}, sensors={"meter": {**own, "world": "wire"}},
        faults=[{**fault, "target": "wire.plant"}],
    )  # fmt: skip
    got = rows_of(list(play(found, draw(found, np.arange(1)), CUTS)), "sensors/meter")
    assert len(wanted["t"]) > 10
    for column, values in wanted.items():
        np.testing.assert_array_equal(got[column], values)


WRONG: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "no such world": ({"agent": agent("Filler", "c")}, "agent.world", "no world is called 'c'", "a, b"),
    "sensor without a world": (
        {"sensors": {"meter": {"kind": f"{PLUGINS}/probe.py:Probe"}}}, "sensors.meter", "in which of the worlds", "a, b"
    ),
    "agent without a world": ({"agents": {"one": agent("Filler")}}, "agents.one", "in which of the worlds", "a, b"),
    "both": ({"agent": agent("Filler", "a"), "agents": {"one": agent("Filler", "b")}}, "agents", "either", ""),
}  # fmt: skip


@pytest.mark.parametrize("change", WRONG)
def test_who_stands_nowhere_is_refused_with_its_place(change: str, tmp_path: Path):
    keys, path, message, hint = WRONG[change]
    with pytest.raises(ScenarioError) as raised:
        two(tmp_path, **keys)
    (problem,) = raised.value.problems
    assert problem.path == path
    assert message in problem.message
    assert hint in problem.hint


def test_agents_need_worlds(tmp_path: Path):
    with pytest.raises(ScenarioError) as raised:
        scenario(tmp_path, simulator={"kind": TANK}, agents={"one": agent("Filler")})
    assert [p.path for p in raised.value.problems] == ["agents"]


def test_an_agent_s_world_must_take_commands(tmp_path: Path):
    with pytest.raises(ScenarioError) as raised:
        scenario(
            tmp_path, worlds={"a": {"kind": TANK}, "radio": {"kind": "fleet_dispatch"}},
            agent=agent("Filler", "radio"),
        )  # fmt: skip
    (problem,) = raised.value.problems
    assert problem.path == "agent.world"
    assert "takes no commands" in problem.message
