"""Mutation operators: the small wrong changes that can be made to a statement of Python, as edits of its text.

Why our own and not a library (looked at: mutmut 3.3, cosmic-ray 8.4): the mutants asked for are a sample drawn by seed
from all statements of three areas, each tried with the tests of its own folder. mutmut puts all variants of a function
behind a dispatcher that numba cannot compile, and both try every mutant of a package with one command; neither has the
operators clamp, index and deletion of a statement. The operators themselves are a page over `ast`.

An edit replaces a span of the source, so that all other text stays as it is, byte by byte.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

OPERATORS = ("sign", "comparison", "boolean", "constant", "clamp", "deletion", "index")


@dataclass(frozen=True, slots=True)
class Edit:
    """A replacement of the bytes `start:end` of a source file."""

    operator: str
    start: int
    end: int
    text: str

    def applied(self, source: bytes) -> bytes:
        """Return the source after the edit."""
        return source[: self.start] + self.text.encode() + source[self.end :]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of a file: where it begins, in which function or class, and the edits that can be made to it.

    A statement with a body counts by its head: the test of an `if`, the defaults of a `def`.
    """

    line: int
    within: str
    text: str
    edits: tuple[Edit, ...]


def statements(source: bytes) -> list[Statement]:
    """Return the statements of a file that a mutation can change, in order.

    Left out: imports, docstrings, annotations, decorators, texts, what is under TYPE_CHECKING, and the deletion of a
    name's only assignment (whatever test runs it fails).
    """
    places = _Places(source)
    found = []
    for node, within, bound in _walk(ast.parse(source).body, "", None):
        edits = tuple(_edits(node, places, bound))
        if edits:
            start, end = places.span(node)
            head = source[start:end].decode().partition("\n")[0].strip()
            found.append(Statement(node.lineno, within, head, edits))
    return found


class _Places:
    """Byte offsets of the nodes of a source."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Return the first byte of a node and the one after its last."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._lines[node.lineno - 1] + node.col_offset
        return start, self._lines[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.expr) -> str:
        """Return a node's text."""
        start, end = self.span(node)
        return self.source[start:end].decode()


def _walk(
    body: list[ast.stmt], within: str, bound: Counter[str] | None
) -> Iterator[tuple[ast.stmt, str, Counter[str] | None]]:
    """Yield each statement, the name of what it stands in, and how often its function binds each name (None: none)."""
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node, within, bound
        name, own = within, bound
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name, own = f"{within}.{node.name}".lstrip("."), _bound(node)
        elif isinstance(node, ast.ClassDef):
            name, own = f"{within}.{node.name}".lstrip("."), None
        for field in ("body", "orelse", "finalbody"):
            yield from _walk(getattr(node, field, []), name, own)
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from _walk(part.body, name, own)


def _bound(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Counter[str]:
    """Return how often a function binds each of its names, as a parameter or by assignment."""
    names = [node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return Counter([*names, *(node.arg for node in ast.walk(function) if isinstance(node, ast.arg))])


def _edits(node: ast.stmt, places: _Places, bound: Counter[str] | None) -> Iterator[Edit]:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal | ast.Pass | ast.ClassDef):
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # a docstring, or `...`
        return
    seen = set()
    for edit in [*_of_statement(node, places, bound), *(e for own in _own(node) for e in _of_expression(own, places))]:
        if (edit.start, edit.end, edit.text) not in seen:
            seen.add((edit.start, edit.end, edit.text))
            yield edit


def _of_statement(node: ast.stmt, places: _Places, bound: Counter[str] | None) -> Iterator[Edit]:
    start, end = places.span(node)
    if bound is not None and _removable(node, bound):
        yield Edit("deletion", start, end, "pass")
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add | ast.Sub):
        other = "-=" if isinstance(node.op, ast.Add) else "+="
        yield Edit("sign", start, end, f"{places.text(node.target)} {other} ({places.text(node.value)})")
    if isinstance(node, ast.If | ast.While) and not isinstance(node.test, ast.Constant):
        first, last = places.span(node.test)
        yield Edit("boolean", first, last, f"(not ({places.text(node.test)}))")


def _removable(node: ast.stmt, bound: Counter[str]) -> bool:
    """Say whether a statement of a function can be left out, and would be missed for what it does."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
        plain = all(isinstance(part, ast.Name | ast.Tuple) for part in targets)
        return node.value is not None and (not plain or any(bound[name] > 1 for name in names))
    return isinstance(node, ast.AugAssign | ast.Expr | ast.Raise | ast.Continue | ast.Break | ast.Delete)


def _own(node: ast.stmt) -> list[ast.expr]:
    """Return the expressions of a statement itself, without its body, annotations and decorators."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [*node.args.defaults, *(default for default in node.args.kw_defaults if default is not None)]
        case ast.If() | ast.While() | ast.Assert():
            return [node.test]
        case ast.For():
            return [node.iter]
        case ast.With():
            return [item.context_expr for item in node.items]
        case ast.Assign():
            return [*node.targets, node.value]
        case ast.AugAssign():
            return [node.target, node.value]
        case ast.AnnAssign() | ast.Return():
            return [node.value] if node.value is not None else []
        case ast.Expr():
            return [node.value]
        case ast.Match():
            return [node.subject]
        case ast.Raise():
            return [node.exc] if node.exc is not None else []
        case ast.Delete():
            return node.targets
    return []


# -- expressions ------------------------------------------------------------------------------------------------------

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
_SWAPPED = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "fmin": "fmax", "fmax": "fmin"}
_CLAMPS = {*_SWAPPED, "clip"}


def _of_expression(root: ast.expr, places: _Places) -> Iterator[Edit]:
    """Yield the edits of an expression and of those inside it."""
    for node in _inside(root):
        for operator, changed in _changes(node):
            yield Edit(operator, *places.span(node), f"({ast.unparse(changed)})")
        if isinstance(node, ast.Subscript):
            for part in _indices(node.slice):
                number = _whole(part)
                text = f"({places.text(part)}) + 1" if number is None else str(number + 1)
                yield Edit("index", *places.span(part), text)


def _inside(node: ast.expr) -> Iterator[ast.expr]:
    """Yield an expression and those inside it, but for formatted texts (their places are not known) and indices."""
    if isinstance(node, ast.JoinedStr):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.Subscript) and child is node.slice and _whole(node.slice) is not None:
            continue  # changed as an index, not as a constant
        if isinstance(child, ast.expr):
            yield from _inside(child)
        elif isinstance(child, ast.keyword):
            yield from _inside(child.value)
        elif isinstance(child, ast.comprehension):
            for part in (child.iter, *child.ifs):
                yield from _inside(part)


def _indices(index: ast.expr) -> Iterator[ast.expr]:
    """Yield the whole numbers of an index, and the ends of its slices."""
    for part in index.elts if isinstance(index, ast.Tuple) else [index]:
        if isinstance(part, ast.Slice):
            yield from (end for end in (part.lower, part.upper) if end is not None)
        elif _whole(part) is not None:
            yield part


def _whole(node: ast.expr) -> int | None:
    """Return the value of a whole number as it stands in the source, with its sign; None: it is none."""
    minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    inner = node.operand if isinstance(node, ast.UnaryOp) and minus else node
    if isinstance(inner, ast.Constant) and type(inner.value) is int:
        return -inner.value if minus else inner.value
    return None


def _changes(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Yield each operator that applies to this very node, and the node after it."""
    match node:
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            yield "sign", _with(node, op=ast.Sub() if isinstance(node.op, ast.Add) else ast.Add())
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
            yield "boolean", _with(node, op=ast.BitOr() if isinstance(node.op, ast.BitAnd) else ast.BitAnd())
        case ast.UnaryOp(op=ast.USub()):
            yield "sign", node.operand
        case ast.UnaryOp(op=ast.Not() | ast.Invert()):
            yield "boolean", node.operand
        case ast.BoolOp():
            yield "boolean", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.IfExp():
            yield "boolean", _with(node, body=node.orelse, orelse=node.body)
        case ast.Compare():
            for place, op in enumerate(node.ops):
                for other in _COMPARED[type(op)]:
                    yield "comparison", _with(node, ops=[*node.ops[:place], other(), *node.ops[place + 1 :]])
        case ast.Constant(value=bool()):
            yield "boolean", ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield "constant", ast.Constant(node.value + 1)
        case ast.Constant(value=float()):
            yield "constant", ast.Constant(node.value * 1.5 if node.value else 1.0)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _CLAMPS:
            yield from _unclamped(node, name)


def _unclamped(node: ast.Call, name: str) -> Iterator[tuple[str, ast.expr]]:
    if name in _SWAPPED:
        func = copy.copy(node.func)
        if isinstance(func, ast.Name):
            func.id = _SWAPPED[name]
        elif isinstance(func, ast.Attribute):
            func.attr = _SWAPPED[name]
        yield "clamp", _with(node, func=func)
    least = 3 if name == "clip" else 2
    if len(node.args) >= least and not any(isinstance(part, ast.Starred) for part in node.args):
        yield "clamp", node.args[0]


def _with(node: ast.expr, **changes: object) -> ast.expr:
    new = copy.copy(node)
    for name, value in changes.items():
        setattr(new, name, value)
    return new
