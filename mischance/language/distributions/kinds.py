"""Random distributions: parametric distributions, choices, mixtures and observed figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mischance.errors import MischanceError, RunError
from mischance.language.distributions import samples as _samples
from mischance.language.distributions.laws import LAWS, Form, Law
from mischance.language.distributions.specs import Spec, Values, inner, nowhere, require

if TYPE_CHECKING:
    from array import array

    from mischance.api.tables import AnyArray, FloatArray


@dataclass(frozen=True, slots=True)
class Parametric(Spec):
    """A parametric distribution of `laws.py`; arguments in the order of the form in the scenario."""

    name: str
    names: tuple[str, ...]
    given: tuple[Spec, ...]

    @property
    def kind(self) -> str:
        """The key that names it in a scenario."""
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
        """The form of its arguments in the scenario."""
        return self.law.form(self.names)

    @property
    def discrete(self) -> bool:
        """Whether the distribution is discrete."""
        return self.law.discrete

    def typical(self, values: Values | None = None) -> float | str:
        """Return the median at typical arguments (gamma, beta, Poisson: approximately)."""
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

        NumPy may use other routines for scalars, strided or zero-dimensional arrays: with one layout for all, a
        run's bytes do not depend on the batch that it is drawn with.
        """
        import numpy as np

        for name, value in args.items():
            if value.dtype == object:
                raise RunError(f"{name} of {self.name} must be a number (got the word {np.ravel(value)[0]!r})")
            require(np.isfinite(value), f"{name} of {self.name} must be finite", value)
        for rule in self.form.rules:
            found = [args[rule.left]] + ([args[rule.right]] if isinstance(rule.right, str) else [])
            require(np.asarray(rule.holds(args)), f"{self.name}: {rule}", *found)
        shape = np.broadcast_shapes((1,), *(value.shape for value in args.values()))
        full = [np.array(np.broadcast_to(value, shape), np.float64) for value in args.values()]
        return self._first_form(np, *full)

    def _draw(self, u: Mapping[str, FloatArray], values: Values) -> AnyArray:
        import numpy as np

        from mischance.language.distributions import formulas as _formulas

        args = {name: part._draw(inner(u, f".{name}", part), values) for name, part in self.args.items()}
        shape = np.broadcast_shapes(u[""].shape, *(value.shape for value in args.values()))
        wide = shape or (1,)
        own = np.array(np.broadcast_to(u[""], wide))
        plain = tuple(np.array(np.broadcast_to(value, wide)) for value in self._checked(args))
        with np.errstate(all="ignore"):
            drawn = _formulas.QUANTILES[self.name](own, *plain)
        result = drawn if self.law.discrete else _formulas.portable(drawn)
        require(np.isfinite(result), f"{self.name} must give a finite number", result)
        # Rounding may exceed a bound by one bit.
        return np.clip(result, *self.law.support(*plain)).reshape(shape)

    def _masses(self, x: AnyArray, values: Values) -> tuple[FloatArray, FloatArray]:
        import numpy as np

        from mischance.language.distributions import formulas as _formulas

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
        return (log, nowhere(log)) if self.law.discrete else (nowhere(log), log)


def _shares(weights: Sequence[float]) -> list[float]:
    """Return cumulative shares; the last is 1 up to rounding."""
    sums = list(accumulate(weights))
    return [part / sums[-1] for part in sums]


@dataclass(frozen=True, slots=True)
class Choice(Spec):
    """One of a few numbers or words, each with a weight; weights need not add up to 1."""

    options: tuple[float, ...] | tuple[str, ...]
    weights: tuple[float, ...]

    @property
    def kind(self) -> str:
        """The key that names it in a scenario."""
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
        """Return options and cumulative shares: numbers ascending, words in the order of the scenario."""
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

        log, total = nowhere(x), math.fsum(self.weights)
        for option, weight in zip(self.options, self.weights, strict=True):
            log = np.where(x == option, math.log(weight / total), log)
        return log, nowhere(x)


@dataclass(frozen=True, slots=True)
class Mixture(Spec):
    """One of several distributions, each with a weight."""

    weights: tuple[float, ...]
    components: tuple[Spec, ...]

    @property
    def kind(self) -> str:
        """The key that names it in a scenario."""
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
        """One to choose a component, one that all components share, and those of the components' arguments."""
        nested = [f".{i}{suffix}" for i, part in enumerate(self.components) for suffix in part.uniforms if suffix]
        shared = any("" in part.uniforms for part in self.components)
        return (*([""] if shared else []), ".pick", *nested)

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
        atoms = smooth = nowhere(x)
        for weight, part in zip(self.weights, self.components, strict=True):
            atom, density = part._masses(x, values)
            atoms = np.logaddexp(atoms, atom + math.log(weight / total))
            smooth = np.logaddexp(smooth, density + math.log(weight / total))
        return atoms, smooth


@dataclass(frozen=True, slots=True)
class Empirical(Spec):
    """Observed figures: `samples`, or a column of a file.

    `how` is 'linear' (interpolation between neighbouring figures as in NumPy's quantile: n - 1 equally likely gaps)
    or 'steps' (one of the figures, each equally likely). `scale` and `shift` convert the file's unit to SI.
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
        """The key that names it in a scenario."""
        return "empirical"

    @property
    def args(self) -> Mapping[str, Any]:
        """Its arguments, with defaults."""
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
        """Return the figures, ascending, in their own unit.

        Raises:
            RunError: the file is missing, has changed, or has no such column of numbers.
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

        from mischance.language.distributions.formulas import portable

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
            return np.log((after - first) / n), nowhere(x)
        # n - 1 equally likely gaps: where k figures are equal, k - 1 gaps have no width and make a single value likely.
        atoms = np.log(np.maximum(after - first - 1, 0) / (n - 1))
        gap = np.clip(after - 1, 0, n - 2)
        gap = np.where(x == figures[-1], np.clip(first - 1, 0, n - 2), gap)
        smooth = -np.log((n - 1) * (figures[gap + 1] - figures[gap]))
        return atoms, np.where((x >= figures[0]) & (x <= figures[-1]), smooth, -np.inf)
