"""`mischance doctor`: it offers the extras that the code imports something of, and no others."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest

from mischance.cli import doctor

ROOT = Path(__file__).resolve().parents[2]
COME_ALONG = ("llvmlite", "pydantic_core")  # with numba and pydantic, in the versions that these want
OURS = ("mischance", "simulators", "sensors", "renderers")


def imports() -> dict[str, set[str]]:
    """Return the first words of all modules that our code imports, with the files that do, by Python's own parser."""
    found: dict[str, set[str]] = {}
    for path in (path for folder in OURS for path in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(str(path.relative_to(ROOT)))
    return found


def test_an_extra_is_offered_if_and_only_if_code_imports_something_of_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    modules = {package: module for module, package in doctor.NAMES.items()}
    used = imports()
    wanted = {}
    for extra, lines in project["optional-dependencies"].items():
        own = [line.partition(">")[0] for line in lines]
        own = [modules.get(package, package.replace("-", "_")) for package in own]
        if extra not in doctor.DEVELOPERS and (some := tuple(sorted(set(own) & set(used)))):
            wanted[extra] = some
    assert doctor.extras() == wanted
    assert "gym" in wanted
    assert set(wanted) <= set(doctor.ABOUT), "each is said in words"


def test_every_foreign_module_that_code_imports_is_of_the_core_or_of_an_extra():
    offered = {module for modules in doctor.extras().values() for module in modules}
    known = {*doctor.CORE, *offered, *sys.stdlib_module_names, "mischance", *COME_ALONG}
    odd = {name: sorted(files)[:2] for name, files in imports().items() if name not in known}
    assert odd == {}


def test_an_extra_that_nothing_imports_is_not_offered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "imported", lambda: frozenset({"mcap"}))
    assert doctor.extras() == {"robotics": ("mcap",)}
