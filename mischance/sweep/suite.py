"""A suite of scenarios as a test run of one agent: what failed, and what reference drivers would have avoided.

A case is one run of one scenario. It passes if the agent kept every requirement of the scenario and answered
throughout; a scenario without `require` asks that its event does not happen. A failed case is played again,
on the same draw, with each of the reference agents at the wheel. They are models and differ: none of them is the
truth about what a careful driver does, so each one's answer stands by itself, with what it was that avoided it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mischance.api.runs import Record
from mischance.errors import DatasetError, MischanceError, Problem, ScenarioError, StartError, suggest
from mischance.language import catalog
from mischance.language.loading import load_with_warnings
from mischance.language.scenario import Scenario
from mischance.play.player import play
from mischance.play.plugins import check_agent, check_needs
from mischance.play.requirements import PREFIX
from mischance.play.sampling import draw
from mischance.sweep.jobs import Progress, sweep

RUNS = 10  # of a scenario without a plan
NOT_AVOIDED = "not avoided"


@dataclass(frozen=True, slots=True)
class Case:
    """One run of one scenario: how it ended, and what reference agents would have made of it.

    `references`: agent -> 'not avoided', or what avoided it: braking, steering, passing ahead, rule (it saw no
    danger), or 'avoided' in a world that does not tell. Empty where nobody was asked or nobody could answer.
    """

    scenario: str
    run: int
    passed: bool
    verdict: str
    reason: str
    margin: float
    broken: tuple[str, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    replay: str = ""

    @property
    def avoidable(self) -> bool | None:
        """Whether any reference agent avoided it; None where nobody could be asked."""
        return any(how != NOT_AVOIDED for how in self.references.values()) if self.references else None

    @property
    def name(self) -> str:
        """The case's name in a comparison: scenario and run."""
        return f"{self.scenario}#{self.run}"


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """What a suite came to. `newly_failing` and `newly_passing` compare it with a baseline, where one was given."""

    agent: str
    references: tuple[str, ...]
    cases: tuple[Case, ...]
    errors: Mapping[str, str] = field(default_factory=dict)
    newly_failing: tuple[str, ...] = ()
    newly_passing: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Case, ...]:
        """The cases that did not pass."""
        return tuple(case for case in self.cases if not case.passed)

    @property
    def ok(self) -> bool:
        """Whether every case passed and every scenario could be played."""
        return not self.failed and not self.errors

    def facts(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "agent": self.agent,
            "references": list(self.references),
            "cases": [
                {
                    **asdict(case),
                    "broken": list(case.broken),
                    "avoidable": case.avoidable,
                    "margin": _plain(case.margin),
                }
                for case in self.cases
            ],
            "passed": len(self.cases) - len(self.failed),
            "failed": len(self.failed),
            "avoidable": sum(case.avoidable is True for case in self.failed),
            "avoided": {name: _avoided_by(name, self.failed) for name in self.references},
            "errors": dict(self.errors),
            "newly_failing": list(self.newly_failing),
            "newly_passing": list(self.newly_passing),
        }


def _avoided_by(reference: str, cases: Sequence[Case]) -> int:
    """Return how many of those cases a reference agent avoids."""
    return sum(case.references.get(reference, NOT_AVOIDED) != NOT_AVOIDED for case in cases)


def _plain(number: float) -> float | None:
    return number if abs(number) < float("inf") else None


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
        warn: called with what a scenario names and nothing uses.
        progress: called with scenario, its place and their number.
        watch: scenario -> what is called now and then with how far its runs are.

    Raises:
        MischanceError: the agent given asks for a program that is not there: it could play no scenario.
    """
    cases: list[Case] = []
    errors: dict[str, str] = {}
    asked: dict[str, None] = dict.fromkeys(references or ())
    for place, name in enumerate(scenarios):
        if progress:
            progress(name, place, len(scenarios))
        try:
            scenario, unused = _driven_by(name, agent, overrides, seed, without)
            if strict and unused:
                raise ScenarioError(unused)
            if warn:
                warn(unused)
            _check(scenario, fatal=agent is not None)
            folder = out / scenario.name.replace("/", "_").replace(":", "_")
            number = runs or (scenario.plan.size if scenario.plan else RUNS)
            result = sweep(
                scenario, number, folder, workers=workers, limit=limit, progress=watch(scenario.name) if watch else None
            )
            found = _cases(scenario, folder)
            own = scenario.simulator.declared.reference_agents if references is None else references
            asked |= dict.fromkeys(own)
            for reference in own:
                found = _judged_against(name, found, reference, overrides, seed, without)
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
    return SuiteReport(agent or "(each scenario's own)", tuple(asked), tuple(cases), errors)


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


def _driven_by(
    name: str, agent: str | None, overrides: Mapping[str, str] | None, seed: int | None, without: Sequence[str]
) -> tuple[Scenario, Sequence[Problem]]:
    """Return a scenario with an agent at the wheel, and what it names and nothing uses."""
    changes = dict(overrides or {})
    if agent is not None:
        file = catalog.reference_file(agent)
        kind = f"{file.resolve()}:{agent.rpartition(':')[2]}" if file is not None and file.is_file() else agent
        changes["agent"] = agent if agent.lstrip().startswith("{") else json.dumps({"kind": kind})
    return load_with_warnings(name, changes, seed=seed, without=without)


def _cases(scenario: Scenario, folder: Path) -> list[Case]:
    """Return the cases of a finished dataset."""
    import pyarrow.parquet as pq

    cases = []
    for file in sorted((folder / "runs").glob("*.parquet")):
        for row in pq.read_table(file).to_pylist():
            broken = tuple(name for name in scenario.require if not row[f"{PREFIX}{name}"])
            passed = _passed(scenario, broken, bool(row["event"]), str(row["verdict"]))
            replay = f"mischance replay {folder} {row['run']}"
            cases.append(
                Case(
                    scenario.name,
                    row["run"],
                    passed,
                    row["verdict"],
                    row["reason"],
                    row["margin"],
                    broken,
                    replay=replay,
                )
            )
    return cases


def _passed(scenario: Scenario, broken: Sequence[str], event: bool, verdict: str) -> bool:
    return not verdict.startswith("agent ") and not broken and (bool(scenario.require) or not event)


def _judged_against(
    name: str,
    cases: Sequence[Case],
    reference: str,
    overrides: Mapping[str, str] | None,
    seed: int | None,
    without: Sequence[str],
) -> list[Case]:
    """Play the failed cases again with a reference agent, on the same draws; say what it makes of them."""
    failed = [case.run for case in cases if not case.passed]
    if not failed:
        return list(cases)
    try:
        scenario, _ = _driven_by(name, reference, overrides, seed, without)
        found: dict[int, str] = {}
        # a reference stands for a person, who has no channel to lose commands in
        draws = [one.without_channel() for one in draw(scenario, failed)]
        for record in play(scenario, draws):
            if record.last:
                found.update(_outcomes(scenario, record))
    except MischanceError:  # a world that the reference agent cannot steer: then nobody knows
        return list(cases)
    return [
        replace(case, references={**case.references, reference: found[case.run]}) if case.run in found else case
        for case in cases
    ]


def _outcomes(scenario: Scenario, record: Record) -> dict[int, str]:
    """Return run -> what avoided its failure."""
    table = record.tables["runs"]
    ways = table.schema["avoided_by"].names if "avoided_by" in table.schema else ()
    found = {}
    for i, run in enumerate(record.runs):
        row = table.run(i)
        broken = [name for name in scenario.require if not row[f"{PREFIX}{name}"][0]]
        passed = _passed(scenario, broken, bool(row["event"][0]), str(row["verdict"][0]))
        way = ways[int(row["avoided_by"][0])] if ways else "none"
        found[int(run)] = NOT_AVOIDED if not passed else "avoided" if way == "none" else way
    return found


def compared(report: SuiteReport, baseline: Path) -> SuiteReport:
    """Return the report with what changed since a stored one.

    Raises:
        MischanceError: the baseline is no report.
    """
    try:
        before = {
            f"{case['scenario']}#{case['run']}": case["passed"] for case in json.loads(baseline.read_text())["cases"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MischanceError(
            f"{str(baseline)!r} is no stored report", "store one with `mischance test … --json > baseline.json`"
        ) from error
    failing = tuple(case.name for case in report.cases if not case.passed and before.get(case.name) is True)
    passing = tuple(case.name for case in report.cases if case.passed and before.get(case.name) is False)
    return SuiteReport(report.agent, report.references, report.cases, report.errors, failing, passing)


def text(report: SuiteReport) -> str:
    """Return the report as lines for people: a line a scenario, then every failed case with its replay command."""
    width = max((len(case.scenario) for case in report.cases), default=8)
    lines = [f"agent {report.agent}", ""]
    for scenario in dict.fromkeys(case.scenario for case in report.cases):
        own = [case for case in report.cases if case.scenario == scenario]
        failed = [case for case in own if not case.passed]
        asked = [name for name in report.references if any(name in case.references for case in failed)]
        counts = " and ".join(f"{_avoided_by(name, failed)} by {name}" for name in asked)
        more = f"   {len(failed)} failed" + (f"; avoided {counts}" if asked else "") if failed else ""
        lines.append(
            f"{'ok  ' if not failed else 'FAIL'} {scenario:<{width}} {len(own) - len(failed)}/{len(own)}{more}"
        )
    lines += [f"ERR  {scenario}: {message}" for scenario, message in report.errors.items()]
    for case in report.failed:
        lines += ["", f"{case.name}: {_kind(case)}", f"  {case.reason}"]
        if case.references:
            lines.append(f"  {_avoided(case)}")
        lines.append(f"  {case.replay}")
    if report.newly_failing or report.newly_passing:
        lines += ["", f"newly failing: {', '.join(report.newly_failing) or 'none'}"]
        lines.append(f"newly passing: {', '.join(report.newly_passing) or 'none'}")
    lines += ["", f"{len(report.cases) - len(report.failed)} passed, {len(report.failed)} failed"]
    return "\n".join(lines)


def junit(report: SuiteReport) -> str:
    """Return the report as JUnit XML, one test suite a scenario."""
    root = ElementTree.Element(
        "testsuites", name=f"mischance test of {report.agent}", tests=str(len(report.cases)),
        failures=str(len(report.failed)), errors=str(len(report.errors)),
    )  # fmt: skip
    for scenario in dict.fromkeys([case.scenario for case in report.cases]):
        own = [case for case in report.cases if case.scenario == scenario]
        failures = sum(not case.passed for case in own)
        element = ElementTree.SubElement(
            root, "testsuite", name=scenario, tests=str(len(own)), failures=str(failures), errors="0"
        )
        for case in own:
            one = ElementTree.SubElement(element, "testcase", classname=scenario, name=f"run {case.run}")
            if not case.passed:
                failure = ElementTree.SubElement(one, "failure", message=_clean(case.verdict), type=_kind(case))
                failure.text = _clean(f"{case.reason}\n{_avoided(case)}\nreplay: {case.replay}")
    for scenario, message in report.errors.items():
        element = ElementTree.SubElement(root, "testsuite", name=scenario, tests="1", failures="0", errors="1")
        one = ElementTree.SubElement(element, "testcase", classname=scenario, name="load")
        ElementTree.SubElement(one, "error", message=_clean(message), type="scenario")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _clean(text: str) -> str:
    """Drop the control characters that XML cannot hold."""
    return "".join(letter for letter in text if letter >= " " or letter in "\t\n")


def _kind(case: Case) -> str:
    return f"broken: {', '.join(case.broken)}" if case.broken else case.verdict


def _avoided(case: Case) -> str:
    """Return in words what the reference agents make of a case."""
    words = [f"{name}: {how if how == NOT_AVOIDED else f'avoided ({how})'}" for name, how in case.references.items()]
    return "; ".join(words)
