"""Compiler of expressions: turns the tree of a scanned expression into closures and finds its dimension."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from mischance import units
from mischance.errors import ExpressionError
from mischance.language.expressions.arithmetic import (
    BARE,
    BINARY,
    CALLS,
    COMPARE,
    Dimensions,
    larger_of,
    logical_and,
    logical_not,
    logical_or,
    negative,
    smaller_of,
    where,
)  # fmt: skip
from mischance.language.expressions.scanning import FUNCTIONS, Scanner, usage

Closure: TypeAlias = Callable[[Mapping[str, Any]], Any]


class Compiler:
    """Compiles the tree of a skeleton into closures."""

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner

    def compile(self, node: ast.AST) -> Closure:
        """Return the closure of one node.

        Raises:
            ExpressionError: the node is not on the allow-list.
        """
        match node:
            case ast.Name(id=letter) if letter in self.scanner.operands:
                return _leaf(self.scanner.operands[letter])
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _apply1(negative, self.compile(operand))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _apply1(logical_not, self.compile(operand))
            case ast.UnaryOp():
                raise self._error(node, "a sign `+` is not allowed", "leave it out")
            case ast.BinOp(op=op, left=left, right=right) if type(op) in BINARY:
                return _apply2(BINARY[type(op)], self.compile(left), self.compile(right))
            case ast.BoolOp(op=op, values=values):
                join = logical_and if isinstance(op, ast.And) else logical_or
                run = self.compile(values[0])
                for value in values[1:]:
                    run = _apply2(join, run, self.compile(value))
                return run
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in COMPARE:
                return _apply2(COMPARE[type(op)], self.compile(left), self.compile(right))
            case ast.Compare(comparators=comparators, ops=ops) if len(ops) > 1:
                raise self._error(comparators[1], "comparisons cannot be chained", "write a < b and b < c")
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
                if len(args) != FUNCTIONS[name]:
                    message = f"{name} takes {FUNCTIONS[name]} values (got {len(args)})"
                    raise self._error(node, message, f"write {usage(name)}")
                return self._call(name, [self.compile(arg) for arg in args])
        raise self._error(node, "this is not allowed in an expression", "")

    def _call(self, name: str, args: list[Closure]) -> Closure:
        if name == "clip":
            return _apply2(smaller_of, _apply2(larger_of, args[0], args[1]), args[2])
        if name == "where":
            return _apply3(where, *args)
        function = CALLS[name]
        return _apply1(function, *args) if len(args) == 1 else _apply2(function, *args)

    def dimension(self, tree: ast.expr, named: Mapping[str, str]) -> str:
        """Return the dimension of the value, '' if unknown.

        Raises:
            ExpressionError: two known dimensions that differ are compared or added.
        """
        known = {
            letter: _checked(named.get(value, "") if isinstance(value, str) else self.scanner.units.get(letter, ""))
            for letter, value in self.scanner.operands.items()
        }
        found = Dimensions(known, self._clash).of(tree)
        return "" if found == BARE else found

    def _clash(self, what: str, nodes: tuple[ast.expr, ast.expr], found: tuple[str, str]) -> ExpressionError:
        a, b = (f"{units.called(one)} ({self._text(node)})" for one, node in zip(found, nodes, strict=True))
        said = {"compare": f"compares {a} with {b}", "add": f"adds {b} to {a}", "subtract": f"subtracts {b} from {a}"}
        written = [self._is_number(node) for node in nodes]  # a number is more likely wrong than a name
        odd = 0 if written == [True, False] else 1
        hint = units.wanted(found[1 - odd]).replace("expected", "write") if written[odd] else ""
        return self._error(nodes[odd], said.get(what, f"{what} mixes {a} with {b}"), hint)

    def _is_number(self, node: ast.expr) -> bool:
        inner = node.operand if isinstance(node, ast.UnaryOp) else node
        return isinstance(inner, ast.Name) and inner.id in self.scanner.units

    def _text(self, node: ast.expr) -> str:
        """Return the text of a node, at most 40 characters."""
        end = self._characters(node.end_col_offset or 0)
        end = self.scanner.ends.get(self.scanner.skeleton[end - 1], end)
        text = " ".join(self.scanner.text[self._characters(node.col_offset) : end].split())
        return text if len(text) <= 40 else text[:39] + "…"

    def _characters(self, offset: int) -> int:
        return len(self.scanner.skeleton.encode()[:offset].decode(errors="ignore"))

    def _error(self, node: ast.AST, message: str, hint: str) -> ExpressionError:
        return ExpressionError(message, hint, self._characters(getattr(node, "col_offset", 0)) + 1)


def _checked(dimension: str) -> str:
    """Return a dimension for comparisons; '' for money and other dimensions without units."""
    alike = {"temperature difference": "temperature", "level": "ratio"}
    return alike.get(dimension, dimension if dimension in (*units.SI, "ratio", BARE) else "")


# -- closures ---------------------------------------------------------------------------------------------------------


def _leaf(operand: float | bool | str) -> Closure:
    if isinstance(operand, str):
        return lambda values: values[operand]
    return lambda values: operand


def _apply1(function: Callable[[Any], Any], x: Closure) -> Closure:
    return lambda values: function(x(values))


def _apply2(function: Callable[[Any, Any], Any], a: Closure, b: Closure) -> Closure:
    return lambda values: function(a(values), b(values))


def _apply3(function: Callable[[Any, Any, Any], Any], a: Closure, b: Closure, c: Closure) -> Closure:
    return lambda values: function(a(values), b(values), c(values))
