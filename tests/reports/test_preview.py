"""A preview sheet shows what the dataset holds, and is the same for the same files."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mischance.api.appearance import BOX, LANE, LANE_ROWS, bodies_schema, body_row, lane_rows
from mischance.api.arrow import arrow_batch
from mischance.api.geometry import Piece
from mischance.api.labels import table_of_rows
from mischance.errors import DatasetError
from mischance.reports.canvas import ALARM, GOOD, PALETTE, WARNING
from mischance.reports.preview.picture import contact_sheet
from mischance.reports.preview.sheet import shown_runs, table
from mischance.reports.replay.style import ASPHALT, ROLES


def store(dataset: Path, name: str, columns: dict[str, object], **roles: str) -> None:
    folder = dataset / name
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    facts = {name: {"role": role, "unit": "us" if role == "time" else ""} for name, role in roles.items()}
    fields = [field.with_metadata(facts.get(field.name, {})) for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields)), folder / "000000000-000000063.parquet")


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
                folder = dataset / place / f"{run:09d}"
                folder.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / f"{k:09d}.png"), what)
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
    store(dataset, "truth/transactions", transactions, t="time", event_id="key", amount="value")
    marked = kind > 0
    labels = {"run": np.zeros(int(marked.sum()), np.int64), "event_id": event[marked]}
    store(
        dataset,
        "labels/transactions",
        {**labels, "is_fraud": kind[marked] == 1, "hard_negative": kind[marked] == 2},
        event_id="key",
        is_fraud="label",
        hard_negative="label",
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


def test_events_with_a_value_show_their_labels(paid: Path, tmp_path: Path):
    out = contact_sheet(paid, tmp_path / "sheet.png")
    assert has(out, ALARM) > 500
    assert has(out, WARNING) > 200


def test_signals_are_drawn_where_there_is_nothing_else(tmp_path: Path):
    dataset = started(tmp_path / "plain", "test/plain")
    t = np.tile(np.linspace(0, 5, 200), 2)
    store(dataset, "truth/signals", {"run": np.repeat([0, 1], 200), "t": t, "level": np.sin(t), "flow": np.cos(t)})
    store(dataset, "runs", {"run": [0, 1]})
    assert has(contact_sheet(dataset, tmp_path / "sheet.png"), PALETTE[1]) > 100


@pytest.fixture
def driven(tmp_path: Path) -> Path:
    """Return a dataset of eight runs of two cars on a road, without a camera; in the last three they touch."""
    dataset = tmp_path / "driven"
    dataset.mkdir()
    scenario = {"mischance": 1, "name": "test/driven", "about": "A test.", "seed": 7, "event": {"name": "crash"}}
    (dataset / "scenario.yaml").write_text(json.dumps({**scenario, "vary": {"gap": 1, "pace": 1}}))
    t, runs = np.linspace(0.0, 4.0, 81), 8
    gap = np.linspace(85.0, 50.0, runs)
    ego, other = 15.0 * t, gap[:, None] + 4.0 + 0.0 * t
    hit = ego[None, :] > other - 4.5
    x = np.stack([np.broadcast_to(ego, hit.shape), other], axis=2).ravel()
    n = 2 * len(t)
    speed = np.tile([15.0, 0.0], len(t) * runs)
    rows = {
        "run": np.repeat(np.arange(runs), n),
        "t": np.tile(np.repeat(t, 2), runs),
        "x": x,
        "y": np.full(len(x), 1.75),
    }
    store(
        dataset,
        "truth/actors",
        {**rows, "actor": ["ego", "other"] * (len(t) * runs), "yaw": np.zeros(len(x)), "speed": speed},
        actor="entity",
    )
    lanes = [row for n in range(2) for row in lane_rows(
        LANE, n, [Piece.at(0.0, 0.0, 0.0)], begin=-inf, end=inf, offset=1.75 + 3.5 * n, width=3.5)]  # fmt: skip
    looks = bodies_schema(("car",), ("ego", "other"))
    bodies = [body_row(looks, name, "car", role, BOX, (4.5, 1.8, 1.5)) for name, role in (("ego", 0), ("other", 1))]
    for name, schema, told in (("lanes", LANE_ROWS, lanes), ("bodies", looks, bodies)):
        batch = arrow_batch(table_of_rows(schema, [told] * runs), np.arange(runs))
        (dataset / "truth" / name).mkdir()
        pq.write_table(pa.Table.from_batches([batch]), dataset / "truth" / name / "000000000-000000063.parquet")
    event = hit.any(axis=1)
    assert event.sum() == 3
    facts = {"run": np.arange(runs), "event": event, "margin": gap, "gap": gap, "pace": np.arange(runs) * 1.0}
    store(dataset, "runs", {**facts, "verdict": [""] * runs, "reason": ["crash: too near"] * runs})
    return dataset


def test_runs_without_a_camera_are_shown_from_above_with_how_they_came_out(driven: Path, tmp_path: Path):
    out = contact_sheet(driven, tmp_path / "sheet.png")
    assert has(out, ASPHALT) > 20_000  # of the road
    assert has(out, ALARM) > 2_000  # bar, tags and dots
    assert has(out, GOOD) > 2_000
    image = cv2.imread(str(out))
    assert image is not None
    bar = image[118 : 118 + 14, 28:388]  # three of eight are red
    assert abs((bar == ALARM).all(axis=2).mean() - 3 / 8) < 0.02
    ego, other = ROLES["subject"], ROLES["partner"]
    assert min(has(out, ego), has(out, other)) > 500  # both cars, in every panel


def test_the_runs_that_are_shown_are_the_telling_ones(driven: Path):
    assert shown_runs(table(driven / "runs"), list(range(8)), 6) == [5, 6, 7, 4, 3, 2]
    assert shown_runs(table(driven / "runs"), [0, 1, 2], 6) == [2, 1, 0]


def test_of_many_runs_with_the_event_those_shown_are_equally_far_apart() -> None:
    many = {"run": np.arange(100), "event": np.arange(100) < 80, "margin": np.arange(100.0)}
    assert shown_runs(many, list(range(100)), 6) == [0, 16, 32, 48, 64, 80]  # the nearest of the others is the 80th
    assert shown_runs({**many, "event": np.ones(100, np.bool_)}, list(range(100)), 4) == [0, 25, 50, 75]


def test_the_same_files_give_the_same_picture(filmed: Path, paid: Path, driven: Path, tmp_path: Path):
    for dataset in (filmed, paid, driven):
        first = contact_sheet(dataset, tmp_path / "a.png").read_bytes()
        assert contact_sheet(dataset, tmp_path / "b" / "b.png").read_bytes() == first
    assert not list(tmp_path.rglob("*.tmp"))


def test_it_says_what_is_wrong(filmed: Path, tmp_path: Path):
    with pytest.raises(DatasetError, match="no dataset"):
        contact_sheet(tmp_path / "nowhere", tmp_path / "sheet.png")
    damaged = filmed / "sensors" / "front" / "frames" / "000000001" / "000000000.png"
    damaged.write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match="cannot be read"):
        contact_sheet(filmed, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()
