"""The user's files behind a scenario: everything of theirs that can change what comes out, which a dataset keeps.

These are data files and plug-ins that the scenario names, every module that such a plug-in may import, and the files
that a plug-in says it needs (the program of an agent). Libraries are not copied: their versions are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from mischance.errors import MischanceError
from mischance.language.imports import reachable
from mischance.language.user_code import content_of, outside_environment, place_of

if TYPE_CHECKING:
    from mischance.language.scenario import PlugIn, Scenario

FOLDER = "inputs"


def with_inputs(scenario: Scenario, further: Sequence[Path] = ()) -> Scenario:
    """Return the scenario with all files of the user's that can change what comes out: see `Scenario.files`.

    Args:
        scenario: what is played.
        further: files that nothing names, such as one that an agent reads; each stands where it stands from the agent.

    Raises:
        MischanceError: a file is not there, or two modules would have one place.
    """
    files = dict(scenario.files)
    roots = [Path(root) for root in roots_of(files)]
    for plugin in scenario.plugins():
        for place, file in _modules(plugin):
            _put(files, place, file)
        if plugin.declared.files is not None and not plugin.drawn:
            for file in plugin.declared.files(plugin.settings):
                _put(files, file.name, file)
    for given in further:
        if not given.is_file():
            raise MischanceError(f"there is no file {str(given)!r}", "--input names a file that the agent reads")
        below = next((root for root in roots if given.resolve().is_relative_to(root)), None)
        _put(files, given.name if below is None else given.resolve().relative_to(below).as_posix(), given)
    return replace(scenario, files=files)


def _modules(plugin: PlugIn) -> Iterator[tuple[str, Path]]:
    """Yield (place, file) of every module that a plug-in's code may import; its own file has been kept already."""
    code = plugin.code
    if code is None:
        return
    if not code.files:
        code.load()
    known = {name: file for name, file in code.files.items() if outside_environment(str(file))}
    for name, file in sorted(reachable(known, [code.root] if code.root else []).items()):
        place = place_of(name, file)
        if place:
            yield place, file


def _put(files: dict[str, Path], place: str, file: Path) -> None:
    name = f"{FOLDER}/{place}"
    other = files.get(name)
    if other is not None and other.resolve() != file.resolve():
        raise MischanceError(
            f"{other} and {file} would both stand at {name} in a dataset", "give one of them another name"
        )
    files[name] = file


def roots_of(files: Mapping[str, Path]) -> tuple[str, ...]:
    """Return the folders of a scenario's Python files: modules of the user's are looked for there."""
    return tuple(sorted({str(path.parent.resolve()) for path in files.values() if path.suffix == ".py"}))


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the user's code has loaded: place below `inputs` -> source of its modules; files that it has read."""

    sources: Mapping[str, bytes] = field(default_factory=dict)
    opened: tuple[str, ...] = ()


def loaded_from(scenario: Scenario, folders: Sequence[Path]) -> Loaded:
    """Return what the user's code has loaded so far from elsewhere than these folders and what the system brings."""
    own = tuple(f"{folder.resolve()}/" for folder in folders)
    sources: dict[str, bytes] = {}
    opened: set[str] = set()
    for plugin in scenario.plugins():
        if plugin.code is None:
            continue
        for name, file in plugin.code.files.items():
            place, path = place_of(name, file), str(file.resolve())
            if place and outside_environment(path) and not path.startswith(own):
                sources[place] = content_of(file)
        for name in plugin.code.opened:
            path = str(Path(name).resolve())
            if outside_environment(path) and not path.startswith((*own, *_SYSTEM)) and Path(path).is_file():
                opened.add(path)
    return Loaded(sources, tuple(sorted(opened)))


def unkept(opened: Iterable[str], files: Mapping[str, Path]) -> tuple[Path, ...]:
    """Return those of the files that were read that are not among a scenario's."""
    kept = {path.resolve() for path in files.values()}
    return tuple(sorted({Path(name) for name in opened if Path(name).resolve() not in kept}))


_SYSTEM = ("/dev/", "/etc/", "/lib/", "/lib64/", "/proc/", "/sys/", "/usr/", f"{Path(__file__).resolve().parents[1]}/")


def packages_of(scenario: Scenario) -> dict[str, str]:
    """Return name -> version of the installed packages that hold plug-ins of the scenario."""
    found = {}
    for plugin in scenario.plugins():
        top = plugin.code.module.partition(".")[0] if plugin.code is not None else ""
        for name in metadata.packages_distributions().get(top, ()) if top else ():
            found[name] = metadata.version(name)
    return dict(sorted(found.items()))


__all__ = ["FOLDER", "Loaded", "loaded_from", "packages_of", "roots_of", "unkept", "with_inputs"]
