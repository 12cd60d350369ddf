"""Measures and rules against plain formulas, one pair at a time, over random pairs; their defaults against a table."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator

import numpy as np
import pytest

from mischance.driving import braking, criticality, driver_rules
from mischance.driving.encounters import encounters
from tests.driving.test_encounters import rows

INF, G = math.inf, 9.81

# The published values: Mattas et al. 2020, UN R157, (EU) 2022/1426.
DEFAULTS = {
    braking.jerk_limited_smallest_gap: {"delay": 0.75, "deceleration": 0.774 * G, "jerk": 12.65},
    braking.stopping_distance: {"delay": 0.0, "jerk": INF, "gravity": G},
    braking.required_deceleration: {"lead_acceleration": 0.0},
    braking.modified_time_to_collision: {"acceleration": 0.0, "lead_acceleration": 0.0},
    braking.time_to_brake: {"deceleration": 0.774 * G, "lead_acceleration": 0.0, "delay": 0.0, "jerk": INF},
    criticality.required_lateral_acceleration: {"lateral_speed": 0.0, "other_lateral_acceleration": 0.0},
    criticality.available_acceleration: {"used": 0.0, "limit": INF, "gravity": G},
    criticality.time_to_steer: {"lateral_speed": 0.0, "other_lateral_acceleration": 0.0, "delay": 0.0},
    driver_rules.rss_longitudinal_distance: {
        "response_time": 0.75, "max_acceleration": 3.0, "min_braking": 6.0, "max_lead_braking": 6.0,
    },
    driver_rules.rss_lateral_distance: {
        "response_time": 0.75, "max_acceleration": 1.0, "min_braking": 1.0, "fluctuation": 0.3,
    },
    driver_rules.proactive_fuzzy_safety: {
        "delay": 0.75, "comfort_braking": 4.0, "max_braking": 6.0, "max_lead_braking": 7.0, "margin": 2.0,
    },
    driver_rules.critical_fuzzy_safety: {
        "acceleration": 0.0, "delay": 0.75, "comfort_braking": 4.0, "max_braking": 6.0,
    },
    driver_rules.fsm_deceleration: {"comfort_braking": 4.0, "max_braking": 6.0},
    driver_rules.fsm_lateral_check: {"margin": 0.1},
    driver_rules.r157_cut_in_avoidable_ttc: {"deceleration": 6.0, "delay": 0.35},
    driver_rules.eu_2022_1426_cut_in_ttc: {"deceleration": 6.0, "build_up": 0.3},
    encounters: {"actor": "ego", "friction": 0.8, "brakes": 10.0},
}  # fmt: skip


@pytest.mark.parametrize("function", DEFAULTS, ids=lambda function: function.__name__)
def test_defaults_are_the_published_ones(function):
    given = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty
    }
    assert given == DEFAULTS[function]


def cases(n: int, seed: int, *ranges: tuple[float, float]) -> Iterator[tuple[float, ...]]:
    rng = np.random.default_rng(seed)
    for _ in range(n):
        yield tuple(float(rng.uniform(*bounds)) for bounds in ranges)


# -- gaps and times ----------------------------------------------------------------------------------------------------


def test_one_lane_measures_by_hand():
    for gap, closing, speed in cases(200, 1, (-5, 60), (-20, 20), (-5, 40)):
        touch = gap <= 0
        assert criticality.time_to_collision(gap, closing) == (0 if touch else gap / closing if closing > 0 else INF)
        assert criticality.time_headway(gap, speed) == (0 if touch else gap / speed if speed > 0 else INF)
        drac = 0 if closing <= 0 else INF if touch else closing**2 / (2 * gap)
        assert criticality.deceleration_rate_to_avoid_crash(gap, closing) == pytest.approx(drac, rel=1e-12)
        psd = 0 if touch else gap / (speed**2 / (2 * 6.5)) if speed > 0 else INF
        assert criticality.proportion_of_stopping_distance(gap, speed, 6.5) == pytest.approx(psd, rel=1e-12)


def test_proportion_of_stopping_distance_is_one_at_the_last_moment():
    """20 m/s at 5 m/s2 take 40 m: 60 m are 1.5 times that, 40 m just enough, 10 m a quarter."""
    got = criticality.proportion_of_stopping_distance([60.0, 40.0, 10.0, 0.0, 5.0], [20.0, 20.0, 20.0, 20.0, 0.0], 5.0)
    assert got.tolist() == [1.5, 1.0, 0.25, 0.0, INF]


def test_picud_is_the_gap_after_both_have_stopped():
    for gap, v, w, b, delay in cases(50, 2, (0, 60), (0, 40), (0, 40), (2, 9), (0, 2)):
        t = np.linspace(0.0, 30.0, 300_001)
        own = np.trapezoid(np.clip(v - b * np.maximum(t - delay, 0.0), 0.0, None), t)
        other = np.trapezoid(np.clip(w - b * t, 0.0, None), t)
        left = criticality.picud(gap, v, w, deceleration=b, reaction_time=delay)
        assert left == pytest.approx(gap + other - own, abs=1e-3)


def test_no_deceleration_is_required_behind_who_is_not_slower():
    for gap, v, faster in cases(50, 3, (0.1, 60), (0, 40), (0, 10)):
        for acceleration in (0.0, 1.0):
            assert braking.required_deceleration(gap, v, v + faster, acceleration) == 0.0
    assert braking.required_deceleration(INF, 20.0, 10.0) == 0.0
    assert braking.required_deceleration(0.0, 20.0, 10.0) == INF
    assert braking.required_deceleration(30.0, 20.0, -5.0) == INF


def test_available_acceleration_is_a_circle_with_a_limit():
    for mu, used, limit in cases(100, 4, (0.05, 1.2), (0, 14), (1, 12)):
        left = math.sqrt(max((mu * G) ** 2 - used**2, 0.0))
        assert criticality.available_acceleration(mu, used=used, limit=limit) == pytest.approx(
            min(left, limit), rel=1e-12
        )
    for number in (criticality.brake_threat_number, criticality.steer_threat_number):
        required, available = [0.0, 3.0, 3.0, INF, 0.0, -1.0, 0.25, 0.5], [5.0, 6.0, 0.0, 5.0, 0.0, 5.0, 0.5, 1.0]
        assert number(required, available).tolist() == [0, 0.5, INF, INF, 0, 0, 0.5, 0.5]


# -- sideways ----------------------------------------------------------------------------------------------------------


def test_the_required_lateral_acceleration_just_passes():
    """At the time of the collision the two centres are half of both widths apart, on the nearer side."""
    needed = 0
    for ttc, offset, widths, speed, other in cases(300, 5, (0.3, 5), (-3, 3), (1, 5), (-1, 1), (-1, 1)):
        got = float(criticality.required_lateral_acceleration(ttc, offset, widths, speed, other))
        by_then = offset + speed * ttc + 0.5 * other * ttc**2
        ways = [by_then + s * 0.5 * widths for s in (-1, 1)]  # how far the ego has to go to either side
        wanted = 0.0 if abs(by_then) >= 0.5 * widths else min(abs(way) for way in ways) * 2 / ttc**2
        assert got == pytest.approx(wanted, rel=1e-9, abs=1e-12)
        needed += wanted > 0.0
        steer = float(criticality.time_to_steer(ttc, offset, widths, 4.0, speed, other, delay=0.1))
        if wanted == 0.0:
            assert steer == INF
        elif steer > -INF:  # from then on 4 m/s2 for the rest of the time are just enough
            assert 0.5 * 4.0 * (ttc - steer - 0.1) ** 2 == pytest.approx(min(abs(way) for way in ways), rel=1e-9)
        else:
            assert 0.5 * 4.0 * max(ttc - 0.1, 0.0) ** 2 < min(abs(way) for way in ways)
    assert needed > 100
    assert criticality.required_lateral_acceleration(0.0, 0.0, 2.0) == INF
    assert criticality.time_to_react([1.0, -INF], [2.0, 0.5]).tolist() == [2.0, 0.5]


# -- rules -------------------------------------------------------------------------------------------------------------


def test_rss_behind_is_what_the_worst_case_takes():
    """The rear one accelerates, then brakes as little as it may; the front one brakes as hard as it can."""
    for v, w, rho, a, b, f in cases(60, 6, (0, 35), (0, 35), (0.1, 2), (0, 4), (2, 8), (4, 9)):
        t = np.linspace(0.0, 40.0, 200_001)
        own = np.where(t < rho, v + a * t, np.clip(v + a * rho - b * (t - rho), 0.0, None))
        other = np.clip(w - f * t, 0.0, None)
        far = float(np.trapezoid(own, t) - np.trapezoid(other, t))
        got = driver_rules.rss_longitudinal_distance(
            v, w, response_time=rho, max_acceleration=a, min_braking=b, max_lead_braking=f
        )
        assert got == pytest.approx(max(far, 0.0), abs=0.02)


def test_rss_behind_has_no_value_for_who_reverses_or_comes():
    got = driver_rules.rss_longitudinal_distance([-0.1, 10.0, -5.0, 0.0, 0.0], [5.0, -0.1, -5.0, 0.0, -0.0])
    assert np.isnan(got).tolist() == [True, True, True, False, False]
    # who stands may still set off: 3 m/s2 for 0.75 s, then 6 m/s2
    assert got[3] == pytest.approx(0.5 * 3 * 0.75**2 + (3 * 0.75) ** 2 / 12)


def test_rss_beside_is_what_the_worst_case_takes():
    """Each accelerates towards the other, then stops its lateral motion; who moves away stays there."""
    for v, w in cases(60, 7, (-2, 2), (-2, 2)):
        t = np.linspace(0.0, 8.0, 80_001)

        def way(speed: float, t: np.ndarray = t) -> float:  # towards the other
            after = speed + 0.75
            x = np.where(t < 0.75, speed + t, np.clip(after - (t - 0.75), 0.0, None))
            return float(np.trapezoid(np.where((t >= 0.75) & (after <= 0), 0.0, x), t))

        got = driver_rules.rss_lateral_distance(v, w)
        assert got == pytest.approx(0.3 + max(way(v) + way(-w), 0.0), abs=2e-3)
        assert got >= 0.3


def test_rss_margin_is_the_better_of_the_two():
    for gap, safe, side, safe_side in cases(50, 8, (-5, 50), (0, 50), (-2, 4), (0, 4)):
        margin = float(driver_rules.rss_margin(gap, safe, side, safe_side))
        assert margin == max(gap - safe, side - safe_side)
        assert bool(driver_rules.rss_violation(gap, safe, side, safe_side)) is (gap < safe and side < safe_side)
    assert not driver_rules.rss_violation(10.0, 10.0, 1.0, 1.0)
    assert not driver_rules.rss_violation(math.nan, 10.0, 1.0, 1.0)


def pfs(x: float, v: float, w: float) -> float:
    safe = v * 0.75 + v**2 / 8 - w**2 / 14 + 2
    unsafe = v * 0.75 + v**2 / 12 - w**2 / 14
    x -= 2
    return 1.0 if x < unsafe else 0.0 if x >= safe else (x - safe) / (unsafe - safe)


def cfs(x: float, v: float, w: float, a: float) -> float:
    if v <= w:
        return 0.0
    a = max(a, -4.0)
    after = v + 0.75 * a
    if after <= w:
        safe = unsafe = (v - w) ** 2 / (2 * abs(a))
    else:
        moved = ((v + after) / 2 - w) * 0.75
        safe, unsafe = moved + (after - w) ** 2 / 8, moved + (after - w) ** 2 / 12
    return 0.0 if x >= safe else 1.0 if x < unsafe else (x - safe) / (unsafe - safe)


def test_fuzzy_safety_by_the_regulations_text():
    between = 0
    for x, v, w, a in cases(600, 9, (0, 90), (0, 40), (0, 40), (-6, 2)):
        p, c = (
            float(driver_rules.proactive_fuzzy_safety(x, v, w)),
            float(driver_rules.critical_fuzzy_safety(x, v, w, a)),
        )
        assert p == pytest.approx(pfs(x, v, w), rel=1e-9, abs=1e-12)
        assert c == pytest.approx(cfs(x, v, w, a), rel=1e-9, abs=1e-12)
        wanted = c * 2 + 4 if c > 0 else 4 * p
        assert driver_rules.fsm_deceleration(c, p) == pytest.approx(wanted, rel=1e-12)
        between += 0 < p < 1
        between += 0 < c < 1
    assert between > 60


def test_the_lateral_check_by_the_regulations_text():
    risks = 0
    for side, inward, gap, v, w in cases(500, 10, (-0.5, 3), (-1, 2), (-5, 40), (0, 40), (0, 40)):
        ahead = gap > 0 and v > w
        risk = ahead and (side <= 0 or (inward > 0 and side / inward < (gap + 9) / (v - w) + 0.1))
        assert bool(driver_rules.fsm_lateral_check(side, inward, gap, v, w, 9.0)) is risk
        risks += risk
    assert 50 < risks < 450


def test_distances_of_the_regulations_tables_between_and_beyond_their_rows():
    following = driver_rules.r157_minimum_following_distance(np.array([0.0, -3.0, 15.0, 36.0, 60.0, 90.0]) / 3.6)
    assert following == pytest.approx([2, 2, 15 / 3.6 * 1.15, 10 * 1.36, 60 / 3.6 * 1.6, 25 * 1.6], rel=1e-9)
    seen = driver_rules.r157_detection_range(np.array([20.0, 60.0, 65.0, 95.0, 130.0, 130.1]) / 3.6)
    assert seen[:5] == pytest.approx([46, 46, 48, 82.5, 150], rel=1e-9)
    assert np.isnan(seen[5])
    for function, at_rest in (
        (driver_rules.r157_cut_in_avoidable_ttc, 0.35),
        (driver_rules.eu_2022_1426_cut_in_ttc, 0.25),
    ):
        assert function([-5.0, 0.0, 12.0]) == pytest.approx([at_rest, at_rest, at_rest + 1.0])


# -- encounters --------------------------------------------------------------------------------------------------------


def test_the_rss_margin_of_an_encounter_counts_an_overlap_as_no_side_gap():
    """Ahead in the lane at 20 and 20 m/s with a bumper gap of 10 m: longitudinally 13.8 m short, laterally 1.425 m."""
    got = encounters(rows(("ego", {"vx": 20.0}), ("lead", {"x": 14.5, "vx": 20.0})))
    length = float(rows(("ego", {}))["length"][0])
    behind = float(driver_rules.rss_longitudinal_distance(20.0, 20.0))
    aside = float(driver_rules.rss_lateral_distance(0.0, 0.0))
    assert got.rss_margin[0, 0] == pytest.approx(max(14.5 - length - behind, -aside), rel=1e-9)
    beside = encounters(rows(("ego", {"vx": 20.0}), ("other", {"x": 1.0, "y": 5.0, "vx": 20.0})))
    width = float(rows(("ego", {}))["width"][0])
    assert beside.rss_margin[0, 0] == pytest.approx(5.0 - width - aside, rel=1e-9)
    back = encounters(rows(("ego", {"vx": 20.0}), ("tail", {"x": -20.0, "vx": 20.0})))
    assert back.rss_margin[0, 0] == INF
