"""The contract of each socket, held against every plug-in that the catalog finds and the tests' own.

Nothing here names a plug-in of the library: a new one comes under these laws by being there. What it costs is kept
down by short runs (`SHORT`) and small images; a world that is slow says here by what it is made small.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from mischance.api.exporting import Exporter
from mischance.api.protocols import Agent, Renderer, Sensor, Simulator, Writer, declares
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Fault, Reading, Record, join_chunks
from mischance.api.scene import Camera, Motion, Scene
from mischance.api.tables import LABELS, Schema, Table
from mischance.dataset.digest import RunDigests
from mischance.errors import CatalogError
from mischance.language import catalog
from mischance.language.loading import load
from mischance.language.scenario import PlugIn, Scenario
from mischance.play.composite import world_class
from mischance.play.constructing import construct
from mischance.play.episode import advanced
from mischance.play.player import play
from mischance.play.plugins import batch_size
from mischance.play.sampling import draw, twin
from mischance.sweep import jobs
from tests.shell import content
from tests.support import PLUGINS, digests, library, rows_of

SHORT = {  # by kind of world: what makes one of its scenarios small enough to be played many times
    "road": {"duration": "2 s"},
    "arm": {"duration": "2 s"},
    "payments": {"duration": "1 d", "simulator.cards": "200", "simulator.merchants": "20"},
    f"{PLUGINS}/drift.py:Drift": {},
    "worlds": {"duration": "2 s"},
    "arm+warehouse": {"duration": "2 s"},
}
OWN = {  # the tests' own plug-ins, under the same laws: the only vectorised world of this package
    "simulators": {f"{PLUGINS}/drift.py:Drift", f"{PLUGINS}/tank.py:Tank"},
    "sensors": {f"{PLUGINS}/probe.py:Probe"},
    "agents": {f"{PLUGINS}/damper.py:Damper"},
}
OWN_SCENARIOS = {"wander": f"{PLUGINS}/drift.py:Drift", "cascade": "worlds"}  # with the kind of their world
ODD = [1e-7, 0.3337, 0.5, 1.0 / 3.0, 1.2345678, 2.71828]  # parts of a run: before any first step, and where nothing is


def kinds(room: str) -> list[str]:
    return sorted({entry.name for entry in catalog.entries(room)} | OWN.get(room, set()))


@cache
def scenario_named(name: str, **changes: str) -> Scenario:
    """Return a scenario of the library, made short, with small images, or one of the tests' own."""
    source = PLUGINS / f"{name}.yaml" if name in OWN_SCENARIOS else name
    plain = library(name)
    kind = OWN_SCENARIOS.get(name) or plain.simulator.kind
    overrides = dict(SHORT.get(kind, {}))
    for sensor, plugin in plain.sensors.items():
        if "size" in plugin.tree:
            overrides[f"sensors.{sensor}.size"] = "[48,36]"
            overrides[f"sensors.{sensor}.rate"] = "3"
    return load(source, {**overrides, **{key.replace("__", "."): value for key, value in changes.items()}})


def with_certain_faults(name: str, **changes: str) -> Scenario:
    """Return the scenario with every fault that has a chance made certain, and begun well after the start."""
    plain = scenario_named(name)
    for i, fault in enumerate(plain.tree["faults"]):
        changes.setdefault(f"faults__{i}__at", repr(0.4 * plain.duration))
        if "chance" in fault:
            changes.setdefault(f"faults__{i}__chance", "1")
    return scenario_named(name, **changes)


def without_settings(room: str, kind: str) -> bool:
    """Say whether a plug-in can be used with its defaults alone."""
    try:
        declares(catalog.find(room, kind)).settings.model_validate({})
    except ValidationError:
        return False
    return True


@cache
def names(*, variants: bool = False) -> tuple[str, ...]:
    """Return every scenario of the library, its variants too where asked for, and the tests' own."""
    found = [*OWN_SCENARIOS]
    for entry in catalog.entries("scenarios"):
        found += [entry.name, *(f"{entry.name}:{name}" for name in entry.variants if variants)]
    return tuple(found)


def few(found: Sequence[str]) -> list[Any]:
    """Return the names, all but one of each world's marked as slow: a world has to keep its contract, not each story.

    What a robot's scenarios have in common stands before the first `_` of their names; others have their folder.
    """
    worlds: dict[str, list[str]] = {}
    for name in found:
        worlds.setdefault(name.partition("_" if name.startswith("robots/") else "/")[0], []).append(name)
    kept = {of_world[0] for of_world in worlds.values()}
    return [name if name in kept else pytest.param(name, marks=pytest.mark.slow) for name in found]


def available(room: str, kind: str) -> None:
    """Skip what cannot be tried because a library is not installed."""
    try:
        catalog.check_needs(room, kind, declares(catalog.find(room, kind, PLUGINS)).needs)
    except CatalogError as error:
        pytest.skip(error.message)


def worlds_available(scenario: Scenario) -> None:
    """Skip what cannot be tried because a library is not installed that a world of the scenario needs."""
    for plugin in scenario.plugins():
        if plugin.room == "simulators":
            available(plugin.room, plugin.kind)


def built(plugin: PlugIn, draws: Sequence[Draw]) -> Any:
    return construct(world_class(plugin), plugin.settings_for(draws[0].values))


def batches(scenario: Scenario, draws: Sequence[Draw]) -> Iterator[list[Draw]]:
    size = batch_size(scenario)
    yield from (list(draws[k : k + size]) for k in range(0, len(draws), size))


def streams_of(draws: Sequence[Draw]) -> list[Streams]:
    return [Streams(d.seed, d.run) for d in draws]


def chunks(world: Any, scenario: Scenario, draws: Sequence[Draw], cuts: Sequence[float]) -> list[Chunk]:
    """Play a world without an agent, cut at parts of its duration."""
    found = [world.start(draws, streams_of(draws))]
    for until in [*sorted(part / 3 * scenario.duration for part in cuts), scenario.duration]:
        found.append(advanced(world, found[-1], until))
        if found[-1].over.all():
            break
    return found


def story(world: Any, scenario: Scenario, draws: Sequence[Draw]) -> list[str]:
    """Return a digest of all that a world tells of each run."""
    hashes = RunDigests(len(draws))
    for chunk in chunks(world, scenario, draws, ODD):
        tables = {"events": chunk.events, **{f"truth/{name}": table for name, table in chunk.tables.items()}}
        hashes.add(Record(np.array([d.run for d in draws]), chunk.start, chunk.end, tables))
    measures, labels = world.outcome()
    hashes.add(Record(np.array([d.run for d in draws]), 0.0, 0.0, {"runs": measures, "labels": labels}, last=True))
    return hashes.finish()


# -- every plug-in ----------------------------------------------------------------------------------------------------


def types_of(schema: Mapping[str, Any]) -> dict[str, str]:
    """Return the type of each column; where a world takes text, codes of names say the same in less time."""
    return {name: "text" if column.dtype == "category" else column.dtype for name, column in schema.items()}


EVERY = [(room, kind) for room in catalog.ROOMS for kind in kinds(room)]


@pytest.mark.parametrize(("room", "kind"), EVERY)
def test_a_plug_in_says_what_it_is_and_takes_exact_settings(room: str, kind: str):
    plugin = catalog.find(room, kind)
    sockets = {"simulators": Simulator, "sensors": Sensor, "renderers": Renderer, "agents": Agent, "writers": Writer,
               "exporters": Exporter}  # fmt: skip
    if room in sockets:
        methods = {name for name, value in vars(sockets[room]).items() if inspect.isfunction(value) and name[0] != "_"}
        # a renderer without `cast` serves cameras alone
        assert methods - {"cast"} == set(catalog.ROOMS[room]), "the catalog asks for what the protocol says"
        assert not [name for name in methods if not callable(getattr(plugin, name, None))]
    assert (sys.modules[plugin.__module__].__doc__ or "").strip()
    settings = declares(plugin).settings
    assert issubclass(settings, BaseModel)
    assert settings.model_config.get("extra") == "forbid"
    assert settings.model_config.get("frozen") is True
    with pytest.raises(ValidationError):
        settings.model_validate({"no_such_setting": 1})
    silent = [name for name, field in settings.model_fields.items() if not field.description]
    assert not silent, "a setting without a description is a key that nobody can use"


# -- simulators -------------------------------------------------------------------------------------------------------


def test_every_world_has_a_scenario():
    played = {plugin.kind for name in names() if name not in OWN_SCENARIOS for plugin in library(name).plugins()}
    assert {entry.name for entry in catalog.entries("simulators")} <= played


UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def seconds(table: Table, t: Any) -> Any:
    """Return times in seconds; a table may count in whole microseconds."""
    return t * UNITS[table.schema["t"].unit]


def check_table(table: Table, runs: int, start: float, end: float, ends: Any, *, first: bool) -> None:
    """Check that each run's rows are sorted and lie in (start, end], or AT the start for a first chunk."""
    assert table.runs == runs
    assert table.schema["t"].role == "time"
    for name, column in table.schema.items():
        assert table.columns[name].dtype == column.storage
        if column.dtype == "category" and len(table):
            assert table.columns[name].min() >= -1
            assert table.columns[name].max() < len(column.names)
    for i in range(runs):
        t = seconds(table, table.run(i)["t"])
        assert (np.diff(t) >= 0).all()
        if len(t):
            assert t[-1] <= min(end, ends[i])
            assert t[0] == 0.0 if first else t[0] > start, "a row AT a border belongs to the chunk before it"


def schema_of(table: Table) -> Schema:
    return dict(table.schema)


@pytest.mark.parametrize("name", few(names(variants=True)))
def test_a_world_tells_its_truth_in_order(name: str):
    scenario = with_certain_faults(name)
    worlds_available(scenario)
    for draws in batches(scenario, draw(scenario, np.arange(3))):
        world = built(scenario.simulator, draws)
        told = chunks(world, scenario, draws, ODD)
        first, runs = told[0], len(draws)
        assert (first.start, first.end) == (0.0, 0.0)
        assert not first.over.any()
        before = None
        ended = np.full(runs, np.inf)
        for chunk in told:
            if before is not None:
                assert chunk.start == before.end <= chunk.end <= scenario.duration
                assert (chunk.over >= before.over).all(), "no run rises from the dead"
                assert {key: schema_of(t) for key, t in chunk.tables.items()} == {
                    key: schema_of(t) for key, t in before.tables.items()
                }, "the same columns in every chunk, also in an empty one"
            for table in (chunk.events, *chunk.tables.values()):
                check_table(table, runs, chunk.start, chunk.end, np.minimum(chunk.ends, ended), first=chunk is first)
            assert (chunk.ends[~chunk.over] == chunk.end).all()
            ended = np.where(chunk.over & np.isinf(ended), chunk.ends, ended)
            for part in (chunk, *chunk.parts.values()):
                check_motion(part, runs)
            before = chunk
        check_events(told, draws, scenario.simulator.declared.events)
        check_outcome(scenario, world, draws)
        world.close()


def check_motion(chunk: Chunk, runs: int) -> None:
    """Check that bodies move from the chunk's start to its end, all of the scene that move and no others."""
    if chunk.motion is None:
        return
    n, bodies = len(chunk.motion.t), len(chunk.motion.bodies)
    assert chunk.motion.t[0] == chunk.start
    assert chunk.motion.t[-1] == chunk.end
    assert (np.diff(chunk.motion.t) > 0).all()
    assert chunk.motion.pose.shape == (runs, n, bodies, 7)
    assert chunk.motion.velocity.shape == (runs, n, bodies, 6)
    lengths = np.sum(chunk.motion.pose[..., 3:] ** 2, axis=-1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6, err_msg="quaternions, single precision at least")
    assert len(chunk.scenes) == runs
    assert [body.name for body in chunk.scenes[0].bodies if body.moving] == list(chunk.motion.bodies)


def check_events(told: Sequence[Chunk], draws: Sequence[Draw], declared: Sequence[str]) -> None:
    """Check that causes form a forest: a parent is an earlier event, or a fault that was planned.

    A world that declares which kinds of event it tells tells no other.
    """
    kinds = {kind for chunk in told for kind in chunk.events.columns["kind"]}
    assert not declared or kinds <= set(declared)
    for i, d in enumerate(draws):
        known = {""} | {fault.fault_id for fault in d.faults}
        for chunk in told:
            rows = chunk.events.run(i)
            for event, parent, details in zip(rows["event_id"], rows["parent_id"], rows["details"], strict=True):
                assert parent in known
                assert event not in known, "an id stands for one thing"
                known.add(event)
                assert isinstance(json.loads(details), dict)


def check_outcome(scenario: Scenario, world: Any, draws: Sequence[Draw]) -> None:
    measures, labels = world.outcome()
    assert len(measures) == measures.runs == len(draws)
    declared = scenario.simulator.declared.measures
    assert {name: measures.schema[name].dtype for name in declared} == {n: c.dtype for n, c in declared.items()}
    own = {"event": "bool", "margin": "float64", "verdict": "text", "reason": "text"}
    assert {name: measures.schema[name].dtype for name in own} == own
    assert set(measures.schema) == {*declared, *own}, "what a world measures it declares"
    assert all(measures.columns["verdict"])
    assert all(measures.columns["reason"])
    check_labels(labels, draws)


def check_labels(labels: Table, draws: Sequence[Draw]) -> None:
    assert dict(labels.schema) == dict(LABELS)
    assert labels.runs == len(draws)
    for i in range(labels.runs):
        rows = labels.run(i)
        assert all(re.fullmatch(r"[\w.]+:\d+", label) for label in rows["label_id"]), rows["label_id"]
        assert len(set(rows["label_id"])) == len(rows["label_id"])
        assert all(isinstance(json.loads(causes), list) for causes in rows["causes"])
        assert all(rows["class"])
        assert np.isfinite(rows["t_cause"]).all()
        for name in ("t_effect", "t_observable"):
            assert np.isnan(rows[name]).all(), "a world does not know its twin"
        assert not (rows["t_end"] < rows["t_cause"]).any()


@pytest.mark.parametrize("name", few(names()))
def test_a_run_is_the_same_alone_in_any_batch_and_however_it_is_cut(name: str):
    scenario = scenario_named(name, sensors="{}", **no_agent_that_looks(name))
    worlds_available(scenario)
    count = 7 if scenario.simulator.declared.batch > 1 else 2
    draws = draw(scenario, np.arange(count))
    alone = {run: digest for d in draws for run, digest in digests(scenario, [d]).items()}
    for size in {min(2, scenario.simulator.declared.batch), min(7, scenario.simulator.declared.batch)}:
        cuts = [part / 3 * scenario.duration for part in ODD]
        found: dict[int, str] = {}
        for k in range(0, count, size):
            found |= digests(scenario, draws[k : k + size], cuts)
        assert found == alone
    if scenario.vary:
        assert len(set(alone.values())) == count


def no_agent_that_looks(name: str) -> dict[str, str]:
    """Return what takes faults of sensors out, and an agent that cannot do without them."""
    scenario = scenario_named(name)
    planned = [fault for fault in scenario.tree["faults"] if not fault["target"].startswith("sensors.")]
    agent = scenario.agent
    looks = agent is not None and set(agent.declared.reads_with(agent.settings)) - {"truth"}
    return {"faults": json.dumps(planned), **({"agent": "null"} if looks else {})}


@pytest.mark.parametrize("name", few(names()))
def test_a_world_forgets_its_last_runs(name: str):
    scenario = with_certain_faults(name)
    worlds_available(scenario)
    draws = [replace(d, values=draw(scenario, [0])[0].values) for d in draw(scenario, np.arange(2))]
    used = built(scenario.simulator, draws)
    first = story(used, scenario, draws[:1])
    other = story(used, scenario, draws[1:])
    assert story(used, scenario, draws[:1]) == first
    assert story(built(scenario.simulator, draws), scenario, draws[1:]) == other


@pytest.mark.parametrize("name", few(names()))
def test_a_twin_equals_its_run_before_the_first_cause(name: str):
    scenario = with_certain_faults(name)
    worlds_available(scenario)
    compared = 0
    for d in draw(scenario, np.arange(2)):
        if not d.faults:
            continue
        cause = min(fault.onset for fault in d.faults)
        mine, its = (list(play(scenario, [one])) for one in (d, twin(d)))
        paths = {path for record in mine for path in record.tables if not record.last}
        for path in sorted(paths):
            a, b = rows_of(mine[:-1], path), rows_of(its[:-1], path)
            table = next(record.tables[path] for record in mine if path in record.tables)
            k = int(np.searchsorted(seconds(table, a["t"]), cause))
            compared += k
            for column in a:
                np.testing.assert_array_equal(a[column][:k], b[column][:k], err_msg=f"{path}.{column}")
        for a, b in zip(mine, its, strict=False):
            for path in a.frames.keys() & b.frames.keys():
                (these,), (those,) = a.frames[path], b.frames[path]
                early = min(int(np.searchsorted(frames.t, cause)) for frames in (these, those))
                for key, images in these.passes.items():
                    np.testing.assert_array_equal(images[:early], those.passes[key][:early], err_msg=path)
    assert compared or not scenario.faults


# -- sensors ----------------------------------------------------------------------------------------------------------


def scene_for(kind: str) -> tuple[str, str]:
    """Return a scenario of the library that uses a sensor, and what the sensor is called there."""
    for name in names():
        for sensor, plugin in library(name).sensors.items():
            path = str(PLUGINS / plugin.kind) if name == "wander" else plugin.kind
            if path == kind:
                return name, sensor
    pytest.fail(f"no scenario of the library uses the sensor {kind!r}: its contract cannot be tried")


SENSORS = kinds("sensors")


@cache
def truth_for(kind: str, duration: str = "") -> tuple[Scenario, str, tuple[Draw, ...], tuple[tuple[Chunk, ...], ...]]:
    """Return whole runs that a sensor may look at: cut at odd times, several runs in each chunk."""
    name, sensor = scene_for(kind)
    scenario = scenario_named(name, faults="[]", **({"duration": duration} if duration else {}))
    worlds_available(scenario)
    draws = draw(scenario, np.arange(6))
    kept: list[Draw] = []
    alone = []
    for d in draws:
        told = chunks(built(scenario.simulator, [d]), scenario, [d], ODD)
        if not told[-1].over.any() and len(kept) < 3:  # runs of one length can stand side by side
            kept.append(d)
            alone.append(told)
    assert len(kept) >= 2
    return scenario, sensor, tuple(kept), tuple(tuple(told) for told in zip(*alone, strict=True))


def side_by_side(parts: Sequence[Chunk]) -> Chunk:
    """Return one chunk of several runs that were played alone."""
    head = parts[0]

    def joined(tables: Sequence[Table]) -> Table:
        return Table.of(tables[0].schema, [table.run(0) for table in tables])

    motion = head.motion
    if motion is not None:
        moved = [part.motion for part in parts if part.motion is not None]
        pose, velocity = (np.concatenate([getattr(m, key) for m in moved]) for key in ("pose", "velocity"))
        motion = Motion(motion.bodies, motion.t, pose, velocity)
    return Chunk(
        head.start, head.end, np.concatenate([p.ends for p in parts]), np.concatenate([p.over for p in parts]),
        joined([p.events for p in parts]), {name: joined([p.tables[name] for p in parts]) for name in head.tables},
        motion, tuple(scene for part in parts for scene in part.scenes), continues=head.continues,
    )  # fmt: skip


def renderer_of(plugin: PlugIn) -> Any:
    if plugin.renderer is None:
        return None
    available("renderers", plugin.renderer.kind)
    return construct(plugin.renderer.cls, plugin.renderer.settings)


def readings(
    plugin: PlugIn, name: str, draws: Sequence[Draw], seen: Sequence[Chunk], settings: BaseModel | None = None
) -> tuple[list[Reading], Table, list[Streams]]:
    sensor = construct(plugin.cls, settings or plugin.settings)
    streams = streams_of(draws)
    renderer = renderer_of(plugin)
    sensor.start(name, draws, streams)
    found = [sensor.read(chunk, renderer) for chunk in seen]
    return found, sensor.labels(), streams


def digest_of(found: Sequence[Reading], labels: Table, runs: int) -> list[str]:
    hashes = RunDigests(runs)
    for reading in found:
        tables = {f"read/{key}": table for key, table in reading.tables.items()}
        tables |= {f"labels/{key}": table for key, table in reading.labels.items()}
        frames = {}
        for prefix, given in (("read", reading.frames), ("labels", reading.label_frames)):
            for key in given[0].passes if given else ():
                frames[f"{prefix}/{key}"] = tuple(replace(f, passes={key: f.passes[key]}) for f in given)
        hashes.add(Record(np.arange(runs), 0.0, 0.0, tables, frames))
    hashes.add(Record(np.arange(runs), 0.0, 0.0, {"labels": labels}, last=True))
    return hashes.finish()


def faulty(draws: Sequence[Draw], plugin: PlugIn, name: str, duration: float) -> list[Draw]:
    """Return the draws with one fault of each kind that a sensor knows, one after the other."""
    known = plugin.declared.faults
    width = duration / (2 * len(known) + 1) if known else 0.0
    faults = tuple(
        Fault(f"fault:{i}", f"sensors.{name}", kind, (2 * i + 1) * width, (2 * i + 1.9) * width, about.default)
        for i, (kind, about) in enumerate(known.items())
    )
    return [replace(d, faults=faults) for d in draws]


@pytest.mark.parametrize("kind", SENSORS)
def test_a_sensor_reads_the_same_alone_side_by_side_and_however_time_is_cut(kind: str):
    scenario, name, draws, told = truth_for(kind)
    plugin = scenario.sensors[name]
    draws = tuple(faulty(draws, plugin, name, scenario.duration))
    together = [side_by_side(parts) for parts in told]
    found = readings(plugin, name, draws, together)
    cut = digest_of(found[0], found[1], len(draws))
    found = readings(plugin, name, draws, [together[0], join_chunks(together[1:])])
    assert digest_of(found[0], found[1], len(draws)) == cut
    for i, d in enumerate(draws):
        found = readings(plugin, name, [d], [told[0][i], join_chunks([parts[i] for parts in told[1:]])])
        assert digest_of(found[0], found[1], 1) == [cut[i]]


@pytest.mark.parametrize("kind", SENSORS)
def test_every_tick_of_a_sensors_clock_is_there_once(kind: str):
    scenario, name, draws, told = truth_for(kind)
    plugin = scenario.sensors[name]
    rate = getattr(plugin.settings, "rate", None)
    if rate is None:
        pytest.skip("it has no clock of its own")
    found, _, _ = readings(plugin, name, draws, [side_by_side(parts) for parts in told])
    ticks = np.arange(int(np.floor(scenario.duration * rate + 1e-9)) + 1) / rate
    assert all(table.schema["t"].role == "time" for reading in found for table in reading.tables.values())
    for i in range(len(draws)):
        rows = [reading.tables[""].run(i) for reading in found]
        measured = "t_measured" if "t_measured" in rows[0] else "t"
        told_at = np.concatenate([row[measured] for row in rows])
        if "track" in rows[0]:  # a list has as many rows as there are objects, and the last ones are still under way
            assert np.isin(told_at, ticks).all()
        else:
            np.testing.assert_array_equal(told_at, ticks)
        for chunk, row in zip(told, rows, strict=True):
            assert ((row["t"] > chunk[i].start) | chunk[i].first).all()
            assert (row["t"] <= chunk[i].end).all()


@pytest.mark.parametrize("kind", SENSORS)
def test_a_sensor_labels_each_of_its_faults(kind: str):
    scenario, name, draws, told = truth_for(kind)
    plugin = scenario.sensors[name]
    planned = faulty(draws, plugin, name, scenario.duration)
    _, labels, _ = readings(plugin, name, planned, [side_by_side(parts) for parts in told])
    check_labels(labels, draws)
    for i, d in enumerate(planned):
        rows = labels.run(i)
        assert [json.loads(causes) for causes in rows["causes"]] == [[fault.fault_id] for fault in d.faults]
        assert list(rows["target"]) == [f"sensors.{name}"] * len(d.faults)
        assert list(rows["t_cause"]) == [fault.onset for fault in d.faults]
        assert all(kind in path for kind, path in zip(plugin.declared.faults, rows["class"], strict=True))
        assert all(label.startswith(f"{name}:") for label in rows["label_id"])
    _, none, _ = readings(plugin, name, draws, [side_by_side(parts) for parts in told])
    assert len(none) == 0


def states(streams: Sequence[Streams], name: str) -> list[Any]:
    return [stream(name).bit_generator.state for stream in streams]


@pytest.mark.parametrize("kind", SENSORS)
def test_a_sensor_draws_as_often_whatever_its_settings_and_faults(kind: str):
    scenario, name, draws, told = truth_for(kind)
    plugin = scenario.sensors[name]
    seen = [side_by_side(parts) for parts in told]
    _, _, streams = readings(plugin, name, draws, seen)
    expected = states(streams, name)
    _, _, streams = readings(plugin, name, faulty(draws, plugin, name, scenario.duration), seen)
    assert states(streams, name) == expected
    _, _, streams = readings(plugin, name, draws, seen[:3])
    expected = states(streams, name)
    own = [k for k, value in plugin.settings if isinstance(value, float) and k != "rate"]  # a rate may say how often
    for field in own:
        for other in (0.0, 2 * getattr(plugin.settings, field) + 1e-3):
            try:
                changed = type(plugin.settings).model_validate({**plugin.settings.model_dump(), field: other})
            except ValidationError:
                continue
            _, _, streams = readings(plugin, name, draws, seen[:3], changed)
            assert states(streams, name) == expected, f"{field} = {other} changes how often it draws"


@pytest.mark.parametrize("kind", SENSORS)
def test_one_more_sensor_changes_nobody_elses_readings(kind: str):
    name, sensor = scene_for(kind)
    scenario = scenario_named(name, faults="[]")
    worlds_available(scenario)
    tree = {**scenario.sensors[sensor].tree, "kind": kind}
    more = scenario_named(name, faults="[]", sensors__another=json.dumps(tree))
    assert set(more.sensors) == {*scenario.sensors, "another"}
    few = list(play(scenario, draw(scenario, [0])))
    many = list(play(more, draw(more, [0])))
    for record in few[:-1]:
        for path in record.tables:
            a, b = rows_of(few[:-1], path), rows_of(many[:-1], path)
            assert all(np.array_equal(a[key], b[key], equal_nan=a[key].dtype.kind == "f") for key in a), path


# -- renderers --------------------------------------------------------------------------------------------------------


@cache
def something_to_see() -> tuple[Scene, np.ndarray, np.ndarray]:
    """Return a scene of the library with poses at three times, and a camera's poses behind the first body."""
    for name in names():
        scenario = scenario_named(name)
        worlds_available(scenario)
        draws = draw(scenario, [0])
        told = chunks(built(scenario.simulator, draws), scenario, draws, [])
        if told[-1].motion is None:
            continue
        scene, motion = told[-1].scenes[0], told[-1].motion
        places = np.linspace(0, len(motion.t) - 1, 3).astype(int)
        pose = np.zeros((3, len(scene.bodies), 7))
        pose[..., 6] = 1.0
        for i, body in enumerate(motion.bodies):
            pose[:, scene.index(body)] = motion.pose[0, places, i]
        eye = motion.pose[0, places, 0].copy()
        eye[:, 0] -= 12.0
        eye[:, 2] = 3.0
        return scene, pose, eye
    pytest.skip("no world of the library has bodies")


@pytest.mark.parametrize("kind", kinds("renderers"))
def test_a_renderer_gives_the_same_bytes_for_the_same_scene_in_the_declared_shapes(kind: str):
    available("renderers", kind)
    plugin = catalog.find("renderers", kind)
    scene, pose, eye = something_to_see()
    t = np.arange(3.0)
    passes = ("rgb", "depth", "instance")
    camera = Camera((40, 30), 1.2, eye, passes)
    drawing = construct(plugin, declares(plugin).settings())
    first = drawing.draw(scene, t, pose, camera)
    np.testing.assert_array_equal(first.t, t)
    plain = (3, 30, 40)
    wanted = {"rgb": (np.uint8, (*plain, 3)), "depth": (np.float32, plain), "instance": (np.uint16, plain)}
    assert {name: (image.dtype, image.shape) for name, image in first.passes.items()} == wanted
    ids = set(np.unique(first.passes["instance"]).tolist())
    assert len(ids) > 1, "the scene is in view"
    assert max(ids) <= len(scene.bodies)
    assert (first.passes["depth"] > 0).all()
    drawing.draw(scene, t[:1], pose[2:], replace(camera, pose=eye[:1] + np.array([3, 1, 0.5, 0, 0, 0, 0])))
    again = drawing.draw(scene, t, pose, camera)
    alone = [drawing.draw(scene, t[i : i + 1], pose[i : i + 1], replace(camera, pose=eye[i : i + 1])) for i in range(3)]
    fewer = {name: drawing.draw(scene, t, pose, replace(camera, passes=(name,))) for name in passes}
    fresh = construct(plugin, declares(plugin).settings()).draw(scene, t, pose, camera)
    for name, image in first.passes.items():
        np.testing.assert_array_equal(again.passes[name], image)
        np.testing.assert_array_equal(fresh.passes[name], image)
        np.testing.assert_array_equal(np.concatenate([one.passes[name] for one in alone]), image)
        assert set(fewer[name].passes) == {name}
        np.testing.assert_array_equal(fewer[name].passes[name], image)
    nothing = drawing.draw(scene, t[:0], pose[:0], replace(camera, pose=eye[:0]))
    assert {name: (i.dtype, i.shape[1:]) for name, i in nothing.passes.items()} == {
        name: (dtype, shape[1:]) for name, (dtype, shape) in wanted.items()
    }
    drawing.close()


# -- agents -----------------------------------------------------------------------------------------------------------


def stage_for(kind: str) -> tuple[str, dict[str, str]]:
    """Return a scenario in which an agent can act: one that names it, else one whose world gets along with it."""
    for name in names():
        scenario = library(name)
        path = scenario.agent and (str(PLUGINS / scenario.agent.kind) if name == "wander" else scenario.agent.kind)
        if path == kind:
            return name, {}
    if not without_settings("agents", kind):
        pytest.skip("no scenario of the library names it, and it has settings without defaults: its own tests play it")
    told = declares(catalog.find("agents", kind))
    reads = set(told.reads_with(told.settings()))
    for name in names():
        scenario = library(name)
        if scenario.agent and name != "wander" and reads <= {"truth", *scenario.sensors}:
            return name, {"agent": json.dumps({"kind": kind})}
    pytest.fail(f"no scenario of the library has a place for the agent {kind!r}")


@pytest.mark.parametrize("kind", kinds("agents"))
def test_an_agent_answers_in_the_columns_of_its_world_and_forgets(kind: str, monkeypatch: pytest.MonkeyPatch):
    name, changes = stage_for(kind)
    scenario = scenario_named(name, **changes)
    worlds_available(scenario)
    assert scenario.agent is not None
    cls = scenario.agent.cls
    said: list[tuple[float, Mapping[str, Any], np.ndarray]] = []
    act = cls.act

    def spy(self: Any, given: Any, t: float, live: Any) -> Any:
        commands = act(self, given, t, live)
        np.testing.assert_array_equal(commands.live, live)
        wanted = scenario.simulator.declared.commands
        assert types_of(commands.table.schema) == types_of(wanted)
        assert not np.diff(commands.table.offsets)[~live].any(), "nobody drives a run that is over"
        said.append((t, dict(commands.table.columns), np.diff(commands.table.offsets)))
        return commands

    monkeypatch.setattr(cls, "act", spy)
    draws = draw(scenario, np.arange(3))
    used, fresh = (construct(cls, scenario.agent.settings) for _ in range(2))

    def session(d: Draw, agent: Any) -> list[Any]:
        """Play one run with an agent that may have been used before, and return all that it said."""
        said.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mischance.play.agents.construct", keep(agent, cls))
            list(play(scenario, [d]))
        return [(t, {k: v.tolist() for k, v in columns.items()}, rows.tolist()) for t, columns, rows in said]

    first, other, again = session(draws[0], used), session(draws[1], used), session(draws[0], used)
    assert first
    assert first[0][0] == 0.0
    rate = scenario.agent.declared.rate_with(scenario.agent.settings)
    np.testing.assert_array_equal([t for t, _, _ in first], np.arange(len(first)) / rate)
    assert again == first
    assert other == session(draws[1], fresh)


def keep(agent: Any, cls: type[Any]) -> Any:
    return lambda wanted, settings: agent if wanted is cls else construct(wanted, settings)


# -- writers ----------------------------------------------------------------------------------------------------------


@cache
def written_scenario() -> Scenario:
    """Return a scenario with images, where there is one, to be written in every format at once."""
    formats = json.dumps([kind for kind in kinds("writers") if without_settings("writers", kind)])
    for name in names():
        scenario = library(name)
        if any("size" in plugin.tree for plugin in scenario.sensors.values()):
            worlds_available(scenario)
            return scenario_named(name, write=formats, duration="0.7 s")
    return scenario_named("wander", write=formats)


RUNS = 5


def test_what_a_writer_writes_does_not_depend_on_jobs_or_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scenario = written_scenario()
    jobs.sweep(scenario, RUNS, tmp_path / "large", workers=0)
    monkeypatch.setattr(jobs, "FIRST", 1)
    monkeypatch.setattr(jobs, "TARGET", 0.0)
    jobs.sweep(scenario, RUNS, tmp_path / "small", workers=0)
    large, small = content(tmp_path / "large"), content(tmp_path / "small")
    assert (tmp_path / "large" / "manifest.json").read_bytes() == (tmp_path / "small" / "manifest.json").read_bytes()
    for found in (large, small):
        del found["ledger.sqlite"]
    assert large == small
    jobs.sweep(scenario, RUNS, tmp_path / "shards", workers=0, shard=2)
    shards = content(tmp_path / "shards")
    describes = {"README.md", "manifest.json", "ledger.sqlite"}
    files = {name: text for name, text in large.items() if not name.endswith(".parquet") and name not in describes}
    assert {name: shards.get(name) for name in files} == files
    assert all(jobs.replay(tmp_path / "shards", run).identical for run in (0, RUNS - 1))
    assert stored(tmp_path / "shards") == stored(tmp_path / "large")


def stored(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table, joined over its shards."""
    import pyarrow.parquet as pq

    found: dict[str, list[dict[str, Any]]] = {}
    for file in sorted(out.rglob("*.parquet")):
        rows = pq.read_table(file).to_pylist()
        found.setdefault(str(file.parent.relative_to(out)), []).extend(rows)
    return {path: [{k: repr(v) for k, v in row.items()} for row in rows] for path, rows in found.items()}


# -- the laws themselves ----------------------------------------------------------------------------------------------


def remembers(start: Any) -> Any:
    """Return a `start` that keeps what an earlier run left in `_peak` or `_last`."""

    def wrong(self: Any, *given: Any) -> Any:
        kept = {name: getattr(self, name) for name in ("_peak", "_last") if hasattr(self, name)}
        told = start(self, *given)
        for name, value in kept.items():
            setattr(self, name, value)
        return told

    return wrong


def changed(table: Table, name: str, by: float) -> Table:
    return Table(table.schema, {**table.columns, name: table.columns[name] + by}, table.offsets)


def feels_its_neighbours(advance: Any) -> Any:
    def wrong(self: Any, until: float, commands: Any) -> Chunk:
        told = advance(self, until, commands)
        return replace(told, tables={"signal": changed(told.tables["signal"], "x", 1e-12 * len(self._draws))})

    return wrong


def feels_its_cuts(advance: Any) -> Any:
    def wrong(self: Any, until: float, commands: Any) -> Chunk:
        told = advance(self, until, commands)
        return replace(told, tables={"signal": changed(told.tables["signal"], "x", 1e-12 * told.start)})

    return wrong


def shows_its_faults(advance: Any) -> Any:
    def wrong(self: Any, until: float, commands: Any) -> Chunk:
        told = advance(self, until, commands)
        planned = sum(len(d.faults) for d in self._draws)
        return replace(told, tables={"signal": changed(told.tables["signal"], "x", 1e-12 * planned)})

    return wrong


def goes_on_too_long(advance: Any) -> Any:
    def wrong(self: Any, until: float, commands: Any) -> Chunk:
        return replace(advance(self, until, commands), ends=np.full(len(self._draws), until - 0.1))

    return wrong


def draws_for_faults(read: Any) -> Any:
    def wrong(self: Any, chunk: Chunk, renderer: Any) -> Reading:
        for rng, d in zip(self._rng, self._draws, strict=True):
            rng.normal(size=len(d.faults))
        return read(self, chunk, renderer)

    return wrong


def misses_a_tick(read: Any) -> Any:
    def wrong(self: Any, chunk: Chunk, renderer: Any) -> Reading:
        table = read(self, chunk, renderer).tables[""]
        keep = np.ones(len(table), bool)
        keep[-1:] = False
        return Reading({"": table.take(keep)})

    return wrong


def silent(labels: Any) -> Any:
    return lambda self: Table.empty(LABELS, len(self._draws))


PROBE, DAMPER, DRIFT = (f"{PLUGINS}/{name}" for name in ("probe.py:Probe", "damper.py:Damper", "drift.py:Drift"))
BREACHES = [
    (test_a_world_forgets_its_last_runs, "wander", "simulators", DRIFT, "start", remembers),
    (test_a_run_is_the_same_alone_in_any_batch_and_however_it_is_cut, "wander", "simulators", DRIFT, "advance",
     feels_its_neighbours),
    (test_a_run_is_the_same_alone_in_any_batch_and_however_it_is_cut, "wander", "simulators", DRIFT, "advance",
     feels_its_cuts),
    (test_a_world_tells_its_truth_in_order, "wander", "simulators", DRIFT, "advance", goes_on_too_long),
    (test_a_twin_equals_its_run_before_the_first_cause, "wander", "simulators", DRIFT, "advance", shows_its_faults),
    (test_a_sensor_draws_as_often_whatever_its_settings_and_faults, PROBE, "sensors", PROBE, "read", draws_for_faults),
    (test_every_tick_of_a_sensors_clock_is_there_once, PROBE, "sensors", PROBE, "read", misses_a_tick),
    (test_a_sensor_reads_the_same_alone_side_by_side_and_however_time_is_cut, PROBE, "sensors", PROBE, "read",
     misses_a_tick),
    (test_a_sensor_labels_each_of_its_faults, PROBE, "sensors", PROBE, "labels", silent),
]  # fmt: skip


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: breach[-1].__name__)
def test_the_contracts_can_be_broken(breach: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch):
    law, subject, room, kind, method, wrong = breach
    plugin = catalog.find(room, kind)
    monkeypatch.setattr(plugin, method, wrong(getattr(plugin, method)))
    with pytest.raises(AssertionError):
        law(subject)


def test_an_agent_that_remembers_is_found(monkeypatch: pytest.MonkeyPatch):
    plugin = catalog.find("agents", DAMPER)
    act = plugin.act

    def tires(self: Any, given: Any, t: float, live: Any) -> Any:
        self.turns = getattr(self, "turns", 0) + 1
        commands = act(self, given, t, live)
        return replace(commands, table=changed(commands.table, "push", 1e-12 * self.turns))

    monkeypatch.setattr(plugin, "act", tires)
    with pytest.raises(AssertionError), pytest.MonkeyPatch.context() as inner:
        test_an_agent_answers_in_the_columns_of_its_world_and_forgets(DAMPER, inner)
