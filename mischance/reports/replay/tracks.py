"""Where everybody was: bodies with poses over time, read from whatever tables of truth have positions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mischance.api.arrow import readable, units
from mischance.api.tables import AnyArray, BoolArray, FloatArray
from mischance.errors import DatasetError
from mischance.opening.reading import Dataset

_KEYS = ("actor", "body", "drone", "robot", "agv", "vehicle", "person", "ship", "name")
_SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_MOTION = "truth/motion"
# Length and width [m] where neither a table nor the scenario says them: what is usual for such a body.
_USUAL = {
    "car": (4.5, 1.8), "truck": (10.0, 2.5), "van": (5.5, 2.0), "bus": (12.0, 2.5), "motorcycle": (2.2, 0.8),
    "cyclist": (1.8, 0.6), "pedestrian": (0.5, 0.6), "child": (0.35, 0.4),
    "animal": (1.5, 0.5), "debris": (0.8, 0.6), "occluder": (4.5, 1.8),
}  # fmt: skip
DISC = 0.3  # radius of a body whose size nobody knows [m], or less where everything is small
_SMALL = 0.012  # of the extent of the whole run: a body of unknown size is drawn no larger
# Where the settings of a world hold the radius of all bodies of one kind.
_RADII = {"agv": ("fleet", "radius"), "person": ("people", "radius"), "load": ("loads", "radius")}
_BAY = "bay"  # a state of who is off the floor: nobody can meet it there


@dataclass(frozen=True, slots=True)
class Track:
    """One body over its own sample times: poses [m, rad], speed [m/s], acceleration [m/s2]; each (n,).

    `away` is True where nobody can meet it, in a bay; None where it always can be met.
    """

    name: str
    kind: str
    length: float
    width: float
    disc: bool
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


def tracks(dataset: Dataset, run: int, scenario: Mapping[str, Any]) -> tuple[list[Track], list[Track]]:
    """Return the bodies of a run and, where there is a table of motion, the same bodies at its finer times.

    Raises:
        DatasetError: no table of truth has positions in this run.
    """
    found: dict[str, Track] = {}
    fine: dict[str, Track] = {}
    truth = [path for path in dataset.tables() if path.startswith("truth/")]
    for path in (*(path for path in truth if path != _MOTION), *(path for path in truth if path == _MOTION)):
        for track in _of_table(dataset, path, run, scenario):
            (fine if path == _MOTION else found).setdefault(track.name, track)
    for name, track in fine.items():
        found.setdefault(name, track)
    if not found:
        raise DatasetError(
            f"run {run} of {dataset.path} cannot be drawn: no table of truth has positions (x and y over time)",
            f"{dataset.path / 'preview.png'} shows what the dataset holds",
        )
    order = sorted(found, key=lambda name: (name != "ego", list(found).index(name)))
    bodies = _sized([found[name] for name in order])
    return bodies, [
        replace(fine[body.name], length=body.length, width=body.width, disc=body.disc, kind=body.kind)
        for body in bodies
        if body.name in fine
    ]


def _sized(bodies: list[Track]) -> list[Track]:
    """Return the bodies with those of unknown size no larger than fits the picture."""
    spots = np.concatenate([np.stack([track.x, track.y], axis=1) for track in bodies])
    spots = spots[np.isfinite(spots).all(axis=1)]
    extent = float(np.ptp(spots, axis=0).max()) if len(spots) else 0.0
    size = 2.0 * min(DISC, _SMALL * extent) if extent > 0.0 else 2.0 * DISC
    return [replace(body, length=size, width=size) if body.length == 0.0 else body for body in bodies]


def columns(table: Any) -> dict[str, AnyArray]:
    """Return an Arrow table's columns: text as objects, numbers with NaN for null."""
    found: dict[str, AnyArray] = {}
    for name in table.column_names:
        column = table.column(name)
        kind = str(column.type)
        if "string" in kind:
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


def _of_table(dataset: Dataset, path: str, run: int, scenario: Mapping[str, Any]) -> Iterator[Track]:
    """Yield the bodies of one table; none where its rows are no bodies in motion (a contact has x and y too)."""
    import pyarrow.parquet as pq

    first = next(iter(sorted((dataset.path / path).glob("*.parquet"))))
    with readable(first):
        schema = pq.read_schema(first)
    names = set(schema.names)
    if not {"t", "x", "y"} <= names or "event_id" in names or {"a", "b"} <= names:
        return
    word = path.rpartition("/")[2]
    if word in ("contacts", "paths", "lanes"):
        return  # where something happened, or lies
    table = rows(dataset, path, run)
    if not len(table["t"]):
        return
    key = next((name for name in (*_KEYS, word.removesuffix("s")) if name in names), None)
    if key is None:
        if names & {"yaw", "speed", "vx", "z"}:
            yield _track(word, table, scenario)
        return
    if table[key].dtype != object and not names & {"yaw", "speed", "vx", "z"}:
        return  # numbers of orders, tickets …: what is done with them, and where, is no body's motion
    who = table[key].astype(str)
    _, order = np.unique(who, return_index=True)
    for name in who[np.sort(order)].tolist():
        yield _track(name, {column: values[who == name] for column, values in table.items()}, scenario)


def _track(name: str, table: Mapping[str, AnyArray], scenario: Mapping[str, Any]) -> Track:
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
    speed = np.sqrt(vx**2 + vy**2 + (column("vz") if "vz" in table else zeros()) ** 2) if speed is None else speed  # type: ignore[operator]
    yaw = column("yaw", "heading")
    if yaw is None:
        q = [column(part) for part in ("qx", "qy", "qz", "qw")]
        yaw = zeros() if any(part is None for part in q) else _yaw(*q)  # type: ignore[arg-type]
    acceleration = column("acceleration", "ax")
    state = table.get("state")
    kind, length, width, disc = _shape(name, table.get("category"), column("length"), column("width"), scenario)
    return Track(
        name, kind, length, width, disc, t, x, y, zeros() if z is None else z, np.unwrap(yaw), speed,
        _slope(speed, t) if acceleration is None else acceleration, vx, vy,
        np.asarray(state[keep] == _BAY, np.bool_) if state is not None and (state == _BAY).any() else None,
    )  # fmt: skip


def _known(values: FloatArray | None, t: FloatArray) -> FloatArray:
    return np.full(len(t), np.nan) if values is None else values


def _slope(values: FloatArray, t: FloatArray) -> FloatArray:
    return np.asarray(np.gradient(values, t), np.float64) if len(t) > 1 else np.zeros(len(t))


def _yaw(qx: FloatArray, qy: FloatArray, qz: FloatArray, qw: FloatArray) -> FloatArray:
    """Return the heading of a unit quaternion, x y z w [rad]."""
    return np.arctan2(2.0 * (qw * qz + qx * qy), 1.0 - 2.0 * (qy**2 + qz**2))


def _shape(
    name: str, category: AnyArray | None, length: FloatArray | None, width: FloatArray | None,
    scenario: Mapping[str, Any],
) -> tuple[str, float, float, bool]:  # fmt: skip
    """Return kind, length, width, and whether it is round: from columns, the scenario, or what is usual.

    Both sizes are 0 where nobody knows them.
    """
    simulator = scenario.get("simulator") or {}
    actors = simulator.get("actors") or {}
    said = actors.get(name) if isinstance(actors, Mapping) else None
    said = said if isinstance(said, Mapping) else {}
    kind = str(said.get("body") or said.get("kind") or "")
    if category is not None and len(category) and isinstance(category[0], str):
        kind = category[0]
    usual = _USUAL.get(kind)
    sizes = []
    for axis, (column, key) in enumerate(((length, "length"), (width, "width"))):
        stated = said.get(key)
        if column is not None and len(column) and np.isfinite(column[0]) and column[0] > 0.0:
            sizes.append(float(column[0]))
        elif isinstance(stated, int | float) and stated > 0:
            sizes.append(float(stated))
        elif usual:
            sizes.append(usual[axis])
    drone = (simulator.get("drones") or {}).get(name)
    radius = (drone.get("airframe") or {}).get("radius") if isinstance(drone, Mapping) else None
    if len(sizes) < 2 and isinstance(radius, int | float):
        return kind or "drone", 2.0 * radius, 2.0 * radius, True
    bird = (simulator.get("birds") or {}).get(name)
    if isinstance(bird, Mapping) and isinstance(bird.get("radius"), int | float):
        return kind or "bird", 2.0 * bird["radius"], 2.0 * bird["radius"], True
    if len(sizes) < 2:
        part, key = _RADII.get(kind, ("", ""))
        radius = (simulator.get(part) or {}).get(key) if part else None
        size = 2.0 * radius if isinstance(radius, int | float) else 0.0
        return kind, size, size, True
    return kind, sizes[0], sizes[1], False
