# mypy: disable-error-code="no-any-return"
"""Faults, wind and the error of the estimate at the start of a step of the world (compiled)."""

from __future__ import annotations

from math import cos, pi, sqrt
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.kernels import kernel
from mischance.api.runs import active_share

from .control import guide
from .layout import (
    BIAS,
    DELAY,
    ERROR,
    F_DRONE,
    F_END,
    F_KIND,
    F_ONSET,
    F_RAMP,
    F_ROTOR,
    F_SEVERITY,
    FLYING,
    GUST,
    GUST_X,
    GUST_Y,
    GUST_Z,
    GUSTY,
    KEEP,
    LATE,
    MODE,
    NOISE,
    NOISE_KEEP,
    RING,
    SAG,
    SIGMA,
    STEP_RATE,
    SUB,
    THRUST_LOSS,
    TILTED,
    WIND,
    WIND_X,
    WIND_Y,
)

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray

_share = kernel(active_share)


@kernel
def severity(f: FloatArray, t: float) -> float:
    """Return a fault's severity for a step that starts at t; it grows linearly over its ramp.

    A gust grows and decays as a half cosine (the discrete gust of MIL-F-8785C), over its ramp and over the same time
    before its end.
    """
    grown = _share(f[F_ONSET], f[F_END], f[F_RAMP], t)
    if f[F_KIND] == GUSTY and f[F_RAMP] > 0.0 and grown > 0.0:
        grown = min(grown, (f[F_END] - t) / f[F_RAMP])
        return f[F_SEVERITY] * 0.5 * (1.0 - cos(pi * grown))
    return f[F_SEVERITY] * grown


@kernel
def plan(y: FloatArray, p: FloatArray, g: FloatArray, faults: FloatArray, planned: int, points: FloatArray,
         noise: FloatArray, k: int, d: int, health: FloatArray, extra: FloatArray, force: FloatArray,
         ) -> None:  # fmt: skip
    """Start a step of the world for one drone: faults, wind, estimate, position loop.

    `health` (4,) becomes the share of thrust that each rotor gives; `extra` (5,) becomes (resistance [ohm], bias [m],
    tilt [rad], delay [steps of the integrator], gust [m/s]), what faults add.
    """
    t = k / STEP_RATE
    health[:] = 1.0
    extra[:] = 0.0
    for i in range(planned):
        f = faults[i]
        now = severity(f, t)
        if now == 0.0 or (f[F_KIND] != GUSTY and int(f[F_DRONE]) != d):
            continue
        if f[F_KIND] == THRUST_LOSS:
            health[int(f[F_ROTOR])] *= 1.0 - min(max(now, 0.0), 1.0)
        elif f[F_KIND] == SAG:
            extra[0] += max(now, 0.0)
        elif f[F_KIND] == BIAS:
            extra[1] += now
        elif f[F_KIND] == TILTED:
            extra[2] += now
        elif f[F_KIND] == LATE:
            extra[3] += min(max(now, 0.0), 0.5) * STEP_RATE * SUB
        else:
            extra[4] += now
    extra[3] = min(np.rint(extra[3]), RING - 1.0)
    for i in range(3):
        sigma = g[SIGMA] if i < 2 else 0.5 * g[SIGMA]
        fresh = 1.0 if k == 0 else sqrt(1.0 - g[KEEP] * g[KEEP])
        y[GUST + i] = g[KEEP] * y[GUST + i] + fresh * sigma * noise[i]
        fresh = 1.0 if k == 0 else sqrt(1.0 - p[NOISE_KEEP] * p[NOISE_KEEP])
        y[ERROR + i] = p[NOISE_KEEP] * y[ERROR + i] + fresh * p[NOISE] * noise[3 + i]
    y[WIND] = g[WIND_X] + y[GUST] + extra[4] * g[GUST_X]
    y[WIND + 1] = g[WIND_Y] + y[GUST + 1] + extra[4] * g[GUST_Y]
    y[WIND + 2] = y[GUST + 2] + extra[4] * g[GUST_Z]
    if y[MODE] != FLYING:
        return
    guide(y, p, extra[1], points, k < p[DELAY], force)
