"""What a merge changes in the rows of a dataset beside the numbers of runs: origins, weights, names of twins, parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.arrow import arrow_schema
from mischance.api.randomness import run_uniform
from mischance.api.tables import Column, IntArray
from mischance.dataset.disk import FileFacts
from mischance.dataset.merged_tables import Numbers, Unified
from mischance.dataset.origins import Origin
from mischance.dataset.shards import range_name
from mischance.dataset.splits import PART, PARTS
from mischance.dataset.table_files import ParquetFile

if TYPE_CHECKING:
    import pyarrow as pa

    from mischance.api.tables import BoolArray, FloatArray

ORIGIN = Column("category", about="id of the dataset that the run is from")
ORIGIN_RUN = Column("int64", about="number of the run there")
RUNS, LABELS, SPLITS = "runs", "labels", "splits"
_SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset to be merged: its folder and manifest, its numbers of runs, and the factor of each run's weight."""

    folder: Path
    manifest: Mapping[str, Any]
    numbers: Numbers
    runs: IntArray  # numbers of the finished ones
    event: BoolArray
    factor: FloatArray


def with_origins(what: Unified, datasets: Sequence[str]) -> Unified:
    """Return the table `runs` with the columns that say where a run is from."""
    named = ("origin", "origin_run")
    fields = [field for field in what.schema if field.name not in named]
    fields += list(arrow_schema({"run": Column("int64"), "origin": ORIGIN, "origin_run": ORIGIN_RUN}))[1:]
    import pyarrow as pa

    return Unified(pa.schema(fields), {**what.names, "origin": tuple(datasets)})


def changes(
    path: str, one: Source, origins: Sequence[Origin], datasets: Sequence[str]
) -> Callable[[pa.Table, IntArray], pa.Table] | None:
    """Return what is changed in the rows of a table beside the numbers of its runs."""
    import pyarrow as pa

    if path == RUNS:
        firsts = np.array([origin.first for origin in origins])

        def with_origin(rows: pa.Table, was: IntArray) -> pa.Table:
            new = was + one.numbers.first
            which = np.searchsorted(firsts, new, side="right") - 1
            code = np.array([datasets.index(origin.dataset) for origin in origins], np.int32)[which]
            values = {
                "origin": pa.DictionaryArray.from_arrays(pa.array(code), pa.array(datasets, pa.string())),
                "origin_run": pa.array(new - firsts[which]),
            }
            if "weight" in rows.column_names:
                values["weight"] = pa.array(rows["weight"].to_numpy() * one.factor[np.searchsorted(one.runs, was)])
            for name, array in values.items():
                place = rows.schema.get_field_index(name)
                rows = rows.set_column(place, rows.schema.field(place), array)
            return rows

        return with_origin
    if path == LABELS:

        def with_twins(rows: pa.Table, was: IntArray) -> pa.Table:
            """Name the twins by the new numbers of their runs."""
            if "twin" not in rows.column_names:
                return rows
            names = [
                f"run:{run + one.numbers.first}{name.removeprefix(f'run:{run}')}" if name else name
                for run, name in zip(was.tolist(), rows["twin"].to_pylist(), strict=True)
            ]
            place = rows.schema.get_field_index("twin")
            return rows.set_column(place, rows.schema.field(place), pa.array(names, pa.string()))

        return with_twins
    return None


def redrawn_parts(draft: Path, sources: Sequence[Source], scenario: Mapping[str, Any]) -> dict[str, FileFacts]:
    """Deal the runs out to the parts anew, by the number that they have now."""
    import pyarrow as pa

    shares = {
        **_SHARES,
        **{name: float(share) for name, share in (scenario.get("split") or {}).items() if name in PARTS},
    }
    borders = np.cumsum([shares["train"], shares["val"]])
    written = {}
    for one in sources:
        new = one.runs + one.numbers.first
        codes = np.searchsorted(borders, run_uniform(0, "split", new), side="right").astype(np.int32)
        last = one.numbers.first + len(one.numbers.kept) - 1
        target = draft / SPLITS / f"{range_name(one.numbers.first, last)}.parquet"
        target.parent.mkdir(exist_ok=True)
        schema = arrow_schema({"split": PART})
        file = ParquetFile(SPLITS, target, schema)
        parts = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(PARTS, pa.string()))
        file.append(pa.RecordBatch.from_arrays([pa.array(new), parts], schema=schema))
        written[str(target.relative_to(draft))] = file.close()
    return written
