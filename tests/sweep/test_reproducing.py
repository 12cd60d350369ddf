"""`mischance reproduce`: a dataset made again from what it holds itself, and what differs where it was changed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mischance.errors import DatasetError
from mischance.sweep.jobs import sweep
from mischance.sweep.reproducing import _difference, reproduce
from tests.shell import content, mischance, refused
from tests.support import wander


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small dataset of a user's own world, agent and sensors, whose code it holds."""
    return sweep(wander(), 5, tmp_path_factory.mktemp("made") / "set", workers=0).path


def copied(folder: Path, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, to / "copy"))


def test_a_dataset_is_made_again_to_the_byte_and_left_alone(made: Path, tmp_path: Path):
    before = content(made)
    found = reproduce(made, workers=0)
    assert (found.identical, found.same, found.runs) == (True, True, 5)
    assert "5 runs played again: all" in found.text()
    assert content(made) == before
    kept = reproduce(copied(made, tmp_path), tmp_path / "again", workers=0)
    assert kept.identical, "from a folder that was moved"
    assert (tmp_path / "again" / "manifest.json").read_bytes() == (made / "manifest.json").read_bytes()


@pytest.mark.parametrize("how", [{"twin": True}, {"keep_twins": True}, {"shard": 2}])
def test_twins_and_shards_are_those_of_the_dataset(how: dict[str, int], tmp_path: Path):
    out = sweep(wander(), 5, tmp_path / "set", workers=0, **how).path  # type: ignore[arg-type]
    assert reproduce(out, workers=0).identical
    text = (out / "README.md").read_text()
    assert ("--twin" in text, "--keep-twins" in text) == ("twin" in how, "keep_twins" in how)
    assert ("in shards of 2 runs" in text) == ("shard" in how)


def test_other_code_is_no_reproduction(made: Path, tmp_path: Path):
    own = copied(made, tmp_path)
    world = own / "inputs" / "drift.py"
    text = world.read_text()
    changed = text.replace("normal(size=BLOCK)", "normal(size=BLOCK) + 1.0")
    assert changed != text
    world.write_text(changed)
    found = reproduce(own, workers=0)
    assert not found.same
    assert any(line.startswith("stored inputs/drift.py") for line in found.differences)
    assert any(re.match(r"(truth|runs|sensors)", line) for line in found.differences), found.differences


def test_what_was_changed_in_a_file_shows_though_the_runs_are_the_same(made: Path, tmp_path: Path):
    own = copied(made, tmp_path)
    file = next((own / "runs").glob("*.parquet"))
    file.write_bytes(file.read_bytes() + b" ")
    (line,) = reproduce(own, workers=0).differences
    assert line.startswith(f"stored runs/{file.name}")


def test_floats_within_tolerance_are_close_and_others_differ(tmp_path: Path):
    for name, shift in (("a", 0.0), ("b", 1e-12), ("c", 1e-3)):
        pq.write_table(pa.table({"run": [0, 0], "x": np.array([1.0, 2.0]) + shift}), tmp_path / f"{name}.parquet")
    a, b, c = (tmp_path / f"{name}.parquet" for name in "abc")
    message, size = _difference("truth/x/a.parquet", a, b)
    assert message == ""
    assert size == pytest.approx(1e-12, rel=1e-3)
    assert _difference("truth/x/a.parquet", a, c)[0].startswith("truth/x.x, row 0")


def test_what_cannot_be_reproduced_is_refused(made: Path, tmp_path: Path):
    with pytest.raises(DatasetError, match="is no dataset"):
        reproduce(tmp_path, workers=0)
    with pytest.raises(DatasetError, match="is the dataset itself"):
        reproduce(made, made, workers=0)
    own = copied(made, tmp_path)
    text = (own / "scenario.yaml").read_text()
    (own / "scenario.yaml").write_text(re.sub(r"^seed: .*$", "seed: 12345", text, flags=re.MULTILINE))
    with pytest.raises(DatasetError, match="is not the scenario that this dataset was made with"):
        reproduce(own, workers=0)


def test_the_card_says_the_command_that_makes_the_dataset(made: Path, tmp_path: Path):
    own = copied(made, tmp_path)
    (line,) = re.findall(r"^(mischance sweep .*)$", (own / "README.md").read_text(), re.MULTILINE)
    words = shlex.split(line)[1:]
    assert mischance(*words, "--workers", "1", "--no-preview", cwd=own).returncode == 0
    assert (tmp_path / "again" / "manifest.json").read_bytes() == (made / "manifest.json").read_bytes()


def test_reproduce_on_the_command_line(made: Path, tmp_path: Path):
    done = mischance("reproduce", made, "--workers", "1")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert "5 runs played again: all" in done.stdout
    assert json.loads(mischance("reproduce", made, "--workers", "1", "--json").stdout)["identical"] is True
    own = copied(made, tmp_path)
    next((own / "events").glob("*.parquet")).unlink()
    worse = mischance("reproduce", own, "--workers", "1")
    assert "does not tell the same story again" in refused(worse, 1)
    assert "missing" in worse.stdout
