"""Runs that cannot share a batch come out of order: the dataset has them in order all the same, and replays them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mischance
from mischance.play.plugins import batches
from mischance.play.sampling import draw
from mischance.sweep.jobs import replay, sweep
from tests.support import wander

SKEW = "[{target: agent, kind: clock_skew, at: 1 s, severity: 0.2 s, chance: 0.4}]"


@pytest.mark.parametrize("twin", [False, True])
def test_runs_of_several_batches_stand_in_order_and_replay(tmp_path: Path, *, twin: bool) -> None:
    scenario = wander(faults=SKEW, duration="2 s", write="[parquet]")
    runs = np.arange(12)
    order = [i for batch in batches(scenario, draw(scenario, runs)) for i in batch]
    assert order != sorted(order), "else nothing is tried"
    sweep(scenario, 12, tmp_path / "whole", workers=0, twin=twin)
    sweep(scenario, 12, tmp_path / "parts", workers=0, twin=twin, shard=5)
    for name in ("whole", "parts"):
        data = mischance.open(tmp_path / name)
        assert data.table("runs")["run"].tolist() == runs.tolist()
        signal = data.table("signal")
        assert (np.diff(signal["run"]) >= 0).all()
        assert (np.diff(signal["t"])[np.diff(signal["run"]) == 0] > 0).all()
    assert mischance.open(tmp_path / "whole").table("signal").equals(mischance.open(tmp_path / "parts").table("signal"))
    for run in order[-2:]:
        assert replay(tmp_path / "whole", run).verdict == "identical"
