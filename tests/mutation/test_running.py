"""A mutant is tried in a copy: killed by a test that fails, alive where none does, and the tree stays as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.__main__ import Session, holds
from tests.mutation.drawing import ROOT, Mutant, mutants
from tests.mutation.operators import Edit
from tests.mutation.reporting import report, tally
from tests.mutation.running import SUPERVISOR, BaselineError, Copy, hashes, in_order, own_tests

SOURCE = """
def larger(a, b):
    return a if a > b else b


def endless(n):
    while n > 0:
        n -= 1
    return n


def unseen(a):
    return a + 1
"""
KERNEL = """
from mischance.api.kernels import kernel

@kernel
def inner(x: float) -> float:
    return x + 1.0

@kernel
def outer(x: float) -> float:
    return inner(x)
"""
OF_KERNEL = """
from mischance.api.compiled import outer

def test_outer():
    assert outer(1.0) == 2.0
"""
# A command that ends at once and leaves a process behind: in a session of its own, nobody's child, 0.4 s of CPU.
LEAVES = """
import os, sys, time
end, begin = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while time.process_time() < 0.4:
            pass
        os.write(begin, str(os.getpid()).encode())
        time.sleep(600)
    os._exit(0)
os.wait()
print(os.read(end, 20).decode())
"""
TESTS = """
import mischance
from mischance.api.small import endless, larger
from mischance.simulators import fleet_dispatch

TREE = __file__.partition("/tests/")[0]

def test_it_is_the_copy_that_is_tested():
    assert mischance.__file__ == f"{TREE}/mischance/__init__.py"
    assert fleet_dispatch.__file__ == f"{TREE}/simulators/fleet_dispatch.py"

def test_larger():
    assert larger(1, 2) == 2

def test_endless():
    assert endless(3) == 0
"""
NAME = "mischance/api/small.py"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the tree with one more module and its tests, and what its tests usually take."""
    if not (ROOT / ".git").exists():
        pytest.skip("a copy holds what version control knows of")
    made = Copy(tmp_path_factory.mktemp("scratch") / "copy")
    (made.tree / NAME).write_text(SOURCE)
    (made.tree / "tests" / "test_small.py").write_text(TESTS)
    return made, made.baseline(["tests/test_small.py"])


def mutant(copy, within, operator):
    """Return the first mutant of that kind of that function."""
    found = [one for own in mutants([NAME], root=copy.tree) for one in own]
    return next(one for one in found if one.within == within and one.edit.operator == operator)


def test_what_a_test_sees_is_killed_and_what_none_sees_survives(copy):
    made, usual = copy
    killed = made.attempt(mutant(made, "larger", "boolean"), ["tests/test_small.py"], usual)
    assert (killed.result, killed.test) == ("killed", "tests/test_small.py::test_larger")
    assert made.attempt(mutant(made, "unseen", "sign"), ["tests/test_small.py"], usual).result == "survived"
    assert (made.tree / NAME).read_text() == SOURCE
    assert not (ROOT / NAME).exists()


@pytest.mark.slow
def test_one_that_never_ends_is_stopped_by_its_cpu_time(copy, monkeypatch):
    made, usual = copy
    monkeypatch.setattr("tests.mutation.running.SPARE", 2.0)
    found = made.attempt(mutant(made, "endless", "sign"), ["tests/test_small.py"], usual)
    assert found.result == "timeout"
    assert usual.cpu + 2 < found.cpu < usual.cpu + 4


@pytest.mark.slow
def test_a_changed_kernel_is_compiled_and_leaves_nothing_to_the_next(copy):
    """The change is in a kernel that the cached one calls: it is seen at once, and the original is found again."""
    made, _ = copy
    tests, name = ["tests/test_compiled.py"], "mischance/api/compiled.py"
    (made.tree / name).write_text(KERNEL)
    (made.tree / tests[0]).write_text(OF_KERNEL)
    usual = made.baseline(tests)
    kept = {file.name: file.read_bytes() for file in made.kernels.glob("*.kernel")}
    assert any("outer" in file for file in kept)
    changes = [one for own in mutants([name], root=made.tree) for one in own if one.within == "inner"]
    assert {one.edit.operator for one in changes} == {"sign", "constant"}
    assert [made.attempt(one, tests, usual).result for one in changes] == ["killed", "killed"]
    assert {file.name: file.read_bytes() for file in made.kernels.glob("*.kernel")} == kept
    assert made.baseline(tests).result == "survived"


def test_the_time_of_a_process_that_nobody_waited_for_counts_and_none_is_left_behind(tmp_path):
    result = tmp_path / "result.json"
    command = [sys.executable, "-I", str(SUPERVISOR), str(result), "60", "60", sys.executable, "-c", LEAVES]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(result.read_text())
    assert found["code"] == 0
    assert found["cpu"] >= 0.4
    assert not Path(f"/proc/{said.strip()}").exists()


@pytest.mark.slow
def test_tests_that_fail_without_a_mutant_are_an_error(copy):
    made, _ = copy
    (made.tree / "tests" / "test_wrong.py").write_text("def test_wrong():\n    assert False\n")
    with pytest.raises(BaselineError, match="test_wrong"):
        made.baseline(["tests/test_wrong.py"])


def invented(number):
    """Return a mutant of this file that is never tried."""
    return Mutant("a", "tests/mutation/__init__.py", number, "f", f"x{number}", Edit("sign", 0, 0, ""), "y", 0)


def test_a_verdict_holds_while_what_it_came_from_stays_as_it_is(tmp_path):
    """A survivor's: the source and all of its tests. A killed one's: the source and the test that killed it."""
    one, tests = invented(1), ["tests/mutation/test_operators.py", "tests/mutation/test_drawing.py"]
    same, other = hashes([one.path, *tests]), hashes([one.path, tests[0]]) | {tests[1]: "0"}
    killed = {"test": f"{tests[0]}::test_x"}
    assert holds({"test": "", "hashes": same}, one, tests)
    assert not holds({"test": "", "hashes": other}, one, tests)
    assert not holds({"test": "", "hashes": same}, one, [*tests, "tests/mutation/test_running.py"])
    assert holds(killed | {"hashes": hashes([one.path, tests[0]])}, one, [*tests, "tests/mutation/test_running.py"])
    assert not holds(killed | {"hashes": hashes([one.path]) | {tests[0]: "0"}}, one, tests)
    assert not holds(killed | {"hashes": hashes([tests[0]]) | {one.path: "0"}}, one, tests)
    # the only mutant is known: nothing is copied, nothing tried
    results = tmp_path / "results.jsonl"
    entry = {"mutant": one.name, "result": "killed", "test": "", "hashes": hashes([one.path])}
    results.write_text(json.dumps({"mutant": one.name, "fingerprint": "of an older form"}) + "\n" + json.dumps(entry))
    session = Session(results, 2, 0.0)
    assert session.attempt_all([Mutant("a", "tests/mutation/__init__.py", 1, "f", "x1", one.edit, "y", 0)])
    assert session.used == 0.0


def test_the_tests_of_a_source_are_run_its_own_first_then_the_fast_ones():
    seconds = {"tests/a/test_slow.py": 9.0, "tests/a/test_fast.py": 0.2, "tests/a/test_kernel_and_more.py": 30.0}
    found = in_order([*seconds, "tests/a/test_new.py"], "simulators/road/kernel.py", seconds)
    assert [Path(file).stem for file in found] == ["test_kernel_and_more", "test_new", "test_fast", "test_slow"]


def test_the_tests_that_play_a_source_from_elsewhere_are_its_tests_too():
    of_road, of_driving = own_tests("simulators/road/kernel.py"), own_tests("mischance/driving/braking.py")
    assert {"tests/agents/test_reference_drivers.py", "tests/driving/test_encounters.py"} <= set(of_road)
    assert {"tests/simulators/test_road.py", "tests/simulators/test_outlines.py"} <= set(of_road)
    assert not any("quadrotor" in name for name in of_road)
    assert {"tests/driving/test_laws.py", "tests/agents/test_agents.py"} <= set(of_driving)
    assert not any("road" in name for name in of_driving)


def test_the_table_counts_each_mutant_once_and_names_the_weakest_files():
    sample = [invented(n) for n in range(6)]
    results = ["killed", "timeout", "survived", "survived", "killed"]
    verdicts = {one.name: {"result": result, "test": "t.py::t"} for one, result in zip(sample, results, strict=False)}
    equal = {sample[3].name: "both are zero", sample[4].name: "so it seemed"}
    lines = report(sample, verdicts, equal).splitlines()
    assert [line.rpartition("  |  ")[2] for line in lines[:6]] == [
        "killed by t.py::t", "killed by t.py::t", "survived", "equivalent: both are zero",
        "killed by t.py::t (yet it is said to be equivalent)", "not tried",
    ]  # fmt: skip
    assert lines[2].startswith(f"{sample[2].name}  a  tests/mutation/__init__.py:2  sign  x2  ->  y")
    assert lines[8].split() == ["a", "6", "3", "1", "1", "1"]
    assert lines[9].split() == ["all", "6", "3", "1", "1", "1"]
    assert lines[-1] == "killed 3 of 5; weakest files: tests/mutation/__init__.py (1 of 5)"
    assert tally(sample, verdicts, equal) == (3, 5)
