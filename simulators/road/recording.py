"""Writes events, rows of `actors` and poses into the buffers of a chunk (compiled)."""

from __future__ import annotations

from math import atan2, cos, inf, nan, pi, sin
from typing import Any

from mischance.api.kernels import kernel

from .boxes import clearance, meeting
from .paths import gap_along, heading_at, project
from .state import HELD

NEAR = 10.0  # an actor that is farther ahead than this at the follower's speed is no concern of it [s]


@kernel
def tell(w: Any, events: Any, t: float, kind: int, actor: int, number: int, hit: int) -> Any:
    """Add an event and return its record."""
    e = events[w.events]
    w.events += 1
    e.t, e.kind, e.actor, e.move, e.hit = t, kind, actor, number, hit
    e.v0 = e.v1 = e.v2 = e.v3 = e.v4 = e.x = e.y = e.yaw = 0.0
    e.still = nan
    e.before = e.within = 0
    return e


@kernel
def mark_followers(e: Any, cars: Any, paths: Any, who: int, d_to: float, crosses: bool) -> None:
    """Note in an event which actors have `who` ahead of them, near enough to have to do with it.

    Args:
        e: the event.
        who: the actor that begins something.
        d_to: where on the road it goes to, for a change of lane; NaN else [m].
        crosses: it leaves its path for that of others.
    """
    c = cars[who]
    for j in range(min(len(cars), 62)):
        f = cars[j]
        if j == who or f.hit == 1:
            continue
        s, d, _ = project(paths[j], f.pieces, f.x, f.y)
        so, do, piece = project(paths[j], f.pieces, c.x, c.y)
        along = gap_along(paths[j], f.pieces, s, d, so, do)
        turned = c.yaw - heading_at(paths[j], piece, so)
        gap = along - f.half_l - abs(cos(turned)) * c.half_l - abs(sin(turned)) * c.half_w
        if along <= 0.0 or gap > NEAR * f.speed:
            continue
        wide = f.half_w + abs(sin(turned)) * c.half_l + abs(cos(turned)) * c.half_w
        if abs(do - d) < wide:
            e.within |= 1 << j
        if abs(do - d) < wide or crosses or abs(d_to - d) < f.half_w + c.half_w:
            e.before |= 1 << j


@kernel
def lane_of(road: Any, pieces: int, lanes: int, width: float, x: float, y: float) -> int:
    """Return the lane of a position on the main road; 0 or one more than the number of lanes = off it."""
    _, d, _ = project(road, pieces, x, y)
    return int(min(max(d // width + 1.0, 0.0), lanes + 1.0))


@kernel
def write_rows(w: Any, cars: Any, road: Any, pieces: int, rows: Any, pace: float) -> None:
    """Add one row of `actors` for every actor; `pace`: 1 / time since the row before [1/s]."""
    for i in range(len(cars)):
        c, row = cars[i], rows[w.table_rows, i]
        _, d, _ = project(road, pieces, c.x, c.y)
        row.x, row.y, row.yaw, row.speed = c.x, c.y, atan2(c.face * c.sine, c.face * c.cosine), c.face * c.speed
        row.acceleration, row.steer, row.roll, row.pitch = c.a, c.steer, c.roll, c.pitch
        # over one row; the end of braking at rest is no jerk, and an actor that was hit is not driven
        row.jerk = (c.a - c.before_a) * pace if c.hit == 0 and (c.speed > 0.0 or c.a != 0.0) else 0.0
        c.before_a = c.a
        row.gap, row.ttc = _nearest(cars, i)
        if c.touched == 1:  # between two rows bodies touch and separate
            row.gap = row.ttc = 0.0
            c.touched = 0
        row.vx, row.vy, row.yaw_rate, row.d = c.vx, c.vy, c.rate, d
        row.lane = int(min(max(d // w.lane_width + 1.0, 0.0), w.lanes + 1.0))
        row.hit = c.hit
    w.table_rows += 1
    w.rowed = w.k


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
def write_poses(cars: Any, poses: Any) -> None:
    """Write pose and velocity of every actor: xyz, quaternion xyzw, linear and angular velocity."""
    for i in range(len(cars)):
        c, p = cars[i], poses[i]
        half = 0.5 * c.yaw if c.face > 0 else 0.5 * (c.yaw + pi)
        p[0], p[1], p[2], p[3], p[4], p[5], p[6] = c.x, c.y, 0.5 * c.height, 0.0, 0.0, sin(half), cos(half)
        p[7], p[8], p[9], p[10], p[11], p[12] = c.vx, c.vy, 0.0, 0.0, 0.0, c.rate
        if c.mode == HELD:
            p[2], p[3], p[4], p[5], p[6] = c.z, c.qx, c.qy, c.qz, c.qw
            p[9], p[10], p[11] = c.vz, c.wx, c.wy
