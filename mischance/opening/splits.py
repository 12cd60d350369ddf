"""The part of a dataset, train, val or test, that a row or a stretch of time belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.dataset.splits import PARTS
from mischance.errors import DatasetError, suggest

if TYPE_CHECKING:
    import pandas as pd

    from mischance.api.tables import AnyArray, FloatArray, IntArray

NONE = -1  # in no part: it reaches over the border of two


class SplitOf:
    """Looks up parts in the table `splits`, which is by run, by entity or by time.

    Args:
        splits: that table; None where the dataset has none.
    """

    def __init__(self, splits: pd.DataFrame | None) -> None:
        self._splits = splits
        own = [] if splits is None else [name for name in splits if name not in ("run", "split")]
        self.by = "time" if "t_start" in own else str(own[0]) if own else "run"

    def of(
        self, run: IntArray, first: FloatArray | None, last: FloatArray | None, entities: Mapping[str, AnyArray]
    ) -> IntArray:
        """Return the number in `PARTS` of the part of each row or stretch, `NONE` where it is in none; shape (n,).

        Args:
            run: number of its run; shape (n,).
            first: its time, or where it begins [s]; None where rows have no times.
            last: where it ends [s].
            entities: name -> whom it is about.

        Raises:
            DatasetError: the dataset is divided by something that these rows do not have.
        """
        if self._splits is None:
            raise DatasetError("the dataset has no table 'splits'", "say `split:` in its scenario")
        codes = np.array([PARTS.index(name) for name in self._splits["split"].astype(str)], np.int64)
        if self.by == "time":
            if first is None or last is None:
                raise DatasetError("the dataset is divided by time, and these rows have none")
            return self._by_time(run, first, last, codes)
        if self.by == "run":
            keys: list[Any] = self._splits["run"].tolist()
            wanted: list[Any] = run.tolist()
        elif self.by in entities:
            names = self._splits[self.by]
            keys = list(zip(self._splits["run"].tolist(), names.astype(object).tolist(), strict=True))
            wanted = list(zip(run.tolist(), entities[self.by].astype(object).tolist(), strict=True))
        else:
            raise DatasetError(f"the dataset is divided by {self.by!r}, which this table has not")
        known = dict(zip(keys, codes.tolist(), strict=True))
        return np.array([known.get(key, NONE) for key in wanted], np.int64)

    def _by_time(self, run: IntArray, first: FloatArray, last: FloatArray, codes: IntArray) -> IntArray:
        assert self._splits is not None
        found = np.full(len(run), NONE, np.int64)
        starts, ends = self._splits["t_start"].to_numpy(), self._splits["t_end"].to_numpy()
        for number, begin, end, code in zip(self._splits["run"], starts, ends, codes, strict=True):
            found[(run == number) & (first >= begin) & ((last < end) | ((code == len(PARTS) - 1) & (last <= end)))] = (
                code
            )
        return found


def part_number(name: str) -> int:
    """Return the number of a part.

    Raises:
        DatasetError: there is no such part.
    """
    if name not in PARTS:
        raise DatasetError(f"there is no split {name!r}", suggest(name, PARTS) or f"known: {', '.join(PARTS)}")
    return PARTS.index(name)


def rows_in(splits: Callable[[], SplitOf], split: str, frame: pd.DataFrame, time: str) -> AnyArray:
    """Return which rows of a frame are in a part; shape (rows,)."""
    code = part_number(split)
    t = frame[time].to_numpy(np.float64) if time else None
    entities = {str(name): frame[name].to_numpy() for name in frame.columns}
    found: AnyArray = splits().of(frame["run"].to_numpy(), t, t, entities) == code
    return found
