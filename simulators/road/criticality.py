"""Criticality per step until first contact: gap, TTC, threat numbers, required deceleration (compiled)."""

from __future__ import annotations

from math import cos, hypot, inf, sin
from typing import Any

from mischance.api.kernels import kernel

from .boxes import clearance, meeting
from .driver import reference
from .motion import GRAVITY
from .paths import gap_along, heading_at, project, stretch

DEMAND, SOON = 1.0, 4.0  # required deceleration and time to collision that call for braking [m/s2], [s]
DANGER, IMMINENT = 3.4, 2.0  # those of a danger, in which a driver brakes to a stop and looks about [m/s2], [s]
ASIDE = 0.5  # lateral deviation from the path by steering with which the ego is said to react [m]


@kernel
def look(w: Any, cars: Any, paths: Any, moves: Any, ego: int, t: float) -> None:
    """Update the measures between the ego and all others by the state at t.

    Headway and DRAC refer to an actor ahead in the ego's path (its box overlaps laterally there). The threat numbers
    compare the acceleration that an evasion requires with the available one: braking behind an actor on collision
    course, or steering past it on either side, within the time to collision.

    `passed`: an actor that had been ahead entered the ego's path behind it; the ego passed first, independent of its
    brakes. `max_aside`: largest lateral deviation from its path by its agent's steering.

    Source:
        Archer, Indicators for traffic safety assessment, KTH 2005 (DRAC); Jansson, Collision avoidance theory,
        Linkoeping 2005 (brake and steer threat numbers).
    """
    e = cars[ego]
    if -e.a > w.max_brake:
        if w.max_brake < 1.0 and -e.a >= 1.0:
            w.t_brake = t
        w.max_brake = -e.a
    grip = e.mu * GRAVITY
    brakes = min(e.brakes * e.brake_left, grip)
    s, d, piece = project(paths[ego], e.pieces, e.x, e.y)
    own = e.yaw - heading_at(paths[ego], piece, s)
    advance = e.vlon * cos(own) - e.vlat * sin(own)
    off = abs(d - reference(e, moves, ego, t)[0])
    w.max_off = max(w.max_off, off)
    sideways = e.speed * e.speed * abs(paths[ego][piece].curvature) / stretch(paths[ego][piece], d)
    if sideways > grip and sideways > w.side_need:
        if w.side_need == 0.0:
            w.t_side = t
        w.side_need, w.side_had = sideways, grip
    if e.commanded == 1 and e.keeps == 0:
        w.max_aside = max(w.max_aside, off)
        if off > ASIDE:
            e.t_react = t
    for i in range(len(cars)):
        if i == ego:
            continue
        o = cars[i]
        dx, dy = o.x - e.x, o.y - e.y
        reach = hypot(e.half_l, e.half_w) + hypot(o.half_l, o.half_w)
        vx, vy = o.vx - e.vx, o.vy - e.vy
        if hypot(dx, dy) - reach < w.min_gap:
            gap = clearance(dx, dy, e.cosine, e.sine, e.half_l, e.half_w, o.cosine, o.sine, o.half_l, o.half_w)
            if gap < w.min_gap:
                w.min_gap, w.t_gap, w.nearest = gap, t, i
        so, do, found = project(paths[ego], e.pieces, o.x, o.y)
        heading = heading_at(paths[ego], found, so)
        turned = o.yaw - heading
        reach_s = abs(cos(turned)) * o.half_l + abs(sin(turned)) * o.half_w
        reach_d = abs(sin(turned)) * o.half_l + abs(cos(turned)) * o.half_w
        pace = o.vx * cos(heading) + o.vy * sin(heading)
        closing = advance - pace
        apart = gap_along(paths[ego], e.pieces, s, d, so, do)
        bumper = apart - e.half_l - reach_s
        inside = bumper > 1e-6 and abs(do - d) < e.half_w + reach_d  # closer than that they touch
        ttc = inf
        if dx * vx + dy * vy < reach * hypot(vx, vy):  # else they diverge
            ttc = meeting(
                dx, dy, e.cosine, e.sine, e.half_l, e.half_w, o.cosine, o.sine, o.half_l, o.half_w, vx, vy
            )  # fmt: skip
            if ttc < w.min_ttc:
                w.min_ttc, w.t_ttc = ttc, t
        drift = o.vy * cos(heading) - o.vx * sin(heading)
        after = -apart - e.half_l - reach_s
        if after > 1e-6 and pace > 0.0 and abs(do - d) < e.half_w + reach_d:  # it follows the ego
            need = needed_deceleration(after, pace, advance, max(-e.a * cos(own), 0.0), -closing, comes=False)
            w.max_behind = max(w.max_behind, need / min(o.brakes * o.brake_left, o.mu * GRAVITY))
        if so > s:
            o.was_ahead = 1
        elif o.was_ahead == 1 and abs(do - d) < e.half_w + reach_d and drift * (do - d) < -0.05 * abs(do - d):
            w.passed = 1  # it enters the ego's path behind it, by its own motion
        comes = pace < -abs(drift)  # an actor that crosses moves in neither direction
        if inside and comes:  # an oncoming actor counts if it is still in the path at the meeting
            inside = closing > 0.0 and abs(do - d + drift * bumper / closing) < e.half_w + reach_d
        if inside:
            if e.speed > 0.0 and bumper / e.speed < w.min_thw:
                w.min_thw, w.t_thw = bumper / e.speed, t
            if closing > 0.0 and closing * closing / (2.0 * bumper) > w.max_drac:
                w.max_drac, w.t_drac = closing * closing / (2.0 * bumper), t
        if so > s and (inside or 1e-6 < ttc < inf):
            # for an actor beside the path on collision course, the remaining distance is up to the contact
            free = bumper if inside else ttc * max(closing, 0.0)
            slows = max(-o.a * cos(turned), 0.0) if o.hit == 0 else 0.0
            # braking changes the ego's own speed only, not the small longitudinal speed of an actor that crosses
            need = needed_deceleration(free, e.speed, max(pace, 0.0), slows, closing + min(pace, 0.0), comes=False)
            if comes:
                need = needed_deceleration(free, e.speed, pace, slows, closing, comes=True)
            if need > DEMAND or ttc < SOON:
                w.t_threat = t
            if need > DANGER or ttc < IMMINENT:
                w.t_danger = t
            if _threat(w, e, o, need, ttc, brakes, grip, t):
                w.worst, w.worst_vx, w.worst_vy, w.worst_yaw, w.worst_moved = i, o.vx, o.vy, e.yaw, o.t_moved


@kernel
def needed_deceleration(free: float, speed: float, pace: float, slows: float, closing: float, comes: bool) -> float:
    """Return the deceleration that avoids an actor ahead, which itself decelerates by `slows` [m/s2].

    Args:
        free: gap [m].
        speed, pace: speeds of the ego and of the actor ahead [m/s].
        closing: closing speed [m/s].
        comes: the actor is oncoming and keeps its speed.
    """
    if free <= 0.0:
        return 0.0
    if slows > 0.0 and pace > 0.0:
        # equal speeds are reached after 2 free / closing; the actor ahead stands after pace / slows
        if closing > 0.0 and closing * pace > 2.0 * free * slows:
            return slows + closing * closing / (2.0 * free)
        return speed * speed / (2.0 * (free + pace * pace / (2.0 * slows)))
    if closing <= 0.0:
        return 0.0
    # behind an actor ahead the closing speed has to vanish; before an oncoming one the ego has to stop short of the
    # meeting point, within a distance of free * speed / closing
    return speed * closing / (2.0 * free) if comes else closing * closing / (2.0 * free)


@kernel
def _threat(w: Any, e: Any, o: Any, need: float, ttc: float, brakes: float, grip: float, t: float) -> bool:
    """Compare the required braking and steering with the available ones; return whether this is the worst so far."""
    worst = False
    if need > w.max_btn * brakes:
        w.max_btn, w.t_btn, worst = need / brakes, t, True
        if w.t_late != w.t_late and need > brakes:  # NaN: not yet too late
            w.t_late, w.late_need, w.late_had, w.late_mu = t, need, brakes, e.mu
    if 1e-6 < ttc < inf:
        # in the ego's own frame, like the time to collision: in a bend the path would differ
        across = (o.y - e.y) * e.cosine - (o.x - e.x) * e.sine
        drift = (o.vy - e.vy) * e.cosine - (o.vx - e.vx) * e.sine
        turned = o.yaw - e.yaw
        wide = e.half_w + abs(sin(turned)) * o.half_l + abs(cos(turned)) * o.half_w
        left = max(2.0 * (across + drift * ttc + wide) / (ttc * ttc), 0.0)
        right = max(2.0 * (wide - across - drift * ttc) / (ttc * ttc), 0.0)
        if min(left, right) > w.max_stn * grip:
            w.max_stn, w.t_stn, worst = min(left, right) / grip, t, True
    return worst
