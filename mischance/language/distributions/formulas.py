"""Quantiles and log densities of the parametric distributions over arrays, by SciPy's special functions.

Imported only for sampling and weighting; loading a scenario does not need it. Every function takes arrays of one
shape; arguments are in the order of the first form in `laws.py` and satisfy its rules. `scipy.stats` is not used: it
takes a second to import and forty times as long for a single value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy import special

from mischance.api.tables import FloatArray

_LOG_SQRT_2PI = 0.9189385332046727
_SQRT_HALF = 0.7071067811865476
_BITS = 2.0**40


def portable(x: FloatArray) -> FloatArray:
    """Round to 40 significant bits (relative error up to 2**-41, 4.5e-13).

    Exponentials and logarithms differ in their last bits between types of CPU (numpy issue 23523), and so would
    drawn values. Rounded values agree unless a rounding border lies between them: for a difference of one unit in
    the last place in about one of 4,096 values. Zero, infinities and NaN are unchanged.
    """
    mantissa, exponent = np.frexp(np.asarray(x, np.float64))
    with np.errstate(over="ignore"):  # within 2**-41 of the largest float, rounding up would overflow
        rounded = np.ldexp(np.rint(mantissa * _BITS) / _BITS, exponent)
    return np.where(np.isfinite(rounded), rounded, x)


def open_unit(u: FloatArray) -> FloatArray:
    """Replace 0 and 1, at which many quantiles are infinite, by the nearest numbers between them."""
    return np.clip(np.asarray(u, np.float64), np.finfo(np.float64).tiny, 1.0 - 2.0**-53)


def _log_ratio(low: FloatArray, high: FloatArray) -> FloatArray:
    """Return log(high / low) without overflow, and without cancellation where they are close."""
    close = high < 2.0 * low
    return np.where(close, np.log1p(np.where(close, (high - low) / low, 0.0)), np.log(high) - np.log(low))


def _uniform(u: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    return low + (high - low) * u


def _loguniform(u: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    width = _log_ratio(low, high)
    # Each half starts from its own bound: exp(width) alone may overflow.
    return np.where(u < 0.5, low * np.exp(np.minimum(u, 0.5) * width), high * np.exp(np.minimum(1.0 - u, 0.5) * -width))


def _normal(u: FloatArray, mean: FloatArray, sigma: FloatArray) -> FloatArray:
    z = np.asarray(special.ndtri(u), np.float64)
    return mean + sigma * z


def _truncnormal(u: FloatArray, mean: FloatArray, sigma: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Compute in logarithms of the nearer tail, which is accurate for an interval thirty sigma from the mean."""
    a, b = (low - mean) / sigma, (high - mean) / sigma
    left = np.logaddexp(np.log1p(-u) + special.log_ndtr(a), np.log(u) + special.log_ndtr(b))
    right = np.logaddexp(np.log1p(-u) + special.log_ndtr(-a), np.log(u) + special.log_ndtr(-b))
    z = np.where(left < right, special.ndtri_exp(np.minimum(left, 0.0)), -special.ndtri_exp(np.minimum(right, 0.0)))
    # Further out than 1e154 sigma both logarithms overflow: all mass lies at the bound nearest to the mean.
    return mean + sigma * np.where(np.isnan(z), np.where(a > 0, a, b), z)


def _lognormal(u: FloatArray, median: FloatArray, sigma: FloatArray) -> FloatArray:
    return median * np.exp(sigma * special.ndtri(u))


def _exponential(u: FloatArray, mean: FloatArray) -> FloatArray:
    return -mean * np.log1p(-u)


def _weibull(u: FloatArray, scale: FloatArray, shape: FloatArray) -> FloatArray:
    return np.asarray(scale * np.power(-np.log1p(-u), 1.0 / shape), np.float64)


def _gamma(u: FloatArray, shape: FloatArray, scale: FloatArray) -> FloatArray:
    share = np.asarray(special.gammaincinv(shape, u), np.float64)
    return scale * share


def _beta(u: FloatArray, a: FloatArray, b: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    share = np.asarray(special.betaincinv(a, b, u), np.float64)
    return low * (1.0 - share) + high * share


def _triangular(u: FloatArray, low: FloatArray, mode: FloatArray, high: FloatArray) -> FloatArray:
    width = high - low
    rising = low + np.sqrt(u * width * (mode - low))
    return np.where(u * width < mode - low, rising, high - np.sqrt((1.0 - u) * width * (high - mode)))


def _poisson(u: FloatArray, mean: FloatArray) -> FloatArray:
    above = np.maximum(np.ceil(special.pdtrik(u, np.maximum(mean, 1e-300))), 0.0)
    below = np.maximum(above - 1.0, 0.0)
    return np.asarray(np.where(special.pdtr(below, mean) >= u, below, above), np.float64)


def _log_uniform(x: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    return np.broadcast_to(-np.log(high - low), x.shape)


def _log_loguniform(x: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    return -np.log(x) - np.log(_log_ratio(low, high))


def _log_normal(x: FloatArray, mean: FloatArray, sigma: FloatArray) -> FloatArray:
    z = (x - mean) / sigma
    return -0.5 * z * z - np.log(sigma) - _LOG_SQRT_2PI


def _log_truncnormal(
    x: FloatArray, mean: FloatArray, sigma: FloatArray, low: FloatArray, high: FloatArray
) -> FloatArray:
    a, b = (low - mean) / sigma, (high - mean) / sigma
    mirrored = a > 0
    a, b = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
    tail = special.log_ndtr(b) + np.log(-np.expm1(special.log_ndtr(a) - special.log_ndtr(b)))
    middle = np.log(0.5 * (special.erf(b * _SQRT_HALF) - special.erf(a * _SQRT_HALF)))
    return _log_normal(x, mean, sigma) - np.where(b > 0, middle, tail)


def _log_lognormal(x: FloatArray, median: FloatArray, sigma: FloatArray) -> FloatArray:
    z = (np.log(x) - np.log(median)) / sigma
    return np.where(x > 0, -0.5 * z * z - np.log(x) - np.log(sigma) - _LOG_SQRT_2PI, -np.inf)


def _log_exponential(x: FloatArray, mean: FloatArray) -> FloatArray:
    return -x / mean - np.log(mean)


def _log_weibull(x: FloatArray, scale: FloatArray, shape: FloatArray) -> FloatArray:
    z = x / scale
    return np.asarray(np.log(shape) - np.log(scale) + special.xlogy(shape - 1.0, z) - np.power(z, shape), np.float64)


def _log_gamma(x: FloatArray, shape: FloatArray, scale: FloatArray) -> FloatArray:
    z = x / scale
    return special.xlogy(shape - 1.0, z) - z - special.gammaln(shape) - np.log(scale)


def _log_beta(x: FloatArray, a: FloatArray, b: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    share = (x - low) / (high - low)
    shape = special.xlogy(a - 1.0, share) + special.xlog1py(b - 1.0, -share)
    return shape - special.betaln(a, b) - np.log(high - low)


def _log_triangular(x: FloatArray, low: FloatArray, mode: FloatArray, high: FloatArray) -> FloatArray:
    rising = (x < mode) | (mode == high)
    height = np.where(rising, (x - low) / (mode - low), (high - x) / (high - mode))
    return np.log(2.0 * height) - np.log(high - low)


def _log_poisson(x: FloatArray, mean: FloatArray) -> FloatArray:
    inside = special.xlogy(x, mean) - special.gammaln(x + 1.0) - mean
    return np.where((x == np.floor(x)) & np.isfinite(x), inside, -np.inf)


QUANTILES: Mapping[str, Callable[..., FloatArray]] = {
    "uniform": _uniform,
    "loguniform": _loguniform,
    "normal": _normal,
    "truncnormal": _truncnormal,
    "lognormal": _lognormal,
    "exponential": _exponential,
    "weibull": _weibull,
    "gamma": _gamma,
    "beta": _beta,
    "triangular": _triangular,
    "poisson": _poisson,
}

LOG_DENSITIES: Mapping[str, Callable[..., FloatArray]] = {
    "uniform": _log_uniform,
    "loguniform": _log_loguniform,
    "normal": _log_normal,
    "truncnormal": _log_truncnormal,
    "lognormal": _log_lognormal,
    "exponential": _log_exponential,
    "weibull": _log_weibull,
    "gamma": _log_gamma,
    "beta": _log_beta,
    "triangular": _log_triangular,
    "poisson": _log_poisson,
}
