"""What `render` shows: everybody from above around one actor, or, in a world without places, numbers as bars."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mischance.gym.spaces import yaw

Image = NDArray[np.uint8]
SIZE = (320, 640)  # height, width [px]
REACH = 60.0  # metres from the middle to the left and right edge
PAPER, INK, LINE = (255, 255, 255), (30, 41, 59), (217, 224, 232)
OWN, OTHER, STRUCK = (37, 99, 235), (217, 119, 6), (220, 38, 38)


def picture(title: str, actors: Mapping[str, Mapping[str, float]], own: str, state: Mapping[str, float]) -> Image:
    """Return an image, red, green and blue, shape (320, 640, 3), that actor in the middle and east to the right."""
    import cv2

    image: Image = np.full((*SIZE, 3), PAPER, np.uint8)
    if own in actors:
        _above(image, actors, own)
    else:
        _bars(image, state)
    cv2.putText(image, title, (10, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return image


def _above(image: Image, actors: Mapping[str, Mapping[str, float]], own: str) -> None:
    import cv2

    height, width = SIZE
    scale = width / (2.0 * REACH)
    x0, y0 = actors[own]["x"], actors[own]["y"]
    step = 10.0
    for k in range(math.ceil((x0 - REACH) / step), math.floor((x0 + REACH) / step) + 1):  # ten metres a line
        column = round(width / 2 + (k * step - x0) * scale)
        cv2.line(image, (column, 0), (column, height), LINE, 1)
    for name, row in actors.items():
        heading = yaw(row)
        along = 0.5 * row.get("length", 0.6) * np.array([math.cos(heading), math.sin(heading)])
        across = 0.5 * row.get("width", 0.6) * np.array([-math.sin(heading), math.cos(heading)])
        middle = np.array([row["x"] - x0, row["y"] - y0])
        corners = [middle + along + across, middle + along - across, middle - along - across, middle - along + across]
        points = np.array([[width / 2 + x * scale, height / 2 - y * scale] for x, y in corners])
        points = np.clip(points, -1e4, 1e4)  # far away is out of the picture, and no overflow
        ink = STRUCK if row.get("hit", 0.0) else OWN if name == own else OTHER
        cv2.fillPoly(image, [np.rint(points).astype(np.int32)], ink, cv2.LINE_AA)
        place = (int(points[:, 0].max()) + 4, int(points[:, 1].min()) - 4)
        cv2.putText(image, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)


def _bars(image: Image, state: Mapping[str, float]) -> None:
    import cv2

    shown = list(state.items())[:16]
    for i, (name, value) in enumerate(shown):
        row = 44 + 17 * i
        end = 420 + round(200 * math.tanh(value))
        cv2.rectangle(image, (min(420, end), row - 9), (max(420, end), row + 1), OWN, -1)
        cv2.putText(image, f"{name} = {value:.4g}", (10, row), cv2.FONT_HERSHEY_SIMPLEX, 0.38, INK, 1, cv2.LINE_AA)
