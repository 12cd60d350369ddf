"""The five sockets: what a plug-in must be able to do, and who calls it.

A plug-in is a class with a pydantic model of its settings, either as the class
attribute `Settings` or as `Settings` in its module. Its settings are always
exact: where a scenario puts a drawn value (`$gap`) into them, the plug-in is
built anew for each run, unless it is a simulator that holds many runs at once
(`batch` > 1), which reads `draw.settings` of every run instead.

What a class may declare beside its methods (all optional, see `declares`):
`Settings`, `batch`, `piece` (the longest time in one chunk [s], so that a chunk
stays at a few MB), `measures`, `faults`, `commands`, `targets`, `reads`, `rate`,
`signals` (what `require` may speak of; as a schema its units are checked too),
`needs` (modules without which it cannot play);
a simulator also `default_actor` (whom a command means that names nobody), `complete(row)`
(adds to an agent's answer what follows from what it leaves out), `most(settings)` (how many runs
it can hold with those settings, where that is less than `batch`). A command's column with
`null` may be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mischance.api.randomness import Streams
    from mischance.api.runs import Chunk, Commands, Draw, Reading, Record
    from mischance.api.scene import Camera, Frames, Hits, Rays, Scene
    from mischance.api.tables import BoolArray, FloatArray, Schema, Table


@dataclass(frozen=True, slots=True)
class FaultKind:
    """A kind of fault that a simulator or sensor knows: what it does, what its severity means.

    `innocent` marks a hard negative: it looks like the event and is none.
    """

    about: str
    severity: str = "ratio"
    default: float = 1.0
    innocent: bool = False


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
    measure, and `event` bool, `margin`, `verdict` and `reason` text) and the labels of plant, actuators and events.
    """

    Settings: ClassVar[type[BaseModel]]
    batch: ClassVar[int]

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
class Sensor(Protocol):
    """An instrument. `read` is called for the chunk at t = 0 and then for each that follows.

    `batch`, where a class has it, is the most runs that it reads at once: images of many runs fill the memory.
    """

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
    """The system under test. `reads` names the sensors it looks at ('truth' is the world's own tables).

    `act` gets readings since its last turn and returns commands in the columns that the world declares; or a
    sequence with one answer a run: None, one mapping of a row, or several. It is called at t = 0 and then at
    every tick of its `rate` (20 Hz where it declares none). `batch`, where a class has it, is the most runs
    that it takes at once; `trouble()`, where it has it, returns one AgentFailure or None a run at the end; it is
    labelled, and becomes the run's verdict. `finish(readings, t)`, where it has it, gets what came after its last
    turn. `close()` is called where it has it.
    """

    reads: tuple[str, ...]

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
    depend on how runs were dealt out. `finish(dataset: Path)`, where a class has it, is called as a
    static method once every run is in place.
    """

    def write(self, record: Record) -> None:
        """Take one record."""
        ...

    def close(self) -> None:
        """Finish the files of this job."""
        ...


@dataclass(frozen=True, slots=True)
class Declared:
    """What a plug-in's class says about itself, with defaults for what it leaves out."""

    settings: type[BaseModel]
    batch: int = 1
    piece: float = 10.0
    rate: float = 20.0
    measures: Schema = field(default_factory=dict)
    faults: Mapping[str, FaultKind] = field(default_factory=dict)
    commands: Schema = field(default_factory=dict)
    targets: Callable[[Any], Sequence[str]] | None = None
    signals: Callable[[Any], Collection[str]] | None = None
    reads: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    finish: Callable[[Path], None] | None = None


@lru_cache(maxsize=1)
def _no_settings() -> type[BaseModel]:
    from pydantic import BaseModel, ConfigDict

    class Nothing(BaseModel):
        """This plug-in has no settings."""

        model_config = ConfigDict(extra="forbid", frozen=True)

    return Nothing


def declares(plugin: type[Any]) -> Declared:
    """Return what a plug-in's class declares; without a `Settings` model it takes no settings."""
    import sys

    module = sys.modules.get(plugin.__module__)
    settings = getattr(plugin, "Settings", None) or getattr(module, "Settings", None) or _no_settings()
    return Declared(
        settings=settings,
        batch=int(getattr(plugin, "batch", 1)),
        piece=float(getattr(plugin, "piece", 10.0)),
        rate=float(getattr(plugin, "rate", 20.0)),
        measures=getattr(plugin, "measures", {}),
        faults=getattr(plugin, "faults", {}),
        commands=getattr(plugin, "commands", {}),
        targets=getattr(plugin, "targets", None),
        signals=getattr(plugin, "signals", None),
        reads=tuple(getattr(plugin, "reads", ())),
        needs=tuple(getattr(plugin, "needs", ())),
        finish=getattr(plugin, "finish", None),
    )
