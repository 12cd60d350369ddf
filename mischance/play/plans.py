"""Which point of its plan a run takes: the uniforms of a Latin hypercube or of scrambled Sobol points.

Runs go through a plan in blocks of `plan.size`; run k is point k mod size of block k // size, whoever else is drawn
with it. Blocks are independent of each other, each is what its name promises by itself, and every run alone is
uniformly distributed: any mean over runs is unbiased, and the spread of block means says how good it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from mischance.api.randomness import run_uniform
from mischance.api.tables import AnyArray, FloatArray, IntArray
from mischance.errors import RunError
from mischance.language.scenario import Correlation, Plan

MOST_DIMENSIONS = 21_201  # for which SciPy has direction numbers
AT_ONCE = 2**16  # points whose digits are scrambled together, for the memory's sake


def spread(plan: Plan, names: Sequence[str], runs: IntArray, seed: int) -> dict[str, FloatArray]:
    """Return the uniforms of a Latin hypercube or of Sobol points, by name; each of shape (n,).

    Where inside its cell a point lies is the uniform that Monte Carlo would have taken. The columns of a Latin
    hypercube depend on seed, name and run alone; those of Sobol points on the name's place in `names`, too.

    Args:
        plan: 'lhs' or 'sobol'.
        names: keys of the uniforms; one dimension each.
        runs: run numbers; shape (n,).
        seed: the root of all randomness.

    Raises:
        RunError: more dimensions than there are direction numbers.
    """
    if not names:
        return {}
    block, point = np.divmod(np.asarray(runs, np.int64), plan.size)
    cells = np.empty((len(names), len(point)), np.int64)
    for number in np.unique(block).tolist():
        here = block == number
        if plan.kind == "lhs":
            cells[:, here] = _permutations(tuple(names), plan.size, number, seed)[:, point[here]]
        else:
            for i, column in enumerate(_sobol(len(names), plan.size, point[here])):
                cells[i, here] = _scrambled(column, plan.size, f"sobol.{number}.{names[i]}", seed)
    return {name: _inside(cells[i], plan.size, run_uniform(seed, name, runs)) for i, name in enumerate(names)}


def _inside(cell: IntArray, cells: int, u: FloatArray) -> FloatArray:
    """Return the point at share u of each of so many equal cells; rounding never carries it over a border."""
    low, high = cell / cells, (cell + 1) / cells
    return np.clip((cell + u) / cells, low, np.nextafter(high, 0.0))


@lru_cache(maxsize=2)  # runs come block by block
def _permutations(names: tuple[str, ...], size: int, block: int, seed: int) -> AnyArray:
    """Return for each dimension the cell of every point of one block; shape (dimensions, size).

    Source:
        McKay, Beckman, Conover, A comparison of three methods for selecting values of input variables in the
        analysis of output from a computer code, Technometrics 21, 1979.
    """
    points = np.arange(size)
    cells: AnyArray = np.empty((len(names), size), np.int32)
    for i, name in enumerate(names):
        cells[i] = np.argsort(run_uniform(seed, f"lhs.{block}.{name}", points), kind="stable")
    return cells


def _sobol(dimensions: int, size: int, points: IntArray) -> IntArray:
    """Return the cells of points of the unscrambled sequence, in its own (Gray code) order; shape (dimensions, n).

    Source:
        Joe, Kuo, Constructing Sobol sequences with better two-dimensional projections, SIAM J. Sci. Comput. 30,
        2008 (direction numbers, as SciPy has them).
    """
    gray = points ^ (points >> 1)
    cells = np.zeros((dimensions, len(points)), np.int64)
    for bit, direction in enumerate(_directions(dimensions, size).T):
        cells ^= np.where((gray >> bit) & 1, direction[:, None], 0)
    return cells


@lru_cache(maxsize=4)
def _directions(dimensions: int, size: int) -> IntArray:
    """Return the direction numbers for 2**m points, as integers of m bits; shape (dimensions, m).

    Point 2**j of the sequence is the exclusive or of direction numbers j and j - 1.
    """
    if dimensions > MOST_DIMENSIONS:
        raise RunError(
            f"`vary` takes {dimensions:,} uniforms, and Sobol points have at most {MOST_DIMENSIONS:,} dimensions",
            "use lhs",
        )
    bits = size.bit_length() - 1
    found = np.zeros((dimensions, bits), np.int64)
    if bits:
        from scipy.stats import qmc  # a second to import: only where Sobol points are drawn

        sequence = qmc.Sobol(dimensions, scramble=False)
        sequence.fast_forward(1)
        before = np.zeros(dimensions, np.int64)
        for j in range(bits):
            before = found[:, j] = np.rint(sequence.random(1)[0] * size).astype(np.int64) ^ before
            if j + 1 < bits:
                sequence.fast_forward(2**j - 1)
    return found


def _scrambled(cells: IntArray, size: int, name: str, seed: int) -> IntArray:
    """Flip each binary digit by a fair coin that is keyed by the digits above it: nested uniform scrambling.

    Below the digits of the cells the points of one block are alone in their cell, so that a uniform inside it is
    what scrambling all further digits would come to.

    Source:
        Owen, Randomly permuted (t,m,s)-nets and (t,s)-sequences, Monte Carlo and Quasi-Monte Carlo Methods in
        Scientific Computing, Lecture Notes in Statistics 106, 1995.
    """
    bits = size.bit_length() - 1
    if not bits:
        return cells
    depth = np.arange(bits, dtype=np.int64)[:, None]  # digits above
    scrambled = np.empty_like(cells)
    for first in range(0, len(cells), AT_ONCE):
        part = cells[first : first + AT_ONCE]
        nodes = (1 << depth) | (part >> (bits - depth))
        coins = run_uniform(seed, name, nodes.reshape(-1)).reshape(nodes.shape) < 0.5
        flips = coins.astype(np.int64) << (bits - 1 - depth)
        scrambled[first : first + AT_ONCE] = part ^ np.bitwise_or.reduce(flips, axis=0)
    return scrambled


def correlated(correlation: Correlation, uniforms: Sequence[FloatArray]) -> list[FloatArray]:
    """Return uniforms whose normal scores are correlated, made from independent ones; each of shape (n,).

    Each is uniform still. One that is correlated with none before it comes back as it was, to the bit.

    Args:
        correlation: the triangle L of the wanted matrix.
        uniforms: one for each of its names, in (0, 1).

    Source:
        Nelsen, An Introduction to Copulas, 2nd ed., Springer 2006, ch. 2 (Gaussian copula).
    """
    from scipy import special

    from mischance.language.distributions.formulas import open_unit

    scores = [np.asarray(special.ndtri(open_unit(u)), np.float64) for u in uniforms]
    found = []
    for i, row in enumerate(correlation.rows):
        if not any(row[:i]):
            found.append(uniforms[i])
            continue
        total = np.zeros_like(scores[i])
        for part, score in zip(row, scores, strict=False):  # explicit sums: a matrix product rounds by its shape
            if part:
                total = total + part * score
        found.append(np.asarray(special.ndtr(total), np.float64))
    return found


__all__ = ["correlated", "spread"]
