# mypy: disable-error-code="no-any-return"
"""Rigid body, rotors and battery of a drone (compiled): derivative, integrator, energy.

Sources:
    Mahony, Kumar, Corke, Multirotor aerial vehicles, IEEE Robotics & Automation Magazine 19(3), 2012 (rigid body,
    k_f and k_m).
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from mischance.api.kernels import kernel

from .layout import (
    ARM,
    AVIONICS,
    BODY,
    CAPACITY,
    CEILING,
    DRAG,
    EFFICIENCY,
    EMPTY,
    FASTEST,
    FULL,
    IXX,
    IYY,
    IZZ,
    KF,
    KM,
    LAG,
    MASS,
    RESISTANCE,
    SPIN,
    SPIN_DRAG,
    USED,
    VOLTS,
    G,
)

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray


@kernel
def derivative(
    y: FloatArray, p: FloatArray, command: FloatArray, health: FloatArray, wind: FloatArray, dy: FloatArray
) -> None:
    """Write the time derivative of (position, velocity, attitude, rates, rotor speeds), shape (17,), into `dy`.

    A rotor gives health * k_f * speed^2 along the body's z and the torque health * k_m * speed^2 against its turn
    (rotors 1 and 3 turn left, 2 and 4 right). The body's drag is quadratic in the airspeed and equal in all
    directions. Not modelled: the rotors' own inertia, blade flapping, ground effect, vortex ring state.
    """
    x, yy, z, w = y[6], y[7], y[8], y[9]
    a, b, c = y[10], y[11], y[12]
    t1, t2, t3, t4 = (health[0] * y[13] * y[13], health[1] * y[14] * y[14], health[2] * y[15] * y[15],
                      health[3] * y[16] * y[16])  # fmt: skip
    lift = p[KF] * (t1 + t2 + t3 + t4) / p[MASS]
    ux, uy, uz = y[3] - wind[0], y[4] - wind[1], y[5] - wind[2]
    drag = p[DRAG] * sqrt(ux * ux + uy * uy + uz * uz) / p[MASS]
    for i in range(3):
        dy[i] = y[3 + i]
    dy[3] = lift * 2.0 * (x * z + w * yy) - drag * ux
    dy[4] = lift * 2.0 * (yy * z - w * x) - drag * uy
    dy[5] = lift * (1.0 - 2.0 * (x * x + yy * yy)) - drag * uz - G
    dy[6] = 0.5 * (w * a + yy * c - z * b)
    dy[7] = 0.5 * (w * b + z * a - x * c)
    dy[8] = 0.5 * (w * c + x * b - yy * a)
    dy[9] = -0.5 * (x * a + yy * b + z * c)
    roll = p[ARM] * p[KF] * (t1 - t2 - t3 + t4) - p[SPIN_DRAG] * a
    pitch = p[ARM] * p[KF] * (-t1 - t2 + t3 + t4) - p[SPIN_DRAG] * b
    yaw = -p[KM] * (t1 - t2 + t3 - t4) - p[SPIN_DRAG] * c
    dy[10] = (roll - (p[IZZ] - p[IYY]) * b * c) / p[IXX]
    dy[11] = (pitch - (p[IXX] - p[IZZ]) * c * a) / p[IYY]
    dy[12] = (yaw - (p[IYY] - p[IXX]) * a * b) / p[IZZ]
    for i in range(4):
        dy[13 + i] = (command[i] - y[13 + i]) / p[LAG]


@kernel
def integrate(
    y: FloatArray, p: FloatArray, command: FloatArray, health: FloatArray, wind: FloatArray, h: float, work: FloatArray
) -> None:
    """Integrate y (at least 17 numbers) over h by the classical Runge-Kutta method; `work` has shape (5, 17)."""
    k1, k2, k3, k4, at = work[0], work[1], work[2], work[3], work[4]
    derivative(y, p, command, health, wind, k1)
    for i in range(BODY):
        at[i] = y[i] + 0.5 * h * k1[i]
    derivative(at, p, command, health, wind, k2)
    for i in range(BODY):
        at[i] = y[i] + 0.5 * h * k2[i]
    derivative(at, p, command, health, wind, k3)
    for i in range(BODY):
        at[i] = y[i] + h * k3[i]
    derivative(at, p, command, health, wind, k4)
    for i in range(BODY):
        y[i] += h / 6.0 * (k1[i] + 2.0 * k2[i] + 2.0 * k3[i] + k4[i])
    norm = sqrt(y[6] * y[6] + y[7] * y[7] + y[8] * y[8] + y[9] * y[9])
    for i in range(6, 10):
        y[i] /= norm


@kernel
def drain(y: FloatArray, p: FloatArray, health: FloatArray, extra: float, h: float) -> None:
    """Subtract the energy of one integration step from the battery; set its voltage and the maximum rotor speed.

    Power at the terminals: P = U I with U = U0 - R I, so U = U0/2 + sqrt(U0^2/4 - R P); the maximum power is U0^2/4R.
    """
    power = p[AVIONICS]
    for i in range(4):
        power += health[i] * p[KM] * y[SPIN + i] ** 3 / p[EFFICIENCY]
    left = 1.0 - y[USED] / p[CAPACITY]
    if left <= 0.0:
        y[VOLTS], y[CEILING] = 0.0, 0.0
        return
    source = p[EMPTY] + (p[FULL] - p[EMPTY]) * left
    resistance = p[RESISTANCE] + extra
    y[VOLTS] = 0.5 * source + sqrt(max(0.25 * source * source - resistance * power, 0.0))
    y[CEILING] = p[FASTEST] * y[VOLTS] / p[FULL]
    y[USED] += h * source * power / y[VOLTS]
