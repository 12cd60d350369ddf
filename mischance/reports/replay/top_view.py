"""The picture from above, drawn with OpenCV: for every frame of a film, and for the panels of a preview."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import cv2
import numpy as np

from mischance.api import appearance
from mischance.api.appearance import LINE_KINDS, SURFACES
from mischance.api.tables import AnyArray, FloatArray
from mischance.reports.canvas import round_ticks
from mischance.reports.replay.model import Body, Contact, RunView
from mischance.reports.replay.outlines import BRAKING, SMALL, VEHICLES
from mischance.reports.replay.planned_paths import ahead
from mischance.reports.replay.style import (
    AREAS,
    ASPHALT,
    BRAKE,
    EVENT,
    FAINT,
    FENCE,
    GLAZED,
    GRID,
    GROUND,
    INK,
    PAINTS,
    PAPER,
    ROLES,
    SHIFT,
    arrow,
    cross,
    dashes,
    dotted,
    fill,
    fine,
    fine_all,
    glaze,
    line,
    mixed,
    plate,
    width,
    write,
)

LANE, AISLE = LINE_KINDS[appearance.LANE], LINE_KINDS[appearance.AISLE]
BARRIERS = ("wall", "fence")
_FLASH = 0.45  # how long a contact flashes [s]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class View:
    """What of the world is seen: the place in the middle [m], the scale [px/m], and the size of the picture [px]."""

    centre: FloatArray
    scale: float
    width: int
    height: int

    def place(self, x: FloatArray | float, y: FloatArray | float) -> FloatArray:
        """Return points of the picture; shape (..., 2)."""
        across = self.width / 2 + (np.asarray(x, np.float64) - self.centre[0]) * self.scale
        return np.stack([across, self.height / 2 - (np.asarray(y, np.float64) - self.centre[1]) * self.scale], axis=-1)


# -- where to look -----------------------------------------------------------------------------------------------


def surfaced(run: RunView) -> bool:
    """Return whether bodies move on lanes, aisles or other floor."""
    return any(one.kind in SURFACES for one in run.ground)


def endless(run: RunView) -> bool:
    """Return whether there are lanes: along a road the subject is followed, a floor with an end is seen whole."""
    return any(one.kind == LANE for one in run.ground)


def usual_view(run: RunView) -> str:
    """Return what is shown at first, as on the page.

    On lanes the subject and who comes nearest; elsewhere the whole run, or everybody where bodies would be dots.
    """
    low, high = extent(run)
    if endless(run):
        return "pair" if any(body.role == "partner" for body in run.bodies) else "follow"
    if (
        surfaced(run)
        or any(not body.named for body in run.bodies)
        or (high - low).max() <= 25.0 * max(body.length for body in run.bodies)
    ):
        return "run"
    return "all" if len(run.bodies) > 1 else "follow"


def view(run: RunView, mode: str, now: float, wide: int, tall: int, margin: float = 60.0) -> View:
    """Return the view of a moment: `pair`, `follow`, `all` or `run`."""
    subject = run.bodies[0]
    most = 60.0 / min(subject.width, 1.0)
    if mode in ("all", "run"):
        low, high = extent(run, now if mode == "all" else None)
        return View(0.5 * (low + high), min(_fit(high - low, wide, tall, margin), most), wide, tall)
    place = _somewhere(run.t, subject, now)
    if mode == "follow":
        scale = min(wide / max(15.0 * subject.length, 12.0 * subject.width, 4.0), tall / (5.0 * subject.length))
        yaw = value(run.t, subject.yaw, now)
        turn = np.array([np.cos(yaw) * wide, np.sin(yaw) * tall]) if np.isfinite(yaw) else np.zeros(2)
        return View(place + (0.2 / scale * turn if run.ground else 0.0), scale, wide, tall)
    partner = next((body for body in run.bodies if body.role == "partner"), subject)
    both = np.stack([place, _somewhere(run.t, partner, now)])
    room = 1.2 * subject.length
    low, high = both.min(axis=0) - room, both.max(axis=0) + room
    least, largest = 7.0 / subject.width, min(wide / (8.0 * subject.length), tall / (3.4 * subject.length))
    scale = min(max(_fit(high - low, wide, tall, 0.5 * margin), least), largest)
    half = np.array([wide / 2 - 90.0, tall / 2 - 60.0]) / scale
    return View(np.clip(0.5 * (low + high), place - half, place + half), scale, wide, tall)


def _fit(size: FloatArray, wide: int, tall: int, margin: float) -> float:
    return min((wide - 2.0 * margin) / max(float(size[0]), 1e-6), (tall - 2.0 * margin) / max(float(size[1]), 1e-6))


def extent(run: RunView, now: float | None = None) -> tuple[FloatArray, FloatArray]:
    """Return the least and the largest x, y of all bodies [m], over the run or, with some room, at a time."""
    spots = []
    for body in run.bodies:
        places = np.stack([body.x, body.y], axis=1) if now is None else pose(run.t, body, now)[None, :2]
        reach = 0.5 * float(np.hypot(body.length, body.width)) + (0.0 if now is None else 2.0 * body.width)
        spots += [places[np.isfinite(places).all(axis=1)] + side * reach for side in (-1.0, 1.0)]
    if now is None and any(one.kind == AISLE for one in run.ground):  # a hall has an end and is seen whole
        spots += [one.points for one in run.ground if one.kind in SURFACES]
    every = np.concatenate(spots)
    return (every.min(axis=0), every.max(axis=0)) if len(every) else (np.zeros(2), np.ones(2))


def _somewhere(t: FloatArray, body: Body, now: float) -> FloatArray:
    """Return where a body is, or was first or last."""
    seen = np.isfinite(body.x) & np.isfinite(body.y)
    if not seen.any():
        return np.zeros(2)
    return np.array([np.interp(now, t[seen], values[seen]) for values in (body.x, body.y)])


def value(t: FloatArray, values: FloatArray, now: float) -> float:
    """Return a value between two samples; NaN next to an unknown one."""
    i = int(np.clip(np.searchsorted(t, now + 1e-9, side="right") - 1, 0, len(t) - 1))
    j = min(i + 1, len(t) - 1)
    if i == j or t[i] == now:
        return float(values[i])
    return float(values[i] + (values[j] - values[i]) * (now - t[i]) / (t[j] - t[i]))


def pose(t: FloatArray, body: Body, now: float) -> FloatArray:
    """Return x, y [m] and yaw [rad] of a body; NaN where it is not there."""
    return np.array([value(t, values, now) for values in (body.x, body.y, body.yaw)])


# -- what is drawn -----------------------------------------------------------------------------------------------


def ground(image: AnyArray, run: RunView, seen: View, k: int = 1) -> None:
    """Draw ground, roads and what lies on them; `k`: thickness of lines [px]."""
    image[:] = GROUND
    half = 0.5 * np.array([seen.width, seen.height]) / seen.scale
    ticks = round_ticks(seen.centre[0] - half[0], seen.centre[0] + half[0], 12)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    for x in ticks:
        column = round(float(seen.place(x, 0.0)[0]))
        cv2.line(image, (column, 0), (column, seen.height), GRID, 1)
    for y in np.arange(np.ceil((seen.centre[1] - half[1]) / step), (seen.centre[1] + half[1]) / step).tolist():
        row = round(float(seen.place(0.0, y * step)[1]))
        cv2.line(image, (0, row), (seen.width, row), GRID, 1)
    for one in run.ground:
        if one.kind in GLAZED:
            glaze(image, seen.place(*one.points.T), AREAS[one.kind], 0.6, strip=True)
        elif one.kind in AREAS:
            fill(image, seen.place(*one.points.T), AREAS[one.kind])
    reach = float(half.max()) * 2.0 + 20.0
    for one in run.ground:
        if one.kind in AREAS:
            continue
        thick = max(k, round(one.width * seen.scale))
        ink = FENCE if one.kind in BARRIERS else PAPER
        if one.kind == "divider":
            for a, b in dashes(one.points, 6.0, 18.0):
                if np.abs(a - seen.centre).max() < reach:
                    line(image, seen.place(*np.stack([a, b]).T), ink, thick)
        else:
            line(image, seen.place(*one.points.T), ink, thick)


def planned_paths(image: AnyArray, run: RunView, seen: View, now: float, k: int = 1) -> None:
    """Draw where bodies mean to go at a time."""
    by_name = {body.name: body for body in run.bodies}
    for path in run.paths:
        body = by_name.get(path.body)
        if body is None or not path.start - 1e-9 <= now < path.end:
            continue
        x, y, _ = pose(run.t, body, now).tolist()
        speed = value(run.t, body.speed, now)
        if np.isfinite(x + y):
            room = 0.6 * max(body.length, abs(speed) if np.isfinite(speed) else 0.0)
            points = np.array(list(ahead(path.points, (x, y), room)))
            ink = mixed(ROLES[body.role], ASPHALT, 0.75 if body.role == "subject" else 0.45)
            dotted(image, seen.place(*points.T), ink, 2 * k, 3.0 * k, 5.0 * k)


def trails(image: AnyArray, run: RunView, seen: View, since: float, now: float, k: int = 1) -> None:
    """Draw where everybody went between two times."""
    for body in run.bodies:
        rows = np.flatnonzero((run.t >= since) & (run.t <= now) & np.isfinite(body.x))
        if len(rows) > 1 and body.named:
            ink = mixed(ROLES[body.role], ASPHALT, 0.5)
            line(image, seen.place(body.x[rows], body.y[rows]), ink, 2 * k)
    by_name = {body.name: body for body in run.bodies}
    for link in run.links:
        spots = np.array([pose(run.t, by_name[name], now)[:2] for name in link.bodies if name in by_name])
        if len(spots) == 2 and np.isfinite(spots).all():
            thick = max(3 * k, round(link.width * seen.scale))
            line(image, seen.place(*spots.T), mixed(ROLES["other"], GROUND, 0.5), thick)


def bodies(image: AnyArray, run: RunView, seen: View, now: float, k: int = 1, *, arrows: bool = True) -> list[Box]:
    """Draw all bodies at a time; return what they cover: left, top, right, bottom [px], in their order."""
    covered: list[Box] = []
    for body in run.bodies:
        at = pose(run.t, body, now)
        if np.isfinite(at).all():
            points = _outline(body, body.parts[0].points, at, seen, k)
            covered.append((*points.min(axis=0).tolist(), *points.max(axis=0).tolist()))
        else:
            covered.append((inf, inf, inf, inf))
    order = sorted(range(len(run.bodies)), key=lambda i: (run.bodies[i].kind in SMALL, -i))  # small ones on top
    for i in order:
        if covered[i][0] < inf:
            body = run.bodies[i]
            at = pose(run.t, body, now)
            if arrows:
                _motion(image, run, body, at, seen, now, k)
            _body(image, run, body, at, seen, now, k)
    return covered


def _outline(body: Body, points: FloatArray, at: FloatArray, seen: View, k: int) -> FloatArray:
    """Return a part's points in the picture; what would be too small to see is enlarged."""
    size = max(body.length, body.width) * seen.scale
    larger = max(1.0, (13.0 if body.kind in SMALL else 11.0 if body.round else 5.0) * k / size)
    turn = np.array([[np.cos(at[2]), np.sin(at[2])], [-np.sin(at[2]), np.cos(at[2])]])
    world = points[:, 0:1] * turn[0] + points[:, 1:2] * turn[1]
    return seen.place(*(at[:2] + larger * world).T)


def _body(image: AnyArray, run: RunView, body: Body, at: FloatArray, seen: View, now: float, k: int) -> None:
    touched = any(contact.t <= now + 1e-6 and body.name in contact.bodies for contact in run.contacts)
    braking = body.kind in VEHICLES and value(run.t, body.acceleration, now) < -BRAKING
    backwards = value(run.t, body.speed, now) < -0.05
    role = ROLES[body.role]
    simple = max(body.length, body.width) * seen.scale < 16 * k and body.kind not in SMALL
    for n, part in enumerate(body.parts[:1] if simple else body.parts):
        points = _outline(body, part.points, at, seen, k)
        if part.paint == "body":
            ink = role
        elif part.paint == "roof":
            ink = mixed(PAPER, role, 0.2)
        elif part.paint == "glass":
            ink = mixed(PAINTS["glass"], role, 0.72)
        elif part.paint == "tail" and (braking or backwards):
            ink = BRAKE if braking else PAPER
        else:
            ink = PAINTS[part.paint]
        fill(image, points, ink)
        if n == 0 or part.paint == "body":
            edge = EVENT if touched else PAPER
            cv2.polylines(image, [fine_all(points)], True, edge, 2 * k if touched else k, cv2.LINE_AA, SHIFT)


def _motion(image: AnyArray, run: RunView, body: Body, at: FloatArray, seen: View, now: float, k: int) -> None:
    """Draw half a second of the way that a body really goes: backwards too."""
    i = int(np.clip(np.searchsorted(run.t, now + 1e-9, side="right") - 1, 1, len(run.t) - 1))
    step = np.array([body.x[i] - body.x[i - 1], body.y[i] - body.y[i - 1]]) / (run.t[i] - run.t[i - 1])
    speed = float(np.hypot(*step))
    long = min(0.5 * speed * seen.scale, 90.0 * k)
    if not np.isfinite(speed) or speed < 0.3 or long < 7 * k:
        return
    u = step / speed
    along = abs(float(np.cos(at[2]) * u[0] + np.sin(at[2]) * u[1]))
    edge = (
        0.5 * body.length
        if body.round
        else 0.5 * (along * body.length + np.sqrt(max(0.0, 1.0 - along**2)) * body.width)
    )
    u = u * (1.0, -1.0)
    start = seen.place(at[0], at[1]) + u * (edge * seen.scale + 2 * k)
    arrow(image, start, start + u * long, ROLES[body.role], 2 * k)


def contacts(image: AnyArray, run: RunView, seen: View, now: float, k: int = 1, *, words: bool = True) -> list[Box]:
    """Draw the contacts up to a time, the last one with its normal, its push and its words; return what those cover.

    Without `words` there are crosses alone: in a small picture arrows would hide the bodies.
    """
    past = [contact for contact in run.contacts if contact.t <= now + 1e-6]
    first = first_contacts(run)
    hardest = max((float(np.hypot(*one.impulse)) for one in run.contacts if one.impulse), default=0.0) or 1.0
    for contact in past:
        point, age = seen.place(contact.x, contact.y), now - contact.t
        if age < _FLASH:
            cv2.circle(
                image, fine(point), round((8 + 46 * age / _FLASH) * k) << SHIFT, EVENT, 3 * k, cv2.LINE_AA, SHIFT
            )
        if words and contact is past[-1] and contact.normal is not None:
            normal = 34.0 * k * np.array([contact.normal[0], -contact.normal[1]])
            dotted(image, np.stack([point - normal, point + normal]), EVENT, k, 4.0 * k, 3.0 * k)
        if words and contact is past[-1] and contact.impulse is not None:
            push = np.array([contact.impulse[0], -contact.impulse[1]])
            size = float(np.hypot(*push))
            u = push / (size or 1.0)
            for ink, thick in ((PAPER, 4 * k), (EVENT, 2 * k)):
                for side in (1.0, -1.0):
                    long = (18.0 + 34.0 * np.sqrt(size / hardest)) * k
                    arrow(image, point + side * 5.0 * k * u, point + side * long * u, ink, thick)
        cross(image, point, 5.0 * k, PAPER, 4 * k)
        cross(image, point, 5.0 * k, EVENT if contact in first else FAINT, 2 * k)
    if not past or not words:
        return []
    last = past[-1]
    lines = [f"contact at {last.t:.3f} s", *([" - ".join(last.bodies)] if last.bodies else []), *last.words]
    return [plate(image, lines, seen.width - 10, 10, 13 * k, [EVENT, *[INK] * (len(lines) - 1)], EVENT)]


def first_contacts(run: RunView) -> list[Contact]:
    """Return the contacts that are some body's first one: later ones, as it bounces on the ground, say less."""
    met: set[str] = set()
    found = []
    for contact in sorted(run.contacts, key=lambda one: one.t):
        if not contact.bodies or not met.issuperset(contact.bodies):
            found.append(contact)
        met |= set(contact.bodies)
    return found


def names(
    image: AnyArray, run: RunView, seen: View, now: float, covered: list[Box], taken: list[Box], *, size: float = 13,
    speeds: bool = True,
) -> None:  # fmt: skip
    """Write who is who beside the bodies, where there is room; those that matter anyway."""
    met = {name for contact in run.contacts for name in contact.bodies}
    taken = [*taken, *covered]
    for body, (left, top, right, bottom) in zip(run.bodies, covered, strict=True):
        if not body.named or not (left < seen.width and right > 0.0 and top < seen.height and bottom > 0.0):
            continue
        speed = value(run.t, body.speed, now) if speeds else float("nan")
        still = body.role == "other" and abs(speed) < 0.05
        words = body.name
        if np.isfinite(speed) and not still:
            words += f"  {abs(speed):.1f} m/s{' backwards' if speed < -0.05 else ''}"
        wide = width(words, size, True)
        x = min(max(0.5 * (left + right) - 0.5 * wide, 6.0), seen.width - wide - 6.0)
        line_height = 1.7 * size
        bases = [base for n in range(3) for base in (top - 9 - n * line_height, bottom + size + 6 + n * line_height)]
        plates = {base: (x - 5, base - size - 1, x + wide + 5, base + 5) for base in bases}
        inside = [base for base in bases if size + 3 < base < seen.height - 24]
        free = [base for base in inside if not any(_overlap(plates[base], other) for other in taken)]
        if not free and body.role == "other" and body.name not in met:
            continue
        base = free[0] if free else min(max(bases[0], size + 5), seen.height - 24.0)
        box = (x - 5, base - size - 1, x + wide + 5, base + 5)
        taken.append(box)
        cv2.rectangle(image, (round(box[0]), round(box[1])), (round(box[2]), round(box[3])), PAPER, -1)
        write(image, words, x, base, size, ROLES[body.role], bold=True)


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def scale_bar(image: AnyArray, seen: View, size: float = 11) -> None:
    """Draw how long a round number of metres is, in the upper left corner."""
    long = next(m * 10.0**p for p in range(-3, 7) for m in (1.0, 2.0, 5.0) if m * 10.0**p * seen.scale > 5.5 * size)
    end = 12 + round(long * seen.scale)
    thick = max(1, round(size / 9))
    cv2.line(image, (12, round(1.6 * size)), (end, round(1.6 * size)), INK, thick)
    for x in (12, end):
        cv2.line(image, (x, round(1.2 * size)), (x, round(2.0 * size)), INK, thick)
    write(image, f"{long:g} m", end + 7, 2.0 * size, size, FAINT)
