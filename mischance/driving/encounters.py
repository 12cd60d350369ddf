"""All measures of `mischance.driving.criticality` between one actor and all others of a run, frame by frame.

    rows = mischance.open("outputs/crash").table("actors")  # of all runs
    met = encounters(rows[rows["run"] == 0])
    met.ttc            # (frames, others)
    met.worst()        # one mapping of numbers for each of the others

The table `actors` has 20 frames a second: extremes between two frames are missed. The measures in `runs/` are
evaluated at every step of the world instead, along the ego's path; the measures here use the actor's own frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mischance.api.tables import AnyArray, BoolArray, FloatArray
from mischance.driving.criticality import (
    GRAVITY,
    Rectangle,
    available_acceleration,
    brake_threat_number,
    deceleration_rate_to_avoid_crash,
    modified_time_to_collision,
    oriented_gap,
    required_deceleration,
    required_lateral_acceleration,
    rss_lateral_distance,
    rss_longitudinal_distance,
    rss_margin,
    steer_threat_number,
    time_exposed_ttc,
    time_headway,
    time_integrated_ttc,
    time_to_collision_2d,
)
from mischance.errors import TruthError

FIELDS = ("x", "y", "yaw", "vx", "vy", "acceleration", "length", "width")
EXPOSED = 3.0  # threshold of TET and TIT [s]


@dataclass(frozen=True, slots=True)
class Encounters:
    """One actor and the others over a run; arrays are (frames, others), SI units.

    `gap`, `lateral_gap` and `along` are signed: bumper gap along the actor's heading for others ahead (NaN behind),
    lateral gap, and the distance of the outlines. Measures of following (`thw`, `drac`, `mttc`, `required`, `btn`)
    apply to others that are ahead and overlap the actor's width, and are inf or 0 for the rest. `rss_margin` is
    negative where both safe distances are violated.
    """

    t: FloatArray
    others: tuple[str, ...]
    distance: FloatArray
    gap: FloatArray
    lateral_gap: FloatArray
    ttc: FloatArray
    mttc: FloatArray
    thw: FloatArray
    drac: FloatArray
    required: FloatArray
    required_lateral: FloatArray
    btn: FloatArray
    stn: FloatArray
    rss_margin: FloatArray
    shared: BoolArray  # (others, frames, frames): the two at two times occupy the same place

    def worst(self) -> dict[str, dict[str, float]]:
        """Return the worst values of the run for each of the others.

        `rss_time` [s] and `rss_depth` [m]: duration and depth of violations of both safe distances. `pet`: time
        between the exit of one and the entry of the other at the same place, 0 if both were there at once, inf if
        they never share a place [s]. `encroachment`: time for which the actor occupied places that the other one used
        as well [s].
        """
        dt = float(self.t[1] - self.t[0]) if len(self.t) > 1 else 0.0
        apart = np.abs(self.t[:, None] - self.t[None, :])
        found = {}
        for i, name in enumerate(self.others):
            ttc, margin = self.ttc[:, i], self.rss_margin[:, i]
            used = self.shared[i].any(axis=1)
            found[name] = {
                "min_distance": float(np.min(self.distance[:, i])),
                "min_ttc": float(np.min(ttc)),
                "min_mttc": float(np.min(self.mttc[:, i])),
                "min_thw": float(np.min(self.thw[:, i])),
                "max_drac": float(np.max(self.drac[:, i])),
                "max_required": float(np.max(self.required[:, i])),
                "max_required_lateral": float(np.max(self.required_lateral[:, i])),
                "max_btn": float(np.max(self.btn[:, i])),
                "max_stn": float(np.max(self.stn[:, i])),
                "tet": float(time_exposed_ttc(ttc, EXPOSED, dt)),
                "tit": float(time_integrated_ttc(ttc, EXPOSED, dt)),
                "rss_time": float(np.sum(margin < 0.0) * dt),
                "rss_depth": float(max(-np.min(margin), 0.0)),
                "pet": float(np.min(np.where(self.shared[i], apart, np.inf))),
                "encroachment": float(np.sum(used) * dt),
            }
        return found


def encounters(
    rows: Mapping[str, Any] | Any, *, actor: str = "ego", friction: float = 0.8, brakes: float = 10.0
) -> Encounters:
    """Return the measures between an actor and all others, at every time of one run.

    Args:
        rows: the table `actors` of one run, a data frame or a mapping of columns; one row per actor and time.
        actor: name of the actor.
        friction: coefficient of tyre and road, which limits braking and steering.
        brakes: the deceleration that the actor's brakes can give [m/s2].

    Raises:
        TruthError: there is no such actor, a column is missing, or an actor lacks a row at some time.
    """
    missing = [name for name in ("t", "actor", *FIELDS) if name not in rows]
    if missing:
        raise TruthError(f"the rows have no column {missing[0]!r}")
    who = np.asarray(rows["actor"], object).astype(str)
    names = tuple(dict.fromkeys(who.tolist()))
    if actor not in names:
        raise TruthError(f"there is no actor {actor!r}; there are {', '.join(names)}")
    times = np.unique(np.asarray(rows["t"], np.float64))
    parts = {name: who == name for name in names}
    if any(part.sum() != len(times) for part in parts.values()):
        raise TruthError("the rows of one run have everybody at every time, and no other run's")
    own = _columns(rows, parts[actor])
    others = tuple(name for name in names if name != actor)
    them = {
        field: np.stack([_columns(rows, parts[name])[field] for name in others], axis=-1)
        if others
        else np.zeros((len(times), 0))
        for field in FIELDS
    }
    return _measured(times, others, {field: values[:, None] for field, values in own.items()}, them, friction, brakes)


def _columns(rows: Any, part: BoolArray) -> dict[str, FloatArray]:
    order = np.argsort(np.asarray(rows["t"], np.float64)[part], kind="stable")
    return {field: np.asarray(rows[field], np.float64)[part][order] for field in FIELDS}


def _measured(
    t: FloatArray,
    others: tuple[str, ...],
    own: Mapping[str, FloatArray],
    them: Mapping[str, FloatArray],
    friction: float,
    brakes: float,
) -> Encounters:
    a = Rectangle(own["x"], own["y"], own["yaw"], own["length"], own["width"])
    b = Rectangle(them["x"], them["y"], them["yaw"], them["length"], them["width"])
    c, s = np.cos(own["yaw"]), np.sin(own["yaw"])
    dx, dy = them["x"] - own["x"], them["y"] - own["y"]
    along, across = dx * c + dy * s, dy * c - dx * s
    tilt = them["yaw"] - own["yaw"]
    long = np.abs(np.cos(tilt)) * them["length"] + np.abs(np.sin(tilt)) * them["width"]
    wide = np.abs(np.sin(tilt)) * them["length"] + np.abs(np.cos(tilt)) * them["width"]
    ahead = along > 0.0
    gap = np.where(ahead, along - 0.5 * (own["length"] + long), np.nan)
    side = np.abs(across) - 0.5 * (own["width"] + wide)
    follows = ahead & (side < 0.0)
    speed, pace = own["vx"] * c + own["vy"] * s, them["vx"] * c + them["vy"] * s
    drift = (them["vy"] - own["vy"]) * c - (them["vx"] - own["vx"]) * s
    slows = them["acceleration"] * np.cos(tilt)
    before = np.where(follows, gap, np.inf)
    ttc = time_to_collision_2d(a, b, (own["vx"], own["vy"]), (them["vx"], them["vy"]))
    required = required_deceleration(before, speed, pace, slows)
    lateral = required_lateral_acceleration(ttc, across, own["width"] + wide, drift)
    can_brake = available_acceleration(friction, limit=brakes)
    inward = np.where(across >= 0.0, -1.0, 1.0) * drift
    margin = rss_margin(
        np.where(ahead, gap, np.inf),
        rss_longitudinal_distance(np.maximum(speed, 0.0), np.maximum(pace, 0.0)),
        np.maximum(side, 0.0),
        rss_lateral_distance(0.0, -inward),
    )
    return Encounters(
        t=t, others=others, distance=oriented_gap(a, b), gap=gap, lateral_gap=side, ttc=ttc,
        mttc=modified_time_to_collision(before, speed, pace, own["acceleration"], slows),
        thw=time_headway(before, speed), drac=deceleration_rate_to_avoid_crash(before, speed - pace),
        required=required, required_lateral=lateral, btn=brake_threat_number(required, can_brake),
        stn=steer_threat_number(lateral, friction * GRAVITY), rss_margin=margin, shared=_shared(own, them),
    )  # fmt: skip


def _shared(own: Mapping[str, FloatArray], them: Mapping[str, FloatArray]) -> BoolArray:
    """Return where the actor (second axis) and the others (first axis) use the same place, at any times."""

    def box(of: Mapping[str, FloatArray], i: int, shape: tuple[int, int]) -> Rectangle:
        return Rectangle(*(of[field][:, i].reshape(shape) for field in ("x", "y", "yaw", "length", "width")))

    found: list[AnyArray] = []
    for i in range(them["x"].shape[1]):
        one, two = box(own, 0, (-1, 1)), box(them, i, (1, -1))
        found.append(oriented_gap(one, two) <= 0.0)
    n = len(own["x"])
    return np.stack(found) if found else np.zeros((0, n, n), np.bool_)
