"""Reads README.md and docs/ as a reader does: which commands they show, what they show below them, and what comes out.

A block that starts with ```console is a terminal: lines that start with `$ ` are commands, the lines below are
what it prints. `...` stands for anything, inside a line or as lines of its own. A long line may go on in indented ones,
and so may a command after a `\\`. A command without lines below it must only succeed; `$ ... ; echo $?` shows another
exit code. A block of Python is run as a script. A `{code-block}` with a caption is a file of that name that
the reader saves.

Wall-clock times, rates and sizes differ from machine to machine and are masked. Lines that only a slow machine prints
(progress, what is waited for or loaded, kernels that are compiled) do not count.

`python -m tests.docs.pages README.md 'make demo' <log` compares a log with what a page shows; .ci/run does.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.shell import mischance

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if not {"_build", "_generated"} & set(page.parts)]

BLOCK = re.compile(r"^([`~]{3,})(console|python)[^\n]*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^([`~]{3,})\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)

MASKS = (
    (re.compile(r"\b(in|took|after) \d+(?:\.\d+)? (?:ms|s|min|h)(?: \d+ (?:s|min))*\b"), r"\1 <time>"),
    (re.compile(r"\b\d+(?:\.\d+)? runs/s\b"), "<rate>"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:bytes|[kMG]i?B)(?![/\w])"), "<size>"),
)
NOISE = re.compile(
    r".*: \d+ of \d+ runs, .*|\d+ of \d+ scenarios, .*"
    r"|note: .*(?:no run has ended|loading what).*|.*\bcompil(?:ing|ed|es)\b.*"
)


@dataclass(frozen=True)
class Command:
    """One command of a page and what the page shows below it."""

    page: Path
    line: int
    text: str
    shown: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}: $ {self.text}"


def commands(page: Path, scripts: bool = True) -> list[Command]:
    """Return the commands of a page in order, with its blocks of Python as commands too where `scripts` is true."""
    text = page.read_text(encoding="utf-8")
    found = [
        Command(
            page, text.count("\n", 0, block.start()) + 1, f"cat >{block[2]} <<'END OF FILE'\n{block[3]}END OF FILE", ()
        )
        for block in FILE.finditer(text)
    ]
    for block in BLOCK.finditer(text):
        start = text.count("\n", 0, block.start(3)) + 1
        if block.group(2) == "python":
            if scripts:
                found.append(Command(page, start, f"python -c {shlex.quote(block.group(3))}", ()))
            continue
        lines = block.group(3).splitlines()
        assert "".join(lines[:1]).startswith("$ "), f"{page.name}:{start}: a console block starts with `$ `"
        marks = [i for i, line in enumerate(lines) if line.startswith("$ ")]
        for here, following in zip(marks, [*marks[1:], len(lines)], strict=True):
            last = next(i for i in range(here, following) if not lines[i].endswith("\\"))
            command = " ".join(
                line.removesuffix("\\").strip() for line in [lines[here][2:], *lines[here + 1 : last + 1]]
            )
            shown = tuple(line.rstrip() for line in lines[last + 1 : following] if line.strip())
            found.append(Command(page, start + here, command, shown))
    return sorted(found, key=lambda command: command.line)


def files(page: Path) -> dict[str, str]:
    """Return name -> text of the files that a page shows."""
    return {block[2]: block[3] for block in FILE.finditer(page.read_text(encoding="utf-8"))}


def comparable(text: str) -> list[str]:
    """Return the lines that count, masked; blank lines and trailing blanks do not count."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not NOISE.fullmatch(line.strip())]
    for pattern, mask in MASKS:
        lines = [pattern.sub(mask, line) for line in lines]
    return lines


def matches(shown: tuple[str, ...], printed: str) -> bool:
    """Return whether the printed text is what is shown; a long line may be shown in several, those below indented."""
    pattern, line_is_open = "", False
    for line in comparable("\n".join(shown)):
        if line.strip() == "...":
            pattern += r"(?:\n)" * line_is_open + r"(?:.*\n)*?"
            line_is_open = False
            continue
        if line_is_open:
            pattern += r"(?:\n *| )" if line.startswith(" ") else r"\n"
        pattern += " *" * line.startswith(" ") + re.escape(line.strip()).replace(re.escape("..."), ".*?")
        line_is_open = True
    pattern += r"(?:\n)" * line_is_open
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in comparable(printed))) is not None


def run(text: str, folder: Path, *, quick: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command as a person would, with this interpreter's scripts first on PATH.

    With `quick`, one that is a plain call of `mischance` is run without a shell, in a fork of a process that has
    imported everything.
    """
    if quick and text.startswith("mischance ") and not re.search(r"[;|&<>$*?`()\\\n]", text):
        return mischance(*shlex.split(text)[1:], cwd=folder, env={"COLUMNS": "120"}, timeout=900, merged=True)
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", text],
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
        timeout=900,
    )


def recipe(target: str, folder: Path) -> str:
    """Return what `make` runs for a target as one script, which prints the commands that make prints, for a folder."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(rf"^{target}:[^\n]*\n((?:\t[^\n]*\n)+)", text, re.MULTILINE)
    assert found is not None, f"the Makefile has no recipe for {target}"
    script = ["set -e"]
    for line in found[1].replace("\\\n", "").splitlines():
        command = line.strip().replace("$(CURDIR)", str(folder)).replace("$(BIN)/", "").replace("$$", "$")
        shown = line.strip().replace("$(CURDIR)", str(folder)).replace("$(BIN)", ".venv/bin").replace("$$", "$")
        if not command.startswith("@"):
            script.append(f"echo {shlex.quote(shown)}")
        script.append(command.removeprefix("@"))
    return "\n".join(script)


def main(arguments: list[str]) -> int:
    """Compare standard input with what a page shows below a command; return the exit code."""
    page, text = arguments
    (command,) = (one for one in commands(ROOT / page) if one.text == text)
    printed = sys.stdin.read()
    if matches(command.shown, printed):
        print(f"{command}: prints what is shown")
        return 0
    shown = "\n".join(comparable("\n".join(command.shown)))
    print(f"{command}: shown is\n{shown}\n\nand printed is\n" + "\n".join(comparable(printed)))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
