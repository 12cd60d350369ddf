"""Quadrotors with missions: rotor loss, weak batteries, gusts, estimation errors, conflicts with drones and birds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import hypot, inf, nan
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mischance.api.appearance import BODIES, CONTACTS, LANES
from mischance.api.labels import table_of_rows
from mischance.api.protocols import FaultKind
from mischance.api.requirements import DefaultRequirement
from mischance.api.runs import Chunk, last_tick
from mischance.api.scene import Motion
from mischance.api.tables import EVENTS, LABELS, Column, Table
from mischance.errors import RunError

from . import layout
from .events import MEASURES, OUTCOME, FlightLog, outcome_row
from .outline import bodies_table, lanes_table
from .settings import ROTORS
from .settings import Settings as QuadrotorSettings
from .tables import schemas, signals

if TYPE_CHECKING:
    from mischance.api.randomness import Streams
    from mischance.api.runs import Commands, Draw
    from mischance.api.scene import Scene
    from mischance.api.tables import AnyArray, BoolArray, FloatArray, IntArray, Schema

RATE = layout.STEP_RATE  # a planned change acts on steps that start at or after its onset; 5 integrations per step
ROW_EVERY = 2  # steps between two rows of `drones`: 50 rows a second
ROLES = {"breeze": "hard_negative"}


class Quadrotor:
    """Drones and birds, many runs at once; each drone is a rigid body with four rotors.

    A step of 10 ms holds five integrations of 2 ms (classical Runge-Kutta; commands, wind and faults constant in
    each). A rotor's thrust and torque are k_f and k_m times speed squared; its speed follows the command with a
    first-order lag, up to a maximum that falls with the battery's voltage. A built-in cascade (position, velocity,
    attitude, rates, mixer) flies the mission on an estimate of its own; an agent's commands (thrust and body rates)
    replace all but the last two. Contacts are found by swept tests of spheres against boxes, cylinders, ground and
    each other, exact for straight motion within 2 ms. A drone that touches anything, except for a soft landing on the
    ground, has crashed: its motors stop, and it bounces and slides as a sphere with Coulomb friction without torque.
    Damage and injuries are not modelled.

    Streams: wind and estimate of each drone, six numbers a step whatever the settings.
    """

    Settings: ClassVar[type[QuadrotorSettings]] = QuadrotorSettings
    batch: ClassVar[int] = 128
    max_chunk_seconds: ClassVar[float] = 1.0
    needs: ClassVar[tuple[str, ...]] = ("numba",)
    randomness: ClassVar[tuple[str, ...]] = ("quadrotor",)
    measures: ClassVar[Schema] = MEASURES
    requirements: ClassVar[Mapping[str, DefaultRequirement]] = {
        "stays_in_fence": DefaultRequirement(
            "fence_margin > 0 m", "no drone leaves the geofence", lambda settings: settings.fence is not None
        ),
        "finishes": DefaultRequirement(
            "finished",
            "every drone does all of its mission",
            lambda settings: any(drone.mission for drone in settings.drones.values()),
        ),
    }
    commands: ClassVar[Schema] = {
        "actor": Column("text", about="who is flown; from its first command on an agent flies it", role="entity"),
        "thrust": Column(unit="N", about="along the body's z; held until the next command"),
        "rate_x": Column(unit="rad/s", about="roll rate, body frame; held likewise"),
        "rate_y": Column(unit="rad/s", about="pitch rate"),
        "rate_z": Column(unit="rad/s", about="yaw rate"),
    }
    faults: ClassVar[Mapping[str, FaultKind]] = {
        "thrust_loss": FaultKind(
            "<drone>.rotor<n>: thrust and drag torque times 1 - severity", "ratio", 1.0, effect="scales"
        ),
        "sag": FaultKind("<drone>.battery: further internal resistance", "resistance", 0.15, effect="adds"),
        "bias": FaultKind("<drone>.estimator: the believed position is off", "length", 5.0, effect="adds"),
        "tilt": FaultKind("<drone>.estimator: the believed attitude leans over", "angle", 0.1, effect="adds"),
        "delay": FaultKind("<drone>.controller: rotor commands come late, 0.5 s at most", "time", 0.1, effect="adds"),
        "gust": FaultKind(
            "wind: further wind, growing and dying over `ramp` as a half cosine", "speed", 10.0, effect="adds"
        ),
        "breeze": FaultKind(
            "wind: the same, and innocent: a drone should hold it", "speed", 3.0, innocent=True, effect="adds"
        ),
    }

    @staticmethod
    def targets(settings: QuadrotorSettings) -> Sequence[str]:
        """Return the targets of faults: every drone's rotors and other parts, and the wind."""
        parts = [*(f"rotor{i + 1}" for i in range(ROTORS)), "battery", "estimator", "controller"]
        return [*(f"{name}.{part}" for name in settings.drones for part in parts), "wind"]

    @staticmethod
    def signals(settings: QuadrotorSettings) -> Schema:
        """Return the signals for requirements and links, with units: the numbers of every drone and bird."""
        return signals(settings)

    @staticmethod
    def default_actor(settings: QuadrotorSettings) -> str:
        """Return the first drone: a command that names none means it."""
        return next(iter(settings.drones))

    def __init__(self, settings: QuadrotorSettings) -> None:
        self.settings = settings

    # -- the protocol's methods -----------------------------------------------------------------------------------

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Return truth at t = 0.

        Raises:
            StartError: a drone overlaps something at the start; with the truth, to look at.
            RunError: a fault does not fit its target.
        """
        from . import columns

        own = [draw.settings or self.settings for draw in draws]
        self._own: list[QuadrotorSettings] = own
        self._runs = [draw.run for draw in draws]
        self._drones = tuple(own[0].drones)
        self._names = (*self._drones, *own[0].birds)
        self._streams = streams
        faults = columns.planned(draws, self._drones, self.targets(own[0]))
        runs, drones = len(draws), len(self._names)
        self._p = np.array(
            [
                [*map(columns.parameters, one.drones.values()), *map(columns.bird_parameters, one.birds.values())]
                for one in own
            ]
        )
        self._state = np.array(
            [
                [
                    *(columns.state(drone, self._p[r, i]) for i, drone in enumerate(one.drones.values())),
                    *map(columns.bird_state, one.birds.values()),
                ]
                for r, one in enumerate(own)
            ]
        )
        self._begun = self._state[..., layout.USED].copy()
        self._world = np.array([columns.world(one) for one in own])
        self._points = columns.missions(own)
        self._standing = np.array([len(one.obstacles) for one in own], np.int64)
        self._obstacles = np.zeros((runs, max(int(self._standing.max()), 1), 9))
        for r, one in enumerate(own):
            for i, it in enumerate(one.obstacles.values()):
                self._obstacles[r, i] = columns.obstacle(it)
        self._faults, self._planned = columns.fault_rows(faults, self._names)
        self._health, self._extra = np.ones((runs, drones, ROTORS)), np.zeros((runs, drones, 5))
        self._ring = np.empty((runs, drones, layout.RING, ROTORS))
        self._ring[:] = self._state[:, :, None, layout.SPIN : layout.SPIN + ROTORS]
        self._m, self._pairs = layout.blank(runs, drones)
        self._m[:, len(self._drones) :, layout.FINISHED] = 0.0  # a run does not wait for birds
        self._stop = np.full(runs, -1, np.int64)
        self._last = np.array([last_tick(RATE, draw.duration) for draw in draws], np.int64)
        self._room = drones * (self._points.shape[2] + layout.MOST_CONTACTS + 8) + 2 * len(self._pairs[0])
        self._logs = [
            FlightLog(draw, own_faults, self._names, tuple(one.obstacles), _speeds(one))
            for draw, own_faults, one in zip(draws, faults, own, strict=True)
        ]
        self._scenes = self._look()
        self._tables = schemas(self._names, tuple(own[0].obstacles))
        self._seen = {LANES: lanes_table(own), BODIES: bodies_table(own)}
        self._k = 0
        truth = self._chunk(
            0, self._state[:, None], np.zeros((runs, 0, layout.EVENT)), np.zeros(runs, np.int64), begin=True
        )
        for draw, settings in zip(draws, own, strict=True):
            columns.check_places(draw.run, settings, truth)
        return truth

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Return truth in (last end, end]; without a command, the last one holds.

        Raises:
            RunError: a command for a drone that does not exist.
        """
        from .kernels import fly

        first = self._k
        if commands is not None:
            self._command(commands)
        while (self._k + 1) / RATE <= until:
            self._k += 1
        steps, runs, drones = self._k - first, len(self._runs), len(self._names)
        noise = np.zeros((runs, drones, steps, 6))
        for r, stream in enumerate(self._streams):
            for d, name in enumerate(self._drones):
                noise[r, d] = stream("quadrotor", name).standard_normal((steps, 6))
        motion = np.empty((runs, steps + 1, drones, layout.STATE))
        events = np.zeros((runs, self._room, layout.EVENT))
        count = np.zeros(runs, np.int64)
        fly(
            first, self._k, self._state, self._p, self._world, self._points, self._obstacles, self._standing,
            self._faults, self._planned, noise, self._health, self._extra, self._ring, self._m, self._pairs, self._stop,
            motion, events, count,
        )  # fmt: skip
        return self._chunk(first, motion, events, count)

    def outcome(self) -> tuple[Table, Table]:
        """Return each run's measures with verdict and reason, and the labels of faults and their effects."""
        rows, labels = [], []
        for r, log in enumerate(self._logs):
            landed = bool((self._state[r, :, layout.MODE] == layout.LANDED).any())
            rows.append(outcome_row(log, self._measured(r), self._own[r].separation, landed))
            labels.append(log.labels(ROLES))
        return Table.of(OUTCOME, rows), table_of_rows(LABELS, labels)

    def in_force(self, run: int, target: str, kind: str) -> float:
        """Return what the kernels used in the last step: a share of thrust, or a battery's resistance [ohm], or what
        faults add to estimate [m], attitude [rad], commands [s] or wind [m/s]."""
        name, _, part = target.rpartition(".")
        drone = self._names.index(name) if name else 0
        if kind == "thrust_loss":
            return float(self._health[run, drone, int(part[5:]) - 1])
        resistance, bias, tilt, steps, gust = self._extra[run, drone].tolist()
        values: dict[str, float] = {
            "sag": float(self._p[run, drone, layout.RESISTANCE]) + resistance,
            "bias": bias,
            "tilt": tilt,
            "delay": steps / (RATE * layout.SUB),
            "gust": gust,
            "breeze": gust,
        }
        return values[kind]

    def close(self) -> None:
        """Do nothing: no resources are held."""

    # -- parts ----------------------------------------------------------------------------------------------------

    def _command(self, commands: Commands) -> None:
        for r in range(len(self._runs)):
            if not commands.live[r]:
                continue
            rows = commands.table.run(r)
            wanted = zip(*(rows[name] for name in ("thrust", "rate_x", "rate_y", "rate_z")), strict=True)
            for name, values in zip(rows["actor"], wanted, strict=True):
                if name not in self._drones:
                    raise RunError(
                        f"run {self._runs[r]}: a command for '{name}' at t = {self._k / RATE:g} s, which is missing",
                        f"drones: {', '.join(self._drones)}",
                    )
                y = self._state[r, self._names.index(name)]
                y[layout.DRIVEN] = 1.0
                y[layout.COMMAND : layout.COMMAND + 4] = values

    def _look(self) -> tuple[Scene, ...]:
        """Return the scene of each run; runs with equal scenes share one."""
        from .appearance import scene

        made: dict[str, Scene] = {}
        found = []
        for one in self._own:
            places = {name: (drone.at, drone.airframe) for name, drone in one.drones.items()}
            key = repr((places, one.birds, one.obstacles))
            if key not in made:
                made[key] = scene(one)
            found.append(made[key])
        return tuple(found)

    def _measured(self, r: int) -> dict[str, float | int | bool]:
        """Return the measures of one run over all of its drones."""
        m, pairs = self._m[r], self._pairs[r]
        times, done = m[:, layout.T_IMPACT], m[:, layout.FINISHED]
        hit = ~np.isnan(times)
        first = int(np.argmin(np.where(hit, times, inf)))
        finished = bool((~np.isnan(done)).all())
        return {
            "contacts": self._logs[r].met,
            "min_separation": float(pairs[:, layout.APART].min(initial=inf)),
            "min_clearance": float(m[:, layout.CLEARANCE].min()),
            "fence_margin": float(m[:, layout.INSIDE].min()),
            "max_tilt": float(m[:, layout.MAX_TILT].max()),
            "max_speed": float(m[:, layout.MAX_SPEED].max()),
            "max_deviation": float(m[:, layout.MAX_DEVIATION].max()),
            "impact_speed": float(m[first, layout.IMPACT]) if hit.any() else 0.0,
            "contact_time": float(times[first]) if hit.any() else nan,
            "min_voltage": float(m[:, layout.MIN_VOLTS].min()),
            "energy": float(sum(self._state[r, :, layout.USED] - self._begun[r])),
            "finished": finished,
            "mission_time": float(done.max()) if finished else nan,
            "touchdown": float(m[:, layout.TOUCHDOWN].min()),
            "end": float(self._k if self._stop[r] < 0 else self._stop[r]) / RATE,
        }

    # -- columns --------------------------------------------------------------------------------------------------

    def _chunk(
        self, first: int, motion: FloatArray, events: FloatArray, count: IntArray, *, begin: bool = False
    ) -> Chunk:
        start, end = first / RATE, self._k / RATE
        over = self._stop >= 0
        last = np.where(over, self._stop, self._k)
        for r, log in enumerate(self._logs):
            log.rows, log.contacts = [], []
            if last[r] > first or begin:
                log.record(events[r, : count[r]], start, last[r] / RATE, first=begin)
                if over[r]:
                    log.end(last[r] / RATE)
        steps = np.arange(first, self._k + 1, dtype=np.int64)
        pose = np.concatenate(
            [motion[..., layout.POS : layout.POS + 3], motion[..., layout.QUAT : layout.QUAT + 4]], axis=-1
        )
        return Chunk(
            start=start,
            end=end,
            ends=np.minimum(last, self._k) / RATE,
            over=over.copy(),
            events=Table.of(EVENTS, [log.columns() for log in self._logs]),
            tables={
                "drones": self._rows(steps, motion, (steps > first) | begin, last),
                CONTACTS: self._contacts(),
                **(self._seen if begin else {n: Table.empty(one.schema, one.runs) for n, one in self._seen.items()}),
            },
            motion=Motion(self._names, steps / RATE, pose, _velocity(motion)),
            scenes=self._scenes,
        )

    def _rows(self, steps: IntArray, motion: FloatArray, new: BoolArray, last: IntArray) -> Table:
        """Return the rows of `drones`: 50 per second and drone, and one at the run's end."""
        ends = np.where(self._stop >= 0, last, self._last)  # the state at a run's end is a row, on the clock or off it
        chosen = np.flatnonzero(new & ((steps % ROW_EVERY == 0) | np.isin(steps, ends)))
        k, drones = steps[chosen], len(self._names)
        keep = (k <= last[:, None]) & ((k % ROW_EVERY == 0) | (k == ends[:, None]))
        data = motion[:, chosen][keep].reshape(-1, layout.STATE)
        t = np.broadcast_to(k / RATE, keep.shape)[keep]
        offsets = np.concatenate([[0], np.cumsum(keep.sum(axis=1) * drones)]).astype(np.int64)
        columns: dict[str, AnyArray] = {
            "t": np.repeat(t, drones),
            "actor": np.tile(np.arange(drones, dtype=np.int32), len(t)),
            **{name: data[:, place].copy() for name, place in _PLACES.items()},
            "waypoint": data[:, layout.TARGET].astype(np.int64),
            "mode": data[:, layout.MODE].astype(np.int32),
        }
        return Table(self._tables["drones"], columns, offsets)

    def _contacts(self) -> Table:
        schema = self._tables["contacts"]
        who = self._names
        runs = []
        for r, log in enumerate(self._logs):
            met = (*who, "ground", *self._own[r].obstacles)
            rows = [(t, who.index(a), met.index(b), *numbers) for t, a, b, *numbers in log.contacts]
            runs.append(dict(zip(schema, zip(*rows, strict=True), strict=True)) if rows else {})
        return Table.of(schema, runs)


# columns of `drones` that are entries of a drone's state, by their index in the kernels' state
_PLACES: Mapping[str, int] = {
    name: i
    for i, name in enumerate(
        ["x", "y", "z", "vx", "vy", "vz", "qx", "qy", "qz", "qw", "rate_x", "rate_y", "rate_z"]
        + [f"rotor{i + 1}" for i in range(ROTORS)]
        + ["energy"]
    )
} | {"voltage": layout.VOLTS, **{f"wind_{axis}": layout.WIND + i for i, axis in enumerate("xyz")}}


def _speeds(settings: QuadrotorSettings) -> dict[str, float]:
    """Return the speed of each bird [m/s]."""
    return {name: hypot(*bird.velocity) for name, bird in settings.birds.items()}


def _velocity(motion: FloatArray) -> FloatArray:
    """Return linear and angular velocity in the world frame; (..., STATE) -> (..., 6)."""
    x, y, z, w = (motion[..., i] for i in range(6, 10))
    a, b, c = (motion[..., i] for i in range(10, 13))
    # v + 2 w (u x v) + 2 u x (u x v)
    p, q, r = y * c - z * b, z * a - x * c, x * b - y * a
    turned = (
        a + 2.0 * (w * p + y * r - z * q),
        b + 2.0 * (w * q + z * p - x * r),
        c + 2.0 * (w * r + x * q - y * p),
    )
    return np.concatenate([motion[..., 3:6], np.stack(turned, axis=-1)], axis=-1)
