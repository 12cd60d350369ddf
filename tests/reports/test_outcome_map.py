"""`sweep --map` plays a grid and draws it: cells in the colours of their outcomes, and the same numbers as a table."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

import mischance
from mischance.reports.canvas import ALARM, GOOD
from mischance.reports.outcome_cells import borders
from mischance.reports.outcome_map import draw_map
from tests.shell import mischance as command

MAP = ("driving/cut_in", "--map", "gap:4,friction:3", "--without", "sensors", "--set", "faults=[]", "--no-preview")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    out = tmp_path_factory.mktemp("map") / "cut_in"
    done = command("sweep", *MAP, "--runs", "24", "--workers", "1", "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    return out, json.loads(done.stdout)


def test_the_table_counts_what_the_runs_say(swept: tuple[Path, dict[str, object]]) -> None:
    out, said = swept
    assert said["map"] == {
        "over": ["gap", "friction"], "picture": str(out / "map.png"), "table": str(out / "map.csv")
    }  # fmt: skip
    rows = pd.read_csv(out / "map.csv").set_index(["gap", "friction"])
    assert len(rows) == 12
    runs = mischance.open(out).table("runs")
    by_cell = runs.groupby(["gap", "friction"])
    assert rows["runs"].to_dict() == by_cell.size().to_dict()
    assert (rows["runs"] == 2).all()
    broken = by_cell["require.no_contact"].agg(lambda kept: int((~kept).sum()))
    assert rows["failed"].to_dict() == broken.to_dict()
    assert 0 < rows["failed"].sum() < 24
    assert rows["margin_median"].to_dict() == pytest.approx(by_cell["margin"].median().to_dict())


def test_cells_have_the_colours_of_their_outcomes(swept: tuple[Path, dict[str, object]]) -> None:
    out, _ = swept
    picture, _ = draw_map(out, "gap", "friction")
    image = cv2.imread(str(picture))
    rows = pd.read_csv(out / "map.csv")
    gaps, frictions = sorted(rows["gap"].unique()), sorted(rows["friction"].unique())
    wide, tall = 600 / len(gaps), 460 / len(frictions)  # the left panel begins at (92, 150)
    for row in rows.itertuples():
        x = 92 + (gaps.index(row.gap) + 0.1) * wide  # off the words in the middle
        y = 150 + 460 - (frictions.index(row.friction) + 0.9) * tall
        ink = tuple(image[round(y), round(x)].tolist())
        if row.failed in (0, row.runs):
            assert ink == (ALARM if row.failed else GOOD), row


def test_margins_are_red_below_zero_and_green_above_with_a_line_between(swept: tuple[Path, dict[str, object]]) -> None:
    out, _ = swept
    picture, _ = draw_map(out, "gap", "friction")
    image = cv2.imread(str(picture)).astype(int)
    rows = pd.read_csv(out / "map.csv")
    gaps, frictions = sorted(rows["gap"].unique()), sorted(rows["friction"].unique())
    wide, tall = 600 / len(gaps), 460 / len(frictions)  # the right panel begins at (812, 150)
    assert (rows["margin_median"] < 0).any()
    assert (rows["margin_median"] > 0).any()
    for row in rows.itertuples():
        x = 812 + (gaps.index(row.gap) + 0.1) * wide
        y = 150 + 460 - (frictions.index(row.friction) + 0.9) * tall
        _, green, red = image[round(y), round(x)].tolist()
        assert (red > green) == (row.margin_median < 0), row


def test_borders_stand_between_cells_of_either_sign_and_at_no_unknown_one() -> None:
    nan = np.nan
    margin = np.array([[-1.0, -2.0, 3.0], [-1.0, 0.0, nan], [1.0, nan, 4.0]])
    # rows go up: between the second and third cell of the lowest row, and above the first cell of the second row
    assert borders(margin) == [((2, 0), (2, 1)), ((0, 2), (1, 2))]
    assert borders(-margin[:1]) == [((2, 0), (2, 1))]
    assert borders(np.array([[1.0, nan, -1.0]])) == []


def test_the_dataset_is_whole_with_its_map_and_the_same_command_draws_it_again(
    swept: tuple[Path, dict[str, object]],
) -> None:
    out, _ = swept
    first = (out / "map.png").read_bytes()
    assert command("verify", str(out)).returncode == 0
    (out / "map.png").unlink()
    again = command("sweep", *MAP, "--runs", "24", "--workers", "1", "--out", str(out))
    assert "nothing was left to do" in again.stderr
    assert "map.png" in again.stderr
    assert (out / "map.png").read_bytes() == first


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ("gap", "name two drawn parameters"),
        ("gap,friction,closing", "name two drawn parameters"),
        ("gap:1,friction", "2 to 200"),
        ("gapp,friction", "did you mean 'gap'"),
        ("gap,gap", "name two drawn parameters"),
    ],
)
def test_what_is_no_map_is_refused_before_a_run_begins(over: str, said: str, tmp_path: Path) -> None:
    refused = command("sweep", "driving/cut_in", "--map", over, "--out", str(tmp_path / "none"))
    assert refused.returncode == 2
    assert said in refused.stderr
    assert not (tmp_path / "none").exists()
