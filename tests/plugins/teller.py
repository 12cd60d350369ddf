"""An agent that says the number of its turn, and keeps what it saw: the world then shows when a command arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mischance.api.randomness import Streams
from mischance.api.runs import Commands, Draw, Reading
from mischance.api.tables import BoolArray, Column, Table


class Teller:
    """Pushes as hard as its turn is late: 0, 1, 2 …; `diary` has (clock, live, times of readings) for every turn."""

    reads: ClassVar[tuple[str, ...]] = ("truth", "meter")
    rate: ClassVar[float] = 20.0
    batch: ClassVar[int] = 256  # the diary is one for all runs
    diary: ClassVar[list[tuple[float, Any, list[Any]]]] = []

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Begin to count."""
        self._turn = 0.0

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> Commands:
        """Say the turn's number, also for runs that are not live: nobody must hear that."""
        table = readings["meter"].tables[""]
        assert all(len(part.run(0)["t"]) >= 0 for part in readings["truth"].tables.values())
        self.diary.append((t, live.copy(), [table.run(i)["t"].copy() for i in range(len(live))]))
        rows = [{"push": [self._turn]} for _ in live]
        self._turn += 1.0
        return Commands(Table.of({"push": Column(unit="V/s")}, rows), np.asarray(live))
