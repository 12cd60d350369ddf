"""What came of a sample of mutants, as text: one line each, the counts by area, the files with most survivors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.mutation.drawing import Mutant

Verdicts = Mapping[str, Mapping[str, Any]]


def line_of(mutant: Mutant, result: str) -> str:
    """Return a mutant and what became of it, in one line."""
    return f"{mutant.name} {result:<8} {mutant.edit.operator:<10} {mutant.place}: {mutant.before}  ->  {mutant.after}"


def tally(sample: Sequence[Mutant], verdicts: Verdicts, equal: Mapping[str, str]) -> tuple[int, int]:
    """Return how many are killed, and of how many: equivalent ones do not count, those that were not tried do."""
    kinds = [kind for _, kind in _kinds(sample, verdicts, equal) if kind != "equivalent"]
    return kinds.count("killed"), len(kinds)


def report(sample: Sequence[Mutant], verdicts: Verdicts, equal: Mapping[str, str]) -> str:
    """Return the table of all mutants, the counts by area, and the three files with most survivors."""
    kinds = _kinds(sample, verdicts, equal)
    lines = [_row(mutant, kind, verdicts.get(mutant.name, {}), equal) for mutant, kind in kinds]
    lines += ["", f"{'area':<10} {'mutants':>8} {'killed':>8} {'survived':>9} {'equivalent':>11} {'not tried':>10}"]
    for area in [*dict.fromkeys(mutant.area for mutant, _ in kinds), None]:
        counts = Counter(kind for mutant, kind in kinds if area is None or mutant.area == area)
        lines.append(
            f"{'all' if area is None else area or 'given':<10} {counts.total():>8} {counts['killed']:>8}"
            f" {counts['survived']:>9} {counts['equivalent']:>11} {counts['not tried']:>10}"
        )
    weak = Counter(mutant.path for mutant, kind in kinds if kind == "survived")
    tried = Counter(mutant.path for mutant, kind in kinds if kind != "not tried")
    worst = sorted(weak, key=lambda path: (-weak[path], tried[path], path))[:3]
    named = ", ".join(f"{path} ({weak[path]} of {tried[path]})" for path in worst) or "none"
    killed, of = tally(sample, verdicts, equal)
    return "\n".join([*lines, "", f"killed {killed} of {of}; weakest files: {named}"])


def _row(mutant: Mutant, kind: str, verdict: Mapping[str, Any], equal: Mapping[str, str]) -> str:
    """Return area, place, operator, the change, and what killed it or why nothing can."""
    end = kind
    if kind == "killed":
        wrong = " (yet it is said to be equivalent)" if mutant.name in equal else ""
        end = f"killed by {verdict['test'] or 'a timeout'}{wrong}"
    elif kind == "equivalent":
        end = f"equivalent: {equal[mutant.name]}"
    change = f"{mutant.before}  ->  {mutant.after}"
    return f"{mutant.name}  {mutant.area or 'given'}  {mutant.place}  {mutant.edit.operator}  {change}  |  {end}"


def _kinds(sample: Sequence[Mutant], verdicts: Verdicts, equal: Mapping[str, str]) -> list[tuple[Mutant, str]]:
    return [(mutant, _kind(mutant, verdicts, equal)) for mutant in sample]


def _kind(mutant: Mutant, verdicts: Verdicts, equal: Mapping[str, str]) -> str:
    if mutant.name not in verdicts:
        return "not tried"
    if verdicts[mutant.name]["result"] == "survived":
        return "equivalent" if mutant.name in equal else "survived"
    return "killed"
