"""The camera: times of images, agreement of labels with pixels, and freezes."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("pybullet")
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from mischance.api.runs import Chunk, Draw, Fault
from mischance.api.scene import Body, Motion, Scene, Shape
from mischance.api.tables import EVENTS, Table, join_tables
from mischance.errors import RunError
from mischance.renderers.tiny import Settings as TinySettings
from mischance.renderers.tiny import Tiny
from mischance.sensors._masks import region
from mischance.sensors.camera import Camera, Settings

pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
SMALL = {"size": (160, 120), "rate": 10.0, "mount": "ego.windscreen"}
FOCAL = 80 / np.tan(np.radians(70) / 2)
AHEAD = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def box(size, color=(0.7, 0.2, 0.2), place=(0.0, 0.0, 0.0)):
    return Shape("box", size, (*place, 0.0, 0.0, 0.0, 1.0), color)


def scene():
    """The ego and two cars that move, ground and a wall that do not."""
    ego = Body("ego", "car", (box((4.0, 1.8, 1.4)),), {"windscreen": (1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0)})
    near = Body("near", "car", (box((4.0, 1.8, 1.4)),))
    wide = Body("wide", "truck", (box((6.0, 2.4, 3.0), (0.2, 0.3, 0.8)),))
    ground = Body("ground", "", (Shape("plane", (0.0, 0.0, 0.0)),), moving=False)
    wall = Body("wall", "wall", (box((1.0, 4.0, 4.0), (0.5, 0.5, 0.5), (60.0, 9.0, 2.0)),), moving=False)
    return Scene((ego, near, wide, ground, wall))


def paths(run):
    """Paths of the three bodies: the ego drives, `near` moves sideways in front of `wide`, which turns."""

    def at(t):
        pose = np.zeros((len(t), 3, 7))
        pose[..., 6] = 1
        pose[:, 0, 0], pose[:, 0, 2] = 5.0 * t, 0.7
        pose[:, 1, 0], pose[:, 1, 1], pose[:, 1, 2] = 16.0 + 5.0 * t, -4.0 + (6.0 + run) * t, 0.7
        pose[:, 2, 0], pose[:, 2, 1], pose[:, 2, 2] = 32.0 + 4.0 * t, 1.0, 1.5
        pose[:, 2, 5], pose[:, 2, 6] = np.sin(0.2 * t), np.cos(0.2 * t)
        return pose

    return at


def chunks(runs, end=1.0, cuts=(), ends=None, scenes=None):
    ends = np.full(len(runs), end) if ends is None else np.array(ends)
    k = np.arange(round(end * 100) + 1)
    marks = [0, *(round(cut * 100) for cut in cuts), len(k) - 1]
    for low, high in [(0, 0), *pairwise(marks)]:
        t = k[low : high + 1] / 100
        pose = np.stack([paths(run)(np.minimum(t, stop)) for run, stop in zip(runs, ends, strict=True)])
        stop = np.minimum(ends, t[-1])
        motion = Motion(("ego", "near", "wide"), t, pose, np.zeros((*pose.shape[:3], 6)))
        given_scenes = scenes or (scene(),) * len(runs)
        yield Chunk(t[0], t[-1], stop, stop < t[-1], Table.empty(EVENTS, len(runs)), {}, motion, given_scenes)


def play(runs=(0,), faults=(), settings=None, **how):
    """Return, for each run, frames by pass, and the label tables of all runs."""
    camera, renderer = Camera(Settings(**(SMALL | (settings or {})))), Tiny(TinySettings(shadow=False))
    camera.start("front", [Draw(1, run, faults=tuple(faults)) for run in runs], [])
    readings = [camera.read(chunk, renderer) for chunk in chunks(runs, **how)]
    frames = []
    for i in range(len(runs)):
        parts = [f for reading in readings for f in (reading.frames[i : i + 1] + reading.label_frames[i : i + 1])]
        names = {name for part in parts for name in part.passes}
        passes = {name: np.concatenate([p.passes[name] for p in parts if name in p.passes]) for name in names}
        index = np.concatenate([frame.index for frame in parts if set(frame.passes) & {"instance", "depth"}])
        index = np.unique(index)
        frames.append((index, passes))
    tables = {name: join_tables([r.labels[name] for r in readings]) for name in readings[0].labels}
    return frames, tables, camera.labels(), readings


def rows(table, run=0):
    columns = {name: values.tolist() for name, values in table.run(run).items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31), st.sampled_from([0.02, 0.2, 0.5, 0.9, 1.0]))
def test_masks_are_coded_as_pycocotools_codes_them(height, width, seed, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    found = region(mask.astype(np.uint16) * 7, 7)
    if not mask.any():
        assert found is None
        return
    judge = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert found.counts == judge["counts"].decode()
    assert found.pixels == coco_mask.area(judge)
    assert list(found.box) == coco_mask.toBbox(judge).tolist()


def test_long_runs_are_coded_as_pycocotools_codes_them():
    mask = np.zeros((1080, 1920), np.uint8)
    mask[400:700, 300:1500] = 1
    mask[0, 0] = mask[-1, -1] = 1
    assert region(mask, 1).counts == coco_mask.encode(np.asfortranarray(mask))["counts"].decode()


def test_an_image_at_every_tick_and_labels_that_agree_with_its_pixels():
    ((index, passes),), tables, _, _ = play()
    assert index.tolist() == list(range(11))
    assert passes["rgb"].shape == (11, 120, 160, 3)
    images, objects = rows(tables["images"]), rows(tables["objects"])
    assert [row["t"] for row in images] == [k / 10 for k in range(11)]
    assert all(row["t"] == row["t_shown"] for row in images)
    assert {row["actor"]: (row["category"], row["instance"]) for row in objects} == {
        "near": ("car", 2),
        "wide": ("truck", 3),
        "wall": ("wall", 5),
    }
    for row in objects:
        mask = passes["instance"][row["index"]] == row["instance"]
        code = {"size": [120, 160], "counts": row["counts"].encode()}
        assert np.array_equal(coco_mask.decode(code), mask)
        ys, xs = np.nonzero(mask)
        assert (row["x"], row["y"]) == (xs.min(), ys.min())
        assert (row["w"], row["h"]) == (np.ptp(xs) + 1, np.ptp(ys) + 1)
        assert row["visible"] == mask.sum() <= row["amodal"]
        if row["visible"] == row["amodal"] and not row["truncated"]:
            assert mask[int(row["v"]), int(row["u"])]
    seen = {(row["index"], row["instance"]) for row in objects}
    in_pixels = {(k, i) for k in range(11) for i in np.unique(passes["instance"][k]).tolist() if i in (1, 2, 3, 5)}
    assert seen == in_pixels


def test_the_centre_projects_where_the_pinhole_says():
    _, tables, _, _ = play()
    row = next(row for row in rows(tables["objects"]) if row["actor"] == "near" and row["index"] == 5)
    t = 0.5
    ahead, aside, above = 15.0, -4.0 + 6.0 * t, -0.5
    assert abs(row["u"] - (80 - FOCAL * aside / ahead)) < 1e-9
    assert abs(row["v"] - (60 - FOCAL * above / ahead)) < 1e-9
    assert abs(row["distance"] - np.sqrt(ahead**2 + aside**2 + above**2)) < 1e-9


def test_a_half_covered_square_is_half_visible():
    eye = Body("eye", "", (), {"lens": AHEAD}, False)
    square = Body("square", "square", (box((0.1, 2.0, 2.0), place=(10.05, 0.0, 0.0)),), moving=False)
    cover = Body("cover", "cover", (box((0.1, 4.0, 4.0), place=(5.05, -2.0, 0.0)),), moving=False)
    world = Scene((Body("ego", "", ()), Body("near", "", ()), Body("wide", "", ()), eye, square, cover))
    _, tables, _, _ = play(settings={"mount": "eye.lens"}, scenes=(world,), end=0.1)
    row = next(row for row in rows(tables["objects"]) if row["actor"] == "square")
    side = 2 * FOCAL / 10
    assert abs(row["visible"] - side**2 / 2) < side  # within one pixel row
    assert abs(row["amodal"] - side**2) < 2 * side
    assert not row["truncated"]
    cover_row = next(row for row in rows(tables["objects"]) if row["actor"] == "cover")
    assert cover_row["truncated"]
    assert cover_row["visible"] == cover_row["amodal"]


def test_its_own_body_is_drawn_only_when_asked_for():
    poking = Scene((Body("ego", "car", (box((1, 1, 1), place=(5, 0, 0)),), {"lens": AHEAD}), *scene().bodies[1:]))
    for sees in (False, True):
        frames, *_ = play(settings={"sees_carrier": sees, "mount": "ego.lens"}, scenes=(poking,), end=0.1)
        assert (frames[0][1]["instance"] == 1).any() == sees


@pytest.mark.parametrize("cuts", [(0.01, 0.3, 0.31), (0.5,), tuple(k / 20 for k in range(1, 20))])
@pytest.mark.parametrize("rate", [10.0, 7.7])
def test_neither_cuts_nor_neighbours_change_a_byte(cuts, rate):
    fault = Fault("fault:0", "sensors.front", "freeze", 0.25, 0.65, 1.0)
    how = {"faults": [fault], "settings": {"rate": rate, "size": (64, 48)}}
    whole, tables, _, _ = play((0, 3), ends=[0.7, 1.0], **how)
    cut, cut_tables, _, _ = play((0, 3), ends=[0.7, 1.0], cuts=cuts, **how)
    alone, alone_tables, _, _ = play((3,), **how)
    for one, two in ((whole[0], cut[0]), (whole[1], cut[1]), (whole[1], alone[0])):
        assert np.array_equal(one[0], two[0])
        assert all(np.array_equal(one[1][name], two[1][name]) for name in one[1])
    for name in tables:
        assert rows(tables[name], 0) == rows(cut_tables[name], 0)
        assert rows(tables[name], 1) == rows(cut_tables[name], 1) == rows(alone_tables[name], 0)
    assert whole[0][0].max() / rate <= 0.7


def test_a_freeze_repeats_the_last_image_and_its_labels_and_touches_nothing_else():
    faults = [
        Fault("fault:4", "sensors.front", "freeze", 0.25, 0.6, 1.0),
        Fault("fault:5", "sensors.front", "freeze", 0.8, 2.0, 1.0),
        Fault("fault:6", "sensors.rear", "freeze", 0.0, 2.0, 1.0),
    ]
    ((index, bad),), tables, labels, _ = play(faults=faults)
    ((_, good),), twin, none, _ = play()
    shown = [0, 1, 2, 2, 2, 2, 6, 7, 7, 7, 7]
    assert index.tolist() == list(range(11))
    for name in good:
        assert np.array_equal(bad[name], good[name][shown]), name
    images = rows(tables["images"])
    assert [row["t"] for row in images] == [k / 10 for k in range(11)]
    assert [row["t_shown"] for row in images] == [k / 10 for k in shown]
    for k, source in enumerate(shown):
        was = [row | {"t": 0, "index": 0} for row in rows(twin["objects"]) if row["index"] == source]
        assert [row | {"t": 0, "index": 0} for row in rows(tables["objects"]) if row["index"] == k] == was
    found = rows(labels)
    assert [(row["label_id"], row["t_cause"], row["t_end"]) for row in found] == [
        ("front:0", 0.25, 0.6),
        ("front:1", 0.8, 1.0),
    ]
    assert {row["class"] for row in found} == {"fault/sensor/freeze"}
    assert [json.loads(row["causes"]) for row in found] == [["fault:4"], ["fault:5"]]
    assert len(none) == 0


def test_frozen_from_the_start_it_holds_the_first_image():
    ((_, bad),), tables, _, _ = play(faults=[Fault("fault:0", "sensors.front", "freeze", 0.0, 0.35, 1.0)], cuts=(0.15,))
    ((_, good),), _, _, _ = play()
    assert np.array_equal(bad["rgb"], good["rgb"][[0, 0, 0, 0, *range(4, 11)]])
    assert rows(tables["images"])[3]["t_shown"] == 0.0


def test_only_the_passes_asked_for():
    _, tables, _, readings = play(settings={"passes": ["depth"]}, end=0.2)
    assert set(tables) == {"images"}
    assert all(set(frame.passes) == {"depth"} for reading in readings for frame in reading.frames)
    assert all(reading.label_frames == () for reading in readings)
    _, tables, _, readings = play(settings={"passes": ["instance"]}, end=0.2)
    assert all(reading.frames == () for reading in readings)
    assert len(tables["objects"])


def test_small_objects_are_left_out_when_asked_for():
    _, all_of_them, _, _ = play(end=0.1)
    smallest = min(row["visible"] for row in rows(all_of_them["objects"]))
    _, fewer, _, _ = play(end=0.1, settings={"min_pixels": smallest + 1})
    assert min(row["visible"] for row in rows(fewer["objects"])) > smallest


def test_a_mount_that_is_not_there_is_answered_with_those_that_are():
    with pytest.raises(RunError) as caught:
        play(settings={"mount": "ego.nose"})
    assert "no mount 'nose'" in caught.value.message
    assert "ego.windscreen" in caught.value.hint
    with pytest.raises(RunError) as caught:
        play(settings={"mount": "bike.helmet"})
    assert "near" in caught.value.hint


def test_without_motion_it_says_which_setting_to_change():
    still = replace(next(chunks((0,))), motion=None)
    camera = Camera(Settings(**SMALL))
    camera.start("front", [Draw(1, 0)], [])
    with pytest.raises(RunError, match="'front'") as caught:
        camera.read(still, Tiny(TinySettings()))
    assert "simulator.motion: true" in caught.value.hint
    with pytest.raises(RunError, match="'front'") as caught:
        camera.read(replace(still, scenes=()), Tiny(TinySettings()))
    assert "road" in caught.value.hint


def test_settings_are_checked():
    assert Settings(fov="90 deg", rate="20 Hz", size=[64, 48]).fov == pytest.approx(np.pi / 2)
    for wrong in ({"passes": ["normals"]}, {"size": [0, 5]}, {"near": 5, "far": 4}, {"fov": "200 deg"}, {"colour": 1}):
        with pytest.raises(ValueError):
            Settings(**wrong)
