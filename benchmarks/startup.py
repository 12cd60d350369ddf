"""How much CPU time the quick commands take, as a ratio to importing pydantic and yaml alone.

Run `python benchmarks/startup.py`. The commands take turns, so that what slows the machine slows all of them;
printed are the median of the ratios and the span of the middle half. Byte code is written first (one round does not
count), as it is for whoever installs the package.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys

BASE = ("-c", "import pydantic, yaml")
COMMANDS = {
    "mischance --help": ("-m", "mischance", "--help"),
    "mischance list": ("-m", "mischance", "list"),
    "mischance validate driving/cut_in": ("-m", "mischance", "validate", "driving/cut_in"),
}
BARS = {"mischance --help": 2.5, "mischance validate driving/cut_in": 4.0}


def cpu_seconds(arguments: tuple[str, ...]) -> float:
    """Return the user and system time [s] of one fresh interpreter.

    Raises:
        subprocess.CalledProcessError: the command failed, so that its time means nothing.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> int:
    """Measure and print; return 1 if a median ratio is above its bar."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="how many times each is measured")
    rounds = parser.parse_args().rounds
    for arguments in (BASE, *COMMANDS.values()):
        cpu_seconds(arguments)
    ratios: dict[str, list[float]] = {name: [] for name in COMMANDS}
    bases = []
    for _ in range(rounds):
        base = cpu_seconds(BASE)
        bases.append(base)
        for name, arguments in COMMANDS.items():
            ratios[name].append(cpu_seconds(arguments) / base)
    print(f"import pydantic, yaml: {statistics.median(bases) * 1000:.0f} ms of CPU, median of {rounds}")
    missed = 0
    for name, values in ratios.items():
        low, middle, high = statistics.quantiles(values, n=4)
        bar = BARS.get(name)
        missed += bar is not None and middle > bar
        print(f"{name:<36} {middle:5.2f} x   middle half {low:.2f} to {high:.2f}" + (f"   bar {bar}" if bar else ""))
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
