"""A robot arm that picks and places next to a person: joint faults, gripper slip, late stops, contact forces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from mischance.api.requirements import DefaultRequirement
from mischance.api.tables import Column, Table
from mischance.errors import RunError

from .faults import KINDS, OF
from .measures import MEASURES
from .settings import Settings as ArmSettings
from .tables import CELL_ROWS, CONTACT_ROWS, JOINT_ROWS, TOUCHED, WRENCH_ROWS

if TYPE_CHECKING:
    from mischance.api.protocols import FaultKind
    from mischance.api.randomness import Streams
    from mischance.api.runs import Chunk, Commands, Draw
    from mischance.api.tables import Schema

    from .run import Run


class Arm:
    """A six-axis arm at a table with gripper, box and bin; optionally a post, and a person who reaches in.

    PyBullet simulates it at 960 Hz, built anew for every run; a controller at 240 Hz runs a program by computed
    torque; a monitor stops it by force, following error or separation. The person's hand and forearm are free bodies
    of effective mass with elastic contacts, held on their path by a bounded force; the upper arm is only drawn.
    Forces are reported, injuries are not modelled. This world uses no random numbers.
    """

    Settings: ClassVar[type[ArmSettings]] = ArmSettings
    batch: ClassVar[int] = 1
    max_chunk_seconds: ClassVar[float] = 2.0
    needs: ClassVar[tuple[str, ...]] = ("pybullet",)
    randomness: ClassVar[tuple[str, ...]] = ()
    measures: ClassVar[Schema] = MEASURES
    requirements: ClassVar[Mapping[str, DefaultRequirement]] = {
        "task_done": DefaultRequirement(
            "object.placed > 0", "the arm lets the box go within 0.05 m of the bin's middle"
        )
    }
    commands: ClassVar[Schema] = {
        "speed": Column(about="part of the program's speed that is allowed, 0-1; held until the next command")
    }
    faults: ClassVar[Mapping[str, FaultKind]] = KINDS

    @staticmethod
    def targets(settings: ArmSettings) -> Sequence[str]:
        """Return the targets of faults."""
        return tuple(OF)

    @staticmethod
    def signals(settings: ArmSettings) -> Schema:
        """Return the signals for requirements and links, with units: of the cell, the joints and the flange."""
        own = {**JOINT_ROWS, **WRENCH_ROWS, **CELL_ROWS}
        touched = {f"{who}.{name}": column for who in TOUCHED for name, column in CONTACT_ROWS.items()}
        found = {**own, **touched}
        words = ("category", "text")
        return {name: c for name, c in found.items() if c.role != "time" and c.dtype not in words}

    def __init__(self, settings: ArmSettings) -> None:
        self.settings = settings
        self._client: int | None = None
        self._run: Run | None = None

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Return truth at t = 0.

        Raises:
            RunError: PyBullet is missing, a position is out of reach, or a fault does not fit its target.
        """
        from mischance.api.engines import engine

        from .building import borrow
        from .run import Run

        if len(draws) != 1:
            raise RunError(f"the world 'arm' plays one run at a time (got {len(draws)})")
        bullet = engine()
        if self._client is None:
            bullet, self._client = borrow()
        self._run = Run(bullet, self._client, self.settings, draws[0])
        return self._run.chunk()

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Return truth in (last end, end]; without a command, the last one holds.

        Raises:
            RunError: PyBullet's numbers diverged.
        """
        assert self._run is not None
        speeds = commands.table.run(0)["speed"] if commands is not None and commands.live[0] else ()
        return self._run.advance(until, speeds)

    def outcome(self) -> tuple[Table, Table]:
        """Return the run's measures with verdict and reason, and the labels of plant, contacts and drops."""
        assert self._run is not None
        return self._run.outcome()

    def in_force(self, run: int, target: str, kind: str) -> float:
        """Return the value of the parameter that faults of a kind change on a target, see `Run.in_force`."""
        assert self._run is not None
        return self._run.in_force(target, kind)

    def close(self) -> None:
        """Return the client of PyBullet to the pool."""
        self._run = None
        if self._client is not None:
            from .building import give_back

            give_back(self._client)
            self._client = None
