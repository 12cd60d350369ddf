"""Splits: the part of the dataset, train, val or test, of a run, an entity or a stretch of time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.randomness import keyed_uniform, run_uniform
from mischance.api.runs import Record
from mischance.api.tables import AnyArray, Column, FloatArray, IntArray, Schema, Table
from mischance.errors import RunError

if TYPE_CHECKING:
    from mischance.language.scenario import Split

PARTS = ("train", "val", "test")
PART = Column("category", names=PARTS, about="part of the dataset")


class Splits:
    """Deals out one batch of runs; the answer for a run depends on the seed and the run alone.

    `by` run: one row a run. `by` time: three stretches a run, in order. `by` entity: one row for each
    value of the column that the world declares as its `entity`.
    """

    def __init__(self, split: Split, seed: int, duration: float, entity: str = "") -> None:
        if split.by == "entity" and not entity:
            raise RunError("split.by: this world declares no entity", "use `by: run` or `by: time`")
        self.split = split
        self.seed = seed
        self.duration = duration
        self.entity = entity
        self._seen: list[set[Any]] = []
        self._text: bool | None = None  # whether entities have names; None: no table spoke of them yet

    def add(self, record: Record) -> None:
        """Note which entities a record speaks of."""
        if self.split.by != "entity":
            return
        if not self._seen:
            self._seen = [set() for _ in record.runs]
        for path, table in record.tables.items():
            column = table.schema.get(self.entity)
            if column is None or not path.startswith("truth/"):
                continue
            if self._text is None:
                self._text = column.dtype in ("category", "text", "utf8")
            for i, seen in enumerate(self._seen):
                seen.update(_entities_of(column, table.run(i)[self.entity]))

    def finish(self, runs: IntArray) -> Table:
        """Return the rows of `splits` for these runs, and forget what was noted."""
        if self.split.by == "time":
            return Table.of({"t_start": Column(unit="s"), "t_end": Column(unit="s"), "split": PART}, self._times(runs))
        if self.split.by == "run":
            codes = self._codes(run_uniform(self.seed, "split", runs))
            return Table({"split": PART}, {"split": codes}, np.arange(len(runs) + 1, dtype=np.int64))
        if self._text is None:
            raise RunError(
                f"split.by: no truth table has the column {self.entity!r}, which this world declares as its entity",
                "use `by: run` or `by: time`",
            )
        seen, self._seen = self._seen, []
        schema: Schema = {
            self.entity: Column("text" if self._text else "int64", encoding="plain", role="entity"),
            "split": PART,
        }
        rows = [self._entities(int(run), sorted(entities)) for run, entities in zip(runs, seen, strict=True)]
        return Table.of(schema, rows)

    def _times(self, runs: IntArray) -> list[dict[str, AnyArray]]:
        share = np.cumsum([0.0, self.split.train, self.split.val])
        start = share * self.duration
        row = {"t_start": start, "t_end": np.append(start[1:], self.duration), "split": np.arange(3, dtype=np.int32)}
        return [row for _ in runs]

    def _entities(self, run: int, entities: list[Any]) -> dict[str, Any]:
        if not entities:
            return {}
        keys = [entity if isinstance(entity, int) else _number(str(entity)) for entity in entities]
        digest = hashlib.blake2b(f"{self.seed}/split/{run}".encode(), digest_size=32).digest()
        uniform = keyed_uniform(digest, np.abs(np.array(keys, np.int64)))
        return {self.entity: entities, "split": self._codes(uniform)}

    def _codes(self, uniform: FloatArray) -> AnyArray:
        borders = np.cumsum([self.split.train, self.split.val])
        return np.searchsorted(borders, uniform, side="right").astype(np.int32)


def _entities_of(column: Column, values: AnyArray) -> list[Any]:
    """Return the entities that some rows are about, each once: names, or whole numbers."""
    if column.dtype == "category":
        return [column.names[code] for code in np.unique(values).tolist() if code >= 0]
    if column.dtype in ("text", "utf8"):
        return [name for name in set(values.tolist()) if name is not None]
    return [int(number) for number in np.unique(values).tolist()]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
