"""Plays draws: `play` once, `Player` again and again with plug-ins that are built once and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TypeVar

import numpy as np

from mischance.api.runs import Draw, Record
from mischance.api.tables import FloatArray, Table
from mischance.errors import RunError
from mischance.language.scenario import Scenario
from mischance.play.channel import PlayAloneError
from mischance.play.episode import Episode
from mischance.play.plugins import Plugins, batches, check_needs

_T = TypeVar("_T")


def play(scenario: Scenario, draws: Sequence[Draw], cuts: Sequence[float] = ()) -> Iterator[Record]:
    """Play runs and yield their records: one a stretch of time of a batch, the last with outcome and labels.

    Any valid draws may be played together: runs that cannot share a batch are played in batches of their own, and
    `Record.runs` says whose records they are.

    Args:
        scenario: what to play.
        draws: what each run got, as `sampling.draw` gives it.
        cuts: further times to cut at [s]; they change nothing but the length of the records.

    Raises:
        RunError: a run cannot go on; the message names the run and the time.
        TruthError: a plug-in breaks its contract.
    """
    with Player(scenario) as player:
        yield from player.play(draws, cuts)


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """The level of one run over time: `t` (n,) [s], ascending; `value` (n,), NaN where it has none."""

    t: FloatArray
    value: FloatArray

    def running_maximum(self) -> FloatArray:
        """Return the greatest value so far; shape (n,), -inf before the first."""
        return np.maximum.accumulate(np.where(np.isnan(self.value), -np.inf, self.value))

    def crossing(self, threshold: float) -> float:
        """Return when the level first reached a threshold [s]; NaN = never."""
        reached = self.running_maximum() >= threshold
        return float(self.t[np.argmax(reached)]) if reached.any() else float("nan")


class Player:
    """Plays runs of one scenario; world, agent, sensors and renderers are built when first needed and kept.

    Use it as a context, or call `close`. What it plays is what `play` plays, to the byte, whatever was played before.
    One sequence of runs at a time: an iterator that others have overtaken raises RunError.

    Raises:
        CatalogError: a module that a plug-in needs is not installed, or the agent cannot be started.
    """

    def __init__(self, scenario: Scenario) -> None:
        check_needs(scenario)
        self.scenario = scenario
        self._plugins = Plugins(scenario)
        self._apart = False  # runs of this scenario cannot share a batch, as one has shown

    @property
    def built(self) -> Mapping[str, int]:
        """How often each plug-in was built: 'simulator', 'agent', 'sensors.front', 'renderers.Raster' … -> times."""
        return dict(self._plugins.built)

    def play(self, draws: Sequence[Draw], cuts: Sequence[float] = ()) -> Iterator[Record]:
        """Play runs and yield their records, as `play` does."""
        return self.in_batches(draws, lambda batch: self.episode(batch, cuts).records())

    def episode(self, batch: Sequence[Draw], cuts: Sequence[float] = ()) -> Episode:
        """Return one batch, to be played on this player's plug-ins; `in_batches` says which draws can be one."""
        return Episode(self._plugins, batch, cuts)

    def outcomes(self, draws: Sequence[Draw]) -> Table:
        """Return the table `runs`, one row a run in the order of the draws; the quickest way to play.

        No sensor is read that the agent does not look at, and no rows of truth are collected.

        Raises:
            RunError: there are no draws, or a run cannot go on.
        """
        return self._outcomes(draws)[0]

    def levels(self, draws: Sequence[Draw]) -> tuple[Table, list[Level]]:
        """Return the table `runs` and each run's level over time, both in the order of the draws.

        The level is the scenario's `event.level`, at every time at which a table or signal that it names has a row.

        Raises:
            RunError: the scenario's event has no level, or as `outcomes`.
        """
        event = self.scenario.event
        if event is None or event.level is None:
            raise RunError("the scenario's event has no level", "add `level:` to `event`")
        return self._outcomes(draws, levels=True)

    def _outcomes(self, draws: Sequence[Draw], *, levels: bool = False) -> tuple[Table, list[Level]]:
        tables: list[tuple[list[int], Table]] = []
        found: dict[int, Level] = {}

        def play(batch: list[int]) -> Iterator[tuple[list[int], Table]]:
            own = [draws[i] for i in batch]
            episode = Episode(self._plugins, [self._complete(draw) for draw in own], outcome_only=True)
            for record in episode.records():
                if levels:
                    values = episode.monitor.levels([draw.values for draw in own])
                    found.update((i, Level(t, value)) for i, (t, value) in zip(batch, values, strict=True))
                yield batch, record.tables["runs"]

        tables += self._in_batches(draws, play)
        if not tables:
            raise RunError("there are no draws to play")
        schema = tables[0][1].schema
        rows = {i: table.run(k) for batch, table in tables for k, i in enumerate(batch)}
        return Table.of(schema, [rows[i] for i in range(len(draws))]), [found[i] for i in sorted(found)]

    def in_batches(self, draws: Sequence[Draw], play: Callable[[list[Draw]], Iterator[Record]]) -> Iterator[Record]:
        """Yield what `play` yields of each batch: draws that can be played together.

        Runs that show at t = 0 that they cannot share a batch (PlayAloneError) are played one at a time.
        """
        return self._in_batches(draws, lambda batch: play([self._complete(draws[i]) for i in batch]))

    def _in_batches(self, draws: Sequence[Draw], play: Callable[[list[int]], Iterator[_T]]) -> Iterator[_T]:
        try:
            for batch in batches(self.scenario, draws):
                if not self._apart:
                    try:
                        yield from play(batch)
                        continue
                    except PlayAloneError:
                        self._apart = True
                for i in batch:
                    yield from play([i])
        except Exception:
            self.close()  # what failed is not used again
            raise

    def _complete(self, draw: Draw) -> Draw:
        """Return the draw with the world's settings, which one that is made by hand need not have."""
        if draw.settings is not None:
            return draw
        return replace(draw, settings=self.scenario.simulator.settings_for(draw.values))

    def close(self) -> None:
        """Close all plug-ins; a player that plays again builds them anew."""
        self._plugins.close()

    def __enter__(self) -> Player:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
