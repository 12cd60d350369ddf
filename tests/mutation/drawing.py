"""Draws a sample of mutants by seed from all statements of an area, and knows which of them are equivalent.

Every statement has the same chance. It is drawn by a hash of the seed and of its own text and place, so that a change
elsewhere in the tree leaves the rest of a sample as it was. One of the operators that apply to it is drawn, then one
of that operator's edits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import yaml

from tests.mutation.operators import OPERATORS, Edit, statements

SEED = 20260
ROOT = Path(__file__).parents[2]
AREAS = {
    "road": ("simulators/road", "mischance/driving"),
    "core": tuple(
        f"mischance/{name}" for name in ("api", "language", "play", "dataset", "sweep", "estimate", "opening")
    ),
    "payments": ("simulators/payments",),
}
NUMBERS = {"road": 40, "core": 35, "payments": 25}
EQUIVALENTS = Path(__file__).with_name("equivalents.yaml")
MOST_EQUIVALENTS = 5


@dataclass(frozen=True, slots=True)
class Mutant:
    """One edit of one statement of a file (its path is relative to the tree)."""

    area: str
    path: str
    line: int
    within: str
    before: str
    edit: Edit
    after: str
    same: int  # statements of that text that stand before it in the same function

    @property
    def name(self) -> str:
        """A name that stays while the statement does."""
        parts = (self.path, self.within, self.before, str(self.same), self.edit.operator, self.after)
        return blake2b("\0".join(parts).encode(), digest_size=6).hexdigest()

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.path}:{self.line}"


def mutants(paths: Iterable[str], area: str = "", root: Path = ROOT) -> Iterator[list[Mutant]]:
    """Yield for each statement of those files its mutants."""
    for path in paths:
        source = (root / path).read_bytes()
        counts: Counter[tuple[str, str]] = Counter()
        for statement in statements(source):
            key = statement.within, statement.text
            yield [
                Mutant(
                    area, path, statement.line, statement.within, statement.text, edit, _line(source, edit), counts[key]
                )
                for edit in statement.edits
            ]
            counts[key] += 1


def _line(source: bytes, edit: Edit) -> str:
    """Return the changed lines as they are afterwards, in one line."""
    first = source.rfind(b"\n", 0, edit.start) + 1
    last = source.find(b"\n", edit.end)
    text = source[first : edit.start] + edit.text.encode() + source[edit.end : None if last < 0 else last]
    return " ".join(text.decode().split())


def files(folders: Sequence[str], root: Path = ROOT) -> list[str]:
    """Return the Python files below some folders (or those files themselves), as paths relative to the tree."""
    found = set()
    for folder in folders:
        place = root / folder
        found |= {place} if place.is_file() else set(place.rglob("*.py"))
        if not place.exists() and place.with_suffix(".py").is_file():  # a world of one file
            found.add(place.with_suffix(".py"))
    return sorted(str(path.relative_to(root)) for path in found)


def drawn(
    area: str, folders: Sequence[str], number: int, seed: int = SEED, root: Path = ROOT, equal: Collection[str] = ()
) -> list[Mutant]:
    """Return so many mutants of an area, in the order in which they are drawn; fewer where it has fewer statements.

    For each one that is `equal` to the original (by name) the next one is drawn as well.
    """
    ranked = sorted(
        ((_hash(seed, own[0]), own) for own in mutants(files(folders, root), area, root)), key=lambda pair: pair[0]
    )
    sample: list[Mutant] = []
    for rank, own in ranked:
        if number <= 0:
            break
        there = [name for name in OPERATORS if any(one.edit.operator == name for one in own)]
        operator = there[rank % len(there)]
        edits = [one for one in own if one.edit.operator == operator]
        sample.append(edits[rank // len(there) % len(edits)])
        number -= sample[-1].name not in equal
    return sample


def _hash(seed: int, one: Mutant) -> int:
    parts = (str(seed), one.path, one.within, one.before, str(one.same))
    return int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=8).digest(), "big")


def equivalents(path: Path = EQUIVALENTS) -> dict[str, str]:
    """Return name -> why no test can tell that mutant from the original.

    Raises:
        ValueError: there are too many, or one has no reason.
    """
    found: dict[str, str] = {}
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")) or []:
        if not entry["why"].strip():
            raise ValueError(f"{entry['mutant']}: an equivalent mutant needs a proof")
        found[entry["mutant"]] = entry["why"]
    if len(found) > MOST_EQUIVALENTS:
        raise ValueError(f"{len(found)} equivalent mutants: at most {MOST_EQUIVALENTS}")
    return found
