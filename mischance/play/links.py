"""Links between worlds while they are played: what was told of one becomes faults and commands of another.

A link looks at the events or at one signal of a world that has been played up to some time, and says what happens in
another one later: a fault, at its onset, or a command. What waits is handed over in order of time, then of the links,
then of what it follows from, however time is cut.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mischance.api.appearance import TABLES as APPEARANCE
from mischance.api.observations import Answer, commands_of
from mischance.api.runs import Chunk, Commands, Fault
from mischance.api.tables import AnyArray, BoolArray, FloatArray, Table, entity_column, seconds
from mischance.errors import RunError, suggest
from mischance.language.link import Link
from mischance.language.scenario import PlugIn
from mischance.language.worlds import LINK_EVENTS

THRESHOLD, DRIVEN = LINK_EVENTS
Told = tuple[float, str, str, str, str]  # of an event: t [s], id, kind, subject, details


class Exchange:
    """What links of one batch have heard, and what of it is still to happen.

    Args:
        worlds: all worlds, by name.
        links: the links between them.
        runs: how many runs the batch has.
    """

    def __init__(self, worlds: Mapping[str, PlugIn], links: Sequence[Link], runs: int) -> None:
        self._worlds = worlds
        self._listeners = {name: list[_Listener]() for name in worlds}
        self._faults = {name: list[tuple[float, int, int, str, int, Fault]]() for name in worlds}
        self._asked = {name: list[tuple[float, int, int, int, float | str]]() for name in worlds}
        self._set = [dict[tuple[str, str], dict[str, float | str]]() for _ in range(runs)]
        self._links = links
        self.from_links = [set[str]() for _ in range(runs)]  # ids that are no world's own
        self._count = 0
        for number, link in enumerate(links):
            kind = _Events if link.event else _Drive if link.driven else _Threshold
            self._listeners[link.source].append(kind(self, number, link, runs))

    def hear(self, world: str, chunk: Chunk, events: Sequence[Mapping[str, Sequence[Any]]], until: float) -> list[
        list[Told]
    ]:  # fmt: skip
        """Take what a world told up to `until` [s]; return the events of its links, for each run in order of time.

        Args:
            world: its name.
            chunk: its truth.
            events: its events of each run in columns, with ids as the run knows them and subjects as the world does.
            until: it has been played up to here, also where its last row is older.
        """
        found: list[list[Told]] = [[] for _ in events]
        for listener in self._listeners[world]:
            for run, own in enumerate(events):
                found[run] += listener.hear(run, chunk, own, until)
        return [sorted(told, key=lambda one: one[0]) for told in found]

    def plan(self, number: int, run: int, cause: str, onset: float, end: float, severity: float, at: float) -> None:
        """Have a fault begin, or end earlier than was planned; `at` is the time before which its world must know."""
        link = self._links[number]
        fault = Fault(cause, link.target, link.kind, onset, end, severity)
        self.from_links[run].add(cause)
        self._count += 1
        heapq.heappush(self._faults[link.world], (at, number, run, cause, self._count, fault))

    def order(self, number: int, run: int, t: float, value: float | str) -> None:
        """Have a command given at t [s]."""
        self._count += 1
        heapq.heappush(self._asked[self._links[number].world], (t, number, run, self._count, value))

    def faults(self, world: str, until: float) -> Iterator[tuple[int, Fault]]:
        """Yield and forget the faults that a world must know before it is played up to `until`: run and fault."""
        waiting = self._faults[world]
        while waiting and waiting[0][0] <= until:
            _, _, run, _, _, fault = heapq.heappop(waiting)
            yield run, fault

    def next_order(self, world: str) -> float:
        """Return when the next command is given to a world [s]; inf = none is known."""
        waiting = self._asked[world]
        return waiting[0][0] if waiting else np.inf

    def commands(self, world: str, t: float, live: BoolArray) -> Commands:
        """Return and forget the commands to a world that are given by t; later ones of a column replace earlier ones.

        Raises:
            RunError: the world cannot take one.
        """
        waiting, declared = self._asked[world], self._worlds[world].declared
        entity = entity_column(declared.commands)
        rows: list[dict[str, dict[str, float | str]]] = [{} for _ in live]
        while waiting and waiting[0][0] <= t:
            _, number, run, _, value = heapq.heappop(waiting)
            link = self._links[number]
            actor = self._set[run].setdefault((world, link.target), {entity: link.target} if entity else {})
            actor[link.column] = value
            rows[run][link.target] = actor
        answers: list[Answer] = [list(own.values()) if live[run] else None for run, own in enumerate(rows)]
        return commands_of(answers, declared.commands, live, {}, declared.complete)


class _Listener:
    """One link: its number, and what it has told of each run so far."""

    def __init__(self, exchange: Exchange, number: int, link: Link, runs: int) -> None:
        self.exchange, self.number, self.link = exchange, number, link
        self._told = [0] * runs

    def hear(self, run: int, chunk: Chunk, events: Mapping[str, Sequence[Any]], until: float) -> list[Told]:
        """Take what was told of a run, and return what the link tells of it."""
        raise NotImplementedError

    def tell(self, run: int, t: float, kind: str, details: Mapping[str, float]) -> Told:
        """Return an event of the link itself."""
        self._told[run] += 1
        subject = f"{self.link.source}.{self.link.signal}"
        return t, f"link{self.number}:{self._told[run] - 1}", kind, subject, json.dumps(details)

    def begin(self, run: int, cause: str, t: float) -> float:
        """Have what the link leads to begin in time after t, and return when; `cause` is the id of an event."""
        onset = t + self.link.after
        if self.link.kind:
            end = np.inf if self.link.lasts is None else onset + self.link.lasts
            self.exchange.plan(self.number, run, cause, onset, end, float(self.link.value), onset)
        else:
            self.exchange.order(self.number, run, onset, self.link.value)
        return onset


class _Events(_Listener):
    """Begins with events of one kind, of one subject where the link names one."""

    def hear(self, run: int, chunk: Chunk, events: Mapping[str, Sequence[Any]], until: float) -> list[Told]:
        """Take the events."""
        link = self.link
        rows = (events[name] for name in ("t", "event_id", "kind", "subject"))
        for t, event_id, kind, subject in zip(*rows, strict=True):
            if kind == link.event and link.subject in ("", subject):
                self.begin(run, event_id, float(t))
        return []


class _Signals(_Listener):
    """Looks at one signal."""

    def __init__(self, exchange: Exchange, number: int, link: Link, runs: int) -> None:
        super().__init__(exchange, number, link, runs)
        self._place: tuple[str, str] | None = None  # table or signals, and its name

    def rows(self, run: int, chunk: Chunk) -> tuple[FloatArray, FloatArray]:
        """Return times [s] and values of a run's new samples, those without a value left out; both (n,).

        Raises:
            RunError: the world has no such signal.
        """
        if self._place is None:
            self._place = self._found(chunk)
        where, name = self._place
        actor, _, column = self.link.signal.rpartition(".")
        if where == "signals":
            part = chunk.signals[name]
            values = part.run(run)[:, list(part.channels).index(column)].astype(np.float64)
            t = part.t()[: len(values)]
        else:
            table = chunk.tables[name]
            own = table.run(run)
            chosen = own[column].astype(np.float64), seconds(own["t"], table.schema)
            mine = _of_actor(table, own, actor) if actor else slice(None)
            values, t = (each[mine] for each in chosen)
        there = ~np.isnan(values)
        return t[there], values[there]

    def _found(self, chunk: Chunk) -> tuple[str, str]:
        """Return where the signal stands: the table that has rows of its actor, else the first that may have some."""
        actor, _, column = self.link.signal.rpartition(".")
        if not actor:
            for name, part in chunk.signals.items():
                if column in part.channels:
                    return "signals", name
        may = []
        for name, table in chunk.tables.items():
            entity = entity_column(table.schema)
            word = entity if entity and table.schema[entity].dtype in ("category", "text") else ""
            if name in APPEARANCE or not {"t", column} <= set(table.schema) or bool(word) != bool(actor):
                continue
            if word and table.schema[word].dtype == "category" and actor not in table.schema[word].names:
                continue
            if not actor or any(_of_actor(table, table.run(i), actor).any() for i in range(table.runs)):
                return "tables", name
            may.append(name)
        if may:
            return "tables", may[0]
        world = self.exchange._worlds[self.link.source].declared
        known = [key for part in chunk.signals.values() for key in part.channels]
        known += [key for table in chunk.tables.values() for key in table.schema if key != "t"]
        raise RunError(
            f"a link speaks of '{self.link.source}.{self.link.signal}', which that world does not tell",
            suggest(column, known) or f"it declares {len(world.measures)} measures; a signal is a column of its truth",
        )


class _Threshold(_Signals):
    """Begins when a signal has been beyond a threshold for long enough, and ends when it is back."""

    def __init__(self, exchange: Exchange, number: int, link: Link, runs: int) -> None:
        super().__init__(exchange, number, link, runs)
        self._since = np.full(runs, np.nan)  # from when on it is beyond; NaN = it is not
        self._begun: list[tuple[str, float] | None] = [None] * runs  # id and onset of what has begun and not ended

    def hear(self, run: int, chunk: Chunk, events: Mapping[str, Sequence[Any]], until: float) -> list[Told]:
        """Take the samples."""
        link = self.link
        t, values = self.rows(run, chunk)
        limit = link.threshold if link.threshold is not None else np.nan
        sign = 1.0 if link.rising else -1.0
        side = np.where(sign * values > sign * limit, 1, np.where(sign * values <= sign * link.clear, -1, 0))
        seen = np.flatnonzero(side)
        state = np.concatenate([[1 if self._since[run] == self._since[run] else -1], side[seen]])
        told = []
        for k in seen[np.flatnonzero(state[1:] != state[:-1])].tolist():
            told += self._held(run, float(t[k]))
            if side[k] > 0:
                self._since[run] = t[k]
            else:
                self._since[run] = np.nan
                self._end(run, float(t[k]))
        return told + self._held(run, until)

    def _held(self, run: int, now: float) -> list[Told]:
        """Begin what is due by now."""
        t = float(self._since[run]) + self.link.hold
        if not t <= now or self._begun[run] is not None:
            return []
        event = self.tell(run, t, THRESHOLD, {"threshold": float(self.link.threshold or 0.0)})
        self._begun[run] = event[1], self.begin(run, event[1], t)
        return [event]

    def _end(self, run: int, t: float) -> None:
        begun, self._begun[run] = self._begun[run], None
        end = t + self.link.after
        if begun is None or not self.link.kind or end >= begun[1] + (self.link.lasts or np.inf):
            return
        self.exchange.plan(self.number, run, begun[0], begun[1], end, float(self.link.value), end)


class _Drive(_Signals):
    """Samples a signal at multiples of a period, and sets a severity or a command by what it finds.

    A severity holds from one sample to the next: one fault each, with the id of the event that it all began with.
    """

    def __init__(self, exchange: Exchange, number: int, link: Link, runs: int) -> None:
        super().__init__(exchange, number, link, runs)
        self._next = [0] * runs  # number of the next sample
        self._value = np.full(runs, np.nan)  # of the last row
        self._last = np.full(runs, np.nan)  # what was set last
        self._cause = [""] * runs
        self._x, self._y = np.array(link.map or [(0.0, 0.0)]).T

    def hear(self, run: int, chunk: Chunk, events: Mapping[str, Sequence[Any]], until: float) -> list[Told]:
        """Take the samples."""
        t, values = self.rows(run, chunk)
        k = np.arange(self._next[run], int(until / self.link.every) + 2)
        k = k[k * self.link.every <= until]
        self._next[run] += len(k)
        row = np.searchsorted(t, k * self.link.every, side="right") - 1
        found = np.where(row >= 0, values[np.maximum(row, 0)] if len(values) else np.nan, self._value[run])
        if len(values):
            self._value[run] = values[-1]
        leads = np.interp(found, self._x, self._y) if self.link.map else found
        told = []
        for number, value in zip(k[~np.isnan(found)].tolist(), leads[~np.isnan(found)].tolist(), strict=True):
            told += self._fault(run, number, value) if self.link.kind else self._command(run, number, value)
        return told

    def _fault(self, run: int, k: int, severity: float) -> list[Told]:
        told = []
        if severity != 0.0:
            if not self._cause[run]:
                told.append(self.tell(run, k * self.link.every, DRIVEN, {"severity": severity}))
                self._cause[run] = told[0][1]
            onset, end = (n * self.link.every + self.link.after for n in (k, k + 1))
            self.exchange.plan(self.number, run, self._cause[run], onset, end, severity, onset)
        else:
            self._cause[run] = ""
        return told

    def _command(self, run: int, k: int, value: float) -> list[Told]:
        if value != self._last[run]:  # a command holds until the next one
            self.exchange.order(self.number, run, k * self.link.every + self.link.after, value)
            self._last[run] = value
        return []


def _of_actor(table: Table, rows: Mapping[str, AnyArray], actor: str) -> BoolArray:
    """Return which rows are those of an actor; shape (rows,)."""
    entity = entity_column(table.schema)
    column = table.schema[entity]
    if column.dtype == "category":
        return np.asarray(rows[entity] == column.names.index(actor))
    return np.asarray(rows[entity] == actor, np.bool_)
