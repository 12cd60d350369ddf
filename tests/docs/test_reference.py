"""What docs/_generate.py and docs/_docstrings.py make of the code: pages that are named, markup that cannot warn."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from docutils.core import publish_doctree
from docutils.utils import Reporter

import mischance
from mischance.language.distributions.parsing import KINDS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(DOCS))
    sys.modules.pop(name, None)
    return importlib.import_module(name)


def test_every_page_that_is_named_is_written_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    generate = module("_generate", monkeypatch)
    (tmp_path / "old.md").write_text("a page of yesterday")
    generate.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(generate.names())
    text = (tmp_path / "mischance.md").read_text(encoding="utf-8")
    missing = [name for name in mischance.__all__ if f":: mischance.{name}\n" not in text]
    assert not missing


def test_the_page_of_distributions_leaves_none_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    module("_generate", monkeypatch).write(tmp_path)
    text = (tmp_path / "distributions.md").read_text(encoding="utf-8")
    shown = re.findall(r"^## `(\w+)`$", text, re.MULTILINE)
    also = [name for line in re.findall(r"\(also (.*)\)$", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)]
    assert sorted([*shown, *also]) == sorted(KINDS)
    assert text.count("Example: `{") >= len(shown)


def rendered(lines: list[str]) -> str:
    """Return the text of reStructuredText; a warning is an error, as in `make docs`."""
    settings = {"report_level": Reporter.WARNING_LEVEL, "halt_level": Reporter.WARNING_LEVEL, "warning_stream": ""}
    return str(publish_doctree("\n".join(lines), settings_overrides=settings).astext())


TRAPS = """Return *all* of it | or ``some``, as `f(a, *b)` says; a_ b__ <x> \\\\ `odd.

- one point
  that goes on
- another with `code`s
Args:
    runs, *more: numbers; shape (n,).
    limit (float): the time that one may take [s],
        on two lines.
    just words

    def example():
        return 1

Raises:
    ValueError: never *ever*.
    OSError
Source: somebody, some_where_, ch. 3,
    p. 4 |x|.
A last: line
"""


def test_markup_in_a_docstring_is_shown_and_not_obeyed(monkeypatch: pytest.MonkeyPatch):
    shown = rendered(module("_docstrings", monkeypatch).rewritten(TRAPS.splitlines()))
    for text in (
        "*all* of it | or some, as f(a, *b) says; a_ b__ <x>",
        "code",
        "ch. 3, p. 4 |x|",
        "never *ever*",
        "A last: line",
    ):
        assert text in shown
    assert "return 1" in shown


def test_no_docstring_of_the_reference_warns(monkeypatch: pytest.MonkeyPatch):
    generate, docstrings = module("_generate", monkeypatch), module("_docstrings", monkeypatch)
    seen = 0
    for package in generate.PYTHON:
        root = importlib.import_module(package)
        things = [root, *(getattr(root, name) for name in getattr(root, "__all__", ()))]
        for path in Path(str(root.__file__)).parent.glob("*.py") if package != "mischance" else ():
            if path.stem.strip("_") and path.stem != "__init__" and package != "mischance.gym":
                inner = importlib.import_module(f"{package}.{path.stem}")
                named = (thing for thing in vars(inner).values() if inspect.isclass(thing) or inspect.isroutine(thing))
                things += [inner, *(thing for thing in named if thing.__module__ == inner.__name__)]
        for thing in things:
            rendered(docstrings.rewritten((inspect.getdoc(thing) or "").splitlines()))
            seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("(a: numpy.ndarray[tuple[typing.Any, ...], numpy.dtype[numpy.float64]]) -> None", "(a: FloatArray) -> None"),
        ("(a: ~numpy.ndarray[tuple[~typing.Any, ...], ~numpy.dtype[~typing.Any]] = <factory>)", "(a: AnyArray = ...)"),
        ("Sequence[TypeAliasForwardRef('IntArray')]", "Sequence[IntArray]"),
        ("numpy.dtype[numpy.uint8]", "numpy.dtype[numpy.uint8]"),
        (None, None),
    ],
)  # fmt: skip
def test_signatures_name_arrays_as_the_code_does(text: str | None, short: str | None, monkeypatch: pytest.MonkeyPatch):
    assert module("_docstrings", monkeypatch).shortened(text) == short
