"""A signal that wanders: many runs at once, in columns. The world that the contract tests turn inside out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mischance.api.labels import label_row, table_of_rows
from mischance.api.protocols import FaultKind
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw
from mischance.api.tables import EVENTS, LABELS, Column, FloatArray, Schema, Table

RATE = 100.0
BLOCK = 64

SIGNAL: Schema = {"t": Column(unit="s", role="time"), "x": Column(unit="V"), "wave": Column(unit="V")}
OUTCOME: Schema = {
    "peak": Column(unit="V"),
    "lived": Column(unit="s"),
    "event": Column("bool"),
    "margin": Column(unit="V"),
    "verdict": Column("text"),
    "reason": Column("text"),
}


class Drift:
    """Ornstein-Uhlenbeck signals pulled to zero, pushed by an agent, broken by a drift; a run ends above a limit."""

    class Settings(BaseModel):
        """What a scenario may say about the signal."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        pull: float = Field(1.0, gt=0, description="how fast it returns [1/s]")
        noise: float = Field(0.3, ge=0, description="diffusion [V/sqrt(s)]")
        limit: float = Field(2.0, gt=0, description="a run ends above it [V]")

    batch: ClassVar[int] = 16
    randomness: ClassVar[tuple[str, ...]] = ("plant",)
    max_chunk_seconds: ClassVar[float] = 1.7
    measures: ClassVar[Schema] = {"peak": OUTCOME["peak"], "lived": OUTCOME["lived"]}
    commands: ClassVar[Schema] = {"push": Column(unit="V/s")}
    faults: ClassVar[dict[str, FaultKind]] = {
        "drift": FaultKind("the signal is pushed up", severity="number", effect="adds")
    }

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @staticmethod
    def targets(settings: Settings) -> Sequence[str]:
        """Say what a fault may aim at."""
        return ["plant"]

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Begin at zero."""
        n = len(draws)
        self._draws, self._streams = draws, streams
        self._pull = np.array([draw.settings.pull for draw in draws])
        self._noise = np.array([draw.settings.noise for draw in draws])
        self._limit = np.array([draw.settings.limit for draw in draws])
        self._k = 0
        self._x, self._peak, self._drift = np.zeros(n), np.zeros(n), np.zeros(n)
        self._push, self._end = np.zeros(n), np.full(n, np.inf)
        self._shock = np.zeros((n, BLOCK))
        rows = [{"t": [0.0], "x": [0.0], "wave": [0.0]} for _ in draws]
        return Chunk(
            0.0, 0.0, np.zeros(n), np.zeros(n, np.bool_), Table.empty(EVENTS, n), {"signal": Table.of(SIGNAL, rows)}
        )

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Step at 100 Hz up to `until`."""
        n = len(self._draws)
        start = self._k / RATE
        if commands is not None:
            for i in range(n):
                given = commands.table.run(i)["push"]
                if len(given):
                    self._push[i] = given[-1]
        live_at_start = np.isinf(self._end)
        times: list[float] = []
        states: list[FloatArray] = []
        while (self._k + 1) / RATE <= until:
            self._step()
            times.append(self._k / RATE)
            states.append(self._x.copy())
        t = np.array(times)
        x = np.array(states).reshape(len(times), n)
        rows, events = [], []
        end = self._k / RATE
        for i in range(n):
            own = t <= self._end[i] if live_at_start[i] else np.zeros(len(t), np.bool_)
            rows.append({"t": t[own], "x": x[own, i], "wave": np.exp(np.sin(7.0 * t[own])) * x[own, i]})
            ended = live_at_start[i] and np.isfinite(self._end[i])
            events.append(_event(self._end[i]) if ended else {})
        ends = np.minimum(self._end, end)
        return Chunk(
            start, end, ends, np.isfinite(self._end), Table.of(EVENTS, events), {"signal": Table.of(SIGNAL, rows)}
        )

    def _step(self) -> None:
        if self._k % BLOCK == 0:
            for i, stream in enumerate(self._streams):
                self._shock[i] = stream("plant").normal(size=BLOCK)
        start, dt = self._k / RATE, 1.0 / RATE
        self._drift = np.array(
            [sum(f.severity * f.share_at(start) for f in draw.faults_of("plant")) for draw in self._draws], np.float64
        )
        step = (self._drift + self._push - self._pull * self._x) * dt + self._noise * np.sqrt(dt) * self._shock[
            :, self._k % BLOCK
        ]
        live = np.isinf(self._end)
        self._x = np.where(live, self._x + step, self._x)
        self._peak = np.maximum(self._peak, self._x)
        self._k += 1
        self._end = np.where(live & (self._x > self._limit), self._k / RATE, self._end)

    def in_force(self, run: int, target: str, kind: str) -> float:
        """Say what pushed the signal in the last step [V/s]."""
        return float(self._drift[run])

    def outcome(self) -> tuple[Table, Table]:
        """Say how high it went."""
        n = len(self._draws)
        crossed = np.isfinite(self._end)
        rows = {
            "peak": self._peak,
            "lived": np.minimum(self._end, self._k / RATE),
            "event": crossed,
            "margin": self._limit - self._peak,
            "verdict": np.array(["crossed" if hit else "held" for hit in crossed], object),
            "reason": np.array([f"peak {peak:.3f} V" for peak in self._peak], object),
        }
        labels = [
            [
                label_row(
                    f"plant:{i}", "fault/plant/drift", "plant", cause=fault.onset, end=fault.end,
                    severity=fault.severity, causes=[fault.fault_id], role="fault",
                )
                for i, fault in enumerate(draw.faults_of("plant"))
            ]
            for draw in self._draws
        ]  # fmt: skip
        return Table(OUTCOME, rows, np.arange(n + 1, dtype=np.int64)), table_of_rows(LABELS, labels)

    def close(self) -> None:
        """Nothing is held."""


def _event(t: float) -> dict[str, list[object]]:
    words = {"event_id": "plant:0", "parent_id": "", "kind": "crossing", "subject": "plant", "details": "{}"}
    return {"t": [t], **{name: [word] for name, word in words.items()}}
