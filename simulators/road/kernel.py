"""Plays many runs at once (compiled): a loop over runs, steps and segments of steps.

A step is cut into segments wherever a plan changes: a manoeuvre starts, a pedal reaches its demand, two boxes touch.
Within a segment every actor moves by a closed formula, so the result hardly depends on the step. A run's numbers
never depend on other runs: each is a scalar computation over its own records.
"""

from __future__ import annotations

from math import inf, nan
from typing import Any

from mischance.api.kernels import kernel

from .conduct import write_conduct
from .contact import apply_impact, next_contact, resting
from .criticality import look
from .driver import pace, plan, steered
from .motion import integrate, move
from .parameters import apply_commands, command, set_faults, set_friction
from .recording import mark_followers, tell, write_poses, write_rows
from .state import (
    ANSWERED,
    ASKING,
    CHANGE_LANE,
    DUE,
    DYNAMIC,
    FIXED,
    GOING,
    GROUND,
    HARD_BRAKING,
    RUN_END,
    STANDS,
    STEPPED,
)
from .triggers import fire, next_due

LONGEST = 0.01  # maximum duration of a segment [s]: behaviour is evaluated anew
MANY = 20  # maximum number of impacts in one step; beyond it the bodies rest against each other
MOST_CUTS = 200  # maximum number of segments in one step; reached only by a plan that changes at once again and again
REACTS = 1.0  # deceleration with which an actor is said to react to what is ahead of it [m/s2]
HARD = 4.0  # deceleration that is recorded as an event [m/s2]
ROOM = 24  # maximum number of events and contacts in one step


# -- a step ------------------------------------------------------------------------------------------------------------


@kernel
def note_impact_of(w: Any, ego: Any, t: float) -> None:
    """Remember when the ego was first touched: the run goes on until its fate is known, whoever else has collided."""
    if ego.hit == 1 and w.first_contact == inf:
        w.first_contact = t


@kernel
def _segment(
    w: Any, cars: Any, paths: Any, moves: Any, queue: Any, faults: Any, road: Any, pieces: int, patches: Any,
    spots: Any, events: Any, hits: Any, answer: Any, ego: int, rate: float,
) -> bool:  # fmt: skip
    """Advance to the next change inside the step; return whether PyBullet has to be asked first."""
    t0, duration = w.k / rate, 1.0 / rate
    w.cuts += 1
    t = t0 + w.gone
    if w.state == ANSWERED:
        apply_impact(w, cars, spots, events, hits, t, answer)
        note_impact_of(w, cars[ego], t)
        return False
    count = int(duration / LONGEST + 1.0 - 1e-9)
    border = duration
    for n in range(1, count):
        if duration * n / count > w.gone + 1e-9:
            border = duration * n / count
            break
    span = border - w.gone
    full = span
    span = min(span, apply_commands(cars, queue, t))
    span = min(span, set_friction(w, cars, road, pieces, patches, faults, t))
    cut = inf
    for i in range(len(cars)):
        cut = min(cut, plan(i, cars, paths, moves, t, span))
    if w.cuts < MOST_CUTS:
        span = min(span, cut)
    for i in range(len(cars)):
        if cars[i].mode == DYNAMIC:
            integrate(cars[i], span)
    if len(moves) > 0:
        span = next_due(cars, paths, moves, t, span)
    when, a, b = inf, -1, -1
    if w.impacts < MANY and w.held == 0:
        when, a, b, closing, nx, ny = next_contact(cars, paths, span)
        w.closing, w.nx, w.ny = closing, nx, ny
    tau = min(span, when)
    for n in range(len(moves)):
        if moves[n].kind == CHANGE_LANE and moves[n].started == 1 and moves[n].ended == 0:
            moves[n].lost += tau * (1.0 - pace(cars[moves[n].actor]))
    for i in range(len(cars)):
        c = cars[i]
        if c.hit == 0 and c.stuck == 0.0:
            c.steer = c.wheel - c.offset if c.lag == 0.0 else steered(c, tau)
        move(c, paths[i], tau, t)
    if tau >= full:
        w.gone = border
    else:
        w.gone = min(w.gone + tau, duration)
    if a >= 0:
        w.a, w.b = a, b
        w.impacts += 1
        if w.bullet == 1:
            w.state = ASKING
            return True
        apply_impact(w, cars, spots, events, hits, t0 + w.gone, answer)
        note_impact_of(w, cars[ego], t0 + w.gone)
        return False
    if len(moves) > 0 and w.gone < duration:
        fire(w, cars, paths, moves, events, road, pieces, ego, t0 + w.gone)
    return False


@kernel
def _end_step(
    w: Any, cars: Any, paths: Any, moves: Any, events: Any, road: Any, pieces: int, sides: Any, ego: int, rate: float,
    rows: Any, conducts: Any, poses: Any, k_start: int, every: int, motion: bool,
) -> None:  # fmt: skip
    """Finish a step: manoeuvres due at its end, measures, rows, poses, and whether the run is over."""
    w.k += 1
    if w.state == STEPPED:
        w.state = GOING
    w.gone, w.impacts, w.cuts, w.fresh = 0.0, 0, 0, 1
    now = w.k / rate
    e = cars[ego]
    for i in range(len(cars)):
        c = cars[i]
        hard = c.hit == 0 and c.a < -HARD
        if c.hit == 0 and c.a <= -REACTS:
            c.t_react = now
        if c.hit == 0 and c.speed >= STANDS:
            c.t_moved = now
        if hard and c.hard == 0:
            event = tell(w, events, now, HARD_BRAKING, i, c.pedal_move, -1)
            event.v0, event.v1 = c.a, c.speed
            event.x, event.y, event.yaw = c.x, c.y, c.yaw
            mark_followers(event, cars, paths, i, nan, False)
        if not hard and (c.hit == 1 or c.a >= -0.5 * HARD):
            c.hard = 0
        elif hard:
            c.hard = 1
    if e.ground != w.ground and e.hit == 0:  # the ego has entered or left a patch
        event = tell(w, events, now, GROUND, ego, -1, -1)
        event.v0, event.v1 = e.ground, e.speed
        w.ground = e.ground
        if e.ground < w.slick:
            w.slick, w.t_slick = e.ground, now
    if len(moves) > 0:
        fire(w, cars, paths, moves, events, road, pieces, ego, now)
    if e.hit == 0:
        look(w, cars, paths, moves, ego, now)
    if motion:
        write_poses(cars, poses[w.k - k_start])
    note_impact_of(w, e, now)  # in a window of PyBullet, contacts are found at the end of a step
    rest = w.first_contact < inf
    if rest:
        for i in range(len(cars)):
            c = cars[i]
            if not (resting(c) or c.mode == FIXED or (c.hit == 0 and c.speed == 0.0)):
                rest = False
    if rest or now >= w.first_contact + w.settle:
        w.over = 1
        tell(w, events, now, RUN_END, ego, 1 if rest else 0, -1)
    if w.k % every == 0 or w.over == 1 or w.k == w.last:
        pace = rate / (w.k - w.rowed)
        if e.hit == 0 and (e.speed > 0.0 or e.a != 0.0):
            w.max_jerk = max(w.max_jerk, abs(e.a - e.before_a) * pace)
        write_conduct(w, cars, paths, moves, road, pieces, sides, conducts[w.table_rows], ego, now, 1.0 / pace)
        write_rows(w, cars, road, pieces, rows, pace)


@kernel
def begin_run(
    w: Any, cars: Any, paths: Any, moves: Any, faults: Any, road: Any, pieces: int, sides: Any, patches: Any,
    events: Any, rows: Any, conducts: Any, poses: Any, ego: int, motion: bool,
) -> None:  # fmt: skip
    """Start a run at t = 0: manoeuvres that are due, the first row and the first measures."""
    set_faults(w, cars, faults, 0.0)
    w.k_start = 0.0
    set_friction(w, cars, road, pieces, patches, faults, 0.0)
    w.ground = w.slick = cars[ego].ground
    fire(w, cars, paths, moves, events, road, pieces, ego, 0.0)
    look(w, cars, paths, moves, ego, 0.0)
    write_conduct(w, cars, paths, moves, road, pieces, sides, conducts[w.table_rows], ego, 0.0, 0.0)
    write_rows(w, cars, road, pieces, rows, 1.0)  # nothing was before
    if motion:
        write_poses(cars, poses[0])


@kernel
def play_run(
    w: Any, cars: Any, paths: Any, moves: Any, queue: Any, faults: Any, road: Any, pieces: int, sides: Any,
    patches: Any, spots: Any, events: Any, hits: Any, answer: Any, rows: Any, conducts: Any, poses: Any, ego: int,
    rate: float, k_start: int, k_end: int, every: int, motion: bool,
) -> bool:  # fmt: skip
    """Play one run up to step k_end; return whether it got there.

    If it did not, PyBullet has to answer or to move its bodies to the end of the step, or a buffer is full.
    """
    duration = 1.0 / rate
    while w.over == 0 and (w.k < k_end or not w.fresh):
        if w.fresh:
            if w.events + ROOM + 2 * len(moves) + 2 * len(cars) > len(events) or w.hits + MANY + 1 > len(hits):
                return False
            w.k_start = w.k / rate
            set_faults(w, cars, faults, w.k_start)
            w.fresh = 0
        if w.held == 1 and w.state == GOING:
            set_friction(w, cars, road, pieces, patches, faults, w.k_start)  # the ground's in PyBullet follows it
            w.state = DUE
        if w.state == DUE:
            return False
        if _segment(
            w, cars, paths, moves, queue, faults, road, pieces, patches, spots, events, hits, answer, ego, rate
        ):
            return False
        if w.state == DUE:
            return False
        if w.gone >= duration:
            _end_step(
                w, cars, paths, moves, events, road, pieces, sides, ego, rate, rows, conducts, poses, k_start, every,
                motion,
            )  # fmt: skip
    if motion:  # a run that is over keeps its last pose
        for k in range(max(w.k + 1, k_start), k_end + 1):  # it may have ended before this chunk began
            write_poses(cars, poses[k - k_start])
    return True


# -- all runs ----------------------------------------------------------------------------------------------------------


@kernel
def start_runs(
    runs: Any, cars: Any, paths: Any, moves: Any, faults: Any, road: Any, pieces: int, sides: Any, patches: Any,
    events: Any, rows: Any, conducts: Any, poses: Any, ego: int, motion: bool,
) -> None:  # fmt: skip
    """Look at all runs at t = 0."""
    for r in range(len(runs)):
        begin_run(
            runs[r], cars[r], paths[r], moves[r], faults[r], road[r], pieces, sides[r], patches[r],
            events[r], rows[r], conducts[r], poses[r], ego, motion,
        )  # fmt: skip


@kernel
def advance_runs(
    runs: Any, cars: Any, paths: Any, moves: Any, queue: Any, faults: Any, road: Any, pieces: int, sides: Any,
    patches: Any, spots: Any, events: Any, hits: Any, answers: Any, rows: Any, conducts: Any, poses: Any, ego: int,
    rate: float, k_start: int, k_end: int, every: int, motion: bool,
) -> int:  # fmt: skip
    """Play all runs up to step k_end; return the number of runs that wait for PyBullet or for a larger buffer."""
    waiting = 0
    for r in range(len(runs)):
        if not play_run(
            runs[r], cars[r], paths[r], moves[r], queue[r], faults[r], road[r], pieces, sides[r], patches[r],
            spots[r], events[r], hits[r], answers[r], rows[r], conducts[r], poses[r], ego, rate, k_start, k_end, every,
            motion,
        ):  # fmt: skip
            waiting += 1
    return waiting


@kernel
def order_runs(
    runs: Any, cars: Any, queue: Any, faults: Any, t: float, which: Any, who: Any, acceleration: Any, steer: Any,
    keep: Any,
) -> None:  # fmt: skip
    """Pass commands to the runs that are not over; one row of the last five arrays is one command."""
    for n in range(len(which)):
        r = which[n]
        if runs[r].over == 0:
            set_faults(runs[r], cars[r], faults[r], t)
            command(cars[r], queue[r], t, who[n], acceleration[n], steer[n], keep[n])
