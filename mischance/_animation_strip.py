"""The strip below an animation: how near, how soon, how fast, how hard, over the time of the run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mischance._animation_parts import Body, Contact, Series
from mischance._animation_tables import Track
from mischance.criticality import FULL_BRAKING, GRAVITY, Rectangle, oriented_gap, time_to_collision_2d
from mischance.truth import BoolArray, FloatArray

TTC_SHOWN = 10.0  # longer times to collision are off the strip [s]
TTC_DANGER = 2.0  # UN R157, competent driver: dangerous below it (value unverified) [s]
IMPACT = 0.15  # accelerations so near a contact are no part of the scale [s]


def series(
    t: FloatArray, placed: Sequence[Track], bodies: Sequence[Body], partner: int, contacts: Sequence[Contact],
    friction: float | None,
) -> tuple[Series, ...]:  # fmt: skip
    """Return the rows of the strip: gap and TTC to the nearest, speed, acceleration, and height where they fly."""
    ego, others = placed[0], placed[1:]
    shown = [0, partner] if partner else [0]
    found = []
    touched = min((contact.t for contact in contacts if ego.name in contact.who), default=np.inf)
    flying = any(map(_flies, placed))
    if others:
        gap = _least([nearness(ego, other) for other in others])
        about = "distance of centres" if flying else "distance of the boxes"
        found.append(_row("gap", "m", (("to the nearest", "ego", gap),), ((0.0, ""),), about=about, floor=0.0))
    if others and not flying:
        ttc = _least([_ttc(ego, other) for other in others])
        ttc = np.where((t > touched + 1e-6) | (ttc > TTC_SHOWN), np.nan, ttc)
        about = "until the boxes meet if velocities stay"
        level = ((TTC_DANGER, f"{TTC_DANGER:g} s"),)
        high = min(TTC_SHOWN, max(2.0 * TTC_DANGER, 1.1 * float(np.fmax.reduce(ttc, initial=0.0))))
        found.append(Series("TTC", "s", (("with the nearest", "ego", ttc),), level, 0.0, high, about))
    lines = [(bodies[i].name, bodies[i].role, bodies[i].speed) for i in shown]
    found.append(_row("speed", "m/s", lines, (), floor=0.0))
    limits = []
    if bodies[0].kind in ("car", "truck", "van", "bus"):
        if friction:
            limits.append((-friction * GRAVITY, f"grip limit, friction {friction:g}"))
        limits.append((-FULL_BRAKING, "0.774 g, full braking of UN R157"))
    lines = [(bodies[i].name, bodies[i].role, bodies[i].acceleration) for i in shown]
    calm = np.ones(len(t), np.bool_)
    for contact in contacts:
        calm &= np.abs(t - contact.t) > IMPACT
    about = "" if calm.all() else "impacts run off the scale"
    found.append(_row("acceleration", "m/s²", lines, limits, about=about, of=calm))
    if flying:
        lines = [(bodies[i].name, bodies[i].role, placed[i].z) for i in shown]
        found.append(_row("height", "m", lines, ()))
    return tuple(found)


def _least(values: Sequence[FloatArray]) -> FloatArray:
    """Return the smallest known value at each time; NaN where none is known."""
    filled = np.stack([np.where(np.isnan(value), np.inf, value) for value in values]).min(axis=0)
    nobody = np.stack([np.isnan(value) for value in values]).all(axis=0)
    return np.where(nobody, np.nan, filled)


def _ttc(a: Track, b: Track) -> FloatArray:
    return time_to_collision_2d(_box(a), _box(b), (a.vx, a.vy), (b.vx, b.vy))


def _row(
    name: str, unit: str, lines: Sequence[tuple[str, str, FloatArray]], limits: Sequence[tuple[float, str]],
    *, about: str = "", floor: float | None = None, of: BoolArray | None = None,
) -> Series:  # fmt: skip
    shown = [values if of is None else values[of] for _, _, values in lines]
    known = np.concatenate([values[np.isfinite(values)] for values in shown] + [np.zeros(1)])
    low, high = float(known.min()), float(known.max())
    low, high = min(low, *(level for level, _ in limits), low), max(high, *(level for level, _ in limits), high)
    room = 0.06 * ((high - low) or 1.0)
    return Series(
        name,
        unit,
        tuple(lines),
        tuple(limits),
        low - room if floor is None or low < floor else floor - 0.5 * room,
        high + room,
        about,
    )


def nearness(a: Track, b: Track) -> FloatArray:
    """Return the distance of two bodies [m]: of their boxes, or of their centres where they also move up and down."""
    if _flies(a) or _flies(b):
        return np.asarray(np.sqrt((a.x - b.x) ** 2 + (a.y - b.y) ** 2 + (a.z - b.z) ** 2), np.float64)
    return oriented_gap(_box(a), _box(b))


def _flies(track: Track) -> bool:
    known = track.z[np.isfinite(track.z)]
    return bool(len(known) and np.ptp(known) > 0.5)


def _box(track: Track) -> Rectangle:
    return Rectangle(track.x, track.y, track.yaw, track.length, track.width)
