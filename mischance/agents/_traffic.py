"""Other actors as a driver perceives them, for all runs: gaps, closing speeds, lateral positions.

Arrays of others have the shape (runs, n); in an empty slot `there` is False and all other values are meaningless.
There are no sums over slots, so a run's numbers do not depend on the number of slots of its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mischance.api.appearance import BODIES, LANES, PATHS, SUBJECT
from mischance.errors import RefusalError

from ._map import RoadMap

if TYPE_CHECKING:
    from mischance.api.runs import Reading
    from mischance.api.tables import AnyArray, BoolArray, FloatArray, IntArray, Table

_STATE = ("t", "x", "y", "yaw", "vx", "vy", "acceleration", "length", "width")
_PEOPLE = ("pedestrian", "child")
_TALL = ("car", "van", "truck", "bus", "occluder")  # bodies that block the view
_TURNED = 0.5  # an ego that stands at more than this against the map's road is on another one [rad]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a driver knows at one moment. Ways and offsets are along and across the road; SI units."""

    known: BoolArray  # the ego has been seen; (runs,)
    speed: FloatArray  # of the ego; (runs,)
    acceleration: FloatArray  # of the ego, as realised
    length: FloatArray
    width: FloatArray
    lane_width: FloatArray
    builds_up: BoolArray  # where the ego's own brakes build up by themselves
    there: BoolArray  # the slot has a visible actor whose centre is ahead of the ego's; (runs, n)
    key: IntArray  # identity of the actor; -1 = none
    person: BoolArray  # on foot
    gap: FloatArray  # bumper to bumper, along the road; negative while the two overlap along it
    closing: FloatArray  # speed at which the gap shrinks
    side: FloatArray  # between the flanks, across the road; negative while they overlap across it
    inward: FloatArray  # speed at which the side gap shrinks
    toward: FloatArray  # what of that is the other one's own
    aside: FloatArray  # its centre's distance from the middle of the lane that the ego keeps, to either side
    along: FloatArray  # its speed in the road's direction
    crossing: BoolArray  # it goes more across the road than along it
    braking: FloatArray  # its acceleration in the road's direction
    lengths: FloatArray  # its own extent along the road
    widths: FloatArray  # its own extent across the road

    @property
    def in_path(self) -> BoolArray:
        """Whose flanks overlap the ego's across the road; (runs, n)."""
        return np.asarray(self.there & (self.side <= 0.0))

    def nearest(self, where: BoolArray) -> BoolArray:
        """Return the one nearest slot of those; (runs, n), False everywhere in a run without any."""
        gap = np.where(where, self.gap, np.inf)
        first = np.arange(gap.shape[1]) == np.argmin(gap, axis=1)[:, None]
        return np.asarray(first & where)

    def value(self, of: FloatArray, slot: BoolArray, otherwise: float) -> FloatArray:
        """Return a value of the one slot of each run that is marked; (runs,)."""
        found = np.take_along_axis(of, np.argmax(slot, axis=1)[:, None], axis=1)[:, 0]
        return np.where(slot.any(axis=1), found, otherwise)

    def time_to_collision(self) -> FloatArray:
        """Return gap / closing speed along the lane [s], for all others; inf if the gap opens; (runs, n)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ttc = np.maximum(self.gap, 0.0) / self.closing
        return np.where(self.there & (self.closing > 0.0), ttc, np.inf)

    def time_to_meet(self, margin: float = 0.0, *, on_path: bool = False) -> FloatArray:
        """Return the time until the two outlines meet at constant velocities [s]; inf if never; (runs, n).

        Outlines are boxes along the road, `margin` [m] wider on either side: they meet when the time in which
        they overlap along the road and the time in which they overlap across it have a moment in common. With
        `on_path` the ego follows its path, whatever its present lateral motion.
        """
        long = _overlap(self.gap, self.closing, self.length[:, None] + self.lengths)
        inward = self.toward if on_path else self.inward
        wide = _overlap(self.side - margin, inward, self.width[:, None] + self.widths + 2.0 * margin)
        begin = np.maximum(np.maximum(long[0], wide[0]), 0.0)
        return np.where(self.there & (begin <= np.minimum(long[1], wide[1])), begin, np.inf)


def _overlap(gap: FloatArray, closing: FloatArray, sizes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return when an overlap begins and ends: `gap` shrinks by `closing`, and lasts for both `sizes`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = gap / closing, (gap + sizes) / closing
    still, inside = closing == 0.0, (gap <= 0.0) & (gap + sizes >= 0.0)
    first = np.where(still, np.where(inside, -np.inf, np.inf), np.minimum(a, b))
    last = np.where(still, np.where(inside, np.inf, -np.inf), np.maximum(a, b))
    return first, last


class Notes:
    """Numbers that a driver stores for each of the others between steps, by identity."""

    def __init__(self, default: float) -> None:
        self._default = default
        self._key: IntArray | None = None
        self._value: FloatArray = np.zeros((0, 0))

    def recall(self, key: IntArray) -> FloatArray:
        """Return the stored numbers of these actors, the default for new ones; (runs, n)."""
        if self._key is None:
            return np.full(key.shape, self._default)
        if self._key is key or (self._key.shape == key.shape and np.array_equal(self._key, key)):
            return self._value
        run = np.arange(len(key), dtype=np.int64)[:, None] << 32
        old = (run + self._key)[self._key >= 0]
        order = np.argsort(old, kind="stable")
        old, value = old[order], self._value[self._key >= 0][order]
        if not len(old):
            return np.full(key.shape, self._default)
        at = np.minimum(np.searchsorted(old, run + key), len(old) - 1)
        return np.where((old[at] == run + key) & (key >= 0), value[at], self._default)

    def keep(self, key: IntArray, value: FloatArray) -> None:
        """Store numbers until the next step."""
        self._key, self._value = key, value


class Eyes:
    """Reads the table `actors`, or the ego from it and the others from a sensor's list of objects.

    Objects that are not reported again are extrapolated at constant velocity for `memory` [s]. With the table
    `actors`, actors behind a car, a van, a truck, a bus or an occluder are not visible, unless they are in the ego's
    path: models of following treat actors behind the one ahead themselves.
    """

    def __init__(self, sensor: str, memory: float) -> None:
        self._sensor, self._memory = sensor, memory

    def start(self, runs: int) -> None:
        """Forget the last runs."""
        self.map = RoadMap.straight(runs)
        self._builds_up = np.zeros(runs, np.bool_)
        self._known = np.zeros(runs, np.bool_)
        self._told = np.zeros(runs, np.bool_)  # the world has said which way the ego goes
        self._ego = {name: np.zeros(runs) for name in _STATE}
        self._kept = np.zeros(runs)  # the offset from the map's line that the ego keeps to
        self._others: dict[str, AnyArray] = {
            "key": np.full((runs, 1), -1, np.int64), "person": np.zeros((runs, 1), np.bool_),
            "tall": np.zeros((runs, 1), np.bool_), **{name: np.zeros((runs, 1)) for name in _STATE},
        }  # fmt: skip
        self._slots()

    def look(self, readings: Mapping[str, Reading], t: float) -> Traffic:
        """Return all other actors at time t.

        Raises:
            RunError: the world has no table `actors`, or the sensor reports no objects.
        """
        table = _table(readings, "truth", "actors")
        codes = table.schema["actor"].names
        run, key = table.run_index(), np.asarray(table.columns["actor"], np.int64)
        mine = key == (codes.index("ego") if "ego" in codes else -1)
        told = readings["truth"].tables
        if LANES in told and len(told[LANES]):
            self.map = self.map.with_lanes(told[LANES])
        if BODIES in told and len(told[BODIES]):
            self._see_bodies(told[BODIES])
        if PATHS in told and len(told[PATHS]):
            self._see_path(told[PATHS])
        rows = _rows(table)
        self._see_ego(run[mine], {name: rows[name][mine] for name in _STATE})
        if self._sensor == "truth":
            others = np.flatnonzero(~mine)
            self._see_others(run[others], key[others], {name: values[others] for name, values in rows.items()})
        else:
            tracks = _table(readings, self._sensor, "")
            key = np.asarray(tracks.columns["track"], np.int64)
            self._merge(tracks.run_index(), key, _rows(tracks), t - self._memory)
        return self._traffic(t)

    def _see_others(self, run: IntArray, key: IntArray, rows: Mapping[str, AnyArray]) -> None:
        """Take rows of the others, those of a run in order of time; who has none stays where it was seen last."""
        named = (run << 32) + key
        if (named[1:] <= named[:-1]).any():  # several rows of one actor: the last counts
            order = np.argsort(named, kind="stable")
            ordered = named[order]
            order = order[np.append(ordered[1:] != ordered[:-1], True)]
            named, run, key = named[order], run[order], key[order]
            rows = {name: values[order] for name, values in rows.items()}
        if np.array_equal(named, self._named):
            at = self._at
        else:
            place = np.minimum(np.searchsorted(self._named, named), max(len(self._named) - 1, 0))
            if not len(self._named) or (self._named[place] != named).any():
                self._merge(run, key, rows, -np.inf)
                return
            at = self._at[place]
        for name, values in rows.items():
            self._others[name].reshape(-1)[at] = values

    def _merge(self, run: IntArray, key: IntArray, rows: Mapping[str, AnyArray], since: float) -> None:
        """Take rows of actors of whom some may be new; who was last seen before `since` is forgotten."""
        kept = self._at
        old = {name: values.reshape(-1)[kept] for name, values in self._others.items()}
        new = {"key": key, **rows}
        run = np.concatenate([self._named >> 32, run])
        joined = {name: np.concatenate([old[name], new[name]]) for name in old}
        order = np.lexsort((joined["t"], joined["key"], run))  # stable: of two alike the later row wins
        run, key = run[order], joined["key"][order]
        last = np.ones(len(order), np.bool_)
        last[:-1] = (run[1:] != run[:-1]) | (key[1:] != key[:-1])
        last &= joined["t"][order] >= since
        run, order = run[last], order[last]
        count = np.bincount(run, minlength=len(self._known))
        shape = len(self._known), max(int(count.max(initial=0)), 1)
        slot = np.arange(len(run)) - np.repeat(np.cumsum(count) - count, count)
        for name, values in joined.items():
            filled = np.full(shape, -1 if name == "key" else 0, values.dtype)
            filled[run, slot] = values[order]
            self._others[name] = filled
        self._slots()

    def _slots(self) -> None:
        """Note which slots are taken, and by whom: runs and keys as one number each, ascending."""
        key = self._others["key"]
        self._at = np.flatnonzero(key >= 0)
        self._named = ((np.arange(len(key), dtype=np.int64)[:, None] << 32) + key).reshape(-1)[self._at]

    def _see_bodies(self, table: Table) -> None:
        """Note where the ego's brakes build up; where the world does not say, they are taken to act at once."""
        mine = np.flatnonzero(table.columns["role"] == SUBJECT)
        self._builds_up[table.run_index()[mine]] = np.isfinite(table.columns["build_up"][mine])

    def _see_path(self, table: Table) -> None:
        """Store the ego's planned path where a new one was published."""
        names = table.schema["actor"].names
        mine = table.columns["actor"] == (names.index("ego") if "ego" in names else -1)
        if not mine.any():
            return
        run = table.run_index()[mine]
        rows = {name: values[mine] for name, values in table.columns.items()}
        newest = np.ones(len(run), np.bool_)
        newest[:-1] = run[1:] != run[:-1]  # rows of a run are in order of time
        last = np.zeros(len(self._told), np.int64)
        last[run[newest]] = rows["path"][newest]
        now = rows["path"] == last[run]
        run, rows = run[now], {name: values[now] for name, values in rows.items()}
        self.map = self.map.along(run, rows)
        self._kept[run] = rows["offset"]
        self._told[run] = True

    def _see_ego(self, run: IntArray, rows: Mapping[str, AnyArray]) -> None:
        newest = np.ones(len(run), np.bool_)
        newest[:-1] = run[1:] != run[:-1]  # rows of a run are in order of time
        who = run[newest]
        first = np.zeros(len(self._known), np.bool_)
        first[who] = ~self._known[who] & ~self._told[who]
        for name, values in self._ego.items():
            values[who] = rows[name][newest]
        self._known[who] = True
        if first.any():
            x, y, yaw = (self._ego[name] for name in ("x", "y", "yaw"))
            _, offset, heading, _ = (part[:, 0] for part in self.map.project(x[:, None], y[:, None]))
            elsewhere = first & (np.abs(_wrapped(yaw - heading)) > _TURNED)
            if elsewhere.any():  # it drives on a road that the map does not have
                self.map = self.map.straight_where(elsewhere, x, y, yaw)
                offset = np.where(elsewhere, 0.0, offset)
            self._kept = np.where(first, offset, self._kept)

    def _traffic(self, t: float) -> Traffic:
        ego, seen = self._ego, self._others
        key, vx, vy = seen["key"], seen["vx"], seen["vy"]
        late = np.maximum(t - ego["t"], 0.0)
        x, y = ego["x"] + ego["vx"] * late, ego["y"] + ego["vy"] * late
        age = np.where(key >= 0, t - seen["t"], 0.0)
        x_o, y_o = seen["x"] + vx * age, seen["y"] + vy * age
        s_all, offset_all, heading_all, _ = self.map.project(np.column_stack([x, x_o]), np.column_stack([y, y_o]))
        s, offset, heading = s_all[:, 0], offset_all[:, 0], heading_all[:, 0]
        s_o, offset_o, heading_o = s_all[:, 1:], offset_all[:, 1:], heading_all[:, 1:]
        c, s_ = np.cos(heading), np.sin(heading)
        forward, leftward = ego["vx"] * c + ego["vy"] * s_, ego["vy"] * c - ego["vx"] * s_
        c, s_ = np.cos(heading_o), np.sin(heading_o)
        along, across = vx * c + vy * s_, vy * c - vx * s_
        tilt = seen["yaw"] - heading_o
        ahead, turned = np.cos(tilt), np.abs(np.sin(tilt))
        square = np.abs(ahead)
        lengths = seen["length"] * square + seen["width"] * turned
        widths = seen["length"] * turned + seen["width"] * square
        apart = offset_o - offset[:, None]
        way = np.where(apart >= 0.0, -1.0, 1.0)
        there = (key >= 0) & self._known[:, None] & (s_o > s[:, None])
        side = np.abs(apart) - 0.5 * (ego["width"][:, None] + widths)
        if self._sensor == "truth" and key.shape[1] > 1:
            boxes = x_o, y_o, seen["yaw"], seen["length"], seen["width"]
            there &= ~_hidden(x, y, boxes, there & (side > 0.0), (key >= 0) & seen["tall"])
        return Traffic(
            known=self._known.copy(), speed=np.hypot(ego["vx"], ego["vy"]), acceleration=ego["acceleration"].copy(),
            length=ego["length"].copy(),
            width=ego["width"].copy(), lane_width=self.map.lane_width,
            builds_up=self._builds_up.copy(), key=key, person=seen["person"].copy(),
            there=there, crossing=np.abs(across) > np.abs(along),
            gap=self.map.length_between(s[:, None], s_o, offset[:, None])
            - 0.5 * (ego["length"][:, None] + lengths),
            closing=forward[:, None] - along,
            side=side, inward=way * (across - leftward[:, None]), toward=way * across,
            aside=np.abs(offset_o - self._kept[:, None]), along=along, braking=seen["acceleration"] * ahead,
            lengths=lengths, widths=widths,
        )  # fmt: skip


def some(where: BoolArray) -> BoolArray:
    """Return whether it holds for any slot; (runs, n) -> (runs,)."""
    return np.asarray(where.any(axis=1), np.bool_)


def _table(readings: Mapping[str, Reading], name: str, table: str) -> Table:
    reading = readings.get(name)
    wanted = {"actor"} if name == "truth" else {"track", "vx", "vy"}
    if reading is None or table not in reading.tables or not wanted <= set(reading.tables[table].schema):
        if name == "truth":
            raise RefusalError(
                "this agent drives a car and needs the table 'actors'", "use it with a world such as 'road'"
            )
        raise RefusalError(
            f"'{name}' reports no list of objects", "give the agent's `sensor` the name of one, or 'truth'"
        )
    return reading.tables[table]


def _rows(table: Table) -> dict[str, AnyArray]:
    """Return rows with the same columns from either source; missing columns are computed or 0."""
    given = table.columns
    n = len(table)
    rows = {name: given[name] if name in given else np.zeros(n) for name in _STATE}
    if "t_measured" in given:
        rows["t"] = given["t_measured"]
    if "vx" not in given:
        rows["vx"], rows["vy"] = given["speed"] * np.cos(given["yaw"]), given["speed"] * np.sin(given["yaw"])
    names = table.schema["category"].names if "category" in given else ()
    for kind, members in (("person", _PEOPLE), ("tall", _TALL)):
        is_one = np.array([*(name in members for name in names), False])
        rows[kind] = is_one[given["category"]] if names else np.zeros(n, np.bool_)
    return rows


def _hidden(
    x: FloatArray, y: FloatArray, boxes: tuple[FloatArray, ...], asked: BoolArray, tall: BoolArray
) -> BoolArray:
    """Return which actors are hidden from (x, y): one tall box covers the centre and all corners.

    Args:
        x, y: the eye [m]; (runs,).
        boxes: x, y, yaw, length, width of all actors; (runs, n).
        asked: the actors to test; (runs, n).
        tall: actors that block the view; (runs, n).
    """
    run, target, blocker = np.nonzero(asked[:, :, None] & tall[:, None, :])
    other = target != blocker
    run, target, blocker = run[other], target[other], blocker[other]
    bx, by, yaw, length, width = (part[run, blocker] for part in boxes)
    tx, ty, turned, long, wide = (part[run, target] for part in boxes)
    c, s, ct, st = np.cos(yaw), np.sin(yaw), np.cos(turned), np.sin(turned)
    ex, ey = x[run] - bx, y[run] - by
    eye = ex * c + ey * s, ey * c - ex * s  # in the frame of the hiding box
    blocked = np.ones(len(run), np.bool_)
    for i, j in ((0.0, 0.0), (0.5, 0.5), (0.5, -0.5), (-0.5, 0.5), (-0.5, -0.5)):
        px = tx + i * long * ct - j * wide * st - bx
        py = ty + i * long * st + j * wide * ct - by
        point = px * c + py * s, py * c - px * s
        enter, leave = np.zeros(len(run)), np.ones(len(run))
        for a, b, half in ((eye[0], point[0], 0.5 * length), (eye[1], point[1], 0.5 * width)):
            with np.errstate(divide="ignore", invalid="ignore"):
                first, last = (-half - a) / (b - a), (half - a) / (b - a)
            still = b == a
            inside = np.abs(a) <= half
            first = np.where(still, np.where(inside, -np.inf, np.inf), first)
            last = np.where(still, np.where(inside, np.inf, -np.inf), last)
            enter, leave = np.maximum(enter, np.minimum(first, last)), np.minimum(leave, np.maximum(first, last))
        blocked &= enter < leave
    hidden = np.zeros(asked.shape, np.bool_)
    hidden[run[blocked], target[blocked]] = True
    return hidden


def _wrapped(angle: FloatArray) -> FloatArray:
    return np.asarray(angle - 2.0 * np.pi * np.rint(angle / (2.0 * np.pi)))
