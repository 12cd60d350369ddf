"""Behaviour of actors: pedals, steering, car following, and the start conditions of manoeuvres (compiled)."""

from __future__ import annotations

from math import atan, cos, exp, inf, pi, sin, sqrt, tan
from typing import Any

from mischance.api.kernels import kernel

from .boxes import distance
from .motion import GRAVITY, ahead, blown_drag, longitudinal, plan_slide
from .paths import gap_along, heading_at, project, set_piece
from .state import (
    ACCELERATE,
    AT_AFTER,
    AT_ARRIVE,
    AT_DISTANCE,
    AT_HEADWAY,
    AT_STATION,
    AT_TIME,
    AUTO,
    BRAKE,
    CHANGE_LANE,
    CROSS,
    DYNAMIC,
    FIXED,
    FOLLOW,
    HELD,
    KINEMATIC,
    ONLY_DYNAMIC,
    RAILS,
    SLIDING,
    TURN,
)

PATH_STIFFNESS, PATH_DAMPING = 4.0, 4.0  # [1/s2], [1/s]: critically damped at 2 rad/s
ROLLING = 5.0  # below this speed a lane change proceeds with the distance, not with time [m/s]
SPEED_GAIN = 0.5  # [1/s]
STEER_LAG = 0.1  # time constant of an agent's steering [s]
SIDEWAYS = 0.5  # share of the grip above which slip counts: the tyres are no longer linear
LEAD = 0.25  # steering per missing yaw rate while the car slips [s]
CAREFUL = 0.8  # share of the lateral grip that a driver uses when the car slips


# -- pedals and steering -----------------------------------------------------------------------------------------------


@kernel
def plan(i: int, cars: Any, paths: Any, moves: Any, t: float, h: float) -> float:
    """Plan an actor's segment from t, at most h long; return the time until the plan changes by itself [s]."""
    c = cars[i]
    grip = c.mu * GRAVITY
    if c.mode in (FIXED, HELD):
        return inf
    if c.hit == 1:
        c.mode = SLIDING
        return plan_slide(c, grip, h)
    if c.way == RAILS:
        c.mode = RAILS
        return _pedals(i, cars, paths, moves, t, h, grip, 0.0)
    drag = c.blown * blown_drag(c)
    cut = _pedals(i, cars, paths, moves, t, h, grip, drag)
    most = max(abs(c.a), abs(c.a + c.j * min(h, cut)))
    sideways = sqrt(max(grip * grip - most * most, 0.0))
    _turn_wheel(c, paths[i], moves, i, t, h, sideways)
    square = max(c.speed * c.speed, 1e-9)
    c.bend = tan(c.wheel) / c.wheelbase if c.wheel != 0.0 else 0.0
    demand = square * abs(c.bend)
    slips = c.turns == 1 and c.model != ONLY_DYNAMIC  # it slipped in the last segment
    loose = slips and (demand > 0.1 * grip or abs(c.vlat - c.rate * c.lr) > 0.005 * c.speed)
    if c.way == KINEMATIC and (
        c.model == ONLY_DYNAMIC
        or (c.model == AUTO and c.speed > 1.0 and (demand > SIDEWAYS * grip or c.blown > 0.0 or loose))
        or (c.model == AUTO and slips and c.speed <= 1.0 and c.speed > 0.0)
    ):
        c.mode, c.turns = DYNAMIC, 1
        if c.speed == 0.0 and c.a <= 0.0:  # it stands: nothing to integrate
            c.mode = KINEMATIC
        return cut
    c.mode, c.turns = KINEMATIC, 0
    if c.model != ONLY_DYNAMIC:  # the friction circle: braking reduces the grip available for steering
        limit = sideways / square
        if abs(c.bend) > limit:
            c.bend = limit if c.bend > 0.0 else -limit
            c.wheel = atan(c.bend * c.wheelbase)
    c.rate = c.speed * c.bend
    c.vlon, c.vlat = c.speed, c.rate * c.lr
    c.vx = c.vlon * c.cosine - c.vlat * c.sine
    c.vy = c.vlon * c.sine + c.vlat * c.cosine
    return cut


@kernel
def _pedals(i: int, cars: Any, paths: Any, moves: Any, t: float, h: float, grip: float, drag: float) -> float:
    """Plan the acceleration; return the time until it changes by itself [s]."""
    c = cars[i]
    if c.cross_stop > 0.0 and c.commanded == 0:  # stop at the end of the crossing
        left = c.cross_stop - project(paths[i], c.pieces, c.x, c.y)[0]
        if left <= c.speed * c.speed / (2.0 * min(c.brakes, grip)) + c.speed * h:
            c.pedal_move, c.pedal_from, c.pedal_to = max(c.pedal_move, 0), t, 0.0
            c.pedal_a = -c.speed * c.speed / (2.0 * max(left, 1e-3))
            c.cross_stop = 0.0
    cut = inf
    smooth = 0.0
    if c.commanded == 1:
        wanted = c.command_a
    else:
        wanted = min(max(SPEED_GAIN * (c.cruise - c.speed - 0.5 * h * c.a), -2.0), 2.0)
        if c.pedal_move >= 0:
            wanted, cut = _pedal(c, wanted, t)
        if c.pedal_move < 0 or t < c.pedal_from - 1e-12:
            smooth = h
        if c.follow >= 0 and c.pedal_move < 0:
            wanted = min(wanted, _follow(i, cars, paths, moves[c.follow], h))
    changes = longitudinal(c, wanted, grip, drag, smooth)
    cut = min(cut, changes)
    if c.commanded == 0 and c.pedal_move >= 0 and t >= c.pedal_from - 1e-12 and c.pedal == 0.0 and c.a != 0.0:
        # release the pedal when the speed change during its release leads to the target speed
        rest = c.asked * c.asked / (2.0 * c.jerk) if c.jerk > 0.0 and c.pedal_to > 0.0 else 0.0
        aim = c.pedal_to + rest if c.a < 0.0 else c.pedal_to - rest
        until = (aim - c.speed) / c.a
        if until > 0.0 and (c.pedal_to > 0.0 or c.a > 0.0):
            cut = min(cut, max(until, 1e-7))
    return cut


@kernel
def _pedal(c: Any, wanted: float, t: float) -> tuple[float, float]:
    """Carry out braking or accelerating; return the demanded acceleration and the time until it changes."""
    if t < c.pedal_from - 1e-12:
        return wanted, max(c.pedal_from - t, 1e-7)
    rest = c.asked * c.asked / (2.0 * c.jerk) if c.jerk > 0.0 and c.pedal_to > 0.0 else 0.0
    if c.pedal_a < 0.0:
        done = c.speed <= c.pedal_to + (rest if c.asked < 0.0 else 0.0) + 1e-9
    else:
        done = c.speed >= c.pedal_to - (rest if c.asked > 0.0 else 0.0) - 1e-9
    if not done:
        return c.pedal_a, inf
    c.cruise, c.pedal_move = c.pedal_to, -1
    return min(max(SPEED_GAIN * (c.cruise - c.speed), -2.0), 2.0), inf


@kernel
def _follow(i: int, cars: Any, paths: Any, m: Any, h: float) -> float:
    """Intelligent driver model behind the nearest actor ahead in the path, evaluated at half a segment."""
    c = cars[i]
    s, d, _ = project(paths[i], c.pieces, c.x, c.y)
    gap, lead = inf, 0.0
    for o in range(len(cars)):
        if o == i:
            continue
        other = cars[o]
        so, do, piece = project(paths[i], c.pieces, other.x, other.y)
        turned = other.yaw - heading_at(paths[i], piece, so)
        reach_s = abs(cos(turned)) * other.half_l + abs(sin(turned)) * other.half_w
        reach_d = abs(sin(turned)) * other.half_l + abs(cos(turned)) * other.half_w
        apart = gap_along(paths[i], c.pieces, s, d, so, do) - c.half_l - reach_s
        if so > s and apart < gap and abs(do - d) < c.half_w + reach_d:
            gap, lead = apart, other.vlon * cos(turned) - other.vlat * sin(turned)
    speed = max(c.speed + 0.5 * h * c.a, 0.0)
    free = (speed / max(c.cruise, 0.1)) ** 2
    if gap == inf:
        return float(m.a * (1.0 - free * free))
    gap = max(gap + 0.5 * h * (lead - c.speed), 0.1)
    want = m.gap + max(speed * m.headway + speed * (speed - lead) / (2.0 * sqrt(m.a * m.comfort)), 0.0)
    return float(m.a * (1.0 - free * free - (want / gap) ** 2))


@kernel
def _turn_wheel(c: Any, path: Any, moves: Any, i: int, t: float, h: float, sideways: float) -> None:
    """Set the front wheels for the segment: half-way between the present and the target angle."""
    if c.stuck == 1.0:
        c.aim = c.wheel = c.steer
        c.lag = 0.0
        return
    if c.commanded == 1 and c.keeps == 0:
        c.aim, c.lag = min(max(c.command_steer, -c.most_steer), c.most_steer), STEER_LAG
    else:
        c.aim, c.lag = _lane_steer(c, path, moves, i, t, h, sideways), 0.0
    c.wheel = min(max(steered(c, 0.5 * h) + c.offset, -c.most_steer), c.most_steer)


@kernel
def steered(c: Any, tau: float) -> float:
    """Return the steering angle after `tau` seconds: first-order lag and limited rate."""
    goal = c.aim if c.lag == 0.0 else c.aim + (c.steer - c.aim) * exp(-tau / c.lag)
    most = c.steer_rate * tau
    if c.lag == 0.0:
        most *= 2.0  # a driver corrects at every segment, not half of it
    return float(min(max(goal, c.steer - most), c.steer + most))


@kernel
def _lane_steer(c: Any, path: Any, moves: Any, i: int, t: float, h: float, sideways: float) -> float:
    """Path tracking: feed-forward of the curvature and feedback of the rear axle's offset, at half a segment."""
    rear_x, rear_y = c.x - c.lr * c.cosine, c.y - c.lr * c.sine
    s, d, piece = project(path, c.pieces, rear_x, rear_y)
    bend = path[piece].curvature
    off = c.yaw - heading_at(path, piece, s)
    if abs(off) > pi:
        off -= 2.0 * pi * round(off / (2.0 * pi))
    half = 0.5 * h
    y, dy, ddy = reference(c, moves, i, t + half)
    if off == 0.0 and bend == 0.0 and d == y and dy == 0.0 and ddy == 0.0 and c.vlat == 0.0 and c.rate == 0.0:
        return 0.0  # no deviation
    free = max(1.0 - bend * d, 0.1)
    drift = (c.vlat - c.rate * c.lr) * cos(off)
    rate = c.vlon * sin(off) + drift
    turned = off + (c.rate - bend * c.vlon / free) * half
    most = sideways * (CAREFUL if c.turns == 1 else 1.0)
    # the correction is limited to what the grip can reverse: else saturation would cause a lasting oscillation
    error = y - d - rate * half
    pull = min(PATH_STIFFNESS / PATH_DAMPING * abs(error), sqrt(2.0 * 0.25 * most * abs(error)))
    pull = pull if error >= 0.0 else -pull
    lateral = ddy + PATH_DAMPING * (dy + pull - c.vlon * sin(turned) - drift)
    speed = max(c.speed, 2.0)  # below 2 m/s the path law would demand any steering angle
    curvature = bend * cos(off) / free + lateral / (speed * speed * max(cos(turned), 0.5))
    if c.turns == 1:
        limit = most / max(c.speed * c.speed, 1e-9)
        curvature = min(max(curvature, -limit), limit)
    aim = atan(curvature * c.wheelbase)
    if c.turns == 1:  # a car that slips turns in late: steer ahead of it
        aim += LEAD * (curvature * c.vlon - c.rate)
    return float(min(max(aim, -c.most_steer), c.most_steer))


@kernel
def pace(c: Any) -> float:
    """Return the rate of a lane change, 1 = by the clock; it is lower for an actor that hardly moves."""
    return float(min(c.speed / ROLLING, 1.0))


@kernel
def reference(c: Any, moves: Any, i: int, t: float) -> tuple[float, float, float]:
    """Return the reference of the lane or the lane change: offset [m], its rate and its acceleration.

    Source:
        Flash, Hogan, The coordination of arm movements, J. Neurosci. 5 (1985): the minimum-jerk quintic.
    """
    y, rate, bend = c.d_home, 0.0, 0.0
    order = 0
    while True:  # changes in the order of their starts
        found = -1
        for m in range(len(moves)):
            mine = moves[m].actor == i and moves[m].kind == CHANGE_LANE and moves[m].started == 1
            if mine and moves[m].order >= order and (found < 0 or moves[m].order < moves[found].order):
                found = m
        if found < 0:
            return y, rate, bend
        order = moves[found].order + 1
        takes = moves[found].takes
        s = min(max((t - moves[found].t_start - moves[found].lost) / takes, 0.0), 1.0)
        far = moves[found].d_to - y
        share = s * s * s * (10.0 + s * (6.0 * s - 15.0))
        takes /= max(pace(c), 1e-3)
        slope = 30.0 * s * s * (1.0 - s) * (1.0 - s) / takes
        curve = 60.0 * s * (1.0 - s) * (1.0 - 2.0 * s) / (takes * takes)
        bend = bend * (1.0 - share) - 2.0 * rate * slope + far * curve
        rate = rate * (1.0 - share) + far * slope
        y += far * share


# -- manoeuvres --------------------------------------------------------------------------------------------------------


@kernel
def begin(m: Any, number: int, c: Any, path: Any, t: float) -> None:
    """Start a manoeuvre at t."""
    m.started, m.t_start = 1, t
    if m.kind in (BRAKE, ACCELERATE, CROSS):
        c.pedal_move, c.pedal_from = number, t + c.late
        c.pedal_a, c.pedal_to = m.a, m.to
    elif m.kind == FOLLOW:
        c.follow = number
    elif m.kind == TURN and m.speed > 0.0:
        c.cruise = m.speed
    if m.kind == CROSS:
        c.pedal_from, c.cross_stop = t, m.stop_after
        c.yaw = m.heading
        c.cosine, c.sine = cos(c.yaw), sin(c.yaw)
        c.pieces = 1
        set_piece(path[0], c.x, c.y, m.heading, 0.0, 1e9, 0.0)
        c.d_home = 0.0
    elif m.kind == TURN and m.planned == 0:
        # an arc from the rear axle on, which follows the path
        x, y = c.x - c.lr * c.cosine, c.y - c.lr * c.sine
        bend = (1.0 if m.angle >= 0.0 else -1.0) / m.radius
        long = abs(m.angle) * m.radius
        c.pieces = 2
        set_piece(path[0], x, y, c.yaw, 0.0, long, bend)
        end = c.yaw + m.angle
        set_piece(path[1], x + (sin(end) - c.sine) / bend, y - (cos(end) - c.cosine) / bend, end, long, 1e9, 0.0)
        c.d_home = 0.0


@kernel
def due(m: Any, moves: Any, t: float) -> float:
    """Return the start of a waiting manoeuvre as far as it is known now; inf = its condition does not hold yet."""
    if m.trigger == AT_TIME:
        return float(m.at)
    if m.trigger == AT_AFTER:
        other = moves[m.after]
        return float(max(other.t_start + m.delay, m.at)) if other.started == 1 else inf
    return float(max(m.armed + m.delay, m.at)) if m.armed == m.armed else inf  # NaN: not armed


@kernel
def margin(m: Any, cars: Any, paths: Any, tau: float) -> float:
    """Return the margin of a manoeuvre's condition `tau` seconds into the segment; <= 0 = it holds."""
    c = cars[m.actor]
    x, y, yaw, vx, vy, _, _ = ahead(c, paths[m.actor], tau)
    if m.trigger == AT_STATION:
        s, _, _ = project(paths[m.actor], c.pieces, x, y)
        return float(m.value - s)
    e = cars[m.who]
    ex, ey, eyaw, evx, evy, _, _ = ahead(e, paths[m.who], tau)
    if m.trigger == AT_DISTANCE:
        return float(distance(x, y, yaw, c.half_l, c.half_w, ex, ey, eyaw, e.half_l, e.half_w) - m.value)
    path = paths[m.who]
    s, d, piece = project(path, e.pieces, x, y)
    es, ed, epiece = project(path, e.pieces, ex, ey)
    heading, eheading = heading_at(path, piece, s), heading_at(path, epiece, es)
    reach = abs(cos(yaw - heading)) * c.half_l + abs(sin(yaw - heading)) * c.half_w
    own = vx * cos(heading) + vy * sin(heading)
    other = evx * cos(eheading) + evy * sin(eheading)
    gap = abs(gap_along(path, e.pieces, es, ed, s, d)) - reach - e.half_l
    if m.trigger == AT_ARRIVE:
        if other <= 0.0 or s < es:
            return inf
        side = 1.0 if d > ed else -1.0
        way = abs(d - (ed + side * (0.5 - m.value) * 2.0 * e.half_w))
        slant = max(abs(sin(m.heading - heading)), 0.1)
        way /= slant
        ramp = m.to * m.to / (2.0 * m.a)
        walk = m.to / m.a + (way - ramp) / m.to if way > ramp else sqrt(2.0 * way / m.a)
        return float(gap / other - walk)
    behind = other if s >= es else own
    if m.trigger == AT_HEADWAY:
        return float(gap - m.value * behind) if behind > 0.0 else inf
    closing = other - own if s >= es else own - other
    if closing <= 0.0:
        return inf
    return float(gap - m.value * closing)
