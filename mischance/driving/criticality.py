"""Criticality measures (TTC, THW, DRAC, BTN …), element-wise over arrays of runs and times.

The functions take arrays and numbers of any shapes that broadcast, in SI units, and return an array of the common
shape; an element's bits do not depend on its neighbours. NaN in gives NaN out. Gaps are signed bumper gaps: 0 at
contact, negative in overlap, +inf if there is no other vehicle; the caller determines which vehicle is ahead in which
lane. Speeds count forward along the lane. Only the measures of a whole run (`time_below`, `integral_below`, TET, TIT,
`conflict_area_times`) work along the last axis, time.

The measures describe kinematics; none of them is a statement about injury.
"""

from __future__ import annotations

import numpy as np

from mischance.api.elementwise import Floats, elementwise
from mischance.api.geometry import Rectangle, oriented_gap, time_to_collision_2d
from mischance.api.tables import FloatArray
from mischance.driving.braking import (
    BRAKING_JERK,
    FULL_BRAKING,
    GRAVITY,
    jerk_limited_smallest_gap,
    modified_time_to_collision,
    required_deceleration,
    stopping_distance,
    time_to_brake,
)
from mischance.driving.driver_rules import (
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
from mischance.driving.over_time import (
    Stay,
    conflict_area_times,
    crossing_time,
    encroachment_time,
    integral_below,
    post_encroachment_time,
    time_below,
    time_exposed_ttc,
    time_integrated_ttc,
)

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
    """Return a_lat,req: the constant lateral acceleration that just passes the other vehicle [m/s2].

    The smaller of left and right of abs(a + 2 u / TTC + 2 / TTC^2 (offset +- widths / 2)).
    TTC along the lane [s]; lateral offset [m], speed u [m/s] and acceleration a [m/s2] of the other vehicle's centre
    relative to the ego's, on one axis; sum of both widths [m].

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
    """Return the acceleration available for braking or for steering [m/s2]: the friction circle, with a limit.

    `used`: acceleration in the other direction [m/s2]; `limit`: maximum of the brakes or the steering [m/s2].

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
    """Return TTS: the time until full steering must begin to pass the other vehicle [s].

    Arguments as of `required_lateral_acceleration`; `available` lateral acceleration [m/s2], there `delay` [s]
    after the command. Closed form: a lateral distance d takes sqrt(2 d / available).

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
