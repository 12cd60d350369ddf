"""The house keeps its walls: who may import whom, and what a plug-in's own file may weigh.

`FLOORS` is the one table of floors; docs/architecture.md shows it to people and must show the same.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "mischance"

# Lowest first: the folder says the layer. A file imports lower layers, and its own as long as no circle comes of it.
FLOORS: dict[int, str] = {
    1: "errors units api driving",
    2: "language",
    3: "play dataset",
    4: "sweep estimate gym",
    5: "opening reports",
    6: "cli __main__",
}
FLOOR = {name: floor for floor, names in FLOORS.items() for name in names.split()}

ROOMS = {
    "simulators": ROOT / "simulators",
    "sensors": ROOT / "sensors",
    "renderers": ROOT / "renderers",
    "writers": CORE / "writers",
    "agents": CORE / "agents",
    "generators": CORE / "generators",
}
ROOM_MAY = {"errors", "units", "api", "driving"}
LIGHT = {"numpy", "pydantic", "mischance", "__future__"} | set(sys.stdlib_module_names)


@dataclass(frozen=True)
class Import:
    """One imported module, by its absolute name, and how the source says it."""

    module: str
    line: int
    relative: bool
    top_level: bool
    typing_only: bool


def imports(path: Path, module: str) -> list[Import]:
    """Return what a file imports; `module` is its own absolute name."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found: list[Import] = []

    def visit(node: ast.AST, top: bool, typing_only: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, False, top, typing_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            # `from mischance import units` imports mischance.units: only a name can tell, so both are taken.
            names = [f"{stem}.{alias.name}" for alias in node.names] if stem in _PACKAGES else [stem]
            found.extend(Import(name, node.lineno, node.level > 0, top, typing_only) for name in names)
        guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, top and not inside, typing_only or guarded)

    visit(ast.parse(path.read_text(encoding="utf-8")), True, False)
    return found


_PACKAGES = {
    ".".join(["mischance", *init.parent.relative_to(folder).parts, *()])
    if not room
    else ".".join(["mischance", room, *init.parent.relative_to(folder).parts])
    for room, folder in [("", CORE), *ROOMS.items()]
    for init in folder.rglob("__init__.py")
} | {"mischance.scenarios"}


def core_files() -> Iterator[tuple[str, Path]]:
    """Yield (name below mischance, file) of everything on a floor."""
    for path in sorted(CORE.rglob("*.py")):
        parts = path.relative_to(CORE).with_suffix("").parts
        if parts[0] not in ROOMS and parts != ("__init__",):
            yield parts[0], path


def room_files() -> Iterator[tuple[str, str, Path]]:
    """Yield (room, absolute module name, file) of everything in a room."""
    for room, folder in ROOMS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            yield room, ".".join(["mischance", room, *parts]), path


def dotted(path: Path) -> str:
    """Return the absolute name of a file of the core."""
    parts = path.relative_to(CORE).with_suffix("").parts
    return ".".join(["mischance", *(parts[:-1] if parts[-1] == "__init__" else parts)])


def below(module: str) -> str | None:
    """Return the name that stands right below `mischance`, or None for a module of somebody else."""
    parts = module.split(".")
    return (parts[1] if len(parts) > 1 else "") if parts[0] == "mischance" else None


def place(path: Path, found: Import) -> str:
    return f"{path.relative_to(ROOT)}:{found.line} imports {found.module}"


def test_every_core_file_has_its_floor():
    homeless = sorted({name for name, _ in core_files()} - set(FLOOR))
    assert not homeless, f"give them a floor in tests/test_walls.py and docs/architecture.md: {homeless}"


def core_imports() -> Iterator[tuple[str, str, Path, Import]]:
    """Yield (importer, imported, file, import) within the core, packages and rooms left out."""
    for name, path in core_files():
        for found in imports(path, dotted(path)):
            other = below(found.module)
            if other not in (None, "", "__version__", "CallablePackage", *ROOMS, "scenarios"):
                yield name, str(other), path, found


def test_a_floor_imports_only_what_lies_below():
    wrong = [place(path, found) for name, other, path, found in core_imports() if FLOOR.get(other, 99) > FLOOR[name]]
    assert not wrong, "\n".join(wrong)


def test_no_floor_has_a_circle():
    needs: dict[str, set[str]] = {dotted(path): set() for _, path in core_files()}
    for _, _, path, found in core_imports():
        if found.top_level and not found.typing_only and found.module in needs:
            needs[dotted(path)].add(found.module)
    list(TopologicalSorter(needs).static_order())  # a CycleError names the circle


def test_no_file_names_a_room():
    wrong = []
    for name, path in [*core_files(), ("__init__", CORE / "__init__.py")]:
        for found in imports(path, dotted(path)):
            if below(found.module) in {*ROOMS, "scenarios"}:
                wrong.append(f"{place(path, found)} (floor file {name})")
    for room, module, path in room_files():
        for found in imports(path, module):
            if below(found.module) in {*ROOMS, "scenarios"} and not found.relative:
                wrong.append(f"{place(path, found)} (room {room}; say `from .name import …`)")
    assert not wrong, "\n".join(wrong)


def test_a_room_sees_the_lowest_floor_and_itself():
    wrong = []
    for room, module, path in room_files():
        for found in imports(path, module):
            other = below(found.module)
            if other is None:
                continue
            if found.relative:
                if not found.module.startswith(f"mischance.{room}.") and found.module != f"mischance.{room}":
                    wrong.append(f"{place(path, found)}: that is outside its room")
            elif other not in ROOM_MAY:
                wrong.append(f"{place(path, found)}: a room may import {', '.join(sorted(ROOM_MAY))}")
    assert not wrong, "\n".join(wrong)


def plug_ins() -> Iterator[tuple[str, Path]]:
    """Yield (absolute name, file) of each plug-in's own file: public, right below its room."""
    for room, module, path in room_files():
        name = module.removeprefix(f"mischance.{room}").strip(".")
        if name and "." not in name and not name.startswith("_"):
            yield module, path


def heavy(path: Path, module: str, seen: frozenset[Path] = frozenset()) -> Iterator[str]:
    """Yield what a file imports at its top level beyond the light set, its own siblings included."""
    for found in imports(path, module):
        if not found.top_level or found.typing_only:
            continue
        if found.relative:
            inner = ROOMS[module.split(".")[1]].joinpath(*found.module.split(".")[2:])
            for file in (inner.with_suffix(".py"), inner / "__init__.py"):
                if file.is_file() and file not in seen:
                    yield from heavy(file, found.module, seen | {path})
        elif found.module.split(".")[0] not in LIGHT:
            yield place(path, found)


def test_a_plug_ins_own_file_is_light():
    wrong = [line for module, path in plug_ins() for line in heavy(path, module)]
    hint = "move it to a private sibling that a method imports"
    assert not wrong, "\n".join([*wrong, hint])


def test_a_plug_in_says_who_lives_there():
    wrong = [
        str(path.relative_to(ROOT))
        for _, path in plug_ins()
        if not (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").strip()
    ]
    assert not wrong, f"no docstring, so `mischance list` would be silent: {wrong}"


def test_the_architecture_page_shows_the_same_floors():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = {
        int(number): set(re.findall(r"`(\w+)`", cell))
        for number, cell in re.findall(r"^\| (\d) \| ([^|]+)\|", text, flags=re.MULTILINE)
    }
    assert shown == {floor: set(names.split()) for floor, names in FLOORS.items()}


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


def test_the_walls_can_be_broken(tmp_path: Path):
    file = tmp_path / "bad.py"
    lines = (
        "import numpy",
        "from mischance.language import catalog",
        "from ..sensors import camera",
        "def f():",
        "    import cv2",
    )
    file.write_text("\n".join(lines))
    found = imports(file, "mischance.simulators.bad")
    assert [one.module for one in found] == ["numpy", "mischance.language.catalog", "mischance.sensors.camera", "cv2"]
    assert [one.top_level for one in found] == [True, True, True, False]
    assert found[2].relative
