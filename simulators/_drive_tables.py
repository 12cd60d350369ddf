"""The tables `actors` and `contacts`: their columns, and how the kernels' records become them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.truth import Column, Table

from ._drive_story import SIDES

if TYPE_CHECKING:
    from mischance.truth import AnyArray, FloatArray, IntArray, Schema

    from ._drive_cast import Records
    from ._drive_story import Story


EMERGENCY = 6.0  # deceleration that sets off an emergency stop signal, UN R48 [m/s2]; unverified


def actors_schema(names: tuple[str, ...], bodies: tuple[str, ...]) -> Schema:
    """Return the columns of `actors`: where everybody is, 20 times a second."""
    return {
        "t": Column(unit="s"),
        "actor": Column("category", names=names),
        "x": Column(unit="m", floor=1e-9, about="centre, along the road's start"),
        "y": Column(unit="m", floor=1e-9, about="centre, from the right edge of the road's start"),
        "yaw": Column(unit="rad", floor=1e-9),
        "speed": Column(unit="m/s", floor=1e-9, about="along its own axis; of the centre once it was hit"),
        "vx": Column(unit="m/s", floor=1e-9, about="of the centre, world frame"),
        "vy": Column(unit="m/s", floor=1e-9, about="of the centre, world frame"),
        "yaw_rate": Column(unit="rad/s", floor=1e-9),
        "acceleration": Column(unit="m/s2", floor=1e-9, about="along the path, as realised"),
        "jerk": Column(unit="m/s3", floor=1e-9, about="change of acceleration since the row before"),
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
        "hit": Column("bool", about="was in a contact: nobody drives it any more"),
    }


def contacts_schema(names: tuple[str, ...]) -> Schema:
    """Return the columns of `contacts`: one row an impact."""
    bodies = "ab"
    return {
        "t": Column(unit="s"),
        "a": Column("category", names=names),
        "b": Column("category", names=names),
        "closing_speed": Column(unit="m/s", about="along the normal"),
        **{f"normal_{axis}": Column(about="unit normal from a to b") for axis in "xy"},
        **{axis: Column(unit="m", about="point of contact") for axis in "xy"},
        **{f"impulse_{axis}": Column(unit="N s", about="received by b") for axis in "xy"},
        "impulse": Column(unit="N s"),
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
        "event_id": Column("text", about="the contact it belongs to; leaning on each other goes on with it"),
    }


def actor_rows(
    schema: Schema, rows: Records, counts: IntArray, t: FloatArray, size: FloatArray, category: AnyArray
) -> Table:
    """Return the table of everybody's rows.

    Args:
        schema: columns of `actors`.
        rows: records of ROW; shape (runs, ticks, actors).
        counts: how many ticks each run has; shape (runs,).
        t: time of each tick; shape (ticks,) [s].
        size: length and width; shape (runs, actors, 2) [m].
        category: code of the body; shape (runs, actors).
    """
    actors = rows.shape[2]
    kept = np.arange(rows.shape[1]) < counts[:, None]
    run, tick = np.nonzero(kept)
    chosen = rows[kept].reshape(-1)  # in order of run, time, actor
    columns: dict[str, AnyArray] = {
        "t": np.repeat(t[tick], actors) if len(t) else np.zeros(0),
        "actor": np.tile(np.arange(actors, dtype=np.int32), len(run)),
        "category": category[run].reshape(-1),
        "length": size[run, :, 0].reshape(-1),
        "width": size[run, :, 1].reshape(-1),
        "braking_emergency": (chosen["acceleration"] <= -EMERGENCY) & (chosen["hit"] == 0),
        "hit": chosen["hit"] != 0,
    }
    ordered = {name: columns[name] if name in columns else np.ascontiguousarray(chosen[name]) for name in schema}
    return Table(schema, ordered, np.concatenate([[0], np.cumsum(counts * actors)]).astype(np.int64))


def contact_rows(schema: Schema, books: Records, since: IntArray, until: IntArray, stories: Sequence[Story]) -> Table:
    """Return the table of the impacts that are new: records `since` to `until` of each run."""
    n = until - since
    which = np.repeat(np.arange(len(n)), n)
    number = np.arange(len(which)) - np.repeat(np.cumsum(n) - n, n) + np.repeat(since, n)
    hit = books[which, number]
    ids = np.empty(len(which), object)
    ids[:] = [stories[r].contact_ids[i] for r, i in zip(which.tolist(), number.tolist(), strict=True)]
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
