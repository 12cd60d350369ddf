"""A warehouse: AGVs carry orders along aisles and reserve crossings, people cross, scanners stop for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mischance.api.appearance import LANE_ROWS, LANES
from mischance.api.labels import table_of_rows
from mischance.api.requirements import DefaultRequirement
from mischance.api.runs import Chunk
from mischance.api.tables import EVENTS, LABELS, Table

from .faults import KINDS, targets
from .outline import lanes_table
from .settings import Settings as WarehouseSettings
from .tables import MEASURES, OUTCOME, TABLES

if TYPE_CHECKING:
    from mischance.api.protocols import FaultKind
    from mischance.api.randomness import Streams
    from mischance.api.runs import Commands, Draw, Fault
    from mischance.api.tables import Schema

    from .run import Run


class Warehouse:
    """Orders arrive at random or as planned; the nearest free AGV carries each from bay to bay.

    AGVs are discs with trapezoidal speed profiles on a grid of aisles; a trip reserves all of its crossings at once.
    People cross aisles on foot. A person in the protective field triggers an emergency stop, which begins after
    reaction and latency and decelerates as brake and friction allow. Motion is in closed form, so that contact times
    and separations do not depend on a time step. The first contact ends the run; its consequences are not modelled,
    injuries neither. An AGV in a bay cannot be touched; a person walks round an AGV that stands.
    """

    Settings: ClassVar[type[WarehouseSettings]] = WarehouseSettings
    batch: ClassVar[int] = 8
    max_chunk_seconds: ClassVar[float] = 600.0
    randomness: ClassVar[tuple[str, ...]] = ("order", "orders", "people", "person", "reservation")
    measures: ClassVar[Schema] = MEASURES
    requirements: ClassVar[Mapping[str, DefaultRequirement]] = {
        "orders_get_done": DefaultRequirement(
            "orders_done >= orders_arrived",
            "every planned order is delivered; one that comes by chance may come too late for that",
            lambda settings: settings.orders.rate == 0.0 and bool(settings.orders.planned),
        ),
        "orders_in_time": DefaultRequirement(
            "not lateness > 1", "no order takes longer than it is due", lambda settings: settings.orders.due is not None
        ),
    }
    events: ClassVar[tuple[str, ...]] = (
        "order", "trip", "reservation_lost", "step_out", "stop", "halted", "resumed", "load_dropped", "delivered",
        "late", "contact",
    )  # fmt: skip
    faults: ClassVar[Mapping[str, FaultKind]] = KINDS

    def __init__(self, settings: WarehouseSettings | None = None) -> None:
        self.settings = settings or WarehouseSettings()
        self._runs: list[Run] = []
        self._end = 0.0

    @staticmethod
    def targets(settings: WarehouseSettings) -> Sequence[str]:
        """Return the targets of faults."""
        return targets(settings.fleet.count)

    @staticmethod
    def signals(settings: WarehouseSettings) -> Schema:
        """Return the signals for requirements and links, with units: place, heading and speed of every AGV."""
        names = ("x", "y", "yaw", "speed", "away", "load")
        return {f"agv{k + 1}.{name}": TABLES["actors"][name] for k in range(settings.fleet.count) for name in names}

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Return the rows of all actors at t = 0.

        Raises:
            RunError: a fault does not fit its target.
        """
        from .run import Run

        self._runs = [
            Run(draw.settings or self.settings, draw, stream) for draw, stream in zip(draws, streams, strict=True)
        ]
        self._end = 0.0
        lanes = lanes_table([draw.settings or self.settings for draw in draws])
        return self._chunk(0.0, [run.advance(0.0) for run in self._runs], lanes)

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Return rows and events in (last end, until]; this world takes no commands."""
        start, self._end = self._end, until
        return self._chunk(start, [run.advance(until) for run in self._runs], Table.empty(LANE_ROWS, len(self._runs)))

    def inject(self, run: int, fault: Fault) -> None:
        """Take one more fault of a run, whose onset is later than the present time, or an earlier end of one.

        Raises:
            RunError: it does not fit its target.
        """
        self._runs[run].inject(fault)

    def in_force(self, run: int, target: str, kind: str) -> float:
        """Return what an action that begins now takes for the parameter that faults of a kind change on a target."""
        return self._runs[run].in_force(target, kind)

    def outcome(self) -> tuple[Table, Table]:
        """Return the measures and verdict of every run, and the labels of faults and contacts."""
        rows = [{name: [value] for name, value in run.outcome().items()} for run in self._runs]
        return Table.of(OUTCOME, rows), table_of_rows(LABELS, [run.labels() for run in self._runs])

    def close(self) -> None:
        """Forget the runs."""
        self._runs = []

    def _chunk(
        self, start: float, told: Sequence[tuple[dict[str, Any], dict[str, dict[str, Any]]]], lanes: Table
    ) -> Chunk:
        rows = {name: Table.of(schema, [tables[name] for _, tables in told]) for name, schema in TABLES.items()}
        return Chunk(
            start=start,
            end=self._end,
            ends=np.array([run.end for run in self._runs]),
            over=np.array([run.over for run in self._runs]),
            events=Table.of(EVENTS, [events for events, _ in told]),
            tables={**rows, LANES: lanes},
        )
