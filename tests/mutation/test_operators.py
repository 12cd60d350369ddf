"""Each operator makes the change that it says, and no mutant is the original."""

from __future__ import annotations

import ast

import pytest

from tests.mutation.drawing import AREAS, ROOT, files
from tests.mutation.operators import OPERATORS, statements


def changed(line, operator):
    """Return what an operator makes of the only statement of a function."""
    source = f"def f(a, b, c):\n    {line}\n"
    edits = [edit for one in statements(source.encode()) for edit in one.edits if edit.operator == operator]
    lines = [edit.applied(source.encode()).decode().splitlines()[1].strip() for edit in edits]
    return {ast.unparse(ast.parse(text)) for text in lines}


@pytest.mark.parametrize(
    ("operator", "before", "after"),
    [
        ("sign", "return a + b", {"return a - b"}),
        ("sign", "return a - b * c", {"return a + b * c"}),
        ("sign", "return -a", {"return a"}),
        ("sign", "a += b - c", {"a -= b - c", "a += b + c"}),
        ("comparison", "return a < b", {"return a <= b", "return a >= b"}),
        ("comparison", "return a < b < c", {f"return a {ops} c" for ops in ("<= b <", ">= b <", "< b <=", "< b >=")}),
        ("comparison", "return a in b", {"return a not in b"}),
        ("comparison", "return a is None", {"return a is not None"}),
        ("comparison", "return [x for x in a if x != b]", {"return [x for x in a if x == b]"}),
        ("boolean", "return a and b and c", {"return a or b or c"}),
        ("boolean", "return not (a or b)", {"return a or b", "return not (a and b)"}),
        ("boolean", "return not (a < b) and c", {"return not a < b or c", "return a < b and c"}),
        ("boolean", "return ~a & b", {"return a & b", "return ~a | b"}),
        ("boolean", "return a if b else c", {"return c if b else a"}),
        ("boolean", "return f(a, b=True)", {"return f(a, b=False)"}),
        ("constant", "return 2 * a + 0.5", {"return 3 * a + 0.5", "return 2 * a + 0.75"}),
        ("constant", "return a if a > 0.0 else 'text'", {"return a if a > 1.0 else 'text'"}),
        ("clamp", "return min(a, b)", {"return max(a, b)", "return a"}),
        ("clamp", "return np.maximum(a + b, c)", {"return np.minimum(a + b, c)", "return a + b"}),
        ("clamp", "return np.clip(a, b, c)", {"return a"}),
        ("clamp", "return max(a)", {"return min(a)"}),
        ("index", "return a[0]", {"return a[1]"}),
        ("index", "return a[-1]", {"return a[0]"}),
        ("index", "return a[b, 1:c]", {"return a[b, 2:c]", "return a[b, 1:c + 1]"}),
        ("deletion", "a.b = c", {"pass"}),
        ("deletion", "a = a * b", {"pass"}),
        ("deletion", "raise a", {"pass"}),
        ("deletion", "return a", set()),
        ("deletion", "d = a", set()),  # bound once: whatever runs it fails
    ],
)  # fmt: skip
def test_an_operator_makes_its_change_and_no_other(operator, before, after):
    assert changed(before, operator) == after


def test_the_head_of_a_compound_statement_is_one_and_its_condition_can_be_reversed():
    source = b"def f(a, b=2):\n    if a > b:\n        return a\n    return b\n"
    head, condition = statements(source)
    assert (head.line, condition.line) == (1, 2)
    assert b"def f(a, b=(3)):" in head.edits[0].applied(source)
    assert any(b"if (not (a > b)):" in edit.applied(source) for edit in condition.edits)


def test_what_says_nothing_is_no_statement():
    source = (
        """'3 words'\nimport a\nfrom b import c\nif TYPE_CHECKING:\n    x = 1\nclass D:\n    'Two.'\n    e: int\n"""
    )
    assert statements(source.encode()) == []


def test_a_function_in_a_class_is_named_by_both_and_places_are_bytes():
    source = "class A:\n    def f(self):\n        return 'größer', 1\n".encode()
    (one,) = statements(source)
    assert one.within == "A.f"
    assert one.edits[0].applied(source).decode().endswith("return 'größer', (2)\n")


def test_every_mutant_of_the_areas_can_be_parsed_and_is_another_program():
    """One edit of each statement, another one each time."""
    operators = set()
    for path in files([folder for folders in AREAS.values() for folder in folders])[::8]:
        source = (ROOT / path).read_bytes()
        tree = ast.dump(ast.parse(source))
        found = statements(source)
        operators |= {edit.operator for statement in found for edit in statement.edits}
        for number, statement in enumerate(found[::9]):
            edit = statement.edits[number % len(statement.edits)]
            assert ast.dump(ast.parse(edit.applied(source))) != tree
    assert operators == set(OPERATORS)
