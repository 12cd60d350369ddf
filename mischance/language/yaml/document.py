"""Reads YAML: a text becomes a plain tree with the position of every value, or a list of problems.

The parser's events are read one by one and no YAML object is constructed, so limits take effect at the event that
exceeds them. Scalars are typed by YAML 1.2's core schema: `no`, `1:30`, `1_000` and dates are text, quoted scalars
are always text. Anchors, aliases, tags, merge keys and further documents are refused; use `extends` instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn, TypeAlias

import yaml

from mischance.errors import Problem, ScenarioError, shorten
from mischance.language.yaml import parsing
from mischance.language.yaml.findings import Finding, problems_of
from mischance.language.yaml.scalars import ScalarError, is_sound, scalar
from mischance.language.yaml.writing import dump

__all__ = ["Document", "Finding", "Mark", "dump", "problems_of", "read", "read_value", "scalar", "show_path"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_VALUES = 50_000
MAX_PROBLEMS = 100

Path: TypeAlias = tuple[str | int, ...]

# What may not stand in a file: control characters, and the line breaks that YAML 1.1 knows and YAML 1.2 does not,
# with which two parsers could see two different texts. The second takes long to compile, and few files need it.
_FORBIDDEN_ASCII = re.compile("[^\t\n\r\x20-\x7e]")
_FORBIDDEN = "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"


class Mark(NamedTuple):
    """Positions of a value and its key, 1-based; for the root and for entries of lists both are the value's.

    `quote`: number of characters before the first one of a text that is written verbatim in one line (0, or 1 for a
    quote); -1 for every other value.
    """

    line: int
    column: int
    key_line: int
    key_column: int
    key_plain: bool = False
    quote: int = -1


@dataclass(frozen=True, slots=True)
class Document:
    """A file's plain tree (dict, list, str, int, float, bool, None) and the positions of all its values."""

    file: str
    tree: dict[str, Any]
    marks: Mapping[Path, Mark]

    def value_mark(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Return line and column of a value, or of its nearest existing parent."""
        mark = self._nearest(tuple(path))
        return mark.line, mark.column

    def key_mark(self, path: Sequence[str | int]) -> tuple[int, int]:
        """Return line and column of a key, or of its nearest existing parent."""
        mark = self._nearest(tuple(path))
        return mark.key_line, mark.key_column

    def character(self, path: Sequence[str | int], column: int) -> tuple[int, int] | None:
        """Return line and column of a text's character (1-based); None if the text is not written verbatim."""
        mark = self.marks.get(tuple(path))
        return None if mark is None or mark.quote < 0 else (mark.line, mark.column + mark.quote + column - 1)

    def key_value(self, path: Sequence[str | int]) -> str | int | float | bool | None:
        """Return the last key of a path with its YAML type: 0.8 for `0.8: …`, '0.8' for `'0.8': …`.

        Raises:
            ScenarioError: it looks like a number, but is not a supported one.
        """
        path = tuple(path)
        key = path[-1]
        if isinstance(key, int) or not self._nearest(path).key_plain:
            return key
        try:
            return scalar(key)
        except ScalarError as error:
            raise ScenarioError([self.problem(path, error.message, error.hint, at_key=True)]) from None

    def problem(self, path: Sequence[str | int], message: str, hint: str = "", at_key: bool = False) -> Problem:
        """Return a problem at a value, or at its key."""
        line, column = self.key_mark(path) if at_key else self.value_mark(path)
        return Problem(self.file, line, column, show_path(path), message, hint)

    def problems(self, findings: Iterable[Finding], prefix: Path = ()) -> list[Problem]:
        """Return findings below a prefix with their positions, sorted."""
        return sorted(self.problem((*prefix, *f.path), f.message, f.hint, f.at_key) for f in findings)

    def _nearest(self, path: Path) -> Mark:
        for length in range(len(path), -1, -1):
            mark = self.marks.get(path[:length])
            if mark is not None:
                return mark
        return Mark(1, 1, 1, 1)


def show_path(path: Sequence[str | int]) -> str:
    """Format a path: `actors[1].kind`; long keys are cut, unusual ones quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if len(part) <= 40 and part.isprintable() and part else shorten(part)
            text += f".{name}" if text else name
    return text if len(text) <= 120 else f"{text[:60]}…{text[-40:]}"


def read(source: bytes | str, file: str) -> Document:
    """Return the document of a text.

    Args:
        source: the whole text; bytes are UTF-8.
        file: name in error messages.

    Raises:
        ScenarioError: every problem of its YAML, each with its position.
    """
    known = _document(_text(source, file), file)
    return Document(file, _copied(known.tree), known.marks)


@lru_cache(maxsize=256)
def _document(text: str, file: str) -> Document:
    """Return the document of a text; a file is read for itself, for each of its variants, and for who extends it."""
    return _Reader(text, file).read()


def _copied(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _copied(value) for key, value in node.items()}
    return [_copied(value) for value in node] if isinstance(node, list) else node


def read_value(source: str, file: str) -> Document:
    """Return a document whose only key, `value`, has the value of a text; positions count from the text's start.

    Args:
        source: the text of one value, such as `12 m` or `{uniform: [1, 2]}`; nothing is null.
        file: name in error messages.

    Raises:
        ScenarioError: every problem of its YAML, each with its position.
    """
    if not source.strip():
        return Document(file, {"value": None}, {(): Mark(1, 1, 1, 1)})
    reader = _Reader(_text(source, file), file)
    reader.parse()
    marks = {("value", *path): mark for path, mark in reader.marks.items()}
    return Document(file, {"value": reader.root}, {(): Mark(1, 1, 1, 1), **marks})


def _text(source: bytes | str, file: str) -> str:
    """Return the text, or raise at the first character that is not allowed."""
    if len(source) > MAX_BYTES or (isinstance(source, str) and len(source.encode("utf-8", "replace")) > MAX_BYTES):
        _stop(file, 1, 1, f"the file is larger than {MAX_BYTES // 1024} KiB", "split it with `extends`")
    if isinstance(source, bytes):
        if source[:2] in (b"\xff\xfe", b"\xfe\xff"):
            _stop(file, 1, 1, "the file is UTF-16", "save it as UTF-8")
        try:
            text = source.decode("utf-8")
        except UnicodeDecodeError as error:
            good = source[: error.start].decode("utf-8")
            _stop(file, *_place(good), f"not a UTF-8 text (byte 0x{source[error.start]:02x})", "save it as UTF-8")
    else:
        text = source
    if text[:1] == "\ufeff":
        _stop(file, 1, 1, "the file begins with a byte-order mark", "save it as UTF-8 without one")
    found = _FORBIDDEN_ASCII.search(text) if text.isascii() else re.search(_FORBIDDEN, text)
    if found:
        code = f"{ord(found[0]):04X}"
        hint = f"in double quotes, write it as \\u{code}" if is_sound(found[0]) and len(code) == 4 else ""
        _stop(file, *_place(text[: found.start()]), f"the character U+{code} is not allowed", hint)
    return text


def _place(before: str) -> tuple[int, int]:
    lines = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return len(lines), len(lines[-1]) + 1


def _stop(file: str, line: int, column: int, message: str, hint: str = "") -> NoReturn:
    raise ScenarioError([Problem(file, line, column, "", message, hint)])


class _Level:
    """A mapping or list during reading."""

    __slots__ = ("key", "key_mark", "node", "path")

    def __init__(self, node: dict[str, Any] | list[Any], path: Path) -> None:
        self.node = node
        self.path = path
        self.key: str | None = None
        self.key_mark: tuple[int, int, bool] = (1, 1, False)


class _Reader:
    """Builds the tree from events; problems within the structure are collected, syntax errors end the reading."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.marks: dict[Path, Mark] = {}
        self.problems: list[Problem] = []
        self.levels: list[_Level] = []
        self.root: Any = None
        self.documents = 0
        self.values = 0

    def read(self) -> Document:
        """Return the document, or raise all problems."""
        self.parse(whole=True)
        return Document(self.file, self.root, self.marks)

    def parse(self, *, whole: bool = False) -> None:
        """Fill root and marks, or raise all problems; the `whole` of a file is a mapping."""
        try:
            for event in parsing.events(self.text):
                self._event(event)
        except parsing.YamlError as error:
            self._fatal(error.line, error.column, error.message, error.hint)
        if not self.documents:
            self._fatal(1, 1, "the file is empty", "`mischance init` writes a scenario to start from")
        if whole and not isinstance(self.root, dict):
            what = {list: "a list", type(None): "nothing"}.get(type(self.root), "a single value")
            self._note(self.marks[()], (), f"a scenario is a mapping of keys such as `name: …` (got {what})")
        if self.problems:
            raise ScenarioError(self.problems)

    def _event(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_extras(event)
            level = self.levels[-1] if self.levels else None
            if level is not None and isinstance(level.node, dict) and level.key is None:
                self._key(level, event)
            else:
                self._add(event, self._typed(event))
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._refuse_extras(event)
            line, column = _at(event)
            level = self.levels[-1] if self.levels else None
            if len(self.levels) >= MAX_DEPTH:
                self._fatal(line, column, f"nested deeper than {MAX_DEPTH} levels")
            if level is not None and isinstance(level.node, dict) and level.key is None:
                self._fatal(line, column, "a key must be a single word or number (got a mapping or a list)")
            node: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
            self.levels.append(_Level(node, self._add(event, node)))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.levels.pop()
        elif isinstance(event, yaml.AliasEvent):
            self._fatal(*_at(event), "aliases (`*name`) are not allowed", "write the value again, or use `extends`")
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._fatal(
                    *_at(event), "a file holds one scenario (got a second `---`)", "use `variants` or `extends`"
                )

    def _refuse_extras(self, event: Any) -> None:
        if event.anchor is not None:
            hint = "write the value again, or use `extends`"
            self._fatal(*_at(event), f"anchors (`&{event.anchor[:30]}`) are not allowed", hint)
        if event.tag is not None:
            self._fatal(*_at(event), f"tags are not allowed (got {shorten(event.tag)})", "a plain value needs none")

    def _key(self, level: _Level, event: Any) -> None:
        key, plain = event.value, event.implicit[0]
        line, column = _at(event)
        mark = Mark(line, column, line, column, plain)
        path = (*level.path, key)
        self._refuse_characters(key, mark, level.path)
        if plain and key == "<<":
            self._note(mark, level.path, "merge keys (`<<`) are not allowed", "use `extends`")
        elif plain and not key:
            self._note(mark, level.path, "a key is missing before the `:`")
        elif key in level.node:
            first = self.marks[path]
            self._note(mark, path, f"the key occurs twice (first in line {first.key_line})", "keep one of them")
        level.key, level.key_mark = key, (line, column, plain)

    def _typed(self, event: Any) -> str | int | float | bool | None:
        line, column = _at(event)
        text: str = event.value
        level = self.levels[-1] if self.levels else None
        path: Path = () if level is None else self._path(level)
        if not event.implicit[0]:
            self._refuse_characters(text, Mark(line, column, line, column), path)
            return text
        try:
            return scalar(text)
        except ScalarError as error:
            self._note(Mark(line, column, line, column), path, error.message, error.hint)
            return None

    def _path(self, level: _Level) -> Path:
        if isinstance(level.node, list):
            return (*level.path, len(level.node))
        return (*level.path, level.key or "")

    def _add(self, event: Any, value: Any) -> Path:
        """Add a value to the present mapping or list and return its path."""
        line, column = _at(event)
        self.values += 1
        if self.values > MAX_VALUES:
            self._fatal(line, column, f"more than {MAX_VALUES} values")
        if not self.levels:
            self.root = value
            self.marks[()] = Mark(line, column, line, column, quote=_quote(event, value))
            return ()
        level = self.levels[-1]
        path = self._path(level)
        if isinstance(level.node, list):
            level.node.append(value)
            self.marks[path] = Mark(line, column, line, column, quote=_quote(event, value))
        else:
            level.node[level.key or ""] = value
            self.marks[path] = Mark(line, column, *level.key_mark, _quote(event, value))
            level.key = None
        return path

    def _refuse_characters(self, text: str, mark: Mark, path: Path) -> None:
        if not is_sound(text):
            self._note(mark, path, "text may hold neither the character U+0000 nor half of a surrogate pair")

    def _note(self, mark: Mark, path: Path, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.file, mark.line, mark.column, show_path(path), message, hint))
        if len(self.problems) >= MAX_PROBLEMS:
            raise ScenarioError(self.problems)

    def _fatal(self, line: int, column: int, message: str, hint: str = "") -> NoReturn:
        path = show_path(self._path(self.levels[-1])) if self.levels and self.levels[-1].key else ""
        raise ScenarioError([*self.problems, Problem(self.file, line, column, path, message, hint)])


def _quote(event: Any, value: object) -> int:
    """Return the number of quotes before a text that is written verbatim in one line, else -1."""
    if not isinstance(value, str):
        return -1
    start, end = event.start_mark, event.end_mark
    quote = 0 if event.implicit[0] else 1
    return quote if start.line == end.line and end.column - start.column == len(value) + 2 * quote else -1


def _at(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
