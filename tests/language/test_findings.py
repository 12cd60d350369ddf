"""Findings: what a person is told of each kind of wrong value, with its place, its unit and what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from mischance.language.yaml.findings import MAX_FINDINGS, Finding, problems_of
from mischance.units import Length


class Box(BaseModel, extra="forbid"):
    """A box."""

    kind: Literal["box"] = "box"
    size: Length = Field(1.0, gt=0, le=10)


class Ball(BaseModel, extra="forbid"):
    """A ball."""

    kind: Literal["ball"] = "ball"
    radius: Length = Field(1.0, ge=0, lt=10)


class Model(BaseModel, extra="forbid"):
    """Every kind of a setting."""

    needed: int
    count: int = Field(1, ge=1, le=9)
    step: int = Field(2, multiple_of=2)
    share: float = Field(0.5, ge=0, lt=1.5, allow_inf_nan=False)
    on: bool = Field(True, strict=True)
    word: str = Field("abc", min_length=1, max_length=3)
    long: str = Field("abc", min_length=2)
    name: str = Field("abc", pattern=r"^[a-z][a-z0-9_]*$")
    odd: str = Field("x1", pattern=r"^x\d$")
    which: Literal["alpha", "beta"] = "alpha"
    only: Literal["one"] = "one"
    many: list[str] = Field([], max_length=2)
    some: list[int] = Field([1], min_length=1)
    pair: tuple[Length, int] = (1.0, 2)
    row: tuple[Length, ...] = (1.0,)
    table: dict[str, Length] = {}
    shape: Annotated[Box | Ball, Field(discriminator="kind")] = Box()
    nothing: None = None


def told(**tree: Any) -> list[Finding]:
    """Return what is said of a tree that has `needed`."""
    whole = {"needed": 1, **tree}
    with pytest.raises(ValidationError) as raised:
        Model.model_validate(whole)
    return problems_of(raised.value, whole, Model)


WRONG: Mapping[str, tuple[dict[str, Any], tuple[str | int, ...], str, str]] = {
    "above": ({"count": 10}, ("count",), "must be ≤ 9 (got 10)", ""),
    "below": ({"count": 0}, ("count",), "must be ≥ 1 (got 0)", ""),
    "at an open end": ({"share": 1.5}, ("share",), "must be < 1.5 (got 1.5)", ""),
    "of a quantity": ({"shape": {"kind": "box", "size": 0}}, ("shape", "size"), "must be > 0 m (got 0)", ""),
    "of another quantity": (
        {"shape": {"kind": "ball", "radius": 10}},
        ("shape", "radius"),
        "must be < 10 m (got 10)",
        "",
    ),
    "multiple": ({"step": 3}, ("step",), "must be a multiple of 2 (got 3)", ""),
    "no whole number": ({"count": 1.5}, ("count",), "must be a whole number (got 1.5)", ""),
    "word for a number": ({"count": "x"}, ("count",), "must be a whole number (got 'x')", ""),
    "infinite": ({"share": float("inf")}, ("share",), "must be a finite number (got inf)", ""),
    "list for a number": ({"count": [1]}, ("count",), "must be a whole number (got a list of 1)", ""),
    "number for text": ({"word": 12}, ("word",), "must be text (got 12)", "quote it: '12'"),
    "yes for text": ({"word": True}, ("word",), "must be text (got true)", "quote it: 'true'"),
    "list for text": ({"word": [1]}, ("word",), "must be text (got a list of 1)", ""),
    "word for yes": ({"on": "yes"}, ("on",), "must be true or false (got 'yes')", ""),
    "short": ({"word": ""}, ("word",), "must not be empty (got '')", ""),
    "not so short": ({"long": "x"}, ("long",), "must have at least 2 characters (got 'x')", ""),
    "long": ({"word": "abcd"}, ("word",), "must have at most 3 characters (got 'abcd')", ""),
    "many": ({"many": ["a", "b", "c"]}, ("many",), "must have at most 2 entries (got a list of 3)", ""),
    "none": ({"some": []}, ("some",), "must not be empty (got [])", ""),
    "word for a list": ({"many": "x" * 40}, ("many",), f"must be a list (got '{'x' * 40}')", f"write [{'x' * 40}]"),
    "number for a list": ({"many": 3}, ("many",), "must be a list (got 3)", ""),
    "two lines for a list": ({"many": "a\nb"}, ("many",), "must be a list (got 'a\\nb')", ""),
    "choice": ({"which": "alpa"}, ("which",), "must be one of alpha, beta (got 'alpa')", "did you mean 'alpha'?"),
    "number for a choice": ({"which": 3}, ("which",), "must be one of alpha, beta (got 3)", ""),
    "only choice": ({"only": "two"}, ("only",), "must be one (got 'two')", ""),
    "form": (
        {"name": "Abc"},
        ("name",),
        "does not have the right form (got 'Abc')",
        "a name is small letters, digits and _, and begins with a letter",
    ),
    "other form": ({"odd": "y1"}, ("odd",), "does not have the right form (got 'y1')", r"the pattern is ^x\d$"),
    "key": ({"cuont": 3}, ("cuont",), "unknown key", "did you mean 'count'?"),
    "key far from all": ({"zzz": 3}, ("zzz",), "unknown key", "known: needed, count, step, share"),
    "key inside": ({"shape": {"kind": "box", "sise": 1}}, ("shape", "sise"), "unknown key", "did you mean 'size'?"),
    "kind": (
        {"shape": {"kind": "bal"}},
        ("shape", "kind"),
        "must be one of box, ball (got 'bal')",
        "did you mean 'ball'?",
    ),
    "in a list": ({"many": ["a", 3]}, ("many", 1), "must be text (got 3)", "quote it: '3'"),
    "in a pair": ({"pair": [1, 1.5]}, ("pair", 1), "must be a whole number (got 1.5)", ""),
    "mapping": ({"table": 3}, ("table",), "must be a mapping (got 3)", ""),
    "nothing": ({"nothing": 3}, ("nothing",), "must be nothing (got 3)", ""),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_told_with_what_was_wanted(name: str):
    tree, path, message, hint = WRONG[name]
    (found,) = told(**tree)
    assert found.path == path
    assert found.message == message
    assert found.hint.startswith(hint)
    assert bool(found.hint) == bool(hint)
    assert found.at_key == (message == "unknown key")


def test_a_long_word_is_not_offered_as_a_list():
    (found,) = told(many="x" * 41)
    assert found.hint == ""


def test_what_is_missing_is_missing_at_its_place():
    with pytest.raises(ValidationError) as raised:
        Model.model_validate({})
    assert problems_of(raised.value, {}, Model) == [Finding(("needed",), "is missing")]


@pytest.mark.parametrize(
    ("key", "value", "place"), [("pair", ["3 s", 1], 0), ("row", [1, 2, 3, "3 s"], 3), ("table", {"a": "3 s"}, "a")]
)
def test_units_inside_lists_and_mappings_are_those_of_their_entries(key: str, value: Any, place: str | int):
    (found,) = told(**{key: value})
    assert found.path == (key, place)
    assert "expected a length" in found.message


def test_bounds_inside_a_row_have_the_unit_of_its_entries():
    class Row(BaseModel):
        fixed: tuple[int, Annotated[Length, Field(gt=0)]] = (1, 1.0)
        any: tuple[Annotated[Length, Field(gt=0)], ...] = (1.0,)

    tree = {"fixed": [1, 0], "any": [1, 2, 0]}
    with pytest.raises(ValidationError) as raised:
        Row.model_validate(tree)
    assert [(found.path, found.message) for found in problems_of(raised.value, tree, Row)] == [
        (("fixed", 1), "must be > 0 m (got 0)"),
        (("any", 2), "must be > 0 m (got 0)"),
    ]


def test_the_most_specific_member_of_a_union_speaks():
    class Either(BaseModel):
        value: Annotated[int, Field(ge=5)] | list[int] = 5

    for given, message in ((3, "must be ≥ 5 (got 3)"), ([1, "x"], "must be a whole number (got 'x')")):
        tree = {"value": given}
        with pytest.raises(ValidationError) as raised:
            Either.model_validate(tree)
        (found,) = problems_of(raised.value, tree, Either)
        assert found.message == message


def test_a_hundred_problems_are_told_and_the_others_counted():
    for wrong, more in ((MAX_FINDINGS, []), (MAX_FINDINGS + 3, [Finding((), "and 3 more problems")])):
        tree: dict[str, Any] = {"needed": 1, "table": {f"k{i}": "x" for i in range(wrong)}}
        with pytest.raises(ValidationError) as raised:
            Model.model_validate(tree)
        found = problems_of(raised.value, tree, Model)
        assert len(found) == MAX_FINDINGS + len(more)
        assert found[MAX_FINDINGS:] == more
    assert MAX_FINDINGS == 100
