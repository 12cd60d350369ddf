"""Contacts in a run: where and when, what they did, and how bodies moved through them between two samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mischance.api.tables import AnyArray, FloatArray
from mischance.reports.replay.captions import details_of
from mischance.reports.replay.model import Contact
from mischance.reports.replay.tracks import Track

CLOSE = 0.06  # a stored place belongs to an event no farther away than this [s]


class Jump(NamedTuple):
    """What a contact did to the motion of a body: change of velocity [m/s] and of yaw rate [rad/s]."""

    t: float
    vx: float
    vy: float
    rate: float


def velocity_jumps(hits: Mapping[str, AnyArray]) -> dict[str, list[Jump]]:
    """Return when each body was in a contact and how that changed its motion, by name; NaN where it is not stored."""
    found: dict[str, list[Jump]] = {}
    if not (hits and {"a", "b"} <= set(hits)):
        return found
    order = np.argsort(hits["t"], kind="stable").tolist()
    for one in "ab":
        names = [f"delta_v_{one}_x", f"delta_v_{one}_y", f"delta_yaw_rate_{one}"]
        changes = [hits[name] if name in hits else np.full(len(hits["t"]), np.nan) for name in names]
        for i in order:
            jump = Jump(float(hits["t"][i]), *(float(change[i]) for change in changes))
            found.setdefault(str(hits[one][i]), []).append(jump)
    return {name: sorted(jumps) for name, jumps in found.items()}


def with_contacts(track: Track, jumps: Sequence[Jump]) -> Track:
    """Return a track with a sample at each contact between two of its own.

    Until the contact the body goes on as the sample before says, from then on with what the contact made of it. A
    straight line between the samples on both sides would round the corner, and show cars that meet at a distance.
    """
    if len(track.t) < 2:
        return track
    turning = np.diff(track.yaw) / np.diff(track.t)
    rows: list[tuple[float, ...]] = []
    last, state = -1, (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    for jump in jumps:
        i = int(np.searchsorted(track.t, jump.t, side="right")) - 1
        if not 0 <= i < len(track.t) - 1 or track.t[i + 1] - jump.t < 1e-9:
            continue
        if i != last:  # its own slope of yaw would look past the contact
            vx, vy = float(track.vx[i]), float(track.vy[i])
            pace = float(np.hypot(vx, vy))
            gain = float(track.acceleration[i] * np.sign(track.speed[i])) / pace if pace > 0.0 else 0.0
            state = (
                float(track.t[i]),
                float(track.x[i]),
                float(track.y[i]),
                float(track.yaw[i]),
                vx,
                vy,
                float(turning[max(i - 1, 0)]),
            )
        else:
            gain = 0.0
        last = i
        t, x, y, yaw, vx, vy, rate = state
        ago = jump.t - t
        grown = 1.0 + 0.5 * gain * ago
        x, y, yaw, vx, vy = (
            x + vx * ago * grown,
            y + vy * ago * grown,
            yaw + rate * ago,
            vx * (1.0 + gain * ago),
            vy * (1.0 + gain * ago),
        )
        rows.append((jump.t, x, y, yaw, vx, vy, float(track.z[i]), float(track.acceleration[i])))
        if np.isfinite(jump.vx + jump.vy + jump.rate):
            vx, vy, rate = vx + jump.vx, vy + jump.vy, rate + jump.rate
        rows.append((jump.t + 1e-6, x, y, yaw, vx, vy, float(track.z[i]), float(track.acceleration[i])))
        state = (jump.t, x, y, yaw, vx, vy, rate)
    if not rows:
        return track
    t, x, y, yaw, vx, vy, z, acceleration = np.array(rows).T
    places = np.clip(np.searchsorted(track.t, t, side="right") - 1, 0, len(track.t) - 1)
    backwards = np.where((track.speed[places] < 0.0) & (t <= jumps[0].t), -1.0, 1.0)
    order = np.argsort(np.concatenate([track.t, t]), kind="stable")

    def among(values: FloatArray, new: FloatArray) -> FloatArray:
        return np.asarray(np.concatenate([values, new])[order], np.float64)

    return replace(
        track, t=among(track.t, t), x=among(track.x, x), y=among(track.y, y), z=among(track.z, z),
        yaw=among(track.yaw, yaw), speed=among(track.speed, backwards * np.hypot(vx, vy)),
        acceleration=among(track.acceleration, acceleration), vx=among(track.vx, vx), vy=among(track.vy, vy),
    )  # fmt: skip


def contacts_of(
    hits: Mapping[str, AnyArray], events: Mapping[str, AnyArray], t: FloatArray, placed: Sequence[Track]
) -> tuple[Contact, ...]:
    """Return a run's contacts in order of time, from the table of contacts or else from its events."""
    found = []
    if hits and {"a", "b", "x", "y"} <= set(hits):
        ids = hits["event_id"] if "event_id" in hits else np.arange(len(hits["t"]))
        _, firsts = np.unique(ids.astype(str), return_index=True)  # leaning on each other: the same contact goes on
        for i in np.sort(firsts).tolist():
            pair = (str(hits["a"][i]), str(hits["b"][i]))
            normal, impulse = _pair(hits, "normal", i), _pair(hits, "impulse", i)
            place = (float(hits["t"][i]), float(hits["x"][i]), float(hits["y"][i]))
            found.append(Contact(*place, pair, normal, impulse, _contact_words(hits, i, pair)))
        return tuple(found)
    by_name = {track.name: track for track in placed}
    for i in np.flatnonzero(events["kind"] == "contact").tolist() if events else ():
        details, when = details_of(events["details"][i]), float(events["t"][i])
        names = tuple(name for name in (str(events["subject"][i]), str(details.get("with", ""))) if name in by_name)
        if hits and len(hits["t"]) and {"x", "y"} <= set(hits):  # the place is stored, in a table of another make
            k = int(np.argmin(np.abs(hits["t"] - when)))
            if abs(float(hits["t"][k]) - when) < CLOSE:
                found.append(Contact(when, float(hits["x"][k]), float(hits["y"][k]), names))
                continue
        if names:
            x, y = (
                float(np.mean([np.interp(when, t, getattr(by_name[name], axis)) for name in names])) for axis in "xy"
            )
            found.append(Contact(when, x, y, names))
    return tuple(found)


def _pair(hits: Mapping[str, AnyArray], name: str, i: int) -> tuple[float, float] | None:
    if not {f"{name}_x", f"{name}_y"} <= set(hits):
        return None
    x, y = float(hits[f"{name}_x"][i]), float(hits[f"{name}_y"][i])
    return (x, y) if np.isfinite(x + y) else None


def _contact_words(hits: Mapping[str, AnyArray], i: int, pair: tuple[str, str]) -> tuple[str, ...]:
    """Return what a contact did, in short lines."""

    def number(name: str) -> float:
        return float(hits[name][i]) if name in hits else float("nan")

    found = []
    closing, impulse = number("closing_speed"), number("impulse")
    if np.isfinite(closing):
        found.append(f"closing at {closing:.1f} m/s")
    if np.isfinite(impulse):
        found.append(f"impulse {impulse / 1000.0:.3g} kN s" if impulse >= 1000.0 else f"impulse {impulse:.3g} N s")
    changes = [(name, number(f"delta_v_{one}")) for name, one in zip(pair, "ab", strict=True)]
    found += [f"Δv of {name} {change:.1f} m/s" for name, change in changes if np.isfinite(change)]
    return tuple(found)


def contact_times(hits: Mapping[str, AnyArray], events: Mapping[str, AnyArray]) -> FloatArray:
    """Return the distinct times of contacts, from the table or else from events, in order; shape (n,) [s]."""
    if hits and len(hits["t"]):
        return np.unique(hits["t"].astype(np.float64))
    if not events:
        return np.zeros(0)
    return np.unique(events["t"][events["kind"] == "contact"].astype(np.float64))
