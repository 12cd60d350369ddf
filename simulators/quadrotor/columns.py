"""Settings and faults of many runs as arrays, in the order of the kernels' indices."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, cos, exp, hypot, inf, sin, sqrt
from typing import TYPE_CHECKING

import numpy as np

from mischance.errors import RunError, StartError

from . import dynamics, layout, shapes
from .settings import MAX_DELAY, Box, Obstacle

if TYPE_CHECKING:
    from mischance.api.runs import Chunk, Draw, Fault
    from mischance.api.tables import FloatArray, IntArray

    from .settings import Bird, Drone, Settings

KINDS = {"thrust_loss": "rotor", "sag": "battery", "bias": "estimator", "tilt": "estimator", "delay": "controller",
         "gust": "wind", "breeze": "wind"}  # fmt: skip
CODES = {
    "thrust_loss": layout.THRUST_LOSS,
    "sag": layout.SAG,
    "bias": layout.BIAS,
    "tilt": layout.TILTED,
    "delay": layout.LATE,
    "gust": layout.GUSTY,
    "breeze": layout.GUSTY,
}
assert (MAX_DELAY * layout.STEP_RATE * layout.SUB) < layout.RING


def part_of(target: str) -> str:
    """Return the part that a target denotes: rotor, battery, estimator, controller or wind."""
    return target.rpartition(".")[2].rstrip("0123456789")


def parameters(drone: Drone) -> FloatArray:
    """Return a drone's parameters; shape (PARAMETERS,)."""
    body, rotors, battery, control, mind = (
        drone.airframe, drone.rotors, drone.battery, drone.control, drone.estimator)  # fmt: skip
    return np.array(
        [
            body.mass, *body.inertia, body.arm * sqrt(0.5), body.radius, body.drag, body.spin_drag,
            rotors.thrust, rotors.torque, rotors.lag, rotors.fastest, rotors.efficiency,
            battery.capacity, battery.full, battery.empty, battery.resistance, battery.avionics,
            control.position, control.velocity, control.integral, control.attitude, control.yaw, control.rates,
            control.tilt, mind.noise, exp(-1.0 / (layout.STEP_RATE * mind.time)), cos(mind.direction),
            sin(mind.direction), drone.heading, round(drone.delay * layout.STEP_RATE), len(drone.mission),
        ]
    )  # fmt: skip


def bird_parameters(bird: Bird) -> FloatArray:
    """Return the parameters of a bird, which has neither rotors nor battery; shape (PARAMETERS,)."""
    p = np.zeros(layout.PARAMETERS)
    p[layout.MASS], p[layout.RADIUS], p[layout.DRAG] = bird.mass, bird.radius, bird.drag
    p[layout.IXX : layout.IZZ + 1] = 0.4 * bird.mass * bird.radius**2  # of a homogeneous sphere
    p[layout.ARM] = p[layout.LAG] = p[layout.EFFICIENCY] = 1.0  # unused, but not zero: they are divisors
    return p


def bird_state(bird: Bird) -> FloatArray:
    """Return the state of a bird at t = 0; shape (STATE,)."""
    y = np.zeros(layout.STATE)
    y[layout.POS : layout.POS + 3] = y[layout.LEG : layout.LEG + 3] = bird.at
    y[layout.VEL : layout.VEL + 3] = bird.velocity
    heading = atan2(bird.velocity[1], bird.velocity[0])
    y[layout.QUAT + 2], y[layout.QUAT + 3] = sin(0.5 * heading), cos(0.5 * heading)
    y[layout.MODE] = layout.GLIDING
    return y


def state(drone: Drone, p: FloatArray) -> FloatArray:
    """Return a drone's state at t = 0: level, its rotors at hover speed; shape (STATE,)."""
    y = np.zeros(layout.STATE)
    y[layout.POS : layout.POS + 3] = drone.at
    y[layout.LEG : layout.LEG + 3] = drone.at
    y[layout.VEL : layout.VEL + 3] = drone.velocity
    y[layout.QUAT + 2], y[layout.QUAT + 3] = sin(0.5 * drone.heading), cos(0.5 * drone.heading)
    y[layout.SPIN : layout.SPIN + 4] = sqrt(p[layout.MASS] * layout.G / (4.0 * p[layout.KF]))
    y[layout.USED] = (1.0 - drone.battery.charge) * drone.battery.capacity
    dynamics.drain(y, p, np.ones(4), 0.0, 0.0)
    return y


def world(settings: Settings) -> FloatArray:
    """Return the parameters that all drones of a run share; shape (WORLD,)."""
    wind, fence = settings.wind, settings.fence
    flat = cos(wind.gust_climb)
    limits = [*fence.x, *fence.y, *fence.z] if fence else [-inf, inf] * 3
    return np.array(
        [
            wind.speed * cos(wind.direction), wind.speed * sin(wind.direction), wind.turbulence,
            exp(-1.0 / (layout.STEP_RATE * wind.time)),
            flat * cos(wind.gust_direction), flat * sin(wind.gust_direction), sin(wind.gust_climb),
            settings.separation, settings.deviation, settings.upset, settings.landing,
            settings.restitution, settings.friction, settings.settle, float(fence is not None), *limits,
        ]
    )  # fmt: skip


def obstacle(it: Obstacle) -> list[float]:
    """Return an obstacle as an array for the kernels."""
    if isinstance(it, Box):
        return [0.0, *it.at, *(0.5 * side for side in it.size), cos(it.yaw), sin(it.yaw)]
    return [1.0, *it.at, it.radius, it.radius, 0.5 * it.height, 1.0, 0.0]


def missions(settings: Sequence[Settings]) -> FloatArray:
    """Return the waypoints: x, y, z, speed, hold [steps], radius; shape (runs, drones, most, 6)."""
    most = max(len(drone.mission) for one in settings for drone in one.drones.values())
    points = np.zeros((len(settings), len(settings[0].drones), max(most, 1), 6))
    for r, one in enumerate(settings):
        for d, drone in enumerate(one.drones.values()):
            for i, point in enumerate(drone.mission):
                hold = round(point.hold * layout.STEP_RATE)
                points[r, d, i] = [*point.at, point.speed, hold, point.radius]
    return points


def planned(draws: Sequence[Draw], names: Sequence[str], targets: Sequence[str]) -> list[list[Fault]]:
    """Return each run's faults of the world, in order of onset.

    Raises:
        RunError: a target has no fault of that kind.
    """
    found = []
    for draw in draws:
        own = draw.of_world().faults
        for fault in own:
            if fault.target not in targets or KINDS.get(fault.kind) != part_of(fault.target):
                kinds = [kind for kind, part in KINDS.items() if part == part_of(fault.target)]
                raise RunError(
                    f"run {draw.run}: '{fault.target}' has no fault '{fault.kind}'",
                    f"it knows: {', '.join(kinds)}" if kinds else f"targets: {', '.join(targets)}",
                )
        found.append(sorted(own, key=lambda fault: (fault.onset, fault.fault_id)))
    return found


def fault_rows(faults: Sequence[Sequence[Fault]], names: Sequence[str]) -> tuple[FloatArray, IntArray]:
    """Return faults as an array for the kernels, shape (runs, most, 7), and the number of faults of each run."""
    counts = np.array([len(own) for own in faults], np.int64)
    rows = np.zeros((len(faults), max(int(counts.max(initial=0)), 1), 7))
    for r, own in enumerate(faults):
        for i, fault in enumerate(own):
            name, _, part = fault.target.rpartition(".")
            drone = names.index(name) if name else -1
            rotor = int(part[5:]) - 1 if part.startswith("rotor") else 0
            plan = (fault.onset, fault.end, fault.severity, fault.ramp)
            rows[r, i] = [CODES[fault.kind], drone, rotor, *plan]
    return rows, counts


def check_places(run: int, settings: Settings, truth: Chunk) -> None:
    """Check that no drone or bird touches another one, an obstacle or the ground at the start.

    Raises:
        StartError: one does; the message names the run and both bodies. It carries `truth`, that at t = 0.
    """
    normal = np.zeros(3)
    placed: list[tuple[str, tuple[float, float, float], float]] = []
    bodies = [(name, drone.at, drone.airframe.radius) for name, drone in settings.drones.items()]
    bodies += [(name, bird.at, bird.radius) for name, bird in settings.birds.items()]
    for name, (x, y, z), radius in bodies:
        if z <= radius:
            hint = f"give it a z above {radius:g} m"
            raise StartError(f"run {run}: {name} begins on or below the ground", hint, truth)
        for label, it in settings.obstacles.items():
            if name in settings.drones and shapes.distance(x, y, z, np.array(obstacle(it)), normal) <= radius:
                raise StartError(f"run {run}: {name} begins inside {label}", "move one of them", truth)
        for other, there, reach in placed:
            apart = hypot(x - there[0], y - there[1], z - there[2])
            if apart <= radius + reach:
                raise StartError(f"run {run}: {other} and {name} overlap at the start", "move them apart", truth)
        placed.append((name, (x, y, z), radius))
