"""Braking in one lane: smallest avoidable gap, required deceleration, and the latest time to brake.

Braking is a delay, then a ramp of constant jerk up to the full deceleration, then that deceleration to a standstill.
"""

from __future__ import annotations

import numpy as np

from mischance.api.elementwise import Floats, elementwise
from mischance.api.tables import BoolArray, FloatArray

GRAVITY = 9.81  # [m/s2]; the value with which 0.774 g is 7.593 m/s2, as in UN R157's model
FULL_BRAKING = 0.774 * GRAVITY  # [m/s2] UN R157, competent driver
BRAKING_JERK = 12.65  # [m/s3] UN R157, competent driver: full braking after 0.6 s
_HALVINGS = 20  # of [0, time to collision]: below 1 ms up to a quarter of an hour


@elementwise
def jerk_limited_smallest_gap(
    closing_speed: Floats,
    delay: Floats = 0.75,
    *,
    deceleration: Floats = FULL_BRAKING,
    jerk: Floats = BRAKING_JERK,
) -> FloatArray:
    """Return the smallest gap at which braking still avoids a lead at constant speed [m].

    Closing speed [m/s]; delay before braking begins [s]; full deceleration [m/s2], reached with `jerk` [m/s3]
    (+inf: at once). Closed form; below deceleration^2 / (2 jerk) the ramp itself ends the closing.

    Shape: common shape of the arguments.
    NaN, inf: 0 if not closing.
    Sampling: of one moment.
    Source: integration of the braking profile of UN R157's competent driver model.
    """
    closing = np.maximum(closing_speed, 0.0)
    build_up = deceleration / jerk
    lost = 0.5 * deceleration * build_up
    full = (
        closing * (delay + build_up)
        - deceleration * np.square(build_up) / 6.0
        + np.square(closing - lost) / (2.0 * deceleration)
    )
    ramp = closing * (delay + 2.0 / 3.0 * np.sqrt(2.0 * closing / jerk))
    return np.where(closing > lost, full, ramp)


def stopping_distance(
    speed: Floats,
    friction: Floats,
    *,
    delay: Floats = 0.0,
    jerk: Floats = np.inf,
    gravity: Floats = GRAVITY,
) -> FloatArray:
    """Return the distance to a standstill at the limit of friction [m]: v^2 / (2 friction gravity), and more.

    Speed [m/s]; the brakes answer after `delay` [s] and build up with `jerk` [m/s3] (+inf: at once).

    Shape: common shape of the arguments.
    NaN, inf: 0 at standstill; +inf without friction.
    Sampling: of one moment.
    Source: work and energy; with delay and build-up `jerk_limited_smallest_gap` in front of a wall.
    """
    return jerk_limited_smallest_gap(speed, delay, deceleration=np.multiply(friction, gravity), jerk=jerk)


@elementwise
def required_deceleration(
    gap: Floats, speed: Floats, lead_speed: Floats, lead_acceleration: Floats = 0.0
) -> FloatArray:
    """Return the constant deceleration from now on that just avoids the lead [m/s2]; it is -a_long,req.

    Bumper gap [m], both speeds [m/s], the lead's acceleration [m/s2]. The lead keeps it until it stands and does not
    reverse: while it moves, (v - v_lead)^2 / (2 gap) - a_lead; if it stands first, v^2 / (2 (gap + its stopping
    distance)). An oncoming lead (negative speed) has to be met at a standstill.

    Shape: common shape of the arguments.
    NaN, inf: 0 if none is needed; +inf at contact while closing, and for an oncoming lead that does not stop in
        time; a gap of +inf gives 0.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = largest.
    Source: Jansson, Collision avoidance theory, PhD thesis, Linköping 2005 (required longitudinal acceleration).
    """
    room, closing = np.maximum(gap, 0.0), speed - lead_speed
    braking = lead_acceleration < 0.0
    while_moving = np.where(closing > 0.0, np.square(closing) / (2.0 * room), 0.0) - lead_acceleration
    # Equal speeds are reached after 2 gap / closing; the lead stands after lead_speed / -lead_acceleration.
    stands_first = braking & ((closing <= 0.0) | (2.0 * room * -lead_acceleration > closing * lead_speed))
    to_rest = np.square(lead_speed) / (2.0 * np.abs(lead_acceleration))
    standing = _stop_within(speed, room + np.where(braking, to_rest, 0.0))
    same_way = np.maximum(np.where(stands_first, standing, while_moving), 0.0)
    stops = lead_acceleration > 0.0
    oncoming = np.where(stops, _stop_within(speed, room - to_rest), np.inf)
    needed = np.where(lead_speed < 0.0, oncoming, same_way)
    return np.where(room == np.inf, 0.0, needed)


def _stop_within(speed: Floats, room: FloatArray) -> FloatArray:
    """Return the deceleration to a standstill within a distance [m/s2]; inf if the distance is not positive."""
    ahead = np.maximum(speed, 0.0)
    return np.where(room > 0.0, np.square(ahead) / (2.0 * room), np.where((room < 0.0) | (ahead > 0.0), np.inf, 0.0))


@elementwise
def modified_time_to_collision(
    gap: Floats, speed: Floats, lead_speed: Floats, acceleration: Floats = 0.0, lead_acceleration: Floats = 0.0
) -> FloatArray:
    """Return MTTC: when the rear vehicle reaches the lead if both keep their accelerations [s].

    The smallest t >= 0 with gap - (v - v_lead) t - (a - a_lead) t^2 / 2 = 0. A vehicle that brakes stands from the
    moment when its speed is 0; it does not reverse. Bumper gap [m], speeds [m/s], accelerations [m/s2].

    Shape: common shape of the arguments.
    NaN, inf: +inf if never; 0 at contact (gap <= 0); a gap of +inf gives +inf.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = smallest.
    Source: Ozbay, Yang, Bartin, Mudigonda, Derivation and validation of new simulation-based surrogate safety
        measure, TRR 2083, 2008.
    """
    own_stop, lead_stop = _standing_after(speed, acceleration), _standing_after(lead_speed, lead_acceleration)
    begin, room = np.zeros(()), np.asarray(gap)
    v, w, a, b = (np.asarray(value) for value in (speed, lead_speed, acceleration, lead_acceleration))
    answer: FloatArray = np.where(room <= 0.0, 0.0, np.inf)
    for end in (np.minimum(own_stop, lead_stop), np.maximum(own_stop, lead_stop)):
        lasts = end - begin
        root = _first_root(room, v - w, a - b)
        answer = np.minimum(answer, np.where(root <= lasts, begin + root, np.inf))
        # Nothing moves after the last standstill; an endless phase has no successor.
        lasts = np.where(np.isfinite(lasts), lasts, 0.0)
        room = room - (v - w) * lasts - 0.5 * (a - b) * np.square(lasts)
        own_stands, lead_stands = own_stop <= end, lead_stop <= end
        v, a = np.where(own_stands, 0.0, v + a * lasts), np.where(own_stands, 0.0, a)
        w, b = np.where(lead_stands, 0.0, w + b * lasts), np.where(lead_stands, 0.0, b)
        begin = end
    return answer


def _standing_after(speed: Floats, acceleration: Floats) -> FloatArray:
    """Return the time until a braking vehicle stands [s]; inf if it does not brake, 0 if it already stands."""
    slows = ((speed > 0.0) & (acceleration < 0.0)) | ((speed < 0.0) & (acceleration > 0.0))
    held = (speed == 0.0) & (acceleration < 0.0)
    return np.where(slows, -speed / np.asarray(acceleration), np.where(held, 0.0, np.inf))


def _first_root(gap: FloatArray, closing: FloatArray, rate: FloatArray) -> FloatArray:
    """Return the smallest positive t with gap = closing t + rate t^2 / 2; inf if there is none."""
    root = np.sqrt(closing * closing + 2.0 * rate * gap)
    # Two forms of the same root: each element uses the form without cancellation.
    ahead = np.where(closing > 0.0, 2.0 * gap / (closing + root), (root - closing) / rate)
    meets = np.isfinite(root) & ((closing > 0.0) | (rate > 0.0)) & (gap > 0.0)
    return np.where(meets, ahead, np.inf)


@elementwise
def time_to_brake(
    gap: Floats,
    speed: Floats,
    lead_speed: Floats,
    *,
    deceleration: Floats = FULL_BRAKING,
    lead_acceleration: Floats = 0.0,
    delay: Floats = 0.0,
    jerk: Floats = np.inf,
) -> FloatArray:
    """Return TTB: the time until full braking must begin to avoid the lead [s].

    The ego keeps its speed until it brakes; the lead keeps its acceleration until it stands. Deceleration begins
    `delay` [s] after the command, and grows with `jerk` [m/s3] to `deceleration` [m/s2].
    Closed form for a lead at constant speed, else bisection (error below 1 ms).

    Shape: common shape of the arguments.
    NaN, inf: +inf if they do not meet even without braking; -inf if it is too late already.
    Sampling: of one moment; evaluate at steps and at events; worst of a run = smallest.
    Source: Hillenbrand, Spieker, Kroschel, A multilevel collision mitigation approach, IEEE T-ITS 7(4), 2006.
    """
    meet = modified_time_to_collision(gap, speed, lead_speed, 0.0, lead_acceleration)
    closing = speed - lead_speed
    steady = (gap - jerk_limited_smallest_gap(closing, 0.0, deceleration=deceleration, jerk=jerk)) / closing
    wait = np.where(lead_speed < 0.0, -np.inf, steady) - delay
    search = np.isfinite(meet) & (gap > 0.0) & (lead_acceleration != 0.0)
    if search.any():
        case = np.broadcast_arrays(
            wait, search, meet, delay, gap, speed, lead_speed, lead_acceleration, deceleration, jerk
        )
        wait, where = case[0].copy(), case[1]
        wait[where] = _latest_start(*(column[where] for column in case[2:]))
    too_late = (gap <= 0.0) | (wait < 0.0)
    return np.where(meet == np.inf, np.inf, np.where(too_late, -np.inf, wait))


def _latest_start(meet: FloatArray, delay: FloatArray, *case: FloatArray) -> FloatArray:
    """Return the latest time in [0, meet] to command the brakes [s], by bisection; -inf if there is none."""
    low, high = np.zeros_like(meet), meet
    in_time = (delay <= meet) & _avoids(delay, *case)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        good = (middle + delay <= meet) & _avoids(middle + delay, *case)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return np.where(in_time, low, -np.inf)


def _avoids(
    start: FloatArray, gap: FloatArray, v: FloatArray, w: FloatArray, a: FloatArray, full: FloatArray, jerk: FloatArray
) -> BoolArray:
    """Return whether braking that begins at `start` keeps a gap of 0 or more, at every later time.

    The gap is a polynomial between a few moments; its smallest value lies at one of them or where the speeds are
    equal, so it is enough to look there.
    """
    build_up = full / jerk
    lost = 0.5 * full * build_up
    ramp_slope = np.where(build_up > 0.0, full / build_up, 0.0)
    lasts = np.where(v <= lost, np.sqrt(2.0 * v * build_up / full), build_up + (v - lost) / full)
    lead_rest = _standing_after(w, a)
    closing = v - w - a * start
    turn = np.sqrt(np.square(a) + 2.0 * ramp_slope * closing)
    moments = (
        np.zeros_like(start),
        build_up,
        (-a - turn) / ramp_slope,
        (-a + turn) / ramp_slope,
        build_up + (closing - lost - a * build_up) / (full + a),
        lasts,
        lead_rest - start,
    )
    keeps = ~((w < 0.0) & (a <= 0.0))
    for moment in moments:
        since = np.where(np.isfinite(moment), np.maximum(moment, 0.0), 0.0)
        braked = np.minimum(since, lasts)
        ramp = np.minimum(braked, build_up)
        after = np.maximum(braked - build_up, 0.0)
        own = v * (start + braked) - (
            ramp_slope * ramp * np.square(ramp) / 6.0 + lost * after + 0.5 * full * np.square(after)
        )
        moved = np.minimum(start + since, lead_rest)
        keeps = keeps & (gap + w * moved + 0.5 * a * np.square(moved) - own >= 0.0)
    return keeps
