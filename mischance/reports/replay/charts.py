"""The strip below an animation: how near, how soon, how fast, how hard, over the time of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mischance.api.tables import AnyArray, BoolArray, FloatArray
from mischance.driving.criticality import (
    FULL_BRAKING,
    GRAVITY,
    Rectangle,
    deceleration_rate_to_avoid_crash,
    oriented_gap,
    time_to_collision_2d,
)
from mischance.reports.replay.model import Body, Contact, Series
from mischance.reports.replay.outlines import VEHICLES
from mischance.reports.replay.tracks import Track

TTC_SHOWN = 10.0  # longer times to collision are off the strip [s]
TTC_DANGER = 2.0  # UN R157, competent driver: dangerous below it (value unverified) [s]
FLYING = ("drone", "bird")  # at one height they pass above one another too
SIGNALS = 4  # rows of a world's own signals
BEYOND = 50.0  # in the last moments before a contact the braking that is needed grows without bound [m/s2]
IMPACT = 0.15  # accelerations so near a contact are no part of the scale [s]


def series(
    t: FloatArray, placed: Sequence[Track], bodies: Sequence[Body], partner: int, contacts: Sequence[Contact],
    friction: FloatArray | None,
) -> tuple[Series, ...]:  # fmt: skip
    """Return the rows of the strip: gap and TTC to the nearest, speed, acceleration, and height where they fly.

    Args:
        t: the story's clock; shape (n,) [s].
        placed: everybody on it, the first being the one that the run is about.
        bodies: the same, as they are drawn.
        partner: whose lines stand beside the first one's; 0 for nobody.
        contacts: who touched whom.
        friction: of tyre and road where the first one is; shape (n,); None where nobody says.
    """
    ego, others = placed[0], placed[1:]
    shown = [0, partner] if partner else [0]
    found = []
    touched = min((contact.t for contact in contacts if ego.name in contact.who), default=np.inf)
    flying = any(map(_flies, placed))
    driven = bodies[0].kind in VEHICLES
    soonest = [_ttc(ego, other) for other in others] if not flying else []
    if others:
        gap = _least([nearness(ego, other) for other in others])
        about = "distance of centres" if flying else "distance of the outlines"
        found.append(_row("gap", "m", (("to the nearest", "ego", gap),), ((0.0, ""),), about=about, floor=0.0))
    if soonest:
        ttc = _least(soonest)
        ttc = np.where((t > touched + 1e-6) | (ttc > TTC_SHOWN), np.nan, ttc)
        about = "until they meet if velocities stay"
        level = ((TTC_DANGER, f"{TTC_DANGER:g} s"),)
        high = min(TTC_SHOWN, max(2.0 * TTC_DANGER, 1.1 * float(np.fmax.reduce(ttc, initial=0.0))))
        if driven or np.isfinite(ttc).any():
            found.append(Series("TTC", "s", (("with the nearest", "ego", ttc),), level, 0.0, high, about))
    lines = [(bodies[i].name, bodies[i].role, bodies[i].speed) for i in shown]
    found.append(_row("speed", "m/s", lines, (), floor=0.0))
    found.append(_accelerations(t, placed, bodies, shown, contacts, friction, soonest if driven else []))
    if flying:
        lines = [(bodies[i].name, bodies[i].role, placed[i].z) for i in shown]
        found.append(_row("height", "m", lines, ()))
    return tuple(found)


def _accelerations(
    t: FloatArray, placed: Sequence[Track], bodies: Sequence[Body], shown: Sequence[int],
    contacts: Sequence[Contact], friction: FloatArray | None, soonest: Sequence[FloatArray],
) -> Series:  # fmt: skip
    """Return how hard they brake and, of a vehicle, how hard it would have to."""
    limits: list[tuple[float, str]] = []
    lines = [(bodies[i].name, bodies[i].role, bodies[i].acceleration) for i in shown]
    calm = np.ones(len(t), np.bool_)
    for contact in contacts:
        calm &= np.abs(t - contact.t) > IMPACT
    about = "" if calm.all() else "impacts run off the scale"
    if bodies[0].kind not in VEHICLES:
        return _row("acceleration", "m/s²", lines, limits, about=about, of=calm)
    limits.append((-FULL_BRAKING, "−7.6 full braking of UN R157, 0.774 g"))
    grip = None if friction is None else -friction * GRAVITY
    if grip is not None and np.ptp(grip) < 1e-9:
        words = f"−{-float(grip[0]):.1f} grip limit, friction {float(grip[0]) / -GRAVITY:.2g}"
        limits.insert(0, (float(grip[0]), words))
    elif grip is not None:
        lines.append(("grip limit", "limit", grip))
    row = _row("acceleration", "m/s²", lines, limits, about=about, of=calm)
    if soonest:
        touched = min((contact.t for contact in contacts if bodies[0].name in contact.who), default=np.inf)
        need = _needed(placed[0], placed[1:], soonest)
        need = np.where((need > 0.0) & (need <= BEYOND) & (t <= touched + 1e-6), -need, np.nan)
        if np.isfinite(need).any():  # a little room below the limits shows that it went beyond them
            low = min(row.low, -1.35 * FULL_BRAKING) if np.nanmin(need) < -FULL_BRAKING else row.low
            row = replace(row, low=low, lines=(*row.lines, ("needed", "need", need)))
    return row


def _needed(ego: Track, others: Sequence[Track], soonest: Sequence[FloatArray]) -> FloatArray:
    """Return the constant braking that would keep the first one from meeting anybody that it is on course to [m/s2].

    DRAC with the way that closes until the outlines meet, along the first one's own motion; the others keep their
    velocities. 0 where nobody is on its course.
    """
    pace = np.sqrt(ego.vx**2 + ego.vy**2)
    safe = np.where(pace > 0.0, pace, 1.0)
    most = np.zeros(len(ego.t))
    for other, ttc in zip(others, soonest, strict=True):
        closing = pace - (other.vx * ego.vx + other.vy * ego.vy) / safe
        meets = np.isfinite(ttc) & (ttc > 0.0) & (closing > 0.0)
        way = np.where(meets, closing * np.where(meets, ttc, 1.0), 1.0)
        need = deceleration_rate_to_avoid_crash(way, np.where(meets, closing, 0.0))
        most = np.where(need > most, need, most)
    return most


def stored(tables: Sequence[Mapping[str, AnyArray]], facts: Mapping[str, str], t: FloatArray) -> tuple[Series, ...]:
    """Return rows of a world's own signals: numbers over time that belong to nobody, those of one unit together.

    Args:
        tables: candidates; the first that has such numbers is shown.
        facts: unit of each column.
        t: the story's clock; shape (n,) [s].
    """
    for table in tables:
        units: dict[str, list[tuple[str, str, FloatArray]]] = {}
        for name, values in table.items():
            if name in ("run", "t") or values.dtype.kind not in "if" or not np.isfinite(values).any():
                continue
            if np.ptp(values[np.isfinite(values)]) == 0.0:
                continue
            lines = units.setdefault(facts.get(name) or name, [])  # those without a unit have a row each
            role = ("ego", "partner", "other")[min(len(lines), 2)]
            lines.append((name.replace("_", " "), role, np.interp(t, table["t"], values.astype(np.float64))))
        if units:
            rows = list(units.items())[:SIGNALS]
            return tuple(
                _row("" if len(lines) > 1 else lines[0][0], unit if unit != lines[0][0] else "", lines, ())
                for unit, lines in rows
            )
    return ()


def _least(values: Sequence[FloatArray]) -> FloatArray:
    """Return the smallest known value at each time; NaN where none is known."""
    filled = np.stack([np.where(np.isnan(value), np.inf, value) for value in values]).min(axis=0)
    nobody = np.stack([np.isnan(value) for value in values]).all(axis=0)
    return np.where(nobody, np.nan, filled)


def _ttc(a: Track, b: Track) -> FloatArray:
    return _met(a, b, time_to_collision_2d(_box(a), _box(b), (a.vx, a.vy), (b.vx, b.vy)))


def _met(a: Track, b: Track, values: FloatArray) -> FloatArray:
    """Return values of two bodies; NaN where one of them is where nobody can meet it."""
    for track in (a, b):
        values = values if track.away is None else np.where(track.away, np.nan, values)
    return values


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
    return _met(a, b, oriented_gap(_box(a), _box(b)))


def _flies(track: Track) -> bool:
    known = track.z[np.isfinite(track.z)]
    return bool(len(known) and (track.kind in FLYING or np.ptp(known) > 0.5))


def _box(track: Track) -> Rectangle:
    return Rectangle(track.x, track.y, track.yaw, track.length, track.width)
