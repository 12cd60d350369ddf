"""A force/torque sensor at a robot's wrist: six components with lag, noise, bias, range and resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from mischance.api.protocols import FaultKind
from mischance.api.runs import Reading
from mischance.api.tables import Column, Schema, Table
from mischance.errors import RunError
from mischance.units import Force, Frequency, Time, Torque

from ._chain import digitise, fault_labels, own_faults

if TYPE_CHECKING:
    from mischance.api.protocols import Renderer
    from mischance.api.randomness import Streams
    from mischance.api.runs import Chunk, Draw, Fault
    from mischance.api.tables import FloatArray

AXES = ("fx", "fy", "fz", "mx", "my", "mz")
TABLE: Schema = {
    "t": Column(unit="s", encoding="delta", role="time"),
    **{
        name: Column(unit="N", floor=1e-9, about="force of the flange on the gripper, flange frame", role="value")
        for name in AXES[:3]
    },
    **{
        name: Column(unit="Nm", floor=1e-9, about="torque likewise, about the flange's face", role="value")
        for name in AXES[3:]
    },
}


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of a force/torque sensor; defaults are of the order of magnitude of data sheets (not verified)."""

    rate: Frequency = Field(100.0, gt=0, description="samples per second [Hz]")
    source: str = Field("wrench", description="table of the world that it measures")
    lag: Time = Field(0.005, ge=0, description="time constant of its low-pass filter [s]")
    force_noise: Force = Field(0.3, ge=0, description="white noise of a force sample, 1 sigma [N]")
    torque_noise: Torque = Field(0.01, ge=0, description="white noise of a torque sample, 1 sigma [Nm]")
    force_bias: Force = Field(0.5, ge=0, description="offset of each force of a run, 1 sigma [N]")
    torque_bias: Torque = Field(0.02, ge=0, description="offset of each torque of a run, 1 sigma [Nm]")
    force_range: Force | None = Field(500.0, gt=0, description="largest force shown; null = no limit [N]")
    torque_range: Torque | None = Field(50.0, gt=0, description="largest torque shown; null = no limit [Nm]")
    force_resolution: Force | None = Field(None, gt=0, description="smallest step of force shown [N]")
    torque_resolution: Torque | None = Field(None, gt=0, description="smallest step of torque shown [Nm]")


class Wrench:
    """Reports force and torque between flange and gripper, including the gripper's weight.

    The true wrench is filtered by a first-order low-pass, row by row of the world's table; a sample is the last
    filtered row at or before its time.
    """

    faults: ClassVar[Mapping[str, FaultKind]] = {
        "bias": FaultKind("the force along the sensor's x axis is too large by the severity", "N", 10.0),
        "saturation": FaultKind("no component of force beyond the severity is shown any more", "N", 20.0),
    }

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self, name: str, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Reset for a new batch; take a stream for white noise and one for the offset for each run."""
        s = self.settings
        self._name = name
        self._faults: list[tuple[Fault, ...]] = own_faults(name, draws)
        self._white = [stream(name, "white") for stream in streams]
        sigma = np.repeat([s.force_bias, s.torque_bias], 3)
        self._bias = [stream(name, "bias").standard_normal(6) * sigma for stream in streams]
        self._filtered: list[FloatArray | None] = [None] * len(draws)
        self._last_t = [0.0] * len(draws)
        self._seen = np.full(len(draws), -np.inf)

    def read(self, chunk: Chunk, renderer: Renderer | None = None) -> Reading:
        """Return every sample in (chunk.start, chunk.end]; each uses six random numbers, whatever the settings.

        Raises:
            RunError: the world has no such table.
        """
        s = self.settings
        if s.source not in chunk.tables or not {"t", *AXES} <= set(chunk.tables[s.source].schema):
            raise RunError(
                f"sensor {self._name!r}: the world has no table '{s.source}' with {', '.join(AXES)}",
                f"tables: {', '.join(sorted(chunk.tables)) or 'none'}",
            )
        t = chunk.ticks(s.rate) / s.rate
        self._seen = np.maximum(self._seen, chunk.ends)
        sigma = np.repeat([s.force_noise, s.torque_noise], 3)
        rows = []
        for i in range(chunk.runs):
            noise = self._white[i].standard_normal((len(t), 6)) * sigma
            shown = self._filter(i, chunk.tables[s.source].run(i), t) + self._bias[i] + noise
            for fault in self._faults[i]:
                severity = fault.severity_at(t)
                if fault.kind == "bias":
                    shown[:, 0] += severity
                else:
                    acts = (t >= fault.onset) & (t < fault.end)
                    limit = np.where(acts, fault.severity, np.inf)[:, None]
                    shown[:, :3] = np.clip(shown[:, :3], -limit, limit)
            shown[:, :3] = digitise(shown[:, :3], s.force_range, s.force_resolution)
            shown[:, 3:] = digitise(shown[:, 3:], s.torque_range, s.torque_resolution)
            kept = t <= chunk.ends[i]
            rows.append({"t": t[kept], **{name: shown[kept, axis] for axis, name in enumerate(AXES)}})
        return Reading({"": Table.of(TABLE, rows)})

    def labels(self) -> Table:
        """Return one label for each fault that began during its run."""
        return fault_labels(self._name, self._faults, self._seen)

    def _filter(self, i: int, rows: Mapping[str, FloatArray], t: FloatArray) -> FloatArray:
        """Return the filtered wrench at times t, (n, 6); the state is kept from chunk to chunk."""
        times = rows["t"]
        true = np.stack([rows[name] for name in AXES], axis=1) if len(times) else np.zeros((0, 6))
        state = self._filtered[i]
        before = np.zeros(6) if state is None else state
        out = np.empty((len(times) + 1, 6))
        out[0] = before
        for k, (now, value) in enumerate(zip(times.tolist(), true, strict=True)):
            if state is None or self.settings.lag <= 0.0:
                state = value.copy()
            else:
                state = state + (1.0 - exp(-(now - self._last_t[i]) / self.settings.lag)) * (value - state)
            self._last_t[i] = now
            out[k + 1] = state
        self._filtered[i] = state
        return out[np.searchsorted(times, t, side="right")]
