"""Expressions of a scenario, such as `gap > 3 m and not braking`, over floats and arrays.

The language is an allow-list: numbers (with an optional unit), true and false, declared names, `+ - * / % **`,
unary minus, `and or not`, one comparison at a time, and ten functions. `scanning` reads every character, converts
quantities to SI and replaces each operand by a one-letter stand-in; the result, such as `x > y and not z`, goes to
Python's parser for operator precedence only. `compiling` turns the tree into closures. Nothing is evaluated as
Python. If the dimensions of names are given, a comparison of a length with a time is refused.

Scalars are computed with `math`, arrays with NumPy, which is imported at the first array. Both follow IEEE 754:
`1 / 0` is inf and `sqrt(-1)` is nan, never an exception. Their last bits may differ, so a quantity has to be always
a scalar or always an array.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from mischance.errors import ExpressionError
from mischance.language.expressions.compiling import Closure, Compiler
from mischance.language.expressions.scanning import Scanner

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Value: TypeAlias = "float | NDArray[np.float64] | NDArray[np.bool_]"

MAX_LENGTH = 400  # characters


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; a call with the values of its names returns its value.

    `dimension`: that of its value, '' if unknown or if no dimensions were given.
    """

    text: str
    names: tuple[str, ...]
    _run: Closure = field(repr=False, compare=False)
    dimension: str = field(default="", repr=False, compare=False)

    def __call__(self, values: Mapping[str, Any]) -> Value:
        """Return the value: a float or bool for scalars, an array if any name has an array.

        Args:
            values: name -> number, or an array of numbers or booleans; arrays have one common shape.

        Raises:
            ExpressionError: a name has no value, or a value that is not a number.
        """
        inputs: dict[str, Any] = {}
        columns = False
        for name in self.names:
            try:
                value = values[name]
            except KeyError:
                raise ExpressionError(f"'{name}' has no value here") from None
            if isinstance(value, bool):
                inputs[name] = value
            elif isinstance(value, float | int):
                inputs[name] = float(value)
            else:
                inputs[name] = _column(name, value)
                columns = True
        if not columns:
            result: Value = self._run(inputs)
            return result
        import numpy as np

        with np.errstate(all="ignore"):
            result = self._run(inputs)
        return result

    def __reduce__(self) -> tuple[Callable[[str], Expression], tuple[str]]:
        return compile_expression, (self.text,)  # closures cannot be pickled


def compile_expression(
    text: str, names: Collection[str] | None = None, dimensions: Mapping[str, str] | None = None
) -> Expression:
    """Return the compiled expression of a text.

    A number may have a unit (`gap > 3 m`, `15 m/s3`), the longest that fits; `60 %` is a ratio if no operand
    follows, and `2 /h` is a rate unless `h` is a declared name. Temperatures in degC may be compared but not added,
    since 20 degC - 5 degC is not 15 degC.

    Args:
        text: the expression.
        names: the declared names, dotted ones included; None allows any name.
        dimensions: dimensions of names, as far as known; None = no check of dimensions.

    Raises:
        ExpressionError: an element that is not allowed, not declared or of another dimension, with its column.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters", "split it into drawn values", MAX_LENGTH + 1)
    scanner = Scanner(text, names)
    scanner.scan()
    try:
        tree = ast.parse(scanner.skeleton, mode="eval").body
    except SyntaxError as error:
        raise scanner.explain(error) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("cannot be read", "use fewer parentheses") from None
    compiler = Compiler(scanner)
    run = compiler.compile(tree)
    dimension = "" if dimensions is None else compiler.dimension(tree, dimensions)
    return Expression(text, tuple(dict.fromkeys(scanner.names)), run, dimension)


def _column(name: str, value: object) -> Any:
    import numpy as np

    column = np.asarray(value)
    if column.dtype.kind not in "bfiu":
        raise ExpressionError(f"'{name}' is not a number")
    return column if column.dtype.kind == "b" else column.astype(np.float64)
