"""Converts pydantic's validation errors to messages about the file.

pydantic's locations contain tags of unions besides keys; parts that the tree does not have are removed. With the
model, messages name the keys and units that would be valid.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeAlias, Union, get_args, get_origin

from mischance.errors import shorten, suggest
from mischance.units import SI, Unit

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

MAX_FINDINGS = 100

Path: TypeAlias = tuple[str | int, ...]


class Finding(NamedTuple):
    """One problem at a path of a tree, at its key or at its value."""

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False


_TYPES = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "dict": "a mapping",
    "mapping": "a mapping",
    "model": "a mapping of keys",
    "none": "nothing",
}
_BOUNDS = {
    "greater_than": ("gt", "> "),
    "greater_than_equal": ("ge", "≥ "),
    "less_than": ("lt", "< "),
    "less_than_equal": ("le", "≤ "),
    "multiple_of": ("multiple_of", "a multiple of "),
}


def problems_of(error: ValidationError, tree: object, model: type[BaseModel] | None = None) -> list[Finding]:
    """Return the problems of a tree, one per path, in the order of the model's fields.

    Args:
        error: pydantic's error. A custom error may have a `hint` in its context.
        tree: the plain tree that was validated, or the text's own tree of the same keys.
        model: the model that raised it.
    """
    raw = error.errors(include_url=False)
    kept: dict[Path, list[tuple[bool, bool, Finding]]] = {}
    for entry in raw[:MAX_FINDINGS]:
        path = _path(entry["loc"], tree, entry["type"])
        finding = _finding(entry, path, tree, _Shape.of(model).at(entry["loc"]))
        tagged = len(path) < len(entry["loc"])
        whole = entry["type"] == "quantity" and isinstance(entry["input"], dict | list)
        kept.setdefault(finding.path, []).append((tagged, whole or entry["type"].endswith("_type"), finding))
    findings = [_one(entries) for path, entries in kept.items() if not _outdone(path, entries, kept)]
    if len(raw) > MAX_FINDINGS:
        findings.append(Finding((), f"and {len(raw) - MAX_FINDINGS} more problems"))
    return findings


def _one(entries: Sequence[tuple[bool, bool, Finding]]) -> Finding:
    """Return one finding for a path that every member of a union refused: the most specific one."""
    by_words = [finding for _, mistyped, finding in entries if not mistyped]
    return (by_words or [finding for _, _, finding in entries])[0]


def _outdone(path: Path, entries: Sequence[tuple[bool, bool, Finding]], others: Iterable[Path]) -> bool:
    """Return whether a union's "must be a …" is less specific than another member's error below it."""
    if not all(tagged and mistyped for tagged, mistyped, _ in entries):
        return False
    return any(len(other) > len(path) and other[: len(path)] == path for other in others)


def _finding(entry: Mapping[str, Any], path: Path, tree: object, shapes: _Shape) -> Finding:
    kind: str = entry["type"]
    context: Mapping[str, Any] = entry.get("ctx") or {}
    found, value = _value(path, tree)
    got = f" (got {shorten(value if found else entry['input'])})"
    if kind == "extra_forbidden":
        known = shapes.parent_keys
        hint = suggest(str(path[-1]) if path else "", known) or ("known: " + ", ".join(known[:12]) if known else "")
        return Finding(path, "unknown key", hint, at_key=True)
    if kind == "missing":
        return Finding(path, "is missing")
    if entry["loc"][-1:] == ("[key]",):
        return Finding(path, "the name does not have the right form", _form(context.get("pattern")), at_key=True)
    if kind in ("literal_error", "enum"):
        return _choice(path, _words(str(context.get("expected", ""))), value if found else entry["input"])
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        path = (*path, str(context.get("discriminator", "")).strip("'"))
        found, value = _value(path, tree)
        if not found:
            return Finding(path, "is missing")
        return _choice(path, _words(str(context.get("expected_tags", ""))), value)
    if kind in _BOUNDS:
        name, sign = _BOUNDS[kind]
        return Finding(path, f"must be {sign}{_number(context[name])} {shapes.unit}".rstrip() + got)
    wanted = _TYPES.get(kind.removesuffix("_type").removesuffix("_attributes"))
    if kind == "none_required" or (wanted and kind.endswith("_type")):
        hint = f"quote it: '{shorten(value)}'" if wanted == "text" and type(value) in (int, float, bool) else ""
        if wanted == "a list" and isinstance(value, str) and len(value) <= 40 and value.isprintable():
            hint = f"write [{value}]"
        return Finding(path, f"must be {wanted or 'nothing'}{got}", hint)
    return _other(kind, context, str(entry["msg"]), path, got)


def _other(kind: str, context: Mapping[str, Any], text: str, path: Path, got: str) -> Finding:
    if kind in ("int_from_float", "int_parsing", "int_parsing_size"):
        message = "must be a whole number"
    elif kind == "finite_number":
        message = "must be a finite number"
    elif kind == "string_pattern_mismatch":
        return Finding(path, f"does not have the right form{got}", _form(context.get("pattern")))
    elif kind in ("too_short", "string_too_short"):
        what = "entries" if kind == "too_short" else "characters"
        least = context.get("min_length", 1)
        message = "must not be empty" if least == 1 else f"must have at least {least} {what}"
    elif kind in ("too_long", "string_too_long"):
        message = f"must have at most {context.get('max_length')} {'entries' if kind == 'too_long' else 'characters'}"
    else:
        message = text.removeprefix("Value error, ").removeprefix("Assertion failed, ")
        message = message if message[1:2].isupper() else message[:1].lower() + message[1:]
    return Finding(path, message if "(got " in message else message + got, str(context.get("hint") or ""))


def _form(pattern: object) -> str:
    """Return a description of a pattern; in words if it is a common one."""
    words = {
        r"^[A-Za-z_][A-Za-z0-9_]*$": "a name is letters, digits and _, and does not begin with a digit",
        r"^[a-z][a-z0-9_]*$": "a name is small letters, digits and _, and begins with a letter",
        r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*(:[A-Za-z0-9_]+)?$": (
            "a name is letters, digits, `_`, `-` and `.`, with `/` between its parts: driving/cut_in"
        ),
        r"\S": "it must not be empty",
    }
    return words.get(str(pattern), f"the pattern is {pattern}")


def _choice(path: Path, known: Sequence[str], value: object) -> Finding:
    one_of = "one of " if len(known) > 1 else ""
    hint = suggest(value, known, 0.5) if isinstance(value, str) else ""
    return Finding(path, f"must be {one_of}{', '.join(known)} (got {shorten(value)})", hint)


def _words(listed: str) -> list[str]:
    """Return the names in pydantic's "'a', 'b' or 'c'"."""
    return [quoted or bare for quoted, bare in re.findall(r"'([^']*)'|(?<![\w'])([-+\w.]+)(?=,| or |$)", listed)]


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# -- paths ------------------------------------------------------------------------------------------------------------


def _path(loc: Sequence[str | int], tree: object, kind: str) -> Path:
    """Return a location without pydantic's tags."""
    leaf = loc[-1:] if kind == "missing" else ()
    body = tuple(loc[: len(loc) - len(leaf)])
    path = _walk(body, tree)
    if body and path[-1:] != body[-1:]:
        # A tag may equal a sibling key (kind: road, road: {…}): try the location without each part.
        for skipped in range(len(body) - 1):
            other = _walk(body[:skipped] + body[skipped + 1 :], tree)
            if other[-1:] == body[-1:]:
                path = other
                break
    return (*path, *leaf)


def _walk(loc: Iterable[str | int], tree: object) -> Path:
    path: list[str | int] = []
    for part in loc:
        found, below = _value((part,), tree)
        if found:
            path.append(part)
            tree = below
    return tuple(path)


def _value(path: Iterable[str | int], tree: object) -> tuple[bool, object]:
    """Return whether a tree has a path, and its value."""
    for part in path:
        if isinstance(tree, Mapping):
            known = part in tree
        else:
            known = isinstance(tree, list | tuple) and isinstance(part, int) and 0 <= part < len(tree)
        if not known:
            return False, None
        tree = tree[part]  # type: ignore[index]
    return True, tree


# -- types of the model -----------------------------------------------------------------------------------------------


class _Shape:
    """The types that a model allows at a location, with the keys of the enclosing mapping."""

    def __init__(self, types_: Sequence[Any], parent_keys: Sequence[str] = ()) -> None:
        self.types = list(types_)
        self.parent_keys = list(parent_keys)

    @classmethod
    def of(cls, model: type[BaseModel] | None) -> _Shape:
        """Return the shape of a whole model; empty without a model."""
        return cls([] if model is None else [model])

    @property
    def unit(self) -> str:
        """The SI unit of a quantity that is allowed here, or ''."""
        marks = [mark for type_ in self.types for mark in _metadata(type_) if isinstance(mark, Unit)]
        return SI.get(marks[0].dimension, "") if marks else ""

    def at(self, loc: Iterable[str | int]) -> _Shape:
        """Return the shape at a location; tags select among the models of a union."""
        shape = self
        for part in loc:
            leaves = [leaf for type_ in shape.types for leaf in _leaves(type_) if leaf is not type(None)]
            if len(leaves) > 1:  # a union: the part is a tag, whatever keys its members have
                shape = _Shape(_tagged(leaves, part) or leaves, shape.parent_keys)
            else:
                keys = [key for type_ in shape.types for key in _fields(type_)]
                shape = _Shape([inner for type_ in shape.types for inner in _step(type_, part)], keys)
        return shape


def _leaves(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union without their annotations."""
    inner = getattr(annotation, "annotation", annotation)  # a FieldInfo has its own
    if get_origin(inner) is Annotated:
        yield from _leaves(get_args(inner)[0])
    elif get_origin(inner) in (Union, types.UnionType):
        for member in get_args(inner):
            yield from _leaves(member)
    else:
        yield inner


def _metadata(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "metadata", ())
    inner = getattr(annotation, "annotation", annotation)
    if get_origin(inner) is Annotated:
        yield from get_args(inner)[1:]
        yield from _metadata(get_args(inner)[0])
    elif get_origin(inner) in (Union, types.UnionType):
        for member in get_args(inner):
            yield from _metadata(member)


def _fields(annotation: Any) -> dict[str, Any]:
    """Return the fields of the models in an annotation, by name and alias."""
    models = [leaf for leaf in _leaves(annotation) if hasattr(leaf, "model_fields")]
    return {field.alias or name: field for model in models for name, field in model.model_fields.items()}


def _step(annotation: Any, part: str | int) -> Iterator[Any]:
    """Yield the annotations one key or index below."""
    if part in (fields := _fields(annotation)):
        yield fields[str(part)]
    for leaf in _leaves(annotation):
        origin, args = get_origin(leaf), get_args(leaf)
        if not isinstance(origin, type) or not args:
            continue
        if issubclass(origin, Mapping) and len(args) == 2:
            yield args[1]
        elif issubclass(origin, Sequence | set | frozenset) and isinstance(part, int):
            fixed = issubclass(origin, tuple) and Ellipsis not in args
            yield args[min(part, len(args) - 1)] if fixed else args[0]


def _tagged(leaves: Iterable[Any], tag: str | int) -> list[Any]:
    """Return the models of a union that a tag selects: by name, or by a literal field."""
    models = [leaf for leaf in leaves if hasattr(leaf, "model_fields")]
    return [m for m in models if m.__name__ == tag or any(tag in _literals(f) for f in m.model_fields.values())]


def _literals(field: Any) -> tuple[Any, ...]:
    return get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
