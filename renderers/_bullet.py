"""Scenes in PyBullet: one DIRECT client per scene, kept for the process, drawn by TinyRenderer."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from math import tan
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.engines import bullet
from mischance.errors import RunError

from ._meshes import triangles

if TYPE_CHECKING:
    from mischance.api.scene import Camera, Scene, Shape
    from mischance.api.tables import AnyArray, FloatArray

    from ._light import Light
    from ._meshes import Triangles


pybullet = bullet()
KEPT = 32
_stages: OrderedDict[object, Stage] = OrderedDict()


def stage_for(scene: Scene) -> Stage:
    """Return the scene in the engine: cached, or built."""
    shapes = tuple(
        tuple((s.kind, tuple(s.size), tuple(s.pose), s.surface, s.mesh) for s in b.shapes) for b in scene.bodies
    )
    key = os.getpid(), shapes  # a forked worker must not use its parent's clients
    stage = _stages.pop(key, None) or Stage(scene)
    _stages[key] = stage
    while len(_stages) > KEPT:
        _stages.popitem(last=False)[1].close()
    return stage


def forget() -> None:
    """Close every client."""
    while _stages:
        _stages.popitem()[1].close()


class Stage:
    """One scene in one client. Every pose is set before each image, so no image depends on another."""

    def __init__(self, scene: Scene, inside_out: bool = False) -> None:
        self._scene = scene
        self._far_sides: Stage | None = None
        self._client = pybullet.connect(pybullet.DIRECT)
        if self._client < 0:
            raise RunError("PyBullet gave no client")
        self._parts: list[tuple[int, int, Shape | None]] = []
        # Each shape costs the engine about 0.3 ms per image: shapes of one colour are merged into one mesh.
        parts: dict[tuple[int, object], list[Shape]] = {}
        for i, body in enumerate(scene.bodies):
            for shape in body.shapes:
                if not inside_out or _casts(shape):
                    parts.setdefault((i, shape if shape.kind == "plane" else shape.surface.color), []).append(shape)
        ids = [0]
        for (i, _), shapes in parts.items():
            plane = shapes[0] if shapes[0].kind == "plane" else None
            points, normals, faces = triangles(plane) if plane else _merged(shapes)
            if inside_out:
                faces = faces.reshape(-1, 3)[:, ::-1].ravel()
            unique = self._build((points, normals, faces), shapes[0])
            self._parts.append((unique, i, plane))
            ids += [0] * (unique + 2 - len(ids))
            ids[unique + 1] = i + 1
        self._ids = np.array(ids, np.uint16)

    def _build(self, mesh: Triangles, shape: Shape) -> int:
        points, normals, faces = mesh
        visual = pybullet.createVisualShape(
            pybullet.GEOM_MESH,
            vertices=points.tolist(),
            normals=normals.tolist(),
            indices=faces.tolist(),
            uvs=[[0.0, 0.0]] * len(points),
            rgbaColor=[*shape.surface.color, 1.0],
            specularColor=[0.0, 0.0, 0.0],
            physicsClientId=self._client,
        )
        return int(pybullet.createMultiBody(0.0, -1, visual, physicsClientId=self._client))

    def place(self, pose: FloatArray, eye: FloatArray) -> None:
        """Set the pose of every body relative to the camera: single precision is most accurate near the origin.

        Args:
            pose: world poses of the scene's bodies; (bodies, 7).
            eye: world pose of the camera; (7,). Planes are infinite: their square is kept under the camera.
        """
        for unique, body, plane in self._parts:
            at, turn = (pose[body, :3] - eye[:3]).tolist(), pose[body, 3:].tolist()
            if plane:
                at, turn = pybullet.multiplyTransforms(at, turn, plane.pose[:3], plane.pose[3:])
                normal = np.array(pybullet.getMatrixFromQuaternion(turn)[2::3])
                at = (normal * float(np.sum(normal * np.array(at)))).tolist()
            pybullet.resetBasePositionAndOrientation(unique, at, turn, physicsClientId=self._client)

    @property
    def far_sides(self) -> Stage:
        """The same scene with the inner far sides of closed shapes visible, not their near sides; no flat shapes."""
        if self._far_sides is None:
            self._far_sides = Stage(self._scene, inside_out=True)
        return self._far_sides

    def look(self, eye: FloatArray, camera: Camera, light: Light) -> tuple[AnyArray, AnyArray, AnyArray]:
        """Return colour (h, w, 3), depth (h, w) [m] and instance (h, w) as the placed camera sees them."""
        turn = np.array(pybullet.getMatrixFromQuaternion(eye[3:].tolist())).reshape(3, 3)
        return self.look_from(np.zeros(3), turn, camera.size, camera.fov, (camera.near, camera.far), light=light)

    def look_from(
        self,
        position: FloatArray,
        turn: FloatArray,
        size: tuple[int, int],
        fov: float,
        reach: tuple[float, float],
        *,
        light: Light,
    ) -> tuple[AnyArray, AnyArray, AnyArray]:
        """Return the same from a position near the camera; `turn` (3, 3) has the axes forward, left, up as columns."""
        width, height = size
        near, far = reach
        axes = np.stack([-turn[:, 1], turn[:, 2], -turn[:, 0]])  # OpenGL: view along -z, x to the right, y up
        view = np.eye(4)
        view[:3, :3] = axes
        view[:3, 3] = -np.sum(axes * position, axis=1)
        lens = np.zeros((4, 4))
        lens[0, 0] = 1.0 / tan(fov / 2)
        lens[1, 1] = lens[0, 0] * width / height
        lens[2, 2] = -(far + near) / (far - near)
        lens[2, 3] = -2.0 * far * near / (far - near)
        lens[3, 2] = -1.0
        # TinyRenderer samples a pixel at its lower left corner: a shift of half a pixel moves the sample to the centre.
        lens[0, 2], lens[1, 2] = 1.0 / width, 1.0 / height
        _, _, colour, buffer, unique = pybullet.getCameraImage(
            width,
            height,
            view.T.ravel().tolist(),
            lens.T.ravel().tolist(),
            lightDirection=light.towards.tolist(),
            lightColor=[1.0, 0.98, 0.94],
            lightAmbientCoeff=light.ambient,
            lightDiffuseCoeff=light.diffuse,
            lightSpecularCoeff=0.0,
            shadow=0,
            renderer=pybullet.ER_TINY_RENDERER,
            physicsClientId=self._client,
        )
        instance = self._ids[np.asarray(unique).reshape(height, width) + 1]
        ratio = 2.0 * np.asarray(buffer, np.float64).reshape(height, width) - 1.0
        depth = (2.0 * far * near / (far + near - ratio * (far - near))).astype(np.float32)
        depth[instance == 0] = np.inf
        return np.asarray(colour, np.uint8).reshape(height, width, 4)[..., :3], depth, instance

    def close(self) -> None:
        """Disconnect the client."""
        if self._far_sides is not None:
            self._far_sides.close()
        pybullet.disconnect(physicsClientId=self._client)


def _casts(shape: Shape) -> bool:
    """Return whether a shape casts a shadow: flat shapes on the ground would only shadow themselves."""
    return shape.kind != "plane" and (shape.kind != "box" or min(shape.size) >= 0.15)


def _merged(shapes: Sequence[Shape]) -> Triangles:
    """Return one mesh, in the body's frame, of several shapes."""
    points, normals, faces, count = [], [], [], 0
    for shape in shapes:
        p, n, f = triangles(shape)
        turn = np.array(pybullet.getMatrixFromQuaternion(shape.pose[3:])).reshape(3, 3)
        points.append(np.einsum("ij,nj->ni", turn, p) + np.array(shape.pose[:3]))
        normals.append(np.einsum("ij,nj->ni", turn, n))
        faces.append(f + count)
        count += len(p)
    return np.concatenate(points), np.concatenate(normals), np.concatenate(faces)
