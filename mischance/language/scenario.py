"""A scenario: the typed, frozen form of one YAML file, and the reference of its keys.

Long because every key of a file stands here, with what it means.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from mischance.language.calendar import CalendarText
from mischance.language.link import Link
from mischance.units import Frequency, Number, Ratio, Time

if TYPE_CHECKING:
    from pathlib import Path

    from mischance.api.protocols import Declared
    from mischance.api.tables import AnyArray, IntArray
    from mischance.language.distributions.parsing import Spec
    from mischance.language.expressions.parsing import Expression
    from mischance.language.temporal.requirement import Requirement
    from mischance.language.user_code import UserCode

LANGUAGE = 1
NAME = r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*(:[A-Za-z0-9_]+)?$"
REFERENCE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")  # a reference to a drawn value in a setting
WORD = r"^[A-Za-z_][A-Za-z0-9_]*$"
WORLD = r"^[a-z][a-z0-9_]*$"

MAX_DRAWN = 1000
MAX_FAULTS = 2**20  # numbers of streams of faults
MAX_POINTS = 2**20  # maximum of a plan; further runs repeat it or use further blocks
LAW_MARK = "x-mischance-distribution"
Law = Annotated[Any, WithJsonSchema({LAW_MARK: True})]
Condition = Annotated[str, Field(pattern=r"\S", max_length=400)]  # the limit of expressions
Plugin = Annotated[dict[str, Any], Field(description="`kind` names the plug-in; the other keys are its settings")]


class _Part(BaseModel):
    # The validators of nested models are built together with the whole model only.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class EventEntry(_Part):
    """The rare event: its condition and its signed margin."""

    name: str = Field(pattern=WORD, description="name of the event")
    when: Condition = Field(description="condition over measures and drawn values")
    margin: Condition | None = Field(None, description="signed distance to the event: a measure or an expression")
    level: Condition | None = Field(
        None,
        description="how near the event is over time, the higher the nearer: an expression over signals and drawn"
        " values, for splitting",
    )


class FaultEntry(_Part):
    """A planned fault or event: target, kind, onset, duration, severity and frequency."""

    target: str = Field(description="what is changed: sensors.<name>, agent, or a part of the simulated world")
    kind: str = Field(description="kind of fault, as the target declares it")
    at: Law = Field(0, description="onset [s]")
    lasts: Law | None = Field(None, description="duration [s]; to the end of the run where not given")
    severity: Law | None = Field(None, description="how strong; the kind says in which unit")
    ramp: Law = Field(0, description="time over which the severity grows from zero [s]")
    chance: Law | None = Field(None, description="probability that it happens in a run")
    count: Law | None = Field(None, description="how many times it happens in a run")
    rate: Law | None = Field(None, description="how often it happens [1/s]; the number is Poisson distributed")
    forced: Ratio | None = Field(
        None,
        gt=0,
        le=1,
        description="probability to draw it with instead of `chance`; the run's weight makes up for it",
    )
    number: int | None = Field(
        None,
        ge=0,
        lt=MAX_FAULTS,
        description="number of its stream of random numbers; its place in the list where not given",
    )
    source: str = Field("", description="where the figures come from")


class ExposureEntry(_Part):
    """How often the situation occurs in the real world."""

    rate: Frequency = Field(gt=0, description="situations per time, one number [1/s]")
    source: str = Field("", description="where the figure comes from")


class CorrelateEntry(_Part):
    """Dependence between drawn values."""

    gaussian: list[tuple[str, str, Number]] = Field(
        description="pairs of names with the correlation of their normal scores (a Gaussian copula); 0 where not listed"
    )


class PlanEntry(_Part):
    """Sampling plan of a sweep; Monte Carlo by default."""

    grid: dict[str, list[Any]] | None = Field(None, description="all combinations of these values")
    lhs: int | None = Field(None, gt=0, le=MAX_POINTS, description="Latin hypercube, in blocks of that many runs")
    sobol: int | None = Field(
        None, gt=0, le=MAX_POINTS, description="scrambled Sobol points, in blocks of that many runs; a power of two"
    )


class LinkEntry(_Part):
    """A link between two worlds: an event or a signal of one becomes a fault or a command of another."""

    from_: str = Field(alias="from", description="<world>.<kind of event>, or <world>.<signal>")
    subject: str | None = Field(None, description="whose events count; everybody's where not given")
    above: Law | None = Field(None, description="of a signal: the fault lasts while it is above this")
    below: Law | None = Field(None, description="of a signal: the fault lasts while it is below this")
    clear: Law | None = Field(None, description="where it ends again (hysteresis); at the threshold where not given")
    hold: Time = Field(0, ge=0, description="how long the signal stays beyond the threshold before that counts [s]")
    to: str = Field(description="<world>.<target> of a fault, or <world>.<actor>.<column> of a command")
    kind: str | None = Field(None, description="kind of fault, as the target declares it; a command has none")
    severity: Law | None = Field(None, description="how strong the fault is; the kind says in which unit")
    value: Law | None = Field(None, description="what an event commands")
    map: list[tuple[Law, Law]] | None = Field(
        None, min_length=2, max_length=100,
        description="of a signal that drives a severity or a command: pairs of its value and what that leads to,"
        " linear between them and constant beyond; as it is where not given",
    )  # fmt: skip
    every: Time = Field(0.1, gt=0, description="of a signal that drives: time from one sample to the next [s]")
    after: Time = Field(0.1, ge=0, description="from the event or sample to its effect [s]")
    lasts: Time | None = Field(None, gt=0, description="longest duration of a fault [s]; unlimited where not given")


class SplitEntry(_Part):
    """Division of a dataset into training, validation and test parts."""

    by: Literal["run", "entity", "time"] = Field("run", description="what is kept together")
    train: Ratio = Field(0.8, ge=0, le=1, description="share of the training part")
    val: Ratio = Field(0.1, ge=0, le=1, description="share of the validation part")
    test: Ratio = Field(0.1, ge=0, le=1, description="share of the test part")


class ScenarioModel(_Part):
    """The keys of a scenario file."""

    mischance: Literal[1] = Field(description="version of the language")
    name: str = Field(pattern=NAME, max_length=120, description="domain/name")
    about: str = Field("", description="one sentence for people")
    tags: list[str] = Field([], description="words to find it by")
    extends: str | None = Field(None, description="another scenario whose values are taken over")
    seed: int = Field(0, ge=0, lt=2**63, description="the root of all randomness")
    begins: CalendarText | None = Field(None, description="calendar time of t = 0, as 2026-03-02T06:00:00+01:00")
    duration: Time = Field(gt=0, description="length of a run [s]")
    vary: dict[Annotated[str, Field(pattern=WORD)], Law] = Field(
        {}, max_length=MAX_DRAWN, description="drawn values and their distributions"
    )
    simulator: Plugin | None = Field(None, description="the world")
    worlds: dict[Annotated[str, Field(pattern=WORLD)], Plugin] = Field(
        {}, description="several worlds on one clock, by name; instead of `simulator`"
    )
    links: list[LinkEntry] = Field([], description="what leads from one world to another")
    agent: Plugin | None = Field(None, description="the system under test")
    agents: dict[Annotated[str, Field(pattern=WORLD)], Plugin] = Field(
        {}, description="agents of several worlds, by name; instead of `agent`"
    )
    sensors: dict[Annotated[str, Field(pattern=WORD)], Plugin] = Field({}, description="instruments, by name")
    faults: list[FaultEntry] = Field([], description="what may go wrong")
    require: dict[Annotated[str, Field(pattern=WORD)], Condition | None] = Field(
        {},
        description="what the agent promises; null switches off a requirement that the world has by default"
        " (`mischance show simulator` lists them)",
    )
    event: EventEntry | None = Field(None, description="the rare event; the world's own where not given")
    exposure: ExposureEntry | None = Field(None, description="how often the situation comes up")
    correlate: CorrelateEntry | None = Field(None, description="dependence between drawn values")
    constraints: list[Condition] = Field([], description="conditions that drawn values keep, by rejection")
    variants: dict[Annotated[str, Field(pattern=WORD)], dict[str, Any]] = Field({}, description="named sets of changes")
    plan: PlanEntry | None = Field(None, description="which values a sweep takes")
    measure: list[str] | None = Field(None, description="measures to keep; all where not given")
    split: SplitEntry = Field(
        default_factory=SplitEntry.model_construct, description="training, validation and test parts"
    )
    write: list[str | Plugin] = Field(["parquet"], description="formats to write")


class WorldsSettings(BaseModel):
    """The settings of several worlds on one clock, by the world's name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: dict[str, Any] = Field(description="settings of each world")


@dataclass(frozen=True, slots=True)
class PlugIn:
    """A plug-in of a scenario. `tree` has every default written out and `$name` for drawn values.

    `parts` and `links`: of several worlds on one clock; `parts` also of several agents. `world`: of an agent or a
    sensor, in which of several worlds it stands, '' = nobody says. `code`: where it stands, where that is the user's.
    `renderer`: of a sensor with images or rays; the sensor's own settings have its name alone, and `drawn` of the
    sensor has the drawn values of both.
    """

    room: str
    kind: str
    cls: type[Any]
    declared: Declared
    tree: Mapping[str, Any]
    settings: BaseModel
    drawn: frozenset[str] = frozenset()
    renderer: PlugIn | None = None
    parts: Mapping[str, PlugIn] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    code: UserCode | None = None
    world: str = ""

    def settings_for(self, values: Mapping[str, float | str]) -> BaseModel:
        """Return the settings of one run, with its drawn values.

        Raises:
            RunError: a drawn value is out of the setting's range.
        """
        return self.filler()(values)

    def filler(self) -> Callable[[Mapping[str, float | str]], BaseModel]:
        """Return `settings_for` as a function for many runs: the tree is written as text once, not once a run."""
        if not self.drawn:
            return lambda values: self.settings
        if self.parts:
            fillers = {name: part.filler() for name, part in self.parts.items()}
            return lambda values: WorldsSettings(of={name: fill_part(values) for name, fill_part in fillers.items()})
        from pydantic import ValidationError

        model = self.declared.settings
        pieces = _HOLE.split(json.dumps(fill(self.tree, {name: f"{_MARK}{name}{_MARK}" for name in self.drawn})))

        def filled(values: Mapping[str, float | str]) -> BaseModel:
            text = pieces[:]
            text[1::2] = [json.dumps(fill(f"${name}", values)) for name in pieces[1::2]]
            try:
                return model.model_validate_json("".join(text), strict=True)
            except ValidationError as error:
                from mischance.errors import RunError
                from mischance.language.yaml.document import show_path
                from mischance.language.yaml.findings import problems_of

                found = problems_of(error, fill(self.tree, values), model)[0]
                raise RunError(
                    f"{self.room[:-1]}.{show_path(found.path)}: {found.message}, as drawn",
                    "narrow the distribution in `vary`, or add a line to `constraints`",
                ) from error

        return filled


_MARK = "\x01"  # no text of a scenario holds it: YAML refuses control characters
_HOLE = re.compile(r'"\\u0001(\w+)\\u0001"')  # as JSON writes it


def validate(model: type[BaseModel], tree: object) -> BaseModel:
    """Validate a plain tree strictly: lists become tuples, texts do not become numbers."""
    return model.model_validate_json(json.dumps(tree), strict=True)


def fill(tree: Any, values: Mapping[str, Any]) -> Any:
    """Return the tree with every `$name` replaced by its value."""
    if isinstance(tree, str) and tree.startswith("$") and tree[1:] in values:
        value = values[tree[1:]]
        if isinstance(value, str):
            return value
        number = float(value)
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    if tree is None or isinstance(tree, float | int):
        return tree
    if isinstance(tree, dict | Mapping):  # the test for dict is much faster than for Mapping
        return {key: fill(value, values) for key, value in tree.items()}
    return [fill(value, values) for value in tree] if isinstance(tree, (list, tuple)) else tree


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One entry of `faults`, with its distributions; `number` is that of its stream of random numbers."""

    target: str
    kind: str
    at: Spec
    lasts: Spec | None
    severity: Spec
    ramp: Spec
    chance: Spec | None
    count: Spec | None
    rate: Spec | None
    forced: float | None
    number: int


class RareEvent(NamedTuple):
    """The event of a scenario: its name, its condition, its signed margin, and its level over time."""

    name: str
    when: Expression
    margin: Expression | None
    level: Expression | None = None


class Correlation(NamedTuple):
    """A Gaussian copula of drawn values: lower triangle of the Cholesky factor of their correlation matrix, by rows."""

    names: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A sampling plan of `size` points; further runs repeat them (grid) or use a new block of points.

    `axes`: values of a grid; `kept`: row-major numbers of its points, if some are excluded.
    """

    kind: Literal["grid", "lhs", "sobol"]
    size: int
    axes: Mapping[str, tuple[float | str, ...]] = field(default_factory=dict)
    kept: tuple[int, ...] = ()

    def columns(self, runs: IntArray) -> dict[str, AnyArray]:
        """Return the grid's values for each run, by name; shape (n,). Row-major: the last name varies fastest."""
        import numpy as np

        place = np.asarray(runs, np.int64) % self.size
        rest = np.array(self.kept, np.int64)[place] if self.kept else place
        found: dict[str, AnyArray] = {}
        for name, values in reversed(list(self.axes.items())):
            axis = np.array(values, object if isinstance(values[0], str) else np.float64)
            found[name] = axis[rest % len(values)]
            rest = rest // len(values)
        return found


class Split(NamedTuple):
    """Shares of the parts of a dataset."""

    by: str
    train: float
    val: float
    test: float


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """A checked scenario. `vary` is in order of dependence; `tree` is the resolved file as a plain tree.

    `begins`: calendar time of t = 0 as written ('' = none). `files`: the user's files that it refers to, path inside
    a dataset -> path of the original. `by_default`: the requirements that are the world's own.
    """

    name: str
    about: str
    tags: tuple[str, ...]
    seed: int
    duration: float
    vary: Mapping[str, Spec]
    simulator: PlugIn
    agent: PlugIn | None
    sensors: Mapping[str, PlugIn]
    faults: tuple[PlannedFault, ...]
    event: RareEvent | None
    constraints: tuple[Expression, ...]
    measure: tuple[str, ...] | None
    split: Split
    writers: tuple[PlugIn, ...]
    tree: Mapping[str, Any]
    require: Mapping[str, Requirement] = field(default_factory=dict)
    by_default: frozenset[str] = frozenset()
    correlation: Correlation | None = None
    plan: Plan | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    begins: str = ""
    exposure: ExposureEntry | None = None

    @property
    def promised(self) -> tuple[str, ...]:
        """The requirements that the scenario itself states; without any it asks that its event does not happen."""
        return tuple(name for name in self.require if name not in self.by_default)

    def text(self) -> str:
        """Return the resolved scenario as YAML: every default written out, enough to reproduce all of it."""
        from mischance.language.yaml.document import dump

        return dump(dict(self.tree), header="# The resolved scenario: every default is written out, in SI units.")

    def identity(self) -> str:
        """Return the SHA-256 of the resolved scenario, in hexadecimal."""
        return hashlib.sha256(self.text().encode()).hexdigest()

    def plugins(self) -> Sequence[PlugIn]:
        """Return all plug-ins: worlds, agent, sensors with their renderers, writers."""
        agent = (tuple(self.agent.parts.values()) or (self.agent,)) if self.agent else ()
        worlds = tuple(self.simulator.parts.values()) or (self.simulator,)
        renderers = (each.renderer for each in self.sensors.values() if each.renderer is not None)
        return (*worlds, *agent, *self.sensors.values(), *renderers, *self.writers)


__all__ = [
    "LANGUAGE", "MAX_POINTS", "CorrelateEntry", "Correlation", "EventEntry", "ExposureEntry", "FaultEntry",
    "Frequency", "LinkEntry", "Plan", "PlanEntry", "PlannedFault", "PlugIn", "RareEvent", "Scenario",
    "ScenarioModel", "Split", "SplitEntry", "WorldsSettings", "fill", "validate",
]  # fmt: skip
