"""A category has one number in a dataset: its place in the world's list, whatever a camera happened to see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mischance
from mischance.sweep.jobs import sweep

SCENE = """
mischance: 1
name: tests/two_cameras
duration: 0.3 s
vary: {far: {uniform: [30 m, 90 m]}}
simulator:
  kind: road
  road: {lanes: 3}
  actors:
    ego: {speed: 0, lane: 1}
    bus: {body: bus, speed: 0, lane: 3, gap: 8 m}
    car: {speed: 0, lane: 1, gap: 20 m}
    truck: {body: truck, speed: 0, lane: 1, gap: $far}
sensors:
  front: {kind: camera, mount: ego.windscreen, size: [160, 120], rate: 5 Hz, passes: [rgb, instance]}
  lead: {kind: camera, mount: car.windscreen, size: [160, 120], rate: 5 Hz, passes: [rgb, instance]}
write: [parquet, coco]
event: {name: collision, when: ego.contacts > 0, margin: min_gap}
"""


def files(dataset: Path) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(dataset.glob("labels/*/coco.json"))}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pybullet")
    folder = tmp_path_factory.mktemp("cameras")
    (folder / "scene.yaml").write_text(SCENE)
    sweep(mischance.load(folder / "scene.yaml"), 2, folder / "out", workers=0, shard=1)
    return folder


def test_both_cameras_number_all_kinds_of_the_world_alike(dataset):
    found = files(dataset / "out")
    assert set(found) == {"front", "lead"}
    listed = {sensor: [(one["id"], one["name"]) for one in each["categories"]] for sensor, each in found.items()}
    names = mischance.open(dataset / "out").table("truth/bodies")["kind"].cat.categories.tolist()
    assert listed["front"] == listed["lead"] == list(enumerate(names, start=1))
    for each in found.values():
        number = {one["id"]: one["name"] for one in each["categories"]}
        actors = {(mark["attributes"]["actor"], number[mark["category_id"]]) for mark in each["annotations"]}
        assert actors <= {("ego", "car"), ("bus", "bus"), ("car", "car"), ("truck", "truck")}
        assert actors
    # the two see different kinds: by order of what is seen, "1" would be a bus here and a truck there
    seen = {sensor: {mark["attributes"]["actor"] for mark in each["annotations"]} for sensor, each in found.items()}
    assert "bus" in seen["front"]
    assert "bus" not in seen["lead"]


def test_an_extended_dataset_has_the_numbers_of_a_fresh_one(dataset):
    scenario = mischance.load(dataset / "scene.yaml")
    sweep(scenario, 3, dataset / "out", workers=0)
    sweep(scenario, 3, dataset / "fresh", workers=0, shard=1)
    assert files(dataset / "out") == files(dataset / "fresh")
