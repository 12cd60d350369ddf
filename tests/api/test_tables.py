"""Tables: joining by names, rows by number and by mask, and columns of Arrow strings."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mischance.api.tables as tables
from mischance.api.strings import strings
from mischance.api.tables import Column, Table, join_tables
from mischance.errors import TruthError

SCHEMA = {"n": Column("int64"), "place": Column("category", names=("a", "b")), "line": Column("utf8")}
ROWS = st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 1), st.sampled_from(["", "é", "two words", None])))


def table(runs: list[list[tuple[object, ...]]], schema: dict[str, Column] = SCHEMA) -> Table:
    given = [{name: [row[i] for row in rows] for i, name in enumerate(schema)} if rows else {} for rows in runs]
    return Table.of(schema, given)


def rows_of(whole: Table) -> list[list[tuple[object, ...]]]:
    """Return every run's rows, categories by name."""
    found = []
    for i in range(whole.runs):
        columns = []
        for name, values in whole.run(i).items():
            names = whole.schema[name].names
            plain = values.to_pylist() if isinstance(values, pa.Array) else values.tolist()
            columns.append([names[v] if v >= 0 else None for v in plain] if names else plain)
        found.append(list(zip(*columns, strict=True)))
    return found


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(ROWS, min_size=n, max_size=n), min_size=1, max_size=4)))
@settings(max_examples=60, deadline=None)
def test_joined_tables_are_what_one_table_would_be(parts: list[list[list[tuple[object, ...]]]]):
    whole = rows_of(table([list(chain.from_iterable(run)) for run in zip(*parts, strict=True)]))
    for few in (0, 10**9):  # both ways of joining: by place, and by taking rows
        before, tables.FEW_ROWS = tables.FEW_ROWS, few
        try:
            assert rows_of(join_tables([table(part) for part in parts])) == whole
        finally:
            tables.FEW_ROWS = before


@pytest.mark.parametrize("few", [0, 10**9])
@pytest.mark.parametrize("runs", [1, 2])
def test_categories_are_joined_by_name_never_relabelled(monkeypatch: pytest.MonkeyPatch, few: int, runs: int):
    monkeypatch.setattr(tables, "FEW_ROWS", few)

    def piece(*names: str) -> Table:
        codes = np.array([*range(len(names)), -1], np.int32)
        return Table.of({"c": Column("category", names=names)}, [{"c": codes}] * runs)

    joined = join_tables([piece("web"), piece("db"), piece("db", "web"), piece("app", "db")])
    assert joined.schema["c"].names == ("web", "db", "app")
    wanted = ["web", None, "db", None, "db", "web", None, "app", "db", None]
    assert [[row for (row,) in rows] for rows in rows_of(joined)] == [wanted] * runs


@pytest.mark.parametrize(
    "other",
    [
        {"v": Column(unit="km")},
        {"v": Column("int64", unit="m")},
        {"w": Column(unit="m")},
        {"v": Column(unit="m"), "w": Column()},
    ],
    ids=["unit", "type", "name", "number"],
)
def test_tables_of_other_columns_are_refused(other: dict[str, Column]):
    first = Table.empty({"v": Column(unit="m")}, 2)
    with pytest.raises(TruthError, match="column"):
        join_tables([first, Table.empty(other, 2)])
    with pytest.raises(TruthError, match="3 runs"):
        join_tables([first, Table.empty({"v": Column(unit="m")}, 3)])


def test_runs_and_rows_are_picked_with_their_strings():
    whole = table([[(1, 0, "x"), (2, 1, None)], [], [(3, -1, "y")]])
    assert rows_of(whole.pick([2, 0, 0])) == [rows_of(whole)[i] for i in (2, 0, 0)]
    kept = whole.take(np.array([False, True, True]))
    assert rows_of(kept) == [[(2, "b", None)], [], [(3, None, "y")]]


def test_a_run_of_a_column_of_strings_is_a_view():
    whole = table([[(0, 0, "one")], [(0, 0, "two")]])
    part = whole.run(1)["line"]
    assert part.to_pylist() == ["two"]
    assert part.buffers()[2].address == whole.columns["line"].buffers()[2].address


def test_a_column_of_strings_holds_arrow_strings_alone():
    bounds = np.array([0, 1])
    with pytest.raises(TruthError, match="Arrow"):
        Table({"line": Column("utf8")}, {"line": np.array(["x"], object)}, bounds)
    with pytest.raises(TruthError, match="Arrow"):
        Table({"line": Column("utf8")}, {"line": pa.array([1])}, bounds)
    with pytest.raises(TruthError, match="strings"):
        strings(["x", 1])
    large = strings(pa.array(["x"], pa.large_string()))
    assert len(Table({"line": Column("utf8")}, {"line": large}, bounds)) == 1


def test_what_may_be_missing_is_filled():
    schema = {name: replace(column, null=True) for name, column in SCHEMA.items()}
    schema["t"] = Column(null=True)
    whole = Table.of({"k": Column("int64"), **schema}, [{"k": [1, 2]}])
    assert whole.columns["place"].tolist() == [-1, -1]
    assert whole.columns["line"].to_pylist() == ["", ""]
    assert np.isnan(whole.columns["t"]).all()


def test_tables_without_strings_need_no_arrow():
    code = "import sys; from mischance.api.tables import EVENTS, Table, join_tables;"
    code += "join_tables([Table.empty(EVENTS, 2)] * 2); sys.exit('pyarrow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
