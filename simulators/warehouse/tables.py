"""Tables of the warehouse world, and conversion of rows to columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mischance.api.appearance import BODIES
from mischance.api.tables import Column

from .outline import BODY_ROWS, KINDS

if TYPE_CHECKING:
    from mischance.api.tables import Schema

STATES = ("bay", "drive", "turn", "brake", "stop", "walk", "stand")
STAGES = ("arrived", "assigned", "picked", "delivered")

ACTORS: Schema = {
    "t": Column(unit="s", role="time"),
    "actor": Column("text", about="agv1, agv2 …; person1 …, load1 … while on the floor", role="entity"),
    "category": Column("category", names=KINDS),
    "x": Column(unit="m", floor=1e-9, role="position"),
    "y": Column(unit="m", floor=1e-9, role="position"),
    "yaw": Column(unit="rad", floor=1e-9),
    "speed": Column(unit="m/s", floor=1e-9),
    "state": Column("category", names=STATES),
    "away": Column("bool", about="in a bay, off the floor: nobody can meet it", role="away"),
    "load": Column("int64", about="number of the order that is carried; 0 = none"),
}
ORDERS: Schema = {
    "t": Column(unit="s", role="time"),
    "order": Column("int64", about="from 1, in order of arrival", role="entity"),
    "stage": Column("category", names=STAGES),
    "agv": Column("int64", about="number of the AGV; 0 = none yet"),
    "x": Column(unit="m", about="crossing of the bay that the stage belongs to", role="position"),
    "y": Column(unit="m", role="position"),
}
TABLES: Mapping[str, Schema] = {"actors": ACTORS, "orders": ORDERS, BODIES: BODY_ROWS}

MEASURES: Schema = {
    "contacts": Column("int64", about="1 = an AGV touched a person or another AGV, which ends the run"),
    "contact_time": Column(unit="s", null=True),
    "impact_speed": Column(
        unit="m/s", role="value", about="closing speed along the line of centres at the contact; 0 = none"
    ),
    "min_separation": Column(
        unit="m", role="value", about="least distance of a moving AGV to a person or AGV; inf = none met"
    ),
    "near_misses": Column("int64", about="encounters nearer than `near` that were no contact"),
    "max_btn": Column(
        about="brake threat number: deceleration that an AGV needed to stop short of a person or load in its way over"
        " what it had; the run's largest, at most 10; 0 = nobody was in the way"
    ),
    "orders_arrived": Column("int64"),
    "orders_done": Column("int64"),
    "delay_mean": Column(unit="s", null=True, about="from an order's arrival to its delivery"),
    "throughput": Column(unit="1/h", about="orders done an hour"),
    "lateness": Column(null=True, about="longest time of an order so far, done or not, over `orders.due`"),
    "blocked": Column(unit="s", about="how long AGVs waited for full conveyors, all together"),
    "loads_dropped": Column("int64", about="loads that fell off an AGV"),
    "stops": Column("int64", about="emergency stops that a scanner asked for"),
    "people": Column("int64", about="how many people crossed an aisle"),
}
OUTCOME: Schema = {
    **MEASURES,
    "event": Column("bool"),
    "margin": Column(about="least separation [m], at most 10; below 0: minus the impact speed [m/s]"),
    "verdict": Column("text"),
    "reason": Column("text"),
}


def columns(schema: Schema, rows: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    """Return rows as columns by the schema's names; an empty mapping if there are no rows."""
    return dict(zip(schema, map(list, zip(*rows, strict=True)), strict=True)) if rows else {}
