"""Drivers in the loop: they brake in time, keep their lane, and do not depend on other runs of the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mischance.agents.braking import Braking
from mischance.agents.braking import Settings as BrakingSettings
from mischance.agents.constant import Constant
from mischance.agents.constant import Settings as ConstantSettings
from mischance.agents.r157_driver import R157Driver
from mischance.agents.r157_driver import Settings as R157Settings
from mischance.api.observations import commands_of
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Reading, join_chunks
from mischance.errors import RunError
from mischance.simulators.road import Road


def braking(**changes: Any) -> Braking:
    return Braking(BrakingSettings.model_validate(changes))


def tree(gap: float, closing: float, ego: float = 25.0) -> dict[str, Any]:
    intruder = {
        "speed": ego - closing, "lane": 2, "gap": gap, "gap_at": 1.0,
        "behaviour": [{"kind": "change_lane", "at": 1.0, "to": 1, "takes": 2.0}],
    }  # fmt: skip
    return {"actors": {"ego": {"speed": ego}, "intruder": intruder}}


def play(settings: dict[str, Any], agent: Any, until: float = 6.0) -> tuple[dict[str, Any], Chunk]:
    """Advance, read and act at 20 Hz, as an episode does."""
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


@pytest.mark.parametrize("agent", [braking(), Constant(ConstantSettings())])
def test_they_steer_back_into_the_lane(agent: Any):
    """They start at an angle of 0.05 rad and return to their lane, also in a bend."""
    road = {"line": [{"length": 30.0}, {"length": 200.0, "radius": 250.0}]}
    ego = {"speed": 20.0, "lane": 2, "heading": 0.05}
    world, chunk = play({"road": road, "actors": {"ego": ego}}, agent, until=6.0)
    d = chunk.tables["actors"].columns["d"]
    assert abs(d - 1.5 * 3.5).max() > 0.1
    assert abs(d[-1] - 1.5 * 3.5) < 0.02
    assert world["min_gap"] == np.inf


def test_who_says_nothing_of_steering_keeps_the_path():
    """A command with a steering angle is followed; without one the ego follows its lane."""
    straight, turns = ({"actor": "ego", "acceleration": 0.0, **more} for more in ({}, {"steer": 0.02}))
    assert Road.complete(straight)["keep_path"] is True
    assert Road.complete(turns)["keep_path"] is False
    for said, kept in ((straight, True), (turns, False)):
        world = Road(Road.Settings.model_validate({"actors": {"ego": {"speed": 20.0}}}))
        world.start([Draw(7, 0)], [Streams(7, 0)])
        orders = commands_of([said], Road.commands, np.array([True]), {}, Road.complete)
        chunk = world.advance(3.0, orders)
        assert bool(abs(chunk.tables["actors"].columns["d"] - 1.75).max() < 1e-9) is kept


def test_a_driver_goes_round_the_corner_and_sees_who_stands_behind_it():
    """The ego turns left at a crossing; a person stands in the road that it turns into, outside its first lane."""
    tree = {
        "road": {"crossings": {"side": {"at": 60.0}}},
        "actors": {
            "ego": {"speed": 8.0, "lane": 2, "behaviour": [
                {"kind": "turn", "when": {"station": 50.0}, "radius": 12.0, "angle": 1.5707963267948966}]},
            "parked": {"road": "side", "lane": 1, "station": 45.0, "offset": 1.75, "speed": 0.0},
        },
    }  # fmt: skip
    hit, _ = play(tree, Constant(ConstantSettings()), until=16.0)
    stopped, chunk = play(tree, braking(), until=16.0)
    assert hit["event"]
    assert not stopped["event"]
    assert 0.5 < stopped["min_gap"] < 5.0
    assert abs(chunk.tables["actors"].columns["yaw"][-2] - np.pi / 2) < 0.02
    paths = chunk.tables["paths"].columns
    assert len(paths["t"]) == 0, "a turn that is known from the start is told at the start"


def competent(**changes: Any) -> R157Driver:
    return R157Driver(R157Settings.model_validate(changes))


def walker(**more: Any) -> dict[str, Any]:
    """Return a road on which a person walks into the ego's path from the far side, in full view."""
    walks = {
        "body": "pedestrian", "speed": 0.0, "lane": 2, "station": 60.0, "offset": 3.0,
        "behaviour": [{"kind": "cross", "speed": 2.2, "acceleration": 2.0, "when": {"arrive": 0.5}}],
    }  # fmt: skip
    return {"actors": {"ego": {"speed": 50 / 3.6}, "walks": walks, **more}}


def test_the_competent_driver_sees_who_crosses_before_it_is_in_the_lane():
    seen, _ = play(walker(), competent())
    late, _ = play(walker(), competent(horizon=0.0))
    blind, _ = play(walker(), Constant(ConstantSettings()))
    assert blind["event"]
    assert late["event"]
    assert not seen["event"]


def test_nobody_sees_through_a_parked_car():
    """A van at the near side hides a pedestrian until the line of sight is free: braking begins later."""

    def brakes(*bodies: str) -> float:
        parked = {
            f"parked{i}": {"body": body, "speed": 0.0, "station": 33.0, "lane": 1, "offset": -2.6}
            for i, body in enumerate(bodies)
        }
        child = {
            "body": "child", "speed": 0.0, "lane": 1, "station": 38.0, "offset": -4.0,
            "behaviour": [{"kind": "cross", "speed": 1.4, "acceleration": 10.0, "at": 0.2}],
        }  # fmt: skip
        tree = {"actors": {"ego": {"speed": 10.0}, **parked, "child": child}}
        _, chunk = play(tree, competent(), until=5.0)
        ego = chunk.tables["actors"].columns["actor"] == 0
        t, a = (chunk.tables["actors"].columns[name][ego] for name in ("t", "acceleration"))
        return float(t[np.argmax(a < -0.5)])

    assert 0.5 < brakes() < brakes("van") - 0.2
    assert brakes("debris") == brakes(), "what is low hides nobody"


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
