"""Table of the parametric distributions: arguments, rules, aliases, support and median.

Plain Python, so that loading a scenario imports neither NumPy nor SciPy; the formulas over arrays are in
`formulas.py` under the same names. The records are named tuples, because they take a third of the time of
dataclasses to define, and every command that loads a scenario needs them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
_INF = math.inf


class Arg(NamedTuple):
    """One argument.

    `measure`: 'value' (in the unit of the drawn value), 'spread' (a difference of two such values, which differs for
    temperatures), 'pure' (a number without a unit) or 'per' (a rate, 1 / time).
    """

    name: str
    about: str
    measure: str = "value"
    default: float | None = None


class Rule(NamedTuple):
    """A limit on an argument: `left op right`, where right is another argument's name or a number."""

    left: str
    op: str
    right: str | float

    def holds(self, args: Mapping[str, Any]) -> Any:
        """Return whether it holds: a bool for floats, an array of bool for arrays; NaN never does."""
        return COMPARE[self.op](args[self.left], self.other(args))

    def other(self, args: Mapping[str, Any]) -> Any:
        """Return the value of the right side."""
        return args[self.right] if isinstance(self.right, str) else self.right

    def __str__(self) -> str:
        right = self.right if isinstance(self.right, str) else f"{self.right:g}"
        return f"{self.left} must be {self.op} {right}"


class Form(NamedTuple):
    """A parameterisation. `convert(m, *args)`, m = math or numpy, converts it to the first form."""

    args: tuple[Arg, ...]
    rules: tuple[Rule, ...]
    convert: Callable[..., Sequence[Any]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments in the order of the positional form."""
        return tuple(arg.name for arg in self.args)

    @property
    def needed(self) -> tuple[str, ...]:
        """The arguments without a default."""
        return tuple(arg.name for arg in self.args if arg.default is None)


class Law(NamedTuple):
    """A parametric distribution: forms (the first is positional), support, and median by the first form's arguments."""

    name: str
    about: str
    forms: tuple[Form, ...]
    support: Callable[..., tuple[Any, Any]]
    median: Callable[..., float]
    discrete: bool = False
    pure: bool = False

    def form(self, names: Sequence[str]) -> Form:
        """Return the form that has exactly these arguments."""
        return next(form for form in self.forms if form.names == tuple(names))


def _form(text: str, rules: str = "", convert: Callable[..., Sequence[Any]] | None = None) -> Form:
    """Build a form from 'name[:measure][=default] about, …' and 'left op right, …'."""
    args, limits = [], []
    for part in text.split(", "):
        head, _, about = part.partition(" ")
        head, _, default = head.partition("=")
        name, _, measure = head.partition(":")
        args.append(Arg(name, about, measure or "value", float(default) if default else None))
    names = {arg.name for arg in args}
    for rule in filter(None, rules.split(", ")):
        left, op, right = rule.split()
        limits.append(Rule(left, op, right if right in names else float(right)))
    return Form(tuple(args), tuple(limits), convert)


def _everywhere(*_: Any) -> tuple[Any, Any]:
    return -_INF, _INF


def _positive(*_: Any) -> tuple[Any, Any]:
    return 0.0, _INF


def _first_and_last(*args: Any) -> tuple[Any, Any]:
    return args[0], args[-1]


def _last_two(*args: Any) -> tuple[Any, Any]:
    return args[-2], args[-1]


def _lognormal_of_moments(m: Any, mean: Any, sd: Any) -> Sequence[Any]:
    variance = m.log1p((sd / mean) * (sd / mean))
    return mean * m.exp(-0.5 * variance), m.sqrt(variance)


def _gamma_of_moments(m: Any, mean: Any, sd: Any) -> Sequence[Any]:
    return (mean / sd) * (mean / sd), sd * (sd / mean)


def _median_truncnormal(mean: float, sigma: float, low: float, high: float) -> float:
    from statistics import NormalDist  # imported late: it imports fractions and decimal

    normal = NormalDist(mean, sigma)
    middle = 0.5 * (normal.cdf(low) + normal.cdf(high))
    # Far in a tail both probabilities are 0 or 1: nearly all mass lies at the bound nearer to the mean.
    x = normal.inv_cdf(middle) if 0.0 < middle < 1.0 else mean
    return min(max(x, low), high)


def _median_gamma(shape: float, scale: float) -> float:
    """Approximate: Wilson and Hilferty (1931); for small shapes from the first term of the incomplete gamma series."""
    if shape >= 0.5:
        return shape * (1.0 - 1.0 / (9.0 * shape)) ** 3 * scale
    return math.exp((math.lgamma(shape + 1.0) - math.log(2.0)) / shape) * scale


def _median_beta(a: float, b: float, low: float, high: float) -> float:
    """Approximate: Kerman, A closed-form approximation for the median of the beta distribution (2011)."""
    middle = (a - 1 / 3) / (a + b - 2 / 3) if a > 1 and b > 1 else a / (a + b)
    return low + (high - low) * middle


def _median_triangular(low: float, mode: float, high: float) -> float:
    if mode - low >= high - mode:
        return low + math.sqrt((high - low) * (mode - low) / 2.0)
    return high - math.sqrt((high - low) * (high - mode) / 2.0)


def _median_poisson(mean: float) -> float:
    """Approximate: Choi, On the medians of gamma distributions and an equation of Ramanujan (1994)."""
    return float(max(0, math.floor(mean + 1 / 3 - 0.02 / mean))) if mean > 0 else 0.0


def _median_loguniform(low: float, high: float) -> float:
    return math.exp(0.5 * (math.log(low) + math.log(high)))


_NORMAL = "mean mean of the law, sigma:spread standard deviation"

LAWS: Mapping[str, Law] = {
    law.name: law
    for law in (
        Law(
            "uniform", "every value between two bounds is equally likely",
            (_form("low lower bound, high upper bound", "low < high"),),
            _first_and_last, lambda low, high: low + 0.5 * (high - low),
        ),
        Law(
            "loguniform", "the logarithm is uniform between two bounds",
            (_form("low lower bound, high upper bound", "low > 0, low < high"),), _first_and_last, _median_loguniform,
        ),
        Law(
            "normal", "Gaussian",
            (_form(_NORMAL, "sigma > 0"),), _everywhere, lambda mean, sigma: mean,
        ),
        Law(
            "truncnormal", "Gaussian, kept between two bounds; mean and sigma are those before it is cut",
            (_form(f"{_NORMAL}, low lower bound, high upper bound", "sigma > 0, low < high"),),
            _last_two, _median_truncnormal,
        ),
        Law(
            "lognormal", "the logarithm is Gaussian",
            (
                _form("median median, sigma:pure standard deviation of the logarithm", "median > 0, sigma > 0"),
                _form("mean mean, sd:spread standard deviation", "mean > 0, sd > 0", _lognormal_of_moments),
            ),
            _positive, lambda median, sigma: median,
        ),
        Law(
            "exponential", "waiting time at a constant rate",
            (
                _form("mean mean waiting time", "mean > 0"),
                _form("rate:per how often it happens", "rate > 0", lambda m, rate: (1.0 / rate,)),
            ),
            _positive, lambda mean: mean * math.log(2.0),
        ),
        Law(
            "weibull", "life time with a hazard that grows (shape > 1) or falls (shape < 1)",
            (_form("scale 63.2 % have failed by then, shape:pure exponent", "scale > 0, shape > 0"),),
            _positive, lambda scale, shape: scale * math.log(2.0) ** (1.0 / shape),
        ),
        Law(
            "gamma", "sum of waiting times",
            (
                _form("shape:pure exponent, scale:spread mean / shape", "shape > 0, scale > 0"),
                _form("mean mean, sd:spread standard deviation", "mean > 0, sd > 0", _gamma_of_moments),
            ),
            _positive, _median_gamma,
        ),
        Law(
            "beta", "a share between two bounds",
            (_form("a:pure first exponent, b:pure second exponent, low=0 lower bound, high=1 upper bound",
                   "a > 0, b > 0, low < high"),),
            _last_two, _median_beta,
        ),
        Law(
            "triangular", "between two bounds, most likely at the mode",
            (_form("low lower bound, mode most likely value, high upper bound",
                   "low < high, low <= mode, mode <= high"),),
            _first_and_last, _median_triangular,
        ),
        Law(
            "poisson", "how many independent events happen",
            (_form("mean:pure expected number", "mean >= 0"),),
            _positive, _median_poisson, discrete=True, pure=True,
        ),
    )
}  # fmt: skip

ALIASES: Mapping[str, str] = {"truncated_normal": "truncnormal"}
