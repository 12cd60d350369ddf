"""A run as a page and as a film: what they show is what is stored, and a page asks nothing of anybody."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mischance
from mischance.api.appearance import BODY_KINDS, BOX, LINE_KINDS, OTHER, SUBJECT, bodies_schema, body_row
from mischance.api.arrow import arrow_batch
from mischance.api.labels import table_of_rows
from mischance.api.tables import Table
from mischance.errors import DatasetError
from mischance.language.loading import load
from mischance.opening.reading import Dataset
from mischance.reports.replay.animation import LARGEST, replay_page, replay_video
from mischance.reports.replay.captions import moments
from mischance.reports.replay.charts import nearness, series
from mischance.reports.replay.ground import grip, inside
from mischance.reports.replay.model import Body
from mischance.reports.replay.outlines import _KINDS, silhouette
from mischance.reports.replay.run_view import links_of, run_view, unnamed_in
from mischance.reports.replay.style import fill, glaze
from mischance.reports.replay.tracks import Appearance, Track
from mischance.simulators.road.outline import lanes_table
from mischance.simulators.road.settings import Settings
from mischance.sweep.jobs import sweep
from tests import shell

HOSTILE = "<script>document.title='owned'</script>\"'&</style>]]>-->"


@pytest.fixture(scope="module")
def crash(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a dataset of one run in which two cars touch."""
    out = tmp_path_factory.mktemp("replay") / "crash"
    sweep(load("driving/cut_in:crash", {"sensors": "{}", "faults": "[]"}), 1, out)
    return out


def store(dataset: Path, name: str, columns: dict[str, Any], **roles: str) -> None:
    (dataset / name).mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    fields = [field.with_metadata({"role": roles.get(field.name, "")}) for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields)), dataset / name / "000000000-000000063.parquet")


def store_table(dataset: Path, name: str, table: Table) -> None:
    (dataset / name).mkdir(parents=True, exist_ok=True)
    batch = arrow_batch(table, np.arange(table.runs))
    pq.write_table(pa.Table.from_batches([batch]), dataset / name / "000000000-000000063.parquet")


def made(dataset: Path, name: str = "test/made", frames: int = 50, **scenario: Any) -> Path:
    """Write a dataset by hand: two bodies called like an attack, and an event and a label that are no kinder."""
    dataset.mkdir(parents=True)
    words = {"mischance": 1, "name": name, "about": HOSTILE, "seed": 7, "vary": {HOSTILE: 1}, **scenario}
    (dataset / "scenario.yaml").write_text(json.dumps(words))
    t = np.linspace(0.0, 4.0, frames)
    store(
        dataset,
        "truth/drones",
        {
            "run": np.zeros(2 * frames, np.int64),
            "t": np.repeat(t, 2),
            "drone": [HOSTILE, "<img src=x onerror=alert(1)>"] * frames,
            "x": np.stack([t, 4.0 - t], axis=1).ravel(),
            "y": np.zeros(2 * frames),
            "z": np.stack([5.0 - t, np.full(frames, 3.0)], axis=1).ravel(),
        },
        drone="entity",
    )
    store(dataset, "runs", {"run": [0], HOSTILE: [1.5], "event": [True], "verdict": [HOSTILE], "reason": [HOSTILE]})
    event = {"run": [0], "t": [2.0], "event_id": ["event:0"], "parent_id": [""], "kind": [HOSTILE]}
    store(dataset, "events", {**event, "subject": [HOSTILE], "details": [json.dumps({HOSTILE: HOSTILE})]})
    times = {"t_cause": [1.0], "t_effect": [1.5], "t_observable": [None], "t_end": [3.0], "t_reported": [None]}
    label = {"run": [0], "label_id": ["x:0"], "class": ["fault/" + HOSTILE], "target": [HOSTILE], "severity": [0.5]}
    columns = {**label, **times, "causes": ["not JSON <"], "role": ["fault"], "twin": [""]}
    store(dataset, "labels", {k: pa.array(v, pa.float64()) if k.startswith("t_") else v for k, v in columns.items()})
    return dataset


ROAD = {
    "lanes": 2,
    "lane_width": 3.5,
    "length": 60.0,
    "line": [{"length": 40.0}, {"length": 31.4159265, "radius": 20.0}],  # a quarter turn to the left
    "patches": [{"start": 5.0, "end": 15.0, "friction": 0.1, "right": -100.0, "left": 3.5}],
    "crossings": {"side": {"at": 25.0, "angle": np.pi / 2.0, "lanes": 2, "lane_width": 3.0, "reach": 30.0}},
}


def paved(dataset: Path, road: dict[str, Any], friction: float = 0.8) -> None:
    """Write the tables `lanes` and `bodies` of a road on which a car and a cyclist are."""
    settings = Settings.model_validate({"road": road, "friction": friction, "actors": {"ego": {"speed": 0.0}}})
    store_table(dataset, "truth/lanes", lanes_table([settings]))
    schema = bodies_schema(("car", "cyclist"), ("rider", "ego"))
    rows = [
        body_row(schema, "rider", "cyclist", OTHER, BOX, (1.8, 0.6, 1.75)),
        body_row(schema, "ego", "car", SUBJECT, BOX, (4.5, 1.8, 1.5), braking=10.0),
    ]
    store_table(dataset, "truth/bodies", table_of_rows(schema, [rows]))


def driven(dataset: Path) -> Path:
    """Write a dataset by hand: a car that reverses, a cyclist, and a planned turn to the left with a radius of 10 m."""
    dataset.mkdir(parents=True)
    (dataset / "scenario.yaml").write_text(json.dumps({"mischance": 1, "name": "test/driven"}))
    paved(dataset, ROAD)
    t = np.linspace(0.0, 2.0, 41)
    two = np.repeat(t, 2)
    store(
        dataset,
        "truth/actors",
        {
            "run": np.zeros(82, np.int64), "t": two, "actor": ["ego", "rider"] * 41,
            "x": np.stack([30.0 + 3.0 * t, np.full(41, 36.0)], axis=1).ravel(),
            "y": np.stack([np.full(41, 1.75), 10.0 - 2.0 * t], axis=1).ravel(),
            "yaw": np.tile([np.pi, -np.pi / 2.0], 41), "speed": np.tile([-3.0, 2.0], 41),
            "vx": np.tile([3.0, 0.0], 41), "vy": np.tile([0.0, -2.0], 41),
            "gap": np.full(82, np.inf), "ttc": pa.array([None, np.inf] * 41, pa.float64()),
        },
        actor="entity",
    )  # fmt: skip
    pieces = {"x": [20.0, 30.0, 40.0], "y": [1.75, 1.75, 11.75], "heading": [0.0, 0.0, np.pi / 2.0]}
    ways = {"way": [0.0, 10.0, 10.0 + 5.0 * np.pi], "length": [10.0, 5.0 * np.pi, 1e9], "curvature": [0.0, 0.1, 0.0]}
    row = {"run": [0] * 3, "t": [0.0] * 3, "actor": ["ego"] * 3, "path": [0] * 3, "piece": [0, 1, 2]}
    store(dataset, "truth/paths", {**row, **pieces, **ways, "offset": [1.0] * 3})
    store(dataset, "runs", {"run": [0], "event": [False], "verdict": ["no contact"], "reason": ["nothing happened"]})
    return dataset


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_a_page_shows_what_is_stored(crash: Path, tmp_path: Path):
    data = data_of(replay_page(crash, 0, tmp_path / "out.html"))
    dataset = mischance.open(crash)
    actors, contacts = dataset.table("actors"), dataset.table("contacts")
    t = np.array(data["t"])
    assert (np.diff(t) > 0.0).all()
    assert t[0] == 0.0
    assert t[-1] >= actors["t"].max() - 1e-3
    assert {body["name"] for body in data["bodies"]} == set(actors["actor"])
    assert data["bodies"][0]["role"] == "subject"
    for body in data["bodies"]:
        rows = actors[actors["actor"] == body["name"]]
        assert [body["length"], body["width"]] == [rows["length"].iloc[0], rows["width"].iloc[0]]
        for axis in "xy":
            shown = np.interp(rows["t"], t, np.array(body[axis]))
            np.testing.assert_allclose(shown, rows[axis], atol=0.006)  # written to the centimetre
    first = contacts["t"].min()
    assert data["contacts"][0]["t"] == pytest.approx(first, abs=1e-4)
    gap = np.array(next(row for row in data["series"] if row["name"] == "gap")["lines"][0]["values"])
    assert (gap[t < first - 0.01] > 0.0).all()
    assert abs(gap[np.argmin(np.abs(t - first))]) <= 0.02
    ttc = next(row for row in data["series"] if row["name"] == "TTC")["lines"][0]["values"]
    near = [(now, value) for now, value in zip(t, ttc, strict=True) if value is not None]
    assert near
    assert max(now for now, _ in near) <= first + 1e-3
    assert near[-1][1] <= 0.02
    words = html.unescape((tmp_path / "out.html").read_text())
    assert dataset.table("runs")["reason"].iloc[0] in words


def test_a_page_is_one_file_that_may_ask_for_nothing(crash: Path, tmp_path: Path):
    page = replay_page(crash, 0, tmp_path / "one.html")
    text = page.read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert html.unescape(policy[1]).startswith("default-src 'none'; ")
    assert "unsafe" not in policy[1]
    for element in ("script", "style"):
        inside = re.search(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        assert inside
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in html.unescape(policy[1])
    assert not re.search(r"""(src|href)\s*=|url\(|@import|https?://|\son\w+=|\sstyle=""", text)
    assert len(text.encode()) < 200_000
    assert replay_page(crash, 0, tmp_path / "two.html").read_bytes() == page.read_bytes()


def test_strings_stay_strings(tmp_path: Path):
    page = replay_page(made(tmp_path / "made", HOSTILE), 0, tmp_path / "out.html")
    text = page.read_text()
    assert text.count("<script") == 2
    assert text.count("</style>") == 1
    assert "<img" not in text
    assert data_of(page)["bodies"][0]["name"] == HOSTILE


def test_bodies_of_any_table_with_positions(tmp_path: Path):
    data = data_of(replay_page(made(tmp_path / "made"), 0, tmp_path / "out.html"))
    assert [body["round"] for body in data["bodies"]] == [True, True]
    rows = {row["name"]: row["lines"][0]["values"] for row in data["series"]}
    assert set(rows) == {"gap", "speed", "acceleration", "height"}
    t = np.array(data["t"])
    np.testing.assert_allclose(rows["gap"], np.hypot(4.0 - 2.0 * t, 2.0 - t), atol=0.01)
    np.testing.assert_allclose(rows["speed"], 1.0, atol=0.01)  # on the ground: a table without vz knows no more


def test_every_kind_of_the_contract_has_a_drawing():
    assert set(_KINDS) == set(BODY_KINDS)


@pytest.mark.parametrize("kind", [*_KINDS, "", "submarine"])
def test_a_body_is_drawn_as_large_as_it_is(kind: str):
    length, width = (5.0, 2.0) if kind != "drone" else (2.0, 2.0)
    points = np.concatenate([part.points for part in silhouette(kind, length, width)])
    np.testing.assert_allclose(np.ptp(points, axis=0), [length, width], rtol=0.03)
    np.testing.assert_allclose(points.max(axis=0) + points.min(axis=0), 0.0, atol=0.06)


def test_a_run_without_motion_is_drawn_as_the_same_run_with_it(crash: Path, tmp_path: Path):
    """Rows come 20 times a second; between them, and through contacts, the picture must not guess wrong."""
    settings = {"sensors": "{}", "faults": "[]", "simulator.motion": "false"}
    sweep(load("driving/cut_in:crash", settings), 1, tmp_path / "bare")
    assert not (tmp_path / "bare" / "truth" / "motion").exists()
    whole, bare = run_view(crash, 0, 200_000), run_view(tmp_path / "bare", 0, 200_000)
    assert [body.name for body in bare.bodies] == [body.name for body in whole.bodies]
    shared = np.isin(whole.t, bare.t)
    assert shared.sum() > 40
    t = whole.t
    first = whole.contacts[0].t
    for one, other in zip(whole.bodies, bare.bodies, strict=True):
        for axis in ("x", "y", "yaw"):
            shown = np.interp(t, bare.t, getattr(other, axis))
            np.testing.assert_allclose(shown, getattr(one, axis), atol=0.03 if axis == "x" else 0.02)
    gap = next(row for row in bare.series if row.name == "gap").lines[0][2]
    assert abs(gap[np.argmin(np.abs(bare.t - first))]) < 0.002
    assert gap.min() > -0.03


def test_who_reverses_has_its_rear_ahead_and_keeps_its_way(tmp_path: Path):
    data = data_of(replay_page(driven(tmp_path / "made"), 0, tmp_path / "out.html"))
    ego = data["bodies"][0]
    assert (ego["kind"], data["bodies"][1]["kind"]) == ("car", "cyclist")
    assert ego["speed"] == [-3.0] * 41
    assert ego["x"][-1] > ego["x"][0]
    assert abs(ego["yaw"][0]) == pytest.approx(np.pi, abs=1e-3)
    (way,) = data["paths"]
    points = np.array(way["points"])
    arc = points[(points[:, 0] > 30.0) & (points[:, 1] < 11.75)]
    assert len(arc) > 5
    np.testing.assert_allclose(np.hypot(*(arc - [30.0, 11.75]).T), 10.0 - 1.0, atol=0.01)  # a metre to its left
    np.testing.assert_allclose(points[points[:, 1] > 11.75][:, 0], 39.0, atol=0.01)


def test_the_road_is_where_its_settings_say(tmp_path: Path):
    run = run_view(driven(tmp_path / "made"), 0, 100)
    areas = [line.points for line in run.ground if line.kind == "lane"]
    (patch,) = [line for line in run.ground if line.kind == "patch"]
    assert patch.friction == 0.1
    assert [bool(inside(patch.points, x, y)) for x, y in ((10.0, 1.0), (10.0, 3.6), (4.0, 1.0))] == [True, False, False]
    centre, turn = np.array([40.0, 20.0]), np.radians([20.0, 45.0, 70.0])
    for radius, on in ((20.2, False), (19.8, True), (13.2, True), (12.8, False)):
        x, y = (centre + radius * np.stack([np.sin(turn), -np.cos(turn)], axis=1)).T
        assert (np.any([inside(area, x, y) for area in areas], axis=0) == on).all(), radius
    assert any(inside(area, 25.0, -20.0) for area in areas)  # the crossing road, 25 m along
    for line in run.ground:  # nothing is painted where another road goes through
        if line.kind in ("edge", "divider"):
            middle = 0.5 * (line.points[:-1] + line.points[1:])
            assert sum(inside(area, *middle.T).astype(int) for area in areas).max() <= 1


def standing(x: Any, y: Any, **look: Any) -> Track:
    t, zeros = np.arange(float(len(x))), np.zeros(len(x))
    return Track(Appearance("ego", "car", length=4.5, width=1.8, **look), t, x, y, *[zeros] * 7)


def test_the_grip_limit_is_that_of_the_ground(tmp_path: Path):
    """Beside the lanes too, from a patch's start until before its end, behind a bend; not while a fault acts on it."""
    dataset = driven(tmp_path / "made")
    paved(dataset, {**ROAD, "patches": [
        {"start": 5.0, "end": 15.0, "friction": 0.1, "right": -100.0, "left": 100.0},
        {"start": 75.0, "end": 85.0, "friction": 0.3, "right": -2.0, "left": 1.0},
    ]})  # fmt: skip
    x = np.array([4.9, 5.0, 10.0, 10.0, 14.9, 15.0, 60.5, 57.9, 40.0 + 20.0, 10.0])
    y = np.array([0.0, 9.0, -50.0, 40.0, 0.0, 0.0, 30.0, 30.0, 20.0, -101.0])
    track, opened = standing(x, y), Dataset(dataset)
    expected = np.array([0.8, 0.1, 0.1, 0.1, 0.1, 0.8, 0.3, 0.8, 0.8, 0.8])
    assert grip(opened, 0, {}, track) == pytest.approx(expected)
    found = {"class": ["fault/road/friction"], "role": ["fault"], "t_cause": [4.5], "t_end": [6.5]}
    expected[5:7] = np.nan
    labels = {name: np.array(values) for name, values in found.items()}
    assert grip(opened, 0, labels, track) == pytest.approx(expected, nan_ok=True)
    (wide, _) = [line for line in run_view(dataset, 0, 100).ground if line.kind == "patch"]
    assert wide.points[:, 1].min() == -100.0
    assert wide.points[:, 1].max() == 100.0
    shutil.rmtree(dataset / "truth" / "lanes")
    assert grip(Dataset(dataset), 0, {}, track) is None


def test_what_has_no_area_is_no_mishap():
    image = np.zeros((20, 20, 3), np.uint8)
    for points in (np.zeros((0, 2)), np.ones((1, 2)), np.full((4, 2), np.nan)):
        fill(image, points, (255, 255, 255))
        glaze(image, points, (255, 255, 255), 0.5)
        glaze(image, points, (255, 255, 255), 0.5, strip=True)

    assert not image.any()


def test_a_line_that_ends_before_it_begins_is_not_drawn(tmp_path: Path):
    dataset = driven(tmp_path / "made")
    settings = Settings.model_validate({"road": ROAD, "actors": {"ego": {"speed": 0.0}}})
    table = lanes_table([settings])
    patch = table.columns["kind"] == LINE_KINDS.index("patch")
    ends = np.where(patch, table.columns["begin"] - 1.0, table.columns["end"])
    store_table(dataset, "truth/lanes", Table(table.schema, {**table.columns, "end": ends}, table.offsets))
    assert not [one for one in run_view(dataset, 0, 100).ground if one.kind == "patch"]
    assert replay_page(dataset, 0, tmp_path / "out.html").is_file()


def test_a_line_without_end_is_drawn_beyond_everybody(tmp_path: Path):
    dataset = driven(tmp_path / "made")
    paved(dataset, {"lanes": 1})
    (lane,) = [one.points for one in run_view(dataset, 0, 100).ground if one.kind == "lane"]
    assert lane[:, 0].min() < -100.0  # the car drives from x = 30 m on
    assert 100.0 < lane[:, 0].max() < 1000.0


def test_many_equal_events_are_one_moment():
    n = 80
    texts = {"kind": ["follow start"] * n + ["contact"], "subject": [f"car{i}" for i in range(n)] + ["car1"]}
    ids = {"event_id": [f"e{i}" for i in range(n + 1)], "parent_id": [""] * n + ["e7"], "details": ["{}"] * (n + 1)}
    events = {name: np.array(values, object) for name, values in {**texts, **ids}.items()}
    first, second = moments({**events, "t": np.array([0.0] * n + [2.0])}, {})
    assert first.title == "follow start (× 80)"
    assert first.words.startswith("car0, car1")
    assert (second.title, second.cause) == ("car1: contact", 0)


def test_who_is_out_of_reach_is_near_nobody():
    zeros = np.zeros(4)
    one = replace(standing(zeros, zeros, shape="cylinder"), away=np.array([True, False, False, True]))
    two = standing(zeros + 9.0, zeros, shape="cylinder")
    assert nearness(one, two) == pytest.approx([np.nan, 4.5, 4.5, np.nan], nan_ok=True)


def test_round_bodies_are_round_and_spheres_meet_in_space():
    disc, ball = (
        standing(np.zeros(1), np.zeros(1), shape="cylinder"),
        standing(np.zeros(1), np.zeros(1), shape="sphere"),
    )
    aslant = replace(disc, x=disc.x + 3.0, y=disc.y + 4.0)
    assert nearness(disc, aslant) == pytest.approx([0.5])  # the boxes around them would overlap
    assert nearness(ball, replace(aslant, z=aslant.z + 12.0)) == pytest.approx([13.0 - 4.5])
    nobody_says = replace(ball, look=replace(ball.look, sized=False))
    assert nearness(nobody_says, replace(nobody_says, x=ball.x + 3.0)) == pytest.approx([3.0])


def test_the_braking_that_is_needed_loses_the_closing_speed_over_the_gap():
    t = np.linspace(0.0, 1.0, 11)
    ahead = standing(60.0 + 0.0 * t, 0.0 * t, shape="box", braking=10.0)
    subject = replace(ahead, x=20.0 * t, vx=20.0 + 0.0 * t)
    bodies = [Body(name, "car", role, 4.5, 1.8, False, (), one.x, one.y, one.yaw, one.speed, one.acceleration)
              for name, role, one in (("ego", "subject", subject), ("other", "partner", ahead))]  # fmt: skip
    rows = {row.name: row for row in series(t, [subject, ahead], bodies, 1, (), np.full(11, 0.5))}
    gap = 60.0 - 4.5 - 20.0 * t
    np.testing.assert_allclose(rows["gap"].lines[0][2], gap)
    np.testing.assert_allclose(rows["TTC"].lines[0][2], gap / 20.0)
    need = next(values for whose, _, values in rows["acceleration"].lines if whose == "needed")
    np.testing.assert_allclose(need, -(20.0**2) / (2.0 * gap))
    assert [level for level, _ in rows["acceleration"].limits] == pytest.approx([-0.5 * 9.80665])
    dry = {row.name: row for row in series(t, [subject, ahead], bodies, 1, (), np.full(11, 2.0))}
    assert [level for level, _ in dry["acceleration"].limits] == [-10.0]  # the brakes give less than the grip


def test_a_chain_is_named_by_its_end_and_ends_by_whom_they_share():
    parents = {"shoulder": "", "forearm": "shoulder", "hand": "forearm", "thumb": "hand", "finger": "hand", "box": ""}
    zeros = np.zeros(3)
    bodies = [
        replace(
            standing(zeros, zeros), look=Appearance(name, length=0.2, width=0.1, parent=parent), level=name == "box"
        )
        for name, parent in parents.items()
    ]
    links = links_of(bodies)
    assert [link.bodies for link in links] == [
        ("shoulder", "forearm"), ("forearm", "hand"), ("hand", "thumb"), ("hand", "finger")
    ]  # fmt: skip
    assert {link.width for link in links} == {0.1}
    assert unnamed_in(links, bodies) == {"shoulder", "forearm", "thumb", "finger"}
    assert unnamed_in(links_of(bodies[:3]), bodies[:3]) == {"shoulder", "forearm"}
    upright = [replace(body, level=True) for body in bodies]
    assert unnamed_in(links_of(upright), upright) == set()
    assert [link.width for link in links_of(upright)] == pytest.approx([0.01] * 4)


def test_a_damaged_file_is_named(tmp_path: Path):
    dataset = driven(tmp_path / "made")
    (file,) = (dataset / "truth" / "actors").glob("*.parquet")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DatasetError, match="cannot be read") as error:
        replay_page(dataset, 0, tmp_path / "out.html")
    assert file.name in error.value.message
    assert "mischance verify" in error.value.hint


def test_what_happened_names_its_cause(crash: Path, tmp_path: Path):
    data = data_of(replay_page(crash, 0, tmp_path / "out.html"))
    contact = next(mark for mark in data["moments"] if mark["kind"] == "contact")
    cause = data["moments"][contact["cause"]]
    assert cause["title"] == "intruder: lane change start"
    assert cause["t"] < contact["t"]
    row = mischance.open(crash).table("contacts").iloc[0]
    shown = data["contacts"][0]
    np.testing.assert_allclose(shown["impulse"], row[["impulse_x", "impulse_y"]].astype(float))
    np.testing.assert_allclose(shown["normal"], row[["normal_x", "normal_y"]].astype(float))
    assert f"closing at {row['closing_speed']:.1f} m/s" in shown["words"]
    assert f"Δv of ego {row['delta_v_a']:.1f} m/s" in shown["words"]


def test_a_long_run_is_thinned_and_says_so(tmp_path: Path):
    page = replay_page(made(tmp_path / "made", frames=40_000), 0, tmp_path / "out.html")
    assert page.stat().st_size <= LARGEST
    assert "one sample in" in page.read_text()
    assert data_of(page)["t"][-1] == 4.0


@pytest.mark.parametrize(
    ("out", "run", "hint"),
    [("x.html", 3, "has no run 3"), ("x.pdf", 0, "end in .html"), ("made/x.html", 0, "inside the dataset")],
)
def test_what_cannot_be_drawn_is_said_in_one_line(tmp_path: Path, out: str, run: int, hint: str):
    made(tmp_path / "made")
    with pytest.raises(DatasetError, match=hint) as caught:
        replay_page(tmp_path / "made", run, tmp_path / out)
    assert "\n" not in caught.value.message
    assert not (tmp_path / out).exists()


def test_a_dataset_without_positions_points_to_its_preview(tmp_path: Path):
    shutil.rmtree(made(tmp_path / "made") / "truth")
    store(tmp_path / "made", "truth/transactions", {"run": [0], "t": [1.0], "amount": [3.0]})
    with pytest.raises(DatasetError, match="no table of truth has positions") as caught:
        replay_page(tmp_path / "made", 0, tmp_path / "x.html")
    assert "preview.png" in caught.value.hint


def test_a_film_can_be_read_again(crash: Path, tmp_path: Path):
    calls: list[tuple[int, int]] = []
    path = replay_video(crash, 0, tmp_path / "run.mp4", lambda done, total: calls.append((done, total)))
    span = data_of(replay_page(crash, 0, tmp_path / "out.html"))["t"][-1]
    film = cv2.VideoCapture(str(path))
    frames = int(film.get(cv2.CAP_PROP_FRAME_COUNT))
    assert abs(frames - span * 25) <= 1
    assert calls == [(k + 1, frames) for k in range(frames)]
    assert film.get(cv2.CAP_PROP_FPS) == 25
    _, first = film.read()
    assert first.shape == (720, 1280, 3)
    assert first.std() > 10.0
    film.set(cv2.CAP_PROP_POS_FRAMES, frames - 1)
    _, last = film.read()
    assert (np.abs(first[76:426].astype(int) - last[76:426]) > 60).mean() > 0.005
    again = replay_video(crash, 0, tmp_path / "again.mp4")
    assert again.read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.mp4", "out.html", "run.mp4"]


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return shell.mischance("replay", *words)


def test_the_command_draws_and_compares(crash: Path, tmp_path: Path):
    page = tmp_path / "out.html"
    drawn = command(crash, "0", "--html", page)
    assert drawn.returncode == 0
    assert drawn.stdout.splitlines()[0] == str(page)
    assert "run 0: identical" in drawn.stdout
    page.unlink()
    alone = command(crash, "0", "--html", page, "--no-compare", "--json")
    assert json.loads(alone.stdout) == {"run": 0, "html": str(page)}
    assert page.is_file()
    for words in (("--no-compare",), ("--no-compare", "--strict", "--html", page)):
        refused = command(crash, "0", *words)
        assert refused.returncode == 2
        assert "--no-compare" in refused.stderr


# -- in a browser --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a headless Chromium. MISCHANCE_BROWSER=required makes a missing one a failure, as in CI."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (program and driver):
        if os.environ.get("MISCHANCE_BROWSER") == "required":
            pytest.fail("no Chromium or no chromedriver, and MISCHANCE_BROWSER says that there must be one")
        pytest.skip("no Chromium with chromedriver here (Debian: apt-get install chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = program
    flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    for flag in (*flags.split(), "disable-component-update", "disable-sync", "disable-dev-shm-usage"):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chromium = webdriver.Chrome(options=options, service=Service(driver))
    yield chromium
    chromium.quit()


def shown(browser: Any, page: Path, width: int = 1280, height: int = 720, scheme: str = "light") -> None:
    """Open a page from the disk; begin to listen just before."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(page.as_uri())
    assert browser.execute_script("return document.documentElement.dataset.ready") == "true"


def requests(browser: Any) -> list[str]:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def time_of(browser: Any) -> float:
    return float(browser.execute_script("return document.documentElement.dataset.time"))


def picture(browser: Any) -> Any:
    return cv2.imdecode(np.frombuffer(browser.get_screenshot_as_png(), np.uint8), cv2.IMREAD_COLOR).astype(int)


@pytest.mark.xdist_group("browser")
def test_a_browser_shows_the_page_and_asks_for_nothing(browser: Any, crash: Path, tmp_path: Path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    page = replay_page(crash, 0, tmp_path / "out.html")
    shown(browser, page)
    first = picture(browser)
    assert first.std() > 10.0

    def press(*keys: str) -> float:
        browser.find_element(By.TAG_NAME, "body").send_keys(*keys)
        return time_of(browser)

    last = data_of(page)["t"][-1]
    assert time_of(browser) == 0.0
    assert 0.0 < press(Keys.ARROW_RIGHT) <= 0.1
    assert press(Keys.ARROW_LEFT) == 0.0
    assert press(Keys.END) == pytest.approx(last, abs=1e-3)
    assert np.abs(picture(browser) - first).max(axis=2)[100:340, :960].mean() > 1.0
    assert press(Keys.HOME) == 0.0
    contact = browser.find_element(By.CSS_SELECTOR, ".moment.contact")
    contact.click()
    assert time_of(browser) == pytest.approx(data_of(page)["contacts"][0]["t"], abs=1e-3)
    press(Keys.HOME)
    press(Keys.SPACE)
    browser.execute_async_script("setTimeout(arguments[0], 300)")
    assert press(Keys.SPACE) > 0.05
    stopped = time_of(browser)
    browser.execute_async_script("setTimeout(arguments[0], 100)")
    assert time_of(browser) == stopped
    charts = browser.find_element(By.ID, "charts")
    from selenium.webdriver import ActionChains

    ActionChains(browser).move_to_element(charts).click().perform()
    assert 0.3 * last < time_of(browser) < 0.7 * last
    nameless = browser.execute_script(
        "return [...document.querySelectorAll('button, input, select, canvas')]"
        ".filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim())).length"
    )
    assert nameless == 0
    assert requests(browser) == [page.as_uri()]
    assert browser.get_log("browser") == []


@pytest.mark.xdist_group("browser")
def test_the_road_is_drawn_where_the_numbers_say(browser: Any, tmp_path: Path):
    page = replay_page(driven(tmp_path / "made"), 0, tmp_path / "out.html")
    shown(browser, page, width=1600, height=1200)
    choose = "const v = document.getElementById('view'); v.value = arguments[0]; v.dispatchEvent(new Event('change'))"
    browser.execute_script(choose, "run")
    for _ in range(4):  # out, until the bend is in the picture
        browser.execute_script("document.getElementById('out').click()")
    x0, y0, scale = map(float, browser.execute_script("return document.documentElement.dataset.view").split(","))
    left, top = browser.execute_script(
        "const b = document.getElementById('top-view').getBoundingClientRect(); return [b.left, b.top]"
    )
    image = picture(browser)

    def at(x: float, y: float) -> Any:
        return image[round(top + y0 - y * scale), round(left + x0 + x * scale)]

    asphalt, grass, ice = at(20.5, 5.2), at(3.2, -7.3), at(10.0, 2.6)
    assert np.abs(asphalt - grass).sum() > 30
    assert np.abs(asphalt - ice).sum() > 30
    assert ice[0] > ice[2] + 30  # blue
    turn = np.radians(50.0)
    for radius, seen in ((20.0 - 5.3, asphalt), (20.0 - 1.2, asphalt), (21.0, grass), (12.0, grass)):
        place = np.array([40.0, 20.0]) + radius * np.array([np.sin(turn), -np.cos(turn)])
        assert np.abs(at(*place) - seen).max() <= 12, radius
    assert np.abs(at(26.2, -5.3) - asphalt).max() <= 12  # the crossing road
    ego = data_of(page)["bodies"][0]
    red, green, blue = (int(at(ego["x"][0] + 1.55, ego["y"][0] + 0.8)[i]) for i in (2, 1, 0))
    assert blue > red + 60 > green - 60  # the flank of the car that the run is about
    words = browser.execute_script("return document.getElementById('top-view').getAttribute('aria-label')")
    assert "ego 3.0 m/s backwards" in words
    assert requests(browser) == [page.as_uri()]
    assert browser.get_log("browser") == []


@pytest.mark.xdist_group("browser")
def test_keys_go_from_moment_to_moment_and_change_speed_and_view(browser: Any, crash: Path, tmp_path: Path):
    from selenium.webdriver.common.by import By

    page = replay_page(crash, 0, tmp_path / "out.html")
    shown(browser, page)
    body = browser.find_element(By.TAG_NAME, "body")
    times = sorted({mark["t"] for mark in data_of(page)["moments"]})
    seen = []
    for _ in times:
        body.send_keys("n")
        seen.append(time_of(browser))
    np.testing.assert_allclose(seen, times, atol=1e-3)
    body.send_keys("p")
    assert time_of(browser) == pytest.approx(times[-2], abs=1e-3)
    rate = browser.find_element(By.ID, "rate")
    before = float(rate.get_attribute("value"))
    body.send_keys(">")
    assert float(rate.get_attribute("value")) > before
    body.send_keys("<<")
    assert float(rate.get_attribute("value")) < before
    view = browser.find_element(By.ID, "view")
    views = {view.get_attribute("value")}
    for _ in range(4):
        body.send_keys("v")
        views.add(view.get_attribute("value"))
    assert views == {"pair", "follow", "all", "run"}
    for _ in range(4):
        browser.execute_script("document.getElementById('in').click()")
    assert browser.get_log("browser") == []


@pytest.mark.xdist_group("browser")
def test_the_page_is_dark_where_that_is_liked_and_fits_a_telephone(browser: Any, crash: Path, tmp_path: Path):
    page = replay_page(crash, 0, tmp_path / "out.html")
    shown(browser, page)
    light = picture(browser).mean()
    shown(browser, page, scheme="dark")
    assert picture(browser).mean() < 0.4 * light
    for width in (1280, 390, 320):
        shown(browser, page, width=width)
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"), width
    assert browser.get_log("browser") == []


@pytest.mark.xdist_group("browser")
def test_a_hostile_name_is_text(browser: Any, tmp_path: Path):
    page = replay_page(made(tmp_path / "made", HOSTILE), 0, tmp_path / "out.html")
    shown(browser, page)
    assert browser.execute_script("return document.querySelector('h1').textContent") == HOSTILE
    assert browser.execute_script("return document.querySelector('.reason').textContent") == HOSTILE
    assert browser.title != "owned"
    assert browser.execute_script("return document.images.length") == 0
    assert requests(browser) == [page.as_uri()]
    assert browser.get_log("browser") == []
