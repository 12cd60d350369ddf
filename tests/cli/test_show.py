"""`mischance show`: settings, faults, distributions and scenarios in readable form, from what checks them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mischance.api.protocols import declares
from mischance.language import catalog
from mischance.language.distributions.kinds import Empirical
from mischance.language.distributions.parsing import KINDS, parse
from mischance.language.distributions.reference import entries
from mischance.language.loading import load
from mischance.language.reference import example, faults, sections
from mischance.language.scenario import validate
from mischance.language.yaml.document import read_value
from mischance.language.yaml.writing import inline
from tests.shell import mischance, refused

PLUGINS = [(room, entry.name) for room in catalog.ROOMS for entry in catalog.entries(room)]


def yaml(text: str) -> Any:
    return read_value(text, "example").tree["value"]


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("room", "kind"), PLUGINS)
def test_every_setting_of_every_plug_in_is_shown_with_its_default(room: str, kind: str):
    model = declares(catalog.find(room, kind)).settings
    first = sections(model)[0]
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    assert [one.key for one in first.settings] == list(fields)
    for one in first.settings:
        assert (one.default == "required") == fields[one.key].is_required()
        assert one.about, one.key
        assert one.takes not in ("any value", ""), one.key


def test_inner_settings_units_ranges_and_words_are_those_of_the_model():
    every = sections(declares(catalog.find("simulators", "road")).settings)
    found = {section.path: section for section in every}
    actor = {one.key: one for one in found["actors.<name>"].settings}
    assert (actor["speed"].unit, actor["speed"].limits, actor["speed"].default) == ("m/s", "≥ 0, ≤ 100", "required")
    assert actor["gap"].default == "30 m"
    assert actor["body"].takes.startswith("one of car, van, truck")
    moves = [one for one in every if one.path == "actors.<name>.behaviour[]"]
    (brake,) = (one for one in moves if one.about.startswith("with kind: brake."))
    assert {one.key: one.unit for one in brake.settings}["deceleration"] == "m/s2"
    assert "kind" not in {one.key for one in brake.settings}


def test_the_range_that_is_shown_is_the_one_that_is_checked():
    from pydantic import ValidationError

    model = declares(catalog.find("sensors", "imu")).settings
    (rate,) = (one for one in sections(model)[0].settings if one.key == "rate")
    assert rate.limits == "> 0"
    validate(model, {"rate": 0.001})
    with pytest.raises(ValidationError):
        validate(model, {"rate": 0})


@pytest.mark.parametrize(("room", "kind"), [("simulators", "road"), ("sensors", "camera"), ("agents", "aeb")])
def test_an_example_is_one_that_the_library_uses(room: str, kind: str):
    line, source = example(room, kind)
    tree = yaml(line)
    assert tree["kind"] == kind
    used = load(source).tree
    assert kind in str(used)


# -- distributions -----------------------------------------------------------------------------------------------------


def test_no_distribution_is_left_out():
    names = [name for entry in entries() for name in (entry.name, *entry.aliases)]
    assert sorted(names) == sorted(KINDS)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: str(entry.name))
def test_every_example_of_a_distribution_is_one(entry: Any, tmp_path: Any):
    (tmp_path / "gaps.csv").write_text("gap\n12\n19\n")
    for form in entry.forms:
        spec = parse(yaml(form.example), tmp_path)
        assert spec.kind == entry.name
        if isinstance(spec, Empirical):
            named = set(spec.args)
            assert named <= {argument.name for argument in form.arguments}
        done = mischance("show", "distribution", entry.name).stdout
        assert form.example in done.replace("\n", "")


# -- faults ------------------------------------------------------------------------------------------------------------


def test_every_fault_is_found_by_its_kind():
    every = faults()
    assert {"freeze", "fade", "latency", "stuck"} <= {one.kind for one in every}
    found = json.loads(mischance("show", "fault", "stuck", "--json").stdout)["faults"]
    assert {one["of"] for one in found} == {one.owner for one in every if one.kind == "stuck"}
    assert len(found) > 1, "several worlds have it"


# -- scenarios ---------------------------------------------------------------------------------------------------------


def test_a_scenario_is_shown_as_people_wrote_it():
    done = mischance("show", "scenario", "driving/cut_in:crash")
    assert done.returncode == 0, done.stderr
    for text in (
        "A car cuts in at short range", "closing    uniform [30 km/h, 45 km/h]", "speed: $ego_speed, lane: 1",
        "no_contact  always ego.gap > 0 m", "kind  r157_driver", "ego.contacts > 0", "r157_4_4_1",
    ):  # fmt: skip
        assert text in done.stdout, text
    base = mischance("show", "scenario", "driving/cut_in").stdout
    assert "freeze    sensors.front  at uniform [0.5 s, 3 s], lasts 0.8 s, chance 0.3" in base
    tree = json.loads(mischance("show", "scenario", "driving/cut_in", "--json").stdout)
    assert tree["vary"]["ego_speed"] == {"uniform": ["60 km/h", "130 km/h"]}


@pytest.mark.slow
def test_every_scenario_and_plug_in_can_be_shown():
    for name in catalog.scenario_files():
        assert mischance("show", "scenario", name).returncode == 0, name
    for room, kind in PLUGINS:
        assert mischance("show", room, kind).returncode == 0, (room, kind)


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("simulater", "road"), "did you mean 'simulator'?"),
        (("sensor", "camra"), "did you mean 'camera'?"),
        (("distribution", "lognormall"), "did you mean 'lognormal'?"),
        (("fault", "freez"), "did you mean 'freeze'?"),
        (("scenario", "driving/cut_im"), "did you mean 'driving/cut_in'?"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(words: tuple[str, str], hint: str):
    assert hint in refused(mischance("show", *words))


def test_without_a_name_the_names_are_listed():
    assert mischance("show", "distributions").stdout.split() == [entry.name for entry in entries()]
    assert "camera" in json.loads(mischance("show", "sensor", "--json").stdout)


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, "18 m"], "b": {}, "c": []}, ["x, y", "[z]", "{q}", "null", "true", "1"], {"0.8": 0.9},
        {"text": "a: b # c", "$": "$gap"}, None, "it's", {"on": "off", "no": "yes"},
    ],
)  # fmt: skip
def test_a_value_on_one_line_is_read_as_the_same_value(value: Any):
    assert yaml(inline(value)) == value
