"""COCO files, read by pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("pybullet")
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mischance.api.appearance import bodies_schema
from mischance.api.runs import Chunk, Draw, Record
from mischance.api.scene import Body, Motion, Scene, Shape
from mischance.api.tables import EVENTS, Table
from mischance.errors import DatasetError
from mischance.renderers.tiny import Settings as TinySettings
from mischance.renderers.tiny import Tiny
from mischance.sensors.camera import Camera
from mischance.sensors.camera import Settings as CameraSettings
from mischance.writers.coco import Coco, Settings

SIZE = (96, 72)
pytestmark = pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")


def scene(run):
    """Three cars and, in odd runs, a cyclist among them."""
    shape = Shape("box", (4.0, 1.8, 1.4), color=(0.6, 0.2, 0.2))
    ego = Body("ego", "car", (shape,), {"lens": (1.0, 0.0, 0.6, 0.0, 0.0, 0.0, 1.0)})
    rider = Body("rider", "bicycle" if run % 2 else "", (Shape("cylinder", (0.4, 1.8, 0.0)),))
    ground = Body("ground", "", (Shape("plane", (0.0, 0.0, 0.0), (0.0, 0.0, -0.72, 0.0, 0.0, 0.0, 1.0)),), moving=False)
    return Scene((ego, Body("a", "car", (shape,)), Body("b", "car", (shape,)), rider, ground))


def records(runs, cuts=(), sensors=("front", "rear-left"), kinds=("car", "bus", "bicycle")):
    """Play a few images of every run through a camera, as the core would."""
    cameras = {name: Camera(CameraSettings(mount="ego.lens", size=SIZE, rate=5.0)) for name in sensors}
    renderer = Tiny(TinySettings(shadow=False))
    for name, camera in cameras.items():
        camera.start(name, [Draw(0, run) for run in runs], [])
    marks = [0.0, *cuts, 0.8]
    for low, high in [(0.0, 0.0), *pairwise(marks)]:
        t = np.arange(round(low * 100), round(high * 100) + 1) / 100
        pose = np.zeros((len(runs), len(t), 4, 7))
        pose[..., 6] = 1
        for i, run in enumerate(runs):
            pose[i, :, 1, 0], pose[i, :, 1, 1] = 12.0 + run, -3.0 + 7.0 * t
            pose[i, :, 2, 0], pose[i, :, 2, 1] = 25.0, 2.0
            pose[i, :, 3, 0], pose[i, :, 3, 1] = 9.0, -2.5
        stop = np.full(len(runs), high)
        scenes = tuple(scene(run) for run in runs)
        motion = Motion(("ego", "a", "b", "rider"), t, pose, np.zeros((*pose.shape[:3], 6)))
        chunk = Chunk(low, high, stop, stop >= 0.8, Table.empty(EVENTS, len(runs)), {}, motion, scenes)
        tables, frames = {"truth/bodies": Table.empty(bodies_schema(kinds), len(runs))}, {}
        for name, camera in cameras.items():
            reading = camera.read(chunk, renderer)
            tables |= {f"labels/{name}/{kind}": table for kind, table in reading.labels.items()}
            frames[f"labels/{name}/instance"] = reading.label_frames
        yield Record(np.array(runs), low, high, tables, frames, scenes, last=high == 0.8)


def export(folder, jobs, cuts=()):
    """Write every job's part, put the parts together, finish; return the instance images by (sensor, run, index)."""
    images = {}
    for job in jobs:
        writer = Coco(Settings(), folder)
        for record in records(job, cuts):
            writer.write(record)
            for path, frames in record.frames.items():
                for run, found in zip(record.runs.tolist(), frames, strict=True):
                    for k, image in zip(found.index.tolist(), found.passes["instance"], strict=True):
                        images[path.split("/")[1], run, k] = image
        writer.close()
    Coco.merge(folder)
    return images


def load(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, export(folder, [(0, 1, 2)])


def test_pycocotools_decodes_the_instance_images_pixel_for_pixel(dataset):
    folder, images = dataset
    for sensor in ("front", "rear-left"):
        coco = load(folder / "labels" / sensor / "coco.json")
        assert len(coco.imgs) == 3 * 5
        assert [coco.cats[number]["name"] for number in (1, 2, 3)] == ["car", "bus", "bicycle"]
        for image_id, image in coco.imgs.items():
            assert image["file_name"] == f"sensors/{sensor}/frames/{image['run']:09d}/{image_id % 10**6:09d}.png"
            truth = images[sensor, image["run"], image_id % 10**6]
            assert truth.shape == (image["height"], image["width"])
            rebuilt = np.zeros_like(truth)
            for mark in coco.imgToAnns[image_id]:
                mask = coco.annToMask(mark).astype(bool)
                rebuilt[mask] = mark["attributes"]["instance"]
                ys, xs = np.nonzero(mask)
                assert mark["bbox"] == [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1]
                assert mark["area"] == mask.sum()
            labelled = np.isin(truth, [2, 3, 4] if image["run"] % 2 else [2, 3])
            assert np.array_equal(rebuilt, np.where(labelled, truth, 0))


def test_each_annotation_is_the_actor_whose_centre_projects_there(dataset):
    folder, _ = dataset
    coco = load(folder / "labels" / "front" / "coco.json")
    focal = SIZE[0] / 2 / np.tan(np.radians(35))
    checked = 0
    for mark in coco.anns.values():
        image = coco.imgs[mark["image_id"]]
        place = {"a": (11.0 + image["run"], -3.0 + 7.0 * image["t"]), "b": (24.0, 2.0), "rider": (8.0, -2.5)}
        ahead, aside = place[mark["attributes"]["actor"]]
        assert coco.cats[mark["category_id"]]["name"] == (
            "bicycle" if mark["attributes"]["actor"] == "rider" else "car"
        )
        assert abs(mark["attributes"]["distance"] - np.sqrt(ahead**2 + aside**2 + 0.36)) < 1e-4
        if mark["attributes"]["occlusion"] == 0 and not mark["attributes"]["truncated"]:
            u, v = SIZE[0] / 2 - focal * aside / ahead, SIZE[1] / 2 + focal * 0.6 / ahead
            assert coco.annToMask(mark)[int(v), int(u)] == 1
            checked += 1
    assert checked > 10
    assert any(0 < mark["attributes"]["occlusion"] < 1 for mark in coco.anns.values())


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_it_scores_one_against_itself(dataset, kind):
    folder, _ = dataset
    coco = load(folder / "labels" / "front" / "coco.json")
    guesses = [
        {key: mark[key] for key in ("image_id", "category_id", "bbox", "segmentation")} | {"score": 1.0}
        for mark in coco.anns.values()
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(coco, coco.loadRes(guesses), kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert judge.stats[0] == pytest.approx(1.0)
    assert judge.stats[8] == pytest.approx(1.0)


@pytest.mark.parametrize(("jobs", "cuts"), [([(2,), (0, 1)], (0.3,)), ([(1,), (2,), (0,)], (0.01, 0.4, 0.41))])
def test_the_file_does_not_depend_on_jobs_or_cuts(dataset, tmp_path, jobs, cuts):
    export(tmp_path, jobs, cuts)
    for sensor in ("front", "rear-left"):
        path = f"labels/{sensor}/coco.json"
        assert (tmp_path / path).read_bytes() == (dataset[0] / path).read_bytes()
        document = json.loads((tmp_path / path).read_text())
        assert list(document) == sorted(document)
        assert [mark["id"] for mark in document["annotations"]] == list(range(1, len(document["annotations"]) + 1))
    assert not list(tmp_path.rglob("*.tmp"))


def test_finishing_twice_changes_nothing_and_without_parts_writes_nothing(dataset, tmp_path):
    folder, _ = dataset
    before = (folder / "labels/front/coco.json").read_bytes()
    Coco.merge(folder)
    assert (folder / "labels/front/coco.json").read_bytes() == before
    Coco.merge(tmp_path)
    assert not list(tmp_path.iterdir())


def test_runs_beyond_a_million_and_categories_stay_in_order(tmp_path):
    parts = tmp_path / "_merge" / "coco"
    parts.mkdir(parents=True)
    for run in (1_000_000, 999_999, 7):
        image = {"id": run * 10**6, "width": 4, "height": 3, "file_name": "x"}
        kinds = ["van", "car", "bicycle"]
        (parts / f"cam-{run:09d}.json").write_text(json.dumps({"kinds": kinds, "images": [image], "annotations": []}))
    Coco.merge(tmp_path)
    document = json.loads((tmp_path / "labels/cam/coco.json").read_text())
    assert [image["id"] // 10**6 for image in document["images"]] == [7, 999_999, 1_000_000]
    assert [cat["name"] for cat in document["categories"]] == kinds
    assert [cat["id"] for cat in document["categories"]] == [1, 2, 3]


@pytest.mark.parametrize(("kinds", "listed"), [(("car", "bus"), "car, bus"), ((), "none")])
def test_a_category_that_is_no_kind_of_the_world_is_refused_with_the_worlds_list(tmp_path, kinds, listed):
    writer = Coco(Settings(), tmp_path)
    *before, last = records([1], kinds=kinds)
    for record in before:
        writer.write(record)
    with pytest.raises(DatasetError) as refused:
        writer.write(last)
    said = "bicycle" if kinds else "car"
    assert refused.value.message == (
        f"run 1: sensor 'front' labels an object '{said}', which is no kind of body of the world"
    )
    assert f"kinds in its table `bodies`: {listed};" in refused.value.hint


def test_a_damaged_part_is_named(tmp_path):
    parts = tmp_path / "_merge" / "coco"
    parts.mkdir(parents=True)
    (parts / "cam-000000003.json").write_text("{")
    with pytest.raises(DatasetError, match=r"cam-000000003\.json"):
        Coco.merge(tmp_path)
