"""A robot arm that picks and places beside a person: joint faults, gripper slip, late stops, contact forces."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mischance.api.labels import label_row, table_of_rows
from mischance.api.runs import Chunk
from mischance.api.scene import Motion
from mischance.api.tables import EVENTS, LABELS, Column, Table
from mischance.errors import RunError

from .faults import KINDS, OF, Faults
from .measures import MEASURES, OUTCOME, SLIP, Contact, Judge
from .model import HAND_MASS, JOINTS, G, apply, length, scale, subtract, transpose
from .settings import Settings as ArmSettings
from .tables import CELL_ROWS, CONTACT_ROWS, JOINT_ROWS, TOUCHED, WRENCH_ROWS

if TYPE_CHECKING:
    from mischance.api.protocols import FaultKind
    from mischance.api.randomness import Streams
    from mischance.api.runs import Commands, Draw
    from mischance.api.tables import Schema

    from .model import Matrix, Vector


RATE = 120  # steps of the world per second; each is two control steps, a control step four of physics
SLOW_ROWS = 4  # control steps between two rows of `joints` and `cell`
NEAR = 0.15  # distance within which a person is looked for at every control step [m]
FAR = 1.5  # beyond it nobody is looked for [m]
REST = 0.4  # how long a run goes on when the program is done [s]
STILL = 0.02  # speed of the tool that is standstill [m/s]
CLOSED = ("lift", "carry", "set_down")


class Arm:
    """A six-axis arm at a table with gripper, box, bin, and perhaps a post and a person who reaches in.

    PyBullet moves it, 960 steps a second, rebuilt from nothing for every run; a controller at 240 Hz runs a program
    by computed torque; a monitor stops it for force, following error or separation. The person's hand and forearm
    are free bodies of effective mass, springy where they are touched and held on course by a bounded force; the
    upper arm is only drawn. Forces are reported, no injury is claimed. It draws no random number of its own.
    """

    Settings: ClassVar[type[ArmSettings]] = ArmSettings
    batch: ClassVar[int] = 1
    max_chunk_seconds: ClassVar[float] = 2.0
    needs: ClassVar[tuple[str, ...]] = ("pybullet",)
    randomness: ClassVar[tuple[str, ...]] = ()
    measures: ClassVar[Schema] = MEASURES
    commands: ClassVar[Schema] = {
        "speed": Column(about="part of the program's speed that is allowed, 0-1; held until the next command")
    }
    faults: ClassVar[Mapping[str, FaultKind]] = KINDS

    @staticmethod
    def targets(settings: ArmSettings) -> Sequence[str]:
        """Return what a fault may be aimed at."""
        return tuple(OF)

    def __init__(self, settings: ArmSettings) -> None:
        self.settings = settings
        self._client: int | None = None

    # -- the socket -----------------------------------------------------------------------------------------------

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Return truth at t = 0.

        Raises:
            RunError: PyBullet is missing, a place is out of reach, or a fault does not fit its target.
        """
        from mischance.api.engines import engine

        from .appearance import moving, scene
        from .building import borrow
        from .bullet import Cell
        from .control import Controller
        from .monitor import Monitor
        from .path import Program, Reach

        if len(draws) != 1:
            raise RunError(f"the world 'arm' plays one run at a time (got {len(draws)})")
        settings = self.settings
        self._faults = Faults(draws[0])
        program = Program(settings)
        self._reach = Reach(settings.person) if settings.person is not None else None
        bullet = engine()
        if self._client is None:
            bullet, self._client = borrow()
        self._cell = Cell(bullet, self._client, settings, self._reach)
        self._cell.build(program.joints(0.0))
        self._control = Controller(program, self._faults, settings.object.mass, settings.monitor.stopping)
        self._monitor = Monitor(settings.monitor, self._faults)
        person = settings.person
        self._judge = Judge(person.limit if person else inf, person.area if person else 1.0)
        self._scene, self._bodies = scene(settings, self._reach), moving(settings)
        self._k = self._last = 0
        self._ids = 0
        self._over = False
        self._done = inf
        self._leg = ""
        self._grasp: Vector | None = None
        self._slip = 0.0
        self._separation, self._needed = inf, 0.0
        self._reaching = False
        self._told: dict[str, str] = {}
        self._stopping = False
        self._pads = -1.0
        self._turn: Matrix
        self._velocity: Vector
        self._tool, self._turn, self._velocity = self._cell.tool()
        self._speed = 0.0
        self._clear()
        self._notice(0.0)
        self._look(0.0)
        self._rows_at(0)
        self._sample()
        return self._chunk()

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Return truth in (last end, end]; without a command, the last one holds.

        Raises:
            RunError: the engine's numbers diverged.
        """
        self._last = self._k
        self._clear()
        self._sample()
        if commands is not None and commands.live[0]:
            for speed in commands.table.run(0)["speed"]:
                self._control.cap = min(max(float(speed), 0.0), 1.0)
        while not self._over and (self._k + 1) / RATE <= until:
            for half in range(2):
                self._step(2 * self._k + half)
            self._k += 1
            self._sample()
            if self._k / RATE >= self._done + REST:
                self._over = True
                self._add(self._k / RATE, "run_end", "arm", details={"why": "the program is done"})
        return self._chunk()

    def outcome(self) -> tuple[Table, Table]:
        """Return the run's measures with verdict and reason, and the labels of plant, contacts and drops."""
        at, _, _, _ = self._cell.body(self._cell.box)
        x, y = self.settings.task.place
        self._judge.error = ((at[0] - x) ** 2 + (at[1] - y) ** 2) ** 0.5
        return Table.of(OUTCOME, [self._judge.row(self._why())]), self._labels()

    def close(self) -> None:
        """Give the engine's client back."""
        if self._client is not None:
            from .building import give_back

            give_back(self._client)
            self._client = None

    # -- one control step -----------------------------------------------------------------------------------------

    def _step(self, n: int) -> None:
        """Go from control step n to n + 1."""
        t, now = n / (2 * RATE), (n + 1) / (2 * RATE)
        cell, control, faults = self._cell, self._control, self._faults
        grip = self.settings.gripper
        pads = grip.friction * (1.0 - min(max(faults.of("gripper", "slip", t), 0.0), 1.0))
        if pads != self._pads:
            cell.pads(pads)
            self._pads = pads
        braked = self._monitor.brakes(t)
        cell.lock(tuple(braked or faults.of(target, "stuck", t) >= 0.5 for target in _JOINTS))
        torques = control.torques(cell, t, stop=self._monitor.stops(t))
        cell.fingers(grip.force if control.leg.closed else None)
        cell.steer(t)
        cell.step(torques)
        self._touch(now)
        was = self._tool
        self._tool, self._turn, self._velocity = cell.tool()
        self._speed = length(self._velocity)
        self._judge_step(now, length(subtract(self._tool, was)))
        self._notice(now)
        if (n + 1) % SLOW_ROWS == 0 or self._separation < NEAR:
            self._look(now)
        self._watch(now)
        self._wrenches.append((now, *cell.wrench))
        if (n + 1) % SLOW_ROWS == 0:
            self._rows_at(n + 1)

    def _judge_step(self, t: float, way: float) -> None:
        """Count saturation, stopping distance and slip."""
        judge, control = self._judge, self._control
        judge.steps += 1
        judge.saturated += control.saturated
        judge.max_torque = max(judge.max_torque, control.asked)
        judge.max_following = max(judge.max_following, control.following)
        if self._stopping and judge.stop_time != judge.stop_time:
            judge.stop_distance += way
            if control.rate == 0.0 and self._speed < STILL and t >= self._monitor.begins:
                judge.stop_time = t - judge.asked
                self._add(t, "standstill", "arm", self._told.get("stop", ""), {"way": judge.stop_distance})
        place = self._cell.load()
        name = control.leg.name
        if name not in CLOSED:
            self._grasp, self._slip = None, 0.0
            return
        if self._grasp is None:
            self._grasp = place
        self._slip = length(subtract(place, self._grasp))
        judge.slip = max(judge.slip, min(self._slip, 1.0))  # where a lost box goes then is nobody's measure
        if self._slip > SLIP and judge.t_dropped == inf:
            judge.t_dropped = t
            acting = [fault.fault_id for fault in self._faults.acting(t)]
            self._add(t, "dropped", "box", self._told.get("leg", ""), {"slip": self._slip, "faults": acting})

    def _touch(self, t: float) -> None:
        """Write down what arm and box did to person and fixture in the control step that ended at t."""
        judge = self._judge
        for name, push in self._cell.pushes.items():
            contact = judge.open(name, t)
            if contact is None:
                contact = self._begin(t, name, push.by)
            judge.press(contact, t, push)
            force = [value * 2 * RATE for value in push.impulse]
            place = [value / push.weight for value in push.moment]
            pressure = push.peak / judge.area if name != "fixture" else float("nan")
            self._contacts.append(
                (t, TOUCHED.index(name), push.by, *force, push.peak, pressure, contact.energy, *place)
            )
        judge.bench = max(judge.bench, self._cell.bench)

    def _begin(self, t: float, name: str, by: str) -> Contact:
        judge = self._judge
        person = name != "fixture"
        if person and not any(contact.name != "fixture" for contact in judge.contacts):
            limb = self._cell.limbs.get(name)
            velocity = limb.before if limb else (0.0, 0.0, 0.0)
            judge.contact_speed = length(subtract(self._velocity, velocity))
        acting = tuple(fault.fault_id for fault in self._faults.acting(t))
        parent = self._told.get("reach" if person else "leg", "")
        details = {"by": by, "tool_speed": self._speed, "faults": list(acting)}
        event_id = self._add(t, "contact", name, parent, details)
        contact = Contact(t, name, by, event_id, parent, t, acting)
        judge.contacts.append(contact)
        return contact

    def _look(self, t: float) -> None:
        """Measure distances to person and fixture."""
        cell, judge = self._cell, self._judge
        load = self._control.leg.name in CLOSED
        if self._reach is not None:
            fastest = max(length(limb.velocity) for limb in cell.limbs.values())
            found = [cell.distance(name, FAR, load=load) for name in cell.watched if name != "fixture"]
            self._separation = max(min(found), 0.0)
            self._needed = self._monitor.needed(self._speed, fastest)
            if self._separation < judge.separation:
                judge.separation, judge.t_separation = self._separation, t
        if self.settings.fixture is not None:
            judge.clearance = min(judge.clearance, max(cell.distance("fixture", FAR, load=load), 0.0))

    def _watch(self, t: float) -> None:
        """Let the monitor look, and tell what it does."""
        control, judge = self._control, self._judge
        own = scale(subtract(control.acceleration, (0.0, 0.0, -G)), HAND_MASS + control.load)
        wrench = self._cell.wrench
        force = length(subtract((wrench[0], wrench[1], wrench[2]), apply(transpose(self._turn), own)))
        news = self._monitor.look(t, force, control.following, self._separation, self._needed)
        if news == "asked":
            judge.stops += 1
            self._told["stop"] = self._add(t, "stop_demanded", "monitor", details={"cause": self._monitor.cause})
            if judge.asked == inf:
                judge.asked, judge.stop_cause = t, self._monitor.cause
                self._stopping = True
        elif news == "cleared":
            if judge.stop_time != judge.stop_time:  # it never came to a standstill: the next demand counts anew
                judge.asked, judge.stop_distance, self._stopping = inf, 0.0, False
            self._add(t, "resumed", "monitor", self._told.get("stop", ""))

    # -- what happened --------------------------------------------------------------------------------------------

    def _notice(self, t: float) -> None:
        """Tell of the program's legs and of the person's reach."""
        control = self._control
        leg = control.leg.name
        if leg != self._leg and control.u <= control.program.duration:
            self._leg = leg
            self._told["leg"] = self._add(t, leg, "arm", details={"u": control.u})
            if leg == "release":
                self._judge.released = True
        if self._done == inf and control.u >= control.program.duration:
            self._done = t
        person = self.settings.person
        if person is not None and person.reaches and not self._reaching and t >= person.at:
            self._reaching = True
            details = {"separation": min(self._separation, 10.0), "tool_speed": self._speed}
            self._told["reach"] = self._add(t, "reach", "person", details=details)
            self._told["reached"] = f"the person reached in at {t:.2f} s"

    def _add(
        self, t: float, kind: str, subject: str, parent: str = "", details: Mapping[str, Any] | None = None
    ) -> str:
        event_id = f"event:{self._ids}"
        self._ids += 1
        self._events.append((t, event_id, parent, kind, subject, json.dumps(details or {}, allow_nan=False)))
        return event_id

    def _why(self) -> str:
        """Return in words what brought the outcome about: the person's reach and the faults that acted before it."""
        judge = self._judge
        first = min([contact.t for contact in judge.contacts] + [judge.t_dropped, self._k / RATE])
        faults = [f"{fault.kind} of {fault.target}" for fault in self._faults.begun(first)]
        parts = [self._told["reached"]] if "reached" in self._told else []
        parts += [" and ".join(faults)] if faults else []
        return " with ".join(parts) if parts else "nothing was out of the ordinary"

    def _labels(self) -> Table:
        """Return a label for each fault that came to act, each contact, and a dropped box."""
        rows = []
        numbers: dict[str, int] = {}
        for fault in self._faults.all:
            number = numbers.setdefault(fault.target, 0)
            numbers[fault.target] += 1
            part = "joint" if fault.target.startswith("joint") else fault.target
            rows.append(
                label_row(
                    f"{fault.target}:{number}", f"fault/{part}/{fault.kind}", fault.target, cause=fault.onset,
                    end=fault.end, severity=fault.severity, causes=[fault.fault_id], role="fault",
                )
            )  # fmt: skip
        for number, contact in enumerate(self._judge.contacts):
            kind = "collision" if contact.name == "fixture" else "contact"
            causes = [cause for cause in (contact.event_id, contact.parent, *contact.faults) if cause]
            rows.append(
                label_row(
                    f"{kind}:{number}", f"event/{kind}", contact.name, cause=contact.t, end=contact.last,
                    severity=contact.peak, causes=causes, role="event",
                )
            )  # fmt: skip
        if self._judge.t_dropped < inf:
            t = self._judge.t_dropped
            causes = [fault.fault_id for fault in self._faults.acting(t)]
            slip = self._judge.slip
            rows.append(
                label_row("drop:0", "event/drop", "box", cause=t, end=t, severity=slip, causes=causes, role="event")
            )
        rows.sort(key=lambda row: (row[3], row[0]))
        return table_of_rows(LABELS, [rows])

    # -- columns --------------------------------------------------------------------------------------------------

    def _clear(self) -> None:
        self._events: list[tuple[Any, ...]] = []
        self._contacts: list[tuple[Any, ...]] = []
        self._wrenches: list[tuple[Any, ...]] = []
        self._joints: list[tuple[Any, ...]] = []
        self._cells: list[tuple[Any, ...]] = []
        self._poses: list[list[float]] = []

    def _rows_at(self, n: int) -> None:
        """Add rows of `joints` and `cell` at the end of control step n."""
        t = n / (2 * RATE)
        cell, control = self._cell, self._control
        if n == 0:
            self._wrenches.append((t, *cell.wrench))
        for i in range(JOINTS):
            self._joints.append(
                (t, i + 1, cell.q[i], cell.v[i], cell.torque[i], control.target[i], control.measured[i])
            )
        nobody = self._reach is None
        separation = float("nan") if nobody else min(self._separation, FAR)
        needed = float("nan") if nobody else self._needed
        self._cells.append((t, separation, needed, self._speed, control.rate, self._slip, cell.holding))

    def _sample(self) -> None:
        """Keep where everything is: pose and velocity."""
        cell = self._cell
        bodies = [*cell.links(), cell.body(cell.box)]
        if self._reach is not None:
            hand, forearm = (cell.body(cell.limbs[name].body) for name in ("hand", "forearm"))
            bodies += [hand, forearm, self._reach.upper_arm(forearm)]
        state: list[float] = []
        for at, turn, velocity, spin in bodies:
            state += (*at, *turn, *velocity, *spin)
        self._poses.append(state)

    def _chunk(self) -> Chunk:
        start, end = self._last / RATE, self._k / RATE
        steps = np.arange(self._last, self._k + 1, dtype=np.int64)
        state = np.array(self._poses, np.float64).reshape(1, len(steps), len(self._bodies), 13)
        return Chunk(
            start=start,
            end=end,
            ends=np.array([end]),
            over=np.array([self._over]),
            events=table_of_rows(EVENTS, [self._events]),
            tables={
                "joints": table_of_rows(JOINT_ROWS, [self._joints]),
                "cell": table_of_rows(CELL_ROWS, [self._cells]),
                "wrench": table_of_rows(WRENCH_ROWS, [self._wrenches]),
                "contacts": table_of_rows(CONTACT_ROWS, [self._contacts]),
            },
            motion=Motion(self._bodies, steps / RATE, state[..., :7].copy(), state[..., 7:].copy()),
            scenes=(self._scene,),
        )


_JOINTS = tuple(f"joint{k}" for k in range(1, JOINTS + 1))
