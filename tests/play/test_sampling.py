"""Laws of drawing: a run's values do not depend on its neighbours, weights recover base rates."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from mischance.api.randomness import Streams, keyed_uniform, philox, run_uniform
from mischance.errors import RunError, ScenarioError
from mischance.play import sampling
from mischance.play.sampling import acceptance, draw
from tests.support import wander

N = 20_000


def column(draws, name):
    return np.array([d.values[name] for d in draws])


def test_philox_gives_the_published_known_answers():
    """Random123's known-answer vectors for philox4x32-10."""
    zero, ones = np.zeros(1, np.uint64), np.full(1, 0xFFFFFFFF, np.uint64)
    assert [int(x[0]) for x in philox(zero, zero, zero, zero, 0, 0)] == [
        0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8
    ]  # fmt: skip
    assert [int(x[0]) for x in philox(ones, ones, ones, ones, 0xFFFFFFFF, 0xFFFFFFFF)] == [
        0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD
    ]  # fmt: skip


def test_keyed_uniforms_are_uniform_and_independent_of_each_other():
    runs = np.arange(100_000)
    a, b = run_uniform(7, "gap", runs), run_uniform(7, "speed", runs)
    assert stats.kstest(a, "uniform").pvalue > 1e-4
    for other in (b, run_uniform(8, "gap", runs), run_uniform(7, "gap", runs, 1), np.roll(a, 1)):
        assert abs(np.corrcoef(a, other)[0, 1]) < 4 / np.sqrt(len(runs))
    assert ((a > 0) & (a < 1)).all()
    np.testing.assert_array_equal(keyed_uniform(b"12345678", [9, 2**40, 3])[1:2], keyed_uniform(b"12345678", [2**40]))


def test_streams_have_names_and_a_slash_is_no_border():
    one, other = Streams(7, 1), Streams(7, 1)
    assert one("a", "b").random() == other("a", "b").random()
    assert one("a/b").random() != other("a", "b").random()
    names = list(product((1, 2), (1, 2, 12), ("x", "y"), ("", "1", "2")))
    first = {Streams(seed, run)(component, entity).random() for seed, run, component, entity in names}
    assert len(first) == len(names)


def test_a_branch_rekeys_streams_in_place():
    streams = Streams(7, 1)
    held = streams("noise")
    held.random()
    streams.rekey("left")
    again = Streams(7, 1)
    again.rekey("left")
    assert held.random() == again("noise").random()
    assert streams.uniform("row", [1])[0] == again.uniform("row", [1])[0] != Streams(7, 1).uniform("row", [1])[0]


def test_a_run_is_drawn_alike_alone_and_among_others():
    scenario = wander(constraints="[noise > 0.4]")
    runs = np.array([5, 3, 17, 100_000])
    together = draw(scenario, runs)
    assert together == [draw(scenario, [run])[0] for run in runs]


def test_constraints_are_kept_and_their_acceptance_is_in_the_weight():
    scenario = wander(constraints="[noise > 0.55, strength < 3.0]")
    draws = draw(scenario, np.arange(2_000))
    assert (column(draws, "noise") > 0.55).all()
    assert (column(draws, "strength") < 3.0).all()
    exact = 0.5 * 0.5  # the middle of the uniform, the median of the lognormal
    found = acceptance(scenario, scenario.seed)
    assert abs(found.rate - exact) < 4 * found.standard_error
    assert np.allclose([d.log_weight for d in draws], np.log(found.rate))
    assert stats.kstest(column(draws, "noise"), stats.uniform(0.55, 0.35).cdf).pvalue > 1e-4


def test_impossible_constraints_are_said_to_be_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampling, "ATTEMPTS", 300)  # ten thousand take seconds
    with pytest.raises(RunError, match=r"no draw in .* keeps 'noise > 2'"):
        draw(wander(constraints="[noise > 2]"), [0])


def test_a_chance_comes_true_at_its_rate_and_force_is_made_up_for_by_the_weight():
    plain = draw(wander(faults__1__chance="0"), np.arange(N))
    happened = np.array([len(d.faults) for d in plain])
    assert abs(happened.sum() - 0.7 * N) < 4 * np.sqrt(N * 0.7 * 0.3)
    rare = wander(faults__0__chance="0.01", faults__0__forced="0.5", faults__1__chance="0")
    draws = draw(rare, np.arange(N))
    happened = np.array([len(d.faults) > 0 for d in draws])
    weight = np.exp([d.log_weight for d in draws])
    assert abs(happened.sum() - 0.5 * N) < 4 * np.sqrt(N * 0.25)
    assert abs(weight.mean() - 1) < 4 * weight.std() / np.sqrt(N)
    estimate = weight * happened
    assert abs(estimate.mean() - 0.01) < 4 * estimate.std() / np.sqrt(N)


def test_a_rate_gives_poisson_counts():
    scenario = wander(faults="[{target: plant, kind: drift, at: {uniform: [0 s, 6 s]}, rate: 0.5 Hz}]")
    counts = np.array([len(d.faults) for d in draw(scenario, np.arange(N))])
    mean = 0.5 * 6.0
    assert abs(counts.mean() - mean) < 4 * np.sqrt(mean / N)
    expected = stats.poisson(mean).pmf(np.arange(9)) * N
    seen = np.bincount(counts, minlength=9)[:9]
    assert stats.chisquare(np.append(seen, N - seen.sum()), np.append(expected, N - expected.sum())).pvalue > 1e-4


def test_a_count_gives_that_many_faults_each_with_its_own_onset():
    scenario = wander(faults="[{target: plant, kind: drift, at: {uniform: [0 s, 6 s]}, count: 3}]")
    for d in draw(scenario, np.arange(50)):
        onsets = [fault.onset for fault in d.faults]
        assert len(set(onsets)) == 3
        assert onsets == sorted(onsets)
        assert {fault.fault_id for fault in d.faults} == {"fault:0", "fault:1", "fault:2"}


def test_variants_share_their_random_numbers():
    base, other = wander(), wander(vary__strength="{normal: [3, 0.1]}")
    np.testing.assert_array_equal(column(draw(base, [1, 2]), "noise"), column(draw(other, [1, 2]), "noise"))
    assert [f.onset for f in draw(base, [1])[0].faults] == [f.onset for f in draw(other, [1])[0].faults]


def test_a_drawn_value_outside_what_its_setting_allows_names_the_setting_and_the_run():
    scenario = wander(vary__noise="{normal: [0.1, 1.0]}")
    with pytest.raises(RunError, match=r"run \d+: simulator\.noise"):
        draw(scenario, np.arange(50))


def test_values_that_depend_on_each_other_in_a_circle_are_named():
    with pytest.raises(ScenarioError, match="noise -> strength -> noise"):
        wander(vary__noise="{uniform: [0, $strength]}", vary__strength="{expr: noise + 1}")
