"""Quick commands stay quick: what they may import, seen from `sys.modules` of a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Runs a command as the installed script would, then writes the modules it has loaded to a file of its own.
PROBE = """
import json, sys
out, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = "mischance"
from mischance.cli.commands import main
code = 0
try:
    code = main() or 0
except SystemExit as stop:
    code = stop.code or 0
with open(out, "w") as file:
    json.dump({"code": code, "modules": sorted(sys.modules)}, file)
"""

HEAVY = ("pandas", "pyarrow", "pybullet", "cv2", "numba", "simpy", "pebble", "jinja2", "embreex", "duckdb")
CASES = {
    "--help": (("--help",), ("numpy", "scipy", *HEAVY)),
    "--version": (("--version",), ("numpy", "scipy", *HEAVY)),
    "list": (("list",), ("numpy", "scipy", *HEAVY)),
    "list scenarios": (("list", "scenarios", "--json"), ("numpy", "scipy", *HEAVY)),
    "list simulators": (("list", "simulators"), ("numpy", "scipy", *HEAVY)),
    "validate road": (("validate", "driving/cut_in"), ("scipy.stats", *HEAVY)),
    "validate payments": (("validate", "payments/card_testing"), ("scipy.stats", *HEAVY)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_quick_command_imports_nothing_heavy(case: str, tmp_path: Path):
    arguments, forbidden = CASES[case]
    out = tmp_path / "seen.json"
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(out), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "COVERAGE_PROCESS_START": ""},
        check=False,
        timeout=60,
    )
    assert out.is_file(), done.stderr
    seen = json.loads(out.read_text())
    assert seen["code"] == 0, done.stderr
    loaded = [m for m in seen["modules"] if any(m == bad or m.startswith(bad + ".") for bad in forbidden)]
    assert not loaded, f"`mischance {' '.join(arguments)}` imported {loaded[:10]}"


def test_the_probe_would_see_a_heavy_import(tmp_path: Path):
    out = tmp_path / "seen.json"
    probe = PROBE.replace("import json, sys\n", "import json, sys, simpy\n", 1)
    subprocess.run([sys.executable, "-c", probe, str(out), "--help"], capture_output=True, check=True, timeout=60)
    assert "simpy" in json.loads(out.read_text())["modules"]
