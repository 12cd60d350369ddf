"""Fixed cost of a test of a whole suite, and its cost a run, before and after a change of the code.

    python benchmarks/suite_cost.py BEFORE_PYTHON AFTER_PYTHON [--suite driving] [--runs 2 10 40] [--repeats 3]

Each Python tests with the `mischance` that it has installed. The two take turns, so that what else the machine does
falls on both. Measured is CPU time (user and system) of the command with all of its processes, over several numbers of
runs a scenario. A straight line through them by least squares has the fixed cost as its intercept and the cost of one
more run of every scenario as its slope; each repeat has a line of its own, and their spread is printed. Kernels are
compiled before.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from cpu_time import cpu_of_children


def cpu_of(python: str, suite: str, runs: int, folder: Path, more: list[str]) -> float:
    """Return the CPU time of a test into that folder, which goes afterwards [s]."""
    command = [python, "-m", "mischance", "-q", "test", suite, "--runs", str(runs), "--out", str(folder), *more]
    before = cpu_of_children()
    # elsewhere: `-m` would find the package of the current folder first
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder.parent)
    if done.returncode not in (0, 1):  # 1: some case failed, as some are made to
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    after = cpu_of_children()
    shutil.rmtree(folder)
    return after - before


def line(points: dict[int, float]) -> tuple[float, float]:
    """Return intercept and slope of the straight line through (runs, CPU time), by least squares."""
    fitted = statistics.linear_regression(list(points), list(points.values()))
    return fitted.intercept, fitted.slope


def said(values: list[float]) -> str:
    """Return a median with the least and the largest value."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main() -> int:
    """Measure and print; exit code 1 where the second intercept is above `--most` of the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--suite", default="driving")
    parser.add_argument("--runs", type=int, nargs="+", default=[2, 10, 40])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--most", type=float, default=0.2, help="share of the first intercept that is asked for")
    parser.add_argument("--option", nargs=argparse.REMAINDER, default=[], help="options of `mischance test`; the last")
    given = parser.parse_args()
    pythons = {"before": given.before, "after": given.after}
    found: dict[str, list[dict[int, float]]] = {name: [] for name in pythons}
    with tempfile.TemporaryDirectory() as scratch:
        for name, python in pythons.items():
            cpu_of(python, given.suite, min(given.runs), Path(scratch) / name, given.option)  # compiles
        for _ in range(given.repeats):
            points: dict[str, dict[int, float]] = {name: {} for name in pythons}
            for runs in given.runs:
                for name, python in pythons.items():
                    points[name][runs] = cpu_of(python, given.suite, runs, Path(scratch) / name, given.option)
                    print(f"{name} --runs {runs}: {points[name][runs]:.2f} CPU-s", file=sys.stderr, flush=True)
            for name in pythons:
                found[name].append(points[name])
    fixed, slope = {}, {}
    for name in pythons:
        fixed[name], slope[name] = (list(values) for values in zip(*map(line, found[name]), strict=True))
        print(f"{name}: fixed {said(fixed[name])} CPU-s, {said(slope[name])} CPU-s a run of every scenario")
    share = statistics.median(fixed["after"]) / statistics.median(fixed["before"])
    print(f"share of the fixed cost: {share:.3f}")
    return 0 if share <= given.most else 1


if __name__ == "__main__":
    sys.exit(main())
