"""Variants and overrides: set changes at dotted paths of a scenario's tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import copy, deepcopy
from pathlib import Path
from typing import Any

from mischance.errors import MischanceError, shorten, suggest
from mischance.language.origin import Origin, Path_, Place
from mischance.language.scenario import ScenarioModel
from mischance.language.yaml.document import read_value, show_path

FIXED = ("mischance", "extends", "variants")  # keys that neither a variant nor an override may change


def apply_variant(tree: dict[str, Any], variant: str, file: str, origin: Origin) -> None:
    """Set the changes of one variant in `tree`, and append the variant to its name.

    Raises:
        MischanceError: the scenario has no such variant, or it is no mapping.
    """
    for key, value in variant_changes(tree, variant, file).items():
        where: Path_ = ("variants", variant, key)
        path = change_path(tree, key)
        if path is None:
            continue  # reported by `build`, which checks the keys of all variants
        place = origin.root.at(where)
        blocked = _set(tree, path, value)
        if blocked:
            origin.add(where, blocked, at_key=True)
        else:
            origin.root.put(path, place)
    if isinstance(tree.get("name"), str):
        tree["name"] += f":{variant}"


def apply_override(tree: dict[str, Any], key: str, value: str, origin: Origin) -> None:
    """Set one override (`--set key=value`) in `tree`; `value` is YAML text.

    Raises:
        MischanceError: the key names nothing that may change, or the text is no YAML.
    """
    document = read_value(value, f"--set {key}")
    path = change_path(tree, key)
    if path is None:
        hint = suggest(key.split(".", maxsplit=1)[0], changeable(tree))
        raise MischanceError(f"--set {shorten(key)[1:-1]}: nothing of that name to change", hint)
    blocked = _set(tree, path, document.tree["value"])
    if blocked:
        raise MischanceError(f"--set {key}: {blocked}", "check the dotted path")
    origin.root.put(path, Place(document, Path.cwd(), ("value",)))


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
    """Set the changes of a variant of `tree` in another tree, `target`; return `target`."""
    for key, value in changes.items():
        path = change_path(tree, key)
        if path is None:
            continue
        entry = next((i for i, part in enumerate(path) if isinstance(part, int)), None)
        if entry is not None and _at(target, path[:entry]) is None:
            _set(
                target, path[:entry], deepcopy(_at(tree, path[:entry]))
            )  # a list is set as a whole before an entry of it changes
        _set(target, path, value)
    return target


def change_path(tree: Mapping[str, Any], key: str) -> Path_ | None:
    """Return the path that a variant's or override's key denotes; None where it may not be changed.

    A name in `vary` denotes that drawn value; any other key is a dotted path.
    """
    vary = tree.get("vary")
    if isinstance(vary, dict) and key in vary:
        return ("vary", key)
    parts: Path_ = tuple(int(part) if re.fullmatch("[0-9]{1,6}", part) else part for part in key.split("."))
    return parts if parts[0] in changeable(tree) and "" not in parts else None


def changeable(tree: Mapping[str, Any]) -> list[str]:
    """Return the first parts that a changed path may have: names of drawn values and top-level keys."""
    vary = tree.get("vary")
    return [*(vary if isinstance(vary, dict) else ()), *(key for key in ScenarioModel.model_fields if key not in FIXED)]


def _at(tree: Any, path: Path_) -> Any:
    """Return the value at a path; None where there is none."""
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree


def _set(tree: dict[str, Any], path: Path_, value: Any) -> str:
    """Set a value at a path, copying the containers on the way; return the reason it is impossible, '' if set."""
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
    """Return the reason why a key or index of `node` cannot be set, '' where it can."""
    if isinstance(node, list):
        there = isinstance(part, int) and part < len(node)
        return "" if there else f"is a list of {len(node)} without an entry {part}"
    if isinstance(node, dict):
        return "" if isinstance(part, str) else f"is a mapping without a key {part}"
    return f"has no parts (it is {shorten(node)})"
