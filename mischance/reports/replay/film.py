"""The film of one run: the picture that the page shows, drawn frame by frame with OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mischance.api.tables import AnyArray, FloatArray
from mischance.dataset.disk import disk
from mischance.errors import DatasetError
from mischance.reports.canvas import round_ticks
from mischance.reports.replay.model import Moment, RunView, Series
from mischance.reports.replay.style import (
    EVENT,
    FAINT,
    FAULT,
    GOOD,
    GRID,
    INK,
    LINE,
    PAPER,
    ROLES,
    SHIFT,
    cross,
    dotted,
    fine,
    line,
    width,
    wrapped,
    write,
)
from mischance.reports.replay.top_view import (
    bodies,
    contacts,
    first_contacts,
    ground,
    names,
    planned_paths,
    scale_bar,
    trails,
    usual_view,
    value,
    view,
)

SIZE = (1280, 720)
RATE = 25  # frames a second
LONGEST = 120.0  # a longer run is shown faster [s]
_HEAD, _TOP_VIEW, _FOOT = 76, 350, 26  # heights of title, picture from above, and the axis of time
_EVENTS = 24  # height of the line of events
_LEFT, _RIGHT = 70, 20
_TRAIL = 4.0  # as on the page [s]
_HUES = {"contact": EVENT, "fault": FAULT, "event": INK, "label": FAINT}


def film(run: RunView, out: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write a run as MP4 and return its path; the file is whole or absent.

    Raises:
        DatasetError: OpenCV has no encoder here, or the disk does not take the file.
    """
    span = float(run.t[-1] - run.t[0])
    faster = _faster(span)
    frames = int(span / faster * RATE) + 1
    temporary = out.with_name(f".{out.stem}.tmp{out.suffix}")
    with disk(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()  # so that a folder that takes no files is the disk's error, not the encoder's
    writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"mp4v"), RATE, SIZE)
    try:
        if not writer.isOpened():
            raise DatasetError("OpenCV cannot write MP4 films on this machine", "a page works everywhere: --html")
        picture = _FrameDrawer(run, faster)
        for k in range(frames):
            writer.write(picture.at(min(float(run.t[0]) + k * faster / RATE, float(run.t[-1]))))
            if progress is not None:
                progress(k + 1, frames)
        writer.release()
        _check(temporary, frames)
        with disk(out):
            temporary.replace(out)
    finally:
        writer.release()
        temporary.unlink(missing_ok=True)
    return out


def _faster(span: float) -> float:
    """Return by how much a run is shown faster than it was: 1, or a round number."""
    if span <= LONGEST:
        return 1.0
    return next(m * 10.0**p for p in range(9) for m in (2.0, 5.0, 10.0) if span / (m * 10.0**p) <= LONGEST)


def _check(path: Path, frames: int) -> None:
    """OpenCV says nothing of a full disk: so count what can be read."""
    film = cv2.VideoCapture(str(path))
    written = int(film.get(cv2.CAP_PROP_FRAME_COUNT)) if film.isOpened() else 0
    film.release()
    if written != frames:
        raise DatasetError(f"the film came out with {written} of {frames} frames", "is the disk full?")


class _FrameDrawer:
    """Draws the frame of a time. What does not move is drawn once."""

    def __init__(self, run: RunView, faster: float) -> None:
        self.run, self.faster = run, faster
        self._events = _HEAD + _TOP_VIEW + _EVENTS - 9 if run.moments else 0
        self.rows = _rows(len(run.series), _EVENTS if run.moments else 0)
        self._still = np.full((SIZE[1], SIZE[0], 3), PAPER, np.uint8)
        self._title()
        for place, row in zip(self.rows, run.series, strict=True):
            self._axes(place, row)
        self._moments()
        self._view = usual_view(run)

    def at(self, now: float) -> AnyArray:
        """Return the frame at a time; shape (720, 1280, 3), blue, green, red."""
        image = self._still.copy()
        self._top_view(image[_HEAD : _HEAD + _TOP_VIEW], now)
        for place, row in zip(self.rows, self.run.series, strict=True):
            self._values(image, place, row, now)
        x = float(self._x(now))
        top, bottom = self._events or self.rows[0][0], self.rows[-1][0] + self.rows[-1][1]
        cv2.line(image, (round(x), top), (round(x), bottom), INK, 2, cv2.LINE_AA)
        clock = f"t = {now:.2f} s" + (f"   x{self.faster:g}" if self.faster > 1.0 else "")
        write(image, clock, SIZE[0] - 16, 28, 17, INK, bold=True, right=True)
        return image

    # -- what does not move -------------------------------------------------------------------------------------

    def _title(self) -> None:
        run, image = self.run, self._still
        x = write(image, run.name, 16, 28, 19, INK, bold=True)
        x = write(image, f"run {run.run}, seed {run.seed}", x + 16, 28, 14, FAINT)
        happened = run.event if run.happened else f"no {run.event}"
        write(image, happened, x + 16, 28, 15, EVENT if run.happened else GOOD, bold=True)
        for i, words in enumerate(wrapped(run.reason or run.verdict, SIZE[0] - 32, 13)[:2]):
            write(image, words, 16, 50 + 18 * i, 13, INK)

    def _axes(self, place: tuple[int, int], row: Series) -> None:
        top, tall = place
        image = self._still
        cv2.line(image, (0, top - 20), (SIZE[0], top - 20), LINE, 1)
        for y in round_ticks(row.low, row.high, max(2, round(tall / 22))):
            level = round(float(_y(place, row, y)))
            cv2.line(image, (_LEFT, level), (SIZE[0] - _RIGHT, level), GRID, 1)
            write(image, f"{y:g}", _LEFT - 8, level + 4, 11, FAINT, right=True)
        for limit, _ in row.limits:
            level = round(float(_y(place, row, limit)))
            dotted(image, np.array([[_LEFT, level], [SIZE[0] - _RIGHT, level]], np.float64), FAINT, 1, 5.0, 5.0)
        for _, role, values in reversed(row.lines):
            self._curve(place, row, values, role)

    def _curve(self, place: tuple[int, int], row: Series, values: FloatArray, role: str) -> None:
        known = np.isfinite(values)
        cuts = np.flatnonzero(np.diff(known.astype(np.int8))) + 1
        for piece in np.split(np.arange(len(values)), cuts):
            if not known[piece[0]]:
                continue
            points = np.stack([self._x(self.run.t[piece]), _y(place, row, values[piece])], axis=1)
            if role in ("need", "limit"):
                dotted(self._still, points, ROLES[role], 2 if role == "need" else 1, 3.0, 4.0)
            else:
                line(self._still, points, ROLES[role], 2)

    def _moments(self) -> None:
        """Draw the line of events with what came of what, and each one's time through all rows."""
        image, run = self._still, self.run
        bottom = self.rows[-1][0] + self.rows[-1][1]
        loud = _first_contact_moments(run)
        for n, moment in enumerate(run.moments):
            x, contact = round(float(self._x(moment.t))), n in loud
            for y in range(self._events, bottom, 1 if contact else 7):
                cv2.line(image, (x, y), (x, min(y + 2, bottom)), EVENT if contact else FAINT, 1)
        for t in round_ticks(float(run.t[0]), float(run.t[-1]), 10):
            write(image, f"{t:g}", round(float(self._x(t))) - 4, SIZE[1] - 9, 12, FAINT)
        write(image, "t [s]", 16, SIZE[1] - 9, 12, FAINT)
        if not run.moments:
            return
        y = self._events
        write(image, "events", 16, y + 4, 12, FAINT)
        cv2.line(image, (_LEFT, y), (SIZE[0] - _RIGHT, y), LINE, 1)
        for moment in run.moments:
            if moment.cause >= 0:
                self._because(run.moments[moment.cause], moment, y)
        for n in sorted(range(len(run.moments)), key=lambda n: list(_HUES)[::-1].index(run.moments[n].kind)):
            moment = run.moments[n]
            spot = np.array([float(self._x(moment.t)), y])
            if moment.kind == "contact":
                cross(image, spot, 5.0, PAPER, 4)
                cross(image, spot, 5.0, EVENT if n in loud else FAINT, 2)
            elif moment.kind != "label":
                cv2.circle(image, fine(spot), 4 << SHIFT, _HUES[moment.kind], -1, cv2.LINE_AA, SHIFT)

    def _because(self, cause: Moment, moment: Moment, y: float) -> None:
        start, end = float(self._x(cause.t)), float(self._x(moment.t))
        if end - start < 3.0:
            return
        way = np.linspace(0.0, 1.0, 24)
        high = min(11.0, 3.0 + (end - start) / 8.0)
        points = np.stack([start + (end - start) * way, y - 3.0 - high * (1.0 - (2.0 * way - 1.0) ** 4)], axis=1)
        line(self._still, points, FAINT, 1)

    # -- what moves -----------------------------------------------------------------------------------------------

    def _x(self, t: float | FloatArray) -> FloatArray:
        first, last = float(self.run.t[0]), float(self.run.t[-1])
        return np.asarray(_LEFT + (np.asarray(t) - first) / ((last - first) or 1.0) * (SIZE[0] - _LEFT - _RIGHT))

    def _values(self, image: AnyArray, place: tuple[int, int], row: Series, now: float) -> None:
        top = place[0] - 6
        title = " ".join(part for part in (row.name, f"[{row.unit}]" if row.unit else "") if part)
        x = write(image, title, _LEFT, top, 13, INK, bold=True)
        for whose, role, values in row.lines:
            found = value(self.run.t, values, now)
            words = "-" if np.isnan(found) else f"{found:.{2 if abs(found) < 10 else 1}f}"
            x = write(image, f"{'' if whose == row.name else whose} {words}", x + 14, top, 13, ROLES[role], bold=True)
            if np.isfinite(found):
                centre = np.array([float(self._x(now)), float(_y(place, row, found))])
                cv2.circle(image, fine(centre), 4 << SHIFT, ROLES[role], -1, cv2.LINE_AA, SHIFT)
        for _, words in row.limits:  # beside the names of the curves, off the curves
            if words and x + 14 + width(f"- - {words}", 11) < SIZE[0]:
                x = write(image, f"- - {words}", x + 14, top, 11, FAINT)

    def _top_view(self, image: AnyArray, now: float) -> None:
        run = self.run
        seen = view(run, self._view, now, image.shape[1], image.shape[0])
        ground(image, run, seen)
        trails(image, run, seen, now - _TRAIL, now)
        planned_paths(image, run, seen, now)
        covered = bodies(image, run, seen, now)
        taken = contacts(image, run, seen, now)
        names(image, run, seen, now, covered, taken)
        scale_bar(image, seen)


def _first_contact_moments(run: RunView) -> set[int]:
    """Return which of the moments are some body's first contact: red, where later ones are grey."""
    times = np.array([contact.t for contact in first_contacts(run)])
    called: set[str] = set()
    found = set()
    for n, moment in enumerate(run.moments):
        if moment.kind == "contact":
            if moment.title not in called or (np.abs(times - moment.t) < 0.01).any():
                found.add(n)
            called.add(moment.title)
    return found


def _rows(count: int, above: int) -> list[tuple[int, int]]:
    """Return top and height of each row of the charts, below so many pixels for the events."""
    top = _HEAD + _TOP_VIEW + above
    room = (SIZE[1] - _FOOT - top) / count
    return [(round(top + i * room) + 22, round(room) - 28) for i in range(count)]


def _y(place: tuple[int, int], row: Series, value: float | FloatArray) -> FloatArray:
    clipped = np.clip(value, row.low, row.high)
    return np.asarray(place[0] + place[1] - (clipped - row.low) / (row.high - row.low) * place[1])
