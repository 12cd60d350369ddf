"""A rehearsal before a sweep: what a scenario draws, how its runs begin, and what a few of them come to."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mischance.api.protocols import Trigger
from mischance.api.runs import Draw
from mischance.errors import MischanceError
from mischance.language.checks.unused import agent_reads
from mischance.language.distributions.specs import Expr
from mischance.language.expressions.parsing import compile_expression
from mischance.language.scenario import Scenario
from mischance.play.player import Player
from mischance.play.requirements import PREFIX
from mischance.play.sampling import Acceptance, acceptance, draw
from mischance.play.starting import Start, starts
from mischance.units import SI


@dataclass(frozen=True, slots=True)
class DrawnValue:
    """One drawn value over many draws: the least, the median and the largest in `unit`; of words, the share of each."""

    name: str
    kind: str
    unit: str = ""
    low: float = float("nan")
    median: float = float("nan")
    high: float = float("nan")
    words: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DrawnFault:
    """One planned fault over many draws: the share of runs that have it, and when it begins [s] (NaN = never)."""

    target: str
    kind: str
    share: float
    low: float = float("nan")
    median: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of a rehearsal.

    `kept`: requirement -> runs that kept it; `events`: runs with the event; both of `played` runs. `failures`: run ->
    why it could not be played to its end. `unfired`: what began in none of them, with the number that never did.
    `seconds`: wall-clock time of a run after the first one.
    """

    draws: int
    values: tuple[DrawnValue, ...]
    faults: tuple[DrawnFault, ...]
    acceptance: Acceptance | None
    starts: tuple[Start, ...]
    played: int = 0
    events: int = 0
    kept: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[int, str] = field(default_factory=dict)
    unfired: tuple[tuple[Trigger, int], ...] = ()
    seconds: float = float("nan")

    @property
    def stuck(self) -> tuple[Start, ...]:
        """The runs that cannot begin."""
        return tuple(start for start in self.starts if start.error)


def rehearse(scenario: Scenario, *, draws: int = 200, begin: int = 20, runs: int = 4) -> Rehearsal:
    """Draw many runs, begin some, and play a few.

    Sensors that the agent does not read are left out. Nothing is stored.

    Args:
        scenario: what to rehearse.
        draws: runs whose values are drawn.
        begin: runs that are begun, of those.
        runs: runs that are played, of those that can begin.

    Raises:
        RunError: the values cannot be drawn.
        CatalogError: a module that a plug-in needs is not installed.
    """
    reads = agent_reads(scenario)
    small = replace(scenario, sensors={name: one for name, one in scenario.sensors.items() if name in reads})
    drawn = draw(scenario, range(max(draws, begin, runs)))
    begun = starts(small, drawn[:begin])
    good = [one for one, start in zip(drawn, begun, strict=False) if not start.error][:runs]
    accepted = acceptance(scenario, scenario.seed) if scenario.constraints else None
    return Rehearsal(
        draws, _values(scenario, drawn[:draws]), _faults(scenario, drawn[:draws]), accepted, tuple(begun),
        **_played(small, good),
    )  # fmt: skip


def _values(scenario: Scenario, drawn: Sequence[Draw]) -> tuple[DrawnValue, ...]:
    found = []
    known: dict[str, str] = {}  # dimension of each value; that of a computed one follows from the others
    for name, spec in scenario.vary.items():
        known[name] = compile_expression(spec.text, None, known).dimension if isinstance(spec, Expr) else spec.dimension
        values = [one.values[name] for one in drawn]
        if isinstance(values[0], str):
            counts = Counter(map(str, values))
            words = {word: count / len(values) for word, count in counts.most_common()}
            found.append(DrawnValue(name, spec.kind, words=words))
        else:
            low, middle, high = _spread(values)
            found.append(DrawnValue(name, spec.kind, SI.get(known[name], ""), low, middle, high))
    return tuple(found)


def _faults(scenario: Scenario, drawn: Sequence[Draw]) -> tuple[DrawnFault, ...]:
    """Return each entry of `faults`; entries with one target and kind are one line."""
    found = []
    for target, kind in dict.fromkeys((one.target, one.kind) for one in scenario.faults):
        onsets = [[f.onset for f in one.faults if (f.target, f.kind) == (target, kind)] for one in drawn]
        share = sum(map(bool, onsets)) / len(onsets)
        every = [onset for own in onsets for onset in own]
        found.append(DrawnFault(target, kind, share, *(_spread(every) if every else ())))
    return tuple(found)


def _spread(values: Sequence[Any]) -> tuple[float, float, float]:
    low, middle, high = np.percentile(np.asarray(values, np.float64), [0, 50, 100], method="nearest").tolist()
    return low, middle, high


def _played(scenario: Scenario, drawn: Sequence[Draw]) -> dict[str, Any]:
    """Play runs one at a time, so that one that fails takes no other with it."""
    events, kept, failures, seconds = 0, dict.fromkeys(scenario.require, 0), {}, []
    most: Counter[tuple[str, str]] = Counter()  # kind and subject of events -> most of them in one run
    done = 0
    with Player(scenario) as player:
        for one in drawn:
            begun, told = time.perf_counter(), Counter[tuple[str, str]]()
            try:
                for record in player.play([one]):
                    if "events" in record.tables:
                        told.update(_kinds(record.tables["events"]))
                    if record.last:
                        row = record.tables["runs"].run(0)
                        events += int(bool(row["event"][0]))
                        for name in kept:
                            kept[name] += int(bool(row[f"{PREFIX}{name}"][0]))
            except MischanceError as error:
                failures[one.run] = f"{error.message}; {error.hint}" if error.hint else error.message
                continue
            except Exception as error:
                failures[one.run] = f"{type(error).__name__}: {' '.join(str(error).split())}"
                continue
            done += 1
            most |= told
            seconds.append(time.perf_counter() - begun)
    return {
        "played": done, "events": events, "kept": kept, "failures": failures,
        "unfired": tuple(_unfired(scenario, most)) if done else (),
        "seconds": float(np.median(seconds[1:] or seconds)) if seconds else float("nan"),
    }  # fmt: skip


def _kinds(events: Any) -> list[tuple[str, str]]:
    """Return kind and subject of each event."""
    columns = []
    for name in ("kind", "subject"):
        names, values = events.schema[name].names, events.columns[name].tolist()
        columns.append([names[code] for code in values] if names else list(map(str, values)))
    return list(zip(*columns, strict=True))


def _unfired(scenario: Scenario, most: Mapping[tuple[str, str], int]) -> list[tuple[Trigger, int]]:
    """Return what no run told, the last one first of several of a kind; with how many of them never began."""
    world = scenario.simulator
    triggers = world.declared.triggers(world.settings) if world.declared.triggers is not None else ()
    found = []
    for key, asked in Counter((one.event, one.subject) for one in triggers).items():
        missing = asked - most.get(key, 0)
        if missing > 0:
            own = [one for one in triggers if (one.event, one.subject) == key]
            found.append((own[-1], missing))
    return found


__all__ = ["DrawnFault", "DrawnValue", "Rehearsal", "rehearse"]
