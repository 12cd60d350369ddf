"""What the road world requires of every driver: stays on the carriageway, gets on, right way, no needless braking.

The signals that the default requirements speak of, computed for the ego at every row (compiled). They are about its
driver: from the ego's first contact on nobody drives it, and they have values that break nothing.
"""

from __future__ import annotations

from math import cos, inf, sin, sqrt
from typing import Any

from mischance.api.kernels import kernel

from .boxes import clearance
from .driver import reference
from .paths import heading_at, place, project
from .state import SIDES

STRAIGHT_AHEAD = 0.7  # cosine: two that go the same way
ROOM = 0.5  # beside the ego, which belongs to its way [m]
TICK = 0.25  # step of the look ahead [s]
NEAR = 4.0  # who is in the way that soon always is a reason [s]
# getting on
KEPT, LOST = 0.9, 0.5  # shares of the reference speed: below the first it must not slow down, below the second pick up
SLOWS, PICKS_UP = -0.5, 0.1  # accelerations that count as slowing down, and as picking up [m/s2]
GENTLE = 1.5  # acceleration with which it could get on [m/s2]
CALLS = 1.0  # deceleration needed for somebody farther away that is a reason to slow down [m/s2]
CALM = 7.0  # time that it may take longer after a danger [s]
SIDEWAYS, COMFORT = 3.0, 2.0  # accelerations in a bend and before it that slow a calm driver down [m/s2]
GRIP = 0.7  # friction below which a calm driver is slower: the braking distance stays the same
# needless braking
PRESSED = 2.5  # deceleration demand from which on what is ahead is looked at [m/s2]
HEADWAY = 0.5  # time gap that belongs to it [s]
MEMORY = 1.5  # how long what demanded the braking may be gone: perception, reaction, release of the pedal [s]


@kernel
def road_margin(c: Any, road: Any, pieces: int, width: float, sides: Any) -> float:
    """Return how far a body is inside the carriageway [m]: of its outermost corner to the edge; negative = beyond it.

    The carriageway is the main road, and the crossing roads as far as they reach, with rounded kerbs at the corners.
    """
    least = inf
    for corner in range(4):
        ahead = c.half_l if corner < 2 else -c.half_l
        left = c.half_w if corner % 2 == 0 else -c.half_w
        x, y = c.x + ahead * c.cosine - left * c.sine, c.y + ahead * c.sine + left * c.cosine
        _, d, _ = project(road, pieces, x, y)
        main = best = min(d, width - d)
        for k in range(SIDES):
            side = sides[k]
            if side.width > 0.0:
                s = (x - side.x) * side.cosine + (y - side.y) * side.sine
                d = (y - side.y) * side.cosine - (x - side.x) * side.sine
                own = min(d, side.width - d, side.reach - abs(s))
                best = max(best, own)
                a, b = side.kerb + main, side.kerb + own  # to the middle of the kerb's circle, which lies off both
                if main < 0.0 and own < 0.0 and a > 0.0 and b > 0.0:
                    best = max(best, sqrt(a * a + b * b) - side.kerb)
        least = min(least, best)
    return least


@kernel
def in_the_way(
    cars: Any, paths: Any, moves: Any, ego: int, t: float, speed: float, gains: float, most: float, until: float,
    headway: float,
) -> bool:  # fmt: skip
    """Return whether somebody would be in the ego's way, if it went on along its path.

    The ego keeps its lateral place, or follows its lane change, and gains speed. Others keep speed and direction;
    one that brakes goes on braking until it stands. Who follows from behind does not count, and of those that it would
    meet later than in 4 s only who calls for a deceleration.

    Args:
        cars, paths, moves: the records of the run.
        ego: whose way.
        t: now [s].
        speed: of the ego at the beginning [m/s].
        gains: its acceleration, up to the speed `most` [m/s2], [m/s].
        until: how far it looks ahead [s].
        headway: time gap ahead of it that belongs to its way [s].
    """
    e = cars[ego]
    s, d, _ = project(paths[ego], e.pieces, e.x, e.y)
    follows = e.commanded == 0 or e.keeps == 1
    way, v = 0.0, speed
    for k in range(int(until / TICK) + 1):
        tau = k * TICK
        side = reference(e, moves, ego, t + tau)[0] if follows else d
        x, y, heading = place(paths[ego], e.pieces, s + way, side)
        c, n = cos(heading), sin(heading)
        # half of the way to the next look is added to either end: nobody slips through between two looks
        half = 0.5 * v * TICK
        reach = e.half_l + half + 0.5 * headway * v
        x, y = x + (half + 0.5 * headway * v) * c, y + (half + 0.5 * headway * v) * n
        for i in range(len(cars)):
            if i == ego:
                continue
            o = cars[i]
            moving = tau
            pace = sqrt(o.vx * o.vx + o.vy * o.vy)
            share = 1.0
            if o.a < 0.0 and pace > 0.0:
                moving = min(tau, -pace / o.a)
                share = max(1.0 + 0.5 * o.a * moving / pace, 0.0)
            dx, dy = o.x + o.vx * moving * share - x, o.y + o.vy * moving * share - y
            along = o.vx * c + o.vy * n
            if tau > NEAR and speed - along < 2.0 * CALLS * tau:
                continue
            behind = (o.x - e.x) * e.cosine + (o.y - e.y) * e.sine < -e.half_l
            if behind and o.vx * e.cosine + o.vy * e.sine >= STRAIGHT_AHEAD * pace > 0.0:
                continue
            if abs(dx) + abs(dy) > 2.0 * (reach + o.half_l + o.half_w + e.half_w + ROOM):
                continue
            if clearance(dx, dy, c, n, reach, e.half_w + ROOM, o.cosine, o.sine, o.half_l, o.half_w) <= 0.0:
                return True
        way += TICK * v
        v = min(v + gains * TICK, max(most, speed))
    return False


@kernel
def reference_speed(c: Any, path: Any) -> float:
    """Return the speed that a calm driver would keep here [m/s]: the planned one, lower before a bend and on ice."""
    s, _, _ = project(path, c.pieces, c.x, c.y)
    speed = c.cruise
    for k in range(c.pieces):
        p = path[k]
        if p.curvature != 0.0 and p.s + p.length > s:
            speed = min(speed, sqrt(SIDEWAYS / abs(p.curvature) + 2.0 * COMFORT * max(p.s - s, 0.0)))
    return float(speed * min(sqrt(c.mu / GRIP), 1.0))


@kernel
def write_conduct(
    w: Any, cars: Any, paths: Any, moves: Any, road: Any, pieces: int, sides: Any, row: Any, ego: int, t: float,
    passed: float,
) -> None:  # fmt: skip
    """Write the row of the ego's conduct.

    Args:
        w, cars, paths, moves, road, pieces, sides: the records of the run.
        row: the record to fill.
        ego: whose conduct.
        t: now [s].
        passed: since the row before [s].
    """
    e = cars[ego]
    if e.hit == 1:
        row.road_margin, row.along, row.idle, row.needless_braking = inf, 0.0, 0.0, 0.0
        return
    row.road_margin = road_margin(e, road, pieces, w.lanes * w.lane_width, sides)
    s, _, piece = project(paths[ego], e.pieces, e.x, e.y)
    heading = heading_at(paths[ego], piece, s)
    row.along = e.vx * cos(heading) + e.vy * sin(heading)
    own = e.commanded == 0 and e.pedal_move >= 0  # the scenario's own plan for an ego that nobody drives

    usual = reference_speed(e, paths[ego])
    slow = (e.speed < KEPT * usual and e.a < SLOWS) or (e.speed < LOST * usual and e.a < PICKS_UP)
    excused = own or e.blown > 0.0
    if slow and not excused:
        until = NEAR + e.speed / (2.0 * CALLS)
        excused = in_the_way(cars, paths, moves, ego, t, e.speed, GENTLE, usual, until, 0.0)
    if t == w.t_danger:
        w.idle = -CALM
    elif excused or not slow:
        w.idle = min(w.idle, 0.0)
    else:
        w.idle += passed
    row.idle = w.idle

    demand = -e.asked
    if demand <= PRESSED:
        w.pressed_at = 0.0
    else:
        w.pressed_at = max(w.pressed_at, e.speed)
        if own or in_the_way(cars, paths, moves, ego, t, w.pressed_at, 0.0, w.pressed_at, NEAR, HEADWAY):
            w.t_threat = t
    row.needless_braking = demand if demand > 0.0 and t > w.t_threat + MEMORY else 0.0
