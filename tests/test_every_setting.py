"""Every setting of every plug-in changes something: one that can be changed without any effect fails by name.

Settings are found in the plug-ins' models, so a new one needs no entry: it has to show in one of the scenes that its
kind of plug-in is tried in. Where none shows it, one more scene (tests/setting_stages.py) or value (`VALUES`) does.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field, ValidationError

from mischance.api.protocols import Declared, declares
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Record
from mischance.api.scene import Frames
from mischance.api.tables import Table
from mischance.dataset.digest import RunDigests
from mischance.errors import MischanceError
from mischance.language import catalog
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.constructing import construct
from mischance.play.episode import advanced
from mischance.play.player import Player
from tests.language.test_every_option import WITNESSES
from tests.plugin_settings import Spot, Value, changed, declared, names, others, spots
from tests.setting_stages import MEETINGS, STAGES, Stage
from tests.test_contracts import available, digest_of, kinds, readings, scene_for, truth_for, without_settings

# What a setting is changed to where nothing near its value shows.
VALUES: Mapping[str, Mapping[str, Sequence[Value]]] = {
    "fleet_dispatch": {"Settings.vehicles": ["agv9"]},
    "warehouse": {"People.look": [30.0]},
    "imu": {"Settings.mount": ["intruder.imu"], "Settings.gyro_range": [1e-5]},
    "camera": {"Settings.mount": ["ego"], "Settings.passes": ["depth", "rgb"], "Settings.min_pixels": [2000]},
    "objects": {"Settings.carrier": ["lead"], "Settings.view": [0.01]},
    "wrench": {"Settings.source": ["other wrench"]},
}
OF_DRIVERS: Mapping[str, Sequence[Value]] = {"Settings.sensor": ["list"]}
# Settings in which others of an agent matter.
MORE: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "aeb": [{"driver": 3.0, "latency": 0.0, "reaction": 0.3}],
    "r157_driver": [{"evaluation": "distance"}, {"emergency": "ttc"}],
    "r157_performance": [{"intrusion": "gap"}],
    "imu": [{"accelerometer_bias": 0.1, "gyro_bias": 0.1}],
    "objects": [{"ghosts": 5.0, "misses": 0.1}, {"carrier": "lead"}],
    "camera": [{}, {"passes": ("rgb", "depth", "instance")}],
}
# Settings that are tried in another file.
APART: Mapping[str, Sequence[str]] = {"camera": ["Settings.renderer"]}  # tests/play/test_renderer_settings.py
DRIVERS = [kind for kind in kinds("agents") if without_settings("agents", kind) and ".py" not in kind]
# The quick tests try one setting in so many of a kind, the slow ones all; 0: the slow ones alone.
ONE_IN: Mapping[str, int] = {"payments": 4, "warehouse": 4, "arm": 0, "wrench": 0, "aeb": 0, "r157_driver": 0}
ONE_IN_OF_DRIVERS = 10
TRIES = 6  # values of one setting in one scene


def witnesses(kind: str, model: BaseModel, wanted: set[str]) -> Iterator[tuple[str, BaseModel]]:
    """Yield settings with one of those wanted changed, a few for each, those of different settings in turn."""
    found: dict[str, list[tuple[int, Spot, Value]]] = {}
    for spot in spots(model):
        if spot.field in wanted:
            values = VALUES.get(kind, OF_DRIVERS).get(spot.field) or others(spot, names(model))
            found.setdefault(spot.field, []).extend((k, spot, value) for k, value in enumerate(values))
    for field, tries in found.items():
        for _, spot, value in sorted(tries, key=lambda one: one[0]):  # of each place in turn
            try:
                yield field, changed(model, spot.path, value)
            except ValidationError:
                continue


def silent(
    kind: str, wanted: Sequence[str], stages: Sequence[tuple[BaseModel, Callable[[Sequence[BaseModel]], Sequence[str]]]]
) -> list[str]:
    """Return the settings that show in no stage. A stage: settings, and a function that plays several of them.

    The first of what is played is the stage itself. A value for which a stage cannot be played is none.
    """
    left = dict.fromkeys(wanted)
    for model, play in stages:
        rounds: list[list[tuple[str, BaseModel]]] = []
        seen: dict[str, int] = {}
        for field, other in witnesses(kind, model, set(left)):
            k = seen[field] = seen.get(field, -1) + 1
            if k < TRIES:
                rounds.extend([[]] if len(rounds) <= k else [])
                rounds[k].append((field, other))
        base = play([model])[0]
        assert base, "a stage that cannot be played shows nothing"
        for tries in rounds:
            fresh = [(field, other) for field, other in tries if field in left]
            for (field, _), story in zip(fresh, play([other for _, other in fresh]), strict=True):
                if story not in ("", base):
                    left.pop(field, None)
    return [*left]


def played(cls: type[Any], about: Declared, stage: Stage, many: Sequence[BaseModel]) -> list[str]:
    """Play a stage with several settings, side by side where a world can; return a digest of each, '' = it cannot."""
    found = [""] * len(many)
    groups: dict[Any, list[int]] = {}
    for i, one in enumerate(many):
        groups.setdefault(about.batch_key(one) if about.batch_key else None, []).append(i)
    for places in groups.values():
        size = about.batch_with(many[places[0]], 1)
        for first in range(0, len(places), size):
            some = places[first : first + size]
            try:
                stories = _together(cls, stage, [many[i] for i in some])
            except MischanceError:
                if len(some) == 1:
                    continue
                stories = [played(cls, about, stage, [many[i]])[0] for i in some]
            for i, story in zip(some, stories, strict=True):
                found[i] = story
    return found


def _together(cls: type[Any], stage: Stage, many: Sequence[BaseModel]) -> list[str]:
    draws = [Draw(7, 0, faults=stage.faults, settings=one, duration=stage.duration) for one in many]
    world, runs = construct(cls, many[0]), np.arange(len(many))
    hashes, poses = RunDigests(len(many)), [hashlib.sha256() for _ in many]
    chunk = world.start(draws, [Streams(7, 0) for _ in many])
    step = declares(cls).max_chunk_seconds
    while True:
        tables = {"events": chunk.events, **chunk.tables, **{f"labels/{key}": t for key, t in chunk.labels.items()}}
        hashes.add(Record(runs, chunk.start, chunk.end, tables))
        for i, digest in enumerate(poses):
            digest.update(b"" if chunk.motion is None else chunk.motion.pose[i].tobytes())
        if chunk.over.all() or chunk.end >= stage.duration - 1e-9:
            break
        before = chunk.end
        chunk = advanced(world, chunk, min(chunk.end + step, stage.duration))
        if chunk.end == before:
            break
    measures, labels = world.outcome()
    hashes.add(Record(runs, 0.0, 0.0, {"runs": measures, "labels": labels}, last=True))
    world.close()
    return [f"{one} {digest.hexdigest()}" for one, digest in zip(hashes.finish(), poses, strict=True)]


def cases(kinds: Sequence[str]) -> list[Any]:
    """Return each kind of plug-in with which of its settings are tried: one in so many."""
    found = []
    for kind in kinds:
        one_in = ONE_IN.get(kind, ONE_IN_OF_DRIVERS if kind in DRIVERS else 1)
        found += [(kind, one_in)] if one_in else []
        found += [pytest.param(kind, 1, marks=pytest.mark.slow)] if one_in != 1 else []
    return found


@pytest.mark.parametrize(("kind", "one_in"), cases([entry.name for entry in catalog.entries("simulators")]))
def test_every_setting_of_a_world_changes_its_runs(kind: str, one_in: int) -> None:
    available("simulators", kind)
    cls = catalog.find("simulators", kind)
    about = declares(cls)
    stages = [
        (about.settings.model_validate(stage.tree), lambda many, stage=stage: played(cls, about, stage, many))
        for stage in STAGES[kind]
    ]
    left = silent(kind, declared(about.settings)[::one_in], stages)
    assert not left, left


# -- agents -----------------------------------------------------------------------------------------------------------

STREET = """
mischance: 1
name: tests/street
duration: 3.5 s
simulator: {kind: road, actors: {ego: {speed: 20 m/s}}}
agent: %s
sensors: {list: {kind: objects, misses: 0.4, rate: 5 Hz}}
"""


@cache
def street(agent: str) -> Scenario:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "street.yaml"
        file.write_text(STREET % agent, encoding="utf-8")
        return load(file)


def driven(kind: str, many: Sequence[BaseModel], meetings: Sequence[Mapping[str, Any]] = MEETINGS) -> list[str]:
    """Return for each setting of an agent what its drives through all meetings measured."""
    plain = street(f"{{kind: {kind}}}" if kind != "program" else "{kind: program, command: [sh]}")
    agent, model = plain.agent, plain.simulator.declared.settings
    assert agent is not None
    draws = [Draw(7, k, settings=model.model_validate(tree), duration=3.5) for k, tree in enumerate(meetings)]
    found = []
    for one in many:
        with Player(replace(plain, agent=replace(agent, settings=one))) as player:
            outcomes = player.outcomes(draws)
        found.append(repr([outcomes.run(k) for k in range(len(draws))]))
    return found


@pytest.mark.parametrize(("kind", "one_in"), cases(DRIVERS))
def test_every_setting_of_a_driver_changes_its_drives(kind: str, one_in: int) -> None:
    model = declares(catalog.find("agents", kind)).settings
    stages = [
        (model.model_validate(tree), lambda many: driven(kind, many))
        for tree in ({}, {"sensor": "list"}, *MORE.get(kind, ()))
        if set(tree) <= set(model.model_fields)
    ]
    left = silent(kind, declared(model)[::one_in], stages)
    assert not left, left


# -- sensors ----------------------------------------------------------------------------------------------------------


def read(kind: str, many: Sequence[BaseModel]) -> list[str]:
    """Return for each setting of a sensor what it reads in one run of its scenario, '' = it refuses."""
    scenario, name, draws, chunks = truth_for(kind)
    told = [with_another_table(parts[0]) for parts in chunks[: 3 if scenario.sensors[name].declared.images else None]]
    found = []
    for one in many:
        try:
            reading, labels, _ = readings(scenario.sensors[name], name, draws[:1], told, one)
        except MischanceError:
            found.append("")
        else:
            found.append(digest_of(reading, labels, 1)[0])
    return found


def with_another_table(chunk: Chunk) -> Chunk:
    """Return a chunk in which every table has a double, `other …`, with half of every number but the time."""
    more = {}
    for name, table in chunk.tables.items():
        halves = {
            key: column * 0.5 if column.dtype == np.float64 and key != "t" else column
            for key, column in table.columns.items()
        }
        more[f"other {name}"] = Table(table.schema, halves, table.offsets)
    return replace(chunk, tables={**chunk.tables, **more})


@pytest.mark.parametrize(("kind", "one_in"), cases([entry.name for entry in catalog.entries("sensors")]))
def test_every_setting_of_a_sensor_changes_its_readings(kind: str, one_in: int) -> None:
    model = declares(catalog.find("sensors", kind)).settings
    scenario, name = truth_for(kind)[0], scene_for(kind)[1]
    own = scenario.sensors[name].settings.model_dump()
    stages = [(model.model_validate(own | dict(tree)), lambda many: read(kind, many)) for tree in MORE.get(kind, [{}])]
    left = silent(kind, [one for one in declared(model)[::one_in] if one not in APART.get(kind, ())], stages)
    assert not left, left


# -- programs, renderers and writers ----------------------------------------------------------------------------------

PROGRAM = """
import json, sys
for line in sys.stdin:
    said = json.loads(line)
    if said["type"] == "observe":
        late = said["frame"] >= int(sys.argv[1])
        brake = {"acceleration": -1.0 * len(said["observation"])} if late else None
        print(json.dumps({"frame": said["frame"], "commands": brake}), flush=True)
"""


@pytest.mark.slow
def test_every_setting_of_a_program_changes_its_drives(tmp_path: Path) -> None:
    (tmp_path / "brake.py").write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "brake.py"), "5"]
    model = declares(catalog.find("agents", "program")).settings
    changes: Mapping[str, Any] = {
        "command": [*command[:2], "9"], "framing": "length", "deadline": 1e-4, "reads": ["truth", "list"], "rate": 10.0,
    }  # fmt: skip
    assert changes.keys() == model.model_fields.keys()
    plain, *others = (
        model.model_validate({"command": command, **change}) for change in ({}, *({k: v} for k, v in changes.items()))
    )
    base, *stories = driven("program", [plain, *others], MEETINGS[:1])
    assert not [key for key, story in zip(changes, stories, strict=True) if story == base]


def test_the_compression_of_images_changes_their_size(tmp_path: Path) -> None:
    shade = np.tile(np.arange(64, dtype=np.uint8)[:, None, None], (1, 64, 3))[None]
    sizes = []
    for level in (0, 9):
        frames = {"sensors/front": (Frames(np.zeros(1), {"rgb": shade}, np.zeros(1, np.int64)),)}
        plugin = catalog.find("writers", "png")
        writer = plugin(declares(plugin).settings(compression=level), tmp_path / str(level))
        writer.write(Record(np.zeros(1, np.int64), 0.0, 0.0, {}, frames))
        writer.close()
        sizes.append(sum(file.stat().st_size for file in (tmp_path / str(level)).rglob("*.png")))
    assert sizes[0] > 64 * 64 * 3 > 4 * sizes[1] > 0


def test_what_is_not_tried_here_is_tried_elsewhere() -> None:
    """Renderers in tests/play/, `leave_out` in tests/language/test_every_option.py, exporters in tests/exporters/."""
    left = {
        f"{entry.name}: {name}"
        for room in ("agents", "writers", "exporters")
        for entry in catalog.entries(room)
        if entry.name not in DRIVERS
        for name in declares(catalog.find(room, entry.name)).settings.model_fields
    }
    fields = "command", "framing", "deadline", "reads", "rate"
    exported = {"coco: sensors", "yolo: sensors", "yolo: min_visible"}
    assert left == {"png: compression", "parquet: leave_out", *exported, *(f"program: {name}" for name in fields)}
    assert "leave_out" in WITNESSES["write"].change["write"]
    tried = {"simulators", "sensors", "renderers", "agents", "writers", "exporters"}
    assert tried == {room for room in catalog.ROOMS if room != "scenarios" and catalog.entries(room)}


def test_a_setting_without_effect_is_found() -> None:
    class Inner(BaseModel):
        word: Literal["a", "b"] = "a"
        dead: float = 1.0

    class Model(BaseModel):
        number: int = Field(3, ge=3, le=4)
        sensor: str = "truth"
        parts: dict[str, Inner] = {"one": Inner()}

    def play(many: Sequence[BaseModel]) -> list[str]:
        return [one.model_dump_json(exclude={"parts": {"one": {"dead"}}}) for one in many]

    names_of = ["Model.number", "Model.sensor", "Inner.word", "Inner.dead"]
    assert declared(Model) == names_of
    assert silent("none", names_of, [(Model(), play)]) == ["Inner.dead"]
