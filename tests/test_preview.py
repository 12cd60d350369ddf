"""A preview sheet shows what the dataset holds, and is the same for the same files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mischance._canvas import ALARM, PALETTE, WARNING
from mischance.errors import DatasetError
from mischance.preview import contact_sheet


def store(dataset: Path, name: str, columns: dict[str, object]) -> None:
    folder = dataset / name
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "000000-000063.parquet")


def started(dataset: Path, name: str) -> Path:
    dataset.mkdir(parents=True, exist_ok=True)
    (dataset / "scenario.yaml").write_text(f"mischance: 1\nname: {name}\nabout: A test.\nseed: 7\n")
    return dataset


@pytest.fixture
def filmed(tmp_path: Path) -> Path:
    """Return a dataset of three runs with a camera that sees one box come nearer."""
    dataset = started(tmp_path / "filmed", "test/filmed")
    store(
        dataset,
        "runs",
        {"run": [0, 1, 2], "event": [False, True, False], "margin": [1.5, -0.3, 2.0], "verdict": ["", "", ""]},
    )
    rows: dict[str, list[object]] = {key: [] for key in ("run", "t", "index", "actor", "x", "y", "w", "h")}
    rows |= {key: [] for key in ("distance", "visible", "instance", "truncated")}
    for run in range(3):
        for k in range(0, 30, 2):
            image = np.full((120, 160, 3), (200, 180, 160), np.uint8)
            size = 10 + k
            x, y = 80 - size // 2 + 5 * run, 60 - size // 2
            cv2.rectangle(image, (x, y), (x + size, y + size), (90, 60, 40), -1)
            depth = np.zeros((120, 160), np.uint16)
            depth[60:] = np.linspace(60000, 2000, 60).astype(np.uint16)[:, None]
            ids = np.zeros((120, 160), np.uint16)
            ids[y : y + size, x : x + size] = 2
            for place, what in (
                ("sensors/front/frames", image),
                ("sensors/front/depth", depth),
                ("labels/front/instance", ids),
            ):
                folder = dataset / place / f"{run:06d}"
                folder.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / f"{k:06d}.png"), what)
            row = (run, k / 10, k, "intruder", x, y, size, size, 30.0 - k, size * size, 2, False)
            for key, value in zip(rows, row, strict=True):
                rows[key].append(value)
    store(dataset, "labels/front/objects", rows)
    store(dataset, "labels/front/images", {key: rows[key] for key in ("run", "t", "index")})
    return dataset


@pytest.fixture
def paid(tmp_path: Path) -> Path:
    """Return a dataset of one run of payments with a campaign and an innocent burst."""
    dataset = started(tmp_path / "paid", "test/paid")
    rng = np.random.default_rng(7)
    n, burst = 3000, 40
    hours = np.concatenate([rng.uniform(0, 48, n), rng.uniform(20, 21, burst), rng.uniform(30, 30.5, burst)])
    order = np.argsort(hours)
    amount = np.concatenate([rng.lognormal(8, 1, n), rng.uniform(50, 200, burst), rng.lognormal(8.5, 0.3, burst)])
    event = np.arange(len(hours))
    kind = np.concatenate([np.zeros(n), np.ones(burst), np.full(burst, 2)])[order]
    transactions = {
        "run": np.zeros(len(hours), np.int64),
        "t": (hours[order] * 3.6e9).astype(np.int64),
        "event_id": event,
        "amount": amount[order].astype(np.int64),
        "approved": rng.random(len(hours)) < 0.95,
    }
    store(dataset, "truth/transactions", transactions)
    marked = kind > 0
    labels = {"run": np.zeros(int(marked.sum()), np.int64), "event_id": event[marked]}
    store(
        dataset,
        "truth/transaction_labels",
        {**labels, "is_fraud": kind[marked] == 1, "hard_negative": kind[marked] == 2},
    )
    store(dataset, "runs", {"run": [0], "event": [True]})
    return dataset


def has(picture: Path, color: tuple[int, int, int]) -> int:
    """Return how many pixels of a picture have a colour."""
    image = cv2.imread(str(picture))
    assert image is not None
    return int((image == np.array(color, np.uint8)).all(axis=2).sum())


def test_images_come_with_the_boxes_of_their_objects(filmed: Path, tmp_path: Path):
    out = contact_sheet(filmed, tmp_path / "sheet.png")
    assert has(out, PALETTE[0]) > 500  # boxes and captions
    assert has(out, ALARM) > 100  # the tag of the run with the event
    for path in (filmed / "labels").rglob("*.parquet"):
        path.unlink()
    bare = contact_sheet(filmed, tmp_path / "bare.png")
    assert has(bare, PALETTE[0]) < has(out, PALETTE[0])


def test_payments_show_campaign_and_innocent_burst(paid: Path, tmp_path: Path):
    out = contact_sheet(paid, tmp_path / "sheet.png")
    assert has(out, ALARM) > 500
    assert has(out, WARNING) > 200


def test_signals_are_drawn_where_there_is_nothing_else(tmp_path: Path):
    dataset = started(tmp_path / "plain", "test/plain")
    t = np.tile(np.linspace(0, 5, 200), 2)
    store(dataset, "truth/signals", {"run": np.repeat([0, 1], 200), "t": t, "level": np.sin(t), "flow": np.cos(t)})
    store(dataset, "runs", {"run": [0, 1]})
    assert has(contact_sheet(dataset, tmp_path / "sheet.png"), PALETTE[1]) > 100


def test_the_same_files_give_the_same_picture(filmed: Path, paid: Path, tmp_path: Path):
    for dataset in (filmed, paid):
        first = contact_sheet(dataset, tmp_path / "a.png").read_bytes()
        assert contact_sheet(dataset, tmp_path / "b" / "b.png").read_bytes() == first
    assert not list(tmp_path.rglob("*.tmp"))


def test_it_says_what_is_wrong(filmed: Path, tmp_path: Path):
    with pytest.raises(DatasetError, match="no dataset"):
        contact_sheet(tmp_path / "nowhere", tmp_path / "sheet.png")
    damaged = filmed / "sensors" / "front" / "frames" / "000001" / "000000.png"
    damaged.write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match="cannot be read"):
        contact_sheet(filmed, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()
