"""What an animation shows of a run: plain data, SI units, one clock for all."""

from __future__ import annotations

from dataclasses import dataclass, field

from mischance.api.tables import FloatArray
from mischance.reports.replay.outlines import Part


@dataclass(frozen=True, slots=True)
class Body:
    """One body on the clock of the view; arrays (n,), NaN where it is not there.

    `parts` is what it looks like from above, in its own frame; `speed` is negative where it goes backwards. `role` is
    its colour: subject, partner (whose curves stand beside the subject's), other or scenery. `named`: its name is
    written beside it.
    """

    name: str
    kind: str
    role: str
    length: float
    width: float
    round: bool
    parts: tuple[Part, ...]
    x: FloatArray
    y: FloatArray
    yaw: FloatArray
    speed: FloatArray
    acceleration: FloatArray
    named: bool = True


@dataclass(frozen=True, slots=True)
class Contact:
    """Where and when two bodies met, and what they did to each other; empty or NaN where it is not stored.

    `normal` points from the first to the second of `bodies`; `impulse` is what the second received [N s].
    """

    t: float
    x: float
    y: float
    bodies: tuple[str, ...]
    normal: tuple[float, float] | None = None
    impulse: tuple[float, float] | None = None
    words: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class PlannedPath:
    """Where a body means to go from `start` until `end` [s]: points (n, 2) [m], in the direction of travel."""

    body: str
    start: float
    end: float
    points: FloatArray


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in the list of moments: of an event, or one that a label gives.

    `kind`: event, contact, fault or label. `cause`: place in the list of its cause; -1 where there is none.
    """

    t: float
    kind: str
    title: str
    words: str
    end: float = float("nan")
    cause: int = -1


@dataclass(frozen=True, slots=True)
class GroundLine:
    """A line on the ground, or the outline of a surface; points (n, 2) [m].

    `kind` is one of `mischance.api.appearance.LINE_KINDS`. An outline goes along its right border and back along the
    left one. `friction` is that of a patch, NaN elsewhere. `width`: of the line [m].
    """

    kind: str
    points: FloatArray
    friction: float = float("nan")
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class Link:
    """A body that hangs on another one by a joint: drawn as a line between the two, this wide [m]."""

    bodies: tuple[str, str]
    width: float


@dataclass(frozen=True, slots=True)
class Series:
    """One chart: values over the clock of the view, and levels to compare with."""

    name: str
    unit: str
    lines: tuple[tuple[str, str, FloatArray], ...]  # (whose, role, values)
    limits: tuple[tuple[float, str], ...]
    low: float
    high: float
    about: str = ""


@dataclass(frozen=True, slots=True)
class RunView:
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
    moments: tuple[Moment, ...]
    ground: tuple[GroundLine, ...]
    paths: tuple[PlannedPath, ...]
    links: tuple[Link, ...]
    series: tuple[Series, ...]
    notes: tuple[str, ...]
    causes: tuple[str, ...] = ()
