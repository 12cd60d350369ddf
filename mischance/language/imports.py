"""Finds the user's modules that a source may import, without importing any.

What is loaded when a plug-in is built shows only a part of its code: an `import` inside a function comes when it is
called. A source is read for every import statement in it, wherever that stands, and so are the sources that it names.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path

from mischance.language.user_code import outside_environment


def reachable(known: Mapping[str, Path], search: Sequence[str]) -> dict[str, Path]:
    """Return module name -> source file of the known modules and of all of the user's that they may import.

    Args:
        known: module name -> source; '' for a file that is no module of that name, such as the plug-in's own.
        search: folders that are searched first, before those of this process.
    """
    found: dict[str, Path] = {}
    whole: set[Path] = set()
    waiting = list(known.items())
    while waiting:
        name, file = waiting.pop()
        if name in found:
            continue
        found[name] = file
        if search and file.name == "__init__.py" and file.parent not in whole and _below(file, search):
            # what a package of the user's imports by a computed name is part of it, most often
            whole.add(file.parent)
            waiting += [(f"{name}.{each.stem}", each) for each in sorted(file.parent.glob("*.py")) if each != file]
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        for wanted in _imported(file, package):
            waiting += [(each, source) for each, source in _sources(wanted, search) if each not in found]
    return found


def _below(file: Path, folders: Sequence[str]) -> bool:
    return any(file.resolve().is_relative_to(Path(folder).resolve()) for folder in folders)


def _imported(file: Path, package: str) -> Iterator[str]:
    """Yield the names that a source imports; of `from a import b` both a and a.b, which may be a module."""
    try:
        statements = _statements(file.read_bytes())
    except OSError:
        return
    for level, module, names in statements:
        parents = package.split(".")[: len(package.split(".")) - (level - 1)] if level else []
        base = ".".join([*parents, *([module] if module else [])])
        if base:
            yield base
            yield from (f"{base}.{name}" for name in names if name != "*")


@lru_cache(maxsize=512)
def _statements(source: bytes) -> tuple[tuple[int, str, tuple[str, ...]], ...]:
    """Return (level, module, names) of each import statement in a source; one that does not parse has none."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    found: list[tuple[int, str, tuple[str, ...]]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
    return tuple(found)


def _sources(name: str, search: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Yield (name, source) of a module and of the packages that it stands in, as far as they are the user's."""
    places: Sequence[str] | None = [*search, *sys.path]
    parts = name.split(".")
    if parts[0] == "mischance" or parts[0] in sys.stdlib_module_names:
        return
    for i in range(len(parts)):
        full = ".".join(parts[: i + 1])
        try:
            spec = PathFinder.find_spec(full, places)
        except (ImportError, ValueError, OSError):
            return
        if spec is None:
            return
        if spec.origin is not None and spec.has_location:
            if not spec.origin.endswith(".py") or not outside_environment(spec.origin):
                return
            yield full, Path(spec.origin)
        places = list(spec.submodule_search_locations or ())
