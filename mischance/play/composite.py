"""Several worlds on one clock, as one world: plays its parts side by side and carries what one tells into another.

Each part gets random streams, faults and settings of its own, and plays as it would alone. What it tells carries its
name: tables, targets, labels and events `floor.…`, measures `floor_…`. A world is advanced after those that lead to
it, and knows of a fault or a command before it has been played up to the moment at which that acts. Where links lead
in a circle, worlds meet at multiples of the shortest time that a link takes which leads back; where they do not, one
is played as far as is asked before the next. Where time is cut changes nothing. A run ends when it has ended in every
world.

Source:
    Chandy, Misra, Distributed simulation: a case study in design and verification of distributed programs, IEEE
    Transactions on Software Engineering 5, 1979 (the least delay of a link is how far worlds may play ahead).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mischance.api.protocols import declares
from mischance.api.randomness import Streams
from mischance.api.runs import Chunk, Commands, Draw, join_chunks
from mischance.api.tables import EVENTS, LABELS, Column, Schema, Table
from mischance.errors import RunError
from mischance.language.link import Link
from mischance.language.scenario import PlugIn, WorldsSettings
from mischance.language.worlds import WORLD, commanded, measure_name, play_order
from mischance.play.anew import built_world
from mischance.play.links import Exchange

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import ArrayLike

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


class Composite:
    """Worlds side by side, with the methods of one; `world_class` gives it its worlds and links."""

    worlds: ClassVar[Mapping[str, PlugIn]] = {}
    links: ClassVar[tuple[Link, ...]] = ()

    def __init__(self, settings: WorldsSettings) -> None:
        self._parts = {name: built_world(plugin, settings.of[name]) for name, plugin in self.worlds.items()}
        self._order = play_order(self.worlds, self.links)[0]
        place = self._order.index
        back = [link.after for link in self.links if place(link.source) >= place(link.world)]
        # Between meetings of the worlds [s]; 0 = they need none. A trifle less than a link takes: what it leads to is
        # then never at a meeting itself, whatever floating point makes of the sum.
        self._step = min(back, default=0.0) * (1.0 - 2.0**-20)
        self._commanded = commanded(self.worlds)
        self._begin(())

    def start(self, draws: Sequence[Draw], streams: Sequence[Streams]) -> Chunk:
        """Start every world, and return truth AT t = 0."""
        self._begin(draws)
        told: dict[str, Chunk] = {}
        events = {}
        for name in self._order:
            own = [draw_of(draw, name) for draw in draws]
            for run, fault in self._exchange.faults(name, 0.0):
                own[run] = replace(own[run], faults=(*own[run].faults, fault))
            told[name] = self._parts[name].start(own, [StreamsOf(stream, name) for stream in streams])
            events[name] = self._hear(name, told[name], 0.0)
        return self._joined(0.0, 0.0, told, events)

    def advance(self, until: float, commands: Commands | None) -> Chunk:
        """Advance every world; return truth in (last end, until]."""
        told = []
        given = self._by_world(commands)
        for t in self._stops(until):
            told.append(self._advance(t, given))
            given = {}  # handed over once: they hold until the next ones
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
                [self._labels(name, i, table.run(i)) for name, (_, table) in found.items()], "t_cause", LABELS, np.inf
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
        self._end, self._met = 0.0, 0
        self._exchange = Exchange(self.worlds, self.links, len(draws))
        self._ends = {name: np.full(len(draws), np.inf) for name in self.worlds}
        # Ids that are not a world's own: of planned faults, and of what links made faults of.
        self._foreign = [{fault.fault_id for fault in draw.faults} for draw in draws]

    def _stops(self, until: float) -> Iterator[float]:
        """Yield the times at which worlds meet; the last is `until`."""
        last = -1.0
        while self._step and (t := (self._met + 1) * self._step) <= until:
            self._met, last = self._met + 1, t
            yield t
        if last < until:
            yield until

    def _advance(self, until: float, commands: Mapping[str, Commands]) -> Chunk:
        start, told, events = self._end, dict[str, Chunk](), {}
        for name in self._order:
            told[name] = self._play(name, until, commands.get(name))
            events[name] = self._hear(name, told[name], until)
        self._end = until
        joined = self._joined(start, until, told, events)
        return replace(joined, continues=True) if until == start else joined

    def _play(self, name: str, until: float, commands: Commands | None) -> Chunk:
        """Advance one world, with the faults and commands that links lead to it by then."""
        part, reached, told = self._parts[name], self._end, list[Chunk]()

        def advance(t: float, given: Commands | None) -> None:
            chunk: Chunk = part.advance(t, given)
            told.append(replace(chunk, continues=True) if chunk.end == chunk.start else chunk)

        for run, fault in self._exchange.faults(name, until):
            if self._ends[name][run] > reached:
                part.inject(run, fault)
        while (t := self._exchange.next_order(name)) < until:
            if t > reached or commands is not None:  # after what an agent has said by then
                reached = max(t, reached)
                advance(reached, commands)
            commands = self._exchange.commands(name, reached, self._ends[name] == np.inf)
        advance(until, commands)
        return join_chunks(told)

    def _by_world(self, commands: Commands | None) -> dict[str, Commands]:
        """Return the commands to each world.

        Raises:
            RunError: one says for none of several worlds that take commands.
        """
        if commands is None or not self._commanded:
            return {}
        if len(self._commanded) == 1:
            return {self._commanded[0]: commands}
        return split_commands(commands, {name: self.worlds[name].declared.commands for name in self._commanded})

    # -- what is told ----------------------------------------------------------------------------------------------

    def _joined(
        self, start: float, end: float, told: Mapping[str, Chunk], heard: Mapping[str, Sequence[Mapping[str, Any]]]
    ) -> Chunk:
        """Return the chunks of all worlds as one; `heard`: the events of each world, with those of its links."""
        told = {name: told[name] for name in self.worlds}
        over = np.logical_and.reduce([chunk.over for chunk in told.values()])
        for name, chunk in told.items():
            self._ends[name] = np.where(chunk.over, np.minimum(self._ends[name], chunk.ends), np.inf)
        ends = np.where(over, np.maximum.reduce(list(self._ends.values())), end)
        # At one time, causes come before what they lead to: in the order in which worlds are advanced.
        events = [
            self._in_order([heard[name][i] for name in self._order], "t", EVENTS, float(ends[i]))
            for i in range(len(over))
        ]
        return Chunk(
            start, end, ends, over,
            events=Table.of(EVENTS, events),
            tables=_under_names(told, lambda chunk: chunk.tables),
            signals=_under_names(told, lambda chunk: chunk.signals),
            labels=_under_names(told, lambda chunk: chunk.labels),
            parts=told,
        )  # fmt: skip

    def _id(self, world: str, run: int, text: str) -> str:
        """Return the id of a world's fault, event or label as the run knows it."""
        known = not text or text in self._foreign[run] or text in self._exchange.from_links[run]
        return text if known else f"{world}.{text}"

    def _hear(self, world: str, chunk: Chunk, until: float) -> list[dict[str, Any]]:
        """Return a world's events of each run under their names, with those of the links that begin with it."""
        found = []
        for run in range(chunk.runs):
            own = {name: list(values) for name, values in chunk.events.run(run).items()}
            for key in ("event_id", "parent_id"):
                own[key] = [self._id(world, run, text) for text in own[key]]
            found.append(own)
        links = self._exchange.hear(world, chunk, found, until)
        for own, told in zip(found, links, strict=True):
            own["subject"] = [f"{world}.{subject}" if subject else "" for subject in own["subject"]]
            for t, event_id, kind, subject, details in told:
                row = {"t": t, "event_id": event_id, "parent_id": "", "kind": kind, "subject": subject}
                for key, value in {**row, "details": details}.items():
                    own[key].append(value)
        return found

    def _labels(self, world: str, run: int, rows: Mapping[str, AnyArray]) -> dict[str, Any]:
        """Return a world's labels of a run under their names; what was planned past its end never happened."""
        kept = np.flatnonzero(~(rows["t_cause"] > self._ends[world][run])).tolist()
        own = {name: [values[k] for k in kept] for name, values in rows.items()}
        own["label_id"] = [f"{world}.{text}" for text in own["label_id"]]
        own["target"] = [f"{world}.{text}" for text in own["target"]]
        own["causes"] = [
            json.dumps([self._id(world, run, cause) for cause in json.loads(causes)]) for causes in own["causes"]
        ]
        return self._merged(run, own)

    def _merged(self, run: int, own: dict[str, Any]) -> dict[str, Any]:
        """Return labels such that all faults by which a signal drove a severity have one, with the greatest."""
        first: dict[tuple[str, ...], int] = {}
        for k, causes in enumerate(own["causes"]):
            driven = set(json.loads(causes)) & self._exchange.from_links[run]
            key = (own["class"][k], own["target"][k], causes) if driven else (str(k),)
            place = first.setdefault(key, k)
            for name in ("t_end", "severity") if place != k else ():
                own[name][place] = max(own[name][place], own[name][k])
        return {name: [values[k] for k in first.values()] for name, values in own.items()}

    @staticmethod
    def _in_order(parts: Sequence[Mapping[str, Any]], time: str, schema: Schema, end: float) -> dict[str, Any]:
        """Return the rows of all worlds up to an end in order of time; at the same time in that of the parts."""
        rows = {name: [value for part in parts for value in part[name]] for name in schema}
        t = rows[time]
        order = sorted((k for k in range(len(t)) if not t[k] > end), key=t.__getitem__)
        return {name: [values[k] for k in order] for name, values in rows.items()} if order else {}


def draw_of(draw: Draw, world: str) -> Draw:
    """Return the draw as one of the worlds gets it: its settings, and the faults of its targets under its own names."""
    own = tuple(
        replace(fault, target=fault.target.removeprefix(f"{world}."))
        for fault in draw.faults
        if fault.target.startswith(f"{world}.")
    )
    return replace(draw, settings=draw.settings.of[world] if draw.settings is not None else None, faults=own)


def split_commands(commands: Commands, takes: Mapping[str, Schema]) -> dict[str, Commands]:
    """Return the commands to each of several worlds, by the column `world`, in that world's own columns.

    Args:
        commands: of all worlds; a column that another world lacks is not looked at.
        takes: the columns of the commands that each world takes.

    Raises:
        RunError: a row names none of the worlds.
    """
    table = commands.table
    words, column = table.columns[WORLD], table.schema[WORLD]
    if column.dtype == "category":
        words = np.array([*column.names, ""], object)[words]
    odd = sorted({str(word) for word in words} - set(takes))
    if odd:
        raise RunError(f"an agent commands the world {odd[0]!r}", f"`world` is one of {', '.join(takes)}")
    found = {}
    for name, schema in takes.items():
        rows = table.take(np.asarray(words == name, np.bool_))
        kept = {key: rows.columns[key] for key in schema if key in rows.columns}
        found[name] = Commands(Table({key: rows.schema[key] for key in kept}, kept, rows.offsets), commands.live)
    return found


def _under_names(told: Mapping[str, Chunk], of: Callable[[Chunk], Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{world}.{name}": part for world, chunk in told.items() for name, part in of(chunk).items()}
