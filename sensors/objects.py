"""Object lists of a perception stack: tracks with noise, latency, misses, late detection and false objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from mischance.api.protocols import FaultKind
from mischance.api.runs import Reading
from mischance.api.tables import Column, Table
from mischance.errors import RunError
from mischance.units import Acceleration, Angle, Frequency, Length, Ratio, Speed, Time

from ._chain import fault_labels, own_faults
from ._objects import MAX_GHOSTS, LastRows, Rows, appear, chosen, joined

if TYPE_CHECKING:
    from mischance.api.protocols import Renderer
    from mischance.api.randomness import Streams
    from mischance.api.runs import Chunk, Draw, Fault
    from mischance.api.tables import BoolArray, FloatArray, IntArray, Schema

ROUND = 6.283185307179586
BODIES = (
    "car", "van", "truck", "bus", "motorcycle", "cyclist", "pedestrian", "child", "animal", "debris", "occluder",
    "unknown",
)  # fmt: skip
TABLE: Schema = {
    "t": Column(unit="s", about="when the list became available", role="time"),
    "t_measured": Column(unit="s", about="when it was measured, by the sensor's own clock"),
    "track": Column("int64", about="the same number = taken for the same object", role="entity"),
    "x": Column(unit="m", floor=1e-9, about="centre, world frame", role="position"),
    "y": Column(unit="m", floor=1e-9, about="centre, world frame", role="position"),
    "vx": Column(unit="m/s", floor=1e-9, about="world frame"),
    "vy": Column(unit="m/s", floor=1e-9, about="world frame"),
    "yaw": Column(unit="rad", floor=1e-9, about="world frame"),
    "acceleration": Column(unit="m/s2", floor=1e-9, about="along its own axis"),
    "length": Column(unit="m", floor=1e-9),
    "width": Column(unit="m", floor=1e-9),
    "category": Column("category", names=BODIES),
    "confidence": Column(floor=1e-9, about="0 to 1"),
}
NOISY = ("x", "y", "vx", "vy", "yaw", "acceleration", "length", "width")


class Settings(BaseModel, extra="forbid", frozen=True):
    """Settings of a perception stack. The defaults are round figures (not verified)."""

    carrier: str = Field("ego", description="actor that carries it; it does not report itself")
    rate: Frequency = Field(20.0, gt=0, le=1000, description="lists per second [Hz]")
    latency: Time = Field(0.1, ge=0, description="time from a measurement to its list [s]")
    range: Length = Field(150.0, gt=0, description="how far it sees, from centre to centre [m]")
    view: Angle = Field(ROUND, gt=0, le=ROUND, description="opening of its field of view, about straight ahead [rad]")
    position_noise: Length = Field(0.2, ge=0, description="noise of a position per axis, 1 sigma [m]")
    velocity_noise: Speed = Field(0.2, ge=0, description="noise of a velocity per axis, 1 sigma [m/s]")
    yaw_noise: Angle = Field(0.01, ge=0, description="noise of a heading, 1 sigma [rad]")
    acceleration_noise: Acceleration = Field(0.3, ge=0, description="noise of an acceleration, 1 sigma [m/s2]")
    size_noise: Length = Field(0.05, ge=0, description="noise of length and width, 1 sigma; never below 0.1 m [m]")
    misses: Ratio = Field(0.02, ge=0, le=1, description="chance that an object is missing from a list")
    confirm: Time = Field(
        0.1, ge=0, description="how long it is in range and view before it is reported: late first detection [s]"
    )
    ghosts: Frequency = Field(0.0, ge=0, le=20, description="false objects that appear per second, Poisson [1/s]")
    ghost_time: Time = Field(0.5, gt=0, le=10, description="how long a false object is reported [s]")
    ghost_range: Length = Field(60.0, gt=5, description="largest distance ahead at which one appears [m]")


class Objects:
    """Reports all actors in range and field of view except its carrier, in the world frame, from the table `actors`.

    A list is measured at a frame's time, from the last row of `actors` at or before it, extrapolated at constant
    velocity, and is available `latency` later, at `t`. Occlusion is not modelled. A false object appears ahead of the
    carrier, within 6 m to either side, and keeps a part of the carrier's velocity. Each actor has its own random
    streams, with the same number of random numbers per frame whatever the settings, the view and the faults.
    """

    faults: ClassVar[Mapping[str, FaultKind]] = {
        "dropout": FaultKind("each object is missing from a list with this probability", "ratio", 1.0),
        "late": FaultKind("lists come later by the severity", "s", 0.5),
        "false_objects": FaultKind("further false objects appear at this rate, 20 at most", "1/s", 4.0),
        "freeze": FaultKind("from 0.5 on, the content of the last list is repeated with new times", "ratio", 1.0),
        "clock_skew": FaultKind("t_measured is ahead of true time by the severity; negative = behind", "s", 0.2),
        "message_loss": FaultKind("a whole list is lost with this probability", "ratio", 1.0),
    }

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self, name: str, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Reset for a new batch of runs."""
        runs = len(draws)
        self._name, self._streams = name, streams
        self._faults: list[tuple[Fault, ...]] = own_faults(name, draws)
        self._seen = np.full(runs, -np.inf)
        self._rows = LastRows(runs)
        self._since: FloatArray | None = None  # time at which each actor came into range and view; (runs, actors)
        self._ids: IntArray = np.zeros((runs, 0), np.int64)
        self._haunted = [
            (i, None) for i in range(runs) if self.settings.ghosts > 0.0
        ] + [(i, f) for i, faults in enumerate(self._faults) for f in faults if f.kind == "false_objects"]  # fmt: skip
        nothing: Rows = {"run": np.zeros(0, np.int64), "frame": np.zeros(0, np.int64)}
        nothing |= {column: np.zeros(0, declared.storage) for column, declared in TABLE.items()}
        self._false = nothing  # rows of false objects in later frames
        self._waiting = nothing  # rows that are measured but not yet available
        self._last_list: dict[int, Rows] = {}

    def read(self, chunk: Chunk, renderer: Renderer | None = None) -> Reading:
        """Return the rows of every list that became available in (chunk.start, chunk.end].

        Raises:
            RunError: the world has no table `actors`, or no actor with the carrier's name.
        """
        table = self._table(chunk)
        self._seen = np.maximum(self._seen, chunk.ends)
        ticks = chunk.ticks(self.settings.rate)
        self._waiting = joined([self._waiting, self._measured(table, ticks, chunk.ends)])
        ready = self._waiting["t"] <= chunk.ends[self._waiting["run"]]
        rows, self._waiting = chosen(self._waiting, ready), chosen(self._waiting, ~ready)
        rows = chosen(rows, np.lexsort((rows["track"], rows["frame"], rows["t"], rows["run"])))
        counts = np.bincount(rows["run"], minlength=chunk.runs)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Reading({"": Table(TABLE, {column: rows[column] for column in TABLE}, offsets)})

    def labels(self) -> Table:
        """Return one label for each fault that began during its run."""
        return fault_labels(self._name, self._faults, self._seen)

    def _table(self, chunk: Chunk) -> Table:
        table = chunk.tables.get("actors")
        if table is None or not {"t", "actor", "x", "y", "yaw", "speed"} <= set(table.schema):
            known = ", ".join(sorted(chunk.tables)) or "none"
            raise RunError(f"sensor {self._name!r} needs the world's table 'actors'", f"tables: {known}")
        names = table.schema["actor"].names
        if self.settings.carrier not in names:
            raise RunError(
                f"sensor {self._name!r}: no actor is called {self.settings.carrier!r}", f"actors: {', '.join(names)}"
            )
        return table

    def _measured(self, table: Table, ticks: IntArray, ends: FloatArray) -> Rows:
        """Return the rows of all lists of these frames, with the times at which they become available."""
        s, names = self.settings, table.schema["actor"].names
        t = ticks / s.rate
        carrier = names.index(s.carrier)
        state, known = self._rows.at(table, t, BODIES)
        age = t[:, None] - state["t"]
        state["x"], state["y"] = state["x"] + state["vx"] * age, state["y"] + state["vy"] * age
        live = t <= ends[:, None]
        there = self._in_view(state, known, carrier, t) & live[:, :, None]
        noise, luck, message = self._draw(names, len(t))
        there &= luck[..., 0] >= np.maximum(s.misses, self._chance("dropout", t))[:, :, None]
        run, frame, actor = np.nonzero(there)
        rows: Rows = {"run": run, "frame": ticks[frame], "t": t[frame], "t_measured": t[frame]}
        rows["track"] = self._ids[run, actor]
        sigma = np.repeat(
            [s.position_noise, s.velocity_noise, s.yaw_noise, s.acceleration_noise, s.size_noise], [2, 2, 1, 1, 2]
        )
        for i, column in enumerate(NOISY):
            rows[column] = state[column][there] + sigma[i] * noise[..., i][there]
        rows["category"] = state["category"][there].astype(np.int32)
        rows["confidence"] = 1.0 - 0.5 * luck[..., 1][there]
        for column in ("length", "width"):
            rows[column] = np.maximum(rows[column], 0.1)
        rows = joined([rows, self._ghosts(ticks, state, carrier, live)])
        return self._sent(self._freeze(rows, ticks, live), ticks, message)

    def _draw(self, names: Sequence[str], n: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return noise (runs, n, actors, 8), uniforms of actors (runs, n, actors, 2) and of messages (runs, n)."""
        shape = (len(self._streams), n, len(names))
        noise, luck = np.empty((*shape, len(NOISY))), np.empty((*shape, 2))
        message = np.empty(shape[:2])
        new = self._ids.shape[1] == 0
        if new:
            self._ids = np.empty((shape[0], shape[2]), np.int64)
        for run, stream in enumerate(self._streams):
            message[run] = stream(self._name, "message").random(n)
            for actor, name in enumerate(names):
                if new:
                    self._ids[run, actor] = stream(self._name, f"track of {name}").integers(1, 2**31, dtype=np.int64)
                noise[run, :, actor] = stream(self._name, f"noise of {name}").standard_normal((n, len(NOISY)))
                luck[run, :, actor] = stream(self._name, f"luck of {name}").random((n, 2))
        return noise, luck, message

    def _in_view(self, state: Mapping[str, FloatArray], known: BoolArray, carrier: int, t: FloatArray) -> BoolArray:
        """Return which actors are in range and view, and have been for long enough; (runs, n, actors)."""
        s = self.settings
        x, y, yaw = (state[name][:, :, carrier, None] for name in ("x", "y", "yaw"))
        dx, dy = state["x"] - x, state["y"] - y
        bearing = np.arctan2(dy, dx) - yaw
        bearing -= ROUND * np.rint(bearing / ROUND)
        near = known & known[:, :, carrier, None] & (np.hypot(dx, dy) <= s.range) & (np.abs(bearing) <= 0.5 * s.view)
        near[:, :, carrier] = False
        if self._since is None:
            self._since = np.full((near.shape[0], near.shape[2]), np.inf)
        seen = near.copy()
        for k in range(len(t)):
            self._since = np.where(near[:, k], np.minimum(self._since, t[k]), np.inf)
            seen[:, k] &= t[k] - self._since >= s.confirm - 1e-9
        return seen

    def _severity(self, kind: str, t: FloatArray) -> FloatArray:
        """Return the summed severity of a kind of fault at each frame; (runs, n)."""
        total = np.zeros((len(self._faults), len(t)))
        for run, faults in enumerate(self._faults):
            for fault in faults:
                if fault.kind == kind:
                    total[run] += fault.severity_at(t)
        return total

    def _chance(self, kind: str, t: FloatArray) -> FloatArray:
        """Return the chance at each frame that one of these faults strikes, each with its severity; (runs, n)."""
        left = np.ones((len(self._faults), len(t)))
        for run, faults in enumerate(self._faults):
            for fault in faults:
                if fault.kind == kind:
                    left[run] *= 1.0 - np.clip(fault.severity_at(t), 0.0, 1.0)
        return 1.0 - left

    def _ghosts(self, ticks: IntArray, state: Mapping[str, FloatArray], carrier: int, live: BoolArray) -> Rows:
        """Return the rows of false objects in these frames; rows of later frames are stored."""
        s, t = self.settings, ticks / self.settings.rate
        for run, fault in self._haunted:
            stream = self._streams[run](self._name, "ghosts" if fault is None else f"ghosts of {fault.fault_id}")
            u = stream.random((len(ticks), 1 + 8 * MAX_GHOSTS))
            rate = np.full(len(t), s.ghosts) if fault is None else np.clip(fault.severity_at(t), 0.0, 20.0)
            count = appear(u[:, 0], rate * live[run], 1.0 / s.rate)
            for k in np.flatnonzero(count):
                pilot = {name: float(state[name][run, k, carrier]) for name in ("x", "y", "yaw", "vx", "vy")}
                for lot in u[k, 1:].reshape(MAX_GHOSTS, 8)[: count[k]]:
                    self._false = joined([self._false, self._ghost(run, int(ticks[k]), pilot, lot)])
        gone = self._chance("dropout", t)
        now = self._false["frame"] <= (ticks[-1] if len(ticks) else -1)
        rows, self._false = chosen(self._false, now), chosen(self._false, ~now)
        if not len(rows["run"]):
            return rows
        k = rows["frame"] - ticks[0]
        # The confidence is the object's own uniform: a dropout removes objects of low confidence first.
        return chosen(rows, live[rows["run"], k] & ((0.9 - rows["confidence"]) / 0.6 >= gone[rows["run"], k]))

    def _ghost(self, run: int, tick: int, pilot: Mapping[str, float], lot: FloatArray) -> Rows:
        """Return all rows of one false object, from its first frame on."""
        s = self.settings
        frames = tick + np.arange(max(int(np.rint(s.ghost_time * s.rate)), 1), dtype=np.int64)
        t = frames / s.rate
        ahead, left, part = 5.0 + (s.ghost_range - 5.0) * lot[0], 12.0 * lot[1] - 6.0, lot[2]
        c, n = np.cos(pilot["yaw"]), np.sin(pilot["yaw"])
        values = {
            "x": pilot["x"] + ahead * c - left * n + part * pilot["vx"] * (t - t[0]),
            "y": pilot["y"] + ahead * n + left * c + part * pilot["vy"] * (t - t[0]),
            "vx": part * pilot["vx"], "vy": part * pilot["vy"], "yaw": pilot["yaw"], "acceleration": 0.0,
            "length": 4.0 + lot[3], "width": 1.7 + 0.3 * lot[4], "category": BODIES.index("car"),
            "confidence": 0.9 - 0.6 * lot[5], "track": 1 + int(lot[6] * (2**31 - 2)),
            "t": t, "t_measured": t, "run": run, "frame": frames,
        }  # fmt: skip
        return {
            name: np.broadcast_to(np.asarray(values[name], self._false[name].dtype), t.shape) for name in self._false
        }

    def _freeze(self, rows: Rows, ticks: IntArray, live: BoolArray) -> Rows:
        """Return the rows with every list during a freeze replaced by the last one before it, or by the first."""
        t, place = ticks / self.settings.rate, np.arange(len(ticks))
        for run, faults in enumerate(self._faults):
            freezes = [fault for fault in faults if fault.kind == "freeze"]
            if not freezes or not len(ticks):
                continue
            held = np.any([fault.severity_at(t) >= 0.5 for fault in freezes], axis=0)
            if run not in self._last_list:
                held[0] = False
            mine = rows["run"] == run
            shown = np.maximum.accumulate(np.where(held, -1, place))  # the place of the list that is repeated
            parts = [chosen(rows, ~(mine & np.isin(rows["frame"], ticks[held])))]
            for source in np.unique(shown[held]).tolist():
                fresh = mine & (rows["frame"] == ticks[source])
                last = self._last_list[run] if source < 0 else chosen(rows, fresh)
                frames = ticks[held & (shown == source) & live[run]]
                again = {name: np.tile(values, len(frames)) for name, values in last.items()}
                again["frame"] = np.repeat(frames, len(last["run"]))
                again["t"] = again["t_measured"] = again["frame"] / self.settings.rate
                parts.append(again)
            if shown[-1] >= 0:
                self._last_list[run] = chosen(rows, mine & (rows["frame"] == ticks[shown[-1]]))
            rows = joined(parts)
        return rows

    def _sent(self, rows: Rows, ticks: IntArray, message: FloatArray) -> Rows:
        """Return the rows of the lists that are not lost, with the times at which they arrive."""
        if not len(ticks):
            return rows
        t, where = ticks / self.settings.rate, (rows["run"], rows["frame"] - ticks[0])
        late = self.settings.latency + np.maximum(self._severity("late", t), 0.0)
        # Rounded to nanoseconds: 0.05 + 0.1 is not 0.15, and a list that is due at an agent's step must arrive at it.
        rows["t"] = np.round(rows["t"] + late[where], 9)
        rows["t_measured"] = rows["t_measured"] + self._severity("clock_skew", t)[where]
        return chosen(rows, message[where] >= self._chance("message_loss", t)[where])
