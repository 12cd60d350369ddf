"""How many of what a dataset holds are of each class, in each part: runs with the event, labels, rows, objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.arrow import declared_columns, readable
from mischance.dataset.splits import PARTS

if TYPE_CHECKING:
    import pyarrow as pa

    from mischance.api.tables import IntArray

RUNS, LABELS, ROWS, OBJECTS = "runs", "labels", "rows", "objects"


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How often a class occurs.

    `what` is counted: runs, labels, rows of a table, or objects in the images of a sensor, which is `of`. `total` is
    how many there are in all, 0 where that is not counted. `parts`: part of the dataset -> (how often, how many in
    all); empty where runs are not what the dataset is divided by.
    """

    what: str
    of: str
    name: str
    count: int
    total: int
    parts: Mapping[str, tuple[int, int]]

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "what": self.what, "of": self.of, "class": self.name, "count": self.count, "total": self.total,
            "parts": {name: list(pair) for name, pair in self.parts.items()},
        }  # fmt: skip

    @staticmethod
    def of_plain(values: Mapping[str, Any]) -> ClassCount:
        """Return it from plain values."""
        parts = {name: (int(count), int(total)) for name, (count, total) in values["parts"].items()}
        return ClassCount(values["what"], values["of"], values["class"], values["count"], values["total"], parts)


def class_counts(out: Path, event: str = "event", groups: Mapping[int, str] | None = None) -> list[ClassCount]:
    """Return the counts of a dataset's classes, the most frequent of each kind first.

    Args:
        out: the dataset.
        event: name of the event.
        groups: run -> name of the group to count by, in place of the parts of the dataset.
    """
    if groups is None:
        groups = _parts(out)
    names = [name for name in PARTS if name in set(groups.values())] or list(dict.fromkeys(groups.values()))
    return [one for found in _found(out, event) for one in _counted(found, groups, names)]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Classes of things, one each: the runs that they are in, and for each class its rows; `all`: runs of all."""

    what: str
    of: str
    classes: Mapping[str, IntArray]
    all: IntArray | None


def _found(out: Path, event: str) -> Iterator[_Rows]:
    for table in _files(out / "runs"):
        if "event" in table:
            runs = _column(out / "runs", "run")
            yield _Rows(RUNS, "", {event: runs[_column(out / "runs", "event").astype(np.bool_)]}, runs)
        break
    if list(_files(out / LABELS)):
        yield _Rows(LABELS, "", _by_class(out / LABELS, "class"), None)
    for folder in sorted(path for path in (out / LABELS).glob("*") if path.is_dir()):
        columns = next(_files(folder), {})
        flags = [name for name, column in columns.items() if column.role == "label" and column.dtype == "bool"]
        if flags:
            run = _column(folder, "run")
            marked = {name: run[_column(folder, name).astype(np.bool_)] for name in flags}
            yield _Rows(ROWS, folder.name, marked, None)
        if "category" in next(_files(folder / OBJECTS), {}):
            yield _Rows(OBJECTS, folder.name, _by_class(folder / OBJECTS, "category"), None)


def _counted(rows: _Rows, groups: Mapping[int, str], names: Sequence[str]) -> list[ClassCount]:
    everything = _by_group(rows.all, groups) if rows.all is not None else Counter[str]()
    found = []
    for name, run in rows.classes.items():
        counts = _by_group(run, groups)
        parts = {part: (counts[part], everything[part]) for part in names}
        total = len(rows.all) if rows.all is not None else 0
        found.append(ClassCount(rows.what, rows.of, name, len(run), total, parts))
    return sorted(found, key=lambda one: (-one.count, one.name))


def _by_group(run: IntArray, groups: Mapping[int, str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for number, count in zip(*np.unique(run, return_counts=True), strict=True):
        counts[groups.get(int(number), "")] += int(count)
    return counts


def _parts(out: Path) -> dict[int, str]:
    """Return the part of each run; {} where the dataset is not divided by run."""
    if next(_files(out / "splits"), {}).keys() != {"run", "split"}:
        return {}
    run = _column(out / "splits", "run").tolist()
    return dict(zip(run, [str(name) for name in _column(out / "splits", "split")], strict=True))


def _by_class(folder: Path, column: str) -> dict[str, IntArray]:
    run, names = _column(folder, "run"), _column(folder, column)
    return {str(name): run[names == name] for name in dict.fromkeys(sorted(names.tolist()))}


def _files(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Yield what the columns of each file of a table are."""
    import pyarrow.parquet as pq

    for file in sorted(folder.glob("*.parquet")):
        with readable(file):
            yield declared_columns(pq.read_schema(file))


def _column(folder: Path, name: str) -> Any:
    """Return one column of all files of a table."""
    import pyarrow.parquet as pq

    found: list[pa.ChunkedArray] = []
    for file in sorted(folder.glob("*.parquet")):
        with readable(file), pq.ParquetFile(file) as source:
            found.append(source.read(columns=[name])[name])
    kept = [_values(column) for column in found if len(column)]
    return np.concatenate(kept) if kept else np.zeros(0, np.int64 if name == "run" else object)


def _values(column: pa.ChunkedArray) -> Any:
    import pyarrow as pa

    plain = pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)
    return column.to_numpy() if plain and not column.null_count else np.array(column.to_pylist(), object)


def in_words(counts: Sequence[ClassCount], most: int = 4) -> list[str]:
    """Return a line for each kind of thing that is counted: how many of each class there are, and in which parts.

    Classes that do not occur are left out, and so are runs where there is nothing to say of parts.
    """
    lines: dict[tuple[str, str], list[ClassCount]] = {}
    for one in counts:
        if one.count and (one.what != RUNS or one.parts):
            lines.setdefault((one.what, one.of), []).append(one)
    found = []
    for (what, of), classes in lines.items():
        shown = [f"{one.name} {_said(one)}" for one in classes[:most]]
        more = [f"{len(classes) - most} more"] if len(classes) > most else []
        head = {RUNS: "runs", LABELS: "labels", ROWS: f"labelled rows of {of}", OBJECTS: f"objects seen by {of}"}[what]
        found.append(f"{head}: {', '.join([*shown, *more])}")
    return found


def _said(one: ClassCount) -> str:
    if one.total:
        parts = [f"{part} {count} of {total}" for part, (count, total) in one.parts.items()]
        said = f"{one.count:,} of {one.total:,}"
    else:
        parts = [f"{part} {count:,}" for part, (count, _) in one.parts.items() if count]
        said = f"{one.count:,}"
    return f"{said} ({', '.join(parts)})" if parts else said


__all__ = ["ClassCount", "class_counts", "in_words"]
