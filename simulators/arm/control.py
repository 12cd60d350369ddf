"""Controller of the arm: computed torque along a program whose rate the monitor may reduce."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .building import CONTROL, DAMPING
from .bullet import Cell
from .model import JOINTS, TORQUE, Vector, force_torque, forward, scale, subtract
from .model import G as GRAVITY

if TYPE_CHECKING:
    from .faults import Faults
    from .path import Leg, Program

STIFF = (30.0, 30.0, 30.0, 55.0, 55.0, 55.0)  # natural frequency of each joint's error [rad/s]
CARRYING = ("lift", "carry", "set_down")
LOOK = 1.0 / 960.0  # time step for numerical derivatives of the path [s]


class Controller:
    """Computes motor torques from encoder readings.

    `u`: the program's time; `rate`: its rate, 0-1; `target`, `measured`, `true`: joint angles (6,), wanted, by the
    encoders, and before their faults; `play`: half the play of each gear (6,) [rad]; `limited`: torques (6,) asked of
    the motors, within what they can give [N m].

    Source:
        R. M. Murray, Z. Li, S. S. Sastry, A mathematical introduction to robotic manipulation, ch. 4 (computed torque).
    """

    def __init__(self, program: Program, faults: Faults, payload: float, stopping: float) -> None:
        self.program, self.faults = program, faults
        self.u, self.rate, self.cap = 0.0, 1.0, 1.0
        self._payload, self._slower = payload, 1.0 / (stopping * CONTROL)
        self.target = self.measured = self.true = program.joints(0.0)
        self.play: list[float] = [0.0] * JOINTS
        self.limited: list[float] = [0.0] * JOINTS
        self.following = self.asked = 0.0
        self.saturated = False
        self._tools: list[Vector] = []
        self.acceleration: Vector = (0.0, 0.0, 0.0)

    @property
    def leg(self) -> Leg:
        """The present leg of the program."""
        return self.program.leg(self.u)

    @property
    def load(self) -> float:
        """The mass of the load that the controller assumes [kg]."""
        return self._payload if self.leg.name in CARRYING else 0.0

    def torques(self, cell: Cell, t: float, *, stop: bool) -> list[float]:
        """Return the torques (6,) of the step that starts at t, and advance the program's time."""
        faults = self.faults
        before, goal = self.rate, 0.0 if stop else self.cap
        self.rate = min(max(goal, before - self._slower), before + self._slower)
        change = (self.rate - before) * CONTROL
        u = self.u
        first, middle, last = (self.program.joints(u + d) for d in (-LOOK, 0.0, LOOK))
        self.target = middle
        self.true = tuple(cell.q[:JOINTS])
        self.measured = tuple(q + faults.of(f"joint{i + 1}", "encoder_offset", t) for i, q in enumerate(self.true))
        self.following = 0.0
        wanted, speeds, self.play, self.limited = [], [], [], []
        for i in range(JOINTS):
            slope = (last[i] - first[i]) / (2.0 * LOOK)
            bend = (last[i] - 2.0 * middle[i] + first[i]) / (LOOK * LOOK)
            speed = slope * self.rate
            error = middle[i] - self.measured[i]
            self.following = max(self.following, abs(error))
            play = 0.5 * max(faults.of(f"joint{i + 1}", "backlash", t), 0.0)
            self.play.append(play)
            free = abs(error) < play
            error = 0.0 if free else error - (play if error > 0.0 else -play)
            pull = STIFF[i] * STIFF[i] * error
            if not (play > 0.0 and free):
                pull += 2.0 * STIFF[i] * (speed - cell.v[i])
            wanted.append(bend * self.rate * self.rate + slope * change + pull)
            speeds.append(speed)
        torques = cell.inverse_dynamics(self.measured, wanted)
        self._follow(middle)
        if self.load:
            push = scale(subtract(self.acceleration, (0.0, 0.0, -GRAVITY)), self.load)
            for i, share in enumerate(force_torque(self._pose, self._pose.tool, push)):
                torques[i] += share
        self.asked = 0.0
        for i in range(JOINTS):
            torque = torques[i] + DAMPING[i] * speeds[i]
            self.asked = max(self.asked, abs(torque) / TORQUE[i])
            torque = min(max(torque, -TORQUE[i]), TORQUE[i])
            self.limited.append(torque)
            torques[i] = torque * faults.left(f"joint{i + 1}", "torque_loss", t)
        self.saturated = self.asked >= 1.0
        self.u = u + self.rate / CONTROL
        return torques

    def _follow(self, joints: tuple[float, ...]) -> None:
        """Update the planned acceleration of the tool, from its last three positions."""
        self._pose = forward(joints)
        self._tools = [*self._tools[-2:], self._pose.tool]
        if len(self._tools) == 3:
            a, b, c = self._tools
            self.acceleration = scale(subtract(subtract(c, b), subtract(b, a)), CONTROL * CONTROL)
