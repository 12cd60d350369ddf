"""Plays failed runs of a suite again, otherwise than before: with a reference agent, or without a possible cause.

Workers do it, where each run has a time limit: a reference agent, or what is left of a world without one of its
manoeuvres, may hang or crash like a system under test. What a run came to says whose doing it was: played, refused
(the agent itself says that it cannot drive here), failed (an error of the library or of a simulator), or timeout.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mischance.dataset.draft import SCENARIO
from mischance.dataset.origins import home_of_run
from mischance.language.scenario import Scenario
from mischance.play.sampling import draw
from mischance.sweep.messages import Done, Failed, Job, JudgeJob
from mischance.sweep.runners import Processes
from mischance.sweep.scheduling import drive
from mischance.sweep.setups import Answer, Setup

MOST = 12  # causes that are tested of one run


class Judging:
    """Has runs of a scenario played again, each without something; see `scheduling.Source`.

    They are played together. Where that fails, each is played in a job of its own, so that a run which takes its
    process along, or hangs, is the failure of that run alone.

    Args:
        owner: what its jobs are told by.
        setup: the scenario.
        tasks: number of each run, and what is left out: '' nothing, the id of a fault, or the path of a manoeuvre in
            the world's settings.
        limit: time that one run may take [s].
    """

    def __init__(self, owner: str, setup: Setup, tasks: Sequence[tuple[int, str]], limit: float) -> None:
        self.owner, self.setup = owner, setup
        self._limit, self._tasks = limit, tuple(tasks)
        self._waiting: deque[tuple[tuple[int, str], ...]] = deque()
        self._fresh = bool(tasks)
        self._found: dict[tuple[int, str], Answer] = {}
        self.seconds = 0.0

    @property
    def ended(self) -> bool:
        """Whether each task has its answer."""
        return len(self._found) == len(set(self._tasks))

    def next(self, share: int) -> Job | None:
        """Return the next job, if there is one that can be done now."""
        if self._fresh:
            self._fresh = False
            size = -(-len(self._tasks) // share)
            self._waiting += [self._tasks[i : i + size] for i in range(0, len(self._tasks), size)]
        return JudgeJob(self.owner, self.setup, self._waiting.popleft(), self._limit) if self._waiting else None

    def take(self, job: Job, result: Done | Failed) -> None:
        """Take the answers of a job."""
        assert isinstance(job, JudgeJob)
        if isinstance(result, Done):
            self.seconds += result.seconds
            self._found.update({(one.run, one.left_out): one for one in result.answers})
        elif len(job.tasks) > 1:
            self._waiting += [(task,) for task in job.tasks]
        else:
            late = result.status == "timeout"
            why = f"took longer than {self._limit:g} s" if late else result.reason.split("\n")[0]
            for task in job.tasks:  # one
                self._found[task] = Answer(*task, "timeout" if late else "failed", why)

    def answers(self) -> list[Answer]:
        """Return what there is so far, in the order of the tasks."""
        return [self._found[task] for task in dict.fromkeys(self._tasks) if task in self._found]


def play_again(setup: Setup, tasks: Sequence[tuple[int, str]], limit: float) -> list[Answer]:
    """Play runs again, each without something; in a process of its own. For the arguments see `Judging`."""
    judging, runner = Judging("", setup, tasks, limit), Processes(1)
    try:
        drive([lambda: judging], runner, lambda _: None)
    finally:
        runner.close()
    return judging.answers()


# -- what may be a cause ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tested:
    """A possible cause of a failure, replayed without it: `cause` is None where nobody knows, `word` says what came."""

    what: str
    left_out: str
    cause: bool | None
    word: str

    def text(self) -> str:
        """Return it as a line for people."""
        kinds = {True: "a cause", False: "no cause", None: "not known"}
        return f"{self.what}: {kinds[self.cause]} ({self.word})"


def candidates(scenario: Scenario, run: int, begun: Sequence[tuple[float, str, str]]) -> list[tuple[str, str]]:
    """Return what may be a cause of what a run came to: (words, what to leave out), in order of time, at most MOST.

    Args:
        scenario: what was played.
        run: its number.
        begun: events of the run: time [s], kind and subject.
    """
    own = draw(scenario, [run])[0]
    found = [(fault.onset, f"{fault.kind} of {fault.target} from {fault.onset:.2f} s", fault.fault_id)
             for fault in own.faults]  # fmt: skip
    triggers = scenario.simulator.declared.triggers
    seen: dict[tuple[str, str], list[float]] = {}
    for t, kind, subject in begun:
        seen.setdefault((kind, subject), []).append(t)
    for one in triggers(own.settings) if triggers is not None and own.settings is not None else ():
        times = seen.get((one.event, one.subject))
        if times:
            t = times.pop(0)
            found.append((t, f"{one.event.replace('_', ' ')} of {one.subject} at {t:.2f} s", one.path))
    return [(words, left_out) for _, words, left_out in sorted(found)][:MOST]


def tasks_of(
    scenario: Scenario, dataset: Path, runs: Sequence[int], numbers: Mapping[int, int] | None = None
) -> dict[tuple[int, str], str]:
    """Return (run, what to leave out) -> its words, for each possible cause of what these runs came to.

    Args:
        scenario: the scenario.
        dataset: its folder.
        runs: which.
        numbers: the number that each run has in the scenario, where the dataset was merged from others.
    """
    import pyarrow.parquet as pq

    begun: dict[int, list[tuple[float, str, str]]] = {run: [] for run in runs}
    for file in sorted((dataset / "events").glob("*.parquet")) if runs else ():
        for row in pq.read_table(file, columns=["run", "t", "kind", "subject"]).to_pylist():
            if row["run"] in begun:
                begun[row["run"]].append((row["t"], row["kind"], row["subject"]))
    return {
        (number, left_out): what
        for run, events in begun.items()
        for number in [run if numbers is None else numbers[run]]
        for what, left_out in candidates(scenario, number, events)
    }


def tested(words: Mapping[tuple[int, str], str], answers: Sequence[Answer]) -> dict[int, list[Tested]]:
    """Return run -> what came of leaving each of its possible causes out."""
    found: dict[int, list[Tested]] = {}
    for answer in answers:
        known = answer.kind == "played"
        said = ("passes without it" if answer.passed else "fails without it too") if known else answer.word
        what = words[answer.run, answer.left_out]
        one = Tested(what, answer.left_out, answer.passed if known else None, said)
        found.setdefault(answer.run, []).append(one)
    return found


def causes_in(dataset: Path, run: int, limit: float) -> list[Tested]:
    """Replay one run of a dataset without each of its possible causes, by what the dataset itself holds.

    Raises:
        MischanceError: its scenario cannot be loaded.
    """
    home, number = home_of_run(dataset, run)
    setup = Setup(str(home / SCENARIO))
    words = tasks_of(setup.load()[0], dataset, [run], {run: number})
    return tested(words, play_again(setup, list(words), limit)).get(number, [])
