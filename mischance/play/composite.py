"""Several worlds on one clock, as one world: plays its parts side by side and carries events of one into another.

Each part gets random streams, faults and settings of its own, and plays as it would alone. What it tells carries its
name: tables, targets, labels and events `floor.…`, measures `floor_…`. Worlds meet at multiples of the shortest time
that a link takes: what was told up to then reaches the other world before it has played up to the moment at which it
takes effect, so that where time is cut changes nothing. A run ends when it has ended in every world.

Source:
    Chandy, Misra, Distributed simulation: a case study in design and verification of distributed programs, IEEE
    Transactions on Software Engineering 5, 1979 (the least delay of a link is how far worlds may play ahead).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mischance.api.protocols import declares
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, Fault, join_chunks
from mischance.api.tables import EVENTS, LABELS, Column, Schema, Table
from mischance.errors import RunError
from mischance.language.scenario import Link, PlugIn, WorldsSettings
from mischance.language.worlds import commanded, measure_name
from mischance.play.constructing import construct

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import ArrayLike

    from mischance.api.scene import Motion, Scene
    from mischance.api.tables import AnyArray, FloatArray


def world_class(plugin: PlugIn) -> type[Any]:
    """Return the class of a scenario's world: its own, or the one that plays several worlds together."""
    if not plugin.parts or issubclass(plugin.cls, Composite):
        return plugin.cls

    class Worlds(Composite):
        worlds = plugin.parts
        links = plugin.links

    return Worlds


class StreamsOf(Streams):
    """The random streams of one of several worlds: those of the run, under the world's name."""

    def __init__(self, streams: Streams, world: str) -> None:
        super().__init__(streams.seed, streams.run)
        self._of_run, self._world = streams, world

    def __call__(self, component: str, entity: str = "") -> Generator:
        """Return the world's stream of a component and, where it has many, of one entity."""
        return self._of_run(f"{self._world}.{component}", entity)

    def uniform(self, component: str, keys: ArrayLike, draw: int = 0) -> FloatArray:
        """Return one uniform in (0, 1) for each row key, as `Streams.uniform` does; shape (n,)."""
        return self._of_run.uniform(f"{self._world}.{component}", keys, draw)

    def key(self, component: str) -> tuple[np.uint64, np.uint64]:
        """Return the key by which a kernel draws what `uniform` returns."""
        return self._of_run.key(f"{self._world}.{component}")

    def rekey(self, key: str) -> None:
        """Branch, with all streams of the run."""
        self._of_run.rekey(key)


Heard = tuple[float, int, str, int]  # onset [s], number of the link, id of the event, place of the run


class Composite:
    """Worlds side by side, with the methods of one; `world_class` gives it its worlds and links."""

    worlds: ClassVar[Mapping[str, PlugIn]] = {}
    links: ClassVar[tuple[Link, ...]] = ()

    def __init__(self, settings: WorldsSettings) -> None:
        self._parts = {name: construct(plugin.cls, settings.of[name]) for name, plugin in self.worlds.items()}
        self._step = min((link.after for link in self.links), default=0.0)
        takes = commanded(self.worlds)
        self._commanded = takes[0] if len(takes) == 1 else ""
        self._begin(())

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Start every world, and return truth AT t = 0.

        Raises:
            RunError: bodies of two worlds move, each by a clock of its own.
        """
        self._begin(draws)
        told = {}
        for name, world in self._parts.items():
            own = [_draw_of(draw, name) for draw in draws]
            told[name] = world.start(own, [StreamsOf(stream, name) for stream in streams])
        moving = [name for name, chunk in told.items() if chunk.motion is not None]
        if len(moving) > 1:
            raise RunError(
                f"bodies move in the worlds {' and '.join(moving)}, each by a clock of its own",
                "one of several worlds can have bodies in motion",
            )
        self._mover = moving[0] if moving else ""
        return self._joined(0.0, 0.0, told)

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Advance every world; return truth in (last end, end], where end is the last step of the moving world."""
        told = []
        for t, meets in self._stops(until):
            told.append(self._advance(t, commands))
            commands = None  # handed over once: it holds until the next one
            if meets:
                self._meet(t)
        return join_chunks(told)

    def outcome(self) -> tuple[Table, Table]:
        """Return one row a run with the measures of all worlds, and their labels.

        The run has the event where one of its worlds has it; its margin is the least.
        """
        found = {name: world.outcome() for name, world in self._parts.items()}
        runs = len(self._draws)
        schema: dict[str, Column] = {}
        columns: dict[str, AnyArray] = {}
        for name, plugin in self.worlds.items():
            for measure in plugin.declared.measures:
                own = measure_name(name, measure)
                schema[own], columns[own] = found[name][0].schema[measure], found[name][0].columns[measure]
        rows = {name: table.columns for name, (table, _) in found.items()}
        schema |= {
            "event": Column("bool"),
            "margin": Column(about="the least of all worlds"),
            "verdict": Column("text"),
        }
        schema["reason"] = Column("text")
        columns["event"] = np.logical_or.reduce([own["event"] for own in rows.values()])
        columns["margin"] = np.fmin.reduce([own["margin"] for own in rows.values()])
        for key in ("verdict", "reason"):
            texts = ["; ".join(f"{name}: {own[key][i]}" for name, own in rows.items()) for i in range(runs)]
            columns[key] = np.array(texts, object)
        labels = [
            self._in_order(
                [self._labels(name, i, table.run(i)) for name, (_, table) in found.items()], "t_cause", LABELS
            )
            for i in range(runs)
        ]
        return Table(schema, columns, np.arange(runs + 1, dtype=np.int64)), Table.of(LABELS, labels)

    def close(self) -> None:
        """Close every world."""
        for world in self._parts.values():
            close = declares(type(world)).close
            if close is not None:
                close(world)

    # -- time ------------------------------------------------------------------------------------------------------

    def _begin(self, draws: Sequence[Draw]) -> None:
        """Forget the last runs."""
        self._draws = draws
        self._end, self._met, self._mover = 0.0, 0, ""
        self._heard: list[Heard] = []
        self._ends = {name: np.full(len(draws), np.inf) for name in self.worlds}
        # Ids that are not a world's own: of planned faults, and of other worlds' events that became faults.
        self._foreign = [{fault.fault_id for fault in draw.faults} for draw in draws]

    def _stops(self, until: float) -> Iterator[tuple[float, bool]]:
        """Yield the times to stop at, with whether worlds meet there; the last is `until`."""
        last = 0.0
        while self._step and (t := (self._met + 1) * self._step) <= until:
            self._met, last = self._met + 1, t
            yield t, True
        if last < until:
            yield until, False

    def _advance(self, until: float, commands: Commands | None) -> Chunk:
        start, told = self._end, {}
        for name in sorted(self._parts, key=lambda name: name != self._mover):
            chunk: Chunk = self._parts[name].advance(until, commands if name == self._commanded else None)
            told[name] = chunk
            if name == self._mover and not chunk.over.all():
                until = chunk.end
        self._end = until
        joined = self._joined(start, until, {name: told[name] for name in self._parts})
        return replace(joined, continues=True) if until == start else joined

    def _meet(self, t: float) -> None:
        """Hand what was told up to now to the worlds that links lead to."""
        for onset, number, event_id, run in sorted(self._heard):
            link = self.links[number]
            if self._ends[link.world][run] > t:
                begin = max(onset, math.nextafter(t, math.inf))
                end = math.inf if link.lasts is None else begin + link.lasts
                self._foreign[run].add(event_id)
                fault = Fault(event_id, link.target, link.kind, begin, end, link.severity)
                self._parts[link.world].inject(run, fault)
        self._heard = []

    # -- what is told ----------------------------------------------------------------------------------------------

    def _joined(self, start: float, end: float, told: Mapping[str, Chunk]) -> Chunk:
        """Return the chunks of all worlds as one."""
        over = np.logical_and.reduce([chunk.over for chunk in told.values()])
        for name, chunk in told.items():
            self._ends[name] = np.where(chunk.over, np.minimum(self._ends[name], chunk.ends), np.inf)
        ends = np.where(over, np.maximum.reduce(list(self._ends.values())), end)
        events = [
            self._in_order([self._events(name, i, chunk.events.run(i)) for name, chunk in told.items()], "t", EVENTS)
            for i in range(len(over))
        ]
        moving = told[self._mover] if self._mover else None
        return Chunk(
            start, end, ends, over,
            events=Table.of(EVENTS, events),
            tables=_under_names(told, lambda chunk: chunk.tables),
            motion=_motion(moving.motion, self._mover) if moving and moving.motion else None,
            scenes=tuple(_scene(scene, self._mover) for scene in moving.scenes) if moving else (),
            signals=_under_names(told, lambda chunk: chunk.signals),
            labels=_under_names(told, lambda chunk: chunk.labels),
        )  # fmt: skip

    def _id(self, world: str, run: int, text: str) -> str:
        """Return the id of a world's fault, event or label as the run knows it."""
        return text if not text or text in self._foreign[run] else f"{world}.{text}"

    def _events(self, world: str, run: int, rows: Mapping[str, AnyArray]) -> dict[str, Any]:
        """Return a world's events of a run under their names, and listen for those that links begin with."""
        own = {name: list(values) for name, values in rows.items()}
        subjects = own["subject"]
        own["subject"] = [f"{world}.{subject}" if subject else "" for subject in subjects]
        for key in ("event_id", "parent_id"):
            own[key] = [self._id(world, run, text) for text in own[key]]
        for number, link in enumerate(self.links):
            if link.source == world:
                for t, event_id, kind, subject in zip(own["t"], own["event_id"], own["kind"], subjects, strict=True):
                    if kind == link.event and link.subject in ("", subject):
                        self._heard.append((float(t) + link.after, number, event_id, run))
        return own

    def _labels(self, world: str, run: int, rows: Mapping[str, AnyArray]) -> dict[str, Any]:
        """Return a world's labels of a run under their names; what was planned past its end never happened."""
        kept = np.flatnonzero(~(rows["t_cause"] > self._ends[world][run])).tolist()
        own = {name: [values[k] for k in kept] for name, values in rows.items()}
        own["label_id"] = [f"{world}.{text}" for text in own["label_id"]]
        own["target"] = [f"{world}.{text}" for text in own["target"]]
        own["causes"] = [
            json.dumps([self._id(world, run, cause) for cause in json.loads(causes)]) for causes in own["causes"]
        ]
        return own

    @staticmethod
    def _in_order(parts: Sequence[Mapping[str, Any]], time: str, schema: Schema) -> dict[str, Any]:
        """Return the rows of all worlds in order of time; at the same time in the order of the worlds."""
        rows = {name: [value for part in parts for value in part[name]] for name in schema}
        order = sorted(range(len(rows[time])), key=rows[time].__getitem__)
        return {name: [values[k] for k in order] for name, values in rows.items()} if order else {}


def _draw_of(draw: Draw, world: str) -> Draw:
    """Return the draw as one of the worlds gets it: its settings, and the faults of its targets under its own names."""
    own = tuple(
        replace(fault, target=fault.target.removeprefix(f"{world}."))
        for fault in draw.faults
        if fault.target.startswith(f"{world}.")
    )
    return replace(draw, settings=draw.settings.of[world] if draw.settings is not None else None, faults=own)


def _under_names(told: Mapping[str, Chunk], of: Callable[[Chunk], Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{world}.{name}": part for world, chunk in told.items() for name, part in of(chunk).items()}


def _motion(motion: Motion, world: str) -> Motion:
    return replace(motion, bodies=tuple(f"{world}.{name}" for name in motion.bodies))


def _scene(scene: Scene, world: str) -> Scene:
    return replace(scene, bodies=tuple(replace(body, name=f"{world}.{body.name}") for body in scene.bodies))
