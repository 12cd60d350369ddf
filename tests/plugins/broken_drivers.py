"""Drivers that no scenario may let pass, and what each of them is bound to break."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mischance.api.randomness import Streams
from mischance.api.runs import Commands, Draw, Reading
from mischance.api.tables import BoolArray, Column, FloatArray, Table

SCHEMA = {
    "actor": Column("category", names=("ego",)),
    "acceleration": Column(unit="m/s2"),
    "steer": Column(unit="rad"),
    "keep_path": Column("bool", null=True),
}


class Broken:
    """Reads the ego's own state alone, and commands what `drive` says."""

    batch: ClassVar[int] = 256
    rate: ClassVar[float] = 20.0

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> None:
        """Forget the last runs."""
        self.state: dict[str, FloatArray] = {}

    def act(self, readings: Mapping[str, Reading], t: float, live: BoolArray) -> Commands:
        """Return the command of every live run."""
        table = readings["truth"].tables["actors"]
        ego = table.take(table.columns["actor"] == table.schema["actor"].names.index("ego"))
        for name in ("speed", "vx", "vy", "yaw"):
            self.state.setdefault(name, np.zeros(len(live)))
            for run in np.flatnonzero(np.diff(ego.offsets)):
                self.state[name][run] = ego.run(int(run))[name][-1]
        if "speed" not in self.state or "first" not in self.state:
            self.state["first"] = self.state["yaw"].copy()
        acceleration, steer = (np.broadcast_to(np.asarray(part, float), live.shape) for part in self.drive(t))
        n = int(live.sum())
        columns: dict[str, Any] = {
            "actor": np.zeros(n, np.int32),
            "acceleration": acceleration[live],
            "steer": np.nan_to_num(steer[live]),
            "keep_path": np.isnan(steer[live]),
        }
        return Commands(Table(SCHEMA, columns, np.concatenate([[0], np.cumsum(live)]).astype(np.int64)), live)

    def drive(self, t: float) -> tuple[Any, Any]:
        """Return acceleration [m/s2] and steering angle [rad]; an angle of NaN follows the path."""
        raise NotImplementedError


class SteersOff(Broken):
    """Turns the wheel a little to the right at 1 s, and leaves it there."""

    def drive(self, t: float) -> tuple[Any, Any]:
        """Return the command."""
        return 0.0, -0.03 if t >= 1.0 else np.nan


class StandsStill(Broken):
    """Brakes to a stop without hurry, and stands from then on."""

    def drive(self, t: float) -> tuple[Any, Any]:
        """Return the command."""
        return -3.0, np.nan


class BrakesForEver(Broken):
    """Brakes as hard as it can from the start to the end."""

    def drive(self, t: float) -> tuple[Any, Any]:
        """Return the command."""
        return -10.0, np.nan


class WrongWay(Broken):
    """Slows down, turns round, and drives back."""

    def drive(self, t: float) -> tuple[Any, Any]:
        """Return the command."""
        turned = np.abs(np.arctan2(np.sin(self.state["yaw"] - self.state["first"]),
                                   np.cos(self.state["yaw"] - self.state["first"])))  # fmt: skip
        fast = np.abs(self.state["speed"]) > 5.0
        return np.where(fast, -4.0, 1.0), np.where(fast, np.nan, np.where(turned < 3.0, 0.55, 0.0))
