"""Plays many runs at once (compiled): a loop over runs, steps and segments of steps.

A step is cut into segments wherever a plan changes: a manoeuvre starts, a pedal reaches its demand, two boxes touch.
Within a segment every actor moves by a closed formula, so the result hardly depends on the step. A run's numbers
never depend on other runs: each is a scalar computation over its own records.
"""

from __future__ import annotations

from math import atan2, cos, hypot, inf, pi, sin
from typing import Any

from mischance.api.kernels import kernel
from mischance.api.runs import active_share

from .boxes import axes, clearance, meeting, separation, touching_point
from .criticality import look
from .driver import begin, due, margin, pace, plan, steered
from .impact import planar_impulse
from .motion import ahead, integrate, move
from .paths import heading_at, project
from .state import (
    AGAIN,
    ANSWERED,
    ASKING,
    AT_AFTER,
    AT_TIME,
    BLOW_OUT,
    CHANGE_LANE,
    CONTACT,
    DELAY,
    DUE,
    DYNAMIC,
    FADE,
    FIXED,
    FRICTION,
    GOING,
    GROUND,
    HARD_BRAKING,
    HELD,
    MOVE_END,
    MOVE_START,
    OFFSET,
    QUEUE,
    RUN_END,
    SLIDING,
    STEPPED,
    STUCK,
)

_share = kernel(active_share)

LONGEST = 0.01  # maximum duration of a segment [s]: behaviour is evaluated anew
CREEP = 0.1  # closing speed below which two bodies are in resting contact without an impact [m/s]
DEEP = 0.015  # overlap above which a resting contact is checked in shorter segments [m]
MANY = 20  # maximum number of impacts in one step; beyond it the bodies rest against each other
MOST_CUTS = 200  # maximum number of segments in one step; reached only by a plan that changes at once again and again
HARD = 4.0  # deceleration that is recorded as an event [m/s2]
TREMBLE = 0.02  # speed below which a body is at rest [m/s] and [rad/s]
SLACK = 1.0  # upper limit of the change of a closing speed by accelerations within a segment [m/s]
ROOM = 24  # maximum number of events and contacts in one step


# -- records ----------------------------------------------------------------------------------------------------------


@kernel
def _tell(w: Any, events: Any, t: float, kind: int, actor: int, number: int, hit: int) -> Any:
    """Add an event and return its record."""
    e = events[w.events]
    w.events += 1
    e.t, e.kind, e.actor, e.move, e.hit = t, kind, actor, number, hit
    e.v0 = e.v1 = e.v2 = e.v3 = e.v4 = e.x = e.y = e.yaw = 0.0
    return e


@kernel
def lane_of(road: Any, pieces: int, lanes: int, width: float, x: float, y: float) -> int:
    """Return the lane of a position on the main road; 0 or one more than the number of lanes = off it."""
    _, d, _ = project(road, pieces, x, y)
    return int(min(max(d // width + 1.0, 0.0), lanes + 1.0))


@kernel
def _rows(w: Any, cars: Any, road: Any, pieces: int, rows: Any) -> None:
    """Add one row of `actors` for every actor."""
    for i in range(len(cars)):
        c, row = cars[i], rows[w.table_rows, i]
        _, d, _ = project(road, pieces, c.x, c.y)
        row.x, row.y, row.yaw, row.speed = c.x, c.y, atan2(c.face * c.sine, c.face * c.cosine), c.face * c.speed
        row.acceleration, row.steer, row.roll, row.pitch = c.a, c.steer, c.roll, c.pitch
        # over one row; the end of braking at rest is no jerk, and an actor that was hit is not driven
        row.jerk = (c.a - c.before_a) * 20.0 if c.hit == 0 and (c.speed > 0.0 or c.a != 0.0) else 0.0
        c.before_a = c.a
        row.gap, row.ttc = _nearest(cars, i)
        if c.touched == 1:  # between two rows bodies touch and separate
            row.gap = row.ttc = 0.0
            c.touched = 0
        row.vx, row.vy, row.yaw_rate, row.d = c.vx, c.vy, c.rate, d
        row.lane = int(min(max(d // w.lane_width + 1.0, 0.0), w.lanes + 1.0))
        row.hit = c.hit
    w.table_rows += 1


@kernel
def _nearest(cars: Any, i: int) -> tuple[float, float]:
    """Return an actor's smallest distance [m] and time to collision [s] to any other; inf = none."""
    a = cars[i]
    gap = ttc = inf
    for k in range(len(cars)):
        if k != i:
            b = cars[k]
            dx, dy, vx, vy = b.x - a.x, b.y - a.y, b.vx - a.vx, b.vy - a.vy
            apart = clearance(dx, dy, a.cosine, a.sine, a.half_l, a.half_w, b.cosine, b.sine, b.half_l, b.half_w)
            gap = min(gap, apart)
            if vx != 0.0 or vy != 0.0:
                time = meeting(
                    dx, dy, a.cosine, a.sine, a.half_l, a.half_w, b.cosine, b.sine, b.half_l, b.half_w, vx, vy
                )  # fmt: skip
                ttc = min(ttc, time)
    return gap, ttc


@kernel
def _pose(cars: Any, poses: Any) -> None:
    """Write pose and velocity of every actor: xyz, quaternion xyzw, linear and angular velocity."""
    for i in range(len(cars)):
        c, p = cars[i], poses[i]
        half = 0.5 * c.yaw if c.face > 0 else 0.5 * (c.yaw + pi)
        p[0], p[1], p[2], p[3], p[4], p[5], p[6] = c.x, c.y, 0.5 * c.height, 0.0, 0.0, sin(half), cos(half)
        p[7], p[8], p[9], p[10], p[11], p[12] = c.vx, c.vy, 0.0, 0.0, 0.0, c.rate
        if c.mode == HELD:
            p[2], p[3], p[4], p[5], p[6] = c.z, c.qx, c.qy, c.qz, c.qw
            p[9], p[10], p[11] = c.vz, c.wx, c.wy


# -- faults, friction, commands --------------------------------------------------------------------------------------


@kernel
def _grown(f: Any, t: float) -> float:
    """Return the share of a fault's severity that is active in a step that starts at t, 0-1."""
    return _share(f.onset, f.end, f.ramp, t)


@kernel
def _faults(w: Any, cars: Any, faults: Any, t: float) -> None:
    """Set the parameters that faults change, for the step that starts at t."""
    for i in range(len(cars)):
        c = cars[i]
        c.brake_left, c.stuck, c.offset, c.blown, c.late = 1.0, 0.0, 0.0, 0.0, c.delay
    for n in range(len(faults)):
        f = faults[n]
        part = _grown(f, t)
        if part == 0.0 or f.kind == FRICTION:
            continue
        c = cars[f.actor]
        if f.kind == FADE:
            c.brake_left *= 1.0 - min(max(f.severity, 0.0), 1.0) * part
        elif f.kind == STUCK:
            c.stuck = 1.0 if f.severity > 0.0 else 0.0
        elif f.kind == OFFSET:
            c.offset += f.severity * part
        elif f.kind == BLOW_OUT:
            c.blown = max(c.blown, min(max(f.severity, 0.0), 1.0) * part)
        elif f.kind == DELAY:
            c.late += max(f.severity, 0.0) * part


@kernel
def _ground(w: Any, cars: Any, road: Any, pieces: int, patches: Any, faults: Any, t: float) -> float:
    """Set the friction of every actor for a segment; return the time until one reaches the border of a patch [s]."""
    cut = inf
    for i in range(len(cars)):
        c = cars[i]
        mu = w.friction
        if len(patches) > 0:
            s, d, piece = project(road, pieces, c.x, c.y)
            turned = c.yaw - heading_at(road, piece, s)
            pace = c.vlon * cos(turned) - c.vlat * sin(turned)
            for n in range(len(patches)):
                p = patches[n]
                if p.right <= d <= p.left:
                    if p.start - 1e-9 <= s < p.end - 1e-9:
                        mu = p.friction
                    for border in (p.start, p.end):
                        if pace > 0.1 and border > s + 1e-6:
                            cut = min(cut, max((border - s) / pace, 1e-6))
        c.ground = mu
        for n in range(len(faults)):
            f = faults[n]
            if f.kind == FRICTION:
                mu += (max(f.severity, 1e-3) - mu) * _grown(f, w.k_start)
        c.mu = mu
    return cut


@kernel
def command(
    w: Any, cars: Any, queue: Any, faults: Any, t: float, i: int, a: float, steer: float, keep: bool
) -> None:  # fmt: skip
    """Take an agent's command at t: it reaches the actuators after their dead time."""
    c = cars[i]
    if c.hit == 1:
        return
    late = c.delay
    for n in range(len(faults)):
        f = faults[n]
        if f.kind == DELAY and f.actor == i:
            late += max(f.severity, 0.0) * _grown(f, t)
    when = t + late
    while c.queued > 0 and queue[i, c.queued - 1, 0] >= when:
        c.queued -= 1  # replaced by a later one
    if c.queued == QUEUE:
        for n in range(QUEUE - 1):
            for v in range(4):
                queue[i, n, v] = queue[i, n + 1, v]
        c.queued -= 1
    q = queue[i, c.queued]
    q[0], q[1], q[2], q[3] = when, a, steer, 1.0 if keep else 0.0
    c.queued += 1


@kernel
def _arrived(cars: Any, queue: Any, t: float) -> float:
    """Apply the commands that have reached their actuators; return the time until the next one does [s]."""
    cut = inf
    for i in range(len(cars)):
        c = cars[i]
        done = 0
        while done < c.queued and queue[i, done, 0] <= t + 1e-9:
            c.commanded, c.command_a, c.command_steer = 1, queue[i, done, 1], queue[i, done, 2]
            c.keeps = 1 if queue[i, done, 3] > 0.0 else 0
            done += 1
        if done > 0:
            for n in range(done, c.queued):
                for v in range(4):
                    queue[i, n - done, v] = queue[i, n, v]
            c.queued -= done
        if c.queued > 0:
            cut = min(cut, max(queue[i, 0, 0] - t, 1e-7))
    return cut


# -- manoeuvres --------------------------------------------------------------------------------------------------------


@kernel
def _next_due(cars: Any, paths: Any, moves: Any, t: float, span: float) -> float:
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
def _fire(w: Any, cars: Any, paths: Any, moves: Any, events: Any, road: Any, pieces: int, ego: int, t: float) -> None:
    """End manoeuvres that are over, start those that are due at t, and record both."""
    for n in range(len(moves)):
        m = moves[n]
        if m.started == 1 and m.ended == 0 and m.kind == CHANGE_LANE and m.t_start + m.takes + m.lost <= t + 1e-9:
            m.ended = 1
            c = cars[m.actor]
            if c.hit == 0:
                e = _tell(w, events, t, MOVE_END, m.actor, n, -1)
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
            e = _tell(w, events, t, MOVE_START, m.actor, n, -1)
            g = cars[ego]
            s, _, _ = project(paths[ego], g.pieces, g.x, g.y)
            so, _, piece = project(paths[ego], g.pieces, c.x, c.y)
            turned = c.yaw - heading_at(paths[ego], piece, so)
            apart = g.half_l + abs(cos(turned)) * c.half_l + abs(sin(turned)) * c.half_w
            along = so - s
            e.v0 = along - apart if along >= 0.0 else along + apart
            e.v1 = g.speed
            e.v2 = c.vlon * cos(turned) - c.vlat * sin(turned) if m.actor != ego else g.speed
            e.v3 = lane_of(road, pieces, w.lanes, w.lane_width, c.x, c.y)
            e.v4 = lane_of(road, pieces, w.lanes, w.lane_width, g.x, g.y)
            e.x, e.y, e.yaw = c.x, c.y, c.yaw
            m.order = w.order
            w.order += 1
            begin(m, n, c, paths[m.actor], t)
            again = True


# -- contact -----------------------------------------------------------------------------------------------------------


@kernel
def _touch(a: Any, b: Any, pa: Any, pb: Any, duration: float, fastest: float) -> float:
    """Return the time of the first contact of two actors in (0, duration] [s]; inf = none. They are apart at 0.

    The search advances by gap / fastest, which cannot skip a contact, but by at least ten microseconds (a shorter
    overlap is ignored); once they overlap it bisects to the last bit, so the result does not depend on the cuts in
    time.

    Source:
        Mirtich, Impulse-based dynamic simulation of rigid body systems, PhD thesis, Berkeley 1996 (conservative
        advancement).
    """
    before = time = 0.0
    gap = _gap(a, b, pa, pb, 0.0)
    while gap > 0.0:
        if time >= duration or fastest <= 0.0:
            return inf
        before, time = time, min(duration, time + max(gap / fastest, 1e-5))
        gap = _gap(a, b, pa, pb, time)
    while True:
        middle = 0.5 * (before + time)
        if not before < middle < time:
            return time
        if _gap(a, b, pa, pb, middle) > 0.0:
            before = middle
        else:
            time = middle


@kernel
def _gap(a: Any, b: Any, pa: Any, pb: Any, tau: float) -> float:
    ax, ay, ah, _, _, _, _ = ahead(a, pa, tau)
    bx, by, bh, _, _, _, _ = ahead(b, pb, tau)
    return separation(ax, ay, ah, a.half_l, a.half_w, bx, by, bh, b.half_l, b.half_w)[0]


@kernel
def _closing(a: Any, b: Any, pa: Any, pb: Any, tau: float) -> tuple[float, float, float]:
    """Return closing speed along the normal, and the normal from a to b, at a contact `tau` into the segment."""
    ax, ay, ah, avx, avy, aw, _ = ahead(a, pa, tau)
    bx, by, bh, bvx, bvy, bw, _ = ahead(b, pb, tau)
    _, nx, ny = separation(ax, ay, ah, a.half_l, a.half_w, bx, by, bh, b.half_l, b.half_w)
    px, py = touching_point(ax, ay, ah, a.half_l, a.half_w, bx, by, bh, b.half_l, b.half_w, nx, ny)
    ux = (avx - aw * (py - ay)) - (bvx - bw * (py - by))
    uy = (avy + aw * (px - ax)) - (bvy + bw * (px - bx))
    return ux * nx + uy * ny, nx, ny


@kernel
def _resting(c: Any) -> bool:
    if c.mode == HELD:  # bodies at rest in PyBullet have small residual velocities
        return hypot(c.vx, c.vy) < TREMBLE and hypot(c.wx, c.wy) < TREMBLE and abs(c.rate) < TREMBLE
    return c.hit == 1 and hypot(c.vx, c.vy) < 1e-3 and abs(c.rate) < 1e-3


@kernel
def _next_contact(cars: Any, paths: Any, span: float) -> tuple[float, int, int, float, float, float]:
    """Return the next impact of the segment: time, pair, closing speed and normal; inf if there is none."""
    soonest, found_a, found_b, found_v, found_x, found_y = inf, -1, -1, 0.0, 1.0, 0.0
    n = len(cars)
    for i in range(n):
        a = cars[i]
        radius = hypot(a.half_l, a.half_w)
        for k in range(i + 1, n):
            b = cars[k]
            if a.mode == FIXED and b.mode == FIXED:
                continue
            other = hypot(b.half_l, b.half_w)
            turning = abs(a.rate) * radius + abs(b.rate) * other
            fastest = hypot(a.vx - b.vx, a.vy - b.vy) + turning + SLACK
            if hypot(b.x - a.x, b.y - a.y) > radius + other + fastest * span:
                continue
            if _resting(a) and _resting(b):
                continue
            gap = axes(
                b.x - a.x, b.y - a.y, a.cosine, a.sine, a.half_l, a.half_w, b.cosine, b.sine, b.half_l, b.half_w
            )[0]
            creep = CREEP
            if gap <= 1e-9:
                when = 0.0  # still touching since the last impact: only a pair that closes in again has another one
                creep = CREEP if gap > -DEEP else 0.2 * CREEP
            else:
                when = _touch(a, b, paths[i], paths[k], span, fastest)
            if when < soonest:
                v, x, y = _closing(a, b, paths[i], paths[k], when)
                if v > creep:
                    soonest, found_a, found_b, found_v, found_x, found_y = when, i, k, v, x, y
    return soonest, found_a, found_b, found_v, found_x, found_y


@kernel
def _restitution(spots: Any, closing: float) -> float:
    """Return the restitution at a closing speed: linear between the rows of a table."""
    n = len(spots)
    if closing <= spots[0].speed:
        return float(spots[0].value)
    for i in range(1, n):
        low, high = spots[i - 1], spots[i]
        if closing <= high.speed:
            return float(low.value + (high.value - low.value) * (closing - low.speed) / (high.speed - low.speed))
    return float(spots[n - 1].value)


@kernel
def _side(c: Any, nx: float, ny: float) -> int:
    """Return the side of a body that a direction points to: 0 front, 1 rear, 2 left, 3 right."""
    along, across = c.face * (nx * c.cosine + ny * c.sine), c.face * (ny * c.cosine - nx * c.sine)
    if abs(along) >= abs(across):
        return 0 if along >= 0.0 else 1
    return 2 if across >= 0.0 else 3


@kernel
def energy(c: Any) -> float:
    """Return kinetic energy in the plane, as that of a box [J]; 0 for fixed objects."""
    if c.inv_mass == 0.0:
        return 0.0
    return float(0.5 * (c.mass * (c.vx * c.vx + c.vy * c.vy) + c.rate * c.rate * c.inertia))


@kernel
def _bearing(c: Any, x: float, y: float) -> float:
    """Return a direction in a body's own frame: 0 = ahead, positive = to its left [rad]."""
    return atan2(c.face * (y * c.cosine - x * c.sine), c.face * (x * c.cosine + y * c.sine))


@kernel
def _impact(w: Any, cars: Any, spots: Any, events: Any, hits: Any, t: float, answer: Any) -> None:
    """Apply the impact of the two bodies of `w`: by the analytic formula, or with PyBullet's answer.

    `answer`: vx, vy, rate of a and of b afterwards, impulse x and y, point x and y.
    """
    a, b = cars[w.a], cars[w.b]
    nx, ny = w.nx, w.ny
    h = hits[w.hits]
    h.speed_a, h.speed_b = hypot(a.vx, a.vy), hypot(b.vx, b.vy)
    energy_a, energy_b = energy(a), energy(b)
    avx, avy, aw, bvx, bvy, bw = a.vx, a.vy, a.rate, b.vx, b.vy, b.rate
    if w.state == ANSWERED:
        h.jx, h.jy, h.px, h.py = answer[6], answer[7], answer[8], answer[9]
        a.vx, a.vy, a.rate, b.vx, b.vy, b.rate = answer[0], answer[1], answer[2], answer[3], answer[4], answer[5]
        w.state = GOING
    else:
        h.px, h.py = touching_point(a.x, a.y, a.yaw, a.half_l, a.half_w, b.x, b.y, b.yaw, b.half_l, b.half_w, nx, ny)
        rax, ray, rbx, rby = h.px - a.x, h.py - a.y, h.px - b.x, h.py - b.y
        ux = (bvx - bw * rby) - (avx - aw * ray)
        uy = (bvy + bw * rbx) - (avy + aw * rax)
        h.jx, h.jy = planar_impulse(
            nx, ny, ux, uy, rax, ray, rbx, rby,
            a.inv_mass, a.inv_inertia, b.inv_mass, b.inv_inertia,
            _restitution(spots, w.closing), w.impact_friction,
        )  # fmt: skip
        a.vx -= h.jx * a.inv_mass
        a.vy -= h.jy * a.inv_mass
        a.rate -= (rax * h.jy - ray * h.jx) * a.inv_inertia
        b.vx += h.jx * b.inv_mass
        b.vy += h.jy * b.inv_mass
        b.rate += (rbx * h.jy - rby * h.jx) * b.inv_inertia
    h.t, h.a, h.b, h.closing, h.nx, h.ny = t, w.a, w.b, w.closing, nx, ny
    h.vax, h.vay, h.vbx, h.vby, h.yaw_a, h.yaw_b = avx, avy, bvx, bvy, a.yaw, b.yaw
    h.dvax, h.dvay, h.dwa = a.vx - avx, a.vy - avy, a.rate - aw
    h.dvbx, h.dvby, h.dwb = b.vx - bvx, b.vy - bvy, b.rate - bw
    h.lost_a, h.lost_b = energy_a - energy(a), energy_b - energy(b)
    h.lost = h.lost_a + h.lost_b
    h.side_a, h.side_b = _side(a, nx, ny), _side(b, -nx, -ny)
    h.bearing_a, h.bearing_b = _bearing(a, h.px - a.x, h.py - a.y), _bearing(b, h.px - b.x, h.py - b.y)
    h.force_a, h.force_b = _bearing(a, h.jx, h.jy), _bearing(b, -h.jx, -h.jy)
    h.again, h.event = 0, w.hits
    for n in range(w.hits - 1, -1, -1):
        if hits[n].a == w.a and hits[n].b == w.b:
            if t - hits[n].t < AGAIN:
                h.again, h.event = 1, hits[n].event
            break
    for c in (a, b):
        c.hit = c.touched = 1
        c.commanded, c.queued, c.pedal_move, c.follow = 0, 0, -1, -1
        c.speed = hypot(c.vx, c.vy)
        c.asked = c.pedal = c.j = 0.0
        if c.mode != FIXED:
            c.mode = HELD if w.window == 1 else SLIDING
    if w.window == 1:
        w.held, w.state = 1, DUE
    if h.again == 0:
        _tell(w, events, t, CONTACT, w.a, -1, w.hits)
    w.first_contact = min(w.first_contact, t)
    w.hits += 1


# -- a step ------------------------------------------------------------------------------------------------------------


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
        _impact(w, cars, spots, events, hits, t, answer)
        return False
    count = int(duration / LONGEST + 1.0 - 1e-9)
    border = duration
    for n in range(1, count):
        if duration * n / count > w.gone + 1e-9:
            border = duration * n / count
            break
    span = border - w.gone
    full = span
    span = min(span, _arrived(cars, queue, t))
    span = min(span, _ground(w, cars, road, pieces, patches, faults, t))
    cut = inf
    for i in range(len(cars)):
        cut = min(cut, plan(i, cars, paths, moves, t, span))
    if w.cuts < MOST_CUTS:
        span = min(span, cut)
    for i in range(len(cars)):
        if cars[i].mode == DYNAMIC:
            integrate(cars[i], span)
    if len(moves) > 0:
        span = _next_due(cars, paths, moves, t, span)
    when, a, b = inf, -1, -1
    if w.impacts < MANY and w.held == 0:
        when, a, b, closing, nx, ny = _next_contact(cars, paths, span)
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
        _impact(w, cars, spots, events, hits, t0 + w.gone, answer)
        return False
    if len(moves) > 0 and w.gone < duration:
        _fire(w, cars, paths, moves, events, road, pieces, ego, t0 + w.gone)
    return False


@kernel
def _end_step(
    w: Any, cars: Any, paths: Any, moves: Any, events: Any, road: Any, pieces: int, ego: int, rate: float,
    rows: Any, poses: Any, k_start: int, every: int, motion: bool,
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
        if hard and c.hard == 0:
            event = _tell(w, events, now, HARD_BRAKING, i, c.pedal_move, -1)
            event.v0, event.v1 = c.a, c.speed
        if not hard and (c.hit == 1 or c.a >= -0.5 * HARD):
            c.hard = 0
        elif hard:
            c.hard = 1
    if e.ground != w.ground and e.hit == 0:  # the ego has entered or left a patch
        event = _tell(w, events, now, GROUND, ego, -1, -1)
        event.v0, event.v1 = e.ground, e.speed
        w.ground = e.ground
        if e.ground < w.slick:
            w.slick, w.t_slick = e.ground, now
    if len(moves) > 0:
        _fire(w, cars, paths, moves, events, road, pieces, ego, now)
    if e.hit == 0:
        look(w, cars, paths, moves, ego, now)
    if motion:
        _pose(cars, poses[w.k - k_start])
    if w.k % every == 0:
        if e.hit == 0 and (e.speed > 0.0 or e.a != 0.0):
            w.max_jerk = max(w.max_jerk, abs(e.a - e.before_a) * 20.0)
        _rows(w, cars, road, pieces, rows)
    rest = w.first_contact < inf
    if rest:
        for i in range(len(cars)):
            c = cars[i]
            if not (_resting(c) or c.mode == FIXED or (c.hit == 0 and c.speed == 0.0)):
                rest = False
    if rest or now >= w.first_contact + w.settle:
        w.over = 1
        _tell(w, events, now, RUN_END, ego, 1 if rest else 0, -1)


@kernel
def begin_run(
    w: Any, cars: Any, paths: Any, moves: Any, faults: Any, road: Any, pieces: int, patches: Any, events: Any,
    rows: Any, poses: Any, ego: int, motion: bool,
) -> None:  # fmt: skip
    """Start a run at t = 0: manoeuvres that are due, the first row and the first measures."""
    _faults(w, cars, faults, 0.0)
    w.k_start = 0.0
    _ground(w, cars, road, pieces, patches, faults, 0.0)
    w.ground = w.slick = cars[ego].ground
    _fire(w, cars, paths, moves, events, road, pieces, ego, 0.0)
    look(w, cars, paths, moves, ego, 0.0)
    _rows(w, cars, road, pieces, rows)
    if motion:
        _pose(cars, poses[0])


@kernel
def play_run(
    w: Any, cars: Any, paths: Any, moves: Any, queue: Any, faults: Any, road: Any, pieces: int, patches: Any,
    spots: Any, events: Any, hits: Any, answer: Any, rows: Any, poses: Any, ego: int, rate: float, k_start: int,
    k_end: int, every: int, motion: bool,
) -> bool:  # fmt: skip
    """Play one run up to step k_end; return whether it got there.

    If it did not, PyBullet has to answer or to move its bodies to the end of the step, or a buffer is full.
    """
    duration = 1.0 / rate
    while w.over == 0 and (w.k < k_end or not w.fresh):
        if w.held == 1 and w.state == GOING:
            w.state = DUE
        if w.state == DUE:
            return False
        if w.fresh:
            if w.events + ROOM + 2 * len(moves) + 2 * len(cars) > len(events) or w.hits + MANY + 1 > len(hits):
                return False
            w.k_start = w.k / rate
            _faults(w, cars, faults, w.k_start)
            w.fresh = 0
        if _segment(
            w, cars, paths, moves, queue, faults, road, pieces, patches, spots, events, hits, answer, ego, rate
        ):
            return False
        if w.state == DUE:
            return False
        if w.gone >= duration:
            _end_step(w, cars, paths, moves, events, road, pieces, ego, rate, rows, poses, k_start, every, motion)
    if motion:  # a run that is over keeps its last pose
        for k in range(max(w.k + 1, k_start), k_end + 1):  # it may have ended before this chunk began
            _pose(cars, poses[k - k_start])
    return True


# -- all runs ----------------------------------------------------------------------------------------------------------


@kernel
def start_runs(
    runs: Any, cars: Any, paths: Any, moves: Any, faults: Any, road: Any, pieces: int, patches: Any, events: Any,
    rows: Any, poses: Any, ego: int, motion: bool,
) -> None:  # fmt: skip
    """Look at all runs at t = 0."""
    for r in range(len(runs)):
        begin_run(
            runs[r], cars[r], paths[r], moves[r], faults[r], road[r], pieces, patches[r], events[r], rows[r],
            poses[r], ego, motion,
        )  # fmt: skip


@kernel
def advance_runs(
    runs: Any, cars: Any, paths: Any, moves: Any, queue: Any, faults: Any, road: Any, pieces: int, patches: Any,
    spots: Any, events: Any, hits: Any, answers: Any, rows: Any, poses: Any, ego: int, rate: float, k_start: int,
    k_end: int, every: int, motion: bool,
) -> int:  # fmt: skip
    """Play all runs up to step k_end; return the number of runs that wait for PyBullet or for a larger buffer."""
    waiting = 0
    for r in range(len(runs)):
        if not play_run(
            runs[r], cars[r], paths[r], moves[r], queue[r], faults[r], road[r], pieces, patches[r], spots[r],
            events[r], hits[r], answers[r], rows[r], poses[r], ego, rate, k_start, k_end, every, motion,
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
            command(runs[r], cars[r], queue[r], faults[r], t, who[n], acceleration[n], steer[n], keep[n])
