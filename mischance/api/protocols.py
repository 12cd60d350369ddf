"""The protocols: what a plug-in must be able to do, who calls it, and what its class may declare.

A plug-in is a class with a pydantic model of its settings, either as the class
attribute `Settings` or as `Settings` in its module. Its settings are always
exact: where a scenario puts a drawn value (`$gap`) into them, the plug-in is
built anew for each run, unless it is a simulator that holds many runs at once
(`batch` > 1), which reads `draw.settings` of every run instead.

Everything that a class may declare beside its methods stands in `Declared`, and
`declares` is the only place that looks for it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mischance.api.randomness import Streams
    from mischance.api.requirements import DefaultRequirement
    from mischance.api.runs import Chunk, Commands, Draw, Fault, Reading, Record
    from mischance.api.scene import Camera, Frames, Hits, Rays, Scene
    from mischance.api.tables import BoolArray, FloatArray, Schema, Table


# How a fault of severity s, of which the share p is active, changes a parameter of healthy value v.
EFFECTS: Mapping[str, Callable[[float, float, float], float]] = {
    "adds": lambda v, s, p: v + s * p,
    "scales": lambda v, s, p: v * max(1.0 - s * p, 0.0),
    "sets": lambda v, s, p: v + (s - v) * p,
    "raises": lambda v, s, p: max(v, s * p),
    "chance": lambda v, s, p: 1.0 - (1.0 - v) * (1.0 - s * p),  # of two independent causes, either
    "switches": lambda v, s, p: 1.0 if s * p >= 0.5 else v,  # 0 or 1
}


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault that a simulator or sensor knows: what it does, what its severity means.

    `innocent` marks a hard negative: it looks like the event and is none. `effect` says how the severity changes the
    value of its parameter, one of `EFFECTS`; '' = not said. A simulator whose kinds say it is `ReadableFaults`. Faults
    of one kind that overlap on a target act in order of onset, each on what those before it left.
    """

    about: str
    severity: str = "ratio"
    default: float = 1.0
    innocent: bool = False
    effect: str = ""

    def changed(self, value: float, severity: float, share: float = 1.0) -> float:
        """Return the parameter's value under a fault of that severity, where it is `value` without.

        `share`: of the severity that is active, 0-1, as `active_share` gives it.
        """
        return EFFECTS[self.effect](value, severity, share)


class Trigger(NamedTuple):
    """What is to begin in a run: where the settings ask for it, what sets it off, and the event that tells of it."""

    path: str
    when: str
    event: str
    subject: str


# What may go wrong between any agent and any world: the kinds of fault of the target `agent`.
AGENT_FAULTS: Mapping[str, FaultKind] = {
    "latency": FaultKind("commands reach the world later by the severity, in their order", "s", 0.2),
    "message_loss": FaultKind("each command is lost with this probability; the last that arrived holds", "ratio", 1.0),
    "observation_latency": FaultKind("readings reach the agent later by the severity, in their order", "s", 0.2),
    "clock_skew": FaultKind("the agent's clock is ahead of true time by the severity; negative = behind", "s", 0.2),
    "timeout": FaultKind("the agent hangs: it reads nothing and commands nothing; the last command holds", "", 1.0),
}


@dataclass(frozen=True, slots=True)
class AgentFailure:
    """The failure that stopped an agent: time [s], kind (ended, timeout or nonsense), and the reason as text."""

    t: float
    kind: str
    reason: str


@runtime_checkable
class Simulator(Protocol):
    """A world. `play` calls start once a batch, advance for every piece of time, outcome once at the end.

    An instance is reused: `start` forgets everything. `outcome` returns one row a run (every declared
    measure, and `event` bool, `margin`, `verdict` and `reason` text; `undecided` bool where the world may cut
    a run short before its fate is known) and the labels of plant, actuators and events.
    """

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Return truth AT t = 0."""
        ...

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Return truth in (last end, end], where end is the last own step <= until."""
        ...

    def outcome(self) -> tuple[Table, Table]:
        """Return one row of measures a run, and the labels."""
        ...

    def close(self) -> None:
        """Give back what the world holds."""
        ...


@runtime_checkable
class ReadableFaults(Protocol):
    """A simulator whose parameters can be read while it plays; every one that knows faults is this too.

    The contract tests compare the value during a fault with `FaultKind.changed`, and after it with the healthy one.
    """

    def in_force(self, run: int, target: str, kind: str) -> float:
        """Return the value of the parameter that faults of this kind change on this target, in SI units.

        It is read from the engine, or from where the model takes it, at the end of what was told last: the value of
        the last step, or of an action that began now. `run` is the run's place in the batch.
        """
        ...


@runtime_checkable
class Sensor(Protocol):
    """An instrument. `read` is called for the chunk at t = 0 and then for each that follows."""

    def start(self, name: str, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Forget the last runs; take the streams called after the sensor."""
        ...

    def read(self, chunk: Chunk, renderer: Renderer | None) -> Reading:
        """Return every sample of the sensor's own clock in (chunk.start, chunk.end], for all runs."""
        ...

    def labels(self) -> Table:
        """Return the labels of the sensor's own faults, once, at the end."""
        ...


@runtime_checkable
class Renderer(Protocol):
    """Draws a scene for a camera. `t` (n,), `pose` (n, bodies, 7); all passes from one visibility solution."""

    def draw(self, scene: Scene, t: FloatArray, pose: FloatArray, camera: Camera) -> Frames:
        """Return the frames, one for each time."""
        ...

    def cast(self, scene: Scene, t: FloatArray, pose: FloatArray, rays: Rays) -> Hits:
        """Return what each ray meets first. A renderer without it serves cameras alone."""
        ...

    def close(self) -> None:
        """Give back what the renderer holds."""
        ...


@runtime_checkable
class Agent(Protocol):
    """The system under test.

    `act` gets readings since its last turn and returns commands in the columns that the world declares; or a
    sequence with one answer a run: None, one mapping of a row, or several. It is called at t = 0 and then at
    every tick of its `rate`.
    """

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Forget the last runs."""
        ...

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> Commands | Sequence[Any]:
        """Return what every live run shall do from t on."""
        ...


@runtime_checkable
class Writer(Protocol):
    """Turns records into files. Built as `Writer(settings, folder)`; the folder is the part of one job.

    Names of files must come from the run and the sample, never from the job, so that the dataset does not
    depend on how runs were dealt out. Tables and signals are the dataset's own to write: see `Declared.keeps`.
    """

    def write(self, record: Record) -> None:
        """Take one record."""
        ...

    def close(self) -> None:
        """Finish the files of this job."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a plug-in's class says about itself: class attributes and functions of these names, each with its default.

    Where a field may be a function of the settings, the class has it as a static method; `reads_with` and its like
    give the value. `ROOMS_OF` says which kinds of plug-in each field is for. A row of an agent's answer is a mapping.
    """

    settings: type[BaseModel]
    """The model of its settings: `Settings` in the class or in its module; without one it takes no settings."""

    needs: tuple[str, ...] = ()
    """Modules without which it cannot play; what is missing is said before anything begins."""

    close: Callable[[Any], None] | None = None
    """Method that gives back what an instance holds; called once when it is no longer needed."""

    batch: int | None = None
    """Most runs at once; where nothing is declared, a simulator takes one, a sensor and an agent any number."""

    max_batch: Callable[[Any], int] | None = None
    """Function of the settings: how many runs a simulator can hold with them, where that is less than `batch`."""

    batch_key: Callable[[Any], Hashable] | None = None
    """Function of a run's settings: runs whose keys differ cannot share a batch of a simulator."""

    max_chunk_seconds: float = 10.0
    """Longest time in one chunk of a simulator [s], so that a chunk stays at a few MB."""

    measures: Schema = field(default_factory=dict)
    """Columns of a simulator's outcome beside event, margin, verdict and reason."""

    faults: Mapping[str, FaultKind] = field(default_factory=dict)
    """Kinds of fault that a simulator or sensor knows."""

    events: tuple[str, ...] = ()
    """Kinds of event that a simulator tells; () = not said. A link from another world can begin with these alone."""

    triggers: Callable[[Any], Sequence[Trigger]] | None = None
    """Function of the settings: what is to begin in a run of a simulator; each is told by one event."""

    inject: Callable[[Any, int, Fault], None] | None = None
    """Method `inject(run, fault)` of a simulator: plans one later than all it has told; its id is that of its cause.
    One that begins like one before (`Fault.begins_like`) gives that an earlier end, later than all it has told."""

    targets: Callable[[Any], Sequence[str]] | None = None
    """Function of the settings: what a fault of a simulator can be aimed at."""

    signals: Callable[[Any], Collection[str]] | None = None
    """Function of the settings: what `require` may speak of; as a schema its units are checked too."""

    requirements: Mapping[str, DefaultRequirement] = field(default_factory=dict)
    """What a simulator requires of every system under test; a scenario replaces one by name, or switches it off."""

    commands: Schema = field(default_factory=dict)
    """Columns of the commands that a simulator takes; a column with `null` may be left out."""

    complete: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict
    """Function of a row of an agent's answer: adds what follows from what the row leaves out."""

    default_actor: str | Callable[[Any], str] = ""
    """Actor that a command means which names none, and whose view is shown; or a function of the settings."""

    entity: str = ""
    """Column of truth tables by which `split: {by: entity}` divides a dataset; '' = by no entity."""

    reference_agents: tuple[str, ...] = ()
    """Agents that `mischance test` plays failed runs of this simulator again with."""

    randomness: tuple[str, ...] | None = None
    """Components of the random streams that a branch changes, `*` for any text; () = deterministic, None = not said."""

    images: bool = False
    """Whether a sensor reports images, which a dataset keeps whatever formats it is written in."""

    renderer: str = ""
    """Key of the settings that names the renderer which a sensor draws with; '' = it needs none."""

    reads: tuple[str, ...] | Callable[[Any], Sequence[str]] = ("truth",)
    """Sensors that an agent looks at ('truth' is the world's own tables), or a function of the settings."""

    rate: float | Callable[[Any], float] = 20.0
    """Turns of an agent per second of simulated time [Hz], or a function of the settings."""

    check: Callable[[Any], None] | None = None
    """Function of the settings: raises a MischanceError where an agent could not be started with them."""

    files: Callable[[Any], Sequence[Path]] | None = None
    """Function of the settings: files of the user's that a plug-in needs beside its code; a dataset keeps them."""

    finish: Callable[[Any, Mapping[str, Reading], float], None] | None = None
    """Method `finish(readings, t)` of an agent: takes what came after its last turn."""

    failures: Callable[[Any], Sequence[AgentFailure | None]] | None = None
    """Method of an agent: for each run None or what stopped it from answering; becomes verdict and label."""

    keeps: Callable[[Any, str], bool] | None = None
    """Method `keeps(path)` of a writer: whether the dataset stores the table or the signals of that path."""

    merge: Callable[[Path], None] | None = None
    """Static method of a writer: merges the files of all jobs, once every run is in the dataset."""

    def reads_with(self, settings: Any) -> tuple[str, ...]:
        """Return the sensors that an agent with those settings looks at."""
        return tuple(self.reads(settings) if callable(self.reads) else self.reads)

    def rate_with(self, settings: Any) -> float:
        """Return the turns per second of an agent with those settings [Hz]."""
        return float(self.rate(settings) if callable(self.rate) else self.rate)

    def default_actor_with(self, settings: Any) -> str:
        """Return the default actor of a simulator with those settings; '' = it has none."""
        return self.default_actor(settings) if callable(self.default_actor) else self.default_actor

    def batch_with(self, settings: Any, default: int) -> int:
        """Return the most runs at once with those settings, at least 1; `default` where no `batch` is declared."""
        batch = default if self.batch is None else int(self.batch)
        return max(batch if self.max_batch is None else min(batch, int(self.max_batch(settings))), 1)


MANY = 2**31  # runs: any number

# The kinds of plug-in that each field of `Declared` is for; all of them where it does not stand here.
ROOMS_OF: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "max_batch", "batch_key", "max_chunk_seconds", "measures", "events", "triggers", "inject", "targets",
            "signals", "requirements", "commands", "complete", "default_actor", "entity", "reference_agents",
            "randomness",
        ),
        ("simulators",),
    ),
    **dict.fromkeys(("reads", "rate", "check", "finish", "failures", "files"), ("agents",)),
    "batch": ("simulators", "sensors", "agents"),
    "faults": ("simulators", "sensors"),
    "images": ("sensors",),
    "renderer": ("sensors",),
    **dict.fromkeys(("keeps", "merge"), ("writers",)),
}  # fmt: skip


@lru_cache(maxsize=1)
def _no_settings() -> type[BaseModel]:
    from pydantic import BaseModel, ConfigDict

    class Nothing(BaseModel):
        """This plug-in has no settings."""

        model_config = ConfigDict(extra="forbid", frozen=True)

    return Nothing


def declares(plugin: Any) -> Declared:
    """Return what a plug-in's class declares; a plain function that is an agent declares by its attributes."""
    import sys

    module = sys.modules.get(plugin.__module__)
    settings = getattr(plugin, "Settings", None) or getattr(module, "Settings", None) or _no_settings()
    names = (each.name for each in fields(Declared) if each.name != "settings")
    given = {name: getattr(plugin, name) for name in names if hasattr(plugin, name)}
    return Declared(settings=settings, **given)


def shadowed(instance: Any) -> str:
    """Return the first declaration that an instance sets for itself, where nobody looks for it; '' = none."""
    own = instance.__dict__ if hasattr(instance, "__dict__") else {}
    return next((each.name for each in fields(Declared) if each.name in own and each.name != "settings"), "")


def misspelt(plugin: Any, known: Collection[str] = ()) -> str:
    """Return the first public attribute that is nearly the name of a declaration, with that name; '' = none.

    Args:
        plugin: the class, or a plain function that is an agent.
        known: the methods of its protocol.
    """
    names = ["Settings", *(each.name for each in fields(Declared) if each.name != "settings")]
    own = vars(plugin) if not isinstance(plugin, type) else set(dir(plugin)) - set(dir(object))
    for name in sorted(own):
        if name[0] != "_" and name not in (*names, *known, "settings"):
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
            if near:
                return f"{name!r}; did you mean {near[0]!r}?"
    return ""
