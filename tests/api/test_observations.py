"""What one run's agent sees, in words and numbers, and what becomes of its answers."""

from __future__ import annotations

import numpy as np
import pytest

from mischance.api.observations import commands_of, function_agent, observation
from mischance.api.runs import Reading
from mischance.api.scene import Frames
from mischance.api.tables import Column, Table
from mischance.errors import RunError

COMMANDS = {
    "car": Column("category", names=("ego", "other")),
    "force": Column(),
    "gear": Column("int64"),
    "note": Column("text"),
}


def test_an_agent_sees_its_own_rows_in_words():
    schema = {"t": Column(unit="s"), "kind": Column("category", names=("a", "b"))}
    table = Table.of(schema, [{"t": [0.1], "kind": [0]}, {"t": [0.2, 0.3], "kind": [1, -1]}])
    image = Frames(np.array([0.3]), {"rgb": np.full((1, 2, 2, 3), 7, np.uint8)}, np.array([3]))
    seen = observation({"m": Reading({"": table}), "n": Reading({"x": table}, (image, image))}, 1)
    assert {key: value.tolist() for key, value in seen["m"].items()} == {"t": [0.2, 0.3], "kind": ["b", None]}
    assert seen["n"]["x"]["kind"].tolist() == ["b", None]
    assert seen["n"]["rgb"].shape == (1, 2, 2, 3)
    assert set(seen["n"]) == {"x", "rgb"}
    assert Reading.of(np.array([1.0, 2.0]), [np.ones((2, 3)), np.zeros((1, 3))], "m").tables[""].offsets.tolist() == [
        0,
        2,
        3,
    ]


def test_answers_become_rows_with_defaults_and_zeros():
    live = np.array([True, True, False, True])
    answers = [{"force": 2}, [{"car": "other", "gear": 3}, {"note": 5}], None, []]
    commands = commands_of(answers, COMMANDS, live, {"car": "ego", "force": 0.5})
    rows = [commands.table.run(i) for i in range(4)]
    assert [rows[0][name].tolist() for name in COMMANDS] == [[0], [2.0], [0], [""]]
    assert [rows[1][name].tolist() for name in COMMANDS] == [[1, 0], [0.5, 0.5], [3, 0], ["", "5"]]
    assert [len(row["car"]) for row in rows] == [1, 2, 0, 0]
    assert commands.live.tolist() == live.tolist()
    doubled = commands_of([{"force": 2}], COMMANDS, live[:1], {"car": "ego"}, lambda row: {**row, "gear": 4})
    assert doubled.table.columns["gear"].tolist() == [4]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (3, "an agent answered 3"),
        ("ab", "an agent answered 'ab'"),
        ([{}, 7], "an agent answered 7"),
        ({"speed": 1, "brake": 2}, "an agent commands 'brake'"),
        ({"car": "bus"}, "commands car = 'bus'"),
        ({"force": "much"}, "commands force = 'much' for ego, which is not one number"),
        ({"force": [1, 2]}, "which is not one number"),
        ({"gear": "x", "car": "other"}, "commands gear = 'x' for other"),
    ],
)
def test_an_answer_that_is_none_is_told_with_what_it_holds(answer: object, words: str):
    with pytest.raises(RunError, match=words):
        commands_of([answer], COMMANDS, np.array([True]), {"car": "ego"})  # type: ignore[list-item]


def test_a_function_is_asked_for_living_runs_alone():
    asked: list[float] = []

    def drive(seen: dict[str, object], t: float) -> dict[str, float]:
        """Drive."""
        asked.append(t)
        return {"force": float(len(asked))}

    made = function_agent(drive)
    assert (made.__name__, made.__doc__) == ("drive", "Drive.")
    assert made().act({}, 2.5, np.array([True, False, True])) == [{"force": 1.0}, None, {"force": 2.0}]
    assert asked == [2.5, 2.5]
    drive.batch = 3  # type: ignore[attr-defined]
    assert function_agent(drive).batch == 3
