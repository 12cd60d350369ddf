"""The report of a suite: cases, what changed since a stored one, and its forms for people, JUnit and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from xml.etree import ElementTree

from mischance.sweep.judging import Tested
from mischance.sweep.otherwise import NOT_AVOIDED


@dataclass(frozen=True, slots=True)
class Case:
    """One run of one scenario: how it ended, and what reference agents would have made of it.

    `references`: agent -> 'not avoided', or what avoided it: braking, steering, passing ahead, rule (it saw no
    danger), or 'avoided' in a world that does not tell. Empty where nobody was asked or nobody could answer.
    `unknown`: agent -> why it gave no answer: it refuses this world, its run failed, or took too long.
    `undecided`: it was cut short, so that it neither passed nor failed.
    `tested`: possible causes that the run was replayed without, where that was asked for.
    `values`: what was drawn for it; `draw`: a hash of that and of its faults.
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
    unknown: Mapping[str, str] = field(default_factory=dict)
    tested: tuple[Tested, ...] = ()
    undecided: bool = False
    values: Mapping[str, float | str] = field(default_factory=dict)
    draw: str = ""

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
    """What a suite came to. `scenarios`: what each was played by, without the agent; see `comparing.played_by`."""

    agent: str
    references: tuple[str, ...]
    cases: tuple[Case, ...]
    errors: Mapping[str, str] = field(default_factory=dict)
    explained: str = ""  # what testing the causes cost
    reused: int = 0  # results that were there already
    replaced: tuple[str, ...] = ()  # folders of results of other code or settings, which were set aside
    allow_undecided: bool = False
    scenarios: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)  # as `--set` gave them

    @property
    def failed(self) -> tuple[Case, ...]:
        """The cases that failed."""
        return tuple(case for case in self.cases if not case.passed and not case.undecided)

    @property
    def undecided(self) -> tuple[Case, ...]:
        """The cases that were cut short: they neither passed nor failed."""
        return tuple(case for case in self.cases if case.undecided)

    @property
    def passed(self) -> int:
        """How many cases passed."""
        return sum(case.passed for case in self.cases)

    @property
    def ok(self) -> bool:
        """Whether every case passed, or may be undecided, and every scenario could be played."""
        return not self.failed and not self.errors and (self.allow_undecided or not self.undecided)

    def ok_at(self, level: str) -> bool:
        """Whether it is a good answer at a level of `--fail-on`; without an earlier test a failure is a regression."""
        if level != "error":
            return self.ok
        return not self.errors and all(case.verdict != "not played" for case in self.cases)

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
            "passed": self.passed,
            "failed": len(self.failed),
            "undecided": len(self.undecided),
            "reused": self.reused,
            "replaced": list(self.replaced),
            "avoidable": sum(case.avoidable is True for case in self.failed),
            "avoided": {name: _avoided_by(name, self.failed) for name in self.references},
            "errors": dict(self.errors),
            "explained": self.explained,
            "scenarios": {name: dict(own) for name, own in self.scenarios.items()},
            "set": dict(self.overrides),
        }


def _avoided_by(reference: str, cases: Sequence[Case]) -> int:
    """Return how many of those cases a reference agent avoids."""
    return sum(case.references.get(reference, NOT_AVOIDED) != NOT_AVOIDED for case in cases)


def _plain(number: float) -> float | None:
    return number if abs(number) < float("inf") else None


def text(report: SuiteReport) -> str:
    """Return the report as lines for people: a line a scenario, then every failed case with its replay command."""
    width = max((len(case.scenario) for case in report.cases), default=8)
    lines = [f"agent {report.agent}", ""]
    for scenario in dict.fromkeys(case.scenario for case in report.cases):
        own = [case for case in report.cases if case.scenario == scenario]
        failed = [case for case in own if case in report.failed]
        cut = sum(case.undecided for case in own)
        asked = [name for name in report.references if any(name in case.references for case in failed)]
        counts = " and ".join(f"{_avoided_by(name, failed)} by {name}" for name in asked)
        more = f"   {len(failed)} failed" + (f"; avoided {counts}" if asked else "") if failed else ""
        more += f"   {cut} undecided" if cut else ""
        word = "FAIL" if failed else "??  " if cut else "ok  "
        lines.append(f"{word} {scenario:<{width}} {len(own) - len(failed) - cut}/{len(own)}{more}")
    lines += [f"ERR  {scenario}: {message}" for scenario, message in report.errors.items()]
    for case in (*report.failed, *report.undecided):
        lines += ["", f"{case.name}: {_kind(case)}", f"  {case.reason}"]
        if case.references:
            lines.append(f"  {_avoided(case)}")
        lines += [f"  {line}" for line in _said(case)]
        lines.append(f"  {case.replay}")
    lines += ["", report.explained] if report.explained else []
    if report.reused:
        lines += ["", f"{report.reused} of {len(report.cases)} results were there already, made by the same agent,"
                      " scenario and seed; --fresh plays them anew"]  # fmt: skip
    if report.replaced:
        lines += ["", "results of other code or settings were set aside: " + ", ".join(report.replaced)]
    open_ = f", {len(report.undecided)} undecided" if report.undecided else ""
    lines += ["", f"{report.passed} passed, {len(report.failed)} failed{open_}"]
    return "\n".join(lines)


def junit(report: SuiteReport) -> str:
    """Return the report as JUnit XML, one test suite a scenario."""
    root = ElementTree.Element(
        "testsuites", name=f"mischance test of {report.agent}", tests=str(len(report.cases)),
        failures=str(len(report.failed) + (0 if report.allow_undecided else len(report.undecided))),
        errors=str(len(report.errors)),
    )  # fmt: skip
    for scenario in dict.fromkeys([case.scenario for case in report.cases]):
        own = [case for case in report.cases if case.scenario == scenario]
        failures = sum(case in report.failed for case in own)
        skipped = sum(case.undecided for case in own) if report.allow_undecided else 0
        failures += 0 if report.allow_undecided else sum(case.undecided for case in own)
        element = ElementTree.SubElement(
            root,
            "testsuite",
            name=scenario,
            tests=str(len(own)),
            failures=str(failures),
            errors="0",
            skipped=str(skipped),
        )
        for case in own:
            one = ElementTree.SubElement(element, "testcase", classname=scenario, name=f"run {case.run}")
            if case.undecided and report.allow_undecided:
                ElementTree.SubElement(one, "skipped", message=_clean(case.reason))
            elif not case.passed:
                failure = ElementTree.SubElement(one, "failure", message=_clean(case.verdict), type=_kind(case))
                failure.text = _clean("\n".join([case.reason, _avoided(case), *_said(case), f"replay: {case.replay}"]))
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
    if case.broken:
        return f"broken: {', '.join(case.broken)}"
    return f"undecided: {case.verdict}" if case.undecided else case.verdict


def _avoided(case: Case) -> str:
    """Return in words what the reference agents make of a case."""
    words = [f"{name}: {how if how == NOT_AVOIDED else f'avoided ({how})'}" for name, how in case.references.items()]
    return "; ".join(words)


def _said(case: Case) -> list[str]:
    """Return in words who gave no answer and why, and which possible causes are none."""
    lines = [f"{name} gave no answer: {why}" for name, why in case.unknown.items()]
    return [*lines, *(one.text() for one in case.tested)]
