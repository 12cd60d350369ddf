"""The user's files behind a scenario: where each stands in a dataset, which two cannot, what was read and not kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mischance.errors import MischanceError
from mischance.language.inputs import FOLDER, loaded_from, packages_of, roots_of, unkept, with_inputs
from tests.support import PLUGINS, wander


def test_files_that_are_given_stand_where_they_stand_from_the_agent(tmp_path: Path):
    scenario = wander()
    root = Path(roots_of(scenario.files)[0])
    assert root == PLUGINS
    elsewhere = tmp_path / "weights.bin"
    elsewhere.write_bytes(b"\x00")
    kept = with_inputs(scenario, [elsewhere, root / "cascade.yaml"])
    assert kept.files[f"{FOLDER}/weights.bin"] == elsewhere
    assert kept.files[f"{FOLDER}/cascade.yaml"] == root / "cascade.yaml"
    assert set(scenario.files) < set(kept.files)
    with pytest.raises(MischanceError, match="there is no file"):
        with_inputs(scenario, [tmp_path / "none"])
    with pytest.raises(MischanceError, match="there is no file"):
        with_inputs(scenario, [tmp_path])
    other = tmp_path / "deep" / "weights.bin"
    other.parent.mkdir()
    other.write_bytes(b"\x01")
    with pytest.raises(MischanceError, match=f"would both stand at {FOLDER}/weights.bin in a dataset"):
        with_inputs(scenario, [elsewhere, other])
    assert with_inputs(scenario, [elsewhere, elsewhere]).files == with_inputs(scenario, [elsewhere]).files


def test_files_that_a_plug_in_needs_are_kept_unless_they_are_drawn(tmp_path: Path):
    program = tmp_path / "driver.bin"
    program.write_bytes(b"\x00")
    scenario = wander()
    world = replace(scenario.simulator, declared=replace(scenario.simulator.declared, files=lambda settings: [program]))
    drawn = replace(world, drawn=frozenset({"noise"}))
    assert f"{FOLDER}/driver.bin" not in with_inputs(replace(scenario, simulator=drawn)).files
    fixed = replace(world, drawn=frozenset[str]())
    assert with_inputs(replace(scenario, simulator=fixed)).files[f"{FOLDER}/driver.bin"] == program


def test_roots_are_the_folders_of_code_each_once():
    files = {"a": Path("/x/a.py"), "b": Path("/x/b.py"), "c": Path("/y/c.csv"), "d": Path("/w/d.py")}
    assert roots_of(files) == ("/w", "/x")


def test_what_was_read_and_is_not_kept_is_told_once():
    files = {"inputs/a": Path("/x/a")}
    assert unkept(["/x/b", "/x/a", "/x/b", "/x/../x/a"], files) == (Path("/x/b"),)
    assert unkept([], files) == ()


class Code:
    """Stands for the user's code behind a plug-in."""

    def __init__(self, files: dict[str, Path], opened: set[str], module: str = "") -> None:
        self.files, self.opened, self.module = files, opened, module


def scenario_of(*codes: Any) -> Any:
    class Scenario:
        def plugins(self) -> list[Any]:
            return [type("Plugin", (), {"code": code})() for code in codes]

    return Scenario()


def test_modules_and_files_of_the_user_alone_are_told_and_none_of_the_dataset(tmp_path: Path):
    kept, other = tmp_path / "kept", tmp_path / "other"
    for folder in (kept, other / "pkg"):
        folder.mkdir(parents=True)
        (folder / "m.py").write_text(f"# {folder.name}\n")
    (other / "pkg/__init__.py").write_text("")
    (other / "gains.csv").write_text("1")
    (kept / "old.csv").write_text("1")
    opened = {str(other / "gains.csv"), str(kept / "old.csv"), "/etc/hostname", str(other / "gone.csv"), str(other)}
    code = Code(
        {
            "pkg.m": other / "pkg/m.py",
            "pkg": other / "pkg/__init__.py",
            "m": kept / "m.py",
            "json": Path(__import__("json").__file__),
        },
        opened,
    )
    found = loaded_from(scenario_of(code, None), [kept])
    assert {place: text.decode() for place, text in found.sources.items()} == {
        "pkg/m.py": "# pkg\n",
        "pkg/__init__.py": "",
    }
    assert found.opened == (str(other / "gains.csv"),)


def test_packages_of_plug_ins_are_told_with_their_versions():
    import numpy as np

    found = packages_of(
        scenario_of(Code({}, set(), "numpy.linalg"), Code({}, set(), ""), None, Code({}, set(), "no_such_package"))
    )
    assert found == {"numpy": np.__version__}
