"""What a learner sees: readings as arrays of a fixed size, and actions as commands."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mischance.api.runs import Reading
from mischance.api.tables import AnyArray, FloatArray, Schema, Table, entity_column
from mischance.errors import RunError, suggest
from mischance.language.scenario import Scenario

Float32Array = NDArray[np.float32]
MOST_ROWS = 64  # of one time in one table; more are a register, not a state
OTHERS = ("present", "x", "y", "z", "vx", "vy", "vz", "yaw", "length", "width")

# What a command may be where nobody says it, by its unit: hard braking to full throttle, road wheels,
# turning half around in a second, a small drone's thrust, a share.
BOUNDS = {"m/s2": (-10.0, 5.0), "rad": (-0.6, 0.6), "rad/s": (-math.pi, math.pi), "N": (0.0, 25.0), "": (0.0, 1.0)}


@dataclass(frozen=True, slots=True)
class Controls:
    """The action space: the numeric columns of the world's commands, for one actor or for several."""

    columns: tuple[str, ...]
    low: Float32Array
    high: Float32Array
    actors: tuple[str, ...]
    whole: tuple[bool, ...]
    entity: str = ""  # the column of a command that says who is meant

    @staticmethod
    def of(
        scenario: Scenario, known: Sequence[str], actors: Sequence[str], bounds: Mapping[str, tuple[float, float]]
    ) -> Controls:
        """Return what may be said to a world.

        Args:
            scenario: whose world it is.
            known: the actors that its truth names.
            actors: who is driven; where empty, the world's default actor, or the first.
            bounds: column -> (least, most); SI.

        Raises:
            RunError: the world takes no commands, or somebody or something is not there.
        """
        schema = scenario.simulator.declared.commands
        kind = scenario.simulator.kind
        columns = tuple(
            name
            for name, column in schema.items()
            if column.storage.kind in "fiub" and not column.names and not column.null  # null: need not be said
        )
        if not columns:
            raise RunError(f"the world '{kind}' takes no commands: there is nothing to drive")
        _check(bounds, columns, "column", f"the world '{kind}' takes")
        limits = [_bounds(name, schema, bounds, kind) for name in columns]
        who = tuple(actors)
        entity = entity_column(schema)
        if entity:
            if known:
                _check(who, known, "actor", "actors")
            own = scenario.simulator.declared.default_actor_with(scenario.simulator.settings)
            who = who or ((own,) if own and (own in known or not known) else tuple(known[:1]))
        elif who:
            raise RunError(f"the world '{kind}' has nobody to choose from", "leave `actors` out")
        limits *= max(len(who), 1)
        low, high = (np.array([pair[i] for pair in limits], np.float32) for i in (0, 1))
        return Controls(columns, low, high, who, tuple(schema[name].storage.kind != "f" for name in columns), entity)

    def answer(self, action: Any, run: int, t: float) -> list[dict[str, Any]]:
        """Return an action as the rows of a command.

        Raises:
            RunError: it has another shape or is no number; names run, actor and time.
        """
        try:
            values = np.asarray(action, np.float64)
        except (TypeError, ValueError) as error:
            raise RunError(f"run {run}: the action at t = {t:g} s is no array of numbers: {action!r}") from error
        if values.shape != self.low.shape:
            raise RunError(
                f"run {run}: the action at t = {t:g} s has shape {values.shape}",
                f"it must have shape {self.low.shape}: {', '.join(self.names())}",
            )
        odd = np.flatnonzero(~np.isfinite(values))
        if len(odd):
            raise RunError(f"run {run}: the action at t = {t:g} s has {self.names()[odd[0]]} = {values[odd[0]]}")
        rows = []
        for i, who in enumerate(self.actors or ("",)):
            own = values[i * len(self.columns) : (i + 1) * len(self.columns)]
            row: dict[str, Any] = {self.entity: who} if who else {}
            for name, value, whole in zip(self.columns, own, self.whole, strict=True):
                row[name] = round(float(value)) if whole else float(value)
            rows.append(row)
        return rows

    def names(self) -> list[str]:
        """Return what each entry of an action is."""
        return [f"{who}.{name}" if who else name for who in (self.actors or ("",)) for name in self.columns]


def _bounds(name: str, schema: Schema, bounds: Mapping[str, tuple[float, float]], kind: str) -> tuple[float, float]:
    if name in bounds:
        low, high = map(float, bounds[name])
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise RunError(f"bounds of {name} must be two numbers, the lesser first (got {bounds[name]!r})")
        return low, high
    if schema[name].storage.kind == "b":
        return 0.0, 1.0
    if schema[name].storage.kind != "f":
        raise RunError(f"the world '{kind}' takes whole numbers as {name}: say which", f'bounds={{"{name}": (0, 99)}}')
    return BOUNDS.get(schema[name].unit, (-1.0, 1.0))


def _check(asked: Any, known: Sequence[str], what: str, hint: str) -> None:
    odd = sorted(set(asked) - set(known))
    if odd:
        raise RunError(f"there is no {what} {odd[0]!r}", suggest(odd[0], known) or f"{hint}: {', '.join(known)}")


def numeric(schema: Schema) -> list[str]:
    """Return the columns of a table that are numbers and no time, count or code."""
    return [
        name
        for name, column in schema.items()
        if name not in ("t", "index") and not column.names and column.storage.kind in "fiub"
    ]


def actor_table(tables: Mapping[str, Table]) -> str:
    """Return the name of the table that says where actors are, or ''."""
    for name, table in tables.items():
        entity = entity_column(table.schema)
        if {"t", "x", "y"} <= set(table.schema) and entity and table.schema[entity].names:
            return name
    return ""


@dataclass(slots=True)
class Actors:
    """One actor's own numbers, then the others as it sees them: relative, in its frame (x forward, y left).

    `others` is how many have a place: None gives each actor of the scenario its own, a number gives
    that many places to the nearest, nearest first. A place without anybody is all zeros, `present` too.
    """

    table: str
    schema: Schema
    own: str
    others: int | None = None
    known: dict[str, dict[str, float]] = field(default_factory=dict)
    newest: float = -math.inf

    def names(self) -> list[str]:
        """Return what each entry is."""
        who = self._rest() if self.others is None else [f"other{i}" for i in range(self.others)]
        return [f"{self.own}.{name}" for name in numeric(self.schema)] + [
            f"{name}.{column}" for name in who for column in self._columns()
        ]

    def look(self, tables: Mapping[str, Table]) -> Float32Array:
        """Take in what was seen; return the state, float32."""
        rows = tables[self.table].run(0) if self.table in tables else {}
        if len(rows.get("t", ())):
            self.newest = float(rows["t"][-1])
        entity = entity_column(self.schema)
        words = self.schema[entity].names
        for i, code in enumerate(rows.get(entity, ())):
            self.known[words[int(code)]] = {
                name: float(values[i]) for name, values in rows.items() if values.dtype.kind in "fiub"
            }
        own = self.known.get(self.own, {})
        state = [own.get(name, 0.0) for name in numeric(self.schema)]
        blocks = [self._seen(own, self.known.get(name)) for name in self._rest()]
        if self.others is not None:
            at = self._columns()
            x, y = at.index("x"), at.index("y")
            blocks = sorted((b for b in blocks if b[0]), key=lambda b: math.hypot(b[x], b[y]))[: self.others]
            blocks += [[0.0] * len(at)] * (self.others - len(blocks))
        flat: FloatArray = np.array([*state, *(value for block in blocks for value in block)], np.float64)
        return finite(flat)

    def _rest(self) -> list[str]:
        return [name for name in self.schema[entity_column(self.schema)].names if name != self.own]

    def _columns(self) -> list[str]:
        return [name for name in OTHERS if name in ("present", "yaw") or name in self.schema]

    def _seen(self, own: Mapping[str, float], other: Mapping[str, float] | None) -> list[float]:
        if other is None or other["t"] < self.newest or not own:
            return [0.0] * len(self._columns())
        heading = yaw(own)
        cos, sin = math.cos(heading), math.sin(heading)
        found = {name: other.get(name, 0.0) for name in OTHERS}
        for a, b in (("x", "y"), ("vx", "vy")):
            da, db = (other.get(name, 0.0) - own.get(name, 0.0) for name in (a, b))
            found[a], found[b] = cos * da + sin * db, cos * db - sin * da
        for name in ("z", "vz"):
            found[name] -= own.get(name, 0.0)
        turn = yaw(other) - heading
        found |= {"present": 1.0, "yaw": math.atan2(math.sin(turn), math.cos(turn))}
        return [found[name] for name in self._columns()]


def yaw(row: Mapping[str, float]) -> float:
    """Return a body's heading [rad] from its yaw or its quaternion."""
    if "yaw" in row or "qw" not in row:
        return row.get("yaw", 0.0)
    x, y, z, w = (row[name] for name in ("qx", "qy", "qz", "qw"))
    return math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))


@dataclass(slots=True)
class Rows:
    """The newest rows of tables, one after the other; each table keeps the number of rows it began with."""

    sizes: Mapping[str, int]
    schemas: Mapping[str, Schema]
    state: dict[str, FloatArray] = field(default_factory=dict)

    @staticmethod
    def of(tables: Mapping[str, Table]) -> Rows:
        """Return a view of those tables that have a few rows at t = 0; of the first one with numbers if none has."""
        fit = {name: len(t) for name, t in tables.items() if 0 < len(t) <= MOST_ROWS and numeric(t.schema)}
        if not fit:
            fit = {name: 1 for name, t in list(tables.items()) if numeric(t.schema)}
            fit = dict(list(fit.items())[:1])
        return Rows(fit, {name: tables[name].schema for name in fit})

    def names(self) -> list[str]:
        """Return what each entry is."""
        return [
            f"{name}.{column}" if size == 1 else f"{name}.{i}.{column}"
            for name, size in self.sizes.items()
            for i in range(size)
            for column in numeric(self.schemas[name])
        ]

    def look(self, tables: Mapping[str, Table]) -> Float32Array:
        """Take in what was seen; return the state, float32."""
        for name, size in self.sizes.items():
            columns = numeric(self.schemas[name])
            state = self.state.setdefault(name, np.zeros((size, len(columns))))
            if name in tables and len(tables[name]):
                rows = tables[name].run(0)
                newest = np.flatnonzero(rows["t"] == rows["t"][-1])[-size:]
                fresh = np.stack([rows[column][newest].astype(np.float64) for column in columns], axis=1)
                state[: len(fresh)] = fresh
        flat = [self.state[name].ravel() for name in self.sizes]
        return finite(np.concatenate(flat) if flat else np.zeros(0))


def finite(values: FloatArray) -> Float32Array:
    """Return float32 without NaN: a number that is not there is 0."""
    most = float(np.finfo(np.float32).max)
    return np.nan_to_num(values, nan=0.0, posinf=most, neginf=-most).clip(-most, most).astype(np.float32)


@dataclass(slots=True)
class Instrument:
    """One sensor as a dictionary: its newest images by pass, and the newest rows of its tables as `values`."""

    rows: Rows
    images: dict[str, AnyArray]

    @staticmethod
    def of(reading: Reading) -> Instrument:
        """Return a view of a sensor from what it said at t = 0."""
        passes = reading.frames[0].passes if reading.frames else {}
        return Instrument(
            Rows.of(reading.tables), {name: np.zeros(v.shape[1:], v.dtype) for name, v in passes.items() if v.ndim > 1}
        )

    def look(self, reading: Reading) -> dict[str, AnyArray]:
        """Take in what was seen; return images and values."""
        for name in self.images:
            frames = reading.frames[0].passes.get(name) if reading.frames else None
            if frames is not None and len(frames):
                self.images[name] = frames[-1]
        seen: dict[str, AnyArray] = {name: image.copy() for name, image in self.images.items()}
        if self.rows.names():
            seen["values"] = self.rows.look(reading.tables)
        return seen
