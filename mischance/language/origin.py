"""Positions of the values of a merged scenario, and the problems found so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mischance.errors import Problem, ScenarioError
from mischance.language.yaml.document import Document, show_path

Path_ = tuple[str | int, ...]
MAX_PROBLEMS = 100


@dataclass(slots=True)
class Place:
    """Position of a part of the merged tree: a document, the path in it, and exceptions for nested parts.

    `folder`: base of relative file names in that document.
    """

    document: Document
    folder: Path
    inside: Path_ = ()
    parts: dict[str | int, Place] = field(default_factory=dict)

    def child(self, key: str | int) -> Place:
        """Return the position of one key or index."""
        return self.parts.get(key) or Place(self.document, self.folder, (*self.inside, key))

    def at(self, path: Path_) -> Place:
        """Return the position of a path below, whether or not it exists."""
        place = self
        for i, key in enumerate(path):
            if key not in place.parts:
                return Place(place.document, place.folder, (*place.inside, *path[i:]))
            place = place.parts[key]
        return place

    def put(self, path: Path_, place: Place) -> None:
        """Set another position for everything at and below a path."""
        node = self
        for key in path[:-1]:
            node = node.parts.setdefault(key, node.child(key))
        node.parts[path[-1]] = place


def merged(below: Mapping[str, Any], above: Mapping[str, Any], low: Place, high: Place) -> tuple[dict[str, Any], Place]:
    """Merge one tree onto another: mappings are merged, all other values (also lists) replaced.

    A mapping that is identified by its only key (a distribution) or by `kind` (a plug-in) is replaced as a whole if
    its identity changes: settings of one plug-in do not apply to another. `low` and `high` are the positions of the
    two trees; a key that both have takes that of `high`.
    """
    tree, place = dict(below), Place(high.document, high.folder, high.inside, dict(high.parts))
    for key in below:
        if key not in above:
            place.parts[key] = low.child(key)
    for key, value in above.items():
        old = below.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and (key == "variants" or _same_thing(old, value)):
            if key == "variants":  # a variant is replaced as a whole
                tree[key] = {**old, **value}
                part = place.parts[key] = high.child(key)
                part.parts.update({name: low.child(key).child(name) for name in old if name not in value})
            else:
                tree[key], place.parts[key] = merged(old, value, low.child(key), high.child(key))
        else:
            tree[key] = value
    return tree, place


def _same_thing(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    from mischance.language.distributions.parsing import KINDS

    if any(key in KINDS for key in (*old, *new)):
        return False
    return "kind" not in new or old.get("kind") == new["kind"]


class Origin:
    """The positions of a merged tree, and its problems."""

    def __init__(self, root: Place) -> None:
        self.root = root
        self.problems: list[Problem] = []

    def folder(self, path: Path_) -> Path:
        """Return the base folder of relative file names at a path."""
        return self.root.at(path).folder

    def add(
        self, path: Sequence[str | int], message: str, hint: str = "", *, at_key: bool = False, column: int = 0
    ) -> None:
        """Note a problem at a path of the merged tree, at the position of the path or of its nearest parent.

        `column`: 1-based position inside the text at that path, as in the error of an expression.

        Raises:
            ScenarioError: the maximum number of problems is reached.
        """
        self.problems.append(self.problem(tuple(path), message, hint, at_key=at_key, column=column))
        if len(self.problems) >= MAX_PROBLEMS:
            last = max(self.problems)
            more = f"more than {MAX_PROBLEMS - 1} problems: the rest is not shown"
            self.problems.append(Problem(last.file, last.line, last.column, last.path, more))
            self.raise_if_any()

    def problem(self, path: Path_, message: str, hint: str = "", *, at_key: bool = False, column: int = 0) -> Problem:
        """Return a problem with its position; see `add`."""
        place = self.root.at(path)
        document, inside = place.document, place.inside
        line, at = document.key_mark(inside) if at_key else document.value_mark(inside)
        if column:
            found = document.character(inside, column)
            if found is None:
                message = f"column {column} of the expression: {message}"
            else:
                line, at = found
        return Problem(document.file, line, at, show_path(path), message, hint)

    def raise_if_any(self) -> None:
        """Raise all problems at once.

        Raises:
            ScenarioError: there is at least one.
        """
        if self.problems:
            raise ScenarioError(list(dict.fromkeys(self.problems)))
