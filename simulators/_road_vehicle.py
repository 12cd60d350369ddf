"""One vehicle: kinematic single-track until it is hit, then a body that slides on locked wheels.

Inside a step, motion is a closed formula of time (an exact arc, or a parabola when sliding), so the moment of
contact can be found to the last bit and does not depend on the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import atan, atan2, cos, hypot, sin, sqrt, tan

from ._road_boxes import Rectangle, Twist
from ._road_settings import Actor, Brake, ChangeLane, Lanes

GRAVITY = 9.81  # [m/s2]
RATE = 240  # steps per second
LARGEST_STEER = 0.6  # [rad]
STEER_LAG = 0.1  # [s]
PATH_STIFFNESS, PATH_DAMPING = 4.0, 4.0  # [1/s2], [1/s]: critically damped at 2 rad/s
SPEED_GAIN = 0.5  # [1/s]


@dataclass(slots=True)
class Vehicle:
    """State of one vehicle. x, y is the centre; speed and the path's curvature are those of the rear axle."""

    name: str
    actor: Actor
    lanes: Lanes
    x: float
    y: float
    yaw: float = 0.0
    speed: float = 0.0
    acceleration: float = 0.0
    asked: float = 0.0  # acceleration that the actuator has built up [m/s2]
    steer: float = 0.0
    hit: bool = False
    twist: Twist = (0.0, 0.0, 0.0)
    slowing: Twist = (0.0, 0.0, 0.0)  # rates of change of the twist while sliding
    command: tuple[float, float] | None = None
    path: list[tuple[float, float, float]] = field(default_factory=list)  # lane changes: start, duration, y to
    braking: Brake | None = None
    cruise: float = 0.0
    size: tuple[float, float, float] = (0.0, 0.0, 0.0)
    half: tuple[float, float] = (0.0, 0.0)
    wheelbase: float = 1.0
    mass: float = 1.0

    def __post_init__(self) -> None:
        length, width, height, self.wheelbase, self.mass = self.actor.sizes()
        self.size = (length, width, height)
        self.half = (0.5 * length, 0.5 * width)
        self.speed = self.cruise = self.actor.speed
        self.twist = (self.speed, 0.0, 0.0)

    # -- where it is ----------------------------------------------------------------------------------------------

    def rectangle(self) -> Rectangle:
        """Return its outline now."""
        return (self.x, self.y, self.yaw, *self.half)

    def lane(self) -> int:
        """Return the lane of its centre; 0 or one more than there are = off the road."""
        return min(max(int(self.y // self.lanes.lane_width) + 1, 0), self.lanes.lanes + 1)

    def ahead(self, tau: float) -> tuple[float, float, float, float, Twist]:
        """Return x, y, yaw, speed and twist `tau` seconds into the present step."""
        if self.hit:
            (vx, vy, w), (ax, ay, aw) = self.twist, self.slowing
            x = self.x + vx * tau + 0.5 * ax * tau * tau
            y = self.y + vy * tau + 0.5 * ay * tau * tau
            yaw = self.yaw + w * tau + 0.5 * aw * tau * tau
            after = (vx + ax * tau, vy + ay * tau, w + aw * tau)
            return x, y, yaw, hypot(after[0], after[1]), after
        rolling = tau
        if self.acceleration < 0.0:
            rolling = min(tau, -self.speed / self.acceleration)  # it stops and does not reverse
        way = rolling * (self.speed + 0.5 * self.acceleration * rolling)
        speed = max(self.speed + self.acceleration * tau, 0.0) if rolling >= tau else 0.0
        curvature = tan(self.steer) / self.wheelbase
        lever = 0.5 * self.wheelbase
        yaw = self.yaw + curvature * way
        # the chord of an arc: exact, and smooth where the curvature goes through zero
        half_turn = 0.5 * curvature * way
        chord = way * (sin(half_turn) / half_turn if abs(half_turn) > 1e-6 else 1.0 - half_turn * half_turn / 6.0)
        x = self.x + chord * cos(self.yaw + half_turn) + lever * (cos(yaw) - cos(self.yaw))
        y = self.y + chord * sin(self.yaw + half_turn) + lever * (sin(yaw) - sin(self.yaw))
        rate = curvature * speed
        twist = (speed * cos(yaw) - rate * lever * sin(yaw), speed * sin(yaw) + rate * lever * cos(yaw), rate)
        return x, y, yaw, speed, twist

    def outline(self, tau: float) -> Rectangle:
        """Return its outline `tau` seconds into the present step."""
        x, y, yaw, _, _ = self.ahead(tau)
        return (x, y, yaw, *self.half)

    def fastest(self, other: Vehicle) -> float:
        """Return a bound on the speed at which any two points of the two close in in this step [m/s].

        0.5 is more than what two vehicles' accelerations can add in a step.
        """
        turning = abs(self.twist[2]) * hypot(*self.half) + abs(other.twist[2]) * hypot(*other.half)
        return hypot(self.twist[0] - other.twist[0], self.twist[1] - other.twist[1]) + turning + 0.5

    def move(self, tau: float) -> None:
        """Go `tau` seconds along the present step."""
        self.x, self.y, self.yaw, self.speed, self.twist = self.ahead(tau)
        if not self.hit and self.speed == 0.0 and self.acceleration < 0.0:
            self.acceleration = 0.0

    # -- what it does ---------------------------------------------------------------------------------------------

    def plan(self, t: float, friction: float, brakes: float) -> None:
        """Set acceleration and steering for the step that starts at t.

        Args:
            t: [s].
            friction: of tyre and road now.
            brakes: the part of its braking force that is left, 0-1.
        """
        if self.hit:
            self._slide(friction)
            return
        wanted, steer = self._driver(t) if self.command is None else self._obey(*self.command)
        change = wanted - self.asked
        most = self.actor.jerk / RATE
        self.asked += min(max(change, -most), most) if most > 0.0 else change
        force = min(self.asked, self.actor.drive) if self.asked >= 0.0 else max(self.asked, -self.actor.brakes) * brakes
        grip = friction * GRAVITY
        self.acceleration = min(max(force, -grip), grip)
        if self.speed == 0.0 and self.acceleration < 0.0:
            self.acceleration = 0.0
        # friction circle: what braking leaves over may steer
        lateral = sqrt(max(grip * grip - self.acceleration * self.acceleration, 0.0))
        limit = min(tan(LARGEST_STEER), lateral * self.wheelbase / max(self.speed * self.speed, 1e-9))
        self.steer = atan(min(max(tan(steer), -limit), limit))
        rate = self.speed * tan(self.steer) / self.wheelbase
        lever, c, s = 0.5 * self.wheelbase, cos(self.yaw), sin(self.yaw)
        self.twist = (self.speed * c - rate * lever * s, self.speed * s + rate * lever * c, rate)

    def _obey(self, acceleration: float, steer: float) -> tuple[float, float]:
        """Follow an agent; the steering lags, since no wheel turns at once."""
        steer = min(max(steer, -LARGEST_STEER), LARGEST_STEER)
        return acceleration, self.steer + (steer - self.steer) * min(1.0, 1.0 / (RATE * STEER_LAG))

    def _driver(self, t: float) -> tuple[float, float]:
        """Keep speed and lane, or carry out what the scenario plans."""
        if self.braking is not None:
            # letting go takes a while too: what is still lost meanwhile is a**2 / 2j; to a stop, brake to the end
            to, jerk = self.braking.to, self.actor.jerk
            more = self.asked * self.asked / (2.0 * jerk) if jerk > 0.0 and to > 0.0 else 0.0
            if self.speed <= to + more:
                self.cruise, self.braking = to, None
        if self.braking is not None:
            wanted = -self.braking.deceleration
        else:
            wanted = min(max(SPEED_GAIN * (self.cruise - self.speed), -2.0), 2.0)
        y, rate, bend = self._reference(t)
        lever = 0.5 * self.wheelbase
        rear = self.y - lever * sin(self.yaw)
        lateral = bend + PATH_DAMPING * (rate - self.speed * sin(self.yaw)) + PATH_STIFFNESS * (y - rear)
        speed = max(self.speed, 2.0)  # below 2 m/s the path law would ask for any steering at all
        curvature = lateral / (speed * speed * max(cos(self.yaw), 0.5))
        return wanted, min(max(atan(curvature * self.wheelbase), -LARGEST_STEER), LARGEST_STEER)

    def _reference(self, t: float) -> tuple[float, float, float]:
        """Return where the path is across the road: y [m], its rate [m/s] and its acceleration [m/s2].

        Source:
            Flash, Hogan, The coordination of arm movements, J. Neurosci. 5 (1985): the quintic of least jerk.
        """
        y, rate, bend = self.lanes.centre(self.actor.lane), 0.0, 0.0
        for start, takes, to in self.path:
            s = min(max((t - start) / takes, 0.0), 1.0)
            far = to - y
            share = s * s * s * (10.0 + s * (6.0 * s - 15.0))
            slope = 30.0 * s * s * (1.0 - s) * (1.0 - s) / takes
            curve = 60.0 * s * (1.0 - s) * (1.0 - 2.0 * s) / (takes * takes)
            bend = bend * (1.0 - share) - 2.0 * rate * slope + far * curve
            rate = rate * (1.0 - share) + far * slope
            y += far * share
        return y, rate, bend

    def begin(self, move: ChangeLane | Brake, t: float) -> None:
        """Start a planned manoeuvre at the step that starts at t."""
        if isinstance(move, Brake):
            self.braking = move
        else:
            self.path.append((t, move.takes, self.lanes.centre(move.to)))

    def _slide(self, friction: float) -> None:
        """Coulomb friction on four locked wheels, each with a quarter of the weight."""
        vx, vy, w = self.twist
        fx = fy = torque = 0.0
        most = friction * GRAVITY / RATE
        c, s = cos(self.yaw), sin(self.yaw)
        for i, j in ((0.5, 0.4), (0.5, -0.4), (-0.5, 0.4), (-0.5, -0.4)):
            rx = i * self.wheelbase * c - 2.0 * j * self.half[1] * s
            ry = i * self.wheelbase * s + 2.0 * j * self.half[1] * c
            ux, uy = vx - w * ry, vy + w * rx
            # a wheel that would stop inside the step stops at its end instead of reversing
            share = -0.25 * friction * GRAVITY / max(hypot(ux, uy), most)
            fx += share * ux
            fy += share * uy
            torque += share * (rx * uy - ry * ux)
        spread = (self.size[0] * self.size[0] + self.size[1] * self.size[1]) / 12.0
        self.slowing = (fx, fy, torque / spread)
        speed = hypot(vx, vy)
        self.acceleration = (fx * vx + fy * vy) / speed if speed > 0.0 else 0.0

    def strike(self, velocity: Sequence[float], yaw_rate: float) -> None:
        """Take over what an impact left; from now on nobody drives."""
        self.hit = True
        self.twist = (float(velocity[0]), float(velocity[1]), yaw_rate)
        self.speed = hypot(velocity[0], velocity[1])
        self.command = None

    @property
    def resting(self) -> bool:
        """Whether a vehicle that was hit has come to rest."""
        return self.hit and hypot(self.twist[0], self.twist[1]) < 1e-3 and abs(self.twist[2]) < 1e-3

    def energy(self) -> float:
        """Return its kinetic energy in the plane, as that of a box [J]."""
        vx, vy, w = self.twist
        spread = (self.size[0] * self.size[0] + self.size[1] * self.size[1]) / 12.0
        return 0.5 * self.mass * (vx * vx + vy * vy + spread * w * w)

    def side(self, nx: float, ny: float) -> str:
        """Return the side by which a direction leaves it."""
        along = nx * cos(self.yaw) + ny * sin(self.yaw)
        across = ny * cos(self.yaw) - nx * sin(self.yaw)
        if abs(along) >= abs(across):
            return "front" if along >= 0.0 else "rear"
        return "left side" if across >= 0.0 else "right side"

    def heading(self) -> float:
        """Return its yaw in (-pi, pi]."""
        return atan2(sin(self.yaw), cos(self.yaw))
