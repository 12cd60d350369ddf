"""Shared by all sensors: planned faults and their labels, Gauss-Markov noise, range and resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.labels import label_row, table_of_rows
from mischance.api.tables import LABELS, Table

if TYPE_CHECKING:
    from mischance.api.runs import Draw, Fault
    from mischance.api.tables import FloatArray


def own_faults(name: str, draws: Sequence[Draw]) -> list[tuple[Fault, ...]]:
    """Return each run's faults of the sensor called `name`, in order of onset."""
    return [tuple(sorted(draw.faults_of(f"sensors.{name}"), key=lambda f: (f.onset, f.fault_id))) for draw in draws]


def fault_labels(name: str, faults: Sequence[Sequence[Fault]], seen: FloatArray) -> Table:
    """Return one label for every fault that began during its run.

    Args:
        name: the sensor's name.
        faults: the faults of each run, in order of onset.
        seen: the time up to which each run was read [s]; shape (runs,). Later faults get no label.
    """
    rows = [
        [
            label_row(
                f"{name}:{n}", f"fault/sensor/{fault.kind}", f"sensors.{name}", cause=fault.onset,
                end=min(fault.end, end), severity=fault.severity, causes=[fault.fault_id], role="fault",
            )
            for n, fault in enumerate(planned)
            if fault.onset <= end
        ]
        for planned, end in zip(faults, seen.tolist(), strict=True)
    ]  # fmt: skip
    return table_of_rows(LABELS, rows)


def gauss_markov(state: FloatArray, kicks: FloatArray, keep: FloatArray) -> FloatArray:
    """Return n samples of a first-order Gauss-Markov process; `state` is updated in place.

    Args:
        state: the process before the first sample; (runs, axes).
        kicks: its scaled driving noise; (runs, n, axes).
        keep: e^(-dt / tau) for each axis; (axes,).

    Source:
        P. D. Groves, Principles of GNSS, Inertial, and Multisensor Integrated Navigation Systems, 2nd ed., ch. 14.
    """
    walk = np.empty_like(kicks)
    for k in range(kicks.shape[1]):
        state *= keep
        state += kicks[:, k]
        walk[:, k] = state
    return walk


def digitise(values: FloatArray, limit: float | None, resolution: float | None) -> FloatArray:
    """Return values clipped to +-limit and rounded to multiples of the resolution; None = unchanged."""
    if limit is not None:
        values = np.clip(values, -limit, limit)
    if resolution is not None:
        values = np.rint(values / resolution) * resolution
    return values
