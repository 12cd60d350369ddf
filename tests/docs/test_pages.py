"""Every command that README.md and docs/ show is run, and what they show it print is what it prints (see pages.py).

All pages share one folder, README.md first, so a dataset made by one command is found again, and not made again, by
the next.
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Command, comparable, files, matches, recipe, run
from tests.docs.pages import commands as all_commands

# What a newcomer reads first is run by `make test`, all pages by `make test-slow`.
FIRST = ROOT / "README.md"

# Commands that are shown and not run here, each with the reason.
SKIP = {
    "make test": "it is what runs this test",
    "make test-quick": "part of what runs this test",
    "make test-slow": "takes long",
    "make check": "run by .ci/run",
    "make docs": "run by .ci/run",
    "make build": "run by .ci/run",
    "make format": "changes sources",
    "make relock": "changes constraints.txt and installs everything anew",
    "source .venv/bin/activate": "the commands are on PATH here",
    "pip install .": "run by .ci/run from the wheel",
    "apt-get install git make python3-venv chromium chromium-driver fonts-dejavu-core": "needs root; .ci/run does it",
}

# Pages whose Python is not a script; each with the reason.
NO_SCRIPTS = {ROOT / "docs" / "architecture.md": "a plug-in: tests/docs/test_architecture_page.py"}

# Blocks of plain text are drawings; what a command prints stands in a console block below the command.
DRAWINGS = {"docs/architecture.md": 1, "docs/dataset.md": 1}


def commands(page: Path) -> list[Command]:
    return all_commands(page, scripts=page not in NO_SCRIPTS)


def check(page: Path, folder: Path, *, quick: bool = False) -> None:
    """Run every command of a page and compare what it prints with what the page shows.

    With `quick`, of `make demo` that sweep alone is played whose dataset later commands use: .ci/run compares the rest,
    and runs every command in a process that is started anew.
    """
    for command in commands(page):
        if command.text in SKIP:
            continue
        text, shown = command.text, command.shown
        if text == "make demo":
            text = recipe("demo", folder)
            if quick:
                (text,) = (line for line in text.splitlines() if line.startswith("mischance sweep payments/"))
                shown = ()
        done = run(text, folder, quick=quick)
        assert done.returncode == 0, f"{command}\nexit {done.returncode}\n{done.stdout}"
        assert not shown or matches(shown, done.stdout), f"{command}\nprinted:\n{done.stdout}"


@pytest.mark.timeout(1800)  # a busy machine compiles kernels for minutes
def test_every_command_of_the_first_page_works_as_shown(tmp_path: Path):
    check(FIRST, tmp_path, quick=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_command_of_all_pages_works_as_shown(tmp_path: Path):
    for page in PAGES:
        check(page, tmp_path)


def test_the_two_set_up_commands_come_first():
    shown = [command.text for command in commands(ROOT / "README.md") if not command.text.startswith("apt-get")]
    assert shown[:2] == ["make demo", "make test"]


def test_what_the_demo_prints_is_shown():
    (demo,) = (one for one in commands(ROOT / "README.md") if one.text == "make demo")
    assert sum("runs done" in line for line in demo.shown) == recipe("demo", ROOT).count("sweep") / 2


def test_ci_runs_all_pages():
    assert "\nmake test-slow ARGS=tests/docs\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_nothing_is_skipped_that_is_not_shown():
    shown = {command.text for page in PAGES for command in commands(page)}
    assert set(SKIP) <= shown, f"no page shows {sorted(set(SKIP) - shown)}"


def test_every_make_target_shown_exists_and_is_explained():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    shown = {word for page in PAGES for word in re.findall(r"`?\bmake ([a-z-]+)`", page.read_text(encoding="utf-8"))}
    assert shown <= targets
    helped = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    assert targets == helped == set(re.findall(r"[a-z-]+", re.findall(r"^\.PHONY:(.*)$", text, re.MULTILINE)[0]))


def test_ci_installs_the_system_packages_that_readme_names():
    (line,) = (one.text for one in commands(ROOT / "README.md") if one.text.startswith("apt-get install "))
    (packages,) = re.findall(r"^packages=\((.*)\)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    assert packages.split() == line.removeprefix("apt-get install ").split()


def test_ci_begins_with_the_two_set_up_commands():
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    clone = text.index("git clone ")
    made = re.findall(r"^\s*(?:if ! )?(?:timeout \d+ )?(make [\w$\"/.-]+|\.venv/\S+)", text, re.MULTILINE)
    assert made[:2] == ["make demo", "make test"]
    assert clone < text.index("\nmake demo") < text.index("\nmake test\n")


def generated() -> set[str]:
    """Return the names of the pages that `make docs` writes into docs/_generated."""
    spec = importlib.util.spec_from_file_location("_generate", ROOT / "docs" / "_generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return set(module.names())


def test_every_relative_link_leads_somewhere():
    written = generated()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        toc = "\n".join(re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        targets = [f"{line}.md" for line in re.findall(r"^([\w/]+)$", toc, re.MULTILINE)]
        targets += re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
        targets += re.findall(r"^```\{(?:figure|image)\} (\S+)$", text, re.MULTILINE)
        prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        assert "_generated/" not in prose, f"{page.relative_to(ROOT)}: a checkout has no generated pages to link to"
        for target in targets:
            if target.startswith("_generated/"):
                assert target.removeprefix("_generated/") in written, f"{page.relative_to(ROOT)} links to {target}"
            elif "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_every_link_to_a_heading_leads_to_one():
    seen = 0
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
            text = (page.parent / target if target else page).read_text(encoding="utf-8")
            heads = re.findall(
                r"^#{1,3} (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
            )
            slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, f"{page.relative_to(ROOT)} links to {target}#{anchor}"
            seen += 1
    assert seen >= 5


def test_every_file_named_is_there():
    folders = "benchmarks|docs|mischance|renderers|scenarios|sensors|simulators|tests"
    named = {
        (page, name)
        for page in PAGES
        for name in re.findall(rf"`((?:{folders})/[\w/.-]+)`", page.read_text(encoding="utf-8"))
    }
    missing = [f"{page.relative_to(ROOT)}: {name}" for page, name in named if not (ROOT / name).exists()]
    assert not missing
    assert len(named) > 10


def test_what_is_printed_is_shown_below_its_command():
    for page in PAGES:
        fences = re.findall(r"^(?:`{3,}|~{3,})[ \t]*(\S*)", page.read_text(encoding="utf-8"), re.MULTILINE)[::2]
        plain = sum(fence in ("", "text") for fence in fences)
        name = str(page.relative_to(ROOT))
        assert plain == DRAWINGS.get(name, 0), f"{name}: {plain} blocks of plain text"


def test_the_comparison_can_fail():
    assert matches(("done: ... runs",), "done: 8 runs\n")
    assert matches(("a", "...", "z"), "a\nb\nc\nz\n")
    assert not matches(("a", "z"), "a\nb\nz\n")
    assert not matches(("done",), "done with errors\n")
    assert matches(("...",), "")
    assert matches(("...", "z"), "z\n")
    assert matches(("a", "..."), "a\n")
    assert matches(("a: b", "  c d", "e"), "a: b c d\ne\n")
    assert matches(("a: b", "  c d", "e"), "a: b\n  c d\ne\n")
    assert not matches(("a: b", "  c d", "e"), "a: b c d e\n")
    assert not matches(("a: b", "  c d"), "a: bc d\n")
    assert not matches(("a ... c",), "a b\nc\n")


def test_a_command_may_go_on_in_the_next_line(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("```console\n$ a b \\\n    --c\nd\n$ e\n```\n", encoding="utf-8")
    assert [(one.text, one.shown) for one in all_commands(page)] == [("a b --c", ("d",)), ("e", ())]


def test_a_block_with_a_caption_is_a_file_that_later_commands_find(tmp_path: Path):
    line = "x = '$HOME `id`'"
    text = f"```{{code-block}} python\n:caption: a.py\n\n{line}\n```\n\n```console\n$ cat a.py\n{line}\n```\n"
    shown = tmp_path / "page.md"
    shown.write_text(text, encoding="utf-8")
    assert files(shown) == {"a.py": f"{line}\n"}
    for one in all_commands(shown):
        done = run(one.text, tmp_path)
        assert matches(one.shown, done.stdout)
    assert (tmp_path / "a.py").read_text(encoding="utf-8") == f"{line}\n"


def test_times_and_sizes_do_not_count_but_results_do():
    shown = ("x: 8 of 8 runs done in 31 s", "p 0.5, 12.4 m ahead at 1.00 s, page of 3.2 kB")
    assert matches(shown, "x: 8 of 8 runs done in 1 min 15 s\np 0.5, 12.4 m ahead at 1.00 s, page of 17 MB\n")
    assert not matches(shown, "x: 7 of 8 runs done in 31 s\np 0.5, 12.4 m ahead at 1.00 s, page of 17 MB\n")
    assert not matches(shown, "x: 8 of 8 runs done in 31 s\np 0.5, 12.4 m ahead at 1.01 s, page of 17 MB\n")
    assert comparable("x: 0 of 8 runs, 0 runs/s\nnote: x: no run has ended for 20 s; waiting\n\nend") == ["end"]


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
