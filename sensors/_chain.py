"""Shared by all sensors: planned faults and their labels, Gauss-Markov noise, range and resolution."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

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
    rows = []
    for planned, end in zip(faults, seen.tolist(), strict=True):
        met = [fault for fault in planned if fault.onset <= end]
        count = len(met)
        unknown = [np.nan] * count
        rows.append(
            {
                "label_id": [f"{name}:{n}" for n in range(count)],
                "class": [f"fault/sensor/{fault.kind}" for fault in met],
                "target": [f"sensors.{name}"] * count,
                "t_cause": [fault.onset for fault in met],
                "t_effect": unknown,
                "t_observable": unknown,
                "t_end": [min(fault.end, end) for fault in met],
                "t_reported": unknown,
                "severity": [fault.severity for fault in met],
                "causes": [json.dumps([fault.fault_id]) for fault in met],
                "role": ["fault"] * count,
                "twin": [""] * count,
            }
        )
    return Table.of(LABELS, rows)


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
