"""A sheet of paper to draw pictures and charts on: text, frames, markers and axes, by OpenCV alone.

Everything is drawn at twice the size and then made smaller, which gives smooth lines and letters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mischance.api.tables import AnyArray, FloatArray
from mischance.dataset.disk import disk

SCALE = 2
Color = tuple[int, int, int]


def color(code: str) -> Color:
    """Return the blue, green and red of '#rrggbb'."""
    red, green, blue = bytes.fromhex(code.removeprefix("#"))
    return blue, green, red


PAPER, INK, FAINT, LINE = color("#ffffff"), color("#1e293b"), color("#64748b"), color("#d9e0e8")
ALARM, WARNING, QUIET, GOOD = color("#dc2626"), color("#d97706"), color("#94a3b8"), color("#15803d")
PALETTE = tuple(map(color, ("#f97316", "#06b6d4", "#a3e635", "#e879f9", "#facc15", "#60a5fa", "#fb7185", "#34d399")))


class Canvas:
    """A white sheet; all places and sizes are in pixels of the finished picture."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._image: AnyArray = np.full((height * SCALE, width * SCALE, 3), PAPER, np.uint8)

    def text(self, x: float, y: float, text: str, *, size: float = 14, ink: Color = INK, bold: bool = False) -> float:
        """Write from (x, y), the left end of the base line; return where the text ends."""
        plain = text.encode("ascii", "replace").decode()  # older OpenCV fonts have nothing else
        scale, thick = size * SCALE / 28, (2 if bold else 1) * SCALE - 1
        (width, _), _ = cv2.getTextSize(plain, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
        cv2.putText(self._image, plain, _at(x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thick, cv2.LINE_AA)
        return x + width / SCALE

    def text_width(self, text: str, size: float = 14, *, bold: bool = False) -> float:
        """Return how wide a text would be."""
        thick = (2 if bold else 1) * SCALE - 1
        (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size * SCALE / 28, thick)
        return float(width) / SCALE

    def tag(self, x: float, y: float, text: str, fill: Color) -> float:
        """Write white on a coloured plate; return where the plate ends."""
        width = self.text_width(text, 12)
        cv2.rectangle(self._image, _at(x, y - 14), _at(x + width + 12, y + 5), fill, -1)
        self.text(x + 6, y, text, size=12, ink=PAPER)
        return x + width + 12

    def picture(self, x: float, y: float, image: AnyArray, width: int) -> int:
        """Put a BGR image, scaled to a width, with its upper left corner at (x, y); return its height."""
        height = round(int(image.shape[0]) * width / int(image.shape[1]))
        size = (width * SCALE, height * SCALE)
        smaller = image.shape[1] > size[0]
        scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        left, top = _at(x, y)
        self._image[top : top + size[1], left : left + size[0]] = scaled
        return height

    def box(self, x: float, y: float, w: float, h: float, ink: Color, thick: float = 1.5) -> None:
        """Draw a rectangle."""
        cv2.rectangle(self._image, _at(x, y), _at(x + w, y + h), ink, max(1, round(thick * SCALE)), cv2.LINE_AA)

    def fill(self, x: float, y: float, w: float, h: float, ink: Color) -> None:
        """Fill a rectangle."""
        cv2.rectangle(self._image, _at(x, y), _at(x + w, y + h), ink, -1)

    def line(self, points: FloatArray, ink: Color, thick: float = 1.0) -> None:
        """Draw a line through points; shape (n, 2)."""
        corners = np.round(np.asarray(points, np.float64) * SCALE).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(self._image, [corners], False, ink, max(1, round(thick * SCALE)), cv2.LINE_AA)

    def dots(self, points: FloatArray, ink: Color, radius: float = 2.0, *, hollow: bool = False) -> None:
        """Draw a dot at each point; shape (n, 2)."""
        for x, y in np.round(np.asarray(points) * SCALE).astype(np.int64).tolist():
            size = max(1, round(radius * SCALE))
            if hollow:
                cv2.circle(self._image, (x, y), size, PAPER, -1, cv2.LINE_AA)
                cv2.circle(self._image, (x, y), size, ink, SCALE, cv2.LINE_AA)
            else:
                cv2.circle(self._image, (x, y), size, ink, -1, cv2.LINE_AA)

    def extended(self, more: int) -> Canvas:
        """Return the sheet with so many more rows of pixels below."""
        taller = Canvas(self.width, self.height + more)
        taller._image[: self.height * SCALE] = self._image
        return taller

    def save(self, path: Path) -> Path:
        """Write the finished picture as PNG; the file is whole or absent.

        Raises:
            DatasetError: the disk does not take it.
        """
        small = cv2.resize(self._image, (self.width, self.height), interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".png", small, [cv2.IMWRITE_PNG_COMPRESSION, 9])
        temporary = path.with_name(f".{path.name}.tmp")
        with disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data.tobytes())
            temporary.replace(path)
        return path


@dataclass(frozen=True, slots=True)
class Axes:
    """A chart's frame on a canvas: where data (x, y) in the ranges `xs`, `ys` come to lie."""

    canvas: Canvas
    place: tuple[float, float, float, float]
    xs: tuple[float, float]
    ys: tuple[float, float]

    def at(self, x: Any, y: Any) -> FloatArray:
        """Return points of the canvas; shape (n, 2)."""
        left, top, width, height = self.place
        across = left + (np.asarray(x, np.float64) - self.xs[0]) / ((self.xs[1] - self.xs[0]) or 1.0) * width
        up = top + height - (np.asarray(y, np.float64) - self.ys[0]) / ((self.ys[1] - self.ys[0]) or 1.0) * height
        return np.stack([across, up], axis=-1)

    def draw(self, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]]) -> None:
        """Draw grid lines with their names, and the frame."""
        left, top, width, height = self.place
        for value, name in x_ticks:
            x = float(self.at(value, self.ys[0])[0])
            self.canvas.line(np.array([[x, top], [x, top + height]]), LINE, 0.5)
            self.canvas.text(x - self.canvas.text_width(name, 11) / 2, top + height + 16, name, size=11, ink=FAINT)
        for value, name in y_ticks:
            y = float(self.at(self.xs[0], value)[1])
            self.canvas.line(np.array([[left, y], [left + width, y]]), LINE, 0.5)
            self.canvas.text(left - 8 - self.canvas.text_width(name, 11), y + 4, name, size=11, ink=FAINT)
        self.canvas.box(left, top, width, height, LINE, 0.5)


def round_ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Return about that many round numbers inside a range."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(power * m for m in (1.0, 2.0, 5.0, 10.0) if power * m >= raw)
    first = int(np.ceil(low / step))
    return [float(k * step) for k in range(first, int(np.floor(high / step)) + 1)]


def _at(x: float, y: float) -> tuple[int, int]:
    return round(x * SCALE), round(y * SCALE)
