"""Several worlds in one picture: each as it is drawn alone, moved aside, and nowhere over another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mischance.language.loading import load
from mischance.reports.replay.animation import replay_page
from mischance.reports.replay.run_view import run_view
from mischance.reports.replay.tracks import appearances, tracks
from mischance.reports.replay.worlds import OneWorld, side_by_side
from mischance.sweep import jobs


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pybullet")
    pytest.importorskip("simpy")
    out = tmp_path_factory.mktemp("worlds") / "data"
    jobs.sweep(load("robots/arm_slows_for_agv", {"duration": "2 s"}), 1, out, workers=0)
    return out


def test_every_world_is_drawn_as_it_is_alone_but_for_its_place(dataset: Path):
    found = side_by_side(dataset, 0, ["hall", "cell"])
    assert [one.world for one in found] == ["hall", "cell"]
    edges = []
    for one in found:
        data = OneWorld(dataset, one.world)
        alone, fine = tracks(data, 0, appearances(data, 0))
        assert [track.name for track in one.coarse] == [f"{one.world}.{track.name}" for track in alone]
        assert len(one.fine) == len(fine)
        shift = one.coarse[0].x[0] - alone[0].x[0], one.coarse[0].y[0] - alone[0].y[0]
        for mine, its in zip(one.coarse, alone, strict=True):
            np.testing.assert_allclose(mine.x - its.x, shift[0], rtol=0, atol=1e-9)
            np.testing.assert_allclose(mine.y - its.y, shift[1], rtol=0, atol=1e-9)
            np.testing.assert_array_equal(mine.yaw, its.yaw)
            assert (mine.look.kind, mine.look.length) == (its.look.kind, its.look.length)
        spots = np.concatenate([*(line.points for line in one.surface), *(
            np.stack([track.x, track.y], axis=1) for track in one.coarse
        )])  # fmt: skip
        assert one.surface
        edges.append((np.nanmin(spots[:, 0]), np.nanmax(spots[:, 0])))
    assert edges[0][1] + 1.0 < edges[1][0], "a gap between the two"


def test_the_view_has_the_bodies_and_charts_of_all_worlds(dataset: Path, tmp_path: Path):
    shown = run_view(dataset, 0, 600)
    of = {body.name.partition(".")[0] for body in shown.bodies}
    assert of == {"hall", "cell"}
    assert shown.bodies[0].name == "hall.agv1"
    assert any("each is a space of its own" in note for note in shown.notes)
    assert {chart.name.partition(".")[0] for chart in shown.series} == {"cell"}
    links = {name for link in shown.links for name in link.bodies}
    assert links
    assert all(name.startswith("cell.") for name in links)
    page = replay_page(dataset, 0, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "hall.agv1" in page
    assert "cell.gripper" in page


def test_one_world_has_its_own_tables_alone(dataset: Path):
    data = OneWorld(dataset, "cell")
    truth = {path for path in data.tables() if path.startswith("truth/")}
    assert "truth/motion" in truth
    assert "truth/actors" not in truth
    assert not [path for path in truth if "." in path]
