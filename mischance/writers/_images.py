"""Encoding of single images; equal pixels give equal bytes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from mischance.api.tables import AnyArray

DEPTH_STEP = 0.005  # [m]
DEPTH_NONE = 65535


def save(stem: Path, name: str, image: AnyArray, compression: int) -> Path:
    """Write one image and return its file.

    Args:
        stem: path without suffix; its folder is created.
        name: pass: 'depth' is stored in steps of 5 mm.
        image: (h, w) or (h, w, 3).
        compression: zlib level.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    if name == "depth" and image.dtype.kind == "f":
        image = depth_steps(image)
    if image.dtype in (np.uint8, np.uint16) and (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        file, data = stem.with_suffix(".png"), _png(image, compression)
    else:
        file, data = stem.with_suffix(".npz"), _npz(name, image)
    file.write_bytes(data)
    return file


def depth_steps(depth: AnyArray) -> AnyArray:
    """Return depth [m] in steps of 5 mm as uint16; 65535 if it is too large, infinite or NaN."""
    with np.errstate(invalid="ignore"):
        steps = np.rint(depth.astype(np.float64) / DEPTH_STEP)
        inside = (steps >= 0) & (steps < DEPTH_NONE)
    result: AnyArray = np.where(inside, steps, DEPTH_NONE).astype(np.uint16)
    return result


def _png(image: AnyArray, compression: int) -> bytes:
    import cv2

    # OpenCV expects the order blue, green, red.
    pixels = np.ascontiguousarray(image[..., ::-1] if image.ndim == 3 else image)
    good, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, compression])
    if not good:
        raise ValueError(f"an image of shape {image.shape} cannot be a PNG")
    return bytes(data)


def _npz(name: str, image: AnyArray) -> bytes:
    """Return the bytes of np.savez, with a fixed time stamp."""
    array, archive = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array(array, np.ascontiguousarray(image), allow_pickle=False)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), array.getvalue(), zipfile.ZIP_DEFLATED, 1)
    return archive.getvalue()
