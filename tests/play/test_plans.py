"""Laws of plans and of correlation: what a grid covers, what is stratified, what stays as it was, what is claimed."""

from __future__ import annotations

import importlib
import json
import math
import shutil
import subprocess
import sys
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from scipy.stats import qmc

from mischance.api.randomness import run_uniform
from mischance.errors import RunError, ScenarioError
from mischance.estimate.probability import FEWEST, Sample, event_probability
from mischance.language.checks.plans import cholesky
from mischance.language.loading import load
from mischance.language.scenario import Correlation, Plan
from mischance.play import plans, sampling
from mischance.play.healthy import _spread_out
from mischance.play.sampling import acceptance, draw
from mischance.sweep.jobs import sweep
from mischance.sweep.progress import Interrupted
from mischance.sweep.suite import run_suite
from tests.shell import mischance
from tests.support import PLUGINS, wander

WANDER = str(PLUGINS / "wander.yaml")
N = 20_000
SEEDS = st.integers(0, 2**62)
MIXED = "{noise: {uniform: [0.2, 0.9]}, strength: {lognormal: {median: 3.0, sigma: 0.3}}, other: {normal: [0, 1]}}"
PAIRS = "{gaussian: [[noise, strength, -0.6], [strength, other, 0.5]]}"


def column(draws, name):
    return np.array([d.values[name] for d in draws])


def spread(kind, size, dimensions, blocks=1, seed=7):
    """Return the points of some blocks; shape (blocks, size, dimensions)."""
    names = [f"vary.x{i}" for i in range(dimensions)]
    found = plans.spread(Plan(kind, size), names, np.arange(blocks * size), seed)
    return np.stack([found[name] for name in names], axis=1).reshape(blocks, size, dimensions)


# -- grids ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
@settings(deadline=None)
def test_a_grid_covers_every_combination_once_a_round_and_the_last_name_goes_fastest(lengths: list[int]):
    axes = {f"x{i}": tuple(float(10 * i + j) for j in range(length)) for i, length in enumerate(lengths)}
    size = math.prod(lengths)
    found = Plan("grid", size, axes).columns(np.arange(2 * size))
    rows = list(zip(*(found[name].tolist() for name in axes), strict=True))
    assert rows == 2 * list(product(*axes.values()))


def test_a_grid_sets_its_values_and_leaves_the_others_to_the_run():
    changes = {"vary__mood": "{choice: [calm, wild]}", "vary__gap": "{uniform: [5 m, 9 m]}", "vary__twice": "2 * gap"}
    plain = draw(wander(**changes), range(8))
    planned = draw(wander(**changes, plan="{grid: {mood: [wild, calm], gap: [6 m, 700 cm]}}"), range(8))
    assert [(d.values["mood"], d.values["gap"]) for d in planned] == 2 * [*product(("wild", "calm"), (6.0, 7.0))]
    np.testing.assert_array_equal(column(planned, "twice"), 2 * column(planned, "gap"))
    for name in ("noise", "strength"):
        np.testing.assert_array_equal(column(planned, name), column(plain, name))
    assert [d.faults for d in planned] == [d.faults for d in plain]


def test_the_healthy_runs_of_a_band_see_all_of_a_grid():
    values = [round(0.2 + i / 100, 2) for i in range(8)]
    scenario = wander(plan=f"{{grid: {{noise: {values}, strength: {list(range(1, 17))}}}}}")
    draws = draw(scenario, _spread_out(scenario))
    assert set(column(draws, "noise")) == set(values)
    assert set(column(draws, "strength")) == set(range(1, 17))
    assert _spread_out(wander()).tolist() == list(range(16))


def test_a_value_that_a_gymnasium_run_holds_wins_over_the_grid():
    environment = pytest.importorskip("gymnasium") and importlib.import_module("mischance.gym.environment")
    scenario = wander(plan="{grid: {noise: [0.3, 0.5, 0.7], strength: [1, 2]}}")
    held = draw(environment._with_values(scenario, {"noise": 0.4}), range(6))
    assert set(column(held, "noise")) == {0.4}
    np.testing.assert_array_equal(column(held, "strength"), column(draw(scenario, range(6)), "strength"))


def test_points_that_break_a_constraint_by_themselves_are_left_out_and_other_values_are_redrawn():
    scenario = wander(
        vary__twice="2 * noise",
        constraints="[twice > 0.7 and twice < 1.7, strength > 10 * noise - 1]",
        plan="{grid: {noise: [0.3, 0.4, 0.5, 0.9]}}",
    )
    assert scenario.plan is not None
    assert scenario.plan.size == 2
    draws = draw(scenario, range(2_000))
    assert column(draws, "noise").tolist() == [0.4, 0.5] * 1_000
    for noise in (0.4, 0.5):
        kept = np.array([d.values["strength"] for d in draws if d.values["noise"] == noise])
        law = stats.lognorm(0.3, scale=3.0)
        assert kept.min() > 10 * noise - 1
        below = law.cdf(10 * noise - 1)
        assert stats.kstest((law.cdf(kept) - below) / (1 - below), "uniform").pvalue > 1e-4
    assert {d.log_weight for d in draws} == {0.0}  # no sample of a population: constraints are in no weight


def test_a_grid_of_which_nothing_is_left_is_an_error_and_an_impossible_point_names_itself(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sampling, "ATTEMPTS", 300)  # ten thousand take seconds
    with pytest.raises(ScenarioError, match=r"plan\.grid: no point of the grid keeps 'noise > 0\.4'"):
        wander(plan="{grid: {noise: [0.3]}}", constraints="[noise > 0.4]")
    scenario = wander(plan="{grid: {noise: [0.3, 0.4]}}", constraints="[strength > 1e9 * (noise - 0.3)]")
    draw(scenario, [0])
    with pytest.raises(RunError, match=r"run 1: no draw in .* with noise = 0\.4"):
        draw(scenario, [0, 1])


# -- Latin hypercubes and Sobol points --------------------------------------------------------------------------------


@given(st.integers(1, 70), st.integers(1, 4), SEEDS)
@settings(deadline=None)
def test_a_latin_hypercube_has_one_point_in_each_stratum_of_each_dimension_of_each_block(
    size: int, dimensions: int, seed: int
):
    points = spread("lhs", size, dimensions, 3, seed)
    cells = np.sort(np.floor(points * size).astype(int), axis=1)
    assert (cells == np.arange(size)[None, :, None]).all()
    assert ((points > 0) & (points < 1)).all()


def test_blocks_dimensions_and_seeds_of_a_hypercube_are_independent():
    points = spread("lhs", 2_000, 3, 2)
    columns = [*points[0].T, *points[1].T, *spread("lhs", 2_000, 3, 1, 8)[0].T]
    for i, j in product(range(len(columns)), repeat=2):
        if i < j:
            assert abs(np.corrcoef(columns[i], columns[j])[0, 1]) < 5 / np.sqrt(2_000)


@pytest.mark.parametrize(("dimensions", "bits"), [(1, 0), (1, 1), (2, 4), (5, 9), (60, 6)])
def test_unscrambled_points_are_those_of_scipy(dimensions: int, bits: int):
    mine = plans._sobol(dimensions, 2**bits, np.arange(2**bits)).T / 2**bits
    np.testing.assert_array_equal(mine, qmc.Sobol(dimensions, scramble=False).random_base2(bits))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 8), SEEDS)
def test_scrambled_points_are_a_net_still(bits: int, seed: int):
    """Every elementary box of the first two dimensions holds one point: a (0, m, 2)-net, however it is cut."""
    for points in spread("sobol", 2**bits, 2, 2, seed):
        for first in range(bits + 1):
            boxes = np.floor(points * [2**first, 2 ** (bits - first)]).astype(int)
            assert len({tuple(box) for box in boxes.tolist()}) == 2**bits


@pytest.mark.parametrize("kind", ["lhs", "sobol"])
def test_every_point_alone_is_uniform_and_blocks_are_independent(kind: str):
    points = spread(kind, 8, 2, 3_000)
    for k in (0, 5):
        for dimension in (0, 1):
            assert stats.kstest(points[:, k, dimension], "uniform").pvalue > 1e-4
        assert abs(np.corrcoef(points[:, k].T)[0, 1]) < 4 / np.sqrt(len(points))
        assert abs(np.corrcoef(points[:-1, k, 0], points[1:, k, 0])[0, 1]) < 4 / np.sqrt(len(points))


def rms(means, exact):
    return float(np.sqrt(np.mean((np.asarray(means) - exact) ** 2)))


def test_both_integrate_what_they_are_good_at_better_than_monte_carlo():
    """A smooth product in four dimensions for Sobol points, a sum for hypercubes; 30 blocks of 512."""
    chance = np.random.default_rng(3).random((30, 512, 4))

    def smooth(u):
        return np.prod(1 + 2 * (u - 0.5), axis=-1).mean(axis=-1)

    def added(u):
        return np.exp(u).sum(axis=-1).mean(axis=-1)

    sobol, cube = spread("sobol", 512, 4, 30), spread("lhs", 512, 4, 30)
    assert rms(smooth(sobol), 1.0) < rms(smooth(chance), 1.0) / 10
    assert rms(added(cube), 4 * (math.e - 1)) < rms(added(chance), 4 * (math.e - 1)) / 50


@pytest.mark.parametrize("plan", ["{lhs: 37}", "{sobol: 32}", "{grid: {noise: [0.3, 0.7], other: [1, 2, 3]}}"])
def test_a_run_is_drawn_alike_alone_and_among_others(plan: str):
    scenario = wander(vary=MIXED, plan=plan, correlate=PAIRS, constraints="[strength < 4]")
    runs = np.array([5, 3, 40, 100, 18_231])
    together = draw(scenario, runs)
    assert together == [draw(scenario, [run])[0] for run in runs]
    assert together[:2] == [draw(scenario, range(50))[k] for k in (5, 3)]


@pytest.mark.parametrize("plan", ["{lhs: 16}", "{sobol: 16}", "{grid: {noise: [0.3, 0.7]}}"])
def test_a_further_name_changes_nobody_else(plan: str):
    fewer = draw(wander(plan=plan), range(40))
    more = draw(wander(plan=plan, vary__extra="{uniform: [0, 1]}"), range(40))
    for name in ("noise", "strength"):
        np.testing.assert_array_equal(column(more, name), column(fewer, name))
    assert [d.faults for d in more] == [d.faults for d in fewer]


def test_a_further_name_may_stand_anywhere_in_a_hypercube():
    rest = "noise: {uniform: [0.2, 0.9]}, strength: {lognormal: {median: 3.0, sigma: 0.3}}"
    before, after = (wander(plan="{lhs: 16}", vary=f"{{{more}{rest}}}") for more in ("", "extra: {uniform: [0, 1]}, "))
    assert next(iter(after.vary)) == "extra"
    np.testing.assert_array_equal(column(draw(before, range(20)), "noise"), column(draw(after, range(20)), "noise"))


@pytest.mark.parametrize("plan", ["{lhs: 64}", "{sobol: 64}"])
def test_a_point_that_breaks_a_constraint_is_drawn_again_without_bias(plan: str):
    scenario = wander(plan=plan, constraints="[noise + strength / 10 > 0.8]")
    plain = wander(constraints="[noise + strength / 10 > 0.8]")
    draws = draw(scenario, range(64 * 60))
    assert min(column(draws, "noise") + column(draws, "strength") / 10) > 0.8
    assert {d.log_weight for d in draws} == {math.log(acceptance(plain, plain.seed).rate)}
    elsewhere = draw(plain, range(10**6, 10**6 + N))
    for name in ("noise", "strength"):
        assert stats.ks_2samp(column(draws, name), column(elsewhere, name)).pvalue > 1e-4
    # what was kept at once is where Monte Carlo's redraws would never put all of it: still in its stratum
    free = draw(wander(plan=plan), range(64))
    kept = [i for i, d in enumerate(free) if d.values["noise"] + d.values["strength"] / 10 > 0.8]
    assert 0 < len(kept) < 64
    assert all(draws[i].values == free[i].values for i in kept)


def test_forced_faults_keep_their_weights_under_a_plan():
    scenario = wander(plan="{lhs: 500}", faults__0__chance="0.01", faults__0__forced="0.5", faults__1__chance="0")
    draws = draw(scenario, range(N))
    happened = np.array([len(d.faults) > 0 for d in draws])
    estimate = np.exp([d.log_weight for d in draws]) * happened
    assert abs(happened.mean() - 0.5) < 4 * 0.5 / np.sqrt(N)
    assert abs(estimate.mean() - 0.01) < 4 * estimate.std() / np.sqrt(N)


# -- correlation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", ["{}", "{lhs: 1000}", "{sobol: 1024}"])
def test_correlations_are_those_asked_for_and_marginals_are_as_they_were(plan: str):
    """Normal scores have the given correlation; Spearman's is 6/π asin(ρ/2) (Kruskal 1958)."""
    draws = draw(wander(vary=MIXED, correlate=PAIRS, plan=plan), range(N))
    laws = {"noise": stats.uniform(0.2, 0.7), "strength": stats.lognorm(0.3, scale=3.0), "other": stats.norm()}
    scores = {}
    for name, law in laws.items():
        assert stats.kstest(column(draws, name), law.cdf).pvalue > 1e-4
        scores[name] = stats.norm.ppf(law.cdf(column(draws, name)))
    for one, other, rho in (("noise", "strength", -0.6), ("strength", "other", 0.5), ("noise", "other", 0.0)):
        found = np.corrcoef(scores[one], scores[other])[0, 1]
        assert abs(found - rho) < 4 * (1 - rho**2) / np.sqrt(N)
        ranks = stats.spearmanr(column(draws, one), column(draws, other)).statistic
        expected = 6 / math.pi * math.asin(rho / 2)
        assert abs(ranks - expected) < 4 * 1.06 / np.sqrt(N)


def test_what_is_correlated_with_nothing_before_it_stays_to_the_bit():
    changes = {"vary__calm": "{normal: [0, 1]}", "vary__wild": "{normal: [0, 1]}", "vary__lone": "{normal: [0, 1]}"}
    plain = draw(wander(**changes), range(200))
    one = draw(wander(**changes, correlate="{gaussian: [[noise, strength, 0.5]]}"), range(200))
    two = draw(wander(**changes, correlate="{gaussian: [[noise, strength, 0.5], [calm, wild, -0.9]]}"), range(200))
    for name in ("noise", "calm", "wild", "lone"):
        np.testing.assert_array_equal(column(one, name), column(plain, name))
    np.testing.assert_array_equal(column(two, "strength"), column(one, "strength"))
    for name in ("noise", "calm", "lone"):
        np.testing.assert_array_equal(column(two, name), column(plain, name))
    assert (column(two, "wild") != column(plain, "wild")).all()
    onsets = [[(fault.kind, fault.onset, fault.end) for d in draws for fault in d.faults] for draws in (plain, two)]
    assert onsets[0] == onsets[1]


def test_a_value_that_is_set_does_not_pull_the_others():
    base = wander(correlate="{gaussian: [[noise, strength, 0.8]]}")
    fixed = wander(correlate="{gaussian: [[noise, strength, 0.8]]}", vary__noise="0.3")
    grid = wander(correlate="{gaussian: [[noise, strength, 0.8]]}", plan="{grid: {noise: [0.3, 0.7]}}")
    expected = column(draw(base, range(100)), "strength")
    for other in (fixed, grid):
        np.testing.assert_array_equal(column(draw(other, range(100)), "strength"), expected)


def test_a_law_whose_argument_is_drawn_and_a_law_that_counts_can_be_correlated():
    scenario = wander(
        vary__number="{poisson: 4}",
        vary__nested="{normal: [{uniform: [0, 1]}, 0.1]}",
        correlate="{gaussian: [[noise, number, 0.3], [noise, nested, 0.9]]}",
    )
    plain = wander(vary__number="{poisson: 4}", vary__nested="{normal: [{uniform: [0, 1]}, 0.1]}")
    draws, before = draw(scenario, range(N)), draw(plain, range(N))
    counts = np.bincount(column(draws, "number").astype(int), minlength=12)[:12]
    expected = stats.poisson(4).pmf(np.arange(12)) * N
    rest = (N - counts.sum(), N - expected.sum())
    assert stats.chisquare(np.append(counts, rest[0]), np.append(expected, rest[1])).pvalue > 1e-4
    assert stats.ks_2samp(column(draws, "nested"), column(before, "nested")).pvalue > 1e-4
    # latent normal scores are correlated by 0.9 whatever the arguments are
    inner = run_uniform(scenario.seed, "vary.nested.mean", range(N))
    own = (column(draws, "nested") - inner) / 0.1
    score = special.ndtri((column(draws, "noise") - 0.2) / 0.7)
    assert abs(np.corrcoef(own, score)[0, 1] - 0.9) < 4 * 0.19 / np.sqrt(N)


@given(st.floats(-0.99, 0.99), SEEDS)
@settings(deadline=None, max_examples=30)
def test_extreme_uniforms_stay_inside_the_unit_interval(rho: float, seed: int):
    ends = np.array([2.0**-53, 1 - 2.0**-53, 0.5, 1e-300])
    rows = cholesky(("a", "b"), {frozenset("ab"): rho})
    one, two = plans.correlated(Correlation(("a", "b"), rows), [ends, ends[::-1].copy()])
    np.testing.assert_array_equal(one, ends)
    assert ((two >= 0) & (two <= 1)).all()


def test_a_plan_survives_being_written_out(tmp_path: Path):
    for plan in ("{grid: {noise: [30 %, 0.7], mood: [wild]}}", "{lhs: 12}", "{sobol: 16}"):
        changes = {"vary__mood": "{choice: [calm, wild]}", "constraints": "[noise < 0.5]"}
        scenario = wander(**changes, plan=plan, correlate="{gaussian: [[strength, noise, 0.25]]}")
        for name, path in scenario.files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(path, tmp_path / name)
        (tmp_path / "scenario.yaml").write_text(scenario.text())
        again = load(tmp_path / "scenario.yaml")
        assert (again.plan, again.correlation, again.text()) == (scenario.plan, scenario.correlation, scenario.text())
        assert [d.values for d in draw(again, range(9))] == [d.values for d in draw(scenario, range(9))]


# -- what is said of the event ----------------------------------------------------------------------------------------


def sample(hit, plan=None, runs=None) -> Sample:
    """Return runs of equal weight as a sample."""
    n = len(hit)
    number = np.arange(n) if runs is None else runs
    return Sample(
        number, np.asarray(hit, bool), np.ones(n), np.zeros(n, bool), np.zeros(n, int), np.ones(1), plan=plan
    )  # fmt: skip


def test_a_grid_has_a_share_and_no_probability():
    found = event_probability(sample([1, 0, 0, 1], Plan("grid", 4)))
    assert (found.count, found.runs, found.share) == (2, 4, 0.5)
    assert found.probability is found.low is found.high is None


@pytest.mark.parametrize("kind", [pytest.param("lhs", marks=pytest.mark.slow), "sobol"])
def test_an_interval_over_blocks_covers_and_is_no_wider_than_needed(kind: str):
    """u0 + u1 / 4 > 1 has probability 1/8; eight blocks of 64, 200 times over."""
    plan, blocks, repeats = Plan(kind, 64), 8, 200
    points = spread(kind, 64, 2, blocks * repeats).reshape(repeats, blocks * 64, 2)
    found = [event_probability(sample(p[:, 0] + p[:, 1] / 4 > 1, plan)) for p in points]
    given_ = [f for f in found if f.low is not None]
    assert len(given_) > 0.95 * repeats
    covered = np.mean([f.low <= 0.125 <= f.high for f in given_])
    assert covered > 0.95 - 4 * math.sqrt(0.95 * 0.05 / repeats)
    chance = np.random.default_rng(5).random((20, blocks * 64, 2))
    exact = [event_probability(sample(p[:, 0] + p[:, 1] / 4 > 1)) for p in chance]
    width = [np.mean([f.high - f.low for f in group]) for group in (given_, exact)]
    assert width[0] < width[1] / 1.5
    estimates = [f.probability for f in found]
    assert abs(np.mean(estimates) - 0.125) < 4 * np.std(estimates) / np.sqrt(repeats)


def test_where_there_is_no_honest_interval_there_is_none():
    plan = Plan("lhs", 50)
    hits = np.arange(100) % 4 == 0  # 13 in one block, 12 in the other
    cases = {
        "one block": (hits[:50], None, "one block of 50"),
        "one block and a part": (hits[:99], None, "one block of 50"),
        "too few": (np.arange(100) % 12 == 0, None, f"fewer than {FEWEST} runs with the event"),
        "too many": (np.arange(100) % 12 != 0, None, f"fewer than {FEWEST} runs without the event"),
        "no difference": (np.arange(100) % 50 < 10, None, "the blocks do not differ"),
        "a run is missing": (hits[1:], np.arange(1, 100), "one block of 50"),
    }
    for name, (hit, runs, words) in cases.items():
        found = event_probability(sample(hit, plan, runs))
        assert found.low is found.high is None, name
        assert words in found.interval, name
        assert found.probability == pytest.approx(np.mean(hit)), name
    found = event_probability(sample(np.append(hits, [True] * 7), plan))  # a block that is begun: left out
    assert found.probability == 0.25
    assert found.low < 0.25 < found.high
    assert (found.count, found.runs) == (32, 107)


# -- sweeps -----------------------------------------------------------------------------------------------------------

SWEPT = ("--set", "write=[parquet]", "--set", "faults.0.chance=0.7", "--workers", "1")
GRID = "plan={grid: {noise: [0.3, 0.8], strength: [2, 3, 4]}}"


def test_a_sweep_goes_over_the_points_of_the_plan_where_nobody_says_how_many(tmp_path: Path):
    out = tmp_path / "grid"
    done = mischance("sweep", WANDER, *SWEPT, "--set", GRID, "--out", out, "--no-preview")
    assert done.returncode == 0, done.stderr
    assert "crossing: in " in done.stderr
    assert "of 6 runs over the 6 points of a grid" in done.stderr
    assert "probability" not in done.stderr.replace("that is no probability", "")
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["plan"] == {"kind": "grid", "runs": 6, "points": 6}
    card = (out / "README.md").read_text()
    assert "6 of 6 runs (a grid of 6 points)" in card
    assert "their share is no probability" in card
    rows = pq.read_table(out / "runs").to_pydict()
    assert list(zip(rows["noise"], rows["strength"], strict=True)) == [*product((0.3, 0.8), (2.0, 3.0, 4.0))]
    facts = json.loads(mischance("sweep", WANDER, *SWEPT, "--set", GRID, "--out", out, "--json").stdout)
    assert facts["event"]["probability"] is None
    assert facts["plan"] == {"kind": "grid", "points": 6}


@pytest.mark.parametrize(
    ("plan", "asked", "runs"), [("{lhs: 12}", (), 12), ("{sobol: 8}", ("--runs", "3"), 3), ("{}", (), 100)]
)
def test_how_many_runs_are_meant(plan: str, asked: tuple[str, ...], runs: int, tmp_path: Path):
    command = ("sweep", WANDER, *SWEPT, "--set", f"plan={plan}", *asked, "--dry-run", "--json")
    assert json.loads(mischance(*command, cwd=tmp_path).stdout)["runs"] == runs


def test_a_suite_plays_a_plan_over_all_its_points(tmp_path: Path):
    plan = {"plan": "{grid: {noise: [0.3, 0.5, 0.8]}}", "write": "[parquet]"}
    assert len(run_suite([WANDER], tmp_path / "grid", references=(), overrides=plan).cases) == 3
    assert len(run_suite([WANDER], tmp_path / "two", references=(), overrides=plan, runs=2).cases) == 2
    assert len(run_suite([WANDER], tmp_path / "none", references=(), overrides={"write": "[parquet]"}).cases) == 10


@pytest.mark.parametrize(
    "plan",
    [
        "{sobol: 16}",
        *(
            pytest.param(plan, marks=pytest.mark.slow)
            for plan in ("{lhs: 16}", "{grid: {noise: [0.3, 0.5, 0.8], other: [1, 2]}}")
        ),
    ],
)
def test_a_sweep_over_a_plan_is_the_same_with_two_workers_and_resumed(plan: str, tmp_path: Path):
    scenario = wander(write="[parquet]", vary=MIXED, plan=plan, correlate=PAIRS, constraints="[strength < 4]")
    whole = sweep(scenario, 40, tmp_path / "whole", workers=0, shard=16)
    assert whole.ok
    two = sweep(scenario, 40, tmp_path / "two", workers=2, shard=16)

    def stop(now):
        if now.done:
            raise Interrupted(tmp_path / "resumed", now.done, now.total)

    with pytest.raises(Interrupted):
        sweep(scenario, 40, tmp_path / "resumed", workers=0, shard=16, progress=stop)
    assert not (tmp_path / "resumed" / "manifest.json").exists()
    resumed = sweep(scenario, 40, tmp_path / "resumed", workers=0, shard=16)
    assert 0 < resumed.fresh < 40
    manifests = {(result.path / "manifest.json").read_bytes() for result in (whole, two, resumed)}
    assert len(manifests) == 1


def test_blocks_follow_each_other_and_differ():
    draws = draw(wander(plan="{sobol: 8}"), range(32))
    blocks = [tuple(column(draws[first : first + 8], "noise")) for first in range(0, 32, 8)]
    assert len(set(blocks)) == 4
    for one, other in pairwise(blocks):
        assert sorted(np.floor((np.array(one) - 0.2) / 0.7 * 8)) == sorted(np.floor((np.array(other) - 0.2) / 0.7 * 8))


def test_reading_a_plan_does_not_import_what_draws_it():
    changes = {"plan": "{sobol: 16}", "correlate": "{gaussian: [[noise, strength, 0.5]]}", "constraints": "[noise < 1]"}
    script = (
        f"import sys; from mischance.language.loading import load; load({WANDER!r}, {changes!r});"
        "sys.exit(any(name in sys.modules for name in ('scipy', 'pyarrow')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
