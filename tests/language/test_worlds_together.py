"""Several worlds as one: the order in which they play, what they declare together, units of what links join."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mischance.api.protocols import FaultKind
from mischance.api.tables import Column
from mischance.language.checks.links import _some, column_dimension, severity_dimension
from mischance.language.link import Link
from mischance.language.worlds import WORLD, _commands, measure_name, play_order
from tests.support import PLUGINS, wander

WORLDS = "abcde"
ARROWS = st.lists(st.tuples(st.sampled_from(WORLDS), st.sampled_from(WORLDS), st.sampled_from([0.0, 0.5])), max_size=9)


def reached(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return all pairs of which the first leads to the second, on whatever way."""
    found = set(arrows)
    for _ in WORLDS:
        found |= {(a, d) for (a, b), (c, d) in itertools.product(found, arrows) if b == c}
    return found


@given(ARROWS.map(lambda arrows: [arrow for arrow in arrows if arrow[0] != arrow[1]]))
@settings(max_examples=200, deadline=None)
def test_a_world_comes_after_those_that_lead_to_it_unless_they_stand_in_a_circle(arrows: list[tuple[str, str, float]]):
    links = [
        Link(source=a, world=b, subject="", after=t, event="e", every=0.1, hold=0.0, target="x") for a, b, t in arrows
    ]
    order, circle = play_order(WORLDS, links)
    assert sorted(order) == list(WORLDS)
    every, instant = reached({(a, b) for a, b, _ in arrows}), reached({(a, b) for a, b, t in arrows if t == 0})
    on_circle = {a for a in WORLDS if (a, a) in instant}
    assert bool(circle) == bool(on_circle)
    assert on_circle <= circle
    assert all((a, b) in instant for a in circle - on_circle for b in on_circle if (b, a) not in instant)
    place = {name: k for k, name in enumerate(order)}
    for a, b, t in arrows:
        if not any((name, name) in every for name in WORLDS) or (t == 0 and not circle):
            assert place[a] < place[b], "the cause plays first; beside a circle, at least where the link takes no time"
    if not arrows:
        assert order == tuple(WORLDS), "where links leave it open, as they stand"


def test_units_that_links_join_are_told_by_columns_and_faults():
    assert [column_dimension(column) for column in (None, Column(), Column(unit="km/h"), Column(unit="furlong"))] == [
        None,
        "",
        "speed",
        None,
    ]
    kinds = [None, FaultKind("x", "m/s"), FaultKind("x", "ratio"), FaultKind("x", "time"), FaultKind("x", "cards")]
    assert [severity_dimension(kind) for kind in kinds] == [None, "speed", "ratio", "time", ""]


def test_long_lists_are_cut_after_twelve():
    names = [f"n{i}" for i in range(13)]
    assert _some(names[:12]) == ", ".join(names[:12])
    assert _some(names) == ", ".join(names[:12]) + " …"


def declared(**own: Any) -> Any:
    """Return what the tests' world declares, with other commands."""
    from dataclasses import replace

    return replace(wander().simulator.declared, **own)


def test_commands_to_several_worlds_name_theirs_and_are_completed_by_it():
    own = {
        "a": declared(
            commands={"push": Column(unit="V/s"), "who": Column("text", role="entity")},
            complete=lambda row: {**row, "push": 3},
        ),
        "b": declared(commands={"push": Column(unit="m"), "pull": Column()}, complete=dict),
    }
    columns, complete = _commands(own)
    assert list(columns) == [WORLD, "push", "who", "pull"]
    assert columns["push"].unit == "V/s", "the first that has it"
    assert all(column.null and not column.role for name, column in columns.items() if name != WORLD)
    assert complete({WORLD: "a"}) == {WORLD: "a", "push": 3}
    assert complete({WORLD: "b", "x": 1}) == {WORLD: "b", "x": 1}
    assert complete({"x": 1}) == {"x": 1}
    assert _commands({}) == ({}, dict)


def joined(*declarations: Any) -> Any:
    """Return what worlds a, b … declare together."""
    from dataclasses import replace

    from mischance.language.worlds import join_worlds

    plugin = wander().simulator
    return join_worlds({name: replace(plugin, declared=one) for name, one in zip(WORLDS, declarations, strict=False)})


def test_worlds_together_take_what_the_least_of_them_takes():
    base = declared()
    both = joined(declared(batch=7, max_chunk_seconds=3.0), declared(batch=5, max_chunk_seconds=2.0))
    assert (both.declared.batch, both.declared.max_chunk_seconds) == (5, 2.0)
    assert set(both.declared.measures) == {measure_name(world, name) for world in "ab" for name in base.measures}
    assert both.declared.randomness == ("a.plant", "b.plant")
    assert joined(base, declared(randomness=None)).declared.randomness is None
    assert both.declared.targets(both.settings) == ["a.plant", "b.plant"]
    assert joined(base, declared(targets=None)).declared.targets is None
    assert joined(declared(events=("x", "y")), declared(events=("y", "z"))).declared.events == (
        "x",
        "y",
        "z",
        "threshold",
        "driven",
    )
    assert joined(declared(events=("x",)), declared(events=())).declared.events == ()
    signals = joined(declared(signals=lambda _: {"u": Column(unit="V")}), declared(signals=lambda _: ("v",)))
    known = signals.declared.signals(signals.settings)
    assert (known["a.u"], known["b.v"].dtype) == (Column(unit="V"), "category")
    assert joined(declared(signals=None), declared(signals=lambda _: ("v",))).declared.signals is None
    assert joined(base, base).declared.batch_key is None
    keyed = joined(declared(batch_key=lambda _: 3), base)
    assert keyed.declared.batch_key(keyed.settings) == (3, None)


def test_one_world_that_takes_commands_takes_them_as_alone():
    alone = joined(declared(), declared(commands={}))
    assert alone.declared.commands == declared().commands
    assert WORLD in joined(declared(), declared()).declared.commands
    assert joined(declared(commands={}), declared(commands={})).declared.commands == {}


@pytest.mark.parametrize(("rates", "wrong"), [((10, 5), False), ((10, 3), True), ((7.5, 2.5), False), ((1, 1), False)])
def test_agents_act_at_rates_that_divide_the_fastest(rates: tuple[float, float], wrong: bool, tmp_path: Any):
    import json

    from mischance.errors import ScenarioError
    from mischance.language.loading import load

    for name, rate in zip("ab", rates, strict=True):
        (tmp_path / f"{name}.py").write_text(
            f"def act(observation, t):\n    return None\nact.reads = ('truth',)\nact.rate = {rate}\n"
        )
    drift = f"{PLUGINS}/drift.py:Drift"
    agents = {name: {"kind": f"{tmp_path}/{name}.py:act", "world": name} for name in "ab"}
    worlds = {name: {"kind": drift} for name in "ab"}
    text = f"mischance: 1\nname: x/y\nduration: 1 s\nworlds: {json.dumps(worlds)}\nagents: {json.dumps(agents)}\n"
    (tmp_path / "s.yaml").write_text(text)
    if wrong:
        with pytest.raises(ScenarioError, match=r"acts at 3 Hz, which does not divide the 10 Hz of another agent"):
            load(tmp_path / "s.yaml")
    else:
        together = load(tmp_path / "s.yaml").agent
        assert together is not None
        assert together.declared.rate_with(together.settings) == max(rates)
