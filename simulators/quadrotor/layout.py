"""Arrays of the flight kernels: what stands at which index of a state, parameters, measures, faults and events.

World frame: z up. Body frame: x forward, y left, z up. Quaternions xyzw turn body to world. All SI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray

G = 9.80665
STEP_RATE = 100  # steps of the world per second: faults, wind, position loop, motion
SUB = 5  # integration steps in one of them
H = 1.0 / (STEP_RATE * SUB)
RING = 256  # ring buffer of commands for a delayed controller: longer than MAX_DELAY
MOST_CONTACTS = 20  # contacts of one drone that are recorded

# indices of a drone's state
POS, VEL, QUAT, RATE, SPIN, USED, GUST, ERROR, INTEGRAL = 0, 3, 6, 10, 13, 17, 18, 21, 24
TARGET, HELD, MODE, VOLTS, CEILING, COMMAND, DRIVEN = 27, 28, 29, 30, 31, 32, 36
DEVIATED, UPSET, SATURATED, SATURATED_FOR, BREACHED, CONTACTS, LEG, WIND = 37, 38, 39, 40, 41, 42, 43, 46
STATE = 49
BODY = 17  # the integrator's part of the state: position, velocity, attitude, rates, rotor speeds
FLYING, LANDED, FALLEN, RESTING, GLIDING = 0.0, 1.0, 2.0, 3.0, 4.0  # GLIDING: a bird before its first contact

# indices of a drone's parameters
MASS, IXX, IYY, IZZ, ARM, RADIUS, DRAG, SPIN_DRAG, KF, KM, LAG, FASTEST, EFFICIENCY = range(13)
CAPACITY, FULL, EMPTY, RESISTANCE, AVIONICS = range(13, 18)
KP, KV, KI, KA, KYAW, KR, TILT = range(18, 25)
NOISE, NOISE_KEEP, TO_X, TO_Y, HEADING, DELAY, POINTS = range(25, 32)
PARAMETERS = 32

# indices of a run's parameters; the fence's six limits begin at FENCE
WIND_X, WIND_Y, SIGMA, KEEP, GUST_X, GUST_Y, GUST_Z, SEPARATION, DEVIATION, UPSET_TILT = range(10)
LANDING, RESTITUTION, FRICTION, SETTLE, FENCED, FENCE = range(10, 16)
WORLD = 22

# indices of a drone's and a pair's measures
MAX_TILT, MAX_SPEED, MAX_DEVIATION, CLEARANCE, T_CLEARANCE, NEAREST, INSIDE, T_INSIDE = range(8)
IMPACT, T_IMPACT, FINISHED, MIN_VOLTS, TOUCHDOWN = range(8, 13)
MEASURES = 13
APART, T_APART, LOST, MET = range(4)

# indices of a fault, and the kinds of faults
F_KIND, F_DRONE, F_ROTOR, F_ONSET, F_END, F_SEVERITY, F_RAMP = range(7)
THRUST_LOSS, SAG, BIAS, TILTED, LATE, GUSTY = range(6)

# kinds of events, and the columns of one: t, kind, drone, other, and details
E_WAYPOINT, E_FINISHED, E_DEVIATION, E_UPSET, E_SATURATED, E_BREACH, E_SEPARATION, E_HIT, E_MET, E_LANDED = range(10)
EVENT = 13
GROUND = -1.0


def blank(runs: int, drones: int) -> tuple[FloatArray, FloatArray]:
    """Return the initial measures of drones and of pairs."""
    m = np.zeros((runs, drones, MEASURES))
    m[..., [CLEARANCE, INSIDE, MIN_VOLTS, TOUCHDOWN]] = np.inf
    m[..., [T_CLEARANCE, T_INSIDE, T_IMPACT, FINISHED]] = np.nan
    m[..., NEAREST] = GROUND
    pairs = np.zeros((runs, drones * (drones - 1) // 2, 4))
    pairs[..., APART], pairs[..., T_APART] = np.inf, np.nan
    return m, pairs
