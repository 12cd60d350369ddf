"""A suite of scenarios as a test run of one agent: what failed, and what reference drivers would have avoided.

A case is one run of one scenario. It passes if the agent kept every requirement of the scenario and answered
throughout, those that its world has by default among them; a scenario that states none itself asks that its event
does not happen too. A failed case is played again, on the same draw, with each of the reference agents at the wheel.
They are models and differ: none of them is the truth about what a careful driver does, so each one's answer stands by
itself, with what it was that avoided it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mischance.errors import DatasetError, MischanceError, Problem, ScenarioError, StartError, suggest
from mischance.language import catalog
from mischance.language.scenario import Scenario
from mischance.play.plugins import check_agent, check_needs
from mischance.sweep.progress import Interrupted, Progress
from mischance.sweep.runners import Processes, Runner, Serial
from mischance.sweep.scheduling import drive
from mischance.sweep.setups import Setup
from mischance.sweep.suite_report import SuiteReport
from mischance.sweep.testing import Ended, How, NoAgentError, ScenarioTest


def suite(name: str) -> list[str]:
    """Return the scenarios of a suite: a file, a folder of files, a library folder, a tag, or a scenario's name.

    Raises:
        MischanceError: nothing has that name.
    """
    path = Path(name)
    if path.is_dir():
        found = sorted(str(file) for file in path.rglob("*.yaml"))
        if found:
            return found
        raise MischanceError(f"{name!r} has no scenario (*.yaml) in it")
    if path.is_file():
        return [name]
    entries = catalog.entries("scenarios")
    names = [entry.name for entry in entries if entry.name.startswith(f"{name}/") or name in entry.tags]
    if names:
        return names
    if name.partition(":")[0] in {entry.name for entry in entries}:
        return [name]
    known = sorted({tag for entry in entries for tag in entry.tags} | {entry.name for entry in entries})
    hint = suggest(name, known) or "a suite is a folder, a file, a tag or a scenario: `mischance list scenarios`"
    raise MischanceError(f"there is no suite {name!r}", hint)


def run_suite(
    scenarios: Sequence[str],
    out: Path,
    *,
    agent: str | None = None,
    references: Sequence[str] | None = None,
    runs: int | None = None,
    workers: int = 1,
    limit: float = 600.0,
    seed: int | None = None,
    overrides: Mapping[str, str] | None = None,
    without: Sequence[str] = (),
    strict: bool = False,
    explain: bool = False,
    fresh: bool = False,
    inputs: Sequence[Path] = (),
    warn: Callable[[Sequence[Problem]], None] | None = None,
    progress: Callable[[SuiteProgress], None] | None = None,
) -> SuiteReport:
    """Play every scenario of a suite with one agent, each into a dataset of its own, and judge every run.

    One pool of workers does the jobs of all scenarios.

    Args:
        scenarios: files or names, variants included.
        out: folder for the datasets; the same call goes on where a stopped one ended.
        agent: the system under test, as `kind` names it; each scenario's own where not given.
        references: the agents that failed runs are played again with; each world's own where not given.
        runs: runs a scenario; where not given the points of its plan, or 10 where it has none.
        workers: worker processes; 0 plays in this one, without time limits.
        limit: time that one run may take [s].
        seed: replaces the scenarios' seeds.
        overrides: changes as `--set` makes them.
        without: sensors and default requirements that are left out; see `loading.load`.
        strict: a scenario that names what nothing uses is not played, and is an error.
        fresh: play everything anew; what is there already is set aside.
        inputs: further files that the agent reads; see `sweep`.
        explain: also replay each failed run without each possible cause, and say without which it passes.
        warn: called with what a scenario names and nothing uses.
        progress: called now and then.

    Raises:
        MischanceError: the agent given asks for a program that is not there: it could play no scenario.
        Interrupted: Ctrl-C or SIGTERM; what is done is kept.
    """
    how = How(runs, limit, references, explain, fresh, tuple(inputs), max(workers, 1))
    tests: list[ScenarioTest] = []
    names: set[str] = set()

    def open_test(name: str) -> ScenarioTest:
        setup = Setup(name, agent, overrides, seed, tuple(without))
        test = ScenarioTest(name, setup, how)
        tests.append(test)
        try:
            scenario, unused = setup.load()
            if strict and unused:
                raise ScenarioError(unused)
            if warn:
                warn(unused)
            _check(scenario, fatal=agent is not None)
            if scenario.name in names:
                raise MischanceError(
                    f"another scenario of this suite is called {scenario.name} too", "give it another `name`"
                )
            test.open(scenario, out / scenario.name.replace("/", "_").replace(":", "_"))
            names.add(scenario.name)
        except (DatasetError, NoAgentError):
            raise
        except MischanceError as error:
            if len(scenarios) == 1 and isinstance(error, StartError):
                raise
            test.give_up(error)
        return test

    looked = _Look(tests, len(scenarios), progress)
    runner: Runner = Processes(workers) if workers > 0 else Serial()
    try:
        whole = drive([partial(open_test, name) for name in scenarios], runner, partial(looked, runner))
    except KeyboardInterrupt as error:
        raise looked.interrupted(out) from error
    finally:
        runner.close()  # before the folders are given free
        for test in tests:
            test.close()
    if not whole:
        raise looked.interrupted(out)
    starts = [test.error for test in tests if isinstance(test.error, StartError)]
    if starts and len(scenarios) == 1:
        raise starts[0]
    looked(runner, stopping=False)
    return _report(tests, agent, references, overrides or {}, explain=explain)


def _report(
    tests: Sequence[ScenarioTest],
    agent: str | None,
    references: Sequence[str] | None,
    overrides: Mapping[str, str],
    *,
    explain: bool,
) -> SuiteReport:
    asked: dict[str, None] = dict.fromkeys(references or ())
    for test in tests:
        asked |= dict.fromkeys(test.references)
    replays, seconds = sum(test.replays for test in tests), sum(test.replay_seconds for test in tests)
    return SuiteReport(
        agent or "(each scenario's own)",
        tuple(asked),
        tuple(case for test in tests for case in test.cases),
        {test.name: test.error.message for test in tests if test.error is not None},
        explained=f"testing causes took {replays} replays and {seconds:.1f} s" if explain else "",
        reused=sum(test.reused for test in tests),
        replaced=tuple(folder for test in tests for folder in test.replaced),
        scenarios={test.scenario.name: test.played_by for test in tests if test.played_by},
        overrides=dict(overrides),
    )


@dataclass(frozen=True, slots=True)
class SuiteProgress:
    """Where a suite stands.

    `rate` is runs per second, `left` the seconds to go where known. `ended`: scenarios that have ended since the last
    call, with runs, seconds and what took them; `under_way`: those that are played, the oldest first.
    """

    done: int
    total: int
    runs: int
    seconds: float
    rate: float
    left: float | None
    ended: tuple[Ended, ...]
    under_way: tuple[tuple[str, Progress], ...]
    stopping: bool = False


class _Look:
    """Tells how far a suite is."""

    def __init__(self, tests: list[ScenarioTest], total: int, progress: Callable[[SuiteProgress], None] | None) -> None:
        self._tests, self._total, self._progress = tests, total, progress
        self._begun = time.monotonic()
        self._told: set[int] = set()

    def __call__(self, runner: Runner, stopping: bool) -> None:
        if self._progress is None:
            return
        done = [test for test in self._tests if test.ended]
        fresh = [test.told() for test in done if id(test) not in self._told]
        self._told |= {id(test) for test in done}
        busy = runner.phase()
        under_way = tuple((test.name, test.progress(busy)) for test in self._tests if not test.ended)
        seconds = time.monotonic() - self._begun
        runs = sum(test.fresh for test in self._tests)
        # scenarios that were there already cost nothing, and say nothing of those to come
        played = sum(test.fresh > 0 for test in done)
        left = seconds / played * (self._total - len(done)) if played else None
        rate = runs / seconds if seconds > 0 else 0.0
        self._progress(
            SuiteProgress(len(done), self._total, runs, seconds, rate, left, tuple(fresh), under_way, stopping)
        )

    def interrupted(self, out: Path) -> Interrupted:
        """Return the error that says how far it was when it was stopped."""
        return Interrupted(out, sum(test.ended for test in self._tests), self._total, "scenarios")


def _check(scenario: Scenario, *, fatal: bool) -> None:
    """Say before any run what a scenario lacks; a `fatal` lack of the agent's ends the whole suite."""
    try:
        check_agent(scenario)
    except MischanceError as error:
        if fatal:
            raise NoAgentError(error.message, error.hint) from error
        raise
    check_needs(scenario)
