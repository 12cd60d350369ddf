"""Rows, events and poses of the arm's world that wait for the next chunk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mischance.api.appearance import CONTACTS
from mischance.api.labels import table_of_rows
from mischance.api.runs import Chunk
from mischance.api.scene import Motion
from mischance.api.tables import EVENTS, Table

from .tables import CELL_ROWS, CONTACT_ROWS, JOINT_ROWS, WRENCH_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mischance.api.scene import Scene

    from .bullet import Cell
    from .path import Reach

RATE = 120  # steps of the world per second; each is two control steps, a control step four of physics


class Rows:
    """Rows of one run since the last chunk. `k`: the world's last step; `since`: its step at the last chunk."""

    def __init__(self, scene: Scene, bodies: Sequence[str], outline: Mapping[str, Table]) -> None:
        """`outline`: the tables `lanes` and `bodies`, written once."""
        self._scene, self._bodies = scene, tuple(bodies)
        self._outline = outline
        self._count = 0
        self.k = self.since = 0
        self.clear()

    def clear(self) -> None:
        """Start a new chunk at the present step."""
        self.since = self.k
        self._events: list[tuple[Any, ...]] = []
        self.contacts: list[tuple[Any, ...]] = []
        self.wrenches: list[tuple[Any, ...]] = []
        self.joints: list[tuple[Any, ...]] = []
        self.cells: list[tuple[Any, ...]] = []
        self._poses: list[list[float]] = []

    def event(
        self, t: float, kind: str, subject: str, parent: str = "", details: Mapping[str, Any] | None = None
    ) -> str:
        """Add an event and return its id."""
        event_id = f"event:{self._count}"
        self._count += 1
        self._events.append((t, event_id, parent, kind, subject, json.dumps(details or {}, allow_nan=False)))
        return event_id

    def sample(self, cell: Cell, reach: Reach | None) -> None:
        """Add pose and velocity of every moving body."""
        bodies = [*cell.links(), cell.body(cell.box)]
        if reach is not None:
            hand, forearm = (cell.body(cell.limbs[name].body) for name in ("hand", "forearm"))
            bodies += [hand, forearm, reach.upper_arm(forearm)]
        state: list[float] = []
        for at, turn, velocity, spin in bodies:
            state += (*at, *turn, *velocity, *spin)
        self._poses.append(state)

    def chunk(self, *, over: bool) -> Chunk:
        """Return everything since the last chunk."""
        start, end = self.since / RATE, self.k / RATE
        steps = np.arange(self.since, self.k + 1, dtype=np.int64)
        state = np.array(self._poses, np.float64).reshape(1, len(steps), len(self._bodies), 13)
        outline, self._outline = self._outline, {n: Table.empty(one.schema, 1) for n, one in self._outline.items()}
        return Chunk(
            start=start,
            end=end,
            ends=np.array([end]),
            over=np.array([over]),
            events=table_of_rows(EVENTS, [self._events]),
            tables={
                "joints": table_of_rows(JOINT_ROWS, [self.joints]),
                "cell": table_of_rows(CELL_ROWS, [self.cells]),
                "wrench": table_of_rows(WRENCH_ROWS, [self.wrenches]),
                CONTACTS: table_of_rows(CONTACT_ROWS, [self.contacts]),
                **outline,
            },
            motion=Motion(self._bodies, steps / RATE, state[..., :7].copy(), state[..., 7:].copy()),
            scenes=(self._scene,),
        )
