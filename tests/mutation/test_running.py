"""A mutant is tried in a copy: killed by a test that fails, alive where none does, and the tree stays as it is."""

from __future__ import annotations

import pytest

from tests.mutation.__main__ import attempt_all, report
from tests.mutation.drawing import ROOT, Mutant, mutants
from tests.mutation.operators import Edit
from tests.mutation.running import BaselineError, Copy, fingerprint

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
    monkeypatch.setattr("tests.mutation.running.SPARE", 0.5)
    found = made.attempt(mutant(made, "endless", "sign"), ["tests/test_small.py"], usual)
    assert found.result == "timeout"
    assert found.cpu < 4 * usual.cpu + 3


@pytest.mark.slow
def test_tests_that_fail_without_a_mutant_are_an_error(copy):
    made, _ = copy
    (made.tree / "tests" / "test_wrong.py").write_text("def test_wrong():\n    assert False\n")
    with pytest.raises(BaselineError, match="test_wrong"):
        made.baseline(["tests/test_wrong.py"])


def invented(number):
    """Return a mutant of this file that is never tried."""
    return Mutant("a", "tests/mutation/__init__.py", number, "f", f"x{number}", Edit("sign", 0, 0, ""), "y", 0)


def test_verdicts_are_kept_while_file_and_tests_stay_as_they_are(tmp_path):
    one = invented(1)
    results = tmp_path / "results.jsonl"
    line = '{"mutant": "%s", "fingerprint": "%s", "result": "killed", "test": "", "cpu": 1, "wall": 1}\n'
    tests = []
    results.write_text(line % (one.name, fingerprint(one, tests)))
    assert fingerprint(one, tests) != fingerprint(one, ["tests/mutation/test_running.py"])
    # the only mutant is known: nothing is copied, nothing tried
    assert attempt_all([one], results, 0.0)[one.name]["result"] == "killed"


def test_the_table_counts_each_mutant_once_and_names_the_weakest_files():
    sample = [invented(n) for n in range(5)]
    results = ["killed", "timeout", "survived", "survived"]
    verdicts = {one.name: {"result": result} for one, result in zip(sample, results, strict=False)}
    lines = report(sample, verdicts, {sample[3].name: "both are zero"}).splitlines()
    assert lines[1].split() == ["a", "5", "2", "1", "1", "1"]
    assert lines[2].split() == ["all", "5", "2", "1", "1", "1"]
    assert sample[2].name in lines[4]
    assert lines[-1] == "weakest: tests/mutation/__init__.py (1 of 4)"
