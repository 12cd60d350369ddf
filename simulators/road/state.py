"""Record types of the kernels: one record per actor, manoeuvre, fault and run.

All values are SI. Arrays of these records have a leading run axis; a kernel never reads another run's records.
"""

from __future__ import annotations

import numpy as np

SEGMENTS = 8  # pieces of a path
SIDES = 4  # roads that cross the main one
QUEUE = 64  # commands that wait for the dead time of the actuators
TABLE_RATE = 20  # rows of `actors` a second
STANDS = 0.1  # speed below which somebody stands [m/s]
AGAIN = 0.5  # a pair that touches again sooner than this is in one contact [s]

# motion mode of an actor in the present segment
RAILS, KINEMATIC, DYNAMIC, SLIDING, FIXED, HELD = 0, 1, 2, 3, 4, 5  # held: PyBullet moves it
WAYS = {"rails": RAILS, "wheels": KINEMATIC, "cycle": 5, "fixed": FIXED}
# the model that the settings demand
AUTO, ONLY_KINEMATIC, ONLY_DYNAMIC = 0, 1, 2
# manoeuvres
CHANGE_LANE, BRAKE, ACCELERATE, FOLLOW, CROSS, TURN, RED_LIGHT = 0, 1, 2, 3, 4, 5, 6
# conditions
AT_TIME, AT_DISTANCE, AT_TTC, AT_HEADWAY, AT_STATION, AT_ARRIVE, AT_AFTER = 0, 1, 2, 3, 4, 5, 6
# faults
FADE, FRICTION, STUCK, OFFSET, BLOW_OUT, DELAY = 0, 1, 2, 3, 4, 5
# events
MOVE_START, MOVE_END, HARD_BRAKING, CONTACT, RUN_END, ROLLOVER, GROUND = 0, 1, 2, 3, 4, 5, 6
# status of a run; due: PyBullet has to move its bodies to the end of the step; stepped: it has done so
GOING, ASKING, ANSWERED, DUE, STEPPED = 0, 1, 2, 3, 4


def _record(floats: str, whole: str = "") -> np.dtype[np.void]:
    return np.dtype([(n, np.float64) for n in floats.split()] + [(n, np.int64) for n in whole.split()])


CAR = _record(
    # state
    "x y yaw cosine sine speed vx vy rate vlon vlat "
    # in the present segment: acceleration along the path, its slope, time of its stop; slope of the pedals
    "a j stop pedal "
    # state of the actuators; wheel: angle of the front wheels in this segment; aim: their target angle
    "asked steer wheel bend aim lag "
    # sliding: accelerations; dynamic: end state and duration of the segment
    "fx fy fw span x1 y1 yaw1 vx1 vy1 rate1 "
    # demands
    "cruise command_a command_steer pedal_from pedal_a pedal_to cross_stop "
    # effects of faults and position, for the present step or segment
    "mu brake_left stuck offset blown late "
    # properties
    "half_l half_w height wheelbase lf lr mass inv_mass inertia inv_inertia yaw_inertia brakes drive jerk most_steer "
    "steer_rate delay cornering high "
    # t_react: last time at which it braked with 1 m/s2 or more, or its agent steered it off its path
    # t_moved: last time at which it did not stand
    "d_home before_a t_react t_moved "
    # held: height of the centre, attitude, velocities out of the plane
    "z qx qy qz qw vz wx wy roll pitch "
    # friction of the position, without faults
    "ground",
    # face: -1 = drives backwards; keeps: steers along its path although it is commanded; was_ahead: of the ego;
    # touched: since the last row
    "way model mode hit commanded keeps pedal_move follow hard turns pieces piece queued face was_ahead touched rolled",
)

MOVE = _record(
    "at value delay armed t_start takes lost d_to a to headway gap comfort angle radius speed heading stop_after",
    "actor kind trigger who after started ended lane order planned",
)

PIECE = _record("x y heading s length curvature cosine sine")

FAULT = _record("onset end severity ramp", "actor kind")

PATCH = _record("start end right left friction")

RUN = _record(
    "gone k_start friction settle impact_friction first_contact "
    # an impact that PyBullet has to compute
    "nx ny closing "
    # measures
    "min_gap t_gap min_ttc t_ttc min_thw t_thw max_drac t_drac max_btn t_btn max_stn t_stn max_brake t_brake "
    "max_jerk lane_width t_late late_need late_had late_mu max_aside max_tilt max_behind worst_vx worst_vy worst_yaw "
    "worst_moved "
    "ground slick t_slick max_off side_need side_had t_side "
    # conduct: time without getting on; speed at which the brakes were pressed; when something last called for braking,
    # or was a danger
    "idle pressed_at t_threat t_danger",
    # last: step at which the run is cut off, -1 = none; rowed: step of the last row
    "worst passed k over state a b impacts bullet events hits lanes order nearest fresh table_rows cuts window held "
    "last rowed",
)

# still: since when it stood, NaN = it moved
# before: bits of the actors behind, in whose path it is or goes; within: those in whose path it is already
EVENT = _record("t v0 v1 v2 v3 v4 x y yaw still", "kind actor move hit before within")

IMPACT = _record(
    "t closing nx ny px py jx jy dvax dvay dvbx dvby dwa dwb lost lost_a lost_b speed_a speed_b "
    "bearing_a bearing_b force_a force_b "
    "vax vay vbx vby yaw_a yaw_b",  # before
    "a b again side_a side_b event",
)

ROW = _record("x y yaw roll pitch speed acceleration jerk steer vx vy yaw_rate d gap ttc", "lane hit")

CONDUCT = _record("road_margin along idle needless_braking")

SIDE = _record(
    "x y cosine sine width reach kerb"
)  # right edge of a crossing road where the middles cross; width 0 = none

SPOT = _record("speed value")  # a row of the restitution table
