"""A controller that reads the voltmeter and pushes the signal back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from mischance.api.randomness import Streams
from mischance.api.runs import Commands, Draw, Reading
from mischance.api.tables import BoolArray, Column, Table


class Damper:
    """Pushes against the last reading."""

    reads: ClassVar[tuple[str, ...]] = ("meter",)
    rate: ClassVar[float] = 30.0
    batch: ClassVar[int] = 256

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Forget the last runs."""
        self._last = np.zeros(len(draws))

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> Commands:
        """Push back in proportion to the last reading."""
        table = readings["meter"].tables[""]
        rows = []
        for i, alive in enumerate(live):
            volt = table.run(i)["volt"]
            if len(volt):
                self._last[i] = volt[-1]
            rows.append({"push": [-2.0 * self._last[i]]} if alive else {})
        return Commands(Table.of({"push": Column(unit="V/s")}, rows), live)
