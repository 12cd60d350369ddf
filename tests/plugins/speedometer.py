"""A speedometer of the ego, as a user would write one: noise, and a gain, a freeze and an offset as faults."""

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

READING: Schema = {"t": Column(unit="s", role="time"), "speed": Column(unit="m/s")}


class Settings(BaseModel):
    """What a scenario may say about a speedometer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    noise: float = Field(0.05, ge=0, description="white noise, 1 sigma [m/s]")


class Speedometer:
    """Reports the ego's speed at each of its rows."""

    batch: ClassVar[int] = 256
    faults: ClassVar[dict[str, FaultKind]] = {
        "gain": FaultKind("the speed is multiplied by 1 + severity", "ratio", 0.15),
        "freeze": FaultKind("the last speed is reported again and again", "", 1.0),
    }

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self, name: str, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Forget the last runs."""
        self._name, self._draws = name, draws
        self._rng = [stream(name) for stream in streams]
        self._last = [0.0] * len(draws)

    def read(self, chunk: Chunk, renderer: Renderer | None) -> Reading:
        """Return a reading for every row of the ego."""
        table = chunk.tables["actors"]
        ego = table.schema["actor"].names.index("ego")
        rows = []
        for i, draw in enumerate(self._draws):
            truth = table.run(i)
            own = truth["actor"] == ego
            t, speed = truth["t"][own], truth["speed"][own].copy()
            speed += self.settings.noise * self._rng[i].normal(size=len(t))
            for fault in draw.faults_of(f"sensors.{self._name}"):
                if fault.kind == "gain":
                    speed *= 1.0 + fault.severity_at(t)
                for k in np.flatnonzero((t >= fault.onset) & (t < fault.end)) if fault.kind == "freeze" else ():
                    speed[k] = speed[k - 1] if k else self._last[i]
            if len(t):
                self._last[i] = float(speed[-1])
            rows.append({"t": t, "speed": speed})
        return Reading({"": Table.of(READING, rows)})

    def labels(self) -> Table:
        """Label the faults."""
        rows = [
            [
                label_row(
                    f"{self._name}:{i}", f"fault/sensor/{fault.kind}", fault.target, cause=fault.onset, end=fault.end,
                    severity=fault.severity, causes=[fault.fault_id], role="fault",
                )
                for i, fault in enumerate(draw.faults_of(f"sensors.{self._name}"))
            ]
            for draw in self._draws
        ]  # fmt: skip
        return table_of_rows(LABELS, rows)
