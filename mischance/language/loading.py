"""Loads a scenario: finds the file, merges what it extends, sets the variant and the overrides, and builds it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mischance.errors import MischanceError, ScenarioError, shorten, suggest
from mischance.language import catalog
from mischance.language.building import build
from mischance.language.origin import Origin, Place, merged
from mischance.language.scenario import Scenario
from mischance.language.variants import apply_override, apply_variant
from mischance.language.yaml.document import MAX_BYTES, Document, read

MAX_EXTENDS = 16


def load(source: str | Path, overrides: Mapping[str, str] | None = None, *, seed: int | None = None) -> Scenario:
    """Read a scenario: a file, a name of the library (`driving/cut_in`), a variant (`driving/cut_in:crash`), or '-'.

    Args:
        source: file, name or '-' (standard input).
        overrides: dotted path -> YAML text, as `--set vary.gap=12m` gives them.
        seed: replaces the scenario's own seed.

    Raises:
        ScenarioError: all problems of the text, each with its position.
        MischanceError: there is no such scenario, or it cannot be read.
    """
    path, variant = locate(source)
    text, file = _text(path)
    tree, place = _extended(read(text, file), path, [str(path.resolve()) if path is not None else file])
    origin = Origin(place)
    if variant:
        apply_variant(tree, variant, file, origin)
    for key, value in (overrides or {}).items():
        apply_override(tree, key, value, origin)
    if seed is not None:
        tree["seed"] = seed
        place.put(("seed",), Place(Document("--seed", {}, {}), Path.cwd()))
    return build(tree, origin)


def locate(source: str | Path) -> tuple[Path | None, str]:
    """Return the file of a scenario and the variant asked for; no file for standard input.

    Raises:
        MischanceError: there is no such scenario or file.
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
    """Return a file's bytes, at most one more than allowed, and its name in error messages."""
    if path is None:
        return sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>"
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1), str(path)
    except OSError as error:
        raise MischanceError(f"cannot read {str(path)!r}: {error.strerror}") from error


def _extended(document: Document, path: Path | None, chain: list[str]) -> tuple[dict[str, Any], Place]:
    """Return the document's tree merged onto the tree that it extends, and the positions of its parts."""
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
    # Compare real paths: one file may have several names.
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
