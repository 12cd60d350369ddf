"""The cause of an encounter is what brought somebody into the way, at its own time, not what it did when it was met."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw
from tests.support import rows_of

SCENE = """
mischance: 1
name: tests/causes
duration: 12 s
simulator:
  kind: road
  motion: false
  road: {{lanes: 2}}
  actors:
    ego: {{speed: {speed} m/s, lane: 1}}
    other: {other}
agent: {{kind: constant}}
"""
# 7.5 m beside the middle of the ego's lane; it stops on the way
DEER = "{{body: animal, speed: 0, lane: 1, offset: -7.5 m, gap: 120 m, behaviour: [{moves}]}}"
OUT = "{{kind: dart_out, at: 1 s, speed: 8 m/s, acceleration: 5 m/s2, stop_after: {stop} m}}"
ON = "{{kind: dart_out, speed: 8 m/s, acceleration: 5 m/s2, at: 1.5 s, when: {{ttc: {ttc} s}}}}"


def played(folder: Path, other: str, speed: float = 20.0) -> tuple[dict[str, Any], Any, Any, list[Any]]:
    """Return the row of `runs`, times and speeds of the other actor, and the events as (id, parent, kind, t)."""
    file = folder / "causes.yaml"
    file.write_text(SCENE.format(other=other, speed=speed))
    records = list(play(load(file), draw(load(file), [0])))
    rows = rows_of(records[:-1], "truth/actors")
    mine = rows["actor"] == 1
    events = rows_of(records[:-1], "events")
    names = ("event_id", "parent_id", "kind", "t")
    told = list(zip(*(events[name].tolist() for name in names), strict=True))
    row = {name: values[0] for name, values in records[-1].tables["runs"].run(0).items()}
    return row, rows["t"][mine], rows["speed"][mine], told


def since(t: Any, speed: Any, until: float) -> float:
    """Return when somebody came to stand that stood at `until`, to a row of the table (0.05 s)."""
    moved = t[(speed >= 0.1) & (t < until)]
    return float(moved[-1])


@pytest.mark.parametrize("ttc", [None, 0.05, 0.3])
def test_who_stood_in_the_way_was_brought_there_by_its_first_manoeuvre(tmp_path, ttc):
    moves = OUT.format(stop=7.5) + (", " + ON.format(ttc=ttc) if ttc else "")
    row, t, speed, events = played(tmp_path, DEER.format(moves=moves))
    assert row["event"], "it stands in the middle of the lane"
    begun = [one for one in events if one[2] == "dart_out"]
    assert len(begun) == 1 + (ttc is not None)
    assert begun[0][3] == 1.0
    (contact,) = [one for one in events if one[2] == "contact"]
    assert contact[1] == begun[0][0], "the parent of the contact is the first"
    met = float(row["contact_time"])
    left = begun[1][3] if ttc else met  # it stood until then
    stood = re.search(r"other darted out at 1\.00 s .*, and had stood for ([\d.]+) s since ([\d.]+) s", row["reason"])
    assert stood, row["reason"]
    assert float(stood[2]) == pytest.approx(since(t, speed, left), abs=0.06)
    assert float(stood[1]) == pytest.approx(met - float(stood[2]), abs=0.06)
    labels = [one for one in events if one[2] == "contact"]
    assert labels[0][3] == pytest.approx(met)


def test_who_stood_beside_the_way_came_into_it_by_its_last_manoeuvre(tmp_path):
    """It stops 3.5 m short of the ego's path and runs on 0.5 s before the ego is there."""
    moves = OUT.format(stop=4.0) + ", " + ON.format(ttc=0.9)
    row, _, _, events = played(tmp_path, DEER.format(moves=moves))
    assert row["event"]
    begun = [one for one in events if one[2] == "dart_out"]
    assert f"other darted out at {begun[1][3]:.2f} s" in row["reason"]
    assert "had stood" not in row["reason"].partition(";")[0]
    (contact,) = [one for one in events if one[2] == "contact"]
    assert contact[1] == begun[1][0]


def test_who_stands_for_less_than_a_second_is_not_said_to_have_stood(tmp_path):
    moves = OUT.format(stop=7.5)
    row, t, speed, _ = played(tmp_path, DEER.format(moves=moves).replace("120 m", "58 m"))
    met = float(row["contact_time"])
    assert met - since(t, speed, met) < 1.0
    assert "other darted out at 1.00 s" in row["reason"]
    assert "had stood" not in row["reason"]


def test_a_car_that_braked_to_a_stop_is_an_obstacle_too(tmp_path):
    car = "{speed: 20 m/s, gap: 60 m, behaviour: [{kind: brake, at: 0.5 s, deceleration: 6 m/s2, to: 0 m/s}]}"
    row, t, speed, _ = played(tmp_path, car)
    met = float(row["contact_time"])
    stood = re.search(
        r"other braked with 6\.0 m/s2 at 0\.50 s .*, and had stood for ([\d.]+) s since ([\d.]+) s", row["reason"]
    )
    assert stood, row["reason"]
    assert float(stood[2]) == pytest.approx(since(t, speed, met), abs=0.06)


def test_a_car_that_was_parked_in_the_lane_and_moves_off_at_the_last_moment_stood_in_the_way(tmp_path):
    off = "{kind: accelerate, when: {ttc: 0.1 s}, acceleration: 2 m/s2, to: 5 m/s}"
    car = f"{{speed: 0 m/s, gap: 100 m, behaviour: [{off}]}}"
    row, _, _, events = played(tmp_path, car)
    assert row["event"]
    assert any(one[2] == "accelerate_start" for one in events)
    assert row["reason"].startswith("collision: other stood in the way; ")
    (contact,) = [one for one in events if one[2] == "contact"]
    assert contact[1] == ""


def test_the_labels_name_what_brought_it_there(tmp_path):
    moves = OUT.format(stop=7.5) + ", " + ON.format(ttc=0.05)
    file = tmp_path / "causes.yaml"
    file.write_text(SCENE.format(other=DEER.format(moves=moves), speed=20.0))
    records = list(play(load(file), draw(load(file), [0])))
    events = rows_of(records[:-1], "events")
    first = events["event_id"][np.argmax(events["kind"] == "dart_out")]
    (causes,) = records[-1].tables["labels"].run(0)["causes"]
    assert json.loads(causes)[1] == first


def test_without_a_contact_it_is_said_too(tmp_path):
    """The deer stands in the way; the driver brakes to a stop before it."""
    text = SCENE.replace("{{kind: constant}}", "{{kind: idm}}")
    file = tmp_path / "causes.yaml"
    file.write_text(text.format(other=DEER.format(moves=OUT.format(stop=7.5)), speed=20.0))
    records = list(play(load(file), draw(load(file), [0])))
    rows = rows_of(records[:-1], "truth/actors")
    mine = rows["actor"] == 1
    row = {name: values[0] for name, values in records[-1].tables["runs"].run(0).items()}
    assert not row["event"]
    assert row["ego.max_brake"] > 1.0
    stood = re.match(
        r"no contact: other darted out at 1\.00 s .*, and had stood for [\d.]+ s since ([\d.]+) s; ", row["reason"]
    )
    assert stood, row["reason"]
    assert float(stood[1]) == pytest.approx(since(rows["t"][mine], rows["speed"][mine], 12.0), abs=0.06)
