"""Ray casting with Embree: which triangle a ray meets first, and exactly where.

Embree finds the triangle in single precision, relative to the mean origin of the rays; the distance is then computed
anew from that triangle's plane in double precision. Planes are endless and solved in closed form.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene

from mischance.api.scene import Hits

from ._meshes import triangles

if TYPE_CHECKING:
    from mischance.api.scene import Rays, Scene
    from mischance.api.tables import AnyArray, FloatArray, IntArray

KEPT = 8
_soups: OrderedDict[int, tuple[Scene, _Soup]] = OrderedDict()  # by identity; the scene is kept, so its id stays its own


@dataclass(frozen=True, slots=True, eq=False)
class _Soup:
    """All triangles of a scene: `corners` (n, 3, 3) in the frames of their bodies; body and shape of each (n,)."""

    corners: FloatArray
    body: IntArray
    shape: IntArray
    planes: tuple[tuple[int, int, FloatArray, FloatArray], ...]  # body, shape, a point, the normal; body's frame


def cast(scene: Scene, pose: FloatArray, rays: Rays) -> Hits:
    """Return the first hit of every ray; surfaces are hit from either side.

    Args:
        scene: bodies and their shapes.
        pose: world poses of the bodies at each time; (n, bodies, 7).
        rays: origins and directions of length 1, world frame; (n, m, 3).

    Raises:
        RunError: a shape of an unknown kind.
    """
    soup = _soup(scene)
    n, m = rays.origin.shape[:2]
    distance = np.full((n, m), np.inf)
    instance, shape = np.zeros((n, m), np.int64), np.full((n, m), -1, np.int64)
    normal = np.zeros((n, m, 3))
    for k in range(n):
        origin, direction = rays.origin[k], rays.direction[k]
        turn = rotation(pose[k, :, 3:])
        if len(soup.body) and m:
            corners = np.einsum("nij,nkj->nki", turn[soup.body], soup.corners) + pose[k, soup.body, None, :3]
            first = _first_triangle(corners, origin, direction, rays.near)
            there = np.flatnonzero(first >= 0)
            found = first[there]
            along, facing = _onto_plane(corners[found, 0], _normals(corners[found]), origin[there], direction[there])
            distance[k, there], normal[k, there] = along, facing
            instance[k, there], shape[k, there] = soup.body[found] + 1, soup.shape[found]
        for body, index, point, axis in soup.planes:
            at = np.einsum("ij,j->i", turn[body], point) + pose[k, body, :3]
            up = np.einsum("ij,j->i", turn[body], axis)
            along, facing = _onto_plane(at[None], np.broadcast_to(up, (m, 3)), origin, direction)
            nearer = (along >= rays.near) & (along < distance[k])
            distance[k, nearer], normal[k, nearer] = along[nearer], facing[nearer]
            instance[k, nearer], shape[k, nearer] = body + 1, index
    missed = ~((distance >= rays.near) & (distance <= rays.far))
    distance[missed], instance[missed], shape[missed], normal[missed] = np.inf, 0, -1, 0.0
    return Hits(distance, instance, normal, shape)


def rotation(quaternion: FloatArray) -> FloatArray:
    """Return rotation matrices (n, 3, 3) of unit quaternions xyzw (n, 4)."""
    x, y, z, w = quaternion.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def _first_triangle(corners: FloatArray, origin: FloatArray, direction: FloatArray, near: float) -> IntArray:
    """Return the index of the triangle that each ray meets first, -1 for none; shape (m,)."""
    centre = origin.mean(axis=0)  # near the origin single precision is finest
    embree = EmbreeScene()
    TriangleMesh(embree, np.ascontiguousarray(corners - centre, np.float32))
    start = np.ascontiguousarray(origin + near * direction - centre, np.float32)
    found: AnyArray = embree.run(start, np.ascontiguousarray(direction, np.float32))
    return np.asarray(found, np.int64)


def _normals(corners: FloatArray) -> FloatArray:
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.sqrt(np.einsum("ij,ij->i", normal, normal))[:, None]
    return normal / np.where(length > 0, length, 1.0)


def _onto_plane(
    point: FloatArray, normal: FloatArray, origin: FloatArray, direction: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the distance along each ray to a plane (m,), -inf for parallel ones, and its normal towards the origin."""
    slope = np.einsum("ij,ij->i", normal, direction)
    height = np.einsum("ij,ij->i", normal, point - origin)
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.where(slope != 0, height / slope, -np.inf)
    return along, np.where(slope > 0, -1.0, 1.0)[:, None] * normal


def _soup(scene: Scene) -> _Soup:
    """Return the triangles of a scene; those of the last scenes are kept."""
    kept = _soups.pop(id(scene), None) or (scene, _build(scene))
    _soups[id(scene)] = kept
    while len(_soups) > KEPT:
        _soups.popitem(last=False)
    return kept[1]


def _build(scene: Scene) -> _Soup:
    corners: list[FloatArray] = [np.zeros((0, 3, 3))]
    bodies: list[int] = []
    shapes: list[int] = []
    counts: list[int] = []
    planes = []
    for i, body in enumerate(scene.bodies):
        for j, shape in enumerate(body.shapes):
            place = np.asarray(shape.pose, np.float64)
            turn = rotation(place[None, 3:])[0]
            if shape.kind == "plane":
                planes.append((i, j, place[:3], turn[:, 2]))
                continue
            points, _, faces = triangles(shape)
            corners.append((np.einsum("ij,nj->ni", turn, points) + place[:3])[faces].reshape(-1, 3, 3))
            bodies.append(i)
            shapes.append(j)
            counts.append(len(faces) // 3)
    return _Soup(
        np.concatenate(corners),
        np.repeat(np.array(bodies, np.int64), counts),
        np.repeat(np.array(shapes, np.int64), counts),
        tuple(planes),
    )
