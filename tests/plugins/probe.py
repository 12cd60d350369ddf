"""A voltmeter with noise: reads the wandering signal on its own clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mischance.api.labels import label_row, table_of_rows
from mischance.api.protocols import FaultKind, Renderer
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Draw, Reading
from mischance.api.tables import LABELS, Column, Schema, Table

READING: Schema = {"t": Column(unit="s", role="time"), "volt": Column(unit="V")}


class Settings(BaseModel):
    """What a scenario may say about a voltmeter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float = Field(33.3, gt=0, description="readings per second [Hz]")
    noise: float = Field(0.01, ge=0, description="white noise, 1 sigma [V]")


class Probe:
    """Reports the last state of the signal at each of its ticks."""

    batch: ClassVar[int] = 256
    faults: ClassVar[dict[str, FaultKind]] = {"offset": FaultKind("adds to every reading", severity="voltage")}

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self, name: str, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Forget the last runs."""
        self._name, self._draws = name, draws
        self._rng = [stream(name) for stream in streams]
        self._last = np.zeros(len(draws))

    def read(self, chunk: Chunk, renderer: Renderer | None) -> Reading:
        """Return a reading for every tick."""
        t = chunk.ticks(self.settings.rate) / self.settings.rate
        rows = []
        for i, draw in enumerate(self._draws):
            truth = chunk.tables["signal"].run(i)
            own = t[t <= chunk.ends[i]] if not (chunk.ends[i] < chunk.start) else t[:0]
            held = np.concatenate([[self._last[i]], truth["x"]])
            volt = held[np.searchsorted(truth["t"], own, side="right")]
            volt = volt + self.settings.noise * self._rng[i].normal(size=len(own))
            for fault in draw.faults_of(f"sensors.{self._name}"):
                volt = volt + fault.severity_at(own)
            self._last[i] = held[-1]
            rows.append({"t": own, "volt": volt})
        return Reading({"": Table.of(READING, rows)})

    def labels(self) -> Table:
        """Label the offsets."""
        rows = [
            [
                label_row(
                    f"{self._name}:{i}", "fault/sensor/offset", fault.target, cause=fault.onset, end=fault.end,
                    severity=fault.severity, causes=[fault.fault_id], role="fault",
                )
                for i, fault in enumerate(draw.faults_of(f"sensors.{self._name}"))
            ]
            for draw in self._draws
        ]  # fmt: skip
        return table_of_rows(LABELS, rows)
