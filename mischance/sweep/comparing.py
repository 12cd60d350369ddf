"""Compares two tests case by case: on the same draws only, with a paired test, and with what cannot be compared.

A case is a run of a scenario: two are the same where the scenario's settings, seed and requirements, the user's own
worlds and sensors, and the run's draw are the same. Who is tested may differ, and which version of mischance played.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mischance.errors import MischanceError
from mischance.estimate.paired import PairedMean, PairedShares, paired_mean, paired_shares

REPORT = "report.json"  # in the folder of a test
MOST = 4  # differences that are said of one scenario

State = Literal["passed", "failed", "undecided", "not played"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored report: where it stands, its agent, its cases by scenario and run, and what they were played by."""

    place: str
    agent: str
    cases: Mapping[tuple[str, int], Mapping[str, Any]]
    scenarios: Mapping[str, Mapping[str, Any]]
    errors: Mapping[str, str]
    overrides: Mapping[str, str]

    @staticmethod
    def of(facts: Mapping[str, Any], place: str) -> Stored:
        """Return the report of plain values, as `SuiteReport.facts` gives them.

        Raises:
            MischanceError: they are no report, or one that does not tell what its cases are.
        """
        hint = "store one with `mischance test … --json > report.json`; a test also leaves one in its folder"
        try:
            cases = {(case["scenario"], case["run"]): case for case in facts["cases"]}
            for case in cases.values():
                _ = case["passed"], case["verdict"], case["reason"]  # that they are there
            if cases and not facts.get("scenarios"):
                raise MischanceError(
                    f"{place!r} does not tell what its cases are: an earlier version has stored it", "test again"
                )
            return Stored(
                place, facts["agent"], cases, facts.get("scenarios", {}), facts["errors"], facts.get("set", {})
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise MischanceError(f"{place!r} is no stored report", hint) from error

    @staticmethod
    def read(place: Path) -> Stored:
        """Return the report in a file, or in the folder of a test.

        Raises:
            MischanceError: there is none.
        """
        file = place / REPORT if place.is_dir() else place
        try:
            facts = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            hint = "store one with `mischance test … --json > report.json`; a test also leaves one in its folder"
            raise MischanceError(f"{str(place)!r} is no stored report", hint) from error
        return Stored.of(facts, str(place))


@dataclass(frozen=True, slots=True)
class Row:
    """A scenario in a comparison: pairs that can be compared, how many passed, and the change of the margin."""

    scenario: str
    pairs: int
    before: int
    after: int
    lost: int
    gained: int
    margin: PairedMean


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from one test to another, over the cases that both have.

    `lost`: passed before, and fail now or are not played; `gained`: the other way round; `opened`: passed or failed
    before, and undecided now; `undecided`: pairs of which one at least is undecided. `missing`, `new`: cases of one
    test alone. `differing`: scenario -> why its cases (all, or the runs named) are not the same ones.
    """

    before: Stored
    after: Stored
    rows: tuple[Row, ...]
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    opened: tuple[str, ...]
    undecided: int
    missing: tuple[str, ...]
    new: tuple[str, ...]
    not_played: tuple[str, ...]
    differing: Mapping[str, tuple[str, ...]]
    versions: tuple[str, ...]
    shares: PairedShares

    def facts(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "before": {"place": self.before.place, "agent": self.before.agent},
            "after": {"place": self.after.place, "agent": self.after.agent},
            "scenarios": [{**asdict(row), "margin": _plain(asdict(row.margin))} for row in self.rows],
            "newly_failing": list(self.lost),
            "newly_passing": list(self.gained),
            "newly_undecided": list(self.opened),
            "undecided_pairs": self.undecided,
            "missing": list(self.missing),
            "new": list(self.new),
            "not_played": list(self.not_played),
            "errors": dict(self.after.errors),
            "differing": {name: list(why) for name, why in self.differing.items()},
            "versions": list(self.versions),
            "pass_rate": _plain(asdict(self.shares)),
        }

    def reasons(self, level: str, *, allow_undecided: bool = False) -> list[str]:
        """Return why the comparison is no good answer; none where it is one.

        Args:
            level: 'any': every case of the second test must pass and be the same as one before. 'regression': none
                that passed before may fail, be undecided or missing, none may be another one, none in error. 'error':
                no scenario may be in error, no run not played.
            allow_undecided: undecided runs fail nothing.
        """
        found = {"in error": len(self.after.errors), "not played": len(self.not_played)}
        if level != "error":
            found |= {"newly failing": len(self.lost), "missing": len(self.missing)}
            found |= {"scenarios with other cases": len(self.differing)}
            found |= {"newly undecided": 0 if allow_undecided else len(self.opened)}
        if level == "any":
            states = [state_of(case) for case in self.after.cases.values()]
            found |= {"failed": states.count("failed")}
            found |= {"undecided": 0 if allow_undecided else states.count("undecided")}
        return [f"{count} {what}" for what, count in found.items() if count]


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()}  # fmt: skip


def state_of(case: Mapping[str, Any]) -> State:
    """Return what a case came to."""
    if case["passed"]:
        return "passed"
    if case.get("undecided"):
        return "undecided"
    return "not played" if case["verdict"] == "not played" else "failed"


def compare(before: Stored, after: Stored) -> Comparison:
    """Compare two tests.

    Raises:
        MischanceError: no case of the one is a case of the other; the message says what differs.
    """
    differing: dict[str, tuple[str, ...]] = {}
    for name in before.scenarios.keys() & after.scenarios.keys():
        why = tuple(_differences(before.scenarios[name], after.scenarios[name]))
        if why:
            differing[name] = why
    both = [key for key in before.cases if key in after.cases]
    same = []
    for key in both:
        if key[0] in differing and not differing[key[0]][0].startswith("run "):
            continue
        other = _other_draw(before.cases[key], after.cases[key])
        if other:
            differing[key[0]] = (*differing.get(key[0], ()), f"run {key[1]}: {other}")
        else:
            same.append(key)
    if not same:
        raise MischanceError(
            f"{after.place} and {before.place} have no case in common: {_why_none(before, after, differing)}",
            "compare tests of the same scenarios with the same --seed, --set and --runs",
        )
    pairs = [(key, before.cases[key], after.cases[key]) for key in same]
    states: dict[tuple[str, int], tuple[State, State]] = {key: (state_of(a), state_of(b)) for key, a, b in pairs}
    decided = {key: pair for key, pair in states.items() if "undecided" not in pair}
    lost = [key for key, (a, b) in decided.items() if a == "passed" != b]
    gained = [key for key, (a, b) in decided.items() if b == "passed" != a]
    return Comparison(
        before,
        after,
        tuple(_rows(pairs, states)),
        _named(lost),
        _named(gained),
        _named([key for key, (a, b) in states.items() if b == "undecided" != a]),
        len(states) - len(decided),
        _named([key for key in before.cases if key not in after.cases]),
        _named([key for key in after.cases if key not in before.cases]),
        _named([key for key, case in after.cases.items() if state_of(case) == "not played"]),
        dict(sorted(differing.items())),
        tuple(dict.fromkeys(_versions(before, after, same))),
        paired_shares(
            np.array([a == "passed" for a, _ in decided.values()], np.bool_),
            np.array([b == "passed" for _, b in decided.values()], np.bool_),
        ),
    )


def _named(keys: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    return tuple(f"{scenario}#{run}" for scenario, run in keys)


def _rows(
    pairs: Sequence[tuple[tuple[str, int], Mapping[str, Any], Mapping[str, Any]]],
    states: Mapping[tuple[str, int], tuple[State, State]],
) -> Iterator[Row]:
    for name in dict.fromkeys(key[0] for key, _, _ in pairs):
        own = [(a, b) for key, a, b in pairs if key[0] == name]
        found = [pair for key, pair in states.items() if key[0] == name and "undecided" not in pair]
        margins = [
            np.array([np.nan if case.get("margin") is None else case["margin"] for case in side], np.float64)
            for side in zip(*own, strict=True)
        ]
        yield Row(
            name,
            len(found),
            sum(a == "passed" for a, _ in found),
            sum(b == "passed" for _, b in found),
            sum(a == "passed" != b for a, b in found),
            sum(b == "passed" != a for a, b in found),
            paired_mean(*margins),
        )


# -- what differs ------------------------------------------------------------------------------------------------------


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words what two scenarios of one name were not played by alike."""
    a, b = before["settings"], after["settings"]
    changed = [path for path in dict.fromkeys((*a, *b)) if a.get(path) != b.get(path)]
    for path in changed[:MOST]:
        yield f"{path}: {_said(a, path)}, now {_said(b, path)}"
    if len(changed) > MOST:
        yield f"{len(changed) - MOST} more settings"
    for name in sorted(before["code"].keys() | after["code"].keys()):
        if before["code"].get(name) != after["code"].get(name):
            yield f"{name}: other code"


def _said(values: Mapping[str, Any], path: str) -> str:
    return json.dumps(values[path], ensure_ascii=False) if path in values else "nothing"


def _other_draw(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return in words how two draws differ; '' where they do not."""
    if before.get("draw") == after.get("draw"):
        return ""
    a, b = before.get("values", {}), after.get("values", {})
    for name in dict.fromkeys((*a, *b)):
        if a.get(name) != b.get(name):
            return f"{name} was {_said(a, name)}, now {_said(b, name)}"
    return "other faults were drawn"


def _versions(before: Stored, after: Stored, same: Sequence[tuple[str, int]]) -> Iterator[str]:
    for name in dict.fromkeys(key[0] for key in same):
        a, b = before.scenarios[name]["version"], after.scenarios[name]["version"]
        if a != b:
            yield f"mischance {a} before, {b} now"


def _why_none(before: Stored, after: Stored, differing: Mapping[str, tuple[str, ...]]) -> str:
    if differing:
        name, why = next(iter(sorted(differing.items())))
        sets = "" if before.overrides == after.overrides else f" (--set {_sets(before)}, now {_sets(after)})"
        return f"{name}: {'; '.join(why[:MOST])}{sets}"
    names = [", ".join(sorted({key[0] for key in one.cases})[:3]) or "no case" for one in (before, after)]
    return f"the first has {names[0]}, the second has {names[1]}"


def _sets(report: Stored) -> str:
    return " ".join(f"{path}={value}" for path, value in report.overrides.items()) or "nothing"


# -- in words ----------------------------------------------------------------------------------------------------------


def text(found: Comparison) -> str:
    """Return the comparison as lines for people: one table of both, then what changed and what cannot be compared."""
    lines = [
        f"before: {found.before.agent} ({found.before.place})",
        f"after:  {found.after.agent} ({found.after.place})",
        "",
    ]
    width = max(8, *(len(row.scenario) for row in found.rows))
    lines.append(f"{'scenario':<{width}}  before   after  lost gained  margin: after - before")
    for row in found.rows:
        before, after = (f"{passed}/{row.pairs}" for passed in (row.before, row.after))
        line = f"{row.scenario:<{width}}  {before:>6}  {after:>6}  {row.lost:>4} {row.gained:>6}  {_margin(row.margin)}"
        lines.append(line.rstrip())
    for title, keys in (
        ("newly failing", found.lost), ("newly passing", found.gained), ("newly undecided", found.opened),
        ("not played", found.not_played), ("missing", found.missing), ("new", found.new),
    ):  # fmt: skip
        if keys or title in ("newly failing", "newly passing"):
            lines += ["", f"{title}: {', '.join(keys) or 'none'}"]
        if title in ("newly failing", "newly undecided", "not played"):
            lines += [f"  {key}: {_why(found.after, key)}" for key in keys]
    if found.undecided:
        lines += ["", f"{found.undecided} pairs are undecided, and counted in no share"]
    lines += [line for name, message in found.after.errors.items() for line in ("", f"in error: {name}: {message}")]
    for name, why in found.differing.items():
        lines += ["", f"not compared: {name}: {'; '.join(why)}"]
    lines += ["", *found.versions] if found.versions else []
    return "\n".join([*lines, "", _share(found)])


def _margin(found: PairedMean) -> str:
    if not found.pairs:
        return ""
    between = f" [{found.low:+.3g}, {found.high:+.3g}]" if math.isfinite(found.low) else ""
    return f"{found.mean:+.3g}{between}"


def _share(found: Comparison) -> str:
    own, before = found.shares, sum(row.before for row in found.rows)
    if not own.pairs:
        return "no pair is decided"
    return (
        f"{before} of {own.pairs} cases passed before, {before + own.gained - own.lost} now: {own.difference:+.1%}"
        f" [{own.low:+.1%}, {own.high:+.1%}] (95 %, Tango's score interval; McNemar's exact test p = {own.p_value:.3g})"
    )


def _why(report: Stored, name: str) -> str:
    scenario, _, run = name.rpartition("#")
    case = report.cases[scenario, int(run)]
    return f"{case['reason']}\n    {case.get('replay', '')}".rstrip()


__all__ = ["REPORT", "Comparison", "PairedShares", "Row", "Stored", "compare", "state_of", "text"]
