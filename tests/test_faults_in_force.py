"""The parameter that a fault changes, read back: for every kind of fault of every world that the catalog finds.

During the fault it has the value that `FaultKind.changed` computes from the healthy run's; before and after it, that
of the healthy run. A world whose engine keeps an old value, or restores none, fails here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from mischance.api.protocols import EFFECTS, Declared, ReadableFaults, declares
from mischance.api.runs import Draw, Fault
from mischance.errors import RunError
from mischance.language import catalog
from mischance.play.constructing import construct
from mischance.play.episode import advanced
from mischance.play.sampling import draw
from tests.support import PLUGINS
from tests.test_contracts import available, built, kinds, names, scenario_named, streams_of

ONSET, LASTS = 1.0, 0.2  # of each fault [s]
READ_AT = (0.95, 1.1, 1.25)  # before it, during it, and after it
# what keeps a fault from having consequences that outlast it, as a stop of the arm's monitor would
ALONE: Mapping[str, dict[str, str]] = {
    "arm": {"simulator__monitor": '{"force": null, "following": null, "separation": null}'}
}
PENDING = {"road"}  # its faults cannot be read yet; goes when they can


class Bench:
    """A world without sensors, agents and planned faults, played directly."""

    def __init__(self, kind: str) -> None:
        available("simulators", kind)
        self.make: Callable[[], Any]
        for name in names():
            scenario = scenario_named(name)
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
                Fault(f"fault:{len(found)}", target, kind, ONSET, ONSET + LASTS, about.default)
                for target in sorted(self.declared.targets(self.settings), key=used.__contains__)
            )
            found.append(next(filter(self.takes, tried)))
        return found

    def read(self, faults: Sequence[Sequence[Fault]], *, healthy: bool) -> list[list[float]]:
        """Play a batch; return at each time of READ_AT the values of the parameters of each run's faults."""
        draws = [self.draw_with(() if healthy else own) for own in faults]
        world, values = self.make(), []
        chunk = world.start(draws, streams_of(draws))
        for t in READ_AT:
            chunk = advanced(world, chunk, t)
            assert not chunk.over.any(), "the run ended too early to say anything"
            values.append([world.in_force(i, f.target, f.kind) for i, own in enumerate(faults) for f in own])
        world.close()
        return values


@pytest.mark.parametrize("kind", kinds("simulators"))
def test_a_fault_changes_its_parameter_and_gives_it_back(kind: str):
    bench = Bench(kind)
    if kind in PENDING or not bench.declared.faults:
        pytest.skip("no fault of it can be read")
    assert isinstance(bench.make(), ReadableFaults)
    faults = bench.planned()
    size = bench.declared.batch_with(bench.settings, 1)
    # a world that holds many runs has one for each fault; the others have one run with all of them
    groups = [[fault] for fault in faults] if size > 1 else [faults]
    for first in range(0, len(groups), size):
        batch = groups[first : first + size]
        healthy, found = bench.read(batch, healthy=True), bench.read(batch, healthy=False)
        for j, fault in enumerate([fault for own in batch for fault in own]):
            before, during, after = (values[j] for values in healthy)
            changed = bench.declared.faults[fault.kind].changed(during, fault.severity)
            assert changed != during, f"{fault.kind}: a severity that changes nothing says nothing"
            assert tuple(values[j] for values in found) == pytest.approx(
                (before, changed, after), rel=1e-9, abs=1e-12
            ), f"{fault.kind} of {fault.target}"
