"""The same story elsewhere: on a CPU without AVX-512, in another process, with another hash seed.

NumPy's `exp`, `sin`, `log`, `power` are other code on other CPUs and differ in last bits (numpy #23523). The tests'
wandering signal goes through `exp(sin(x))`, so that it does; switching features off stands for another machine.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.shell import SMALL_CAMERA, mischance, refused

WANDER = Path(__file__).parent / "plugins" / "wander.yaml"
FOUND = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])  # type: ignore[call-overload,index]
AVX512 = [name for name in FOUND if name.startswith("AVX512") or name == "X86_V4"]
ELSEWHERE = {"NPY_DISABLE_CPU_FEATURES": " ".join(AVX512)}
RUN = "2"

needs_avx512 = pytest.mark.skipif(
    not AVX512, reason="this CPU has no AVX-512 (or NumPy does not use it), so there is nothing to switch off"
)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset that was made with everything that this CPU can do."""
    out = tmp_path_factory.mktemp("here") / "wander"
    certain = ("--set", "faults.0.chance=1", "--set", "faults.1.chance=1", "--set", "write=[parquet]")
    done = mischance("sweep", WANDER, *certain, "--runs", "4", "--workers", "1", "--no-preview", "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def doctored(dataset: Path, copy: Path, table: str, change: Callable[[pa.Table], pa.Table]) -> Path:
    """Return a copy of a dataset with one shard changed and everything else, the ledger too, as it was."""
    shutil.copytree(dataset, copy)
    file = next((copy / table).glob("*.parquet"))
    before = pq.read_table(file)
    after = change(before)
    assert after.schema == before.schema
    assert after != before
    pq.write_table(after, file)
    return copy


def with_value(table: pa.Table, column: str, run: int, value: Callable[[object], object]) -> pa.Table:
    """Return the table with one value changed: the last one of a run."""
    values = table[column].to_pylist()
    row = max(i for i, found in enumerate(table["run"].to_pylist()) if found == run)
    values[row] = value(values[row])
    place = table.schema.get_field_index(column)
    return table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))


DOCTORED = {
    "a float": ("truth/signal", lambda t: with_value(t, "x", 2, lambda x: x + 1e-6), "truth/signal.x"),
    "a label": ("labels", lambda t: with_value(t, "class", 2, lambda _: "fault/plant/other"), "labels.class"),
    "a cause": ("labels", lambda t: with_value(t, "t_cause", 2, lambda x: x + 1e-3), "labels.t_cause"),
    "the verdict": ("runs", lambda t: with_value(t, "verdict", 2, lambda _: "lost"), "runs.verdict"),
    "a reading": ("sensors/slow", lambda t: with_value(t, "volt", 2, lambda x: x * (1 + 1e-6)), "sensors/slow.volt"),
}


def test_here_it_is_identical(here: Path):
    done = mischance("replay", here, RUN, "--strict")
    assert done.returncode == 0, done.stdout
    assert re.match(rf"run {RUN}: identical \(digest [0-9a-f]{{16}}\)$", done.stdout)


@needs_avx512
def test_without_avx512_it_is_the_same_story_and_says_why_it_is_not_identical(here: Path):
    done = mischance("replay", here, RUN, "--json", env=ELSEWHERE)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert (found["verdict"], found["same"], found["identical"]) == ("close", True, False)
    assert found["stored_digest"] != found["replayed_digest"]
    assert 0 < found["largest_difference"] < 1e-12, "last bits of numbers of the order of one"
    strict = mischance("replay", here, RUN, "--strict", env=ELSEWHERE)
    refused(strict, 1)
    assert "same events, labels and verdict; floats within 1e-9" in strict.stdout
    assert "identical" not in strict.stdout
    assert all(f"without {name}" in strict.stdout for name in AVX512)


@needs_avx512
@pytest.mark.parametrize(
    "what", ["a label", *(pytest.param(what, marks=pytest.mark.slow) for what in DOCTORED if what != "a label")]
)
def test_without_avx512_a_real_difference_is_still_found(what: str, here: Path, tmp_path: Path):
    table, change, words = DOCTORED[what]
    copy = doctored(here, tmp_path / "copy", table, change)
    done = mischance("replay", copy, RUN, env=ELSEWHERE)
    refused(done, 1)
    assert f"run {RUN}: differs: {words}" in done.stdout
    assert mischance("replay", copy, "1").returncode == 0, "the other runs are as they were"


def test_here_too_replay_sees_what_was_changed_in_the_files(here: Path, tmp_path: Path):
    table, change, words = DOCTORED["a float"]
    copy = doctored(here, tmp_path / "copy", table, change)
    assert mischance("verify", copy).returncode == 1
    done = mischance("replay", copy, RUN)
    assert done.returncode == 1
    assert words in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (str(WANDER), "--runs", "4", "--twin", "--set", "write=[parquet]"),
        pytest.param(("driving/cut_in", "--runs", "2", "--set", "duration=1.5", *SMALL_CAMERA), marks=pytest.mark.slow),
        pytest.param(
            ("payments/card_testing", "--runs", "2", "--set", "duration=1 d", "--set", "simulator.cards=300"),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["wander", "road", "payments"],
)
def test_fresh_processes_make_equal_manifests_whatever_hash_seed_folder_time_zone_and_language(
    arguments: tuple[str, ...], tmp_path: Path
):
    manifests = set()
    for seed, zone, place, language in (("0", "UTC", "a", "C"), ("271828", "Asia/Kathmandu", "b/c d", "tr_TR.UTF-8")):
        (tmp_path / place).mkdir(parents=True)
        done = mischance(
            "run", *arguments, "--no-preview", "--out", "out", cwd=tmp_path / place,
            env={"PYTHONHASHSEED": seed, "TZ": zone, "LANG": language, "LC_ALL": language},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        manifests.add((tmp_path / place / "out" / "manifest.json").read_bytes())
    assert len(manifests) == 1
