"""`make mutants`: draws mutants, tries each with the tests of its folder, and says which survived.

It may be stopped and started again at any time: what was tried stays in `results.jsonl` as long as the file and its
tests stay as they were. Exit code 0: at least nine in ten are killed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.mutation.drawing import AREAS, NUMBERS, ROOT, SEED, Mutant, drawn, equivalents
from tests.mutation.running import BaselineError, Copy, Verdict, fingerprint, own_tests

WANTED = 0.9


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _options(arguments)
    sample: list[Mutant] = []
    if options.paths:
        sample = drawn("", options.paths, options.number or 10**9, options.seed)
    else:
        for area in options.area or AREAS:
            sample += drawn(area, AREAS[area], options.number or NUMBERS[area], options.seed)
    if options.list:
        for mutant in sample:
            print(_line(mutant, ""))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    verdicts = attempt_all(sample, options.out / "results.jsonl", 60 * options.cpu_minutes)
    print(report(sample, verdicts, equivalents()))
    killed = sum(verdict["result"] in ("killed", "timeout") for verdict in verdicts.values())
    return int(killed < WANTED * len(sample))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("paths", nargs="*", help="files or folders to draw from, instead of the areas")
    parser.add_argument("--area", action="append", choices=[*AREAS], help="an area alone; may be given more than once")
    parser.add_argument("--number", type=int, help="mutants to draw [road 40, core 35, payments 25; of paths: all]")
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed of the sample [{SEED}]")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "mutants", help="folder of the results")
    parser.add_argument("--cpu-minutes", type=float, default=100.0, help="CPU time after which no more are tried [100]")
    parser.add_argument("--list", action="store_true", help="show the sample and try nothing")
    return parser.parse_args(arguments)


def attempt_all(sample: Sequence[Mutant], results: Path, seconds: float) -> dict[str, dict[str, Any]]:
    """Try those that were not tried before; return name -> verdict, and say how far it is."""
    known = _known(results)
    verdicts: dict[str, dict[str, Any]] = {}
    waiting = []
    for mutant in sample:
        tests = own_tests(mutant.path)
        found = known.get((mutant.name, fingerprint(mutant, tests)))
        if found:
            verdicts[mutant.name] = found
        else:
            waiting.append((mutant, tests))
    if not waiting:
        return verdicts
    _say(f"{len(verdicts)} of {len(sample)} known from {results}; the others are tried now")
    used, usual, broken = 0.0, dict[tuple[str, ...], Verdict](), set[tuple[str, ...]]()
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        copy = Copy(Path(scratch) / "copy")
        for mutant, tests in sorted(waiting, key=lambda pair: pair[1]):
            key = tuple(sorted(tests))
            if key in broken:
                continue
            if tests and key not in usual:
                try:
                    used += copy.baseline(tests).cpu  # compiles
                    usual[key] = copy.baseline(tests)
                except BaselineError as error:  # nothing can be said of these; the others are tried
                    broken.add(key)
                    _say(f"not tried: {error}")
                    continue
                used += usual[key].cpu
                _say(f"without a mutant: {usual[key].cpu:.0f} s of CPU for {len(tests)} files beside {tests[0]}")
            verdict = copy.attempt(mutant, tests, usual.get(key, Verdict("", "", 0.0, 0.0)))
            used += verdict.cpu
            entry = {"mutant": mutant.name, "fingerprint": fingerprint(mutant, tests), **asdict(verdict)}
            verdicts[mutant.name] = entry
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            _say(
                f"[{len(verdicts)}/{len(sample)}] {_line(mutant, verdict.result)}  {verdict.cpu:.0f} s  {verdict.test}"
            )
            if used > seconds:
                _say(f"{used / 60:.0f} minutes of CPU are used: the same command goes on with the rest")
                break
    return verdicts


def _known(results: Path) -> dict[tuple[str, str], dict[str, Any]]:
    if not results.is_file():
        return {}
    entries = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    return {(entry["mutant"], entry["fingerprint"]): entry for entry in entries}


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def _line(mutant: Mutant, result: str) -> str:
    return f"{mutant.name} {result:<8} {mutant.edit.operator:<10} {mutant.place}: {mutant.before}  ->  {mutant.after}"


def report(sample: Sequence[Mutant], verdicts: dict[str, dict[str, Any]], equal: dict[str, str]) -> str:
    """Return the table by area, the survivors, and the three files with most of them."""
    kinds = [(mutant, _kind(mutant, verdicts, equal)) for mutant in sample]
    lines = [f"{'area':<10} {'mutants':>8} {'killed':>8} {'survived':>9} {'equivalent':>11} {'not tried':>10}"]
    for area in [*dict.fromkeys(mutant.area for mutant, _ in kinds), None]:
        counts = Counter(kind for mutant, kind in kinds if area is None or mutant.area == area)
        lines.append(
            f"{'all' if area is None else area or 'given':<10} {counts.total():>8} {counts['killed']:>8}"
            f" {counts['survived']:>9} {counts['equivalent']:>11} {counts['not tried']:>10}"
        )
    lines += ["", *(_line(mutant, kind) for mutant, kind in kinds if kind in ("survived", "equivalent"))]
    weak = Counter(mutant.path for mutant, kind in kinds if kind == "survived")
    tried = Counter(mutant.path for mutant, kind in kinds if kind != "not tried")
    worst = sorted(weak, key=lambda path: (-weak[path], tried[path], path))[:3]
    lines += ["", "weakest: " + (", ".join(f"{path} ({weak[path]} of {tried[path]})" for path in worst) or "none")]
    return "\n".join(lines)


def _kind(mutant: Mutant, verdicts: dict[str, dict[str, Any]], equal: dict[str, str]) -> str:
    if mutant.name not in verdicts:
        return "not tried"
    if verdicts[mutant.name]["result"] == "survived":
        return "equivalent" if mutant.name in equal else "survived"
    return "killed"


if __name__ == "__main__":
    sys.exit(main())
