"""Columns of the quadrotor world's tables, and the signals that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mischance.api.tables import Column

from .settings import ROTORS

if TYPE_CHECKING:
    from mischance.api.tables import Schema

    from .settings import Settings


def schemas(drones: tuple[str, ...], obstacles: tuple[str, ...]) -> dict[str, Schema]:
    """Return the columns of the world's tables."""
    tiny = 1e-9
    return {
        "drones": {
            "t": Column(unit="s", role="time"),
            "actor": Column("category", names=drones, role="entity"),
            **{axis: Column(unit="m", floor=tiny, role="position") for axis in "xyz"},
            **{f"v{axis}": Column(unit="m/s", floor=tiny) for axis in "xyz"},
            **{f"q{axis}": Column(floor=tiny, about="turns body to world") for axis in "xyzw"},
            **{f"rate_{axis}": Column(unit="rad/s", floor=tiny, about="body frame") for axis in "xyz"},
            **{f"rotor{i + 1}": Column(unit="rad/s", floor=tiny) for i in range(ROTORS)},
            "energy": Column(unit="J", floor=tiny, about="missing from a full battery"),
            "voltage": Column(unit="V", floor=tiny, about="at the battery's terminals"),
            **{f"wind_{axis}": Column(unit="m/s", floor=tiny, about="where the drone is") for axis in "xyz"},
            "waypoint": Column("int64", about="number of the waypoint it flies to"),
            "mode": Column("category", names=("flying", "landed", "fallen", "resting", "gliding")),
        },
        "contacts": {
            "t": Column(unit="s", role="time"),
            "a": Column("category", names=drones, role="entity"),
            "b": Column("category", names=(*drones, "ground", *obstacles), role="entity"),
            "closing_speed": Column(unit="m/s", about="along the normal"),
            "speed": Column(unit="m/s", about="relative"),
            **{axis: Column(unit="m", about="point of contact", role="position") for axis in "xyz"},
            **{f"normal_{axis}": Column(about="from the obstacle to a; between drones from a to b") for axis in "xyz"},
            "impulse": Column(unit="N s", about="along the normal", role="value"),
            "event_id": Column("text", role="cause"),
        },
    }


def signals(settings: Settings) -> Schema:
    """Return the numbers of every drone and bird as `<actor>.<column>`."""
    actors = (*settings.drones, *settings.birds)
    tables = schemas(actors, tuple(settings.obstacles)).values()
    columns = {name: column for table in tables for name, column in table.items() if name != "t"}
    return {
        f"{actor}.{name}": column
        for name, column in columns.items()
        if column.dtype not in ("category", "text")
        for actor in actors
    }
