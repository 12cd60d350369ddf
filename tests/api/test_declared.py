"""What a plug-in's class may declare: found in one place, written down, reached by the layers, and never misspelt."""

from __future__ import annotations

import ast
import fnmatch
import itertools
from collections.abc import Iterator
from dataclasses import MISSING, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from mischance.api import protocols
from mischance.api.observations import function_agent
from mischance.api.protocols import ROOMS_OF, Declared, declares, misspelt, shadowed
from mischance.api.randomness import Streams
from mischance.errors import CatalogError, RunError
from mischance.language import catalog
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.play.composite import world_class
from mischance.play.constructing import construct
from mischance.play.sampling import draw
from tests.support import PLUGINS, wander

CORE = Path(protocols.__file__).resolve().parents[1]
ROOT = CORE.parent
NAMES = [each.name for each in fields(Declared)]
INDOORS = {"agents", "exporters", "writers", "generators"}


def trees(*folders: Path) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def plug_ins() -> list[tuple[str, str]]:
    own = [("simulators", f"{PLUGINS}/drift.py:Drift"), ("sensors", f"{PLUGINS}/probe.py:Probe"),
           ("agents", f"{PLUGINS}/damper.py:Damper"), ("agents", f"{PLUGINS}/teller.py:Teller")]  # fmt: skip
    return [(room, entry.name) for room in catalog.ROOMS for entry in catalog.entries(room)] + own


# -- the dataclass ----------------------------------------------------------------------------------------------------


def test_every_declaration_has_a_default_and_a_sentence():
    (cls,) = (node for node in ast.walk(ast.parse(Path(protocols.__file__).read_text(encoding="utf-8")))
              if isinstance(node, ast.ClassDef) and node.name == "Declared")  # fmt: skip
    said = {}
    for field, text in zip(cls.body, cls.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            said[ast.unparse(field.target)] = str(text.value.value)
    assert list(said) == NAMES
    assert [name for name, text in said.items() if not text.endswith(".")] == []
    without = {each.name for each in fields(Declared) if each.default is MISSING and each.default_factory is MISSING}
    assert without == {"settings"}, "a class without `Settings` gets a model without settings"


def test_only_declares_looks_for_declarations():
    """No layer and no plug-in asks an object whether it has an attribute that `Declared` names."""
    wrong = []
    for path, tree in trees(CORE, ROOT / "simulators", ROOT / "sensors", ROOT / "renderers"):
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("getattr", "hasattr")
            ):
                asked = node.args[1]
                if isinstance(asked, ast.Constant) and asked.value in {*NAMES, "Settings"}:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {asked.value}")
    assert [line.split(":")[0] for line in wrong] == ["mischance/api/protocols.py"] * 2, wrong  # `Settings` of declares


def read_by_the_layers() -> set[str]:
    """Return the attributes that the layers read, of whatever object."""
    return {
        node.attr
        for path, tree in trees(CORE)
        if path.relative_to(CORE).parts[0] not in INDOORS
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and ast.unparse(node.value) != "self"
    }


# Declared for parts of the project that are being written: each goes when its reader comes.
UNREAD = set[str]()


def test_every_declaration_is_read():
    through = {name: f"{name}_with" for name in ("reads", "rate", "default_actor", "batch")} | {
        "max_batch": "batch_with"
    }
    read = read_by_the_layers()
    assert {name for name in NAMES if through.get(name, name) not in read} == UNREAD


def test_every_declaration_has_its_rooms():
    assert set(ROOMS_OF) <= set(NAMES)
    assert {room for rooms in ROOMS_OF.values() for room in rooms} <= set(catalog.ROOMS)
    assert set(NAMES) - set(ROOMS_OF) == {"settings", "needs", "close"}


# -- every plug-in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("room", "kind"), plug_ins())
def test_a_plug_in_declares_only_what_is_asked_of_its_kind(room: str, kind: str):
    cls = catalog.find(room, kind)
    public = {name for name in dir(cls) if name[0] != "_"}
    assert {name for name in public & set(NAMES) if room not in ROOMS_OF.get(name, (room,))} == set()
    declared = declares(cls)
    for each in fields(Declared):
        value = getattr(declared, each.name)
        if each.name in ("targets", "signals", "max_batch", "batch_key", "check"):
            assert value is None or callable(value)
    assert all(isinstance(column.dtype, str) for column in (declared.commands | declared.measures).values())


def test_what_references_name_is_there():
    for entry in catalog.entries("simulators"):
        for agent in declares(catalog.find("simulators", entry.name)).reference_agents:
            assert catalog.find("agents", agent)


class Watched(Streams):
    """Streams that remember who asked."""

    def __init__(self, seed: int, run: int, asked: set[str]) -> None:
        super().__init__(seed, run)
        self.asked = asked

    def __call__(self, component: str, entity: str = "") -> Any:
        self.asked.add(component)
        return super().__call__(component, entity)

    def uniform(self, component: str, keys: Any, draw: int = 0) -> Any:
        self.asked.add(component)
        return super().uniform(component, keys, draw)


@cache
def library() -> dict[str, list[Scenario]]:
    """Return the scenarios of the library by the kind of their world."""
    found: dict[str, list[Scenario]] = {}
    for entry in catalog.entries("scenarios"):
        scenario = load(entry.name)
        found.setdefault(scenario.simulator.kind, []).append(scenario)
        for part in scenario.simulator.parts.values():  # each of several worlds by itself
            found.setdefault(part.kind, []).append(replace(scenario, simulator=part, faults=()))
    # first those that are about the world alone: beside another one it may have little to do
    return {kind: sorted(own, key=lambda scenario: bool(scenario.tree.get("worlds"))) for kind, own in found.items()}


@cache
def asked_for(kind: str) -> frozenset[str]:
    """Return the components of streams that a world asks for, in a few of its scenarios without an agent."""
    asked: set[str] = set()
    own = library().get(kind, [])[:6] if kind != "drift" else [wander()]
    for scenario, run in itertools.product(own, range(4)):
        declared = scenario.simulator.declared.randomness or ()
        if run and all(fnmatch.filter(asked, pattern) for pattern in declared):
            continue
        (only,) = draw(scenario, [run])
        world = construct(world_class(scenario.simulator), scenario.simulator.settings_for(only.values))
        world.start([only.of_world()], [Watched(only.seed, 0, asked)])
        for part in range(1, 9):
            over = world.advance(part / 8 * min(scenario.duration, 172_800.0), None).over.all()
            if over or (part >= 2 and all(fnmatch.filter(asked, pattern) for pattern in declared)):
                break
        world.outcome()
        world.close()
    return frozenset(asked)


@pytest.mark.parametrize("kind", [*(entry.name for entry in catalog.entries("simulators")), "drift"])
def test_a_world_draws_from_the_streams_that_it_declares(kind: str):
    cls = catalog.find("simulators", kind if kind != "drift" else f"{PLUGINS}/drift.py:Drift")
    declared = declares(cls).randomness
    assert declared is not None, "what a branch changes"
    catalog.check_needs("simulators", kind, declares(cls).needs)
    asked = asked_for(kind)
    assert {name for name in asked if not any(fnmatch.fnmatchcase(name, pattern) for pattern in declared)} == set()
    assert {pattern for pattern in declared if not fnmatch.filter(asked, pattern)} == set(), "declared and never drawn"


# -- functions of the settings, and mistakes --------------------------------------------------------------------------


class Told(BaseModel):
    often: float = 5.0


class Plain:
    reads: ClassVar = ("meter",)


class ByItsSettings:
    Settings = Told
    batch = 8

    @staticmethod
    def reads(settings: Told) -> list[str]:
        return ["truth", f"meter{settings.often:g}"]

    @staticmethod
    def rate(settings: Told) -> float:
        return settings.often

    @staticmethod
    def max_batch(settings: Told) -> int:
        return int(10 - settings.often)

    def finish(self, readings: Any, t: float) -> str:
        return f"{type(self).__name__} at {t:g}"


def test_a_declaration_is_a_value_or_a_function_of_the_settings():
    plain, other = declares(Plain), declares(ByItsSettings)
    assert (plain.reads_with(None), plain.rate_with(None)) == (("meter",), 20.0)
    assert (other.reads_with(Told(often=3)), other.rate_with(Told(often=3))) == (("truth", "meter3"), 3.0)
    assert [plain.batch_with(None, default) for default in (1, 64)] == [1, 64]
    assert [other.batch_with(Told(often=often), 64) for often in (1, 3, 40)] == [8, 7, 1]
    assert other.finish is not None
    assert other.finish(ByItsSettings(), {}, 2.0) == "ByItsSettings at 2"  # type: ignore[func-returns-value]
    assert declares(Plain).settings.model_fields == {}


def test_a_function_declares_by_its_attributes():
    def push(observation: Any, t: float) -> None:
        return None

    assert declares(function_agent(push)).reads == ("truth",)
    push.reads, push.rate = ("meter",), 10.0  # type: ignore[attr-defined]
    found = declares(function_agent(push))
    assert (found.reads_with(None), found.rate_with(None)) == (("meter",), 10.0)


class Misspelt(Plain):
    rates = 10.0


class Helpful(Plain):
    """Its own methods are its own, and private names are nobody's business."""

    _rates = 10.0
    settings = None

    def hold_speed(self) -> None: ...
    def start(self) -> None: ...


def test_a_misspelt_declaration_is_found():
    assert misspelt(Misspelt) == "'rates'; did you mean 'rate'?"
    assert misspelt(Helpful, ("start",)) == ""
    old = type("Old", (), {"setings": 1})
    assert "'Settings'" in misspelt(old)

    def push(observation: Any, t: float) -> None:
        return None

    push.read = ("meter",)  # type: ignore[attr-defined]
    assert misspelt(push) == "'read'; did you mean 'reads'?"


@pytest.mark.parametrize(
    ("name", "text"),
    [("Slow", "class Slow:\n    rates = 5\n    def start(self, d, s): ...\n    def act(self, r, t, live): ...\n"),
     ("slow", "def slow(observation, t): ...\nslow.rates = 5\n")],
)  # fmt: skip
def test_the_catalog_refuses_a_misspelt_declaration(name: str, text: str, tmp_path: Path):
    file = tmp_path / "slow.py"
    file.write_text(f'"""Slow."""\n{text}')
    with pytest.raises(CatalogError, match="'rates'; did you mean 'rate'"):
        catalog.find("agents", f"{file}:{name}")


class SetsItsOwn(Plain):
    def __init__(self) -> None:
        self.reads = ("other",)


def test_what_an_instance_declares_for_itself_is_refused():
    assert shadowed(Plain()) == ""
    with pytest.raises(RunError, match="sets `reads` in its instance"):
        construct(SetsItsOwn, None)


def test_the_numbers_of_runs_stay_what_they_were():
    """A batch is the least of what everybody takes: road 256, its window 8, cameras 4, programs 16."""
    from mischance.play.plugins import batch_size

    cut_in = load("driving/cut_in")
    assert batch_size(cut_in) == (4 if cut_in.sensors else 256)
    assert batch_size(load("driving/cut_in", {"sensors": "{}", "faults": "[]"})) == 256
    assert (
        batch_size(load("driving/cut_in", {"sensors": "{}", "faults": "[]", "simulator.impact.model": "window"})) == 8
    )
    assert (
        batch_size(
            load("driving/cut_in", {"sensors": "{}", "faults": "[]", "agent": "{kind: program, command: [cat]}"})
        )
        == 16
    )
    assert batch_size(wander()) == 16
