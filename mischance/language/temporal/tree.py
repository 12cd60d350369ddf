"""Tree of a requirement: temporal operators over comparisons, and its negation."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TypeAlias

from mischance.language.expressions.parsing import Expression

OPPOSITE = {">": "<=", ">=": "<", "<": ">=", "<=": ">", "==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A comparison of two expressions, or a boolean name (`right` is None).

    `unit`: that of the right side if it is a quantity ('' for a bare number), else None.
    """

    text: str
    left: Expression
    sign: str = ""
    right: Expression | None = None
    unit: str | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Both:
    """All parts hold."""

    text: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one part holds."""

    text: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The body does not hold; negated leaves, conjunctions, disjunctions and windows are represented without it."""

    text: str
    body: Node


@dataclass(frozen=True, slots=True)
class Implies:
    """If `when` holds, `then` holds."""

    text: str
    when: Node
    then: Node


@dataclass(frozen=True, slots=True)
class Window:
    """The body holds at every (`every`) or at some sample from `low` to `high` seconds from now."""

    text: str
    every: bool
    body: Node
    low: float = 0.0
    high: float = math.inf


@dataclass(frozen=True, slots=True)
class Hold:
    """The body holds from now on for that many seconds, and the run lasts that long."""

    text: str
    duration: float
    body: Node


@dataclass(frozen=True, slots=True)
class Until:
    """`goal` holds at some sample from `low` to `high` seconds from now, and `first` at every sample before it."""

    text: str
    first: Node
    goal: Node
    low: float = 0.0
    high: float = math.inf


Node: TypeAlias = Leaf | Both | Either | Not | Implies | Window | Hold | Until


def negate(node: Node) -> Node:
    """Return the negation, pushed inwards as far as possible; margins only change sign."""
    text = node.text.removeprefix("not ") if isinstance(node, Leaf) and node.negated else f"not {grouped(node.text)}"
    match node:
        case Leaf():
            return replace(node, text=text, negated=not node.negated)
        case Both(parts=parts):
            return Either(text, tuple(negate(part) for part in parts))
        case Either(parts=parts):
            return Both(text, tuple(negate(part) for part in parts))
        case Implies(when=when, then=then):
            return Both(text, (when, negate(then)))
        case Window():
            return replace(node, text=text, every=not node.every, body=negate(node.body))
        case Not(body=body):
            return body
        case _:
            return Not(text, node)


def grouped(text: str) -> str:
    """Return a text in parentheses, unless it is a single name."""
    return text if re.fullmatch(r"[\w.]+", text) else f"({text})"
