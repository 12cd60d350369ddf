"""How close to a crash a moment is: the field's measures, for whole columns of runs and times at once.

All of them are element-wise: arrays and plain numbers of any shapes that broadcast go in, SI units throughout, an
array of the common shape comes out, and an element's bits do not depend on its neighbours. NaN in gives NaN out.
Gaps are signed bumper gaps: 0 at contact, negative in overlap, +inf when nobody is there; which vehicle is ahead in
whose lane is the caller's to say. Speeds count forward along the lane. Only the measures of a whole run
(`time_below`, `integral_below`, TET, TIT, `conflict_area_times`) look along the last axis, time.

Numbers here describe kinematics; none of them is a statement about injury.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mischance._braking import (
    BRAKING_JERK,
    FULL_BRAKING,
    GRAVITY,
    jerk_limited_smallest_gap,
    modified_time_to_collision,
    required_deceleration,
    stopping_distance,
    time_to_brake,
)
from mischance._driver_rules import (
    critical_fuzzy_safety,
    eu_2022_1426_cut_in_ttc,
    fsm_deceleration,
    fsm_lateral_check,
    proactive_fuzzy_safety,
    r157_cut_in_avoidable_ttc,
    r157_detection_range,
    r157_minimum_following_distance,
    rss_lateral_distance,
    rss_longitudinal_distance,
    rss_margin,
    rss_violation,
)
from mischance._elementwise import Floats, elementwise
from mischance._rectangles import Rectangle, oriented_gap, time_to_collision_2d
from mischance.truth import BoolArray, FloatArray, IntArray

__all__ = [
    "BRAKING_JERK",
    "FULL_BRAKING",
    "GRAVITY",
    "Rectangle",
    "Stay",
    "available_acceleration",
    "brake_threat_number",
    "conflict_area_times",
    "critical_fuzzy_safety",
    "crossing_time",
    "deceleration_rate_to_avoid_crash",
    "encroachment_time",
    "eu_2022_1426_cut_in_ttc",
    "fsm_deceleration",
    "fsm_lateral_check",
    "integral_below",
    "jerk_limited_smallest_gap",
    "modified_time_to_collision",
    "oriented_gap",
    "picud",
    "post_encroachment_time",
    "proactive_fuzzy_safety",
    "proportion_of_stopping_distance",
    "r157_cut_in_avoidable_ttc",
    "r157_detection_range",
    "r157_minimum_following_distance",
    "required_deceleration",
    "required_lateral_acceleration",
    "rss_lateral_distance",
    "rss_longitudinal_distance",
    "rss_margin",
    "rss_violation",
    "steer_threat_number",
    "stopping_distance",
    "time_below",
    "time_exposed_ttc",
    "time_headway",
    "time_integrated_ttc",
    "time_to_brake",
    "time_to_collision",
    "time_to_collision_2d",
    "time_to_react",
    "time_to_steer",
]


class Stay(NamedTuple):
    """When each user first entered a conflict area and when it left again [s]; +inf: it did not."""

    entry: FloatArray
    exit: FloatArray


@elementwise
def time_to_collision(gap: Floats, closing_speed: Floats) -> FloatArray:
    """Return TTC in one lane: gap / closing speed [s].

    Bumper gap [m], closing speed = rear minus lead speed [m/s].

    Shape: common shape of the arguments.
    NaN, inf: +inf if never (not closing, or a gap of +inf); 0 at contact (gap <= 0).
    Sampling: of one moment; evaluate at steps and at events; worst of a run = smallest.
    Source: Hayward, Near-miss determination through use of a scale of danger, HRR 384, 1972.
    """
    ahead = np.where(closing_speed > 0.0, gap / closing_speed, np.inf)
    return np.where(gap <= 0.0, 0.0, ahead)


@elementwise
def time_headway(gap: Floats, speed: Floats) -> FloatArray:
    """Return THW, bumper to bumper: the time in which the rear vehicle covers the gap [s].

    Bumper gap [m], speed of the rear vehicle [m/s]. Some tools measure front to front: add the lead's length.

    Shape: common shape of the arguments.
    NaN, inf: +inf if the rear vehicle stands or reverses, or for a gap of +inf; 0 at contact (gap <= 0).
    Sampling: of one moment; evaluate at steps and at events; worst of a run = smallest.
    Source: UN R157 and ISO 15622 (time gap).
    """
    return np.where(gap <= 0.0, 0.0, np.where(speed > 0.0, gap / speed, np.inf))


@elementwise
def deceleration_rate_to_avoid_crash(gap: Floats, closing_speed: Floats) -> FloatArray:
    """Return DRAC: closing speed^2 / (2 gap) [m/s2], the lead at constant speed.

    Shape: common shape of the arguments (gap [m], closing speed [m/s]).
    NaN, inf: 0 if not closing; +inf at contact (gap <= 0) while closing.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = largest.
    Source: Cooper, Ferguson, Traffic studies at T-junctions, Traffic Eng. & Control 17, 1976.
    """
    room = np.maximum(gap, 0.0)
    return np.where(closing_speed > 0.0, closing_speed * closing_speed / (2.0 * room), 0.0)


@elementwise
def required_lateral_acceleration(
    time_to_collision: Floats,
    lateral_offset: Floats,
    widths: Floats,
    lateral_speed: Floats = 0.0,
    other_lateral_acceleration: Floats = 0.0,
) -> FloatArray:
    """Return a_lat,req: the constant lateral acceleration that just passes beside the other one [m/s2].

    The smaller of left and right of abs(a + 2 u / TTC + 2 / TTC^2 (offset +- widths / 2)).
    TTC along the lane [s]; lateral offset [m], speed u [m/s] and acceleration a [m/s2] of the other one's centre
    against the ego's, on one axis; both widths together [m].

    Shape: common shape of the arguments.
    NaN, inf: 0 if they miss each other anyway (TTC +inf, or enough offset by then); +inf at contact.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = largest.
    Source: Jansson, Collision avoidance theory, PhD thesis, Linköping 2005 (required lateral acceleration).
    """
    ttc, half = time_to_collision, 0.5 * widths
    by_then = lateral_offset + lateral_speed * ttc + 0.5 * other_lateral_acceleration * np.square(ttc)
    motion = other_lateral_acceleration + 2.0 * lateral_speed / ttc
    left = np.abs(motion + 2.0 / np.square(ttc) * (lateral_offset + half))
    right = np.abs(motion + 2.0 / np.square(ttc) * (lateral_offset - half))
    steered = np.where(ttc > 0.0, np.minimum(left, right), np.inf)
    return np.where((np.abs(by_then) >= half) | (ttc == np.inf), 0.0, steered)


@elementwise
def available_acceleration(
    friction: Floats, *, used: Floats = 0.0, limit: Floats = np.inf, gravity: Floats = GRAVITY
) -> FloatArray:
    """Return what friction leaves for braking or for steering [m/s2]: the friction circle, capped.

    `used` is the acceleration in the other direction [m/s2]; `limit` what brakes or steering can do at most [m/s2].

    Shape: common shape of the arguments.
    NaN, inf: 0 if the other direction uses all of it.
    Sampling: of one moment; evaluate at steps and at events.
    Source: friction circle (Rajamani, Vehicle dynamics and control, ch. 13).
    """
    left = np.maximum(np.square(friction * gravity) - np.square(used), 0.0)
    return np.asarray(np.minimum(np.sqrt(left), limit))


@elementwise
def brake_threat_number(required: Floats, available: Floats) -> FloatArray:
    """Return BTN: required over available deceleration; from 1 on braking alone no longer avoids.

    `required` from `required_deceleration`, `available` from `available_acceleration` [m/s2].

    Shape: common shape of the arguments.
    NaN, inf: 0 if nothing is required; +inf if something is and nothing is available, or the required is +inf.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = largest.
    Source: Brännström, Sjöberg, Coelingh, A situation and threat assessment algorithm for a rear-end collision
        avoidance system, IEEE IV 2008.
    """
    return _demand(required, available)


@elementwise
def steer_threat_number(required: Floats, available: Floats) -> FloatArray:
    """Return STN: required over available lateral acceleration; from 1 on steering alone no longer avoids.

    `required` from `required_lateral_acceleration`, `available` from `available_acceleration` [m/s2].

    Shape: common shape of the arguments.
    NaN, inf: 0 if nothing is required; +inf if something is and nothing is available, or the required is +inf.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = largest.
    Source: Eidehall, Tracking and threat assessment for automotive collision avoidance, PhD thesis, Linköping 2007.
    """
    return _demand(required, available)


def _demand(required: Floats, available: Floats) -> FloatArray:
    share = np.where(available > 0.0, np.asarray(required) / available, np.inf)
    return np.where(required <= 0.0, 0.0, np.where(required == np.inf, np.inf, share))


@elementwise
def time_to_steer(
    time_to_collision: Floats,
    lateral_offset: Floats,
    widths: Floats,
    available: Floats,
    lateral_speed: Floats = 0.0,
    other_lateral_acceleration: Floats = 0.0,
    *,
    delay: Floats = 0.0,
) -> FloatArray:
    """Return how long full steering can still wait and pass beside the other one [s].

    Arguments as of `required_lateral_acceleration`; `available` lateral acceleration [m/s2], there `delay` [s]
    after the order. Closed form: the way aside takes sqrt(2 way / available).

    Shape: common shape of the arguments.
    NaN, inf: +inf if they miss each other anyway; -inf if it is too late already.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = smallest.
    Source: Hillenbrand, Spieker, Kroschel, A multilevel collision mitigation approach, IEEE T-ITS 7(4), 2006.
    """
    ttc = time_to_collision
    by_then = lateral_offset + lateral_speed * ttc + 0.5 * other_lateral_acceleration * np.square(ttc)
    way = 0.5 * widths - np.abs(by_then)
    wait = ttc - np.sqrt(2.0 * way / available) - delay
    return np.where((way <= 0.0) | (ttc == np.inf), np.inf, np.where(wait < 0.0, -np.inf, wait))


@elementwise
def time_to_react(time_to_brake: Floats, time_to_steer: Floats) -> FloatArray:
    """Return TTR: the later of the last moments to brake and to steer [s].

    Shape: common shape of the arguments.
    NaN, inf: +inf if no reaction is needed; -inf if neither avoids any more.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = smallest.
    Source: Hillenbrand, Spieker, Kroschel, A multilevel collision mitigation approach, IEEE T-ITS 7(4), 2006.
    """
    return np.maximum(time_to_brake, time_to_steer)


@elementwise
def proportion_of_stopping_distance(gap: Floats, speed: Floats, deceleration: Floats) -> FloatArray:
    """Return PSD: the distance left over the distance needed to stop; below 1 a stop comes too late.

    Distance left [m], speed [m/s], deceleration [m/s2].

    Shape: common shape of the arguments.
    NaN, inf: +inf at standstill; 0 at contact (gap <= 0).
    Sampling: of one moment; evaluate at steps and at events; worst of a run = smallest.
    Source: Allen, Shin, Cooper, Analysis of traffic conflicts and collisions, TRR 667, 1978.
    """
    needed = np.square(speed) / (2.0 * deceleration)
    return np.where(gap <= 0.0, 0.0, np.where(speed > 0.0, gap / needed, np.inf))


@elementwise
def picud(gap: Floats, speed: Floats, lead_speed: Floats, *, deceleration: Floats, reaction_time: Floats) -> FloatArray:
    """Return PICUD: the gap left when both brake to a stop, the rear one later [m]; negative is unsafe.

    (v_lead^2 - v^2) / (2 deceleration) + gap - v reaction_time: potential index for collision with urgent
    deceleration. Bumper gap [m], speeds [m/s], the deceleration of both [m/s2], reaction time [s].

    Shape: common shape of the arguments.
    NaN, inf: a gap of +inf gives +inf.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = smallest.
    Source: Uno, Iida, Itsubo, Yasuhara, A microscopic analysis of traffic conflict caused by lane-changing vehicle
        at weaving section, 2002.
    """
    braked = (np.square(lead_speed) - np.square(speed)) / (2.0 * deceleration)
    return np.subtract(braked + gap, speed * reaction_time)


@elementwise
def crossing_time(t_before: Floats, value_before: Floats, t_after: Floats, value_after: Floats) -> FloatArray:
    """Return when a value that was sampled twice went through zero, on the straight line between [s].

    Shape: common shape of the arguments.
    NaN, inf: NaN if both values lie on one side of zero.
    Sampling: this is the step below the sampling step.
    Source: linear interpolation.
    """
    crosses = ((value_before <= 0.0) & (value_after >= 0.0)) | ((value_before >= 0.0) & (value_after <= 0.0))
    change = value_after - value_before
    share = np.where(change == 0.0, 0.0, -value_before / change)
    return np.where(crosses, t_before + share * (t_after - t_before), np.nan)


def conflict_area_times(t: FloatArray, distance: FloatArray) -> Stay:
    """Return when each user entered a conflict area for the first time and when it left again [s].

    Args:
        t: times of the samples, ascending; shape (n,) [s].
        distance: signed distance to the area, <= 0 inside, as `oriented_gap` gives it; shape (..., n) [m].
            NaN where there is no sample (after the end of a run): no crossing is seen there.

    Shape: `distance` without its last axis.
    NaN, inf: +inf for an entry or exit that was not seen; who starts inside entered at t[0].
    Sampling: between two samples the distance is taken as linear.
    Source: Allen, Shin, Cooper, Analysis of traffic conflicts and collisions, TRR 667, 1978 (conflict area).
    """
    columns, times = np.asarray(distance, dtype=np.float64), np.asarray(t, dtype=np.float64)
    entry, first = _first_change(times, columns, columns <= 0.0)
    later = np.arange(len(times)) > first[..., None]
    out, _ = _first_change(times, columns, (columns > 0.0) & later)
    return Stay(entry, np.where(entry == np.inf, np.inf, out))


def _first_change(t: FloatArray, distance: FloatArray, there: BoolArray) -> tuple[FloatArray, IntArray]:
    """Return the interpolated time and the index of the first sample that is `there`; (inf, n) if none is."""
    if len(t) == 0:
        never: FloatArray = np.full(distance.shape[:-1], np.inf)
        return never, np.zeros(distance.shape[:-1], dtype=np.int64)
    at = np.argmax(there, axis=-1)
    before = np.maximum(at - 1, 0)
    value = [np.take_along_axis(distance, index[..., None], axis=-1)[..., 0] for index in (before, at)]
    between = crossing_time(t[before], value[0], t[at], value[1])
    seen = np.where(np.isnan(between), t[at], between)  # inside from the start, or no sample just before
    found = there.any(axis=-1)
    return np.where(found, seen, np.inf), np.asarray(np.where(found, at, len(t)))


@elementwise
def encroachment_time(entry: Floats, exit: Floats) -> FloatArray:  # noqa: A002 - the field's word
    """Return ET: for how long a user occupies the conflict area [s].

    Shape: common shape of the arguments (times [s], +inf: not seen).
    NaN, inf: 0 if it never enters; +inf if it does not leave.
    Sampling: entry and exit between samples, see `conflict_area_times`.
    Source: Allen, Shin, Cooper, Analysis of traffic conflicts and collisions, TRR 667, 1978.
    """
    return np.where(entry == np.inf, 0.0, exit - entry)


@elementwise
def post_encroachment_time(entry_a: Floats, exit_a: Floats, entry_b: Floats, exit_b: Floats) -> FloatArray:
    """Return PET: entry of the second user minus exit of the first [s]; negative: both inside at once.

    Who enters first is the first; of two that enter together, who leaves first.

    Shape: common shape of the arguments (times [s], +inf: not seen).
    NaN, inf: +inf if either never enters; -inf if the first is still inside at the end of the record.
    Sampling: entry and exit between samples, see `conflict_area_times`; one value a pair and area.
    Source: Allen, Shin, Cooper, Analysis of traffic conflicts and collisions, TRR 667, 1978.
    """
    a_first, b_first = entry_b - exit_a, entry_a - exit_b
    tie = np.maximum(a_first, b_first)
    ordered = np.where(entry_a < entry_b, a_first, np.where(entry_b < entry_a, b_first, tie))
    return np.where((entry_a == np.inf) | (entry_b == np.inf), np.inf, ordered)


def time_below(values: FloatArray, threshold: Floats, dt: float) -> FloatArray:
    """Return for how long a run's values lie below a threshold [s].

    Args:
        values: on a regular grid of step dt [s]; shape (..., n). NaN counts as not below.
        threshold: a number, or an array of shape (..., 1).

    Shape: `values` without the last axis.
    NaN, inf: 0 if never; rows that are padded with NaN give the same bits as without.
    Sampling: sample k stands for [t_k, t_k + dt).
    Source: Minderhoud, Bovy, Extended time-to-collision measures, Accid. Anal. Prev. 33, 2001 (as sums).
    """
    return np.asarray(np.count_nonzero(np.asarray(values) < threshold, axis=-1) * dt, dtype=np.float64)


def integral_below(values: FloatArray, threshold: Floats, dt: float) -> FloatArray:
    """Return the integral of (threshold - value) over the time below the threshold [s times the value's unit].

    Args:
        values: on a regular grid of step dt [s]; shape (..., n). NaN counts as not below.
        threshold: a number, or an array of shape (..., 1).

    Shape: `values` without the last axis.
    NaN, inf: 0 if never below; rows that are padded with NaN give the same bits as without.
    Sampling: sample k stands for [t_k, t_k + dt).
    Source: Minderhoud, Bovy, Extended time-to-collision measures, Accid. Anal. Prev. 33, 2001 (as sums).
    """
    columns = np.asarray(values, dtype=np.float64)
    depth = np.where(columns < threshold, threshold - columns, 0.0)
    if depth.shape[-1] == 0:
        return np.zeros(depth.shape[:-1])
    # A running sum adds in the order of time; np.sum would pair terms by the length of the row.
    return np.asarray(np.cumsum(depth, axis=-1)[..., -1] * dt)


def time_exposed_ttc(ttc: FloatArray, threshold: Floats, dt: float) -> FloatArray:
    """Return TET: for how long TTC is below the threshold tau* [s]; put tau* into the column's name.

    Args: `ttc` [s] on a regular grid of step dt [s], shape (..., n); threshold [s].

    Shape: `ttc` without the last axis.
    NaN, inf: NaN and +inf count as safe.
    Sampling: sample k stands for [t_k, t_k + dt).
    Source: Minderhoud, Bovy, Extended time-to-collision measures, Accid. Anal. Prev. 33, 2001.
    """
    return time_below(ttc, threshold, dt)


def time_integrated_ttc(ttc: FloatArray, threshold: Floats, dt: float) -> FloatArray:
    """Return TIT: the integral of tau* - TTC over the time with TTC below tau* [s2].

    Args: `ttc` [s] on a regular grid of step dt [s], shape (..., n); threshold [s].

    Shape: `ttc` without the last axis.
    NaN, inf: NaN and +inf count as safe.
    Sampling: sample k stands for [t_k, t_k + dt).
    Source: Minderhoud, Bovy, Extended time-to-collision measures, Accid. Anal. Prev. 33, 2001.
    """
    return integral_below(ttc, threshold, dt)
