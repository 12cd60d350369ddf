"""Settings of plug-ins, one at a time: where they are in a model that is filled, and what else each could be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

Path = tuple[str | int, ...]
Value = float | int | bool | str | None


class Spot(NamedTuple):
    """One setting in a filled model: its field as `Model.field`, its path, its value and what is declared of it."""

    field: str
    path: Path
    value: Value
    info: FieldInfo


def spots(model: BaseModel, path: Path = ()) -> Iterator[Spot]:
    """Yield every setting of a filled model that is a number, a word, true, false or null; in lists too."""
    for name, info in type(model).model_fields.items():
        yield from _below(f"{type(model).__name__}.{name}", (*path, name), getattr(model, name), info)


def _below(field: str, path: Path, value: Any, info: FieldInfo) -> Iterator[Spot]:
    if isinstance(value, BaseModel):
        yield from spots(value, path)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _below(field, (*path, key), one, info)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for i, one in enumerate(value):
            yield from _below(field, (*path, i), one, info)
    else:
        yield Spot(field, path, value, info)


def declared(model: type[BaseModel]) -> list[str]:
    """Return every setting of a model and of the models inside it, as `Model.field`.

    Not those that only hold models, and not the one word that tells a model from others.
    """
    found: dict[type[BaseModel], None] = {}

    def inside(annotation: Any) -> bool:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            if annotation not in found:
                found[annotation] = None
                for info in annotation.model_fields.values():
                    inside(info.annotation)
            return True
        below = [inside(one) for one in get_args(annotation)]  # all of them, not up to the first
        return any(below)

    inside(model)
    return [
        f"{each.__name__}.{name}"
        for each in found
        for name, info in each.model_fields.items()
        if not inside(info.annotation) and len(words(info.annotation)) != 1
    ]


def bounds(info: FieldInfo) -> tuple[float, float]:
    """Return the least and the greatest number that a setting may be, as far as its field says so."""
    low, high = float("-inf"), float("inf")
    for one in info.metadata:
        if isinstance(one, annotated_types.Ge | annotated_types.Gt):
            low = float(getattr(one, "ge", getattr(one, "gt", low)))
        if isinstance(one, annotated_types.Le | annotated_types.Lt):
            high = float(getattr(one, "le", getattr(one, "lt", high)))
    return low, high


def names(model: Any) -> list[str]:
    """Return the names that a filled model gives to its parts: every key of its mappings, at any depth."""
    if isinstance(model, BaseModel):
        return [name for field in type(model).model_fields for name in names(getattr(model, field))]
    if isinstance(model, Mapping):
        return [str(key) for key in model] + [name for one in model.values() for name in names(one)]
    if isinstance(model, Sequence) and not isinstance(model, str):
        return [name for one in model for name in names(one)]
    return []


def words(annotation: Any) -> tuple[str, ...]:
    """Return the words that a setting can be, where its type lists them."""
    if get_origin(annotation) is Literal:
        return tuple(word for word in get_args(annotation) if isinstance(word, str))
    return tuple(word for one in get_args(annotation) for word in words(one))


def others(spot: Spot, known: Sequence[str] = ()) -> list[Value]:
    """Return what else a setting could be: nearest first; what a model then refuses is for the caller to leave.

    `known`: names that a setting could be that is a name of something.
    """
    value, (low, high) = spot.value, bounds(spot.info)
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, str):
        found = [word for word in words(spot.info.annotation) or known if word != value]
        return [*found, None] if type(None) in get_args(spot.info.annotation) else found
    if isinstance(value, int):
        return [one for one in (value + 1, value - 1, 2 * value, value // 2) if low <= one <= high and one != value]
    if value is None:
        return [*words(spot.info.annotation), *(one for one in (0.5, 3.0, 30.0, 0.02) if low <= one <= high), *known]
    found = (0.7 * value, 1.4 * value, value + 0.5, value + 5.0, 0.5 * (max(low, -1.0) + min(high, 1.0)), 0.0, 1.0)
    return [one for one in dict.fromkeys(found) if low <= one <= high and one != value]


def changed(model: BaseModel, path: Path, value: Value) -> BaseModel:
    """Return a filled model with one setting changed.

    Raises:
        ValidationError: it cannot be that.
    """
    tree = model.model_dump()
    _put(tree, path, value)
    return type(model).model_validate(tree)


def _put(tree: Any, path: Path, value: Value) -> Any:
    if not path:
        return value
    if isinstance(tree, tuple | list):
        place = int(path[0])
        return type(tree)([*tree[:place], _put(tree[place], path[1:], value), *tree[place + 1 :]])
    tree[path[0]] = _put(tree[path[0]], path[1:], value)
    return tree
