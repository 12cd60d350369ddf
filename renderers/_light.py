"""Lighting as post-processing: sky, haze and the sun's shadows, computed from the image's depth."""

from __future__ import annotations

from dataclasses import dataclass
from math import atan2, cos, sin, tan
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mischance.api.scene import Camera
    from mischance.api.tables import AnyArray, FloatArray

    from ._bullet import Stage

_HORIZON = np.array([0.84, 0.89, 0.93], np.float32)
_ZENITH = np.array([0.36, 0.58, 0.86], np.float32)
_TEXELS = 768
_SUN_DISTANCE = 250.0
_BIAS = 0.25  # depth bias: points closer than this behind an object's far side are lit [m]


@dataclass(frozen=True, slots=True)
class Light:
    """The sun's direction and strength, haze, and shadows.

    `ambient`, `diffuse`: shares of a surface's colour from all around, and from a sun straight above it. `darkness`:
    share of light that a shadow takes; 0 = no shadows. `reach`: half-side of the square of ground that has them [m].
    """

    azimuth: float
    elevation: float
    ambient: float
    diffuse: float
    visibility: float
    darkness: float
    reach: float

    @property
    def towards(self) -> FloatArray:
        """The direction to the sun; (3,)."""
        level = cos(self.elevation)
        return np.array([level * cos(self.azimuth), level * sin(self.azimuth), sin(self.elevation)])


def paint(stage: Stage, eye: FloatArray, camera: Camera, light: Light, image: tuple[AnyArray, AnyArray]) -> AnyArray:
    """Return the finished colour image (h, w, 3) uint8 from the engine's colour and depth."""
    colour, depth = image
    rays = _rays(eye, camera)
    lit = colour.astype(np.float32) * np.float32(1 / 255)
    solid = np.isfinite(depth)
    near = np.where(solid, depth, np.float32(0))
    if light.darkness > 0:
        lit *= _shadows(stage, eye, light, rays, near)[..., None]
    # Koschmieder: contrast falls as e^(-3 z / visibility), to 5 % at the visibility. A series replaces NumPy's exp,
    # whose last bits, and so a few pixels, differ between machines.
    x = near * np.float32(3.0 / light.visibility)
    clear = (1 / (1 + x * (1 + x * (np.float32(1 / 2) + x * (np.float32(1 / 6) + x * np.float32(1 / 24))))))[..., None]
    lit = np.where(solid[..., None], lit * clear + _HORIZON * (1 - clear), _sky(rays))
    painted: AnyArray = np.clip(lit * 255 + np.float32(0.5), 0, 255).astype(np.uint8)
    return painted


def halve(image: AnyArray) -> AnyArray:
    """Return the mean of every 2 x 2 pixels; (2 h, 2 w, 3) -> (h, w, 3) uint8."""
    wide = image.astype(np.uint16)
    mean: AnyArray = (wide[0::2, 0::2] + wide[1::2, 0::2] + wide[0::2, 1::2] + wide[1::2, 1::2] + 2) // 4
    return mean.astype(np.uint8)


def _rays(eye: FloatArray, camera: Camera) -> AnyArray:
    """Return the world direction of each pixel's ray, of unit length along the view axis; (h, w, 3) float32."""
    width, height = camera.size
    focal = width / 2 / tan(camera.fov / 2)
    left = ((width / 2 - np.arange(width) - 0.5) / focal).astype(np.float32)[None, :, None]
    up = ((height / 2 - np.arange(height) - 0.5) / focal).astype(np.float32)[:, None, None]
    ahead, aside, above = (axis.astype(np.float32) for axis in _axes(eye[3:]))
    rays: AnyArray = ahead + aside * left + above * up
    return rays


def _axes(q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return forward, left and up of an orientation, in the world; (3,) each."""
    x, y, z, w = q.tolist()
    return (
        np.array([1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)]),
        np.array([2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)]),
        np.array([2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)]),
    )


def _sky(rays: AnyArray) -> AnyArray:
    """Return the colour of a clear sky: pale at the horizon, and bluer with the sine of elevation."""
    x, y, z = rays[..., 0], rays[..., 1], rays[..., 2]
    blue = np.sqrt(np.clip(z / np.sqrt(x * x + y * y + z * z), 0, 1))[..., None]
    sky: AnyArray = _HORIZON + (_ZENITH - _HORIZON) * blue
    return sky


def _shadows(stage: Stage, eye: FloatArray, light: Light, rays: AnyArray, depth: AnyArray) -> AnyArray:
    """Return the share of light of each pixel, 1 - darkness to 1, from a depth image in the sun's direction; (h, w).

    The depth image contains the far sides of objects: so a lit face never shadows itself, whatever its slope.
    """
    ahead = _axes(eye[3:])[0] * np.array([1.0, 1.0, 0.0])
    middle = ahead * (light.reach * 0.75)
    down = -light.towards
    # Straight down: any horizontal direction may be `left`.
    left = np.array([-down[1], down[0], 0.0]) if abs(down[2]) < 0.9999 else np.array([0.0, 1.0, 0.0])
    left = left / np.sqrt(np.sum(left * left))
    up = np.asarray(np.cross(down, left), np.float64)
    place = middle - down * _SUN_DISTANCE
    fov = 2 * atan2(light.reach, _SUN_DISTANCE)
    reach = (_SUN_DISTANCE - 150.0, _SUN_DISTANCE + 150.0)
    turn: FloatArray = np.stack([down, left, up], axis=1).astype(np.float64)
    _, seen, _ = stage.far_sides.look_from(place, turn, (_TEXELS, _TEXELS), fov, reach, light=light)

    focal = np.float32(_TEXELS / 2 / tan(fov / 2))
    point = [rays[..., i] * depth - np.float32(place[i]) for i in range(3)]
    along, aside, above = (
        point[0] * np.float32(axis[0]) + point[1] * np.float32(axis[1]) + point[2] * np.float32(axis[2])
        for axis in (down, left, up)
    )
    u = np.float32(_TEXELS / 2 - 0.5) - focal * aside / along
    v = np.float32(_TEXELS / 2 - 0.5) - focal * above / along
    inside = (u > 1) & (v > 1) & (u < _TEXELS - 3) & (v < _TEXELS - 3)
    u, v = np.where(inside, u, np.float32(1)), np.where(inside, v, np.float32(1))
    column, row = u.astype(np.int32), v.astype(np.int32)
    right, below = u - column, v - row
    # Percentage-closer filtering: the four nearest texels, weighted, give soft edges.
    flat, first, limit = seen.ravel(), row * _TEXELS + column, along - np.float32(_BIAS)
    over = (flat[first] < limit) * (1 - right) + (flat[first + 1] < limit) * right
    under = (flat[first + _TEXELS] < limit) * (1 - right) + (flat[first + _TEXELS + 1] < limit) * right
    hidden = over + (under - over) * below
    kept: AnyArray = 1 - np.float32(light.darkness) * np.where(inside, hidden, np.float32(0))
    return kept
