"""Finds plug-ins and scenarios by name: built-in ones, those of other packages, and users' own files.

A name is one of: a module of a plug-in package (`road`), an entry point of another distribution
(group `mischance.simulators` and so on), `path/to/file.py:Class`, or
`package.module:Class`. Listing reads source text and imports nothing.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mischance.api.protocols import declares, misspelt
from mischance.errors import CatalogError, suggest
from mischance.language.user_code import UserCode, content_of, is_file

if TYPE_CHECKING:
    from importlib import metadata

ROOMS: dict[str, tuple[str, ...]] = {
    # kind of plug-in (its package) -> required methods
    "simulators": ("start", "advance", "outcome", "close"),
    "sensors": ("start", "read", "labels"),
    "renderers": ("draw", "close"),
    "writers": ("write", "close"),
    "agents": ("start", "act"),
    "exporters": ("export",),
    "generators": (),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of `mischance list`."""

    room: str
    name: str
    about: str
    tags: tuple[str, ...] = ()
    origin: str = ""
    variants: tuple[str, ...] = ()


def entries(room: str) -> list[Entry]:
    """Return the plug-ins of a kind, sorted by name, without importing any.

    Raises:
        CatalogError: there is no such kind of plug-in.
    """
    if room == "scenarios":
        return _scenario_entries()
    if room not in ROOMS:
        raise CatalogError(
            f"there is no kind of plug-in {room!r}", suggest(room, [*ROOMS, "scenarios"]) or _known(ROOMS)
        )
    found = {name: Entry(room, name, _about(path), origin="mischance") for name, path in _modules(room)}
    for point in _entry_points(room):
        found.setdefault(point.name, Entry(room, point.name, _about_entry_point(point), origin=_distribution(point)))
    return sorted(found.values(), key=lambda entry: entry.name)


def find(room: str, name: str, base: Path | None = None) -> type[Any]:
    """Return the class of a plug-in.

    Args:
        room: simulators, sensors, renderers, writers, agents, exporters or generators.
        name: see the module's docstring.
        base: folder of a relative `file.py:Class`; the current folder if None.

    Raises:
        CatalogError: it does not exist, cannot be imported, or breaks its contract.
    """
    if ":" in name:
        plugin = _from_reference(name, base, functions=room == "agents")
    elif (module := dict(_modules(room)).get(name)) is not None:
        plugin = _class_of(_import(f"mischance.{room}.{module.stem if module.stem != '__init__' else name}"), name)
    else:
        plugin = _from_entry_point(room, name)
    missing = [method for method in ROOMS[room] if not callable(getattr(plugin, method, None))]
    if missing:
        raise CatalogError(
            f"{name!r} is not a plug-in for {room}: {plugin.__name__} has no {', '.join(missing)}",
            f"docs/architecture.md says what one of {room} must be able to do",
        )
    _refuse_misspelt(name, plugin, ROOMS[room])
    if not hasattr(declares(plugin).settings, "model_validate_json"):
        raise CatalogError(
            f"{name!r} is not a plug-in for {room}: {plugin.__name__}.Settings is no pydantic model",
            "derive it from pydantic.BaseModel",
        )
    return plugin


def _refuse_misspelt(name: str, plugin: Any, methods: Sequence[str]) -> None:
    odd = misspelt(plugin, methods)
    if odd:
        raise CatalogError(
            f"{name!r} declares what nobody reads: {plugin.__name__} has {odd}",
            "what a plug-in may declare stands in mischance.api.protocols.Declared; names of its own begin with _",
        )


EXTRAS = {"pybullet": ("PyBullet", "physics"), "moderngl": ("moderngl", "opengl")}


def check_needs(room: str, name: str, needs: Sequence[str]) -> None:
    """Check that the libraries of a plug-in are installed.

    Raises:
        CatalogError: one of them is not; the message says how to install it.
    """
    for module in needs:
        try:
            there = module in sys.modules or importlib.util.find_spec(module) is not None
        except (ImportError, ValueError):
            there = False
        if there and sys.modules.get(module, module) is not None:
            continue
        library, extra = EXTRAS.get(module, (module, ""))
        hint = f"pip install 'mischance[{extra}]'" if extra else f"pip install {library}"
        if module == "pybullet" and sys.version_info >= (3, 12):
            hint += " (there is no wheel for this Python: it is built from source, with a C++ compiler)"
        raise CatalogError(f"the {room[:-1]} '{name}' needs {library}, which is not installed", hint)


def reference_file(name: str, base: Path | None = None) -> Path | None:
    """Return the file behind a `path/to/file.py:Class` name, or None for any other kind of name."""
    place, _, _ = name.rpartition(":")
    if not place.endswith(".py"):
        return None
    path = Path(place)
    return path if path.is_absolute() or base is None else base / path


def scenario_file(name: str) -> Path | None:
    """Return the file of one scenario of the library or of another package, or None where there is none."""
    if re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", name):  # the built-in library is searched without entry points
        for folder in _folders("mischance.scenarios"):
            path = folder / f"{name}.yaml"
            try:
                if path.is_file():
                    return path
            except OSError:  # too long a name
                return None
    return scenario_files().get(name)


def scenario_files() -> dict[str, Path]:
    """Return the scenarios of the library and of other packages: name -> file."""
    found: dict[str, Path] = {}
    for folder in _scenario_folders():
        for path in sorted(folder.rglob("*.yaml")):
            found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
    return found


def _scenario_folders() -> Iterator[Path]:
    yield from _folders("mischance.scenarios")
    for point in _entry_points("scenarios"):
        path = _located(point)
        if path is not None:
            yield path.parent if path.name == "__init__.py" else path
        else:
            yield from _folders(point.value)


def _scenario_entries() -> list[Entry]:
    from mischance.errors import ScenarioError
    from mischance.language.yaml.document import read

    found = []
    for name, path in sorted(scenario_files().items()):
        try:
            tree = read(path.read_bytes(), str(path)).tree
        except (ScenarioError, OSError):
            found.append(Entry("scenarios", name, "(cannot be read: try `mischance validate` on it)", origin=str(path)))
            continue
        tags = tuple(str(tag) for tag in tree.get("tags") or ())
        variants = tuple(map(str, tree.get("variants") or ()))
        found.append(Entry("scenarios", name, str(tree.get("about", "")), tags, str(path), variants))
    return found


def _folders(package: str) -> list[Path]:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    return [Path(place) for place in (spec.submodule_search_locations or ())] if spec else []


def _modules(room: str) -> Iterator[tuple[str, Path]]:
    """Yield (name, source file) of the public modules and packages of a kind of plug-in."""
    for folder in _folders(f"mischance.{room}"):
        yield from _listing(folder, folder.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _listing(folder: Path, changed: int) -> tuple[tuple[str, Path], ...]:
    """Return (name, source file) of a folder's public modules; `changed` invalidates the cache when files are added."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(("_", ".")):
            continue
        if path.suffix == ".py":
            found.append((path.stem, path))
        elif (path / "__init__.py").is_file():
            found.append((path.name, path / "__init__.py"))
    return tuple(found)


def _entry_points(room: str) -> tuple[metadata.EntryPoint, ...]:
    return _entry_points_on(room, tuple(sys.path))


@lru_cache(maxsize=64)
def _entry_points_on(room: str, places: tuple[str, ...]) -> tuple[metadata.EntryPoint, ...]:
    """Return the entry points of a kind; cached, because the search reads every installed distribution."""
    from importlib import metadata

    return tuple(sorted(metadata.entry_points(group=f"mischance.{room}"), key=lambda point: point.name))


def _distribution(point: metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else ""


def _located(point: metadata.EntryPoint) -> Path | None:
    """Return the source file or folder of an entry point without importing its package."""
    if point.dist is None:
        return None
    base = point.value.partition(":")[0].replace(".", "/")
    for name in (f"{base}.py", f"{base}/__init__.py", base):
        path = Path(str(point.dist.locate_file(name)))
        if path.exists():
            return path
    return None


def _about(path: Path | None) -> str:
    if path is None or not path.is_file():
        return ""
    try:
        return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    except (OSError, SyntaxError, ValueError):
        return "(cannot be read)"


def _about_entry_point(point: metadata.EntryPoint) -> str:
    return _about(_located(point))


def _known(names: object) -> str:
    return "known: " + ", ".join(sorted(map(str, names)))  # type: ignore[call-overload]


def _import(module: str) -> Any:
    try:
        with redirect_stdout(sys.stderr):
            return importlib.import_module(module)
    except Exception as error:
        raise CatalogError(f"the plug-in module {module} cannot be imported: {_one_line(error)}") from error


def _class_of(module: Any, name: str) -> type[Any]:
    """Return the plug-in class of a module: its name is the module's without underscores."""
    wanted = name.replace("_", "").lower()
    for key, value in vars(module).items():
        if inspect.isclass(value) and key.lower() == wanted:
            return value
    raise CatalogError(f"{module.__name__} has no class called {name.replace('_', '').title()}")


def user_code(room: str, name: str, base: Path | None = None) -> UserCode | None:
    """Return where a user's plug-in stands, to be loaded anew for each run; None where mischance brings it.

    Args:
        room: simulators, sensors, renderers, writers, agents, exporters or generators.
        name: a name that `find` has found.
        base: folder of a relative `file.py:Class`; the current folder if None.
    """
    place, _, attribute = name.rpartition(":")
    adapt = partial(_adapted, name, functions=room == "agents")
    if ":" not in name:
        point = next((point for point in _entry_points(room) if point.name == name), None)
        if point is None or name in dict(_modules(room)):
            return None
        place, _, attribute = point.value.partition(":")
        if not attribute:
            return UserCode("", module=place, adapt=lambda module: _class_of(module, name))
        return UserCode(attribute, module=place)
    return _code_at(place, reference_file(name, base), base, attribute, adapt)


def _code_at(place: str, path: Path | None, base: Path | None, attribute: str, adapt: Callable[[Any], Any]) -> UserCode:
    """Return where a referred plug-in stands; modules that a dataset keeps come before those of this process."""
    if path is not None:
        return UserCode(attribute, path, adapt=adapt)
    kept = base / "inputs" if base is not None else Path("inputs")
    source = kept / place.replace(".", "/")
    here = base is not None and (source.with_suffix(".py").is_file() or (source / "__init__.py").is_file())
    return UserCode(attribute, module=place, adapt=adapt, root=str(kept.resolve()) if here else "")


def _from_reference(name: str, base: Path | None, *, functions: bool = False) -> type[Any]:
    place, _, attribute = name.rpartition(":")
    path = reference_file(name, base)
    if path is not None and not is_file(path):
        raise CatalogError(f"there is no file {str(path)!r}", "write it as path/to/file.py:Class")
    code = _code_at(place, path.resolve() if path is not None else None, base, attribute, lambda found: found)
    if not code.root:
        return _adapted(name, _attribute(_import(place), place, attribute, functions=functions), functions=functions)
    return _loaded(code, name, str(path or place), functions=functions)


def _loaded(code: UserCode, name: str, place: str, *, functions: bool) -> type[Any]:
    """Return the plug-in of a file: loaded once, and again when the file or a module that it imports has changed."""
    key = (code.root, place, code.attribute, functions)
    known = _LOADED.get(key)
    if known is not None and all(content_of(file) == content for file, content in known[1].items()):
        return known[0]
    try:
        copy = code.load(lambda module: _attribute(module, place, code.attribute, functions=functions))
    except CatalogError:
        raise
    except Exception as error:
        raise CatalogError(f"the plug-in {place!r} cannot be imported: {_one_line(error)}") from error
    copy.keep()
    plugin = _adapted(name, copy.plugin, functions=functions)
    _LOADED[key] = (plugin, {file: content_of(file) for file in code.files.values()})
    return plugin


_LOADED: dict[tuple[str, str, str, bool], tuple[type[Any], dict[Path, bytes]]] = {}


def _attribute(module: Any, place: str, attribute: str, *, functions: bool) -> Any:
    """Return what a module has by that name.

    Raises:
        CatalogError: it has no such class, or function where that may be a plug-in too.
    """
    plugin = getattr(module, attribute, None)
    if inspect.isclass(plugin) or (functions and inspect.isfunction(plugin)):
        return plugin
    what = "function or class" if functions else "class"
    known = _own_names(module, functions=functions)
    hint = suggest(attribute, known) or (_known(known) if known else f"it defines no {what}")
    raise CatalogError(f"{place} has no {what} {attribute!r}", hint)


def _adapted(name: str, plugin: Any, *, functions: bool) -> type[Any]:
    """Return the plug-in's class: a plain function that is an agent gets one."""
    if functions and inspect.isfunction(plugin):
        from mischance.api.observations import function_agent

        _refuse_misspelt(name, plugin, ())
        return function_agent(plugin)
    found: type[Any] = plugin
    return found


def _own_names(module: Any, *, functions: bool) -> list[str]:
    """Return the public classes that a module defines itself, and its functions where they may be plug-ins too."""
    return [
        key
        for key, value in vars(module).items()
        if (inspect.isclass(value) or (functions and inspect.isfunction(value)))
        and value.__module__ == module.__name__
        and not key.startswith("_")
    ]


def _from_entry_point(room: str, name: str) -> type[Any]:
    points = {point.name: point for point in _entry_points(room)}
    if name not in points:
        known = sorted({*dict(_modules(room)), *points})
        raise CatalogError(f"{room} has no plug-in called {name!r}", suggest(name, known) or _known(known))
    try:
        plugin = points[name].load()
    except Exception as error:
        raise CatalogError(f"the entry point {points[name].value} cannot be loaded: {_one_line(error)}") from error
    return _class_of(plugin, name) if inspect.ismodule(plugin) else plugin


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".rstrip(": ")
