"""The tables of the world `road`: what columns they have, and how rows become columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mischance.truth import LABELS, Column, Table

if TYPE_CHECKING:
    from mischance.truth import Schema


BODIES = ("car", "truck")


def actors(names: tuple[str, ...]) -> Schema:
    """Return the columns of `actors`: where everybody is, 20 times a second."""
    return {
        "t": Column(unit="s"),
        "actor": Column("category", names=names),
        "x": Column(unit="m", floor=1e-9, about="centre, along the road"),
        "y": Column(unit="m", floor=1e-9, about="centre, from the right edge of the road"),
        "yaw": Column(unit="rad", floor=1e-9),
        "speed": Column(unit="m/s", floor=1e-9),
        "vx": Column(unit="m/s", floor=1e-9, about="of the centre, along the road"),
        "vy": Column(unit="m/s", floor=1e-9, about="of the centre, to the left"),
        "yaw_rate": Column(unit="rad/s", floor=1e-9),
        "acceleration": Column(unit="m/s2", floor=1e-9, about="along the path, as realised"),
        "steer": Column(unit="rad", floor=1e-9),
        "lane": Column("int64", about="lane of the centre; 0 or one more than there are = off the road"),
        "category": Column("category", names=BODIES),
        "length": Column(unit="m"),
        "width": Column(unit="m"),
        "hit": Column("bool", about="was in a contact: nobody drives it any more"),
    }


def contacts(names: tuple[str, ...]) -> Schema:
    """Return the columns of `contacts`: one row an impact."""
    return {
        "t": Column(unit="s"),
        "a": Column("category", names=names),
        "b": Column("category", names=names),
        "closing_speed": Column(unit="m/s", about="along the normal"),
        **{f"normal_{axis}": Column(about="unit normal from a to b") for axis in "xy"},
        **{axis: Column(unit="m", about="mean point of contact") for axis in "xyz"},
        **{f"impulse_{axis}": Column(unit="N s", about="received by b") for axis in "xyz"},
        "impulse": Column(unit="N s"),
        "delta_v_a": Column(unit="m/s"),
        "delta_v_b": Column(unit="m/s"),
        "energy_lost": Column(unit="J"),
        "event_id": Column("text", about="the contact it belongs to; leaning on each other goes on with it"),
    }


def label(
    label_id: str, path: str, target: str, cause: float, end: float, severity: float, causes: list[str], role: str
) -> tuple[Any, ...]:
    """Return one row of labels; what the world cannot know of itself is NaN."""
    nan = float("nan")
    values = {
        "label_id": label_id,
        "class": path,
        "target": target,
        "t_cause": cause,
        "t_effect": nan,
        "t_observable": nan,
        "t_end": end,
        "t_reported": nan,
        "severity": severity,
        "causes": json.dumps(causes),
        "role": role,
        "twin": "",
    }
    return tuple(values[name] for name in LABELS)


def table(schema: Schema, rows: Sequence[tuple[Any, ...]]) -> Table:
    """Return a table of one run from rows in the schema's order."""
    return Table.of(schema, [dict(zip(schema, zip(*rows, strict=True), strict=True)) if rows else {}])
