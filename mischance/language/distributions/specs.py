"""Base class of distributions, and the two deterministic kinds: constants and expressions.

A spec is an immutable value; its arguments may be specs.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mischance import units
from mischance.errors import RunError
from mischance.language.expressions.parsing import compile_expression

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    from mischance.api.tables import AnyArray, FloatArray
    from mischance.language.expressions.parsing import Expression

Values = Mapping[str, Any]
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@lru_cache(maxsize=1024)
def compiled(text: str) -> Expression:
    """Return the compiled expression of a text; specs store the text, so that they can be compared and pickled."""
    return compile_expression(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec(ABC):
    """One distribution of a scenario.

    `source`: origin of its figures. `dimension`: that of its quantities, '' if none has a unit; like
    `Empirical.path` it is not compared: a bare number equals one with its SI unit.
    """

    source: str = ""
    dimension: str = field(default="", compare=False)

    @property
    @abstractmethod
    def kind(self) -> str:
        """The key that names it in a scenario."""

    @property
    @abstractmethod
    def args(self) -> Mapping[str, Any]:
        """Its arguments by name: specs, numbers, words or tuples of them."""

    @property
    def parts(self) -> Mapping[str, Spec]:
        """Nested distributions; the key is the prefix of their uniforms' suffixes."""
        return {}

    @property
    def depends(self) -> frozenset[str]:
        """The names that its expressions use."""
        return frozenset().union(*(part.depends for part in self.parts.values()))

    @property
    def uniforms(self) -> tuple[str, ...]:
        """Suffixes of the uniforms that one value uses; their number is fixed.

        "" is its own; that of a random argument is "." and the argument's name, and so on for nested ones. A
        constant or an expression uses none. A mixture uses ".pick" to choose a component, "" that all components
        share (one of them is evaluated), and those of their arguments, under the component's number: ".0.mean".
        """
        nested = (f"{key}{suffix}" for key, part in self.parts.items() for suffix in part.uniforms)
        return ("", *nested)

    @property
    def has_quantile(self) -> bool:
        """Whether a value is a non-decreasing function of a single uniform (words: in the order of the scenario)."""
        return self.uniforms in ((), ("",))

    @property
    def discrete(self) -> bool:
        """Whether it has probabilities of single values rather than a density."""
        return True

    @property
    def words(self) -> bool:
        """Whether its values are words."""
        return False

    def files(self) -> dict[str, Path]:
        """Return the data files of it and its parts: name as written -> path."""
        found: dict[str, Path] = {}
        for part in self.parts.values():
            found.update(part.files())
        return found

    def quantile(self, u: Mapping[str, ArrayLike], values: Values | None = None, size: int | None = None) -> AnyArray:
        """Return one value per run; computed values are rounded by `portable`.

        Args:
            u: uniforms in [0, 1] by suffix, as in `uniforms`; shape (n,).
            values: values of the names in `depends`; shape (n,), float64 or words.
            size: n, for a spec without uniforms and names.

        Returns:
            float64, or object for words; shape (n,), or () if no input has a shape.

        Raises:
            RunError: an argument is out of range in some run, or a name or uniform is missing.
        """
        import numpy as np

        known = values or {}
        missing = [suffix for suffix in self.uniforms if suffix not in u]
        if missing:
            raise RunError(f"{self.kind} needs uniforms that were not given: {missing}")
        own = {suffix: _checked_uniform(u[suffix]) for suffix in self.uniforms}
        result = self._draw(own, known)
        shapes = [np.shape(value) for value in (*u.values(), *known.values())]
        shape = np.broadcast_shapes(result.shape, *shapes, () if size is None else (size,))
        return np.array(np.broadcast_to(result, shape))

    def sample(self, rng: np.random.Generator, n: int, values: Values | None = None) -> AnyArray:
        """Draw n values: `len(uniforms) * n` numbers from `rng`, whatever the arguments; shape (n,)."""
        return self.quantile({suffix: rng.random(n) for suffix in self.uniforms}, values, n)

    def log_density(self, x: ArrayLike, values: Values | None = None) -> FloatArray:
        """Return the log of the density, or of the probability where `discrete`; -inf outside the support.

        For a mixture of discrete and continuous parts, it is the probability at the discrete values.

        Raises:
            RunError: an argument is random, so that there is no closed form, or it is out of range.
        """
        import numpy as np

        point = np.asarray(x, object if self.words else np.float64)
        with np.errstate(all="ignore"):
            atoms, smooth = self._masses(point, values or {})
        return np.where(atoms > -np.inf, atoms, smooth)

    @abstractmethod
    def typical(self, values: Values | None = None) -> float | str:
        """Return a typical value inside the support, near the median, in plain Python.

        Args:
            values: one float or word for each name in `depends`.
        """

    def dump(self) -> Any:
        """Return it as a plain tree in SI units with all defaults; `parse` turns it back into an equal spec."""
        return {self.kind: self._dump(), **({"source": self.source} if self.source else {})}

    @abstractmethod
    def _dump(self) -> Any: ...

    @abstractmethod
    def _draw(self, u: Mapping[str, FloatArray], values: Values) -> AnyArray: ...

    @abstractmethod
    def _masses(self, x: AnyArray, values: Values) -> tuple[FloatArray, FloatArray]:
        """Return log probabilities of discrete values, and log densities; -inf where there are none."""


def _checked_uniform(u: ArrayLike) -> FloatArray:
    import numpy as np

    from mischance.language.distributions.formulas import open_unit

    given = np.asarray(u, np.float64)
    if not ((given >= 0.0) & (given <= 1.0)).all():
        raise RunError("a uniform lies outside [0, 1]")
    return open_unit(given)


def inner(u: Mapping[str, FloatArray], key: str, part: Spec) -> dict[str, FloatArray]:
    """Return the uniforms of a part, under the part's own suffixes."""
    return {suffix: u[f"{key}{suffix}"] for suffix in part.uniforms}


def nowhere(x: AnyArray) -> FloatArray:
    """Return -inf, the logarithm of 0, at every point."""
    import numpy as np

    return np.full(x.shape, -np.inf)


def _where_equal(x: AnyArray, value: AnyArray) -> FloatArray:
    import numpy as np

    return np.where(x == value, 0.0, -np.inf)


def require(good: AnyArray, message: str, *found: AnyArray) -> None:
    """Raise RunError with the number of the first run for which `good` is False."""
    import numpy as np

    if not np.all(good):
        index = int(np.argmin(np.ravel(good)))
        shape = np.shape(good)
        got = " and ".join(f"{np.ravel(np.broadcast_to(value, shape))[index]:.6g}" for value in found)
        where = f" at index {index}" if np.size(good) > 1 else ""
        raise RunError(f"{message} (got {got}{where})", "narrow what the argument is drawn from")


@dataclass(frozen=True, slots=True)
class Constant(Spec):
    """A constant number or word."""

    value: float | str

    @property
    def kind(self) -> str:
        """The key that names it in a scenario."""
        return "constant"

    @property
    def args(self) -> Mapping[str, Any]:
        """Its value."""
        return {"value": self.value}

    @property
    def uniforms(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def words(self) -> bool:
        """Whether its value is a word."""
        return isinstance(self.value, str)

    def typical(self, values: Values | None = None) -> float | str:
        """Return the value."""
        return self.value

    def dump(self) -> Any:
        """Return only the number with its SI unit, if there is nothing else to write."""
        bare = not self.source and not isinstance(self.value, str)
        return self._dump() if bare else Spec.dump(self)

    def _dump(self) -> Any:
        unit = units.SI.get(self.dimension, "")
        return f"{self.value!r} {unit}" if unit and not isinstance(self.value, str) else self.value

    def _draw(self, u: Mapping[str, FloatArray], values: Values) -> AnyArray:
        import numpy as np

        return np.asarray(self.value, object if isinstance(self.value, str) else np.float64)

    def _masses(self, x: AnyArray, values: Values) -> tuple[FloatArray, FloatArray]:
        return _where_equal(x, self._draw({}, values)), nowhere(x)


@dataclass(frozen=True, slots=True)
class Expr(Spec):
    """An expression over other drawn values; a single name is an alias of a value, which may be a word."""

    text: str

    @property
    def kind(self) -> str:
        """The key that names it in a scenario."""
        return "expr"

    @property
    def args(self) -> Mapping[str, Any]:
        """Its text."""
        return {"text": self.text}

    @property
    def uniforms(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def depends(self) -> frozenset[str]:
        """The names in the text."""
        return frozenset(compiled(self.text).names)

    def typical(self, values: Values | None = None) -> float | str:
        """Return the value of the expression."""
        known = self._known(values or {})
        if _NAME.fullmatch(self.text):
            value = known[self.text]
            return value if isinstance(value, str) else float(value)
        value = float(compiled(self.text)({name: float(known[name]) for name in self.depends}))
        if not math.isfinite(value):
            raise RunError(f"'{self.text}' must be a finite number (got {value})")
        return value

    def _known(self, values: Values) -> Values:
        missing = sorted(self.depends - values.keys())
        if missing:
            raise RunError(f"'{self.text}' needs {', '.join(missing)}, which was not drawn")
        return values

    def _dump(self) -> Any:
        return self.text

    def _draw(self, u: Mapping[str, FloatArray], values: Values) -> AnyArray:
        import numpy as np

        from mischance.language.distributions.formulas import portable

        known = self._known(values)
        if _NAME.fullmatch(self.text):
            passed = np.asarray(known[self.text])
            return passed.astype(object if passed.dtype.kind in "OU" else np.float64)
        columns = {name: np.asarray(known[name]) for name in sorted(self.depends)}
        for name, column in columns.items():
            if column.dtype.kind in "OU":
                raise RunError(f"'{self.text}' cannot calculate with {name}, which is a word")
        # Expressions compute scalars with `math`, whose last bits may differ from NumPy's: pass arrays only.
        shape = np.broadcast_shapes(*(column.shape for column in columns.values()))
        full = {name: np.array(np.broadcast_to(column, shape or (1,))) for name, column in columns.items()}
        result = np.asarray(compiled(self.text)(full), np.float64).reshape(shape)
        require(np.isfinite(result), f"'{self.text}' must be a finite number", result)
        return portable(result)

    def _masses(self, x: AnyArray, values: Values) -> tuple[FloatArray, FloatArray]:
        return _where_equal(x, self._draw({}, values)), nowhere(x)
