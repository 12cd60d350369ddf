"""The world, sensor and writer that docs/own_world.md shows are ones, as they stand there; their test passes.

test_pages.py runs the commands of the page; what `mischance init` writes is tested where that is.
"""

from __future__ import annotations

import csv
import importlib.util
import inspect
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mischance
from mischance.api.protocols import declares
from mischance.language import catalog
from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw
from mischance.testing import check_reproducible
from tests.docs.pages import ROOT, files
from tests.shell import mischance as command

PAGE = ROOT / "docs" / "own_world.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("own_world")
    for name, text in files(PAGE).items():
        (place / name).write_text(text, encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def measured(folder: Path) -> mischance.Dataset:
    changes = {
        "faults": [
            {"target": "brake", "kind": "fade", "at": "0.5 s", "severity": 0.6},
            {"target": "sensors.wheel", "kind": "slip", "at": "1 s", "lasts": "1 s", "severity": 0.3},
        ]
    }
    return mischance.load(folder / "measured.yaml").set(changes).sweep(3, folder / "out", workers=0, quiet=True)


def test_the_test_that_the_page_shows_passes(folder: Path, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("test_cart", folder / "test_cart.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tests = {name: test for name, test in vars(module).items() if name.startswith("test_")}
    assert len(tests) == 3
    for name, test in tests.items():
        (tmp_path / name).mkdir()
        test(**({"tmp_path": tmp_path / name} if inspect.signature(test).parameters else {}))


def test_sensor_and_writer_take_part_in_a_reproducible_run(folder: Path) -> None:
    check_reproducible(folder / "measured.yaml", runs=2)


def test_the_wheel_shows_the_speed_and_less_while_it_slips(measured: mischance.Dataset) -> None:
    shown, track = measured.table("sensors/wheel"), measured.table("track")
    both = shown.merge(track.assign(k=(track["t"] * 100).round()), on="run", suffixes=("", "_true"))
    both = both[(both["t"] * 100).round() == both["k"]]
    slips = (both["t"] >= 1.0) & (both["t"] < 2.0)
    assert len(both) == len(shown) > 3 * 40
    assert slips.sum() == 3 * 20
    error = both["speed"] - both["speed_true"] * np.where(slips, 0.7, 1.0)
    sigma = np.hypot(0.02, 0.05 / 12**0.5)  # white noise, and rounding to a step
    assert abs(error.mean()) < 4 * sigma / len(error) ** 0.5
    assert error.abs().max() < 5 * 0.02 + 0.5 * 0.05 + 1e-9
    assert np.allclose(both["speed"] / 0.05, (both["speed"] / 0.05).round(), rtol=0, atol=1e-9)


def test_faults_are_labelled_and_an_impact_names_its_own(measured: mischance.Dataset) -> None:
    labels = measured.table("labels")
    assert sorted(labels["class"]) == ["fault/brake/fade"] * 3 + ["fault/sensor/slip"] * 3
    ends = measured.table("track").groupby("run")["t"].max()
    faded = labels[labels["class"] == "fault/brake/fade"].set_index("run")
    assert np.allclose(faded["t_end"], ends)  # no label goes on after its run
    assert measured.runs["event"].all()
    assert measured.events["parent_id"].tolist() == ["fault:0"] * 3
    assert np.allclose(measured.events["t"], ends)


def test_the_brake_is_whole_until_the_fault_begins(measured: mischance.Dataset) -> None:
    runs = measured.runs
    x, v = 0.5 * runs["speed"] - 0.5 * 3.0 * 0.5**2, runs["speed"] - 3.0 * 0.5  # after 0.5 s at 3 m/s2
    assert np.allclose(runs["impact"] ** 2, v**2 - 2 * (0.4 * 3.0) * (25.0 - x), rtol=0, atol=1e-9)


def test_no_fault_is_blamed_where_a_healthy_brake_would_have_hit_too(folder: Path) -> None:
    fault = {"target": "brake", "kind": "fade", "at": "0.1 s", "severity": 0.2}
    near = mischance.load(folder / "cart.yaml").set({"simulator.gap": "8 m", "faults": [fault]})
    data = near.sweep(2, folder / "near", workers=0, quiet=True)
    assert data.events["kind"].tolist() == ["impact"] * 2
    assert data.events["parent_id"].tolist() == [""] * 2


def test_a_cart_that_still_rolls_is_undecided(folder: Path) -> None:
    short = mischance.load(folder / "cart.yaml").set({"duration": "1 s", "faults": []})
    data = short.sweep(2, folder / "short", workers=0, quiet=True)
    assert not data.runs["event"].any()
    high = data.probability().high
    assert high is not None
    assert high > 0.99


def test_the_writer_tells_what_the_dataset_tells(measured: mischance.Dataset) -> None:
    check_csv(measured.path, measured.table("sensors/wheel"), [0, 1, 2])


def test_the_writer_puts_the_pieces_of_a_run_into_one_file(folder: Path, measured: mischance.Dataset) -> None:
    writer = catalog.find("writers", "csv_rows.py:CsvRows", folder)
    own = writer(declares(writer).settings(), folder / "pieces")
    scenario = load(measured.path / "scenario.yaml")
    records = list(play(scenario, draw(scenario, [1, 2]), cuts=[0.77, 1.5, 2.51]))
    assert len(records) >= 4
    for record in records:
        own.write(record)
    own.close()
    check_csv(folder / "pieces", measured.table("sensors/wheel"), [1, 2])


def check_csv(place: Path, table: pd.DataFrame, runs: list[int]) -> None:
    assert len(list((place / "csv" / "wheel").iterdir())) == len(runs)
    for run in runs:
        with (place / "csv" / "wheel" / f"{run:09d}.csv").open(encoding="utf-8", newline="") as file:
            head, *rows = csv.reader(file)
        assert head == ["t [s]", "speed [m/s]"]
        own = table[table["run"] == run][["t", "speed"]].to_numpy()
        assert np.allclose(np.array(rows, float), own, rtol=1e-4, atol=0)


def test_what_is_shown_of_the_car_wash_is_what_init_writes(tmp_path: Path) -> None:
    assert command("init", "--world", "car_wash", cwd=tmp_path).returncode == 0
    written = (tmp_path / "car_wash.py").read_text(encoding="utf-8")
    shown = re.findall(r"^```\{code-block\} python\n(?!:)(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(shown) >= 5
    for block in shown:
        assert block in written, block


@pytest.mark.parametrize(("kind", "name"), [("sensor", "wheel_speed"), ("writer", "csv_rows")])
def test_sensor_and_writer_are_those_that_init_writes(kind: str, name: str, tmp_path: Path) -> None:
    assert command("init", f"--{kind}", name, cwd=tmp_path).returncode == 0
    assert (tmp_path / f"{name}.py").read_text(encoding="utf-8") == files(PAGE)[f"{name}.py"]
