"""Real commands in real processes, and what a folder holds before and after them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if key not in ("PYTHONHASHSEED", "NPY_DISABLE_CPU_FEATURES")},
    "NO_COLOR": "1",
    "COLUMNS": "200",
    "PYTHONDONTWRITEBYTECODE": "1",
}
MISCHANCE = (sys.executable, "-m", "mischance")
SMALL_CAMERA = ("--set", "sensors.front.size=[64,48]", "--set", "sensors.front.rate=2")


def mischance(
    *arguments: str | Path,
    cwd: Path | None = None,
    stdin: str = "",
    env: dict[str, str] | None = None,
    timeout: float = 250.0,
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end and return what it said; its standard input is `stdin`."""
    return subprocess.run(
        [*MISCHANCE, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, **(env or {})},
        check=False,
        timeout=timeout,
    )


def content(folder: Path) -> dict[str, str]:
    """Return path -> hash of every file of a folder, but for what a reader of its ledger may touch."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("ledger.sqlite-")
    }


def refused(done: subprocess.CompletedProcess[str], code: int = 2) -> str:
    """Check that a command ended in one line for people and a hint, and return both; no traceback, clean stdout."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    lines = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines[-2:]] == ["error", "hint"], done.stderr
    assert sum(line.startswith("error:") for line in lines) == 1, done.stderr
    return "\n".join(lines[-2:])
