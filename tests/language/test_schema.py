"""The JSON Schema: up to date, valid, and consistent with the loader; also by an external validator."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mischance.api.protocols import declares
from mischance.errors import MischanceError
from mischance.language import catalog
from mischance.language.json_schema import scenario_schema
from mischance.language.loading import load
from mischance.language.scenario import ScenarioModel
from mischance.language.template import starter_text
from mischance.language.yaml.document import dump, read

HERE = Path(__file__).parents[1]
COMMITTED = HERE.parent / "mischance" / "language" / "scenario.schema.json"
EVERY_KEY = HERE / "scenarios" / "every_key.yaml"
JUDGE = jsonschema.Draft202012Validator(json.loads(COMMITTED.read_text(encoding="utf-8")))
COMMAND = [str(Path(sys.executable).parent / "check-jsonschema")]


def starters() -> dict[str, str]:
    """Return every text that `mischance init` writes."""
    names = [
        *catalog.scenario_files(),
        *(f"{entry.name}:{variant}" for entry in catalog.entries("scenarios") for variant in entry.variants),
    ]
    return {"init": starter_text(), **{name: starter_text(name) for name in names}}


def test_the_committed_schema_is_what_the_command_prints():
    printed = subprocess.run(
        [sys.executable, "-m", "mischance", "schema"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    hint = "run `mischance schema > mischance/language/scenario.schema.json`"
    assert printed == COMMITTED.read_text(encoding="utf-8"), hint
    # Size per key: new worlds may lengthen the schema, but not by repeated patterns.
    assert len(printed) / sum(len(node.get("properties", ())) for node in nodes(JUDGE.schema)) < 400


def test_it_does_not_depend_on_what_else_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    before = scenario_schema()
    info = tmp_path / "foreign-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mischance.sensors]\nforeign = foreign:Foreign\n")
    (tmp_path / "foreign.py").write_text('"""A foreign sensor."""\nclass Foreign: ...\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert "foreign" in [entry.name for entry in catalog.entries("sensors")]
    assert scenario_schema() == before


def test_patterns_stand_once_and_names_of_pydantic_nowhere():
    text = json.dumps(JUDGE.schema)
    patterns = [node["pattern"] for node in nodes(JUDGE.schema) if "percent" in str(node.get("pattern"))]
    assert len(patterns) == 1
    assert not [key for key in ("gt", "ge", "lt", "le") if f'"{key}"' in text]
    for node in nodes(JUDGE.schema):
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/$defs/") in JUDGE.schema["$defs"]


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping of a tree."""
    if isinstance(tree, dict):
        yield tree
    for value in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(value)


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 8])
def test_an_independent_command_accepts_every_file_that_we_do(step: int, tmp_path: Path):
    library = dict(list(catalog.scenario_files().items())[::step])
    files = [*map(str, library.values()), str(EVERY_KEY), str(HERE / "plugins" / "wander.yaml")]
    for i, text in enumerate([*starters().values()][::step]):
        (tmp_path / f"{i}.yaml").write_text(text, encoding="utf-8")
        load(tmp_path / f"{i}.yaml")
        files.append(str(tmp_path / f"{i}.yaml"))
    # JSON: YAML 1.1 readers take `0.8: 1` for a number as key and `1e-05` for a text, which the language does not.
    for name in (*library, str(EVERY_KEY)):
        resolved = tmp_path / f"resolved_{len(files)}.json"
        resolved.write_text(json.dumps(read(load(name).text(), "f").tree), encoding="utf-8")
        files.append(str(resolved))
    for extra in (["--check-metaschema", str(COMMITTED)], ["--schemafile", str(COMMITTED), *files]):
        done = subprocess.run([*COMMAND, *extra], capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


# -- one error in each field ------------------------------------------------------------------------------------------


def wrong(schema: dict[str, Any]) -> Any:
    """Return a value of a type that a field does not accept."""
    for value in ([[]], {"no": {"such": "key"}}, 7, True):
        if not jsonschema.Draft202012Validator({**schema, "$defs": JUDGE.schema["$defs"]}).is_valid(value):
            return value
    raise AssertionError(f"anything goes: {schema}")


def seeded() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what was changed, and the every-key scenario with that one error."""
    tree = read(EVERY_KEY.read_bytes(), "f").tree
    whole: dict[str, Any] = {**tree, "simulator": {**tree["simulator"], "impact": {}}}

    def put(path: Sequence[str | int], value: Any) -> dict[str, Any]:
        node = result = copy.deepcopy(whole)
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = value
        return result

    properties = JUDGE.schema["properties"]
    yield "no such key", put(["sede"], 1)
    for key in ScenarioModel.model_fields:
        yield key, put([key], wrong(properties[key]))
    for key, part in JUDGE.schema["$defs"]["FaultEntry"]["properties"].items():
        yield f"faults.{key}", put(["faults", 0, key], wrong(part))
    yield "faults.x", put(["faults", 0, "x"], 1)
    for name, schema in {
        "event": "EventEntry", "exposure": "ExposureEntry", "correlate": "CorrelateEntry", "plan": "PlanEntry",
        "split": "SplitEntry",
    }.items():  # fmt: skip
        for key, part in JUDGE.schema["$defs"][schema]["properties"].items():
            yield f"{name}.{key}", put([name, key], wrong(part))
        yield f"{name}.x", put([name, "x"], 1)
    for kind, path in {
        "simulators.road": ["simulator"], "sensors.camera": ["sensors", "front"], "sensors.imu": ["sensors", "imu"],
        "agents.braking": ["agent"],
    }.items():  # fmt: skip
        yield from ((f"{kind}.{place}", put([*path, *inside], bad)) for place, inside, bad in settings(kind))
    whole = {"mischance": 1, "name": "a/b", "duration": 1, "simulator": {"kind": "payments"}}
    for key in ("channels", "micro", "card_testing", "ticket_sale"):
        whole["simulator"][key] = {}
    whole["simulator"]["card_testing"] = {"report": {}}
    for place, inside, bad in settings("simulators.payments"):
        if inside[0] != "ticket_sale" or len(inside) < 3:
            yield f"payments.{place}", put(["simulator", *inside], bad)


def settings(definition: str) -> Iterator[tuple[str, list[str | int], Any]]:
    """Yield (name, path, wrong value) of every setting of a plug-in, of its parts too."""
    room, _, name = definition.partition(".")

    def walk(schema: dict[str, Any], path: list[str | int]) -> Iterator[tuple[str, list[str | int], Any]]:
        for key, part in schema.get("properties", {}).items():
            if key == "kind":
                continue
            yield ".".join(map(str, [*path, key])), [*path, key], wrong(part)
            inner = part.get("$ref", "").removeprefix("#/$defs/")
            if inner.startswith(f"{room}.{name}."):
                yield from walk(JUDGE.schema["$defs"][inner], [*path, key])
            elif key == "actors":
                actor = JUDGE.schema["$defs"]["simulators.road.Actor"]
                yield from walk(actor, [*path, "actors", "intruder"])
        yield ".".join(map(str, [*path, "no_such_key"])), [*path, "no_such_key"], 1

    yield from walk(JUDGE.schema["$defs"][definition], [])


def test_the_seeded_errors_reach_every_setting():
    names = {name for name, _ in seeded()}
    assert len(names) > 150
    for room, kind in (("simulators", "road"), ("sensors", "camera"), ("sensors", "imu"), ("agents", "braking")):
        fields = declares(catalog.find(room, kind)).settings.model_fields
        assert {f"{room}.{kind}.{field}" for field in fields} <= names
    for field in declares(catalog.find("simulators", "payments")).settings.model_fields:
        assert f"payments.{field}" in names


def test_one_error_in_each_field_is_refused_by_the_loader_and_by_the_schema(tmp_path: Path):
    for name in ("below.yaml", "figures.csv"):
        (tmp_path / name).write_bytes((EVERY_KEY.parent / name).read_bytes())
    passed = []
    for name, tree in seeded():
        if JUDGE.is_valid(tree):
            passed.append(f"schema: {name}")
        (tmp_path / "s.yaml").write_text(dump(tree), encoding="utf-8")
        try:
            load(tmp_path / "s.yaml")
        except MischanceError:
            continue
        passed.append(f"loader: {name}")
    assert not passed


def test_the_command_refuses_one_of_each_too(tmp_path: Path):
    files = []
    for i, (name, tree) in enumerate(seeded()):
        if "." not in name:
            files.append(tmp_path / f"{i}.yaml")
            files[-1].write_text(dump(tree), encoding="utf-8")
    done = subprocess.run(
        [*COMMAND, "--schemafile", str(COMMITTED), "--output-format", "json", *map(str, files)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    refused = {error["filename"] for error in json.loads(done.stdout)["errors"]}
    assert refused == set(map(str, files))


def test_quantities_are_one_pattern_for_both(tmp_path: Path):
    for text, sound in {
        "60 km/h": True, "60km/h": True, "1.5e1 m/s": True, "$gap": True, 3: True, "60": False, "60 kmh/h": False,
        "60 s": False, "- 60 km/h": False, "$": False, "": False, "x": False,
    }.items():  # fmt: skip
        tree = read(EVERY_KEY.read_bytes(), "f").tree
        tree["simulator"]["actors"]["ego"]["speed"] = text if text != "$gap" else "$quantity"
        tree["extends"] = str(EVERY_KEY.parent / "below.yaml")
        del tree["vary"]["measured"]
        tree["agent"] = {"kind": "braking"}
        (tmp_path / "s.yaml").write_text(dump(tree), encoding="utf-8")
        try:
            load(tmp_path / "s.yaml")
            ours = True
        except MischanceError:
            ours = False
        assert (ours, JUDGE.is_valid(tree)) == (sound, sound), text
