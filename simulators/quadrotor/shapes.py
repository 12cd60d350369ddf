# mypy: disable-error-code="no-any-return"
"""Distances of spheres from obstacles, times of first contact, and the impulse of one (compiled)."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from mischance.api.kernels import kernel

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray


@kernel
def distance(x: float, y: float, z: float, o: FloatArray, n: FloatArray) -> float:
    """Return the signed distance [m] of a point from an obstacle; write the outward unit normal into `n`.

    An obstacle is (kind, x, y, z, half length or radius, half width, half height, cos yaw, sin yaw); kind 0 is a box,
    1 an upright cylinder.
    """
    dx, dy, dz = x - o[1], y - o[2], z - o[3]
    if o[0] == 0.0:
        lx, ly = o[7] * dx + o[8] * dy, -o[8] * dx + o[7] * dy
        qx, qy, qz = abs(lx) - o[4], abs(ly) - o[5], abs(dz) - o[6]
        ox, oy, oz = max(qx, 0.0), max(qy, 0.0), max(qz, 0.0)
        d = sqrt(ox * ox + oy * oy + oz * oz)
        if d <= 0.0:
            d = max(qx, qy, qz)
            ox, oy, oz = (
                1.0 if qx == d else 0.0,
                1.0 if qy == d and qx != d else 0.0,
                1.0 if d not in (qx, qy) else 0.0,
            )
        length = sqrt(ox * ox + oy * oy + oz * oz)
        nx, ny = (ox if lx >= 0.0 else -ox) / length, (oy if ly >= 0.0 else -oy) / length
        n[0], n[1], n[2] = o[7] * nx - o[8] * ny, o[8] * nx + o[7] * ny, (oz if dz >= 0.0 else -oz) / length
        return d
    far = sqrt(dx * dx + dy * dy)
    qr, qz = far - o[4], abs(dz) - o[6]
    outer, above = max(qr, 0.0), max(qz, 0.0)
    d = sqrt(outer * outer + above * above)
    if d <= 0.0:
        d = max(qr, qz)
        outer, above = (1.0, 0.0) if qr == d else (0.0, 1.0)
    length = sqrt(outer * outer + above * above)
    if far > 0.0:
        n[0], n[1] = outer / length * dx / far, outer / length * dy / far
    else:
        n[0], n[1] = outer / length, 0.0
    n[2] = (above if dz >= 0.0 else -above) / length
    return d


@kernel
def clearance(x: float, y: float, z: float, radius: float, o: FloatArray, which: int, n: FloatArray) -> float:
    """Return the free distance of a sphere from obstacle `which` of `o`, or from the ground (-1)."""
    if which < 0:
        n[0], n[1], n[2] = 0.0, 0.0, 1.0
        return z - radius
    return distance(x, y, z, o[which], n) - radius


@kernel
def swept(a: FloatArray, b: FloatArray, radius: float, o: FloatArray, which: int, n: FloatArray) -> float:
    """Return the time (0-1) at which a sphere that moves straight from a to b first touches; 2 = never.

    Along a straight line the distance from a convex body is convex, so Newton's steps from the near side never pass
    the root: no tunnelling, and no contact where the distance no longer falls.
    """
    dx, dy, dz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    s = 0.0
    for _ in range(100):
        free = clearance(a[0] + s * dx, a[1] + s * dy, a[2] + s * dz, radius, o, which, n)
        slope = dx * n[0] + dy * n[1] + dz * n[2]
        if slope >= 0.0:
            return 2.0
        if free <= 1e-9:
            return s
        s -= free / slope
        if s > 1.0:
            return 2.0
    return 2.0


@kernel
def meeting(a0: FloatArray, a1: FloatArray, b0: FloatArray, b1: FloatArray, reach: float) -> float:
    """Return the time (0-1) at which two spheres in straight motion come within `reach` of each other; 2 = never."""
    aa, ab, ac = 0.0, 0.0, -reach * reach
    for i in range(3):
        r, v = b0[i] - a0[i], (b1[i] - b0[i]) - (a1[i] - a0[i])
        aa += v * v
        ab += r * v
        ac += r * r
    if ab >= 0.0:
        return 2.0
    if ac <= 0.0:
        return 0.0
    root = ab * ab - aa * ac
    if root < 0.0:
        return 2.0
    s = ac / (sqrt(root) - ab)
    return s if s <= 1.0 else 2.0


@kernel
def strike(v: FloatArray, n: FloatArray, restitution: float, friction: float) -> float:
    """Reflect a velocity from a fixed surface with normal n (Coulomb friction, no torque); return the normal impulse
    for each kilogram [m/s]."""
    into = v[0] * n[0] + v[1] * n[1] + v[2] * n[2]
    kick = -(1.0 + restitution) * into
    tx, ty, tz = v[0] - into * n[0], v[1] - into * n[1], v[2] - into * n[2]
    slide = sqrt(tx * tx + ty * ty + tz * tz)
    keep = max(1.0 - friction * kick / slide, 0.0) if slide > 0.0 else 0.0
    back = -restitution * into
    v[0], v[1], v[2] = keep * tx + back * n[0], keep * ty + back * n[1], keep * tz + back * n[2]
    return kick
