"""The parameter that a fault changes, read back: for every kind of fault of every world that the catalog finds.

During the fault it has the value that `FaultKind.changed` computes from the healthy run's; before and after it, that
of the healthy run. So it is while a severity grows, and where two faults of one kind overlap. A world whose engine
keeps an old value, or restores none, fails here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import pytest

from mischance.api.protocols import EFFECTS, Declared, ReadableFaults, declares
from mischance.api.runs import Draw, Fault
from mischance.errors import RunError
from mischance.language import catalog
from mischance.play.constructing import construct
from mischance.play.episode import advanced
from mischance.play.sampling import draw
from tests.support import PLUGINS, library
from tests.test_contracts import available, built, kinds, names, scenario_named, streams_of

# of the faults of one kind and target: onset and length [s], share of the declared severity, time of its growth [s]
PLANS: Mapping[str, tuple[tuple[float, float, float, float], ...]] = {
    "at once": ((1.0, 0.2, 1.0, 0.0),),
    "growing": ((1.0, 0.9, 1.0, 0.4),),
    "overlapping": ((1.0, 0.4, 1.0, 0.0), (1.2, 0.4, 0.6, 0.0)),
}
# when it is read: before it, during it, and after it
READ_AT: Mapping[str, tuple[float, ...]] = {
    "at once": (0.95, 1.1, 1.25),
    "growing": (0.95, 1.2, 1.45, 1.95),
    "overlapping": (1.1, 1.3, 1.5, 1.65),
}
STEP = 0.01  # longest step of a world [s]: what is read is the value of the last step, which began so much earlier
# what keeps a fault from having consequences that outlast it, as a stop of the arm's monitor would
ALONE: Mapping[str, dict[str, str]] = {
    "arm": {"simulator__monitor": '{"force": null, "following": null, "separation": null}'}
}
WHOLE = {"card_testing", "ticket_sale"}  # begin with all of their severity, whatever their ramp


class Bench:
    """A world without sensors, agents and planned faults, played directly."""

    def __init__(self, kind: str) -> None:
        available("simulators", kind)
        self.make: Callable[[], Any]
        for name in names():
            scenario = library(name)
            own = [plugin.kind for plugin in scenario.plugins() if plugin.room == "simulators"]
            if own == [kind] or (name == "wander" and kind.startswith(str(PLUGINS))):
                changed = scenario_named(name, sensors="{}", faults="[]", **ALONE.get(kind, {}))
                self.declared: Declared = changed.simulator.declared
                self.draw: Draw = draw(changed, [0])[0]
                self.settings = self.draw.settings
                self.make = partial(built, changed.simulator, [self.draw])
                return
        cls = catalog.find("simulators", kind)  # a world that the library plays beside another one
        self.declared, self.draw = declares(cls), Draw(7, 0)
        self.settings = self.declared.settings()
        self.make = partial(construct, cls, self.settings)

    def draw_with(self, faults: Sequence[Fault]) -> Draw:
        return replace(self.draw, faults=tuple(faults))

    def takes(self, fault: Fault) -> bool:
        world, draws = self.make(), [self.draw_with([fault])]
        try:
            world.start(draws, streams_of(draws))
        except RunError:
            return False
        finally:
            world.close()
        return True

    def planned(self) -> list[Fault]:
        """Return one fault of each kind that the world knows; where it can be, each on a target of its own."""
        found: list[Fault] = []
        assert self.declared.targets is not None
        for kind, about in self.declared.faults.items():
            assert about.effect in EFFECTS, f"{kind}: a kind of fault says how it changes its parameter"
            used = {fault.target for fault in found}
            tried = (
                Fault(f"fault:{len(found)}", target, kind, 1.0, 1.2, about.default)
                for target in sorted(self.declared.targets(self.settings), key=used.__contains__)
            )
            found.append(next(filter(self.takes, tried)))
        return found

    def read(self, faults: Sequence[Sequence[Fault]], times: Sequence[float], *, healthy: bool) -> list[list[float]]:
        """Play a batch; return at each time the values of the parameters of each run's faults, one for each pair."""
        draws = [self.draw_with(() if healthy else own) for own in faults]
        world, values = self.make(), []
        chunk = world.start(draws, streams_of(draws))
        for t in times:
            chunk = advanced(world, chunk, t)
            assert not chunk.over.any(), "the run ended too early to say anything"
            values.append([world.in_force(i, *pair) for i, own in enumerate(faults) for pair in pairs(own)])
        world.close()
        return values


def pairs(faults: Sequence[Fault]) -> list[tuple[str, str]]:
    """Return target and kind of each fault, once."""
    return list(dict.fromkeys((fault.target, fault.kind) for fault in faults))


@cache
def bench(kind: str) -> Bench:
    return Bench(kind)


def between(own: Bench, faults: Sequence[Fault], value: float, t: float) -> tuple[float, float]:
    """Return the least and the most that a parameter may be at t where faults of one kind act on it in turn.

    A growing severity is that of any time in the last step; a half cosine instead of a line is steeper by pi / 2.
    """
    found = []
    for late in (0.0, 1.6 * STEP):
        changed = value
        for fault in sorted(faults, key=lambda fault: fault.onset):
            grows = fault.ramp > 0.0 and fault.kind not in WHOLE
            share = min((t - late - fault.onset) / fault.ramp, 1.0) if grows else 1.0
            if fault.onset <= t < fault.end:
                changed = own.declared.faults[fault.kind].changed(changed, fault.severity, share)
        found.append(changed)
    return min(found), max(found)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("kind", kinds("simulators"))
def test_a_fault_changes_its_parameter_and_gives_it_back(kind: str, plan: str):
    own = bench(kind)
    if not own.declared.faults:
        pytest.skip("it has no faults")
    assert isinstance(own.make(), ReadableFaults)
    faults = [
        [
            replace(
                fault, fault_id=f"{fault.fault_id}{k}", onset=onset, end=onset + lasts, severity=share * fault.severity,
                ramp=ramp,
            )
            for k, (onset, lasts, share, ramp) in enumerate(PLANS[plan])
        ]
        for fault in own.planned()
    ]  # fmt: skip
    size = own.declared.batch_with(own.settings, 1)
    # a world that holds many runs has one for each kind; the others have one run with all of them
    groups = faults if size > 1 else [[fault for same in faults for fault in same]]
    times = READ_AT[plan]
    for first in range(0, len(groups), size):
        batch = groups[first : first + size]
        healthy, found = (own.read(batch, times, healthy=healthy) for healthy in (True, False))
        sets = [
            [f for f in run if (f.target, f.kind) == pair] for run in batch for pair in pairs(run)
        ]  # in the order of what was read
        for j, same in enumerate(sets):
            moved = False
            for k, t in enumerate(times):
                low, high = between(own, same, healthy[k][j], t)
                moved |= low != healthy[k][j]
                wide = 1e-9 * max(abs(low), abs(high)) + 1e-12
                assert low - wide <= found[k][j] <= high + wide, f"{same[0].kind} of {same[0].target} at {t} s"
            assert moved, f"{same[0].kind}: a severity that changes nothing says nothing"
