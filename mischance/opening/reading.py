"""A finished dataset, opened: `mischance.open(path).features("transactions")`, and its labels apart.

pandas and pyarrow are imported when a table is asked for. What does not fit in memory is read with `batches`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mischance.api.tables import Column
from mischance.errors import DatasetError
from mischance.opening.frames import (
    as_columns,
    in_seconds,
    label_keys,
    to_frame,
)
from mischance.opening.roles import (
    EVENTS,
    LABELS,
    RUNS,
    about_table,
    feature_columns,
    key_columns,
    known_labels,
    label_columns,
    labels_of_rows,
    labels_over_time,
    nullable,
    past,
    time_column,
)
from mischance.opening.splits import SplitOf, rows_in
from mischance.opening.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

    from mischance.opening.outcome_map import OutcomeMap
    from mischance.opening.windows import Windows


class Dataset(Tables):
    """The tables of a dataset folder, read when asked for. One that is still being made shows its sealed shards."""

    def table(
        self,
        name: str,
        labels: bool = False,
        as_of: float | None = None,
        runs: int | Sequence[int] | None = None,
        *,
        columns: str | Sequence[str] | None = None,
        calendar: bool = False,
    ) -> pd.DataFrame:
        """Return a table as a pandas DataFrame, times in seconds; `attrs["units"]` maps columns to units.

        This is for looking: what a model may be given comes from `features`, what it is to find from `labels`.

        Args:
            name: path in the dataset, or its last word ('transactions' for 'truth/transactions').
            labels: add what the labels of its rows say (`labels/transactions` for `truth/transactions`), their causes
                left aside; one row stays one row. Without a label it has null there, and False where a label is yes
                or no.
            as_of: only rows with t <= as_of [s], and labels that were reported by then: what an analyst knew. What
                is not known yet is null, also where a label is yes or no.
            runs: run, or runs, to read; all where not given.
            columns: columns to read; all where not given.
            calendar: add the calendar time of each row as the column `time`, with its offset from UTC.

        Raises:
            DatasetError: there is no such table or column, it has no label table, or the scenario no `begins`.
        """
        path = self._find(name)
        begins = self._calendar(calendar)
        declared = self._columns(path)
        if as_of is None and not labels:
            return to_frame(self._read(path, columns, runs), declared, begins)
        frame = past(to_frame(self._read(path, None, runs), declared, begins), declared, as_of, path)
        names = as_columns(columns) or [str(each) for each in frame]
        shown = dict(declared)
        if labels:
            side = self._labels_of(path)
            about = self._columns(side)
            said = [name for name in label_columns(side, about) if about[name].role != "cause" and name not in frame]
            keys = label_keys(declared, about, path)
            found = known_labels(to_frame(self._read(side, None, runs), about), about, as_of, path)
            added = labels_of_rows(frame, found, keys, said, complete=as_of is None)[said]
            if as_of is None:
                added = added.astype({name: bool for name in said if added[name].dtype == "boolean"})
            frame[said] = added
            names, shown = [*names, *said], {**about, **declared}
        frame = frame[names]
        units = in_seconds(shown)
        frame.attrs["units"] = {key: column.unit for key, column in units.items() if column.unit and key in frame}
        return frame

    def features(
        self,
        name: str,
        as_of: float | None = None,
        runs: int | Sequence[int] | None = None,
        *,
        columns: str | Sequence[str] | None = None,
        split: str | None = None,
    ) -> pd.DataFrame:
        """Return what a model may be given of a table: no label, no cause, nothing of the future.

        The index holds the key columns, `run` first; `features.join(labels)` joins by it, and `labels` with the same
        arguments has the same rows in the same order. Of `runs` the features are the drawn values.

        Args:
            name: path in the dataset, or its last word; a table under `truth/` or `sensors/`, or `runs`.
            as_of: only rows with t <= as_of [s].
            runs: run, or runs, to read; all where not given.
            columns: features wanted; all where not given.
            split: only rows of `train`, `val` or `test`.

        Raises:
            DatasetError: there is no such table or column, the column is no feature, or the table is truth itself.
        """
        path = self._find(name)
        declared = self._columns(path)
        known = feature_columns(path, declared)
        names = as_columns(columns) or known
        odd = [one for one in names if one not in known]
        if odd:
            why = "is no feature" if odd[0] in declared else "does not exist"
            raise DatasetError(f"column {odd[0]!r} of table {path!r} {why}", f"features: {', '.join(known)}")
        frame = self._rows(path, declared, [*known] if split else names, as_of, runs, split)
        found = frame.set_index(key_columns(declared))[names]
        seen = in_seconds(declared)
        found.attrs["units"] = {one: seen[one].unit for one in names if seen[one].unit}
        return found

    def labels(
        self,
        name: str = LABELS,
        as_of: float | None = None,
        runs: int | Sequence[int] | None = None,
        *,
        split: str | None = None,
    ) -> pd.DataFrame:
        """Return the truth about the rows of a table, in types that can hold a null: null is unknown, or none.

        Where the rows have labels of their own (`labels/transactions`): these, joined by key. Else, of rows with a
        time: `class`, `label_id`, `target`, `severity` and `t_reported` of the label of the table `labels` that is in
        force then (from t_cause up to t_end; the last one to begin), labels of other sensors left aside. Of `runs`:
        measures, event and verdict. Of `labels`: its rows, one each.

        Args:
            name: path of the table in the dataset, or its last word.
            as_of: only rows with t <= as_of [s], and only labels that were reported by then: all others are null, and
                yes-or-no columns are null too where nothing was reported. Without it, the whole truth: a row without
                a label has False in yes-or-no columns.
            runs: run, or runs, to read; all where not given.
            split: only rows of `train`, `val` or `test`.

        Raises:
            DatasetError: there is no such table, or its labels do not say when they were reported.
        """
        path = self._find(name)
        declared = self._columns(path)
        keys = key_columns(declared)
        if path == RUNS or path.startswith((f"{LABELS}/", EVENTS)):
            frame = self._rows(path, declared, label_columns(path, declared), as_of, runs, split)
            return nullable(frame.set_index(keys)[label_columns(path, declared)])
        if path == LABELS:
            whole = known_labels(to_frame(self._read(path, None, runs), declared), declared, as_of, path)
            if split:
                whole = whole[rows_in(self._splits, split, whole, "t_cause")]
            return nullable(whole.set_index(keys))
        rows = self._rows(path, declared, feature_columns(path, declared) if split else [], as_of, runs, split)
        own = f"labels/{path.removeprefix('truth/')}"
        if path.startswith("truth/") and self._shards(own):
            about = self._columns(own)
            said = label_columns(own, about)
            found = known_labels(to_frame(self._read(own, None, runs), about), about, as_of, path)
            by = label_keys(declared, about, path)
            own_labels = labels_of_rows(rows, found, by, said, complete=as_of is None)[said]
            return own_labels.set_axis(rows.set_index(keys).index)
        time = time_column(declared)
        if not time:
            raise DatasetError(f"table {path!r} has neither labels of its own nor times", "see labels('labels')")
        about = self._columns(LABELS)
        found = known_labels(to_frame(self._read(LABELS, None, runs), about), about, as_of, path)
        said = ["class", "label_id", "target", "severity", "t_reported"]
        over = labels_over_time(rows, found, said, time, about_table(found, path))
        return over[said].set_axis(rows.set_index(keys).index)

    def windows(
        self,
        name: str,
        length: str | float,
        label: str = "class",
        *,
        step: str | float | None = None,
        share: float = 0.5,
        begin: str = "t_cause",
        columns: str | Sequence[str] | None = None,
        by: str | None = None,
        classes: Sequence[str] | None = None,
        split: str | None = None,
        runs: int | Sequence[int] | None = None,
        as_of: float | None = None,
    ) -> Windows:
        """Return windows over a table of numbers, with a class each; nothing is read before it is asked for.

        Args:
            name: path of the table in the dataset, or its last word: sampled signals or any table with times.
            length: time of a window, as "0.5 s" or in seconds; a whole number (int) is rows, for tables whose rows
                are not evenly spaced in time.
            label: column of the table `labels` (class, target, role) that gives the classes, or a column of the row
                labels of the table (`is_fraud`).
            step: from the beginning of one window to that of the next, in the form of `length`; as long as it where
                not given.
            share: least part of a window in which a label is in force (or of its rows that have it) to give it its
                class; the largest part counts, of equal ones the label that began first. 0: a touch is enough.
            begin: column of `labels` from which on a label counts: t_cause, t_effect or t_observable.
            columns: channels; where not given the features of the role `value`, or all numbers if there are none.
            by: column that says whom a row is about: a window holds rows of one. Where not given the first column of
                the role `entity`; "" = none.
            classes: names of the classes that count, in order; where not given, those that the dataset has.
            split: only windows that lie in `train`, `val` or `test`.
            runs: run, or runs, to read; all where not given.
            as_of: only windows that end by then [s], and labels that were reported by then; a window without any is
                of the class -1, unknown.

        Raises:
            DatasetError: there is no such table, column, label or class; its rows are not evenly spaced; a channel
                holds no numbers.
        """
        from mischance.opening.windowing import Wanted, windows_of

        wanted = Wanted(length, step, label, share, begin, as_columns(columns), by, classes, split, runs, as_of)
        return windows_of(self, self._find(name), wanted)

    def map(self, across: str, up: str, cells: int = 10) -> pd.DataFrame:
        """Return where the runs fail, over two parameters: a row a cell, cells without runs too.

        The cells are the points of a grid, or equal parts of the range of what was drawn. Columns: the parameters,
        runs, failed, undecided, share (of the runs that fail) with its Clopper-Pearson limits (95 %) low and high,
        margin_median and margin_min of the event's margin.

        Args:
            across: a column of `runs`.
            up: another one.
            cells: parts into which a range is cut, where a parameter has more than 40 values.

        Raises:
            DatasetError: a parameter is no such column or differs in no run.
        """
        return self.outcome_map(across, up, cells).frame()

    def outcome_map(self, across: str, up: str, cells: int = 10) -> OutcomeMap:
        """Return what `map` returns as arrays (cells up, cells across), for drawing."""
        from mischance.opening.outcome_map import outcome_map

        columns = self.columns("runs")
        wanted = [name for name in columns if name in (across, up, "event", "undecided", "margin")]
        wanted += [name for name in columns if name.startswith("require.")]
        frame = self.table("runs", columns=wanted)
        return outcome_map({name: frame[name].to_numpy() for name in wanted}, columns, across, up, cells)

    def _rows(
        self,
        path: str,
        declared: Mapping[str, Column],
        names: list[str],
        as_of: float | None,
        runs: int | Sequence[int] | None,
        split: str | None,
    ) -> pd.DataFrame:
        """Return the rows of a table in those columns, its keys and its time."""
        time = time_column(declared)
        every: list[str] = [*key_columns(declared), *([time] if time else []), *names]
        wanted = list(dict.fromkeys(every))
        frame = past(to_frame(self._read(path, wanted, runs), declared), declared, as_of, path)
        return frame if split is None else frame[rows_in(self._splits, split, frame, time)].reset_index(drop=True)

    def _splits(self) -> SplitOf:
        return SplitOf(self.table("splits") if self._shards("splits") else None)

    def _labels_of(self, path: str) -> str:
        place = f"labels/{path.removeprefix('truth/')}"
        if path.startswith("truth/") and self._shards(place):
            return place
        having = [table for table in self.tables() if self._shards(f"labels/{table.removeprefix('truth/')}")]
        raise DatasetError(
            f"table {path!r} has no label table",
            f"these have one: {', '.join(having)}" if having else "see the table 'labels', by run and target",
        )


def open(path: Path | str) -> Dataset:  # noqa: A001
    """Open a dataset folder.

    Raises:
        DatasetError: it is none.
    """
    return Dataset(path)
