"""Checks of `correlate` and `plan`; they return the Cholesky factor of the correlations and the points of the plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mischance import units
from mischance.errors import MischanceError, UnitError, shorten, suggest
from mischance.language.checks.faults import FaultChecks
from mischance.language.distributions import parsing as distributions
from mischance.language.distributions.kinds import Choice, Mixture
from mischance.language.distributions.specs import Constant, Expr
from mischance.language.expressions.parsing import Expression
from mischance.language.origin import Path_
from mischance.language.scenario import MAX_POINTS, Correlation, Plan

SMALLEST_PIVOT = 1e-9  # of a correlation matrix; below it the last value is nearly determined by the others
Pairs = Mapping[frozenset[str], float]


class PlanChecks(FaultChecks):
    """The checks of `correlate` and `plan`, after those of all drawn values."""

    # -- correlate ------------------------------------------------------------------------------------------------

    def correlate(self) -> Correlation | None:
        """Check the pairs of `correlate` and return the Cholesky factor of their matrix."""
        given = self.mapping("correlate").get("gaussian")
        listed: list[Any] = given if isinstance(given, list) else []
        before = len(self.origin.problems)
        pairs: dict[frozenset[str], float] = {}
        order: dict[str, None] = {}  # in order of appearance: the first keeps its own uniform
        for i, pair in enumerate(listed):
            path: Path_ = ("correlate", "gaussian", i)
            if not isinstance(pair, list) or len(pair) != 3 or not all(isinstance(name, str) for name in pair[:2]):
                continue
            for j, name in enumerate(pair[:2]):
                if not self.unknown({name}, (*path, j)):
                    self._can_be_correlated(name, (*path, j))
            both = frozenset(pair[:2])
            if len(both) == 1:
                self.origin.add(path, "a value cannot be correlated with itself")
            elif both in pairs:
                self.origin.add(path, "this pair occurs twice", "keep one of them")
            rho = pair[2]
            number = isinstance(rho, int | float) and not isinstance(rho, bool)
            if number and not -1 <= rho <= 1:
                self.origin.add((*path, 2), f"a correlation is between -1 and 1 (got {shorten(rho)})")
            pairs[both] = float(rho) if number else 0.0
            order.update(dict.fromkeys(pair[:2]))
        if not order or len(self.origin.problems) > before:
            return None
        names = tuple(order)
        rows = cholesky(names, pairs)
        if len(rows) < len(names):
            self._not_positive_definite(names[: len(rows) + 1], pairs)
            return None
        return Correlation(names, rows)

    def _can_be_correlated(self, name: str, path: Path_) -> None:
        """Note a value that is not determined by one uniform of its own."""
        spec = self.specs.get(name)
        if self.words(name):
            self.origin.add(path, f"'{name}' draws words, which cannot be correlated")
        elif isinstance(spec, Expr):
            text = shorten(spec.text)
            self.origin.add(path, f"'{name}' follows from {text} and is not drawn", "correlate the values in it")
        elif isinstance(spec, Mixture):
            message = f"'{name}' is a mixture, of which no single uniform decides the value"
            self.origin.add(path, message, "correlate a value of one law")

    def _not_positive_definite(self, names: Sequence[str], pairs: Pairs) -> None:
        """Note a matrix that is not positive definite, with all pairs connected to the last name."""
        found = {names[-1]}
        for _ in names:
            found |= {name for pair in pairs if pair & found for name in pair if name in names}
        asked = {tuple(sorted(pair, key=list(names).index)): rho for pair, rho in pairs.items() if pair <= found}
        listed = ", ".join(f"{' ~ '.join(pair)} {rho:g}" for pair, rho in asked.items())
        message = f"no numbers can be correlated like this: {listed}; their matrix is not positive definite"
        hint = "bring them nearer to 0; a pair that is not listed has correlation 0"
        if any(abs(rho) == 1 for rho in asked.values()):
            hint = "a value that follows wholly from another is an expression: {expr: …}"
        self.origin.add(("correlate", "gaussian"), message, hint)

    # -- plan -----------------------------------------------------------------------------------------------------

    def plan(self, constraints: Sequence[Expression]) -> Plan | None:
        """Check the plan and return it; points of a grid that violate a constraint are excluded."""
        given = self.mapping("plan")
        asked = [key for key in ("grid", "lhs", "sobol") if given.get(key) is not None]
        if len(asked) > 1:
            self.origin.add(("plan",), f"say one of grid, lhs and sobol (got {' and '.join(asked)})")
        if "grid" in asked:
            self._axes(given["grid"])
        points = given.get("sobol")
        if isinstance(points, int) and points > 0 and points & (points - 1):
            above = 1 << points.bit_length()
            message = f"must be a power of two (got {points})"
            self.origin.add(("plan", "sobol"), message, f"write {above // 2} or {above}")
        if not asked or self.origin.problems:
            return None
        if asked[0] == "grid":
            return self._grid(constraints)
        kind: Literal["lhs", "sobol"] = "lhs" if asked[0] == "lhs" else "sobol"
        return Plan(kind, int(given[kind]))

    def _axes(self, grid: Any) -> None:
        """Check the values of a grid."""
        if isinstance(grid, dict) and not grid:
            self.origin.add(("plan", "grid"), "names no value", "such as {gap: [5 m, 10 m]}")
        for name, values in grid.items() if isinstance(grid, dict) else ():
            path: Path_ = ("plan", "grid", name)
            self.unknown({name}, path)
            if values == []:
                self.origin.add(path, "needs at least one value")
            for i, value in enumerate(values if isinstance(values, list) else ()):
                self._axis_value(name, value, (*path, i))

    def _axis_value(self, name: str, value: Any, path: Path_) -> None:
        try:
            if isinstance(value, str) and value[:1] in "+-.0123456789":
                units.parse(value)  # its error messages are about quantities
            spec = distributions.parse({"constant": value})
        except UnitError as error:
            self.origin.add(path, error.message, error.hint)
            return
        except distributions.TreeError as error:
            self.origin.add(path, error.problems[0].message, error.problems[0].hint)
            return
        wanted, words = self.dimension(name), self.words(name)
        options = self._options(name)
        if name in self.specs and spec.words != words:
            self.origin.add(path, f"must be {'a word' if words else 'a number'} (got {shorten(value)})")
        elif spec.dimension and wanted and spec.dimension != wanted:
            self.origin.add(path, f"{units.wanted(wanted)} (got {shorten(value)})")
        elif words and options and value not in options:
            hint = suggest(str(value), options) or "known: " + ", ".join(options)
            self.origin.add(path, f"'{name}' is never {shorten(value)}", hint)
        elif isinstance(spec, Constant):
            if spec.value in self.grid.get(name, []):
                self.origin.add(path, f"{shorten(value)} occurs twice", "keep one of them")
            self.grid.setdefault(name, []).append(spec.value)

    def _options(self, name: str) -> tuple[str, ...]:
        """Return the words that a drawn value can take; an alias has those of its target."""
        spec = self.specs.get(name)
        for _ in self.specs:
            if isinstance(spec, Expr):
                spec = self.specs.get(spec.text)
        return tuple(map(str, spec.options)) if isinstance(spec, Choice) and spec.words else ()

    def _grid(self, constraints: Sequence[Expression]) -> Plan | None:
        axes = {name: tuple(values) for name, values in self.grid.items()}
        size = math.prod(map(len, axes.values()))
        if size > MAX_POINTS:
            self.origin.add(("plan", "grid"), f"has {size:,} points; at most {MAX_POINTS:,}", "take fewer values")
            return None
        fixed = fixed_by(axes, self.specs)
        judges = [judge for judge in constraints if set(judge.names) <= fixed]
        if not judges:
            return Plan("grid", size, axes)
        try:
            kept = _kept(Plan("grid", size, axes), self.specs, judges)
        except MischanceError as error:
            self.origin.add(("plan", "grid"), f"a point cannot be worked out: {error.message}", error.hint)
            return None
        if not kept:
            texts = " and ".join(f"'{judge.text}'" for judge in judges)
            self.origin.add(("plan", "grid"), f"no point of the grid keeps {texts}", "widen the grid or the constraint")
            return None
        return Plan("grid", len(kept), axes, kept if len(kept) < size else ())


def fixed_by(axes: Mapping[str, Any], vary: Mapping[str, distributions.Spec]) -> set[str]:
    """Return the names that a point of the grid determines: its axes, constants, and values computed from these."""
    fixed = set(axes)
    for name, spec in vary.items():  # in order of dependence
        if not spec.uniforms and spec.depends <= fixed:
            fixed.add(name)
    return fixed


def _kept(plan: Plan, vary: Mapping[str, distributions.Spec], judges: Sequence[Expression]) -> tuple[int, ...]:
    """Return the numbers of the points that satisfy the constraints, computed over arrays as in sampling."""
    import numpy as np

    fixed = fixed_by(plan.axes, vary)
    values: dict[str, Any] = dict(plan.columns(np.arange(plan.size)))
    for name, spec in vary.items():
        if name in fixed and name not in values:
            values[name] = spec.quantile({}, {key: values[key] for key in spec.depends}, plan.size)
    kept = np.ones(plan.size, np.bool_)
    for judge in judges:
        kept &= np.broadcast_to(np.asarray(judge(values), np.bool_), (plan.size,))
    return tuple(map(int, np.flatnonzero(kept)))


def cholesky(names: Sequence[str], pairs: Pairs) -> tuple[tuple[float, ...], ...]:
    """Return the lower triangle L of a correlation matrix L·Lᵀ, row i with i + 1 entries.

    It ends before the first name at which the matrix is no longer positive definite. Sums are in a fixed order, so
    the factor is the same on every machine, and unconnected names have exact zeros.

    Args:
        names: correlated values, in the order of the rows.
        pairs: correlations; 0 where a pair is not listed.
    """
    rows: list[tuple[float, ...]] = []
    for i, name in enumerate(names):
        row: list[float] = []
        for j in range(i):
            rest = pairs.get(frozenset((name, names[j])), 0.0)
            for k in range(j):
                rest -= row[k] * rows[j][k]
            row.append(rest / rows[j][j])
        pivot = 1.0
        for entry in row:
            pivot -= entry * entry
        if pivot < SMALLEST_PIVOT:
            break
        rows.append((*row, math.sqrt(pivot)))
    return tuple(rows)
