"""One scenario of a suite: its dataset, then what reference agents make of its failures, and what caused them."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mischance.api.phases import Phase
from mischance.dataset.draft import is_dataset
from mischance.errors import DatasetError, MischanceError, OtherDatasetError
from mischance.language.scenario import Scenario
from mischance.play.requirements import PREFIX
from mischance.sweep.jobs import Sweep, opened
from mischance.sweep.judging import Judging, tasks_of, tested
from mischance.sweep.messages import Done, Failed, Job, JudgeJob
from mischance.sweep.otherwise import NOT_AVOIDED, outcome_of
from mischance.sweep.played_by import played_by, with_draws
from mischance.sweep.progress import Progress
from mischance.sweep.setups import Answer, Setup
from mischance.sweep.suite_report import Case

RUNS = 10  # of a scenario without a plan


class NoAgentError(MischanceError):
    """The system under test itself is not there: no scenario of the suite can be played."""


@dataclass(frozen=True, slots=True)
class How:
    """How all scenarios of a suite are tested; see `suite.run_suite`."""

    runs: int | None
    limit: float
    references: Sequence[str] | None
    explain: bool
    fresh: bool
    inputs: tuple[Path, ...]
    workers: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A scenario that has ended: its name, cases, runs played now, and seconds by what took them."""

    name: str
    cases: int
    fresh: int
    seconds: float
    spent: Mapping[str, float] = field(default_factory=dict)
    error: str = ""


class ScenarioTest:
    """A scenario that is tested: plays its runs, then plays failed ones again; see `scheduling.Source`.

    What goes wrong with it is its own: it gives up, and `error` says why. Its folder is held until all of its jobs have
    come back.
    """

    def __init__(self, name: str, setup: Setup, how: How) -> None:
        self.name = name
        self.cases: list[Case] = []
        self.error: MischanceError | None = None
        self.references: tuple[str, ...] = ()
        self.played_by: Mapping[str, Any] = {}
        self.reused = self.fresh = self.replays = 0
        self.replay_seconds = 0.0
        self.replaced: list[str] = []
        self._setup, self._how = setup, how
        self._stack = contextlib.ExitStack()
        self._sweep: Sweep | None = None
        self._spent: dict[str, float] = {}
        self._judging: list[tuple[str, Judging]] = []  # name of the reference, '' = causes
        self._causes: Mapping[tuple[int, str], str] = {}
        self._under_way = 0
        self._last: Progress | None = None
        self.owner = name

    def open(self, scenario: Scenario, folder: Path) -> None:
        """Open its dataset.

        Raises:
            DatasetError: the folder cannot be written to, or is somebody else's.
        """
        self.scenario, self.folder = scenario, folder
        number = self._how.runs or (scenario.plan.size if scenario.plan else RUNS)
        if self._how.fresh and is_dataset(folder):
            self.replaced.append(set_aside(folder))
        todo = (opened(scenario, number, folder, limit=self._how.limit, inputs=self._how.inputs) for _ in range(2))
        try:
            self._sweep = self._stack.enter_context(next(todo))
        except OtherDatasetError:  # what is there is of other code or settings, and says nothing of this agent
            self.replaced.append(set_aside(folder))
            self._sweep = self._stack.enter_context(next(todo))
        self.owner = self._sweep.owner
        self._last = self._sweep.progress()
        self._go_on()

    @property
    def ended(self) -> bool:
        """Whether every case is judged, or it was given up."""
        return self._sweep is None and not self._judging and not self._under_way

    def next(self, share: int) -> Job | None:
        """Return the next job, if there is one that can be done now."""
        job: Job | None = None
        if self._sweep is not None:
            # runs with cameras gain little from being played together: they are dealt out to all workers
            renders = any(sensor.renderer is not None for sensor in self.scenario.sensors.values())
            job = self._sweep.next(self._how.workers if renders else share)
        else:
            job = next((job for _, one in self._judging if (job := one.next(share)) is not None), None)
        self._under_way += job is not None
        return job

    def take(self, job: Job, result: Done | Failed) -> None:
        """Take what became of a job.

        Raises:
            DatasetError: the disk is full, or nothing can be played: no other scenario can go on either.
        """
        self._under_way -= 1
        try:
            if isinstance(job, JudgeJob):
                next(judging for _, judging in self._judging if judging.setup is job.setup).take(job, result)
                self._judge()
            elif self._sweep is not None:
                self._sweep.take(job, result)
                self._go_on()
        except DatasetError:
            raise
        except MischanceError as error:
            self.give_up(error)
        if self.ended:
            self.close()

    def give_up(self, error: MischanceError) -> None:
        """Play no more of it."""
        self.error = error
        self.cases = []
        self._sweep = None
        self._judging = []

    def close(self) -> None:
        """Give its folder free."""
        self._stack.close()

    def progress(self, busy: Phase | None) -> Progress:
        """Return how far its runs are."""
        assert self._last is not None
        if self._sweep is not None:
            self._last = self._sweep.progress(busy)
        return self._last

    def told(self) -> Ended:
        """Return what came of it, once it has ended."""
        seconds = self._last.seconds if self._last else 0.0
        error = self.error.message if self.error else ""
        return Ended(self.name, len(self.cases), self.fresh, seconds, self._spent, error)

    def _go_on(self) -> None:
        """Once its runs are played, read the cases and have those that failed played again."""
        sweep = self._sweep
        if sweep is None or not sweep.ended:
            return
        result = sweep.result()
        self._last = sweep.progress()
        self.fresh, self.reused = result.fresh, result.totals.decided - result.fresh
        self._spent = sweep.spent
        self._sweep = None
        self.cases = _cases(self.scenario, self.folder)
        self.played_by = played_by(self.scenario)
        failed = [case.run for case in self.cases if not case.passed and not case.undecided]
        self.cases += [
            Case(
                self.scenario.name, run, False, "not played", reason, float("nan"),
                replay=f"mischance replay {self.folder} {run}",
            )
            for run, reason in result.failures.items()
        ]  # fmt: skip
        self.cases = with_draws(self.scenario, self.cases)
        own = (
            self.scenario.simulator.declared.reference_agents if self._how.references is None else self._how.references
        )
        self.references = tuple(own)
        limit = self._how.limit
        if failed:
            # A reference stands for a person, who has no channel to lose commands in.
            tasks = [(run, "") for run in failed]
            self._judging = [
                (agent, Judging(self.owner, replace(self._setup, agent=agent, channel=False), tasks, limit))
                for agent in own
            ]
            if self._how.explain:
                self._causes = tasks_of(self.scenario, self.folder, failed)
                self._judging.append(("", Judging(self.owner, replace(self._setup), list(self._causes), limit)))
        self._judge()

    def _judge(self) -> None:
        """Once all answers are there, write them into the cases."""
        if not all(judging.ended for _, judging in self._judging):
            return
        for agent, judging in self._judging:
            if agent:
                found = {one.run: one for one in judging.answers()}
                self.cases = [_judged(case, agent, found.get(case.run)) for case in self.cases]
            else:
                causes = tested(self._causes, judging.answers())
                self.cases = [replace(case, tested=tuple(causes.get(case.run, ()))) for case in self.cases]
                self.replays, self.replay_seconds = len(self._causes), judging.seconds
        self._judging = []


def _judged(case: Case, reference: str, answer: Answer | None) -> Case:
    """Return a case with what a reference agent makes of it.

    It is asked about what the case failed by: of the world's default requirements, those alone that the case broke.
    """
    if answer is None:
        return case
    if answer.kind == "played":
        word = NOT_AVOIDED if set(answer.broken) & set(case.broken) else answer.word
        return replace(case, references={**case.references, reference: word})
    return replace(case, unknown={**case.unknown, reference: f"{answer.kind}: {answer.word}"})


def set_aside(folder: Path) -> str:
    """Rename a dataset, in place of what was set aside before; return its new name."""
    aside = folder.with_name(f"{folder.name}.previous")
    if aside.is_dir():
        shutil.rmtree(aside)
    folder.rename(aside)
    return str(aside)


def _cases(scenario: Scenario, folder: Path) -> list[Case]:
    """Return the cases of a finished dataset."""
    import pyarrow.parquet as pq

    cases = []
    for file in sorted((folder / "runs").glob("*.parquet")):
        for row in pq.read_table(file).to_pylist():
            broken = tuple(name for name in scenario.require if not row[f"{PREFIX}{name}"])
            outcome = outcome_of(scenario, broken, row)
            replay = f"mischance replay {folder} {row['run']}"
            cases.append(
                Case(
                    scenario.name,
                    row["run"],
                    outcome == "passed",
                    row["verdict"],
                    row["reason"],
                    row["margin"],
                    broken,
                    replay=replay,
                    undecided=outcome == "undecided",
                )
            )
    return cases
