"""Whether a change of the code changed any value: two sweeps of each world, compared table by table.

    python benchmarks/equal_values.py make before       # with the code before the change
    python benchmarks/equal_values.py make after        # with the code after it
    python benchmarks/equal_values.py compare before after

`make` plays with the `mischance` of the Python that runs it. `compare` prints whether the manifests are equal, and
otherwise every table, column and image that differs; exit code 1 if a value does.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

SWEEPS = {
    "cut_in": ("driving/cut_in", "--set", "sensors.front.size=[160,120]", "--set", "sensors.front.rate=2 Hz"),
    "turn_across_path": ("driving/turn_across_path:critical", "--twin"),
    "card_testing": ("payments/card_testing", "--twin"),
    "ticket_sale": ("payments/ticket_sale",),
    "drone_bird_strike": ("robots/drone_bird_strike",),
    "drone_gust_wall": ("robots/drone_gust_wall:critical", "--twin"),
    "arm_gripper_slip": ("robots/arm_gripper_slip", "--twin"),
    "arm_reach_in": ("robots/arm_reach_in:critical",),
    "warehouse_head_on": ("robots/warehouse_head_on", "--twin"),
    "warehouse_conveyor_jam": ("robots/warehouse_conveyor_jam",),
}
RUNS = 6
SKIPPED = {"_merge", "parts", "manifest.json", "README.md", "preview.png", "croissant.json", "report.html"}


def make(out: Path) -> None:
    """Play every sweep into a folder below `out`, which must be new: a finished sweep would be resumed, not played."""
    if out.exists():
        raise SystemExit(f"{out} exists already: name a new folder")
    for name, (scenario, *options) in SWEEPS.items():
        command = [sys.executable, "-m", "mischance", "sweep", scenario, "--runs", str(RUNS), "--workers", "1"]
        done = subprocess.run([*command, *options, "--no-preview", "--out", str(out / name)], check=False)
        if done.returncode not in (0, 1):  # 1: a requirement failed, or a run did
            raise SystemExit(f"{name}: the sweep ended with exit code {done.returncode}")


def files(dataset: Path) -> dict[str, Path]:
    """Return the data files of a dataset, by name relative to it; numbers in names count, not their padding."""
    return {
        re.sub(r"\d{6,}", lambda number: str(int(number[0])), str(path.relative_to(dataset))): path
        for path in dataset.rglob("*")
        if path.is_file() and not (SKIPPED & set(path.relative_to(dataset).parts)) and "ledger" not in path.name
    }


def differences(a: Path, b: Path) -> list[str]:
    """Return one line for each thing that differs between two datasets."""
    import pyarrow.parquet as pq

    before, after = files(a), files(b)
    found = [f"{name}: only before" for name in sorted(before.keys() - after.keys())]
    found += [f"{name}: only after" for name in sorted(after.keys() - before.keys())]
    for name in sorted(before.keys() & after.keys()):
        if before[name].read_bytes() == after[name].read_bytes():
            continue
        if not name.endswith(".parquet"):
            found.append(f"{name}: other bytes")
            continue
        one, two = (pq.read_table(file, partitioning=None) for file in (before[name], after[name]))
        if one.column_names != two.column_names:
            found.append(
                f"{name}: columns {sorted(set(one.column_names) ^ set(two.column_names)) or 'in another order'}"
            )
        if len(one) != len(two):
            found.append(f"{name}: {len(one)} rows before, {len(two)} after")
            continue
        for column in one.column_names:
            if column in two.column_names and column != "digest":
                left, right = one[column].to_pandas(), two[column].to_pandas()
                if not (left.astype(object).where(left.notna(), None)).equals(
                    right.astype(object).where(right.notna(), None)
                ):
                    found.append(f"{name}: {column}")
    return found


def compare(before: Path, after: Path) -> int:
    """Print what differs; return the exit code."""
    worst = 0
    for name in SWEEPS:
        manifests = [json.loads((folder / name / "manifest.json").read_text()) for folder in (before, after)]
        if manifests[0] == manifests[1]:
            print(f"{name}: manifests equal")
            continue
        found = differences(before / name, after / name)
        print(f"{name}: {len(found)} differences" if found else f"{name}: values equal, manifests differ")
        for line in found:
            print(f"  {line}")
        worst = max(worst, int(bool(found)))
    return worst


def main() -> int:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "compare"))
    parser.add_argument("folders", nargs="+", type=Path)
    given = parser.parse_args()
    if given.what == "make":
        make(given.folders[0])
        return 0
    return compare(*given.folders)


if __name__ == "__main__":
    sys.exit(main())
