"""From stored rows to what people read: seconds, calendar time, times of sampled signals, labels joined to rows.

Tables store times as their worlds count them (integer microseconds too); a person sees seconds, everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.arrow import RATE, declared_columns, sample_times
from mischance.api.tables import AnyArray, Column, FloatArray, IntArray
from mischance.errors import DatasetError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

T = "t"
CALENDAR = "time"  # the column that `calendar=True` adds
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SAMPLED = Column(unit="s", role="time", about="time of the sample")


class SampleTimes:
    """Gives the rows of a table of signals their times, batch after batch of the same file."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._before = (-1, 0)

    def of(self, run: IntArray) -> FloatArray:
        """Return the times [s] of the next rows, whose runs are `run` (n,); the rows of a run stand side by side."""
        times = sample_times(self._schema, run, self._before)
        assert times is not None
        if len(run):
            last = int(run[-1])
            length = len(run) - int(np.searchsorted(run, last))
            self._before = last, length + (self._before[1] if last == self._before[0] else 0)
        return times


def is_sampled(schema: pa.Schema) -> bool:
    """Return whether a file holds samples of signals, whose times follow from its rate and are not stored."""
    return RATE in (schema.metadata or {})


def read_columns(schema: pa.Schema) -> dict[str, Column]:
    """Return what a stored table's columns are, the time of sampled signals included, as they are stored."""
    stored = declared_columns(schema)
    if not is_sampled(schema):
        return stored
    head = {"run": stored["run"]} if "run" in stored else {}
    return {**head, T: _SAMPLED, **{name: column for name, column in stored.items() if name not in head}}


def in_seconds(columns: Mapping[str, Column]) -> dict[str, Column]:
    """Return the columns as a person sees them: every time in seconds."""
    return {
        name: replace(column, dtype="float64", unit="s") if _PER_SECOND.get(column.unit, 1) > 1 else column
        for name, column in columns.items()
    }


def to_frame(rows: pa.Table, columns: Mapping[str, Column], begins: datetime | None = None) -> pd.DataFrame:
    """Return rows as a DataFrame: times in seconds, units in `attrs["units"]`.

    Args:
        rows: as stored.
        columns: what they are, as stored.
        begins: adds the calendar time of each row as the column `time`.

    Raises:
        DatasetError: calendar time is wanted, and the table has no time, or a column of that name.
    """
    frame: pd.DataFrame = rows.to_pandas()
    if begins is not None:
        name = next((name for name, column in columns.items() if column.role == "time" and name in frame), None)
        if name is None or CALENDAR in frame:
            why = "has no column of times" if name is None else f"has a column {CALENDAR!r} of its own"
            raise DatasetError(f"calendar=True: this table {why}", "read it without")
        stamps = _stamps(frame[name].to_numpy(), columns[name].unit, begins)
        frame.insert(int(frame.columns.get_loc(name)) + 1, CALENDAR, stamps)  # type: ignore[arg-type]
    for name, column in columns.items():
        scale = _PER_SECOND.get(column.unit, 1)
        if scale > 1 and name in frame:
            frame[name] = frame[name] / scale  # a division: the nearest float to the true quotient
    seen = in_seconds(columns)
    frame.attrs["units"] = {name: column.unit for name, column in seen.items() if column.unit and name in frame}
    return frame


def _stamps(t: AnyArray, unit: str, begins: datetime) -> pd.DatetimeIndex:
    """Return the calendar time of each row, to the nanosecond; whole units of time are exact."""
    import pandas as pd

    per_unit = 10**9 // _PER_SECOND.get(unit, 1)
    since = t.astype(np.int64) * per_unit if t.dtype.kind in "iu" else np.rint(t * float(per_unit)).astype(np.int64)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    base = begins - epoch
    nanoseconds = ((base.days * 86_400 + base.seconds) * 10**6 + base.microseconds) * 1000
    return pd.DatetimeIndex(pd.to_datetime(since + nanoseconds, unit="ns", utc=True)).tz_convert(begins.tzinfo)


def label_keys(table: Mapping[str, Column], labels: Mapping[str, Column], path: str) -> list[str]:
    """Return the columns by which labels are joined to rows: all that both tables declare as keys.

    Raises:
        DatasetError: they share none beside the run.
    """
    keys = [name for name, column in table.items() if column.role == "key" and labels.get(name, Column()).role == "key"]
    if not set(keys) - {"run"}:
        raise DatasetError(f"table {path!r} and its labels share no key column")
    return keys


def as_columns(value: Any) -> list[str] | None:
    """Return the names of columns as a list; a single name is a list of one, None is all."""
    return None if value is None else [value] if isinstance(value, str) else list(value)
