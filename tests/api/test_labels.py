"""Rows of labels as every world writes them."""

from __future__ import annotations

import json
import math

from mischance.api.labels import label_row, table_of_rows
from mischance.api.tables import LABELS, Table


def test_a_row_has_every_column_and_leaves_open_what_a_world_cannot_know():
    row = dict(
        zip(LABELS, label_row("contact:0", "event/x", "ego", cause=1.5, causes=["a"], role="event"), strict=True)
    )
    assert (row["label_id"], row["class"], row["target"], row["t_cause"]) == ("contact:0", "event/x", "ego", 1.5)
    assert json.loads(row["causes"]) == ["a"]
    assert all(math.isnan(row[name]) for name in ("t_effect", "t_observable", "t_end", "t_reported", "severity"))


def test_rows_become_a_table_run_by_run():
    rows = [label_row(f"x:{k}", "event/x", "ego", cause=float(k), role="event") for k in range(3)]
    table = table_of_rows(LABELS, [rows[:2], [], rows[2:]])
    assert isinstance(table, Table)
    assert [table.run(k)["label_id"].tolist() for k in range(3)] == [["x:0", "x:1"], [], ["x:2"]]
