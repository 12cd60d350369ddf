"""Quantities: every unit means what physics says, and a settings model takes nothing else."""

from __future__ import annotations

import copy
import json
import math
import pickle
import re
import subprocess
import sys
from typing import Annotated

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mischance import units
from mischance.errors import UnitError
from mischance.units import Length, Level, Money, Number, Quantity, Ratio, Speed, Temperature, Unit, parse, show

# Every unit of the language and what one of it is in SI (SI brochure, 9th ed.; international yard and pound, 1959).
ONE = {
    "time": {"s": 1, "sec": 1, "second": 1, "seconds": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "min": 60,
             "h": 3600, "d": 86400, "day": 86400, "days": 86400, "week": 604800, "weeks": 604800},
    "length": {"m": 1, "cm": 0.01, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "km": 1e3, "in": 0.0254, "ft": 12 * 0.0254,
               "mi": 5280 * 0.3048, "nmi": 1852},
    "speed": {"m/s": 1, "km/h": 1000 / 3600, "kph": 1000 / 3600, "mph": 0.44704, "kn": 1852 / 3600},
    "acceleration": {"m/s2": 1, "m/s^2": 1, "m/s²": 1, "g0": 9.80665},
    "jerk": {"m/s3": 1, "m/s³": 1},
    "angle": {"rad": 1, "mrad": 1e-3, "deg": math.pi / 180, "°": math.pi / 180},
    "angular rate": {"rad/s": 1, "deg/s": math.pi / 180, "rpm": math.pi / 30},
    "frequency": {"Hz": 1, "kHz": 1e3, "MHz": 1e6, "1/s": 1, "/s": 1, "/min": 1 / 60, "/h": 1 / 3600, "/d": 1 / 86400},
    "mass": {"kg": 1, "g": 1e-3, "t": 1e3},
    "force": {"N": 1, "kN": 1e3},
    "torque": {"Nm": 1, "N*m": 1, "N·m": 1},
    "pressure": {"Pa": 1, "hPa": 100, "kPa": 1e3, "MPa": 1e6, "bar": 1e5},
    "energy": {"J": 1, "kJ": 1e3, "Wh": 3600, "kWh": 3.6e6},
    "power": {"W": 1, "kW": 1e3, "MW": 1e6},
    "temperature": {"K": 1, "degC": 274.15},
    "voltage": {"V": 1, "mV": 1e-3, "kV": 1e3},
    "current": {"A": 1, "mA": 1e-3},
    "resistance": {"ohm": 1, "kohm": 1e3},
    "data": {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3},
    "data rate": {"B/s": 1, "kB/s": 1e3, "MB/s": 1e6, "bit/s": 1 / 8, "Mbit/s": 1e6 / 8},
    "ratio": {"%": 0.01, "ppm": 1e-6},
    "level": {"dB": 10**0.1},
}  # fmt: skip
EACH = [(dimension, name, si) for dimension, names in ONE.items() for name, si in names.items()]


@pytest.mark.parametrize(("dimension", "name", "si"), EACH)
def test_one_of_each_unit(dimension: str, name: str, si: float):
    glued = [] if name[0].isdigit() else [f"1{name}"]  # 11/s is eleven a second
    for text in (f"1 {name}", f"  1.0   {name} ", *glued):
        found = parse(text, dimension)
        assert found == pytest.approx(si, rel=1e-15)
        assert found.dimension == dimension
    assert parse(f"1 {name}").dimension == dimension


@given(st.sampled_from(sorted(units.UNITS)), st.floats(-1e6, 1e6))
def test_a_unit_is_affine_and_the_si_unit_is_one(name: str, number: float):
    scale = units.UNITS[name]
    assume(not scale.decibel or number < 3000)  # more decibels than that no float holds
    found = parse(f"{number!r} {name}")
    if scale.decibel:
        assert found == 10 ** (number / 10)
    else:
        assert found == pytest.approx(scale.factor * number + scale.offset, rel=1e-12)


def test_the_si_unit_of_every_dimension_is_one():
    for dimension, name in units.SI.items():
        assert parse(f"3.5 {name}", dimension) == 3.5
        assert show(3.5, dimension) == f"3.5 {name}"
    assert units.SI["speed"] == "m/s"
    assert show(0.25, "ratio") == "0.25"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_bare_number_is_si(number: float):
    if len(repr(number)) <= 40:
        assert parse(repr(number)) == number
        assert parse(repr(number)).dimension == ""


@pytest.mark.parametrize(
    ("text", "dimension", "message", "hint"),
    [
        ("3 m", "speed", "expected a speed such as '50 km/h' (got '3 m')", ""),
        ("fast", "speed", "expected a speed such as '50 km/h' (got 'fast')", ""),
        ("3 MS", "time", "unknown unit 'MS'", "did you mean 'ms'?"),
        ("3 secnd", "time", "unknown unit 'secnd'", "did you mean 'second'?"),
        ("3 KM/H", "", "unknown unit 'KM/H'", "did you mean 'km/h'?"),
        ("5 degC", "temperature difference", "expected a temperature difference such as '5 K' (got '5 degC')",
         "a difference is given in K"),
        ("1e999 m", "length", "the number is too large (got '1e999 m')", ""),
        ("1e308 km", "length", "the number is too large (got '1e308 km')", ""),
        ("9999 dB", "level", "the number is too large (got '9999 dB')", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, dimension: str, message: str, hint: str):
    with pytest.raises(UnitError) as caught:
        parse(text, dimension)
    assert caught.value.message == message
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    "text", ["", " ", "m", "nan", "inf", "inf m", "--3 m", "1_0 m", "0x10", "3 m m", "3 m/", "9" * 60, "3\0m", "１ m"]
)
def test_no_quantity(text: str):
    with pytest.raises(UnitError):
        parse(text)


@given(st.text(max_size=60))
def test_any_text_is_a_finite_quantity_or_a_unit_error(text: str):
    try:
        found = parse(text)
    except UnitError as error:
        told = error.message + error.hint
    else:
        told = ""
        assert math.isfinite(found)
    assert "\n" not in told


def test_a_quantity_survives_copies():
    speed = parse("36 km/h")
    for copied in (copy.copy(speed), copy.deepcopy(speed), pickle.loads(pickle.dumps(speed))):
        assert copied == speed == 10.0
        assert copied.dimension == "speed"
    assert type(speed + 1) is float


class Car(BaseModel):
    """A model that takes quantities."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    speed: Speed = Field(0.0, ge=0, lt=100, description="[m/s]")
    range: tuple[Length, Length] = (0.0, 1.0)
    gaps: list[Annotated[Length, Field(gt=0)]] = []
    grip: Ratio | None = Field(None, gt=0, le=1)
    gain: Level = 1.0
    heat: Temperature = 293.15
    price: Money = 0.0
    factor: Number = 1.0


@pytest.mark.parametrize(
    ("given", "field", "value"),
    [
        ({"speed": "36 km/h"}, "speed", 10.0),
        ({"speed": 7}, "speed", 7.0),
        ({"speed": Quantity(7.0, "speed")}, "speed", 7.0),
        ({"speed": Quantity(7.0)}, "speed", 7.0),
        ({"range": ("1 cm", 2)}, "range", (0.01, 2.0)),
        ({"gaps": ["1 ft"]}, "gaps", [0.3048]),
        ({"grip": "50 %"}, "grip", 0.5),
        ({"grip": None}, "grip", None),
        ({"gain": "20 dB"}, "gain", 100.0),
        ({"heat": "0 degC"}, "heat", 273.15),
        ({"factor": 2}, "factor", 2.0),
    ],
)
def test_a_model_takes_si_and_quantities(given: dict, field: str, value: object):
    found = getattr(Car.model_validate(given), field)
    assert found == value
    assert type(found) is not Quantity


REFUSED = [
    {"speed": "36"},
    {"speed": "36 m"},
    {"speed": "36 kmh/s"},
    {"speed": True},
    {"speed": None},
    {"speed": []},
    {"speed": -1},
    {"speed": "-1 km/h"},
    {"speed": 100},
    {"speed": "360 km/h"},
    {"speed": 10**400},
    {"speed": math.nan},
    {"speed": math.inf},
    {"speed": Quantity(1.0, "length")},
    {"gaps": [0]},
    {"grip": "150 %"},
    {"grip": "1 dB"},
    {"price": "12 EUR"},
    {"factor": "2"},
    {"factor": "2 %"},
    {"range": ("1 s", 2)},
]


@pytest.mark.parametrize("given", REFUSED, ids=lambda tree: repr(tree)[:40])
def test_a_model_refuses_the_rest(given: dict):
    with pytest.raises(ValidationError):
        Car.model_validate(given)


def test_a_wrong_quantity_names_both_dimensions():
    with pytest.raises(ValidationError, match=r"expected a speed such as '50 km/h' \(got 1 m, a length\)"):
        Car.model_validate({"speed": Quantity(1.0, "length")})


def test_the_json_schema_agrees_with_the_model():
    schema = Car.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    number, text = schema["properties"]["speed"]["anyOf"]
    assert number == {"type": "number", "minimum": 0, "exclusiveMaximum": 100, "description": "in m/s"}
    assert text["type"] == "string"
    judge = jsonschema.Draft202012Validator(schema)
    for good in (
        {"speed": "36 km/h"},
        {"speed": 3},
        {"gaps": ["1 ft", 2]},
        {"grip": "5 %"},
        {"gain": "3 dB"},
        {"factor": 1},
    ):
        Car.model_validate(good)
        judge.validate(json.loads(json.dumps(good)))
    for bad in (
        {"speed": "36"},
        {"speed": "36 m"},
        {"speed": -1},
        {"gaps": [0]},
        {"factor": "2"},
        {"price": "1 EUR"},
        {"speed": True},
    ):
        with pytest.raises(ValidationError):
            Car.model_validate(bad)
        assert not judge.is_valid(bad), bad


@pytest.mark.parametrize("dimension", [*ONE, "temperature difference", "money", "number"])
def test_the_schema_takes_exactly_the_units_of_its_dimension(dimension: str):
    class Holder(BaseModel):
        """One quantity."""

        value: Annotated[float, Unit(dimension)]

    branches = Holder.model_json_schema()["properties"]["value"].get("anyOf", [])
    pattern = re.compile(branches[1]["pattern"]) if branches else None
    for name in units.UNITS:
        taken = pattern is not None and pattern.search(f"1.5 {name}") is not None
        assert taken == (name in units.names_of(dimension))


def test_units_are_light():
    code = "import mischance.units, sys; print([m for m in ('numpy', 'pydantic', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
