"""Compares the versions in constraints.txt with the newest ones that can be had, and names tests that these break.

    drift.py constraints.txt installed.txt             exit code 1 where both hold the same versions
    drift.py constraints.txt installed.txt pytest.log  a line `DRIFT: package old→new, …: tests` where tests failed
    drift.py constraints.txt --not-installed pip.log   a line `DRIFT: …` that says why pip failed

`installed.txt` is what `pip list --format=freeze` printed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

OURS = {"mischance", "pip"}


def versions(text: str) -> dict[str, str]:
    """Return package -> version of lines such as `numpy==2.1.0`; names are normalised as pip does."""
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def differences(locked: str, installed: str) -> list[str]:
    """Return what differs, such as `numpy 2.1.0→2.2.0`; `none` stands for a package that one of them lacks.

    A package that is locked and not installed does not count: it may belong to another version of Python.
    """
    old, new = versions(locked), versions(installed)
    return [
        f"{name} {old.get(name, 'none')}→{version}"
        for name, version in sorted(new.items())
        if name not in OURS and old.get(name) != version
    ]


def failures(log: str) -> list[str]:
    """Return the tests that a log of pytest names as failed; a log without a result is a failure too."""
    found = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", log, re.MULTILINE)
    passed = re.search(r"^=*\s*\d+ passed", log, re.MULTILINE)
    return found or ([] if passed else ["pytest did not finish: " + (log.strip().splitlines() or ["no output"])[-1]])


def main(arguments: list[str]) -> int:
    """Print what the arguments ask for and return the exit code."""
    locked = Path(arguments[0]).read_text(encoding="utf-8")
    if arguments[1] == "--not-installed":
        last = [
            line for line in Path(arguments[2]).read_text(encoding="utf-8").splitlines() if "error" in line.lower()
        ] or ["?"]
        print(f"DRIFT: the newest versions cannot be installed: {last[0].strip()}")
        return 0
    changed = differences(locked, Path(arguments[1]).read_text(encoding="utf-8"))
    if len(arguments) == 2:
        print(f"newer than constraints.txt: {', '.join(changed) or 'nothing'}")
        return 0 if changed else 1
    failed = failures(Path(arguments[2]).read_text(encoding="utf-8"))
    if failed:
        print(f"DRIFT: {', '.join(changed)}: {', '.join(failed)}")
    else:
        print("the quick tests pass with them")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
