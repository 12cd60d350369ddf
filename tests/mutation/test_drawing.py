"""The sample: drawn by seed, the same in every process, from all statements, untouched by changes elsewhere."""

from __future__ import annotations

from collections import Counter

import pytest
import yaml

from tests.mutation.drawing import AREAS, MOST_EQUIVALENTS, drawn, equivalents, files, mutants
from tests.mutation.running import own_tests

LINES = "".join(f"    a[{n}] = a[{n}] + b\n" for n in range(40))


@pytest.fixture
def tree(tmp_path):
    """One area of two files of forty statements each."""
    (tmp_path / "src").mkdir()
    for name in ("one", "two"):
        (tmp_path / "src" / f"{name}.py").write_text(f"def f(a, b):\n{LINES}")
    return tmp_path


def test_a_sample_is_a_sample_of_statements_without_repetition(tree):
    found = drawn("x", ["src"], 30, 7, tree)
    assert len({(one.path, one.line) for one in found}) == len(found) == 30
    assert {one.path for one in found} == {"src/one.py", "src/two.py"}
    assert len({one.name for one in found}) == 30


def test_a_sample_depends_on_the_seed_alone_and_a_larger_one_goes_on_where_a_smaller_ends(tree):
    names = [one.name for one in drawn("x", ["src"], 30, 7, tree)]
    assert [one.name for one in drawn("x", ["src"], 12, 7, tree)] == names[:12]
    assert len(set(names) & {one.name for one in drawn("x", ["src"], 30, 8, tree)}) < 25
    assert len(drawn("x", ["src"], 1000, 7, tree)) == 80


def test_for_one_that_is_equal_to_the_original_the_next_is_drawn_too(tree):
    names = [one.name for one in drawn("x", ["src"], 12, 7, tree)]
    found = [one.name for one in drawn("x", ["src"], 10, 7, tree, equal={names[2], names[5], "another"})]
    assert found == names


def test_a_change_elsewhere_leaves_the_sample_and_its_names(tree):
    before = {one.name for one in drawn("x", ["src"], 60, 7, tree) if one.path == "src/one.py"}
    (tree / "src" / "two.py").write_text("def g(a):\n    return a\n")
    (tree / "src" / "one.py").write_text(f"import math\n\n\ndef f(a, b):\n{LINES}")
    assert before <= {one.name for one in drawn("x", ["src"], 60, 7, tree)}


def test_every_statement_has_the_same_chance(tree):
    """Over 200 seeds each of 80 statements is drawn 200 * 20 / 80 = 50 times, within 4.5 standard deviations."""
    counts = Counter((one.path, one.line) for seed in range(200) for one in drawn("x", ["src"], 20, seed, tree))
    assert len(counts) == 80
    assert max(abs(count - 50) for count in counts.values()) < 4.5 * (200 * 0.25 * 0.75) ** 0.5


def test_each_operator_of_a_statement_is_drawn_about_as_often(tree):
    found = Counter(one.edit.operator for seed in range(50) for one in drawn("x", ["src"], 20, seed, tree))
    assert set(found) == {"sign", "deletion", "index"}
    assert all(abs(count - 1000 / 3) < 4.5 * (1000 * 2 / 9) ** 0.5 for count in found.values())


def test_equal_statements_of_one_function_have_names_of_their_own(tmp_path):
    (tmp_path / "a.py").write_text("def f(a):\n    a.b = 1\n    a.b = 1\n")
    names = [one.name for own in mutants(["a.py"], root=tmp_path) for one in own]
    assert len(set(names)) == len(names) == 4


def test_every_file_of_an_area_has_tests_of_its_folder():
    for folders in AREAS.values():
        assert files(folders)
    lacking = {path.rpartition("/")[0] for area in AREAS.values() for path in files(area) if not own_tests(path)}
    assert lacking <= {"mischance/estimate"}, "nothing can kill a mutant there"
    assert "tests/play/test_twins.py" in own_tests("mischance/play/twins.py")


def test_an_equivalent_mutant_needs_a_reason_and_there_are_few(tmp_path):
    assert len(equivalents()) <= MOST_EQUIVALENTS
    path = tmp_path / "equivalents.yaml"
    path.write_text(yaml.safe_dump([{"mutant": "a", "why": "  "}]))
    with pytest.raises(ValueError, match="a proof"):
        equivalents(path)
    path.write_text(yaml.safe_dump([{"mutant": str(n), "why": "both are zero"} for n in range(6)]))
    with pytest.raises(ValueError, match="at most 5"):
        equivalents(path)
