"""Windows for classifiers: which rows they hold, what class they get, streaming, balancing, and a model that trains."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mischance
from mischance.api.arrow import arrow_schema
from mischance.api.names import padded
from mischance.api.tables import LABELS, Column
from mischance.dataset.balancing import balanced
from mischance.errors import DatasetError
from mischance.opening.reading import Dataset

RATE = 10.0
SAMPLES = [95, 40, 7, 0, 120]  # of each run: one is shorter than a window, one has none
SHAKER = {"x": Column("float32", unit="m/s2", role="value"), "y": Column("float32", unit="m/s2", role="value")}
STOCK = {
    "t": Column("int64", unit="us", role="time"),
    "item_id": Column("int64", role="key"),
    "shelf": Column("category", names=("a", "b"), role="entity"),
    "level": Column(role="value"),
    "kind": Column("category", names=("big", "small")),
}
STOCK_LABELS = {"item_id": Column("int64", role="key"), "stolen": Column("bool", role="label"),
                "t_reported": Column(unit="s", null=True, role="reported")}  # fmt: skip
FAULTS = [  # run, class, target, t_cause, t_observable, t_end
    (0, "fault/loose", "shaker", 2.0, 2.5, 4.0),
    (0, "fault/stuck", "sensors.shaker", 3.0, None, None),
    (0, "fault/stuck", "sensors.other", 0.0, None, None),
    (1, "event/knock", "shaker", 1.05, None, 1.05),
    (4, "fault/loose", "shaker", 6.0, 6.0, 12.0),
]


def write(out: Path, path: str, table: pa.Table, group: int = 1000) -> None:
    (out / path).mkdir(parents=True, exist_ok=True)
    run = table["run"].to_numpy()
    for low, high in ((0, 1), (2, 4)):
        mine = pa.array((run >= low) & (run <= high))
        name = f"{padded(low)}-{padded(high)}.parquet"
        pq.write_table(table.filter(mine), out / path / name, row_group_size=group)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    out = tmp_path_factory.mktemp("windows")
    (out / "scenario.yaml").write_text("mischance: 1\nname: test/windows\n")
    run = np.repeat(np.arange(len(SAMPLES)), SAMPLES)
    number = np.concatenate([np.arange(n) for n in SAMPLES])
    schema = arrow_schema(SHAKER).with_metadata({"rate": repr(RATE), "first": "0"})
    shaker = pa.table([run, (1000 * run + number).astype(np.float32), -number.astype(np.float32)], schema=schema)
    write(out, "sensors/shaker", shaker, 17)
    # irregular in time, two shelves that take turns
    stock = pa.table(
        [run, number * number * 1000, number, pa.array(np.where(number % 3, "a", "b")).dictionary_encode(),
         number + 0.5, pa.array(np.where(number % 2, "big", "small")).dictionary_encode()],
        schema=arrow_schema(STOCK),
    )  # fmt: skip
    write(out, "truth/stock", stock, 13)
    stolen = (run == 0) & (number >= 40) & (number < 52)
    labels = pa.table(
        [run[stolen], number[stolen], np.ones(stolen.sum(), bool), np.full(stolen.sum(), 3.0)],
        schema=arrow_schema(STOCK_LABELS),
    )
    write(out, "labels/stock", labels)
    rows: dict[str, list[Any]] = {name: [] for name in ("run", *LABELS)}
    for i, (number_, path, target, cause, observable, end) in enumerate(FAULTS):
        values: Mapping[str, Any] = {
            "run": number_, "label_id": f"l:{i}", "class": path, "target": target, "t_cause": cause,
            "t_effect": None, "t_observable": observable, "t_end": end, "t_reported": 5.0 if i == 0 else None,
            "severity": 1.0, "causes": "[]", "role": "fault", "twin": "",
        }  # fmt: skip
        for name, column in rows.items():
            column.append(values[name])
    write(out, "labels", pa.table(rows, schema=arrow_schema(LABELS)))
    write(out, "splits", pa.table({"run": np.arange(5), "split": ["train", "val", "train", "test", "train"]}))
    weights = {"run": np.arange(5), "weight": [1.0, 0.5, 1.0, 1.0, 2.0]}
    write(out, "runs", pa.table(weights))
    return mischance.open(out)


def expected(length: int, step: int) -> list[tuple[int, int]]:
    """Return (run, first sample) of each window."""
    return [(run, k) for run, n in enumerate(SAMPLES) for k in range(0, n - length + 1, step)]


@pytest.mark.parametrize(
    ("length", "step"), [("1 s", None), ("1 s", "0.3 s"), (0.5, 0.1), ("2 s", "3.1 s"), ("0.1 s", None)]
)
def test_windows_hold_consecutive_samples_of_one_run(data: Dataset, length: Any, step: Any) -> None:
    windows = data.windows("shaker", length, step=step)
    n = round(RATE * (float(length.split()[0]) if isinstance(length, str) else length))
    gap = n if step is None else round(RATE * (float(step.split()[0]) if isinstance(step, str) else step))
    wanted = expected(n, gap)
    assert (windows.samples, windows.rate, windows.channels, windows.units) == (n, RATE, ("x", "y"), ("m/s2", "m/s2"))
    assert windows.X.dtype == np.float32
    assert windows.X.shape == (len(wanted), n, 2)
    assert list(zip(windows.run.tolist(), np.rint(windows.t * RATE).astype(int).tolist(), strict=True)) == wanted
    for (run, first), values in zip(wanted, windows.X, strict=True):
        assert values[:, 0].tolist() == [1000.0 * run + first + k for k in range(n)]
        assert values[:, 1].tolist() == [-float(first + k) for k in range(n)]


def class_by_hand(run: int, first: int, length: int, share: float, begin: int) -> str:
    """Return the class of a window over `FAULTS`, without arrays: a label is cut to the window and measured."""
    low, high = first / RATE, (first + length) / RATE
    best = ("none", -1.0)
    for number, path, target, cause, observable, end in FAULTS:
        since = cause if begin == 0 else observable
        if number != run or since is None or target == "sensors.other":
            continue
        until = float("inf") if end is None else end
        part = max(0.0, min(high, until) - max(low, since)) / (high - low)
        touches = part > 0 or low <= since < high
        if touches and part >= share - 1e-12 and part > best[1] + 1e-12:
            best = (path, part)
    return best[0]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("begin", ["t_cause", "t_observable"])
def test_a_window_has_the_class_that_is_in_force_for_most_of_it(data: Dataset, share: float, begin: str) -> None:
    windows = data.windows("shaker", "1.2 s", step="0.4 s", share=share, begin=begin)
    assert windows.classes == ("none", "event/knock", "fault/loose", "fault/stuck")
    number = 0 if begin == "t_cause" else 1
    wanted = [class_by_hand(run, first, 12, share, number) for run, first in expected(12, 4)]
    assert [windows.classes[code] for code in windows.y] == wanted
    assert len(set(wanted)) > 1
    labelled = windows.y > 0
    assert (windows.share[labelled] >= share).all()
    assert set(windows.label_id[labelled]) <= {"l:0", "l:1", "l:3", "l:4"}
    assert set(windows.label_id[~labelled]) == {""}


def test_of_equal_parts_the_label_that_began_first_counts(data: Dataset) -> None:
    # fault/loose from 2 s to 4 s and fault/stuck from 3 s on: in a window within 3 s to 4 s both are whole
    windows = data.windows("shaker", "1 s", step="0.5 s")
    (both,) = np.flatnonzero((windows.run == 0) & (np.abs(windows.t - 3.0) < 0.01))
    assert windows.label_id[both] == "l:0"
    assert windows.share[both] == pytest.approx(1.0)


def test_what_was_not_reported_is_unknown(data: Dataset) -> None:
    windows = data.windows("shaker", "1 s", as_of=6.0)
    assert (windows.t + 0.9 <= 6.0).all()
    assert set(windows.y[windows.run > 0]) == {-1}
    assert {windows.classes[code] for code in windows.y[windows.label_id == "l:0"]} == {"fault/loose"}
    assert data.windows("shaker", "1 s", as_of=4.9).y.max() == -1


@pytest.mark.parametrize("by", [None, ""])
def test_windows_of_rows_hold_rows_of_one_entity(data: Dataset, by: str | None) -> None:
    windows = data.windows("stock", 6, "stolen", step=2, by=by, share=0.5)
    table = data.table("stock").assign(
        stolen=lambda rows: (rows["run"] == 0) & rows["item_id"].between(40, 51), place=lambda rows: range(len(rows))
    )
    groups = ["run", "shelf"] if by is None else ["run"]
    wanted = []
    for _, rows in table.groupby(groups, observed=True):
        for k in range(0, len(rows) - 5, 2):
            part = rows.iloc[k : k + 6]
            wanted.append((part["place"].iloc[-1], part["level"].tolist(), int(part["stolen"].mean() >= 0.5)))
    wanted.sort()
    assert windows.channels == ("level",)
    assert windows.X[:, :, 0].tolist() == [levels for _, levels, _ in wanted]
    assert windows.y.tolist() == [flag for *_, flag in wanted]
    assert windows.classes == ("none", "yes")
    assert 0 < windows.y.sum() < len(windows)
    assert (windows.entity is None) == (by == "")


def test_batches_and_items_are_the_whole_in_pieces(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = data.windows("shaker", "1 s", step="0.3 s", split="train")
    assert set(whole.split) == {"train"}
    assert set(whole.run) == {0, 4}
    monkeypatch.setattr("mischance.opening.windows._LEAST", 5)
    monkeypatch.setattr("mischance.opening.windows._MEMORY", 1)
    pieces = data.windows("shaker", "1 s", step="0.3 s", split="train")
    batches = list(pieces.batches(7))
    assert {len(batch.X) for batch in batches[:-1]} == {7}
    for name in ("X", "y", "run", "t", "weight", "split"):
        assert np.array_equal(np.concatenate([getattr(batch, name) for batch in batches]), getattr(whole, name))
    assert whole.weight.tolist() == [1.0 if run == 0 else 2.0 for run in whole.run]
    again = pickle.loads(pickle.dumps(whole))  # as a loader hands it to its processes
    order = np.random.default_rng(1).permutation(len(whole)).tolist()
    for i in (*order, -1):
        values, label = again[i]
        assert np.array_equal(values, whole.X[i])
        assert label == whole.y[i]
    for (values, label), x, y in zip(whole, whole.X, whole.y, strict=True):
        assert np.array_equal(values, x)
        assert label == y
    with pytest.raises(IndexError):
        whole[len(whole)]


def test_windows_over_a_gap_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text("mischance: 1\nname: test/gap\n")
    k = np.delete(np.arange(60), [20, 21, 22])
    schema = arrow_schema({"t": Column(unit="s", role="time"), "v": Column(role="value")})
    write(tmp_path, "sensors/gauge", pa.table([np.zeros(57, int), k / 10, k * 1.0], schema=schema))
    write(tmp_path, "labels", pa.table({"run": [], **{name: [] for name in LABELS}}, schema=arrow_schema(LABELS)))
    windows = mischance.open(tmp_path).windows("gauge", "0.5 s", step="0.1 s")
    assert windows.rate == pytest.approx(10.0)
    assert windows.X[:, :, 0].tolist() == [list(range(i, i + 5)) for i in (*range(16), *range(23, 56))]
    assert set(windows.split) == {""}


def test_what_makes_no_windows_is_refused(data: Dataset) -> None:
    with pytest.raises(DatasetError, match="not evenly spaced in time") as refused:
        data.windows("stock", "1 s", "stolen")
    assert "length=20" in refused.value.hint
    for arguments, said in {
        ("shaker", "1 s", "colour"): "'colour' is no label of the rows",
        ("shaker", "1 m"): "length and step",
        ("shaker", "0.01 s"): "at least one row",
        ("runs", 3): "has no times",
    }.items():
        with pytest.raises(DatasetError, match=said):
            data.windows(*arguments)  # type: ignore[arg-type]
    with pytest.raises(DatasetError, match="'kind' of table 'truth/stock' holds no numbers"):
        data.windows("stock", 3, "stolen", columns=["kind"])
    with pytest.raises(DatasetError, match="both times or both whole numbers"):
        data.windows("shaker", "1 s", step=3)
    with pytest.raises(DatasetError, match="between 0 and 1"):
        data.windows("shaker", "1 s", share=2)


def test_balanced_windows_keep_the_base_rates_in_their_weights(data: Dataset) -> None:
    whole = data.windows("shaker", "0.5 s", step="0.1 s")
    part = whole.balanced({"fault/loose": 0.5})
    share = {name: float((part.y == code).mean()) for code, name in enumerate(part.classes)}
    assert share["fault/loose"] == pytest.approx(0.5, abs=1.5 / len(part))
    assert len(part) < len(whole)
    plain = np.array([{0: 1.0, 1: 0.5, 2: 1.0, 4: 2.0}[run] for run in part.run])
    chosen = part.weight / plain
    assert chosen.sum() == pytest.approx(len(part))
    for code in range(len(whole.classes)):
        if code == 2:  # its share is exact; that of a class among the others is an estimate
            assert chosen[part.y == code].sum() / len(part) == pytest.approx(float((whole.y == code).mean()))
    assert part.balanced(0.5).balance()["windows"].sum() == len(part.balanced(0.5))
    # the same windows whatever is read with them
    alone = {(run, t) for run, t in zip(part.run.tolist(), part.t.tolist(), strict=True)}
    again = data.windows("shaker", "0.5 s", step="0.1 s").balanced({"fault/loose": 0.5})
    assert {(run, t) for run, t in zip(again.run.tolist(), again.t.tolist(), strict=True)} == alone
    with pytest.raises(DatasetError, match="no class 'fault/lost'"):
        whole.balanced({"fault/lost": 0.5})
    with pytest.raises(DatasetError, match="no example"):
        data.windows("shaker", "0.5 s", split="val").balanced({"fault/loose": 0.5})


def test_weights_of_balancing_estimate_means_without_bias() -> None:
    rng = np.random.default_rng(3)
    n, draws = 400, 600
    y = (rng.random(n) < 0.05).astype(np.int64)
    value = rng.normal(3.0, 1.0, n) + 5.0 * y
    means = []
    for _ in range(draws):
        kept, weight = balanced(y, rng.random(n), {1: 0.4})
        assert kept[y == 1].all()
        means.append(float((weight * value)[kept].mean()))
    error = np.std(means, ddof=1) / draws**0.5
    assert abs(np.mean(means) - value.mean()) < 4 * error
    with pytest.raises(DatasetError, match="no room"):
        balanced(np.array([0, 1, 2]), np.array([0.1, 0.2, 0.3]), {0: 0.5, 1: 0.5})


def test_balance_counts_windows_by_split_and_class(data: Dataset) -> None:
    windows = data.windows("shaker", "1 s")
    table = windows.balance().set_index(["split", "class"])
    assert table["windows"].sum() == len(windows)
    assert table.loc[("val", "none"), "windows"] == 4
    assert table["share"].groupby("split").sum().tolist() == pytest.approx(
        [1.0] * table.index.get_level_values(0).nunique()
    )


def test_a_model_trains_on_windows_split_by_run(tmp_path: Path) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(5)
    (tmp_path / "scenario.yaml").write_text("mischance: 1\nname: test/learn\n")
    runs, n = 5, 400
    begins = rng.uniform(10.0, 25.0, runs)
    run, t = np.repeat(np.arange(runs), n), np.tile(np.arange(n) / 10, runs)
    noise = rng.normal(0.0, 1.0, runs * n) * np.where(t >= begins[run], 3.0, 1.0)
    schema = arrow_schema({"v": Column("float32", role="value")}).with_metadata({"rate": "10.0", "first": "0"})
    write(tmp_path, "sensors/gauge", pa.table([run, noise.astype(np.float32)], schema=schema))
    empty = {name: [None] * runs for name in LABELS}
    labels = {**empty, "run": np.arange(runs), "label_id": ["f:0"] * runs, "class": ["fault/noise"] * runs,
              "target": ["gauge"] * runs, "t_cause": begins}  # fmt: skip
    write(tmp_path, "labels", pa.table({name: labels[name] for name in ("run", *LABELS)}, schema=arrow_schema(LABELS)))
    write(tmp_path, "splits", pa.table({"run": np.arange(5), "split": ["train", "train", "train", "val", "test"]}))
    dataset = mischance.open(tmp_path)
    train, test = (dataset.windows("gauge", "2 s", split=part) for part in ("train", "test"))
    model = linear_model.LogisticRegression().fit(train.X.std(axis=1), train.y)
    # three times the standard deviation over 20 samples: the two hardly overlap
    assert model.score(test.X.std(axis=1), test.y) > 0.8 > float(max((test.y == 0).mean(), (test.y == 1).mean()))
