"""Class counts: what they are of, by part, and what people read of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mischance
from mischance.dataset.class_counts import ClassCount, class_counts, in_words
from mischance.reports.preview.picture import contact_sheet
from mischance.sweep.jobs import sweep


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("classes") / "out"
    changes = {"duration": "1 d", "simulator.cards": "200", "simulator.merchants": "20", "split.train": "0.5",
               "split.val": "0.2", "split.test": "0.3"}  # fmt: skip
    sweep(mischance.load("payments/card_testing", changes), 6, out, workers=0)
    return out


def test_counts_are_those_of_the_tables(dataset: Path) -> None:
    data = mischance.open(dataset)
    part = data.table("splits").set_index("run")["split"].astype(str)
    runs, labels, rows = data.table("runs"), data.table("labels"), data.table("labels/transactions")
    found = {(one.what, one.of, one.name): one for one in class_counts(dataset, "loss")}
    assert part.nunique() > 1
    event = found["runs", "", "loss"]
    assert (event.count, event.total) == (runs["event"].sum(), 6)
    for name, (count, total) in event.parts.items():
        mine = runs[runs["run"].map(part) == name]
        assert (count, total) == (mine["event"].sum(), len(mine))
    kinds = {name: one for (what, _, name), one in found.items() if what == "labels"}
    assert {name: one.count for name, one in kinds.items()} == labels["class"].value_counts().to_dict()
    for flag in ("is_fraud", "hard_negative"):
        one = found["rows", "transactions", flag]
        assert one.count == rows[flag].sum()
        assert {name: count for name, (count, _) in one.parts.items()} == {
            name: int(rows[flag][rows["run"].map(part) == name].sum()) for name in one.parts
        }
        assert ClassCount.of_plain(one.plain()) == one


def test_groups_take_the_place_of_parts(dataset: Path) -> None:
    groups = {run: "odd" if run % 2 else "even" for run in range(6)}
    runs = mischance.open(dataset).table("runs")
    (event,) = (one for one in class_counts(dataset, groups=groups) if one.what == "runs")
    for name, rest in (("even", 0), ("odd", 1)):
        assert event.parts[name] == (int(runs["event"][runs["run"] % 2 == rest].sum()), 3)


def test_the_card_has_them_as_a_table(dataset: Path) -> None:
    text = (dataset / "README.md").read_text()
    for one in class_counts(dataset, "loss"):
        line = next(line for line in text.splitlines() if line.startswith(f"| {one.name} | {one.what}"))
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[2].split()[0] == f"{one.count:,}"
        assert [cell.split()[0] for cell in cells[3:]] == [f"{count:,}" for count, _ in one.parts.values()]


def test_words_leave_out_what_does_not_occur() -> None:
    both = {"train": (3, 8), "test": (1, 2)}
    counts = [
        ClassCount("runs", "", "crash", 4, 10, both),
        ClassCount("labels", "", "fault/a", 5, 0, {"train": (5, 0), "test": (0, 0)}),
        ClassCount("labels", "", "fault/b", 0, 0, {"train": (0, 0)}),
        *(ClassCount("objects", "front", f"kind{k}", 9 - k, 0, {}) for k in range(6)),
    ]
    assert in_words(counts, most=3) == [
        "runs: crash 4 of 10 (train 3 of 8, test 1 of 2)",
        "labels: fault/a 5 (train 5)",
        "objects seen by front: kind0 9, kind1 8, kind2 7, 3 more",
    ]
    assert in_words([ClassCount("runs", "", "crash", 4, 10, {})]) == []


def test_the_preview_has_a_strip_with_a_bar_a_class(dataset: Path, tmp_path: Path) -> None:
    import cv2

    image = cv2.imread(str(contact_sheet(dataset, tmp_path / "preview.png")))
    counts = class_counts(dataset, "loss")[:6]
    strip = image[860:]
    assert len(strip) == 40 + 22 * len(counts) + 14
    for i, one in enumerate(counts):
        row = strip[40 + 22 * i + 7, 458:880].astype(int)
        coloured = (np.abs(row - 255).sum(axis=1) > 60).mean()
        assert (coloured > 0.95) == bool(one.count), one.name
