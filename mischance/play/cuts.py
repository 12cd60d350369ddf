"""Where a run is cut in time: a merge of clocks, generated as they come and never listed for a whole run."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cut:
    """A time at which the world stops: at a turn of the agent (`act`), at the end of a record (`flush`), or both."""

    t: float
    act: bool
    flush: bool


def cuts(
    duration: float,
    *,
    rate: float = 0.0,
    piece: float,
    flushes: Iterable[float] = (),
    arrivals: Iterable[float] = (),
) -> Iterator[Cut]:
    """Yield all cuts in (0, duration], in order; the last is at `duration`.

    Args:
        duration: length of a run [s].
        rate: turns of the agent per second, at k / rate [Hz]; 0 = no agent.
        piece: longest time in one record [s]; records end at k * piece.
        flushes: further ends of records, in any order [s].
        arrivals: further times at which only the world stops, ascending [s].
    """
    clocks = (
        ((t, 0) for t in _before(duration, (k / rate for k in _count(rate > 0)))),
        ((t, 1) for t in _before(duration, (k * piece for k in _count()))),
        ((t, 1) for t in sorted(float(t) for t in flushes if 0 < t < duration)),
        ((t, 2) for t in _before(duration, arrivals)),
        iter([(duration, 1)]),
    )
    now, kinds = 0.0, set[int]()
    for t, kind in heapq.merge(*clocks):
        if t != now:
            if kinds:
                yield Cut(now, 0 in kinds, 1 in kinds)
            now, kinds = t, set()
        kinds.add(kind)
    yield Cut(now, 0 in kinds, 1 in kinds)


def _count(present: bool = True) -> Iterator[int]:
    k = 1
    while present:
        yield k
        k += 1


def _before(end: float, times: Iterable[float]) -> Iterator[float]:
    """Yield ascending times in (0, end)."""
    for t in times:
        if t >= end:
            return
        if t > 0:
            yield t
