"""A tug that tows a barge up a canal with a bend, past a lock: a world of a user that says what it looks like."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from mischance.api.appearance import (
    BODIES,
    BOX,
    LANE,
    LANE_ROWS,
    LANES,
    OTHER,
    SCENERY,
    SUBJECT,
    ZONE,
    bodies_schema,
    body_row,
    lane_rows,
    table_per_run,
)
from mischance.api.geometry import GOES_ON, chained
from mischance.api.line_arrays import line_array, place_all
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw
from mischance.api.tables import EVENTS, LABELS, Column, IntArray, Schema, Table

RATE = 10.0
START = 60.0  # way of the tug at t = 0 [m]
ROPE = 40.0  # from the middle of the tug to that of the barge, along the canal [m]
WIDTH = 30.0  # of the canal [m]
LINE = chained([(100.0, 0.0), (150.0, 1.0 / 200.0), (GOES_ON, 0.0)])
NAMES = ("barge", "tug", "lock")
VESSELS: Schema = {
    "t": Column(unit="s", role="time"),
    "vessel": Column("category", names=NAMES, role="entity"),
    "x": Column(unit="m", role="position"),
    "y": Column(unit="m", role="position"),
    "heading": Column(unit="rad"),
    "speed": Column(unit="m/s"),
}
MEASURES: Schema = {"min_room": Column(unit="m", role="value", about="smallest distance to the bank")}
OUTCOME: Schema = {
    **MEASURES,
    "event": Column("bool"),
    "margin": Column(unit="m"),
    "verdict": Column("text"),
    "reason": Column("text"),
}


class Ship:
    """A tug and its barge keep an offset to the middle of a canal; the event is that the barge touches the bank."""

    class Settings(BaseModel):
        """What a scenario may say about the tow."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        speed: float = Field(8.0, gt=0, description="speed along the canal [m/s]")
        offset: float = Field(0.0, description="to the left of the canal's middle [m]")

    batch: ClassVar[int] = 4
    measures: ClassVar[Schema] = MEASURES
    randomness: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Return the tow at the canal's begin, and what it looks like."""
        self._speed = np.array([draw.settings.speed for draw in draws])
        self._offset = np.array([draw.settings.offset for draw in draws])
        self._k = 0
        schema = bodies_schema(("ship", "barge", "lock"), NAMES)
        bodies = [
            body_row(schema, "barge", "barge", OTHER, BOX, (50.0, 9.0, 3.0), parent="tug"),
            body_row(schema, "tug", "ship", SUBJECT, BOX, (20.0, 7.0, 8.0), color=(0.8, 0.1, 0.1)),
            body_row(schema, "lock", "lock", SCENERY, BOX, (30.0, 12.0, 5.0), pose=(130.0, 25.0, 0.0, 0.0)),
        ]
        canal = lane_rows(LANE, 0, LINE, begin=-inf, end=inf, width=WIDTH)
        canal += lane_rows(ZONE, 1, LINE, begin=40.0, end=80.0, width=WIDTH)
        keys = [0] * len(draws)
        outline = {
            LANES: table_per_run(LANE_ROWS, keys, lambda _: canal),
            BODIES: table_per_run(schema, keys, lambda _: bodies),
        }
        self._outline = {name: Table.empty(table.schema, len(draws)) for name, table in outline.items()}
        return self._chunk(0, 0, np.array([0]), outline)

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Return the tow until then."""
        start = self._k
        while (self._k + 1) / RATE <= until:
            self._k += 1
        return self._chunk(start, self._k, np.arange(start + 1, self._k + 1), self._outline)

    def outcome(self) -> tuple[Table, Table]:
        """Return the room that the barge had."""
        room = 0.5 * WIDTH - np.abs(self._offset) - 4.5
        touched = room <= 0.0
        rows = {
            "min_room": room,
            "event": touched,
            "margin": room,
            "verdict": np.array(["touched" if hit else "free" for hit in touched], object),
            "reason": np.array([f"{value:.1f} m to the bank" for value in room], object),
        }
        runs = [{name: values[i : i + 1] for name, values in rows.items()} for i in range(len(room))]
        return Table.of(OUTCOME, runs), Table.empty(LABELS, len(room))

    def close(self) -> None:
        """Nothing is held."""

    def _chunk(self, start: int, end: int, k: IntArray, outline: dict[str, Table]) -> Chunk:
        line = line_array(LINE)
        rows = []
        for speed, offset in zip(self._speed, self._offset, strict=True):
            way = (START + speed * k / RATE)[:, None] - [ROPE, 0.0]
            x, y, heading = (values.ravel() for values in place_all(line, way, offset))
            rows.append(
                {
                    "t": np.repeat(k / RATE, 2),
                    "vessel": np.tile([0, 1], len(k)),
                    "x": x,
                    "y": y,
                    "heading": heading,
                    "speed": np.full(len(x), speed),
                }
            )
        n = len(rows)
        return Chunk(
            start / RATE, end / RATE, np.full(n, end / RATE), np.zeros(n, np.bool_), Table.empty(EVENTS, n),
            {"vessels": Table.of(VESSELS, rows), **outline},
        )  # fmt: skip
