"""Several worlds in one picture: each has a space of its own, so they are drawn side by side, under their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mischance.api.appearance import CONTACTS
from mischance.api.tables import AnyArray
from mischance.errors import DatasetError
from mischance.opening.reading import Dataset
from mischance.reports.replay.ground import ground
from mischance.reports.replay.model import GroundLine
from mischance.reports.replay.tracks import Track, appearances, rows, tracks

GAP = 0.12  # between two worlds, in widths of the right one …
LEAST_GAP = 1.5  # … and at least [m]


class OneWorld(Dataset):
    """The tables of a dataset with the truth of one of its worlds, under the names that it has alone."""

    def __init__(self, path: Path, world: str) -> None:
        super().__init__(path)
        self._prefix = f"truth/{world}."

    def tables(self) -> list[str]:
        """Return the paths of all tables, sorted."""
        found = super().tables()
        own = [f"truth/{path.removeprefix(self._prefix)}" for path in found if path.startswith(self._prefix)]
        return sorted([*own, *(path for path in found if not path.startswith("truth/"))])

    def _shards(self, path: str) -> list[Path]:
        own = path.replace("truth/", self._prefix, 1) if path.startswith("truth/") else path
        return super()._shards(own)


@dataclass(frozen=True, slots=True)
class Placed:
    """The bodies of one world where the picture has them: `coarse` and `fine` as of `tracks`, `ground` and `hits`."""

    world: str
    coarse: list[Track]
    fine: list[Track]
    surface: tuple[GroundLine, ...]
    hits: Mapping[str, AnyArray]


def side_by_side(path: Path, run: int, worlds: Sequence[str]) -> list[Placed]:
    """Return the worlds of a run that have positions, one to the right of the other.

    Raises:
        DatasetError: none of them has.
    """
    found: list[Placed] = []
    right, middle = np.nan, np.nan
    error: DatasetError | None = None
    for world in worlds:
        data = OneWorld(path, world)
        looks = appearances(data, run)
        try:
            coarse, fine = tracks(data, run, looks)
        except DatasetError as problem:
            error = error or problem
            continue
        surface = ground(data, run, looks.values(), coarse)
        spots = [np.stack([track.x, track.y], axis=1) for track in coarse]
        spots += [line.points for line in surface]
        low, high = (edge(np.concatenate(spots), axis=0) for edge in (np.nanmin, np.nanmax))
        gap = max(GAP * float(high[0] - low[0]), LEAST_GAP)
        dx = 0.0 if np.isnan(right) else right + gap - float(low[0])
        dy = 0.0 if np.isnan(middle) else middle - 0.5 * float(low[1] + high[1])
        right = float(high[0]) + dx
        middle = 0.5 * float(low[1] + high[1]) + dy
        found.append(
            Placed(
                world,
                [_moved(track, world, dx, dy) for track in coarse],
                [_moved(track, world, dx, dy) for track in fine],
                tuple(replace(line, points=line.points + np.array([dx, dy])) for line in surface),
                _named(rows(data, f"truth/{CONTACTS}", run), world, dx, dy),
            )
        )
    if not found:
        raise error or DatasetError(f"run {run} of {path} cannot be drawn: it has no world")
    return found


def contacts_together(found: Sequence[Placed]) -> Mapping[str, AnyArray]:
    """Return the contacts of all worlds in order of time: the columns that all of them have."""
    parts = [placed.hits for placed in found if placed.hits and len(placed.hits["t"])]
    names = [name for name in parts[0] if all(name in part for part in parts)] if parts else []
    joined: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in names}
    order = np.argsort(joined["t"], kind="stable") if joined else np.zeros(0, np.int64)
    return {name: values[order] for name, values in joined.items()}


def _moved(track: Track, world: str, dx: float, dy: float) -> Track:
    look = track.look
    pose = None if look.pose is None else (look.pose[0] + dx, look.pose[1] + dy, *look.pose[2:])
    parent = f"{world}.{look.parent}" if look.parent else ""
    return replace(
        track, look=replace(look, name=f"{world}.{look.name}", parent=parent, pose=pose), x=track.x + dx, y=track.y + dy
    )


def _named(hits: Mapping[str, AnyArray], world: str, dx: float, dy: float) -> Mapping[str, AnyArray]:
    """Return contacts with the bodies' names and places of the picture."""
    own = dict(hits)
    for name in ("a", "b"):
        if name in own:
            own[name] = np.array([f"{world}.{text}" for text in own[name].tolist()], object)
    for name, shift in (("x", dx), ("y", dy)):
        if name in own:
            own[name] = own[name] + shift
    return own
