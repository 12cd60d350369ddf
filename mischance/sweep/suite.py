"""A suite of scenarios as a test run of one agent: what failed, and what reference drivers would have avoided.

A case is one run of one scenario. It passes if the agent kept every requirement of the scenario and answered
throughout; a scenario without `require` asks that its event does not happen. A failed case is played again,
on the same draw, with each of the reference agents at the wheel. They are models and differ: none of them is the
truth about what a careful driver does, so each one's answer stands by itself, with what it was that avoided it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from mischance.dataset.draft import is_dataset
from mischance.errors import (
    DatasetError,
    MischanceError,
    OtherDatasetError,
    Problem,
    ScenarioError,
    StartError,
    suggest,
)
from mischance.language import catalog
from mischance.language.scenario import Scenario
from mischance.play.plugins import check_agent, check_needs
from mischance.play.requirements import PREFIX
from mischance.sweep.jobs import Progress, sweep
from mischance.sweep.judging import Setup, causes_of, outcome_of, play_again
from mischance.sweep.suite_report import Case, SuiteReport

RUNS = 10  # of a scenario without a plan


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
    progress: Callable[[str, int, int], None] | None = None,
    watch: Callable[[str], Callable[[Progress], None]] | None = None,
) -> SuiteReport:
    """Play every scenario of a suite with one agent, each into a dataset of its own, and judge every run.

    Args:
        scenarios: files or names, variants included.
        out: folder for the datasets; the same call goes on where a stopped one ended.
        agent: the system under test, as `kind` names it; each scenario's own where not given.
        references: the agents that failed runs are played again with; each world's own where not given.
        runs: runs a scenario; where not given the points of its plan, or 10 where it has none.
        workers: worker processes.
        limit: time that one run may take [s].
        seed: replaces the scenarios' seeds.
        overrides: changes as `--set` makes them.
        without: sensors that are left out where the agent does not read them; see `loading.load`.
        strict: a scenario that names what nothing uses is not played, and is an error.
        fresh: play everything anew; what is there already is set aside.
        inputs: further files that the agent reads; see `sweep`.
        explain: also replay each failed run without each possible cause, and say without which it passes.
        warn: called with what a scenario names and nothing uses.
        progress: called with scenario, its place and their number.
        watch: scenario -> what is called now and then with how far its runs are.

    Raises:
        MischanceError: the agent given asks for a program that is not there: it could play no scenario.
    """
    cases: list[Case] = []
    errors: dict[str, str] = {}
    asked: dict[str, None] = dict.fromkeys(references or ())
    cost, reused = (0, 0.0), 0
    replaced: list[str] = []
    for place, name in enumerate(scenarios):
        if progress:
            progress(name, place, len(scenarios))
        try:
            setup = Setup(name, agent, overrides, seed, tuple(without))
            scenario, unused = setup.load()
            if strict and unused:
                raise ScenarioError(unused)
            if warn:
                warn(unused)
            _check(scenario, fatal=agent is not None)
            folder = out / scenario.name.replace("/", "_").replace(":", "_")
            number = runs or (scenario.plan.size if scenario.plan else RUNS)
            if fresh and is_dataset(folder):
                replaced.append(_set_aside(folder))
            play = partial(
                sweep, scenario, number, folder, workers=workers, limit=limit, inputs=inputs,
                progress=watch(scenario.name) if watch else None,
            )  # fmt: skip
            try:
                result = play()
            except OtherDatasetError:  # what is there is of other code or settings, and says nothing of this agent
                replaced.append(_set_aside(folder))
                result = play()
            reused += result.totals.decided - result.fresh
            found = _cases(scenario, folder)
            own = scenario.simulator.declared.reference_agents if references is None else references
            asked |= dict.fromkeys(own)
            for reference in own:
                found = _judged_against(replace(setup, agent=reference, channel=False), found, reference, limit)
            if explain:
                found, replays, seconds = _explained(setup, scenario, found, folder, limit)
                cost = cost[0] + replays, cost[1] + seconds
            cases += found
            for run, reason in result.failures.items():
                replay = f"mischance replay {folder} {run}"
                cases.append(Case(scenario.name, run, False, "not played", reason, float("nan"), replay=replay))
        except (DatasetError, _NoAgentError):
            raise
        except StartError as error:
            if len(scenarios) == 1:
                raise
            errors[name] = error.message
        except MischanceError as error:
            errors[name] = error.message
    explained = f"testing causes took {cost[0]} replays and {cost[1]:.1f} s" if explain else ""
    who = agent or "(each scenario's own)"
    return SuiteReport(
        who, tuple(asked), tuple(cases), errors, explained=explained, reused=reused, replaced=tuple(replaced)
    )


def _set_aside(folder: Path) -> str:
    """Rename a dataset, in place of what was set aside before; return its new name."""
    aside = folder.with_name(f"{folder.name}.previous")
    if aside.is_dir():
        shutil.rmtree(aside)
    folder.rename(aside)
    return str(aside)


class _NoAgentError(MischanceError):
    """The system under test itself is not there: no scenario of the suite can be played."""


def _check(scenario: Scenario, *, fatal: bool) -> None:
    """Say before any run what a scenario lacks; a `fatal` lack of the agent's ends the whole suite."""
    try:
        check_agent(scenario)
    except MischanceError as error:
        if fatal:
            raise _NoAgentError(error.message, error.hint) from error
        raise
    check_needs(scenario)


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


def _judged_against(setup: Setup, cases: Sequence[Case], reference: str, limit: float) -> list[Case]:
    """Play the failed cases again with a reference agent, on the same draws; say what it makes of them.

    A reference stands for a person, who has no channel to lose commands in.
    """
    found = {
        one.run: one
        for one in play_again(
            setup, [(case.run, "") for case in cases if not case.passed and not case.undecided], limit
        )
    }
    judged = []
    for case in cases:
        one = found.get(case.run)
        if one is not None and one.kind == "played":
            judged.append(replace(case, references={**case.references, reference: one.word}))
        elif one is not None:
            judged.append(replace(case, unknown={**case.unknown, reference: f"{one.kind}: {one.word}"}))
        else:
            judged.append(case)
    return judged


def _explained(
    setup: Setup, scenario: Scenario, cases: Sequence[Case], folder: Path, limit: float
) -> tuple[list[Case], int, float]:
    """Replay the failed cases without each possible cause; return them with results, the replays, and the seconds."""
    failed = [case.run for case in cases if not case.passed and not case.undecided]
    found, seconds = causes_of(setup, scenario, folder, failed, limit)
    own = [replace(case, tested=tuple(found.get(case.run, ()))) for case in cases]
    return own, sum(map(len, found.values())), seconds
