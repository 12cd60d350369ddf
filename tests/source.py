"""Reads source files for the tests of layers: which modules a file imports, however it says so, and what it names.

Nothing is imported and nothing runs. A `Tree` is this project, or a few files in the same layout.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DYNAMIC = "?"  # the module of an import whose name is computed


@dataclass(frozen=True)
class Import:
    """One imported module by its absolute name, and how the source says it.

    `names`: what is taken out of the module; `relative`: said with leading dots; `top_level`: done when the file is
    imported; `typing_only`: under `if TYPE_CHECKING`.
    """

    module: str
    line: int
    names: tuple[str, ...] = ()
    relative: bool = False
    top_level: bool = True
    typing_only: bool = False


@dataclass(frozen=True)
class Source:
    """One file: its absolute module name, its place and its syntax tree."""

    module: str
    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        """The package that it is in; a package's own file is in itself."""
        return self.module if self.path.name == "__init__.py" else self.module.rpartition(".")[0]


class Tree:
    """The packages of the project below a folder; `rooms` are folders of plug-ins, wherever they stand."""

    def __init__(self, root: Path, rooms: Mapping[str, str]) -> None:
        self.root = root
        self.rooms = {room: root / folder for room, folder in rooms.items()}
        self.core = root / "mischance"

    @cached_property
    def sources(self) -> dict[str, Source]:
        """Every file by its module name."""
        found: dict[str, Source] = {}
        for name, folder in [("mischance", self.core), *((f"mischance.{r}", f) for r, f in self.rooms.items())]:
            for path in sorted(folder.rglob("*.py")):
                parts = path.relative_to(folder).with_suffix("").parts
                module = ".".join([name, *(parts[:-1] if parts[-1] == "__init__" else parts)])
                text = path.read_text(encoding="utf-8")
                found[module] = Source(module, path, text, ast.parse(text))
        return found

    @cached_property
    def imports(self) -> dict[str, list[Import]]:
        """What every file imports, by its module name."""
        return {module: list(self._imports(source)) for module, source in self.sources.items()}

    def room_of(self, module: str) -> str:
        """Return the room that a module is in, or ''."""
        below = module.split(".")[1:2]
        return below[0] if below and below[0] in self.rooms else ""

    def place(self, source: Source, line: int) -> str:
        """Return where a line stands, for people."""
        return f"{source.path.relative_to(self.root)}:{line}"

    def is_module(self, name: str) -> bool:
        """Say whether a name is a module or package of the project; a scenario folder is one as well."""
        return name in {*self.sources, "mischance.scenarios"} or any(
            module.startswith(f"{name}.") for module in self.sources
        )

    def _imports(self, source: Source) -> Iterator[Import]:
        yield from self._below(source, source.tree, top=True, typing=False)

    def _below(self, source: Source, node: ast.AST, *, top: bool, typing: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, (), False, top, typing)
        elif isinstance(node, ast.ImportFrom):
            yield from self._from(source, node, top=top, typing=typing)
        elif isinstance(node, ast.Call) and _called(node.func) in ("import_module", "__import__"):
            yield Import(_literal(node.args, source), node.lineno, (), False, top, typing)
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.If) and _called(node.test) == "TYPE_CHECKING":
            for child in node.body:
                yield from self._below(source, child, top=top, typing=True)
            for child in node.orelse:
                yield from self._below(source, child, top=top, typing=typing)
            return
        for child in ast.iter_child_nodes(node):
            yield from self._below(source, child, top=top and not inside, typing=typing)

    def _from(self, source: Source, node: ast.ImportFrom, *, top: bool, typing: bool) -> Iterator[Import]:
        package = source.package.split(".")
        base = package[: len(package) - node.level + 1] if node.level else []
        stem = ".".join([*base, *([node.module] if node.module else [])])
        rest = []
        for alias in node.names:  # `from package import x` may mean the module package.x: only the files tell
            if self.is_module(f"{stem}.{alias.name}"):
                yield Import(f"{stem}.{alias.name}", node.lineno, (), node.level > 0, top, typing)
            else:
                rest.append(alias.name)
        if rest:
            yield Import(stem, node.lineno, tuple(rest), node.level > 0, top, typing)


def _called(node: ast.AST) -> str:
    """Return the last name of `a.b.c` or `c`, or ''."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _literal(arguments: Sequence[ast.expr], source: Source) -> str:
    """Return the module that a call of import_module names; relative names count from the file's package."""
    first = arguments[0] if arguments else None
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return DYNAMIC
    name = first.value
    dots = len(name) - len(name.lstrip("."))
    if not dots:
        return name
    package = source.package.split(".")
    return ".".join([*package[: len(package) - dots + 1], name.lstrip(".")])


def aliases(source: Source, tree: Tree) -> dict[str, str]:
    """Return name -> module for every name by which a file calls a module of the project."""
    found: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            package = source.package.split(".")
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                if tree.is_module(f"{stem}.{alias.name}"):
                    found[alias.asname or alias.name] = f"{stem}.{alias.name}"
    return {name: module for name, module in found.items() if module.split(".")[0] == "mischance"}
