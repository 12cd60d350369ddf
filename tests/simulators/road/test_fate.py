"""A run goes on until the fate of the ego is known, whoever else has collided before."""

from __future__ import annotations

import numpy as np
import pytest

import mischance
from mischance.play.player import Player

SCENE = """
mischance: 1
name: tests/fate
duration: {duration} s
simulator:
  kind: road
  motion: false
  impact: {{model: {model}}}
  actors:
    ego: {{speed: 25 m/s, lane: 2}}
    a: {{speed: 12 m/s, lane: 1, station: 60 m}}
    b: {{speed: 4 m/s, lane: 1, station: 70 m}}
    wall: {{body: debris, speed: 0, lane: 2, station: 250 m}}
agent: {{kind: constant}}
event: {{name: collision, when: ego.contacts > 0, margin: min_gap}}
"""


@pytest.mark.parametrize("model", ["analytic", "bullet", "window"])
def test_a_contact_of_others_does_not_end_the_run(tmp_path, model):
    """a meets b after less than a second; the ego meets the wall after (250 - front to rear) / 25 s, near 10 s."""
    if model != "analytic":
        pytest.importorskip("pybullet")
    (tmp_path / "fate.yaml").write_text(SCENE.format(duration=16, model=model))
    scenario = mischance.load(tmp_path / "fate.yaml")
    with Player(scenario) as player:
        (record,) = [record for record in player.play(mischance.draw(scenario, [0])) if record.last]
    row = {name: values[0] for name, values in record.tables["runs"].columns.items()}
    assert row["event"]
    assert 9.0 < row["contact_time"] < 10.0
    assert record.end == pytest.approx(row["contact_time"] + 3.0, abs=0.02)  # the default of `settle`
    assert np.isfinite(row["margin"])
