"""What a dataset folder takes over, gives up and refuses when it is opened again."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mischance.dataset.draft import Draft, is_dataset, looking, recipe_of, stored_recipe
from mischance.dataset.ledger import Ledger
from mischance.dataset.manifest import Recipe
from mischance.dataset.parts import PartWriter, RunRow, commit, write_contents
from mischance.dataset.shards import Shard
from mischance.errors import DatasetError, OtherDatasetError
from tests.dataset.small_world import FakeScenario, records

SCENARIO: Any = FakeScenario()
RUNS, SHARD = 20, 8  # three shards: 0-7, 8-15, 16-19


def draft(out: Path, runs: int = RUNS, scenario: Any = SCENARIO, **more: Any) -> Draft:
    return Draft(out, recipe_of(scenario, runs, shard=SHARD, **more), scenario)


def make_part(out: Path, shard: int, first: int, last: int, *, name: str = "") -> tuple[Path, list[RunRow]]:
    """Play some runs into a part of a shard, which the ledger is not told of."""
    writer = PartWriter(out / "parts" / ".tmp-made", {})
    for record in records(np.arange(first, last + 1), 7, batch=4, frames=False):
        writer.write(record)
    rows = writer.close()
    final = out / "parts" / f"{shard:09d}" / (name or f"{first:09d}-{last:09d}")
    commit(out / "parts" / ".tmp-made", final)
    return final, rows


def missing_runs(made: Draft) -> list[int]:
    return sorted(run for runs in made.pending().values() for run in runs)


def test_a_new_dataset_waits_for_every_run_by_shard(tmp_path: Path) -> None:
    with draft(tmp_path / "deep" / "data") as made:
        assert made.pending() == {
            Shard(0, 7): list(range(8)), Shard(8, 15): list(range(8, 16)), Shard(16, 19): [16, 17, 18, 19],
        }  # fmt: skip
        assert made.parts.is_dir()
        assert (made.extends, made.anew, made.finished) == (0, None, False)
        assert stored_recipe(made.ledger).plain() == made.recipe.plain()


def test_a_whole_part_that_the_ledger_missed_is_taken_over_with_its_digests(tmp_path: Path) -> None:
    """A process that dies between the rename of a part and the ledger's row loses nothing."""
    with draft(tmp_path):
        part, rows = make_part(tmp_path, 8, 9, 12)
    with draft(tmp_path) as made:
        assert made.ledger.parts() == [(9, 12, f"{8:09d}/{part.name}")]
        assert made.parts_of(Shard(8, 15)) == [f"{8:09d}/{part.name}"]
        assert made.parts_of(Shard(0, 7)) == []
        assert made.ledger.done(0, RUNS) == rows
        assert [row.run for row in rows] == [9, 10, 11, 12]
        assert missing_runs(made) == [run for run in range(RUNS) if not 9 <= run <= 12]
        assert part.is_dir()


def test_the_first_and_the_last_run_of_a_shard_belong_to_it(tmp_path: Path) -> None:
    with draft(tmp_path):
        make_part(tmp_path, 8, 8, 15)
    with draft(tmp_path) as made:
        assert [part[:2] for part in made.ledger.parts()] == [(8, 15)]


@pytest.mark.parametrize("wrong", ["its name", "its shard", "no contents", "half contents", "no runs", "runs twice"])
def test_a_part_that_is_not_whole_or_not_what_its_name_says_is_removed(tmp_path: Path, wrong: str) -> None:
    with draft(tmp_path) as made:
        if wrong == "runs twice":
            kept, rows = make_part(tmp_path, 8, 8, 9)
            made.ledger.add_part(8, 9, f"{8:09d}/{kept.name}", rows, 1.0)
        first, last = {"its shard": (7, 10), "runs twice": (9, 11)}.get(wrong, (8, 11))
        part, _ = make_part(tmp_path, 8, first, last, name=f"{8:09d}-{12:09d}" if wrong == "its name" else "")
        if wrong == "no contents":
            (part / "_part.json").unlink()
        if wrong == "half contents":
            text = (part / "_part.json").read_text()
            (part / "_part.json").write_text(text[: len(text) // 2])
        if wrong == "no runs":
            write_contents(part, [])
        before = made.ledger.statuses()
    with draft(tmp_path) as made:
        assert not part.exists()
        assert made.ledger.statuses() == before
        assert [part[:2] for part in made.ledger.parts()] == ([(8, 9)] if wrong == "runs twice" else [])


def test_what_a_killed_sweep_leaves_is_removed_and_what_it_knows_stays(tmp_path: Path) -> None:
    with draft(tmp_path) as made:
        part, rows = make_part(tmp_path, 0, 0, 3)
        made.ledger.add_part(0, 3, f"{0:09d}/{part.name}", rows, 1.0)
        sealed, more = make_part(tmp_path, 8, 8, 15)
        made.ledger.add_part(8, 15, f"{8:09d}/{sealed.name}", more, 1.0)
        made.ledger.add_shard(8, 15)  # and the process dies before it removes the parts
        (tmp_path / "parts" / ".tmp-host-word-seal").write_text("half")
        (tmp_path / "inputs" / "deep").mkdir(parents=True)
        for name in (".card.tmp", "inputs/deep/.driver.py.tmp", "inputs/deep/driver.py"):
            (tmp_path / name).write_text("")
    with draft(tmp_path) as made:
        assert sorted(path.name for path in made.parts.iterdir()) == [f"{0:09d}"]
        assert part.is_dir()
        assert not list(tmp_path.rglob("*.tmp"))
        assert (tmp_path / "inputs/deep/driver.py").exists()
        assert made.ledger.done(0, RUNS) == [*rows, *more]
        assert missing_runs(made) == [4, 5, 6, 7, 16, 17, 18, 19]


def test_runs_of_a_part_that_is_gone_are_pending_again_unless_another_part_holds_them(tmp_path: Path) -> None:
    with draft(tmp_path) as made:
        gone, rows = make_part(tmp_path, 0, 0, 5)
        made.ledger.add_part(0, 5, f"{0:09d}/{gone.name}", rows, 1.0)
        kept, later = make_part(tmp_path, 0, 4, 6)
        made.ledger.add_part(4, 6, f"{0:09d}/{kept.name}", later, 1.0)
        shutil.rmtree(gone)
    with draft(tmp_path) as made:
        assert made.ledger.parts() == [(4, 6, f"{0:09d}/{kept.name}")]
        assert missing_runs(made) == [0, 1, 2, 3, *range(7, RUNS)]
        assert made.ledger.done(0, RUNS) == later


def fail(made: Draft, *runs: int) -> None:
    for run in runs:
        made.ledger.add_failure(run, "failed", "it broke", f"mischance replay . {run}")


def test_a_dataset_without_a_finished_run_is_emptied_for_another(tmp_path: Path) -> None:
    with draft(tmp_path) as made:
        fail(made, 3, 4)
        (tmp_path / "truth").mkdir()
        (tmp_path / "truth" / "old.txt").write_text("of the first")
        (tmp_path / "README.md").write_text("of the first")
    other: Any = FakeScenario(comment="another")
    with draft(tmp_path, scenario=other) as made:
        assert made.anew == 2
        assert made.ledger.statuses() == {}
        assert stored_recipe(made.ledger).identity == other.identity()
        assert (tmp_path / "scenario.yaml").read_text() == other.text()
        assert not (tmp_path / "truth").exists()
        assert not (tmp_path / "README.md").exists()
        assert (tmp_path / ".lock").exists(), "it is held all the time"


def test_a_dataset_without_a_finished_run_is_left_alone_where_somebody_put_a_file(tmp_path: Path) -> None:
    with draft(tmp_path) as made:
        fail(made, 3)
        (tmp_path / "thesis.txt").write_text("precious")
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.suffix in (".txt", ".yaml")}
    assert len(before) == 2
    with pytest.raises(OtherDatasetError, match="already holds another dataset"), draft(tmp_path, twin=True):
        pass
    assert {path: path.read_bytes() for path in before} == before
    assert (tmp_path / "parts").is_dir()
    with looking(tmp_path) as ledger:
        assert ledger.statuses() == {3: "failed"}


def test_one_finished_run_is_enough_to_keep_a_dataset(tmp_path: Path) -> None:
    with draft(tmp_path) as made:
        part, rows = make_part(tmp_path, 0, 0, 0)
        made.ledger.add_part(0, 0, f"{0:09d}/{part.name}", rows, 1.0)
    with pytest.raises(OtherDatasetError, match="already holds another dataset"), draft(tmp_path, twin=True):
        pass
    with draft(tmp_path) as made:
        assert made.ledger.done(0, RUNS) == rows


def test_a_dataset_of_another_version_of_the_program_says_so(tmp_path: Path) -> None:
    with draft(tmp_path) as made:
        part, rows = make_part(tmp_path, 0, 0, 0)
        made.ledger.add_part(0, 0, f"{0:09d}/{part.name}", rows, 1.0)
        old = replace(made.recipe, versions={**made.recipe.versions, "mischance": "0.0.9"})
        made.ledger.set_meta({"recipe": old.plain()})
    with pytest.raises(OtherDatasetError, match=r"was begun by mischance 0\.0\.9, this is"), draft(tmp_path):
        pass


def test_failed_runs_are_reopened_with_the_finished_ones_of_their_shard_at_hand(tmp_path: Path) -> None:
    from mischance.dataset.shards import seal

    with draft(tmp_path) as made:
        part, rows = make_part(tmp_path, 0, 0, 6)
        made.ledger.add_part(0, 6, f"{0:09d}/{part.name}", rows, 1.0)
        fail(made, 7, 17)
        files = seal(tmp_path, Shard(0, 7), [part])
        made.sealed(Shard(0, 7), files)
        assert not (made.parts / f"{0:09d}").exists()
        assert set(files) == set(made.ledger.files()) > {"runs/000000000-000000007.parquet"}
        made.finish()
        assert made.finished
        assert made.missing() == [7, 17]
        made.reopen()
        assert not made.finished
        assert made.missing() == []
        assert made.ledger.sealed() == set()
        assert made.ledger.parts() == [(0, 7, f"{0:09d}/{0:09d}-{7:09d}")]
        assert made.ledger.done(0, RUNS) == rows
        assert missing_runs(made) == [7, *range(8, RUNS)]
        again = seal(tmp_path, Shard(0, 7), [made.parts / name for name in made.parts_of(Shard(0, 7))])
        assert again == files, "the same rows are the same bytes"


def test_nothing_is_reopened_where_nothing_failed(tmp_path: Path) -> None:
    with draft(tmp_path) as made:
        made.finish()
        before = (tmp_path / "manifest.json").read_bytes()
        made.reopen()
        assert (tmp_path / "manifest.json").read_bytes() == before
    with draft(tmp_path) as made:
        assert made.finished
        assert not made.parts.exists()


def test_counts_that_are_no_counts_are_refused() -> None:
    for runs, shard, words in ((0, None, "at least one run, not 0"), (5, 0, "a shard needs at least one run, not 0")):
        with pytest.raises(DatasetError, match=words):
            recipe_of(SCENARIO, runs, shard=shard)
    assert (recipe_of(SCENARIO, 1, shard=1).runs, recipe_of(SCENARIO, 1, shard=1).shard) == (1, 1)
    assert (recipe_of(SCENARIO, 10**9).runs, recipe_of(SCENARIO, 10**9).shard) == (10**9, 4096)
    kept = recipe_of(SCENARIO, 1, keep_twins=True)
    assert (kept.twin, kept.keep_twins) == (True, True)
    assert (recipe_of(SCENARIO, 1, twin=True).keep_twins, recipe_of(SCENARIO, 1).twin) == (False, False)


def test_input_files_are_hashed_kept_and_named_where_they_changed(tmp_path: Path) -> None:
    code, out = tmp_path / "driver.py", tmp_path / "data"
    code.write_text("first = 1\n")
    scenario: Any = FakeScenario(files={"inputs/driver.py": code})
    with draft(out, scenario=scenario) as made:
        assert made.recipe.inputs == {"inputs/driver.py": hashlib.sha256(b"first = 1\n").hexdigest()}
        assert (out / "inputs/driver.py").read_bytes() == b"first = 1\n"
        part, rows = make_part(out, 0, 0, 0)
        made.ledger.add_part(0, 0, f"{0:09d}/{part.name}", rows, 1.0)
    code.write_text("second = 2\n")
    with (
        pytest.raises(OtherDatasetError, match=r"(?m)and these files have changed: driver\.py$"),
        draft(out, scenario=scenario),
    ):
        pass
    code.unlink()
    with pytest.raises(DatasetError, match=f"cannot read {re.escape(str(code))}: No such file"):
        recipe_of(scenario, 3)


def test_a_module_that_was_imported_late_belongs_to_the_dataset_while_it_is_what_it_was(tmp_path: Path) -> None:
    code, late, out = tmp_path / "driver.py", tmp_path / "pkg" / "late.py", tmp_path / "data"
    late.parent.mkdir()
    code.write_text("import pkg.late\n")
    late.write_text("x = 1\n")
    scenario: Any = FakeScenario(files={"inputs/driver.py": code})
    with draft(out, scenario=scenario) as made:
        made.add_inputs({"pkg/late.py": b"x = 1\n", "driver.py": b"something else"})
        assert (out / "inputs/pkg/late.py").read_bytes() == b"x = 1\n"
        assert (out / "inputs/driver.py").read_bytes() == b"import pkg.late\n", "what is known stays"
        assert made.recipe.inputs["inputs/pkg/late.py"] == hashlib.sha256(b"x = 1\n").hexdigest()
        assert list(made.recipe.inputs) == sorted(made.recipe.inputs)
        assert stored_recipe(made.ledger).inputs == made.recipe.inputs
        part, rows = make_part(out, 0, 0, 0)
        made.ledger.add_part(0, 0, f"{0:09d}/{part.name}", rows, 1.0)
        known = made.recipe
    with draft(out, scenario=scenario) as made:
        assert made.recipe == known
    late.write_text("x = 2\n")
    with (
        pytest.raises(OtherDatasetError, match=r"(?m)these files have changed: pkg/late\.py$"),
        draft(out, scenario=scenario),
    ):
        pass


def test_only_what_a_sweep_leaves_at_its_very_start_is_taken_over(tmp_path: Path) -> None:
    """The scenario is written before the ledger says what it is: a ledger beside it tells it from a person's folder."""
    begun = tmp_path / "begun"
    begun.mkdir()
    Ledger(begun).close()
    (begun / "inputs").mkdir()
    for name in ("scenario.yaml", ".scenario.yaml.word.tmp", "ledger.sqlite-journal"):
        (begun / name).write_text("")
    assert not is_dataset(begun)
    with draft(begun) as made:
        assert (begun / "scenario.yaml").read_text() == SCENARIO.text()
        assert not list(begun.glob(".*.tmp"))
        assert made.anew is None
    for name in ("scenario.yaml", ".x.tmp", "inputs"):  # without a ledger they are somebody's
        folder = tmp_path / f"own{name}"
        folder.mkdir()
        (folder / name).write_text("precious")
        with pytest.raises(DatasetError, match=re.escape(f"it holds {name}")), draft(folder):
            pass
        assert [entry.name for entry in folder.iterdir()] == [name]
    with_ledger = tmp_path / "with_ledger"
    with_ledger.mkdir()
    Ledger(with_ledger).close()
    for name in ("a.tmp", ".hidden"):
        (with_ledger / name).write_text("precious")
    with pytest.raises(DatasetError, match=r"(?m)it holds \.hidden, a\.tmp$"), draft(with_ledger):
        pass


def test_foreign_files_are_named_three_at_most(tmp_path: Path) -> None:
    for name in "dcba":
        (tmp_path / name).write_text("")
    with pytest.raises(DatasetError, match=r"(?m)it holds a, b, c$"), draft(tmp_path):
        pass


def test_a_folder_is_a_dataset_when_its_ledger_says_what_it_is(tmp_path: Path) -> None:
    assert not is_dataset(tmp_path)
    (tmp_path / "ledger.sqlite").write_bytes(b"")
    assert not is_dataset(tmp_path)
    (tmp_path / "ledger.sqlite").write_bytes(b"no database at all, only text of some length" * 50)
    assert not is_dataset(tmp_path)
    with draft(tmp_path / "data"):
        assert is_dataset(tmp_path / "data")
    with looking(tmp_path / "data") as ledger:
        assert stored_recipe(ledger).runs == RUNS
    with pytest.raises(DatasetError, match="there is no folder"), looking(tmp_path / "nowhere"):
        pass
    with Ledger(tmp_path / "data") as ledger:
        ledger.set_meta({"recipe": "text"})
        with pytest.raises(DatasetError, match="does not say what the dataset is"):
            stored_recipe(ledger)


def test_files_that_changed_are_named_three_at_most() -> None:
    def recipe(**inputs: str) -> Recipe:
        return replace(recipe_of(SCENARIO, 1), inputs={f"inputs/{name}.py": text for name, text in inputs.items()})

    assert recipe(a="1").other_inputs(recipe(a="1")) == ""
    assert recipe(a="1").other_inputs(recipe(a="2")) == ", and these files have changed: a.py"
    assert recipe(b="1").other_inputs(recipe(a="1")) == ", and these files have changed: a.py, b.py"
    three = ", and these files have changed: a.py, b.py, c.py"
    assert recipe().other_inputs(recipe(c="1", b="1", a="1")) == three
    assert recipe().other_inputs(recipe(c="1", b="1", a="1", e="1", d="1")) == f"{three} and 2 more"


def test_a_recipe_says_whether_it_has_twins() -> None:
    made = replace(recipe_of(SCENARIO, 5, shard=3), identity="0123456789abcdef0123")
    assert str(made) == "test/small 0123456789abcdef (seed 7, 5 runs, shards of 3)"
    assert str(replace(made, twin=True)).endswith("shards of 3, with twins)")
    assert str(replace(made, twin=True, keep_twins=True)).endswith("shards of 3, with twins kept)")
