"""Roles of columns: what a column of a table is for, whatever the world."""

from __future__ import annotations

ROLES = (
    "time", "key", "entity", "value", "position", "away", "drawn", "weight", "label", "cause", "reported",
)  # fmt: skip
"""Roles of columns: time of a row, identity of a row, whom it is about, its main number, a place, and whether the one
that it is about is out of everybody's reach; of a run, what was drawn for it and its importance weight; and what no
model may be given: truth about the row, what led to it (ids of events, faults and labels, or words), and when it was
reported. Reports show what has the role value first."""

HIDDEN_ROLES = ("label", "cause", "reported")
"""Roles of columns that are never features."""
