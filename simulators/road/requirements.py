"""Default requirements of the road world, and the table `conduct` with the signals that they speak of.

Source:
    Getting on is the preservation of traffic flow, rule R_G4 of Maierhofer, Rettinger, Mayer, Althoff, Formalization of
    interstate traffic rules in temporal logic, IEEE IV 2020. An emergency manoeuvre is a deceleration demand of 5 m/s2
    or more, for an imminent collision alone: UN Regulation No. 157. Shares and time limits are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mischance.api.requirements import DefaultRequirement
from mischance.api.tables import Column, Table

from .kinds import KINDS
from .state import CONDUCT
from .tables import actors_schema

if TYPE_CHECKING:
    from mischance.api.tables import FloatArray, IntArray, Schema

    from .actors import Records

CONDUCT_TABLE = "conduct"

CONDUCT_SCHEMA: Schema = {
    "t": Column(unit="s", role="time"),
    "actor": Column("category", names=("ego",), role="entity"),
    "road_margin": Column(
        unit="m",
        floor=1e-9,
        about="of its outermost corner to the edge of the carriageway; negative = beyond it; inf once it was hit",
    ),
    "along": Column(unit="m/s", floor=1e-9, about="its velocity along the direction of its road; 0 once it was hit"),
    "idle": Column(
        unit="s",
        floor=1e-9,
        about="how long it has slowed down below 90 % of its reference speed, or has not picked up below 50 %, while"
        " its way was free; counts from -7 after a danger",
        role="label",
    ),
    "needless_braking": Column(
        unit="m/s2",
        floor=1e-9,
        about="deceleration that it demands; 0 while, or until 1.5 s after, something ahead calls for it",
        role="label",
    ),
}

REQUIREMENTS = {
    "stays_on_carriageway": DefaultRequirement(
        "always ego.road_margin > 0 m",
        "until it is hit, no corner of the ego is beyond the edge of the main road and of the roads that cross it, with"
        " rounded kerbs",
    ),
    "gets_on": DefaultRequirement(
        "always ego.idle < 3 s",
        "while its way is free, the ego neither slows down below 90 % of its reference speed nor stays below half of it"
        " without picking up for 3 s; for 10 s after a danger (a time to collision below 2 s, or a required"
        " deceleration above 3.4 m/s2). The reference speed is that of the scenario, less before a bend and on low"
        " friction. Its way is free if it would meet nobody within 4 s, were it to go on and gain"
        " speed, nor anybody later for whom it has to slow down by 1 m/s2",
        lambda settings: settings.actors["ego"].speed > 0.0,  # one that begins at rest has no reference speed
    ),
    "no_wrong_way": DefaultRequirement(
        "always ego.along > -1 m/s", "the ego does not go against the direction of its road, by more than 1 m/s"
    ),
    "no_needless_emergency_braking": DefaultRequirement(
        "always ego.needless_braking < 5 m/s2",
        "the ego demands 5 m/s2 or more, an emergency manoeuvre by UN R157, only if somebody ahead calls for it: a time"
        " to collision below 4 s, a required deceleration above 1 m/s2, or somebody in its way within 4 s",
    ),
}


def signals(actors: tuple[str, ...]) -> Schema:
    """Return what requirements may speak of: the numbers of every actor, and of the ego's conduct."""
    own = {**actors_schema(actors, tuple(KINDS)), **CONDUCT_SCHEMA}
    numbers = {name: column for name, column in own.items() if name != "t" and column.dtype not in ("category", "text")}
    return {
        f"{actor}.{name}": column
        for actor in actors
        for name, column in numbers.items()
        if actor == "ego" or name not in CONDUCT_SCHEMA
    }


def conduct_table(rows: Records, counts: IntArray, t: FloatArray, last: FloatArray) -> Table:
    """Return the rows of `conduct` in order of run and time; arguments as of `ActorRows.table`, rows (runs, ticks)."""
    run, tick = np.nonzero(np.arange(rows.shape[1]) < counts[:, None])
    flat = rows[run, tick]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    times = np.append(t, np.nan)[tick]
    ended = np.flatnonzero(counts > 0)
    times[offsets[1:][ended] - 1] = last[ended]
    columns = {name: np.ascontiguousarray(flat[name]) for name in CONDUCT.names or ()}
    return Table(
        CONDUCT_SCHEMA, {"t": times, "actor": np.zeros(len(run), np.int32), **columns}, offsets
    )  # fmt: skip
