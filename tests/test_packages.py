"""What is installed is what stands in the tree: no package and no scenario is forgotten."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = SETTINGS["tool"]["setuptools"]
MAPPED: dict[str, str] = SETUPTOOLS["package-dir"]


def folder_of(package: str) -> Path:
    """Return where a package lies: the longest mapped name decides, as in setuptools."""
    parts = package.split(".")
    for size in range(len(parts), 0, -1):
        head = ".".join(parts[:size])
        if head in MAPPED:
            return ROOT.joinpath(MAPPED[head], *parts[size:])
    return ROOT.joinpath(*parts)


def packages_in_the_tree() -> set[str]:
    roots = {"mischance": ROOT / "mischance", **{name: ROOT / folder for name, folder in MAPPED.items()}}
    found = set()
    for name, folder in roots.items():
        for init in folder.rglob("__init__.py"):
            found.add(".".join([name, *init.parent.relative_to(folder).parts]))
    return found


def test_pyproject_lists_every_package_folder():
    listed = SETUPTOOLS["packages"]
    assert len(listed) == len(set(listed))
    assert set(listed) == packages_in_the_tree()


def test_every_python_file_lies_in_a_listed_package():
    homes = {folder_of(package) for package in SETUPTOOLS["packages"]}
    strays = [
        str(path.relative_to(ROOT))
        for home in (ROOT / "mischance", *(ROOT / folder for folder in MAPPED.values()))
        for path in home.rglob("*.py")
        if path.parent not in homes
    ]
    assert not strays, f"a folder without __init__.py is not installed: {strays}"


@pytest.mark.parametrize("package", SETUPTOOLS["packages"])
def test_every_data_file_is_package_data(package: str):
    home = folder_of(package)
    inner = {folder_of(other) for other in SETUPTOOLS["packages"]} - {home}
    patterns = SETUPTOOLS["package-data"].get(package, [])
    missing = []
    for path in home.rglob("*"):
        if path.is_dir() or path.suffix in {".py", ".pyc", ".nbi", ".nbc"} or inner & set(path.parents):
            continue
        name = path.relative_to(home).as_posix()
        # setuptools' `**/` matches no folder too; its `*` stops at a slash, unlike fnmatch's
        reach = [p for p in patterns if fnmatch(name, p) or (p.startswith("**/") and fnmatch(name, p[3:]))]
        if not any(p.startswith("**/") or p.count("/") == name.count("/") for p in reach):
            missing.append(name)
    assert not missing, f"add a pattern to [tool.setuptools.package-data] for {missing}"


def test_scenarios_are_called_yaml():
    assert not list((ROOT / "scenarios").rglob("*.yml")), "the catalog looks for .yaml"


def test_the_version_is_said_once():
    import mischance

    assert mischance.__version__ == SETTINGS["project"]["version"]


def test_dependencies_have_lower_bounds_and_no_upper_ones():
    project = SETTINGS["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for line in (line for group in groups for line in group):
        wanted = line.partition(";")[0]
        assert ">=" in wanted, line
        assert not {"<", "=="} & {wanted[i : i + n] for n in (1, 2) for i in range(len(wanted))}, line
