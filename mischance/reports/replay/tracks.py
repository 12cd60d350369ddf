"""Where bodies were: poses over time, from every table of truth that has positions, and what the bodies are.

A table has positions where it has `t`, `x`, `y` and a text column of the role `entity`, which names the body. What the
bodies are stands in `truth/bodies`; one that is not there is a disc of unknown size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mischance.api.appearance import BODIES, CONTACTS, LANES, PATHS
from mischance.api.arrow import units
from mischance.api.geometry import Rectangle
from mischance.api.tables import AnyArray, BoolArray, FloatArray
from mischance.errors import DatasetError
from mischance.opening.reading import Dataset

_SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_MOTION = "truth/motion"
_NO_POSITIONS = {f"truth/{name}" for name in (BODIES, CONTACTS, LANES, PATHS)}
RADIUS = 0.3  # of a body of unknown size [m], or less where everything is small
_UPRIGHT = 0.02  # 1 - cosine of the tilt up to which a body counts as level
_SMALL = 0.012  # of the extent of the whole run: a body of unknown size is drawn no larger


@dataclass(frozen=True, slots=True)
class Appearance:
    """What a body is: a row of `truth/bodies`. Sizes [m] are 0 where nobody says them; `sized`: somebody does.

    `braking`: strongest deceleration that it has by itself [m/s2], NaN where nobody says. `pose`: x, y, z [m] and yaw
    [rad] of what stands for good, else None.
    """

    name: str
    kind: str = ""
    role: str = "other"
    shape: str = "cylinder"
    length: float = 0.0
    width: float = 0.0
    parent: str = ""
    braking: float = float("nan")
    pose: tuple[float, float, float, float] | None = None
    sized: bool = True

    @property
    def radius(self) -> float:
        """Radius of what is round [m]; 0 where nobody says its size."""
        return 0.5 * self.length if self.sized else 0.0


@dataclass(frozen=True, slots=True)
class Track:
    """One body over its own sample times: poses [m, rad], speed [m/s], acceleration [m/s2]; each (n,).

    `away` is True where it is out of everybody's reach; None where it never is. `level`: it stays upright.
    """

    look: Appearance
    t: FloatArray
    x: FloatArray
    y: FloatArray
    z: FloatArray
    yaw: FloatArray
    speed: FloatArray
    acceleration: FloatArray
    vx: FloatArray
    vy: FloatArray
    away: BoolArray | None = None
    level: bool = True

    @property
    def name(self) -> str:
        """The body's name."""
        return self.look.name

    @property
    def box(self) -> Rectangle:
        """Its outline from above over time."""
        return Rectangle(self.x, self.y, self.yaw, self.look.length, self.look.width)


def appearances(dataset: Dataset, run: int) -> dict[str, Appearance]:
    """Return what the bodies of a run are, by name, in the order of the table; {} where there is none."""
    table = rows(dataset, f"truth/{BODIES}", run)
    if not {"body", "kind", "role", "length", "width"} <= set(table):
        return {}
    found: dict[str, Appearance] = {}

    def number(name: str, i: int) -> float:
        return float(table[name][i]) if name in table else float("nan")

    def word(name: str, i: int, otherwise: str = "") -> str:
        return str(table[name][i]) if name in table else otherwise

    for i, name in enumerate(table["body"].astype(str).tolist()):
        length, width = (number(side, i) if number(side, i) > 0.0 else 0.0 for side in ("length", "width"))
        x, y, z, yaw = (number(axis, i) for axis in ("x", "y", "z", "yaw"))
        found[name] = Appearance(
            name, word("kind", i), word("role", i), word("shape", i, "box"), length, width, word("parent", i),
            number("braking", i),
            (x, y, float(np.nan_to_num(z)), float(np.nan_to_num(yaw))) if np.isfinite(x + y) else None,
        )  # fmt: skip
    return found


def tracks(dataset: Dataset, run: int, looks: Mapping[str, Appearance]) -> tuple[list[Track], list[Track]]:
    """Return the bodies of a run and, where there is a table of motion, the same bodies at its finer times.

    The subject comes first, then the others in the order of `truth/bodies`.

    Raises:
        DatasetError: no table of truth has positions in this run.
    """
    found: dict[str, Track] = {}
    fine: dict[str, Track] = {}
    truth = [path for path in dataset.tables() if path.startswith("truth/") and path not in _NO_POSITIONS]
    for path in (*(path for path in truth if path != _MOTION), *(path for path in truth if path == _MOTION)):
        for track in _of_table(dataset, path, run, looks):
            (fine if path == _MOTION else found).setdefault(track.name, track)
    for name, track in fine.items():
        found.setdefault(name, track)
    if not found:
        raise DatasetError(
            f"run {run} of {dataset.path} cannot be drawn: no table of truth has positions (t, x, y and a column of the"
            " role 'entity')",
            f"{dataset.path / 'preview.png'} shows what the dataset holds",
        )
    place = {name: n for n, name in enumerate(looks)}
    subject = next((look.name for look in looks.values() if look.role == "subject"), "")
    order = sorted(found, key=lambda name: (name != subject, place.get(name, len(place))))
    bodies = _sized([found[name] for name in order])
    return bodies, [replace(fine[body.name], look=body.look) for body in bodies if body.name in fine]


def _sized(bodies: list[Track]) -> list[Track]:
    """Return the bodies with those of unknown size no larger than fits the picture."""
    spots = np.concatenate([np.stack([track.x, track.y], axis=1) for track in bodies])
    spots = spots[np.isfinite(spots).all(axis=1)]
    extent = float(np.ptp(spots, axis=0).max()) if len(spots) else 0.0
    size = 2.0 * min(RADIUS, _SMALL * extent) if extent > 0.0 else 2.0 * RADIUS
    return [
        replace(body, look=replace(body.look, length=size, width=size, sized=False))
        if not (body.look.length and body.look.width)
        else body
        for body in bodies
    ]


def columns(table: Any) -> dict[str, AnyArray]:
    """Return an Arrow table's columns: text as objects, numbers with NaN for null."""
    found: dict[str, AnyArray] = {}
    for name in table.column_names:
        column = table.column(name)
        if "string" in str(column.type):
            found[name] = np.array([value or "" for value in column.to_pylist()], object)
        else:
            found[name] = column.to_numpy()
    return found


def rows(dataset: Dataset, path: str, run: int) -> dict[str, AnyArray]:
    """Return the rows of one run, times in seconds; none where there is no such table."""
    if path not in dataset.tables():
        return {}
    table = dataset.arrow(path, runs=run)
    found = columns(table)
    for name, (unit, _) in units(table.schema).items():
        if (name == "t" or name.startswith("t_")) and found[name].dtype.kind in "iuf":
            found[name] = found[name] * _SECONDS.get(unit, 1.0)
    return found


def _of_table(dataset: Dataset, path: str, run: int, looks: Mapping[str, Appearance]) -> Iterator[Track]:
    """Yield the bodies of one table; none where it has no positions."""
    declared = dataset.columns(path)
    # numbers of orders, tickets … are no names of bodies
    named = (name for name, one in declared.items() if one.role == "entity" and one.dtype in ("text", "category"))
    key = next(named, None)
    if key is None or not {"t", "x", "y"} <= set(declared):
        return
    table = rows(dataset, path, run)
    who = table[key].astype(str)
    away = next((name for name, one in declared.items() if one.role == "away"), None)
    _, order = np.unique(who, return_index=True)
    for name in who[np.sort(order)].tolist():
        own = {column: values[who == name] for column, values in table.items()}
        yield _track(looks.get(name, Appearance(name)), own, None if away is None else own[away])


def _track(look: Appearance, table: Mapping[str, AnyArray], away: AnyArray | None) -> Track:
    t = table["t"].astype(np.float64)
    keep = np.concatenate([np.diff(t) > 0.0, [True]])  # of rows at the same time, the last
    t = t[keep]

    def column(*names: str) -> FloatArray | None:
        found = next((table[n] for n in names if n in table and table[n].dtype.kind in "iufb"), None)
        return None if found is None else found[keep].astype(np.float64)

    def zeros() -> FloatArray:
        return np.zeros(len(t))

    x, y = _known(column("x"), t), _known(column("y"), t)
    z = column("z", "height", "altitude")
    vx, vy = column("vx"), column("vy")
    vx, vy = (_slope(x, t) if vx is None else vx), (_slope(y, t) if vy is None else vy)
    speed = column("speed")
    if speed is None:
        vz = column("vz")
        speed = np.sqrt(vx**2 + vy**2 + (zeros() if vz is None else vz) ** 2)
    yaw = column("yaw", "heading")
    qx, qy, qz, qw = (column(part) for part in ("qx", "qy", "qz", "qw"))
    level = True
    if qx is not None and qy is not None and qz is not None and qw is not None:
        level = bool((2.0 * (qx**2 + qy**2) <= _UPRIGHT).all())
        yaw = _yaw(qx, qy, qz, qw) if yaw is None else yaw
    yaw = zeros() if yaw is None else yaw
    acceleration = column("acceleration", "ax")
    reach = None if away is None else np.asarray(away[keep], np.bool_)
    return Track(
        look, t, x, y, zeros() if z is None else z, np.unwrap(yaw), speed,
        _slope(speed, t) if acceleration is None else acceleration, vx, vy,
        reach if reach is not None and reach.any() else None, level,
    )  # fmt: skip


def _known(values: FloatArray | None, t: FloatArray) -> FloatArray:
    return np.full(len(t), np.nan) if values is None else values


def _slope(values: FloatArray, t: FloatArray) -> FloatArray:
    return np.asarray(np.gradient(values, t), np.float64) if len(t) > 1 else np.zeros(len(t))


def _yaw(qx: FloatArray, qy: FloatArray, qz: FloatArray, qw: FloatArray) -> FloatArray:
    """Return the heading of a unit quaternion, x y z w [rad]."""
    return np.arctan2(2.0 * (qw * qz + qx * qy), 1.0 - 2.0 * (qy**2 + qz**2))
