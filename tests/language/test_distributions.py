"""Distributions against SciPy's, and consistency of parsing, sampling and dumping."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mischance.errors import RunError
from mischance.language.distributions import parsing as distributions
from mischance.language.distributions import samples as _samples
from mischance.language.distributions.formulas import portable
from mischance.language.distributions.laws import LAWS
from mischance.language.distributions.parsing import KINDS, TreeError, parse, schema

U = np.array([1e-300, 1e-100, 1e-12, 1e-6, 0.01, 0.1, 0.37, 0.5, 0.61, 0.9, 0.99, 1 - 1e-6, 1 - 1e-12])
ROUNDED = 2.0**-40  # portable() is off by up to 2**-41


def moments_lognormal(mean: float, sd: float) -> Any:
    s2 = math.log1p((sd / mean) ** 2)
    return stats.lognorm(math.sqrt(s2), scale=mean * math.exp(-s2 / 2))


JUDGES: list[tuple[str, tuple[str, ...], list[tuple[float, ...]], Any]] = [
    ("uniform", ("low", "high"), [(0, 1), (-3, 5), (1e6, 1e6 + 1)], lambda a, b: stats.uniform(a, b - a)),
    ("loguniform", ("low", "high"), [(1e-6, 1e3), (2, 2.5), (0.5, 1e9)], stats.loguniform),
    ("normal", ("mean", "sigma"), [(0, 1), (-7, 0.01), (1e5, 30)], stats.norm),
    (
        "truncnormal",
        ("mean", "sigma", "low", "high"),
        [(0, 1, -1, 2), (5, 2, 0, 100), (0, 1, 4, 5), (0, 1, -9, -6), (3, 0.5, -10, 3), (0, 1, 30, 31)],
        lambda m, s, lo, hi: stats.truncnorm((lo - m) / s, (hi - m) / s, m, s),
    ),
    ("lognormal", ("median", "sigma"), [(18, 0.5), (1e-3, 2), (1, 0.01)], lambda m, s: stats.lognorm(s, scale=m)),
    ("lognormal", ("mean", "sd"), [(18, 5), (1e-3, 2e-3), (1, 10)], moments_lognormal),
    ("exponential", ("mean",), [(3,), (1e-4,)], lambda m: stats.expon(scale=m)),
    ("exponential", ("rate",), [(3,), (1e-4,)], lambda r: stats.expon(scale=1 / r)),
    ("weibull", ("scale", "shape"), [(5, 2), (1, 0.5), (3, 1), (100, 7)], lambda s, k: stats.weibull_min(k, scale=s)),
    ("gamma", ("shape", "scale"), [(2, 3), (0.5, 1), (1, 1), (300, 0.1)], lambda k, s: stats.gamma(k, scale=s)),
    ("gamma", ("mean", "sd"), [(3, 1), (2, 5)], lambda m, d: stats.gamma((m / d) ** 2, scale=d * d / m)),
    (
        "beta",
        ("a", "b", "low", "high"),
        [(2, 3, 0, 1), (0.5, 0.5, 0, 1), (1, 1, -2, 5), (40, 2, 10, 30)],
        lambda a, b, lo, hi: stats.beta(a, b, lo, hi - lo),
    ),
    (
        "triangular",
        ("low", "mode", "high"),
        [(0, 1, 4), (0, 0, 1), (-1, 2, 2), (5, 5.5, 6)],
        lambda a, m, b: stats.triang((m - a) / (b - a), a, b - a),
    ),
    ("poisson", ("mean",), [(0.1,), (1,), (7.3,), (4000,)], stats.poisson),
]
CASES = [
    pytest.param(kind, dict(zip(names, args, strict=True)), judge(*args), id=f"{kind}-{'-'.join(map(str, args))}")
    for kind, names, grid, judge in JUDGES
    for args in grid
]


def problems(tree: object, base: Path | None = None) -> list[tuple[tuple[Any, ...], str, str, bool]]:
    with pytest.raises(TreeError) as caught:
        parse(tree, base)
    return [tuple(problem[:4]) for problem in caught.value.problems]


# -- mathematics ------------------------------------------------------------------------------------------------------


def test_every_law_has_a_judge():
    assert {(kind, names) for kind, names, _, _ in JUDGES} == {
        (law.name, form.names) for law in LAWS.values() for form in law.forms
    }


@pytest.mark.parametrize(("kind", "args", "judge"), CASES)
def test_quantile_is_scipys(kind, args, judge):
    drawn = parse({kind: args}).quantile({"": U})
    expected = np.clip(judge.ppf(U), *judge.support())
    scale = np.maximum(np.abs(expected), 0 if expected.min() >= 0 else judge.std())
    tolerance = 2e-11 * scale
    if kind == "truncnormal":  # SciPy works from the left bound: it loses what one rounding of u is worth
        tolerance += np.where(U > 0.5, 4 * np.finfo(float).eps / judge.pdf(expected), 0)
    assert np.all(np.abs(drawn - expected) <= tolerance), (drawn, expected)
    dense = parse({kind: args}).quantile({"": np.linspace(0, 1, 2001)})
    assert np.all(np.diff(drawn) >= 0)
    assert np.all(np.diff(dense) >= 0)


@pytest.mark.parametrize(("kind", "args", "judge"), CASES)
def test_log_density_is_scipys(kind, args, judge):
    spec = parse({kind: args})
    low, high = judge.support()
    x = np.concatenate([judge.ppf(U[2:]), [low - 1, high + 1, judge.mean()]])
    x = x[np.isfinite(x)]
    expected = (judge.logpmf if kind == "poisson" else judge.logpdf)(x)
    np.testing.assert_allclose(spec.log_density(x), expected, rtol=1e-9, atol=1e-9)
    assert spec.discrete == (kind == "poisson")


@pytest.mark.parametrize(("kind", "args", "judge"), CASES)
def test_sample_follows_the_law_and_stays_in_its_support(kind, args, judge):
    n = 4000
    x = parse({kind: args}).sample(np.random.default_rng(5), n)
    low, high = judge.support()
    assert x.shape == (n,)
    assert low <= x.min()
    assert x.max() <= high
    assert np.isfinite(parse({kind: args}).log_density(x)).all()
    if kind == "poisson":
        assert abs(x.mean() - judge.mean()) < 4 * judge.std() / math.sqrt(n)
    else:
        assert stats.kstest(x, judge.cdf).pvalue > 1e-4


@pytest.mark.parametrize(("kind", "args", "judge"), CASES)
def test_typical_lies_near_the_median_without_scipy(kind, args, judge):
    typical = parse({kind: args}).typical()
    if kind == "poisson":
        assert typical == judge.median()
    else:
        low, high = judge.support()
        assert low <= typical <= high
        assert 0.25 < judge.cdf(typical) < 0.75 or (kind == "truncnormal" and judge.pdf(typical) > 0)


@pytest.mark.parametrize("mean", [0.0, 1e-9, 0.3, 1.0, 55.5, 1e4])
def test_poisson_quantile_is_the_smallest_count_that_reaches_u(mean):
    u = np.random.default_rng(2).random(500)
    k = parse({"poisson": mean}).quantile({"": u})
    assert np.all(stats.poisson.cdf(k, mean) >= u)
    assert np.all((k == 0) | (stats.poisson.cdf(k - 1, mean) < u))


def test_a_normal_cut_off_far_out_in_its_tail_keeps_its_digits():
    near_one = 1 - 1e-12  # not a float: the tail behind it is that of the nearest float
    x = parse({"truncnormal": [0, 1, -2.5, 50]}).quantile({"": [near_one]})
    np.testing.assert_allclose(stats.norm.sf(x), (1 - near_one) * stats.norm.sf(-2.5), rtol=1e-10)
    u = np.linspace(0.001, 0.999, 99)
    for low in (5.0, 37.0, 100.0, 1e4):
        x = parse({"truncnormal": [0, 1, low, low + 50]}).quantile({"": u})
        mirrored = parse({"truncnormal": [0, 1, -low - 50, -low]}).quantile({"": 1 - u})
        np.testing.assert_allclose(x, -mirrored, rtol=1e-11)
        # Mills' ratio: beyond `low` the tail falls off nearly like exp(-low y); portable() leaves 1e-12 of x.
        np.testing.assert_allclose((x - low) * low, -np.log1p(-u), rtol=5 / low**2, atol=1e-12 * low**2)
        density = parse({"truncnormal": [0, 1, low, low + 50]}).log_density(np.array([low]))
        np.testing.assert_allclose(density, math.log(low), atol=2 / low**2)


def test_the_ends_of_the_unit_interval_give_finite_values():
    for kind, args, _ in (case.values for case in CASES):
        assert np.isfinite(parse({kind: args}).quantile({"": np.array([0.0, 1.0])})).all()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_portable_rounds_to_forty_bits_and_forgets_last_bits(x):
    y = float(portable(np.array([x]))[0])
    assert math.isclose(x, y, rel_tol=ROUNDED, abs_tol=5e-324)
    assert float(portable(np.array([y]))[0]) == y
    assert (math.frexp(y)[0] * 2.0**40).is_integer() or abs(x) > 1.79e308 or abs(x) < 1e-290


def test_portable_forgets_a_last_bit_nearly_always():
    x = np.random.default_rng(3).lognormal(0, 5, 100_000)
    differ = np.sum(portable(x) != portable(np.nextafter(x, np.inf)))
    assert differ < 100_000 / 4096 + 4 * math.sqrt(100_000 / 4096)
    odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(float).max, 5e-324])
    np.testing.assert_array_equal(portable(odd), odd)


# -- dependence and nesting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "args", "judge"), CASES)
def test_arguments_of_their_own_for_every_run_draw_the_same_bits_as_one_by_one(kind, args, judge):
    rng = np.random.default_rng(11)
    names = list(args)
    spec = parse({kind: {name: f"${name}_" for name in names}})
    n = 37
    jitter = 1 + 1e-3 * rng.random(n)
    columns = {f"{name}_": np.asarray(args[name] * jitter) for name in names}
    u = rng.random(n)
    together = spec.quantile({"": u}, columns)
    density = spec.log_density(together, columns)
    for i in range(n):
        one = {name: column[i : i + 1] for name, column in columns.items()}
        scalar = {name: float(column[i]) for name, column in columns.items()}
        constant = parse({kind: {name: float(columns[f"{name}_"][i]) for name in names}})
        assert spec.quantile({"": u[i : i + 1]}, one)[0] == together[i]
        assert float(spec.quantile({"": u[i]}, scalar)) == together[i]
        assert constant.quantile({"": u[i : i + 1]})[0] == together[i]
        assert constant.log_density(together[i : i + 1])[0] == density[i]
    assert spec.depends == {f"{name}_" for name in names}


def test_uniforms_name_everything_that_is_drawn():
    spec = parse({"normal": [{"uniform": [0, {"exponential": 3}]}, 2]})
    assert spec.uniforms == ("", ".mean", ".mean.high")
    assert not spec.has_quantile
    u = {suffix: np.array([0.25]) for suffix in spec.uniforms}
    high = 3 * math.log(4 / 3)
    expected = stats.norm(0.25 * high, 2).ppf(0.25)
    assert spec.quantile(u)[0] == pytest.approx(expected, rel=1e-11)
    assert parse(3).uniforms == parse("gap - 1").uniforms == ()
    with pytest.raises(RunError, match=r"uniforms.*'\.mean'"):
        spec.quantile({"": [0.5]})
    with pytest.raises(RunError, match="mean is itself drawn"):
        spec.log_density([0.5])


def test_a_drawn_mean_widens_a_normal():
    x = parse({"normal": [{"normal": [5, 3]}, 4]}).sample(np.random.default_rng(1), 4000)
    assert stats.kstest(x, stats.norm(5, 5).cdf).pvalue > 1e-4


def test_components_of_a_mixture_share_a_uniform_but_not_their_arguments():
    inner = {"mixture": [[1, 7], [1, {"uniform": [8, 9]}]]}
    spec = parse({"mixture": [[1, {"normal": [{"uniform": [0, 1]}, 2]}], [3, inner]]})
    assert spec.uniforms == ("", ".pick", ".0.mean", ".1.pick")
    u = {"": np.full(4, 0.5), ".pick": np.array([0.2, 0.25, 0.26, 0.9]), ".0.mean": np.full(4, 0.5)}
    drawn = spec.quantile({**u, ".1.pick": np.array([0.1, 0.9, 0.1, 0.9])})
    np.testing.assert_allclose(drawn, [0.5, 0.5, 7, 8.5], rtol=1e-12)


def test_a_mixture_has_the_density_of_its_parts():
    spec = parse({"mixture": [[1, {"normal": [0, 1]}], [3, {"uniform": [2, 4]}]]})
    x = np.linspace(-3, 5, 41)
    expected = np.log(0.25 * stats.norm.pdf(x) + 0.75 * stats.uniform(2, 2).pdf(x))
    np.testing.assert_allclose(spec.log_density(x), expected, rtol=1e-12)
    drawn = spec.sample(np.random.default_rng(4), 4000)
    judge = lambda v: 0.25 * stats.norm.cdf(v) + 0.75 * stats.uniform(2, 2).cdf(v)  # noqa: E731
    assert stats.kstest(drawn, judge).pvalue > 1e-4
    atoms = parse({"mixture": [[1, 0], [1, {"uniform": [-1, 1]}]]})
    np.testing.assert_allclose(atoms.log_density([0.0, 0.5, 2.0]), [math.log(0.5), math.log(0.25), -np.inf])
    assert not atoms.discrete
    assert parse({"mixture": [[1, 0], [1, {"poisson": 2}]]}).discrete


def test_choice_draws_by_weight_and_numbers_in_their_order():
    spec = parse({"choice": {"0.8": 90, 0.4: 8, "0.1": "2"}})
    assert spec.args == {"options": (0.8, 0.4, 0.1), "weights": (90.0, 8.0, 2.0)}
    drawn = spec.quantile({"": [0.0, 0.02, 0.021, 0.1, 0.11, 1.0]})
    np.testing.assert_array_equal(drawn, [0.1, 0.1, 0.4, 0.4, 0.8, 0.8])
    np.testing.assert_allclose(spec.log_density([0.8, 0.4, 0.3]), [math.log(0.9), math.log(0.08), -np.inf])
    counts = Counter(spec.sample(np.random.default_rng(0), 10_000).tolist())
    assert stats.chisquare([counts[0.8], counts[0.4], counts[0.1]], [9000, 800, 200]).pvalue > 1e-4
    assert spec.typical() == 0.8
    assert parse({"choice": ["1 m", "3 m", "2 m"]}).typical() == 2.0
    assert parse({"choice": ["1 m", "3 m"]}).dimension == "length"


def test_choice_may_be_between_words():
    spec = parse({"choice": {"truck": 1, "car": 3}})
    drawn = spec.quantile({"": np.array([0.2, 0.25, 0.26])})
    assert drawn.dtype == object
    assert drawn.tolist() == ["truck", "truck", "car"]
    assert spec.typical() == "car"
    np.testing.assert_allclose(spec.log_density(np.array(["car", "bus"], object)), [math.log(0.75), -np.inf])
    passed = parse("$kind").quantile({}, {"kind": drawn})
    assert passed.tolist() == drawn.tolist()
    with pytest.raises(RunError, match="is a word"):
        parse("kind + 1").quantile({}, {"kind": drawn})
    with pytest.raises(RunError, match="the word 'truck'"):
        parse({"normal": ["kind", 1]}).quantile({"": [0.5] * 3}, {"kind": drawn})


def test_constants_and_single_names_pass_untouched():
    third = np.array([1 / 3, 0.1])
    assert parse(0.1).quantile({}, size=2).tolist() == [0.1, 0.1]
    assert parse("50 km/h").quantile({}).shape == ()
    np.testing.assert_array_equal(parse("x").quantile({}, {"x": third}), third)
    np.testing.assert_array_equal(parse({"choice": [0.1, 0.7]}).quantile({"": [0.1, 0.9]}), [0.1, 0.7])
    np.testing.assert_array_equal(parse(3).log_density([3.0, 4.0]), [0, -np.inf])
    x = parse("x / 7").quantile({}, {"x": third})
    np.testing.assert_array_equal(x, portable(third / 7))
    np.testing.assert_array_equal(parse("x / 7").log_density(x, {"x": third}), [0, 0])
    assert parse("x / 7").typical({"x": 7.0}) == 1.0


def test_a_drawn_argument_out_of_range_names_itself_and_the_run():
    spec = parse({"normal": ["m", "s"]})
    with pytest.raises(RunError, match=r"normal: sigma must be > 0 \(got -2 at index 1\)"):
        spec.quantile({"": [0.5, 0.5, 0.5]}, {"m": np.zeros(3), "s": np.array([1.0, -2.0, -3.0])})
    with pytest.raises(RunError, match=r"mean of normal must be finite \(got inf at index 2\)"):
        spec.quantile({"": [0.5, 0.5, 0.5]}, {"m": np.array([0, 0, np.inf]), "s": np.ones(3)})
    with pytest.raises(RunError, match=r"low must be < high \(got 3 and 1\)"):
        parse({"uniform": ["x", 1]}).quantile({"": [0.5]}, {"x": np.array([3.0])})
    with pytest.raises(RunError, match=r"'1 / x' must be a finite number"):
        parse("1 / x").quantile({}, {"x": np.array([0.0])})
    with pytest.raises(RunError, match="not drawn"):
        parse("x").quantile({})
    with pytest.raises(RunError, match=r"\[0, 1\]"):
        parse({"uniform": [0, 1]}).quantile({"": [1.5]})


def test_the_number_of_draws_does_not_depend_on_what_is_drawn():
    trees = [[[1, {"normal": [{"uniform": [0, 1]}, 2]}], [w, 7]] for w in (1e-6, 1e6)]
    states = []
    for tree in trees:
        rng = np.random.default_rng(9)
        parse({"mixture": tree}).sample(rng, 10)
        states.append(rng.random())
    assert states[0] == states[1]


# -- figures ----------------------------------------------------------------------------------------------------------


def test_figures_between_and_one_of_them():
    figures = [3.0, 1.0, 2.0, 2.0, 10.0]
    u = np.linspace(0.001, 0.999, 57)
    linear = parse({"empirical": {"values": figures}})
    np.testing.assert_allclose(linear.quantile({"": u}), np.quantile(figures, u), rtol=1e-11)
    steps = parse({"empirical": {"values": figures, "how": "steps"}})
    np.testing.assert_array_equal(steps.quantile({"": u}), np.quantile(figures, u, method="inverted_cdf"))
    np.testing.assert_allclose(steps.log_density([2.0, 1.0, 5.0]), [math.log(0.4), math.log(0.2), -np.inf])
    density = linear.log_density([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 9.0, 10.0, 11.0])
    expected = [0, 0.25, 0.25, 0.25, 0.25, 0.25 / 7, 0.25 / 7, 0.25 / 7, 0]
    np.testing.assert_allclose(np.exp(density), expected, rtol=1e-12)  # at 2.0: a probability, not a density
    assert linear.typical() == 2.0
    assert parse({"empirical": {"values": [4]}}).quantile({"": [0.1, 0.9]}).tolist() == [4, 4]


def test_figures_come_from_csv_and_parquet_alike(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text('\ufeffname,"speed"\nx, 36\ny,\nz,72\n', encoding="utf-8")
    pq.write_table(pa.table({"speed": [36.0, None, 72.0, math.nan]}), tmp_path / "in" / "a.parquet")
    drawn = []
    for suffix in ("csv", "parquet"):
        tree = {"empirical": {"file": f"in/a.{suffix}", "column": "speed", "unit": "km/h"}}
        spec = parse(tree, tmp_path)
        assert spec.dimension == "speed"
        assert spec.files() == {f"in/a.{suffix}": (tmp_path / "in" / f"a.{suffix}").resolve()}
        drawn.append(spec.quantile({"": [0.0, 0.5, 1.0]}))
        assert spec.typical() == pytest.approx(10)
        assert parse(spec.dump(), tmp_path) == spec
    np.testing.assert_allclose(drawn, [[10, 15, 20]] * 2)

    tree["empirical"]["column"] = "name"
    with pytest.raises(RunError, match="no column 'name'"):
        parse(tree, tmp_path).quantile({"": [0.5]})
    spec = parse({"empirical": {"file": "in/a.csv", "column": "speed"}}, tmp_path)
    dumped = spec.dump()
    (tmp_path / "in" / "a.csv").write_text("speed\n1\n")
    _samples.column.cache_clear()
    with pytest.raises(RunError, match="has changed"):
        spec.quantile({"": [0.5]})
    assert problems(dumped, tmp_path)[0][0] == ("empirical", "sha256")


def test_files_stay_inside_the_scenarios_folder(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "a.csv").write_text("x\n1\n")
    (inside / "text.csv").write_text("x,y\n1,\nabc,\n")
    (inside / "binary.csv").write_bytes(b"\x89PNG\xff\x00")
    (inside / "notes.txt").write_text("x\n1\n")
    (inside / "folder.csv").mkdir()
    (inside / "link.csv").symlink_to(outside / "a.csv")
    (inside / "links").symlink_to(outside)
    os.mkfifo(inside / "pipe.csv")
    with (inside / "big.csv").open("wb") as file:
        file.truncate(65 * 2**20)
    for file_name, message in [
        ("../outside/a.csv", "outside"), ("link.csv", "outside"), ("links/a.csv", "outside"),
        (str(outside / "a.csv"), "relative"), ("C:\\a.csv", "relative"), ("a\0.csv", "relative"),
        ("none.csv", "no file"), ("folder.csv", "no file"), ("pipe.csv", "no file"),
        ("notes.txt", ".csv or a .parquet"), ("big.csv", "larger than 64 MB"),
    ]:  # fmt: skip
        ((path, found, _, _),) = problems({"empirical": {"file": file_name, "column": "x"}}, inside)
        assert path == ("empirical", "file")
        assert message in found
    for file_name, column, message in [
        ("text.csv", "x", "line 3: 'abc' is not a number"), ("text.csv", "y", "not a number"),
        ("text.csv", "z", "no column 'z'"), ("binary.csv", "x", "UTF-8"),
    ]:  # fmt: skip
        ((path, found, hint, _),) = problems({"empirical": {"file": file_name, "column": column}}, inside)
        assert path == ("empirical", "column")
        assert message in found or (column == "y" and "holds no numbers" in found)
        assert column != "z" or hint == "it has: x, y"
    assert "a file itself" in problems({"empirical": {"file": "text.csv", "column": "x"}})[0][1]


# -- language ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tree", "path", "message", "hint", "at_key"),
    [
        ({"lognormall": [1, 2]}, ("lognormall",), "no distribution is called 'lognormall'",
         "did you mean 'lognormal'?  known: ", True),
        ({0.8: 0.9}, (0.8,), "no distribution is called 0.8", "choice", True),
        ({"normal": [1, 2], "uniform": [1, 2]}, (), "one key names the distribution", "", False),
        ({"source": "x"}, (), "names no distribution", "", False),
        ({"uniform": [0, 1], "source": 3}, ("source",), "must be a text (got 3)", "", False),
        (None, (), "(got nothing)", "", False),
        (True, (), "(got true)", "write 1 or 0", False),
        ([1, 2], (), "(got a list of 2)", "choice", False),
        (math.inf, (), "finite", "", False),
        (10**400, (), "too large", "", False),
        ("18 mm2", (), "unknown unit 'mm2'", "did you mean 'mm'?", False),
        ({"normal": [1]}, ("normal",), "normal takes 2 arguments (got 1)", "mean, sigma", False),
        ({"beta": [1]}, ("beta",), "beta takes 2 to 4 arguments (got 1)", "a, b, low, high", False),
        ({"normal": {"meen": 1, "sigma": 2}}, ("normal", "meen"), "no argument 'meen'", "did you mean 'mean'?", True),
        ({"normal": {"mean": 1}}, ("normal",), "normal lacks sigma", "normal takes mean, sigma", False),
        ({"lognormal": {"mean": 1, "sigma": 1}}, ("lognormal",), "not take mean and sigma together", "mean, sd", False),
        ({"normal": "3"}, ("normal",), "a list or a mapping", "", False),
        ({"normal": ["3 m", "2 s"]}, ("normal", 1), "sigma is a time where mean is a length", "", False),
        ({"lognormal": ["3 m", "2 m"]}, ("lognormal", 1), "a number without a unit (got a length)", "", False),
        ({"exponential": {"rate": "2 m"}}, ("exponential", "rate"), "how often", "", False),
        ({"normal": ["20 degC", "5 degC"]}, ("normal", 1), "temperature difference", "K", False),
        ({"normal": {"mean": 0, "sigma": -3}}, ("normal", "sigma"), "sigma must be > 0 (got -3)", "", False),
        ({"uniform": ["5 m", 3]}, ("uniform", 0), "low must be < high (got 5 and 3)", "", False),
        ({"triangular": [0, 3, 2]}, ("triangular", 1), "mode must be <= high (got 3 and 2)", "", False),
        ({"loguniform": [0, 1]}, ("loguniform", 0), "low must be > 0", "", False),
        ({"choice": {}}, ("choice",), "value: weight", "", False),
        ({"choice": {"a": 0}}, ("choice", "a"), "a weight must be > 0 (got 0)", "", False),
        ({"choice": {"a": "3 m"}}, ("choice", "a"), "a weight has no unit (got a length)", "", False),
        ({"choice": ["a", 1]}, ("choice", 1), "not both", "", True),
        ({"choice": ["1 m", "100 cm"]}, ("choice", 1), "occurs twice", "", True),
        ({"choice": ["1 m", "2 s"]}, ("choice", 1), "a time where value 0 is a length", "", False),
        ({"mixture": [[1, 2, 3]]}, ("mixture", 0), "[weight, distribution]", "", False),
        ({"mixture": [[1, {"choice": ["a"]}]]}, ("mixture", 0, 1), "numbers, not words", "", False),
        ({"normal": [{"choice": ["a"]}, 1]}, ("normal", 0), "must be a number (got words)", "", False),
        ({"empirical": {"file": "a.csv"}}, ("empirical",), "lacks column", "", False),
        ({"empirical": {"values": [], "how": "linear"}}, ("empirical", "values"), "list of figures", "", False),
        ({"empirical": {"values": [1], "how": "step"}}, ("empirical", "how"), "linear", "", False),
        ({"empirical": {"values": [1], "colum": "x"}}, ("empirical", "colum"), "no argument", "", True),
        ({"expr": [1]}, ("expr",), "must be an expression", "", False),
        ({"constant": "a + b"}, ("constant",), "a constant is", "expr", False),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place_and_a_way_out(tree, path, message, hint, at_key):
    ((found_path, found, found_hint, found_at_key),) = problems(tree)
    assert (found_path, found_at_key) == (path, at_key)
    assert message in found
    assert hint in found_hint


def test_all_mistakes_come_at_once():
    tree = {"mixture": [[0, {"normal": ["3 mz", {"gama": [1, 2]}]}], [1, {"uniform": [2, 1]}], 3]}
    assert [problem[0] for problem in problems(tree)] == [
        ("mixture", 0, 0),
        ("mixture", 0, 1, "normal", 0),
        ("mixture", 0, 1, "normal", 1, "gama"),
        ("mixture", 1, 1, "uniform", 0),
        ("mixture", 2),
    ]


def test_nesting_has_an_end():
    tree: Any = 1
    for _ in range(16):
        tree = {"normal": [tree, 1]}
    assert len(parse(tree).uniforms) == 16
    assert "more than 16 deep" in problems({"normal": [tree, 1]})[0][1]


def test_dimensions_follow_from_the_arguments():
    for tree, dimension in [
        ("3 m", "length"), (3, ""), ("3 m + x", ""), ({"uniform": [0, "3 s"]}, "time"),
        ({"normal": ["x", "3 m"]}, "length"), ({"normal": ["20 degC", "2 K"]}, "temperature"),
        ({"exponential": {"rate": "3 /h"}}, "time"), ({"poisson": 3}, ""), ({"lognormal": ["18 m", 0.5]}, "length"),
        ({"normal": [{"uniform": ["1 m", "2 m"]}, 1]}, "length"), ({"choice": {"3 m": 1, 4: 1}}, "length"),
        ({"mixture": [[1, 0], [1, {"uniform": ["1 m", "2 m"]}]]}, "length"),
        ({"empirical": {"values": ["3 m", 4]}}, "length"),
    ]:  # fmt: skip
        assert parse(tree).dimension == dimension, tree


NUMBERS = st.one_of(st.integers(-1000, 1000), st.floats(-1e9, 1e9), st.sampled_from(["3 m", "2.5 km", "7 m"]))
POSITIVE = st.one_of(st.integers(1, 1000), st.floats(1e-6, 1e6))


def _laws(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Trees of all kinds; arguments with a rule satisfy it with a margin or are expressions."""
    scale = st.one_of(POSITIVE, st.sampled_from(["$a", "a + 2 * b_c"]))
    kinds: list[st.SearchStrategy[Any]] = [
        st.tuples(inner, scale).map(lambda t: {"normal": [*t]}),
        st.tuples(inner, scale).map(lambda t: {"truncnormal": [*t, -1e10, 1e10]}),
        st.tuples(scale, scale).map(lambda t: {"weibull": {"scale": t[0], "shape": t[1]}}),
        st.tuples(scale, scale).map(lambda t: {"gamma": {"mean": t[0], "sd": t[1]}}),
        st.tuples(scale, scale).map(lambda t: {"lognormal": {"mean": t[0], "sd": t[1]}}),
        st.tuples(scale, scale).map(lambda t: {"beta": [*t]}),
        scale.map(lambda x: {"exponential": {"rate": x}}),
        scale.map(lambda x: {"poisson": x}),
        NUMBERS.map(lambda x: {"constant": x}),
        st.just({"triangular": [0, "a", 1]}),
        st.lists(st.tuples(POSITIVE, inner), min_size=1, max_size=3).map(
            lambda p: {"mixture": [[*pair] for pair in p]}
        ),
        st.dictionaries(st.integers(-9, 9).map(str) | st.floats(10, 99), POSITIVE, min_size=1).map(
            lambda d: {"choice": d}
        ),
        st.lists(NUMBERS, min_size=1, max_size=4).map(lambda v: {"empirical": {"values": v, "how": "steps"}}),
    ]
    named = st.one_of(kinds)
    return named | st.tuples(named, st.text(min_size=1, max_size=5)).map(lambda t: {**t[0], "source": t[1]})


TREES = st.recursive(NUMBERS | st.sampled_from(["a", "$b_c", "a - 3 m"]), _laws, max_leaves=8)
JUDGE = jsonschema.Draft202012Validator({"$ref": "#/$defs/Distribution", "$defs": {"Distribution": schema()}})


@settings(max_examples=150, deadline=None)
@given(TREES, st.integers(0, 2**32))
def test_dumped_and_read_again_it_is_equal_draws_equal_and_keeps_the_schema(tree, seed):
    spec = parse(tree)
    dumped = spec.dump()
    again = parse(json.loads(json.dumps(dumped)))
    assert again == spec
    assert hash(again) == hash(spec)
    assert again.dump() == dumped
    assert again.uniforms == spec.uniforms
    assert len(set(spec.uniforms)) == len(spec.uniforms)
    JUDGE.validate(json.loads(json.dumps(dumped)))
    JUDGE.validate(json.loads(json.dumps(tree)))
    values = {"a": np.array([0.5, 0.75]), "b_c": np.array([1.0, 2.0])}
    drawn = []
    for each in (spec, again):
        try:
            drawn.append(each.sample(np.random.default_rng(seed), 2, values))
        except RunError as error:  # a drawn mean of a Poisson below 0, say
            drawn.append(str(error))
    np.testing.assert_array_equal(drawn[0], drawn[1])


def test_the_schema_is_a_schema_and_refuses_what_the_language_has_not():
    jsonschema.Draft202012Validator.check_schema(JUDGE.schema)
    for tree in [
        {"lognormall": [1, 2]}, {"normal": [1, 2], "uniform": [1, 2]}, {"source": "x"}, None, True, [1],
        {"normal": [1]}, {"beta": [1, 2, 3, 4, 5]},
        {"normal": {"mean": 1}}, {"normal": {"mean": 1, "sigma": 1, "sd": 1}}, {"normal": "3"}, {"choice": {}},
        {"choice": {"a": 0}}, {"mixture": [[1, 2, 3]]}, {"mixture": []}, {"empirical": {"file": "a.csv"}},
        {"empirical": {"values": [1], "how": "step"}}, {"lognormal": {"mean": 1, "sigma": 1}},
    ]:  # fmt: skip
        assert not JUDGE.is_valid(tree), tree
        problems(tree)
    for kind in KINDS:
        assert f'"{kind}"' in json.dumps(JUDGE.schema)
    assert schema(ref="#/x")["properties"]["beta"]["anyOf"][0]["items"] == {"$ref": "#/x"}


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([*KINDS, "3 m", "$a"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*KINDS, "source", "mean", "sigma", "file", "column", "values", "how"]), inner, max_size=3
        )
        | st.dictionaries(st.text(max_size=4) | st.integers() | st.floats(), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=400, deadline=None)
@given(JUNK)
def test_whatever_is_read_gives_a_spec_or_a_tree_of_problems(tree):
    try:
        spec = parse(tree, Path("/nonexistent"))
    except TreeError as error:
        found = error.problems
    else:
        found = []
        assert parse(spec.dump()) == spec
    for path, message, hint, at_key, _ in found:
        assert message
        assert isinstance(hint, str)
        place: Any = tree
        for part in path:  # every place that is named exists
            place = place[part]
        assert not at_key or path


def test_reading_imports_neither_numpy_nor_scipy():
    code = (
        "import sys; from mischance.language.distributions.parsing import parse, schema; schema();"
        "s = parse({'mixture': [[1, {'truncnormal': ['3 m', {'gamma': [2, 3]}, 0, '9 m']}], [1, 'x + 1']]});"
        "s.typical({'x': 2.0}); s.dump(); s.uniforms;"
        "print([m for m in ('numpy', 'scipy', 'pandas', 'pyarrow', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_drawing_does_not_import_scipy_stats():
    code = (
        "import sys; from mischance.language.distributions.parsing import parse; import numpy as np;"
        "parse({'gamma': [2, 3]}).sample(np.random.default_rng(0), 3); print('scipy.stats' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_specs_travel_between_processes_and_are_frozen():
    import pickle

    for tree in ("x + 1", {"normal": [{"uniform": [0, 1]}, "s"]}, {"choice": {"a": 1, "b": 2}}):
        spec = parse(tree)
        assert pickle.loads(pickle.dumps(spec)) == spec
        with pytest.raises(AttributeError):
            spec.source = "x"  # type: ignore[misc]
    with pytest.raises(TreeError) as caught:
        parse({"normal": [1]})
    assert pickle.loads(pickle.dumps(caught.value)).problems[0].path == ("normal",)


def test_public_names():
    assert all(hasattr(distributions, name) for name in distributions.__all__)
    assert list(itertools.chain(LAWS, ["constant"])) == [k for k in KINDS if k in {*LAWS, "constant"}]
