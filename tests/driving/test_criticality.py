"""Criticality: published numbers, laws, agreement with time-stepping, bits of an element independent of others."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mischance.driving import criticality
from mischance.driving.criticality import (
    FULL_BRAKING,
    Rectangle,
    available_acceleration,
    brake_threat_number,
    conflict_area_times,
    critical_fuzzy_safety,
    crossing_time,
    deceleration_rate_to_avoid_crash,
    encroachment_time,
    eu_2022_1426_cut_in_ttc,
    fsm_deceleration,
    fsm_lateral_check,
    jerk_limited_smallest_gap,
    modified_time_to_collision,
    oriented_gap,
    picud,
    post_encroachment_time,
    proactive_fuzzy_safety,
    proportion_of_stopping_distance,
    r157_cut_in_avoidable_ttc,
    r157_detection_range,
    r157_minimum_following_distance,
    required_deceleration,
    required_lateral_acceleration,
    rss_lateral_distance,
    rss_longitudinal_distance,
    rss_margin,
    rss_violation,
    steer_threat_number,
    stopping_distance,
    time_below,
    time_exposed_ttc,
    time_headway,
    time_integrated_ttc,
    time_to_brake,
    time_to_collision,
    time_to_collision_2d,
    time_to_react,
    time_to_steer,
)
from mischance.simulators.road import boxes as _drive_boxes

INF, NAN = np.inf, np.nan
KMH = 1 / 3.6


def printed(value: Any, digits: int) -> list[str]:
    return [f"{x:.{digits}f}" for x in np.atleast_1d(value)]


# --- published and hand-computed numbers -------------------------------------------------------------------------


def test_the_car_following_case():
    """Gap 30 m, 20 against 10 m/s, both 1.9 m wide and centred."""
    assert printed(time_to_collision(30, 10), 3) == ["3.000"]
    assert printed(time_headway(30, 20), 3) == ["1.500"]
    assert printed(deceleration_rate_to_avoid_crash(30, 10), 3) == ["1.667"]
    assert printed(modified_time_to_collision(30, 20, 10, 2, 0), 3) == ["2.416"]
    assert printed(modified_time_to_collision(30, 20, 10, 0, -2), 3) == ["2.416"]
    assert printed(time_to_brake(30, 20, 10, deceleration=8), 3) == ["2.375"]
    assert printed(brake_threat_number(required_deceleration(30, 20, 10), 8), 3) == ["0.208"]
    assert printed(required_lateral_acceleration(time_to_collision(30, 10), 0, 1.9 + 1.9), 3) == ["0.422"]


def test_rss_distances():
    assert printed(rss_longitudinal_distance([20, 30, 10, 10], [20, 20, 15, 20]), 3) == [
        "23.766", "76.682", "2.099", "0.000",
    ]  # fmt: skip
    assert printed(rss_lateral_distance(1.0, 0.0), 3) == ["3.425"]


def test_fuzzy_safety():
    pfs = proactive_fuzzy_safety([60, 70], 25, 15)
    assert printed(pfs, 4) == ["0.8845", "0.5279"]
    assert np.allclose(pfs, [0.88453, 0.52791], rtol=0, atol=6e-6)
    assert printed(fsm_deceleration(0, pfs[1]), 4) == ["2.1117"]
    cfs = critical_fuzzy_safety([18, 25], 25, 15, 0)
    assert printed(cfs, 3) == ["0.480", "0.000"]
    assert printed(fsm_deceleration(cfs[0], 1.0), 2) == ["4.96"]
    # The borders: d_safe 20.000 and d_unsafe 15.833; PFS 82.804 and 54.762, both seen through gap - 2 m.
    assert critical_fuzzy_safety([15.833, 15.8337, 19.999, 20.0], 25, 15).tolist()[::3] == [1.0, 0.0]
    assert proactive_fuzzy_safety([54.761 + 2, 82.804 + 2], 25, 15).tolist() == [1.0, 0.0]
    assert proactive_fuzzy_safety(54.763 + 2, 25, 15) < 1.0
    assert proactive_fuzzy_safety(82.803 + 2, 25, 15) > 0.0
    # Braking hard enough already: 4 m/s2 for 0.75 s takes 2 m/s off, at 3 m/s; 2^2 / (2 * 4) = 0.5 m are needed.
    assert critical_fuzzy_safety([0.499, 0.501], 12, 10, -5).tolist() == [1.0, 0.0]


def test_smallest_gap():
    closing = [5, 10, 15, 20]
    assert printed(jerk_limited_smallest_gap(closing, 0.75), 3) == ["6.783", "16.972", "30.454", "47.229"]
    assert printed(jerk_limited_smallest_gap(closing, 0.75 + 0.4), 3) == ["8.783", "20.972", "36.454", "55.229"]


def test_cut_in_times():
    v = np.arange(10, 70, 10) * KMH
    assert printed(r157_cut_in_avoidable_ttc(v), 3) == ["0.581", "0.813", "1.044", "1.276", "1.507", "1.739"]
    assert printed(eu_2022_1426_cut_in_ttc(v), 2) == ["0.48", "0.71", "0.94", "1.18", "1.41", "1.64"]
    standing = eu_2022_1426_cut_in_ttc(v, deceleration=2.4, build_up=0.12)
    assert printed(standing, 2) == ["0.74", "1.32", "1.90", "2.47", "3.05", "3.63"]


def test_r157_tables():
    distance = r157_minimum_following_distance(np.array([7.2, 10, 20, 30, 40, 50, 60]) * KMH)
    assert printed(distance, 1) == ["2.0", "3.1", "6.7", "10.8", "15.6", "20.8", "26.7"]
    assert r157_minimum_following_distance([0.0, -1.0, 1.0]).tolist() == [2.0, 2.0, 2.0]
    assert r157_minimum_following_distance(55 * KMH) == pytest.approx(55 * KMH * 1.55)
    speeds = np.array([20, 60, 70, 80, 90, 100, 110, 120, 130]) * KMH
    assert np.allclose(r157_detection_range(speeds), [46, 46, 50, 60, 75, 90, 110, 130, 150], rtol=1e-12)
    assert np.isnan(r157_detection_range(131 * KMH))


def test_stopping_distance():
    distance = stopping_distance(20, [0.8, 0.4, 0.1])
    assert printed(distance, 2)[:2] == ["25.48", "50.97"]
    assert printed(distance[2], 1) == ["203.9"]
    assert np.allclose(distance, 400 / (2 * np.array([0.8, 0.4, 0.1]) * 9.81), rtol=1e-15)
    assert stopping_distance(20, 0.8, delay=0.5) == pytest.approx(10 + distance[0])


# --- closed forms against plain time-stepping ---------------------------------------------------------------------


def drive(t: float, speed: float, acceleration: float) -> tuple[float, float]:
    """Return way and speed of a vehicle that does not reverse."""
    if acceleration < 0 <= speed:
        t = min(t, -speed / acceleration)
    return speed * t + 0.5 * acceleration * t * t, speed + acceleration * t


def stepped_gaps(gap: float, v: float, w: float, b: float, wait: float, full: float, jerk: float) -> np.ndarray:
    """Return the gap over time, by steps of 1 ms, of an ego that brakes with a ramp behind a lead at w, b."""
    dt = 1e-3
    t = np.arange(0.0, 60.0, dt)
    braking = np.minimum(full, jerk * np.maximum(t - wait, 0.0)) if np.isfinite(jerk) else full * (t >= wait)
    own = np.maximum(v - np.concatenate([[0], np.cumsum(0.5 * (braking[1:] + braking[:-1]) * dt)]), 0.0)
    lead = np.maximum(w + b * t, 0.0) if w >= 0 else w + b * t
    closing = own - lead
    return gap - np.concatenate([[0], np.cumsum(0.5 * (closing[1:] + closing[:-1]) * dt)])


def test_braking_agrees_with_time_stepping():
    rng = np.random.default_rng(5)
    for _ in range(60):
        v, w = rng.uniform(3, 35), rng.uniform(0, 30)
        b, delay, jerk = rng.choice([0.0, -2.0, -6.0, 1.0]), rng.choice([0.0, 0.4]), rng.choice([INF, 12.65, 4.0])
        gap, full = rng.uniform(2, 60), rng.uniform(3, 9)
        wait = float(time_to_brake(gap, v, w, deceleration=full, lead_acceleration=b, delay=delay, jerk=jerk))
        if wait == INF:
            assert stepped_gaps(gap, v, w, b, 1e9, 1.0, INF).min() > -1e-3
        elif wait == -INF:
            assert stepped_gaps(gap, v, w, b, delay, full, jerk).min() < 2e-2
        else:
            assert stepped_gaps(gap, v, w, b, max(wait + delay - 2e-3, 0), full, jerk).min() > -2e-2
            assert stepped_gaps(gap, v, w, b, wait + delay + 2e-3, full, jerk).min() < 2e-2
    speeds = np.array([2.0, 5.0, 20.0])  # the first one stands before the brakes are fully on
    for speed, gap in zip(speeds, jerk_limited_smallest_gap(speeds, 0.75, jerk=5.0), strict=True):
        assert stepped_gaps(gap, speed, 0.0, 0.0, 0.75, FULL_BRAKING, 5.0).min() == pytest.approx(0, abs=1e-3)


def test_time_to_brake_by_bisection_is_the_closed_form():
    rng = np.random.default_rng(6)
    gap, v, w = rng.uniform(1, 80, 500), rng.uniform(1, 35, 500), rng.uniform(0, 30, 500)
    jerk = rng.choice([INF, 12.65, 2.0], 500)
    steady = time_to_brake(gap, v, w, delay=0.3, jerk=jerk)
    almost = time_to_brake(gap, v, w, delay=0.3, jerk=jerk, lead_acceleration=1e-9)
    close = (steady > 1e-3) & (steady < 20.0)  # the tiny acceleration adds up over a longer wait
    assert close.sum() > 100
    assert np.allclose(steady[close], almost[close], rtol=0, atol=1e-3)
    assert np.array_equal(steady == INF, almost == INF)


def test_required_deceleration_is_the_border():
    rng = np.random.default_rng(7)
    for _ in range(60):
        gap, v, w, b = rng.uniform(5, 60), rng.uniform(5, 35), rng.uniform(0, 30), rng.choice([0.0, -1.0, -4.0, -8.0])
        need = float(required_deceleration(gap, v, w, b))
        if need > 0.5:  # less takes longer than the time that is stepped through
            assert stepped_gaps(gap, v, w, b, 0.0, need * 1.002, INF).min() > -2e-2
            assert stepped_gaps(gap, v, w, b, 0.0, need * 0.995, INF).min() < 2e-2


def test_no_deceleration_is_asked_for_in_vain():
    """Braking is still possible now exactly if no more than full braking is required now."""
    rng = np.random.default_rng(8)
    gap, v, w = rng.uniform(1, 90, 3000), rng.uniform(1, 35, 3000), rng.uniform(-10, 30, 3000)
    b = rng.choice([0.0, -2.0, -6.0, -9.0, 2.0], 3000)
    need = required_deceleration(gap, v, w, b)
    clear = np.abs(need - 7.0) > 1e-6
    assert np.array_equal(
        (time_to_brake(gap, v, w, deceleration=7.0, lead_acceleration=b) >= 0)[clear], (need <= 7.0)[clear]
    )


def test_the_lead_that_stops_first():
    """v 20 behind w 10 braking with 5 m/s2, gap 30: the lead stands after 2 s and 10 m; 20^2 / (2 * 40) = 5 m/s2."""
    assert required_deceleration(30, 20, 10, -5) == pytest.approx(5.0)
    # a_f - dv^2 / (2 gap) while it moves: 2 * 4 / 4 = 2 s until equal speeds, the lead moves for 10 s.
    assert required_deceleration(4, 14, 10, -1) == pytest.approx(1 + 16 / 8)
    assert required_deceleration(0, 0, 0, -3) == 0.0  # both stand, bumper to bumper, with the brakes on
    # Continuous where the two cases meet: 2 gap / dv = w / |a|.
    gap = 0.5 * 6.0 * 10.0 / 4.0
    assert required_deceleration(gap * (1 - 1e-9), 16, 10, -4) == pytest.approx(
        required_deceleration(gap * (1 + 1e-9), 16, 10, -4)
    )
    # An oncoming one is only met at a standstill: 15 m/s against 3 m/s2 stop after 37.5 m, leaves 22.5 m.
    assert required_deceleration(60, 15, -15, 3) == pytest.approx(15**2 / 45)
    assert required_deceleration([60, 30], 15, -15, [0, 3]).tolist() == [INF, INF]


def test_mttc_agrees_with_time_stepping():
    rng = np.random.default_rng(9)
    t = np.arange(0.0, 20.0, 1e-3)
    met = 0
    for _ in range(100):
        gap, v, w, a, b = rng.uniform(1, 40), rng.uniform(0, 30), rng.uniform(0, 30), *rng.uniform(-8, 4, 2)
        own, lead = (np.array([drive(x, *case)[0] for x in t[::10]]) for case in ((v, a), (w, b)))
        touching = gap + lead - own <= 0
        stepped = t[::10][touching.argmax()] if touching.any() else INF
        found = float(modified_time_to_collision(gap, v, w, a, b))
        if stepped < INF:
            met += 1
            assert 0 <= stepped - found <= 0.01 + 1e-9
        else:
            assert found > 19.9 or abs((gap + lead - own).min()) < 1e-2
    assert met > 20


def test_a_vehicle_that_brakes_does_not_reverse():
    # The lead stops after 1 s and 5 m; 20 + 5 m at 10 m/s.
    assert modified_time_to_collision(20, 10, 10, 0, -10) == pytest.approx(2.5)
    # Backwards it would have met the ego much earlier: 20 = 5 t^2 at t = 2.
    assert modified_time_to_collision(20, 5, 10, -5, -10) == INF  # the ego stands after 1 s and 2.5 m
    assert modified_time_to_collision(20, 0, 0, -1, -1) == INF
    assert modified_time_to_collision(20, 10, 0, 0, -3) == 2.0


# --- rectangles ---------------------------------------------------------------------------------------------------


def pairs(n: int, seed: int) -> tuple[Rectangle, Rectangle, tuple[Any, Any], tuple[Any, Any]]:
    rng = np.random.default_rng(seed)

    def box() -> Rectangle:
        x, y = rng.uniform(-15, 15, (2, n))
        return Rectangle(x, y, rng.uniform(-7, 7, n), rng.uniform(0.4, 9, n), rng.uniform(0.3, 3, n))

    return box(), box(), tuple(rng.uniform(-12, 12, (2, n))), tuple(rng.uniform(-12, 12, (2, n)))


def moved(box: Rectangle, velocity: tuple[Any, Any], t: Any) -> Rectangle:
    return box._replace(x=box.x + velocity[0] * t, y=box.y + velocity[1] * t)


def outline(box: Rectangle, n: int = 40) -> np.ndarray:
    """Return points on the edge of one rectangle; shape (4 n, 2)."""
    s = np.linspace(-0.5, 0.5, n)
    edge = np.concatenate([np.c_[s, 0 * s + 0.5], np.c_[s, 0 * s - 0.5], np.c_[0 * s + 0.5, s], np.c_[0 * s - 0.5, s]])
    u, v = edge[:, 0] * box.length, edge[:, 1] * box.width
    c, s = np.cos(box.yaw), np.sin(box.yaw)
    return np.c_[box.x + u * c - v * s, box.y + u * s + v * c]


def test_two_boxes_meet_when_small_steps_say_so():
    a, b, va, vb = pairs(2000, 1)
    ttc = time_to_collision_2d(a, b, va, vb)
    t = np.arange(0.0, 10.0, 0.005)[:, None]
    gap = oriented_gap(moved(a, va, t), moved(b, vb, t))
    stepped = np.where((gap <= 0).any(axis=0), t[(gap <= 0).argmax(axis=0), 0], INF)
    hit = np.isfinite(stepped)
    assert 200 < hit.sum() < 1900
    assert (stepped[hit] >= ttc[hit]).all()
    late = hit & (stepped > ttc + 0.005 + 1e-9)  # a graze shorter than a step, then a later sample inside
    missed = ~hit & (ttc < 9.99)  # a graze between two samples
    assert late.sum() + missed.sum() < 0.02 * len(ttc)
    meets = np.isfinite(ttc)
    there = oriented_gap(moved(a, va, np.where(meets, ttc, 0)), moved(b, vb, np.where(meets, ttc, 0)))
    assert np.abs(there[meets & (ttc > 0)]).max() < 1e-9
    assert (oriented_gap(a, b)[ttc == 0] <= 0).all()


def test_the_signed_gap_is_the_distance_of_the_outlines():
    a, b, _, _ = pairs(120, 2)
    gap = oriented_gap(a, b)
    for i in range(120):
        one, two = (Rectangle(*(np.asarray(field)[i] for field in box)) for box in (a, b))
        between = outline(one)[:, None] - outline(two)[None]
        apart = np.hypot(between[..., 0], between[..., 1]).min()
        if gap[i] > 0:
            assert gap[i] - 1e-9 <= apart <= gap[i] + 0.15  # points on the edge are at most 9 / 39 m apart
        else:
            # The depth is the shortest way out: no shorter shift parts them, and one of that length does.
            angles = np.linspace(0, 2 * np.pi, 721)
            out = oriented_gap(one, moved(two, (np.cos(angles), np.sin(angles)), -gap[i] * 1.01 + 1e-6))
            stays = oriented_gap(one, moved(two, (np.cos(angles), np.sin(angles)), -gap[i] * 0.999))
            assert out.max() > 0
            assert stays.max() <= 1e-9


def test_the_road_world_measures_the_same():
    """The road world has the same two measures for one pair at a time, in plain floats."""
    a, b, va, vb = pairs(500, 12)
    gap, ttc = oriented_gap(a, b), time_to_collision_2d(a, b, va, vb)
    for i in range(500):
        one, two = ((q.x[i], q.y[i], q.yaw[i], q.length[i] / 2, q.width[i] / 2) for q in (a, b))
        other = _drive_boxes.time_to_collision(*one, *two, vb[0][i] - va[0][i], vb[1][i] - va[1][i])
        assert ttc[i] == pytest.approx(other, rel=1e-9, abs=1e-12)
        assert max(gap[i], 0.0) == pytest.approx(_drive_boxes.distance(*one, *two), abs=1e-12)


def test_gap_by_hand():
    car = Rectangle(0.0, 0.0, 0.0, 4.0, 2.0)
    assert oriented_gap(car, Rectangle([7, 4, 3, 0, 7], [0, 0, 0, 1.5, 6], 0, 4, 2)).tolist() == [3, 0, -1, -0.5, 5]
    beside = Rectangle(9.0, [1.99, 2.01], 0.0, 4.0, 2.0)  # overtaken in the next lane, and in this one
    assert time_to_collision_2d(car, beside, (10, 0), (5, 0)).tolist() == [1.0, INF]
    diamond = Rectangle(5.0, 0.0, np.pi / 4, np.sqrt(8), np.sqrt(8))  # its corners are 2 m from its centre
    assert oriented_gap(car, diamond) == pytest.approx(1.0)
    assert time_to_collision_2d(car, diamond, (2, 0), (0, 0)) == pytest.approx(0.5)


def test_two_dimensions_equal_one_in_line():
    rng = np.random.default_rng(3)
    gap, v, w = rng.uniform(0.1, 80, 500), rng.uniform(0, 40, 500), rng.uniform(0, 40, 500)
    lengths = rng.uniform(1, 12, (2, 500))
    for yaw in (0.0, 0.5, 2.0, -3.0):
        centre = gap + 0.5 * lengths.sum(axis=0)
        ego, lead = Rectangle(0, 0, yaw, lengths[0], 1.9), Rectangle(
            centre * np.cos(yaw), centre * np.sin(yaw), yaw, lengths[1], 2.1
        )  # fmt: skip
        way = np.cos(yaw), np.sin(yaw)
        flat = time_to_collision_2d(ego, lead, (v * way[0], v * way[1]), (w * way[0], w * way[1]))
        line = time_to_collision(gap, v - w)
        assert np.array_equal(np.isinf(flat), np.isinf(line))
        assert np.allclose(flat, line, rtol=1e-9)
        assert np.allclose(oriented_gap(ego, lead), gap, rtol=1e-9)


def turned(box: Rectangle, angle: float, dx: float, dy: float, mirror: bool = False) -> Rectangle:
    x, y, yaw = (box.x, -np.asarray(box.y), -np.asarray(box.yaw)) if mirror else (box.x, box.y, box.yaw)
    c, s = np.cos(angle), np.sin(angle)
    return box._replace(x=x * c - y * s + dx, y=x * s + y * c + dy, yaw=yaw + angle)


@pytest.mark.parametrize("mirror", [False, True])
def test_geometry_does_not_see_the_frame(mirror: bool):
    a, b, va, vb = pairs(1000, 4)
    gap, ttc = oriented_gap(a, b), time_to_collision_2d(a, b, va, vb)
    c, s = np.cos(1.1), np.sin(1.1)
    va2, vb2 = ((vx * c - m * vy * s, vx * s + m * vy * c) for vx, vy in (va, vb) for m in (-1.0 if mirror else 1.0,))
    a2, b2 = (turned(box, 1.1, 100.0, -40.0, mirror) for box in (a, b))
    assert np.allclose(oriented_gap(a2, b2), gap, atol=1e-9)
    ttc2 = time_to_collision_2d(a2, b2, va2, vb2)
    assert np.array_equal(np.isinf(ttc), np.isinf(ttc2))
    assert np.allclose(ttc2, ttc, atol=1e-9)
    assert np.allclose(oriented_gap(b, a), gap, atol=1e-9)  # and not who is called a
    assert np.allclose(time_to_collision_2d(b, a, vb, va), ttc, atol=1e-9)
    rate = np.array([17.0, -5.0])  # nor a common velocity
    moving = time_to_collision_2d(a, b, (va[0] + rate[0], va[1] + rate[1]), (vb[0] + rate[0], vb[1] + rate[1]))
    assert np.allclose(moving, ttc, atol=1e-9)
    half_turn = a._replace(yaw=a.yaw + np.pi)
    assert np.allclose(oriented_gap(half_turn, b), gap, atol=1e-9)


# --- laws ---------------------------------------------------------------------------------------------------------

gaps = st.floats(0.0, 200.0)
speeds = st.floats(0.0, 50.0).map(lambda x: round(x, 3))  # the square of 1e-200 is 0
brakes = st.floats(-9.0, 3.0).map(lambda x: round(x, 3))


@given(gaps, gaps, speeds, speeds, brakes)
@settings(deadline=None, max_examples=200)
def test_more_gap_is_never_worse(one: float, other: float, v: float, w: float, b: float):
    near, far = min(one, other), max(one, other)
    gap = np.array([near, far])
    margins: dict[str, Any] = {
        "ttc": time_to_collision(gap, v - w),
        "mttc": modified_time_to_collision(gap, v, w, 0.0, b),
        "thw": time_headway(gap, v),
        "drac": -deceleration_rate_to_avoid_crash(gap, v - w),
        "required": -required_deceleration(gap, v, w, b),
        "btn": -brake_threat_number(required_deceleration(gap, v, w, b), 8.0),
        "lateral": -required_lateral_acceleration(time_to_collision(gap, v - w), 0.2, 3.8),
        "ttb": time_to_brake(gap, v, w, lead_acceleration=b, delay=0.1, jerk=12.65),
        "tts": time_to_steer(time_to_collision(gap, v - w), 0.2, 3.8, 6.0),
        "pfs": -proactive_fuzzy_safety(gap, v, w),
        "cfs": -critical_fuzzy_safety(gap, v, w, b),
        "psd": proportion_of_stopping_distance(gap, v, 6.0),
        "picud": picud(gap, v, w, deceleration=6.0, reaction_time=1.0),
        "rss": rss_margin(gap, rss_longitudinal_distance(v, w), -1.0, rss_lateral_distance(0.0, 0.0)),
    }
    for name, (less, more) in margins.items():
        slack = 1e-3 if name == "ttb" else 1e-9 * abs(more)  # the bisection stops at 1 ms
        assert less <= more or less - more <= slack, name


@given(gaps, speeds, speeds, speeds, st.floats(0.05, 1.0), st.floats(0.0, 2.0))
@settings(deadline=None, max_examples=200)
def test_faster_or_slipperier_is_never_better(gap: float, v: float, faster: float, w: float, mu: float, delay: float):
    speed = np.array([v, v + faster])
    assert np.diff(rss_longitudinal_distance(speed, w))[0] >= -1e-9
    assert np.diff(rss_lateral_distance(speed - 20, 0.0))[0] >= -1e-9
    assert np.diff(rss_lateral_distance(0.0, 20 - speed))[0] >= -1e-9
    assert np.diff(jerk_limited_smallest_gap(speed, delay))[0] >= -1e-9
    assert np.diff(jerk_limited_smallest_gap(v, [delay, delay + 1.0]))[0] >= 0.0
    assert np.diff(stopping_distance(v, [mu, mu / 2], jerk=12.65))[0] >= -1e-9
    assert np.diff(required_deceleration(gap + 1.0, speed, w))[0] >= 0.0
    assert np.diff(available_acceleration([mu / 2, mu], used=1.0))[0] >= 0.0
    assert np.diff(r157_minimum_following_distance(speed))[0] >= -1e-9


@given(st.floats(0.0, 200.0), speeds, speeds, st.floats(0.0, 5.0))
def test_equal_accelerations_leave_the_plain_time_to_collision(gap: float, v: float, w: float, a: float):
    plain = time_to_collision(gap, v - w)
    assert modified_time_to_collision(gap, v, w).tobytes() == plain.tobytes()
    assert modified_time_to_collision(gap, v, w, a, a) == pytest.approx(float(plain), rel=1e-9)


@given(st.floats(0.1, 100.0), speeds, speeds)
def test_drac_is_the_required_deceleration_behind_a_steady_lead(gap: float, v: float, w: float):
    assert required_deceleration(gap, v, w) == pytest.approx(float(deceleration_rate_to_avoid_crash(gap, v - w)))


@given(st.floats(0.1, 20.0), st.floats(-5.0, 5.0), st.floats(0.5, 6.0), st.floats(-3.0, 3.0), st.floats(-2.0, 2.0))
def test_steering_is_the_same_to_both_sides_and_in_both_measures(
    ttc: float, offset: float, widths: float, u: float, a: float
):
    need = required_lateral_acceleration(ttc, offset, widths, u, a)
    assert need == required_lateral_acceleration(ttc, -offset, widths, -u, -a)
    left = time_to_steer(ttc, offset, widths, 6.0, u, a)
    assert left == time_to_steer(ttc, -offset, widths, 6.0, -u, -a)
    if abs(need - 6.0) > 1e-6:
        assert (left >= 0.0) == (need < 6.0)
    # The published formula, where they are on course.
    if 0.0 < need < INF:
        sides = [abs(a + 2 * u / ttc + 2 / ttc**2 * (side * widths / 2 + offset)) for side in (1, -1)]
        assert need == pytest.approx(min(sides), rel=1e-12)


def test_steering_by_hand():
    """TTC 3 s, 1.9 m to go aside with 6 m/s2: sqrt(3.8 / 6) = 0.796 s."""
    assert time_to_steer(3, 0, 3.8, 6.0) == pytest.approx(3 - np.sqrt(3.8 / 6))
    assert time_to_steer(3, 0, 3.8, 6.0, delay=0.2) == pytest.approx(2.8 - np.sqrt(3.8 / 6))
    assert time_to_steer([0.5, 3, INF], [0, 2.0, 0], 3.8, 6.0).tolist() == [-INF, INF, INF]
    assert time_to_react(1.0, 2.0) == 2.0
    assert steer_threat_number([0.0, 3.0, INF, 1.0], [0.0, 6.0, INF, 0.0]).tolist() == [0.0, 0.5, INF, INF]
    assert available_acceleration(0.5, used=[0.0, 4.905, 9.0]).tolist() == [4.905, 0.0, 0.0]
    assert available_acceleration(1.0, limit=[3.0, 20.0]).tolist() == [3.0, 9.81]


def test_rss_is_violated_only_on_both_axes():
    gap, lateral = np.array([10, 10, 30, NAN]), np.array([0.2, 2.0, 0.2, 0.2])
    assert rss_violation(gap, 20, lateral, 1.0).tolist() == [True, False, False, False]
    assert rss_margin(gap, 20, lateral, 1.0)[:3] == pytest.approx([-0.8, 1.0, 10.0])
    assert time_below(rss_margin(gap, 20, lateral, 1.0), 0.0, 0.1) == pytest.approx(0.1)
    assert np.isnan(rss_longitudinal_distance([10, -1], [-1, 10])).all()


def test_fsm_lateral_check():
    #      side gap, u_lat, gap, speed, other, lengths: 1 / 1 s aside, (20 + 9) / 10 + 0.1 s = 3 s until past it
    case = (1.0, 1.0, 20.0, 25.0, 15.0, 9.0)
    assert fsm_lateral_check(*case)
    assert fsm_lateral_check(2.99, *case[1:])
    assert not fsm_lateral_check(3.01, *case[1:])
    assert not fsm_lateral_check(1.0, -1.0, *case[2:])  # moves away
    assert not fsm_lateral_check(1.0, 0.0, *case[2:])
    assert not fsm_lateral_check(1.0, 1.0, -5.0, *case[3:])  # not ahead
    assert not fsm_lateral_check(1.0, 1.0, 20.0, 15.0, 15.0, 9.0)  # not slower
    assert fsm_lateral_check(-0.1, 0.0, *case[2:])  # in the path already
    assert fsm_lateral_check([1.0, NAN], *case[1:]).tolist() == [True, False]


# --- times in a conflict area, and sums over a run ----------------------------------------------------------------


def test_encroachment_is_interpolated_below_the_step():
    """A 4 m car at 10 m/s over a 3 m area whose near edge is 8 m away: in at 0.8 s, out at 1.5 s."""
    area = Rectangle(0.0, 0.0, 0.0, 3.0, 3.0)
    for dt in (0.01, 0.05, 0.07):
        t = np.arange(0, round(3 / dt)) * dt
        first = oriented_gap(Rectangle(-1.5 - 8 - 2 + 10 * t, 0.0, 0.0, 4.0, 1.8), area)
        second = oriented_gap(Rectangle(0.0, -1.5 - 10 - 2 + 5 * t, np.pi / 2, 4.0, 1.8), area)
        stays = conflict_area_times(t, np.stack([first, second]))
        assert stays.entry == pytest.approx([0.8, 2.0], abs=1e-9)
        assert stays.exit[0] == pytest.approx(0.8 + 0.7, abs=1e-9)
        assert encroachment_time(stays.entry[0], stays.exit[0]) == pytest.approx(0.7, abs=1e-9)
        pet = post_encroachment_time(stays.entry[0], stays.exit[0], stays.entry[1], stays.exit[1])
        assert pet == pytest.approx(0.5, abs=1e-9)
        assert pet == post_encroachment_time(stays.entry[1], stays.exit[1], stays.entry[0], stays.exit[0])


def test_encroachment_at_the_borders_of_the_record():
    t = np.array([0.0, 1.0, 2.0, 3.0])
    rows = [[1, -1, -1, 1], [-1, -1, 1, -1], [1, 1, 1, 1], [1, -1, NAN, NAN], [1, 0, 1, 1], [NAN, -1, -1, 3]]
    stays = conflict_area_times(t, np.array(rows))
    assert stays.entry.tolist() == [0.5, 0.0, INF, 0.5, 1.0, 1.0]
    assert stays.exit.tolist() == [2.5, 1.5, INF, INF, 1.0, 2.25]
    assert encroachment_time(*stays).tolist() == [2.0, 1.5, 0.0, INF, 0.0, 1.25]
    pet = post_encroachment_time([1, 1, 1, 1, 1], [3, 3, INF, 3, 3], [4, 2, 2, INF, 1], [5, 6, 6, INF, 2])
    assert pet.tolist() == [1.0, -1.0, -INF, INF, -1.0]
    empty = conflict_area_times(np.zeros(0), np.zeros((2, 0)))
    assert empty.entry.tolist() == empty.exit.tolist() == [INF, INF]
    assert crossing_time(1.0, 2.0, 2.0, -2.0) == 1.5
    assert np.isnan(crossing_time(1.0, 2.0, 2.0, 1.0))


def test_exposed_and_integrated_time_to_collision():
    """TTC falls by 1 s a second from 5 to 1 s: below 3 s for 2 s, integral 2^2 / 2."""
    dt = 0.001
    ttc = 5.0 - np.arange(4000) * dt
    assert time_exposed_ttc(ttc, 3.0, dt) == pytest.approx(2.0, abs=dt)
    assert time_integrated_ttc(ttc, 3.0, dt) == pytest.approx(2.0, abs=3 * dt)
    never = np.array([[INF, NAN, 3.0], [1.0, NAN, 2.5]])
    assert time_exposed_ttc(never, 3.0, 0.1) == pytest.approx([0.0, 0.2])
    assert time_integrated_ttc(never, 3.0, 0.1) == pytest.approx([0.0, 0.25])
    ttc = np.random.default_rng(10).uniform(0.0, 4.0, 4000)  # sums of these round at every step
    padded = np.concatenate([ttc, np.full(777, NAN)])
    both = np.asfortranarray(np.stack([padded, padded]))
    assert time_integrated_ttc(both, 3.0, dt)[1].tobytes() == time_integrated_ttc(ttc, 3.0, dt).tobytes()
    assert time_integrated_ttc(np.zeros((2, 0)), 3.0, dt).tolist() == [0.0, 0.0]


# --- rules for every element --------------------------------------------------------------------------------------

N = 400
DT = 0.1


def some(low: float, high: float, seed: int) -> np.ndarray:
    """Return random numbers with the awkward ones among them."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(low, high, N)
    x[rng.random(N) < 0.1] = 0.0
    return x


GAP, V, W, A, B = some(-2, 60, 1), some(0, 40, 2), some(0, 40, 3), some(-9, 4, 4), some(-9, 4, 5)
BOX_A, BOX_B, VEL_A, VEL_B = pairs(N, 6)
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "ttc": (time_to_collision, (GAP, V - W)),
    "mttc": (modified_time_to_collision, (GAP, V, W, A, B)),
    "thw": (time_headway, (GAP, V)),
    "drac": (deceleration_rate_to_avoid_crash, (GAP, V - W)),
    "required": (required_deceleration, (GAP, V, W, B)),
    "lateral": (required_lateral_acceleration, (np.abs(A), W - 20, V / 10, A, B)),
    "available": (available_acceleration, (V / 40,)),
    "btn": (brake_threat_number, (V, np.abs(A))),
    "stn": (steer_threat_number, (V, np.abs(A))),
    "ttb": (lambda *x: time_to_brake(*x[:3], lead_acceleration=x[3], jerk=12.65), (GAP, V, W, B)),
    "tts": (time_to_steer, (np.abs(A), W - 20, V / 10, V, A, B)),
    "ttr": (time_to_react, (A, B)),
    "rss": (rss_longitudinal_distance, (V, W)),
    "rss lateral": (rss_lateral_distance, (A, B)),
    "rss margin": (rss_margin, (GAP, V, A, B)),
    "pfs": (proactive_fuzzy_safety, (GAP, V, W)),
    "cfs": (critical_fuzzy_safety, (GAP, V, W, A)),
    "fsm": (fsm_deceleration, (np.abs(A) / 9, np.abs(B) / 9)),
    "r157": (r157_cut_in_avoidable_ttc, (V - W,)),
    "eu": (eu_2022_1426_cut_in_ttc, (V - W,)),
    "following": (r157_minimum_following_distance, (V,)),
    "range": (r157_detection_range, (V * 0.9,)),
    "smallest gap": (jerk_limited_smallest_gap, (V - W, np.abs(A))),
    "stopping": (stopping_distance, (V, np.abs(A) / 9)),
    "psd": (proportion_of_stopping_distance, (GAP, V, np.abs(A) + 1)),
    "picud": (lambda *x: picud(*x, deceleration=6.0, reaction_time=1.0), (GAP, V, W)),
    "crossing": (crossing_time, (V, A, V + 1, B)),
    "et": (encroachment_time, (V, V + np.abs(A))),
    "pet": (post_encroachment_time, (V, V + np.abs(A), W, W + np.abs(B))),
    "2-D": (
        lambda *x: time_to_collision_2d(Rectangle(*x[:5]), Rectangle(*x[5:10]), x[10:12], x[12:]),
        (*BOX_A, *BOX_B, *VEL_A, *VEL_B),
    ),
    "oriented": (lambda *x: oriented_gap(Rectangle(*x[:5]), Rectangle(*x[5:])), (*BOX_A, *BOX_B)),
}


@pytest.mark.parametrize("name", CASES)
def test_an_element_alone_has_the_same_bits(name: str):
    function, inputs = CASES[name]
    whole = function(*inputs)
    assert whole.dtype == np.float64
    assert whole.shape == (N,)
    alone = np.array([function(*(float(x[i]) for x in inputs)) for i in range(N)])
    assert whole.tobytes() == alone.tobytes()
    grid = function(*(x.reshape(20, 20).T for x in inputs))
    assert np.ascontiguousarray(grid.T).tobytes() == whole.tobytes()
    strided = function(*(np.repeat(x, 3)[::3] for x in inputs))
    assert strided.tobytes() == whole.tobytes()
    assert function(*(x[7:12] for x in inputs)).tobytes() == whole[7:12].tobytes()


@pytest.mark.parametrize("name", CASES)
def test_nothing_unknown_becomes_known_and_nothing_warns(name: str):
    function, inputs = CASES[name]
    whole = function(*inputs)
    for i in range(len(inputs)):
        holes = [x.copy() for x in inputs]
        holes[i][::7] = NAN
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = function(*holes)
        assert np.isnan(found[::7]).all()
        rest = np.arange(N) % 7 != 0
        assert found[rest].tobytes() == whole[rest].tobytes()
    if name not in ("crossing", "range"):  # these say NaN by their own rule
        assert not np.isnan(whole).any()


def test_nobody_ahead_is_safe_and_contact_is_not():
    v, w = 20.0, 10.0
    gap = np.array([INF, 0.0, -1.0])
    assert time_to_collision(gap, v - w).tolist() == [INF, 0.0, 0.0]
    assert time_headway(gap, v).tolist() == [INF, 0.0, 0.0]
    assert modified_time_to_collision(gap, v, w, 1.0, -1.0).tolist() == [INF, 0.0, 0.0]
    assert deceleration_rate_to_avoid_crash(gap, v - w).tolist() == [0.0, INF, INF]
    assert required_deceleration(gap, v, w, -3.0).tolist() == [0.0, INF, INF]
    assert time_to_brake(gap, v, w).tolist() == [INF, -INF, -INF]
    assert time_to_brake(gap, v, w, lead_acceleration=-2.0).tolist() == [INF, -INF, -INF]
    assert proactive_fuzzy_safety(INF, v, w) == critical_fuzzy_safety(INF, v, w) == 0.0
    assert time_to_collision([10.0, 10.0], [0.0, -3.0]).tolist() == [INF, INF]
    assert time_headway(10.0, [0.0, -1.0]).tolist() == [INF, INF]
    assert brake_threat_number([0.0, 1.0, INF], 0.0).tolist() == [0.0, INF, INF]
    assert stopping_distance([0.0, 1.0], 0.0)[1] == INF
    assert stopping_distance(0.0, 0.5) == 0.0
    car = Rectangle(0.0, 0.0, 0.0, 4.0, 2.0)
    assert np.isnan(oriented_gap(car, car._replace(x=INF)))
    assert np.isnan(time_to_collision_2d(car, car._replace(x=INF), (0, 0), (0, 0)))
    assert time_to_collision_2d(car, car._replace(x=9.0), (1, 1), (1, 1)) == INF


def test_every_function_says_what_it_takes_and_whence_it_comes():
    for name in criticality.__all__:
        member = getattr(criticality, name)
        if inspect.isfunction(member):
            text = inspect.getdoc(member) or ""
            for part in ("Shape", "NaN", "ampling", "ource"):
                assert part in text, f"{name}: {part}"
