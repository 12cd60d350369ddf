"""The parts of a run's story as an animation shows it: plain data, SI units, one clock for all."""

from __future__ import annotations

from dataclasses import dataclass

from mischance.truth import FloatArray


@dataclass(frozen=True, slots=True)
class Body:
    """One body on the story's clock; arrays (n,), NaN where it is not there."""

    name: str
    kind: str
    role: str
    length: float
    width: float
    disc: bool
    x: FloatArray
    y: FloatArray
    yaw: FloatArray
    speed: FloatArray
    acceleration: FloatArray


@dataclass(frozen=True, slots=True)
class Contact:
    """Where and when two bodies met."""

    t: float
    x: float
    y: float
    who: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of the list: an event, or a time that a label gives. `kind`: event, contact, fault or label."""

    t: float
    kind: str
    title: str
    words: str
    end: float = float("nan")


@dataclass(frozen=True, slots=True)
class Line:
    """A line on the ground, or the outline of an area, patch or obstacle; points (n, 2) [m]."""

    kind: str
    points: FloatArray


@dataclass(frozen=True, slots=True)
class Series:
    """One row of the strip: values over the story's clock, and levels to compare with."""

    name: str
    unit: str
    lines: tuple[tuple[str, str, FloatArray], ...]  # (whose, role, values)
    limits: tuple[tuple[float, str], ...]
    low: float
    high: float
    about: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that is drawn of one run."""

    name: str
    about: str
    seed: int
    run: int
    event: str
    happened: bool
    verdict: str
    reason: str
    drawn: tuple[tuple[str, str], ...]
    measures: tuple[tuple[str, str], ...]
    t: FloatArray
    bodies: tuple[Body, ...]
    contacts: tuple[Contact, ...]
    marks: tuple[Mark, ...]
    road: tuple[Line, ...]
    series: tuple[Series, ...]
    notes: tuple[str, ...]
