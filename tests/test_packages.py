"""What is installed is what stands in the tree: no package and no scenario is forgotten."""

from __future__ import annotations

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

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


# -- constraints.txt: the versions that the tests passed with ----------------------------------------------------------


def locked() -> dict[str, Version]:
    """Return package -> version of constraints.txt."""
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    wanted = [Requirement(line) for line in lines]
    found = {canonicalize_name(one.name): Version(str(one.specifier).removeprefix("==")) for one in wanted}
    assert all(str(one.specifier).startswith("==") and one.url is None and not one.extras for one in wanted)
    assert len(found) == len(lines), "a package occurs twice"
    return found


def test_the_locked_versions_are_those_that_pyproject_allows():
    project, versions = SETTINGS["project"], locked()
    wanted = [
        *project["dependencies"],
        *(line for extra in ("dev", "docs") for line in project["optional-dependencies"][extra]),
    ]
    for line in (*wanted, *SETTINGS["build-system"]["requires"]):
        one = Requirement(line)
        assert canonicalize_name(one.name) in versions, (
            f"constraints.txt lacks {one.name}: `make relock`, or add a line"
        )
        assert versions[canonicalize_name(one.name)] in one.specifier, line


def test_everything_that_is_installed_for_us_is_locked():
    """Whatever pip brought along for the core and for its tests has a line, so that a fresh machine gets the same."""
    versions, missing = locked(), {}
    stack = [("mischance", frozenset({"dev", "docs"}))]
    seen = set(stack)
    while stack:
        name, extras = stack.pop()
        try:
            requires = distribution(name).requires or ()
        except PackageNotFoundError:
            continue  # an environment that is older than pyproject.toml; the package itself has its line
        for line in requires:
            one = Requirement(line)
            if one.marker and not any(one.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
                continue
            inner = (canonicalize_name(one.name), frozenset(one.extras))
            if inner[0] not in versions:
                missing[inner[0]] = f"{inner[0]}=={distribution(inner[0]).version}"
            elif inner not in seen:
                seen.add(inner)
                stack.append(inner)
    assert len(seen) > 50
    assert not missing, f"add to constraints.txt, or `make relock`: {sorted(missing.values())}"


def test_make_installs_what_is_locked():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installs = [line for line in makefile.splitlines() if "pip install" in line or "$(PIP) install" in line]
    assert len(installs) >= 4
    assert all("$(LOCK)" in line for line in installs if "$(PIP)" in line)
    assert re.search(r"^LOCK := -c constraints\.txt$", makefile, re.MULTILINE)


@pytest.fixture(scope="module")
def drift() -> ModuleType:
    spec = spec_from_file_location("drift", ROOT / ".ci" / "drift.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_drift_names_packages_and_tests(drift: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    old, new, log = (tmp_path / name for name in ("constraints.txt", "installed.txt", "log"))
    old.write_text("# made by hand\nNumPy==2.1.0\npy_yaml==6.0\npybullet==3.2.7\n")
    new.write_text("numpy==2.2.0\npy-yaml==6.0\nadded==1.0\npip==99\nmischance==0.1.0\n")
    log.write_text(
        "..F\nFAILED tests/a.py::test_b[c d] - AssertionError: 1 - 2\nERROR tests/e.py\n1 failed, 2 passed in 3s\n"
    )
    assert drift.main([str(old), str(new)]) == 0
    assert drift.main([str(old), str(new), str(log)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "newer than constraints.txt: added none→1.0, numpy 2.1.0→2.2.0",
        "DRIFT: added none→1.0, numpy 2.1.0→2.2.0: tests/a.py::test_b[c d], tests/e.py",
    ]


def test_no_drift_is_not_called_one(drift: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    versions, log = tmp_path / "versions.txt", tmp_path / "log"
    versions.write_text("numpy==2.1.0\n")
    assert drift.main([str(versions), str(versions)]) == 1
    log.write_text("....\n4 passed in 3.1s\n")
    assert drift.main([str(versions), str(versions), str(log)]) == 0
    assert "DRIFT" not in capsys.readouterr().out
    log.write_text("make: *** Killed\n")
    drift.main([str(versions), str(versions), str(log)])
    assert "DRIFT: : pytest did not finish: make: *** Killed" in capsys.readouterr().out
    log.write_text("ERROR: No matching distribution found for numpy\n")
    drift.main([str(versions), "--not-installed", str(log)])
    assert "DRIFT: the newest versions cannot be installed: ERROR: No matching" in capsys.readouterr().out


# -- the source archive ------------------------------------------------------------------------------------------------


def test_the_source_archive_holds_what_the_tests_need():
    """Everything that git keeps is in the sdist, but for what says how git itself works."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    rules = (ROOT / "MANIFEST.in").read_text(encoding="utf-8")
    included = {name for line in re.findall(r"^include (.*)$", rules, re.MULTILINE) for name in line.split()}
    grafted = set(re.findall(r"^graft (\S+)$", rules, re.MULTILINE))
    packaged = {"mischance", *MAPPED.values(), "pyproject.toml"}
    left_out = {
        name
        for name in done.stdout.splitlines()
        if name not in included and name.partition("/")[0] not in grafted | packaged and name != ".gitignore"
    }
    assert not left_out - {"MANIFEST.in"}, f"add to MANIFEST.in: {sorted(left_out)}"
