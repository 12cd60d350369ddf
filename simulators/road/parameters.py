"""Parameters in force in a step: faults, friction of the ground, and commands that reach the actuators (compiled)."""

from __future__ import annotations

from math import cos, inf, sin
from typing import Any

from mischance.api.kernels import kernel
from mischance.api.runs import active_share

from .paths import heading_at, length_between, project
from .state import BLOW_OUT, DELAY, FADE, FRICTION, OFFSET, QUEUE, STUCK

_share = kernel(active_share)

# The field of an actor's record that holds the parameter of a kind of fault, as the kernels use it.
FIELDS = {
    "fade": "brake_left", "friction": "mu", "stuck": "stuck", "offset": "offset", "blow_out": "blown", "delay": "late",
}  # fmt: skip
BORDER = 1e-6  # way before a patch's border from which on an actor has reached it [m]


@kernel
def _grown(f: Any, t: float) -> float:
    """Return the share of a fault's severity that is active in a step that starts at t, 0-1."""
    return _share(f.onset, f.end, f.ramp, t)


@kernel
def set_faults(w: Any, cars: Any, faults: Any, t: float) -> None:
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
            if f.severity * part >= 0.5:
                c.stuck = 1.0
        elif f.kind == OFFSET:
            c.offset += f.severity * part
        elif f.kind == BLOW_OUT:
            c.blown = max(c.blown, min(max(f.severity, 0.0), 1.0) * part)
        elif f.kind == DELAY:
            c.late += max(f.severity, 0.0) * part


@kernel
def set_friction(w: Any, cars: Any, road: Any, pieces: int, patches: Any, faults: Any, t: float) -> float:
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
                    if p.start - BORDER <= s < p.end - BORDER:
                        mu = p.friction
                    for border in (p.start, p.end):
                        if pace > 0.1 and border > s + BORDER:
                            cut = min(cut, max(length_between(road, pieces, s, border, d) / pace, 1e-6))
        c.ground = mu
        for n in range(len(faults)):
            f = faults[n]
            if f.kind == FRICTION:
                mu += (max(f.severity, 1e-3) - mu) * _grown(f, w.k_start)
        c.mu = mu
    return cut


@kernel
def command(
    cars: Any, queue: Any, t: float, i: int, a: float, steer: float, keep: bool
) -> None:  # fmt: skip
    """Take an agent's command at t, for which faults are set: it reaches the actuators after their dead time."""
    c = cars[i]
    if c.hit == 1:
        return
    when = t + c.late
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
def apply_commands(cars: Any, queue: Any, t: float) -> float:
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
