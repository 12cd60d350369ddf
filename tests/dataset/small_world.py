"""A small world for tests of the dataset, given to a sweep as `tests/small_world.py:honest`.

It needs no scenario language: rows and images follow from the run's own streams. The misbehaving
ones look for a file beside the dataset that says they should.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mischance.api.phases import phase
from mischance.api.randomness import Streams
from mischance.api.runs import Record
from mischance.api.scene import Frames
from mischance.api.tables import EVENTS, LABELS, Column, IntArray, Table
from mischance.dataset.manifest import Recipe
from mischance.dataset.parts import PartWriter
from mischance.dataset.splits import Splits
from mischance.language.scenario import Split
from mischance.sweep.workers import Work
from mischance.writers.parquet import Parquet
from mischance.writers.parquet import Settings as ParquetSettings
from mischance.writers.png import Png
from mischance.writers.png import Settings as PngSettings

HERE = str(Path(__file__).resolve())
HONEST = f"{HERE}:honest"
PAYMENTS = {
    "t": Column(unit="s", encoding="delta", role="time"),
    "event_id": Column("int64", encoding="plain", role="key"),
    "cents": Column("int64", unit="ct", encoding="delta", about="amount"),
    "kind": Column("category", names=("chip", "web", "tap", "never")),
    "risk": Column(null=True),
    "note": Column("text"),
}
PAYMENT_LABELS = {
    "event_id": Column("int64", encoding="plain", role="key"),
    "is_fraud": Column("bool"),
    "t_reported": Column(unit="s", null=True),
}
RUNS = {
    "weight": Column(),
    "speed": Column(unit="m/s"),
    "event": Column("bool"),
    "margin": Column(),
    "verdict": Column("text"),
    "reason": Column("text"),
}


@dataclass(frozen=True)
class FakeScenario:
    name: str = "test/small"
    about: str = "A small world."
    tags: tuple[str, ...] = ()
    seed: int = 7
    comment: str = ""
    plan: None = None
    begins: str = ""
    exposure: None = None
    files: dict[str, Any] = field(default_factory=dict)

    def plugins(self) -> tuple[Any, ...]:
        return ()

    def text(self) -> str:
        return f"name: {self.name}\nseed: {self.seed}\n# {self.comment}\n"

    def identity(self) -> str:
        return hashlib.sha256(self.text().encode()).hexdigest()


def records(runs: IntArray, seed: int, batch: int, cuts: int = 3, frames: bool = True) -> Iterator[Record]:
    """Play runs in batches; `cuts` pieces of time each."""
    for first in range(0, len(runs), batch):
        yield from _batch(runs[first : first + batch], seed, cuts, frames)


def _batch(runs: IntArray, seed: int, cuts: int, frames: bool) -> Iterator[Record]:
    whole = [_rows(int(run), seed) for run in runs]
    edges = np.linspace(0.0, 1.0, cuts + 1)
    for low, high in itertools.pairwise(edges):
        tables = {}
        for path, schema in {
            "truth/payments": PAYMENTS,
            "labels/payments": PAYMENT_LABELS,
            "events": EVENTS,
        }.items():
            cut = [_between(rows[path], rows["t"][path], low, high) for rows in whole]
            tables[path] = Table.of(schema, cut)
        images = {}
        if frames:
            images = {
                "sensors/front/frames": tuple(_frames(int(run), low, high, "rgb") for run in runs),
                "sensors/front/depth": tuple(_frames(int(run), low, high, "depth") for run in runs),
                "sensors/front/flow": tuple(_frames(int(run), low, high, "flow") for run in runs),
            }
        yield Record(runs, float(low), float(high), tables, images)
    tables = {
        "runs": Table.of(RUNS, [rows["runs"] for rows in whole]),
        "labels": Table.of(LABELS, [rows["labels"] for rows in whole]),
    }
    yield Record(runs, 1.0, 1.0, tables, last=True)


def _between(rows: dict[str, Any], t: np.ndarray, low: float, high: float) -> dict[str, Any]:
    keep = (t > low) & (t <= high)
    return {
        name: np.asarray(values, object if isinstance(values, list) else None)[keep] for name, values in rows.items()
    }


def _rows(run: int, seed: int) -> dict[str, Any]:
    rng = Streams(seed, run)("payments")
    n = int(rng.integers(0, 40))
    t = np.sort(rng.random(n))
    fraud = rng.random(n) < 0.2
    payments = {
        "t": t,
        "event_id": np.arange(n, dtype=np.int64),
        "cents": rng.integers(1, 10_000, n),
        "kind": rng.integers(-1, 3, n).astype(np.int32),
        "risk": np.where(rng.random(n) < 0.3, np.nan, rng.random(n)),
        "note": [f"payment {i} of run {run} é" for i in range(n)],
    }
    labels = {
        "event_id": np.flatnonzero(fraud).astype(np.int64),
        "is_fraud": np.ones(int(fraud.sum()), np.bool_),
        "t_reported": np.where(rng.random(int(fraud.sum())) < 0.5, np.nan, t[fraud] + 0.3),
    }
    events = {
        "t": t[:2], "event_id": [f"e:{i}" for i in range(len(t[:2]))], "parent_id": [""] * len(t[:2]),
        "kind": ["payment"] * len(t[:2]), "subject": ["card"] * len(t[:2]), "details": ["{}"] * len(t[:2]),
    }  # fmt: skip
    label = {name: [np.nan if column.dtype == "float64" else "x"] for name, column in LABELS.items()} if n > 20 else {}
    if label:
        label["t_cause"] = [0.5]
        label["severity"] = [1.0]
    outcome = {
        "weight": [1.0], "speed": [rng.random()], "event": [n > 30], "margin": [30.0 - n],
        "verdict": ["pass"], "reason": [""],
    }  # fmt: skip
    times = {"truth/payments": t, "labels/payments": t[fraud], "events": t[:2]}
    return {"truth/payments": payments, "labels/payments": labels, "events": events, "t": times,
            "runs": outcome, "labels": label}  # fmt: skip


def _frames(run: int, low: float, high: float, name: str) -> Frames:
    taken = range(3) if run % 4 == 3 else (2,)  # few files: what they cost is most of what a small sweep takes
    index = np.array([k for k in taken if low < (k + 1) / 3 <= high], np.int64)
    rng = np.random.default_rng([run])
    shape = {"rgb": (6, 8, 3), "depth": (6, 8), "flow": (6, 8, 2)}[name]
    stack = rng.random((3, *shape))[index]
    dtype = np.uint8 if name == "rgb" else np.float32
    images = (stack * 255).astype(dtype)
    if name == "depth" and len(images):
        images[:, 0, 0] = np.inf
    return Frames((index + 1) / 3, {name: images}, index)


def _work(recipe: Recipe, play: Callable[[IntArray], Iterator[Record]], batch: int = 4) -> Work:
    return Work(
        play=play,
        batch=batch,
        writers={"parquet": lambda folder: Parquet(ParquetSettings(), folder), "png": lambda f: Png(PngSettings(), f),
                 "lines": Lines},
        merge=(Lines.merge,),
        splits=lambda: Splits(Split("run", 0.8, 0.1, 0.1), recipe.seed, 1.0),
    )  # fmt: skip


class Lines:
    """A merging format: a line a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "_merge" / "lines"

    def write(self, record: Record) -> None:
        if record.last:
            self.folder.mkdir(parents=True, exist_ok=True)
            for run in record.runs.tolist():
                (self.folder / f"{run:09d}.txt").write_text(f"run {run}\n")

    def close(self) -> None:
        pass

    @staticmethod
    def merge(dataset: Path) -> None:
        texts = [file.read_text() for file in sorted((dataset / "_merge" / "lines").glob("*.txt"))]
        temporary = dataset / ".lines.txt.tmp"
        temporary.write_text("".join(texts))
        temporary.replace(dataset / "lines.txt")


def honest(out: Path, recipe: Recipe) -> Work:
    return _work(recipe, lambda runs: records(runs, recipe.seed, 4))


def one_by_one(out: Path, recipe: Recipe) -> Work:
    """The same world, another batch and other cuts: the same bytes."""
    return _work(recipe, lambda runs: records(runs, recipe.seed, 1, cuts=1), batch=1)


def slow(out: Path, recipe: Recipe) -> Work:
    """The same world, at 20 ms a run, so that there is something to kill."""

    def play(runs: IntArray) -> Iterator[Record]:
        for record in records(runs, recipe.seed, 1):
            time.sleep(0.005)
            yield record

    return _work(recipe, play, batch=1)


def _misbehave(what: Callable[[], object], forever: bool = True) -> Callable[[Path, Recipe], Work]:
    def make(out: Path, recipe: Recipe) -> Work:
        def play(runs: IntArray) -> Iterator[Record]:
            for record in records(runs, recipe.seed, 4):
                if 5 in record.runs and record.start > 0.2 and not (out.parent / "cured").exists():
                    if not forever:
                        (out.parent / "cured").touch()
                    what()
                yield record

        return _work(recipe, play)

    return make


def _raise() -> None:
    raise ValueError("this world is broken at run 5")


def _hang() -> None:
    while True:
        time.sleep(0.01)


def _spin() -> None:
    while True:
        pass


def _compile() -> None:
    with phase("compiling what this world needs", 3.5):
        time.sleep(3.5)


compiles = _misbehave(_compile)
dies = _misbehave(lambda: os._exit(3))
leaves = _misbehave(lambda: os._exit(0))
aborts = _misbehave(os.abort)
hangs = _misbehave(_hang)
spins = _misbehave(_spin)
raises = _misbehave(_raise)
dies_once = _misbehave(lambda: os._exit(3), forever=False)


def last_bit(out: Path, recipe: Recipe) -> Work:
    """The same world on a CPU whose last bits differ."""

    def play(runs: IntArray) -> Iterator[Record]:
        for record in records(runs, recipe.seed, 4):
            tables = {**record.tables}
            if "truth/payments" in tables:
                table = tables["truth/payments"]
                columns = {**table.columns, "risk": np.nextafter(table.columns["risk"], 2.0)}
                tables["truth/payments"] = Table(table.schema, columns, table.offsets)
            yield Record(record.runs, record.start, record.end, tables, record.frames, record.scenes, record.last)

    return _work(recipe, play)


def other_story(out: Path, recipe: Recipe) -> Work:
    """Another world: one word in the events is not the same."""

    def play(runs: IntArray) -> Iterator[Record]:
        for record in records(runs, recipe.seed, 4):
            tables = {**record.tables}
            if "events" in tables:
                table = tables["events"]
                kind = np.array(["refund"] * len(table), object)
                tables["events"] = Table(table.schema, {**table.columns, "kind": kind}, table.offsets)
            yield Record(record.runs, record.start, record.end, tables, record.frames, record.scenes, record.last)

    return _work(recipe, play)


def full_disk(out: Path, recipe: Recipe) -> Work:
    """A disk that is full when the fifth run is written."""

    class Full(Lines):
        def write(self, record: Record) -> None:
            if 5 in record.runs and not (out.parent / "cured").exists():
                raise OSError(28, "No space left on device", str(self.folder))
            super().write(record)

    work = _work(recipe, lambda runs: records(runs, recipe.seed, 4))
    return Work(work.play, 4, {**work.writers, "lines": Full}, work.merge, work.splits)


__all__ = ["HERE", "HONEST", "FakeScenario", "PartWriter", "records"]
