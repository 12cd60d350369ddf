"""Vehicles, riders and people on a road: lane keeping, cut-ins, crossings, black ice, blow-outs, and rigid impacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mischance.api.appearance import BODIES, CONTACTS, LANES, PATHS
from mischance.api.labels import table_of_rows
from mischance.api.protocols import FaultKind
from mischance.api.requirements import DefaultRequirement
from mischance.api.runs import Chunk, last_tick
from mischance.api.scene import Motion
from mischance.api.tables import EVENTS, Column, Table
from mischance.errors import RunError, StartError

from .appearance import scenes
from .events import EventLog, triggers
from .kinds import KINDS
from .measures import MEASURES, labels, new_records, outcome
from .outline import bodies_table, lanes_table
from .requirements import CONDUCT_TABLE, REQUIREMENTS, conduct_table, signals
from .routes import Paths
from .settings import Settings as RoadSettings
from .settings import in_common
from .state import AGAIN, ANSWERED, ASKING, CONDUCT, CONTACT, DUE, EVENT, IMPACT, ROLLOVER, ROW, STEPPED, TABLE_RATE
from .tables import ActorRows, actors_schema, contact_rows, contacts_schema, entry

if TYPE_CHECKING:
    from mischance.api.randomness import Streams
    from mischance.api.runs import Commands, Draw
    from mischance.api.tables import FloatArray, IntArray, Schema


class Road:
    """Any number of actors in many runs at once, a hundred steps a second.

    Before its first contact a vehicle is a single-track model: kinematic with a friction circle, or dynamic with
    slipping tyres at high lateral demand. People follow their path. Contacts are found exactly, at any time inside a
    step, by a swept test of oriented boxes. An impact is computed by the planar impulse with restitution and Coulomb's
    limit, or by PyBullet; it takes no time. Afterwards bodies slide on locked wheels, and every later contact is a
    further impact. Motion is planar, except in PyBullet. Deformation and injuries are not modelled. Nothing is random.
    """

    Settings: ClassVar[type[RoadSettings]] = RoadSettings
    batch: ClassVar[int] = 256
    batch_key = staticmethod(in_common)
    triggers = staticmethod(triggers)
    max_chunk_seconds: ClassVar[float] = 2.0  # 256 runs of two cars with motion are 10 MB
    default_actor: ClassVar[str] = "ego"
    reference_agents: ClassVar[tuple[str, ...]] = ("r157_driver", "fuzzy_safety")  # the two models of UN R157
    randomness: ClassVar[tuple[str, ...]] = ()
    measures: ClassVar[Schema] = MEASURES
    requirements: ClassVar[Mapping[str, DefaultRequirement]] = REQUIREMENTS
    commands: ClassVar[Schema] = {
        "actor": Column("text", about="who is driven; a category is faster", role="entity"),
        "acceleration": Column(unit="m/s2", about="asked of drive and brakes; held until the next command"),
        "steer": Column(unit="rad", about="angle of the front wheels, left is positive; held likewise"),
        "keep_path": Column("bool", null=True, about="it steers along its own path instead; so where no steer is said"),
    }
    faults: ClassVar[Mapping[str, FaultKind]] = {
        "fade": FaultKind("brakes lose force: it is multiplied by 1 - severity", "ratio", 0.5, effect="scales"),
        "friction": FaultKind("another friction of tyre and road: the severity (ice 0.1)", "ratio", 0.1, effect="sets"),
        "stuck": FaultKind("the front wheels stay as they are, from 0.5 on", "ratio", 1.0, effect="switches"),
        "offset": FaultKind("the front wheels stand off by it, left is positive", "rad", 0.02, effect="adds"),
        "blow_out": FaultKind("the left front tyre: drag, a pull to the left, less grip", "ratio", effect="raises"),
        "delay": FaultKind("pedals and steering act later by the severity", "s", 0.3, effect="adds"),
    }

    @staticmethod
    def targets(settings: RoadSettings) -> Sequence[str]:
        """Return the targets of faults: parts of every moving actor, and the road."""
        found = []
        for name, way in ((name, KINDS[actor.body].way) for name, actor in settings.actors.items()):
            parts = {"fixed": (), "rails": ("brakes", "actuator"), "cycle": ("brakes", "actuator", "steering")}
            found += [f"{name}.{part}" for part in parts.get(way, ("brakes", "actuator", "steering", "tyre"))]
        return [*found, "road"]

    @staticmethod
    def signals(settings: RoadSettings) -> Schema:
        """Return the signals for requirements, with units: numeric columns of every actor, and the ego's conduct."""
        return signals(tuple(settings.actors))

    @staticmethod
    def complete(row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Complete a command: without a steering angle, the actor follows its path."""
        return {"keep_path": "steer" not in row, **row}

    @staticmethod
    def max_batch(settings: RoadSettings) -> int:
        """Return the maximum number of runs: a window of PyBullet takes 28 MB."""
        return 8 if settings.impact.model == "window" else Road.batch

    def __init__(self, settings: RoadSettings) -> None:
        self.settings = settings
        self._windows: dict[int, Any] = {}

    # -- the protocol ---------------------------------------------------------------------------------------------

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Return truth at t = 0.

        Raises:
            RunError: two actors overlap, a fault does not fit its target, or PyBullet is required and missing.
        """
        from .actors import build_batch, overlapping
        from .kernel import start_runs

        settings = [draw.settings if isinstance(draw.settings, RoadSettings) else self.settings for draw in draws]
        self._drop_windows()
        if settings[0].impact.model != "analytic":
            from mischance.api.engines import engine

            engine()
        n, self._draws = len(draws), draws
        self._rate, self._motion = settings[0].rate, settings[0].motion
        self._every = round(self._rate / TABLE_RATE)
        self._impact = [(one.impact.table(), one.impact.friction) for one in settings]
        self._batch = c = build_batch(draws, settings)
        self._logs = [
            EventLog(c.names, c.ego, plan, draw.of_world().faults) for plan, draw in zip(c.plans, draws, strict=True)
        ]  # fmt: skip
        self._scenes = scenes(settings) if settings[0].motion else ()
        size = np.stack([2.0 * c.cars["half_l"], 2.0 * c.cars["half_w"]], axis=-1)
        bodies = tuple(KINDS)
        category = np.array([[bodies.index(actor.body) for actor in one.actors.values()] for one in settings], np.int32)
        self._actors = ActorRows(actors_schema(c.names, bodies), size, category)
        self._no_events, self._no_hits = Table.empty(EVENTS, n), Table.empty(contacts_schema(c.names), n)
        self._paths = Paths(c)
        self._events = np.zeros((n, 192 + 4 * (c.moves.shape[1] + len(c.names))), EVENT)
        self._books = np.zeros((n, 320), IMPACT)  # pages that are never written take no memory
        self._answers = np.zeros((n, 10))
        self._k = 0
        self._last: FloatArray | None = None
        self._known = np.zeros(n, np.int64)
        c.runs["last"] = [last_tick(self._rate, draw.duration) for draw in draws]
        rows, conduct, poses = self._buffers(0, 0)
        start_runs(
            c.runs, c.cars, c.paths, c.moves, c.faults, c.road, c.pieces, c.sides, c.patches, self._events, rows,
            conduct, poses, c.ego, self._motion,
        )  # fmt: skip
        seen = {LANES: lanes_table(settings), BODIES: bodies_table(c, category)}
        self._unseen = {name: Table.empty(table.schema, n) for name, table in seen.items()}
        truth = self._chunk(0, 0, rows, conduct, poses, self._paths.first(), seen)
        if wrong := overlapping(c, draws):
            raise StartError(wrong[0], wrong[1], truth)
        return truth

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Return truth in (last end, end]; without a command, the last one holds.

        Raises:
            RunError: a command for an actor that does not exist, or one that is not a number.
        """
        from .kernel import advance_runs

        if commands is not None:
            self._command(commands)
        c, start = self._batch, self._k
        last = last_tick(self._rate, until)
        last = start if bool(c.runs["over"].all()) else max(last, start)
        rows, conduct, poses = self._buffers(last - start, last // self._every - start // self._every)

        def go_on(some: slice) -> bool:
            return bool(advance_runs(
                c.runs[some], c.cars[some], c.paths[some], c.moves[some], c.queue[some], c.faults[some], c.road[some],
                c.pieces, c.sides[some], c.patches[some], c.spots[some], self._events[some], self._books[some],
                self._answers[some], rows[some], conduct[some], poses[some], c.ego, self._rate, start, last,
                self._every, self._motion,
            ))  # fmt: skip

        while go_on(slice(None)):
            self._answer()
            for r in np.flatnonzero((c.runs["state"] == DUE) & (c.runs["over"] == 0)).tolist():
                self._step_window(r)
                while go_on(slice(r, r + 1)) and c.runs["state"][r] == DUE:
                    self._step_window(r)
        if bool(c.runs["over"].all()):
            last = max(int(c.runs["k"].max()), start)
        self._k = last
        counts = c.runs["events"]
        begun = {int(r): self._events[r, : counts[r]] for r in np.flatnonzero(counts > 0)}
        return self._chunk(start, last, rows, conduct, poses, self._paths.table(begun), self._unseen)

    def outcome(self) -> tuple[Table, Table]:
        """Return the runs' measures with verdict and reason, and the labels of plant and collisions."""
        ends = self._batch.runs["k"] / self._rate
        return outcome(self._batch, self._logs, ends), labels(self._logs, self._batch.names)

    def in_force(self, run: int, target: str, kind: str) -> float:
        """Return what the kernels used in the last step; of the road, what the first actor has under its tyres."""
        from .parameters import FIELDS

        name = target.rpartition(".")[0]
        return float(self._batch.cars[FIELDS[kind]][run, self._batch.names.index(name) if name else 0])

    def close(self) -> None:
        """Close the windows of PyBullet; kernels and clients are kept for the next run of this process."""
        self._drop_windows()

    # -- between Python and the kernels ---------------------------------------------------------------------------

    def _buffers(self, steps: int, ticks: int) -> tuple[Any, Any, FloatArray]:
        """Return empty rows of actors and of the ego's conduct, and poses, for a chunk."""
        c = self._batch
        n, actors = len(c.runs), len(c.names)
        c.runs["events"] = 0
        c.runs["table_rows"] = 0
        rows = np.zeros((n, ticks + 1, actors), ROW)  # one more: the state at the run's end
        poses = np.zeros((n, steps + 1, actors, 13) if self._motion else (n, 1, 1, 13))
        if self._motion and self._last is not None:
            poses[:, 0] = self._last
        return rows, np.zeros((n, ticks + 1), CONDUCT), poses

    def _command(self, commands: Commands) -> None:
        """Pass commands to the runs that are not over."""
        from .kernel import order_runs

        table, names = commands.table, self._batch.names
        if not len(table):
            return
        which, t = table.run_index(), self._k / self._rate
        who, acceleration, steer = (table.columns[name] for name in ("actor", "acceleration", "steer"))
        keep = np.asarray(table.columns.get("keep_path", np.zeros(len(table), np.bool_)), np.bool_)
        if who.dtype == object:
            place = {name: i for i, name in enumerate(names)}
            codes = np.array([place.get(name, -1) for name in who.tolist()], np.int64)
        else:
            own = table.schema["actor"].names or names
            place = {name: i for i, name in enumerate(names)}
            codes = np.array([place.get(name, -1) for name in own] + [-1], np.int64)[who]
        odd = np.flatnonzero(codes < 0)
        if len(odd):
            name = who[odd[0]] if who.dtype == object else (table.schema["actor"].names or ("?",))[int(who[odd[0]])]
            raise RunError(
                f"run {self._draws[int(which[odd[0]])].run}: a command at t = {t:g} s for '{name}', which is missing",
                f"actors: {', '.join(names)}",
            )
        odd = np.flatnonzero(~(np.isfinite(acceleration) & np.isfinite(steer)))
        if len(odd):
            run, actor = self._draws[int(which[odd[0]])].run, names[int(codes[odd[0]])]
            raise RunError(f"run {run}: a command at t = {t:g} s for {actor} that is not a number")
        live = np.asarray(commands.live, np.bool_)[which]
        c = self._batch
        order_runs(
            c.runs, c.cars, c.queue, c.faults, t, which[live], codes[live],
            np.ascontiguousarray(acceleration[live], np.float64), np.ascontiguousarray(steer[live], np.float64),
            np.ascontiguousarray(keep[live]),
        )  # fmt: skip

    def _answer(self) -> None:
        """Serve runs that wait: compute an impact by PyBullet, advance a window, or enlarge a full buffer."""
        c = self._batch
        asking = np.flatnonzero(c.runs["state"] == ASKING)
        for r in asking.tolist():
            self._answers[r] = self._open_window(r) if c.runs["window"][r] else self._bullet(r)
            c.runs["state"][r] = ANSWERED
        if not len(asking) and not (c.runs["state"] == DUE).any():
            low = int((c.runs["hits"] + 32).max()) > self._books.shape[1]
            if low:
                self._books = np.concatenate([self._books, np.zeros_like(self._books)], axis=1)
            else:
                self._events = np.concatenate([self._events, np.zeros_like(self._events)], axis=1)

    def _bullet(self, r: int) -> tuple[float, ...]:
        """Compute the impact of two touching boxes by PyBullet; return velocities, impulse and point."""
        from .bullet import RigidBox, collide

        run = self._batch.runs[r]
        restitution, friction = self._restitution(r), self._impact[r][1]
        boxes = []
        for who in (run["a"], run["b"]):
            v = self._batch.cars[r, who]
            size = (2.0 * float(v["half_l"]), 2.0 * float(v["half_w"]), float(v["height"]))
            mass = float(v["mass"]) if v["inv_mass"] > 0.0 else 0.0
            place = (float(v["x"]), float(v["y"]), 0.5 * size[2])
            velocity = (float(v["vx"]), float(v["vy"]), 0.0)
            boxes.append(RigidBox(size, mass, place, float(v["yaw"]), velocity, float(v["rate"])))
        done = collide(boxes[0], boxes[1], restitution, friction)
        (ax, ay, _), (bx, by, _) = done.velocity
        return (ax, ay, done.yaw_rate[0], bx, by, done.yaw_rate[1], *done.impulse[:2], *done.point[:2])

    def _restitution(self, r: int) -> float:
        """Return the restitution of a run's next impact."""
        speeds, values = zip(*self._impact[r][0], strict=True)
        return float(np.interp(self._batch.runs["closing"][r], speeds, values))

    def _open_window(self, r: int) -> tuple[float, ...]:
        """Create all bodies of a run in PyBullet at its first contact; return the result of the impact."""
        from .bullet_window import Window

        run, cars = self._batch.runs[r], self._batch.cars[r]
        a, b = int(run["a"]), int(run["b"])
        grip = 0.5 * float(cars[a]["mu"] + cars[b]["mu"])
        window = self._windows[r] = Window(cars, a, b, self._restitution(r), self._impact[r][1], grip)
        return window.answer

    def _step_window(self, r: int) -> None:
        """Advance the bodies of a run in PyBullet to the end of the step."""
        from .bullet_window import TOPPLED, energies

        run, cars, window = self._batch.runs[r], self._batch.cars[r], self._windows[r]
        gone = float(run["gone"])
        t = int(run["k"]) / self._rate + gone
        before, speeds, rates = energies(cars), np.stack([cars["vx"], cars["vy"]], axis=-1), cars["rate"].copy()
        for push in window.step(t, 1.0 / self._rate - gone):
            self._enter(r, push, (before, energies(cars)), speeds, cars["rate"] - rates)
        for i in range(len(cars)):
            tilt = window.tilt(i)
            run["max_tilt"] = max(float(run["max_tilt"]), tilt)
            if tilt > TOPPLED and not cars[i]["rolled"]:
                cars[i]["rolled"] = 1
                when = t + 1.0 / self._rate - gone
                self._events[r, run["events"]] = (when, tilt, *[0.0] * 8, ROLLOVER, i, -1, -1, 0, 0)
                run["events"] += 1
        run["state"] = STEPPED

    def _enter(
        self, r: int, push: Any, energy: tuple[FloatArray, FloatArray], speeds: FloatArray, turned: FloatArray
    ) -> None:
        """Record a push inside a window, and an event if its contact is a new one."""
        run, book = self._batch.runs[r], self._books[r]
        n = int(run["hits"])
        if n + 1 >= book.shape[0] or int(run["events"]) + 8 >= self._events.shape[1]:
            return  # a pile that leans: the kernels make room before the next step
        book[n] = entry(self._batch.cars[r], push, energy, speeds, turned)
        before = [k for k in range(n) if (book[k]["a"], book[k]["b"]) == (push.a, push.b)]
        again = bool(before) and push.t - book[before[-1]]["t"] < AGAIN
        book[n]["again"], book[n]["event"] = again, book[before[-1]]["event"] if again else n
        run["hits"] = n + 1
        if not again:
            pair = [push.a, push.b]
            known = self._batch.cars["t_react"][r, pair], self._batch.cars["t_moved"][r, pair]
            values = (*known[0], *known[1], *[0.0] * 4, np.nan)
            self._events[r, run["events"]] = (push.t, *values, CONTACT, push.a, -1, n, 0, 0)
            run["events"] += 1

    def _drop_windows(self) -> None:
        for window in self._windows.values():
            window.close()
        self._windows.clear()

    def _chunk(
        self, start: int, end: int, rows: Any, conduct: Any, poses: FloatArray, paths: Table, seen: Mapping[str, Table]
    ) -> Chunk:
        """Convert the kernels' records."""
        c, rate, runs = self._batch, self._rate, self._batch.runs
        fresh = runs["hits"].copy()
        told = self._tell(fresh)
        motion = None
        if self._motion:
            steps = np.arange(start, end + 1, dtype=np.int64)
            poses.flags.writeable = False  # so that its halves need no copies
            poses = poses[:, : len(steps)]
            self._last = poses[:, -1].copy()
            motion = Motion(c.names, steps / rate, poses[..., :7], poses[..., 7:])
        k = np.arange(start // self._every + (end > 0), end // self._every + 1, dtype=np.int64) * self._every
        last = runs["rowed"] / rate
        tables = {
            "actors": self._actors.table(rows, runs["table_rows"], k / rate, last),
            CONDUCT_TABLE: conduct_table(conduct, runs["table_rows"], k / rate, last),
            CONTACTS: self._no_hits,
            PATHS: paths,
            **seen,
        }
        if (fresh > self._known).any():
            tables[CONTACTS] = contact_rows(self._no_hits.schema, self._books, self._known, fresh, self._logs)
        self._known = fresh
        over = runs["over"] != 0
        for r in [r for r in self._windows if over[r]]:
            self._windows.pop(r).close()
        return Chunk(
            start=start / rate,
            end=end / rate,
            ends=np.where(over, runs["k"], end) / rate,
            over=over,
            events=table_of_rows(EVENTS, told) if any(told) else self._no_events,
            tables=tables,
            motion=motion,
            scenes=self._scenes,
        )

    def _tell(self, fresh: IntArray) -> list[list[tuple[Any, ...]]]:
        """Return the events of every run since the last chunk."""
        told: list[list[tuple[Any, ...]]] = [[] for _ in self._logs]
        counts = self._batch.runs["events"]
        for r in np.flatnonzero((counts > 0) | (fresh > self._known)):
            hits = new_records(self._books[r : r + 1], [int(fresh[r])], [int(self._known[r])])[0]
            events = self._events[r, : counts[r]].tolist()
            if self._batch.runs["held"][r]:  # what a window saw was entered before what else its step brought
                events.sort(key=lambda event: event[0])
            told[r] = self._logs[r].tell(events, hits)
        return told
