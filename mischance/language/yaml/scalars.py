"""Scalars of YAML 1.2's core schema: types of unquoted words."""

from __future__ import annotations

import math
import re

from mischance.errors import shorten

MAX_DIGITS = 20
MAX_FLOAT = 40

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMERIC = re.compile(
    r"(?P<int>[-+]?[0-9]+)|(?P<hex>0x[0-9a-fA-F]+)|(?P<oct>0o[0-7]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<nonfinite>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)


class ScalarError(Exception):
    """A number that is not supported; the reader adds its position."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def scalar(text: str) -> str | int | float | bool | None:
    """Return the value of a plain (unquoted) scalar by YAML 1.2's core schema.

    Source:
        YAML 1.2.2, section 10.3.2; numbers with leading zeros and numbers beyond the range of floats are refused.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    found = _NUMERIC.fullmatch(text)
    if found is None:
        return text
    form = found.lastgroup
    if form == "float":
        if len(text) > MAX_FLOAT:
            return text
        number = float(text)
        if math.isinf(number):
            raise ScalarError(f"the number is too large (got {shorten(text)})")
        return number
    if form == "nonfinite":
        raise ScalarError(f"must be a finite number (got {shorten(text)})", "quote it if it is text")
    digits = text.lstrip("+-") if form == "int" else text[2:]
    if len(digits) > MAX_DIGITS:
        raise ScalarError(
            f"a whole number may have {MAX_DIGITS} digits (got {shorten(text)})", "quote it if it is text"
        )
    if form != "int":
        return int(digits, 16 if form == "hex" else 8)
    if len(digits) > 1 and digits[0] == "0":
        plain = text[: len(text) - len(digits)] + (digits.lstrip("0") or "0")
        raise ScalarError(
            f"numbers with a leading zero mean different things to different readers (got {shorten(text)})",
            f"write {plain}, or quote it if it is text",
        )
    return int(text)


def is_sound(text: str) -> bool:
    """Return whether a text can be a file name and be encoded as UTF-8: no NUL, no lone surrogate."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text))
