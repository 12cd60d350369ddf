"""The charts of an animation: how near, how soon, how fast, how hard, over the time of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mischance.api.geometry import oriented_gap, time_to_collision_2d
from mischance.api.tables import AnyArray, BoolArray, FloatArray
from mischance.reports.replay.model import Body, Contact, Series
from mischance.reports.replay.tracks import Track

GRAVITY = 9.80665  # standard gravity [m/s2]
TTC_SHOWN = 10.0  # longer times to collision are off the chart [s]
TTC_DANGER = 2.0  # a level to compare with: below it little is left for reaction and braking [s]
RISES = 0.5  # who goes up and down by more than that moves in three dimensions [m]
SIGNALS = 4  # charts of a world's own signals
BEYOND = 50.0  # in the last moments before a contact the braking that is needed grows without bound [m/s2]
IMPACT = 0.15  # accelerations so near a contact are no part of the scale [s]


def series(
    t: FloatArray, placed: Sequence[Track], bodies: Sequence[Body], partner: int, contacts: Sequence[Contact],
    friction: FloatArray | None,
) -> tuple[Series, ...]:  # fmt: skip
    """Return the charts: gap and TTC to the nearest, speed, acceleration, and height where bodies move in 3-D.

    Args:
        t: the clock of the view; shape (n,) [s].
        placed: everybody on it, the first being the subject.
        bodies: the same, as they are drawn.
        partner: whose curves stand beside the subject's; 0 for nobody.
        contacts: who touched whom.
        friction: of the ground below the subject; shape (n,); None where nobody says.
    """
    subject, others = placed[0], placed[1:]
    shown = [0, partner] if partner else [0]
    found = []
    touched = min((contact.t for contact in contacts if subject.name in contact.bodies), default=np.inf)
    spatial = any(map(_spatial, placed))
    brakes = np.isfinite(subject.look.braking)
    soonest = [] if spatial else [_ttc(subject, other) for other in others]
    if others:
        gap = _least([nearness(subject, other) for other in others])
        about = "free distance in space" if spatial else "distance of the outlines"
        found.append(_chart("gap", "m", (("to the nearest", "subject", gap),), ((0.0, ""),), about=about, floor=0.0))
    if soonest:
        ttc = _least(soonest)
        ttc = np.where((t > touched + 1e-6) | (ttc > TTC_SHOWN), np.nan, ttc)
        about = "until they meet if velocities stay"
        level = ((TTC_DANGER, f"{TTC_DANGER:g} s"),)
        high = min(TTC_SHOWN, max(2.0 * TTC_DANGER, 1.1 * float(np.fmax.reduce(ttc, initial=0.0))))
        if brakes or np.isfinite(ttc).any():
            found.append(Series("TTC", "s", (("with the nearest", "subject", ttc),), level, 0.0, high, about))
    lines = [(bodies[i].name, bodies[i].role, bodies[i].speed) for i in shown]
    found.append(_chart("speed", "m/s", lines, (), floor=0.0))
    found.append(_accelerations(t, placed, bodies, shown, contacts, friction, soonest if brakes else []))
    if spatial:
        lines = [(bodies[i].name, bodies[i].role, placed[i].z) for i in shown]
        found.append(_chart("height", "m", lines, ()))
    return tuple(found)


def _accelerations(
    t: FloatArray, placed: Sequence[Track], bodies: Sequence[Body], shown: Sequence[int],
    contacts: Sequence[Contact], friction: FloatArray | None, soonest: Sequence[FloatArray],
) -> Series:  # fmt: skip
    """Return how hard they brake and, of a subject that has brakes, how hard it could and would have to."""
    limits: list[tuple[float, str]] = []
    lines = [(bodies[i].name, bodies[i].role, bodies[i].acceleration) for i in shown]
    calm = np.ones(len(t), np.bool_)
    for contact in contacts:
        calm &= np.abs(t - contact.t) > IMPACT
    about = "" if calm.all() else "impacts run off the scale"
    strongest = placed[0].look.braking
    if not np.isfinite(strongest):
        return _chart("acceleration", "m/s²", lines, limits, about=about, of=calm)
    steady = friction is not None and float(np.ptp(friction)) < 1e-9
    grip = None if friction is None else friction * GRAVITY
    if grip is not None and steady and grip[0] <= strongest:
        limits.append((-float(grip[0]), f"−{grip[0]:.1f} grip limit, friction {grip[0] / GRAVITY:.2g}"))
    else:
        limits.append((-strongest, f"−{strongest:.1f} what its brakes can give"))
        if grip is not None and not steady:
            lines.append(("grip limit", "limit", -grip))
    row = _chart("acceleration", "m/s²", lines, limits, about=about, of=calm)
    if soonest:
        touched = min((contact.t for contact in contacts if bodies[0].name in contact.bodies), default=np.inf)
        need = _needed(placed[0], placed[1:], soonest)
        need = np.where((need > 0.0) & (need <= BEYOND) & (t <= touched + 1e-6), -need, np.nan)
        if np.isfinite(need).any():  # a little room below the limits shows that it went beyond them
            least = max(level for level, _ in limits)
            low = min(row.low, 1.35 * least) if np.nanmin(need) < least else row.low
            row = replace(row, low=low, lines=(*row.lines, ("needed", "need", need)))
    return row


def _needed(subject: Track, others: Sequence[Track], soonest: Sequence[FloatArray]) -> FloatArray:
    """Return the constant deceleration that would keep the subject from meeting anybody it is on course to [m/s2].

    That is closing speed² / (2 way), with the way that closes until the outlines meet, along the subject's own motion;
    the others keep their velocities. 0 where nobody is on its course.
    """
    pace = np.sqrt(subject.vx**2 + subject.vy**2)
    safe = np.where(pace > 0.0, pace, 1.0)
    most = np.zeros(len(subject.t))
    for other, ttc in zip(others, soonest, strict=True):
        closing = pace - (other.vx * subject.vx + other.vy * subject.vy) / safe
        meets = np.isfinite(ttc) & (ttc > 0.0) & (closing > 0.0)
        need = np.where(meets, 0.5 * closing / np.where(meets, ttc, 1.0), 0.0)  # the way is closing * ttc
        most = np.where(need > most, need, most)
    return most


def stored(
    tables: Sequence[tuple[Mapping[str, AnyArray], Sequence[str]]], units: Mapping[str, str], t: FloatArray
) -> tuple[Series, ...]:
    """Return charts of a world's own signals, those of one unit together.

    Args:
        tables: (columns, names of those to show) each; the first that has numbers which change is shown.
        units: unit of each column.
        t: the clock of the view; shape (n,) [s].
    """
    for table, names in tables:
        alike: dict[str, list[tuple[str, str, FloatArray]]] = {}
        for name in names:
            values = table[name].astype(np.float64)
            known = values[np.isfinite(values)]
            if not len(known) or np.ptp(known) == 0.0:
                continue
            lines = alike.setdefault(units.get(name) or name, [])  # those without a unit have a chart each
            role = ("subject", "partner", "other")[min(len(lines), 2)]
            lines.append((name.replace("_", " "), role, np.interp(t, table["t"], values)))
        if alike:
            rows = list(alike.items())[:SIGNALS]
            return tuple(
                _chart("" if len(lines) > 1 else lines[0][0], unit if unit not in table else "", lines, ())
                for unit, lines in rows
            )
    return ()


def _least(values: Sequence[FloatArray]) -> FloatArray:
    """Return the smallest known value at each time; NaN where none is known."""
    filled = np.stack([np.where(np.isnan(value), np.inf, value) for value in values]).min(axis=0)
    nobody = np.stack([np.isnan(value) for value in values]).all(axis=0)
    return np.where(nobody, np.nan, filled)


def _ttc(a: Track, b: Track) -> FloatArray:
    return _in_reach(a, b, time_to_collision_2d(a.box, b.box, (a.vx, a.vy), (b.vx, b.vy)))


def _in_reach(a: Track, b: Track, values: FloatArray) -> FloatArray:
    """Return values of two bodies; NaN where one of them is out of reach."""
    for track in (a, b):
        values = values if track.away is None else np.where(track.away, np.nan, values)
    return values


def _chart(
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
    """Return the free distance of two bodies [m]: of their outlines, or in space where they also move up and down.

    In space bodies are spheres of their lengths as diameters; what is round is so from above too.
    """
    reach = a.look.radius + b.look.radius
    if _spatial(a) or _spatial(b):
        apart = np.sqrt((a.x - b.x) ** 2 + (a.y - b.y) ** 2 + (a.z - b.z) ** 2) - reach
    elif a.look.shape != "box" and b.look.shape != "box":
        apart = np.hypot(a.x - b.x, a.y - b.y) - reach
    else:
        apart = oriented_gap(a.box, b.box)
    return _in_reach(a, b, np.asarray(apart, np.float64))


def _spatial(track: Track) -> bool:
    known = track.z[np.isfinite(track.z)]
    return bool(len(known) and (track.look.shape == "sphere" or np.ptp(known) > RISES))
