"""Speed of a whole sweep, from command to finished dataset, before and after a change of the code.

    python benchmarks/sweep_speed.py BEFORE_PYTHON AFTER_PYTHON [--repeats 3] [--runs 2000]

Each Python plays with the `mischance` that it has installed. The two take turns, so that what else the machine does
falls on both. Measured is CPU time (user and system) of the command with all of its processes. Kernels are compiled
before; start-up is the same command with one run, reported apart and taken off.
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

SWEEP = ("sweep", "driving/cut_in", "--workers", "1", "--set", "sensors={}", "--set", "faults=[]", "--no-preview")


def cpu_of(python: str, runs: int, folder: Path) -> float:
    """Return the CPU time of a sweep into that folder, which goes afterwards [s]."""
    command = [python, "-m", "mischance", *SWEEP, "--runs", str(runs), "--out", str(folder)]
    before = cpu_of_children()
    # elsewhere: `-m` would find the package of the current folder first
    subprocess.run(command, check=True, capture_output=True, cwd=folder.parent)
    after = cpu_of_children()
    shutil.rmtree(folder)
    return after - before


def main() -> int:
    """Measure and print; exit code 1 where the second is not at least `--least` times as fast."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--least", type=float, default=2.0, help="ratio of the speeds that is asked for")
    given = parser.parse_args()
    pythons = {"before": given.before, "after": given.after}
    whole: dict[str, list[float]] = {name: [] for name in pythons}
    start: dict[str, list[float]] = {name: [] for name in pythons}
    with tempfile.TemporaryDirectory() as scratch:
        for name, python in pythons.items():
            cpu_of(python, 1, Path(scratch) / name)  # compiles
        for _ in range(given.repeats):
            for name, python in pythons.items():
                start[name].append(cpu_of(python, 1, Path(scratch) / name))
                whole[name].append(cpu_of(python, given.runs, Path(scratch) / name))
    speed = {}
    for name in pythons:
        first = statistics.median(start[name])
        rates = sorted((given.runs - 1) / (cpu - first) for cpu in whole[name])
        speed[name] = statistics.median(rates)
        print(
            f"{name}: {speed[name]:.0f} runs per CPU-second ({rates[0]:.0f} to {rates[-1]:.0f}),"
            f" start-up with one run {first:.2f} s, all of it {statistics.median(whole[name]):.2f} s"
        )
    ratio = speed["after"] / speed["before"]
    print(f"ratio {ratio:.2f}")
    return 0 if ratio >= given.least else 1


if __name__ == "__main__":
    sys.exit(main())
