"""Does jobs: plays runs into a part, seals a shard, merges files, replays a run.

`perform` is the one function that a runner calls. It reads everything from its message and from the dataset's
folder, and returns what became of the job as a value: it raises nothing.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import importlib
import importlib.util
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.phases import Phase, listen, phase
from mischance.api.runs import Record
from mischance.api.tables import IntArray
from mischance.dataset.disk import disk
from mischance.dataset.draft import SCENARIO
from mischance.dataset.manifest import PARTS, Recipe
from mischance.dataset.parts import PartWriter, RunRow, commit, temporary
from mischance.dataset.shards import range_name, seal
from mischance.errors import DatasetError, MischanceError, RunError
from mischance.language.inputs import FOLDER, Loaded, loaded_from
from mischance.language.user_code import search_too
from mischance.sweep.messages import (
    DatasetRef,
    Done,
    Failed,
    Job,
    JudgeJob,
    MergeJob,
    PlayJob,
    ReplayJob,
    SealJob,
    explain,
)

if TYPE_CHECKING:
    from mischance.api.protocols import Writer
    from mischance.dataset.splits import Splits

SCENARIO_WORK = "mischance.sweep.workers:scenario_work"


@dataclass(frozen=True, slots=True)
class Work:
    """What a dataset needs done, ready to be called in a worker.

    `play` yields the records of these runs, batch after batch; `batch`: runs in one; `writers`: name ->
    maker of a writer for a part's folder; `merge`: what merges the writers' files at the very end; `close`:
    gives back what playing holds.
    """

    play: Callable[[IntArray], Iterator[Record]]
    batch: int = 1
    writers: Mapping[str, Callable[[Path], Writer]] = field(default_factory=dict)
    merge: Sequence[Callable[[Path], None]] = ()
    splits: Callable[[], Splits] | None = None
    close: Callable[[], None] | None = None
    loaded: Callable[[], Loaded] | None = None


def scenario_work(out: Path, recipe: Recipe) -> Work:
    """Return the work of the scenario that stands in a dataset.

    Raises:
        DatasetError: the scenario is not the one that the dataset was begun with.
    """
    from mischance.api.protocols import declares
    from mischance.dataset.splits import Splits
    from mischance.language import catalog
    from mischance.language.loading import load
    from mischance.play.healthy import healthy_band
    from mischance.play.player import Player
    from mischance.play.plugins import batch_size
    from mischance.play.sampling import draw
    from mischance.play.twins import Lockstep

    scenario = load(out / SCENARIO)
    found = scenario.identity()
    if found != recipe.identity:
        raise DatasetError(
            f"{out / SCENARIO} is not the scenario of this dataset: {found[:16]}, not {recipe.identity[:16]}",
            "restore it, or make the dataset again in another folder",
        )

    player = Lockstep(scenario, keep=recipe.keep_twins) if recipe.twin else Player(scenario)

    def play_runs(runs: IntArray) -> Iterator[Record]:
        return player.play(draw(scenario, runs))

    makers: dict[str, Callable[[Path], Writer]] = {}
    merge = []
    for plugin in scenario.writers:
        makers[plugin.kind] = _maker(plugin.cls, plugin.settings)
        if plugin.declared.merge is not None:
            merge.append(plugin.declared.merge)
    if "png" not in makers:  # images are kept whatever else is written
        png = catalog.find("writers", "png")
        makers["png"] = _maker(png, declares(png).settings())
    if recipe.twin and scenario.faults:
        healthy_band(scenario)  # made once a worker, outside the time limit of the first run
    entity = scenario.simulator.declared.entity
    return Work(
        play=play_runs,
        batch=batch_size(scenario),
        writers=makers,
        merge=merge,
        splits=lambda: Splits(scenario.split, scenario.seed, scenario.duration, entity),
        close=player.close,
        loaded=lambda: loaded_from(scenario, [out / FOLDER]),
    )


def _maker(cls: type[Any], settings: Any) -> Callable[[Path], Writer]:
    return lambda folder: cls(settings, folder)


def perform(job: Job) -> Done | Failed:
    """Do a job; whatever goes wrong comes back as a value.

    A process does one job at a time: threads that call this wait for each other, for worlds, their engines and
    their time limits belong to the process.
    """
    with _ONE:
        return _perform(job)


def _perform(job: Job) -> Done | Failed:
    try:
        with _traced(job.trace), _timed() as spent:
            if isinstance(job, PlayJob | ReplayJob | MergeJob):
                with phase("loading what the scenario names") if job.trace else contextlib.nullcontext():
                    _work(job.dataset)  # what it takes to load is not the run's time
            begun = time.perf_counter()
            if isinstance(job, PlayJob):
                rows, batch = _play(job)
                seconds = time.perf_counter() - begun
                loaded = _work(job.dataset).loaded
                found = loaded() if loaded is not None else Loaded()
                return Done(tuple(rows), seconds, batch, sources=found.sources, opened=found.opened, spent=spent)
            if isinstance(job, JudgeJob):
                from mischance.sweep.otherwise import judge

                search_too(())
                answers = judge(job.setup, job.tasks, lambda limit: _Limit(limit, job.trace), job.limit)
                return Done(seconds=time.perf_counter() - begun, answers=tuple(answers), spent=spent)
            if isinstance(job, SealJob):
                out = Path(job.dataset.out)
                files = seal(out, job.shard, [out / PARTS / part for part in job.parts])
                return Done(seconds=time.perf_counter() - begun, files=files)
            if isinstance(job, ReplayJob):
                return Done(tuple(_replay(job)), time.perf_counter() - begun)
            _merge(job)
            return Done(seconds=time.perf_counter() - begun)
    except DatasetError as error:
        return Failed(error.message, stop=error.hint)
    except (Exception, SystemExit) as error:
        from mischance.play.starting import failed_at_start

        return Failed(explain(error), at_start=failed_at_start(error))


def _play(job: PlayJob) -> tuple[list[RunRow], int]:
    out = Path(job.dataset.out)
    work = _work(job.dataset)
    name = range_name(job.first, job.last)
    made = temporary(out / PARTS, name)
    runs = range(job.first, job.last + 1)
    shard = runs if runs == range(job.shard.first, job.shard.last + 1) else None
    writer = PartWriter(made, work.writers, work.splits() if work.splits else None, shard=shard)
    try:
        play_into(writer, work, np.arange(job.first, job.last + 1, dtype=np.int64), job.limit, job.trace)
        rows = writer.close()
        commit(made, out / PARTS / job.shard.folder / name)
    except BaseException:
        writer.abandon()
        raise
    return rows, work.batch


def _replay(job: ReplayJob) -> list[RunRow]:
    work = _work(job.dataset)
    writer = PartWriter(Path(job.folder), work.writers, work.splits() if work.splits else None)
    play_into(writer, work, np.array([job.run], np.int64), job.limit, job.trace)
    return writer.close()


def play_into(writer: PartWriter, work: Work, runs: IntArray, limit: float = 0.0, trace: str = "") -> None:
    """Play runs into a part.

    Args:
        writer: takes the records.
        work: plays.
        runs: which; shape (n,).
        limit: seconds that a batch may take, 0 for any; needs `trace`.
        trace: a file for the place where a run stood as its time was up.

    Raises:
        RunError: the world did not play just these runs.
    """
    with _Limit(limit, trace) as clock:
        for record in work.play(runs):
            writer.write(record)
            if record.last:
                clock.start()
    played = sorted(row.run for row in writer.rows)
    if played != runs.tolist():
        raise RunError(f"asked for runs {runs[0]} to {runs[-1]}, got {played[:3]}…" if played else "got no run")


def _merge(job: MergeJob) -> None:
    out = Path(job.dataset.out)
    for merge in _work(job.dataset).merge:
        with disk(out):
            merge(out)


class _Limit:
    """Ends this process when a batch takes too long, also where it hangs in C code: faulthandler's own thread does."""

    def __init__(self, limit: float, trace: str) -> None:
        self.limit = limit if trace else 0.0
        self.trace = trace
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> _Limit:
        self._paused = False
        if self.limit > 0:
            self._file = self._stack.enter_context(Path(self.trace).open("a", encoding="utf-8"))
            self._stack.callback(faulthandler.cancel_dump_traceback_later)
            self._stack.enter_context(listen(self._pause))
        self.start()
        return self

    def start(self) -> None:
        """Start the clock anew."""
        if self.limit > 0:
            faulthandler.dump_traceback_later(self.limit, exit=True, file=self._file)

    def _pause(self, now: Phase | None) -> None:
        """Stop the clock during a phase such as a compile, which is not the run's time; start it anew afterwards."""
        if now is not None and not now.of_run:
            self._paused = True
            faulthandler.cancel_dump_traceback_later()
        elif self._paused:
            self._paused = False
            self.start()

    def __exit__(self, *error: object) -> None:
        self._stack.close()


@contextlib.contextmanager
def _traced(trace: str) -> Iterator[None]:
    """Keep a file beside the job that says who does it, in which phase and, if that process dies, where it stood."""
    if not trace:
        yield
        return
    path = Path(trace)
    with disk(path), path.open("w", encoding="utf-8") as file:
        file.write(f"pid {os.getpid()}\n")
        file.flush()
        faulthandler.enable(file=file, all_threads=False)

        def write(now: Phase | None) -> None:
            seconds = "-" if now is None or now.seconds is None else f"{now.seconds:g}"
            file.write(f"phase {seconds} {now.name if now else '-'}\n")
            file.flush()

        try:
            with listen(write):
                yield
        finally:
            faulthandler.disable()
    path.unlink(missing_ok=True)


@contextlib.contextmanager
def _timed() -> Iterator[dict[str, float]]:
    """Yield what fills with the seconds of each phase; those of a phase within another are its own alone."""
    spent: dict[str, float] = {}
    name, since = "", 0.0

    def note(now: Phase | None) -> None:
        nonlocal name, since
        t = time.perf_counter()
        if name:
            spent[name] = spent.get(name, 0.0) + t - since
        name, since = now.name if now else "", t

    with listen(note):
        yield spent


_WORK: dict[str, Work] = {}
_ONE = threading.RLock()


def _work(dataset: DatasetRef) -> Work:
    """Return the work of a dataset; a worker keeps the last one."""
    key = repr(dataset)
    search_too(dataset.roots)
    if key not in _WORK:
        import pyarrow.parquet  # noqa: F401  # loaded here, where no run's time is counted

        release()
        try:
            _WORK[key] = make_work(dataset)
            gc.freeze()  # what is loaded stays: the collector need not look through it after every batch
        except MischanceError as error:
            raise DatasetError(error.message, error.hint) from error
        except Exception as error:
            # Not one run's fault: every other would fail alike.
            raise DatasetError(f"nothing can be played: {explain(error)}") from error
    return _WORK[key]


def release() -> None:
    """Close what the last work holds: worlds, agents, renderers; the next job builds them anew."""
    for work in _WORK.values():
        if work.close is not None:
            work.close()
    _WORK.clear()


def make_work(dataset: DatasetRef) -> Work:
    """Call what makes the work: `module:function` or `path/to/file.py:function`, with the folder and the recipe."""
    module, _, name = dataset.source.rpartition(":")
    if module.endswith(".py"):
        spec = importlib.util.spec_from_file_location(Path(module).stem, module)
        if spec is None or spec.loader is None:
            raise DatasetError(f"cannot load {module}")
        loaded = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = loaded  # dataclasses look their module up there
        spec.loader.exec_module(loaded)
    else:
        loaded = importlib.import_module(module)
    make: Callable[[Path, Recipe], Work] = getattr(loaded, name)
    return make(Path(dataset.out), dataset.recipe)


def begin(environment: dict[str, str]) -> None:
    """Make a new process a worker: it has its parent's environment, and ends when its parent does."""
    os.environ.clear()
    os.environ.update(environment)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="watch-parent", daemon=True).start()
