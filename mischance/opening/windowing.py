"""Makes windows over a table of a dataset: lengths in rows, channels, classes and where labels come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.arrow import RATE
from mischance.api.tables import Column
from mischance.errors import DatasetError, UnitError
from mischance.opening.files import schema_of
from mischance.opening.frames import label_keys
from mischance.opening.roles import (
    LABELS,
    RUNS,
    about_table,
    feature_columns,
    known_labels,
    label_columns,
    labels_of_rows,
    time_column,
)
from mischance.opening.splits import SplitOf, part_number
from mischance.opening.window_labels import NONE, Intervals, class_names, row_codes
from mischance.opening.window_rows import EVEN, Cut
from mischance.opening.windows import Pieces, Source, Windows
from mischance.units import parse

if TYPE_CHECKING:
    import pandas as pd

    from mischance.opening.reading import Dataset

_CODES = "window codes"  # name of the column that holds the class of each row; no stored column is called so
_ENOUGH = 0.9  # part of the rows that must be evenly spaced for windows of a length in time
_BEGINS = ("t_cause", "t_effect", "t_observable")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for; see `Dataset.windows`."""

    length: str | float
    step: str | float | None
    label: str
    share: float
    begin: str
    columns: list[str] | None
    by: str | None
    classes: Sequence[str] | None
    split: str | None
    runs: int | Sequence[int] | None
    as_of: float | None


def windows_of(dataset: Dataset, path: str, wanted: Wanted) -> Windows:
    """Return the windows; see `Dataset.windows`."""
    declared = dataset.columns(path)
    features = feature_columns(path, declared)
    time = time_column(declared)
    if not time:
        raise DatasetError(f"table {path!r} has no times, so no windows")
    if not 0.0 <= wanted.share <= 1.0:
        raise DatasetError(f"share: a part of a window is between 0 and 1, not {wanted.share:g}")
    if wanted.split is not None:
        part_number(wanted.split)
    channels = _channels(path, declared, features, wanted.columns)
    runs = None if wanted.runs is None else [int(run) for run in np.atleast_1d(wanted.runs)]
    entities = [name for name in features if declared[name].role == "entity"]
    by = (entities[0] if entities else "") if wanted.by is None else wanted.by
    if by and by not in features:
        raise DatasetError(f"by: table {path!r} has no column {by!r} to divide its rows by", f"it has: {entities}")
    columns = tuple(name for name in ("run", time, by) if name)
    whole = dataset.table(LABELS) if dataset.has(LABELS) else None
    own = f"labels/{path.removeprefix('truth/')}"
    complete = wanted.as_of is None
    labels: Intervals | None = None
    if path.startswith("truth/") and dataset.has(own) and wanted.label in label_columns(own, dataset.columns(own)):
        keys = label_keys(declared, dataset.columns(own), path)
        known = known_labels(dataset.table(own, runs=runs), dataset.columns(own), wanted.as_of, path)
        names = _classes(wanted, class_names(known[wanted.label])[1:])
        pieces: Pieces = _Coded(dataset, path, keys, known[[*keys, wanted.label]], wanted.label, names, complete)
        code = _CODES
    else:
        if whole is None or wanted.label not in ("class", "target", "role"):
            near = label_columns(own, dataset.columns(own)) if dataset.has(own) else []
            raise DatasetError(
                f"label: {wanted.label!r} is no label of the rows of table {path!r}",
                f"it is class, target or role{', or one of ' + ', '.join(near) if near else ''}",
            )
        if wanted.begin not in _BEGINS:
            raise DatasetError(f"begin: {wanted.begin!r} is no time of a label", f"known: {', '.join(_BEGINS)}")
        mine = whole[about_table(whole, path)]
        names = _classes(wanted, sorted(set(mine[wanted.label])))
        known = known_labels(mine.reset_index(drop=True), dataset.columns(LABELS), wanted.as_of, path)
        labels = Intervals(known, wanted.label, names, wanted.begin, wanted.share, complete=complete)
        pieces, code = _Plain(dataset, path), ""
    cut = _cut(dataset, path, wanted, time, by, tuple(channels), code)
    splits = SplitOf(dataset.table("splits")) if dataset.has("splits") else None
    source = Source(
        pieces, (*columns, *((code,) if code else ())), labels, splits,
        _weights(dataset), runs, wanted.split, wanted.as_of, wanted.share,
    )  # fmt: skip
    return Windows(source, cut, channels, names)


def _channels(
    path: str, declared: Mapping[str, Column], features: Sequence[str], wanted: Sequence[str] | None
) -> dict[str, str]:
    """Return the names of the channels and their units."""
    plain = [name for name in features if declared[name].role not in ("time", "entity")]
    numbers = [name for name in plain if declared[name].dtype not in ("category", "text", "utf8")]
    if wanted is None:
        chosen = [name for name in numbers if declared[name].role == "value"] or numbers
        if not chosen:
            raise DatasetError(f"table {path!r} has no column of numbers")
    else:
        odd = [name for name in wanted if name not in features]
        if odd:
            raise DatasetError(f"column {odd[0]!r} of table {path!r} is no feature", f"numbers: {', '.join(numbers)}")
        odd = [name for name in wanted if declared[name].dtype in ("category", "text", "utf8")]
        if odd:
            raise DatasetError(
                f"column {odd[0]!r} of table {path!r} holds no numbers", f"numbers: {', '.join(numbers)}"
            )
        chosen = list(wanted)
    return {name: declared[name].unit for name in chosen}


def _classes(wanted: Wanted, found: Sequence[str]) -> tuple[str, ...]:
    names = list(found) if wanted.classes is None else [name for name in wanted.classes if name != NONE]
    return (NONE, *names)


def _cut(dataset: Dataset, path: str, wanted: Wanted, time: str, by: str, channels: tuple[str, ...], code: str) -> Cut:
    """Return how the rows are cut.

    Raises:
        DatasetError: a length is no time and no number of rows, or the rows are not evenly spaced.
    """
    step = wanted.length if wanted.step is None else wanted.step
    if isinstance(wanted.length, int) != isinstance(step, int):
        raise DatasetError("length and step are both times or both whole numbers of rows")
    if isinstance(wanted.length, int) and isinstance(step, int):
        length, rate = wanted.length, 0.0
    else:
        rate = _rate(dataset, path, time, by)
        length, step = (round(_seconds(one) * rate) for one in (wanted.length, step))
    if length < 1 or int(step) < 1:
        raise DatasetError(f"a window has at least one row: table {path!r} has {rate:g} rows a second")
    return Cut(length, int(step), rate, time, by, channels, code)


def _seconds(value: str | float) -> float:
    if not isinstance(value, str):
        return float(value)
    try:
        return float(parse(value, "time"))
    except UnitError as error:
        raise DatasetError(f"length and step: {error.message}", error.hint) from error


def _rate(dataset: Dataset, path: str, time: str, by: str) -> float:
    """Return how many rows a second there are of one run and entity."""
    facts = schema_of(dataset.files(path)[0]).metadata or {}
    if RATE in facts:
        return float(facts[RATE])
    columns = ["run", time, *([by] if by else [])]
    first = next(dataset.batches(path, columns), None)
    if first is None:
        raise DatasetError(f"table {path!r} has no rows")
    groups = first.groupby(["run", by] if by else ["run"], sort=False, observed=True)
    steps = np.concatenate([np.diff(rows.to_numpy(np.float64)) for _, rows in groups[time]])
    usual = float(np.median(steps)) if len(steps) else 0.0
    if usual <= 0 or (np.abs(steps / usual - 1.0) <= EVEN).mean() < _ENOUGH:
        raise DatasetError(
            f"the rows of table {path!r} are not evenly spaced in time", "say how many rows a window has: length=20"
        )
    return 1.0 / usual


def _weights(dataset: Dataset) -> dict[int, float]:
    if not dataset.has(RUNS):
        return {}
    known = [name for name in ("run", "weight") if name in dataset.columns(RUNS)]
    if len(known) < 2:
        return {}
    runs = dataset.table(RUNS, columns=known)
    return dict(zip(runs["run"].tolist(), runs["weight"].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class _Plain:
    """Rows as they are stored."""

    dataset: Dataset
    path: str

    def __call__(self, columns: Sequence[str], runs: Sequence[int] | None, rows: int) -> Iterator[pd.DataFrame]:
        return self.dataset.batches(self.path, list(columns), runs, rows)


@dataclass(frozen=True, slots=True)
class _Coded:
    """Rows with the number of the class that their own labels give them."""

    dataset: Dataset
    path: str
    keys: list[str]
    labels: pd.DataFrame
    label: str
    classes: tuple[str, ...]
    complete: bool

    def __call__(self, columns: Sequence[str], runs: Sequence[int] | None, rows: int) -> Iterator[pd.DataFrame]:
        stored = list(dict.fromkeys([*(name for name in columns if name != _CODES), *self.keys]))
        for piece in self.dataset.batches(self.path, stored, runs, rows):
            mine = self.labels[self.labels["run"].isin(piece["run"].unique())]
            found = labels_of_rows(piece, mine, self.keys, [self.label], complete=self.complete)
            yield piece.assign(**{_CODES: row_codes(found[self.label], self.classes, complete=self.complete)})


__all__ = ["Wanted", "windows_of"]
