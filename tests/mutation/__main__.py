"""`make mutants`: draws mutants, tries each with the tests of its folder, and says which survived.

It may be stopped and started again at any time: what was tried stays in `results.jsonl`. A killed mutant stays killed
while its source and the test file that killed it stay as they were; one that survived is tried again when any of its
tests has changed. Exit code 0: at least nine in ten are killed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tests.mutation.drawing import AREAS, NUMBERS, ROOT, SEED, Mutant, drawn, equivalents
from tests.mutation.reporting import line_of, report, tally
from tests.mutation.running import BaselineError, Copy, Verdict, hashes, own_tests

WANTED = 0.9


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _options(arguments)
    equal = equivalents()
    sample: list[Mutant] = []
    if options.paths:
        sample = drawn("", options.paths, options.number or 10**9, options.seed, equal=equal)
    else:
        for area in options.area or AREAS:
            sample += drawn(area, AREAS[area], options.number or NUMBERS[area], options.seed, equal=equal)
    if options.list:
        for mutant in sample:
            print(line_of(mutant, ""))
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    session = Session(options.out / "results.jsonl", options.workers, 60 * options.cpu_minutes)
    verdicts = session.attempt_all(sample)
    print(report(sample, verdicts, equal))
    print(f"{session.used / 60:.1f} of {options.cpu_minutes:g} CPU-minutes used now")
    killed, of = tally(sample, verdicts, equal)
    return int(killed < WANTED * of)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("paths", nargs="*", help="files or folders to draw from, instead of the areas")
    parser.add_argument("--area", action="append", choices=[*AREAS], help="an area alone; may be given more than once")
    parser.add_argument("--number", type=int, help="mutants to draw [road 40, core 35, payments 25; of paths: all]")
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed of the sample [{SEED}]")
    parser.add_argument("--workers", type=int, default=2, help="mutants that are tried at the same time [2]")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "mutants", help="folder of the results")
    parser.add_argument("--cpu-minutes", type=float, default=100.0, help="CPU time after which no more are tried [100]")
    parser.add_argument("--list", action="store_true", help="show the sample and try nothing")
    return parser.parse_args(arguments)


class Session:
    """Tries mutants, several at the same time, each worker in a copy of the tree of its own.

    Args:
        results: file of what was tried, one JSON object a line.
        workers: how many at the same time.
        seconds: CPU time after which no more are begun [s].
    """

    def __init__(self, results: Path, workers: int, seconds: float) -> None:
        self.results, self.workers, self.seconds = results, workers, seconds
        self.used = 0.0
        self._lock = threading.Lock()
        self._verdicts: dict[str, dict[str, Any]] = {}

    def attempt_all(self, sample: Sequence[Mutant]) -> dict[str, dict[str, Any]]:
        """Try those that were not tried before; return name -> verdict, and say how far it is."""
        known = self._known()
        waiting = []
        for mutant in sample:
            tests = own_tests(mutant.path)
            if mutant.name in known and holds(known[mutant.name], mutant, tests):
                self._verdicts[mutant.name] = known[mutant.name]
            else:
                waiting.append((mutant, tuple(tests)))
        if not waiting:
            return self._verdicts
        _say(f"{len(self._verdicts)} of {len(sample)} known from {self.results}; the others are tried now")
        with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
            place = Path(scratch)
            copies: SimpleQueue[Copy] = SimpleQueue()
            for n in range(self.workers):
                copies.put(Copy(place / str(n), place / "kernels"))
            usual: dict[tuple[str, ...], Verdict] = {(): Verdict("", "", 0.0, 0.0)}

            def measure(copy: Copy, tests: tuple[str, ...]) -> None:
                try:
                    usual[tests] = copy.baseline(tests)
                except BaselineError as error:  # nothing can be said of these mutants; the others are tried
                    _say(f"not tried: {error}")
                    return
                self._spend(usual[tests].cpu)
                _say(f"without a mutant: {usual[tests].cpu:.0f} s of CPU for {len(tests)} files beside {tests[0]}")

            def attempt(copy: Copy, pair: tuple[Mutant, tuple[str, ...]]) -> None:
                mutant, tests = pair
                if tests in usual:
                    seen = hashes([mutant.path, *tests], copy.tree)  # of the copy: the tree may have changed since
                    self._note(mutant, seen, copy.attempt(mutant, tests, usual[tests]), len(sample))

            self._each(measure, dict.fromkeys(tests for _, tests in waiting if tests), copies)
            self._each(attempt, waiting, copies)
        return self._verdicts

    def _each(self, do: Callable[[Copy, Any], None], items: Iterable[Any], copies: SimpleQueue[Copy]) -> None:
        """Do something with every item, as long as there is time, in as many copies as there are workers."""

        def one(item: Any) -> None:
            if self.used > self.seconds:
                return
            copy = copies.get()
            try:
                do(copy, item)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(self.workers) as pool:
            for _ in pool.map(one, items):
                pass
        if self.used > self.seconds:
            _say(f"{self.used / 60:.0f} minutes of CPU are used: the same command goes on with the rest")

    def _spend(self, seconds: float) -> None:
        with self._lock:
            self.used += seconds

    def _note(self, mutant: Mutant, seen: dict[str, str], verdict: Verdict, of: int) -> None:
        """Keep a verdict with the hashes that it depends on; `seen`: those of the source and of all its tests."""
        self._spend(verdict.cpu)
        if verdict.test:
            seen = {name: seen[name] for name in (mutant.path, verdict.test.partition("::")[0])}
        entry = {"mutant": mutant.name, **asdict(verdict), "hashes": seen}
        del entry["seconds"]
        with self._lock:
            self._verdicts[mutant.name] = entry
            with self.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            _say(f"[{len(self._verdicts)}/{of}] {line_of(mutant, verdict.result)}  {verdict.cpu:.0f} s  {verdict.test}")

    def _known(self) -> dict[str, dict[str, Any]]:
        """Return name -> its last verdict."""
        if not self.results.is_file():
            return {}
        entries = [json.loads(line) for line in self.results.read_text(encoding="utf-8").splitlines()]
        return {entry["mutant"]: entry for entry in entries if "hashes" in entry}


def holds(entry: dict[str, Any], mutant: Mutant, tests: Sequence[str]) -> bool:
    """Return whether a verdict still holds: of a survivor, all of its tests must be as they were."""
    seen = entry["hashes"]
    if mutant.path not in seen or (not entry["test"] and set(seen) != {mutant.path, *tests}):
        return False
    return all((ROOT / name).is_file() for name in seen) and hashes([*seen]) == seen


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
