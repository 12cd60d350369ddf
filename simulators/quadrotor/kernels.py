# mypy: disable-error-code="no-any-return"
"""Flight of many drones at once (compiled): the loop over runs, steps and drones.

Every run is computed by itself, number by number, without fast maths: its bytes depend neither on its neighbours nor
on the cuts in time.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.kernels import kernel

from .contacts import meet, touch
from .control import arrive, steer
from .disturbances import plan
from .dynamics import drain, integrate
from .layout import (
    BODY,
    CAPACITY,
    CEILING,
    E_SATURATED,
    FINISHED,
    FLYING,
    GLIDING,
    GROUND,
    LAG,
    LANDED,
    MODE,
    RESTING,
    RING,
    SATURATED,
    SATURATED_FOR,
    SETTLE,
    SPIN,
    STATE,
    STEP_RATE,
    SUB,
    T_IMPACT,
    VEL,
    VOLTS,
    WIND,
    H,
)
from .monitoring import observe, tell

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray, IntArray


@kernel
def keep(to: FloatArray, y: FloatArray) -> None:
    """Copy the drones' states; a slice would do, but takes seconds to compile."""
    for d in range(y.shape[0]):
        for i in range(STATE):
            to[d, i] = y[d, i]


@kernel(allocates=True)
def fly(first: int, last: int, state: FloatArray, p: FloatArray, g: FloatArray, points: FloatArray,
        obstacles: FloatArray, standing: IntArray, faults: FloatArray, planned: IntArray, noise: FloatArray,
        health: FloatArray, extra: FloatArray, ring: FloatArray, m: FloatArray, pairs: FloatArray, stop: IntArray,
        motion: FloatArray, events: FloatArray, count: IntArray) -> None:  # fmt: skip
    """Advance every run from step `first` to step `last`; shapes have runs first, then drones.

    `stop` (runs,) becomes the step at which a run ends. `motion` (runs, steps + 1, drones, STATE) gets the state at
    every step, the first at `first`. `health` and `extra` become what was in force in the last step, see `plan`.
    """
    runs, drones = state.shape[0], state.shape[1]
    work, n = np.zeros((5, BODY)), np.zeros(3)
    command = np.zeros(4)
    old = np.zeros((drones, 3))
    force, off = np.zeros((drones, 3)), np.zeros(4)  # motors that are off take no power
    for r in range(runs):
        y = state[r]
        keep(motion[r, 0], y)
        for k in range(first, last):
            if stop[r] >= 0:
                keep(motion[r, k - first + 1], y)
                continue
            for d in range(drones):
                plan(y[d], p[r, d], g[r], faults[r], planned[r], points[r, d], noise[r, d, k - first], k, d,
                     health[r, d], extra[r, d], force[d])  # fmt: skip
            for sub in range(SUB):
                at = k * SUB + sub
                t = at / (STEP_RATE * SUB)
                for d in range(drones):
                    own, q = y[d], p[r, d]
                    for i in range(3):
                        old[d, i] = own[i]
                    if own[MODE] == LANDED or own[MODE] == RESTING:
                        for i in range(4):
                            own[SPIN + i] -= own[SPIN + i] * H / q[LAG]
                        if q[CAPACITY] > 0.0:
                            drain(own, q, off, extra[r, d, 0], H)
                        continue
                    if own[MODE] == GLIDING:
                        for i in range(3):
                            own[i] += H * own[VEL + i]
                        continue
                    if q[CAPACITY] > 0.0:
                        drain(own, q, health[r, d] if own[MODE] == FLYING else off, extra[r, d, 0], H)
                    command[:] = 0.0
                    if own[MODE] == FLYING:
                        short = steer(own, q, force[d], extra[r, d, 2], command)
                        own[SATURATED_FOR] = own[SATURATED_FOR] + 1.0 if short else 0.0
                        if own[SATURATED_FOR] > 100.0 and own[VEL + 2] < -0.5 and own[SATURATED] == 0.0:
                            own[SATURATED] = 1.0
                            tell(events, count, r, t + H, E_SATURATED, d, GROUND)[4] = own[VOLTS]
                        late = int(extra[r, d, 3])
                        for i in range(4):
                            ring[r, d, at % RING, i] = command[i]
                            command[i] = min(ring[r, d, (at - late) % RING, i], own[CEILING])
                    integrate(own, q, command, health[r, d], own[WIND : WIND + 3], H, work)
                    touch(own, old[d], q, g[r], m[r, d], obstacles[r], points[r, d], standing[r], t, r, d,
                          events, count, n)  # fmt: skip
                    if own[MODE] == FLYING:
                        observe(own, q, g[r], m[r, d], obstacles[r], points[r, d], standing[r], t + H, r, d,
                                events, count, n)  # fmt: skip
                for a in range(drones):
                    for b in range(a + 1, drones):
                        pair = a * drones - a * (a + 1) // 2 + b - a - 1
                        meet(a, b, pair, y, old, p[r], g[r], m[r], pairs[r], t, r, events, count, n)
            for d in range(drones):
                arrive(y[d], p[r, d], m[r, d], points[r, d], extra[r, d, 1], k + 1, r, d, events, count)
            keep(motion[r, k - first + 1], y)
            done, ended, since = True, False, inf
            latest = 0.0
            for d in range(drones):
                if m[r, d, T_IMPACT] == m[r, d, T_IMPACT]:
                    ended, since = True, min(since, m[r, d, T_IMPACT])
                if np.isnan(m[r, d, FINISHED]):
                    done = False
                else:
                    latest = max(latest, m[r, d, FINISHED])
            if done:
                ended, since = True, min(since, latest)
            if ended and (k + 1) / STEP_RATE >= since + g[r, SETTLE]:
                stop[r] = k + 1
