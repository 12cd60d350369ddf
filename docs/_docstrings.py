"""Turns docstrings as this project writes them into reStructuredText that cannot warn, for Sphinx's autodoc.

A docstring is paragraphs, `-` lists, indented blocks (shown as they stand), and sections such as `Args:`, whose entries
are `name: text`. Single back quotes are code. Everything that markup could trip over is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent
from types import ModuleType
from typing import Any

FIELDS = {"Args": "param", "Raises": "raises"}
PROSE = (
    "Returns",
    "Yields",
    "Source",
    "Sources",
    "Note",
    "Notes",
    "Example",
    "Examples",
    "References",
    "Shape",
    "NaN, inf",
    "Sampling",
)
_SECTION = re.compile(rf"({'|'.join([*FIELDS, *PROSE])}):(?:\s+(.*))?")
_ENTRY = re.compile(r"([\w.*, /]+?)(?: \(.*\))?: (.*)", re.DOTALL)


def setup(app: Any) -> None:
    """Let autodoc call us; Sphinx finds this function by its name."""
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _signature)


def _process(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Replace the lines of one docstring, in place as autodoc wants it."""
    if isinstance(thing, ModuleType) and hasattr(thing, "__wrapped__"):  # a package that is called like its function
        lines[:] = (thing.__wrapped__.__doc__ or "").expandtabs().splitlines()
        lines[1:] = dedent("\n".join(lines[1:])).splitlines()
    if lines[0:1] and lines[0].startswith("Alias for field number"):  # what Python says of a named tuple's field
        lines.clear()
    lines[:] = rewritten(lines)


# How NumPy's array types are written out -> what `mischance.api.tables` calls them.
_ARRAY = re.compile(r"~?numpy\.ndarray\[tuple\[~?typing\.Any, \.\.\.\], ~?numpy\.dtype\[~?(?:numpy|typing)\.(\w+)\]\]")
_ARRAYS = {"float64": "FloatArray", "int64": "IntArray", "bool": "BoolArray", "Any": "AnyArray"}


def _signature(
    app: Any, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Return a signature that Sphinx can parse, with the project's own names for types of arrays."""
    return shortened(signature), shortened(returns)


def shortened(text: str | None) -> str | None:
    """Return a signature or annotation with short names for arrays, and `...` for a default that is made anew."""
    if text is None:
        return None
    text = text.replace("<factory>", "...")
    text = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text)
    return _ARRAY.sub(lambda found: _ARRAYS.get(found[1], found[0]), text)


def rewritten(lines: list[str]) -> list[str]:
    """Return a docstring's lines, without their common indentation, as reStructuredText."""
    return [line for block in _blocks(lines) for line in (*block, "")]


def _blocks(lines: list[str]) -> Iterator[list[str]]:
    i = 0
    while i < len(lines):
        section = _SECTION.fullmatch(lines[i].rstrip())
        if not lines[i].strip():
            i += 1
        elif section and (section[2] or _indented(lines, i + 1) > i + 1):
            end = _indented(lines, i + 1)
            inner = dedent("\n".join(lines[i + 1 : end])).splitlines()
            if section[1] in FIELDS:
                yield from ([_field(FIELDS[section[1]], entry)] for entry in _entries(inner))
            else:
                text = " ".join(line.strip() for line in [section[2] or "", *inner] if line.strip())
                yield [f"**{section[1]}:** {text_of(text)}"]
            i = end
        elif lines[i].startswith(" "):
            end = _indented(lines, i)
            block = dedent("\n".join(lines[i:end])).splitlines()
            yield [".. code-block:: text", "", *(f"   {line}" for line in block)]
            i = end
        else:
            end = i + 1
            bullet = lines[i].startswith("- ")
            while end < len(lines) and lines[end].strip() and not lines[end].startswith("- "):
                if lines[end].startswith(" ") != bullet or _SECTION.fullmatch(lines[end].rstrip()):
                    break
                end += 1
            text = " ".join(line.strip() for line in lines[i:end])
            yield [f"- {text_of(text[2:])}" if bullet else text_of(text)]
            i = end


def _indented(lines: list[str], start: int) -> int:
    """Return where the indented lines from `start` on end; blank lines inside belong to them."""
    end = last = start
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" ")):
        end += 1
        last = end if lines[end - 1].strip() else last
    return last


def _entries(lines: list[str]) -> Iterator[str]:
    """Yield the entries of a section, each as one line; a line that is not indented begins one."""
    entry: list[str] = []
    for line in lines:
        if entry and line.strip() and not line.startswith(" "):
            yield " ".join(entry)
            entry = []
        entry += [line.strip()] if line.strip() else []
    if entry:
        yield " ".join(entry)


def _field(kind: str, entry: str) -> str:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        return f":raises {text_of(entry)}:" if kind == "raises" else text_of(entry)
    names = re.sub(r"[*]", r"\*", found[1].strip())
    return f":{kind} {names}: {text_of(found[2])}"


def text_of(text: str) -> str:
    """Return one line of prose with its code marked and everything else escaped."""
    parts = re.split(r"(`+)(.+?)\1", text)
    found = ""
    for prose, _, code in zip(parts[::3], [*parts[1::3], ""], [*parts[2::3], ""], strict=True):
        found += re.sub(r"([\\*|_`<>])", r"\\\1", prose)
        if code:
            # markup ends only before a blank or a sign; `\ ` is a separator that is not shown
            found += rf"\ ``{code.strip()}``\ "
    return found.strip()
