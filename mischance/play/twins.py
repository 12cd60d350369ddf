"""Plays runs beside their twins, and learns from the difference when an effect begins and can be seen.

A twin has the same random streams and lacks one fault or event. `t_effect` is
where a stream first differs from its twin's; `t_observable` is where it leaves
the band of healthy runs of other seeds while its twin stays inside. A sensor's
fault is looked for in the readings of its own time: what a reader does about
them later is no reading.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np

from mischance.api.runs import Draw, Fault, Record
from mischance.api.scene import Frames, join_frames
from mischance.api.tables import AnyArray, Column, Schema, Table, join_tables, seconds
from mischance.language.scenario import Scenario
from mischance.play.healthy import Band, Profile, first_seen, healthy_band, is_stream, is_under, lag, samples_of
from mischance.play.player import Player
from mischance.play.sampling import twin

MOST_TWINS = 8  # of one run; where it has more faults, some share a twin

Kept = tuple[dict[str, Table], dict[str, tuple[Frames, ...]]]


def play_with_twins(scenario: Scenario, draws: Sequence[Draw], *, keep: bool = False) -> Iterator[Record]:
    """Play runs in lockstep with twins of their own, and fill in their labels.

    A run has one twin for each of its faults, without that fault alone; where it has more than MOST_TWINS, one for each
    group of faults (see `fault_groups`), without all of that group. Each twin costs as much as its run, and the memory
    of one chunk; a batch has as many as the run of it that has most.

    Args:
        scenario: what to play.
        draws: what each run got.
        keep: also hand on the rows of the twin without any fault, under `twins/`.

    Yields:
        the records of `play`, the last of each batch with t_effect, t_observable and twin filled in.
    """
    with Lockstep(scenario, keep=keep) as lockstep:
        yield from lockstep.play(draws)


def fault_groups(faults: Sequence[Fault], most: int = MOST_TWINS) -> list[tuple[Fault, ...]]:
    """Return the faults in at most so many groups, in order of their first onsets; each alone where they are few.

    A group holds faults of one target and kind that follow each other in time; of several kinds only where there are
    more kinds than groups. Groups are split where they are longest.
    """
    ordered = sorted(faults, key=lambda fault: (fault.onset, fault.fault_id))
    if len(ordered) <= most:
        return [(fault,) for fault in ordered]
    kinds: dict[tuple[str, str], list[Fault]] = {}
    for fault in ordered:
        kinds.setdefault((fault.target, fault.kind), []).append(fault)
    own = list(kinds.values())
    if len(own) > most:
        merged = [[fault for kind in part for fault in own[kind]] for part in np.array_split(np.arange(len(own)), most)]
        return [tuple(group) for group in merged]
    pieces = [1] * len(own)
    for _ in range(most - len(own)):
        longest = max(range(len(own)), key=lambda k: (len(own[k]) / pieces[k], -k))
        pieces[longest] += 1
    groups = [
        tuple(group[i] for i in part)
        for group, n in zip(own, pieces, strict=True)
        for part in np.array_split(np.arange(len(group)), min(n, len(group)))
    ]
    return sorted(groups, key=lambda group: (group[0].onset, group[0].fault_id))


def group_name(group: Sequence[Fault]) -> str:
    """Return the name of what a twin leaves out: 'fault:3', or 'fault:3+6' for that fault and six more.

    Which they are, their labels say: they have the same twin.
    """
    return group[0].fault_id if len(group) == 1 else f"{group[0].fault_id}+{len(group) - 1}"


class Lockstep:
    """Players of a scenario's runs and of their twins, kept from batch to batch; use it as a context."""

    def __init__(self, scenario: Scenario, *, keep: bool = False) -> None:
        self.scenario, self.keep = scenario, keep
        self._player = Player(scenario)
        self._others: list[Player] = []

    def play(self, draws: Sequence[Draw]) -> Iterator[Record]:
        """Yield what `play_with_twins` does."""
        return self._player.in_batches(draws, self._batch)

    def close(self) -> None:
        """Close all players."""
        for player in (self._player, *self._others):
            player.close()

    def __enter__(self) -> Lockstep:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _batch(self, batch: Sequence[Draw]) -> Iterator[Record]:
        groups = [fault_groups(draw.faults) for draw in batch]
        most = max(map(len, groups))
        if most == 0 and not self.keep:
            yield from self._player.episode(batch).records()
            return
        while len(self._others) < most + self.keep:
            self._others.append(Player(self.scenario))
        duration = self.scenario.duration
        band = healthy_band(self.scenario) if most else None
        others = [
            _Other(
                self._others[j], [_nth_twin(draw, own, j) for draw, own in zip(batch, groups, strict=True)], duration
            )
            for j in range(most)
        ]
        plain = _Other(self._others[most], [twin(draw) for draw in batch], duration) if self.keep else None
        watched = [Profile(duration) for _ in batch]
        for record in self._player.episode(batch).records():
            if record.last:
                for other in others:
                    other.advance(np.inf)
                filled = _filled(record, batch, groups, others, watched, band)
                yield _beside(filled, plain.advance(np.inf)) if plain else filled
                return
            for profile, i in zip(watched, range(len(batch)), strict=True):
                profile.add(record, i)
            for other in others:
                other.advance(record.end)
                other.compare(record)
            yield _beside(record, plain.advance(record.end)) if plain else record


def _beside(record: Record, kept: Kept) -> Record:
    """Return the record with the twin's rows and images beside its own."""
    return replace(record, tables={**record.tables, **kept[0]}, frames={**record.frames, **kept[1]})


def _nth_twin(draw: Draw, groups: Sequence[tuple[Fault, ...]], j: int) -> Draw:
    """Return the twin without the j-th group of faults; a run with fewer groups is its own twin."""
    if j >= len(groups):
        return draw
    left_out = {fault.fault_id for fault in groups[j]}
    kept = tuple(fault for fault in draw.faults if fault.fault_id not in left_out)
    return replace(draw, faults=kept, twin=group_name(groups[j]))


class _Other:
    """A batch of twins, played as far as their originals."""

    def __init__(self, player: Player, draws: Sequence[Draw], duration: float) -> None:
        self.draws = draws
        self._records = player.episode(draws).records()
        self._reached = -1.0
        self._done = False
        self.profiles = [Profile(duration) for _ in draws]
        self.differences = [_Difference() for _ in draws]

    def advance(self, until: float) -> Kept:
        """Play on until that time; return the rows and images since, under `twins/`."""
        records = []
        while not self._done and self._reached < until:
            record = next(self._records, None)
            if record is None or record.last:
                self._done = True
                break
            self._reached = record.end
            records.append(record)
            for i, (profile, difference) in enumerate(zip(self.profiles, self.differences, strict=True)):
                profile.add(record, i)
                difference.feed(record, i, 1)
        tables: dict[str, list[Table]] = {}
        frames: dict[str, list[tuple[Frames, ...]]] = {}
        for record in records:
            for path, table in record.tables.items():
                tables.setdefault(f"twins/{path}", []).append(table)
            for path, images in record.frames.items():
                frames.setdefault(f"twins/{path}", []).append(images)
        return (
            {path: join_tables(parts) for path, parts in tables.items()},
            {path: join_frames(parts) for path, parts in frames.items()},
        )

    def compare(self, record: Record) -> None:
        """Take the originals' next record."""
        for i, difference in enumerate(self.differences):
            difference.feed(record, i, 0)


class _Difference:
    """Finds where each stream of one run first differs from its twin's, while both arrive in pieces."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self._rows: dict[str, tuple[list[Any], list[Any]]] = {}

    def feed(self, record: Record, i: int, side: int) -> None:
        """Take the next rows of run i, of the original (side 0) or its twin (side 1)."""
        for path, table in record.tables.items():
            if is_stream(path):
                self._add(path, side, table.run(i), table.schema)
        for path, part in record.signals.items():
            if is_stream(path):
                self._add(path, side, samples_of(part, i), {"t": Column(unit="s"), **part.channels})
        for path, images in record.frames.items():
            if is_stream(path):
                frames = images[i]
                rows = {"t": frames.t, **frames.passes}
                self._add(path, side, rows, {name: Column() for name in rows})

    def _add(self, path: str, side: int, rows: Mapping[str, AnyArray], schema: Schema) -> None:
        if path in self.first or not len(rows["t"]):
            return
        waiting = self._rows.setdefault(path, ([], []))
        waiting[side].append((rows, schema))
        if waiting[0] and waiting[1]:
            self._match(path, waiting)

    def _match(self, path: str, waiting: tuple[list[Any], list[Any]]) -> None:
        (mine, schema), (its, its_schema) = _joined(waiting[0]), _joined(waiting[1])
        n = min(len(mine["t"]), len(its["t"]))
        differ = np.zeros(n, np.bool_)
        for name, column in schema.items():
            differ |= _differ(mine[name][:n], its[name][:n], column)
        if differ.any():
            row = int(np.argmax(differ))
            self.first[path] = min(seconds(mine["t"], schema)[row], seconds(its["t"], schema)[row])
            waiting[0].clear()
            waiting[1].clear()
            return
        for side, rows, own in ((0, mine, schema), (1, its, its_schema)):
            rest = {name: values[n:] for name, values in rows.items()}
            waiting[side][:] = [(rest, own)] if len(rest["t"]) else []

    def finish(self) -> dict[str, float]:
        """Return path -> first difference [s]; rows that only one side has are differences too."""
        for path, waiting in self._rows.items():
            for side in waiting:
                if side and path not in self.first:
                    self.first[path] = float(seconds(side[0][0]["t"], side[0][1])[0])
        return self.first


def _joined(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    rows = {name: np.concatenate([part[0][name] for part in parts]) for name in parts[0][0]}
    return rows, parts[0][1]


def _differ(mine: AnyArray, its: AnyArray, column: Column) -> AnyArray:
    if mine.dtype.kind == "f":
        same = (mine == its) | (np.isnan(mine) & np.isnan(its))
        if column.floor > 0:
            with np.errstate(invalid="ignore"):  # infinity less itself: the same, as found above
                same |= np.abs(mine - its) <= column.floor
        differ = ~same
    else:
        differ = np.asarray(mine != its)
    return np.asarray(differ.reshape(len(differ), -1).any(axis=1) if differ.ndim > 1 else differ)


def _filled(
    record: Record,
    batch: Sequence[Draw],
    groups: Sequence[Sequence[tuple[Fault, ...]]],
    others: Sequence[_Other],
    watched: Sequence[Profile],
    band: Band | None,
) -> Record:
    labels = record.tables["labels"]
    columns = {name: values.copy() for name, values in labels.columns.items()}
    for row, i in enumerate(labels.run_index()):
        causes = json.loads(columns["causes"][row])
        place = {fault.fault_id: j for j, group in enumerate(groups[i]) for fault in group}
        j = next((place[cause] for cause in causes if cause in place), None)
        if j is None:
            continue
        other, group = others[j], groups[i][j]
        target = str(columns["target"][row])
        paths = [target.replace(".", "/", 1)] if target.startswith("sensors.") else ["truth", "sensors"]
        first = other.differences[i].finish()
        effects = [t for path, t in first.items() if is_under(path, paths)]
        if len(group) > 1 and not min(effects, default=np.nan) >= columns["t_cause"][row]:
            effects = []  # the effect of one that came before it in its group; its own is not known
        columns["twin"][row] = f"run:{batch[i].run}-{group_name(group)}"
        if effects:
            columns["t_effect"][row] = min(effects)
            if band is not None:
                mine, its = watched[i], other.profiles[i]
                until = columns["t_end"][row] + lag(paths, mine, its) if target.startswith("sensors.") else np.nan
                columns["t_observable"][row] = first_seen(
                    paths, mine, its, band, float(min(effects)), np.inf if np.isnan(until) else float(until)
                )
    return replace(record, tables={**record.tables, "labels": Table(labels.schema, columns, labels.offsets)})
