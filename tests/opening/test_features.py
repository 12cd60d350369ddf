"""What a model is given and what it is to find, apart: roles of columns, the future, what is not known yet."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import mischance
from mischance.api.arrow import arrow_schema
from mischance.api.names import padded
from mischance.api.roles import HIDDEN_ROLES
from mischance.api.tables import Column
from mischance.errors import DatasetError
from mischance.language import catalog
from mischance.opening.reading import Dataset
from mischance.opening.roles import feature_columns, key_columns, label_columns
from mischance.sweep.jobs import sweep

ON_PURPOSE = Path(__file__).with_name("features.yaml")
SHORT = {"payments": {"duration": "1 d", "simulator.cards": "200", "simulator.merchants": "20"}}

SALES = {
    "t": Column("int64", unit="us", role="time"),
    "sale_id": Column("int64", role="key"),
    "amount": Column("int64", unit="ct", role="value"),
    "desk": Column("category", names=("a", "b"), role="entity"),
    "checked": Column("bool", role="label"),
}
SALE_LABELS = {
    "sale_id": Column("int64", role="key"),
    "late": Column("bool", role="label"),
    "why": Column("text", role="cause"),
    "t_reported": Column(unit="s", null=True, role="reported"),
}
N = 6  # sales of each of two runs, one a second


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a dataset in which sale 1 of run 0 has two labels, and sale 2 of run 1 one that is never reported."""
    (tmp_path / "scenario.yaml").write_text("mischance: 1\nname: test/shop\n")
    run, number = np.repeat([0, 1], N), np.tile(np.arange(N), 2)
    sales = pa.table(
        [run, number * 1_000_000, number, 7 * number, pa.array(np.where(number % 2, "a", "b")).dictionary_encode(),
         number > 2], schema=arrow_schema(SALES),
    )  # fmt: skip
    labels = pa.table(
        [[0, 0, 0, 1], [1, 1, 4, 2], [False, True, True, True], ["x", "y", "z", "w"], [4.0, 2.5, 9.0, None]],
        schema=arrow_schema(SALE_LABELS),
    )
    splits = pa.table(
        [run[::3], np.array(["a", "b"] * 2, object), ["train", "test", "val", "train"]],
        names=["run", "desk", "split"],
    )
    for path, table in {"truth/sales": sales, "labels/sales": labels, "splits": splits}.items():
        (tmp_path / path).mkdir(parents=True)
        pq.write_table(table, tmp_path / path / f"{padded(0)}-{padded(1)}.parquet")
    return tmp_path


def test_features_and_labels_have_the_same_rows_and_nothing_else_in_common(shop: Path) -> None:
    data = mischance.open(shop)
    for chosen in ({}, {"runs": 1}, {"as_of": 3.0}, {"split": "train"}, {"split": "train", "as_of": 2.0, "runs": [0]}):
        x, y = data.features("sales", **chosen), data.labels("sales", **chosen)
        assert x.index.equals(y.index)
        assert x.index.names == ["run", "sale_id"]
        assert list(x) == ["t", "amount", "desk"]
        assert list(y) == ["late", "why", "t_reported"]
        assert list(x.join(y)) == [*x, *y]
    assert data.features("sales").attrs["units"] == {"t": "s", "amount": "ct"}
    assert data.features("sales", columns="amount")["amount"].tolist() == [7 * k for k in range(N)] * 2


def test_the_whole_truth_says_no_where_there_is_no_label(shop: Path) -> None:
    y = mischance.open(shop).labels("sales")
    assert y["late"].dtype == "boolean"
    # two labels of one sale: yes where any says yes, and the words of the first
    assert y["late"].tolist() == [False, True, False, False, True, False] + [False, False, True] + [False] * 3
    assert y.loc[(0, 1), "why"] == "x"
    assert y["why"].notna().sum() == 3


@pytest.mark.parametrize("as_of", [-1.0, 2.0, 2.5, 3.0, 4.0, 9.0, 1e9])
def test_the_future_is_absent_and_the_unknown_is_null(shop: Path, as_of: float) -> None:
    data = mischance.open(shop)
    x, y = data.features("sales", as_of=as_of), data.labels("sales", as_of=as_of)
    assert len(x) == 2 * max(0, min(N, int(as_of) + 1))
    assert (x["t"] <= as_of).all()
    known = {(0, 1): True} if as_of >= 2.5 else {}
    known |= {(0, 4): True} if as_of >= 9.0 else {}
    assert {key: bool(said) for key, said in y["late"].items() if said is not pd.NA} == known
    assert (y["t_reported"].dropna() <= as_of).all()
    assert y["why"].notna().sum() == len(known)
    both = data.table("sales", labels=True, as_of=as_of)
    assert both["late"].equals(y["late"].reset_index(drop=True))
    assert "why" not in both, "what led to it is no column of a table that is looked at with its labels"
    assert len(data.table("sales", as_of=as_of)) == len(x)


def test_a_part_of_the_dataset_can_be_had_alone(shop: Path) -> None:
    data = mischance.open(shop)
    parts = {part: data.features("sales", split=part) for part in ("train", "val", "test")}
    assert sum(map(len, parts.values())) == 2 * N
    desks = {part: {(run, desk) for (run, _), desk in rows["desk"].items()} for part, rows in parts.items()}
    assert desks == {"train": {(0, "a"), (1, "b")}, "val": {(1, "a")}, "test": {(0, "b")}}
    with pytest.raises(DatasetError, match="no split 'training'") as refused:
        data.features("sales", split="training")
    assert "train" in refused.value.hint


def test_what_is_no_feature_is_refused(shop: Path) -> None:
    data = mischance.open(shop)
    with pytest.raises(DatasetError, match="'checked' of table 'truth/sales' is no feature") as refused:
        data.features("sales", columns=["amount", "checked"])
    assert refused.value.hint == "features: t, amount, desk"
    with pytest.raises(DatasetError, match="'price' of table 'truth/sales' does not exist"):
        data.features("sales", columns="price")
    for name in ("labels/sales", "splits"):
        with pytest.raises(DatasetError, match="has no features: it is truth about others"):
            data.features(name)


# -- every world of the library -----------------------------------------------------------------------------------


@cache
def scenarios() -> dict[str, str]:
    """Return one scenario for each kind of world: kind -> name."""
    found: dict[str, str] = {}
    for entry in catalog.entries("scenarios"):
        found.setdefault(mischance.load(entry.name).simulator.kind, entry.name)
    return found


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a small dataset of each world whose libraries are installed."""
    made = {}
    for kind, name in scenarios().items():
        plain = mischance.load(name)
        small = {f"sensors.{sensor}.size": "[64,48]" for sensor, one in plain.sensors.items() if "size" in one.tree}
        scenario = mischance.load(name, {**SHORT.get(kind, {"duration": "3 s"}), **small, "write": "[parquet]"})
        out = tmp_path_factory.mktemp("worlds") / kind.replace("/", "_")
        try:
            sweep(scenario, 2, out, workers=0)
        except mischance.MischanceError as error:
            if "is not installed" not in error.message:
                raise
            continue
        made[kind] = out
    return made


def test_every_column_has_a_role_or_is_a_feature_on_purpose(worlds: dict[str, Path]) -> None:
    wanted = yaml.safe_load(ON_PURPOSE.read_text())
    for kind, out in worlds.items():
        data = mischance.open(out)
        found = {}
        for path in data.tables():
            columns = data.columns(path)
            assert "run" in key_columns(columns), f"{kind}: {path}"
            if path.startswith(("truth/", "sensors/")):
                plain = [name for name, column in columns.items() if not column.role]
                found |= {path: plain} if plain else {}
                assert set(plain) <= set(feature_columns(path, columns))
            elif path.startswith("labels"):
                silent = {name for name, column in columns.items() if not column.role}
                assert silent <= {"width", "height", "fov", "qx", "qy", "qz", "qw"}, f"{kind}: {path}: {silent}"
        assert found == wanted[kind], f"{kind}: give a column of these tables a role, or list it in {ON_PURPOSE.name}"
    if len(worlds) == len(scenarios()):
        assert wanted.keys() == worlds.keys()


def permuted(table: pa.Table, names: list[str]) -> pa.Table:
    """Return the table with those columns in the reverse order of rows."""
    for name in names:
        place = table.schema.get_field_index(name)
        table = table.set_column(
            place, table.schema.field(place), table[name].take(pa.array(np.arange(len(table))[::-1]))
        )
    return table


def contents(data: Dataset) -> dict[str, bytes]:
    found = {}
    for path in data.tables():
        if path == "runs" or path.startswith(("truth/", "sensors/")):
            x = data.features(path)
            assert not {data.columns(path)[name].role for name in x} & {*HIDDEN_ROLES, "key", "weight"}
            found[path] = x.reset_index().to_json(double_precision=15).encode()
    return found


def test_features_do_not_change_with_the_labels(worlds: dict[str, Path], tmp_path: Path) -> None:
    changed = 0
    for kind, made in worlds.items():
        out = tmp_path / kind
        shutil.copytree(made, out)
        data = mischance.open(out)
        before = contents(data)
        for path in data.tables():
            columns = data.columns(path)
            truth = [name for name in label_columns(path, columns) if name not in key_columns(columns)]
            for file in (out / path).glob("*.parquet"):
                table = pq.ParquetFile(file).read()
                again = permuted(table, [name for name in truth if name in table.column_names])
                changed += not again.equals(table)
                pq.write_table(again, file)
        assert contents(mischance.open(out)) == before
    assert changed > len(worlds), "labels that were not changed show nothing"


def test_rows_without_labels_of_their_own_have_the_label_that_is_in_force(worlds: dict[str, Path]) -> None:
    asked = 0
    for out in worlds.values():
        data = mischance.open(out)
        labels = data.table("labels")
        for path in [one for one in data.tables() if one.startswith("sensors/")]:
            rows, y = data.table(path), data.labels(path)
            own = f"sensors.{path.split('/')[1]}"
            for i in range(0, len(rows), 37):
                run, t = rows["run"].iloc[i], rows["t"].iloc[i]
                there = labels[(labels["run"] == run) & (labels["t_cause"] <= t)]
                there = there[~(there["t_end"] <= t) | (there["t_cause"] == t)]
                mine = [not to.startswith("sensors.") or to == own for to in there["target"]]
                there = there[np.array(mine, np.bool_)]
                last = there.sort_values(["t_cause", "label_id"])["class"].tolist()[-1:]
                assert y["class"].iloc[i : i + 1].dropna().tolist() == last
                asked += bool(last)
    assert asked
