"""Where PyBullet cannot be had, what needs it says so in one line and all the rest works.

The import is blocked in a fresh interpreter by a `sitecustomize` that stands first on its path; worker
processes inherit it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BLOCK = '''
import sys

class Block:
    """Behaves as if PyBullet were not installed."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {"pybullet", "pybullet_data"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

sys.meta_path.insert(0, Block)
'''


@pytest.fixture
def without(tmp_path: Path):
    """Return a function that runs mischance where pybullet cannot be imported."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BLOCK)
    work = tmp_path / "work"
    work.mkdir()

    def run(*arguments: str, code: str = "from mischance.cli.commands import main; import sys; sys.exit(main())"):
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=work,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "NO_COLOR": "1", "COLUMNS": "200"},
            check=False,
            timeout=240,
        )

    return run


def test_the_block_blocks(without):
    done = without(code="import mischance, pybullet")
    assert done.returncode == 1
    assert "No module named 'pybullet'" in done.stderr


def test_a_world_that_does_not_need_it_runs(without):
    done = without("run", "payments/card_testing", "--out", "paid")
    assert done.returncode == 0, done.stderr


def test_a_world_that_needs_it_says_so_in_one_line(without):
    done = without("run", "driving/cut_in", "--out", "driven")
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    told = [line for line in done.stderr.splitlines() if "pybullet" in line.lower()]
    assert told, done.stderr
    assert sum("error" in line for line in done.stderr.splitlines()) == 1, done.stderr
    assert "mischance[physics]" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", "driving/cut_in"),
        ("doctor",),
        *(pytest.param((verb,), marks=pytest.mark.slow) for verb in ("list", "schema")),
    ],
)
def test_the_quick_commands_do_not_mind(without, arguments: tuple[str, ...]):
    done = without(*arguments)
    assert "Traceback" not in done.stderr
    # the doctor may answer "not everything is here", which is 1
    assert done.returncode in ((0, 1) if arguments == ("doctor",) else (0,)), done.stderr
    if arguments == ("schema",):
        assert json.loads(done.stdout)
