"""The layers know no world: they name no world, no table of one, no actor and no agent.

The names are gathered from the plug-ins that the catalog finds and from the scenarios of the library, when the test
runs: a new world brings its own. What counts is what the code says: identifiers and literal text, and not what it
tells people in docstrings and comments. A name counts as whole words: `ego` in `ego_speed` and `EgoView`, but not in
`lego`.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from mischance.api import appearance
from mischance.api.randomness import Streams
from mischance.api.tables import entity_column
from mischance.errors import CatalogError
from mischance.language import catalog
from mischance.play.composite import world_class
from mischance.play.constructing import construct
from mischance.play.sampling import draw
from tests.support import library
from tests.test_walls import LAYER, LIBRARIES, ROOT

CORE = ROOT / "mischance"
LAYERS = sorted({*LAYER, "__init__"} - LIBRARIES)  # a library of one domain speaks of it

# The words of the contract itself: a world that has such a table keeps to what docs/architecture.md says of it.
CONTRACT = {"events", "labels", "runs", "motion", "actors", *appearance.TABLES, *appearance.BODY_KINDS}

# Names of plug-ins that are English words with another meaning in the layers, and that meaning.
ENGLISH: Mapping[str, str] = {
    **dict.fromkeys(("first", "second", "last", "next", "near", "far", "ahead", "beside"), "order and place"),
    **dict.fromkeys(("other", "wrong"), "comparison"),
    "box": "a rectangle",
    "cell": "of a table or grid",
    "braking": "what brakes do",
    "building": "of plug-ins, from their settings",
    "constant": "a fixed number",
    "queue": "of commands under way",
    "ramp": "of a fault's severity",
    "runner": "of jobs",
    "stopped": "ended",
    "tail": "the end of a sequence",
    "target": "of a fault",
}


# -- the names --------------------------------------------------------------------------------------------------------


@cache
def names() -> dict[str, str]:
    """Return name -> what it is the name of, gathered from plug-ins and scenarios."""
    found = {entry.name: "agent" for entry in catalog.entries("agents")}
    found |= {entry.name: "world" for entry in catalog.entries("simulators")}
    seen: set[str] = set()
    for entry in catalog.entries("scenarios"):
        scenario = library(entry.name)
        world, settings = scenario.simulator, scenario.simulator.settings
        told = world.declared
        dotted = [*(told.targets(settings) if told.targets else ()), *(told.signals(settings) if told.signals else ())]
        own = {name.partition(".")[0] for name in dotted if "." in name} | {told.default_actor_with(settings)}
        found |= dict.fromkeys(own - {""}, "actor")
        if world.kind not in seen:
            seen.add(world.kind)
            for name, actors in tables(entry.name).items():
                found |= {name: "table", **dict.fromkeys(actors, "actor")}
    return {name: what for name, what in found.items() if name not in CONTRACT}


def tables(name: str) -> dict[str, list[str]]:
    """Return the tables that a scenario's world emits at t = 0, each with the actors that it names."""
    scenario = library(name)
    (one,) = draw(scenario, [0])
    try:
        catalog.check_needs("simulators", scenario.simulator.kind, scenario.simulator.declared.needs)
    except CatalogError as error:
        pytest.skip(error.message)
    world = construct(world_class(scenario.simulator), scenario.simulator.settings_for(one.values))
    chunk = world.start([one.of_world()], [Streams(one.seed, one.run)])
    world.close()
    found = {}
    for table, rows in chunk.tables.items():
        entity = entity_column(rows.schema)
        column = rows.schema[entity] if entity else None
        found[table] = list(column.names) if column else []
        if column and column.dtype == "text":
            found[table] = sorted(set(rows.columns[entity].tolist()))
    return found


def words(text: str) -> str:
    """Return an identifier, or a piece of text, as words with `_` around each: `egoSpeed` is `_ego_speed_`."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return "_" + re.sub(r"[^a-z0-9_]+", "_", text.lower()) + "_"


# -- what the code says -----------------------------------------------------------------------------------------------


def said(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of every identifier and every literal text; a text that stands alone is a docstring."""
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in alone:
            yield line, node.value if isinstance(node.value, str) else node.value.decode("latin-1")
        for field in ("id", "attr", "arg", "name", "asname", "module", "rest"):
            value = getattr(node, field, None)
            if isinstance(value, str):
                yield line, value
        for value in (*getattr(node, "names", ()), *getattr(node, "kwd_attrs", ())):  # global, nonlocal, match
            if isinstance(value, str):
                yield line, value


@cache
def said_in(source: str) -> tuple[tuple[int, str, str], ...]:
    """Return (line, text, the text as words) of all that a source says."""
    return tuple((line, text, words(text)) for line, text in said(ast.parse(source)))


def files(core: Path, layer: str) -> list[Path]:
    """Return the files of a layer, which is a folder or one file."""
    folder = core / layer
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def breaches(core: Path, layer: str, known: Mapping[str, str]) -> list[str]:
    """Return where a layer names what only plug-ins may know, below a folder `mischance`."""
    patterns = {name: words(name) for name in known if name not in ENGLISH}
    wrong = []
    for path in files(core, layer):
        for line, text, plain in said_in(path.read_text(encoding="utf-8")):
            for name in [name for name, pattern in patterns.items() if pattern in plain]:
                wrong.append(f"{path.relative_to(core.parent)}:{line}: {known[name]} {name!r} in {text[:60]!r}")
    return wrong


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_names_no_world_no_table_and_no_actor(layer: str):
    wrong = breaches(CORE, layer, names())
    assert not wrong, "\n".join(wrong)


def test_the_names_are_those_of_the_library():
    known = names()
    assert {"road", "payments", "warehouse"} <= {name for name, what in known.items() if what == "world"}
    assert {"transactions", "merchants", "drones"} <= {name for name, what in known.items() if what == "table"}
    assert {"ego", "intruder", "agv1"} <= {name for name, what in known.items() if what == "actor"}
    assert {"r157_driver", "fuzzy_safety"} <= {name for name, what in known.items() if what == "agent"}


def test_every_exception_is_needed():
    everywhere = [plain for layer in LAYERS for path in files(CORE, layer)
                  for _, _, plain in said_in(path.read_text(encoding="utf-8"))]  # fmt: skip
    together = " ".join(everywhere)
    assert set(ENGLISH) <= set(names()), "no plug-in has that name any more"
    assert [name for name in ENGLISH if words(name) not in together] == []


# -- breaches that must be found, and words that must not --------------------------------------------------------------

SEEDS = {
    "a variable": ("ego = 1", "ego"),
    "a part of a variable": ("speed_of_ego_car = 1", "ego"),
    "a constant": ("R157_DRIVER = 1", "r157_driver"),
    "a function": ("def _plays_payments(): ...", "payments"),
    "a class": ("class EgoView: ...", "ego"),
    "an argument": ("def f(*, intruder=None): ...", "intruder"),
    "an argument of a lambda": ("f = lambda intruder: 0", "intruder"),
    "a keyword": ("dict(transactions=1)", "transactions"),
    "an attribute": ("def f(x):\n    return x.merchants", "merchants"),
    "an attribute that is set": ("def f(x):\n    x.merchants = 1", "merchants"),
    "a module": ("import some.warehouse.library", "warehouse"),
    "a name from a module": ("from some import quadrotor as flyer", "quadrotor"),
    "an alias": ("import math as ego", "ego"),
    "a literal": ("table = 'transactions'", "transactions"),
    "a path": ("table = 'truth/transactions'", "transactions"),
    "a dotted name": ("margin = 'ego.gap > 3'", "ego"),
    "a literal of several lines": ('text = """\nkind: payments\n"""', "payments"),
    "bytes": ("kind = b'warehouse'", "warehouse"),
    "a part of an f-string": ("def f(x):\n    return f'{x} of the ego'", "ego"),
    "a name in an f-string": ("def f(x):\n    return f'{x:{x.transactions}}'", "transactions"),
    "a key": ("colours = {'ego': 1}", "ego"),
    "an index": ("def f(x):\n    return x['merchants']", "merchants"),
    "a default": ("def f(kind='road'): ...", "road"),
    "a member of a set": ("KINDS = {'road', 'x'}", "road"),
    "a field": ("from dataclasses import dataclass\n@dataclass\nclass A:\n    ego: int = 0", "ego"),
    "an annotation": ("from typing import Literal\nx: Literal['arm'] = None", "arm"),
    "a pattern": ("def f(x):\n    match x:\n        case {'drones': y}:\n            return y", "drones"),
    "a captured name": ("def f(x):\n    match x:\n        case {**intruder}:\n            return 0", "intruder"),
    "a keyword of a pattern": ("def f(x):\n    match x:\n        case dict(ego=1):\n            return 0", "ego"),
    "a global": ("def f():\n    global ego", "ego"),
    "an exception": ("try:\n    pass\nexcept ValueError as intruder:\n    pass", "intruder"),
}

INNOCENT = {
    "the module's docstring": '"""Plays the ego and the intruder of the road."""',
    "a function's docstring": 'def f():\n    """Return the transactions of payments."""',
    "a class's docstring": 'class A:\n    """The ego."""',
    "a field's docstring": 'class A:\n    x: int = 0\n    """Speed of the ego [m/s]."""',
    "a comment": "x = 1  # the ego's, as in driving/cut_in",
    "a part of a word": "lego = alter_egos = 'charm, broad, category, prepayments'",
    "a word of the contract": "names = ('truth/bodies', 'truth/lanes', 'actors')",
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder `mischance` with a copy of one layer."""
    core = tmp_path_factory.mktemp("copy") / "mischance"
    shutil.copytree(CORE / "play", core / "play", ignore=shutil.ignore_patterns("__pycache__"))
    return core


@pytest.mark.parametrize("kind", SEEDS)
def test_a_breach_is_found(kind: str, copy: Path):
    text, name = SEEDS[kind]
    seeded = copy / "play" / "seeded.py"
    seeded.write_text(f"{text}\n")
    try:
        found = breaches(copy, "play", names())
    finally:
        seeded.unlink()
    assert found
    assert {line.partition(":")[0] for line in found} == {"mischance/play/seeded.py"}
    assert {line.split("'")[1] for line in found} == {name}


@pytest.mark.parametrize("kind", INNOCENT)
def test_what_people_read_is_no_breach(kind: str, copy: Path):
    seeded = copy / "play" / "seeded.py"
    seeded.write_text(f"{INNOCENT[kind]}\n")
    try:
        assert breaches(copy, "play", names()) == []
    finally:
        seeded.unlink()
