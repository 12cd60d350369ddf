"""What the road declares and what it asks of its engine: targets, signals, commands, batches, settings of PyBullet."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mischance.api.engines import engine
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, join_chunks
from mischance.api.tables import Column, Table
from mischance.errors import RunError
from mischance.simulators.road import Road
from mischance.simulators.road.bullet import RigidBox, client, collide
from mischance.simulators.road.settings import Settings

BODIES = {"ego": "car", "bike": "motorcycle", "rides": "cyclist", "walks": "pedestrian", "crate": "debris",
          "wall": "occluder"}  # fmt: skip


def settings(**more: Any) -> Settings:
    actors = {name: {"body": body, "speed": 0.0, "station": 30.0 * n} for n, (name, body) in enumerate(BODIES.items())}
    return Settings.model_validate({"motion": False, "actors": actors, **more})


def test_every_moving_actor_has_the_parts_that_it_has_and_a_wall_none():
    car, cycle, rails = (
        ("brakes", "steering", "tyre", "actuator"),
        ("brakes", "steering", "actuator"),
        ("brakes", "actuator"),
    )
    wanted = {"ego": car, "bike": cycle, "rides": cycle, "walks": rails, "crate": rails, "wall": ()}
    found = Road.targets(settings())
    assert sorted(found) == sorted([*(f"{name}.{part}" for name, parts in wanted.items() for part in parts), "road"])
    assert found[-1] == "road"


def test_signals_are_the_numbers_of_every_actor_and_the_egos_conduct():
    found = Road.signals(settings())
    numbers = "x y yaw roll pitch speed acceleration jerk steer vx vy yaw_rate d gap ttc lane length width hit"
    wanted = {f"{name}.{one}" for name in BODIES for one in f"{numbers} braking_emergency".split()}
    assert set(found) == wanted | {f"ego.{one}" for one in ("road_margin", "along", "idle", "needless_braking")}
    assert (found["ego.gap"].unit, found["wall.jerk"].unit, found["walks.yaw_rate"].unit) == ("m", "m/s3", "rad/s")


def test_a_command_without_a_steering_angle_keeps_the_path():
    assert Road.complete({"acceleration": 1.0}) == {"acceleration": 1.0, "keep_path": True}
    assert Road.complete({"steer": 0.0}) == {"steer": 0.0, "keep_path": False}
    assert Road.complete({"steer": 0.0, "keep_path": True}) == {"steer": 0.0, "keep_path": True}


def test_runs_that_fit_at_once():
    assert [Road.max_batch(settings(impact={"model": model})) for model in ("analytic", "bullet", "window")] == [
        256, 256, 8,
    ]  # fmt: skip
    assert (Road.batch, Road.max_chunk_seconds) == (256, 2.0)


def commands(
    world: Road, rows: list[tuple[Any, ...]], runs: list[int], names: tuple[str, ...] | None = None
) -> Commands:
    """Return commands (actor, acceleration, steer); with `names` the actors are codes of these."""
    schema = {**world.commands}
    if names is not None:
        schema["actor"] = Column("category", names=names)
    who = [row[0] for row in rows]
    codes = np.array(who, object) if names is None else np.array([names.index(name) for name in who], np.int32)
    columns = {
        "actor": codes,
        "acceleration": np.array([row[1] for row in rows]), "steer": np.array([row[2] for row in rows]),
        "keep_path": np.ones(len(rows), np.bool_),
    }  # fmt: skip
    offsets = np.concatenate([[0], np.cumsum(runs)])
    return Commands(Table(schema, columns, offsets.astype(np.int64)), np.ones(len(runs), np.bool_))


def opened(n: int = 1, *faults: Fault, **more: Any) -> Road:
    tree = {
        "motion": False,
        "actors": {"ego": {"speed": 20.0, "jerk": 0.0}, "other": {"speed": 20.0, "jerk": 0.0, "lane": 3}},
    }
    world = Road(Settings.model_validate({**tree, **more}))
    world.start([Draw(7, 40 + i, faults=faults) for i in range(n)], [Streams(7, i) for i in range(n)])
    return world


@pytest.mark.parametrize("names", [None, ("nobody", "other", "ego")])
def test_each_command_reaches_its_actor_in_its_run(names: tuple[str, ...] | None):
    world = opened(3)
    rows = [("other", -1.0, 0.0), ("ego", -2.0, 0.0), ("other", -3.0, 0.0), ("ego", -4.0, 0.0)]
    given = commands(world, rows, [1, 2, 1], names)
    chunk = world.advance(0.5, Commands(given.table, np.array([True, True, False])))
    last = [np.asarray(chunk.tables["actors"].run(r)["acceleration"])[-2:].tolist() for r in range(3)]
    assert last == [[0.0, -1.0], [-2.0, -3.0], [0.0, 0.0]], "a run that is over takes no commands"


@pytest.mark.parametrize("names", [None, ("ego", "nobody")])
def test_a_command_for_somebody_who_is_missing_names_run_time_and_actors(names: tuple[str, ...] | None):
    world = opened(2)
    world.advance(0.25, None)
    with pytest.raises(RunError) as caught:
        world.advance(0.5, commands(world, [("ego", 0.0, 0.0), ("nobody", 0.0, 0.0)], [1, 1], names))
    assert "run 41: a command at t = 0.25 s for 'nobody', which is missing" in str(caught.value)
    assert caught.value.hint == "actors: ego, other"


@pytest.mark.parametrize("odd", [(math.nan, 0.0), (0.0, math.inf)])
def test_a_command_that_is_no_number_names_run_time_and_actor(odd: tuple[float, float]):
    world = opened(2)
    with pytest.raises(RunError, match=r"run 41: a command at t = 0 s for other that is not a number"):
        world.advance(0.5, commands(world, [("ego", 0.0, 0.0), ("ego", 0.0, 0.0), ("other", *odd)], [1, 2]))
    world.advance(0.5, commands(world, [], [0, 0]))


@pytest.mark.parametrize(
    "wrong", [("road", "fade"), ("ego.brakes", "friction"), ("ego.tyre", "fade"), ("it.brakes", "fade")]
)
def test_a_fault_that_does_not_fit_its_target_is_refused_with_what_does(wrong: tuple[str, str]):
    with pytest.raises(RunError) as caught:
        opened(1, Fault("fault:0", *wrong, 0.0, 1.0, 0.5))
    assert f"run 40: '{wrong[0]}' has no fault '{wrong[1]}'" in str(caught.value)
    assert "<actor>.steering: stuck, offset; <actor>.tyre: blow_out" in caught.value.hint
    assert "; road: friction" in caught.value.hint


# -- chunks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [20, 60, 100])
def test_rows_of_actors_are_twenty_a_second_and_one_at_the_end_however_time_is_cut(rate: int):
    """The last of a run is a row wherever the run ends; a run that ends early has none after it."""
    tree = {"rate": rate, "settle": 0.55, "actors": {"ego": {"speed": 20.0}, "it": {"speed": 0.0, "gap": 8.0}}}
    whole = None
    for cuts in ((2.0,), (0.31, 0.32, 0.7, 2.0)):
        world = Road(Settings.model_validate({"motion": False, **tree}))
        chunks: list[Chunk] = [world.start([Draw(7, 0)], [Streams(7, 0)])]
        chunks += [world.advance(cut, None) for cut in cuts]
        joined = join_chunks(chunks)
        t = np.asarray(joined.tables["actors"].columns["t"])[::2]
        end = float(joined.ends[0])
        assert end == pytest.approx(0.4 + 0.55, abs=1.0 / rate + 1e-9)
        assert t[:-1] == pytest.approx(np.arange(len(t) - 1) / 20)
        assert t[-1] == pytest.approx(end)
        assert end - t[-2] <= 0.05 + 1e-9
        if whole is not None:
            assert np.array_equal(whole, np.asarray(joined.tables["actors"].columns["x"]))
        whole = np.asarray(joined.tables["actors"].columns["x"])


def test_a_run_that_is_cut_off_has_a_row_at_its_end():
    world = Road(Settings.model_validate({"motion": False, "actors": {"ego": {"speed": 20.0}}}))
    chunks = [world.start([Draw(7, 0, duration=0.97)], [Streams(7, 0)]), world.advance(0.97, None)]
    t = np.asarray(join_chunks(chunks).tables["actors"].columns["t"])
    assert t[-2:] == pytest.approx([0.95, 0.97])


# -- the engine --------------------------------------------------------------------------------------------------------

CALM = {"rollingFriction": 0.0, "spinningFriction": 0.0, "linearDamping": 0.0, "angularDamping": 0.0}
EXACT = {"fixedTimeStep": 0.001, "numSubSteps": 0, "numSolverIterations": 200, "deterministicOverlappingPairs": 1,
         "erp": 0.0, "contactERP": 0.0, "frictionERP": 0.0, "restitutionVelocityThreshold": 0.0}  # fmt: skip
LASTS = {"numSolverIterations": 100, "erp": 0.2, "contactERP": 0.2, "frictionERP": 0.2,
         "restitutionVelocityThreshold": 0.3}  # fmt: skip


def recorded(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Return the list of calls to a function of the engine, which goes on as it was."""
    module, calls = engine(), []
    real = getattr(module, name)

    def noted(*args: Any, **keys: Any) -> Any:
        calls.append((args, {key: value for key, value in keys.items() if key != "physicsClientId"}))
        return real(*args, **keys)

    monkeypatch.setattr(module, name, noted)
    return calls


def test_an_impact_is_handed_to_the_engine_without_its_own_corrections(monkeypatch: pytest.MonkeyPatch):
    """No gravity, no damping, no penetration to repair: momentum is kept; the pair's values are products of roots."""
    names = ("setPhysicsEngineParameter", "changeDynamics", "setGravity")
    asked, bodies, gravity = (recorded(monkeypatch, name) for name in names)
    a = RigidBox((4.0, 2.0, 1.5), 1500.0, (7.0, 3.0, 0.75), 0.0, (15.0, 0.0, 0.0), 0.0)
    b = RigidBox((4.0, 2.0, 1.5), 2000.0, (11.0, 3.0, 0.75), 0.0, (0.0, 0.0, 0.0), 0.0)
    done = collide(a, b, 0.25, 0.36)
    assert [keys for _, keys in asked] == [EXACT]
    assert gravity == [((0.0, 0.0, 0.0), {})]
    sleepless = {**CALM, "activationState": engine().ACTIVATION_STATE_DISABLE_SLEEPING}
    for n, (args, keys) in enumerate(bodies):
        assert args == (n, -1)
        assert keys == pytest.approx({**sleepless, "lateralFriction": 0.6, "restitution": 0.5})
    module, c = client()
    infos = [module.getDynamicsInfo(n, -1, physicsClientId=c) for n in range(2)]
    assert [info[0] for info in infos] == [1500.0, 2000.0]
    assert done.impulse[0] == pytest.approx(1.25 * 15.0 / (1 / 1500 + 1 / 2000), rel=1e-3)
    assert done.point == pytest.approx((9.0, 3.0, 0.75), abs=1e-5)
    assert done.steps == 1
    collide(a, b, -0.1, 0.0)
    assert bodies[-1][1]["restitution"] == 0.0
    assert 0.0 < bodies[-1][1]["lateralFriction"] <= 1e-6


def test_a_window_is_exact_for_its_first_push_and_stable_from_then_on(monkeypatch: pytest.MonkeyPatch):
    asked, gravity = recorded(monkeypatch, "setPhysicsEngineParameter"), recorded(monkeypatch, "setGravity")
    bodies = recorded(monkeypatch, "changeDynamics")
    tree = {"motion": False, "impact": {"model": "window", "restitution": 0.16, "friction": 0.25}, "friction": 0.7,
            "actors": {"ego": {"speed": 15.0}, "it": {"speed": 0.0, "gap": 3.0}}}  # fmt: skip
    world = Road(Settings.model_validate(tree))
    world.start([Draw(7, 0)], [Streams(7, 0)])
    world.advance(0.25, None)
    assert [keys for _, keys in asked[:2]] == [EXACT, LASTS]
    assert {tuple(keys) for _, keys in asked[2:]} == {("fixedTimeStep",)}
    # the steps of 1 ms divide what is left of a step of the world evenly
    assert all(0.0005 < keys["fixedTimeStep"] <= 0.001 + 1e-9 for _, keys in asked[2:])
    assert gravity == [((0.0, 0.0, -9.81), {})]
    sleepless = {**CALM, "activationState": engine().ACTIVATION_STATE_DISABLE_SLEEPING}
    for _, keys in bodies[:2]:
        assert {key: keys[key] for key in sleepless} == sleepless
        assert (keys["lateralFriction"], keys["restitution"]) == pytest.approx((0.5, 0.4))
    assert [keys for _, keys in bodies[2:4]] == [{"restitution": 0.0}, {"lateralFriction": pytest.approx(1.4)}]
