"""From text to a tree: which file, what it extends, which variant, what the command line changes."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from copy import copy, deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mischance.errors import MischanceError, ScenarioError, shorten, suggest
from mischance.language import catalog
from mischance.language.origin import Origin, Path_, Place, merged
from mischance.language.yaml.document import MAX_BYTES, Document, read, read_value, show_path

if TYPE_CHECKING:
    from mischance.language.scenario import Scenario

MAX_EXTENDS = 16
FIXED = ("mischance", "extends", "variants")  # what neither a variant nor the command line may change


def load(source: str | Path, overrides: Mapping[str, str] | None = None, *, seed: int | None = None) -> Scenario:
    """Read a scenario: a file, a name of the library (`driving/cut_in`), a variant (`driving/cut_in:crash`), or '-'.

    Args:
        source: what to read.
        overrides: dotted path -> YAML text, as `--set vary.gap=12m` gives them.
        seed: replaces the scenario's own seed.

    Raises:
        ScenarioError: all problems of the text, each with its place.
        MischanceError: there is no such scenario, or it cannot be read.
    """
    from mischance.language.building import build

    path, variant = locate(source)
    text, file = _text(path)
    tree, place = _extended(read(text, file), path, [str(path.resolve()) if path is not None else file])
    origin = Origin(place)
    if variant:
        _apply_variant(tree, variant, file, origin)
    for key, value in (overrides or {}).items():
        _apply_override(tree, key, value, origin)
    if seed is not None:
        tree["seed"] = seed
        place.put(("seed",), Place(Document("--seed", {}, {}), Path.cwd()))
    return build(tree, origin)


def locate(source: str | Path) -> tuple[Path | None, str]:
    """Return the file of a scenario and the variant asked for; no file for standard input.

    Raises:
        MischanceError: nothing has that name.
    """
    text = str(source)
    if text == "-":
        return None, ""
    for name, variant in ((text, ""), text.rsplit(":", 1) if ":" in text else (text, "")):
        if name != text and not variant:
            continue
        if _is_file(Path(name)):
            return Path(name), variant
        found = catalog.scenario_file(name)
        if found is not None:
            return found, variant
    if text.endswith(":"):
        raise MischanceError(f"{shorten(text)} names no variant", "leave the colon out, or write a variant after it")
    name = text.partition(":")[0]
    if _is_folder(Path(name)):
        raise MischanceError(f"{shorten(name)} is a folder, not a scenario file", "name the YAML file inside it")
    known = catalog.scenario_files()
    hint = suggest(name, known) or "`mischance list scenarios` shows the library"
    raise MischanceError(f"there is no scenario or file {shorten(name)}", hint)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, a folder that may not be looked into
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _text(path: Path | None) -> tuple[bytes, str]:
    """Return a file's bytes, one more than are allowed where it is too large, and what errors call it."""
    if path is None:
        return sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>"
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1), str(path)
    except OSError as error:
        raise MischanceError(f"cannot read {str(path)!r}: {error.strerror}") from error


def _extended(document: Document, path: Path | None, chain: list[str]) -> tuple[dict[str, Any], Place]:
    """Return the document's tree laid over the tree of what it extends, and where its parts were written."""
    place = Place(document, path.parent if path is not None else Path.cwd())
    tree = dict(document.tree)
    parent = tree.pop("extends", None)
    if parent is None:
        return tree, place
    if not isinstance(parent, str):
        message = f"must be a scenario's name or file (got {shorten(parent)})"
        raise ScenarioError([document.problem(("extends",), message)])
    parent_path = _parent_file(parent, place.folder)
    if parent_path is None:
        message = f"there is no scenario or file {shorten(parent)}"
        raise ScenarioError([document.problem(("extends",), message, suggest(parent, catalog.scenario_files()))])
    # The same file may be reached by several names.
    if (real := str(parent_path.resolve())) in chain or len(chain) >= MAX_EXTENDS:
        way = " -> ".join(Path(file).name for file in [*chain, real])
        raise ScenarioError([document.problem(("extends",), f"the scenarios extend each other: {way}")])
    text, file = _text(parent_path)
    below, low = _extended(read(text, file), parent_path, [*chain, real])
    return merged(below, tree, low, place)


def _parent_file(parent: str, folder: Path) -> Path | None:
    for name in (parent, f"{parent}.yaml"):
        if _is_file(folder / name):
            return folder / name
    return catalog.scenario_file(parent)


def variant_changes(tree: Mapping[str, Any], variant: str, file: str) -> dict[str, Any]:
    """Return the changes of a variant.

    Raises:
        MischanceError: the scenario has no such variant, or it is no mapping.
    """
    variants = tree.get("variants")
    known = list(variants) if isinstance(variants, dict) else []
    if variant not in known:
        hint = suggest(variant, known) or ("known: " + ", ".join(known) if known else "it has no variants")
        raise MischanceError(f"{file}: there is no variant {shorten(variant)}", hint)
    changes = tree["variants"][variant]
    if not isinstance(changes, dict):
        raise MischanceError(f"{file}: the variant {variant!r} must be a mapping of changes", "such as {gap: 9 m}")
    return changes


def apply_changes(target: dict[str, Any], tree: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Set changes, written as a variant of `tree` writes them, in another tree; return that one."""
    for key, value in changes.items():
        path = change_path(tree, key)
        if path is None:
            continue
        entry = next((i for i, part in enumerate(path) if isinstance(part, int)), None)
        if entry is not None and _at(target, path[:entry]) is None:
            _set(target, path[:entry], deepcopy(_at(tree, path[:entry])))  # an entry of a list needs the whole list
        _set(target, path, value)
    return target


def _at(tree: Any, path: Path_) -> Any:
    """Return what stands at a path; None where nothing does."""
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree


def _apply_variant(tree: dict[str, Any], variant: str, file: str, origin: Origin) -> None:
    for key, value in variant_changes(tree, variant, file).items():
        where: Path_ = ("variants", variant, key)
        path = change_path(tree, key)
        if path is None:
            continue  # `build` looks at the keys of all variants
        place = origin.root.at(where)
        blocked = _set(tree, path, value)
        if blocked:
            origin.add(where, blocked, at_key=True)
        else:
            origin.root.put(path, place)
    if isinstance(tree.get("name"), str):
        tree["name"] += f":{variant}"


def change_path(tree: Mapping[str, Any], key: str) -> Path_ | None:
    """Return what a variant's or override's key stands for: a drawn value's name, or a dotted path."""
    vary = tree.get("vary")
    if isinstance(vary, dict) and key in vary:
        return ("vary", key)
    parts: Path_ = tuple(int(part) if re.fullmatch("[0-9]{1,6}", part) else part for part in key.split("."))
    return parts if parts[0] in changeable(tree) and "" not in parts else None


def changeable(tree: Mapping[str, Any]) -> list[str]:
    """Return the words that a change may begin with: drawn values and keys of a scenario."""
    from mischance.language.scenario import ScenarioModel

    vary = tree.get("vary")
    return [*(vary if isinstance(vary, dict) else ()), *(key for key in ScenarioModel.model_fields if key not in FIXED)]


def _apply_override(tree: dict[str, Any], key: str, value: str, origin: Origin) -> None:
    document = read_value(value, f"--set {key}")
    path = change_path(tree, key)
    if path is None:
        hint = suggest(key.split(".", maxsplit=1)[0], changeable(tree))
        raise MischanceError(f"--set {shorten(key)[1:-1]}: nothing of that name to change", hint)
    blocked = _set(tree, path, document.tree["value"])
    if blocked:
        raise MischanceError(f"--set {key}: {blocked}", "check the dotted path")
    origin.root.put(path, Place(document, Path.cwd(), ("value",)))


def _set(tree: dict[str, Any], path: Path_, value: Any) -> str:
    """Set a value in place, on copies of what lies on the way; return why it cannot be, '' where it could."""
    node: Any = tree
    for i, part in enumerate(path):
        blocked = _blocked(node, part)
        if blocked:
            return f"{show_path(path[:i])} {blocked}"
        if i < len(path) - 1:
            node[part] = copy(node[part]) if isinstance(part, int) or part in node else {}
            node = node[part]
    node[path[-1]] = value
    return ""


def _blocked(node: object, part: str | int) -> str:
    """Return why nothing can be set under a key or index, '' where it can."""
    if isinstance(node, list):
        there = isinstance(part, int) and part < len(node)
        return "" if there else f"is a list of {len(node)} without an entry {part}"
    if isinstance(node, dict):
        return "" if isinstance(part, str) else f"is a mapping without a key {part}"
    return f"has no parts (it is {shorten(node)})"
