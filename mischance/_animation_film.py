"""The film of one run: the picture that the page shows, drawn frame by frame with OpenCV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mischance._animation_parts import Body, Series, Story
from mischance._canvas import Color, color, round_ticks
from mischance.disk import disk
from mischance.errors import DatasetError
from mischance.truth import AnyArray, FloatArray

SIZE = (1280, 720)
RATE = 25  # frames a second
LONGEST = 120.0  # a longer run is shown faster [s]
_HEAD, _STAGE, _FOOT = 76, 350, 26  # heights of title, picture from above, and the axis of time
_LEFT, _RIGHT = 70, 20
_TRAIL, _FLASH = 4.0, 0.45  # as on the page [s]
_SHIFT = 4  # OpenCV draws with 1/16 pixel: bodies glide, they do not hop

PAPER, INK, FAINT, LINE = color("#ffffff"), color("#1b2430"), color("#5b6777"), color("#d8dee6")
GROUND, ASPHALT, EDGE, GRID = color("#eef1f4"), color("#dfe4ea"), color("#aab4c0"), color("#e2e7ec")
EVENT = color("#d0342c")
AREAS = {"area": ASPHALT, "patch": color("#c3d9ec"), "obstacle": color("#b9c1cb")}
ROLES = {"ego": color("#2563eb"), "partner": color("#0f766e"), "other": color("#64748b")}


def film(told: Story, out: Path, progress: Callable[[int, int], None] | None = None) -> Path:
    """Write a story as MP4 and return its path; the file is whole or absent.

    Raises:
        DatasetError: OpenCV has no encoder here, or the disk does not take the file.
    """
    span = float(told.t[-1] - told.t[0])
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
        picture = _Picture(told, faster)
        for k in range(frames):
            writer.write(picture.at(min(float(told.t[0]) + k * faster / RATE, float(told.t[-1]))))
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


class _Picture:
    """Draws the frame of a moment. What does not move is drawn once."""

    def __init__(self, told: Story, faster: float) -> None:
        self.told, self.faster = told, faster
        self.rows = _rows(len(told.series))
        self._still = np.full((SIZE[1], SIZE[0], 3), PAPER, np.uint8)
        self._title()
        for place, row in zip(self.rows, told.series, strict=True):
            self._axes(place, row)
        self._marks()
        self._view = _view(told)

    def at(self, now: float) -> AnyArray:
        """Return the frame at a time; shape (720, 1280, 3), blue, green, red."""
        image = self._still.copy()
        self._stage(image[_HEAD : _HEAD + _STAGE], now)
        for place, row in zip(self.rows, self.told.series, strict=True):
            self._values(image, place, row, now)
        x = float(self._x(now))
        top, bottom = self.rows[0][0], self.rows[-1][0] + self.rows[-1][1]
        cv2.line(image, (round(x), top), (round(x), bottom), INK, 2, cv2.LINE_AA)
        clock = f"t = {now:.2f} s" + (f"   x{self.faster:g}" if self.faster > 1.0 else "")
        _text(image, clock, SIZE[0] - 16, 28, 17, INK, bold=True, right=True)
        return image

    # -- what does not move -------------------------------------------------------------------------------------

    def _title(self) -> None:
        told, image = self.told, self._still
        x = _text(image, told.name, 16, 28, 19, INK, bold=True)
        x = _text(image, f"run {told.run}, seed {told.seed}", x + 16, 28, 14, FAINT)
        happened = told.event if told.happened else f"{told.event} did not happen"
        _text(image, happened, x + 16, 28, 15, EVENT if told.happened else FAINT, bold=told.happened)
        for i, line in enumerate(_wrapped(told.reason or told.verdict, SIZE[0] - 32, 13)[:2]):
            _text(image, line, 16, 50 + 18 * i, 13, INK)

    def _axes(self, place: tuple[int, int], row: Series) -> None:
        top, tall = place
        image = self._still
        cv2.line(image, (0, top - 20), (SIZE[0], top - 20), LINE, 1)
        for y in round_ticks(row.low, row.high, max(1, round(tall / 24))):
            level = round(float(_y(place, row, y)))
            cv2.line(image, (_LEFT, level), (SIZE[0] - _RIGHT, level), GRID, 1)
            _text(image, f"{y:g}", _LEFT - 8, level + 4, 11, FAINT, right=True)
        written: list[tuple[float, float]] = []
        for limit, words in row.limits:
            level = round(float(_y(place, row, limit)))
            for x in range(_LEFT, SIZE[0] - _RIGHT, 10):
                cv2.line(image, (x, level), (x + 5, level), FAINT, 1)
            beside = [x for y, x in written if abs(y - level) < 14]  # two levels side by side: so are their words
            end = min([SIZE[0] - _RIGHT - 2.0, *(x - 16 for x in beside)])
            _text(image, words, end, level - 4, 11, FAINT, right=True)
            written.append((level, end - _width(words, 11)))
        for _, role, values in reversed(row.lines):
            self._curve(place, row, values, ROLES[role])

    def _curve(self, place: tuple[int, int], row: Series, values: FloatArray, ink: Color) -> None:
        known = np.isfinite(values)
        cuts = np.flatnonzero(np.diff(known.astype(np.int8))) + 1
        for piece in np.split(np.arange(len(values)), cuts):
            if known[piece[0]]:
                points = np.stack([self._x(self.told.t[piece]), _y(place, row, values[piece])], axis=1)
                _line(self._still, points, ink, 2)

    def _marks(self) -> None:
        top, bottom = self.rows[0][0], self.rows[-1][0] + self.rows[-1][1]
        for mark in self.told.marks:
            x, contact = round(float(self._x(mark.t))), mark.kind == "contact"
            for y in range(top, bottom, 1 if contact else 7):
                cv2.line(self._still, (x, y), (x, min(y + 2, bottom)), EVENT if contact else FAINT, 1)
        for t in round_ticks(float(self.told.t[0]), float(self.told.t[-1]), 10):
            x = round(float(self._x(t)))
            _text(self._still, f"{t:g}", x - 4, SIZE[1] - 9, 12, FAINT)
        _text(self._still, "t [s]", 16, SIZE[1] - 9, 12, FAINT)

    # -- what moves -----------------------------------------------------------------------------------------------

    def _x(self, t: float | FloatArray) -> FloatArray:
        first, last = float(self.told.t[0]), float(self.told.t[-1])
        return np.asarray(_LEFT + (np.asarray(t) - first) / ((last - first) or 1.0) * (SIZE[0] - _LEFT - _RIGHT))

    def _values(self, image: AnyArray, place: tuple[int, int], row: Series, now: float) -> None:
        top = place[0] - 6
        unit = row.unit.replace("²", "2")
        x = _text(image, f"{row.name} [{unit}]", _LEFT, top, 13, INK, bold=True)
        for whose, role, values in row.lines:
            value = _value(self.told.t, values, now)
            words = "-" if np.isnan(value) else f"{value:.{2 if abs(value) < 10 else 1}f}"
            x = _text(image, f"{whose} {words}", x + 14, top, 13, ROLES[role], bold=True)
            if np.isfinite(value):
                centre = np.array([float(self._x(now)), float(_y(place, row, value))])
                cv2.circle(image, _fine(centre), 4 << _SHIFT, ROLES[role], -1, cv2.LINE_AA, _SHIFT)

    def _stage(self, image: AnyArray, now: float) -> None:
        told = self.told
        height, width = image.shape[:2]
        centre, scale = self._camera(now, width, height)

        def place(x: FloatArray | float, y: FloatArray | float) -> FloatArray:
            across = width / 2 + (np.asarray(x, np.float64) - centre[0]) * scale
            return np.stack([across, height / 2 - (np.asarray(y, np.float64) - centre[1]) * scale], axis=-1)

        image[:] = GROUND
        half = 0.5 * width / scale
        ticks = round_ticks(centre[0] - half, centre[0] + half, 12)
        for line in told.road:
            if line.kind in AREAS:
                cv2.fillPoly(image, [_fine_all(place(*line.points.T))], AREAS[line.kind], cv2.LINE_AA, _SHIFT)
        for x in ticks:
            column = round(float(place(x, 0.0)[0]))
            cv2.line(image, (column, 0), (column, height), GRID, 1)
        for line in told.road:
            if line.kind in ("edge", "stop"):
                _line(image, place(*line.points.T), EDGE, 2)
            elif line.kind not in AREAS:
                for a, b in _dashes(line.points):
                    if abs(a[0] - centre[0]) < 2 * half + 20 and abs(a[1] - centre[1]) < 2 * half + 20:
                        _line(image, place(np.array([a[0], b[0]]), np.array([a[1], b[1]])), PAPER, 2)
        for body in told.bodies:
            self._trail(image, body, now, place)
        shown = [(body, pose) for body in told.bodies if np.isfinite(pose := _pose(told.t, body, now)).all()]
        for body, pose in reversed(shown):
            self._body(image, body, pose, now, place, scale)
        for contact in told.contacts:
            if contact.t <= now:
                self._flash(image, place(contact.x, contact.y), now - contact.t)
        taken = []
        for body, pose in shown:
            (x, y), long, wide = place(pose[0], pose[1]), 0.5 * scale * body.length, 0.5 * scale * body.width
            taken.append((x - long, y - wide, x + long, y + wide))
        for body, pose in shown:
            self._name(image, body, place(pose[0], pose[1]), pose, scale, _value(told.t, body.speed, now), taken)
        for x in ticks:
            _text(image, f"{x:g}", float(place(x, 0.0)[0]) - 8, height - 7, 11, FAINT)
        cv2.rectangle(image, (width - 60, height - 20), (width, height), GROUND, -1)
        _text(image, "x [m]", width - 10, height - 7, 11, FAINT, right=True)

    def _camera(self, now: float, width: int, height: int) -> tuple[FloatArray, float]:
        """Return what is in the middle [m] and the scale [px/m]."""
        ego = self.told.bodies[0]
        if self._view == "follow":
            seen = np.isfinite(ego.x)
            wide = max(15.0 * ego.length, 12.0 * ego.width, 4.0)
            scale = min(width / wide, height / (3.2 * ego.width))
            x, y = (float(np.interp(now, self.told.t[seen], values[seen])) for values in (ego.x, ego.y))
            return np.array([x + (0.2 * width / scale if self.told.road else 0.0), y]), scale
        low, high = _extent(self.told, now if self._view == "all" else None)
        scale = min((width - 120) / max(high[0] - low[0], 1e-6), (height - 120) / max(high[1] - low[1], 1e-6))
        return 0.5 * (low + high), min(scale, 60.0 / min(ego.width, 1.0))

    def _trail(self, image: AnyArray, body: Body, now: float, place: Callable[..., FloatArray]) -> None:
        rows = np.flatnonzero((self.told.t >= now - _TRAIL) & (self.told.t <= now) & np.isfinite(body.x))
        if len(rows) > 1:
            faint = tuple(round(0.45 * c + 0.55 * g) for c, g in zip(ROLES[body.role], ASPHALT, strict=True))
            _line(image, place(body.x[rows], body.y[rows]), (faint[0], faint[1], faint[2]), 2)

    def _body(
        self, image: AnyArray, body: Body, pose: FloatArray, now: float, place: Callable[..., FloatArray], scale: float
    ) -> None:
        touched = any(contact.t <= now and body.name in contact.who for contact in self.told.contacts)
        ink, edge = ROLES[body.role], EVENT if touched else PAPER
        if body.disc:
            middle, radius = _fine(place(pose[0], pose[1])), max(round(0.5 * body.length * scale), 5) << _SHIFT
            cv2.circle(image, middle, radius, ink, -1, cv2.LINE_AA, _SHIFT)
            cv2.circle(image, middle, radius, edge, 2, cv2.LINE_AA, _SHIFT)
            return
        along = np.array([np.cos(pose[2]), np.sin(pose[2])])
        across = np.array([-along[1], along[0]])

        def corners(back: float, front: float, half: float) -> AnyArray:
            points = [pose[:2] + u * body.length * along + v * half * across
                      for u, v in ((back, -1), (front, -1), (front, 1), (back, 1))]  # fmt: skip
            return _fine_all(place(*np.array(points).T))

        box = corners(-0.5, 0.5, 0.5 * body.width)
        cv2.fillPoly(image, [box], ink, cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(image, [corners(0.22, 0.31, 0.38 * body.width)], PAPER, cv2.LINE_AA, _SHIFT)
        cv2.polylines(image, [box], True, edge, 3 if touched else 1, cv2.LINE_AA, _SHIFT)

    def _flash(self, image: AnyArray, point: FloatArray, age: float) -> None:
        x, y = round(float(point[0])), round(float(point[1]))
        if age < _FLASH:
            cv2.circle(image, (x, y), round(8 + 46 * age / _FLASH), EVENT, 3, cv2.LINE_AA)
        for side in (1, -1):
            cv2.line(image, (x - 5, y - 5 * side), (x + 5, y + 5 * side), EVENT, 2, cv2.LINE_AA)

    def _name(
        self, image: AnyArray, body: Body, point: FloatArray, pose: FloatArray, scale: float, speed: float,
        taken: list[tuple[float, float, float, float]],
    ) -> None:  # fmt: skip
        x, y = float(point[0]), float(point[1])
        height, width = image.shape[:2]
        if not (-40 < x < width + 40 and -40 < y < height + 40):
            return
        words = body.name + ("" if np.isnan(speed) else f"  {speed:.1f} m/s")
        wide = _width(words, 13, True)
        away = 0.5 * scale * max(abs(np.sin(pose[2])) * body.length, body.width) + 10
        left = min(max(x - wide / 2, 6.0), width - wide - 6.0)
        places = [y - away, y + away + 12, y - away - 22, y + away + 34, y - away - 44, y + away + 56]
        plates = {base: (left - 5, base - 14, left + wide + 5, base + 5) for base in places}
        free = [p for p in places if 16 < p < height - 24 and not any(_overlap(plates[p], other) for other in taken)]
        base = free[0] if free else min(max(places[0], 18.0), height - 24.0)
        taken.append((left - 5, base - 14, left + wide + 5, base + 5))
        cv2.rectangle(image, (round(left - 5), round(base - 14)), (round(left + wide + 5), round(base + 5)), PAPER, -1)
        _text(image, words, left, base, 13, ROLES[body.role], bold=True)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _rows(count: int) -> list[tuple[int, int]]:
    """Return top and height of each row of the strip."""
    top = _HEAD + _STAGE
    room = (SIZE[1] - _FOOT - top) / count
    return [(round(top + i * room) + 22, round(room) - 28) for i in range(count)]


def _extent(told: Story, now: float | None = None) -> tuple[FloatArray, FloatArray]:
    """Return the least and the largest x, y of all bodies [m], over the run or, with some room, at a time."""
    spots = []
    for body in told.bodies:
        places = np.stack([body.x, body.y], axis=1) if now is None else _pose(told.t, body, now)[None, :2]
        reach = 0.5 * float(np.hypot(body.length, body.width)) + (0.0 if now is None else 2.0 * body.width)
        spots += [places[np.isfinite(places).all(axis=1)] + side * reach for side in (-1.0, 1.0)]
    every = np.concatenate(spots)
    return (every.min(axis=0), every.max(axis=0)) if len(every) else (np.zeros(2), np.ones(2))


def _view(told: Story) -> str:
    """Return what the film shows, as the page does at first.

    On a road what is around the first body; elsewhere the whole run, or everybody where its bodies would be dots.
    """
    low, high = _extent(told)
    if any(line.kind == "area" for line in told.road):
        return "follow"
    if (high - low).max() <= 25.0 * max(body.length for body in told.bodies):
        return "run"
    return "all" if len(told.bodies) > 1 else "follow"


def _dashes(points: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """Return pieces of 6 m, 12 m apart, along a line."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    starts = np.arange(0.0, along[-1], 18.0)
    ends = np.minimum(starts + 6.0, along[-1])

    def spot(s: FloatArray) -> FloatArray:
        return np.stack([np.interp(s, along, points[:, 0]), np.interp(s, along, points[:, 1])], axis=1)

    return list(zip(spot(starts), spot(ends), strict=True))


def _value(t: FloatArray, values: FloatArray, now: float) -> float:
    """Return a value between two samples; NaN next to an unknown one."""
    i = int(np.clip(np.searchsorted(t, now + 1e-9, side="right") - 1, 0, len(t) - 1))
    j = min(i + 1, len(t) - 1)
    if i == j or t[i] == now:
        return float(values[i])
    return float(values[i] + (values[j] - values[i]) * (now - t[i]) / (t[j] - t[i]))


def _pose(t: FloatArray, body: Body, now: float) -> FloatArray:
    return np.array([_value(t, values, now) for values in (body.x, body.y, body.yaw)])


def _y(place: tuple[int, int], row: Series, value: float | FloatArray) -> FloatArray:
    clipped = np.clip(value, row.low, row.high)
    return np.asarray(place[0] + place[1] - (clipped - row.low) / (row.high - row.low) * place[1])


def _line(image: AnyArray, points: FloatArray, ink: Color, thick: int) -> None:
    cv2.polylines(image, [_fine_all(points)], False, ink, thick, cv2.LINE_AA, _SHIFT)


def _fine(point: FloatArray) -> tuple[int, int]:
    return round(float(point[0]) * (1 << _SHIFT)), round(float(point[1]) * (1 << _SHIFT))


def _fine_all(points: FloatArray) -> AnyArray:
    # What lies far outside is clipped by OpenCV, as long as it fits its integers.
    return np.round(np.clip(points, -1e5, 1e5) * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2)


def _wrapped(text: str, wide: float, size: float) -> list[str]:
    """Return a text in lines that are no wider than that."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _width(longer, size) <= wide or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _width(text: str, size: float, bold: bool = False) -> float:
    (width, _), _ = cv2.getTextSize(_ascii(text), cv2.FONT_HERSHEY_SIMPLEX, size / 27, 1)
    return float(width) + (1.0 if bold else 0.0)


def _text(
    image: AnyArray, text: str, x: float, y: float, size: float, ink: Color, *, bold: bool = False, right: bool = False
) -> float:
    """Write a line and return where it ends; `right`: x is its end."""
    width = _width(text, size, bold)
    x = x - width if right else x
    for shift in (0, 1) if bold else (0,):
        cv2.putText(
            image, _ascii(text), (round(x) + shift, round(y)), cv2.FONT_HERSHEY_SIMPLEX, size / 27, ink, 1, cv2.LINE_AA
        )
    return x + width


def _ascii(text: str) -> str:
    """OpenCV's own letters are ASCII."""
    return text.replace("²", "2").replace("−", "-").replace("·", "-").encode("ascii", "replace").decode()
