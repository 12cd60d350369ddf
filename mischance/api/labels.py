"""Rows of labels and small tables, as worlds write them: one row a tuple, in the order of the schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np

from mischance.api.tables import LABELS, AnyArray, Schema, Table

Row = tuple[Any, ...]


def label_row(
    label_id: str, path: str, target: str, *, cause: float, end: float = nan, severity: float = nan,
    causes: Sequence[str] = (), role: str, reported: float = nan,
) -> Row:  # fmt: skip
    """Return one row of `labels`; what a world cannot know of itself (effect, observability) is NaN.

    Args:
        label_id: its name, unique in the run: "contact:0".
        path: class, from the general to the special: "fault/brakes/fade".
        target: whom or what it is about.
        cause: when the parameter moved, or the event happened [s].
        end: when it was over; NaN = not in this run [s].
        severity: in the unit of its kind.
        causes: ids of faults, events and labels.
        role: "fault", "event", "effect" …
        reported: when the system under test, or who watches it, reported it [s]; NaN = never.
    """
    values: dict[str, Any] = {
        "label_id": label_id, "class": path, "target": target, "t_cause": cause, "t_effect": nan,
        "t_observable": nan, "t_end": end, "t_reported": reported, "severity": severity,
        "causes": json.dumps(list(causes)), "role": role, "twin": "",
    }  # fmt: skip
    return tuple(values[name] for name in LABELS)


def table_of_rows(schema: Schema, runs: Sequence[Sequence[Row]]) -> Table:
    """Return a table from rows in the schema's order, a list of rows for each run."""
    flat = [row for run in runs for row in run]
    if not flat:
        return Table.empty(schema, len(runs))
    offsets = np.zeros(len(runs) + 1, np.int64)
    np.cumsum([len(run) for run in runs], out=offsets[1:])
    columns: dict[str, AnyArray] = {}
    for i, (name, column) in enumerate(schema.items()):
        columns[name] = np.empty(len(flat), column.storage)
        columns[name][:] = [row[i] for row in flat]
    return Table(schema, columns, offsets)
