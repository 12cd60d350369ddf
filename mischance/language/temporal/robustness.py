"""Robustness of signal temporal logic over sampled runs: minima and maxima over windows of samples.

Rows of several runs are concatenated, as in a table; a window never extends beyond its run. Every operator takes
O(n log w) element-wise steps for n rows and windows of w samples, which is faster than a loop over a deque. Minimum
and maximum do not round, so results do not depend on order or neighbours.

Source:
    A. Donzé, O. Maler, Robust satisfaction of temporal logic over real-valued signals, FORMATS 2010 (the semantics);
    G. Fainekos, G. Pappas, Robustness of temporal logic specifications for continuous-time signals, TCS 410, 2009;
    A. Donzé, T. Ferrère, O. Maler, Efficient robust monitoring for STL, CAV 2013 (bounded `until` from its parts).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from mischance.api.tables import AnyArray, BoolArray, FloatArray, IntArray
from mischance.errors import ExpressionError, TruthError
from mischance.language.expressions.parsing import Expression
from mischance.language.temporal.tree import Both, Either, Hold, Implies, Leaf, Node, Not, Until, Window

_EDGE = 1e-9  # tolerance at the edges of windows: k / rate + 0.1 s is not exact [s]


@dataclass(slots=True)
class Trace:
    """The samples of a requirement: times, columns and the limits of each run's rows."""

    t: FloatArray
    signals: Mapping[str, AnyArray]
    offsets: IntArray
    ends: IntArray  # for each row, the end of its run
    _windows: dict[tuple[float, float], tuple[IntArray, IntArray]] = field(default_factory=dict)

    def window(self, low: float, high: float) -> tuple[IntArray, IntArray]:
        """Return for each row the range [first, last) of rows with times in [t + low, t + high]."""
        if (low, high) not in self._windows:
            first = np.arange(len(self.t))
            last = self.ends.copy()
            for a, b in pairwise(self.offsets.tolist()):
                t = self.t[a:b]
                edge = _EDGE + 4.0 * float(np.spacing(max(abs(t[0]), abs(t[-1]))))
                if low > 0.0:
                    first[a:b] = a + np.searchsorted(t, t + (low - edge), side="left")
                if high < math.inf:
                    last[a:b] = a + np.searchsorted(t, t + (high + edge), side="right")
            self._windows[low, high] = first, np.maximum(first, last)
        return self._windows[low, high]


def trace(signals: Mapping[str, Any], names: tuple[str, ...], t: FloatArray, offsets: IntArray | None = None) -> Trace:
    """Check samples and return them as a trace; a single number applies to all of them.

    Raises:
        TruthError: a run without samples, times that do not increase, or a column of another length.
        ExpressionError: a name has no value, or a value that is not a number.
    """
    t = np.asarray(t, np.float64)
    offsets = np.array([0, len(t)]) if offsets is None else np.asarray(offsets, np.int64)
    sizes = np.diff(offsets)
    if t.ndim != 1 or offsets[0] != 0 or offsets[-1] != len(t) or (sizes < 0).any():
        raise TruthError("times and offsets of a requirement do not fit together")
    if not (sizes > 0).all():
        run = int(np.argmin(sizes > 0))
        raise TruthError(f"a requirement needs at least one sample (run {run} of {len(sizes)} has none)")
    steps = np.diff(t)
    steps[offsets[1:-1] - 1] = 1.0  # between the last sample of a run and the first of the next
    if not (np.isfinite(t).all() and (steps > 0.0).all()):
        raise TruthError("the times of a requirement's samples must be finite and increase")
    columns: dict[str, AnyArray] = {}
    for name in names:
        if name not in signals:
            raise ExpressionError(f"'{name}' has no value here")
        column = np.asarray(signals[name])
        if column.dtype.kind not in "bfiu":
            raise ExpressionError(f"'{name}' is not a number")
        if column.shape not in ((), t.shape):
            raise TruthError(f"signal '{name}' has shape {column.shape} where there are {len(t)} samples")
        columns[name] = np.broadcast_to(column, t.shape)
    return Trace(t, columns, offsets, np.repeat(offsets[1:], sizes))


# -- leaves -----------------------------------------------------------------------------------------------------------

LeafValue: TypeAlias = Callable[[Leaf, Trace], FloatArray]

_COMPARE: dict[str, Callable[[FloatArray, FloatArray], BoolArray]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


def values(side: Expression, trace: Trace) -> FloatArray:
    """Return one side of a comparison at every sample, shape (rows,)."""
    return np.broadcast_to(np.asarray(side(trace.signals), np.float64), trace.t.shape)


def truth(leaf: Leaf, trace: Trace) -> FloatArray:
    """Return +inf where a leaf holds and -inf where it does not, shape (rows,).

    For a missing value (NaN) only `!=` holds.
    """
    left = values(leaf.left, trace)
    if leaf.right is None:
        holds = (left != 0.0) & ~np.isnan(left)
    else:
        holds = _COMPARE[leaf.sign](left, values(leaf.right, trace))
    return np.where(holds != leaf.negated, math.inf, -math.inf)


def margin(leaf: Leaf, trace: Trace) -> FloatArray:
    """Return the signed margin of a leaf in SI, shape (rows,); ±inf for booleans."""
    if leaf.right is None:
        return truth(leaf, trace)
    left, right = values(leaf.left, trace), values(leaf.right, trace)
    with np.errstate(all="ignore"):
        distance = np.where(left == right, 0.0, left - right)  # inf - inf is NaN, but inf == inf
    if leaf.sign in ("<", "<="):
        distance = -distance
    elif leaf.sign in ("==", "!="):
        distance = np.abs(distance) if leaf.sign == "!=" else -np.abs(distance)
    distance = np.where(np.isnan(distance), math.inf if leaf.sign == "!=" else -math.inf, distance)
    return -distance if leaf.negated else distance


# -- operators --------------------------------------------------------------------------------------------------------


def robustness(node: Node, trace: Trace, leaf: LeafValue = margin) -> FloatArray:
    """Return the robustness of a formula at every sample, shape (rows,); with `truth` as leaves, ±inf."""
    match node:
        case Leaf():
            return leaf(node, trace)
        case Both(parts=parts):
            return reduce(np.minimum, (robustness(part, trace, leaf) for part in parts))
        case Either(parts=parts):
            return reduce(np.maximum, (robustness(part, trace, leaf) for part in parts))
        case Not(body=body):
            return -robustness(body, trace, leaf)
        case Implies(when=when, then=then):
            return np.maximum(-robustness(when, trace, leaf), robustness(then, trace, leaf))
        case Window(every=every, body=body, low=low, high=high):
            return _over_window(robustness(body, trace, leaf), trace, low, high, every)
        case Hold(duration=duration, body=body):
            held = _over_window(robustness(body, trace, leaf), trace, 0.0, duration, True)
            first, _ = trace.window(duration, math.inf)
            return np.where(first < trace.ends, held, -math.inf)
        case Until(first=first_, goal=goal, low=low, high=high):
            return _until(robustness(first_, trace, leaf), robustness(goal, trace, leaf), trace, low, high)


def _over_window(x: FloatArray, trace: Trace, low: float, high: float, every: bool) -> FloatArray:
    """Return the minimum (`every`) or maximum of x over each row's window; a window without a sample is +-inf."""
    first, last = trace.window(low, high)
    if high < math.inf:
        return _extreme(x, first, last, every)
    best = np.minimum if every else np.maximum
    rest = np.empty_like(x)
    for a, b in pairwise(trace.offsets.tolist()):
        rest[a:b] = best.accumulate(x[a:b][::-1])[::-1]
    if low == 0.0:
        return rest
    return np.where(first < last, rest[np.minimum(first, len(x) - 1)], math.inf if every else -math.inf)


def _extreme(x: FloatArray, first: IntArray, last: IntArray, every: bool) -> FloatArray:
    """Return the extreme of x[first:last] for each row: two overlapping blocks of 2^k samples cover any window."""
    best = np.minimum if every else np.maximum
    size = last - first
    out = np.full(len(x), math.inf if every else -math.inf)
    width, longest = 1, int(size.max())
    while width <= longest:
        rows = np.flatnonzero((size >= width) & (size < 2 * width))
        out[rows] = best(x[first[rows]], x[last[rows] - width])
        if longest >= 2 * width:
            x = best(x[:-width], x[width:])  # now x[i] is the extreme of 2 * width samples from i on
        width *= 2
    return out


def _until(p: FloatArray, q: FloatArray, trace: Trace, low: float, high: float) -> FloatArray:
    """Return max over j in the window of min(q[j], p[i], …, p[j - 1]) for each row i.

    Without bounds u[i] = max(q[i], min(p[i], u[i + 1])). Such clamps compose into clamps, so the recursion takes
    log2(n) steps. Bounds: p must hold up to the window's first sample, and q be true at a sample inside the window.
    """
    a, b, shift = q, p, 1  # u[i] = max(a[i], min(b[i], u[i + shift])), and u beyond the run's end is -inf
    rows = np.arange(len(q))
    while (inside := rows[rows + shift < trace.ends]).size:
        ahead = inside + shift
        a, b, a_old, b_old = a.copy(), b.copy(), a, b
        a[inside] = np.maximum(a_old[inside], np.minimum(b_old[inside], a_old[ahead]))
        b[inside] = np.minimum(b_old[inside], b_old[ahead])
        shift *= 2
    if low == 0.0 and high == math.inf:
        return a
    first, _ = trace.window(low, high)
    later = np.where(first < trace.ends, a[np.minimum(first, len(q) - 1)], -math.inf)
    later = np.minimum(later, _extreme(p, rows, first, True))
    return np.minimum(later, _over_window(q, trace, low, high, False))
