"""Loads a scenario: finds the file, merges what it extends, sets the variant and the overrides, and builds it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mischance.errors import MischanceError, Problem, ScenarioError, shorten, suggest
from mischance.language import catalog
from mischance.language.building import build
from mischance.language.origin import Origin, Place, merged
from mischance.language.scenario import Scenario
from mischance.language.user_code import is_file
from mischance.language.variants import apply_override, apply_variant, variant_changes
from mischance.language.yaml.document import MAX_BYTES, Document, read

MAX_EXTENDS = 16


def load(
    source: str | Path,
    overrides: Mapping[str, str] | None = None,
    *,
    seed: int | None = None,
    without: Sequence[str] = (),
) -> Scenario:
    """Read a scenario: a file, a name of the library (`driving/cut_in`), a variant (`driving/cut_in:crash`), or '-'.

    Args:
        source: file, name or '-' (standard input).
        overrides: dotted path -> YAML text, as `--set vary.gap=12m` gives them.
        seed: replaces the scenario's own seed.
        without: sensors that are left out where no agent reads them: 'cameras', another kind, a name, or 'sensors';
            and default requirements that are switched off, by name, or 'requirements'.

    Raises:
        ScenarioError: all problems of the text, each with its position.
        MischanceError: there is no such scenario, or it cannot be read.
    """
    return _load(source, overrides, seed, without)[0]


def load_with_warnings(
    source: str | Path,
    overrides: Mapping[str, str] | None = None,
    *,
    seed: int | None = None,
    without: Sequence[str] = (),
) -> tuple[Scenario, tuple[Problem, ...]]:
    """Read a scenario as `load` does, and find what it names and nothing uses: see `checks.unused`."""
    from mischance.language.checks.unused import Written, unused

    scenario, found = _load(source, overrides, seed, without)
    return scenario, unused(found.scenario, found.tree, Written(found.before, found.changed), found.origin)


def load_as_written(source: str | Path) -> dict[str, Any]:
    """Return a scenario's tree as people wrote it, units and all, merged with what it extends; it is not checked.

    Raises:
        MischanceError: there is no such scenario, or it cannot be read.
    """
    path, variant = locate(source)
    text, file = _text(path)
    tree, place = _extended(read(text, file), path, [str(path.resolve()) if path is not None else file])
    if variant:
        apply_variant(tree, variant, file, Origin(place))
    return tree


class _Found(NamedTuple):
    """What was read, before anything was left out."""

    scenario: Scenario
    tree: dict[str, Any]
    before: dict[str, Any]  # its variant and overrides
    changed: frozenset[str]
    origin: Origin


def _load(
    source: str | Path, overrides: Mapping[str, str] | None, seed: int | None, without: Sequence[str]
) -> tuple[Scenario, _Found]:
    path, variant = locate(source)
    text, file = _text(path)
    tree, place = _extended(read(text, file), path, [str(path.resolve()) if path is not None else file])
    origin = Origin(place)
    before = dict(tree)
    changed = frozenset(variant_changes(tree, variant, file) if variant else ()) | frozenset(overrides or ())
    if variant:
        apply_variant(tree, variant, file, origin)
    for key, value in (overrides or {}).items():
        apply_override(tree, key, value, origin)
    if seed is not None:
        tree["seed"] = seed
        place.put(("seed",), Place(Document("--seed", {}, {}), Path.cwd()))
    scenario = build(tree, origin)
    found = _Found(scenario, tree, before, changed, origin)
    if without:
        from mischance.language import reduction

        what = reduction.left_out(scenario, without)
        if what.sensors or what.requirements:
            scenario = build(reduction.without(tree, what), Origin(place))
    return scenario, found


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
        if is_file(Path(name)):
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
    extended = _parent_file(parent, place.folder)
    if extended is None:
        message = f"there is no scenario or file {shorten(parent)}"
        hint = suggest(parent.partition(":")[0], catalog.scenario_files())
        raise ScenarioError([document.problem(("extends",), message, hint)])
    parent_path, variant = extended
    # Compare real paths: one file may have several names.
    if (real := str(parent_path.resolve())) in chain or len(chain) >= MAX_EXTENDS:
        way = " -> ".join(Path(file).name for file in [*chain, real])
        raise ScenarioError([document.problem(("extends",), f"the scenarios extend each other: {way}")])
    text, file = _text(parent_path)
    below, low = _extended(read(text, file), parent_path, [*chain, real])
    if variant:
        below = _as_variant(below, low, variant, file, document)
    return merged(below, tree, low, place)


def _as_variant(below: dict[str, Any], low: Place, variant: str, file: str, document: Document) -> dict[str, Any]:
    """Return the tree of a variant, which has no variants itself; its parts get their positions in `low`."""
    origin = Origin(low)
    try:
        apply_variant(below, variant, file, origin)
    except MischanceError as error:
        raise ScenarioError([document.problem(("extends",), error.message, error.hint)]) from error
    origin.raise_if_any()
    return {key: value for key, value in below.items() if key != "variants"}


def _parent_file(parent: str, folder: Path) -> tuple[Path, str] | None:
    """Return the file of a scenario that is extended, and its variant; None where there is no such file."""
    for text, variant in ((parent, ""), parent.rsplit(":", 1) if ":" in parent else ("", "")):
        if not text or (text != parent and not variant):
            continue
        for name in (text, f"{text}.yaml"):
            if is_file(folder / name):
                return folder / name, variant
        found = catalog.scenario_file(text)
        if found is not None:
            return found, variant
    return None
