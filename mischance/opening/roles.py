"""Which columns of a stored table are features and which are truth about it, and the two as frames with one index.

Features are what a model may be given: of a table under `truth/` or `sensors/`, every column whose role is not one
of `HIDDEN_ROLES`; of `runs`, what was drawn. Nothing under `labels/`, `events/` or `splits/` is a feature. The key
columns of a row are the index, so that features and labels are joined by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.roles import HIDDEN_ROLES
from mischance.api.tables import Column
from mischance.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd

    from mischance.api.tables import BoolArray

RUNS, LABELS, EVENTS = "runs", "labels", "events"
REPORTED = "t_reported"
_AFTER = ("t_effect", "t_observable", "t_end")  # of a label: not known before they have come


def feature_columns(path: str, columns: Mapping[str, Column]) -> list[str]:
    """Return the columns of a table that a model may be given, in their order, its keys left aside.

    Raises:
        DatasetError: none of its columns is a feature, because the table itself is truth about others.
    """
    if path == RUNS:
        return [name for name, column in columns.items() if column.role == "drawn"]
    if not path.startswith(("truth/", "sensors/")):
        raise DatasetError(
            f"table {path!r} has no features: it is truth about others", "read it with table() or labels()"
        )
    return [name for name, column in columns.items() if column.role not in (*HIDDEN_ROLES, "key")]


def label_columns(path: str, columns: Mapping[str, Column]) -> list[str]:
    """Return the columns of a table that are truth about its rows; of a table below `labels/`, all but key and time."""
    if path == RUNS:
        return [name for name, column in columns.items() if column.role not in ("key", "drawn", "weight")]
    if path.startswith((LABELS, EVENTS)):
        return [name for name, column in columns.items() if column.role not in ("key", "time")]
    return [name for name, column in columns.items() if column.role in HIDDEN_ROLES]


def key_columns(columns: Mapping[str, Column]) -> list[str]:
    """Return the columns that name a row, `run` first."""
    keys = [name for name, column in columns.items() if column.role == "key"]
    return sorted(keys, key=lambda name: name != "run")


def time_column(columns: Mapping[str, Column]) -> str:
    """Return the column of times, '' where there is none."""
    return next((name for name, column in columns.items() if column.role == "time"), "")


def reported_column(columns: Mapping[str, Column]) -> str:
    """Return the column that says when a label was reported, '' where there is none."""
    return next((name for name, column in columns.items() if column.role == "reported" or name == REPORTED), "")


def past(frame: pd.DataFrame, columns: Mapping[str, Column], as_of: float | None, path: str) -> pd.DataFrame:
    """Return the rows that were there by a time: t <= as_of [s].

    Raises:
        DatasetError: the table has no times.
    """
    if as_of is None:
        return frame
    t = time_column(columns)
    if not t:
        raise DatasetError(f"as_of: table {path!r} has no times", "leave as_of out")
    return frame[frame[t] <= as_of].reset_index(drop=True)


def nullable(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with types that can hold a null: boolean, Int64, string; floats and categories can already."""
    kinds = {}
    for name in frame.columns:
        dtype = frame[name].dtype
        known = {"b": "boolean", "i": "Int64", "u": "UInt64", "O": "string"}
        if isinstance(dtype, np.dtype) and dtype.kind in known:
            kinds[name] = known[dtype.kind]
    return frame.astype(kinds)


def known_labels(labels: pd.DataFrame, columns: Mapping[str, Column], as_of: float | None, path: str) -> pd.DataFrame:
    """Return the labels that were reported by a time, without what they did not say yet: times after it are null.

    Raises:
        DatasetError: the labels do not say when they were reported.
    """
    if as_of is None:
        return labels
    reported = reported_column(columns)
    if not reported:
        raise DatasetError(f"the labels of {path!r} do not say when they were reported", "leave as_of out")
    known = labels[labels[reported] <= as_of].reset_index(drop=True)
    for name in _AFTER:
        if name in known:
            known[name] = known[name].where(known[name] <= as_of)
    return known


def labels_of_rows(
    rows: pd.DataFrame, labels: pd.DataFrame, keys: list[str], names: list[str], *, complete: bool
) -> pd.DataFrame:
    """Return the labels of rows, one row each and in their order, in types that can hold a null.

    A row without a label has null. Where the truth is `complete` (it is not, as of a time), a row without a label is
    known to have none: yes-or-no columns are False there. A row with several labels has yes where any says yes, and of
    the other columns those of its first label.

    Args:
        rows: key columns of the rows.
        labels: key columns and `names` of the labels, as they are known.
        keys: columns that name a row, in both.
        names: columns wanted.
        complete: whether these are all labels that there are.
    """
    flags = [name for name in names if labels[name].dtype == bool]
    single = labels[[*keys, *names]]
    if single.duplicated(keys).any():
        how = {name: "any" if name in flags else _first for name in names}
        single = single.groupby(keys, sort=False, as_index=False, observed=True).agg(how)
        single[flags] = single[flags].astype(bool)
    joined = rows[keys].merge(nullable(single), on=keys, how="left", validate="m:1", sort=False)
    if complete and flags:
        joined[flags] = joined[flags].fillna(False)
    return joined[[*keys, *names]]


def _first(values: pd.Series) -> object:
    return values.iloc[0]


def labels_over_time(
    rows: pd.DataFrame, labels: pd.DataFrame, names: list[str], time: str, whose: BoolArray
) -> pd.DataFrame:
    """Return for each row the label that is in force at its time, null where none is, in the order of the rows.

    A label is in force from t_cause up to t_end, or to the end of its run where it has none. Where several are, it is
    the one that began last.

    Args:
        rows: `run` and time of each row.
        labels: rows of the table `labels`, as they are known.
        names: columns wanted.
        time: name of the column of times.
        whose: which labels are about these rows; shape (labels,).
    """
    import pandas as pd

    at = np.full(len(rows), -1, np.int64)
    run, t = rows["run"].to_numpy(), rows[time].to_numpy(np.float64)
    chosen = labels[whose].sort_values(["t_cause", "label_id"], kind="stable")
    ends = chosen["t_end"].fillna(np.inf)
    for i, number, begin, end in zip(chosen.index, chosen["run"], chosen["t_cause"], ends, strict=True):
        first, last = np.searchsorted(run, [number, number + 1])  # rows stand in order of their runs
        mine = t[first:last]
        at[first:last][(mine >= begin) & ((mine < end) | (mine == begin))] = i
    found = nullable(labels[names]).reindex(pd.Index(at))
    found.insert(0, "run", run)
    return found.reset_index(drop=True)


def about_table(labels: pd.DataFrame, path: str) -> BoolArray:
    """Return which labels may be about the rows of a table: all but those of other sensors; shape (labels,)."""
    target = labels["target"].astype(str)
    own = f"sensors.{path.removeprefix('sensors/').split('/')[0]}"
    found: BoolArray = (~target.str.startswith("sensors.") | (target == own)).to_numpy(np.bool_)
    return found


__all__ = [
    "EVENTS", "LABELS", "RUNS", "about_table", "feature_columns", "key_columns", "known_labels", "label_columns",
    "labels_of_rows", "labels_over_time", "nullable", "past", "reported_column", "time_column",
]  # fmt: skip
