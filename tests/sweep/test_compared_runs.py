"""Replays, reproductions and workers in their parts: what counts as the same, what is said of what failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest

import mischance.sweep.replaying as replaying
import mischance.sweep.workers as workers
from mischance.dataset.draft import recipe_of
from mischance.dataset.ledger import RunEntry
from mischance.dataset.shards import Shard
from mischance.errors import RunError
from mischance.sweep.messages import DatasetRef, Failed, PlayJob, SealJob
from mischance.sweep.replaying import Replay, alike, compare_tables
from mischance.sweep.reproducing import Reproduction
from mischance.sweep.runners import read_trace
from tests.dataset.small_world import HERE, HONEST, FakeScenario

# -- replays ----------------------------------------------------------------------------------------------------------


def table(**columns: Any) -> pa.Table:
    return pa.table(columns)


def test_the_first_difference_that_matters_is_named_and_the_largest_of_floats_measured():
    a = table(run=[0, 0, 0], x=[1.0, None, np.nan], n=[1, 2, 3], w=["a", None, "c"])
    assert compare_tables("x", a, a) == ("", 0.0)
    said, size = compare_tables("x", a, a.set_column(1, "x", pa.array([1.0 + 1e-10, None, np.nan])))
    assert (said, size) == ("", pytest.approx(1e-10, rel=1e-5))
    for column, values, words in (
        ("x", [1.0 + 1e-8, None, np.nan], "truth/t.x, row 0 of the run: 1.0 stored, 1.00000001 replayed"),
        ("x", [1.0, 0.0, np.nan], "truth/t.x, row 1 of the run: None stored, 0.0 replayed"),
        ("x", [1.0, None, 3.0], "truth/t.x, row 2 of the run: nan stored, 3.0 replayed"),
        ("n", [1, 2, 4], "truth/t.n, row 2 of the run: 3 stored, 4 replayed"),
        ("w", ["a", "b", "d"], "truth/t.w, row 1 of the run: None stored, 'b' replayed"),
    ):
        other = a.set_column(a.schema.names.index(column), column, pa.array(values))
        assert compare_tables("truth/t", a, other)[0] == words
    assert compare_tables("t", a, a.slice(1))[0] == "table t has 3 rows stored, 2 replayed"
    assert compare_tables("t", a, a.drop(["w"]))[0].startswith(
        "table t has columns ['run', 'x', 'n', 'w'] stored, ['run'"
    )
    digests = [table(digest=[word]) for word in "ab"]
    assert compare_tables("runs", *digests)[0] == "", "the digest is what the rest says"
    assert compare_tables("labels", *digests)[0] != ""
    infinite = [table(x=[value]) for value in (np.inf, -np.inf, 1.0)]
    assert compare_tables("t", infinite[0], infinite[0]) == ("", 0.0)
    assert all(compare_tables("t", infinite[0], other)[0] for other in infinite[1:])
    large = [table(x=[1e6 + shift]) for shift in (0.0, 0.9e-3, 1.1e-3)]
    assert [compare_tables("t", large[0], other)[0] == "" for other in large] == [True, True, False], (
        "it is relative too"
    )


class Stored(replaying._Stored):
    """What a dataset holds of a run, given by hand."""

    def __init__(self, files: Path, **tables: pa.Table) -> None:
        self.files, self.run = files, 0
        self._tables = {name.replace("__", "/"): (lambda own=own: own) for name, own in tables.items()}

    def tables(self) -> dict[str, Any]:
        return self._tables


def compared_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: dict[str, pa.Table], again: dict[str, pa.Table]
) -> tuple[str, float]:
    now = {name.replace("__", "/"): own for name, own in again.items()}
    monkeypatch.setattr(replaying, "stream_paths", lambda folder: sorted(now))
    monkeypatch.setattr(replaying, "read_stream", lambda folder, path: now[path])
    monkeypatch.setattr(replaying, "_table", lambda stream, run: stream)
    return replaying._compare(Stored(tmp_path, **before), tmp_path / "part", 0)


def test_events_labels_and_measures_are_compared_before_the_rest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "part").mkdir()
    names = ("a_first", "events", "labels", "runs", "truth__z")
    before = {name: table(v=[1]) for name in names}
    order = []
    changed = {name: table(v=[2]) for name in names}
    while changed:
        said, _ = compared_run(monkeypatch, tmp_path, before, {**before, **changed})
        order.append(said.partition(".")[0])
        del changed[order[-1].replace("/", "__")]
    assert order == ["events", "labels", "runs", "a_first", "truth/z"]
    assert compared_run(monkeypatch, tmp_path, before, before) == ("", 0.0)
    fewer = {name: before[name] for name in names[:4]}
    assert compared_run(monkeypatch, tmp_path, before, fewer)[0] == "table truth/z is only stored"
    assert compared_run(monkeypatch, tmp_path, fewer, before)[0] == "table truth/z is only replayed"
    empty = {**fewer, "truth__z": table(v=pa.array([], pa.int64()))}
    assert compared_run(monkeypatch, tmp_path, fewer, empty) == ("", 0.0), "a table without rows tells nothing"


def test_files_are_compared_by_name_number_and_content(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    stored, part = tmp_path / "stored", tmp_path / "part"
    for folder in (stored, part):
        for name in ("f/000000003/0.txt", "f/000000003/1.txt"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("same")
    for name in ("_tables/x", "_part.json", "_merge/y"):
        (part / name).parent.mkdir(exist_ok=True)
        (part / name).write_text("its own")
    assert list(replaying._file_differences(Stored(stored), part)) == []
    (stored / "f/000000003/2.txt").write_text("more")
    assert list(replaying._file_differences(Stored(stored), part)) == ["f/000000003 holds 3 files stored, 2 replayed"]
    (stored / "f/000000003/2.txt").unlink()
    (part / "f/000000003/1.txt").write_text("other")
    assert list(replaying._file_differences(Stored(stored), part)) == ["f/000000003/1.txt: another content"]
    (stored / "f/000000003/1.txt").unlink()
    assert "f/000000003/1.txt is only replayed" in list(replaying._file_differences(Stored(stored), part))


def test_images_and_arrays_are_alike_up_to_their_last_bits(tmp_path: Path):
    image = np.full((3, 4), 100, np.uint8)
    names = {}
    for name, own in {"a": image, "b": image + 1, "c": image + 2, "d": image[:2], "e": image - 1}.items():
        names[name] = tmp_path / f"{name}.png"
        cv2.imwrite(str(names[name]), own)
    assert [alike(names["a"], names[name]) for name in "abcde"] == [True, True, False, False, True]
    names["a"].write_bytes(b"no image")
    assert not alike(names["a"], names["b"])
    flow = np.array([1.0, np.nan])
    arrays = {
        "a": {"f": flow},
        "b": {"f": flow + 1e-7},
        "c": {"f": flow + 1e-3},
        "d": {"g": flow},
        "e": {"f": flow[:1]},
    }
    for name, own in arrays.items():
        np.savez(tmp_path / f"{name}.npz", **own)
    assert [alike(tmp_path / "a.npz", tmp_path / f"{name}.npz") for name in "abcde"] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert not alike(tmp_path / "x.txt", tmp_path / "x.txt")


def entry(status: str, error: str | None = None) -> RunEntry:
    return RunEntry(3, status, None, None, None, None, error, None)


def test_a_failure_is_as_before_where_it_says_the_same_or_where_a_process_was_ended():
    for stored, now, as_before in (
        (entry("failed", "it broke\nthere"), Failed("it broke\nhere"), True),
        (entry("failed", "it broke"), Failed("another"), False),
        (entry("crashed", "at a"), Failed("at b", "crashed"), True),
        (entry("timeout", "at a"), Failed("at b", "timeout"), True),
        (entry("crashed", "at a"), Failed("at a", "timeout"), False),
        (entry("done"), Failed("it broke"), False),
    ):
        found = replaying._failed(stored, now, ("numpy is new",))
        assert (found.verdict, found.as_before, found.run) == ("failed", as_before, 3)
        reason = now.reason.split("\n")[0]
        if as_before:
            assert found.difference == f"fails as before: {reason}"
        else:
            then = f"then it was {stored.status}" + (f" ({stored.error})" if stored.error else "")
            assert found.difference == f"{now.status} now ({reason}); {then}"
            assert found.why == ("numpy is new",)


def test_a_replay_says_what_it_came_to():
    made = Replay(3, "identical", "0123456789abcdef01", "x", largest=2e-12, why=("a", "b"), difference="t.x")
    assert made.text() == "run 3: identical (digest 0123456789abcdef)"
    assert replace(made, verdict="close").text() == (
        "run 3: same events, labels and verdict; floats within 1e-9 (largest 2.0e-12); a; b"
    )
    assert replace(made, verdict="differs", why=()).text() == "run 3: differs: t.x"
    assert replace(made, verdict="failed").text() == "run 3: t.x; a; b"
    verdicts = ("identical", "close", "differs", "failed")
    assert [replace(made, verdict=word).same for word in verdicts] == [True, True, False, False]
    assert [replace(made, verdict=word).identical for word in verdicts] == [True, False, False, False]
    facts = made.facts()
    assert (facts["run"], facts["identical"], facts["same"], facts["why"], facts["as_before"]) == (
        3,
        True,
        True,
        ["a", "b"],
        False,
    )


def test_a_reproduction_says_what_it_came_to():
    made = Reproduction(Path("d"), 1, 1200, ())
    assert made.text() == "d: 1 run played again: all 1,200 files are identical"
    many = replace(made, runs=2000, differences=tuple("abcdef"), why=("w",))
    assert many.text().splitlines() == [
        "d: 2,000 runs played again: 6 differences; w",
        "  a",
        "  b",
        "  c",
        "  d",
        "  e",
        "  …",
    ]
    assert replace(many, differences=tuple("abcde")).text().splitlines()[-1] == "  e"
    assert replace(many, differences=("a",)).text().splitlines()[0] == "d: 2,000 runs played again: 1 difference; w"
    close = replace(made, close=("x",), largest=3e-12, why=("w",))
    assert (
        close.text()
        == "d: 1 run played again: same events, labels and verdicts; floats within 1e-9 (largest 3.0e-12); w"
    )
    assert [(one.identical, one.same) for one in (made, close, many)] == [(True, True), (False, True), (False, False)]


# -- workers ----------------------------------------------------------------------------------------------------------


def ref(out: Path, source: str = HONEST) -> DatasetRef:
    return DatasetRef(str(out), recipe_of(FakeScenario(), 4), source)  # type: ignore[arg-type]


def test_errors_are_explained_in_one_line_and_others_with_their_place():
    assert workers.explain(RunError("the tank is empty")) == "the tank is empty"
    assert workers.explain(RunError("the tank is empty", "fill it")) == "the tank is empty; fill it"
    try:
        raise ValueError("of\n  two lines")
    except ValueError as error:
        first, *rest = workers.explain(error).split("\n")
    assert first.startswith("ValueError: of two lines (test_compared_runs.py:")
    assert first.endswith("in test_errors_are_explained_in_one_line_and_others_with_their_place)")
    assert "Traceback" in rest[0]
    assert workers.explain(ValueError("x")).startswith("ValueError: x\n")


def test_work_is_made_once_and_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    closed, made = [], []

    def make(dataset: DatasetRef) -> workers.Work:
        made.append(dataset)
        return workers.Work(play=lambda runs: iter(()), close=lambda: closed.append(dataset))

    workers.release()
    monkeypatch.setattr(workers, "make_work", make)
    one, two = ref(tmp_path / "a"), ref(tmp_path / "b")
    assert workers._work(one) is workers._work(one)
    assert (len(made), closed) == (1, [])
    workers._work(two)
    assert (len(made), closed) == (2, [one])
    workers.release()
    assert closed == [one, two]
    assert workers._WORK == {}


def test_what_cannot_be_loaded_stops_all(tmp_path: Path):
    workers.release()
    (tmp_path / "odd.py").write_text("import nothing_of_that_name\n")
    for source, words in (
        (f"{tmp_path / 'odd.py'}:make", "nothing can be played: ModuleNotFoundError"),
        (f"{HERE}:nobody", "nothing can be played: AttributeError"),
    ):
        found = workers.perform(PlayJob(ref(tmp_path, source), Shard(0, 3), 0, 3, 1.0))
        assert isinstance(found, Failed)
        assert found.reason.startswith(words)
        assert found.stop is not None


def test_a_world_must_play_just_the_runs_that_it_was_asked_for(tmp_path: Path):
    def rows(*runs: int) -> Any:
        return SimpleNamespace(rows=[SimpleNamespace(run=run) for run in runs], write=lambda record: None)

    work = workers.Work(play=lambda runs: iter(()))
    workers.play_into(rows(3, 2), work, np.array([2, 3]))
    with pytest.raises(RunError, match="got no run"):
        workers.play_into(rows(), work, np.array([2, 3]))
    with pytest.raises(RunError, match=r"asked for runs 2 to 3, got \[2\]…"):
        workers.play_into(rows(2), work, np.array([2, 3]))


def test_why_a_worker_died_is_read_from_what_it_left(tmp_path: Path):
    dataset = ref(tmp_path)
    job, sealing = PlayJob(dataset, Shard(0, 3), 0, 3, 2.5), SealJob(dataset, Shard(0, 3), ())
    frame = 'Current thread 0x1 (most recent call first):\n  File "/x/world.py", line 42 in step\n'
    watch = 'Thread 0x2 (most recent call first):\n  File "/x/watch.py", line 1 in watch\n\n'
    for text_, of, code, reason, status in (
        (
            f"pid 1\nTimeout (0:00:02)!\n{watch}{frame}",
            job,
            1,
            "over its time limit: 2.5 s in step (world.py:42)",
            "timeout",
        ),
        (
            f"pid 1\nTimeout (0:00:02)!\n{frame}",
            sealing,
            1,
            "over its time limit: none in step (world.py:42)",
            "timeout",
        ),
        (
            f"pid 1\nFatal Python error: Segmentation fault\n\n{frame}",
            job,
            -11,
            "its process died: Segmentation fault in step (world.py:42)",
            "crashed",
        ),
        ("pid 1\n", job, -9, "its process was ended by SIGKILL", "crashed"),
        ("pid 1\n", job, 3, "its process ended with exit code 3", "crashed"),
        ("pid 1\n", job, -250, "its process ended with exit code -250", "crashed"),
        ("", job, 0, "its process ended with exit code 0", "crashed"),
    ):
        trace = tmp_path / "trace"
        trace.write_text(text_)
        found = read_trace(trace, of, code)
        assert (found.reason.split("\n")[0], found.status) == (reason, status)
        assert not trace.exists()
    assert read_trace(tmp_path / "gone", job, 3).reason == "its process ended with exit code 3"
