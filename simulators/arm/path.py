"""Planned paths of the arm and of a person's hand: minimum-jerk paths as functions of time."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, sqrt

from mischance.errors import RunError

from .model import (
    ACCELERATION,
    RANGE,
    SPEED,
    Matrix,
    Vector,
    add,
    apply,
    cross,
    downward,
    inverse,
    length,
    matrix,
    quaternion,
    scale,
    subtract,
)
from .settings import Person, Settings

State = tuple[Vector, tuple[float, ...], Vector, Vector]  # position, orientation, velocity, angular velocity

HOME: Vector = (0.5, 0.0, 0.42)  # tool centre point, pointing down
LINE_SPEED, LINE_ACCELERATION = 0.8, 4.0  # of straight legs at full program speed [m/s], [m/s2]
GRASP, RELEASE = 0.30, 0.20  # durations of closing and opening the fingers [s]
GAP = 0.004  # height above the bin's floor at which the box is released [m]
FLOOR = 0.008  # thickness of the bin's floor [m]
UPPER_ARM, LOWER_ARM, WRIST = 0.30, 0.27, 0.07  # of a person: shoulder-elbow, elbow-wrist, wrist to mid-hand [m]


@dataclass(frozen=True, slots=True)
class Leg:
    """A leg of the program from time `start`, for `takes` seconds: a path in joint space or a straight line."""

    name: str
    start: float
    takes: float
    first: tuple[float, ...]
    last: tuple[float, ...]
    straight: bool
    closed: bool


class Program:
    """Pick and place, as joint angles over time.

    Source:
        T. Flash, N. Hogan, The coordination of arm movements, J. Neurosci. 5 (1985): minimum jerk.
    """

    def __init__(self, settings: Settings) -> None:
        task, box = settings.task, settings.object
        self._down: Matrix = downward()
        grip = 0.5 * box.size[2]
        pick, place = task.pick, task.place
        down_at = (*pick, grip)
        let_go = (*place, grip + FLOOR + GAP)
        self._speed = task.speed
        self.legs: list[Leg] = []
        self._end = task.wait
        home = self._joints(HOME)
        above_pick, above_place = (*pick, grip + task.lift), (*place, grip + task.lift)
        self._joint("approach", home, self._joints(above_pick), closed=False)
        self._line("lower", above_pick, down_at, closed=False)
        self._dwell("grasp", down_at, GRASP, closed=True)
        self._line("lift", down_at, above_pick, closed=True)
        self._joint("carry", self._joints(above_pick), self._joints(above_place), closed=True)
        self._line("set_down", above_place, let_go, closed=True)
        self._dwell("release", let_go, RELEASE, closed=False)
        self._line("retreat", let_go, above_place, closed=False)
        self.duration = self._end

    def leg(self, u: float) -> Leg:
        """Return the leg at program time u."""
        for leg in self.legs:
            if u < leg.start + leg.takes:
                return leg
        return self.legs[-1]

    def joints(self, u: float) -> tuple[float, ...]:
        """Return the joint angles (6,) at program time u [s]."""
        leg = self.leg(u)
        part = smooth((u - leg.start) / leg.takes)
        way = tuple(a + (b - a) * part for a, b in zip(leg.first, leg.last, strict=True))
        return self._joints((way[0], way[1], way[2])) if leg.straight else way

    def _joints(self, tool: Vector) -> tuple[float, ...]:
        q = inverse(tool, self._down)
        if any(abs(angle) > limit for angle, limit in zip(q, RANGE, strict=True)):
            raise RunError(f"a joint would have to turn beyond its range to reach {tool}", "choose a place nearer by")
        return q

    def _joint(self, name: str, first: tuple[float, ...], last: tuple[float, ...], *, closed: bool) -> None:
        takes = 0.1
        for a, b, speed, acceleration in zip(first, last, SPEED, ACCELERATION, strict=True):
            takes = max(takes, _takes(abs(b - a), speed * self._speed, acceleration * self._speed * self._speed))
        self._add(name, takes, first, last, straight=False, closed=closed)

    def _line(self, name: str, first: Vector, last: Vector, *, closed: bool) -> None:
        far = length(subtract(last, first))
        takes = _takes(far, LINE_SPEED * self._speed, LINE_ACCELERATION * self._speed * self._speed)
        self._add(name, takes, first, last, straight=True, closed=closed)

    def _dwell(self, name: str, at: Vector, takes: float, *, closed: bool) -> None:
        self._add(name, takes, at, at, straight=True, closed=closed)

    def _add(
        self,
        name: str,
        takes: float,
        first: tuple[float, ...],
        last: tuple[float, ...],
        *,
        straight: bool,
        closed: bool,
    ) -> None:
        self.legs.append(Leg(name, self._end, takes, first, last, straight, closed))
        self._end += takes


def _takes(far: float, speed: float, acceleration: float) -> float:
    """Return the duration of a minimum-jerk movement with peak speed and acceleration limited."""
    return max(1.875 * far / speed, sqrt(10.0 / sqrt(3.0) * far / acceleration))


def smooth(part: float) -> float:
    """Return the minimum-jerk profile: position from 0 to 1 over time from 0 to 1; constant outside."""
    s = min(max(part, 0.0), 1.0)
    return s * s * s * (10.0 + s * (6.0 * s - 15.0))


def smooth_rate(part: float) -> float:
    """Return the derivative of `smooth`; 0 outside 0-1."""
    s = min(max(part, 0.0), 1.0)
    return 30.0 * s * s * (1.0 - s) * (1.0 - s)


class Reach:
    """Planned path of a person's hand and forearm: straight from rest to the target, a pause there, and back."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.shoulder: Vector = person.shoulder()
        way = subtract(person.to, self.shoulder)
        self.far = length(way)
        self.ahead: Vector = scale(way, 1.0 / self.far)
        x, y = person.to[0] - person.stands[0], person.to[1] - person.stands[1]
        self.facing: Vector = scale((x, y, 0.0), 1.0 / (hypot(x, y) or 1.0))  # the body's front: towards the target
        level = hypot(self.ahead[0], self.ahead[1])
        side: Vector = (self.ahead[1] / level, -self.ahead[0] / level, 0.0)
        self._below = cross(self.ahead, side)  # perpendicular to the hand's path, downwards
        if self._below[2] > 0.0:
            self._below = scale(self._below, -1.0)
        self._near = 0.18  # distance of mid-hand from the shoulder at rest [m]

    def hand(self, t: float) -> tuple[Vector, Vector]:
        """Return position [m] and velocity [m/s] of the centre of the hand."""
        person = self.person
        if not person.reaches:
            return add(self.shoulder, scale(self.ahead, self._near)), (0.0, 0.0, 0.0)
        out = (t - person.at) / person.takes
        back = (t - person.at - person.takes - person.holds) / person.takes
        part = smooth(out) - smooth(back)
        stroke = self.far - self._near
        rate = (smooth_rate(out) - smooth_rate(back)) / person.takes
        far = self._near + stroke * part
        return add(self.shoulder, scale(self.ahead, far)), scale(self.ahead, stroke * rate)

    def forearm(self, hand: Vector) -> tuple[Vector, Vector]:
        """Return the centre of the forearm and its direction, elbow to wrist, for a position of the hand."""
        wrist = subtract(hand, scale(self.ahead, WRIST))
        elbow = self.elbow(wrist)
        bone = subtract(wrist, elbow)
        return scale(add(wrist, elbow), 0.5), scale(bone, 1.0 / length(bone))

    def elbow(self, wrist: Vector) -> Vector:
        """Return the position of the elbow, below the line from shoulder to wrist; on it if the wrist is too far."""
        bone = subtract(wrist, self.shoulder)
        far = min(max(length(bone), 0.04), UPPER_ARM + LOWER_ARM)
        along = (far * far + UPPER_ARM * UPPER_ARM - LOWER_ARM * LOWER_ARM) / (2.0 * far)
        across = sqrt(max(UPPER_ARM * UPPER_ARM - along * along, 0.0))
        return add(self.shoulder, add(scale(self.ahead, along), scale(self._below, across)))

    def upper_arm(self, forearm: State) -> State:
        """Return the state of the drawn upper arm: from the shoulder to the elbow end of the forearm."""
        at, turn, velocity, spin = forearm
        back = scale(apply(matrix(turn), (1.0, 0.0, 0.0)), -0.5 * LOWER_ARM)
        bone = subtract(add(at, back), self.shoulder)
        moves = add(velocity, cross(spin, back))
        far = max(length(bone), 1e-6)
        middle = add(self.shoulder, scale(bone, 0.5))
        return middle, quaternion(bone), scale(moves, 0.5), scale(cross(bone, moves), 1.0 / (far * far))
