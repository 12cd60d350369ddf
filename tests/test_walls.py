"""The import rules: who may import whom, and what a plug-in's own file may weigh.

`LAYERS` is the one table of layers; docs/architecture.md shows it to people and must show the same. Imports count
wherever they stand: at the top, inside functions, under `TYPE_CHECKING`, as text given to `import_module`.
Long because every rule stands beside the breaches that it must find.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.source import DYNAMIC, ROOT, Import, Source, Tree, aliases

# Lowest first: the folder says the layer. A file imports lower layers, and its own as long as no circle comes of it.
LAYERS: dict[int, str] = {
    1: "errors units api driving",
    2: "language",
    3: "play dataset",
    4: "sweep estimate gym",
    5: "opening reports",
    6: "cli scripting testing __main__",
}
LAYER = {name: layer for layer, names in LAYERS.items() for name in names.split()}
FACE = {"__version__", "CallablePackage"}  # what every layer may take from the package itself

ROOMS = {
    "simulators": "simulators",
    "sensors": "sensors",
    "renderers": "renderers",
    "writers": "mischance/writers",
    "agents": "mischance/agents",
    "exporters": "mischance/exporters",
    "generators": "mischance/generators",
}
ROOM_MAY = {room: {"errors", "units", "api"} for room in ROOMS}
ROOM_MAY["simulators"] |= {"driving"}  # the road
ROOM_MAY["agents"] |= {"driving"}  # drivers, and the regulations that they follow
LIBRARIES = {"driving"}  # libraries of one domain: the layers above know no domain
LIGHT = {"numpy", "pydantic", "mischance", "__future__"} | set(sys.stdlib_module_names)
DYNAMIC_IN = {  # who imports by a computed name, and which
    "mischance": "the public names of the package, from its own table",
    "mischance.cli.doctor": "libraries, to see whether they load",
    "mischance.language.catalog": "plug-ins",
    "mischance.sweep.workers": "what a job names as its work",
    "mischance.language.user_code": "what a scenario names as the user's",
}
# (rule, start of the finding): what is still being mended; an entry that finds nothing must go
PENDING: set[tuple[str, str]] = set()
MOST_LINES = 400
LONG = "Long because"

TREE = Tree(ROOT, ROOMS)


def below(module: str) -> str | None:
    """Return the name that stands right below `mischance`, or None for a module of somebody else."""
    parts = module.split(".")
    return (parts[1] if len(parts) > 1 else "") if parts[0] == "mischance" else None


def layer_imports(tree: Tree) -> Iterator[tuple[Source, Import, str]]:
    """Yield (file of a layer, import, what it imports below `mischance`); of others, nothing."""
    for module, source in tree.sources.items():
        if not tree.room_of(module):
            for found in tree.imports[module]:
                other = below(found.module)
                if other is not None:
                    yield source, found, other


def room_imports(tree: Tree) -> Iterator[tuple[Source, Import, str]]:
    """Yield (file of a room, import, its room)."""
    for module, source in tree.sources.items():
        if tree.room_of(module):
            for found in tree.imports[module]:
                yield source, found, tree.room_of(module)


# -- the rules: each returns what breaks it ----------------------------------------------------------------------------


def every_file_has_its_layer(tree: Tree) -> list[str]:
    """Find files on no layer."""
    return [
        f"{tree.place(source, 1)}: give `{below(module)}` a layer"
        for module, source in tree.sources.items()
        if not tree.room_of(module) and below(module) not in {*LAYER, ""}
    ]


def a_layer_imports_what_lies_below(tree: Tree) -> list[str]:
    """Find imports of a higher layer, and of no layer at all."""
    wrong = []
    for source, found, other in layer_imports(tree):
        own = below(source.module) or ""
        if own not in LAYER:
            continue
        if other == "":  # names of the package itself, which stand above every layer
            high = sorted(set(found.names or ["*"]) - FACE)
        else:
            high = [other] if other not in {*tree.rooms, "scenarios"} and LAYER.get(other, 99) > LAYER[own] else []
        if high:
            wrong.append(f"{tree.place(source, found.line)}: {own} imports {'.'.join([found.module, *found.names])}")
    return wrong


def nobody_names_a_room(tree: Tree) -> list[str]:
    """Find imports that name a room, from a layer or from another room."""
    wrong = [
        f"{tree.place(source, found.line)}: names {found.module}"
        for source, found, other in layer_imports(tree)
        if other in {*tree.rooms, "scenarios"}
    ]
    return wrong + [
        f"{tree.place(source, found.line)}: names {found.module} (say `from .name import …` in its own room)"
        for source, found, _ in room_imports(tree)
        if below(found.module) in {*tree.rooms, "scenarios"} and not found.relative
    ]


def a_room_sees_the_lowest_layer_and_itself(tree: Tree) -> list[str]:
    """Find imports of a room that leave it, but for what plug-ins may import."""
    wrong = []
    for source, found, room in room_imports(tree):
        inside = f"{found.module}.".startswith(f"mischance.{room}.")
        other = below(found.module)
        if found.relative and not inside:
            wrong.append(f"{tree.place(source, found.line)}: {found.module} is outside its room")
        elif not found.relative and other is not None and other not in {*ROOM_MAY[room], *tree.rooms, "scenarios"}:
            wrong.append(f"{tree.place(source, found.line)}: {room} may not import {found.module}")
    return wrong


def a_plug_in_of_a_folder_keeps_to_its_folder(tree: Tree) -> list[str]:
    """Find imports of one plug-in's public file by another: plug-ins share private files of their room alone."""
    wrong = []
    for source, found, room in room_imports(tree):
        own, other = source.module.split(".")[2:3], found.module.split(".")[2:3]
        if found.module.startswith(f"mischance.{room}.") and own != other and other and other[0][0] != "_":
            wrong.append(f"{tree.place(source, found.line)}: {'.'.join(own)} imports its neighbour {found.module}")
    return wrong


def a_domain_library_is_for_rooms(tree: Tree) -> list[str]:
    """Find layers that import the library of one domain."""
    return [
        f"{tree.place(source, found.line)}: {below(source.module)} imports {found.module}"
        for source, found, other in layer_imports(tree)
        if other in LIBRARIES and below(source.module) not in LIBRARIES
    ]


def nobody_imports_in_a_circle(tree: Tree) -> list[str]:
    """Find a circle of files; imports inside functions count, those that only type checkers see do not."""
    needs: dict[str, set[str]] = {}
    for module, found in tree.imports.items():
        needs[module] = {
            one.module for one in found if not one.typing_only and one.module in tree.sources and one.module != module
        }
    try:
        list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        return [" -> ".join(reversed(error.args[1]))]
    return []


def private_names_stay_in_their_package(tree: Tree) -> list[str]:
    """Find private names and private files of one package that another package uses."""
    wrong = []
    for module, source in tree.sources.items():
        for found in tree.imports[module]:
            if below(found.module) is None:
                continue
            private = [name for name in found.names if _private(name)]
            folder = found.module if found.module in tree.sources and private else found.module.rpartition(".")[0]
            home = tree.sources[found.module].package if found.module in tree.sources else folder
            if private and not f"{source.package}.".startswith(f"{home}."):
                wrong.append(f"{tree.place(source, found.line)}: {private[0]} is private to {home}")
            parts = found.module.split(".")
            for i, part in enumerate(parts):
                if _private(part) and not f"{source.package}.".startswith(".".join(parts[:i]) + "."):
                    wrong.append(
                        f"{tree.place(source, found.line)}: {found.module} is private to {'.'.join(parts[:i])}"
                    )
        called = aliases(source, tree)
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and _private(node.attr):
                other = called.get(node.value.id)
                if other and not f"{source.package}.".startswith(f"{tree.sources[other].package}."):
                    wrong.append(f"{tree.place(source, node.lineno)}: {node.value.id}.{node.attr} is private")
    return wrong


def _private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def nobody_hides_an_import(tree: Tree) -> list[str]:
    """Find imports by a computed name, but for the few places that load plug-ins or public names."""
    return [
        f"{tree.place(source, found.line)}: imports by a computed name"
        for module, source in tree.sources.items()
        for found in tree.imports[module]
        if found.module == DYNAMIC and module not in DYNAMIC_IN
    ]


def a_plug_ins_own_file_is_light(tree: Tree) -> list[str]:
    """Find heavy imports at the top of a plug-in's own file, or of what it imports there."""
    found = [
        line
        for module, source in tree.sources.items()
        if _own_file(tree, module)
        for line in _heavy(tree, source, set())
    ]
    return [f"{line} (move it to a private sibling that a method imports)" for line in dict.fromkeys(found)]


def _own_file(tree: Tree, module: str) -> bool:
    """Say whether a file is a plug-in's own: public, right below its room."""
    name = module.removeprefix(f"mischance.{tree.room_of(module)}").strip(".")
    return bool(tree.room_of(module) and name and "." not in name and name[0] != "_")


def _heavy(tree: Tree, source: Source, seen: set[str]) -> Iterator[str]:
    seen.add(source.module)
    for found in tree.imports[source.module]:
        if not found.top_level or found.typing_only:
            continue
        if found.module.split(".")[0] not in LIGHT:
            yield f"{tree.place(source, found.line)} imports {found.module}"
        inner = tree.sources.get(found.module)
        if inner is not None and inner.module not in seen:
            yield from _heavy(tree, inner, seen)


def a_plug_in_says_what_it_is(tree: Tree) -> list[str]:
    """Find plug-ins without a docstring: `mischance list` would be silent about them."""
    return [
        f"{tree.place(source, 1)}: no docstring"
        for module, source in tree.sources.items()
        if _own_file(tree, module) and not (ast.get_docstring(source.tree) or "").strip()
    ]


def a_long_file_says_why(tree: Tree) -> list[str]:
    """Find files above 400 lines whose docstring gives no reason."""
    return [
        f"{tree.place(source, 1)}: {lines} lines; split it, or say in its docstring: {LONG} …"
        for source in tree.sources.values()
        if (lines := source.text.count("\n")) > MOST_LINES and LONG not in (ast.get_docstring(source.tree) or "")
    ]


RULES: list[Callable[[Tree], list[str]]] = [
    every_file_has_its_layer,
    a_layer_imports_what_lies_below,
    nobody_names_a_room,
    a_room_sees_the_lowest_layer_and_itself,
    a_plug_in_of_a_folder_keeps_to_its_folder,
    a_domain_library_is_for_rooms,
    nobody_imports_in_a_circle,
    private_names_stay_in_their_package,
    nobody_hides_an_import,
    a_plug_ins_own_file_is_light,
    a_plug_in_says_what_it_is,
    a_long_file_says_why,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_project_keeps(rule: Callable[[Tree], list[str]]):
    pending = {place for name, place in PENDING if name == rule.__name__}
    found = rule(TREE)
    places = {line.split(":")[0] for line in found}
    wrong = [line for line in found if line.split(":")[0] not in pending]
    assert not wrong, "\n".join(wrong)
    assert pending <= places, f"mended: take {sorted(pending - places)} out of PENDING in tests/test_walls.py"


def test_the_rules_see_the_project():
    assert {below(module) for module in TREE.sources if not TREE.room_of(module)} == {*LAYER, ""}
    assert {TREE.room_of(module) for module in TREE.sources} == {*ROOMS, ""}
    found = [one for imports in TREE.imports.values() for one in imports]
    assert sum(one.typing_only for one in found) > 50
    assert sum(not one.top_level for one in found) > 50
    assert sum(one.relative for one in found) > 50
    assert {module for module in TREE.sources if any(one.module == DYNAMIC for one in TREE.imports[module])} == {
        *DYNAMIC_IN
    }, "who no longer imports by a computed name goes from the list"


def test_the_architecture_page_shows_the_same_layers():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = {
        int(number): set(re.findall(r"`(\w+)`", cell))
        for number, cell in re.findall(r"^\| (\d) \| ([^|]+)\|", text, flags=re.MULTILINE)
    }
    assert shown == {layer: set(names.split()) for layer, names in LAYERS.items()}


# -- breaches that each rule must find, in a small project of the same layout ----------------------------------------

SOUND = {
    "mischance/__init__.py": '"""The package."""\n__version__ = "1"\n',
    "mischance/errors.py": '"""Errors."""\n',
    "mischance/units.py": '"""Units."""\n',
    "mischance/api/__init__.py": '"""For plug-ins."""\n',
    "mischance/api/runs.py": '"""Runs."""\nfrom mischance.errors import Oops\n_hidden = 1\n',
    "mischance/driving/__init__.py": '"""Driving."""\n',
    "mischance/driving/braking.py": '"""Braking."""\nfrom mischance.api.runs import Draw\n',
    "mischance/language/__init__.py": '"""The language."""\n',
    "mischance/language/catalog.py": '"""Plug-ins."""\nfrom importlib import import_module\ndef find(name):\n'
    "    return import_module(name)\n",
    "mischance/language/loading.py": '"""Loading."""\nfrom mischance.language import catalog\n_cache = {}\n',
    "mischance/language/yaml/__init__.py": '"""YAML."""\n',
    "mischance/language/yaml/_events.py": '"""Events."""\nfrom mischance.language.loading import _cache\n',
    "mischance/play/__init__.py": '"""Playing."""\n',
    "mischance/play/episode.py": '"""Episodes."""\nfrom mischance import __version__, units\n'
    "from mischance.language.loading import load\ndef play():\n    import numba\n    from mischance.api import runs\n",
    "mischance/sweep/__init__.py": '"""Sweeps."""\nfrom mischance.play import episode\n',
    "mischance/sweep/jobs.py": '"""Jobs."""\n',
    "mischance/agents/__init__.py": '"""Agents."""\n',
    "mischance/agents/_shared.py": '"""Shared."""\nfrom mischance.driving import braking\n',
    "mischance/agents/idm.py": '"""A driver."""\nimport numpy\nfrom ._shared import drive\n',
    "simulators/__init__.py": '"""Worlds."""\n',
    "simulators/road/__init__.py": '"""A road."""\nfrom __future__ import annotations\nfrom pydantic import BaseModel\n'
    "from typing import TYPE_CHECKING\nfrom .lines import line\nif TYPE_CHECKING:\n    import pandas\n"
    "def start():\n    from .kernel import go\n",
    "simulators/road/lines.py": '"""Lines."""\nimport math\n',
    "simulators/road/kernel.py": '"""A kernel."""\nimport numba\nfrom mischance.api import runs\nfrom . import lines\n',
    "simulators/lights.py": '"""Lights."""\nfrom mischance.units import Time\n',
    "sensors/__init__.py": '"""Sensors."""\n',
    "sensors/camera.py": '"""A camera."""\nfrom mischance.api import runs\n',
}

EPISODE = "mischance/play/episode.py"
CAMERA = "sensors/camera.py"
LINES = "simulators/road/lines.py"
LIGHTS = "simulators/lights.py"
RUNS = "mischance/api/runs.py"
CATALOG = "mischance/language/catalog.py"
IDM = "mischance/agents/idm.py"
UP = "play imports mischance.sweep"
BREACHES: list[tuple[Callable[[Tree], list[str]], str, str, str]] = [
    (every_file_has_its_layer, "mischance/attic.py", "import os", "`attic`"),
    (every_file_has_its_layer, "mischance/cellar/__init__.py", "import os", "`cellar`"),
    # every way to say an import
    (a_layer_imports_what_lies_below, EPISODE, "import mischance.sweep", UP),
    (a_layer_imports_what_lies_below, EPISODE, "import mischance.sweep.jobs as j", UP),
    (a_layer_imports_what_lies_below, EPISODE, "from mischance import sweep", UP),
    (a_layer_imports_what_lies_below, EPISODE, "from mischance.sweep import jobs", UP),
    (a_layer_imports_what_lies_below, EPISODE, "from mischance.sweep.jobs import run", UP),
    (a_layer_imports_what_lies_below, EPISODE, "from ..sweep import jobs", UP),
    (a_layer_imports_what_lies_below, EPISODE, "from .. import sweep", UP),
    (a_layer_imports_what_lies_below, EPISODE, "from mischance import load", "play imports mischance.load"),
    (a_layer_imports_what_lies_below, EPISODE, "import mischance", "play imports mischance"),
    (a_layer_imports_what_lies_below, "mischance/play/__init__.py", "from ..sweep.jobs import run", UP),
    (a_layer_imports_what_lies_below, EPISODE, "def f():\n    from mischance.sweep import jobs", UP),
    (a_layer_imports_what_lies_below, EPISODE, "class A:\n    import mischance.sweep", UP),
    (a_layer_imports_what_lies_below, EPISODE, "f = lambda: __import__('mischance.sweep')", UP),
    (a_layer_imports_what_lies_below, EPISODE,
     "import importlib\nimportlib.import_module('mischance.sweep.jobs')", UP),
    (a_layer_imports_what_lies_below, EPISODE,
     "from importlib import import_module\nimport_module('..sweep', __package__)", UP),
    (a_layer_imports_what_lies_below, EPISODE,
     "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mischance.sweep.jobs import Job", UP),
    (a_layer_imports_what_lies_below, EPISODE,
     "try:\n    import mischance.sweep\nexcept ImportError:\n    pass", UP),
    (a_layer_imports_what_lies_below, RUNS, "from mischance.language import catalog", "api imports"),
    (a_layer_imports_what_lies_below, "mischance/errors.py", "import mischance.attic", "errors imports"),
    (nobody_names_a_room, EPISODE, "import mischance.simulators", "names mischance.simulators"),
    (nobody_names_a_room, EPISODE, "from mischance.agents.idm import Idm", "names mischance.agents"),
    (nobody_names_a_room, EPISODE, "from ..agents import idm", "names mischance.agents.idm"),
    (nobody_names_a_room, EPISODE, "from mischance import scenarios", "names mischance.scenarios"),
    (nobody_names_a_room, IDM, "from mischance.agents._shared import x", "mischance.agents._shared"),
    (nobody_names_a_room, CAMERA, "def f():\n    import mischance.renderers.tiny", "mischance.renderers.tiny"),
    (a_room_sees_the_lowest_layer_and_itself, CAMERA, "from mischance.language import catalog", "sensors may"),
    (a_room_sees_the_lowest_layer_and_itself, CAMERA, "from mischance.driving import braking", "sensors may"),
    (a_room_sees_the_lowest_layer_and_itself, CAMERA, "import mischance.play.episode", "sensors may not"),
    (a_room_sees_the_lowest_layer_and_itself, CAMERA, "import mischance", "sensors may not"),
    (a_room_sees_the_lowest_layer_and_itself, CAMERA, "from ..agents import _shared", "outside its room"),
    (a_room_sees_the_lowest_layer_and_itself, LINES, "from ...language import catalog", "outside"),
    (a_room_sees_the_lowest_layer_and_itself, LINES,
     "def f():\n    __import__('mischance.dataset.parts')", "simulators may not"),
    (a_plug_in_of_a_folder_keeps_to_its_folder, LINES, "from ..lights import red", "its neighbour"),
    (a_plug_in_of_a_folder_keeps_to_its_folder, LIGHTS, "from .road.lines import line", "its neighbour"),
    (a_plug_in_of_a_folder_keeps_to_its_folder, LIGHTS, "from . import road", "its neighbour"),
    (a_domain_library_is_for_rooms, EPISODE, "from mischance.driving import braking", "play imports"),
    (a_domain_library_is_for_rooms, RUNS, "def f():\n    import mischance.driving", "api imports"),
    (nobody_imports_in_a_circle, CATALOG, "from mischance.language import loading", "catalog"),
    (nobody_imports_in_a_circle, CATALOG, "def f():\n    from . import loading", "loading -> "),
    (nobody_imports_in_a_circle, RUNS, "def f():\n    __import__('mischance.driving.braking')", "runs"),
    (nobody_imports_in_a_circle, LINES, "def f():\n    from .kernel import go", "road.kernel"),
    (private_names_stay_in_their_package, EPISODE, "from mischance.api.runs import _hidden", "_hidden"),
    (private_names_stay_in_their_package, EPISODE,
     "def f():\n    from mischance.api import runs\n    return runs._hidden", "runs._hidden"),
    (private_names_stay_in_their_package, EPISODE,
     "import mischance.api.runs as r\nr._hidden()", "r._hidden"),
    (private_names_stay_in_their_package, EPISODE,
     "from mischance.language.yaml._events import event", "private to mischance.language.yaml"),
    (private_names_stay_in_their_package, "mischance/language/loading.py",
     "from mischance.language.yaml import _events", "private to mischance.language.yaml"),
    (nobody_hides_an_import, EPISODE,
     "from importlib import import_module\ndef f(name):\n    return import_module(f'mischance.{name}')", "computed"),
    (nobody_hides_an_import, LIGHTS, "def f(name):\n    return __import__(name)", "computed"),
    (a_plug_ins_own_file_is_light, LIGHTS, "import pyarrow.parquet", "imports pyarrow.parquet"),
    (a_plug_ins_own_file_is_light, "simulators/road/__init__.py", "from .kernel import go", "imports numba"),
    (a_plug_ins_own_file_is_light, LINES, "from . import kernel", "imports numba"),
    (a_plug_ins_own_file_is_light, "mischance/agents/_shared.py", "from cv2 import imread", "imports cv2"),
    (a_plug_ins_own_file_is_light, RUNS, "import pandas", "imports pandas"),
    (a_plug_in_says_what_it_is, "sensors/sonar.py", "import math", "sonar.py:1: no docstring"),
    (a_long_file_says_why, EPISODE, "#\n" * 400, "episode.py:1: 40"),
]  # fmt: skip


def small(folder: Path, files: Mapping[str, str]) -> Tree:
    """Write a small project and return it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Tree(folder, ROOMS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_sound_project_keeps(rule: Callable[[Tree], list[str]], tmp_path: Path):
    assert rule(small(tmp_path, SOUND)) == []


@pytest.mark.parametrize(
    ("rule", "file", "lines", "said"), BREACHES, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_breach_is_found(rule: Callable[[Tree], list[str]], file: str, lines: str, said: str, tmp_path: Path):
    tree = small(tmp_path, {**SOUND, file: f"{SOUND.get(file, '')}{lines}\n"})
    found = rule(tree)
    assert len(found) == 1, found
    assert said in found[0]


def test_every_rule_has_a_breach():
    assert {rule for rule, *_ in BREACHES} == set(RULES)


def test_a_long_file_with_a_reason_is_kept(tmp_path: Path):
    long = '"""A kernel. Long because it is one kernel."""\n' + "#\n" * 400
    assert a_long_file_says_why(small(tmp_path, {**SOUND, "mischance/play/episode.py": long})) == []


# -- what the files may not speak of -----------------------------------------------------------------------------------

# Spelled in pieces, so that this file passes its own search.
HOSTS = ("py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.(?:org|com)", r"deb\." + r"debian\.org")
FORBIDDEN = {
    "a machine's own path": r"(?<![\w.])/" + r"(?:work|root|home/\w+)/",
    "the host of a package registry": "|".join(HOSTS),
    # "numpy issue 23523" is somebody else's and a source; a bare number is ours and means nothing to a reader
    "a tracker's number": r"(?:^|[^\w\s]\s*|\b(?:see|in|as|by|the|this|that|from|of|for|to)\s+)[Ii]ssue" + r" #?\d+\b",
}
BOUND_FOR_GIT = (".py", ".md", ".toml", ".yaml", ".yml", ".json", ".cfg", ".txt", ".html", ".in", ".css", ".js")


def own_files() -> Iterator[Path]:
    """Yield the text files that belong to the project."""
    skip = {".venv", ".git", ".hypothesis", "outputs", "build", "dist", "_build", "_generated", "__pycache__"}
    stack = [ROOT]
    while stack:
        for path in sorted(stack.pop().iterdir()):
            if path.is_dir():
                if path.name not in skip and not path.name.endswith((".egg-info", "_cache")):
                    stack.append(path)
            elif path.suffix in BOUND_FOR_GIT or path.name in {"Makefile", "LICENSE", "run", ".gitignore"}:
                yield path


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_project_speaks_of_itself_alone(what: str):
    pattern = re.compile(FORBIDDEN[what])
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {what}: {line.strip()[:100]}"
        for path in own_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_search_can_find_what_it_looks_for():
    samples = ("see /" + "work/x", "https://py" + "pi.org/simple", "as issue" + " 12 says")
    for pattern, sample in zip(FORBIDDEN.values(), samples, strict=True):
        assert re.search(pattern, sample)
