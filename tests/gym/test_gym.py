"""A loop outside drives the same run that an agent inside drives, and gymnasium finds nothing to complain of."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mischance
from mischance.api.observations import function_agent
from mischance.api.protocols import declares
from mischance.errors import CatalogError, MischanceError, RunError
from mischance.language.catalog import scenario_files
from mischance.language.scenario import PlugIn
from tests.support import PLUGINS, rows_of

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env  # noqa: E402

import mischance.gym  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SHORT = {"duration": "1 s"}


def env(**changes: Any) -> Any:
    return mischance.gym.make("driving/cut_in", **{"overrides": SHORT, **changes})


def actions(n: int, seed: int = 5) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-6.0, 2.0, n), rng.uniform(-0.02, 0.02, n)], axis=1).astype(np.float32)


def drive(environment: Any, asked: Any, **reset: Any) -> tuple[list[Any], list[float], dict[str, Any]]:
    """Reset and step to the end; return observations, rewards and the last info."""
    seen, rewards = [environment.reset(**reset)[0]], []
    for action in asked:
        observation, reward, terminated, truncated, info = environment.step(action)
        seen.append(observation)
        rewards.append(reward)
        if terminated or truncated:
            return seen, rewards, {**info, "terminated": terminated, "truncated": truncated}
    raise AssertionError("the run did not end")


@pytest.mark.filterwarnings("ignore:.*(Box|normalized).*")
@pytest.mark.parametrize("name", ["driving-cut_in", "robots-drone_crossing", "robots-arm_late_stop"])
def test_gymnasium_s_own_check_passes(name: str):
    made = gymnasium.make(f"mischance/{name}-v0", overrides=SHORT)
    check_env(made.unwrapped)
    made.close()


@pytest.mark.filterwarnings("ignore:.*(Box|normalized).*")
def test_a_world_of_somebody_else_passes_too():
    check_env(mischance.gym.make(PLUGINS / "wander.yaml", render_mode="rgb_array"))


def test_every_scenario_of_the_library_has_a_name_there():
    for scenario in scenario_files():
        assert mischance.gym.environment_id(scenario) in gymnasium.registry
    assert mischance.gym.environment_id("driving/cut_in") == "mischance/driving-cut_in-v0"
    assert len(mischance.gym.register()) == len(set(mischance.gym.register())) == len(scenario_files())


def test_a_name_can_bring_the_module_along():
    code = 'import gymnasium; print(gymnasium.make("mischance.gym:mischance/driving-cut_in-v0").spec.id)'
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip() == "mischance/driving-cut_in-v0", done.stderr


def test_without_gymnasium_one_line_says_what_to_install():
    code = (
        "import sys; sys.modules['gymnasium'] = None\n"
        "import mischance.gym\nfrom mischance.errors import CatalogError\n"
        "try:\n    mischance.gym.make('driving/cut_in')\n"
        "except CatalogError as error:\n    print(error.message, '|', error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.strip() == (
        "environments need gymnasium, which is not installed | pip install 'mischance[gym]'"
    ), done.stderr
    assert issubclass(CatalogError, MischanceError)


def test_a_loop_outside_gets_the_run_that_an_agent_inside_gets():
    asked = actions(20)
    scenario = mischance.load("driving/cut_in", SHORT)
    turn = iter(asked.tolist())

    def inside(observation: Any, t: float) -> dict[str, float]:
        acceleration, steer = next(turn)
        return {"acceleration": acceleration, "steer": steer}

    cls = function_agent(inside)
    agent = PlugIn("agents", "inside", cls, declares(cls), {}, declares(cls).settings())
    played = replace(scenario, agent=agent)
    records = list(mischance.play(played, mischance.draw(scenario, [3], 9)))
    truth = rows_of(records, "truth/actors")
    runs = records[-1].tables["runs"].run(0)

    # every row of truth that the loop sees, turn by turn, the one at the end included
    rows: list[Any] = []

    def note(observation: Any) -> np.ndarray[Any, Any]:
        own = observation["truth"]["actors"]
        rows.append(np.stack([own[name] for name in ("t", "x", "y", "yaw", "speed", "steer")]))
        return np.zeros(1, np.float32)

    space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    outside = env(observe=note, observation_space=space)
    rows.clear()
    _, _, info = drive(outside, asked, seed=9, options={"run": 3})
    seen = np.concatenate(rows, axis=1)
    for name, values in zip(("t", "x", "y", "yaw", "speed", "steer"), seen, strict=True):
        assert values.tobytes() == truth[name].tobytes()
    assert info["measures"]["min_gap"] == runs["min_gap"][0]
    assert (info["verdict"], info["margin"]) == (runs["verdict"][0], runs["margin"][0])


def test_one_seed_and_the_same_actions_are_one_story():
    asked = actions(20)
    one, two = env(), env()
    first, _, _ = drive(one, asked, seed=4)
    second, _, _ = drive(two, asked, seed=4)
    third, _, _ = drive(one, asked, seed=4)
    assert [o.tobytes() for o in first] == [o.tobytes() for o in second] == [o.tobytes() for o in third]
    other, _, _ = drive(one, asked, seed=5)
    assert first[0].tobytes() != other[0].tobytes()


def test_reset_without_a_seed_goes_on_with_the_next_run():
    made = env()
    infos = [made.reset(seed=2)[1], made.reset()[1], made.reset(options={"run": 7})[1], made.reset()[1]]
    assert [info["run"] for info in infos] == [0, 1, 7, 8]
    assert {info["seed"] for info in infos} == {2}
    expected = mischance.draw(mischance.load("driving/cut_in", SHORT), [1], 2)[0].values
    assert infos[1]["values"] == dict(expected)
    made.close()


def test_drawn_values_can_be_held_fixed_and_the_others_stay():
    made = env()
    free = made.reset(seed=2)[1]["values"]
    held = made.reset(seed=2, options={"values": {"gap": "12 m", "ego_speed": 30.0}})[1]["values"]
    assert (held["gap"], held["ego_speed"]) == (12.0, 30.0)
    assert held["closing"] == free["closing"]
    assert held["cut_speed"] == pytest.approx(30.0 - free["closing"])
    with pytest.raises(RunError, match="gapp"):
        made.reset(options={"values": {"gapp": 3}})
    with pytest.raises(RunError, match="runn"):
        made.reset(options={"runn": 3})
    made.close()


def test_the_end_says_how_it_ended():
    still = np.zeros((200, 2), np.float32)
    _, rewards, info = drive(env(overrides={}, variant="crash"), still, seed=1)
    assert info["event"]
    assert info["terminated"]
    assert not info["truncated"]
    assert rewards[-1] == -1.0
    assert not any(rewards[:-1])
    assert "contact" in {event["kind"] for event in info["events"]}
    _, rewards, info = drive(env(reward="margin"), still, seed=1)
    assert (info["terminated"], info["truncated"], info["t"]) == (False, True, 1.0)
    assert rewards[-1] == pytest.approx(info["margin"])


def test_the_reward_may_be_a_function_of_every_turn():
    _, rewards, _ = drive(env(reward=lambda seen, info: info["t"]), np.zeros((20, 2)), seed=1)
    assert rewards == pytest.approx([k / 20 for k in range(1, 21)])


def test_others_are_seen_from_the_ego():
    made = env()
    seen, _ = made.reset(seed=3)
    at = dict(zip(made.observation_names, map(float, seen), strict=True))
    scenario = mischance.load("driving/cut_in", SHORT)
    first = next(iter(mischance.play(scenario, mischance.draw(scenario, [0], 3)))).tables["truth/actors"].run(0)
    assert at["intruder.x"] == pytest.approx(first["x"][1] - first["x"][0])  # the road runs along x, so does the ego
    assert at["intruder.vx"] == pytest.approx(first["vx"][1] - first["vx"][0], rel=1e-5)
    assert (at["intruder.present"], at["ego.speed"]) == (1.0, pytest.approx(first["speed"][0]))
    padded = env(others=3)
    wide, _ = padded.reset(seed=3)
    names = padded.observation_names
    assert [wide[names.index(f"other{i}.present")] for i in range(3)] == [1.0, 0.0, 0.0]
    made.close()
    padded.close()


def test_a_dictionary_has_what_the_sensors_say():
    made = env(observe="dict", overrides={**SHORT, "faults": "[]", "sensors.front.size": "[64, 48]"})
    seen, _ = made.reset(seed=3)
    assert seen["front"]["rgb"].shape == (48, 64, 3)
    assert seen["front"]["rgb"].dtype == np.uint8
    assert seen["imu"]["values"].shape == (6,)
    assert seen in made.observation_space
    everything, _, _ = drive(made, np.tile([[2.0, 0.0]], (20, 1)), seed=3)
    assert all(one in made.observation_space for one in everything)
    assert (everything[-1]["front"]["rgb"] != everything[0]["front"]["rgb"]).any()
    last, before = (everything[k]["imu"]["values"] for k in (-1, -2))
    assert (last != before).any()  # the turn at the end has its own samples


def test_wrong_actions_name_run_and_time_and_the_env_goes_on():
    made = env()
    with pytest.raises(RunError, match="no run"):
        made.step(np.zeros(2))
    made.reset(seed=1, options={"run": 6})
    made.step(np.zeros(2))
    with pytest.raises(RunError, match=r"run 6: .*t = 0\.05 s.*ego\.steer = nan"):
        made.step(np.array([0.0, np.nan]))
    with pytest.raises(RunError, match=r"run 6: .*shape \(3,\)"):
        made.step(np.zeros(3))
    assert made.step(np.zeros(2))[4]["t"] == pytest.approx(0.1)
    made.close()
    made.close()
    with pytest.raises(RunError, match="whole numbers"):
        mischance.gym.make("payments/card_testing", overrides={"duration": "1 h"}, rate=0.01)
    with pytest.raises(RunError, match="egg"):
        env(actors=["egg"])


def test_an_error_in_the_world_reaches_the_caller_and_no_thread_stays():
    before = threading.active_count()
    scenario = mischance.load("driving/cut_in", SHORT)
    base: Any = scenario.simulator.cls

    class Breaks(base):
        def advance(self, until: float, commands: Any) -> Any:
            if until > 0.12:
                raise RunError("the road is gone")
            return super().advance(until, commands)

    made = mischance.gym.make(replace(scenario, simulator=replace(scenario.simulator, cls=Breaks)))
    made.reset(seed=1)
    assert threading.active_count() == before + 1
    made.step(np.zeros(2))
    made.step(np.zeros(2))
    with pytest.raises(RunError, match="the road is gone"):
        made.step(np.zeros(2))
    with pytest.raises(RunError, match="no run"):
        made.step(np.zeros(2))
    assert threading.active_count() == before
    made.reset(seed=1)
    made.close()
    assert threading.active_count() == before
    with pytest.raises(MischanceError):
        made.reset(options={"values": {"friction": -1.0}})
    assert threading.active_count() == before


def test_the_picture_shows_who_moves():
    made = env(render_mode="rgb_array")
    made.reset(seed=3, options={"values": {"gap": 12.0}})
    first = made.render()
    assert first.shape == (320, 640, 3)
    assert first.dtype == np.uint8
    blue = (first == (37, 99, 235)).all(axis=2)
    assert blue.any()
    assert abs(np.argwhere(blue)[:, 1].mean() - 320) < 2.0  # the ego is in the middle
    made.step(np.zeros(2))
    assert (made.render() != first).any()
    made.close()


def test_vectors_of_environments_play_the_runs_that_they_play_alone():
    made = gymnasium.vector.SyncVectorEnv([partial(env) for _ in range(2)])
    seen, _ = made.reset(seed=[3, 4])
    alone = [env().reset(seed=seed)[0] for seed in (3, 4)]
    assert seen.tobytes() == np.stack(alone).tobytes()
    asked = np.zeros((2, 2), np.float32)
    for _ in range(20):
        _, _, terminated, truncated, info = made.step(asked)
    assert (terminated | truncated).all()
    assert set(info["verdict"]) == {"no contact"}
    made.close()


@pytest.mark.slow
def test_environments_in_processes_of_their_own():
    one = partial(mischance.gym.make, "driving/cut_in", overrides=SHORT)
    made = gymnasium.vector.AsyncVectorEnv([one, one], context="spawn")
    seen, _ = made.reset(seed=[3, 4])
    alone = [env().reset(seed=seed)[0] for seed in (3, 4)]
    assert seen.tobytes() == np.stack(alone).tobytes()
    for _ in range(20):
        _, _, terminated, truncated, info = made.step(np.zeros((2, 2), np.float32))
    assert (terminated | truncated).all()
    assert list(info["verdict"]) == ["no contact", "no contact"]
    made.close()


def test_the_function_that_the_page_shows_is_an_agent(tmp_path: Path):
    text = (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")
    source, *_ = re.findall(r"^```\{code-block\} python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (tmp_path / "brake.py").write_text(source)
    own = {"agent": f"{{kind: '{tmp_path / 'brake.py'}:brake'}}", "sensors": "{}", "faults": "[]", "duration": "3 s"}
    scenario = mischance.load("driving/cut_in:critical", own)
    *_, last = mischance.play(scenario, mischance.draw(scenario, [0]))
    assert last.tables["runs"].run(0)["ego.max_brake"][0] == pytest.approx(6.0, rel=0.05)


def test_an_environment_builds_its_world_once_and_again_for_values_that_are_held():
    scenario = mischance.load("driving/cut_in", SHORT)
    base: Any = scenario.simulator.cls
    built: list[int] = []

    class Counted(base):
        def __init__(self, settings: Any) -> None:
            built.append(1)
            super().__init__(settings)

    made = mischance.gym.make(replace(scenario, simulator=replace(scenario.simulator, cls=Counted)))
    looked = len(built)  # to learn the spaces
    first = made.reset(seed=5)[0]
    made.step(np.zeros(2))  # given up half-way
    for _ in range(3):
        made.reset()
    np.testing.assert_array_equal(made.reset(seed=5)[0], first)
    assert len(built) == looked + 1
    made.reset(options={"values": {"gap": 12.0}})
    made.reset()
    assert len(built) == looked + 2
    made.close()
