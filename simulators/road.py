"""Vehicles on a straight road: lane keeping, cut-ins, braking, black ice, and real impacts in PyBullet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import cos, hypot, inf, sin
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mischance.errors import RunError
from mischance.sockets import FaultKind
from mischance.truth import EVENTS, LABELS, Chunk, Column, Motion, Table

from ._road_boxes import closing_speed, first_contact, separation, touching_point
from ._road_faults import Faults
from ._road_measures import MEASURES, OUTCOME, Contact, Judge
from ._road_scene import scene
from ._road_settings import Settings as RoadSettings
from ._road_story import Story
from ._road_tables import BODIES, actors, contacts, label, table
from ._road_vehicle import RATE, Vehicle

if TYPE_CHECKING:
    from mischance.randomness import Streams
    from mischance.truth import Commands, Draw, Scene, Schema

TABLE_RATE = 20  # rows of `actors` per second
CREEP = 0.15  # closing speed below which two vehicles lean on each other without an impact [m/s]
DEEP = 0.015  # overlap from which leaning is watched more closely [m]
AGAIN = 0.5  # a pair that touches again sooner than this leans: the same contact goes on [s]


class Road:
    """Two or more vehicles, 240 steps a second, one run at a time.

    Until it is hit a vehicle is a kinematic single-track with a friction circle. Contact is found exactly by a
    swept test of oriented boxes, at whatever moment inside a step. There the two boxes, exactly touching, are
    handed to PyBullet, which says what the impact does to their velocities; it takes no time. Afterwards nobody
    drives them: they slide on locked wheels with Coulomb friction, and every later contact is an impact again.
    Motion stays in the plane: what an impact gives in roll and pitch is dropped. Rigid bodies: no crush.

    It draws no random number of its own.
    """

    Settings: ClassVar[type[RoadSettings]] = RoadSettings
    batch: ClassVar[int] = 1
    piece: ClassVar[float] = 2.0  # with cameras a second can hold tens of megabytes
    needs: ClassVar[tuple[str, ...]] = ("pybullet",)
    measures: ClassVar[Schema] = MEASURES
    commands: ClassVar[Schema] = {
        "actor": Column("text", about="who is driven"),
        "acceleration": Column(unit="m/s2", about="asked of drive and brakes; held until the next command"),
        "steer": Column(unit="rad", about="angle of the front wheels, left is positive; held likewise"),
    }
    faults: ClassVar[Mapping[str, FaultKind]] = {
        "fade": FaultKind("brakes lose force: it is multiplied by 1 - severity", severity="ratio", default=0.5),
        "friction": FaultKind("another friction of tyre and road: the severity (black ice 0.1)", "ratio", default=0.1),
    }

    @staticmethod
    def targets(settings: RoadSettings) -> Sequence[str]:
        """Return what a fault may be aimed at: everybody's brakes, and the road."""
        return [*(f"{name}.brakes" for name in settings.actors), "road"]

    def __init__(self, settings: RoadSettings) -> None:
        self.settings = settings

    # -- the socket -----------------------------------------------------------------------------------------------

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Return truth at t = 0.

        Raises:
            RunError: PyBullet is missing, two actors overlap at the start, or a fault does not fit its target.
        """
        from ._bullet import engine

        engine()
        if len(draws) != 1:
            raise RunError(f"the world 'road' plays one run at a time (got {len(draws)})")
        self._faults = Faults(draws[0], self.targets(self.settings))
        self._vehicles = self._place()
        self._by_name = {vehicle.name: vehicle for vehicle in self._vehicles}
        self._ego = self._by_name["ego"]
        self._others = [vehicle for vehicle in self._vehicles if vehicle is not self._ego]
        for a, b in combinations(self._vehicles, 2):
            if separation(a.rectangle(), b.rectangle())[0] <= 0.0:
                raise RunError(
                    f"run {draws[0].run}: {a.name} and {b.name} overlap at the start",
                    "give them a larger `gap`, a smaller `gap_at` or other lanes",
                )
        self._scene: Scene = scene(self._vehicles, self.settings.road)
        self._actors, self._hits = actors(tuple(self._by_name)), contacts(tuple(self._by_name))
        self._k = self._last = 0
        self._over = False
        self._story = Story(self._vehicles, self._ego)
        self._judge = Judge()
        self._touched: dict[tuple[str, str], float] = {}
        self._contact_ids: dict[tuple[str, str], str] = {}
        self._first = inf
        self._clear()
        self._sample()
        self._story.triggers(0.0)
        self._row()
        self._judge.look(0.0, self._ego, self._others)
        return self._chunk()

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Return truth in (last end, end]; without a command, the last one holds.

        Raises:
            RunError: a command for somebody who is not there.
        """
        self._last = self._k
        self._clear()
        self._sample()
        if commands is not None and commands.live[0]:
            self._command(commands.table.run(0))
        while not self._over and (self._k + 1) / RATE <= until:
            self._step()
        return self._chunk()

    def outcome(self) -> tuple[Table, Table]:
        """Return the run's measures with verdict and reason, and the labels of plant and collision."""
        mine = [contact for contact in self._judge.contacts if "ego" in (contact.a, contact.b)]
        blame = self._blame(mine[0] if mine else None)
        why = blame[2] if blame is not None else "nobody did anything out of the ordinary"
        active = [f"{fault.kind} of {fault.target}" for fault in self._faults.acting(self._when())]
        if active and why not in active:
            why += f" with {' and '.join(active)}"
        return Table.of(OUTCOME, [self._judge.row("ego", why)]), self._labels()

    def close(self) -> None:
        """Give nothing back: the engine's client stays for the next run of this process."""

    # -- one step -------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Go from k to k + 1: plan, move to each contact in turn, impact, move on."""
        t, step = self._k / RATE, 1.0 / RATE
        friction = self._faults.friction(self.settings.friction, t)
        for vehicle in self._vehicles:
            vehicle.plan(t, friction, self._faults.brakes(vehicle.name, t))
        gone = 0.0
        for _ in range(20):  # more impacts than that in one step are a pile that leans: let it
            when, pair = self._next_contact(step - gone)
            if pair is None:
                break
            for vehicle in self._vehicles:
                vehicle.move(when)
            gone += when
            self._impact(t + gone, *pair)
            for vehicle in self._vehicles:
                if vehicle.hit:
                    vehicle.plan(t, friction, 1.0)
        for vehicle in self._vehicles:
            vehicle.move(step - gone)
        self._k += 1
        now = self._k / RATE
        if self._ego.hit is False:
            self._judge.look(now, self._ego, self._others)
        self._story.watch(now)
        self._story.triggers(now)
        self._sample()
        if self._k % (RATE // TABLE_RATE) == 0:
            self._row()
        resting = self._first < inf and all(v.resting or (not v.hit and v.speed == 0.0) for v in self._vehicles)
        if resting or now >= self._first + self.settings.settle:
            self._over = True
            self._story.add(now, "run_end", "ego", details={"why": "at rest" if resting else "settled"})

    def _next_contact(self, duration: float) -> tuple[float, tuple[Vehicle, Vehicle] | None]:
        """Return when the next impact comes in this step, and whose."""
        soonest, pair = inf, None
        for a, b in combinations(self._vehicles, 2):
            if a.resting and b.resting:
                continue
            fastest = a.fastest(b)
            reach = hypot(*a.half) + hypot(*b.half)
            if hypot(b.x - a.x, b.y - a.y) > reach + fastest * duration:
                continue
            gap, creep = separation(a.rectangle(), b.rectangle())[0], CREEP
            if gap <= 1e-9:
                when = 0.0  # still touching from the last impact: only what closes in again is another one
                creep = CREEP if gap > -DEEP else 0.2 * CREEP
            else:
                when = first_contact(a.outline, b.outline, duration, fastest)
            if when < soonest and self._closing(a, b, when)[0] > creep:
                soonest, pair = when, (a, b)
        return soonest, pair

    @staticmethod
    def _closing(a: Vehicle, b: Vehicle, tau: float) -> tuple[float, tuple[float, float]]:
        """Return closing speed and normal at a contact `tau` seconds into the step."""
        box_a, box_b = a.outline(tau), b.outline(tau)
        _, nx, ny = separation(box_a, box_b)
        point = touching_point(box_a, box_b, (nx, ny))
        speed = closing_speed(box_a, box_b, a.ahead(tau)[4], b.ahead(tau)[4], (nx, ny), point)
        return speed, (nx, ny)

    def _impact(self, t: float, a: Vehicle, b: Vehicle) -> None:
        """Hand two touching boxes to PyBullet and take over their velocities."""
        from ._bullet import RigidBox, collide

        closing, normal = self._closing(a, b, 0.0)
        boxes = [
            RigidBox(v.size, v.mass, (v.x, v.y, 0.5 * v.size[2]), v.yaw, (v.twist[0], v.twist[1], 0.0), v.twist[2])
            for v in (a, b)
        ]
        impact = self.settings.impact
        done = collide(boxes[0], boxes[1], impact.restitution, impact.friction)
        before = a.energy() + b.energy()
        change = [hypot(u[0] - v.twist[0], u[1] - v.twist[1]) for u, v in zip(done.velocity, (a, b), strict=True)]
        sides = a.side(*normal), b.side(-normal[0], -normal[1])
        for vehicle, velocity, rate in zip((a, b), done.velocity, done.yaw_rate, strict=True):
            vehicle.strike(velocity, rate)
        lost = before - a.energy() - b.energy()
        again = t - self._touched.get((a.name, b.name), -inf) < AGAIN
        self._touched[a.name, b.name] = t
        event_id = self._contact_ids[a.name, b.name] if again else f"event:{self._story.ids}"
        self._contact_ids[a.name, b.name] = event_id
        contact = Contact(
            t,
            a.name,
            b.name,
            closing,
            normal,
            done.point,
            done.impulse,
            (change[0], change[1]),
            lost,
            *sides,
            event_id,
            again,
        )
        blame = self._blame(contact)
        first = next((c.event_id for c in self._judge.contacts), "")
        if not again:
            self._story.add(
                t,
                "contact",
                a.name,
                parent=first or (blame[1] if blame else ""),
                details={
                    "with": b.name,
                    "closing_speed": closing,
                    "impulse": contact.size,
                    "delta_v": {a.name: change[0], b.name: change[1]},
                    "energy_lost": lost,
                    "sides": {a.name: sides[0], b.name: sides[1]},
                    "faults": [fault.fault_id for fault in self._faults.acting(t)],
                },
            )
        self._judge.contacts.append(contact)
        self._first = min(self._first, t)
        self._contacts.append(
            (
                t,
                list(self._by_name).index(a.name),
                list(self._by_name).index(b.name),
                closing,
                *normal,
                *done.point,
                *done.impulse,
                contact.size,
                *change,
                lost,
                event_id,
            )
        )

    # -- plans, faults, commands ----------------------------------------------------------------------------------

    def _place(self) -> list[Vehicle]:
        """Return the vehicles where they stand at t = 0; the ego's centre is x = 0."""
        settings = self.settings
        ego = settings.actors["ego"]
        half = 0.5 * ego.sizes()[0]
        vehicles = []
        for name, actor in settings.actors.items():
            x = 0.0
            if name != "ego":
                apart = half + 0.5 * actor.sizes()[0]
                x = actor.gap + apart if actor.gap >= 0.0 else actor.gap - apart
                x += (ego.speed - actor.speed) * actor.gap_at
            vehicles.append(Vehicle(name, actor, settings.road, x, settings.road.centre(actor.lane)))
        return vehicles

    def _when(self) -> float:
        return min(self._first, self._k / RATE)

    def _command(self, rows: Mapping[str, Any]) -> None:
        for name, acceleration, steer in zip(rows["actor"], rows["acceleration"], rows["steer"], strict=True):
            vehicle = self._by_name.get(name)
            if vehicle is None:
                raise RunError(f"a command for '{name}', who is not there", f"actors: {', '.join(self._by_name)}")
            if not vehicle.hit:
                vehicle.command = (float(acceleration), float(steer))

    def _blame(self, contact: Contact | None) -> tuple[float, str, str] | None:
        """Return what began it: another vehicle's last manoeuvre, else a fault that acted, else the ego's manoeuvre.

        As (t, id, words). A first answer from the order of events; what a fault really did is its twin's to say.
        """
        names = [v.name for v in self._others] if contact is None else [contact.a, contact.b]
        cause = self._story.cause
        found = [cause[name] for name in names if name in cause and name != "ego"]
        if not found:
            acting = self._faults.acting(self._when())
            found = [(fault.onset, fault.fault_id, f"{fault.kind} of {fault.target}") for fault in acting]
        return max(found, default=cause.get("ego"))

    # -- columns --------------------------------------------------------------------------------------------------

    def _clear(self) -> None:
        self._story.rows = []
        self._rows: list[tuple[Any, ...]] = []
        self._contacts: list[tuple[Any, ...]] = []
        self._poses: list[tuple[float, ...]] = []

    def _sample(self) -> None:
        """Keep where everybody is: pose and velocity."""
        state: list[float] = []
        for v in self._vehicles:
            half = 0.5 * v.yaw
            state += (v.x, v.y, 0.5 * v.size[2], 0.0, 0.0, sin(half), cos(half))
            state += (v.twist[0], v.twist[1], 0.0, 0.0, 0.0, v.twist[2])
        self._poses.append(tuple(state))

    def _row(self) -> None:
        t = self._k / RATE
        for i, v in enumerate(self._vehicles):
            where = (t, i, v.x, v.y, v.heading(), v.speed, *v.twist, v.acceleration, v.steer, v.lane())
            self._rows.append((*where, BODIES.index(v.actor.body), v.size[0], v.size[1], v.hit))

    def _chunk(self) -> Chunk:
        start, end = self._last / RATE, self._k / RATE
        steps = np.arange(self._last, self._k + 1, dtype=np.int64)
        state = np.array(self._poses, np.float64).reshape(1, len(steps), len(self._vehicles), 13)
        self._story.rows.sort(key=lambda row: row[0])
        return Chunk(
            start=start,
            end=end,
            ends=np.array([end]),
            over=np.array([self._over]),
            events=table(EVENTS, self._story.rows),
            tables={"actors": table(self._actors, self._rows), "contacts": table(self._hits, self._contacts)},
            motion=Motion(tuple(self._by_name), steps / RATE, state[..., :7].copy(), state[..., 7:].copy()),
            scenes=(self._scene,),
        )

    def _labels(self) -> Table:
        """Return a label for each fault that came to act and one for each collision."""
        rows = []
        numbers: dict[str, int] = {}
        for fault in self._faults.all:
            number = numbers.setdefault(fault.target, 0)
            numbers[fault.target] += 1
            part = "brakes" if fault.target.endswith(".brakes") else fault.target
            rows.append(
                label(
                    f"{fault.target}:{number}",
                    f"fault/{part}/{fault.kind}",
                    fault.target,
                    fault.onset,
                    fault.end,
                    fault.severity,
                    [fault.fault_id],
                    "fault",
                )
            )
        for number, contact in enumerate(c for c in self._judge.contacts if not c.again):
            blame = self._blame(contact)
            rows.append(
                label(
                    f"contact:{number}",
                    "event/collision",
                    contact.a,
                    contact.t,
                    contact.t,
                    contact.delta_v[0],
                    [contact.event_id, *([blame[1]] if blame else [])],
                    "event",
                )
            )
        rows.sort(key=lambda row: (row[3], row[0]))
        return table(LABELS, rows)
