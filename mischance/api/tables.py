"""Tables in columns: typed, with units, the rows of several runs one after the other.

Rows of run i of a table are `offsets[i]:offsets[i + 1]`, sorted by `t`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mischance.api.read_only import read_only
from mischance.api.roles import ROLES
from mischance.api.strings import chosen_strings, is_strings, joined_strings, strings
from mischance.errors import TruthError

FloatArray = NDArray[np.float64]

IntArray = NDArray[np.int64]

UIntArray = NDArray[np.uint64]

BoolArray = NDArray[np.bool_]

AnyArray = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """The declared type of one column.

    `dtype` is a NumPy name ('float64', 'int64', 'int32', 'bool' …), 'category' (codes int32 into
    `names`, -1 is null), 'utf8' (an Arrow string array, for text that does not repeat, such as log lines)
    or 'text' (Python strings, for small tables such as events and labels). `floor` is the smallest
    difference that counts when a run is compared with its twin. `null` says that NaN means "no value".
    `encoding` is a wish for the file: 'plain' (ids), 'delta' (times, money), or '' (let the writer choose).
    `role` says what the column is for, one of `ROLES` or '': it is stored with the file, so that
    whoever reads a table finds its key without knowing the world. Several columns may share a role: the key of
    a row is all of its key columns.
    """

    dtype: str = "float64"
    unit: str = ""
    names: tuple[str, ...] = ()
    floor: float = 0.0
    null: bool = False
    encoding: str = ""
    about: str = ""
    role: str = ""

    def __post_init__(self) -> None:
        if self.role and self.role not in ROLES:
            raise TruthError(f"no column has the role {self.role!r}", f"known: {', '.join(ROLES)}")

    @property
    def storage(self) -> np.dtype[Any]:
        """The NumPy type that holds it; strings are objects there, though a 'utf8' column holds an Arrow array."""
        return _storage(self.dtype)

    def array(self, values: Any) -> AnyArray:
        """Return values as the column holds them: an array of its NumPy type, or of Arrow strings; shape (n,)."""
        return strings(values) if self.dtype == "utf8" else np.asarray(values, _storage(self.dtype))


@cache
def _empty(dtype: str) -> AnyArray:
    """Return a column of no rows; all tables without rows share it."""
    none = Column(dtype).array([])
    if dtype != "utf8":
        none.flags.writeable = False
    return none


@cache
def _storage(dtype: str) -> np.dtype[Any]:
    if dtype == "category":
        return np.dtype(np.int32)
    return np.dtype(object) if dtype in ("text", "utf8") else np.dtype(dtype)


Schema = Mapping[str, Column]

FEW_ROWS = 500  # a table: below that, joining costs calls of NumPy rather than the moving of rows


def entity_column(schema: Schema) -> str:
    """Return the first column that says whom a row is about (role 'entity'), or '' where no column does."""
    return next((name for name, column in schema.items() if column.role == "entity"), "")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows of several runs, one run after the other: `offsets` has shape (runs + 1,).

    Nothing in it can be written to: arrays that it is given are taken over, views of other memory are copied.
    """

    schema: Schema
    columns: Mapping[str, AnyArray]
    offsets: IntArray

    def __post_init__(self) -> None:
        if self.columns.keys() != self.schema.keys():
            odd = sorted(set(self.columns) ^ set(self.schema))
            raise TruthError(f"a table's columns differ from its schema: {', '.join(odd)}")
        rows = int(self.offsets[-1])
        for name, column in self.schema.items():
            values = self.columns[name]
            if len(values) != rows:
                raise TruthError(f"column {name!r} has {len(values)} rows where the table has {rows}")
            if column.dtype == "utf8":
                if not is_strings(values):
                    raise TruthError(f"column {name!r} holds no Arrow strings, though 'utf8' was declared")
            elif values.dtype != _storage(column.dtype):
                raise TruthError(f"column {name!r} is {values.dtype} where {column.dtype} was declared")
        columns = {name: read_only(values) for name, values in self.columns.items()}
        object.__setattr__(self, "columns", MappingProxyType(columns))
        object.__setattr__(self, "offsets", read_only(self.offsets))

    def __reduce__(self) -> tuple[Any, ...]:
        return Table, (dict(self.schema), dict(self.columns), self.offsets)

    @staticmethod
    def empty(schema: Schema, runs: int) -> Table:
        """Return a table without rows for that many runs."""
        columns = {name: _empty(column.dtype) for name, column in schema.items()}
        return Table(schema, columns, np.zeros(runs + 1, np.int64))

    @staticmethod
    def of(schema: Schema, runs: Sequence[Mapping[str, Any]]) -> Table:
        """Build a table from one mapping (column -> values) a run; a missing or empty mapping is no rows.

        A column with `null` may be missing from all mappings: then it is NaN, -1, False, 0 or ''.
        """
        sizes = [len(next(iter(rows.values()))) if rows else 0 for rows in runs]
        offsets = np.zeros(len(runs) + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        columns = {}
        for name, column in schema.items():
            parts = [
                _nothing(column, n) if column.null and name not in rows else column.array(rows[name])
                for rows, n in zip(runs, sizes, strict=True)
                if rows
            ]
            columns[name] = _joined(column, parts)
        return Table(schema, columns, offsets)

    def __len__(self) -> int:
        return int(self.offsets[-1])

    @property
    def runs(self) -> int:
        """How many runs it holds."""
        return len(self.offsets) - 1

    def run(self, i: int) -> dict[str, AnyArray]:
        """Return the rows of the i-th run, as views."""
        rows = slice(int(self.offsets[i]), int(self.offsets[i + 1]))
        return {name: values[rows] for name, values in self.columns.items()}

    def take(self, keep: BoolArray) -> Table:
        """Return the rows where `keep` is true; shape (rows,)."""
        counts = np.concatenate([[0], np.cumsum(keep)])
        return Table(self.schema, _chosen(self.schema, self.columns, keep), counts[self.offsets])

    def pick(self, runs: Sequence[int]) -> Table:
        """Return the table of those runs alone, in that order."""
        chosen = np.asarray(runs, np.int64)
        sizes = np.diff(self.offsets)[chosen]
        rows = _stretches(self.offsets[:-1][chosen], sizes)
        return Table(self.schema, _chosen(self.schema, self.columns, rows), np.concatenate([[0], np.cumsum(sizes)]))

    def run_index(self) -> IntArray:
        """Return for every row the index of its run; shape (rows,)."""
        return np.repeat(np.arange(self.runs, dtype=np.int64), np.diff(self.offsets))


def join_tables(tables: Sequence[Table]) -> Table:
    """Join tables of the same runs that follow each other in time.

    Where the names of a category differ, its codes are numbered anew: into the names of the first table, then the
    new ones in the order in which they come.

    Raises:
        TruthError: the tables have other columns, or columns of another type or unit, or other numbers of runs.
    """
    first = tables[0]
    if len(tables) == 1:
        return first
    tables = _declared_alike(tables)
    schema = tables[0].schema
    bounds = np.array([table.offsets for table in tables])
    offsets = bounds.sum(axis=0)
    if first.runs == 1:
        return Table(schema, {n: _joined(c, [t.columns[n] for t in tables]) for n, c in schema.items()}, offsets)
    # rows stand table by table; wanted is run by run, and within a run table by table
    sizes = np.diff(bounds, axis=1)
    columns: dict[str, AnyArray] = {}
    if offsets[-1] >= FEW_ROWS * len(tables):
        ends = offsets[:-1] + np.cumsum(sizes, axis=0)
        places = [_stretches(end - size, size) for end, size in zip(ends, sizes, strict=True)]
        for name, column in schema.items():
            if column.dtype != "utf8":
                columns[name] = np.empty(int(offsets[-1]), column.storage)
                for place, table in zip(places, tables, strict=True):
                    columns[name][place] = table.columns[name]
    left = {name: column for name, column in schema.items() if name not in columns}
    if left:
        before = np.concatenate([[0], np.cumsum(bounds[:, -1])[:-1]])
        order = _stretches((bounds[:, :-1] + before[:, None]).T.reshape(-1), sizes.T.reshape(-1))
        whole = {name: _joined(column, [t.columns[name] for t in tables]) for name, column in left.items()}
        columns |= _chosen(left, whole, order)
    return Table(schema, columns, offsets)


def tables_side_by_side(tables: Sequence[Table]) -> Table:
    """Return tables of one run each as one table, its runs in their order; category codes as in `join_tables`."""
    tables = _declared_alike(tables)
    schema = tables[0].schema
    columns = {name: _joined(column, [t.columns[name] for t in tables]) for name, column in schema.items()}
    return Table(schema, columns, np.concatenate([[0], np.cumsum([len(table) for table in tables])]))


def _declared_alike(tables: Sequence[Table]) -> Sequence[Table]:
    """Return the tables with one schema: categories numbered by one list of names; see `join_tables`."""
    first = tables[0]
    if all(table.schema is first.schema and table.runs == first.runs for table in tables):
        return tables
    schema = dict(first.schema)
    for table in tables[1:]:
        if table.runs != first.runs:
            raise TruthError(f"a table of {table.runs} runs cannot follow one of {first.runs} runs")
        if table.schema.keys() != schema.keys():
            odd = sorted(set(table.schema) ^ set(schema))
            raise TruthError(f"tables that follow each other have other columns: {', '.join(odd)}")
        for name, column in table.schema.items():
            known = schema[name]
            if column is known or column == known:
                continue
            if replace(column, names=known.names) != known or column.dtype != "category":
                raise TruthError(f"column {name!r} is declared in another way than in the table before it")
            schema[name] = replace(known, names=tuple(dict.fromkeys((*known.names, *column.names))))
    return [_recoded(table, schema) for table in tables]


def _recoded(table: Table, schema: Schema) -> Table:
    """Return the table with its categories numbered by the names of `schema`, which hold all of its own."""
    columns = dict(table.columns)
    for name, column in schema.items():
        names = table.schema[name].names
        if names != column.names[: len(names)]:
            place = {word: code for code, word in enumerate(column.names)}
            codes = np.array([*(place[word] for word in names), -1], np.int32)  # -1, null, finds the last one
            columns[name] = codes[columns[name]]
    return Table(schema, columns, table.offsets)


def _joined(column: Column, parts: Sequence[AnyArray]) -> AnyArray:
    if column.dtype == "utf8":
        return joined_strings(parts)
    return np.concatenate(parts) if parts else np.zeros(0, column.storage)


def _chosen(schema: Schema, columns: Mapping[str, AnyArray], rows: IntArray | BoolArray) -> dict[str, AnyArray]:
    """Return those rows of every column: by number, or where a mask is true."""
    return {
        name: chosen_strings(values, rows) if schema[name].dtype == "utf8" else values[rows]
        for name, values in columns.items()
    }


def _nothing(column: Column, rows: int) -> AnyArray:
    """Return a column of nulls: NaN, -1, False, 0 or ''."""
    if column.dtype in ("text", "utf8"):
        return column.array([""] * rows)
    return np.full(rows, {"f": np.nan, "i": -1}.get(column.storage.kind, 0), column.storage)


def _stretches(starts: IntArray, sizes: IntArray) -> IntArray:
    """Return the numbers starts[i] … starts[i] + sizes[i] - 1, for one i after the other; shape (sizes.sum(),)."""
    ends = np.cumsum(sizes)
    rows: IntArray = np.repeat(starts - ends + sizes, sizes) + np.arange(ends[-1] if len(ends) else 0)
    return rows


def seconds(t: AnyArray, schema: Schema) -> FloatArray:
    """Return a time column in seconds, whatever its unit."""
    scale = {"us": 1e-6, "ms": 1e-3, "ns": 1e-9}.get(schema["t"].unit, 1.0)
    return np.asarray(t, np.float64) * scale


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """Uniformly sampled channels of several runs.

    Sample j of every run is at t = (first + j) / rate [s]; no time column is kept. `values` has shape
    (runs, n, channels), float32 or float64; `channels` declares each channel's unit and meaning, in order.
    `counts` (runs,) says how many of the n samples are a run's own: a run that has ended has no sample after its end.
    Like a table's, its arrays are taken over and cannot be written to.
    """

    rate: float
    first: int
    values: AnyArray
    channels: Schema
    counts: IntArray

    def __post_init__(self) -> None:
        if self.values.ndim != 3 or self.values.shape[2] != len(self.channels) or len(self.counts) != len(self.values):
            raise TruthError(
                f"signals of {len(self.channels)} channels and {len(self.counts)} runs have values of shape"
                f" {self.values.shape}",
                "the shape is (runs, samples, channels)",
            )
        if self.values.dtype not in (np.float32, np.float64):
            raise TruthError(f"signals are float32 or float64, not {self.values.dtype}")
        if len(self.counts) and not 0 <= int(self.counts.min()) <= int(self.counts.max()) <= self.values.shape[1]:
            raise TruthError(f"a run of signals has {int(self.counts.max())} of {self.values.shape[1]} samples")
        object.__setattr__(self, "values", read_only(self.values))
        object.__setattr__(self, "counts", read_only(self.counts))

    @staticmethod
    def of(rate: float, first: int, values: AnyArray, channels: Schema) -> Signals:
        """Return signals of which every run has all samples."""
        return Signals(rate, first, values, channels, np.full(len(values), values.shape[1], np.int64))

    @property
    def runs(self) -> int:
        """How many runs it holds."""
        return len(self.values)

    def t(self) -> FloatArray:
        """Return the times of the samples; shape (n,) [s]."""
        return (self.first + np.arange(self.values.shape[1])) / self.rate

    def run(self, i: int) -> AnyArray:
        """Return the samples of the i-th run, as a view; shape (counts[i], channels)."""
        values: AnyArray = self.values[i, : int(self.counts[i])]
        return values


def join_signals(parts: Sequence[Signals]) -> Signals:
    """Join signals of the same runs that follow each other in time.

    Raises:
        TruthError: their rates or channels differ, or a sample is missing between two of them.
    """
    head = parts[0]
    if len(parts) == 1:
        return head
    reached = head.first
    for part in parts:
        if part.rate != head.rate or part.channels != head.channels or part.first != reached:
            raise TruthError(
                f"signals at {part.rate:g} Hz from sample {part.first} follow signals at {head.rate:g} Hz that"
                f" end before sample {reached}"
            )
        reached += part.values.shape[1]
    # A run that has ended has no later sample: its own samples stay in one piece at the front.
    values = np.concatenate([part.values for part in parts], axis=1)
    return Signals(head.rate, head.first, values, head.channels, np.sum([part.counts for part in parts], axis=0))


EVENTS: Schema = {
    "t": Column(unit="s", role="time"),
    "event_id": Column("text", role="key"),
    "parent_id": Column("text", role="cause"),
    "kind": Column("text"),
    "subject": Column("text", role="entity"),
    "details": Column("text", about="JSON object"),
}

LABELS: Schema = {
    "label_id": Column("text", role="key"),
    "class": Column("text", role="label"),
    "target": Column("text", role="entity"),
    "t_cause": Column(unit="s", about="the parameter moved", role="label"),
    "t_effect": Column(unit="s", null=True, about="the stream leaves its twin", role="label"),
    "t_observable": Column(unit="s", null=True, about="it leaves the band of healthy runs; null = never", role="label"),
    "t_end": Column(unit="s", null=True, role="label"),
    "t_reported": Column(unit="s", null=True, about="when an analyst would know; null = never", role="reported"),
    "severity": Column(role="value"),
    "causes": Column("text", about="JSON list of ids of faults, events and labels", role="cause"),
    "role": Column("text", role="label"),
    "twin": Column("text", about="id of the twin run's cause that was left out; empty = no twin", role="cause"),
}
