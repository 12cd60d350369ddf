"""Writes a plain tree as YAML text that reads back as an equal tree."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mischance.errors import shorten
from mischance.language.yaml.scalars import MAX_DIGITS, ScalarError, is_sound, scalar

_PLAIN = re.compile(r"(?:[A-Za-z_$/(]|-?[0-9.])[A-Za-z0-9_ ./$()*+<>=°%^µ-]*")
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")  # printable for JSON, not for YAML
_WIDTH = 100


def dump(tree: Mapping[str, Any], header: str = "") -> str:
    """Return a plain tree as YAML text that `read` turns back into an equal tree; keys keep their order.

    Args:
        tree: str keys; str, int, float, bool, None, list and dict values; no NUL, no surrogates.
        header: comment lines above it.

    Raises:
        ValueError: a value that is not allowed in a scenario (not finite, too long a number, another type).
    """
    lines = [line if line.startswith("#") or not line else f"# {line}" for line in header.splitlines()]
    return "\n".join([*lines, *_mapping(tree)]) + "\n"


def _mapping(tree: Mapping[str, Any]) -> Iterator[str]:
    if not tree:
        yield "{}"
    for key, value in tree.items():
        if not isinstance(key, str):
            raise ValueError(f"a key must be text (got {shorten(key)})")
        name = _quoted(key) if key != key.strip() or not _is_plain(key, key=True) else key
        start = f"{name}:"
        if len(name) > 1000:  # the parser searches for the `:` of a simple key within 1024 characters only
            yield f"? {name}"
            start = ":"
        inline = _inline(value)
        if inline is not None:
            yield f"{start} {inline}"
        else:
            yield start
            yield from (f"  {line}" for line in _block(value))


def _block(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _mapping(value)
        return
    for entry in value:
        inline = _inline(entry)
        lines = iter([inline]) if inline is not None else _block(entry)
        yield f"- {next(lines)}"
        yield from (f"  {line}" for line in lines)


def _inline(value: Any) -> str | None:
    """Return a value on one line: a leaf, an empty container, or a short list of leaves; None for other values."""
    if isinstance(value, Mapping):
        return None if value else "{}"
    if isinstance(value, list | tuple):
        if any(isinstance(entry, Mapping | list | tuple) for entry in value):
            return None
        text = "[" + ", ".join(map(_leaf, value)) + "]"
        return text if len(text) <= _WIDTH else None
    return _leaf(value)


def _leaf(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return value if _is_plain(value) else _quoted(value)
    if isinstance(value, int):
        if abs(value) >= 10**MAX_DIGITS:
            raise ValueError(f"a whole number may have {MAX_DIGITS} digits (got {shorten(value)})")
        return int.__repr__(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"must be a finite number (got {value})")
        return float.__repr__(value)
    raise ValueError(f"no scenario can hold a {type(value).__name__} (got {shorten(value)})")


def _is_plain(text: str, *, key: bool = False) -> bool:
    """Return whether a text without quotes is read as the same text."""
    if not _PLAIN.fullmatch(text) or text[-1] == " " or text.startswith(("..", "-.", ". ")):
        return False
    try:
        return key or scalar(text) == text
    except ScalarError:
        return False


def _quoted(text: str) -> str:
    if not is_sound(text):
        raise ValueError("text may hold neither the character U+0000 nor half of a surrogate pair")
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def inline(value: Any) -> str:
    """Return a value as YAML on one line, however long; it is read as the same value."""
    if isinstance(value, Mapping):
        pairs = (
            f"{key if _is_plain(str(key), key=True) else _quoted(str(key))}: {inline(one)}"
            for key, one in value.items()
        )
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(inline, value)) + "]"
    text = _leaf(value)
    return _quoted(value) if isinstance(value, str) and text == value and set(value) & set(",[]{}") else text
