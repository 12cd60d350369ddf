"""Colours, lines and letters of the pictures that OpenCV draws of a run; they match animation.css."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mischance.api.appearance import SURFACES
from mischance.api.tables import AnyArray, FloatArray
from mischance.reports.canvas import Color, color

SHIFT = 4  # OpenCV draws with 1/16 pixel: bodies glide, they do not hop

PAPER, INK, FAINT, LINE = color("#ffffff"), color("#1b2430"), color("#5b6777"), color("#d8dee6")
GROUND, ASPHALT, FENCE, GRID = color("#e9eee7"), color("#c9d0d8"), color("#8b949f"), color("#dce3db")
EVENT, GOOD, FAULT, BRAKE = color("#d0342c"), color("#157347"), color("#8a6d1a"), color("#ff3b30")
AREAS = {
    **dict.fromkeys(SURFACES, ASPHALT), "patch": color("#8fc3ea"), "zone": color("#f2c879"), "obstacle": FENCE
}  # fmt: skip
GLAZED = ("patch", "zone")  # what is below them shines through
ROLES = {
    "subject": color("#1f5fe0"), "partner": color("#0b7a6e"), "other": color("#566377"),
    "need": color("#c2410c"), "limit": FAINT,
}  # fmt: skip
PAINTS = {
    "glass": color("#16202c"), "dark": color("#28323e"), "lamp": color("#fff4c9"), "tail": color("#6d1b1b"),
    "skin": color("#e6bd94"), "block": color("#7c8a78"),
}  # fmt: skip


def mixed(ink: Color, ground: Color, share: float) -> Color:
    """Return `share` of a colour on another one."""
    blue, green, red = (round(share * a + (1.0 - share) * b) for a, b in zip(ink, ground, strict=True))
    return blue, green, red


def line(image: AnyArray, points: FloatArray, ink: Color, thick: int) -> None:
    """Draw a line through points (n, 2)."""
    if len(points) and np.isfinite(points).all():
        cv2.polylines(image, [fine_all(points)], False, ink, thick, cv2.LINE_AA, SHIFT)


def dotted(image: AnyArray, points: FloatArray, ink: Color, thick: int, on: float, off: float) -> None:
    """Draw a line of dashes, `on` pixels long and `off` pixels apart."""
    if len(points) < 2:
        return
    for first, last in dashes(points, on, on + off):
        line(image, np.stack([first, last]), ink, thick)


def fill(image: AnyArray, points: FloatArray, ink: Color) -> None:
    """Fill an outline (n, 2)."""
    if len(points) > 2 and np.isfinite(points).all():  # OpenCV fails at what has no area
        cv2.fillPoly(image, [fine_all(points)], ink, cv2.LINE_AA, SHIFT)


def glaze(image: AnyArray, points: FloatArray, ink: Color, share: float, *, strip: bool = False) -> None:
    """Fill an outline (n, 2) so that what is below shines through; `strip`: one border, then the other one back."""
    over = image.copy()
    if strip:  # piece by piece: wide and around a bend, it covers itself
        back = points[::-1]
        for i in range(len(points) // 2 - 1):
            fill(over, np.stack([points[i], points[i + 1], back[i + 1], back[i]]), ink)
    else:
        fill(over, points, ink)
    cv2.addWeighted(over, share, image, 1.0 - share, 0.0, dst=image)


def arrow(image: AnyArray, start: FloatArray, end: FloatArray, ink: Color, thick: int) -> None:
    """Draw an arrow."""
    away = end - start
    long = float(np.hypot(*away))
    if long < 1.0:
        return
    along = away / long
    across, head = np.array([-along[1], along[0]]), 3.0 + 2.5 * thick
    line(image, np.stack([start, end - 0.7 * head * along]), ink, thick)
    fill(image, np.stack([end, end - head * (along + 0.42 * across), end - head * (along - 0.42 * across)]), ink)


def cross(image: AnyArray, point: FloatArray, size: float, ink: Color, thick: int) -> None:
    """Draw a cross."""
    for side in (1.0, -1.0):
        line(image, point + np.array([[-size, -side * size], [size, side * size]]), ink, thick)


def dashes(points: FloatArray, on: float, period: float) -> list[tuple[FloatArray, FloatArray]]:
    """Return pieces of a line, `on` long, one every `period`; at most 2,000 of them."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    starts = np.arange(0.0, along[-1], period)[:2000]
    ends = np.minimum(starts + on, along[-1])

    def spot(s: FloatArray) -> FloatArray:
        return np.stack([np.interp(s, along, points[:, 0]), np.interp(s, along, points[:, 1])], axis=1)

    return list(zip(spot(starts), spot(ends), strict=True))


def fine(point: FloatArray) -> tuple[int, int]:
    """Return a point in OpenCV's sixteenths."""
    return round(float(point[0]) * (1 << SHIFT)), round(float(point[1]) * (1 << SHIFT))


def fine_all(points: FloatArray) -> AnyArray:
    """Return points in OpenCV's sixteenths."""
    # What lies far outside is clipped by OpenCV, as long as it fits its integers.
    return np.round(np.clip(points, -1e5, 1e5) * (1 << SHIFT)).astype(np.int32).reshape(-1, 1, 2)


def wrapped(text: str, wide: float, size: float) -> list[str]:
    """Return a text in lines that are no wider than that."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if width(longer, size) <= wide or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def width(text: str, size: float, bold: bool = False) -> float:
    """Return how wide a line of text is."""
    (found, _), _ = cv2.getTextSize(_ascii(text), cv2.FONT_HERSHEY_SIMPLEX, size / 27, 1)
    return float(found) + (1.0 if bold else 0.0)


def write(
    image: AnyArray, text: str, x: float, y: float, size: float, ink: Color, *, bold: bool = False, right: bool = False
) -> float:
    """Write a line and return where it ends; `right`: x is its end."""
    wide = width(text, size, bold)
    x = x - wide if right else x
    for shift in (0, 1) if bold else (0,):
        cv2.putText(
            image, _ascii(text), (round(x) + shift, round(y)), cv2.FONT_HERSHEY_SIMPLEX, size / 27, ink, 1, cv2.LINE_AA
        )
    return x + wide


def plate(
    image: AnyArray, lines: Sequence[str], x: float, y: float, size: float, inks: Sequence[Color], bar: Color
) -> tuple[float, float, float, float]:
    """Write some lines on paper whose upper right corner is at (x, y); return its left, top, right, bottom."""
    wide, tall = max(width(text, size, True) for text in lines) + 18, 1.45 * size * len(lines) + 8
    left = x - wide
    cv2.rectangle(image, (round(left), round(y)), (round(x), round(y + tall)), PAPER, -1)
    cv2.rectangle(image, (round(left), round(y)), (round(left) + 3, round(y + tall)), bar, -1)
    for i, (text, ink) in enumerate(zip(lines, inks, strict=True)):
        write(image, text, left + 10, y + 1.45 * size * (i + 1) - 1, size, ink, bold=i == 0)
    return left, y, x, y + tall


def _ascii(text: str) -> str:
    """OpenCV's own letters are ASCII in older versions."""
    for fancy, plain in (
        ("²", "2"),
        ("³", "3"),
        ("−", "-"),
        ("·", "-"),
        ("Δv", "delta-v"),
        ("–", "-"),
        ("°", " deg"),
        ("×", "x"),
        ("…", "..."),
    ):
        text = text.replace(fancy, plain)
    return text.encode("ascii", "replace").decode()
