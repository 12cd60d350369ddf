"""Default requirements of a world: taken over, replaced, switched off by name, written out, and told in results."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mischance.errors import MischanceError, ScenarioError
from mischance.language.loading import load
from mischance.language.scenario import Scenario
from mischance.language.temporal.requirement import renamed
from mischance.play.player import play
from mischance.play.sampling import draw

WORLD = '''
"""A world whose only signal is its level, which stays at one value."""

from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel

from mischance.api.labels import table_of_rows
from mischance.api.requirements import DefaultRequirement
from mischance.api.runs import Chunk
from mischance.api.tables import EVENTS, LABELS, Column, Table


class Settings(BaseModel, extra="forbid", frozen=True):
    level: float = 1.0
    limited: bool = True


class Pond:
    """A pond."""

    signals = staticmethod(lambda settings: {"level": Column()})
    measures: ClassVar[Any] = {"depth": Column()}
    requirements: ClassVar[Any] = {
        "dry": DefaultRequirement("depth < 10 and always level < 5", "it does not overflow"),
        "below": DefaultRequirement("always level < 2", "it stays below 2", lambda settings: settings.limited),
    }

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def start(self, draws, streams):
        self.n = len(draws)
        return self._chunk(0.0, 0.0)

    def advance(self, until, commands):
        return self._chunk(self.end, until)

    def _chunk(self, start, end):
        self.end = end
        rows = [[(end, self.settings.level)]] * self.n
        schema = {"t": Column(unit="s", role="time"), "level": Column()}
        return Chunk(start=start, end=end, ends=np.full(self.n, end), over=np.zeros(self.n, bool),
                     events=table_of_rows(EVENTS, [[]] * self.n), tables={"pond": table_of_rows(schema, rows)})

    def outcome(self):
        row = {"depth": 3.0, "event": False, "margin": 1.0, "verdict": "still", "reason": "nothing moved"}
        schema = {"depth": Column(), "event": Column("bool"), "margin": Column(), "verdict": Column("text"),
                  "reason": Column("text")}
        rows = {name: np.array([value], schema[name].storage) for name, value in row.items()}
        return Table.of(schema, [rows] * self.n), table_of_rows(LABELS, [[]] * self.n)

    def close(self):
        """Nothing to close."""
'''
TEXT = """
mischance: 1
name: own/pond
duration: 2 s
simulator: {{kind: pond.py:Pond, level: {level}, limited: {limited}}}
{rest}
"""


@pytest.fixture
def pond(tmp_path: Path) -> Path:
    (tmp_path / "pond.py").write_text(WORLD)
    return tmp_path


def written(folder: Path, *, level: float = 1.0, limited: bool = True, rest: str = "") -> Path:
    file = folder / "pond.yaml"
    file.write_text(TEXT.format(level=level, limited=str(limited).lower(), rest=rest))
    return file


def row_of(scenario: Scenario) -> dict[str, object]:
    *_, record = play(scenario, draw(scenario, [0]))
    return {name: values[0] for name, values in record.tables["runs"].run(0).items()}


def test_a_scenario_that_says_nothing_is_held_to_what_its_world_requires(pond: Path):
    kept, broken = (load(written(pond, level=level)) for level in (1.5, 2.5))
    assert {name: one.text for name, one in kept.require.items()} == {
        "dry": "depth < 10 and always level < 5",
        "below": "always level < 2",
    }
    assert kept.by_default == {"dry", "below"}
    assert kept.promised == ()
    row = row_of(kept)
    assert (row["require.below"], row["require.below.margin"], row["reason"]) == (True, 0.5, "nothing moved")
    row = row_of(broken)
    assert (row["require.below"], row["require.below.margin"]) == (False, -0.5)
    assert "broken below" in str(row["reason"])
    assert row["require.dry"]


def test_null_switches_one_off_and_a_formula_replaces_it(pond: Path):
    off = load(written(pond, level=2.5, rest="require: {below: null}"))
    assert [*off.require] == ["dry"]
    assert "require.below" not in row_of(off)
    own = load(written(pond, level=2.5, rest="require: {below: always level < 3}"))
    assert (own.by_default, own.promised) == ({"dry"}, ("below",))
    assert row_of(own)["require.below.margin"] == 0.5


def test_one_that_does_not_apply_to_the_settings_is_not_there(pond: Path):
    assert [*load(written(pond, limited=False)).require] == ["dry"]
    assert [*load(written(pond, limited=False, rest="require: {below: null}")).require] == ["dry"], "off anyway"


def test_what_cannot_be_switched_off_is_an_error_with_the_nearest_name(pond: Path):
    with pytest.raises(ScenarioError, match=r"pond\.yaml:6:11: require\.belov: no default requirement") as error:
        load(written(pond, rest="require: {belov: null}"))
    assert "did you mean 'below'" in str(error.value)


@pytest.mark.parametrize(
    ("how", "left"),
    [
        ({"overrides": {"require.below": "null"}}, ["dry"]),
        ({"without": ["below"]}, ["dry"]),
        ({"without": ["dry", "cameras"]}, ["below"]),
        ({"without": ["requirements"]}, []),
    ],
)
def test_the_command_line_switches_them_off_too(pond: Path, how: dict[str, object], left: list[str]):
    assert [*load(written(pond), **how).require] == left  # type: ignore[arg-type]


def test_without_a_name_that_is_none_says_what_there_is(pond: Path):
    with pytest.raises(MischanceError, match="no default requirement of that name") as error:
        load(written(pond), without=["belou"])
    assert "below" in error.value.hint


@pytest.mark.parametrize("rest", ["", "require: {below: null, own: always level > 0}"])
def test_the_resolved_scenario_has_them_written_out_and_is_the_same_again(pond: Path, rest: str):
    scenario = load(written(pond, rest=rest))
    again = pond / "resolved.yaml"
    again.write_text(scenario.text().replace("inputs/", ""))
    asked = yaml.safe_load(again.read_text())["require"]
    assert asked["dry"] == "depth < 10 and always level < 5"
    assert asked["below"] == (None if rest else "always level < 2")
    other = load(again)
    assert (other.require, other.by_default) == (scenario.require, scenario.by_default)
    assert other.identity() == scenario.identity()


def test_of_several_worlds_each_brings_its_own_under_its_name(pond: Path):
    file = pond / "two.yaml"
    file.write_text(
        "mischance: 1\nname: own/two\nduration: 2 s\n"
        "worlds: {a: {kind: pond.py:Pond}, b: {kind: pond.py:Pond, level: 4}}\n"
        "require: {a_below: null}\n"
    )
    scenario = load(file)
    assert {name: one.text for name, one in scenario.require.items()} == {
        "a_dry": "a_depth < 10 and always a.level < 5",
        "b_dry": "b_depth < 10 and always b.level < 5",
        "b_below": "always b.level < 2",
    }
    row = row_of(scenario)
    assert (row["require.a_dry"], row["require.b_dry"], row["require.b_below"]) == (True, True, False)


def test_names_are_renamed_and_words_and_units_are_not():
    text = "always (m > 3 m/s and not s.always) until within 2 s m < abs(x2) + 1.5e3 m"
    assert renamed(text, lambda name: f"w.{name}") == (
        "always (w.m > 3 m/s and not w.s.always) until within 2 s w.m < abs(w.x2) + 1.5e3 m"
    )
    assert renamed("3 < x and 2 > y", lambda name: f"w.{name}") == "3 < w.x and 2 > w.y"
