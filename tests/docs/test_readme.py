"""Every command that README.md and docs/ show is run, and what they show it print is what it prints.

A block that starts with ```console is a terminal: lines that start with `$ ` are commands, the lines below are
what it prints. `...` stands for anything, inside a line or as lines of its own. A command without lines below it
must only succeed; `$ ... ; echo $?` shows another exit code. A block of Python is run as a script. All pages share
one folder, README.md first, so a dataset made by one command is found again, and not made again, by the next.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if not {"_build", "_generated"} & set(page.parts)]

# Commands that are shown and not run here, each with the reason.
SKIP = {
    "make demo": "installs; .ci/run and the fresh-clone check run it",
    "make test": "it is what runs this test",
    "make test-slow": "takes long",
    "make check": "run by .ci/run",
    "make docs": "run by .ci/run",
    "make build": "run by .ci/run",
    "make format": "changes sources",
    "pip install .": "run by .ci/run from the wheel",
}

# Pages whose Python is not a script; each with the reason.
NO_SCRIPTS = {ROOT / "docs" / "architecture.md": "a plug-in: tests/test_architecture_page.py"}

BLOCK = re.compile(r"^([`~]{3,})(console|python)[^\n]*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One command of a page and what the page shows below it."""

    page: Path
    line: int
    text: str
    shown: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: $ {self.text}"


def commands(page: Path) -> list[Command]:
    """Return the commands of a page in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for block in BLOCK.finditer(text):
        start = text.count("\n", 0, block.start(3)) + 1
        if block.group(2) == "python":
            if page not in NO_SCRIPTS:
                found.append(Command(page, start, f"python -c {shlex.quote(block.group(3))}", ()))
            continue
        lines = block.group(3).splitlines()
        assert "".join(lines[:1]).startswith("$ "), f"{page.name}:{start}: a console block starts with `$ `"
        marks = [i for i, line in enumerate(lines) if line.startswith("$ ")]
        for here, following in zip(marks, [*marks[1:], len(lines)], strict=True):
            shown = tuple(line.rstrip() for line in lines[here + 1 : following] if line.strip())
            found.append(Command(page, start + here, lines[here][2:].strip(), shown))
    return found


def matches(shown: tuple[str, ...], printed: str) -> bool:
    """Return whether the printed text is what is shown; blank lines and trailing blanks do not count."""
    have = "\n".join(line.rstrip() for line in printed.splitlines() if line.strip())
    pattern = "".join(
        "(?:.*\n)*?" if line == "..." else re.escape(line).replace(re.escape("..."), ".*?") + "\n" for line in shown
    )
    return re.fullmatch(pattern, have + "\n") is not None


def run(command: Command, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a person would, with this interpreter's scripts first on PATH."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.text],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "120",
            "NO_COLOR": "1",
        },
        check=False,
        timeout=280,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the one folder that all pages work in."""
    return tmp_path_factory.mktemp("readme")


@pytest.mark.xdist_group("readme")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_shown_works_as_shown(page: Path, folder: Path):
    for command in commands(page):
        if command.text in SKIP:
            continue
        done = run(command, folder)
        assert done.returncode == 0, f"{command}\nexit {done.returncode}\n{done.stdout}"
        assert not command.shown or matches(command.shown, done.stdout), f"{command}\nprinted:\n{done.stdout}"


def test_the_two_set_up_commands_are_shown():
    shown = {command.text for command in commands(ROOT / "README.md")}
    assert {"make demo", "make test"} <= shown


def test_nothing_is_skipped_that_is_not_shown():
    shown = {command.text for page in PAGES for command in commands(page)}
    assert set(SKIP) <= shown, f"no page shows {sorted(set(SKIP) - shown)}"


def test_every_make_target_shown_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {word for page in PAGES for word in re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8"))}
    assert shown <= targets


def test_every_relative_link_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_the_comparison_can_fail():
    assert matches(("done: ... runs",), "done: 8 runs\n")
    assert matches(("a", "...", "z"), "a\nb\nc\nz\n")
    assert not matches(("a", "z"), "a\nb\nz\n")
    assert not matches(("done",), "done with errors\n")


def test_every_whole_scenario_shown_can_be_read(tmp_path: Path):
    """A block of YAML with a world in it is a whole scenario."""
    from mischance.language.loading import load

    shown = 0
    for page in PAGES:
        for block in re.findall(r"```yaml\n(mischance: 1\n.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            if "\nsimulator:" in block:
                path = tmp_path / "shown.yaml"
                path.write_text(block, encoding="utf-8")
                load(path)
                shown += 1
    assert shown >= 1
