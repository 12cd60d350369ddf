"""Drivers in the loop: they brake when they must, keep their lane, and nothing depends on who else is in the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mischance.agents.braking import Braking
from mischance.agents.braking import Settings as BrakingSettings
from mischance.agents.constant import Constant
from mischance.agents.constant import Settings as ConstantSettings
from mischance.errors import RunError
from mischance.randomness import Streams
from mischance.simulators.road import Road
from mischance.truth import Chunk, Draw, Reading, join_chunks


def braking(**changes: Any) -> Braking:
    return Braking(BrakingSettings.model_validate(changes))


def tree(gap: float, closing: float, ego: float = 25.0) -> dict[str, Any]:
    intruder = {
        "speed": ego - closing, "lane": 2, "gap": gap, "gap_at": 1.0,
        "behaviour": [{"kind": "change_lane", "at": 1.0, "to": 1, "takes": 2.0}],
    }  # fmt: skip
    return {"actors": {"ego": {"speed": ego}, "intruder": intruder}}


def play(settings: dict[str, Any], agent: Any, until: float = 6.0) -> tuple[dict[str, Any], Chunk]:
    """Advance, read, act at 20 Hz, as an episode does."""
    world = Road(Road.Settings.model_validate(settings))
    agent.start([Draw(7, 0)], [Streams(7, 0)])
    chunks = [world.start([Draw(7, 0)], [Streams(7, 0)])]
    for k in range(1, round(until * 20) + 1):
        live = ~chunks[-1].over
        if not live[0]:
            break
        commands = agent.act({"truth": Reading(chunks[-1].tables)}, chunks[-1].end, live)
        assert set(commands.table.schema) == set(Road.commands)
        chunks.append(world.advance(k / 20, commands))
    row = {name: values[0] for name, values in world.outcome()[0].columns.items()}
    return row, join_chunks(chunks[1:])


def test_a_comfortable_gap_is_kept_and_a_hopeless_one_is_not():
    avoided, _ = play(tree(gap=20.0, closing=20 / 3.6), braking())
    assert (avoided["event"], avoided["ego.max_brake"] > 1.0) == (False, True)
    assert avoided["min_gap"] > 1.0
    crashed, _ = play(tree(gap=5.0, closing=40 / 3.6), braking())
    assert crashed["event"]
    blind, _ = play(tree(gap=20.0, closing=20 / 3.6), Constant(ConstantSettings()))
    assert blind["event"]


def test_more_gap_never_turns_avoided_into_crash():
    crashed = [bool(play(tree(gap, 9.0), braking())[0]["event"]) for gap in (4.0, 8.0, 14.0, 22.0, 32.0)]
    assert crashed == sorted(crashed, reverse=True)
    assert crashed[0]
    assert not crashed[-1]


def test_a_longer_reaction_brakes_later_and_leaves_less():
    rows = [play(tree(16.0, 9.0), braking(reaction=reaction))[0] for reaction in (0.0, 0.5, 1.0)]
    margins = [row["margin"] for row in rows]
    assert margins[0] > margins[1] > margins[2]


@pytest.mark.parametrize("agent", [braking(), Constant(ConstantSettings())])
def test_alone_on_the_road_they_keep_speed_and_lane(agent: Any):
    _, chunk = play({"actors": {"ego": {"speed": 30.0, "lane": 2}}}, agent, until=3.0)
    assert chunk.motion is not None
    assert abs(chunk.motion.pose[0, -1, 0, 0] - 90.0) < 1e-9
    assert abs(chunk.motion.pose[0, :, 0, 1] - 1.5 * 3.5).max() < 1e-9


def test_they_steer_back_into_the_lane():
    from mischance.agents._lane import Car, keep_lane

    assert keep_lane(Car(0, 1.0, 0.0, 20.0, 4.5, 1.8), 2.0) > 0
    assert keep_lane(Car(0, 2.0, 0.1, 20.0, 4.5, 1.8), 2.0) < 0
    assert keep_lane(Car(0, 2.0, 0.0, 20.0, 4.5, 1.8), 2.0) == 0


def test_only_live_runs_are_commanded_and_neighbours_do_not_matter():
    world = Road(Road.Settings.model_validate(tree(20.0, 5.0)))
    table = world.start([Draw(7, 0)], [Streams(7, 0)]).tables["actors"]
    agent = braking()
    agent.start([Draw(7, 0), Draw(7, 1)], [Streams(7, 0), Streams(7, 1)])
    both = agent.act({"truth": Reading({"actors": table.pick([0, 0])})}, 0.0, np.array([True, False]))
    assert both.table.offsets.tolist() == [0, 1, 1]
    agent.start([Draw(7, 0)], [Streams(7, 0)])
    alone = agent.act({"truth": Reading({"actors": table})}, 0.0, np.array([True]))
    for name, values in alone.table.columns.items():
        assert (values == both.table.columns[name]).all()


def test_a_world_without_cars_is_refused_in_words():
    agent = braking()
    agent.start([Draw(7, 0)], [Streams(7, 0)])
    with pytest.raises(RunError, match="needs the table 'actors'"):
        agent.act({"truth": Reading({})}, 0.0, np.array([True]))
