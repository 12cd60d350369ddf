"""The parts of a run's story as an animation shows it: plain data, SI units, one clock for all."""

from __future__ import annotations

from dataclasses import dataclass, field

from mischance.api.tables import FloatArray
from mischance.reports.replay.outlines import Part


@dataclass(frozen=True, slots=True)
class Body:
    """One body on the story's clock; arrays (n,), NaN where it is not there.

    `parts` is what it looks like from above, in its own frame; `speed` is negative where it goes backwards.
    """

    name: str
    kind: str
    role: str
    length: float
    width: float
    disc: bool
    parts: tuple[Part, ...]
    x: FloatArray
    y: FloatArray
    yaw: FloatArray
    speed: FloatArray
    acceleration: FloatArray


@dataclass(frozen=True, slots=True)
class Contact:
    """Where and when two bodies met, and what they did to each other; empty or NaN where nobody wrote it down.

    `normal` points from the first to the second of `who`; `impulse` is what the second received [N s].
    """

    t: float
    x: float
    y: float
    who: tuple[str, ...]
    normal: tuple[float, float] | None = None
    impulse: tuple[float, float] | None = None
    words: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Way:
    """Where a body means to go from a time until another: points (n, 2) [m], in the direction of travel."""

    who: str
    start: float
    end: float
    points: FloatArray


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of the list: an event, or a time that a label gives. `kind`: event, contact, fault or label.

    `cause` is the place in the list of what brought it about; -1 where nothing is said.
    """

    t: float
    kind: str
    title: str
    words: str
    end: float = float("nan")
    cause: int = -1


@dataclass(frozen=True, slots=True)
class Line:
    """A line on the ground, or the outline of an area, patch or obstacle; points (n, 2) [m].

    `friction` is that of a patch, NaN elsewhere.
    """

    kind: str
    points: FloatArray
    friction: float = float("nan")


@dataclass(frozen=True, slots=True)
class Chain:
    """Bodies that hang together, as the links of an arm do: drawn as one line through them, this wide [m]."""

    who: tuple[str, ...]
    width: float


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
    ways: tuple[Way, ...]
    chains: tuple[Chain, ...]
    series: tuple[Series, ...]
    notes: tuple[str, ...]
