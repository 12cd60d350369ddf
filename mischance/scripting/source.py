"""Writes what a function or class of a Python session needs into one module: its source, and what it refers to.

A function that was typed into a notebook, a REPL or a script stands in no module that could be imported elsewhere.
Its source does stand somewhere (Python keeps it for tracebacks), and what it refers to is known: imports, other
functions and classes, and constants. Anything else (an open file, a trained model) has no source, which is said.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import math
import sys
import textwrap
from collections.abc import Iterator, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any

MOST = 10_000  # numbers of an array that is written out
_FUTURE = 0x1000000  # CO_FUTURE_ANNOTATIONS


class NoSourceError(Exception):
    """Something has no source text; the message says what, and why."""


def module_text(thing: Any, about: str) -> tuple[str, str]:
    """Return the text of a module that defines a function or class, and the name that it has there.

    Constants are written with the value that they have now.

    Args:
        thing: a function, lambda or class.
        about: docstring of the module.

    Raises:
        NoSourceError: it, or something that it refers to, has no source.
    """
    writer = _Writer()
    name = writer.define(thing)
    future = "from __future__ import annotations\n\n" if writer.future else ""
    imports = "".join(f"{line}\n" for line in sorted(writer.imports.values()))
    body = "\n\n".join(writer.definitions)
    return f'"""{about}"""\n\n{future}{imports}\n{body}\n', name


class _Writer:
    """Collects the statements of a module in an order in which each name is there when it is needed."""

    def __init__(self) -> None:
        self.imports: dict[str, str] = {}
        self.definitions: list[str] = []
        self.future = False
        self._known: dict[str, Any] = {}

    def define(self, thing: Any, name: str = "") -> str:
        """Write a function or class and, before it, what it refers to; return its name."""
        node, source, own = _definition(thing)
        if isinstance(node, ast.Lambda):
            name = name or "agent"
            source = f"{name} = {source}"
        else:
            name, alias = node.name, name
            if alias and alias != name:
                source = f"{source}\n\n\n{alias} = {name}"
                self._claim(alias, thing)
        self._claim(name, thing)
        future = any(code.co_flags & _FUTURE for code in _codes_of(thing))
        self.future = self.future or future
        for wanted in sorted(_names(source, annotations=future)):
            if wanted in own:
                self._need(wanted, own[wanted])
        self.definitions.append(source)
        if isinstance(thing, FunctionType):
            self.definitions.extend(
                f"{name}.{key} = {_literal(f'{name}.{key}', value)}" for key, value in vars(thing).items()
            )
        return name

    def _claim(self, name: str, value: Any) -> None:
        if name in self._known and self._known[name] is not value:
            raise NoSourceError(f"two different things are called {name!r}")
        self._known[name] = value

    def _need(self, name: str, value: Any) -> None:
        if name in self._known and self._known[name] is value:
            return
        imported = _import(name, value)
        if imported:
            self._claim(name, value)
            self.imports[name] = imported
        elif isinstance(value, (FunctionType, type)):
            self.define(value, name)
        else:
            text = _literal(name, value)
            self._claim(name, value)
            self.definitions.append(f"{name} = {text}")


def _codes_of(thing: Any) -> Iterator[CodeType]:
    if isinstance(thing, FunctionType):
        yield thing.__code__
        return
    for value in vars(thing).values():
        function = inspect.unwrap(value.__func__ if isinstance(value, (staticmethod, classmethod)) else value)
        if isinstance(function, property):
            function = function.fget
        if isinstance(function, FunctionType) and function.__qualname__.startswith(f"{thing.__qualname__}."):
            yield function.__code__


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda


def _definition(thing: Any) -> tuple[Definition, str, Mapping[str, Any]]:
    """Return where something is defined: its node, its text, and the values of the names that it may refer to."""
    code = next(_codes_of(thing), None)
    label = f"{getattr(thing, '__qualname__', thing)!r}"
    if code is None:
        raise NoSourceError(f"{label} has no method that shows where it was defined")
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename)
    if not lines:
        raise NoSourceError(f"the source of {label} is not kept ({code.co_filename})")
    whole = "".join(lines)
    try:
        tree = ast.parse(whole)
    except SyntaxError as error:
        raise NoSourceError(f"the source of {label} cannot be read ({code.co_filename})") from error
    node = _node(tree, thing, code)
    if node is None:
        raise NoSourceError(f"{code.co_filename} does not hold {label} any more")
    if isinstance(node, ast.Lambda):
        return node, f"({ast.get_source_segment(whole, node)})", _values(thing)
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    text = textwrap.dedent("".join(lines[first - 1 : node.end_lineno])).rstrip()
    return node, text, _values(thing)


def _node(tree: ast.Module, thing: Any, code: CodeType) -> Definition | None:
    line = code.co_firstlineno
    found: list[Definition] = []
    for node in ast.walk(tree):
        if isinstance(thing, type):
            if isinstance(node, ast.ClassDef) and node.name == thing.__name__:
                end = node.end_lineno or node.lineno
                if node.lineno <= line <= end:
                    found.append(node)
        elif isinstance(node, ast.Lambda) and code.co_name == "<lambda>":
            if _same_place(node, code):
                found.append(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if line in (first, node.lineno):
                found.append(node)
    return found[-1] if found else None


def _same_place(node: ast.Lambda, code: CodeType) -> bool:
    """Say whether a lambda's body is where its code says: a line may hold several."""
    places = [each for each in code.co_positions() if each[0] is not None and each[2] is not None and each[3]]
    body = node.body
    if not places:
        return node.lineno == code.co_firstlineno
    first = min((each[0] or 0, each[2] or 0) for each in places)
    last = max((each[1] or 0, each[3] or 0) for each in places)
    inside = (body.lineno, body.col_offset) <= first and last <= (body.end_lineno or 0, body.end_col_offset or 0)
    return inside and node.lineno <= code.co_firstlineno <= (node.end_lineno or 0)


def _values(thing: Any) -> Mapping[str, Any]:
    """Return the names that a function or class may refer to, and their values now."""
    functions: list[FunctionType] = []
    if isinstance(thing, FunctionType):
        functions = [thing]
    else:
        for value in vars(thing).values():
            function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
            if isinstance(function, FunctionType):
                functions.append(function)
    found: dict[str, Any] = {}
    for function in functions:
        found |= function.__globals__
    if not functions:
        found |= vars(sys.modules.get(thing.__module__, builtins))
    for function in functions:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                found[name] = cell.cell_contents
            except ValueError:
                raise NoSourceError(f"{name!r} has no value yet") from None
    return found


def _names(source: str, *, annotations: bool) -> set[str]:
    """Return the names that a definition looks up outside of itself."""
    found: set[str] = set()
    waiting = [compile(source, "<agent>", "exec", dont_inherit=True)]
    import dis

    while waiting:
        code = waiting.pop()
        for each in dis.get_instructions(code):
            if each.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"):
                found.add(str(each.argval))
        waiting += [const for const in code.co_consts if isinstance(const, CodeType)]
    if annotations:  # they are text, which a library such as pydantic looks up later
        for node in ast.walk(ast.parse(source)):
            own = getattr(node, "annotation", None) or getattr(node, "returns", None)
            if isinstance(own, ast.AST):
                found |= {each.id for each in ast.walk(own) if isinstance(each, ast.Name)}
    return found


def _import(name: str, value: Any) -> str:
    """Return the statement that imports a value under a name, or '' where none does."""
    if isinstance(value, ModuleType):
        if value.__name__ == "__main__" or getattr(value, "__spec__", None) is None:
            raise NoSourceError(f"{name!r} is a module that cannot be imported")
        return f"import {value.__name__}" if value.__name__ == name else f"import {value.__name__} as {name}"
    module, own = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(own, str) or module in ("__main__", "__mp_main__"):
        return ""
    there = sys.modules.get(module)
    if there is None or getattr(there, "__spec__", None) is None or getattr(there, own, None) is not value:
        return ""
    if module == "builtins":
        return "" if name == own else f"from builtins import {own} as {name}"
    return f"from {module} import {own}" if name == own else f"from {module} import {own} as {name}"


def _literal(name: str, value: Any) -> str:
    """Return Python text that makes this value again."""
    text = _literal_or_nothing(value)
    if text is None:
        kind = type(value)
        raise NoSourceError(f"it refers to {name!r}, a {kind.__module__}.{kind.__qualname__}, which has no source text")
    return text


def _literal_or_nothing(value: Any) -> str | None:
    if type(value) is float:
        return repr(value) if math.isfinite(value) else f"float({str(value)!r})"
    if value is None or value is ... or type(value) in (bool, int, str, bytes, complex):
        return repr(value)
    if type(value) in (list, tuple, set, frozenset):
        inner = [_literal_or_nothing(each) for each in list(value)]
        if any(each is None for each in inner):
            return None
        text = ", ".join(map(str, inner))
        if type(value) is list:
            return f"[{text}]"
        if type(value) is tuple:
            return f"({text}{',' if len(value) == 1 else ''})"
        return f"{type(value).__name__}([{text}])"
    if type(value) is dict:
        pairs = [(_literal_or_nothing(key), _literal_or_nothing(each)) for key, each in value.items()]
        if any(part is None for pair in pairs for part in pair):
            return None
        return "{" + ", ".join(f"{key}: {each}" for key, each in pairs) + "}"
    if type(value).__module__ == "numpy":
        return _array(value)
    return None


def _array(value: Any) -> str | None:
    import numpy as np

    if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind not in "biuf" or value.size > MOST:
        return None
    inner = _literal_or_nothing(value.tolist())
    made = f'__import__("numpy").array({inner}, {value.dtype.str!r})'
    return made if isinstance(value, np.ndarray) else f"{made}[()]"


__all__ = ["NoSourceError", "module_text"]
