"""Rules and reference driver models: RSS, UN R157, EU 2022/1426, the fuzzy safety model.

Defaults are those of published comparisons of the models (Mattas et al. 2020); each is an argument.
"""

from __future__ import annotations

import numpy as np

from mischance.api.elementwise import Floats, elementwise
from mischance.api.tables import BoolArray, FloatArray

# UN R157, original version: speed [km/h] -> shortest time gap to the vehicle in front [s].
_FOLLOWING = ((7.2, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0), (1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6))
# UN R157, 01 series: top speed [km/h] -> shortest forward detection range [m].
_DETECTION = ((60.0, 70.0, 80.0, 90.0, 100.0, 110.0, 120.0, 130.0), (46.0, 50.0, 60.0, 75.0, 90.0, 110.0, 130.0, 150.0))


@elementwise
def rss_longitudinal_distance(
    speed: Floats,
    lead_speed: Floats,
    *,
    response_time: Floats = 0.75,
    max_acceleration: Floats = 3.0,
    min_braking: Floats = 6.0,
    max_lead_braking: Floats = 6.0,
) -> FloatArray:
    """Return the safe distance behind a vehicle that drives the same way, by RSS [m].

    The lead brakes with `max_lead_braking`; the rear vehicle accelerates with `max_acceleration` during its
    response time [s], then brakes with `min_braking` [m/s2]. Speeds [m/s].

    Shape: common shape of the arguments.
    NaN, inf: 0 if no distance is needed; NaN for a negative speed (oncoming traffic has another rule).
    Sampling: of one moment; evaluate at steps and at events.
    Source: Shalev-Shwartz, Shammah, Shashua, On a formal model of safe and scalable self-driving cars,
        arXiv 1708.06374, safe longitudinal distance, same direction.
    """
    after = speed + response_time * max_acceleration
    own = (
        speed * response_time
        + 0.5 * max_acceleration * np.square(response_time)
        + np.square(after) / (2.0 * min_braking)
    )
    distance = np.maximum(own - np.square(lead_speed) / (2.0 * max_lead_braking), 0.0)
    return np.where((speed < 0.0) | (lead_speed < 0.0), np.nan, distance)


@elementwise
def rss_lateral_distance(
    speed: Floats,
    other_speed: Floats,
    *,
    response_time: Floats = 0.75,
    max_acceleration: Floats = 1.0,
    min_braking: Floats = 1.0,
    fluctuation: Floats = 0.3,
) -> FloatArray:
    """Return the safe lateral distance of two vehicles, by RSS [m].

    Both lateral speeds are on one axis [m/s], positive from the own vehicle towards the other; so the other
    vehicle approaches with a negative speed. During the response time [s] each accelerates towards the other with
    `max_acceleration`, then brakes its lateral motion with `min_braking` [m/s2]. `fluctuation` [m] stays free.
    A vehicle that still moves away after its response time gets no braking distance: the formula's square would
    count that as coming closer.

    Shape: common shape of the arguments.
    NaN, inf: never below `fluctuation`.
    Sampling: of one moment; evaluate at steps and at events.
    Source: Shalev-Shwartz et al., arXiv 1708.06374, safe lateral distance.
    """
    after, other_after = speed + response_time * max_acceleration, other_speed - response_time * max_acceleration
    own = 0.5 * (speed + after) * response_time + np.square(np.maximum(after, 0.0)) / (2.0 * min_braking)
    other = 0.5 * (other_speed + other_after) * response_time - np.square(np.minimum(other_after, 0.0)) / (
        2.0 * min_braking
    )
    return fluctuation + np.maximum(own - other, 0.0)


@elementwise
def rss_margin(gap: Floats, safe_gap: Floats, lateral_gap: Floats, safe_lateral_gap: Floats) -> FloatArray:
    """Return the larger of the two RSS distance margins [m]; negative: depth of the violation.

    A situation is dangerous only while both distances are too short, so the larger margin counts.
    Gaps are signed bumper gaps and side gaps [m].

    Shape: common shape of the arguments.
    NaN, inf: a gap of +inf (no other vehicle) gives +inf.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = smallest. How long it was violated:
        `time_below(rss_margin(...), 0.0, dt)`.
    Source: Shalev-Shwartz et al., arXiv 1708.06374, dangerous situation; the margin is the robustness of
        "longitudinal kept or lateral kept".
    """
    return np.maximum(gap - safe_gap, lateral_gap - safe_lateral_gap)


def rss_violation(gap: Floats, safe_gap: Floats, lateral_gap: Floats, safe_lateral_gap: Floats) -> BoolArray:
    """Return whether both RSS distances are violated: the negative side of `rss_margin`.

    Shape: common shape of the arguments; boolean.
    NaN, inf: False where the margin is not known.
    Sampling, source: as `rss_margin`.
    """
    return np.asarray(rss_margin(gap, safe_gap, lateral_gap, safe_lateral_gap) < 0.0)


@elementwise
def proactive_fuzzy_safety(
    gap: Floats,
    speed: Floats,
    lead_speed: Floats,
    *,
    delay: Floats = 0.75,
    comfort_braking: Floats = 4.0,
    max_braking: Floats = 6.0,
    max_lead_braking: Floats = 7.0,
    margin: Floats = 2.0,
) -> FloatArray:
    """Return PFS: 0 if comfortable braking suffices when the lead brakes hard, 1 if full braking does not suffice.

    Bumper gap and margin [m], speeds [m/s], delay [s], decelerations [m/s2]. As published, the margin is subtracted
    from the gap and is also part of the safe distance, but not of the unsafe one.

    Shape: common shape of the arguments.
    NaN, inf: within 0...1; 0 for a gap of +inf.
    Sampling: of one moment; evaluate at the agent's steps; worst of a run = largest.
    Source: Mattas et al., Accid. Anal. Prev. 148 (2020) 105794; UN R157, 01 series, performance model 2.
    """
    own, lead = speed * delay, np.square(lead_speed) / (2.0 * max_lead_braking)
    safe = own + np.square(speed) / (2.0 * comfort_braking) - lead + margin
    unsafe = own + np.square(speed) / (2.0 * max_braking) - lead
    return _ramp(gap - margin, unsafe, safe)


@elementwise
def critical_fuzzy_safety(
    gap: Floats,
    speed: Floats,
    lead_speed: Floats,
    acceleration: Floats = 0.0,
    *,
    delay: Floats = 0.75,
    comfort_braking: Floats = 4.0,
    max_braking: Floats = 6.0,
) -> FloatArray:
    """Return CFS: 0 if comfortable braking suffices when the lead keeps its speed, 1 if full braking does not suffice.

    Bumper gap [m], speeds [m/s], own acceleration and decelerations [m/s2], delay [s].

    Shape: common shape of the arguments.
    NaN, inf: within 0...1; 0 if the lead is not slower, or for a gap of +inf.
    Sampling: of one moment; evaluate at the agent's steps; worst of a run = largest.
    Source: Mattas et al., Accid. Anal. Prev. 148 (2020) 105794; UN R157, 01 series, performance model 2.
    """
    own = np.maximum(acceleration, -comfort_braking)
    after = speed + own * delay
    during = (0.5 * (speed + after) - lead_speed) * delay
    already = np.square(speed - lead_speed) / (2.0 * np.abs(own))  # slower than the lead before the end of the delay
    closing = np.square(after - lead_speed)
    safe = np.where(after <= lead_speed, already, during + closing / (2.0 * comfort_braking))
    unsafe = np.where(after <= lead_speed, already, during + closing / (2.0 * max_braking))
    return np.where(speed <= lead_speed, 0.0, _ramp(gap, unsafe, safe))


@elementwise
def fsm_deceleration(
    cfs: Floats, pfs: Floats, *, comfort_braking: Floats = 4.0, max_braking: Floats = 6.0
) -> FloatArray:
    """Return the deceleration that the fuzzy safety model demands, before delay and jerk limit [m/s2].

    Shape: common shape of the arguments.
    NaN, inf: within 0...max_braking.
    Sampling: of one moment; evaluate at the agent's steps.
    Source: Mattas et al., Accid. Anal. Prev. 148 (2020) 105794; UN R157, 01 series, performance model 2.
    """
    return np.where(cfs > 0.0, cfs * (max_braking - comfort_braking) + comfort_braking, pfs * comfort_braking)


def fsm_lateral_check(
    lateral_gap: Floats,
    lateral_speed: Floats,
    gap: Floats,
    speed: Floats,
    other_speed: Floats,
    lengths: Floats,
    *,
    margin: Floats = 0.1,
) -> BoolArray:
    """Return whether the fuzzy safety model sees a risk in a vehicle of another lane.

    It does if the other vehicle is ahead, slower, approaches, and closes the side gap before the ego has passed it:
    lateral_gap / lateral_speed < (gap + lengths) / (speed - other_speed) + margin.
    Side gap and bumper gap [m], lateral closing speed [m/s], sum of both lengths [m], margin [s]. Without a side gap
    (<= 0), being ahead and slower is enough.

    Shape: common shape of the arguments; boolean.
    NaN, inf: False where an argument is NaN.
    Sampling: of one moment; evaluate at the agent's steps.
    Source: UN R157, 01 series, performance model 2; Mattas et al., Accid. Anal. Prev. 148 (2020) 105794.
    """
    return np.asarray(_fsm_risk(lateral_gap, lateral_speed, gap, speed, other_speed, lengths, margin) == 1.0)


@elementwise
def _fsm_risk(
    lateral_gap: Floats,
    lateral_speed: Floats,
    gap: Floats,
    speed: Floats,
    other_speed: Floats,
    lengths: Floats,
    margin: Floats,
) -> FloatArray:
    """Return 1 for a risk, 0 for none."""
    in_front = lateral_gap / lateral_speed < (gap + lengths) / (speed - other_speed) + margin
    comes = (lateral_gap <= 0.0) | ((lateral_speed > 0.0) & in_front)
    return np.where(comes & (gap > 0.0) & (speed > other_speed), 1.0, 0.0)


@elementwise
def r157_cut_in_avoidable_ttc(closing_speed: Floats, *, deceleration: Floats = 6.0, delay: Floats = 0.35) -> FloatArray:
    """Return the TTC at lane intrusion above which R157 requires that a cut-in causes no collision [s].

    Closing speed [m/s]: v_rel / (2 * 6 m/s2) + 0.35 s.

    Shape: common shape of the arguments.
    NaN, inf: a negative closing speed counts as 0.
    Sampling: at the moment when the tyre is 0.3 m over the lane marking.
    Source: UN Regulation No. 157, paragraph 5.2.5.2.
    """
    return np.maximum(closing_speed, 0.0) / (2.0 * deceleration) + delay


@elementwise
def eu_2022_1426_cut_in_ttc(closing_speed: Floats, *, deceleration: Floats = 6.0, build_up: Floats = 0.3) -> FloatArray:
    """Return the TTC at a cut-in above which EU 2022/1426 requires that it causes no collision [s].

    Closing speed [m/s]: v_rel / (2 deceleration) + build_up / 2 + 0.1 s. With standing passengers the deceleration
    is 2.4 m/s2 and the build-up 0.12 s.

    Shape: common shape of the arguments.
    NaN, inf: a negative closing speed counts as 0.
    Sampling: at the moment of lane intrusion.
    Source: Implementing Regulation (EU) 2022/1426 and the German AFGBV; the form is inferred from the published
        parameters and gives all twelve published values.
    """
    return np.maximum(closing_speed, 0.0) / (2.0 * deceleration) + 0.5 * build_up + 0.1


@elementwise
def r157_minimum_following_distance(speed: Floats) -> FloatArray:
    """Return the minimum following distance of R157 at a speed [m/s] [m].

    Speed times the table's time gap, linear between its rows (7.2 to 60 km/h), never below 2 m. Outside the table
    the nearest row's time gap holds: above 60 km/h the regulation leaves the distance to national rules.

    Shape: shape of the speed.
    NaN, inf: 2 m at standstill and for negative speeds.
    Sampling: of one moment; evaluate at steps and at events.
    Source: UN Regulation No. 157, table of minimum following distances.
    """
    return np.maximum(speed * np.interp(speed * 3.6, *_FOLLOWING), 2.0)


@elementwise
def r157_detection_range(top_speed: Floats) -> FloatArray:
    """Return the minimum forward detection range of R157 for a system with a top speed [m/s] [m].

    Linear between the table's rows (60 to 130 km/h); 46 m below.

    Shape: shape of the top speed.
    NaN, inf: NaN above 130 km/h, which the regulation does not admit.
    Sampling: a property of the system; once.
    Source: UN Regulation No. 157, 01 series, table of forward detection ranges (based on a deceleration of 5 m/s2).
    """
    kilometres = top_speed * 3.6
    beyond = kilometres > _DETECTION[0][-1] * (1.0 + 1e-12)  # 130 / 3.6 * 3.6 may end one bit above 130
    return np.where(beyond, np.nan, np.interp(kilometres, *_DETECTION))


def _ramp(value: Floats, unsafe: Floats, safe: Floats) -> FloatArray:
    """Return 1 below `unsafe`, 0 from `safe` on, linear between."""
    between = (value - safe) / np.subtract(unsafe, safe)
    return np.where(value >= safe, 0.0, np.where(value < unsafe, 1.0, between))
