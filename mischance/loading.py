"""From text to a tree: which file, what it extends, which variant, what the command line changes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mischance import catalog
from mischance.advice import suggest
from mischance.document import Document, read, show_path
from mischance.errors import MischanceError, Problem, ScenarioError

if TYPE_CHECKING:
    from mischance.scenario import Scenario

Path_ = tuple[str | int, ...]
MAX_EXTENDS = 16


@dataclass(slots=True)
class Origin:
    """Where each value of a merged tree was written, and the problems found with it.

    `layers` go from the nearest text to the farthest: command line, variant, file, extended files.
    Each is a document and the path inside it that stands for a path of the merged tree.
    """

    layers: list[tuple[Document, Path_, Path_]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, path: Sequence[str | int], message: str, hint: str = "", *, at_key: bool = False) -> None:
        """Note a problem at a path of the merged tree."""
        self.problems.append(self.problem(tuple(path), message, hint, at_key=at_key))

    def problem(self, path: Path_, message: str, hint: str = "", *, at_key: bool = False) -> Problem:
        """Return a problem at the place where that path, or its nearest parent, was written."""
        best = max(self.layers, key=lambda layer: self._depth(layer, path))
        document, inside, outside = best
        rest = path[len(outside) :] if path[: len(outside)] == outside else ()
        found = document.problem((*inside, *rest), message, hint, at_key=at_key)
        return Problem(found.file, found.line, found.column, show_path(path), found.message, found.hint)

    def _depth(self, layer: tuple[Document, Path_, Path_], path: Path_) -> int:
        document, inside, outside = layer
        if path[: len(outside)] != outside:
            return -1 if outside else 0
        node: Any = document.tree
        depth = len(outside)
        for part in inside:
            node = node[part]
        for part in path[len(outside) :]:
            if (isinstance(node, dict) and part in node) or (
                isinstance(node, list) and isinstance(part, int) and part < len(node)
            ):
                node = node[part]  # type: ignore[index]
                depth += 1
            else:
                break
        return depth

    def raise_if_any(self) -> None:
        """Raise all problems at once.

        Raises:
            ScenarioError: there is at least one.
        """
        if self.problems:
            raise ScenarioError(list(dict.fromkeys(self.problems)))


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
    from mischance.building import build

    path, variant = locate(source)
    origin = Origin()
    text, file = _text(path)
    document = read(text, file)
    tree = _extended(document, path, origin, [file])
    base = path.parent if path is not None else Path.cwd()
    if variant:
        _apply_variant(tree, variant, document, origin)
    for key, value in (overrides or {}).items():
        _apply_override(tree, key, value, origin)
    if seed is not None:
        tree["seed"] = seed
    origin.raise_if_any()
    return build(tree, origin, base)


def locate(source: str | Path) -> tuple[Path | None, str]:
    """Return the file of a scenario and the variant asked for; no file for standard input.

    Raises:
        MischanceError: nothing has that name.
    """
    text = str(source)
    if text == "-":
        return None, ""
    for name, variant in ((text, ""), text.rsplit(":", 1) if ":" in text else (text, "")):
        if Path(name).is_file():
            return Path(name), variant
        found = catalog.scenario_files().get(name)
        if found is not None:
            return found, variant
    name = text.partition(":")[0]
    if Path(name).is_dir():
        raise MischanceError(f"{name!r} is a folder, not a scenario file", "name the YAML file inside it")
    known = catalog.scenario_files()
    hint = suggest(name, known) or "`mischance list scenarios` shows the library"
    raise MischanceError(f"there is no scenario or file {name!r}", hint)


def _text(path: Path | None) -> tuple[bytes, str]:
    if path is None:
        return sys.stdin.buffer.read(), "<stdin>"
    try:
        return path.read_bytes(), str(path)
    except OSError as error:
        raise MischanceError(f"cannot read {str(path)!r}: {error.strerror}") from error


def _extended(document: Document, path: Path | None, origin: Origin, chain: list[str]) -> dict[str, Any]:
    """Return the document's tree laid over the tree of what it extends."""
    origin.layers.append((document, (), ()))
    tree = dict(document.tree)
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    if not isinstance(parent, str):
        raise ScenarioError([document.problem(("extends",), "must be a scenario's name or file")])
    parent_path = _parent_file(parent, path)
    if parent_path is None:
        known = list(catalog.scenario_files())
        message = f"there is no scenario or file {parent!r}"
        raise ScenarioError([document.problem(("extends",), message, suggest(parent, known))])
    text, file = _text(parent_path)
    if file in chain or len(chain) >= MAX_EXTENDS:
        way = " -> ".join([*chain, file])
        raise ScenarioError([document.problem(("extends",), f"the scenarios extend each other: {way}")])
    below = _extended(read(text, file), parent_path, origin, [*chain, file])
    return merge(below, tree)


def _parent_file(parent: str, path: Path | None) -> Path | None:
    beside = (path.parent if path is not None else Path.cwd()) / parent
    for candidate in (beside, beside.with_suffix(".yaml")):
        if candidate.is_file():
            return candidate
    return catalog.scenario_files().get(parent)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one tree over another: mappings merge, everything else (lists too) replaces.

    A mapping that names one thing by its only key (a distribution) or by `kind` (a plug-in) is replaced
    whole when that name changes: settings of one plug-in mean nothing to another.
    """
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and key != "variants" and _same_thing(old, value):
            result[key] = merge(old, value)
        elif key == "variants" and isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = {**old, **value}
        else:
            result[key] = value
    return result


def _same_thing(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    from mischance.distributions import KINDS

    if any(key in KINDS for key in (*old, *new)):
        return False
    return "kind" not in new or old.get("kind") == new["kind"]


def variant_changes(tree: Mapping[str, Any], variant: str, file: str) -> dict[str, Any]:
    """Return the changes of a variant.

    Raises:
        MischanceError: the scenario has no such variant, or it is no mapping.
    """
    variants = tree.get("variants")
    known = list(variants) if isinstance(variants, dict) else []
    if variant not in known:
        hint = suggest(variant, known) or ("known: " + ", ".join(known) if known else "it has no variants")
        raise MischanceError(f"{file}: there is no variant {variant!r}", hint)
    changes = tree["variants"][variant]
    if not isinstance(changes, dict):
        raise MischanceError(f"{file}: the variant {variant!r} must be a mapping of changes", "such as {gap: 9 m}")
    return changes


def apply_changes(target: dict[str, Any], tree: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Set changes, written as a variant of `tree` writes them, in another tree; return that one."""
    for key, value in changes.items():
        path = _change_path(tree, key)
        if path is not None:
            _set(target, path, value)
    return target


def _apply_variant(tree: dict[str, Any], variant: str, document: Document, origin: Origin) -> None:
    for key, value in variant_changes(tree, variant, document.file).items():
        path = _change_path(tree, key)
        if path is None:
            known = [*tree.get("vary", {}), *tree]
            origin.add(("variants", variant, key), "nothing of that name to change", suggest(key, known), at_key=True)
            continue
        layer = next(
            (d for d, _, outside in origin.layers if not outside and _has(d.tree, ("variants", variant, key))), document
        )
        origin.layers.insert(0, (layer, ("variants", variant, key), path))
        if not _set(tree, path, value):
            origin.add(("variants", variant, key), "the way to it is blocked by a plain value", at_key=True)
    tree["name"] = f"{tree.get('name', '')}:{variant}"


def _has(tree: Any, path: Path_) -> bool:
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True


def _change_path(tree: Mapping[str, Any], key: str) -> Path_ | None:
    """Return what a variant's or override's key stands for: a drawn value's name, or a dotted path."""
    vary = tree.get("vary")
    if isinstance(vary, dict) and key in vary:
        return ("vary", key)
    parts: list[str | int] = [int(part) if part.isdigit() else part for part in key.split(".")]
    from mischance.scenario import ScenarioModel

    return tuple(parts) if parts[0] in ScenarioModel.model_fields else None


def _apply_override(tree: dict[str, Any], key: str, value: str, origin: Origin) -> None:
    document = read(f"value: {value}\n", f"--set {key}")
    path = _change_path(tree, key)
    if path is None:
        from mischance.scenario import ScenarioModel

        known = [*tree.get("vary", {}), *ScenarioModel.model_fields]
        raise MischanceError(
            f"--set {key}: nothing of that name to change", suggest(key.split(".", maxsplit=1)[0], known)
        )
    origin.layers.insert(0, (document, ("value",), path))
    if not _set(tree, path, document.tree["value"]):
        raise MischanceError(f"--set {key}: {show_path(path[:-1])} has no parts to set", "check the dotted path")


def _set(tree: dict[str, Any], path: Path_, value: Any) -> bool:
    """Set a value in place, on copies of what lies on the way; False where the way is blocked."""
    node: Any = tree
    for part in path[:-1]:
        if isinstance(node, list):
            if not isinstance(part, int) or part >= len(node):
                return False
        elif part not in node:
            node[part] = {}
        below = node[part]
        if not isinstance(below, (dict, list)):
            return False
        node[part] = below = dict(below) if isinstance(below, dict) else list(below)
        node = below
    last = path[-1]
    if isinstance(node, list) and not (isinstance(last, int) and last < len(node)):
        return False
    node[last] = value
    return True
