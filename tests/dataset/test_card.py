"""The card and the manifest say what is in the folder: each figure is counted another way, each text is read."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import mischance.dataset.machine as machine
from mischance.api.arrow import arrow_batch
from mischance.api.tables import Column, Table
from mischance.cli.sweeping import sweep as sweep_command
from mischance.dataset.card import write_card
from mischance.dataset.draft import recipe_of
from mischance.dataset.ledger import Ledger
from mischance.dataset.manifest import Recipe, read_manifest, verify
from mischance.dataset.parts import RunRow
from mischance.dataset.shards import shard_size
from mischance.errors import DatasetError
from mischance.sweep.jobs import sweep
from tests.dataset.small_world import HONEST, FakeScenario

RUNS, SHARD = 12, 8
RECIPE: Recipe = recipe_of(FakeScenario(), RUNS, shard=SHARD)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("card") / "data"
    sweep(FakeScenario(), RUNS, out, workers=0, shard=SHARD, work=HONEST)  # type: ignore[arg-type]
    return out


def put(out: Path, path: str, schema: dict[str, Column], rows: list[dict[str, Any]]) -> None:
    """Write one shard of a table, a run each dictionary of columns."""
    batch = arrow_batch(Table.of(schema, rows), np.arange(len(rows)))
    import pyarrow as pa

    (out / path).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_batches([batch]), out / path / f"{len(list((out / path).iterdir()))}.parquet")


def card(out: Path, recipe: Recipe = RECIPE, missing: tuple[int, ...] = (), about: str = "") -> str:
    write_card(out, recipe, about, missing)
    return (out / "README.md").read_text()


def test_the_card_counts_what_is_in_the_folder(data: Path) -> None:
    text = (data / "README.md").read_text()
    tables = {path.name: pq.read_table(path) for path in (data / "runs").iterdir()}
    assert len(tables) == 2
    events = sum(sum(table["event"].to_pylist()) for table in tables.values())
    assert events > 0
    assert f"with seed 7: {RUNS} of {RUNS} runs (Monte Carlo)." in text
    assert f"The event happened in {events} of them." in text
    assert text.splitlines()[2] == "A small world."
    for path in ("truth/payments", "labels", "runs", "labels/payments"):
        rows = sum(pq.read_metadata(file).num_rows for file in (data / path).glob("*.parquet"))
        assert f"### {path}\n\n{rows:,} rows.\n" in text
    images = len(list((data / "sensors/front/frames").rglob("*.png")))
    assert images == RUNS + 2 * len(range(3, RUNS, 4))
    assert f"- `sensors/front/frames/*.png`: {images}\n" in text
    assert f"- `sensors/front/flow/*.npz`: {images}\n" in text
    assert "Time t = 0" not in text
    assert "could not be finished" not in text
    assert "share their twin" not in text
    assert "of a grid" not in text


def test_the_table_that_is_loaded_as_an_example_is_there(data: Path, tmp_path: Path) -> None:
    assert 'front = dataset.table("sensors/front")' not in (data / "README.md").read_text()
    assert 'payments = dataset.table("truth/payments")' in (data / "README.md").read_text()
    assert "SELECT * FROM 'truth/payments/*.parquet'" in (data / "README.md").read_text()
    put(tmp_path, "events", {"t": Column()}, [{"t": [0.0]}])
    put(tmp_path, "runs", {"weight": Column()}, [{"weight": [1.0]}])
    assert 'events = dataset.table("events")' in card(tmp_path)
    put(tmp_path, "sensors/b", {"t": Column()}, [{"t": [0.0]}])
    assert 'b = dataset.table("sensors/b")' in card(tmp_path)


@pytest.mark.parametrize("shard", [256, 100])
@pytest.mark.parametrize(("twin", "keep"), [(False, False), (True, False), (False, True)])
def test_the_command_on_the_card_asks_for_the_dataset_itself(
    tmp_path: Path, twin: bool, keep: bool, shard: int
) -> None:
    """What the command line makes of it is compared with the recipe."""
    recipe = recipe_of(FakeScenario(), 300, twin=twin, keep_twins=keep, shard=shard)  # type: ignore[arg-type]
    text = card(tmp_path, recipe)
    (line,) = [line for line in text.splitlines() if line.startswith("mischance sweep")]
    asked = sweep_command.make_context("sweep", shlex.split(line)[2:]).params
    assert (asked["scenario"], asked["runs"], asked["out"]) == ("scenario.yaml", 300, Path("../again"))
    assert (asked["twin"] or asked["keep_twins"], asked["keep_twins"]) == (twin or keep, keep)
    assert (asked["seed"], asked["overrides"], asked["dry_run"]) == (None, (), False)
    assert (f"It was made in shards of {shard} runs" in text) == (shard != shard_size(300))


def test_a_plan_is_named_with_its_points(tmp_path: Path) -> None:
    average = "`weight` in `runs` corrects for runs that were made more frequent than they are: an average over the\n"
    for kind, points, words, of in (
        ("monte_carlo", 0, "(Monte Carlo)", "situation as it comes"),
        ("grid", 1, "(a grid of 1 point)", "points of the grid"),
        ("grid", 2, "(a grid of 2 points)", "points of the grid"),
        ("lhs", 1000, "(Latin hypercube, in blocks of 1,000 points)", "situation as it comes"),
        ("sobol", 2048, "(scrambled Sobol points, in blocks of 2,048)", "situation as it comes"),
    ):
        text = card(tmp_path, replace(RECIPE, plan=kind, points=points))
        assert words in text
        assert f"{average}{of} is the average of `weight * value`." in text
        assert ("They are the points of a grid and no sample" in text) == (kind == "grid")


def test_runs_that_are_missing_and_calendar_time_are_said(tmp_path: Path) -> None:
    recipe = replace(RECIPE, runs=5000, begins="2026-03-02T06:00:00+01:00")
    text = card(tmp_path, recipe, (3, 17))
    assert "4,998 of 5,000 runs" in text
    assert "Runs that could not be finished: 3, 17.\n" in text
    assert "Time t = 0 is 2026-03-02T06:00:00+01:00.\n" in text


def test_events_are_counted_over_all_shards_and_not_where_nobody_says(tmp_path: Path) -> None:
    for flags in ((True, False, True), (True,)):
        put(tmp_path, "runs", {"event": Column("bool")}, [{"event": [flag]} for flag in flags])
    assert "The event happened in 3 of them." in card(tmp_path)
    put(tmp_path / "silent", "runs", {"weight": Column()}, [{"weight": [1.0]}])
    assert "The event happened" not in card(tmp_path / "silent")


def test_labels_that_share_a_twin_are_counted_over_all_shards(tmp_path: Path) -> None:
    for names in (("run:0-fault:1+6", "run:0-fault:2", "run:0-fault:3+1"), ("run:1-fault:1+6", ""), ("",)):
        schema = {"class": Column("text"), "twin": Column("text")}
        put(tmp_path, "labels", schema, [{"class": ["a"], "twin": [name]} for name in names])
    assert "3 labels share their twin with others" in card(tmp_path)


def test_columns_are_described_in_a_table_that_their_text_does_not_break(tmp_path: Path) -> None:
    schema = {
        "a|b": Column(unit="m/s", about="either | or,\non two lines"),
        "c": Column("category", names=("x",)),
        "d": Column("text"),
    }
    put(tmp_path, "truth/odd", schema, [{"a|b": [1.0, 2.0], "c": [0, 0], "d": ["", ""]}])
    put(tmp_path, "truth/odd", schema, [{"a|b": [1.0], "c": [0], "d": [""]}])
    lines = card(tmp_path).splitlines()
    assert lines[lines.index("### truth/odd") + 2] == "3 rows."
    assert "| a\\|b | double | m/s | either \\| or, on two lines |" in lines
    assert "| c | category |  |  |" in lines
    assert "## Other files" not in lines


# -- the manifest -----------------------------------------------------------------------------------------------------


def test_a_manifest_that_is_none_is_told_apart_from_one_that_is_damaged(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is no dataset: it has no manifest"):
        read_manifest(tmp_path)
    Ledger(tmp_path).close()
    with pytest.raises(DatasetError, match="is not finished"):
        read_manifest(tmp_path)
    with pytest.raises(DatasetError, match="is not finished"):
        verify(tmp_path)
    good = read_manifest(data)
    whole = (data / "manifest.json").read_text()
    bodies = [
        whole[:-1], whole + " ", "[]\n", "3\n", "{}\n", json.dumps(good, indent=3),
        whole.replace('"seed": 7', '"seed": 8'), whole.replace(good["dataset"], "0" * 32),
    ]  # fmt: skip
    for text in bodies:
        assert text != whole
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(DatasetError, match="is damaged"):
            read_manifest(tmp_path)
        assert verify(tmp_path) == ["manifest.json: damaged: it is not what was written"]
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(DatasetError, match=r"cannot read .*manifest\.json: Is a directory"):
        read_manifest(tmp_path)


def test_the_manifest_has_what_the_recipe_says(data: Path, tmp_path: Path) -> None:
    manifest = read_manifest(data)
    assert (manifest["seed"], manifest["shard"], manifest["missing"]) == (7, SHARD, [])
    assert (manifest["twin"], manifest["keep_twins"]) == (False, False)
    assert "begins" not in manifest
    assert "points" not in manifest["plan"]
    for path, entry in manifest["files"].items():
        assert entry["bytes"] == (data / path).stat().st_size
        assert ("rows" in entry) == path.endswith(".parquet")


def test_a_ledger_that_tells_another_story_than_the_runs_is_named(data: Path, tmp_path: Path) -> None:
    out = shutil.copytree(data, tmp_path / "data")
    (out / "ledger.sqlite").unlink()
    assert verify(out) == [], "a dataset may be handed on without its ledger"
    shutil.copy(data / "ledger.sqlite", out)
    with Ledger(out) as ledger:
        one, two = ledger.done(4, 5)
        ledger.add_part(4, 5, "x", [RunRow(4, "other", one.event, one.weight), two], 1.0)
        ledger.finish()
    assert verify(out) == ["ledger.sqlite: run 4 has another digest than in runs/ (1 such runs)"]
    with Ledger(out) as ledger:
        ledger.drop_part(4, 5, [4, 5])
        ledger.finish()
    assert verify(out) == ["ledger.sqlite: run 4 has another digest than in runs/ (2 such runs)"]
    (out / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    (line,) = verify(out)
    assert line.startswith("ledger.sqlite: ")
    assert "not a database" in line


def test_parts_and_what_merging_keeps_are_no_files_of_the_dataset_at_its_top_alone(data: Path, tmp_path: Path) -> None:
    out = shutil.copytree(data, tmp_path / "data")
    for name in ("parts/x", "_merge/lines/x", "a.tmp", "report.html", "preview.png", ".lock"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("")
    assert verify(out) == []
    for name in ("truth/a.tmp", "truth/parts/x", "truth/_merge/x", "truth/report.html"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("")
    assert len(verify(out)) == 4


# -- the machine ------------------------------------------------------------------------------------------------------


def test_only_known_facts_that_differ_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine.facts()
    assert machine.differing_facts(here) == []
    assert machine.differing_facts({}) == []
    then = {**here, "numpy": "1.0", "simd": ["AVX9", *here["simd"][1:]]}
    told = machine.differing_facts(then)
    assert told == [
        f"numpy is {here['numpy']} here, was 1.0",
        f"NumPy runs without AVX9, with {here['simd'][0]} here",
    ]
