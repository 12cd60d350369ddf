"""Starts and ends manoeuvres when they are due, and records both (compiled)."""

from __future__ import annotations

from math import cos, nan, sin
from typing import Any

from mischance.api.kernels import kernel

from .driver import begin, due, margin, pace
from .paths import gap_along, heading_at, project
from .recording import lane_of, mark_followers, tell
from .state import AT_AFTER, AT_TIME, CHANGE_LANE, CROSS, MOVE_END, MOVE_START, RED_LIGHT, STANDS, TURN


@kernel
def next_due(cars: Any, paths: Any, moves: Any, t: float, span: float) -> float:
    """Return the time in the coming segment at which a manoeuvre starts or ends by itself; `span` if none does [s].

    A condition that becomes true inside the segment is found by bisection and armed.
    """
    for n in range(len(moves)):
        m = moves[n]
        if m.started == 1:
            end = m.t_start + m.takes + m.lost
            if m.kind == CHANGE_LANE and m.ended == 0 and t < end <= t + span and pace(cars[m.actor]) == 1.0:
                span = min(span, max(end - t, 1e-7))
            continue
        if cars[m.actor].hit == 1:
            continue
        waits = m.trigger not in (AT_TIME, AT_AFTER) and m.armed != m.armed and m.at <= t + span
        if waits and margin(m, cars, paths, span) <= 0.0:
            low, high = 0.0, span
            for _ in range(60):
                middle = 0.5 * (low + high)
                if not low < middle < high:
                    break
                if margin(m, cars, paths, middle) <= 0.0:
                    high = middle
                else:
                    low = middle
            span = max(high, 1e-7)
        when = due(m, moves, t)
        if t < when < t + span:
            span = max(when - t, 1e-7)
    return span


@kernel
def fire(w: Any, cars: Any, paths: Any, moves: Any, events: Any, road: Any, pieces: int, ego: int, t: float) -> None:
    """End manoeuvres that are over, start those that are due at t, and record both."""
    for n in range(len(moves)):
        m = moves[n]
        if m.started == 1 and m.ended == 0 and m.kind == CHANGE_LANE and m.t_start + m.takes + m.lost <= t + 1e-9:
            m.ended = 1
            c = cars[m.actor]
            if c.hit == 0:
                e = tell(w, events, t, MOVE_END, m.actor, n, -1)
                e.v0 = lane_of(road, pieces, w.lanes, w.lane_width, c.x, c.y)
    again = True
    while again:  # one start may trigger another
        again = False
        for n in range(len(moves)):
            m = moves[n]
            c = cars[m.actor]
            if m.started == 1 or c.hit == 1:
                continue
            waits = m.trigger not in (AT_TIME, AT_AFTER) and m.armed != m.armed and m.at <= t + 1e-9
            if waits and margin(m, cars, paths, 0.0) <= 0.0:
                m.armed = t
            if due(m, moves, t) > t + 1e-9:
                continue
            e = tell(w, events, t, MOVE_START, m.actor, n, -1)
            g = cars[ego]
            s, d, _ = project(paths[ego], g.pieces, g.x, g.y)
            so, do, piece = project(paths[ego], g.pieces, c.x, c.y)
            turned = c.yaw - heading_at(paths[ego], piece, so)
            apart = g.half_l + abs(cos(turned)) * c.half_l + abs(sin(turned)) * c.half_w
            along = gap_along(paths[ego], g.pieces, s, d, so, do)
            e.v0 = along - apart if along >= 0.0 else along + apart
            e.v1 = g.speed
            e.v2 = c.vlon * cos(turned) - c.vlat * sin(turned) if m.actor != ego else g.speed
            e.v3 = lane_of(road, pieces, w.lanes, w.lane_width, c.x, c.y)
            e.v4 = lane_of(road, pieces, w.lanes, w.lane_width, g.x, g.y)
            e.x, e.y, e.yaw = c.x, c.y, c.yaw
            e.still = c.t_moved if c.speed < STANDS else nan
            d_to = m.d_to if m.kind == CHANGE_LANE else nan
            mark_followers(e, cars, paths, m.actor, d_to, m.kind in (CROSS, TURN, RED_LIGHT))
            m.order = w.order
            w.order += 1
            begin(m, n, c, paths[m.actor], t)
            again = True
