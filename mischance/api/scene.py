"""Scenes and images: bodies with shapes, their motion, cameras and the frames that they see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from mischance.api.read_only import read_only
from mischance.api.tables import AnyArray, FloatArray, IntArray
from mischance.errors import TruthError


@dataclass(frozen=True, slots=True)
class Material:
    """How a surface looks and reflects.

    `color`: red, green, blue in 0-1, as in the image (sRGB). `roughness` and `metallic` in 0-1, as in glTF 2.0.
    `texture`: name of a procedural or stored texture, '' for none. `reflectance`: share of infrared light (905 nm)
    that a LiDAR gets back at normal incidence, 0-1. `emission`: light of its own, as a multiple of its colour.
    """

    color: tuple[float, float, float] = (0.6, 0.6, 0.6)
    roughness: float = 0.8
    metallic: float = 0.0
    texture: str = ""
    reflectance: float = 0.3
    emission: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """Triangles in the frame of a shape.

    `vertices` (n, 3) [m]; `triangles` (m, 3) indices, counter-clockwise seen from outside; `normals` (n, 3) or None for
    flat faces; `uv` (n, 2) texture coordinates or None.
    """

    vertices: FloatArray
    triangles: IntArray
    normals: FloatArray | None = None
    uv: FloatArray | None = None

    def __post_init__(self) -> None:
        wrong = self.vertices.shape[1:] != (3,) or self.triangles.shape[1:] != (3,)
        if wrong or (
            len(self.triangles) and not 0 <= self.triangles.min() <= self.triangles.max() < len(self.vertices)
        ):
            raise TruthError(
                f"a mesh has vertices of shape {self.vertices.shape} and triangles of shape {self.triangles.shape}",
                "they are (n, 3) and (m, 3), and triangles are indices of vertices",
            )
        for name, values, width in (("normals", self.normals, 3), ("uv", self.uv, 2)):
            if values is not None and values.shape != (len(self.vertices), width):
                raise TruthError(f"a mesh of {len(self.vertices)} vertices has {name} of shape {values.shape}")


@dataclass(frozen=True, slots=True)
class Shape:
    """A box, sphere, cylinder, plane or mesh, in its body's frame.

    `size`: box (length, width, height), sphere (radius, 0, 0), cylinder along z (radius, height, 0),
    plane (0, 0, 0) [m]; mesh: factors along x, y, z. `pose`: position xyz [m] and quaternion xyzw. `color`: red, green,
    blue in 0-1, where there is no `material`.
    """

    kind: str
    size: tuple[float, float, float]
    pose: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    color: tuple[float, float, float] = (0.6, 0.6, 0.6)
    material: Material | None = None
    mesh: Mesh | None = None

    @property
    def surface(self) -> Material:
        """Its material, or a matt one of its colour."""
        return self.material or Material(self.color)


@dataclass(frozen=True, slots=True)
class Body:
    """One rigid thing of a scene. `category` is empty for scenery, which gets no labels.

    `mounts` are places where a sensor may sit: name -> pose in the body's frame, x forward, z up.
    """

    name: str
    category: str
    shapes: tuple[Shape, ...]
    mounts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    moving: bool = True


@dataclass(frozen=True, slots=True)
class Scene:
    """What a renderer needs to draw. Instance id of bodies[i] in an image is i + 1; 0 is background."""

    bodies: tuple[Body, ...]

    def index(self, name: str) -> int:
        """Return the place of a body.

        Raises:
            TruthError: no body has that name.
        """
        names = [body.name for body in self.bodies]
        if name not in names:
            raise TruthError(f"the scene has no body {name!r}", f"it has: {', '.join(names)}")
        return names.index(name)


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Where bodies were: `t` (n,) [s]; `pose` (runs, n, bodies, 7) xyz [m] and quaternion xyzw;
    `velocity` (runs, n, bodies, 6) linear [m/s] and angular [rad/s], world frame.

    `t[0]` is the chunk's start, so that no sensor carries state over a border. A run that is over
    keeps its last pose; `Chunk.ends` says from where its rows no longer count. The arrays are taken over.
    """

    bodies: tuple[str, ...]
    t: FloatArray
    pose: FloatArray
    velocity: FloatArray

    def __post_init__(self) -> None:
        for name in ("t", "pose", "velocity"):
            object.__setattr__(self, name, read_only(getattr(self, name)))


@dataclass(frozen=True, slots=True, eq=False)
class Camera:
    """What a renderer must know of a camera.

    `pose` (n, 7): world position and quaternion xyzw of a frame that looks along +x with z up.
    `fov`: horizontal opening [rad]. `near`, `far` [m].
    """

    size: tuple[int, int]
    fov: float
    pose: FloatArray
    passes: tuple[str, ...] = ("rgb",)
    near: float = 0.1
    far: float = 300.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "pose", read_only(self.pose))


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Images of one run at times `t` (n,): pass name -> (n, height, width[, channels]).

    `rgb` uint8 (…, 3); `depth` float32 along the view axis [m], +inf where nothing is; `instance` uint16.
    `index`: the tick of the sensor's clock that each image belongs to; it names the file. Shape (n,).
    """

    t: FloatArray
    passes: Mapping[str, AnyArray]
    index: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        object.__setattr__(self, "t", read_only(self.t))
        object.__setattr__(self, "index", read_only(self.index))
        passes = {name: read_only(images) for name, images in self.passes.items()}
        object.__setattr__(self, "passes", MappingProxyType(passes))

    def __reduce__(self) -> tuple[Any, ...]:
        return Frames, (self.t, dict(self.passes), self.index)


def join_frames(parts: Sequence[tuple[Frames, ...]]) -> tuple[Frames, ...]:
    """Join images of the same runs that follow each other in time; an empty piece may come without a shape."""
    joined = []
    for run in zip(*parts, strict=True):
        full = [frames for frames in run if len(frames.t)] or [run[0]]
        passes = {name: np.concatenate([frames.passes[name] for frames in full]) for name in full[0].passes}
        joined.append(Frames(np.concatenate([f.t for f in full]), passes, np.concatenate([f.index for f in full])))
    return tuple(joined)


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """Rays to cast into a scene at one time each.

    `origin` (n, m, 3) and `direction` (n, m, 3): m rays at each of n times, world frame, directions of length 1.
    `near`, `far`: nearest and farthest distance of a hit [m].
    """

    origin: FloatArray
    direction: FloatArray
    near: float = 0.0
    far: float = 300.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "origin", read_only(self.origin))
        object.__setattr__(self, "direction", read_only(self.direction))


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """The first hit of each ray; every array starts with the shape (n, m) of the rays.

    `distance` along the ray [m], +inf for no hit; `instance`: index of the body + 1, 0 for no hit; `normal` (n, m, 3)
    of the surface, towards the ray's origin, zeros for no hit; `shape`: index of the body's shape, whose material it
    is, -1 for no hit.
    """

    distance: FloatArray
    instance: IntArray
    normal: FloatArray
    shape: IntArray

    def __post_init__(self) -> None:
        for name in ("distance", "instance", "normal", "shape"):
            object.__setattr__(self, name, read_only(getattr(self, name)))
