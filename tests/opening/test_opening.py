"""Opening a dataset: rows with units, labels as they were known at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mischance.opening.reading
from mischance.dataset.parts import join_records
from mischance.errors import DatasetError
from mischance.sweep.jobs import sweep
from tests.dataset.small_world import HONEST, FakeScenario, records

RUNS = 20


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> mischance.opening.reading.Dataset:
    out = tmp_path_factory.mktemp("opening") / "data"
    sweep(FakeScenario(), RUNS, out, workers=0, shard=8, work=HONEST)  # type: ignore[arg-type]
    return mischance.opening.reading.open(out)


def truth(name: str, place: str = "truth") -> pd.DataFrame:
    table = join_records(list(records(np.arange(RUNS), 7, batch=RUNS))).tables[f"{place}/{name}"]
    return pd.DataFrame({"run": table.run_index(), **table.columns})


@pytest.mark.parametrize("as_of", [None, 0.6, 0.0, 9.0])
def test_a_table_with_labels_shows_what_was_known_by_then(
    data: mischance.opening.reading.Dataset, as_of: float | None
) -> None:
    frame = data.table("payments", labels=True, as_of=as_of)
    labels = truth("payments", "labels")
    known = labels if as_of is None else labels[labels["t_reported"] <= as_of]
    keys = set(zip(known["run"], known["event_id"], strict=True))
    wanted = [(run, event) in keys for run, event in zip(frame["run"], frame["event_id"], strict=True)]
    there = truth("payments")["t"] <= (np.inf if as_of is None else as_of)
    assert len(frame) == there.sum()
    if as_of is None:
        assert frame["is_fraud"].dtype == bool
        assert frame["is_fraud"].tolist() == wanted
    else:
        # what is not known yet is neither yes nor no
        assert [None if pd.isna(said) else said for said in frame["is_fraud"]] == [said or None for said in wanted]
        assert (frame["t_reported"].notna() == frame["is_fraud"].notna()).all()


def test_a_table_comes_with_types_and_units(data: mischance.opening.reading.Dataset) -> None:
    frame = data.table("truth/payments")
    assert frame.attrs["units"] == {"t": "s", "cents": "ct"}
    assert frame["kind"].dtype == "category"
    assert frame["cents"].tolist() == truth("payments")["cents"].tolist()
    assert data.table("payments").equals(frame)
    assert data.arrow("payments").num_rows == len(frame)
    assert len(data.table("runs")) == RUNS
    assert "weight" in data.table("runs")


@pytest.mark.parametrize("runs", [3, [3, 9], np.array([0, 19]), []])
def test_runs_can_be_had_alone(data: mischance.opening.reading.Dataset, runs: object) -> None:
    frame = data.table("payments", runs=runs)  # type: ignore[arg-type]
    whole = data.table("payments")
    assert frame["note"].tolist() == whole[whole["run"].isin(np.atleast_1d(runs))]["note"].tolist()  # type: ignore[arg-type]
    assert len(data.table("payments", labels=True, runs=runs)) == len(frame)  # type: ignore[arg-type]


def test_tables_images_and_the_manifest_are_found(data: mischance.opening.reading.Dataset) -> None:
    assert data.tables() == ["events", "labels", "labels/payments", "runs", "splits", "truth/payments"]
    assert [file.name for file in data.frames("sensors/front/frames", 3)] == [f"{k:09d}.png" for k in range(3)]
    assert data.manifest["plan"]["runs"] == RUNS


def test_what_is_not_there_is_one_line_with_what_is(data: mischance.opening.reading.Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no table 'cards'") as missing:
        data.table("cards")
    assert "truth/payments" in missing.value.hint
    with pytest.raises(DatasetError, match="has no label table"):
        data.table("runs", labels=True)
    with pytest.raises(DatasetError, match="no images"):
        data.frames("sensors/rear/frames", 3)
    with pytest.raises(DatasetError, match="is no dataset"):
        mischance.opening.reading.open(tmp_path)


def test_opening_imports_nothing_heavy() -> None:
    code = "import mischance.opening.reading, sys; print({'pandas', 'pyarrow', 'cv2', 'pebble'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
