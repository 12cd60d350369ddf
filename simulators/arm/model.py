"""Model of the arm: dimensions, masses, forward and inverse kinematics, and gravity torques.

Six revolute joints with a spherical wrist, so that inverse kinematics has a closed form. At q = 0 the upper arm
points up (z) and forearm and tool point forward (x). Joint axes there: z, y, y, x, y, x. Sizes and masses are
those of a generic arm for about 5 kg of payload, not of a product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import acos, atan2, cos, hypot, sin, sqrt

from mischance.errors import RunError

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]  # rows

G = 9.80665
SHOULDER, UPPER, FOREARM, TOOL = 0.36, 0.45, 0.42, 0.23
"""Height of joint 2, lengths of upper arm and forearm, wrist centre to the point between the finger pads [m]."""
FLANGE = 0.11  # wrist centre to the flange's face [m]
JOINTS = 6
TORQUE = (150.0, 150.0, 100.0, 28.0, 28.0, 28.0)  # maximum motor torques [N m]
SPEED = (1.5, 1.5, 2.0, 3.0, 3.0, 3.0)  # maximum planned joint speeds [rad/s]
ACCELERATION = (5.0, 5.0, 7.0, 15.0, 15.0, 15.0)  # maximum planned joint accelerations [rad/s2]
RANGE = (3.0, 2.0, 2.6, 3.1, 2.2, 6.2)  # +- joint limits [rad]


@dataclass(frozen=True, slots=True)
class Link:
    """A link as a box: position of its joint in the parent's frame, centre of mass in its own frame, size, mass."""

    name: str
    place: Vector
    centre: Vector
    size: Vector
    mass: float
    axis: Vector
    parent: int  # index of the parent link, -1 = base
    slides: bool = False


LINKS: tuple[Link, ...] = (
    Link("shoulder", (0.0, 0.0, 0.20), (0.0, 0.0, 0.08), (0.13, 0.13, 0.16), 5.0, (0.0, 0.0, 1.0), -1),
    Link("upper_arm", (0.0, 0.0, 0.16), (0.0, 0.0, 0.225), (0.11, 0.11, 0.40), 6.0, (0.0, 1.0, 0.0), 0),
    Link("forearm", (0.0, 0.0, 0.45), (0.10, 0.0, 0.0), (0.22, 0.09, 0.09), 4.0, (0.0, 1.0, 0.0), 1),
    Link("wrist_roll", (0.20, 0.0, 0.0), (0.11, 0.0, 0.0), (0.18, 0.08, 0.08), 1.8, (1.0, 0.0, 0.0), 2),
    Link("wrist_pitch", (0.22, 0.0, 0.0), (0.02, 0.0, 0.0), (0.08, 0.07, 0.07), 1.2, (0.0, 1.0, 0.0), 3),
    Link("flange", (0.06, 0.0, 0.0), (0.025, 0.0, 0.0), (0.05, 0.07, 0.07), 0.6, (1.0, 0.0, 0.0), 4),
    Link("gripper", (0.05, 0.0, 0.0), (0.03, 0.0, 0.0), (0.06, 0.12, 0.06), 0.8, (0.0, 0.0, 0.0), 5),
    Link("left_finger", (0.06, 0.0, 0.0), (0.04, 0.006, 0.0), (0.08, 0.012, 0.03), 0.1, (0.0, 1.0, 0.0), 6, True),
    Link("right_finger", (0.06, 0.0, 0.0), (0.04, -0.006, 0.0), (0.08, 0.012, 0.03), 0.1, (0.0, -1.0, 0.0), 6, True),
)
GRIPPER, LEFT, RIGHT = 6, 7, 8
HAND_MASS = sum(link.mass for link in LINKS[GRIPPER:])  # mass beyond the force sensor at the flange [kg]
HAND_CENTRE = (
    sum(
        link.mass * (link.centre[0] + (LINKS[GRIPPER + 1].place[0] if link.slides else 0.0)) for link in LINKS[GRIPPER:]
    )
    / HAND_MASS
)  # its centre of mass along the tool, from the flange's face [m]


@dataclass(frozen=True, slots=True)
class Pose:
    """Pose of the arm: origin and axis of each joint, the flange's orientation, and the tool centre point."""

    origins: tuple[Vector, ...]
    axes: tuple[Vector, ...]
    rotations: tuple[Matrix, ...]
    tool: Vector

    @property
    def rotation(self) -> Matrix:
        """The orientation of flange and tool."""
        return self.rotations[-1]


def forward(q: Sequence[float]) -> Pose:
    """Return the pose at joint angles q (6,) [rad]."""
    turn: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    at: Vector = (0.0, 0.0, 0.0)
    origins, axes, rotations = [], [], []
    for link, angle in zip(LINKS, q, strict=False):
        at = add(at, apply(turn, link.place))
        origins.append(at)
        axes.append(apply(turn, link.axis))
        turn = turned(turn, link.axis, angle)
        rotations.append(turn)
    reach = TOOL - LINKS[5].place[0]
    tool = add(at, apply(turn, (reach, 0.0, 0.0)))
    return Pose(tuple(origins), tuple(axes), tuple(rotations), tool)


def inverse(tool: Sequence[float], rotation: Matrix) -> tuple[float, ...]:
    """Return the joint angles (6,) for a tool pose, elbow up and wrist not flipped.

    Raises:
        RunError: the arm does not reach that far.

    Source:
        D. L. Pieper, The kinematics of manipulators under computer control, 1968 (spherical wrist).
    """
    x, y, z = (tool[i] - TOOL * rotation[i][0] for i in range(3))
    q1 = atan2(y, x)
    along, up = hypot(x, y), z - SHOULDER
    apart = hypot(along, up)
    if not abs(UPPER - FOREARM) < apart < UPPER + FOREARM:
        raise RunError(
            f"the arm does not reach ({tool[0]:.3f}, {tool[1]:.3f}, {tool[2]:.3f}) m",
            f"its wrist must stay within {UPPER + FOREARM:.2f} m of the shoulder at height {SHOULDER} m",
        )
    # angle of the upper arm from the vertical, elbow above the line to the wrist
    lean = atan2(along, up)
    q2 = lean - acos(_unit((UPPER * UPPER + apart * apart - FOREARM * FOREARM) / (2.0 * UPPER * apart)))
    wrist = atan2(-(up - UPPER * cos(q2)), along - UPPER * sin(q2))  # pitch of the forearm
    q3 = wrist - q2
    near = product(about((0.0, 0.0, 1.0), q1), about((0.0, 1.0, 0.0), wrist))
    rest = product(transpose(near), rotation)
    q5 = atan2(hypot(rest[1][0], rest[2][0]), rest[0][0])
    q4 = atan2(rest[1][0], -rest[2][0])
    q6 = atan2(rest[0][1], rest[0][2])
    return (q1, q2, q3, q4, q5, q6)


def downward(yaw: float = 0.0) -> Matrix:
    """Return the orientation of a tool that points down, its fingers opening along y turned by `yaw` [rad]."""
    return product(about((0.0, 0.0, 1.0), yaw), ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)))


def gravity_torque(q: Sequence[float], payload: float = 0.0) -> tuple[float, ...]:
    """Return the joint torques (6,) [N m] that hold the arm still, with a payload [kg] at the tool centre point."""
    pose = forward(q)
    torques = [0.0] * JOINTS
    loads = [
        (i, link.mass, add(pose.origins[i], apply(pose.rotations[i], link.centre)))
        for i, link in enumerate(LINKS[:JOINTS])
    ]
    flange = add(pose.tool, apply(pose.rotation, (FLANGE - TOOL, 0.0, 0.0)))
    loads.append((5, HAND_MASS, add(flange, apply(pose.rotation, (HAND_CENTRE, 0.0, 0.0)))))
    loads.append((5, payload, pose.tool))
    for last, mass, centre in loads:
        for j, torque in enumerate(force_torque(pose, centre, (0.0, 0.0, mass * G))[: last + 1]):
            torques[j] += torque
    return tuple(torques)


def force_torque(pose: Pose, point: Vector, force: Vector) -> list[float]:
    """Return the joint torques (6,) [N m] of a force [N] at `point`: transposed Jacobian times force."""
    return [
        dot(axis, cross(subtract(point, origin), force)) for origin, axis in zip(pose.origins, pose.axes, strict=True)
    ]


# -- vectors as tuples: faster than arrays for six joints ------------------------------------------------------------


def add(a: Vector, b: Vector) -> Vector:
    """Return a + b."""
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def subtract(a: Vector, b: Vector) -> Vector:
    """Return a - b."""
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def scale(a: Vector, factor: float) -> Vector:
    """Return a times a number."""
    return (a[0] * factor, a[1] * factor, a[2] * factor)


def dot(a: Vector, b: Vector) -> float:
    """Return a . b."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    """Return a x b."""
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def length(a: Vector) -> float:
    """Return |a|."""
    return sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2])


def apply(m: Matrix, v: Vector) -> Vector:
    """Return m v; written out for speed, as a run calls it thirty thousand times."""
    (a, b, c), (d, e, f), (g, h, i) = m
    x, y, z = v
    return (a * x + b * y + c * z, d * x + e * y + f * z, g * x + h * y + i * z)


def transpose(m: Matrix) -> Matrix:
    """Return the inverse rotation."""
    a, b, c = m
    return ((a[0], b[0], c[0]), (a[1], b[1], c[1]), (a[2], b[2], c[2]))


def product(m: Matrix, n: Matrix) -> Matrix:
    """Return m n: first n, then m."""
    columns = transpose(n)
    a, b, c = ((dot(row, columns[0]), dot(row, columns[1]), dot(row, columns[2])) for row in m)
    return (a, b, c)


def about(axis: Vector, angle: float) -> Matrix:
    """Return the rotation by `angle` [rad] about one of the axes x, y, z."""
    c, s = cos(angle), sin(angle)
    if axis[0]:
        return ((1.0, 0.0, 0.0), (0.0, c, -s), (0.0, s, c))
    if axis[1]:
        return ((c, 0.0, s), (0.0, 1.0, 0.0), (-s, 0.0, c))
    return ((c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0))


def turned(m: Matrix, axis: Vector, angle: float) -> Matrix:
    """Return product(m, about(axis, angle)) without multiplying by zeros and ones."""
    c, s = cos(angle), sin(angle)
    if axis[0]:
        a, b, d = ((x, c * y + s * z, c * z - s * y) for x, y, z in m)
    elif axis[1]:
        a, b, d = ((c * x - s * z, y, s * x + c * z) for x, y, z in m)
    else:
        a, b, d = ((c * x + s * y, c * y - s * x, z) for x, y, z in m)
    return (a, b, d)


def matrix(q: Sequence[float]) -> Matrix:
    """Return the rotation of a unit quaternion xyzw."""
    x, y, z, w = q
    return (
        (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)),
        (2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)),
        (2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)),
    )


def quaternion(x_axis: Vector) -> tuple[float, float, float, float]:
    """Return the quaternion xyzw of a frame with a given x axis and a level y axis."""
    yaw, pitch = atan2(x_axis[1], x_axis[0]), atan2(-x_axis[2], hypot(x_axis[0], x_axis[1]))
    cy, sy, cp, sp = cos(0.5 * yaw), sin(0.5 * yaw), cos(0.5 * pitch), sin(0.5 * pitch)
    return (-sy * sp, cy * sp, sy * cp, cy * cp)


def _unit(value: float) -> float:
    return min(max(value, -1.0), 1.0)
