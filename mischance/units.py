"""Quantities such as '50 km/h', and float types of settings models that accept them.

A bare number is SI. A quantity is one number and one unit, without arithmetic: `parse("50 km/h")` is
`Quantity(13.88..., "speed")`, a float that carries its dimension. A settings model declares `speed: Speed =
Field(0.0, ge=0, ...)` and so accepts `50 km/h`, `13.9` or a `Quantity`, in pydantic's strict mode too.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from mischance.errors import UnitError, shorten, suggest

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
"""A number without its sign, as text: the form that quantities and expressions share."""

_LONGEST = 40  # maximum length of a number [characters]; longer ones cost float() time
_QUANTITY = re.compile(rf"\s*([-+]?{NUMBER})\s*(.*?)\s*", re.DOTALL)
BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_BARE = re.compile(rf"\s*[-+]?{NUMBER}\s*")


class Scale(NamedTuple):
    """Conversion of a unit to SI: `factor * number + offset`, or `10 ** (number / 10)` for decibels."""

    dimension: str
    factor: float
    offset: float = 0.0
    decibel: bool = False

    def si(self, number: float) -> float:
        """Return the SI value of a number in this unit; inf if it is too large for a float."""
        if not self.decibel:
            return number * self.factor + self.offset
        return 10.0 ** (number / 10.0) if number < 3080.0 else math.inf


_MINUTE, _HOUR, _DAY, _WEEK = 60.0, 3600.0, 86400.0, 604800.0
_DEGREE = math.pi / 180.0

# Dimension: what an error calls it and shows as an example, then its units, SI first. The first of several
# names is the one suggested. The foot, mile and knot are exact by definition (international yard, 1959).
_TABLE: dict[str, tuple[str, str, dict[str, float]]] = {
    "time": ("a time", "0.8 s", {
        "s sec secs second seconds": 1.0,
        "ms msec millisecond milliseconds": 1e-3,
        "us µs μs usec microsecond microseconds": 1e-6,
        "ns nsec nanosecond nanoseconds": 1e-9,
        "min mins minute minutes": _MINUTE,
        "h hr hrs hour hours": _HOUR,
        "d day days": _DAY,
        "week weeks": _WEEK,
    }),
    "length": ("a length", "12 m", {
        "m meter meters metre metres": 1.0,
        "cm centimeter centimeters centimetre centimetres": 1e-2,
        "mm millimeter millimeters millimetre millimetres": 1e-3,
        "um µm μm micrometer micrometers micrometre micrometres": 1e-6,
        "km kilometer kilometers kilometre kilometres": 1e3,
        "in inch inches": 0.0254,
        "ft foot feet": 0.3048,
        "mi mile miles": 1609.344,
        "nmi": 1852.0,
    }),
    "speed": ("a speed", "50 km/h", {
        "m/s mps": 1.0,
        "km/h kph kmh kmph km/hr km/hour": 1.0 / 3.6,
        "mph mi/h": 1609.344 / _HOUR,
        "kn kt knot knots": 1852.0 / _HOUR,
    }),
    "acceleration": ("an acceleration", "3 m/s2", {"m/s2 m/s^2 m/s² m/s/s m/s**2": 1.0, "g0": 9.80665}),
    "jerk": ("a jerk", "15 m/s3", {"m/s3 m/s^3 m/s³ m/s**3": 1.0}),
    "angle": ("an angle", "70 deg", {
        "rad radian radians": 1.0,
        "mrad": 1e-3,
        "deg ° degree degrees": _DEGREE,
    }),
    "angular rate": ("an angular rate", "30 deg/s", {
        "rad/s": 1.0,
        "deg/s °/s": _DEGREE,
        "rpm": 2.0 * math.pi / _MINUTE,
    }),
    "frequency": ("a frequency or rate", "10 Hz", {
        "Hz hz 1/s /s /sec /second": 1.0,
        "kHz khz": 1e3,
        "MHz": 1e6,
        "GHz": 1e9,
        "/min 1/min /minute": 1.0 / _MINUTE,
        "/h 1/h /hr /hour": 1.0 / _HOUR,
        "/d 1/d /day 1/day": 1.0 / _DAY,
        "/week 1/week": 1.0 / _WEEK,
    }),
    "mass": ("a mass", "1500 kg", {
        "kg kilogram kilograms": 1.0,
        "g gram grams": 1e-3,
        "t tonne tonnes": 1e3,
    }),
    "force": ("a force", "200 N", {"N newton newtons": 1.0, "kN": 1e3}),
    "torque": ("a torque", "12 Nm", {"Nm N*m N·m N⋅m": 1.0, "kNm kN*m kN·m": 1e3}),
    "pressure": ("a pressure", "6 bar", {"Pa": 1.0, "hPa": 1e2, "kPa": 1e3, "MPa": 1e6, "bar": 1e5, "mbar": 1e2}),
    "energy": ("an energy", "5 kJ", {"J joule joules": 1.0, "kJ": 1e3, "MJ": 1e6, "Wh": _HOUR, "kWh": 1e3 * _HOUR}),
    "power": ("a power", "2 kW", {"W watt watts": 1.0, "mW": 1e-3, "kW": 1e3, "MW": 1e6}),
    "temperature": ("a temperature", "20 degC", {"K kelvin": 1.0, "degC °C ℃ celsius": 1.0}),
    "temperature difference": ("a temperature difference", "5 K", {}),
    "voltage": ("a voltage", "12 V", {"V volt volts": 1.0, "mV": 1e-3, "kV": 1e3}),
    "current": ("a current", "2 A", {"A amp amps ampere amperes": 1.0, "mA": 1e-3}),
    "resistance": ("a resistance", "50 ohm", {"ohm ohms Ω Ω": 1.0, "kohm kΩ kΩ": 1e3}),
    "data": ("an amount of data", "5 MB", {
        "B byte bytes": 1.0,
        "kB KB": 1e3,
        "MB": 1e6,
        "GB": 1e9,
        "KiB": 2.0**10,
        "MiB": 2.0**20,
        "GiB": 2.0**30,
    }),
    "data rate": ("a data rate", "10 Mbit/s", {
        "B/s byte/s bytes/s": 1.0,
        "kB/s KB/s": 1e3,
        "MB/s": 1e6,
        "GB/s": 1e9,
        "bit/s bits/s bps": 0.125,
        "kbit/s kbps": 125.0,
        "Mbit/s Mbps": 125e3,
        "Gbit/s Gbps": 125e6,
    }),
    "ratio": ("a ratio", "5 %", {"% percent": 1e-2, "ppm": 1e-6}),
    "level": ("a ratio of powers", "3 dB", {"dB": 1.0}),
    "money": ("an amount of money (a plain number; the currency is a setting of its own)", "", {}),
    "number": ("a number", "", {}),
}  # fmt: skip

UNITS: dict[str, Scale] = {
    name: Scale(dimension, factor, 273.15 if name in {"degC", "°C", "℃", "celsius"} else 0.0, name == "dB")
    for dimension, (_, _, units) in _TABLE.items()
    for names, factor in units.items()
    for name in names.split()
}
"""Every accepted name of a unit, with its dimension and its way to SI."""

SI: dict[str, str] = {
    **{dimension: next(iter(units)).split()[0] for dimension, (_, _, units) in _TABLE.items() if units},
    "temperature difference": "K",
}
for _dimension in ("ratio", "level"):  # their SI unit is 1
    del SI[_dimension]
"""The SI unit of each dimension that has one: `SI["speed"] == "m/s"`."""

LONGEST_NAME = max(map(len, UNITS))


class Quantity(float):
    """An SI value with its dimension; '' for a bare number."""

    __slots__ = ("dimension",)
    dimension: str

    def __new__(cls, value: float, dimension: str = "") -> Quantity:
        """Create a float with a dimension."""
        self = super().__new__(cls, value)
        self.dimension = dimension
        return self

    def __repr__(self) -> str:
        return f"Quantity({float(self)!r}, {self.dimension!r})"

    def __reduce__(self) -> tuple[type[Quantity], tuple[float, str]]:
        return Quantity, (float(self), self.dimension)


def parse(text: str, dimension: str = "") -> Quantity:
    """Return the quantity of a text such as '50 km/h', in SI.

    Args:
        text: one number and at most one unit, the space between them optional; a bare number is SI.
        dimension: the expected dimension, a key of `SI`; '' accepts any.

    Raises:
        UnitError: no number, an unknown unit, another dimension, or a number outside the range of floats.
    """
    found = _QUANTITY.fullmatch(text) if len(text) <= 100 else None
    if found is None or len(found[1]) > _LONGEST:
        raise UnitError(f"{wanted(dimension)} (got {shorten(text)})")
    number, name = float(found[1]), found[2]
    if not name:
        return Quantity(_finite(number, text), dimension)
    scale = UNITS.get(name)
    if scale is None:
        raise unknown_unit(name, dimension)
    if dimension and name not in names_of(dimension):
        hint = "a difference is given in K" if dimension == "temperature difference" and scale.offset else ""
        raise UnitError(f"{wanted(dimension)} (got {shorten(text)})", hint)
    return Quantity(_finite(scale.si(number), text), dimension or scale.dimension)


@cache
def names_of(dimension: str) -> tuple[str, ...]:
    """Return every accepted unit of a dimension; of all of them for ''."""
    if dimension == "temperature difference":
        return tuple(name for name in names_of("temperature") if not UNITS[name].offset)
    return tuple(name for name, scale in UNITS.items() if dimension in ("", scale.dimension))


def pattern(dimension: str) -> str:
    """Return the regular expression (JSON Schema) of texts of a dimension; '' if it has no units."""
    names = sorted(names_of(dimension), key=len, reverse=True)
    units = "|".join(re.sub(r"([*^.])", r"\\\1", name) for name in names)
    return rf"^\s*[-+]?{NUMBER}\s*({units})\s*$" if names else ""


def show(value: float, dimension: str) -> str:
    """Format a value with the SI unit of its dimension: '13.8889 m/s'."""
    return f"{float(value):.6g} {SI.get(dimension, '')}".rstrip()


def called(dimension: str) -> str:
    """Return the name of a dimension for error messages: 'a length'."""
    return wanted(dimension).removeprefix("expected ").partition(" such as")[0]


def wanted(dimension: str) -> str:
    """Return the expectation for a dimension, as the beginning of an error message."""
    name, example, _ = _TABLE.get(dimension, ("a number, with or without a unit,", "50 km/h", {}))
    return f"expected {name} such as {example!r}" if example else f"expected {name}"


def unknown_unit(name: str, dimension: str = "") -> UnitError:
    """Return the error for an unknown unit, with the closest unit of that dimension as a hint."""
    hint = suggest(name, names_of(dimension), 0.3) or f"{wanted(dimension)}".replace("expected", "write")
    return UnitError(f"unknown unit {shorten(name)}", hint)


def _finite(value: float, text: str) -> float:
    if not math.isfinite(value):
        raise UnitError(f"the number is too large (got {shorten(text)})")
    return value


@dataclass(frozen=True, slots=True)
class Unit:
    """The annotation in `Annotated[float, Unit("speed")]`: pydantic accepts quantities of that dimension."""

    dimension: str

    def read(self, value: object) -> float:
        """Return the SI value of a bare number, a quantity of this dimension, or a text with a unit.

        Raises:
            UnitError: anything else.
        """
        if type(value) is float and math.isfinite(value):
            return value  # a bare number: the fast path of sweeps
        if isinstance(value, str):
            if not names_of(self.dimension):
                raise self._refusal(value)
            if _BARE.fullmatch(value[: 2 * _LONGEST]):
                raise self._refusal(value, "a bare number takes no quotes")
            return float(parse(value, self.dimension))
        if isinstance(value, bool) or not isinstance(value, float | int):
            raise self._refusal(value)
        if isinstance(value, float) and math.isnan(value):
            raise self._refusal(value)
        given = value.dimension if isinstance(value, Quantity) else ""
        if given not in ("", "number", self.dimension):
            raise UnitError(f"{wanted(self.dimension)} (got {show(value, given)}, {_TABLE[given][0]})")
        try:
            return _finite(float(value), shorten(value))
        except OverflowError:
            raise UnitError("the number is too large") from None

    def _refusal(self, value: object, hint: str = "") -> UnitError:
        return UnitError(f"{wanted(self.dimension)} (got {shorten(value)})", hint)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import PydanticCustomError, core_schema

        def validate(value: object) -> float:
            try:
                return self.read(value)
            except UnitError as error:
                context = {"message": error.message, "hint": error.hint}
                raise PydanticCustomError("quantity", "{message}", context) from None

        # The float schema inside keeps the bounds of `Field`, so that they are checked on the SI value.
        return core_schema.no_info_before_validator_function(validate, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number = {BOUNDS.get(key, key): value for key, value in handler(schema).items()}
        if self.dimension in SI:
            number["description"] = f"in {SI[self.dimension]}"
        units = pattern(self.dimension)
        return {"anyOf": [number, {"type": "string", "pattern": units}]} if units else number


Length = Annotated[float, Unit("length")]
Speed = Annotated[float, Unit("speed")]
Acceleration = Annotated[float, Unit("acceleration")]
Jerk = Annotated[float, Unit("jerk")]
Time = Annotated[float, Unit("time")]
Angle = Annotated[float, Unit("angle")]
AngularRate = Annotated[float, Unit("angular rate")]
Frequency = Annotated[float, Unit("frequency")]
Mass = Annotated[float, Unit("mass")]
Force = Annotated[float, Unit("force")]
Torque = Annotated[float, Unit("torque")]
Pressure = Annotated[float, Unit("pressure")]
Energy = Annotated[float, Unit("energy")]
Power = Annotated[float, Unit("power")]
Temperature = Annotated[float, Unit("temperature")]
TemperatureDifference = Annotated[float, Unit("temperature difference")]
Voltage = Annotated[float, Unit("voltage")]
Current = Annotated[float, Unit("current")]
Resistance = Annotated[float, Unit("resistance")]
Data = Annotated[float, Unit("data")]
DataRate = Annotated[float, Unit("data rate")]
Ratio = Annotated[float, Unit("ratio")]
Level = Annotated[float, Unit("level")]
Money = Annotated[float, Unit("money")]
Number = Annotated[float, Unit("number")]
