"""A world of a user, with tables of its own, is drawn without anybody knowing it: page, film and preview."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import mischance
from mischance.language.loading import load
from mischance.reports.canvas import ALARM, GOOD
from mischance.reports.preview.picture import contact_sheet
from mischance.reports.replay.animation import replay_page, replay_video
from mischance.reports.replay.style import AREAS, ASPHALT, ROLES
from mischance.sweep.jobs import sweep
from tests.support import PLUGINS


@pytest.fixture(scope="module")
def towed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset of eight runs of the tow."""
    out = tmp_path_factory.mktemp("own") / "towed"
    sweep(load(PLUGINS / "tow.yaml"), 8, out)
    return out


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_the_page_shows_who_is_towed_where(towed: Path, tmp_path: Path):
    data = data_of(replay_page(towed, 0, tmp_path / "run.html"))
    assert [(body["name"], body["role"]) for body in data["bodies"]] == [("tug", "subject"), ("barge", "partner")]
    assert [link["bodies"] for link in data["links"]] == [["tug", "barge"]]
    assert data["links"][0]["width"] == 0.7  # a bar, a tenth of the narrower of the two
    (lock,) = [np.array(line["points"]) for line in data["ground"] if line["kind"] == "obstacle"]
    assert (lock.min(axis=0).tolist(), lock.max(axis=0).tolist()) == ([115.0, 19.0], [145.0, 31.0])
    (zone,) = [np.array(line["points"]) for line in data["ground"] if line["kind"] == "zone"]
    assert (zone.min(axis=0).tolist(), zone.max(axis=0).tolist()) == ([40.0, -15.0], [80.0, 15.0])
    t, tug = np.array(data["t"]), data["bodies"][0]
    offset = float(mischance.open(towed).table("runs")["offset"].iloc[0])
    bend = t > 5.0  # from there on about the point (100, 200)
    assert bend.sum() > 20
    x, y = np.array(tug["x"])[bend], np.array(tug["y"])[bend]
    np.testing.assert_allclose(np.hypot(x - 100.0, y - 200.0), 200.0 - offset, atol=0.02)


def test_the_film_is_drawn(towed: Path, tmp_path: Path):
    film = cv2.VideoCapture(str(replay_video(towed, 0, tmp_path / "run.mp4")))
    assert int(film.get(cv2.CAP_PROP_FRAME_COUNT)) == pytest.approx(8 * 25, abs=1)


def test_the_preview_shows_canal_zone_and_tow(towed: Path, tmp_path: Path):
    image = cv2.imread(str(contact_sheet(towed, tmp_path / "sheet.png")))
    assert image is not None

    def pixels(color: tuple[int, int, int]) -> int:
        return int((np.abs(image.astype(int) - color).max(axis=2) <= 2).sum())

    assert pixels(ASPHALT) > 20_000
    assert pixels(ROLES["subject"]) > 300
    assert pixels(AREAS["obstacle"]) > 300
    assert min(pixels(ALARM), pixels(GOOD)) > 300  # some runs go aground
