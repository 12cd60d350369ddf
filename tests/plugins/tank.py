"""A tank that fills, leaks and hums: a table, sampled channels, events, commands and faults while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mischance.api.labels import Row, label_row, table_of_rows
from mischance.api.protocols import FaultKind
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, ticks
from mischance.api.tables import EVENTS, LABELS, Column, Schema, Signals, Table

RATE, HUM = 50.0, 1000.0
LEVEL: Schema = {"t": Column(unit="s", role="time"), "x": Column(unit="m", role="value"), "leak": Column(unit="m/s")}
CHANNELS: Schema = {"hum": Column(unit="V")}
MEASURES: Schema = {"peak": Column(unit="m"), "lost": Column(unit="m")}
OUTCOME: Schema = {
    **MEASURES,
    "event": Column("bool"), "margin": Column(unit="m"), "verdict": Column("text"), "reason": Column("text"),
}  # fmt: skip


class Tank:
    """Level x: x' = inflow + noise - the severities of its leaks; it is full at every way up through `limit`."""

    class Settings(BaseModel):
        """What a scenario may say about the tank."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        inflow: float = Field(0.1, description="until the first command [m/s]")
        noise: float = Field(0.0, ge=0, description="of the inflow, from one step to the next [m/s]")
        limit: float = Field(0.5, gt=0, description="level at which it is full [m]")

    batch: ClassVar[int] = 8
    max_chunk_seconds: ClassVar[float] = 3.1
    randomness: ClassVar[tuple[str, ...]] = ("tank",)
    measures: ClassVar[Schema] = MEASURES
    events: ClassVar[tuple[str, ...]] = ("full",)
    commands: ClassVar[Schema] = {"inflow": Column(unit="m/s")}
    faults: ClassVar[dict[str, FaultKind]] = {"leak": FaultKind("it loses water", "speed", 0.05)}

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @staticmethod
    def targets(settings: Settings) -> Sequence[str]:
        """Say what a fault may aim at."""
        return ["wall"]

    @staticmethod
    def signals(settings: Settings) -> Schema:
        """Say what has a value at every time."""
        return {"x": LEVEL["x"], "leak": LEVEL["leak"], **CHANNELS}

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Begin empty."""
        self._own = [draw.settings or self.settings for draw in draws]
        self._faults: list[list[Fault]] = [list(draw.faults) for draw in draws]
        self._streams, self._k = streams, 0
        n = len(draws)
        self._x, self._peak, self._lost, self._full = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
        self._inflow = np.array([one.inflow for one in self._own])
        leak = [sum(float(f.severity_at(0.0)) for f in own) for own in self._faults]
        rows: list[list[Row]] = [[(0.0, 0.0, leak[i])] for i in range(n)]
        return self._chunk(0.0, 0.0, rows, [[] for _ in draws], np.zeros(1, np.int64))

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Step at 50 Hz up to `until`."""
        start = self._k / RATE
        for i in range(len(self._own)):
            given = commands.table.run(i)["inflow"] if commands is not None else ()
            self._inflow[i] = given[-1] if len(given) else self._inflow[i]
        rows: list[list[Row]] = [[] for _ in self._own]
        events: list[list[Row]] = [[] for _ in self._own]
        first = self._k
        steps = ticks(RATE, start, until)
        luck = [2.0 * stream.uniform("tank", steps) - 1.0 if len(steps) else steps for stream in self._streams]
        while (self._k + 1) / RATE <= until:
            t, self._k = self._k / RATE, self._k + 1
            now = self._k / RATE
            for i, own in enumerate(self._own):
                noise = own.noise * luck[i][self._k - first - 1]
                acting = [f for f in self._faults[i] if f.share_at(t) > 0.0]
                leak = sum(f.severity * f.share_at(t) for f in acting)
                before = self._x[i]
                self._x[i] += (self._inflow[i] + noise - leak) / RATE
                self._lost[i] += leak / RATE
                self._peak[i] = max(self._peak[i], self._x[i])
                if before < own.limit <= self._x[i]:
                    parent = acting[0].fault_id if acting else ""
                    events[i].append((now, f"event:{self._full[i]}", parent, "full", "tank", "{}"))
                    self._full[i] += 1
                rows[i].append((now, self._x[i], sum(f.severity * f.share_at(now) for f in self._faults[i])))
        end = self._k / RATE
        return self._chunk(start, end, rows, events, ticks(HUM, start, end))

    def _chunk(self, start: float, end: float, rows: list[list[Row]], events: list[list[Row]], k: np.ndarray) -> Chunk:
        n = len(self._own)
        hum = np.tile(np.sin(2.0 * np.pi * 1.3 * k / HUM)[None, :, None], (n, 1, 1))
        first = int(k[0]) if len(k) else int(ticks(HUM, end, end + 1.0)[0])
        return Chunk(
            start, end, np.full(n, end), np.zeros(n, np.bool_), table_of_rows(EVENTS, events),
            {"levels": table_of_rows(LEVEL, rows)}, signals={"sound": Signals.of(HUM, first, hum, CHANNELS)},
        )  # fmt: skip

    def inject(self, run: int, fault: Fault) -> None:
        """Take one more fault; one that has begun like another ends that one earlier."""
        own = self._faults[run]
        own[:] = [f for f in own if not f.begins_like(fault)]
        own.append(fault)

    def outcome(self) -> tuple[Table, Table]:
        """Say how high it was, and what it lost."""
        n, limits = len(self._own), np.array([one.limit for one in self._own])
        rows = {
            "peak": self._peak, "lost": self._lost, "event": self._full > 0, "margin": limits - self._peak,
            "verdict": np.array(["full" if full else "not full" for full in self._full], object),
            "reason": np.array([f"peak {peak:.3f} m" for peak in self._peak], object),
        }  # fmt: skip
        labels = [
            [
                label_row(
                    f"wall:{k}", "fault/wall/leak", "wall", cause=f.onset, end=f.end, severity=f.severity,
                    causes=[f.fault_id], role="fault",
                )
                for k, f in enumerate(sorted(own, key=lambda f: (f.onset, f.fault_id)))
                if f.onset <= self._k / RATE
            ]
            for own in self._faults
        ]  # fmt: skip
        return Table(OUTCOME, rows, np.arange(n + 1, dtype=np.int64)), table_of_rows(LABELS, labels)

    def close(self) -> None:
        """Nothing is held."""
