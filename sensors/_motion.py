"""Poses of mounted sensors: interpolation between the samples of a motion, and frames of bodies.

A time t belongs to the physics step (t_i, t_i+1] that contains it, so a sample never depends on a step before a
change. All functions are element-wise over runs and times: a run's bytes depend neither on its neighbours nor on
the cuts in time. Quaternions are xyzw, poses are position xyz [m] and quaternion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mischance.errors import RunError

if TYPE_CHECKING:
    from mischance.api.runs import Chunk
    from mischance.api.scene import Motion, Scene
    from mischance.api.tables import FloatArray, IntArray

IDENTITY = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])


@dataclass(frozen=True, slots=True)
class Steps:
    """The physics step of each time: samples `before` and `after`, and the fraction between them in (0, 1]; (n,)."""

    before: IntArray
    after: IntArray
    weight: FloatArray
    seconds: FloatArray


def steps(motion: Motion, t: FloatArray) -> Steps:
    """Return the step (t_i, t_i+1] around each time; the first sample itself if there is no step before it."""
    after = np.minimum(np.searchsorted(motion.t, t, side="left"), len(motion.t) - 1).astype(np.int64)
    before = np.maximum(after - 1, 0)
    seconds = motion.t[after] - motion.t[before]
    whole = seconds <= 0
    weight = np.where(whole, 1.0, (t - motion.t[before]) / np.where(whole, 1.0, seconds))
    return Steps(before, after, np.clip(weight, 0.0, 1.0), seconds)


def poses_at(pose: FloatArray, at: Steps) -> FloatArray:
    """Return poses inside their steps: (runs, samples, ..., 7) -> (runs, n, ..., 7).

    Positions are interpolated linearly, quaternions by `nlerp`.
    """
    first, last = pose[:, at.before], pose[:, at.after]
    weight = at.weight.reshape(-1, *[1] * (pose.ndim - 2))
    position = first[..., :3] * (1.0 - weight) + last[..., :3] * weight
    return np.concatenate([position, nlerp(first[..., 3:], last[..., 3:], weight)], axis=-1)


def nlerp(a: FloatArray, b: FloatArray, weight: FloatArray | float) -> FloatArray:
    """Return the normalised linear interpolation of two rotations, along the shorter arc; (..., 4).

    Exact at both ends and half-way, and within 4e-9 rad of a uniform rotation for a step of 0.01 rad. It uses a
    square root but no sine, so it gives the same bits on every machine.
    """
    q = a * (1.0 - weight) + np.where(_dot(a, b) < 0, -b, b) * weight
    return np.asarray(q / np.sqrt(_dot(q, q)), np.float64)


def multiply(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the rotation b followed by a, the Hamilton product a b; (..., 4)."""
    ax, ay, az, aw = (a[..., i] for i in range(4))
    bx, by, bz, bw = (b[..., i] for i in range(4))
    return np.stack(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        axis=-1,
    )


def rotate(q: FloatArray, v: FloatArray) -> FloatArray:
    """Return v rotated by q: from the body's frame to the world's; (..., 4), (..., 3) -> (..., 3)."""
    u, w = q[..., :3], q[..., 3:]
    s = 2.0 * cross(u, v)
    return v + w * s + cross(u, s)


def unrotate(q: FloatArray, v: FloatArray) -> FloatArray:
    """Return v rotated by the inverse of q: from the world's frame to the body's."""
    return rotate(q * np.array([-1.0, -1.0, -1.0, 1.0]), v)


def compose(outer: FloatArray, inner: FloatArray) -> FloatArray:
    """Return the world pose of `inner`, given in the frame of `outer`; (..., 7)."""
    position = outer[..., :3] + rotate(outer[..., 3:], inner[..., :3])
    return np.concatenate([position, multiply(outer[..., 3:], inner[..., 3:])], axis=-1)


def cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the cross product; (..., 3)."""
    ax, ay, az = (a[..., i] for i in range(3))
    bx, by, bz = (b[..., i] for i in range(3))
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    product = a * b
    total: FloatArray = product[..., 0:1] + product[..., 1:2] + product[..., 2:3] + product[..., 3:4]
    return total


def motion_of(chunk: Chunk, sensor: str) -> Motion:
    """Return the chunk's motion.

    Raises:
        RunError: the world has no bodies, or its settings turn off motion or scene.
    """
    if chunk.motion is not None and chunk.scenes:
        return chunk.motion
    if chunk.motion is None and chunk.scenes:
        raise RunError(
            f"sensor {sensor!r} needs the poses of bodies at every step, which the world was told not to show",
            "set `simulator.motion: true` (on the command line: --set simulator.motion=true)",
        )
    raise RunError(
        f"sensor {sensor!r} needs moving bodies, and this world shows none",
        "use a world such as 'road'; where the world has a setting `motion`, it must be true",
    )


def scene_of(chunk: Chunk, run: int) -> Scene:
    """Return the scene of one run of the batch; a chunk may have one scene for all runs."""
    return chunk.scenes[run if len(chunk.scenes) == chunk.runs else 0]


def find_mount(scene: Scene, mount: str, sensor: str) -> tuple[int, FloatArray]:
    """Return the body that carries a sensor, and the mount's pose in its frame; `mount` is `ego.windscreen` or `ego`.

    Raises:
        RunError: the scene has no such body, or the body no such mount; the message lists the existing ones.
    """
    names = [body.name for body in scene.bodies]
    body, _, place = (mount, "", "") if mount in names else mount.rpartition(".")
    if body not in names:
        raise RunError(f"sensor {sensor!r}: the scene has no body {body or mount!r}", f"bodies: {', '.join(names)}")
    index = names.index(body)
    mounts = scene.bodies[index].mounts
    if place and place not in mounts:
        known = ", ".join(f"{body}.{name}" for name in sorted(mounts)) or f"only '{body}' itself"
        raise RunError(f"sensor {sensor!r}: body {body!r} has no mount {place!r}", f"mounts: {known}")
    return index, np.asarray(mounts[place], np.float64) if place else IDENTITY


def body_poses(chunk: Chunk, motion: Motion, run: int, at: Steps) -> FloatArray:
    """Return the poses of every body of one run's scene, static ones at the identity; (n, bodies, 7)."""
    bodies = scene_of(chunk, run).bodies
    pose = np.tile(IDENTITY, (len(at.weight), len(bodies), 1))
    place = {name: i for i, name in enumerate(motion.bodies)}
    moving = [i for i, body in enumerate(bodies) if body.name in place]
    columns = [place[bodies[i].name] for i in moving]
    pose[:, moving] = poses_at(motion.pose[run : run + 1][:, :, columns], at)[0]
    return pose
