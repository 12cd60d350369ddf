"""Distributions as values: frozen, comparable, with arguments that may be distributions themselves."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mischance import _samples
from mischance._laws import LAWS, Form, Law
from mischance.errors import MischanceError, RunError
from mischance.expressions import compile_expression

if TYPE_CHECKING:
    from array import array

    import numpy as np
    from numpy.typing import ArrayLike

    from mischance.expressions import Expression
    from mischance.truth import AnyArray, FloatArray

Values = Mapping[str, Any]
_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@lru_cache(maxsize=1024)
def compiled(text: str) -> Expression:
    """Return the expression of a text; specs hold the text, so that they can be compared and sent to a process."""
    return compile_expression(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec(ABC):
    """One distribution of a scenario.

    `source` says where its figures come from. `dimension` is that of its quantities, '' where none was
    written; like `Empirical.path` it is not part of equality, since `dump` writes bare SI numbers.
    """

    source: str = ""
    dimension: str = field(default="", compare=False)

    @property
    @abstractmethod
    def kind(self) -> str:
        """The word that names it in a scenario."""

    @property
    @abstractmethod
    def args(self) -> Mapping[str, Any]:
        """Its arguments by name: specs, numbers, words or tuples of them."""

    @property
    def parts(self) -> Mapping[str, Spec]:
        """The distributions inside it; the key is what their uniforms' suffixes begin with."""
        return {}

    @property
    def depends(self) -> frozenset[str]:
        """The names that expressions anywhere inside it use."""
        return frozenset().union(*(part.depends for part in self.parts.values()))

    @property
    def uniforms(self) -> tuple[str, ...]:
        """Suffixes of the uniforms that one value takes, always all of them.

        "" is its own; that of an argument drawn from a distribution is "." and the argument's name, and so
        on inwards. A constant or an expression takes none. A mixture takes ".pick" to choose a component, ""
        that all components share (only one of them is looked at), and what their arguments take, under the
        component's number: ".0.mean".
        """
        inner = (f"{key}{suffix}" for key, part in self.parts.items() for suffix in part.uniforms)
        return ("", *inner)

    @property
    def has_quantile(self) -> bool:
        """Whether a value does not fall when its only uniform grows (words: in the order in which they stand)."""
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
        """Return the files that it or a part of it reads: name as given -> path."""
        found: dict[str, Path] = {}
        for part in self.parts.values():
            found.update(part.files())
        return found

    def quantile(self, u: Mapping[str, ArrayLike], values: Values | None = None, size: int | None = None) -> AnyArray:
        """Return one value for each run; computed ones are rounded by `portable`.

        Args:
            u: a uniform in [0, 1] for each suffix in `uniforms`; shape (n,).
            values: what was drawn before, by name; shape (n,), float64 or words.
            size: n, for a constant that has neither.

        Returns:
            float64, or object with words; shape (n,), or () where nothing given has a shape.

        Raises:
            RunError: an argument is out of its range in some run, or a name or uniform is missing.
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

        A mixture of single values and densities is measured at its single values by their probability.

        Raises:
            RunError: an argument is itself drawn, so that no closed form exists; or it is out of its range.
        """
        import numpy as np

        point = np.asarray(x, object if self.words else np.float64)
        with np.errstate(all="ignore"):
            atoms, smooth = self._masses(point, values or {})
        return np.where(atoms > -np.inf, atoms, smooth)

    @abstractmethod
    def typical(self, values: Values | None = None) -> float | str:
        """Return a middling value inside the support, near the median, in plain Python.

        Args:
            values: one float or word for each name in `depends`.
        """

    def dump(self) -> Any:
        """Return it as a plain tree in SI units with every default written out; `parse` reads it back equal."""
        return {self.kind: self._dump(), **({"source": self.source} if self.source else {})}

    @abstractmethod
    def _dump(self) -> Any: ...

    @abstractmethod
    def _draw(self, u: Mapping[str, FloatArray], values: Values) -> AnyArray: ...

    @abstractmethod
    def _masses(self, x: AnyArray, values: Values) -> tuple[FloatArray, FloatArray]:
        """Return log probabilities of single values and log densities; -inf where there are none."""


def _checked_uniform(u: ArrayLike) -> FloatArray:
    import numpy as np

    from mischance._formulas import open_unit

    given = np.asarray(u, np.float64)
    if not ((given >= 0.0) & (given <= 1.0)).all():
        raise RunError("a uniform lies outside [0, 1]")
    return open_unit(given)


def _inner(u: Mapping[str, FloatArray], key: str, part: Spec) -> dict[str, FloatArray]:
    return {suffix: u[f"{key}{suffix}"] for suffix in part.uniforms}


def _none(x: AnyArray) -> FloatArray:
    import numpy as np

    return np.full(x.shape, -np.inf)


def _where_equal(x: AnyArray, value: AnyArray) -> FloatArray:
    import numpy as np

    return np.where(x == value, 0.0, -np.inf)


@dataclass(frozen=True, slots=True)
class Constant(Spec):
    """Always the same number or word."""

    value: float | str

    @property
    def kind(self) -> str:
        """The word that names it in a scenario."""
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
        """Return the bare number where that says everything."""
        bare = not self.source and not isinstance(self.value, str)
        return self.value if bare else Spec.dump(self)

    def _dump(self) -> Any:
        return self.value

    def _draw(self, u: Mapping[str, FloatArray], values: Values) -> AnyArray:
        import numpy as np

        return np.asarray(self.value, object if isinstance(self.value, str) else np.float64)

    def _masses(self, x: AnyArray, values: Values) -> tuple[FloatArray, FloatArray]:
        return _where_equal(x, self._draw({}, values)), _none(x)


@dataclass(frozen=True, slots=True)
class Expr(Spec):
    """Follows from other drawn values; a single name passes them on as they are, words too."""

    text: str

    @property
    def kind(self) -> str:
        """The word that names it in a scenario."""
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
        """Return what the text gives for these values."""
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

        from mischance._formulas import portable

        known = self._known(values)
        if _NAME.fullmatch(self.text):
            passed = np.asarray(known[self.text])
            return passed.astype(object if passed.dtype.kind in "OU" else np.float64)
        columns = {name: np.asarray(known[name]) for name in sorted(self.depends)}
        for name, column in columns.items():
            if column.dtype.kind in "OU":
                raise RunError(f"'{self.text}' cannot calculate with {name}, which is a word")
        # An expression works out scalars with `math`, whose last bits may differ from NumPy's: give it columns only.
        shape = np.broadcast_shapes(*(column.shape for column in columns.values()))
        full = {name: np.array(np.broadcast_to(column, shape or (1,))) for name, column in columns.items()}
        result = np.asarray(compiled(self.text)(full), np.float64).reshape(shape)
        _require(np.isfinite(result), f"'{self.text}' must be a finite number", result)
        return portable(result)

    def _masses(self, x: AnyArray, values: Values) -> tuple[FloatArray, FloatArray]:
        return _where_equal(x, self._draw({}, values)), _none(x)


def _require(good: AnyArray, message: str, *found: AnyArray) -> None:
    """Raise RunError with the first run that is not good."""
    import numpy as np

    if not np.all(good):
        index = int(np.argmin(np.ravel(good)))
        shape = np.shape(good)
        got = " and ".join(f"{np.ravel(np.broadcast_to(value, shape))[index]:.6g}" for value in found)
        where = f" at index {index}" if np.size(good) > 1 else ""
        raise RunError(f"{message} (got {got}{where})", "narrow what the argument is drawn from")


@dataclass(frozen=True, slots=True)
class Parametric(Spec):
    """A law of `_laws.py`; arguments in the order of the form they were written in."""

    name: str
    names: tuple[str, ...]
    given: tuple[Spec, ...]

    @property
    def kind(self) -> str:
        """The word that names it in a scenario."""
        return self.name

    @property
    def args(self) -> Mapping[str, Any]:
        """Its arguments, each a spec."""
        return dict(zip(self.names, self.given, strict=True))

    @property
    def parts(self) -> Mapping[str, Spec]:
        """Its arguments."""
        return {f".{name}": spec for name, spec in zip(self.names, self.given, strict=True)}

    @property
    def law(self) -> Law:
        """The law."""
        return LAWS[self.name]

    @property
    def form(self) -> Form:
        """How its arguments were written."""
        return self.law.form(self.names)

    @property
    def discrete(self) -> bool:
        """Whether the law counts."""
        return self.law.discrete

    def typical(self, values: Values | None = None) -> float | str:
        """Return the law's median (gamma, beta, Poisson: nearly) at typical arguments."""
        args = {name: spec.typical(values) for name, spec in self.args.items()}
        for name, value in args.items():
            if isinstance(value, str):
                raise RunError(f"{name} of {self.name} must be a number (got {value!r})")
        for rule in self.form.rules:
            if not rule.holds(args):
                raise RunError(f"{self.name}: {rule} (got {args[rule.left]:.6g})")
        plain = self._first_form(math, *args.values())
        low, high = self.law.support(*plain)
        return float(min(max(self.law.median(*plain), low), high))

    def _first_form(self, m: Any, *args: Any) -> tuple[Any, ...]:
        convert = self.form.convert
        return tuple(convert(m, *args)) if convert else args

    def _dump(self) -> Any:
        return {name: spec.dump() for name, spec in self.args.items()}

    def _checked(self, args: Mapping[str, AnyArray]) -> tuple[FloatArray, ...]:
        """Return the arguments as contiguous arrays of one shape (n,), checked, in the first form.

        NumPy may take another path for scalars, strides or zero-dimensional arrays: one layout for all makes
        a run's bytes the same whatever it is drawn with.
        """
        import numpy as np

        for name, value in args.items():
            if value.dtype == object:
                raise RunError(f"{name} of {self.name} must be a number (got the word {np.ravel(value)[0]!r})")
            _require(np.isfinite(value), f"{name} of {self.name} must be finite", value)
        for rule in self.form.rules:
            found = [args[rule.left]] + ([args[rule.right]] if isinstance(rule.right, str) else [])
            _require(np.asarray(rule.holds(args)), f"{self.name}: {rule}", *found)
        shape = np.broadcast_shapes((1,), *(value.shape for value in args.values()))
        full = [np.array(np.broadcast_to(value, shape), np.float64) for value in args.values()]
        return self._first_form(np, *full)

    def _draw(self, u: Mapping[str, FloatArray], values: Values) -> AnyArray:
        import numpy as np

        from mischance import _formulas

        args = {name: part._draw(_inner(u, f".{name}", part), values) for name, part in self.args.items()}
        shape = np.broadcast_shapes(u[""].shape, *(value.shape for value in args.values()))
        wide = shape or (1,)
        own = np.array(np.broadcast_to(u[""], wide))
        plain = tuple(np.array(np.broadcast_to(value, wide)) for value in self._checked(args))
        with np.errstate(all="ignore"):
            drawn = _formulas.QUANTILES[self.name](own, *plain)
        result = drawn if self.law.discrete else _formulas.portable(drawn)
        _require(np.isfinite(result), f"{self.name} must give a finite number", result)
        # Rounding may step over a bound by its last bit.
        return np.clip(result, *self.law.support(*plain)).reshape(shape)

    def _masses(self, x: AnyArray, values: Values) -> tuple[FloatArray, FloatArray]:
        import numpy as np

        from mischance import _formulas

        for name, part in self.args.items():
            if part.uniforms:
                raise RunError(
                    f"{self.name} has no density in closed form here: its {name} is itself drawn",
                    f"give {name} a name of its own in `vary` and refer to it",
                )
        plain = self._checked({name: part._draw({}, values) for name, part in self.args.items()})
        shape = np.broadcast_shapes(x.shape, *(() if value.shape == (1,) else value.shape for value in plain))
        wide = shape or (1,)
        point, *full = (np.array(np.broadcast_to(value, wide)) for value in (x, *plain))
        low, high = self.law.support(*full)
        inside = (point >= low) & (point <= high)
        log = np.where(inside, _formulas.LOG_DENSITIES[self.name](point, *full), -np.inf).reshape(shape)
        return (log, _none(log)) if self.law.discrete else (_none(log), log)


def _shares(weights: Sequence[float]) -> list[float]:
    """Return cumulative shares; the last is 1 but for rounding."""
    sums = list(accumulate(weights))
    return [part / sums[-1] for part in sums]


@dataclass(frozen=True, slots=True)
class Choice(Spec):
    """One of a few numbers or words, each with a weight; weights need not add up to 1."""

    options: tuple[float, ...] | tuple[str, ...]
    weights: tuple[float, ...]

    @property
    def kind(self) -> str:
        """The word that names it in a scenario."""
        return "choice"

    @property
    def args(self) -> Mapping[str, Any]:
        """Options and weights."""
        return {"options": self.options, "weights": self.weights}

    @property
    def words(self) -> bool:
        """Whether its options are words."""
        return isinstance(self.options[0], str)

    def ladder(self) -> tuple[list[float | str], list[float]]:
        """Return options and cumulative shares: numbers rising, words in the order in which they stand."""
        pairs: list[tuple[Any, float]] = list(zip(self.options, self.weights, strict=True))
        if not self.words:
            pairs.sort()
        return [option for option, _ in pairs], _shares([weight for _, weight in pairs])

    def typical(self, values: Values | None = None) -> float | str:
        """Return the median, or the likeliest word."""
        if self.words:
            return self.options[self.weights.index(max(self.weights))]
        options, shares = self.ladder()
        return next(option for option, share in zip(options, shares, strict=True) if share >= 0.5)

    def _dump(self) -> Any:
        names = (option if isinstance(option, str) else repr(option) for option in self.options)
        return dict(zip(names, self.weights, strict=True))

    def _draw(self, u: Mapping[str, FloatArray], values: Values) -> AnyArray:
        import numpy as np

        options, shares = self.ladder()
        index = np.searchsorted(np.asarray(shares[:-1]), u[""], side="left")
        return np.asarray(np.array(options, object if self.words else np.float64)[index])

    def _masses(self, x: AnyArray, values: Values) -> tuple[FloatArray, FloatArray]:
        import numpy as np

        log, total = _none(x), math.fsum(self.weights)
        for option, weight in zip(self.options, self.weights, strict=True):
            log = np.where(x == option, math.log(weight / total), log)
        return log, _none(x)


@dataclass(frozen=True, slots=True)
class Mixture(Spec):
    """One of several distributions, each with a weight."""

    weights: tuple[float, ...]
    components: tuple[Spec, ...]

    @property
    def kind(self) -> str:
        """The word that names it in a scenario."""
        return "mixture"

    @property
    def args(self) -> Mapping[str, Any]:
        """Weights and components."""
        return {"weights": self.weights, "components": self.components}

    @property
    def parts(self) -> Mapping[str, Spec]:
        """Its components."""
        return {f".{i}": part for i, part in enumerate(self.components)}

    @property
    def uniforms(self) -> tuple[str, ...]:
        """One to pick a component, one that all share, and those of the components' arguments."""
        inner = [f".{i}{suffix}" for i, part in enumerate(self.components) for suffix in part.uniforms if suffix]
        shared = any("" in part.uniforms for part in self.components)
        return (*([""] if shared else []), ".pick", *inner)

    @property
    def discrete(self) -> bool:
        """Whether all components are."""
        return all(part.discrete for part in self.components)

    def typical(self, values: Values | None = None) -> float | str:
        """Return the typical value of the heaviest component."""
        return self.components[self.weights.index(max(self.weights))].typical(values)

    def _dump(self) -> Any:
        return [[weight, part.dump()] for weight, part in zip(self.weights, self.components, strict=True)]

    def _draw(self, u: Mapping[str, FloatArray], values: Values) -> AnyArray:
        import numpy as np

        index = np.searchsorted(np.asarray(_shares(self.weights)[:-1]), u[".pick"], side="left")
        drawn = []
        for i, part in enumerate(self.components):
            value = part._draw({s: u[f".{i}{s}" if s else ""] for s in part.uniforms}, values)
            if value.dtype == object:
                raise RunError("a mixture draws numbers, but one of its components is a word")
            drawn.append(value)
        shape = np.broadcast_shapes(index.shape, *(value.shape for value in drawn))
        return np.choose(np.broadcast_to(index, shape), [np.broadcast_to(value, shape) for value in drawn])

    def _masses(self, x: AnyArray, values: Values) -> tuple[FloatArray, FloatArray]:
        import numpy as np

        total = math.fsum(self.weights)
        atoms = smooth = _none(x)
        for weight, part in zip(self.weights, self.components, strict=True):
            atom, density = part._masses(x, values)
            atoms = np.logaddexp(atoms, atom + math.log(weight / total))
            smooth = np.logaddexp(smooth, density + math.log(weight / total))
        return atoms, smooth


@dataclass(frozen=True, slots=True)
class Empirical(Spec):
    """Figures as they were observed: `samples`, or a column of a file.

    `how` is 'linear' (between neighbouring figures, as NumPy's quantile does: n - 1 equally likely gaps) or
    'steps' (one of the figures, each equally likely). `scale` and `shift` turn the file's unit into SI.
    """

    samples: tuple[float, ...] = ()
    how: str = "linear"
    file: str = ""
    column: str = ""
    unit: str = ""
    sha256: str = ""
    scale: float = field(default=1.0, compare=False)
    shift: float = field(default=0.0, compare=False)
    path: Path | None = field(default=None, compare=False)

    @property
    def kind(self) -> str:
        """The word that names it in a scenario."""
        return "empirical"

    @property
    def args(self) -> Mapping[str, Any]:
        """What was written, with defaults."""
        if self.file:
            unit = {"unit": self.unit} if self.unit else {}
            return {"file": self.file, "column": self.column, **unit, "how": self.how, "sha256": self.sha256}
        return {"values": self.samples, "how": self.how}

    @property
    def discrete(self) -> bool:
        """Whether single figures are drawn."""
        return self.how == "steps"

    def files(self) -> dict[str, Path]:
        """Return its file."""
        return {self.file: self.path} if self.path else {}

    def figures(self) -> tuple[float, ...] | array[float]:
        """Return the figures, rising, in the unit they were given in.

        Raises:
            RunError: the file is gone, has changed, or has no such column of numbers.
        """
        if self.path is None:
            return tuple(sorted(self.samples))
        try:
            return _samples.column(self.path, self.column, self.sha256)
        except MischanceError as error:
            raise RunError(error.message, error.hint) from error

    def typical(self, values: Values | None = None) -> float | str:
        """Return the middle figure (the lower of two)."""
        figures = self.figures()
        return figures[(len(figures) - 1) // 2] * self.scale + self.shift

    def _dump(self) -> Any:
        return {name: list(arg) if isinstance(arg, tuple) else arg for name, arg in self.args.items()}

    def _sorted(self) -> FloatArray:
        import numpy as np

        return np.sort(np.asarray(self.figures(), np.float64) * self.scale + self.shift)

    def _draw(self, u: Mapping[str, FloatArray], values: Values) -> AnyArray:
        import numpy as np

        from mischance._formulas import portable

        figures, own = self._sorted(), u[""]
        n = len(figures)
        if self.how == "steps" or n == 1:
            return np.asarray(figures[np.clip(np.ceil(own * n).astype(np.int64) - 1, 0, n - 1)])
        place = own * (n - 1)
        below = np.minimum(np.floor(place).astype(np.int64), n - 2)
        low, high, part = figures[below], figures[below + 1], place - below
        return np.clip(portable(low * (1.0 - part) + high * part), low, high)

    def _masses(self, x: AnyArray, values: Values) -> tuple[FloatArray, FloatArray]:
        import numpy as np

        figures = self._sorted()
        n = len(figures)
        first = np.searchsorted(figures, x, side="left")
        after = np.searchsorted(figures, x, side="right")
        if self.how == "steps" or n == 1:
            return np.log((after - first) / n), _none(x)
        # n - 1 equally likely gaps: where k figures are equal, k - 1 gaps have no width and make a single value likely.
        atoms = np.log(np.maximum(after - first - 1, 0) / (n - 1))
        gap = np.clip(after - 1, 0, n - 2)
        gap = np.where(x == figures[-1], np.clip(first - 1, 0, n - 2), gap)
        smooth = -np.log((n - 1) * (figures[gap + 1] - figures[gap]))
        return atoms, np.where((x >= figures[0]) & (x <= figures[-1]), smooth, -np.inf)
