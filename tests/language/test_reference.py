"""What the reference pages are made of: settings, limits, defaults and examples, read off models."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

import mischance.language.reference as reference
from mischance.api.protocols import AGENT_FAULTS, declares
from mischance.language import catalog
from mischance.language.distributions.laws import LAWS
from mischance.language.distributions.parsing import KINDS, parse
from mischance.language.distributions.reference import entries
from mischance.language.reference import example, faults, sections
from mischance.language.yaml.document import read
from mischance.units import Length, Time


class Inner(BaseModel):
    """What is inside.

    And more of it.
    """

    depth: Length = Field(2.5, gt=0, le=10, description="how deep")


class Tagged(BaseModel):
    """One kind."""

    kind: Literal["tagged"] = "tagged"
    size: int = Field(3, ge=1, lt=9, description="how large")


class Model(BaseModel):
    """All forms of a setting."""

    wait: Time = Field(description="how long")
    count: int = Field(4, ge=0, description="how many")
    share: float = Field(0.1234567891, gt=0, lt=1, description="a share")
    on: bool = Field(True, description="whether")
    word: str | None = Field(None, description="a word")
    which: Literal["a", "b"] = Field("a", description="which")
    inner: Inner = Field(Inner(), description="the inside")
    many: list[Inner] = Field([], description="many of them")
    named: dict[str, Inner] = Field({}, description="by name")
    numbers: list[float] = Field([1.0, 2.0], description="numbers")
    pair: tuple[Length, Length] = Field((1.0, 2.0), description="two of them")
    mixed: tuple[int, str] = Field((1, "x"), description="two kinds")
    either: Annotated[Tagged | None, Field(description="perhaps one")] = None
    free: dict[str, float] = Field({}, description="numbers by name")


def test_each_setting_says_what_it_takes_its_unit_default_and_limits():
    top, *inside = sections(Model)
    rows = {row.key: row for row in top.settings}
    assert list(rows) == list(Model.model_fields)
    assert {key: (row.takes, row.unit, row.default, row.limits) for key, row in rows.items()} == {
        "wait": ("quantity", "s", "required", ""),
        "count": ("whole number", "", "4", "≥ 0"),
        "share": ("number", "", "0.123457", "> 0, < 1"),
        "on": ("true or false", "", "true", ""),
        "word": ("text", "", "", ""),
        "which": ("one of a, b", "", "a", ""),
        "inner": ("mapping", "", "{depth: 2.5}", ""),
        "many": ("a list of: mappings", "", "[]", ""),
        "named": ("names with mappings", "", "{}", ""),
        "numbers": ("a list of: number", "", "[1.0, 2.0]", ""),
        "pair": ("2 of: quantity", "m", "[1.0, 2.0]", ""),
        "mixed": ("2 of: values", "", "[1, x]", ""),
        "either": ("mapping", "", "", ""),
        "free": ("names with number", "", "{}", ""),
    }
    assert all(row.about == Model.model_fields[key].description for key, row in rows.items())
    assert [(section.path, section.about) for section in inside] == [
        ("inner", "What is inside."),
        ("either", "with kind: tagged. One kind."),
    ]
    assert [(row.key, row.unit, row.default, row.limits) for row in inside[0].settings] == [
        ("depth", "m", "2.5 m", "> 0, ≤ 10")
    ]
    assert [(row.key, row.limits) for row in inside[1].settings] == [("size", "≥ 1, < 9")]


def test_a_default_that_is_long_stands_below():
    assert reference._default("x" * 60, "") == "x" * 60
    assert reference._default("x" * 61, "") == "see below"
    assert [reference._default(value, unit) for value, unit in ((None, "m"), (1, "m"), (2.0, ""), (False, ""))] == [
        "",
        "1 m",
        "2",
        "false",
    ]


def test_an_example_is_the_shortest_that_the_library_has():
    line, name = example("simulators", "payments")
    assert line.startswith("{kind: payments")
    assert name in catalog.scenario_files()
    tree = {
        "simulator": {"kind": "road"},
        "agent": {"kind": "idm"},
        "write": ["parquet", {"kind": "png", "a": 1}],
        "sensors": {
            "a": {"kind": "camera", "renderer": "tiny"},
            "b": {"kind": "imu"},
            "c": {"kind": "lidar", "renderer": {"kind": "raster"}},
        },
        "worlds": {"x": {"kind": "arm"}},
    }
    uses = {
        room: [one["kind"] for one in reference._uses(tree, room)]
        for room in ("simulators", "agents", "sensors", "writers", "renderers")
    }
    assert uses == {
        "simulators": ["arm", "road"],
        "agents": ["idm"],
        "sensors": ["camera", "imu", "lidar"],
        "writers": ["parquet", "png"],
        "renderers": ["tiny", "raster"],
    }
    assert [list(reference._uses({}, room)) for room in ("simulators", "writers", "renderers")] == [[], [], []]
    assert example("simulators", "no_such_world") == ("", "")


def test_every_fault_of_every_world_and_sensor_is_listed_once():
    found = faults()
    assert [one.kind for one in found if one.owner == "agent"] == list(AGENT_FAULTS)
    own = {(one.room, one.owner, one.kind) for one in found}
    assert len(own) == len(found)
    for room, name in (("simulators", "payments"), ("sensors", "camera"), ("sensors", "imu")):
        kinds = set(declares(catalog.find(room, name)).faults)
        assert {kind for r, n, kind in own if (r, n) == (room, name)} == kinds != set()


def test_every_distribution_has_an_example_that_can_be_read_and_its_rules_in_words():
    listed = entries()
    assert sorted([one.name for one in listed] + [alias for one in listed for alias in one.aliases]) == sorted(KINDS)
    for one in listed:
        for form in one.forms:
            assert form.example.startswith(f"{{{one.name}: ")
            assert form.arguments
            if "file:" not in form.example and one.name != "expr":
                assert parse(read(f"x: {form.example}\n", "example").tree["x"]) is not None
    normal = next(one for one in listed if one.name == "normal")
    assert [(arg.name, arg.about, arg.default, arg.measure) for arg in normal.forms[0].arguments] == [
        ("mean", "mean of the law", "", "as the drawn value"),
        ("sigma", "standard deviation", "", "as the drawn value"),
    ]
    assert normal.forms[0].limits == ("sigma must be > 0",)
    beta = next(one for one in listed if one.name == "beta")
    assert [(arg.name, arg.default) for arg in beta.forms[0].arguments] == [
        ("a", ""),
        ("b", ""),
        ("low", "0"),
        ("high", "1"),
    ]


@pytest.mark.parametrize("name", LAWS)
def test_plain_numbers_of_an_example_keep_the_rules_of_the_law(name: str):
    from mischance.language.distributions.reference import _fitting

    for i, form in enumerate(LAWS[name].forms):
        numbers = _fitting(name, i)
        assert set(numbers) == set(form.names)
        assert all(rule.holds(numbers) for rule in form.rules)
