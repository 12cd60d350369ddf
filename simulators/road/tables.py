"""The tables `actors` and `contacts`: columns, and conversion of the kernels' records."""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, hypot, pi
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.tables import Column, Table

from .events import SIDES
from .state import IMPACT, ROW

if TYPE_CHECKING:
    from mischance.api.tables import AnyArray, FloatArray, IntArray, Schema

    from .actors import Records
    from .events import EventLog


_NUMBERS = [name for name in ROW.names or () if ROW[name] == np.float64]  # they come first in a record
EMERGENCY = 6.0  # deceleration that sets off an emergency stop signal, UN R48 [m/s2]; unverified


def actors_schema(names: tuple[str, ...], bodies: tuple[str, ...]) -> Schema:
    """Return the columns of `actors`: the state of every actor, 20 times a second."""
    return {
        "t": Column(unit="s", role="time"),
        "actor": Column("category", names=names, role="entity"),
        "x": Column(unit="m", floor=1e-9, role="position", about="centre, along the road's start"),
        "y": Column(unit="m", floor=1e-9, role="position", about="centre, from the right edge of the road's start"),
        "yaw": Column(unit="rad", floor=1e-9),
        "roll": Column(
            unit="rad", floor=1e-9, about="in a window of three dimensions, else 0; positive = to the right"
        ),
        "pitch": Column(unit="rad", floor=1e-9, about="likewise; positive = nose down"),
        "speed": Column(unit="m/s", floor=1e-9, about="along its own axis; of the centre once it was hit"),
        "vx": Column(unit="m/s", floor=1e-9, about="of the centre, world frame"),
        "vy": Column(unit="m/s", floor=1e-9, about="of the centre, world frame"),
        "yaw_rate": Column(unit="rad/s", floor=1e-9),
        "acceleration": Column(unit="m/s2", floor=1e-9, about="along the path, as realised"),
        "jerk": Column(
            unit="m/s3", floor=1e-9, about="change of acceleration since the row before; 0 at rest and once hit"
        ),
        "gap": Column(
            unit="m",
            floor=1e-9,
            about="smallest distance to anybody else; 0 = touched since the row before; inf = nobody is there",
        ),
        "ttc": Column(
            unit="s", floor=1e-9, about="shortest 2-D time to collision with anybody; 0 likewise; inf = never"
        ),
        "steer": Column(unit="rad", floor=1e-9, about="angle of the front wheels, before a fault's offset"),
        "lane": Column("int64", about="lane of the centre; 0 or one more than there are = off the road"),
        "d": Column(unit="m", floor=1e-9, about="offset to the left of the main road's right edge"),
        "category": Column("category", names=bodies),
        "length": Column(unit="m"),
        "width": Column(unit="m"),
        "braking_emergency": Column("bool", about="brakes with 6 m/s2 or more, where cars flash their brake lights"),
        "hit": Column("bool", about="was in a contact: nobody drives it any more", role="label"),
    }


def contacts_schema(names: tuple[str, ...]) -> Schema:
    """Return the columns of `contacts`: one row per impact."""
    bodies = "ab"
    return {
        "t": Column(unit="s", role="time"),
        "a": Column("category", names=names, role="entity"),
        "b": Column("category", names=names, role="entity"),
        "closing_speed": Column(unit="m/s", about="along the normal"),
        **{f"normal_{axis}": Column(about="unit normal from a to b") for axis in "xy"},
        **{axis: Column(unit="m", about="point of contact", role="position") for axis in "xy"},
        **{f"impulse_{axis}": Column(unit="N s", about="received by b") for axis in "xy"},
        "impulse": Column(unit="N s", role="value"),
        **{f"delta_v_{one}": Column(unit="m/s", about="change of its velocity") for one in bodies},
        **{f"delta_v_{one}_{axis}": Column(unit="m/s") for one in bodies for axis in "xy"},
        **{f"delta_yaw_rate_{one}": Column(unit="rad/s") for one in bodies},
        **{
            f"pdof_{one}": Column(unit="rad", about="where the force on it came from: 0 = ahead, positive = left")
            for one in bodies
        },
        **{
            f"bearing_{one}": Column(unit="rad", about="where on it the contact was, from its centre") for one in bodies
        },
        **{f"side_{one}": Column("category", names=SIDES, about="side that was touched") for one in bodies},
        **{f"speed_{one}": Column(unit="m/s", about="before") for one in bodies},
        **{f"energy_lost_{one}": Column(unit="J", about="kinetic energy it lost; negative = gained") for one in bodies},
        "energy_lost": Column(unit="J", about="of both together"),
        "event_id": Column(
            "text", about="the contact it belongs to; leaning on each other goes on with it", role="cause"
        ),
    }


class ActorRows:
    """Makes the tables `actors` of a batch; columns that stay the same from chunk to chunk are made once.

    Args:
        schema: columns of `actors`.
        size: length and width; shape (runs, actors, 2) [m].
        category: code of the body; shape (runs, actors).
    """

    def __init__(self, schema: Schema, size: FloatArray, category: AnyArray) -> None:
        self._schema, self._size, self._category = schema, size, category
        self._shape: tuple[int, ...] = ()
        self._counts: IntArray = np.zeros(0, np.int64)

    def table(self, rows: Records, counts: IntArray, t: FloatArray, last: FloatArray) -> Table:
        """Return the rows of all actors in order of run, time and actor.

        Args:
            rows: records of ROW; shape (runs, ticks, actors).
            counts: number of rows of each run and actor; shape (runs,).
            t: time of each tick of the table's clock; shape (ticks,) [s].
            last: time of each run's last row, which may be off that clock where the run ends; shape (runs,) [s].
        """
        if rows.shape != self._shape or not np.array_equal(counts, self._counts):
            self._arrange(rows.shape, counts)
        flat = rows.reshape(-1)
        if len(self._place) < len(flat):
            flat = flat[self._place]
        words = flat.view(np.float64).reshape(len(flat), len(ROW.names or ()))  # 8 bytes a field
        numbers = np.ascontiguousarray(words[:, : len(_NUMBERS)].T)
        numbers.flags.writeable = False  # its rows are columns of the table, not copies of them
        times = np.append(t, np.nan)[self._tick]
        ends = self._offsets[1:]
        for r in np.flatnonzero((counts > 0) & (times[ends - 1] != last) if len(times) else ()):
            times[ends[r] - rows.shape[2] : ends[r]] = last[r]
        hit = flat["hit"] != 0
        columns: dict[str, AnyArray] = {
            **self._same,
            **dict(zip(_NUMBERS, numbers, strict=True)),
            "t": times,
            "lane": np.ascontiguousarray(flat["lane"]),
            "hit": hit,
        }
        columns["braking_emergency"] = (columns["acceleration"] <= -EMERGENCY) & ~hit
        return Table(self._schema, {name: columns[name] for name in self._schema}, self._offsets)

    def _arrange(self, shape: tuple[int, ...], counts: IntArray) -> None:
        """Note where the records of a chunk stand, and make the columns that follow from that alone."""
        _, ticks, actors = shape
        self._shape, self._counts = shape, counts.copy()
        run, tick = np.nonzero(np.arange(ticks) < counts[:, None])
        self._place = ((run * ticks + tick)[:, None] * actors + np.arange(actors)).reshape(-1)
        self._tick = np.repeat(tick, actors)
        self._offsets = np.concatenate([[0], np.cumsum(counts * actors)]).astype(np.int64)
        self._same: dict[str, AnyArray] = {
            "actor": np.tile(np.arange(actors, dtype=np.int32), len(run)),
            "category": self._category[run].reshape(-1),
            "length": self._size[run, :, 0].reshape(-1),
            "width": self._size[run, :, 1].reshape(-1),
        }
        for values in self._same.values():
            values.flags.writeable = False  # shared by many tables


def contact_rows(schema: Schema, books: Records, since: IntArray, until: IntArray, logs: Sequence[EventLog]) -> Table:
    """Return the table of new impacts, of which there are some: records `since` to `until` of each run."""
    n = until - since
    which = np.repeat(np.arange(len(n)), n)
    number = np.arange(len(which)) - np.repeat(np.cumsum(n) - n, n) + np.repeat(since, n)
    hit = books[which, number]
    ids = np.empty(len(which), object)
    ids[:] = [logs[r].contact_ids[i] for r, i in zip(which.tolist(), number.tolist(), strict=True)]
    values: dict[str, Any] = {
        "t": hit["t"],
        "closing_speed": hit["closing"],
        "normal_x": hit["nx"],
        "normal_y": hit["ny"],
        "x": hit["px"],
        "y": hit["py"],
        "impulse_x": hit["jx"],
        "impulse_y": hit["jy"],
        "impulse": np.hypot(hit["jx"], hit["jy"]),
        "energy_lost": hit["lost"],
        "event_id": ids,
    }
    for one in "ab":
        values |= {
            one: hit[one].astype(np.int32),
            f"delta_v_{one}": np.hypot(hit[f"dv{one}x"], hit[f"dv{one}y"]),
            f"delta_v_{one}_x": hit[f"dv{one}x"],
            f"delta_v_{one}_y": hit[f"dv{one}y"],
            f"delta_yaw_rate_{one}": hit[f"dw{one}"],
            f"pdof_{one}": hit[f"force_{one}"],
            f"bearing_{one}": hit[f"bearing_{one}"],
            f"side_{one}": hit[f"side_{one}"].astype(np.int32),
            f"speed_{one}": hit[f"speed_{one}"],
            f"energy_lost_{one}": hit[f"lost_{one}"],
        }
    columns = {name: np.ascontiguousarray(values[name]) for name in schema}
    return Table(schema, columns, np.concatenate([[0], np.cumsum(n)]).astype(np.int64))


def entry(
    cars: Records, push: Any, energy: tuple[FloatArray, FloatArray], speeds: FloatArray, turned: FloatArray
) -> Any:
    """Return the record of IMPACT of a push inside a window, as the kernels write one for an impact.

    Args:
        cars: records of all actors after the step.
        push: the pair, its point and impulse.
        energy: kinetic energies before and after the step; shapes (actors,) [J].
        speeds: velocities before the step; shape (actors, 2) [m/s].
        turned: changes of the yaw rates in the step; shape (actors,) [rad/s].
    """
    record: Any = np.zeros((), IMPACT)
    nx, ny = push.normal
    jx, jy = push.impulse
    record["t"], record["a"], record["b"], record["nx"], record["ny"] = push.t, push.a, push.b, nx, ny
    record["px"], record["py"] = push.point
    record["jx"], record["jy"] = jx, jy
    for one, i, sign in (("a", push.a, -1.0), ("b", push.b, 1.0)):
        car = cars[i]
        record[f"dv{one}x"], record[f"dv{one}y"] = sign * jx * car["inv_mass"], sign * jy * car["inv_mass"]
        record[f"v{one}x"], record[f"v{one}y"] = speeds[i]
        record[f"yaw_{one}"] = car["yaw"]
        record[f"dw{one}"] = turned[i]
        record[f"lost_{one}"] = energy[0][i] - energy[1][i]
        record[f"speed_{one}"] = hypot(*speeds[i])
        record[f"bearing_{one}"] = _bearing(car, push.point[0] - car["x"], push.point[1] - car["y"])
        record[f"force_{one}"] = _bearing(car, -sign * jx, -sign * jy)
        way = _bearing(car, -sign * nx, -sign * ny)
        record[f"side_{one}"] = 0 if abs(way) <= pi / 4 else 1 if abs(way) >= 3 * pi / 4 else 2 if way > 0 else 3
    across = speeds[push.a] - speeds[push.b]
    record["closing"] = max(across[0] * nx + across[1] * ny, 0.0)
    record["lost"] = record["lost_a"] + record["lost_b"]
    return record


def _bearing(car: Any, x: float, y: float) -> float:
    """Return a direction in a body's own frame: 0 = ahead, positive = to its left [rad]."""
    c, s = float(car["cosine"] * car["face"]), float(car["sine"] * car["face"])
    return atan2(y * c - x * s, x * c + y * s)
