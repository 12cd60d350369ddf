"""Tessellation: boxes, spheres, cylinders, planes and meshes as triangles, for drawing and for ray casting."""

from __future__ import annotations

from math import cos, pi, sin
from typing import TYPE_CHECKING

import numpy as np

from mischance.errors import RunError

if TYPE_CHECKING:
    from mischance.api.scene import Mesh, Shape
    from mischance.api.tables import FloatArray, IntArray

    Triangles = tuple[FloatArray, FloatArray, IntArray]

RINGS, SECTORS = 16, 32  # of spheres and cylinders: finer than PyBullet's own, whose masks are too coarse
PLANE = 2000.0  # half-side of the square that stands for a plane [m]


def triangles(shape: Shape) -> Triangles:
    """Return a shape as points (n, 3), normals (n, 3) and corners of triangles (3 m,), in the frame of the shape.

    Raises:
        RunError: no such kind of shape, or a mesh shape without a mesh.
    """
    a, b, c = shape.size
    if shape.kind == "box":
        return _box(a / 2, b / 2, c / 2)
    if shape.kind == "plane":
        corners = np.array([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]])
        return corners * PLANE, np.tile([0.0, 0.0, 1.0], (4, 1)), np.array([0, 1, 2, 0, 2, 3])
    if shape.kind == "sphere":
        rings = [pi * k / RINGS for k in range(RINGS + 1)]
        return _turned(np.array([[a * sin(ring), a * cos(ring), sin(ring), cos(ring)] for ring in rings]))
    if shape.kind == "cylinder":
        top = _turned(np.array([[0.0, b / 2, 0.0, 1.0], [a, b / 2, 0.0, 1.0]]))
        side = _turned(np.array([[a, b / 2, 1.0, 0.0], [a, -b / 2, 1.0, 0.0]]))
        bottom = _turned(np.array([[a, -b / 2, 0.0, -1.0], [0.0, -b / 2, 0.0, -1.0]]))
        count = len(top[0])
        return (
            np.concatenate([top[0], side[0], bottom[0]]),
            np.concatenate([top[1], side[1], bottom[1]]),
            np.concatenate([top[2], side[2] + count, bottom[2] + 2 * count]),
        )
    if shape.kind == "mesh" and shape.mesh is not None:
        return _scaled(shape.mesh, np.array(shape.size, np.float64))
    raise RunError(
        f"a shape of kind {shape.kind!r} cannot be drawn", "kinds: box, cylinder, mesh (with a mesh), plane, sphere"
    )


def _scaled(mesh: Mesh, factors: FloatArray) -> Triangles:
    """Return a mesh stretched along its axes; a mesh without normals gets flat faces, with corners of their own."""
    points, corners = mesh.vertices * factors, mesh.triangles
    if np.prod(factors) < 0:  # a mirror image turns every triangle inside out
        corners = corners[:, ::-1]
    if mesh.normals is None:
        points = points[corners.ravel()]
        a, b, c = points[0::3], points[1::3], points[2::3]
        normals = np.repeat(_unit(np.cross(b - a, c - a)), 3, axis=0)
        return points, normals, np.arange(len(points))
    # Normals are covectors: they stretch with the inverse.
    return points, _unit(mesh.normals / factors), np.ascontiguousarray(corners.ravel())


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return vectors / np.where(length > 0, length, 1.0)


def _box(x: float, y: float, z: float) -> Triangles:
    points: list[FloatArray] = []
    normals: list[FloatArray] = []
    faces: list[IntArray] = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for side in (1.0, -1.0):
            faces.append(4 * len(normals) + np.array([0, 1, 2, 0, 2, 3]))
            normal = np.zeros(3)
            normal[axis] = side
            normals.append(normal)
            for du, dv in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                point = normal.copy()
                point[u], point[v] = du * side, dv
                points.append(point)
    return np.array(points) * [x, y, z], np.repeat(normals, 4, axis=0), np.concatenate(faces)


def _turned(profile: FloatArray) -> Triangles:
    """Turn a line of (radius, z, normal's radius, normal's z), from top to bottom, around the z axis."""
    angles = [2 * pi * k / SECTORS for k in range(SECTORS + 1)]
    circle = np.array([[cos(angle), sin(angle)] for angle in angles])
    radius, z, nr, nz = (np.repeat(column, len(angles))[:, None] for column in profile.T)
    around = np.tile(circle, (len(profile), 1))
    ring, sector = np.divmod(np.arange((len(profile) - 1) * SECTORS), SECTORS)
    a = ring * len(angles) + sector
    b = a + len(angles)
    faces = np.stack([a, b, a + 1, a + 1, b, b + 1], axis=1).ravel()
    return np.concatenate([around * radius, z], axis=1), np.concatenate([around * nr, nz], axis=1), faces
