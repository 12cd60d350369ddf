"""Windows over a table for classifiers: X (n, samples, channels), y, run, t, split and weight, whole or in batches.

`dataset.windows("imu", length="0.5 s", label="class")` reads nothing but times and labels until X is asked for.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mischance.api.randomness import keyed_uniform
from mischance.dataset.balancing import balanced
from mischance.dataset.splits import PARTS
from mischance.errors import DatasetError
from mischance.opening.splits import SplitOf, part_number
from mischance.opening.window_labels import NONE, Found, Intervals, of_rows
from mischance.opening.window_rows import Cut, Slices, joined, slices

if TYPE_CHECKING:
    import pandas as pd

    from mischance.api.tables import AnyArray, FloatArray, IntArray

_MEMORY = 64 << 20  # bytes of windows that are cut at a time
_KEPT = 4  # runs whose windows stay in memory for access by number
_LEAST, _MOST = 1024, 131_072  # rows of a piece


class Pieces(Protocol):
    """Reads the rows to be cut, in order of runs: those of some runs (None = all), so many at a time."""

    def __call__(self, columns: Sequence[str], runs: Sequence[int] | None, rows: int) -> Iterator[pd.DataFrame]:
        """Yield them."""
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """Some windows; arrays of n windows, see `Windows`."""

    X: AnyArray
    y: IntArray
    run: IntArray
    t: FloatArray
    weight: FloatArray
    split: AnyArray


@dataclass(frozen=True, slots=True)
class Index:
    """All windows without their values; arrays of n windows."""

    run: IntArray
    t: FloatArray
    end: FloatArray
    y: IntArray
    label_id: AnyArray
    share: FloatArray
    who: AnyArray | None
    part: IntArray
    weight: FloatArray
    number: IntArray  # among all windows that are whole, before some were chosen

    def take(self, rows: AnyArray, **changed: AnyArray) -> Index:
        """Return some of the windows, by number or where a mask is true, with some columns changed before that."""
        columns: dict[str, Any] = {each.name: changed.get(each.name, getattr(self, each.name)) for each in fields(self)}
        taken: dict[str, Any] = {name: None if one is None else one[rows] for name, one in columns.items()}
        return Index(**taken)


@dataclass(frozen=True, slots=True)
class Source:
    """Where windows come from.

    `labels` gives those of stretches of time, None where rows have their own in the column `Cut.codes`; `weight` is
    that of each run; `runs` are those to read, None = all; `as_of` is the last time that counts [s].
    """

    pieces: Pieces
    columns: tuple[str, ...]
    labels: Intervals | None
    splits: SplitOf | None
    weight: Mapping[int, float]
    runs: Sequence[int] | None
    split: str | None
    as_of: float | None
    share: float


class Windows:
    """Windows over the rows of a table, in order of runs and of the time of their last rows.

    A sequence of (values (samples, channels) float32, class): what PyTorch's `DataLoader` takes as it is, and
    `X`, `y` are what scikit-learn takes after `X.reshape(len(X), -1)`.

    Attributes:
        samples: rows of a window.
        rate: samples a second; 0 where windows are cut by rows.
        channels: names of the channels.
        units: their units.
        classes: names of the classes, by number; 0 is none.
    """

    def __init__(self, source: Source, cut: Cut, channels: Mapping[str, str], classes: tuple[str, ...]) -> None:
        self._source, self._cut = source, cut
        self.samples, self.rate = cut.length, cut.rate
        self.channels, self.units = tuple(channels), tuple(channels.values())
        self.classes = classes
        self._shares: dict[int, float] = {}
        self._recent: OrderedDict[int, AnyArray] = OrderedDict()

    def __len__(self) -> int:
        return len(self.index.y)

    def __repr__(self) -> str:
        return f"<windows of {self.samples} samples of {', '.join(self.channels)}; classes {', '.join(self.classes)}>"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_recent"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _recent=OrderedDict())

    # -- what needs no values --------------------------------------------------------------------------------------

    @cached_property
    def index(self) -> Index:
        """All windows without their values: one pass over times and labels."""
        found = self._all
        if not self._shares:
            return found
        within = found.number - np.searchsorted(self._runs_of_all, found.run)
        keys = (found.run.astype(np.uint64) << np.uint64(32)) + within.astype(np.uint64)
        uniform = keyed_uniform(hashlib.blake2b(b"windows", digest_size=32).digest(), keys)
        kept, weight = balanced(found.y, uniform, self._shares)
        return found.take(kept, weight=found.weight * weight)

    @cached_property
    def _all(self) -> Index:
        """The windows of the split that are whole, balanced or not."""
        parts = [self._index_of(piece) for piece in self._slices(self._source.runs, values=False)]
        if not parts:
            empty = np.zeros(0, np.int64)
            nothing, text = np.zeros(0), np.zeros(0, object)
            return Index(empty, nothing, nothing, empty, text, nothing, None, empty, nothing, empty)
        columns: dict[str, Any] = {each.name: [getattr(part, each.name) for part in parts] for each in fields(Index)}
        found = Index(**{name: joined(one) for name, one in columns.items()})
        kept = np.ones(len(found.y), np.bool_)
        if self._source.split is not None:
            kept &= found.part == part_number(self._source.split)
        if self._source.as_of is not None:
            kept &= found.end <= self._source.as_of
        return found.take(kept, number=np.arange(len(kept)))

    @property
    def y(self) -> IntArray:
        """Class of each window, a number in `classes`; -1 = nothing was reported by `as_of`; shape (n,)."""
        return self.index.y

    @property
    def run(self) -> IntArray:
        """Run of each window, the groups of a grouped cross-validation; shape (n,)."""
        return self.index.run

    @property
    def t(self) -> FloatArray:
        """Time of the first sample of each window [s]; shape (n,)."""
        return self.index.t

    @property
    def label_id(self) -> AnyArray:
        """The label that gave each window its class, '' = none: with the run, the key of `dataset.labels()`."""
        return self.index.label_id

    @property
    def share(self) -> FloatArray:
        """Part of each window in which its label is in force; shape (n,)."""
        return self.index.share

    @property
    def entity(self) -> AnyArray | None:
        """Whom each window is about; None where rows are about nobody in particular."""
        return self.index.who

    @property
    def weight(self) -> FloatArray:
        """Weight of each window: that of its run, times that of having been chosen by `balanced`; shape (n,)."""
        return self.index.weight

    @property
    def split(self) -> AnyArray:
        """Part of the dataset of each window: train, val, test, or '' where it reaches over a border; shape (n,)."""
        return np.array([*PARTS, ""], object)[self.index.part]

    def balance(self) -> pd.DataFrame:
        """Return how many windows of each class there are: a row a split and class, with its share in the split."""
        import pandas as pd

        names = np.array([*self.classes, "unknown"], object)
        table = pd.DataFrame({"split": self.split, "class": names[self.y]})
        counts = table.value_counts(sort=False).rename("windows").reset_index()
        counts["share"] = counts["windows"] / counts.groupby("split")["windows"].transform("sum")
        return counts.sort_values(["split", "windows"], ascending=[True, False], ignore_index=True)

    def balanced(self, shares: float | Mapping[str, float]) -> Windows:
        """Return a choice of these windows in which classes have wanted shares, with weights that keep base rates.

        Windows are only left out. The mean of `weight * value` over those that are left is what it is over all.

        Args:
            shares: share of each class named; a number is that of all classes but none, together.

        Raises:
            DatasetError: there is no such class, or the dataset has no window of it.
        """
        if not isinstance(shares, Mapping):
            return self.balanced({NONE: 1.0 - shares})
        odd = [name for name in shares if name not in self.classes]
        if odd:
            raise DatasetError(f"there is no class {odd[0]!r}", f"classes: {', '.join(self.classes)}")
        found = Windows(self._source, self._cut, dict(zip(self.channels, self.units, strict=True)), self.classes)
        found._shares = {self.classes.index(name): share for name, share in shares.items()}
        found.index  # noqa: B018  # what cannot be balanced is said now
        return found

    # -- values ----------------------------------------------------------------------------------------------------

    @cached_property
    def X(self) -> AnyArray:  # noqa: N802  # as everybody calls it
        """Values of all windows; float32, shape (n, samples, channels)."""
        out = np.empty((len(self), self.samples, len(self.channels)), np.float32)
        at = 0
        for piece in self._chosen():
            out[at : at + len(piece)] = piece
            at += len(piece)
        return out

    def batches(self, size: int = 256) -> Iterator[Batch]:
        """Yield the windows in order, `size` at a time (the last may have fewer), in flat memory."""
        waiting: list[AnyArray] = []
        held = at = 0
        for piece in self._chosen():
            waiting.append(piece)
            held += len(piece)
            while held >= size:
                values = np.concatenate(waiting) if len(waiting) > 1 else waiting[0]
                yield self._batch(at, values[:size])
                at, held, waiting = at + size, held - size, [values[size:]]
        if held:
            yield self._batch(at, np.concatenate(waiting))

    def __iter__(self) -> Iterator[tuple[AnyArray, int]]:
        for batch in self.batches():
            yield from zip(batch.X, batch.y.tolist(), strict=True)

    def __getitem__(self, number: int) -> tuple[AnyArray, int]:
        """Return one window and its class; windows of a run lie side by side in memory for a while."""
        number = range(len(self))[number]
        run = int(self.index.run[number])
        if run not in self._recent:
            pieces = [piece.values for piece in self._slices([run], values=True)]
            self._recent[run] = np.concatenate([piece for piece in pieces if piece is not None])
            if len(self._recent) > _KEPT:
                self._recent.popitem(last=False)
        self._recent.move_to_end(run)
        first = int(np.searchsorted(self._runs_of_all, run))
        return self._recent[run][int(self.index.number[number]) - first], int(self.index.y[number])

    @cached_property
    def _runs_of_all(self) -> IntArray:
        """Run of each whole window of all splits, in order."""
        runs = [piece.run for piece in self._slices(self._source.runs, values=False)]
        return np.concatenate(runs) if runs else np.zeros(0, np.int64)

    def _batch(self, at: int, values: AnyArray) -> Batch:
        rows = slice(at, at + len(values))
        found = self.index
        return Batch(values, found.y[rows], found.run[rows], found.t[rows], found.weight[rows], self.split[rows])

    def _chosen(self) -> Iterator[AnyArray]:
        """Yield the values of the chosen windows, piece by piece."""
        wanted = self.index.number
        at = 0
        for piece in self._slices(self._source.runs, values=True):
            low, high = np.searchsorted(wanted, [at, at + len(piece.run)])
            assert piece.values is not None
            if high > low:
                yield np.ascontiguousarray(piece.values[wanted[low:high] - at])
            at += len(piece.run)

    def _slices(self, runs: Sequence[int] | None, *, values: bool) -> Iterator[Slices]:
        """Yield the windows that are whole, with their values or with their labels."""
        cut = self._cut if values else replace(self._cut, channels=())
        cut = replace(cut, codes="") if values else cut
        wide = 4 * cut.length * max(len(cut.channels), 1)
        rows = int(np.clip(_MEMORY // wide * cut.step, _LEAST, _MOST))
        names = [name for name in (*self._source.columns, *cut.channels) if name]
        for piece in slices(self._source.pieces([*dict.fromkeys(names)], runs, rows), cut):
            if piece.whole.all():
                yield piece
            elif piece.whole.any():
                yield piece.take(piece.whole)

    def _index_of(self, piece: Slices) -> Index:
        source = self._source
        end = piece.last + (1.0 / self.rate if self.rate else 0.0)
        if source.labels is not None:
            found = source.labels.of(piece.run, piece.first, end)
        else:
            assert piece.codes is not None
            found = of_rows(piece.codes, len(self.classes), source.share)
        entities = {self._cut.by: piece.who} if piece.who is not None else {}
        n = len(piece.run)
        part = source.splits.of(piece.run, piece.first, piece.last, entities) if source.splits else np.full(n, -1)
        weight = np.array([source.weight.get(run, 1.0) for run in piece.run.tolist()])
        return _indexed(piece, found, part, weight)


def _indexed(piece: Slices, found: Found, part: IntArray, weight: FloatArray) -> Index:
    number = np.zeros(len(piece.run), np.int64)
    return Index(
        piece.run, piece.first, piece.last, found.y, found.label_id, found.share, piece.who, part, weight, number
    )
