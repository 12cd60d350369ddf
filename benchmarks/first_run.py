"""CPU time of a newcomer's first commands: a run of `driving/cut_in` with its picture, and the demo's two sweeps.

    python benchmarks/first_run.py [--json]

Each begins with an empty folder of compiled kernels, so all that is compiled is counted, as are the workers and the
start of Python. Installing is not. The bars: 20 s for the run and its picture, 60 s for the sweeps.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cpu_time import cpu_of_children

BARS = {"first run and picture": 20.0, "two sweeps of the demo": 60.0}
COMMANDS = {
    "first run and picture": (("run", "driving/cut_in"),),
    "two sweeps of the demo": (
        ("sweep", "driving/cut_in", "--runs", "8"),
        ("sweep", "payments/card_testing", "--runs", "8"),
    ),
}


def measure(commands: tuple[tuple[str, ...], ...]) -> dict[str, float]:
    """Return CPU and wall seconds of commands, kernels compiled anew, and the CPU seconds of a second time."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "MISCHANCE_KERNELS": str(Path(place) / "kernels")}
        for name in ("first", "again"):
            before, begun = cpu_of_children(), time.perf_counter()
            for number, command in enumerate(commands):
                out = Path(place) / f"{name}-{number}"
                subprocess.run(
                    [sys.executable, "-m", "mischance", *command, "--out", str(out)],
                    env=environment, check=True, stdout=subprocess.DEVNULL,
                )  # fmt: skip
                assert (out / "preview.png").is_file()
            found[f"{name}_wall"] = time.perf_counter() - begun
            found[f"{name}_cpu"] = cpu_of_children() - before
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    as_json = parser.parse_args().json
    results = {name: measure(commands) for name, commands in COMMANDS.items()}
    if as_json:
        print(json.dumps(results, indent=2))
        return
    for name, found in results.items():
        print(
            f"{name}: {found['first_cpu']:.1f} CPU-s ({found['first_wall']:.0f} s), bar {BARS[name]:.0f};"
            f" with kernels compiled {found['again_cpu']:.1f} CPU-s"
        )


if __name__ == "__main__":
    main()
