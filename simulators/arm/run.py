"""One run of the arm: control steps with contacts, distances, monitor, events and measures."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from mischance.api.appearance import BODIES, LANES
from mischance.api.runs import last_tick
from mischance.api.tables import Table

from .appearance import moving, scene
from .bullet import Cell
from .control import Controller
from .faults import Faults
from .measures import OUTCOME, SLIP, CellMeasures, Contact, labels
from .model import HAND_MASS, JOINTS, G, apply, length, scale, subtract, transpose
from .monitor import Monitor
from .outline import bodies_table, lanes_table
from .path import Program, Reach
from .rows import RATE, Rows
from .tables import TOUCHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mischance.api.runs import Chunk, Draw

    from .model import Matrix, Vector
    from .settings import Settings

SLOW_ROWS = 4  # control steps between two rows of `joints` and `cell`
NEAR = 0.15  # distance below which the distance to a person is computed at every control step [m]
FAR = 1.5  # upper limit of the distances that are computed [m]
REST = 0.4  # time from the end of the program to the end of the run [s]
STILL = 0.02  # speed of the tool below which it stands still [m/s]
CLOSED = ("lift", "carry", "set_down")
_JOINTS = tuple(f"joint{k}" for k in range(1, JOINTS + 1))


class Run:
    """One run in a client of PyBullet.

    Raises:
        RunError: a position is out of reach, or a fault does not fit its target.
    """

    def __init__(self, bullet: Any, client: int, settings: Settings, draw: Draw) -> None:
        self.settings = settings
        self._faults = Faults(draw)
        program = Program(settings)
        self._reach = Reach(settings.person) if settings.person is not None else None
        self._cell = Cell(bullet, client, settings, self._reach)
        self._cell.build(program.joints(0.0))
        self._control = Controller(program, self._faults, settings.object.mass, settings.monitor.stopping)
        self._monitor = Monitor(settings.monitor, self._faults)
        person = settings.person
        self._measures = CellMeasures(person.limit if person else inf, person.area if person else 1.0)
        outline = {LANES: lanes_table(settings), BODIES: bodies_table(settings, self._reach)}
        self._rows = Rows(scene(settings, self._reach), moving(settings), outline)
        self._over = False
        self._last = last_tick(RATE, draw.duration)
        self._done = inf
        self._leg = ""
        self._grasp: Vector | None = None
        self._slip = 0.0
        self._separation, self._needed = inf, 0.0
        self._reaching = ""
        self._event_ids: dict[str, str] = {}
        self._stopping = False
        self._pads = settings.gripper.friction
        self._turn: Matrix
        self._velocity: Vector
        self._tool, self._turn, self._velocity = self._cell.tool()
        self._speed = 0.0
        self._note_program(0.0)
        self._measure_distances(0.0)
        self._add_rows(0)
        self._rows.sample(self._cell, self._reach)

    def chunk(self) -> Chunk:
        """Return everything since the last chunk."""
        return self._rows.chunk(over=self._over)

    def advance(self, until: float, speeds: Iterable[float]) -> Chunk:
        """Return truth in (last end, end]; the last of `speeds` (0-1) limits the program's speed from now on.

        Raises:
            RunError: PyBullet's numbers diverged.
        """
        rows = self._rows
        rows.clear()
        rows.sample(self._cell, self._reach)
        for speed in speeds:
            self._control.cap = min(max(float(speed), 0.0), 1.0)
        while not self._over and (rows.k + 1) / RATE <= until:
            for half in range(2):
                self._step(2 * rows.k + half)
            rows.k += 1
            rows.sample(self._cell, self._reach)
            if rows.k / RATE >= self._done + REST:
                self._over = True
                rows.event(rows.k / RATE, "run_end", "arm", details={"why": "the program is done"})
            if (self._over or rows.k == self._last) and 2 * rows.k % SLOW_ROWS:  # the state at a run's end is a row
                self._measure_distances(rows.k / RATE)
                self._add_rows(2 * rows.k)
        return self.chunk()

    def in_force(self, target: str, kind: str) -> float:
        """Return the value of the parameter that faults of a kind change on a target.

        stuck: whether the joint's brake is closed; slip: friction of pads and box; torque_loss: torque given to
        the engine over torque asked for; backlash: the gear's play [rad]; encoder_offset: reading less angle [rad];
        delay, latency [s]; off.
        """
        control, t = self._control, self._rows.k / RATE
        i = int(target[5:]) - 1 if target.startswith("joint") else 0
        read: dict[str, Callable[[], float]] = {
            "stuck": lambda: float(self._cell.locked[i]),
            "slip": self._cell.grip,
            "torque_loss": lambda: self._cell.torque[i] / control.limited[i],
            "backlash": lambda: 2.0 * control.play[i],
            "encoder_offset": lambda: control.measured[i] - control.true[i],
            "delay": lambda: self._monitor.reaction(t),
            "off": lambda: float(self._monitor.off(t)),
            "latency": lambda: self._monitor.brake(t),
        }
        return read[kind]()

    def outcome(self) -> tuple[Table, Table]:
        """Return the run's measures with verdict and reason, and the labels of plant, contacts and drops."""
        at, _, _, _ = self._cell.body(self._cell.box)
        x, y = self.settings.task.place
        self._measures.error = ((at[0] - x) ** 2 + (at[1] - y) ** 2) ** 0.5
        return Table.of(OUTCOME, [self._measures.row(self._cause())]), labels(self._measures, self._faults)

    def _step(self, n: int) -> None:
        """Advance by control step n."""
        t, now = n / (2 * RATE), (n + 1) / (2 * RATE)
        cell, control, faults = self._cell, self._control, self._faults
        grip = self.settings.gripper
        pads = grip.friction * faults.left("gripper", "slip", t)
        if pads != self._pads:
            cell.pads(pads)
            self._pads = pads
        braked = self._monitor.brakes(t)
        cell.lock(tuple(braked or faults.on(target, "stuck", t) for target in _JOINTS))
        torques = control.torques(cell, t, stop=self._monitor.stops(t))
        cell.fingers(grip.force if control.leg.closed else None)
        cell.steer(t)
        cell.step(torques)
        self._record_contacts(now)
        was = self._tool
        self._tool, self._turn, self._velocity = cell.tool()
        self._speed = length(self._velocity)
        self._update_measures(now, length(subtract(self._tool, was)))
        self._note_program(now)
        if (n + 1) % SLOW_ROWS == 0 or self._separation < NEAR:
            self._measure_distances(now)
        self._run_monitor(now)
        self._rows.wrenches.append((now, *cell.wrench))
        if (n + 1) % SLOW_ROWS == 0:
            self._add_rows(n + 1)

    def _update_measures(self, t: float, distance: float) -> None:
        """Update saturation, stopping distance and slip; `distance`: covered by the tool in this step [m]."""
        measures, control = self._measures, self._control
        measures.steps += 1
        measures.saturated += control.saturated
        measures.max_torque = max(measures.max_torque, control.asked)
        measures.max_following = max(measures.max_following, control.following)
        if self._stopping and measures.stop_time != measures.stop_time:
            measures.stop_distance += distance
            if control.rate == 0.0 and self._speed < STILL and t >= self._monitor.begins:
                measures.stop_time = t - measures.asked
                self._rows.event(
                    t, "standstill", "arm", self._event_ids.get("stop", ""), {"way": measures.stop_distance}
                )
        place = self._cell.load()
        name = control.leg.name
        if name not in CLOSED:
            self._grasp, self._slip = None, 0.0
            return
        if self._grasp is None:
            self._grasp = place
        self._slip = length(subtract(place, self._grasp))
        measures.slip = max(measures.slip, min(self._slip, 1.0))  # limited: the position of a lost box does not count
        if self._slip > SLIP and measures.t_dropped == inf:
            measures.t_dropped = t
            acting = [fault.fault_id for fault in self._faults.acting(t)]
            self._rows.event(
                t, "dropped", "box", self._event_ids.get("leg", ""), {"slip": self._slip, "faults": acting}
            )

    def _record_contacts(self, t: float) -> None:
        """Add the contacts of arm and box with person and fixture in the control step that ended at t."""
        measures = self._measures
        for name, push in self._cell.pushes.items():
            contact = measures.open(name, t)
            if contact is None:
                contact = self._begin_contact(t, name, push.by)
            measures.press(contact, t, push)
            force = [value * 2 * RATE for value in push.impulse]
            place = [value / push.weight for value in push.moment]
            pressure = push.peak / measures.area if name != "fixture" else float("nan")
            self._rows.contacts.append(
                (t, TOUCHED.index(name), push.by, *force, push.peak, pressure, contact.energy, *place)
            )
        measures.bench = max(measures.bench, self._cell.bench)

    def _begin_contact(self, t: float, name: str, by: str) -> Contact:
        """Add a new contact and its event."""
        measures = self._measures
        person = name != "fixture"
        if person and not any(contact.name != "fixture" for contact in measures.contacts):
            limb = self._cell.limbs.get(name)
            velocity = limb.before if limb else (0.0, 0.0, 0.0)
            measures.contact_speed = length(subtract(self._velocity, velocity))
        acting = tuple(fault.fault_id for fault in self._faults.acting(t))
        parent = self._event_ids.get("reach" if person else "leg", "")
        details = {"by": by, "tool_speed": self._speed, "faults": list(acting)}
        event_id = self._rows.event(t, "contact", name, parent, details)
        contact = Contact(t, name, by, event_id, parent, t, acting)
        measures.contacts.append(contact)
        return contact

    def _measure_distances(self, t: float) -> None:
        """Update the distances of arm and load to person and fixture."""
        cell, measures = self._cell, self._measures
        load = self._control.leg.name in CLOSED
        if self._reach is not None:
            fastest = max(length(limb.velocity) for limb in cell.limbs.values())
            found = [cell.distance(name, FAR, load=load) for name in cell.watched if name != "fixture"]
            self._separation = max(min(found), 0.0)
            self._needed = self._monitor.needed(self._speed, fastest)
            if self._separation < measures.separation:
                measures.separation, measures.t_separation = self._separation, t
        if self.settings.fixture is not None:
            measures.clearance = min(measures.clearance, max(cell.distance("fixture", FAR, load=load), 0.0))

    def _run_monitor(self, t: float) -> None:
        """Run the monitor, and note its stop demands and resumptions."""
        control, measures = self._control, self._measures
        own = scale(subtract(control.acceleration, (0.0, 0.0, -G)), HAND_MASS + control.load)
        wrench = self._cell.wrench
        force = length(subtract((wrench[0], wrench[1], wrench[2]), apply(transpose(self._turn), own)))
        news = self._monitor.look(t, force, control.following, self._separation, self._needed)
        if news == "asked":
            measures.stops += 1
            self._event_ids["stop"] = self._rows.event(
                t, "stop_demanded", "monitor", details={"cause": self._monitor.cause}
            )
            if measures.asked == inf:
                measures.asked, measures.stop_cause = t, self._monitor.cause
                self._stopping = True
        elif news == "cleared":
            if measures.stop_time != measures.stop_time:  # no standstill: the next demand is measured anew
                measures.asked, measures.stop_distance, self._stopping = inf, 0.0, False
            self._rows.event(t, "resumed", "monitor", self._event_ids.get("stop", ""))

    def _note_program(self, t: float) -> None:
        """Note the start of each leg of the program and of the person's reach."""
        control = self._control
        leg = control.leg.name
        if leg != self._leg and control.u <= control.program.duration:
            self._leg = leg
            self._event_ids["leg"] = self._rows.event(t, leg, "arm", details={"u": control.u})
            if leg == "release":
                self._measures.released, self._measures.t_released = True, t
        if self._done == inf and control.u >= control.program.duration:
            self._done = t
        person = self.settings.person
        if person is not None and person.reaches and not self._reaching and t >= person.at:
            self._reaching = f"the person reached in at {t:.2f} s"
            details = {"separation": min(self._separation, 10.0), "tool_speed": self._speed}
            self._event_ids["reach"] = self._rows.event(t, "reach", "person", details=details)

    def _cause(self) -> str:
        """Return the cause as text: the person's reach and the faults before the first contact or drop."""
        measures = self._measures
        first = min([contact.t for contact in measures.contacts] + [measures.t_dropped, self._rows.k / RATE])
        faults = [f"{fault.kind} of {fault.target}" for fault in self._faults.begun(first)]
        parts = [self._reaching] if self._reaching else []
        parts += [" and ".join(faults)] if faults else []
        return " with ".join(parts) if parts else "nothing was out of the ordinary"

    def _add_rows(self, n: int) -> None:
        """Add rows of `joints` and `cell` at the end of control step n - 1."""
        t = n / (2 * RATE)
        cell, control = self._cell, self._control
        if n == 0:
            self._rows.wrenches.append((t, *cell.wrench))
        for i in range(JOINTS):
            self._rows.joints.append(
                (t, i + 1, cell.q[i], cell.v[i], cell.torque[i], control.target[i], control.measured[i])
            )
        alone = self._reach is None
        separation = float("nan") if alone else min(self._separation, FAR)
        needed = float("nan") if alone else self._needed
        self._rows.cells.append((t, separation, needed, self._speed, control.rate, self._slip, cell.holding))
